/**
 * When local time changes its offset from UTC: to the second, and only the latest changes if there
 * is not enough room.
 */
import { afterAll, beforeEach, expect, test } from 'vitest';
import { zoneChanges } from '../../src/engine/zones.ts';

const zoneBefore = process.env.TZ;

beforeEach(() => {
  process.env.TZ = 'Europe/Berlin';
});

afterAll(() => {
  if (zoneBefore === undefined) delete process.env.TZ;
  else process.env.TZ = zoneBefore;
});

const utc = (text: string): number => Date.parse(text) / 1000;
const january = utc('2026-01-01T00:00:00Z');
const march = { from: utc('2026-03-29T01:00:00Z'), offset: 7_200 };
const october = { from: utc('2026-10-25T01:00:00Z'), offset: 3_600 };
const always = { from: Number.NEGATIVE_INFINITY, offset: 3_600 };

test('each change, to the second', () => {
  expect(zoneChanges(january, utc('2027-01-01T00:00:00Z'), 16)).toEqual([always, march, october]);
});

test('no change before the first second or after the last', () => {
  expect(zoneChanges(january, utc('2026-03-28T00:00:00Z'), 16)).toEqual([always]);
  expect(zoneChanges(utc('2026-05-01T00:00:00Z'), utc('2026-09-01T00:00:00Z'), 16)).toEqual([
    { from: Number.NEGATIVE_INFINITY, offset: 7_200 },
  ]);
  expect(zoneChanges(january, january, 16)).toEqual([always]);
});

test('the latest ones where there are more than wanted', () => {
  const many = zoneChanges(january, utc('2036-01-01T00:00:00Z'), 5);
  expect(many).toHaveLength(5);
  expect(many.at(-1)).toEqual({ from: utc('2035-10-28T01:00:00Z'), offset: 3_600 });
  expect(many.map(({ offset }) => offset)).toEqual([3_600, 7_200, 3_600, 7_200, 3_600]);
  expect(zoneChanges(january, utc('2027-01-01T00:00:00Z'), 2)).toEqual([march, october]);
});

test('a zone of half hours, and one that never changes', () => {
  process.env.TZ = 'Australia/Lord_Howe';
  expect(zoneChanges(january, utc('2027-01-01T00:00:00Z'), 16)).toEqual([
    { from: Number.NEGATIVE_INFINITY, offset: 39_600 },
    { from: utc('2026-04-04T15:00:00Z'), offset: 37_800 },
    { from: utc('2026-10-03T15:30:00Z'), offset: 39_600 },
  ]);
  process.env.TZ = 'America/Phoenix';
  expect(zoneChanges(january, utc('2036-01-01T00:00:00Z'), 16)).toEqual([
    { from: Number.NEGATIVE_INFINITY, offset: -25_200 },
  ]);
});
