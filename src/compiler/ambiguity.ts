/**
 * Whether a line that a segment matches can contain a second, later place where the segment matches
 * too. A search from the right would take that one. Two automata run side by side: one over the
 * line as its writer meant it, one for a second reading that starts at a later byte. The automata
 * accept more lines than the matcher (bounds of runs are ignored), so "no" is certain, and "yes"
 * comes with an example. We assume that the writer put an address (not a host name) where `ip`
 * stands. Build time only.
 */
import { type ByteSet, byteSet, bytesOf } from './bytes.ts';
import type { ByteClass, Token } from './pattern.ts';

type Node =
  | { kind: 'take'; of: ByteSet; next: number }
  /** The next byte, if there is one, is not in the set. */
  | { kind: 'guard'; of: ByteSet; next: number }
  | { kind: 'split'; next: number[] }
  | { kind: 'accept' };

const anything = byteSet({ name: 'any' });

/** Nodes, built from the last token to the first, so that each knows its successor. */
class Automaton {
  readonly nodes: Node[] = [];
  /**
   * Whether an `ip` is an address; otherwise any run that `ip` matches, including host names and
   * plain words.
   */
  addressed = false;

  add(node: Node): number {
    return this.nodes.push(node) - 1;
  }

  /** Zero or more bytes of a class, then `next`. */
  loop(of: ByteSet, next: number): number {
    const split = this.add({ kind: 'split', next: [next] });
    const take = this.add({ kind: 'take', of, next: split });
    (this.nodes[split] as Extract<Node, { kind: 'split' }>).next.push(take);
    return split;
  }

  list(tokens: readonly Token[], next: number): number {
    return tokens.reduceRight((after, token) => this.token(token, after), next);
  }

  token(token: Token, next: number): number {
    switch (token.kind) {
      case 'literal':
        return this.literal(token.text, next);
      case 'choice':
        return this.add({ kind: 'split', next: token.of.map((text) => this.literal(text, next)) });
      case 'optional':
        return this.add({ kind: 'split', next: [next, this.list(token.tokens, next)] });
      case 'either':
        return this.add({ kind: 'split', next: token.of.map((tokens) => this.list(tokens, next)) });
      case 'repeat': {
        const split = this.add({ kind: 'split', next: [next] });
        const again = this.list(token.tokens, split);
        (this.nodes[split] as Extract<Node, { kind: 'split' }>).next.push(again);
        return split;
      }
      case 'span':
        return this.run(token.of, token.min, token.of, next);
      case 'ip': {
        const bytes: ByteClass = this.addressed ? { name: 'hex', bytes: ':.' } : { name: 'word', bytes: ':.%-' };
        const digit: ByteClass = { name: 'digit' };
        const port = this.run(digit, 1, digit, next);
        const after = token.port === true ? this.run({ bytes: ':.' }, 1, { bytes: '' }, port) : next;
        const bare = this.run(bytes, 1, { name: 'word', bytes: '%-' }, after);
        const bracketed = this.literal('[', this.run(bytes, 1, bytes, this.literal(']', after)));
        return this.add({ kind: 'split', next: [bare, bracketed] });
      }
      case 'time':
        return this.run({ name: 'word', bytes: ' ,./:+-' }, 1, { bytes: '' }, next);
      case 'text':
        return this.loop(
          token.without === undefined ? anything : byteSet({ ...token.without, not: !token.without.not }),
          next,
        );
      case 'end':
        return this.add({ kind: 'accept' });
    }
  }

  literal(text: string, next: number): number {
    return bytesOf(text).reduceRight((after, wanted) => {
      const of = anything.map((_, byte) => byte === wanted);
      return this.add({ kind: 'take', of, next: after });
    }, next);
  }

  /** The longest run of `of`: the byte after it is not in `ended`. */
  run(of: ByteClass, min: number, ended: ByteClass, next: number): number {
    const set = byteSet(of);
    let node = this.loop(set, this.add({ kind: 'guard', of: byteSet(ended), next }));
    for (let count = 0; count < Math.min(min, 8); count++) node = this.add({ kind: 'take', of: set, next: node });
    return node;
  }

  /**
   * The nodes that match a byte (or accept) and are reachable without one, each with the bytes that
   * it may not match. No cycle is without a byte: whatever is repeated matches something.
   */
  closure(start: number): Stand[] {
    const stands: Stand[] = [];
    const seen = new Set<string>();
    const visit = (index: number, guards: number[]): void => {
      const key = `${index}:${guards}`;
      if (seen.has(key)) return;
      seen.add(key);
      const node = this.nodes[index] as Node;
      if (node.kind === 'split') for (const next of node.next) visit(next, guards);
      else if (node.kind === 'guard') visit(node.next, [...guards, index]);
      else stands.push({ index, guards, key });
    };
    visit(start, []);
    return stands;
  }

  takes({ index, guards }: Stand, byte: number): boolean {
    const node = this.nodes[index] as Node;
    if (node.kind !== 'take' || !node.of[byte]) return false;
    return guards.every((guard) => !(this.nodes[guard] as Extract<Node, { kind: 'guard' }>).of[byte]);
  }

  accepts({ index }: Stand): boolean {
    return (this.nodes[index] as Node).kind === 'accept';
  }
}

/** A node that will match a byte, and the guards on the way to it. */
interface Stand {
  index: number;
  guards: number[];
  key: string;
}

interface Pair {
  meant: Stand;
  /** null: the second reading has not started. */
  second: Stand | null;
  before: Pair | null;
  byte: number;
}

/**
 * `segment`: the tokens from the end of a text to the next text or the end of the pattern; `rest`:
 * the tokens after them. Returns an example of a line with two readings, as [bytes before the
 * second reading, its bytes]; null if there is none. `names`: also try lines with a host name or a
 * plain word in place of an address.
 */
export function secondReading(
  segment: readonly Token[],
  rest: readonly Token[],
  names = false,
): [string, string] | null {
  const automaton = new Automaton();
  const accept = automaton.add({ kind: 'accept' });
  const open = automaton.loop(anything, accept);
  const again = automaton.list(segment, open);
  automaton.addressed = !names;
  const start = automaton.list([...segment, ...rest], open);
  const bytes = distinctBytes(automaton);
  const closures = new Map<number, Stand[]>();
  const closure = (node: number): Stand[] => {
    const known = closures.get(node) ?? automaton.closure(node);
    closures.set(node, known);
    return known;
  };
  const nextOf = (stand: Stand): number => (automaton.nodes[stand.index] as Extract<Node, { kind: 'take' }>).next;

  const queue: Pair[] = closure(start).map((meant) => ({ meant, second: null, before: null, byte: -1 }));
  const seen = new Set<string>();
  for (const pair of queue) {
    const seconds: (Stand | null)[] =
      pair.second === null && pair.before !== null ? [null, ...closure(again)] : [pair.second];
    for (const second of seconds) {
      const key = `${pair.meant.key}/${second?.key ?? ''}`;
      if (seen.has(key)) continue;
      seen.add(key);
      const here: Pair = { ...pair, second };
      if (second !== null && automaton.accepts(pair.meant) && automaton.accepts(second)) return example(here);
      for (const byte of bytes) {
        if (!automaton.takes(pair.meant, byte) || (second !== null && !automaton.takes(second, byte))) continue;
        for (const meant of closure(nextOf(pair.meant))) {
          for (const next of second === null ? [null] : closure(nextOf(second))) {
            queue.push({ meant, second: next, before: here, byte });
          }
        }
      }
    }
  }
  return null;
}

function example(pair: Pair): [string, string] {
  const parts: [string, string] = ['', ''];
  for (let { before, byte } = pair; before !== null; { before, byte } = before) {
    const side = before.second === null ? 0 : 1;
    parts[side] = String.fromCharCode(byte) + parts[side];
  }
  return parts;
}

/** Searching from here on finds a printable byte for each group that has one. */
const firstPrintable = 0x21;

/** For each group of bytes that no node distinguishes one byte, printable if possible. */
function distinctBytes(automaton: Automaton): number[] {
  const sets = automaton.nodes.flatMap((node) => ('of' in node ? [node.of] : []));
  const groups = new Map<string, number>();
  for (let step = 0; step < 256; step++) {
    const byte = (firstPrintable + step) % 256;
    const key = sets.map((set) => (set[byte] ? '1' : '0')).join('');
    if (!groups.has(key)) groups.set(key, byte);
  }
  return [...groups.values()];
}
