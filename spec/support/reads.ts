/**
 * The real file source over the real engine, with every read of a log noted: where its bytes went
 * and how many they were.
 */
import { appendFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Engine, LineSink } from '../../src/engine/host.ts';
import { native } from '../../src/native.ts';
import { FileSource } from '../../src/sources/file.ts';
import { temporaryDirectory } from '../../test/support/control.ts';

export interface Read {
  /** Memory that the bytes were read into. */
  memory: ArrayBufferLike;
  count: number;
}

/**
 * Follows a log in which `text` is written, through `sink`; resolves to the reads once all of it
 * was fed.
 */
export function readsOf(text: string, engine: Engine, sink: LineSink = engine): Read[] {
  const directory = temporaryDirectory();
  const path = join(directory.path, 'auth.log');
  writeFileSync(path, '');
  const reads: Read[] = [];
  const original = native.readAround;
  native.readAround = (fd, before, into, position) => {
    const count = original(fd, before, into, position);
    reads.push({ memory: into.buffer, count: Math.max(0, count - before.length) });
    return count;
  };
  const source = new FileSource({
    patterns: [path],
    assign: () => 0,
    release: () => {},
    now: () => Date.now() / 1000,
    monotonic: () => performance.now(),
    drain: () => {},
    event: () => {},
    sink,
  });
  try {
    source.start();
    appendFileSync(path, text);
    source.drain();
  } finally {
    source.stop();
    native.readAround = original;
    directory.remove();
  }
  return reads;
}

/** How often `bytes` occur in `memory`. */
export function occurrences(memory: Uint8Array, bytes: string): number {
  const text = Buffer.from(memory.buffer, memory.byteOffset, memory.byteLength);
  let count = 0;
  for (let at = text.indexOf(bytes); at >= 0; at = text.indexOf(bytes, at + 1)) count++;
  return count;
}
