/**
 * The daemon's answers to its operators, as types, and its refusals. The daemon implements
 * `Operator`; the client shows the answers.
 */

import type { Level } from '../log.ts';

/** A value, now or later. */
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
  /** What an operator must know, one sentence each; empty when all is well. */
  problems: string[];
  /** What may be wrong, but need not be. */
  hints?: string[];
  /** How the daemon is confined: privileges, files, system calls. */
  confined?: string[];
  /** List files, and what they contain. */
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
  /** The list file that names it. */
  pattern?: string;
}

/** One part of a list. Bans that change while it is read may be missing. */
export interface ListPart {
  bans: BanRow[];
}

export interface BanResult {
  jail: string;
  /** The banned addresses, each masked to the jail's prefix. */
  addresses: string[];
  /** -1 = permanent. */
  seconds: number;
  /** The refused addresses, and why. If nothing was banned, the whole call is refused instead. */
  refused: { address: string; code: RefusalCode; why: string }[];
}

/** What a reload changed, by names of jails. */
export interface Reloaded {
  added: string[];
  changed: string[];
  removed: string[];
}

export interface UnbanResult {
  /**
   * Each address with the jails that banned it; none if no jail did. `kernelOnly`: jails whose ban
   * only the kernel knew. `lists`: list files that name the address and keep it banned.
   */
  addresses: { address: string; jails: string[]; kernelOnly?: string[]; lists?: string[] }[];
}

/** A network that an operator ignores. */
export interface IgnoredRow {
  address: string;
  /** Whole seconds left; -1 = for ever. */
  remainingSeconds: number;
}

/** The networks that operators ignore now, and the bans that ended because of it. */
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
  /**
   * The network in ignoreip or ignored by an operator; for the latter also the whole seconds that
   * are left, -1 = for ever.
   */
  ignoredBy?: string;
  ignoredSeconds?: number;
  /** The filter that reads its lines, with its mode. */
  filter: string;
  /**
   * Failures within the last findtime, newest first: epoch second and count. If maxretry is above
   * 16, each row covers a sixteenth of findtime and shows its first second.
   */
  failures: [at: number, count: number][];
  /** Epoch second at which the ban ends; -1 = never; absent if there is no ban. */
  until?: number;
  /** Whether the kernel holds the ban, and for how many more whole seconds (-1: for ever). */
  kernel: boolean;
  kernelSeconds?: number;
  maxretry: number;
  findtime: number;
  /** Logs to read for more detail. */
  sources: string[];
}

export interface Why {
  address: string;
  /** The configuration file of the daemon. */
  config: string;
  views: JailView[];
  /** List files that name the address, and the effect; absent if none does. */
  lists?: string[];
  /** Absent if no records are kept. */
  records?: Records;
}

/** Where the client finds the records (history/event.ts). */
export interface Records {
  /** The newer file; the older one has `.1` appended. */
  path: string;
  /** Number of the last event. */
  number: number;
  /** The forms in which records may name the requested address: each jail has its own prefix. */
  addresses?: string[];
}

/** Who asked, as the kernel knows them. */
export interface Peer {
  uid: number;
  gid: number;
  pid: number;
  /** The next descriptor that the peer sends, or -errno; for a verb that `takes` one. */
  hands?: () => Promise<number>;
}

/**
 * The daemon as its operators see it: one method for each row of verbs.ts, called with arguments
 * that the row has checked. A refusal is an `OperatorError`; any other error is reported as
 * `internal`. A long answer comes in parts, each of which fits a frame.
 */
export interface Operator {
  /** `jail` limits the answer to one jail. */
  status(args: { jail?: string }): AsyncIterable<Status>;
  stats(): Eventually<Stats>;
  /** The client sorts; `sort` is ignored here. */
  list(args: { jail?: string; sort?: string }): AsyncIterable<ListPart>;
  /**
   * An address is checked text: IPv4 or IPv6 with an optional prefix length. Without `seconds` the
   * jail's bantime applies.
   */
  ban(args: { jail: string; addresses: string[]; seconds?: number; reason?: string }, by: Peer): Eventually<BanResult>;
  /** In every jail if `jail` is absent; without addresses, every ban of the jail, or of `all`. */
  unban(args: { jail?: string; addresses?: string[]; all?: true }, by: Peer): AsyncIterable<UnbanResult>;
  /** In every jail; without addresses only returns what is ignored. */
  ignore(args: { addresses?: string[]; seconds?: number }, by: Peer): AsyncIterable<IgnoreResult>;
  unignore(args: { addresses: string[] }, by: Peer): Eventually<IgnoreResult>;
  jails(): AsyncIterable<{ jails: { jail: string; filter: string; bansActive: number }[] }>;
  why(args: { address: string }): Eventually<Why>;
  history(args: { address?: string; jail?: string; since?: number }): Eventually<Records>;
  watch(args: { after?: number }): Eventually<Records>;
  set(args: { level: Level }, by: Peer): Eventually<{ level: Level }>;
  /** Answers first that it is ready for the record; then the peer hands it over. */
  reload(args: { config?: string }, by: Peer): AsyncIterable<{ ready: true } | Reloaded>;
  version(): Eventually<{ version: string }>;
}

/** Codes that a client can react to; `message` is for people. */
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

/** A refusal that the operator sees word for word: what happened, to what, and what to do. */
export class OperatorError extends Error {
  readonly code: RefusalCode;

  constructor(code: RefusalCode, message: string) {
    super(message);
    this.name = 'OperatorError';
    this.code = code;
  }
}
