import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, constants, existsSync, openSync, readFileSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { logBurst, logFieldMax, logKeysMax, logLineMax, logRefillMs } from '../../src/limits.ts';
import { Log, type LogOptions, stderrIsJournal } from '../../src/log.ts';
import { temporaryDirectory } from '../support/control.ts';
import { until } from '../support/until.ts';

function recording(options: Partial<LogOptions> = {}) {
  const lines: string[] = [];
  const clock = { now: 1_763_687_728_000 };
  const log = new Log({
    level: 'debug',
    journal: true,
    now: () => clock.now,
    write: (line) => lines.push(line),
    ...options,
  });
  return { log, lines, clock };
}

describe('lines', () => {
  test('journald gets the priority, people get time and level', () => {
    const { log, lines } = recording();
    log.error('a');
    log.warn('b');
    log.info('c');
    log.debug('d');
    expect(lines).toEqual(['<3>a\n', '<4>b\n', '<6>c\n', '<7>d\n']);
    const people = recording({ journal: false });
    people.log.warn('b', { uid: 7 });
    expect(people.lines).toEqual(['2025-11-21T01:15:28.000Z warn b uid=7\n']);
  });

  test('what is below the level is not written, and the caller can ask', () => {
    const { log, lines } = recording({ level: 'warn' });
    log.info('c');
    log.debug('d');
    expect(lines).toEqual([]);
    expect([log.enabled('error'), log.enabled('warn'), log.enabled('info')]).toEqual([true, true, false]);
  });

  test('fields are names and values that a reader can take apart again', () => {
    const { log, lines } = recording();
    log.info('x', {
      jail: 'sshd',
      path: 'a b',
      quote: 'a"b',
      empty: '',
      back: 'a\\',
      both: '\\" jail=x',
      count: 3,
      none: undefined,
    });
    expect(lines[0]).toBe(
      '<6>x jail=sshd path="a b" quote="a\\"b" empty="" back=a\\\\ both="\\\\\\" jail=x" count=3\n',
    );
  });

  test('no value makes a second line, a priority of its own or a move of the cursor', () => {
    const { log, lines } = recording();
    log.info('x', { user: 'root\n<0>forged\r\u001b[2J\u009b\u202e\0' });
    expect(lines).toHaveLength(1);
    // biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what is looked for
    expect(lines[0]?.slice(0, -1)).not.toMatch(/[\u0000-\u001f\u007f-\u009f\u202e]/);
  });

  test('a long value is cut, and so is a line of many', () => {
    const { log, lines } = recording();
    log.info('x', { user: 'u'.repeat(100_000) });
    expect(lines[0]?.length).toBeLessThan(logFieldMax + 20);
    log.info('y', Object.fromEntries(Array.from({ length: 100 }, (_, index) => [`field${index}`, 'u'.repeat(100)])));
    expect(lines[1]?.length).toBeLessThan(logLineMax + 20);
  });

  test('expensive fields are computed only for lines that are written', () => {
    const { log, lines } = recording({ level: 'info' });
    let gathered = 0;
    const fields = () => ({ count: ++gathered });
    log.debug('below the level', fields);
    for (let line = 0; line < logBurst + 5; line++) log.info('x', fields);
    expect(gathered).toBe(logBurst);
    expect(lines).toHaveLength(logBurst);
    expect(lines[0]).toContain(' count=1');
  });

  test('a reader that is gone costs lines, not the daemon', () => {
    const { log } = recording({
      write: () => {
        throw Object.assign(new Error('EAGAIN'), { code: 'EAGAIN' });
      },
    });
    log.info('x');
    log.info('x');
    expect([log.linesLost, log.linesSuppressed]).toEqual([2, 0]);
  });
});

describe('JSON', () => {
  const hostile = [
    '","level":"error","msg":"forged',
    'root\n{"time":"2025-11-21T01:15:28.000Z"}',
    '\\" \\\\ } ]',
    '\u001b[2J\u009b\u202e\u2066\u200b\ufeff\u0085\u061c\0',
    '\u{e0041}\u{1f600}',
    '',
  ];

  test('one object a line: time, level, msg, then the fields with their types', () => {
    const { log, lines } = recording({ format: 'json', journal: false });
    log.info('banned', { jail: 'sshd', count: 3, held: true, none: undefined });
    expect(lines).toEqual([
      '{"time":"2025-11-21T01:15:28.000Z","level":"info","msg":"banned","jail":"sshd","count":3,"held":true}\n',
    ]);
  });

  test('a value comes back as it was, and acts on no terminal', () => {
    const { log, lines } = recording({ format: 'json', journal: false });
    for (const value of hostile) log.info('x', { value, behind: 1 });
    expect(lines.map((line) => JSON.parse(line).value)).toEqual(hostile);
    for (const line of lines) {
      expect(Object.keys(JSON.parse(line))).toEqual(['time', 'level', 'msg', 'value', 'behind']);
      // biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what is looked for
      expect(line.slice(0, -1)).not.toMatch(/[\u0000-\u001f\u007f-\u009f\u061c\u200b-\u202e\u2066\ufeff]|\udb40/);
    }
  });

  test('a field with a name of the head gets another name', () => {
    const { log, lines } = recording({ format: 'json', journal: false });
    log.warn('x', { level: 'error', time: 7, msg: 'y' });
    expect(JSON.parse(lines[0]!)).toEqual({
      time: '2025-11-21T01:15:28.000Z',
      level: 'warn',
      msg: 'x',
      level_: 'error',
      time_: 7,
      msg_: 'y',
    });
  });

  test('long values and many fields are cut, and the line is an object still', () => {
    const { log, lines } = recording({ format: 'json', journal: false });
    log.info('x', { user: 'u'.repeat(100_000), jail: 'sshd' });
    expect(JSON.parse(lines[0]!)).toMatchObject({ user: `${'u'.repeat(logFieldMax)}…`, jail: 'sshd' });
    log.info('y', { user: '\u0001'.repeat(100_000), astral: '\u{1f600}'.repeat(100_000) });
    expect(JSON.parse(lines[1]!)).toMatchObject({ user: `${'\u0001'.repeat(logFieldMax / 2)}…` });
    log.info('z', Object.fromEntries(Array.from({ length: 100 }, (_, index) => [`field${index}`, 'u'.repeat(100)])));
    expect(Object.keys(JSON.parse(lines[2]!)).length).toBeGreaterThan(8);
    for (const line of lines) expect(line.length).toBeLessThan(logLineMax + 80);
  });

  test('budget and journal as in text', () => {
    const { log, lines, clock } = recording({ format: 'json' });
    for (let count = 0; count < logBurst + 5; count++) log.error('again');
    clock.now += logRefillMs;
    log.error('again');
    expect(lines).toHaveLength(logBurst + 1);
    expect(lines[0]).toMatch(/^<3>\{/);
    expect(JSON.parse(lines.at(-1)!.slice(3)).suppressed).toBe(5);
  });
});

describe('budgets', () => {
  test('a text that repeats is held back and the count is said with its next line', () => {
    const { log, lines, clock } = recording();
    for (let count = 0; count < logBurst + 5; count++) log.info('again');
    expect(lines).toHaveLength(logBurst);
    clock.now += logRefillMs;
    log.info('again', { uid: 1 });
    expect(lines.at(-1)).toBe('<6>again uid=1 suppressed=5\n');
    expect(log.linesSuppressed).toBe(5);
  });

  test('one flood does not silence another text', () => {
    const { log, lines } = recording();
    for (let count = 0; count < 10_000; count++) log.info('flood');
    log.error('the one that matters');
    expect(lines.at(-1)).toBe('<3>the one that matters\n');
  });

  test('flush writes what was held back, once', () => {
    const { log, lines } = recording();
    for (let count = 0; count < logBurst + 3; count++) log.warn('again');
    log.flush();
    log.flush();
    expect(lines.slice(logBurst)).toEqual(['<4>again suppressed=3\n']);
  });

  test('more texts than it remembers: the oldest gives way and its count is said', () => {
    const { log, lines } = recording();
    for (let count = 0; count < logBurst + 2; count++) log.info('oldest');
    for (let index = 0; index < logKeysMax; index++) log.info(`text ${index}`);
    expect(lines).toContain('<6>oldest suppressed=2\n');
  });

  test('a clock that goes back does not silence anything for longer than a budget', () => {
    const { log, lines, clock } = recording();
    for (let count = 0; count < logBurst; count++) log.info('again');
    clock.now -= 3_600_000;
    log.info('again');
    clock.now += logRefillMs;
    log.info('again');
    expect(lines).toHaveLength(logBurst + 1);
  });
});

test('stderr is the journal where systemd says so and it is no terminal', () => {
  expect(stderrIsJournal({ JOURNAL_STREAM: '8:1234' }, false)).toBe(true);
  expect(stderrIsJournal({ JOURNAL_STREAM: '8:1234' }, true)).toBe(false);
  expect(stderrIsJournal({}, false)).toBe(false);
});

test('a record is never held back', () => {
  const { log, lines } = recording({ level: 'info' });
  const addresses = Array.from({ length: 60 }, (_, index) => `192.0.2.${index}`).join(' ');
  for (let count = 0; count < 3 * logBurst; count++) log.record('banned', { jail: 'sshd', addresses });
  expect(lines).toHaveLength(3 * logBurst);
  expect(lines[0]).toBe(`<6>banned jail=sshd addresses="${addresses}"\n`);
});

test('the level can be changed', () => {
  const { log, lines } = recording({ level: 'warn' });
  log.setLevel('debug');
  log.debug('x');
  log.setLevel('error');
  log.warn('x');
  expect(lines).toEqual(['<7>x\n']);
});

describe('standard error whose reader has stopped', () => {
  const program = join(import.meta.dirname, '../support/log-much.ts');
  const lines = 20_000;
  let directory: ReturnType<typeof temporaryDirectory>;

  beforeEach(() => {
    directory = temporaryDirectory();
  });

  afterEach(() => directory.remove());

  /** How many lines a process loses that writes `lines` lines to a `stderr` that nobody reads. */
  async function lostTo(stderr: 'pipe' | number): Promise<number> {
    const child = spawn(process.execPath, [program, String(lines)], { stdio: ['ignore', 'pipe', stderr] });
    let out = '';
    child.stdout!.on('data', (chunk) => {
      out += chunk;
    });
    await once(child, 'exit');
    return Number(out);
  }

  test('a socket costs lines, not the daemon', async () => {
    // What Node calls a pipe is a socket.
    expect(await lostTo('pipe')).toBeGreaterThan(1_000);
  });

  test('a pipe costs lines, not the daemon, and stays as it is for others', async () => {
    const path = join(directory.path, 'pipe');
    execFileSync('mkfifo', [path]);
    const fd = openSync(path, constants.O_RDWR);
    expect(await lostTo(fd)).toBeGreaterThan(1_000);
    const [, flags = ''] = /^flags:\s*([0-7]+)$/m.exec(readFileSync(`/proc/self/fdinfo/${fd}`, 'latin1')) ?? [];
    expect(Number.parseInt(flags, 8) & constants.O_NONBLOCK).toBe(0);
    closeSync(fd);
  });

  test('a file takes every line, behind what others write', async () => {
    const path = join(directory.path, 'file');
    const fd = openSync(path, 'w');
    writeSync(fd, 'before\n');
    expect(await lostTo(fd)).toBe(0);
    writeSync(fd, 'after\n');
    closeSync(fd);
    const written = readFileSync(path, 'latin1').split('\n');
    expect([written.length, written[0], written.at(-2)]).toEqual([lines + 3, 'before', 'after']);
  });

  test('a terminal costs lines, not the daemon', async () => {
    // `script` holds the terminal. It stops reading it once its own output is full, a pipe that
    // nobody reads.
    const path = join(directory.path, 'pipe');
    const answer = join(directory.path, 'lost');
    execFileSync('mkfifo', [path]);
    const fd = openSync(path, constants.O_RDWR);
    const command = `${process.execPath} ${program} ${lines} ${answer}`;
    const child = spawn('script', ['-q', '-c', command, '/dev/null'], { stdio: ['ignore', fd, 'ignore'] });
    await until(() => existsSync(answer), { what: 'the end of the process that logs', withinMs: 20_000 });
    child.kill('SIGKILL');
    expect(Number(readFileSync(answer, 'latin1'))).toBeGreaterThan(1_000);
    closeSync(fd);
  });
});
