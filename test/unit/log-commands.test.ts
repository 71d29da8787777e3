/** `match` and `replay`, called in this process: each option acts, each count is what happened. */
import { writeFileSync } from 'node:fs';
import { join, relative } from 'node:path';
import { afterAll, afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { run as match } from '../../src/commands/match.ts';
import { run as replay } from '../../src/commands/replay.ts';
import { lineBytesMax, maxretryMax } from '../../src/limits.ts';
import { temporaryDirectory } from '../support/control.ts';

const folder = temporaryDirectory();
afterAll(() => folder.remove());

let out = '';
let error = '';
beforeEach(() => {
  out = '';
  error = '';
  vi.spyOn(process.stdout, 'write').mockImplementation((text) => {
    out += text;
    return true;
  });
  vi.spyOn(process.stderr, 'write').mockImplementation((text) => {
    error += text;
    return true;
  });
});
afterEach(() => void vi.restoreAllMocks());

function write(name: string, text: string): string {
  const path = join(folder.path, name);
  writeFileSync(path, text, { mode: 0o644 });
  return path;
}

const start = Date.UTC(2026, 10, 21, 3) / 1000;
const stamp = (second: number): string => new Date(second * 1000).toISOString();
let pid = 0;
/** A failed login, in a connection of its own. */
const failure = (second: number, address: string, user = 'root'): string =>
  `${stamp(second)} host sshd[${++pid}]: Failed password for ${user} from ${address} port 40022 ssh2\n`;

describe('replay', () => {
  async function report(...args: string[]) {
    out = '';
    expect(await replay(['--json', ...args]), error).toBe(0);
    return JSON.parse(out);
  }
  const decisions = async (...args: string[]) => (await report(...args)).decisions;

  test('each setting of a jail acts', async () => {
    const log = write('settings.log', [0, 60, 120, 700, 701].map((at) => failure(start + at, '192.0.2.7')).join(''));
    const ban = (at: number, failures: number, seconds = 600) => [
      { jail: 'sshd', ip: '192.0.2.7', time: start + at, failures, seconds },
    ];
    const sshd = (...args: string[]) => decisions('--filter', 'sshd', ...args, log);
    expect(await sshd()).toEqual([]);
    expect(await sshd('--maxretry', '3')).toEqual(ban(120, 3));
    expect(await sshd('--findtime', '1h')).toEqual(ban(701, 5));
    expect(await sshd('--findtime', '1m', '--maxretry', '2')).toEqual([...ban(60, 2), ...ban(701, 2)]);
    expect(await sshd('--findtime', '59', '--maxretry', '2')).toEqual(ban(701, 2));
    expect(await sshd('--maxretry', '3', '--bantime', '2h')).toEqual(ban(120, 3, 7_200));
    expect(await sshd('--maxretry', '3', '--bantime=-1')).toEqual(ban(120, 3, -1));
    // While it is banned, nothing of it counts; afterwards it does.
    expect(await sshd('--maxretry', '1', '--bantime', '61')).toHaveLength(3);
    const both = write(
      'networks.log',
      ['192.0.2.1', '192.0.2.2', '2001:db8:1:2::1', '2001:db8:1:3::1']
        .map((address, at) => failure(start + at, address))
        .join(''),
    );
    const two = ['--filter', 'sshd', '--maxretry', '2', both];
    expect(await decisions(...two)).toEqual([]);
    expect((await decisions('--ipv4-prefix', '24', ...two))[0]).toMatchObject({ ip: '192.0.2.0/24', time: start + 1 });
    expect((await decisions('--ipv6-prefix', '48', ...two))[0]).toMatchObject({ ip: '2001:db8:1::/48' });
  });

  test('a year that a line lacks is that of --now', async () => {
    const log = write(
      'year.log',
      'Nov 21 03:00:00 host sshd[7]: Failed password for root from 192.0.2.7 port 1 ssh2\n',
    );
    const at = async (now: string) =>
      (await decisions('--filter', 'sshd', '--maxretry', '1', '--now', now, log))[0].time;
    const [first, second] = [await at(String(start + 3_600)), await at(String(start + 366 * 86_400))];
    expect(second - first).toBe(365 * 86_400);
  });

  test.each([
    [['--maxretry', '0'], `--maxretry takes a whole number from 1 to ${maxretryMax}`],
    [['--maxretry', '1.5'], '--maxretry takes'],
    [['--maxretry', String(maxretryMax + 1)], '--maxretry takes'],
    [['--ipv4-prefix', '23'], '--ipv4-prefix takes 24 to 32'],
    [['--ipv4-prefix', '33'], '--ipv4-prefix takes 24 to 32'],
    [['--ipv4-prefix', '24.5'], '--ipv4-prefix takes 24 to 32'],
    [['--ipv6-prefix', '31'], '--ipv6-prefix takes 32 to 128'],
    [['--ipv6-prefix', '129'], '--ipv6-prefix takes 32 to 128'],
    [['--ipv6-prefix', '64.5'], '--ipv6-prefix takes 32 to 128'],
    [['--findtime', 'soon'], '--findtime '],
    [['--findtime=-1'], '--findtime '],
    [['--bantime', 'soon'], '--bantime '],
    [['--now=-1'], '--now takes seconds since 1970'],
    [['--now', 'today'], '--now takes seconds since 1970'],
    [['--filter', 'sshdd'], 'unknown filter "sshdd"; did you mean "sshd"?'],
  ])('%j is wrong usage', async (args, why) => {
    const log = write('empty.log', '');
    expect(await replay(['--filter', 'sshd', ...args, log])).toBe(2);
    expect([out, error]).toEqual(['', expect.stringContaining(`fail2zig replay: ${why}`)]);
    const edges = ['--maxretry', String(maxretryMax), '--ipv4-prefix', '32', '--ipv6-prefix', '128', '--now', '0'];
    expect(await replay(['--filter', 'sshd', ...edges, log])).toBe(0);
    expect(
      await replay(['--filter', 'sshd', '--maxretry', '1', '--ipv4-prefix', '24', '--ipv6-prefix', '32', log]),
    ).toBe(0);
  });

  test('without a file there is nothing to do, and one that is not there is named before any is read', async () => {
    expect(await replay(['--filter', 'sshd'])).toBe(2);
    expect(error).toContain('which FILE?');
    const log = write('one.log', failure(start, '192.0.2.7'));
    expect(await replay(['--filter', 'sshd', log, '/nowhere/log'])).toBe(1);
    expect([out, error]).toEqual(['', expect.stringContaining('fail2zig replay: /nowhere/log: no such file')]);
  });

  const settings = (extra = ''): string =>
    `control.group = "root"\n[jails.sshd]\nlogpath = "${folder.path}/auth*.log"\nmaxretry = 2\nfindtime = "10m"\nbantime = "1h"\nignoreip = ["198.51.100.0/24"]\nignoreself = false\n${extra}`;

  test('a file goes to the jails that name it, or to all', async () => {
    const config = write(
      'jails.toml',
      settings('[jails.web]\nfilter = "sshd"\nlogpath = "/var/log/web"\nmaxretry = 1\n'),
    );
    const text = failure(start, '192.0.2.7') + failure(start + 1, '192.0.2.7');
    const of = async (file: string) =>
      (await decisions('--config', config, file)).map(({ jail }: { jail: string }) => jail);
    expect(await of(write('auth1.log', text))).toEqual(['sshd']);
    expect(await of(relative(process.cwd(), write('auth2.log', text)))).toEqual(['sshd']);
    expect((await of(write('other.log', text))).sort()).toEqual(['sshd', 'web']);
    // Files are read one after the other, into the same windows.
    const halves = [
      write('auth3.log', failure(start, '192.0.2.7')),
      write('auth4.log', failure(start + 1, '192.0.2.7')),
    ];
    expect(await decisions('--config', config, ...halves)).toMatchObject([
      { jail: 'sshd', failures: 2, seconds: 3_600 },
    ]);
  });

  test('each line is counted for what became of it', async () => {
    const config = write(
      'counts.toml',
      `${settings().replace('[jails.sshd]', '[jails.shop]')}
[[filter]]
name = "shop"
patterns = ["login failed for {user} from {ip}{end}"]
ignore = "login failed for monitor from {ip}{end}"
`,
    );
    const says = (at: number, text: string): string => `${stamp(start + at)} ${text}\n`;
    const lines = [
      says(0, 'login failed for root from 192.0.2.7'),
      says(1, 'login failed for root from 192.0.2.7'),
      says(2, 'login failed for monitor from 192.0.2.8'),
      says(2, 'login failed for monitor from 192.0.2.8'),
      says(3, 'login failed for root from shop.example.org'),
      ...Array(3).fill(says(4, 'login failed for root from 192.0.2.300')),
      ...Array(4).fill(says(5, 'login failed for root from 198.51.100.7')),
      ...Array(5).fill(says(6, `login failed for ${'x'.repeat(lineBytesMax)} from 192.0.2.9`)),
      says(3_600, 'login failed for root from 192.0.2.10'),
      ...Array(6).fill(says(7, 'login failed for root from 192.0.2.10')),
      says(3_601, 'nothing of ours'),
    ];
    const found = await report('--config', config, write('auth-counts.log', lines.join('')));
    const { lines: read, matched, dropped, decisions: bans, tracked } = found;
    expect(read).toBe(lines.length);
    expect(bans).toEqual([{ jail: 'shop', ip: '192.0.2.7', time: start + 1, failures: 2, seconds: 3_600 }]);
    expect(dropped).toMatchObject({
      tooLong: 5,
      invalidAddress: 3,
      invalidTime: 0,
      hostName: 1,
      ignoredByFilter: 2,
      ignoredByJail: 4,
      tooOld: 6,
      evicted: 0,
      denied: 0,
    });
    expect(matched).toBeGreaterThanOrEqual(2 + 4 + 1 + 6);
    expect(tracked).toBeGreaterThanOrEqual(2);
    expect(found.slots).toBeGreaterThan(100_000);
    expect(found.linesPerSecond).toBe(Math.round(lines.length / found.seconds));
    expect(found.peakRssBytes).toBeGreaterThan(20 * 2 ** 20);

    out = '';
    expect(await replay(['--config', config, join(folder.path, 'auth-counts.log')])).toBe(0);
    const [head, ban, count, ...rest] = out.trimEnd().split('\n');
    expect([head, ban]).toEqual(['would have banned', `  ${stamp(start + 1)}  shop  192.0.2.7  2 failures, for 1h`]);
    expect(count).toBe(`${read} lines, ${matched} matched, 1 ban; ${tracked} of ${found.slots} table entries in use`);
    expect(rest.slice(0, -1)).toEqual(
      Object.entries(dropped as Record<string, number>)
        .filter(([, many]) => many > 0)
        .map(([reason, many]) => `  ${reason}: ${many}`),
    );
    expect(rest.at(-1)).toMatch(/^\d+\.\d{3} s, \d+\.\d{2} M lines\/s, peak resident size \d+\.\d MiB$/);
  });

  test('one failure, a ban for ever, two bans, and none, in words', async () => {
    const log = write('words.log', failure(start, '192.0.2.7') + failure(start + 1, '192.0.2.8'));
    const said = async (...args: string[]) => {
      out = '';
      expect(await replay(['--filter', 'sshd', ...args, log])).toBe(0);
      return out;
    };
    const ever = await said('--maxretry', '1', '--bantime=-1');
    expect(ever).toContain('  192.0.2.7  1 failure, for ever\n');
    expect(ever).toContain(' 2 matched, 2 bans; ');
    expect(await said()).toMatch(/^2 lines, 2 matched, 0 bans; /);
  });
});

describe('match', () => {
  const text = async (...args: string[]) => {
    out = '';
    expect(await match(args), error).toBe(0);
    return out;
  };
  const rows = async (...args: string[]) =>
    (await text('--json', ...args))
      .trimEnd()
      .split('\n')
      .map((line) => JSON.parse(line));

  test('each line is an object with all that was found, in order', async () => {
    const log = write(
      'json.log',
      `${failure(start, '192.0.2.7')}nothing\n${failure(start + 1, '2001:db8::7', 'a b')}${stamp(start + 2)} host cron[7]: x\n`,
    );
    expect(await rows('--filter', 'sshd', log)).toEqual([
      { line: 1, match: true, filter: 'sshd', pattern: 'failed', ip: '192.0.2.7', user: 'root', time: start },
      { line: 2, match: false, filter: 'sshd', why: 'no-prefix' },
      { line: 3, match: true, filter: 'sshd', pattern: 'failed', ip: '2001:db8::7', user: 'a b', time: start + 1 },
      { line: 4, match: false, filter: 'sshd', why: 'no-prefix' },
    ]);
  });

  test('more than one piece of output is whole', async () => {
    const count = 2_000;
    const log = write('long.log', failure(start, '192.0.2.7').repeat(count));
    const found = await rows('--filter', 'sshd', log);
    expect(found.map(({ line }) => line)).toEqual(Array.from({ length: count }, (_, at) => at + 1));
    expect(found.every(({ match: is, ip }) => is && ip === '192.0.2.7')).toBe(true);
  });

  test('a summary counts, and shows the first lines of each kind', async () => {
    const matched = Array.from({ length: 21 }, (_, at) => failure(start + at, `192.0.2.${at}`));
    const missed = Array.from({ length: 11 }, (_, at) => `line ${at}\u001b[2J\n`);
    const cut = `${'x'.repeat(lineBytesMax + 1)}\r\n`;
    const full = `${'x'.repeat(lineBytesMax)}\n`;
    const log = write('summary.log', [...matched, ...missed, cut, full, 'no end'].join(''));
    const found = await text('--filter', 'sshd', log);
    const lines = found.split('\n');
    expect(lines.slice(0, 6)).toEqual([
      'filter sshd: 35 lines, 21 matched, 14 not',
      '1 lines were longer than the limit and read up to it',
      'matched by pattern',
      '         21  failed',
      'first lines that matched: address, time, pattern',
      `  1: 192.0.2.0  ${stamp(start)}  failed`,
    ]);
    expect(lines[6]).toBe(`    ${matched[0]!.trimEnd()}`);
    expect(lines.filter((line) => / {2}\d+: 192/.test(line))).toHaveLength(20);
    const at = lines.indexOf('not matched, and why');
    expect(lines.slice(at + 1, at + 3)).toEqual(['         14  no-prefix', 'first lines that no pattern knows']);
    expect(lines.slice(at + 3)).toEqual([
      ...Array.from({ length: 10 }, (_, row) => `  ${22 + row}: line ${row}\\x1b[2J`),
      '',
    ]);
  });

  test('patterns are sorted by how often they matched; a few lines are all shown', async () => {
    const invalid = `${stamp(start)} host sshd[7]: Invalid user a from 192.0.2.9 port 40022\n`;
    const log = write('sorted.log', invalid + failure(start, '192.0.2.7') + failure(start, '192.0.2.8'));
    const found = await text('--filter', 'sshd', log);
    expect(found).toMatch(/matched by pattern\n +2 {2}failed\n +1 {2}[a-z-]+\nlines that matched: address/);
    expect(found).not.toContain('not matched');
  });

  test('without a year a line is of the year of --now, and so is nothing where it is wrong', async () => {
    const log = write(
      'match-year.log',
      'Nov 21 03:00:00 host sshd[7]: Failed password for root from 192.0.2.7 port 1 ssh2\n',
    );
    const at = async (now: number) => (await rows('--filter', 'sshd', '--now', String(now), log))[0].time;
    expect((await at(start + 366 * 86_400)) - (await at(start + 3_600))).toBe(365 * 86_400);
    for (const now of ['-1', 'x']) {
      error = '';
      expect(await match(['--filter', 'sshd', `--now=${now}`, log])).toBe(2);
      expect(error).toContain('--now takes seconds since 1970');
    }
  });

  test.each([
    [[], '--filter NAME is needed'],
    [['--filter', 'sshd', 'a', 'b'], 'one file at a time, please'],
    [['--filter', 'sshdd', 'a'], 'unknown filter "sshdd"; did you mean "sshd"?'],
    [['--filter', 'xyzzyxyzzy', 'a'], 'unknown filter "xyzzyxyzzy"\n'],
    [
      ['--filter', 'sshd:loud', 'a'],
      'filter sshd has the modes normal, ddos, extra, aggressive; "loud" is not one of them',
    ],
    [['--filter', 'gitlab:loud', 'a'], 'filter gitlab has no modes; "loud" is not one of them'],
  ])('%j is wrong usage', async (args, why) => {
    expect(await match(args)).toBe(2);
    expect([out, error]).toEqual(['', expect.stringContaining(`fail2zig match: ${why}`)]);
  });

  test('a mode adds its patterns', async () => {
    const log = write(
      'mode.log',
      `${stamp(start)} host sshd[7]: Connection closed by 192.0.2.7 port 40022 [preauth]\n`,
    );
    const is = async (filter: string) => (await rows('--filter', filter, log))[0].match;
    expect([await is('sshd'), await is('sshd:normal'), await is('sshd:aggressive')]).toEqual([false, false, true]);
  });
});
