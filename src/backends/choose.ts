/**
 * Picks the backend by really installing it (threat model FM-1): `auto` walks the table below in
 * its order, a named one is tried alone. log-only counts only where the config allows it; else the
 * caller gets one error that names what each backend said. Nothing ever runs that pretends to ban.
 */
import type { Backend, BackendName, CoreConfig, JailScaffold } from '../types.ts';
import { type LogOnlyAction, LogOnlyBackend } from './log-only.ts';
import { NftablesBackend } from './nftables/nftables.ts';
import { XdpBackend } from './xdp/xdp.ts';
import { IpsetBackend } from './xtables/ipset.ts';
import { IptablesBackend } from './xtables/iptables.ts';

type Firewall = Omit<CoreConfig['firewall'], 'keepBans'>;
export type RealBackendName = Exclude<BackendName, 'auto'>;

/** How a backend is made. `auto` tries them from the top. */
export interface BackendRow {
  name: RealBackendName;
  create: (firewall: Firewall, say: (action: LogOnlyAction) => void) => Backend;
}

/** The backends there are, in the order of the threat model. */
export const backendRows: readonly BackendRow[] = [
  { name: 'nftables', create: (firewall) => new NftablesBackend({ table: firewall.table }) },
  { name: 'iptables', create: () => new IptablesBackend() },
  { name: 'ipset', create: () => new IpsetBackend() },
  // Not a choice of "auto": it needs to be told the interfaces.
  { name: 'xdp', create: ({ interfaces }) => new XdpBackend({ interfaces }) },
  { name: 'log-only', create: (_, say) => new LogOnlyBackend(say) },
];

/** What one backend answered when it was tried. */
export interface Attempt {
  backend: BackendName;
  error: Error;
}

/** No backend could be installed. */
export class NoBackendError extends Error {
  override readonly name = 'NoBackendError';
  readonly attempts: Attempt[];

  constructor(attempts: Attempt[], hint: string) {
    const answers = attempts.map(({ backend, error }) => `${backend}: ${error.message}`).join('; ');
    super(`no usable firewall backend (${answers || 'none tried'}). ${hint}`);
    this.attempts = attempts;
  }
}

/** The backend that is installed now, and those that were tried before it and failed. */
export interface Choice {
  backend: Backend;
  attempts: Attempt[];
}

/**
 * Creates and installs a backend for `jails`.
 * @param say told what log-only would do
 * @throws NoBackendError
 */
export async function chooseBackend(
  firewall: Firewall,
  jails: JailScaffold[],
  say: (action: LogOnlyAction) => void,
  rows: readonly BackendRow[] = backendRows,
): Promise<Choice> {
  const attempts: Attempt[] = [];
  for (const row of rows) {
    const wanted = firewall.backend === row.name;
    if (!wanted && (firewall.backend !== 'auto' || row.name === 'xdp')) continue;
    // Naming log-only is allowing it.
    if (row.name === 'log-only' && !wanted && !firewall.allowLogOnly) continue;
    let backend: Backend | undefined;
    try {
      backend = row.create(firewall, say);
      await backend.install(jails);
      return { backend, attempts };
    } catch (cause) {
      backend?.close();
      attempts.push({ backend: row.name, error: cause instanceof Error ? cause : new Error(String(cause)) });
    }
  }
  if (attempts.length === 0) {
    const error = new Error('this build has no such backend');
    throw new NoBackendError([{ backend: firewall.backend, error }], 'Choose another firewall.backend.');
  }
  const hint = attempts.some(({ error }) => 'code' in error && error.code === 'EPERM')
    ? 'Run as root or with CAP_NET_ADMIN, or allow log-only.'
    : 'Nothing would be banned, so nothing is started; allow log-only for a dry run.';
  throw new NoBackendError(attempts, hint);
}
