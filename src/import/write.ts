/**
 * A plan as a fail2zig.toml in which each line says where it came from. Text of the tree is written
 * only into strings and comments, with control characters escaped.
 */
import { jsonText } from '../text/json.ts';
import { hides, printable } from '../text/printable.ts';
import type { CustomFilter, Row } from './custom-filter.ts';
import type { Note } from './notes.ts';
import type { JailPlan, Plan, Setting } from './plan.ts';

/** Longest quotation of the tree in a comment, characters. */
const quotedCharactersMax = 300;

export function writeConfiguration(
  plan: Plan,
  notes: readonly Note[],
  source: string,
  placeOf: (row: Row['from']) => string,
): string {
  const shared = sharedSettings(plan.jails);
  const parts = [
    [
      `# Translated from ${printable(source)} by \`fail2zig import\`. Each line says where it came from.`,
      '# `fail2zig check` says what it guards; `fail2zig replay LOG` whom it would have banned.',
      '#',
      '# What counting differs: one attempt counts once, however many lines it leaves; findtime is a sliding window;',
      '# an IPv6 source is its /64; host names in logs are never resolved.',
    ],
    ...notes.filter(({ jail }) => jail === '').map((note) => [noteLine(note)]),
    ...(shared.length > 0 ? [['[defaults]', ...shared.map(settingLine)]] : []),
    ...plan.filters.map(({ filter, about, place }) => filterLines(filter, about, place, placeOf)),
    ...plan.jails.map((jail) =>
      jailLines(
        jail,
        shared,
        notes.filter((note) => note.jail === jail.original),
      ),
    ),
  ];
  return `${parts.map((lines) => lines.join('\n')).join('\n\n')}\n`;
}

/** Settings that every jail has from the same place. */
function sharedSettings(jails: readonly JailPlan[]): Setting[] {
  const [first, ...others] = jails.filter(({ enabled }) => enabled);
  if (!first || others.length === 0) return [];
  const keys = ['maxretry', 'findtime', 'bantime', 'ignoreip', 'ignoreself', 'timezone'];
  return first.settings.filter((setting) => {
    const isShared = keys.includes(setting.key) || setting.key.startsWith('bantime_');
    return isShared && others.every(({ settings }) => settings.some((other) => sameSetting(other, setting)));
  });
}

function sameSetting(one: Setting, other: Setting): boolean {
  return one.key === other.key && one.from === other.from && JSON.stringify(one.value) === JSON.stringify(other.value);
}

function jailLines(jail: JailPlan, shared: readonly Setting[], notes: readonly Note[]): string[] {
  const settings = jail.settings.filter((setting) => !shared.some((other) => sameSetting(other, setting)));
  const lines = [
    `[jails.${tomlKey(jail.name)}]  # ${quote(`[${jail.original}] ${jail.place}`)}`,
    ...(jail.enabled ? [] : ['enabled = false  # see above']),
    ...settings.map(settingLine),
  ];
  const told = notes.filter(({ weight }) => weight !== 'info').map(noteLine);
  // Without a filter there is no jail, only comments that say what it was.
  return jail.filter === '' ? [...told, ...lines.map((line) => `# ${line}`)] : [...told, ...lines];
}

function filterLines(
  filter: CustomFilter,
  about: string,
  place: string,
  placeOf: (row: Row['from']) => string,
): string[] {
  const list = (rows: readonly Row[]): string[] => {
    const lines: string[] = [];
    let last = '';
    for (const { pattern, expression, from } of rows) {
      const comment = `${placeOf(from)}: ${expression}`;
      if (comment !== last) lines.push(`  # ${quote(comment)}`);
      last = comment;
      lines.push(`  ${tomlString(pattern)},`);
    }
    return lines;
  };
  return [
    `[[filter]]  # ${quote(place)}`,
    `name = ${tomlString(filter.name)}`,
    `about = ${tomlString(printable(about, 100))}`,
    ...(filter.tags === undefined ? [] : [`log_tag = ${tomlValue(filter.tags)}`]),
    'patterns = [',
    ...list(filter.rows),
    ']',
    ...(filter.ignore.length === 0 ? [] : ['ignore = [', ...list(filter.ignore), ']']),
  ];
}

function settingLine({ key, value, from }: Setting): string {
  return `${key} = ${tomlValue(value)}  # ${quote(from)}`;
}

function noteLine({ weight, place, found, text, hint }: Note): string {
  const mark = weight === 'lost' ? 'NOT PROTECTED' : weight;
  const parts = [
    place === '' ? '' : `${place}: `,
    text,
    found === undefined ? '' : `: ${found}`,
    hint === undefined ? '' : ` (${hint})`,
  ];
  return `# ${mark}: ${quote(parts.join(''))}`;
}

function quote(text: string): string {
  return printable(text, quotedCharactersMax);
}

function tomlKey(name: string): string {
  return /^[A-Za-z0-9_-]+$/.test(name) ? name : tomlString(name);
}

export function tomlValue(value: Setting['value']): string {
  if (Array.isArray(value)) return `[${value.map((item) => tomlValue(item)).join(', ')}]`;
  return typeof value === 'string' ? tomlString(value) : String(value);
}

/** A literal string if nothing needs an escape, so that a pattern reads as it is. */
export function tomlString(text: string): string {
  if (text.includes('"') && !text.includes("'") && ![...text].some((character) => hides(character.codePointAt(0)!))) {
    return `'${text}'`;
  }
  return jsonText(text).replaceAll('\x7f', '\\u007f');
}
