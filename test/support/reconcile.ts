/**
 * Makes a backend hold exactly what a test wants: the caller's half of reconciliation, with a plain
 * map.
 */
import { isLongEnough } from '../../src/backends/elements.ts';
import { formatAddress, maskAddress } from '../../src/text/address.ts';
import type { Backend, Ban, Change, JailScaffold } from '../../src/types.ts';

/**
 * Returns the repairs made: one for a rebuilt table, and one for each ban that was missing, too
 * short or unwanted.
 */
export async function reconcile(backend: Backend, jails: JailScaffold[], wanted: Iterable<Ban>): Promise<number> {
  const keyOf = ({ jail, address }: Ban) => {
    const prefix = address.family === 4 ? 32 : jails.find(({ name }) => name === jail)!.ipv6Prefix;
    return `${jail} ${formatAddress(maskAddress({ ...address, prefix }))}`;
  };
  const missing = new Map([...wanted].map((ban) => [keyOf(ban), ban]));
  const all = new Map(missing);
  const rebuilt = await backend.reconcile(jails);
  const unwanted: Change[] = [];
  await backend.each((held) => {
    const ban = all.get(keyOf(held));
    const longest = backend.timeoutMsMax ?? Number.POSITIVE_INFINITY;
    if (ban && isLongEnough(held.timeoutMs, Math.min(longest, ban.timeoutMs))) missing.delete(keyOf(held));
    if (ban === undefined) unwanted.push({ verb: 'unban', jail: held.jail, address: held.address });
  });
  await backend.apply([...unwanted, ...[...missing.values()].map((ban): Change => ({ verb: 'ban', ban }))]);
  return Number(rebuilt) + unwanted.length + missing.size;
}
