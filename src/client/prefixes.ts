/**
 * IPv4 prefixes on the command line. Bans are of single addresses, in the table and in every kernel
 * set, so a prefix is requested address by address, and shown as one line. Each address in it has
 * its own end, record and unban, and ignored ones are refused one by one. Input: words that the
 * verb's row has checked. When full: a prefix wider than `ipv4PrefixMin` is refused before any
 * request.
 */
import { ipv4PrefixMin } from '../config/limits.ts';
import { formatAddress, parseAddress, parseCidr } from '../text/address.ts';
import type { Address } from '../types.ts';
import { UsageError } from './words.ts';

const numberOf = ({ bytes }: Address): number => new DataView(bytes.buffer, bytes.byteOffset).getUint32(12);

function withNumber(address: Address, number: number): Address {
  const bytes = new Uint8Array(address.bytes);
  new DataView(bytes.buffer).setUint32(12, number);
  return { family: 4, bytes, prefix: 32 };
}

/**
 * The words, with each IPv4 prefix replaced by its addresses. Throws UsageError if one is too wide.
 */
export function addressesOf(words: readonly string[], verb: string): string[] {
  return words.flatMap((word) => {
    const network = parseCidr(word, 'clear');
    if (typeof network !== 'object' || network.family === 6 || network.prefix === 32) return [word];
    const count = 2 ** (32 - network.prefix);
    if (network.prefix < ipv4PrefixMin)
      throw new UsageError(
        `${word} has ${count} addresses, each a ban of its own: at most a /${ipv4PrefixMin} at once; a rule of your own firewall is the place for more`,
        verb,
      );
    return Array.from({ length: count }, (_, place) => formatAddress(withNumber(network, numberOf(network) + place)));
  });
}

/**
 * Consecutive rows whose IPv4 addresses follow one another and that are `alike`: the text of their
 * addresses, and the first row.
 */
export function runs<Row>(
  rows: readonly Row[],
  addressIn: (row: Row) => string,
  alike: (one: Row, other: Row) => boolean,
): { text: string; row: Row }[] {
  const found: { row: Row; last: number | undefined; to: string; count: number }[] = [];
  for (const row of rows) {
    const address = parseAddress(addressIn(row));
    const number = address?.family === 4 ? numberOf(address) : undefined;
    const before = found.at(-1);
    if (before?.last !== undefined && number === before.last + 1 && alike(before.row, row)) {
      Object.assign(before, { last: number, to: addressIn(row), count: before.count + 1 });
    } else found.push({ row, last: number, to: addressIn(row), count: 1 });
  }
  return found.map(({ row, to, count }) => ({
    row,
    text: count === 1 ? to : `${addressIn(row)} to ${to} (${count} addresses)`,
  }));
}
