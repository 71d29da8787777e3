/**
 * In which order files are read, and when an old one is given up: the reader alone, over real files
 * and with the clock of the test.
 */
import {
  appendFileSync,
  closeSync,
  mkdtempSync,
  openSync,
  readlinkSync,
  renameSync,
  rmSync,
  statSync,
  truncateSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setImmediate as turn } from 'node:timers/promises';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { openDescriptors } from '../../scripts/lab/descriptors.ts';
import {
  behindBytes,
  decisionsWaitingMax,
  fingerprintBytesMax,
  giveUpBytesMax,
  inputBytes,
  lineBytesMax,
  lingerMs,
  retiredTailsMax,
  turnBytesMax,
} from '../../src/limits.ts';
import { type Native, native } from '../../src/native.ts';
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

describe('what the reader is told', () => {
  test('files behind one that fills the turn keep their place', async () => {
    const { reader, sink, follow } = reading();
    const line = `${'x'.repeat(99)}\n`;
    const quiet = follow('quiet', 'hello\n');
    const loud = follow('loud', line.repeat((3 * turnBytesMax) / 100));
    reader.enqueue(quiet);
    reader.enqueue(loud);
    reader.takeTurn();
    expect([quiet.queued, loud.queued]).toEqual([false, true]);
    for (let turns = 0; turns < 10; turns++) await settle();
    expect(sink.texts(loud.source)).toHaveLength(Math.floor((3 * turnBytesMax) / 100));
    expect(loud.queued).toBe(false);
  });

  test('a file that brought decisions is read where nobody counts those that wait', () => {
    const { reader, sink, follow } = reading();
    const file = follow('a', 'one\n');
    file.decided = 1_000;
    reader.enqueue(file);
    reader.takeTurn();
    expect([sink.texts(), file.decided]).toEqual([['one'], 0]);
  });

  test('the lines of each read are told, and a read without any is not', () => {
    const { reader, follow, append, heard } = reading();
    const file = follow('a', 'one\ntwo\n');
    for (const text of ['', 'three\n', 'unfinished']) {
      append('a', text);
      reader.enqueue(file);
      reader.takeTurn();
    }
    expect(heard).toEqual([
      [file.path, 2],
      [file.path, 1],
    ]);
  });

  test('a file without a file has nothing to retire', () => {
    const { reader, follow } = reading();
    const file = follow('a', '');
    file.tail = null;
    reader.retire(file);
    expect([file.retired, file.queued]).toEqual([[], false]);
  });

  test('a file that another record takes over ends its cut line here', async () => {
    const { reader, sink, follow } = reading();
    const [file, other] = [follow('a', 'z'.repeat(2 * inputBytes)), follow('b', '')];
    reader.enqueue(file);
    await settle();
    const { tail } = file;
    expect([file.fed, sink.lines.length]).toEqual([tail, 1]);
    const { feeds } = sink;
    file.tail = null;
    reader.leave(file, tail!);
    expect([file.fed, sink.feeds]).toEqual([null, feeds + 1]);
    await settle();
    // The rest of the line is none, whoever reads it.
    other.tail = tail;
    appendFileSync(file.path, 'rest\nnext\n');
    reader.enqueue(other);
    await settle();
    expect(sink.texts(other.source)).toEqual(['next']);
    reader.leave(other, file.tail ?? opened[1]!);
    expect(other.fed).toBe(tail);
  });

  test('a file that could not be read is not tried at once again', () => {
    const { reader, follow, failures } = reading();
    const bad = follow('bad', 'x\n');
    bad.tail!.read = () => {
      throw new Error('EIO');
    };
    reader.enqueue(bad);
    reader.takeTurn();
    reader.takeTurn();
    expect([failures, bad.queued]).toEqual([['EIO'], false]);
  });

  test('an old file is read to its bound, however much is written to it', () => {
    for (const [more, closes] of [
      [0, 1],
      [1, 0],
    ] as const) {
      const { reader, follow, closed } = reading();
      const file = follow(`old${more}`, 'one\ntwo\n');
      const { tail } = file;
      reader.enqueue(file);
      reader.takeTurn();
      file.tail = null;
      file.retired = [{ tail: tail!, until: lingerMs, bytesMax: tail!.bytesRead + more }];
      reader.visit(file, 0);
      expect(closed).toHaveLength(closes);
    }
  });
});

describe('a backlog', () => {
  test('is what stands behind the place that was read', () => {
    const { reader, follow, reports } = reading();
    const file = follow('a', 'one\n');
    reader.enqueue(file);
    reader.takeTurn();
    reader.pause();
    truncateSync(file.path, behindBytes + 4);
    reader.visit(file, 0);
    expect(reports).toEqual([]);
    truncateSync(file.path, behindBytes + 5);
    reader.visit(file, 0);
    expect(reports).toEqual([`behind a 4 ${behindBytes + 1} bytes unread`]);
  });

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

describe('one open file', () => {
  /** Opens a file of this text; what it gives to a sink. */
  function tailOf(text: string, name = 'log') {
    const path = join(home, name);
    writeFileSync(path, text);
    return { path, ...opening(path) };
  }
  function opening(path: string) {
    const tail = Tail.open(path);
    opened.push(tail);
    const sink = new CollectingSink();
    const read = (final = false): string => {
      // What an earlier read left in the buffer means nothing.
      sink.buffer.fill(10);
      return tail.read(sink, 7, 1_700_000_000, final);
    };
    /** Reads to the end; the lines that came. */
    const lines = (): string[] => {
      const before = sink.lines.length;
      for (let reads = 0; read() !== 'end'; reads++) if (reads > 99) throw new Error('there is no end');
      return sink.texts(7).slice(before);
    };
    return { tail, sink, read, lines };
  }
  const write = (path: string, text: string, place: number): void => {
    const descriptor = openSync(path, 'r+');
    writeSync(descriptor, text, place);
    closeSync(descriptor);
  };

  test('is known by its inode, and leads to it wherever it goes', () => {
    const { tail, path, read } = tailOf('one\ntwo\n');
    const { dev, ino, size } = statSync(path);
    expect([tail.id, tail.size(), readlinkSync(tail.link)]).toEqual([`${dev}:${ino}`, size, path]);
    renameSync(path, `${path}.1`);
    expect(readlinkSync(tail.link)).toBe(`${path}.1`);
    expect([tail.position, tail.atEnd, tail.bytesRead, tail.fingerprint().length]).toEqual([0, false, 0, 0]);
    expect(read()).toBe('end');
    expect([tail.position, tail.atEnd, tail.bytesRead, tail.fingerprint().length]).toEqual([8, true, 8, 8]);
    // What is read again to compare it does not count.
    expect([read(), tail.bytesRead]).toEqual(['end', 8]);
  });

  test('is closed with its watch', () => {
    const path = join(home, 'log');
    writeFileSync(path, '');
    const before = openDescriptors().size;
    const tail = Tail.open(path);
    let closes = 0;
    tail.watch = { close: () => closes++ };
    tail.close();
    expect([closes, openDescriptors().size]).toEqual([1, before]);
    expect(() => tail.size()).toThrow('EBADF');
  });

  test.each<[string, string, number, string[]]>([
    ['nothing', '', 0, ['tail', 'next']],
    ['a whole line', 'a\n', 2, ['tail', 'next']],
    ['a line that is not whole', 'a\nb', 2, ['btail', 'next']],
    ['nothing but a line that is not whole', 'abc', 0, ['abctail', 'next']],
    ['the longest line that is not whole', 'x'.repeat(lineBytesMax), 0, ['x'.repeat(lineBytesMax), 'next']],
    ['one that is longer', 'x'.repeat(lineBytesMax + 1), lineBytesMax + 1, ['next']],
    [
      'a line feed as far back as anybody looks',
      `\n${'x'.repeat(lineBytesMax - 1)}`,
      1,
      [`${'x'.repeat(lineBytesMax - 1)}t`, 'next'],
    ],
    ['and one that is farther', `\n${'x'.repeat(lineBytesMax)}`, lineBytesMax + 1, ['next']],
    [
      'one as far back in a longer file',
      `y\n${'x'.repeat(lineBytesMax - 1)}`,
      2,
      [`${'x'.repeat(lineBytesMax - 1)}t`, 'next'],
    ],
    [
      'a line that is not whole in a longer file',
      `${'x'.repeat(lineBytesMax)}\nb`,
      lineBytesMax + 1,
      ['btail', 'next'],
    ],
  ])('begins at its end behind %s', (_, text, position, expected) => {
    const { tail, path, sink, lines } = tailOf(text);
    sink.buffer.fill(10);
    tail.seekEnd(sink.buffer);
    expect(tail.position).toBe(position);
    expect(tail.fingerprint().length > 0).toBe(position > 0);
    appendFileSync(path, 'tail\nnext\n');
    expect(lines()).toEqual(expected);
  });

  test('goes on where it stood if the bytes before are the same, and nowhere else', () => {
    const text = 'one\ntwo\nthree\n';
    const { tail, path, lines } = tailOf(text);
    lines();
    const [offset, mark] = [tail.position, tail.fingerprint()];
    const from = (place: number, at = mark): [boolean, number, string[]] => {
      const other = opening(path);
      const isThere = other.tail.seekTo(place, at);
      return [isThere, other.tail.position, other.lines()];
    };
    const all = ['one', 'two', 'three'];
    expect(from(offset)).toEqual([true, offset, []]);
    expect(from(offset, { ...mark, hash: mark.hash + 1 })).toEqual([false, 0, all]);
    expect(from(offset + 1)).toEqual([false, 0, all]);
    expect(from(offset - 1, { ...mark, length: 4 })).toEqual([false, 0, all]);
    const anything = { hash: 1, length: 0 };
    expect(from(0, anything)).toEqual([true, 0, all]);
    expect(from(4, anything)).toEqual([true, 4, ['two', 'three']]);
    expect(from(offset + 1, anything)).toEqual([false, 0, all]);
    // The rest of a line is none.
    expect(from(5, anything)).toEqual([true, 5, ['three']]);
    appendFileSync(path, 'four\n');
    expect(from(offset)).toEqual([true, offset, ['four']]);
  });

  test('is known by the last bytes, more of them than a short line has, up to a bound', () => {
    const { tail, path, lines } = tailOf('one\ntwo\n');
    lines();
    appendFileSync(path, 'a\n');
    expect(lines()).toEqual(['a']);
    // Half of what was read: two bytes of the line, and three before it.
    const mark = tail.fingerprint();
    expect(mark.length).toBe(5);
    const isKnown = (): boolean => opening(path).tail.seekTo(10, mark);
    expect(isKnown()).toBe(true);
    write(path, 'X', 4);
    expect(isKnown()).toBe(true);
    write(path, 'X', 5);
    expect(isKnown()).toBe(false);
    const long = tailOf(`${'y'.repeat(3 * fingerprintBytesMax)}\n`, 'long');
    long.lines();
    expect(long.tail.fingerprint().length).toBe(fingerprintBytesMax);
    appendFileSync(long.path, 'short\n');
    long.lines();
    expect(long.tail.fingerprint().length).toBe(fingerprintBytesMax);
  });

  test('that was cut is read from where it is still the same', () => {
    const { tail, path, read, lines } = tailOf('one\ntw');
    expect(lines()).toEqual(['one']);
    // Only what was not fed yet is gone.
    truncateSync(path, 4);
    expect([read(), tail.position, read()]).toEqual(['cut', 4, 'end']);
    appendFileSync(path, 'two\n');
    expect(lines()).toEqual(['two']);
    truncateSync(path, 0);
    expect([read(), tail.position]).toEqual(['cut', 0]);
    expect([read(), read()]).toEqual(['end', 'end']);
    // The same text again is not read again, and what follows it is.
    appendFileSync(path, 'one\ntwo\nthree\n');
    expect([lines(), tail.position]).toEqual([['three'], 14]);
    writeFileSync(path, 'else\n');
    expect([lines(), tail.position]).toEqual([['else'], 5]);
  });

  test('whose last line is not whole waits, and notices that it was written anew meanwhile', () => {
    const { tail, path, read, sink } = tailOf('one\ntwo');
    expect([read(), read(), tail.position, sink.feeds]).toEqual(['end', 'end', 4, 1]);
    write(path, 'X', 5);
    expect([read(), tail.position]).toEqual(['cut', 4]);
    expect([read(), sink.lines.length]).toEqual(['end', 1]);
    truncateSync(path, 6);
    expect([read(), tail.position]).toEqual(['cut', 4]);
    appendFileSync(path, 'o\nthree\n');
    expect([read(), sink.texts(7)]).toEqual(['end', ['one', 'tXo', 'three']]);
  });

  test('whose last line is not whole is fed when it is longer than a line may be, and passed over from there', () => {
    const { path, read, sink } = tailOf('x'.repeat(lineBytesMax));
    expect([read(), sink.feeds]).toEqual(['end', 0]);
    appendFileSync(path, 'y');
    expect([read(), sink.texts(7)]).toEqual(['end', ['x'.repeat(lineBytesMax)]]);
    appendFileSync(path, 'the rest');
    read();
    appendFileSync(path, '\nnext\n');
    read();
    expect(sink.texts(7).slice(1)).toEqual(['next']);
    const second = tailOf('x'.repeat(lineBytesMax + 1), 'second');
    expect([second.read(), second.sink.lines.length]).toEqual(['end', 1]);
  });

  test('whose rest of a line is passed over goes on doing so until the line ends', () => {
    const { tail, path, sink, read } = tailOf('x'.repeat(lineBytesMax + 1));
    tail.seekEnd(sink.buffer);
    for (const text of ['a', 'bc']) {
      appendFileSync(path, text);
      expect([read(), read()]).toEqual(['more', 'end']);
    }
    appendFileSync(path, 'd\n');
    expect([read(), read()]).toEqual(['more', 'end']);
    appendFileSync(path, 'next\n');
    expect([read(), sink.texts(7)]).toEqual(['end', ['next']]);
  });

  test('says that there is more while the sink takes one line after the other', () => {
    const path = join(home, 'log');
    writeFileSync(path, 'one\ntwo\nthree\nfour');
    const tail = Tail.open(path);
    opened.push(tail);
    const sink = new CollectingSink(inputBytes, 1);
    const read = (): string => {
      sink.drain();
      return tail.read(sink, 7, 0, false);
    };
    expect([read(), read(), read(), read()]).toEqual(['more', 'more', 'end', 'end']);
    expect([sink.texts(7), tail.position]).toEqual([['one', 'two', 'three'], 14]);
  });

  test('in the place of another goes on behind what was read there, unless it is read already', () => {
    const old = tailOf('one\ntwo\nthree\n', 'old');
    old.lines();
    const copy = tailOf('one\ntwo\nthree\nfour\n', 'copy');
    copy.tail.replaces([old.tail]);
    expect(copy.lines()).toEqual(['four']);
    const second = tailOf('one\ntwo\nthree\nfour\n', 'second');
    second.tail.replaces([tailOf('', 'none').tail, old.tail]);
    expect(second.lines()).toEqual(['four']);
    const late = tailOf('', 'late');
    late.tail.replaces([old.tail]);
    expect(late.read()).toBe('end');
    appendFileSync(late.path, 'one\ntwo\nthree\nfour\n');
    expect(late.lines()).toEqual(['four']);
    const known = tailOf('zero\n', 'known');
    known.lines();
    known.tail.replaces([old.tail]);
    appendFileSync(known.path, 'one\ntwo\nthree\nfour\n');
    expect(known.lines()).toEqual(['one', 'two', 'three', 'four']);
  });

  test('finds what was read there far from the end of what is there now, wherever the pieces it reads begin', () => {
    const text = (from: number, to: number): string =>
      Array.from({ length: to - from }, (_, index) => `${String(from + index).padStart(99, '.')}\n`).join('');
    const lineCount = Math.floor((3 * inputBytes) / 100);
    const old = tailOf(text(0, lineCount), 'old');
    old.lines();
    // The old text ends where a piece of the new file begins, or a little before or behind that.
    for (const odd of [-200, -100, 0, 100, 200]) {
      const gone = Math.floor(lineCount * 0.4);
      const kept = text(gone, lineCount);
      const size = kept.length + inputBytes + odd;
      const rows = Math.floor((size - kept.length) / 100);
      const copy = tailOf(kept + text(lineCount, lineCount + rows), 'copy');
      copy.tail.replaces([old.tail]);
      expect(copy.lines().length, `${odd}`).toBe(rows);
    }
  });

  test('feeds an unfinished last line when that is asked for, once', () => {
    const { tail, path, read, sink } = tailOf('one\ntwo');
    expect([read(), tail.position]).toEqual(['end', 4]);
    expect([read(true), tail.position, sink.texts(7)]).toEqual(['end', 7, ['one', 'two']]);
    expect([read(true), sink.lines.length]).toEqual(['end', 2]);
    appendFileSync(path, 'three\n');
    expect([read(), sink.texts(7).slice(2), sink.lines.at(-1)!.offset]).toEqual(['end', ['three'], 7]);
  });

  test.each<[string, string, string[]]>([
    ['is of the greatest length, begins a new one', 'x'.repeat(lineBytesMax), ['rest', 'next']],
    ['is longer, is its rest', 'x'.repeat(lineBytesMax + 1), ['next']],
    ['is longer and not the first, is its rest', `a\n${'x'.repeat(lineBytesMax + 1)}`, ['next']],
    ['is longer than the buffer, is its rest', 'x'.repeat(inputBytes + 10), ['next']],
  ])('what follows an unfinished last line that %s', (_, text, expected) => {
    const { path, read, lines } = tailOf(text);
    for (let reads = 0; read(true) !== 'end'; reads++) expect(reads).toBeLessThan(9);
    appendFileSync(path, 'rest\nnext\n');
    expect(lines()).toEqual(expected);
  });

  test('feeds an empty first line, and waits for the one behind it', () => {
    const { tail, path, read, lines } = tailOf('\nabc');
    expect([read(), tail.position]).toEqual(['end', 1]);
    appendFileSync(path, 'd\n');
    expect(lines()).toEqual(['abcd']);
  });

  test('ends a cut line for who reads on elsewhere, and passes over its rest later', () => {
    const long = 'z'.repeat(2 * inputBytes);
    for (const comesBack of [true, false]) {
      const { tail, path, sink, lines } = tailOf(long);
      expect(lines()).toEqual([long.slice(0, lineBytesMax)]);
      const { feeds } = sink;
      tail.leave(sink, 7, 0, comesBack);
      expect([sink.feeds, sink.buffer[0]]).toEqual([feeds + 1, 10]);
      tail.leave(sink, 7, 0, comesBack);
      expect(sink.feeds).toBe(feeds + 1);
      appendFileSync(path, 'rest\nnext\n');
      expect(lines()).toEqual(comesBack ? ['next'] : ['rest', 'next']);
    }
    const whole = tailOf('one\n');
    whole.lines();
    const { feeds } = whole.sink;
    whole.tail.leave(whole.sink, 7, 0, true);
    expect(whole.sink.feeds).toBe(feeds);
  });

  test('passes over holes, to the next byte that was written, and only at the start of a line', () => {
    const { tail, path, lines } = tailOf('one\n');
    lines();
    truncateSync(path, 2 ** 30);
    appendFileSync(path, 'two\n');
    expect(lines()).toEqual(['two']);
    expect(tail.position).toBe(2 ** 30 + 4);
    expect(tail.bytesRead).toBeLessThan(4 * inputBytes);
    appendFileSync(path, '\0\0\0three\n');
    appendFileSync(path, 'fo\0ur\n');
    expect(lines()).toEqual(['three', 'fo\0ur']);
    truncateSync(path, 2 ** 31);
    expect([lines(), tail.position]).toEqual([[], 2 ** 31]);
  });

  test('passes over the rest of a cut line though it begins with NULs', () => {
    for (const isCut of [true, false]) {
      const { tail, path, sink, lines } = tailOf('x'.repeat(2 * inputBytes));
      if (isCut) lines();
      else tail.seekEnd(sink.buffer);
      appendFileSync(path, '\0\0rest\nnext\n');
      expect(lines()).toEqual(['next']);
    }
    const { tail, path, sink, lines } = tailOf('x'.repeat(2 * inputBytes));
    tail.seekEnd(sink.buffer);
    appendFileSync(path, '\nnext\n');
    expect(lines()).toEqual(['next']);
  });

  test('goes on where a writer that does not append left a hole, and reads anew what is none', () => {
    const { tail, path, read, lines } = tailOf('one\ntwo\n');
    lines();
    const over = (...bytes: string[]): void => {
      truncateSync(path, 0);
      writeFileSync(path, bytes.join(''));
    };
    over('\0'.repeat(8), 'new\n');
    expect([read(), tail.position, read(), tail.position]).toEqual(['cut', 8, 'end', 12]);
    over('\0'.repeat(12), 'newer\n');
    expect([lines(), tail.position]).toEqual([['newer'], 18]);
    over('\0'.repeat(17), '\n', 'other\n');
    expect([read(), tail.position]).toEqual(['cut', 0]);
    expect(lines().at(-1)).toBe('other');
    over('\0'.repeat(4));
    expect([read(), tail.position]).toEqual(['cut', 0]);
  });

  test('where the system knows no holes, their bytes are read', () => {
    const { tail, path, lines } = tailOf('');
    truncateSync(path, 3 * inputBytes);
    appendFileSync(path, 'one\n');
    native.nextData = () => -22;
    try {
      expect(lines()).toEqual(['one']);
      expect(tail.bytesRead).toBeGreaterThanOrEqual(3 * inputBytes);
    } finally {
      delete (native as Partial<Native>).nextData;
    }
  });

  test('that the system cannot read is an error with its code', () => {
    const { read } = tailOf('one\n');
    native.readAround = () => -5;
    try {
      expect(() => read()).toThrow(expect.objectContaining({ code: 'EIO', message: 'EIO: i/o error, preadv' }));
    } finally {
      delete (native as Partial<Native>).readAround;
    }
  });
});
