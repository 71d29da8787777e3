/**
 * Whatever happens to log files, every line written to them is fed exactly once and in order. The
 * exceptions are those that file.ts names: lines may be missing that a truncation or a removal took
 * away before anyone looked.
 *
 * The model remembers what was written where, and whether the source has looked since. It knows
 * nothing of inodes, fingerprints or events. Between commands, at random, the source is left alone,
 * woken by the event loop, or polled.
 */
import {
  appendFileSync,
  closeSync,
  copyFileSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  renameSync,
  rmSync,
  truncateSync,
  unlinkSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { describe, expect, test, vi } from 'vitest';
import { inputBytes, lineBytesMax } from '../../src/limits.ts';
import { FileSource } from '../../src/sources/file.ts';
import { Reader } from '../../src/sources/reader.ts';
import { Tail } from '../../src/sources/tail.ts';
import { CollectingSink } from '../support/collecting-sink.ts';

interface WrittenLine {
  text: string;
  /** False if the line may have gone before the source looked. */
  certain: boolean;
}

interface ModelFile {
  path: string;
  exists: boolean;
  /** Lines of this path, in the order in which they must come. */
  lines: WrittenLine[];
  /** A line that has begun and not yet ended. */
  begun: string;
  /** How many of `lines` the source could certainly have read. */
  looked: number;
  /** Whether the source could have opened the file at this path. */
  known: boolean;
  /** A descriptor of the file that was rotated away last, and whether the source had it open. */
  oldWriter: number;
  rotations: number;
}

interface World {
  files: ModelFile[];
  source: FileSource;
  sink: CollectingSink;
  late: string[];
  count: number;
}

type Step = (world: World) => void | Promise<void>;

function look(world: World): void {
  world.source.drain();
  for (const file of world.files) {
    file.looked = file.lines.length;
    file.known = file.exists;
  }
}

/** From here on, unread lines may be lost. */
function doubt(file: ModelFile): void {
  for (const line of file.lines.slice(file.looked)) line.certain = false;
}

function write(world: World, file: ModelFile, text: string): void {
  appendFileSync(file.path, text);
  file.exists = true;
  const parts = (file.begun + text).split('\n');
  file.begun = parts.pop()!;
  for (const part of parts) file.lines.push({ text: part, certain: true });
  world.count++;
}

/**
 * A text that differs from every other line from its first byte to its last. Log lines do so too,
 * by their time and numbers.
 */
function nextText(world: World, padding: number): string {
  return `line ${world.count} ${`${world.count}.`.repeat(padding)}`.slice(0, 12 + padding);
}

const append =
  (index: number, lines: number, padding: number): Step =>
  (world) => {
    const file = world.files[index % world.files.length]!;
    for (let line = 0; line < lines; line++) write(world, file, `${nextText(world, padding)}\n`);
  };

const begin =
  (index: number, padding: number): Step =>
  (world) => {
    const file = world.files[index % world.files.length]!;
    // The engine cuts long lines, and its own tests check that.
    if (file.begun.length + padding < 2_048) write(world, file, nextText(world, padding));
  };

function closeOld(file: ModelFile): void {
  if (file.oldWriter >= 0) closeSync(file.oldWriter);
  file.oldWriter = -1;
}

const rotate =
  (index: number, again: boolean): Step =>
  (world) => {
    const file = world.files[index % world.files.length]!;
    if (!file.exists) return;
    if (!file.known) doubt(file);
    closeOld(file);
    if (file.known) file.oldWriter = openSync(file.path, 'a');
    const begun = file.begun;
    // The new name fits none of the patterns.
    renameSync(file.path, join(world.files[0]!.path, `../../old/${index % world.files.length}-${file.rotations++}`));
    file.begun = '';
    file.exists = false;
    file.known = false;
    if (file.oldWriter >= 0) world.late.push(begun);
    if (again) {
      writeFileSync(file.path, '');
      file.exists = true;
    }
  };

/**
 * The writer of the rotated file continues to write, as nginx does until it is told to reopen its
 * log.
 */
const writeLate =
  (index: number): Step =>
  (world) => {
    const file = world.files[index % world.files.length]!;
    if (file.oldWriter < 0) return;
    const text = `late ${world.count++}`;
    writeSync(file.oldWriter, `\n${text}\n`);
    world.late.push(text);
  };

const remove =
  (index: number): Step =>
  (world) => {
    const file = world.files[index % world.files.length]!;
    if (!file.exists) return;
    if (!file.known) doubt(file);
    unlinkSync(file.path);
    file.exists = false;
    file.known = false;
    file.begun = '';
  };

const copyTruncate =
  (index: number, lookFirst: boolean): Step =>
  (world) => {
    const file = world.files[index % world.files.length]!;
    if (!file.exists) return;
    if (lookFirst) look(world);
    doubt(file);
    copyFileSync(file.path, join(file.path, '../../old/copy'));
    truncateSync(file.path, 0);
    file.begun = '';
  };

const turns =
  (count: number): Step =>
  async () => {
    for (let turn = 0; turn < count; turn++) await new Promise(setImmediate);
  };

const steps = fc.array(
  fc.oneof(
    {
      weight: 6,
      arbitrary: fc.tuple(fc.nat(9), fc.integer({ min: 1, max: 30 }), fc.nat(200)).map((a) => append(...a)),
    },
    { weight: 3, arbitrary: fc.tuple(fc.nat(9), fc.constantFrom(0, 5, 300, 1_500)).map((a) => begin(...a)) },
    { weight: 2, arbitrary: fc.tuple(fc.nat(9), fc.boolean()).map((a) => rotate(...a)) },
    { weight: 1, arbitrary: fc.nat(9).map((a) => writeLate(a)) },
    { weight: 1, arbitrary: fc.nat(9).map((a) => remove(a)) },
    { weight: 2, arbitrary: fc.tuple(fc.nat(9), fc.boolean()).map((a) => copyTruncate(...a)) },
    { weight: 2, arbitrary: fc.integer({ min: 1, max: 6 }).map((a) => turns(a)) },
    { weight: 2, arbitrary: fc.constant<Step>((world) => world.source.poll()) },
    { weight: 2, arbitrary: fc.constant<Step>(look) },
  ),
  { maxLength: 40 },
);

async function everyLineOnce(list: Step[], bufferBytes: number, Source: typeof FileSource): Promise<void> {
  const home = mkdtempSync(join(tmpdir(), 'file-property-'));
  mkdirSync(join(home, 'logs'));
  mkdirSync(join(home, 'old'));
  const paths = [0, 1, 2].map((index) => join(home, `logs/${index}.log`));
  const globbed = [3, 4].map((index) => join(home, `logs/site-${index}.log`));
  const sink = new CollectingSink(bufferBytes);
  const numbers: string[] = [];
  writeFileSync(paths[0]!, 'written before\nand unfini');
  const source = new Source({
    patterns: [...paths, join(home, 'logs/site-*.log')],
    assign: (path) => numbers.push(path) - 1,
    release() {},
    now: () => 0,
    monotonic: () => 0,
    drain: () => sink.drain(),
    event() {},
    sink,
  });
  const files = [...paths, ...globbed].map(
    (path): ModelFile => ({
      path,
      exists: false,
      lines: [],
      begun: '',
      looked: 0,
      known: false,
      oldWriter: -1,
      rotations: 0,
    }),
  );
  Object.assign(files[0]!, { exists: true, known: true, begun: 'and unfini' });
  const world: World = { files, source, sink, late: [], count: 0 };
  try {
    source.start();
    for (const step of list) await step(world);
    look(world);
    for (const file of files) {
      const got = sink.lines.filter((line) => numbers[line.source] === file.path).map(({ text }) => text);
      const ours = got.filter((text) => !text.startsWith('late ') && text !== '' && !world.late.includes(text));
      expect(new Set(ours).size, 'no line comes twice').toBe(ours.length);
      const wanted = file.lines.filter((line) => line.certain || ours.includes(line.text));
      expect(ours, file.path).toEqual(wanted.map(({ text }) => text));
    }
    const late = sink.texts().filter((text) => text.startsWith('late '));
    expect(late.sort()).toEqual(world.late.filter((text) => text.startsWith('late ')).sort());
  } finally {
    source.stop();
    for (const file of files) closeOld(file);
    rmSync(home, { recursive: true, force: true });
  }
}

const property = (Source: typeof FileSource) =>
  fc.asyncProperty(steps, fc.constantFrom(lineBytesMax + 4_096, inputBytes), (list, bufferBytes) =>
    everyLineOnce(list, bufferBytes, Source),
  );

describe('a followed file', () => {
  test('loses no line and repeats none', async () => {
    await fc.assert(property(FileSource), { numRuns: Number(process.env.FILE_SOURCE_RUNS ?? 150) });
  });

  test('the property catches a source that forgets rotated files, and one that misses truncation', async () => {
    const forgets = vi.spyOn(Reader.prototype, 'retire').mockImplementation((file) => {
      file.tail?.close();
      file.tail = null;
    });
    const forgotten = await fc.check(property(FileSource), { numRuns: 1_500, endOnFailure: true });
    forgets.mockRestore();
    const { read } = Tail.prototype;
    const misses = vi.spyOn(Tail.prototype, 'read').mockImplementation(function (this: Tail, ...rest) {
      this.seekTo(this.position, { hash: 0, length: 0 });
      return read.apply(this, rest);
    });
    const missed = await fc.check(property(FileSource), { numRuns: 1_500, endOnFailure: true });
    misses.mockRestore();
    expect([forgotten.failed, missed.failed]).toEqual([true, true]);
  });
});
