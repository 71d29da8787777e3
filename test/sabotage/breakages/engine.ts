/** Breakages of the engine: what is matched, counted and passed over. */
import type { Breakage } from '../breakage.ts';

export const engine: readonly Breakage[] = [
  {
    name: 'the ignore list compares one bit too many where the prefix is no multiple of 8',
    find: '(0xff00 >> rest) & 255) === 0;',
    put: '(0xff80 >> rest) & 255) === 0;',
    claims: ['E-02b'],
  },
  {
    name: 'the ignore list of the first jail holds for all',
    find: 'let network = layout.ignoresAt + int(settings + layout.JAIL_IGNORE_FIRST) * layout.IGNORE_BYTES;',
    put: 'let network = layout.ignoresAt + 0 * int(settings) * layout.IGNORE_BYTES;',
    claims: ['E-02b'],
  },
];
