/**
 * State files whose checksum fits and whose content is wrong: each field has its bound, the reason
 * is said, and what lies on a bound is read.
 */
import {
  chmodSync,
  chownSync,
  existsSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  symlinkSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { crc32 } from 'node:zlib';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import * as limits from '../../src/limits.ts';
import type { ReadPosition } from '../../src/sources/file.ts';
import type { SavedHistory } from '../../src/sources/silence.ts';
import * as format from '../../src/state/format.ts';
import { loadState } from '../../src/state/load.ts';
import { saveState, temporaryPath } from '../../src/state/save.ts';
import { temporaryDirectory } from '../support/control.ts';
import { CollectingVisitor, sampleHistory, samplePosition, sampleSnapshot } from '../support/state.ts';

const now = 1_700_000_100;
const { sectionTag } = format;
const home = { path: '', remove: (): void => {} };
let path: string;

beforeEach(() => {
  Object.assign(home, temporaryDirectory());
  path = join(home.path, 'state');
});
afterEach(() => home.remove());

type Section = [tag: number, payload: Uint8Array];

function headOf(tag: number, length: number): Buffer {
  const bytes = Buffer.alloc(format.sectionHeadBytes);
  bytes.writeUInt32LE(tag, 0);
  bytes.writeUInt32LE(length, 4);
  return bytes;
}

function headerOf(time: number, zero = 0): Buffer {
  const header = Buffer.alloc(format.headerBytes);
  format.stateMagic.copy(header);
  header.writeUInt32LE(format.stateVersion, 8);
  header.writeUInt32LE(zero, 12);
  header.writeDoubleLE(time, 16);
  return header;
}

/** A whole file with these sections and a right checksum. */
function fileOf(sections: readonly Section[], header = headerOf(now), endLength = 4): Buffer {
  const parts = sections.flatMap(([tag, payload]) => [headOf(tag, payload.length), payload]);
  const before = Buffer.concat([header, ...parts, headOf(sectionTag.end, endLength)]);
  const end = Buffer.alloc(endLength);
  end.writeUInt32LE(crc32(before));
  return Buffer.concat([before, end]);
}

/** What the file does: the reason why it is refused, or what it gives. */
function outcomeOf(bytes: Uint8Array): string | CollectingVisitor {
  writeFileSync(path, bytes, { mode: 0o600 });
  const visitor = new CollectingVisitor();
  const loaded = loadState(path, visitor, now);
  if (loaded.state !== null) return visitor;
  expect(visitor.touched, 'nothing of it is believed').toBe(false);
  return loaded.why;
}

const jails: Section = [sectionTag.jails, format.encodeJails(['sshd'])];
const clock = (boot: string, seconds = 5): Section => [sectionTag.clock, format.encodeClock({ boot, seconds })];
const tableHead = (entryBytes: number): Section => {
  const bytes = Buffer.alloc(format.tableHeadBytes);
  bytes.writeUInt32LE(entryBytes, 4);
  return [sectionTag.tableHead, bytes];
};
const entries = (bytes: number): Section => [sectionTag.tableEntries, new Uint8Array(bytes)];
const position = (changes: Partial<ReadPosition> = {}): Section => [
  sectionTag.positions,
  format.encodePosition({ ...samplePosition(1), ...changes }),
];
const history = (changes: Partial<SavedHistory> = {}): Section => [
  sectionTag.histories,
  format.encodeHistory({ ...sampleHistory(1), ...changes }),
];
const ignored = (text: string, until = 5): Section => {
  const bytes = Buffer.alloc(8 + text.length);
  bytes.writeDoubleLE(until, 0);
  bytes.write(text, 8, 'latin1');
  return [sectionTag.ignored, bytes];
};
const cursor: Section = [sectionTag.journal, format.encodeCursor({ kind: 'file', id: 'a'.repeat(32), seqnum: 5 })];
const changed = ([tag, payload]: Section, change: (bytes: Buffer) => void): Section => {
  const bytes = Buffer.from(payload);
  change(bytes);
  return [tag, bytes];
};
const cut = ([tag, payload]: Section, by = 1): Section => [tag, payload.subarray(0, payload.length - by)];
const times = <Value>(count: number, value: Value): Value[] => Array<Value>(count).fill(value);
/** So many positions, many in a section. */
function manyPositions(count: number): Section[] {
  const [tag, one] = position({ path: '/x' });
  const perSection = Math.floor(limits.stateSectionBytesMax / one.length);
  const sizes = Array.from({ length: Math.ceil(count / perSection) }, (_, at) =>
    Math.min(perSection, count - at * perSection),
  );
  return sizes.map((size) => [tag, Buffer.concat(times(size, one))]);
}
const names = (count: number) => Array.from({ length: count }, (_, index) => `jail-${index}`);
const tooLarge = 2 ** 53;
const absolute = (bytes: number): string => `/${'x'.repeat(bytes - 1)}`;
const lastHour = limits.weekHours - 1;
const counts = (hour: number, value: number): Float32Array => {
  const all = new Float32Array(limits.weekHours);
  all[hour] = value;
  return all;
};

describe('header, order and end', () => {
  test.each<[why: string, bytes: Uint8Array]>([
    ['it is not a state file', fileOf([jails], headerOf(now).fill('g', 0, 1))],
    ['it is not a state file', fileOf([jails], headerOf(now).fill('f', 7, 8))],
    ['its header is wrong', fileOf([jails], headerOf(now, 1))],
    ['its header is wrong', fileOf([jails], headerOf(-1))],
    ['its header is wrong', fileOf([jails], headerOf(tooLarge))],
    ['its header is wrong', fileOf([jails], headerOf(Number.NaN))],
    ['its sections are out of order', fileOf([jails, position(), clock('x')])],
    ['its sections are out of order', fileOf([jails, tableHead(8), position()])],
    ['a section is too long', fileOf([jails, [sectionTag.positions, new Uint8Array(limits.stateSectionBytesMax + 1)]])],
    ['it has an unknown section 8', fileOf([jails, [8, new Uint8Array(4)]])],
    ['it tells its clock twice', fileOf([clock('x'), clock('x'), jails])],
    ['it names its jails twice', fileOf([jails, jails])],
    ['it does not name its jails first', fileOf([position()])],
    ['it does not name its jails first', fileOf([clock('x'), tableHead(8)])],
    ['its end is wrong', fileOf([jails], headerOf(now), 5)],
    ['something follows its end', Buffer.concat([fileOf([jails]), Buffer.of(0)])],
    ['its checksum does not fit', fileOf([jails]).fill(0x74, 33, 34)],
  ])('%s', (why, bytes) => {
    expect(outcomeOf(bytes)).toBe(why);
  });

  test.each([
    ['the first second of all', 0],
    ['the last one of all', Number.MAX_SAFE_INTEGER],
  ])('a file of %s is read', (_, time) => {
    writeFileSync(path, fileOf([jails], headerOf(time)), { mode: 0o600 });
    expect(loadState(path, new CollectingVisitor(), now)).toEqual({ state: { time, positions: 0, tableBytes: 0 } });
  });
});

describe('jails and clock', () => {
  test.each<[why: string, section: Section]>([
    ['a jail name has a wrong length', [sectionTag.jails, Buffer.of(0)]],
    ['a jail name has a wrong length', [sectionTag.jails, Buffer.from('\x05sshd', 'latin1')]],
    ['a jail name has a wrong length', [sectionTag.jails, format.encodeJails(['x'.repeat(limits.jailNameMax + 1)])]],
    ['a jail name holds strange characters', [sectionTag.jails, format.encodeJails(['ss d'])]],
    ['a jail name holds strange characters', [sectionTag.jails, format.encodeJails(['\x1bsshd'])]],
    ['a jail name holds strange characters', [sectionTag.jails, format.encodeJails(['sshd\x7f'])]],
    ['too many jails', [sectionTag.jails, format.encodeJails(names(limits.jailsMax + 1))]],
    ['its clock has a wrong length', cut(clock(''))],
    ['its clock has a wrong length', clock('x'.repeat(65))],
    ['its clock is wrong', clock('x', -1)],
    ['its clock is wrong', clock('x', Number.NaN)],
    ['its clock is wrong', clock('x', tooLarge)],
  ])('%s', (why, section) => {
    expect(outcomeOf(fileOf(section[0] === sectionTag.clock ? [section, jails] : [section]))).toBe(why);
  });

  test('the longest and most names, and the longest clock, are read', () => {
    const longest = names(limits.jailsMax).with(0, 'x'.repeat(limits.jailNameMax));
    const boot = 'b'.repeat(64);
    const found = outcomeOf(
      fileOf([clock(boot, Number.MAX_SAFE_INTEGER), [sectionTag.jails, format.encodeJails(longest)], tableHead(8)]),
    );
    expect(found).toMatchObject({
      head: { jails: longest, time: now, clock: { boot, seconds: Number.MAX_SAFE_INTEGER } },
    });
    expect(outcomeOf(fileOf([clock('', 0), jails, tableHead(8)]))).toMatchObject({
      head: { clock: { boot: '', seconds: 0 } },
    });
  });
});

describe('read positions', () => {
  test.each<[why: string, sections: Section[]]>([
    ['a read position is cut short', [[sectionTag.positions, new Uint8Array(format.positionHeadBytes - 1)]]],
    ['a read position has a wrong offset', [position({ offset: -1 })]],
    ['a read position has a wrong offset', [position({ offset: 4_096.5 })]],
    ['a read position has a wrong offset', [position({ offset: tooLarge })]],
    ['a read position has a wrong fingerprint', [position({ offset: 9, mark: { hash: 1, length: 10 } })]],
    [
      'a read position has a wrong fingerprint',
      [position({ offset: 1 << 20, mark: { hash: 1, length: limits.fingerprintBytesMax + 1 } })],
    ],
    ['a read position has a wrong path length', [position({ path: absolute(limits.pathBytesMax + 1) })]],
    ['a read position has a wrong path length', [cut(position())]],
    ['a read position has no absolute path', [position({ path: 'var/log/auth.log' })]],
    ['a read position has no absolute path', [position({ path: '' })]],
    ['a read position has no absolute path', [position({ path: '/var/log\0/auth.log' })]],
    ['it holds too many read positions', manyPositions(limits.statePositionsMax + 1)],
  ])('%s', (why, sections) => {
    expect(outcomeOf(fileOf([jails, ...sections]))).toBe(why);
  });

  test('those on the bounds are read', () => {
    const wanted = [
      { ...samplePosition(1), path: absolute(limits.pathBytesMax) },
      { ...samplePosition(2), path: '/', offset: Number.MAX_SAFE_INTEGER },
      { ...samplePosition(3), offset: 0, mark: { hash: 0, length: 0 } },
      { ...samplePosition(4), offset: 1 << 20, mark: { hash: 1, length: limits.fingerprintBytesMax } },
    ];
    expect(outcomeOf(fileOf([jails, ...wanted.map(position)]))).toMatchObject({ positions: wanted });
  });

  test('as many as may be are read', () => {
    const found = outcomeOf(fileOf([jails, ...manyPositions(limits.statePositionsMax)])) as CollectingVisitor;
    expect(found.positions).toHaveLength(limits.statePositionsMax);
  });
});

describe('the table', () => {
  test.each<[why: string, sections: Section[]]>([
    ['the description of its table is cut short', [cut(tableHead(8))]],
    ['its entries have a wrong size', [tableHead(0)]],
    ['its entries have a wrong size', [tableHead(limits.stateSectionBytesMax + 1)]],
    ['it describes its table twice', [tableHead(8), tableHead(8)]],
    ['its table is cut in the middle', [entries(8)]],
    ['its table is cut in the middle', [tableHead(8), entries(12)]],
  ])('%s', (why, sections) => {
    expect(outcomeOf(fileOf([jails, ...sections]))).toBe(why);
  });

  test('one entry may take a whole section', () => {
    const most = limits.stateSectionBytesMax;
    const found = outcomeOf(fileOf([jails, tableHead(most), entries(most)])) as CollectingVisitor;
    expect(found.chunks.map(({ length }) => length)).toEqual([most]);
  });
});

describe('histories, journals and networks', () => {
  const { historyHeadBytes } = format;
  test.each<[why: string, sections: Section[]]>([
    ['a history has a wrong length', [[sectionTag.histories, new Uint8Array(historyHeadBytes)]]],
    ['a history has a wrong length', [history({ path: absolute(limits.pathBytesMax + 1) })]],
    ['a history has a wrong number', [history({ since: -1 })]],
    ['a history has a wrong number', [history({ quietSeconds: Number.NaN })]],
    ['a history has a wrong number', [history({ missed: tooLarge })]],
    ['a history has a wrong number', [history({ counts: counts(0, -1) })]],
    ['a history has a wrong number', [history({ counts: counts(lastHour, Number.POSITIVE_INFINITY) })]],
    ['a history has no absolute path', [history({ path: 'auth.log' })]],
    ['a history has no absolute path', [history({ path: '/auth.log\0' })]],
    ['a history has no absolute path', [history({ path: 'a journal:sshd' })]],
    ['it holds too many histories', times(limits.historiesMax + 1, history({ path: '/x' }))],
    ['it holds too many positions in the journal', times(limits.journalCursorsMax + 1, cursor)],
    ['a position in the journal has a wrong length', [cut(cursor)]],
    ['a position in the journal is of an unknown kind', [changed(cursor, (bytes) => bytes.writeUInt32LE(2, 0))]],
    ['a position in the journal has a wrong number', [changed(cursor, (bytes) => bytes.writeDoubleLE(-1, 8))]],
    ['a network that is ignored by hand is wrong', [ignored('')]],
    ['a network that is ignored by hand is wrong', [[sectionTag.ignored, new Uint8Array(7)]]],
    ['a network that is ignored by hand is wrong', [ignored('192.0.2.300')]],
    ['a network that is ignored by hand is wrong', [ignored('192.0.2.1/24')]],
    ['a network that is ignored by hand is wrong', [ignored('192.0.2.0/24', -1)]],
    ['a network that is ignored by hand is wrong', [ignored('192.0.2.0/24', Number.NaN)]],
    ['it ignores too many networks by hand', times(limits.ignoredByHandMax + 1, ignored('192.0.2.0/24'))],
  ])('%s', (why, sections) => {
    expect(outcomeOf(fileOf([jails, ...sections]))).toBe(why);
  });

  test('those on the bounds, and as many as may be, are read', () => {
    const wanted = [
      { path: absolute(limits.pathBytesMax), since: 0, quietSeconds: Number.MAX_SAFE_INTEGER, missed: 0.5 },
      { path: 'journal:ssh.service', since: 1, quietSeconds: 2, missed: 3 },
    ].map((each) => ({ ...each, counts: counts(lastHour, 0.25) }));
    const more = times(limits.historiesMax - wanted.length, history({ path: '/x' }));
    const found = outcomeOf(
      fileOf([
        jails,
        ...wanted.map(history),
        ...more,
        ...times(limits.journalCursorsMax, cursor),
        ...times(limits.ignoredByHandMax - 1, ignored('192.0.2.0/24', 0)),
        ignored('2001:db8::/32', Number.POSITIVE_INFINITY),
      ]),
    ) as CollectingVisitor;
    expect(found.histories.slice(0, 2)).toEqual(wanted);
    expect(found.histories).toHaveLength(limits.historiesMax);
    expect(found.byHand).toHaveLength(limits.ignoredByHandMax);
    expect(found.byHand[0]!.until).toBe(0);
    expect(found.byHand.at(-1)!.until).toBe(Number.POSITIVE_INFINITY);
  });
});

describe('what lies in the way', () => {
  test('a file that is longer than any of ours is refused unread', () => {
    writeFileSync(path, fileOf([jails]), { mode: 0o600 });
    truncateSync(path, limits.stateBytesMax + 1);
    expect(loadState(path, new CollectingVisitor(), now)).toMatchObject({
      state: null,
      why: `it is longer than ${limits.stateBytesMax} bytes`,
    });
  });

  test('a file as long as ours can be is looked at', () => {
    writeFileSync(path, fileOf([jails]), { mode: 0o600 });
    truncateSync(path, limits.stateBytesMax);
    expect(loadState(path, new CollectingVisitor(), now)).toMatchObject({ why: 'something follows its end' });
  });

  test.runIf(process.geteuid!() === 0)('a file of root or of the daemon is believed, one of others is not', () => {
    chmodSync(home.path, 0o777);
    const as = (user: number, owner: number) => {
      writeFileSync(path, fileOf([jails]), { mode: 0o644 });
      chownSync(path, owner, owner);
      process.seteuid!(user);
      try {
        return loadState(path, new CollectingVisitor(), now);
      } finally {
        process.seteuid!(0);
      }
    };
    for (const owner of [0, 1000]) expect(as(1000, owner)).toMatchObject({ state: { time: now } });
    expect(as(1000, 1001)).toMatchObject({ state: null, why: 'it belongs to user 1001' });
    expect(as(0, 1000)).toMatchObject({ state: null, why: 'it belongs to user 1000' });
  });

  test('a fault of ours is no damage: it is thrown, and the file stays', () => {
    writeFileSync(path, fileOf([jails, position()]), { mode: 0o600 });
    const visitor = new CollectingVisitor();
    visitor.position = () => {
      throw new Error('a fault of ours');
    };
    expect(() => loadState(path, visitor, now)).toThrow('a fault of ours');
    expect(readdirSync(home.path)).toEqual(['state']);
  });

  test('nobody need ask for everything, and no descriptor stays open', () => {
    writeFileSync(path, fileOf([jails, history(), cursor, ignored('192.0.2.0/24')]), { mode: 0o600 });
    const open = (): number => readdirSync('/proc/self/fd').length;
    const before = open();
    const visitor = { position: () => {}, table: () => true, entries: () => {} };
    for (let count = 0; count < 5; count++)
      expect(loadState(path, visitor, now)).toMatchObject({ state: { time: now } });
    writeFileSync(path, 'no state', { mode: 0o600 });
    expect(loadState(path, visitor, now)).toMatchObject({ state: null });
    expect(open()).toBe(before);
  });

  test('a link is not followed: it is set aside, and what it names stays', () => {
    const target = join(home.path, 'target');
    writeFileSync(target, fileOf([jails, position()]), { mode: 0o600 });
    symlinkSync(target, path);
    const visitor = new CollectingVisitor();
    const { why, asideAs } = loadState(path, visitor, now) as { why: string; asideAs: string };
    expect(why).toContain('ELOOP');
    expect(visitor.touched).toBe(false);
    expect(lstatSync(asideAs).isSymbolicLink()).toBe(true);
    expect(readdirSync(home.path).sort()).toEqual(['state.damaged-20231114T221500Z', 'target']);
  });

  test('a file that cannot be set aside stays, and the reason says both', () => {
    writeFileSync(path, 'no state', { mode: 0o600 });
    mkdirSync(`${path}.damaged-20231114T221500Z`);
    const loaded = loadState(path, new CollectingVisitor(), now) as { why: string; asideAs: string | null };
    expect(loaded.why).toMatch(/^it is cut short; it could not be set aside: EISDIR/);
    expect(loaded.asideAs).toBe(null);
    expect(existsSync(path)).toBe(true);
  });

  test('what a crash left of an unfinished save is removed, whether or not there is a state', async () => {
    writeFileSync(temporaryPath(path), 'left by a crash');
    loadState(path, new CollectingVisitor(), now);
    expect(readdirSync(home.path)).toEqual([]);
    await saveState(path, () => sampleSnapshot(1));
    writeFileSync(temporaryPath(path), 'left by a crash');
    loadState(path, new CollectingVisitor(), now);
    expect(readdirSync(home.path)).toEqual(['state']);
  });

  test('a note about the table that is too long is not saved', async () => {
    const snapshot = sampleSnapshot(1);
    const table = { ...snapshot.table!, note: new Uint8Array(limits.stateTableNoteBytesMax + 1) };
    await expect(saveState(path, () => ({ ...snapshot, table }))).rejects.toThrow(
      'the note about the table is too long',
    );
    table.note = table.note.subarray(1);
    await saveState(path, () => ({ ...snapshot, table }));
    const visitor = new CollectingVisitor();
    loadState(path, visitor, now);
    expect(visitor.head!.note).toHaveLength(limits.stateTableNoteBytesMax);
  });
});
