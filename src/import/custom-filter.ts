/**
 * A filter of fail2ban as a `[[filter]]` table: its expressions become patterns, its ignoreregex
 * becomes `ignore`, the text before a message becomes `log_tag`. What cannot be carried over is
 * reported. If nothing is left, or if lines would count that must not, there is no filter. Input:
 * any filter file.
 */
import { patternsMax } from '../compiler/check.ts';
import { compileFilters } from '../config/filter.ts';
import { logTagsMax } from '../config/limits.ts';
import { type Refusal, type Translated, translate } from './expression.ts';
import { expressionsMax, filterMsMax } from './limits.ts';
import { parseExpression, Refused } from './regex.ts';
import { anyBoundary, draftsOf, mayBeEmpty } from './slots.ts';
import type { Resolved } from './tree.ts';
import { waysOf } from './ways.ts';

/** What the filter file contains. */
export interface Expressions {
  failregex?: Resolved;
  ignoreregex?: Resolved;
  prefregex?: Resolved;
  maxlines?: Resolved;
  daemon?: Resolved;
}

export interface Row {
  pattern: string;
  /** The expression that the pattern comes from, and its line. */
  expression: string;
  from: { file: string; line: number };
}

export interface CustomFilter {
  name: string;
  tags: string[] | undefined;
  rows: Row[];
  ignore: Row[];
}

/** A remark about one expression. */
export interface Remark {
  weight: 'info' | 'warning';
  from: { file: string; line: number };
  expression: string;
  text: string;
  hint?: string;
}

export interface Customised {
  /** undefined: nothing of it can be carried over. */
  filter: CustomFilter | undefined;
  remarks: Remark[];
  /**
   * Number of expressions that find failures, and how many of them are translated, wholly or in
   * part.
   */
  expressions: number;
  translated: number;
}

/** `until`: the latest value of performance.now(). */
export function customise(name: string, written: Expressions, until = performance.now() + filterMsMax): Customised {
  return new Assembly(name, written, until).assemble();
}

/** Lines of a value, each with its own place. */
function linesOf(value: Resolved | undefined): { text: string; from: { file: string; line: number } }[] {
  if (!value) return [];
  return value.text
    .split('\n')
    .map((text, index) => ({ text: text.trim(), from: { file: value.file, line: value.line + index } }))
    .filter(({ text }) => text !== '');
}

class Assembly {
  readonly #name: string;
  readonly #written: Expressions;
  readonly #until: number;
  readonly #remarks: Remark[] = [];
  readonly #rows: Row[] = [];
  readonly #ignore: Row[] = [];
  #prefixed = false;
  #anywhere = false;
  #translated = 0;

  constructor(name: string, written: Expressions, until: number) {
    this.#until = until;
    this.#name = name;
    this.#written = written;
  }

  assemble(): Customised {
    const fail = linesOf(this.#written.failregex);
    const none = (): Customised => ({
      filter: undefined,
      remarks: this.#remarks,
      expressions: fail.length,
      translated: 0,
    });
    const { maxlines, prefregex } = this.#written;
    if (maxlines && Number(maxlines.text) > 1) {
      this.#remark('warning', maxlines, `maxlines = ${maxlines.text}`, 'one failure is made of several lines', oneLine);
      return none();
    }
    if (fail.length > expressionsMax) {
      this.#remark(
        'warning',
        fail[expressionsMax]?.from as Resolved,
        '',
        `more than ${expressionsMax} expressions: the rest is left out`,
      );
    }
    const pre = prefregex?.text.trim() || undefined;
    for (const { text, from } of linesOf(this.#written.ignoreregex)) if (!this.#ignored(text, from, pre)) return none();
    for (const { text, from } of fail.slice(0, expressionsMax)) this.#failure(text, from, pre);
    if (this.#rows.length === 0) {
      if (fail.length === 0) this.#remark('warning', { file: '', line: 0 }, '', 'it has no failregex');
      return none();
    }
    const filter = { name: this.#name, tags: this.#tags(), rows: this.#rows, ignore: this.#ignore };
    return this.#checked(filter, fail.length);
  }

  #failure(text: string, from: Row['from'], pre: string | undefined): void {
    const translated = translate(text, pre, true, this.#until);
    if ('reason' in translated) {
      const { construct, reason, hint, bookkeeping } = translated;
      if (bookkeeping) this.#remark('info', from, text, `left out: ${reason}`);
      else this.#remark('warning', from, text, refusalText({ construct, reason, hint, bookkeeping }), hint);
      return;
    }
    this.#translated++;
    this.#take(translated, text, from);
    for (const pattern of translated.patterns) this.#rows.push({ pattern, expression: text, from });
    for (const remark of translated.narrower) this.#remark('info', from, text, `narrower: ${remark}`);
    for (const remark of translated.wider) {
      this.#remark([mayBeEmpty, anyBoundary].includes(remark) ? 'info' : 'warning', from, text, `wider: ${remark}`);
    }
  }

  /** False if lines would count that fail2ban ignores. */
  #ignored(text: string, from: Row['from'], pre: string | undefined): boolean {
    const translated = translate(text, pre, false, this.#until);
    if ('reason' in translated) {
      const why = refusalText(translated);
      this.#remark(
        'warning',
        from,
        text,
        `without this ignoreregex, lines would count that must not: ${why}`,
        translated.hint,
      );
      return false;
    }
    if (translated.narrower.length > 0) {
      const why = translated.narrower[0];
      this.#remark('warning', from, text, `ignoreregex takes fewer lines: ${why}`);
    }
    this.#take(translated, text, from);
    for (const pattern of translated.patterns) this.#ignore.push({ pattern, expression: text, from });
    return true;
  }

  #take({ prefixed, anywhere, ignore }: Translated, expression: string, from: Row['from']): void {
    if (prefixed) this.#prefixed = true;
    if (anywhere) this.#anywhere = true;
    for (const pattern of ignore) this.#ignore.push({ pattern, expression, from });
  }

  /** What stands before a message: the names of the daemon, and '' for lines without one. */
  #tags(): string[] | undefined {
    if (!this.#prefixed) return this.#anywhere ? ['*', ''] : undefined;
    const names = this.#daemons();
    if (names === undefined) return ['*', ''];
    // Everything that common.conf puts there may be missing. A module may follow the daemon's name:
    // sshd(pam_unix).
    const modules = names.filter((name) => !name.endsWith('*')).map((name) => `${name}(*`);
    return [...names, ...modules.slice(0, logTagsMax - names.length - 1), ''];
  }

  /** The names in `_daemon`; undefined: any. */
  #daemons(): string[] | undefined {
    const { daemon } = this.#written;
    if (!daemon || daemon.text.trim() === '') return undefined;
    const names = tagsOf(daemon.text.trim());
    if (names?.every((tag) => /^[!-~]{1,64}$/.test(tag)) && names.length <= logTagsMax) {
      const [starred] = names.filter((tag) => tag.endsWith('*'));
      if (names.includes('*')) return undefined;
      if (starred) this.#remark('info', daemon, daemon.text, `"${starred}" replaces the identifiers that it matches`);
      return names;
    }
    this.#remark('warning', daemon, daemon.text, 'wider: any identifier matches, because these cannot be listed');
    return undefined;
  }

  /**
   * The filter without patterns that earlier ones cover completely; undefined if the compiler
   * refuses it.
   */
  #checked(filter: CustomFilter, expressions: number): Customised {
    this.#shorten(filter, patternsMax - filter.ignore.length, `a filter holds ${patternsMax}`);
    for (let round = 0; round < roundsMax && filter.rows.length > 0; round++) {
      const refused = { rows: new Map<number, string>(), ignore: new Map<number, string>() };
      let isOver = false;
      compileFilters([tableOf(filter)], [], (path, reason) => {
        const list = path[2] === 'ignore' ? refused.ignore : refused.rows;
        if (path[3] === undefined) isOver = true;
        else list.set(Number(path[3]), reason);
      });
      if (isOver)
        this.#shorten(filter, filter.rows.length - (filter.rows.length >> 2) - 1, 'there is no room for more');
      else if (refused.rows.size + refused.ignore.size === 0) {
        return { filter, remarks: this.#remarks, expressions, translated: this.#translated };
      }
      filter.rows = this.#without(filter.rows, refused.rows);
      filter.ignore = this.#without(filter.ignore, refused.ignore);
    }
    return { filter: undefined, remarks: this.#remarks, expressions, translated: 0 };
  }

  #shorten(filter: CustomFilter, length: number, why: string): void {
    const over = filter.rows.splice(Math.max(0, length));
    if (!over[0]) return;
    const text = `${over.length} patterns from here on are left out: ${why}`;
    this.#remark('warning', over[0].from, over[0].expression, text);
  }

  /** Patterns that an earlier one covers anyway are left out without a note. */
  #without(rows: readonly Row[], refused: ReadonlyMap<number, string>): Row[] {
    return rows.filter((row, index) => {
      const reason = refused.get(index);
      if (reason !== undefined && !reason.startsWith('never reached')) {
        this.#remark('warning', row.from, row.expression, reason);
      }
      return reason === undefined;
    });
  }

  #remark(weight: Remark['weight'], from: Row['from'], expression: string, text: string, hint = ''): void {
    this.#remarks.push({
      weight,
      from: { file: from.file, line: from.line },
      expression,
      text,
      ...(hint === '' ? {} : { hint }),
    });
  }
}

/**
 * At most this many times, refused patterns are removed. What one pattern hides shows in the next
 * round.
 */
const roundsMax = 6;
const oneLine = 'write a pattern for the line that names the address';

function refusalText({ construct, reason }: Refusal): string {
  return construct === '' ? reason : `${construct}: ${reason}`;
}

/** The table as the configuration's reader expects it. */
export function tableOf({ name, tags, rows, ignore }: CustomFilter): Parameters<typeof compileFilters>[0][number] {
  return {
    name: name.slice(0, 40),
    log_tag: tags,
    patterns: rows.map(({ pattern }) => ({ pattern })),
    ignore: ignore.map(({ pattern }) => ({ pattern })),
  } as Parameters<typeof compileFilters>[0][number];
}

/** The identifiers that a regular expression matches; a variable end becomes `*`. */
function tagsOf(text: string): string[] | undefined {
  try {
    const { ways } = waysOf(parseExpression(text));
    const tags = ways.flatMap(draftsOf).map(({ slots }) => {
      let tag = '';
      for (const slot of slots) {
        if (slot.kind !== 'text') return `${tag}*`;
        tag += slot.text;
      }
      return tag;
    });
    if (tags.includes('')) return undefined;
    return [...new Set(tags)];
  } catch (error) {
    if (!(error instanceof Refused)) throw error;
    return undefined;
  }
}
