/**
 * Takes rights away from the core: the last steps of the launch stage, after which no right comes
 * back. Whatever needs more rights than the core will have is created here and handed over. If the
 * kernel refuses a step, the start ends; if a kernel lacks a feature, that is reported (`lacking`).
 * Claims: X-privileges, X-files, E-01c.
 */
import { chmodSync, chownSync, closeSync, mkdirSync, openSync } from 'node:fs';
import { dirname } from 'node:path';
import { bindSocket } from '../control/socket-path.ts';
import { native } from '../native.ts';
import type { CoreConfig, Handed } from '../types.ts';
import { locksDirectory, permissionsFor, xtablesLock } from './files.ts';
import { type Machine, rowsFor, runFilter, startFilter } from './filter.ts';
import { landlockVersion, restrictFiles } from './landlock.ts';
import { dropPrivileges } from './privileges.ts';

/** SECCOMP_FILTER_FLAG_SPEC_ALLOW: older kernels slow a filtered process down otherwise. */
const speculate = 4;

/**
 * Creates a directory for the state, but not its parents; the group may enter it. If that fails,
 * the later save reports it.
 */
function makeDirectory(directory: string, groupId: number | undefined): void {
  try {
    mkdirSync(directory, { mode: 0o700 });
    if (groupId === undefined) return;
    chownSync(directory, process.getuid!(), groupId);
    chmodSync(directory, 0o750);
  } catch {
    // It exists, or cannot be created.
  }
}

/** Directories and locks that the core could not create. */
function makeRoom({ state, firewall }: CoreConfig, groupId: number | undefined): void {
  if (state.enabled) makeDirectory(dirname(state.path), groupId);
  if (firewall.backend === 'log-only') return;
  try {
    mkdirSync(locksDirectory, { mode: 0o755 });
  } catch {
    // It exists, or the core reports what is wrong.
  }
  if (!['auto', 'iptables', 'ipset'].includes(firewall.backend)) return;
  try {
    closeSync(openSync(xtablesLock, 'a', 0o600));
  } catch {
    // The backend that needs it reports that.
  }
}

function confineFiles(config: CoreConfig, core: string | undefined, { confined, lacking }: Handed): void {
  if (!config.confinement.landlock) {
    lacking.push('confinement.landlock is false: the daemon may touch every file that its user may');
    return;
  }
  const version = landlockVersion();
  if (version === 0) {
    lacking.push('this kernel has no Landlock: the daemon may touch every file that its user may');
    return;
  }
  const missing = (pattern: string): void =>
    void lacking.push(`${pattern}: no directory on its way is there, so none may be read: restart when it is`);
  const permissions = permissionsFor(config, core, missing);
  restrictFiles(version, permissions, config.metrics.enabled ? config.metrics.port : 0);
  confined.push(`files: Landlock ${version}`);
  if (version < 4) lacking.push(`Landlock ${version} of this kernel does not restrict TCP`);
}

/** The filters for the core; one is in force from here on. */
function prepareFilters({ firewall, confinement }: CoreConfig, handed: Handed): void {
  const { seccomp: mode } = confinement;
  const machine = process.arch as Machine;
  if (mode === 'off' || !['x64', 'arm64'].includes(machine)) {
    handed.lacking.push(
      mode === 'off'
        ? 'confinement.seccomp is "off": any system call is allowed'
        : `no system-call filter for ${machine}`,
    );
    return;
  }
  const result = native.seccomp(speculate, startFilter(machine));
  if (result < 0) {
    handed.lacking.push(`this kernel takes no system-call filter (errno ${-result}): any system call is allowed`);
    return;
  }
  if (mode === 'log') handed.lacking.push('confinement.seccomp is "log": system calls are written down, not refused');
  const filterOf = (listening: boolean) => runFilter(rowsFor(firewall.backend, listening), mode, machine);
  handed.filters = { listening: filterOf(true), notYet: filterOf(false) };
  if (mode === 'enforce') handed.confined.push('system calls: seccomp');
}

/**
 * Confines this process, which will become `core` (a file, or a bundle inside the executable);
 * returns what the core gets.
 */
export function confine(config: CoreConfig, core: string | undefined): Handed {
  const { control, firewall } = config;
  const handed: Handed = { confined: [], lacking: [], capabilities: '' };
  const groupId = control.groupId < 0 ? undefined : control.groupId;
  if (control.enabled) handed.socket = bindSocket(control.path, groupId);
  makeRoom(config, groupId);
  const kept = dropPrivileges(firewall.backend, groupId);
  handed.capabilities = kept.bits;
  handed.confined.push(`user ${process.getuid?.()} with ${kept.names.join(', ') || 'no capability'}`);
  confineFiles(config, core, handed);
  prepareFilters(config, handed);
  return handed;
}
