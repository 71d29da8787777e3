/**
 * Debian's Chromium without a window, controlled through a pipe with its DevTools protocol. The
 * package and the libraries that the system lacks are unpacked under build/browser, not installed.
 * If possible it runs in its own network namespace, where any request of the page would fail.
 */
import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { arch, tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import type { Readable, Writable } from 'node:stream';

const folder = resolve('build/browser');
const program = join(folder, 'usr/lib/chromium/chromium-headless-shell');
const packages = ['chromium-headless-shell', 'fonts-dejavu-core'];

/** Unpacks Chromium; returns why that is not possible, or undefined if it is there. */
export function unpackChromium(): string | undefined {
  if (existsSync(program)) return undefined;
  mkdirSync(folder, { recursive: true });
  const steps = `cd "$1" && shift && names=$(apt-get install -s --no-install-recommends "$@" | awk '/^Inst/ { print $2 }') &&
    apt-get download -qq $names && for file in *.deb; do dpkg-deb -x "$file" . || exit 1; done && rm -f -- *.deb`;
  const done = spawnSync('sh', ['-c', steps, 'sh', folder, ...packages], { encoding: 'utf8' });
  if (done.status === 0 && existsSync(program)) return undefined;
  return `no Chromium: ${(done.error?.message ?? done.stderr).trim().split('\n').at(-1)}`;
}

interface Answer {
  id?: number;
  method?: string;
  sessionId?: string;
  result?: Record<string, unknown>;
  error?: { message: string };
}

/** One page of one browser. */
export class Chromium {
  readonly #process: ChildProcess;
  readonly #profile = mkdtempSync(join(tmpdir(), 'fail2zig-browser-'));
  readonly #waiting = new Map<number, (answer: Answer) => void>();
  readonly #listeners = new Map<string, () => void>();
  /** Addresses of everything that the page requested. */
  readonly requests: string[] = [];
  #next = 1;
  #session = '';

  private constructor() {
    const libraries = join(folder, 'usr/lib', arch() === 'arm64' ? 'aarch64-linux-gnu' : 'x86_64-linux-gnu');
    const words = ['--no-sandbox', '--disable-gpu', '--no-first-run', '--hide-scrollbars', '--remote-debugging-pipe'];
    const browser = [program, ...words, `--user-data-dir=${this.#profile}`, 'about:blank'];
    const alone = spawnSync('unshare', ['-n', 'true']).status === 0 ? ['unshare', '-n'] : [];
    const [command = '', ...rest] = [...alone, ...browser];
    this.#process = spawn(command, rest, {
      env: { ...process.env, LD_LIBRARY_PATH: `${libraries}:${libraries}/pulseaudio` },
      stdio: ['ignore', 'ignore', 'ignore', 'pipe', 'pipe'],
    });
    this.#listen(this.#process.stdio[4] as Readable);
    this.#process.once('close', (status) => this.#end(`Chromium ended with ${status}`));
  }

  static async start(): Promise<Chromium> {
    const browser = new Chromium();
    const { targetInfos } = (await browser.#ask('Target.getTargets')) as {
      targetInfos: { type: string; targetId: string }[];
    };
    const { targetId } = targetInfos.find(({ type }) => type === 'page')!;
    const { sessionId } = (await browser.#ask('Target.attachToTarget', { targetId, flatten: true })) as {
      sessionId: string;
    };
    browser.#session = sessionId;
    await browser.#ask('Page.enable');
    await browser.#ask('Network.enable');
    return browser;
  }

  #listen(pipe: Readable): void {
    let rest = '';
    // A browser that ends early closes the pipe while we use it; the process's `close` event
    // reports that.
    for (const end of [pipe, this.#process.stdio[3]!]) end.on('error', () => undefined);
    pipe.setEncoding('utf8').on('data', (text: string) => {
      const parts = (rest + text).split('\0');
      rest = parts.pop() ?? '';
      for (const part of parts) this.#take(JSON.parse(part) as Answer & { params?: { request?: { url: string } } });
    });
  }

  /** Rejects every waiting call: no answer will come. */
  #end(message: string): void {
    for (const done of this.#waiting.values()) done({ error: { message } });
    this.#waiting.clear();
  }

  #take(answer: Answer & { params?: { request?: { url: string } } }): void {
    if (answer.id !== undefined) {
      this.#waiting.get(answer.id)?.(answer);
      this.#waiting.delete(answer.id);
    }
    if (answer.method === 'Network.requestWillBeSent') this.requests.push(answer.params?.request?.url ?? '');
    if (answer.method !== undefined) this.#listeners.get(answer.method)?.();
  }

  async #ask(method: string, params: object = {}): Promise<Record<string, unknown>> {
    const id = this.#next++;
    const session = this.#session === '' ? {} : { sessionId: this.#session };
    (this.#process.stdio[3] as Writable).write(`${JSON.stringify({ id, method, params, ...session })}\0`);
    const answer = await new Promise<Answer>((done) => this.#waiting.set(id, done));
    if (answer.error !== undefined) throw new Error(`${method}: ${answer.error.message}`);
    return answer.result ?? {};
  }

  async open(url: string): Promise<void> {
    const loaded = new Promise<void>((done) => this.#listeners.set('Page.loadEventFired', done));
    await this.#ask('Page.navigate', { url });
    await loaded;
  }

  /** Width in CSS pixels, `print` or `screen`, light or dark. */
  async show(width: number, media: 'screen' | 'print', scheme: 'light' | 'dark'): Promise<void> {
    const metrics = { width, height: 900, deviceScaleFactor: 1, mobile: width < 600 };
    await this.#ask('Emulation.setDeviceMetricsOverride', metrics);
    const features = [{ name: 'prefers-color-scheme', value: scheme }];
    await this.#ask('Emulation.setEmulatedMedia', { media, features });
  }

  async value<Type>(expression: string): Promise<Type> {
    const { result } = (await this.#ask('Runtime.evaluate', { expression, returnByValue: true })) as {
      result: { value: Type };
    };
    return result.value;
  }

  /** A picture of the page from `top` on. */
  async picture(width: number, top: number, height: number): Promise<Buffer> {
    const clip = { x: 0, y: top, width, height, scale: 1 };
    const { data } = await this.#ask('Page.captureScreenshot', { clip, captureBeyondViewport: true });
    return Buffer.from(String(data), 'base64');
  }

  /** The page as a printer would show it. */
  async pdf(): Promise<Buffer> {
    const { data } = await this.#ask('Page.printToPDF', { preferCSSPageSize: true });
    return Buffer.from(String(data), 'base64');
  }

  async close(): Promise<void> {
    const ended = once(this.#process, 'close');
    this.#process.kill('SIGKILL');
    await ended;
    rmSync(this.#profile, { recursive: true, force: true });
  }
}
