/**
 * An attacker has an account of his own and may log in as often as he likes. He cannot hide his
 * guesses at other accounts: a success cancels at most one failure, of its own address and user,
 * whatever the order of the lines. And an attempt that several processes report counts once.
 */
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { JAIL_FAILURES } from '../../src/engine/counters.ts';
import { Engine } from '../../src/engine/host.ts';

const start = 1_763_694_928;
const jail = { filter: 'dovecot', mode: '', maxretry: 1, findtime: 600, bantime: 600, ipv6Prefix: 128, ignore: [] };

async function failuresOf(lines: string[]): Promise<number> {
  const engine = await Engine.create({ build: 'plain', jails: [jail], now: start, tableBytes: 100_000, live: false });
  engine.openSource(0, engine.addRoute([{ index: 0, filter: 'dovecot', mode: '' }]));
  const bytes = Buffer.from(lines.map((line) => `${line}\n`).join(''));
  engine.buffer.set(bytes);
  let fed = 0;
  while (fed < bytes.length) {
    engine.buffer.set(bytes.subarray(fed));
    fed += engine.feed(0, bytes.length - fed, fed, start, true);
    engine.takeDecisions(() => {});
  }
  while (!engine.settleAttempts(start, true)) engine.takeDecisions(() => {});
  return engine.jailCounter(0, JAIL_FAILURES);
}

const pam = (verdict: string, user: string, module = 'pam_unix') =>
  `auth: ${module}(dovecot:auth): authentication ${verdict}; logname= uid=0 euid=0 tty=dovecot ruser=${user} rhost=192.0.2.7  user=${user}`;
const auth = (user: string) => `dovecot: auth: sql(${user},192.0.2.7,<s>): Password mismatch`;
const login = (user: string) =>
  `dovecot: imap-login: Disconnected (auth failed, 1 attempts in 2 secs): user=<${user}>, method=PLAIN, rip=192.0.2.7, lip=203.0.113.4, session=<s>`;
const welcome = (user: string) =>
  `dovecot: imap-login: Login: user=<${user}>, method=PLAIN, rip=192.0.2.7, lip=203.0.113.4, mpid=9, session=<s>`;

const at = (second: number, message: string) => `${new Date((start + second) * 1000).toISOString()} mail ${message}`;

test('a success takes back at most one failure, and none of another user', async () => {
  const event = fc.record({
    gap: fc.integer({ min: 0, max: 12 }),
    user: fc.constantFrom('alice', 'bob', 'mallory'),
    kind: fc.constantFrom('refused', 'accepted', 'let in'),
  });
  await fc.assert(
    fc.asyncProperty(fc.array(event, { maxLength: 40 }), async (events) => {
      let second = 0;
      const lines = events.map(({ gap, user, kind }) => {
        second += gap;
        const message = {
          refused: pam('failure', user),
          accepted: pam('success', user, 'pam_sss'),
          'let in': welcome(user),
        };
        return { user, kind, line: at(second, message[kind as keyof typeof message]) };
      });
      const refused = lines.filter(({ kind }) => kind === 'refused');
      const successes = lines.filter(
        ({ kind, user }) => kind !== 'refused' && refused.some((one) => one.user === user),
      );
      const counted = await failuresOf(lines.map(({ line }) => line));
      expect(counted).toBeLessThanOrEqual(refused.length);
      expect(counted).toBeGreaterThanOrEqual(refused.length - successes.length);
      // Mallory logs in as himself between his guesses at alice and bob: every guess counts.
      const guesses = lines.filter(({ kind, user }) => kind === 'refused' && user !== 'mallory');
      const own = lines.filter(({ kind, user }) => kind !== 'refused' && user === 'mallory');
      const attack = lines.filter((one) => guesses.includes(one) || own.includes(one));
      expect(await failuresOf(attack.map(({ line }) => line))).toBe(guesses.length);
    }),
    { numRuns: 100 },
  );
});

test('an attempt counts once, whoever tells of it', async () => {
  const shape = fc.record({
    attempts: fc.array(fc.constantFrom('alice', 'bob', 'Carol'), { minLength: 1, maxLength: 12 }),
    tellers: fc.subarray(['pam_unix', 'pam_sss', 'auth', 'login'], { minLength: 1 }),
    gap: fc.integer({ min: 0, max: 20 }),
  });
  await fc.assert(
    fc.asyncProperty(shape, async ({ attempts, tellers, gap }) => {
      const lines = attempts.flatMap((user, index) =>
        tellers.map((teller) => {
          const line = { auth: auth(user.toLowerCase()), login: login(user) }[teller] ?? pam('failure', user, teller);
          return at(index * gap, line);
        }),
      );
      expect(await failuresOf(lines)).toBe(attempts.length);
    }),
    { numRuns: 150 },
  );
});
