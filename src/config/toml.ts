/**
 * The TOML of a configuration in pieces: the main file and those beside it. Each is parsed
 * separately, so that nothing left open in one reaches into the next. Then they become one
 * document: tables are joined, lists of tables (`[[filter]]`) continued, and a key that two files
 * set is refused with both places. Input: any text. Offsets count UTF-16 units of all pieces, one
 * after the other.
 */
import { parse, TomlDate, TomlError, type TomlTable } from 'smol-toml';
import { printable } from '../text/printable.ts';
import { configProblemsMax, tomlDepthMax, tomlMistakesMax, tomlStatementsMax } from './limits.ts';
import {
  dotted,
  type KeyMap,
  locateKeys,
  offsetAt,
  type Path,
  type Place,
  pathKey,
  positionAt,
  type Statement,
} from './locate.ts';
import { ConfigError, type Problem, type ProblemKind } from './problem.ts';

const openText = 'the text must end on its line, with the quote that it began with';
const escapes = "in single quotes a backslash is a plain character: '\\S+'";

/** One file of a configuration. */
export interface Piece {
  path: string;
  text: string;
  /** Why the file could not be read; its text is empty then. */
  problems?: readonly Problem[];
}

/** A problem with its offset. Details are computed only when it is shown. */
export interface Found {
  kind: ProblemKind;
  path: Path;
  offset: number;
  reason: string;
  hint?: string | (() => string | undefined);
}

/** A piece, where its text begins, and the lengths of the lists that it continues. */
interface Placed extends Piece {
  start: number;
  earlier: ReadonlyMap<string, number>;
}

export class TomlPieces {
  /** The texts, each on lines of its own. */
  readonly text: string;
  /** Where each key of the joined document stands. */
  readonly places = new Map<string, Place>();
  readonly #pieces: Placed[] = [];
  readonly #problems: Found[] = [];

  constructor(pieces: readonly Piece[]) {
    let start = 0;
    for (const piece of pieces) {
      this.#pieces.push({ ...piece, start, earlier: new Map() });
      start += piece.text.length + 1;
    }
    this.text = pieces.map(({ text }) => text).join('\n');
  }

  get isRefused(): boolean {
    return this.#problems.length > 0 || this.#pieces.some(({ problems }) => problems !== undefined);
  }

  add(kind: ProblemKind, path: Path, offset: number, reason: string, hint?: Found['hint']): void {
    this.#problems.push({ kind, path, offset, reason, hint });
  }

  /** Everything that was found, in the order of the pieces. */
  error(): ConfigError {
    const sorted = this.#problems.toSorted((one, other) => one.offset - other.offset);
    const all = this.#pieces.flatMap((piece) => [
      ...(piece.problems ?? []).map((problem) => () => ({ ...problem, ...this.#fileOf(piece) })),
      ...sorted.filter(({ offset }) => this.#pieceAt(offset) === piece).map((found) => () => this.#shown(found)),
    ]);
    const kept = all.slice(0, configProblemsMax).map((show) => show());
    return new ConfigError(printable(this.#pieces[0].path), kept, all.length - kept.length);
  }

  /** The joined document; statements that are not TOML are skipped. */
  parse(): TomlTable {
    const document: TomlTable = {};
    let room = tomlStatementsMax;
    for (const piece of this.#pieces) {
      const reader = new PieceReader(piece, (found) => this.#problems.push(found));
      const table = reader.parse(room);
      room -= reader.keys.statements.length;
      if (table !== undefined) this.#join(document, table, piece, reader.keys);
    }
    return document;
  }

  #join(document: TomlTable, table: TomlTable, piece: Placed, keys: KeyMap): void {
    piece.earlier = new Map(
      Object.entries(document).flatMap(([key, value]) => (Array.isArray(value) ? [[key, value.length]] : [])),
    );
    const twice = (path: Path): void => {
      const here = keys.places.get(pathKey(path))?.key ?? 0;
      const first = this.places.get(pathKey(path))?.key ?? 0;
      const earlier = this.#pieceAt(first);
      const { line } = positionAt(earlier.text, first - earlier.start);
      const reason = `is defined twice, first in ${printable(earlier.path)}:${line}`;
      this.add('duplicate', path, piece.start + here, reason);
    };
    join(document, table, [], twice);
    for (const { path, key, value, implied } of keys.places.values()) {
      const full = moved(path, piece, 1);
      const before = this.places.get(pathKey(full));
      if (before && (implied || !before.implied)) continue;
      this.places.set(pathKey(full), { path: full, key: piece.start + key, value: piece.start + value, implied });
    }
  }

  #pieceAt(offset: number): Placed {
    return this.#pieces.findLast(({ start }) => start <= offset) as Placed;
  }

  #fileOf(piece: Placed): { file?: string } {
    return piece === this.#pieces[0] ? {} : { file: printable(piece.path) };
  }

  #shown({ kind, path, offset, reason, hint }: Found): Problem {
    const piece = this.#pieceAt(offset);
    const { line, column } = positionAt(piece.text, offset - piece.start);
    const key = printable(dotted(moved(path, piece, -1)));
    const problem: Problem = { kind, ...this.#fileOf(piece), line, column, key, reason };
    const said = typeof hint === 'function' ? hint() : hint;
    if (said !== undefined) problem.hint = said;
    return problem;
  }
}

/** Converts a path of the piece to one of the whole document (1), or back (-1). */
function moved(path: Path, { earlier }: Placed, sign: 1 | -1): Path {
  const [name, index, ...rest] = path;
  if (typeof index !== 'number') return path;
  return [name, index + sign * (earlier.get(String(name)) ?? 0), ...rest];
}

/** Adds the content of `table`; if a value exists in both and cannot be joined, the first stays. */
function join(document: TomlTable, table: TomlTable, path: Path, twice: (path: Path) => void): void {
  for (const [key, value] of Object.entries(table)) {
    const before = Object.hasOwn(document, key) ? document[key] : undefined;
    if (before === undefined) document[key] = value;
    else if (isTable(before) && isTable(value)) join(before, value, [...path, key], twice);
    else if (path.length === 0 && Array.isArray(before) && Array.isArray(value)) before.push(...value);
    else twice([...path, key]);
  }
}

function isTable(value: unknown): value is TomlTable {
  return typeof value === 'object' && value !== null && !Array.isArray(value) && !(value instanceof TomlDate);
}

/** The TOML of one piece. Offsets are relative to it, except in problems. */
class PieceReader {
  readonly keys: KeyMap;
  readonly #text: string;
  readonly #start: number;
  readonly #found: (found: Found) => void;

  constructor({ text, start }: Placed, found: (found: Found) => void) {
    this.keys = locateKeys(text);
    this.#text = text;
    this.#start = start;
    this.#found = found;
  }

  /** @param room for keys and tables. Undefined if it makes no sense to continue. */
  parse(room: number): TomlTable | undefined {
    const { tooDeep, statements } = this.keys;
    if (tooDeep !== undefined) {
      this.#add('syntax', [], tooDeep, `a key has more than ${tomlDepthMax} parts`);
      return undefined;
    }
    const first = statements[Math.max(0, room)];
    if (first !== undefined) {
      this.#add('syntax', [], first.start, `the file defines more than ${tomlStatementsMax} keys and tables`);
      return undefined;
    }
    let rest = this.#text;
    for (let mistakes = 0; ; mistakes++) {
      try {
        return parse(rest, { maxDepth: tomlDepthMax, unsafeKeyBehaviour: 'throw' });
      } catch (error) {
        if (!(error instanceof TomlError)) throw error;
        const offset = offsetAt(this.#text, error.line, error.column);
        this.#addTomlError(error, offset);
        const without = mistakes < tomlMistakesMax ? this.#blank(rest, offset) : rest;
        if (without === rest) return undefined;
        rest = without;
      }
    }
  }

  #add(kind: ProblemKind, path: Path, offset: number, reason: string, hint?: string): void {
    this.#found({ kind, path, offset: this.#start + offset, reason, hint });
  }

  #addTomlError(error: TomlError, offset: number): void {
    const reason = error.message.slice('Invalid TOML document: '.length).split('\n', 1)[0];
    const statement = this.#statementAt(offset);
    if (statement?.duplicateOf !== undefined) {
      const first = positionAt(this.#text, statement.duplicateOf);
      this.#add('duplicate', statement.path, offset, `is defined twice, first on line ${first.line}`);
    } else if (reason.startsWith('trying to redefine')) {
      this.#add('duplicate', this.#pathAt(offset, statement), offset, 'redefines a key or table that has a value');
    } else if (reason === 'document contains an unsafe property') {
      // `__proto__` and `constructor` are not keys of ours, and dangerous if used carelessly.
      this.#add('unknown-key', this.#pathAt(offset, statement), offset, 'unknown key');
    } else {
      this.#addSyntaxError(printable(reason), offset, statement);
    }
  }

  #addSyntaxError(reason: string, offset: number, statement: Statement | undefined): void {
    const unquoted = this.#unquotedValue(statement);
    if (statement && unquoted?.text === '') {
      this.#add('syntax', statement.path, unquoted.offset, 'a value is missing after "="');
    } else if (statement && unquoted) {
      this.#add('syntax', statement.path, unquoted.offset, reason, `write text in quotes: "${unquoted.text}"`);
    } else {
      const isOpen = /in strings|unfinished/.test(reason) && ['\n', undefined].includes(this.#text[offset]);
      const hint = isOpen ? openText : reason.includes('escape sequence') ? escapes : undefined;
      this.#add('syntax', this.#pathAt(offset, statement), offset, reason, hint);
    }
  }

  /**
   * The value of a refused statement, if it is harmless characters without quotes, or nothing at
   * all.
   */
  #unquotedValue(statement: Statement | undefined): { text: string; offset: number } | undefined {
    const place = statement && !statement.header ? this.keys.places.get(pathKey(statement.path)) : undefined;
    if (!place || !statement) return undefined;
    if (!this.#text.slice(place.key, place.value).includes('=')) return undefined;
    const [line] = this.#text.slice(place.value, statement.end).split('\n', 1);
    const value = line.split('#', 1)[0].trim();
    return /^[A-Za-z0-9_./:,* -]{0,60}$/.test(value) ? { text: value, offset: place.value } : undefined;
  }

  #statementAt(offset: number): Statement | undefined {
    return this.keys.statements.findLast((statement) => statement.start <= offset);
  }

  /** The path of the last key at or before `offset` within its statement. */
  #pathAt(offset: number, statement: Statement | undefined): Path {
    if (!statement) return [];
    // smol-toml points at the start of a statement if the problem is what the whole statement
    // defines.
    if (offset <= statement.start + (statement.header ? 2 : 0)) return statement.path;
    let best: { path: Path; key: number } = { path: statement.path, key: -1 };
    for (const place of this.keys.places.values()) {
      if (place.key >= statement.start && place.key <= offset && place.key >= best.key) best = place;
    }
    return best.path;
  }

  /**
   * `text` with the statement at `offset` (a header with everything below it) replaced by spaces.
   */
  #blank(text: string, offset: number): string {
    const statement = this.#statementAt(offset);
    let start = text.lastIndexOf('\n', offset - 1) + 1;
    let end = text.indexOf('\n', offset);
    if (end === -1) end = text.length;
    if (statement) {
      start = Math.min(start, statement.start);
      end = Math.max(end, statement.end);
      if (statement.header) {
        const next = this.keys.statements.find((other) => other.header && other.start > statement.start);
        end = next ? next.start : text.length;
      }
    }
    return text.slice(0, start) + text.slice(start, end).replace(/[^\n]/g, ' ') + text.slice(end);
  }
}
