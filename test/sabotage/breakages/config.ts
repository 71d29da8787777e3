/** Breakages of the configuration's judge. */
import type { Breakage } from '../breakage.ts';

export const config: readonly Breakage[] = [
  {
    name: 'unknown keys of [[filter]] are passed over',
    find: 'const filter = z.strictObject({',
    put: 'const filter = z.object({',
    claims: ['FM-5'],
  },
  {
    name: 'unknown keys of [metrics] are passed over',
    find: 'const metrics = z.strictObject({',
    put: 'const metrics = z.object({',
    claims: ['FM-5'],
  },
];
