/**
 * Which files are followed, on the clock of the test and without any event: what the poll finds,
 * how often names are looked at, and what is said of paths for which there is no room.
 */
import {
  appendFileSync,
  chmodSync,
  closeSync,
  linkSync,
  mkdirSync,
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
import { setImmediate as turn } from 'node:timers/promises';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import {
  fileRetryMs,
  gatherMs,
  gatherWakes,
  lingerMs,
  pollFilesMax,
  pollMs,
  quietLookMs,
  rescanMs,
  rescanRests,
  weekHours,
} from '../../src/limits.ts';
import { type FileEvent, FileSource, type FileSourceOptions } from '../../src/sources/file.ts';
import { type Events, type EventsOptions, IN_MODIFY } from '../../src/sources/inotify.ts';
import { mounts } from '../../src/sources/place.ts';
import { Silence } from '../../src/sources/silence.ts';
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
  test('sees a mount that came since, and touches nothing on it', async () => {
    writeFileSync(at('a.log'), 'one\n');
    const { source, poll } = follow([at('a.log')]);
    expect(source.status()).toMatchObject([{ state: 'reading' }]);
    const real = mounts.refresh.bind(mounts);
    const table = () => `36 35 0:50 / ${home} rw - nfs4 server:/export rw\n`;
    const refresh = vi.spyOn(mounts, 'refresh').mockImplementation(() => real(table));
    try {
      await poll();
      expect(source.status()).toMatchObject([{ detail: expect.stringContaining('is nfs4 and may hang') }]);
    } finally {
      refresh.mockRestore();
      mounts.refresh();
    }
  });

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

describe('the turn of the poll', () => {
  test('begins anew where it ended exactly with the last file, and passes over none that is missing', async () => {
    const names = Array.from({ length: pollFilesMax }, (_, n) => `${n}.log`.padStart(8, '0'));
    for (const name of names) writeFileSync(at(name), '');
    const { sink, poll } = follow([at('*.log'), at('missing')]);
    await turn();
    await poll();
    writeFileSync(at('missing'), 'here\n');
    await poll();
    expect(sink.texts()).toEqual(['here']);
    for (const name of names) appendFileSync(at(name), `${name}\n`);
    await poll();
    await poll();
    expect(sink.texts()).toHaveLength(pollFilesMax + 1);
    const exact = follow([at('*.log')]);
    await turn();
    await exact.poll();
    for (const name of names) appendFileSync(at(name), 'again\n');
    await exact.poll();
    expect(exact.sink.texts()).toEqual(names.map(() => 'again'));
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

describe('a reload', () => {
  test('numbers every file anew before anything is opened or closed', () => {
    for (const name of ['a', 'b', 'c']) writeFileSync(at(name), 'old\n');
    const order: string[] = [];
    let numbers = 0;
    const { source, events } = follow([at('a'), at('b'), at('*')], {
      assign: (path, patterns, previous) => {
        order.push(`${path.slice(home.length + 1)} ${patterns} ${previous}`);
        return previous >= 0 ? previous : numbers++;
      },
      release: (number) => order.push(`released ${number}`),
      event: ({ kind, path }) => order.push(`${kind} ${path.slice(home.length + 1)}`),
    });
    expect(order.splice(0)).toEqual(['a 0,2 -1', 'b 1,2 -1', 'c 2 -1', 'appeared a', 'appeared b', 'appeared c']);
    writeFileSync(at('new'), 'old\n');
    source.setPatterns([at('a'), '', at('b'), at('new')], () => order.push('assigned'));
    expect(order).toEqual(['a 0,2 0', 'b 2 1', 'c 2 2', 'assigned', 'released 2', 'a 0 0', 'new 3 -1', 'appeared new']);
    expect(events).toEqual([]);
  });

  test('begins a file that joins at its end, and one that comes later at its start', async () => {
    for (const name of ['a', 'b']) writeFileSync(at(name), 'old\n');
    const { source, sink, clock, poll } = follow([at('a')]);
    source.setPatterns([at('a'), at('b'), at('c')]);
    for (const name of ['a', 'b']) appendFileSync(at(name), `${name} new\n`);
    writeFileSync(at('c'), 'c new\n');
    clock.ms += rescanMs;
    await poll();
    expect(sink.texts().sort()).toEqual(['a new', 'b new', 'c new']);
  });

  test('tells which paths may lie on file systems that can hang, and the table of mounts is read at each look', () => {
    const allow = vi.spyOn(mounts, 'allow');
    const refresh = vi.spyOn(mounts, 'refresh');
    try {
      const { source } = follow([at('a'), at('b')], { network: (pattern) => pattern === 1 });
      expect(allow.mock.calls).toEqual([[[at('b')]]]);
      expect(refresh).toHaveBeenCalledTimes(1);
      source.setPatterns([at('c'), at('d'), at('e')]);
      expect(allow.mock.calls.slice(1)).toEqual([[[at('d')]]]);
      source.rescan();
      expect(refresh).toHaveBeenCalledTimes(3);
      source.poll();
      expect(refresh).toHaveBeenCalledTimes(4);
    } finally {
      allow.mockRestore();
      refresh.mockRestore();
    }
    expect(() => follow([at('a')])).not.toThrow();
  });

  test('goes on reading a file whose first name it lets go, under the other', async () => {
    writeFileSync(at('a'), 'old\n');
    linkSync(at('a'), at('b'));
    const { source, sink, events, released, poll } = follow([at('a'), at('b')]);
    appendFileSync(at('a'), 'one\n');
    await poll();
    expect(said(events)).toEqual(['appeared a']);
    source.setPatterns(['', at('b')]);
    expect([said(events), released]).toEqual([['appeared b'], [0]]);
    appendFileSync(at('b'), 'two\n');
    await poll();
    expect(sink.texts()).toEqual(['one', 'two']);
    expect(source.status()).toMatchObject([{ path: at('b'), state: 'reading', offset: 12 }]);
  });
});

describe('a file that changes its name unheard', () => {
  test('is read on under its new name, once, by the jail that read it', async () => {
    writeFileSync(at('a'), 'old\n');
    const { sink, events, poll, source } = follow([at('a'), at('b')]);
    appendFileSync(at('a'), 'one\n');
    await poll();
    renameSync(at('a'), at('b'));
    appendFileSync(at('b'), 'two\n');
    await poll();
    await poll();
    expect(sink.texts()).toEqual(['one', 'two']);
    expect(said(events)).toEqual(['appeared a', 'vanished a', 'appeared b']);
    expect(source.status().map(({ state, offset }) => [state, offset])).toEqual([
      ['missing', 0],
      ['reading', 12],
    ]);
    appendFileSync(at('b'), 'three\n');
    await poll();
    expect(sink.texts(1)).toEqual(['two', 'three']);
  });

  test('is read from its start by the jail that did not read it, when the other has let it go', async () => {
    writeFileSync(at('a'), '');
    const { sink, clock, poll } = follow([at('a'), at('b')], { jailOf: (pattern) => pattern });
    appendFileSync(at('a'), 'one\n');
    await poll();
    renameSync(at('a'), at('b'));
    await poll();
    expect(sink.texts()).toEqual(['one']);
    clock.ms += lingerMs + 1;
    for (let polls = 0; polls < 3; polls++) await poll();
    expect([sink.texts(0), sink.texts(1)]).toEqual([['one'], ['one']]);
  });

  test('and comes back after it was let go is read on where reading ended', async () => {
    mkdirSync(at('away'));
    writeFileSync(at('app.log'), '');
    const { sink, events, released, clock, poll, source } = follow([at('*.log')]);
    appendFileSync(at('app.log'), 'one\n');
    await poll();
    renameSync(at('app.log'), at('away/app'));
    await poll();
    expect(source.status()).toMatchObject([{ state: 'missing' }]);
    clock.ms += lingerMs - 1;
    await poll();
    expect(released).toEqual([]);
    clock.ms += 1;
    await poll();
    expect([released, source.status(), source.positions()]).toEqual([[0], [], []]);
    appendFileSync(at('away/app'), 'two\n');
    renameSync(at('away/app'), at('again.log'));
    clock.ms += rescanMs;
    await poll();
    expect(sink.texts()).toEqual(['one', 'two']);
    expect(said(events)).toEqual(['appeared app.log', 'vanished app.log', 'appeared again.log']);
  });

  test('gives its name to another file, which is read from its start, and is itself read on', async () => {
    for (const name of ['a.log', 'b.log']) writeFileSync(at(name), '');
    const { sink, poll, source } = follow([at('*.log')]);
    for (const name of ['a.log', 'b.log']) appendFileSync(at(name), `${name} 1\n`);
    await poll();
    // a.log becomes b.log, and b.log becomes c.log.
    renameSync(at('b.log'), at('c.log'));
    renameSync(at('a.log'), at('b.log'));
    writeFileSync(at('a.log'), 'new\n');
    for (const name of ['b.log', 'c.log']) appendFileSync(at(name), `${name} 2\n`);
    for (let polls = 0; polls < 3; polls++) {
      source.rescan();
      await poll();
    }
    expect(sink.texts().sort()).toEqual(['a.log 1', 'b.log 1', 'b.log 2', 'c.log 2', 'new']);
    expect(source.status().map(({ path, state }) => [path.slice(home.length + 1), state])).toEqual([
      ['a.log', 'reading'],
      ['b.log', 'reading'],
      ['c.log', 'reading'],
    ]);
  });
});

describe('a file of a glob that is gone', () => {
  test('keeps its number while a late writer may come, and gives it back afterwards', async () => {
    writeFileSync(at('a.log'), '');
    const { source, sink, released, clock, poll } = follow([at('*.log')]);
    const writer = openSync(at('a.log'), 'a');
    unlinkSync(at('a.log'));
    source.rescan();
    await poll();
    writeSync(writer, 'late\nunfinished');
    clock.ms += lingerMs - 1;
    source.rescan();
    await poll();
    expect([sink.texts(), released]).toEqual([['late'], []]);
    closeSync(writer);
    clock.ms += 1;
    await poll();
    expect([sink.texts(), released, source.status()]).toEqual([['late', 'unfinished'], [0], []]);
  });

  test('is not the end of one that is named without a wildcard', async () => {
    writeFileSync(at('a.log'), '');
    const { source, released, clock, poll } = follow([at('a.log'), at('*.log')]);
    unlinkSync(at('a.log'));
    for (let polls = 0; polls < 3; polls++) {
      clock.ms += lingerMs;
      await poll();
    }
    expect([released, source.status()]).toMatchObject([[], [{ path: at('a.log'), state: 'missing' }]]);
  });
});

describe('watches', () => {
  /** Keeps which paths are watched, and refuses those of files if asked to. */
  class Counted extends Deaf {
    readonly masks: number[] = [];
    refuses = false;
    override add(path: string, mask = 0) {
      if (this.refuses && mask === IN_MODIFY) throw new Error('ENOSPC: no space left on device, inotify_add_watch');
      this.masks.push(mask);
      return super.add(path);
    }
  }

  test('are one for a file and one for its directory, and that of a link’s target', () => {
    for (const name of ['logs', 'target']) mkdirSync(at(name));
    writeFileSync(at('target/x'), '');
    writeFileSync(at('logs/a'), '');
    symlinkSync('../target/x', at('logs/b'));
    const events = new Counted();
    const { source } = follow([at('logs/*')], { events: () => events });
    expect(events.masks.filter((mask) => mask === IN_MODIFY)).toHaveLength(2);
    expect([events.masks.length, source.watched]).toEqual([4, 2]);
    source.stop();
    expect(events.watched.size).toBe(0);
  });

  test('that are refused are said once, for however many files, and these are polled', async () => {
    for (const name of ['a', 'b']) writeFileSync(at(name), '');
    const counted = new Counted();
    counted.refuses = true;
    const { events, sink, poll } = follow([at('a'), at('b')], { events: () => counted });
    const refused = 'not watched, polled instead: ENOSPC: no space left on device, inotify_add_watch';
    expect(said(events)).toEqual([`error a ${refused}`, 'appeared a', 'appeared b']);
    for (const name of ['a', 'b']) appendFileSync(at(name), `${name}\n`);
    await poll();
    expect(sink.texts()).toEqual(['a', 'b']);
  });
});

describe('a directory', () => {
  test('that may not be read is said once, and counted each time', () => {
    mkdirSync(at('shut'));
    writeFileSync(at('shut/a.log'), '');
    chmodSync(home, 0o755);
    chmodSync(at('shut'), 0o711);
    const effective = process.geteuid!();
    process.seteuid!(65_534);
    try {
      const { source, events } = follow([at('shut/*.log')]);
      source.rescan();
      const detail = 'EACCES: permission denied, opendir';
      expect(events).toEqual([{ kind: 'error', path: at('shut'), source: -1, offset: 0, detail }]);
      expect(source.counters.errors).toBe(2);
    } finally {
      process.seteuid!(effective);
    }
  });

  test('that cannot be watched is said, and polled', async () => {
    const refusing = new Deaf();
    refusing.add = () => {
      throw new Error('ENOSPC: no space left on device, inotify_add_watch');
    };
    const { events, sink, clock, poll } = follow([at('*.log')], { events: () => refusing });
    const detail = 'not watched, polled instead: ENOSPC: no space left on device, inotify_add_watch';
    expect(events).toEqual([{ kind: 'error', path: home, source: -1, offset: 0, detail }]);
    writeFileSync(at('a.log'), 'one\n');
    clock.ms += rescanMs;
    await poll();
    expect(sink.texts()).toEqual(['one']);
  });
});

describe('a file of several names', () => {
  test('goes to the jails of all of them, in their order, and of those that are left', async () => {
    writeFileSync(at('a'), '');
    linkSync(at('a'), at('b'));
    linkSync(at('a'), at('c'));
    const fits: string[] = [];
    const { source, sink, poll } = follow([at('b'), at('a'), at('c')], {
      assign: (path, patterns, previous) => {
        fits.push(`${path.slice(home.length + 1)} ${patterns}`);
        return Math.max(0, previous);
      },
    });
    expect(fits.splice(0)).toEqual(['b 0', 'a 1', 'c 2', 'b 0,1', 'b 0,1,2']);
    unlinkSync(at('c'));
    await poll();
    expect(fits.splice(0)).toEqual(['b 0,1']);
    // The first name goes to another file: the second reads on.
    writeFileSync(at('new'), 'new\n');
    renameSync(at('new'), at('b'));
    appendFileSync(at('a'), 'one\n');
    await poll();
    await poll();
    expect(fits.splice(0)).toEqual(['b 0']);
    expect(sink.texts().sort()).toEqual(['new', 'one']);
    expect(source.status().map(({ path, state }) => [path.slice(home.length + 1), state])).toEqual([
      ['b', 'reading'],
      ['a', 'reading'],
      ['c', 'missing'],
    ]);
  });

  test('for whose jails there is no room keeps those that it had, which is said once', async () => {
    writeFileSync(at('a'), '');
    linkSync(at('a'), at('b'));
    let numbers = 0;
    const { source, events } = follow([at('a'), at('b')], {
      assign: (_path, patterns, previous) => (previous < 0 ? numbers++ : patterns.length > 1 ? -1 : previous),
    });
    expect(said(events)).toEqual([
      'appeared a',
      'error a there is no room for what its jails have in common; not followed',
    ]);
    expect(source.status().map(({ source }) => source)).toEqual([0, 0]);
  });
});

describe('the source as a whole', () => {
  test('says which log fell silent, looks once a minute, and says when it is heard again', async () => {
    writeFileSync(at('log'), '');
    const sink = new CollectingSink();
    const now = 1_763_942_400;
    const history = {
      path: at('log'),
      since: now - 30 * 86_400,
      quietSeconds: 8 * 3_600,
      missed: 5_000,
      counts: new Float32Array(weekHours).fill(100),
    };
    const look = vi.spyOn(Silence.prototype, 'look');
    try {
      const { source, events, clock, poll } = follow([at('log'), at('missing')], {
        sink,
        histories: [history],
        lines: () => sink.lines.length,
        now: () => now,
      });
      await poll();
      const detail = 'quiet for 8 hours, 5000 lines at least were to be expected meanwhile';
      expect(events.splice(1)).toEqual([{ kind: 'quiet', path: at('log'), source: -1, offset: 0, detail }]);
      expect(source.problems()).toEqual([`${at('log')}: ${detail}`]);
      expect(source.status().map(({ quietSeconds }) => quietSeconds)).toEqual([8 * 3_600, 0]);
      expect(source.histories().map(({ path }) => path)).toEqual([at('log'), at('missing')]);
      expect(look.mock.calls).toEqual([[now, [at('log'), at('missing')]]]);
      clock.ms += quietLookMs - 1;
      await poll();
      expect(look).toHaveBeenCalledTimes(1);
      clock.ms += 1;
      await poll();
      expect(look).toHaveBeenCalledTimes(2);
      appendFileSync(at('log'), 'x\n');
      await poll();
      expect(events.splice(1)).toEqual([{ kind: 'heard', path: at('log'), source: -1, offset: 0, detail: '' }]);
      expect(source.problems()).toEqual([]);
    } finally {
      look.mockRestore();
    }
  });

  test('keeps no history where nobody counts lines', async () => {
    writeFileSync(at('log'), '');
    const { source, poll } = follow([at('log')]);
    await poll();
    expect([source.histories(), source.status()[0]!.quietSeconds]).toEqual([[], undefined]);
  });

  test('rests between wake-ups when they come one after the other, and counts them', () => {
    writeFileSync(at('log'), '');
    let options: EventsOptions | undefined;
    const deaf = new Deaf();
    let isAny = true;
    deaf.read = () => isAny;
    const { source } = follow([at('log')], {
      events: (given) => {
        options = given;
        return deaf;
      },
    });
    const rests = Array.from({ length: gatherWakes }, () => options!.woken());
    expect([rests.slice(0, -1), rests.at(-1)]).toEqual([Array(gatherWakes - 1).fill(0), gatherMs]);
    expect(source.counters.wakes).toBe(gatherWakes);
    isAny = false;
    expect([options!.woken(), source.counters.wakes]).toEqual([0, gatherWakes + 1]);
  });

  test('ends with its timer and its events', () => {
    writeFileSync(at('log'), '');
    const deaf = new Deaf();
    const close = vi.spyOn(deaf, 'close');
    const { source } = follow([at('log')], { events: () => deaf });
    expect([vi.getTimerCount(), deaf.watched.size]).toEqual([1, 2]);
    source.stop();
    source.stop();
    expect([vi.getTimerCount(), deaf.watched.size, close.mock.calls.length]).toEqual([0, 0, 1]);
    expect([source.status(), source.positions(), source.watched]).toEqual([[], [], 0]);
  });

  test('stands still while it is paused, and reads on where it stood', async () => {
    writeFileSync(at('log'), '');
    const { source, sink, poll } = follow([at('log')]);
    source.pause();
    appendFileSync(at('log'), 'one\n');
    await poll();
    expect(sink.texts()).toEqual([]);
    source.unpause();
    for (let turns = 0; turns < 5; turns++) await turn();
    expect(sink.texts()).toEqual(['one']);
  });

  test('polls by its timer', async () => {
    writeFileSync(at('log'), '');
    const { sink } = follow([at('log')]);
    appendFileSync(at('log'), 'one\n');
    vi.advanceTimersByTime(pollMs);
    for (let turns = 0; turns < 5; turns++) await turn();
    expect(sink.texts()).toEqual(['one']);
  });
});

test('what is said of no log has no source, and begins nowhere', () => {
  const error = { kind: 'error', source: -1, offset: 0 };
  const refused = (): never => {
    throw new Error('EMFILE');
  };
  writeFileSync(at('a.log'), '');
  writeFileSync(at('b.log'), '');
  expect(follow([at('a.log')], { events: refused }).events).toContainEqual({
    ...error,
    path: '',
    detail: 'not watched, polled instead: EMFILE',
  });
  expect(follow([at('*.log')], { filesMax: 1 }).events).toContainEqual({
    ...error,
    path: at('b.log'),
    detail: 'more than 1 files fit; not followed',
  });
  const add: Events['add'] = (_path, mask) => {
    if (mask === IN_MODIFY) throw new Error('ENOSPC');
    return { close() {} };
  };
  const { events } = follow([at('a.log')], { events: () => Object.assign(new Deaf(), { add }) });
  expect(events.filter(({ kind }) => kind === 'error')).toEqual([
    { ...error, path: at('a.log'), detail: 'not watched, polled instead: ENOSPC' },
  ]);
});

test('a look that was planned is planned once, and is given up at the stop', () => {
  let told: EventsOptions | undefined;
  const { source } = follow([at('*.log')], {
    events: (options) => {
      told = options;
      return new Deaf();
    },
  });
  const timers = vi.getTimerCount();
  told!.overflowed();
  expect(vi.getTimerCount()).toBe(timers + 1);
  told!.overflowed();
  expect(vi.getTimerCount()).toBe(timers + 1);
  source.stop();
  expect(vi.getTimerCount()).toBe(0);
  told!.overflowed();
  expect(vi.getTimerCount()).toBe(0);
});

test('a log that is not there has no position', () => {
  expect(follow([at('a.log')]).source.positions()).toEqual([]);
});

test('a look at the names tries what failed again, not before its pause is over', () => {
  mkdirSync(at('a.log'));
  const { source, clock } = follow([at('a.log')]);
  const errors = (ms: number): number => {
    clock.ms = ms;
    source.rescan();
    return source.counters.errors;
  };
  expect([errors(0), errors(fileRetryMs - 1), errors(fileRetryMs)]).toEqual([1, 1, 2]);
});
