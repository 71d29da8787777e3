/**
 * Examines a list before it is used: counts by prefix length, what is left out, what is probably a
 * mistake, and every error. Input: the lines of a list, from whoever writes it.
 */
import { listMistakesMax } from '../limits.ts';
import type { ListUse } from '../types.ts';
import type { Counts } from './lengths.ts';
import type { Visitor } from './reader.ts';

export interface Mistake {
  line: number;
  reason: string;
  hint: string | undefined;
}

/** The number of lines, and the first of them; 0 = none. */
interface Lines {
  count: number;
  line: number;
}

const top = 2 ** 24;

/**
 * Sources that no packet has: this network, loopback, multicast, reserved. Banning them is
 * pointless.
 */
const isNeverFour = (key: number): boolean => key < top || key >= 224 * top || Math.floor(key / top) === 127;
const isNeverSix = (bytes: Uint8Array): boolean => bytes[0] === 0xff || (bytes[0] === 0 && bytes[1] === 0);

/** Private networks: RFC 1918, 3927, 6598, 4193, 4291. */
const privateFour: readonly (readonly [key: number, bits: number])[] = [
  [10 * top, 8],
  [172 * top + 16 * 65_536, 12],
  [192 * top + 168 * 65_536, 16],
  [169 * top + 254 * 65_536, 16],
  [100 * top + 64 * 65_536, 10],
];
const privateHeads = new Set(privateFour.map(([network]) => Math.floor(network / top)));
const isPrivateFour = (key: number): boolean =>
  // For most of a million addresses the first byte decides.
  privateHeads.has(Math.floor(key / top)) &&
  privateFour.some(([network, bits]) => key >= network && key < network + 2 ** (32 - bits));
const isPrivateSix = ([first = 0, second = 0]: Uint8Array): boolean =>
  (first & 0xfe) === 0xfc || (first === 0xfe && (second & 0xc0) === 0x80);

/** Passes on the useful entries of a list: for a ban list, none that cannot be a source. */
export function sifted(
  use: ListUse,
  visitor: Omit<Visitor, 'bad'>,
  leftOut: (line: number) => void,
): Omit<Visitor, 'bad'> {
  if (use === 'ignore') return visitor;
  return {
    four: (key, prefix, line) => (isNeverFour(key) ? leftOut(line) : visitor.four(key, prefix, line)),
    six: (bytes, prefix, line) => (isNeverSix(bytes) ? leftOut(line) : visitor.six(bytes, prefix, line)),
  };
}

export class Survey {
  readonly counts: Record<4 | 6, Counts> = { 4: new Uint32Array(33), 6: new Uint32Array(129) };
  /** Lines with an entry. */
  entries = 0;
  readonly leftOut: Lines = { count: 0, line: 0 };
  /** Lines of a ban list that name private networks. */
  readonly private: Lines = { count: 0, line: 0 };
  readonly mistakes: Mistake[] = [];
  /** Mistakes that are not reported. */
  mistakesOmitted = 0;
  readonly visitor: Visitor;

  constructor(use: ListUse) {
    const note = (lines: Lines, line: number): void => {
      lines.count++;
      if (lines.line === 0) lines.line = line;
    };
    const count = (family: 4 | 6, prefix: number, isPrivate: boolean, line: number): void => {
      this.counts[family][prefix]!++;
      this.entries++;
      if (isPrivate && use === 'ban') note(this.private, line);
    };
    const counted = sifted(
      use,
      {
        four: (key, prefix, line) => count(4, prefix, isPrivateFour(key), line),
        six: (bytes, prefix, line) => count(6, prefix, isPrivateSix(bytes), line),
      },
      (line) => note(this.leftOut, line),
    );
    const bad: Visitor['bad'] = (line, reason, hint) => {
      if (this.mistakes.length < listMistakesMax) this.mistakes.push({ line, reason, hint });
      else this.mistakesOmitted++;
    };
    this.visitor = { ...counted, bad };
  }
}
