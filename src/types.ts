/**
 * The records that rooms hand to one another. Types only: nothing here runs. An address is 16 bytes
 * (IPv4 as IPv4-mapped, ::ffff:a.b.c.d) plus family and prefix length.
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

/** How the bans of a repeat offender grow. */
export interface Escalation {
  /** Seconds of the second, third … ban; the last one repeats. -1 = permanent. */
  bantimes: number[];
  /** Up to this many seconds are added to these at random, so that nobody knows when a ban ends. */
  randomSeconds: number;
  /** How long a source's bans are remembered after the last one ended, or after a later failure. */
  memorySeconds: number;
  /** Whether its bans in other jails count. */
  allJails: boolean;
}

/** How log lines are wrapped; `auto` recognises Docker's and CRI's formats. */
export type LineFormat = 'auto' | 'plain' | 'docker' | 'cri' | 'json';

/** Entries of the journal in which each field has one of its values. */
export interface JournalGroup {
  /** A value that ends in `*` matches all values that begin with the rest. */
  terms: [field: string, values: string[]][];
  /** Leaves out entries that systemd assigns to a login session or to a user's own services. */
  system?: boolean;
}

/** Entries that match any of the groups. */
export interface JournalMatch {
  /** The text that a person wrote. */
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
  /** The journal entries that it reads instead of files. */
  journal?: JournalMatch;
  maxretry: number;
  /** Seconds. */
  findtime: number;
  /** Seconds of a source's first ban; -1 = permanent. */
  bantime: number;
  /** null = every ban lasts `bantime`. */
  escalation: Escalation | null;
  /** IPv6 prefix length that is tracked and banned as one source, 32–128. */
  ipv6Prefix: number;
  /** The same for IPv4, 24–32; absent: 32. */
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
   * What happens to the packets of a banned source: they are dropped, or answered (TCP reset, else
   * ICMP administratively prohibited).
   */
  action: BanAction;
  /** How the log's lines are wrapped; absent = `auto`. */
  format?: LineFormat;
  /** The field that holds the message, if the format is `json`. */
  message?: string;
  /** The time zone of times that name none; absent = local time. */
  timezone?: ZoneChange[];
}

export type BanAction = 'drop' | 'reject';

/** What happens to the addresses of a list. */
export type ListUse = 'ban' | 'ignore';

/** Prefix lengths, shortest first, by family. */
export type Lengths = Readonly<Record<4 | 6, readonly number[]>>;

/** A file of addresses and prefixes, as it was when the launch stage read it. */
export interface CoreList {
  file: string;
  use: ListUse;
  /** The jail that bans them; '' if they are ignored. */
  jail: string;
  /** Prefix lengths in the kernel, for all lists of the jail. */
  lengths: Lengths;
  /** About how many elements that makes. */
  elements: Readonly<Record<4 | 6, number>>;
}

/** The kernel's set of one prefix length of list entries; jail '' = ignored. */
export interface ListSet {
  jail: string;
  family: 4 | 6;
  prefix: number;
}

/**
 * List entries in the kernel. Keys are in network order, 4 or 16 bytes each, one after the other.
 */
export interface Listed {
  /** Called when the sets of a jail were recreated and are empty. */
  emptied: (jail: string) => void;
  /**
   * Calls `visit` for each key of a set: the key begins at `at` of `bytes`. Some keys may be missed
   * or repeated.
   */
  each(set: ListSet, visit: (bytes: Uint8Array, at: number) => void): Promise<void>;
  /** One transaction; repeating it does no harm. */
  apply(changes: readonly { set: ListSet; adds: Uint8Array; removes: Uint8Array }[]): Promise<void>;
}

export type EvictionPolicy = (typeof evictionPolicies)[number];
export type BackendName = 'auto' | 'nftables' | 'iptables' | 'ipset' | 'xdp' | 'log-only';

/** An operator's filter as the core runs it. */
export interface FilterProgram {
  name: string;
  /** By pattern number; those of `ignore` come after them. */
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
  /** The path it is bound to for now, beside its final one. */
  at: string;
}

/** A program for seccomp(2). */
export interface CallFilter {
  /** An array of struct sock_filter, base64. */
  program: string;
  /** Offsets of the numbers that say where V8 has its code, six for each range. */
  holes: number[];
}

/** What only the launch stage can create, for the core, which has fewer rights. */
export interface Handed {
  socket?: BoundSocket;
  /** Socket for records: journald's, connected, or one for syslog. */
  journal?: number;
  syslog?: number;
  /** For when everything listens, and for when the metrics page does not listen yet. */
  filters?: { listening: CallFilter; notYet: CallFilter };
  /** The capabilities that are left, as /proc/self/status shows them. */
  capabilities: string;
  /** Number of files that the heap has room for, if more than usual. */
  filesMax?: number;
  /** Which confinements are in force, and which are not and why; for people. */
  confined: string[];
  lacking: string[];
}

/** The plain record the launch stage hands to the core (JSON). */
export interface CoreConfig {
  /** Absent if the core only checks the configuration. */
  handed?: Handed;
  /** The path of the configuration file, for messages. */
  path: string;
  memory: { ceilingBytes: number; evictionPolicy: EvictionPolicy };
  /** `interfaces`: those the xdp backend guards. */
  firewall: {
    backend: BackendName;
    table: string;
    allowLogOnly: boolean;
    interfaces: readonly string[];
    /** Whether the kernel keeps dropping after the daemon has stopped. */
    keepBans: boolean;
    /** Bans that the kernel may hold; 0 = half of the table's slots. */
    bansMax: number;
  };
  control: { enabled: boolean; path: string; groupId: number };
  metrics: { enabled: boolean; bind: string; port: number };
  /**
   * The file in which bans, windows and read positions survive a restart; `intervalSeconds` between
   * two saves where no ban comes.
   */
  state: { enabled: boolean; path: string; intervalSeconds: number };
  /** `syslog`: the path where syslog listens, which gets the lines instead of standard error. */
  log: { level: 'error' | 'warn' | 'info' | 'debug'; format: 'text' | 'json'; syslog?: string };
  /** How long records are kept, how much they may take, and whether they also go to journald. */
  audit: { keepSeconds: number; bytes: number; journal: boolean };
  /** Directories of journals; empty = the system's. */
  journal: { directories: string[] };
  /** `read`: directories in which log paths end, beside those of the jails. */
  confinement: { seccomp: 'enforce' | 'log' | 'off'; landlock: boolean; read: readonly string[] };
  /** The operator's own filters. */
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
  /** Remembered bans of the source, this one included; 255 = that or more. */
  bans: number;
  source: number;
  /** Byte offset of the triggering line in its source. */
  offset: number;
  /** Number of the pattern that matched, in the jail's filter. */
  pattern: number;
}

/** A ban that the kernel holds, or should hold. */
export interface Ban {
  jail: string;
  address: Address;
  /** Remaining milliseconds; 0 = permanent, below 0 = already over (then it is not banned). */
  timeoutMs: number;
}

/** What a backend is asked to install: sets and hooks of one jail. */
export interface JailScaffold
  extends Pick<JailConfig, 'name' | 'ipv4Prefix' | 'ipv6Prefix' | 'ports' | 'protocols' | 'hooks'> {
  /** Absent: drop. */
  action?: BanAction;
  /** Networks whose packets pass even if a ban covers them. */
  allow?: readonly Address[];
  /** Prefix lengths of its lists; absent if it has none. */
  lists?: Lengths;
  /** Prefix lengths of the lists whose packets pass even if a ban covers them. */
  allowLists?: Lengths;
}

export type Change = { verb: 'ban'; ban: Ban } | { verb: 'unban'; jail: string; address: Address };

/** Packets by jail. */
export type Drops = Map<string, number>;

/**
 * The five verbs of a backend, and what helps to use them. Every method rejects with a typed error
 * (KernelError if the kernel refuses); no answer of the kernel goes unchecked.
 */
export interface Backend {
  readonly name: Exclude<BackendName, 'auto'>;
  /** False: a dry run. Nothing is banned, and none of its bans may be enforced later. */
  readonly holds: boolean;
  /** The longest ban that it can hold, ms, if there is a limit; a longer one has to be renewed. */
  readonly timeoutMsMax?: number;
  /** The most bans that it can hold, if that is few. */
  readonly bansMax?: number;
  /** False: bans of an earlier run are listed without their end. */
  readonly keepsEnds?: boolean;
  /** Adopts or replaces what is there, in one transaction; keeps the bans of jails that remain. */
  install(jails: JailScaffold[]): Promise<void>;
  /**
   * Resolves when the kernel holds all changes. After an error it may hold a part of them, if the
   * batch was larger than one transaction (or the backend has no transactions). Applying the same
   * changes again does no harm.
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
   * Whether other programs may have changed our sets or rules since the last call. Cheap; absent if
   * there is no cheap way.
   */
  disturbed?(): Promise<boolean>;
  /**
   * Resolves when a transaction of ours disturbs no other program, within a bounded time; undefined
   * = now.
   */
  pause?(): Promise<void> | undefined;
  /**
   * Packets of banned sources that the kernel dropped or rejected, as its counters say now. They
   * restart at zero when rules are recreated. Costs a read of our rules. Absent if nothing is
   * dropped.
   */
  drops?(): Promise<Drops>;
  /** Lists of addresses; absent where it cannot hold them. */
  readonly listed?: Listed;
  /** How it differs from what the jails ask for, for an operator; known once it is installed. */
  readonly notes?: readonly string[];
  /** Removes everything of ours from the kernel. */
  remove(): Promise<void>;
  close(): void;
}
