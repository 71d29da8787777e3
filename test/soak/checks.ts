/**
 * The criteria of a soak; pure functions of the samples.
 */

import { randomFrom } from '../../bench/workload.ts';
import { TABLE_WAYS } from '../../src/engine/layout.ts';
import { attackersWith, gaps, judgedGap, linesPerSource, maxretry } from './attack.ts';
import type { Sample } from './sample.ts';

export interface Check {
  name: string;
  ok: boolean;
  /** What was found, with its bound. */
  found: string;
}

/** A slope is judged from this many seconds on; before, start-up would be taken for growth. */
export const warmUpSeconds = 60;
/** Runs shorter than this have no slope worth a judgement. */
export const flatSecondsMin = 180;
/**
 * Growth over a whole run that may be only the kernel's own counting (pages batched per CPU),
 * bytes.
 */
const noiseBytes = 512 * 1024;

const mebibytes = (bytes: number): string => `${(bytes / 1024 / 1024).toFixed(1)} MiB`;

/** Entries of the table that `agesGivenUp` simulates. */
const playedSlots = 100_000 * TABLE_WAYS;
/** Share of the entries that bans hold → what `agesGivenUp` found. */
const played = new Map<number, Int32Array>();

/**
 * What a table of `playedSlots` gives up if only new sources come, once it is full. For each lost
 * entry: how many other sources came since it did, in ascending order. Every source has two random
 * sets, and the oldest entry of both is lost, but for bans, which hold a `share` of the entries.
 */
function agesGivenUp(share: number): Int32Array {
  const before = played.get(share);
  if (before !== undefined) return before;
  const sets = playedSlots / TABLE_WAYS;
  const random = randomFrom(1);
  const seen = new Int32Array(playedSlots);
  // All slots are filled at once, so a first round only mixes. What a ban holds is never oldest.
  for (let slot = 0; slot < playedSlots; slot++) seen[slot] = random() < share ? 2 ** 31 - 1 : slot - playedSlots;
  const ages = new Int32Array(2 * playedSlots);
  for (let now = 0; now < 3 * playedSlots; now++) {
    let oldest = Math.floor(random() * sets) * TABLE_WAYS;
    for (const set of [oldest, Math.floor(random() * sets) * TABLE_WAYS]) {
      for (let slot = set; slot < set + TABLE_WAYS; slot++) if (seen[slot]! < seen[oldest]!) oldest = slot;
    }
    if (now >= playedSlots) ages[now - playedSlots] = now - seen[oldest]!;
    seen[oldest] = now;
  }
  played.set(share, ages.sort());
  return ages;
}

/**
 * The chance that a tracked source is given up while `failures` failures of others come, in a full
 * table of `slots`, of which `bans` are held.
 */
export function lossChance(failures: number, slots: number, bans = 0): number {
  const ages = agesGivenUp(bans / slots);
  const age = (failures * playedSlots) / slots;
  let [low, high] = [0, ages.length];
  while (low < high) {
    const middle = (low + high) >> 1;
    if (ages[middle]! <= age) low = middle + 1;
    else high = middle;
  }
  return low / ages.length;
}

/**
 * How many failures of others may come between two failures of one source, so that it is forgotten
 * with a chance of at most 1 in `odds`.
 */
export function survival(slots: number, odds: number): number {
  const ages = agesGivenUp(0);
  return Math.floor(((ages[Math.floor(ages.length / odds)]! - 1) * slots) / playedSlots);
}

/**
 * Slope (per second) of the medians of `blocks` stretches, with the half width of its 95 %
 * interval.
 */
export function slope(points: readonly (readonly [seconds: number, value: number])[], blocks = 10) {
  const medians: [number, number][] = [];
  for (let block = 0; block < blocks; block++) {
    const part = points.slice(
      Math.floor((block * points.length) / blocks),
      Math.floor(((block + 1) * points.length) / blocks),
    );
    const middle = (values: number[]): number => values.sort((a, b) => a - b)[Math.floor(values.length / 2)] ?? 0;
    medians.push([middle(part.map(([x]) => x)), middle(part.map(([, y]) => y))]);
  }
  const mean = (values: number[]): number => values.reduce((sum, value) => sum + value, 0) / values.length;
  const [meanX, meanY] = [mean(medians.map(([x]) => x)), mean(medians.map(([, y]) => y))];
  const spread = medians.reduce((sum, [x]) => sum + (x - meanX) ** 2, 0);
  const perSecond = medians.reduce((sum, [x, y]) => sum + (x - meanX) * (y - meanY), 0) / spread;
  const residual = medians.reduce((sum, [x, y]) => sum + (y - meanY - perSecond * (x - meanX)) ** 2, 0);
  // Student's t for 8 degrees of freedom, two-sided 5 %.
  return { perSecond, halfWidth: 2.306 * Math.sqrt(residual / (blocks - 2) / spread) };
}

/**
 * Flat: no growth that differs from none, neither of the resident size nor of the part without a
 * file behind it.
 */
export function checkFlat(samples: readonly Sample[]): Check[] {
  const judged = samples.filter(({ seconds }) => seconds >= warmUpSeconds);
  const length = (judged.at(-1)?.seconds ?? 0) - warmUpSeconds;
  if (length < flatSecondsMin - warmUpSeconds) {
    return [{ name: 'flat', ok: true, found: `not judged: the run is shorter than ${flatSecondsMin} s` }];
  }
  return (['rssBytes', 'anonymousBytes'] as const).map((field) => {
    const { perSecond, halfWidth } = slope(judged.map((sample) => [sample.seconds, sample[field]] as const));
    const ok = perSecond - halfWidth <= noiseBytes / length;
    const perHour = (value: number): string => mebibytes(value * 3600);
    return { name: `flat ${field}`, ok, found: `${perHour(perSecond)} ± ${perHour(halfWidth)} an hour` };
  });
}

export interface Outcome {
  samples: readonly Sample[];
  sources: number;
  ceilingBytes: number;
  slotsMin: number;
  /** Attackers of each gap that the kernel holds. */
  held: ReadonlyMap<number, number>;
  /** The client's figure, at the end. */
  stats: Record<string, number>;
  exitCode: number | null;
  /** Warnings and errors the daemon wrote. */
  complaints: string[];
  /** What `unlistedCalls` found. */
  unlisted: string[];
}

/**
 * Numbers of the system calls of a process that the kernel logged because its filter does not list
 * them, each once. `confinement.seccomp = "log"` exists to find them. Input: dmesg(1).
 */
export function unlistedCalls(messages: string, pid: number): string[] {
  const found = messages.matchAll(/ type=1326 .* pid=(\d+) .* syscall=(\d+) /g);
  return [...new Set([...found].filter(([, of]) => Number(of) === pid).map(([, , call]) => call!))];
}

/**
 * Up to this many standard deviations above the expected losses is still chance: one run in three
 * million has more.
 */
const lossDeviations = 5;

/** So many times bans are counted while they grow at an even pace. */
const stages = 4;

/**
 * How many attackers with this gap may be missing: those with two failures so far apart that the
 * table gave them up in between. Within the time for which the table promises to remember, none may
 * be missing. The table holds `bans` in the end, and gives the other entries up sooner for it.
 */
export function lossesAllowed(gap: number, attackers: number, slots: number, bans = 0): number {
  let chance = 0;
  for (let stage = 0.5; stage < stages; stage++)
    chance += lossChance(gap * linesPerSource, slots, (bans * stage) / stages) / stages;
  const mean = chance * attackers * (maxretry - 1);
  return Math.floor(mean + lossDeviations * Math.sqrt(mean));
}

export function check(outcome: Outcome): Check[] {
  const { samples, sources, ceilingBytes, slotsMin, held, stats, exitCode, complaints, unlisted } = outcome;
  const last = samples.at(-1)!;
  const bound = ceilingBytes * 1.1;
  const worst = Math.max(...samples.map(({ rssBytes }) => rssBytes));
  const checks: Check[] = [
    {
      name: 'peak',
      ok: last.peakBytes <= bound,
      found: `VmHWM ${mebibytes(last.peakBytes)}, bound ${mebibytes(bound)}; highest sample ${mebibytes(worst)}`,
    },
    { name: 'slots', ok: last.slots >= slotsMin, found: `${last.slots}, at least ${slotsMin}` },
    ...checkFlat(samples),
  ];
  for (const gap of gaps) {
    const expected = attackersWith(gap, sources);
    const found = held.get(gap) ?? 0;
    const judged = gap <= judgedGap(sources);
    // A table that gave nothing up has forgotten nobody.
    const allowed = last.evictions === 0 ? 0 : lossesAllowed(gap, expected, last.slots, last.bans);
    checks.push({
      name: `bans at a gap of ${gap} sources`,
      ok: !judged || found >= expected - allowed,
      found: `${found} of ${expected} in the kernel, ${judged ? `at most ${allowed} may be lost` : 'the run ended before all failures came'}`,
    });
  }
  const given = Math.max(0, sources - last.slots);
  checks.push(
    {
      name: 'evictions',
      ok: last.evictions >= given && last.slotsUsed <= last.slots,
      found: `${last.evictions}, at least ${given}; ${last.slotsUsed} slots used`,
    },
    {
      name: 'state on disk',
      ok: (stats['state.saves'] ?? 0) > 0 && stats['state.failures'] === 0,
      found: `${stats['state.saves']} saves, ${stats['state.failures']} failed; ${stats['state.bytes']} bytes at the end`,
    },
    { name: 'stopped when asked', ok: exitCode === 0, found: `exit status ${exitCode}` },
    { name: 'system calls', ok: unlisted.length === 0, found: unlisted.join(' ') || 'none outside the table' },
    { name: 'no complaints', ok: complaints.length === 0, found: complaints.slice(0, 3).join(' | ') || 'none' },
  );
  return checks;
}
