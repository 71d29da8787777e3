/**
 * `fail2zig import` on a tree of our own. `check` accepts what is written, each line says where it
 * came from, exit status and report say what was lost, and nothing else is written.
 */
import {
  copyFileSync,
  cpSync,
  existsSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { run } from '../../src/commands/import.ts';
import { knownFilters } from '../../src/config/known-filters.ts';
import { loadConfig } from '../../src/config/load.ts';
import { importTree } from '../../src/import/import.ts';
import { Notes } from '../../src/import/notes.ts';
import { planOf } from '../../src/import/plan.ts';
import { exitOf, reportText } from '../../src/import/report.ts';
import { banCommands, readRunningBans } from '../../src/import/running-bans.ts';
import { compareJails } from '../../src/import/side-by-side.ts';
import { Tree } from '../../src/import/tree.ts';

const corpus = join(import.meta.dirname, '../corpus/fail2ban');
let folder: string;
let out: string;
let said: string;
const write = process.stdout.write;
const writeError = process.stderr.write;

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'import-'));
  out = join(folder, 'out.toml');
  cpSync(corpus, join(folder, 'tree'), { recursive: true });
  said = '';
  process.stdout.write = process.stderr.write = ((text: string) => {
    said += text;
    return true;
  }) as typeof write;
});
afterEach(() => {
  process.stdout.write = write;
  process.stderr.write = writeError;
  rmSync(folder, { recursive: true });
});

const tree = (): string => join(folder, 'tree');
const add = (path: string, text: string): void => writeFileSync(join(tree(), path), text, { flag: 'a' });

test('a tree becomes a configuration that can be used, each line with its place', async () => {
  expect(await run([tree(), '--output', out])).toBe(3);
  expect(said).toContain(`→ translated 3 jails · 2 warnings · wrote ${out}`);
  const { config } = loadConfig(out);
  const [sshd, nginx, app] = config.jails;
  expect(sshd).toMatchObject({ name: 'sshd', mode: 'aggressive', maxretry: 3, logpath: ['/var/log/auth.log'] });
  expect(sshd?.ignoreip).toEqual(['127.0.0.0/8', '::1', '198.51.100.7']);
  expect(nginx).toMatchObject({
    bantime: 129_600,
    ports: [
      { first: 80, last: 80 },
      { first: 443, last: 443 },
    ],
  });
  expect(app).toMatchObject({
    filter: 'custom-app',
    findtime: 3600,
    logpath: ['/var/log/app/*.log', '/var/log/app-old.log'],
  });
  expect(sshd?.escalation?.bantimes.at(-1)).toBe(604_800);
  const settings = readFileSync(out, 'utf8')
    .split('\n')
    .filter((line) => /^\w+ = [^[]/.test(line));
  expect(settings.filter((line) => !/^(?:name|about) |# .+:\d+$|# see above/.test(line))).toEqual([]);
});

test('the translated filter counts what the tree counts', async () => {
  await run([tree(), '--output', out]);
  const { filters } = loadConfig(out);
  expect(filters[0]?.definition.tags).toEqual([
    'custom-app-worker',
    'custom-app',
    'custom-app-worker(*',
    'custom-app(*',
  ]);
  expect(filters[0]?.texts.size).toBeGreaterThan(3);
});

test('what is lost is reported with its expression, construct and advice', () => {
  const imported = importTree(tree());
  const told = imported.notes.filter(({ weight }) => weight === 'warning');
  expect(told.map(({ text }) => text)).toEqual([
    'the action sendmail-ours is not carried over',
    '\\1: it must match earlier text again',
  ]);
  expect(told[1]?.found).toContain('bad token');
});

describe('exit status', () => {
  const only = (text: string): number => {
    rmSync(join(tree(), 'jail.local'));
    rmSync(join(tree(), 'jail.d'), { recursive: true });
    add('jail.conf', `\n[only]\nenabled = true\nport = ssh\nfilter = sshd\nlogpath = /var/log/auth.log\n${text}`);
    return exitOf(importTree(tree()));
  };

  test('0 where all is carried over', () => expect(only('')).toBe(0));
  test('3 with warnings', () => expect(only('ignoreip = example.net\n')).toBe(3));
  test.each([
    ['a program for ignoring', 'ignorecommand = /bin/true <ip>\n'],
    ['a circle in the log path', 'logpath = %(logpath)s\n'],
    ['no action', 'action =\n'],
  ])('4 where a jail is not protected: %s', (_, text) => expect(only(text)).toBe(4));

  test('4 if the call of a filter cannot be read, which is said with its place', () => {
    expect(only('filter = sshd[mode\n')).toBe(4);
    const said = importTree(tree()).notes.filter(({ jail }) => jail === 'only');
    expect(said).toContainEqual(
      expect.objectContaining({
        weight: 'lost',
        place: expect.stringMatching(/jail\.conf:/),
        text: expect.stringMatching(/^filter: /),
      }),
    );
  });

  test('4 if a filter does not exist, and the rest is written', async () => {
    add('jail.local', '\n[other]\nenabled = true\nfilter = nowhere\nlogpath = /var/log/x.log\n');
    expect(await run([tree(), '--output', out])).toBe(4);
    expect(loadConfig(out).config.jails).toHaveLength(3);
    expect(said).toContain('NOT PROTECTED');
  });
});

describe('files', () => {
  test('nothing is overwritten without --force, and with it the old one is kept', async () => {
    writeFileSync(out, 'old');
    expect(await run([tree(), '--output', out])).toBe(1);
    expect(readFileSync(out, 'utf8')).toBe('old');
    expect(await run([tree(), '--output', out, '--force'])).toBe(3);
    expect(readFileSync(`${out}.bak`, 'utf8')).toBe('old');
    expect(readdirSync(folder).sort()).toEqual(['out.toml', 'out.toml.bak', 'tree']);
  });

  test('a dry run writes nothing, and - writes to standard output', async () => {
    expect(await run([tree(), '--output', out, '--dry-run'])).toBe(3);
    expect(existsSync(out)).toBe(false);
    expect(said).toContain('wrote nothing');
    await run([tree(), '--output', '-']);
    expect(said).toContain('[jails.sshd]');
  });

  test('--json is one object on one line', async () => {
    await run([tree(), '--output', out, '--json']);
    const report = JSON.parse(said);
    expect(said.trim().split('\n')).toHaveLength(1);
    expect(report.jails.map(({ jail }: { jail: string }) => jail)).toEqual(['sshd', 'nginx-http-auth', 'custom-app']);
    expect(report.exit).toBe(3);
  });

  test('a folder that is not there, and one that holds nothing', async () => {
    expect(await run([join(folder, 'nothing'), '--output', out])).toBe(1);
    expect(await run([folder, '--output', out])).toBe(4);
  });
});

describe('the journal', () => {
  const planned = (hasJournal: boolean, fileExists = false): Record<string, unknown> => {
    const host = { builtIn: knownFilters, portOf: () => undefined, fileExists: () => fileExists, hasJournal };
    const notes = new Notes();
    const { jails } = planOf(new Tree(tree(), notes), notes, [], host);
    return Object.fromEntries(
      jails.map(({ name, settings }) => [name, settings.find(({ key }) => key === 'source')?.value]),
    );
  };

  test('is read where backend says so, with the match of the jail or of its own filter', () => {
    add(
      'jail.local',
      '\n[custom-app]\nbackend = systemd\n[x]\nenabled = true\nfilter = sshd\nbackend = systemd\njournalmatch = _COMM=x + _COMM=y\n',
    );
    const { text, notes } = importTree(tree());
    expect(text).toContain('source = "journal"');
    expect(text).toContain('journal_match = "SYSLOG_IDENTIFIER=custom-app-worker SYSLOG_IDENTIFIER=custom-app"');
    expect(text).toContain('journal_match = "_COMM=x + _COMM=y"');
    expect(notes.filter(({ weight }) => weight === 'lost')).toEqual([]);
  });

  test('is read with backend auto only where there is a journal and no file', () => {
    add('jail.local', '\n[DEFAULT]\nbackend = auto\n');
    expect(planned(true)).toMatchObject({ sshd: 'journal', 'custom-app': undefined });
    expect(planned(true, true).sshd).toBeUndefined();
    expect(planned(false).sshd).toBeUndefined();
  });
});

test('a built-in filter that the tree changes is translated under another name', () => {
  copyFileSync(join(tree(), 'filter.d/custom-app.conf'), join(tree(), 'filter.d/sshd.local'));
  const { plan } = importTree(tree());
  expect(plan.jails[0]?.filter).toBe('sshd-own');
  expect(plan.filters.map(({ filter }) => filter.name)).toContain('sshd-own');
});

describe('a filter file under a built-in name that fail2ban never shipped', () => {
  const filterOf = (failregex: string): { filter: string | undefined; told: string[] } => {
    writeFileSync(join(tree(), 'filter.d/sshd.conf'), `[Definition]\nfailregex = ${failregex}\n`);
    const { plan, notes } = importTree(tree());
    const told = notes.filter(({ jail, weight }) => jail === 'sshd' && weight === 'warning').map(({ text }) => text);
    return { filter: plan.jails[0]?.filter, told };
  };

  test('is translated where it can be', () =>
    expect(filterOf('^denied <HOST>$')).toEqual({ filter: 'sshd-own', told: [] }));
  test('is replaced by the built-in filter, with a warning, where it cannot', () => {
    expect(filterOf('^denied (\\S+) \\1 <HOST>$')).toEqual({
      filter: 'sshd',
      told: [expect.stringContaining('fail2ban never shipped')],
    });
  });
});

test('text of the tree reaches the terminal without escapes', () => {
  add('jail.local', '\n[x]\nenabled = true\nfilter = sshd\nlogpath = /var/log/a\nignoreip = \u001b[31mred\n');
  const text = reportText(importTree(tree()), undefined);
  expect(text).toContain('red');
  expect(text).not.toContain('\u001b');
});

describe('bans that run', () => {
  const now = 1_000_000;
  const database = (rows: [jail: string, ip: string | null, from: number, seconds: number][]): string => {
    const path = join(folder, 'fail2ban.sqlite3');
    const sqlite = new DatabaseSync(path);
    sqlite.exec('CREATE TABLE bips(ip TEXT, jail TEXT, timeofban INTEGER, bantime INTEGER)');
    const insert = sqlite.prepare('INSERT INTO bips(jail, ip, timeofban, bantime) VALUES (?, ?, ?, ?)');
    for (const row of rows) insert.run(...row);
    sqlite.close();
    return path;
  };

  test('become commands with what is left of their time', async () => {
    const path = database([
      ['sshd', '192.0.2.7', now - 100, 700],
      ['sshd', '192.0.2.8', now - 40, 600],
      ['sshd', '192.0.2.9', now - 600, 600],
      ['sshd', '2001:db8::7', now, -1],
      ['sshd', 'x; reboot', now, 600],
      ['sshd', null, now, 600],
      ['gone', '192.0.2.7', now, 600],
    ]);
    const bans = await readRunningBans(path, now);
    expect(banCommands(bans, (jail) => (jail === 'sshd' ? 'ssh' : undefined))).toEqual([
      '# 1 bans of "gone" are left out: the jail is not carried over',
      'fail2zig-client ban ssh 192.0.2.7 192.0.2.8 "10m" --reason "from fail2ban"',
      'fail2zig-client ban ssh 2001:db8::7 -1 --reason "from fail2ban"',
    ]);
    expect(readdirSync(folder).sort()).toEqual(['fail2ban.sqlite3', 'tree']);
  });

  test('are printed by --bans, and a file that is no database says so', async () => {
    const path = database([['sshd', '192.0.2.7', Math.floor(Date.now() / 1000), -1]]);
    expect(await run([tree(), '--bans', '--database', path])).toBe(0);
    expect(said).toBe('fail2zig-client ban sshd 192.0.2.7 -1 --reason "from fail2ban"\n');
    writeFileSync(out, 'no database');
    expect(await run([tree(), '--bans', '--database', out])).toBe(1);
  });
});

describe('beside fail2ban', () => {
  const lines = [
    '2025-03-07T18:00:00+00:00 host custom-app[103]: login failed for a b from 192.0.2.9 port 40024',
    '2025-03-07T18:00:01+00:00 host custom-app[103]: bad token x x from 192.0.2.9',
    '2025-03-07T18:00:02+00:00 host custom-app[103]: login failed for x from 203.0.113.9',
  ];

  test('lines and bans that differ are reported with the reason', async () => {
    const imported = importTree(tree());
    const [result] = await compareJails(imported, ['custom-app'], lines, 1_741_370_400, () => ({
      version: '1.0.2',
      lines: [['192.0.2.9'], ['192.0.2.9'], []],
      bans: [{ ip: '192.0.2.9', line: 1 }],
    }));
    expect(result).toMatchObject({ jail: 'custom-app', lines: 3, ours: 1, theirs: 2, sameBans: 0 });
    expect(result?.differences.map(({ line, reason }) => [line, reason])).toEqual([
      [2, 'an expression of the filter is not translated, or matches less'],
    ]);
    expect(result?.onlyTheirBans).toEqual(['192.0.2.9 at line 2']);
  });

  test('without fail2ban only our result is shown, and that fail2ban was not asked', async () => {
    const imported = importTree(tree());
    const [result] = await compareJails(imported, ['custom-app'], lines, 1_741_370_400, () => 'there is none');
    expect(result).toMatchObject({ ours: 1, differences: [], unasked: 'there is none' });
  });
});
