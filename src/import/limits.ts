/**
 * The bounds of reading a fail2ban tree: number, unit and reason of each. The tree may be
 * anybody's; a whole import stays within seconds and a few hundred megabytes whatever it holds.
 */

/** Longest file that is read, bytes: fail2ban's own largest has 30 KB. */
export const treeFileBytesMax = 1024 * 1024;
/** Files read for one import: Debian ships 150, and each may have its `.local`. */
export const treeFilesMax = 4_000;
/** Files that one list of includes may come to, repeated ones counted. */
export const includesMax = 400;
/** Files that include one another in a chain: real chains have three. */
export const includeDepthMax = 16;
/** Longest value after interpolation, characters: fail2ban's longest has 9,000. */
export const valueCharactersMax = 128 * 1024;
/** Interpolations of one value: what `valueCharactersMax` does not bound where values are empty. */
export const interpolationsMax = 2_000;
/** How deep one value may lead to another: Python's configparser has the same bound. */
export const interpolationDepthMax = 10;
/** Replacements of one tag in one value: fail2ban has the same bound. */
export const tagRepeatsMax = 25;
/** Jails read from one tree, disabled ones included: fail2ban ships 90. */
export const treeJailsMax = 1_000;
/** Log paths of one jail that are looked at. */
export const treeLogPathsMax = 64;
/** Expressions of one filter that are translated; the rest is reported. */
export const expressionsMax = 400;
/** Longest regular expression that is parsed, characters: above what a pattern may hold. */
export const expressionCharactersMax = 16 * 1024;
/** Groups inside one another in an expression. */
export const expressionDepthMax = 32;
/** Ways through one expression that become patterns: optional parts and alternatives multiply. */
export const waysMax = 240;
/** Patterns of one expression, its classes and spellings written out. */
export const draftsMax = 300;
/** Ways looked at before the same ones are joined. */
export const waysTriedMax = 4_096;
/** A counted repetition is written out up to this many times. */
export const unrolledMax = 20;
/** Members of a class of which one stands at a place, each of which becomes a pattern. */
export const classWaysMax = 12;
/** Entries of a report per jail; the rest is counted. */
export const notesMax = 200;
/** Running bans taken from fail2ban's database. */
export const runningBansMax = 1_000_000;
/** Patience with the checks of one filter's patterns, ms: fail2ban's longest takes half of it. */
export const filterMsMax = 15_000;
/** The same for all filters of a tree, ms. */
export const treeMsMax = 60_000;
/** Patience with fail2ban over one log, ms: it reads some thousand lines a second. */
export const fail2banMsMax = 600_000;
/** Longest answer of it, bytes. */
export const answerBytesMax = 256 * 1024 * 1024;
/** Lines that are compared. */
export const comparedLinesMax = 500_000;
/** The table of sources for a comparison, bytes: room for more than its lines. */
export const comparedTableBytes = 32 * 1024 * 1024;
/** Largest database of fail2ban's that is copied, bytes: a million bans take a third of it. */
export const databaseBytesMax = 1024 ** 3;
