/**
 * A pause that ends at once if the process should stop.
 */
import { setTimeout as sleep } from 'node:timers/promises';

export async function pause(milliseconds: number, signal: AbortSignal): Promise<void> {
  await sleep(milliseconds, undefined, { signal }).catch(() => undefined);
}
