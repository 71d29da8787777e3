/**
 * "last message repeated N times", as sysklogd, the syslogd of BSD and older versions of rsyslog
 * replace equal lines: N further attempts of the source of the line before, in every filter that
 * reads syslog. If another line stands between, they count against nobody.
 */
import { beforeAll, describe, expect, test } from 'vitest';
import { JAIL_FAILURES } from '../../src/engine/counters.ts';
import { type Build, Engine } from '../../src/engine/host.ts';
import { LASTS_MAX } from '../../src/engine/layout.ts';
import type { Decision } from '../../src/types.ts';
import { head, samples } from '../support/syslog-samples.ts';

const now = Date.UTC(2026, 2, 4, 6) / 1000;

/** An engine with one jail, and logs that it continues to read. */
class Logs {
  readonly engine: Engine;
  readonly #offsets = new Map<number, number>();

  private constructor(engine: Engine) {
    this.engine = engine;
  }

  static async of(build: Build, filter: string, mode = '', maxretry = 16): Promise<Logs> {
    const jail = { filter, mode, maxretry, findtime: 86_400, bantime: 60, ipv6Prefix: 64, ignore: [] };
    const engine = await Engine.create({ build, jails: [jail], tableBytes: 1 << 16, live: false, now });
    const route = engine.addRoute([{ index: 0, filter, mode }]);
    for (const source of [0, 1, LASTS_MAX]) engine.openSource(source, route);
    return new Logs(engine);
  }

  /**
   * Feeds lines of one log; each call continues where the last one stopped. Returns how many
   * failures they were.
   */
  write(source: number, ...lines: string[]): number {
    const before = this.failures;
    const text = Buffer.from(lines.map((line) => `${line}\n`).join(''));
    const offset = this.#offsets.get(source) ?? 0;
    this.engine.buffer.set(text);
    this.engine.feed(source, text.length, offset, now, false);
    this.#offsets.set(source, offset + text.length);
    return this.failures - before;
  }

  /** Skips bytes of a log, which are not fed. */
  skip(source: number, bytes: number): void {
    this.#offsets.set(source, this.#offsets.get(source)! + bytes);
  }

  get failures(): number {
    return this.engine.jailCounter(0, JAIL_FAILURES);
  }

  decisions(): Decision[] {
    const decisions: Decision[] = [];
    this.engine.takeDecisions((decision) => void decisions.push(decision));
    return decisions;
  }
}

const at = 'Mar  4 05:06:07 host';
const failed = `${at} sshd[71]: Failed password for root from 192.0.2.7 port 4242 ssh2`;
const repeated = (times: number | string): string => `${at} last message repeated ${times} times`;

describe.each<Build>(['wasm', 'scalar', 'plain'])('%s build', (build) => {
  let logs: Logs;
  const fresh = async (maxretry?: number): Promise<Logs> => Logs.of(build, 'sshd', '', maxretry);
  beforeAll(async () => {
    logs = await fresh(1000);
  });

  test.each([
    ['sysklogd', repeated(6), 6],
    ['once', `${at} last message repeated 1 time`, 1],
    ['one, of many', repeated(1), 1],
    ['FreeBSD', `${at} syslogd: last message repeated 6 times`, 6],
    ['rsyslog before 5', `${at} sshd[71]: last message repeated 6 times`, 6],
    ['RFC 3339', '2026-03-04T05:06:09.123456+00:00 host last message repeated 6 times', 6],
    ['as many as are told apart', repeated(999_999_999), 1000],
  ])('%s', (_, line, more) => {
    expect(logs.write(0, failed)).toBe(1);
    expect(logs.write(0, line)).toBe(more);
  });

  test.each([
    ['no repeat', repeated(0)],
    ['ten digits', repeated('1000000000')],
    ['no number', repeated('')],
    ['a letter', repeated('6x')],
    ['another host', repeated(6).replace('host', 'other')],
    ['another identifier', `${at} cron[71]: last message repeated 6 times`],
    ['a user who is called so', `${at} sshd[72]: Accepted password for last message repeated 6 times`],
    ['behind a text', `${at} sshd[71]: x last message repeated 6 times`],
    ['a word more', `${repeated(6)} x`],
    ['another word', `${at} past message repeated 6 times`],
    ['a word less', `${at} message repeated 6 times`],
    ['no head', 'last message repeated 6 times'],
    ['a time that does not exist', repeated(6).replace('Mar  4', 'Feb 30')],
    ['cut', 'last message repeated 6 times'.slice(-12)],
  ])('%s counts nothing', (_, line) => {
    expect(logs.write(0, failed)).toBe(1);
    expect(logs.write(0, line)).toBe(0);
  });

  test('within one reading and over two of them, and again and again', () => {
    expect(logs.write(0, failed, repeated(3), repeated(2))).toBe(6);
    expect(logs.write(0, repeated(4))).toBe(4);
  });

  test('only directly behind the line: no other line, nor bytes of it, stand between', () => {
    expect(logs.write(0, failed, `${at} cron[3]: x`, repeated(6))).toBe(1);
    expect(logs.write(0, failed, `${at} sshd[72]: Accepted password for a from 192.0.2.7 port 1 ssh2`)).toBe(1);
    expect(logs.write(0, repeated(6))).toBe(0);
    logs.write(0, failed);
    logs.skip(0, 1);
    expect(logs.write(0, repeated(6))).toBe(0);
  });

  test('each log has its own; of two that share a place the younger one keeps it', () => {
    expect(logs.write(0, failed)).toBe(1);
    expect(logs.write(1, repeated(6))).toBe(0);
    expect(logs.write(0, repeated(6))).toBe(6);
    logs.write(0, failed);
    logs.write(LASTS_MAX, failed);
    expect(logs.write(0, repeated(6))).toBe(0);
    expect(logs.write(LASTS_MAX, repeated(6))).toBe(6);
  });

  test('a source that is opened again, and routes that are made anew, repeat nothing', async () => {
    const { engine } = logs;
    logs.write(0, failed);
    const route = engine.addRoute([{ index: 0, filter: 'sshd', mode: '' }]);
    engine.openSource(0, route);
    expect(logs.write(0, repeated(6))).toBe(0);
  });

  test('maxretry bounds what is charged, and the time is that of the repeat', async () => {
    const log = await fresh(5);
    log.write(0, failed);
    expect(log.decisions()).toEqual([]);
    log.write(0, repeated(300).replace('05:06:07', '05:07:09'));
    const [decision] = log.decisions();
    expect(decision).toMatchObject({ failures: 5, time: Date.UTC(2026, 2, 4, 5, 7, 9) / 1000 });
    expect([...decision!.address.bytes.subarray(12)]).toEqual([192, 0, 2, 7]);
  });

  test('of a connection that is told together, attempts count once', async () => {
    const log = await fresh();
    const goodbye = `${at} sshd[71]: error: maximum authentication attempts exceeded for root from 192.0.2.7 port 4242 ssh2 [preauth]`;
    expect(log.write(0, failed, repeated(2), goodbye)).toBe(3);
    const pam = `${at} sshd[73]: pam_unix(sshd:auth): authentication failure; logname= uid=0 euid=0 tty=ssh ruser= rhost=192.0.2.7  user=root`;
    expect(log.write(0, pam, failed.replace('[71]', '[73]'), repeated(2))).toBe(3);
  });

  test('of lines of several kinds about one attempt, each attempt counts once', async () => {
    const log = await Logs.of(build, 'dovecot');
    const session = 'rip=192.0.2.7, lip=203.0.113.4, TLS, session=<s1>';
    const worker = `${at} dovecot: auth-worker(9): pam(bob,192.0.2.7,<s1>): pam_authenticate() failed: Authentication failure (Password mismatch?)`;
    const login = `${at} dovecot: imap-login: Disconnected: Connection closed (auth failed, 3 attempts in 2 secs): user=<bob>, method=PLAIN, ${session}`;
    expect(log.write(0, worker, repeated(2), login, login, login)).toBe(3);
  });

  test('a line without a pid', async () => {
    const log = await fresh();
    expect(log.write(0, failed.replace('[71]', ''), repeated(2))).toBe(3);
  });
});

describe('every pattern of every filter that reads syslog', () => {
  const logs = new Map<string, Logs>();
  let pid = 70_000;
  beforeAll(async () => {
    for (const { filter, mode } of samples) {
      if (!logs.has(`${filter}:${mode}`)) logs.set(`${filter}:${mode}`, await Logs.of('wasm', filter, mode, 1000));
    }
  });

  test('there are enough of them', () => {
    expect(new Set(samples.map(({ filter }) => filter)).size).toBeGreaterThan(15);
  });

  test.each(samples)('$filter $pattern', ({ filter, mode, sample }) => {
    const log = logs.get(`${filter}:${mode}`)!;
    const start = head.exec(sample)![0];
    // Another process for each line, so that no line continues a connection.
    const next = (): string => start.replace(/\[\d+\]/, `[${pid++}]`) + sample.slice(start.length);
    const once = log.write(0, next());
    const host = /^(?:[A-Z][a-z]{2} [ 0-9]\d [\d:]{8}|\S+[T ]\S+?) [\w.-]+(?= [a-z])/.exec(start)![0];
    expect(log.write(0, next(), `${host} last message repeated 7 times`)).toBe(8 * once);
  });
});
