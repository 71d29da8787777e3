/**
 * Whether a manual ban would cut off the operator's own session.
 */
import { formatAddress, isWithin, maskAddress, parseCidr } from '../text/address.ts';
import type { Address } from '../types.ts';

/**
 * A ban has the prefix length of its jail, by default a /64 for IPv6; the client does not know it.
 * So it assumes the widest: one customer's network (IPv6: RFC 6177), or the widest that a jail may
 * ban (IPv4). An unnecessary question does no harm.
 */
const widest = { 4: 24, 6: 48 } as const;

/**
 * Why the bans of these addresses or prefixes need --force; undefined if they do not. `addresses`
 * were checked before.
 */
export function ownBan(addresses: readonly string[], session: Address): string | undefined {
  const own = addresses.find((text) => {
    const target = parseCidr(text, 'clear') as Address;
    const prefix = Math.min(target.prefix, widest[target.family]);
    return isWithin(session, maskAddress({ ...target, prefix }));
  });
  if (own === undefined) return undefined;
  const from = formatAddress(session);
  const where = own === from ? from : `${from} (beside or within ${own})`;
  return `nothing was banned: you are logged in over SSH from ${where}, and a ban could cut you off; with --force it is made all the same`;
}
