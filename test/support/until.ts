/**
 * Tests wait for a state, never for a time. They poll it with a generous deadline, which only a
 * failing test reaches.
 */

import { setTimeout as pause } from 'node:timers/promises';

/** A mutation run, which waits in vain for every mutant that is found here, sets a shorter one. */
const deadlineMs = (): number => Number(process.env.UNTIL_MS ?? 15_000);

/**
 * Resolves with the first truthy value of `state`. Rejects if there is none before the deadline,
 * and names `what`.
 */
export async function until<Value>(
  state: () => Value | Promise<Value>,
  { withinMs = deadlineMs(), what = 'the awaited state' }: { withinMs?: number; what?: string } = {},
): Promise<NonNullable<Value>> {
  const deadline = performance.now() + withinMs;
  for (;;) {
    const value = await state();
    if (value) return value;
    if (performance.now() > deadline) throw new Error(`${what} did not come within ${withinMs} ms`);
    await pause(2);
  }
}
