/**
 * `[[filter]]`: what each capture means, and every way in which a table is refused, with line,
 * column, reason and hint.
 */
import { readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import type { Token } from '../../src/compiler/pattern.ts';
import { type Compiled, compileConfig, type Surroundings } from '../../src/config/compile.ts';
import { patternCharactersMax } from '../../src/config/limits.ts';
import { tryLines } from '../../src/config/load.ts';
import { captureNames, type PatternText, parsePattern } from '../../src/config/pattern-text.ts';
import { ConfigError, formatProblem } from '../../src/config/problem.ts';
import { filtersMax, lineBytesMax, programBytesMax } from '../../src/limits.ts';

const surroundings: Surroundings = { filters: [{ name: 'sshd', modes: [] }], groupId: () => 0, tryLines };

function compile(text: string, around = surroundings): Compiled {
  return compileConfig(text, 'test.toml', around);
}

function complaints(text: string, around = surroundings): string[] {
  try {
    compile(text, around);
  } catch (error) {
    if (error instanceof ConfigError) return error.problems.map((problem) => formatProblem('', problem).slice(1));
    throw error;
  }
  return [];
}

/** One filter whose pattern is on line 3 and begins in column 12. */
const withPattern = (pattern: string): string => `[[filter]]\nname = "own"\npattern = '''${pattern}'''`;
const column = 14;

describe('captures', () => {
  const nonspace = { name: 'nonspace' };
  const table: [text: string, tokens: unknown[]][] = [
    ['a {ip}', [{ kind: 'literal', text: 'a ' }, { kind: 'ip' }]],
    [
      'at {timestamp} {ip}',
      [{ kind: 'literal', text: 'at ' }, { kind: 'time' }, { kind: 'literal', text: ' ' }, { kind: 'ip' }],
    ],
    ['{ip}{end}', [{ kind: 'ip' }, { kind: 'end' }]],
    ['{ip} {skip}', [{ kind: 'ip' }, { kind: 'literal', text: ' ' }]],
    ['{ip} {user}', [{ kind: 'ip' }, { kind: 'literal', text: ' ' }, { kind: 'text', from: 'right', capture: 'user' }]],
    [
      '{user} {ip} {user} x',
      [
        { kind: 'text', from: 'right', capture: 'user' },
        { kind: 'literal', text: ' ' },
        { kind: 'ip' },
        { kind: 'literal', text: ' ' },
        { kind: 'text', from: 'left', capture: 'user' },
        { kind: 'literal', text: ' x' },
      ],
    ],
    [
      '{skip} {ip} {skip}{end}',
      [
        { kind: 'text', from: 'right' },
        { kind: 'literal', text: ' ' },
        { kind: 'ip' },
        { kind: 'literal', text: ' ' },
        { kind: 'text', from: 'left' },
        { kind: 'end' },
      ],
    ],
    [
      '{word} {ip}',
      [{ kind: 'span', of: nonspace, min: 1, max: lineBytesMax }, { kind: 'literal', text: ' ' }, { kind: 'ip' }],
    ],
    [
      '{word},{ip}',
      [
        { kind: 'span', of: { name: 'space', bytes: ',', not: true }, min: 1, max: lineBytesMax },
        { kind: 'literal', text: ',' },
        { kind: 'ip' },
      ],
    ],
    [
      '{ip} {word}',
      [{ kind: 'ip' }, { kind: 'literal', text: ' ' }, { kind: 'span', of: nonspace, min: 1, max: lineBytesMax }],
    ],
    [
      '"{field}" {ip}',
      [
        { kind: 'literal', text: '"' },
        { kind: 'span', of: { bytes: '"', not: true }, min: 0, max: lineBytesMax },
        { kind: 'literal', text: '" ' },
        { kind: 'ip' },
      ],
    ],
    [
      '{ip}:{number}',
      [{ kind: 'ip' }, { kind: 'literal', text: ':' }, { kind: 'span', of: { name: 'digit' }, min: 1, max: 20 }],
    ],
    ["a{{b}}{'.*'}{'{'} ü\t{ip}", [{ kind: 'literal', text: 'a{b}.*{ ü\t' }, { kind: 'ip' }]],
    [
      '{digit}{digit}:{digit} {ip}',
      [
        { kind: 'span', of: { name: 'digit' }, min: 2, max: 2 },
        { kind: 'literal', text: ':' },
        { kind: 'span', of: { name: 'digit' }, min: 1, max: 1 },
        { kind: 'literal', text: ' ' },
        { kind: 'ip' },
      ],
    ],
    [
      '{blanks}{digit}.{ip}',
      [
        { kind: 'span', of: { name: 'space' }, min: 0, max: lineBytesMax },
        { kind: 'span', of: { name: 'digit' }, min: 1, max: 1 },
        { kind: 'literal', text: '.' },
        { kind: 'ip' },
      ],
    ],
    [
      'a:{blanks}{ip}',
      [
        { kind: 'literal', text: 'a:' },
        { kind: 'span', of: { name: 'space' }, min: 0, max: lineBytesMax },
        { kind: 'ip' },
      ],
    ],
    [
      '{part}, {ip} {part};',
      [
        { kind: 'text', from: 'right', without: { name: 'space' } },
        { kind: 'literal', text: ', ' },
        { kind: 'ip' },
        { kind: 'literal', text: ' ' },
        { kind: 'text', from: 'left', without: { name: 'space' } },
        { kind: 'literal', text: ';' },
      ],
    ],
    ['{ip} {part}', [{ kind: 'ip' }, { kind: 'literal', text: ' ' }]],
    ...(
      [
        ['"', '"'],
        ["'", "'"],
        ['[', ']'],
        ['(', ')'],
        ['<', '>'],
      ] as const
    ).map(([open, close]): [string, unknown[]] => [
      `()${open}{inside}${close} {ip}`,
      [
        { kind: 'literal', text: `()${open}` },
        { kind: 'text', from: 'right', without: { bytes: close } },
        { kind: 'literal', text: `${close} ` },
        { kind: 'ip' },
      ],
    ]),
    [
      '{ip} ["a"] {word} [x {inside}] (',
      [
        { kind: 'ip' },
        { kind: 'literal', text: ' ["a"] ' },
        { kind: 'span', of: nonspace, min: 1, max: lineBytesMax },
        { kind: 'literal', text: ' [x ' },
        { kind: 'text', from: 'left', without: { bytes: ']' } },
        { kind: 'literal', text: '] (' },
      ],
    ],
    [
      '{word}é {field}\x7f{ip}',
      [
        { kind: 'span', of: nonspace, min: 1, max: lineBytesMax },
        { kind: 'literal', text: 'é ' },
        { kind: 'span', of: { bytes: '\x7f', not: true }, min: 0, max: lineBytesMax },
        { kind: 'literal', text: '\x7f' },
        { kind: 'ip' },
      ],
    ],
    ['a ^ $5 $ {ip}', [{ kind: 'literal', text: 'a ^ $5 $ ' }, { kind: 'ip' }]],
    [`{ip}${'x'.repeat(patternCharactersMax - 4)}`, [{ kind: 'ip' }, { kind: 'literal', text: 'x'.repeat(1_020) }]],
  ];

  test.each(table)('%s', (text, tokens) => {
    expect((parsePattern(text) as PatternText).tokens).toEqual(tokens as Token[]);
  });

  test('each token knows its place', () => {
    expect(parsePattern("{{ {word} {'x'}y{ip}{end}")).toMatchObject({ places: [0, 3, 9, 16, 20] });
  });
});

/**
 * What operators bring from fail2ban, and what is not one of our captures: text, column in it (from
 * 0), reason, hint.
 */
const foreign: [text: string, at: number, reason: string, hint: string][] = [
  ['from <HOST>', 5, "fail2ban's tag for the address", '{ip}'],
  ['from <ADDR>', 5, "fail2ban's tag for the address", '{ip}'],
  ['for <F-USER>', 4, "fail2ban's tag for the user", '{user}'],
  ['x</F-USER>', 1, "fail2ban's tag for the user", '{user}'],
  ['<F-MLFID>', 0, "one of fail2ban's tags", '{skip}'],
  ['a<SKIPLINES>b', 1, 'one line', 'names the address'],
  ['%(__prefix_line)sx', 0, 'an interpolation', 'log_tag'],
  ['^Failed {ip}', 0, 'not regular expressions', 'leave ^ out'],
  ['Failed {ip}$', 11, 'not regular expressions', 'write {end}'],
  ['a (?:b|c) {ip}', 2, 'no groups', 'a pattern for each case'],
  ['a (b|c)? {ip}', 2, 'no alternation', 'a pattern for each case'],
  ['(?P<user>x)', 0, 'a named group', 'one of the captures'],
  ['(?!x)', 0, 'no look-around', '`ignore` patterns'],
  ['(?<=x)', 0, 'no look-around', '`ignore` patterns'],
  ['(?i)x', 0, 'no flags', 'capitals'],
  ['a .* {ip}', 2, 'not regular expressions', '{skip}'],
  ['a .+? {ip}', 2, 'not regular expressions', '{skip}'],
  ['a \\d+ {ip}', 2, 'not regular expressions', "{number}, or {'\\d+'}"],
  ['a \\S+ {ip}', 2, 'not regular expressions', '{word}'],
  ['a\\s*{ip}', 1, 'not regular expressions', 'a blank'],
  ['a\\b {ip}', 1, 'not regular expressions', 'nothing'],
  ['a\\[1\\] {ip}', 1, 'no escapes', 'alone'],
  ['a\\{ {ip}', 1, 'no escapes', '{{'],
  ['[^ ]+ {ip}', 0, 'no classes', '{word}'],
  ['[0-9]{3} {ip}', 0, 'no classes', '{number}'],
  ['(x)? {ip}', 2, 'no quantifiers', 'a pattern for each case'],
  ['a{1,3} {ip}', 1, 'no repetition', '{number}'],
  ['a {adress}', 2, 'no capture {adress}', 'did you mean {ip}?'],
  ['a {IP}', 2, 'no capture {IP}', 'did you mean {ip}?'],
  ['a {time} {ip}', 2, 'no capture {time}', 'did you mean {timestamp}?'],
  ['a {zzzzzzzzzz}', 2, 'no capture', 'the captures are {ip} {user}'],
  ['a {ip', 2, 'not closed', '{{'],
  ["a {'x", 2, 'not closed', "{'text'}"],
  ["a {''} {ip}", 2, 'is empty', ''],
  ['a } {ip}', 2, 'without "{"', '}}'],
  ['a {end} {ip}', 7, 'follows {end}', 'put {end} last'],
  ['{field}{ip}', 0, 'where {field} ends', '{word}'],
  ['a {inside} {ip}', 2, 'no quote or bracket is open before {inside}', 'write {skip} for any text'],
  ['[a] "b" {inside}" {ip}', 8, 'no quote or bracket is open', 'write {skip}'],
  ['{inside} "{ip}', 0, 'no quote or bracket is open', 'write {skip}'],
  ['a {x3} {ip}', 2, 'no capture {x3}', ''],
  ['a {3x} {ip}', 2, 'no capture {3x}', ''],
  ['a {  ip  }', 2, 'no capture {  ip  }', 'did you mean {ip}?'],
  ['a { HOST }', 2, 'no capture { HOST }', 'did you mean {ip}?'],
  ['a {*} {ip}', 2, 'no capture {*}', 'did you mean {skip}?'],
  ['%(__prefix_line_of_logs)s', 0, 'an interpolation', "or {'…'} where"],
  ['%(__prefix_line_of_log)s', 0, 'an interpolation', "or {'%(__prefix_line_of_log)s'} where"],
  ["[^'}] {ip}", 0, 'no classes', "or {'…'} where"],
  ['{field}abc {ip}', 0, 'where {field} ends', '{word}'],
  ['', 0, 'empty', ''],
  ['{skip}', 0, 'empty', ''],
  [`{ip}${'x'.repeat(patternCharactersMax)}`, patternCharactersMax, 'longer than', ''],
];

test.each(foreign)('%s is refused', (text, at, reason, hint) => {
  const misfit = parsePattern(text);
  expect(misfit).toMatchObject({ at, reason: expect.stringContaining(reason) });
  if (hint !== '') expect(misfit).toMatchObject({ hint: expect.stringContaining(hint) });
  if (text === '') return;
  expect(complaints(withPattern(text))).toEqual([
    expect.stringMatching(new RegExp(`^3:${column + at}: filter\\[0\\]\\.pattern: `)),
  ]);
});

/** What the compiler refuses, with the place of the token at fault. */
const unsafe: [text: string, at: number, reason: string, hint: string][] = [
  ['user {user} from {ip}', 5, 'attacker text could reach the address', 'close the pattern with {end}'],
  ['user {skip} from {ip} bye', 5, 'attacker text could reach the address', '{word} or {field}'],
  ['user {user}{ip}', 5, 'attacker text directly beside ip', 'at least a blank'],
  ['user {skip}{user} {ip}', 5, 'two texts side by side', 'at least a blank'],
  ['port {number}{ip}', 13, 'unanchored', 'at least a blank'],
  ['port {number}5 {ip}', 13, 'can never match', 'cannot occur in it'],
  ['{ip}x', 4, 'can never match', 'cannot occur in it'],
  ['{skip}x{ip}{end}', 7, 'tried again', 'such as a blank'],
  ['{ip} and {ip}', 9, 'two addresses', '{word}'],
  ['{timestamp} {timestamp} {ip}', 12, 'two timestamps', '{word}'],
  ['{user} as {user} from {ip}{end}', 10, 'two users', '{word}'],
  ['{ip} {skip} a {skip} b {skip} c {skip} d {skip}{end}', 41, 'more than 4 texts', '{word}'],
  ['no address', 0, 'without an address', 'write {ip}'],
];

test.each(unsafe)('%s is unsafe', (text, at, reason, hint) => {
  const found = complaints(withPattern(text));
  expect(found).toEqual([expect.stringMatching(new RegExp(`^3:${column + at}: filter\\[0\\]\\.pattern: `))]);
  expect(found[0]).toContain(reason);
  expect(found[0]).toContain(hint);
});

test.each([
  'user {user} from {ip}{end}',
  'user {user} from {ip} port {number}{end}',
  'user {word} from {ip} bye',
  'user "{field}" from {ip}, agent "{skip}"',
  '{skip} from {ip}{end}',
  'reject from {ip} at {timestamp} invalid auth',
])('%s is safe', (text) => {
  expect(complaints(withPattern(text))).toEqual([]);
});

describe('tables', () => {
  const good = '[[filter]]\nname = "own"\npattern = "a {ip}"\n';
  test.each<[what: string, text: string, complaint: string]>([
    [
      'a built-in name',
      '[[filter]]\nname = "sshd"\npattern = "a {ip}"',
      '2:8: filter[0].name: "sshd" is a built-in filter (choose another name, such as "my-sshd")',
    ],
    [
      'a name twice',
      `${good}${good}`,
      '5:8: filter[1].name: "own" names an earlier filter too (one filter may hold several `patterns`)',
    ],
    ['no name', '[[filter]]\npattern = "a {ip}"', '1:3: filter[0].name: is missing (write name = "my-service")'],
    [
      'a name with a colon',
      '[[filter]]\nname = "a:b"',
      '2:8: filter[0].name: "a:b" is not a usable name (use letters, digits, "_", "-" and ".", a letter or digit first)',
    ],
    ['no pattern', '[[filter]]\nname = "own"', '1:3: filter[0].pattern: is missing (write pattern = "… {ip} …")'],
    [
      'an empty list',
      '[[filter]]\nname = "own"\npatterns = []',
      '3:12: filter[0].patterns: expected at least one pattern, found an empty list',
    ],
    [
      'both keys',
      `${good}patterns = ["b {ip}"]`,
      '4:12: filter[0].patterns: is set beside pattern (put them all into patterns)',
    ],
    [
      'a number',
      '[[filter]]\nname = "own"\npatterns = ["a {ip}", 3]',
      '3:23: filter[0].patterns[1].pattern: expected a string, found the integer 3',
    ],
    [
      'a table without text',
      '[[filter]]\nname = "own"\npatterns = [{ name = "x" }]',
      '3:13: filter[0].patterns[0].pattern: is missing (write pattern = "…")',
    ],
    [
      'an unknown key in it',
      '[[filter]]\nname = "own"\npatterns = [{ patern = "a {ip}" }]',
      '3:15: filter[0].patterns[0].patern: unknown key (did you mean "pattern"?)',
    ],
    [
      'a bad pattern name',
      '[[filter]]\nname = "own"\npatterns = [{ name = "A b", pattern = "a {ip}" }]',
      '3:22: filter[0].patterns[0].name: a name is lower-case words joined by hyphens',
    ],
    [
      'a pattern name twice',
      '[[filter]]\nname = "own"\npatterns = [{ name = "pattern-2", pattern = "a {ip}" }, "b {ip}"]',
      '1:3: filter[0]: two patterns are called pattern-2',
    ],
    [
      'a shadowed pattern',
      '[[filter]]\nname = "own"\npatterns = ["a {ip}", "a {ip} b"]',
      '3:24: filter[0].patterns[1]: never reached: pattern-1, which comes before it, takes all its lines (put it before the other, or leave it out)',
    ],
    [
      'a regular expression to ignore',
      `${good}ignore = ["x", 'b\\d']`,
      "4:18: filter[0].ignore[1]: patterns are not regular expressions (write {number}, or {'\\d'} where the line really says so)",
    ],
    [
      "fail2ban's key",
      `${good}failregex = "x"`,
      '4:1: filter[0].failregex: unknown key (write patterns = ["… {ip} …"]: patterns are not regular expressions)',
    ],
    ['a key without neighbour', `${good}constructor = "x"`, '4:1: filter[0].constructor: unknown key'],
    ['one table', '[filter]\nname = "own"', '1:2: filter: expected a list of tables, found a table (write [[filter]])'],
    ['a key elsewhere', 'log_tag = "x"', '1:1: log_tag: unknown key (it belongs in [[filter]])'],
    [
      'a tag with its pid',
      `${good}log_tag = "app[1]:"`,
      '4:11: filter[0].log_tag: "app[1]:" is more than the syslog identifier (leave out the pid and the colon)',
    ],
    [
      'a tag with a blank',
      `${good}log_tag = ["a", "a b"]`,
      '4:17: filter[0].log_tag[1]: "a b" is not a syslog identifier (it has no blanks)',
    ],
    ['a star inside', `${good}log_tag = "a*b"`, '4:11: filter[0].log_tag: "a*b" holds a "*" that is not at its end'],
    [
      'an empty tag',
      `${good}log_tag = ""`,
      '4:11: filter[0].log_tag: a syslog identifier is empty (leave log_tag out for lines without one)',
    ],
    [
      'two lines as a sample',
      `${good}sample = "a\\nb"`,
      '4:10: filter[0].sample: expected one line, found a line end in it (write a list of lines)',
    ],
    [
      'a sample that does not match',
      `${good}sample = ["a 192.0.2.7", "b 192.0.2.7"]`,
      '4:26: filter[0].sample[1]: no pattern takes this line',
    ],
    [
      'a sample with a host name',
      `${good}sample = "a example.org"`,
      '4:10: filter[0].sample: the text at {ip} is a host name, and host names are never resolved',
    ],
    [
      'a sample without an address',
      `${good}sample = "a 999.1.1.1"`,
      '4:10: filter[0].sample: the text at {ip} is not an address',
    ],
    [
      'a sample that is ignored',
      `${good}ignore = "a 192"\nsample = "a 192.0.2.7"`,
      '5:10: filter[0].sample: an ignore pattern takes this line',
    ],
    [
      'a counter that matches',
      `${good}counter = "a 192.0.2.7"`,
      '4:11: filter[0].counter: the pattern pattern-1 takes this line, which it must not',
    ],
    [
      'a sample of another pattern',
      '[[filter]]\nname = "own"\npatterns = ["a {ip}", { pattern = "b {ip}", sample = "a 192.0.2.7" }]',
      '3:54: filter[0].patterns[1].sample: the pattern pattern-1 takes this line first',
    ],
    [
      'an ignore sample that counts',
      `${good}ignore = { pattern = "a 1", sample = "a 203.0.113.4" }`,
      '4:38: filter[0].ignore.sample: this pattern does not take the line',
    ],
    [
      'a sample of a later filter',
      `${good}[[filter]]\nname = "other"\npattern = "b {ip}"\nsample = "c"`,
      '7:10: filter[1].sample: no pattern takes this line',
    ],
    [
      'a sample in a list of ignore patterns',
      `${good}ignore = ["b", { pattern = "c", sample = "b" }]`,
      '4:42: filter[0].ignore[1].sample: the pattern ignore-1 takes this line first',
    ],
    [
      'a counter of a pattern that this pattern takes',
      '[[filter]]\nname = "own"\npatterns = ["a {ip}", { pattern = "b {ip}", counter = ["a 192.0.2.7", "b 192.0.2.7"] }]',
      '3:71: filter[0].patterns[1].counter[1]: the pattern pattern-2 takes this line, which it must not',
    ],
    [
      'a sample with a time that does not exist',
      '[[filter]]\nname = "own"\npattern = "at {timestamp} {ip}"\nsample = "at 2026-02-30 03:15:28 192.0.2.7"',
      '4:10: filter[0].sample: the time of this line does not exist',
    ],
    // What is wrong with a pattern is said once: its samples are not tried.
    [
      'a pattern that cannot be read, and its sample',
      '[[filter]]\nname = "own"\npatterns = ["a {ip}", "b <HOST>"]\nsample = "b 192.0.2.7"',
      `3:26: filter[0].patterns[1]: fail2ban's tag for the address (write {ip}, or {'<HOST>'} where the line really says so)`,
    ],
    [
      'both keys, and a sample',
      `${good}patterns = ["b {ip}"]\nsample = "a 192.0.2.7"`,
      '4:12: filter[0].patterns: is set beside pattern (put them all into patterns)',
    ],
    [
      'a pattern that is never reached, and its sample',
      '[[filter]]\nname = "own"\npatterns = ["a {ip}", { pattern = "a {ip} b", sample = "a 192.0.2.7 b" }]',
      '3:36: filter[0].patterns[1].pattern: never reached: pattern-1, which comes before it, takes all its lines (put it before the other, or leave it out)',
    ],
    [
      'a pattern in a table that cannot be read',
      '[[filter]]\nname = "own"\npatterns = [{ pattern = "a <HOST>" }]',
      `3:28: filter[0].patterns[0].pattern: fail2ban's tag for the address (write {ip}, or {'<HOST>'} where the line really says so)`,
    ],
    [
      'one pattern in place of the list',
      '[[filter]]\nname = "own"\npatterns = "a <HOST>"',
      `3:15: filter[0].patterns: fail2ban's tag for the address (write {ip}, or {'<HOST>'} where the line really says so)`,
    ],
    [
      'an ignore pattern without text',
      `${good}ignore = [{ name = "x" }]`,
      '4:11: filter[0].ignore[0].pattern: is missing (write pattern = "…")',
    ],
    [
      'a line end in a pattern',
      '[[filter]]\nname = "own"\npattern = "a\\n{ip}"',
      '3:13: filter[0].pattern: a pattern is about one line and cannot hold a line end',
    ],
    [
      'a carriage return in a pattern',
      '[[filter]]\nname = "own"\npattern = "a\\r{ip}"',
      '3:13: filter[0].pattern: a pattern is about one line and cannot hold a line end',
    ],
    [
      'a line end in a literal',
      `[[filter]]\nname = "own"\npattern = "{'a\\n'}{ip}"`,
      '3:12: filter[0].pattern: a pattern is about one line and cannot hold a line end',
    ],
    [
      'a sample of the wrong program',
      `${good}log_tag = "x"\nsample = "a 192.0.2.7"`,
      '5:10: filter[0].sample: this line does not begin as the filter requires (with log_tag a line begins with a time, the host and one of the identifiers with a colon: "Nov 21 03:15:28 host myapp[42]: …")',
    ],
    [
      'a jail with a misspelt one',
      `${good}[jails.x]\nfilter = "onw"\nlogpath = "/x"`,
      '5:10: jails.x.filter: unknown filter "onw" (did you mean "own"?)',
    ],
  ])('%s', (_, text, complaint) => {
    expect(complaints(text)).toEqual([complaint]);
  });

  test('as many filters as there may be', () => {
    const text = Array.from(
      { length: filtersMax - 1 },
      (_, index) => `[[filter]]\nname = "f${index}"\npattern = "a {ip}"\n`,
    ).join('');
    expect(compile(text).filters).toHaveLength(filtersMax - 1);
  });

  test('too many filters', () => {
    const text = Array.from(
      { length: filtersMax },
      (_, index) => `[[filter]]\nname = "f${index}"\npattern = "a {ip}"\n`,
    ).join('');
    expect(complaints(text)).toEqual([
      `${(filtersMax - 1) * 3 + 1}:3: filter[${filtersMax - 1}]: is filter ${filtersMax}: at most ${filtersMax - 1} are allowed beside the built-in ones`,
    ]);
  });

  test('more patterns than the engine has memory for', () => {
    const patterns = Array.from({ length: 200 }, (_, index) => `"${index} ${'{word} '.repeat(8)}{ip}"`).join(', ');
    const [first] = complaints(`[[filter]]\nname = "own"\npatterns = [${patterns}]`);
    expect(first).toMatch(
      /^1:3: filter\[0\]: the filters need \d+ bytes up to here, and there are only 98304 \(leave some out\)$/,
    );
  });

  test('the bytes of programs are counted together', () => {
    const patterns = Array.from({ length: 60 }, (_, index) => `"${index}${'x'.repeat(900)} {ip}"`).join(', ');
    const filter = (name: string): string => `[[filter]]\nname = "${name}"\npatterns = [${patterns}]\n`;
    const { program } = compile(filter('a')).config.filters[0]!;
    const bytes = 2 * Buffer.from(program, 'base64').length;
    expect(bytes).toBeGreaterThan(programBytesMax);
    expect(complaints(filter('a') + filter('b'))).toEqual([
      `4:3: filter[1]: the filters need ${bytes} bytes up to here, and there are only ${programBytesMax} (leave some out)`,
    ]);
  });

  test('every mistake of a filter is shown at once', () => {
    const text = `[[filter]]\nname = "own"\npatterns = ["<HOST>", "x", "{ip}x"]\nignore = "{nothing}"`;
    expect(complaints(text)).toHaveLength(4);
  });
});

describe('a usable filter', () => {
  test('is a program and a name for the core', () => {
    const text = `[[filter]]\nname = "own"\nlog_tag = ["app", "app-*"]\npatterns = ["a {ip}", { name = "b", pattern = "b {ip}" }]\nignore = "c"\n`;
    const { config, filters } = compile(`${text}[jails.own]\nlogpath = "/x"`);
    expect(config.filters).toEqual([
      {
        name: 'own',
        patterns: ['pattern-1', 'b'],
        ignore: ['ignore-1'],
        program: expect.stringMatching(/^[A-Za-z0-9+/]+=*$/),
      },
    ]);
    expect(config.jails[0]).toMatchObject({ name: 'own', filter: 'own', mode: '' });
    expect(filters[0]?.definition).toMatchObject({ prefixes: ['syslog'], tags: ['app', 'app-*'] });
  });

  test('with an empty identifier among others also reads lines without one', () => {
    const text = '[[filter]]\nname = "own"\nlog_tag = ["app", ""]\npattern = "a {ip}"\n';
    const { definition } = compile(text).filters[0]!;
    expect(definition).toMatchObject({ prefixes: ['syslog', 'time', 'bare'], tags: ['app'] });
  });

  test('has its samples and counters, of the table first and then of its patterns', () => {
    const pattern = '{ pattern = "b {ip}", sample = "b 192.0.2.2", counter = ["b2", "b3"] }';
    const own = `[[filter]]\nname = "own"\nabout = "mine"\nsample = "a 192.0.2.1"\ncounter = "a1"\n`;
    const ignore = 'ignore = { pattern = "c", sample = "c4" }\n';
    const [filter] = compile(`${own}patterns = ["a {ip}", ${pattern}]\n${ignore}`).filters;
    expect(filter).toMatchObject({
      samples: ['a 192.0.2.1', 'c4', 'b 192.0.2.2'],
      counters: ['a1', 'b2', 'b3'],
      definition: { about: 'mine' },
    });
    expect([...filter!.texts]).toEqual([
      ['ignore-1', 'c'],
      ['pattern-1', 'a {ip}'],
      ['pattern-2', 'b {ip}'],
    ]);
    const [bare] = compile('[[filter]]\nname = "own"\npattern = "a {ip}"').filters;
    expect(bare).toMatchObject({ samples: [], counters: [], definition: { about: 'of the configuration' } });
  });

  test('without log_tag reads lines with and without a time; "*" is any program', () => {
    const [bare, any] = ['', 'log_tag = "*"'].map(
      (line) => compile(`[[filter]]\nname = "own"\npattern = "a {ip}"\n${line}`).filters[0]?.definition,
    );
    expect(bare?.prefixes).toEqual(['time', 'bare']);
    expect(any).toMatchObject({ prefixes: ['syslog'] });
    expect(any?.tags).toBeUndefined();
  });

  test('warns where a remote side could hide behind an ignore pattern', () => {
    const text = '[[filter]]\nname = "own"\npattern = "a {ip}"\nignore = ["a 192.0.2.1", "{skip}health"]';
    expect(compile(text).warnings[0]).toBe(
      'filter own: ignore-2 skips text that a remote side may choose, who can hide behind it',
    );
  });

  test('its samples are judged by the engine', () => {
    const lines = `sample = ["Nov 21 03:15:28 host app[1]: a 192.0.2.7", "2026-11-21T03:15:28Z host app: a ::1"]\ncounter = ["Nov 21 03:15:28 host other: a 192.0.2.7"]`;
    expect(complaints(`[[filter]]\nname = "own"\nlog_tag = "app"\npattern = "a {ip}"\n${lines}`)).toEqual([]);
  });
});

test.each([
  ['docs/filters.md', /```toml\n(\[\[filter\]\][\s\S]*?)```/],
  ['config/fail2zig.toml', /^(# \[\[filter\]\]\n(?:# .*\n)*)/m],
])('the example in %s works as it stands', (file, block) => {
  const [, text = ''] = readFileSync(file, 'utf8').match(block) ?? [];
  expect(complaints(text.replaceAll(/^# /gm, ''))).toEqual([]);
  expect(compile(text.replaceAll(/^# /gm, '')).filters).toHaveLength(1);
});

test('the guide explains every capture', () => {
  const guide = readFileSync('docs/filters.md', 'utf8');
  expect(captureNames.filter((name) => !guide.includes(`\`{${name}}\``))).toEqual([]);
});
