/**
 * `fail2zig import`: a fail2ban configuration as one of ours. Writes the output file, its `.bak`
 * and nothing else. Exit status: 0 all carried over, 3 with warnings, 4 a jail that was enabled is
 * not protected now, 1 the tree cannot be read or the file not written, 2 misused.
 */
import { closeSync, constants, existsSync, fsyncSync, openSync, renameSync, rmSync, writeSync } from 'node:fs';
import { resolve } from 'node:path';
import { defaultConfigPath } from '../config/load.ts';
import { type Imported, importTree } from '../import/import.ts';
import { exitOf, reportJson, reportText } from '../import/report.ts';
import { jsonText } from '../text/json.ts';
import { printable } from '../text/printable.ts';
import { exitUsage, explain, parseOptions } from './options.ts';

const usage = `fail2zig import: translate a fail2ban configuration

  fail2zig import [FOLDER] [--output FILE] [--dry-run] [--json] [--force]

  FOLDER          fail2ban's configuration (/etc/fail2ban)
  --output FILE   where to write ours (${defaultConfigPath}); "-" is standard output
  --dry-run       write nothing, only report
  --json          the report as one JSON object on one line
  --force         replace FILE if there is one; the old one is kept as FILE.bak

Exit status: 0 all carried over, 3 with warnings, 4 a jail that was enabled is not protected now.
`;

export async function run(argv: string[]): Promise<number> {
  const parsed = parseOptions(
    'fail2zig import',
    argv,
    {
      output: { type: 'string' },
      'dry-run': { type: 'boolean' },
      json: { type: 'boolean' },
      force: { type: 'boolean' },
      help: { type: 'boolean' },
    },
    true,
  );
  if (!parsed) return exitUsage;
  const { values, positionals } = parsed;
  if (values.help) {
    process.stdout.write(usage);
    return 0;
  }
  if (positionals.length > 1) return misuse('one folder at a time, please');
  const output = values.output ?? defaultConfigPath;
  const isWritten = !values['dry-run'];
  if (isWritten && output !== '-' && existsSync(output) && !values.force) {
    return failed(`${printable(output)} is there already: --force replaces it and keeps the old one as .bak`);
  }
  let imported: Imported;
  try {
    imported = importTree(resolve(positionals[0] ?? '/etc/fail2ban'));
    if (isWritten && output !== '-') replaceFile(output, imported.text);
  } catch (error) {
    return failed(explain(error as Error));
  }
  const exit = exitOf(imported);
  const written = isWritten ? output : undefined;
  if (isWritten && output === '-') process.stdout.write(imported.text);
  const report = values.json ? `${jsonText(reportJson(imported, written, exit))}\n` : reportText(imported, written);
  (output === '-' && isWritten ? process.stderr : process.stdout).write(report);
  return exit;
}

/** Writes the file whole or not at all; one that is there is kept as `.bak`. */
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

function misuse(message: string): number {
  process.stderr.write(`fail2zig import: ${message}\nTry \`fail2zig import --help\`.\n`);
  return exitUsage;
}
