/**
 * Python's regular expressions, with fail2ban's tags, as a syntax tree: the meaning of an
 * expression, whatever its spelling. Input: any text; the tree is bounded. Throws Refused with the
 * construct that our patterns cannot express. Nothing here is ever run on a line.
 */
import { byteSet } from '../compiler/bytes.ts';
import { expressionCharactersMax, expressionDepthMax } from './limits.ts';
import { prefixMark } from './tree.ts';

/** The bytes of a class, by number. A character beyond ASCII counts as all of its bytes. */
export type Bytes = readonly boolean[];

export type Node =
  | { kind: 'text'; text: string; fold: boolean }
  | { kind: 'class'; of: Bytes }
  | { kind: 'sequence'; of: Node[] }
  | { kind: 'choice'; of: Node[] }
  | { kind: 'repeat'; of: Node; min: number; max: number }
  /** `name` of a fail2ban tag or a named group, in lower case. */
  | { kind: 'group'; name: string; of: Node }
  | { kind: 'ip' }
  /** What common.conf puts before a message. */
  | { kind: 'prefix' }
  | { kind: 'start' }
  | { kind: 'end' }
  | { kind: 'boundary' }
  | { kind: 'not-ahead'; of: Node };

/** Why an expression cannot become one of our patterns: the construct, and what to do instead. */
export class Refused extends Error {
  readonly construct: string;
  readonly hint: string;

  constructor(construct: string, reason: string, hint = '') {
    super(reason);
    this.construct = construct;
    this.hint = hint;
  }
}

export const anyByte: Bytes = byteSet({ name: 'any' }).map((within, byte) => within && byte !== 10);
export const digits: Bytes = byteSet({ name: 'digit' });
export const spaces: Bytes = byteSet({ name: 'space' });
export const nonspaces: Bytes = spaces.map((within) => !within);
const word: Bytes = byteSet({ name: 'word' }).map((within, byte) => within || byte > 0x7f);
const inverted = (of: Bytes): Bytes => of.map((within) => !within);

const escapedClasses: Record<string, Bytes> = {
  d: digits,
  D: inverted(digits),
  s: spaces,
  S: nonspaces,
  w: word,
  W: inverted(word),
};
const escapedCharacters: Record<string, string> = { t: '\t', r: '\r', f: '\f', v: '\v', a: '\x07' };

const addressTags = ['HOST', 'ADDR', 'IP4', 'IP6', 'F-ADDR/', 'F-IP4/', 'F-IP6/'];
const refusedTags: Record<string, [reason: string, hint: string]> = {
  SKIPLINES: ['several lines make one failure', 'write a pattern for the line that names the address'],
  SUBNET: ['it counts a network, not an address', ''],
  'F-SUBNET/': ['it counts a network, not an address', ''],
  CIDR: ['it counts a network, not an address', ''],
  'F-CIDR/': ['it counts a network, not an address', ''],
  DNS: ['it counts a host name, and host names are never resolved', 'let the service log addresses'],
  'F-DNS/': ['it counts a host name, and host names are never resolved', 'let the service log addresses'],
  'F-ID/': ['it counts something other than an address', ''],
};
const addressGroups = ['host', 'ip4', 'ip6', 'dns', 'addr'];

export function parseExpression(text: string): Node {
  if (text.length > expressionCharactersMax) {
    throw new Refused(text.slice(0, 40), `it is longer than ${expressionCharactersMax} characters`);
  }
  return new Parser(text).parse();
}

class Parser {
  readonly #text: string;
  #at = 0;
  #depth = 0;
  #fold = false;
  #dotAll = false;
  readonly #open: string[] = [];

  constructor(text: string) {
    this.#text = text;
  }

  parse(): Node {
    const node = this.#choice();
    if (this.#at < this.#text.length) throw new Refused(this.#text.slice(this.#at, this.#at + 20), 'a ")" without "("');
    return node;
  }

  #choice(): Node {
    if (++this.#depth > expressionDepthMax) throw new Refused('(…)', 'groups are nested too deeply');
    const fold = this.#fold;
    const options = [this.#sequence()];
    while (this.#text[this.#at] === '|') {
      this.#at++;
      options.push(this.#sequence());
    }
    if (this.#depth > 1) this.#fold = fold;
    this.#depth--;
    return options.length === 1 ? (options[0] as Node) : { kind: 'choice', of: options };
  }

  #sequence(): Node {
    const of: Node[] = [];
    while (this.#at < this.#text.length) {
      const character = this.#text[this.#at];
      if (character === '|' || character === ')' || this.#closesTag()) break;
      const atom = this.#atom();
      if (atom) of.push(this.#repeated(atom));
    }
    return of.length === 1 ? (of[0] as Node) : { kind: 'sequence', of };
  }

  #closesTag(): boolean {
    const [, name] = /^<\/(F-[A-Z0-9_-]+)>/.exec(this.#ahead()) ?? [];
    return name !== undefined && this.#open.includes(name);
  }

  /** The rest of the text, as far as a tag or quantifier can reach. */
  #ahead(): string {
    return this.#text.slice(this.#at, this.#at + 64);
  }

  #atom(): Node | undefined {
    const character = String.fromCodePoint(this.#text.codePointAt(this.#at) as number);
    switch (character) {
      case prefixMark:
        this.#at++;
        return { kind: 'prefix' };
      case '(':
        return this.#group();
      case '<':
        return this.#tag();
      case '[':
        return this.#class();
      case '\\':
        return this.#escape();
      case '^':
        this.#at++;
        return { kind: 'start' };
      case '$':
        this.#at++;
        return { kind: 'end' };
      case '.':
        this.#at++;
        return { kind: 'class', of: this.#dotAll ? byteSet({ name: 'any' }) : anyByte };
      case '*':
      case '+':
      case '?':
        throw new Refused(character, 'a repetition of nothing: fail2ban refuses the expression');
      default:
        this.#at += character.length;
        return { kind: 'text', text: character, fold: this.#fold };
    }
  }

  /** `atom` with the quantifier after it. Lazy or not, the same lines match. */
  #repeated(atom: Node): Node {
    let node = atom;
    for (;;) {
      const [whole, sign, least, comma, most] = /^(?:([*+?])|\{(\d*)(,?)(\d*)\})[?+]?/.exec(this.#ahead()) ?? [];
      if (whole === undefined || (sign === undefined && least === '' && comma === '')) return node;
      if (sign === undefined && least === '' && most === '') return node;
      this.#at += whole.length;
      const min = sign === '+' ? 1 : sign === undefined ? Number(least || 0) : 0;
      let max = sign === '?' ? 1 : Number.POSITIVE_INFINITY;
      if (sign === undefined) max = comma === '' ? min : most === '' || most === undefined ? max : Number(most);
      if (max < min)
        throw new Refused(whole, 'the minimum is larger than the maximum: fail2ban refuses the expression');
      node = { kind: 'repeat', of: node, min, max };
    }
  }

  #group(): Node | undefined {
    const [whole, flags, mark] = /^\((?:\?([aiLmsux]+)([:)]))/.exec(this.#ahead()) ?? [];
    if (whole !== undefined && flags !== undefined) return this.#flags(whole, flags, mark === ':');
    const [start, kind = '', name = ''] =
      /^\((\?:|\?=|\?!|\?<=|\?<!|\?>|\?P<([A-Za-z_]\w*)>|\?P=|\?\(|\?#|(?!\?))/.exec(this.#ahead()) ?? [];
    if (start === undefined) throw new Refused(this.#ahead().slice(0, 8), 'an unknown kind of group');
    if (kind === '?P=') throw new Refused('(?P=…)', 'it must match earlier text again', 'write the text itself');
    if (kind === '?(')
      throw new Refused('(?(…)…)', 'what matches depends on a group before it', 'write two expressions');
    if (kind === '?=')
      throw new Refused(
        '(?=…)',
        'text that must follow but is not part of the match',
        'write the text that must be there',
      );
    if (kind.startsWith('?<=') || kind.startsWith('?<!')) {
      throw new Refused(`(${kind}…)`, 'it looks back at earlier text', 'write that text where it is');
    }
    if (kind === '?#') {
      const close = this.#text.indexOf(')', this.#at);
      this.#at = close < 0 ? this.#text.length : close + 1;
      return undefined;
    }
    this.#at += start.length;
    const inner = this.#choice();
    this.#close(')');
    if (kind === '?!') return { kind: 'not-ahead', of: inner };
    if (name === 'fid') throw new Refused('(?P<fid>…)', 'it counts something other than an address');
    if (addressGroups.includes(name.toLowerCase())) return { kind: 'ip' };
    return name === '' ? inner : { kind: 'group', name: name.toLowerCase(), of: inner };
  }

  #flags(whole: string, flags: string, scoped: boolean): Node | undefined {
    if (flags.includes('x'))
      throw new Refused(`(?${flags})`, 'it ignores blanks in the expression', 'write it without');
    const [fold, dotAll] = [this.#fold, this.#dotAll];
    this.#at += whole.length;
    this.#fold ||= flags.includes('i');
    this.#dotAll ||= flags.includes('s');
    if (!scoped) return undefined;
    const inner = this.#choice();
    this.#close(')');
    [this.#fold, this.#dotAll] = [fold, dotAll];
    return inner;
  }

  #close(mark: string): void {
    if (!this.#text.startsWith(mark, this.#at))
      throw new Refused(mark, 'a group is not closed: fail2ban refuses the expression');
    this.#at += mark.length;
  }

  #tag(): Node {
    const [whole, name = ''] = /^<(F-[A-Z0-9_-]+\/?|[A-Z0-9-]+\/?)>/.exec(this.#ahead()) ?? [];
    const plain: Node = { kind: 'text', text: '<', fold: false };
    if (whole === undefined) {
      this.#at++;
      return plain;
    }
    if (addressTags.includes(name)) {
      this.#at += whole.length;
      return { kind: 'ip' };
    }
    const refused = refusedTags[name];
    if (refused && Object.hasOwn(refusedTags, name)) throw new Refused(whole, ...refused);
    if (name === 'F-PORT/') {
      this.#at += whole.length;
      return { kind: 'repeat', of: { kind: 'class', of: word }, min: 1, max: Number.POSITIVE_INFINITY };
    }
    if (!name.startsWith('F-') || name.endsWith('/')) {
      this.#at++;
      return plain;
    }
    if (name === 'F-ID') throw new Refused(whole, 'it counts something other than an address');
    this.#at += whole.length;
    this.#open.push(name);
    const inner = this.#choice();
    this.#close(`</${name}>`);
    this.#open.pop();
    if (['F-IP4', 'F-IP6', 'F-DNS', 'F-ADDR', 'F-HOST'].includes(name)) return { kind: 'ip' };
    return {
      kind: 'group',
      name: name
        .slice(2)
        .toLowerCase()
        .replace(/^alt_|_\d+$/g, ''),
      of: inner,
    };
  }

  #escape(): Node {
    const next = this.#text[this.#at + 1];
    if (next === undefined) throw new Refused('\\', 'a backslash ends it: fail2ban refuses the expression');
    const known = escapedClasses[next];
    if (known && Object.hasOwn(escapedClasses, next)) {
      this.#at += 2;
      return { kind: 'class', of: known };
    }
    if (next === 'A' || next === 'Z') {
      this.#at += 2;
      return { kind: next === 'A' ? 'start' : 'end' };
    }
    if (next === 'b') {
      this.#at += 2;
      return { kind: 'boundary' };
    }
    if (next === 'B') throw new Refused('\\B', 'a position inside a word');
    if (/[1-9]/.test(next)) throw new Refused(`\\${next}`, 'it must match earlier text again', 'write the text itself');
    return { kind: 'text', text: this.#escaped(), fold: this.#fold };
  }

  /** The character of an escape, inside a class or outside. */
  #escaped(): string {
    const [whole, two, four] = /^\\(?:x([0-9A-Fa-f]{2})|u([0-9A-Fa-f]{4})|0[0-7]{0,2})/.exec(this.#ahead()) ?? [];
    if (whole !== undefined) {
      this.#at += whole.length;
      return String.fromCharCode(
        two || four ? Number.parseInt(two ?? four ?? '', 16) : Number.parseInt(whole.slice(1), 8),
      );
    }
    const next = String.fromCodePoint(this.#text.codePointAt(this.#at + 1) ?? 0x5c);
    if (next === 'n')
      throw new Refused('\\n', 'it spans several lines', 'write a pattern for the line that names the address');
    if (/[A-Za-z0-9]/.test(next) && !Object.hasOwn(escapedCharacters, next)) {
      throw new Refused(`\\${next}`, 'an unknown escape: fail2ban refuses the expression');
    }
    this.#at += 1 + next.length;
    return escapedCharacters[next] ?? next;
  }

  #class(): Node {
    const from = this.#at++;
    const not = this.#text[this.#at] === '^';
    if (not) this.#at++;
    const of = new Array<boolean>(256).fill(false);
    for (let first = true; ; first = false) {
      const character = this.#text[this.#at];
      if (character === undefined) throw new Refused('[', 'a class is not closed: fail2ban refuses the expression');
      if (character === ']' && !first) break;
      const member = this.#member();
      if (typeof member !== 'string') {
        for (const [byte, within] of member.entries()) if (within) of[byte] = true;
        continue;
      }
      const isRange =
        this.#text[this.#at] === '-' && this.#text[this.#at + 1] !== ']' && this.#at + 1 < this.#text.length;
      if (!isRange) {
        this.#include(of, member, member);
        continue;
      }
      this.#at++;
      const last = this.#member();
      if (typeof last !== 'string' || last < member)
        throw new Refused(this.#text.slice(from, this.#at), 'a range without end');
      this.#include(of, member, last);
    }
    this.#at++;
    return { kind: 'class', of: not ? of.map((within, byte) => !within && byte !== 10) : of };
  }

  #member(): Bytes | string {
    if (this.#text[this.#at] !== '\\') {
      const character = String.fromCodePoint(this.#text.codePointAt(this.#at) as number);
      this.#at += character.length;
      return character;
    }
    const next = this.#text[this.#at + 1] ?? '';
    const known = escapedClasses[next];
    if (known && Object.hasOwn(escapedClasses, next)) {
      this.#at += 2;
      return known;
    }
    if (next === 'b') {
      this.#at += 2;
      return '\b';
    }
    if (next === 'n') {
      this.#at += 2;
      return '\n';
    }
    return this.#escaped();
  }

  #include(of: boolean[], first: string, last: string): void {
    const from = first.codePointAt(0) as number;
    const to = last.codePointAt(0) as number;
    for (let code = from; code <= Math.min(to, 0x7f); code++) {
      of[code] = true;
      if (!this.#fold) continue;
      const character = String.fromCharCode(code);
      of[character.toLowerCase().charCodeAt(0)] = true;
      of[character.toUpperCase().charCodeAt(0)] = true;
    }
    if (to > 0x7f) of.fill(true, 0x80);
  }
}
