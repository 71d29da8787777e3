/**
 * How the lines of one attempt count if no pid connects them, and how a PAM module's failure counts
 * (src/engine/attempts.ts): through `feed`, in both builds.
 */
import { describe, expect, test } from 'vitest';
import { JAIL_FAILURES } from '../../src/engine/counters.ts';
import { type Build, Engine } from '../../src/engine/host.ts';
import { ATTEMPT_SETS, ATTEMPT_WAYS } from '../../src/engine/layout.ts';
import { formatAddress } from '../../src/text/address.ts';

const now = 1_763_694_928;

interface Fed {
  engine: Engine;
  /** Feeds lines whose time is `time`. */
  feed(lines: string[], time?: number): void;
  failures(): number;
  banned(): string[];
}

async function fedOf(build: Build, filter: string, mode = '', live = true): Promise<Fed> {
  const jail = { filter, mode, maxretry: 1, findtime: 600, bantime: 600, ipv6Prefix: 128, ignore: [] };
  const engine = await Engine.create({ build, jails: [jail], now, seed: [1, 2], tableBytes: 1_000_000, live });
  engine.openSource(0, engine.addRoute([{ index: 0, filter, mode }]));
  return {
    engine,
    feed(lines, time = now) {
      const head = new Date(time * 1000).toISOString();
      const bytes = Buffer.from(lines.map((line) => `${head} host ${line}\n`).join(''));
      engine.buffer.set(bytes);
      expect(engine.feed(0, bytes.length, 0, time, false)).toBe(bytes.length);
    },
    failures: () => engine.jailCounter(0, JAIL_FAILURES),
    banned() {
      const found: string[] = [];
      engine.takeDecisions(({ address }) => found.push(formatAddress(address)));
      return found;
    },
  };
}

const pam = (verdict: string, user: string, address = '192.0.2.7', module = 'pam_unix') =>
  `auth: ${module}(dovecot:auth): authentication ${verdict}; logname= uid=0 euid=0 tty=dovecot ruser=${user} rhost=${address}  user=${user}`;
const auth = (user: string, address = '192.0.2.7') => `dovecot: auth: sql(${user},${address},<s>): Password mismatch`;
const login = (user: string, attempts = 1, address = '192.0.2.7') =>
  `dovecot: imap-login: Disconnected (auth failed, ${attempts} attempts in 2 secs): user=<${user}>, method=PLAIN, rip=${address}, lip=203.0.113.4, session=<s>`;
const welcome = (user: string, address = '192.0.2.7') =>
  `dovecot: imap-login: Login: user=<${user}>, method=PLAIN, rip=${address}, lip=203.0.113.4, mpid=9, session=<s>`;

describe.each(['plain', 'wasm'] as const)('%s build', (build) => {
  test.each([
    ['the auth and the login process', [auth('bob'), login('bob')], 1],
    ['two attempts of one connection', [auth('bob'), auth('bob'), login('bob', 2)], 2],
    ['two connections at once', [auth('bob'), auth('eve'), login('bob'), login('eve')], 2],
    ['the login process alone', [login('bob'), login('bob')], 2],
    ['PAM, the auth process and the login process', [pam('failure', 'bob'), auth('bob'), login('bob')], 1],
    [
      'a login that is not allowed asks nobody',
      [auth('bob'), login('bob').replace('auth failed', 'tried to use disallowed plaintext auth')],
      2,
    ],
    ['another address', [auth('bob'), login('bob', 1, '192.0.2.8')], 2],
  ])('one attempt counts once: %s', async (_, lines, attempts) => {
    const { feed, failures } = await fedOf(build, 'dovecot');
    feed(lines);
    expect(failures()).toBe(attempts);
  });

  test('a failure of PAM counts when ten seconds brought no success', async () => {
    const { engine, feed, failures, banned } = await fedOf(build, 'dovecot');
    feed([pam('failure', 'bob')]);
    expect(engine.settleAttempts(now + 9)).toBe(true);
    expect(failures()).toBe(0);
    expect(engine.settleAttempts(now + 10)).toBe(true);
    expect(failures()).toBe(1);
    expect(banned()).toEqual(['192.0.2.7']);
    expect(engine.settleAttempts(now + 20, true)).toBe(true);
    expect(failures()).toBe(1);
  });

  test.each([
    ['the next module accepts', [pam('failure', 'bob'), pam('success', 'bob', '192.0.2.7', 'pam_sss')], 0],
    ['the service lets him in', [pam('failure', 'bob'), welcome('bob')], 0],
    [
      'two modules refuse, the service lets him in',
      [pam('failure', 'bob'), pam('failure', 'bob', undefined, 'pam_sss'), welcome('bob')],
      0,
    ],
    ['two modules refuse', [pam('failure', 'bob'), pam('failure', 'bob', undefined, 'pam_sss')], 1],
    ['of two failures the last is refuted', [pam('failure', 'bob'), pam('failure', 'bob'), welcome('bob')], 1],
    ['another user is let in', [pam('failure', 'root'), welcome('bob')], 1],
    ['another address is let in', [pam('failure', 'bob'), welcome('bob', '192.0.2.8')], 1],
    ['the service refused', [pam('failure', 'bob'), auth('bob'), welcome('bob')], 1],
    [
      'a line that tells of five',
      [`auth: message repeated 5 times: [ ${pam('failure', 'bob').slice('auth: '.length)}]`, welcome('bob')],
      4,
    ],
  ])('what a success takes back: %s', async (_, lines, attempts) => {
    const { engine, feed, failures } = await fedOf(build, 'dovecot');
    feed(lines);
    engine.settleAttempts(now, true);
    expect(failures()).toBe(attempts);
  });

  test('pam-generic: a success of the same process takes back what names nobody; of another it does not', async () => {
    const line = (pid: number, verdict: string, user: string) =>
      `sshd[${pid}]: pam_sss(sshd:auth): authentication ${verdict}; logname= uid=0 euid=0 tty=ssh ruser= rhost=192.0.2.7${user}`;
    const { engine, feed, failures } = await fedOf(build, 'pam-generic');
    feed([
      line(1, 'failure', ''),
      line(1, 'success', ' user=bob'),
      line(2, 'failure', ''),
      line(3, 'success', ' user=bob'),
    ]);
    engine.settleAttempts(now, true);
    expect(failures()).toBe(1);
  });

  test('lines of one connection of OpenVPN count once, of another one again', async () => {
    const { feed, failures } = await fedOf(build, 'openvpn');
    feed([
      'openvpn[1]: udp4:192.0.2.7:1194 VERIFY ERROR: depth=0, error=certificate has expired',
      'openvpn[1]: udp4:192.0.2.7:1194 TLS Error: TLS handshake failed',
      'openvpn[1]: udp4:192.0.2.7:1195 TLS Error: TLS handshake failed',
      'openvpn[1]: udp4:192.0.2.7:1196 TLS Auth Error: Auth Username/Password verification failed for peer',
      'openvpn[1]: udp4:192.0.2.7:1196 SIGUSR1[soft,connection-reset] received, client-instance restarting',
    ]);
    expect(failures()).toBe(3);
  });

  test('a goodbye is about the attempts of its connection, and a new connection begins anew', async () => {
    const { feed, failures } = await fedOf(build, 'postfix', 'aggressive');
    const failed = 'postfix/smtpd[9]: warning: unknown[192.0.2.7]: SASL LOGIN authentication failed: x';
    const goodbye = 'postfix/smtpd[9]: disconnect from unknown[192.0.2.7] ehlo=1 auth=0/1 commands=1/2';
    feed([failed, goodbye]);
    expect(failures()).toBe(1);
    feed([goodbye, failed, failed, goodbye]);
    expect(failures()).toBe(4);
  });

  test('a record that gives way charges what it holds, and so does the end', async () => {
    const { engine, feed, failures } = await fedOf(build, 'dovecot');
    const sources = 2 * ATTEMPT_SETS * ATTEMPT_WAYS;
    const address = (index: number) => `198.51.${100 + (index >> 8)}.${index & 255}`;
    for (let i = 0; i < sources; i += 64)
      feed(Array.from({ length: 64 }, (_, more) => pam('failure', 'bob', address(i + more))));
    expect(failures()).toBeGreaterThanOrEqual(sources - ATTEMPT_SETS * ATTEMPT_WAYS);
    engine.settleAttempts(now, true);
    expect(failures()).toBe(sources);
  });

  test('in a replay the log is the clock', async () => {
    const { feed, failures } = await fedOf(build, 'dovecot', '', false);
    feed([pam('failure', 'bob')]);
    feed([auth('eve', '192.0.2.8')], now + 9);
    expect(failures()).toBe(1);
    feed([auth('eve', '192.0.2.8')], now + 10);
    expect(failures()).toBe(3);
  });
});
