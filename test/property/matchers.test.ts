/**
 * Emitted matchers, interpreter and oracle agree on every message, for every built-in filter.
 */
import fc from 'fast-check';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { matchFilter } from '../../src/engine/generated/index.ts';
import { filters } from '../../src/filters/index.ts';
import { bind, engineTimeLength, expectedOutcome, loadInterpreted, outcome } from '../support/matchers.ts';
import { attackerText, messageOf } from '../support/messages.ts';
import { readTimesWith } from '../support/oracle.ts';

beforeAll(() => readTimesWith(engineTimeLength));
afterAll(() => readTimesWith());
beforeEach(bind);

describe.each(filters.map((filter, number) => ({ name: filter.name, filter, number })))(
  '$name',
  ({ filter, number }) => {
    test('emitted matcher, interpreter and oracle agree', () => {
      const interpreted = loadInterpreted(filter);
      const modes = filter.modes ?? [undefined];
      fc.assert(
        fc.property(messageOf(filter), fc.nat(modes.length - 1), attackerText(filter), (message, mode, behind) => {
          const expected = expectedOutcome(filter, message, modes[mode]);
          const hostile = Buffer.from(behind, 'latin1');
          const emitted = outcome(
            (start, end, bit) => matchFilter(number, start, end, bit),
            message,
            1 << mode,
            hostile,
          );
          expect(emitted).toEqual(expected);
          expect(outcome(interpreted, message, 1 << mode, hostile)).toEqual(expected);
        }),
        { numRuns: 300 },
      );
    });
  },
);
