/**
 * The bounds of fail2zig-fleet: number, unit and reason of each. What an operator may set is
 * bounded in config/limits.ts.
 */
import { fleetSpoolBytesMin } from '../config/limits.ts';
import { addressesPerRequestMax, controlConnectionsUserMax, limitHolds, reasonCharactersMax } from '../limits.ts';

// --- The server ----------------------------------------------------------------------------------

/** The server answers within this, or begins to, ms. */
export const answerMs = 30_000;
/** Between two pieces of an answer no more than this, ms. */
export const pieceMs = 30_000;
/** All waiting for the pieces of one list of decisions, ms: whoever dribbles is given up. */
export const listWaitMs = 300_000;
/** Longest list of decisions, bytes: some five million. */
export const listBytesMax = 1024 ** 3;
/** Between two tokens of such a list no more than this, bytes: a decision has some 200. */
export const tokenBytesMax = 256 * 1024;
/** Depth of a list of decisions: an object, a list, a decision, and one to spare. */
export const listDepthMax = 4;
/** Longest answer of any other kind, bytes. */
export const answerBytesMax = 4 * 1024 * 1024;
/** Characters of an answer that an error repeats. */
export const quotedCharactersMax = 200;
/** A login is made anew this long before it ends, ms. */
export const loginMarginMs = 300_000;
/** The server hears that this host lives, ms. */
export const heartbeatMs = 60_000;
/** First pause after a failure, ms; it doubles. */
export const retryMs = 1_000;
/** The longest, ms: an outage of hours is over half a minute after the server is back. */
export const retryMsMax = 30_000;

// --- Bans of ours --------------------------------------------------------------------------------

/** Bans of one request: some 60 KiB. */
export const bansPerRequest = 100;
/** A permanent ban as the server keeps it, seconds: it knows no end that never comes. */
export const foreverSeconds = 10 * 365 * 86_400;
/** The position is written this often at least while there is something new, ms. */
export const positionMs = 5_000;
/** What is read of the spool at once, bytes: more than one line. */
export const spoolReadBytes = 64 * 1024;
/** The longest line of the spool, bytes. */
export const spoolLineBytesMax = 1_024;
/** A spool that is empty begins anew where it is longer than this, bytes. */
export const spoolRestBytes = 32 * 1024;

limitHolds(spoolLineBytesMax < spoolReadBytes, 'a line of the spool is read at once');
limitHolds(2 * spoolRestBytes <= fleetSpoolBytesMin, 'an empty spool begins anew before it is full');

// --- Bans of others ------------------------------------------------------------------------------

/**
 * Decisions that are sorted and banned together, while as many are read: two megabytes each, and
 * few requests.
 */
export const windowDecisions = 8_192;
/** Requests to the daemon at once: other clients of this user get through beside them. */
export const requestsAtOnce = 3;
/**
 * Decisions whose ends lie this close are banned in one request, until the last of them: the share
 * of the time that is left, and seconds at least. The fleet's process itself unbans in time.
 */
export const endShare = 1 / 16;
export const endSeconds = 2;
/** Community lists leave this share of the ceiling to decisions of one's own hosts. */
export const ownShare = 1 / 8;
/** Longest value of a decision, characters: a prefix with room to spare. */
export const valueCharactersMax = 64;
/**
 * The fleet's jail takes no more than this share of what the kernel may hold: the rest is the
 * host's.
 */
export const jailShare = 3 / 4;
/** All that holds is asked for this often, seconds. */
export const wholeSeconds = 6 * 3_600;
/** Addresses of refused decisions that status names. */
export const refusedShown = 8;

limitHolds(requestsAtOnce < controlConnectionsUserMax, 'another client of the same user gets through');
limitHolds(addressesPerRequestMax <= windowDecisions, 'a window fills a request');
limitHolds(2 * valueCharactersMax < reasonCharactersMax, 'origin and scenario fit a reason');

// --- The process ---------------------------------------------------------------------------------

/** The longest secret, bytes. */
export const secretBytesMax = 4_096;
/** A file of certificates, bytes. */
export const pemBytesMax = 1024 * 1024;
/**
 * Old generation of the heap, MB: a million bans that are held, and one window of a list.
 */
export const heapMegabytes = 256;
/** A stop waits this long for what runs, ms. */
export const stopMs = 5_000;
