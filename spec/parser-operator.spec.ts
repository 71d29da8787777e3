/**
 * The parser engine, second part: patterns of the operator, and the output of the command
 * `filters`.
 */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import fc from 'fast-check';
import { matcherSizes } from '../scripts/matcher-sizes.ts';
import { checkFilter, findingsOf } from '../src/compiler/check.ts';
import type { Filter, Token } from '../src/compiler/pattern.ts';
import { compileConfig } from '../src/config/compile.ts';
import { tryLines } from '../src/config/load.ts';
import { parsePattern } from '../src/config/pattern-text.ts';
import { ConfigError } from '../src/config/problem.ts';
import { Examiner } from '../src/engine/examiner.ts';
import { filters } from '../src/filters/index.ts';
import { ip, literal, some } from '../src/filters/tokens.ts';
import { lineBytesMax } from '../src/limits.ts';
import { bind, loadEmitted, loadInterpreted, type Match, type Outcome, outcome } from '../test/support/matchers.ts';
import { messageOf } from '../test/support/messages.ts';
import { of, pattern, reachable, refused } from '../test/support/refused-filters.ts';
import { smallModule, smallModuleSizes } from '../test/support/small-module.ts';
import { claim, given, sabotaged, twin } from './claim.ts';
import { addressText, epoch } from './support/tracker.ts';

const surroundings = { filters: [{ name: 'sshd', modes: [] }], groupId: () => 0, tryLines };

/**
 * What a configuration with one filter makes of a line: who is charged and when; undefined if the
 * line is skipped.
 */
type Reader = (line: string) => { address: string; time: number } | undefined;
/** Reads a configuration; throws ConfigError if it is refused. */
type Load = (text: string) => Reader;

const load: Load = (text) => {
  const [program] = compileConfig(text, 'test.toml', surroundings).config.filters;
  assert.ok(program, 'the filter is not in the record that the core gets');
  const engine = Examiner.createNow({ jails: [], filters: [program], tableBytes: 0, now: epoch });
  return (line) => {
    const { outcome, address, time } = engine.examine(Buffer.from(line), program.name, '', epoch, false);
    return outcome === 'failure' && address !== undefined ? { address: addressText(address), time } : undefined;
  };
};

const shop = `[[filter]]
name = "my-custom-app"
patterns = ["reject from {ip} at {timestamp} invalid auth", "login failed for {user} from {ip}{end}"]
log_tag = "myapp"
`;
const second = (text: string): number => Date.parse(text) / 1000;
const head = '2025-11-21T03:15:28+00:00 host myapp[7]: ';

claim(
  'PE-08',
  given<Load>(load),
  (read) => {
    const reader = read(shop);
    const timed = reader(`${head}reject from 192.0.2.7 at 2025-11-21T03:14:00+00:00 invalid auth`);
    assert.deepEqual(
      timed,
      { address: '192.0.2.7', time: second('2025-11-21T03:14:00Z') },
      'a pattern with {ip} and {timestamp}',
    );
    const untimed = reader(`${head}login failed for a b from 2001:db8::7`);
    assert.deepEqual(
      untimed,
      { address: '2001:db8:0:0:0:0:0:7', time: second('2025-11-21T03:15:28Z') },
      'a second pattern, whose time is the time of the line',
    );
    const others = [
      `${head.replace('myapp', 'other')}login failed for root from 192.0.2.7`,
      `${head}login succeeded for root from 192.0.2.7`,
      'login failed for root from 192.0.2.7',
    ];
    for (const line of others) assert.equal(reader(line), undefined, `charged: ${line}`);
    const taken = [timed, untimed].map((each) => `${each!.address} at ${each!.time}`);
    return `two patterns behind a log tag: ${taken.join(', ')}; passed over: ${others.length} lines of another program, another text, no tag`;
  },
  [
    sabotaged('the log tag of an operator is not read', /a pattern with \{ip\} and \{timestamp\}/),
    twin(
      'a reader that ignores {timestamp}',
      given<Load>((text) => load(text.replace('at {timestamp} invalid', 'at {word} invalid'))),
      /a pattern with \{ip\} and \{timestamp\}/,
    ),
    sabotaged('the first pattern of an operator alone is read', /the filter is not in the record/),
  ],
);

/**
 * Pattern texts that would be regular expressions, and a line that only a regular expression
 * matches.
 */
const expressions: [what: string, pattern: string, line: string][] = [
  ['quantifier *', 'from* {ip}', 'frommm 192.0.2.7'],
  ['quantifier +', 'fro+m {ip}', 'froom 192.0.2.7'],
  ['quantifier ?', 'froom? {ip}', 'froo 192.0.2.7'],
  ['quantifier {n,m}', 'fo{1,3} {ip}', 'foo 192.0.2.7'],
  ['dot', 'fr.m {ip}', 'from 192.0.2.7'],
  ['dot and star', '.* {ip}', 'anything 192.0.2.7'],
  ['alternation', '(from|rhost) {ip}', 'rhost 192.0.2.7'],
  ['alternation without a group', 'from {ip}|rhost {ip}', 'rhost 192.0.2.7'],
  ['group', '(?:from) {ip}', 'from 192.0.2.7'],
  ['look-ahead', 'from (?=1){ip}', 'from 192.0.2.7'],
  ['look-behind', '(?<=m) {ip}', 'm 192.0.2.7'],
  ['class', 'from [a-z] {ip}', 'from x 192.0.2.7'],
  ['negated class', 'from [^0-9] {ip}', 'from x 192.0.2.7'],
  ['short class', 'from \\d {ip}', 'from 5 192.0.2.7'],
  ['word class', 'from \\S+ {ip}', 'from x 192.0.2.7'],
  ['recursion', '(x(?R)?) {ip}', 'xx 192.0.2.7'],
  ['back-reference', '(a)\\1 {ip}', 'aa 192.0.2.7'],
  ['anchors', '^from {ip}$', 'from 192.0.2.7'],
  ['flag', '(?i)from {ip}', 'FROM 192.0.2.7'],
  ['repeated capture', 'from {digit}{3} {ip}', 'from 555 192.0.2.7'],
  ['capture with a quantifier', 'from {word}+ {ip}', 'from x 192.0.2.7'],
  ['quantifier within braces', 'from {digit*} {ip}', 'from 555 192.0.2.7'],
  ['alternation within braces', '{from|rhost} {ip}', 'rhost 192.0.2.7'],
  ['alternation of captures', '{word|number} {ip}', 'x 192.0.2.7'],
  ['class within braces', '{[a-z]} {ip}', 'x 192.0.2.7'],
  ['pattern within a pattern', '{{word} {ip}}', 'x 192.0.2.7'],
];

/** Texts in quotes, and what each would match as an expression. */
const plain: [text: string, taken: string][] = [
  ['fr.m*', 'frommm'],
  ['from|rhost', 'rhost'],
  ['(from)', 'from'],
  ['fro?m', 'frm'],
  ['fo{2}', 'foo'],
  ['[a-z]', 'x'],
  ['\\d', '5'],
  ['^from', 'from'],
];

/** What happened to a pattern: refused, or it matched the line, or not. */
type Fate = (pattern: string, line: string) => 'refused' | 'takes' | 'leaves';

const fate: Fate = (pattern, line) => {
  try {
    return load(`[[filter]]\nname = "own"\npattern = '''${pattern}'''\n`)(line) === undefined ? 'leaves' : 'takes';
  } catch (error) {
    if (error instanceof ConfigError) return 'refused';
    throw error;
  }
};

claim(
  'PE-09',
  given<Fate>(fate),
  (tryPattern) => {
    assert.equal(tryPattern('from {ip}', 'from 192.0.2.7'), 'takes', 'a pattern of the language');
    let refused = 0;
    for (const [what, pattern, line] of expressions) {
      const result = tryPattern(pattern, line);
      assert.ok(result !== 'takes', `${what}: ${pattern} takes ${line}`);
      if (result === 'refused') refused++;
    }
    for (const [text, taken] of plain) {
      assert.equal(tryPattern(`{'${text}'} {ip}`, `${text} 192.0.2.7`), 'takes', `${text} meant as it stands`);
      assert.equal(tryPattern(`{'${text}'} {ip}`, `${taken} 192.0.2.7`), 'leaves', `${text} takes ${taken}`);
    }
    return `${expressions.length} constructs: ${refused} refused, ${expressions.length - refused} read as plain text; none does what it would in an expression, nor do ${plain.length} in quotes`;
  },
  [
    twin(
      'a reader that makes a regular expression of it',
      given<Fate>((pattern, line) => {
        try {
          const expression = pattern.replaceAll('{ip}', '([0-9.]+)').replace(/^\{'(.*)'\}/, '$1');
          return new RegExp(expression).test(line) ? 'takes' : 'leaves';
        } catch {
          return 'refused';
        }
      }),
      /quantifier \*: .* takes/,
    ),
    twin(
      'a reader that refuses everything',
      given<Fate>(() => 'refused'),
      /a pattern of the language/,
    ),
  ],
);

/** Patterns that cannot be made safe, each with the reason. */
const inexpressible: [why: string, pattern: string][] = [
  ['no address', 'login failed for {user}{end}'],
  ['two addresses', 'from {ip} via {ip}'],
  ['an unknown capture', 'from {address}'],
  ['a brace that is not closed', 'from {ip'],
  ['nothing between two texts', 'for {user}{skip} from {ip}{end}'],
  ['something after the end', 'from {ip}{end} port'],
  ['text of the attacker before an open end', 'for {user} from {ip}'],
  ['an expression of fail2ban', '^Failed \\S+ for .* from <HOST>$'],
  ['nothing at all', ''],
];

/** The position of a refusal; undefined if the text is accepted. */
type Refusal = (text: string) => { line: number; column: number; reason: string } | undefined;
const refusal: Refusal = (text) => {
  try {
    load(text);
    return undefined;
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error;
    return error.problems[0];
  }
};

interface Refusing {
  refuse: Refusal;
  /** Rules by which a filter is refused, whoever wrote it. */
  findings: typeof findingsOf;
}

claim(
  'PE-11',
  given<Refusing>({ refuse: refusal, findings: findingsOf }),
  ({ refuse, findings }) => {
    const own = (pattern: string): string => `[[filter]]\nname = "own"\npattern = '''${pattern}'''\n`;
    assert.equal(refuse(own('login failed for {user} from {ip}{end}')), undefined, 'a sound pattern is refused');
    for (const [why, pattern] of inexpressible) {
      const problem = refuse(own(pattern));
      assert.ok(problem !== undefined, `accepted: ${why}: ${pattern}`);
      assert.equal(problem.line, 3, `${why}: the line of the refusal`);
      assert.ok(problem.column > 0 && problem.reason.length > 5, `${why}: refused without a place or a reason`);
    }
    const rules = Object.keys(refused) as (keyof typeof refused)[];
    for (const rule of rules) {
      const found = findings(refused[rule][0]).map((finding) => finding.rule);
      assert.deepEqual(found, [rule], `a filter that breaks the rule ${rule}`);
    }
    for (const max of [0, 0.5, Number.POSITIVE_INFINITY, lineBytesMax + 1]) {
      const found = findings(of([pattern(literal('from '), ip, { ...some('digit'), max } as Token)]));
      assert.ok(
        found.some(({ rule }) => rule === 'unbounded'),
        `a run of at most ${max} bytes is accepted`,
      );
    }
    for (const filter of reachable) {
      assert.deepEqual(
        findings(filter).map(({ rule }) => rule),
        ['in-reach'],
        'attacker text before an address',
      );
    }
    return `${inexpressible.length} patterns refused at load with line, column and reason; each of ${rules.length} rules refuses its filter`;
  },
  [
    twin(
      'a reader that takes what it cannot express',
      given<Refusing>({ refuse: () => undefined, findings: findingsOf }),
      /^accepted: no address/,
    ),
    twin(
      'a reader that refuses without saying where',
      given<Refusing>({
        findings: findingsOf,
        refuse(text) {
          const problem = refusal(text);
          return problem && { ...problem, line: 0, column: 0 };
        },
      }),

      /the line of the refusal/,
    ),
    sabotaged('an address directly behind a run is accepted', /a filter that breaks the rule unanchored/),
  ],
);

/** Patterns as operators write them: every capture, texts from both sides, open and closed ends. */
const operatorTexts = [
  'login failed for {user} from {ip}{end}',
  'account "{field}" locked, client {ip}:{number}',
  'reject from {ip} at {timestamp} invalid auth',
  '{word} denied {word} {ip} {skip} code={number}{end}',
  '[{timestamp}] {ip} - {user}{end}',
  'blocked {ip} {user} by rule {number}',
];

function operatorFilter(): Filter {
  const patterns = operatorTexts.map((text, index) => {
    const parsed = parsePattern(text);
    assert.ok('tokens' in parsed, text);
    return { name: `p${index}`, tokens: parsed.tokens, sample: '', counter: '' };
  });
  const filter: Filter = { name: 'own', about: '', prefixes: ['bare'], patterns };
  assert.deepEqual(checkFilter(filter), []);
  return filter;
}

/** The walker of token streams: its source, and how it matches a filter. */
interface Interpreter {
  source: string;
  load: (filter: Filter) => Match;
}
const interpreter: Interpreter = { source: readFileSync('src/engine/interpreter.ts', 'utf8'), load: loadInterpreted };
const interpreterLinesMax = 300;
const fuzzSeed = 4;
const messagesPerFilter = 60;

claim(
  'PE-04',
  given(interpreter),
  (piece) => {
    const lines = piece.source.split('\n').length - 1;
    assert.ok(lines <= interpreterLinesMax, `the interpreter has ${lines} lines`);
    const own = operatorFilter();
    let messages = 0;
    let taken = 0;
    bind();
    for (const filter of [own, own, own, own, ...filters]) {
      const compiled = loadEmitted(filter).match;
      const interpreted = piece.load(filter);
      const options = { numRuns: messagesPerFilter, seed: fuzzSeed + messages };
      for (const message of fc.sample(messageOf(filter), options)) {
        const expected: Outcome = outcome(compiled, message, 1);
        assert.deepEqual(
          outcome(interpreted, message, 1),
          expected,
          `${filter.name}: ${JSON.stringify(message.toString('latin1'))}`,
        );
        messages++;
        if (expected.pattern >= 0) taken++;
      }
    }
    assert.ok(taken > messages / 20, `only ${taken} of ${messages} messages were taken by any pattern`);
    return `${lines} lines; ${messages} messages of ${filters.length + 1} filters (seed ${fuzzSeed}): same pattern and captures as compiled, ${taken} taken`;
  },
  [
    twin('an interpreter that misses the last byte', given({ ...interpreter, load: shortSighted }), /^own: /),
    twin(
      'an interpreter too long to be audited',
      given({ ...interpreter, source: interpreter.source.repeat(2) }),
      /the interpreter has \d+ lines/,
    ),
  ],
);

function shortSighted(filter: Filter): Match {
  const match = loadInterpreted(filter);
  return (start, end, mode) => match(start, Math.max(start, end - 1), mode);
}

/** What the command prints for a filter. */
type Show = (name: string) => string;
const show: Show = (name) => execFileSync('bin/fail2zig', ['filters', name], { encoding: 'utf8', timeout: 60_000 });

claim(
  'PE-07',
  given<Show>(show),
  (command) => {
    const found: string[] = [];
    for (const name of ['sshd', 'openvpn']) {
      const text = command(name);
      const [, source, code] =
        /\nmatcher: \d+ lines, (\d+) bytes of source, (\d+) bytes of WebAssembly\n\n/.exec(text) ?? [];
      assert.ok(source !== undefined && code !== undefined, `no size of the matcher of ${name}`);
      const emitted = Buffer.byteLength(readFileSync(`src/engine/generated/${name}.ts`));
      assert.ok(Math.abs(Number(source) - emitted) < 100, `${name}: ${source} bytes shown, ${emitted} in the file`);
      const sizes: Record<string, number> = JSON.parse(readFileSync('build/matchers.json', 'utf8'));
      assert.equal(Number(code), sizes[name], `${name}: bytes of code as the build measured them`);
      found.push(`${name} ${code} bytes`);
    }
    assert.deepEqual(matcherSizes(smallModule), smallModuleSizes, 'bytes of code in a module counted by hand');
    return `${found.join(', ')} of WebAssembly`;
  },
  [
    twin(
      'a command that shows no size',
      given<Show>((name) => show(name).replace(/\nmatcher:.*\n/, '\n')),
      /no size of the matcher of sshd/,
    ),
    twin(
      'a command that makes sizes up',
      given<Show>((name) => show(name).replace(/\d+ bytes of WebAssembly/, '140 bytes of WebAssembly')),
      /bytes of code as the build measured them/,
    ),
  ],
  { needs: ['built'] },
);
