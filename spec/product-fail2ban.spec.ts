/**
 * Beside fail2ban: its settings, with the same values over the same logs, lead to the same bans.
 */
import assert from 'node:assert/strict';
import { Engine } from '../src/engine/host.ts';
import { formatAddress, parseCidr } from '../src/text/address.ts';
import type { Address } from '../src/types.ts';
import { askFail2ban } from '../test/support/fail2ban.ts';
import { type SessionKind, sessions } from '../test/support/sshd-sessions.ts';
import { claim, given, twin } from './claim.ts';
import { compileText, validConfig } from './support/configuration.ts';

/** A jail in the words of both. */
interface Words {
  maxretry: number;
  findtime: string;
  bantime: string;
  ignoreip: string[];
}

/** Who is banned at which line of a log, and for how many seconds. */
type Decide = (lines: string[], words: Words) => Promise<string[]>;

const start = Date.UTC(2025, 2, 7, 18, 0, 0) / 1000;
const addresses = [
  ...Array.from({ length: 12 }, (_, index) => `192.0.2.${index + 1}`),
  ...Array.from({ length: 4 }, (_, index) => `2001:db8:${index + 1}::7`),
];
/**
 * Attempts of one line each: how fail2ban counts several lines of one attempt is tested elsewhere
 * (test/compare).
 */
const kinds: SessionKind[] = ['single-password', 'session', 'pam-only', 'many-names', 'name-change', 'client-gives-up'];

const settings: Words[] = [
  { maxretry: 3, findtime: '10m', bantime: '1h', ignoreip: [] },
  { maxretry: 4, findtime: '600', bantime: '86400', ignoreip: ['192.0.2.0/30', '2001:db8:1::/48'] },
  { maxretry: 5, findtime: '15m', bantime: '1d 12h', ignoreip: ['192.0.2.5'] },
  { maxretry: 2, findtime: '1200s', bantime: '1w', ignoreip: ['2001:db8:2::7', '198.51.100.0/24'] },
  { maxretry: 1, findtime: '1h', bantime: '-1', ignoreip: ['192.0.2.8/29'] },
];

/**
 * Attempts that take longer than any findtime above, followed by one source that fails once less
 * than a ban needs, and once more much later. Closer to the edge of the window, fail2ban only
 * estimates.
 */
function log(seed: number, { maxretry }: Words): string[] {
  const { lines } = sessions({ seed, connections: 60, kinds, addresses, start, spreadSeconds: 400 });
  const patient = (second: number, process: number): string => {
    const time = new Date((start + second) * 1000).toISOString().replace('.000Z', '+00:00');
    return `${time} host sshd[${9_000 + process}]: Failed password for root from 203.0.113.7 port 40022 ssh2`;
  };
  const early = Array.from({ length: maxretry - 1 }, (_, process) => patient(500, process));
  return [...lines, ...early, patient(8_000, 99)];
}

/** The first ban of each address: what follows depends on whether the firewall let it continue. */
function firstOf(bans: { ip: string; line: number }[], seconds: number): string[] {
  const first = new Map<string, number>();
  for (const { ip, line } of bans) if (!first.has(ip)) first.set(ip, line);
  return [...first].map(([ip, line]) => `${ip} at line ${line} for ${seconds} s`);
}

const ours: Decide = async (lines, { maxretry, findtime, bantime, ignoreip }) => {
  /** Whole seconds are tried with and without quotes. */
  const value = (text: string): string => (/^-1$|^86400$/.test(text) ? text : `"${text}"`);
  const { jails } = compileText(`[defaults]
ignoreip = [${ignoreip.map((network) => `"${network}"`).join(', ')}]
[jails.ssh]
filter = "sshd"
logpath = "/var/log/auth.log"
maxretry = ${maxretry}
findtime = ${value(findtime)}
bantime = ${value(bantime)}
ignoreself = false
ipv6_prefix = 128
`);
  const jail = jails[0]!;
  const ignore = jail.ignoreip
    .map((text) => parseCidr(text, 'clear'))
    .filter((network): network is Address => typeof network === 'object');
  const engine = await Engine.create({ jails: [{ ...jail, ignore }], tableBytes: 1 << 20, live: false, now: start });
  engine.openSource(0, engine.addRoute([{ index: 0, filter: jail.filter, mode: jail.mode }]));
  const bans: { ip: string; line: number }[] = [];
  let seconds = jail.bantime;
  for (const [line, text] of lines.entries()) {
    const bytes = Buffer.from(`${text}\n`);
    engine.buffer.set(bytes);
    engine.feed(0, bytes.length, 0, start, false);
    engine.takeDecisions((decision) => {
      seconds = decision.seconds;
      bans.push({ ip: formatAddress(decision.address), line });
    });
  }
  return firstOf(bans, seconds);
};

const theirs: Decide = async (lines, words) => {
  const { bans, seconds } = askFail2ban(lines, { filter: 'sshd', mode: 'normal', ...words });
  return firstOf(bans, seconds.bantime);
};

/** Ours, with something else than the words say. */
const deaf =
  (change: Partial<Words>): Decide =>
  (lines, words) =>
    ours(lines, { ...words, ...change });

/** Units of both; a month is 30 days here and 30.4 there, a year 365 and 365.25. */
const units = { s: 1, m: 60, h: 3_600, d: 86_400, w: 604_800, mo: 2_592_000, y: 31_536_000 };

/** Seconds of a second ban in another jail, with and without bantime_overalljails. */
async function secondBan(overall: boolean): Promise<number[]> {
  const words = `filter = "sshd"\nlogpath = "/var/log/auth.log"\nignoreself = false\nbantime = "1h"\n`;
  const increment = `bantime_increment = true\nbantime_overalljails = ${overall}\n`;
  const { jails } = compileText(
    `[jails.a]\n${words}${increment}maxretry = 1\n[jails.b]\n${words}${increment}maxretry = 2\n`,
  );
  const settled = jails.map((jail) => ({ ...jail, ignore: [] }));
  const engine = await Engine.create({ jails: settled, tableBytes: 1 << 20, live: false, now: start });
  engine.openSource(0, engine.addRoute(settled.map(({ filter, mode }, index) => ({ index, filter, mode }))));
  const seconds: number[] = [];
  for (const process of [1, 2]) {
    const time = new Date((start + process) * 1000).toISOString();
    const line = `${time} host sshd[${process}]: Failed password for root from 203.0.113.7 port 40022 ssh2\n`;
    const { written } = new TextEncoder().encodeInto(line, engine.buffer);
    engine.feed(0, written, 0, start, false);
    engine.takeDecisions((decision) => void seconds.push(decision.seconds));
  }
  return seconds;
}

claim(
  'WHY-01',
  given(ours),
  async (decide) => {
    let bans = 0;
    let left = 0;
    for (const [index, words] of settings.entries()) {
      const lines = log(10 + index, words);
      const expected = await theirs(lines, words);
      assert.deepEqual(await decide(lines, words), expected, `bans with ${JSON.stringify(words)}`);
      bans += expected.length;
      left += addresses.length + 1 - expected.length;
    }
    for (const [unit, seconds] of Object.entries(units)) {
      const [jail] = compileText(`${validConfig}bantime = "3${unit}"\n`).jails;
      assert.equal(jail!.bantime, 3 * seconds, `seconds of 3${unit}`);
    }
    assert.deepEqual(await secondBan(false), [3_600, 3_600], 'bans of two jails, each by itself');
    assert.deepEqual(await secondBan(true), [3_600, 7_200], 'bans of two jails, with bantime_overalljails');
    assert.ok(bans > 20 && left > 5, `${bans} bans, ${left} addresses left alone: too few to compare`);
    return `${settings.length} jails of sshd with maxretry, findtime, bantime and ignoreip in the spelling of both: ${bans} bans at the same lines for the same time, ${left} addresses left alone by both`;
  },
  [
    twin('a jail deaf to maxretry', given(deaf({ maxretry: 3 })), /bans with \{"maxretry":4/),
    twin('a jail deaf to findtime', given(deaf({ findtime: '12h' })), /bans with \{"maxretry":3,"findtime":"10m"/),
    twin('a jail deaf to bantime', given(deaf({ bantime: '1h' })), /bans with .*"bantime":"86400"/),
    twin('a jail deaf to ignoreip', given(deaf({ ignoreip: [] })), /bans with .*"ignoreip":\["192/),
  ],
  { needs: ['fail2ban'], timeoutMs: 120_000 },
);
