/**
 * The bans of the fleet's jail, as the fleet's process knows them: the address as the daemon bans
 * it, until when the server wants it, and until when the kernel holds it. Input: values of
 * decisions, answers of the daemon. When full: the receiver calls `has` and `size` before it adds.
 */
import { isIPv4 } from 'node:net';
import { formatAddress, maskAddress, parseCidr, widthOfPrefix } from '../text/address.ts';

export interface HeldBan {
  /** Epoch seconds. */
  end: number;
  kernelEnd: number;
  /** The last list that named it. */
  round: number;
  /** The values that became this ban, if it is wider than they are. */
  values?: Set<string>;
}

/**
 * The daemon's name for a ban of `value`, as far as we can know it; undefined if `value` is not an
 * address.
 */
export function nameOf(value: string, ipv6Prefix: number): string | undefined {
  // An IPv4 address has only one spelling.
  if (isIPv4(value)) return value;
  const address = parseCidr(value, 'clear');
  if (typeof address === 'string') return undefined;
  if (address.family === 4 || address.prefix !== 128) return formatAddress(address);
  const prefix = maskAddress({ ...address, prefix: ipv6Prefix });
  const width = widthOfPrefix(prefix.bytes, ipv6Prefix);
  return formatAddress(maskAddress({ ...address, prefix: width }));
}

export class Held {
  readonly #bans = new Map<string, HeldBan>();
  /** Names that differ from what `nameOf` expects. */
  readonly #names = new Map<string, string>();
  readonly #ipv6Prefix: number;

  constructor(ipv6Prefix: number) {
    this.#ipv6Prefix = ipv6Prefix;
  }

  get size(): number {
    return this.#bans.size;
  }

  name(value: string): string | undefined {
    return this.#names.get(value) ?? nameOf(value, this.#ipv6Prefix);
  }

  get(name: string): HeldBan | undefined {
    return this.#bans.get(name);
  }

  /** The daemon banned `value` as `name`. */
  add(value: string, name: string, ban: Pick<HeldBan, 'end' | 'kernelEnd' | 'round'>): void {
    if (name !== nameOf(value, this.#ipv6Prefix)) this.#names.set(value, name);
    const before = this.#bans.get(name);
    const values = name === value ? before?.values : (before?.values ?? new Set());
    if (name !== value) values?.add(value);
    const end = values === undefined ? ban.end : Math.max(ban.end, before?.end ?? 0);
    this.#bans.set(name, { ...ban, end, ...(values && { values }) });
  }

  /** A ban that the daemon reports, whoever asked for it. */
  found(name: string, end: number): void {
    this.#bans.set(name, { end, kernelEnd: end, round: -1 });
  }

  /** The server no longer wants `value`. Returns the name if no other value needs it. */
  drop(value: string): string | undefined {
    const name = this.name(value);
    const ban = name === undefined ? undefined : this.#bans.get(name);
    this.#names.delete(value);
    if (ban === undefined) return undefined;
    ban.values?.delete(value);
    return ban.values !== undefined && ban.values.size > 0 ? undefined : name;
  }

  delete(name: string): void {
    for (const value of this.#bans.get(name)?.values ?? []) this.#names.delete(value);
    this.#bans.delete(name);
  }

  clear(): void {
    this.#bans.clear();
    this.#names.clear();
  }

  /** Bans that the list of `round` did not name. */
  *unnamed(round: number): Generator<string> {
    for (const [name, ban] of this.#bans) if (ban.round !== round) yield name;
  }

  /** Bans that are over at `now`; the kernel still holds some of them. */
  *over(now: number): Generator<[name: string, isHeld: boolean]> {
    for (const [name, { end, kernelEnd }] of this.#bans) if (end <= now) yield [name, kernelEnd > now + 1];
  }
}
