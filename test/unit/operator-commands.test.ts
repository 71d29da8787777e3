/**
 * `[[filter]]` as an operator uses it: the commands as they are installed, over a configuration and
 * a log.
 */
import { spawnSync } from 'node:child_process';
import { chmodSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, test } from 'vitest';
import { shownBuiltIn } from '../../src/commands/show-filter.ts';
import type { Filter } from '../../src/compiler/pattern.ts';
import { filters } from '../../src/filters/index.ts';

const folder = mkdtempSync(join(tmpdir(), 'fail2zig-operator-'));
afterAll(() => rmSync(folder, { recursive: true }));

const command = join(import.meta.dirname, '../../bin/fail2zig');

function fail2zig(...args: string[]): { status: number | null; out: string; error: string } {
  const { status, stdout, stderr } = spawnSync(command, args, { encoding: 'utf8', maxBuffer: 64 * 1024 * 1024 });
  return { status, out: stdout.replaceAll(folder, 'FOLDER'), error: stderr.replaceAll(folder, 'FOLDER') };
}

function write(name: string, text: string): string {
  const path = join(folder, name);
  writeFileSync(path, text);
  chmodSync(path, 0o644);
  return path;
}

const config = write(
  'good.toml',
  `control.group = "root"
[[filter]]
name = "shop"
about = "our shop"
patterns = [
  "login failed for {user} from {ip}{end}",
  { name = "locked", pattern = 'account "{field}" locked, client {ip}:{number}' },
]
ignore = "login failed for monitor from {ip}{end}"
sample = "2026-11-21 03:15:28 login failed for root from 192.0.2.7"

[[filter]]
name = "my-custom-app"
pattern = "reject from {ip} at {timestamp} invalid auth"
log_tag = "myapp"

[jails.shop]
logpath = "${folder}/shop.log"
maxretry = 2
findtime = "1h"
`,
);
const log = write(
  'shop.log',
  `2026-11-21 03:15:28 login failed for x from 203.0.113.5 from 192.0.2.7
2026-11-21 03:15:29 login failed for monitor from 192.0.2.8
2026-11-21 03:15:30 account "a b" locked, client [2001:db8::7]:44
2026-11-21 03:15:31 login failed for root from shop.example.org
2026-11-21 03:15:32 login succeeded for root from 192.0.2.9
2026-11-21 03:15:33 login failed for root from 192.0.2.7
`,
);

describe('match --config', () => {
  test('finds what the patterns say, and says why not elsewhere', () => {
    const { status, out } = fail2zig('match', '--filter', 'shop', '--config', config, '--json', log);
    expect(status).toBe(0);
    const answers = out
      .trimEnd()
      .split('\n')
      .map((line) => JSON.parse(line));
    expect(answers).toMatchObject([
      { line: 1, match: true, filter: 'shop', pattern: 'pattern-1', ip: '192.0.2.7', user: 'x from 203.0.113.5' },
      { line: 2, match: false, why: 'ignored', pattern: 'ignore-1' },
      { line: 3, match: true, pattern: 'locked', ip: '2001:db8::7' },
      { line: 4, match: false, why: 'host-name', pattern: 'pattern-1' },
      { line: 5, match: false, why: 'no-pattern' },
      { line: 6, match: true, ip: '192.0.2.7', user: 'root' },
    ]);
    expect(answers[5].time - answers[0].time).toBe(5);
  });

  test('what a line that says "last message repeated" stands for', () => {
    const failed = 'Nov 21 03:15:28 host sshd[811]: Failed password for root from 192.0.2.7 port 40022 ssh2';
    const repeated = (at: string): string => `Nov 21 03:15:${at} host last message repeated 3 times`;
    const other = 'Nov 21 03:15:31 host sshd[811]: Accepted password for root from 192.0.2.7 port 40022 ssh2';
    const lines = write('bsd.log', `${[failed, repeated('29'), repeated('30'), other, repeated('32')].join('\n')}\n`);
    const answer = fail2zig('match', '--filter', 'sshd', '--now', '1795230000', '--json', lines);
    const [first, second, third, , last] = answer.out
      .split('\n')
      .filter(Boolean)
      .map((line) => JSON.parse(line));
    expect(first).toMatchObject({ match: true, ip: '192.0.2.7', pattern: 'failed' });
    expect(second).toMatchObject({ match: true, ip: '192.0.2.7', pattern: 'failed', attempts: 3 });
    expect(third).toMatchObject({ match: true, ip: '192.0.2.7', pattern: 'failed', attempts: 3 });
    expect(last).toMatchObject({ match: false, why: 'repeats-nothing' });
    const { out } = fail2zig('match', '--filter', 'sshd', '--now', '1795230000', lines);
    expect(out).toMatch(/ 2: 192\.0\.2\.7 {2}2026-11-21T03:15:29\.000Z {2}failed, 3 attempts\n/);
    expect(out).toMatch(/not matched, and why\n +1 {2}no-failure \(accepted\)\n +1 {2}repeats-nothing\n$/);
  });

  test('a tag and a time inside the message, through syslog and the journal', () => {
    const message = 'myapp[42]: reject from 192.0.2.7 at 2026-11-21T03:15:20Z invalid auth';
    const lines = write('app.log', `Nov 21 03:15:28 host ${message}\nNov 21 03:15:28 host x${message}\n`);
    const now = ['--now', '1795230000', '--json'];
    const syslog = fail2zig('match', '--filter', 'my-custom-app', '--config', config, ...now, lines);
    const [taken, other] = syslog.out
      .split('\n')
      .filter(Boolean)
      .map((line) => JSON.parse(line));
    expect(taken).toMatchObject({ match: true, ip: '192.0.2.7', time: Date.UTC(2026, 10, 21, 3, 15, 20) / 1000 });
    expect(other).toMatchObject({ match: false, why: 'no-prefix' });
    const journal = write('app.journal', `host ${message}\n`);
    const answer = fail2zig('match', '--filter', 'my-custom-app', '--config', config, '--journal', ...now, journal);
    expect(JSON.parse(answer.out)).toMatchObject({ match: true, ip: '192.0.2.7' });
  });

  test('without it the filter is unknown; built-in ones are there with it', () => {
    expect(fail2zig('match', '--filter', 'shop', log)).toMatchObject({ status: 2 });
    expect(fail2zig('match', '--filter', 'sshd', '--config', config, log)).toMatchObject({ status: 0 });
  });

  test('a refused configuration is answered with its mistakes', () => {
    const bad = write('bad.toml', `[[filter]]\nname = "shop"\npattern = 'failed for .* from <HOST>$'\n`);
    expect(fail2zig('match', '--filter', 'shop', '--config', bad, log)).toEqual({
      status: 1,
      out: '',
      error:
        "fail2zig match: FOLDER/bad.toml:3:23: filter[0].pattern: patterns are not regular expressions (write {skip} for text that a remote side chooses, {word} or {field} otherwise, or {'.*'} where the line really says so)\n",
    });
  });
});

describe('replay --config', () => {
  test('bans by the operator’s filter', () => {
    const { status, out } = fail2zig('replay', '--config', config, '--json', log);
    expect(status).toBe(0);
    const report = JSON.parse(out);
    expect(report).toMatchObject({ lines: 6, matched: 3, decisions: [{ jail: 'shop', ip: '192.0.2.7', failures: 2 }] });
    expect(report.dropped).toMatchObject({ hostName: 1, ignoredByFilter: 1 });
  });

  test('empties a full table under ban_all, with a ban for every source in it', () => {
    const full = write(
      'ban-all.toml',
      `control.group = "root"
[memory]
ceiling = "45MB"
eviction_policy = "ban_all"
[jails.sshd]
logpath = "${folder}/auth.log"
maxretry = 2
bantime = "1h"
`,
    );
    const sources = 60_000;
    const lines = Array.from(
      { length: sources },
      (_, n) =>
        `2026-11-21T03:15:28Z host sshd[${n + 1}]: Failed password for root from 10.0.${n >> 8}.${n & 255} port 40022 ssh2\n`,
    );
    const flood = write('auth.log', lines.join(''));
    const { status, out } = fail2zig('replay', '--config', full, '--json', flood);
    expect(status).toBe(0);
    const { decisions, dropped, slots, tracked } = JSON.parse(out);
    expect(decisions.length).toBeGreaterThan(slots / 2);
    expect(decisions.length).toBeLessThanOrEqual(slots);
    expect(decisions[0]).toMatchObject({ jail: 'sshd', time: 1_795_230_928, failures: 0, seconds: 3_600 });
    expect(new Set(decisions.map(({ ip }: { ip: string }) => ip)).size).toBe(decisions.length);
    expect(dropped.denied).toBeGreaterThan(0);
    expect(tracked + decisions.length + dropped.denied).toBe(sources);
    expect(fail2zig('replay', '--config', full, flood).out).toContain('table full, for 1h');

    const oldest = write('evict.toml', readFileSync(full, 'utf8').replace('ban_all', 'evict_oldest'));
    const report = JSON.parse(fail2zig('replay', '--config', oldest, '--json', flood).out);
    expect(report.decisions).toEqual([]);
    expect(report.dropped.evicted).toBeGreaterThan(0);
    expect(report.tracked + report.dropped.evicted).toBe(sources);
    expect(report.dropped.denied).toBe(0);
  });

  test('says by its reason what counted for nobody, each as often as it was', () => {
    const strict = write(
      'strict.toml',
      readFileSync(config, 'utf8').replace('maxretry = 2\n', 'ignoreip = ["192.0.2.9"]\nmaxretry = 2\n'),
    );
    const at = (time: string, text: string): string => `2026-11-21 ${time} ${text}\n`;
    const failed = (from: string): string => `login failed for x from ${from}`;
    const rows: [count: number, line: string][] = [
      [1, at('03:15:28', `${'x'.repeat(140 * 1024)}`)],
      [2, at('03:15:28', failed('192.0.2.300'))],
      [3, at('25:15:28', failed('192.0.2.7'))],
      [4, at('03:15:28', failed('shop.example.org'))],
      [5, at('03:15:28', 'login failed for monitor from 192.0.2.8')],
      [6, at('03:15:28', failed('192.0.2.9'))],
    ];
    const mixed = write('mixed.log', rows.map(([count, line]) => line.repeat(count)).join(''));
    const { dropped } = JSON.parse(fail2zig('replay', '--config', strict, '--json', mixed).out);
    expect(dropped).toEqual({
      ...{ tooLong: 1, invalidAddress: 2, invalidTime: 3, hostName: 4, ignoredByFilter: 5, ignoredByJail: 6 },
      ...{ tooOld: 0, evicted: 0, denied: 0 },
    });
  });

  test('of which one can be chosen', () => {
    const { out } = fail2zig('replay', '--config', config, '--filter', 'shop', '--maxretry', '1', '--json', log);
    expect(JSON.parse(out).decisions).toHaveLength(2);
  });
});

test('check names the filters', () => {
  const { out } = fail2zig('check', '--config', config);
  expect(out).toContain(
    'filter shop: 2 patterns, 1 to ignore, 1 line tried; lines that begin with a time; any line from its first byte\n' +
      'filter my-custom-app: 1 pattern; syslog messages of myapp\n',
  );
  const { filters: own } = JSON.parse(fail2zig('check', '--json', '--config', config).out);
  expect(own).toEqual([
    { name: 'shop', patterns: ['pattern-1', 'locked'], ignore: ['ignore-1'] },
    { name: 'my-custom-app', patterns: ['pattern-1'], ignore: [], tags: ['myapp'] },
  ]);
});

describe('filters', () => {
  test('lists every filter with --config', () => {
    const { out } = fail2zig('filters', '--config', config, '--json');
    const rows = JSON.parse(out);
    expect(rows).toHaveLength(filters.length + 2);
    expect(rows.at(-2)).toMatchObject({ name: 'shop', about: 'our shop', origin: 'configuration' });
    expect(fail2zig('filters', '--config', config).out).toMatch(/^shop +our shop$/m);
  });

  test('shows each built-in matcher as it is built in, with its size', () => {
    for (const filter of filters) {
      const { matcher, patterns } = shownBuiltIn(filter);
      expect(matcher).toMatchObject({
        source: readFileSync(`src/engine/generated/${filter.name}.ts`, 'utf8'),
        wasmBytes: expect.any(Number),
      });
      expect(patterns).toMatchObject(filter.patterns.map(({ name, sample, counter }) => ({ name, sample, counter })));
    }
    expect((shownBuiltIn(filters[0] as Filter).matcher as { wasmBytes: number }).wasmBytes).toBeGreaterThan(10_000);
  });

  test('shows a built-in one to people', () => {
    const { out } = fail2zig('filters', 'gitlab');
    expect(out).toMatch(/\nmatcher: \d+ lines, \d+ bytes of source, \d+ bytes of WebAssembly\n\n\/\*\* Generated/);
    expect(fail2zig('filters', 'sshd', '--json').out).toContain('"origin":"built-in"');
    expect(out).toContain('\n      takes   2025-');
    expect(out).toContain('\n      leaves  2025-');
    expect(out).toContain('\nexport function matchGitlab(');
  });

  test('shows one of the configuration', () => {
    const { out } = fail2zig('filters', 'shop', '--config', config);
    expect(out).toContain('\n  locked\n      account "{field}" locked, client {ip}:{number}\n');
    expect(out).toContain('\nmust count:\n  2026-11-21 03:15:28 login failed for root from 192.0.2.7\n');
    expect(out).toMatch(/\nprogram: \d+ bytes, walked by the interpreter\n$/);
    expect(JSON.parse(fail2zig('filters', 'shop', '--config', config, '--json').out)).toMatchObject({
      origin: 'configuration',
      matcher: { programBytes: expect.any(Number) },
    });
  });
});

test.each(['match', 'replay'])('%s says in words why a log cannot be read', (command) => {
  const missing = fail2zig(command, '--filter', 'sshd', '/nowhere/auth.log');
  expect(missing).toEqual({ status: 1, out: '', error: `fail2zig ${command}: /nowhere/auth.log: no such file\n` });
  const directory = fail2zig(command, '--filter', 'sshd', '/');
  expect(directory).toEqual({ status: 1, out: '', error: `fail2zig ${command}: /: is a directory\n` });
});
