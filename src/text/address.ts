/**
 * Addresses and CIDR prefixes in the configuration and in the operator's commands: parsing and
 * formatting. No dependencies. Accepts: dotted IPv4 (no leading zeros, four parts), IPv6 in every
 * form of RFC 4291 section 2.2 (compressed, with a dotted tail), an optional /prefix. IPv4-mapped
 * IPv6 (::ffff:a.b.c.d) becomes IPv4, as it does in the engine. Refuses zones, host names, ports
 * and brackets.
 */
import { addressTextMax } from '../limits.ts';
import type { Address } from '../types.ts';

/** The first twelve bytes of an IPv4-mapped address. */
const mappedHead = [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff];

export type AddressProblem = 'not-an-address' | 'bad-prefix' | 'host-bits';

/**
 * Parses an address or prefix, or says why `text` is none. Bits set below the prefix (127.0.0.1/8)
 * are cleared or refused, as `hostBits` says.
 */
export function parseCidr(text: string, hostBits: 'clear' | 'refuse'): Address | AddressProblem {
  if (text.length > addressTextMax) return 'not-an-address';
  const slash = text.indexOf('/');
  const whole = parseAddress(slash === -1 ? text : text.slice(0, slash));
  if (!whole) return 'not-an-address';
  if (slash === -1) return whole;
  const digits = text.slice(slash + 1);
  // Some programs read a leading zero as octal, others as decimal.
  if (!/^(0|[1-9][0-9]{0,2})$/.test(digits)) return 'bad-prefix';
  let prefix = Number(digits);
  if (whole.family === 4 && text.includes(':')) {
    // An IPv4-mapped prefix: its length counts from the start of the IPv6 address.
    if (prefix < 96) return 'bad-prefix';
    prefix -= 96;
  }
  if (prefix > (whole.family === 4 ? 32 : 128)) return 'bad-prefix';
  const result: Address = { ...whole, prefix };
  const masked = maskAddress(result);
  if (hostBits === 'refuse' && masked.bytes.some((byte, index) => byte !== result.bytes[index])) return 'host-bits';
  return masked;
}

/** A single address, with the family's full prefix length; undefined if `text` is anything else. */
export function parseAddress(text: string): Address | undefined {
  const bytes = text.includes(':') ? bytesOfSix(text) : bytesOfFour(text);
  if (bytes === undefined) return undefined;
  const isFour = mappedHead.every((byte, index) => bytes[index] === byte);
  return isFour ? { family: 4, bytes, prefix: 32 } : { family: 6, bytes, prefix: 128 };
}

/** The bytes of dotted IPv4, written for speed: lists have hundreds of thousands. */
function bytesOfFour(text: string): Uint8Array | undefined {
  const parts = dotted(text);
  if (parts === undefined) return undefined;
  const bytes = new Uint8Array(16);
  bytes.fill(0xff, 10, 12);
  bytes.set(parts, 12);
  return bytes;
}

/** The bytes of an IPv6 address; "::" may replace some zero groups. */
function bytesOfSix(text: string): Uint8Array | undefined {
  const halves = text.split('::');
  const groups = halves.map((half, index) => groupsOf(half, index === halves.length - 1));
  if (halves.length > 2 || groups.includes(undefined)) return undefined;
  const [head, tail = []] = groups as [number[], number[]?];
  const length = head.length + tail.length;
  if (halves.length === 1 ? length !== 16 : length > 14) return undefined;
  const bytes = new Uint8Array(16);
  bytes.set(head);
  bytes.set(tail, 16 - tail.length);
  return bytes;
}

/** The bytes of `a:b:c`; at the end of the address it may end in dotted IPv4. */
function groupsOf(text: string, isLast: boolean): number[] | undefined {
  const bytes: number[] = [];
  const parts = text === '' ? [] : text.split(':');
  for (const [index, part] of parts.entries()) {
    const four = isLast && index === parts.length - 1 ? dotted(part) : undefined;
    const group = Number.parseInt(part, 16);
    if (four !== undefined) bytes.push(...four);
    else if (/^[0-9a-f]{1,4}$/i.test(part)) bytes.push(group >> 8, group & 0xff);
    else return undefined;
  }
  return bytes;
}

/** The four numbers of dotted IPv4. */
function dotted(text: string): number[] | undefined {
  const parts = text.split('.');
  const isNumber = (part: string): boolean => /^(0|[1-9][0-9]{0,2})$/.test(part) && Number(part) < 256;
  return parts.length === 4 && parts.every(isNumber) ? parts.map(Number) : undefined;
}

/** Byte `index` of the mask of a prefix of so many bits. */
export const maskByte = (prefix: number, index: number): number =>
  (0xff00 >> Math.min(8, Math.max(0, prefix - index * 8))) & 0xff;

/** Whether any bit of `bytes` behind the first `bits` is set. */
export const hasBitsBelow = (bytes: Uint8Array, bits: number): boolean =>
  bytes.some((byte, index) => (byte & ~maskByte(bits, index)) !== 0);

/** The same prefix with every bit below it cleared. */
export function maskAddress(address: Address): Address {
  const bytes = new Uint8Array(address.bytes);
  const kept = address.family === 4 ? address.prefix + 96 : address.prefix;
  for (let index = kept >> 3; index < 16; index++) bytes[index] &= maskByte(kept, index);
  return { ...address, bytes };
}

/** Whether an address or prefix of the same family lies in the network. */
export function isWithin(inner: Address, network: Address): boolean {
  if (inner.family !== network.family || inner.prefix < network.prefix) return false;
  const masked = maskAddress({ ...inner, prefix: network.prefix });
  return masked.bytes.every((byte, index) => byte === network.bytes[index]);
}

/**
 * The prefix length to ban for an address, where IPv6 is banned with `prefix` bits: a 6to4 address
 * (RFC 3056) belongs to a customer with a /48.
 */
export function widthOfPrefix(bytes: Uint8Array, prefix: number): number {
  const isSixToFour = sixToFour.head.every((byte, at) => bytes[at] === byte);
  return isSixToFour && bytes.subarray(6).every((byte) => byte === 0) ? Math.min(prefix, sixToFour.bits) : prefix;
}

/** The first bytes of 6to4 addresses, and the prefix length of a customer. */
export const sixToFour = { head: [0x20, 0x02], bits: 48 } as const;

/** Why no packet can come from the address or prefix, as a noun; undefined if one can. */
export function neverSource({ family, bytes }: Address): string | undefined {
  const first = bytes[family === 4 ? 12 : 0]!;
  const tail = bytes.subarray(family === 4 ? 12 : 0);
  if (tail.every((byte) => byte === 0)) return 'the unspecified address';
  if (family === 4 ? first >= 224 && first < 240 : first === 255) return 'a multicast address';
  if (tail.every((byte) => byte === 255)) return 'the broadcast address';
  return undefined;
}

/** RFC 5952 text of an address, with /prefix when that is not the family's full length. */
export function formatAddress(address: Address): string {
  const full = address.family === 4 ? 32 : 128;
  const suffix = address.prefix === full ? '' : `/${address.prefix}`;
  if (address.family === 4) {
    const { bytes } = address;
    return `${bytes[12]}.${bytes[13]}.${bytes[14]}.${bytes[15]}${suffix}`;
  }
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
