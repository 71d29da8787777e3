/**
 * One target for each filter. An input is a log line, and every build and every reading of the
 * filter must agree on it.
 */
import { readdirSync } from 'node:fs';
import fc from 'fast-check';
import type { Filter } from '../../../src/compiler/pattern.ts';
import { filters } from '../../../src/filters/index.ts';
import { agreementOf } from '../../support/agreement.ts';
import { type CorpusCase, readCorpus } from '../../support/corpus.ts';
import { literalsOf, messageOf } from '../../support/messages.ts';
import { drawing, type Target } from '../target.ts';

/** The cases of test/corpus, by filter; a file about a single filter has its name. */
const stored = new Map<string, CorpusCase[]>();

export function corpusCases({ name }: Filter): CorpusCase[] {
  if (stored.size === 0) {
    for (const file of readdirSync('test/corpus').filter((file) => file.endsWith('.txt'))) {
      for (const each of readCorpus(`test/corpus/${file}`)) {
        const filter = each.filter ?? file.slice(0, -'.txt'.length);
        stored.set(filter, [...(stored.get(filter) ?? []), each]);
      }
    }
  }
  return stored.get(name) ?? [];
}

/** The heads before a message of the filter. */
function heads({ prefixes, tags = [] }: Filter): string[] {
  const names = tags.length === 0 ? ['program'] : tags.map((tag) => tag.replace('*', 'x'));
  return prefixes.flatMap((prefix) => {
    if (prefix === 'bare') return [''];
    if (prefix === 'time') return ['2025-03-04 05:06:07 ', '[Tue Mar 04 05:06:07.123456 2025] ', 'Mar  4 05:06:07 '];
    return names.flatMap((name) => [`Mar  4 05:06:07 host ${name}[811]: `, `2025-03-04T05:06:07.1Z host ${name}: `]);
  });
}

const withoutFeeds = (input: Buffer): Buffer => Buffer.from(input.filter((byte) => byte !== 10));

function lineTarget(filter: Filter): Target {
  const samples = [...filter.patterns, ...(filter.ignore ?? [])].flatMap(({ sample, counter }) => [sample, counter]);
  const first = heads(filter);
  const message = drawing((seed, numRuns) => fc.sample(messageOf(filter), { seed, numRuns }));
  const modes = filter.modes ?? [undefined];
  return {
    name: filter.name,
    says: `log lines for ${filter.name}: all builds and readings say the same`,
    corpus: () => [
      ...samples.map((text) => Buffer.from(text)),
      ...corpusCases(filter).flatMap(({ lines }) => lines.map(({ line }) => line)),
    ],
    words: () => [
      ...first,
      ...filter.patterns
        .flatMap(({ tokens }) => literalsOf(tokens))
        .map((text) => Buffer.from(text).toString('latin1')),
      '192.0.2.7',
      '2001:db8::7',
      '2001:db8::7:40122',
    ],
    grammar: (random) => Buffer.concat([Buffer.from(random.pick(first)), message(random)]),
    async open() {
      const { check } = await agreementOf(filter);
      return (input) => {
        const line = withoutFeeds(input);
        // The mode follows from the line, so that the line alone repeats a finding.
        check(line, modes[line.reduce((sum, byte) => sum + byte, 0) % modes.length]);
      };
    },
  };
}

export const lineTargets: Target[] = filters.map(lineTarget);
