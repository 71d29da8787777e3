/**
 * Every figure of the daemon, once: what `fail2zig-client stats` calls it, what the Prometheus page
 * calls it, what it means and where it is read. Adding a figure is adding a row.
 */
import type { ControlServer } from '../control/server.ts';
import type { Enforcer } from '../enforcer/enforcer.ts';
import * as counters from '../engine/counters.ts';
import type { Engine } from '../engine/host.ts';
import type { Recorder } from '../history/recorder.ts';
import type { Logger } from '../log.ts';
import type { ProcessMemory } from '../memory/ceiling.ts';
import { kernelBytes } from '../memory/kernel.ts';
import { residentBytes, residentPeakBytes } from '../memory/resident.ts';
import type { FileSource } from '../sources/file.ts';
import type { StateKeeper } from '../state/keeper.ts';
import type { Backend, CoreConfig } from '../types.ts';
import { version } from '../version.ts';
import type { DropTally } from './drop-tally.ts';
import { buildInfo, type Row, type Series } from './metrics.ts';
import { PerMinute } from './per-minute.ts';

export interface Observed {
  config: CoreConfig;
  memory: ProcessMemory;
  engine: Engine;
  enforcer: Enforcer;
  drops: DropTally;
  backend: Backend;
  files: FileSource;
  control: ControlServer | undefined;
  /** What an operator must know about, and the jails without a log. */
  operator: { problems(): string[]; idleJails(): unknown[] };
  log: Pick<Logger, 'linesSuppressed' | 'linesLost'>;
  recorder: Pick<Recorder, 'counters'>;
  /** Absent where nothing is saved. */
  keeper: StateKeeper | undefined;
}

/** A series of the page, and its name in `stats`: of the sum of its rows, or of each row. */
export interface Figure extends Series {
  stats?: string | ((labels: readonly string[]) => string);
}

/** `stats` '' = shown on the page only. */
const one = (name: string, stats: string, help: string, read: () => number): Figure => ({
  name: `fail2zig_${name}`,
  help,
  type: name.endsWith('_total') ? 'counter' : 'gauge',
  labels: [],
  read,
  ...(stats !== '' && { stats }),
});

const byLabel = (name: string, stats: Figure['stats'], help: string, label: string, read: Series['read']): Figure => ({
  name: `fail2zig_${name}`,
  help,
  type: name.endsWith('_total') ? 'counter' : 'gauge',
  labels: [label],
  read,
  stats,
});

const rowsOf = (counts: Map<string, number>): Row[] => [...counts].map(([name, count]): Row => [[name], count]);

function memoryFigures({ config, memory }: Observed): Figure[] {
  const part =
    (suffix: string) =>
    ([name]: readonly string[]) =>
      `memory.${name}_${suffix}`;
  const parts = (read: 'bytes' | 'bytesMax') => () => memory.parts().map((each): Row => [[each.part], each[read]]);
  const { governor } = memory;
  return [
    one('resident_memory_bytes', 'memory.resident_bytes', 'Resident memory of the process (VmRSS).', residentBytes),
    one('resident_memory_peak_bytes', '', 'Highest resident memory since the start (VmHWM).', residentPeakBytes),
    one('memory_ceiling_bytes', 'memory.ceiling_bytes', 'The memory ceiling.', () => config.memory.ceilingBytes),
    byLabel('memory_part_bytes', part('bytes'), 'Resident memory of each part.', 'part', parts('bytes')),
    byLabel('memory_part_max_bytes', part('bytes_max'), 'What each part may take.', 'part', parts('bytesMax')),
    one('memory_releases_total', 'memory.releases', 'Times file pages were given back.', () => governor.releases),
    one(
      'memory_release_longest_seconds',
      'memory.release_longest_seconds',
      'The longest such release.',
      () => governor.longestMilliseconds / 1000,
    ),
  ];
}

function lineFigures({ engine }: Observed, filters: number[]): Figure[] {
  const whole = (counter: number) => () => engine.counter(counter);
  const perFilter = (name: string, stats: string | undefined, help: string, counter: number): Figure =>
    byLabel(name, stats, help, 'filter', () =>
      filters.map((filter): Row => [[engine.filterName(filter)], engine.filterCounter(filter, counter)]),
    );
  return [
    one('lines_total', 'lines.total', 'Log lines read.', whole(counters.LINES)),
    one('lines_matched_total', 'lines.matched', 'Lines that a filter took.', whole(counters.LINES_MATCHED)),
    one(
      'lines_too_long_total',
      'drops.too_long',
      'Lines over the limit: read in part.',
      whole(counters.LINES_TOO_LONG),
    ),
    one('read_bytes_total', '', 'Bytes of log read.', whole(counters.BYTES)),
    perFilter('filter_lines_total', undefined, 'Lines a filter looked at.', counters.FILTER_LINES),
    perFilter('filter_no_prefix_total', undefined, 'Lines of other programs.', counters.FILTER_NO_PREFIX),
    perFilter('filter_matched_total', undefined, 'Lines a filter took for a failure.', counters.FILTER_MATCHED),
    perFilter('filter_ignored_total', undefined, 'Lines an ignore pattern took out.', counters.FILTER_IGNORED),
    perFilter('filter_bad_address_total', 'drops.invalid', 'Matches without address.', counters.FILTER_BAD_ADDRESS),
    perFilter('filter_bad_time_total', 'drops.invalid', 'Matches of an impossible time.', counters.FILTER_BAD_TIME),
    perFilter('filter_host_name_total', 'drops.host_name', 'Matches with a host name.', counters.FILTER_HOST_NAME),
    perFilter(
      'filter_unread_time_total',
      'lines.unread_time',
      'Matches whose time is not read.',
      counters.FILTER_UNREAD_TIME,
    ),
    one('lines_misshapen_total', 'drops.misshapen', 'Lines not of their format.', whole(counters.LINES_MISSHAPEN)),
    one('line_pieces_dropped_total', 'drops.pieces', 'Pieces of lines dropped.', whole(counters.PIECES_DROPPED)),
  ];
}

/** What a given-up entry still was. */
const evictionReasons: [reason: string, counter: number][] = [
  ['open', counters.EVICTIONS_OPEN],
  ['banned', counters.EVICTIONS_BANNED],
  ['remembered', counters.EVICTIONS_REMEMBERED],
];

function tableFigures({ config, engine }: Observed, perJail: PerJail): Figure[] {
  const { evictionPolicy } = config.memory;
  const whole = (counter: number) => () => engine.counter(counter);
  const perMinute = new PerMinute(whole(counters.EVICTIONS));
  return [
    one('table_slots', 'table.slots', 'Entries the table has room for.', () => engine.slots),
    one('table_slots_used', 'table.used', 'Table entries in use.', whole(counters.TRACKED)),
    one('evictions_total', 'evictions.total', 'Entries given up for newer ones.', whole(counters.EVICTIONS)),
    byLabel(
      'evictions_by_policy_total',
      ([policy]) => `evictions.${policy}`,
      'By policy.',
      'policy',
      () => [[[evictionPolicy], engine.counter(counters.EVICTIONS)]],
    ),
    one('evictions_per_minute', 'evictions.per_minute', 'The same in the last minute.', () => perMinute.read()),
    {
      name: 'fail2zig_evictions_by_reason_total',
      stats: ([, reason]) => `evictions.${reason}`,
      help: 'The same by policy and by what the entries still were.',
      type: 'counter',
      labels: ['policy', 'reason'],
      read: () => evictionReasons.map(([reason, counter]): Row => [[evictionPolicy, reason], engine.counter(counter)]),
    },
    perJail('evictions_jail_total', undefined, 'The same for each jail.', counters.JAIL_EVICTED),
    one('denied_total', 'evictions.denied', 'Failures that found no place in the table.', whole(counters.DENIED)),
    perJail('failures_denied_total', undefined, 'The same for each jail.', counters.JAIL_DENIED),
    one('ban_all_runs_total', 'evictions.ban_all_runs', 'Runs of the policy ban_all.', whole(counters.BAN_ALL_RUNS)),
    one('connections_evicted_total', '', 'Connections given up for others.', whole(counters.CONNECTIONS_EVICTED)),
  ];
}

function failureFigures(perJail: PerJail): Figure[] {
  return [
    perJail('failures_total', 'failures.total', 'Failures counted.', counters.JAIL_FAILURES),
    perJail('failures_ignored_total', 'failures.ignored', 'Failures of ignored addresses.', counters.JAIL_IGNORED),
    perJail(
      'failures_already_banned_total',
      'failures.already_banned',
      'Failures while banned.',
      counters.JAIL_ALREADY,
    ),
    perJail('failures_too_old_total', 'drops.too_old', 'Failures older than findtime.', counters.JAIL_TOO_OLD),
    perJail('failures_future_total', 'drops.future', 'Failures with a time in the future.', counters.JAIL_FUTURE),
  ];
}

function banFigures({ config, engine, enforcer, drops, backend }: Observed, perJail: PerJail): Figure[] {
  const { jails } = config;
  const whole = (counter: number) => () => engine.counter(counter);
  const { counters: kernel } = enforcer;
  const ofJails = (read: (jail: number) => number) => () => jails.map(({ name }, jail): Row => [[name], read(jail)]);
  return [
    one('decisions_total', 'decisions.total', 'Bans decided.', whole(counters.DECISIONS)),
    perJail('decisions_jail_total', undefined, 'The same for each jail.', counters.JAIL_DECISIONS),
    one('decisions_waiting', 'decisions.waiting', 'Bans decided and not yet sent to the kernel.', () => engine.waiting),
    one('decisions_deferred_total', '', 'Decisions left to a sweep.', whole(counters.DECISIONS_DEFERRED)),
    {
      name: 'fail2zig_bans_active',
      help: 'Bans that run now: held by the kernel, or decided and on their way to it.',
      type: 'gauge',
      labels: ['jail', 'state'],
      read: async () =>
        (await engine.countBans(Date.now() / 1000)).flatMap(({ held, pending }, jail): Row[] => [
          [[jails[jail]!.name, 'held'], held],
          [[jails[jail]!.name, 'pending'], pending],
        ]),
    },
    byLabel(
      'bans_total',
      'bans.total',
      'Bans the kernel confirmed.',
      'jail',
      ofJails((jail) => kernel.bans[jail]!),
    ),
    byLabel(
      'bans_restored_total',
      'bans.restored',
      'Bans from before the start that the kernel holds again, or still.',
      'jail',
      ofJails((jail) => kernel.restored[jail]!),
    ),
    one('bans_lifted_total', 'bans.lifted', 'Bans that ended early to make room.', () => kernel.lifted),
    one('bans_max', 'bans.max', 'Bans that the kernel may hold.', () => enforcer.bansMax),
    {
      name: 'fail2zig_kernel_bytes',
      stats: 'memory.kernel_bytes',
      help: "About what bans take of the kernel's memory, beside the process.",
      type: 'gauge',
      labels: [],
      read: async () => [[[], kernelBytes(await engine.countBans(Date.now() / 1000))]],
    },
    one('unbans_total', 'unbans.total', 'Bans ended by an operator.', () => kernel.unbans),
    one('bans_unsupported_total', 'bans.unsupported', 'Bans the backend cannot hold.', () => kernel.unsupported),
    ...(backend.drops === undefined
      ? []
      : [
          byLabel(
            'packets_dropped_total',
            'packets.dropped',
            'Packets of banned sources that the kernel dropped or rejected.',
            'jail',
            () => jails.map(({ name }): Row => [[name], drops.of(name)]),
          ),
        ]),
    one('transactions_total', 'transactions.total', 'Transactions sent to the backend.', () => kernel.transactions),
    {
      name: 'fail2zig_transactions_failed_total',
      stats: 'transactions.failed',
      help: 'Transactions that failed, by error.',
      type: 'counter',
      labels: ['backend', 'error'],
      read: () => [...kernel.failures].map(([error, count]): Row => [[backend.name, error], count]),
    },
    one('reconciles_total', 'kernel.reconciles', 'Comparisons of kernel and table.', () => kernel.reconciles),
    one('repairs_total', 'kernel.repairs', 'What these had to put right in the kernel.', () => kernel.repairs),
  ];
}

function surroundingFigures({ files, control, keeper, operator, log, recorder }: Observed): Figure[] {
  const figures = [
    one('file_rotations_total', '', 'Log files that were replaced.', () => files.counters.rotations),
    one('file_truncations_total', '', 'Log files that were cut.', () => files.counters.truncations),
    one('files_refused', 'files.refused', 'Log files that found no room.', () => files.refused),
    one(
      'files_with_problems',
      'files.problems',
      'Log files that cannot be read, found no room or are quiet.',
      () => files.problems().length,
    ),
    one('file_errors_total', '', 'Log files that could not be read.', () => files.counters.errors),
    one('problems', 'problems', 'What `status` names as problems now.', () => operator.problems().length),
    one('jails_without_log', 'jails.without_log', 'Jails that read no log now.', () => operator.idleJails().length),
    one('log_lines_suppressed_total', 'log.suppressed', 'Log lines over their budget.', () => log.linesSuppressed),
    one('log_lines_lost_total', 'log.lost', 'Log lines that nobody was ready to read.', () => log.linesLost),
    one('events_recorded_total', 'events.recorded', 'Records of bans and commands.', () => recorder.counters.events),
    one('events_lost_total', 'events.lost', 'Records that found no place.', () => recorder.counters.lost),
    one('control_requests_total', '', 'Requests on the control socket.', () => control?.counters.requestsTotal ?? 0),
    one('control_refused_total', '', 'Peers refused there.', () => control?.counters.refusedTotal ?? 0),
  ];
  if (keeper === undefined) return figures;
  const { counters: state } = keeper;
  return [
    ...figures,
    one('state_saves_total', 'state.saves', 'Times the state was written to disk.', () => state.saves),
    byLabel('state_failures_total', 'state.failures', 'Times it could not be, by error.', 'error', () =>
      rowsOf(state.failures),
    ),
    one('state_bytes', 'state.bytes', 'Size of the state file.', () => state.bytes),
    one('state_saved_timestamp_seconds', 'state.saved_at', 'When it was written; 0 = not yet.', () =>
      Math.round(state.savedAt),
    ),
    one(
      'state_pause_longest_seconds',
      'state.pause_longest_seconds',
      'Longest time for which logs were not read while the state was copied.',
      () => state.pauseLongestMs / 1000,
    ),
  ];
}

type PerJail = (name: string, stats: string | undefined, help: string, counter: number) => Figure;

/** All of them, in the order in which they are shown. */
export function figuresOf(observed: Observed): Figure[] {
  const { config, engine } = observed;
  const { jails } = config;
  const filters = [...new Set(jails.map(({ filter, mode }) => engine.resolveFilter(filter, mode).filter))];
  const perJail: PerJail = (name, stats, help, counter) =>
    byLabel(name, stats, help, 'jail', () =>
      jails.map((jail, index): Row => [[jail.name], engine.jailCounter(index, counter)]),
    );
  return [
    buildInfo(version, process.version),
    ...lineFigures(observed, filters),
    ...failureFigures(perJail),
    ...banFigures(observed, perJail),
    ...tableFigures(observed, perJail),
    ...surroundingFigures(observed),
    ...memoryFigures(observed),
  ];
}

/** What `stats` shows. */
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
