/**
 * Pushes one finished file, or a pipe, through the engine at full speed: what `match` and `replay`
 * stand on. The content is anybody's. Memory stays the engine's buffer, however long the input or
 * its lines.
 */

import { closeSync, openSync, readSync } from 'node:fs';
import type { LineSink } from '../engine/host.ts';

export interface ReadWholeOptions {
  /** Source number handed to `feed`. */
  source: number;
  /** Epoch seconds handed to `feed`. */
  now: number;
  /** Takes the decisions out of the ring; called after every `feed`. */
  drain(): void;
}

/**
 * Feeds everything from a path ("-" is standard input) and returns the bytes read. The last line is
 * fed even without a newline. Throws the system's error with its `path`, or an Error when the ring
 * stays full although `drain` was called.
 */
export function readWhole(path: string, sink: LineSink, options: ReadWholeOptions): number {
  return withInput(path, (descriptor) => readDescriptor(descriptor, sink, options));
}

/**
 * Opens a path ("-" is standard input) for `read`. Throws the system's error with its `path`: of a
 * failed read Node names none.
 */
export function withInput<Result>(path: string, read: (descriptor: number) => Result): Result {
  const descriptor = path === '-' ? 0 : openSync(path, 'r');
  try {
    return read(descriptor);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== undefined) Object.assign(error as Error, { path });
    throw error;
  } finally {
    if (descriptor !== 0) closeSync(descriptor);
  }
}

function readDescriptor(descriptor: number, sink: LineSink, options: ReadWholeOptions): number {
  const { buffer } = sink;
  let held = 0;
  let offset = 0;
  for (;;) {
    const count = held === buffer.length ? 0 : readSync(descriptor, buffer, held, buffer.length - held, null);
    const final = count === 0 && held < buffer.length;
    held += count;
    if (held === 0) return offset;
    const consumed = sink.feed(options.source, held, offset, options.now, final);
    options.drain();
    if (consumed < held) {
      if (consumed === 0 && count === 0) throw new Error(`the engine takes no more: its decision ring is not drained`);
      buffer.copyWithin(0, consumed, held);
    }
    held -= consumed;
    offset += consumed;
  }
}
