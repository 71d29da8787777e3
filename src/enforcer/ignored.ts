/**
 * What each jail never bans, as it is now: its ignoreip and, with ignoreself, loopback and the
 * addresses of this host. These come and go (DHCP, VPN, privacy addresses, a start before the
 * network), so they are looked at again and again.
 */
import { networkInterfaces } from 'node:os';
import { parseCidr } from '../text/address.ts';
import type { Address, JailConfig } from '../types.ts';

type Interfaces = typeof networkInterfaces;

export class Ignored {
  /** By jail. */
  lists: readonly (readonly Address[])[] = [];
  readonly #jails: readonly Pick<JailConfig, 'ignoreip' | 'ignoreself'>[];
  readonly #interfaces: Interfaces;
  #seen: string | undefined;

  constructor(
    jails: readonly Pick<JailConfig, 'ignoreip' | 'ignoreself'>[],
    interfaces: Interfaces = networkInterfaces,
  ) {
    this.#jails = jails;
    this.#interfaces = interfaces;
    this.look();
  }

  /** Looks at the interfaces; true where the lists changed. */
  look(): boolean {
    const own = ['127.0.0.0/8', '::1', ...this.#ownAddresses()];
    const seen = own.join(' ');
    if (seen === this.#seen) return false;
    this.#seen = seen;
    this.lists = this.#jails.map(({ ignoreip, ignoreself }) =>
      networksOf(ignoreself ? [...ignoreip, ...own] : ignoreip),
    );
    return true;
  }

  #ownAddresses(): string[] {
    try {
      return Object.values(this.#interfaces()).flatMap((addresses) => addresses?.map(({ address }) => address) ?? []);
    } catch {
      // Descriptors are short for a moment: what was seen last stays.
      return this.#seen?.split(' ').slice(2) ?? [];
    }
  }
}

function networksOf(texts: string[]): Address[] {
  return texts.map((text) => parseCidr(text, 'clear')).filter((network) => typeof network === 'object');
}
