/**
 * `fail2zig import`: converts a fail2ban configuration into one of ours. Writes the output file,
 * its `.bak` and nothing else. Exit status: 0 everything was converted, 3 with warnings, 4 an
 * enabled jail is not protected now, 1 the tree cannot be read or the file not written, 2 wrong
 * usage.
 */
import { closeSync, constants, existsSync, fsyncSync, openSync, renameSync, rmSync, writeSync } from 'node:fs';
import { resolve } from 'node:path';
import { defaultConfigPath } from '../config/load.ts';
import { readPieces } from '../config/pieces.ts';
import { databaseOf, databasePath } from '../import/database.ts';
import { type Imported, importTree } from '../import/import.ts';
import { exitOf, reportJson, reportText } from '../import/report.ts';
import { banCommands, readRunningBans } from '../import/running-bans.ts';
import { compareJails, type JailComparison } from '../import/side-by-side.ts';
import { jsonText } from '../text/json.ts';
import { printable } from '../text/printable.ts';
import { comparisonText, readLines } from './compare.ts';
import { explain, misuse, readCommand } from './options.ts';

export const usage = `fail2zig import: translate a fail2ban configuration

  fail2zig import [FOLDER] [--output FILE] [--dry-run] [--json] [--force] [--try LOG]...
  fail2zig import [FOLDER] --bans [--database FILE]

  FOLDER          fail2ban's configuration (/etc/fail2ban)
  --output FILE   where to write ours (${defaultConfigPath}); "-" is standard output
  --dry-run       write nothing, only report
  --json          the report as one JSON object on one line
  --force         replace FILE if there is one; the old one is kept as FILE.bak
  --try LOG       show on which lines of LOG a translated filter and an installed fail2ban differ
  --bans          instead: print commands that ban here what fail2ban bans now, for the remaining time
  --database FILE fail2ban's database (dbfile of its fail2ban.conf, else ${databasePath})

Exit status: 0 all carried over, 3 with warnings, 4 an enabled jail is not protected now.
`;

export async function run(argv: string[]): Promise<number> {
  const parsed = readCommand(
    usage,
    argv,
    {
      output: { type: 'string' },
      'dry-run': { type: 'boolean' },
      json: { type: 'boolean' },
      force: { type: 'boolean' },
      try: { type: 'string', multiple: true },
      bans: { type: 'boolean' },
      database: { type: 'string' },
    },
    true,
  );
  if (typeof parsed === 'number') return parsed;
  const { values, positionals } = parsed;
  if (positionals.length > 1) return misuse(usage, 'one folder at a time, please');
  const folder = resolve(positionals[0] ?? '/etc/fail2ban');
  if (values.bans) return printBans(folder, values.database);
  const output = values.output ?? defaultConfigPath;
  const isWritten = !values['dry-run'];
  if (isWritten && output !== '-' && existsSync(output) && !values.force) {
    return failed(`${printable(output)} is there already: --force replaces it and keeps the old one as .bak`);
  }
  let imported: Imported;
  let tried: JailComparison[] = [];
  try {
    imported = importTree(folder);
    tried = await tryLogs(imported, values.try ?? []);
    if (isWritten && output !== '-') replaceFile(output, imported.text);
  } catch (error) {
    return failed(explain(error as Error));
  }
  const exit = exitOf(imported);
  const written = isWritten ? output : undefined;
  if (isWritten && output === '-') process.stdout.write(imported.text);
  const report = values.json
    ? `${jsonText({ ...reportJson(imported, written, exit), tried })}\n`
    : reportText(imported, written, tried.map(comparisonText));
  (output === '-' && isWritten ? process.stderr : process.stdout).write(report);
  if (isWritten && output !== '-') tellPieces(output);
  return exit;
}

/** Says which other files are read with the written one. */
function tellPieces(output: string): void {
  const [, ...beside] = readPieces(output).pieces.map(({ path }) => printable(path));
  if (beside.length === 0) return;
  const hint = `\`fail2zig check --config ${printable(output)}\` says whether they fit together`;
  process.stderr.write(`fail2zig import: read with it: ${beside.join(', ')}; ${hint}\n`);
}

/** Runs the jails with translated filters over the lines of the logs. */
async function tryLogs(imported: Imported, logs: readonly string[]): Promise<JailComparison[]> {
  const { jails, filters } = imported.plan;
  const translated = jails.filter((jail) => jail.enabled && filters.some(({ filter }) => filter.name === jail.filter));
  if (logs.length === 0 || translated.length === 0) return [];
  const names = translated.map(({ original }) => original);
  return compareJails(imported, names, readLines(logs), Math.floor(Date.now() / 1000));
}

async function printBans(folder: string, given: string | undefined): Promise<number> {
  try {
    const { plan } = importTree(folder);
    const path = given ?? databaseOf(folder) ?? databasePath;
    const bans = await readRunningBans(path, Math.floor(Date.now() / 1000));
    const nameOf = (jail: string): string | undefined =>
      plan.jails.find((each) => each.enabled && each.original === jail)?.name;
    process.stdout.write(
      banCommands(bans, nameOf)
        .map((line) => `${line}\n`)
        .join(''),
    );
    return 0;
  } catch (error) {
    return failed(explain(error as Error));
  }
}

/** Writes the file completely or not at all; an existing one is kept as `.bak`. */
function replaceFile(path: string, text: string): void {
  const fresh = `${path}.new`;
  rmSync(fresh, { force: true });
  const descriptor = openSync(
    fresh,
    constants.O_WRONLY | constants.O_CREAT | constants.O_EXCL | constants.O_NOFOLLOW,
    0o600,
  );
  try {
    writeSync(descriptor, text);
    fsyncSync(descriptor);
  } finally {
    closeSync(descriptor);
  }
  if (existsSync(path)) renameSync(path, `${path}.bak`);
  renameSync(fresh, path);
}

function failed(message: string): number {
  process.stderr.write(`fail2zig import: ${message}\n`);
  return 1;
}
