/**
 * Notation of bans for the scenarios of every backend.
 */
import { formatAddress, maskAddress, parseCidr } from '../../src/text/address.ts';
import type { Address, Ban, Change, JailScaffold } from '../../src/types.ts';

/** Milliseconds. */
export const hour = 3_600_000;

/** A jail that cuts off a source from every port. */
export const sshd: JailScaffold = { name: 'sshd', ipv6Prefix: 64, ports: [], protocols: [], hooks: ['input'] };

/** An address or a prefix. @throws Error for any other text */
export function address(text: string): Address {
  const parsed = parseCidr(text, 'clear');
  if (typeof parsed === 'string') throw new Error(`${text}: ${parsed}`);
  return parsed;
}

/** A source as the jail `sshd` bans it: a single IPv6 address is written with /128. */
function source(text: string): Address {
  const parsed = address(text);
  if (parsed.family === 4 || text.includes('/')) return parsed;
  return maskAddress({ ...parsed, prefix: sshd.ipv6Prefix });
}

export const wanted = (text: string, timeoutMs = hour, jail = 'sshd'): Ban => ({
  jail,
  address: source(text),
  timeoutMs,
});

export const ban = (text: string, timeoutMs = hour, jail = 'sshd'): Change => ({
  verb: 'ban',
  ban: wanted(text, timeoutMs, jail),
});

export const unban = (text: string, jail = 'sshd'): Change => ({ verb: 'unban', jail, address: source(text) });

/** The addresses of bans, in the order of their texts. */
export const texts = (bans: Ban[]): string[] => bans.map((each) => formatAddress(each.address)).sort();
