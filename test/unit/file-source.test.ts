import { execFileSync } from 'node:child_process';
import {
  appendFileSync,
  chmodSync,
  closeSync,
  copyFileSync,
  existsSync,
  fstatSync,
  linkSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
  truncateSync,
  unlinkSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { gzipSync, zstdCompressSync } from 'node:zlib';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { openDescriptors } from '../../scripts/lab/descriptors.ts';
import {
  decisionsWaitingMax,
  decisionsWaitingOfAllMax,
  fingerprintBytesMax,
  inputBytes,
  lineBytesMax,
  lingerMs,
  turnBytesMax,
} from '../../src/limits.ts';
import { type Native, native } from '../../src/native.ts';
import { type FileEvent, FileSource, type FileSourceOptions } from '../../src/sources/file.ts';
import { type Events, type EventsOptions, IN_MODIFY } from '../../src/sources/inotify.ts';
import { PortableEvents } from '../../src/sources/portable-events.ts';
import { readWhole, withInput } from '../../src/sources/read-whole.ts';
import { Tail } from '../../src/sources/tail.ts';
import { CollectingSink } from '../support/collecting-sink.ts';
import { until } from '../support/until.ts';

let home: string;
const opened: FileSource[] = [];
/** Those of all sources that a test opened. */
const heard: FileEvent[] = [];

beforeEach(() => {
  home = mkdtempSync(join(tmpdir(), 'file-source-'));
});

afterEach(() => {
  for (const source of opened.splice(0)) source.stop();
  rmSync(home, { recursive: true, force: true });
  // Whatever a log holds, what is said of it quotes nothing (I-03).
  const said = /^(\d+ bytes unread|given up with \d+ bytes unread)?$/;
  const whole = ['appeared', 'rotated', 'truncated', 'vanished', 'behind', 'caught-up'];
  const quoting = heard.splice(0).filter(({ kind, detail }) => whole.includes(kind) && !said.test(detail));
  expect(quoting).toEqual([]);
});

interface Bench {
  source: FileSource;
  sink: CollectingSink;
  events: FileEvent[];
  /** Source numbers by path. */
  numbers: Map<string, number>;
  fits: Map<string, number[]>;
  released: number[];
  clock: { ms: number };
}

function follow(patterns: string[], options: Partial<FileSourceOptions> & { sink?: CollectingSink } = {}): Bench {
  const sink = options.sink ?? new CollectingSink();
  const events: FileEvent[] = [];
  const numbers = new Map<string, number>();
  const fits = new Map<string, number[]>();
  const released: number[] = [];
  const clock = { ms: 0 };
  const source = new FileSource({
    patterns,
    assign: (path, indices, previous) => {
      fits.set(path, [...indices]);
      if (previous >= 0) return previous;
      numbers.set(path, numbers.size);
      return numbers.get(path)!;
    },
    release: (number) => released.push(number),
    now: () => 1_700_000_000,
    monotonic: () => performance.now() + clock.ms,
    drain: () => sink.drain(),
    event: (event) => {
      events.push(event);
      heard.push(event);
    },
    ...options,
    sink,
  });
  opened.push(source);
  source.start();
  return { source, sink, events, numbers, fits, released, clock };
}

const kinds = (events: FileEvent[]): string[] => events.map(({ kind }) => kind);

async function arrives(bench: Bench, ...lines: string[]): Promise<void> {
  await until(() => bench.sink.lines.length >= lines.length, { what: `lines ${lines.join(', ')}` });
  expect(bench.sink.texts()).toEqual(lines);
}

describe('following', () => {
  test('starts at the end of an existing file and reads what is appended, woken by events alone', async () => {
    const log = join(home, 'auth.log');
    writeFileSync(log, 'old\n');
    const bench = follow([log]);
    for (let turn = 0; turn < 3; turn++) await new Promise(setImmediate);
    bench.source.poll = () => {};
    appendFileSync(log, 'one\ntwo\n');
    await arrives(bench, 'one', 'two');
    expect(bench.sink.lines[0]!.offset).toBe(4);
    expect(bench.source.counters.wakes).toBeGreaterThan(0);
  });

  test.each([
    ['that was renamed', 'app.log'],
    ['of a pattern', 'app.log*'],
  ])('a file %s gives its name to one that is read already, before it is opened', async (_, pattern) => {
    const log = join(home, 'app.log');
    const rotate = (): void => {
      if (existsSync(`${log}.1`)) renameSync(`${log}.1`, `${log}.2`);
      renameSync(log, `${log}.1`);
      writeFileSync(log, '');
    };
    writeFileSync(log, '');
    const bench = follow([join(home, pattern)]);
    appendFileSync(log, 'first\n');
    await arrives(bench, 'first');
    rotate();
    appendFileSync(log, 'second\n');
    rotate();
    const { open } = Tail;
    let isOpened = false;
    const opened = vi.spyOn(Tail, 'open').mockImplementation((path) => {
      if (path === `${log}.1` && !isOpened) {
        isOpened = true;
        appendFileSync(log, 'third\n');
        rotate();
      }
      return open(path);
    });
    try {
      await until(() => isOpened, { what: 'the second file is opened' });
      await until(() => bench.sink.lines.length >= 3, { what: 'all lines' });
      for (let turn = 0; turn < 3; turn++) bench.source.drain();
      expect(bench.sink.texts().sort()).toEqual(['first', 'second', 'third']);
    } finally {
      opened.mockRestore();
    }
  });

  test('starts with the unfinished last line, not in the middle of it', () => {
    const log = join(home, 'auth.log');
    writeFileSync(log, 'old\nhalf a ');
    const bench = follow([log]);
    appendFileSync(log, 'line\n');
    bench.source.drain();
    expect(bench.sink.texts()).toEqual(['half a line']);
  });

  test('a file that appears later is read from its start', async () => {
    const log = join(home, 'late.log');
    const bench = follow([log]);
    expect(bench.source.status()).toMatchObject([{ state: 'missing' }]);
    writeFileSync(log, 'first\n');
    await arrives(bench, 'first');
    expect(kinds(bench.events)).toEqual(['appeared']);
  });

  test('so is a file whose directory appears later, at any depth', async () => {
    const bench = follow([join(home, 'a/b/late.log')]);
    mkdirSync(join(home, 'a'));
    await until(() => bench.source.watched === 1 && readdirSync(home).length === 1);
    mkdirSync(join(home, 'a/b'));
    writeFileSync(join(home, 'a/b/late.log'), 'first\n');
    await arrives(bench, 'first');
  });

  test('a directory that is removed and made again is followed again', async () => {
    const directory = join(home, 'app');
    mkdirSync(directory);
    writeFileSync(join(directory, 'x.log'), 'old\n');
    const bench = follow([join(directory, 'x.log')]);
    rmSync(directory, { recursive: true });
    await until(() => bench.events.some(({ kind }) => kind === 'vanished'), { what: 'vanished' });
    mkdirSync(directory);
    writeFileSync(join(directory, 'x.log'), 'new\n');
    await arrives(bench, 'new');
    appendFileSync(join(directory, 'x.log'), 'more\n');
    await arrives(bench, 'new', 'more');
  });

  test('a glob finds files and directories now and later, and not hidden ones', async () => {
    mkdirSync(join(home, 'site1'));
    writeFileSync(join(home, 'site1/access.log'), 'old\n');
    const bench = follow([join(home, 'site?/*.log')]);
    appendFileSync(join(home, 'site1/access.log'), 'one\n');
    await arrives(bench, 'one');
    writeFileSync(join(home, 'site1/.hidden.log'), 'never\n');
    writeFileSync(join(home, 'site1/error.log'), 'two\n');
    await arrives(bench, 'one', 'two');
    mkdirSync(join(home, 'site2'));
    writeFileSync(join(home, 'site2/access.log'), 'three\n');
    await arrives(bench, 'one', 'two', 'three');
  });

  test('hundreds of files are read, woken by events alone', async () => {
    const paths = Array.from({ length: 600 }, (_, index) => join(home, `${index}.log`));
    for (const path of paths) writeFileSync(path, '');
    const bench = follow([join(home, '*.log')]);
    bench.source.poll = () => {};
    for (const [index, path] of paths.entries()) appendFileSync(path, `${index}\n`);
    await until(() => bench.sink.lines.length === paths.length);
    expect(new Set(bench.sink.texts()).size).toBe(paths.length);
  });

  test('many files of one directory cost one watch, and a file of two patterns is read once', () => {
    for (let index = 0; index < 20; index++) writeFileSync(join(home, `${index}.log`), '');
    const bench = follow([join(home, '*.log'), join(home, '7.log')]);
    expect(bench.source.watched).toBe(1);
    expect(bench.fits.get(join(home, '7.log'))).toEqual([0, 1]);
    appendFileSync(join(home, '7.log'), 'once\n');
    bench.source.drain();
    expect(bench.sink.texts()).toEqual(['once']);
  });

  test('an unfinished line waits, is fed whole, and is not read again for each of its bytes', async () => {
    const log = join(home, 'auth.log');
    writeFileSync(log, '');
    const bench = follow([log]);
    for (let index = 0; index < 400; index++) {
      appendFileSync(log, 'x'.repeat(10));
      bench.source.drain();
    }
    expect(bench.sink.feeds).toBe(0);
    appendFileSync(log, '\nnext\n');
    await until(() => bench.sink.lines.length === 2);
    expect(bench.sink.texts()).toEqual(['x'.repeat(4_000), 'next']);
    // Each byte is read twice, and beside it the bytes that serve as fingerprint. Reading the file
    // anew each time would be 800,000 bytes.
    expect(bench.source.counters.bytes).toBeLessThan(2 * 4_006 + 401 * (fingerprintBytesMax + 10));
  });

  test('a line without end is fed as it grows, cut once, and the next one is whole', () => {
    const log = join(home, 'auth.log');
    writeFileSync(log, '');
    const bench = follow([log]);
    for (let index = 0; index < 56; index++) {
      appendFileSync(log, 'y'.repeat(5_000));
      bench.source.drain();
    }
    expect(bench.source.status()[0]!.offset).toBe(280_000);
    appendFileSync(log, '\nnext\n');
    bench.source.drain();
    expect(bench.sink.texts()).toEqual(['y'.repeat(lineBytesMax), 'next']);
  });

  test('a full decision ring loses nothing', () => {
    const log = join(home, 'auth.log');
    writeFileSync(log, '');
    const bench = follow([log], { sink: new CollectingSink(4096, 3) });
    const lines = Array.from({ length: 1_000 }, (_, index) => `line ${index}`);
    appendFileSync(log, `${lines.join('\n')}\n`);
    bench.source.drain();
    expect(bench.sink.texts()).toEqual(lines);
  });

  test('while decisions wait for the kernel, the file that brought many waits; one that brings few is read on', async () => {
    const loud = join(home, 'loud.log');
    const quiet = join(home, 'quiet.log');
    const sink = new CollectingSink();
    const feed = sink.feed.bind(sink);
    let waiting = 0;
    sink.feed = (source, ...rest) => {
      waiting += source === 0 ? decisionsWaitingMax + 1 : 1;
      return feed(source, ...rest);
    };
    const bench = follow([loud, quiet], { sink, waiting: () => waiting });
    const lines = Array.from({ length: 2_000 }, (_, index) => `${index} ${'x'.repeat(94)}`);
    writeFileSync(loud, `${lines.join('\n')}\n`);
    await until(() => bench.sink.texts(0).length > 0, { what: 'the first buffer of the loud file' });
    const read = bench.sink.texts(0).length;
    writeFileSync(quiet, 'quiet\n');
    await until(() => bench.sink.texts(1).length > 0, { what: 'the line of the quiet file' });
    writeFileSync(quiet, 'again\n', { flag: 'a' });
    await until(() => bench.sink.texts(1).length > 1, { what: 'another one, which decides too' });
    bench.source.poll();
    for (let turn = 0; turn < 5; turn++) await new Promise(setImmediate);
    expect(bench.sink.texts(0).length).toBe(read);
    expect(read).toBeLessThan(lines.length);
    await until(() => {
      waiting = 0;
      bench.source.wake();
      return bench.sink.texts(0).length === lines.length;
    });
    expect(bench.sink.texts(0)).toEqual(lines);
  });

  test('of files that wait, a quiet one goes on before the loud one may', async () => {
    const loud = join(home, 'loud.log');
    const quiet = join(home, 'quiet.log');
    const sink = new CollectingSink();
    const feed = sink.feed.bind(sink);
    let waiting = 0;
    sink.feed = (source, ...rest) => {
      waiting += source === 0 ? decisionsWaitingOfAllMax : 1;
      return feed(source, ...rest);
    };
    const bench = follow([loud, quiet], { sink, waiting: () => waiting });
    writeFileSync(quiet, 'one\n');
    await until(() => bench.sink.texts(1).length > 0, { what: 'the first line of the quiet file' });
    writeFileSync(loud, 'one\n');
    await until(() => bench.sink.texts(0).length > 0, { what: 'the first line of the loud file' });
    appendFileSync(loud, 'two\n');
    appendFileSync(quiet, 'two\n');
    bench.source.poll();
    for (let turn = 0; turn < 5; turn++) await new Promise(setImmediate);
    expect([bench.sink.texts(0), bench.sink.texts(1)]).toEqual([['one'], ['one']]);
    waiting = decisionsWaitingMax + 1;
    await until(
      () => {
        bench.source.wake();
        return bench.sink.texts(1).length > 1;
      },
      { what: 'the second line of the quiet file' },
    );
    expect(bench.sink.texts(0)).toEqual(['one']);
  });

  test('a hot file does not keep a quiet one waiting, nor the event loop', async () => {
    const hot = join(home, 'hot.log');
    const quiet = join(home, 'quiet.log');
    const bench = follow([hot, quiet]);
    writeFileSync(hot, `${'h'.repeat(99)}\n`.repeat((8 * turnBytesMax) / 100));
    writeFileSync(quiet, 'quiet\n');
    let turns = 0;
    let ticking = true;
    const tick = (): void => {
      turns++;
      if (ticking) setImmediate(tick);
    };
    tick();
    const lines = Math.ceil((8 * turnBytesMax) / 100);
    await until(() => bench.sink.lines.length === lines);
    ticking = false;
    const quietAt = bench.sink.lines.findIndex(({ source }) => source === 1);
    expect(quietAt).toBeLessThan((4 * turnBytesMax) / 100);
    // Of eight turns, at most two come between two turns of the event loop: one for an event, and
    // one that was planned.
    expect(turns).toBeGreaterThanOrEqual(4);
  });
});

describe('rotation', () => {
  test('rename: the old file is read to its end, then the new one from its start', async () => {
    const log = join(home, 'auth.log');
    writeFileSync(log, 'old\n');
    const bench = follow([log]);
    appendFileSync(log, 'one\n');
    renameSync(log, `${log}.1`);
    appendFileSync(`${log}.1`, 'two\n');
    writeFileSync(log, 'three\n');
    await arrives(bench, 'one', 'two', 'three');
    expect(kinds(bench.events)).toContain('appeared');
  });

  test('a file that was renamed before anybody looked is read where it went, with its late writer', async () => {
    const log = join(home, 'auth.log');
    const bench = follow([log]);
    bench.source.poll = () => {};
    writeFileSync(log, 'one\n');
    const writer = openSync(log, 'a');
    renameSync(log, join(home, 'elsewhere'));
    writeFileSync(log, 'three\n');
    writeSync(writer, 'two\n');
    await arrives(bench, 'one', 'two', 'three');
    writeSync(writer, 'late\n');
    closeSync(writer);
    await arrives(bench, 'one', 'two', 'three', 'late');
    expect(kinds(bench.events)).toEqual(['appeared']);
  });

  test('a file that was never at the path is not read, whatever is renamed beside it', async () => {
    const log = join(home, 'auth.log');
    writeFileSync(log, '');
    const bench = follow([log]);
    writeFileSync(join(home, 'other'), 'other\n');
    renameSync(join(home, 'other'), join(home, 'another'));
    renameSync(log, join(home, 'other'));
    appendFileSync(log, 'one\n');
    await arrives(bench, 'one');
    expect(descriptorsUnder(home)).toBe(2);
  });

  test('a writer that still has the old file open is read for a while, then the file is closed', async () => {
    const log = join(home, 'access.log');
    writeFileSync(log, '');
    const bench = follow([log]);
    const writer = openSync(log, 'a');
    renameSync(log, `${log}.1`);
    writeFileSync(log, 'new\n');
    await arrives(bench, 'new');
    writeSync(writer, 'late\nunfinished');
    bench.source.poll();
    await arrives(bench, 'new', 'late');
    expect(descriptorsUnder(home)).toBe(3);
    closeSync(writer);
    bench.clock.ms += lingerMs + 1;
    bench.source.poll();
    expect(descriptorsUnder(home)).toBe(1);
    expect(bench.sink.texts()).toEqual(['new', 'late', 'unfinished']);
  });

  test('a rotated file that fits the glob under its new name is not read again', async () => {
    const log = join(home, 'access.log');
    writeFileSync(log, 'old\n');
    const bench = follow([join(home, 'access.log*')]);
    appendFileSync(log, 'one\n');
    await arrives(bench, 'one');
    renameSync(log, `${log}.1`);
    writeFileSync(log, 'two\n');
    await arrives(bench, 'one', 'two');
    bench.source.drain();
    appendFileSync(`${log}.1`, 'late\n');
    await arrives(bench, 'one', 'two', 'late');
    expect(bench.numbers.size).toBe(2);
  });

  test('copytruncate: reading goes on from the start', async () => {
    const log = join(home, 'auth.log');
    writeFileSync(log, 'an older line\n');
    const bench = follow([log]);
    appendFileSync(log, 'one\n');
    await arrives(bench, 'one');
    copyFileSync(log, `${log}.1`);
    truncateSync(log, 0);
    appendFileSync(log, 'two\n');
    await arrives(bench, 'one', 'two');
    await until(() => kinds(bench.events).includes('truncated'));
    expect(bench.source.counters.truncations).toBe(1);
  });

  test('a file cut and grown past our position again is noticed', () => {
    const log = join(home, 'auth.log');
    writeFileSync(log, 'an older line\n');
    const bench = follow([log]);
    writeFileSync(log, 'entirely new and longer\nthan before\n');
    bench.source.drain();
    expect(bench.sink.texts()).toEqual(['entirely new and longer', 'than before']);
  });

  test('a file that is cut in the middle of a line that we had begun is noticed too', () => {
    const log = join(home, 'auth.log');
    writeFileSync(log, '');
    const bench = follow([log]);
    appendFileSync(log, 'unfinis');
    bench.source.drain();
    writeFileSync(log, 'a\nlonger than it was');
    bench.source.drain();
    expect(bench.sink.texts()).toEqual(['a']);
  });

  test('a writer without O_APPEND leaves a hole after the cut: nothing is repeated, the hole is no line', () => {
    const log = join(home, 'auth.log');
    writeFileSync(log, 'old\n');
    const bench = follow([log]);
    const writer = openSync(log, 'r+');
    writeSync(writer, 'one\n', 4);
    bench.source.drain();
    writeSync(writer, 'two\n', 8);
    truncateSync(log, 0);
    writeSync(writer, 'three\n', 12);
    bench.source.drain();
    closeSync(writer);
    expect(bench.sink.texts()).toEqual(['one', 'three']);
  });

  test('removed and made again', async () => {
    const log = join(home, 'auth.log');
    writeFileSync(log, 'old\n');
    const bench = follow([log]);
    unlinkSync(log);
    await until(() => kinds(bench.events).includes('vanished'));
    writeFileSync(log, 'one\n');
    await arrives(bench, 'one');
  });

  test('a file of a glob that is gone for good gives its number back', async () => {
    const log = join(home, 'app-2026-01-01.log');
    writeFileSync(log, '');
    const bench = follow([join(home, 'app-*.log')]);
    unlinkSync(log);
    await until(() => kinds(bench.events).includes('vanished'));
    bench.clock.ms += lingerMs + 1;
    await until(() => {
      bench.source.poll();
      return bench.released.length === 1;
    });
    expect(bench.source.status()).toEqual([]);
    expect(descriptorsUnder(home)).toBe(0);
  });
});

describe('a file that is written anew', () => {
  const lines = Array.from({ length: 40 }, (_, index) => `line ${index} at 12:00:${index}`);
  const followed = (): { log: string; bench: Bench } => {
    const log = join(home, 'auth.log');
    writeFileSync(log, '');
    const bench = follow([log]);
    appendFileSync(log, `${lines.join('\n')}\n`);
    bench.source.drain();
    return { log, bench };
  };

  test.each([
    ['whole', 0],
    ['without its first line, as a ring log', 1],
    ['without its first third', 13],
  ])('%s, in its place, is not read again', (_name, dropped) => {
    const { log, bench } = followed();
    writeFileSync(`${log}.new`, `${[...lines.slice(dropped), 'next'].join('\n')}\n`);
    renameSync(`${log}.new`, log);
    bench.source.drain();
    appendFileSync(log, 'last\n');
    bench.source.drain();
    expect(bench.sink.texts()).toEqual([...lines, 'next', 'last']);
  });

  test.each([
    ['whole', 0],
    ['without its first line', 1],
  ])('%s, under the same inode, is not read again', (_name, dropped) => {
    const { log, bench } = followed();
    truncateSync(log, 0);
    bench.source.drain();
    appendFileSync(log, `${[...lines.slice(dropped), 'next'].join('\n')}\n`);
    bench.source.drain();
    expect(bench.sink.texts()).toEqual([...lines, 'next']);
  });

  test('with other lines is read from its start, however long it is', () => {
    const { log, bench } = followed();
    const others = lines.map((line) => `other ${line}`);
    writeFileSync(`${log}.new`, `${others.join('\n')}\n`);
    renameSync(`${log}.new`, log);
    bench.source.drain();
    expect(bench.sink.texts()).toEqual([...lines, ...others]);
  });

  test('with other lines and one that was the last to be read, and was read alone, is read from its start', () => {
    const { log, bench } = followed();
    appendFileSync(log, 'refused\n');
    bench.source.drain();
    const others = lines.map((line) => `other ${line}`).with(20, 'refused');
    writeFileSync(`${log}.new`, `${others.join('\n')}\n`);
    renameSync(`${log}.new`, log);
    bench.source.drain();
    expect(bench.sink.texts()).toEqual([...lines, 'refused', ...others]);
  });

  test('after more than one buffer of other lines, the last line that was read is found again', () => {
    const log = join(home, 'auth.log');
    const many = Array.from({ length: 20_000 }, (_, index) => `line ${index} of many`);
    writeFileSync(log, '');
    const bench = follow([log]);
    appendFileSync(log, `${many.join('\n')}\n`);
    bench.source.drain();
    const after = Array.from({ length: 9_000 }, (_, index) => `new line ${index} in its place`);
    writeFileSync(`${log}.new`, `${[...many.slice(9_000), ...after].join('\n')}\n`);
    renameSync(`${log}.new`, log);
    bench.source.drain();
    expect(bench.sink.texts()).toEqual([...many, ...after]);
  });
});

describe('files without end', () => {
  test('a hole of terabytes is passed over, in the middle of a line too', () => {
    const log = join(home, 'auth.log');
    writeFileSync(log, '');
    const bench = follow([log]);
    appendFileSync(log, 'one\nbegun');
    truncateSync(log, 2 ** 40);
    bench.source.drain();
    expect(bench.source.counters.bytes).toBeLessThan(1_000_000);
    appendFileSync(log, 'two\n');
    bench.source.drain();
    expect(bench.sink.texts()).toEqual(['one', expect.stringMatching(/^begun\0+$/), 'two']);
    truncateSync(log, 2 ** 41);
    bench.source.drain();
    appendFileSync(log, 'three\n');
    bench.source.drain();
    expect(bench.sink.texts().slice(2)).toEqual(['two', 'three']);
  });

  test('a drain ends at its deadline, and what is left is read from its position', () => {
    const log = join(home, 'auth.log');
    writeFileSync(log, '');
    let now = 0;
    const bench = follow([log], { monotonic: () => now++ * 100 });
    const writer = openSync(log, 'a');
    const line = `${'x'.repeat(99)}\n`.repeat(2_000);
    const { drain } = bench.sink;
    bench.sink.drain = () => {
      drain.call(bench.sink);
      writeSync(writer, line);
    };
    writeSync(writer, line);
    bench.source.drain();
    closeSync(writer);
    const [position] = bench.source.positions();
    expect(position!.offset).toBeGreaterThan(0);
    expect(position!.offset).toBeLessThan(fileSize(log));
  });
});

describe('a line that was cut', () => {
  const long = 'z'.repeat(2 * inputBytes);

  test('does not swallow the first line of the next file, and its rest is no line when it comes late', () => {
    const log = join(home, 'auth.log');
    const bench = follow([log]);
    writeFileSync(log, long);
    bench.source.drain();
    const writer = openSync(log, 'a');
    renameSync(log, `${log}.1`);
    writeFileSync(log, 'first\n');
    bench.source.drain();
    writeSync(writer, 'rest of the cut line\nlate\n');
    closeSync(writer);
    bench.source.drain();
    expect(bench.sink.texts()).toEqual([long.slice(0, lineBytesMax), 'first', 'late']);
  });

  test('does not swallow the first line after a truncation', () => {
    const log = join(home, 'auth.log');
    const bench = follow([log]);
    writeFileSync(log, long);
    bench.source.drain();
    writeFileSync(log, 'first\n');
    bench.source.drain();
    expect(bench.sink.texts()).toEqual([long.slice(0, lineBytesMax), 'first']);
  });

  test('its rest is no line after a restart, nor when reading began in its middle', () => {
    const log = join(home, 'auth.log');
    const first = follow([log]);
    writeFileSync(log, long);
    first.source.drain();
    const resume = first.source.positions();
    expect(resume[0]!.offset).toBe(long.length);
    first.source.stop();
    const second = follow([log], { resume });
    const third = follow([log]);
    appendFileSync(log, 'rest of the cut line\nnext\n');
    second.source.drain();
    third.source.drain();
    expect(second.sink.texts()).toEqual(['next']);
    expect(third.sink.texts()).toEqual(['next']);
  });
});

describe('what tells of changes', () => {
  test('fs.watch, as where there is no inotify: appended lines, a rotation, a directory that comes late', async () => {
    const log = join(home, 'late/auth.log');
    const bench = follow([log], { events: (options) => new PortableEvents(options) });
    bench.source.poll = () => {};
    mkdirSync(join(home, 'late'));
    writeFileSync(log, 'one\n');
    await arrives(bench, 'one');
    appendFileSync(log, 'two\n');
    await arrives(bench, 'one', 'two');
    renameSync(log, `${log}.1`);
    writeFileSync(log, 'three\n');
    await arrives(bench, 'one', 'two', 'three');
    renameSync(join(home, 'late'), join(home, 'gone'));
    mkdirSync(join(home, 'late'));
    writeFileSync(log, 'four\n');
    await arrives(bench, 'one', 'two', 'three', 'four');
  });

  test('nothing, if the system gives no event queue: reported once, and polled', async () => {
    const log = join(home, 'auth.log');
    writeFileSync(log, '');
    const events = (): never => {
      throw Object.assign(new Error('EMFILE: too many open files, inotify_init1'), { code: 'EMFILE' });
    };
    const bench = follow([log], { events });
    appendFileSync(log, 'one\n');
    bench.source.poll();
    await arrives(bench, 'one');
    const errors = bench.events.filter(({ kind }) => kind === 'error');
    expect(errors.map(({ detail }) => detail)).toEqual([
      'not watched, polled instead: EMFILE: too many open files, inotify_init1',
    ]);
  });

  test('a watch that is refused leaves its file to the poll', async () => {
    const log = join(home, 'auth.log');
    writeFileSync(log, '');
    const close = (): void => {};
    const bench = follow([log], {
      events: () => ({
        add: (_path, mask) => {
          if (mask === IN_MODIFY) throw new Error('ENOSPC: no space left on device, inotify_add_watch');
          return { close };
        },
        read: () => false,
        drained: true,
        close,
      }),
    });
    appendFileSync(log, 'one\n');
    bench.source.poll();
    await arrives(bench, 'one');
    expect(bench.events.filter(({ kind }) => kind === 'error').map(({ detail }) => detail)).toEqual([
      'not watched, polled instead: ENOSPC: no space left on device, inotify_add_watch',
    ]);
  });

  test('events that were lost: everything is looked at', async () => {
    const log = join(home, 'auth.log');
    writeFileSync(log, '');
    let told: EventsOptions | undefined;
    const silent: Events = { add: () => ({ close() {} }), read: () => false, drained: true, close() {} };
    const bench = follow([log], {
      events: (options) => {
        told = options;
        return silent;
      },
    });
    for (let turn = 0; turn < 3; turn++) await new Promise(setImmediate);
    appendFileSync(log, 'one\n');
    told!.overflowed();
    // The read comes at once: the timer's poll would come later.
    for (let turn = 0; turn < 5; turn++) await new Promise(setImmediate);
    expect(bench.sink.texts()).toEqual(['one']);
  });

  test('a queue that really overflows loses no line, nor the rotation meanwhile', async () => {
    const [log, other] = [join(home, 'auth.log'), join(home, 'other')];
    writeFileSync(log, '');
    const bench = follow([log]);
    bench.source.poll = () => {};
    for (let turn = 0; turn < 3; turn++) await new Promise(setImmediate);
    const eventsMax = Number(readFileSync('/proc/sys/fs/inotify/max_queued_events', 'utf8'));
    writeFileSync(other, '');
    for (let event = 0; event <= eventsMax; event += 2) {
      renameSync(other, `${other}2`);
      renameSync(`${other}2`, other);
    }
    appendFileSync(log, 'one\n');
    renameSync(log, `${log}.1`);
    writeFileSync(log, 'two\n');
    await arrives(bench, 'one', 'two');
  });

  test('a late writer of a rotated file is read, without a poll', async () => {
    const log = join(home, 'auth.log');
    const writer = openSync(log, 'a');
    const bench = follow([log]);
    bench.source.poll = () => {};
    renameSync(log, `${log}.1`);
    writeFileSync(log, 'new\n');
    await arrives(bench, 'new');
    writeSync(writer, 'late\n');
    closeSync(writer);
    await arrives(bench, 'new', 'late');
  });

  test('what others write into the directory wakes nobody', async () => {
    const log = join(home, 'auth.log');
    writeFileSync(log, '');
    writeFileSync(join(home, 'other.log'), '');
    const bench = follow([log]);
    appendFileSync(log, 'first\n');
    await arrives(bench, 'first');
    const { wakes } = bench.source.counters;
    appendFileSync(join(home, 'other.log'), 'noise\n');
    for (let turn = 0; turn < 5; turn++) await new Promise(setImmediate);
    expect(bench.source.counters.wakes).toBe(wakes);
    appendFileSync(log, 'second\n');
    await arrives(bench, 'first', 'second');
  });
});

describe('symbolic links', () => {
  test('are followed to another directory and to another target', async () => {
    mkdirSync(join(home, 'a'));
    mkdirSync(join(home, 'links'));
    writeFileSync(join(home, 'a/1.log'), 'old\n');
    writeFileSync(join(home, 'a/2.log'), '');
    const link = join(home, 'links/current.log');
    symlinkSync('../a/1.log', link);
    const bench = follow([link]);
    const { wakes } = bench.source.counters;
    appendFileSync(join(home, 'a/1.log'), 'one\n');
    await arrives(bench, 'one');
    expect(bench.source.counters.wakes).toBeGreaterThan(wakes);
    symlinkSync('../a/2.log', `${link}.new`);
    renameSync(`${link}.new`, link);
    await until(() => kinds(bench.events).includes('rotated'));
    appendFileSync(join(home, 'a/2.log'), 'two\n');
    await arrives(bench, 'one', 'two');
  });

  test('one file under several names is read once, for all of them', () => {
    writeFileSync(join(home, 'a.log'), '');
    symlinkSync('a.log', join(home, 'b.log'));
    linkSync(join(home, 'a.log'), join(home, 'c.txt'));
    const bench = follow([join(home, '*.log'), join(home, 'c.txt')], { jailOf: (pattern) => pattern });
    appendFileSync(join(home, 'a.log'), 'once\n');
    bench.source.drain();
    expect(bench.sink.texts()).toEqual(['once']);
    expect(bench.fits.get(join(home, 'a.log'))).toEqual([0, 1]);
    expect(kinds(bench.events)).toEqual(['appeared']);
    expect(bench.source.status().map(({ state, source }) => [state, source])).toEqual([
      ['reading', 0],
      ['reading', 0],
      ['reading', 0],
    ]);
    expect(descriptorsUnder(home)).toBe(1);
  });

  test('when the first name moves to another file, reading continues under the others', () => {
    const [a, b] = [join(home, 'a.log'), join(home, 'b.log')];
    writeFileSync(a, '');
    linkSync(a, b);
    const bench = follow([a, b]);
    appendFileSync(a, 'one\n');
    bench.source.drain();
    writeFileSync(join(home, 'new'), 'two\n');
    renameSync(join(home, 'new'), a);
    bench.source.drain();
    appendFileSync(b, 'three\n');
    appendFileSync(a, 'four\n');
    bench.source.drain();
    expect(bench.sink.texts(0)).toEqual(['one', 'two', 'four']);
    expect(bench.sink.texts(1)).toEqual(['three']);
    expect(bench.sink.texts().length).toBe(4);
  });

  test('when another name goes to a file of its own, both are read', () => {
    const [a, b] = [join(home, 'a.log'), join(home, 'b.log')];
    writeFileSync(a, '');
    symlinkSync('a.log', b);
    const bench = follow([a, b], { jailOf: (pattern) => pattern });
    appendFileSync(a, 'one\n');
    bench.source.drain();
    expect(bench.fits.get(a)).toEqual([0, 1]);
    rmSync(b);
    writeFileSync(b, 'two\n');
    appendFileSync(a, 'three\n');
    bench.source.drain();
    expect(bench.sink.texts(0)).toEqual(['one', 'three']);
    expect(bench.sink.texts(1)).toEqual(['two']);
    expect(bench.fits.get(a)).toEqual([0]);
  });

  test('a loop is an error, not an end', () => {
    symlinkSync('loop.log', join(home, 'loop.log'));
    const bench = follow([join(home, 'loop.log')]);
    expect(bench.events).toMatchObject([{ kind: 'error' }]);
    expect(bench.source.status()).toMatchObject([{ state: 'failed' }]);
  });
});

describe('what cannot be followed', () => {
  test('a FIFO, a device and a directory are refused with a word, and without blocking', () => {
    execFileSync('mkfifo', [join(home, 'fifo')]);
    mkdirSync(join(home, 'directory'));
    const bench = follow([join(home, 'fifo'), join(home, 'directory'), '/dev/zero']);
    expect(bench.events.map(({ detail }) => detail.split(' is a ')[1]!.split(';')[0])).toEqual([
      'FIFO',
      'directory',
      'character device',
    ]);
    expect(bench.events.every(({ kind }) => kind === 'error')).toBe(true);
  });

  test('a file of proc or sysfs is refused, which looks like a regular one', () => {
    const bench = follow(['/proc/kallsyms', '/sys/kernel/notes', '/proc/self/status']);
    expect(bench.events.map(({ detail }) => detail.split('; ')[0])).toEqual([
      '/proc/kallsyms is a file of proc',
      '/sys/kernel/notes is a file of sysfs',
      '/proc/self/status is a file of proc',
    ]);
  });

  test('names that are not UTF-8 are followed, found by a glob', async () => {
    const name = (text: string): Buffer => Buffer.concat([Buffer.from(`${home}/`), Buffer.from(text, 'latin1')]);
    writeFileSync(name('caf\xe9.log'), 'old\n');
    const bench = follow([join(home, '*.log')]);
    appendFileSync(name('caf\xe9.log'), 'one\n');
    await arrives(bench, 'one');
    writeFileSync(name('\xff\xfe.log'), 'two\n');
    await arrives(bench, 'one', 'two');
    const resume = bench.source.positions();
    bench.source.stop();
    appendFileSync(name('caf\xe9.log'), 'three\n');
    const second = follow([join(home, '*.log')], { resume });
    second.source.drain();
    expect(second.sink.texts()).toEqual(['three']);
  });

  test('of too many files, those named without a wildcard are followed, and a share of each pattern', () => {
    const directories = ['many', 'few', 'literal'].map((name) => join(home, name));
    for (const directory of directories) mkdirSync(directory);
    for (let index = 0; index < 50; index++) writeFileSync(join(directories[0]!, `${index}.log`), '');
    for (let index = 0; index < 5; index++) writeFileSync(join(directories[1]!, `${index}.log`), '');
    const literal = join(directories[2]!, 'auth.log');
    writeFileSync(literal, '');
    const bench = follow([join(directories[0]!, '*.log'), join(directories[1]!, '*.log'), literal], { filesMax: 20 });
    const paths = bench.source.status().map(({ path }) => path);
    expect(paths.length).toBe(20);
    expect(paths).toContain(literal);
    expect(paths.filter((path) => path.startsWith(directories[1]!)).length).toBe(5);
    expect(bench.source.refused).toBe(56 - 20);
    expect(bench.events.filter(({ kind }) => kind === 'error').length).toBe(1);
    bench.source.drain();
    expect(
      bench.source
        .status()
        .map(({ path }) => path)
        .sort(),
    ).toEqual(paths.sort());
  });

  test('an error is reported once and retried with back-off, and reading begins when it is over', async () => {
    const log = join(home, 'auth.log');
    mkdirSync(log);
    const bench = follow([log]);
    for (let index = 0; index < 5; index++) {
      bench.clock.ms += 100_000;
      bench.source.poll();
    }
    expect(kinds(bench.events)).toEqual(['error']);
    expect(bench.source.counters.errors).toBeGreaterThan(3);
    const { errors } = bench.source.counters;
    bench.source.poll();
    expect(bench.source.counters.errors).toBe(errors);
    rmSync(log, { recursive: true });
    writeFileSync(log, 'one\n');
    await arrives(bench, 'one');
    expect(bench.source.status()).toMatchObject([{ state: 'reading', detail: '' }]);
  });

  test('a refused source number leaves the file alone', () => {
    writeFileSync(join(home, 'a.log'), '');
    const bench = follow([join(home, '*.log')], { assign: () => -1 });
    expect(bench.source.status()).toEqual([]);
    expect(descriptorsUnder(home)).toBe(0);
  });

  test('a file that may not be read is opened once it may', () => {
    if (process.getuid!() === 0) {
      // Root may read everything here. Another error is tested above on the same path; a child
      // process below meets the real one.
      const script = `
        import { FileSource } from ${JSON.stringify(join(import.meta.dirname, '../../src/sources/file.ts'))};
        const details = [];
        const source = new FileSource({ patterns: [process.argv[1]], assign: () => 0, release() {}, now: () => 0, drain() {},
          monotonic: () => performance.now(), event: (event) => details.push(event.kind + ' ' + event.detail),
          sink: { buffer: new Uint8Array(1024), feed: (_source, length) => length } });
        process.setuid(65534);
        source.start(); source.stop();
        console.log(details.join());`;
      writeFileSync(join(home, 'secret.log'), 'x\n');
      chmodSync(join(home, 'secret.log'), 0o600);
      chmodSync(home, 0o755);
      const output = execFileSync(process.execPath, ['--input-type=module', '-e', script, join(home, 'secret.log')]);
      expect(output.toString()).toMatch(/^error EACCES/);
    } else {
      writeFileSync(join(home, 'secret.log'), 'x\n', { mode: 0 });
      expect(kinds(follow([join(home, 'secret.log')]).events)).toEqual(['error']);
    }
  });
});

describe('positions', () => {
  test('reading goes on where an earlier run stopped', () => {
    const log = join(home, 'auth.log');
    writeFileSync(log, 'old\n');
    const first = follow([log]);
    appendFileSync(log, 'one\nunfin');
    first.source.drain();
    const resume = first.source.positions();
    first.source.stop();
    appendFileSync(log, 'ished\nthree\n');
    const second = follow([log], { resume });
    second.source.drain();
    expect(second.sink.texts()).toEqual(['unfinished', 'three']);
  });

  test('through a rotation that nobody watched', () => {
    const log = join(home, 'auth.log');
    writeFileSync(log, 'old\n');
    const first = follow([log]);
    appendFileSync(log, 'one\n');
    first.source.drain();
    const resume = first.source.positions();
    first.source.stop();
    appendFileSync(log, 'two\n');
    renameSync(log, `${log}.1`);
    writeFileSync(log, 'three\n');
    const second = follow([log], { resume });
    second.source.drain();
    expect(second.sink.texts()).toEqual(['two', 'three']);
  });

  test('also when the new file has not come yet', () => {
    const log = join(home, 'auth.log');
    writeFileSync(log, 'old\n');
    const first = follow([log]);
    const resume = first.source.positions();
    first.source.stop();
    appendFileSync(log, 'two\n');
    renameSync(log, `${log}.1`);
    const second = follow([log], { resume });
    writeFileSync(log, 'three\n');
    second.source.drain();
    expect(second.sink.texts()).toEqual(['two', 'three']);
  });

  test('a file cut meanwhile is read from its start', () => {
    const log = join(home, 'auth.log');
    writeFileSync(log, 'an old line\n');
    const first = follow([log]);
    const resume = first.source.positions();
    first.source.stop();
    writeFileSync(log, 'a new one of other length\n');
    const second = follow([log], { resume });
    second.source.drain();
    expect(second.sink.texts()).toEqual(['a new one of other length']);
  });
});

describe('other settings later', () => {
  test('files that stay are read on, new ones join, others are let go', () => {
    for (const name of ['a', 'b', 'c']) writeFileSync(join(home, name), 'old\n');
    const bench = follow([join(home, 'a'), join(home, 'b')]);
    appendFileSync(join(home, 'a'), 'a1\n');
    appendFileSync(join(home, 'b'), 'b1\n');
    bench.source.setPatterns([join(home, 'c'), join(home, 'b')]);
    bench.source.drain();
    expect(bench.sink.texts(1)).toEqual(['b1']);
    expect(bench.released).toEqual([0]);
    expect(bench.fits.get(join(home, 'b'))).toEqual([1]);
    expect(descriptorsUnder(home)).toBe(2);
  });
});

describe('stop', () => {
  test('leaves no descriptor and no watch', () => {
    for (let index = 0; index < 5; index++) writeFileSync(join(home, `${index}.log`), '');
    const bench = follow([join(home, '*.log')]);
    expect(descriptorsUnder(home)).toBe(5);
    bench.source.stop();
    expect(descriptorsUnder(home)).toBe(0);
    expect(bench.source.watched).toBe(0);
  });
});

describe('readWhole', () => {
  test('feeds every line of a file, the last one without its newline too', () => {
    const log = join(home, 'whole.log');
    const lines = Array.from({ length: 5_000 }, (_, index) => `line ${index}`);
    writeFileSync(log, lines.join('\n'));
    const sink = new CollectingSink(1024, 7);
    const bytes = readWhole(log, sink, { source: 3, now: 0, drain: () => sink.drain() });
    expect(sink.texts(3)).toEqual(lines);
    expect(bytes).toBe(lines.join('\n').length);
    const last = sink.lines.at(-1)!;
    expect(last.offset).toBe(bytes - last.text.length);
  });

  test('a buffer that is full and was not taken is not the end of the file', () => {
    const log = join(home, 'whole.log');
    const lines = Array.from({ length: 500 }, (_, index) => `line ${index}`);
    writeFileSync(log, lines.join('\n'));
    const sink = new CollectingSink(1021, 1_000);
    const feed = sink.feed.bind(sink);
    let isFirst = true;
    sink.feed = (...what) => {
      if (!isFirst) return feed(...what);
      isFirst = false;
      return 0;
    };
    readWhole(log, sink, { source: 3, now: 0, drain: () => sink.drain() });
    expect(sink.texts(3)).toEqual(lines);
  });

  describe('a compressed file', () => {
    const text = Array.from({ length: 3_000 }, (_, index) => `line ${index}`).join('\n');
    const wholeOf = (path: string): string[] => {
      const sink = new CollectingSink();
      expect(readWhole(path, sink, { source: 3, now: 0, drain() {} })).toBe(text.length);
      return sink.texts(3);
    };
    const refusalOf = (path: string): string => {
      try {
        wholeOf(path);
        return 'none';
      } catch (error) {
        return (error as Error).message.replace(home, '');
      }
    };

    test.each([
      ['gzip', gzipSync],
      ['zstd', zstdCompressSync],
    ] as const)('by %s is read unpacked, which is said', (name, pack) => {
      const path = join(home, `log.${name}`);
      writeFileSync(path, pack(text));
      const stderr = vi.spyOn(process.stderr, 'write').mockReturnValue(true);
      const before = openDescriptors().size;
      try {
        expect(wholeOf(path)).toEqual(text.split('\n'));
        expect(stderr.mock.calls).toEqual([[`${path} is compressed with ${name}: read unpacked\n`]]);
        expect(openDescriptors().size).toBe(before);
      } finally {
        stderr.mockRestore();
      }
    });

    test.each([
      ['xz', 'fd377a585a00'],
      ['bzip2', '425a68'],
    ])('by %s is refused with what to do', (name, magic) => {
      writeFileSync(join(home, 'log'), Buffer.from(`${magic}0102030405`, 'hex'));
      const before = openDescriptors().size;
      expect(refusalOf(join(home, 'log'))).toBe(`/log is compressed with ${name}: unpack it, and hand it over as "-"`);
      expect(openDescriptors().size).toBe(before);
    });

    test('that is damaged, or for which there is no memory, is refused', () => {
      writeFileSync(join(home, 'log'), gzipSync(text).subarray(0, 100));
      expect(refusalOf(join(home, 'log'))).toBe(
        '/log, compressed with gzip, cannot be unpacked: unexpected end of file',
      );
      writeFileSync(join(home, 'log'), gzipSync(text));
      const stderr = vi.spyOn(process.stderr, 'write').mockReturnValue(true);
      native.memfd = () => -24;
      try {
        expect(refusalOf(join(home, 'log'))).toBe('no memory file for /log (errno 24)');
      } finally {
        delete (native as Partial<Native>).memfd;
        stderr.mockRestore();
      }
    });

    test('is none if it only begins a little like one', () => {
      writeFileSync(join(home, 'log'), Buffer.from('1f8a0a', 'hex'));
      const sink = new CollectingSink();
      expect(readWhole(join(home, 'log'), sink, { source: 3, now: 0, drain() {} })).toBe(3);
      expect(sink.lines).toHaveLength(1);
    });
  });

  test('an error of the system names the file, another one does not, and the file is closed', () => {
    writeFileSync(join(home, 'log'), 'x\n');
    const before = openDescriptors().size;
    const failure = (error: Error): Error => {
      try {
        withInput(join(home, 'log'), () => {
          throw error;
        });
      } catch (thrown) {
        return thrown as Error;
      }
      return expect.unreachable();
    };
    const system = Object.assign(new Error('EIO'), { code: 'EIO' });
    expect(failure(system)).toBe(system);
    expect(system).toMatchObject({ path: join(home, 'log') });
    expect(failure(new Error('ours'))).not.toHaveProperty('path');
    expect(() => readWhole(home, new CollectingSink(), { source: 0, now: 0, drain() {} })).toThrow(
      expect.objectContaining({ code: 'EISDIR', path: home }),
    );
    expect(openDescriptors().size).toBe(before);
  });

  test('the standard input is "-", and stays open', () => {
    expect(withInput('-', (descriptor) => descriptor)).toBe(0);
    expect(() => fstatSync(0)).not.toThrow();
  });

  test('an empty file is nothing', () => {
    writeFileSync(join(home, 'empty'), '');
    const sink = new CollectingSink();
    expect(readWhole(join(home, 'empty'), sink, { source: 0, now: 0, drain() {} })).toBe(0);
    expect(sink.feeds).toBe(0);
  });

  test('says so when the ring is never drained', () => {
    writeFileSync(join(home, 'log'), 'a\nb\n');
    const sink = new CollectingSink(1024, 1);
    expect(() => readWhole(join(home, 'log'), sink, { source: 0, now: 0, drain() {} })).toThrow('ring');
  });
});

function fileSize(path: string): number {
  return statSync(path).size;
}

/** Descriptors of this process whose files are below a directory. */
function descriptorsUnder(directory: string): number {
  let count = 0;
  for (const [descriptor, name] of openDescriptors()) {
    if (name.startsWith(`${directory}/`) && fstatSync(descriptor).isFile()) count++;
  }
  return count;
}
