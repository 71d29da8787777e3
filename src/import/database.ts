/** Where fail2ban keeps its bans, as the tree says. */
import { Notes } from './notes.ts';
import { Tree, Unresolved } from './tree.ts';

/** Where distributions put it. */
export const databasePath = '/var/lib/fail2ban/fail2ban.sqlite3';

/** `dbfile` of fail2ban.conf; undefined where there is none, or none on disk. */
export function databaseOf(folder: string): string | undefined {
  try {
    const path = new Tree(folder, new Notes()).read('fail2ban')?.get('DEFAULT', 'dbfile')?.text;
    return path?.startsWith('/') ? path : undefined;
  } catch (error) {
    if (!(error instanceof Unresolved)) throw error;
    return undefined;
  }
}
