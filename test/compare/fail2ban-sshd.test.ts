/**
 * sshd beside an installed fail2ban, on the same generated logs, in every mode: the same lines are
 * failures, of the same addresses; and where each attempt writes one line, the same addresses are
 * banned at the same line.
 *
 * What differs on purpose, and nowhere else:
 * - One attempt counts once here. fail2ban 1.0.2 counts each of `Invalid user`, `error: PAM: …` and
 *   `Failed …` of one
 *   attempt; the lines it counts and we do not must be recognised as belonging to a counted
 *   attempt.
 * - It does not know sshd's newer goodbye (`Disconnecting authenticating user …: Too many
 *   authentication failures`).
 * - Its mode extra leaves out `Connection closed by …`, so it misses the address of what waits for
 *   one.
 */
import { describe, expect, test } from 'vitest';
import { Examiner } from '../../src/engine/examiner.ts';
import { formatAddress } from '../../src/text/address.ts';
import { askFail2ban, fail2banMissing } from '../support/fail2ban.ts';
import { type SessionKind, sessions } from '../support/sshd-sessions.ts';

const start = Date.UTC(2025, 2, 7, 18, 0, 0) / 1000;
const modes = ['normal', 'ddos', 'extra', 'aggressive'];
const addresses = [
  ...Array.from({ length: 12 }, (_, index) => `192.0.2.${index + 1}`),
  ...Array.from({ length: 4 }, (_, index) => `2001:db8:${index + 1}::7`),
];
const seeds = [1, 2, 3];

interface Seen {
  pattern?: string;
  outcome: string;
  address?: string;
}

async function examine(lines: string[], mode: string): Promise<Seen[]> {
  const jail = { filter: 'sshd', mode, maxretry: 1, findtime: 600, bantime: 600, ipv6Prefix: 128, ignore: [] };
  const engine = await Examiner.create({ build: 'plain', jails: [jail], tableBytes: 0, now: start });
  return lines.map((line) => {
    const { pattern, outcome, address } = engine.examine(Buffer.from(line), 'sshd', mode, start, false);
    return { pattern, outcome, address: address && formatAddress(address) };
  });
}

/** Decisions as pairs of address and line number. */
async function decide(lines: string[], mode: string, maxretry: number, findtime: number): Promise<string[]> {
  const jail = { filter: 'sshd', mode, maxretry, findtime, bantime: 86_400, ipv6Prefix: 128, ignore: [] };
  const engine = await Examiner.create({ build: 'plain', jails: [jail], tableBytes: 1 << 20, live: false, now: start });
  engine.openSource(0, engine.addRoute([{ index: 0, filter: 'sshd', mode }]));
  const bans: string[] = [];
  let offset = 0;
  lines.forEach((line, number) => {
    const bytes = Buffer.from(`${line}\n`);
    engine.buffer.set(bytes);
    expect(engine.feed(0, bytes.length, offset, start, false)).toBe(bytes.length);
    offset += bytes.length;
    engine.takeDecisions(({ address }) => bans.push(`${formatAddress(address)} line ${number}`));
  });
  return bans;
}

/** Patterns that fail2ban 1.0.2 lacks. */
const ours = new Set(['disconnecting-too-many']);

const missing = fail2banMissing();
if (missing !== undefined) console.warn(missing);

describe.skipIf(missing !== undefined).each(modes)('mode %s', (mode) => {
  test.each(seeds)('the same lines are failures, seed %i', async (seed) => {
    const { lines } = sessions({ seed, connections: 1500, addresses, start, spreadSeconds: 3600 });
    const theirs = askFail2ban(lines, { filter: 'sshd', mode, maxretry: 1_000_000, findtime: 600 });
    const seen = await examine(lines, mode);
    const different = lines.flatMap((line, index) => {
      const { pattern, outcome, address } = seen[index]!;
      const failure = outcome === 'failure' || (outcome === 'counted-before' && !ours.has(pattern!));
      const got = failure ? [address] : [];
      return JSON.stringify(got) === JSON.stringify(theirs.lines[index])
        ? []
        : [{ line, ...seen[index], theirs: theirs.lines[index] }];
    });
    expect(different).toEqual([]);
    expect(theirs.lines.flat().length).toBeGreaterThan(100);
  });

  test.each(seeds)('the same addresses are banned at the same line, seed %i', async (seed) => {
    const kinds: SessionKind[] = [
      'single-password',
      'session',
      'pam-only',
      'many-names',
      'name-change',
      'client-gives-up',
    ];
    const findtime = 600;
    const maxretry = 3 + (seed % 3);
    const { lines } = sessions({ seed, connections: 150, kinds, addresses, start, spreadSeconds: findtime - 60 });
    const theirs = askFail2ban(lines, { filter: 'sshd', mode, maxretry, findtime });
    const first = theirs.bans.filter(({ ip }, index) => theirs.bans.findIndex((ban) => ban.ip === ip) === index);
    const wanted = first.map(({ ip, line }) => `${ip} line ${line}`);
    expect(await decide(lines, mode, maxretry, findtime)).toEqual(wanted);
    expect(wanted.length).toBeGreaterThan(5);
  });
});
