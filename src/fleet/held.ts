/**
 * The bans of the fleet's jail, as the fleet's process knows them: the address as the daemon bans
 * it, until when the server wants it, and until when the kernel holds it. Input: values of
 * decisions, answers of the daemon. When full: the receiver asks `has` and `size` before it adds.
 */
import { isIPv4 } from 'node:net';
import { formatAddress, maskAddress, parseCidr, widthOfPrefix } from '../text/address.ts';

export interface HeldBan {
  /** Epoch seconds. */
  end: number;
  kernelEnd: number;
  /** The list that last named it. */
  round: number;
  /** Values that lead to it, where it is wider than they are. */
  values?: Set<string>;
}

/**
 * How the daemon names a ban of `value`, as far as that can be known; undefined where it is no
 * address.
 */
export function nameOf(value: string, ipv6Prefix: number): string | undefined {
  // It is written in one way only.
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
  /** Names that the daemon gave otherwise than `nameOf` expects. */
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

  /** The daemon banned `value` under `name`. */
  add(value: string, name: string, ban: Pick<HeldBan, 'end' | 'kernelEnd' | 'round'>): void {
    if (name !== nameOf(value, this.#ipv6Prefix)) this.#names.set(value, name);
    const before = this.#bans.get(name);
    const values = name === value ? before?.values : (before?.values ?? new Set());
    if (name !== value) values?.add(value);
    const end = values === undefined ? ban.end : Math.max(ban.end, before?.end ?? 0);
    this.#bans.set(name, { ...ban, end, ...(values && { values }) });
  }

  /** What the daemon says it bans, whoever asked for it. */
  found(name: string, end: number): void {
    this.#bans.set(name, { end, kernelEnd: end, round: -1 });
  }

  /** The server no longer wants `value`: the name that nothing wants any more. */
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

  /** Those whose ban the list of `round` did not name. */
  *unnamed(round: number): Generator<string> {
    for (const [name, ban] of this.#bans) if (ban.round !== round) yield name;
  }

  /** Those that are over by `now`; the kernel still holds some of them. */
  *over(now: number): Generator<[name: string, isHeld: boolean]> {
    for (const [name, { end, kernelEnd }] of this.#bans) if (end <= now) yield [name, kernelEnd > now + 1];
  }
}
