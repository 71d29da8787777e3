/**
 * The command `fail2zig-fleet`: shares bans with other hosts over a CrowdSec Local API. A separate
 * process without privileges, which talks to the daemon like any client. It connects to nothing
 * unless the configuration has a [fleet].
 */
import { getPriority, setPriority } from 'node:os';
import { isSea } from 'node:sea';
import { figuresOf, problemsOf, readPage } from '../client/fleet-page.ts';
import { type Compiled, compilePieces } from '../config/compile.ts';
import type { FleetConfig } from '../config/fleet.ts';
import { findGroup } from '../config/group.ts';
import { knownFilters } from '../config/known-filters.ts';
import { readPieces } from '../config/pieces.ts';
import { ConfigError } from '../config/problem.ts';
import { Log, type Logger } from '../log.ts';
import { MetricsServer } from '../observe/metrics-server.ts';
import { printable } from '../text/printable.ts';
import { sayUncaught } from '../uncaught.ts';
import { version } from '../version.ts';
import { Figures, seriesOf } from './figures.ts';
import { heapMegabytes, niceness, stopMs } from './limits.ts';
import { LocalDaemon } from './local.ts';
import { Receiver } from './receiver.ts';
import { SecretError } from './secrets.ts';
import { Sender, scenarioOf } from './sender.ts';
import { readCredentials, Server } from './server.ts';
import { Spool } from './spool.ts';
import { presentFigures } from './status.ts';
import { usage } from './usage.ts';

const exits = { done: 0, problems: 1, usage: 2, unreachable: 4, config: 78 } as const;

/** V8 flags, each with its reason. */
const flags = [
  // Lists of decisions are read in pieces, so the heap does not grow with them.
  `--max-old-space-size=${heapMegabytes}`,
  // An exit would wait for ever for a thread that compiles while the heap is full, as in
  // commands/start.ts.
  '--no-concurrent-sparkplug',
  // No eval, no new Function, in a process that reads bytes of other hosts.
  '--disallow-code-generation-from-strings',
  // SIGUSR1 would otherwise open a debugger port.
  '--disable-sigusr1',
];
/** Set if the process was started with these flags. */
const startedVariable = 'FAIL2ZIG_FLEET_STARTED';

const say = (text: string): void => {
  process.stderr.write(`fail2zig-fleet: ${text}\n`);
};

/**
 * Bulk work beside a daemon that must answer at once. Before the restart, so that every thread has
 * this priority; the unit sets it as well, and may forbid us to.
 */
function giveWay(): void {
  try {
    if (getPriority() < niceness) setPriority(niceness);
  } catch {
    // Then it keeps the priority that it was started with.
  }
}

/** Restarts this program with the flags; returns if that is not possible. */
function withFlags(words: readonly string[]): void {
  const env = { ...process.env, [startedVariable]: '1' };
  const self = isSea() ? [process.argv[1]!] : [process.execPath, ...flags, process.argv[1]!];
  const options = isSea() ? [`--node-options=${flags.join(' ')}`] : [];
  process.execve?.(process.execPath, [...self, ...options, ...words], env);
}

interface Given {
  config: string;
  command: 'run' | 'status' | 'help' | 'version';
}

/** The arguments; a string says what is wrong. */
export function parseWords(words: readonly string[]): Given | string {
  const given: Given = { config: '/etc/fail2zig.toml', command: 'run' };
  for (let at = 0; at < words.length; at++) {
    const word = words[at]!;
    if (word === '--config' || word === '-c') {
      const path = words[++at];
      if (path === undefined) return `${word} needs the path of a file`;
      given.config = path;
    } else if (word.startsWith('--config=')) given.config = word.slice('--config='.length);
    else if (word === 'status') given.command = 'status';
    else if (word === '--help' || word === '-h') given.command = 'help';
    else if (word === '--version') given.command = 'version';
    else return `"${printable(word)}" is no word that it knows`;
  }
  return given;
}

interface Loaded {
  compiled: Compiled;
  fleet: FleetConfig;
}

/** The configuration; prints why if it is not usable or has no [fleet]. */
function load(path: string): Loaded | undefined {
  try {
    const compiled = compilePieces(readPieces(path).pieces, { filters: knownFilters, groupId: findGroup });
    const { fleet } = compiled;
    if (fleet !== undefined) return { compiled, fleet };
    say(`${printable(path, path.length)} has no [fleet], or it is off: nothing is shared, nothing is connected to`);
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error;
    say(`the configuration cannot be used\n${error.message}`);
  }
  return undefined;
}

async function showStatus({ metricsPort }: FleetConfig): Promise<number> {
  let page: string;
  try {
    page = await readPage(metricsPort);
  } catch (error) {
    say(`nobody answers on 127.0.0.1 port ${metricsPort}: ${(error as Error).message}`);
    return exits.unreachable;
  }
  const figures = figuresOf(page);
  process.stdout.write(presentFigures(figures));
  return problemsOf(figures).length > 0 ? exits.problems : exits.done;
}

/** Resolves at the first signal to stop. */
function untilStopped(): AbortSignal {
  const stop = new AbortController();
  for (const name of ['SIGTERM', 'SIGINT'] as const) process.once(name, () => stop.abort());
  return stop.signal;
}

async function runFleet({ compiled, fleet }: Loaded): Promise<number> {
  const { config } = compiled;
  const log = new Log({ level: config.log.level, format: config.log.format });
  const figures = new Figures();
  const credentials = readCredentials(fleet);
  const signal = untilStopped();
  const daemon = new LocalDaemon(config.control.path);
  const scenarios = config.jails.filter(({ name }) => name !== fleet.jail).map(({ name }) => scenarioOf(name));
  const server = new Server({ config: fleet, credentials, scenarios });
  const spool = fleet.machine === undefined ? undefined : await Spool.open(fleet.directory, fleet.spoolBytes);
  if (spool?.problem !== undefined) log.warn('the spool was damaged', { problem: spool.problem });
  const page = new MetricsServer({ series: seriesOf(figures, spool, () => Date.now() / 1000), log });
  void page.start('127.0.0.1', fleet.metricsPort);
  const { url, machine = '', receives } = fleet;
  log.info('started', { version, url, machine, receives, waiting: spool?.waiting ?? 0 });
  const common = { daemon, server, figures, log };
  const bantimes = new Map(config.jails.map(({ name, bantime }) => [name, bantime]));
  const parts: Promise<void>[] = [];
  if (spool !== undefined)
    parts.push(new Sender({ ...common, machine, fleetJail: fleet.jail, bantimes, spool }).run(signal));
  if (receives) {
    const jail = config.jails.find(({ name }) => name === fleet.jail);
    const ownMark = machine === '' ? undefined : `@${machine}`;
    const { bansMax } = config.firewall;
    const ipv6Prefix = jail?.ipv6Prefix ?? 64;
    parts.push(new Receiver({ ...common, config: fleet, ownMark, ipv6Prefix, bansMax }).run(signal));
  }
  const told = setInterval(() => tellProblems(figures, log), 1_000);
  await Promise.race([Promise.all(parts), stopped(signal)]);
  clearInterval(told);
  await spool?.close();
  await page.close();
  log.info('stopped', { waiting: spool?.waiting ?? 0 });
  return exits.done;
}

/** A part that still waits for an answer does not delay the stop. */
async function stopped(signal: AbortSignal): Promise<void> {
  await new Promise((resolve) => signal.addEventListener('abort', resolve, { once: true }));
  await new Promise((resolve) => setTimeout(resolve, stopMs).unref());
}

const toldOf = new Map<string, string>();

/** Logs each problem once, when it begins and when it ends. */
function tellProblems({ problems }: Figures, log: Logger): void {
  for (const [part, problem] of problems) {
    if (toldOf.get(part) === problem) continue;
    toldOf.set(part, problem);
    log.warn('something is wrong', { part, problem });
  }
  for (const part of toldOf.keys()) {
    if (problems.has(part as never)) continue;
    toldOf.delete(part);
    log.info('it is well again', { part });
  }
}

async function main(words: readonly string[]): Promise<number> {
  const given = parseWords(words);
  if (typeof given === 'string') {
    say(given);
    process.stderr.write(usage);
    return exits.usage;
  }
  if (given.command === 'help') process.stdout.write(usage);
  else if (given.command === 'version') process.stdout.write(`fail2zig-fleet ${version}\n`);
  else {
    const loaded = load(given.config);
    if (loaded === undefined) return exits.config;
    if (given.command === 'status') return showStatus(loaded.fleet);
    giveWay();
    if (process.env[startedVariable] === undefined) withFlags(words);
    try {
      return await runFleet(loaded);
    } catch (error) {
      if (!(error instanceof SecretError) && (error as NodeJS.ErrnoException).syscall === undefined) throw error;
      say(`${(error as Error).message}: nothing was started`);
      return exits.config;
    }
  }
  return exits.done;
}

sayUncaught('fail2zig-fleet');
main(process.argv.slice(2)).then((code) => {
  process.exit(code);
});
