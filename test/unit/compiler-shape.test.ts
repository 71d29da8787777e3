/** What the compiler computes about tokens, and whether a segment can be read in two ways. */
import { describe, expect, test } from 'vitest';
import { secondReading } from '../../src/compiler/ambiguity.ts';
import { bitmapOf, byteSet, bytesOf, complement, rangesOf } from '../../src/compiler/bytes.ts';
import type { Filter, Pattern, Token } from '../../src/compiler/pattern.ts';
import { pivotOf } from '../../src/compiler/pivot.ts';
import {
  capturesOf,
  commonPrefix,
  encodePrefixes,
  flagBits,
  flagsOf,
  maximumLength,
  minimumLength,
  normalise,
  pascalCase,
  prefixesOf,
  segmentsOf,
} from '../../src/compiler/shape.ts';

const literal = (text: string): Token => ({ kind: 'literal', text });
const choice = (...of: string[]): Token => ({ kind: 'choice', of });
const optional = (...tokens: Token[]): Token => ({ kind: 'optional', tokens });
const either = (...of: Token[][]): Token => ({ kind: 'either', of });
const digits: Token = { kind: 'span', of: { name: 'digit' }, min: 2, max: 5 };
const text: Token = { kind: 'text', from: 'right', capture: 'user' };
const run = (bytes: string): Token => ({ kind: 'span', of: { bytes }, min: 1, max: 5 });
const ip: Token = { kind: 'ip' };
const ipPort: Token = { kind: 'ip', port: true };
const time: Token = { kind: 'time' };
const end: Token = { kind: 'end' };

describe('bytes', () => {
  test('named classes hold what C and the contract say', () => {
    const members = (name: 'space' | 'base64' | 'hex' | 'word'): string =>
      byteSet({ name })
        .map((within, byte) => (within ? String.fromCharCode(byte) : ''))
        .join('');
    expect(members('space')).toBe('\t\n\v\f\r ');
    expect(members('hex')).toBe('0123456789ABCDEFabcdef');
    expect(members('word')).toBe('0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ_abcdefghijklmnopqrstuvwxyz');
    expect(members('base64')).toBe('+/0123456789=ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz');
    expect(byteSet({ name: 'nonspace' })).toEqual(complement(byteSet({ name: 'space' })));
    expect(byteSet({ name: 'any' }).every(Boolean)).toBe(true);
  });

  test('a class may join a name and bytes, and be inverted as a whole', () => {
    expect(rangesOf(byteSet({ name: 'digit', bytes: '.:' }))).toEqual([
      [0x2e, 0x2e],
      [0x30, 0x3a],
    ]);
    expect(rangesOf(byteSet({ name: 'digit', bytes: '.', not: true }))).toEqual([
      [0x00, 0x2d],
      [0x2f, 0x2f],
      [0x3a, 0xff],
    ]);
    expect(rangesOf(byteSet({ bytes: '' }))).toEqual([]);
  });

  test('a bitmap has bit n of word w for byte 32 w + n', () => {
    expect(bitmapOf(byteSet({ bytes: ' ' }))).toEqual([0, 1, 0, 0, 0, 0, 0, 0]);
    expect(bitmapOf(byteSet({ bytes: '\x7f' }))).toEqual([0, 0, 0, 1 << 31, 0, 0, 0, 0]);
  });

  test('literals are UTF-8', () => {
    expect([...bytesOf('é')]).toEqual([0xc3, 0xa9]);
  });
});

describe('shape', () => {
  test('adjacent literals become one, inside too', () => {
    expect(
      normalise([literal('a'), choice('b'), literal(''), literal('c'), optional(literal('d'), choice('e')), ip]),
    ).toEqual([literal('abc'), optional(literal('de')), ip]);
    expect(normalise([either([literal('a'), literal('b')], [choice('c', 'd')])])).toEqual([
      either([literal('ab')], [choice('c', 'd')]),
    ]);
  });

  test('the fewest bytes a list can take', () => {
    expect(
      minimumLength([literal('é'), choice('abc', 'ab'), optional(literal('x')), digits, ip, time, text, end]),
    ).toBe(8);
    expect(minimumLength([either([literal('abc')], [literal('ab')])])).toBe(2);
    expect(minimumLength([{ kind: 'repeat', max: 3, tokens: [literal('x')] }])).toBe(0);
  });

  test.each<[what: string, tokens: Token[], bytes: number]>([
    ['literals and choices', [literal('é'), choice('ab', 'abc'), end], 5],
    ['an optional', [optional(literal('x'), digits), digits], 11],
    ['an either', [either([literal('ab')], [literal('abc')], [])], 3],
    ['a repeat', [{ kind: 'repeat', max: 3, tokens: [literal('ab')] }], 6],
    ['an address, brackets included', [ip], 257],
    ['an address with its port', [ipPort], 263],
    ['a timestamp', [literal('a'), time], Number.POSITIVE_INFINITY],
    ['a text', [literal('a'), text, end], Number.POSITIVE_INFINITY],
  ])('the most bytes of %s', (_what, tokens, bytes) => {
    expect(maximumLength(tokens)).toBe(bytes);
  });

  test('a pattern is cut at its texts', () => {
    expect(segmentsOf([literal('a'), text, literal('b'), ip, text, end])).toEqual({
      head: [literal('a')],
      searched: [
        { text, segment: [literal('b'), ip] },
        { text, segment: [end] },
      ],
    });
  });

  test('what matches begin with', () => {
    expect(prefixesOf([literal('ab'), choice('c', 'd'), literal('e'), ip, literal('f')])).toEqual(['abce', 'abde']);
    expect(prefixesOf([optional(literal('a')), literal('b')])).toEqual(['b', 'ab']);
    expect(prefixesOf([optional(literal('a'), ip), literal('b')])).toEqual(['b', 'a']);
    expect(prefixesOf([either([literal('a'), digits], [literal('b')]), literal('c')])).toEqual(['a', 'bc']);
    expect(prefixesOf([ip])).toEqual(['']);
    expect(prefixesOf([literal('x'.repeat(30))])).toEqual(['x'.repeat(24)]);
    expect(prefixesOf([literal('é')])).toEqual(['\u00c3\u00a9']);
    const wide = choice(...'abcdefghi');
    expect(prefixesOf([wide, wide]).sort()).toEqual([...'abcdefghi']);
    expect(prefixesOf([wide, wide, literal('z')]).sort()).toEqual([...'abcdefghi']);
  });

  test('small helpers', () => {
    expect(commonPrefix(['abc', 'abd', 'ab'])).toBe('ab');
    expect(commonPrefix([])).toBe('');
    expect(pascalCase('nginx-http-auth2')).toBe('NginxHttpAuth2');
    expect(encodePrefixes(['bare', 'syslog', 'time'])).toBe(3 | (1 << 2) | (2 << 4));
    expect([...capturesOf([either([ip], [optional(text)]), time])].sort()).toEqual(['address', 'time', 'user']);
  });
});

describe('pivots', () => {
  const span = (min: number, max: number): Token => ({ kind: 'span', of: { name: 'digit' }, min, max });
  test.each<[what: string, segment: Token[], pivot: ReturnType<typeof pivotOf>]>([
    ['the only literal', [literal(' from '), ip, end], { text: ' from ', least: 0, most: 0 }],
    ['none without an end', [literal(' from '), ip], null],
    ['none without a literal', [choice('=', ';'), ip, end], null],
    ['none that may occur again', [literal('7'), span(1, 3), end], null],
    ['a literal behind others', [choice('a', 'bcd'), literal(';'), end], { text: ';', least: 1, most: 3 }],
    ['the longest', [literal('='), span(2, 2), literal(' by '), end], { text: ' by ', least: 3, most: 3 }],
    ['the first of equal length', [literal('='), span(2, 2), literal(';'), end], { text: '=', least: 0, most: 0 }],
    [
      'the one with the fewest places',
      [literal('='), span(1, 2), literal('by'), end],
      { text: '=', least: 0, most: 0 },
    ],
    ['one with many places', [span(1, 512), literal(';'), end], { text: ';', least: 1, most: 512 }],
    ['none with too many', [span(1, 513), literal(';'), end], null],
  ])('%s', (_what, segment, pivot) => {
    expect(pivotOf(segment)).toEqual(pivot);
  });
});

describe('second readings', () => {
  const port = [literal(' port '), { ...digits, min: 1 }];
  const rows: [string, Token[], Token[], boolean][] = [
    ['a firm segment', [literal(' from '), ip, ...port, end], [], false],
    ['nothing closes it', [literal(' from '), ip, ...port], [], true],
    ['a short delimiter, firm', [literal(' '), ip, ...port, end], [], false],
    ['a short delimiter, optional port', [literal(' '), ip, optional(...port), end], [], true],
    ['a repeated part', [literal('='), ip, { kind: 'repeat', max: 2, tokens: [literal('='), ip] }, end], [], true],
    [
      'a part that cannot hold it',
      [literal('='), ip, { kind: 'repeat', max: 2, tokens: [literal(';'), ip] }, end],
      [],
      false,
    ],
    [
      'alternatives',
      [either([literal(' from ')], [literal(' by ')]), ip, optional(literal(' by '), ip), end],
      [],
      true,
    ],
    ['text behind, free', [literal(' from '), ip, literal(': ')], [text, end], true],
    [
      'text behind, without a byte of it',
      [literal(' from '), ip, literal(': ')],
      [{ kind: 'text', from: 'left', without: { bytes: ' ' } }, end],
      false,
    ],
    ['a timestamp behind', [literal(' from '), ip, literal(' at '), time, end], [], true],
    ['brackets', [literal('x'), ip, literal('x'), end], [], false],
    ['a choice', [choice(' from ', ' by '), ip, optional(choice(' for ', ' by '), run('gh')), end], [], true],
    ['a firm choice', [choice(' from ', ' by '), ip, optional(choice(' for ', ' to '), run('gh')), end], [], false],
    ['a word where an address belongs', [literal('='), ip, optional(literal(' ='), run('gh')), end], [], true],
    ['a dash where an address belongs', [literal('='), ip, optional(literal(' ='), run('-')), end], [], true],
    ['no word where an address belongs', [literal('='), ip, optional(literal(' ='), run('~')), end], [], false],
    ['one byte where an address belongs', [literal('='), ip, optional(literal(' =h')), end], [], true],
    ['no byte where an address belongs', [literal('='), ip, optional(literal(' =')), end], [], false],
    ['a delimiter that stands in an IPv4 address', [literal('.'), ip, end], [], true],
    ['a delimiter that stands in an IPv6 address', [literal(':'), ip, end], [], true],
    ['a delimiter that stands in host names', [literal('-'), ip, end], [], false],
    ['an address in brackets', [literal('='), ip, optional(literal(' =['), run('gh'), literal(']')), end], [], true],
    ['an address in one bracket', [literal('='), ip, optional(literal(' =['), run('gh')), end], [], false],
    ['a run of letters cut short', [literal('='), ip, either([literal(' =7z!')], [literal('z!')]), end], [], false],
    ['a run with a dash cut short', [literal('='), ip, either([literal(' =7-!')], [literal('-!')]), end], [], false],
    ['a run that ends', [literal('='), ip, either([literal(' =7;!')], [literal(';!')]), end], [], true],
    ['a port', [literal('='), ipPort, optional(literal(' ='), run('gh'), literal(':'), digits), end], [], true],
    ['no port', [literal('='), ipPort, optional(literal(' ='), run('gh')), end], [], false],
    ['a port of letters', [literal('='), ipPort, optional(literal(' ='), run('gh'), literal(':gh')), end], [], false],
    ['a delimiter no timestamp holds', [literal('<'), ip, literal(' '), time, end], [], false],
    [
      'two ways through nothing',
      [literal('='), ip, either([{ kind: 'repeat', max: 2, tokens: [literal(';')] }], []), literal('!'), end],
      [],
      false,
    ],
    ['a timestamp behind, and more', [literal(' from '), ip, literal(' at '), time, literal('~'), end], [], true],
    ['a timestamp behind, and a letter', [literal(' from '), ip, literal(' at '), time, literal('e'), end], [], true],
    [
      'text behind, without another byte',
      [literal(' from '), ip, literal(': ')],
      [{ kind: 'text', from: 'left', without: { bytes: ';' } }, end],
      true,
    ],
    [
      'text behind, without all but some bytes',
      [literal(' from '), ip, literal(': ')],
      [{ kind: 'text', from: 'left', without: { bytes: 'from: 1', not: true } }, end],
      true,
    ],
  ];
  test.each(rows)('%s', (_what, segment, rest, twice) => {
    expect(secondReading(segment, rest) !== null).toBe(twice);
  });

  test('what an example shows is printable, a blank, or asked for', () => {
    const anything: Token = { kind: 'span', of: { name: 'any' }, min: 1, max: 9 };
    const [before, again] = secondReading([literal('\t'), ip, literal(' '), anything, end], []) ?? ['', ''];
    expect(before).toMatch(/^\t[0-9a-f:.]+ [!-~]*$/);
    expect(again).toMatch(/^\t[!-~]+ [!-~]+$/);
  });

  test('the example is a line that has both readings', () => {
    const [before, again] = secondReading([literal(' '), ip, optional(...port), end], []) ?? ['', ''];
    expect(before + again).toMatch(/^ [0-9a-f.:]+ port [0-9]+$/i);
    expect(again).toMatch(/^ [^ ]+$/);
  });

  test('host names count where they are asked for', () => {
    const segment = [literal('x'), ip, literal(' '), end];
    expect(secondReading(segment, [])).toBeNull();
    expect(secondReading(segment, [], true)).not.toBeNull();
  });
});

describe('a pattern takes whole lines only', () => {
  const pattern = (tokens: Token[], more: Partial<Pattern> = {}): Pattern => ({
    name: 'x',
    tokens,
    sample: '',
    counter: '',
    ...more,
  });
  const isWhole = (tokens: Token[], before: Pattern[] = [], ignore: Pattern[] = []): boolean => {
    const last = pattern(tokens);
    const filter: Filter = { name: 'test', about: '', prefixes: ['bare'], ignore, patterns: [...before, last] };
    return (flagsOf(filter, last, false) & flagBits.whole) !== 0;
  };
  const fixed = [literal('no '), ip, literal(' for '), text];
  const left = { ...text, from: 'left' as const };
  const from = [literal('no '), ip, literal(' for '), left, literal(' as ')];

  test.each<[why: string, wanted: boolean, tokens: Token[], before?: Pattern[], ignore?: Pattern[]]>([
    ['its end is its own', false, [literal('no '), ip, literal(', ')]],
    ['it has no address', false, [literal('no '), digits]],
    ['its text ends at the first place', false, from],
    ['it reads the end', true, [literal('no '), ip, literal('!'), end]],
    ['an alternative reads the end', true, [literal('no '), ip, literal('!'), either([literal('a')], [end])]],
    ['what may be there reads the end', true, [literal('no '), ip, literal('!'), optional(literal('a'), end)]],
    ['a round reads the end', true, [literal('no '), ip, literal('!'), { kind: 'repeat', max: 2, tokens: [end] }]],
    ['its text is looked for from the end', true, fixed],
    ['nothing ends its address', true, [literal('no '), ip]],
    ['nothing ends its port', true, [literal('no '), ipPort, optional(literal('!'))]],
    ['one before it charges the same address', false, from, [pattern([...from.slice(0, 3), left, literal(' at ')])]],
    ['one before it charges another address', true, from, [pattern([literal('no '), left, literal(' '), ip])]],
    ['one before it charges nobody', true, from, [pattern(from, { effect: { kind: 'context' } })]],
    ['one before it begins otherwise', false, from, [pattern([literal('yes '), left, literal(' '), ip])]],
    ['one before it is decided by then', false, from, [pattern([literal('no '), digits, literal(' '), ip])]],
    ['it may be ignored for what comes late', true, from, [], [pattern([literal('no '), left, literal('test')])]],
    ['it is ignored for what comes early', false, from, [], [pattern([literal('no 198.51.100.')])]],
    ['it may be ignored for how it ends', true, from, [], [pattern([literal('no '), digits, end])]],
  ])('%s: %s', (_why, wanted, tokens, before, ignore) => {
    expect(isWhole(tokens, before, ignore)).toBe(wanted);
  });
});
