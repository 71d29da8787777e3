/**
 * "message repeated N times: [ text]", as rsyslog replaces equal lines: N attempts, in every filter
 * that reads syslog and behind every form of head. Never more than maxretry count.
 */
import { beforeAll, describe, expect, test } from 'vitest';
import { JAIL_ALREADY, JAIL_FAILURES } from '../../src/engine/counters.ts';
import { type Build, Engine } from '../../src/engine/host.ts';
import type { Decision } from '../../src/types.ts';
import { head, samples } from '../support/syslog-samples.ts';

const now = Date.UTC(2026, 2, 4, 6) / 1000;

async function engineOf(build: Build, filter: string, mode: string, maxretry: number): Promise<Engine> {
  const jail = { filter, mode, maxretry, findtime: 86_400, bantime: 60, ipv6Prefix: 64, ignore: [] };
  const engine = await Engine.create({ build, jails: [jail], tableBytes: 1 << 16, live: false, now });
  engine.openSource(0, engine.addRoute([{ index: 0, filter, mode }]));
  return engine;
}

/** Feeds the lines and returns the decisions. */
function feed(engine: Engine, ...lines: string[]): Decision[] {
  const text = Buffer.from(lines.map((line) => `${line}\n`).join(''));
  engine.buffer.set(text);
  engine.feed(0, text.length, 0, now, true);
  const decisions: Decision[] = [];
  engine.takeDecisions((decision) => void decisions.push(decision));
  return decisions;
}

const failed = 'Failed password for root from 192.0.2.7 port 4242 ssh2';
const heads = [
  'Mar  4 05:06:07 host sshd[71]: ',
  'Mar  4 05:06:07 host sshd: ',
  'Mar  4 05:06:07 host [sshd]: ',
  '2026-03-04T05:06:07.123456+00:00 host sshd[71]: ',
  '2026-03-04T05:06:07Z host sshd-session[71]: ',
  'Mar  4 05:06:07 host host sshd[71]: ',
];

describe.each<Build>(['wasm', 'scalar', 'plain'])('%s build', (build) => {
  test.each(heads)('%s', async (head) => {
    for (const [maxretry, bans] of [
      [7, 1],
      [8, 0],
    ] as const) {
      const engine = await engineOf(build, 'sshd', '', maxretry);
      expect(feed(engine, `${head}${failed}`, `${head}message repeated 6 times: [ ${failed}]`)).toHaveLength(bans);
      expect(engine.jailCounter(0, JAIL_FAILURES)).toBe(7);
    }
  });

  test('maxretry bounds what is charged, however large the number', async () => {
    for (const times of ['16', '17', '1000', '1001', '4294967297', '999999999']) {
      const engine = await engineOf(build, 'sshd', '', 16);
      const decisions = feed(engine, `${heads[0]}message repeated ${times} times: [ ${failed}]`);
      // Ten digits are not a number of repeats.
      expect(decisions.map(({ failures }) => failures)).toEqual(times.length > 9 ? [] : [16]);
      feed(engine, `${heads[0]}message repeated 3 times: [ ${failed}]`);
      expect(engine.jailCounter(0, JAIL_ALREADY)).toBe(times.length > 9 ? 0 : 3);
    }
  });

  test.each([
    ['no repeat', 'message repeated 0 times: [ @]'],
    ['no number', 'message repeated  times: [ @]'],
    ['no end', 'message repeated 2 times: [ @'],
    ['no bracket', 'message repeated 2 times: @]'],
    ['another word', 'message repeats 2 times: [ @]'],
    ['a letter', 'message repeated 2x times: [ @]'],
    ['nothing in it', 'message repeated 2 times: []'],
    ['folded twice', 'message repeated 2 times: [ message repeated 2 times: [ @]]'],
  ])('%s', async (_, text) => {
    const engine = await engineOf(build, 'sshd', '', 1);
    expect(feed(engine, heads[0] + text.replace('@', failed))).toEqual([]);
  });

  test('the text may follow the bracket at once, and hold brackets', async () => {
    const engine = await engineOf(build, 'sshd', '', 4);
    const text = 'Failed password for invalid user a] from 8.8.8.8 port 1 ssh2] from 192.0.2.7 port 4242 ssh2';
    const [decision] = feed(engine, `${heads[0]}message repeated 4 times: [${text}]`);
    expect([...decision!.address.bytes.subarray(12)]).toEqual([192, 0, 2, 7]);
  });

  test('a text that rsyslog cut at 800 bytes is no whole line', async () => {
    const engine = await engineOf(build, 'sshd', '', 2);
    const text = ` Failed password for invalid user ${'x'.repeat(800)}`;
    const end = ' from 8.8.8.8 port 1 ssh2';
    const cut = text.slice(0, 800 - end.length) + end;
    expect(feed(engine, `${heads[0]}message repeated 2 times: [${cut}]`)).toEqual([]);
    expect(feed(engine, `${heads[0]}message repeated 2 times: [${cut.replace('xx', 'x')}]`)).toHaveLength(1);
  });

  test('a later stage of a counted attempt counts one attempt less', async () => {
    const pam =
      'pam_unix(sshd:auth): authentication failure; logname= uid=0 euid=0 tty=ssh ruser= rhost=192.0.2.7  user=root';
    const engine = await engineOf(build, 'sshd', '', 16);
    feed(engine, `${heads[0]}${pam}`, `${heads[0]}message repeated 3 times: [ ${failed}]`);
    expect(engine.jailCounter(0, JAIL_FAILURES)).toBe(3);
  });

  test('the end of a connection is not an attempt', async () => {
    const engine = await engineOf(build, 'sshd', '', 16);
    const goodbye = 'error: maximum authentication attempts exceeded for root from 192.0.2.7 port 4242 ssh2 [preauth]';
    feed(engine, `${heads[0]}${failed}`, `${heads[0]}message repeated 2 times: [ ${failed}]`, `${heads[0]}${goodbye}`);
    expect(engine.jailCounter(0, JAIL_FAILURES)).toBe(3);
  });
});

describe('every pattern of every filter that reads syslog', () => {
  const engines = new Map<string, Engine>();
  let pid = 70_000;
  beforeAll(async () => {
    for (const { filter, mode } of samples) {
      if (!engines.has(`${filter}:${mode}`))
        engines.set(`${filter}:${mode}`, await engineOf('wasm', filter, mode, 1000));
    }
  });

  test('there are enough of them', () => {
    expect(new Set(samples.map(({ filter }) => filter)).size).toBeGreaterThan(15);
  });

  test.each(samples)('$filter $pattern', ({ filter, mode, sample }) => {
    const engine = engines.get(`${filter}:${mode}`)!;
    const charged = (line: string): number => {
      const before = engine.jailCounter(0, JAIL_FAILURES);
      feed(engine, line);
      return engine.jailCounter(0, JAIL_FAILURES) - before;
    };
    const start = head.exec(sample)![0];
    // Another process for each line, so that no line continues a connection.
    const of = (): string => start.replace(/\[\d+\]/, `[${pid++}]`);
    const once = charged(of() + sample.slice(start.length));
    expect(charged(`${of()}message repeated 7 times: [ ${sample.slice(start.length)}]`)).toBe(7 * once);
  });
});
