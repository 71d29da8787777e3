/**
 * `fail2zig check --suggest`: a fail2zig.toml for this host, on standard output. Changes nothing.
 */
import { statSync } from 'node:fs';
import { resolve } from 'node:path';
import { compileConfig } from '../config/compile.ts';
import { knownFilters } from '../config/known-filters.ts';
import { ownSession } from '../config/own-session.ts';
import { factsOf } from '../suggest/host.ts';
import { writeSuggestion } from '../suggest/write.ts';
import { formatAddress } from '../text/address.ts';
import { printable } from '../text/printable.ts';

/**
 * @param below the root of another system. Returns the exit status: 1 if there is no such
 * directory.
 */
export function suggest(below = '/'): number {
  const root = resolve(below).replace(/\/$/, '');
  if (!statSync(`${root}/`, { throwIfNoEntry: false })?.isDirectory()) {
    process.stderr.write(`fail2zig check: ${printable(below)}: no such directory\n`);
    return 1;
  }
  const session = ownSession();
  const text = writeSuggestion(factsOf(root, session && formatAddress(session)));
  // Throws if the suggestion is not usable: a mistake of ours.
  compileConfig(text, 'fail2zig.toml', { filters: knownFilters, groupId: () => 0 });
  process.stdout.write(text);
  return 0;
}
