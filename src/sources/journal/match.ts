/**
 * Which journal entries go to which jails. Of fields, only names and the values that a jail asks
 * for are read; MESSAGE is located here and read by the engine alone.
 *
 * A field's data object is stored once in a file and shared by many entries, so its meaning for the
 * jails is remembered by its offset. When full: it is read again.
 */
import { journalFieldNameMax, journalIdentifierMax, journalMeaningsMax } from '../../limits.ts';
import type { JournalMatch } from '../../types.ts';
import { DamagedEntry, type DataHead, type JournalFile } from './file.ts';

/** The role of a data object for us. */
export const role = {
  none: 0,
  message: 1,
  identifier: 2,
  command: 3,
  givenPid: 4,
  pid: 5,
  /** Present if systemd assigns the writer to a login session or a user's own services. */
  owner: 6,
  compressed: 7,
} as const;

const roles: Readonly<Record<string, number>> = {
  MESSAGE: role.message,
  SYSLOG_IDENTIFIER: role.identifier,
  _COMM: role.command,
  SYSLOG_PID: role.givenPid,
  _PID: role.pid,
  _SYSTEMD_OWNER_UID: role.owner,
};

interface Meaning {
  readonly role: number;
  /** Terms that it fulfils. */
  readonly terms: readonly number[];
  /** What the engine gets of it: an identifier or a process number. */
  readonly shown: Uint8Array | undefined;
}

/** The values of a field that jails ask for, and the term that each fulfils. */
interface Wanted {
  readonly exact: Map<string, number>;
  /** Values that end in a star. */
  readonly beginning: [text: string, term: number][];
}

/** A match, with its values as terms. */
interface Compiled {
  readonly groups: { readonly fields: number[][]; readonly system: boolean }[];
}

const nothing: Meaning = { role: role.none, terms: [], shown: undefined };
const packed: Meaning = { role: role.compressed, terms: [], shown: undefined };
/** Longest process number, digits. */
const pidBytesMax = 10;

/** The meanings of one file's data objects, by offset. */
export class Meanings {
  readonly #offsets = new Float64Array(journalMeaningsMax);
  readonly #found: Meaning[] = new Array<Meaning>(journalMeaningsMax).fill(nothing);

  get(offset: number): Meaning | undefined {
    const slot = (offset / 8) % journalMeaningsMax;
    return this.#offsets[slot] === offset ? this.#found[slot] : undefined;
  }

  set(offset: number, meaning: Meaning): void {
    const slot = (offset / 8) % journalMeaningsMax;
    this.#offsets[slot] = offset;
    this.#found[slot] = meaning;
  }
}

export class Matcher {
  readonly #fields = new Map<string, Wanted>();
  readonly #matches: Compiled[];
  readonly #known = new Map<string, Meaning>();
  readonly #present: Uint8Array;
  #terms = 0;
  /** Of the current entry: meanings by role, and offsets of its messages and compressed fields. */
  readonly found: (Meaning | undefined)[] = new Array<Meaning | undefined>(role.owner + 1).fill(undefined);
  readonly messages: number[] = [];
  readonly compressed: number[] = [];

  constructor(matches: readonly JournalMatch[]) {
    this.#matches = matches.map(({ groups }) => ({
      groups: groups.map(({ terms, system = false }) => ({
        system,
        fields: terms.map(([field, values]) => values.map((value) => this.#term(field, value))),
      })),
    }));
    this.#present = new Uint8Array(this.#terms);
  }

  #term(field: string, value: string): number {
    let wanted = this.#fields.get(field);
    if (wanted === undefined) {
      wanted = { exact: new Map(), beginning: [] };
      this.#fields.set(field, wanted);
    }
    const begins = value.endsWith('*');
    const text = Buffer.from(begins ? value.slice(0, -1) : value).toString('latin1');
    const known = begins ? wanted.beginning.find(([other]) => other === text)?.[1] : wanted.exact.get(text);
    if (known !== undefined) return known;
    if (begins) wanted.beginning.push([text, this.#terms]);
    else wanted.exact.set(text, this.#terms);
    return this.#terms++;
  }

  /** Reads which fields the current entry has. Throws DamagedEntry. */
  read(file: JournalFile, meanings: Meanings): void {
    this.#present.fill(0);
    this.found.fill(undefined);
    this.messages.length = 0;
    this.compressed.length = 0;
    for (const offset of file.fields) {
      let meaning = meanings.get(offset);
      if (meaning === undefined) {
        meaning = this.#meaningOf(file.dataAt(offset));
        meanings.set(offset, meaning);
      } else if (offset >= file.offset) throw new DamagedEntry('a field is behind its entry');
      if (meaning === nothing) continue;
      for (const term of meaning.terms) this.#present[term] = 1;
      if (meaning.role === role.message) this.messages.push(offset);
      else if (meaning.role === role.compressed) this.compressed.push(offset);
      else this.found[meaning.role] = meaning;
    }
  }

  get count(): number {
    return this.#matches.length;
  }

  /** Whether the current entry fits a match, by the match's number. */
  fits(match: number): boolean {
    const isSession = this.found[role.owner] !== undefined;
    return this.#matches[match]!.groups.some(
      ({ fields, system }) =>
        !(system && isSession) && fields.every((values) => values.some((term) => this.#present[term] === 1)),
    );
  }

  #meaningOf({ bytes, at, shown: shownBytes, length, compressed }: DataHead): Meaning {
    if (compressed !== 0) return packed;
    const limit = at + Math.min(shownBytes, journalFieldNameMax + 1);
    let end = at;
    while (end < limit && bytes[end] !== 61) end++;
    if (end === limit) return nothing;
    const name = bytes.toString('latin1', at, end);
    const wanted = this.#fields.get(name);
    const itsRole = roles[name] ?? role.none;
    const shows = itsRole >= role.identifier && itsRole <= role.pid;
    const shown = shows ? shownValue(bytes.subarray(end + 1, at + shownBytes), itsRole) : undefined;
    if (wanted === undefined) return itsRole === role.none ? nothing : this.#share(itsRole, [], shown);
    const terms: number[] = [];
    const value = bytes.toString('latin1', end + 1, at + shownBytes);
    // A value longer than the bytes shown cannot be one that somebody asked for.
    const exact = shownBytes === length ? wanted.exact.get(value) : undefined;
    if (exact !== undefined) terms.push(exact);
    for (const [text, term] of wanted.beginning) if (value.startsWith(text)) terms.push(term);
    return this.#share(itsRole, terms, shown);
  }

  /** Objects with the same meaning share one record. */
  #share(itsRole: number, terms: number[], shown: Uint8Array | undefined): Meaning {
    if (shown !== undefined) return { role: itsRole, terms, shown };
    const key = `${itsRole}:${terms.join()}`;
    let meaning = this.#known.get(key);
    if (meaning === undefined) {
      meaning = itsRole === role.none && terms.length === 0 ? nothing : { role: itsRole, terms, shown };
      this.#known.set(key, meaning);
    }
    return meaning;
  }
}

/**
 * The digits of a process number; or an identifier, with `_` for characters that would end it
 * early.
 */
function shownValue(value: Uint8Array, itsRole: number): Uint8Array {
  const isPid = itsRole === role.givenPid || itsRole === role.pid;
  const isNumber = value.length <= pidBytesMax && value.every((byte) => byte >= 48 && byte <= 57);
  // A copy, since the window moves on.
  if (isPid) return Uint8Array.from(isNumber ? value : []);
  return value
    .slice(0, journalIdentifierMax)
    .map((byte) => (byte <= 32 || byte === 58 || byte === 91 || byte === 93 ? 95 : byte));
}
