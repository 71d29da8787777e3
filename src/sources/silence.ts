/**
 * Notices a log that is silent compared with its own history: its writer has died, or writes to
 * another place.
 *
 * For each hour of the week (UTC) it keeps how many lines came, at most `quietLinesMax`, averaged
 * over four weeks. The expectation is limited by the same hour of the other days, so a single storm
 * is not missed the week after. A log is quiet when more than `quietLines` lines were expected
 * since its last one, and at least six hours have passed; never in its first week. Only time in
 * which the daemon ran counts. When full: further logs have no history.
 */
import { historiesMax, quietLines, quietLinesMax, quietSecondsMin, weekHours } from '../limits.ts';

const hourSeconds = 3_600;
const dayHours = 24;
const weekSeconds = weekHours * hourSeconds;
/** Weeks over which the averages reach. */
const weeks = 4;
/** Longest time between two checks that counts, seconds: after more, the machine slept. */
const lookSecondsMax = 120;

/** The part of a log's history that survives a restart. */
export interface SavedHistory {
  path: string;
  /** Epoch seconds since which it is known. */
  since: number;
  /** Since its last line: seconds, and lines that were expected. */
  quietSeconds: number;
  missed: number;
  /** Lines by hour of the week. */
  counts: Float32Array;
}

interface History extends SavedHistory {
  /** Lines of the current hour. */
  lines: number;
  /**
   * Lines that the last hour lacked: they count when the current hour is over, since jobs may be
   * late.
   */
  due: number;
  quiet: boolean;
}

const hourOf = (now: number): number => Math.floor(now / hourSeconds) % weekHours;

/** Lines expected in an hour of the week. */
function expected(counts: Float32Array, hour: number): number {
  let day = 0;
  for (let other = hour % dayHours; other < weekHours; other += dayHours) day += counts[other]!;
  return Math.min(counts[hour]!, day / 7);
}

export class Silence {
  readonly #histories = new Map<string, History>();
  readonly #saved: Map<string, SavedHistory>;
  /** Called when a log becomes quiet, and when it is written again. */
  readonly #changed: (path: string, quiet: boolean, detail: string) => void;
  #lookedAt = Number.NaN;

  constructor(saved: readonly SavedHistory[], changed: (path: string, quiet: boolean, detail: string) => void) {
    this.#saved = new Map(saved.map((history) => [history.path, history]));
    this.#changed = changed;
  }

  /** Lines of a log were read. */
  heard(path: string, lines: number): void {
    const history = this.#histories.get(path);
    if (history === undefined) return;
    history.lines += lines;
    history.quietSeconds = 0;
    history.missed = 0;
    history.due = 0;
    if (history.quiet) this.#changed(path, false, '');
    history.quiet = false;
  }

  /** Checks all followed logs, about once a minute. `now` in epoch seconds. */
  look(now: number, paths: readonly string[]): void {
    const seconds = Math.min(Math.max(0, now - this.#lookedAt), lookSecondsMax) || 0;
    const hour = hourOf(now);
    const isNextHour = !Number.isNaN(this.#lookedAt) && hourOf(this.#lookedAt) !== hour;
    const before = hourOf(this.#lookedAt);
    this.#lookedAt = now;
    this.#follow(now, paths);
    for (const history of this.#histories.values()) {
      if (isNextHour) endHour(history, before, now);
      history.quietSeconds += seconds;
      const isQuiet =
        history.missed > quietLines && history.quietSeconds >= quietSecondsMin && now - history.since >= weekSeconds;
      if (isQuiet && !history.quiet) this.#changed(history.path, true, textOf(history));
      history.quiet ||= isQuiet;
    }
  }

  /** One sentence for each log that is quiet. */
  problems(): string[] {
    return [...this.#histories.values()].filter(({ quiet }) => quiet).map((each) => `${each.path}: ${textOf(each)}`);
  }

  quietSecondsOf(path: string): number | undefined {
    return this.#histories.get(path)?.quietSeconds;
  }

  histories(): SavedHistory[] {
    return [...this.#histories.values()];
  }

  /** Gives new logs a history, or their saved one; drops the history of logs that are gone. */
  #follow(now: number, paths: readonly string[]): void {
    const followed = new Set(paths);
    for (const path of this.#histories.keys()) if (!followed.has(path)) this.#histories.delete(path);
    for (const path of followed) {
      if (this.#histories.has(path) || this.#histories.size >= historiesMax) continue;
      const saved = this.#saved.get(path);
      this.#saved.delete(path);
      const known = saved ?? { path, since: now, quietSeconds: 0, missed: 0, counts: new Float32Array(weekHours) };
      this.#histories.set(path, { ...known, lines: 0, due: 0, quiet: false });
    }
  }
}

function endHour(history: History, hour: number, now: number): void {
  const { counts, lines, since } = history;
  history.missed += history.due;
  history.due = lines > 0 ? 0 : expected(counts, hour);
  const share = Math.max(1 / weeks, 1 / (1 + Math.max(0, Math.floor((now - since - 1) / weekSeconds))));
  counts[hour] = counts[hour]! + share * (Math.min(lines, quietLinesMax) - counts[hour]!);
  history.lines = 0;
}

function textOf({ quietSeconds, missed }: History): string {
  const hours = Math.floor(quietSeconds / hourSeconds);
  return `quiet for ${hours} hours, ${Math.floor(missed)} lines at least were to be expected meanwhile`;
}
