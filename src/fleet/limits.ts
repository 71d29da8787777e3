/**
 * The bounds of fail2zig-fleet, each with its unit and reason. What an operator may set has its
 * bounds in config/limits.ts.
 */
import { fleetSpoolBytesMin } from '../config/limits.ts';
import { addressesPerRequestMax, controlConnectionsUserMax, limitHolds, reasonCharactersMax } from '../limits.ts';

// --- The server ----------------------------------------------------------------------------------

/** The server must start its answer within this time, ms. */
export const answerMs = 30_000;
/** Longest pause between two pieces of an answer, ms. */
export const pieceMs = 30_000;
/**
 * Longest total wait for the pieces of one list of decisions, ms: a server that is slower is given
 * up.
 */
export const listWaitMs = 300_000;
/** Longest list of decisions, bytes: some five million decisions. */
export const listBytesMax = 1024 ** 3;
/** Most bytes between two tokens of such a list: a decision has some 200. */
export const tokenBytesMax = 256 * 1024;
/** Depth of a list of decisions: an object, a list, a decision, and one to spare. */
export const listDepthMax = 4;
/** Longest answer of any other kind, bytes. */
export const answerBytesMax = 4 * 1024 * 1024;
/** Characters of an answer that an error quotes. */
export const quotedCharactersMax = 200;
/** A login is renewed this long before it ends, ms. */
export const loginMarginMs = 300_000;
/** How often we tell the server that this host is alive, ms. */
export const heartbeatMs = 60_000;
/** First pause after a failure, ms; it doubles. */
export const retryMs = 1_000;
/**
 * The longest such pause, ms: after an outage of hours, sending resumes half a minute after the
 * server is back.
 */
export const retryMsMax = 30_000;

// --- Bans of ours --------------------------------------------------------------------------------

/** Bans of one request: some 60 KiB. */
export const bansPerRequest = 100;
/** Seconds that a permanent ban gets on the server, which has no bans without end. */
export const foreverSeconds = 10 * 365 * 86_400;
/** The position is written at least this often while there is something new, ms. */
export const positionMs = 5_000;
/** Bytes of the spool read at once: more than one line. */
export const spoolReadBytes = 64 * 1024;
/** The longest line of the spool, bytes. */
export const spoolLineBytesMax = 1_024;
/** An empty spool that is longer than this is started again, bytes. */
export const spoolRestBytes = 32 * 1024;

limitHolds(spoolLineBytesMax < spoolReadBytes, 'a line of the spool is read at once');
limitHolds(2 * spoolRestBytes <= fleetSpoolBytesMin, 'an empty spool begins anew before it is full');

// --- Bans of others ------------------------------------------------------------------------------

/**
 * Decisions that are sorted and banned together, while as many are read: two megabytes each, and
 * few requests.
 */
export const windowDecisions = 8_192;
/**
 * Requests to the daemon at once: one is carried out while the next one is on its way; with more,
 * local bans would wait longer.
 */
export const requestsAtOnce = 2;
/**
 * Decisions with ends this close are banned in one request, until the last of these ends: the share
 * of the remaining time, and a minimum in seconds. The fleet's process itself unbans each in time.
 */
export const endShare = 1 / 16;
export const endSeconds = 2;
/** Community lists leave this share of the limit to decisions of your own hosts. */
export const ownShare = 1 / 8;
/** Longest value of a decision, characters: a prefix, with room to spare. */
export const valueCharactersMax = 64;
/**
 * The fleet's jail takes at most this share of what the kernel may hold: the rest is the host's.
 */
export const jailShare = 3 / 4;
/** The complete list is requested this often, seconds. */
export const wholeSeconds = 6 * 3_600;
/** Refused addresses that status names. */
export const refusedShown = 8;

limitHolds(requestsAtOnce < controlConnectionsUserMax, 'another client of the same user gets through');
limitHolds(addressesPerRequestMax <= windowDecisions, 'a window fills a request');
limitHolds(2 * valueCharactersMax < reasonCharactersMax, 'origin and scenario fit a reason');

// --- The process ---------------------------------------------------------------------------------

/** The longest secret, bytes. */
export const secretBytesMax = 4_096;
/** A file of certificates, bytes. */
export const pemBytesMax = 1024 * 1024;
/** Old generation of the heap, MB: a million active bans, and one window of a list. */
export const heapMegabytes = 256;
/**
 * Its nice value, unless it was started with a higher one: a tenth of the processor where the
 * daemon wants it too.
 */
export const niceness = 10;
/** A stop waits this long for unfinished work, ms. */
export const stopMs = 5_000;
