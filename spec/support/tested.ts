/**
 * Tests as the body of a claim: what they assert is written once and used twice. They run in a
 * separate process, over this tree or over a copy with a named breakage.
 */
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { assertNone } from '../assertions.ts';
import type { Supply, Twin } from '../claim.ts';
import { copyWith, root } from './broken.ts';

/** Tests in a tree: how many there are, and the titles of those that failed. */
export interface Tests {
  run: () => Promise<{ count: number; failed: string[] }>;
  remove: () => void;
}

/** Tests: the path of their file, and a part of their title, or nothing for all of the file. */
export type Named = readonly [path: string, title: string];

/** `text` as a regular expression that matches it and nothing else. */
const exactly = (text: string): string => text.replaceAll(/[.*+?^${}()|[\]\\]/g, '\\$&');

async function runTests(place: string, named: readonly Named[]): Promise<{ count: number; failed: string[] }> {
  const { NODE_V8_COVERAGE: _, ...ours } = process.env;
  // Over a breakage a test often waits for what never comes: not as long as usual.
  const env = place === root ? ours : { ...ours, UNTIL_MS: '4000' };
  const program = join(place, 'spec/support/run-tests.ts');
  const pattern = named.map(([, title]) => exactly(title)).join('|');
  const files = new Set(named.map(([path]) => path));
  // Exit status 1 says that tests failed: the last line says which.
  const { stdout } = await promisify(execFile)(process.execPath, [program, pattern, ...files], {
    cwd: place,
    env,
  }).catch((error: { stdout: string }) => error);
  return JSON.parse(stdout.trimEnd().split('\n').at(-1) ?? '') as { count: number; failed: string[] };
}

/** The tests, over this tree or over one with the breakage. */
export function tested(named: readonly Named[], breakage?: string): Supply<Tests> {
  return {
    make() {
      const { path, remove } = breakage === undefined ? { path: root, remove: () => {} } : copyWith(breakage);
      return { run: () => runTests(path, named), remove };
    },
    dispose: ({ remove }) => remove(),
  };
}

/** A twin that a test must reject. */
export function testedTwin(named: Named, breakage: string): Twin<Tests> {
  const expected = new RegExp(`^\\d+ tests failed: .*${exactly(named[1])}`);
  return { why: `a tree in which ${breakage}`, piece: tested([named], breakage), expected };
}

/** Runs them; fails by an assertion that names the failed ones. */
export async function assertTests({ run }: Tests): Promise<string> {
  const { count, failed } = await run();
  assert.ok(count > 0 || failed.length > 0, 'no test has that title');
  assertNone(failed, 'tests failed');
  return `${count} tests`;
}
