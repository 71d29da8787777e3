/**
 * The counters of the fleet's process: for its page, and for `fail2zig-fleet status`.
 */
import type { Row, Series } from '../observe/metrics.ts';

/** The parts that can fail independently. */
export type Part = 'daemon' | 'records' | 'spool' | 'server' | 'decisions' | 'ceiling' | 'alerts';

/** Why a decision is not applied. */
export const skipReasons = [
  'own',
  'type',
  'scope',
  'simulated',
  'over',
  'unreadable',
  'ceiling',
  'ignored',
  'wider',
  'refused',
] as const;
export type SkipReason = (typeof skipReasons)[number];

export class Figures {
  readonly counters = {
    decisionsNew: 0,
    decisionsDeleted: 0,
    banned: 0,
    unbanned: 0,
    polls: 0,
    resyncs: 0,
    alertsSent: 0,
    unbansSent: 0,
    alertsRefused: 0,
    alertsKnown: 0,
    recordsMissed: 0,
    recordsLost: 0,
  };
  /** Active bans of the fleet's jail, and its limit. */
  held = 0;
  ceiling = 0;
  /** Epoch seconds of the last complete list. */
  listedAt = 0;
  /** How long its bans took, seconds. */
  listSeconds = 0;
  readonly skipped = new Map<SkipReason, number>();
  readonly errors = new Map<Part, number>();
  /** The present problems, by part. */
  readonly problems = new Map<Part, string>();
  /** Some values that the daemon refused to ban, with its reason. */
  readonly refused = new Map<string, string>();

  skip(reason: SkipReason, count = 1): void {
    this.skipped.set(reason, (this.skipped.get(reason) ?? 0) + count);
  }

  fail(part: Part, message: string): void {
    this.errors.set(part, (this.errors.get(part) ?? 0) + 1);
    this.problems.set(part, message);
  }

  mend(part: Part): void {
    this.problems.delete(part);
  }
}

/** The figures of the spool. */
export interface Waiting {
  waiting: number;
  bytes: number;
  oldest: number | undefined;
  counters: { dropped: number; sent: number; damaged: number };
}

/** The rows of the page; `now`: epoch seconds. */
export function seriesOf(figures: Figures, spool: Waiting | undefined, now: () => number): Series[] {
  const { counters } = figures;
  const one = (name: string, type: Series['type'], help: string, read: () => number): Series => ({
    name: `fail2zig_fleet_${name}`,
    type,
    help,
    labels: [],
    read,
  });
  const many = (
    name: string,
    type: Series['type'],
    label: string[],
    help: string,
    read: () => Iterable<Row>,
  ): Series => ({
    ...one(name, type, help, () => 0),
    labels: label,
    read,
  });
  return [
    many('decisions_total', 'counter', ['kind'], 'Decisions in, new and deleted.', () => [
      [['new'], counters.decisionsNew],
      [['deleted'], counters.decisionsDeleted],
    ]),
    many('decisions_skipped_total', 'counter', ['reason'], 'New decisions that were not banned.', () =>
      skipReasons.map((reason): Row => [[reason], figures.skipped.get(reason) ?? 0]),
    ),
    one('bans', 'gauge', 'Bans of the jail that hold.', () => figures.held),
    one('bans_max', 'gauge', 'Bans that it may hold.', () => figures.ceiling),
    one('banned_total', 'counter', 'Bans made.', () => counters.banned),
    one('unbanned_total', 'counter', 'Bans ended before their time.', () => counters.unbanned),
    one('lists_total', 'counter', 'Lists of decisions that were taken whole.', () => counters.polls),
    one('lists_whole_total', 'counter', 'Of them, lists of all that holds.', () => counters.resyncs),
    one('list_seconds', 'gauge', 'What the last list took until it was banned.', () => figures.listSeconds),
    one('list_age_seconds', 'gauge', 'Since the last list; -1 where there was none.', () =>
      figures.listedAt === 0 ? -1 : now() - figures.listedAt,
    ),
    one('alerts_sent_total', 'counter', 'Bans of ours that the server took.', () => counters.alertsSent),
    one('unbans_sent_total', 'counter', 'Unbans of ours that the server was told of.', () => counters.unbansSent),
    one('alerts_known_total', 'counter', 'Of doubtful ones, those it had already.', () => counters.alertsKnown),
    one('alerts_refused_total', 'counter', 'Bans of ours that it refused.', () => counters.alertsRefused),
    one('alerts_waiting', 'gauge', 'Bans of ours that wait.', () => spool?.waiting ?? 0),
    one('lag_seconds', 'gauge', 'Age of the oldest that waits.', () =>
      spool?.oldest === undefined ? 0 : Math.max(0, now() - spool.oldest),
    ),
    one('spool_bytes', 'gauge', 'The spool on disk.', () => spool?.bytes ?? 0),
    one('spool_dropped_total', 'counter', 'Bans that had no room there.', () => spool?.counters.dropped ?? 0),
    one('spool_damaged_total', 'counter', 'Lines of it that could not be read.', () => spool?.counters.damaged ?? 0),
    one(
      'records_missed_total',
      'counter',
      'Records that were gone before they were read.',
      () => counters.recordsMissed,
    ),
    one('records_lost_total', 'counter', 'Records that the daemon itself lost.', () => counters.recordsLost),
    many('errors_total', 'counter', ['part'], 'Failures, by what failed.', () =>
      [...figures.errors].map(([part, count]): Row => [[part], count]),
    ),
    many('problem', 'gauge', ['part', 'says'], 'What is wrong now.', () =>
      [...figures.problems].map(([part, says]): Row => [[part, says], 1]),
    ),
    many('refused', 'gauge', ['value', 'says'], 'Some decisions that the daemon refused to ban.', () =>
      [...figures.refused].map(([value, says]): Row => [[value, says], 1]),
    ),
  ];
}
