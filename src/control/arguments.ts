/**
 * The types of arguments that verbs take, and how each is checked. Input: values that an authorised
 * local peer sent. Invariant: an accepted value has the right type, length and range.
 */
import { addressesPerRequestMax, banSecondsMax, jailNameMax, pathBytesMax, reasonCharactersMax } from '../limits.ts';
import { parseCidr } from '../text/address.ts';
import { OperatorError } from './answers.ts';

/** Returns what is wrong with a value, or undefined. */
type Check = (value: unknown) => string | undefined;

export interface Argument {
  kind: Kind;
  required?: true;
  /** A list of such values, at least one. */
  many?: true;
  /** On the command line an option (`--NAME VALUE`), not a positional word. */
  option?: true;
}

const jail: Check = (value) => {
  if (typeof value !== 'string' || value === '') return 'must be the name of a jail';
  if (value.length > jailNameMax) return `is longer than ${jailNameMax} characters`;
  return /^[A-Za-z0-9._-]+$/.test(value) ? undefined : 'may hold letters, digits, "-", "_" and "." only';
};

const address: Check = (value) => {
  const parsed = typeof value === 'string' ? parseCidr(value, 'clear') : 'not-an-address';
  if (typeof parsed === 'object') return undefined;
  if (parsed !== 'bad-prefix') return 'must be an IPv4 or IPv6 address';
  return `has a prefix length outside 0–${(value as string).includes(':') ? 128 : 32}`;
};

const duration: Check = (value) => {
  const seconds = value as number;
  return seconds === -1 || (Number.isInteger(value) && seconds >= 1 && seconds <= banSecondsMax)
    ? undefined
    : `must be whole seconds from 1 to ${banSecondsMax}, or -1 for permanent`;
};

/** A time span in the past. */
const age: Check = (value) => (value === -1 ? 'must be whole seconds' : duration(value));

const number: Check = (value) =>
  Number.isSafeInteger(value) && (value as number) >= 0 ? undefined : 'must be a whole number from 0';

const text: Check = (value) =>
  typeof value === 'string' && value.length <= reasonCharactersMax
    ? undefined
    : `must be a text of at most ${reasonCharactersMax} characters`;

const path: Check = (value) =>
  typeof value === 'string' && /^[^\0]+$/.test(value) && Buffer.byteLength(value) <= pathBytesMax
    ? undefined
    : `must be a path of at most ${pathBytesMax} bytes`;

const flag: Check = (value) => (value === true ? undefined : 'must be true');

const oneOf = (names: readonly string[]): Check => {
  return (value) => (names.includes(value as string) ? undefined : `must be one of ${names.join(', ')}`);
};

export const logLevels = ['error', 'warn', 'info', 'debug'] as const;
const level = oneOf(logLevels);
const setting = oneOf(['loglevel']);
/** What `list` can be sorted by; the client does it. */
export const listOrders = ['jail', 'address', 'start', 'left'] as const;
const order = oneOf(listOrders);

export const checks = {
  jail,
  address,
  duration,
  age,
  number,
  text,
  path,
  flag,
  level,
  setting,
  order,
} satisfies Record<string, Check>;
export type Kind = keyof typeof checks;

/** A verb's name and what it takes, in the order of the command line. */
export interface Arguments {
  name: string;
  arguments: Record<string, Argument>;
}

function complaintAbout({ kind, many }: Argument, value: unknown): string | undefined {
  if (!many) return checks[kind](value);
  if (!Array.isArray(value) || value.length < 1 || value.length > addressesPerRequestMax) {
    return `must be a list of 1 to ${addressesPerRequestMax}`;
  }
  for (const each of value) {
    const complaint = checks[kind](each);
    if (complaint !== undefined) return complaint;
  }
  return undefined;
}

/**
 * Copies from `given` exactly the arguments that `verb` names; throws `bad-argument` with name and
 * reason.
 */
export function checkArguments(verb: Arguments, given: unknown): Record<string, unknown> {
  const { name, arguments: rows } = verb;
  const wrong = (reason: string): OperatorError => new OperatorError('bad-argument', `${name}: ${reason}`);
  const absent = given === undefined || given === null;
  if (!absent && (typeof given !== 'object' || Array.isArray(given))) throw wrong('args must be an object');
  const values = new Map<string, unknown>(absent ? [] : Object.entries(given as object));
  const args: Record<string, unknown> = {};
  for (const [name, argument] of Object.entries(rows)) {
    const value = values.get(name);
    values.delete(name);
    if (value === undefined) {
      if (argument.required) throw wrong(`${name} is missing`);
      continue;
    }
    const complaint = complaintAbout(argument, value);
    if (complaint !== undefined) throw wrong(`${name} ${complaint}`);
    args[name] = value;
  }
  if (values.size > 0) {
    const names = Object.keys(rows);
    throw wrong(`unknown argument; ${names.length === 0 ? 'it takes none' : `it takes ${names.join(', ')}`}`);
  }
  return args;
}
