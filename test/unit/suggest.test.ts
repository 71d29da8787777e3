/**
 * `check --suggest` on small systems made of files: what it finds, that `check` accepts its output,
 * and that it changes nothing.
 */
import { spawnSync } from 'node:child_process';
import {
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import fc from 'fast-check';
import { afterAll, describe, expect, test } from 'vitest';
import { knownFilters } from '../../src/config/known-filters.ts';
import { portRangesMax } from '../../src/config/limits.ts';
import { ownSession } from '../../src/config/own-session.ts';
import { parsePorts } from '../../src/config/port.ts';
import { journalOrigins } from '../../src/filters/journal.ts';
import { splitPattern } from '../../src/sources/glob.ts';
import { factsOf } from '../../src/suggest/host.ts';
import { services, sharedLogs } from '../../src/suggest/services.ts';
import { sshdPorts } from '../../src/suggest/sshd-config.ts';
import { imaged, packaged, writeSuggestion } from '../../src/suggest/write.ts';
import { compileJails } from '../support/compile-jails.ts';

const folder = mkdtempSync(join(tmpdir(), 'fail2zig-suggest-'));
afterAll(() => rmSync(folder, { recursive: true }));
const main = join(import.meta.dirname, '../../src/main.ts');

let systems = 0;
/** A system of these files; returns its root. */
function system(files: Record<string, string>): string {
  const root = join(folder, String(systems++));
  mkdirSync(root);
  for (const [path, text] of Object.entries(files)) {
    mkdirSync(join(root, dirname(path)), { recursive: true });
    writeFileSync(join(root, path), text);
  }
  return root;
}

const machine = '0123456789abcdef0123456789abcdef';
const journal = { [`/var/log/journal/${machine}/system.journal`]: '' };
const ssh = { '/usr/lib/systemd/system/ssh.service': '' };

const jailsOf = (text: string) => compileJails(text).jails;

function suggested(files: Record<string, string>): string {
  return writeSuggestion(factsOf(system(files), undefined));
}

/** jail → its logs, or 'journal'. */
function sources(files: Record<string, string>): Record<string, unknown> {
  return Object.fromEntries(
    jailsOf(suggested(files)).map((jail) => [jail.name, jail.journal ? 'journal' : jail.logpath]),
  );
}

describe('services', () => {
  test('a host with log files', () => {
    expect(
      sources({ ...ssh, ...journal, '/var/log/auth.log': '', '/var/log/nginx/error.log': '', '/var/log/mail.log': '' }),
    ).toEqual({ sshd: ['/var/log/auth.log'], 'nginx-http-auth': ['/var/log/nginx/*error.log'] });
  });

  test('the journal where a filter reads it and there is no log file', () => {
    const files = { ...ssh, ...journal, '/usr/lib/systemd/system/dovecot.service': '', '/etc/postfix/main.cf': '' };
    expect(sources(files)).toEqual({ sshd: 'journal', postfix: 'journal', dovecot: 'journal' });
  });

  test('the journal, where the log file is left over from another time', () => {
    const root = system({ ...ssh, ...journal, '/var/log/auth.log': '' });
    utimesSync(join(root, '/var/log/auth.log'), 1_700_000_000, 1_700_000_000);
    const [found] = factsOf(root, undefined, 1_700_000_000 + 8 * 86_400).found;
    expect(found).toMatchObject({ logs: [], journal: true });
    expect(factsOf(root, undefined, 1_700_000_000 + 6 * 86_400).found[0]).toMatchObject({ journal: false });
  });

  test('a service without log and journal is a comment that says so', () => {
    const text = suggested(ssh);
    expect(jailsOf(text)).toEqual([]);
    expect(text).toContain('# sshd is installed, but has neither a log nor a journal.\n# [jails.sshd]\n');
  });

  test('a shared log says nothing of a service that is not there, nor does a masked unit', () => {
    expect(sources({ '/var/log/auth.log': '', '/var/log/mail.log': '', '/var/log/syslog': '' })).toEqual({});
    const root = system({
      '/usr/lib/systemd/system/ssh.service': '',
      '/var/log/auth.log': '',
      '/etc/systemd/system/x': '',
    });
    symlinkSync('/dev/null', join(root, '/etc/systemd/system/ssh.service'));
    expect(factsOf(root, undefined).found).toEqual([]);
  });

  test('what goes beyond failed logins is a comment', () => {
    expect(suggested({ '/var/log/apache2/error.log': '' })).toContain(
      '# [jails.apache-botsearch]\n# logpath = "/var/log/apache2/*error.log"\n# port = "http,https"\n',
    );
  });

  test('every row names filters, ports and paths that there are', () => {
    for (const { filters, more, port, logs } of services) {
      for (const filter of [...filters, ...more]) expect(knownFilters.map(({ name }) => name)).toContain(filter);
      if (port !== '') expect(parsePorts(port)).toMatchObject({ ok: true });
      for (const path of typeof logs === 'string' ? sharedLogs[logs] : logs) expect(splitPattern(path)).not.toEqual([]);
      // A service that shares a log must be found by a unit or by its settings, and must be read
      // from the journal.
      if (typeof logs === 'string') for (const filter of filters) expect([...journalOrigins.keys()]).toContain(filter);
    }
    const each = services.flatMap(({ filters, more }) => [...filters, ...more]);
    expect(new Set(each).size).toBe(each.length);
  });

  test('all of them at once can be used', () => {
    const found = services.map((service) => ({ service, logs: ['/var/log/x.log'], journal: false }));
    const text = writeSuggestion({ found, sshdPorts: [22], metricsPort: 19_100, session: '203.0.113.7' });
    expect(jailsOf(text)).toHaveLength(services.flatMap(({ filters }) => filters).length);
  });
});

describe('the ports of sshd', () => {
  const ports = (config: string, others: Record<string, string> = {}) =>
    sshdPorts(system({ '/etc/ssh/sshd_config': config, ...others }));

  test.each<[string, string, number[]]>([
    ['nothing', '', [22]],
    ['Port, often, in any case, with "=" and quotes', 'PORT 2222\n port=22\nPort "2022"\n', [22, 2022, 2222]],
    ['comments', '#Port 2222\nPort 24 # and no other\n', [24]],
    ['addresses without a port listen on each Port', 'ListenAddress 192.0.2.1\nPort 2222\nPort 2223\n', [2222, 2223]],
    [
      'addresses with a port',
      'Port 2222\nListenAddress 192.0.2.1:2022\nListenAddress [2001:db8::1]:2023\n',
      [2022, 2023],
    ],
    ['an IPv6 address is no port', 'ListenAddress 2001:db8::2024\n', [22]],
    ['brackets without a port', 'Port 2222\nListenAddress [2001:db8::1]\n', [2222]],
    ['a Match block is left out', 'Port 2222\nMatch User git\nPort 24\nListenAddress 192.0.2.1:25\n', [2222]],
    ['no port at all', 'Port 0\nPort 65536\nPort ssh\nPort -1\nListenAddress\nPort\n', [22]],
  ])('%s', (_, config, expected) => {
    expect(ports(config)).toEqual(expected);
  });

  test('Include, below /etc/ssh and elsewhere; a Match there ends with its file', () => {
    const others = {
      '/etc/ssh/sshd_config.d/a.conf': 'Port 2201\nMatch all\nPort 1\n',
      '/etc/ssh/sshd_config.d/b.conf': 'Port 2202\n',
      '/etc/ssh/sshd_config.d/b.txt': 'Port 2\n',
      '/srv/ssh.conf': 'Port 2203\n',
    };
    const config = 'Include sshd_config.d/*.conf /srv/ssh.conf ../nowhere\nPort 2204\nMatch all\nInclude /srv/*\n';
    expect(ports(config, others)).toEqual([2201, 2202, 2203, 2204]);
  });

  test('Include in a circle ends', () => {
    expect(ports('Port 2222\nInclude sshd_config sshd_config\n')).toEqual([2222]);
  });

  test("systemd's socket", () => {
    const socket =
      '[Socket]\nListenStream=\nListenStream=0.0.0.0:2222\nListenStream=[::]:2223\n ListenStream = 2224 \n';
    expect(ports('', { '/etc/systemd/system/ssh.socket.d/listen.conf': socket })).toEqual([22, 2222, 2223, 2224]);
  });

  test('any text means ports that a jail can name', () => {
    const word = fc.constantFrom(
      'Port',
      'ListenAddress',
      'Include',
      'Match',
      ' ',
      '=',
      '"',
      '#',
      '\n',
      ':',
      '[',
      '*',
      '22',
    );
    const text = fc.array(fc.oneof(word, fc.string({ maxLength: 6 })), { maxLength: 40 });
    const root = system({ ...ssh, ...journal, '/etc/ssh/sshd_config': '' });
    fc.assert(
      fc.property(text, (words) => {
        writeFileSync(join(root, '/etc/ssh/sshd_config'), words.join(''));
        const found = sshdPorts(root);
        expect(found.length).toBeGreaterThan(0);
        for (const port of found) expect(port > 0 && port < 65_536).toBe(true);
        expect(found.length > portRangesMax || parsePorts(found.join(',')).ok).toBe(true);
      }),
      { numRuns: 200 },
    );
  });

  test('more than a jail may name are all ports', () => {
    const many = Array.from({ length: portRangesMax + 1 }, (_, at) => `Port ${2 * at + 1}\n`).join('');
    const files = { ...ssh, ...journal, '/etc/ssh/sshd_config': many };
    expect(jailsOf(suggested(files))[0]?.ports).toEqual([]);
  });

  test('are the ports of the jail', () => {
    const files = { ...ssh, '/var/log/auth.log': '', '/etc/ssh/sshd_config': 'Port 2222\nPort 22\n' };
    expect(jailsOf(suggested(files))[0]?.ports).toEqual([
      { first: 22, last: 22 },
      { first: 2222, last: 2222 },
    ]);
  });
});

describe('the metrics page', () => {
  const listening = (port: number, inode = '77') =>
    `  sl  local_address rem_address st\n   0: 0100007F:${port.toString(16).toUpperCase()} 00000000:0000 0A 00000000:00000000 00:00000000 00000000 0 0 ${inode} 1\n`;

  test('moves where another program listens on its port, over IPv4 or IPv6', () => {
    const root = system({ '/proc/net/tcp': listening(9100), '/proc/net/tcp6': listening(19_100) });
    const facts = factsOf(root, undefined);
    expect(facts.metricsPort).toBe(19_101);
    expect(writeSuggestion(facts)).toContain('# Another program listens on 9100.\n[metrics]\nport = 19101\n');
  });

  test('stays where nobody listens, or we do', () => {
    const connected = listening(9100).replace(' 0A ', ' 01 ');
    const free = suggested({ '/proc/net/tcp': connected });
    expect(free).not.toContain('[metrics]');
    const root = system({
      '/proc/net/tcp': listening(9100),
      '/proc/7/cmdline': '/usr/bin/fail2zig\0',
      '/proc/7/fd/x': '',
    });
    expect(factsOf(root, undefined).metricsPort).toBe(19_100);
    symlinkSync('socket:[77]', join(root, '/proc/7/fd/9'));
    expect(factsOf(root, undefined).metricsPort).toBe(9100);
  });

  test('a real listener is seen', async () => {
    const server = createServer();
    const port = await new Promise<number>((resolve) =>
      server.listen(0, '127.0.0.1', () => resolve((server.address() as { port: number }).port)),
    );
    const lines = readFileSync('/proc/net/tcp', 'latin1').split('\n');
    const hexadecimal = port.toString(16).toUpperCase().padStart(4, '0');
    const line = lines.find((each) => each.includes(`0100007F:${hexadecimal} 00000000:0000 0A`)) ?? '';
    server.close();
    // The search depends on this line. Only its port is changed, to 9100.
    const root = system({ '/proc/net/tcp': `${lines[0]}\n${line.replace(`:${hexadecimal}`, ':238C')}\n` });
    expect(factsOf(root, undefined).metricsPort).toBe(19_100);
  });
});

describe("the operator's session", () => {
  test.each<[string, string | undefined]>([
    ['192.0.2.7 50022 198.51.100.1 22', '192.0.2.7'],
    ['::ffff:192.0.2.7 50022 ::1 22', '192.0.2.7'],
    ['2001:db8::7 50022 2001:db8::1 22', '2001:db8::7'],
    ['fe80::7%eth0 50022 fe80::1%eth0 22', 'fe80::7'],
    ['"]\nmaxretry = 1 #', undefined],
    ['', undefined],
  ])('SSH_CONNECTION=%j', (value, expected) => {
    const found = ownSession({ SSH_CONNECTION: value }, 0);
    expect(found && writeSuggestion({ ...packaged, session: expected })).toEqual(
      expected === undefined ? undefined : expect.stringContaining(`# ignoreip = ["${expected}"]`),
    );
  });

  test('SSH_CLIENT, and the processes that this one came from', () => {
    expect(ownSession({ SSH_CLIENT: '192.0.2.9 1 22' }, 0)?.bytes.at(-1)).toBe(9);
    const proc = system({
      '/40/environ': 'A=1\0B',
      '/40/stat': '40 (sudo (x) y) S 30 40',
      '/30/environ': 'A=b=c\0SSH_CONNECTION=192.0.2.8 1 198.51.100.1 22\0',
      '/30/stat': '30 (bash) S 20 30',
      '/20/environ': 'SSH_CONNECTION=192.0.2.6 1 198.51.100.1 22\0',
    });
    expect(ownSession({}, 40, proc)?.bytes.at(-1)).toBe(8);
    expect(ownSession({}, 41, proc)).toBeUndefined();
    const circle = system({ '/40/stat': '40 (x) S 41 4', '/41/stat': '41 (x) S 40 4' });
    expect(ownSession({}, 40, circle)).toBeUndefined();
  });
});

describe('the command', () => {
  /** The path of every file below, with its time and size. */
  const listing = (root: string) =>
    readdirSync(root, { recursive: true, encoding: 'utf8' })
      .toSorted()
      .map((path) => [path, statSync(join(root, path)).size, statSync(join(root, path)).mtimeMs]);
  const run = (args: string[], env: Record<string, string> = {}) =>
    spawnSync(process.execPath, [main, 'check', ...args], {
      encoding: 'utf8',
      env: { PATH: process.env.PATH, ...env },
    });

  test('prints what check takes, and changes nothing', () => {
    const root = system({ ...ssh, ...journal, '/etc/ssh/sshd_config': 'Port 2222\n', '/var/log/vsftpd.log': '' });
    const before = listing(root);
    const { status, stdout, stderr } = run(['--suggest', '--root', root], {
      SSH_CONNECTION: '203.0.113.7 1 192.0.2.1 22',
    });
    expect({ status, stderr }).toEqual({ status: 0, stderr: '' });
    expect(stdout).toContain('# ignoreip = ["203.0.113.7"]\n');
    expect(stdout).toContain('[jails.sshd]\nsource = "journal"\nport = "2222"\n');
    expect(listing(root)).toEqual(before);
    const path = join(folder, 'suggested.toml');
    writeFileSync(path, stdout, { mode: 0o644 });
    const checked = run(['--config', path]);
    expect(checked.stdout).toMatch(/^OK [\s\S]*jail sshd: [\s\S]*jail vsftpd: /);
    expect(checked.status).toBe(0);
  });

  test.each<[string[], number, string]>([
    [['--suggest', '--config', 'x'], 2, '--config does not go with --suggest'],
    [['--suggest', '--json'], 2, '--json does not go with --suggest'],
    [['--root', '/'], 2, '--root goes with --suggest only'],
    [['--suggest', '--root', '/no/such'], 1, '/no/such: no such directory'],
  ])('%j is refused', (args, status, said) => {
    const result = run(args);
    expect(result.stderr).toContain(said);
    expect(result).toMatchObject({ status, stdout: '' });
  });
});

test('what packages bring is made here, and can be used', () => {
  expect(jailsOf(writeSuggestion(packaged))).toMatchObject([{ name: 'sshd', journal: {}, ports: [] }]);
  expect(jailsOf(writeSuggestion(imaged))).toMatchObject([{ name: 'sshd', logpath: ['/var/log/auth.log'] }]);
});
