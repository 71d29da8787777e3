/**
 * Whether an audit log is intact: each line is compared with the chain, and known hashes from
 * elsewhere with each line. Input: lines of a file that anybody may have changed, in order.
 * Invariant: a changed, missing, moved or added byte is a finding, with its position; after the
 * last line of the chain there may be text that a crash cut off. SHA-256 is Node's own here; the
 * daemon uses OpenSSL. Claim: R-01d.
 */
import { hash } from 'node:crypto';
import { headerOf, type Seal, sealOf, unchained } from '../history/chain.ts';
import { type Event, eventOf } from '../history/event.ts';

/** Where something is wrong, and what. */
export interface Finding {
  file: string;
  /** From 1; 0 = the file as a whole. */
  line: number;
  problem: string;
}

/** A record's number and hash, as kept elsewhere. */
export interface Known {
  number: number;
  hash: string;
  /** Where it was kept. */
  by: string;
}

export const sha256 = (text: string): string => hash('sha256', text);

/** The first line of a file that an earlier version wrote. */
const earlier = /^\{"fail2zig":"history",/;

export class ChainCheck {
  readonly findings: Finding[] = [];
  /** What is worth knowing, but not an error. */
  readonly notes: Finding[] = [];
  records = 0;
  /** Number of the oldest record, and of the newest so far. */
  first: number | undefined;
  last = 0;
  readonly #known = new Map<number, Known[]>();
  #head: string | undefined;
  /** Lines outside the chain since its last line, and where they begin. */
  #torn: string[] = [];
  #tornAt: { file: string; line: number } | undefined;
  #place = { file: '', line: 0 };

  readonly #sealText: string | undefined;
  readonly #seal: Seal | undefined;

  /**
   * @param known numbers with known hashes @param seal content of the seal file, '' = there is
   * none; absent: not checked
   */
  constructor(known: readonly Known[] = [], seal?: string) {
    this.#sealText = seal;
    this.#seal = seal === undefined ? undefined : sealOf(seal, sha256);
    const sealed = this.#seal ? [{ number: this.#seal.number, hash: this.#seal.head, by: 'the seal' }] : [];
    for (const each of [...known, ...sealed])
      this.#known.set(each.number, [...(this.#known.get(each.number) ?? []), each]);
  }

  /** Checks one more line; `isEnded`: it ends with a line feed. */
  line(file: string, line: number, text: string, isEnded: boolean): void {
    this.#place = { file, line };
    if (this.#head === undefined && earlier.test(text)) {
      this.#note('records of an earlier version, without a chain: not verified');
      return;
    }
    const found = unchained(text);
    if (!isEnded && found !== undefined && sha256(this.#head + found.body) === found.hash) {
      this.#note('a record whose write is not finished: the next start finishes it');
      return;
    }
    const parts = isEnded ? found : undefined;
    const header = parts && headerOf(text);
    const number = header?.after ?? (parts && eventOf(parts.body)?.number);
    if (parts === undefined || number === undefined) {
      if (this.#head !== undefined || !this.#isEarlier()) this.#putAside(text);
      return;
    }
    const event = header === undefined ? eventOf(parts.body) : undefined;
    this.#closeTorn(event);
    if (this.#head === undefined) this.#begin(header?.previous, number);
    this.#follow(number, header?.previous, parts);
    if (event !== undefined) this.#take(event);
    this.#head = parts.hash;
    this.last = number;
    this.#compare(number, parts.hash);
  }

  /** After the last line: whether the log is as long as is known from elsewhere. */
  end(file: string): void {
    const seal = this.#seal;
    this.#place = { file, line: 0 };
    if (this.#sealText !== undefined && seal === undefined && this.records > 0)
      this.#find(`its seal ${this.#sealText === '' ? 'is missing' : 'was changed'}: what was cut off does not show`);
    if (this.#tornAt !== undefined) {
      this.#place = this.#tornAt;
      if (this.#isText()) this.#find('text that is no record of the daemon');
      else this.#note(`an unfinished write of ${this.#torn.join('\n').length} bytes, which the next start closes`);
      this.#place = { file, line: 0 };
    }
    if (seal !== undefined && seal.from < (this.first ?? seal.number + 1))
      this.#find(`${numbers(seal.from, (this.first ?? seal.number + 1) - 1)} missing at the beginning`);
    for (const [number, known] of this.#known) {
      for (const { by } of known) {
        if (number > this.last)
          this.#find(`${numbers(this.last + 1, number)} missing at the end: ${by} names ${number}`);
        else if (number >= (this.first ?? 1)) this.#find(`record ${number} is not the one that ${by} names`);
      }
    }
  }

  /** Records that are newer than the seal. */
  get unsealed(): number {
    return Math.min(this.records, Math.max(0, this.last - (this.#seal?.number ?? 0)));
  }

  /** Whether the current lines belong to a file of an earlier version. */
  #isEarlier(): boolean {
    return this.notes.some(({ file }) => file === this.#place.file);
  }

  #putAside(text: string): void {
    this.#tornAt ??= this.#place;
    this.#torn.push(text);
  }

  /** Whether a line outside the chain may still be read as a record. */
  #isText(): boolean {
    return this.#torn.some((text) => eventOf(text) !== undefined);
  }

  /** Lines outside the chain must be what the next line of the chain closes. */
  #closeTorn(event: Event | undefined): void {
    const isClosing = event?.event === 'recovered';
    if (this.#tornAt === undefined && !isClosing) return;
    const text = this.#torn.join('\n');
    const here = this.#place;
    if (!isClosing || this.#isText() || event.bytes !== text.length || event.torn !== sha256(text)) {
      this.#place = this.#tornAt ?? here;
      this.#find('text that is no record of the daemon');
      this.#place = here;
    } else this.#note(`closes an unfinished write of ${text.length} bytes before it`);
    this.#torn = [];
    this.#tornAt = undefined;
  }

  #begin(previous: string | undefined, number: number): void {
    if (previous === undefined) this.#find('the first line of the log is missing');
    this.#head = previous;
    this.last = previous === undefined ? number - 1 : number;
    this.first = this.last + 1;
  }

  /** Whether a line follows the one before. */
  #follow(number: number, previous: string | undefined, { body, hash: said }: { body: string; hash: string }): void {
    const expected = previous === undefined ? this.last + 1 : this.last;
    if (number > expected)
      this.#find(`${numbers(expected, number - (previous === undefined ? 1 : 0))} missing before it`);
    else if (number < expected) this.#find(`record ${number} is out of order, behind ${this.last}`);
    else if (this.#head !== undefined && sha256(this.#head + body) !== said)
      this.#find(`${previous === undefined ? `record ${number}` : 'the first line'} or what is before it was changed`);
  }

  #take({ event, last = 0, number, count }: Event): void {
    this.records++;
    if (event === 'missing')
      this.#find(`at a start the log had records up to ${last} only, and not what its seal named (record ${number})`);
    if (event === 'lost') this.#note(`${count} records found no place before it`);
  }

  #compare(number: number, said: string): void {
    const left = this.#known.get(number)?.filter((known) => known.hash !== said);
    if (left?.length === 0) this.#known.delete(number);
    else if (left !== undefined) this.#known.set(number, left);
  }

  #find(problem: string): void {
    this.findings.push({ ...this.#place, problem });
  }

  #note(problem: string): void {
    this.notes.push({ ...this.#place, problem });
  }
}

const numbers = (from: number, until: number): string =>
  from >= until ? `record ${from} is` : `records ${from} to ${until} are`;
