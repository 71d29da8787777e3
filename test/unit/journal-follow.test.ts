/**
 * The journal source with the clock of the test: how often it looks, what holds it up, what it says
 * about itself; and a journal file that `match` and `replay` read whole.
 */
import { chmodSync, mkdirSync, openSync, truncateSync, utimesSync, writeFileSync, writeSync } from 'node:fs';
import { setImmediate as turn } from 'node:timers/promises';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import {
  decisionsWaitingOfAllMax,
  journalBehindSeconds,
  journalChangesMs,
  journalCursorsMax,
  journalIdleLookMs,
  journalIdleMs,
  journalLookMs,
  journalMessagesMax,
  journalTurnEntries,
  journalTurnUnpacks,
  journalYoungMs,
  quietLookMs,
  weekHours,
} from '../../src/limits.ts';
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
    const lines = source.histories().map(({ path, ...more }) => [path, (more as unknown as { lines: number }).lines]);
    expect(lines).toEqual([
      ['journal:sshd', 5],
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
