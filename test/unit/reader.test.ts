/**
 * In which order files are read, and when an old one is given up: the reader alone, over real files
 * and with the clock of the test.
 */
import { appendFileSync, mkdtempSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setImmediate as turn } from 'node:timers/promises';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import {
  behindBytes,
  decisionsWaitingMax,
  giveUpBytesMax,
  inputBytes,
  lingerMs,
  retiredTailsMax,
  turnBytesMax,
} from '../../src/limits.ts';
import type { FileCounters, FileSourceOptions } from '../../src/sources/file.ts';
import type { Followed, Shared } from '../../src/sources/followed.ts';
import { Reader } from '../../src/sources/reader.ts';
import type { Silence } from '../../src/sources/silence.ts';
import { Tail } from '../../src/sources/tail.ts';
import { CollectingSink } from '../support/collecting-sink.ts';

let home: string;
const opened: Tail[] = [];
beforeEach(() => {
  home = mkdtempSync(join(tmpdir(), 'reader-'));
});
afterEach(() => {
  for (const tail of opened.splice(0)) tail.close();
  rmSync(home, { recursive: true, force: true });
});

async function settle(): Promise<void> {
  for (let turns = 0; turns < 10; turns++) await turn();
}

/** A reader, what it reports, and files to follow. */
function reading(options: Partial<FileSourceOptions> = {}) {
  const sink = new CollectingSink();
  const clock = { ms: 0 };
  const counters: FileCounters = { bytes: 0, wakes: 0, rotations: 0, truncations: 0, errors: 0 };
  const reports: string[] = [];
  const closed: Tail[] = [];
  const failures: string[] = [];
  const heard: [string, number][] = [];
  const silence = { heard: (path: string, lines: number) => heard.push([path, lines]) } as unknown as Silence;
  const shared = {
    options: {
      sink,
      now: () => 1_700_000_000,
      monotonic: () => clock.ms,
      drain: () => sink.drain(),
      lines: () => sink.lines.length,
      ...options,
    },
    counters,
    report: (kind: string, path: string, _source: number, offset: number, detail: string) =>
      reports.push(`${kind} ${path.slice(home.length + 1)} ${offset} ${detail}`.trim()),
  } as unknown as Shared;
  const close = (file: Followed, tail: Tail): void => {
    closed.push(tail);
    if (tail === file.tail) file.tail = null;
    if (tail === file.fed) file.fed = null;
    file.retired = file.retired.filter((old) => old.tail !== tail);
  };
  const reader = new Reader(shared, silence, close, (_file, error) => failures.push(error.message));
  let source = 0;
  const open = (name: string, text: string): Tail => {
    writeFileSync(join(home, name), text);
    const tail = Tail.open(join(home, name));
    opened.push(tail);
    return tail;
  };
  const follow = (name: string, text = ''): Followed => ({
    path: join(home, name),
    source: source++,
    patterns: [0],
    tail: open(name, text),
    fed: null,
    retired: [],
    same: null,
    aliases: [],
    realPath: '',
    queued: false,
    decided: 0,
    behind: false,
    failure: '',
    retryAt: 0,
    retry: null,
  });
  const append = (name: string, text: string): void => appendFileSync(join(home, name), text);
  return { reader, sink, clock, counters, reports, closed, failures, heard, open, follow, append };
}

describe('a file that is queued', () => {
  test('is read once more for each time, and its lines are told to what notices silence', async () => {
    const { reader, sink, follow, append, heard, counters } = reading();
    const file = follow('a', 'one\ntwo\nthree');
    reader.enqueue(file);
    reader.enqueue(file);
    await settle();
    expect(sink.texts()).toEqual(['one', 'two']);
    expect(heard).toEqual([[file.path, 2]]);
    expect(counters.bytes).toBe(13);
    expect(file.queued).toBe(false);
    append('a', '\n');
    // A write is read with the next turn, however that comes.
    reader.written(file, file.tail!);
    await settle();
    expect([sink.texts().length, file.tail!.atEnd]).toEqual([2, false]);
    reader.takeTurn();
    expect(sink.texts()).toEqual(['one', 'two', 'three']);
  });

  test('is not read while reading is paused, nor after the end, and is afterwards', async () => {
    const { reader, sink, follow, append } = reading();
    const file = follow('a', 'one\n');
    reader.pause();
    reader.enqueue(file);
    reader.takeTurn();
    await settle();
    expect(sink.texts()).toEqual([]);
    reader.unpause();
    await settle();
    expect(sink.texts()).toEqual(['one']);
    append('a', 'two\n');
    reader.stop();
    reader.enqueue(file);
    reader.takeTurn();
    await settle();
    expect(sink.texts()).toEqual(['one']);
  });

  test('gets one buffer a turn, as the others do, and the event loop goes on after a bounded number of bytes', () => {
    const { reader, sink, follow, counters } = reading();
    const line = `${'x'.repeat(99)}\n`;
    const loud = follow('loud', line.repeat((turnBytesMax + 4 * inputBytes) / 100));
    const quiet = follow('quiet', 'hello\n');
    reader.enqueue(loud);
    reader.enqueue(quiet);
    reader.takeTurn();
    expect(sink.texts(quiet.source)).toEqual(['hello']);
    const before = sink.texts().indexOf('hello') * 100;
    expect(before).toBeGreaterThan(0);
    expect(before).toBeLessThanOrEqual(inputBytes);
    expect(counters.bytes).toBeGreaterThanOrEqual(turnBytesMax);
    expect(counters.bytes).toBeLessThan(turnBytesMax + 2 * inputBytes);
    expect([loud.queued, quiet.queued]).toEqual([true, false]);
  });

  test('that brings many decisions waits for the kernel, and reads on when it has accepted them', async () => {
    let waiting = 0;
    const { reader, sink, follow } = reading({ waiting: () => waiting });
    const file = follow('a', 'one\n');
    file.decided = 1_000;
    waiting = decisionsWaitingMax + 1;
    reader.enqueue(file);
    reader.takeTurn();
    expect([sink.texts().length, file.queued]).toEqual([0, true]);
    reader.wake();
    await settle();
    expect(sink.texts()).toEqual([]);
    waiting = decisionsWaitingMax;
    reader.wake();
    await settle();
    expect(sink.texts()).toEqual(['one']);
    expect(file.decided).toBe(0);
  });

  test('that brought no decision does not wait', () => {
    const { reader, sink, follow } = reading({ waiting: () => 1_000_000 });
    const file = follow('a', 'one\n');
    reader.enqueue(file);
    reader.takeTurn();
    expect(sink.texts()).toEqual(['one']);
  });

  test('that was cut is said and counted', () => {
    const { reader, sink, follow, reports, counters } = reading();
    const file = follow('a', 'one\ntwo\n');
    reader.enqueue(file);
    reader.takeTurn();
    writeFileSync(file.path, 'new\n');
    reader.enqueue(file);
    reader.takeTurn();
    expect(sink.texts()).toEqual(['one', 'two', 'new']);
    expect([counters.truncations, reports]).toEqual([1, ['truncated a 0']]);
  });

  test('that cannot be read is closed and said, and the others are read', () => {
    const { reader, sink, follow, failures, closed } = reading();
    const [bad, good] = [follow('bad', 'x\n'), follow('good', 'one\n')];
    const { tail } = bad;
    tail!.read = () => {
      throw new Error('EIO');
    };
    for (const file of [bad, good]) reader.enqueue(file);
    reader.takeTurn();
    expect([failures, closed, bad.tail]).toEqual([['EIO'], [tail], null]);
    expect(sink.texts()).toEqual(['one']);
  });
});

describe('a backlog', () => {
  test('is said once, and its end too', () => {
    const { reader, follow, reports } = reading();
    const file = follow('a', 'one\n');
    reader.pause();
    const sizes: [bytes: number, said: string[]][] = [
      [behindBytes, []],
      [behindBytes + 1, [`behind a 0 ${behindBytes + 1} bytes unread`]],
      [behindBytes + 9, []],
      [behindBytes, [`caught-up a 0 ${behindBytes} bytes unread`]],
    ];
    for (const [bytes, said] of sizes) {
      truncateSync(file.path, bytes);
      reader.visit(file, 0);
      expect(reports.splice(0)).toEqual(said);
    }
    file.tail = null;
    reader.visit(file, 0);
    expect(reports).toEqual([]);
  });
});

describe('an old file', () => {
  test('is read before the new one, then a while for late writers, and its last line is fed at its end', async () => {
    const { reader, sink, clock, follow, append, open, closed, reports } = reading();
    const file = follow('old', 'one\ntwo');
    const old = file.tail!;
    reader.retire(file);
    expect(file.tail).toBe(null);
    file.tail = open('new', 'first\n');
    await settle();
    expect(sink.texts()).toEqual(['one', 'first']);
    append('old', ' and a half\nlate\nunfinished');
    clock.ms = lingerMs - 1;
    reader.visit(file, clock.ms);
    await settle();
    expect(sink.texts()).toEqual(['one', 'first', 'two and a half', 'late']);
    expect(closed).toEqual([]);
    clock.ms = lingerMs;
    reader.visit(file, clock.ms);
    expect(closed).toEqual([old]);
    expect(sink.texts().at(-1)).toBe('unfinished');
    expect([file.retired, reports]).toEqual([[], []]);
  });

  test('is not given up while reading is paused', async () => {
    const { reader, clock, follow, closed } = reading();
    const file = follow('old', 'one\n');
    reader.retire(file);
    await settle();
    clock.ms = 2 * lingerMs;
    reader.pause();
    reader.visit(file, clock.ms);
    expect(closed).toEqual([]);
    reader.unpause();
    await settle();
    reader.visit(file, clock.ms);
    expect(closed).toHaveLength(1);
  });

  test('of very many is read and closed, the oldest first', async () => {
    const { reader, sink, follow, open, closed } = reading();
    const file = follow('0', 'line 0\n');
    const olds: Tail[] = [];
    for (let n = 1; n <= retiredTailsMax + 2; n++) {
      olds.push(file.tail!);
      reader.retire(file);
      file.tail = open(String(n), `line ${n}\n`);
    }
    expect(closed).toEqual(olds.slice(0, 2));
    expect(file.retired.map(({ tail }) => tail)).toEqual(olds.slice(2));
    expect(sink.texts()).toEqual(['line 0', 'line 1']);
    await settle();
    expect(sink.texts()).toEqual(Array.from({ length: retiredTailsMax + 3 }, (_, n) => `line ${n}`));
    // While reading is paused none is closed; later the others are.
    reader.pause();
    olds.push(file.tail!);
    reader.retire(file);
    file.tail = open('new', '');
    expect(closed).toHaveLength(2);
    reader.unpause();
    reader.visit(file, 0);
    expect(closed).toEqual(olds.slice(0, 3));
  });

  test('that does not end is given up with what is unread, which is said', () => {
    const { reader, follow, closed, reports, open, counters } = reading();
    const file = follow('0', '');
    const line = `${'x'.repeat(99)}\n`;
    writeFileSync(file.path, line.repeat((giveUpBytesMax + 4 * inputBytes) / 100));
    for (let n = 1; n <= retiredTailsMax + 1; n++) {
      reader.retire(file);
      file.tail = open(String(n), '');
    }
    expect(closed).toHaveLength(1);
    expect(counters.bytes).toBeGreaterThanOrEqual(giveUpBytesMax);
    expect(counters.bytes).toBeLessThan(giveUpBytesMax + 2 * inputBytes);
    expect(reports).toHaveLength(1);
    expect(reports[0]).toMatch(/^error 0 \d+ given up with \d+ bytes unread$/);
  });

  test('that cannot be read at its end is said, and closed', () => {
    const { reader, clock, follow, closed, reports } = reading();
    const file = follow('old', 'one\n');
    const { tail } = file;
    reader.retire(file);
    reader.takeTurn();
    clock.ms = lingerMs;
    tail!.read = () => {
      throw new Error('EIO');
    };
    reader.visit(file, clock.ms);
    expect([closed, reports]).toEqual([[tail], ['error old 4 EIO']]);
  });
});

test('at a stop, what is written by now is read, also in old files that were read to their end', () => {
  const { reader, sink, clock, follow, append, open } = reading();
  const file = follow('old', 'one\n');
  reader.retire(file);
  file.tail = open('new', 'first\n');
  const other = follow('other', 'hello\n');
  reader.drain([file, other], clock.ms + 1);
  expect(sink.texts().sort()).toEqual(['first', 'hello', 'one']);
  append('old', 'late\n');
  reader.drain([file, other], clock.ms + 1);
  expect(sink.texts().at(-1)).toBe('late');
  append('new', 'too late\n');
  reader.drain([file], clock.ms);
  expect(sink.texts().at(-1)).toBe('late');
});
