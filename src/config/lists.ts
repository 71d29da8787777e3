/**
 * `[[list]]`: files of addresses, checked line by line before a start or a reload uses them. Input:
 * values of the configuration, and the text of the files.
 */

import { listsMax } from '../limits.ts';
import { atOnce, type FileProblem, Files, planOf, type Surveyed } from '../lists/group.ts';
import { elementsIn } from '../lists/lengths.ts';
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
  about: 'matches no log: the bans of its jail stand in lists',
  pattern: 'fail2zig has a list with {ip}{end}',
  sample: ['fail2zig has a list with 192.0.2.1'],
});

/**
 * The document with the missing jails of lists, and with those that have neither filter nor log:
 * they read no log, and [jails.NAME] may contain their other settings.
 */
export function withListJails(document: Document): Document {
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
    if (reads || filters.some((filter) => filter.name === name && filter.pattern !== silent(name).pattern)) continue;
    if (table !== undefined && (document.defaults?.logpath !== undefined || document.defaults?.source !== undefined))
      continue;
    whole = {
      ...whole,
      filter: filters.some((filter) => filter.name === name) ? filters : [...filters, silent(name)],
      jails: { ...whole.jails, [name]: { ...table, filter: name, logpath: [], source: 'files' } },
    };
  }
  return whole;
}

/** The configured lists; complains about those that make no sense. */
export function resolveLists(document: Document, jails: readonly string[], complain: Complain): Row[] {
  const rows: Row[] = [];
  const tables = document.list ?? [];
  if (tables.length > listsMax) complain(listsMax, '', `is list ${listsMax + 1}; there may be ${listsMax}`);
  for (const [index, { file, use = 'ban', jail }] of tables.entries()) {
    if (file === undefined) {
      complain(index, 'file', 'is missing', 'name the file: file = "/etc/fail2zig/lists/drop.txt"');
      continue;
    }
    const earlier = rows.findIndex((row) => row.file === file);
    if (earlier >= 0) complain(index, 'file', 'is named by another list already');
    if (use === 'ignore' && jail !== undefined)
      complain(index, 'jail', 'has no meaning beside use = "ignore"', 'what is ignored is so in every jail');
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
  iptables: 'iptables has a rule for each address, and a list would be too many',
  ipset: 'lists are held by nftables only',
  xdp: 'xdp bans sources one by one',
};

/** Complains if the backend supports no lists. */
export function complainOfBackend(rows: readonly Row[], backend: BackendName, complain: Complain): void {
  const why = unable[backend];
  const index = rows.findIndex(({ use }) => use === 'ban');
  if (why !== undefined && index >= 0) complain(index, 'use', why, 'set firewall.backend to "nftables"');
}

/** Reads the list files; complains about what is wrong with them, by file and line. */
export function readLists(rows: readonly Row[], complain: Complain, warnings: string[]): CoreList[] {
  const lists: CoreList[] = [];
  for (const group of Map.groupBy(rows, ({ jail }) => jail).values()) {
    const surveyed = group.flatMap((row) => surveyOf(row, (...said) => complain(rows.indexOf(row), ...said), warnings));
    if (surveyed.length < group.length) continue;
    try {
      const { lengths } = planOf(surveyed);
      for (const { row, survey } of surveyed) {
        const elements = { 4: elementsIn(survey.counts[4], lengths[4]), 6: elementsIn(survey.counts[6], lengths[6]) };
        lists.push({ ...row, lengths, elements });
      }
    } catch (error) {
      const { file, message, hint } = error as FileProblem;
      complain(
        rows.findIndex((row) => row.file === file),
        'file',
        `${printable(file)}: ${message}`,
        hint,
      );
    }
  }
  return lists;
}

/** The content of a list file; undefined if it cannot be used. */
function surveyOf(
  row: Row,
  complain: (key: string, reason: string, hint?: string) => void,
  warnings: string[],
): Surveyed[] {
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
    complain('file', `${shown}: ${message}`, hint);
    return [];
  }
  for (const { line, reason, hint } of survey.mistakes) complain('file', `${shown}:${line}: ${reason}`, hint);
  if (survey.mistakesOmitted > 0) complain('file', `${shown}: ${survey.mistakesOmitted} more mistakes`);
  const { leftOut, private: inside } = survey;
  if (leftOut.count > 0)
    warnings.push(
      `${shown}: ${leftOut.count} entries can be no source and are left out, the first on line ${leftOut.line}`,
    );
  if (inside.count > 0)
    warnings.push(
      `${shown}: ${inside.count} entries are private networks, the first on line ${inside.line}: hosts of your own may be banned`,
    );
  return survey.mistakes.length > 0 ? [] : [{ row, survey }];
}
