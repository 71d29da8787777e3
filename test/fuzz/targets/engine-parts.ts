/**
 * Parts of the engine alone: timestamps, addresses, and an operator's patterns.
 */
import assert from 'node:assert/strict';
import { isIP, SocketAddress } from 'node:net';
import fc from 'fast-check';
import { checkFilter } from '../../../src/compiler/check.ts';
import type { Filter } from '../../../src/compiler/pattern.ts';
import { captureNames, parsePattern } from '../../../src/config/pattern-text.ts';
import { ADDRESS_OK, parseAddress } from '../../../src/engine/address.ts';
import { ADDRESS } from '../../../src/engine/layout.ts';
import { bindMemory } from '../../../src/engine/linear.ts';
import { decodeTime, resetTime, scanTime } from '../../../src/engine/timestamp.ts';
import {
  bind,
  engineTimeLength,
  expectedOutcome,
  loadEmitted,
  loadInterpreted,
  outcome,
} from '../../support/matchers.ts';
import { messageOf } from '../../support/messages.ts';
import { readTimesWith } from '../../support/oracle.ts';
import type { Target } from '../target.ts';

const memory = new ArrayBuffer(65_536);
const bytes = Buffer.from(memory);
const textAt = 8_192;
const textBytesMax = 16_384;

/** Puts a text into the engine's memory with other bytes after it, and returns where it ends. */
function lay(text: Uint8Array, behind: number): number {
  bindMemory(memory);
  bytes.fill(behind, textAt + text.length, textAt + text.length + 64);
  bytes.set(text, textAt);
  return textAt + text.length;
}

// --- timestamps ----------------------------------------------------------------------------------

const stamps = [
  'Mar  4 05:06:07',
  'Sat Mar 04 05:06:07.123456 2025',
  '2025-03-04T05:06:07.123+01:00',
  '2025-03-04 05:06:07,5',
  '2025/03/04 05:06:07',
  '04/Mar/2025:05:06:07 +0000',
  '04-Mar-2025 05:06:07.789',
  '250304  5:06:07',
  '1741064767',
  '1741064767.123',
  'Tue, 04 Mar 2025 05:06:07 +0000',
  'Feb 29 23:59:60',
  '0000-00-00T00:00:00Z',
];
const clock = 1_741_064_767;

function timeHolds(input: Buffer): void {
  const text = input.subarray(0, textBytesMax);
  const reading = (behind: number): string => {
    const end = lay(text, behind);
    resetTime();
    const stop = scanTime(textAt, end);
    assert.ok(stop === -1 || (stop > textAt && stop <= end), `a timestamp ends at ${stop - textAt} of ${text.length}`);
    if (stop < 0) return 'none';
    const instant = decodeTime(textAt, stop, clock);
    assert.ok(instant === -1 || (instant >= 0 && instant < 2 ** 32), `${instant} is no time`);
    assert.equal(decodeTime(textAt, stop, clock), instant, 'read again, from what is remembered');
    return `${stop} ${instant}`;
  };
  assert.equal(reading(0xff), reading(0x30), 'what stands behind the text changes it');
}

export const timestamps: Target = {
  name: 'timestamps',
  says: 'any bytes as a timestamp: an end inside them, an instant that fits, the same whatever follows',
  corpus: () => stamps.map((text) => Buffer.from(text)),
  words: () => [...stamps, 'Jan', 'Dec', '00', '99', '60', 'Z', '+0130', ' ', 'T', ':', '.', ','],
  grammar(random) {
    const parts = Array.from({ length: 1 + random.below(4) }, () => {
      const stamp = random.pick(stamps);
      return stamp.replace(/[0-9]/g, (digit) => (random.below(4) === 0 ? String(random.below(10)) : digit));
    });
    return Buffer.from(parts.join(random.pick(['', ' ', '.', '+'])));
  },
  open: async () => timeHolds,
};

// --- addresses -----------------------------------------------------------------------------------

const forms = [
  '192.0.2.7',
  '2001:db8::7',
  '::',
  '::1',
  '::ffff:192.0.2.7',
  '2001:db8:1:2:3:4:5:6',
  '64:ff9b::192.0.2.33',
  'fe80::1%eth0',
  '[2001:db8::7]',
  '192.0.2.07',
  '256.0.0.1',
];

/** Longer texts are not addresses, whatever their zone (address.ts). */
const addressTextMax = 80;

function addressHolds(input: Buffer): void {
  const text = input.subarray(0, 300);
  const end = lay(text, 0x31);
  const answer = parseAddress(textAt, end);
  const found = bytes.toString('hex', ADDRESS, ADDRESS + 16);
  lay(text, 0xff);
  assert.equal(parseAddress(textAt, end), answer, 'what stands behind the text changes it');
  // Brackets and a zone are removed by us; node:net (inet_pton) judges the rest.
  const bare = text.toString('latin1').replace(/^\[(.*)\]$/s, '$1');
  const before = bare.match(/^([^%]*:[^%]*)%.+$/s)?.[1];
  const plain = before ?? bare;
  const valid = bare.length <= addressTextMax && isIP(plain) !== 0 && !plain.includes('%');
  assert.equal(answer === ADDRESS_OK, valid, `${JSON.stringify(plain)} is read as ${answer}`);
  if (!valid) return;
  const groups = found.match(/.{4}/g) as string[];
  const shortest = (address: string): string => new SocketAddress({ address, family: 'ipv6' }).address;
  assert.equal(shortest(groups.join(':')), shortest(isIP(plain) === 4 ? `::ffff:${plain}` : plain));
}

export const addresses: Target = {
  name: 'addresses',
  says: 'any bytes as an address: what inet_pton says, with brackets and zone',
  corpus: () => forms.map((text) => Buffer.from(text)),
  words: () => [...forms, ':', '::', '.', '0', 'ffff', '255', '%', '[', ']', '00'],
  grammar(random) {
    const pieces = ['0', '1', 'db8', 'ffff', '10000', '00', '192.0.2.7', '255', ':', ':', '::', '.', '%eth0', 'g'];
    return Buffer.from(Array.from({ length: 1 + random.below(16) }, () => random.pick(pieces)).join(''));
  },
  open: async () => addressHolds,
};

// --- patterns of the operator --------------------------------------------------------------------

const captures = captureNames.map((name) => `{${name}}`);
const words = [
  'login',
  ' ',
  ' from ',
  ' for "',
  '"',
  ': ',
  '=',
  'a',
  'ab',
  ' port ',
  '{{',
  '}}',
  'ü',
  '5',
  '(.*)',
  '<HOST>',
  '\\d+',
  '^',
  '$',
  '{',
  '}',
];

/**
 * A text is refused at a position inside it, or becomes a program that agrees with matcher and
 * oracle.
 */
function patternHolds(input: Buffer): void {
  const text = input.toString('utf8').slice(0, 1024);
  const parsed = parsePattern(text);
  if ('reason' in parsed) {
    assert.ok(parsed.at >= 0 && parsed.at <= text.length, `refused at ${parsed.at}`);
    return;
  }
  assert.equal(parsed.places.length, parsed.tokens.length);
  const filter: Filter = {
    name: 'own',
    about: '',
    prefixes: ['bare'],
    patterns: [{ name: 'own', tokens: parsed.tokens, sample: '', counter: '' }],
  };
  if (checkFilter(filter).length > 0) return;
  const [emitted, interpreted] = [loadEmitted(filter), loadInterpreted(filter)];
  const seed = input.reduce((sum, byte) => (sum * 31 + byte) | 0, 7);
  bind();
  readTimesWith(engineTimeLength);
  try {
    for (const message of fc.sample(messageOf(filter), { seed, numRuns: 6 })) {
      const wanted = expectedOutcome(filter, message);
      assert.deepEqual(
        outcome(emitted.match, message, 1),
        wanted,
        `emitted and oracle differ on ${JSON.stringify(message.toString('latin1'))}`,
      );
      assert.deepEqual(
        outcome(interpreted, message, 1),
        wanted,
        `program and oracle differ on ${JSON.stringify(message.toString('latin1'))}`,
      );
    }
  } finally {
    readTimesWith();
  }
}

export const patterns: Target = {
  name: 'patterns',
  says: 'any text as a pattern of [[filter]]: refused at a place, or read alike by program, matcher and oracle',
  corpus: () =>
    ['login from {ip}', 'no login for {user} from {ip}:{number}{end}', '{timestamp} {word} {skip} from {ip}{end}'].map(
      (text) => Buffer.from(text),
    ),
  words: () => [...captures, ...words],
  grammar(random) {
    const pieces = Array.from({ length: random.below(6) }, () => random.pick(random.below(2) === 0 ? captures : words));
    return Buffer.from([...pieces, random.pick([' from {ip}{end}', ' {ip}', '={ip}:{number}{end}', ''])].join(''));
  },
  open: async () => patternHolds,
};
