/**
 * Random numbers from a seed, the same on every machine: the seed alone repeats a finding
 * (xorshift, Marsaglia 2003).
 */
export class Random {
  #state: number;

  constructor(seed: number) {
    // A state of zero would stay zero.
    this.#state = Math.imul(seed ^ 0x9e3779b9, 0x85ebca6b) | 1;
    for (let i = 0; i < 8; i++) this.bits();
  }

  /** 32 bits. */
  bits(): number {
    let x = this.#state;
    x ^= x << 13;
    x ^= x >>> 17;
    x ^= x << 5;
    this.#state = x;
    return x >>> 0;
  }

  /** 0 … count - 1. */
  below(count: number): number {
    return Math.floor((this.bits() / 4_294_967_296) * count);
  }

  pick<Item>(items: readonly Item[]): Item {
    return items[this.below(items.length)] as Item;
  }
}
