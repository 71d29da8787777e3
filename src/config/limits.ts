/**
 * The bounds of the launch stage, the other commands and the client, which the core does not load,
 * each with its unit and reason. Bounds that the core shares are in src/limits.ts.
 */
import { bansMaxLargest, controlAnswerMs, coreConfigBytesMax, limitHolds } from '../limits.ts';

/**
 * How long the client waits for one answer, ms: longer than the daemon takes, so that the daemon's
 * own reason is shown.
 */
export const clientAnswerMs = 30_000;
/** Pause of the client before it asks a busy daemon again, ms: refills 50 requests. */
export const clientPauseMs = 250;
/** How often a client that follows the records looks for new ones, ms. */
export const watchPauseMs = 250;
/** Times of failures that `why` shows one by one; of more, only the first and the last. */
export const whyTimesMax = 4;
/** The latest records of an address that `why` shows. */
export const whyEventsMax = 20;
/** After this many addresses of one command the client reports its progress: some two seconds. */
export const progressAddresses = 16_384;
/** The widest IPv4 prefix that the client bans, address by address: 65,536 bans. */
export const ipv4PrefixMin = 16;
/** How often the client repeats a request that the daemon puts off. */
export const clientTriesMax = 20;
/**
 * Longest configuration with its pieces, bytes: a thousand jails need a tenth of it. Longer is
 * refused before it is parsed.
 */
export const configBytesMax = 1024 * 1024;
/** Files beside the configuration that continue it: one for each of 200 jails, and some more. */
export const configPiecesMax = 256;
/**
 * Longest /etc/group that is searched for the control group, bytes: hosts with a directory service
 * list a few thousand.
 */
export const groupFileBytesMax = 8 * 1024 * 1024;
/**
 * Deepest nesting of TOML lists and inline tables, and longest dotted key, levels: no setting needs
 * more than three.
 */
export const tomlDepthMax = 16;
/**
 * Keys and table headers in one configuration: 200 jails with every key are 6,000. More are refused
 * before they are read one by one, so that a hostile file costs less than a second.
 */
export const tomlStatementsMax = 20_000;
/** TOML mistakes after which reading continues, so that one run shows them together. */
export const tomlMistakesMax = 20;
/** Complaints printed about one file; the others are counted. */
export const configProblemsMax = 100;
/** Longest name of a filter, characters; also the longest that is compared with a misspelt one. */
export const filterNameMax = 48;
/** Longest pattern of an operator, characters: a quarter of the longest line. */
export const patternCharactersMax = 1024;
/** Longest number in a pattern, digits: what 64 bits hold. */
export const numberDigitsMax = 20;
/** syslog identifiers of one filter. */
export const logTagsMax = 32;
/** Longest syslog identifier, characters: RFC 5424 allows 48, some programs write more. */
export const logTagCharactersMax = 64;
/** Sample lines of a filter or pattern, matching or not: each is tried at load. */
export const sampleLinesMax = 64;
/** Values that one jail's journal_match names: a unit has a few names. */
export const journalTermsMax = 64;
/** Longest such value, bytes: with its field's name, less than one read of a field. */
export const journalValueBytesMax = 255;
/** Directories in which journals are looked for. */
export const journalDirectoriesMax = 16;
/** Log paths (globs) of one jail. */
export const logPathsMax = 64;
/** Ignore entries of one jail, defaults included. */
export const ignoreEntriesMax = 1024;
/** Separate ports and ranges of one jail. */
export const portRangesMax = 64;
/** Largest factor or multiplier of a ban's length: from a second to more than a week. */
export const multiplierMax = 1_000_000;
/**
 * A source's bans are remembered this long after the last one ended, seconds: one day, as
 * fail2ban's dbpurgeage.
 */
export const banMemorySecondsDefault = 86_400;
/**
 * Smallest ceiling that may be set, bytes; the core measures and reports how much it really needs.
 */
export const ceilingBytesMin = 1024 * 1024;
/** Largest ceiling, bytes: WebAssembly's memory is addressed with 32 bits. */
export const ceilingBytesMax = 4 * 1024 ** 3;
/** The default memory ceiling (MM-06), bytes. */
export const ceilingBytesDefault = 64 * 1024 * 1024;
/**
 * Old generation of the core's JavaScript heap, MB: the core itself takes about 5; log bytes and
 * the table are outside.
 */
export const coreOldSpaceMegabytes = 14;
/**
 * One semi-space of the core's young generation, MB: V8's smallest, since the hot path allocates
 * nothing.
 */
export const coreSemiSpaceMegabytes = 1;
/**
 * Threads of libuv's pool in the core: one may block in a kernel transaction while another reads
 * files.
 */
export const corePoolThreads = 2;
/** Interfaces the xdp backend guards. */
export const xdpInterfacesMax = 64;
/** Known changes of one zone: two a year for seven years. */
export const timezoneChangesMax = 16;
/**
 * What `replay` reserves of the ceiling for everything but the table, bytes: about what the running
 * core needs besides it.
 */
export const replayReserveBytes = 44 * 1024 * 1024;
/**
 * Longest path of the state file, bytes: leaves room in PATH_MAX for the names of files beside it.
 */
export const statePathBytesMax = 4_000;
/**
 * The longest interval between two saves that may be set, seconds: after a crash this much is read
 * again.
 */
export const stateIntervalSecondsMax = 3_600;
/**
 * The smallest and largest size of the audit log, bytes: a tenth must hold a batch of records, and
 * verifying all of it must not take more than some seconds.
 */
export const auditBytesMin = 1024 * 1024;
export const auditBytesMax = 16 * 1024 ** 3;
/** Bars of a report: each is some hours of a week; together they fit a phone. */
export const reportBars = 56;
/** Rows of a report's lists. */
export const reportRowsMax = 20;
/** How often `top` redraws its screen, ms. */
export const topFrameMs = 1_000;
/** Sources, and recent events, on that screen. */
export const topRowsMax = 8;
/** `doctor` reads this much of the end of a log, bytes: some thousand lines. */
export const tailBytes = 256 * 1024;
/** A log that was not written for this long may be the wrong one, seconds. */
export const silentLogSeconds = 7 * 86_400;
/** Directories in confinement.read; each costs one descriptor for a moment. */
export const readDirectoriesMax = 64;
/** Longest URL of a server in [fleet], characters. */
export const serverUrlMax = 1_024;
/** Longest name by which a server knows this host, characters. */
export const fleetNameMax = 64;
/** The longest interval between two requests to the server that may be set, seconds. */
export const fleetIntervalSecondsMax = 3_600;
/** Default size of the fleet's jail, bans: one and a half community lists; 17 MiB in the kernel. */
export const fleetEntriesDefault = 250_000;
/** Default size of the spool for the server on disk, bytes: some 100,000 bans. */
export const fleetSpoolBytesDefault = 16 * 1024 * 1024;
/** The smallest spool must hold many batches; the largest must be read within a second or so. */
export const fleetSpoolBytesMin = 64 * 1024;
export const fleetSpoolBytesMax = 1024 ** 3;
/** A ban that has waited for the server longer than this is reported, seconds. */
export const fleetLagSeconds = 300;
/** Longest page of figures of fail2zig-fleet, bytes. */
export const fleetPageBytesMax = 1024 * 1024;

limitHolds(fleetEntriesDefault < bansMaxLargest, 'the entries of a fleet fit the kernel');
limitHolds(clientAnswerMs > controlAnswerMs, 'the client waits longer than the daemon');
limitHolds(configBytesMax < coreConfigBytesMax, 'a configuration fits the record');
