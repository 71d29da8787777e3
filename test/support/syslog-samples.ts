/** Samples of every filter's patterns that stand behind a syslog head. */
import { filters } from '../../src/filters/index.ts';

/** The head of a line, up to its message. */
export const head = /^(?:[A-Z][a-z]{2} [ 0-9]\d [\d:]{8}|\d{4}-\d\d-\d\d[T ][^ ]+) [\w.-]+ [a-z][^ :[]*(?:\[\d+\])?: /;
/**
 * One row a pattern. A tentative failure counts only when the service has had its say
 * (attempts.test.ts), so those are left out.
 */
export const samples = filters.flatMap(({ name, modes = [''], patterns, prefixes }) =>
  patterns
    .filter(({ sample, effect }) => prefixes.includes('syslog') && effect?.kind !== 'context' && head.test(sample))
    .filter(({ effect }) => effect === undefined || !('tentative' in effect))
    .map((pattern) => ({
      filter: name,
      pattern: pattern.name,
      mode: pattern.modes?.[0] ?? modes[0]!,
      sample: pattern.sample,
    })),
);
