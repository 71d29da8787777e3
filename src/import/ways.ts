/**
 * The ways through an expression: each optional part is left out or taken, and one of each set of
 * alternatives is chosen. So a way is a plain row of items, as our patterns are. Bounded in number.
 * Throws Refused.
 */
import { unrolledMax, waysTriedMax } from './limits.ts';
import { anyByte, type Bytes, type Node, Refused } from './regex.ts';

export type Item =
  | { kind: 'text'; text: string; fold: boolean }
  | { kind: 'run'; of: Bytes; min: number; max: number; user: boolean }
  | { kind: 'ip' | 'prefix' | 'start' | 'end' | 'boundary' }
  /** What a prefregex hands to the expressions. */
  | { kind: 'content' }
  | { kind: 'not-ahead'; ways: Item[][] };

export interface Ways {
  ways: Item[][];
  /** What was left out, one sentence each: the ways match fewer lines than the expression. */
  narrower: string[];
  /** Names of the groups in it, in lower case. */
  groups: Set<string>;
}

export function waysOf(node: Node): Ways {
  const walk = new Walk();
  const ways = walk.ways(node, false);
  return { ways: ways.map(joined), narrower: [...walk.narrower], groups: walk.groups };
}

class Walk {
  readonly narrower = new Set<string>();
  readonly groups = new Set<string>();
  #left = waysTriedMax;

  ways(node: Node, user: boolean): Item[][] {
    switch (node.kind) {
      case 'text':
        return [[{ kind: 'text', text: node.text, fold: node.fold && /[a-z]/i.test(node.text) }]];
      case 'class':
        return [[{ kind: 'run', of: node.of, min: 1, max: 1, user }]];
      case 'sequence':
        return node.of.reduce<Item[][]>((ways, next) => this.#both(ways, this.ways(next, user)), [[]]);
      case 'choice':
        return this.#choice(node.of, user);
      case 'repeat':
        return this.#repeat(node, user);
      case 'group': {
        this.groups.add(node.name);
        if (node.name === 'content') return [[{ kind: 'content' }]];
        return this.ways(node.of, user || node.name === 'user');
      }
      case 'not-ahead':
        return [[{ kind: 'not-ahead', ways: this.ways(node.of, false) }]];
      default:
        return [[{ kind: node.kind }]];
    }
  }

  #choice(of: readonly Node[], user: boolean): Item[][] {
    const union = unionOf(of);
    if (union) return [[{ kind: 'run', of: union, min: 1, max: 1, user }]];
    const ways = of.flatMap((option) => this.ways(option, user));
    return withoutCovered(ways);
  }

  #repeat({ of, min, max }: Extract<Node, { kind: 'repeat' }>, user: boolean): Item[][] {
    const single = singleOf(of);
    if (single) return [[{ kind: 'run', of: single, min, max, user }]];
    const once = this.ways(of, user);
    if (max > 1 && once.length === 1 && once[0]?.length === 1 && once[0][0]?.kind === 'run' && once[0][0].min <= 1) {
      const [run] = once[0];
      return [[{ ...run, min: run.min * min, max: Number.POSITIVE_INFINITY }]];
    }
    if (min > unrolledMax) throw new Refused(`{${min}}`, 'a group is repeated more often than can be written out');
    let ways: Item[][] = [[]];
    for (let times = 0; times < min; times++) ways = this.#both(ways, once);
    if (max === min) return ways;
    if (max > Math.max(1, min)) this.narrower.add('a group that may be repeated is taken at most once more');
    return withoutCovered([...this.#both(ways, once), ...ways]);
  }

  #both(before: Item[][], after: Item[][]): Item[][] {
    this.#left -= before.length * after.length;
    if (this.#left < 0)
      throw new Refused('(…|…)', 'its optional parts and alternatives make too many patterns', 'split it');
    if (after.length === 1) {
      const [only = []] = after;
      return before.map((way) => [...way, ...only]);
    }
    return before.flatMap((way) => after.map((more) => [...way, ...more]));
  }
}

/** The class of a node that matches exactly one byte. */
function singleOf(node: Node): Bytes | undefined {
  if (node.kind === 'class') return node.of;
  if (node.kind === 'group' && node.name !== 'user' && node.name !== 'content') return singleOf(node.of);
  if (node.kind === 'choice') return unionOf(node.of);
  if (node.kind !== 'text' || node.text > '\x7f' || node.text.length !== 1) return undefined;
  const { text, fold } = node;
  const bytes = new Set(fold ? [text.toLowerCase(), text.toUpperCase()] : [text]);
  return anyByte.map((_, byte) => bytes.has(String.fromCharCode(byte)));
}

/** The bytes of alternatives that are one byte each. */
function unionOf(of: readonly Node[]): Bytes | undefined {
  const sets = of.map(singleOf);
  if (sets.length < 2 || sets.some((set) => set === undefined)) return undefined;
  return anyByte.map((_, byte) => sets.some((set) => set?.[byte]));
}

/** Any text covers every other way that is one run, or nothing. */
function withoutCovered(ways: Item[][]): Item[][] {
  const any = ways.find((way) => way.length === 1 && way[0]?.kind === 'run' && isAny(way[0].of) && way[0].max > 1);
  if (!any) return ways;
  return [any, ...ways.filter((way) => way.length > 1 || (way[0] !== undefined && way[0].kind !== 'run'))];
}

export function isAny(of: Bytes): boolean {
  return of.every((within, byte) => within || byte === 10 || byte === 13);
}

/** Texts side by side as one. */
function joined(way: readonly Item[]): Item[] {
  const items: Item[] = [];
  for (const item of way) {
    const last = items.at(-1);
    if (item.kind === 'text' && last?.kind === 'text' && last.fold === item.fold) {
      items[items.length - 1] = { ...last, text: last.text + item.text };
    } else items.push(item);
  }
  return items;
}
