/**
 * What the daemon answers is what its rooms say: each field of an answer from its own source, each
 * problem in its order, and a refusal where there is nothing to say.
 */
import { closeSync, fstatSync, openSync, writeSync } from 'node:fs';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { compileText, validConfig } from '../../spec/support/configuration.ts';
import { writeCoreConfig } from '../../src/config/record.ts';
import type { Peer } from '../../src/control/answers.ts';
import { JAIL_FAILURES } from '../../src/engine/counters.ts';
import type { TableBan } from '../../src/engine/host.ts';
import { kernelBanBytes, listAskedMax, listNameMax, whySourcesMax, whyViewsMax } from '../../src/limits.ts';
import { native } from '../../src/native.ts';
import { DaemonOperator, type Running } from '../../src/operator.ts';
import { vacantJail } from '../../src/places.ts';
import { formatAddress, parseCidr } from '../../src/text/address.ts';
import type { Address, CoreConfig, JailConfig } from '../../src/types.ts';
import { version } from '../../src/version.ts';
import { collect } from '../support/collect.ts';

const second = 1_800_000_000;
const address = (text: string) => parseCidr(text, 'refuse') as Address;
const by: Peer = { uid: 1000, gid: 4, pid: 7, groups: [] } as unknown as Peer;

const jails: JailConfig[] = [
  { ...vacantJail, name: 'sshd', filter: 'sshd', mode: 'ddos', logpath: ['/a', '/b'], maxretry: 5, findtime: 600 },
  vacantJail,
  { ...vacantJail, name: 'web', filter: 'nginx', logpath: ['/c'], maxretry: 3, findtime: 60, bantime: 90 },
  { ...vacantJail, name: 'mail', filter: 'dovecot', journal: { text: 'unit' } as never },
  { ...vacantJail, name: 'hand', filter: 'none' },
];

const row = (jail: number, text: string, end: number): TableBan => ({
  ...{ index: 0, jail, address: address(text), end, confirmed: true, restored: false, manual: false, bans: 1 },
});

/** What was recorded, in order. */
let recorded: unknown[];
let made: ReturnType<typeof world>;

/** A daemon each of whose rooms says something of its own. */
function world() {
  const counts = jails.map((_, jail) => ({ held: 10 + jail, pending: 20 + jail, heldSix: 2 }));
  const rows: TableBan[] = [];
  const kernel: { jail: string; address: Address; timeoutMs: number }[] = [];
  return {
    rows,
    kernel,
    config: {
      path: '/etc/x.toml',
      jails: [...jails],
      memory: { ceilingBytes: 64, evictionPolicy: 'evict_oldest' },
      handed: { capabilities: '', confined: ['seccomp'], lacking: ['Landlock: too old'] },
    } as unknown as CoreConfig,
    engine: {
      slots: 700,
      tracked: 30,
      countBans: vi.fn(async (_at: number) => counts),
      resolveFilter: () => ({ filter: 1 }),
      filterCounter: () => 0,
      jailCounter: (jail: number, counter: number) => (counter === JAIL_FAILURES ? 40 + jail : -1),
      passOver: (at: number) => at,
      eachBan: (_at: number, _count: number, visit: (ban: TableBan) => void) => {
        for (const ban of rows) visit(ban);
        return -1;
      },
      isBanned: () => false,
      banEnd: (jail: number) => [second + 60, 0, Number.POSITIVE_INFINITY, second, second - 1][jail],
      failuresOf: (jail: number, _: Address, since: number) => [[since, jail]],
      isIgnored: (jail: number) => jail === 3,
      sourceWidth: (_: number, { family }: Address) => (family === 4 ? 32 : 64),
    },
    enforcer: {
      problems: ['enforcer 1', 'enforcer 2'],
      counters: { bans: jails.map((_, jail) => 50 + jail) },
      ban: vi.fn(async (..._: unknown[]) => {}),
      unban: vi.fn(async (..._: unknown[]) => {}),
      follow: vi.fn((..._: unknown[]) => true),
      allowAnew: vi.fn(),
    },
    backend: {
      name: 'nftables',
      holds: false,
      each: async (visit: (ban: object) => void) => {
        for (const ban of kernel) visit(ban);
        return kernel.length;
      },
    },
    drops: { of: (jail: string) => jail.length },
    files: { status: () => 'followed', problems: () => ['files'] },
    routes: {
      logsOf: (jail: number, followed: unknown) =>
        followed === 'followed' && jail === 0
          ? Array.from({ length: whySourcesMax + 1 }, (_, log) => `/log${log}`)
          : [],
    },
    keeper: { problem: 'keeper' as string | undefined, changed: vi.fn() },
    clocks: { problems: () => ['clocks'] },
    crowds: { problems: () => ['crowds'] },
    lists: {
      problems: () => ['lists'],
      views: () => [
        { file: '/l/one', entries: 3, use: 'ban', jail: 'web' },
        { file: '/l/two', entries: 4, use: 'ignore', jail: '' },
      ],
      find: async (_: Address) =>
        [
          { file: '/l/one', first: 7, last: 7, entry: '192.0.2.1', use: 'ban', jail: 'web' },
          { file: '/l/two', first: 1, last: 9, entry: '192.0.2.0/24', use: 'ignore', jail: '' },
        ] as const,
      async *bans(jail?: string) {
        yield [{ file: `/l/${'x'.repeat(2 * listNameMax)}`, jail: jail ?? 'any', address: '198.51.100.0/24' }];
      },
    },
    ignored: {
      byHand: [
        { network: address('203.0.113.0/24'), until: second + 9.5 },
        { network: address('2001:db8::/32'), until: Number.POSITIVE_INFINITY },
        { network: address('203.0.113.9'), until: second - 5 },
      ],
      lists: jails.map((_, jail) => (jail === 2 ? [address('192.0.2.0/28')] : [])),
      isListed: () => false,
      isBroadcast: () => false,
      ignore: vi.fn(),
    },
    recorder: {
      path: '/records' as string | undefined,
      number: 77,
      problem: 'recorder',
      flush: vi.fn(async () => {}),
      command: (...what: unknown[]) => void recorded.push(['command', ...what]),
      refused: (...what: unknown[]) => void recorded.push(['refused', ...what]),
      bans: (event: string, jail: string, told: { address: string; details?: () => object }[], asked: object) =>
        void recorded.push([event, jail, told.map((each) => [each.address, each.details?.()]), asked]),
    },
    log: { setLevel: vi.fn() },
    figures: () => [{ name: 'fail2zig_x', help: '', type: 'gauge', labels: [], read: () => 5, stats: 'x.y' }],
    pageProblem: () => 'page' as string | undefined,
    reload: vi.fn(async (_: CoreConfig) => ({ added: ['a'], changed: [], removed: [] })),
  };
}

const operator = (): DaemonOperator => new DaemonOperator(made as unknown as Running);

beforeEach(() => {
  vi.useFakeTimers({ now: second * 1_000, toFake: ['Date'] });
  recorded = [];
  made = world();
});
afterEach(() => {
  vi.useRealTimers();
  vi.restoreAllMocks();
});

const allProblems = [
  ...['log-only: nothing is banned', 'enforcer 1', 'enforcer 2', 'keeper', 'lists', 'recorder', 'page', 'files'],
  ...['clocks', 'crowds', 'jail web reads no log: no file matches /c', 'jail mail reads no log: there is no journal'],
];

test('problems come from every room, the worst first; a room without one says nothing', () => {
  expect(operator().problems()).toEqual(allProblems);
  expect(
    operator()
      .idleJails()
      .map(({ name }) => name),
  ).toEqual(['web', 'mail']);
  made.backend.holds = true;
  made.keeper.problem = undefined;
  made.pageProblem = () => undefined;
  Object.assign(made, { lists: undefined, clocks: undefined, crowds: undefined });
  const quiet = ['log-only: nothing is banned', 'keeper', 'lists', 'page', 'clocks', 'crowds'];
  expect(operator().problems()).toEqual(allProblems.filter((problem) => !quiet.includes(problem)));
});

test('a status has each figure from its room, for all jails or one', async () => {
  vi.spyOn(process, 'uptime').mockReturnValue(1_234.9);
  const [part] = await collect(operator().status({}));
  const { memory, uptimeSeconds, jails: found, problems, ...rest } = part!;
  const { 4: four, 6: six } = kernelBanBytes;
  expect(memory).toEqual({
    residentBytes: expect.any(Number),
    ceilingBytes: 64,
    kernelBytes: jails.reduce((sum, _, jail) => sum + (8 + jail) * four + 2 * six, 0),
    slots: 700,
    slotsUsed: 30,
  });
  expect(memory.residentBytes).toBeGreaterThan(2 ** 20);
  expect(uptimeSeconds).toBe(1_234);
  expect(problems).toEqual(allProblems);
  expect(rest).toEqual({
    version,
    pid: process.pid,
    backend: 'nftables',
    hints: [
      'ignored by hand: 203.0.113.0/24',
      'ignored by hand: 2001:db8::/32',
      'ignored by hand: 203.0.113.9',
      'not confined: Landlock: too old',
    ],
    confined: ['seccomp'],
    lists: ['/l/one: 3 entries, banned in web', '/l/two: 4 entries, ignored'],
  });
  const view = (jail: number, filter: string, sources: string[]) => ({
    jail: jails[jail]!.name,
    filter,
    bansActive: 10 + jail,
    bansPending: 20 + jail,
    bansTotal: 50 + jail,
    packetsDropped: jails[jail]!.name.length,
    failuresTotal: 40 + jail,
    sources,
  });
  const logs = Array.from({ length: whySourcesMax + 1 }, (_, log) => `/log${log}`);
  const views = [view(0, 'sshd:ddos', logs), view(2, 'nginx', []), view(3, 'dovecot', []), view(4, 'none', [])];
  expect(found).toEqual(views);
  expect(made.engine.countBans).toHaveBeenCalledWith(second);
  expect((await collect(operator().status({ jail: 'web' })))[0]!.jails).toEqual([views[1]]);
  expect(await collect(operator().jails())).toEqual([
    { jails: views.map(({ jail, filter, bansActive }) => ({ jail, filter, bansActive })) },
  ]);
  await expect(collect(operator().status({ jail: 'nobody' }))).rejects.toThrow(
    'no jail nobody; there are sshd, web, mail, hand',
  );
});

test('a list has what runs, with what is left of it, then what files name', async () => {
  made.rows.push(
    row(0, '192.0.2.1', second + 0.5),
    row(2, '192.0.2.2', Number.POSITIVE_INFINITY),
    row(0, '192.0.2.3', second),
    row(0, '2001:db8::/64', second + 90),
  );
  const listed = (jail: string) => ({
    jail,
    address: '198.51.100.0/24',
    remainingSeconds: -1,
    pattern: expect.stringMatching(/^list x+…?$/),
  });
  const rows = async (args = {}) => (await collect(operator().list(args))).flatMap(({ bans }) => bans);
  const own = { jail: 'sshd', address: '192.0.2.1', remainingSeconds: 1 };
  const six = { jail: 'sshd', address: '2001:db8::/64', remainingSeconds: 90 };
  const web = { jail: 'web', address: '192.0.2.2', remainingSeconds: -1 };
  expect(await rows()).toEqual([own, web, six, listed('any')]);
  expect((await rows()).at(-1)!.pattern!.length).toBeLessThanOrEqual(listNameMax + 1);
  expect(await rows({ jail: 'web' })).toEqual([web, listed('web')]);
  await expect(rows({ jail: 'nobody' })).rejects.toThrow('no jail nobody');
  Object.assign(made, { lists: undefined });
  expect(await rows({ jail: 'web' })).toEqual([web]);
});

test('a ban has the length asked for or that of its jail, and so has its record', async () => {
  const asked = { jail: 'web', addresses: ['192.0.2.1'] };
  for (const [seconds, length, until] of [
    [undefined, 90, second + 90],
    [7, 7, second + 7],
    [-1, -1, -1],
  ] as const) {
    recorded = [];
    const answer = await operator().ban({ ...asked, ...(seconds !== undefined && { seconds }), reason: 'r' }, by);
    expect(answer).toEqual({ ...asked, seconds: length, refused: [] });
    expect(made.enforcer.ban).toHaveBeenLastCalledWith(2, [address('192.0.2.1')], length);
    const whose = { by: { uid: 1000, pid: 7 }, reason: 'r' };
    expect(recorded).toEqual([['ban', 'web', [['192.0.2.1', { until, seconds: length }]], whose]]);
  }
  made.enforcer.ban.mockRejectedValueOnce(new Error('no memory'));
  await expect(operator().ban(asked, by)).rejects.toMatchObject({ code: 'kernel', message: 'no memory' });
});

test('why has each jail with its own rows, the lists, and where records are', async () => {
  made.kernel.push(
    { jail: 'sshd', address: address('192.0.2.1'), timeoutMs: 1_500 },
    { jail: 'web', address: address('192.0.2.1'), timeoutMs: 0 },
    { jail: 'hand', address: address('192.0.2.2'), timeoutMs: 9 },
  );
  const { views, ...rest } = await operator().why({ address: '192.0.2.1' });
  const common = (jail: number) => ({
    jail: jails[jail]!.name,
    address: '192.0.2.1',
    failures: [[second - jails[jail]!.findtime, jail]],
    maxretry: jails[jail]!.maxretry,
    findtime: jails[jail]!.findtime,
  });
  const logs = Array.from({ length: whySourcesMax }, (_, log) => `/log${log}`);
  expect(views).toEqual([
    {
      ...common(0),
      filter: 'sshd:ddos',
      ignored: false,
      until: second + 60,
      kernel: true,
      kernelSeconds: 2,
      sources: logs,
    },
    {
      ...common(2),
      filter: 'nginx',
      ignored: false,
      ignoredBy: '192.0.2.0/28',
      until: -1,
      kernel: true,
      kernelSeconds: -1,
      sources: [],
    },
    { ...common(3), filter: 'dovecot', ignored: true, kernel: false, sources: [] },
    { ...common(4), filter: 'none', ignored: false, kernel: false, sources: [] },
  ]);
  expect(rest).toEqual({
    address: '192.0.2.1',
    config: '/etc/x.toml',
    lists: ['/l/one:7: 192.0.2.1, banned in web', '/l/two:1 to 9: 192.0.2.0/24, ignored', 'not known: lists'],
    records: { path: '/records', number: 77, addresses: ['192.0.2.1'] },
  });
  expect(made.recorder.flush).toHaveBeenCalledOnce();
  made.recorder.path = undefined;
  made.lists.find = async () => [] as never;
  made.lists.problems = () => [];
  made.ignored.isListed = () => true;
  made.config.jails.push(...Array.from({ length: whyViewsMax }, (_, n) => ({ ...jails[4]!, name: `more${n}` })));
  const without = await operator().why({ address: '192.0.2.1' });
  expect(without).not.toHaveProperty('lists');
  expect(without).not.toHaveProperty('records');
  expect(without.views).toHaveLength(whyViewsMax);
  expect(without.views[0]).toMatchObject({ ignored: true, ignoredBy: 'a list' });
});

test('records are named once they are on disk, with each address once', async () => {
  expect(await operator().history({})).toEqual({ path: '/records', number: 77 });
  expect(await operator().history({ address: '192.0.2.1' })).toMatchObject({ addresses: ['192.0.2.1'] });
  expect(await operator().watch()).toEqual({ path: '/records', number: 77 });
  expect(made.recorder.flush).toHaveBeenCalledTimes(3);
  made.recorder.path = undefined;
  for (const asked of [operator().history({}), operator().watch()])
    await expect(asked).rejects.toMatchObject({ code: 'not-kept' });
});

test('an unban says in which lists an address still stands, of the first few', async () => {
  const addresses = Array.from({ length: listAskedMax + 1 }, (_, last) => `192.0.2.${last}`);
  const rows = (await collect(operator().unban({ addresses }, by))).flatMap((part) => part.addresses);
  expect(rows.map(({ lists }) => lists)).toEqual([
    ...Array(listAskedMax).fill(['/l/one:7: 192.0.2.1, banned in web']),
    undefined,
  ]);
});

test('what is ignored by hand has its time, the usual one if none is asked for', async () => {
  const ask = async (args: object) =>
    (await collect(operator().ignore(args, by))).flatMap((part) => part.ignored ?? []);
  const rows = [
    { address: '203.0.113.0/24', remainingSeconds: 10 },
    { address: '2001:db8::/32', remainingSeconds: -1 },
    { address: '203.0.113.9', remainingSeconds: 0 },
  ];
  expect(await ask({})).toEqual(rows);
  expect(made.ignored.ignore).not.toHaveBeenCalled();
  for (const [args, until] of [
    [{}, second + 3_600],
    [{ seconds: 5 }, second + 5],
    [{ seconds: -1 }, Number.POSITIVE_INFINITY],
  ] as const) {
    expect(await ask({ addresses: ['198.51.100.1'], ...args })).toEqual(rows);
    expect(made.ignored.ignore).toHaveBeenLastCalledWith(address('198.51.100.1'), until);
  }
  expect(made.enforcer.allowAnew).toHaveBeenCalledTimes(3);
  expect(made.keeper.changed).toHaveBeenCalledTimes(3);
});

test('bans that a network covers end when it is ignored, those of other jails and networks stay', async () => {
  made.rows.push(
    row(0, '198.51.100.7', second + 9),
    row(0, '198.51.100.9', second + 9),
    row(2, '198.51.100.8', second + 9),
    row(2, '192.0.2.1', second + 9),
  );
  const parts = await collect(operator().ignore({ addresses: ['198.51.100.0/24'] }, by));
  expect(parts[0]!.lifted).toEqual([
    { address: '198.51.100.7', jail: 'sshd' },
    { address: '198.51.100.9', jail: 'sshd' },
    { address: '198.51.100.8', jail: 'web' },
  ]);
  const ended = (made.enforcer.unban.mock.lastCall![0] as TableBan[]).map((each) => formatAddress(each.address));
  expect(ended).toEqual(['198.51.100.7', '198.51.100.9', '198.51.100.8']);
  const whose = { by: { uid: 1000, pid: 7 } };
  expect(recorded).toEqual([
    [
      'unban',
      'sshd',
      [
        ['198.51.100.7', undefined],
        ['198.51.100.9', undefined],
      ],
      whose,
    ],
    ['unban', 'web', [['198.51.100.8', undefined]], whose],
  ]);
});

test('stats, the level and the version', async () => {
  expect(await operator().stats()).toEqual({ 'x.y': 5 });
  expect(operator().set({ level: 'debug' })).toEqual({ level: 'debug' });
  expect(made.log.setLevel).toHaveBeenCalledWith('debug');
  expect(operator().version()).toEqual({ version });
});

describe('reload', () => {
  const next = compileText(validConfig);
  const record = (isSealed: boolean): number => {
    const file = native.memfd('test');
    writeCoreConfig(file, next);
    if (isSealed) native.seal(file);
    return file;
  };
  const asked = (file: number | undefined): Peer =>
    ({ ...by, ...(file !== undefined && { hands: async () => file }) }) as Peer;
  const isOpen = (file: number): boolean => {
    try {
      fstatSync(file);
      return true;
    } catch {
      return false;
    }
  };

  test('takes a sealed record, and says and records what it did', async () => {
    const file = record(true);
    expect(await collect(operator().reload({}, asked(file)))).toEqual([
      { ready: true },
      { added: ['a'], changed: [], removed: [] },
    ]);
    expect(made.reload.mock.lastCall![0].jails).toEqual(next.jails);
    expect(recorded).toEqual([['command', 'reload', { uid: 1000, pid: 7 }]]);
    expect(isOpen(file)).toBe(false);
  });

  test('takes nothing that can still be changed, or that is no memory file', async () => {
    for (const file of [record(false), openSync('/dev/null', 'r')]) {
      await expect(collect(operator().reload({}, asked(file)))).rejects.toMatchObject({ code: 'not-handed' });
      expect(isOpen(file)).toBe(false);
    }
    expect(made.reload).not.toHaveBeenCalled();
  });

  test('that hands over nothing, or something else, or where none is possible, is refused', async () => {
    for (const file of [undefined, -9])
      await expect(collect(operator().reload({}, asked(file)))).rejects.toMatchObject({ code: 'not-handed' });
    const other = native.memfd('test');
    writeSync(other, 'no record');
    native.seal(other);
    await expect(collect(operator().reload({}, asked(other)))).rejects.toMatchObject({ code: 'bad-argument' });
    Object.assign(made, { reload: undefined });
    const file = record(true);
    await expect(collect(operator().reload({}, asked(file)))).rejects.toMatchObject({ code: 'not-handed' });
    closeSync(file);
    expect(recorded).toEqual([]);
  });

  test('that fails is not recorded as done', async () => {
    made.reload.mockRejectedValueOnce(new Error('no room'));
    await expect(collect(operator().reload({}, asked(record(true))))).rejects.toThrow('no room');
    expect(recorded).toEqual([]);
  });
});
