/**
 * The bouncer against stand-ins for server and daemon: what is banned, what is not, and what ends.
 */
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { BanResult, ListPart, Status } from '../../src/control/answers.ts';
import { Figures } from '../../src/fleet/figures.ts';
import { nameOf } from '../../src/fleet/held.ts';
import { windowDecisions } from '../../src/fleet/limits.ts';
import { RefusedError } from '../../src/fleet/local.ts';
import { Receiver, reasonOf, requestsOf } from '../../src/fleet/receiver.ts';
import { Server } from '../../src/fleet/server.ts';
import { addressesPerRequestMax } from '../../src/limits.ts';
import { decision, dropped, type StandInDecision, StandInLapi, status } from '../support/lapi.ts';
import { until } from '../support/until.ts';

/** A daemon that bans IPv6 by /64, no IPv4 prefix, and nothing of 203.0.113.0/24. */
class StandInDaemon {
  readonly bans = new Map<string, { seconds: number; reason: string }>();
  pid = 7;
  slots = 4_000_000;
  requests = 0;
  lists = 0;
  broken: Error | undefined;

  async status(): Promise<Status> {
    if (this.broken) throw this.broken;
    return { pid: this.pid, backend: 'nftables', memory: { slots: this.slots } } as Status;
  }

  async *list(): AsyncGenerator<ListPart> {
    this.lists++;
    yield {
      bans: [...this.bans].map(([address, { seconds }]) => ({ jail: 'fleet', address, remainingSeconds: seconds })),
    };
  }

  async ban(jail: string, addresses: readonly string[], seconds: number, reason: string): Promise<BanResult> {
    this.requests++;
    if (this.broken) throw this.broken;
    const refused: BanResult['refused'] = [];
    const banned: string[] = [];
    for (const address of addresses) {
      if (address.startsWith('203.0.113.')) refused.push({ address, code: 'ignored', why: `${address} is` });
      else if (address.includes('/') && !address.includes(':'))
        refused.push({ address, code: 'too-wide', why: `${address} is` });
      else banned.push(nameOf(address, 64)!);
    }
    if (banned.length === 0) throw new RefusedError(refused[0]!.code, refused[0]!.why);
    for (const name of banned) this.bans.set(name, { seconds, reason });
    return { jail, addresses: banned, seconds, refused };
  }

  async unban(_jail: string, addresses: readonly string[]): Promise<void> {
    if (this.broken) throw this.broken;
    for (const address of addresses) this.bans.delete(address);
  }
}

let lapi: StandInLapi;
let daemon: StandInDaemon;
let figures: Figures;
let now: number;
beforeEach(async () => {
  lapi = await StandInLapi.start();
  daemon = new StandInDaemon();
  figures = new Figures();
  now = 1_796_000_000_000;
});
afterEach(() => lapi.close());

function receiver(entriesMax = 1_000, decisions?: Server['decisions']): Receiver {
  const ofLapi = new Server({
    config: { url: lapi.url },
    credentials: { apiKey: 'a-key', tls: {} },
    answerMs: 20_000,
    pieceMs: 20_000,
  });
  const server = decisions ? { decisions } : ofLapi;
  const config = { jail: 'fleet', entriesMax, intervalSeconds: 1 };
  const log = { info: () => undefined, warn: () => undefined };
  return new Receiver({
    config,
    ownMark: '@web-1',
    ipv6Prefix: 64,
    bansMax: 0,
    daemon,
    server,
    figures,
    log,
    now: () => now,
  });
}

const list = (added: StandInDecision[], deleted: StandInDecision[] = []): void => {
  lapi.lists.push({ new: added, deleted });
};
const banned = (): string[] => [...daemon.bans.keys()].toSorted();

describe('decisions', () => {
  test('become bans with their time and reason, and end when the server deletes them', async () => {
    const fleet = receiver();
    list([decision('192.0.2.1', { duration: '90m' }), decision('2001:db8::/48', { origin: 'CAPI', scenario: 'x/y' })]);
    await fleet.turn();
    expect(daemon.bans.get('192.0.2.1')).toEqual({ seconds: 5_400, reason: "cscli: manual 'ban'" });
    expect(daemon.bans.get('2001:db8::/48')?.reason).toBe('CAPI: x/y');
    list([], [decision('192.0.2.1', { duration: '-1s' }), decision('192.0.2.66', { duration: '-1s' })]);
    await fleet.turn();
    expect(banned()).toEqual(['2001:db8::/48']);
    expect(lapi.requests).toEqual(['GET /v1/decisions/stream?startup=true', 'GET /v1/decisions/stream?startup=false']);
  });

  test('are counted, with the time of the last list and how long it took until it was banned', async () => {
    const fleet = receiver();
    const { ban } = daemon;
    daemon.ban = async (...asked) => {
      now += 2_500;
      return ban.apply(daemon, asked);
    };
    const from = now / 1000;
    list([decision('192.0.2.1'), decision('192.0.2.2')]);
    await fleet.turn();
    expect(figures).toMatchObject({ listSeconds: 2.5, listedAt: from + 2.5, held: 2, ceiling: 1_000 });
    expect(figures.counters).toMatchObject({ polls: 1, resyncs: 1, decisionsNew: 2, decisionsDeleted: 0, banned: 2 });
    list([], [decision('192.0.2.1', { duration: '-1s' })]);
    await fleet.turn();
    expect(figures).toMatchObject({ listSeconds: 0, listedAt: from + 2.5, held: 1 });
    expect(figures.counters).toMatchObject({ polls: 2, resyncs: 1, decisionsDeleted: 1, unbanned: 1 });
  });

  test('that are our own, are no ban, or are about no address, are passed over and counted', async () => {
    list([
      decision('192.0.2.1', { scenario: 'fail2zig/sshd@web-1', origin: 'crowdsec' }),
      decision('192.0.2.2', { type: 'captcha' }),
      decision('AS64500', { scope: 'AS' }),
      decision('192.0.2.3', { simulated: true }),
      decision('192.0.2.4', { duration: '-1s' }),
      decision('example.net'),
      decision('192.0.2.5', { scenario: 'fail2zig/sshd@web-10', origin: 'crowdsec' }),
      decision('192.0.2.6', { scenario: 'someone@web-1' }),
    ]);
    await receiver().turn();
    expect(banned()).toEqual(['192.0.2.5', '192.0.2.6']);
    expect(Object.fromEntries(figures.skipped)).toEqual({
      own: 1,
      type: 1,
      scope: 1,
      simulated: 1,
      over: 1,
      unreadable: 1,
    });
  });

  test('that the daemon refuses are counted and named, and hold up no other', async () => {
    list([
      decision('203.0.113.1'),
      decision('198.51.100.0/24'),
      decision('192.0.2.1'),
      decision('203.0.113.2', { scenario: 'alone' }),
    ]);
    await receiver().turn();
    expect(banned()).toEqual(['192.0.2.1']);
    expect(Object.fromEntries(figures.skipped)).toEqual({ ignored: 2, wider: 1 });
    expect([...figures.refused.keys()].toSorted()).toEqual(['198.51.100.0/24', '203.0.113.1', '203.0.113.2']);
  });

  test('of a list that takes long are banned once, whenever the server wrote their time', async () => {
    const one = { kind: 'new', type: 'ban', scope: 'ip', origin: 'cscli', scenario: 'x', simulated: false } as const;
    const end = now / 1000 + 5_400;
    let lists = 0;
    const fleet = receiver(1_000, async function* () {
      const seconds = end - now / 1000;
      yield [{ ...one, value: '192.0.2.1', seconds }];
      now += 20_000 * lists++;
      yield [
        { ...one, value: '192.0.2.2', seconds },
        { ...one, value: '192.0.2.3', seconds: end - now / 1000 },
      ];
    });
    for (const turn of [1, 2, 3]) {
      await fleet.turn();
      expect([turn, figures.counters.banned]).toEqual([turn, 3]);
    }
  });

  test('of one prefix are one ban, which ends with the last of them', async () => {
    const fleet = receiver();
    list([decision('2001:db8::1'), decision('2001:db8::2')]);
    await fleet.turn();
    expect(banned()).toEqual(['2001:db8::/64']);
    list([], [decision('2001:db8::1')]);
    await fleet.turn();
    expect(banned()).toEqual(['2001:db8::/64']);
    list([], [decision('2001:db8::2')]);
    await fleet.turn();
    expect(banned()).toEqual([]);
  });

  test('that are deleted and made anew in one list hold', async () => {
    const fleet = receiver();
    list([decision('192.0.2.1'), decision('2001:db8::1')]);
    await fleet.turn();
    const both = [decision('192.0.2.1', { duration: '3h' }), decision('2001:db8::1', { duration: '3h' })];
    list(both, both);
    await fleet.turn();
    expect(banned()).toEqual(['192.0.2.1', '2001:db8::/64']);
    expect(daemon.bans.get('192.0.2.1')?.seconds).toBe(10_800);
  });
});

describe('the ceiling', () => {
  test('is that of the configuration, of which community lists leave a share', async () => {
    const many = (count: number, more: Partial<StandInDecision>, net: number) =>
      Array.from({ length: count }, (_, index) => decision(`198.${net}.${index >> 8}.${index & 255}`, more));
    list([...many(200, { origin: 'CAPI' }, 18), ...many(200, {}, 19)]);
    await receiver(80).turn();
    expect(banned().filter((address) => address.startsWith('198.18.'))).toHaveLength(70);
    expect(daemon.bans.size).toBe(80);
    expect(figures.skipped.get('ceiling')).toBe(320);
  });

  test('is met exactly by a list of many windows, and what has no room is said until it fits', async () => {
    const fleet = receiver(3 * windowDecisions);
    const many = (count: number) =>
      Array.from({ length: count }, (_, index) => decision(`198.${index >> 16}.${(index >> 8) & 255}.${index & 255}`));
    list(many(4 * windowDecisions));
    await fleet.turn();
    expect(daemon.bans.size).toBe(3 * windowDecisions);
    expect(figures.skipped.get('ceiling')).toBe(windowDecisions);
    expect(figures.problems.get('ceiling')).toBe(
      `${windowDecisions} decisions have no room among the ${3 * windowDecisions} bans of jail fleet: raise entries_max, or memory for more`,
    );
    now += 7 * 3_600_000;
    list(many(10).map((one) => ({ ...one, duration: '9h' })));
    await fleet.turn();
    expect(daemon.bans.size).toBe(10);
    expect(figures.problems.has('ceiling')).toBe(false);
  }, 120_000);

  test('a daemon that fails while a list is read ends the list, and nothing else', async () => {
    const fleet = receiver(10 * windowDecisions);
    daemon.broken = new Error('no answer');
    daemon.status = StandInDaemon.prototype.status.bind({ ...daemon, broken: undefined } as StandInDaemon);
    list(Array.from({ length: 3 * windowDecisions }, (_, index) => decision(`198.18.${index >> 8}.${index & 255}`)));
    await expect(fleet.turn()).rejects.toThrow('no answer');
    expect(figures.held).toBe(0);
  });

  test('leaves the host a quarter of what the kernel may hold', async () => {
    daemon.slots = 800;
    await receiver(100_000).turn();
    expect(figures.ceiling).toBe(300);
  });
});

describe('a server that fails', () => {
  test.each([
    ['is gone', dropped, /cannot be reached/],
    ['says no', status(500), /refused the decisions \(500\): not now/],
    ['answers with a page', status(200, '<html>'), /no JSON/],
    ['answers nothing', status(200, ''), /ends in its middle/],
    ['forgets the list', status(200, '{}'), /has no "new"/],
  ])('which %s ends no ban, and is asked for all of it next', async (_, fault, why) => {
    const fleet = receiver();
    list([decision('192.0.2.1'), decision('192.0.2.2')]);
    await fleet.turn();
    lapi.fault('/v1/decisions', fault);
    await expect(fleet.turn()).rejects.toThrow(why);
    expect(banned()).toEqual(['192.0.2.1', '192.0.2.2']);
    list([decision('192.0.2.2')]);
    await fleet.turn();
    expect(lapi.requests.at(-1)).toBe('GET /v1/decisions/stream?startup=true');
    expect(banned()).toEqual(['192.0.2.2']);
    expect(daemon.lists).toBe(1);
  });

  test('in the middle of its list has banned what came, and ended nothing', async () => {
    const fleet = receiver();
    list([decision('192.0.2.1')]);
    await fleet.turn();
    const half = JSON.stringify({ new: [decision('192.0.2.9')], deleted: null }).slice(0, -8);
    lapi.fault('/v1/decisions', status(200, half));
    await expect(fleet.turn()).rejects.toThrow(/ends in its middle/);
    expect(banned()).toContain('192.0.2.1');
  });
});

test('a start bans again only what the jail does not hold, and ends what the server no longer wants', async () => {
  daemon.bans.set('192.0.2.1', { seconds: 3_600, reason: '' });
  daemon.bans.set('192.0.2.2', { seconds: 3_600, reason: '' });
  daemon.bans.set('192.0.2.3', { seconds: 60, reason: '' });
  list([decision('192.0.2.1'), decision('192.0.2.3'), decision('192.0.2.4')]);
  await receiver().turn();
  expect(banned()).toEqual(['192.0.2.1', '192.0.2.3', '192.0.2.4']);
  expect(daemon.bans.get('192.0.2.3')?.seconds).toBe(3_600);
  expect(figures.counters.banned).toBe(2);
});

test('another daemon is asked what it holds, and told all anew', async () => {
  const fleet = receiver();
  list([decision('192.0.2.1')]);
  await fleet.turn();
  daemon.bans.clear();
  daemon.pid = 8;
  list([decision('192.0.2.1')]);
  await fleet.turn();
  expect(banned()).toEqual(['192.0.2.1']);
});

test.each([
  ['daemon', 2],
  ['server', 1],
] as const)(
  'after a failure of the %s the jail is looked at anew where it may differ: %i looks',
  async (part, looks) => {
    list([decision('192.0.2.1')]);
    const fleet = receiver();
    await fleet.turn();
    const { ban } = daemon;
    daemon.ban = async (...asked) => {
      daemon.ban = ban;
      if (part === 'server') return ban.apply(daemon, asked);
      // It may have taken some of them.
      throw new Error('the daemon went away');
    };
    if (part === 'server') lapi.fault('/v1/decisions', dropped);
    else list([decision('192.0.2.2')]);
    list([decision('192.0.2.1'), decision('192.0.2.2')]);
    const stop = new AbortController();
    const running = fleet.run(stop.signal);
    await until(() => figures.errors.get(part) === 1, { what: 'the failure' });
    await until(() => figures.counters.polls === 2, { what: 'the next list' });
    stop.abort();
    await running;
    expect(daemon.lists).toBe(looks);
    expect(banned()).toEqual(['192.0.2.1', '192.0.2.2']);
    expect(figures.problems.has(part)).toBe(false);
  },
);

test('a ban that the kernel would hold longer than its decision ends in time', async () => {
  const fleet = receiver();
  list([decision('192.0.2.1', { duration: '100m' }), decision('192.0.2.2', { duration: '104m' })]);
  await fleet.turn();
  expect(daemon.requests).toBe(1);
  expect(daemon.bans.get('192.0.2.1')?.seconds).toBe(104 * 60);
  now += 101 * 60_000;
  await fleet.turn();
  expect(banned()).toEqual(['192.0.2.2']);
  expect(figures.held).toBe(1);
});

test('requests hold one reason and ends that lie close together', () => {
  const wanted = Array.from({ length: 1_000 }, (_, index) => ({
    value: `198.18.${index >> 8}.${index & 255}`,
    end: 1_000 + (index % 10) * 100,
    reason: index < 500 ? 'one' : 'other',
  }));
  const requests = [...requestsOf(wanted, 0)];
  expect(requests.flat()).toHaveLength(1_000);
  for (const request of requests) {
    expect(request.length).toBeLessThanOrEqual(addressesPerRequestMax);
    expect(new Set(request.map(({ reason }) => reason)).size).toBe(1);
    expect(request.at(-1)!.end).toBeLessThanOrEqual(request[0]!.end * (1 + 1 / 16));
  }
});

test('a reason is one line for people', () => {
  const reason = reasonOf({ origin: 'lists', scenario: `evil\u001b[2J\n${'x'.repeat(500)}` });
  expect([...reason].filter((character) => character < ' ')).toEqual([]);
  expect(reason.length).toBeLessThanOrEqual(200);
});
