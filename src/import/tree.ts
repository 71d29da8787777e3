/**
 * A fail2ban configuration tree: which files make up one configuration, in which order, and the
 * value of an option after interpolation, all as fail2ban's own reader decides it. Input: any tree,
 * with cycles, loops of links, huge values, files that are not text. Reads only regular files, of
 * bounded number and size, and writes nothing. Claims LP-28, WHY-15.
 */
import { closeSync, constants, fstatSync, openSync, readdirSync, readSync, statSync } from 'node:fs';
import { basename, dirname, isAbsolute, join, normalize } from 'node:path';
import { type IniFile, readIni, type Section, type Value } from './ini.ts';
import {
  includeDepthMax,
  includesMax,
  interpolationDepthMax,
  interpolationsMax,
  treeFileBytesMax,
  treeFilesMax,
  valueCharactersMax,
} from './limits.ts';
import type { Notes } from './notes.ts';

/**
 * Replaces, in a value, what fail2ban's common.conf puts before a message: host, daemon, pid. Here
 * that is `log_tag`. No log line contains this character.
 */
export const prefixMark = '\uE000';

/** A value that is not available, and why. */
export class Unresolved extends Error {}

/** A value after interpolation, and its place. */
export interface Resolved {
  text: string;
  file: string;
  line: number;
}

/** Options that override those of the section. */
export type Given = ReadonlyMap<string, string>;

const noneGiven: Given = new Map();

export class Tree {
  readonly folder: string;
  readonly #notes: Notes;
  readonly #files = new Map<string, IniFile | undefined>();

  constructor(folder: string, notes: Notes) {
    this.folder = folder.length > 1 ? folder.replace(/\/+$/, '') : folder;
    this.#notes = notes;
  }

  /**
   * `NAME.conf`, `NAME.d/*.conf`, `NAME.local` and `NAME.d/*.local` as one; undefined where there
   * is none of them.
   */
  read(name: string): Configuration | undefined {
    const base = join(this.folder, name);
    const more = (ending: string): string[] =>
      this.#listed(`${base}.d`)
        .filter((file) => file.endsWith(ending) && !file.startsWith('.'))
        .map((file) => join(`${base}.d`, file));
    const wanted = [`${base}.conf`, ...more('.conf'), `${base}.local`, ...more('.local')].filter(isThere);
    const paths: string[] = [];
    this.#addIncludes(wanted, [], paths);
    const configuration = new Configuration();
    for (const path of paths) {
      const file = this.#file(path);
      if (file) configuration.merge(file, path);
    }
    return configuration.files.length > 0 ? configuration : undefined;
  }

  /** The place of a file, as it is shown. */
  place({ file, line }: { file: string; line: number }): string {
    const shown = file.startsWith(`${this.folder}/`) ? file.slice(this.folder.length + 1) : file;
    return `${shown}:${line}`;
  }

  /**
   * Adds the files in the order in which later ones win, each with its `.local` and its includes.
   */
  #addIncludes(wanted: readonly string[], seen: readonly string[], into: string[]): void {
    if (seen.length > includeDepthMax) {
      this.#complain(seen.at(-1) as string, 'files include one another too deeply');
      return;
    }
    for (const path of withLocal(wanted)) {
      if (into.length >= includesMax) {
        this.#complain(path, `more than ${includesMax} files are included`);
        return;
      }
      const file = this.#file(path);
      if (!file) continue;
      const includes = file.sections.get('INCLUDES') ?? new Map<string, Value>();
      const listed = (key: string): string[] =>
        (includes.get(key)?.text ?? '')
          .split('\n')
          .filter((name) => name !== '')
          .map((name) => normalize(isAbsolute(name) ? name : join(dirname(path), name)))
          .filter((target) => target !== path && !seen.includes(target));
      this.#addIncludes(listed('before'), [...seen, path], into);
      if (into.length < includesMax) into.push(path);
      this.#addIncludes(listed('after'), [...seen, path], into);
    }
  }

  #file(path: string): IniFile | undefined {
    if (this.#files.has(path)) return this.#files.get(path);
    const file = this.#load(path);
    this.#files.set(path, file);
    return file;
  }

  #load(path: string): IniFile | undefined {
    if (this.#files.size >= treeFilesMax) {
      this.#complain(path, `more than ${treeFilesMax} files: this one is not read`);
      return undefined;
    }
    if (!isThere(path)) return undefined;
    try {
      const text = readText(path);
      return readIni(text, path, (line, reason) => this.#complain(path, reason, line));
    } catch (error) {
      this.#complain(path, `is not read: ${(error as Error).message}`);
      return undefined;
    }
  }

  #listed(folder: string): string[] {
    try {
      return readdirSync(folder).sort();
    } catch {
      return [];
    }
  }

  #complain(path: string, text: string, line = 1): void {
    this.#notes.add({ weight: 'warning', jail: '', place: this.place({ file: path, line }), text });
  }
}

/** Each file followed by its `.local`, unless that is in the list itself. */
function withLocal(paths: readonly string[]): string[] {
  return paths.flatMap((path) => {
    const local = `${path.replace(/\.[^./]*$/, '')}.local`;
    return local === path || paths.includes(local) || !isThere(local) ? [path] : [path, local];
  });
}

export function isThere(path: string): boolean {
  try {
    return statSync(path).isFile();
  } catch {
    return false;
  }
}

/** The text of a regular file in UTF-8. Throws with the reason if it is not one. */
export function readText(path: string): string {
  // O_NONBLOCK: a FIFO may have replaced the file, and opening must not wait for it.
  const descriptor = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK | constants.O_NOCTTY);
  try {
    const stats = fstatSync(descriptor);
    if (!stats.isFile()) throw new Error('not a regular file');
    if (stats.size > treeFileBytesMax) throw new Error(`larger than ${treeFileBytesMax} bytes`);
    const bytes = new Uint8Array(treeFileBytesMax);
    let length = 0;
    for (let count = -1; count !== 0 && length < bytes.length; length += count) {
      count = readSync(descriptor, bytes, length, bytes.length - length, null);
    }
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes.subarray(0, length));
  } catch (error) {
    if (error instanceof TypeError) throw new Error('not valid UTF-8; fail2ban does not read it either');
    throw error;
  } finally {
    closeSync(descriptor);
  }
}

/** Several files as one. Later files win, and what they replaced is still known. */
export class Configuration {
  readonly files: string[] = [];
  readonly #defaults: Section = new Map();
  readonly #sections = new Map<string, Section>();

  /**
   * Adds the content of `file`. An option of `[Init?family=inet6]` gets the condition as an ending
   * of its name.
   */
  merge(file: IniFile, path: string): void {
    this.files.push(path);
    for (const [key, value] of file.defaults) this.#defaults.set(key, value);
    for (const [heading, options] of file.sections) {
      const [, plain, condition] = /^(\w+)(\?.+)$/.exec(heading) ?? [];
      const name = plain ?? heading;
      const section = this.#sections.get(name);
      const added: Section = new Map([...options].map(([key, value]) => [`${key}${condition ?? ''}`, value]));
      if (!section) {
        this.#sections.set(name, added);
        continue;
      }
      const known = this.#known(name);
      for (const [key, value] of section) if (added.has(key)) known.set(key, value);
      for (const [key, value] of added) section.set(key, value);
    }
  }

  /** Names of the sections as they first appeared. */
  sections(): string[] {
    return [...this.#sections.keys()].filter((name) => !name.startsWith('KNOWN/') && name !== 'INCLUDES');
  }

  has(section: string): boolean {
    return this.#sections.has(section);
  }

  /** Names of the options that the section itself has. */
  own(section: string): string[] {
    return [...(this.#sections.get(section)?.keys() ?? [])];
  }

  /** The option as it was written. */
  raw(section: string, key: string): Value | undefined {
    return this.#sections.get(section)?.get(key) ?? this.#defaults.get(key);
  }

  /** Sets an option as if the section had it; nothing in it is interpolated. */
  set(section: string, key: string, text: string, from: { file: string; line: number }): void {
    const options = this.#sections.get(section) ?? new Map<string, Value>();
    options.set(key, { text, file: from.file, line: from.line, literal: true });
    this.#sections.set(section, options);
  }

  setDefault(key: string, text: string): void {
    if (!this.#defaults.has(key)) this.#defaults.set(key, { text, file: '', line: 0, literal: true });
  }

  /**
   * The option's value after interpolation; undefined if there is no such option. Throws
   * Unresolved.
   */
  get(section: string, key: string, given: Given = noneGiven): Resolved | undefined {
    const from = this.#find(section, key, given);
    if (!from) return undefined;
    const work = { section, given, left: interpolationsMax };
    return { text: this.#interpolate(from, work, 0), file: from.file, line: from.line };
  }

  #known(name: string): Section {
    const known = this.#sections.get(`KNOWN/${name}`) ?? new Map<string, Value>();
    this.#sections.set(`KNOWN/${name}`, known);
    return known;
  }

  #interpolate(value: Value, work: { section: string; given: Given; left: number }, depth: number): string {
    if (value.literal) return value.text;
    if (depth > interpolationDepthMax)
      throw new Unresolved('its %(…)s refer to one another too deeply, or in a circle');
    const { text } = value;
    let out = '';
    for (let at = 0; at < text.length; ) {
      const next = text.indexOf('%', at);
      if (next < 0) return bounded(out + text.slice(at));
      out += text.slice(at, next);
      if (text[next + 1] === '%') {
        out += '%';
        at = next + 2;
        continue;
      }
      const [whole, name] = /^%\(([^)]+)\)s/.exec(text.slice(next, next + 300)) ?? [];
      if (whole === undefined || name === undefined) {
        throw new Unresolved('a "%" that begins no %(name)s: fail2ban refuses it; write "%%" for the character itself');
      }
      if (--work.left < 0) throw new Unresolved(`more than ${interpolationsMax} interpolations`);
      out = bounded(out + this.#named(name, work, depth));
      at = next + whole.length;
    }
    return bounded(out);
  }

  /** The value of `%(name)s`. */
  #named(name: string, work: { section: string; given: Given; left: number }, depth: number): string {
    const key = name.toLowerCase();
    if (key === '__name__') return work.section;
    const value = this.#find(work.section, key, work.given) ?? this.#elsewhere(work.section, name);
    if (!value) throw new Unresolved(`%(${name})s is defined nowhere`);
    if (isPrefix(key, value)) return prefixMark;
    return this.#interpolate(value, work, depth + 1);
  }

  /** `section/option`, `known/option` and `default/option`. */
  #elsewhere(section: string, name: string): Value | undefined {
    const [, from = '', key = ''] = /^([\w-]+)\/(.+)$/.exec(name) ?? [];
    if (from === '') return undefined;
    const lower = key.toLowerCase();
    const where = from.toLowerCase();
    if (where === 'default') return this.#defaults.get(lower);
    const options = this.#sections.get(where === 'known' ? `KNOWN/${section}` : from);
    return options?.get(lower) ?? this.#defaults.get(lower);
  }

  /**
   * The value of `name` or `section/name`, for a tag. `known/` looks first at what was replaced.
   */
  tagged(section: string, name: string, given: Given): string | undefined {
    const [, from, key = ''] = /^([\w-]+)\/([^\s>]+)$/.exec(name) ?? [];
    const sections = from === undefined ? [] : from.toLowerCase() === 'known' ? [`KNOWN/${section}`, section] : [from];
    for (const other of sections) {
      const value = this.raw(other, key.toLowerCase());
      if (value && (this.#sections.has(other) || from?.toLowerCase() === 'default')) {
        return isPrefix(key, value) ? prefixMark : this.get(other, key.toLowerCase())?.text;
      }
    }
    return this.get(section, name.toLowerCase(), given)?.text;
  }

  #find(section: string, key: string, given: Given): Value | undefined {
    const text = given.get(key);
    return text === undefined ? this.raw(section, key) : { text, file: '', line: 0, literal: true };
  }
}

/** Is it what common.conf says stands before a message, however this release spells it? */
function isPrefix(key: string, { text, file }: Value): boolean {
  if (!key.endsWith('__prefix_line')) return false;
  return /__daemon_combs_re|__pid_re|__daemon_re/.test(text) && basename(file).startsWith('common.');
}

function bounded(text: string): string {
  if (text.length > valueCharactersMax) throw new Unresolved(`it becomes longer than ${valueCharactersMax} characters`);
  return text;
}
