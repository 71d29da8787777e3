/** All targets of the fuzzer. `smoke` and the tests run every one of them but the canary. */
import type { Target } from './target.ts';
import { canary } from './targets/canary.ts';
import { config, control, netlink, state } from './targets/codecs.ts';
import { addresses, patterns, timestamps } from './targets/engine-parts.ts';
import { feed } from './targets/feed.ts';
import { journal } from './targets/journal.ts';
import { lineTargets } from './targets/lines.ts';

export const targets: readonly Target[] = [
  ...lineTargets,
  feed,
  config,
  netlink,
  control,
  state,
  journal,
  timestamps,
  addresses,
  patterns,
];

export { canary };

export function findTarget(name: string): Target | undefined {
  return [...targets, canary].find((target) => target.name === name);
}
