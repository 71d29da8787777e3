/**
 * What a run of sabotage found: who noticed each breakage. A run over all of one tree is recorded
 * in test/sabotage/record.json, which README, the page for auditors and CI's scores read. So is a
 * part of it, which says that it is one, unless a whole run is recorded there.
 */
import { roomOf } from '../../test/sabotage/breakage.ts';

export const kinds = ['its claim', 'another claim', 'tests', 'the build', 'nobody', 'not run'] as const;
export type Notice = (typeof kinds)[number];

export interface Verdict {
  name: string;
  file: string;
  claims: readonly string[];
  noticedBy: Notice;
  /** What noticed first, and by which assertion; empty if nobody did. */
  by: string;
  seconds: number;
}

/** Claims and test files that fail without a breakage: their verdict does not count. */
export interface Control {
  claims: string[];
  tests: string[];
}

export interface SabotageRecord {
  date: string;
  commit: string;
  machine: Record<string, string | number>;
  /** From the first breakage to the last, without the time of an interruption. */
  minutes: number;
  control: Control;
  /** Number of breakages; if fewer were tried, this is a part. */
  named: number;
  /** Room → how many of its breakages who noticed. */
  rooms: Record<string, Partial<Record<Notice, number>>>;
  breakages: Verdict[];
}

const countOf = (verdicts: readonly Verdict[], by: Notice): number =>
  verdicts.filter(({ noticedBy }) => noticedBy === by).length;

/** Number of noticed breakages in each room, by who noticed them; rooms sorted by name. */
export function byRoom(verdicts: readonly Verdict[]): SabotageRecord['rooms'] {
  const rooms = [...Map.groupBy(verdicts, ({ file }) => roomOf(file))].toSorted(([a], [b]) => (a < b ? -1 : 1));
  return Object.fromEntries(
    rooms.map(([room, list]) => [
      room,
      Object.fromEntries(kinds.map((by) => [by, countOf(list, by)]).filter(([, count]) => count !== 0)),
    ]),
  );
}

/** 1 if nobody noticed a breakage. */
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

/** Of a run over all: whether every breakage was tried, or how many of how many were. */
export function extent(tried: number, named: number): string {
  return tried === named ? `all ${named}` : `A PART: ${tried} of ${named}; run it again to go on`;
}

/** Why a run cannot be recorded; undefined if it can. `before`: the present record. */
export function whyNoRecord(
  { tried, named }: { tried: number; named: number },
  changes: string,
  before?: Pick<SabotageRecord, 'named' | 'breakages'>,
): string | undefined {
  if (changes !== '') return 'the working tree has changes that no commit holds';
  const isWhole = before !== undefined && before.breakages.length === before.named;
  return tried < named && isWhole ? 'a part takes no place of a whole run' : undefined;
}
