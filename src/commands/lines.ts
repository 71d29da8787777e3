/**
 * The lines of a file or of standard input, one at a time and in bounded memory. The content is
 * anybody's: a line over the limit is cut (its rest is skipped), whatever its length.
 */
import { readSync } from 'node:fs';
import { lineBytesMax } from '../limits.ts';
import { withInput } from '../sources/read-whole.ts';

const chunkBytes = 64 * 1024;
const newline = 10;
const carriageReturn = 13;

/**
 * Calls `take` with each line without its end; the bytes are valid during the call only. "-" is
 * standard input. Throws the system's error with its `path`.
 */
export function eachLine(path: string, take: (line: Uint8Array, cut: boolean) => void): void {
  withInput(path, (descriptor) => readLines(descriptor, take));
}

function readLines(fd: number, take: (line: Uint8Array, cut: boolean) => void): void {
  const chunk = Buffer.allocUnsafe(chunkBytes);
  // What was kept of an unfinished line; one byte more than the limit tells a cut line from a full
  // one.
  const held = Buffer.allocUnsafe(lineBytesMax + 1);
  let heldBytes = 0;
  let begun = false;
  const keep = (bytes: Uint8Array): void => {
    const count = Math.min(bytes.length, held.length - heldBytes);
    held.set(bytes.subarray(0, count), heldBytes);
    heldBytes += count;
    begun = true;
  };
  const give = (): void => {
    const cut = heldBytes > lineBytesMax;
    let length = Math.min(heldBytes, lineBytesMax);
    if (!cut && length > 0 && held[length - 1] === carriageReturn) length--;
    take(held.subarray(0, length), cut);
    heldBytes = 0;
    begun = false;
  };
  for (;;) {
    const count = readSync(fd, chunk, 0, chunkBytes, null);
    if (count === 0) break;
    let start = 0;
    while (start < count) {
      const end = chunk.subarray(0, count).indexOf(newline, start);
      if (end < 0) {
        keep(chunk.subarray(start, count));
        break;
      }
      keep(chunk.subarray(start, end));
      give();
      start = end + 1;
    }
  }
  if (begun) give();
}
