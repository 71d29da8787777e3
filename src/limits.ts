/**
 * The bounds of the core, each with its unit and reason. The relations between them are asserted
 * below them. Nothing here is configurable; what an operator sets has its bounds here and in
 * config/limits.ts. A number that belongs to a file format or a kernel interface stands beside the
 * code that uses it.
 */

/** Stops the program at start where two bounds contradict each other: a bug of ours. */
export function limitHolds(holds: boolean, relation: string): void {
  if (!holds) throw new Error(`limits.ts: ${relation} does not hold`);
}

// --- Control socket (src/control, src/client) ----------------------------------------------------

/**
 * Longest body of one frame on the control socket, bytes: a page of a list with room to spare.
 * Longer: the connection ends.
 */
export const frameBytesMax = 64 * 1024;
/**
 * Control connections at once; each may hold one frame in, one frame out and one chunk in between.
 * A connection beyond that is closed at once.
 */
export const controlConnectionsMax = 16;
/** Of those, the share of all peers other than root, so that root always gets in. */
export const controlConnectionsGroupMax = 12;
/**
 * Of those, the share of one user id other than root, so that members of the group do not shut each
 * other out.
 */
export const controlConnectionsUserMax = 6;
/** Connections the kernel queues before we accept them (listen(2)). */
export const controlBacklog = 16;
/**
 * A whole request must arrive within this time after the connection or the last answer, ms. Single
 * bytes do not extend it.
 */
export const controlIdleMs = 10_000;
/**
 * The daemon answers a request within this time or says that it could not, ms: longer than a slow
 * kernel transaction.
 */
export const controlAnswerMs = 20_000;
/** A peer that has not read an answer within this time is disconnected, ms. */
export const controlWriteMs = 10_000;
/** How often we check whether a peer has handed over its descriptor, ms. */
export const controlHandsMs = 5;
/** A rejected peer is disconnected after this time; it needs a moment to read why, ms. */
export const controlLingerMs = 1_000;
/**
 * Requests one user id may make at once. A script that bans from a list stays well below this,
 * thanks to the refill below.
 */
export const controlRequestsBurst = 200;
/** A user id gains one more request each time this has passed, ms (200 a second). */
export const controlRequestRefillMs = 5;
/** User ids whose request budgets are remembered; the least recently used one is forgotten. */
export const controlUsersMax = 64;
/** Rows of one part of a list. */
export const listPartRowsMax = 256;
/**
 * Sources of one jail that a status names; the others are only counted. `statusTextMax` × 6 bytes
 * each at worst: 25 KiB a jail.
 */
export const statusSourcesMax = 16;
/** Problems that a status names; the others are only counted. 25 KiB at worst. */
export const statusProblemsMax = 16;
/** Characters of one source or problem in a status; JSON writes a character as 6 bytes at worst. */
export const statusTextMax = 256;
/**
 * Longest text of an address with its prefix length: 45 for an IPv6 form with a dotted tail, 4 for
 * "/128".
 */
export const addressTextMax = 49;
/**
 * Longest jail name, characters (ASCII): leaves 7 of ipset's 31 (IPSET_MAXNAMELEN without its zero)
 * for our prefix and family.
 */
export const jailNameMax = 24;
/**
 * Longest ban that is not permanent, seconds: 10 years, far inside what a kernel set's timeout
 * holds.
 */
export const banSecondsMax = 10 * 365 * 86_400;
/** Longest path of a unix socket, bytes (sun_path of unix(7), without its final zero). */
export const socketPathBytesMax = 107;

/** Addresses that one request bans or unbans. */
export const addressesPerRequestMax = 256;
/**
 * Addresses of it that are banned and recorded at once: a ban that the logs ask for waits for no
 * more than these, about a millisecond.
 */
export const addressesAtOnce = 64;
/** Addresses that the log line of an operator's command names; the records of bans name all. */
export const commandAddressesMax = 10;
/** Longest reason an operator gives for a ban, characters. */
export const reasonCharactersMax = 200;
/** Jails in an answer to `why`, and logs of each: with these it fits one frame. */
export const whyViewsMax = 64;
export const whySourcesMax = 4;
/** Addresses in one part of the answer to an unban, each with all of its jails. */
export const unbansPerPart = 8;

// --- Metrics page and log (src/observe) ----------------------------------------------------------

/** Scrapers connected at once (D-04a). More are closed at once. */
export const metricsConnectionsMax = 16;
/**
 * Connections the kernel queues before we accept or close them (listen(2)): a full queue would make
 * a good scraper wait.
 */
export const metricsBacklog = 128;
/** A request must arrive, and its answer be read, within this time, ms (D-04a). */
export const metricsTimeoutMs = 5_000;
/**
 * An idle keep-alive connection ends after this time, ms. A scraper does not need it until its next
 * scrape.
 */
export const metricsKeepAliveMs = 5_000;
/** Longest request line and headers, bytes (D-04a). Longer: 431. */
export const metricsHeaderBytesMax = 8 * 1024;
/** If the port is taken, we try again after this time, ms. */
export const metricsRetryMs = 10_000;
/** Requests on one keep-alive connection before it is closed. */
export const metricsRequestsPerConnectionMax = 100;
/**
 * One page serves every scrape within this time, ms: a thousand scrapes a second cost two readings
 * of the table.
 */
export const metricsPageMs = 500;
/** Label sets of one series on a page; a series with more is cut. */
export const metricsRowsMax = 1_000;
/**
 * Longest log line without time and level, characters. journald keeps whole lines up to 48 KiB, but
 * people do not read them.
 */
export const logLineMax = 1_024;
/** Longest single field in a log line, characters. */
export const logFieldMax = 256;
/** Distinct log texts whose budgets are remembered. The source has fewer texts than this. */
export const logKeysMax = 256;
/** Lines of one text that may be written at once. */
export const logBurst = 50;
/** A text gains one more line each time this has passed, ms (10 a second). */
export const logRefillMs = 100;

limitHolds(controlConnectionsGroupMax < controlConnectionsMax, 'root has control connections of its own');
limitHolds(controlConnectionsUserMax < controlConnectionsGroupMax, 'one user cannot take all of the group connections');
// One jail with the problems, and 4 KiB for the rest of a status.
limitHolds(
  (statusSourcesMax + statusProblemsMax) * (statusTextMax + 3) * 6 + 4096 < frameBytesMax,
  'a status page with one jail fits a frame',
);
// A row: {"jail":"…","address":"…","remainingSeconds":N}, with 64 bytes for names, punctuation and
// the number.
limitHolds(listPartRowsMax * (jailNameMax + addressTextMax + 64) < frameBytesMax, 'a part of a list fits a frame');

// --- Configuration (src/config, launch stage) ----------------------------------------------------

/** What happens when the table is full, in the order of the engine's numbers. */
export const evictionPolicies = ['evict_oldest', 'ban_all', 'drop_unbanned', 'deny_new', 'log_and_drop'] as const;
/** Characters of untrusted text quoted in one message. */
export const printedCharactersMax = 200;
/**
 * Jails in one configuration: each needs two kernel sets, and the engine stores a jail's number in
 * one byte.
 */
export const jailsMax = 255;
/**
 * There is room for at least this many jails, or twice the configured number, so that a reload may
 * add some. A jail takes 256 bytes, and room for the networks that it ignores.
 */
export const jailsMin = 16;
/** Longest path of a log or socket, bytes (PATH_MAX of limits.h without its zero). */
export const pathBytesMax = 4095;
/**
 * Up to this maxretry the sliding window is exact: a table entry has room for the time of each of
 * 16 failures.
 */
export const maxretryExactMax = 16;
/**
 * Largest maxretry: beyond the exact ones, failures are counted in sixteenths of findtime, in as
 * many bytes; a sub-count has ten bits (engine/counts.ts).
 */
export const maxretryMax = 1_000;
/**
 * Distinct lengths for the second and later bans of one source; the last length repeats
 * (engine/layout.ts BANTIMES_MAX - 1).
 */
export const repeatBantimesMax = 31;
/**
 * Longest configuration record between launch stage and core, bytes: the file's limit, with
 * defaults spelled out per jail.
 */
export const coreConfigBytesMax = 16 * 1024 * 1024;

// --- Start of the core (src/commands/start.ts) ---------------------------------------------------

// --- Followed log files (src/sources) ------------------------------------------------------------

/**
 * Files followed at once, by all jails: each needs a descriptor, and up to `retiredTailsMax` more
 * while it rotates.
 */
export const followedFilesMax = 10_000;
/** This many fit the heap of every core; for more, the launch stage makes the heap larger. */
export const followedFilesUsual = 4_096;
/** Heap that a followed file takes, bytes: 800, and what a new search for it takes meanwhile. */
export const followedFileBytes = 1_536;
/** Descriptors for everything else: state, control socket and metrics page, kernel, Node itself. */
export const otherDescriptorsMax = 128;
/** A log's history has one count for each hour of the week. */
export const weekHours = 7 * 24;
/** A filter that has read this many lines without a match gets a hint in `status`. */
export const unmatchedLinesMin = 10_000;
/** Logs whose usual hours are remembered, some 800 bytes each. */
export const historiesMax = 512;
/**
 * At most this many lines of one hour count in a log's history. With more, one storm would stand
 * for a whole week.
 */
export const quietLinesMax = 22;
/** A log is quiet when its history lets us expect more lines than this since the last one. */
export const quietLines = 20;
/** A log must be silent for at least this long to be called quiet, seconds. */
export const quietSecondsMin = 6 * 3_600;
/** How often we look for quiet logs, ms. */
export const quietLookMs = 60_000;
/** Symbolic links in one path: as many as the kernel follows. */
export const symbolicLinksMax = 40;
/** Names one directory may contribute to a glob; more are not followed. */
export const directoryEntriesMax = 10_000;
/**
 * Files are checked this often even without an event, ms: inotify's queue can overflow, and network
 * file systems give no events.
 */
export const pollMs = 1_000;
/** Files that inotify watches take turns in this check, so many at a time: half a millisecond. */
export const pollFilesMax = 128;
/** Globs are resolved again at least this often, ms, for the same reason. */
export const rescanMs = 5_000;
/**
 * After resolving globs, we wait this many times as long as it took. `asked`: an event asked for
 * it; anybody may create names. `unasked`: no event did; a directory may hold thousands.
 */
export const rescanRests = { asked: 9, unasked: 300 } as const;
/** A file that cannot be opened or read is tried again after this time, ms; the pause doubles. */
export const fileRetryMs = 1_000;
/** The longest of these pauses, ms. */
export const fileRetryMsMax = 60_000;
/**
 * A rotated file is watched this long for writers that still have it open, ms: nginx writes to it
 * until it is told to reopen.
 */
export const lingerMs = 60_000;
/** Rotated files of one path watched at once; for one more, the oldest is dropped. */
export const retiredTailsMax = 8;
/**
 * At most this much is read of a file after it was rotated or removed, bytes: enough for a backlog
 * of days, and a limit for a file that somebody keeps writing to.
 */
export const retiredBytesMax = 4 * 1024 ** 3;
/** Bytes read at once from a file that is about to be dropped: some 30 ms. */
export const giveUpBytesMax = 16 * 1024 * 1024;
/**
 * At a stop, reading the remaining lines may take this long, ms. For the rest the position is
 * saved.
 */
export const drainMs = 2_000;
/**
 * While more decisions than this wait for the kernel, logs that brought many in their last reading
 * are not read. It is two batches, which reach the kernel within milliseconds.
 */
export const decisionsWaitingMax = 512;
/**
 * A reading with no more decisions than this does not count as many: some hundred such logs fit the
 * ring beside the busiest one.
 */
export const decidedFewMax = 16;
/**
 * While more decisions than this wait, logs that brought any in their last reading are not read.
 */
export const decisionsWaitingOfAllMax = 3_584;
/** Bytes read before the event loop gets its turn: about 2 ms of parsing. */
export const turnBytesMax = 1024 * 1024;
/** After this many polls we no longer look for a renamed file. */
export const renameLooksMax = 4;
/**
 * Renamed files that we look for at once, a millisecond's work; for one more, the oldest is
 * dropped.
 */
export const movesMax = 256;
/**
 * Closed files that are remembered after they were read, 200 bytes each; for one more, the oldest
 * is forgotten.
 */
export const closedFilesMax = 1_024;
/** Bytes of inotify events read at once: some hundred events. */
export const inotifyReadBytes = 16 * 1024;
/**
 * This many wake-ups within `gatherWithinMs` count as a stream of lines (1,500 a second). A stream
 * is read with delays, in larger pieces.
 */
export const gatherWakes = 16;
/** The time in which `gatherWakes` are counted, ms. */
export const gatherWithinMs = 11;
/** Delayed wake-ups before the rate is measured again. */
export const gatherTimes = 64;
/** First delay of a wake-up in a stream, ms; it doubles while the stream continues. */
export const gatherMs = 4;
/**
 * Longest such delay, ms: the most that a line waits while some log is written all the time. 125
 * wake-ups a second cost half a percent of a core.
 */
export const gatherMsMax = 8;
/**
 * Bytes before a read position that are hashed, to tell a truncated file from one that has grown:
 * mostly a log line with its time.
 */
export const fingerprintBytesMax = 256;
/**
 * In a replaced or truncated file, this much is searched for the text that was read before, bytes:
 * 2 ms.
 */
export const rewrittenBytesMax = 4 * 1024 * 1024;
/**
 * A file with more unread bytes than this is reported as behind: about a second of parsing at full
 * speed.
 */
export const behindBytes = 256 * 1024 * 1024;

limitHolds(fileRetryMs >= pollMs, 'a retry waits for a poll');
limitHolds(lingerMs > 2 * pollMs, 'a rotated file is polled before it is given up');

// --- Backends (src/backends) ---------------------------------------------------------------------

/**
 * Changes of one kernel transaction: some 40 ms of the kernel's time, 320 KiB of messages (three
 * times that before Linux 6.12).
 */
export const changesPerTransactionMax = 8192;
/**
 * How long a send is waited for awake, without giving the event loop its turn, µs. A single ban
 * takes a fifth of this, up to half when an idle machine has to wake the sending thread; sleeping
 * would cost as much again. A send that other transactions delay is waited for asleep.
 */
export const sendAwakeMicroseconds = 100;
/** Longest name in the kernel: the 31 characters of an ipset name. nf_tables would allow 255. */
export const kernelNameMax = 31;
limitHolds(jailNameMax + 7 <= kernelNameMax, 'jailNameMax + our prefix and family <= kernelNameMax');
/**
 * Longest name of an iptables chain that the iptables programs accept (XT_EXTENSION_MAXNAMELEN -
 * 1).
 */
export const chainNameMax = 28;
limitHolds(jailNameMax + 4 <= chainNameMax, 'jailNameMax + our prefix <= chainNameMax');
/** How long we wait for the lock of the iptables programs, ms. They hold it during one replace. */
export const xtablesLockMs = 10_000;
/**
 * Longest timeout an ipset holds, seconds (IPSET_MAX_TIMEOUT, 24.8 days); reconciliation renews a
 * longer ban in time.
 */
export const ipsetTimeoutSecondsMax = 2_147_483;
/**
 * Bans the iptables backend holds per family. Each change there rewrites every rule, 1 ms of the
 * kernel's time at this number.
 */
export const iptablesBansMax = 2000;
/**
 * Distinct lengths of IPv6 prefixes over all jails. Each is looked up for every IPv6 packet, some
 * 30 ns, as are single addresses and 6to4 prefixes.
 */
export const xdpPrefixesMax = 8;
/**
 * Jails that differ in ports or allowed networks. Each takes 8 bytes of every ban in the kernel,
 * where a 32-bit number holds a set of them.
 */
export const xdpScopesMax = 32;
/**
 * Bytes of IPv6 extension headers that the program skips to find the ports, 27 instructions for
 * each eight. No service that a jail guards is reached with more.
 */
export const xdpExtensionBytesMax = 256;
/** Bans read from the kernel between two turns of the event loop: a millisecond's work. */
export const xdpSliceElements = 1024;
/** Bans that a dry run remembers, so that they can be listed: some 1 MB of objects. */
export const logOnlyBansMax = 4096;
/**
 * If the kernel would end a ban more than this too early, reconciliation repairs it, ms. Mostly a
 * matter of clock rounding.
 */
export const timeoutToleranceMs = 5_000;
/**
 * The gaps that a steady stream of transactions leaves for other programs, the longest first: how
 * long a gap is, and after how much work it comes, ms. The short one suffices for quick changes
 * (another rule, a container) and delays no ban beyond 50 ms; the long one for an `nft -f` of some
 * 100,000 elements. Together they take a seventh of the time.
 */
export const quietGaps = [
  { milliseconds: 1_000, everyMs: 30_000 },
  { milliseconds: 40, everyMs: 400 },
] as const;
/** At most this much of the list of netlink sockets is read, bytes: some 300 sockets. */
export const netlinkListBytesMax = 32 * 1024;

limitHolds(
  quietGaps.reduce((sum, { milliseconds, everyMs }) => sum + milliseconds / everyMs, 0) < 1 / 7,
  'gaps take less than a seventh of the time',
);

// --- Lists of addresses (src/lists) --------------------------------------------------------------

/**
 * Entries of all lists of one jail, and of all lists that are ignored: the kernel takes 70 bytes
 * for each.
 */
export const listEntriesMax = { ban: 1_000_000, ignore: 100_000 } as const;
/** The shortest prefixes in a list: a wider one is taken for a mistake. */
export const listPrefixMin = { 4: 8, 6: 16 } as const;
/**
 * Distinct prefix lengths per family: each is looked up for every packet to the jail's ports, some
 * 30 ns.
 */
export const listLengthsMax = 8;
/** Files of lists in one configuration: each is checked every `listLookMs`. */
export const listsMax = 64;
/** Longest line of a list, bytes: an address and a long comment. */
export const listLineBytesMax = 4096;
/** Bytes of a list read between two turns of the event loop: some 500 lines, half a millisecond. */
export const listPieceBytes = 8 * 1024;
/** Rows of lists in one part of an answer: with the names of their files they fit a frame. */
export const listRowsMax = 128;
/** Longest file name in such a row, characters. */
export const listNameMax = 48;
/**
 * Addresses of one request that are looked for in lists: a second each, where they are
 * long.
 */
export const listAskedMax = 4;
/** Mistakes of one list that are reported. */
export const listMistakesMax = 20;
/**
 * Slots in the kernel's set for each entry of a list: a fuller hash table takes longer to search.
 */
export const listRoom = 1.3;
/** Lists may grow to twice their size and this many entries before a restart is needed. */
export const listEntriesSpare = 10_000;
/**
 * Files of lists are checked this often, ms. A changed file is read once it stays unchanged for one
 * check.
 */
export const listLookMs = 2_000;
/** Entries in one transaction: a ban that comes meanwhile waits for it, about a millisecond. */
export const listBatchMax = 512;
/**
 * Buffer for keys that lists no longer name, until the kernel has removed them, bytes: 262,144 keys
 * of IPv4. When it is full, the kernel is compared again. It lies outside the heap, which it would
 * fill.
 */
export const listStaleBytes = 1024 * 1024;

limitHolds(listLineBytesMax < listPieceBytes, 'a line of a list fits a piece');
limitHolds(listEntriesMax.ignore <= listEntriesMax.ban, 'lists of either use fit the same room');

// --- Journal (src/sources/journal) ---------------------------------------------------------------

/**
 * Headers of journal files are checked this often, ms: a line waits half of it on average, and a
 * check costs a few microseconds.
 */
export const journalLookMs = 8;
/**
 * The same where nothing was written for `journalIdleMs`, ms: a wake-up costs more than the check.
 */
export const journalIdleLookMs = 40;
export const journalIdleMs = 15_000;
/** Directories are checked for changes this often, ms, and at once when a file is closed. */
export const journalChangesMs = 250;
/** Directories are read at least this often, ms: their modification times may be wrong. */
export const journalRescanMs = 2_000;
/** Entries read between two turns of the event loop: some two milliseconds. */
export const journalTurnEntries = 128;
/** Messages decompressed from one file in that turn. */
export const journalTurnUnpacks = 8;
/**
 * Journal files that are open at once. A host writes to a few; the others are only read to their
 * end.
 */
export const journalFilesMax = 64;
/** Names read of one directory. */
export const journalNamesMax = 10_000;
/** A file without a valid header has this long to get one, ms. */
export const journalYoungMs = 5_000;
/** Damaged entries of a file that are skipped; a file with more is set aside. */
export const journalDamagedMax = 64;
/** Arrays in which the entries of a file are listed: each is twice as long as the one before. */
export const journalArraysMax = 4_096;
/** Fields of one entry: as many as journald accepts. */
export const journalFieldsMax = 1_024;
/** Longest name of a field, bytes: as long as journald accepts. */
export const journalFieldNameMax = 64;
/** Bytes of a file read at once: an entry with its fields, and the following ones. */
export const journalWindowBytes = 64 * 1024;
/** Data objects of a file whose meaning is remembered, 16 bytes each. */
export const journalMeaningsMax = 1_024;
/** Messages read from one entry, and compressed fields examined to find one. */
export const journalMessagesMax = 4;
export const journalCandidatesMax = 8;
/** Longest identifier, bytes: more than any filter names. */
export const journalIdentifierMax = 64;
/** Longest compressed message that is read, bytes. */
export const journalPackedBytesMax = 192 * 1024;
/** A message is decompressed in pieces of this size, bytes: most fit one. */
export const journalChunkBytes = 4 * 1024;
/** Window of a decompression, as a power of two: 1 MiB. */
export const journalWindowLogMax = 20;
/** Unread entries older than this are reported, seconds. */
export const journalBehindSeconds = 10;
/** Read positions of journals in one state file. */
export const journalCursorsMax = 1_024;

limitHolds(64 + journalFieldsMax * 16 < (3 * journalWindowBytes) / 4, 'an entry fits the window');

// --- Engine (src/engine) -------------------------------------------------------------------------

/**
 * Fields that hold the message of JSON lines, over all jails, and the longest name of one, bytes: a
 * format is two bits of 32 (unwrap.ts).
 */
export const messageFieldsMax = 8;
export const messageFieldBytesMax = 63;
/** Time zones over all jails, besides local time. */
export const timezonesMax = 8;
/**
 * If this many lines in a row have times with the same error, the log is written in another time
 * zone.
 */
export const offLinesMin = 5;
/** Logs are checked for that this often, ms: soon enough for a person who waits. */
export const logClockMs = 5_000;
/**
 * Longer lines are cut here and counted, bytes; the rest is not parsed. What services let a client
 * write by default stays below it: nginx 32 KiB of headers and Apache 24, each byte written as up
 * to four.
 */
export const lineBytesMax = 136 * 1024;
/**
 * Bytes of one read from a file: large enough that the call costs nothing per line, small enough
 * for the cache.
 */
export const inputBytes = 192 * 1024;
/**
 * Decisions waiting for the enforcer; a power of two, 64 bytes each. When the ring is full, the
 * table keeps the decision and a sweep finds it.
 */
export const decisionsMax = 4096;
/**
 * sshd connections whose lines are followed together. 64 bytes each; for one more, the oldest of
 * the set is dropped and counted.
 */
export const connectionsMax = 2048;
/** Token streams of operator patterns, bytes: as much as four filters of the size of sshd. */
export const programBytesMax = 96 * 1024;
/** Built-in and operator filters. */
export const filtersMax = 256;
/**
 * Ignored networks over all jails, with those that a jail gets by itself (loopback, the host's
 * addresses). 20 bytes each.
 */
export const ignoredNetworksMax = 16 * 1024;
/**
 * Room in each jail's list for networks that an operator ignores by hand, and for addresses that
 * the host gets later.
 */
export const ignoredNetworksSpare = 64;
/** Bucket bounds of the histogram of the time from decision to kernel, seconds. */
export const banLatencyBuckets = [0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 30];
/** Networks that operators may ignore by hand: half of that room. */
export const ignoredByHandMax = 32;
/** How long such a network is ignored by default, seconds. */
export const ignoredByHandSeconds = 3_600;
/**
 * Networks in which every address is a host of its own: four that every host knows, and the links
 * of this host. Each failure of an IPv6 source is compared with all of them.
 */
export const sharedNetworksMax = 64;
/**
 * A jail may ban up to this many single addresses of one link before it is reported, and how often
 * they are counted, ms.
 */
export const linkBansShown = 32;
export const linkLookMs = 60_000;
/** Distinct sets of jails that read the same file. */
export const routesMax = 1024;
/** Jails over all routes. */
export const routeJailsMax = 4096;

limitHolds(lineBytesMax < inputBytes, 'a line that is not cut fits the input buffer');
limitHolds(decisionsWaitingMax < decisionsWaitingOfAllMax, 'a quiet log is read beside a loud one');
limitHolds(decisionsWaitingOfAllMax + 16 * decidedFewMax < decisionsMax, 'and finds room in the ring');
limitHolds((decisionsMax & (decisionsMax - 1)) === 0, 'the decision ring is a power of two');
limitHolds(decisionsMax > jailsMax, 'one line of every jail fits the decision ring');

/** Smallest table worth running with, bytes: some 40,000 entries. */
export const tableBytesMin = 1024 * 1024;

// --- Clock (src/clock.ts) and own addresses (src/enforcer/ignored.ts) ----------------------------

/**
 * If the wall clock was set by less than this, nothing is done, seconds: it is within the tolerance
 * for the end of a ban (`timeoutToleranceMs`).
 */
export const clockStepSecondsMin = 2;
limitHolds(clockStepSecondsMin * 1000 < timeoutToleranceMs, 'a step that is left alone repairs nothing');
/** The wall clock is checked at least this often, ms. */
export const clockLookMs = 1_000;
/** The addresses of this host are checked this often, ms: a tenth of a millisecond each time. */
export const ownAddressesLookMs = 1_000;
/** They are checked before bans are delivered as well, but not more often than this, ms. */
export const ownAddressesApartMs = 100;

// --- Enforcer (src/enforcer) ---------------------------------------------------------------------

/**
 * Bans in one transaction: large enough that a batch costs microseconds per ban, small enough to
 * build in a millisecond.
 */
export const banBatchMax = 1024;
/**
 * Decisions in one transaction. A later decision waits until this one is confirmed and recorded,
 * some 70 µs of CPU time a ban.
 */
export const decisionBatchMax = 256;
/** Table entries in one slice of a sweep: it cannot hold more bans than one transaction. */
export const sweepEntries = 1024;
/** Entries without a ban that a slice passes over before it begins: less than 0.1 ms. */
export const passedEntriesMax = 64 * sweepEntries;
/**
 * Entries that a count of running bans visits between two turns of the event loop: a tenth of a
 * millisecond.
 */
export const countEntries = 64 * 1024;
/**
 * The largest `firewall.bans_max`, and the size of a kernel set or map where none is set: more than
 * the table ever holds.
 */
export const bansMaxLargest = 1 << 20;
/** Kernel memory that a ban takes, about, by family, bytes (measured on nftables). */
export const kernelBanBytes = { 4: 70, 6: 105 } as const;
/**
 * When the kernel holds as many bans as it may, this share of them is lifted at once (one in 64),
 * so that the table is not searched for each ban.
 */
export const roomShare = 64;
/** Bans that one search of the table finds: they fit the engine's input area. */
export const soonestMax = 4096;
limitHolds(soonestMax * 16 <= inputBytes, 'the bans that a search finds fit the input area');
/** First pause after a failed transaction, ms; each further one is twice as long. */
export const banRetryMs = 100;
/** Longest such pause, ms. */
export const banRetryMsMax = 30_000;

/**
 * A batch is split to find the bans that fit, until this many transactions were refused; each costs
 * the kernel some 10 ms.
 */
export const refusalsPerBatchMax = 16;
/**
 * Kernel and table are compared this often, ms, and sooner when other programs wrote into the
 * kernel.
 */
export const reconcileMs = 60_000;
/** How often we ask the kernel whether other programs wrote into it, ms (10 µs each). */
export const reconcileTickMs = 1_000;
/**
 * Shortest time between two comparisons, ms: other programs may write all the time, and reading
 * 100,000 bans takes a fifth of a second.
 */
export const reconcileApartMs = 5_000;
/**
 * A comparison of 300,000 bans takes seconds. The next one waits this many times as long:
 * `disturbed` when other programs write meanwhile, `quiet` when none does.
 */
export const comparisonRests = { disturbed: 2, quiet: 10 } as const;
/**
 * Reads of the kernel's sets in one comparison, as long as each finds bans that the one before
 * missed.
 */
export const looksMax = 6;
/**
 * `status` shows that bans of an earlier run are being adopted only after this time, ms. Earlier
 * nobody looks.
 */
export const adoptionShownMs = 1_000;
/**
 * The counters of dropped packets are read this often, ms: more often than they are scraped; 20 µs,
 * and 15 more for each jail.
 */
export const dropsLookMs = 5_000;
/**
 * `status` shows a repair of what others removed for this long, ms: an operator still sees it after
 * a break.
 */
export const repairShownMs = 3_600_000;

limitHolds(sweepEntries <= banBatchMax, 'a slice of a sweep fits one transaction');

// --- Core (src/daemon.ts) ------------------------------------------------------------------------

/**
 * Pages of the runtime's files that are resident at once, bytes: the working set under attack, and
 * what a second adds to it.
 */
export const filePagesBytesMax = 14 * 1024 * 1024;
/**
 * What a page fault in a file may bring back, bytes: half of what Linux before 6.18 does. Linux
 * 6.18 brings back whole large folios, up to 2 MiB.
 */
export const faultBytesMax = 32 * 1024;
/**
 * The same some seconds after the start, bytes: the pages in use then stay below their bound, so
 * that they seldom have to be released all at once, for which bans wait milliseconds.
 */
export const faultBytesLater = 16 * 1024;
/** Pieces of the file pages that a check splits so, until all are; about a millisecond. */
export const splitsPerLook = 4;
/** What V8 and libuv may take outside heap, stacks and buffers after the table was sized, bytes. */
export const runtimeGrowthBytes = 7 * 1024 * 1024;
/**
 * The resident size is checked this often, ms: right after a release 10 MiB of file pages a second
 * come back (measured), later fewer.
 */
export const governorMs = 100;
/**
 * In this many checks (10 s) each file page is released once, piece by piece. It takes 2 ms in all,
 * plus the page faults for what is in use.
 */
export const governorLooksMax = 100;
/** Pieces are multiples of this, bytes: whole pages on every machine. */
export const pieceBytes = 64 * 1024;
/**
 * File pages are released when less than this is left under the ceiling, bytes: more than comes
 * back between two checks.
 */
export const governorMarginBytes = 8 * 1024 * 1024;
/** A release that gains less than this was useless, bytes. */
export const governorGainBytesMin = 2 * 1024 * 1024;
/** Checks to skip after a useless release. */
export const governorPauses = 30;
/**
 * A full garbage collection runs at least this often, ms; it takes some 20 ms. Only then is memory
 * given back that old objects hold outside the heap (handles, requests). By itself, a heap that
 * hardly grows is not collected for more than an hour.
 */
export const collectMs = 300_000;
/**
 * The local time zone, the host's addresses and the log's suppressed lines are checked this often,
 * ms.
 */
export const housekeepingMs = 60_000;
/** Failures that wait for a service's verdict are checked this often, ms; they wait ten seconds. */
export const verdictsMs = 1000;

// --- Confinement (src/confinement, src/confined.ts) ----------------------------------------------

/** Places where V8 may have code: its own code heap, WebAssembly's, and two to spare. */
export const codeRangesMax = 4;
/**
 * Free addresses behind such a place, into which it may grow: all filters together take some MiB.
 */
export const codeGrowthBytes = 64n * 1024n * 1024n;

// --- Records (src/history) -----------------------------------------------------------------------

/** Events recorded at once with all their details: a day of an ordinary host. */
export const historyBurst = 1_000;
/**
 * One more such event each time this has passed, ms (20 a second). The others share a record that
 * only names addresses.
 */
export const historyRefillMs = 50;
/** Decisions remembered until their ban is in the kernel: as many as a full ring. */
export const historyDecisionsMax = 4_096;
/** Addresses in one record of a burst: its line in the log stays within `logLineMax`. */
export const historyAddressesMax = 20;
/**
 * Files of the audit log, the newest included: each holds a tenth of the log's size and time.
 * During a rotation there is one more for a moment.
 */
export const auditFilesMax = 10;
/** Records in one write: hashing them blocks the event loop for less than half a millisecond. */
export const auditBatchRecords = 64;
/** The newest record is sealed within this time, ms, and within this many records. */
export const auditSealMs = 10_000;
export const auditSealRecords = 1_000;
/**
 * Bytes read from the end of the log at the start: the longest record and as much of a truncated
 * one, each with a path whose every byte takes six.
 */
export const auditEndBytes = 64 * 1024;
/** Refusals that are recorded at once; further ones are counted in the next such record. */
export const refusalBurst = 200;
/** One more refusal each time this has passed, ms. */
export const refusalRefillMs = 1_000;
/** Events are collected for this long before they are written, ms. */
export const historyFlushMs = 100;
/** Events that wait for the disk, bytes; further ones are counted as lost. */
export const historyWaitBytesMax = 512 * 1024;
/** Bytes of the file that a reader reads at once: far more than one record. */
export const historyReadBytes = 32 * 1024;
/** How often we look for bans that have ended, ms. */
export const expiryLookMs = 5_000;

limitHolds(
  2 * (6 * (pathBytesMax + reasonCharactersMax) + 2_048) < auditEndBytes,
  'two records fit the end of the log',
);
limitHolds(
  2 * (addressesPerRequestMax * (addressTextMax + 3) + 6 * reasonCharactersMax + 2_048) < auditEndBytes,
  'two records of a command fit it too',
);
limitHolds(historyAddressesMax * (addressTextMax + 1) + 64 < logLineMax + 64, 'a record of a burst fits a log line');

// --- State on disk (src/state) -------------------------------------------------------------------

/** Longest section of the state file, bytes. */
export const stateSectionBytesMax = 64 * 1024;
/**
 * Bytes that are encoded between two turns of the event loop and written at once: some 10,000
 * entries, a third of a millisecond.
 */
export const statePortionBytes = 272 * 1024;
/** The engine's own note about its saved entries, bytes. */
export const stateTableNoteBytesMax = 4 * 1024;
/**
 * A ban is on disk about this much later, ms, where the table is small. In a stream of bans each
 * save waits twice as long as the one before.
 */
export const stateSoonMs = 1_000;
/** Longest such wait, ms. */
export const stateSoonMsMax = 4 * stateSoonMs;
/**
 * Where the table is large, saves are spaced so that no more than this is written per second on
 * average, bytes: a flood must not wear out the disk.
 */
export const stateBytesPerSecond = 1024 * 1024;
/**
 * The longest time for which reading of logs stops for a save, ms; then the save is given up. Only
 * tables beyond one portion need it at all.
 */
export const statePauseMsMax = 500;
/**
 * The next save may take twice as long, and so on up to this, ms: on a busy machine it is better to
 * read a log late than to have no state.
 */
export const statePauseMsLongest = 8 * statePauseMsMax;
/** A failed save is tried again after this time, ms; the pause doubles, up to the interval. */
export const stateRetryMs = 1_000;
/**
 * At a stop, bans are sent for this long at most, ms: a full table would take longer than a service
 * manager waits.
 */
export const enforcerStopMs = 5_000;
/** The service manager gets a status line this often, ms. */
export const serviceStatusMs = 10_000;
/** The last save of a stop may take this long, ms: service managers kill after 90 s. */
export const stateStopMs = 10_000;
/** Read positions in one state file: every followed file with its rotated ones. */
export const statePositionsMax = 9 * followedFilesMax;
/** Longest state file, bytes: more than the largest possible table. A longer one is not ours. */
export const stateBytesMax = 4 * 1024 ** 3;

limitHolds(pathBytesMax + 32 <= stateSectionBytesMax, 'a read position fits a section');
limitHolds(jailsMax * (jailNameMax + 1) <= stateSectionBytesMax, 'all jail names fit a section');
limitHolds(stateTableNoteBytesMax + 8 <= stateSectionBytesMax, "the engine's note fits a section");
limitHolds(4 * stateSectionBytesMax <= statePortionBytes, 'a portion holds several sections');
limitHolds(statePositionsMax >= followedFilesMax * (1 + retiredTailsMax), 'every followed file can be saved');
