/**
 * Parsing of addresses, judged by inet_pton(3) through node:net.
 */
import { isIP, SocketAddress } from 'node:net';
import fc from 'fast-check';
import { beforeEach, describe, expect, test } from 'vitest';
import {
  ADDRESS_BAD,
  ADDRESS_HOST_NAME,
  ADDRESS_OK,
  family,
  loadAddress,
  parseAddress,
} from '../../src/engine/address.ts';
import { ADDRESS } from '../../src/engine/layout.ts';
import { bindMemory } from '../../src/engine/linear.ts';
import { parseAddress as parseText } from '../../src/text/address.ts';

const memory = new ArrayBuffer(65_536);
const bytes = Buffer.from(memory);
const textAt = 8_192;

beforeEach(() => bindMemory(memory));

const zeros = Buffer.alloc(textAt);
const behinds = ['\xff', '0', '.', ':', 'a', '[', ']'];

/** Reads `text` with hostile bytes around it; nothing outside ADDRESS is written. */
function read(text: string, behind = '\xff'): number {
  bytes.fill(0, 0, textAt - 16);
  bytes.fill(0xee, ADDRESS, ADDRESS + 16);
  bytes.fill('9', textAt - 16, textAt);
  const length = bytes.write(text, textAt, 'latin1');
  bytes.fill(behind, textAt + length, textAt + length + 64, 'latin1');
  const verdict = parseAddress(textAt, textAt + length);
  const untouched = bytes.compare(zeros, ADDRESS + 16, textAt - 16, ADDRESS + 16, textAt - 16) === 0;
  if (!untouched || bytes.compare(zeros, 0, ADDRESS, 0, ADDRESS) !== 0) throw new Error(`${text}: written elsewhere`);
  return verdict;
}

/** The address as text in the shortest form of its 16 bytes. */
function shortest(): string {
  const groups = Array.from({ length: 8 }, (_, i) => bytes.readUInt16BE(ADDRESS + i * 2).toString(16));
  return new SocketAddress({ address: groups.join(':'), family: 'ipv6' }).address;
}

function wanted(text: string): string {
  return new SocketAddress({ address: isIP(text) === 4 ? `::ffff:${text}` : text, family: 'ipv6' }).address;
}

const hexRun = fc.string({ unit: fc.constantFrom(...'0123456789abcdefABCDEF:.'.split('')), maxLength: 46 });
const groups = fc
  .array(fc.oneof(fc.constant(''), fc.constantFrom('0', 'f', '00a', 'ffff', '10000', '00000')), {
    minLength: 1,
    maxLength: 10,
  })
  .map((parts) => parts.join(':'));
const quadLike = fc
  .array(fc.oneof(fc.nat(300).map(String), fc.constantFrom('', '00', '01', '007', '1000')), {
    minLength: 3,
    maxLength: 5,
  })
  .map((parts) => parts.join('.'));
const anyText = fc.oneof(
  fc.ipV4(),
  fc.ipV6(),
  hexRun,
  groups,
  quadLike,
  fc.tuple(groups, quadLike).map(([six, four]) => `${six}:${four}`),
  fc.ipV4().map((four) => `::ffff:${four}`),
  fc.tuple(fc.ipV6(), fc.ipV4()).map(([six, four]) => `${six.split(':').slice(0, 6).join(':')}:${four}`),
  fc.ipV6().map((six) => six.toUpperCase()),
);

describe('inet_pton is the judge', () => {
  test('accepted is what it accepts, with the same bytes', () => {
    fc.assert(
      fc.property(anyText, fc.constantFrom(...behinds), (text, behind) => {
        const version = isIP(text);
        expect(read(text, behind) === ADDRESS_OK, text).toBe(version !== 0);
        if (version === 0) return;
        expect(shortest(), text).toBe(wanted(text));
        const mapped = bytes.subarray(ADDRESS, ADDRESS + 12).equals(Buffer.from('00000000000000000000ffff', 'hex'));
        expect(family, text).toBe(mapped ? 4 : 6);
        // The bytes alone tell it.
        loadAddress(ADDRESS);
        expect(family, text).toBe(mapped ? 4 : 6);
      }),
      { numRuns: 20_000 },
    );
  });

  test('the addresses of configuration and commands are those that it accepts, with the same bytes', () => {
    const text = fc.oneof(
      anyText,
      fc.tuple(anyText, fc.constantFrom(':', '::', '.', '%lo', ' ')).map((parts) => parts.join('')),
    );
    fc.assert(
      fc.property(text, (text) => {
        const address = parseText(text);
        expect(address !== undefined, text).toBe(isIP(text) !== 0 && !text.includes('%'));
        if (address === undefined) return;
        const groups = Array.from({ length: 8 }, (_, at) =>
          ((address.bytes[2 * at]! << 8) | address.bytes[2 * at + 1]!).toString(16),
        );
        expect(new SocketAddress({ address: groups.join(':'), family: 'ipv6' }).address, text).toBe(wanted(text));
      }),
      { numRuns: 20_000 },
    );
  });

  test('every number of a dotted quad, at every place', () => {
    for (let place = 0; place < 4; place++) {
      for (let value = 0; value <= 1_000; value++) {
        for (const digits of new Set([String(value), `0${value}`, `00${value}`])) {
          const text = [1, 22, 133, 4].map((part, i) => (i === place ? digits : part)).join('.');
          expect(read(text) === ADDRESS_OK, text).toBe(isIP(text) === 4);
          if (isIP(text) === 4) expect(shortest(), text).toBe(wanted(text));
        }
      }
    }
  });

  test('"::" at every place of every length', () => {
    for (let before = 0; before <= 8; before++) {
      for (let after = 0; after <= 8; after++) {
        const part = (count: number): string => Array.from({ length: count }, (_, i) => (i + 1).toString(16)).join(':');
        for (const text of [
          `${part(before)}::${part(after)}`,
          `${part(before)}::${part(after)}:`,
          `:${part(before)}:${part(after)}`,
        ]) {
          expect(read(text) === ADDRESS_OK, text).toBe(isIP(text) === 6);
          if (isIP(text) === 6) expect(shortest(), text).toBe(wanted(text));
        }
      }
    }
  });

  test('a reader that takes leading zeros, or folds nothing, would be noticed', () => {
    expect(isIP('192.0.2.07')).toBe(0);
    expect(read('192.0.2.07')).toBe(ADDRESS_BAD);
    expect(wanted('192.0.2.7')).not.toBe(wanted('::192.0.2.7'));
  });
});

describe('what a log writes around an address', () => {
  test.each<[text: string, expected: string, family: number]>([
    ['[192.0.2.7]', '192.0.2.7', 4],
    ['[2001:db8::7]', '2001:db8::7', 6],
    ['fe80::1%eth0', 'fe80::1', 6],
    ['[fe80::1%eth0.100]', 'fe80::1', 6],
    ['::ffff:192.0.2.7', '192.0.2.7', 4],
    ['::FFFF:c000:0207', '192.0.2.7', 4],
    ['0:0:0:0:0:ffff:192.0.2.7', '192.0.2.7', 4],
    ['::192.0.2.7', '::192.0.2.7', 6],
    ['64:ff9b::192.0.2.7', '64:ff9b::192.0.2.7', 6],
    ['255.255.255.255', '255.255.255.255', 4],
    ['[255.255.255.255]', '255.255.255.255', 4],
    ['::255.255.255.255', '::255.255.255.255', 6],
    ['::', '::', 6],
    ['2001:db8::7', '2001:db8::7', 6],
    ['1:2:3:4:5:6:7::', '1:2:3:4:5:6:7:0', 6],
    ['2001:db8:9abc:def0:9ABC:DEF0:af:AF', '2001:db8:9abc:def0:9abc:def0:af:af', 6],
    // It takes all of the bytes to tell whether an address is mapped.
    ['1::ffff:192.0.2.7', '1::ffff:192.0.2.7', 6],
    ['0:0:1::ffff:192.0.2.7', '0:0:1::ffff:192.0.2.7', 6],
    ['::1:0:ffff:192.0.2.7', '::1:0:ffff:192.0.2.7', 6],
    ['::fffe:192.0.2.7', '::fffe:192.0.2.7', 6],
    ['::ffff:0:192.0.2.7', '::ffff:0:192.0.2.7', 6],
    [`fe80::1%${'e'.repeat(72)}`, 'fe80::1', 6],
  ])('%s', (text, expected, version) => {
    for (const behind of behinds) {
      expect(read(text, behind)).toBe(ADDRESS_OK);
      expect(family).toBe(version);
      expect(shortest()).toBe(wanted(expected));
      loadAddress(ADDRESS);
      expect(family).toBe(version);
    }
  });

  test.each([
    '',
    '[',
    ']',
    '[]',
    '[192.0.2.7',
    '192.0.2.7]',
    '[[192.0.2.7]]',
    '[192.0.2.7]:22',
    '192.0.2.7:22',
    '2001:db8::7]',
    '%eth0',
    'fe80::1%',
    '192.0.2.7%eth0',
    '192.0.2',
    '192.0.2.7.9',
    '192.0.2.7.',
    '192.0.2.',
    '.192.0.2.7',
    '.0.2.7',
    '192..2.7',
    '192.0..7',
    '1920.0.2.7',
    '192.1000.2.7',
    '192.0.2000.7',
    '192.0.2.7000',
    '192.0.2.256',
    '192.0.2.7 ',
    ' 192.0.2.7',
    '3221225991',
    '0xc0000207',
    '1:2:3:4:5:6:7',
    '1:2:3:4:5:6:7:8:9',
    '1:2:3:4:5:6:7:8::',
    '1::2::3',
    ':1:2:3:4:5:6:7',
    '1:2:3:4:5:6:7:',
    ':::',
    ':::1',
    ':',
    ':1234',
    ':1::',
    '::1::2',
    '12345::',
    Array.from({ length: 39 }, () => 1).join(':'),
    `::${Array.from({ length: 39 }, () => 1).join(':')}`,
    '2001:db8::g',
    '2001:db8::7/64',
    '::192.0.2.7:1',
    '1:2:3:4:5:6:7:192.0.2.7',
    '1:2:3:4:5:192.0.2.7',
    '::192.0.2.7.9.11.13',
    '::1111.198.51.100',
    '2001:db8::\xff',
    `fe80::1%${'e'.repeat(73)}`,
  ])('%j is no address', (text) => {
    for (const behind of behinds) expect(read(text, behind)).not.toBe(ADDRESS_OK);
  });

  test.each([
    '',
    '[192.0.2.77',
    '[localhost',
    '[]',
    '192.0.2',
    '1.2.3.4.5.6.7.8.9',
    '90.90.90.90.90.90',
    '1234567890123456789',
    '192.0.2.7%eth0',
    'host%eth0',
    '%eth0',
    'fe80::1%',
    '2001:db8::g',
  ])('%j is not a host name either', (text) => {
    for (const behind of behinds) expect(read(text, behind)).toBe(ADDRESS_BAD);
  });

  test.each([
    'localhost',
    'host.example.org',
    'a',
    'x-1.example',
    '1.2.3.example',
    '192-0-2-7',
    '192.0.2.7.static.broadband.example.org',
    'UNKNOWN',
    'a'.repeat(80),
    'a'.repeat(81),
    'a'.repeat(255),
  ])('%s is a host name', (text) => {
    for (const behind of behinds) expect(read(text, behind)).toBe(ADDRESS_HOST_NAME);
  });

  test('16 bytes are taken over whole, and nothing behind them', () => {
    for (const [words, version] of [
      [[1, 2, 3, 4, 5], 6],
      [[0, 0, -65536, 7, 8], 4],
    ] as const) {
      const from = textAt + 64;
      for (const [i, value] of words.entries()) bytes.writeInt32LE(value, from + i * 4);
      bytes.fill(0xee, 0, textAt);
      loadAddress(from);
      expect(family).toBe(version);
      expect(bytes.subarray(ADDRESS, ADDRESS + 16)).toEqual(bytes.subarray(from, from + 16));
      expect(bytes.subarray(ADDRESS + 16, ADDRESS + 32)).toEqual(Buffer.alloc(16, 0xee));
    }
  });

  test('any bytes are an address, a host name or nothing', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary', maxLength: 100 }), (text) => {
        expect([ADDRESS_OK, ADDRESS_BAD, ADDRESS_HOST_NAME]).toContain(read(text));
      }),
      { numRuns: 2_000 },
    );
  });
});
