/** The client command against a real control server, whose operator records the calls. */
import { execFile } from 'node:child_process';
import { appendFileSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { OutputError, run } from '../../src/client/command.ts';
import { eventText, remaining } from '../../src/client/event-text.ts';
import { exitCodes } from '../../src/client/help.ts';
import { presentStatus, table } from '../../src/client/present.ts';
import { presentWhy } from '../../src/client/why.ts';
import { splitArguments } from '../../src/client/words.ts';
import { defaultSettings } from '../../src/config/schema.ts';
import type { Why } from '../../src/control/answers.ts';
import { encodeFrame, socketPathDefault } from '../../src/control/protocol.ts';
import { ControlServer } from '../../src/control/server.ts';
import { verbs } from '../../src/control/verbs.ts';
import type { Event } from '../../src/history/event.ts';
import { controlRequestsBurst } from '../../src/limits.ts';
import { parseAddress } from '../../src/text/address.ts';
import { asciiJson } from '../../src/text/json.ts';
import {
  type FakeOperator,
  fakeOperator,
  listenAt,
  rawPeer,
  rememberingLog,
  temporaryDirectory,
} from '../support/control.ts';
import { until } from '../support/until.ts';

let directory: ReturnType<typeof temporaryDirectory>;
let path: string;
let server: ControlServer;
let operator: FakeOperator;
let input: string[] = [];

beforeEach(async () => {
  directory = temporaryDirectory();
  path = join(directory.path, 'control.sock');
  operator = fakeOperator();
  const askPeer = () => ({ pid: 1, uid: 0, gid: 0, groups: [] });
  server = new ControlServer({ operator, askPeer, groupId: undefined, log: rememberingLog() });
  await listenAt(server, path);
});

afterEach(async () => {
  await server.close();
  directory.remove();
});

interface Outcome {
  code: number;
  out: string;
  error: string;
}

let session: string | undefined;
afterEach(() => {
  session = undefined;
});

async function client(...argv: string[]): Promise<Outcome> {
  const outcome: Outcome = { code: -1, out: '', error: '' };
  outcome.code = await run(['--socket', path, ...argv], {
    out: (text) => {
      outcome.out += text;
    },
    error: (text) => {
      outcome.error += text;
    },
    input: () => input,
    session: () => (session === undefined ? undefined : parseAddress(session)),
    version: '1.2.3',
  });
  return outcome;
}

/** Only printable characters and newlines: no byte that could act on a terminal. */
function expectHarmless(text: string): void {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what is looked for
  expect(text).not.toMatch(/[\u0000-\u0009\u000b-\u001f\u007f-\u009f\u202a-\u202e\u2066-\u2069]/);
}

describe('a ban of the own session', () => {
  test.each([
    ['192.0.2.7', '192.0.2.7'],
    ['192.0.2.7', '::ffff:192.0.2.7'],
    ['192.0.2.7', '192.0.2.0/24'],
    ['192.0.2.7', '192.0.2.4/30'],
    ['192.0.2.7', '192.0.2.8'],
    ['2001:db8:1:2::7', '2001:db8:1:2::7'],
    ['2001:db8:1:2::7', '2001:db8:1:2::8'],
    ['2001:db8:1:2::7', '2001:db8:1:9::/64'],
  ])('from %s, of %s, is refused as a whole and made with --force', async (from, address) => {
    session = from;
    const refused = await client('ban', 'sshd', '198.51.100.1', address);
    expect(refused).toMatchObject({ code: exitCodes.refused, out: '' });
    expect(refused.error).toMatch(
      new RegExp(
        `^fail2zig-client: refused \\(own-session\\): nothing was banned: you are .* from ${from}.* with --force`,
      ),
    );
    expect(operator.calls).toEqual([]);
    const json = await client('--json', 'ban', 'sshd', address);
    expect(JSON.parse(json.out)).toMatchObject({ error: { code: 'own-session' } });
    expect(await client('ban', 'sshd', address, '1h', '--force')).toMatchObject({ code: 0 });
    expect(operator.calls).toHaveLength(1);
  });

  test.each([
    ['192.0.2.7', '192.0.3.8'],
    ['192.0.2.7', '192.0.3.8/30'],
    ['192.0.2.7', '::/0'],
    ['2001:db8:1:2::7', '2001:db8:2:2::7'],
    ['2001:db8:1:2::7', '192.0.0.0/16'],
    [undefined, '192.0.2.7'],
  ])('from %s, of %s, is another', async (from, address) => {
    session = from;
    expect((await client('ban', 'sshd', address)).code).toBe(0);
  });

  test('the other commands ask nobody', async () => {
    session = '192.0.2.7';
    expect((await client('unban', '192.0.2.7')).code).toBe(0);
  });

  test('the program itself goes by the session that it runs in', async () => {
    const main = join(import.meta.dirname, '../../src/client/main.ts');
    const ended = await promisify(execFile)(process.execPath, [main, '--socket', path, 'ban', 'sshd', '192.0.2.7'], {
      env: { PATH: process.env.PATH, SSH_CONNECTION: '192.0.2.7 40022 198.51.100.1 22' },
    }).catch((error) => error);
    expect(ended).toMatchObject({ code: exitCodes.refused, stdout: '' });
    expect(ended.stderr).toContain('with --force it is made all the same');
  });
});

describe('commands', () => {
  test('status shows the daemon, its jails and its problems, with nothing that acts on a terminal', async () => {
    const { code, out } = await client('status');
    expect(code).toBe(exitCodes.problems);
    expect(out).toContain('9.9.9, process 4711, up 1h 2m');
    expect(out).toContain('50.0 MiB of 64.0 MiB');
    expect(out).toContain('12 of 700000 slots used');
    expect(out).toContain('/var/log/auth\\x1b[2Jevil.log');
    expect(out).toContain('problem: the kernel refused 1 ban\\x07');
    expectHarmless(out);
  });

  test('status of one jail asks for that jail', async () => {
    await client('status', 'sshd');
    expect(operator.calls).toEqual([{ verb: 'status', args: { jail: 'sshd' } }]);
  });

  test('stats prints the figures as the documents show them', async () => {
    const { out } = await client('stats');
    expect(out).toBe('evictions.total:       15603\nevictions.per_minute:    247\n');
  });

  test('ban, list and unban', async () => {
    expect(await client('ban', 'sshd', '192.0.2.7', '90m')).toMatchObject({
      code: 0,
      out: 'banned 192.0.2.7 in sshd for 1h 30m\n',
    });
    await client('ban', 'sshd', '2001:db8::/64', 'permanent');
    await client('ban', 'sshd', '198.51.100.1', '30');
    const rows = (await client('list')).out.split('\n').map((line) => line.split(/ {2,}/));
    expect(rows[0]).toEqual(['jail', 'address', 'since', 'until', 'left', 'of', 'why']);
    expect(rows.slice(1, 4).map(([jail, address, , left]) => [jail, address, left])).toEqual([
      ['sshd', '192.0.2.7', '1h 30m'],
      ['sshd', '2001:db8::/64', 'permanent'],
      ['sshd', '198.51.100.1', '30s'],
    ]);
    // Three rows in pages of two, all of one answer.
    expect(operator.calls.filter((call) => call.verb === 'list').map((call) => call.args)).toEqual([{}]);
    expect((await client('unban', '192.0.2.7')).out).toBe('unbanned 192.0.2.7 in sshd\n');
    expect((await client('unban', '192.0.2.7', '--jail', 'sshd')).out).toBe('192.0.2.7 was not banned\n');
    expect(operator.calls.at(-1)?.args).toEqual({ jail: 'sshd', addresses: ['192.0.2.7'] });
  });

  test('list shows what the records say of a ban, in any order, in 80 columns', async () => {
    operator.bans = [
      { jail: 'sshd', address: '192.0.2.77', remainingSeconds: 60 },
      { jail: 'sshd', address: '192.0.2.8', remainingSeconds: -1 },
    ];
    operator.records = { path: join(directory.path, 'history'), number: 3 };
    const event = { jail: 'sshd', addresses: ['192.0.2.77'] };
    const events: Event[] = [
      { number: 1, at: 1_763_687_728, event: 'ban', ...event, failures: 5, pattern: 'failed-password' },
      { number: 2, at: 1_763_687_800, event: 'restored', ...event },
      {
        number: 3,
        at: 1_763_687_900,
        event: 'ban',
        jail: 'sshd',
        addresses: ['192.0.2.8'],
        by: { uid: 0, pid: 9 },
        reason: 'a\u001b[2J reason that does not end',
      },
    ];
    writeFileSync(operator.records.path, events.map((each) => `${asciiJson(each)}\n`).join(''));
    const { out } = await client('list', '--sort', 'address');
    const [, first = '', second = ''] = out.split('\n');
    expect(first).toMatch(/^sshd {2}192\.0\.2\.8 +11-21 01:18 {2}never +permanent +user 0: a/);
    expect(second).toMatch(/^sshd {2}192\.0\.2\.77 {2}11-21 01:15 {2}\d\d-\d\d \d\d:\d\d +1m +5 {2}failed-password$/);
    expect(Math.max(...out.split('\n').map((line) => line.length))).toBeLessThanOrEqual(80);
    expectHarmless(out);
    const { bans } = JSON.parse((await client('list', '--json', '--sort', 'left')).out);
    expect(bans.map(({ address }: { address: string }) => address)).toEqual(['192.0.2.77', '192.0.2.8']);
    expect(bans[0]).toMatchObject({ start: 1_763_687_728, failures: 5, pattern: 'failed-password' });
    expect((await client('list', '--sort', 'size')).error).toContain(
      '--sort must be one of jail, address, start, left',
    );
  });

  test("without a duration the jail's own applies", async () => {
    await client('ban', 'sshd', '192.0.2.7');
    expect(operator.calls[0]?.args).toEqual({ jail: 'sshd', addresses: ['192.0.2.7'] });
  });

  test('an empty list says so, as JSON it is an empty list', async () => {
    expect((await client('list')).out).toBe('no active bans\n');
    expect((await client('list', '--json')).out).toBe('{"bans":[]}\n');
  });

  test('JSON is one line of ASCII that parses back to the answer', async () => {
    const { out } = await client('--json', 'status');
    expect(out).toMatch(/^[\x20-\x7e]+\n$/);
    expect(JSON.parse(out)).toEqual(operator.whole);
  });

  test('a command that outruns the budget of requests waits and goes on', async () => {
    await server.close();
    const askPeer = () => ({ pid: 1, uid: 0, gid: 0, groups: [] });
    // The clock stands still until the budget is used up, so that the client is certainly told to
    // wait.
    let now = 0;
    server = new ControlServer({ operator, askPeer, groupId: undefined, log: rememberingLog(), now: () => now });
    await listenAt(server, path);
    const peer = rawPeer(path);
    const frame = encodeFrame({ verb: 'stats', args: {} });
    peer.socket.write(Buffer.concat(Array.from({ length: controlRequestsBurst }, () => frame)));
    await until(() => peer.responses.length === controlRequestsBurst, { what: 'a used budget' });
    const waiting = until(() => server.counters.rateLimitedTotal > 0, { what: 'a client told to wait' }).then(() => {
      now = 1e6;
    });
    expect((await client('stats', '--json')).code).toBe(0);
    await waiting;
    peer.socket.destroy();
  });

  test('many addresses go in several requests, also from standard input', async () => {
    const addresses = Array.from({ length: 300 }, (_, index) => `198.51.100.${index % 200}`);
    input = ['203.0.113.1', '203.0.113.2'];
    expect((await client('ban', 'sshd', ...addresses, '-', '1h')).code).toBe(0);
    const asked = operator.calls.map(({ args }) => args as { addresses: string[]; seconds: number });
    expect(asked.map((args) => args.addresses.length)).toEqual([256, 46]);
    expect(asked.flatMap((args) => args.addresses)).toEqual([...addresses, ...input]);
    expect(asked.map(({ seconds }) => seconds)).toEqual([3_600, 3_600]);
  });

  test('a refusal among many is reported, and the exit status is 1', async () => {
    operator.ban = (args) => ({
      jail: 'sshd',
      addresses: args.addresses.slice(1),
      seconds: 60,
      refused: [
        { address: args.addresses[0]!, code: 'ignored', why: `${args.addresses[0]} is in ignoreip of jail sshd` },
      ],
    });
    expect(await client('ban', 'sshd', '127.0.0.1', '192.0.2.7')).toMatchObject({
      code: 1,
      out: 'banned 192.0.2.7 in sshd for 1m\nnot banned: 127.0.0.1 is in ignoreip of jail sshd\n',
    });
  });

  test('history and why show events for people', async () => {
    const events: Event[] = [
      {
        number: 7,
        at: 1_763_687_728.5,
        event: 'ban',
        jail: 'sshd',
        addresses: ['192.0.2.7'],
        until: -1,
        failures: 1,
        pattern: 'failed-password',
        file: '/var/log/a\u001b[2J',
        offset: 12,
      },
      { number: 8, at: 1_763_687_729, event: 'command', command: 'set loglevel info', by: { uid: 0, pid: 9 } },
    ];
    operator.records = { path: join(directory.path, 'history'), number: 8 };
    writeFileSync(operator.records.path, events.map((event) => `${asciiJson(event)}\n`).join(''));
    const text = [
      '2025-11-21 01:15:28  ban  sshd  192.0.2.7',
      '    for ever',
      '    1 failure, failed-password at /var/log/a\\x1b[2J:12',
      '2025-11-21 01:15:29  operator',
      '    by user 0 (process 9)',
      '    set loglevel info',
      '',
    ].join('\n');
    expect((await client('history', '192.0.2.7')).out).toBe(text);
    expect((await client('history', '--since', '1d')).out).toBe('');
    expect(operator.calls.at(-1)?.args).toEqual({ since: 86_400 });
    expect((await client('history', 'sshd')).out).toBe(text.split('\n').slice(0, 3).join('\n').concat('\n'));
    expect(operator.calls.at(-1)?.args).toEqual({ jail: 'sshd' });
    expect((await client('why', '192.0.2.7')).out).toContain(text);
    expect(JSON.parse((await client('history', '--json')).out)).toEqual({ events });
    operator.records.addresses = ['192.0.2.7'];
    expect(JSON.parse((await client('history', '--json')).out)).toEqual({ events: events.slice(0, 1) });
    operator.records.addresses = ['192.0.2.8'];
    expect((await client('why', '192.0.2.8')).out).toContain('no records of it');
  });

  test('why says what counts, what is missing, which rule lets it pass and how to see the lines', async () => {
    const at = 1_763_687_728;
    const view = {
      jail: 'sshd',
      address: '192.0.2.7',
      filter: 'sshd:aggressive',
      failures: [
        [at + 60, 2],
        [at, 1],
      ] as [number, number][],
      ignored: false,
      kernel: false,
      maxretry: 5,
      findtime: 600,
      sources: ["/var/log/it's.log", 'journal:sshd'],
    };
    const why: Why = { address: '192.0.2.7', config: '/etc/fail2zig.toml', views: [view] };
    const ban: Event = {
      number: 1,
      at,
      event: 'ban',
      file: '/var/log/auth.log',
      offset: 99,
      failures: 5,
      pattern: 'p',
    };
    expect(presentWhy({ ...why, events: [ban] })).toBe(
      [
        'sshd: 192.0.2.7 is not banned',
        '    3 of 5 failures in 10m: 2025-11-21 01:15:28, 2025-11-21 01:16:28 (2); 2 more',
        '    before 2025-11-21 01:25:28 would ban it',
        "    filter sshd:aggressive; logs: /var/log/it's.log journal:sshd",
        '',
        '2025-11-21 01:15:28  ban',
        '    5 failures, p at /var/log/auth.log:99',
        '',
        'Lines of the log:',
        '    tail -c +100 /var/log/auth.log | head -n 1',
        "    fail2zig match --config /etc/fail2zig.toml --filter sshd:aggressive '/var/log/it'\\''s.log' | grep -wF 192.0.2.7",
        '    journalctl -o short-iso | fail2zig match --config /etc/fail2zig.toml --filter sshd:aggressive - | grep -wF 192.0.2.7',
        '',
      ].join('\n'),
    );
    const text = (change: object) => presentWhy({ ...why, views: [{ ...view, ...change }], events: [] });
    expect(text({ ignored: true, ignoredBy: '192.0.2.0/24' })).toContain(
      'ignored (192.0.2.0/24: ignoreip, or of this host)',
    );
    expect(text({ ignored: true, ignoredBy: '192.0.2.0/24', ignoredSeconds: 90 })).toContain('by hand, for 1m 30s)');
    expect(text({ until: -1, kernel: true, kernelSeconds: -1 })).toContain(
      'is banned for ever, held by the kernel for ever',
    );
    expect(text({ until: at })).toContain('NOT held by the kernel');
    expect(text({ failures: [] })).toContain('a ban takes 5 failures in 10m');
    // Of a burst: the first one, the last one, and how many. Of a record with many addresses: the
    // one that was asked for.
    const failures = Array.from({ length: 30 }, (_, index): [number, number] => [at - index, 2]);
    expect(text({ failures, maxretry: 99 })).toContain(
      '60 of 99 failures in 10m: 2025-11-21 01:14:59 (2), 56 more, 2025-11-21\n    01:15:28 (2); 39 more',
    );
    const addresses = Array.from({ length: 256 }, (_, last) => `192.0.2.${last}`);
    const batch: Event = { number: 2, at, event: 'unban', jail: 'sshd', addresses };
    expect(presentWhy({ ...why, events: [batch] })).toContain('unban  sshd  192.0.2.7 and 255 others\n');
    for (const line of eventText(batch).split('\n')) expect(line.length).toBeLessThanOrEqual(80);
    expect(
      eventText(batch)
        .split(/\s+/)
        .filter((word) => word.startsWith('192.')),
    ).toEqual(addresses);
    expect(eventText(batch)).toContain('unban  sshd  256 addresses\n');
  });

  test('an IPv4 prefix is banned and unbanned address by address, and shown in one line', async () => {
    expect((await client('ban', 'sshd', '192.0.2.129/25', '198.51.100.7', '1h')).out).toBe(
      'banned 192.0.2.128 to 192.0.2.255 (128 addresses) in sshd for 1h\nbanned 198.51.100.7 in sshd for 1h\n',
    );
    expect(operator.bans.map(({ address }) => address).slice(0, 2)).toEqual(['192.0.2.128', '192.0.2.129']);
    await client('ban', 'sshd', '203.0.112.0/22');
    expect(operator.bans).toHaveLength(129 + 1024);
    expect(new Set(operator.bans.map(({ address }) => address)).size).toBe(129 + 1024);
    expect(operator.bans.at(-1)?.address).toBe('203.0.115.255');
    operator.bans = operator.bans.filter(({ address }) => address !== '192.0.2.131');
    expect((await client('unban', '192.0.2.128/29')).out).toBe(
      [
        'unbanned 192.0.2.128 to 192.0.2.130 (3 addresses) in sshd',
        '192.0.2.131 was not banned',
        'unbanned 192.0.2.132 to 192.0.2.135 (4 addresses) in sshd',
        '',
      ].join('\n'),
    );
    const wide = await client('unban', '10.0.0.0/16');
    expect(wide.error.split('\n')).toEqual([
      ...[16_384, 32_768, 49_152].map((count) => `fail2zig-client: ${count} of 65536 addresses`),
      '',
    ]);
    expect(JSON.parse((await client('ban', 'sshd', '192.0.2.0/31', '--json')).out).addresses).toHaveLength(2);
    const asked = operator.calls.length;
    const refused = await client('ban', 'sshd', '192.0.2.7', '10.0.0.0/15');
    expect(refused).toMatchObject({ code: 2, error: expect.stringContaining('10.0.0.0/15 has 131072 addresses') });
    expect(operator.calls).toHaveLength(asked);
    // For IPv6 the daemon knows which prefix a jail bans, and an ignored prefix is one rule.
    await client('ban', 'sshd', '2001:db8::/64');
    expect(operator.calls.at(-1)?.args).toMatchObject({ addresses: ['2001:db8::/64'] });
    await client('ignore', '192.0.2.0/24');
    expect(operator.calls.at(-1)?.args).toMatchObject({ addresses: ['192.0.2.0/24'] });
  });

  test('watch shows one JSON object a line, from a number on, until nobody reads it', async () => {
    const records = { path: join(directory.path, 'history'), number: 2 };
    operator.records = records;
    writeFileSync(records.path, '{"number":1}\n{"number":2}\n');
    const watched = async (...argv: string[]): Promise<string> => {
      let out = '';
      const print = (text: string): void => {
        out += text;
        if (text === '') appendFileSync(records.path, '{"number":3}\n');
        if (out.includes('3')) throw new OutputError('enough');
      };
      const ended = await run(['--socket', path, 'watch', ...argv], { out: print, error: () => {}, version: '1.2.3' });
      expect(ended).toBe(exitCodes.output);
      return out;
    };
    expect(await watched()).toBe('{"number":3}\n');
    expect(operator.calls.at(-1)?.args).toEqual({});
    writeFileSync(records.path, '{"number":1}\n{"number":2}\n');
    expect(await watched('--after', '1')).toBe('{"number":2}\n{"number":3}\n');
    expect(operator.calls.at(-1)?.args).toEqual({ after: 1 });
  });

  test('one refusal among many requests is the exit status', async () => {
    const bad = '192.0.2.7';
    operator.ban = async ({ jail, addresses }) => ({
      jail,
      addresses: addresses.filter((address) => address !== bad),
      seconds: 60,
      refused: addresses.includes(bad) ? [{ address: bad, code: 'ignored', why: 'it is ignored' }] : [],
    });
    expect((await client('ban', 'sshd', bad, '10.0.0.0/23')).code).toBe(exitCodes.refused);
  });

  test('a flag, a level and a version', async () => {
    await client('unban', '--all');
    expect(operator.calls.at(-1)?.args).toEqual({ all: true });
    expect((await client('set', 'loglevel', 'debug')).out).toBe('level:  debug\n');
    expect((await client('version', '--json')).out).toBe('{"version":"9.9.9"}\n');
    expect((await client('jails')).out).toBe('jail  filter  active\nsshd  sshd         0\n');
  });

  test('errors are JSON too, where JSON was asked for', async () => {
    const { code, out, error } = await client('--json', 'ban', 'none', '192.0.2.7');
    expect([code, error]).toEqual([1, '']);
    expect(JSON.parse(out)).toEqual({ error: { code: 'no-such-jail', message: 'there is no jail "none\u001b[31m"' } });
    expectHarmless(out);
    expect(JSON.parse((await client('frob', '--json')).out)).toMatchObject({ error: { code: 'usage' } });
  });
});

describe('help', () => {
  test('names every command and option in 80 columns', async () => {
    const { out } = await client('--help');
    for (const { name, says } of verbs) {
      expect(out).toContain(`\n  ${name}`);
      expect(out.replaceAll(/\s+/g, ' ')).toContain(says);
    }
    expect(Math.max(...out.split('\n').map((line) => line.length))).toBeLessThanOrEqual(80);
    expect((await client('ban', '--help')).out).toMatch(
      /^Usage: fail2zig-client ban JAIL ADDRESS… \[DURATION\] \[--reason TEXT\] \[--force\]\n/,
    );
    expect((await client('help')).out).toBe(out);
    expect((await client('help', 'ban')).out).toBe((await client('ban', '--help')).out);
  });

  test.each([
    [['unbna'], 'did you mean unban?'],
    [['ban', '192.0.2.7', 'sshd'], 'write the jail before the address: ban sshd 192.0.2.7'],
    [['ban', 'sshd'], 'ADDRESS is missing'],
    [['status', '--jail', 'x'], 'no such option: --jail'],
    [['list', '--socket'], '--socket needs a value'],
    [['list', '--jsno'], 'did you mean --json?'],
    [['set', 'sshd', 'banip', '192.0.2.7'], `fail2ban's "banip" is here: ban JAIL ADDRESS`],
    [['banned'], `fail2ban's "banned" is here: list`],
    [['completions', 'tcsh'], 'completions are for bash, zsh or fish'],
    [['doctor', 'sshd'], '"sshd" is too much'],
    [['top', 'sshd'], '"sshd" is too much'],
  ])('%j says %s', async (argv, text) => {
    const { code, error } = await client(...argv);
    expect(code).toBe(2);
    expect(error).toContain(text);
  });

  test.each(['bash', 'zsh', 'fish'])('completions for %s name every command', async (shell) => {
    const { code, out } = await client('completions', shell);
    expect(code).toBe(0);
    for (const { name } of verbs) expect(out).toContain(name);
  });
});

test('the client looks where the daemon listens when nothing else is configured', () => {
  expect(socketPathDefault).toBe(defaultSettings.socket);
});

describe('exit codes', () => {
  test('1: the daemon refuses, and its words are made harmless', async () => {
    const { code, error } = await client('ban', 'none', '192.0.2.7');
    expect(code).toBe(1);
    expect(error).toContain('refused (no-such-jail): there is no jail "none\\x1b[31m"');
    expectHarmless(error);
    expect((await client('ban', 'sshd', 'example.org')).error).toContain('"example.org" is no ADDRESS');
  });

  test.each([
    [[]],
    [['frobnicate']],
    [['constructor']],
    [['ban', 'sshd']],
    [['stats', 'sshd']],
    [['set', 'loglevel']],
    [['why', 'sshd']],
    [['ban', 'sshd', '192.0.2.7', 'soon']],
    [['ban', 'sshd', '192.0.2.7', '0']],
    [['--frob', 'status']],
    [['list', 'a\u001b[2J', 'b\u001b[2J']],
  ])('2: %j is no command', async (argv) => {
    const { code, error } = await client(...argv);
    expect(code).toBe(2);
    expect(error).toMatch(/--help|^Usage: /m);
    expectHarmless(error);
    expect(operator.calls).toEqual([]);
  });

  test('3: no daemon, a dead one, something else: each says what to do', async () => {
    const elsewhere = (to: string) => client('--socket', to, 'status');
    expect(await elsewhere(join(directory.path, 'none'))).toMatchObject({
      code: 3,
      error: expect.stringContaining('is not running: there is no socket'),
    });
    await server.close();
    const other = createServer((socket) => socket.resume().end('HTTP/1.1 400 Bad Request\r\n\r\n')).listen(path);
    await until(() => other.listening, { what: 'the other listener' });
    expect(await client('status')).toMatchObject({ code: 3, error: expect.stringContaining('is not fail2zig') });
    await new Promise((resolve) => other.close(resolve));
    const mute = createServer((socket) => socket.resume().end()).listen(path);
    await until(() => mute.listening, { what: 'the mute listener' });
    expect(await client('status')).toMatchObject({ code: 3, error: expect.stringContaining('without an answer') });
    await new Promise((resolve) => mute.close(resolve));
  });

  test('3: an answer of the wrong shape does not crash the client', async () => {
    operator.list = async function* () {
      yield { x: 1 } as never;
    };
    expect(await client('list')).toMatchObject({ code: 3, error: expect.stringContaining('is not fail2zig') });
  });
});

describe('the real command', () => {
  const program = join(import.meta.dirname, '../../src/client/main.ts');
  const spawned = (...argv: string[]) => promisify(execFile)(process.execPath, [program, ...argv]);

  test('prints its version and its help', async () => {
    expect((await spawned('--version')).stdout).toMatch(/^fail2zig-client \d+\.\d+\.\d+\n$/);
    expect((await spawned('--help')).stdout).toMatch(/^Exit codes\n {2}0 done\n {2}1 refused/m);
  });

  test('talks to a daemon and ends with the code of what happened', async () => {
    expect((await spawned('--socket', path, 'stats')).stdout).toContain('evictions.total:');
    await expect(spawned('--socket', path, 'ban', 'none', '192.0.2.1')).rejects.toMatchObject({ code: 1 });
    await expect(spawned('ban')).rejects.toMatchObject({ code: 2 });
    await expect(spawned('--socket', `${path}.none`, 'stats')).rejects.toMatchObject({ code: 3 });
  });
});

describe('presentation', () => {
  test.each([
    [0, '0s'],
    [59, '59s'],
    [60, '1m'],
    [3_599, '59m 59s'],
    [3_601, '1h'],
    [90_061, '1d 1h'],
    [31_536_000, '365d'],
    [-1, 'permanent'],
  ])('%i seconds are %s', (seconds, text) => {
    expect(remaining(seconds)).toBe(text);
  });

  test('columns line up and lines have no blanks at their end', () => {
    expect(
      table([
        ['a', 'bb'],
        ['ccc', 'd'],
      ]),
    ).toBe('a    bb\nccc  d\n');
    expect(
      table(
        [
          ['a', 'bb'],
          ['ccc', 'd'],
        ],
        [1],
      ),
    ).toBe('a    bb\nccc   d\n');
  });

  test('JSON holds no character that acts on a terminal', () => {
    const text = '\u001b\u007f\u009b\u202e€😀"';
    expect(asciiJson(text)).toBe('"\\u001b\\u007f\\u009b\\u202e\\u20ac\\ud83d\\ude00\\""');
    expect(JSON.parse(asciiJson(text))).toBe(text);
  });

  test('every text of a status is made harmless', async () => {
    const evil = '\u001b[2J\n\u202e';
    const status = operator.whole;
    const jail = { ...status.jails[0]!, jail: evil, filter: evil, sources: [evil] };
    expectHarmless(presentStatus({ ...status, version: evil, backend: evil, jails: [jail], problems: [evil] }));
  });
});

test('what stands behind -- is a word, whatever it looks like', () => {
  const { words, flags } = splitArguments(['ban', '--json', '--', '--json', '--'], new Set(), new Set(['json']));
  expect([words, [...flags]]).toEqual([['ban', '--json', '--'], ['json']]);
});
