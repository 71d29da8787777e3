/**
 * `[[list]]`: files of addresses, checked line by line before a start or a reload uses them. Input:
 * values of the configuration, and the text of the files.
 */

import { listsMax } from '../limits.ts';
import { atOnce, type FileProblem, Files, planOf, type Surveyed } from '../lists/group.ts';
import { type Counts, elementsIn } from '../lists/lengths.ts';
import { Survey } from '../lists/survey.ts';
import { printable } from '../text/printable.ts';
import type { BackendName, CoreList } from '../types.ts';
import { nearest } from './nearest.ts';
import type { Document, FilterTable } from './schema.ts';

/** The jail of a list that names none. */
export const listJailDefault = 'lists';

type Complain = (index: number, key: string, reason: string, hint?: string) => void;
/** A list as it is written. */
type Row = Pick<CoreList, 'file' | 'use' | 'jail'>;

/** A filter that matches nothing: the jail only has the bans of lists. */
const silent = (name: string): FilterTable => ({
  name,
  about: 'matches no log: the bans of its jail are in lists',
  pattern: 'fail2zig has a list with {ip}{end}',
  sample: ['fail2zig has a list with 192.0.2.1'],
});

/**
 * The document with the missing jails of lists, and with those that have neither filter nor log:
 * they read no log, and [jails.NAME] may contain their other settings. A jail with the name of a
 * built-in filter reads one.
 */
export function withListJails(document: Document, builtIn: readonly string[]): Document {
  let whole = document;
  for (const { use, jail } of document.list ?? []) {
    const name = jail ?? listJailDefault;
    const table = whole.jails?.[name];
    // A name that occurs nowhere else may be misspelt.
    if (use === 'ignore' || (table === undefined && name !== listJailDefault)) continue;
    const reads = [table?.filter, table?.logpath, table?.journal_match, table?.source].some(
      (value) => value !== undefined,
    );
    const filters = whole.filter ?? [];
    if (reads || builtIn.includes(name) || filters.some((filter) => filter.name === name)) continue;
    if (table !== undefined && (document.defaults?.logpath !== undefined || document.defaults?.source !== undefined))
      continue;
    whole = {
      ...whole,
      filter: [...filters, silent(name)],
      jails: { ...whole.jails, [name]: { ...table, filter: name, logpath: [], source: 'files' } },
    };
  }
  return whole;
}

/** The configured lists; complains about those that make no sense. */
export function resolveLists(document: Document, jails: readonly string[], complain: Complain): Row[] {
  const rows: Row[] = [];
  const tables = document.list ?? [];
  if (tables.length > listsMax) complain(listsMax, '', `is list ${listsMax + 1}: at most ${listsMax} are allowed`);
  for (const [index, { file, use = 'ban', jail }] of tables.entries()) {
    if (file === undefined) {
      complain(index, 'file', 'is missing', 'name the file: file = "/etc/fail2zig/lists/drop.txt"');
      continue;
    }
    const earlier = rows.findIndex((row) => row.file === file);
    if (earlier >= 0) complain(index, 'file', 'is named by another list already');
    if (use === 'ignore' && jail !== undefined)
      complain(index, 'jail', 'has no effect beside use = "ignore"', 'an ignored address is ignored in every jail');
    const name = use === 'ignore' ? '' : (jail ?? listJailDefault);
    if (use === 'ban' && !jails.includes(name)) {
      const close = nearest(name, [...jails]);
      const hint =
        close === undefined ? `write [jails.${printable(name, 60)}], or leave it out` : `did you mean "${close}"?`;
      complain(index, 'jail', `there is no jail "${printable(name, 60)}"`, hint);
    }
    rows.push({ file, use, jail: name });
  }
  return rows;
}

/** Backends that support no lists, and why. */
const unable: Partial<Record<BackendName, string>> = {
  iptables: 'iptables has a rule for each address, and a list would need too many',
  ipset: 'lists are held by nftables only',
  xdp: 'xdp bans sources one by one',
};

/** Complains if the backend supports no lists. */
export function complainOfBackend(rows: readonly Row[], backend: BackendName, complain: Complain): void {
  const why = unable[backend];
  const index = rows.findIndex(({ use }) => use === 'ban');
  if (why !== undefined && index >= 0) complain(index, 'use', why, 'set firewall.backend to "nftables"');
}

/** How files of lists are read: all must be right, or only those of what is ignored. */
export type ListReading = 'checked' | 'tried';

const total = (counts: Counts): number => counts.reduce((sum, count) => sum + count, 0);

/**
 * Reads the list files; complains about what is wrong with them, by file and line. If they are only
 * tried, a wrong ban list is a warning, and the lists of its jail come into force when it is right:
 * whoever writes such a list must not decide whether the daemon starts (claim X-lists).
 */
export function readLists(
  rows: readonly Row[],
  reading: ListReading,
  complain: Complain,
  warnings: string[],
): CoreList[] {
  return [...Map.groupBy(rows, ({ jail }) => jail).values()].flatMap((group) => {
    const isTried = reading === 'tried' && group[0]!.use === 'ban';
    let isRight = true;
    const say = (row: Row, reason: string, hint?: string): void => {
      isRight = false;
      if (isTried) warnings.push(hint === undefined ? reason : `${reason} (${hint})`);
      else complain(rows.indexOf(row), 'file', reason, hint);
    };
    const surveyed = group.map((row) => surveyOf(row, (...said) => say(row, ...said), warnings));
    if (isRight) {
      try {
        const { lengths } = planOf(surveyed);
        return surveyed.map(({ row, survey: { counts } }) => {
          return {
            ...row,
            lengths,
            elements: { 4: elementsIn(counts[4], lengths[4]), 6: elementsIn(counts[6], lengths[6]) },
          };
        });
      } catch (error) {
        const { file, message, hint } = error as FileProblem;
        say(group.find((row) => row.file === file)!, `${printable(file)}: ${message}`, hint);
      }
    }
    if (!isTried) return [];
    warnings.push(`until this is right, the lists of jail ${printable(group[0]!.jail)} are not in force`);
    // They have memory for what could be read, and no sets yet.
    return surveyed.map(({ row, survey: { counts } }) => {
      return { ...row, lengths: { 4: [], 6: [] }, elements: { 4: total(counts[4]), 6: total(counts[6]) } };
    });
  });
}

/** The content of a list file, as far as it can be read. */
function surveyOf(row: Row, complain: (reason: string, hint?: string) => void, warnings: string[]): Surveyed {
  const shown = printable(row.file);
  const survey = new Survey(row.use);
  try {
    const files = new Files([row]);
    try {
      atOnce(files.read(() => survey.visitor));
    } finally {
      files.close();
    }
  } catch (error) {
    const { message, hint } = error as FileProblem;
    complain(`${shown}: ${message}`, hint);
    return { row, survey };
  }
  for (const { line, reason, hint } of survey.mistakes) complain(`${shown}:${line}: ${reason}`, hint);
  if (survey.mistakesOmitted > 0) complain(`${shown}: ${survey.mistakesOmitted} more mistakes`);
  const { leftOut, private: inside } = survey;
  if (leftOut.count > 0)
    warnings.push(
      `${shown}: ${leftOut.count} entries cannot be sources and are left out, the first on line ${leftOut.line}`,
    );
  if (inside.count > 0)
    warnings.push(
      `${shown}: ${inside.count} entries are private networks, the first on line ${inside.line}: hosts of your own may be banned`,
    );
  return { row, survey };
}
