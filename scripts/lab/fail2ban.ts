/**
 * An installed fail2ban, used as a library by programs of ours that python runs: no daemon, no
 * service.
 */
import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { join } from 'node:path';

/** Where the set-up unpacks Debian's package; if it is not there, the system's own is used. */
const unpacked = join(import.meta.dirname, '../../build/tools');
const filterFolder = 'etc/fail2ban/filter.d';
const root = existsSync(join(unpacked, filterFolder)) ? unpacked : '/';
const python = '/usr/bin/python3';

/** A source tree of fail2ban, for example its newest revision, to use instead. */
export const fail2banTree = process.env.FAIL2BAN_TREE;

/** The configuration that belongs to it. */
export const fail2banConfig = fail2banTree ? join(fail2banTree, 'config') : join(root, 'etc/fail2ban');

/** Lets Python programs that this process starts find it. */
export function useFail2banPackage(): void {
  process.env.PYTHONPATH = fail2banTree ?? fail2banLibrary;
}

/** Its Python modules, for PYTHONPATH. */
export const fail2banLibrary = join(root, 'usr/lib/python3/dist-packages');

/** One of its programs, for python. */
export const fail2banProgram = (name: string): string => join(root, 'usr/bin', name);

/** Why there is no fail2ban to compare with; undefined if there is one. */
export function fail2banMissing(): string | undefined {
  if (!existsSync(python)) return `NOT COMPARED with fail2ban: there is no ${python}`;
  if (existsSync(join(root, filterFolder))) return undefined;
  return 'NOT COMPARED with fail2ban: it is not here (apt-get install fail2ban)';
}

/**
 * Runs a program of ours that imports fail2ban; returns its JSON answer. Without fail2ban throws
 * with what to install.
 */
export function runWithFail2ban(program: string, parameters: string[], input = ''): unknown {
  const done = spawnSync(python, [program, ...parameters], {
    input,
    encoding: 'utf8',
    maxBuffer: 1 << 28,
    env: {
      ...process.env,
      PYTHONPATH: fail2banLibrary,
      FAIL2BAN_CONFIG: join(root, 'etc/fail2ban'),
    },
  });
  if (done.status !== 0) {
    throw new Error(
      `fail2ban cannot be compared with: ${done.error?.message ?? done.stderr.trim()}\nInstall it (apt-get install fail2ban) or leave the comparison out.`,
    );
  }
  return JSON.parse(done.stdout);
}
