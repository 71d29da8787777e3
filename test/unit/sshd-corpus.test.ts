/** test/corpus/sshd.txt by the two naive readings: the oracle for the line, `Connections` for what the line counts. */
import { isIP } from 'node:net';
import { expect, test } from 'vitest';
import { sshd } from '../../src/filters/sshd.ts';
import { Connections } from '../support/connection-oracle.ts';
import { readCorpus } from '../support/corpus.ts';
import { oracleLine, oracleMessages } from '../support/oracle.ts';

const cases = readCorpus('test/corpus/sshd.txt');

for (const { title, modes, lines } of cases) {
  for (const mode of modes.length === 0 ? ['normal'] : modes) {
    test(`${title} (${mode})`, () => {
      const connections = new Connections();
      for (const { line, ...wanted } of lines) {
        const message = oracleMessages(sshd, line)[0];
        const found = oracleLine(sshd, line, mode);
        const text = (range?: [number, number]): string | undefined =>
          range && message ? message.toString('utf8', ...range) : undefined;
        if (found === null) {
          const reason = message === undefined ? 'no-prefix' : 'no-pattern';
          expect({ verdict: 'none', reason, pattern: undefined }, line.toString()).toEqual(wanted);
          continue;
        }
        const named = text(found.address);
        const address = named !== undefined && isIP(named) ? named : undefined;
        const user = text(found.user) || undefined;
        const effect = sshd.patterns[found.index]?.effect ?? {};
        const key = line.toString('latin1').match(/\[\d+\]/)?.[0];
        const verdict = connections.line({ key, time: 0, effect, address, user });
        const { pattern } = found;
        const got =
          verdict.outcome === 'charged' || verdict.outcome === 'same'
            ? { verdict: verdict.outcome, pattern, address: verdict.address, user }
            : { verdict: 'none', reason: verdict.outcome, pattern };
        expect(got, line.toString()).toEqual(wanted);
      }
    });
  }
}

test('every pattern of the filter has a line in the corpus', () => {
  const seen = new Set(cases.flatMap(({ lines }) => lines.map(({ pattern }) => pattern)));
  const unseen = sshd.patterns.map(({ name }) => name).filter((name) => !seen.has(name));
  expect(unseen).toEqual([]);
});
