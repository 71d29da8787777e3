/**
 * Tests wait for a state, never for a time. They poll it with a generous deadline, which only a
 * failing test reaches. It is counted in looks, so that a busy machine has as many as an idle one.
 */

import { setTimeout as pause } from 'node:timers/promises';

/** A mutation run, which waits in vain for many a mutant, sets a shorter one. */
const deadlineMs = (): number => Number(process.env.UNTIL_MS ?? 15_000);
const lookMs = 2;

/**
 * Resolves with the first truthy value of `state`. Rejects if there is none before the deadline,
 * and names `what`.
 */
export async function until<Value>(
  state: () => Value | Promise<Value>,
  { withinMs = deadlineMs(), what = 'the awaited state' }: { withinMs?: number; what?: string } = {},
): Promise<NonNullable<Value>> {
  for (let looks = withinMs / lookMs; ; looks--) {
    const value = await state();
    if (value) return value;
    if (looks <= 0) throw new Error(`${what} did not come within ${withinMs} ms`);
    await pause(lookMs);
  }
}
