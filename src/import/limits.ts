/**
 * The bounds of reading a fail2ban tree, each with its unit and reason. Anybody may have written
 * the tree. A whole import takes at most seconds and a few hundred megabytes.
 */

/** Longest file that is read, bytes: fail2ban's own largest has 30 KB. */
export const treeFileBytesMax = 1024 * 1024;
/** Files read for one import: Debian ships 150, and each may have its `.local`. */
export const treeFilesMax = 4_000;
/** Files that one list of includes may lead to, repeated ones counted. */
export const includesMax = 400;
/** Files that include one another in a chain: real chains have three. */
export const includeDepthMax = 16;
/** Longest value after interpolation, characters: fail2ban's longest has 9,000. */
export const valueCharactersMax = 128 * 1024;
/** Interpolations of one value: `valueCharactersMax` does not limit empty ones. */
export const interpolationsMax = 2_000;
/** Nesting depth of interpolations: the same as in Python's configparser. */
export const interpolationDepthMax = 10;
/** Replacements of one tag in one value: fail2ban has the same bound. */
export const tagRepeatsMax = 25;
/** Jails read from one tree, disabled ones included: fail2ban ships 90. */
export const treeJailsMax = 1_000;
/** Log paths of one jail that are checked. */
export const treeLogPathsMax = 64;
/** Expressions of one filter that are translated; the others are reported. */
export const expressionsMax = 400;
/** Longest regular expression to parse, characters: longer than a pattern may be. */
export const expressionCharactersMax = 16 * 1024;
/** Groups inside one another in an expression. */
export const expressionDepthMax = 32;
/** Ways through one expression that become patterns: optional parts and alternatives multiply. */
export const waysMax = 240;
/** Patterns of one expression, with its classes and spellings written out. */
export const draftsMax = 300;
/** Ways to examine before equal ones are joined. */
export const waysTriedMax = 4_096;
/** A counted repetition is written out up to this many times. */
export const unrolledMax = 20;
/** Members of a character class that are written out, each as a pattern. */
export const classWaysMax = 12;
/** Entries of a report per jail; the others are counted. */
export const notesMax = 200;
/** Running bans read from fail2ban's database. */
export const runningBansMax = 1_000_000;
/** Time for the checks of one filter's patterns, ms: fail2ban's longest takes half of it. */
export const filterMsMax = 15_000;
/** The same for all filters of a tree, ms. */
export const treeMsMax = 60_000;
/** Time for fail2ban to read one log, ms: it reads some thousand lines a second. */
export const fail2banMsMax = 600_000;
/** Longest answer of fail2ban, bytes. */
export const answerBytesMax = 256 * 1024 * 1024;
/** Lines that are compared. */
export const comparedLinesMax = 500_000;
/** The table of sources for a comparison, bytes: room for more than its lines. */
export const comparedTableBytes = 32 * 1024 * 1024;
/** Largest fail2ban database to copy, bytes: a million bans take a third of it. */
export const databaseBytesMax = 1024 ** 3;
