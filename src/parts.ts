/**
 * The parts of the program that are no script: the engine, the addon, what the build measured. They
 * lie in build/ of a checkout or package, or inside the single executable (src/single/), which has
 * the addon loaded from a file without a name.
 */
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { getRawAsset, isSea } from 'node:sea';

/**
 * Names the descriptor of the addon in the single executable, or says why there is none: its start
 * sets it.
 */
export const addonVariable = 'FAIL2ZIG_ADDON_FD';

/** A part is not there, or cannot be loaded: what is said is for whoever installed the program. */
export class MissingPart extends Error {
  override readonly name = 'MissingPart';
}

/** Seen from src/, from src/engine/ and src/commands/, and from dist/. */
const folders = [join(import.meta.dirname, '..', 'build'), join(import.meta.dirname, '..', '..', 'build')];

/** The file of a part of a checkout; throws with what to do where it is missing. */
export function partFile(name: string): string {
  const file = folders.map((folder) => join(folder, name)).find((path) => existsSync(path));
  if (file === undefined) throw new MissingPart(`${name} not found in ${folders.join(' or ')}: run \`npm run build\``);
  return file;
}

/** The bytes of a part; throws as above. */
export function readPart(name: string): Uint8Array {
  return isSea() ? new Uint8Array(getRawAsset(name)) : readFileSync(partFile(name));
}

/** What the addon is loaded from. */
export function addonFile(): string {
  if (!isSea()) return partFile('fail2zig.node');
  const fd = process.env[addonVariable] ?? 'nothing was tried';
  if (!/^\d+$/.test(fd)) throw new MissingPart(`there is no place to load the native part from: ${fd}`);
  return `/proc/self/fd/${fd}`;
}
