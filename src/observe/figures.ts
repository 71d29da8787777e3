/**
 * Every figure of the daemon, defined once: its name in `fail2zig-client stats`, its name on the
 * Prometheus page, its meaning and its source. A new figure is a new row.
 */
import type { ControlServer } from '../control/server.ts';
import type { Enforcer } from '../enforcer/enforcer.ts';
import * as counters from '../engine/counters.ts';
import type { Engine } from '../engine/host.ts';
import type { Recorder } from '../history/recorder.ts';
import { banLatencyBuckets } from '../limits.ts';
import type { ListView } from '../lists/lists.ts';
import type { Logger } from '../log.ts';
import type { ProcessMemory } from '../memory/ceiling.ts';
import { kernelBytes } from '../memory/kernel.ts';
import { residentBytes, residentPeakBytes } from '../memory/resident.ts';
import { isTaken } from '../places.ts';
import type { FileSource, FileStatus } from '../sources/file.ts';
import type { JournalSource } from '../sources/journal/journal.ts';
import type { SourceRoutes } from '../sources/routes.ts';
import type { StateKeeper } from '../state/keeper.ts';
import type { Backend, CoreConfig } from '../types.ts';
import { version } from '../version.ts';
import type { DropTally } from './drop-tally.ts';
import type { Row, Series } from './metrics.ts';
import { PerMinute } from './per-minute.ts';

export interface Observed {
  config: CoreConfig;
  memory: ProcessMemory;
  engine: Engine;
  enforcer: Enforcer;
  drops: DropTally;
  backend: Backend;
  files: FileSource;
  /** Absent if no jail reads it. */
  journal?: JournalSource | undefined;
  control: ControlServer | undefined;
  /** What an operator must know, and the jails without a log. */
  operator: { problems(): string[]; idleJails(): unknown[] };
  log: Pick<Logger, 'linesSuppressed' | 'linesLost'>;
  /** Every followed log, and which jail reads it. */
  followed: () => readonly FileStatus[];
  routes: Pick<SourceRoutes, 'statusOf'>;
  recorder: Pick<Recorder, 'counters'>;
  /** List files; absent if there are none. */
  lists?: { views(): readonly ListView[] } | undefined;
  /** Absent if no state is saved. */
  keeper: StateKeeper | undefined;
}

/** A series of the page, and its name in `stats`: for the sum of its rows, or for each row. */
export interface Figure extends Series {
  stats?: string | ((labels: readonly string[]) => string);
}

/** A figure; its name determines its type. `stats` '' = shown on the page only. */
function figure(name: string, labels: string[], stats: Figure['stats'], help: string, read: Series['read']): Figure {
  const type = name.endsWith('_total') ? 'counter' : 'gauge';
  return { name: `fail2zig_${name}`, help, type, labels, read, ...(stats !== '' && { stats }) };
}

/** A figure with a single value. */
const one = (name: string, stats: string, help: string, read: () => number): Figure =>
  figure(name, [], stats, help, read);

const rowsOf = (counts: Map<string, number>): Row[] => [...counts].map(([name, count]): Row => [[name], count]);

/** What the figures are read from, and the kinds of figures that engine and jails have. */
class Sources {
  readonly observed: Observed;

  constructor(observed: Observed) {
    this.observed = observed;
  }

  get #filters(): number[] {
    const { config, engine } = this.observed;
    const jails = config.jails.filter(isTaken);
    return [...new Set(jails.map(({ filter, mode }) => engine.resolveFilter(filter, mode).filter))];
  }

  /** A counter of the engine. */
  readonly count = (name: string, stats: string, help: string, counter: number): Figure =>
    one(name, stats, help, () => this.observed.engine.counter(counter));

  /** A value for each jail. */
  readonly jails = (name: string, stats: string, help: string, read: (jail: number, name: string) => number): Figure =>
    figure(name, ['jail'], stats, help, () =>
      this.observed.config.jails.flatMap((jail, index): Row[] =>
        isTaken(jail) ? [[[jail.name], read(index, jail.name)]] : [],
      ),
    );

  /** A counter of the engine for each jail. */
  readonly perJail = (name: string, stats: string, help: string, counter: number): Figure =>
    this.jails(name, stats, help, (jail) => this.observed.engine.jailCounter(jail, counter));

  /** A counter of the engine for each filter. */
  readonly perFilter = (name: string, stats: string, help: string, counter: number): Figure => {
    const { engine } = this.observed;
    return figure(`filter_${name}_total`, ['filter'], stats, help, () =>
      this.#filters.map((filter): Row => [[engine.filterName(filter)], engine.filterCounter(filter, counter)]),
    );
  };
}

function memoryFigures({ observed: { config, memory } }: Sources): Figure[] {
  const { governor } = memory;
  const parts = (name: string, help: string, read: 'bytes' | 'bytesMax', suffix: string) =>
    figure(
      name,
      ['part'],
      ([part]) => `memory.${part}_${suffix}`,
      help,
      () => memory.parts().map((each): Row => [[each.part], each[read]]),
    );
  const longestSeconds = () => governor.longestMilliseconds / 1000;
  return [
    one('resident_memory_bytes', 'memory.resident_bytes', 'Resident memory of the process (VmRSS).', residentBytes),
    one('resident_memory_peak_bytes', '', 'Highest resident memory since the start (VmHWM).', residentPeakBytes),
    one('memory_ceiling_bytes', 'memory.ceiling_bytes', 'The memory ceiling.', () => config.memory.ceilingBytes),
    parts('memory_part_bytes', 'Resident memory of each part.', 'bytes', 'bytes'),
    parts('memory_part_max_bytes', 'What each part may take.', 'bytesMax', 'bytes_max'),
    one(
      'memory_releases_total',
      'memory.releases',
      'Times all file pages were given back at once.',
      () => governor.releases,
    ),
    one('memory_release_longest_seconds', 'memory.release_longest_seconds', 'The longest of these.', longestSeconds),
  ];
}

function lineFigures({ count, perFilter }: Sources): Figure[] {
  return [
    count('lines_total', 'lines.total', 'Log lines read.', counters.LINES),
    count('lines_matched_total', 'lines.matched', 'Lines that a filter took.', counters.LINES_MATCHED),
    count('lines_too_long_total', 'drops.too_long', 'Lines over the limit: read in part.', counters.LINES_TOO_LONG),
    count('read_bytes_total', '', 'Bytes of log read.', counters.BYTES),
    perFilter('lines', '', 'Lines a filter looked at.', counters.FILTER_LINES),
    perFilter('no_prefix', '', 'Lines of other programs.', counters.FILTER_NO_PREFIX),
    perFilter('matched', '', 'Lines a filter took for a failure.', counters.FILTER_MATCHED),
    perFilter('ignored', '', 'Lines an ignore pattern took out.', counters.FILTER_IGNORED),
    perFilter('bad_address', 'drops.invalid', 'Matches without address.', counters.FILTER_BAD_ADDRESS),
    perFilter('bad_time', 'drops.invalid', 'Matches of an impossible time.', counters.FILTER_BAD_TIME),
    perFilter('host_name', 'drops.host_name', 'Matches with a host name.', counters.FILTER_HOST_NAME),
    perFilter('unread_time', 'lines.unread_time', 'Matches whose time is not read.', counters.FILTER_UNREAD_TIME),
    count('lines_misshapen_total', 'drops.misshapen', 'Lines not of their format.', counters.LINES_MISSHAPEN),
    count('line_pieces_dropped_total', 'drops.pieces', 'Pieces of lines dropped.', counters.PIECES_DROPPED),
  ];
}

/** The state of the evicted entry. */
const evictionReasons: [reason: string, counter: number][] = [
  ['open', counters.EVICTIONS_OPEN],
  ['banned', counters.EVICTIONS_BANNED],
  ['remembered', counters.EVICTIONS_REMEMBERED],
];

function tableFigures({ observed: { config, engine }, count, perJail }: Sources): Figure[] {
  const { evictionPolicy: policy } = config.memory;
  const evictions = () => engine.counter(counters.EVICTIONS);
  const perMinute = new PerMinute(evictions);
  const reasons = () => evictionReasons.map(([name, counter]): Row => [[policy, name], engine.counter(counter)]);
  const byReason = 'The same by policy and by what the entries still were.';
  return [
    one('table_slots', 'table.slots', 'Entries the table has room for.', () => engine.slots),
    count('table_slots_used', 'table.used', 'Table entries in use.', counters.TRACKED),
    count('evictions_total', 'evictions.total', 'Entries given up for newer ones.', counters.EVICTIONS),
    figure('evictions_by_policy_total', ['policy'], `evictions.${policy}`, 'By policy.', () => [
      [[policy], evictions()],
    ]),
    one('evictions_per_minute', 'evictions.per_minute', 'The same in the last minute.', () => perMinute.read()),
    figure('evictions_by_reason_total', ['policy', 'reason'], ([, name]) => `evictions.${name}`, byReason, reasons),
    perJail('evictions_jail_total', '', 'The same for each jail.', counters.JAIL_EVICTED),
    count('denied_total', 'evictions.denied', 'Failures that found no place in the table.', counters.DENIED),
    perJail('failures_denied_total', '', 'The same for each jail.', counters.JAIL_DENIED),
    count('ban_all_runs_total', 'evictions.ban_all_runs', 'Runs of the policy ban_all.', counters.BAN_ALL_RUNS),
    count('connections_evicted_total', '', 'Connections given up for others.', counters.CONNECTIONS_EVICTED),
  ];
}

function failureFigures({ perJail }: Sources): Figure[] {
  return [
    perJail('failures_total', 'failures.total', 'Failures counted.', counters.JAIL_FAILURES),
    perJail('failures_ignored_total', 'failures.ignored', 'Failures of ignored addresses.', counters.JAIL_IGNORED),
    perJail('failures_already_banned_total', 'failures.already_banned', 'While banned.', counters.JAIL_ALREADY),
    perJail('failures_too_old_total', 'drops.too_old', 'Failures older than findtime.', counters.JAIL_TOO_OLD),
    perJail('failures_future_total', 'drops.future', 'Failures with a time in the future.', counters.JAIL_FUTURE),
  ];
}

function banFigures({ observed, count, jails, perJail }: Sources): Figure[] {
  const { config, engine, enforcer, drops, backend } = observed;
  const { counters: kernel } = enforcer;
  const bansByState = async (): Promise<Row[]> =>
    (await engine.countBans(Date.now() / 1000)).flatMap(({ held, pending }, jail): Row[] => {
      const { name } = config.jails[jail]!;
      return name === ''
        ? []
        : [
            [[name, 'held'], held],
            [[name, 'pending'], pending],
          ];
    });
  const listed = (): Row[] => observed.lists!.views().map(({ file, use, entries }): Row => [[file, use], entries]);
  const memory = async (): Promise<Row[]> => [[[], kernelBytes(await engine.countBans(Date.now() / 1000))]];
  const failed = () => [...kernel.failures].map(([error, times]): Row => [[backend.name, error], times]);
  const dropped = 'Packets of banned sources that the kernel dropped or rejected.';
  const restored = 'Bans from before the start that the kernel holds again, or still.';
  const running = 'Bans that run now: held by the kernel, or decided and on their way to it.';
  const taken = "About what bans take of the kernel's memory, beside the process.";
  const failing = 'Transactions that failed, by error.';
  const { latency } = enforcer;
  const histogram = (): Row[] => [
    ...latency.cumulative.map((count, bucket): Row => [[String(banLatencyBuckets[bucket] ?? '+Inf')], count]),
    [['sum'], latency.sum],
    [['count'], latency.cumulative.at(-1)!],
  ];
  const way = "From a ban's decision to the kernel's acknowledgement.";
  return [
    count('decisions_total', 'decisions.total', 'Bans decided.', counters.DECISIONS),
    perJail('decisions_jail_total', '', 'The same for each jail.', counters.JAIL_DECISIONS),
    one('decisions_waiting', 'decisions.waiting', 'Bans decided and not yet sent to the kernel.', () => engine.waiting),
    count('decisions_deferred_total', '', 'Decisions left to a sweep.', counters.DECISIONS_DEFERRED),
    figure('bans_active', ['jail', 'state'], '', running, bansByState),
    { ...figure('ban_latency_seconds', ['le'], '', way, histogram), type: 'histogram' },
    one('ban_latency_p50_seconds', 'bans.p50_seconds', 'Bound of half of these.', () => latency.quantile(0.5)),
    one('ban_latency_p99_seconds', 'bans.p99_seconds', 'Bound of 99 % of these.', () => latency.quantile(0.99)),
    jails('bans_total', 'bans.total', 'Bans the kernel confirmed.', (jail) => kernel.bans[jail]!),
    jails('bans_restored_total', 'bans.restored', restored, (jail) => kernel.restored[jail]!),
    one('bans_lifted_total', 'bans.lifted', 'Bans that ended early to make room.', () => kernel.lifted),
    one('bans_max', 'bans.max', 'Bans that the kernel may hold.', () => enforcer.bansMax),
    figure('kernel_bytes', [], 'memory.kernel_bytes', taken, memory),
    ...(observed.lists === undefined
      ? []
      : [figure('list_entries', ['file', 'use'], 'lists.entries', 'Entries of files of addresses.', listed)]),
    one('unbans_total', 'unbans.total', 'Bans ended by an operator.', () => kernel.unbans),
    one('bans_unsupported_total', 'bans.unsupported', 'Bans the backend cannot hold.', () => kernel.unsupported),
    ...(backend.drops === undefined
      ? []
      : [jails('packets_dropped_total', 'packets.dropped', dropped, (_, jail) => drops.of(jail))]),
    one('transactions_total', 'transactions.total', 'Transactions sent to the backend.', () => kernel.transactions),
    figure('transactions_failed_total', ['backend', 'error'], 'transactions.failed', failing, failed),
    one('reconciles_total', 'kernel.reconciles', 'Comparisons of kernel and table.', () => kernel.reconciles),
    one('repairs_total', 'kernel.repairs', 'What these had to put right in the kernel.', () => kernel.repairs),
  ];
}

function surroundingFigures({ observed, jails }: Sources): Figure[] {
  const { files, followed, control, operator, log, recorder, routes } = observed;
  const logsOf = (jail: number) => routes.statusOf(jail, followed());
  const silent = 'Seconds since a line came in any log of the jail, as looked at each minute.';
  const silence = (jail: number) => Math.min(...logsOf(jail).map(({ quietSeconds = 0 }) => quietSeconds));
  const undelivered = (): number => recorder.counters.undelivered;
  const unwell = 'Log files that cannot be read, found no room or are quiet.';
  return [
    jails('jail_logs', '', 'Logs that the jail reads.', (jail) => logsOf(jail).length),
    jails(
      'jail_logs_behind',
      '',
      'Of these, those that are read late.',
      (jail) => logsOf(jail).filter(({ behind }) => behind).length,
    ),
    jails('jail_silence_seconds', '', silent, (jail) => (logsOf(jail).length === 0 ? 0 : silence(jail))),
    one('file_rotations_total', '', 'Log files that were replaced.', () => files.counters.rotations),
    one('file_truncations_total', '', 'Log files that were cut.', () => files.counters.truncations),
    one('files_refused', 'files.refused', 'Log files that found no room.', () => files.refused),
    one('files_with_problems', 'files.problems', unwell, () => files.problems().length),
    one('file_errors_total', '', 'Log files that could not be read.', () => files.counters.errors),
    one('problems', 'problems', 'What `status` names as problems now.', () => operator.problems().length),
    one('jails_without_log', 'jails.without_log', 'Jails that read no log now.', () => operator.idleJails().length),
    one('log_lines_suppressed_total', 'log.suppressed', 'Log lines over their budget.', () => log.linesSuppressed),
    one('log_lines_lost_total', 'log.lost', 'Log lines that nobody was ready to read.', () => log.linesLost),
    one('events_recorded_total', 'events.recorded', 'Records of bans and commands.', () => recorder.counters.events),
    one('events_lost_total', 'events.lost', 'Records that found no place.', () => recorder.counters.lost),
    one('events_undelivered_total', 'events.undelivered', 'Records that journald did not take.', undelivered),
    one('control_requests_total', '', 'Requests on the control socket.', () => control?.counters.requestsTotal ?? 0),
    one('control_refused_total', '', 'Peers refused there.', () => control?.counters.refusedTotal ?? 0),
  ];
}

function stateFigures({ observed: { keeper } }: Sources): Figure[] {
  if (keeper === undefined) return [];
  const { counters: state } = keeper;
  const failures = () => rowsOf(state.failures);
  const savedAt = () => Math.round(state.savedAt);
  const pauseSeconds = () => state.pauseLongestMs / 1000;
  const paused = 'Longest time for which logs were not read while the state was copied.';
  return [
    one('state_saves_total', 'state.saves', 'Times the state was written to disk.', () => state.saves),
    figure('state_failures_total', ['error'], 'state.failures', 'Times it could not be, by error.', failures),
    one('state_bytes', 'state.bytes', 'Size of the state file.', () => state.bytes),
    one('state_saved_timestamp_seconds', 'state.saved_at', 'When it was written; 0 = not yet.', savedAt),
    one('state_pause_longest_seconds', 'state.pause_longest_seconds', paused, pauseSeconds),
  ];
}

function journalFigures({ observed: { journal } }: Sources): Figure[] {
  if (journal === undefined) return [];
  const { counters: read } = journal;
  const unread = () => rowsOf(journal.unread);
  return [
    one('journal_files', 'journal.files', 'Journal files that are open.', () => journal.files),
    one('journal_entries_total', 'journal.entries', 'Entries of the journal passed.', () => read.entries),
    one('journal_messages_total', 'journal.messages', 'Messages of it that a jail asked for.', () => read.fed),
    one('journal_lag_seconds', 'journal.lag_seconds', 'How old what is read of it is.', () => journal.lagSeconds),
    one('journal_damaged_total', 'journal.damaged', 'Damaged entries passed over.', () => read.damaged),
    one('journal_aside_total', 'journal.aside', 'Damaged journal files set aside.', () => read.aside),
    one('journal_refused', 'journal.refused', 'Journal files that wait for room.', () => journal.refused),
    figure('journal_unread_total', ['reason'], 'journal.unread', 'Messages of it that were not read.', unread),
  ];
}

/** All figures, in the order in which they are shown. */
export function figuresOf(observed: Observed): Figure[] {
  const sources = new Sources(observed);
  const parts = [
    lineFigures,
    failureFigures,
    banFigures,
    tableFigures,
    surroundingFigures,
    stateFigures,
    journalFigures,
    memoryFigures,
  ];
  const build = () => [[[version, process.version], 1]] as Row[];
  return [
    figure('build_info', ['version', 'node'], '', 'Version of fail2zig and of its runtime; always 1.', build),
    ...parts.flatMap((part) => part(sources)),
  ];
}

/** The figures that `stats` shows. */
export async function statsOf(figures: readonly Figure[]): Promise<Record<string, number>> {
  const found: Record<string, number> = {};
  for (const { stats, read } of figures) {
    if (stats === undefined) continue;
    const value = await read();
    const rows: Iterable<Row> = typeof value === 'number' ? [[[], value]] : value;
    if (typeof stats === 'string') found[stats] ??= 0;
    for (const [labels, count] of rows) {
      const name = typeof stats === 'string' ? stats : stats(labels);
      found[name] = (found[name] ?? 0) + count;
    }
  }
  return found;
}
