/**
 * A log is written anew again and again, in its place and with its content, and its writer is ahead
 * of the source. A ring log loses its first lines that way. Between two rewrites the log may be
 * renamed, removed, replaced by a symbolic link, or cut. Every line is fed exactly once, however
 * late and in whatever portions the source hears the events.
 *
 * The files and the kernel's events are real. The test decides only when the events are handed
 * over. It does nothing that no reader could survive: the first lines are dropped, and a file is
 * removed or cut, only once all of that was read.
 */
import {
  closeSync,
  ftruncateSync,
  mkdtempSync,
  openSync,
  renameSync,
  rmSync,
  symlinkSync,
  unlinkSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { describe, expect, test, vi } from 'vitest';
import { fingerprintBytesMax, lingerMs, retiredTailsMax } from '../../src/limits.ts';
import type { FileSource } from '../../src/sources/file.ts';
import { Tail } from '../../src/sources/tail.ts';
import { CollectingSink } from '../support/collecting-sink.ts';
import { type LateEvents, lateSource } from '../support/late-events.ts';

/** Bytes of a line, its line feed included. */
const lineBytes = 64;

class World {
  readonly home = mkdtempSync(join(tmpdir(), 'rewrites-'));
  readonly log = join(this.home, 'app.log');
  readonly sink = new CollectingSink();
  readonly source: FileSource;
  readonly events: LateEvents;
  written = 0;
  #seconds = 0;
  #file: number;
  /** The file that was renamed last. Its writer still has it open. */
  #before = -1;
  #olds = 0;
  /** Files that have been at the path since then. */
  #replaced = 0;
  /** Lines that the log holds now. */
  #lines: string[] = [];
  /**
   * This many lines may be dropped: less than half of those that had been read at the last look of
   * the source, and none of those by which it recognises the text.
   */
  #spare = 0;

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
    if (this.#before >= 0) for (let line = 0; line < count; line++) this.#writeTo(this.#before);
  }

  /**
   * Writes the text of the log again in its place, without some of its first lines and with new
   * lines at the end.
   */
  rewrite(dropped: number, more: number): void {
    const first = Math.min(dropped, this.#spare);
    this.#lines = this.#lines.slice(first);
    this.#spare -= first;
    writeFileSync(`${this.home}/new`, this.#lines.map((line) => `${line}\n`).join(''));
    this.#replace();
    this.write(more);
  }

  /** The path becomes a link to a file that holds the text of the log. */
  lead(): void {
    const target = join(this.home, `target-${++this.#olds}`);
    writeFileSync(target, this.#lines.map((line) => `${line}\n`).join(''));
    symlinkSync(target, `${this.home}/new`);
    renameSync(`${this.home}/new`, this.log);
    this.#open();
  }

  /** The log is renamed to a place where nobody looks, and a new one begins. */
  rotate(): void {
    renameSync(this.log, join(this.home, `old-${++this.#olds}`));
    this.#forget();
    this.#before = this.#file;
    this.#replaced = 0;
    this.#lines = [];
    this.#spare = 0;
    this.#file = openSync(this.log, 'a');
  }

  /** The log is removed once it was read. */
  remove(): void {
    this.look();
    unlinkSync(this.log);
    this.#lines = [];
    this.#spare = 0;
    this.#open();
  }

  cut(): void {
    this.look();
    ftruncateSync(this.#file);
    this.#lines = [];
    this.#spare = 0;
  }

  /** After a minute no writer is late any more. Every poll hears all events. */
  poll(seconds: number): void {
    if (seconds * 1_000 >= lingerMs) {
      this.#forget();
      this.events.hear(Number.POSITIVE_INFINITY);
    }
    this.#seconds += seconds;
    this.source.poll();
  }

  look(): void {
    for (let turn = 0; turn < 3; turn++) {
      this.events.hear(Number.POSITIVE_INFINITY);
      this.source.drain();
    }
    const read = this.#lines.length;
    this.#spare = Math.max(0, Math.min(Math.ceil(read / 2) - 1, read - Math.ceil(fingerprintBytesMax / lineBytes)));
  }

  judge(): void {
    for (let turn = 0; turn < 4; turn++) {
      this.look();
      this.poll(1);
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
    this.#forget();
    rmSync(this.home, { recursive: true });
  }

  /** After this many files, too, no writer is late any more. */
  #forget(): void {
    if (this.#before >= 0) closeSync(this.#before);
    this.#before = -1;
  }

  #replace(): void {
    renameSync(`${this.home}/new`, this.log);
    this.#open();
  }

  #open(): void {
    if (++this.#replaced >= retiredTailsMax) this.#forget();
    closeSync(this.#file);
    this.#file = openSync(this.log, 'a');
  }

  #writeTo(file: number): string {
    const line = `line ${this.written++} `.padEnd(lineBytes - 1, '.');
    writeSync(file, `${line}\n`);
    return line;
  }
}

interface Step {
  act(world: World): void;
  toString(): string;
}

const few = fc.integer({ min: 1, max: 5 });
const of = <Value>(weight: number, value: fc.Arbitrary<Value>, act: (world: World, value: Value) => void) => ({
  weight,
  arbitrary: value.map(
    (given): Step => ({
      act: (world) => act(world, given),
      toString: () => `${act} of ${given}`,
    }),
  ),
});
const always = fc.constant(null);
const rewriting = fc.tuple(fc.nat(20), fc.nat(3));

const step = fc.oneof(
  of(5, fc.integer({ min: 1, max: 20 }), (world, count) => world.write(count)),
  of(6, rewriting, (world, [dropped, more]) => world.rewrite(dropped, more)),
  of(4, fc.nat(12), (world, count) => world.events.hear(count)),
  of(4, fc.tuple(few, rewriting), (world, [count, [dropped, more]]) => {
    world.events.meanwhile = () => {
      for (let time = 0; time < count; time++) world.rewrite(dropped, more);
    };
    world.events.hear(Number.POSITIVE_INFINITY);
  }),
  of(2, few, (world, count) => world.writeLate(count)),
  of(2, always, (world) => world.look()),
  of(1, fc.constantFrom(1, 70), (world, seconds) => world.poll(seconds)),
  of(1, always, (world) => world.source.rescan()),
  of(1, always, (world) => world.lead()),
  of(1, always, (world) => world.rotate()),
  of(1, always, (world) => world.remove()),
  of(1, always, (world) => world.cut()),
);

function everyLineOnce(pattern: string, steps: readonly Step[]): void {
  const world = new World(pattern);
  try {
    for (const { act } of steps) act(world);
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

const runs = Number(process.env.REWRITE_RUNS ?? 100);

describe('a log that is rewritten faster than its events are heard', () => {
  test('loses no line and repeats none', () => {
    fc.assert(property, { numRuns: runs });
  }, 1_200_000);

  test('the property catches a source that asks too early how far it read, and one that recognises no text', () => {
    const { replaces } = Tail.prototype;
    const asks = vi.spyOn(Tail.prototype, 'replaces').mockImplementation(function (this: Tail, others) {
      const now = others.map((old) => ({ position: old.position, ...old.fingerprint() }));
      replaces.call(this, now as unknown as Tail[]);
    });
    const asked = fc.check(property, { numRuns: 300, endOnFailure: true });
    asks.mockRestore();
    const forgets = vi.spyOn(Tail.prototype, 'replaces').mockImplementation(() => {});
    const forgotten = fc.check(property, { numRuns: 300, endOnFailure: true });
    forgets.mockRestore();
    expect([asked.failed, forgotten.failed]).toEqual([true, true]);
  }, 120_000);
});
