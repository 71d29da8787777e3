/**
 * Waiting for a state, never for a time: tests poll it with a generous deadline that only a failure
 * reaches.
 */

import { setTimeout as pause } from 'node:timers/promises';

/**
 * Resolves with the first truthy value of `state`; rejects when none came within the deadline,
 * naming `what`.
 */
export async function until<Value>(
  state: () => Value | Promise<Value>,
  { withinMs = 15_000, what = 'the awaited state' }: { withinMs?: number; what?: string } = {},
): Promise<NonNullable<Value>> {
  const deadline = performance.now() + withinMs;
  for (;;) {
    const value = await state();
    if (value) return value;
    if (performance.now() > deadline) throw new Error(`${what} did not come within ${withinMs} ms`);
    await pause(2);
  }
}
