/**
 * The lines of a file or of standard input, one at a time and in bounded memory; of a file of
 * systemd's journal, its messages. Anybody may have written the content: a line over the limit is
 * cut (its rest is skipped), whatever its length.
 */
import { readSync } from 'node:fs';
import { inputBytes, lineBytesMax } from '../limits.ts';
import { everyEntry, isJournal, readJournal } from '../sources/journal/read-whole.ts';
import { withInput } from '../sources/read-whole.ts';

const chunkBytes = 64 * 1024;
const newline = 10;
const carriageReturn = 13;

/** `time`: when an entry of a journal was written, epoch seconds. */
type Take = (line: Uint8Array, cut: boolean, time?: number) => void;

/**
 * Calls `take` with each line without its end; the bytes are valid during the call only. "-" is
 * standard input. Returns what was not read, one sentence each. Throws the system's error with its
 * `path`.
 */
export function eachLine(path: string, take: Take): string[] {
  if (isJournal(path)) return eachMessage(path, take);
  withInput(path, (descriptor) => readLines(descriptor, take));
  return [];
}

function eachMessage(path: string, take: Take): string[] {
  const buffer = new Uint8Array(inputBytes);
  const feedEntry = (_: number, length: number, _seqnum: number, _now: number, time: number, cut: boolean): void =>
    take(buffer.subarray(0, length), cut, time);
  return journalNotes(readJournal(path, [everyEntry], { buffer, feedEntry }, 0, () => {}));
}

/** What was not read of a journal file. */
export function journalNotes({ damaged, unread, ends }: ReturnType<typeof readJournal>): string[] {
  return [
    ...(damaged > 0 ? [`${damaged} damaged entries of the journal were passed over`] : []),
    ...(ends === '' ? [] : [`the journal file was read as far as it goes: ${ends}`]),
    ...[...unread].map(([reason, count]) => `${count} messages of the journal were not read: ${reason}`),
  ];
}

function readLines(fd: number, take: Take): void {
  const chunk = Buffer.allocUnsafe(chunkBytes);
  // The kept part of an unfinished line; with one byte more than the limit, a cut line differs from
  // a full one.
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
