import { describe, expect, test } from 'vitest';
import { roleOf } from '../../src/control/authorise.ts';
import { encodeFrame } from '../../src/control/protocol.ts';
import { RequestRate } from '../../src/control/rate.ts';
import { checkArguments, findVerb, mayCall, type OperatorError, type Status, verbs } from '../../src/control/verbs.ts';
import {
  banSecondsMax,
  controlRequestRefillMs,
  controlRequestsBurst,
  controlUsersMax,
  frameBytesMax,
  jailsMax,
  listPageRowsMax,
  statusProblemsMax,
  statusSourcesMax,
} from '../../src/limits.ts';
import { fakeOperator } from '../support/control.ts';

const by = { uid: 0, gid: 0, pid: 1 };

/** Arguments that each verb accepts, and for each argument one step outside. */
const rows: Record<string, { good: Record<string, unknown>[]; bad: Record<string, unknown>[] }> = {
  status: {
    good: [{}, { jail: 'sshd' }],
    bad: [
      { cursor: '-1' },
      { cursor: 1 },
      { cursor: 'x' },
      { jail: '' },
      { jail: 'a b' },
      { jail: 1 },
      { verbose: true },
    ],
  },
  stats: { good: [{}], bad: [{ jail: 'sshd' }] },
  list: {
    good: [{}, { jail: 'a.b_c-9', limit: listPageRowsMax, cursor: 'x' }, { limit: 1 }],
    bad: [
      { limit: 0 },
      { limit: listPageRowsMax + 1 },
      { limit: 1.5 },
      { limit: '1' },
      { cursor: 'x'.repeat(129) },
      { cursor: 1 },
    ],
  },
  ban: {
    good: [
      { jail: 'sshd', address: '192.0.2.1' },
      { jail: 'sshd', address: '2001:db8::/64', seconds: 1 },
      { jail: 'sshd', address: '192.0.2.1', seconds: banSecondsMax },
      { jail: 'sshd', address: '192.0.2.1', seconds: -1 },
    ],
    bad: [
      { jail: 'sshd' },
      { address: '192.0.2.1' },
      { jail: '../etc', address: '192.0.2.1' },
      { jail: 'x'.repeat(65), address: '192.0.2.1' },
      { jail: 'sshd', address: 'example.org' },
      { jail: 'sshd', address: '192.0.2.256' },
      { jail: 'sshd', address: '192.0.2.0/33' },
      { jail: 'sshd', address: '192.0.2.0/024' },
      { jail: 'sshd', address: '192.0.2.0/' },
      { jail: 'sshd', address: '2001:db8::/129' },
      { jail: 'sshd', address: 'fe80::1%eth0' },
      { jail: 'sshd', address: ['192.0.2.1'] },
      { jail: 'sshd', address: '192.0.2.1', seconds: 0 },
      { jail: 'sshd', address: '192.0.2.1', seconds: -2 },
      { jail: 'sshd', address: '192.0.2.1', seconds: 1.5 },
      { jail: 'sshd', address: '192.0.2.1', seconds: banSecondsMax + 1 },
      { jail: 'sshd', address: '192.0.2.1', seconds: '60' },
    ],
  },
  unban: {
    good: [{ address: '2001:db8::1' }, { jail: 'sshd', address: '192.0.2.1' }],
    bad: [{}, { jail: 'sshd' }, { address: '' }, { address: '192.0.2.1', seconds: 1 }],
  },
};

describe('the table of verbs', () => {
  test('every row is tried here, and no row that is not there', () => {
    expect(verbs.map((verb) => verb.name).sort()).toEqual(Object.keys(rows).sort());
  });

  test.each(Object.entries(rows))('%s takes what its row names and nothing else', async (name, { good, bad }) => {
    const verb = findVerb(name);
    for (const args of good) {
      const operator = fakeOperator();
      await verb.run(operator, checkArguments(verb, args), by);
      expect(operator.calls.map((call) => call.verb)).toEqual([name]);
      expect(operator.calls[0]?.args).toMatchObject(args);
    }
    for (const args of bad) {
      expect(() => checkArguments(verb, args), JSON.stringify(args)).toThrow(
        expect.objectContaining({ code: 'bad-argument' }) as OperatorError,
      );
    }
    for (const args of ['x', 1, [], true]) expect(() => checkArguments(verb, args)).toThrow('must be an object');
  });

  test('list without a limit asks for a full page', async () => {
    const operator = fakeOperator();
    await findVerb('list').run(operator, checkArguments(findVerb('list'), {}), by);
    expect(operator.calls[0]?.args).toEqual({ limit: listPageRowsMax });
  });

  test.each(['', 'reboot', 'constructor', '__proto__', undefined, 1, ['status']])('%s is no verb', (name) => {
    expect(() => findVerb(name)).toThrow(expect.objectContaining({ code: 'unknown-verb' }) as OperatorError);
  });

  test('names of an object of every program are unknown arguments, not found ones', () => {
    for (const text of ['{"__proto__":{"jail":"x"}}', '{"constructor":1}', '{"toString":1}']) {
      expect(() => checkArguments(findVerb('stats'), JSON.parse(text))).toThrow('unknown argument');
    }
  });

  test('a verb for root is not for the group', () => {
    const verb = { ...findVerb('ban'), callers: 'root' as const };
    expect([mayCall(verb, 'root'), mayCall(verb, 'group')]).toEqual([true, false]);
    expect(mayCall(findVerb('ban'), 'group')).toBe(true);
  });
});

describe('pages of a status', () => {
  const fits = (page: unknown) => encodeFrame({ ok: true, data: page }).length;

  /** Every page after the other, as a client asks for them. */
  async function pages(change: (status: Status) => Status): Promise<Status[]> {
    const operator = fakeOperator();
    const whole = change(await operator.status({}));
    operator.status = () => whole;
    const found: Status[] = [];
    let cursor: string | undefined;
    do {
      const verb = findVerb('status');
      const page = (await verb.run(operator, checkArguments(verb, cursor ? { cursor } : {}), by)) as Status;
      expect(fits(page)).toBeLessThanOrEqual(frameBytesMax + 4);
      found.push(page);
      cursor = page.cursor;
    } while (cursor !== undefined);
    return found;
  }

  test('the most jails there can be come on several pages, each once and in order', async () => {
    const found = await pages((status) => ({
      ...status,
      jails: Array.from({ length: jailsMax }, (_, index) => ({
        ...status.jails[0]!,
        jail: `jail-${index}`,
        sources: ['/var/log/'.padEnd(200, 'x'), '/var/log/'.padEnd(200, 'y')],
      })),
    }));
    expect(found.length).toBeGreaterThan(1);
    const names = found.flatMap((page) => page.jails.map((jail) => jail.jail));
    expect(names).toEqual(Array.from({ length: jailsMax }, (_, index) => `jail-${index}`));
  });

  test('the longest texts in the worst characters still fit, and what is left out is counted', async () => {
    const texts = Array.from({ length: 500 }, () => '\u0001'.repeat(5_000));
    const found = await pages((status) => ({
      ...status,
      problems: texts,
      jails: Array.from({ length: 3 }, () => ({ ...status.jails[0]!, sources: texts })),
    }));
    expect(found.flatMap((page) => page.jails)).toHaveLength(3);
    expect(found[0]?.problems.at(-1)).toBe(`and ${500 - statusProblemsMax} more`);
    expect(found[0]?.jails[0]?.sources.at(-1)).toBe(`and ${500 - statusSourcesMax} more`);
  });

  test('a cursor behind the end is an empty page', async () => {
    const page = await findVerb('status').run(fakeOperator(), { cursor: '999' }, by);
    expect(page).toMatchObject({ jails: [] });
    expect(page).not.toHaveProperty('cursor');
  });
});

describe('roles', () => {
  const peer = { pid: 1, uid: 1000, gid: 1000, groups: [4, 27] };

  test.each([
    ['root', { ...peer, uid: 0 }, 0, 500, 'root'],
    ["the daemon's own user", peer, 1000, 500, 'root'],
    ['a member by primary group', { ...peer, gid: 500 }, 0, 500, 'group'],
    ['a member by supplementary group', { ...peer, groups: [4, 500] }, 0, 500, 'group'],
    ['somebody', peer, 0, 500, undefined],
    ['somebody where no group is let in', { ...peer, gid: 0, groups: [0] }, 0, undefined, undefined],
  ])('%s', (_name, credentials, daemonUid, groupId, role) => {
    expect(roleOf(credentials, daemonUid, groupId)).toBe(role);
  });
});

describe('requests per user', () => {
  test('a burst, then one for each interval, each user for itself', () => {
    let now = 0;
    const rate = new RequestRate(() => now);
    for (let count = 0; count < controlRequestsBurst; count++) expect(rate.take(1)).toBe(true);
    expect(rate.take(1)).toBe(false);
    expect(rate.take(2)).toBe(true);
    now += controlRequestRefillMs - 1;
    expect(rate.take(1)).toBe(false);
    now += 1;
    expect([rate.take(1), rate.take(1)]).toEqual([true, false]);
    now += 1e9;
    for (let count = 0; count < controlRequestsBurst; count++) expect(rate.take(1)).toBe(true);
    expect(rate.take(1)).toBe(false);
  });

  test('more users than it remembers: the least recent is forgotten', () => {
    const rate = new RequestRate(() => 0);
    for (let uid = 0; uid < controlUsersMax * 3; uid++) rate.take(uid);
    expect(rate.users).toBe(controlUsersMax);
  });
});
