/**
 * The scenarios of test/netns as the body of a claim: the same code that the tests run on the real
 * kernel, in its own namespaces. A twin is the same over a copy of the tree with a named breakage
 * (test/sabotage).
 */
import { execFile } from 'node:child_process';
import { cpSync, symlinkSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { temporaryDirectory } from '../../test/support/control.ts';
import { runScenario } from '../../test/support/namespace.ts';
import { assertNone } from '../assertions.ts';
import type { Supply } from '../claim.ts';
import { applyChanges, breakage, type Change, root } from './broken.ts';

export { breakage, type Change };

/** Scenarios by the file of test/netns that holds them. */
export type Scenarios = Readonly<Record<string, readonly string[]>>;

/** Used with a breakage after which something never comes, so that we do not wait long. */
export const impatient: Change = {
  path: 'test/support/until.ts',
  find: 'UNTIL_MS ?? 15_000',
  put: 'UNTIL_MS ?? 2_500',
};

/** Runs scenarios in a tree; returns the reason of each failure. */
export interface Scene {
  count: number;
  run: () => Promise<string[]>;
  remove: () => void;
}

/** Scenarios at once: they wait more than they work. */
const atOnceMax = 2 * availableParallelism();

const sources = ['src', 'test', 'scripts', 'spec', 'bin', 'native', 'package.json', 'tsconfig.json'];
/** Copied after the sources, and so newer: only what depends on a change is rebuilt. */
const built = ['dist', 'build'];
/** Linked in a copy: large, and never changed. */
const linked = ['node_modules', '.git'];

/** A copy of the tree with the changes in it, rebuilt if the program depends on what changed. */
export async function brokenTree(changes: readonly Change[]): Promise<{ root: string; remove: () => void }> {
  const { path: place, remove } = temporaryDirectory();
  const leftOut = ['build/tools', 'build/sabotage'].map((name) => join(root, name));
  const filter = (from: string): boolean => !leftOut.includes(from);
  for (const name of [...sources, ...built]) cpSync(join(root, name), join(place, name), { recursive: true, filter });
  for (const name of [...linked, 'build/tools']) symlinkSync(join(root, name), join(place, name));
  applyChanges(place, changes);
  const { NODE_V8_COVERAGE: _, ...env } = process.env;
  await promisify(execFile)(process.execPath, ['scripts/build.ts', '--quiet'], { cwd: place, env });
  return { root: place, remove };
}

/** The first line of what a scenario failed by. */
function reasonOf(error: unknown): string {
  const { message } = error as Error;
  return /^(?:\w*Error)(?: \[\w+\])?: (.*)$/m.exec(message)?.[1] ?? message.split('\n', 1)[0]!;
}

/** The scenarios, over the real tree or over one with changes. */
export function scenarios(picked: Scenarios, ...changes: Change[]): Supply<Scene> {
  return {
    async make() {
      const tree = changes.length === 0 ? { root, remove: () => {} } : await brokenTree(changes);
      const waiting = Object.entries(picked).flatMap(([file, names]) =>
        names.map((name) => ({ file: join(tree.root, 'test', 'netns', `${file}.scenario.ts`), name })),
      );
      const count = waiting.length;
      const run = async (): Promise<string[]> => {
        const failed: string[] = [];
        const worker = async (): Promise<void> => {
          for (let next = waiting.shift(); next !== undefined; next = waiting.shift()) {
            const { file, name } = next;
            await runScenario(file, name).catch((error) => failed.push(`${name}: ${reasonOf(error)}`));
          }
        };
        await Promise.all(Array.from({ length: atOnceMax }, worker));
        return failed;
      };
      return { count, run, remove: tree.remove };
    },
    dispose: ({ remove }) => remove(),
  };
}

/** Runs all and returns their number; fails by an assertion that names the failed ones. */
export async function assertScene({ count, run }: Scene): Promise<string> {
  assertNone(await run(), 'scenarios failed');
  return `${count} scenarios on the real kernel`;
}
