/**
 * test/corpus/*.txt, without the files about connections, read by the oracle: each line counts
 * against the address that the file says, or against nobody.
 */
import { readdirSync } from 'node:fs';
import { isIP } from 'node:net';
import { expect, test } from 'vitest';
import type { Filter } from '../../src/compiler/pattern.ts';
import { filters } from '../../src/filters/index.ts';
import { type CorpusCase, type CorpusLine, readCorpus } from '../support/corpus.ts';
import { atNoTime, oracleMatch, oracleMessages } from '../support/oracle.ts';

const stateless = new Map(
  filters.filter((filter) => filter.connection !== 'pid').map((filter) => [filter.name, filter]),
);

const cases = readdirSync('test/corpus')
  .filter((name) => name.endsWith('.txt'))
  .flatMap((name) => readCorpus(`test/corpus/${name}`))
  .flatMap((one): (CorpusCase & { of: Filter })[] => {
    const of = stateless.get(one.filter ?? '');
    return of === undefined ? [] : [{ ...one, of }];
  });

/** The corpus has no year. Its times are of the March before this moment. */
const now = Date.UTC(2025, 3, 1) / 1000;

/** The oracle's verdict on a line, in the words of the corpus. */
function verdictOf(filter: Filter, line: Buffer, mode?: string): Omit<CorpusLine, 'line'> {
  const messages = oracleMessages(filter, line);
  for (const message of messages) {
    const found = oracleMatch(filter, message, mode);
    if (found === null) continue;
    const { pattern } = found;
    if (found.ignored) return { verdict: 'none', reason: 'ignored', pattern };
    if (atNoTime(line, message, found.time, now)) return { verdict: 'none', reason: 'bad-time', pattern };
    if (filter.patterns[found.index]?.effect?.kind === 'context')
      return { verdict: 'none', reason: 'no-failure', pattern };
    if (found.address === undefined) return { verdict: 'none', reason: 'no-address', pattern };
    const address = message.toString('utf8', ...(found.address ?? [0, 0]));
    if (!isIP(address)) return { verdict: 'none', reason: 'host-name', pattern };
    const named =
      found.user &&
      filter.connection !== 'session' &&
      filter.connection !== 'number' &&
      message.toString('utf8', ...found.user);
    const user = named || undefined;
    return { verdict: 'charged', pattern, address, user };
  }
  return { verdict: 'none', reason: messages.length === 0 ? 'no-prefix' : 'no-pattern', pattern: undefined };
}

for (const { title, of, modes, lines } of cases) {
  for (const mode of modes.length === 0 ? [of.modes?.[0]] : modes) {
    test(`${of.name}: ${title}${mode === undefined ? '' : ` (${mode})`}`, () => {
      for (const { line, ...wanted } of lines) expect(verdictOf(of, line, mode), line.toString()).toEqual(wanted);
    });
  }
}

test.each([...stateless.values()])(
  '$name: every pattern takes a line of the corpus, and the filter leaves one',
  (filter) => {
    const lines = cases.flatMap((one) => (one.of === filter ? one.lines : []));
    const seen = new Set(lines.map(({ pattern }) => pattern));
    expect(filter.patterns.map(({ name }) => name).filter((name) => !seen.has(name))).toEqual([]);
    expect(lines.some(({ verdict }) => verdict === 'none')).toBe(true);
  },
);
