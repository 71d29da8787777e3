/**
 * What the process occupies, as the kernel counts it: the figures `ps -o rss=` and the memory
 * claims speak of.
 */
import { openSync, readFileSync, readSync } from 'node:fs';

/** All of it, what is without a file behind it or shared, and what is with one, bytes. */
export function residentParts(): { all: number; anonymous: number; file: number } {
  const shared = statusField('RssShmem');
  const [all, anonymous, file] = [statusField('VmRSS'), statusField('RssAnon') + shared, statusField('RssFile')];
  return { all, anonymous, file };
}

function statusField(name: string): number {
  const line = readFileSync('/proc/self/status', 'latin1')
    .split('\n')
    .find((text) => text.startsWith(`${name}:`));
  return line === undefined ? 0 : Number.parseInt(line.slice(name.length + 1), 10) * 1024;
}

/** VmRSS, bytes. */
export function residentBytes(): number {
  return statusField('VmRSS');
}

/** VmHWM, the highest VmRSS since the start, bytes. */
export function residentPeakBytes(): number {
  return statusField('VmHWM');
}

/**
 * The same figures read often: no string, no garbage (/proc/self/statm: size, resident and shared
 * pages, ...).
 */
export class ResidentReader {
  /** Bytes resident, and those of them with a file behind, at the last `read`. */
  all = 0;
  file = 0;
  readonly #descriptor = openSync('/proc/self/statm', 'r');
  readonly #text = new Uint8Array(128);
  readonly #pageBytes: number;

  constructor(pageBytes: number) {
    this.#pageBytes = pageBytes;
  }

  read(): void {
    const length = readSync(this.#descriptor, this.#text, 0, this.#text.length, 0);
    let field = 0;
    let value = 0;
    for (let at = 0; at < length && field < 3; at++) {
      const byte = this.#text[at]!;
      if (byte >= 48) {
        value = value * 10 + byte - 48;
        continue;
      }
      if (field === 1) this.all = value * this.#pageBytes;
      if (field === 2) this.file = value * this.#pageBytes;
      field++;
      value = 0;
    }
  }
}
