/**
 * A way through an expression, as pieces of our pattern language, and their text. If the language
 * has no exact equivalent, a piece says how it differs: narrower is always allowed; wider only if a
 * run of a class becomes any text between the same two texts, and that is reported. Throws Refused.
 */
import { foreignAt } from '../config/foreign-pattern.ts';
import { closerOf } from '../config/pattern-text.ts';
import { classWaysMax, draftsMax } from './limits.ts';
import { type Bytes, digits, Refused, spaces } from './regex.ts';
import { type Item, isAny } from './ways.ts';

export type Slot =
  | { kind: 'text'; text: string }
  | {
      kind:
        | 'ip'
        | 'skip'
        | 'user'
        | 'word'
        | 'part'
        | 'inside'
        | 'field'
        | 'number'
        | 'digit'
        | 'blanks'
        | 'time'
        | 'end';
    };

export interface Draft {
  slots: Slot[];
  narrower: string[];
  wider: string[];
}

type Run = Extract<Item, { kind: 'run' }>;

/**
 * The drafts of one way, which contains neither start nor prefix. There are several if a class is
 * written out.
 */
export function draftsOf(items: readonly Item[]): Draft[] {
  return spellings(items).flatMap(draftsOfSpelt);
}

function draftsOfSpelt(items: readonly Item[]): Draft[] {
  let drafts: Draft[] = [{ slots: [], narrower: [], wider: [] }];
  for (let index = items.length - 1; index >= 0; index--) {
    const item = items[index] as Item;
    drafts = drafts.flatMap((draft) => prepend(item, draft, items, index));
    if (drafts.length > draftsMax) throw new Refused('[…]', 'its classes make too many patterns', 'split it');
  }
  return drafts.map((draft) => ({ ...draft, slots: tidy(draft.slots) }));
}

/** `draft` with `item` added before it. */
function prepend(item: Item, draft: Draft, items: readonly Item[], index: number): Draft[] {
  const withSlots = (...slots: Slot[]): Draft => ({ ...draft, slots: [...slots, ...draft.slots] });
  switch (item.kind) {
    case 'text':
      if (!item.fold) return [withSlots({ kind: 'text', text: item.text })];
      return [{ ...withSlots({ kind: 'text', text: item.text }), narrower: [...draft.narrower, caseSensitive] }];
    case 'ip':
      return [withSlots({ kind: 'ip' })];
    case 'end':
      return [withSlots({ kind: 'end' })];
    case 'boundary':
      return boundary(draft, items, index);
    case 'run':
      return runSlots(item, draft.slots[0], opened(items.slice(0, index))).map(({ slots, narrower, wider }) => ({
        slots: [...slots, ...draft.slots],
        narrower: narrower === undefined ? draft.narrower : [...draft.narrower, narrower],
        wider: wider === undefined ? draft.wider : [...draft.wider, wider],
      }));
    default:
      throw new Refused(item.kind === 'start' ? '^' : item.kind, 'nothing can match at its place');
  }
}

const caseSensitive = 'capitals count here: the usual spellings are written out';

/** The usual spellings of text under (?i) in a log: as written, in lower case, with a capital. */
function spellings(items: readonly Item[]): Item[][] {
  if (!items.some((item) => item.kind === 'text' && item.fold)) return [[...items]];
  const spelt = (spell: (text: string, index: number) => string): Item[] => {
    let count = 0;
    return items.map((item) =>
      item.kind === 'text' && item.fold ? { ...item, text: spell(item.text, count++) } : item,
    );
  };
  const small = (text: string): string => text.toLowerCase();
  const capital = (text: string): string => small(text).replace(/[a-z]/, (letter) => letter.toUpperCase());
  const ways = [
    spelt((text) => text),
    spelt(small),
    spelt((text, index) => (index === 0 ? capital(text) : small(text))),
  ];
  return ways.filter(
    (way, index) => ways.findIndex((other) => JSON.stringify(other) === JSON.stringify(way)) === index,
  );
}

/** A word boundary beside an address or between certain bytes is either always there or never. */
function boundary(draft: Draft, items: readonly Item[], index: number): Draft[] {
  const before = items[index - 1];
  const next = draft.slots[0];
  if (before?.kind === 'ip' || next?.kind === 'ip') return [draft];
  const isWord = (character: string): boolean => /[A-Za-z0-9_]/.test(character);
  const left = before?.kind === 'text' ? isWord(before.text.at(-1) as string) : undefined;
  const right = next?.kind === 'text' ? isWord(next.text[0] as string) : next?.kind === 'end' ? false : undefined;
  if (left !== undefined && right !== undefined) return left === right ? [] : [draft];
  return [{ ...draft, wider: [...draft.wider, anyBoundary] }];
}

/** The note for a word boundary beside bytes that are not fixed. */
export const anyBoundary = '\\b beside a run, or at the end, is not checked';

/** How a search or field differs from a run of at least one byte. */
export const mayBeEmpty = 'a run may be empty here; in the expression it may not';

interface RunSlots {
  slots: Slot[];
  narrower?: string;
  wider?: string;
}

const slot = (kind: Exclude<Slot['kind'], 'text'>): Slot => ({ kind });
const text = (characters: string): Slot => ({ kind: 'text', text: characters });

/** Converts a run before `next`; `close` ends the quotes or brackets around it. */
function runSlots(run: Run, next: Slot | undefined, close: string | undefined): RunSlots[] {
  const { of, min, max, user } = run;
  if (max === 0) return [{ slots: [] }];
  const members = of.flatMap((within, byte) => (within ? [byte] : []));
  if (members.length === 0) return [];
  if (max === 1) return oneByte(run, members);
  if (isAny(of)) return [{ slots: [slot(user ? 'user' : 'skip')], wider: min > 0 ? mayBeEmpty : undefined }];
  if (members.every((byte) => spaces[byte])) return blankSlots(min, max);
  if (members.every((byte) => digits[byte])) return digitSlots(min, max, members.length === 10);
  if (members.length === 1) return repeatedByte(String.fromCharCode(members[0] as number), min, max);
  const hasBlank = of[0x20] === true;
  return hasBlank ? broadSlots(run, next, close) : wordSlots(run, next);
}

function oneByte({ of, min }: Run, members: readonly number[]): RunSlots[] {
  const none: RunSlots[] = min === 0 ? [{ slots: [] }] : [];
  if (isAny(of)) return [...none, { slots: [text('.')], narrower: '"." is taken for the character itself' }];
  if (members.length === 10 && members.every((byte) => digits[byte])) return [...none, { slots: [slot('digit')] }];
  if (members.every((byte) => spaces[byte])) return [...none, { slots: [text(' ')] }];
  if (members.length > classWaysMax)
    throw new Refused('[…]', 'one byte of a class', 'write the bytes that really occur there');
  return [...members.map((byte) => ({ slots: [text(String.fromCharCode(byte))] })), ...none];
}

function blankSlots(min: number, max: number): RunSlots[] {
  if (max === min && max <= 4) return [{ slots: [text(' '.repeat(min))] }];
  const wider = max === Number.POSITIVE_INFINITY ? undefined : 'any number of blanks is taken';
  return [{ slots: [...(min === 0 ? [] : [text(' '.repeat(min))]), slot('blanks')], wider }];
}

function digitSlots(min: number, max: number, all: boolean): RunSlots[] {
  const wider = all ? undefined : 'any digits are taken, not only those of the class';
  const none: RunSlots[] = min === 0 ? [{ slots: [] }] : [];
  const least = Math.max(1, min);
  if (max === Number.POSITIVE_INFINITY) {
    if (least === 1) return [{ slots: [slot('number')], wider }, ...none];
    return [{ slots: [slot('number')], wider: wider ?? `fewer than ${least} digits are taken too` }, ...none];
  }
  if (max - least > 2 || max > 20)
    return [{ slots: [slot('number')], wider: 'any number of digits is taken' }, ...none];
  const lengths = Array.from({ length: max - least + 1 }, (_, index) => max - index);
  return [...lengths.map((length) => ({ slots: Array.from({ length }, () => slot('digit')), wider })), ...none];
}

function repeatedByte(character: string, min: number, max: number): RunSlots[] {
  const least = Math.max(min, 0);
  const narrower = max > least + 1 ? `${JSON.stringify(character)} is repeated at most once more` : undefined;
  return [least + 1, least]
    .filter((length) => length <= max && length < 64)
    .map((length) => ({ slots: length === 0 ? [] : [text(character.repeat(length))], narrower }));
}

/** A run without blanks. */
function wordSlots({ of, min }: Run, next: Slot | undefined): RunSlots[] {
  const emptiness = min > 0 ? mayBeEmpty : undefined;
  const none: RunSlots[] = min === 0 ? [{ slots: [] }] : [];
  const first = next?.kind === 'text' ? (next.text[0] as string) : undefined;
  if (next !== undefined && first === undefined && next.kind !== 'end' && next.kind !== 'blanks') {
    throw new Refused(
      '\\S+',
      'two runs side by side: nothing says where the first ends',
      'put a character between them',
    );
  }
  if (first !== undefined && /[A-Za-z0-9]/.test(first)) {
    return [{ slots: [slot('part')], wider: difference(of, 'part', ' ') ?? emptiness }];
  }
  const stop = first === undefined || first > '\x7f' ? '' : first;
  const narrower =
    stop !== '' && stop !== ' ' && of[stop.charCodeAt(0)]
      ? `a run ends at the first ${JSON.stringify(stop)}`
      : undefined;
  return [{ slots: [slot('word')], narrower, wider: difference(of, 'word', stop) }, ...none];
}

/** A run with blanks in it. */
function broadSlots({ of, min }: Run, next: Slot | undefined, close: string | undefined): RunSlots[] {
  const emptiness = min > 0 ? mayBeEmpty : undefined;
  const missing = of.flatMap((within, byte) =>
    within || byte === 10 || byte === 13 ? [] : [String.fromCharCode(byte)],
  );
  const first = next?.kind === 'text' ? (next.text[0] as string) : undefined;
  if (first !== undefined && missing.includes(first) && !/[A-Za-z0-9]/.test(first)) {
    return [{ slots: [slot('field')], wider: difference(of, 'field', first) ?? emptiness }];
  }
  const isText = first !== undefined || next?.kind === 'end' || next === undefined;
  if (isText && close !== undefined && missing.includes(close)) {
    return [{ slots: next === undefined ? [] : [slot('inside')], wider: difference(of, 'inside', close) ?? emptiness }];
  }
  if (next === undefined) return [{ slots: [], wider: emptiness }];
  const construct = `[^${missing.slice(0, 8).join('')}]*`;
  throw new Refused(
    construct,
    'the text after it may also occur in it',
    'end it with a character that cannot occur in it',
  );
}

/** How a piece of `kind` differs from the class; undefined if it matches nothing more. */
function difference(of: Bytes, kind: string, stop: string): string | undefined {
  const blank = kind === 'word' || kind === 'part';
  const more = of.some((within, byte) => {
    if (within || byte < 0x20 || byte > 0x7e) return false;
    return !(String.fromCharCode(byte) === stop || (blank && spaces[byte]));
  });
  return more ? `{${kind}} takes bytes that are not in the class` : undefined;
}

/** What closes the last quotes or brackets that earlier texts have opened. */
function opened(items: readonly Item[]): string | undefined {
  return closerOf(items.flatMap((item) => (item.kind === 'text' ? [item.text] : [])));
}

/** Joins texts, joins searches, and removes pieces at the end that match anything. */
function tidy(slots: readonly Slot[]): Slot[] {
  const result: Slot[] = [];
  for (const next of slots) {
    const last = result.at(-1);
    if (next.kind === 'text' && last?.kind === 'text') result[result.length - 1] = text(last.text + next.text);
    else if (isSearch(last) && next.kind === 'blanks') continue;
    else if (last?.kind === 'blanks' && isSearch(next)) result[result.length - 1] = next;
    else if (isSearch(last) && isSearch(next)) result[result.length - 1] = last?.kind === 'user' ? last : next;
    else result.push(next);
  }
  if (result.at(-1)?.kind === 'end' && isSearch(result.at(-2)))
    result.splice(-2, 2, ...(result.at(-2)?.kind === 'user' ? [slot('user')] : []));
  while (['skip', 'blanks', 'inside'].includes(result.at(-1)?.kind ?? '')) result.pop();
  return result;
}

export function isSearch(of: Slot | undefined): boolean {
  return of?.kind === 'skip' || of?.kind === 'user';
}

/** The text of a pattern. */
export function patternOf(slots: readonly Slot[]): string {
  const plain = slots.map((next) => (next.kind === 'text' ? braced(next.text) : captureOf(next.kind))).join('');
  const isForeign = (at: number): boolean => foreignAt(plain, at) !== undefined;
  if (![...plain].some((_, at) => isForeign(at))) return plain;
  return slots.map((next) => (next.kind === 'text' ? quoted(next.text) : captureOf(next.kind))).join('');
}

const captureOf = (kind: Slot['kind']): string => (kind === 'time' ? '{timestamp}' : `{${kind}}`);
const braced = (of: string): string => of.replaceAll('{', '{{').replaceAll('}', '}}');

/** Text that looks like something else, in `{'…'}` from its first to its last special character. */
function quoted(of: string): string {
  const [, before = '', odd = '', after = ''] = /^([\w ,:;/@=-]*)(.*?)([\w ,:;/@=-]*)$/s.exec(of) ?? [];
  if (odd === '') return of;
  return (
    before +
    odd
      .split(/(?<=')(?=\})/)
      .map((part) => (part.startsWith('}') ? `}}${wrapped(part.slice(1))}` : wrapped(part)))
      .join('') +
    after
  );
}

const wrapped = (of: string): string => (of === '' ? '' : `{'${of}'}`);
