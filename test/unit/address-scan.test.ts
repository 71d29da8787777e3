/**
 * The source address, alone and with its port: where the address ends and the port begins, in all
 * three readings.
 */
import { beforeEach, describe, expect, test } from 'vitest';
import type { Filter, Token } from '../../src/compiler/pattern.ts';
import { bind, expectedOutcome, loadEmitted, loadInterpreted, outcome } from '../support/matchers.ts';

beforeEach(bind);

const filter: Filter = {
  name: 'ports',
  about: '',
  prefixes: ['bare'],
  patterns: [
    {
      name: 'ported',
      tokens: [{ kind: 'ip', port: true }, { kind: 'literal', text: ' x' }, { kind: 'end' }],
      sample: '',
      counter: '',
    },
  ],
};
const emitted = loadEmitted(filter);
const interpreted = loadInterpreted(filter);

test.each([
  ['192.0.2.7:40122', '192.0.2.7'],
  ['192.0.2.7', null],
  ['192.0.2.7:', null],
  ['192.0.2.7:401220', null],
  ['192.0.2.7:4f', null],
  ['2001:db8::7:40122', '2001:db8::7'],
  ['2001:db8::7', null],
  ['2001:db8::7:ab', null],
  ['2001:db8::7:401220', null],
  ['2001:db8:1:2:3:4:5:6:80', '2001:db8:1:2:3:4:5:6'],
  ['2001:db8:::80', '2001:db8::'],
  ['2001:db8::80', null],
  ['::1:80', '::1'],
  [':::80', '::'],
  ['::80', null],
  [':80', null],
  ['::ffff:192.0.2.7:80', '::ffff:192.0.2.7'],
  ['::ffff:192.0.2.7', null],
  ['fe80::1%eth0:80', 'fe80::1%eth0'],
  ['[2001:db8::7]:80', '2001:db8::7'],
  ['[2001:db8::7]', null],
  ['[2001:db8::7]:', null],
  ['[192.0.2.7]:65535', '192.0.2.7'],
  ['localhost:80', 'localhost'],
  ['host.example.org:80', 'host.example.org'],
  [`${'a'.repeat(252)}:80`, 'a'.repeat(252)],
  [`${'a'.repeat(253)}:80`, null],
  ['', null],
])('%s', (text, address) => {
  const message = Buffer.from(`${text} x`);
  const wanted =
    address === null
      ? { pattern: -1 }
      : { pattern: 0, address: [text.indexOf(address), text.indexOf(address) + address.length] };
  expect(expectedOutcome(filter, message)).toEqual(wanted);
  expect(outcome(emitted.match, message, 1)).toEqual(wanted);
  expect(outcome(interpreted, message, 1)).toEqual(wanted);
});

describe('every short text, whatever stands behind it', () => {
  /** All texts of up to `length` of these bytes. */
  const textsOf = (bytes: string, length: number): string[] =>
    length === 0 ? [''] : ['', ...textsOf(bytes, length - 1).flatMap((text) => [...bytes].map((byte) => byte + text))];
  const texts = [
    ...new Set([...textsOf('1.:[]a%-_ ', 3), ...textsOf('1:', 6), ...textsOf('1].:', 4).map((text) => `[${text}`)]),
  ];
  const long = [254, 255, 256].flatMap((length) => ['a', '1', '[a'].map((byte) => byte.repeat(length)));

  test.each<[what: string, token: Token]>([
    ['alone', { kind: 'ip' }],
    ['with its port', { kind: 'ip', port: true }],
  ])('%s', (_what, token) => {
    const bare = { ...filter, patterns: [{ ...filter.patterns[0]!, tokens: [token] }] };
    const walked = loadInterpreted(bare);
    for (const text of [...texts, ...long, ...long.map((text) => `${text}]:1`)]) {
      const message = Buffer.from(text);
      const expected = expectedOutcome(bare, message);
      for (const behind of ['1', ':1', ']:1', '[1]:1'])
        expect(outcome(walked, message, 1, Buffer.from(behind)), text).toEqual(expected);
    }
  });
});
