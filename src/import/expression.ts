/**
 * One regular expression of fail2ban as patterns of ours. The compiler's own checks test each
 * pattern. If they refuse one, a narrower one may replace it, which is reported. Input: any text.
 * Never throws: for an expression that cannot be translated it returns the reason. Claims LP-11,
 * LP-28, WHY-15.
 */
import { findingsOf } from '../compiler/check.ts';
import type { Filter, Token } from '../compiler/pattern.ts';
import { closerOf, parsePattern } from '../config/pattern-text.ts';
import { draftsMax, waysMax } from './limits.ts';
import { parseExpression, Refused } from './regex.ts';
import { type Draft, draftsOf, isSearch, mayBeEmpty, patternOf, type Slot } from './slots.ts';
import { type Item, type Ways, waysOf } from './ways.ts';

export interface Translated {
  /** Patterns for lines; they begin where the message begins, or cover the whole line. */
  patterns: string[];
  /** Patterns of text that must not count, for negative lookarounds. */
  ignore: string[];
  /** Whether a message begins where common.conf says, after host, daemon and pid. */
  prefixed: boolean;
  /** Whether a pattern must be tried where a message begins, whatever the identifier. */
  anywhere: boolean;
  narrower: string[];
  wider: string[];
}

export interface Refusal {
  construct: string;
  reason: string;
  hint: string;
  /** Whether it is only for the service's bookkeeping: no failure by itself. */
  bookkeeping: boolean;
}

/** Groups of expressions that are not failures by themselves. */
const bookkeeping = ['nofail', 'mlfforget', 'mlfgained'];

export interface Around {
  /** What a prefregex requires before and after the text that the expressions match. */
  before: Item[];
  after: Item[];
}

/**
 * `pre`: the prefregex. `counts`: whether it finds failures, or lines that must not count. `until`:
 * the latest value of performance.now().
 */
export function translate(
  text: string,
  pre: string | undefined,
  counts: boolean,
  until = Number.POSITIVE_INFINITY,
): Translated | Refusal {
  try {
    const expression = waysOf(parseExpression(text));
    const context = pre === undefined ? undefined : waysOf(parseExpression(pre));
    if (counts) refuseBookkeeping(expression);
    const work = new Work(counts, until);
    const ways = aroundOf(context).flatMap((around) => expression.ways.map((way) => inside(around, way)));
    for (const way of spread(ways, waysMax)) work.add(way);
    if (ways.length > waysMax) work.narrower.push(`${waysMax} of ${ways.length} ways through it are kept`);
    work.narrower.push(...expression.narrower, ...(context?.narrower ?? []));
    return work.result();
  } catch (error) {
    if (!(error instanceof Refused)) throw error;
    return {
      construct: error.construct,
      reason: error.message,
      hint: error.hint,
      bookkeeping: error instanceof NoFailure,
    };
  }
}

class NoFailure extends Refused {}

/** At most `most` of the ways, taken evenly from the list. */
function spread<Way>(ways: readonly Way[], most: number): Way[] {
  if (ways.length <= most) return [...ways];
  return Array.from({ length: most }, (_, index) => ways[Math.round((index * (ways.length - 1)) / (most - 1))] as Way);
}

function refuseBookkeeping({ groups, ways }: Ways): void {
  const name = bookkeeping.find((group) => groups.has(group));
  if (name !== undefined) {
    throw new NoFailure(`<F-${name.toUpperCase()}>`, 'it is no failure by itself, only about others of its connection');
  }
  if (groups.has('mlfid') && !ways.some((way) => way.some(({ kind }) => kind === 'ip'))) {
    throw new Refused('<F-MLFID>', 'the address is in another line', 'write a pattern for the line that names it');
  }
}

/** What surrounds the content of a prefregex, one for each way through it. */
function aroundOf(pre: Ways | undefined): Around[] {
  if (!pre) return [{ before: [], after: [] }];
  return pre.ways.map((way) => {
    const at = way.findIndex(({ kind }) => kind === 'content');
    if (at < 0) return { before: [...way, { kind: 'content' }], after: [] };
    return { before: way.slice(0, at), after: way.slice(at + 1) };
  });
}

const anything: Item = {
  kind: 'run',
  of: new Array<boolean>(256).fill(true),
  min: 0,
  max: Number.POSITIVE_INFINITY,
  user: false,
};

/** The way within the whole line. */
function inside({ before, after }: Around, way: readonly Item[]): Item[] {
  if (before.length === 0 && after.length === 0) return [...way];
  if (before.at(-1)?.kind === 'content') {
    // Without content the expression matches against the line itself, and the line must match the
    // prefregex too.
    return [...way];
  }
  const isAnchored = way[0]?.kind === 'start';
  const isEnded = way.at(-1)?.kind === 'end';
  const middle = way.slice(isAnchored ? 1 : 0, isEnded ? -1 : undefined);
  const rest = after.some(({ kind }) => kind !== 'end');
  const end: Item[] = isEnded ? [{ kind: 'end' }] : [];
  return [
    ...before,
    ...(isAnchored ? [] : [anything]),
    ...middle,
    ...(rest ? [...(isEnded ? [] : [anything]), ...after] : end),
  ];
}

/** Collects the patterns of one expression. */
class Work {
  readonly narrower: string[] = [];
  readonly #wider: string[] = [];
  readonly #counts: boolean;
  readonly #until: number;
  readonly #patterns = new Set<string>();
  readonly #ignore = new Set<string>();
  #prefixed = false;
  #anywhere = false;
  #first: Refused | undefined;
  #drafts = 0;

  constructor(counts: boolean, until: number) {
    this.#counts = counts;
    this.#until = until;
  }

  add(way: readonly Item[]): void {
    const prefix = way.findIndex(({ kind }) => kind === 'prefix');
    if (prefix >= 0) this.#prefixed = true;
    const isAnchored = prefix >= 0 || way[0]?.kind === 'start';
    let items = prefix >= 0 ? way.slice(prefix + 1) : isAnchored ? way.slice(1) : way;
    for (const [index, item] of items.entries()) {
      if (item.kind === 'not-ahead') this.#except(items.slice(0, index), item.ways, isAnchored);
    }
    items = items.filter(({ kind }) => kind !== 'not-ahead');
    const ended = items.findIndex(({ kind }) => kind === 'end');
    if (
      ended >= 0 &&
      items.slice(ended + 1).some((item) => item.kind !== 'end' && !(item.kind === 'run' && item.min === 0))
    )
      return;
    if (ended >= 0) items = items.slice(0, ended + 1);
    // A line start in the middle can never match.
    if (items.some(({ kind }) => kind === 'start')) return;
    try {
      for (const draft of draftsOf(items)) this.#draft(draft, isAnchored, prefix < 0);
    } catch (error) {
      if (!(error instanceof Refused)) throw error;
      this.#first ??= error;
    }
  }

  result(): Translated {
    if (this.#patterns.size === 0 && this.#first) throw this.#first;
    // If it must not count and can never match, nothing is lost.
    if (this.#patterns.size === 0 && this.#counts) throw new Refused('', 'nothing in it can match');
    if (this.#first) this.narrower.push(`one way through it is left out: ${this.#first.message}`);
    return {
      patterns: withoutCovered(this.#patterns),
      ignore: [...this.#ignore],
      prefixed: this.#prefixed,
      anywhere: this.#anywhere,
      narrower: [...new Set(this.narrower)],
      wider: [...new Set(this.#wider)],
    };
  }

  /** `(?!…)`: lines with that text at this place never count. */
  #except(before: readonly Item[], ways: readonly Item[][], isAnchored: boolean): void {
    if (!this.#counts) throw new Refused('(?!…)', 'text that must not be there', 'write what may be there');
    for (const way of ways) {
      const work = new Work(false, this.#until);
      const head: Item[] = isAnchored ? [{ kind: 'start' }] : [];
      work.add([...head, ...before.filter(({ kind }) => kind !== 'not-ahead'), ...way]);
      const { patterns, narrower } = work.result();
      if (narrower.length > 0) throw new Refused('(?!…)', 'text that must not be there', 'write what may be there');
      for (const pattern of patterns) this.#ignore.add(pattern);
    }
    this.narrower.push('no pattern of the filter counts a line that holds what (?!…) forbids');
  }

  #draft(draft: Draft, isAnchored: boolean, isHead: boolean): void {
    if (performance.now() > this.#until)
      throw new Refused('', 'there is no time left to check its patterns', 'split it');
    if (++this.#drafts > draftsMax) throw new Refused('(…|…)', `it makes more than ${draftsMax} patterns`, 'split it');
    const slots = isAnchored ? withoutBeginning(draft.slots, isHead) : draft.slots;
    if (this.#counts && !slots.some(({ kind }) => kind === 'ip')) {
      throw new Refused('', 'one way through it has no address', 'write <HOST> where the address is');
    }
    const whole = isAnchored || isSearch(slots[0]) ? slots : [{ kind: 'skip' } as const, ...slots];
    const found = this.#usable(whole);
    this.narrower.push(...draft.narrower, ...found.narrower);
    this.#wider.push(...draft.wider);
    for (const pattern of found.patterns) this.#patterns.add(pattern);
  }

  /** The patterns that the compiler accepts: the exact one, or narrower ones. */
  #usable(whole: readonly Slot[]): { patterns: string[]; narrower: string[] } {
    const refusal = refusalOf(whole, this.#counts);
    if (refusal === undefined) return { patterns: withTimes(whole, this.#counts), narrower: [] };
    const other = searched(whole);
    if (refusalOf(other, this.#counts) === undefined) {
      this.#wider.push(mayBeEmpty);
      return { patterns: withTimes(other, this.#counts), narrower: [] };
    }
    if (!this.#counts) throw refusal;
    const narrower = new Set<string>();
    const patterns: string[] = [];
    const attempt = (slots: readonly Slot[], remark: string): boolean => {
      const usable = [slots, searched(slots)].find((each) => refusalOf(each, true) === undefined);
      if (usable === undefined || patterns.length >= narrowerMax) return false;
      if (usable !== slots) this.#wider.push(mayBeEmpty);
      patterns.push(...withTimes(usable, true));
      narrower.add(remark);
      return true;
    };
    // The beginning of a message may follow the text that an expression does not begin with.
    const message = withoutBeginning(whole.slice(1), false);
    if (whole[0]?.kind === 'skip' && attempt(message, 'it counts only where the message begins with it')) {
      this.#anywhere = true;
    }
    const open = tailsOf(whole);
    for (const tail of open) {
      if (!this.#anywhere && whole[0]?.kind === 'skip' && attempt([...message, ...tail], endsThere))
        this.#anywhere = true;
      attempt([...whole, ...tail], endsThere);
    }
    if (patterns.length === 0) {
      for (const each of [fielded(whole, true), fielded(whole, false)]) {
        const remark = 'a text ends at the first character that follows it here';
        if (attempt(each, remark)) break;
        for (const tail of open) attempt([...each, ...tail], remark);
        if (patterns.length > 0) break;
      }
    }
    if (patterns.length === 0) throw refusal;
    return { patterns, narrower: [...narrower] };
  }
}

/** The patterns without those that another one covers when its {part} is empty. */
function withoutCovered(patterns: ReadonlySet<string>): string[] {
  const covered = new Set<string>();
  for (const pattern of patterns) {
    for (let at = pattern.indexOf('{part}'); at >= 0; at = pattern.indexOf('{part}', at + 1)) {
      covered.add(pattern.slice(0, at) + pattern.slice(at + '{part}'.length));
    }
  }
  return [...patterns].filter(
    (pattern) => !covered.has(pattern) && !covered.has(pattern.replaceAll('{word}"', '{part}"')),
  );
}

/** At most this many patterns replace a refused one. */
const narrowerMax = 4;

const textSlot = (text: string): Slot => ({ kind: 'text', text });
const endsThere = "it counts only where the line ends after it, or after a port: more could be an attacker's";
/** What may come between an address and the end of a line if the expression does not say. */
const tails: readonly Slot[][] = [
  [{ kind: 'end' }],
  [textSlot(' port '), { kind: 'number' }, { kind: 'end' }],
  [textSlot(' port '), { kind: 'number' }, textSlot(' '), { kind: 'word' }, { kind: 'end' }],
  [textSlot(':'), { kind: 'number' }, { kind: 'end' }],
];

/** Those behind these runs: a bracket that they open may close. */
function tailsOf(slots: readonly Slot[]): readonly Slot[][] {
  if (slots.at(-1)?.kind === 'end') return [];
  const closer = closerOf(slots.flatMap((slot) => (slot.kind === 'text' ? [slot.text] : [])));
  return closer === undefined ? tails : [[textSlot(closer), { kind: 'end' }], ...tails];
}

/** What is left of a time at the start of a line. */
const headRest = /^\s*(?:\[\]:?|:)?\s*/;

/**
 * The same with the first runs written out. `whole`: brackets or a colon of a time may be left, not
 * only blanks.
 */
function withoutBeginning(slots: readonly Slot[], whole: boolean): Slot[] {
  const [first, ...rest] = slots;
  if (first?.kind === 'blanks') return withoutBeginning(rest, whole);
  if (first?.kind !== 'text') return [...slots];
  const text = whole ? first.text.replace(headRest, '') : first.text.trimStart();
  return text === '' ? withoutBeginning(rest, false) : [textSlot(text), ...rest];
}

/** Converts searches, all or those before the address, into runs up to the next character. */
function fielded(slots: readonly Slot[], beforeAddress: boolean): Slot[] {
  const address = slots.findIndex(({ kind }) => kind === 'ip');
  return slots.map((slot, index) => {
    const next = slots[index + 1];
    const canEnd = next?.kind === 'text' && /^[^A-Za-z0-9\s\x80-\uffff]/.test(next.text);
    return (index < address || !beforeAddress) && isSearch(slot) && canEnd ? { kind: 'field' } : slot;
  });
}

/** Converts runs after a search into searches, if they match the same bytes. */
function searched(slots: readonly Slot[]): Slot[] {
  const first = slots.findIndex((slot) => isSearch(slot) || slot.kind === 'part' || slot.kind === 'inside');
  return slots.map((slot, index): Slot => {
    const next = slots[index + 1];
    if (first < 0 || index < first || next?.kind !== 'text') return slot;
    const before = slots.slice(0, index).flatMap((other) => (other.kind === 'text' ? [other.text] : []));
    if (slot.kind === 'field' && closerOf(before) === next.text[0]) return { kind: 'inside' };
    return slot.kind === 'word' && /^[^A-Za-z0-9]/.test(next.text) ? { kind: 'part' } : slot;
  });
}

/** Why the compiler refuses the pattern; undefined if it does not. */
function refusalOf(slots: readonly Slot[], counts: boolean): Refused | undefined {
  const text = patternOf(slots);
  const parsed = parsePattern(text);
  if ('reason' in parsed) return new Refused(text, parsed.reason, parsed.hint);
  const [finding] = findingsOf(filterOf(parsed.tokens, counts));
  return finding && new Refused(text, finding.reason);
}

function filterOf(tokens: Token[], counts: boolean): Filter {
  const pattern = { name: 'tried', tokens, sample: '', counter: '' };
  const address: Token[] = [{ kind: 'literal', text: 'address ' }, { kind: 'ip' }];
  const other = { name: 'other', tokens: address, sample: '', counter: '' };
  const [patterns, ignore] = counts ? [[pattern], []] : [[other], [pattern]];
  return { name: 'tried', about: '', prefixes: ['bare'], patterns, ignore };
}

/**
 * The pattern, preceded by one that includes the time if that is inside the line: fail2ban removes
 * the time before it matches.
 */
function withTimes(slots: readonly Slot[], counts: boolean): string[] {
  const emptied = slots.map((slot) => (slot.kind === 'text' ? slot.text.indexOf('[]') : -1));
  const empty = emptied.findIndex((at) => at >= 0);
  if (empty >= 0 && (empty > 0 || (emptied[empty] as number) > 0)) {
    return [patternOf(timed(slots, empty, emptied[empty] as number))];
  }
  if (!counts || slots[0]?.kind !== 'ip') return [patternOf(slots)];
  const at = slots.findIndex((slot, index) => index > 0 && (isSearch(slot) || slot.kind === 'field'));
  const next = slots[at + 1];
  if (at < 0 || next?.kind !== 'text') return [patternOf(slots)];
  const before = slots[at - 1];
  const isBracketed = before?.kind === 'text' && before.text.endsWith('[') && next.text.startsWith(']');
  const time: Slot[] = isBracketed
    ? [{ kind: 'time' }]
    : isSearch(slots[at])
      ? [{ kind: 'skip' }, { kind: 'text', text: '[' }, { kind: 'time' }, ...(next.text.startsWith(']') ? [] : closed)]
      : [];
  if (time.length === 0) return [patternOf(slots)];
  const variant = [...slots.slice(0, at), ...time, ...slots.slice(at + 1)];
  if (isBracketed && refusalOf(variant, counts) === undefined) return [patternOf(variant)];
  return refusalOf(variant, counts) === undefined ? [patternOf(variant), patternOf(slots)] : [patternOf(slots)];
}

const closed: Slot[] = [{ kind: 'text', text: ']' }, { kind: 'skip' }];

/** `[]` at `within` of the text at `index`, taken as the brackets of a time. */
function timed(slots: readonly Slot[], index: number, within: number): Slot[] {
  const { text } = slots[index] as { text: string };
  const piece = (of: string): Slot => ({ kind: 'text', text: of });
  return [
    ...slots.slice(0, index),
    piece(text.slice(0, within + 1)),
    { kind: 'time' },
    piece(text.slice(within + 1)),
    ...slots.slice(index + 1),
  ];
}
