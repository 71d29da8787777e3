/** Commands that the client runs itself (`report`, `doctor`, `top`), over a real control server. */
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { run } from '../../src/client/command.ts';
import { exitCodes } from '../../src/client/help.ts';
import { Top } from '../../src/client/top.ts';
import { topFrameMs } from '../../src/config/limits.ts';
import { OperatorError } from '../../src/control/answers.ts';
import { ControlServer } from '../../src/control/server.ts';
import { Recorder } from '../../src/history/recorder.ts';
import { fakeOperator, listenAt, rememberingLog, temporaryDirectory } from '../support/control.ts';

let home: ReturnType<typeof temporaryDirectory>;
let socket: string;
let server: ControlServer;
let operator: ReturnType<typeof fakeOperator>;

beforeEach(async () => {
  home = temporaryDirectory();
  socket = join(home.path, 'control.sock');
  operator = fakeOperator();
  const askPeer = () => ({ pid: 1, uid: 0, gid: 0, groups: [] });
  server = new ControlServer({ operator, askPeer, groupId: undefined, log: rememberingLog() });
  await listenAt(server, socket);
});
afterEach(async () => {
  await server.close();
  home.remove();
});

/** Bans so many seconds ago, in a file of records that the daemon names. */
async function recorded(...ago: number[]): Promise<string> {
  const path = join(home.path, 'history');
  let now = 0;
  const recorder = new Recorder({ path, log: rememberingLog(), now: () => now });
  await recorder.start();
  for (const [index, seconds] of ago.entries()) {
    now = Date.now() - seconds * 1_000;
    recorder.bans('ban', 'sshd', [{ address: `192.0.2.${index}` }]);
    await recorder.flush();
  }
  await recorder.close();
  operator.records = { path, number: ago.length };
  return path;
}

async function client(...argv: string[]) {
  const outcome = { code: -1, out: '', error: '' };
  outcome.code = await run(['--socket', socket, ...argv], {
    out: (text) => {
      outcome.out += text;
    },
    error: (text) => {
      outcome.error += text;
    },
    version: '1.2.3',
  });
  return outcome;
}

const day = 86_400;

describe('report', () => {
  test.each([
    [[], 7 * day, 2],
    [['--since', '1d'], day, 1],
    [['--since', '60'], 60, 0],
    [['--since', '30d'], 30 * day, 3],
  ] as const)('%j covers that time and no more', async (args, seconds, bans) => {
    await recorded(20 * day, 2 * day, 3_600);
    const { code, out } = await client('report', '--json', ...args);
    expect(code).toBe(exitCodes.done);
    const report = JSON.parse(out);
    expect(report).toMatchObject({ bans, version: '9.9.9', problems: operator.whole.problems });
    expect(report.figures).toEqual({ 'evictions.total': 15_603, 'evictions.per_minute': 247 });
    expect(report.until - report.from).toBeCloseTo(seconds, 3);
    expect(Math.abs(report.until - Date.now() / 1000)).toBeLessThan(60);
  });

  test('is text, or a page in a file, or says why there is none', async () => {
    await recorded(3_600);
    const text = await client('report');
    expect(text).toMatchObject({
      code: 0,
      out: expect.stringMatching(/\(7d, UTC\)\nbans 1, unbans 0, memory 50\.0 MiB/),
    });
    const file = join(home.path, 'report.html');
    expect(await client('report', '--html', file)).toEqual({ code: 0, out: `the report is in ${file}\n`, error: '' });
    expect(readFileSync(file, 'utf8')).toMatch(/^<!doctype html>/);
    expect(JSON.parse((await client('report', '--json', '--html', file)).out)).toEqual({ file });
    const nowhere = join(home.path, 'none', 'report.html');
    const failed = await client('report', '--html', nowhere);
    expect(failed).toMatchObject({ code: exitCodes.output, out: '' });
    expect(failed.error).toMatch(/^fail2zig-client: the report cannot be written: ENOENT/);
  });

  test('without records counts nothing, and takes no word', async () => {
    Object.assign(operator, {
      history: () => {
        throw new OperatorError('not-kept', 'no records are kept');
      },
    });
    expect(JSON.parse((await client('report', '--json')).out)).toMatchObject({ bans: 0 });
    expect(await client('report', 'x')).toMatchObject({
      code: exitCodes.usage,
      error: expect.stringContaining('"x" is too much'),
    });
  });
});

describe('doctor', () => {
  const config = (text: string): string => {
    const path = join(home.path, 'fail2zig.toml');
    writeFileSync(path, text, { mode: 0o600 });
    return path;
  };

  test('shows each finding with its mark and remedy, in 80 columns, and fails if one is bad', async () => {
    const path = config('x = 1\n');
    const { code, out } = await client('doctor', '--config', path);
    expect(code).toBe(exitCodes.problems);
    expect(out).toMatch(/^WRONG {5}configuration: \S/);
    expect(out).toContain('\n          -> mend the file; fail2zig check says when it can be used\n');
    expect(out).toMatch(/^ok {8}daemon: version 9\.9\.9/m);
    expect(out).toMatch(/^look {6}daemon: .* is newer/m);
    expect(Math.max(...out.split('\n').map((line) => line.length))).toBeLessThanOrEqual(80);
    // biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what is looked for
    expect(out).not.toMatch(/[\u0000-\u0009\u000b-\u001f]/);
    const json = await client('doctor', '--json', '--config', path);
    expect(json.code).toBe(exitCodes.problems);
    expect(JSON.parse(json.out).findings).toContainEqual(
      expect.objectContaining({ link: 'configuration', state: 'bad' }),
    );
  });

  test('is content where nothing is bad', async () => {
    writeFileSync(join(home.path, 'auth.log'), '');
    const path = config(
      `[control]\nsocket = "${socket}"\ngroup = "root"\n[firewall]\nbackend = "log-only"\n[jails.sshd]\nlogpath = "${home.path}/auth.log"\n`,
    );
    const whole = { ...operator.whole, backend: 'log-only', problems: [] };
    Object.defineProperty(operator, 'whole', { value: whole });
    const { code, out } = await client('doctor', '--config', path);
    expect(out).not.toContain('WRONG');
    expect(code).toBe(exitCodes.done);
    expect(out).toMatch(/^not seen {2}kernel: the rules of backend log-only are not looked at$/m);
  });
});

describe('top', () => {
  const asked = { status: async () => operator.whole, stats: async () => ({ 'lines.total': 7 }) };
  const enter = '\u001b[?1049h\u001b[?25l';
  /** Not by a timer, since those stand still. */
  async function soon(state: () => boolean): Promise<void> {
    for (const end = performance.now() + 10_000; !state(); await new Promise(setImmediate))
      if (performance.now() > end) throw new Error('it did not come');
  }
  const leave = '\u001b[?25h\u001b[?1049l';

  test('draws at once and each second, with what is recorded, until a signal, and restores the terminal', async () => {
    const path = await recorded(2 * day, 60, 50);
    const shown: string[] = [];
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] });
    const handlers = ['SIGINT', 'SIGTERM', 'SIGHUP'].map((signal) => process.listenerCount(signal));
    try {
      const ended = new Top(asked, path, { out: (text) => void shown.push(text) }).run();
      expect(shown).toEqual([enter]);
      const frames = (): number => shown.length - 1;
      await soon(() => frames() === 1);
      const lines = shown[1]!.split('\u001b[K\r\n');
      expect(lines[0]).toMatch(/\[Hfail2zig 9\.9\.9 /);
      expect([lines[0]!.charCodeAt(0), lines.at(-1)!.endsWith('\u001b[K\u001b[J')]).toEqual([27, true]);
      expect(lines.length).toBeGreaterThan(6);
      await soon(() => {
        vi.advanceTimersByTime(topFrameMs);
        return shown.at(-1)!.includes('     1  192.0.2.2');
      });
      await soon(() => vi.getTimerCount() > 0);
      // What is older than a day is not counted.
      expect(shown.at(-1)).not.toContain('192.0.2.0');
      expect(shown.at(-1)).toMatch(/lines 0\.0\/s/);
      const before = frames();
      vi.advanceTimersByTime(topFrameMs - 1);
      for (let turns = 0; turns < 20; turns++) await new Promise(setImmediate);
      expect(frames()).toBe(before);
      vi.advanceTimersByTime(1);
      await soon(() => frames() === before + 1);
      process.emit('SIGTERM');
      expect(await ended).toBe(0);
    } finally {
      vi.useRealTimers();
    }
    expect(shown.at(-1)).toBe(leave);
    expect(['SIGINT', 'SIGTERM', 'SIGHUP'].map((signal) => process.listenerCount(signal))).toEqual(handlers);
  });

  test('a daemon that does not answer ends it, and the terminal is as it was', async () => {
    const shown: string[] = [];
    const status = async () => {
      throw new Error('gone');
    };
    const screen = { out: (text: string) => void shown.push(text) };
    await expect(new Top({ ...asked, status }, undefined, screen).run()).rejects.toThrow('gone');
    expect(shown).toEqual([enter, leave]);
  });

  test('a daemon that is not there opens no screen', async () => {
    await server.close();
    const { code, out } = await client('top');
    expect([code, out]).toEqual([exitCodes.unreachable, '']);
    expect(existsSync(socket)).toBe(false);
  });
});
