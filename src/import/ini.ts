/**
 * One configuration file as Python's configparser reads it for fail2ban. `#` and `;` start a
 * comment, ` ;` also inside a line. `=` or `:` separates key and value. An indented line continues
 * the value above it. Keys are lower case. Input: any text. Never throws: what fail2ban would
 * refuse is reported and read as well as possible.
 */

/** A value as written, and its place. */
export interface Value {
  text: string;
  file: string;
  line: number;
  /** Literal: nothing in it is interpolated. */
  literal?: true;
}

export type Section = Map<string, Value>;

export interface IniFile {
  defaults: Section;
  sections: Map<string, Section>;
}

export type Complain = (line: number, reason: string) => void;

const header = /^\[(.+)\]/;
const option = /^([^=:]*)[=:](.*)$/s;

export function readIni(text: string, file: string, complain: Complain): IniFile {
  const reader = new Reader(file, complain);
  for (const [index, line] of text.split(/\r\n|\n|\r/).entries()) reader.take(line, index + 1);
  return reader.finish();
}

class Reader {
  readonly #file: string;
  readonly #complain: Complain;
  readonly #defaults: Section = new Map();
  readonly #sections = new Map<string, Section>();
  #section: Section | undefined;
  #value: { parts: string[]; line: number; key: string; section: Section } | undefined;
  #indent = 0;

  constructor(file: string, complain: Complain) {
    this.#file = file;
    this.#complain = complain;
  }

  take(line: string, number: number): void {
    const comment = commentAt(line);
    const content = line.slice(0, comment ?? line.length).trim();
    if (content === '') {
      // An empty line belongs to the value, a comment does not.
      if (comment === undefined) this.#value?.parts.push('');
      return;
    }
    const indent = line.length - line.trimStart().length;
    if (this.#value !== undefined && indent > this.#indent) {
      this.#value.parts.push(content);
      return;
    }
    this.#indent = indent;
    const name = header.exec(content)?.[1];
    if (name !== undefined) this.#open(name, number);
    else this.#set(content, number);
  }

  finish(): IniFile {
    this.#close();
    return { defaults: this.#defaults, sections: this.#sections };
  }

  #open(name: string, number: number): void {
    this.#close();
    if (name === 'DEFAULT') {
      this.#section = this.#defaults;
      return;
    }
    const known = this.#sections.get(name);
    if (known) this.#complain(number, `the section [${name}] is written twice in this file: fail2ban refuses the file`);
    this.#section = known ?? new Map();
    this.#sections.set(name, this.#section);
  }

  #set(content: string, number: number): void {
    this.#close();
    const section = this.#section;
    if (section === undefined) {
      this.#complain(number, 'a line comes before the first section: fail2ban refuses the file');
      return;
    }
    const [, key, value] = option.exec(content) ?? [];
    const name = key?.trim().toLowerCase();
    if (!name || value === undefined) {
      this.#complain(number, 'a line is neither a section nor an option: fail2ban refuses the file');
      return;
    }
    if (section.get(name)?.file === this.#file) {
      this.#complain(
        number,
        `${name} is written twice in its section: fail2ban refuses the file; the last one counts here`,
      );
    }
    this.#value = { parts: [value.trim()], line: number, key: name, section };
  }

  #close(): void {
    if (this.#value === undefined) return;
    const { parts, line, key, section } = this.#value;
    section.set(key, { text: parts.join('\n').trimEnd(), file: this.#file, line });
    this.#value = undefined;
  }
}

/** Where a comment begins in the line; undefined if there is none. */
function commentAt(line: string): number | undefined {
  if (/^\s*[#;]/.test(line)) return 0;
  for (let at = line.indexOf(';'); at >= 0; at = line.indexOf(';', at + 1)) {
    if (at === 0 || /\s/.test(line[at - 1] as string)) return at;
  }
  return undefined;
}
