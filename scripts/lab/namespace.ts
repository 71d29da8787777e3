/**
 * A place for experiments with packets: a program moves itself into its own network namespace,
 * which ends with its processes. Nothing of the machine's own network is read or changed.
 */
import { execFileSync, spawnSync } from 'node:child_process';
import { readlinkSync } from 'node:fs';

/**
 * Followed by the namespace in which the program was started: so the restarted program knows that
 * it has moved.
 */
const option = '--moved-from';

function network(): string {
  return readlinkSync('/proc/self/ns/net');
}

/** `argv` without what `enterPrivateNetwork` added to it. */
export function ownArguments(argv: readonly string[]): string[] {
  const at = argv.indexOf(option);
  return at < 0 ? [...argv] : argv.toSpliced(at, 2);
}

/**
 * Restarts the program, in place, inside a private network namespace: with its own rights, or else
 * with those of a user namespace. Returns only inside ('') or if neither can be created (the
 * reason).
 */
export function enterPrivateNetwork(): string {
  const at = process.argv.indexOf(option);
  if (at > 0 && process.argv[at + 1] !== network()) {
    ip('link set lo up');
    return '';
  }
  let why = 'no unshare(1) here';
  // The system's own tools are in sbin, which is not on everybody's PATH.
  const env = { ...process.env, PATH: `${process.env.PATH ?? ''}:/usr/sbin:/sbin` };
  for (const flags of ['-n', '-rn']) {
    const tried = spawnSync('unshare', [flags, 'ip', 'link', 'set', 'lo', 'up'], { env, encoding: 'utf8' });
    if (tried.status === 0) {
      const self = [process.execPath, ...process.execArgv, ...process.argv.slice(1), option, network()];
      process.execve?.('/bin/sh', ['sh', '-c', 'exec unshare "$@"', 'sh', flags, ...self], env);
    }
    why = tried.stderr?.trim() || tried.error?.message || why;
  }
  return why;
}

/** Runs commands of ip(8), one a line, in the calling process's namespace. */
export function ip(...commands: string[]): void {
  execFileSync('ip', ['-batch', '-'], { input: commands.join('\n'), stdio: ['pipe', 'ignore', 'inherit'] });
}
