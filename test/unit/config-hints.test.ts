/**
 * What each setting takes, and what is said of a value that it does not take: why, and what to
 * write.
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { TomlDate } from 'smol-toml';
import { expect, describe as group, test } from 'vitest';
import { dateValue, describe } from '../../src/config/describe.ts';
import { parseDuration, parseInterval } from '../../src/config/duration.ts';
import { parseFactor, parseMultipliers, resolveEscalation } from '../../src/config/escalation.ts';
import { foreignHint } from '../../src/config/foreign-keys.ts';
import { defaultJournalMatch, parseJournalDirectories, parseJournalMatch } from '../../src/config/journal-match.ts';
import * as limits from '../../src/config/limits.ts';
import { ownSession } from '../../src/config/own-session.ts';
import type { Parsed } from '../../src/config/parsed.ts';
import { parsePorts } from '../../src/config/port.ts';
import { parseSize } from '../../src/config/size.ts';
import { parseTimezone } from '../../src/config/timezone.ts';
import * as values from '../../src/config/values.ts';
import {
  banSecondsMax,
  jailNameMax,
  journalFieldNameMax,
  messageFieldBytesMax,
  pathBytesMax,
  repeatBantimesMax,
  socketPathBytesMax,
} from '../../src/limits.ts';
import { formatAddress } from '../../src/text/address.ts';
import { temporaryDirectory } from '../support/control.ts';

/** A value that is taken, as it is read; or `REASON (HINT) at INDEX`. */
function said(parsed: Parsed<unknown>): unknown {
  if (parsed.ok) return parsed.value;
  const hint = parsed.hint === undefined ? '' : ` (${parsed.hint})`;
  return `${parsed.reason}${hint}${parsed.index === undefined ? '' : ` at ${parsed.index}`}`;
}

type Row = [value: unknown, says: unknown];
const absolute = (bytes: number): string => `/${'x'.repeat(bytes - 1)}`;

group('numbers and words', () => {
  const duration = 'write "10m", "1h", "1d", "1w" or whole seconds';
  test.each<Row>([
    [1.5, `expected whole seconds, found the float 1.5 (${duration})`],
    ['x', `expected a duration, found the string "x" (${duration})`],
    [true, `expected a duration, found the boolean true (${duration})`],
    [-1, `-1 (for ever) is only possible for bantime (${duration})`],
    [0, `must be greater than 0, found the integer 0 (${duration})`],
    [1, 1],
    [banSecondsMax, banSecondsMax],
    [banSecondsMax + 1, `longer than ${banSecondsMax} s (10 years), found the integer ${banSecondsMax + 1}`],
    [`1${' '.repeat(62)}s`, 1],
    [`1${' '.repeat(63)}s`, expect.stringContaining('expected a duration')],
    ['1 sec 2 second 3 seconds', 6],
    ['1 m 1 min 1 minute 1 minutes', 240],
    ['1h 1hour 1hours', 10_800],
    ['1d 1day 1days', 259_200],
    ['1w 1week 1weeks', 1_814_400],
    ['1mo 1month 1months', 7_776_000],
    ['1y 1year 1years', 94_608_000],
    ['x1h', `expected a duration, found the string "x1h" (${duration})`],
    ['.1h', `expected a duration, found the string ".1h" (${duration})`],
  ])('a time of %j', (value, says) => expect(said(parseDuration(value, false))).toEqual(says));

  test.each<Row>([
    [0, 'must be greater than 0, found the integer 0 (write -1 for ever)'],
    [
      banSecondsMax + 1,
      `longer than ${banSecondsMax} s (10 years), found the integer ${banSecondsMax + 1} (write -1 for ever)`,
    ],
  ])('a time that may be for ever, of %j', (value, says) => expect(said(parseDuration(value, true))).toBe(says));

  test.each<Row>([
    [3_600, 3_600],
    ['61m', 'longer than 1h, found the string "61m"'],
    [-1, `-1 (for ever) is only possible for bantime (${duration})`],
  ])('an interval of %j', (value, says) => expect(said(parseInterval(value, 3_600))).toBe(says));

  const size = 'write "64MB" (MB = 1024 × 1024 bytes) or whole bytes';
  test.each<Row>([
    [' 2 kb ', 2_048],
    ['3KiB', 3_072],
    ['1g', 1_073_741_824],
    ['1GiB', 1_073_741_824],
    ['64', `expected a size, found the string "64" (${size})`],
    [1.5, `expected a size, found the float 1.5 (${size})`],
    [1_023, `smaller than 1KB, found the integer 1023 (${size})`],
    ['5GB', `larger than 4GB, found the string "5GB" (${size})`],
    ['2kb x', `expected a size, found the string "2kb x" (${size})`],
    ['2 constructor', `expected a size, found the string "2 constructor" (${size})`],
    [true, `expected a size, found the boolean true (${size})`],
  ])('a size of %j', (value, says) => expect(said(parseSize(value, 1_024, limits.ceilingBytesMax))).toBe(says));

  const port = 'write 22, "ssh", "80,443", "6000:6100" or "all"';
  test.each<Row>([
    [0, `expected a port from 1 to 65535, found the integer 0 (${port})`],
    [1, [{ first: 1, last: 1 }]],
    [65_535, [{ first: 65_535, last: 65_535 }]],
    ['65535', [{ first: 65_535, last: 65_535 }]],
    ['0', `expected a port from 1 to 65535, found 0 (${port})`],
    [true, `expected a port, found the boolean true (${port})`],
    [[22, true], `expected a port, found the boolean true (${port}) at 1`],
    [[], `expected at least one port, found an empty list (${port})`],
    ['', `expected a port, found nothing (${port})`],
    ['9:8', `the range "9:8" ends before it starts (${port})`],
    ['8:8', [{ first: 8, last: 8 }]],
    ['1:70000', `expected a port from 1 to 65535, found 70000 (${port})`],
    ['1:2:3', 'unknown service "1:2:3" (write the number of the port)'],
    ['a:2', 'unknown service "a:2" (write the number of the port)'],
    ['htpp', 'unknown service "htpp" (did you mean "http"?)'],
    ['1e3:2000', 'unknown service "1e3:2000" (write the number of the port)'],
    ['1:0x10', 'unknown service "1:0x10" (write the number of the port)'],
    [['80:90', '80:85', '70:79'], [{ first: 70, last: 90 }]],
    [
      Array.from({ length: limits.portRangesMax }, (_, index) => 2 * index + 1),
      Array.from({ length: limits.portRangesMax }, (_, index) => ({ first: 2 * index + 1, last: 2 * index + 1 })),
    ],
    ['ssh,all', '"all" is set beside other ports (write "all" alone)'],
    [['all', 22], '"all" is set beside other ports (write "all" alone)'],
    [' all ', []],
    [
      [' ssh , 25'],
      [
        { first: 22, last: 22 },
        { first: 25, last: 25 },
      ],
    ],
    [
      Array.from({ length: limits.portRangesMax + 1 }, (_, index) => 2 * index + 1),
      `more than ${limits.portRangesMax} separate ports or ranges (${port})`,
    ],
  ])('ports of %j', (value, says) => expect(said(parsePorts(value))).toEqual(says));

  test.each<Row>([
    [true, true],
    [false, false],
    ['Yes', 'expected true or false, found the string "Yes" (write true without quotes)'],
    ['on', 'expected true or false, found the string "on" (write true without quotes)'],
    ['true', 'expected true or false, found the string "true" (write true without quotes)'],
    ['no', 'expected true or false, found the string "no" (write false without quotes)'],
    ['off', 'expected true or false, found the string "off" (write false without quotes)'],
    ['False', 'expected true or false, found the string "False" (write false without quotes)'],
    ['maybe', 'expected true or false, found the string "maybe"'],
    [1, 'expected true or false, found the integer 1'],
  ])('a switch of %j', (value, says) => expect(said(values.parseBoolean(value))).toBe(says));

  test.each<Row>([
    [1, 1],
    [9, 9],
    [0, 'must be at least 1, found 0'],
    [10, 'must be at most 9, found 10 (too large)'],
    [1.5, 'expected an integer, found the float 1.5'],
    [' 7 ', 'expected an integer, found the string " 7 " (write 7 without quotes)'],
    ['-7', 'expected an integer, found the string "-7" (write -7 without quotes)'],
    ['7x', 'expected an integer, found the string "7x"'],
    ['x7', 'expected an integer, found the string "x7"'],
    ['1234567890', 'expected an integer, found the string "1234567890"'],
  ])('a number of %j', (value, says) => expect(said(values.parseInteger(value, 1, 9, 'too large'))).toBe(says));

  const words = ['drop', 'reject'] as const;
  test.each<Row>([
    ['drop', 'drop'],
    ['dorp', 'expected one of "drop", "reject", found the string "dorp" (did you mean "drop"?)'],
    ['zebra', 'expected one of "drop", "reject", found the string "zebra"'],
    [1, 'expected one of "drop", "reject", found the integer 1'],
  ])('a word of %j', (value, says) => expect(said(values.parseWord(value, words))).toBe(says));

  test.each<Row>([
    ['reject', ['reject']],
    [
      ['reject', 'drop'],
      ['drop', 'reject'],
    ],
    [[], 'expected at least one entry, found an empty list'],
    [['drop', 'drop', 'drop'], 'more than 2 entries'],
    [['drop', 'x'], 'expected one of "drop", "reject", found the string "x" at 1'],
  ])('words of %j', (value, says) => expect(said(values.parseWords(value, words))).toEqual(says));

  test('every wrong element of a list is told, the first one first', () => {
    expect(values.parseDirectories([1, '/a', 'b'])).toMatchObject({ ok: false, index: 0, more: [{ index: 2 }] });
  });
});

group('texts and names', () => {
  const name = 'use letters, digits, "_", "-" and ".", a letter or digit first';
  test.each<Row>([
    ['a1_.-', 'a1_.-'],
    ['x'.repeat(jailNameMax), 'x'.repeat(jailNameMax)],
    ['x'.repeat(jailNameMax + 1), `is longer than ${jailNameMax} characters`],
    ['-a', `"-a" is not a usable name (${name})`],
    ['a b', `"a b" is not a usable name (${name})`],
    ['', `"" is not a usable name (${name})`],
    [1, 'expected a name, found the integer 1'],
  ])('a jail of %j', (value, says) => expect(said(values.parseJailName(value as string))).toBe(says));

  test('the name of a filter may be longer', () => {
    const longest = 'x'.repeat(limits.filterNameMax);
    expect(said(values.parseFilterName(longest))).toBe(longest);
    expect(said(values.parseFilterName(`${longest}x`))).toBe(`is longer than ${limits.filterNameMax} characters`);
  });

  const table = 'use up to 31 letters, digits, "_" and "-", a letter first';
  test.each<Row>([
    ['f2z-_9', 'f2z-_9'],
    ['x'.repeat(31), 'x'.repeat(31)],
    ['x'.repeat(32), `expected a table name, found the string "${'x'.repeat(32)}" (${table})`],
    ['9x', `expected a table name, found the string "9x" (${table})`],
    [true, `expected a table name, found the boolean true (${table})`],
    [9, `expected a table name, found the integer 9 (${table})`],
  ])('a table of %j', (value, says) => expect(said(values.parseTableName(value))).toBe(says));

  test.each<Row>([
    ['log', 'log'],
    ['ä'.repeat(messageFieldBytesMax / 2), 'ä'.repeat(messageFieldBytesMax / 2)],
    ['x'.repeat(messageFieldBytesMax), 'x'.repeat(messageFieldBytesMax)],
    ['x'.repeat(messageFieldBytesMax + 1), `must have 1 to ${messageFieldBytesMax} bytes`],
    ['', `must have 1 to ${messageFieldBytesMax} bytes`],
    ['a"b', 'must hold no quote, backslash or control character'],
    ['a\\b', 'must hold no quote, backslash or control character'],
    ['a\x1fb', 'must hold no quote, backslash or control character'],
    [1, 'expected the name of a field, found the integer 1'],
  ])('a field of %j', (value, says) => expect(said(values.parseMessageField(value))).toBe(says));

  test.each<Row>([
    ['sshd', ['sshd']],
    [
      ['a*', '*', ''],
      ['a*', '*', ''],
    ],
    ['', 'a syslog identifier is empty (leave log_tag out for lines without one)'],
    [[''], 'a syslog identifier is empty (leave log_tag out for lines without one) at 0'],
    ['x'.repeat(limits.logTagCharactersMax + 1), `is longer than ${limits.logTagCharactersMax} characters`],
    ['x'.repeat(limits.logTagCharactersMax), ['x'.repeat(limits.logTagCharactersMax)]],
    ['a b', '"a b" is not a syslog identifier (it has no blanks)'],
    ['sshd:', '"sshd:" is more than the syslog identifier (leave out the pid and the colon)'],
    ['sshd[12]:', '"sshd[12]:" is more than the syslog identifier (leave out the pid and the colon)'],
    ['sshd[12]', '"sshd[12]" is more than the syslog identifier (leave out the pid and the colon)'],
    [
      ['a:b', 'a[1]b', 'a[x]'],
      ['a:b', 'a[1]b', 'a[x]'],
    ],
    ['sshd[]', '"sshd[]" is more than the syslog identifier (leave out the pid and the colon)'],
    ['a*b', '"a*b" holds a "*" that is not at its end'],
    [7, 'expected a syslog identifier, found the integer 7'],
    [[], 'expected at least one identifier, found an empty list'],
    [Array(limits.logTagsMax + 1).fill('x'), `more than ${limits.logTagsMax} entries`],
  ])('identifiers of %j', (value, says) => expect(said(values.parseLogTags(value))).toEqual(says));

  test.each<Row>([
    ['a line', ['a line']],
    ['a\nb', 'expected one line, found a line end in it (write a list of lines)'],
    ['a\rb', 'expected one line, found a line end in it (write a list of lines)'],
    [[1], 'expected a log line, found the integer 1 at 0'],
    [[], 'expected at least one line, found an empty list'],
  ])('lines of %j', (value, says) => expect(said(values.parseSampleLines(value))).toEqual(says));

  test.each<Row>([
    ['eth0', ['eth0']],
    ['x'.repeat(15), ['x'.repeat(15)]],
    ['x'.repeat(16), `"${'x'.repeat(16)}" is not the name of an interface`],
    ['.', '"." is not the name of an interface'],
    ['..', '".." is not the name of an interface'],
    ['...', ['...']],
    ['a/b', '"a/b" is not the name of an interface'],
    ['a:b', '"a:b" is not the name of an interface'],
    ['a b', '"a b" is not the name of an interface'],
    [1, 'expected a string, found the integer 1'],
    [[], 'expected at least one interface, found an empty list'],
  ])('interfaces of %j', (value, says) => expect(said(values.parseInterfaces(value))).toEqual(says));

  test.each<Row>([
    ['text', 'the string "text"'],
    ['x'.repeat(61), `the string "${'x'.repeat(60)}…"`],
    [true, 'the boolean true'],
    [1, 'the integer 1'],
    [1.5, 'the float 1.5'],
    [dateValue, 'a date'],
    [new TomlDate('2026-01-01'), 'a date'],
    [undefined, 'nothing'],
    [[], 'a list'],
    [{}, 'a table'],
  ])('%j is called %s', (value, says) => expect(describe(value)).toBe(says));
});

group('paths and servers', () => {
  test.each<Row>([
    [1, 'expected an absolute path, found the integer 1'],
    ['run/s', 'expected an absolute path, found the string "run/s" (a path starts with "/")'],
    [absolute(socketPathBytesMax), absolute(socketPathBytesMax)],
    [absolute(socketPathBytesMax + 1), `is longer than ${socketPathBytesMax} bytes`],
    ['/run/\x1f', 'the path holds a control character'],
    ['/run/\x7f', 'the path holds a control character'],
    ['/run/ s', '/run/ s'],
    ['/run/../s', 'the path "/run/../s" holds "." or ".." (write the path in full)'],
    ['/run/./s', 'the path "/run/./s" holds "." or ".." (write the path in full)'],
    ['/run/.s', '/run/.s'],
    ['/run/s/', '"/run/s/" is a directory, not a socket'],
  ])('a socket of %j', (value, says) => expect(said(values.parseSocketPath(value))).toBe(says));

  test('a state file, a file, a directory', () => {
    expect(said(values.parseStatePath('/var/lib/s/'))).toBe('"/var/lib/s/" is a directory (write "/var/lib/s/state")');
    expect(said(values.parseStatePath('/var/lib/s'))).toBe('/var/lib/s');
    expect(said(values.parseStatePath(absolute(limits.statePathBytesMax + 1)))).toContain('is longer than');
    expect(said(values.parseFilePath('/etc/x/'))).toBe('"/etc/x/" is a directory');
    expect(said(values.parseFilePath('/etc/x'))).toBe('/etc/x');
    expect(said(values.parseFilePath('x'))).toContain('a path starts with "/"');
    expect(said(values.parseDirectory('/etc/*'))).toBe('"/etc/*" holds a wildcard (name it)');
    expect(said(values.parseDirectory('/etc/?'))).toBe('"/etc/?" holds a wildcard (name it)');
    expect(said(values.parseDirectory('/etc/'))).toBe('/etc/');
    expect(said(values.parseDirectories([]))).toBe('expected at least one directory, found an empty list');
    expect(said(values.parseDirectories(['/a', 'b']))).toBe(
      'expected an absolute path, found the string "b" (a path starts with "/") at 1',
    );
  });

  const brackets = 'name each path, or write "?" for one character';
  test.each<Row>([
    ['/var/log/*.log', ['/var/log/*.log']],
    ['/var/**/x', '"**" is not supported (name the directories, or use "*" for one level)'],
    ['/var/[ab]', `"/var/[ab]" holds "[": only "*" and "?" are wildcards (${brackets})`],
    ['/var/{a,b}', `"/var/{a,b}" holds "{": only "*" and "?" are wildcards (${brackets})`],
    [
      '/var/log/x tail',
      `"/var/log/x tail" ends in an option of fail2ban's (leave it out: reading continues where it stopped, and a new file is read from findtime ago)`,
    ],
    ['/var/log/x head', expect.stringContaining("ends in an option of fail2ban's")],
    ['/var/log/tail', ['/var/log/tail']],
    ['/var/log/a tail.log', ['/var/log/a tail.log']],
    ['/var/log/', '"/var/log/" is a directory (write "/var/log/*" for its files)'],
    [absolute(pathBytesMax), [absolute(pathBytesMax)]],
    [absolute(pathBytesMax + 1), `is longer than ${pathBytesMax} bytes`],
    [Array(limits.logPathsMax + 1).fill('/x'), `more than ${limits.logPathsMax} entries`],
    [[], 'expected at least one log path, found an empty list'],
    [['/x', 'y'], 'expected an absolute path, found the string "y" (a path starts with "/") at 1'],
  ])('logs of %j', (value, says) => expect(said(values.parseLogPaths(value))).toEqual(says));

  const url = 'write "https://lapi.example.net:8080"';
  const long = `https://lapi.example.net/${'x'.repeat(limits.serverUrlMax)}`;
  test.each<Row>([
    ['http://192.0.2.7:8080/', 'http://192.0.2.7:8080/'],
    ['HTTPS://lapi.example.net/prefix/', 'https://lapi.example.net/prefix/'],
    ['ftp://lapi.example.net', `"ftp://lapi.example.net" is not the URL of a server (${url})`],
    ['lapi.example.net', `"lapi.example.net" is not the URL of a server (${url})`],
    [long, `"${long.slice(0, 60)}…" is not the URL of a server (${url})`],
    [long.slice(0, limits.serverUrlMax), long.slice(0, limits.serverUrlMax)],
    [long.slice(0, limits.serverUrlMax + 1), `"${long.slice(0, 60)}…" is not the URL of a server (${url})`],
    ['xhttps://lapi.example.net', `"xhttps://lapi.example.net" is not the URL of a server (${url})`],
    ['https://u@lapi.example.net', 'the URL holds a password (name password_file)'],
    ['https://:p@lapi.example.net', 'the URL holds a password (name password_file)'],
    ['https://lapi.example.net/?x', `"https://lapi.example.net/?x" holds "?" or "#" (${url})`],
    ['https://lapi.example.net/#x', `"https://lapi.example.net/#x" holds "?" or "#" (${url})`],
    [1, 'expected a URL, found the integer 1'],
  ])('a server of %j', (value, says) => expect(said(values.parseServerUrl(value))).toBe(says));
});

group('addresses', () => {
  test.each<Row>([
    [
      ['192.0.2.7', '2001:DB8::/32', '192.0.2.7'],
      ['192.0.2.7', '2001:db8::/32'],
    ],
    [' 192.0.2.7,198.51.100.0/24 ', ['192.0.2.7', '198.51.100.0/24']],
    ['192.0.2.1/24', ['192.0.2.0/24']],
    ['192.0.2', '"192.0.2" is not an address or prefix (write 192.0.2.7, 192.0.2.0/24 or 2001:db8::/32)'],
    [['::1', '192.0.2.0/33'], '"192.0.2.0/33" has a wrong prefix length (IPv4 has 0 to 32 bits, IPv6 0 to 128) at 1'],
    ['host.example.org', '"host.example.org" is a host name (write its addresses: host names are never resolved)'],
    ['_.example.org', expect.stringContaining('"_.example.org" is not an address or prefix')],
    ['example.org_', expect.stringContaining('"example.org_" is not an address or prefix')],
    ['example.org_1', expect.stringContaining('"example.org_1" is not an address or prefix')],
    ['ab cd', '"ab" is a host name (write its addresses: host names are never resolved)'],
    ['localhost', '"localhost" is a host name (write its addresses: host names are never resolved)'],
    ['0.0.0.0/0', '"0.0.0.0/0" is every address: nobody would be banned (name your own networks)'],
    ['::/0', '"::/0" is every address: nobody would be banned (name your own networks)'],
    [[1], 'expected an address or prefix, found the integer 1 at 0'],
    [1, 'expected an address or prefix, found the integer 1'],
    [Array(limits.ignoreEntriesMax + 1).fill('::1'), `more than ${limits.ignoreEntriesMax} entries`],
  ])('ignored networks of %j', (value, says) => expect(said(values.parseIgnored(value))).toEqual(says));

  test('an address to listen on, and whether others reach it', () => {
    expect(said(values.parseBind('::FFFF:192.0.2.7'))).toBe('192.0.2.7');
    for (const [value, found] of [
      ['localhost', 'the string "localhost"'],
      [7, 'the integer 7'],
    ])
      expect(said(values.parseBind(value))).toBe(
        `expected an address to listen on, found ${found} (write "127.0.0.1" or "::1")`,
      );
    for (const address of ['::1', '127.0.0.1', '127.9.9.9']) expect(values.isLoopback(address)).toBe(true);
    for (const other of ['192.0.2.127', '10.127.0.1', '::', '127.example.net', '127.0.0.1.example.net'])
      expect(values.isLoopback(other)).toBe(false);
  });
});

group('growing bans', () => {
  const example = 'write [1, 2, 4, 8]; -1 is for ever';
  test.each<Row>([
    [0.5, 0.5],
    [limits.multiplierMax, limits.multiplierMax],
    [
      limits.multiplierMax + 1,
      `must be at most ${limits.multiplierMax}, found the integer ${limits.multiplierMax + 1}`,
    ],
    [0, 'must be greater than 0, found the integer 0'],
    [Number.NaN, 'expected a number, found the float NaN'],
    ['2', 'expected a number, found the string "2"'],
  ])('a factor of %j', (value, says) => expect(said(parseFactor(value))).toBe(says));

  test.each<Row>([
    [
      [1, 2.5, -1],
      [1, 2.5, -1],
    ],
    [[], `expected a list of numbers, found an empty list (${example})`],
    ['1 2', `expected a list of numbers, found the string "1 2" (${example})`],
    [[1, -2], 'must be greater than 0, found the integer -2 at 1'],
    [Array(repeatBantimesMax + 1).fill(1), Array(repeatBantimesMax + 1).fill(1)],
    [Array(repeatBantimesMax + 2).fill(1), `more than ${repeatBantimesMax + 1} entries`],
  ])('multipliers of %j', (value, says) => expect(said(parseMultipliers(value))).toEqual(says));

  test('are lists of lengths: doubled, or by one more each time, or as written; for ever stays so', () => {
    const lengths = (keys: object, bantime = 600) =>
      resolveEscalation(bantime, { bantime_increment: true, ...keys })?.bantimes;
    expect(lengths({})).toEqual(
      Array.from({ length: repeatBantimesMax }, (_, at) => Math.min(banSecondsMax, 600 * 2 ** (at + 1))),
    );
    expect(lengths({ bantime_formula: 'linear' })!.slice(0, 3)).toEqual([1_200, 1_800, 2_400]);
    expect(lengths({ bantime_factor: 0.5, bantime_maxtime: 1_000 })!.slice(0, 3)).toEqual([600, 1_000, 1_000]);
    expect(lengths({ bantime_multipliers: [1, 5, -1], bantime_formula: 'linear' })).toEqual([3_000, -1]);
    expect(lengths({ bantime_multipliers: [3] })).toEqual([1_800]);
    expect(lengths({ bantime_factor: 0.0001 }, 1)![0]).toBe(1);
    expect(resolveEscalation(-1, { bantime_increment: true })).toBe(null);
    expect(resolveEscalation(600, {})).toBe(null);
    expect(resolveEscalation(600, { bantime_increment: true })).toMatchObject({
      randomSeconds: 0,
      memorySeconds: limits.banMemorySecondsDefault,
      allJails: false,
    });
    const all = { bantime_rndtime: 7, bantime_memory: 8, bantime_overalljails: true };
    expect(resolveEscalation(600, { bantime_increment: true, ...all })).toMatchObject({
      randomSeconds: 7,
      memorySeconds: 8,
      allJails: true,
    });
  });
});

group('the journal', () => {
  const example = 'as in "_SYSTEMD_UNIT=sshd.service + _COMM=sshd"';
  const value = 'v'.repeat(limits.journalValueBytesMax);
  const field = 'F'.repeat(journalFieldNameMax);
  const fields = 'a field consists of A-Z, 0-9 and "_"';
  const one = (terms: [string, string[]][]) => ({ terms });
  test.each<Row>([
    ['_COMM=a', { text: '_COMM=a', groups: [one([['_COMM', ['a']]])] }],
    [
      '_COMM=a _COMM=b _UID=0 + T="x y"',
      {
        text: '_COMM=a _COMM=b _UID=0 + T="x y"',
        groups: [
          one([
            ['_COMM', ['a', 'b']],
            ['_UID', ['0']],
          ]),
          one([['T', ['x y']]]),
        ],
      },
    ],
    ['A="b c', { text: 'A="b c', groups: [one([['A', ['b c']]])] }],
    ['=x', `"" is not a field of the journal (${fields})`],
    [['A=1', 'B=2*'], { text: 'A=1 + B=2*', groups: [one([['A', ['1']]]), one([['B', ['2*']]])] }],
    [`${field}=${value}`, { text: `${field}=${value}`, groups: [one([[field, [value]]])] }],
    [7, `expected fields of the journal, found the integer 7 (${example})`],
    ['', `names no field (${example})`],
    [' ', `names no field (${example})`],
    [[], `names no field (${example})`],
    ['+ A=1', `has a "+" with nothing beside it (${example})`],
    ['A=1 +', `has a "+" with nothing beside it (${example})`],
    ['A=1 + + B=2', `has a "+" with nothing beside it (${example})`],
    ['sshd', `"sshd" is not FIELD=value (${example})`],
    ['a=1', `"a" is not a field of the journal (${fields})`],
    ['1A=1', `"1A" is not a field of the journal (${fields})`],
    ['A-B=1', `"A-B" is not a field of the journal (${fields})`],
    [`${field}F=1`, `"${`${field}F`.slice(0, 60)}…" is not a field of the journal (${fields})`],
    ['MESSAGE=x', 'MESSAGE is what the filter reads (name a unit or an identifier)'],
    ['A=', '"A=" has no value'],
    ['A=*', '"A=*" has no value'],
    [`A=${value}v`, `"${`A=${value}`.slice(0, 60)}…" is longer than ${limits.journalValueBytesMax} bytes`],
    [
      Array(limits.journalTermsMax + 1).fill('A=1'),
      `has ${limits.journalTermsMax + 1} values; at most ${limits.journalTermsMax} are allowed`,
    ],
    [Array(limits.journalTermsMax).fill('A=1'), expect.objectContaining({ groups: expect.any(Array) })],
  ])('a match of %j', (given, says) => expect(said(parseJournalMatch(given))).toEqual(says));

  test('what a filter reads by itself', () => {
    expect(defaultJournalMatch('sshd', undefined)).toEqual({
      text:
        '_SYSTEMD_UNIT=ssh.service _SYSTEMD_UNIT=sshd.service + ' +
        '_SYSTEMD_SLICE=system-ssh.slice _SYSTEMD_SLICE=system-sshd.slice + ' +
        ['sshd', 'ssh', 'sshd-session', 'sshd-auth', 'sshd(pam_unix)'].map((id) => `SYSLOG_IDENTIFIER=${id}`).join(' '),
      groups: [
        one([['_SYSTEMD_UNIT', ['ssh.service', 'sshd.service']]]),
        one([['_SYSTEMD_SLICE', ['system-ssh.slice', 'system-sshd.slice']]]),
        {
          ...one([['SYSLOG_IDENTIFIER', ['sshd', 'ssh', 'sshd-session', 'sshd-auth', 'sshd(pam_unix)']]]),
          system: true,
        },
      ],
    });
    expect(defaultJournalMatch('openvpn', undefined)!.text).toContain('_SYSTEMD_SLICE=system-openvpn.slice');
    expect(defaultJournalMatch('openvpn', undefined)!.text).toContain('system-openvpn\\x2dserver.slice');
    expect(defaultJournalMatch('mine', ['a', 'b*'])).toEqual({
      text: 'SYSLOG_IDENTIFIER=a SYSLOG_IDENTIFIER=b*',
      groups: [{ ...one([['SYSLOG_IDENTIFIER', ['a', 'b*']]]), system: true }],
    });
    expect(defaultJournalMatch('mine', ['*'])!.groups).toEqual([{ terms: [], system: true }]);
    expect(defaultJournalMatch('pam-generic', undefined)).toEqual({
      text: 'every service',
      groups: [{ terms: [], system: true }],
    });
    expect(defaultJournalMatch('mine', [])).toBe(undefined);
    expect(defaultJournalMatch('mine', undefined)).toBe(undefined);
  });

  test.each<Row>([
    ['/var/log/journal/', ['/var/log/journal']],
    ['/var/log/journal//', ['/var/log/journal']],
    [[['/a']], 'expected the absolute path of a directory, found a list at 0'],
    [Array(limits.journalDirectoriesMax).fill('/a'), Array(limits.journalDirectoriesMax).fill('/a')],
    [
      ['/a', '/'],
      ['/a', '/'],
    ],
    [[], []],
    [{}, 'expected a list of directories, found a table'],
    [['/a', 'b'], 'expected the absolute path of a directory, found the string "b" at 1'],
    [['/a*'], 'expected the absolute path of a directory, found the string "/a*" at 0'],
    [[absolute(4_001)], expect.stringContaining('expected the absolute path of a directory')],
    [[absolute(4_000)], [absolute(4_000)]],
    [Array(limits.journalDirectoriesMax + 1).fill('/a'), `has more than ${limits.journalDirectoriesMax} directories`],
  ])('directories of %j', (given, says) => expect(said(parseJournalDirectories(given))).toEqual(says));
});

group('time zones', () => {
  const always = -1e15;
  test.each<Row>([
    ['local', []],
    ['+02:00', [{ from: always, offset: 7_200 }]],
    ['-0330', [{ from: always, offset: -12_600 }]],
    ['+18:00', [{ from: always, offset: 64_800 }]],
    ['+18:01', 'must be within 18 hours of UTC'],
    ['UTC+02:00', expect.stringContaining('expected a time zone such as')],
    ['+02:00 DST', expect.stringContaining('expected a time zone such as')],
    ['America/Caracas', [{ from: always, offset: -14_400 }]],
    ['UTC', [{ from: always, offset: 0 }]],
    ['Asia/Kolkata', [{ from: always, offset: 19_800 }]],
    [
      'Europe/Berln',
      'expected a time zone such as "Europe/Berlin" or "+02:00", found the string "Europe/Berln" (did you mean "Europe/Berlin"?)',
    ],
    ['zzz', 'expected a time zone such as "Europe/Berlin" or "+02:00", found the string "zzz"'],
    [1, 'expected a time zone, found the integer 1'],
  ])('%j', (value, says) => expect(said(parseTimezone(value, 1_780_000_000))).toEqual(says));

  test('a zone with summer time is a list of its changes, from a year before to some after', () => {
    const now = Date.UTC(2026, 5, 1) / 1000;
    const changes = said(parseTimezone('America/New_York', now)) as { from: number; offset: number }[];
    expect(changes[0]!.offset).toBe(-14_400);
    expect(changes).toContainEqual({ from: Date.UTC(2025, 10, 2, 6) / 1000, offset: -18_000 });
    expect(changes).toContainEqual({ from: Date.UTC(2026, 2, 8, 7) / 1000, offset: -14_400 });
    expect(changes.length).toBeLessThanOrEqual(limits.timezoneChangesMax);
    expect(changes.length).toBeGreaterThan(12);
  });
});

group("keys of fail2ban's", () => {
  test.each<[path: PropertyKey[], key: string, says: string | undefined]>([
    [[], 'DEFAULT', "this is a file of fail2ban's: fail2zig import translates all of /etc/fail2ban"],
    [['filter', 0], 'failregex', 'write patterns = ["… {ip} …"]: patterns are not regular expressions'],
    [['jails', 'sshd'], 'usedns', 'names are never resolved, as with usedns = "no": leave it out'],
    [['defaults'], 'usedns', 'names are never resolved, as with usedns = "no": leave it out'],
    [['jails', 'sshd'], 'failregex', "that is a filter's matter: a [[filter]] of your own, or one of fail2zig filters"],
    [['state'], 'usedns', undefined],
    [['jails', 'sshd'], 'DEFAULT', undefined],
    [['jails', 'sshd'], 'toString', undefined],
  ])('%j %s', (path, key, says) => expect(foreignHint(path, key)).toBe(says));
});

group('the session of the operator', () => {
  const at = (environment: Record<string, string>, pid = 0, proc = '/nowhere') => {
    const found = ownSession(environment, pid, proc);
    return found && formatAddress(found);
  };

  test('is what sshd says of it, in either form', () => {
    expect(at({ SSH_CONNECTION: '192.0.2.7 50022 198.51.100.1 22', SSH_CLIENT: '192.0.2.8 1 22' })).toBe('192.0.2.7');
    expect(at({ SSH_CLIENT: '2001:db8::7 50022 22' })).toBe('2001:db8::7');
    expect(at({ SSH_CONNECTION: 'UNKNOWN 65535', SSH_CLIENT: '192.0.2.8 1 22' })).toBe('192.0.2.8');
    expect(at({ SSH_CONNECTION: 'fe80::1%eth0 50022 fe80::2%eth0 22' })).toBe('fe80::1');
    expect(at({})).toBe(undefined);
  });

  test('is looked for among the processes before this one, up to the first one of all', () => {
    const home = temporaryDirectory();
    const process = (pid: number, parent: number, environ: string): void => {
      mkdirSync(join(home.path, String(pid)), { recursive: true });
      writeFileSync(join(home.path, `${pid}/environ`), environ);
      writeFileSync(join(home.path, `${pid}/stat`), `${pid} (a ) 9 (b) S ${parent} 1 1`);
    };
    try {
      process(30, 20, 'A=B\0PATH=/bin\0');
      process(20, 10, 'SSH_CONNECTION=192.0.2.9 1 198.51.100.1 22\0');
      process(10, 1, 'SSH_CONNECTION=192.0.2.10 1 198.51.100.1 22\0');
      process(1, 0, 'SSH_CONNECTION=192.0.2.11 1 198.51.100.1 22\0');
      expect(at({}, 30, home.path)).toBe('192.0.2.9');
      expect(at({}, 10, home.path)).toBe('192.0.2.10');
      expect(at({ SSH_CLIENT: '192.0.2.8 1 22' }, 30, home.path)).toBe('192.0.2.8');
      process(20, 10, 'X=192.0.2.9 SSH_CONNECTION=x\0');
      process(10, 1, '');
      expect(at({}, 30, home.path)).toBe(undefined);
      // So many generations are looked at, and no more.
      for (let pid = 100; pid < 164; pid++) process(pid, pid + 1, '');
      process(164, 1, 'SSH_CLIENT=192.0.2.12 1 22\0');
      expect(at({}, 101, home.path)).toBe('192.0.2.12');
      expect(at({}, 100, home.path)).toBe(undefined);
      // A process whose parents are in a circle has none.
      process(10, 30, '');
      expect(at({}, 30, home.path)).toBe(undefined);
    } finally {
      home.remove();
    }
  });

  test('is found in the real /proc', async () => {
    const child = spawn('sleep', ['60'], { env: { SSH_CONNECTION: '192.0.2.13 1 198.51.100.1 22' } });
    try {
      await once(child, 'spawn');
      const found = ownSession({}, child.pid!);
      expect(found && formatAddress(found)).toBe('192.0.2.13');
    } finally {
      child.kill();
    }
  });
});
