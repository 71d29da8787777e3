/** test/corpus/sshd.txt, read by the naive oracle and by each build of the engine. */
import { describe, expect, test } from 'vitest';
import { Examiner } from '../../src/engine/examiner.ts';
import type { Build } from '../../src/engine/host.ts';
import { sshd } from '../../src/filters/sshd.ts';
import { formatAddress } from '../../src/text/address.ts';
import { readCorpus } from '../support/corpus.ts';
import { type LineVerdict, sshdOracle } from '../support/sshd-oracle.ts';

const cases = readCorpus('test/corpus/sshd.txt');
/** The corpus has no year. Its times are of the March before this moment. */
const now = Date.UTC(2025, 3, 1) / 1000;

const outcomes = { charged: 'failure', same: 'counted-before' };

async function engineReader(build: Build, mode: string): Promise<(line: Buffer) => LineVerdict> {
  const jail = { filter: 'sshd', mode, maxretry: 1, findtime: 600, bantime: 600, ipv6Prefix: 128, ignore: [] };
  const engine = await Examiner.create({ build, jails: [jail], tableBytes: 0, now });
  return (line) => {
    const { outcome: said, pattern, address, user } = engine.examine(line, 'sshd', mode, now, false);
    // The corpus has single lines only: for the oracle, none of them repeats another.
    const outcome = said === 'repeats-nothing' ? sshdOracle(mode)(line, now).outcome : said;
    if (address === undefined) return { outcome, pattern };
    return {
      outcome,
      pattern,
      address: formatAddress(address),
      user: Buffer.from(user ?? []).toString('utf8') || undefined,
    };
  };
}

const readers: Record<
  string,
  (mode: string) => ((line: Buffer) => LineVerdict) | Promise<(line: Buffer) => LineVerdict>
> = {
  oracle: (mode) => {
    const read = sshdOracle(mode);
    return (line) => read(line, now);
  },
  'plain engine': (mode) => engineReader('plain', mode),
  'wasm engine': (mode) => engineReader('wasm', mode),
  'scalar wasm engine': (mode) => engineReader('scalar', mode),
};

describe.each(Object.keys(readers))('%s', (reader) => {
  for (const { title, modes, lines } of cases) {
    test.each(modes.length === 0 ? ['normal'] : modes)(`${title} (%s)`, async (mode) => {
      const read = await readers[reader]!(mode);
      for (const { line, verdict, reason, ...wanted } of lines) {
        const outcome = verdict === 'none' ? reason : outcomes[verdict];
        expect(read(line), line.toString()).toEqual({ outcome, ...wanted });
      }
    });
  }
});

test('every pattern of the filter has a line in the corpus', () => {
  const seen = new Set(cases.flatMap(({ lines }) => lines.map(({ pattern }) => pattern)));
  expect(sshd.patterns.map(({ name }) => name).filter((name) => !seen.has(name))).toEqual([]);
});
