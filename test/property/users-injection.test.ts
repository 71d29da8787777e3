/**
 * A name that a client chooses moves no address, in any filter that captures names. In each
 * pattern's own sample the name is replaced by attacker text, also by the sample's own words. The
 * filter finds the address of the sample, or none (claims S-*). Filters whose service escapes what
 * it writes have their own tests, with its escapes.
 */
import fc from 'fast-check';
import { expect, test } from 'vitest';
import type { Filter, Pattern } from '../../src/compiler/pattern.ts';
import { filters } from '../../src/filters/index.ts';
import { attackerText } from '../support/attacker-text.ts';
import { oracleLine, oracleMatch, oracleMessages } from '../support/oracle.ts';

/** Their services quote or encode the name, as web-, services- and mail-injection do. */
const escaping = new Set([
  'asterisk',
  'nginx-http-auth',
  'traefik-auth',
  'gitlab',
  'grafana',
  'dovecot',
  'apache-auth',
  'selinux-ssh',
]);

interface Place {
  filter: Filter;
  pattern: Pattern;
  mode: string | undefined;
  before: Buffer;
  after: Buffer;
  address: string;
}

const places = filters
  .filter(({ name, connection }) => !escaping.has(name) && connection !== 'session' && connection !== 'number')
  .flatMap((filter) =>
    filter.patterns.flatMap((pattern): Place[] => {
      const mode = pattern.modes?.[0] ?? filter.modes?.[0];
      const line = Buffer.from(pattern.sample);
      const found = oracleLine(filter, line, mode);
      const message = oracleMessages(filter, line).find((one) => oracleMatch(filter, one, mode) !== null);
      const user = message && oracleMatch(filter, message, mode)?.user;
      if (pattern.effect?.kind === 'context' || user === undefined || found?.addressText === undefined) return [];
      const name = message!.subarray(...user).toString();
      const start = line.toString().lastIndexOf(name);
      if (name.length < 3 || line.toString().indexOf(name) !== start) return [];
      const after = line.subarray(start + name.length);
      return [{ filter, pattern, mode, before: line.subarray(0, start), after, address: found.addressText }];
    }),
  );

test('most filters that keep a name are here', () => {
  expect(new Set(places.map(({ filter }) => filter.name)).size).toBeGreaterThan(20);
});

test.each(places.map((place) => ({ ...place, name: `${place.filter.name}: ${place.pattern.name}` })))(
  '$name',
  ({ filter, mode, before, after, address }) => {
    const words = [before, after].map((part) => part.toString().replaceAll(address, '%'));
    const phrases = [...words, words.join('x'), ...words.flatMap((part) => part.split(' ').map((word) => ` ${word}`))];
    const text = attackerText(
      phrases.filter((phrase) => phrase !== ''),
      300,
    );
    fc.assert(
      fc.property(text, (name) => {
        const line = Buffer.concat([before, Buffer.from(name, 'latin1'), after]);
        const found = oracleLine(filter, line, mode);
        const takes = found !== null && !found.ignored && filter.patterns[found.index]?.effect?.kind !== 'context';
        if (takes) expect(found.addressText).toBe(address);
      }),
      { numRuns: 300 },
    );
  },
);
