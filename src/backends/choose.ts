/**
 * Chooses the backend by really installing it (threat model FM-1): `auto` tries the rows below in
 * order; a named backend is tried alone. A backend that is not tried is not loaded: each is a
 * bundle of its own (scripts/build.ts). If none can be installed, one error lists the reason of
 * each. The daemon never runs with a backend that only pretends to ban.
 */
import { bansMaxLargest, changesPerTransactionMax } from '../limits.ts';
import type { Backend, BackendName, Change, CoreConfig, JailScaffold } from '../types.ts';

type Firewall = Omit<CoreConfig['firewall'], 'keepBans' | 'bansMax'> & {
  bansMax?: number;
  /** Where a backend may keep what it must know after a restart. */
  record?: string;
};
export type RealBackendName = Exclude<BackendName, 'auto'>;

export interface BackendRow {
  name: RealBackendName;
  /** Whether `auto` tries it. */
  auto: (firewall: Firewall) => boolean;
  load: (firewall: Firewall, say: (action: Change) => void) => Promise<Backend>;
}

/**
 * Capacity of a set or map: more than `firewall.bans_max`. The caller's bound is for all sets
 * together, and an unban adds its element before it deletes it.
 */
function elementsMax({ bansMax = 0 }: Firewall): number {
  return bansMax === 0 ? bansMaxLargest : Math.min(bansMaxLargest, bansMax + changesPerTransactionMax);
}

const always = () => true;
const never = () => false;

/** The existing backends, in the order of the threat model. */
export const backendRows: readonly BackendRow[] = [
  {
    name: 'nftables',
    auto: always,
    load: async (firewall) => {
      const { NftablesBackend } = await import('./nftables/nftables.ts');
      return new NftablesBackend({ table: firewall.table, setElementsMax: elementsMax(firewall) });
    },
  },
  {
    name: 'iptables',
    auto: always,
    load: async () => new (await import('./xtables/iptables.ts')).IptablesBackend(),
  },
  {
    name: 'ipset',
    auto: always,
    load: async (firewall) => {
      const { IpsetBackend } = await import('./xtables/ipset.ts');
      return new IpsetBackend({ setElementsMax: elementsMax(firewall) });
    },
  },
  {
    name: 'xdp',
    // It needs to know the interfaces.
    auto: never,
    load: async (firewall) => {
      const { XdpBackend } = await import('./xdp/xdp.ts');
      const { interfaces, record } = firewall;
      return new XdpBackend({ interfaces, bansMax: elementsMax(firewall), record });
    },
  },
  {
    name: 'log-only',
    auto: ({ allowLogOnly }) => allowLogOnly,
    load: async (_, say) => new (await import('./log-only.ts')).LogOnlyBackend(say),
  },
];

/** The result of trying one backend. */
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

/** The installed backend, and those that were tried before it and failed. */
export interface Choice {
  backend: Backend;
  attempts: Attempt[];
}

/**
 * Loads and installs a backend for `jails`. @param say called for what log-only would do @throws
 * NoBackendError
 */
export async function chooseBackend(
  firewall: Firewall,
  jails: JailScaffold[],
  say: (action: Change) => void,
  rows: readonly BackendRow[] = backendRows,
): Promise<Choice> {
  const attempts: Attempt[] = [];
  for (const row of rows) {
    // Whoever names log-only also allows it.
    if (firewall.backend === 'auto' ? !row.auto(firewall) : firewall.backend !== row.name) continue;
    let backend: Backend | undefined;
    try {
      backend = await row.load(firewall, say);
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
