/**
 * Words and options of the command line as arguments of a verb. Each word is matched with the types
 * in the verb's row, in order, so `ban JAIL ADDRESS… [DURATION]` needs no rule of its own. The
 * daemon checks every argument again.
 */
import { resolve } from 'node:path';
import { parseDuration } from '../config/duration.ts';
import { nearest } from '../config/nearest.ts';
import type { Argument, Kind } from '../control/arguments.ts';
import { checks, listOrders, logLevels } from '../control/arguments.ts';
import { findVerb, type Verb } from '../control/verbs.ts';

/** The arguments are not a valid command. */
export class UsageError extends Error {
  /** The command in question, whose usage is shown. */
  readonly verb: string | undefined;

  constructor(message: string, verb?: string) {
    super(message);
    this.verb = verb;
  }
}

interface WordKind {
  /** Its name in help. */
  shown: string;
  /** Whether a word may be of this type. */
  fits(word: string): boolean;
  /** Converts the word; throws what is wrong with it. */
  value(word: string): unknown;
}

const isNumberAndUnits = (word: string): boolean => word === 'permanent' || /^-?[0-9]+[a-z0-9 ]*$/.test(word);

function durationOf(word: string): number {
  if (word === 'permanent') return -1;
  const parsed = parseDuration(/^[0-9]+$/.test(word) ? Number(word) : word, true);
  if (!parsed.ok) throw new Error(`DURATION ${parsed.reason}`);
  return parsed.value;
}

const same = (word: string): string => word;

export const wordKinds: Record<Kind, WordKind> = {
  jail: { shown: 'JAIL', fits: (word) => checks.jail(word) === undefined, value: same },
  address: { shown: 'ADDRESS', fits: (word) => checks.address(word) === undefined, value: same },
  duration: { shown: 'DURATION', fits: isNumberAndUnits, value: durationOf },
  age: { shown: 'DURATION', fits: isNumberAndUnits, value: durationOf },
  number: { shown: 'NUMBER', fits: (word) => /^[0-9]+$/.test(word), value: Number },
  text: { shown: 'TEXT', fits: () => true, value: same },
  path: { shown: 'FILE', fits: () => false, value: resolve },
  flag: { shown: '', fits: () => false, value: () => true },
  level: { shown: logLevels.join('|'), fits: (word) => checks.level(word) === undefined, value: same },
  order: {
    shown: listOrders.join('|'),
    fits: (word) => checks.order(word) === undefined,
    value: (word) => {
      const complaint = checks.order(word);
      if (complaint !== undefined) throw new Error(`--sort ${complaint}`);
      return word;
    },
  },
  setting: { shown: 'loglevel', fits: (word) => checks.setting(word) === undefined, value: same },
};

/** `[JAIL]`, `ADDRESS…`, `[--jail JAIL]`. */
function usageOf(name: string, { kind, required, many, option }: Argument): string {
  const { shown } = wordKinds[kind];
  const word = `${option ? `--${name} ` : ''}${shown}${many ? '…' : ''}`.trim();
  return required ? word : `[${word}]`;
}

/** `ban JAIL ADDRESS… [DURATION]` */
export function usageLine(verb: Verb): string {
  return [verb.name, ...Object.entries(verb.arguments).map(([name, argument]) => usageOf(name, argument))].join(' ');
}

/** The options of a verb, by name. */
export function optionsOf(verb: Verb): [string, Argument][] {
  return Object.entries(verb.arguments).filter(([, { option }]) => option);
}

/** The request's arguments. Throws UsageError. */
export function argumentsOf(
  name: string,
  words: readonly string[],
  options: ReadonlyMap<string, string>,
): Record<string, unknown> {
  const verb = findVerb(name);
  const rows = Object.entries(verb.arguments);
  const args: Record<string, unknown> = {};
  const put = (name: string, { kind, many }: Argument, word: string): void => {
    try {
      const value = wordKinds[kind].value(word);
      args[name] = many ? [...((args[name] as unknown[]) ?? []), value] : value;
    } catch (error) {
      throw new UsageError((error as Error).message, verb.name);
    }
  };
  for (const word of words) {
    const open = rows.filter(([name, { many, option }]) => !option && (many || args[name] === undefined));
    const row = open.find(([, { kind }]) => wordKinds[kind].fits(word));
    if (row === undefined) throw new UsageError(swapped(verb, words) ?? misfit(word, open), verb.name);
    put(...row, word);
  }
  for (const [name, word] of options) put(name, verb.arguments[name] as Argument, word);
  const missing = rows.find(([name, { required }]) => required && args[name] === undefined);
  if (missing !== undefined) throw new UsageError(`${wordKinds[missing[1].kind].shown} is missing`, verb.name);
  return args;
}

/** Says that a jail was typed after the address, though it belongs before it. */
function swapped({ name, arguments: rows }: Verb, [first = '', second = '']: readonly string[]): string | undefined {
  const kinds = Object.values(rows).map(({ kind }) => kind);
  const isSwapped = kinds[0] === 'jail' && kinds[1] === 'address' && wordKinds.address.fits(first);
  return isSwapped && !wordKinds.address.fits(second) && wordKinds.jail.fits(second)
    ? `write the jail before the address: ${name} ${second} ${first}`
    : undefined;
}

function misfit(word: string, open: [string, Argument][]): string {
  const kinds = open.map(([, { kind }]) => wordKinds[kind].shown);
  return kinds.length === 0 ? `"${word}" is too much` : `"${word}" is no ${kinds.join(' or ')}`;
}

const shortForms = new Map([
  ['-h', '--help'],
  ['-V', '--version'],
]);

export interface CommandLine {
  words: string[];
  /** Without value: `true`. */
  options: Map<string, string>;
  flags: Set<string>;
}

/**
 * Splits `argv` into words, options with a value and flags. `valued` and `flags` are the existing
 * names. Throws UsageError.
 */
export function splitArguments(argv: readonly string[], valued: Set<string>, flags: Set<string>): CommandLine {
  const found: CommandLine = { words: [], options: new Map(), flags: new Set() };
  for (let at = 0; at < argv.length; at++) {
    const given = shortForms.get(argv[at]!) ?? argv[at]!;
    if (given === '--') return { ...found, words: [...found.words, ...argv.slice(at + 1)] };
    if (!given.startsWith('-') || given === '-' || /^-[0-9]/.test(given)) {
      found.words.push(given);
      continue;
    }
    const [head, ...rest] = given.replace(/^--?/, '').split('=');
    const name = head as string;
    if (valued.has(name)) {
      const value = rest.length > 0 ? rest.join('=') : argv[++at];
      if (value === undefined) throw new UsageError(`--${name} needs a value`);
      found.options.set(name, value);
    } else if (flags.has(name) && rest.length === 0) found.flags.add(name);
    else throw new UsageError(unknown('option', given, [...valued, ...flags], '--'));
  }
  return found;
}

/** Says that there is no such word, and which one may be meant. */
export function unknown(what: string, given: string, names: string[], prefix = ''): string {
  const meant = nearest(given.replace(/^-+/, ''), names);
  const all = names.map((name) => prefix + name).join(', ');
  return `no such ${what}: ${given}${meant === undefined ? `; there are ${all}` : ` (did you mean ${prefix}${meant}?)`}`;
}
