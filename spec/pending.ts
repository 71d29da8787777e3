/**
 * Claims that no specification proves yet, each with the honest reason. The change that adds the
 * specification removes the row; `test/unit/ledger.test.ts` refuses an id that is in both places or
 * in none.
 */

export const pendingReasons: Readonly<Record<string, string>> = {
  'LP-27': 'pf exists on BSD only and cannot be tested on Linux',
  'LP-44': 'pf exists on BSD only and cannot be tested on Linux; the others are proven as LP-24, LP-25 and LP-26',
};
