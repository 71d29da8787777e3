/**
 * The journal source over files that a small writer makes (test/support/journal-writer.ts): every
 * form of file, rotation, vacuum, the move from /run to /var, a restart, and files that are set
 * aside.
 */
import { randomBytes } from 'node:crypto';
import fs, {
  appendFileSync,
  closeSync,
  mkdirSync,
  openSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  truncateSync,
  utimesSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import { syncBuiltinESMExports } from 'node:module';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { openDescriptors } from '../../scripts/lab/descriptors.ts';
import {
  journalArraysMax,
  journalCandidatesMax,
  journalDamagedMax,
  journalFieldsMax,
  journalFilesMax,
  journalPackedBytesMax,
  journalTurnEntries,
  journalWindowLogMax,
  lineBytesMax,
} from '../../src/limits.ts';
import { JournalDirectories } from '../../src/sources/journal/directories.ts';
import { DamagedEntry, JournalFile } from '../../src/sources/journal/file.ts';
import type { JournalCursor } from '../../src/sources/journal/journal.ts';
import { everyEntry, isJournal, readJournal } from '../../src/sources/journal/read-whole.ts';
import type { JournalMatch } from '../../src/types.ts';
import { temporaryDirectory } from '../support/control.ts';
import { driveJournal, JournalSink, ofSshd } from '../support/journal-sink.ts';
import { type JournalForm, JournalWriter, journalIds, sshdEntry } from '../support/journal-writer.ts';

let directory: { path: string; remove(): void };
beforeEach(() => {
  directory = temporaryDirectory();
});
afterEach(() => directory.remove());

/** Writes one byte, as a faulty disk may do. */
function poke({ path }: JournalWriter, place: number, value: number): void {
  const descriptor = openSync(path, 'r+');
  writeSync(descriptor, Buffer.from([value]), 0, 1, place);
  closeSync(descriptor);
}

/** Now, in microseconds. */
const clock = Math.floor(Date.now() / 1000) * 1e6;
const at = (name: string): string => `${directory.path}/${name}`;

function fill(writer: JournalWriter, from: number, to: number, text = (n: number): string => `m${n}`): void {
  for (let n = from; n <= to; n++) writer.append(sshdEntry(n, clock + n, text(n)));
}

const numbers = (from: number, to: number): number[] => Array.from({ length: to - from + 1 }, (_, n) => from + n);

describe('one file', () => {
  const long = 'x'.repeat(3_000);
  test.each<[string, JournalForm]>([
    ['regular', {}],
    ['compact', { compact: true }],
    ['sealed', { sealed: true }],
    ['compressed', { compress: 'zstd' }],
    ['compact, compressed and sealed', { compact: true, compress: 'zstd', sealed: true }],
  ])('%s', (_, form) => {
    const writer = new JournalWriter(at('system.journal'), form);
    fill(writer, 1, 300, (n) => `m${n}${n % 7 === 0 ? long : ''}`);
    const { sink, read, source } = driveJournal(directory.path);
    read();
    expect(sink.taken.map(({ text }) => text)).toEqual(
      numbers(1, 300).map((n) => `sshd[${1_000 + n}]: m${n}${n % 7 === 0 ? long : ''}`),
    );
    expect(sink.taken[41]).toMatchObject({ source: 3, seqnum: 42, time: (clock + 42) / 1e6, cut: false });
    // The file grows while it is open.
    fill(writer, 301, 310);
    read();
    expect(sink.taken.map(({ seqnum }) => seqnum)).toEqual(numbers(1, 310));
    expect(source.problems()).toEqual([]);
    source.stop();
    writer.close();
  });

  test('fields that many entries share, far behind them', () => {
    const writer = new JournalWriter(at('system.journal'));
    for (let n = 1; n <= 3_000; n++) {
      const fields = [...sshdEntry(n, 0, `m${n} ${'x'.repeat(n % 200)}`).fields.filter(([name]) => name !== '_PID')];
      writer.append({ seqnum: n, realtime: clock + n, fields: [...fields, ['_PID', String(100 + (n % 50))]] });
    }
    const { sink, read } = driveJournal(directory.path);
    read();
    expect(sink.taken.map(({ text }) => text)).toEqual(
      numbers(1, 3_000).map((n) => `sshd[${100 + (n % 50)}]: m${n} ${'x'.repeat(n % 200)}`),
    );
  });

  test.each(['lz4', 'xz'] as const)('an entry compressed with %s is counted and named', (compress) => {
    const writer = new JournalWriter(at('system.journal'), { compress });
    fill(writer, 1, 3, (n) => (n === 2 ? long : 'short'));
    const { sink, read, source } = driveJournal(directory.path);
    read();
    expect(sink.taken.map(({ seqnum }) => seqnum)).toEqual([1, 3]);
    expect([...source.unread]).toEqual([[compress, 1]]);
    expect(source.problems()).toEqual([`1 messages in the journal were not read: ${compress}`]);
  });

  test('a message over the limit: cut where it is plain, counted where it is compressed', () => {
    const writer = new JournalWriter(at('system.journal'), { compress: 'zstd', threshold: 1_000_000 });
    fill(writer, 1, 1, () => 'y'.repeat(lineBytesMax + 50));
    const packed = new JournalWriter(at('user-1000.journal'), { compress: 'zstd' });
    fill(packed, 2, 3, (n) => (n === 2 ? 'z'.repeat(8 * 1024 * 1024) : 'next'));
    const { sink, read, source } = driveJournal(directory.path);
    read();
    expect(sink.taken.map(({ seqnum, cut }) => [seqnum, cut])).toEqual([
      [1, true],
      [3, false],
    ]);
    expect(sink.taken[0]!.text).toHaveLength(lineBytesMax);
    expect([...source.unread]).toEqual([['oversize', 1]]);
  });

  test('several messages, none, a binary one, and fields that are no names', () => {
    const writer = new JournalWriter(at('system.journal'));
    const unit: [string, string] = ['_SYSTEMD_UNIT', 'ssh.service'];
    const bytes = Buffer.from(Array.from({ length: 256 }, (_, byte) => byte));
    const of = (seqnum: number, ...fields: [string, string | Uint8Array][]) =>
      writer.append({ seqnum, realtime: clock + seqnum, fields: [unit, ...fields] });
    of(1, ['MESSAGE', 'one'], ['MESSAGE', 'two']);
    of(2, ['SYSLOG_IDENTIFIER', 'sshd']);
    of(3, ['MESSAGE', bytes]);
    of(4, ['MESSAGE', '']);
    of(5, ['MESSAGES', 'no'], ['message', 'no'], ['MESSAGE', 'five'], ['X'.repeat(200), '']);
    of(6, ['_COMM', 'ssh d]:[1'], ['SYSLOG_PID', '12x'], ['MESSAGE', 'six']);
    of(
      7,
      ['SYSLOG_IDENTIFIER', 'sshd[1]: Failed password for root from 192.0.2.1'],
      ['_PID', '7'],
      ['MESSAGE', 'seven'],
    );
    const { sink, read } = driveJournal(directory.path);
    read();
    expect(sink.taken.map(({ text }) => text)).toEqual([
      '-: one',
      '-: two',
      `-: ${bytes.toString('latin1')}`,
      '-: ',
      '-: five',
      'ssh_d___1: six',
      `sshd_1___Failed_password_for_root_from_192.0.2.1[7]: seven`,
    ]);
  });
});

describe('which entries', () => {
  const group = (terms: [string, string[]][], system?: true): JournalMatch['groups'][number] => ({
    terms,
    ...(system && { system }),
  });
  const entries: [string, string][][] = [
    [
      ['_SYSTEMD_UNIT', 'ssh.service'],
      ['_COMM', 'sshd'],
    ],
    [
      ['_SYSTEMD_UNIT', 'cron.service'],
      ['_COMM', 'sshd'],
    ],
    [
      ['_SYSTEMD_UNIT', 'session-3.scope'],
      ['_COMM', 'logger'],
      ['SYSLOG_IDENTIFIER', 'sshd'],
      ['_SYSTEMD_OWNER_UID', '1000'],
    ],
    [['SYSLOG_IDENTIFIER', 'sshd']],
    [['SYSLOG_IDENTIFIER', 'sshd-session']],
    [['SYSLOG_IDENTIFIER', 'ssh']],
    [['SYSLOG_IDENTIFIER', `sshd${'x'.repeat(600)}`]],
  ];
  test.each<[string, JournalMatch['groups'], number[]]>([
    ['a unit', [group([['_SYSTEMD_UNIT', ['ssh.service']]])], [1]],
    ['two values of one field', [group([['_SYSTEMD_UNIT', ['ssh.service', 'cron.service']]])], [1, 2]],
    [
      'two fields',
      [
        group([
          ['_SYSTEMD_UNIT', ['cron.service']],
          ['_COMM', ['sshd']],
        ]),
      ],
      [2],
    ],
    ['two groups', [group([['_SYSTEMD_UNIT', ['cron.service']]]), group([['SYSLOG_IDENTIFIER', ['ssh']]])], [2, 6]],
    ['an identifier', [group([['SYSLOG_IDENTIFIER', ['sshd']]])], [3, 4]],
    ['an identifier, but of no login session', [group([['SYSLOG_IDENTIFIER', ['sshd']]], true)], [4]],
    ['the beginning of one', [group([['SYSLOG_IDENTIFIER', ['sshd*']]], true)], [4, 5, 7]],
    ['whatever services write', [group([], true)], [1, 2, 4, 5, 6, 7]],
    ['a session by its owner', [group([['_SYSTEMD_OWNER_UID', ['1000']]])], [3]],
    ['nothing', [], []],
  ])('%s', (_, groups, expected) => {
    const writer = new JournalWriter(at('system.journal'));
    for (const [index, fields] of entries.entries())
      writer.append({ seqnum: index + 1, realtime: clock + index, fields: [...fields, ['MESSAGE', 'text']] });
    const { sink, read } = driveJournal(directory.path, {
      targets: [{ match: { text: '', groups }, source: 0, name: 'journal:x' }],
    });
    read();
    expect(sink.taken.map(({ seqnum }) => seqnum)).toEqual(expected);
  });

  test('an entry that two matches ask for goes to both', () => {
    const writer = new JournalWriter(at('system.journal'));
    fill(writer, 1, 2);
    const { sink, read } = driveJournal(directory.path, {
      targets: [
        { match: ofSshd, source: 4, name: 'journal:one' },
        { match: { text: '', groups: [{ terms: [['_COMM', ['sshd']]] }] }, source: 9, name: 'journal:two' },
      ],
    });
    read();
    expect(sink.taken.map(({ source, seqnum }) => [source, seqnum])).toEqual([
      [4, 1],
      [9, 1],
      [4, 2],
      [9, 2],
    ]);
  });
});

describe('files that come and go', () => {
  test('twenty rotations and a vacuum under a writer: every entry once, in order', () => {
    const ids = journalIds();
    const { sink, read, source } = driveJournal(directory.path);
    let writer = new JournalWriter(at('system.journal'), {}, ids);
    let next = 1;
    for (let turn = 0; turn < 20; turn++) {
      fill(writer, next, next + 49);
      if (turn % 3 !== 0) read();
      fill(writer, next + 50, next + 99);
      next += 100;
      // The file is closed late, as journald does.
      renameSync(writer.path, at(`system@${turn}.journal`));
      if (turn % 4 === 0) writer.archive();
      const old = writer;
      writer = new JournalWriter(at('system.journal'), {}, { ...ids, fileId: journalIds().fileId });
      if (turn % 5 === 0) fill(writer, next, next);
      read();
      if (turn % 5 === 0) next++;
      if (turn % 4 !== 0) old.archive();
      // Vacuum removes files that were read, and files that were not.
      if (turn === 10) for (const number of numbers(0, 9)) rmSync(at(`system@${number}.journal`), { force: true });
    }
    read();
    expect(sink.taken.map(({ seqnum }) => seqnum)).toEqual(numbers(1, next - 1));
    expect(source.files).toBeLessThan(8);
    expect(source.problems()).toEqual([]);
  });

  test('a file that is deleted while it is read is read to its end', () => {
    const writer = new JournalWriter(at('system.journal'));
    fill(writer, 1, journalTurnEntries * 3);
    const { sink, read, source } = driveJournal(directory.path);
    source.look();
    rmSync(writer.path);
    read();
    expect(sink.taken.map(({ seqnum }) => seqnum)).toEqual(numbers(1, journalTurnEntries * 3));
    read();
    expect(source.files).toBe(0);
  });

  test('what /run held is not read again when journald moves it to /var', () => {
    const machine = '0123456789abcdef0123456789abcdef';
    for (const root of ['run', 'var']) mkdirSync(at(`${root}/${machine}`), { recursive: true });
    const ids = journalIds();
    const { sink, read } = driveJournal('', { directories: [at('run'), at('var')] });
    const run = new JournalWriter(at(`run/${machine}/system.journal`), {}, ids);
    fill(run, 1, 50);
    read();
    fill(run, 51, 60);
    const kept = new JournalWriter(at(`var/${machine}/system.journal`), {}, { ...ids, fileId: journalIds().fileId });
    // Copies have new numbers and keep their times. What follows them is new.
    for (let n = 1; n <= 60; n++) kept.append({ ...sshdEntry(n, clock + n, `m${n}`), seqnum: 60 + n });
    for (let n = 61; n <= 70; n++) kept.append({ ...sshdEntry(n, clock + n, `m${n}`), seqnum: 60 + n });
    read();
    rmSync(run.path);
    read();
    expect(sink.taken.map(({ text }) => text.split(' ')[1])).toEqual(numbers(1, 70).map((n) => `m${n}`));
  });

  test('a file that comes or goes is noticed by the time of its directory', () => {
    const directories = new JournalDirectories([directory.path]);
    const files = (): number => directories.files(() => expect.unreachable('a directory that cannot be read')).length;
    expect(files()).toBe(0);
    expect(directories.changed()).toBe(false);
    new JournalWriter(at('system.journal')).append(sshdEntry(1, clock, 'x'));
    expect(directories.changed()).toBe(true);
    expect(files()).toBe(1);
    expect(directories.changed()).toBe(false);
    rmSync(at('system.journal'));
    expect(directories.changed()).toBe(true);
  });

  test('directories of this machine and its namespaces, and no other file', () => {
    const machine = '0123456789abcdef0123456789abcdef';
    for (const name of [machine, `${machine}.web`, 'remote', 'x']) mkdirSync(at(name));
    let number = 0;
    const write = (path: string): void => {
      const writer = new JournalWriter(at(path));
      number++;
      writer.append(sshdEntry(number, clock + number, path));
    };
    for (const path of [
      'own.journal',
      `${machine}/system.journal`,
      `${machine}/user-1000.journal~`,
      `${machine}/system.journal.tmp`,
      `${machine}.web/system.journal`,
      'remote/remote.journal',
      'x/system.journal',
    ])
      write(path);
    const { sink, read } = driveJournal(directory.path);
    read();
    expect(sink.taken.map(({ text }) => text.split(' ')[1]).sort()).toEqual(
      [
        `${machine}.web/system.journal`,
        `${machine}/system.journal`,
        `${machine}/user-1000.journal~`,
        'own.journal',
      ].sort(),
    );
  });

  test('more files than are open at once: the others wait, and are read', () => {
    const ids = journalIds();
    for (let n = 1; n <= journalFilesMax + 20; n++) {
      const name = at(`system@${String(n).padStart(3, '0')}.journal`);
      const writer = new JournalWriter(name, {}, { ...ids, fileId: journalIds().fileId });
      fill(writer, n, n);
      writer.archive();
      writer.close();
    }
    const { sink, read, source } = driveJournal(directory.path);
    read();
    expect(source.refused).toBe(20);
    expect(source.problems()).toContain('20 journal files wait: more than can be read at once');
    read();
    read();
    expect(source.refused).toBe(0);
    expect(sink.taken.map(({ seqnum }) => seqnum).sort((one, other) => one - other)).toEqual(
      numbers(1, journalFilesMax + 20),
    );
  });
});

describe('where reading begins', () => {
  test('at first, with what is within findtime', () => {
    const writer = new JournalWriter(at('system.journal'), { firstArray: 2 });
    for (let n = 1; n <= 1_000; n++) writer.append(sshdEntry(n, clock - (1_000 - n) * 1e6, `m${n}`));
    const old = new JournalWriter(at('system@old.journal'));
    old.append(sshdEntry(1, clock - 9_000e6, 'old'));
    old.archive();
    const { sink, read } = driveJournal(directory.path, { findtime: 600, now: () => clock / 1e6 });
    read();
    expect(sink.taken.map(({ seqnum }) => seqnum)).toEqual(numbers(400, 1_000));
  });

  test('after a restart, where the last run stopped: files it read, files it did not know', () => {
    const ids = journalIds();
    const writer = new JournalWriter(at('system.journal'), {}, ids);
    fill(writer, 1, 100);
    const first = driveJournal(directory.path);
    first.read();
    const resume = first.source.cursors();
    first.source.stop();
    fill(writer, 101, 110);
    renameSync(writer.path, at('system@1.journal'));
    writer.archive();
    const next = new JournalWriter(at('system.journal'), {}, { ...ids, fileId: journalIds().fileId });
    fill(next, 111, 120);
    const second = driveJournal(directory.path, { resume });
    second.read();
    expect(second.sink.taken.map(({ seqnum }) => seqnum)).toEqual(numbers(101, 120));
    // Once more, now that the old file has been read to its end.
    second.read();
    const third = driveJournal(directory.path, { resume: second.source.cursors() });
    fill(next, 121, 122);
    third.read();
    expect(third.sink.taken.map(({ seqnum }) => seqnum)).toEqual([121, 122]);
  });

  test('a position is that of the last entry fed, at every instant', () => {
    const writer = new JournalWriter(at('system.journal'));
    fill(writer, 1, 300);
    const { sink, source, read } = driveJournal(directory.path);
    const saved: JournalCursor[][] = [];
    const { feedEntry } = sink;
    sink.feedEntry = (...args) => {
      feedEntry.apply(sink, args);
      saved.push(source.cursors());
    };
    read();
    for (const [index, resume] of saved.entries()) {
      if (index % 29 !== 0) continue;
      const next = driveJournal(directory.path, { resume });
      next.read();
      expect(next.sink.taken.map(({ seqnum }) => seqnum)).toEqual(numbers(index + 2, 300));
      next.source.stop();
    }
  });
});

describe('damage', () => {
  const corrupt = (path: string, place: number, bytes: Uint8Array): void => {
    const descriptor = openSync(path, 'r+');
    writeSync(descriptor, bytes, 0, bytes.length, place);
  };

  test('a file that is not a journal is set aside with its reason, once', () => {
    writeFileSync(at('system.journal'), Buffer.alloc(8_192, 1), { mode: 0o600 });
    const { read, source, events } = driveJournal(directory.path, {});
    // A young file may be about to be written.
    const soon = Date.now() / 1000 + 3_600;
    utimesSync(at('system.journal'), soon, soon);
    read();
    expect(events).toEqual([]);
    utimesSync(at('system.journal'), 0, 0);
    read();
    read();
    expect(events).toEqual([{ kind: 'set aside', path: at('system.journal'), detail: 'it is no journal file' }]);
    expect(source.counters.aside).toBe(1);
    expect(source.problems()).toContain(`${at('system.journal')} is set aside: it is no journal file`);
  });

  test.each<[string, (path: string) => void, RegExp]>([
    ['cut in the middle', (path) => truncateSync(path, 3_000), /within (its arrays|an array)|entries are damaged/],
    ['an array that leads back', (path) => corrupt(path, 176, Buffer.from([8, 0, 0, 0])), /out of order/],
    [
      'more entries than it has',
      (path) => corrupt(path, 152, Buffer.from([255, 255, 255, 0])),
      /fewer entries than it says/,
    ],
    ['another version', (path) => corrupt(path, 12, Buffer.from([0, 1])), /features/],
  ])('%s', (_, damage, reason) => {
    const writer = new JournalWriter(at('system@1.journal'));
    fill(writer, 1, 200);
    writer.archive();
    damage(writer.path);
    utimesSync(writer.path, 0, 0);
    const good = new JournalWriter(at('system.journal'));
    fill(good, 201, 210);
    const { read, source, sink, events } = driveJournal(directory.path);
    read();
    read();
    expect(sink.taken.map(({ seqnum }) => seqnum).filter((seqnum) => seqnum > 200)).toEqual(numbers(201, 210));
    expect(events.find(({ kind }) => kind === 'set aside')?.detail).toMatch(reason);
    expect(source.counters.aside).toBe(1);
  });

  test('a damaged entry is passed over; with too many of them the file is set aside', () => {
    const entries = journalDamagedMax + 40;
    const writer = new JournalWriter(at('system.journal'), { firstArray: 256 });
    fill(writer, 1, entries);
    const { read, source, sink } = driveJournal(directory.path);
    // Changes the type of every third entry behind the array, whose place is known.
    const { places } = writer;
    for (const place of places.filter((_, index) => index % 3 === 0)) corrupt(writer.path, place, Buffer.from([99]));
    read();
    const lost = Math.ceil(entries / 3);
    expect(source.counters.damaged).toBe(lost);
    expect(sink.taken).toHaveLength(entries - lost);
    for (const place of places) corrupt(writer.path, place, Buffer.from([99]));
    const second = driveJournal(directory.path);
    second.read();
    expect(second.sink.taken).toHaveLength(0);
    expect(second.source.problems().join()).toMatch(/is set aside: 65 of its entries are damaged/);
  });
});

describe('what of an entry is read', () => {
  const unit: [string, string] = ['_SYSTEMD_UNIT', 'ssh.service'];
  type Fields = [string, string | Uint8Array][];

  /** A file of these entries, each of sshd's unit. */
  function written(form: JournalForm, ...entries: Fields[]): JournalWriter {
    const writer = new JournalWriter(at('system.journal'), form);
    for (const [index, fields] of entries.entries())
      writer.append({ seqnum: index + 1, realtime: clock + index, fields: [unit, ...fields] });
    return writer;
  }
  function readOf(options: Parameters<typeof driveJournal>[1] = {}) {
    const { sink, read, source } = driveJournal(directory.path, options);
    read();
    return { texts: sink.taken.map(({ text }) => text), taken: sink.taken, source, unread: [...source.unread] };
  }

  test.each<[string, Fields, string]>([
    [
      'an identifier before the command',
      [
        ['SYSLOG_IDENTIFIER', 'sshd'],
        ['_COMM', 'sh'],
      ],
      'sshd: m',
    ],
    [
      'the command where there is no identifier',
      [
        ['_COMM', 'sh'],
        ['_PID', '7'],
      ],
      'sh[7]: m',
    ],
    [
      'a given process number before the real one',
      [
        ['_COMM', 'sh'],
        ['SYSLOG_PID', '8'],
        ['_PID', '7'],
      ],
      'sh[8]: m',
    ],
    [
      'an empty identifier',
      [
        ['SYSLOG_IDENTIFIER', ''],
        ['_PID', '7'],
      ],
      '-[7]: m',
    ],
    [
      'an empty process number',
      [
        ['_COMM', 'sh'],
        ['_PID', ''],
      ],
      'sh: m',
    ],
    [
      'the longest process number',
      [
        ['_COMM', 'sh'],
        ['_PID', '0123456789'],
      ],
      'sh[0123456789]: m',
    ],
    [
      'one that is longer',
      [
        ['_COMM', 'sh'],
        ['_PID', '01234567890'],
      ],
      'sh: m',
    ],
    [
      'what stands beside digits',
      [
        ['_COMM', 'sh'],
        ['_PID', '1/'],
      ],
      'sh: m',
    ],
    [
      'and behind them',
      [
        ['_COMM', 'sh'],
        ['_PID', '1:'],
      ],
      'sh: m',
    ],
    ['the longest identifier', [['_COMM', 'x'.repeat(64)]], `${'x'.repeat(64)}: m`],
    ['one that is longer, cut', [['_COMM', `${'x'.repeat(64)}y`]], `${'x'.repeat(64)}: m`],
    ['signs that would end it early, and those beside them', [['_COMM', '\x1f !9:;Z[\\]^']], '__!9_;Z_\\_^: m'],
  ])('%s', (_, fields, expected) => {
    written({}, [...fields, ['MESSAGE', 'm']]);
    expect(readOf().texts).toEqual([expected]);
  });

  test('a message that fits its line to the last byte, and one that is a byte longer', () => {
    const room = lineBytesMax - '-: '.length;
    for (const compress of [undefined, 'zstd'] as const) {
      rmSync(at('system.journal'), { force: true });
      const fields = [room, room + 1].map((bytes): Fields => [['MESSAGE', 'x'.repeat(bytes)]]);
      written(compress === undefined ? {} : { compress }, ...fields);
      const { taken, unread } = readOf();
      expect(taken.map(({ text, cut }) => [text.length, cut])).toEqual([
        [lineBytesMax, false],
        [lineBytesMax, true],
      ]);
      expect(unread).toEqual([]);
    }
  });

  test('of an entry that nobody asked for nothing is counted', () => {
    const writer = new JournalWriter(at('system.journal'), { compress: 'lz4' });
    writer.append({
      seqnum: 1,
      realtime: clock,
      fields: [
        ['_COMM', 'cron'],
        ['MESSAGE', 'x'.repeat(600)],
      ],
    });
    expect(readOf()).toMatchObject({ texts: [], unread: [] });
  });

  test('a value that is longer than what is looked at fits nothing', () => {
    const shown = 'x'.repeat(512 - 64 - 'F='.length);
    written(
      {},
      [
        ['F', shown.slice(1)],
        ['MESSAGE', 'short'],
      ],
      [
        ['F', shown.repeat(2)],
        ['MESSAGE', 'long'],
      ],
    );
    const groups = [shown, shown.slice(1)].map((value) => ({ terms: [['F', [value]] as [string, string[]]] }));
    expect(readOf({ targets: [{ match: { text: '', groups }, source: 0, name: 'x' }] }).texts).toEqual(['-: short']);
  });

  test('a packed message is unpacked where its window is no larger than the bound', () => {
    // A frame without its size: its window says how much memory it takes.
    const frame = (windowLog: number, text: string): string =>
      Buffer.concat([
        Buffer.from([0x28, 0xb5, 0x2f, 0xfd, 0, (windowLog - 10) << 3]),
        Buffer.from([1 | (text.length << 3), 0, 0]),
        Buffer.from(text),
      ]).toString('latin1');
    const field = (windowLog: number): [string, string] => {
      const [name, value] = frame(windowLog, `MESSAGE=${windowLog}`).split('=');
      return [name!, value!];
    };
    const writer = written({}, [field(journalWindowLogMax)], [field(journalWindowLogMax + 1)]);
    const [, one, , , other] = writer.objects;
    for (const place of [one!, other!]) poke(writer, place + 1, 4);
    expect(readOf()).toMatchObject({ texts: [`-: ${journalWindowLogMax}`], unread: [['oversize', 1]] });
  });

  test('a field is looked for by names of so many bytes', () => {
    const [longest, tooLong] = ['F'.repeat(64), 'G'.repeat(65)];
    written({}, [
      [longest, 'x'],
      [tooLong, 'x'],
      ['MESSAGE', 'm'],
    ]);
    const matches = [longest, tooLong].map((field) => ({ text: '', groups: [{ terms: [[field, ['x']]] }] }));
    const targets = matches.map((match, source) => ({ match: match as JournalMatch, source, name: `${source}` }));
    expect(readOf({ targets }).taken.map(({ source }) => source)).toEqual([0]);
  });

  const long = (text: string): string => text.padEnd(600, '.');

  test('packed fields that are no message are passed over, as many as are tried', () => {
    const others = (count: number): Fields => Array.from({ length: count }, (_, n) => [`X${n}`, long(`${n}`)]);
    const message: Fields = [['MESSAGE', long('packed')]];
    written(
      { compress: 'zstd' },
      [...others(3), ['MESSAGE', 'plain']],
      [...others(journalCandidatesMax - 1), ...message],
      [...others(journalCandidatesMax), ['MESSAGE', long('too late')]],
    );
    expect(readOf()).toMatchObject({ texts: ['-: plain', `-: ${long('packed')}`], unread: [] });
  });

  test.each<[string, (writer: JournalWriter, field: number) => void, string]>([
    ['that nobody knows', (writer, field) => poke(writer, field + 1, 3), 'unreadable'],
    ['whose bytes are broken', (writer, field) => poke(writer, field + 64, 0), 'unreadable'],
    ['by lz4', (writer, field) => poke(writer, field + 1, 2), 'lz4'],
    ['by xz', (writer, field) => poke(writer, field + 1, 1), 'xz'],
  ])('a message in a form %s is counted, unless there is another', (_, damage, reason) => {
    const writer = written(
      { compress: 'zstd' },
      [['MESSAGE', long('packed')]],
      [
        ['MESSAGE', long('packed')],
        ['MESSAGE', 'plain'],
      ],
    );
    const [, field] = writer.objects;
    damage(writer, field!);
    const { texts, unread, source } = readOf();
    expect(texts).toEqual(['-: plain']);
    expect(unread).toEqual([[reason, 1]]);
    expect(source.problems()).toEqual([`1 messages in the journal were not read: ${reason}`]);
  });

  test('a message that is large though packed is not unpacked at all', () => {
    const noise = randomBytes(journalPackedBytesMax + 1024);
    written(
      { compress: 'zstd' },
      [['MESSAGE', noise]],
      [
        ['MESSAGE', noise],
        ['MESSAGE', 'plain'],
      ],
    );
    expect(readOf()).toMatchObject({ texts: ['-: plain'], unread: [['oversize', 1]] });
  });

  test('and one that is large only when it is unpacked is counted', () => {
    const zeros = Buffer.alloc(4 * 1024 * 1024, 0x30);
    written(
      { compress: 'zstd' },
      [['MESSAGE', zeros]],
      [
        ['MESSAGE', zeros],
        ['MESSAGE', 'plain'],
      ],
    );
    expect(readOf()).toMatchObject({ texts: ['-: plain'], unread: [['oversize', 1]] });
  });
});

describe('the reader of one file', () => {
  const said = (error: unknown): string => `${(error as Error).constructor.name}: ${(error as Error).message}`;

  /** Number, or what is wrong, of each entry with its fields; the last is where reading ends. */
  function walk(path: string): (number | string)[] {
    const found: (number | string)[] = [];
    let file: JournalFile;
    try {
      file = new JournalFile(path);
    } catch (error) {
      return [said(error)];
    }
    for (let more = true; more; ) {
      try {
        more = file.next();
        if (!more) break;
        for (const offset of file.fields) file.dataAt(offset);
        found.push(file.seqnum);
      } catch (error) {
        found.push(said(error));
        more = error instanceof DamagedEntry;
      }
    }
    file.close();
    return found;
  }

  /** A file of six entries, in arrays of four and eight. */
  function sixEntries(form: JournalForm = {}): { writer: JournalWriter; firstArray: number } {
    const writer = new JournalWriter(at('system.journal'), form);
    fill(writer, 1, 6);
    return { writer, firstArray: Number(readFileSync(writer.path).readBigUInt64LE(176)) };
  }
  const all = [1, 2, 3, 4, 5, 6];
  const arrays = 'DamagedFile: its arrays are out of order';
  const noArray = 'DamagedFile: an array of its entries is none';

  test.each<[string, (writer: JournalWriter, array: number) => void, (number | string)[]]>([
    ['nothing', () => {}, all],
    ['a header that is one byte short', ({ path }) => truncateSync(path, 207), ['DamagedFile: it has no whole header']],
    ['nothing but a header', ({ path }) => truncateSync(path, 208), ['DamagedFile: it ends within its arrays']],
    ['other first bytes', (writer) => poke(writer, 0, 0x6c), ['DamagedFile: it is no journal file']],
    ['every compression', (writer) => poke(writer, 12, 15), all],
    [
      'a feature that nobody knows',
      (writer) => poke(writer, 12, 36),
      ['DamagedFile: it has features that nobody here knows (36)'],
    ],
    ['a header that is too small', (writer) => writer.poke(88, 207n), ['DamagedFile: its header size is wrong']],
    ['the smallest header', (writer) => writer.poke(88, 208n), all],
    ['a header that is too large', (writer) => writer.poke(88, 65_537n), ['DamagedFile: its header size is wrong']],
    ['objects in the largest header', (writer) => writer.poke(88, 65_536n), [arrays]],
    [
      'a number without bound',
      (writer) => writer.poke(152, 2n ** 53n),
      ['DamagedFile: its number of entries is wrong'],
    ],
    ['entries that are not counted yet', (writer) => writer.poke(152, 5n), [1, 2, 3, 4, 5]],
    [
      'the largest number',
      (writer) => writer.poke(writer.places[1]! + 16, 2n ** 53n - 1n),
      [1, 2 ** 53 - 1, 3, 4, 5, 6],
    ],
    [
      'as many fields as there may be, behind the end',
      (writer) => writer.poke(writer.places[5]! + 8, 64n + 16n * BigInt(journalFieldsMax)),
      [1, 2, 3, 4, 5, 'DamagedEntry: it ends behind the file'],
    ],
    ['no array', (writer) => writer.poke(176, 0n), []],
    ['an array at no multiple of eight', (writer, array) => writer.poke(176, BigInt(array + 4)), [arrays]],
    ['an array at 2^53', (writer) => writer.poke(176, 2n ** 53n), [arrays]],
    ['an array behind the end', (writer) => writer.poke(176, 2n ** 40n), ['DamagedFile: it ends within its arrays']],
    ['an array of another type', (writer, array) => poke(writer, array, 3), [noArray]],
    ['an array without room', (writer, array) => writer.poke(array + 8, 31n), [noArray]],
    ['an array of one', (writer, array) => writer.poke(array + 8, 32n), [1, 5, 6]],
    ['an array without end', (writer, array) => writer.poke(array + 8, 24n + 8n * 2n ** 32n), [noArray]],
    ['a chain that leads back', (writer, array) => writer.poke(array + 16, BigInt(array)), [1, 2, 3, 4, arrays]],
    ['a chain that ends', (writer, array) => writer.poke(array + 16, 0n), [1, 2, 3, 4]],
    [
      'an entry twice',
      (writer, array) => writer.poke(array + 32, BigInt(writer.places[0]!)),
      [1, 'DamagedFile: its entries are out of order'],
    ],
    ['an entry that is not there yet', (writer, array) => writer.poke(array + 32, 0n), [1]],
    [
      'an entry in the header',
      (writer, array) => writer.poke(array + 24, 264n),
      ['DamagedFile: an entry has no valid place'],
    ],
    [
      'an entry at no multiple of eight',
      (writer, array) => writer.poke(array + 24, BigInt(writer.places[0]! + 4)),
      ['DamagedFile: an entry has no valid place'],
    ],
    [
      'another object',
      (writer) => poke(writer, writer.places[1]!, 1),
      [1, 'DamagedEntry: it is not an entry', 3, 4, 5, 6],
    ],
    ...(
      [
        ['an entry that is too short', 48n],
        ['half a field', 72n],
        ['too many fields', 64n + 16n * BigInt(journalFieldsMax + 1)],
        ['a size without bound', 2n ** 60n],
      ] as const
    ).map(([what, size]): [string, (writer: JournalWriter) => void, (number | string)[]] => [
      what,
      (writer) => writer.poke(writer.places[1]! + 8, size),
      [1, 'DamagedEntry: its size is wrong', 3, 4, 5, 6],
    ]),
    ['no fields', (writer) => writer.poke(writer.places[1]! + 8, 64n), all],
    [
      'a number above all numbers',
      (writer) => writer.poke(writer.places[1]! + 16, 2n ** 53n),
      [1, 'DamagedEntry: its number or time is wrong', 3, 4, 5, 6],
    ],
    [
      'a time above all times',
      (writer) => writer.poke(writer.places[1]! + 24, 2n ** 53n),
      [1, 'DamagedEntry: its number or time is wrong', 3, 4, 5, 6],
    ],
    [
      'a field that is the entry',
      (writer) => writer.poke(writer.places[1]! + 64, BigInt(writer.places[1]!)),
      [1, 'DamagedEntry: a field has no valid place', 3, 4, 5, 6],
    ],
    [
      'a field at no multiple of eight',
      (writer) => writer.poke(writer.places[1]! + 64, 276n),
      [1, 'DamagedEntry: a field has no valid place', 3, 4, 5, 6],
    ],
    [
      'a field that is an entry',
      (writer) => writer.poke(writer.places[1]! + 64, BigInt(writer.places[0]!)),
      [1, 'DamagedEntry: a field is none', 3, 4, 5, 6],
    ],
    // The process number of the second entry is its first object.
    [
      'a field that is too short',
      (writer, array) => writer.poke(writer.objects[writer.objects.indexOf(array) + 1]! + 8, 63n),
      [1, 'DamagedEntry: a field is none', 3, 4, 5, 6],
    ],
    [
      'a field without a byte',
      (writer, array) => writer.poke(writer.objects[writer.objects.indexOf(array) + 1]! + 8, 64n),
      all,
    ],
    [
      'a field that reaches into its entry',
      (writer, array) => {
        const field = writer.objects[writer.objects.indexOf(array) + 1]!;
        writer.poke(field + 8, BigInt(writer.places[1]! + 1 - field));
      },
      [1, 'DamagedEntry: a field is none', 3, 4, 5, 6],
    ],
    [
      'a field that reaches to its entry',
      (writer, array) => {
        const field = writer.objects[writer.objects.indexOf(array) + 1]!;
        writer.poke(field + 8, BigInt(writer.places[1]! - field));
      },
      all,
    ],
    [
      'an end within the last entry',
      (writer) => truncateSync(writer.path, writer.places[5]! + 70),
      [1, 2, 3, 4, 5, 'DamagedEntry: it ends behind the file'],
    ],
  ])('%s', (_, change, expected) => {
    const { writer, firstArray } = sixEntries();
    change(writer, firstArray);
    expect(walk(writer.path)).toEqual(expected);
    writer.close();
  });

  test('a file that ends within an array', () => {
    const writer = new JournalWriter(at('system.journal'), { firstArray: 200 });
    fill(writer, 1, 100);
    const array = Number(readFileSync(writer.path).readBigUInt64LE(176));
    // What is left of the array is read, and what it leads to is behind the end.
    truncateSync(writer.path, array + 24 + 7);
    expect(walk(writer.path)).toEqual(['DamagedFile: it ends within an array of its entries']);
  });

  test.each<[string, JournalForm]>([
    ['regular', {}],
    ['compact', { compact: true }],
  ])('%s: skips what is before, wherever that ends, in any array', (_, form) => {
    const entries = 150;
    const writer = new JournalWriter(at('system.journal'), form);
    fill(writer, 1, entries);
    for (let last = 0; last <= entries; last++) {
      const file = new JournalFile(writer.path);
      const asked: number[] = [];
      file.seek(() => {
        asked.push(file.seqnum);
        return file.seqnum <= last;
      });
      expect([file.passed, asked.length < 40]).toEqual([last, true]);
      expect(file.next()).toBe(last < entries);
      if (last < entries) expect(file.seqnum).toBe(last + 1);
      file.close();
    }
  });

  test('skips nothing that is not counted yet, and says where the order is wrong', () => {
    const { writer, firstArray } = sixEntries();
    writer.poke(152, 5n);
    const counted = new JournalFile(writer.path);
    counted.seek(() => true);
    expect([counted.passed, counted.next()]).toEqual([5, false]);
    counted.close();
    writer.poke(firstArray + 24 + 16, BigInt(writer.places[0]!));
    const other = new JournalFile(writer.path);
    // The last of four is asked for first, then the second, then the third.
    let asked = 0;
    other.seek(() => asked++ === 1);
    expect([asked, other.passed]).toEqual([3, 2]);
    expect(() => {
      while (other.next());
    }).toThrow('its entries are out of order');
    other.close();
    writer.poke(firstArray + 24 + 24, BigInt(writer.places[3]! + 4));
    const damaged = new JournalFile(writer.path);
    expect(() => damaged.seek(() => true)).toThrow('an entry has no valid place');
    damaged.close();
  });

  test('follows no more than so many arrays', () => {
    const { writer } = sixEntries();
    const arrays = journalArraysMax + 2;
    const from = statSync(writer.path).size;
    const bytes = Buffer.alloc(32 * arrays);
    for (let array = 0; array < arrays; array++) {
      bytes[32 * array] = 6;
      bytes.writeBigUInt64LE(32n, 32 * array + 8);
      bytes.writeBigUInt64LE(BigInt(from + 32 * (array + 1)), 32 * array + 16);
      bytes.writeBigUInt64LE(BigInt(writer.places[0]!), 32 * array + 24);
    }
    appendFileSync(writer.path, bytes);
    writer.poke(176, BigInt(from));
    for (const [entries, isRead] of [
      [journalArraysMax + 1, true],
      [journalArraysMax + 2, false],
    ] as const) {
      writer.poke(152, BigInt(entries));
      const file = new JournalFile(writer.path);
      const seek = (): void => file.seek(() => true);
      if (isRead) expect(seek).not.toThrow();
      else expect(seek).toThrow('its entries are in too many arrays');
      file.close();
    }
  });

  test('leaves no descriptor, whatever it finds', () => {
    const { writer } = sixEntries();
    writeFileSync(at('none.journal'), 'no journal');
    const before = openDescriptors().size;
    expect(walk(writer.path)).toHaveLength(6);
    expect(walk(at('none.journal'))).toEqual(['DamagedFile: it has no whole header']);
    const directories = new JournalDirectories([directory.path]);
    for (let count = 0; count < 3; count++) directories.files(() => {});
    expect(isJournal(writer.path)).toBe(true);
    readJournal(writer.path, [everyEntry], new JournalSink(), clock / 1e6, () => {});
    expect(openDescriptors().size).toBe(before);
  });

  test('notices a header that was cut, though what it says of entries is the same', () => {
    const { writer } = sixEntries();
    const file = new JournalFile(writer.path);
    truncateSync(writer.path, 200);
    expect(() => file.look()).toThrow('it has no whole header');
    file.close();
  });

  test('two files in turn are not mixed up', () => {
    const one = sixEntries().writer;
    renameSync(one.path, at('one.journal'));
    const other = new JournalWriter(at('other.journal'));
    fill(other, 11, 16, (n) => `other ${n}`);
    const files = [new JournalFile(at('one.journal')), new JournalFile(other.path)];
    const bytes = files.map(({ path }) => readFileSync(path));
    for (let turn = 0; turn < 6; turn++) {
      for (const [index, file] of files.entries()) {
        expect([file.next(), file.seqnum]).toEqual([true, 10 * index + turn + 1]);
        for (const place of [file.offset, ...file.fields]) {
          const into = Buffer.alloc(80);
          file.copy(place, 80, into, 0);
          expect(into).toEqual(bytes[index]!.subarray(place, place + 80));
        }
        // The other one, right after it.
        const into = Buffer.alloc(80);
        files[1 - index]!.copy(file.offset, 80, into, 0);
        expect(into).toEqual(bytes[1 - index]!.subarray(file.offset, file.offset + 80));
      }
    }
    for (const file of files) file.close();
  });

  test('reads a file about once, in large pieces, however often its entries name the same fields', () => {
    const writer = new JournalWriter(at('system.journal'));
    fill(writer, 1, 3_000, (n) => `m${n} `.padEnd(300, 'x'));
    const { read, sink } = driveJournal(directory.path);
    const { readSync } = fs;
    let calls = 0;
    let bytes = 0;
    fs.readSync = ((...what: Parameters<typeof readSync>) => {
      const count = readSync(...what);
      calls++;
      bytes += count;
      return count;
    }) as typeof readSync;
    syncBuiltinESMExports();
    try {
      read();
    } finally {
      fs.readSync = readSync;
      syncBuiltinESMExports();
    }
    expect(sink.taken).toHaveLength(3_000);
    expect(bytes).toBeLessThan(1.5 * statSync(writer.path).size);
    expect(calls).toBeLessThan(200);
  });

  test('a damaged entry is not skipped', () => {
    const { writer } = sixEntries();
    for (const place of writer.places.slice(3)) poke(writer, place, 99);
    const file = new JournalFile(writer.path);
    file.seek(() => true);
    expect(file.passed).toBe(3);
    expect(() => file.next()).toThrow(DamagedEntry);
    file.close();
  });

  test('says what is new, whether it is open or closed, and how far it goes', () => {
    const { writer } = sixEntries();
    const file = new JournalFile(writer.path);
    const state = () => [file.entries, file.passed, file.tailSeqnum, file.online, file.archived];
    expect([file.fileId, file.seqnumId]).toEqual([writer.ids.fileId, writer.ids.seqnumId]);
    expect([file.headRealtime, file.tailRealtime]).toEqual([clock + 1, clock + 6]);
    expect(Buffer.from(file.boot, 'latin1').toString('hex')).toBe('');
    expect([file.look(), state()]).toEqual([true, [6, 0, 6, true, false]]);
    while (file.next());
    expect([file.look(), state()]).toEqual([false, [6, 6, 6, true, false]]);
    expect(Buffer.from(file.boot, 'latin1').toString('hex')).toBe(writer.ids.bootId);
    fill(writer, 7, 7);
    expect([file.look(), state()]).toEqual([true, [7, 6, 7, true, false]]);
    expect([file.next(), file.seqnum, file.realtime, file.monotonic]).toEqual([true, 7, clock + 7, clock + 7]);
    writer.archive();
    expect([file.look(), state()]).toEqual([false, [7, 7, 7, false, true]]);
    file.close();
  });

  test('a file that loses entries, or becomes another, is damaged', () => {
    const { writer } = sixEntries();
    const [one, other] = [new JournalFile(writer.path), new JournalFile(writer.path)];
    writer.poke(152, 5n);
    expect(() => one.look()).toThrow('its number of entries is wrong');
    fill(writer, 7, 7);
    writer.become('f'.repeat(32));
    expect(() => other.look()).toThrow('it became another file');
    one.close();
    other.close();
  });

  test('its bytes are copied from wherever they are, and none from behind its end', () => {
    const { writer } = sixEntries();
    const file = new JournalFile(writer.path);
    const bytes = readFileSync(writer.path);
    const into = Buffer.alloc(64);
    // Nothing was read yet; then what was read is near the entry, and other places are not.
    for (const moves of [false, true]) {
      if (moves) expect(file.next()).toBe(true);
      for (const [place, length, to] of [
        [272, 20, 3],
        [bytes.length - 8, 8, 0],
        [0, 8, 56],
        [272, 0, 0],
      ] as const) {
        into.fill(0xee);
        file.copy(place, length, into, to);
        const expected = Buffer.alloc(64, 0xee);
        bytes.copy(expected, to, place, place + length);
        expect(into).toEqual(expected);
      }
      expect(() => file.copy(bytes.length - 8, 9, into, 0)).toThrow('a field ends behind the file');
    }
    file.close();
  });
});
