/**
 * What an operator may ask of the running daemon: one table row per verb, and the interface the
 * daemon answers with. Input: arguments of an authorised local peer, still unchecked; nothing
 * reaches the `Operator` that its row did not accept, and an argument no row names is refused.
 * Adding a verb is adding a row; there is no other branch on its name. Claims: S-01, I-02, E-03
 * (who may call), MM-27, PE-23 (stats), R-01c (list).
 */
import { isIP } from 'node:net';
import { addressTextMax, banSecondsMax, cursorTextMax, jailNameMax, listPageRowsMax } from '../limits.ts';
import { statusPage } from './pages.ts';

/** A value that may be absent or come later. */
type Eventually<T> = T | Promise<T>;

export interface JailStatus {
  jail: string;
  filter: string;
  /** Bans the kernel holds for this jail. */
  bansActive: number;
  /** Decided, but not (yet) accepted by the kernel. */
  bansPending: number;
  /** Since the daemon started. */
  bansTotal: number;
  /** Packets of banned sources that the kernel dropped or rejected, as of a few seconds ago. */
  packetsDropped: number;
  failuresTotal: number;
  /** Files or journals this jail reads now. */
  sources: string[];
}

export interface Status {
  version: string;
  pid: number;
  uptimeSeconds: number;
  backend: string;
  memory: { residentBytes: number; ceilingBytes: number; slots: number; slotsUsed: number };
  jails: JailStatus[];
  /** What an operator must know about, one sentence each; empty when all is well. */
  problems: string[];
  /**
   * Set by `statusPage` where the jails do not fit one frame: give it back for the next ones. The
   * operator leaves it out.
   */
  cursor?: string;
}

/**
 * Flat figures in the order they are shown; names as the documents give them (`evictions.total`,
 * `drops.invalid`).
 */
export type Stats = Record<string, number>;

export interface BanRow {
  jail: string;
  /** Address, with `/prefix` where it is not a single address. */
  address: string;
  /** Whole seconds left; -1 = permanent. */
  remainingSeconds: number;
}

export interface ListPage {
  bans: BanRow[];
  /**
   * Give it back for the next page; absent on the last one. Bans that change meanwhile may be
   * missed.
   */
  cursor?: string;
}

export interface BanResult {
  jail: string;
  /** What was banned: the address masked to the jail's prefix. */
  address: string;
  /** -1 = permanent. */
  seconds: number;
}

export interface UnbanResult {
  address: string;
  /** Jails the address was removed from; empty when none held it. */
  jails: string[];
}

/** Who asked, as the kernel knows them. */
export interface Peer {
  uid: number;
  gid: number;
  pid: number;
}

/**
 * The daemon as its operators see it. A refusal is an `OperatorError`; anything else thrown is
 * reported as `internal`.
 */
export interface Operator {
  /** `jail` narrows `jails` to one. */
  status(args: { jail?: string }): Eventually<Status>;
  stats(): Eventually<Stats>;
  /** At most `limit` rows, starting after `cursor`. */
  list(args: { jail?: string; cursor?: string; limit: number }): Eventually<ListPage>;
  /**
   * `address` is checked text: an IPv4 or IPv6 address with an optional prefix length. `seconds`
   * absent = the jail's bantime.
   */
  ban(args: { jail: string; address: string; seconds?: number }, by: Peer): Eventually<BanResult>;
  /** Every jail where `jail` is absent. */
  unban(args: { jail?: string; address: string }, by: Peer): Eventually<UnbanResult>;
}

/** Codes a client can act on; `message` is for people. */
export type RefusalCode =
  | 'forbidden'
  | 'busy'
  | 'rate-limited'
  | 'bad-frame'
  | 'bad-request'
  | 'unknown-verb'
  | 'bad-argument'
  | 'no-such-jail'
  | 'ignored'
  | 'kernel'
  | 'too-long'
  | 'timeout'
  | 'internal';

/** A refusal that the operator is told about as it is: what happened, to what, and what to do. */
export class OperatorError extends Error {
  readonly code: RefusalCode;

  constructor(code: RefusalCode, message: string) {
    super(message);
    this.name = 'OperatorError';
    this.code = code;
  }
}

/**
 * Who may call a verb: `root` (uid 0 or the daemon's own), `group` adds members of the socket's
 * group.
 */
export type Role = 'root' | 'group';

/** Says what is wrong with a value, or nothing. */
type Check = (value: unknown) => string | undefined;

export interface Argument {
  check: Check;
  required: boolean;
}

export interface Verb {
  name: string;
  callers: Role;
  /** True where it changes what is banned or what runs: each call is logged with who made it. */
  changes: boolean;
  /** One sentence for `--help` and the documents. */
  says: string;
  arguments: Record<string, Argument>;
  /** Called with checked arguments only. */
  run(operator: Operator, args: Record<string, unknown>, by: Peer): Eventually<object>;
}

const jailName: Check = (value) => {
  if (typeof value !== 'string' || value === '') return 'must be the name of a jail';
  if (value.length > jailNameMax) return `is longer than ${jailNameMax} characters`;
  for (const character of value) {
    const letterOrDigit = /[A-Za-z0-9]/.test(character);
    if (!letterOrDigit && character !== '-' && character !== '_' && character !== '.') {
      return 'may hold letters, digits, "-", "_" and "." only';
    }
  }
  return undefined;
};

/** Whole number text without sign or leading zero, or -1. */
function wholeNumber(text: string): number {
  return /^(0|[1-9][0-9]{0,8})$/.test(text) ? Number(text) : -1;
}

const address: Check = (value) => {
  if (typeof value !== 'string' || value.length > addressTextMax) return 'must be an IPv4 or IPv6 address';
  const slash = value.indexOf('/');
  const host = slash < 0 ? value : value.slice(0, slash);
  const family = host.includes('%') ? 0 : isIP(host);
  if (family === 0) return 'must be an IPv4 or IPv6 address';
  if (slash < 0) return undefined;
  const prefix = wholeNumber(value.slice(slash + 1));
  const widest = family === 4 ? 32 : 128;
  return prefix < 0 || prefix > widest ? `has a prefix length outside 0–${widest}` : undefined;
};

const seconds: Check = (value) => {
  if (value === -1) return undefined;
  if (typeof value !== 'number' || !Number.isInteger(value) || value < 1 || value > banSecondsMax) {
    return `must be whole seconds from 1 to ${banSecondsMax}, or -1 for permanent`;
  }
  return undefined;
};

const cursor: Check = (value) =>
  typeof value === 'string' && value.length <= cursorTextMax ? undefined : 'must be the cursor of an earlier page';

/** The cursor of a status: how many jails were on the pages before. */
const position: Check = (value) =>
  typeof value === 'string' && wholeNumber(value) >= 0 ? undefined : 'must be the cursor of an earlier page';

const limit: Check = (value) =>
  typeof value === 'number' && Number.isInteger(value) && value >= 1 && value <= listPageRowsMax
    ? undefined
    : `must be a whole number from 1 to ${listPageRowsMax}`;

const needs = (check: Check): Argument => ({ check, required: true });
const takes = (check: Check): Argument => ({ check, required: false });

/**
 * The one cast in this room: `checkArguments` has compared every value with the row, so the row
 * knows its own shape.
 */
const checked = <T>(args: Record<string, unknown>): T => args as T;

export const verbs: readonly Verb[] = [
  {
    name: 'status',
    callers: 'group',
    changes: false,
    says: 'What runs: backend, memory, each jail with its bans and sources, and what is wrong.',
    arguments: { jail: takes(jailName), cursor: takes(position) },
    run: async (operator, args) => {
      const { jail, cursor } = checked<{ jail?: string; cursor?: string }>(args);
      return statusPage(await operator.status(jail === undefined ? {} : { jail }), cursor);
    },
  },
  {
    name: 'stats',
    callers: 'group',
    changes: false,
    says: 'Counters: lines, matches, drops, bans, evictions.',
    arguments: {},
    run: (operator) => operator.stats(),
  },
  {
    name: 'list',
    callers: 'group',
    changes: false,
    says: 'Active bans with the time each has left, a page at a time.',
    arguments: { jail: takes(jailName), cursor: takes(cursor), limit: takes(limit) },
    run: (operator, args) => operator.list({ limit: listPageRowsMax, ...checked<{ limit?: number }>(args) }),
  },
  {
    name: 'ban',
    callers: 'group',
    changes: true,
    says: "Bans an address in a jail now, for the jail's bantime or the given seconds.",
    arguments: { jail: needs(jailName), address: needs(address), seconds: takes(seconds) },
    run: (operator, args, by) => operator.ban(checked(args), by),
  },
  {
    name: 'unban',
    callers: 'group',
    changes: true,
    says: 'Ends the ban of an address in one jail, or in every jail.',
    arguments: { jail: takes(jailName), address: needs(address) },
    run: (operator, args, by) => operator.unban(checked(args), by),
  },
];

/** The row of `name`; throws `unknown-verb` with the names there are. */
export function findVerb(name: unknown): Verb {
  const verb = verbs.find((row) => row.name === name);
  if (verb === undefined) {
    throw new OperatorError('unknown-verb', `no such verb; there are ${verbs.map((row) => row.name).join(', ')}`);
  }
  return verb;
}

/**
 * Copies exactly the arguments `verb` names out of `given`; throws `bad-argument` with the name and
 * the reason.
 */
export function checkArguments(verb: Verb, given: unknown): Record<string, unknown> {
  const absent = given === undefined || given === null;
  if (!absent && (typeof given !== 'object' || Array.isArray(given))) {
    throw new OperatorError('bad-argument', `${verb.name}: args must be an object`);
  }
  const values = new Map<string, unknown>(absent ? [] : Object.entries(given as object));
  const args: Record<string, unknown> = {};
  for (const [name, argument] of Object.entries(verb.arguments)) {
    const value = values.get(name);
    values.delete(name);
    if (value === undefined) {
      if (argument.required) throw new OperatorError('bad-argument', `${verb.name}: ${name} is missing`);
      continue;
    }
    const complaint = argument.check(value);
    if (complaint !== undefined) throw new OperatorError('bad-argument', `${verb.name}: ${name} ${complaint}`);
    args[name] = value;
  }
  if (values.size > 0) {
    const names = Object.keys(verb.arguments);
    const known = names.length === 0 ? 'it takes none' : `it takes ${names.join(', ')}`;
    throw new OperatorError('bad-argument', `${verb.name}: unknown argument; ${known}`);
  }
  return args;
}

/** True where a peer of `role` may call `verb`. */
export function mayCall(verb: Verb, role: Role): boolean {
  return role === 'root' || verb.callers === 'group';
}
