/**
 * What a filter must not contain. Runs before anything is emitted or encoded; each finding names
 * the filter, the pattern and what to do. A pattern that passes is matched in O(line), and its
 * address is at a place where no attacker text can put one (claims S-*, D-*). The rules work on
 * paths: a pattern with each `optional` taken and skipped and each `either` chosen.
 */
import { lineBytesMax } from '../limits.ts';
import { secondReading } from './ambiguity.ts';
import { addressBytes, byteSet, bytesOf } from './bytes.ts';
import type { ByteClass, Filter, Pattern, Token } from './pattern.ts';
import type { Rule } from './rules.ts';
import { capturesOf, holds, listsIn, minimumLength, normalise, segmentsOf, type TextToken } from './shape.ts';

/** Texts in one pattern: each may scan the line once. */
export const textsMax = 4;
/** Paths through one pattern's `optional`s and `either`s. */
export const pathsMax = 1024;
/** Tokens in one pattern, including nested ones. */
export const tokensMax = 192;
/**
 * Literal bytes in one pattern: limits how far its matcher may read past the end of a line, and the
 * size of its code.
 */
export const literalBytesMax = 2048;
/** Longest run of a span: the longest line. */
export const spanMax = lineBytesMax;
/**
 * Longest run that may be scanned again at each place where a text could end: a constant factor of
 * the work per line.
 */
export const rescannedBytesMax = 32;
/** Most rounds of a repeat. */
export const repeatMax = 64;
/** Patterns of one filter, `ignore` included: the largest pattern number. */
export const patternsMax = 255;
/** Modes of one filter: bits of the mode mask. */
export const modesMax = 8;

/** One reason why a filter is refused. */
export interface Finding {
  /** '' for the filter as a whole. */
  pattern: string;
  rule: Rule;
  reason: string;
  /** Index of the token, if the pattern is a plain list of tokens in normal form; -1 unknown. */
  token: number;
}

class Refusal extends Error {
  readonly rule: Rule;
  readonly token: number;

  constructor(rule: Rule, reason: string, token: number) {
    super(reason);
    this.rule = rule;
    this.token = token;
  }
}

function refuse(rule: Rule, reason: string, token = -1): never {
  throw new Refusal(rule, reason, token);
}

/** Every reason to refuse the filter, as `filter: pattern: reason`; empty if it may be compiled. */
export function checkFilter(filter: Filter): string[] {
  return findingsOf(filter).map(({ pattern, reason }) =>
    [filter.name, pattern, reason].filter((part) => part !== '').join(': '),
  );
}

/** The same as records. */
export function findingsOf(filter: Filter): Finding[] {
  const findings: Finding[] = [];
  const report = (pattern: string, check: () => void): void => {
    try {
      check();
    } catch (error) {
      if (!(error instanceof Refusal)) throw error;
      findings.push({ pattern, rule: error.rule, reason: error.message, token: error.token });
    }
  };
  const ignored = filter.ignore ?? [];
  const all = [...ignored, ...filter.patterns];
  report('', () => checkHeader(filter, all));
  for (const pattern of all) {
    report(pattern.name, () => checkPattern(filter, pattern, ignored.includes(pattern)));
  }
  if (findings.length > 0) return findings;
  for (const [index, pattern] of all.entries()) {
    report(pattern.name, () => checkReachable(filter, pattern, all.slice(0, index)));
  }
  return findings;
}

/** Throws with every finding of `checkFilter`. */
export function assertFilter(filter: Filter): void {
  const findings = checkFilter(filter);
  if (findings.length > 0) throw new Error(`filter refused\n  ${findings.join('\n  ')}`);
}

function checkHeader(filter: Filter, all: Pattern[]): void {
  if (filter.patterns.length === 0) refuse('no-pattern', 'it has no pattern');
  if (all.length > patternsMax) refuse('budget', `${all.length} patterns, ${patternsMax} are allowed`);
  if ((filter.modes?.length ?? 0) > modesMax) refuse('budget', `more than ${modesMax} modes`);
  if (filter.prefixes.length === 0) refuse('header', 'it states no prefix');
  if (new Set(filter.prefixes).size !== filter.prefixes.length) refuse('header', 'a prefix is stated twice');
  const starred = filter.tags?.find((tag) => tag === '*' || tag.slice(0, -1).includes('*'));
  if (starred !== undefined)
    refuse('header', `the tag '${starred}' may end in a '*' after other bytes and hold no other`);
  const twice = all.find((pattern, index) => all.findIndex((other) => other.name === pattern.name) !== index);
  if (twice !== undefined) refuse('name', `two patterns are called ${twice.name}`);
}

function checkPattern(filter: Filter, pattern: Pattern, ignored: boolean): void {
  if (!/^[a-z][a-z0-9]*(-[a-z0-9]+)*$/.test(pattern.name))
    refuse('name', 'a name is lower-case words joined by hyphens');
  for (const mode of pattern.modes ?? [])
    if (!filter.modes?.includes(mode)) refuse('mode', `the filter has no mode ${mode}`);
  if (pattern.modes?.length === 0) refuse('mode', 'it applies in no mode; leave modes out to apply in all');
  checkTokens(pattern.tokens, true);
  const weight = weigh(pattern.tokens);
  if (weight.tokens > tokensMax) refuse('budget', `${weight.tokens} tokens, ${tokensMax} are allowed`);
  if (weight.literalBytes > literalBytesMax)
    refuse('budget', `${weight.literalBytes} literal bytes, ${literalBytesMax} are allowed`);
  if (minimumLength(pattern.tokens) === 0) refuse('matches-anything', 'it matches an empty line');
  const paths = pathsOf(normalise(pattern.tokens)).map(normalise);
  const addressed =
    ignored || filter.connection === 'pid' || filter.connection === 'number' || pattern.effect?.kind === 'context';
  if (!addressed && !paths.every((path) => path.some((token) => token.kind === 'ip'))) {
    refuse('no-address', 'a failure without an address: every way through it needs an ip');
  }
  const firm = firmTexts(normalise(pattern.tokens), paths);
  for (const path of paths) checkPath(path, firm);
  checkOneReading(normalise(pattern.tokens), firm);
  for (const path of paths) checkScannedOnce(path);
}

/** Checks each token by itself and its position. */
function checkTokens(tokens: readonly Token[], outermost: boolean): void {
  for (const [index, token] of tokens.entries()) {
    switch (token.kind) {
      case 'literal':
        checkLiteral(token.text, outermost ? index : -1);
        break;
      case 'choice':
        checkChoice(token.of);
        break;
      case 'optional':
        checkInner(token.tokens, 'an optional');
        break;
      case 'either':
        checkEither(token.of);
        break;
      case 'repeat':
        if (!(Number.isInteger(token.max) && token.max >= 1 && token.max <= repeatMax)) {
          refuse('unbounded', `a repeat needs a bound of 1 to ${repeatMax}`);
        }
        if (holds(token.tokens, ({ kind }) => kind === 'repeat')) refuse('loop', 'a repeat inside a repeat');
        if (capturesOf(token.tokens).size > 0) refuse('loop', 'a capture inside a repeat');
        checkInner(token.tokens, 'a repeat');
        break;
      case 'span':
        checkClass(token.of);
        if (!(Number.isInteger(token.min) && token.min >= 0))
          refuse('unbounded', 'a span needs a minimum of 0 or more');
        if (!(Number.isInteger(token.max) && token.max >= 1 && token.max <= spanMax)) {
          refuse('unbounded', `a scan without bound: a span needs a maximum of 1 to ${spanMax}`);
        }
        if (token.min > token.max) refuse('never-matches', 'a span whose minimum is above its maximum');
        break;
      case 'text':
        if (!outermost) refuse('text-place', 'a text inside an optional, either or repeat');
        if (token.max !== undefined && !(Number.isInteger(token.max) && token.max >= 1))
          refuse('no-bytes', 'a text of no bytes');
        if (token.without !== undefined) checkClass(token.without);
        if (tokens[index + 1]?.kind === 'text')
          refuse('text-place', 'two texts side by side: nothing says where the first ends', index);
        break;
      case 'end':
        if (index < tokens.length - 1) refuse('never-matches', 'something follows the end', outermost ? index : -1);
        break;
    }
  }
}

function checkLiteral(text: string, index = -1): void {
  if (text === '') refuse('no-bytes', 'an empty literal', index);
  if (text.includes('\n')) refuse('no-bytes', 'a literal holds a line feed, which no line does', index);
}

function checkChoice(of: readonly string[]): void {
  if (of.length === 0) refuse('no-bytes', 'a choice of nothing');
  for (const [index, text] of of.entries()) {
    checkLiteral(text);
    const earlier = of.slice(0, index).find((other) => text.startsWith(other));
    if (earlier !== undefined)
      refuse('shadowed', `the choice '${earlier}' comes before '${text}' and always wins: put the longer one first`);
  }
}

function checkEither(of: readonly Token[][]): void {
  if (of.length === 0) refuse('no-bytes', 'an either of nothing');
  for (const [index, tokens] of of.entries()) {
    checkTokens(tokens, false);
    const earlier = of.slice(0, index).findIndex((other) => covers(normalise(other), normalise(tokens)));
    if (earlier >= 0)
      refuse(
        'shadowed',
        `alternative ${index + 1} of an either is never reached: alternative ${earlier + 1} takes its lines`,
      );
  }
}

function checkInner(tokens: readonly Token[], what: string): void {
  checkTokens(tokens, false);
  if (minimumLength(tokens) === 0 && !tokens.some((token) => token.kind === 'end'))
    refuse('loop', `${what} that may take nothing`);
}

function checkClass(of: ByteClass): void {
  for (const character of of.bytes ?? '') {
    if (character > '\x7f') refuse('no-bytes', `'${character}' is more than one byte and cannot be in a byte class`);
  }
  if (byteSet(of).every((within) => !within)) refuse('no-bytes', 'a byte class that holds no byte');
}

function weigh(tokens: readonly Token[]): { tokens: number; literalBytes: number } {
  const weight = { tokens: 0, literalBytes: 0 };
  for (const token of tokens) {
    weight.tokens++;
    for (const text of wordsOf(token)) weight.literalBytes += bytesOf(text).length;
    for (const tokens of listsIn(token)) {
      const more = weigh(tokens);
      weight.tokens += more.tokens;
      weight.literalBytes += more.literalBytes;
    }
  }
  return weight;
}

/** Every path through the optionals and eithers. */
function pathsOf(tokens: readonly Token[]): Token[][] {
  let paths: Token[][] = [[]];
  for (const token of tokens) {
    let ways: Token[][] = [[token]];
    if (token.kind === 'optional') ways = [[], ...pathsOf(token.tokens)];
    else if (token.kind === 'either') ways = token.of.flatMap(pathsOf);
    if (paths.length * ways.length > pathsMax)
      refuse('budget', `state budget passed: more than ${pathsMax} ways through it`);
    paths = paths.flatMap((path) => (path.at(-1)?.kind === 'end' ? [path] : ways.map((way) => [...path, ...way])));
  }
  return paths;
}

function checkPath(path: readonly Token[], firm: readonly boolean[]): void {
  /** Position of the first token beyond the limit. */
  const beyond = (most: number, wanted: (token: Token) => boolean): number | undefined =>
    path.flatMap((token, index) => (wanted(token) ? [index] : []))[most];
  const limits: [most: number, wanted: (token: Token) => boolean, rule: Rule, reason: string][] = [
    [1, (token) => token.kind === 'ip', 'captured-twice', 'two addresses on one way through it'],
    [1, (token) => token.kind === 'time', 'captured-twice', 'two timestamps on one way through it'],
    [1, (token) => capturesOf([token]).has('user'), 'captured-twice', 'two users on one way through it'],
    [textsMax, (token) => token.kind === 'text', 'unbounded', `a scan without bound: more than ${textsMax} texts`],
  ];
  for (const [most, wanted, rule, reason] of limits) {
    const token = beyond(most, wanted);
    if (token !== undefined) refuse(rule, reason, token);
  }
  for (const [index, token] of path.entries()) {
    checkNeighbours(token, path[index + 1], index);
    if (token.kind === 'ip') {
      checkAnchored(path, index);
      checkOutOfReach(path, index, firm);
    }
  }
}

/**
 * What follows a text is tried at every place of its first literal. If a long run in it could span
 * several such places, each try would scan the same bytes again, and the cost would be the square
 * of the line's length. So of the literals before the run, one must contain a byte that the run
 * does not match.
 */
function checkScannedOnce(path: readonly Token[]): void {
  let text = -1;
  for (const [index, token] of path.entries()) {
    if (token.kind === 'text') text = index;
    if (text < 0 || !(token.kind === 'ip' || (token.kind === 'span' && token.max > rescannedBytesMax))) continue;
    const set = token.kind === 'ip' ? addressBytes : byteSet(token.of);
    if (path.slice(text + 1, index).some((between) => alwaysHolds(between, (byte) => !set[byte]))) continue;
    refuse(
      'scanned-again',
      `a scan without bound: the ${token.kind} can hold all that stands between it and the text, and is tried again inside it`,
      index,
    );
  }
}

/**
 * A run takes as much as it can, so the next token must not begin with a byte of the run; a text
 * needs a definite end.
 */
function checkNeighbours(token: Token, next: Token | undefined, index: number): void {
  if (next === undefined) return;
  if (token.kind === 'text' && !['literal', 'choice', 'end'].includes(next.kind)) {
    refuse('text-place', `attacker text directly beside ${next.kind}: it needs a literal or the end after it`, index);
  }
  const first = wordsOf(next);
  if (first.length === 0) return;
  const eaten = (text: string): boolean => {
    const byte = bytesOf(text)[0] as number;
    if (token.kind === 'span') return byteSet(token.of)[byte] === true;
    return token.kind === 'ip' && /^[0-9A-Za-z_%-]/.test(text);
  };
  if (first.every(eaten))
    refuse(
      'never-matches',
      `'${first[0]}' can never match after the ${token.kind} before it, which takes its first byte`,
      index + 1,
    );
}

/** The token before an address must fix where it begins; optional blanks do not count. */
function checkAnchored(path: readonly Token[], index: number): void {
  let at = index - 1;
  for (let token = path[at]; token?.kind === 'span' && token.min === 0 && !holdsAddress(token.of); token = path[at])
    at--;
  const before = path[at];
  if (before === undefined || before.kind === 'literal' || before.kind === 'choice' || before.kind === 'time') return;
  if (before.kind === 'span' && before.min > 0 && !holdsAddress(before.of)) return;
  refuse(
    'unanchored',
    `an unanchored address: a ${before.kind} is directly before it; put a literal between them`,
    index,
  );
}

/** Whether a run of the class could extend the address after it. */
function holdsAddress(of: ByteClass): boolean {
  return byteSet(of).some((within, byte) => within && addressBytes[byte]);
}

/**
 * No attacker text may decide where the address is. Two things are safe: a search from the right
 * whose segment matches at only one place of any line that the pattern describes; and texts, all of
 * them up to the address, that cannot contain the literal that ends them.
 */
function checkOutOfReach(path: readonly Token[], address: number, firm: readonly boolean[]): void {
  const texts = textsOf(path.slice(0, address));
  if (texts.every((_, order) => firm[order])) return;
  const nearest = texts.at(-1) as number;
  if ((path[nearest] as TextToken).from === 'left') {
    refuse(
      'in-reach',
      "attacker text could reach the address: say from: 'right', or name bytes of the literal after the text in without",
      nearest,
    );
  }
}

/**
 * The other half of `checkOutOfReach`, over the whole pattern: for the remaining texts, which are
 * searched from the right.
 */
function checkOneReading(tokens: readonly Token[], firm: readonly boolean[]): void {
  const { searched } = segmentsOf(tokens);
  for (const [order, { segment }] of searched.entries()) {
    if (!capturesOf(segment).has('address') || firm.slice(0, order + 1).every(Boolean)) continue;
    const rest = searched.slice(order + 1).flatMap((next) => [next.text, ...next.segment]);
    const reading = secondReading(segment, rest);
    if (reading === null) continue;
    const [before, again] = reading.map((part) => JSON.stringify(part));
    refuse(
      'in-reach',
      `attacker text could reach the address: after the text, ${before} may be followed by ${again}, which fits there too; ` +
        'let end close the pattern and leave no room for it after the address',
      textsOf(tokens)[order],
    );
  }
}

/** Indices of the texts in a pattern or path. */
function textsOf(tokens: readonly Token[]): number[] {
  return tokens.flatMap((token, index) => (token.kind === 'text' ? [index] : []));
}

/** The possible words of a literal or choice; none for other tokens. */
function wordsOf(token: Token | undefined): readonly string[] {
  if (token?.kind === 'literal') return [token.text];
  return token?.kind === 'choice' ? token.of : [];
}

/** Whether every word of the literal contains such a byte. */
function alwaysHolds(token: Token, wanted: (byte: number) => boolean): boolean {
  const words = wordsOf(token);
  return words.length > 0 && words.every((word) => bytesOf(word).some(wanted));
}

/**
 * Which texts of a pattern cannot contain the literal that ends them, and so have only one possible
 * end in any line: at the first byte that the text excludes, minus that byte's offset in the
 * literal. The offset must be the same for all literals that may follow; otherwise a text could end
 * inside one of them and leave the rest to another.
 */
function firmTexts(tokens: readonly Token[], paths: readonly Token[][]): boolean[] {
  const ways = paths.map((path) => segmentsOf(path).searched);
  return segmentsOf(tokens).searched.map(({ text }, order) => {
    const without = byteSet(text.without ?? {});
    const inside = ways.flatMap((searched) =>
      wordsOf(searched[order]?.segment[0]).map((word) => bytesOf(word).findIndex((byte) => without[byte])),
    );
    return inside.every((bytes) => bytes >= 0 && bytes === inside[0]);
  });
}

/**
 * Whether an earlier pattern that always applies when this one does matches every line that this
 * one could.
 */
function checkReachable(filter: Filter, pattern: Pattern, earlier: readonly Pattern[]): void {
  const modes = (of: Pattern): readonly string[] => of.modes ?? filter.modes ?? [];
  const shadow = earlier.find(
    (other) =>
      modes(pattern).every((mode) => modes(other).includes(mode)) &&
      covers(normalise(other.tokens), normalise(pattern.tokens)),
  );
  if (shadow !== undefined)
    refuse('shadowed', `never reached: ${shadow.name}, which comes before it, takes all its lines`);
}

/**
 * Whether `wide` certainly matches wherever `narrow` does. Recognises equal beginnings, shorter
 * literals and wider choices.
 */
function covers(wide: readonly Token[], narrow: readonly Token[]): boolean {
  const [first, ...rest] = wide;
  if (first === undefined) return true;
  const [against, ...others] = narrow;
  if (against === undefined) return false;
  if (same(first, against)) return covers(rest, others);
  if (first.kind === 'literal' && against.kind === 'literal') {
    if (!against.text.startsWith(first.text)) return false;
    return covers(rest, [{ kind: 'literal', text: against.text.slice(first.text.length) }, ...others]);
  }
  if (first.kind === 'literal' && against.kind === 'choice')
    return rest.length === 0 && against.of.every((text) => text.startsWith(first.text));
  if (first.kind === 'choice' && against.kind === 'literal') {
    const taken = first.of.find((text) => against.text.startsWith(text));
    return (
      taken !== undefined &&
      covers(rest, normalise([{ kind: 'literal', text: against.text.slice(taken.length) }, ...others]))
    );
  }
  if (first.kind === 'choice' && against.kind === 'choice') {
    return against.of.every((text) => first.of.includes(text)) && covers(rest, others);
  }
  return first.kind === 'either' && first.of.some((tokens) => covers([...tokens, ...rest], narrow));
}

/** Equal except for the name of the capture. */
function same(one: Token, other: Token): boolean {
  const plain = (token: Token): string => JSON.stringify({ ...token, capture: undefined });
  return plain(one) === plain(other);
}
