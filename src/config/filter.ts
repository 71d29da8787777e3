/**
 * Turns the operator's `[[filter]]` tables into filters and into programs for the engine. The
 * compiler's checks decide what may be matched (src/compiler/check.ts); refusals are explained in
 * the words of the pattern language, with the position in the pattern. Claims PE-08, PE-09, PE-11.
 *
 * Where a message begins: with `log_tag`, after the time, the host and one of these identifiers
 * (`*` alone: any). Without `log_tag`, or if the line has none of them and "" is one of them: after
 * the time at the start of the line, with or without brackets, or else at the line's first byte, so
 * that a pattern may contain {timestamp}.
 */
import { type Finding, findingsOf } from '../compiler/check.ts';
import { encodeFilter } from '../compiler/encode.ts';
import type { Filter, Pattern } from '../compiler/pattern.ts';
import type { Rule } from '../compiler/rules.ts';
import type { Verdict } from '../engine/examiner.ts';
import { filtersMax, programBytesMax } from '../limits.ts';
import { printable } from '../text/printable.ts';
import type { FilterProgram } from '../types.ts';
import type { Path } from './locate.ts';
import { parsePattern } from './pattern-text.ts';
import type { FilterTable, PatternTable } from './schema.ts';

/** An operator's filter, as written and as it runs. */
export interface OperatorFilter {
  definition: Filter;
  program: FilterProgram;
  /** The written text, by pattern name. */
  texts: Map<string, string>;
  /** Lines that must and must not count. */
  samples: string[];
  counters: string[];
}

/** Reports what is wrong with the value at `path`; `within`: at this index of the string there. */
export type Complain = (path: Path, reason: string, hint?: string, within?: number) => void;

/** Examines lines with a filter: returns one verdict for each. */
export type TryLines = (filter: FilterProgram, lines: readonly string[]) => Verdict[];

/** Advice for an operator, by the compiler's rule. */
const hints: Partial<Record<Rule, string>> = {
  budget: 'split it',
  unbounded: 'write {word} or {field} for what the service itself writes',
  'scanned-again': 'begin what follows {skip} or {user} with a character that cannot occur in it, such as a blank',
  'never-matches': 'end the capture before it with a character that cannot occur in it',
  shadowed: 'put it before the other, or leave it out',
  'matches-anything': 'write text that only such a line holds',
  'text-place': 'write between them the text that ends the first, at least a blank; {word} ends at a blank by itself',
  'no-address': 'write {ip} where the address of the source is',
  'captured-twice': 'capture the one that counts, and skip the other with {word}',
  unanchored: 'write between them the text before the address, at least a blank',
  'in-reach': 'close the pattern with {end}; write {word} or {field}, not {skip}, for what the service itself writes',
};

/** One pattern with what its findings need. */
interface Written {
  pattern: Pattern;
  path: Path;
  /** Index in the text of each token. */
  places: number[];
  table: PatternTable;
}

/**
 * The usable filters among `tables`; complains about the others. `builtIn`: names that are taken.
 */
export function compileFilters(
  tables: readonly FilterTable[],
  builtIn: readonly string[],
  complain: Complain,
): OperatorFilter[] {
  const filters: OperatorFilter[] = [];
  const names = new Map<string, number>();
  let bytes = 0;
  for (const [index, table] of tables.entries()) {
    const path = ['filter', index];
    if (table.name === undefined) {
      complain([...path, 'name'], 'is missing', 'write name = "my-service"');
      continue;
    }
    const namePath = [...path, 'name'];
    if (builtIn.includes(table.name)) {
      complain(namePath, `"${table.name}" is a built-in filter`, `choose another name, such as "my-${table.name}"`);
    } else if (names.has(table.name)) {
      complain(namePath, `"${table.name}" names an earlier filter too`, 'one filter may hold several `patterns`');
    }
    names.set(table.name, index);
    const filter = compileFilter(table.name, table, path, complain);
    if (!filter) continue;
    bytes += Buffer.byteLength(filter.program.program, 'base64');
    if (bytes > programBytesMax) {
      complain(
        path,
        `the filters need ${bytes} bytes up to here, and there are only ${programBytesMax}`,
        'leave some out',
      );
    }
    filters.push(filter);
  }
  if (builtIn.length + tables.length > filtersMax) {
    const most = Math.max(0, filtersMax - builtIn.length);
    complain(['filter', most], `is filter ${most + 1}: at most ${most} are allowed beside the built-in ones`);
  }
  return filters;
}

function compileFilter(name: string, table: FilterTable, path: Path, complain: Complain): OperatorFilter | undefined {
  const { ignore = [], log_tag: tags } = table;
  const patterns = table.patterns ?? (table.pattern === undefined ? [] : [{ pattern: table.pattern }]);
  const key = table.patterns === undefined ? 'pattern' : 'patterns';
  const written = patterns.flatMap((entry, index) => parseEntry(entry, [...path, key, index], 'pattern', complain));
  const ignored = ignore.flatMap((entry, index) => parseEntry(entry, [...path, 'ignore', index], 'ignore', complain));
  const all = [...ignored, ...written];
  let usable = all.length === ignore.length + patterns.length;
  if (table.pattern !== undefined && table.patterns !== undefined) {
    complain([...path, 'patterns'], 'is set beside pattern', 'put them all into patterns');
    usable = false;
  } else if (table.pattern === undefined && table.patterns === undefined) {
    complain([...path, 'pattern'], 'is missing', 'write pattern = "… {ip} …"');
  } else if (patterns.length === 0) {
    complain([...path, 'patterns'], 'expected at least one pattern, found an empty list');
  }
  // If some do not parse, the others are checked anyway: one run shows every mistake.
  if (written.length === 0) return undefined;
  const definition: Filter = {
    name,
    about: table.about ?? 'of the configuration',
    prefixes: tags === undefined ? ['time', 'bare'] : tags.includes('') ? ['syslog', 'time', 'bare'] : ['syslog'],
    ...(tags === undefined || tags.includes('*') ? {} : { tags: tags.filter((tag) => tag !== '') }),
    ignore: ignored.map(({ pattern }) => pattern),
    patterns: written.map(({ pattern }) => pattern),
  };
  const findings = findingsOf(definition);
  for (const finding of findings) complainOf(finding, all, path, complain);
  if (findings.length > 0 || !usable) return undefined;
  return {
    definition,
    program: {
      name,
      patterns: written.map(({ pattern }) => pattern.name),
      ignore: ignored.map(({ pattern }) => pattern.name),
      program: Buffer.from(encodeFilter(definition)).toString('base64'),
    },
    texts: new Map(all.map(({ pattern, table: { pattern: text = '' } }) => [pattern.name, text])),
    samples: [...(table.sample ?? []), ...all.flatMap(({ table: { sample = [] } }) => sample)],
    counters: [...(table.counter ?? []), ...all.flatMap(({ table: { counter = [] } }) => counter)],
  };
}

/**
 * The pattern of one entry; undefined if it was complained about. Without a name it gets a number.
 */
function parseEntry(table: PatternTable, path: Path, kind: 'pattern' | 'ignore', complain: Complain): Written[] {
  if (table.pattern === undefined) {
    complain([...path, 'pattern'], 'is missing', 'write pattern = "…"');
    return [];
  }
  const parsed = parsePattern(table.pattern);
  if ('reason' in parsed) {
    complain([...path, 'pattern'], parsed.reason, parsed.hint, parsed.at);
    return [];
  }
  const pattern: Pattern = {
    name: table.name ?? `${kind}-${Number(path.at(-1)) + 1}`,
    tokens: parsed.tokens,
    sample: table.sample?.[0] ?? '',
    counter: table.counter?.[0] ?? '',
  };
  return [{ pattern, path, places: parsed.places, table }];
}

function complainOf(
  { pattern, rule, reason, token }: Finding,
  written: Written[],
  path: Path,
  complain: Complain,
): void {
  const at = written.find((one) => one.pattern.name === pattern);
  if (!at) complain(path, printable(reason), hints[rule]);
  else if (rule === 'name') complain([...at.path, 'name'], reason);
  else complain([...at.path, 'pattern'], printable(reason, 400), hints[rule], at.places[token] ?? 0);
}

const whyNoFailure: Partial<Record<Verdict['outcome'], [reason: string, hint?: string]>> = {
  'no-pattern': ['no pattern takes this line'],
  'no-prefix': [
    'this line does not begin as the filter requires',
    'with log_tag a line begins with a time, the host and one of the identifiers with a colon: "Nov 21 03:15:28 host myapp[42]: …"',
  ],
  ignored: ['an ignore pattern takes this line'],
  'bad-address': ['the text at {ip} is not an address'],
  'host-name': ['the text at {ip} is a host name, and host names are never resolved'],
  'bad-time': ['the time of this line does not exist'],
};

/** Tries the sample lines of a filter that `compileFilters` made from the table at `path`. */
export function trySamples(
  filter: OperatorFilter,
  table: FilterTable,
  path: Path,
  tryLines: TryLines,
  complain: Complain,
): void {
  const attempt = (of: { sample?: string[]; counter?: string[] }, at: Path, wanted?: string, ignored = false): void => {
    const { sample = [], counter = [] } = of;
    for (const [index, verdict] of tryLines(filter.program, sample).entries()) {
      const right = verdict.outcome === (ignored ? 'ignored' : 'failure');
      const place = [...at, 'sample', index];
      if (right && (wanted === undefined || verdict.pattern === wanted)) continue;
      if (right) complain(place, `the pattern ${verdict.pattern} takes this line first`);
      else if (ignored) complain(place, 'this pattern does not take the line');
      else complain(place, ...(whyNoFailure[verdict.outcome] ?? ['this line is not a failure']));
    }
    for (const [index, { outcome, pattern }] of tryLines(filter.program, counter).entries()) {
      if (wanted === undefined ? outcome !== 'failure' : pattern !== wanted) continue;
      complain([...at, 'counter', index], `the pattern ${pattern} takes this line, which it must not`);
    }
  };
  attempt(table, path);
  for (const [index, entry] of (table.patterns ?? []).entries()) {
    attempt(entry, [...path, 'patterns', index], filter.program.patterns[index]);
  }
  for (const [index, entry] of (table.ignore ?? []).entries()) {
    attempt(entry, [...path, 'ignore', index], filter.program.ignore[index], true);
  }
}

/** What is valid but lets a remote side hide, one sentence for each pattern. */
export function filterWarnings({ definition }: OperatorFilter): string[] {
  return (definition.ignore ?? [])
    .filter(({ tokens }) => tokens.some((token) => token.kind === 'text'))
    .map(
      ({ name }) =>
        `filter ${definition.name}: ${name} skips text that a remote side may choose, who can hide behind it`,
    );
}
