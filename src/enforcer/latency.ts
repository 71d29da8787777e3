/**
 * How long decisions wait for the kernel: a count for each bucket, from when the oldest decision of
 * a batch was there to the kernel's acknowledgement of the batch. Memory: a number for each bucket.
 */
import { banLatencyBuckets } from '../limits.ts';

export class Latency {
  /** By bucket, the last one for all beyond. */
  readonly counts: number[] = banLatencyBuckets.concat(Infinity).map(() => 0);
  /** Of all, seconds. */
  sum = 0;

  note(bans: number, seconds: number): void {
    const bucket = banLatencyBuckets.findIndex((bound) => seconds <= bound);
    this.counts.splice(bucket, 1, this.counts.at(bucket)! + bans);
    this.sum += bans * seconds;
  }

  /** Bans up to each bound, and of all. */
  get cumulative(): number[] {
    let sum = 0;
    return this.counts.map((count) => (sum += count));
  }

  /**
   * The bound within which that share of the bans is, seconds: the last one where it is more, 0
   * where there are none.
   */
  quantile(share: number): number {
    const upTo = this.cumulative;
    const wanted = share * upTo.at(-1)!;
    return wanted === 0
      ? 0
      : (banLatencyBuckets[upTo.findIndex((count) => count >= wanted)] ?? banLatencyBuckets.at(-1)!);
  }
}
