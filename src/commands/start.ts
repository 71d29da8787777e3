/**
 * The launch stage: reads and checks the configuration, then replaces itself with the core
 * (`execve`, no fork). Everything that the configuration needed (zod, smol-toml, their heap) is
 * gone then, so no parser of ours stays in the daemon's memory. Rights that only a start needs are
 * dropped (confinement/launch.ts). The core gets the checked record in a sealed memory file, its V8
 * flags from here, an environment of the few variables below, and none of the caller's descriptors
 * except the standard ones.
 *
 * Exit status: 78 (EX_CONFIG of sysexits.h) for an unusable configuration, so that a unit with
 * `RestartPreventExitStatus=78` is not restarted over and over; systemd shows it as
 * `status=78/CONFIG`. The same if the directory of the control socket is missing. 69
 * (EX_UNAVAILABLE) if the socket is in use or cannot be created. 70 (EX_SOFTWARE) if the core
 * cannot be started.
 */
import { closeSync, existsSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { isSea } from 'node:sea';
import { takeCoverage } from 'node:v8';
import { coreOldSpaceMegabytes, corePoolThreads, coreSemiSpaceMegabytes } from '../config/limits.ts';
import { defaultConfigPath, loadConfig } from '../config/load.ts';
import { ConfigError } from '../config/problem.ts';
import { writeCoreConfig } from '../config/record.ts';
import { confine } from '../confinement/launch.ts';
import { SocketPathError } from '../control/socket-path.ts';
import { followedFileBytes, followedFilesMax, followedFilesUsual } from '../limits.ts';
import { Log } from '../log.ts';
import { native } from '../native.ts';
import { addonVariable, readPart } from '../parts.ts';
import { notifyVariable } from '../service.ts';
import { findPaths } from '../sources/find.ts';
import { splitPattern } from '../sources/glob.ts';
import { mounts } from '../sources/place.ts';
import { printable } from '../text/printable.ts';
import type { CoreConfig, Handed } from '../types.ts';
import { exitSoftware } from '../uncaught.ts';

export const exitConfig = 78;
const exitTaken = 69;

/** V8 flags of the core, each with its reason. */
export const coreFlags: readonly string[] = [
  // Limits the heap, which V8 would otherwise size by the machine's memory.
  `--max-old-space-size=${coreOldSpaceMegabytes}`,
  `--max-semi-space-size=${coreSemiSpaceMegabytes}`,
  // One background thread of V8 instead of four: the core creates almost no garbage.
  '--v8-pool-size=1',
  // Smaller code and feedback are worth more than a few per cent of speed outside the engine.
  '--optimize-for-size',
  // JavaScript is not compiled for speed: the work per line is in WebAssembly, which this does not
  // affect. Under 20,000 bans a second it costs a tenth more CPU time and saves 10 MiB of resident
  // compiler code and 6 MiB of peak.
  '--no-opt',
  '--no-maglev',
  // A thread that compiles in the background waits for a collection where the heap is full, and a
  // process that ends meanwhile waits for that thread for ever.
  '--no-concurrent-sparkplug',
  // The engine is our own file: its functions are compiled and checked only when they are called,
  // so those of unused filters never are.
  '--wasm-lazy-validation',
  // No eval, no new Function, in a process that reads attackers' bytes as root.
  '--disallow-code-generation-from-strings',
  // Lets the core run a garbage collection though the heap has room (memory/ceiling.ts).
  '--expose-gc',
  // SIGUSR1 would otherwise open a debugger port.
  '--disable-sigusr1',
];

/**
 * Variables passed on to the core if they are set, each with its reason; all others are dropped.
 */
const inherited = [
  'PATH', // none is needed, but tools that look at the process expect one
  'TZ', // log times without a zone are read in it
  notifyVariable, // the connected socket of systemd: readiness, watchdog, status
  'WATCHDOG_USEC', // systemd: after how long without a sign of life the process is ended
  'WATCHDOG_PID',
  'INVOCATION_ID', // systemd: marks the unit's start in the journal
  'JOURNAL_STREAM', // systemd: whether standard error is the journal
  'RUNTIME_DIRECTORY', // systemd: directories the unit was given
  'STATE_DIRECTORY',
  addonVariable, // the single executable: where the core finds the addon
  'NODE_V8_COVERAGE', // our own tests: whoever may set it for a root daemon is root
];

/** The environment of the core. */
export function coreEnvironment(from: NodeJS.ProcessEnv): NodeJS.ProcessEnv {
  const environment: NodeJS.ProcessEnv = {
    UV_THREADPOOL_SIZE: String(corePoolThreads),
    // One malloc arena for all threads: each further one keeps its own pages.
    MALLOC_ARENA_MAX: '1',
  };
  for (const name of inherited) {
    const value = from[name];
    if (value !== undefined) environment[name] = value;
  }
  return environment;
}

/** The core's file: the bundle beside ours, or the source if this runs from source. */
export function coreFile(directory: string = import.meta.dirname): string | undefined {
  return [join(directory, 'core.cjs'), join(directory, '..', 'daemon.ts')].find((file) => existsSync(file));
}

/**
 * The core's arguments, after the program's name; undefined if the core is missing. The single
 * executable contains the core and takes the V8 flags as one option.
 */
export function coreArguments(fd: number, filesMax = followedFilesUsual): string[] | undefined {
  const handed = ['--config-fd', String(fd)];
  const megabytes = coreOldSpaceMegabytes + Math.ceil(((filesMax - followedFilesUsual) * followedFileBytes) / 2 ** 20);
  const flags = coreFlags.with(0, `--max-old-space-size=${megabytes}`);
  if (isSea()) return [`--node-options=${flags.join(' ')}`, ...handed];
  const file = coreFile();
  return file === undefined ? undefined : [...flags, file, ...handed];
}

/**
 * Files that the core must have room for: those that match now and a quarter more; at least the
 * usual number.
 */
export function filesExpected({ jails }: Pick<CoreConfig, 'jails'>): number {
  mounts.refresh();
  mounts.allow(jails.filter(({ network }) => network).flatMap(({ logpath }) => logpath));
  const patterns = [...new Set(jails.flatMap(({ logpath }) => logpath))].map(splitPattern);
  const found = findPaths(patterns, { lookFor() {}, isRead: () => false, failed() {} }).size;
  return Math.max(followedFilesUsual, Math.min(Math.ceil(found * 1.25), followedFilesMax));
}

/** Prints a warning about a usable configuration, in the format of the log. */
function warn({ log }: CoreConfig, warning: string): void {
  if (log.format === 'json') new Log({ level: log.level, format: log.format }).warn('configuration', { warning });
  else process.stderr.write(`fail2zig: warning: ${warning}\n`);
}

/**
 * Starts the daemon with the configuration at `path`. Returns an exit status only if it could not
 * be started.
 */
export function launch(path: string = defaultConfigPath): number {
  let config: CoreConfig;
  try {
    const compiled = loadConfig(path, 'tried');
    config = compiled.config;
    for (const warning of compiled.warnings) warn(config, warning);
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error;
    return refuse(exitConfig, `the configuration cannot be used, nothing was changed\n${error.message}`);
  }
  if (!isSea() && coreFile() === undefined) {
    return refuse(exitSoftware, 'the core (dist/core.cjs) is missing: run `npm run build`');
  }
  let command: string[];
  try {
    const manager = connectedManager();
    const told = whoIsTold(config);
    const filesMax = filesExpected(config);
    const handed = { ...confine(config, coreFile()), ...told, filesMax };
    const fd = handedRecord({ ...config, handed });
    command = coreArguments(fd, filesMax) ?? [];
    const socket = handed.socket ? [handed.socket.fd, handed.socket.lock] : [];
    keepOnly([fd, ...manager, ...Object.values(told), ...socket, ...(isSea() ? [handedAddon()] : [])]);
  } catch (error) {
    return refuse(statusOf(error), printable((error as Error).message));
  }
  // execve runs no exit handlers, so this stage's coverage is written here.
  if (process.env.NODE_V8_COVERAGE !== undefined) takeCoverage();
  process.execve?.(process.execPath, [process.execPath, ...command], coreEnvironment(process.env));
  return refuse(exitSoftware, 'this Node cannot replace its process (process.execve): 24 or newer is needed');
}

/** The record for the core in a sealed memory file; throws if the kernel has no memory files. */
export function handedRecord(config: CoreConfig): number {
  return sealedFile('fail2zig-config', (fd) => writeCoreConfig(fd, config));
}

/**
 * The service manager's socket, connected; the core's environment names its descriptor. Empty if no
 * service manager asked for messages.
 */
function connectedManager(): number[] {
  delete process.env[notifyVariable];
  const { NOTIFY_SOCKET: path } = process.env;
  if (path === undefined) return [];
  const fd = native.datagramTo(path);
  if (fd < 0) {
    process.stderr.write(`fail2zig: warning: the service manager at ${printable(path)} hears nothing (errno ${-fd})\n`);
    return [];
  }
  process.env[notifyVariable] = String(fd);
  return [fd];
}

/** Journald's socket, for records. */
const journaldPath = '/run/systemd/journal/socket';

/**
 * Sockets through which the core sends records to journald, if it is there, or everything it logs
 * to syslog, if configured.
 */
function whoIsTold({ log, audit }: CoreConfig): Pick<Handed, 'journal' | 'syslog'> {
  if (log.syslog === undefined) {
    const fd = audit.journal ? native.datagramTo(journaldPath) : -1;
    return fd < 0 ? {} : { journal: fd };
  }
  const fd = native.datagramOpen();
  if (fd < 0) throw new Error(`cannot make a socket for syslog (errno ${-fd})`);
  const known = native.datagramTo(log.syslog);
  if (known < 0) {
    const lost = `nobody hears the log at ${printable(log.syslog)} (errno ${-known}): it is lost until somebody does`;
    process.stderr.write(`fail2zig: warning: ${lost}\n`);
  } else closeSync(known);
  return { syslog: fd };
}

/**
 * The addon for the core in a sealed memory file, whose descriptor the core's environment names:
 * the single executable has no separate file for it.
 */
export function handedAddon(): number {
  const fd = sealedFile('fail2zig-addon', (file) => writeFileSync(file, readPart('fail2zig.node')));
  process.env[addonVariable] = String(fd);
  return fd;
}

function sealedFile(name: string, write: (fd: number) => void): number {
  const fd = native.memfd(name);
  if (fd < 0) throw new Error(`cannot make the memory file ${name} (errno ${-fd})`);
  write(fd);
  const sealed = native.seal(fd);
  if (sealed < 0) throw new Error(`cannot seal the memory file ${name} (errno ${-sealed})`);
  return fd;
}

/**
 * Makes execve close every descriptor except the standard ones and `kept`: the caller may have left
 * some open.
 */
function keepOnly(kept: readonly number[]): void {
  const descriptorMax = 0xffff_ffff;
  const closed = native.closeOnExec(3, descriptorMax);
  if (closed < 0) process.stderr.write(`fail2zig: warning: descriptors of the caller stay open (errno ${-closed})\n`);
  for (const fd of kept) native.keepOnExec(fd);
}

function statusOf(error: unknown): number {
  if (!(error instanceof SocketPathError)) return exitSoftware;
  return error.code === 'no-directory' ? exitConfig : exitTaken;
}

function refuse(status: number, message: string): number {
  process.stderr.write(`fail2zig: ${message}\n`);
  return status;
}
