/**
 * `fail2zig match`: which lines of a log a filter matches, and why not the others (like
 * fail2ban-regex). Needs no privileges, changes nothing, drops no line for its age. Follows
 * connections like the daemon. Exit status: 0 done, whatever matched; 1 the input cannot be read; 2
 * wrong usage.
 */

import { type KnownFilter, knownFilters } from '../config/known-filters.ts';
import { loadConfig } from '../config/load.ts';
import { nearest } from '../config/nearest.ts';
import { Examiner, type Verdict } from '../engine/examiner.ts';
import { formatAddress } from '../text/address.ts';
import { jsonText } from '../text/json.ts';
import { printable } from '../text/printable.ts';
import type { FilterProgram } from '../types.ts';
import { eachLine } from './lines.ts';
import { explain, misuse, readCommand } from './options.ts';

export const usage = `fail2zig match: show which lines of a log a filter matches

  fail2zig match --filter NAME[:MODE] [--config FILE] [--json] [--now EPOCH] [--journal] [FILE|-]

  --filter NAME[:MODE]  the filter (\`fail2zig filters\` lists them), in its default mode or MODE
  --config FILE         the filter may also be one of this configuration's
  --json                one JSON object per line of input, in order
  --now EPOCH           the clock for lines without a year, in seconds (default: now)
  --journal             lines are as in the journal: no time, [host ]identifier[pid]: message
  FILE                  the log, or a file of systemd's journal; "-" or nothing is standard input
`;

/** `time`: when an entry of a journal was written. */
type Examine = (line: Uint8Array, cut: boolean, time?: number) => Verdict;

/** Output is written in pieces of about this many characters. */
const outputCharacters = 64 * 1024;
const missedShown = 10;
/** Lines that matched, shown one by one. */
const matchedShown = 20;

export async function run(argv: string[]): Promise<number> {
  const parsed = readCommand(
    usage,
    argv,
    {
      filter: { type: 'string' },
      config: { type: 'string' },
      json: { type: 'boolean' },
      now: { type: 'string' },
      journal: { type: 'boolean' },
    },
    true,
  );
  if (typeof parsed === 'number') return parsed;
  const { values, positionals } = parsed;
  if (values.filter === undefined) return misuse(usage, '--filter NAME is needed');
  if (positionals.length > 1) return misuse(usage, 'one file at a time, please');
  let filters: FilterProgram[] = [];
  try {
    if (values.config !== undefined) filters = loadConfig(values.config).config.filters;
  } catch (error) {
    return failed(error as Error);
  }
  const chosen = chooseFilter(values.filter, filters);
  if (typeof chosen === 'string') return misuse(usage, chosen);
  const now = values.now === undefined ? Math.floor(Date.now() / 1000) : Number(values.now);
  if (!Number.isFinite(now) || now < 0) return misuse(usage, '--now takes seconds since 1970');

  const { name, mode } = chosen;
  const jail = { filter: name, mode, maxretry: 1, findtime: 600, bantime: 600, ipv6Prefix: 128, ignore: [] };
  const engine = await Examiner.create({ jails: [jail], filters, tableBytes: 0, now });
  const path = positionals[0] ?? '-';
  const examine = (line: Uint8Array, cut: boolean, time?: number): Verdict =>
    engine.examine(line, name, mode, time ?? now, time !== undefined || (values.journal ?? false), cut);
  try {
    if (values.json) printJson(path, name, examine);
    else printSummary(path, values.filter, examine);
  } catch (error) {
    return failed(error as Error);
  }
  return 0;
}

function failed(error: Error): number {
  process.stderr.write(`fail2zig match: ${explain(error)}\n`);
  return 1;
}

/** The filter and mode that `text` names, built in or from `own`; or what is wrong with it. */
export function chooseFilter(
  text: string,
  own: readonly FilterProgram[] = [],
): { name: string; mode: string } | string {
  const filters: KnownFilter[] = [...knownFilters, ...own.map((filter) => ({ name: filter.name, modes: [] }))];
  const colon = text.indexOf(':');
  const name = colon < 0 ? text : text.slice(0, colon);
  const mode = colon < 0 ? '' : text.slice(colon + 1);
  const known = filters.find((filter) => filter.name === name);
  if (!known) {
    const near = nearest(
      name,
      filters.map((filter) => filter.name),
    );
    return `unknown filter "${printable(name, 60)}"${near === undefined ? '' : `; did you mean "${near}"?`}`;
  }
  if (mode === '' || known.modes.includes(mode)) return { name, mode };
  const modes = known.modes.length === 0 ? 'has no modes' : `has the modes ${known.modes.join(', ')}`;
  return `filter ${name} ${modes}; "${printable(mode, 60)}" is not one of them`;
}

function userText(verdict: Verdict): string | undefined {
  return verdict.user && verdict.user.length > 0 ? Buffer.from(verdict.user).toString('utf8') : undefined;
}

function printJson(path: string, filter: string, examine: Examine): void {
  let number = 0;
  let out = '';
  eachLine(path, (line, cut, entryTime) => {
    const verdict = examine(line, cut, entryTime);
    const { address, pattern, attempts, time, outcome } = verdict;
    number++;
    const answer = address
      ? {
          line: number,
          match: true,
          filter,
          pattern,
          ip: formatAddress(address),
          user: userText(verdict),
          time,
          attempts,
          ...(outcome === 'counted-before' ? { counted: false } : {}),
        }
      : { line: number, match: false, filter, why: outcome, pattern };
    out += `${jsonText(answer)}\n`;
    if (out.length > outputCharacters) {
      process.stdout.write(out);
      out = '';
    }
  });
  process.stdout.write(out);
}

function printSummary(path: string, filter: string, examine: Examine): void {
  let lines = 0;
  let matched = 0;
  let cutLines = 0;
  const patterns = new Map<string, number>();
  const others = new Map<string, number>();
  const missed: string[] = [];
  const shown: string[] = [];
  const bump = (counts: Map<string, number>, key: string): void => void counts.set(key, (counts.get(key) ?? 0) + 1);
  const notes = eachLine(path, (line, cut, time) => {
    const verdict = examine(line, cut, time);
    const { address, pattern, outcome } = verdict;
    lines++;
    if (cut) cutLines++;
    if (address) {
      matched++;
      bump(patterns, pattern!);
      if (matched <= matchedShown) {
        const at = verdict.time > 0 ? new Date(verdict.time * 1000).toISOString() : 'no time';
        const times = verdict.attempts === undefined ? '' : `, ${verdict.attempts} attempts`;
        shown.push(`  ${lines}: ${formatAddress(address)}  ${at}  ${pattern}${times}`);
        shown.push(`    ${printable(Buffer.from(line).toString('latin1'))}`);
      }
      return;
    }
    bump(others, pattern === undefined ? outcome : `${outcome} (${pattern})`);
    if (pattern === undefined && outcome !== 'repeats-nothing' && missed.length < missedShown) {
      missed.push(`  ${lines}: ${printable(Buffer.from(line).toString('latin1'))}`);
    }
  });
  const table = (counts: Map<string, number>): string =>
    [...counts]
      .sort((one, other) => other[1] - one[1])
      .map(([key, count]) => `  ${String(count).padStart(9)}  ${key}\n`)
      .join('');
  let out = `filter ${filter}: ${lines} lines, ${matched} matched, ${lines - matched} not\n`;
  for (const note of notes) out += `${note}\n`;
  if (cutLines > 0) out += `${cutLines} lines were longer than the limit and read up to it\n`;
  if (patterns.size > 0) out += `matched by pattern\n${table(patterns)}`;
  const first = matched > matchedShown ? 'first ' : '';
  if (shown.length > 0) out += `${first}lines that matched: address, time, pattern\n${shown.join('\n')}\n`;
  if (others.size > 0) out += `not matched, and why\n${table(others)}`;
  if (missed.length > 0) out += `first lines that no pattern knows\n${missed.join('\n')}\n`;
  process.stdout.write(out);
}
