/**
 * `journal_match`: which journal entries a jail reads, in fail2ban's syntax
 * (`_SYSTEMD_UNIT=sshd.service + _COMM=sshd`), and what a filter reads by default. Values of the
 * same field are alternatives, different fields must all match, `+` begins another group. A value
 * that ends in `*` matches all values with that beginning.
 */
import { type JournalOrigin, journalOrigins } from '../filters/journal.ts';
import { journalFieldNameMax } from '../limits.ts';
import { printable } from '../text/printable.ts';
import type { JournalGroup, JournalMatch } from '../types.ts';
import { describe } from './describe.ts';
import { journalDirectoriesMax, journalTermsMax, journalValueBytesMax } from './limits.ts';
import { accept, type Parsed, type Refused, refuse } from './parsed.ts';

const example = 'as in "_SYSTEMD_UNIT=sshd.service + _COMM=sshd"';

/** A match, or a list of alternatives. */
export function parseJournalMatch(value: unknown): Parsed<JournalMatch> {
  const texts = Array.isArray(value) ? value : [value];
  const groups: JournalGroup[] = [];
  for (const text of texts) {
    if (typeof text !== 'string') return refuse(`expected fields of the journal, found ${describe(text)}`, example);
    const found = parseGroups(text);
    if (!found.ok) return found;
    groups.push(...found.value);
  }
  if (groups.length === 0) return refuse('names no field', example);
  const terms = groups.flatMap((group) => group.terms.flatMap(([, values]) => values));
  if (terms.length > journalTermsMax)
    return refuse(`has ${terms.length} values; at most ${journalTermsMax} are allowed`);
  return accept({ text: texts.join(' + '), groups });
}

function parseGroups(text: string): Parsed<JournalGroup[]> {
  const groups: JournalGroup[] = [];
  let terms = new Map<string, string[]>();
  const end = (): Refused | undefined => {
    if (terms.size === 0) return refuse('has a "+" with nothing beside it', example);
    groups.push({ terms: [...terms] });
    terms = new Map();
    return undefined;
  };
  // A word may contain blanks between quotes.
  for (const [word] of text.matchAll(/(?:[^\s"]|"[^"]*"?)+/g)) {
    if (word === '+') {
      const refused = end();
      if (refused) return refused;
      continue;
    }
    const term = parseTerm(word.replaceAll('"', ''));
    if (!term.ok) return term;
    const [field, found] = term.value;
    terms.set(field, [...(terms.get(field) ?? []), found]);
  }
  const refused = text.trim() === '' ? undefined : end();
  return refused ?? accept(groups);
}

function parseTerm(word: string): Parsed<[string, string]> {
  const at = word.indexOf('=');
  const field = word.slice(0, at);
  const value = word.slice(at + 1);
  const shown = printable(word, 60);
  if (at < 0) return refuse(`"${shown}" is not FIELD=value`, example);
  if (!/^[A-Z_][A-Z0-9_]*$/.test(field) || field.length > journalFieldNameMax)
    return refuse(`"${printable(field, 60)}" is not a field of the journal`, 'a field consists of A-Z, 0-9 and "_"');
  if (field === 'MESSAGE') return refuse('MESSAGE is what the filter reads', 'name a unit or an identifier');
  if (value === '' || value === '*') return refuse(`"${shown}" has no value`);
  if (Buffer.byteLength(value) > journalValueBytesMax)
    return refuse(`"${shown}" is longer than ${journalValueBytesMax} bytes`);
  return accept([field, value]);
}

/** A jail's settings of where its lines are. */
interface Sources {
  source?: 'files' | 'journal' | undefined;
  journal_match?: JournalMatch | undefined;
  logpath?: unknown;
  format?: unknown;
  message?: unknown;
  timezone?: unknown;
}

/** The journal entries that a jail reads; undefined if it reads files. */
export function resolveJournal(
  jail: Sources,
  defaults: Sources,
  filter: { name: string; tags: readonly string[] | undefined } | undefined,
  complain: (key: string, reason: string, hint?: string) => void,
): JournalMatch | undefined {
  if ((jail.source ?? defaults.source) !== 'journal') {
    if (jail.journal_match !== undefined) complain('journal_match', 'is for source = "journal" only');
    return undefined;
  }
  for (const key of ['logpath', 'format', 'message', 'timezone'] as const) {
    if (jail[key] === undefined) continue;
    const hint = key === 'logpath' ? 'two jails can share a filter' : undefined;
    complain(key, 'is for log files, and this jail reads the journal', hint);
  }
  const match = jail.journal_match ?? (filter && defaultJournalMatch(filter.name, filter.tags));
  if (match === undefined && filter !== undefined) {
    const reason = `filter ${filter.name} names no unit and no identifier: its service writes to files of its own`;
    complain('source', reason, 'write journal_match = "_SYSTEMD_UNIT=…", or logpath');
  }
  return match ?? { text: '', groups: [] };
}

/**
 * What a built-in filter reads from the journal, or an operator's by its log_tag; undefined:
 * nothing.
 */
export function defaultJournalMatch(filter: string, tags: readonly string[] | undefined): JournalMatch | undefined {
  const origin = journalOrigins.get(filter) ?? (tags && { units: [], identifiers: tags });
  if (origin === undefined) return undefined;
  const groups = groupsOf(origin);
  const text = groups.map(({ terms }) =>
    terms.flatMap(([field, values]) => values.map((value) => `${field}=${value}`)).join(' '),
  );
  return groups.length === 0 ? undefined : { text: origin.any ? 'every service' : text.join(' + '), groups };
}

function groupsOf({ units, identifiers, any }: JournalOrigin): JournalGroup[] {
  const templates = units.filter((unit) => unit.endsWith('@'));
  const plain = units.filter((unit) => !unit.endsWith('@'));
  const groups: JournalGroup[] = [];
  if (plain.length > 0) groups.push({ terms: [['_SYSTEMD_UNIT', plain.map((unit) => `${unit}.service`)]] });
  if (templates.length > 0) {
    // systemd writes a "-" of a name as "\x2d" in its slice.
    const slices = templates.map((unit) => `system-${unit.slice(0, -1).replaceAll('-', '\\x2d')}.slice`);
    groups.push({ terms: [['_SYSTEMD_SLICE', slices]] });
  }
  const exact = identifiers.filter((identifier) => identifier !== '*');
  if (exact.length > 0) groups.push({ terms: [['SYSLOG_IDENTIFIER', [...exact]]], system: true });
  if (any || exact.length < identifiers.length) groups.push({ terms: [], system: true });
  return groups;
}

/** Directories in which journals lie. */
export function parseJournalDirectories(value: unknown): Parsed<string[]> {
  const list = typeof value === 'string' ? [value] : value;
  if (!Array.isArray(list)) return refuse(`expected a list of directories, found ${describe(value)}`);
  if (list.length > journalDirectoriesMax) return refuse(`has more than ${journalDirectoriesMax} directories`);
  for (const [index, path] of list.entries()) {
    if (typeof path === 'string' && /^\/[^\0*?]*$/.test(path) && path.length <= 4_000) continue;
    return { ...refuse(`expected the absolute path of a directory, found ${describe(path)}`), index };
  }
  return accept(list.map((path: string) => path.replace(/(.)\/+$/, '$1')));
}
