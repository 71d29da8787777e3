/**
 * How long decisions wait for the kernel: a histogram of the time from the oldest decision of a
 * batch to the kernel's ACK of the batch. Memory: one number for each bucket.
 */
import { banLatencyBuckets } from '../limits.ts';

export class Latency {
  /** By bucket; the last one is for everything beyond. */
  readonly counts: number[] = banLatencyBuckets.concat(Infinity).map(() => 0);
  /** Sum of all times, seconds. */
  sum = 0;

  note(bans: number, seconds: number): void {
    const bucket = banLatencyBuckets.findIndex((bound) => seconds <= bound);
    this.counts.splice(bucket, 1, this.counts.at(bucket)! + bans);
    this.sum += bans * seconds;
  }

  /** Bans up to each bound, and all bans. */
  get cumulative(): number[] {
    let sum = 0;
    return this.counts.map((count) => (sum += count));
  }

  /**
   * The bucket bound that covers this share of the bans, seconds; the last bound if it is more, 0
   * if there are no bans.
   */
  quantile(share: number): number {
    const upTo = this.cumulative;
    const wanted = share * upTo.at(-1)!;
    return wanted === 0
      ? 0
      : (banLatencyBuckets[upTo.findIndex((count) => count >= wanted)] ?? banLatencyBuckets.at(-1)!);
  }
}
