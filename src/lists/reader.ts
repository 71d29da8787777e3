/**
 * The text of a list: one address or prefix a line; `#` or `;` starts a comment. Whoever writes the
 * list controls it. A mistake is reported with its line and what to write instead, and reading
 * continues. Constant memory: one piece of the file at a time. Claims: X-lists.
 */
import { readSync } from 'node:fs';
import { addressTextMax, listLineBytesMax, listPieceBytes, listPrefixMin } from '../limits.ts';
import { formatAddress, parseCidr } from '../text/address.ts';
import { printable } from '../text/printable.ts';

/** Receives the content of each line; lines count from 1. */
export interface Visitor {
  /** `key`: the address as a number of 32 bits. */
  four(key: number, prefix: number, line: number): void;
  /** `bytes`: the address, network order. */
  six(bytes: Uint8Array, prefix: number, line: number): void;
  bad(line: number, reason: string, hint?: string): void;
}

const [tab, lineFeed, carriage, blank, hash, dot, slash, zero, nine, semicolon] = [
  9, 10, 13, 32, 35, 46, 47, 48, 57, 59,
];
const example = 'write 192.0.2.7, 192.0.2.0/24 or 2001:db8::/32';
const tooLong = `is longer than ${listLineBytesMax} bytes`;
const byteOrderMark = 0xef_bb_bf;

export class ListReader {
  readonly #file: number;
  readonly #visitor: Visitor;
  /** One byte more than is read: the last line gets a line feed too. */
  readonly #bytes = Buffer.allocUnsafe(listPieceBytes + 1);
  /** Bytes of a line whose end was not read yet. */
  #kept = 0;
  #position = 0;
  #line = 0;
  /** Skipping the rest of a line that is too long. */
  #passes = false;

  /** @param file an open file; it is read from its start and stays open */
  constructor(file: number, visitor: Visitor) {
    this.#file = file;
    this.#visitor = visitor;
  }

  /** Reads the next piece, a millisecond of work; false at the end. Throws the system's error. */
  step(): boolean {
    const bytes = this.#bytes;
    const count = readSync(this.#file, bytes, this.#kept, listPieceBytes - this.#kept, this.#position);
    this.#position += count;
    const length = this.#kept + count;
    bytes[length] = lineFeed;
    const isMarked = this.#position === count && length > 2 && bytes.readUIntBE(0, 3) === byteOrderMark;
    let from = isMarked ? 3 : 0;
    for (;;) {
      const to = bytes.indexOf(lineFeed, from);
      if (to < 0 || to >= length) break;
      this.#take(from, to);
      from = to + 1;
    }
    if (count === 0) {
      if (from < length) this.#take(from, length);
      return false;
    }
    this.#kept = length - from;
    if (this.#kept > listLineBytesMax) {
      if (!this.#passes) this.#visitor.bad(this.#line + 1, tooLong);
      this.#passes = true;
      this.#kept = 0;
    } else bytes.copyWithin(0, from, length);
    return true;
  }

  #take(from: number, to: number): void {
    this.#line++;
    if (this.#passes) this.#passes = false;
    else if (to - from > listLineBytesMax) this.#visitor.bad(this.#line, tooLong);
    else this.#read(from, to);
  }

  /** One line, [from, to) of the bytes. */
  #read(from: number, to: number): void {
    const bytes = this.#bytes;
    while (from < to && (bytes[from] === blank || bytes[from] === tab)) from++;
    if (this.#readFour(from, to)) return;
    let end = from;
    for (let byte = bytes[end]!; end < to && byte !== hash && byte !== semicolon; byte = bytes[++end]!);
    for (let last = bytes[end - 1]; end > from && (last === blank || last === tab || last === carriage); ) {
      last = bytes[--end - 1];
    }
    if (end > from) this.#readAny(from, end);
  }

  /** Dotted IPv4, which most lines are; false for anything else. */
  #readFour(from: number, to: number): boolean {
    const bytes = this.#bytes;
    let key = 0;
    let at = from;
    for (let part = 0; part < 4; part++) {
      if (part > 0 && bytes[at++] !== dot) return false;
      const first = at;
      let value = 0;
      for (let byte = bytes[at]!; byte >= zero && byte <= nine; byte = bytes[++at]!) value = value * 10 + byte - zero;
      if (at === first || value > 255 || (bytes[first] === zero && at > first + 1)) return false;
      key = key * 256 + value;
    }
    let prefix = 32;
    if (bytes[at] === slash) {
      let byte = bytes[++at]!;
      if (byte === zero) return false;
      for (prefix = 0; byte >= zero && byte <= nine; byte = bytes[++at]!) prefix = prefix * 10 + byte - zero;
      if (prefix > 32 || prefix < listPrefixMin[4] || key % 2 ** (32 - prefix) !== 0) return false;
    }
    if (at < to && !this.#isOver(at, to)) return false;
    this.#visitor.four(key, prefix, this.#line);
    return true;
  }

  /** Whether only blanks and a comment follow. */
  #isOver(from: number, to: number): boolean {
    const bytes = this.#bytes;
    let at = from;
    for (let byte = bytes[at]; byte === blank || byte === tab || byte === carriage; ) byte = bytes[++at];
    return at >= to || bytes[at] === hash || bytes[at] === semicolon;
  }

  #readAny(from: number, to: number): void {
    const text = this.#bytes.toString('latin1', from, to);
    const shown = `"${printable(text, addressTextMax)}"`;
    const bad = (reason: string, hint?: string): void => this.#visitor.bad(this.#line, `${shown} ${reason}`, hint);
    const exact = parseCidr(text, 'refuse');
    const parsed = exact === 'host-bits' ? parseCidr(text, 'clear') : exact;
    if (parsed === 'bad-prefix') bad('has a wrong prefix length', 'IPv4 has up to 32 bits, IPv6 up to 128');
    else if (typeof parsed === 'string') {
      if (/\s/.test(text)) bad('is more than an address', 'put what follows it behind "#"');
      else if (/^[A-Za-z0-9-]+(\.[A-Za-z0-9-]+)*\.?[A-Za-z]$/.test(text))
        bad('is a host name', 'write its addresses: host names are never resolved');
      else bad('is not an address or prefix', example);
    } else if (parsed.prefix < listPrefixMin[parsed.family])
      bad(`is wider than a /${listPrefixMin[parsed.family]}`, 'name the networks in it that are meant');
    else if (exact === 'host-bits') bad('has bits set below its prefix', `write ${formatAddress(parsed)}`);
    else if (parsed.family === 4) {
      const [one, two, three, four] = parsed.bytes.subarray(12) as unknown as [number, number, number, number];
      this.#visitor.four(((one * 256 + two) * 256 + three) * 256 + four, parsed.prefix, this.#line);
    } else this.#visitor.six(parsed.bytes, parsed.prefix, this.#line);
  }
}
