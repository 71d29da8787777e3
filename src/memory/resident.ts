/**
 * How much memory the process occupies, as the kernel counts it: the figures that `ps -o rss=`
 * shows and the memory claims use.
 */
import { openSync, readFileSync, readSync } from 'node:fs';

/** Resident bytes: all, those without a file behind them or shared, and those with a file. */
export function residentParts(): { all: number; anonymous: number; file: number } {
  const field = status();
  return { all: field('VmRSS'), anonymous: field('RssAnon') + field('RssShmem'), file: field('RssFile') };
}

/** The fields of this moment, bytes. */
function status(): (name: string) => number {
  const lines = readFileSync('/proc/self/status', 'latin1').split('\n');
  return (name) => {
    const line = lines.find((text) => text.startsWith(`${name}:`));
    return line === undefined ? 0 : Number.parseInt(line.slice(name.length + 1), 10) * 1024;
  };
}

/** VmRSS, bytes. */
export function residentBytes(): number {
  return status()('VmRSS');
}

/** VmHWM, the highest VmRSS since the start, bytes. */
export function residentPeakBytes(): number {
  return status()('VmHWM');
}

/** The same figures for frequent reads, from a file of one line (/proc/self/statm, in pages). */
export class ResidentReader {
  /** Resident bytes, and those of them with a file behind, at the last `read`. */
  all = 0;
  file = 0;
  readonly #descriptor = openSync('/proc/self/statm', 'r');
  readonly #text = Buffer.alloc(128);
  readonly #pageBytes: number;

  constructor(pageBytes: number) {
    this.#pageBytes = pageBytes;
  }

  read(): void {
    const length = readSync(this.#descriptor, this.#text, 0, this.#text.length, 0);
    const [, all, file] = this.#text.toString('latin1', 0, length).split(' ', 3);
    this.all = Number(all) * this.#pageBytes;
    this.file = Number(file) * this.#pageBytes;
  }
}
