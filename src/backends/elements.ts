/**
 * Shared by all backends with kernel sets: a ban as an element of a set, changes grouped by set,
 * and the comparison of what the kernel holds with what is wanted. A set holds one family. Its keys
 * are masked to one prefix length, with two exceptions: single addresses and 6to4 prefixes. Packets
 * are looked up with each of these lengths. Nothing here calls the kernel.
 */
import { timeoutToleranceMs } from '../limits.ts';
import { hasBitsBelow, maskByte, sixToFour, widthOfPrefix } from '../text/address.ts';
import type { Address, Change } from '../types.ts';

/** ICMPv6 types of neighbour discovery (RFC 4861), which no ban may stop. */
export const discoveryTypes = { first: 133, last: 137 } as const;

/** Length of a key, bytes. */
export const keyBytes = { 4: 4, 6: 16 } as const;

/** A set of one jail and family. */
export interface SetShape {
  name: string;
  family: 4 | 6;
  /** Prefix length of every element except the single addresses, in the family's own bits. */
  prefix: number;
}

/** An element of a set: a key in network order; remaining milliseconds, 0 = without end. */
export interface Element {
  key: Uint8Array;
  timeoutMs: number;
}

/** The changes of one set in a transaction. */
export interface SetChanges<Set extends SetShape> {
  set: Set;
  bans: Element[];
  unbans: Element[];
}

/** Remaining milliseconds by key (see keyText); 0 = without end. */
export type Holdings = Map<string, number>;

/**
 * A change that no set of ours can hold: a bug of the caller, or a prefix that this backend does
 * not support. Nothing was sent.
 */
export class UnsupportedChange extends Error {
  override readonly name = 'UnsupportedChange';
}

/** The mask of a prefix length, as `length` bytes. */
export function prefixMask(prefix: number, length: number): Uint8Array {
  return Uint8Array.from({ length }, (_, index) => maskByte(prefix, index));
}

/**
 * A key as text for lookups: two bytes to a code unit, since short strings are the cheapest map
 * keys.
 */
export function keyText(bytes: Uint8Array, at = 0, length = bytes.length): string {
  let text = '';
  for (let index = at; index < at + length; index += 2) {
    text += String.fromCharCode((bytes[index]! << 8) | bytes[index + 1]!);
  }
  return text;
}

/** The bytes of a keyText. */
export function keyOfText(text: string): Uint8Array {
  const key = new Uint8Array(text.length * 2);
  for (let index = 0; index < text.length; index++) {
    key[index * 2] = text.charCodeAt(index) >> 8;
    key[index * 2 + 1] = text.charCodeAt(index) & 0xff;
  }
  return key;
}

/** The address masked to `prefix` bits, as a key. */
function keyOf({ family, bytes }: Address, prefix: number): Uint8Array {
  const length = keyBytes[family];
  const key = new Uint8Array(length);
  for (let index = 0; index < length; index++) key[index] = bytes[16 - length + index]!;
  const whole = prefix >> 3;
  if (whole < length) {
    key[whole]! &= 0xff00 >> (prefix & 7);
    key.fill(0, whole + 1);
  }
  return key;
}

/** The set's key of an address: its own bytes, masked to its prefix. */
export function toKey(set: SetShape, address: Address): Uint8Array {
  return keyOf(address, widths(set).includes(address.prefix) ? address.prefix : set.prefix);
}

/** The prefix lengths with which a source is looked up. */
export function widths({ family, prefix }: Pick<SetShape, 'family' | 'prefix'>): number[] {
  return [...new Set(family === 4 ? [prefix, 32] : [prefix, 128, Math.min(prefix, sixToFour.bits)])];
}

/** The prefix length of an element, by its key. */
export function widthOfKey(key: Uint8Array, prefix: number): number {
  const width = key.length === 4 ? prefix : widthOfPrefix(key, prefix);
  return hasBitsBelow(key, width) ? key.length * 8 : width;
}

/** The address of a key. */
export function toAddress(set: SetShape, key: Uint8Array): Address {
  const bytes = new Uint8Array(16);
  if (set.family === 4) bytes.fill(0xff, 10, 12);
  bytes.set(key, 16 - key.length);
  return { family: set.family, bytes, prefix: widthOfKey(key, set.prefix) };
}

/** The longer of two timeouts. */
export const longer = (left: number, right: number) => (left === 0 || right === 0 ? 0 : Math.max(left, right));

/** Whether the remaining time in the kernel is as good as the wanted one (0 = without end). */
export function isLongEnough(remaining: number, wanted: number): boolean {
  if (wanted === 0 || remaining === 0) return wanted === remaining;
  return remaining >= wanted - timeoutToleranceMs;
}

/**
 * The set for an address among the sets of its jail. @throws UnsupportedChange if no set can hold
 * its prefix
 */
export function setFor<Set extends SetShape>(
  sets: { 4: Set; 6: Set } | undefined,
  jail: string,
  address: Address,
): Set {
  if (sets === undefined) throw new UnsupportedChange(`jail ${jail} is not installed`);
  const set = sets[address.family];
  // If a single address has the same key as its prefix, banning it would ban the prefix: refused.
  if (widthOfKey(toKey(set, address), set.prefix) === address.prefix) return set;
  throw new UnsupportedChange(`jail ${jail} bans /${set.prefix} of IPv${address.family}, not /${address.prefix}`);
}

/** The changes [from, to) by set; of several changes of one address the last one counts. */
export function groupChanges<Set extends SetShape>(
  changes: Change[],
  from: number,
  to: number,
  setOf: (jail: string, address: Address) => Set,
): SetChanges<Set>[] {
  const latest = new Map<Set, Map<string, { ban: boolean; element: Element }>>();
  for (let index = from; index < to; index++) {
    const change = changes[index]!;
    const ban = change.verb === 'ban';
    const { jail, address } = ban ? change.ban : change;
    const timeoutMs = ban ? change.ban.timeoutMs : 0;
    const set = setOf(jail, address);
    const key = toKey(set, address);
    let ofSet = latest.get(set);
    if (ofSet === undefined) {
      ofSet = new Map();
      latest.set(set, ofSet);
    }
    // A ban that is already over becomes an unban: a timeout of 0 would mean that it never ends.
    ofSet.set(keyText(key), { ban: ban && timeoutMs >= 0, element: { key, timeoutMs: Math.ceil(timeoutMs) } });
  }
  return [...latest].map(([set, ofSet]) => {
    const group: SetChanges<Set> = { set, bans: [], unbans: [] };
    for (const { ban, element } of ofSet.values()) (ban ? group.bans : group.unbans).push(element);
    return group;
  });
}

/** The changes in parts of at most `count` elements. */
export function* inParts<Set extends SetShape>(group: SetChanges<Set>, count: number): Generator<SetChanges<Set>> {
  const { set, bans, unbans } = group;
  for (let from = 0; from < bans.length; from += count) yield { set, bans: bans.slice(from, from + count), unbans: [] };
  for (let from = 0; from < unbans.length; from += count) {
    yield { set, bans: [], unbans: unbans.slice(from, from + count) };
  }
}

/** The same changes in smaller transactions; empty for a single change. */
export function smaller<Set extends SetShape>(groups: readonly SetChanges<Set>[]): SetChanges<Set>[][] {
  const middle = groups.length >> 1;
  if (middle > 0) return [groups.slice(0, middle), groups.slice(middle)];
  return groups.flatMap((group) => {
    const { bans, unbans } = group;
    if (bans.length + unbans.length <= 1) return [];
    return [...inParts(group, Math.ceil(Math.max(bans.length, unbans.length) / 2))].map((part) => [part]);
  });
}
