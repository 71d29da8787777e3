/**
 * How much kernel memory bans take. It does not count against our ceiling, but against the control
 * group of the daemon.
 */
import { kernelBanBytes } from '../limits.ts';

/** About how many bytes the bans in the kernel take; `heldSix` of them are IPv6. */
export function kernelBytes(counts: readonly { held: number; heldSix: number }[]): number {
  const { 4: four, 6: six } = kernelBanBytes;
  return counts.reduce((sum, { held, heldSix }) => sum + (held - heldSix) * four + heldSix * six, 0);
}
