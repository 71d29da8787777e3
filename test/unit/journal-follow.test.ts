/**
 * The journal source with the clock of the test: how often it looks, what holds it up, what it says
 * about itself; and a journal file that `match` and `replay` read whole.
 */
import { chmodSync, closeSync, mkdirSync, openSync, truncateSync, utimesSync, writeFileSync, writeSync } from 'node:fs';
import { setImmediate as turn } from 'node:timers/promises';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { openDescriptors } from '../../scripts/lab/descriptors.ts';
import {
  decisionsWaitingOfAllMax,
  drainMs,
  journalBehindSeconds,
  journalChangesMs,
  journalCursorsMax,
  journalFilesMax,
  journalIdleLookMs,
  journalIdleMs,
  journalLookMs,
  journalMessagesMax,
  journalRescanMs,
  journalTurnEntries,
  journalTurnUnpacks,
  journalYoungMs,
  quietLookMs,
  weekHours,
} from '../../src/limits.ts';
import { JournalDirectories } from '../../src/sources/journal/directories.ts';
import { DamagedFile } from '../../src/sources/journal/file.ts';
import type { JournalSourceOptions } from '../../src/sources/journal/journal.ts';
import { everyEntry, isJournal, readJournal } from '../../src/sources/journal/read-whole.ts';
import { temporaryDirectory } from '../support/control.ts';
import { driveJournal, JournalSink, ofSshd } from '../support/journal-sink.ts';
import { JournalWriter, sshdEntry } from '../support/journal-writer.ts';

let directory: { path: string; remove(): void };
const stops: (() => void)[] = [];
beforeEach(() => {
  directory = temporaryDirectory();
});
afterEach(() => {
  for (const stop of stops.splice(0)) stop();
  vi.useRealTimers();
  directory.remove();
});

const clock = Math.floor(Date.now() / 1000) * 1e6;
const at = (name: string): string => `${directory.path}/${name}`;

function fill(writer: JournalWriter, from: number, to: number, microseconds = 1): void {
  for (let n = from; n <= to; n++) writer.append(sshdEntry(n, clock + n * microseconds, `m${n}`));
}

function writerOf(name = 'system.journal'): JournalWriter {
  const writer = new JournalWriter(at(name));
  stops.push(() => writer.close());
  return writer;
}

/** Everything that can happen without the clock happens. */
async function settle(): Promise<void> {
  for (let turns = 0; turns < 40; turns++) await turn();
}

async function pass(milliseconds: number): Promise<void> {
  for (let left = milliseconds; left > 0; left -= journalLookMs) {
    vi.advanceTimersByTime(Math.min(left, journalLookMs));
    await turn();
  }
}

/** A source that runs by itself, on the clock of the test. */
function running(options: Partial<JournalSourceOptions> = {}) {
  vi.useFakeTimers({ toFake: ['setInterval', 'clearInterval', 'performance'] });
  const all = driveJournal(directory.path, options);
  stops.push(() => all.source.stop());
  const looks = vi.spyOn(all.source, 'look');
  all.source.start();
  const seqnums = (): number[] => all.sink.taken.map(({ seqnum }) => seqnum);
  return { ...all, looks, seqnums };
}

describe('a source that runs', () => {
  test('reads what is there and what comes, looks often, and less often where nothing comes for long', async () => {
    const writer = writerOf();
    fill(writer, 1, 3);
    const { looks, seqnums, source } = running();
    await settle();
    expect(seqnums()).toEqual([1, 2, 3]);
    await pass(10 * journalLookMs);
    expect(looks).toHaveBeenCalledTimes(10);
    fill(writer, 4, 4);
    await pass(journalLookMs);
    await settle();
    expect(seqnums()).toEqual([1, 2, 3, 4]);
    await pass(journalIdleMs + 2 * journalLookMs);
    looks.mockClear();
    await pass(10 * journalIdleLookMs);
    expect(looks).toHaveBeenCalledTimes(10);
    fill(writer, 5, 5);
    await pass(journalIdleLookMs);
    await settle();
    expect(seqnums().at(-1)).toBe(5);
    looks.mockClear();
    await pass(10 * journalLookMs);
    expect(looks).toHaveBeenCalledTimes(10);
    source.stop();
    expect(vi.getTimerCount()).toBe(0);
    fill(writer, 6, 6);
    source.look();
    await settle();
    expect(seqnums().at(-1)).toBe(5);
  });

  test('finds a file that appears', async () => {
    const { seqnums, source, events } = running();
    expect(source.problems()).toEqual([`there is no journal to be read: looked in ${directory.path}`]);
    expect(source.status()).toMatchObject([{ state: 'missing', detail: '' }]);
    fill(writerOf(), 1, 2);
    await pass(journalChangesMs);
    await settle();
    expect(seqnums()).toEqual([1, 2]);
    expect([source.problems(), source.files]).toEqual([[], 1]);
    expect(events).toEqual([{ kind: 'appeared', path: at('system.journal'), detail: '2 entries to read' }]);
    expect(source.status()).toMatchObject([{ path: 'journal:sshd', source: 3, state: 'reading', behind: false }]);
  });

  test('reads nothing for nobody', async () => {
    fill(writerOf(), 1, 2);
    const { source, sink } = running({ targets: [] });
    await pass(journalChangesMs);
    source.drain();
    expect([sink.taken, source.files, vi.getTimerCount(), source.problems()]).toEqual([[], 0, 0, []]);
  });

  test('stands still while it is paused', async () => {
    const writer = writerOf();
    const { source, seqnums } = running();
    source.pause();
    fill(writer, 1, 2);
    await pass(2 * journalChangesMs);
    source.wake();
    await settle();
    expect(seqnums()).toEqual([]);
    source.unpause();
    await settle();
    expect(seqnums()).toEqual([1, 2]);
  });

  test('waits while many decisions wait for the kernel', async () => {
    const writer = writerOf();
    let waiting = decisionsWaitingOfAllMax + 1;
    fill(writer, 1, 1);
    const { source, seqnums } = running({ waiting: () => waiting });
    await settle();
    expect(seqnums()).toEqual([]);
    waiting = decisionsWaitingOfAllMax;
    source.wake();
    await settle();
    expect(seqnums()).toEqual([1]);
  });

  test('takes bounded turns, and each file has its share', async () => {
    const [one, two] = [writerOf('system.journal'), writerOf('user-1000.journal')];
    fill(one, 1, journalTurnEntries);
    fill(two, 1, journalTurnEntries);
    let drains = 0;
    const read: number[] = [];
    const { sink } = running({
      drain: () => {
        drains++;
        read.push(sink.taken.length);
      },
    });
    await settle();
    expect(read.slice(0, 2)).toEqual([journalTurnEntries, 2 * journalTurnEntries]);
    expect(drains).toBeGreaterThan(1);
    const first = sink.taken.slice(0, journalTurnEntries).map(({ seqnum }) => seqnum);
    expect(Math.max(...first)).toBe(journalTurnEntries / 2);
  });

  test('says that it is behind, and that it has caught up', async () => {
    const writer = writerOf();
    let waiting = 1_000_000;
    const { source, events } = running({ waiting: () => waiting });
    // Nothing of the file has been read yet: its first entry counts.
    writer.append(sshdEntry(1, clock, 'm1'));
    writer.append(sshdEntry(2, clock + journalBehindSeconds * 1e6, 'm2'));
    await pass(quietLookMs + journalIdleLookMs);
    expect(source.lagSeconds).toBe(journalBehindSeconds);
    expect(events.map(({ kind }) => kind)).toEqual(['appeared']);
    writer.append(sshdEntry(3, clock + 3e6 + journalBehindSeconds * 1e6, 'm3'));
    await pass(quietLookMs + journalIdleLookMs);
    expect(source.status()).toMatchObject([{ behind: true }]);
    expect(events.slice(1)).toEqual([
      { kind: 'behind', path: 'journal', detail: `${journalBehindSeconds + 3} seconds of entries are unread` },
    ]);
    waiting = 0;
    source.wake();
    await settle();
    await pass(quietLookMs + journalIdleLookMs);
    expect(events.slice(2)).toEqual([
      { kind: 'caught-up', path: 'journal', detail: '0 seconds of entries are unread' },
    ]);
    expect(source.status()).toMatchObject([{ behind: false }]);
  });

  test('is not behind with an entry that has just come, however long there was none', async () => {
    const writer = writerOf();
    const { events, seqnums, source } = running();
    let seqnum = 0;
    for (let waited = 0; waited <= 2 * quietLookMs; waited += 10 * journalLookMs) {
      writer.append(sshdEntry(++seqnum, clock + seqnum * 60e6, 'once a minute'));
      await pass(10 * journalLookMs);
    }
    // The very look that judges finds one.
    const judges = vi.spyOn(source as unknown as { lagSeconds: number }, 'lagSeconds', 'get');
    for (let looks = 0; judges.mock.calls.length === 0 && looks < 2 * (quietLookMs / journalLookMs); looks++) {
      writer.append(sshdEntry(++seqnum, clock + seqnum * 60e6, 'once a minute'));
      await pass(journalLookMs);
    }
    expect(judges).toHaveBeenCalled();
    await settle();
    expect(seqnums()).toHaveLength(seqnum);
    expect(events.map(({ kind }) => kind)).toEqual(['appeared']);
  });

  test('keeps a history of what is read for each jail', async () => {
    const writer = writerOf();
    const other = { text: '', groups: [{ terms: [['_COMM', ['cron']] as [string, string[]]] }] };
    const { source } = running({
      targets: [
        { match: ofSshd, source: 1, name: 'journal:sshd' },
        { match: other, source: 2, name: 'journal:cron' },
      ],
    });
    await pass(journalLookMs);
    fill(writer, 1, 5);
    for (const seqnum of [6, 7])
      writer.append({
        seqnum,
        realtime: clock,
        fields: [
          ['_COMM', 'cron'],
          ['MESSAGE', 'x'],
        ],
      });
    await pass(journalChangesMs + journalLookMs);
    await settle();
    fill(writer, 8, 9);
    await pass(journalLookMs);
    await settle();
    const lines = source.histories().map(({ path, ...more }) => [path, (more as unknown as { lines: number }).lines]);
    expect(lines).toEqual([
      ['journal:sshd', 7],
      ['journal:cron', 2],
    ]);
    expect(source.status().map(({ quietSeconds }) => quietSeconds)).toEqual([0, 0]);
  });

  test('says what it cannot read, once, until it says something else', async () => {
    mkdirSync(at('system.journal'));
    const { source, events } = running();
    const why = `${at('system.journal')} is a directory; only regular files are followed`;
    expect(source.problems()).toContain(`${at('system.journal')}: ${why}`);
    expect(source.status()).toMatchObject([{ state: 'failed', detail: why }]);
    await pass(3_000);
    expect(events).toEqual([{ kind: 'error', path: at('system.journal'), detail: why }]);
  });

  test('sets a file aside that holds fewer entries than it says, after it was waited for', async () => {
    const writer = writerOf();
    fill(writer, 1, 2);
    writer.poke(152, 3n);
    const { source, seqnums, events } = running();
    await settle();
    expect(seqnums()).toEqual([1, 2]);
    await pass(journalYoungMs - journalLookMs);
    expect(source.counters.aside).toBe(0);
    await pass(3 * journalLookMs);
    source.wake();
    await settle();
    expect(events.at(-1)).toEqual({
      kind: 'set aside',
      path: at('system.journal'),
      detail: 'it holds fewer entries than it says',
    });
    expect(source.files).toBe(0);
  });
});

describe('a source that looks when the test says so', () => {
  /** On the clock of the test, without a timer. */
  function byHand(options: Partial<JournalSourceOptions> = {}) {
    vi.useFakeTimers({ toFake: ['performance'] });
    const all = driveJournal(directory.path, options);
    stops.push(() => all.source.stop());
    const look = async (milliseconds = 0): Promise<void> => {
      vi.advanceTimersByTime(milliseconds);
      all.source.look();
      await settle();
    };
    return { ...all, look, seqnums: (): number[] => all.sink.taken.map(({ seqnum }) => seqnum) };
  }
  const from = (first: number, last: number): number[] =>
    Array.from({ length: last - first + 1 }, (_, index) => first + index);

  test('judges once a minute by how much it is behind, and says when that changes', async () => {
    let waiting = 1_000_000;
    const writer = writerOf();
    const last = journalTurnEntries + journalBehindSeconds;
    fill(writer, 1, last, 1e6);
    const { look, source, events, seqnums } = byHand({
      findtime: 100_000,
      waiting: () => waiting,
      drain: () => {
        waiting = 1_000_000;
      },
    });
    await look();
    // Nothing was read yet: the first entry counts.
    expect([source.lagSeconds, seqnums()]).toEqual([last - 1, []]);
    expect(source.status()).toMatchObject([{ behind: true }]);
    waiting = 0;
    source.wake();
    await settle();
    expect([source.lagSeconds, seqnums().length]).toEqual([journalBehindSeconds, journalTurnEntries]);
    expect(source.status()).toMatchObject([{ behind: false }]);
    events.length = 0;
    await look(quietLookMs);
    expect(events).toEqual([]);
    fill(writer, last + 1, last + 1, 1e6);
    await look(1);
    expect([events, source.lagSeconds]).toEqual([[], journalBehindSeconds + 1]);
    await look(quietLookMs - 2);
    expect(events).toEqual([]);
    await look(1);
    const detail = (seconds: number): string => `${seconds} seconds of entries are unread`;
    expect(events.splice(0)).toEqual([{ kind: 'behind', path: 'journal', detail: detail(journalBehindSeconds + 1) }]);
    await look(quietLookMs);
    expect(events).toEqual([]);
    waiting = 0;
    source.wake();
    await settle();
    expect(source.lagSeconds).toBe(0);
    await look(quietLookMs);
    expect(events).toEqual([{ kind: 'caught-up', path: 'journal', detail: detail(0) }]);
  });

  test('asks directories for changes in intervals, and searches them for a reason', async () => {
    const writer = writerOf();
    fill(writer, 1, 1);
    const { look, source, seqnums } = byHand();
    const changed = vi.spyOn(JournalDirectories.prototype, 'changed');
    const files = vi.spyOn(JournalDirectories.prototype, 'files');
    /** How often it asked whether something changed, and searched. */
    const counts = async (milliseconds: number): Promise<[number, number]> => {
      changed.mockClear();
      files.mockClear();
      await look(milliseconds);
      return [changed.mock.calls.length, files.mock.calls.length];
    };
    try {
      expect(await counts(0)).toEqual([0, 1]);
      expect(await counts(journalChangesMs - 1)).toEqual([0, 0]);
      expect(await counts(1)).toEqual([1, 0]);
      expect(await counts(journalChangesMs - 1)).toEqual([0, 0]);
      utimesSync(directory.path, 1, 1);
      expect(await counts(1)).toEqual([1, 1]);
      // After a while, for no reason.
      expect(await counts(journalRescanMs - journalChangesMs)).toEqual([1, 0]);
      expect(await counts(journalChangesMs)).toEqual([0, 1]);
      // When a file was closed: another one has taken its place.
      writer.archive();
      expect(await counts(1)).toEqual([0, 0]);
      expect(source.files).toBe(1);
      expect(await counts(1)).toEqual([0, 1]);
      expect([source.files, seqnums()]).toEqual([0, [1]]);
      expect(await counts(1)).toEqual([0, 0]);
      // When a file could not be read yet.
      writeFileSync(at('new.journal'), '');
      expect(await counts(journalChangesMs)).toEqual([1, 1]);
      expect(await counts(journalChangesMs)).toEqual([0, 1]);
    } finally {
      changed.mockRestore();
      files.mockRestore();
    }
  });

  test.each<[string, () => void]>([
    ['a path that cannot be read', () => mkdirSync(at('x.journal'))],
    ['a file that is too new', () => writeFileSync(at('x.journal'), '')],
    [
      'files that find no room',
      () => {
        for (let n = 0; n < journalFilesMax; n++) fill(writerOf(`user-${n}.journal`), 1, 1);
      },
    ],
  ])('does not take unnamed files for read while there is %s', (_, prepare) => {
    fill(writerOf(), 1, 5);
    prepare();
    const { source, read } = byHand();
    for (let scans = 0; scans < 4; scans++) read();
    expect(source.cursors().filter(({ kind }) => kind === 'numbers')).toEqual([]);
  });

  test('reads files in the order of their directories, then of their first entries', () => {
    for (const name of ['one', 'two']) mkdirSync(at(name));
    fill(writerOf('one/a.journal'), 20, 22);
    fill(writerOf('one/b.journal'), 10, 12);
    fill(writerOf('two/c.journal'), 1, 2);
    const { read, seqnums } = byHand({ directories: [at('one'), at('two')] });
    read();
    expect(seqnums()).toEqual([10, 11, 12, 20, 21, 22, 1, 2]);
  });

  const share = journalTurnEntries / 2;
  const inTurns = [...from(1, share), ...from(201, 230), ...from(share + 1, share + 10)];
  const inOrder = [...from(1, share + 10), ...from(201, 230)];
  test.each<[string, string, string, (writer: JournalWriter) => void, boolean, number[]]>([
    ['closed', 'one/system@1.journal', 'one/system.journal', (writer) => writer.archive(), true, inOrder],
    ['renamed', 'one/system@1.journal', 'one/system.journal', () => {}, true, inOrder],
    ['in a directory that comes before', 'one/system.journal', 'two/system.journal', () => {}, true, inOrder],
    ['of the same directory and open', 'one/a.journal', 'one/b.journal', () => {}, true, inTurns],
    ['of other numbers', 'one/system@1.journal', 'one/system.journal', () => {}, false, inTurns],
  ])('reads a file that is %s before the others or beside them', (_, first, second, close, isSame, expected) => {
    for (const name of ['one', 'two']) mkdirSync(at(name));
    const one = writerOf(first);
    fill(one, 1, share + 10);
    close(one);
    const ids = { ...one.ids, fileId: 'e'.repeat(32), ...(!isSame && { seqnumId: 'd'.repeat(32) }) };
    const other = new JournalWriter(at(second), {}, ids);
    stops.push(() => other.close());
    fill(other, 201, 230);
    const { read, seqnums } = byHand({ directories: [at('one'), at('two')] });
    read();
    expect(seqnums()).toEqual(expected);
  });

  test.each<[string, number, number]>([
    ['system.journal', 1, 1],
    ['system.journal', 0, 1],
    ['system.journal', 2, 0],
    ['system.journal~', 1, 0],
    ['system@2.journal', 0, 0],
    ['system@2.journal', 1, 1],
  ])('%s in state %i: %i files stay open', (name, state, open) => {
    const writer = writerOf(name);
    fill(writer, 1, 3);
    const descriptor = openSync(writer.path, 'r+');
    writeSync(descriptor, Buffer.from([state]), 0, 1, 16);
    closeSync(descriptor);
    const before = openDescriptors().size;
    const { source, read, seqnums, events } = byHand();
    for (let scans = 0; scans < 3; scans++) read();
    expect([source.files, seqnums(), openDescriptors().size - before]).toEqual([open, [1, 2, 3], open]);
    expect(events).toHaveLength(1);
    source.stop();
    expect(openDescriptors().size).toBe(before);
  });

  test('does not open a closed file that was read in an earlier run, nor takes its last entry twice', () => {
    const writer = writerOf('system@1.journal');
    fill(writer, 1, 5);
    const resume = (seqnum: number) => [{ kind: 'file' as const, id: writer.ids.fileId, seqnum }];
    const unfinished = byHand({ resume: resume(3) });
    unfinished.read();
    expect(unfinished.seqnums()).toEqual([4, 5]);
    expect(unfinished.source.counters).toEqual({ entries: 2, fed: 2, damaged: 0, aside: 0 });
    unfinished.source.stop();
    writer.archive();
    const before = openDescriptors().size;
    const { source, read, events } = byHand({ resume: resume(5) });
    read();
    expect([events, source.files, openDescriptors().size]).toEqual([[], 0, before]);
  });

  test('passes on an error of ours, and sets a file aside for one of the system', () => {
    fill(writerOf(), 1, 2);
    const { source, sink, read, events } = byHand();
    sink.feedEntry = () => {
      throw new Error('ours');
    };
    expect(() => read()).toThrow('ours');
    sink.feedEntry = () => {
      throw Object.assign(new Error('EIO: i/o error, read'), { code: 'EIO' });
    };
    read();
    expect(events.slice(1)).toEqual([
      { kind: 'set aside', path: at('system.journal'), detail: 'EIO: i/o error, read' },
    ]);
    expect([source.files, source.problems()]).toEqual([
      0,
      [
        `there is no journal to be read: looked in ${directory.path}`,
        `${at('system.journal')} is set aside: EIO: i/o error, read`,
      ],
    ]);
  });

  test('sets a file aside that becomes another while it is read', async () => {
    const writer = writerOf();
    fill(writer, 1, 2);
    const before = openDescriptors().size;
    const { look, source, events } = byHand();
    await look();
    writer.become('b'.repeat(32));
    fill(writer, 3, 3);
    await look(1);
    expect(events.slice(1)).toEqual([
      { kind: 'set aside', path: at('system.journal'), detail: 'it became another file' },
    ]);
    expect([source.counters.aside, source.files, openDescriptors().size]).toEqual([1, 0, before]);
  });

  test('waits for an entry that was counted and is not there, for so long; of a closed file not at all', async () => {
    const writer = writerOf();
    fill(writer, 1, 2);
    writer.poke(152, 3n);
    let calls = 0;
    const { look, source, read } = byHand({ waiting: () => 0 * ++calls });
    await look();
    // Between the looks nothing is tried.
    const before = calls;
    await settle();
    expect(calls).toBe(before);
    read();
    await look(journalYoungMs);
    expect([source.counters.aside, source.files]).toEqual([0, 1]);
    await look(1);
    expect([source.counters.aside, source.files]).toEqual([1, 0]);
    const other = writerOf('system@1.journal');
    fill(other, 1, 2);
    other.archive();
    other.poke(152, 3n);
    read();
    expect([source.counters.aside, source.files]).toEqual([2, 0]);
  });

  test('ends a drain in time, though entries keep coming', () => {
    const writer = writerOf();
    fill(writer, 1, 1);
    let seqnum = 1;
    const { read, seqnums } = byHand({
      drain: () => {
        fill(writer, ++seqnum, seqnum);
        vi.advanceTimersByTime(drainMs / 2);
      },
    });
    read();
    expect(seqnums().length).toBeGreaterThan(0);
    expect(seqnums().length).toBeLessThan(4);
  });

  test('reads on after the kernel has accepted decisions, whichever file has something', async () => {
    let waiting = 0;
    const [one, other] = [writerOf('a.journal'), writerOf('b.journal')];
    fill(one, 1, 2);
    fill(other, 11, 12);
    const { look, source, seqnums } = byHand({ waiting: () => waiting });
    await look();
    waiting = 1_000_000;
    fill(other, 13, 14);
    await look(1);
    expect(seqnums()).toEqual([1, 2, 11, 12]);
    waiting = 0;
    source.wake();
    await settle();
    expect(seqnums()).toEqual([1, 2, 11, 12, 13, 14]);
  });
});

describe('a source that is asked for something else', () => {
  test('reads new entries with what is asked for now, though their fields are old', () => {
    const writer = writerOf();
    fill(writer, 1, 2);
    const { source, sink, read } = driveJournal(directory.path);
    stops.push(() => source.stop());
    read();
    const cron = { text: '', groups: [{ terms: [['_COMM', ['sshd']] as [string, string[]]] }] };
    source.setTargets([{ match: cron, source: 8, name: 'journal:other' }], 600);
    fill(writer, 3, 4);
    read();
    expect(sink.taken.map(({ source, seqnum }) => [source, seqnum])).toEqual([
      [3, 1],
      [3, 2],
      [8, 3],
      [8, 4],
    ]);
    expect(source.status()).toMatchObject([{ path: 'journal:other', source: 8, state: 'reading', offset: 0 }]);
    // The counts of what could not be read go on, and a longer findtime counts for files to come.
    source.setTargets([], 600);
    fill(writer, 5, 6);
    read();
    expect(sink.taken).toHaveLength(4);
  });

  test('a file that is found later is read from its own findtime on', () => {
    const { source, sink, read } = driveJournal(directory.path, { now: () => clock / 1e6 + 1_000, findtime: 10 });
    stops.push(() => source.stop());
    fill(writerOf('one.journal'), 1, 3);
    read();
    expect(sink.taken).toEqual([]);
    source.setTargets([{ match: ofSshd, source: 3, name: 'journal:sshd' }], 2_000);
    fill(writerOf('two.journal'), 4, 6);
    read();
    expect(sink.taken.map(({ seqnum }) => seqnum)).toEqual([4, 5, 6]);
  });
});

describe('a journal that falls silent', () => {
  test('is said, with its jails, until it is heard again', async () => {
    const now = clock / 1e6;
    const history = {
      path: 'journal:sshd',
      since: now - 30 * 86_400,
      quietSeconds: 8 * 3_600,
      missed: 5_000,
      counts: new Float32Array(weekHours).fill(100),
    };
    const { source, events } = running({ histories: [history], now: () => now });
    await pass(journalLookMs);
    const detail = 'quiet for 8 hours, 5000 lines at least were to be expected meanwhile';
    expect(events).toEqual([{ kind: 'quiet', path: 'journal:sshd', detail }]);
    expect(source.problems()).toContain(`journal:sshd: ${detail}`);
    expect(source.status()).toMatchObject([{ quietSeconds: 8 * 3_600 }]);
    fill(writerOf(), 1, 1);
    await pass(2 * journalChangesMs);
    await settle();
    expect(events.slice(1).map(({ kind, path }) => [kind, path.replace(directory.path, '')])).toEqual([
      ['appeared', '/system.journal'],
      ['heard', 'journal:sshd'],
    ]);
    expect(source.problems()).toEqual([]);
  });
});

describe('where reading stands', () => {
  test('is saved for each file and each sequence of numbers, within a bound', () => {
    const writer = writerOf();
    fill(writer, 1, 5);
    const { source, read } = driveJournal(directory.path);
    stops.push(() => source.stop());
    expect(source.cursors()).toEqual([]);
    read();
    expect(source.cursors()).toEqual([{ kind: 'file', id: writer.ids.fileId, seqnum: 5 }]);
    read();
    read();
    expect(source.cursors()).toEqual([
      { kind: 'file', id: writer.ids.fileId, seqnum: 5 },
      { kind: 'numbers', id: writer.ids.seqnumId, seqnum: 5 },
    ]);
    const resume = Array.from({ length: journalCursorsMax + 9 }, (_, seqnum) => ({
      kind: 'file' as const,
      id: seqnum.toString(16).padStart(32, '0'),
      seqnum,
    }));
    const other = driveJournal(directory.path, { resume });
    expect(other.source.cursors()).toEqual(resume.slice(0, journalCursorsMax));
  });

  test('of a file that is gone is kept for a while, and then the numbers say it', () => {
    const { source, read } = driveJournal(directory.path, {
      resume: [
        { kind: 'file', id: 'a'.repeat(32), seqnum: 7 },
        { kind: 'numbers', id: 'b'.repeat(32), seqnum: 9 },
      ],
    });
    const kinds = () => source.cursors().map(({ kind, seqnum }) => [kind, seqnum]);
    for (let scans = 0; scans < 3; scans++) {
      expect(kinds()).toEqual([
        ['file', 7],
        ['numbers', 9],
      ]);
      read();
    }
    expect(kinds()).toEqual([['numbers', 9]]);
  });
});

describe('entries that are not new', () => {
  const machine = '0123456789abcdef0123456789abcdef';
  const entry = (seqnum: number, monotonic: number) => ({
    ...sshdEntry(seqnum, clock + seqnum, `m${seqnum}`),
    monotonic,
  });

  /** The journal in /run, which was read, and then one in /var with these entries. */
  function moved(bootId: string | undefined, ...kept: [seqnum: number, monotonic: number][]): number[] {
    for (const root of ['run', 'var']) mkdirSync(at(`${root}/${machine}`), { recursive: true });
    const run = writerOf(`run/${machine}/system.journal`);
    for (const n of [1, 2, 3]) run.append(entry(n, 100 * n));
    const { source, sink, read } = driveJournal('', { directories: [at('run'), at('var')] });
    stops.push(() => source.stop());
    read();
    const ids = { ...run.ids, fileId: 'f'.repeat(32), ...(bootId !== undefined && { bootId }) };
    const writer = new JournalWriter(at(`var/${machine}/system.journal`), {}, ids);
    stops.push(() => writer.close());
    for (const [seqnum, monotonic] of kept) writer.append(entry(seqnum, monotonic));
    read();
    return sink.taken.slice(3).map(({ seqnum }) => seqnum);
  }

  test('are copies up to the time that was reached, and no later', () => {
    expect(moved(undefined, [4, 100], [5, 299], [6, 300], [7, 301], [8, 302])).toEqual([7, 8]);
  });

  test('are none of another boot, however early in it', () => {
    expect(moved('c'.repeat(32), [4, 1], [5, 2])).toEqual([4, 5]);
  });

  test('nor in the same directory', () => {
    const writer = writerOf();
    const { source, sink, read } = driveJournal(directory.path);
    stops.push(() => source.stop());
    for (const [seqnum, monotonic] of [
      [1, 500],
      [2, 400],
      [3, 400],
    ] as const)
      writer.append(entry(seqnum, monotonic));
    read();
    expect(sink.taken.map(({ seqnum }) => seqnum)).toEqual([1, 2, 3]);
  });

  test('with a number that was there before is damage, and is counted', () => {
    const writer = writerOf();
    for (const n of [1, 2, 2, 1, 3]) writer.append(entry(n, n));
    const { source, sink, read } = driveJournal(directory.path);
    stops.push(() => source.stop());
    read();
    expect(sink.taken.map(({ seqnum }) => seqnum)).toEqual([1, 2, 3]);
    expect(source.counters).toEqual({ entries: 3, fed: 3, damaged: 2, aside: 0 });
  });
});

test('a turn unpacks a bounded number of messages', async () => {
  const writer = new JournalWriter(at('system.journal'), { compress: 'zstd' });
  stops.push(() => writer.close());
  for (let n = 1; n <= 3 * journalTurnUnpacks; n++) writer.append(sshdEntry(n, clock + n, `${n} `.padEnd(600, 'x')));
  const read: number[] = [];
  const { sink } = running({ drain: () => read.push(sink.taken.length) });
  await settle();
  expect(read.slice(0, 3)).toEqual([1, 2, 3].map((turns) => turns * journalTurnUnpacks));
});

describe('messages of one entry', () => {
  test('are read up to a bound, and that there were more is counted', () => {
    const writer = writerOf();
    const fields = Array.from({ length: journalMessagesMax + 1 }, (_, n) => ['MESSAGE', `m${n}`] as const);
    writer.append({ seqnum: 1, realtime: clock, fields: [['_SYSTEMD_UNIT', 'ssh.service'], ...fields] });
    writer.append({ seqnum: 2, realtime: clock, fields: [['_SYSTEMD_UNIT', 'ssh.service'], ...fields.slice(1)] });
    const { sink, source, read } = driveJournal(directory.path);
    stops.push(() => source.stop());
    read();
    expect(sink.taken.filter(({ seqnum }) => seqnum === 1)).toHaveLength(journalMessagesMax);
    expect(sink.taken.filter(({ seqnum }) => seqnum === 2)).toHaveLength(journalMessagesMax);
    expect([...source.unread]).toEqual([['too many in an entry', 1]]);
  });
});

describe('a file that is read whole', () => {
  test('is a journal by its first bytes', () => {
    fill(writerOf(), 1, 1);
    expect(isJournal(at('system.journal'))).toBe(true);
    writeFileSync(at('text'), 'LPKSHHR');
    writeFileSync(at('longer'), 'LPKSHHRX and more');
    expect([at('text'), at('longer'), directory.path, '-', '/dev/null'].map(isJournal)).toEqual(
      Array<boolean>(5).fill(false),
    );
    expect(() => isJournal(at('missing'))).toThrow('ENOENT');
  });

  const whole = (matches = [everyEntry]) => {
    const sink = new JournalSink();
    let fed = 0;
    const result = readJournal(at('system.journal'), matches, sink, clock / 1e6, () => fed++);
    return { ...result, fed, taken: sink.taken.map(({ source, seqnum }) => [source, seqnum]) };
  };

  test('goes to each source whose match it fits', () => {
    const writer = writerOf();
    fill(writer, 1, 2);
    writer.append({
      seqnum: 3,
      realtime: clock,
      fields: [
        ['_COMM', 'cron'],
        ['MESSAGE', 'x'],
      ],
    });
    writer.append({ seqnum: 4, realtime: clock, fields: [['_COMM', 'cron']] });
    expect(whole([ofSshd, everyEntry])).toMatchObject({
      entries: 4,
      damaged: 0,
      ends: '',
      fed: 3,
      taken: [
        [0, 1],
        [1, 1],
        [0, 2],
        [1, 2],
        [1, 3],
      ],
    });
  });

  test('an error of who takes the entries is passed on', () => {
    fill(writerOf(), 1, 2);
    const fails = (): never => {
      throw new Error('full');
    };
    expect(() => readJournal(at('system.journal'), [everyEntry], new JournalSink(), 0, fails)).toThrow('full');
  });

  test('a damaged entry is passed over, and where the file is damaged it ends', () => {
    const writer = writerOf();
    fill(writer, 1, 4);
    const descriptor = openSync(at('system.journal'), 'r+');
    stops.push(() => chmodSync(at('system.journal'), 0o600));
    writeSync(descriptor, Buffer.from([99]), 0, 1, writer.places[1]!);
    expect(whole()).toMatchObject({
      entries: 4,
      damaged: 1,
      ends: '',
      fed: 3,
      taken: [
        [0, 1],
        [0, 3],
        [0, 4],
      ],
    });
    writer.poke(152, 9n);
    expect(whole()).toMatchObject({ entries: 4, damaged: 1, ends: '', fed: 3 });
    writer.poke(176, 8n);
    expect(whole()).toMatchObject({ entries: 0, ends: 'its arrays are out of order', fed: 0 });
    truncateSync(at('system.journal'), 100);
    utimesSync(at('system.journal'), 0, 0);
    expect(() => whole()).toThrow(DamagedFile);
  });
});
