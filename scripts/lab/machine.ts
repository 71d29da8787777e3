/**
 * The context of figures: the machine, its load, and what was measured.
 */
import { execFileSync } from 'node:child_process';
import { cpus, loadavg, release, totalmem } from 'node:os';
import { version } from '../../src/version.ts';

/** Load average over the last minute: figures of a busy machine are worth less. */
export function load(): number {
  return loadavg()[0]!;
}

/**
 * What is measured: the commit; or the version, if there is no repository (an unpacked archive) or
 * no git.
 */
function subject(): { commit: string } | { version: string } {
  try {
    const options = { encoding: 'utf8' as const, stdio: 'pipe' as const };
    return {
      commit: execFileSync('git', ['-C', import.meta.dirname, 'describe', '--always', '--dirty'], options).trim(),
    };
  } catch {
    return { version };
  }
}

/** The machine and the build that figures belong to. */
export function machine(): Record<string, string | number> {
  return {
    cpu: cpus()[0]?.model ?? 'unknown',
    cpus: cpus().length,
    memoryGiB: Math.round(totalmem() / 2 ** 30),
    kernel: release(),
    node: process.version,
    ...subject(),
  };
}
