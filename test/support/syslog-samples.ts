/** The samples of all filters that have a syslog head. */
import { filters } from '../../src/filters/index.ts';

/** The head of a line, up to its message. */
export const head = /^(?:[A-Z][a-z]{2} [ 0-9]\d [\d:]{8}|\d{4}-\d\d-\d\d[T ][^ ]+) [\w.-]+ [a-z][^ :[]*(?:\[\d+\])?: /;
/**
 * One row per pattern. A tentative failure counts only after the verdict of the service
 * (attempts.test.ts), so tentative patterns are left out.
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
