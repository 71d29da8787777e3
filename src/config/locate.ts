/**
 * Finds where in a TOML text each key and value stands, so that a complaint about a value can name
 * line and column. smol-toml returns values without positions; this scanner reads the same text
 * once and keeps positions but no values. Input: any text, valid TOML or not; it never throws,
 * always ends, and nests no deeper than `tomlDepthMax`. For a text that smol-toml accepts, its
 * paths are exactly the paths of the parsed document (a property test compares the two).
 */
import { tomlDepthMax } from './limits.ts';

export type Path = (string | number)[];

/** Where one key or array element stands; offsets are UTF-16 indices into the text. */
export interface Place {
  path: Path;
  /** Start of the key's last part; for an array element, of the element. */
  key: number;
  /** Start of the value; for a table header, of the key. */
  value: number;
  /** A table that only exists as part of a longer header or dotted key. */
  implied: boolean;
}

/** One `key = value` or `[header]`, from its first byte to the end of its last line. */
export interface Statement {
  start: number;
  end: number;
  path: Path;
  header: boolean;
  /** Set if the key was defined before: the position of that definition. */
  duplicateOf?: number;
}

export interface KeyMap {
  places: Map<string, Place>;
  statements: Statement[];
  /** Where the first key with more than tomlDepthMax parts starts. */
  tooDeep?: number;
}

export interface Position {
  /** From 1. */
  line: number;
  /** From 1, in characters (code points). */
  column: number;
}

/** The map's key for a path. */
export function pathKey(path: Path): string {
  return JSON.stringify(path);
}

/** Every key of `text` with its place. */
export function locateKeys(text: string): KeyMap {
  return new Scanner(text).run();
}

/** Line and column of a UTF-16 offset; an offset past the end is the end. */
export function positionAt(text: string, offset: number): Position {
  const end = Math.min(offset, text.length);
  let line = 1;
  let start = 0;
  for (let next = text.indexOf('\n'); next !== -1 && next < end; next = text.indexOf('\n', next + 1)) {
    line++;
    start = next + 1;
  }
  let column = 1;
  for (let index = start; index < end; index++) {
    const unit = text.charCodeAt(index);
    // The second half of a surrogate pair belongs to the character before it.
    if (unit < 0xdc00 || unit > 0xdfff) column++;
  }
  return { line, column };
}

/** The offset of a line and a column counted in UTF-16 units, as smol-toml gives them. */
export function offsetAt(text: string, line: number, column: number): number {
  let start = 0;
  for (let current = 1; current < line; current++) {
    const next = text.indexOf('\n', start);
    if (next === -1) return text.length;
    start = next + 1;
  }
  return Math.min(text.length, start + column - 1);
}

/**
 * Offset of character `index` (in UTF-16 units of its value) of the TOML string of any kind that
 * starts at `start`; `start` if none does.
 */
export function offsetWithin(text: string, start: number, index: number): number {
  const quote = text[start];
  if (quote !== '"' && quote !== "'") return start;
  const multiLine = text.startsWith(quote.repeat(3), start);
  let at = start + (multiLine ? 3 : 1);
  if (multiLine) at += text.startsWith('\r\n', at) ? 2 : text[at] === '\n' ? 1 : 0;
  for (let count = 0; at < text.length; ) {
    const folded = multiLine && quote === '"' ? foldedLength(text, at) : 0;
    if (folded === 0 && count >= index) break;
    if (folded > 0) {
      at += folded;
    } else if (quote === '"' && text[at] === '\\') {
      const digits = { x: 2, u: 4, U: 8 }[text[at + 1]] ?? 0;
      const code = Number.parseInt(text.slice(at + 2, at + 2 + digits), 16);
      count += code > 0xffff ? 2 : 1;
      at += 2 + digits;
    } else {
      count++;
      at++;
    }
  }
  return Math.min(at, text.length);
}

/**
 * Length of a backslash at the end of a line, with the blanks and line ends after it; 0 if there is
 * none.
 */
function foldedLength(text: string, at: number): number {
  const folded = /\\[ \t]*\r?\n[ \t\r\n]*/y;
  folded.lastIndex = at;
  return folded.exec(text)?.[0].length ?? 0;
}

/** `jails.sshd.ignoreip[2]`; parts that are not bare keys are quoted. */
export function dotted(path: Path): string {
  let result = '';
  for (const part of path) {
    if (typeof part === 'number') result += `[${part}]`;
    else {
      const text = part !== '' && [...part].every(isBare) ? part : JSON.stringify(part);
      result += result === '' ? text : `.${text}`;
    }
  }
  return result;
}

function isBare(character: string): boolean {
  return (
    (character >= 'a' && character <= 'z') ||
    (character >= 'A' && character <= 'Z') ||
    (character >= '0' && character <= '9') ||
    character === '_' ||
    character === '-'
  );
}

const escapes: Record<string, string> = {
  b: '\b',
  t: '\t',
  n: '\n',
  f: '\f',
  r: '\r',
  e: '\x1b',
  '"': '"',
  '\\': '\\',
};

class Scanner {
  private readonly text: string;
  private index = 0;
  private tooDeep: number | undefined;
  private readonly places = new Map<string, Place>();
  private readonly statements: Statement[] = [];
  /** Elements seen so far of each array of tables. */
  private readonly tableCounts = new Map<string, number>();

  constructor(text: string) {
    this.text = text;
  }

  run(): KeyMap {
    if (this.text.charCodeAt(0) === 0xfeff) this.index++;
    let table: Path = [];
    for (;;) {
      this.skipBlank();
      if (this.index >= this.text.length) break;
      const start = this.index;
      if (this.text[start] === '[') table = this.header(start) ?? table;
      else this.assignment(start, table);
      this.skipLine();
      const statement = this.statements.at(-1);
      if (statement?.start === start) statement.end = this.index;
    }
    return { places: this.places, statements: this.statements, tooDeep: this.tooDeep };
  }

  /** `[a.b]` or `[[a.b]]`; returns the path for the following keys. */
  private header(start: number): Path | undefined {
    const isArray = this.text[start + 1] === '[';
    this.index += isArray ? 2 : 1;
    const parts = this.keyParts();
    if (parts.length === 0) return undefined;
    let path: Path = [];
    for (const [index, part] of parts.entries()) {
      path = [...path, part.name];
      const last = index === parts.length - 1;
      const count = this.tableCounts.get(pathKey(path));
      if (!last) {
        this.note({ path, key: part.start, value: part.start, implied: true });
        // A header below an array of tables belongs to its newest element.
        if (count !== undefined) path = [...path, count - 1];
      } else if (isArray) {
        if (count === undefined) this.note({ path, key: part.start, value: part.start, implied: false });
        this.tableCounts.set(pathKey(path), (count ?? 0) + 1);
        path = [...path, count ?? 0];
        this.statements.push({ start, end: start, path, header: true });
        this.note({ path, key: part.start, value: part.start, implied: false });
      } else {
        this.define(start, { path, key: part.start, value: part.start, implied: false }, true);
      }
    }
    return path;
  }

  /** `a.b = value` inside `table`. */
  private assignment(start: number, table: Path): void {
    const path = this.keyAndValue(start, table, true, 0);
    if (!path) this.statements.push({ start, end: start, path: table, header: false });
  }

  /** Reads a dotted key, `=` and a value; records them all. Undefined if there is no key. */
  private keyAndValue(start: number, table: Path, top: boolean, depth: number): Path | undefined {
    const parts = this.keyParts();
    if (parts.length === 0) return undefined;
    const assigned = this.text[this.index] === '=';
    if (assigned) this.index++;
    this.skipSpaces();
    let path = table;
    for (const [index, part] of parts.entries()) {
      path = [...path, part.name];
      const last = index === parts.length - 1;
      const place: Place = { path, key: part.start, value: last ? this.index : part.start, implied: !last };
      if (last && top) this.define(start, place, false);
      else this.note(place);
    }
    if (assigned) this.value(path, depth);
    return path;
  }

  /** Records a statement, and whether its key was defined before. */
  private define(start: number, place: Place, header: boolean): void {
    const before = this.places.get(pathKey(place.path));
    const statement: Statement = { start, end: start, path: place.path, header };
    if (before && !before.implied) statement.duplicateOf = before.key;
    else this.note(place);
    this.statements.push(statement);
  }

  /** The first definition stays, but a real one replaces an implied one. */
  private note(place: Place): void {
    const key = pathKey(place.path);
    const before = this.places.get(key);
    if (!before || (before.implied && !place.implied)) this.places.set(key, place);
  }

  /** The parts of a dotted key, up to its end. */
  private keyParts(): { name: string; start: number }[] {
    const parts: { name: string; start: number }[] = [];
    for (;;) {
      this.skipSpaces();
      const start = this.index;
      const character = this.text[start];
      let name: string;
      if (character === '"' || character === "'") {
        name = this.quotedKey(character);
      } else {
        while (isBare(this.text[this.index])) this.index++;
        if (this.index === start) return parts;
        name = this.text.slice(start, this.index);
      }
      // Keys that are deeper than any setting are shortened: paths are copied, so their length must
      // be bounded.
      if (parts.length < tomlDepthMax) parts.push({ name, start });
      else this.tooDeep ??= parts[0]!.start;
      this.skipSpaces();
      if (this.text[this.index] !== '.') return parts;
      this.index++;
    }
  }

  /** The text of a quoted key; stops at the end of the line if it is not closed. */
  private quotedKey(quote: string): string {
    let name = '';
    this.index++;
    while (this.index < this.text.length) {
      const character = this.text[this.index];
      if (character === '\n') return name;
      this.index++;
      if (character === quote) return name;
      if (character === '\\' && quote === '"') name += this.escape();
      else name += character;
    }
    return name;
  }

  /** The character for an escape; the index is just after the backslash. */
  private escape(): string {
    const letter = this.text[this.index] ?? '';
    if (letter === '' || letter === '\n') return '';
    this.index++;
    const digits = { x: 2, u: 4, U: 8 }[letter];
    if (digits === undefined) return escapes[letter] ?? letter;
    const code = Number.parseInt(this.text.slice(this.index, this.index + digits), 16);
    const end = this.index + digits;
    while (this.index < end && this.index < this.text.length && this.text[this.index] !== '\n') this.index++;
    return code >= 0 && code <= 0x10ffff ? String.fromCodePoint(code) : '';
  }

  private value(path: Path, depth: number): void {
    const character = this.text[this.index];
    if (character === '"' || character === "'") this.stringValue(character);
    else if (character === '[' && depth < tomlDepthMax) this.list(path, depth + 1);
    else if (character === '{' && depth < tomlDepthMax) this.inlineTable(path, depth + 1);
    else while (this.index < this.text.length && !',]}#\n'.includes(this.text[this.index])) this.index++;
  }

  private list(path: Path, depth: number): void {
    this.index++;
    for (let element = 0; ; element++) {
      this.skipBlank();
      const character = this.text[this.index];
      if (character === undefined || character === '}') return;
      if (character === ']') {
        this.index++;
        return;
      }
      this.note({ path: [...path, element], key: this.index, value: this.index, implied: false });
      this.value([...path, element], depth);
      this.skipBlank();
      if (this.text[this.index] === ',') this.index++;
    }
  }

  private inlineTable(path: Path, depth: number): void {
    this.index++;
    for (;;) {
      this.skipBlank();
      if (this.text[this.index] === '}') {
        this.index++;
        return;
      }
      const start = this.index;
      this.keyAndValue(start, path, false, depth);
      if (this.text[this.index] === ',') this.index++;
      else if (this.index === start) return;
    }
  }

  /**
   * Skips a string of any of the four kinds; one that is not closed ends with its line or, if
   * multi-line, with the text.
   */
  private stringValue(quote: string): void {
    const triple = quote.repeat(3);
    const multiLine = this.text.startsWith(triple, this.index);
    this.index += multiLine ? 3 : 1;
    while (this.index < this.text.length) {
      const character = this.text[this.index];
      if (character === '\n' && !multiLine) return;
      if (character === '\\' && quote === '"') {
        this.index += this.text[this.index + 1] === '\n' && !multiLine ? 1 : 2;
      } else if (character !== quote) {
        this.index++;
      } else if (!multiLine) {
        this.index++;
        return;
      } else if (this.text.startsWith(triple, this.index)) {
        this.index += 3;
        // Up to two quotes may stand right before the closing three.
        for (let extra = 0; extra < 2 && this.text[this.index] === quote; extra++) this.index++;
        return;
      } else {
        this.index++;
      }
    }
  }

  private skipSpaces(): void {
    while (this.text[this.index] === ' ' || this.text[this.index] === '\t') this.index++;
  }

  /** Spaces, line ends and comments. */
  private skipBlank(): void {
    for (;;) {
      this.skipSpaces();
      const character = this.text[this.index];
      if (character === '\n' || character === '\r') this.index++;
      else if (character === '#') this.skipToLineEnd();
      else return;
    }
  }

  private skipToLineEnd(): void {
    const next = this.text.indexOf('\n', this.index);
    this.index = next === -1 ? this.text.length : next;
  }

  /**
   * To the first byte of the next line: after a statement there may be nothing, a comment or a
   * mistake.
   */
  private skipLine(): void {
    this.skipToLineEnd();
    if (this.index < this.text.length) this.index++;
  }
}
