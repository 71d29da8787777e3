/**
 * A copy of the tree with changes in it, and a claim proven over such a copy: its specification is
 * loaded from there, and its body runs with the real piece as the broken sources make it. So a twin
 * is a named breakage (test/sabotage) of the real files. This reaches what a specification imports;
 * specifications of the built program use scenarios.ts.
 */
import { cpSync, readdirSync, readFileSync, realpathSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { breakable, breakableFiles, fileOf, Inapplicable } from '../../test/sabotage/breakage.ts';
import { breakages } from '../../test/sabotage/breakages.ts';
import { temporaryDirectory } from '../../test/support/control.ts';
import type { Definition, Evidence } from '../claim.ts';

/** Exact text of one of our files, and its replacement. */
export interface Change {
  path: string;
  find: string;
  put: string;
}

export const root = join(import.meta.dirname, '..', '..');

/** The change that a named breakage makes (test/sabotage). */
export function breakage(name: string): Change {
  const found = breakages.find((each) => each.name === name);
  if (found === undefined) throw new Error(`no breakage "${name}"`);
  const { find, put } = found;
  return {
    // Searched when it is applied: the tree may contain this very breakage.
    get path() {
      return fileOf(found, breakableFiles(root));
    },
    ...{ find, put },
  };
}

export function applyChanges(place: string, changes: readonly Change[]): void {
  for (const { path, find, put } of changes) {
    // A link would lead to the tree itself.
    if (realpathSync(join(place, path)) !== join(realpathSync(place), path)) throw new Error(`${path} is no copy`);
    const text = readFileSync(join(place, path), 'utf8');
    if (text.split(find).length !== 2) {
      throw new Inapplicable(`a change of ${path} cannot be applied: its text stands there not once: ${find}`);
    }
    writeFileSync(
      join(place, path),
      text.replace(find, () => put),
    );
  }
}

/** What a specification imports or a breakage changes; the rest of the tree is linked. */
const copied = [...breakable, 'test', 'package.json'];

/** The wasm engine is built from other files: if the engine is broken, the plain one runs. */
export const plainEngine: Change = {
  path: 'src/engine/host.ts',
  find: "options.build === 'plain' ? await startPlain(options) : startWasm(options)",
  put: 'await startPlain(options)',
};

/** A copy of the tree with the breakage in it; nothing is rebuilt. */
export function copyWith(name: string): { path: string; remove: () => void } {
  const { path: place, remove } = temporaryDirectory();
  for (const entry of readdirSync(root)) {
    if (copied.includes(entry)) cpSync(join(root, entry), join(place, entry), { recursive: true });
    else symlinkSync(join(root, entry), join(place, entry));
  }
  const change = breakage(name);
  applyChanges(place, change.path.startsWith('src/engine/') ? [change, plainEngine] : [change]);
  return { path: place, remove };
}

/** Runs the body of a claim, with the real piece, over a copy of the tree with the breakage. */
export async function provenOver(name: string, specification: string, id: string): Promise<Evidence> {
  const { path: place, remove } = copyWith(name);
  try {
    const load = <Module>(path: string) => import(pathToFileURL(join(place, path)).href) as Promise<Module>;
    const { collect } = await load<typeof import('../claim.ts')>('spec/claim.ts');
    const definitions: Definition[] = await collect(() => load(specification));
    const found = definitions.find(({ ids }) => ids.includes(id));
    if (found === undefined) throw new Error(`${specification} does not define ${id}`);
    return await found.run();
  } finally {
    remove();
  }
}
