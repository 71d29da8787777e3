/**
 * Whether the times in the logs are understood and agree with the clock. A log in another time zone
 * bans nobody, since its lines seem to lie in the future or to be too old. Each file is reported
 * once, and is listed among the problems while its lines are off. Whoever writes a log controls its
 * times; false ones cost a warning.
 */
import type { Engine } from '../engine/host.ts';
import { logClockMs, offLinesMin } from '../limits.ts';
import type { Logger } from '../log.ts';
import type { FileSource } from '../sources/file.ts';

const quarterSeconds = 900;

export class LogClocks {
  readonly #engine: Engine;
  readonly #files: FileSource;
  readonly #log: Logger;
  /** Paths that were reported. */
  readonly #off = new Set<string>();
  readonly #unread = new Set<string>();
  #timer: NodeJS.Timeout | undefined;

  constructor({ engine, files, log }: { engine: Engine; files: FileSource; log: Logger }) {
    this.#engine = engine;
    this.#files = files;
    this.#log = log;
  }

  start(): void {
    this.#timer = setInterval(() => this.look(), logClockMs);
  }

  stop(): void {
    clearInterval(this.#timer);
  }

  /** Reports each problem that was not reported before. */
  look(): void {
    for (const { path, source, state } of this.#files.status()) {
      if (state !== 'reading') continue;
      const { offLines, offSeconds, unreadTimes } = this.#engine.clockOf(source);
      if (offLines < offLinesMin) this.#off.delete(path);
      else if (!this.#off.has(path)) {
        this.#off.add(path);
        this.#log.warn('the times in a log are wrong', { path, problem: describeOff(offSeconds) });
      }
      if (unreadTimes === 0 || this.#unread.has(path)) continue;
      this.#unread.add(path);
      this.#log.warn('lines begin with a time in an unknown format: they count at their arrival', { path });
    }
  }

  /** The logs whose last lines have wrong times. */
  problems(): string[] {
    return this.#files.status().flatMap(({ path, source, state }) => {
      if (state !== 'reading') return [];
      const { offLines, offSeconds } = this.#engine.clockOf(source);
      return offLines < offLinesMin ? [] : [`${path}: ${describeOff(offSeconds)}`];
    });
  }
}

/** By how much times are off, and what may help. */
export function describeOff(seconds: number, localSeconds = -new Date().getTimezoneOffset() * 60): string {
  const off = Math.round(seconds / quarterSeconds) * quarterSeconds;
  const distance = hoursOf(Math.abs(off)).replace(/^0|:00$/g, '');
  const zone = localSeconds + off;
  const text = `${zone < 0 ? '-' : '+'}${hoursOf(Math.abs(zone))}`;
  const side = off > 0 ? 'ahead of' : 'behind';
  return `its times lie ${distance} h ${side} the clock: if it is written in another time zone, set timezone in its jail, here perhaps "${text}"`;
}

function hoursOf(seconds: number): string {
  const two = (value: number): string => String(value).padStart(2, '0');
  return `${two(Math.floor(seconds / 3_600))}:${two(Math.floor(seconds / 60) % 60)}`;
}
