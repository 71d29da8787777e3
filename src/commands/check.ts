/**
 * `fail2zig check [--config FILE] [--json]`: says whether the configuration is usable, or
 * everything that is wrong with it; `--suggest` writes one for this host to standard output.
 * Changes nothing and needs no privileges beyond reading the file. Exit status: 0 usable, 78 not
 * (EX_CONFIG, as the daemon's own), 2 wrong usage.
 */
import { spawnSync } from 'node:child_process';
import { closeSync, existsSync, readdirSync, statSync } from 'node:fs';
import { dirname } from 'node:path';
import { isSea } from 'node:sea';
import { hasDestinationNat } from '../backends/destination-nat.ts';
import { formatDuration } from '../config/duration.ts';
import type { OperatorFilter } from '../config/filter.ts';
import { defaultConfigPath, type Loaded, loadConfig } from '../config/load.ts';
import { piecesDirectory } from '../config/pieces.ts';
import { formatPorts } from '../config/port.ts';
import { ConfigError, type Problem } from '../config/problem.ts';
import { formatSize } from '../config/size.ts';
import { followedFilesMax, maxretryExactMax } from '../limits.ts';
import { matchesComponent, splitPattern } from '../sources/glob.ts';
import { mounts } from '../sources/place.ts';
import { printable } from '../text/printable.ts';
import type { CoreConfig, CoreList, JailConfig } from '../types.ts';
import { misuse, readCommand } from './options.ts';
import { readLines } from './show-filter.ts';
import { coreArguments, coreEnvironment, exitConfig, handedAddon, handedRecord } from './start.ts';

export const usage = `fail2zig check: say whether the configuration is usable, or what is wrong with it

  --config FILE   the configuration (${defaultConfigPath}); with NAME.toml, NAME.d/*.toml
  --json          one JSON object on one line
  --suggest       print a configuration for this host instead: its services, their
                  logs or the journal, the ports of its sshd; changes nothing
  --root DIR      with --suggest: look at the system below DIR
`;

export async function run(argv: string[]): Promise<number> {
  const parsed = readCommand(usage, argv, {
    config: { type: 'string' },
    json: { type: 'boolean' },
    suggest: { type: 'boolean' },
    root: { type: 'string' },
  });
  if (typeof parsed === 'number') return parsed;
  const { config = defaultConfigPath, json = false, suggest: isAsked = false, root } = parsed.values;
  const other = ['config', 'json'].find((name) => name in parsed.values);
  if (isAsked && other !== undefined) return misuse(usage, `--${other} does not go with --suggest`);
  if (!isAsked && root !== undefined) return misuse(usage, '--root goes with --suggest only');
  if (isAsked) return (await import('./suggest.ts')).suggest(root);
  try {
    const compiled = loadConfig(config, 'checked');
    const problems = startProblems(compiled.config);
    if (problems.length > 0) throw new ConfigError(printable(config), problems);
    compiled.warnings.push(...unreadLogs(compiled.config.jails), ...(await publishedPorts(compiled.config.jails)));
    process.stdout.write(json ? `${JSON.stringify(asJson(compiled))}\n` : summary(compiled));
    return 0;
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error;
    const { path, problems, omitted } = error;
    if (json) process.stdout.write(`${JSON.stringify({ ok: false, path, problems, omitted })}\n`);
    else process.stdout.write(`${error.message}\n${count(problems.length + omitted, 'mistake')}\n`);
    return exitConfig;
  }
}

/**
 * Problems that only a start shows. The core itself checks whether the ceiling fits the
 * configuration: it is started with `--check`, measures, and ends.
 */
function startProblems(config: CoreConfig): Problem[] {
  const problems: Problem[] = [];
  const add = (key: string, reason: string, hint: string): void => {
    problems.push({ kind: 'value', line: 0, column: 0, key, reason, hint });
  };
  const home = dirname(config.control.path);
  if (config.control.enabled && !existsSync(home) && !existsSync(dirname(home))) {
    add('control.socket', `the directory ${printable(home)} is missing`, `mkdir -p ${printable(home)}`);
  }
  const command = coreArguments(3);
  // When run from source, the core also needs memory for the sources, so only a built core can
  // tell.
  if (command === undefined || command.some((word) => word.endsWith('daemon.ts'))) return problems;
  // The descriptor of the addon is inherited unchanged.
  const addon = isSea() ? handedAddon() : undefined;
  const fd = handedRecord({ ...config, log: { level: 'error', format: 'json' } });
  try {
    const { status, stderr } = spawnSync(process.execPath, [...command, '--check'], {
      env: coreEnvironment(process.env),
      encoding: 'utf8',
      stdio: ['ignore', 'ignore', 'pipe', fd],
    });
    if (status === exitConfig) add('memory.ceiling', errorOf(stderr), 'raise the ceiling, or have fewer jails');
  } finally {
    closeSync(fd);
    if (addon !== undefined) closeSync(addon);
  }
  return problems;
}

/** The reason from the core's last log line, which is JSON. */
function errorOf(stderr: string): string {
  try {
    return printable(String((JSON.parse(stderr.trim().split('\n').at(-1) ?? '') as { error: unknown }).error));
  } catch {
    return printable(stderr.trim());
  }
}

/** Logs that the daemon would not follow: on a mount that may hang, or too many. */
export function unreadLogs(jails: JailConfig[]): string[] {
  mounts.refresh();
  mounts.allow(jails.filter(({ network }) => network).flatMap(({ logpath }) => logpath));
  const paths = [...new Set(jails.flatMap(({ logpath }) => logpath))];
  const far = paths.flatMap((path) => {
    try {
      mounts.check(path);
      return [];
    } catch (error) {
      return [printable((error as Error).message)];
    }
  });
  const files = paths.reduce((sum, path) => sum + countFiles(path), 0);
  if (files <= followedFilesMax) return far;
  return [...far, `${files} log files fit, and ${followedFilesMax} are followed at once: a share of each pattern`];
}

/** A jail that only uses the hook `input` does not block clients of published ports. */
export async function publishedPorts(jails: JailConfig[]): Promise<string[]> {
  const narrow = jails.filter(({ hooks }) => !hooks.includes('forward')).map(({ name }) => name);
  if (narrow.length === 0 || !(await hasDestinationNat())) return [];
  return [
    `this host has DNAT rules, as for published ports of containers, and hooks has no "forward" in ${narrow.join(', ')}: their bans do not stop clients of those ports`,
  ];
}

function asJson({ config, warnings, filters, files }: Loaded): object {
  const jails = config.jails.map((jail) => ({
    name: jail.name,
    filter: jail.filter,
    mode: jail.mode,
    logpath: jail.logpath.map((path) => ({ path, files: countFiles(path) })),
    ...(jail.journal && { journal: jail.journal.text }),
  }));
  const own = filters.map(({ program: { name, patterns, ignore }, definition: { tags } }) => ({
    name,
    patterns,
    ignore,
    tags,
  }));
  const lists = config.lists?.map(({ file, use, jail: name }) => ({ file, use, ...(use === 'ban' && { jail: name }) }));
  return { ok: true, path: config.path, files, filters: own, jails, ...(lists && { lists }), warnings };
}

function summary({ config, warnings, filters, files }: Loaded): string {
  const { memory, firewall } = config;
  const beside = files.length - 1;
  const more = beside === 0 ? '' : ` and ${count(beside, 'file')} of ${printable(piecesDirectory(config.path))}`;
  const lines = [
    `OK ${printable(config.path)}${more}`,
    `memory ceiling ${formatSize(memory.ceilingBytes)}, ${memory.evictionPolicy}; firewall ${firewall.backend}`,
    ...filters.filter(({ program }) => isRead(program.name, config.jails)).map(filterLine),
    ...config.jails.flatMap(jailLines),
    ...(config.lists ?? []).map(listLine),
    ...warnings.map((warning) => `warning: ${warning}`),
  ];
  return `${lines.join('\n')}\n`;
}

const readsLogs = ({ logpath, journal }: JailConfig): boolean => logpath.length > 0 || journal !== undefined;

/** Whether a jail that reads logs has the filter, or none at all. */
function isRead(filter: string, jails: readonly JailConfig[]): boolean {
  const its = jails.filter((jail) => jail.filter === filter);
  return its.length === 0 || its.some(readsLogs);
}

function listLine({ file, use, jail, elements }: CoreList): string {
  const size = `${elements[4] + elements[6]} addresses and prefixes`;
  return `list ${printable(file)}: ${size}, ${use === 'ban' ? `banned in ${jail}` : 'ignored'}`;
}

function filterLine({ program, definition, samples, counters }: OperatorFilter): string {
  const parts = [count(program.patterns.length, 'pattern')];
  if (program.ignore.length > 0) parts.push(`${program.ignore.length} to ignore`);
  const lines = samples.length + counters.length;
  if (lines > 0) parts.push(`${count(lines, 'line')} tried`);
  return `filter ${program.name}: ${parts.join(', ')}; ${readLines(definition)}`;
}

function jailLines(jail: JailConfig): string[] {
  // What lists or other hosts ban.
  if (!readsLogs(jail)) return [`jail ${jail.name}: reads no log, port ${formatPorts(jail.ports)}`];
  const filter = jail.mode === '' ? jail.filter : `${jail.filter}:${jail.mode}`;
  const bantime = jail.bantime === -1 ? 'for ever' : `for ${formatDuration(jail.bantime)}`;
  const parts = jail.maxretry > maxretryExactMax ? ', counted by sixteenths,' : '';
  const rule = `${count(jail.maxretry, 'failure')} in ${formatDuration(jail.findtime)}${parts} ban ${bantime}`;
  return [
    `jail ${jail.name}: filter ${filter}, ${rule}, port ${formatPorts(jail.ports)}`,
    ...(jail.journal ? [`  journal: ${printable(jail.journal.text)}`] : []),
    ...jail.logpath.map((path) => `  ${printable(path)}: ${found(countFiles(path))}`),
  ];
}

function found(files: number): string {
  return files === 0 ? 'no such file yet; it is read once it appears' : count(files, 'file');
}

function count(number: number, noun: string): string {
  return `${number} ${noun}${number === 1 ? '' : 's'}`;
}

/**
 * The number of regular files that match the path, which may contain `*` and `?`. Unreadable
 * directories count as empty.
 */
export function countFiles(pattern: string): number {
  return namedFiles(pattern).length;
}

/** These files. */
export function namedFiles(pattern: string): string[] {
  let directories = [''];
  const components = splitPattern(pattern);
  const last = components.pop();
  if (last === undefined) return [];
  for (const component of components) directories = directories.flatMap((directory) => entries(directory, component));
  return directories.flatMap((directory) => entries(directory, last)).filter(isFile);
}

function entries(directory: string, component: string): string[] {
  if (!/[*?]/.test(component)) return [`${directory}/${component}`];
  try {
    mounts.check(directory);
    const names = readdirSync(directory === '' ? '/' : directory);
    return names.filter((name) => matchesComponent(name, component)).map((name) => `${directory}/${name}`);
  } catch {
    return [];
  }
}

function isFile(path: string): boolean {
  try {
    mounts.check(path);
    return statSync(path).isFile();
  } catch {
    return false;
  }
}
