/**
 * Which files are followed, on the clock of the test and without any event: what the poll finds,
 * how often names are looked at, and what is said of paths for which there is no room.
 */
import { appendFileSync, mkdirSync, mkdtempSync, renameSync, rmSync, unlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setImmediate as turn } from 'node:timers/promises';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { fileRetryMs, pollFilesMax, rescanMs, rescanRests } from '../../src/limits.ts';
import { type FileEvent, FileSource, type FileSourceOptions } from '../../src/sources/file.ts';
import type { Events } from '../../src/sources/inotify.ts';
import { CollectingSink } from '../support/collecting-sink.ts';

let home: string;
const sources: FileSource[] = [];
beforeEach(() => {
  home = mkdtempSync(join(tmpdir(), 'followed-'));
});
afterEach(() => {
  for (const source of sources.splice(0)) source.stop();
  vi.useRealTimers();
  rmSync(home, { recursive: true, force: true });
});

/** Watches everything and hears nothing. */
class Deaf implements Events {
  readonly drained = true;
  readonly watched = new Set<string>();
  add(path: string) {
    this.watched.add(path);
    return { close: () => void this.watched.delete(path) };
  }
  read(): boolean {
    return false;
  }
  close(): void {}
}

/** A source whose timer does not run: the test polls. */
function follow(patterns: string[], options: Partial<FileSourceOptions> = {}) {
  vi.useFakeTimers({ toFake: ['setInterval', 'clearInterval', 'setTimeout', 'clearTimeout'] });
  const sink = new CollectingSink();
  const events: FileEvent[] = [];
  const released: number[] = [];
  /** `step`: what each look at the clock takes, ms. */
  const clock = { ms: 0, step: 0 };
  let numbers = 0;
  const source = new FileSource({
    patterns,
    assign: (_path, _patterns, previous) => (previous >= 0 ? previous : numbers++),
    release: (number) => released.push(number),
    now: () => 1_700_000_000,
    monotonic: () => {
      clock.ms += clock.step;
      return clock.ms;
    },
    drain: () => sink.drain(),
    event: (event) => events.push(event),
    events: () => new Deaf(),
    sink,
    ...options,
  });
  sources.push(source);
  source.start();
  const poll = async (): Promise<void> => {
    source.poll();
    for (let turns = 0; turns < 5; turns++) await turn();
  };
  return { source, sink, events, released, clock, poll };
}

const at = (name: string): string => join(home, name);
const said = (events: FileEvent[]): string[] =>
  events.splice(0).map(({ kind, path, detail }) => `${kind} ${path.slice(home.length + 1)} ${detail}`.trim());

describe('a poll', () => {
  test('looks at so many watched files in turn, and comes back to the first', async () => {
    const files = pollFilesMax + 10;
    const names = Array.from({ length: files }, (_, n) => `${n}`.padStart(4, '0'));
    for (const name of names) writeFileSync(at(name), '');
    const { sink, poll } = follow([at('*')]);
    for (const name of names) appendFileSync(at(name), `${name}\n`);
    await turn();
    sink.lines.length = 0;
    for (const name of names) appendFileSync(at(name), `${name} again\n`);
    await poll();
    expect(sink.lines.length).toBe(pollFilesMax);
    await poll();
    expect(new Set(sink.texts()).size).toBe(files);
    sink.lines.length = 0;
    appendFileSync(at(names[0]!), 'once more\n');
    await poll();
    expect(sink.texts()).toEqual(['once more']);
  });

  test('finds a rotation, and reads the old file before the new one', async () => {
    writeFileSync(at('log'), '');
    const { sink, events, poll, source } = follow([at('log')]);
    appendFileSync(at('log'), 'old\n');
    renameSync(at('log'), at('log.1'));
    writeFileSync(at('log'), 'new\n');
    await poll();
    expect(sink.texts()).toEqual(['old', 'new']);
    expect(said(events)).toEqual(['appeared log', 'rotated log']);
    expect(source.counters.rotations).toBe(1);
    // Both are saved: late lines of the old one are not lost at a restart.
    expect(source.positions().map(({ path, offset }) => [path, offset])).toEqual([
      [at('log'), 4],
      [at('log'), 4],
    ]);
  });

  test('says that a file is gone, and that it is there again', async () => {
    writeFileSync(at('log'), '');
    const { events, poll, source } = follow([at('log')]);
    unlinkSync(at('log'));
    await poll();
    expect(source.status()).toMatchObject([{ path: at('log'), state: 'missing', offset: 0 }]);
    writeFileSync(at('log'), 'x\n');
    await poll();
    expect(said(events)).toEqual(['appeared log', 'vanished log', 'appeared log']);
    expect(source.status()).toMatchObject([{ path: at('log'), state: 'reading', offset: 2 }]);
  });
});

describe('names', () => {
  test('are looked at every few seconds', async () => {
    const { sink, clock, poll } = follow([at('*.log')]);
    writeFileSync(at('a.log'), 'a\n');
    clock.ms = rescanMs - 1;
    await poll();
    expect(sink.texts()).toEqual([]);
    clock.ms = rescanMs;
    await poll();
    expect(sink.texts()).toEqual(['a']);
  });

  test('are looked at less often if that takes long', async () => {
    const { sink, clock, poll, source } = follow([at('*.log')]);
    writeFileSync(at('a.log'), '');
    clock.step = 100;
    source.rescan();
    clock.step = 0;
    writeFileSync(at('b.log'), 'b\n');
    const from = clock.ms;
    clock.ms = from + rescanRests.unasked * 100 - 1;
    await poll();
    expect(sink.texts()).toEqual([]);
    clock.ms = from + rescanRests.unasked * 10_000;
    await poll();
    expect(sink.texts()).toEqual(['b']);
  });

  test('that come are looked at soon, but not all the time', async () => {
    writeFileSync(at('log'), '');
    const { events, clock, poll, source } = follow([at('log'), at('other')]);
    clock.step = 10;
    source.rescan();
    clock.step = 0;
    said(events);
    unlinkSync(at('log'));
    await poll();
    expect(vi.getTimerCount()).toBe(2);
    writeFileSync(at('other'), '');
    vi.advanceTimersByTime(rescanRests.asked * 10 - 1);
    expect(said(events)).toEqual(['vanished log']);
    vi.advanceTimersByTime(rescanRests.asked * 1_000);
    expect(said(events)).toEqual(['appeared other']);
    // One look for all of them, and none after the stop.
    source.stop();
    expect(vi.getTimerCount()).toBe(0);
  });

  test('of a directory that cannot be read are said once for each', async () => {
    writeFileSync(at('file'), '');
    mkdirSync(at('there'));
    const { events, poll, clock, source } = follow([at('file/*'), at('there/*'), at('file/deeper/*')]);
    const before = said(events);
    for (let round = 1; round < 3; round++) {
      clock.ms += rescanMs;
      await poll();
    }
    expect(said(events)).toEqual([]);
    expect(before.filter((text) => text.startsWith('error'))).toHaveLength(new Set(before).size);
    expect(source.problems()).toEqual([]);
  });
});

describe('room', () => {
  test('of too many files the first that found none is said, again once it was full anew', async () => {
    for (const name of ['a', 'b', 'c']) writeFileSync(at(name), '');
    const { events, clock, poll, source, released } = follow([at('*')], { filesMax: 2 });
    expect(said(events)).toEqual(['error c more than 2 files fit; not followed', 'appeared a', 'appeared b']);
    expect([source.refused, source.problems()]).toEqual([
      1,
      ['1 log files found no room: more than can be followed at once'],
    ]);
    clock.ms += rescanMs;
    await poll();
    expect(said(events)).toEqual([]);
    unlinkSync(at('a'));
    await poll();
    clock.ms += 20 * rescanMs;
    await poll();
    clock.ms += 20 * rescanMs;
    await poll();
    expect(said(events)).toEqual(['vanished a', 'appeared c']);
    expect([source.refused, source.problems(), released]).toEqual([0, [], [0]]);
    writeFileSync(at('d'), '');
    clock.ms += 40 * rescanMs;
    await poll();
    expect(said(events)).toEqual(['error d more than 2 files fit; not followed']);
  });

  test('a path for which no number is free is said once, and the others are followed', async () => {
    for (const name of ['a', 'b', 'c']) writeFileSync(at(name), '');
    const { events, source, sink, poll } = follow([at('*')], {
      assign: (path, _patterns, previous) => (previous >= 0 ? previous : path.endsWith('b') ? 7 : -1),
    });
    expect(said(events)).toEqual(['error a no source number is free for it; not followed', 'appeared b']);
    appendFileSync(at('b'), 'x\n');
    await poll();
    expect([sink.texts(7), source.status().map(({ source }) => source)]).toEqual([['x'], [7]]);
  });
});

test('what fails is tried again after pauses that double, and its counter goes on', async () => {
  mkdirSync(at('log'));
  const { events, source, clock, poll } = follow([at('log')]);
  const why = 'is a directory; only regular files are followed';
  expect(said(events)).toEqual([`error log ${at('log')} ${why}`]);
  expect(source.status()).toMatchObject([{ state: 'failed', detail: `${at('log')} ${why}` }]);
  expect(source.problems()).toEqual([`${at('log')}: ${at('log')} ${why}`]);
  let from = 0;
  for (const [attempt, pause] of [fileRetryMs, 2 * fileRetryMs, 4 * fileRetryMs].entries()) {
    clock.ms = from + pause - 1;
    await poll();
    expect(source.counters.errors).toBe(attempt + 1);
    clock.ms = from + pause;
    await poll();
    expect(source.counters.errors).toBe(attempt + 2);
    from = clock.ms;
  }
  expect(said(events)).toEqual([]);
  rmSync(at('log'), { recursive: true });
  writeFileSync(at('log'), 'x\n');
  clock.ms = from + 8 * fileRetryMs;
  await poll();
  expect([said(events), source.problems()]).toEqual([['appeared log'], []]);
});
