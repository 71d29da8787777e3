/**
 * Sends one finished file, or a pipe, through the engine at full speed, for `match` and `replay`.
 * Anybody may have written the content. Memory is the engine's buffer, however long the input or
 * its lines.
 */

import { closeSync, fstatSync, openSync, readFileSync, readSync, writeSync } from 'node:fs';
import type { LineSink } from '../engine/host.ts';
import { native } from '../native.ts';
import { printable } from '../text/printable.ts';

/** Largest content of a compressed log, bytes: `match` and `replay` unpack it in memory. */
const unpackedBytesMax = 1024 ** 3;

export interface ReadWholeOptions {
  /** Source number for `feed`. */
  source: number;
  /** Epoch seconds for `feed`. */
  now: number;
  /** Takes the decisions out of the ring; called after every `feed`. */
  drain(): void;
}

/**
 * Feeds everything from a path ("-" is standard input) and returns the number of bytes. The last
 * line is fed even without a newline. Throws the system's error with its `path`, or an Error if the
 * ring stays full although `drain` was called.
 */
export function readWhole(path: string, sink: LineSink, options: ReadWholeOptions): number {
  return withInput(path, (descriptor) => readDescriptor(descriptor, sink, options));
}

/**
 * Opens a path ("-" is standard input) for `read`. Throws the system's error and adds the path,
 * which Node leaves out for a failed read.
 */
export function withInput<Result>(path: string, read: (descriptor: number) => Result): Result {
  let descriptor = path === '-' ? 0 : openSync(path, 'r');
  try {
    if (descriptor !== 0) descriptor = unpacked(descriptor, path);
    return read(descriptor);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== undefined) Object.assign(error as Error, { path });
    throw error;
  } finally {
    if (descriptor !== 0) closeSync(descriptor);
  }
}

/** Loaded on demand: few files need it. */
const zlib = (): typeof import('node:zlib') => process.getBuiltinModule('node:zlib');

/** The first bytes of compressed files, and how to unpack them. */
const packed: readonly { name: string; magic: string; unpack?: (bytes: Uint8Array) => Uint8Array }[] = [
  { name: 'gzip', magic: '1f8b', unpack: (bytes) => zlib().gunzipSync(bytes, { maxOutputLength: unpackedBytesMax }) },
  {
    name: 'zstd',
    magic: '28b52ffd',
    unpack: (bytes) => zlib().zstdDecompressSync(bytes, { maxOutputLength: unpackedBytesMax }),
  },
  { name: 'xz', magic: 'fd377a585a00' },
  { name: 'bzip2', magic: '425a68' },
];

/** A descriptor of the text: for a compressed file, a memory file with the content. Logs that. */
function unpacked(descriptor: number, path: string): number {
  const head = Buffer.alloc(6);
  const length = fstatSync(descriptor).isFile() ? readSync(descriptor, head, 0, head.length, 0) : 0;
  const start = head.toString('hex', 0, length);
  const form = packed.find(({ magic }) => start.startsWith(magic));
  if (form === undefined) return descriptor;
  const { name, unpack } = form;
  const file = printable(path);
  if (unpack === undefined) throw new Error(`${file} is compressed with ${name}: unpack it, and hand it over as "-"`);
  let text: Uint8Array;
  try {
    text = unpack(readFileSync(descriptor));
  } catch (error) {
    throw new Error(`${file}, compressed with ${name}, cannot be unpacked: ${(error as Error).message}`);
  }
  process.stderr.write(`${file} is compressed with ${name}: read unpacked\n`);
  const memory = native.memfd('fail2zig-unpacked');
  if (memory < 0) throw new Error(`no memory file for ${file} (errno ${-memory})`);
  for (let at = 0; at < text.length; ) at += writeSync(memory, text, at, text.length - at, at);
  closeSync(descriptor);
  return memory;
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
