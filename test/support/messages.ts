/**
 * Generators of messages for a filter: its own lines, near misses, and attacker text in every place
 * that accepts any.
 */
import fc from 'fast-check';
import type { ByteClass, Filter, Pattern, Token } from '../../src/compiler/pattern.ts';
import { inClass } from './oracle.ts';

const addresses = [
  '192.0.2.7',
  '203.0.113.255',
  '2001:db8::1',
  '2001:db8::',
  '::1',
  '::ffff:192.0.2.9',
  '[2001:db8::2]',
  '[192.0.2.1]',
  '192.0.2.7:5060',
  '192.0.2.7:',
  '2001:db8::1:',
  '192.0.2.7.',
  'host.example.org',
  'host.example.org:80',
  'unknown',
  'fe80::1%eth0',
  '[]',
  '[192.0.2.1',
  '.',
  ':',
  ':::',
  '999.1.1.1',
  'a'.repeat(255),
  'a'.repeat(256),
  `${'1.'.repeat(130)}1`,
];

const ports = [':40122', ':1', ':65535', ':123456', ':', ':7f', '', ':80:80', ':80.', ':80: ', ':::7', ':8x'];

const times = [
  'Mar  7 18:53:22',
  '2025-03-04T05:06:07.123+01:00',
  '2025/03/04 05:06:07',
  '04/Mar/2025:05:06:07 +0000',
  '1741064767',
  'Mar 32 18:53:22',
];

const anyBytes = fc.uint8Array({ maxLength: 12 }).map((bytes) => Buffer.from(bytes).toString('latin1'));

/** Every literal text of a token list. */
export function literalsOf(tokens: readonly Token[]): string[] {
  return tokens.flatMap((token): string[] => {
    if (token.kind === 'literal') return [token.text];
    if (token.kind === 'choice') return token.of;
    if (token.kind === 'optional' || token.kind === 'repeat') return literalsOf(token.tokens);
    return token.kind === 'either' ? token.of.flatMap(literalsOf) : [];
  });
}

const patternsOf = (filter: Filter): Pattern[] => [...filter.patterns, ...(filter.ignore ?? [])];

/**
 * What attackers write: the filter's own phrases, other addresses, separators, control bytes, long
 * runs.
 */
export function attackerText(filter: Filter): fc.Arbitrary<string> {
  const phrases = [...new Set(patternsOf(filter).flatMap((pattern) => literalsOf(pattern.tokens)))];
  const piece = fc.oneof(
    fc.constantFrom(...phrases, ' '),
    fc.constantFrom(...addresses),
    fc.constantFrom(
      ' ',
      '  ',
      '"',
      "'",
      '[',
      ']',
      '(',
      ')',
      '<',
      '>',
      ':',
      ',',
      ';',
      '=',
      '/',
      '\\',
      '\0',
      '\x1b[2J',
      '\t',
      '\r',
      '\xff',
    ),
    anyBytes,
    fc.constantFrom('x', 'root', 'admin'),
  );
  return fc.array(piece, { maxLength: 6 }).map((pieces) => pieces.join(''));
}

function member(of: ByteClass): string {
  for (const byte of [...Buffer.from('a1 -"x'), ...Array(256).keys()])
    if (inClass(of, byte)) return String.fromCharCode(byte);
  return '';
}

function spanText(token: Extract<Token, { kind: 'span' }>): fc.Arbitrary<string> {
  const members = [...Array(256).keys()]
    .filter((byte) => inClass(token.of, byte))
    .map((byte) => String.fromCharCode(byte));
  const readable = members.filter((text) => text > ' ' && text < '\x7f');
  const length = fc.oneof(
    { weight: 8, arbitrary: fc.integer({ min: token.min, max: Math.min(token.max, token.min + 8) }) },
    {
      weight: 1,
      arbitrary: fc.constantFrom(Math.max(0, token.min - 1), Math.min(token.max, 300), Math.min(token.max + 1, 300)),
    },
  );
  const one = fc.oneof(
    { weight: 5, arbitrary: fc.constantFrom(...(readable.length > 0 ? readable : members)) },
    fc.constantFrom(...members),
  );
  return length.chain((count) =>
    count > 12
      ? fc.constant(member(token.of).repeat(count))
      : fc.array(one, { minLength: count, maxLength: count }).map((texts) => texts.join('')),
  );
}

function tokensText(filter: Filter, tokens: readonly Token[]): fc.Arbitrary<string> {
  if (tokens.length === 0) return fc.constant('');
  return fc.tuple(...tokens.map((token) => tokenText(filter, token))).map((texts) => texts.join(''));
}

function tokenText(filter: Filter, token: Token): fc.Arbitrary<string> {
  switch (token.kind) {
    case 'literal':
      return fc.constant(Buffer.from(token.text).toString('latin1'));
    case 'choice':
      return fc.constantFrom(...token.of);
    case 'optional':
      return fc.oneof(fc.constant(''), tokensText(filter, token.tokens));
    case 'either':
      return fc.oneof(...token.of.map((tokens) => tokensText(filter, tokens)));
    case 'repeat':
      return fc
        .array(tokensText(filter, token.tokens), { maxLength: Math.min(4, token.max + 1) })
        .map((texts) => texts.join(''));
    case 'span':
      return spanText(token);
    case 'ip':
      return token.port === true
        ? fc.tuple(fc.constantFrom(...addresses), fc.constantFrom(...ports)).map((parts) => parts.join(''))
        : fc.constantFrom(...addresses);
    case 'time':
      return fc.constantFrom(...times);
    case 'text':
      return attackerText(filter);
    case 'end':
      return fc.oneof({ weight: 4, arbitrary: fc.constant('') }, attackerText(filter));
  }
}

/** A message assembled from one pattern, sometimes cut, sometimes with bytes changed. */
export function messageOf(filter: Filter): fc.Arbitrary<Buffer> {
  const whole = fc.constantFrom(...patternsOf(filter)).chain((pattern) => tokensText(filter, pattern.tokens));
  const followed = fc
    .tuple(whole, fc.oneof(fc.constant(''), attackerText(filter)))
    .map(([text, after]) => text + after);
  const cut = fc.tuple(whole, fc.nat(200)).map(([text, at]) => text.slice(0, at));
  const spoilt = fc
    .tuple(whole, fc.nat(200), anyBytes, fc.nat(2))
    .map(([text, at, bytes, removed]) => text.slice(0, at) + bytes + text.slice(at + removed));
  return fc
    .oneof({ weight: 4, arbitrary: whole }, { weight: 2, arbitrary: followed }, cut, spoilt, attackerText(filter))
    .map((text) => Buffer.from(text, 'latin1'));
}
