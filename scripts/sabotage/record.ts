/**
 * What a run of sabotage found: who noticed each breakage. A run over all of one tree is recorded
 * in test/sabotage/record.json, which README, the page for auditors and CI's scores read; a part
 * of it, or a tree with changes, is not.
 */
import { roomOf } from '../../test/sabotage/breakage.ts';

export const kinds = ['its claim', 'another claim', 'tests', 'the build', 'nobody', 'not run'] as const;
export type Notice = (typeof kinds)[number];

export interface Verdict {
  name: string;
  file: string;
  claims: readonly string[];
  noticedBy: Notice;
  /** What noticed first, and by which assertion; empty where nobody did. */
  by: string;
  seconds: number;
}

/** Claims and test files that fail without a breakage: their word counts for nothing. */
export interface Control {
  claims: string[];
  tests: string[];
}

export interface SabotageRecord {
  date: string;
  commit: string;
  machine: Record<string, string | number>;
  /** From the first breakage to the last, without what an interruption took. */
  minutes: number;
  control: Control;
  /** Room → how many of its breakages who noticed. */
  rooms: Record<string, Partial<Record<Notice, number>>>;
  breakages: Verdict[];
}

const countOf = (verdicts: readonly Verdict[], by: Notice): number =>
  verdicts.filter(({ noticedBy }) => noticedBy === by).length;

/** How many of each room's breakages who noticed, rooms in the order of their names. */
export function byRoom(verdicts: readonly Verdict[]): SabotageRecord['rooms'] {
  const rooms = [...Map.groupBy(verdicts, ({ file }) => roomOf(file))].toSorted(([a], [b]) => (a < b ? -1 : 1));
  return Object.fromEntries(
    rooms.map(([room, list]) => [
      room,
      Object.fromEntries(kinds.map((by) => [by, countOf(list, by)]).filter(([, count]) => count !== 0)),
    ]),
  );
}

/** 1 where nobody noticed a breakage. */
export function exitStatus(verdicts: readonly Verdict[]): number {
  return countOf(verdicts, 'nobody') > 0 ? 1 : 0;
}

/** One line: how many, and by whom. */
export function score(verdicts: readonly Verdict[]): string {
  const parts = kinds.map((by) => `${countOf(verdicts, by)} ${by === 'not run' ? by : `by ${by}`}`);
  return `${verdicts.length} breakages noticed: ${parts.join(', ')}`;
}

/** The same for every room, a row each. */
export function table(verdicts: readonly Verdict[]): string {
  const width = Math.max(0, ...verdicts.map(({ file }) => roomOf(file).length));
  const head = `${''.padEnd(width)}  ${kinds.join('  ')}`;
  const rows = Object.entries(byRoom(verdicts)).map(
    ([room, counts]) =>
      `${room.padEnd(width)}  ${kinds.map((by) => `${counts[by] ?? 0}`.padStart(by.length)).join('  ')}`,
  );
  return [head, ...rows].join('\n');
}

/** Why a run over all of them cannot be recorded; undefined where it can. */
export function whyNoRecord(
  verdicts: readonly Verdict[],
  names: readonly string[],
  changes: string,
): string | undefined {
  const tried = verdicts.filter(({ noticedBy }) => noticedBy !== 'not run');
  const found = new Set(tried.map(({ name }) => name));
  const missing = names.filter((name) => !found.has(name)).length;
  if (missing > 0)
    return `this is a part: ${missing} of ${names.length} breakages were not tried; run it again to go on`;
  return changes === '' ? undefined : 'the working tree has changes that no commit holds';
}
