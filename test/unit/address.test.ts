/** Text to address: inet_pton(3), as node:net hands it on, is the judge. */
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

const memory = new ArrayBuffer(65_536);
const bytes = Buffer.from(memory);
const textAt = 4_096;

beforeEach(() => bindMemory(memory));

/** Reads `text` with hostile bytes around it. */
function read(text: string, behind = '\xff'): number {
  bytes.fill(0xee, ADDRESS, ADDRESS + 16);
  bytes.fill('9', textAt - 16, textAt);
  const length = bytes.write(text, textAt, 'latin1');
  bytes.fill(behind, textAt + length, textAt + length + 64, 'latin1');
  return parseAddress(textAt, textAt + length);
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
      fc.property(anyText, fc.constantFrom('\xff', '0', '.', ':', 'a', ']'), (text, behind) => {
        const version = isIP(text);
        expect(read(text, behind) === ADDRESS_OK, text).toBe(version !== 0);
        if (version === 0) return;
        expect(shortest(), text).toBe(wanted(text));
        const mapped = bytes.subarray(ADDRESS, ADDRESS + 12).equals(Buffer.from('00000000000000000000ffff', 'hex'));
        expect(family, text).toBe(mapped ? 4 : 6);
        // The bytes alone say as much.
        loadAddress(ADDRESS);
        expect(family, text).toBe(mapped ? 4 : 6);
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
  ])('%s', (text, expected, version) => {
    expect(read(text)).toBe(ADDRESS_OK);
    expect(family).toBe(version);
    expect(shortest()).toBe(wanted(expected));
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
    '.192.0.2.7',
    '192..2.7',
    '192.0.2.256',
    '192.0.2.7 ',
    ' 192.0.2.7',
    '3221225991',
    '0xc0000207',
    '1:2:3:4:5:6:7',
    '1:2:3:4:5:6:7:8:9',
    '1::2::3',
    ':1:2:3:4:5:6:7',
    '1:2:3:4:5:6:7:',
    ':::',
    '12345::',
    '2001:db8::g',
    '2001:db8::7/64',
    '::192.0.2.7:1',
    '1:2:3:4:5:6:7:192.0.2.7',
    '2001:db8::\xff',
  ])('%j is no address', (text) => {
    expect(read(text)).not.toBe(ADDRESS_OK);
  });

  test.each(['localhost', 'host.example.org', 'a', 'x-1.example', '1.2.3.example', 'UNKNOWN', 'a'.repeat(255)])(
    '%s is a host name',
    (text) => {
      expect(read(text)).toBe(ADDRESS_HOST_NAME);
    },
  );

  test('any bytes are an address, a host name or nothing, and nothing outside ADDRESS is written', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary', maxLength: 100 }), (text) => {
        bytes.fill(0, 0, ADDRESS);
        bytes.fill(0, ADDRESS + 16, textAt - 16);
        expect([ADDRESS_OK, ADDRESS_BAD, ADDRESS_HOST_NAME]).toContain(read(text));
        expect(bytes.subarray(0, ADDRESS).every((byte) => byte === 0)).toBe(true);
        expect(bytes.subarray(ADDRESS + 16, textAt - 16).every((byte) => byte === 0)).toBe(true);
      }),
      { numRuns: 2_000 },
    );
  });
});
