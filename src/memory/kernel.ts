/**
 * What bans take of the kernel's memory. It counts against no ceiling of ours, but against the
 * control group that the daemon runs in.
 */
import { kernelBanBytes } from '../limits.ts';

/** About the bytes of the bans that the kernel holds, `heldSix` of them IPv6. */
export function kernelBytes(counts: readonly { held: number; heldSix: number }[]): number {
  const { 4: four, 6: six } = kernelBanBytes;
  return counts.reduce((sum, { held, heldSix }) => sum + (held - heldSix) * four + heldSix * six, 0);
}
