/**
 * A log is renamed again and again, and its writer is ahead of the source. The source hears events
 * in portions, long after they happened, when the names already belong to other files. Even so,
 * every line is fed exactly once, through writes to the old file, cuts and removals.
 *
 * The files and the kernel's events are real. The test decides only when the events are handed
 * over.
 */
import {
  closeSync,
  existsSync,
  ftruncateSync,
  mkdtempSync,
  openSync,
  renameSync,
  rmSync,
  unlinkSync,
  writeSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { describe, expect, test, vi } from 'vitest';
import { Directories } from '../../src/sources/directories.ts';
import type { FileSource } from '../../src/sources/file.ts';
import { Tail } from '../../src/sources/tail.ts';
import { CollectingSink } from '../support/collecting-sink.ts';
import { type LateEvents, lateSource } from '../support/late-events.ts';

class World {
  readonly home = mkdtempSync(join(tmpdir(), 'renames-'));
  readonly log = join(this.home, 'app.log');
  readonly sink = new CollectingSink();
  readonly source: FileSource;
  readonly events: LateEvents;
  written = 0;
  #seconds = 0;
  #file = -1;
  #before = -1;
  /** Lines of each old file, the youngest first, as in `app.log.1` and so on. */
  #old: string[][] = [];
  #lines: string[] = [];

  constructor(pattern: string) {
    this.#file = openSync(this.log, 'a');
    const made = lateSource(join(this.home, pattern), this.sink, () => this.#seconds);
    this.source = made.source;
    this.events = made.events;
  }

  write(count: number): void {
    for (let line = 0; line < count; line++) this.#lines.push(this.#writeTo(this.#file));
  }

  /** The writer of the file that was renamed last continues to write. */
  writeLate(count: number): void {
    if (this.#before < 0) return;
    for (let line = 0; line < count; line++) this.#old[0]!.push(this.#writeTo(this.#before));
  }

  rotate(): void {
    for (let age = this.#old.length; age > 0; age--) renameSync(`${this.log}.${age}`, `${this.log}.${age + 1}`);
    renameSync(this.log, `${this.log}.1`);
    if (this.#before >= 0) closeSync(this.#before);
    this.#before = this.#file;
    this.#old.unshift(this.#lines);
    this.#lines = [];
    this.#file = openSync(this.log, 'a');
  }

  /** Removes old files once they were read, as logrotate removes the last one. */
  remove(): void {
    const read = new Set(this.sink.texts());
    while (this.#old.length > 2 && this.#old.at(-1)!.every((line) => read.has(line))) {
      unlinkSync(`${this.log}.${this.#old.length}`);
      this.#old.pop();
    }
  }

  cut(): void {
    this.look();
    ftruncateSync(this.#file);
  }

  poll(): void {
    this.#seconds++;
    this.source.poll();
  }

  look(): void {
    for (let turn = 0; turn < 3; turn++) {
      this.events.hear(Number.POSITIVE_INFINITY);
      this.source.drain();
    }
  }

  judge(): void {
    for (let turn = 0; turn < 4; turn++) {
      this.look();
      this.poll();
    }
    const lines = this.sink.texts();
    expect(
      lines.filter((line, at) => lines.indexOf(line) !== at),
      'lines that came twice',
    ).toEqual([]);
    expect(lines.length, 'lines that were read').toBe(this.written);
  }

  end(): void {
    this.source.stop();
    closeSync(this.#file);
    if (this.#before >= 0) closeSync(this.#before);
    if (existsSync(this.home)) rmSync(this.home, { recursive: true });
  }

  #writeTo(file: number): string {
    const line = `line ${this.written++}`;
    writeSync(file, `${line}\n`);
    return line;
  }
}

type Step = (world: World) => void;

const few = fc.integer({ min: 1, max: 5 });
const step = fc.oneof(
  {
    weight: 5,
    arbitrary: few.map(
      (count): Step =>
        (world) =>
          world.write(count),
    ),
  },
  { weight: 5, arbitrary: fc.constant<Step>((world) => world.rotate()) },
  {
    weight: 2,
    arbitrary: few.map(
      (count): Step =>
        (world) =>
          world.writeLate(count),
    ),
  },
  {
    weight: 4,
    arbitrary: fc.nat(30).map(
      (count): Step =>
        (world) =>
          world.events.hear(count),
    ),
  },
  {
    weight: 4,
    arbitrary: few.map(
      (count): Step =>
        (world) => {
          world.events.meanwhile = () => {
            for (let rotation = 0; rotation < count; rotation++) {
              world.write(1);
              world.rotate();
            }
          };
          world.events.hear(Number.POSITIVE_INFINITY);
        },
    ),
  },
  { weight: 1, arbitrary: fc.constant<Step>((world) => world.poll()) },
  { weight: 1, arbitrary: fc.constant<Step>((world) => world.source.rescan()) },
  { weight: 1, arbitrary: fc.constant<Step>((world) => world.remove()) },
  { weight: 1, arbitrary: fc.constant<Step>((world) => world.cut()) },
);

function everyLineOnce(pattern: string, steps: readonly Step[]): void {
  const world = new World(pattern);
  try {
    for (const act of steps) act(world);
    world.judge();
  } finally {
    world.end();
  }
}

const property = fc.property(
  fc.constantFrom('app.log', 'app.log*'),
  fc.array(step, { maxLength: 60, size: 'max' }),
  everyLineOnce,
);

const runs = Number(process.env.RENAME_RUNS ?? 100);

describe('a log that is renamed faster than its events are heard', () => {
  test('loses no line and repeats none', () => {
    fc.assert(property, { numRuns: runs });
  }, 1_200_000);

  test('the property catches a source that trusts the first name it finds, and one that recognises no file', () => {
    const { settle } = Directories.prototype;
    const believes = vi.spyOn(Directories.prototype, 'settle').mockImplementation(function (
      this: Directories<unknown>,
      isPoll,
    ) {
      settle.call(this, isPoll);
      settle.call(this, isPoll);
    });
    const believed = fc.check(property, { numRuns: 300, endOnFailure: true });
    believes.mockRestore();
    const forgets = vi.spyOn(Tail.prototype, 'seekTo').mockImplementation(() => false);
    const forgotten = fc.check(property, { numRuns: 300, endOnFailure: true });
    forgets.mockRestore();
    expect([believed.failed, forgotten.failed]).toEqual([true, true]);
  }, 120_000);
});
