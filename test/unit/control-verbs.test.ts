import { describe, expect, test } from 'vitest';
import { OperatorError, type Status } from '../../src/control/answers.ts';
import { checkArguments } from '../../src/control/arguments.ts';
import { roleOf } from '../../src/control/authorise.ts';
import { statusParts } from '../../src/control/pages.ts';
import { encodeFrame } from '../../src/control/protocol.ts';
import { RequestRate } from '../../src/control/rate.ts';
import { answerTo, findVerb, mayCall, verbs } from '../../src/control/verbs.ts';
import {
  addressesPerRequestMax,
  banSecondsMax,
  controlRequestRefillMs,
  controlRequestsBurst,
  controlUsersMax,
  frameBytesMax,
  jailNameMax,
  jailsMax,
  pathBytesMax,
  reasonCharactersMax,
  statusProblemsMax,
  statusSourcesMax,
  statusTextMax,
} from '../../src/limits.ts';
import { collect } from '../support/collect.ts';
import { fakeOperator } from '../support/control.ts';

const by = { uid: 0, gid: 0, pid: 1 };

/** Arguments that each verb accepts, and for each argument one step outside. */
const rows: Record<string, { good: Record<string, unknown>[]; bad: Record<string, unknown>[] }> = {
  status: {
    good: [{}, { jail: 'sshd' }],
    bad: [{ cursor: '1' }, { jail: '' }, { jail: 'a b' }, { jail: 1 }, { jail: ['sshd'] }, { verbose: true }],
  },
  stats: { good: [{}], bad: [{ jail: 'sshd' }] },
  list: {
    good: [{}, { jail: 'a.b_c-9' }],
    bad: [{ limit: 1 }, { jail: 'a/b' }, { jail: 'x'.repeat(25) }],
  },
  ban: {
    good: [
      { jail: 'sshd', addresses: ['192.0.2.1'] },
      { jail: 'sshd', addresses: ['2001:db8::/64'], seconds: 1 },
      { jail: 'sshd', addresses: ['192.0.2.1'], seconds: banSecondsMax },
      { jail: 'sshd', addresses: ['192.0.2.1'], seconds: -1 },
      { jail: 'sshd', addresses: ['192.0.2.1'], reason: 'x'.repeat(200) },
      { jail: 'sshd', addresses: ['192.0.2.1'], force: true },
    ],
    bad: [
      { jail: 'sshd' },
      { addresses: ['192.0.2.1'] },
      { jail: '../etc', addresses: ['192.0.2.1'] },
      { jail: 'x'.repeat(65), addresses: ['192.0.2.1'] },
      { jail: 'sshd', addresses: ['example.org'] },
      { jail: 'sshd', addresses: ['192.0.2.256'] },
      { jail: 'sshd', addresses: ['192.0.2.0/33'] },
      { jail: 'sshd', addresses: ['192.0.2.0/024'] },
      { jail: 'sshd', addresses: ['192.0.2.0/'] },
      { jail: 'sshd', addresses: ['2001:db8::/129'] },
      { jail: 'sshd', addresses: ['fe80::1%eth0'] },
      { jail: 'sshd', addresses: '192.0.2.1' },
      { jail: 'sshd', addresses: [] },
      { jail: 'sshd', addresses: [['192.0.2.1']] },
      { jail: 'sshd', addresses: ['192.0.2.1', 'example.org'] },
      { jail: 'sshd', addresses: Array(addressesPerRequestMax + 1).fill('192.0.2.1') },
      { jail: 'sshd', addresses: ['192.0.2.1'], seconds: 0 },
      { jail: 'sshd', addresses: ['192.0.2.1'], seconds: -2 },
      { jail: 'sshd', addresses: ['192.0.2.1'], seconds: 1.5 },
      { jail: 'sshd', addresses: ['192.0.2.1'], seconds: banSecondsMax + 1 },
      { jail: 'sshd', addresses: ['192.0.2.1'], seconds: '60' },
      { jail: 'sshd', addresses: ['192.0.2.1'], reason: 'x'.repeat(201) },
      { jail: 'sshd', addresses: ['192.0.2.1'], reason: 1 },
      { jail: 'sshd', addresses: ['192.0.2.1'], reason: ['x'] },
      { jail: 'sshd', addresses: ['192.0.2.1'], force: false },
    ],
  },
  jails: { good: [{}], bad: [{ jail: 'sshd' }] },
  ignore: {
    good: [{}, { addresses: ['192.0.2.0/24', '2001:db8::7'] }, { addresses: ['192.0.2.7'], seconds: -1 }],
    bad: [{ addresses: [] }, { addresses: ['x'] }, { addresses: ['192.0.2.7'], seconds: 0 }, { jail: 'sshd' }],
  },
  unignore: {
    good: [{ addresses: ['192.0.2.0/24'] }],
    bad: [{}, { addresses: ['x'] }, { addresses: ['192.0.2.7'], seconds: 60 }],
  },
  why: { good: [{ address: '192.0.2.1' }], bad: [{}, { address: 'x' }, { address: ['192.0.2.1'] }] },
  history: {
    good: [{}, { address: '2001:db8::/64', jail: 'sshd', since: 86_400 }],
    bad: [{ since: -1 }, { since: 0 }, { since: '1d' }, { address: 'sshd' }],
  },
  watch: { good: [{}, { after: 0 }, { after: 2 ** 52 }], bad: [{ after: -1 }, { after: 0.5 }, { after: '1' }] },
  set: {
    good: [{ setting: 'loglevel', level: 'debug' }],
    bad: [{}, { setting: 'loglevel' }, { setting: 'x', level: 'info' }, { setting: 'loglevel', level: 'trace' }],
  },
  version: { good: [{}], bad: [{ full: true }] },
  reload: { good: [{}, { config: '/etc/fail2zig.toml' }], bad: [{ config: '' }, { config: 'a\0b' }, { config: 1 }] },
  unban: {
    good: [{ addresses: ['2001:db8::1'] }, { jail: 'sshd', addresses: ['192.0.2.1'] }, { all: true }],
    bad: [{ all: false }, { all: 'x' }, { addresses: [''] }, { addresses: ['192.0.2.1'], seconds: 1 }],
  },
};

describe('the table of verbs', () => {
  test('every row is tested here, and every row that is tested exists', () => {
    expect(verbs.map((verb) => verb.name).sort()).toEqual(Object.keys(rows).sort());
  });

  test.each(Object.entries(rows))('%s accepts what its row names and nothing else', async (name, { good, bad }) => {
    const verb = findVerb(name);
    for (const args of good) {
      const operator = fakeOperator();
      const answer = await answerTo(operator, verb, args, by);
      if (Symbol.asyncIterator in answer) await collect(answer);
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

  test.each(['', 'reboot', 'constructor', '__proto__', undefined, 1, ['status']])('%s is no verb', (name) => {
    expect(() => findVerb(name)).toThrow(expect.objectContaining({ code: 'unknown-verb' }) as OperatorError);
  });

  test('names of an object of every program are unknown arguments, not found ones', () => {
    for (const text of ['{"__proto__":{"jail":"x"}}', '{"constructor":1}', '{"toString":1}']) {
      expect(() => checkArguments(findVerb('stats'), JSON.parse(text))).toThrow('unknown argument');
    }
  });

  test('a verb for root is not for the group', () => {
    const verb = { ...findVerb('ban'), rootOnly: true as const };
    expect([mayCall(verb, 'root'), mayCall(verb, 'group')]).toEqual([true, false]);
    expect(mayCall(findVerb('ban'), 'group')).toBe(true);
  });
});

describe('what is wrong with an argument is said', () => {
  const longest = 'x'.repeat(jailNameMax);
  const ban = (changes: object) => ['ban', { jail: 'sshd', addresses: ['192.0.2.1'], ...changes }] as const;
  const wholeSeconds = `must be whole seconds from 1 to ${banSecondsMax}, or -1 for permanent`;
  test.each<[verb: string, args: unknown, says: string]>([
    ['status', { jail: '' }, 'jail must be the name of a jail'],
    ['status', { jail: 1 }, 'jail must be the name of a jail'],
    ['status', { jail: `${longest}x` }, `jail is longer than ${jailNameMax} characters`],
    ['status', { jail: 'a b' }, 'jail may hold letters, digits, "-", "_" and "." only'],
    ['status', { jail: '/a' }, 'jail may hold letters, digits, "-", "_" and "." only'],
    ['status', { jail: 'a/' }, 'jail may hold letters, digits, "-", "_" and "." only'],
    [...ban({ jail: undefined }), 'jail is missing'],
    [...ban({ addresses: ['192.0.2.0/33'] }), 'addresses has a prefix length outside 0–32'],
    [...ban({ addresses: ['2001:db8::/129'] }), 'addresses has a prefix length outside 0–128'],
    [...ban({ addresses: ['192.0.2.1', 'example.org'] }), 'addresses must be an IPv4 or IPv6 address'],
    [...ban({ addresses: [7] }), 'addresses must be an IPv4 or IPv6 address'],
    [...ban({ addresses: [] }), `addresses must be a list of 1 to ${addressesPerRequestMax}`],
    [...ban({ addresses: '192.0.2.1' }), `addresses must be a list of 1 to ${addressesPerRequestMax}`],
    [...ban({ seconds: 0 }), `seconds ${wholeSeconds}`],
    [...ban({ seconds: banSecondsMax + 1 }), `seconds ${wholeSeconds}`],
    [...ban({ reason: 1 }), `reason must be a text of at most ${reasonCharactersMax} characters`],
    [...ban({ force: false }), 'force must be true'],
    ['history', { since: -1 }, 'since must be whole seconds'],
    ['history', { since: 0 }, `since ${wholeSeconds}`],
    ['watch', { after: -1 }, 'after must be a whole number from 0'],
    ['watch', { after: 2 ** 53 }, 'after must be a whole number from 0'],
    ['reload', { config: '' }, `config must be a path of at most ${pathBytesMax} bytes`],
    ['reload', { config: 'a\0b' }, `config must be a path of at most ${pathBytesMax} bytes`],
    ['reload', { config: 'ä'.repeat(pathBytesMax / 2 + 1) }, `config must be a path of at most ${pathBytesMax} bytes`],
    ['set', { setting: 'x', level: 'info' }, 'setting must be one of loglevel'],
    ['set', { setting: 'loglevel', level: 'x' }, 'level must be one of error, warn, info, debug'],
    ['list', { sort: 'x' }, 'sort must be one of jail, address, start, left'],
    ['stats', { jail: 'sshd' }, 'unknown argument; it takes none'],
    ['list', { limit: 1 }, 'unknown argument; it takes jail, sort'],
    ['stats', 'x', 'args must be an object'],
  ])('%s with %j', (verb, args, says) => {
    expect(() => checkArguments(findVerb(verb), args)).toThrow(new OperatorError('bad-argument', `${verb}: ${says}`));
  });

  test('what lies on a bound is taken', () => {
    expect(checkArguments(findVerb('status'), { jail: longest })).toEqual({ jail: longest });
    const most = { jail: 'sshd', addresses: Array(addressesPerRequestMax).fill('192.0.2.1') };
    expect(checkArguments(findVerb('ban'), most)).toEqual(most);
    const config = `/${'x'.repeat(pathBytesMax - 1)}`;
    expect(checkArguments(findVerb('reload'), { config })).toEqual({ config });
  });

  test('an argument that is not given is absent, not undefined', () => {
    expect(Object.keys(checkArguments(findVerb('list'), { jail: undefined }))).toEqual([]);
    expect(checkArguments(findVerb('list'), null)).toEqual({});
  });

  test('of a verb that there is not, those that there are', () => {
    const names = verbs.map(({ name }) => name).join(', ');
    expect(() => findVerb('reboot')).toThrow(new OperatorError('unknown-verb', `no such verb; there are ${names}`));
    expect(new OperatorError('busy', 'x')).toMatchObject({ name: 'OperatorError', code: 'busy' });
  });
});

describe('parts of a status', () => {
  function parts(change: (status: Status) => Status): Status[] {
    const found = [...statusParts(change(fakeOperator().whole))];
    for (const part of found) {
      expect(encodeFrame({ ok: true, data: part, more: true }).length).toBeLessThanOrEqual(frameBytesMax + 4);
    }
    return found;
  }

  test('the largest number of jails comes in several parts, each jail once and in order', () => {
    const found = parts((status) => ({
      ...status,
      jails: Array.from({ length: jailsMax }, (_, index) => ({
        ...status.jails[0]!,
        jail: `jail-${index}`,
        sources: ['/var/log/'.padEnd(200, 'x'), '/var/log/'.padEnd(200, 'y')],
      })),
    }));
    expect(found.length).toBeGreaterThan(1);
    const names = found.flatMap((part) => part.jails.map((jail) => jail.jail));
    expect(names).toEqual(Array.from({ length: jailsMax }, (_, index) => `jail-${index}`));
  });

  test('the longest texts in the worst characters still fit, and what is left out is counted', () => {
    const texts = Array.from({ length: 500 }, () => '\u0001'.repeat(5_000));
    const found = parts((status) => ({
      ...status,
      problems: texts,
      jails: Array.from({ length: 3 }, () => ({ ...status.jails[0]!, sources: texts })),
    }));
    expect(found.flatMap((part) => part.jails)).toHaveLength(3);
    expect(found[0]?.problems.at(-1)).toBe(`and ${500 - statusProblemsMax} more`);
    expect(found[0]?.jails[0]?.sources.at(-1)).toBe(`and ${500 - statusSourcesMax} more`);
  });

  test('a text that just fits is whole, a longer one is cut, and so in hints and lists', () => {
    const fits = 'x'.repeat(statusTextMax);
    const [part] = parts((status) => ({ ...status, problems: [fits], hints: [`${fits}y`], lists: [fits, 'z'] }));
    expect(part).toMatchObject({ problems: [fits], hints: [`${fits}…`], lists: [fits, 'z'] });
    const [short] = parts((status) => ({ ...status, problems: Array(statusProblemsMax).fill('p') }));
    expect(short!.problems).toEqual(Array(statusProblemsMax).fill('p'));
    expect(short).not.toMatchObject({ hints: expect.anything() });
  });

  test('a part takes as many jails as its frame has room for', () => {
    const found = parts((status) => ({
      ...status,
      jails: Array.from({ length: jailsMax }, () => ({ ...status.jails[0]!, sources: ['/var/log/'.padEnd(200, 'x')] })),
    }));
    const [first] = found;
    const more = { ...first!, jails: [...first!.jails, first!.jails[0]!] };
    expect(() => encodeFrame({ ok: true, data: more, more: true })).toThrow('the limit is');
  });

  test('however full a part becomes, it fits its frame', () => {
    const sources = Array<string>(statusSourcesMax).fill('/var/log/'.padEnd(200, 'x'));
    let fullest = 0;
    // As much as one jail takes, in steps shorter than what is kept free for the response.
    for (let more = 0; more < 4_000; more += 32) {
      const first = sources.map((source, at) => source.slice(0, Math.max(9, more - 200 * at)));
      const [part] = parts((status) => ({
        ...status,
        jails: Array.from({ length: 20 }, (_, at) => ({ ...status.jails[0]!, sources: at === 0 ? first : sources })),
      }));
      fullest = Math.max(fullest, encodeFrame({ ok: true, data: part, more: true }).length);
    }
    expect(fullest).toBeGreaterThan(frameBytesMax - 64);
  });

  test('no jail at all is one part', () => {
    expect(parts((status) => ({ ...status, jails: [] }))).toHaveLength(1);
  });
});

describe('roles', () => {
  const peer = { pid: 1, uid: 1000, gid: 1000, groups: [4, 27] };

  test.each([
    ['root', { ...peer, uid: 0 }, 0, 500, 'root'],
    ["the daemon's own user", peer, 1000, 500, 'root'],
    ['root, where the daemon runs as another user', { ...peer, uid: 0 }, 1000, 500, 'root'],
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
    for (let count = 0; count < controlRequestsBurst; count++) rate.take(0);
    for (let uid = 1; uid < controlUsersMax; uid++) rate.take(uid);
    expect(rate.take(0)).toBe(false);
    for (let uid = 1; uid <= controlUsersMax; uid++) rate.take(uid);
    expect(rate.take(0)).toBe(true);
  });

  test('a user that asked again just now is not the one that is forgotten', () => {
    const rate = new RequestRate(() => 0);
    for (let uid = 0; uid < controlUsersMax; uid++) {
      for (let count = 0; count < controlRequestsBurst; count++) rate.take(uid);
    }
    expect(rate.take(0)).toBe(false);
    expect(rate.take(controlUsersMax)).toBe(true);
    expect(rate.take(0)).toBe(false);
    expect(rate.take(1)).toBe(true);
  });
});

test('who may call what: root alone, or the group too', () => {
  const named = (is: (verb: (typeof verbs)[number]) => unknown): string[] =>
    verbs
      .filter(is)
      .map(({ name }) => name)
      .sort();
  expect(named((verb) => !mayCall(verb, 'group'))).toEqual(['ignore', 'reload', 'set', 'unignore']);
  expect(named((verb) => mayCall(verb, 'root'))).toEqual(named(() => true));
  expect(named(({ changes }) => changes)).toEqual(['ban', 'ignore', 'reload', 'set', 'unban', 'unignore']);
});
