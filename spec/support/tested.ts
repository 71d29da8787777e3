/**
 * Test files as the body of a claim: what they assert is written once and used twice. They run in a
 * separate process, over this tree or over a copy with a named breakage.
 */
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

async function runTests(place: string, files: readonly string[]): Promise<{ count: number; failed: string[] }> {
  const { NODE_V8_COVERAGE: _, ...env } = process.env;
  const program = join(place, 'spec/support/run-tests.ts');
  // Exit status 1 says that tests failed: the last line says which.
  const { stdout } = await promisify(execFile)(process.execPath, [program, ...files], { cwd: place, env }).catch(
    (error: { stdout: string }) => error,
  );
  return JSON.parse(stdout.trimEnd().split('\n').at(-1) ?? '') as { count: number; failed: string[] };
}

/** The test files, over this tree or over one with the breakage. */
export function tested(files: readonly string[], breakage?: string): Supply<Tests> {
  return {
    make() {
      const { path, remove } = breakage === undefined ? { path: root, remove: () => {} } : copyWith(breakage);
      return { run: () => runTests(path, files), remove };
    },
    dispose: ({ remove }) => remove(),
  };
}

/** A twin that the tests must reject; `title` is part of the title of a failing test. */
export function testedTwin(files: readonly string[], breakage: string, title: string): Twin<Tests> {
  const expected = new RegExp(`^\\d+ tests failed: .*${title.replaceAll(/[.*+?^${}()|[\]\\]/g, '\\$&')}`);
  return { why: `a tree in which ${breakage}`, piece: tested(files, breakage), expected };
}

/** Runs them; fails by an assertion that names the failed ones. */
export async function assertTests({ run }: Tests): Promise<string> {
  const { count, failed } = await run();
  assertNone(failed, 'tests failed');
  return `${count} tests`;
}
