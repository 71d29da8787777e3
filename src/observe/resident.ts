/** What the process occupies, as the kernel counts it: the figures `ps -o rss=` and the memory claims speak of. */
import { readFileSync } from 'node:fs';

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
