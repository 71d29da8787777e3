/**
 * What an import writes: the configuration to the letter, with the place of each line, and the
 * report that says what was lost. Also the bans that run, and the files that a log path means.
 */
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { importTree } from '../../src/import/import.ts';
import { matchingPaths } from '../../src/import/log-files.ts';
import { Notes } from '../../src/import/notes.ts';
import { exitOf, reportJson, reportText } from '../../src/import/report.ts';
import { fitFilters } from '../../src/import/room.ts';
import { banCommands } from '../../src/import/running-bans.ts';
import { servicePorts } from '../../src/import/services.ts';
import { tomlString, tomlValue } from '../../src/import/write.ts';
import { banSecondsMax, programBytesMax } from '../../src/limits.ts';

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'import-'));
});
afterEach(() => rmSync(folder, { recursive: true }));

function write(path: string, text: string): void {
  mkdirSync(dirname(join(folder, path)), { recursive: true });
  writeFileSync(join(folder, path), text);
}

const shared = `[DEFAULT]
bantime = 1h
maxretry = 4
action = iptables
logpath = /var/log/%(__name__)s.log
`;
const own = `[Definition]
failregex = ^failed "login" from <HOST>$
            ^denied (\\d+) (\\S+) \\1 <HOST>$
            ^it's refused <HOST> port \\d+$
ignoreregex = ^failed "login" from <HOST> again$
`;

describe('a tree of which parts are lost', () => {
  const imported = () => {
    write('filter.d/own.conf', own);
    write(
      'jail.conf',
      `${shared}[own app]
enabled = true
filter = own
maxretry = 3
logencoding = latin1
[lost]
enabled = true
filter = nowhere
[half]
enabled = true
filter = own
ignorecommand = /bin/true
`,
    );
    return importTree(folder);
  };
  const refusal =
    'ignorecommand is refused: fail2zig runs no program for a log line; without it, sources that it spares would be banned: /bin/true (put their addresses into ignoreip, then set enabled = true)';
  const construct = '\\1: it must match earlier text again: ^denied (\\d+) (\\S+) \\1 <HOST>$ (write the text itself)';

  test('is written with the place of each line, and what is lost stands where it is', () => {
    const { text } = imported();
    expect(text.split('\n\n').slice(1).join('\n\n').replaceAll(folder, 'TREE')).toBe(`[[filter]]  # filter.d/own.conf:2
name = "own"
about = "fail2ban's own"
patterns = [
  # filter.d/own.conf:2: ^failed "login" from <HOST>$
  'failed "login" from {ip}{end}',
  # filter.d/own.conf:4: ^it's refused <HOST> port \\d+$
  "it's refused {ip} port {number}{end}",
]
ignore = [
  # filter.d/own.conf:5: ^failed "login" from <HOST> again$
  'failed "login" from {ip} again{end}',
]

# warning: filter.d/own.conf:3: ${construct}
[jails.own-app]  # [own app] jail.conf:7
filter = "own"  # filter.d/own.conf:2
logpath = "/var/log/own app.log"  # jail.conf:5
maxretry = 3  # jail.conf:9
bantime = "1h"  # jail.conf:2

# NOT PROTECTED: jail.conf:12: the filter "nowhere" is neither in the tree nor built in
# [jails.lost]  # [lost] jail.conf:12
# enabled = false  # see above
# logpath = "/var/log/lost.log"  # jail.conf:5
# maxretry = 4  # jail.conf:3
# bantime = "1h"  # jail.conf:2

# NOT PROTECTED: jail.conf:17: ${refusal}
[jails.half]  # [half] jail.conf:15
enabled = false  # see above
filter = "own"  # filter.d/own.conf:2
logpath = "/var/log/half.log"  # jail.conf:5
maxretry = 4  # jail.conf:3
bantime = "1h"  # jail.conf:2
`);
    expect(text.replaceAll(folder, 'TREE')).toMatch(
      /^# Translated from TREE by `fail2zig import`\. Each line says where it came from\.\n/,
    );
  });

  test('is reported in a table, with what is lost, what is worth knowing, and a summary', () => {
    const report = imported();
    expect(reportText(report, '/etc/x\x1b.toml', ['more'])).toBe(`jail     filter
own-app  own     translated  1 warning
lost     -                   NOT PROTECTED
half     own     translated  NOT PROTECTED
warning: own app filter.d/own.conf:3: ${construct}
NOT PROTECTED: lost jail.conf:12: the filter "nowhere" is neither in the tree nor built in
NOT PROTECTED: half jail.conf:17: ${refusal}
worth knowing:
  info: own app jail.conf:10: logencoding is not needed: bytes are compared as they are: latin1
more
one attempt counts once here, however many lines it leaves: a source may be banned an attempt later than by fail2ban
→ translated 1 jail · 2 not protected · 1 warning · wrote /etc/x\\x1b.toml
`);
    expect(exitOf(report)).toBe(4);
    const json = reportJson(report, undefined, 4) as {
      written: unknown;
      jails: Record<string, unknown>[];
      filters: Record<string, unknown>[];
    };
    expect(json).toMatchObject({ source: folder, written: null, exit: 4, notes: report.notes });
    expect(json.jails.map(({ settings, ...rest }) => rest)).toEqual([
      { jail: 'own app', name: 'own-app', enabled: true, filter: 'own', translated: true, from: 'jail.conf:7' },
      { jail: 'lost', name: 'lost', enabled: false, filter: null, translated: false, from: 'jail.conf:12' },
      { jail: 'half', name: 'half', enabled: false, filter: 'own', translated: true, from: 'jail.conf:15' },
    ]);
    expect(json.filters).toMatchObject([
      {
        name: 'own',
        from: 'filter.d/own.conf:2',
        log_tag: null,
        patterns: [{ pattern: 'failed "login" from {ip}{end}', expression: '^failed "login" from <HOST>$' }, {}],
        ignore: [{ pattern: 'failed "login" from {ip} again{end}' }],
      },
    ]);
    expect(reportJson(report, '/x', 4)).toMatchObject({ written: '/x' });
  });
});

describe('a tree that is carried over', () => {
  const jails = (names: string[], more = ''): string =>
    `${shared}${more}${names.map((name) => `[${name}]\nenabled = true\nfilter = sshd\n`).join('')}`;

  test('says so, and settings that all jails have from one place are defaults', () => {
    write('jail.conf', jails(['sshd', 'b'], 'ignoreip = 192.0.2.7\nport = ssh\n'));
    write('filter.d/own.conf', own);
    const imported = importTree(folder);
    expect(imported.text.split('\n\n').slice(1).join('\n\n')).toBe(`[defaults]
maxretry = 4  # jail.conf:3
bantime = "1h"  # jail.conf:2
ignoreip = ["192.0.2.7"]  # jail.conf:6

[jails.sshd]  # [sshd] jail.conf:9
logpath = "/var/log/sshd.log"  # jail.conf:5
port = "ssh"  # jail.conf:7

[jails.b]  # [b] jail.conf:12
filter = "sshd"  # jail.conf:12
logpath = "/var/log/b.log"  # jail.conf:5
port = "ssh"  # jail.conf:7
`);
    expect(exitOf(imported)).toBe(0);
    expect(reportText(imported, undefined).split('\n')).toEqual([
      'jail  filter',
      'sshd  sshd    built in  carried over',
      'b     sshd    built in  carried over',
      expect.stringContaining('one attempt counts once here'),
      '→ translated 2 jails · 0 warnings · wrote nothing',
      '',
    ]);
  });

  test('has no defaults with one jail, and none for what differs', () => {
    write('jail.conf', jails(['sshd']));
    expect(importTree(folder).text).not.toContain('[defaults]');
    write('jail.conf', `${jails(['sshd', 'b'])}maxretry = 4\n`);
    const { text } = importTree(folder);
    expect(text).toContain('[defaults]\nbantime = "1h"  # jail.conf:2\n\n');
    expect(text).toContain('maxretry = 4  # jail.conf:12');
  });

  test('may be empty', () => {
    write('jail.conf', shared);
    const imported = importTree(folder);
    expect(reportText(imported, undefined)).toMatch(/^no jail is enabled\n/);
    expect(imported.plan.jails).toEqual([]);
  });
});

test('what our own reader refuses is left out, and the rest stands', () => {
  write(
    'jail.conf',
    `${shared}[sshd]\nenabled = true\nfilter = sshd\nlogtimezone = Mars/Base\n[b]\nenabled = true\nfilter = sshd\n`,
  );
  const { text, plan, notes } = importTree(folder);
  expect(plan.jails.map(({ name, enabled }) => [name, enabled])).toEqual([
    ['sshd', true],
    ['b', true],
  ]);
  expect(text).not.toContain('timezone = ');
  expect(notes).toEqual([
    {
      weight: 'warning',
      jail: 'sshd',
      place: 'jail.conf:7',
      text: 'left out: jails.sshd.timezone: expected a time zone such as "Europe/Berlin" or "+02:00", found the string "Mars/Base"',
    },
  ]);
});

test('texts of TOML are literal where a quote would need an escape, and nothing hides in them', () => {
  expect(tomlString('a')).toBe('"a"');
  expect(tomlString('a"b')).toBe(`'a"b'`);
  expect(tomlString(`a"b'c`)).toBe(`"a\\"b'c"`);
  expect(tomlString('a"\x1b')).toBe('"a\\"\\u001b"');
  expect(tomlString('\x7f')).toBe('"\\u007f"');
  expect(tomlString('a\\b')).toBe('"a\\\\b"');
  expect([1, true, 'x', ['a', 'b'], [1, 2]].map((value) => tomlValue(value as never))).toEqual([
    '1',
    'true',
    '"x"',
    '["a", "b"]',
    '[1, 2]',
  ]);
});

test('a note is there once', () => {
  const notes = new Notes();
  const note = { weight: 'warning', jail: 'a', place: 'x:1', text: 'why' } as const;
  notes.add(note);
  notes.add({ ...note });
  notes.add({ ...note, weight: 'info', text: 'more' });
  notes.add({ ...note, jail: 'b' });
  notes.add({ ...note, place: 'x:2' });
  notes.add({ ...note, found: 'f' });
  expect(notes.all).toHaveLength(5);
  expect([notes.count('warning'), notes.count('info'), notes.count('lost')]).toEqual([4, 1, 0]);
  expect([notes.has('warning', 'b'), notes.has('info', 'b'), notes.has('info'), notes.has('lost')]).toEqual([
    true,
    false,
    true,
    false,
  ]);
});

describe('bans that run, as commands', () => {
  const ban = (address: string, seconds: number, jail = 'sshd') => ({ jail, address, seconds });
  test('have one time for a command, to the minute, and a hundred addresses', () => {
    expect(
      banCommands([ban('192.0.2.1', 1), ban('192.0.2.2', 60), ban('192.0.2.3', 61), ban('::1', -1)], (name) => name),
    ).toEqual([
      'fail2zig-client ban sshd 192.0.2.1 192.0.2.2 "1m" --reason "from fail2ban"',
      'fail2zig-client ban sshd 192.0.2.3 "2m" --reason "from fail2ban"',
      'fail2zig-client ban sshd ::1 -1 --reason "from fail2ban"',
    ]);
    const many = Array.from({ length: 201 }, (_, at) => ban(`192.0.2.${at}`, banSecondsMax));
    const commands = banCommands(many, () => 'ours');
    expect(commands.map((line) => line.split(' ').length)).toEqual([105, 105, 6].map((count) => count + 2 + 1));
    expect(commands[0]).toMatch(/^fail2zig-client ban ours 192\.0\.2\.0 .* 192\.0\.2\.99 "521w 3d" --reason/);
    expect(banCommands([ban('::1', 9, 'a"b'), ban('::2', 9, 'a"b')], () => undefined)).toEqual([
      '# 2 bans of "a\\"b" are left out: the jail is not carried over',
    ]);
  });
});

test('a log path means the regular files that match now', () => {
  write('a1/x.log', '');
  write('a2/x.log', '');
  write('a2/y.txt', '');
  write('b/x.log', '');
  mkdirSync(join(folder, 'a1/folder.log'));
  const found = (pattern: string, most = 9): string[] =>
    matchingPaths(join(folder, pattern), most).map((path) => path.slice(folder.length));
  expect(found('a1/x.log')).toEqual(['/a1/x.log']);
  expect(found('a?/*.log').toSorted()).toEqual(['/a1/x.log', '/a2/x.log']);
  expect(found('*/x.log', 2)).toHaveLength(2);
  expect(found('none/*.log')).toEqual([]);
  expect(found('a1')).toEqual([]);
});

const readServices = (): string => (existsSync('/etc/services') ? readFileSync('/etc/services', 'utf8') : '');

test('services of this host have the numbers that /etc/services gives them', () => {
  const ports = servicePorts();
  for (const [name, port] of ports) {
    expect(name).toBe(name.toLowerCase());
    expect(port).toBeLessThanOrEqual(65_535);
  }
  if (ports.size > 0) expect([ports.get('ssh'), ports.get('domain')]).toEqual([22, 53]);
  // By its other names too: http is www.
  for (const [, port, alias] of readServices().matchAll(/^\w\S*\s+(\d+)\/(?:tcp|udp)[ \t]+([^\s#]+)/gm)) {
    expect(ports.has(alias!.toLowerCase()), `${alias}, which is ${port}`).toBe(true);
  }
});

test('filters that need more room than there is give up patterns, the largest first', () => {
  const filter = (name: string, count: number) => ({
    name,
    rows: Array.from({ length: count }, (_, at) => ({
      pattern: `${at}${'x'.repeat(700)} {ip}`,
      expression: `^${at}`,
      from: { file: 'f', line: 1 },
    })),
    ignore: [],
    tags: undefined,
  });
  const large = filter('large', 190);
  const small = filter('small', 10);
  const told: string[] = [];
  fitFilters([large, small] as never, ({ name }, text) => told.push(`${name}: ${text}`));
  expect(small.rows).toHaveLength(10);
  expect(large.rows.length).toBeGreaterThan((programBytesMax / 720) * 0.8 - 10);
  expect(large.rows.length).toBeLessThan(programBytesMax / 700 - 10);
  expect(large.rows[0]!.expression).toBe('^0');
  expect(told[0]).toMatch(
    /^large: \d+ of its 190 patterns are left out: the filters of a configuration have so much room$/,
  );
  const before = large.rows.length;
  told.length = 0;
  fitFilters([large, small] as never, ({ name }) => told.push(name));
  expect([large.rows.length, told]).toEqual([before, []]);
});
