/**
 * The layout of the engine's one memory. Computed once at start from the configuration; nothing
 * moves or grows afterwards (claims MM-05, MM-07, MM-11, MM-14). Both builds and the host use this
 * file, so they cannot disagree.
 */

/** The current address, 16 network-order bytes (IPv4 as ::ffff:a.b.c.d). */
export const ADDRESS: i32 = 16;
/** The table key of the current address: the address with the jail's prefix applied. */
export const KEY: i32 = 32;
/** Decision ring: number of records written and taken, both modulo 2^32. */
export const RING_WRITTEN: i32 = 96;
export const RING_TAKEN: i32 = 100;
/** Hash seed: two words, random per start. */
export const SEED: i32 = 104;
/** Ring of denials (records.ts): number of records written and taken, as for the decision ring. */
export const DENIALS_WRITTEN: i32 = 112;
export const DENIALS_TAKEN: i32 = 116;
/** Number of random parts of bans drawn so far. */
export const DRAWS: i32 = 120;
/** Policy ban_all: the epoch second at which two full sets asked for a run; 0 = none is due. */
export const BAN_ALL_DUE: i32 = 124;
/** Global counters, one float each (see counters.ts). */
export const COUNTERS: i32 = 128;
/**
 * Local time: {f64 UTC second from which it holds, i32 seconds east of UTC} × ZONES_MAX, ascending.
 */
export const ZONES: i32 = 512;
export const ZONE_BYTES: i32 = 16;
export const ZONES_MAX: i32 = 16;
/** Policy ban_all: slots that the current run has reset; all slots if there is no run. */
export const BAN_ALL_DONE: i32 = 768;
/** Denials: jail, family with the prefix above its eight bits, 16 address bytes, float time. */
export const DENIALS: i32 = 784;
export const DENIAL_BYTES: i32 = 32;
export const DENIALS_MAX: i32 = 32;
export const DENIAL_FAMILY: i32 = 4;
export const DENIAL_ADDRESS: i32 = 8;
export const DENIAL_TIME: i32 = 24;
/**
 * Failures on their way to the table (charges.ts): address, jail, hash, float time, float offset of
 * the line, likely entry, failures.
 */
export const CHARGES: i32 = 1856;
export const CHARGE_BYTES: i32 = 48;
export const CHARGE_ADDRESS: i32 = 0;
/** The jail, with the number of the pattern above its eight bits (16 bits), and the prefix. */
export const CHARGE_JAIL: i32 = 16;
export const CHARGE_HASH: i32 = 20;
export const CHARGE_TIME: i32 = 24;
export const CHARGE_OFFSET: i32 = 32;
export const CHARGE_ENTRY: i32 = 40;
export const CHARGE_FAILURES: i32 = 44;
/** As many memory accesses as a processor can do at once. */
export const CHARGES_MAX: i32 = 64;
/** What the touching passes read. */
export const CHARGES_TOUCHED: i32 = 4928;
/** Names of the message fields of JSON lines: a length and the bytes of each. */
export const FIELDS: i32 = 5032;
export const FIELDS_MAX: i32 = 8;
export const FIELD_BYTES: i32 = 64;
/** How many changes each zone table holds, one integer each; the first table is local time. */
export const ZONE_COUNTS: i32 = 5544;
/** The tables after the first one, which is at ZONES. */
export const OTHER_ZONES: i32 = 5584;
export const ZONE_TABLES_MAX: i32 = 9;
export const ZONE_TABLE_BYTES: i32 = 256;
/**
 * How a time, and a syslog head with its time, are written (timestamp.ts, header.ts), so that lines
 * of one service only cost a comparison: the lowest byte for each place, and after these how far
 * above it the byte may be (linear.ts `lies`).
 */
export const HEAD_FORM: i32 = 7632;
export const HEAD_FORM_BYTES: i32 = 96;
export const TIME_FORM: i32 = 7824;
export const TIME_FORM_BYTES: i32 = 48;
/**
 * Upper halves of IPv6 sources that are single addresses, eight bytes each (table.ts). Rows count
 * from 1; row 0 holds their number.
 */
export const UPPERS: i32 = 7920;
export const UPPER_BYTES: i32 = 8;
export const UPPERS_MAX: i32 = 254;
/** End of the fixed part: 255 places. */
export const FIXED_BYTES: i32 = 9960;

/** Counters of one filter: eight floats (counters.ts). */
export const FILTER_BYTES: i32 = 64;

/** Jail record. */
export const JAIL_BYTES: i32 = 256;
export const JAIL_MAXRETRY: i32 = 0;
export const JAIL_FINDTIME: i32 = 4;
/** Prefix lengths of a source, on the mapped (IPv6) scale: of IPv6, of IPv4. */
export const JAIL_PREFIX_SIX: i32 = 12;
export const JAIL_PREFIX_FOUR: i32 = 24;
export const JAIL_IGNORE_FIRST: i32 = 16;
export const JAIL_IGNORE_COUNT: i32 = 20;
/** Seconds for which a source's bans are remembered; -1 = not at all. */
export const JAIL_MEMORY: i32 = 28;
/** Up to this many seconds are added at random to all but a source's first ban. */
export const JAIL_RANDOM: i32 = 32;
/** Whether a source's bans in other jails count. */
export const JAIL_OVERALL: i32 = 36;
/** Bans that the kernel holds, and bans on their way to it, as `tallyBans` last found them. */
export const JAIL_HELD: i32 = 40;
export const JAIL_PENDING: i32 = 44;
/** IPv6 bans among those that the kernel holds. */
export const JAIL_HELD_SIX: i32 = 48;
/** Eight floats (counters.ts). */
export const JAIL_COUNTERS: i32 = 64;
/** Seconds of a source's first, second … ban (-1 = permanent); the last one repeats. */
export const JAIL_BANTIMES: i32 = 128;
export const BANTIMES_MAX: i32 = 32;

/** Ignored network: 16 address bytes, prefix length in bits of the mapped (IPv6) form. */
export const IGNORE_BYTES: i32 = 20;

/** Source record: route, whether the rest of an overlong line is being skipped. */
export const SOURCE_BYTES: i32 = 24;
/** Which unfinished lines there are, one bit for each format and stream (unwrap.ts). */
export const SOURCE_OPEN: i32 = 8;
/** Matched lines that begin with a time in an unknown format. */
export const SOURCE_UNREAD: i32 = 12;
/** Seconds by which the last lines are off the clock, and how many lines in a row. */
export const SOURCE_OFF: i32 = 16;
export const SOURCE_OFF_LINES: i32 = 20;

/** Longer lines are cut here (limits.ts lineBytesMax). */
export const LINE_BYTES_MAX: i32 = 136 * 1024;
/** A line copied out of its wrapping (unwrap.ts), and some space that vector stores need. */
export const UNWRAPPED_BYTES: i32 = LINE_BYTES_MAX + 64;
/** Unfinished lines: four integers and the text. */
export const PIECES_MAX: i32 = 4;
export const PIECE_BYTES: i32 = LINE_BYTES_MAX + 80;

/**
 * A route is a chain of groups (one per filter, mode, format and zone); a group is a chain of
 * jails.
 */
export const GROUP_BYTES: i32 = 24;
export const GROUP_FILTER: i32 = 0;
export const GROUP_MODE: i32 = 4;
export const GROUP_NEXT: i32 = 8;
export const GROUP_JAILS: i32 = 12;
/** How the lines are wrapped (unwrap.ts), and the zone table of their times. */
export const GROUP_FORMAT: i32 = 16;
export const GROUP_ZONE: i32 = 20;
export const LINK_BYTES: i32 = 8;

/** Decision record (types.ts `Decision`). */
export const DECISION_BYTES: i32 = 64;
export const DECISION_JAIL: i32 = 0;
export const DECISION_FAMILY: i32 = 4;
export const DECISION_ADDRESS: i32 = 8;
export const DECISION_TIME: i32 = 24;
export const DECISION_FAILURES: i32 = 32;
export const DECISION_SECONDS: i32 = 36;
export const DECISION_SOURCE: i32 = 40;
export const DECISION_PREFIX: i32 = 44;
export const DECISION_OFFSET: i32 = 48;
export const DECISION_BANS: i32 = 56;
export const DECISION_PATTERN: i32 = 60;

/** One remembered connection (connection.ts). */
export const CONNECTION_BYTES: i32 = 64;
export const CONNECTION_WAYS: i32 = 4;

/** Records of attempts (attempts.ts), and one more. */
export const ATTEMPT_BYTES: i32 = 80;
export const ATTEMPT_WAYS: i32 = 4;
export const ATTEMPT_SETS: i32 = 256;

/** The lines that may be repeated (repeat.ts); their number is a power of two. */
export const LAST_BYTES: i32 = 48;
export const LASTS_MAX: i32 = 256;

/** The table consists of sets of 8 entries; a key has two sets (table.ts). */
export const TABLE_WAYS: i32 = 8;
/**
 * Bytes of an entry's mark. Marks are stored apart from the entries, those of one set side by side.
 */
export const MARK_BYTES: i32 = 1;

/*
 * The meta word of a table entry: state (bits 0–1), family (2), failures (3–7), bans so far (8–15),
 * jail + 1 (16–23), row of UPPERS (24–31; 0 = the key is the source). The meta of a free entry is
 * 0.
 */
export const META_STATE: i32 = 3;
export const META_SIX: i32 = 4;
export const META_FAILURES_SHIFT: i32 = 3;
export const META_FAILURES: i32 = 31;
export const META_BANS_SHIFT: i32 = 8;
/** The largest number of bans that is distinguished. */
export const META_BANS: i32 = 255;
export const META_JAIL_SHIFT: i32 = 16;
export const META_ROW_SHIFT: i32 = 24;
/* In a ban, the failures field says where it comes from. */
/** From the saved state: it is not new. */
export const META_RESTORED: i32 = 8;
/** An operator made it. */
export const META_MANUAL: i32 = 16;
/** The part that belongs to the key: family, jail and row. */
export const META_TAG: i32 = -65532;

/* A ban to be lifted, in the input area (soonest.ts): rank, then the entry's number. */
export const SOONEST_BYTES: i32 = 16;
export const SOONEST_INDEX: i32 = 8;

/*
 * With maxretry up to EXACT_MAX the window is a list of failures; above it, sub-counts (counts.ts),
 * which META_COUNTED in place of the number of failures indicates.
 */
export const EXACT_MAX: i32 = 16;
export const META_COUNTED: i32 = META_FAILURES;
/** Parts of findtime, without the newest failure's own part, and bytes of their counts. */
export const PARTS: i32 = 16;
export const COUNTS_BYTES: i32 = 24;

/* States. */
export const FREE: i32 = 0;
export const TRACKING: i32 = 1;
/** A ban was decided; the kernel has not confirmed it. */
export const DECIDED: i32 = 2;
export const BANNED: i32 = 3;

/* Maximum numbers and sizes, as in limits.ts, which gives the reasons; start.ts compares both. */
export const FILTERS_MAX: i32 = 256;
export const SOURCES_MAX: i32 = 10000;
export const ROUTES_MAX: i32 = 1024;
/** Jails over all routes, which also bounds groups and links. */
export const ROUTE_JAILS_MAX: i32 = 4096;
/** An address for each filter of the operator, then their programs. */
export const PROGRAM_TABLE_BYTES: i32 = 4 * FILTERS_MAX;
export const PROGRAM_BYTES_MAX: i32 = 96 * 1024;
export const INPUT_BYTES: i32 = 192 * 1024;
export const MAXRETRY_MAX: i32 = 1000;

export let filtersAt: i32 = 0;
export let jailsAt: i32 = 0;
export let jailCount: i32 = 0;
export let ignoresAt: i32 = 0;
export let sourcesAt: i32 = 0;
export let routesAt: i32 = 0;
export let groupsAt: i32 = 0;
export let linksAt: i32 = 0;
export let connectionsAt: i32 = 0;
export let connectionSets: i32 = 0;
export let attemptsAt: i32 = 0;
export let lastsAt: i32 = 0;
export let ringAt: i32 = 0;
export let ringMax: i32 = 0;
export let programsAt: i32 = 0;
export let inputAt: i32 = 0;
export let unwrappedAt: i32 = 0;
export let piecesAt: i32 = 0;
export let marksAt: i32 = 0;
export let tableAt: i32 = 0;
export let tableSets: i32 = 0;
/**
 * Bytes of a key (8, or 16 when a jail tracks more than 64 bits of IPv6), of one window step (2 or
 * 4), of an entry.
 */
export let keyBytes: i32 = 8;
export let stepBytes: i32 = 2;
export let entryBytes: i32 = 24;

function align(p: i32): i32 {
  return (p + 63) & -64;
}

/**
 * Bytes of a table entry: key, meta, newest failure, window. The window area also holds the end of
 * a ban, so it has at least eight bytes; entries stay 8-byte aligned.
 */
export function entrySize(key: i32, step: i32, steps: i32): i32 {
  const window = step * steps;
  return (key + 8 + (window < 8 ? 8 : window) + 7) & -8;
}

/**
 * Lays out the regions one after the other and returns the end of the memory in bytes. Counts are
 * numbers of records; `ring` is a power of two; `key` and `step` are bytes; `steps` is the number
 * of earlier failures that an entry remembers.
 */
export function layOut(
  jails: i32,
  ignores: i32,
  connections: i32,
  ring: i32,
  key: i32,
  step: i32,
  steps: i32,
  sets: i32,
): i32 {
  filtersAt = align(FIXED_BYTES);
  jailsAt = align(filtersAt + FILTERS_MAX * FILTER_BYTES);
  jailCount = jails;
  // One more record: its ignored networks are the shared ones (ignore.ts).
  ignoresAt = align(jailsAt + (jails + 1) * JAIL_BYTES);
  sourcesAt = align(ignoresAt + ignores * IGNORE_BYTES);
  routesAt = align(sourcesAt + SOURCES_MAX * SOURCE_BYTES);
  groupsAt = align(routesAt + ROUTES_MAX * 4);
  linksAt = align(groupsAt + ROUTE_JAILS_MAX * GROUP_BYTES);
  connectionsAt = align(linksAt + ROUTE_JAILS_MAX * LINK_BYTES);
  connectionSets = connections / CONNECTION_WAYS;
  attemptsAt = align(connectionsAt + connections * CONNECTION_BYTES);
  lastsAt = align(attemptsAt + (ATTEMPT_SETS * ATTEMPT_WAYS + 1) * ATTEMPT_BYTES);
  ringAt = align(lastsAt + LASTS_MAX * LAST_BYTES);
  ringMax = ring;
  programsAt = align(ringAt + ring * DECISION_BYTES);
  inputAt = align(programsAt + PROGRAM_TABLE_BYTES + PROGRAM_BYTES_MAX);
  keyBytes = key;
  stepBytes = step;
  entryBytes = entrySize(key, step, steps);
  unwrappedAt = align(inputAt + INPUT_BYTES);
  piecesAt = align(unwrappedAt + UNWRAPPED_BYTES);
  marksAt = align(piecesAt + PIECES_MAX * PIECE_BYTES + 64);
  tableAt = align(marksAt + sets * TABLE_WAYS * MARK_BYTES);
  tableSets = sets;
  // Vector loads may read a little past a line.
  return align(tableAt + sets * TABLE_WAYS * entryBytes) + 64;
}

/** The jail of an entry with this meta word. */
export function jailIn(meta: i32): i32 {
  return ((meta >>> META_JAIL_SHIFT) & 255) - 1;
}

/**
 * The part that contains second `time`, counted from the epoch. Exact: a quotient of such numbers
 * is never rounded up to a whole one.
 */
export function partOf(time: f64, findtime: i32): f64 {
  return Math.floor((time * PARTS) / findtime);
}
