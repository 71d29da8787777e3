/**
 * Where fail2ban keeps its bans, according to the tree.
 */
import { Notes } from './notes.ts';
import { Tree, Unresolved } from './tree.ts';

/** The path in distributions. */
export const databasePath = '/var/lib/fail2ban/fail2ban.sqlite3';

/** `dbfile` of fail2ban.conf; undefined if there is none, or none on disk. */
export function databaseOf(folder: string): string | undefined {
  try {
    const path = new Tree(folder, new Notes()).read('fail2ban')?.get('DEFAULT', 'dbfile')?.text;
    return path?.startsWith('/') ? path : undefined;
  } catch (error) {
    if (!(error instanceof Unresolved)) throw error;
    return undefined;
  }
}
