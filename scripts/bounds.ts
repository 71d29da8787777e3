/** The bounds of our programs with value and reason, and docs/bounds.md, which publishes them. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import * as configuration from '../src/config/limits.ts';
import * as fleet from '../src/fleet/limits.ts';
import * as importing from '../src/import/limits.ts';
import * as core from '../src/limits.ts';
import { boundsOf } from './page/evidence.ts';

/** A file of bounds, what it bounds, and what the program uses of it. */
const sources: readonly [file: string, title: string, values: object][] = [
  ['src/limits.ts', 'The daemon', core],
  ['src/config/limits.ts', 'The configuration', configuration],
  ['src/import/limits.ts', 'The import of a fail2ban tree', importing],
  ['src/fleet/limits.ts', '`fail2zig-fleet`', fleet],
];

const shown = (value: unknown): string =>
  JSON.stringify(value, (_, each) => (typeof each === 'bigint' ? Number(each) : each));

/** Name → value of every bound, as the programs have them. */
export function boundsInUse(): Map<string, string> {
  const all = sources.flatMap(([file, , values]) => {
    const text = readFileSync(join(import.meta.dirname, '..', file), 'utf8');
    return boundsOf(file, text).map(({ name }): [string, string] => [
      `${file} ${name}`,
      shown((values as Record<string, unknown>)[name]),
    ]);
  });
  return new Map(all);
}

/** The rows of the page: name → value. */
export function publishedBounds(page: string): Map<string, string> {
  let file = '';
  const found = new Map<string, string>();
  for (const line of page.split('\n')) {
    file = /^From `([^`]+)`/.exec(line)?.[1] ?? file;
    const [, name, value] = /^\| `(\w+)` \| `([^`]*)` \|/.exec(line) ?? [];
    if (name !== undefined) found.set(`${file} ${name}`, value!);
  }
  return found;
}

/** docs/bounds.md. */
export function boundsDocument(): string {
  const values = boundsInUse();
  const tables = sources.map(([file, title]) => {
    const text = readFileSync(join(import.meta.dirname, '..', file), 'utf8');
    const rows = boundsOf(file, text).map(
      ({ name, reason }) =>
        `| \`${name}\` | \`${values.get(`${file} ${name}`)}\` | ${reason.replaceAll('|', '\\|').replaceAll('*', '\\*')} |\n`,
    );
    return `\n## ${title}\n\nFrom \`${file}\`.\n\n| bound | value | |\n|---|---|---|\n${rows.join('')}`;
  });
  return `<!-- Made by npm run generate. Do not edit. -->
# Bounds

Everything that our programs keep, read or wait for has a bound. What an operator sets, in
[the configuration](configuration.md), lies within them. The claim X-bounds compares this page with what runs.
${tables.join('')}`;
}
