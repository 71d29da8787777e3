/** Broken on purpose: runs whatever text an operator, or an attacker, put into a file. */
import { readFileSync } from 'node:fs';
import { runInThisContext } from 'node:vm';

export function loadFilter(path: string): unknown {
  return runInThisContext(readFileSync(path, 'utf8'));
}
