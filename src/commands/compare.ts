/**
 * `fail2zig compare`: runs our engine and fail2ban's over the same log, for the jails of a fail2ban
 * tree. Changes nothing. Exit status: 0 they agree, 3 they differ, 1 something cannot be read or
 * fail2ban cannot be run, 2 wrong usage.
 */
import { resolve } from 'node:path';
import { importTree } from '../import/import.ts';
import { comparedLinesMax } from '../import/limits.ts';
import { compareJails, type JailComparison } from '../import/side-by-side.ts';
import { jsonText } from '../text/json.ts';
import { printable } from '../text/printable.ts';
import { eachLine } from './lines.ts';
import { explain, misuse, readCommand } from './options.ts';

export const usage = `fail2zig compare: compare our decisions about a log with those of an installed fail2ban

  fail2zig compare [--fail2ban FOLDER] [--jail NAME]... [--json] [--now EPOCH] LOG...

  --fail2ban FOLDER   fail2ban's configuration (/etc/fail2ban)
  --jail NAME         only this jail, enabled or not; may be repeated
  --now EPOCH         the clock for lines without a year, in seconds (default: now)
  --json              one JSON object on one line
  LOG                 logs, oldest first; "-" is standard input

Exit status: 0 they agree, 3 they differ.
`;

/** Differences shown for one jail; --json has all of them. */
const shownMax = 20;
const exitDiffers = 3;

export async function run(argv: string[]): Promise<number> {
  const parsed = readCommand(
    usage,
    argv,
    {
      fail2ban: { type: 'string' },
      jail: { type: 'string', multiple: true },
      json: { type: 'boolean' },
      now: { type: 'string' },
    },
    true,
  );
  if (typeof parsed === 'number') return parsed;
  const { values, positionals } = parsed;
  if (positionals.length === 0) return misuse(usage, 'which LOG?');
  const now = values.now === undefined ? Math.floor(Date.now() / 1000) : Number(values.now);
  if (!Number.isFinite(now) || now < 0) return misuse(usage, '--now takes seconds since 1970');
  try {
    const imported = importTree(resolve(values.fail2ban ?? '/etc/fail2ban'), values.jail ?? []);
    const results = await compareJails(imported, values.jail ?? [], readLines(positionals), now);
    process.stdout.write(values.json ? `${jsonText({ jails: results })}\n` : results.map(comparisonText).join('\n'));
    if (results.length === 0)
      return misuse(usage, 'no such jail is enabled, or can be carried over: fail2zig import says why');
    if (results.some(({ unasked }) => unasked !== undefined)) return 1;
    return results.some(differs) ? exitDiffers : 0;
  } catch (error) {
    process.stderr.write(`fail2zig compare: ${explain(error as Error)}\n`);
    return 1;
  }
}

export function readLines(paths: readonly string[]): string[] {
  const lines: string[] = [];
  for (const path of paths) {
    eachLine(path, (line) => {
      if (lines.length < comparedLinesMax) lines.push(Buffer.from(line).toString('utf8'));
    });
  }
  return lines;
}

export function differs({ differences, onlyOurBans, onlyTheirBans }: JailComparison): boolean {
  return differences.length + onlyOurBans.length + onlyTheirBans.length > 0;
}

export function comparisonText(result: JailComparison): string {
  const { jail, filter, lines, ours, theirs, differences, onlyOurBans, onlyTheirBans, sameBans, unasked } = result;
  if (unasked !== undefined) {
    return `jail ${printable(jail)}, filter ${filter}: ${lines} lines, ${ours} failures here; fail2ban was not asked: ${printable(unasked)}\n`;
  }
  const out = [
    `jail ${printable(jail)}, filter ${filter}: ${lines} lines, ${ours} failures here, ${theirs} for fail2ban, ${differences.length} differ; ${sameBans} bans at the same line`,
  ];
  for (const { line, text, ours, theirs, reason } of differences.slice(0, shownMax)) {
    out.push(`  line ${line}: here ${ours}, fail2ban ${theirs}: ${reason}`, `    ${printable(text)}`);
  }
  if (differences.length > shownMax) out.push(`  ${differences.length - shownMax} more lines differ`);
  for (const ban of onlyOurBans.slice(0, shownMax)) out.push(`  banned here only: ${ban}`);
  for (const ban of onlyTheirBans.slice(0, shownMax)) out.push(`  banned by fail2ban only: ${ban}`);
  return `${out.join('\n')}\n`;
}
