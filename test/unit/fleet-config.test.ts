/** [fleet]: what it takes and refuses, the jail that it brings, and where secrets may stand. */
import { chmodSync, mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { compileConfig } from '../../src/config/compile.ts';
import { knownFilters } from '../../src/config/known-filters.ts';
import type { ConfigError } from '../../src/config/problem.ts';
import { readPem, readSecret, SecretError, whyUnsafe } from '../../src/fleet/secrets.ts';
import { temporaryDirectory } from '../support/control.ts';

const compile = (text: string) => compileConfig(text, 'f.toml', { filters: knownFilters, groupId: () => 0 });
const problem = (text: string): string => {
  try {
    compile(text);
  } catch (error) {
    return (error as Error).message;
  }
  return '';
};
const sends = 'machine = "web-1"\npassword_file = "/etc/fail2zig/password"\n';
const receives = 'api_key_file = "/etc/fail2zig/key"\n';
const url = '[fleet]\nurl = "https://lapi.example.net:8080/"\n';

test('what is not said has a default, and nothing is there without the section', () => {
  expect(compile('')).not.toHaveProperty('fleet');
  expect(compile(`${url}${sends}${receives}enabled = false`)).not.toHaveProperty('fleet');
  const { fleet, config } = compile(`${url}${sends}${receives}`);
  expect(fleet).toEqual({
    url: 'https://lapi.example.net:8080',
    machine: 'web-1',
    passwordFile: '/etc/fail2zig/password',
    apiKeyFile: '/etc/fail2zig/key',
    receives: true,
    intervalSeconds: 10,
    jail: 'fleet',
    entriesMax: 250_000,
    directory: '/var/lib/fail2zig-fleet',
    spoolBytes: 16 * 1024 * 1024,
    metricsPort: 9101,
  });
  expect(config).not.toHaveProperty('fleet');
});

test('who receives has a jail without a log, of which [jails.NAME] may say the rest', () => {
  const { config } = compile(`${url}${receives}jail = "others"\n[jails.others]\nport = "ssh"\nipv6_prefix = 48`);
  expect(config.jails).toMatchObject([{ name: 'others', filter: 'others', logpath: [], ipv6Prefix: 48 }]);
  expect(config.jails[0]).not.toHaveProperty('journal');
  expect(config.filters.map(({ name }) => name)).toEqual(['others']);
  expect(compile(`${url}${sends}`).config.jails).toEqual([]);
  const journals = compile(`${url}${receives}[defaults]\nsource = "journal"`);
  expect(journals.config.jails).toMatchObject([{ name: 'fleet', logpath: [] }]);
  const own = compile(`${url}${receives}[jails.fleet]\nfilter = "sshd"\nlogpath = "/var/log/auth.log"`);
  expect(own.config.jails).toMatchObject([{ filter: 'sshd', logpath: ['/var/log/auth.log'] }]);
});

test.each([
  ['[fleet]', /fleet\.url: is missing/],
  [url, /api_key_file: is missing: nothing is sent and nothing is received/],
  [`${url}machine = "a"`, /password_file: is missing beside machine/],
  [`${url}${receives}password_file = "/p"`, /machine: is missing beside password_file/],
  [`${url}${receives}certificate = "/c"`, /fleet\.key: is missing beside certificate/],
  [`${url}${receives}key = "/k"`, /fleet\.certificate: is missing beside key/],
  [`[fleet]\nurl = "http://127.0.0.1:8080"\n${receives}ca = "/c"`, /fleet\.ca: is for https only/],
  ['[fleet]\nurl = "ftp://h"', /is not the URL of a server/],
  ['[fleet]\nurl = "https://u:p@h"', /holds a password/],
  ['[fleet]\nurl = "https://h/?a=1"', /holds "\?" or "#"/],
  ['[fleet]\nurl = 7', /expected a URL/],
  [`${url}${receives}entries_max = 0`, /must be at least 1/],
  [`${url}${receives}spool_size = "1KB"`, /smaller than 64KB/],
  [`${url}${receives}interval = "2h"`, /longer than 1h/],
  [`${url}${receives}apikey = "x"`, /fleet\.apikey: unknown key/],
  [`${url}${receives}jail = "a b"`, /not a usable name/],
])('refused: %j', (text, why) => {
  expect(problem(text)).toMatch(why);
});

/** Each problem as `KIND LINE:COLUMN KEY: REASON (HINT)`. */
const problems = (text: string): string[] => {
  try {
    compile(text);
  } catch (error) {
    return (error as ConfigError).problems.map(
      ({ kind, line, column, key, reason, hint }) => `${kind} ${line}:${column} ${key}: ${reason} (${hint})`,
    );
  }
  return [];
};

test.each([
  [
    '[fleet]\nca = "/c"\nmachine = "a"\npassword_file = "/p"',
    ['missing 1:2 fleet.url: is missing (write url = "https://lapi.example.net:8080")'],
  ],
  [
    `[fleet]\nurl = "http://h"\n${receives}ca = "/c"`,
    ['value 4:6 fleet.ca: is for https only: url is http (undefined)'],
  ],
  [`${url}${receives}certificate = "/c"`, ['missing 1:2 fleet.key: is missing beside certificate (undefined)']],
  [
    `${url}password_file = "/p"\n${receives}`,
    ['missing 1:2 fleet.machine: is missing beside password_file (write the name that the server knows this host by)'],
  ],
  [
    `${url}machine = "a"`,
    ['missing 1:2 fleet.password_file: is missing beside machine (name the file, or a client certificate)'],
  ],
  [
    url,
    [
      'missing 1:2 fleet.api_key_file: is missing: nothing is sent and nothing is received (set machine and password_file to send bans, api_key_file to receive them)',
    ],
  ],
  [
    `${url}${receives}jail = "sshd"`,
    [
      'value 4:8 fleet.jail: names no jail that is enabled, and bans of others need "sshd" (enable it, or name one that is neither a filter nor a jail of yours)',
    ],
  ],
  [
    `${url}${receives}[jails.fleet]\nenabled = false`,
    [
      'value 1:2 fleet.jail: names no jail that is enabled, and bans of others need "fleet" (enable it, or name one that is neither a filter nor a jail of yours)',
    ],
  ],
  [
    `${url}${receives}jail = "sshd"\n[jails.sshd]\nport = "ssh"`,
    ['missing 5:8 jails.sshd.logpath: is missing (write logpath = "/var/log/…", or source = "journal")'],
  ],
  [`${url}${receives}jail = "sshd"\n[jails.sshd]\nlogpath = "/x"`, []],
  [
    `${url}${receives}[defaults]\nipv4_prefix = 24`,
    [
      'value 5:15 defaults.ipv4_prefix: jail fleet bans what other hosts found, one address at a time (write ipv4_prefix = 32 in [jails.fleet])',
    ],
  ],
  [`${url}${receives}[defaults]\nipv4_prefix = 24\n[jails.fleet]\nipv4_prefix = 32`, []],
])('what is said, and where: %j', (text, said) => {
  expect(problems(text)).toEqual(said);
});

test('a certificate stands for password and key', () => {
  const tls = 'certificate = "/c"\nkey = "/k"\n';
  const common = { intervalSeconds: 10, jail: 'fleet', entriesMax: 250_000, spoolBytes: 16 * 1024 * 1024 };
  const rest = { ...common, directory: '/var/lib/fail2zig-fleet', metricsPort: 9101 };
  const server = { url: 'https://lapi.example.net:8080', certificate: '/c', key: '/k' };
  expect(compile(`${url}${tls}`).fleet).toStrictEqual({ ...server, receives: true, ...rest });
  expect(compile(`${url}${tls}machine = "web-1"`).fleet).toStrictEqual({
    ...server,
    receives: false,
    machine: 'web-1',
    ...rest,
  });
  expect(compile(`${url}${receives}ca = "/ca"`).fleet).toStrictEqual({
    url: server.url,
    receives: true,
    apiKeyFile: '/etc/fail2zig/key',
    ca: '/ca',
    ...rest,
  });
});

test('paths lose the slashes at their end', () => {
  const { fleet } = compile(`[fleet]\nurl = "https://lapi.example.net/a//"\n${receives}directory = "/srv/fleet//"`);
  expect(fleet).toMatchObject({ url: 'https://lapi.example.net/a', directory: '/srv/fleet' });
});

test('there is a jail for bans of others where they are received, and only there', () => {
  const jails = (text: string): string[] => compile(text).config.jails.map(({ name }) => name);
  const tls = 'certificate = "/c"\nkey = "/k"\n';
  expect(jails(`${url}${tls}`)).toEqual(['fleet']);
  expect(jails(`${url}${tls}machine = "web-1"`)).toEqual([]);
  expect(jails(`${url}${tls}machine = "web-1"\n${receives}`)).toEqual(['fleet']);
  expect(jails(`${url}${receives}enabled = false`)).toEqual([]);
  expect(jails(`${url}${receives}enabled = true`)).toEqual(['fleet']);
});

test('its jail has a filter that no log line of a service fits, or one of the operator', () => {
  const [silent] = compile(`${url}${receives}`).filters;
  expect(silent).toMatchObject({
    definition: { name: 'fleet', about: 'matches no log: fail2zig-fleet bans in its jail' },
    samples: ['fail2zig-fleet was told of 192.0.2.1'],
  });
  const filter = (name: string): string => `[[filter]]\nname = "${name}"\npattern = "${name} {ip}"\n`;
  const names = (text: string): string[] => compile(text).config.filters.map(({ name }) => name);
  expect(names(`${url}${receives}${filter('own')}`)).toEqual(['own', 'fleet']);
  expect(names(`${url}${receives}${filter('fleet')}`)).toEqual(['fleet']);
  expect(compile(`${url}${receives}${filter('fleet')}`).filters[0]!.samples).toEqual([]);
});

test('plain HTTP to another host is warned of', () => {
  const warned = (host: string) => compile(`[fleet]\nurl = "http://${host}:8080"\n${receives}`).warnings.join();
  expect(warned('192.0.2.1')).toMatch(/clear text/);
  for (const host of ['[2001:db8::1]', 'localhost.example.net', '127.example.net'])
    expect(warned(host)).toMatch(/^fleet/);
  for (const host of ['127.0.0.1', 'localhost', '[::1]']) expect(warned(host)).not.toMatch(/clear text/);
});

test.each([
  [0, 0o600, undefined],
  [0, 0o640, undefined],
  [0, 0o440, undefined],
  [7, 0o400, undefined],
  [7, 0o640, /open to its group/],
  [0, 0o644, /every user/],
  [0, 0o660, /more than reading/],
  [8, 0o600, /user 8/],
])('a secret of user %i with mode %o', (uid, mode, why) => {
  const found = whyUnsafe({ uid, mode: 0o100_000 | mode }, 7);
  if (why === undefined) expect(found).toBeUndefined();
  else expect(found).toMatch(why);
});

test('a secret is one word of a regular file', () => {
  const { path } = temporaryDirectory();
  const file = join(path, 'secret');
  const write = (text: string | Buffer, mode = 0o600): void => {
    writeFileSync(file, text);
    chmodSync(file, mode);
  };
  write('correct-horse\n');
  expect(readSecret(file)).toBe('correct-horse');
  const refused = (why: RegExp): void => {
    expect(() => readSecret(file)).toThrow(SecretError);
    expect(() => readSecret(file)).toThrow(why);
  };
  for (const text of ['two words', 'a\nb\n', 'caf\xe9', 'a\0']) {
    write(text);
    refused(/more than one word/);
  }
  write('\n');
  refused(/is empty/);
  write('x'.repeat(5_000));
  refused(/longer than 4096/);
  write('x', 0o604);
  refused(/every user/);
  expect(() => readSecret(join(path, 'none'))).toThrow(/cannot be opened: ENOENT/);
  mkdirSync(join(path, 'folder'));
  expect(() => readSecret(join(path, 'folder'))).toThrow(/no regular file/);
  write('no certificate', 0o644);
  expect(() => readPem(file, false)).toThrow(/no PEM file/);
});
