/**
 * The bounds of the core: number, unit and reason of each. Relations between neighbours are
 * asserted below them. Nothing here is configurable; what an operator may set is bounded by what
 * stands here and in config/limits.ts. A number that a format or a kernel interface sets stands
 * beside the code that uses it.
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
 * More are closed at once.
 */
export const controlConnectionsMax = 16;
/** Of those, what peers other than root share, so that root always gets in. */
export const controlConnectionsGroupMax = 12;
/**
 * Of those, what one user id other than root may hold, so that two members of the group do not shut
 * each other out.
 */
export const controlConnectionsUserMax = 6;
/** Connections the kernel queues before we accept them (listen(2)). */
export const controlBacklog = 16;
/**
 * A whole request must arrive within this of the connection or of the answer before it; a dribbled
 * byte does not extend it, ms.
 */
export const controlIdleMs = 10_000;
/**
 * The daemon answers a request within this or says that it could not, ms: longer than a slow kernel
 * transaction.
 */
export const controlAnswerMs = 20_000;
/** The peer takes an answer off the socket within this or is cut off, ms. */
export const controlWriteMs = 10_000;
/** How often it is looked whether a peer has handed over its descriptor, ms. */
export const controlHandsMs = 5;
/** A peer that is turned away is let go of within this, so that it can read why, ms. */
export const controlLingerMs = 1_000;
/**
 * Requests one user id may make at once; a script that bans from a list stays well inside it with
 * the refill below.
 */
export const controlRequestsBurst = 200;
/** One more request per user id every so often, ms (200 a second). */
export const controlRequestRefillMs = 5;
/** User ids whose request budgets are remembered; the least recent is forgotten. */
export const controlUsersMax = 64;
/** Rows of one part of a list. */
export const listPartRowsMax = 256;
/**
 * Sources of one jail that a status names; the rest is counted. `statusTextMax` × 6 bytes each at
 * worst: 25 KiB a jail.
 */
export const statusSourcesMax = 16;
/** Problems that a status names; the rest is counted. 25 KiB at worst. */
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
/** Addresses that the log line of an operator's command names; the records of bans name all. */
export const commandAddressesMax = 10;
/** Longest reason an operator gives for a ban, characters. */
export const reasonCharactersMax = 200;
/** Jails and logs of each that an answer to `why` names: with them it fits a frame. */
export const whyViewsMax = 64;
export const whySourcesMax = 4;
/** Addresses of an unban that one part of its answer names, each with all of its jails. */
export const unbansPerPart = 8;

// --- Metrics page and log (src/observe) ----------------------------------------------------------

/** Scrapers connected at once (D-04a). More are closed at once. */
export const metricsConnectionsMax = 16;
/**
 * Connections the kernel queues before we accept or close them (listen(2)): a full queue would make
 * a good scraper wait.
 */
export const metricsBacklog = 128;
/** A request must arrive, and an answer be taken, within this, ms (D-04a). */
export const metricsTimeoutMs = 5_000;
/**
 * A quiet kept connection ends after this, ms: longer than nothing, shorter than a scrape interval
 * needs.
 */
export const metricsKeepAliveMs = 5_000;
/** Longest request line and headers, bytes (D-04a). Longer: 431. */
export const metricsHeaderBytesMax = 8 * 1024;
/** A taken port is tried again after this, ms. */
export const metricsRetryMs = 10_000;
/** Requests on one kept connection before it is closed. */
export const metricsRequestsPerConnectionMax = 100;
/**
 * A page serves every scrape within this, ms: a thousand scrapes a second cost two readings of the
 * table.
 */
export const metricsPageMs = 500;
/** Label sets of one series on a page; a table row that yields more is cut. */
export const metricsRowsMax = 1_000;
/**
 * Longest log line without its head, characters: journald keeps whole lines up to 48 KiB, people do
 * not.
 */
export const logLineMax = 1_024;
/** Longest single field in a log line, characters. */
export const logFieldMax = 256;
/**
 * Distinct log texts whose budgets are remembered; there are fewer texts than this in the source.
 */
export const logKeysMax = 256;
/** Lines of one text that may be written at once. */
export const logBurst = 50;
/** One more line of a text every so often, ms (10 a second). */
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

/** What is given up when the table is full, in the order of the engine's numbers. */
export const evictionPolicies = ['evict_oldest', 'ban_all', 'drop_unbanned', 'deny_new', 'log_and_drop'] as const;
/** Characters of untrusted text quoted in one message. */
export const printedCharactersMax = 200;
/**
 * Jails in one configuration: each costs two kernel sets, and the engine numbers them in a byte.
 */
export const jailsMax = 255;
/**
 * Jails that there is room for at least, so that a reload may bring some; else twice as many as are
 * configured. A jail takes 256 bytes, and room for networks that it ignores.
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
 * Second and later bans of one source whose lengths differ; the last length repeats
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
 * Files followed at once, by all jails: each holds a descriptor, and up to `retiredTailsMax` more
 * while it rotates.
 */
export const followedFilesMax = 10_000;
/** As many as the heap holds that every core has; beyond, the launch stage makes it larger. */
export const followedFilesUsual = 4_096;
/** What a followed file takes of the heap, bytes: 800, and what finding it anew takes meanwhile. */
export const followedFileBytes = 1_536;
/** Descriptors for everything else: state, control socket and metrics page, kernel, Node itself. */
export const otherDescriptorsMax = 128;
/** Counts of a log's history. */
export const weekHours = 7 * 24;
/** Lines that a filter reads without a match before `status` gives a hint. */
export const unmatchedLinesMin = 10_000;
/** Logs whose usual hours are known, some 800 bytes each. */
export const historiesMax = 512;
/** Lines of one hour that count in its history: more would let one storm stand for a week. */
export const quietLinesMax = 22;
/** Lines to be expected since the last one, beyond which a log is quiet. */
export const quietLines = 20;
/** So long a log must be silent at least to be called quiet, seconds. */
export const quietSecondsMin = 6 * 3_600;
/** Silence is looked for this often, ms. */
export const quietLookMs = 60_000;
/** Symbolic links in one path, as many as the kernel follows. */
export const symbolicLinksMax = 40;
/** Names one directory may contribute to a glob; more are not followed. */
export const directoryEntriesMax = 10_000;
/**
 * Files are looked at this often even if no event came, ms: inotify's queue overflows, network file
 * systems give no events.
 */
export const pollMs = 1_000;
/** Files that inotify watches take turns in that, so many at a time: half a millisecond. */
export const pollFilesMax = 128;
/** Globs are resolved anew this often at least, ms, for the same reason. */
export const rescanMs = 5_000;
/**
 * Resolving globs rests so many times as long as it took: where an event asked for it, since names
 * may be anybody's, and where none did, since a directory may hold thousands.
 */
export const rescanRests = { asked: 9, unasked: 300 } as const;
/** A file that cannot be opened or read is tried again after this, ms; the pause doubles. */
export const fileRetryMs = 1_000;
/** The longest of these pauses, ms. */
export const fileRetryMsMax = 60_000;
/**
 * A rotated file is watched this long for writers that still have it open, ms: nginx writes on
 * until it is told to reopen.
 */
export const lingerMs = 60_000;
/** Rotated files of one path watched at once; the oldest is given up for the next. */
export const retiredTailsMax = 8;
/**
 * What is read of a file after it was rotated or removed, bytes: a backlog of days, and an end to a
 * file that is written without end.
 */
export const retiredBytesMax = 4 * 1024 ** 3;
/** What is read at once of a file that is given up, bytes: some 30 ms. */
export const giveUpBytesMax = 16 * 1024 * 1024;
/** Reading what is there at the stop may take this long, ms; the rest has its position saved. */
export const drainMs = 2_000;
/**
 * While more decisions wait for the kernel, logs whose last reading brought many are not read: two
 * batches, which are on their way within milliseconds.
 */
export const decisionsWaitingMax = 512;
/**
 * A reading that brings no more is not many: some hundred such logs fit the ring beside the loudest
 * one.
 */
export const decidedFewMax = 16;
/** While more decisions wait, logs whose last reading brought any are not read. */
export const decisionsWaitingOfAllMax = 3_584;
/** Bytes read before the event loop gets its turn: about 2 ms of parsing. */
export const turnBytesMax = 1024 * 1024;
/** Polls after which a renamed file that is nowhere to be found is no longer looked for. */
export const renameLooksMax = 4;
/** Renamed files looked for at once, a millisecond's worth; the oldest is given up for the next. */
export const movesMax = 256;
/**
 * Files that were read and closed are known so long that so many others were closed since: 200
 * bytes each.
 */
export const closedFilesMax = 1_024;
/** Bytes of inotify events taken at once: some hundred. */
export const inotifyReadBytes = 16 * 1024;
/**
 * Wake-ups within `gatherWithinMs` that count as a stream of lines (1,500 a second). A stream is
 * read with delays, in larger pieces.
 */
export const gatherWakes = 16;
/** The time in which `gatherWakes` are counted, ms. */
export const gatherWithinMs = 11;
/** Delayed wake-ups before the rate is measured again. */
export const gatherTimes = 64;
/** First delay of a wake-up of a stream, ms; it doubles while the stream goes on. */
export const gatherMs = 4;
/**
 * Longest delay, ms: what any line may wait while some log is written all the time. 125 wake-ups a
 * second cost half a percent of a core.
 */
export const gatherMsMax = 8;
/**
 * Bytes before a read position whose hash tells a cut file from a grown one: a log line with its
 * time, mostly.
 */
export const fingerprintBytesMax = 256;
/** What of a replaced or cut file is searched for the text that was read before, bytes: 2 ms. */
export const rewrittenBytesMax = 4 * 1024 * 1024;
/** A file with more unread bytes is reported as behind: a second or so of parsing at full speed. */
export const behindBytes = 256 * 1024 * 1024;

limitHolds(fileRetryMs >= pollMs, 'a retry waits for a poll');
limitHolds(lingerMs > 2 * pollMs, 'a rotated file is polled before it is given up');

// --- Backends (src/backends) ---------------------------------------------------------------------

/**
 * Changes of one kernel transaction: some 40 ms of the kernel's time, 320 KiB of messages (3 times
 * that before Linux 6.12).
 */
export const changesPerTransactionMax = 8192;
/**
 * A send is waited for awake this long before the event loop goes on without it, µs: a single ban
 * takes a fifth of it, to wake the sending thread of an idle machine up to a half, and going to
 * sleep costs as much again. What other transactions hold up longer is waited for asleep.
 */
export const sendAwakeMicroseconds = 100;
/**
 * Longest text of an identifier in the kernel: the 31 characters of an ipset name, though nf_tables
 * allows 255.
 */
export const kernelNameMax = 31;
limitHolds(jailNameMax + 7 <= kernelNameMax, 'jailNameMax + our prefix and family <= kernelNameMax');
/** Longest name of an iptables chain that its programs take (XT_EXTENSION_MAXNAMELEN - 1). */
export const chainNameMax = 28;
limitHolds(jailNameMax + 4 <= chainNameMax, 'jailNameMax + our prefix <= chainNameMax');
/**
 * How long we wait for the lock of the iptables programs, ms; they hold it for the time of one
 * replace.
 */
export const xtablesLockMs = 10_000;
/**
 * Longest timeout an ipset holds, seconds (IPSET_MAX_TIMEOUT, 24.8 days); reconcile renews a longer
 * ban in time.
 */
export const ipsetTimeoutSecondsMax = 2_147_483;
/**
 * Bans the iptables backend holds per family: each change there rewrites every rule, 1 ms of the
 * kernel's time at this many.
 */
export const iptablesBansMax = 2000;
/**
 * Distinct lengths of IPv6 prefixes over all jails: each is looked up for every IPv6 packet, some
 * 30 ns, and so are single addresses and those of 6to4.
 */
export const xdpPrefixesMax = 8;
/**
 * Jails that differ in ports or allowed networks: each takes 8 bytes of every ban in the kernel,
 * and some are 32 bits there.
 */
export const xdpScopesMax = 32;
/**
 * Bytes of IPv6 extension headers before the ports that the program reads through, 27 instructions
 * for each eight: no service that a jail guards is spoken to behind more.
 */
export const xdpExtensionBytesMax = 256;
/** Bans read from the kernel between two turns of the event loop: a millisecond. */
export const xdpSliceElements = 1024;
/** Bans that the dry run remembers, so that they can be listed: some 1 MB of objects. */
export const logOnlyBansMax = 4096;
/**
 * A ban that the kernel would end this much too early is put right by reconcile, ms: above all
 * clock rounding.
 */
export const timeoutToleranceMs = 5_000;
/**
 * The gaps that a steady stream of transactions leaves to other programs, the longest first: how
 * long one is, and after how much work it comes, ms. The short one lets pass what takes a moment
 * (another rule, a container) and delays no ban beyond 50 ms; the long one an `nft -f` of some
 * 100,000 elements. Together they take a seventh of the time.
 */
export const quietGaps = [
  { milliseconds: 1_000, everyMs: 30_000 },
  { milliseconds: 40, everyMs: 400 },
] as const;
/** Of the list of netlink sockets no more is read, bytes: some 300 sockets. */
export const netlinkListBytesMax = 32 * 1024;

limitHolds(
  quietGaps.reduce((sum, { milliseconds, everyMs }) => sum + milliseconds / everyMs, 0) < 1 / 7,
  'gaps take less than a seventh of the time',
);

// --- Lists of addresses (src/lists) --------------------------------------------------------------

/**
 * Entries of all lists of a jail, and of all that are ignored: the kernel takes 70 bytes for each.
 */
export const listEntriesMax = { ban: 1_000_000, ignore: 100_000 } as const;
/** The shortest prefixes in a list: wider ones are a slip of who made it. */
export const listPrefixMin = { 4: 8, 6: 16 } as const;
/**
 * Prefix lengths of a family: each is looked up for every packet to the jail's ports, some 30 ns.
 */
export const listLengthsMax = 8;
/** Files of lists in one configuration: each is looked at every `listLookMs`. */
export const listsMax = 64;
/** Longest line of a list, bytes: an address and a long comment. */
export const listLineBytesMax = 4096;
/**
 * Read of a list between two turns of the event loop, bytes: some 500 lines, half a millisecond.
 */
export const listPieceBytes = 8 * 1024;
/** Rows of lists in one part of an answer: with the names of their files they fit a frame. */
export const listRowsMax = 128;
/** Characters of these names. */
export const listNameMax = 48;
/**
 * Addresses of one request that are looked for in lists: a second each, where they are
 * long.
 */
export const listAskedMax = 4;
/** Mistakes of one list that are told. */
export const listMistakesMax = 20;
/** Room in the set of a list for each entry: a fuller hash table searches longer. */
export const listRoom = 1.3;
/** Entries by which lists may grow before a restart, where they do not double. */
export const listEntriesSpare = 10_000;
/** Files of lists are looked at this often, ms; one that changed and rests since is read. */
export const listLookMs = 2_000;
/** Entries in one transaction: a ban that comes meanwhile waits for it, a millisecond. */
export const listBatchMax = 512;
/**
 * Keys that lists no longer name, as many as are kept before they are removed and the kernel is
 * compared anew, bytes: 262,144 of IPv4. Outside the heap, which they would fill.
 */
export const listStaleBytes = 1024 * 1024;

limitHolds(listLineBytesMax < listPieceBytes, 'a line of a list fits a piece');
limitHolds(listEntriesMax.ignore <= listEntriesMax.ban, 'lists of either use fit the same room');

// --- Journal (src/sources/journal) ---------------------------------------------------------------

/**
 * Headers of journal files are looked at this often, ms: a line waits half of it on average, and a
 * look costs a few microseconds.
 */
export const journalLookMs = 8;
/** So often where nothing was written for `journalIdleMs`, ms: a wake-up costs more than a look. */
export const journalIdleLookMs = 40;
export const journalIdleMs = 15_000;
/** Directories are asked for changes this often, ms, and at once when a file is closed. */
export const journalChangesMs = 250;
/** They are read in any case this often, ms: their times may lie. */
export const journalRescanMs = 2_000;
/** Entries read between two turns of the event loop: some two milliseconds. */
export const journalTurnEntries = 128;
/** Messages that are decompressed for a file in that time. */
export const journalTurnUnpacks = 8;
/** Journal files that are open at once; a host writes to a few, and the rest is read to its end. */
export const journalFilesMax = 64;
/** Names read of one directory. */
export const journalNamesMax = 10_000;
/** A file without a valid header is given this long to get one, ms. */
export const journalYoungMs = 5_000;
/** Damaged entries of a file that are passed over; one with more is set aside. */
export const journalDamagedMax = 64;
/** Arrays in which the entries of a file stand: each is twice as long as the one before. */
export const journalArraysMax = 4_096;
/** Fields of one entry: what journald takes. */
export const journalFieldsMax = 1_024;
/** Longest name of a field, bytes: what journald takes. */
export const journalFieldNameMax = 64;
/** What is read of a file at once, bytes: an entry with its fields, and those behind it. */
export const journalWindowBytes = 64 * 1024;
/** Data objects of a file whose meaning is remembered, 16 bytes each. */
export const journalMeaningsMax = 1_024;
/** Messages of one entry that are read, and compressed fields that are looked at for one. */
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
/** Unread entries older than this are told of, seconds. */
export const journalBehindSeconds = 10;
/** Read positions of journals in one state file. */
export const journalCursorsMax = 1_024;

limitHolds(64 + journalFieldsMax * 16 < (3 * journalWindowBytes) / 4, 'an entry fits the window');

// --- Engine (src/engine) -------------------------------------------------------------------------

/**
 * Fields that messages of JSON lines stand in, over all jails, and bytes of one's name: a format
 * has two bits of 32 (unwrap.ts).
 */
export const messageFieldsMax = 8;
export const messageFieldBytesMax = 63;
/** Zones of times over all jails, besides local time. */
export const timezonesMax = 8;
/** So many lines in a row whose times are off by the same make a log of another time zone. */
export const offLinesMin = 5;
/** Logs are looked at for that this often, ms: soon enough for a person who waits. */
export const logClockMs = 5_000;
/**
 * Longer lines are cut here, parsed so far, and counted, bytes. What services let a client write by
 * default stays below it: nginx 32 KiB of headers and Apache 24, each byte written as up to four.
 */
export const lineBytesMax = 136 * 1024;
/**
 * What one read takes from a file, bytes: large enough that the call costs nothing per line, small
 * enough for the cache.
 */
export const inputBytes = 192 * 1024;
/**
 * Decisions waiting for the enforcer; a power of two, 64 bytes each. When the ring is full, the
 * table keeps the decision and a sweep finds it.
 */
export const decisionsMax = 4096;
/**
 * Connections whose lines are followed together (sshd). 64 bytes each; the oldest of a set is given
 * up, counted.
 */
export const connectionsMax = 2048;
/** Token streams of operator patterns, bytes: those of four filters as large as the one of sshd. */
export const programBytesMax = 96 * 1024;
/** Built-in and operator filters. */
export const filtersMax = 256;
/**
 * Ignored networks over all jails, with those that a jail gets by itself (loopback, own addresses).
 * 20 bytes each.
 */
export const ignoredNetworksMax = 16 * 1024;
/** Room in each jail's list for what is ignored by hand, and addresses that the host gets later. */
export const ignoredNetworksSpare = 64;
/** Bounds of the histogram of bans' way into the kernel, seconds. */
export const banLatencyBuckets = [0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 30];
/** Networks that operators may ignore by hand: half of that room. */
export const ignoredByHandMax = 32;
/** How long such a network is ignored where nobody says, seconds. */
export const ignoredByHandSeconds = 3_600;
/**
 * Networks whose addresses are single hosts: four that every host knows, and the links of this one.
 * Each failure of an IPv6 source is compared with all of them.
 */
export const sharedNetworksMax = 64;
/**
 * So many single addresses that a jail bans of one link are no problem yet, and how often they are
 * counted, ms.
 */
export const linkBansShown = 32;
export const linkLookMs = 60_000;
/** Distinct sets of jails that files belong to. */
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
 * A wall clock that was set by less than this is left alone, seconds: it is within what ends of
 * bans are compared by (`timeoutToleranceMs`).
 */
export const clockStepSecondsMin = 2;
limitHolds(clockStepSecondsMin * 1000 < timeoutToleranceMs, 'a step that is left alone repairs nothing');
/** The wall clock is looked at this often at least, ms. */
export const clockLookMs = 1_000;
/** The addresses of this host are looked at this often, ms: a tenth of a millisecond each. */
export const ownAddressesLookMs = 1_000;
/** They are looked at before bans are delivered as well, but no oftener than this, ms. */
export const ownAddressesApartMs = 100;

// --- Enforcer (src/enforcer) ---------------------------------------------------------------------

/**
 * Bans in one transaction: large enough that a batch costs microseconds per ban, small enough to
 * build in a millisecond.
 */
export const banBatchMax = 1024;
/**
 * Decisions in one transaction: what is decided next waits until the one under way is confirmed and
 * told, some 70 µs of processor a ban.
 */
export const decisionBatchMax = 256;
/**
 * Table entries looked at in one slice of a sweep: a slice holds no more bans than one transaction.
 */
export const sweepEntries = 1024;
/** Entries without a ban that a slice passes over before it begins: less than 0.1 ms. */
export const passedEntriesMax = 64 * sweepEntries;
/**
 * Entries that a count of running bans visits between two turns of the event loop: a tenth of a
 * millisecond.
 */
export const countEntries = 64 * 1024;
/**
 * The largest `firewall.bans_max`, and what a kernel set or map holds where none is set: more than
 * the table ever holds.
 */
export const bansMaxLargest = 1 << 20;
/** About what the kernel's memory takes for a ban, by family, bytes (measured on nftables). */
export const kernelBanBytes = { 4: 70, 6: 105 } as const;
/**
 * When the kernel holds as many bans as it may, room is made for this share of them at once, so
 * that the table is not searched for each ban.
 */
export const roomShare = 64;
/** Bans that one search of the table finds: their items fit the engine's input area. */
export const soonestMax = 4096;
limitHolds(soonestMax * 16 <= inputBytes, 'the bans that a search finds fit the input area');
/** First pause after a failed transaction, ms; each further one is twice as long. */
export const banRetryMs = 100;
/** Longest pause after a failed transaction, ms. */
export const banRetryMsMax = 30_000;

/**
 * Refused transactions over which a batch is split to find the bans that fit; each costs the kernel
 * some 10 ms.
 */
export const refusalsPerBatchMax = 16;
/** Kernel and table are compared this often, ms, and sooner when others wrote into the kernel. */
export const reconcileMs = 60_000;
/** The kernel is asked this often whether others wrote into it, ms (10 µs each). */
export const reconcileTickMs = 1_000;
/**
 * Shortest time between two comparisons, ms: others may write all the time, and reading 100,000
 * bans takes a fifth of a second.
 */
export const reconcileApartMs = 5_000;
/**
 * A comparison of 300,000 bans takes seconds: such a one rests so many times as long, where others
 * write meanwhile and where not.
 */
export const comparisonRests = { disturbed: 2, quiet: 10 } as const;
/** Dumps of one comparison, where each finds bans that the one before missed. */
export const looksMax = 6;
/** Taking over an earlier run's bans shows in `status` after this, ms: so long nobody looks. */
export const adoptionShownMs = 1_000;
/**
 * The packets that the kernel dropped are counted this often, ms: more often than they are scraped;
 * 20 µs and 15 more for each jail.
 */
export const dropsLookMs = 5_000;
/**
 * A repair of what others removed shows in `status` this long, ms: an operator who looks after a
 * breakfast still sees it.
 */
export const repairShownMs = 3_600_000;

limitHolds(sweepEntries <= banBatchMax, 'a slice of a sweep fits one transaction');

// --- Core (src/daemon.ts) ------------------------------------------------------------------------

/**
 * Pages of the runtime's files that are resident at once, bytes: its working set under attack, and
 * what a second adds to it.
 */
export const filePagesBytesMax = 14 * 1024 * 1024;
/**
 * What the fault of one page of a file may bring back, bytes: half of what Linux before 6.18 does.
 * That one brings whole large folios, up to 2 MiB.
 */
export const faultBytesMax = 32 * 1024;
/**
 * What V8 and libuv outside the heap, stacks and buffers may grow by after the table was sized,
 * bytes.
 */
export const runtimeGrowthBytes = 7 * 1024 * 1024;
/**
 * The resident size is looked at this often, ms: right after a release 10 MiB of file pages a
 * second come back (measured), then less.
 */
export const governorMs = 100;
/**
 * In so many looks (10 s) each file page is released once, piece by piece: together 2 ms, and the
 * faults that bring back what is in use.
 */
export const governorLooksMax = 100;
/** Pieces are multiples of this, bytes: whole pages on every machine. */
export const pieceBytes = 64 * 1024;
/**
 * File pages are released when less than this is left under the ceiling, bytes: more than comes
 * back between two looks.
 */
export const governorMarginBytes = 8 * 1024 * 1024;
/** A release that gains less than this was in vain, bytes. */
export const governorGainBytesMin = 2 * 1024 * 1024;
/** Looks that pass after a release in vain before the next one. */
export const governorPauses = 30;
/**
 * A full garbage collection at least this often, ms: it takes some 20 ms. What the heap's few old
 * objects hold outside of it (handles, requests) is given back only then, and left to itself a heap
 * that hardly grows waits for more than an hour.
 */
export const collectMs = 300_000;
/** The local zone, own addresses and the log's suppressed lines are looked at this often, ms. */
export const housekeepingMs = 60_000;
/**
 * Failures that wait for a service's verdict are looked at this often, ms: they wait ten seconds.
 */
export const verdictsMs = 1000;

// --- Confinement (src/confinement, src/confined.ts) ----------------------------------------------

/** Places in which V8 may have code: its own heap of code, WebAssembly's, and two to spare. */
export const codeRangesMax = 4;
/** Free addresses behind such a place in which it may grow: all filters at once take some MiB. */
export const codeGrowthBytes = 64n * 1024n * 1024n;

// --- Records (src/history) -----------------------------------------------------------------------

/** Events recorded with all their details at once: a day of an ordinary host. */
export const historyBurst = 1_000;
/**
 * One more such event every so often, ms (20 a second); others share a record of addresses only.
 */
export const historyRefillMs = 50;
/** Decisions remembered until their ban is in the kernel: those of a full ring. */
export const historyDecisionsMax = 4_096;
/** Addresses of one record of a burst: its line in the log stays within `logLineMax`. */
export const historyAddressesMax = 20;
/**
 * Files of the audit log, the newest included: each holds a tenth of its size and of its time. One
 * more is there for a moment when they move up.
 */
export const auditFilesMax = 10;
/** Records in one write: hashing them holds up the event loop for less than half a millisecond. */
export const auditBatchRecords = 64;
/** The newest record is sealed within this, ms, and within so many records. */
export const auditSealMs = 10_000;
export const auditSealRecords = 1_000;
/**
 * Read of the end of the log at the start, bytes: the longest record and as much that was cut off,
 * each with a path whose every byte takes six.
 */
export const auditEndBytes = 64 * 1024;
/** Refusals that are recorded at once; others are counted in the next record of one. */
export const refusalBurst = 200;
/** One more refusal every so often, ms. */
export const refusalRefillMs = 1_000;
/** Events are gathered for this long before they are written, ms. */
export const historyFlushMs = 100;
/** Events that wait for the disk, bytes; more are counted as lost. */
export const historyWaitBytesMax = 512 * 1024;
/** Taken of the file at once by who reads it, bytes: far more than one record. */
export const historyReadBytes = 32 * 1024;
/** Ends of bans are looked for this often, ms. */
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
 * What is encoded between two turns of the event loop and written at once, bytes: some 10,000
 * entries, a third of a millisecond.
 */
export const statePortionBytes = 272 * 1024;
/** What the engine may say about its saved entries, bytes. */
export const stateTableNoteBytesMax = 4 * 1024;
/**
 * A ban is on disk about this long after it, ms, where the table is small. In a stream of bans each
 * save waits twice as long as the one before.
 */
export const stateSoonMs = 1_000;
/** Longest such wait, ms. */
export const stateSoonMsMax = 4 * stateSoonMs;
/**
 * Where it is large, not before so many bytes a second were written on average: a flood must not
 * wear out the disk.
 */
export const stateBytesPerSecond = 1024 * 1024;
/**
 * Reading of logs waits no longer than this for a disk, ms; then the save is given up. Only tables
 * beyond one portion wait at all.
 */
export const statePauseMsMax = 500;
/**
 * The next try may wait twice as long, and so on up to this, ms: on a busy machine a log read late
 * is better than no state.
 */
export const statePauseMsLongest = 8 * statePauseMsMax;
/** A failed save is tried again after this, ms, and twice as long each time, up to the interval. */
export const stateRetryMs = 1_000;
/**
 * A stop goes on sending bans for this long, ms: beyond it, a table full of them would outlast a
 * service manager's patience.
 */
export const enforcerStopMs = 5_000;
/** The service manager gets a line of how things are this often, ms. */
export const serviceStatusMs = 10_000;
/** The last save of a stop may take this long, ms: service managers kill after 90 s. */
export const stateStopMs = 10_000;
/** Read positions in one state file: every followed file with its rotated ones. */
export const statePositionsMax = 9 * followedFilesMax;
/**
 * Longest state file, bytes: the largest table there can be, and as much again would not be ours.
 */
export const stateBytesMax = 4 * 1024 ** 3;

limitHolds(pathBytesMax + 32 <= stateSectionBytesMax, 'a read position fits a section');
limitHolds(jailsMax * (jailNameMax + 1) <= stateSectionBytesMax, 'all jail names fit a section');
limitHolds(stateTableNoteBytesMax + 8 <= stateSectionBytesMax, "the engine's note fits a section");
limitHolds(4 * stateSectionBytesMax <= statePortionBytes, 'a portion holds several sections');
limitHolds(statePositionsMax >= followedFilesMax * (1 + retiredTailsMax), 'every followed file can be saved');
