/**
 * Each pattern of each built-in filter matches its own sample and not its counter, as the oracle
 * reads them.
 */
import { describe, expect, test } from 'vitest';
import { checkFilter } from '../../src/compiler/check.ts';
import { filters } from '../../src/filters/index.ts';
import { oracleLine } from '../support/oracle.ts';

/** RFC 5737 and RFC 3849: the addresses of samples belong to nobody. */
const documentationAddress = /^(::ffff:)?(192\.0\.2|198\.51\.100|203\.0\.113)\.\d{1,3}$|^2001:db8:[0-9a-f:]*$/i;

test('filter names differ', () => {
  const names = filters.map((filter) => filter.name);
  expect(new Set(names).size).toBe(names.length);
});

for (const filter of filters) {
  describe(filter.name, () => {
    const patterns = [...filter.patterns, ...(filter.ignore ?? [])];

    test('the compiler refuses nothing', () => {
      expect(checkFilter(filter)).toEqual([]);
    });

    test.each(patterns)('$name takes its sample', (pattern) => {
      const mode = pattern.modes?.[0] ?? filter.modes?.[0];
      const match = oracleLine(filter, Buffer.from(pattern.sample), mode);
      expect(match?.pattern).toBe(pattern.name);
      if (match?.address !== undefined) expect(match.addressText).toMatch(documentationAddress);
    });

    test.each(patterns)('$name leaves its counter', (pattern) => {
      for (const mode of filter.modes ?? [undefined]) {
        expect(oracleLine(filter, Buffer.from(pattern.counter), mode)?.pattern).not.toBe(pattern.name);
      }
    });
  });
}
