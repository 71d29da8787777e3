/**
 * What the compiler refuses, and why: one row per rule. `check.ts` names the rule with each
 * refusal. The table in CONTRIBUTING.md has the same rows. Tests compare both and provoke every
 * rule.
 */

export const rules = {
  'no-pattern': 'a filter without a pattern would guard nothing and say nothing about it',
  name: 'names are lower-case words joined by hyphens, each once in a filter: counters and reports go by them',
  header:
    'prefixes and tags say which lines a filter reads: none, one twice, or a star that is not at the end is a slip',
  mode: 'a pattern that applies in a mode the filter does not have, or in none, would never be tried',
  budget:
    'patterns, tokens, literal bytes and ways through a pattern are bounded, and with them code and work per line',
  unbounded: 'a run or repeat needs an upper bound, and a pattern may search the line a few times only',
  'scanned-again': 'a run tried at many places, each inside the one before, would cost the square of the line',
  'no-bytes': 'an empty literal, list or class, and a line feed, which no line holds, can only be a slip',
  loop: 'what is optional or repeated must take something, and a repeat holds no other repeat and no capture',
  'never-matches': 'what a run took whole is not given back, and nothing follows the end of the line',
  shadowed: 'what comes before it takes all its lines, so it would never be tried',
  'matches-anything': 'a pattern that fits an empty line fits every line',
  'text-place':
    'a text has no bytes of its own to stop at: a literal or the end must follow it, at the outermost level',
  'no-address': 'a failure that names no source on some way through the pattern cannot be charged to anybody',
  'captured-twice': 'of two addresses, times or users nobody could say which one counts',
  unanchored: 'an address directly behind a text or run has no certain first byte: an attacker could lengthen it',
  'in-reach': 'attacker text could hold what follows it, and so choose which address is banned, or hide its own',
} as const;

export type Rule = keyof typeof rules;
