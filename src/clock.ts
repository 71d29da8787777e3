/**
 * The wall clock, and when somebody sets it. Everything that the daemon remembers is in epoch
 * seconds; the kernel counts down what is left of a ban and does not care about the wall clock. So
 * when the wall clock jumps, what is remembered has to be moved by as much.
 *
 * The monotonic clock says what a jump is. It runs as the wall clock does while nobody sets that,
 * corrections of its pace included.
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
   * @param stepped told by how many seconds the clock was set, before anybody is told the new time
   */
  constructor(stepped: (seconds: number) => void, wall = Date.now, monotonic = () => performance.now()) {
    this.#stepped = stepped;
    this.#wall = wall;
    this.#monotonic = monotonic;
    this.#offset = this.#difference();
  }

  /** Epoch milliseconds. */
  readonly now = (): number => {
    // Where the process stands still between two readings, they seem to differ: a second look
    // tells.
    if (this.#step() !== 0) {
      const seconds = this.#step();
      this.#offset += seconds * 1000;
      if (seconds !== 0) this.#stepped(seconds);
    }
    return this.#wall();
  };

  /** Looks now and then from now on, for those who read the wall clock themselves. */
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

  /** Seconds by which the clock was set since the last step; 0 = not worth speaking of. */
  #step(): number {
    const seconds = Math.round((this.#difference() - this.#offset) / 1000);
    return Math.abs(seconds) < clockStepSecondsMin ? 0 : seconds;
  }
}

/** A moment that no setting of the wall clock touches: which boot it is, and seconds since then. */
export interface BootTime {
  boot: string;
  seconds: number;
}

/** Undefined where the machine does not tell. */
export function bootTime(): BootTime | undefined {
  try {
    const boot = readFileSync('/proc/sys/kernel/random/boot_id', 'latin1').trim();
    return { boot, seconds: Number(native.bootNanoseconds()) / 1e9 };
  } catch {
    return undefined;
  }
}

/**
 * By how many seconds the wall clock was set between a moment that was noted and now. Within one
 * boot the time since boot tells; otherwise only a clock that runs backwards does, and then nothing
 * is known of the time between: none has passed, as far as we know.
 * @param then @param now epoch seconds
 */
export function stepBetween(then: number, thenBoot: BootTime | undefined, now: number, nowBoot: BootTime | undefined) {
  const isSame = thenBoot !== undefined && nowBoot !== undefined && thenBoot.boot === nowBoot.boot;
  const passed = isSame ? nowBoot.seconds - thenBoot.seconds : Number.NaN;
  if (!(passed >= 0)) return Math.min(0, Math.round(now - then));
  const step = Math.round(now - then - passed);
  return Math.abs(step) < clockStepSecondsMin ? 0 : step;
}
