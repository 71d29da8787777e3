/** Addresses, JSON, file names and foreign texts, as people and machines read them. */
import { describe, expect, test } from 'vitest';
import { printedCharactersMax } from '../../src/limits.ts';
import * as address from '../../src/text/address.ts';
import { asciiJson, jsonText } from '../../src/text/json.ts';
import { decodeName, encodeName } from '../../src/text/names.ts';
import { hides, printable } from '../../src/text/printable.ts';
import type { Address } from '../../src/types.ts';

const parsed = (text: string): Address => address.parseCidr(text, 'clear') as Address;

describe('addresses', () => {
  test.each([
    ['0.0.0.0', 'the unspecified address'],
    ['0.0.0.1', undefined],
    ['223.255.255.255', undefined],
    ['224.0.0.1', 'a multicast address'],
    ['239.255.255.255', 'a multicast address'],
    ['240.0.0.1', undefined],
    ['255.255.255.255', 'the broadcast address'],
    ['255.255.255.254', undefined],
    ['::', 'the unspecified address'],
    ['::1', undefined],
    ['e0::1', undefined],
    ['ff02::1', 'a multicast address'],
    ['feff::1', undefined],
    ['ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff', 'a multicast address'],
  ])('%s as a source: %s', (text, why) => {
    expect(address.neverSource(parsed(text))).toBe(why);
  });

  test.each([
    ['2002:c000:207::', 64, 48],
    ['2002:c000:207::', 56, 48],
    ['2002:c000:207::', 32, 32],
    ['2002:c000:207:1::', 64, 64],
    ['2001:db8::', 64, 64],
    ['2102:c000:207::', 64, 64],
  ])('%s is banned with /%d as /%d', (text, prefix, width) => {
    expect(address.widthOfPrefix(parsed(text).bytes, prefix)).toBe(width);
  });

  test.each([
    ['192.0.2.7', '192.0.2.0/24', true],
    ['192.0.2.0/24', '192.0.2.0/24', true],
    ['192.0.2.0/23', '192.0.2.0/24', false],
    ['198.51.100.7', '192.0.2.0/24', false],
    ['192.0.2.7', '0.0.0.0/0', true],
    ['192.0.2.7', '::/0', false],
    ['::1', '0.0.0.0/0', false],
    ['2001:db8:0:1::7', '2001:db8::/63', true],
    ['2001:db8:0:2::7', '2001:db8::/63', false],
  ])('%s lies in %s: %s', (inner, network, expected) => {
    expect(address.isWithin(parsed(inner), parsed(network))).toBe(expected);
  });

  test.each([
    ['1:0:0:2:3:0:0:4', '1::2:3:0:0:4'],
    ['1:0:0:2:0:0:0:4', '1:0:0:2::4'],
    ['0:0:1:0:0:0:0:0', '0:0:1::'],
    ['1:0:2:0:3:0:4:0', '1:0:2:0:3:0:4:0'],
    ['1:2:3:4:5:6:0:0', '1:2:3:4:5:6::'],
    ['1:2:3:4:5:6:0:0/127', '1:2:3:4:5:6::/127'],
    ['192.0.2.7/32', '192.0.2.7'],
    ['2001:db8::7/128', '2001:db8::7'],
  ])('%s is written %s', (text, written) => {
    expect(address.formatAddress(parsed(text))).toBe(written);
  });

  test('of a mask, every byte', () => {
    const masks = [0, 1, 7, 8, 9, 15, 16].map((bits) => [0, 1].map((index) => address.maskByte(bits, index)));
    expect(masks).toEqual([
      [0, 0],
      [0x80, 0],
      [0xfe, 0],
      [0xff, 0],
      [0xff, 0x80],
      [0xff, 0xfe],
      [0xff, 0xff],
    ]);
    expect([0, 1, 8, 15, 16].map((bits) => address.hasBitsBelow(Uint8Array.of(0x80, 0x01), bits))).toEqual([
      true,
      true,
      true,
      true,
      false,
    ]);
  });

  test('masking leaves what it was given', () => {
    const given = { ...address.parseAddress('192.0.2.255')!, prefix: 25 };
    expect(address.formatAddress(address.maskAddress(given))).toBe('192.0.2.128/25');
    expect(given.bytes[15]).toBe(255);
    expect([...address.maskAddress({ ...given, prefix: 0 }).bytes]).toEqual([
      ...Array(10).fill(0),
      255,
      255,
      0,
      0,
      0,
      0,
    ]);
  });

  test.each([
    ['::ffff:192.0.2.0/96', '0.0.0.0/0'],
    ['::ffff:192.0.2.7/128', '192.0.2.7'],
    ['192.0.2.0/0', '0.0.0.0/0'],
    ['2001:db8::/0', '::/0'],
    ['2001:db8::/128', '2001:db8::'],
  ])('%s is %s', (text, written) => {
    expect(address.formatAddress(parsed(text))).toBe(written);
  });

  test.each(['::ffff:192.0.2.7/129', '192.0.2.0/1000', '192.0.2.0/2 ', '192.0.2.0/x24', '192.0.2.0/24x'])(
    '%j has no prefix length',
    (text) => {
      expect(address.parseCidr(text, 'clear')).toBe('bad-prefix');
    },
  );

  test.each([
    '1:2:3:4::5:6:7:8',
    '1:2:3:4:5:6:7:192.0.2.7',
    '192.0.2.7::1',
    '::192.0.2.7:1',
    '::1:x',
    '::12345',
    '1.2.3.4x',
    'x1.2.3.4',
  ])('%j is no address', (text) => {
    expect(address.parseAddress(text)).toBe(undefined);
  });

  test('a text is read up to the longest that an address with its length can be', () => {
    expect(address.parseCidr('0000:0000:0000:0000:0000:ffff:192.100.102.100/128', 'clear')).toMatchObject({
      family: 4,
    });
    expect(address.parseCidr('0000:0000:0000:0000:0000:ffff:192.100.102.100/1280', 'clear')).toBe('not-an-address');
  });
});

describe('foreign texts', () => {
  /** The first and last character of each range that hides something. */
  const ranges: [number, number][] = [
    [0x00, 0x1f],
    [0x7f, 0x9f],
    [0xad, 0xad],
    [0x61c, 0x61c],
    [0x200b, 0x200f],
    [0x2028, 0x202e],
    [0x2060, 0x206f],
    [0xd800, 0xdfff],
    [0xfeff, 0xfeff],
    [0xfff9, 0xfffb],
    [0xe0000, 0xe007f],
  ];

  test.each(ranges)('from %d to %d all hide something, and what lies beside does not', (first, last) => {
    for (const code of [first, last, (first + last) >> 1]) expect(hides(code), code.toString(16)).toBe(true);
    for (const code of [first - 1, last + 1]) if (code >= 0) expect(hides(code), code.toString(16)).toBe(false);
  });

  test('are escaped each in its way, and as long as is asked for', () => {
    expect(printable('\t\n\r\x01\x7f\u00ad\u{e0041}')).toBe('\\t\\n\\r\\x01\\x7f\\xad\\u{e0041}');
    expect(printable('ab', 1)).toBe('a…');
    expect(printable('', 0)).toBe('');
    expect(printable('x'.repeat(printedCharactersMax))).toBe('x'.repeat(printedCharactersMax));
    expect(printable('x'.repeat(printedCharactersMax + 1))).toBe(`${'x'.repeat(printedCharactersMax)}…`);
  });

  test('in JSON are what they were, and control no terminal', () => {
    const text = 'é€😀\x1b\x7f\x9b\u202e\u{e0041}"\\';
    expect(jsonText([text])).toBe('["é€😀\\u001b\\u007f\\u009b\\u202e\\udb40\\udc41\\"\\\\"]');
    expect(asciiJson([text])).toBe('["\\u00e9\\u20ac\\ud83d\\ude00\\u001b\\u007f\\u009b\\u202e\\udb40\\udc41\\"\\\\"]');
    for (const json of [jsonText, asciiJson]) expect(JSON.parse(json([text, 1, null]))).toEqual([text, 1, null]);
  });
});

describe('names of files', () => {
  test.each([
    ['plain', Buffer.from('/var/log/größe.log')],
    ['with the sign of what cannot be read', Buffer.from('/var/log/\ufffd')],
    ['not UTF-8', Buffer.from([0x2f, 0xff, 0x80, 0x7f, 0xc3, 0xa4])],
    ['half a character', Buffer.from([0x2f, 0xc3])],
    ['every byte', Buffer.from(Array.from({ length: 255 }, (_, index) => index + 1))],
  ])('%s come back as the bytes they were', (_, bytes) => {
    expect(Buffer.from(encodeName(decodeName(bytes)))).toEqual(bytes);
  });

  test('that are UTF-8 stay text, and others are told from them', () => {
    expect(decodeName(Buffer.from('/größe'))).toBe('/größe');
    expect(encodeName('/größe')).toBe('/größe');
    expect(decodeName(Buffer.from('/\ufffd'))).toBe('/\ufffd');
    expect(decodeName(Buffer.from([0x2f, 0x61, 0x80]))).toBe('/a\udc80');
    // A character of more than one unit beside one that stands for a byte.
    expect(encodeName('/😀\udcff')).toEqual(Buffer.concat([Buffer.from('/😀'), Buffer.of(0xff)]));
    expect(encodeName('/\ud800')).toEqual(Buffer.from('/\ufffd'));
    expect(encodeName('/\udd00')).toEqual(Buffer.from('/\ufffd'));
  });
});
