/** What a backend holds, as a list. */
import type { Backend, Ban } from '../../src/types.ts';

export async function bansOf(backend: Pick<Backend, 'each'>): Promise<Ban[]> {
  const bans: Ban[] = [];
  await backend.each((ban) => bans.push(ban));
  return bans;
}
