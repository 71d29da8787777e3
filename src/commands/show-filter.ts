/**
 * Shows a filter to people and programs: what it reads, its patterns with their samples, and its
 * compiled matcher.
 */
import { describe } from '../compiler/describe.ts';
import { emitFilter } from '../compiler/emit/filter.ts';
import type { Filter, Pattern } from '../compiler/pattern.ts';
import type { OperatorFilter } from '../config/filter.ts';
import { readPart } from '../parts.ts';
import { printable } from '../text/printable.ts';

/** Longest line or pattern to show, characters: a whole log line. */
const shownMax = 4096;

/** Which lines a filter reads, as a clause. */
export function readLines({ prefixes, tags = [] }: Filter): string {
  const kinds = {
    syslog: tags.length === 0 ? 'syslog messages of any program' : `syslog messages of ${tags.join(', ')}`,
    time: 'lines that begin with a time',
    bare: 'any line from its first byte',
  };
  return prefixes.map((prefix) => kinds[prefix]).join('; ');
}

/** The source of a built-in filter's matcher, as it stands in src/engine/generated/. */
export function matcherSource(filter: Filter): string {
  return emitFilter(filter, `src/filters (${filter.name})`);
}

interface Matcher {
  lines: number;
  sourceBytes: number;
  /**
   * Bytes of code in the engine with SIMD, 0 if everything was inlined; absent if no build measured
   * it (PE-07).
   */
  wasmBytes?: number;
  source: string;
}

/** Bytes of code of each matcher, measured by the build. */
function wasmSizes(): Record<string, number> | undefined {
  try {
    return JSON.parse(Buffer.from(readPart('matchers.json')).toString());
  } catch {
    return undefined;
  }
}

export interface Shown {
  name: string;
  about: string;
  origin: 'built-in' | 'configuration';
  reads: string;
  /** The first is the default. */
  modes: string[];
  patterns: ShownPattern[];
  ignore: ShownPattern[];
  samples: string[];
  counters: string[];
  matcher: Matcher | { programBytes: number };
}

interface ShownPattern {
  name: string;
  /** Only in these modes; absent: in all. */
  modes?: string[];
  effect: 'failure' | 'context';
  tokens: string;
  /** As the operator wrote it. */
  text?: string;
  sample?: string;
  counter?: string;
}

export function shownBuiltIn(filter: Filter): Shown {
  const source = matcherSource(filter);
  const sizes = wasmSizes();
  return {
    ...shown(filter, 'built-in', new Map()),
    matcher: {
      lines: source.split('\n').length - 1,
      sourceBytes: Buffer.byteLength(source),
      ...(sizes === undefined ? {} : { wasmBytes: sizes[filter.name] ?? 0 }),
      source,
    },
  };
}

export function shownOperator({ definition, program, texts, samples, counters }: OperatorFilter): Shown {
  const programBytes = Buffer.byteLength(program.program, 'base64');
  return { ...shown(definition, 'configuration', texts), samples, counters, matcher: { programBytes } };
}

function shown(filter: Filter, origin: Shown['origin'], texts: Map<string, string>): Omit<Shown, 'matcher'> {
  const pattern = ({ name, modes, effect, tokens, sample, counter }: Pattern): ShownPattern => ({
    name,
    modes,
    effect: effect?.kind ?? 'failure',
    tokens: describe(tokens),
    text: texts.get(name),
    ...(origin === 'built-in' ? { sample, counter } : {}),
  });
  return {
    name: filter.name,
    about: filter.about,
    origin,
    reads: readLines(filter),
    modes: filter.modes ?? [],
    patterns: filter.patterns.map(pattern),
    ignore: (filter.ignore ?? []).map(pattern),
    samples: [],
    counters: [],
  };
}

/** The same as text. */
export function showFilter(filter: Shown): string {
  const { name, about, reads, modes, patterns, ignore, samples, counters, matcher } = filter;
  const lines = [`${name}: ${printable(about)}`, `reads: ${printable(reads, shownMax)}`];
  if (modes.length > 0) lines.push(`modes: ${modes.join(', ')} (${modes[0]} by default)`);
  lines.push('patterns:', ...patterns.flatMap(patternLines));
  if (ignore.length > 0) lines.push('never a failure:', ...ignore.flatMap(patternLines));
  if (samples.length > 0) lines.push('must count:', ...samples.map((line) => `  ${printable(line, shownMax)}`));
  if (counters.length > 0) lines.push('must not count:', ...counters.map((line) => `  ${printable(line, shownMax)}`));
  if ('programBytes' in matcher) lines.push(`program: ${matcher.programBytes} bytes, walked by the interpreter`);
  else {
    const { wasmBytes, sourceBytes } = matcher;
    const code = wasmBytes === 0 ? ', inlined in the engine' : `, ${wasmBytes} bytes of WebAssembly`;
    const size = `matcher: ${matcher.lines} lines, ${sourceBytes} bytes of source${wasmBytes === undefined ? '' : code}`;
    lines.push(size, '', matcher.source);
  }
  return `${lines.join('\n').trimEnd()}\n`;
}

function patternLines({ name, modes, effect, tokens, text, sample, counter }: ShownPattern): string[] {
  const notes = [
    ...(effect === 'context' ? ['no failure by itself'] : []),
    ...(modes ? [`modes ${modes.join(', ')}`] : []),
  ];
  return [
    `  ${name}${notes.length === 0 ? '' : ` (${notes.join('; ')})`}`,
    `      ${printable(text ?? tokens, shownMax)}`,
    ...(sample === undefined ? [] : [`      takes   ${printable(sample, shownMax)}`]),
    ...(counter === undefined ? [] : [`      leaves  ${printable(counter, shownMax)}`]),
  ];
}
