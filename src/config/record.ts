/**
 * The launch stage's side of the record that text/record.ts reads: the checked configuration as
 * JSON, written into a memory file.
 */
import { writeSync } from 'node:fs';
import { coreConfigBytesMax } from '../limits.ts';
import type { CoreConfig } from '../types.ts';

/** The record's text, as it travels. */
export function encodeCoreConfig(config: CoreConfig): string {
  return JSON.stringify(config);
}

/** Writes the record into an open file, from its start. */
export function writeCoreConfig(fd: number, config: CoreConfig): void {
  const bytes = Buffer.from(encodeCoreConfig(config));
  if (bytes.length > coreConfigBytesMax) throw new Error('the configuration record is too large');
  for (let written = 0; written < bytes.length; ) {
    written += writeSync(fd, bytes, written, bytes.length - written, written);
  }
}
