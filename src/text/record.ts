/**
 * The record that the launch stage hands to the core: CoreConfig as JSON in a memory file. Free of
 * dependencies, because the core carries this file: it trusts the record's values, which the launch
 * stage checked, and only makes sure that it is one.
 */
import { closeSync, fstatSync, readSync } from 'node:fs';
import { coreConfigBytesMax } from '../limits.ts';
import type { CoreConfig } from '../types.ts';

const sections = ['memory', 'firewall', 'control', 'metrics', 'state', 'log'] as const;

/** Reads the record back; throws where the text is none. */
export function decodeCoreConfig(text: string): CoreConfig {
  const value: unknown = JSON.parse(text);
  if (!isTable(value) || typeof value.path !== 'string') throw new Error('not a configuration record');
  for (const section of sections) {
    if (!isTable(value[section])) throw new Error(`the configuration record has no ${section}`);
  }
  if (!Array.isArray(value.filters)) throw new Error('the configuration record has no filters');
  if (!Array.isArray(value.jails) || !value.jails.every((jail) => isTable(jail) && typeof jail.name === 'string')) {
    throw new Error('the configuration record has no jails');
  }
  return value as unknown as CoreConfig;
}

/** Reads the record from an open file, from its start, and closes it. */
export function readCoreConfig(fd: number): CoreConfig {
  try {
    const { size } = fstatSync(fd);
    if (size === 0 || size > coreConfigBytesMax) throw new Error(`configuration record of ${size} bytes`);
    const bytes = Buffer.alloc(size);
    let length = 0;
    while (length < size) {
      const count = readSync(fd, bytes, length, size - length, length);
      if (count === 0) throw new Error('the configuration record ended early');
      length += count;
    }
    return decodeCoreConfig(bytes.toString('utf8'));
  } finally {
    closeSync(fd);
  }
}

function isTable(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
