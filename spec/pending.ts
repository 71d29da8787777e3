/**
 * Claims that no specification proves yet, each with the honest reason. A row leaves this table in
 * the same change that brings its specification; `test/unit/ledger.test.ts` refuses an id that
 * stands in both places or in none.
 */

/** A run that nobody has made or recorded yet. */
const run = (what: string) => `needs a recorded run: ${what}`;
/** A part of the program that does not exist yet. */
const part = (what: string) => `not built yet: ${what}`;

export const pendingReasons: Readonly<Record<string, string>> = {
  'MM-28': run('the soak'),
  'MM-29': run('fail2ban on the same work'),
  'LP-27': 'pf exists on BSD only and cannot be tested on Linux',
  'LP-32': part('logging to syslog'),
  'LP-44': 'pf exists on BSD only and cannot be tested on Linux; the others are proven as LP-24, LP-25 and LP-26',
  'R-01a': part('the audit record in the journal'),
  'R-01d': part('the chained audit log'),
};
