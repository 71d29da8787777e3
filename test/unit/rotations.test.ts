/**
 * The short form of `npm run soak -- rotate`: a few rotations of every kind at random instants,
 * while a thread writes numbered lines.
 */
import { describe, expect, test } from 'vitest';
import { kinds, rotations } from '../soak/rotations.ts';

describe('no line is lost, and none counted twice', () => {
  test.for(kinds)('$name', async (kind) => {
    const outcome = await rotations(kind, 30, 7);
    expect(outcome.twice).toBe(0);
    if (kind.loses === undefined) expect(outcome.lost).toBe(0);
    else expect(outcome.lost).toBeLessThan(outcome.written);
  });
});
