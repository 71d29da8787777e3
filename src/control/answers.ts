/**
 * What the daemon answers its operators, as types, and how it refuses. The daemon implements
 * `Operator`; the client shows the answers.
 */

import type { Level } from '../log.ts';

/** A value that is there, or comes later. */
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
  /** The log files this jail reads now. */
  sources: string[];
}

export interface Status {
  version: string;
  pid: number;
  uptimeSeconds: number;
  backend: string;
  memory: { residentBytes: number; ceilingBytes: number; kernelBytes: number; slots: number; slotsUsed: number };
  /** What an operator must know about, one sentence each; empty when all is well. */
  problems: string[];
  /** What may be wrong and need not be. */
  hints?: string[];
  /** What holds the daemon in its place: privileges, files, system calls. */
  confined?: string[];
  /** Files of addresses, and what they hold. */
  lists?: string[];
  jails: JailStatus[];
}

/** Figures in the order they are shown, by name (`evictions.total`, `drops.invalid`). */
export type Stats = Record<string, number>;

export interface BanRow {
  jail: string;
  /** Address, with `/prefix` where it is not a single address. */
  address: string;
  /** Whole seconds left; -1 = permanent. */
  remainingSeconds: number;
  /** The file of a list that names it. */
  pattern?: string;
}

/** One part of a list; bans that change while it is read may be missed. */
export interface ListPart {
  bans: BanRow[];
}

export interface BanResult {
  jail: string;
  /** What was banned: each address masked to the jail's prefix. */
  addresses: string[];
  /** -1 = permanent. */
  seconds: number;
  /** What was not, and why; where nothing was banned, the call is refused instead. */
  refused: { address: string; code: RefusalCode; why: string }[];
}

/** What a reload brought, by names of jails. */
export interface Reloaded {
  added: string[];
  changed: string[];
  removed: string[];
}

export interface UnbanResult {
  /**
   * Each address with the jails it was banned in; none where no jail held it. `kernelOnly`: jails
   * whose ban only the kernel knew. `lists`: where files name it, which go on banning it.
   */
  addresses: { address: string; jails: string[]; kernelOnly?: string[]; lists?: string[] }[];
}

/** A network that is ignored by hand. */
export interface IgnoredRow {
  address: string;
  /** Whole seconds left; -1 = for ever. */
  remainingSeconds: number;
}

/** What is ignored by hand now, and which bans ended for it. */
export interface IgnoreResult {
  ignored?: IgnoredRow[];
  lifted?: { address: string; jail: string }[];
}

/** What one jail knows of an address. */
export interface JailView {
  jail: string;
  /** The address as the jail bans it. */
  address: string;
  ignored: boolean;
  /** The network of the rule, and by hand the whole seconds that are left of it; -1 = for ever. */
  ignoredBy?: string;
  ignoredSeconds?: number;
  /** The filter that reads its lines, with its mode. */
  filter: string;
  /**
   * Failures within findtime of now, newest first: epoch second, and how many. Beyond a maxretry of
   * 16 a sixteenth of findtime is one row, at its first second.
   */
  failures: [at: number, count: number][];
  /** Epoch second at which its ban ends; -1 = never; absent where it is not banned. */
  until?: number;
  /** Whether the kernel holds it, and for how many whole seconds still (-1: for ever). */
  kernel: boolean;
  kernelSeconds?: number;
  maxretry: number;
  findtime: number;
  /** The logs that would tell more. */
  sources: string[];
}

export interface Why {
  address: string;
  /** The configuration file of the daemon. */
  config: string;
  views: JailView[];
  /** Where files of addresses name it, and what comes of it; absent where none does. */
  lists?: string[];
  /** Absent where none are kept. */
  records?: Records;
}

/** Where the client finds the records (history/event.ts). */
export interface Records {
  /** The newer file; the older one has `.1` behind its name. */
  path: string;
  /** Of the last event. */
  number: number;
  /** How records may name the address that was asked for: each jail has its own prefix. */
  addresses?: string[];
}

/** Who asked, as the kernel knows them. */
export interface Peer {
  uid: number;
  gid: number;
  pid: number;
  /** The next descriptor that the peer hands over, or -errno; for a verb that `takes` one. */
  hands?: () => Promise<number>;
}

/**
 * The daemon as its operators see it: one method for each row of verbs.ts, called with arguments
 * that the row has checked. A refusal is an `OperatorError`; anything else thrown is reported as
 * `internal`. A long answer comes in parts, each of which fits a frame.
 */
export interface Operator {
  /** `jail` narrows `jails` to one. */
  status(args: { jail?: string }): AsyncIterable<Status>;
  stats(): Eventually<Stats>;
  /** `sort` is the client's matter. */
  list(args: { jail?: string; sort?: string }): AsyncIterable<ListPart>;
  /**
   * An address is checked text: IPv4 or IPv6 with an optional prefix length. Without `seconds` the
   * jail's bantime applies.
   */
  ban(args: { jail: string; addresses: string[]; seconds?: number; reason?: string }, by: Peer): Eventually<BanResult>;
  /** In every jail where `jail` is absent; without addresses every ban of the jail, or of `all`. */
  unban(args: { jail?: string; addresses?: string[]; all?: true }, by: Peer): AsyncIterable<UnbanResult>;
  /** In every jail; without addresses only tells what is ignored. */
  ignore(args: { addresses?: string[]; seconds?: number }, by: Peer): AsyncIterable<IgnoreResult>;
  unignore(args: { addresses: string[] }, by: Peer): Eventually<IgnoreResult>;
  jails(): AsyncIterable<{ jails: { jail: string; filter: string; bansActive: number }[] }>;
  why(args: { address: string }): Eventually<Why>;
  history(args: { address?: string; jail?: string; since?: number }): Eventually<Records>;
  watch(args: { after?: number }): Eventually<Records>;
  set(args: { level: Level }, by: Peer): Eventually<{ level: Level }>;
  /** First that it is ready for the record, which the peer then hands over. */
  reload(args: { config?: string }, by: Peer): AsyncIterable<{ ready: true } | Reloaded>;
  version(): Eventually<{ version: string }>;
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
  /** A prefix wider than what the jail bans. */
  | 'too-wide'
  | 'not-ignored'
  | 'no-room'
  | 'kernel'
  | 'not-handed'
  | 'needs-restart'
  | 'not-kept'
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
