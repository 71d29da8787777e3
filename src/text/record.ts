/**
 * The record that the launch stage hands to the core: CoreConfig as JSON in a memory file. Free of
 * dependencies, because the core carries this file: it trusts the record's values, which the launch
 * stage checked, and only makes sure that it is one.
 */
import { closeSync, fstatSync, readFileSync } from 'node:fs';
import { coreConfigBytesMax } from '../limits.ts';
import type { CoreConfig } from '../types.ts';

const sections = [
  'memory',
  'firewall',
  'control',
  'metrics',
  'state',
  'log',
  'confinement',
  'filters',
  'jails',
] as const;

/** Reads the record back; throws where the text is none. */
export function decodeCoreConfig(text: string): CoreConfig {
  const value = JSON.parse(text) as CoreConfig | null;
  for (const section of sections) {
    if (!(value?.[section] instanceof Object)) throw new Error(`the configuration record has no ${section}`);
  }
  return value as CoreConfig;
}

/** Reads the record from an open file, from its start, and closes it. */
export function readCoreConfig(fd: number): CoreConfig {
  try {
    const { size } = fstatSync(fd);
    if (size === 0 || size > coreConfigBytesMax) throw new Error(`configuration record of ${size} bytes`);
    // Opened once more: what we were given stands at its end.
    return decodeCoreConfig(readFileSync(`/proc/self/fd/${fd}`, 'utf8'));
  } finally {
    closeSync(fd);
  }
}
