/**
 * Addresses and CIDR prefixes of the configuration and of the operator's commands, to and from
 * text. Free of dependencies. Accepts: dotted IPv4 (no leading zeros, four parts), IPv6 in every
 * form of RFC 4291 section 2.2 (compressed, with a dotted tail), an optional /prefix. IPv4-mapped
 * IPv6 (::ffff:a.b.c.d) folds to IPv4, as it does in the engine. Refuses zones, host names, ports
 * and brackets. No RegExp here: the core uses this file too.
 */
import { addressTextMax } from '../limits.ts';
import type { Address } from '../types.ts';

/** The first twelve bytes of an IPv4-mapped address. */
const mappedHead = [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff];

export type AddressProblem = 'not-an-address' | 'bad-prefix' | 'host-bits';

/**
 * The address or prefix `text` stands for, or why it stands for none. Bits set below the prefix
 * (127.0.0.1/8) are cleared or refused, as `hostBits` says.
 */
export function parseCidr(text: string, hostBits: 'clear' | 'refuse'): Address | AddressProblem {
  if (text.length > addressTextMax) return 'not-an-address';
  const slash = text.indexOf('/');
  const whole = parseAddress(slash === -1 ? text : text.slice(0, slash));
  if (!whole) return 'not-an-address';
  if (slash === -1) return whole;
  const digits = text.slice(slash + 1);
  if (!isDecimal(digits)) return 'bad-prefix';
  let prefix = Number(digits);
  if (whole.family === 4 && text.includes(':')) {
    // Written as a mapped IPv6 prefix: its bits count from the IPv6 start.
    if (prefix < 96) return 'bad-prefix';
    prefix -= 96;
  }
  if (prefix > (whole.family === 4 ? 32 : 128)) return 'bad-prefix';
  const result: Address = { ...whole, prefix };
  const masked = maskAddress(result);
  if (hostBits === 'refuse' && masked.bytes.some((byte, index) => byte !== result.bytes[index])) return 'host-bits';
  return masked;
}

/**
 * A single address; undefined when `text` is anything else. Its prefix is the family's full length.
 */
export function parseAddress(text: string): Address | undefined {
  if (text.includes(':')) {
    const bytes = parseIpv6(text);
    if (!bytes) return undefined;
    if (mappedHead.every((byte, index) => bytes[index] === byte)) return { family: 4, bytes, prefix: 32 };
    return { family: 6, bytes, prefix: 128 };
  }
  const tail = parseIpv4(text);
  return tail && { family: 4, bytes: Uint8Array.from([...mappedHead, ...tail]), prefix: 32 };
}

/** Byte `index` of the mask of a prefix of so many bits. */
export const maskByte = (prefix: number, index: number): number =>
  (0xff00 >> Math.min(8, Math.max(0, prefix - index * 8))) & 0xff;

/** The same prefix with every bit below it cleared. */
export function maskAddress(address: Address): Address {
  const bytes = Uint8Array.from(address.bytes);
  const kept = address.family === 4 ? address.prefix + 96 : address.prefix;
  for (let index = 0; index < 16; index++) {
    bytes[index] &= maskByte(kept, index);
  }
  return { ...address, bytes };
}

/**
 * Why no packet can come from the address or from its prefix, as a noun; undefined where one can.
 */
export function neverSource({ family, bytes }: Address): string | undefined {
  const first = bytes[family === 4 ? 12 : 0]!;
  const tail = bytes.subarray(family === 4 ? 12 : 0);
  if (tail.every((byte) => byte === 0)) return 'the unspecified address';
  if (family === 4 ? first >= 224 && first < 240 : first === 255) return 'a multicast address';
  if (family === 4 && tail.every((byte) => byte === 255)) return 'the broadcast address';
  return undefined;
}

/** One to three digits without a leading zero. */
function isDecimal(text: string): boolean {
  if (text.length < 1 || text.length > 3 || (text.length > 1 && text[0] === '0')) return false;
  for (const character of text) if (character < '0' || character > '9') return false;
  return true;
}

/** One to four hexadecimal digits. */
function isGroup(text: string): boolean {
  if (text.length < 1 || text.length > 4) return false;
  for (const character of text) if (!'0123456789abcdefABCDEF'.includes(character)) return false;
  return true;
}

function parseIpv4(text: string): number[] | undefined {
  const parts = text.split('.');
  if (parts.length !== 4) return undefined;
  const bytes: number[] = [];
  for (const part of parts) {
    // A leading zero would be octal to some readers and decimal to others.
    if (!isDecimal(part) || Number(part) > 255) return undefined;
    bytes.push(Number(part));
  }
  return bytes;
}

function parseIpv6(text: string): Uint8Array | undefined {
  const bytes = new Uint8Array(16);
  const gap = text.indexOf('::');
  if (gap === -1) {
    const whole = parseGroups(text);
    if (whole?.length !== 16) return undefined;
    bytes.set(whole);
    return bytes;
  }
  const headText = text.slice(0, gap);
  const head = parseGroups(headText);
  const tail = parseGroups(text.slice(gap + 2));
  // A dotted tail may only end the address, and "::" stands for at least one group.
  if (!head || !tail || headText.includes('.') || head.length + tail.length > 14) return undefined;
  bytes.set(head);
  bytes.set(tail, 16 - tail.length);
  return bytes;
}

/** Bytes of `a:b:c` with an optional dotted last part; an empty text is no groups. */
function parseGroups(text: string): number[] | undefined {
  if (text === '') return [];
  const bytes: number[] = [];
  const parts = text.split(':');
  for (const [index, part] of parts.entries()) {
    if (part.includes('.')) {
      const tail = index === parts.length - 1 ? parseIpv4(part) : undefined;
      if (!tail) return undefined;
      bytes.push(...tail);
    } else {
      if (!isGroup(part)) return undefined;
      const group = Number.parseInt(part, 16);
      bytes.push(group >> 8, group & 0xff);
    }
  }
  return bytes;
}

/** RFC 5952 text of an address, with /prefix when that is not the family's full length. */
export function formatAddress(address: Address): string {
  const full = address.family === 4 ? 32 : 128;
  const suffix = address.prefix === full ? '' : `/${address.prefix}`;
  if (address.family === 4) return [...address.bytes.subarray(12)].join('.') + suffix;
  const groups: number[] = [];
  for (let index = 0; index < 16; index += 2) groups.push((address.bytes[index] << 8) | address.bytes[index + 1]);
  const { start, length } = longestZeroRun(groups);
  const text = (from: number, to: number) =>
    groups
      .slice(from, to)
      .map((group) => group.toString(16))
      .join(':');
  if (length < 2) return text(0, 8) + suffix;
  return `${text(0, start)}::${text(start + length, 8)}${suffix}`;
}

function longestZeroRun(groups: number[]): { start: number; length: number } {
  let best = { start: 0, length: 0 };
  for (let start = 0; start < groups.length; start++) {
    let end = start;
    while (end < groups.length && groups[end] === 0) end++;
    if (end - start > best.length) best = { start, length: end - start };
    start = end > start ? end - 1 : start;
  }
  return best;
}
