/** What the daemon answers to an operator's commands, over a real engine and enforcer. */
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { type Pipeline, pipeline, strictConfig } from '../../spec/support/pipeline.ts';
import { noFiles, noRoutes, watched } from '../../spec/support/watched.ts';
import { type EventPart, withRecords } from '../../src/client/records.ts';
import type { BanRow } from '../../src/control/answers.ts';
import { FILTER_LINES, FILTER_MATCHED } from '../../src/engine/counters.ts';
import { Recorder } from '../../src/history/recorder.ts';
import { ignoredByHandMax, unmatchedLinesMin } from '../../src/limits.ts';
import { DropTally } from '../../src/observe/drop-tally.ts';
import { DaemonOperator } from '../../src/operator.ts';
import { formatAddress, parseCidr } from '../../src/text/address.ts';
import type { Address } from '../../src/types.ts';
import { collect } from '../support/collect.ts';
import { temporaryDirectory } from '../support/control.ts';
import { addressOf, v4 } from '../support/table-driver.ts';
import { until } from '../support/until.ts';

const by = { uid: 0, pid: 1 } as never;

test('a list or an unban under way, over which jails go, names no jail wrongly', async () => {
  const { operator, config, backend } = await watched().make();
  const bans = Array.from({ length: 300 }, (_, last) => `192.0.${2 + (last >> 8)}.${last & 255}`);
  for (let from = 0; from < bans.length; from += 100)
    await operator.ban({ jail: 'slow', addresses: bans.slice(from, from + 100), seconds: 60 }, by);
  expect(config.jails.map(({ name }) => name)).toEqual(['sshd', 'slow']);
  const list = operator.list({})[Symbol.asyncIterator]();
  const ofJail = operator.list({ jail: 'slow' })[Symbol.asyncIterator]();
  const unban = operator.unban({ all: true }, by)[Symbol.asyncIterator]();
  const firsts = [await list.next(), await ofJail.next()].map(({ value }) => value.bans.length);
  expect(firsts).toEqual([256, 256]);
  expect((await unban.next()).value.addresses).toHaveLength(256);
  // Another jail takes its place, as after a reload, with a ban of its own.
  config.jails[1] = { ...config.jails[1]!, name: 'other' };
  await operator.ban({ jail: 'other', addresses: ['198.51.100.1'], seconds: 60 }, by);
  for (const rest of [list, ofJail]) {
    const { bans: rows } = (await rest.next()).value;
    expect(
      rows.filter(({ jail, address }: BanRow) => jail !== (address === '198.51.100.1' ? 'other' : 'slow')),
    ).toEqual([]);
  }
  const lifted = (await unban.next()).value.addresses;
  expect(lifted.flatMap(({ jails }: { jails: string[] }) => jails)).not.toContain('slow');
  expect(backend.held.size).toBe(300 - 256 + 1);
});

test('a long list is banned in parts, between which the logs have their turn', async () => {
  const { operator, backend } = await watched().make();
  const addresses = Array.from({ length: 256 }, (_, last) => `192.0.2.${last}`);
  const sizes: number[] = [];
  let turns = 0;
  const apply = backend.apply.bind(backend);
  backend.apply = async (changes) => {
    expect(turns).toBe(sizes.length);
    sizes.push(changes.length);
    setImmediate(() => turns++);
    await apply(changes);
  };
  const result = await operator.ban({ jail: 'slow', addresses: [...addresses, '::'], seconds: 60 }, by);
  expect(result.addresses).toEqual(addresses);
  expect(result.refused.map(({ address }) => address)).toEqual(['::']);
  expect(sizes).toEqual([64, 64, 64, 64]);
});

test('a part of a long list that fails is refused with what is behind it; the parts before stay banned', async () => {
  const addresses = Array.from({ length: 200 }, (_, last) => `192.0.2.${last}`);
  const refusedBy = async (fail: (world: Awaited<ReturnType<ReturnType<typeof watched>['make']>>) => void) => {
    const world = await watched().make();
    const apply = world.backend.apply.bind(world.backend);
    let parts = 0;
    world.backend.apply = async (changes) => {
      if (++parts === 2) fail(world);
      await apply(changes);
    };
    const asked = { jail: 'slow', addresses: ['::', ...addresses], seconds: 60 };
    const { addresses: banned, refused } = await world.operator.ban(asked, by);
    expect(world.backend.held.size).toBe(banned.length);
    return { banned: banned.length, refused };
  };
  const full = await refusedBy(() => {
    throw new Error('no room');
  });
  expect(full.banned).toBe(63);
  expect(full.refused.map(({ address }) => address)).toEqual(['::', ...addresses.slice(63)]);
  expect(full.refused.slice(1).every(({ code, why }) => code === 'kernel' && why === 'no room')).toBe(true);
  // A reload in between takes the jail away.
  const gone = await refusedBy(({ config }) => {
    config.jails[1] = { ...config.jails[1]!, name: 'other' };
  });
  expect(gone.banned).toBeGreaterThan(0);
  expect(gone.banned + gone.refused.length).toBe(201);
  expect(gone.refused.at(-1)?.code).toBe('no-such-jail');
});

test('a ban or an unban that waits while its jail is replaced touches nothing of the other one', async () => {
  const { operator, config, backend, engine, enforcer } = await watched().make();
  const [waits, other] = ['192.0.2.1', '192.0.2.2'];
  await operator.ban({ jail: 'slow', addresses: [other], seconds: 60 }, by);
  let replaced = (): void => {};
  const reload = enforcer.inTurn(() => new Promise<void>((resolve) => (replaced = resolve)));
  const ban = operator.ban({ jail: 'slow', addresses: [waits], seconds: 60 }, by);
  const unban = collect(operator.unban({ jail: 'slow', addresses: [other] }, by));
  await until(() => enforcer.counters.transactions === 3, { withinMs: 5_000, what: 'both wait for their turn' });
  // The jail in its place, as after a reload, has banned the same address.
  config.jails[1] = { ...config.jails[1]!, name: 'other' };
  const held = backend.held.size;
  replaced();
  await reload;
  await expect(ban).rejects.toThrow('jail slow is gone');
  await unban;
  expect(backend.held.size).toBe(held);
  expect(engine.isBanned(1, parseCidr(waits, 'refuse') as Address)).toBe(false);
  expect(engine.isBanned(1, parseCidr(other, 'refuse') as Address)).toBe(true);
});

test('an IPv4 address is banned, explained and unbanned as the prefix that its jail bans', async () => {
  const { operator, backend } = await watched(undefined, undefined, 'ipv4_prefix = 24\n').make();
  const { addresses } = await operator.ban({ jail: 'slow', addresses: ['192.0.2.7', '192.0.2.8'], seconds: 60 }, by);
  expect([...new Set(addresses)]).toEqual(['192.0.2.0/24']);
  expect([...backend.held.values()].map(({ jail, address }) => `${jail} ${formatAddress(address)}`)).toEqual([
    'slow 192.0.2.0/24',
  ]);
  const { views } = await operator.why({ address: '192.0.2.200' });
  expect(views.map(({ jail, address, kernel }) => [jail, address, kernel])).toEqual([
    ['sshd', '192.0.2.200', false],
    ['slow', '192.0.2.0/24', true],
  ]);
  const lifted = await collect(operator.unban({ addresses: ['192.0.2.99'] }, by));
  expect(lifted.flatMap((part) => part.addresses)).toEqual([{ address: '192.0.2.99', jails: ['slow'] }]);
  expect(backend.held.size).toBe(0);
});

test('an address that no packet can come from is not banned by hand', async () => {
  const made = await watched().make();
  const { operator, backend } = made;
  for (const [text, why] of [
    ['0.0.0.0', 'the unspecified address'],
    ['::', 'the unspecified address'],
    ['::/64', 'the unspecified address'],
    ['::7', 'the unspecified address'],
    ['224.0.0.1', 'a multicast address'],
    ['239.255.255.250', 'a multicast address'],
    ['ff02::1', 'a multicast address'],
    ['::ffff:224.0.0.1', 'a multicast address'],
    ['255.255.255.255', 'the broadcast address'],
  ]) {
    const refused = operator.ban({ jail: 'sshd', addresses: [text!], seconds: 60 }, by);
    await expect(refused, text).rejects.toThrow(`${text} is ${why}: nothing comes from it`);
  }
  expect(backend.held.size).toBe(0);
  for (const address of ['223.255.255.255', '240.0.0.1', '192.0.2.255', 'fe80::1', '2001:db8::'])
    await operator.ban({ jail: 'sshd', addresses: [address], seconds: 60 }, by);
  expect(backend.held.size).toBe(5);
  await made.enforcer.stop();
});

test('a filter that matched none of many lines gives a hint, not a problem', async () => {
  const made = await watched().make();
  const { operator, engine } = made;
  const counter = engine.filterCounter.bind(engine);
  const counts = { [FILTER_LINES]: unmatchedLinesMin, [FILTER_MATCHED]: 0 };
  engine.filterCounter = (filter, index) => counts[index] ?? counter(filter, index);
  const hints = async (): Promise<string[]> => {
    const told: string[] = [];
    for await (const part of operator.status({})) told.push(...(part.hints ?? []));
    return told;
  };
  expect(await hints()).toEqual(
    ['sshd', 'slow'].map((jail) => `jail ${jail}: filter sshd has matched none of 10000 lines`),
  );
  counts[FILTER_MATCHED] = 1;
  expect(await hints()).toEqual([]);
  await made.enforcer.stop();
});

describe('commands and their records', () => {
  const asked = { uid: 1000, gid: 4, pid: 7 };
  let directory: ReturnType<typeof temporaryDirectory>;
  let made: Pipeline;
  let operator: DaemonOperator;
  let recorder: Recorder;

  beforeEach(async () => {
    directory = temporaryDirectory();
    made = await pipeline({ text: `${strictConfig}[jails.slow]\nfilter = "sshd"\nlogpath = "/var/log/auth.log"\n` });
    recorder = new Recorder({ path: join(directory.path, 'history'), log: made.log });
    await recorder.start();
    const drops = new DropTally(made.backend, made.log);
    const rooms = { drops, recorder, files: noFiles, routes: noRoutes, keeper: undefined };
    operator = new DaemonOperator({ ...made, ...rooms, figures: () => [], pageProblem: () => undefined });
  });

  afterEach(async () => {
    await made.enforcer.stop();
    await recorder.close();
    directory.remove();
  });

  /** How the client shows an answer. */
  const shown = (verb: string, args: object, answer: object) =>
    collect(withRecords(verb, args, answer)) as Promise<EventPart[]>;
  const events = async (args = {}) =>
    (await shown('history', args, await operator.history(args))).flatMap((part) => part.events);
  const unban = async (args: Parameters<DaemonOperator['unban']>[0]) =>
    (await collect(operator.unban(args, asked))).flatMap((part) => part.addresses);

  test('many at once: each refusal is reported, and the record says who and why', async () => {
    const addresses = ['192.0.2.1', '0.0.0.0', '2001:db8::7', '192.0.2.2'];
    const result = await operator.ban({ jail: 'sshd', addresses, seconds: 60, reason: 'test' }, asked);
    expect(result.addresses).toEqual(['192.0.2.1', '2001:db8::/64', '192.0.2.2']);
    expect(result.refused).toMatchObject([{ address: '0.0.0.0' }]);
    expect(made.backend.held.size).toBe(3);
    const found = await events({ jail: 'sshd' });
    const by = { uid: 1000, pid: 7 };
    expect(found.shift()).toMatchObject({ event: 'refused', command: 'ban', addresses: ['0.0.0.0'], by });
    expect(found.flatMap((event) => event.addresses)).toEqual(result.addresses);
    expect(found[0]).toMatchObject({ event: 'ban', seconds: 60, by, reason: 'test' });
    expect(await events({ jail: 'slow' })).toEqual([]);
    expect(await events({ address: '2001:db8::8' })).toHaveLength(1);
    expect(await events({ since: 60 })).toHaveLength(2);
  });

  test('an operator bans hosts of a link one by one, and no broadcast address', async () => {
    made.engine.setIgnored([[], []], [parseCidr('2001:db8:1:2::/64', 'refuse') as Address]);
    const ignored = {
      isBroadcast: ({ bytes }: Address) => bytes[15] === 255,
      isListed: () => false,
      byHand: [],
      lists: [],
      ignore() {},
    };
    const drops = new DropTally(made.backend, made.log);
    const rooms = { drops, recorder, files: noFiles, routes: noRoutes, keeper: undefined, ignored };
    operator = new DaemonOperator({ ...made, ...rooms, figures: () => [], pageProblem: () => undefined });
    const addresses = ['2001:db8:1:2::7', '192.0.2.255', '2001:db8:1:2::', '2001:db8:1:2::/64', '2002:c000:201:1::1'];
    const result = await operator.ban({ jail: 'sshd', addresses, seconds: 60 }, asked);
    expect(result.addresses).toEqual(['2001:db8:1:2::7', '2002:c000:201::/48']);
    expect(result.refused.map(({ code, why }) => [code, why])).toEqual([
      ['bad-argument', expect.stringContaining('the broadcast address of a network of ours')],
      ['bad-argument', expect.stringContaining('that of its routers')],
      ['too-wide', expect.stringContaining('wider than a /128')],
    ]);
    // The link is removed. Its bans are still found as they were made.
    made.engine.setIgnored([[], []]);
    expect(await unban({ addresses: ['2001:db8:1:2::7', '2002:c000:201::9'] })).toEqual([
      { address: '2001:db8:1:2::7', jails: ['sshd'] },
      { address: '2002:c000:201::9', jails: ['sshd'] },
    ]);
    expect(made.backend.held.size).toBe(0);
  });

  test('unban counts and records what was banned, and names a ban that only the kernel knew', async () => {
    await operator.ban({ jail: 'sshd', addresses: ['192.0.2.1'] }, asked);
    const only = { jail: 'slow', address: addressOf(v4('192.0.2.2')), timeoutMs: 60_000 };
    await made.backend.apply([{ verb: 'ban', ban: only }]);
    expect(await unban({ addresses: ['192.0.2.1', '192.0.2.2', '192.0.2.3'] })).toEqual([
      { address: '192.0.2.1', jails: ['sshd'] },
      { address: '192.0.2.2', jails: [], kernelOnly: ['slow'] },
      { address: '192.0.2.3', jails: [] },
    ]);
    expect(made.backend.held.size).toBe(0);
    expect(made.enforcer.counters.unbans).toBe(1);
    expect((await events()).filter(({ event }) => event === 'unban')).toHaveLength(2);
    await expect(unban({})).rejects.toThrow('--all');
  });

  test('all bans of a jail, then all', async () => {
    for (const jail of ['sshd', 'slow']) {
      await operator.ban({ jail, addresses: ['192.0.2.1', '192.0.2.2', '192.0.2.3'] }, asked);
    }
    expect(await unban({ jail: 'slow' })).toHaveLength(3);
    expect([...made.backend.held.keys()].every((key) => key.startsWith('sshd '))).toBe(true);
    expect(await unban({ all: true })).toHaveLength(3);
    expect(made.backend.held.size).toBe(0);
  });

  test('why reports each jail and the latest events', async () => {
    await operator.ban({ jail: 'sshd', addresses: ['192.0.2.1'], seconds: -1, reason: 'test' }, asked);
    const answer = await operator.why({ address: '192.0.2.1' });
    const { views } = answer;
    const [{ events: found } = { events: [] }] = await shown('why', {}, answer);
    expect(views).toMatchObject([
      { jail: 'sshd', until: -1, kernel: true, ignored: false },
      { jail: 'slow', kernel: false },
    ]);
    expect(views[1]).not.toHaveProperty('until');
    expect(found).toMatchObject([{ event: 'ban', reason: 'test' }]);
  });

  test('why reports how many failures are missing for a ban, which rule ignores, and how long the kernel holds the ban', async () => {
    const view = async (address: string) => (await operator.why({ address })).views[1]!;
    const at = Math.floor(Date.now() / 1000);
    made.fail('192.0.2.7');
    const { failures, filter, maxretry } = await view('192.0.2.7');
    expect({ count: failures.length, filter, maxretry }).toEqual({ count: 1, filter: 'sshd:normal', maxretry: 5 });
    expect(failures[0]![0]).toBeGreaterThanOrEqual(at);
    await operator.ban({ jail: 'slow', addresses: ['192.0.2.8'], seconds: 60 }, asked);
    const banned = await view('192.0.2.8');
    expect(banned.kernelSeconds).toBe(60);
    const drops = new DropTally(made.backend, made.log);
    const rooms = { drops, recorder, files: noFiles, routes: noRoutes, keeper: undefined };
    operator = new DaemonOperator({ ...made, ...rooms, figures: () => [], pageProblem: () => undefined });
    await collect(operator.ignore({ addresses: ['192.0.2.0/28'], seconds: 60 }, asked));
    expect(await view('192.0.2.9')).toMatchObject({ ignored: true, ignoredBy: '192.0.2.0/28', ignoredSeconds: 60 });
    expect(await view('192.0.2.99')).not.toHaveProperty('ignoredBy');
  });

  test('networks ignored by hand are bounded and listed, and end when they should', async () => {
    const drops = new DropTally(made.backend, made.log);
    const rooms = { drops, recorder, files: noFiles, routes: noRoutes, keeper: undefined };
    operator = new DaemonOperator({ ...made, ...rooms, figures: () => [], pageProblem: () => undefined });
    const ignore = async (args: Parameters<DaemonOperator['ignore']>[0]) =>
      (await collect(operator.ignore(args, asked))).flatMap((part) => part.ignored ?? []);
    await operator.ban({ jail: 'sshd', addresses: ['192.0.2.7', '2001:db8::1'] }, asked);
    expect(await ignore({})).toEqual([]);
    const rows = await ignore({ addresses: ['192.0.2.7', '2001:db8::/32'], seconds: -1 });
    expect(rows.map(({ address, remainingSeconds }) => [address, remainingSeconds])).toEqual([
      ['192.0.2.7', -1],
      ['2001:db8::/32', -1],
    ]);
    expect(made.backend.held.size).toBe(0);
    const { hints } = (await collect(operator.status({})))[0]!;
    expect(hints).toContain('ignored by hand: 2001:db8::/32');
    const many = Array.from({ length: ignoredByHandMax - 1 }, (_, n) => `198.51.100.${n}`);
    await expect(ignore({ addresses: many })).rejects.toThrow('at most 32');
    expect(await ignore({})).toHaveLength(2);
    expect(() => operator.unignore({ addresses: ['192.0.2.7', '192.0.2.8'] })).toThrow(
      '192.0.2.8 is not ignored by hand; there are 192.0.2.7, 2001:db8::/32',
    );
    expect(operator.unignore({ addresses: ['192.0.2.7'] }).ignored).toHaveLength(1);
    made.fail('192.0.2.7');
    await until(() => made.backend.held.has('sshd 192.0.2.7'), { what: 'a ban of what is ignored no more' });
  });

  test('a network without room is not ignored, and those before it stay', async () => {
    const set = made.engine.setIgnored.bind(made.engine);
    made.engine.setIgnored = (lists, links) => set(lists, links) && (lists[0] ?? []).length < 2;
    await collect(operator.ignore({ addresses: ['192.0.2.7'] }, asked));
    await expect(collect(operator.ignore({ addresses: ['192.0.2.8'] }, asked))).rejects.toThrow('no room');
    expect(made.ignored.byHand.map(({ network }) => formatAddress(network))).toEqual(['192.0.2.7']);
    expect(made.enforcer.problem).toBeUndefined();
  });

  test('watch reports what comes after a number', async () => {
    for (const address of ['192.0.2.1', '192.0.2.2']) await operator.ban({ jail: 'sshd', addresses: [address] }, asked);
    const watching = withRecords('watch', { after: 1 }, await operator.watch());
    const first = await watching.next();
    expect(first.value).toMatchObject({ events: [{ number: 2, addresses: ['192.0.2.2'] }] });
    await watching.return(undefined);
  });
});
