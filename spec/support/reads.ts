/**
 * The real file source over the real engine, with every read of a log recorded: where its bytes
 * went and how many.
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

type Copier = (this: unknown, ...parameters: unknown[]) => unknown;

/** How often `work` copies the bytes around `mark` out of a buffer, by the ways that Node has. */
function copiesDuring(work: () => void, mark: string): number {
  let copies = 0;
  const ways: [object: object, name: string][] = [
    ...['from', 'concat', 'copyBytesFrom'].map((name): [object, string] => [Buffer, name]),
    ...['toString', 'latin1Slice', 'utf8Slice'].map((name): [object, string] => [Buffer.prototype, name]),
    [Uint8Array.prototype, 'slice'],
    [TextDecoder.prototype, 'decode'],
  ];
  const { latin1Slice } = Buffer.prototype as unknown as { latin1Slice: (this: Uint8Array) => string };
  const latin1 = (bytes: Uint8Array): string => latin1Slice.call(bytes);
  const originals = ways.map(([object, name]) => (object as Record<string, Copier>)[name]!);
  for (const [index, [object, name]] of ways.entries()) {
    (object as Record<string, Copier>)[name] = function copying(...parameters) {
      const made = originals[index]!.apply(this, parameters);
      const holds = typeof made === 'string' ? made.includes(mark) : latin1(made as Uint8Array).includes(mark);
      if (holds) copies++;
      return made;
    };
  }
  try {
    work();
  } finally {
    for (const [index, [object, name]] of ways.entries()) (object as Record<string, Copier>)[name] = originals[index]!;
  }
  return copies;
}

/**
 * Follows a log in which `text` is written, through `sink`; resolves to the reads once all of it
 * was fed.
 */
export function readsOf(text: string, engine: Engine, sink: LineSink = engine): { reads: Read[]; copies: number } {
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
  let copies = 0;
  try {
    source.start();
    appendFileSync(path, text);
    copies = copiesDuring(() => source.drain(), text.slice(0, 32));
  } finally {
    source.stop();
    native.readAround = original;
    directory.remove();
  }
  return { reads, copies };
}

/** How often `bytes` occur in `memory`. */
export function occurrences(memory: Uint8Array, bytes: string): number {
  const text = Buffer.from(memory.buffer, memory.byteOffset, memory.byteLength);
  let count = 0;
  for (let at = text.indexOf(bytes); at >= 0; at = text.indexOf(bytes, at + 1)) count++;
  return count;
}
