/**
 * What a specification may need from its machine, and how to find out. This table lists all reasons
 * for which a claim can be SKIPPED; a skip for any other reason counts as a failure in `npm run
 * verify`.
 */
import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { fail2banMissing } from '../scripts/lab/fail2ban.ts';
import { native } from '../src/native.ts';
import { tool } from '../test/support/tools.ts';

export type EnvironmentName =
  | 'linux'
  | 'root'
  | 'namespaces'
  | 'built'
  | 'nft'
  | 'fail2ban'
  | 'landlock'
  | 'minisign'
  | 'systemd';

interface Environment {
  /** What to tell a person if it is absent. */
  without: string;
  present: () => boolean;
}

/** Exit status 0 within ten seconds. */
function succeeds(command: string, parameters: string[]): boolean {
  return spawnSync(command, parameters, { stdio: 'ignore', timeout: 10_000 }).status === 0;
}

export const environments: Readonly<Record<EnvironmentName, Environment>> = {
  landlock: { without: 'this kernel has no Landlock', present: () => native.landlockVersion() > 0 },
  linux: { without: 'not Linux', present: () => process.platform === 'linux' },
  root: { without: 'not root', present: () => process.geteuid?.() === 0 },
  namespaces: { without: 'no right to make a network namespace', present: () => succeeds('unshare', ['-n', 'true']) },
  built: { without: 'not built; run `npm run setup`', present: () => existsSync('dist/core.cjs') },
  fail2ban: { without: 'no fail2ban to compare with', present: () => fail2banMissing() === undefined },
  minisign: {
    without: 'no minisign to verify signatures with',
    present: () => tool('minisign') !== undefined,
  },
  systemd: { without: 'no systemctl', present: () => tool('systemctl') !== undefined },
  nft: { without: 'the nft program is not installed', present: () => succeeds('nft', ['--version']) },
};

const known = new Map<EnvironmentName, boolean>();

/**
 * Why the first absent one of `needs` is absent; undefined if all are present. Each is probed once
 * per process.
 */
export async function missing(needs: readonly EnvironmentName[]): Promise<string | undefined> {
  for (const name of needs) {
    const present = known.get(name) ?? environments[name].present();
    known.set(name, present);
    if (!present) return environments[name].without;
  }
  return undefined;
}
