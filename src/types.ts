/**
 * The records that rooms hand to one another. Types only: nothing here runs.
 * Addresses travel as 16 bytes (IPv4 as IPv4-mapped, ::ffff:a.b.c.d) plus family and prefix length.
 */
import type { evictionPolicies } from './limits.ts';

/**
 * An address or prefix: 16 network-order bytes; `family` 4 or 6; `prefix` in the family's own bits
 * (4: 0–32, 6: 0–128).
 */
export interface Address {
  family: 4 | 6;
  bytes: Uint8Array;
  prefix: number;
}

/** A network that an operator has ignored, in every jail, until epoch second `until`. */
export interface IgnoredByHand {
  network: Address;
  until: number;
}

/** One TCP/UDP port or an inclusive range. */
export interface PortRange {
  first: number;
  last: number;
}

/** How the bans of a source that comes back grow. */
export interface Escalation {
  /** Seconds of the second, third … ban; the last one repeats. -1 = permanent. */
  bantimes: number[];
  /** Up to so many seconds are added to these at random, so that nobody knows when one ends. */
  randomSeconds: number;
  /**
   * A source's bans are remembered for so long after the last one ended or its last failure since.
   */
  memorySeconds: number;
  /** Whether its bans in other jails count. */
  allJails: boolean;
}

/** What log lines are wrapped in; `auto`: Docker's and CRI's are recognised. */
export type LineFormat = 'auto' | 'plain' | 'docker' | 'cri' | 'json';

/** Entries of the journal that have one of the values of each field. */
export interface JournalGroup {
  /** A value that ends in `*` stands for all that begin with the rest. */
  terms: [field: string, values: string[]][];
  /** Not those that systemd counts to a login session or to a user's own services. */
  system?: boolean;
}

/** Entries that fit any of the groups. */
export interface JournalMatch {
  /** As people write it. */
  text: string;
  groups: JournalGroup[];
}

/** From `from` (UTC seconds) on, a zone's time is `offset` seconds east of UTC. */
export interface ZoneChange {
  from: number;
  offset: number;
}

/** A jail as the core runs it: every setting resolved, nothing optional. */
export interface JailConfig {
  name: string;
  /** Built-in filter's name, or the name of one of `CoreConfig.filters`. */
  filter: string;
  /** One of the filter's modes ('' = its default). */
  mode: string;
  /** Absolute paths or globs (only `*` and `?`, no `**`). */
  logpath: string[];
  /** The entries of the journal that it reads instead of files. */
  journal?: JournalMatch;
  maxretry: number;
  /** Seconds. */
  findtime: number;
  /** Seconds of a source's first ban; -1 = permanent. */
  bantime: number;
  /** null = every ban lasts `bantime`. */
  escalation: Escalation | null;
  /** Bits of an IPv6 source that are tracked and banned together, 32–128. */
  ipv6Prefix: number;
  /** The same of an IPv4 source, 24–32; absent: 32. */
  ipv4Prefix?: number;
  /** CIDR texts, checked. */
  ignoreip: string[];
  ignoreself: boolean;
  /** Whether its logs may lie on a network file system, or another that can hang. */
  network: boolean;
  /** Empty = every port. */
  ports: PortRange[];
  protocols: ('tcp' | 'udp')[];
  hooks: ('input' | 'forward')[];
  /**
   * What becomes of a banned source's packets: silence, or an answer (TCP reset, else ICMP
   * administratively prohibited).
   */
  action: BanAction;
  /** What the log's lines are wrapped in; absent = `auto`. */
  format?: LineFormat;
  /** The field that holds the message, where that is `json`. */
  message?: string;
  /** The zone of times that name none; absent = local time. */
  timezone?: ZoneChange[];
}

export type BanAction = 'drop' | 'reject';

/** What becomes of the addresses of a list. */
export type ListUse = 'ban' | 'ignore';

/** Prefix lengths, shortest first, by family. */
export type Lengths = Readonly<Record<4 | 6, readonly number[]>>;

/** A file of addresses and prefixes, as it was when the launch stage read it. */
export interface CoreList {
  file: string;
  use: ListUse;
  /** Whose bans they are; '' where they are ignored. */
  jail: string;
  /** In which the kernel holds it, with the other lists of the jail. */
  lengths: Lengths;
  /** About how many elements it is there. */
  elements: Readonly<Record<4 | 6, number>>;
}

/** The kernel's set of what lists name, of one prefix length; jail '' = what is ignored. */
export interface ListSet {
  jail: string;
  family: 4 | 6;
  prefix: number;
}

/**
 * What lists name, in the kernel. Keys are in network order, 4 or 16 bytes, one behind the other.
 */
export interface Listed {
  /** Told whose sets were made anew, and are empty. */
  emptied: (jail: string) => void;
  /** Visits the keys of a set: where each stands in `bytes`. Some may be missed or repeated. */
  each(set: ListSet, visit: (bytes: Uint8Array, at: number) => void): Promise<void>;
  /** One transaction; repeating it does no harm. */
  apply(changes: readonly { set: ListSet; adds: Uint8Array; removes: Uint8Array }[]): Promise<void>;
}

export type EvictionPolicy = (typeof evictionPolicies)[number];
export type BackendName = 'auto' | 'nftables' | 'iptables' | 'ipset' | 'xdp' | 'log-only';

/** An operator's filter as the core runs it. */
export interface FilterProgram {
  name: string;
  /** By pattern number; those of `ignore` follow. */
  patterns: string[];
  ignore: string[];
  /** Token stream of src/compiler/encode.ts, base64. */
  program: string;
}

/** The control socket as the launch stage made it. */
export interface BoundSocket {
  /** Bound, not yet listening. */
  fd: number;
  /** Descriptor of the lock on its path. */
  lock: number;
  /** Where it is bound: beside its path. */
  at: string;
}

/** A program for seccomp(2). */
export interface CallFilter {
  /** An array of struct sock_filter, base64. */
  program: string;
  /** Offsets of the numbers that say where V8 has its code, six for each range. */
  holes: number[];
}

/** What only the launch stage may make, for the core that has fewer rights. */
export interface Handed {
  socket?: BoundSocket;
  /** Sockets of who is told: journald's, connected, or one for syslog. */
  journal?: number;
  syslog?: number;
  /** For when everything listens, and for when the metrics page does not yet. */
  filters?: { listening: CallFilter; notYet: CallFilter };
  /** The capabilities that are left, as /proc/self/status shows them. */
  capabilities: string;
  /** Files for which the heap has room, where they are more than the usual ones. */
  filesMax?: number;
  /** What is in force, and what is not and why; for people. */
  confined: string[];
  lacking: string[];
}

/** The plain record the launch stage hands to the core (JSON). */
export interface CoreConfig {
  /** Absent where the core only checks the configuration. */
  handed?: Handed;
  /** Where it was read from, for messages. */
  path: string;
  memory: { ceilingBytes: number; evictionPolicy: EvictionPolicy };
  /** `interfaces`: those the xdp backend guards. */
  firewall: {
    backend: BackendName;
    table: string;
    allowLogOnly: boolean;
    interfaces: readonly string[];
    /** Whether the kernel goes on dropping when the daemon is stopped. */
    keepBans: boolean;
    /** Bans that the kernel may hold; 0 = as many as fit half of the table. */
    bansMax: number;
  };
  control: { enabled: boolean; path: string; groupId: number };
  metrics: { enabled: boolean; bind: string; port: number };
  /**
   * Where bans, windows and read positions survive a restart; `intervalSeconds` between two writes
   * where no ban comes.
   */
  state: { enabled: boolean; path: string; intervalSeconds: number };
  /** `syslog`: where syslog listens, which is told instead of standard error. */
  log: { level: 'error' | 'warn' | 'info' | 'debug'; format: 'text' | 'json'; syslog?: string };
  /** How long records are kept and how much they may take; whether journald is told. */
  audit: { keepSeconds: number; bytes: number; journal: boolean };
  /** Where journals are looked for; empty = where the system has them. */
  journal: { directories: string[] };
  /** `read`: directories that logs lead to, beside those of the jails. */
  confinement: { seccomp: 'enforce' | 'log' | 'off'; landlock: boolean; read: readonly string[] };
  /** The operator's own. */
  filters: FilterProgram[];
  jails: JailConfig[];
  /** Absent where there are none. */
  lists?: CoreList[];
}

/** A ban the engine decided. */
export interface Decision {
  jail: number;
  address: Address;
  /** Epoch seconds from which the ban runs: the source's newest failure (log time). */
  time: number;
  failures: number;
  /** Seconds; -1 = permanent. */
  seconds: number;
  /**
   * Bans of the source so far, this one included, as far as they are remembered; 255 = that or
   * more.
   */
  bans: number;
  source: number;
  /** Byte offset of the triggering line in its source. */
  offset: number;
  /** Number of the pattern that took it, in the jail's filter. */
  pattern: number;
}

/** A ban the kernel is asked to hold, or holds. */
export interface Ban {
  jail: string;
  address: Address;
  /** Remaining milliseconds; 0 = permanent, below 0 = over already (then it is not banned). */
  timeoutMs: number;
}

/** What a backend is asked to install: sets and hooks of one jail. */
export interface JailScaffold
  extends Pick<JailConfig, 'name' | 'ipv4Prefix' | 'ipv6Prefix' | 'ports' | 'protocols' | 'hooks'> {
  /** Absent: drop. */
  action?: BanAction;
  /** Networks whose packets pass though a ban covers them. */
  allow?: readonly Address[];
  /** Of its lists; absent where it has none. */
  lists?: Lengths;
  /** Of lists whose packets pass though a ban covers them. */
  allowLists?: Lengths;
}

export type Change = { verb: 'ban'; ban: Ban } | { verb: 'unban'; jail: string; address: Address };

/** Packets by jail. */
export type Drops = Map<string, number>;

/**
 * The five verbs of a backend, and what helps to use them. Every method rejects with a typed error
 * (KernelError for kernel refusals); nothing is half believed.
 */
export interface Backend {
  readonly name: Exclude<BackendName, 'auto'>;
  /** False: a dry run. Nothing is banned, and nothing of it may be enforced later. */
  readonly holds: boolean;
  /** The longest ban it holds at once, ms, where there is one; a longer one has to be renewed. */
  readonly timeoutMsMax?: number;
  /** The most bans it holds, where that is few. */
  readonly bansMax?: number;
  /** False: bans of an earlier run are listed without their end. */
  readonly keepsEnds?: boolean;
  /**
   * Adopts or replaces what is there in one transaction; existing bans of jails that remain are
   * kept.
   */
  install(jails: JailScaffold[]): Promise<void>;
  /**
   * Resolves when the kernel holds all of it. After an error a part may hold where the batch was
   * larger than one transaction (or the backend has none): applying the same changes again does no
   * harm.
   */
  apply(changes: Change[]): Promise<void>;
  /**
   * Visits the bans that the kernel holds now, one by one: there may be a million. While others
   * write, or a hash table grows, a ban may be visited twice or be missed. Returns the number of
   * visits.
   */
  each(visit: (ban: Ban) => void): Promise<number>;
  /** Rebuilds our sets and rules where others changed them. Returns true if it had to. */
  reconcile(jails: JailScaffold[]): Promise<boolean>;
  /**
   * Whether others may have changed what we hold since it was last asked. Cheap; absent where there
   * is no cheap way.
   */
  disturbed?(): Promise<boolean>;
  /**
   * Resolves when a transaction of ours disturbs nobody else, within a bounded time; undefined =
   * now.
   */
  pause?(): Promise<void> | undefined;
  /**
   * Packets of banned sources that the kernel dropped or rejected, as its counters say now: they
   * start anew where rules are made anew. Costs a read of our rules. Absent where nothing is
   * dropped.
   */
  drops?(): Promise<Drops>;
  /** Lists of addresses; absent where it cannot hold them. */
  readonly listed?: Listed;
  /**
   * What it does otherwise than the jails ask, for an operator to know; known once it is installed.
   */
  readonly notes?: readonly string[];
  /** Removes everything of ours. */
  remove(): Promise<void>;
  close(): void;
}
