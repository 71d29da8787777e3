/** The parser engine: how log bytes are read. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { basename } from 'node:path';
import { generateFiles } from '../src/compiler/generate.ts';
import type { Filter, Token } from '../src/compiler/pattern.ts';
import { compileConfig } from '../src/config/compile.ts';
import { knownFilters } from '../src/config/known-filters.ts';
import { ConfigError } from '../src/config/problem.ts';
import type { Build } from '../src/engine/host.ts';
import { filters } from '../src/filters/index.ts';
import { lineBytesMax } from '../src/limits.ts';
import { assertNone } from './assertions.ts';
import { claim, given, type Supply, sabotaged, twin } from './claim.ts';
import { readTree, regularExpressionsIn, withFile } from './source.ts';
import { validConfig } from './support/configuration.ts';
import { instantiatedBy } from './support/instantiated.ts';
import { addressText, engineOf, epoch, failureLine, feedText, linesTooLong } from './support/tracker.ts';

/** The rooms that touch log bytes: the engine, and the sources that read them. */
const readers = readTree('src/engine/**/*.ts', 'src/sources/**/*.ts');

claim(
  ['PE-01', 'LP-21'],
  given(readers),
  (tree) => {
    assert.ok(tree.size > 0);
    const places = [...tree].flatMap(([path, text]) => regularExpressionsIn(path, text));
    assertNone(places, 'regular expressions');
    return `${tree.size} files in engine and sources, 0 regular expressions`;
  },
  [
    twin(
      'a matcher that uses a regular expression',
      given(withFile(readers, 'src/engine/match.ts', 'spec/twins/regular-expression.ts')),
      /regular expressions: src\/engine\/match\.ts/,
    ),
  ],
);

/** Everything that decides how a built-in filter reads a line, as in the repository. */
interface Filters {
  definitions: Filter[];
  generated: Map<string, string>;
}

const generatedFolder = 'src/engine/generated/';
const generated = new Map([...readTree(`${generatedFolder}*.ts`)].map(([path, text]) => [basename(path), text]));

/** Why a configuration with a filter of this name is refused; '' if it is accepted. */
function refusalOf(name: string): string {
  try {
    const text = `[[filter]]\nname = "${name}"\npattern = "from {ip}"\n${validConfig}`;
    compileConfig(text, 'test.toml', { filters: knownFilters, groupId: () => 0 });
    return '';
  } catch (error) {
    if (error instanceof ConfigError) return error.message;
    throw error;
  }
}

claim(
  ['PE-02', 'LP-05', 'PE-26', 'WHY-13'],
  given<Filters>({ definitions: filters, generated }),
  (piece) => {
    assert.ok(piece.definitions.length > 0);
    const expected = generateFiles(piece.definitions);
    assert.deepEqual([...piece.generated.keys()].sort(), [...expected.keys()].sort(), 'generated files');
    for (const { name } of piece.definitions) {
      const text = piece.generated.get(`${name}.ts`) ?? '';
      assert.match(
        text,
        /export function match[A-Z0-9]\w*\(_?start: i32, end: i32, _?mode: i32\): i32/,
        `matcher of ${name}`,
      );
      assert.ok(text === expected.get(`${name}.ts`), `the matcher of ${name} is not what its definition compiles to`);
    }
    const module = new WebAssembly.Module(readFileSync('build/engine.wasm'));
    const imports = WebAssembly.Module.imports(module).map(({ name }) => name);
    assertNone(
      imports.filter((name) => name !== 'memory' && name !== 'abort'),
      'imports through which a matcher could change',
    );
    assert.equal(refusalOf('own'), '', 'a filter of the configuration');
    for (const { name } of piece.definitions)
      assert.match(refusalOf(name), /is a built-in filter/, `a configuration may bring another ${name}`);
    return `${piece.definitions.length} filters, each its own emitted matcher, which no configuration replaces; the engine imports nothing but its memory`;
  },
  [
    twin(
      'a filter without a matcher',
      {
        make: () => ({
          definitions: filters,
          generated: new Map([...generated].filter(([name]) => name !== 'sshd.ts')),
        }),
      },
      /generated files/,
    ),
    twin(
      'a matcher that was edited by hand',
      {
        make: () => ({
          definitions: filters,
          generated: new Map(generated).set('sshd.ts', `${generated.get('sshd.ts')}\n// edited\n`),
        }),
      },
      /the matcher of sshd is not what/,
    ),
  ],
);

/** True for what JSON can hold unchanged: no functions, no instances, nothing computed later. */
function isData(value: unknown): boolean {
  if (value === null || typeof value !== 'object')
    return ['string', 'number', 'boolean', 'undefined'].includes(typeof value);
  if (Array.isArray(value)) return value.every(isData);
  const isComputed = Object.values(Object.getOwnPropertyDescriptors(value)).some((each) => each.get !== undefined);
  return !isComputed && Object.getPrototypeOf(value) === Object.prototype && Object.values(value).every(isData);
}

/** Kinds of tokens, and what each may say of itself (src/compiler/pattern.ts). */
const kinds: Readonly<Record<string, readonly string[]>> = {
  literal: ['text'],
  choice: ['of'],
  optional: ['tokens'],
  either: ['of'],
  repeat: ['max', 'tokens'],
  span: ['of', 'min', 'max', 'capture'],
  ip: ['port'],
  time: [],
  text: ['from', 'max', 'without', 'capture'],
  end: [],
};

/** Tokens of another kind, or with other properties, as text; nested ones too. */
function foreignTokens(tokens: readonly Token[]): string[] {
  return tokens.flatMap((token) => {
    const { kind, ...said } = token;
    const known = kinds[kind];
    const isKnown = known !== undefined && Object.keys(said).every((key) => known.includes(key));
    const inner = 'tokens' in token ? token.tokens : kind === 'either' ? token.of.flat() : [];
    return [...(isKnown ? [] : [JSON.stringify(token)]), ...foreignTokens(inner)];
  });
}

claim(
  'PE-05',
  given<Filter[]>(filters),
  (definitions) => {
    for (const { name, prefixes, tags = [], patterns, ignore = [] } of definitions) {
      assert.ok(prefixes.length > 0 && patterns.length > 0, `${name} has no prefix or no pattern`);
      const heads = [...prefixes, ...tags].filter((each) => typeof each !== 'string');
      assert.equal(heads.length, 0, `${name} has a prefix or tag that is no text`);
      assertNone(
        [...patterns, ...ignore].flatMap(({ tokens }) => foreignTokens(tokens)),
        `tokens of no kind in ${name}`,
      );
    }
    assertNone(
      definitions.filter((definition) => !isData(definition)).map(({ name }) => name),
      'filters that are more than data',
    );
    const patterns = definitions.reduce((sum, definition) => sum + definition.patterns.length, 0);
    return `${definitions.length} filters with ${patterns} patterns, data only`;
  },
  [
    twin(
      'a filter that brings code',
      {
        make: () => [{ ...filters[0]!, check: (line: string) => line.includes('Failed') } as Filter],
      },
      /filters that are more than data: sshd/,
    ),
    sabotaged('a filter brings code of its own', /filters that are more than data: dropbear/),
    sabotaged('a filter has a token that is an expression', /tokens of no kind in dropbear/),
    twin(
      'a filter without a pattern',
      { make: (): Filter[] => [{ ...filters[0]!, patterns: [] }] },
      /sshd has no prefix or no pattern/,
    ),
  ],
);

type Disassemble = () => string;
const disassembled = (path: string) => () =>
  execFileSync('node_modules/.bin/wasm-dis', ['--all-features', path], {
    encoding: 'utf8',
    maxBuffer: 2 ** 28,
    timeout: 60_000,
  });

claim(
  'LP-06',
  given<Disassemble>(disassembled('build/engine.wasm')),
  (disassemble) => {
    const text = disassemble();
    const loads = text.split('v128.load').length - 1;
    const compares = text.split('i8x16.eq').length - 1;
    assert.ok(loads > 0 && compares > 0, 'no SIMD scan in the engine');
    return `${loads} vector loads and ${compares} vector comparisons in engine.wasm`;
  },
  [
    twin(
      'the scalar build',
      given<Disassemble>(disassembled('build/engine-scalar.wasm')),
      /no SIMD scan in the engine/,
    ),
  ],
);

/** Feeds a line twice to a jail with maxretry 2; says who is banned and how many lines were cut. */
type ReadLine = (line: string, rest?: string) => { banned: string[]; cut: number };

/**
 * nginx's refusals of too many requests; `prepare` is what a twin does to a line before it arrives.
 */
function lineReader(prepare: (line: string) => string): Supply<ReadLine> {
  return {
    async make() {
      const engine = await engineOf({ filter: 'nginx-limit-req', maxretry: [2], findtime: 10_000_000 });
      return (line, rest) => {
        const before = linesTooLong(engine);
        for (let i = 0; i < 2; i++) {
          // Its end comes with a later read, which begins with the line if nothing was consumed.
          const waits = line.length <= lineBytesMax;
          if (rest !== undefined) {
            const { written } = new TextEncoder().encodeInto(prepare(line), engine.buffer);
            const taken = engine.feed(0, written, 0, epoch, false);
            assert.equal(taken, waits ? 0 : written, 'bytes taken of a line whose end has not come');
          }
          feedText(engine, `${waits || rest === undefined ? prepare(line) : rest}\n`, epoch);
        }
        const banned: string[] = [];
        engine.takeDecisions(({ address }) => void banned.push(addressText(address)));
        return { banned, cut: linesTooLong(engine) - before };
      };
    },
  };
}

/** A refusal whose request is so long that the line has `length` bytes. */
function requestLine(client: string, length: number): string {
  const stamp = new Date(epoch * 1000).toISOString().slice(0, 19).replaceAll('-', '/').replace('T', ' ');
  const head = `${stamp} [error] 811#811: *42 limiting requests, excess: 5.120 by zone "z", client: ${client}`;
  return `${head}, server: example.org, request: "GET /`.padEnd(length, 'A');
}

/** The same with the client after the limit. */
function lateClient(client: string): string {
  return requestLine(client, 0).replace('"z"', `"${'z'.repeat(lineBytesMax)}"`);
}

claim(
  ['D-02b', 'LP-40', 'PE-22'],
  lineReader((line) => line),
  (read) => {
    assert.equal(lineBytesMax, 136 * 1024);
    const whole = read(requestLine('192.0.2.1', lineBytesMax));
    assert.deepEqual(whole, { banned: ['192.0.2.1'], cut: 0 }, 'a line at the limit');
    const waiting = read(requestLine('192.0.2.7', lineBytesMax), '');
    assert.deepEqual(waiting, { banned: ['192.0.2.7'], cut: 0 }, 'a line at the limit whose end comes later');
    const long = read(requestLine('192.0.2.2', lineBytesMax + 1));
    assert.deepEqual(long, { banned: ['192.0.2.2'], cut: 2 }, 'a line over it');
    const huge = read(requestLine('192.0.2.3', 170_000));
    assert.deepEqual(huge, { banned: ['192.0.2.3'], cut: 2 }, 'a line of 170,000 bytes');
    const late = read(lateClient('192.0.2.4'));
    assert.deepEqual(late, { banned: [], cut: 2 }, 'an address after the limit');
    const later = read(requestLine('192.0.2.5', lineBytesMax + 1), requestLine('192.0.2.6', 200));
    assert.deepEqual(later, { banned: ['192.0.2.5'], cut: 2 }, 'what comes of a line over it in a later read');
    return '136 KiB whole; one byte more and 170,000 cut, first part matched, counted; nothing after the limit is read';
  },
  [
    twin(
      'a reader that drops long lines whole',
      lineReader((line) => (line.length > lineBytesMax ? '' : line)),
      /a line over it/,
    ),
    sabotaged('the rest of a line that was cut is read as a line of its own', /in a later read/),
  ],
);

/** Examines a line for a filter: outcome, pattern, address, user and time, as text. */
type Examine = (line: Uint8Array, filter: string) => string;

/** One build of the engine as an examiner. */
async function examinerOf(build: Build): Promise<Examine> {
  const engine = await engineOf({ build });
  return (line, filter) => {
    const { outcome, pattern, address, user, time } = engine.examine(line, filter, '', epoch, false);
    const found = address === undefined ? '' : addressText(address);
    return [outcome, pattern, found, user === undefined ? '' : Buffer.from(user).toString('latin1'), time].join('|');
  };
}

/**
 * Sample and counter of every pattern, whole, cut short, and with one byte changed at places spread
 * over the line.
 */
function* triedLines(): Generator<[line: Uint8Array, filter: string]> {
  for (const { name, patterns } of filters) {
    for (const { sample, counter } of patterns) {
      for (const text of [sample, counter]) {
        const line = Buffer.from(text);
        yield [line, name];
        for (let at = 0; at < line.length; at += 5) {
          yield [line.subarray(0, at), name];
          const changed = Uint8Array.from(line);
          changed[at] = (changed[at]! + 37 + at) & 255;
          yield [changed, name];
        }
      }
    }
  }
}

interface Builds {
  simd: Examine;
  others: Examine[];
}
async function builds(): Promise<Builds> {
  const made: Examine[] = [];
  const modules = await instantiatedBy(async () => {
    for (const build of ['wasm', 'scalar', 'plain'] as const) made.push(await examinerOf(build));
  });
  // Not a finding: over the plain engine, which other claims use, there is nothing to see.
  if (modules.length === 0) throw new Error('not the builds that are to be compared');
  const [simd, ...others] = made;
  return { simd: simd!, others };
}

claim(
  'PE-12',
  { make: builds },
  ({ simd, others }) => {
    let lines = 0;
    for (const [line, filter] of triedLines()) {
      const answer = simd(line, filter);
      for (const other of others) {
        const text = other(line, filter);
        if (text !== answer)
          assert.fail(`${answer} in one build, ${text} in another: ${Buffer.from(line).toString('latin1')}`);
      }
      lines++;
    }
    return `${lines} lines through the SIMD, scalar and plain builds: the same answers`;
  },
  [
    twin(
      'a build that reads seven bits of each byte',
      {
        async make() {
          const { simd } = await builds();
          return {
            simd,
            others: [
              (line: Uint8Array, filter: string) =>
                simd(
                  line.map((byte) => byte & 127),
                  filter,
                ),
            ],
          };
        },
      },
      /in one build, .* in another/,
    ),
    twin(
      'a build that stops at the first NUL',
      {
        async make() {
          const { simd } = await builds();
          const cut = (line: Uint8Array) => (line.includes(0) ? line.subarray(0, line.indexOf(0)) : line);
          return { simd, others: [(line: Uint8Array, filter: string) => simd(cut(line), filter)] };
        },
      },
      /in one build, .* in another/,
    ),
  ],
);

claim(
  'PE-06',
  { make: () => examinerOf('wasm') },
  (examine) => {
    for (const user of ['root', 'a b', 'x from 198.51.100.9 port 22 ssh2', '\u001b[2J', 'ü']) {
      const line = Buffer.from(failureLine('192.0.2.7', epoch, 1).trimEnd().replace('root', user));
      const [outcome, , address, found] = examine(line, 'sshd').split('|');
      assert.deepEqual(
        [outcome, address, found],
        ['failure', '192.0.2.7', Buffer.from(user).toString('latin1')],
        'the user',
      );
    }
    return '5 user names, one of them looking like the rest of the line, captured whole';
  },
  [
    sabotaged('the user is not captured', /the user/),
    twin(
      'a user that ends at the first space',
      {
        async make() {
          const examine = await examinerOf('wasm');
          return (line: Uint8Array, filter: string) => {
            const parts = examine(line, filter).split('|');
            return parts.with(3, parts[3]!.split(' ')[0]!).join('|');
          };
        },
      },
      /the user/,
    ),
  ],
);
