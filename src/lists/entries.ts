/**
 * Prefixes of one family as a set of fixed size: open addressing, each key once, with a mark that
 * says whether the kernel holds it. Outside the JavaScript heap: a million IPv4 addresses take 7
 * MiB. Whoever writes the list controls the keys, so the hash has its own seed.
 */
import { listRoom } from '../limits.ts';

/** 32-bit words of a key. */
const wordsOf = { 4: 1, 6: 4 } as const;
const slotsFor = (count: number): number => Math.ceil(count * listRoom) + 1;

/** Bytes for `count` prefixes. */
export const entryBytes = (family: 4 | 6, count: number): number => slotsFor(count) * (wordsOf[family] * 4 + 2);

export class Entries {
  readonly family: 4 | 6;
  count = 0;
  readonly #words: number;
  readonly #keys: Uint32Array;
  /** 0 = a free slot: no prefix of a list is that short. */
  readonly #prefixes: Uint8Array;
  readonly #marks: Uint8Array;
  readonly #seed: number;
  /** The key to look up. */
  readonly #key: Uint32Array;

  /** @param room number of prefixes */
  constructor(family: 4 | 6, room: number, seed = (Math.random() * 2 ** 32) >>> 0) {
    const slots = slotsFor(room);
    this.family = family;
    this.#words = wordsOf[family];
    this.#keys = new Uint32Array(slots * this.#words);
    this.#prefixes = new Uint8Array(slots);
    this.#marks = new Uint8Array(slots);
    this.#seed = seed;
    this.#key = new Uint32Array(this.#words);
  }

  get bytes(): number {
    return this.#keys.byteLength + this.#prefixes.byteLength + this.#marks.byteLength;
  }

  /** Selects the key in `bytes` at `at`, network order; the bits after `prefix` are cleared. */
  askBytes(bytes: Uint8Array, at: number, prefix = this.#words * 32): void {
    for (let word = 0; word < this.#words; word++, at += 4) {
      const value = (bytes[at]! << 24) | (bytes[at + 1]! << 16) | (bytes[at + 2]! << 8) | bytes[at + 3]!;
      const bits = Math.min(32, Math.max(0, prefix - word * 32));
      this.#key[word] = bits === 0 ? 0 : value & (-1 << (32 - bits));
    }
  }

  /** The same for an IPv4 address as a number. */
  ask(key: number): void {
    this.#key[0] = key;
  }

  /** The slot of the selected key with this prefix length; -1 = not found. */
  find(prefix: number): number {
    const slot = this.#slotOf(prefix);
    return this.#prefixes[slot] === 0 ? -1 : slot;
  }

  /**
   * Adds the selected key, as prefixes of `length` bits; false if all of it was there already.
   * Throws if there is no room: a bug of ours.
   */
  add(prefix: number, length: number): boolean {
    if (prefix === length) return this.#addOne(length);
    const word = prefix >> 5;
    const bit = (1 << (31 - (prefix & 31))) >>> 0;
    const isNew = this.add(prefix + 1, length);
    this.#key[word]! += bit;
    const isOtherNew = this.add(prefix + 1, length);
    this.#key[word]! -= bit;
    return isNew || isOtherNew;
  }

  #addOne(prefix: number): boolean {
    const slot = this.#slotOf(prefix);
    if (this.#prefixes[slot] !== 0) return false;
    if (this.count >= this.#prefixes.length - 1) throw new Error('a list has more entries than were counted');
    for (let word = 0; word < this.#words; word++) this.#keys[slot * this.#words + word] = this.#key[word]!;
    this.#prefixes[slot] = prefix;
    this.count++;
    return true;
  }

  mark(slot: number): void {
    this.#marks[slot] = 1;
  }

  unmarkAll(): void {
    this.#marks.fill(0);
  }

  /**
   * The keys without a mark among the next slots from `from` on, at most `count`; each gets its
   * mark. Returns where to continue; -1 = nothing is left. @param slots number of slots to visit
   */
  takeUnmarked(from: number, slots: number, count: number, take: (slot: number, prefix: number) => void): number {
    const end = Math.min(from + slots, this.#prefixes.length);
    let left = count;
    let slot = from;
    for (; slot < end && left > 0; slot++) {
      if (this.#prefixes[slot] === 0 || this.#marks[slot] !== 0) continue;
      this.#marks[slot] = 1;
      take(slot, this.#prefixes[slot]!);
      left--;
    }
    return slot < this.#prefixes.length ? slot : -1;
  }

  /** Writes the key of a slot to `bytes` at `at`, network order. */
  copyKey(slot: number, bytes: Uint8Array, at: number): void {
    for (let word = 0; word < this.#words; word++, at += 4) {
      const value = this.#keys[slot * this.#words + word]!;
      bytes[at] = value >>> 24;
      bytes[at + 1] = value >>> 16;
      bytes[at + 2] = value >>> 8;
      bytes[at + 3] = value;
    }
  }

  #slotOf(prefix: number): number {
    const slots = this.#prefixes.length;
    for (let slot = this.#hash(prefix) % slots; ; slot = slot + 1 === slots ? 0 : slot + 1) {
      const there = this.#prefixes[slot]!;
      if (there === 0 || (there === prefix && this.#isAt(slot))) return slot;
    }
  }

  #isAt(slot: number): boolean {
    for (let word = 0; word < this.#words; word++) {
      if (this.#keys[slot * this.#words + word] !== this.#key[word]) return false;
    }
    return true;
  }

  #hash(prefix: number): number {
    let hash = Math.imul(this.#seed ^ prefix, 0x85eb_ca6b);
    for (let word = 0; word < this.#words; word++) {
      hash = Math.imul(hash ^ this.#key[word]!, 0xc2b2_ae35);
      hash ^= hash >>> 15;
    }
    hash = Math.imul(hash, 0x27d4_eb2f);
    return (hash ^ (hash >>> 16)) >>> 0;
  }
}
