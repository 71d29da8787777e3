/**
 * All generated files, as text by path: one matcher per filter, the switch over them, and the
 * host's table of names.
 */
import { checkFilter } from './check.ts';
import { banner, emitFilter } from './emit/filter.ts';
import { signsOf } from './first-look.ts';
import type { Filter } from './pattern.ts';
import { encodeConnection, encodePrefixes, pascalCase } from './shape.ts';

/**
 * File name under src/engine/generated/ -> contents. Throws with every finding if a filter is
 * refused.
 */
export function generateFiles(filters: Filter[]): Map<string, string> {
  const findings = filters.flatMap(checkFilter);
  if (findings.length > 0) throw new Error(`filters refused\n  ${findings.join('\n  ')}`);
  const files = new Map<string, string>();
  for (const filter of filters) files.set(`${filter.name}.ts`, emitFilter(filter, `src/filters (${filter.name})`));
  files.set('index.ts', emitIndex(filters));
  files.set('names.ts', emitNames(filters));
  return files;
}

function emitIndex(filters: Filter[]): string {
  const looked = filters.filter((filter) => signsOf(filter).length > 0);
  const imports = filters.map((filter) => {
    const pascal = pascalCase(filter.name);
    const may = looked.includes(filter) ? ` may${pascal},` : '';
    return `import { flags${pascal}, match${pascal},${may} tag${pascal} } from './${filter.name}.ts';\n`;
  });
  const choose = (body: (filter: Filter) => string, among = filters): string =>
    `  switch (filter) {\n${among.map((filter) => `    case ${filters.indexOf(filter)}: // ${filter.name}\n      return ${body(filter)};\n`).join('')}  }`;
  const some = filters.length > 0;
  return `${banner('src/filters')}
/* Filters go by number: their position in src/filters/index.ts and in names.ts. */
${imports.join('')}
export const filterCount: i32 = ${filters.length};

/**
 * The number of the first pattern of \`filter\` that takes the message [start, end) in \`mode\` (a
 * bit), or -1.
 */
// @inline
export function matchFilter(filter: i32, ${some ? 'start: i32, end: i32, mode: i32' : '_start: i32, _end: i32, _mode: i32'}): i32 {
${choose(({ name }) => `match${pascalCase(name)}(start, end, mode)`)}
  return -1;
}

/** The first look: false where \`filter\` takes no line [start, end) that is so. */
// @inline
export function mayMatch(filter: i32, ${looked.length > 0 ? 'start: i32, end: i32' : '_start: i32, _end: i32'}): bool {
${choose(({ name }) => `may${pascalCase(name)}(start, end)`, looked)}
  return true;
}

/**
 * What a pattern means: 1 failure, 2 connection ends, 4 login gained, 8 ignore, 16 has an address;
 * stage << 5; 256 takes whole lines only; 512 is
 * tentative; 1024 a list.
 */
// @inline
export function patternFlags(filter: i32, ${some ? 'pattern' : '_pattern'}: i32): i32 {
${choose(({ name }) => `flags${pascalCase(name)}(pattern)`)}
  return 0;
}

/**
 * What stands before the patterns, two bits each, the first to try lowest: 1 syslog, 2 time, 3
 * bare, 0 no more.
 */
export function filterPrefixes(filter: i32): i32 {
${choose(({ prefixes }) => String(encodePrefixes(prefixes)))}
  return 0;
}

/**
 * What tells attempts apart: 0 nothing, 1 host and pid, 2 address, 3 process, 4 session, 5 number.
 */
export function filterConnection(filter: i32): i32 {
${choose(({ connection }) => String(encodeConnection(connection)))}
  return 0;
}

/** Does \`filter\` read messages of the syslog identifier [start, end)? */
// @inline
export function matchTag(filter: i32, ${some ? 'start: i32, end: i32' : '_start: i32, _end: i32'}): bool {
${choose(({ name }) => `tag${pascalCase(name)}(start, end)`)}
  return false;
}
`;
}

function emitNames(filters: Filter[]): string {
  const table = filters.map(({ name, about, modes = [], patterns, ignore = [] }) => ({
    name,
    about,
    modes,
    patterns: patterns.map((pattern) => pattern.name),
    ignore: ignore.map((pattern) => pattern.name),
  }));
  return `${banner('src/filters')}
/* For the host only; the engine knows numbers. */

export interface FilterNames {
  name: string;
  about: string;
  /** The first is the default; empty = one nameless mode. */
  modes: string[];
  /** By pattern number; those of \`ignore\` follow. */
  patterns: string[];
  ignore: string[];
}

export const filterNames: FilterNames[] = ${JSON.stringify(table, null, 2)};
`;
}
