/**
 * Limits requests per user id. Input: user ids of authorised peers. Invariant: at most
 * `controlUsersMax` budgets; when full, the least recently used one is forgotten, so that this user
 * gets a full budget again. Claims: D-03.
 */
import { Bucket } from '../bucket.ts';
import { controlRequestRefillMs, controlRequestsBurst, controlUsersMax } from '../limits.ts';

/** Whether a user may make one more request now. A yes takes one from the budget. */
export class RequestRate {
  readonly #now: () => number;
  readonly #buckets = new Map<number, Bucket>();

  /** `now`: milliseconds of a monotonic clock. */
  constructor(now: () => number) {
    this.#now = now;
  }

  take(uid: number): boolean {
    const bucket = this.#buckets.get(uid) ?? new Bucket(this.#now, controlRequestsBurst, controlRequestRefillMs);
    this.#buckets.delete(uid);
    const oldest = this.#buckets.keys().next();
    if (this.#buckets.size >= controlUsersMax && !oldest.done) this.#buckets.delete(oldest.value);
    this.#buckets.set(uid, bucket);
    return bucket.take();
  }
}
