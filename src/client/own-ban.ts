/** Whether a ban by hand would cut off the session of whoever asks for it. */
import { formatAddress, isWithin, maskAddress, parseCidr } from '../text/address.ts';
import type { Address } from '../types.ts';

/**
 * A ban is as wide as its jail says, a /64 of IPv6 by itself; the client does not know it. So wide
 * a network belongs to one customer at most (IPv6: RFC 6177), or is the widest that a jail may ban
 * (IPv4), and asking once too often does no harm.
 */
const widest = { 4: 24, 6: 48 } as const;

/**
 * Why the bans of these addresses or prefixes wait for --force; undefined where they need not.
 * `addresses` were checked before.
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
