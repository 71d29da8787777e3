/** Positions in the journal as the state file keeps them. */
import { expect, test } from 'vitest';
import type { JournalCursor } from '../../src/sources/journal/journal.ts';
import { DamagedState, decodeCursor, encodeCursor } from '../../src/state/format.ts';
import { loadState } from '../../src/state/load.ts';
import { saveState } from '../../src/state/save.ts';
import { temporaryDirectory } from '../support/control.ts';
import { CollectingVisitor, sampleSnapshot } from '../support/state.ts';

const cursors: JournalCursor[] = [
  { kind: 'file', id: '0123456789abcdef0123456789abcdef', seqnum: 0 },
  { kind: 'file', id: 'f'.repeat(32), seqnum: 2 ** 40 },
  { kind: 'numbers', id: 'f'.repeat(32), seqnum: 7 },
];

const withNumber =
  (value: number) =>
  (bytes: Buffer): Buffer => {
    bytes.writeDoubleLE(value, 8);
    return bytes;
  };

test('they come back as they were', async () => {
  const directory = temporaryDirectory();
  try {
    const path = `${directory.path}/state`;
    await saveState(path, () => ({ ...sampleSnapshot(3), cursors }));
    const found: JournalCursor[] = [];
    const visitor = Object.assign(new CollectingVisitor(), { cursor: (each: JournalCursor) => void found.push(each) });
    expect(loadState(path, visitor, 1_700_000_100).state).not.toBe(null);
    expect(found).toEqual(cursors);
  } finally {
    directory.remove();
  }
});

test.each<[string, (bytes: Buffer) => Buffer]>([
  ['cut', (bytes) => bytes.subarray(1)],
  ['longer', (bytes) => Buffer.concat([bytes, Buffer.of(0)])],
  ['of an unknown kind', (bytes) => bytes.fill(9, 0, 1)],
  ['with something where nothing stands', (bytes) => bytes.fill(9, 4, 5)],
  ['with a number below zero', withNumber(-1)],
  ['with half a number', withNumber(1.5)],
  ['with no number', withNumber(Number.NaN)],
])('damage: %s', (_, damage) => {
  const bytes = encodeCursor(cursors[1]!);
  expect(decodeCursor(bytes)).toEqual(cursors[1]);
  expect(() => decodeCursor(damage(bytes))).toThrow(DamagedState);
});
