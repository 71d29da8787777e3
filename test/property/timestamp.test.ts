/**
 * Timestamps against JavaScript's Date (test/support/time-oracle.ts): every format that the engine
 * reads, in zones with all kinds of daylight saving, at the turn of the year, on February 29, in
 * the hour that is skipped and in the hour that comes twice.
 */
import fc from 'fast-check';
import { afterAll, beforeEach, describe, expect, test } from 'vitest';
import { afterTime, beginLine, readLineTime, timeEnd, timeStart } from '../../src/engine/header.ts';
import { ZONES_MAX } from '../../src/engine/layout.ts';
import { bindMemory } from '../../src/engine/linear.ts';
import { addZone, decodeTime, resetTime, scanKnownTime, scanTime, setClock } from '../../src/engine/timestamp.ts';
import { zoneChanges } from '../../src/engine/zones.ts';
import { instantsOf, readTime } from '../support/time-oracle.ts';

const memory = new ArrayBuffer(65_536);
const bytes = Buffer.from(memory);
const textAt = 8_192;

/** Bytes behind the text. A timestamp ends where the caller says, whatever follows. */
const behinds = ['', ' ', '0', '.5', '+02:00', ' 2019', 'Z', '\0'];

function decode(text: string, now: number, behind = ''): number {
  bytes.fill(0xff, textAt, textAt + 256);
  const length = bytes.write(text, textAt, 'latin1');
  bytes.write(behind, textAt + length, 'latin1');
  return decodeTime(textAt, textAt + length, now);
}

const zoneBefore = process.env.TZ;

/** Makes `zone` the time zone of this process, of Date and of the engine, as seen around `now`. */
function useZone(zone: string, now: number): void {
  process.env.TZ = zone;
  resetTime();
  const year = 366 * 86_400;
  for (const change of zoneChanges(now - 6 * year, now + year, ZONES_MAX)) {
    expect(addZone(Number.isFinite(change.from) ? change.from : -1e15, change.offset)).toBe(true);
  }
}

beforeEach(() => {
  bindMemory(memory);
  resetTime();
});
afterAll(() => {
  if (zoneBefore === undefined) delete process.env.TZ;
  else process.env.TZ = zoneBefore;
});

const zones = [
  'UTC',
  'Europe/Berlin',
  'America/New_York',
  'America/St_Johns',
  'Australia/Lord_Howe',
  'Asia/Kathmandu',
  'Africa/Casablanca',
  'Africa/Cairo',
  'Pacific/Kiritimati',
  'Pacific/Pago_Pago',
];

const months = 'Jan Feb Mar Apr May Jun Jul Aug Sep Oct Nov Dec'.split(' ');
const french = 'janv. févr. mars avr. mai juin juil. août sept. oct. nov. déc.'
  .split(' ')
  .map((name) => Buffer.from(name).toString('latin1'));
const german = 'Jan Feb M\xe4r Apr Mai Jun Jul Aug Sep Okt Nov Dez'.split(' ');
const pad = (value: number, width = 2): string => String(value).padStart(width, '0');

interface Fields {
  year: number;
  month: number;
  day: number;
  hour: number;
  minute: number;
  second: number;
}

/** How services write a moment. The formats also write numbers that exist in no calendar. */
const formats: Record<string, (fields: Fields) => string> = {
  'RFC 3164': (f) => `${month(f)} ${String(f.day).padStart(2)} ${clock(f)}`,
  'RFC 3164 with a year': (f) => `${month(f)} ${pad(f.day)} ${pad(f.year, 4)} ${clock(f)}`,
  'RFC 3164, Cisco': (f) => `${month(f)} ${f.day} ${pad(f.year, 4)} ${clock(f)}.123`,
  ctime: (f) => `Sat ${month(f)} ${String(f.day).padStart(2)} ${clock(f)} ${pad(f.year, 4)}`,
  'ctime with a fraction': (f) => `Mon ${month(f)} ${pad(f.day)} ${clock(f)}.123456 ${pad(f.year, 4)}`,
  'month, day, comma': (f) => `${month(f)} ${f.day}, ${pad(f.year, 4)} ${clock(f)}`,
  'RFC 3339 in UTC': (f) => `${iso(f)}T${clock(f)}Z`,
  'RFC 3339 with fraction and zone': (f) => `${iso(f)}T${clock(f)}.123456+05:30`,
  'ISO 8601, short zone': (f) => `${iso(f)}T${clock(f)},5-0800`,
  'ISO 8601, hours only': (f) => `${iso(f)} ${clock(f)}+02`,
  'ISO 8601, zone apart': (f) => `${iso(f)}T${clock(f)}.5 +0100`,
  'ISO 8601, local': (f) => `${iso(f)} ${clock(f)}`,
  'ISO 8601, local, T': (f) => `${iso(f)}T${clock(f)}.000`,
  'ISO 8601, UTC in words': (f) => `${iso(f)} ${clock(f)} UTC`,
  'a month in small letters': (f) => `${month(f).toLowerCase()} ${pad(f.day)} ${clock(f)}`,
  'a month in French': (f) => `${french[(f.month + 11) % 12]} ${pad(f.day)} ${clock(f)}`,
  'a month in German, ISO 8859-1': (f) => `${german[(f.month + 11) % 12]} ${pad(f.day)} ${clock(f)}`,
  'twelve hours': (f) => `${month(f)} ${pad(f.day)} ${half(f)}`,
  'RFC 3164, a name for its zone': (f) => `${month(f)} ${pad(f.day)} ${clock(f)} CEST`,
  date: (f) => `Wed ${month(f)} ${String(f.day).padStart(2)} ${clock(f)} EST ${pad(f.year, 4)}`,
  'journalctl -o short-full in German': (f) => `Mi ${iso(f)} ${clock(f)} CEST`,
  'day, month': (f) => `${f.day} ${month(f)} ${clock(f)}`,
  'day, month, year': (f) => `${pad(f.day)} ${month(f)} ${pad(f.year, 4)} ${clock(f)}`,
  'year, month, day': (f) => `${pad(f.year, 4)} ${month(f)} ${String(f.day).padStart(2)} ${clock(f)}.25`,
  'year, month, day, of one place': (f) => `${pad(f.year, 4)} ${month(f)} ${f.day} ${clock(f)}`,
  'journalctl -o short-full': (f) => `Wed ${iso(f)} ${clock(f)} AEDT`,
  'svlogd -tt': (f) => `${iso(f)}_${clock(f)}.12345`,
  'svlogd -ttt': (f) => `${iso(f)}T${clock(f)}.12345`,
  'day.month.year': (f) => `${pad(f.day)}.${pad(f.month)}.${pad(f.year, 4)} ${clock(f)}`,
  'MySQL 8, padded hour': (f) => `${iso(f)}  ${f.hour}:${pad(f.minute)}:${pad(f.second)}`,
  nginx: (f) => `${pad(f.year, 4)}/${pad(f.month)}/${pad(f.day)} ${clock(f)}`,
  'access log': (f) => `${pad(f.day)}/${month(f)}/${pad(f.year, 4)}:${clock(f)} -0130`,
  named: (f) => `${pad(f.day)}-${month(f)}-${pad(f.year, 4)} ${clock(f)}.789`,
  PHP: (f) => `${pad(f.day)}-${month(f)}-${pad(f.year, 4)} ${clock(f)} GMT`,
  mail: (f) => `Tue, ${pad(f.day)} ${month(f)} ${pad(f.year, 4)} ${clock(f)} +0000`,
  'MySQL 5': (f) =>
    `${pad(f.year % 100)}${pad(f.month)}${pad(f.day)} ${String(f.hour).padStart(2)}:${pad(f.minute)}:${pad(f.second)}`,
};

function month(fields: Fields): string {
  return months[(fields.month + 11) % 12]!;
}
function clock({ hour, minute, second }: Fields): string {
  return `${pad(hour)}:${pad(minute)}:${pad(second)}`;
}
function half({ hour, minute, second }: Fields): string {
  return `${pad(hour % 12 || 12)}:${pad(minute)}:${pad(second)} ${hour < 12 ? 'AM' : 'PM'}`;
}
function iso({ year, month, day }: Fields): string {
  return `${pad(year, 4)}-${pad(month)}-${pad(day)}`;
}

function fieldsAt(instant: number): Fields {
  const date = new Date(instant * 1000);
  return {
    year: date.getFullYear(),
    month: date.getMonth() + 1,
    day: date.getDate(),
    hour: date.getHours(),
    minute: date.getMinutes(),
    second: date.getSeconds(),
  };
}

const now = Date.UTC(2026, 10, 21, 8, 0, 0) / 1000;
const year = 365 * 86_400;

describe.each(zones)('in %s', (zone) => {
  test.each(Object.keys(formats))('%s', (name) => {
    useZone(zone, now);
    const moment = fc.integer({ min: now - 5 * year, max: now + Math.floor(year / 2) });
    const clockOffset = fc.integer({ min: -year, max: year / 4 });
    fc.assert(
      fc.property(moment, clockOffset, fc.constantFrom(...behinds), (instant, away, behind) => {
        const text = formats[name]!(fieldsAt(instant));
        const expected = readTime(text, now + away);
        expect(expected, text).toBeGreaterThanOrEqual(0);
        expect(decode(text, now + away, behind), text).toBe(expected);
      }),
      { numRuns: 60 },
    );
  });

  test('around every change of the clocks', () => {
    useZone(zone, now);
    const changes = zoneChanges(now - 3 * year, now + year, ZONES_MAX).filter(({ from }) => Number.isFinite(from));
    expect(changes.length > 0).toBe(
      !['UTC', 'Asia/Kathmandu', 'Pacific/Kiritimati', 'Pacific/Pago_Pago'].includes(zone),
    );
    let twice = 0;
    let never = 0;
    for (const { from } of changes) {
      for (let away = -7_200; away <= 7_200; away += 450) {
        // The fields come from UTC, so that the skipped hour is written too.
        for (const offset of [-14_400, -5_400, 0, 3_600, 10_800, 37_800, 39_600]) {
          const date = new Date((from + away + offset) * 1000);
          const fields = {
            year: date.getUTCFullYear(),
            month: date.getUTCMonth() + 1,
            day: date.getUTCDate(),
            hour: date.getUTCHours(),
            minute: date.getUTCMinutes(),
            second: 0,
          };
          const instants = instantsOf(fields).length;
          if (instants === 2) twice++;
          if (instants === 0) never++;
          const text = formats['ISO 8601, local']!(fields);
          // Read at once, between the two instants, and long after them.
          for (const seen of [from + away - 60, from + away, from + away + 1_800, from + away + 3_600, now]) {
            expect(decode(text, seen), `${text} seen at ${seen}`).toBe(readTime(text, seen));
          }
        }
      }
    }
    if (changes.length > 0) expect(twice * never).toBeGreaterThan(0);
  });
});

describe('without a year', () => {
  test.each<[what: string, text: string, seen: string, expected: string]>([
    ['a moment ago', 'Nov 21 07:59:59', '2026-11-21T08:00:00Z', '2026-11-21T07:59:59Z'],
    ['New Year, clocks agree', 'Jan  1 00:00:01', '2027-01-01T00:00:02Z', '2027-01-01T00:00:01Z'],
    ['last year’s last second', 'Dec 31 23:59:59', '2027-01-01T00:00:00Z', '2026-12-31T23:59:59Z'],
    ['the writer’s clock is an hour ahead', 'Jan  1 00:30:00', '2026-12-31T23:30:00Z', '2027-01-01T00:30:00Z'],
    ['a day ahead at most', 'Nov 22 08:00:00', '2026-11-21T08:00:00Z', '2026-11-22T08:00:00Z'],
    ['else a year ago', 'Nov 22 08:00:01', '2026-11-21T08:00:00Z', '2025-11-22T08:00:01Z'],
    ['a leap day this year', 'Feb 29 12:00:00', '2028-03-01T00:00:00Z', '2028-02-29T12:00:00Z'],
    ['a leap day on the day', 'Feb 29 12:00:00', '2028-02-29T12:00:01Z', '2028-02-29T12:00:00Z'],
    ['a leap day three years ago', 'Feb 29 12:00:00', '2027-06-01T00:00:00Z', '2024-02-29T12:00:00Z'],
    ['a leap day before 2100, which has none', 'Feb 29 12:00:00', '2103-06-01T00:00:00Z', '2096-02-29T12:00:00Z'],
    ['a leap second', 'Dec 31 23:59:60', '2027-01-01T00:00:00Z', '2027-01-01T00:00:00Z'],
  ])('%s', (_, text, seen, expected) => {
    process.env.TZ = 'UTC';
    const clockSeconds = Date.parse(seen) / 1000;
    expect(decode(text, clockSeconds)).toBe(Date.parse(expected) / 1000);
    expect(readTime(text, clockSeconds)).toBe(Date.parse(expected) / 1000);
  });
});

describe('whole seconds', () => {
  test.each<[what: string, text: string, expected: number]>([
    ['epoch', '1763694928', 1_763_694_928],
    ['epoch with a fraction', '1763694928.123', 1_763_694_928],
    ['epoch, squid', '1741061167.000', 1_741_061_167],
    ['the last that is taken', '4291747199', 4_291_747_199],
    ['beyond the table’s seconds', '4291747200', -1],
    ['ten nines', '9999999999', -1],
    ['nine digits', '176369492', -1],
    ['eleven digits', '17636949280', -1],
    ['letters behind', '1763694928x', -1],
    ['TAI64N', `@${(2n ** 62n + 1_763_694_928n + 10n).toString(16)}00000000`, 1_763_694_928],
    ['TAI64N before 1970', `@${(2n ** 62n).toString(16)}00000000`, -1],
    ['TAI64N in the year 36 billion', '@4fffffffffffffff00000000', -1],
    ['TAI64N of the past half', '@3fffffffffffffff00000000', -1],
    ['TAI64N in capitals', '@40000000691F1A5000000000', -1],
  ])('%s', (_, text, expected) => {
    process.env.TZ = 'UTC';
    expect(decode(text, now)).toBe(expected);
    expect(readTime(text, now)).toBe(expected);
  });
});

describe('impossible dates and garbage', () => {
  const wild: fc.Arbitrary<Fields> = fc.record({
    year: fc.oneof(fc.integer({ min: 1968, max: 2107 }), fc.constantFrom(0, 1900, 2000, 2024, 2100, 9999)),
    month: fc.oneof(fc.integer({ min: 1, max: 12 }), fc.nat(15)),
    day: fc.oneof(fc.integer({ min: 28, max: 32 }), fc.nat(40)),
    hour: fc.oneof(fc.nat(23), fc.nat(30)),
    minute: fc.oneof(fc.nat(59), fc.nat(75)),
    second: fc.oneof(fc.nat(61), fc.nat(99)),
  });

  test.each(Object.keys(formats))('%s: a moment is read exactly if it exists', (name) => {
    useZone('UTC', now);
    let runs = 0;
    let accepted = 0;
    fc.assert(
      fc.property(wild, (fields) => {
        runs++;
        const text = formats[name]!(fields);
        const expected = readTime(text, now);
        if (expected >= 0) accepted++;
        expect(decode(text, now), text).toBe(expected);
      }),
      { numRuns: 300 },
    );
    expect(accepted).toBeGreaterThan(runs / 30);
    expect(accepted).toBeLessThan(runs);
  });

  const anyText = fc
    .tuple(fc.constantFrom(...Object.keys(formats)), fc.integer({ min: now - year, max: now }))
    .map(([name, instant]) => formats[name]!(fieldsAt(instant)));
  const spoiled = fc
    .tuple(
      anyText,
      fc.array(
        fc.record({
          kind: fc.constantFrom('change', 'insert', 'delete', 'cut'),
          at: fc.nat(40),
          by: fc.oneof(
            fc.constantFrom(...'0123456789 :-/.,+TZ@[]JanFebMon'.split('')),
            fc.string({ unit: 'binary', minLength: 1, maxLength: 1 }),
          ),
        }),
        { maxLength: 3 },
      ),
    )
    .map(([text, edits]) => {
      let result = text;
      for (const { kind, at, by } of edits) {
        const place = at % (result.length + 1);
        if (kind === 'cut') result = result.slice(0, place);
        else
          result =
            result.slice(0, place) +
            (kind === 'delete' ? '' : by) +
            result.slice(kind === 'insert' ? place : place + 1);
      }
      return Buffer.from(result, 'latin1').toString('latin1').slice(0, 120);
    });

  test('a damaged timestamp is read as what it then says, or not at all', () => {
    useZone('UTC', now);
    fc.assert(
      fc.property(spoiled, fc.constantFrom(...behinds), (text, behind) => {
        expect(decode(text, now, behind), JSON.stringify(text)).toBe(readTime(text, now));
      }),
      { numRuns: 20_000 },
    );
  });

  test('any bytes', () => {
    useZone('UTC', now);
    const digits = fc.string({ unit: fc.constantFrom(...'0123456789-/: TZ@.+'.split('')), maxLength: 40 });
    fc.assert(
      fc.property(fc.oneof(digits, fc.string({ unit: 'binary', maxLength: 60 })), (text) => {
        const latin = Buffer.from(text, 'latin1').toString('latin1');
        expect(decode(latin, now), JSON.stringify(latin)).toBe(readTime(latin, now));
      }),
      { numRuns: 5_000 },
    );
  });

  test('scanning finds the whole timestamp in front of other text', () => {
    useZone('UTC', now);
    fc.assert(
      fc.property(anyText, fc.constantFrom(' host sshd[1]: x', '] x', ' x'), (text, behind) => {
        const length = bytes.write(text + behind, textAt, 'latin1');
        expect(scanTime(textAt, textAt + length) - textAt, text + behind).toBe(text.length);
      }),
      { numRuns: 2_000 },
    );
  });
  test.each(Object.keys(formats))('%s: the end of the form is found, whether or not the moment exists', (name) => {
    useZone('UTC', now);
    let runs = 0;
    let impossible = 0;
    fc.assert(
      fc.property(wild, (fields) => {
        // Where a format may leave out the year, a year before 1970 counts as none, and so does
        // one without four digits.
        fc.pre(fields.year >= 1970 && fields.hour <= 99 && !/\d{3}/.test(clock(fields)));
        const text = formats[name]!(fields);
        runs++;
        if (readTime(text, now) < 0) impossible++;
        bytes.fill(0x20, textAt, textAt + 256);
        const length = bytes.write(text, textAt, 'latin1');
        expect(scanTime(textAt, textAt + length) - textAt, text).toBe(length);
      }),
      { numRuns: 300 },
    );
    expect(impossible).toBeGreaterThan(runs / 30);
  });
});

test('a repeated timestamp is remembered, not one that differs in any byte, the clock or the zone', () => {
  useZone('UTC', now);
  const text = 'Nov 21 07:00:00';
  expect(decode(text, now)).toBe(decode(text, now));
  for (let at = 0; at < text.length; at++) {
    decode(text, now);
    const changed = `${text.slice(0, at)}${text[at] === '1' ? '2' : '1'}${text.slice(at + 1)}`;
    expect(decode(changed, now), changed).toBe(readTime(changed, now));
  }
  expect(decode('Dec 20 07:00:00', now)).toBe(Date.UTC(2025, 11, 20, 7) / 1000);
  expect(decode('Dec 20 07:00:00', now + 40 * 86_400)).toBe(Date.UTC(2026, 11, 20, 7) / 1000);
  useZone('Asia/Kathmandu', now);
  expect(decode(text, now)).toBe(Date.UTC(2026, 10, 21, 1, 15) / 1000);
});

describe('what is remembered of the line before', () => {
  const two = (value: number): string => String(value).padStart(2, '0');
  /** The formats with a clock, for a given second and fraction. */
  const shapes: ((minute: string, second: string, fraction: string) => string)[] = [
    (minute, second) => `Nov 20 12:${minute}:${second}`,
    (minute, second) => `Oct 25 02:${minute}:${second}`,
    (minute, second, fraction) => `2026-11-20T12:${minute}:${second}.${fraction}+01:00`,
    (minute, second, fraction) => `2026-10-25 02:${minute}:${second}.${fraction}`,
    (minute, second) => `20/Nov/2026:12:${minute}:${second} -0330`,
    (minute, second, fraction) => `20-Nov-2026 12:${minute}:${second}.${fraction}`,
    (minute, second) => `261120 12:${minute}:${second}`,
    (minute, second) => `Fri Nov 20 12:${minute}:${second} 2026`,
  ];
  const now = Date.UTC(2026, 10, 21) / 1000;

  test.each(zones)('never changes what the next one says, %s', (zone) => {
    const clock = fc.tuple(
      fc.integer({ min: 58, max: 61 }),
      fc.integer({ min: 0, max: 61 }),
      fc.stringMatching(/^[0-9x]{3}$/),
    );
    fc.assert(
      fc.property(fc.nat(shapes.length - 1), clock, clock, fc.boolean(), (shape, one, other, early) => {
        const at = early ? Date.UTC(2026, 9, 25, 0, 59, 30) / 1000 : now;
        const text = ([minute, second, fraction]: [number, number, string]): string =>
          shapes[shape]!(two(minute % 60), two(second), fraction);
        useZone(zone, now);
        decode(text(one), at);
        const after = decode(text(other), at);
        resetTime();
        useZone(zone, now);
        expect(after).toBe(decode(text(other), at));
      }),
      { numRuns: Number(process.env.TIME_RUNS ?? 400) },
    );
  });
});

describe('what was read before', () => {
  /**
   * A moment in one of the formats, and a second one: in the same format and minute or not, perhaps
   * with one byte changed.
   */
  const pair = fc.record({
    format: fc.constantFrom(...Object.keys(formats), 'epoch', 'TAI'),
    instant: fc.integer({ min: now - year, max: now + 7_200 }),
    away: fc.oneof({ weight: 8, arbitrary: fc.integer({ min: -15, max: 15 }) }, fc.constantFrom(-86_400, -60, 3_600)),
    changed: fc.oneof(
      { weight: 2, arbitrary: fc.constant(null) },
      fc.tuple(fc.nat(45), fc.oneof(fc.nat(255), fc.integer({ min: 48, max: 57 }), fc.constantFrom(0, 1))),
    ),
    behind: fc.oneof(
      { weight: 2, arbitrary: fc.constantFrom(']', ']0', '-9', '] x', ' host', ' host', '  host') },
      fc.constantFrom(...behinds, ' 2026 x', ' 2026', ' +0100', ' +01', ' UTC', ' GMT]'),
      fc.string({ unit: 'binary', maxLength: 8 }),
    ),
    seen: fc.constantFrom(now, now + 1, now - 86_400),
  });
  const write = (format: string, instant: number): string => {
    if (format === 'epoch') return `${instant}.123`;
    if (format === 'TAI') return `@4${(instant + 10).toString(16).padStart(15, '0')}0bebc200`;
    return formats[format]!(fieldsAt(instant));
  };
  const put = (text: string): number => {
    bytes.fill(0xff, textAt, textAt + 256);
    return textAt + bytes.write(text, textAt, 'latin1');
  };
  /**
   * All that the engine says about the time at the start of the text, alone and at the head of a
   * line.
   */
  const said = (text: string, seen: number): number[] => {
    const end = put(text);
    setClock(seen);
    beginLine();
    const stop = scanTime(textAt, end);
    const headed = readLineTime(textAt, end) ? [timeStart, timeEnd, afterTime] : [];
    return [stop, ...headed, stop < 0 ? -1 : decodeTime(textAt, stop, seen), decodeTime(textAt, end, seen)];
  };

  test.each(['UTC', 'Europe/Berlin', 'Australia/Lord_Howe'])('changes nothing in %s', (zone) => {
    useZone(zone, now);
    const changes = zoneChanges(now - 6 * year, now + year, ZONES_MAX);
    const forget = (): void => {
      resetTime();
      for (const { from, offset } of changes) addZone(Number.isFinite(from) ? from : -1e15, offset);
    };
    let runs = 0;
    let same = 0;
    fc.assert(
      fc.property(pair, ({ format, instant, away, changed, behind, seen }) => {
        runs++;
        const first = write(format, instant);
        const second = Buffer.from(write(format, instant + away), 'latin1');
        if (changed !== null) second[changed[0] % second.length] = changed[1];
        const text = second.toString('latin1') + Buffer.from(behind, 'latin1').toString('latin1');
        forget();
        const alone = said(text, seen);
        forget();
        decodeTime(textAt, put(first), now);
        if (scanKnownTime(textAt, put(text)) >= 0) same++;
        expect(said(text, seen), `${text} after ${first}`).toEqual(alone);
      }),
      { numRuns: 8_000 },
    );
    expect(same).toBeGreaterThan(runs / 80);
  });
});
