/**
 * Assertions that several specifications share; their messages are shown beside the twins they
 * catch.
 */
import assert from 'node:assert/strict';

/** Fails if `found` contains anything, and names the first of it. */
export function assertNone(found: readonly string[], what: string): void {
  assert.ok(found.length === 0, `${found.length} ${what}: ${found.slice(0, 3).join(', ')}`);
}
