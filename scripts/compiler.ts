/**
 * The AssemblyScript compiler; its process remembers the files of one build for the next.
 */
import asc from 'assemblyscript/asc';

const compilersOwn = new Set(Object.keys(asc.libraryFiles));

/** Makes it read every file again: two builds may have different files of the same name. */
export function forgetFiles(): void {
  for (const name of Object.keys(asc.libraryFiles)) if (!compilersOwn.has(name)) delete asc.libraryFiles[name];
}
