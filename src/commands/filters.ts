/**
 * `fail2zig filters [NAME] [--json]`: lists the built-in filters, or shows the modes and patterns of one.
 * Exit status: 0, 1 for a filter that there is not, 2 misused.
 */
import { nearest } from '../config/nearest.ts';
import { type FilterNames, filterNames } from '../engine/generated/names.ts';
import { printable } from '../observe/printable.ts';
import { exitUsage, parseOptions } from './options.ts';

const usage = `fail2zig filters: list the built-in filters, or show one

  NAME     the filter to show
  --json   JSON on one line
`;

export async function run(argv: string[]): Promise<number> {
  const parsed = parseOptions('fail2zig filters', argv, { json: { type: 'boolean' }, help: { type: 'boolean' } }, true);
  if (!parsed) return exitUsage;
  const { json = false, help } = parsed.values;
  const [name] = parsed.positionals;
  if (help) {
    process.stdout.write(usage);
    return 0;
  }
  if (name === undefined) {
    process.stdout.write(json ? `${JSON.stringify(filterNames)}\n` : list());
    return 0;
  }
  const filter = filterNames.find((known) => known.name === name);
  if (!filter) {
    const names = filterNames.map((known) => known.name);
    const near = nearest(name, names);
    const hint = near === undefined ? '' : `; did you mean "${near}"?`;
    process.stderr.write(`fail2zig filters: there is no filter "${printable(name, 60)}"${hint}\n`);
    return 1;
  }
  process.stdout.write(json ? `${JSON.stringify(filter)}\n` : show(filter));
  return 0;
}

function list(): string {
  const width = Math.max(...filterNames.map(({ name }) => name.length));
  return filterNames.map(({ name, about }) => `${name.padEnd(width)}  ${about}\n`).join('');
}

function show({ name, about, modes, patterns, ignore }: FilterNames): string {
  const lines = [`${name}: ${about}`];
  if (modes.length > 0) lines.push(`modes: ${modes.join(', ')} (${modes[0]} by default)`);
  lines.push('patterns:', ...patterns.map((pattern) => `  ${pattern}`));
  if (ignore.length > 0) lines.push('never a failure:', ...ignore.map((pattern) => `  ${pattern}`));
  return `${lines.join('\n')}\n`;
}
