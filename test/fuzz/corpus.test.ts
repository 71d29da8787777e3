/**
 * test/corpus through every way to read it, each line whole and cut at every byte: no crash, and
 * all ways agree.
 */
import { expect, test } from 'vitest';
import { filters } from '../../src/filters/index.ts';
import { agreementOf } from '../support/agreement.ts';
import { corpusCases } from './targets/lines.ts';

test.each(filters.map((filter) => ({ name: filter.name, filter })))(
  '$name',
  { timeout: 120_000 },
  async ({ filter }) => {
    const { check, last } = await agreementOf(filter);
    const verdicts = new Set<string>();
    for (const { modes, lines } of corpusCases(filter)) {
      for (const mode of modes.length === 0 ? [filter.modes?.[0] ?? ''] : modes) {
        for (const { line, verdict, reason, pattern } of lines) {
          check(line, mode);
          if (filter.connection === undefined) {
            // Another test checks what follows for connections.
            const outcome = { charged: 'failure', same: 'counted-before', none: reason }[verdict];
            const said = last().split(' ');
            expect(said[0], line.toString()).toBe(outcome);
            if (pattern !== undefined) expect(said[1], line.toString()).toBe(pattern);
          }
          verdicts.add(last().split(' ')[0] as string);
          for (let length = line.length - 1; length >= 0; length--) check(line.subarray(0, length), mode);
        }
      }
    }
    // A reader that never matches a line would agree with everybody.
    expect([...verdicts]).toContain('failure');
  },
);
