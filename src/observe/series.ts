/** Every series of the Prometheus page: a table of names and getters over the running daemon. */
import type { ControlServer } from '../control/server.ts';
import type { Enforcer } from '../enforcer/enforcer.ts';
import * as counters from '../engine/counters.ts';
import type { Engine } from '../engine/host.ts';
import { residentBytes, residentPeakBytes } from '../memory/resident.ts';
import type { FileSource } from '../sources/file.ts';
import type { StateKeeper } from '../state/keeper.ts';
import type { Backend, CoreConfig } from '../types.ts';
import { version } from '../version.ts';
import type { DropTally } from './drop-tally.ts';
import { buildInfo, type Row, type Series } from './metrics.ts';

export interface Observed {
  config: CoreConfig;
  engine: Engine;
  enforcer: Enforcer;
  drops: DropTally;
  backend: Backend;
  files: FileSource;
  control: ControlServer | undefined;
  /** Absent where nothing is saved. */
  keeper: StateKeeper | undefined;
}

/**
 * What a given-up entry still was: failures within findtime, a ban in the kernel, a ban on its way
 * there, bans that are over.
 */
const evictionReasons: [reason: string, counter: number][] = [
  ['open', counters.EVICTIONS_OPEN],
  ['banned', counters.EVICTIONS_BANNED],
  ['undelivered', counters.EVICTIONS_UNDELIVERED],
  ['remembered', counters.EVICTIONS_REMEMBERED],
];

const single = (name: string, help: string, read: () => number): Series => ({
  name: `fail2zig_${name}`,
  help,
  type: name.endsWith('_total') ? 'counter' : 'gauge',
  labels: [],
  read,
});

function stateSeries({ counters }: StateKeeper): Series[] {
  return [
    single('state_saves_total', 'Times the state was written to disk.', () => counters.saves),
    {
      name: 'fail2zig_state_failures_total',
      help: 'Times it could not be, by error.',
      type: 'counter',
      labels: ['error'],
      read: () => [...counters.failures].map(([error, count]): Row => [[error], count]),
    },
    single('state_bytes', 'Size of the state file.', () => counters.bytes),
    single('state_saved_timestamp_seconds', 'When the state was last written; 0 = not yet.', () => counters.savedAt),
    single(
      'state_pause_longest_seconds',
      'Longest time for which logs were not read while the state was copied.',
      () => counters.pauseLongestMs / 1000,
    ),
  ];
}

export function series({ config, engine, enforcer, drops, backend, files, control, keeper }: Observed): Series[] {
  const { jails } = config;
  const filters = [...new Set(jails.map((jail) => engine.resolveFilter(jail.filter, jail.mode).filter))];
  const perJail = (name: string, help: string, read: (jail: number) => number): Series => ({
    name: `fail2zig_${name}`,
    help,
    type: 'counter',
    labels: ['jail'],
    read: () => jails.map((jail, index): Row => [[jail.name], read(index)]),
  });
  const perFilter = (name: string, help: string, counter: number): Series => ({
    name: `fail2zig_${name}`,
    help,
    type: 'counter',
    labels: ['filter'],
    read: () => filters.map((filter): Row => [[engine.filterName(filter)], engine.filterCounter(filter, counter)]),
  });
  const global = (counter: number) => () => engine.counter(counter);
  return [
    buildInfo(version, process.version),
    single('resident_memory_bytes', 'Resident memory of the whole process (VmRSS).', residentBytes),
    single('resident_memory_peak_bytes', 'Highest resident memory since the start (VmHWM).', residentPeakBytes),
    single('memory_ceiling_bytes', 'The configured memory ceiling.', () => config.memory.ceilingBytes),
    single('lines_total', 'Log lines read.', global(counters.LINES)),
    single('lines_matched_total', 'Log lines that a filter took for a failure.', global(counters.LINES_MATCHED)),
    single(
      'lines_too_long_total',
      'Lines over the length limit: cut and read up to it.',
      global(counters.LINES_TOO_LONG),
    ),
    single('read_bytes_total', 'Bytes of log read.', global(counters.BYTES)),
    single('table_slots', 'Entries the table has room for.', () => engine.slots),
    single('table_slots_used', 'Table entries in use.', () => engine.tracked),
    single('evictions_total', 'Table entries given up for newer ones.', global(counters.EVICTIONS)),
    {
      name: 'fail2zig_evictions_by_reason_total',
      help: 'The same by policy and by what the entries still were.',
      type: 'counter',
      labels: ['policy', 'reason'],
      read: () =>
        evictionReasons.map(
          ([reason, counter]): Row => [[config.memory.evictionPolicy, reason], engine.counter(counter)],
        ),
    },
    single('denied_total', 'Failures that found no place in the table.', global(counters.DENIED)),
    single('connections_evicted_total', 'Connections given up for newer ones.', global(counters.CONNECTIONS_EVICTED)),
    single('decisions_total', 'Bans decided.', global(counters.DECISIONS)),
    single('decisions_waiting', 'Bans decided and not yet sent to the kernel.', () => engine.waiting),
    perJail('evictions_jail_total', 'Table entries of a jail given up for newer ones.', (jail) =>
      engine.jailCounter(jail, counters.JAIL_EVICTED),
    ),
    perJail('failures_denied_total', 'Failures that found no place in the table.', (jail) =>
      engine.jailCounter(jail, counters.JAIL_DENIED),
    ),
    perJail('failures_total', 'Failures counted.', (jail) => engine.jailCounter(jail, counters.JAIL_FAILURES)),
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
    perJail('bans_total', 'Bans the kernel confirmed.', (jail) => enforcer.counters.bans[jail]!),
    ...(backend.drops === undefined
      ? []
      : [
          perJail('packets_dropped_total', 'Packets of banned sources that the kernel dropped or rejected.', (jail) =>
            drops.of(jails[jail]!.name),
          ),
        ]),
    perJail('failures_ignored_total', 'Failures of addresses in ignoreip.', (jail) =>
      engine.jailCounter(jail, counters.JAIL_IGNORED),
    ),
    perJail('failures_already_banned_total', 'Failures of sources whose ban is running.', (jail) =>
      engine.jailCounter(jail, counters.JAIL_ALREADY),
    ),
    perJail('failures_too_old_total', 'Failures older than findtime.', (jail) =>
      engine.jailCounter(jail, counters.JAIL_TOO_OLD),
    ),
    perJail('failures_future_total', 'Failures with a time in the future.', (jail) =>
      engine.jailCounter(jail, counters.JAIL_FUTURE),
    ),
    perFilter('filter_lines_total', 'Lines a filter looked at.', counters.FILTER_LINES),
    perFilter('filter_matched_total', 'Lines a filter took for a failure.', counters.FILTER_MATCHED),
    perFilter('filter_ignored_total', 'Lines an ignore pattern took out.', counters.FILTER_IGNORED),
    perFilter('filter_bad_address_total', 'Matches whose address was none.', counters.FILTER_BAD_ADDRESS),
    perFilter('filter_bad_time_total', 'Matches whose time does not exist.', counters.FILTER_BAD_TIME),
    perFilter(
      'filter_host_name_total',
      'Matches with a host name, which is never resolved.',
      counters.FILTER_HOST_NAME,
    ),
    single('unbans_total', 'Bans ended by an operator.', () => enforcer.counters.unbans),
    single('transactions_total', 'Transactions sent to the backend.', () => enforcer.counters.transactions),
    {
      name: 'fail2zig_transactions_failed_total',
      help: 'Transactions that failed, by error.',
      type: 'counter',
      labels: ['backend', 'error'],
      read: () => [...enforcer.counters.failures].map(([error, count]): Row => [[backend.name, error], count]),
    },
    single(
      'bans_unsupported_total',
      'Bans given up because the backend cannot hold them.',
      () => enforcer.counters.unsupported,
    ),
    single('reconciles_total', 'Comparisons of the kernel with the table.', () => enforcer.counters.reconciles),
    single('repairs_total', 'What these had to put right in the kernel.', () => enforcer.counters.repairs),
    single('file_rotations_total', 'Log files that were replaced.', () => files.counters.rotations),
    single('file_truncations_total', 'Log files that were cut.', () => files.counters.truncations),
    single('file_errors_total', 'Log files that could not be read.', () => files.counters.errors),
    ...(keeper ? stateSeries(keeper) : []),
    single('control_requests_total', 'Requests on the control socket.', () => control?.counters.requestsTotal ?? 0),
    single('control_refused_total', 'Peers refused on the control socket.', () => control?.counters.refusedTotal ?? 0),
  ];
}
