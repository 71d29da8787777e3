/**
 * What each jail never bans: its ignoreip, networks that an operator ignores for a while in every
 * jail, and, with ignoreself, loopback and the addresses of this host. Also the links of this host,
 * where each address is a host of its own. Addresses come and go (DHCP, VPN, privacy addresses, a
 * start before the network is up), so they are checked again and again.
 */
import { type NetworkInterfaceInfo, networkInterfaces } from 'node:os';
import { formatAddress, maskAddress, maskByte, parseCidr } from '../text/address.ts';
import type { Address, IgnoredByHand, JailConfig } from '../types.ts';

type Interfaces = typeof networkInterfaces;

export class Ignored {
  /** Whether a list says to ignore the whole address or prefix, in every jail. */
  isListed: (address: Address) => boolean = () => false;
  /** By jail. */
  lists: readonly (readonly Address[])[] = [];
  /** The networks of our links, each once, those of IPv6 at least as wide as a /64. */
  links: readonly Address[] = [];
  /** The IPv4 networks of our links. */
  #networks: readonly Address[] = [];
  readonly #jails: readonly Pick<JailConfig, 'ignoreip' | 'ignoreself'>[];
  readonly #interfaces: Interfaces;
  readonly #now: () => number;
  #found: NetworkInterfaceInfo[] = [];
  /** Loopback and the addresses of this host. */
  #own: readonly string[] = [];
  #seen: string | undefined;
  /** Networks that an operator ignores, by their text. */
  readonly #byHand = new Map<string, IgnoredByHand>();

  constructor(
    jails: readonly Pick<JailConfig, 'ignoreip' | 'ignoreself'>[],
    interfaces: Interfaces = networkInterfaces,
    now: () => number = Date.now,
  ) {
    this.#jails = jails;
    this.#interfaces = interfaces;
    this.#now = now;
    this.look();
  }

  /** Networks that an operator ignores and whose time is not over. */
  get byHand(): IgnoredByHand[] {
    return [...this.#byHand.values()].filter(({ until }) => until > this.#now() / 1000);
  }

  /**
   * Ignores a network, or stops doing so if `until` is in the past. Takes effect at the next
   * `look`.
   */
  ignore(network: Address, until: number): void {
    this.#byHand.set(formatAddress(network), { network, until });
  }

  /** The clock was set by this many seconds; the remaining times stay the same. */
  shift(seconds: number): void {
    for (const each of this.#byHand.values()) each.until += seconds;
  }

  /** Checks the interfaces and the clock; true if something has changed. */
  look(): boolean {
    const byHand = this.byHand.map(({ network }) => formatAddress(network));
    for (const text of this.#byHand.keys()) if (!byHand.includes(text)) this.#byHand.delete(text);
    try {
      this.#found = Object.values(this.#interfaces()).flatMap((addresses) => addresses ?? []);
    } catch {
      // No descriptor is free at the moment: keep the last result.
    }
    const found = this.#found;
    const own = ['127.0.0.0/8', '::1', ...found.map(({ address }) => address)];
    const networks = found.filter(({ internal }) => !internal).map(({ cidr, address }) => cidr ?? address);
    const seen = [...own, ...networks, ...byHand].join(' ');
    if (seen === this.#seen) return false;
    this.#seen = seen;
    this.#own = own;
    this.renew();
    this.#networks = networksOf(networks).filter(({ family }) => family === 4);
    this.links = [...linksOf(networksOf(networks)), ...this.#networks];
    return true;
  }

  /** What jails with these settings would never ban. */
  listsFor(jails: readonly Pick<JailConfig, 'ignoreip' | 'ignoreself'>[]): Address[][] {
    const byHand = this.byHand.map(({ network }) => formatAddress(network));
    return jails.map(({ ignoreip, ignoreself }) =>
      networksOf([...ignoreip, ...(ignoreself ? this.#own : []), ...byHand]),
    );
  }

  /** The jails have changed. */
  renew(): void {
    this.lists = this.listsFor(this.#jails);
  }

  /** Whether the address is the broadcast address of one of our networks: nothing comes from it. */
  isBroadcast({ bytes }: Address): boolean {
    return this.#networks.some(
      (network) =>
        network.prefix < 31 &&
        bytes.every((byte, at) => byte === (network.bytes[at]! | (~maskByte(network.prefix + 96, at) & 0xff))),
    );
  }
}

/** A link narrower than a /64 shares its /64 with other hosts. */
function linksOf(networks: Address[]): Address[] {
  const six = networks
    .filter(({ family }) => family === 6)
    .map((network) => maskAddress({ ...network, prefix: Math.min(network.prefix, 64) }));
  return six.filter(
    (link, place) =>
      !isLinkLocal(link) && !six.some((other, at) => at < place && formatAddress(other) === formatAddress(link)),
  );
}

/** Link-local addresses are single hosts anyway. */
const isLinkLocal = ({ bytes }: Address): boolean => bytes[0] === 0xfe && (bytes[1]! & 0xc0) === 0x80;

function networksOf(texts: string[]): Address[] {
  return texts.map((text) => parseCidr(text, 'clear')).filter((network) => typeof network === 'object');
}
