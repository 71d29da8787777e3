/**
 * The wall clock, and what happens when somebody sets it. The daemon remembers every time in epoch
 * seconds. The kernel counts down the rest of a ban and does not look at the wall clock. So when
 * the wall clock jumps, all remembered times have to move by the same amount.
 *
 * The monotonic clock shows what is a jump. It runs like the wall clock as long as nobody sets
 * that, and follows the corrections of its pace too.
 */
import { readFileSync } from 'node:fs';
import { clockLookMs, clockStepSecondsMin } from './limits.ts';
import { native } from './native.ts';

export class Clock {
  readonly #stepped: (seconds: number) => void;
  readonly #wall: () => number;
  readonly #monotonic: () => number;
  /** Wall clock minus monotonic clock, ms. */
  #offset: number;
  #timer: NodeJS.Timeout | undefined;

  /**
   * @param stepped gets the seconds by which the clock was set, before anybody sees the new time
   */
  constructor(stepped: (seconds: number) => void, wall = Date.now, monotonic = () => performance.now()) {
    this.#stepped = stepped;
    this.#wall = wall;
    this.#monotonic = monotonic;
    this.#offset = this.#difference();
  }

  /** Epoch milliseconds. */
  readonly now = (): number => {
    // When the process is stopped between the two readings, they differ as well. A second look
    // tells.
    if (this.#step() !== 0) {
      const seconds = this.#step();
      this.#offset += seconds * 1000;
      if (seconds !== 0) this.#stepped(seconds);
    }
    return this.#wall();
  };

  /** From now on looks at intervals, for code that reads the wall clock itself. */
  start(): void {
    this.#timer = setInterval(this.now, clockLookMs);
    this.#timer.unref();
  }

  stop(): void {
    clearInterval(this.#timer);
  }

  #difference(): number {
    return this.#wall() - this.#monotonic();
  }

  /** Seconds by which the clock was set since the last step; 0 = none worth a mention. */
  #step(): number {
    const seconds = Math.round((this.#difference() - this.#offset) / 1000);
    return Math.abs(seconds) < clockStepSecondsMin ? 0 : seconds;
  }
}

/** A moment that is independent of the wall clock: which boot, and seconds since that boot. */
export interface BootTime {
  boot: string;
  seconds: number;
}

/** Undefined where the machine does not say. */
export function bootTime(): BootTime | undefined {
  try {
    const boot = readFileSync('/proc/sys/kernel/random/boot_id', 'latin1').trim();
    return { boot, seconds: Number(native.bootNanoseconds()) / 1e9 };
  } catch {
    return undefined;
  }
}

/**
 * By how many seconds the wall clock was set between a noted moment and now. Within one boot, the
 * time since boot shows it. Across a boot only a clock that went back shows it; then we do not know
 * how much time has passed and assume none.
 * @param then @param now epoch seconds
 */
export function stepBetween(then: number, thenBoot: BootTime | undefined, now: number, nowBoot: BootTime | undefined) {
  const isSame = thenBoot !== undefined && nowBoot !== undefined && thenBoot.boot === nowBoot.boot;
  const passed = isSame ? nowBoot.seconds - thenBoot.seconds : Number.NaN;
  if (!(passed >= 0)) return Math.min(0, Math.round(now - then));
  const step = Math.round(now - then - passed);
  return Math.abs(step) < clockStepSecondsMin ? 0 : step;
}
