/**
 * The parts of the program that are not JavaScript: the engine, the addon, the build's
 * measurements. They lie in build/ of a checkout or package, or inside the single executable
 * (src/single/), which loads the addon from an unnamed file.
 */
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { getRawAsset, isSea } from 'node:sea';

/**
 * Holds the descriptor of the addon in the single executable, or the reason why there is none; set
 * at its start.
 */
export const addonVariable = 'FAIL2ZIG_ADDON_FD';

/** A part is missing or cannot be loaded. The message is for whoever installed the program. */
export class MissingPart extends Error {
  override readonly name = 'MissingPart';
}

/** Relative to src/, to src/engine/ and src/commands/, and to dist/. */
const folders = [join(import.meta.dirname, '..', 'build'), join(import.meta.dirname, '..', '..', 'build')];

/** The path of a part in a checkout; if it is missing, throws with what to do. */
export function partFile(name: string): string {
  const file = folders.map((folder) => join(folder, name)).find((path) => existsSync(path));
  if (file === undefined) throw new MissingPart(`${name} not found in ${folders.join(' or ')}: run \`npm run build\``);
  return file;
}

/** The bytes of a part; throws as above. */
export function readPart(name: string): Uint8Array {
  return isSea() ? new Uint8Array(getRawAsset(name)) : readFileSync(partFile(name));
}

/** The file from which the addon is loaded. */
export function addonFile(): string {
  if (!isSea()) return partFile('fail2zig.node');
  const fd = process.env[addonVariable] ?? 'nothing was tried';
  if (!/^\d+$/.test(fd)) throw new MissingPart(`there is no place to load the native part from: ${fd}`);
  return `/proc/self/fd/${fd}`;
}
