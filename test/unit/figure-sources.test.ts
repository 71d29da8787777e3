/**
 * Each figure shows what its name says: every source has a number of its own here, so a figure that
 * is read from elsewhere, or under another name, shows another number.
 */
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { Latency } from '../../src/enforcer/latency.ts';
import * as counters from '../../src/engine/counters.ts';
import { banLatencyBuckets, kernelBanBytes } from '../../src/limits.ts';
import { type Figure, figuresOf, type Observed, statsOf } from '../../src/observe/figures.ts';
import type { Row } from '../../src/observe/metrics.ts';
import { vacantJail } from '../../src/places.ts';
import { version } from '../../src/version.ts';

/** Numbers by what they stand for, and back. */
const numbers = new Map<string, number>();
const sourceOf = new Map<number, string>();
function of(source: string): number {
  const value = numbers.get(source) ?? 1_000_001 + 1_000 * numbers.size;
  numbers.set(source, value);
  sourceOf.set(value, source);
  sourceOf.set(value / 1_000, `${source} / 1000`);
  return value;
}

const counterName = (kind: string, wanted: number): string =>
  Object.entries(counters).find(
    ([name, value]) => value === wanted && (/^(FILTER|JAIL)_/.exec(name)?.[1] ?? '') === kind,
  )![0];

/** Numbers named as its property, each with its own. */
const all = (room: string) =>
  new Proxy({} as Record<string, number>, { get: (_, name) => of(`${room}.${String(name)}`) });

/** Jails 0 and 2 exist, and number 1 was removed; their filters have the numbers 5 and 6. */
const jails = [
  { ...vacantJail, name: 'sshd', filter: 'sshd', mode: 'ddos' },
  vacantJail,
  { ...vacantJail, name: 'web', filter: 'nginx' },
  { ...vacantJail, name: 'again', filter: 'sshd', mode: 'ddos' },
];

const latency = new Latency();
latency.note(3, banLatencyBuckets[2]!);
latency.note(2, banLatencyBuckets.at(-1)! + 1);

const perJail = (room: string) => jails.map((_, jail) => of(`${room} ${jail}`));

function observed(): Observed {
  const world = {
    config: { jails, memory: { ceilingBytes: of('ceiling'), evictionPolicy: 'deny_new' } },
    memory: {
      governor: all('governor'),
      parts: () => ['file', 'heap'].map((part) => ({ part, bytes: of(`${part} now`), bytesMax: of(`${part} most`) })),
    },
    engine: {
      slots: of('slots'),
      waiting: of('waiting'),
      counter: (index: number) => of(counterName('', index)),
      filterCounter: (filter: number, index: number) => of(`${counterName('FILTER', index)} ${filter}`),
      jailCounter: (jail: number, index: number) => of(`${counterName('JAIL', index)} ${jail}`),
      resolveFilter: (name: string, mode: string) => ({ filter: name === 'sshd' && mode === 'ddos' ? 5 : 6 }),
      filterName: (filter: number) => `number ${filter}`,
      countBans: async (at: number) =>
        jails.map((_, jail) => ({ held: of(`held ${jail}`), pending: of(`pending ${jail}`), heldSix: at })),
    },
    enforcer: {
      bansMax: of('bansMax'),
      latency,
      counters: new Proxy({} as Record<string, unknown>, {
        get: (_, name) => {
          if (name === 'failures') return new Map([['ENOMEM', of('failures ENOMEM')]]);
          if (name === 'bans' || name === 'restored') return perJail(`enforcer ${name}`);
          return of(`enforcer.${String(name)}`);
        },
      }),
    },
    drops: { of: (jail: string) => of(`drops ${jail}`) },
    backend: { name: 'nftables', drops: () => {} },
    files: {
      counters: all('files'),
      refused: of('files.refused'),
      problems: () => ['a file', 'another', 'a third'],
    },
    journal: {
      files: of('journal.files'),
      lagSeconds: of('lag'),
      refused: of('journal.refused'),
      counters: all('journal'),
      unread: new Map([['too long', of('unread')]]),
    },
    control: { counters: all('control') },
    operator: { problems: () => ['one', 'two'], idleJails: () => [1, 2, 3, 4] },
    log: { linesSuppressed: of('suppressed'), linesLost: of('lost') },
    followed: () => 'followed',
    routes: {
      statusOf: (jail: number, followed: unknown) =>
        followed === 'followed' && jail === 2
          ? [
              { behind: true, quietSeconds: of('quiet') },
              { behind: false, quietSeconds: of('quieter') },
            ]
          : [],
    },
    recorder: { counters: all('recorder') },
    lists: { views: () => [{ file: '/a', use: 'ban', entries: of('entries') }] },
    keeper: {
      counters: new Proxy({} as Record<string, unknown>, {
        get: (_, name) => {
          if (name === 'failures') return new Map([['ENOSPC', of('keeper ENOSPC')]]);
          // The page shows whole seconds.
          return of(`keeper.${String(name)}`) + (name === 'savedAt' ? 0.4 : 0);
        },
      }),
    },
  };
  return world as unknown as Observed;
}

const second = 4_000_000_000;
let figures: Figure[];

beforeEach(() => {
  vi.useFakeTimers({ now: second * 1_000 });
  figures = figuresOf(observed());
});
afterEach(() => void vi.useRealTimers());

async function rowsOf({ read }: Figure): Promise<Row[]> {
  const value = await read();
  return typeof value === 'number' ? [[[], value]] : [...value];
}

/** For each row: its labels and where it comes from. */
const shown = async (figure: Figure): Promise<string[]> =>
  (await rowsOf(figure)).map(([labels, value]) => [...labels, sourceOf.get(value) ?? value].join(' '));

const each = (counter: string): string[] =>
  ['sshd', 'web', 'again'].map((name, at) => `${name} ${counter} ${[0, 2, 3][at]}`);
const filters = (counter: string): string[] => [`number 5 ${counter} 5`, `number 6 ${counter} 6`];

/** Name on the page → name in `stats` → rows. */
const expected: [page: string, stats: string, rows: string[]][] = [
  ['build_info', '', [`${version} ${process.version} 1`]],
  ['lines_total', 'lines.total', ['LINES']],
  ['lines_matched_total', 'lines.matched', ['LINES_MATCHED']],
  ['lines_too_long_total', 'drops.too_long', ['LINES_TOO_LONG']],
  ['read_bytes_total', '', ['BYTES']],
  ['filter_lines_total', '', filters('FILTER_LINES')],
  ['filter_no_prefix_total', '', filters('FILTER_NO_PREFIX')],
  ['filter_matched_total', '', filters('FILTER_MATCHED')],
  ['filter_ignored_total', '', filters('FILTER_IGNORED')],
  ['filter_bad_address_total', 'drops.invalid', filters('FILTER_BAD_ADDRESS')],
  ['filter_bad_time_total', 'drops.invalid', filters('FILTER_BAD_TIME')],
  ['filter_host_name_total', 'drops.host_name', filters('FILTER_HOST_NAME')],
  ['filter_unread_time_total', 'lines.unread_time', filters('FILTER_UNREAD_TIME')],
  ['lines_misshapen_total', 'drops.misshapen', ['LINES_MISSHAPEN']],
  ['line_pieces_dropped_total', 'drops.pieces', ['PIECES_DROPPED']],
  ['failures_total', 'failures.total', each('JAIL_FAILURES')],
  ['failures_ignored_total', 'failures.ignored', each('JAIL_IGNORED')],
  ['failures_already_banned_total', 'failures.already_banned', each('JAIL_ALREADY')],
  ['failures_too_old_total', 'drops.too_old', each('JAIL_TOO_OLD')],
  ['failures_future_total', 'drops.future', each('JAIL_FUTURE')],
  ['decisions_total', 'decisions.total', ['DECISIONS']],
  ['decisions_jail_total', '', each('JAIL_DECISIONS')],
  ['decisions_waiting', 'decisions.waiting', ['waiting']],
  ['decisions_deferred_total', '', ['DECISIONS_DEFERRED']],
  [
    'bans_active',
    '',
    ['sshd', 'web', 'again'].flatMap((name, at) =>
      ['held', 'pending'].map((state) => `${name} ${state} ${state} ${[0, 2, 3][at]}`),
    ),
  ],
  [
    'ban_latency_seconds',
    '',
    [...banLatencyBuckets.map((bound, at) => `${bound} ${at < 2 ? 0 : 3}`), '+Inf 5', `sum ${latency.sum}`, 'count 5'],
  ],
  ['ban_latency_p50_seconds', 'bans.p50_seconds', [`${banLatencyBuckets[2]}`]],
  ['ban_latency_p99_seconds', 'bans.p99_seconds', [`${banLatencyBuckets.at(-1)}`]],
  ['bans_total', 'bans.total', each('enforcer bans')],
  ['bans_restored_total', 'bans.restored', each('enforcer restored')],
  ['bans_lifted_total', 'bans.lifted', ['enforcer.lifted']],
  ['bans_max', 'bans.max', ['bansMax']],
  ['list_entries', 'lists.entries', ['/a ban entries']],
  ['unbans_total', 'unbans.total', ['enforcer.unbans']],
  ['bans_unsupported_total', 'bans.unsupported', ['enforcer.unsupported']],
  ['packets_dropped_total', 'packets.dropped', ['sshd drops sshd', 'web drops web', 'again drops again']],
  ['transactions_total', 'transactions.total', ['enforcer.transactions']],
  ['transactions_failed_total', 'transactions.failed', ['nftables ENOMEM failures ENOMEM']],
  ['reconciles_total', 'kernel.reconciles', ['enforcer.reconciles']],
  ['repairs_total', 'kernel.repairs', ['enforcer.repairs']],
  ['table_slots', 'table.slots', ['slots']],
  ['table_slots_used', 'table.used', ['TRACKED']],
  ['evictions_total', 'evictions.total', ['EVICTIONS']],
  ['evictions_by_policy_total', 'evictions.deny_new', ['deny_new EVICTIONS']],
  ['evictions_per_minute', 'evictions.per_minute', ['EVICTIONS']],
  [
    'evictions_by_reason_total',
    'evictions.open evictions.banned evictions.remembered',
    ['deny_new open EVICTIONS_OPEN', 'deny_new banned EVICTIONS_BANNED', 'deny_new remembered EVICTIONS_REMEMBERED'],
  ],
  ['evictions_jail_total', '', each('JAIL_EVICTED')],
  ['denied_total', 'evictions.denied', ['DENIED']],
  ['failures_denied_total', '', each('JAIL_DENIED')],
  ['ban_all_runs_total', 'evictions.ban_all_runs', ['BAN_ALL_RUNS']],
  ['connections_evicted_total', '', ['CONNECTIONS_EVICTED']],
  ['jail_logs', '', ['sshd 0', 'web 2', 'again 0']],
  ['jail_logs_behind', '', ['sshd 0', 'web 1', 'again 0']],
  ['jail_silence_seconds', '', ['sshd 0', 'web quiet', 'again 0']],
  ['file_rotations_total', '', ['files.rotations']],
  ['file_truncations_total', '', ['files.truncations']],
  ['files_refused', 'files.refused', ['files.refused']],
  ['files_with_problems', 'files.problems', ['3']],
  ['file_errors_total', '', ['files.errors']],
  ['problems', 'problems', ['2']],
  ['jails_without_log', 'jails.without_log', ['4']],
  ['log_lines_suppressed_total', 'log.suppressed', ['suppressed']],
  ['log_lines_lost_total', 'log.lost', ['lost']],
  ['events_recorded_total', 'events.recorded', ['recorder.events']],
  ['events_lost_total', 'events.lost', ['recorder.lost']],
  ['events_undelivered_total', 'events.undelivered', ['recorder.undelivered']],
  ['control_requests_total', '', ['control.requestsTotal']],
  ['control_refused_total', '', ['control.refusedTotal']],
  ['state_saves_total', 'state.saves', ['keeper.saves']],
  ['state_failures_total', 'state.failures', ['ENOSPC keeper ENOSPC']],
  ['state_bytes', 'state.bytes', ['keeper.bytes']],
  ['state_saved_timestamp_seconds', 'state.saved_at', ['keeper.savedAt']],
  ['state_pause_longest_seconds', 'state.pause_longest_seconds', ['keeper.pauseLongestMs / 1000']],
  ['journal_files', 'journal.files', ['journal.files']],
  ['journal_entries_total', 'journal.entries', ['journal.entries']],
  ['journal_messages_total', 'journal.messages', ['journal.fed']],
  ['journal_lag_seconds', 'journal.lag_seconds', ['lag']],
  ['journal_damaged_total', 'journal.damaged', ['journal.damaged']],
  ['journal_aside_total', 'journal.aside', ['journal.aside']],
  ['journal_refused', 'journal.refused', ['journal.refused']],
  ['journal_unread_total', 'journal.unread', ['too long unread']],
  ['memory_ceiling_bytes', 'memory.ceiling_bytes', ['ceiling']],
  ['memory_part_bytes', 'memory.file_bytes memory.heap_bytes', ['file file now', 'heap heap now']],
  ['memory_part_max_bytes', 'memory.file_bytes_max memory.heap_bytes_max', ['file file most', 'heap heap most']],
  ['memory_releases_total', 'memory.releases', ['governor.releases']],
  ['memory_release_longest_seconds', 'memory.release_longest_seconds', ['governor.longestMilliseconds / 1000']],
];

/** What is not read from a source here, but from the kernel. */
const elsewhere = ['kernel_bytes', 'resident_memory_bytes', 'resident_memory_peak_bytes'];
const nameOf = ({ name }: Figure): string => name.replace('fail2zig_', '');
const figureOf = (name: string): Figure => figures.find((figure) => nameOf(figure) === name)!;

test('every figure has a row here', () => {
  expect(figures.map(nameOf).sort()).toEqual([...expected.map(([page]) => page), ...elsewhere].sort());
});

test.each(expected)('%s', async (page, _, rows) => {
  expect(await shown(figureOf(page))).toEqual(rows);
});

test('each name of stats is the sum of its figures', async () => {
  const sums: Record<string, number> = {};
  for (const [page, stats] of expected) {
    const rows = await rowsOf(figureOf(page));
    const names = stats === '' ? [] : stats.split(' ');
    for (const [at, [, value]] of rows.entries()) {
      const name = names.length > 1 ? names[at]! : names[0];
      if (name !== undefined) sums[name] = (sums[name] ?? 0) + value;
    }
  }
  const stats = await statsOf(figures);
  for (const name of ['memory.kernel_bytes', 'memory.resident_bytes']) {
    expect(stats[name], name).toBeGreaterThan(0);
    delete stats[name];
  }
  expect(stats).toEqual(sums);
});

test('memory of the process and of the kernel', async () => {
  const { 4: four, 6: six } = kernelBanBytes;
  const held = jails.reduce((sum, _, jail) => sum + of(`held ${jail}`), 0);
  const kernel = held * four + jails.length * second * (six - four);
  expect(await rowsOf(figureOf('kernel_bytes'))).toEqual([[[], kernel]]);
  const [now, peak] = await Promise.all(elsewhere.slice(1).map((name) => figureOf(name).read() as number));
  expect(now).toBeGreaterThan(2 ** 20);
  expect(peak).toBeGreaterThanOrEqual(now!);
});

test('figures of what is not there are left out, or 0', async () => {
  const { keeper: _, journal: __, lists: ___, ...rest } = observed();
  const without = figuresOf({ ...rest, keeper: undefined, control: undefined, backend: { name: 'x' } as never });
  const names = without.map(nameOf);
  expect(expected.map(([page]) => page).filter((page) => !names.includes(page))).toEqual(
    expected
      .map(([page]) => page)
      .filter((page) => /^(state|journal)_|^list_entries$|^packets_dropped_total$/.test(page)),
  );
  const control = without.filter(({ name }) => name.includes('control_'));
  expect(await Promise.all(control.map(rowsOf))).toEqual([[[[], 0]], [[[], 0]]]);
});
