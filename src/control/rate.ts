/**
 * Requests per user id: a bucket that fills with time. Input: user ids of authorised peers.
 * Invariant: at most `controlUsersMax` buckets; when full, the least recently used one is
 * forgotten, which can only be generous to its owner. Claims: D-03.
 */
import { controlRequestRefillMs, controlRequestsBurst, controlUsersMax } from '../limits.ts';

interface Bucket {
  left: number;
  at: number;
}

/** Says whether a user may make one more request now; a yes takes it from the budget. */
export class RequestRate {
  readonly #now: () => number;
  readonly #buckets = new Map<number, Bucket>();

  /** `now`: milliseconds that never go back. */
  constructor(now: () => number) {
    this.#now = now;
  }

  get users(): number {
    return this.#buckets.size;
  }

  take(uid: number): boolean {
    const time = this.#now();
    const bucket = this.#buckets.get(uid) ?? { left: controlRequestsBurst, at: time };
    this.#buckets.delete(uid);
    const oldest = this.#buckets.keys().next();
    if (this.#buckets.size >= controlUsersMax && !oldest.done) this.#buckets.delete(oldest.value);
    this.#buckets.set(uid, bucket);
    const gained = Math.floor((time - bucket.at) / controlRequestRefillMs);
    bucket.left = Math.min(controlRequestsBurst, bucket.left + gained);
    bucket.at += gained * controlRequestRefillMs;
    if (bucket.left === 0) return false;
    bucket.left -= 1;
    return true;
  }
}
