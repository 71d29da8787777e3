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
  [
    'login failed \\[<HOST>\\b',
    'login failed [{ip}',
    '{skip}login failed [{ip}]{end}',
    '{skip}login failed [{ip}{end}',
    '{skip}login failed [{ip} port {number}{end}',
    '(anywhere)',
    '(narrower)',
  ],
  [
    'login failed \\(from <HOST>\\b',
    'login failed (from {ip}',
    '{skip}login failed (from {ip}){end}',
    '{skip}login failed (from {ip}{end}',
    '{skip}login failed (from {ip} port {number}{end}',
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

/** An expression, its patterns, and what is said of how they differ; or why it is refused. */
const told: [expression: string, ...says: string[]][] = [
  [
    '^(?i)aB <HOST>$',
    'aB {ip}{end}',
    'ab {ip}{end}',
    'Ab {ip}{end}',
    'narrower: capitals count here: the usual spellings are written out',
  ],
  ['^\\d{1,3} <HOST>$', '{digit}{digit}{digit} {ip}{end}', '{digit}{digit} {ip}{end}', '{digit} {ip}{end}'],
  ['^\\d{2,} <HOST>$', '{number} {ip}{end}', 'wider: fewer than 2 digits are taken too'],
  ['^\\d{1,9} <HOST>$', '{number} {ip}{end}', 'wider: any number of digits is taken'],
  ['^\\d* <HOST>$', '{number} {ip}{end}', '{ip}{end}'],
  ['^[0-4]+ <HOST>$', '{number} {ip}{end}', 'wider: any digits are taken, not only those of the class'],
  ['^[0-4] <HOST>$', '0 {ip}{end}', '1 {ip}{end}', '2 {ip}{end}', '3 {ip}{end}', '4 {ip}{end}'],
  ['^\\s <HOST>$', '{ip}{end}'],
  ['^a\\s{2} <HOST>$', 'a   {ip}{end}'],
  ['^a\\s{2,3}b <HOST>$', 'a  {blanks}b {ip}{end}', 'wider: any number of blanks is taken'],
  ['^a\\s{5}b <HOST>$', 'a     {blanks}b {ip}{end}', 'wider: any number of blanks is taken'],
  ['^a\\s{0,3}b <HOST>$', 'a{blanks}b {ip}{end}', 'wider: any number of blanks is taken'],
  ['^a\\s{2,}b <HOST>$', 'a  {blanks}b {ip}{end}'],
  ['^a\\s{2,9}b <HOST>$', 'a  {blanks}b {ip}{end}', 'wider: any number of blanks is taken'],
  ['^a\\s*b <HOST>$', 'a{blanks}b {ip}{end}'],
  ['^a b+ <HOST>$', 'a bb {ip}{end}', 'a b {ip}{end}', 'narrower: "b" is repeated at most once more'],
  ['^a b* <HOST>$', 'a b {ip}{end}', 'a  {ip}{end}', 'narrower: "b" is repeated at most once more'],
  ['^a b{2,5} <HOST>$', 'a bbb {ip}{end}', 'a bb {ip}{end}', 'narrower: "b" is repeated at most once more'],
  ['^. <HOST>$', '. {ip}{end}', 'narrower: "." is taken for the character itself'],
  ['^a.b <HOST>$', 'a.b {ip}{end}', 'narrower: "." is taken for the character itself'],
  ['^x? <HOST>$', 'x {ip}{end}', '{ip}{end}'],
  ['^\\S+x <HOST>$', '{part}x {ip}{end}', 'wider: a run may be empty here; in the expression it may not'],
  ['^[a-z]+ <HOST>$', '{word} {ip}{end}', 'wider: {word} takes bytes that are not in the class'],
  ['^[a-z]+, <HOST>$', '{word}, {ip}{end}', 'wider: {word} takes bytes that are not in the class'],
  ['^\\S+, <HOST>$', '{word}, {ip}{end}', 'narrower: a run ends at the first ","'],
  [
    '^\\S+\\S+ <HOST>$',
    'refused \\S+: two runs side by side: nothing says where the first ends (put a character between them)',
  ],
  ['^"[^"]*" <HOST>$', '"{field}" {ip}{end}'],
  ['^"[^"]+" <HOST>$', '"{field}" {ip}{end}', 'wider: a run may be empty here; in the expression it may not'],
  ['^\\[[^\\]]*x\\] <HOST>$', '[{inside}x] {ip}{end}'],
  [
    '^a [^x]* <HOST>$',
    'refused [^x]*: the text after it may also occur in it (end it with a character that cannot occur in it)',
  ],
  ['^from <HOST>[^x]*', 'from {ip}'],
  ['^[^ ]+ <HOST>$', '{word} {ip}{end}'],
  ['^\\w+ <HOST>$', '{word} {ip}{end}', 'wider: {word} takes bytes that are not in the class'],
  ['^<F-USER>\\S+</F-USER>: <HOST>$', '{word}: {ip}{end}', 'narrower: a run ends at the first ":"'],
  ['^.+ from <HOST>$', '{skip} from {ip}{end}', 'wider: a run may be empty here; in the expression it may not'],
  ['^.*.* from <HOST>$', '{skip} from {ip}{end}'],
  ['^\\s*.* from <HOST>$', '{skip} from {ip}{end}'],
  [
    '^a(?:bc)* <HOST>$',
    'abc {ip}{end}',
    'a {ip}{end}',
    'narrower: a group that may be repeated is taken at most once more',
  ],
  [
    '^a(?:bc)+ <HOST>$',
    'abcbc {ip}{end}',
    'abc {ip}{end}',
    'narrower: a group that may be repeated is taken at most once more',
  ],
  ['^a(?:bc){2} <HOST>$', 'abcbc {ip}{end}'],
  ['^a(?:b|c|d) <HOST>$', 'ab {ip}{end}', 'ac {ip}{end}', 'ad {ip}{end}'],
  ['^a(?:bc|d.*)? <HOST>$', 'abc {ip}{end}', 'ad{skip} {ip}{end}', 'a {ip}{end}'],
  ['^a\\b <HOST>$', 'a {ip}{end}'],
  ['^a\\bb <HOST>$', 'refused : nothing in it can match'],
  ['^\\S+\\b <HOST>$', '{word} {ip}{end}', 'wider: \\b beside a run, or at the end, is not checked'],
  ['^a<HOST>b$', "refused a{ip}b{end}: 'b' can never match after the ip before it, which takes its first byte"],
  ['^<IP4> x$', '{ip} x{end}'],
  ['^<F-ADDR/> x$', '{ip} x{end}'],
  ['^(?P<user>\\S+) <HOST>$', '{word} {ip}{end}'],
  ['^(?P<fid>x) <HOST>$', 'refused (?P<fid>…): it counts something other than an address'],
  ['^<notatag> <HOST>$', '<notatag> {ip}{end}'],
  ['^a<b <HOST>$', 'a<b {ip}{end}'],
  ['^\\u00e9 <HOST>$', 'é {ip}{end}'],
  ['^\\065 <HOST>$', '5 {ip}{end}'],
  ['^é+ <HOST>$', 'éé {ip}{end}', 'é {ip}{end}', 'narrower: a group that may be repeated is taken at most once more'],
  ['^[^\\d] <HOST>$', 'refused […]: one byte of a class (write the bytes that really occur there)'],
  ['^[a\\]b] <HOST>$', '] {ip}{end}', 'a {ip}{end}', 'b {ip}{end}'],
  ['^[]a] <HOST>$', '] {ip}{end}', 'a {ip}{end}'],
  ['^[a-] <HOST>$', '- {ip}{end}', 'a {ip}{end}'],
  ['^(?s)a.* <HOST>$', 'a{skip} {ip}{end}'],
  [
    '^(?i:A)b <HOST>$',
    'Ab {ip}{end}',
    'ab {ip}{end}',
    'narrower: capitals count here: the usual spellings are written out',
  ],
  ['^(?x)a <HOST>$', 'refused (?x): it ignores blanks in the expression (write it without)'],
  ['^\\B <HOST>$', 'refused \\B: a position inside a word'],
  ['^\\q <HOST>$', 'refused \\q: an unknown escape: fail2ban refuses the expression'],
  ['^a{3,2} <HOST>$', 'refused {3,2}: the minimum is larger than the maximum: fail2ban refuses the expression'],
  ['^a{,2} <HOST>$', 'a {ip}{end}', '{ip}{end}', 'narrower: "a" is repeated at most once more'],
  ['^a{x} <HOST>$', 'a{{x}} {ip}{end}'],
  ['^a{} <HOST>$', 'a{{}} {ip}{end}'],
  ['^a) <HOST>$', 'refused ) <HOST>$: a ")" without "("'],
  ['^(?<a>x) <HOST>$', 'refused (?<a>x) : an unknown kind of group'],
  ['^(?P=a) <HOST>$', 'refused (?P=…): it must match earlier text again (write the text itself)'],
  ['^(?(1)a) <HOST>$', 'refused (?(…)…): what matches depends on a group before it (write two expressions)'],
  ['^(?<!a) <HOST>$', 'refused (?<!…): it looks back at earlier text (write that text where it is)'],
  ['^[a <HOST>$', 'refused [: a class is not closed: fail2ban refuses the expression'],
  ['^a\\', 'refused \\: a backslash ends it: fail2ban refuses the expression'],
  ['^a[b-\\d] <HOST>$', 'refused [b-\\d: a range without end'],
  [
    '^a(?!b|c) <HOST>$',
    'a {ip}{end}',
    'not ab',
    'not ac',
    'narrower: no pattern of the filter counts a line that holds what (?!…) forbids',
  ],
  ['^[abcdefghijklm] <HOST>$', 'refused […]: one byte of a class (write the bytes that really occur there)'],
  [
    '^a (?:b (?:c|d)|e)? from <HOST>$',
    'a b c from {ip}{end}',
    'a b d from {ip}{end}',
    'a e from {ip}{end}',
    'a  from {ip}{end}',
  ],
];

test.each(told)('%s says how it differs', (expression, ...says) => {
  const found = translate(expression, undefined, true);
  if ('reason' in found) {
    const { construct, reason, hint } = found;
    return expect([`refused ${construct}: ${reason}${hint && ` (${hint})`}`]).toEqual(says);
  }
  expect([
    ...found.patterns,
    ...found.ignore.map((text) => `not ${text}`),
    ...found.narrower.map((text) => `narrower: ${text}`),
    ...found.wider.map((text) => `wider: ${text}`),
  ]).toEqual(says);
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
