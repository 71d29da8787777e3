/**
 * Every bound of the product: its number, its unit, its reason. Relations between neighbours are asserted below them.
 * Nothing here is configurable; what an operator may set is bounded by what stands here.
 */

/** Stops the program at start where two bounds contradict each other: a bug of ours. */
function limitHolds(holds: boolean, relation: string): void {
  if (!holds) throw new Error(`limits.ts: ${relation} does not hold`);
}

// --- Control socket (src/control, src/client.ts) -----------------------------------------------------------------

/** Longest body of one frame on the control socket, bytes: a page of a list with room to spare. Longer: the connection ends. */
export const frameBytesMax = 64 * 1024;
/** Control connections at once; each may hold one frame in, one frame out and one chunk in between. More are closed at once. */
export const controlConnectionsMax = 16;
/** Of those, what peers other than root share, so that root always gets in. */
export const controlConnectionsGroupMax = 12;
/** Of those, what one user id other than root may hold, so that two members of the group do not shut each other out. */
export const controlConnectionsUserMax = 6;
/** Connections the kernel queues before we accept them (listen(2)). */
export const controlBacklog = 16;
/** A whole request must arrive within this of the connection or of the answer before it; a dribbled byte does not extend it, ms. */
export const controlIdleMs = 10_000;
/** The daemon answers a request within this or says that it could not, ms: longer than a slow kernel transaction. */
export const controlAnswerMs = 20_000;
/** The peer takes an answer off the socket within this or is cut off, ms. */
export const controlWriteMs = 10_000;
/** The client's patience for one answer, ms: longer than the daemon's, so that the daemon's reason is what is shown. */
export const clientAnswerMs = 30_000;
/** Requests one user id may make at once; a script that bans from a list stays well inside it with the refill below. */
export const controlRequestsBurst = 200;
/** One more request per user id every so often, ms (100 a second). */
export const controlRequestRefillMs = 10;
/** User ids whose request budgets are remembered; the least recent is forgotten. */
export const controlUsersMax = 64;
/** Rows of one page of `list`. */
export const listPageRowsMax = 256;
/** Longest text of an address with its prefix length: 45 for an IPv6 form with a dotted tail, 4 for "/128". */
export const addressTextMax = 49;
/** Longest jail name, characters (ASCII): fits a set name in the kernel with a prefix of ours. */
export const jailNameMax = 64;
/** Longest cursor of a list page, characters. */
export const cursorTextMax = 128;
/** Longest ban that is not permanent, seconds: 10 years, far inside what a kernel set's timeout holds. */
export const banSecondsMax = 10 * 365 * 86_400;
/** Longest path of a unix socket, bytes (sun_path of unix(7), without its final zero). */
export const socketPathBytesMax = 107;

// --- Metrics page and log (src/observe) --------------------------------------------------------------------------

/** Scrapers connected at once (D-04a). More are closed at once. */
export const metricsConnectionsMax = 16;
/** A request must arrive, and an answer be taken, within this, ms (D-04a). */
export const metricsTimeoutMs = 5_000;
/** A quiet kept connection ends after this, ms: longer than nothing, shorter than a scrape interval needs. */
export const metricsKeepAliveMs = 5_000;
/** Longest request line and headers, bytes (D-04a). Longer: 431. */
export const metricsHeaderBytesMax = 8 * 1024;
/** Requests on one kept connection before it is closed. */
export const metricsRequestsPerConnectionMax = 100;
/** A page serves every scrape within this, ms: a thousand scrapes a second cost one reading of the table in each quarter. */
export const metricsPageMs = 250;
/** Label sets of one series on a page; a table row that yields more is cut. */
export const metricsRowsMax = 1_000;
/** Longest log line without its head, characters: journald keeps whole lines up to 48 KiB, people do not. */
export const logLineMax = 1_024;
/** Longest single field in a log line, characters. */
export const logFieldMax = 256;
/** Distinct log texts whose budgets are remembered; there are fewer texts than this in the source. */
export const logKeysMax = 256;
/** Lines of one text that may be written at once. */
export const logBurst = 50;
/** One more line of a text every so often, ms (10 a second). */
export const logRefillMs = 100;

limitHolds(controlConnectionsGroupMax < controlConnectionsMax, 'root has control connections of its own');
limitHolds(controlConnectionsUserMax < controlConnectionsGroupMax, 'one user cannot take all of the group connections');
limitHolds(clientAnswerMs > controlAnswerMs, 'the client waits longer than the daemon');
// A row: {"jail":"…","address":"…","remainingSeconds":N}, with 64 bytes for names, punctuation and the number.
limitHolds(listPageRowsMax * (jailNameMax + addressTextMax + 64) < frameBytesMax, 'a page of a list fits a frame');
