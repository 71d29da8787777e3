/**
 * `fail2zig filters [NAME] [--config FILE] [--json]`: lists the built-in filters and those of a
 * configuration, or shows one: what it reads, its patterns with their sample lines, its compiled
 * matcher and the size of that. Exit status: 0, 1 for an unknown filter or an unusable
 * configuration, 2 wrong usage.
 */
import type { OperatorFilter } from '../config/filter.ts';
import { loadConfig } from '../config/load.ts';
import { nearest } from '../config/nearest.ts';
import { ConfigError } from '../config/problem.ts';
import { filters as builtIn } from '../filters/index.ts';
import { jsonText } from '../text/json.ts';
import { printable } from '../text/printable.ts';
import { readCommand } from './options.ts';
import { showFilter, shownBuiltIn, shownOperator } from './show-filter.ts';

export const usage = `fail2zig filters: list the built-in filters, or show one

  NAME            the filter to show, with its patterns, sample lines and matcher
  --config FILE   also those of this configuration
  --json          JSON on one line
`;

export async function run(argv: string[]): Promise<number> {
  const options = { config: { type: 'string' }, json: { type: 'boolean' } } as const;
  const parsed = readCommand(usage, argv, options, true);
  if (typeof parsed === 'number') return parsed;
  const { config, json = false } = parsed.values;
  let own: OperatorFilter[] = [];
  try {
    if (config !== undefined) own = loadConfig(config).filters;
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error;
    process.stderr.write(`fail2zig filters: ${error.message}\n`);
    return 1;
  }
  const [name] = parsed.positionals;
  return name === undefined ? list(own, json) : show(name, own, json);
}

function list(own: readonly OperatorFilter[], json: boolean): number {
  const rows = [
    ...builtIn.map((filter) => ({ filter, origin: 'built-in' })),
    ...own.map(({ definition }) => ({ filter: definition, origin: 'configuration' })),
  ].map(({ filter: { name, about, modes = [], patterns, ignore = [] }, origin }) => ({
    name,
    about,
    origin,
    modes,
    patterns: patterns.map((pattern) => pattern.name),
    ignore: ignore.map((pattern) => pattern.name),
  }));
  const width = Math.max(...rows.map(({ name }) => name.length));
  const text = rows.map(({ name, about }) => `${name.padEnd(width)}  ${printable(about)}\n`).join('');
  process.stdout.write(json ? `${jsonText(rows)}\n` : text);
  return 0;
}

function show(name: string, own: readonly OperatorFilter[], json: boolean): number {
  const known = builtIn.find((filter) => filter.name === name);
  const operators = own.find(({ definition }) => definition.name === name);
  if (known || operators) {
    const shown = known ? shownBuiltIn(known) : shownOperator(operators as OperatorFilter);
    process.stdout.write(json ? `${jsonText(shown)}\n` : showFilter(shown));
    return 0;
  }
  const near = nearest(
    name,
    [...builtIn, ...own.map(({ definition }) => definition)].map((filter) => filter.name),
  );
  const hint = near === undefined ? '' : `; did you mean "${near}"?`;
  process.stderr.write(`fail2zig filters: there is no filter "${printable(name, 60)}"${hint}\n`);
  return 1;
}
