/**
 * What the client prints: the daemon's answers as text for people, or as JSON for programs. Input:
 * the daemon's answer, whose texts (jail names, file names, messages) may contain anything.
 * Invariant: every such text passes `printable`, and the JSON is printable ASCII; no answer can
 * control a terminal. A long answer is shown part by part and not held in memory.
 */
import type { BanResult, IgnoreResult, Reloaded, Stats, Status, UnbanResult } from '../control/answers.ts';
import type { Event } from '../history/event.ts';
import { asciiJson } from '../text/json.ts';
import { printable } from '../text/printable.ts';
import { eventText, remaining, timeOf } from './event-text.ts';
import { runs } from './prefixes.ts';
import type { EventPart, ShownBan } from './records.ts';
import { presentWhy } from './why.ts';

/** A row of `list` then fits 80 columns. */
const causeCharactersMax = 16;

/**
 * Lines of padded columns, two blanks apart; the columns in `right` are right-aligned. Widths only
 * grow, so that the parts of one table line up. Cells must be printable.
 */
export class Table {
  readonly #right: readonly number[];
  readonly #widths: number[] = [];

  constructor(right: readonly number[] = []) {
    this.#right = right;
  }

  lines(rows: readonly (readonly string[])[]): string {
    for (const row of rows) {
      for (const [column, cell] of row.entries())
        this.#widths[column] = Math.max(this.#widths[column] ?? 0, cell.length);
    }
    return rows.map((row) => `${this.#line(row)}\n`).join('');
  }

  #line(row: readonly string[]): string {
    return row
      .map((cell, column) => {
        const width = this.#widths[column] as number;
        return this.#right.includes(column) ? cell.padStart(width) : cell.padEnd(width);
      })
      .join('  ')
      .trimEnd();
  }
}

/** One table. */
export function table(rows: readonly (readonly string[])[], right: readonly number[] = []): string {
  return new Table(right).lines(rows);
}

function mebibytes(bytes: number): string {
  return `${(bytes / 1_048_576).toFixed(1)} MiB`;
}

export function presentStatus(status: Status): string {
  const { memory } = status;
  const facts = table([
    ['fail2zig', `${printable(status.version)}, process ${status.pid}, up ${remaining(status.uptimeSeconds)}`],
    ['backend', printable(status.backend)],
    ['memory', `${mebibytes(memory.residentBytes)} of ${mebibytes(memory.ceilingBytes)}`],
    ['kernel', `about ${mebibytes(memory.kernelBytes)} for bans`],
    ['table', `${memory.slotsUsed} of ${memory.slots} slots used`],
    ...(status.confined ?? []).map((what, index) => [index === 0 ? 'confined' : '', printable(what)]),
    ...(status.lists ?? []).map((what, index) => [index === 0 ? 'lists' : '', printable(what)]),
  ]);
  const head = ['jail', 'filter', 'active', 'pending', 'bans', 'dropped', 'failures', 'sources'];
  const rows = status.jails.map((jail) => [
    printable(jail.jail),
    printable(jail.filter),
    String(jail.bansActive),
    String(jail.bansPending),
    String(jail.bansTotal),
    String(jail.packetsDropped),
    String(jail.failuresTotal),
    jail.sources.map((source) => printable(source)).join(' '),
  ]);
  const said = [
    ...status.problems.map((problem) => `problem: ${printable(problem)}\n`),
    ...(status.hints ?? []).map((hint) => `hint: ${printable(hint)}\n`),
  ].join('');
  return `${facts}\n${table([head, ...rows], [2, 3, 4, 5, 6])}${said && `\n${said}`}`;
}

/** `name:  figure`, one a line, as on the memory page of the documents. */
export function presentStats(stats: Stats): string {
  return table(
    Object.entries(stats).map(([name, value]) => [`${printable(name)}:`, String(value)]),
    [1],
  );
}

function presentBan({ addresses, jail, seconds, refused }: BanResult): string {
  const time = seconds === -1 ? 'permanently' : `for ${remaining(seconds)}`;
  const banned = runs(addresses, String, () => true).map(
    ({ text }) => `banned ${printable(text, text.length)} in ${printable(jail)} ${time}\n`,
  );
  return [...banned, ...refused.map(({ why }) => `not banned: ${printable(why)}\n`)].join('');
}

type Unbanned = UnbanResult['addresses'][number];

function presentUnban({ addresses }: UnbanResult): string {
  const named = ({ jails, kernelOnly = [] }: Unbanned): string =>
    [...jails, ...kernelOnly.map((jail) => `${jail} (only the kernel knew of it)`)]
      .map((jail) => printable(jail))
      .join(', ');
  return runs(
    addresses,
    ({ address }) => address,
    (one, other) => named(one) === named(other) && one.lists === undefined && other.lists === undefined,
  )
    .map(({ text, row }) => {
      const shown = printable(text, text.length);
      const was = text === row.address ? 'was' : 'were';
      const stands = (row.lists ?? []).map(
        (place) => `${shown} is in a list: ${printable(place)}; take it out there\n`,
      );
      if (named(row) !== '') return `unbanned ${shown} in ${named(row)}\n${stands.join('')}`;
      return stands.length > 0 ? stands.join('') : `${shown} ${was} not banned\n`;
    })
    .join('');
}

function presentIgnore({ ignored = [], lifted = [] }: IgnoreResult): string {
  const rows = ignored.map(
    ({ address, remainingSeconds: left }) =>
      `ignored: ${printable(address)} ${left < 0 ? 'for ever' : `for ${remaining(left)}`}\n`,
  );
  const ended = lifted.map(({ address, jail }) => `the ban of ${printable(address)} in ${printable(jail)} has ended\n`);
  return [...(rows.length > 0 ? rows : ['nothing is ignored by hand\n']), ...ended].join('');
}

function presentReload(reloaded: Reloaded): string {
  const parts = (['added', 'changed', 'removed'] as const)
    .filter((what) => reloaded[what].length > 0)
    .map((what) => `${what} ${reloaded[what].map((jail) => printable(jail)).join(', ')}`);
  return `reloaded: ${parts.join('; ') || 'no jail has changed'}\n`;
}

/** Shows an answer part by part, then its end. */
export interface Presenter {
  part(data: never): string;
  end(): string;
}

/** What each part of a status repeats. */
const repeated = new Set(['problems', 'hints', 'confined', 'lists']);

/** An answer that is shown at its end; lists of several parts are joined. */
class Whole<T extends object> implements Presenter {
  readonly #show: (answer: T) => string;
  #answer: Record<string, unknown> = {};

  constructor(show: (answer: T) => string) {
    this.#show = show;
  }

  part(data: T): string {
    for (const [name, value] of Object.entries(data)) {
      const before = this.#answer[name];
      // Appended, not copied for each of thousands of parts.
      if (!repeated.has(name) && Array.isArray(before)) before.push(...(value as unknown[]));
      else this.#answer[name] = Array.isArray(value) ? [...value] : value;
    }
    return '';
  }

  end(): string {
    return this.#show(this.#answer as T);
  }
}

/** A list that may be long: a table with a header, part by part. */
class Rows<T> implements Presenter {
  readonly #table: Table;
  readonly #rowsOf: (data: T) => string[][];
  readonly #empty: string;
  #head: string[][];

  constructor(head: string[], right: number[], rowsOf: (data: T) => string[][], empty: string) {
    this.#table = new Table(right);
    this.#head = [head];
    this.#rowsOf = rowsOf;
    this.#empty = empty;
  }

  part(data: T): string {
    const rows = this.#rowsOf(data);
    if (rows.length === 0) return '';
    const lines = this.#table.lines([...this.#head, ...rows]);
    this.#head = [];
    return lines;
  }

  end(): string {
    return this.#head.length === 0 ? '' : this.#empty;
  }
}

/** The same list as JSON: `{"bans":[…]}`. */
class JsonRows implements Presenter {
  readonly #name: string;
  #before: string;

  constructor(name: string) {
    this.#name = name;
    this.#before = `{"${name}":[`;
  }

  part(data: Record<string, unknown[]>): string {
    return (data[this.#name] as unknown[])
      .map((row) => {
        const text = this.#before + asciiJson(row);
        this.#before = ',';
        return text;
      })
      .join('');
  }

  end(): string {
    return `${this.#before === ',' ? '' : this.#before}]}\n`;
  }
}

/** Events, each shown when it comes. */
class Events implements Presenter {
  readonly #show: (event: Event) => string;

  constructor(show: (event: Event) => string) {
    this.#show = show;
  }

  part({ events }: EventPart): string {
    return events.map(this.#show).join('');
  }

  end(): string {
    return '';
  }
}

const eventLine = (event: Event): string => `${asciiJson(event)}\n`;

/** `11-21 01:15`, for tables. */
const minuteOf = (second: number): string => timeOf(second).slice(5, 16);

/** Why somebody is banned, in a few words. */
function causeOf({ pattern, reason, by }: ShownBan): string {
  const cause = by === undefined ? (pattern ?? '') : `user ${by.uid}${reason === undefined ? '' : `: ${reason}`}`;
  return printable(cause, causeCharactersMax);
}

const listRows = ({ bans }: { bans: ShownBan[] }): string[][] =>
  bans.map((ban) => [
    printable(ban.jail),
    printable(ban.address),
    ban.start === undefined ? '' : minuteOf(ban.start),
    ban.remainingSeconds < 0 ? 'never' : minuteOf(Date.now() / 1000 + ban.remainingSeconds),
    remaining(ban.remainingSeconds),
    ban.failures === undefined ? '' : String(ban.failures),
    causeOf(ban),
  ]);

/** Answers that are lists of any length, with the name of the list. */
const lists: Record<string, { name: string; text: () => Presenter }> = {
  history: { name: 'events', text: () => new Events(eventText) },
  list: {
    name: 'bans',
    text: () =>
      new Rows(['jail', 'address', 'since', 'until', 'left', 'of', 'why'], [4, 5], listRows, 'no active bans\n'),
  },
};

const texts: Record<string, (answer: never) => string> = {
  why: presentWhy,
  jails: ({ jails }: { jails: { jail: string; filter: string; bansActive: number }[] }) =>
    table(
      [
        ['jail', 'filter', 'active'],
        ...jails.map((row) => [printable(row.jail), printable(row.filter), String(row.bansActive)]),
      ],
      [2],
    ),
  status: presentStatus,
  stats: presentStats,
  ban: presentBan,
  unban: presentUnban,
  ignore: presentIgnore,
  unignore: presentIgnore,
  reload: presentReload,
};

/** An answer without a format of its own: a line for each value. */
const presentAny = (answer: object): string =>
  table(
    Object.entries(answer).map(([name, value]) => [
      `${printable(name)}:`,
      printable(typeof value === 'string' ? value : JSON.stringify(value)),
    ]),
  );

export function presenterOf(verb: string, json: boolean): Presenter {
  if (verb === 'watch') return new Events(eventLine);
  const list = lists[verb];
  if (list !== undefined) return json ? new JsonRows(list.name) : list.text();
  return new Whole(json ? (answer: object) => `${asciiJson(answer)}\n` : (texts[verb] ?? presentAny));
}
