/**
 * Timestamps one by one: each form at its edges, the turn of the year, and what is remembered of a
 * text. test/property/timestamp.test.ts has the rest.
 */
import { afterAll, beforeEach, describe, expect, test } from 'vitest';
import { FIXED_BYTES, TIME_FORM, TIME_FORM_BYTES, ZONES_MAX } from '../../src/engine/layout.ts';
import { bindMemory } from '../../src/engine/linear.ts';
import {
  addZone,
  decodeTime,
  instantOf,
  resetTime,
  scanKnownTime,
  scannedSeconds,
  scanTime,
  setClock,
} from '../../src/engine/timestamp.ts';
import { readTime } from '../support/time-oracle.ts';

const memory = new ArrayBuffer(65_536);
const bytes = Buffer.from(memory);
const textAt = 16_384;
const now = Date.UTC(2026, 10, 21, 9) / 1000;

const zoneBefore = process.env.TZ;
afterAll(() => {
  if (zoneBefore === undefined) delete process.env.TZ;
  else process.env.TZ = zoneBefore;
});

beforeEach(() => {
  process.env.TZ = 'UTC';
  bindMemory(memory);
  bytes.fill(0);
  resetTime();
});

const behinds = ['\xff', '0', ' ', ':', '.5', '+01:00', 'Z', ' 2019 ', ' UTC'];

/**
 * Epoch seconds of the text, or -1: the same whatever stands behind it, and whether it is read anew
 * or remembered.
 */
function decode(text: string, at = now): number {
  const end = textAt + bytes.write(text, textAt, 'latin1');
  const times = behinds.flatMap((behind) => {
    bytes.write(behind.padEnd(32, '\xff'), end, 'latin1');
    resetTime();
    return [decodeTime(textAt, end, at), decodeTime(textAt, end, at)];
  });
  expect(new Set(times).size).toBe(1);
  return times[0]!;
}

const utc = (text: string): number => Date.parse(text) / 1000;

const zoneNames: [name: string, offset: string][] = [
  ...[
    ['CET', '+01:00'],
    ['CEST', '+02:00'],
    ['EET', '+02:00'],
    ['EEST', '+03:00'],
    ['WET', 'Z'],
    ['WEST', '+01:00'],
  ],
  ...[
    ['MET', '+01:00'],
    ['MEST', '+02:00'],
    ['BST', '+01:00'],
    ['MSK', '+03:00'],
    ['EST', '-05:00'],
    ['EDT', '-04:00'],
  ],
  ...[
    ['CST', '-06:00'],
    ['CDT', '-05:00'],
    ['MST', '-07:00'],
    ['MDT', '-06:00'],
    ['PST', '-08:00'],
    ['PDT', '-07:00'],
  ],
  ...[
    ['AKST', '-09:00'],
    ['AKDT', '-08:00'],
    ['HST', '-10:00'],
    ['JST', '+09:00'],
    ['KST', '+09:00'],
    ['HKT', '+08:00'],
  ],
  ...[
    ['AWST', '+08:00'],
    ['ACST', '+09:30'],
    ['ACDT', '+10:30'],
    ['AEST', '+10:00'],
    ['AEDT', '+11:00'],
    ['PKT', '+05:00'],
  ],
  ...[
    ['NZST', '+12:00'],
    ['NZDT', '+13:00'],
    ['SAST', '+02:00'],
    ['IDT', '+03:00'],
    ['WIB', '+07:00'],
  ],
] as [string, string][];

/**
 * As strftime writes them: German, French, Spanish, Italian, Portuguese, Dutch, Polish, Swedish.
 */
const monthNames = [
  ...['Jan Feb Mär Apr Mai Jun Jul Aug Sep Okt Nov Dez', 'Januar Februar März April Mai Juni Juli August September'],
  ...['janv. févr. mars avril mai juin juil. août sept. oct. nov. déc.'],
  ...['ene feb mar abr may jun jul ago sep oct nov dic', 'gen feb mar apr mag giu lug ago set ott nov dic'],
  ...['jan fev mar abr mai jun jul ago set out nov dez', 'jan feb mrt apr mei jun jul aug sep okt nov dec'],
  ...['sty lut mar kwi maj cze lip sie wrz paź lis gru', 'jan feb mar apr maj jun jul aug sep okt nov dec'],
  ...['jan feb maart apr mei juni juli aug sept okt nov dec', 'JAN FEB MAR APR MAY JUN JUL AUG SEP OCT NOV DEC'],
].flatMap((names) => names.split(' ').map((name, index): [string, number] => [name, index + 1]));

test('CST and PST are those of this host where local time has them', () => {
  expect(decode('2026-11-21 08:00:01 CST')).toBe(utc('2026-11-21T14:00:01Z'));
  bytes.write('2026-11-21 08:00:01 CST', textAt, 'latin1');
  addZone(-1e15, 28_800);
  expect(decodeTime(textAt, textAt + 23, now)).toBe(utc('2026-11-21T00:00:01Z'));
});

describe('a text is a time', () => {
  const texts: [text: string, same: string][] = [
    ['Nov 21 08:00:01', '2026-11-21T08:00:01Z'],
    ['Nov 21 8:00:01', '2026-11-21T08:00:01Z'],
    ['Nov  1 08:00:01', '2026-11-01T08:00:01Z'],
    ['Nov 1 08:00:01', '2026-11-01T08:00:01Z'],
    ['Nov 21, 08:00:01', '2026-11-21T08:00:01Z'],
    ['Nov 21 2019 08:00:01', '2019-11-21T08:00:01Z'],
    ['Nov 21 08:00:01 2019', '2019-11-21T08:00:01Z'],
    ['Nov 21 08:00:01.25 2019', '2019-11-21T08:00:01Z'],
    ['Sat Nov 21 08:00:01 2026', '2026-11-21T08:00:01Z'],
    ['Sat Nov 21 08:00:01.5 2026', '2026-11-21T08:00:01Z'],
    ['Sat, 21 Nov 2026 08:00:01', '2026-11-21T08:00:01Z'],
    ['Mon Nov 16 08:00:01', '2026-11-16T08:00:01Z'],
    ['Tue Nov 17 08:00:01', '2026-11-17T08:00:01Z'],
    ['Wed Nov 18 08:00:01', '2026-11-18T08:00:01Z'],
    ['Thu Nov 19 08:00:01', '2026-11-19T08:00:01Z'],
    ['Fri Nov 20 08:00:01', '2026-11-20T08:00:01Z'],
    ['Sun Nov 15 08:00:01', '2026-11-15T08:00:01Z'],
    ['2026-11-21T08:00:01Z', '2026-11-21T08:00:01Z'],
    ['2026-11-21T08:00:01', '2026-11-21T08:00:01Z'],
    ['2026-11-21 08:00:01', '2026-11-21T08:00:01Z'],
    ['2026-11-21  8:00:01', '2026-11-21T08:00:01Z'],
    ['2026/11/21 08:00:01', '2026-11-21T08:00:01Z'],
    ['2026-11-21T08:00:01.5+01:00', '2026-11-21T07:00:01Z'],
    ['2026-11-21T08:00:01,5-01:30', '2026-11-21T09:30:01Z'],
    ['2026-11-21T08:00:01+0530', '2026-11-21T02:30:01Z'],
    ['2026-11-21T08:00:01+18', '2026-11-20T14:00:01Z'],
    ['2026-11-21 08:00:01 +0100', '2026-11-21T07:00:01Z'],
    ['2026-11-21 08:00:01 +01:00', '2026-11-21T07:00:01Z'],
    ['2026-11-21 08:00:01 UTC', '2026-11-21T08:00:01Z'],
    ['2026-11-21 08:00:01 GMT', '2026-11-21T08:00:01Z'],
    ...zoneNames.map(([name, offset]): [string, string] => [
      `2026-11-21 08:00:01 ${name}`,
      `2026-11-21T08:00:01${offset}`,
    ]),
    ['2026-11-21 08:00:01 IST', '2026-11-21T08:00:01Z'],
    ['Sat 2026-11-21 08:00:01 CET', '2026-11-21T07:00:01Z'],
    ['2026-11-21 08:00:01 -03', '2026-11-21T11:00:01Z'],
    ['2026-11-21_08:00:01.12345', '2026-11-21T08:00:01Z'],
    ['21.11.2026 08:00:01', '2026-11-21T08:00:01Z'],
    ['21.11.2026, 08:00:01', '2026-11-21T08:00:01Z'],
    ['nov 21 08:00:01', '2026-11-21T08:00:01Z'],
    ['NOV 21 08:00:01', '2026-11-21T08:00:01Z'],
    ['November 21 08:00:01', '2026-11-21T08:00:01Z'],
    ['nov. 21 08:00:01', '2026-11-21T08:00:01Z'],
    ...monthNames.map(([name, month]): [string, string] => [
      `${Buffer.from(name).toString('latin1')} 1 08:00:01`,
      `${month > 11 ? 2025 : 2026}-${String(month).padStart(2, '0')}-01T08:00:01Z`,
    ]),
    ['m\xe4r 1 08:00:01', '2026-03-01T08:00:01Z'],
    ['Nov 20 08:00:01 PM', '2026-11-20T20:00:01Z'],
    ['Nov 20 12:00:01 PM', '2026-11-20T12:00:01Z'],
    ['Nov 20 12:00:01 AM', '2026-11-20T00:00:01Z'],
    ['Nov 20 8:00:01pm', '2026-11-20T20:00:01Z'],
    ['Fri Nov 20 08:00:01 PM CET 2026', '2026-11-20T19:00:01Z'],
    ['Nov 21 08:00:01 EST', '2026-11-21T13:00:01Z'],
    ['@400000006b014f8b', '2026-11-21T08:00:01Z'],
    ['21/Nov/2026:08:00:01 +0059', '2026-11-21T07:01:01Z'],
    ['21-Nov-2026 08:00:01.123', '2026-11-21T08:00:01Z'],
    ['21 Nov 2026 08:00:01', '2026-11-21T08:00:01Z'],
    ['1 Nov 2026 08:00:01', '2026-11-01T08:00:01Z'],
    ['21 Nov 08:00:01', '2026-11-21T08:00:01Z'],
    ['1 Nov 08:00:01', '2026-11-01T08:00:01Z'],
    ['2026 Nov 21 08:00:01', '2026-11-21T08:00:01Z'],
    ['2026 Nov  1 08:00:01', '2026-11-01T08:00:01Z'],
    ['2026 Nov 1 08:00:01', '2026-11-01T08:00:01Z'],
    ['2026-Nov-21 08:00:01', '2026-11-21T08:00:01Z'],
    ['2026.11.21 08:00:01', '2026-11-21T08:00:01Z'],
    ['Nov 21, 2026, 8:00:01 AM', '2026-11-21T08:00:01Z'],
    ['Mi 2026-11-25 08:00:01 CET', '2026-11-25T07:00:01Z'],
    ['mi\xc3\xa9. 2026-11-25 08:00:01', '2026-11-25T08:00:01Z'],
    ['\xd1\x81\xd1\x80 2026-11-25 08:00:01', '2026-11-25T08:00:01Z'],
    ['261121  8:00:01', '2026-11-21T08:00:01Z'],
    ['261121 08:00:01', '2026-11-21T08:00:01Z'],
    ['1795248001', '2026-11-21T08:00:01Z'],
    ['1795248001.123', '2026-11-21T08:00:01Z'],
    ['@400000006b014f8b1dcd6500', '2026-11-21T08:00:01Z'],
    ['1970-01-01T00:00:00Z', '1970-01-01T00:00:00Z'],
    ['2105-12-31T23:59:59Z', '2105-12-31T23:59:59Z'],
    ['2024-02-29T00:00:00Z', '2024-02-29T00:00:00Z'],
    ['2000-02-29T00:00:00Z', '2000-02-29T00:00:00Z'],
    ['2016-12-31T23:59:60Z', '2017-01-01T00:00:00Z'],
    [`2026-11-21T08:00:01.${'9'.repeat(30)}+01:00`, '2026-11-21T07:00:01Z'],
  ];

  test.each(texts)('%s', (text, same) => {
    expect(decode(text)).toBe(utc(same));
    // What is remembered of it stays within its own room.
    expect(bytes.subarray(TIME_FORM + 2 * TIME_FORM_BYTES, FIXED_BYTES).every((byte) => byte === 0)).toBe(true);
  });

  test.each(texts)('%s with any byte changed, taken away or said twice is what it then is', (text) => {
    for (let i = 0; i < text.length; i++) {
      const [before, after] = [text.slice(0, i), text.slice(i + 1)];
      const others = [...'/059:; .,-+TZ'].map((other) => before + other + after);
      for (const changed of [...others, before + after, text.slice(0, i + 1) + text.slice(i), before]) {
        bytes.fill(0xff, textAt, textAt + 128);
        resetTime();
        const end = textAt + bytes.write(changed, textAt, 'latin1');
        const expected = readTime(changed, now);
        if (decodeTime(textAt, end, now) !== expected)
          expect(`${changed}: another time`).toBe(`${changed}: ${expected}`);
        // If it is not a time, it has no end. Otherwise its end is behind its start.
        const stop = scanTime(textAt, end);
        if (stop !== -1 && (stop <= textAt || stop > end)) expect(`${changed}: ${stop - textAt}`).toBe(changed);
      }
    }
  });

  test.each(texts)('%s cut anywhere is what is left, though the rest stands behind it', (text) => {
    for (let length = 0; length < text.length; length++) {
      const end = textAt + length;
      const readings = ['\xff', text.slice(length)].map((behind) => {
        bytes.write((text.slice(0, length) + behind).padEnd(96, '\xff'), textAt, 'latin1');
        resetTime();
        const stop = scanTime(textAt, end);
        return { stop, time: decodeTime(textAt, end, now) };
      });
      expect(readings[1], text.slice(0, length)).toEqual(readings[0]);
      expect(readings[0]!.time, text.slice(0, length)).toBe(readTime(text.slice(0, length), now));
    }
  });

  test.each('Jan Feb Mar Apr May Jun Jul Aug Sep Oct Nov Dec'.split(' ').map((name, index) => [name, index] as const))(
    '%s 1 00:00:00 2019, and the last day of the month',
    (name, index) => {
      expect(decode(`${name} 1 00:00:00 2019`)).toBe(Date.UTC(2019, index, 1) / 1000);
      const last = new Date(Date.UTC(2019, index + 1, 0)).getUTCDate();
      expect(decode(`${name} ${last} 00:00:00 2019`)).toBe(Date.UTC(2019, index, last) / 1000);
      expect(decode(`${name} ${last + 1} 00:00:00 2019`)).toBe(-1);
    },
  );

  test.each([
    '',
    'Nov 21',
    'Nov 21 08:00',
    'Nov 21 08:00:0',
    'Nov 0 08:00:01',
    'Nov 31 08:00:01',
    'Nov 21 24:00:01',
    'Nov 21 08:60:01',
    'Nov 21 08:00:61',
    'Nov-21 08:00:01',
    'Nov 21-08:00:01',
    'Nov 21 08-00:01',
    'Nov 21 08:00-01',
    'Nov 21 a8:00:01',
    'Nov 21 08:a0:01',
    'Nov 21 08:00:a1',
    'Nov x1 08:00:01',
    'Now 21 08:00:01',
    'Nov 21 08:00:01 1969',
    'Nov 21 08:00:01 2106',
    '2023-02-29T00:00:00Z',
    '2100-02-29T00:00:00Z',
    '1969-12-31T23:59:59Z',
    '2106-01-01T00:00:00Z',
    '2026-00-21T08:00:01Z',
    '2026-13-21T08:00:01Z',
    '2026-11-00T08:00:01Z',
    '2026-11/21T08:00:01Z',
    '2026:11:21T08:00:01Z',
    '2026-11-21t08:00:01Z',
    '202a-11-21T08:00:01Z',
    '2026-1a-21T08:00:01Z',
    '2026-11-2aT08:00:01Z',
    '2026-11-21T08:00:01+19',
    '2026-11-21T08:00:01+01:60',
    '2026-11-21 08:00:01 XYZ',
    '2026-11-21 08:00:01 CE',
    '2026-11-21 13:00:01 PM',
    '2026-11-21 00:00:01 AM',
    'Xyz 21 08:00:01',
    '21.11.2026, 8:00',
    '@400000006b014f8b1dcd65',
    '2026-11-21T08:00:01 Z',
    '21/Nov-2026:08:00:01 +0100',
    '21.Nov.2026:08:00:01 +0100',
    '21/Now/2026:08:00:01 +0100',
    '2a/Nov/2026:08:00:01 +0100',
    '21/Nov/202a:08:00:01 +0100',
    '21/Nov/2026-08:00:01 +0100',
    '26112a 08:00:01',
    '261121-08:00:01',
    '179524800',
    '179524800a',
    '17952480011',
    '1795248001a',
    '1795248001Z',
    '4291747200',
    '9999999999',
    '@400000006b014fa61dcd650',
    '@300000006b014fa61dcd6500',
    '@400000006b014fag1dcd6500',
    '@400000006B014fa61dcd6500',
    '@400000006b014f8b1dcd6500a',
  ])('but not %j', (text) => expect(decode(text)).toBe(-1));

  /** The part of the line that is scanned as a time, whatever stands behind the line. */
  function scan(line: string): string | undefined {
    const end = textAt + bytes.write(line, textAt, 'latin1');
    const stops = behinds.map((behind) => {
      bytes.write(behind.padEnd(32, '\xff'), end, 'latin1');
      resetTime();
      return scanTime(textAt, end);
    });
    expect(new Set(stops).size).toBe(1);
    return stops[0]! < 0 ? undefined : line.slice(0, stops[0]! - textAt);
  }

  test.each<[time: string, rest: string]>([
    ['Nov 32 25:61:61', ' host'],
    ['2026-11-31T24:00:00Z', ' host'],
    ['Nov 21 08:00:01', ' host'],
    ['Nov 21 08:00:01', ' 2020-web'],
    ['Nov 21 08:00:01', ' 2001:db8::1'],
    ['Nov 21 08:00:01', ' 1969 x'],
    ['Nov 21 08:00:01', ' 202 x'],
    ['Nov 21 08:00:01', '2020 x'],
    ['Nov 21 08:00:01', '. x'],
    ['Nov 21 08:00:01', '.'],
    ['Nov 21 08:00:01.0', 'x'],
    ['Nov 21 08:00:01,09', '.5'],
    ['Nov 21 08:00:01 1970', ' x'],
    ['Nov 21 08:00:01 2019', ': x'],
    ['Nov 21 08:00:01 2019', ':'],
    ['Nov 21 08:00:01 2019', '] x'],
    ['Nov 21 08:00:01 2019', ', x'],
    ['Nov 21 2019 08:00:01', ' 2020 x'],
    ['2026-11-21 08:00:01', ' host'],
    ['2026-11-21 08:00:01', ' UTCx'],
    ['2026-11-21 08:00:01', ' UT'],
    ['2026-11-21 08:00:01', ' Z x'],
    ['2026-11-21 08:00:01 +01', ' x'],
    ['2026-11-21 08:00:01 +01', '] x'],
    ['2026-11-21 08:00:01', ' +01:x'],
    ['2026-11-21 08:00:01 CET', ': x'],
    ['2026-11-21 08:00:01', ' CET/x'],
    ['2026-11-21 08:00:01', ' CETX x'],
    ['2026-11-21 08:00:01 PM', ' x'],
    ['2026-11-21 08:00:01', ' PMX'],
    ['2026-11-21 08:00:01pm', ' x'],
    ['Nov 21 08:00:01', ' CE x'],
    ['Nov 21 08:00:01 CET', ' x'],
    ['Nov 21 08:00:01 CET 2026', ' x'],
    ['Nov 21 08:00:01 AM CET 2026', ' x'],
    ['Nov 21 08:00:01 2026 +01:00', ' x'],
    ['@400000006b014f8b', ' x'],
    ['2026-11-21 08:00:01', ' +1'],
    ['2026-11-21 08:00:01', 'UTC'],
    ['2026-11-21 08:00:01', '+19:00'],
    ['2026-11-21 08:00:01', '+01:60'],
    ['2026-11-21 08:00:01', '+x1:00'],
    ['2026-11-21 08:00:01', '*01:00'],
    ['2026-11-21 08:00:01 UTC', ' x'],
    ['2026-11-21 08:00:01 UTC', '] x'],
    ['2026-11-21 08:00:01 GMT', ''],
    ['2026-11-21 08:00:01 +0100', 'x'],
    ['2026-11-21 08:00:01 -01:00', ' x'],
    ['2026-11-21 08:00:01+01', ':x0'],
    ['2026-11-21 08:00:01+01', 'x'],
    ['2026-11-21 08:00:01+01', ':'],
    ['2026-11-21 08:00:01+00:59', '0'],
    ['2026-11-21 08:00:01Z', 'Z'],
    ['21/Nov/2026:08:00:01 +0100', '] x'],
    ['261121  8:00:01', ' 12 x'],
    ['1795248001', ' x'],
    ['1795248001', '.'],
    ['1795248001', '. x'],
    ['1795248001', ':'],
    ['1795248001.09', ': x'],
    ['4291747199', ' host'],
    ['@400000006b014f8b1dcd6500', 'a'],
  ])('%s, and then %j', (time, rest) => expect(scan(time + rest)).toBe(time));

  test.each(['4291747200 host', '17952480010', '1795248001a', '1795248001z', '1795248001A', '1795248001Z', '', 'host'])(
    'there is none in %j',
    (line) => expect(scan(line)).toBe(undefined),
  );
});

describe('a time without a year is put next to the clock', () => {
  test.each<[clock: string, text: string, same: string]>([
    ['2026-11-21T09:00:00Z', 'Nov 22 09:00:00', '2026-11-22T09:00:00Z'],
    ['2026-11-21T09:00:00Z', 'Nov 22 09:00:01', '2025-11-22T09:00:01Z'],
    ['2024-01-01T06:00:00Z', 'Jan  1 05:00:00', '2024-01-01T05:00:00Z'],
    ['2024-01-01T06:00:00Z', 'Dec 31 23:00:00', '2023-12-31T23:00:00Z'],
    ['2023-12-31T23:59:00Z', 'Jan  1 00:00:01', '2024-01-01T00:00:01Z'],
    ['1972-12-31T23:59:59Z', 'Dec 31 23:00:00', '1972-12-31T23:00:00Z'],
    ['2026-11-21T09:00:00Z', 'Feb 29 09:00:00', '2024-02-29T09:00:00Z'],
    ['2103-12-31T23:00:00Z', 'Feb 29 09:00:00', '2096-02-29T09:00:00Z'],
    ['1971-06-01T00:00:00Z', 'Nov 21 08:00:00', '1970-11-21T08:00:00Z'],
  ])('at %s, %s', (clock, text, same) => expect(decode(text, utc(clock))).toBe(utc(same)));

  test('there is no time before 1970', () => {
    expect(decode('Nov 21 08:00:00', utc('1970-06-01T00:00:00Z'))).toBe(-1);
    expect(decode('Feb 29 08:00:00', utc('1971-06-01T00:00:00Z'))).toBe(-1);
  });
});

describe('local time', () => {
  /** Two hours east of UTC until October, then one. */
  const october = utc('2026-10-25T01:00:00Z');
  const zoned = (text: string, at: number): number => {
    const end = textAt + bytes.write(text, textAt, 'latin1');
    resetTime();
    addZone(-1e15, 7_200);
    addZone(october, 3_600);
    return decodeTime(textAt, end, at);
  };

  test.each<[text: string, same: string]>([
    ['2026-07-01 12:00:00', '2026-07-01T10:00:00Z'],
    ['2026-10-25 01:59:59', '2026-10-24T23:59:59Z'],
    ['2026-10-25 02:00:00', '2026-10-25T01:00:00Z'],
    ['2026-10-25 02:59:59', '2026-10-25T01:59:59Z'],
    ['2026-11-21 12:00:00', '2026-11-21T11:00:00Z'],
    ['2026-11-21T12:00:00Z', '2026-11-21T12:00:00Z'],
  ])('%s', (text, same) => expect(zoned(text, now)).toBe(utc(same)));

  test('in an hour that comes twice, the second instant counts unless it is in the future', () => {
    const text = '2026-10-25 02:30:00';
    const second = utc('2026-10-25T01:30:00Z');
    expect(zoned(text, second)).toBe(second);
    expect(zoned(text, second - 60)).toBe(second);
    expect(zoned(text, second - 61)).toBe(second - 3_600);
  });

  test('as many changes as there is room for', () => {
    for (let i = 0; i < ZONES_MAX; i++) expect(addZone(i * 1_000, i)).toBe(true);
    expect(addZone(ZONES_MAX * 1_000, 0)).toBe(false);
    resetTime();
    expect(addZone(0, 0)).toBe(true);
  });
});

describe('what was read before changes nothing', () => {
  const changesAt = utc('2026-10-25T01:00:00Z');
  const clear = () => {
    resetTime();
    addZone(-1e15, 7_200);
    addZone(changesAt, 3_600);
  };
  const texts = [
    ...[
      'Nov 21 09:59:59',
      'Nov 21 10:00:00',
      'Nov 21 10:00:01',
      'Nov 21 10:00:59',
      'Nov 21 10:00:60',
      'Nov 21 10:00:61',
    ],
    ...[
      'Nov 22 10:00:00',
      'Nov 22 10:00:01',
      'Nov 22 10:00:59',
      'Nov 22 10:01:00',
      'Nov  2 10:00:00',
      'Nov 21 10:00:0x',
    ],
    ...['2026-10-25 02:00:00', '2026-10-25 02:00:30', '2026-10-25 02:00:59', '2026-10-25 02:00:60'],
    ...['2026-11-21T10:00:01.5Z', '2026-11-21T10:00:02.7Z', '2026-11-21T10:00:02.77Z', '2026-11-21T10:00:02.x'],
    ...['1795248001', '1795248002', '1795248001.5', '@400000006b014f8b1dcd6500', '@400000006b014fa71dcd6500'],
    // As long as the remembered text may be, and longer.
    ...['01', '02'].flatMap((second) =>
      [48, 49].map((length) => `2026-11-21T10:00:${second}.${'5'.repeat(length - 21)}Z`),
    ),
    // Bytes that have another meaning in the memory of times.
    ...['Nov 21 10:00:01\x00', 'Nov 21\x0110:00:01'],
  ];
  const behinds = ['] x', ' x', ' 2019', ' +01:00', ' -01:00', ' UTC', ' GMT', ' 9', ']', ' ', ''];
  const read = (text: string, at: number) => {
    const end = textAt + bytes.write(text, textAt, 'latin1');
    const stops = behinds.map((behind) => {
      bytes.write(behind.padEnd(8, '\xff'), end, 'latin1');
      return scanTime(textAt, end + behind.length);
    });
    return [...stops, decodeTime(textAt, end, at)].join();
  };

  describe.each([utc('2026-11-21T09:00:00Z'), utc('2026-11-21T09:00:30Z'), changesAt - 30, changesAt - 3_570])(
    'at %i',
    (at) => {
      test.each(texts)('after %s', (before) => {
        for (const text of texts) {
          clear();
          const fresh = read(text, at);
          clear();
          read(before, at);
          expect(read(text, at), text).toBe(fresh);
        }
      });
    },
  );
});

test.each([
  ['Nov 21 08:00:01', 'Nov 21 08:00:00'],
  ['Nov 21 08:00:01', 'Nov 21 08:00:59'],
  ['2026-11-21T08:00:01.123456+00:00', '2026-11-21T08:00:29.987654+00:00'],
  ['2026-11-21 08:00:01', '2026-11-21 08:00:30'],
  ['21/Nov/2026:08:00:01 +0000', '21/Nov/2026:08:00:30 +0000'],
  ['261121 08:00:01', '261121 08:00:30'],
  ['1795248001.5', '1795248001.5'],
])('after %s, %s is known at a look, as seen by the same clock', (before, text) => {
  decodeTime(textAt, textAt + bytes.write(before, textAt), now);
  const end = textAt + bytes.write(text, textAt);
  bytes.write('] ', end);
  expect(scanKnownTime(textAt, end + 2)).toBe(end);
  expect(instantOf(scannedSeconds, now)).toBe(readTime(text, now));
  expect(instantOf(scannedSeconds, now + 1)).toBe(-1);
  expect(scanKnownTime(textAt, end + 1)).toBe(-1);
  expect(instantOf(scannedSeconds, now)).toBe(-1);
});

describe('where nothing matches, and no time is decoded', () => {
  const scan = (text: string): number => {
    const end = textAt + bytes.write(text, textAt);
    bytes.write('] ', end);
    return scanTime(textAt, end + 2) - textAt;
  };
  const isKnown = (text: string): boolean => {
    const end = textAt + bytes.write(text, textAt);
    bytes.write('] ', end);
    return scanKnownTime(textAt, end + 2) === end && instantOf(scannedSeconds, now) === readTime(text, now);
  };

  test('the ninth text of one form is remembered, as seen by the clock', () => {
    setClock(now);
    for (let second = 10; second < 18; second++) expect(scan(`Nov 21 08:00:${second}`)).toBe(15);
    expect(isKnown('Nov 21 08:00:20')).toBe(false);
    expect(scan('Nov 21 08:00:18')).toBe(15);
    expect(isKnown('Nov 21 08:00:20')).toBe(true);
  });

  test('forms that alternate do not displace each other', () => {
    setClock(now);
    decodeTime(textAt, textAt + bytes.write('Nov 21 08:00:01', textAt), now);
    for (let turn = 0; turn < 20; turn++) {
      for (let line = 0; line < 8; line++) expect(scan('2026-11-21T08:00:01Z')).toBe(20);
      expect(isKnown('Nov 21 08:00:20')).toBe(true);
    }
  });

  test('what is not a time is not remembered', () => {
    setClock(now);
    for (let line = 0; line < 20; line++) expect(scan('Nov 31 08:00:01')).toBe(15);
    expect(isKnown('Nov 31 08:00:01')).toBe(false);
    expect(isKnown('Nov 21 08:00:01')).toBe(false);
  });
});

test('an empty text is not a time, whatever was read before', () => {
  const end = textAt + bytes.write('Nov 21 08:00:01', textAt);
  expect(decodeTime(textAt, end, now)).toBe(utc('2026-11-21T08:00:01Z'));
  resetTime();
  expect(decodeTime(textAt, textAt, now)).toBe(-1);
});

test('the clock is part of what is remembered', () => {
  const end = textAt + bytes.write('Nov 22 09:00:01', textAt);
  expect(decodeTime(textAt, end, now)).toBe(utc('2025-11-22T09:00:01Z'));
  expect(decodeTime(textAt, end, now + 1)).toBe(utc('2026-11-22T09:00:01Z'));
  expect(decodeTime(textAt, end, now)).toBe(utc('2025-11-22T09:00:01Z'));
});
