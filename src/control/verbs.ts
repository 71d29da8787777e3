/**
 * What an operator may ask of the running daemon: one row per verb. Each row defines what the
 * daemon accepts, the client's command with its help and completions, the table in the operator's
 * guide and the manual page. The operator's method of the same name answers it (answers.ts), so a
 * new verb is a row and a method. Input: requests of an authorised local peer. Invariant: a method
 * gets exactly the arguments that its row names, all checked. Claims: S-01, I-02, E-03 (who may
 * call), MM-27, PE-23 (stats), R-01c (list).
 */
import { type Operator, OperatorError, type Peer } from './answers.ts';
import { type Arguments, checkArguments } from './arguments.ts';

/**
 * The role of a peer: `root` (uid 0 or the daemon's own user), or a member of the socket's `group`.
 */
export type Role = 'root' | 'group';

export interface Verb extends Arguments {
  name: keyof Operator;
  /** Members of the socket's group may not call it. */
  rootOnly?: true;
  /** It changes what is banned or what runs: each call is logged with its caller. */
  changes?: true;
  /** The peer sends a descriptor when it hears that the daemon is ready. */
  takes?: true;
  /** What it does, as help and documents say it; no full stop. */
  says: string;
}

export const verbs: readonly Verb[] = [
  {
    name: 'status',
    says: 'What runs: backend, memory, jails with their bans and logs, and what is wrong',
    arguments: { jail: { kind: 'jail' } },
  },
  {
    name: 'jails',
    says: 'The jails with their filter and bans',
    arguments: {},
  },
  {
    name: 'list',
    says: 'Active bans: since when, until when, the time left, failures, and why',
    arguments: { jail: { kind: 'jail' }, sort: { kind: 'order', option: true } },
  },
  {
    name: 'ban',
    changes: true,
    says: "Bans addresses now, and each address of an IPv4 prefix, for the jail's bantime or the given time; refuses ignored addresses and, without --force, the one that you are logged in from",
    arguments: {
      jail: { kind: 'jail', required: true },
      addresses: { kind: 'address', required: true, many: true },
      seconds: { kind: 'duration' },
      reason: { kind: 'text', option: true },
      /** Handled by the client, which knows the login session (client/own-ban.ts). */
      force: { kind: 'flag', option: true },
    },
  },
  {
    name: 'unban',
    changes: true,
    says: 'Ends bans: of addresses in one jail or in every jail, all bans of a jail, or all bans',
    arguments: {
      addresses: { kind: 'address', many: true },
      jail: { kind: 'jail', option: true },
      all: { kind: 'flag', option: true },
    },
  },
  {
    name: 'ignore',
    rootOnly: true,
    changes: true,
    says: 'Ignores addresses in every jail for a while (1h), and ends their bans; without an address, shows what is ignored by hand',
    arguments: { addresses: { kind: 'address', many: true }, seconds: { kind: 'duration' } },
  },
  {
    name: 'unignore',
    rootOnly: true,
    changes: true,
    says: 'Stops ignoring addresses: their failures count again',
    arguments: { addresses: { kind: 'address', required: true, many: true } },
  },
  {
    name: 'why',
    says: 'What is known of an address: bans, what led to them, who asked, what the kernel holds',
    arguments: { address: { kind: 'address', required: true } },
  },
  {
    name: 'history',
    says: 'Bans, unbans and expiries, oldest first, from the file of records',
    arguments: {
      address: { kind: 'address' },
      jail: { kind: 'jail' },
      since: { kind: 'age', option: true },
    },
  },
  {
    name: 'watch',
    says: 'The same as it happens, one JSON object a line; with --after, continues after event NUMBER',
    arguments: { after: { kind: 'number', option: true } },
  },
  {
    name: 'stats',
    says: 'Counters: lines, matches, drops, bans, evictions, memory',
    arguments: {},
  },
  {
    name: 'set',
    rootOnly: true,
    changes: true,
    says: 'Sets the log level until the next start',
    arguments: { setting: { kind: 'setting', required: true }, level: { kind: 'level', required: true } },
  },
  {
    name: 'reload',
    rootOnly: true,
    changes: true,
    takes: true,
    says: 'Makes the daemon use the configuration file as it is now; what needs a restart is refused',
    arguments: { config: { kind: 'path', option: true } },
  },
  {
    name: 'version',
    says: 'The version of the running daemon',
    arguments: {},
  },
];

/** The row of `name`; throws `unknown-verb` with the existing names. */
export function findVerb(name: unknown): Verb {
  const verb = verbs.find((row) => row.name === name);
  if (verb === undefined) {
    throw new OperatorError('unknown-verb', `no such verb; there are ${verbs.map((row) => row.name).join(', ')}`);
  }
  return verb;
}

type Method = (args: Record<string, unknown>, by: Peer) => object | Promise<object> | AsyncIterable<object>;

/** The answer to `verb` with unchecked arguments from a peer; throws `bad-argument`. */
export function answerTo(operator: Operator, verb: Verb, given: unknown, by: Peer): ReturnType<Method> {
  // The row has checked every argument against its type: the method gets what it declares.
  const method = operator[verb.name] as unknown as Method;
  return method.call(operator, checkArguments(verb, given), by);
}

/** True where a peer of `role` may call `verb`. */
export function mayCall(verb: Verb, role: Role): boolean {
  return role === 'root' || !verb.rootOnly;
}
