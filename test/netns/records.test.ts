/** Where the records of the real daemon go: journald, syslog, the audit log on a full disk. */
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { programs } from '../journal/packages.ts';
import { runScenario } from '../support/namespace.ts';

const file = join(import.meta.dirname, 'records.scenario.ts');
const timeoutMs = 100_000;

test.skipIf(!existsSync(programs.journald))(
  'a real journald has the records, with fields',
  { timeout: timeoutMs },
  async () => {
    expect(await runScenario(file, 'journald')).toMatchObject({ events: expect.any(Number) });
  },
);

test.each(['syslog', 'a full disk'])('%s', { timeout: timeoutMs }, async (name) => {
  console.log(name, await runScenario(file, name));
});
