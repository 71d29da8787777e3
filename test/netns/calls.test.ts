/**
 * The system calls of the daemon, as strace(1) sees them. After its start it runs no program and no
 * process; it makes no call outside of the table, and it needs every row of the table.
 */
import { join } from 'node:path';
import { beforeAll, describe, expect, test } from 'vitest';
import { rowsFor } from '../../src/confinement/filter.ts';
import { allowed } from '../../src/confinement/system-calls.ts';
import type { BackendName } from '../../src/types.ts';
import { runScenario } from '../support/namespace.ts';
import { tool } from '../support/tools.ts';

const file = join(import.meta.dirname, 'calls.scenario.ts');

interface Traced {
  calls: string[];
  starts: string[];
  banned: number;
}

const trace = (backend: BackendName) => runScenario(file, backend) as Promise<Traced>;

describe.skipIf(tool('strace') === undefined)('under strace (npm run setup -- --tools unpacks it)', () => {
  const backends = ['nftables', 'ipset', 'xdp'] as const;
  const traced = new Map<BackendName, Traced>();
  // They wait more than they work.
  beforeAll(async () => {
    await Promise.all(backends.map(async (backend) => traced.set(backend, await trace(backend))));
  }, 300_000);

  test.each(backends)('%s: start, 40 bans, a day', (backend) => {
    const { calls, starts, banned } = traced.get(backend)!;
    expect(banned).toBeGreaterThanOrEqual(43);
    expect(starts).toEqual([]);
    const inTable = new Set<string>(rowsFor(backend, true).map(({ call }) => call));
    expect(calls.filter((name) => !inTable.has(name))).toEqual([]);
  });

  test('no row of the table is there that nobody needs', async () => {
    const seen = new Set([...traced.values()].flatMap(({ calls }) => calls));
    const unused = (): string[] =>
      allowed
        .filter(({ call, rarely, untilListening }) => rarely === undefined && !untilListening && !seen.has(call))
        .map(({ call }) => call);
    // The calls of V8's and libuv's threads depend on timing: another day may show them.
    for (let day = 0; day < 2 && unused().length > 0; day++) {
      for (const name of (await trace('nftables')).calls) seen.add(name);
    }
    expect(unused()).toEqual([]);
  }, 200_000);
});
