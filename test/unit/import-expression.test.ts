/**
 * Expressions of fail2ban one by one: which patterns of ours each becomes, and what of one is
 * refused. That a pattern takes no line which its expression does not is in
 * test/property/import.test.ts.
 */
import { describe, expect, test } from 'vitest';
import { translate } from '../../src/import/expression.ts';
import { secondsOf } from '../../src/import/values.ts';

type Expression = string | [expression: string, prefregex: string];

const translated = (given: Expression, counts = true) =>
  typeof given === 'string' ? translate(given, undefined, counts) : translate(...given, counts);

/** An expression, its patterns, and in brackets what is said of them. */
const taken: [Expression, ...string[]][] = [
  ['^login failed from <HOST>$', 'login failed from {ip}{end}'],
  ['^login failed from <HOST>', 'login failed from {ip}'],
  [
    'login failed from <HOST>\\b',
    'login failed from {ip}',
    '{skip}login failed from {ip}{end}',
    '{skip}login failed from {ip} port {number}{end}',
    '{skip}login failed from {ip} port {number} {word}{end}',
    '(anywhere)',
    '(narrower)',
  ],
  ['^\\[<HOST>\\] refused$', '[{ip}] refused{end}'],
  ['^refused \\[<HOST>\\]', 'refused [{ip}]'],
  ['^refused \\(<HOST>\\)', 'refused ({ip})'],
  ['^user (?:a|bc) from <ADDR>\\s*$', 'user a from {ip}{blanks}{end}', 'user bc from {ip}{blanks}{end}'],
  [
    '^user (a|bc)? from <HOST>(?: port \\d+)?$',
    'user a from {ip} port {number}{end}',
    'user a from {ip}{end}',
    'user bc from {ip} port {number}{end}',
    'user bc from {ip}{end}',
    'user  from {ip} port {number}{end}',
    'user  from {ip}{end}',
  ],
  ['^<F-USER>.*</F-USER> from <HOST>$', '{user} from {ip}{end}'],
  ['^for <F-USER>\\S+</F-USER> from <HOST>$', 'for {word} from {ip}{end}'],
  ['^(?i)denied <HOST>$', 'denied {ip}{end}', 'Denied {ip}{end}', '(narrower)'],
  ['^x{3} <HOST>$', 'xxx {ip}{end}'],
  ['^x{2,3} <HOST>$', 'xxx {ip}{end}', 'xx {ip}{end}'],
  ['^\\S+ <HOST>$', '{word} {ip}{end}'],
  ['^\\S* <HOST>$', '{word} {ip}{end}', '{ip}{end}'],
  ['^\\d{3} <HOST>$', '{digit}{digit}{digit} {ip}{end}'],
  ['^[45]\\d\\d <HOST>$', '4{digit}{digit} {ip}{end}', '5{digit}{digit} {ip}{end}'],
  ['^[^"]*" <HOST>$', '{field}" {ip}{end}'],
  ['^.* from <HOST>$', '{skip} from {ip}{end}'],
  ['^.*? from <HOST>$', '{skip} from {ip}{end}'],
  ['^a\\.b\\[\\d+\\]: <HOST>$', 'a.b[{number}]: {ip}{end}'],
  ['^\\w+ <HOST>:<F-PORT/>$', '{word} {ip}:{word}{end}', '(wider)'],
  ['^tab\\t<HOST>$', 'tab\t{ip}{end}'],
  ['^\\x41 <HOST>$', 'A {ip}{end}'],
  ['^<F-MLFID>x</F-MLFID> from <HOST>$', 'x from {ip}{end}'],
  ['^a(?!b) <HOST>$', 'a {ip}{end}', '(not ab)', '(narrower)'],
  ['^(?P<host>\\S+) failed$', '{ip} failed{end}'],
  ['(?:<HOST>|<HOST>)$', '{ip}{end}', '(anywhere)', '(narrower)'],
  ['^a++ <HOST>$', 'aa {ip}{end}', 'a {ip}{end}', '(narrower)'],
  ['^(?#why)a <HOST>$', 'a {ip}{end}'],
  [['^failed from <HOST>$', '^prog\\[\\d+\\]: <F-CONTENT>.+</F-CONTENT>$'], 'prog[{number}]: failed from {ip}{end}'],
];

test.each(taken)('%j is taken', (given, ...expected) => {
  const found = translated(given);
  if (!('patterns' in found)) expect.fail(found.reason);
  expect([
    ...found.patterns,
    ...found.ignore.map((text) => `(not ${text})`),
    ...(found.anywhere ? ['(anywhere)'] : []),
    ...(found.narrower.length > 0 ? ['(narrower)'] : []),
    ...(found.wider.length > 0 ? ['(wider)'] : []),
  ]).toEqual(expected);
});

/** An expression, what of it is refused, and whether it is no failure by itself. */
const refused: [Expression, string, boolean?][] = [
  ['^a\\nb <HOST>$', '\\n'],
  ['^<F-NOFAIL>x</F-NOFAIL> from <HOST>$', '<F-NOFAIL>', true],
  ['^<F-MLFFORGET>x</F-MLFFORGET> from <HOST>$', '<F-MLFFORGET>', true],
  ['^<F-MLFGAINED>x</F-MLFGAINED> from <HOST>$', '<F-MLFGAINED>', true],
  ['^<F-MLFID>x</F-MLFID> failed$', '<F-MLFID>'],
  ['^<SUBNET>$', '<SUBNET>'],
  ['^<CIDR>$', '<CIDR>'],
  ['^<DNS>$', '<DNS>'],
  ['^<F-ID/>$', '<F-ID/>'],
  ['^a<SKIPLINES>b <HOST>$', '<SKIPLINES>'],
  ['^<F-ID>x</F-ID> <HOST>$', '<F-ID>'],
  ['^failed$', ''],
  ['^(?=a)<HOST>$', '(?=…)'],
  ['^(a)\\1 <HOST>$', '\\1'],
  ['^(?<=a)<HOST>$', '(?<=…)'],
  ['^<HOST> and <HOST>$', '{ip} and {ip}{end}'],
  ['^(unclosed <HOST>$', ')'],
  ['^[z-a] <HOST>$', '[z-a'],
  ['^<F-CONTENT>x</F-CONTENT> <HOST>$', 'content'],
  [['failed from <HOST>', '^prog: <F-CONTENT>.+</F-CONTENT> end$'], 'prog: {skip}failed from {ip}{skip} end{end}'],
];

test.each(refused)('%j is refused for %j', (given, construct, bookkeeping = false) => {
  expect(translated(given)).toMatchObject({ construct, bookkeeping });
});

describe('lines that must not count', () => {
  test.each([
    ['^<F-NOFAIL>x</F-NOFAIL> from <HOST>$', 'x from {ip}{end}'],
    ['^failed$', 'failed{end}'],
  ])('%j needs neither a failure nor an address', (given, pattern) => {
    expect(translated(given, false)).toMatchObject({ patterns: [pattern] });
  });
});

test.each([
  ['10', 10],
  ['-1', -1],
  ['- 5', -5],
  ['--1', 1],
  ['1d 12h', 129_600],
  ['60 * 10', 600],
  ['2 * (3 + 4)', 14],
  ['7 / 2', 3],
  ['5 - 8', -3],
  ['10s', 10],
  ['10m', 600],
  ['1.5h', 5_400],
  ['1h30m', 5_400],
  ['3 weeks', 1_814_400],
  ['2mo', 5_259_600],
  ['1y', 31_557_600],
  ['', undefined],
  ['soon', undefined],
  ['1 apple', undefined],
  ['1e3', undefined],
  ['(1', undefined],
])('%j is %s seconds', (text, seconds) => expect(secondsOf(text)).toBe(seconds));
