/**
 * The internet: a process in a second namespace, joined to ours by veth. It owns any number of
 * addresses and tries TCP connections from them, so that what the kernel does to real packets is
 * seen from outside. Ends with the program. Run as a program of its own it is the far side: one
 * JSON request a line on standard input, one answer a line.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { connect } from 'node:net';
import { createInterface } from 'node:readline';
import { ip } from './namespace.ts';

/** Our end of the pair. */
export const hostV4 = '192.0.2.1';
export const hostV6 = '2001:db8::1';

interface Request {
  id: number;
  /** Addresses to own, with prefix lengths; answered with 'ready'. */
  own?: string[];
  /** A connection to try; answered with 'answered', 'silence' or an error's code. */
  attempt?: { from: string; to: string; port: number; withinMs: number };
}

/** How long we listen for silence, and wait for an answer, ms. */
const silenceMs = 400;
const answerMs = 5_000;

export class Peer {
  readonly #child: ChildProcess;
  readonly #waiting = new Map<number, (answer: string) => void>();
  #id = 0;

  private constructor(child: ChildProcess) {
    this.#child = child;
    child.once('exit', () => {
      for (const settle of this.#waiting.values()) settle('the second namespace ended');
    });
    createInterface({ input: child.stdout! }).on('line', (line) => {
      const { id, answer } = JSON.parse(line);
      this.#waiting.get(id)?.(answer);
      this.#waiting.delete(id);
    });
  }

  /**
   * Makes the second namespace and the pair; `addresses` are the peer's, `routes` the prefixes they
   * are in.
   */
  static async join(addresses: string[], routes: string[]): Promise<Peer> {
    const child = spawn('unshare', ['-n', process.execPath, import.meta.filename], {
      stdio: ['pipe', 'pipe', 'inherit'],
    });
    process.once('exit', () => child.kill());
    const peer = new Peer(child);
    const expectAnswer = async (wanted: string, addresses: string[]): Promise<void> => {
      const answer = await peer.#ask({ own: addresses });
      if (answer !== wanted) throw new Error(answer);
    };
    await expectAnswer('started', []);
    ip(
      `link add host0 type veth peer name peer0 netns ${child.pid}`,
      'link set host0 up',
      `addr add ${hostV4}/24 dev host0`,
      `addr add ${hostV6}/64 dev host0 nodad`,
      ...routes.map((route) => `route add ${route} dev host0`),
    );
    await expectAnswer('ready', addresses);
    return peer;
  }

  #ask(request: Omit<Request, 'id'>): Promise<string> {
    const id = ++this.#id;
    return new Promise((resolve) => {
      this.#waiting.set(id, resolve);
      this.#child.stdin!.write(`${JSON.stringify({ id, ...request })}\n`);
    });
  }

  /** Tries a connection from `from` to our `port`: 'answered', 'silence', or the error's code. */
  attempt(from: string, port: number, expectsAnswer: boolean): Promise<string> {
    const to = from.includes(':') ? hostV6 : hostV4;
    return this.#ask({ attempt: { from, to, port, withinMs: expectsAnswer ? answerMs : silenceMs } });
  }

  async end(): Promise<void> {
    if (this.#child.exitCode !== null) return;
    this.#child.stdin!.end();
    await once(this.#child, 'exit');
  }
}

function attempt({ from, to, port, withinMs }: NonNullable<Request['attempt']>): Promise<string> {
  return new Promise((resolve) => {
    const socket = connect({ host: to, port, localAddress: from });
    const settle = (answer: string): void => {
      clearTimeout(timer);
      socket.destroy();
      resolve(answer);
    };
    const timer = setTimeout(() => settle('silence'), withinMs);
    socket.once('connect', () => settle('answered'));
    socket.once('error', (error: NodeJS.ErrnoException) => settle(error.code ?? error.message));
  });
}

function own(addresses: string[]): string {
  if (addresses.length === 0) return 'started';
  ip(
    'link set lo up',
    'link set peer0 up',
    'addr add 192.0.2.2/24 dev peer0',
    'addr add 2001:db8::2/64 dev peer0 nodad',
    ...addresses.map((address) => `addr add ${address} dev peer0${address.includes(':') ? ' nodad' : ''}`),
  );
  return 'ready';
}

if (process.argv[1] === import.meta.filename) {
  createInterface({ input: process.stdin })
    .on('line', async (line) => {
      const request: Request = JSON.parse(line);
      const answer = request.attempt ? await attempt(request.attempt) : own(request.own ?? []);
      process.stdout.write(`${JSON.stringify({ id: request.id, answer })}\n`);
    })
    .once('close', () => process.exit());
}
