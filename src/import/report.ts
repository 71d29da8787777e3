/**
 * The report of an import for the operator: a table, what is lost or differs, and one last line.
 */
import { printable } from '../text/printable.ts';
import type { Imported } from './import.ts';
import type { Note } from './notes.ts';

/** Exit codes: everything carried over; with warnings; an enabled jail is not protected now. */
export const exitCarried = 0;
export const exitWarned = 3;
export const exitUnprotected = 4;

export function exitOf({ notes }: Imported): number {
  if (notes.some(({ weight }) => weight === 'lost')) return exitUnprotected;
  return notes.some(({ weight }) => weight === 'warning') ? exitWarned : exitCarried;
}

export function reportText(imported: Imported, written: string | undefined, more: readonly string[] = []): string {
  const { plan, notes } = imported;
  const rows = plan.jails.map((jail) => {
    const of = notes.filter((note) => note.jail === jail.original && note.weight !== 'info').length;
    const own = plan.filters.some(({ filter }) => filter.name === jail.filter);
    const state = jail.enabled ? (of === 0 ? 'carried over' : plural(of, 'warning')) : 'NOT PROTECTED';
    return jail.filter === ''
      ? [jail.name, '-', '', state]
      : [jail.name, jail.filter, own ? 'translated' : 'built in', state];
  });
  const lines = [
    ...table(['jail', 'filter', '', ''], rows),
    ...notes.filter(({ weight }) => weight !== 'info').map(noteText),
    ...section('worth knowing', notes.filter(({ weight }) => weight === 'info').map(noteText)),
    ...more,
    'one attempt counts once here, however many lines it leaves: a source may be banned an attempt later than by fail2ban',
    summaryLine(imported, written),
  ];
  return `${lines.join('\n')}\n`;
}

function section(title: string, lines: readonly string[]): string[] {
  return lines.length === 0 ? [] : [`${title}:`, ...lines.map((line) => `  ${line}`)];
}

/** `→ translated 14 jails · 2 warnings · wrote /etc/fail2zig.toml`. */
export function summaryLine({ plan, notes }: Imported, written: string | undefined): string {
  const count = plan.jails.filter(({ enabled }) => enabled).length;
  const lost = plan.jails.length - count;
  const warnings = notes.filter(({ weight }) => weight === 'warning').length;
  const parts = [`translated ${plural(count, 'jail')}`];
  if (lost > 0) parts.push(`${lost} not protected`);
  parts.push(plural(warnings, 'warning'));
  parts.push(written === undefined ? 'wrote nothing' : `wrote ${printable(written)}`);
  return `→ ${parts.join(' · ')}`;
}

function noteText({ weight, jail, place, found, text, hint }: Note): string {
  const mark = weight === 'lost' ? 'NOT PROTECTED' : weight;
  const where = [jail, place].filter((part) => part !== '').join(' ');
  const quoted = found === undefined || found === '' ? '' : `: ${found}`;
  const advice = hint === undefined || hint === '' ? '' : ` (${hint})`;
  return printable(`${mark}: ${where}${where === '' ? '' : ': '}${text}${quoted}${advice}`, 600);
}

function table(head: readonly string[], rows: readonly (readonly string[])[]): string[] {
  if (rows.length === 0) return ['no jail is enabled'];
  const all = [head, ...rows];
  const widths = head.map((_, column) => Math.max(...all.map((row) => (row[column] ?? '').length)));
  return all.map((row) =>
    row
      .map((cell, column) => printable(cell).padEnd(widths[column] ?? 0))
      .join('  ')
      .trimEnd(),
  );
}

export function plural(count: number, noun: string): string {
  return `${count} ${noun}${count === 1 ? '' : 's'}`;
}

export function reportJson(imported: Imported, written: string | undefined, exit: number): object {
  const { plan, notes, source } = imported;
  return {
    source,
    written: written ?? null,
    exit,
    jails: plan.jails.map(({ original, name, enabled, filter, settings, place }) => ({
      jail: original,
      name,
      enabled,
      filter: filter === '' ? null : filter,
      translated: plan.filters.some((each) => each.filter.name === filter),
      from: place,
      settings,
    })),
    filters: plan.filters.map(({ filter, place }) => ({
      name: filter.name,
      from: place,
      log_tag: filter.tags ?? null,
      patterns: filter.rows.map(({ pattern, expression }) => ({ pattern, expression })),
      ignore: filter.ignore.map(({ pattern, expression }) => ({ pattern, expression })),
    })),
    notes,
  };
}
