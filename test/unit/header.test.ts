/**
 * What stands before a message, as the log daemons write it. Nothing that stands behind changes
 * what was read.
 */
import fc from 'fast-check';
import { beforeEach, describe, expect, test } from 'vitest';
import * as header from '../../src/engine/header.ts';
import { FIXED_BYTES, HEAD_FORM, ZONES } from '../../src/engine/layout.ts';
import { bindMemory } from '../../src/engine/linear.ts';
import { decodeTime, resetTime, scanTime, setClock } from '../../src/engine/timestamp.ts';

const memory = new ArrayBuffer(65_536);
const bytes = Buffer.from(memory);
const lineAt = 8_192;

beforeEach(() => {
  header.setShape(false, false, 0, 0);
  bindMemory(memory);
  resetTime();
});

interface Head {
  time: string;
  host: string;
  tag: string;
  pid: string;
  message: string;
}

/**
 * Reads a syslog line, or a journal one; `undefined` if it has no identifier. Behind the line, the
 * buffer holds the next line, or what a longer line left there.
 */
function read(line: string, journal = false, behind = '[1]: x sshd[2]: 12:00:00'): Head | undefined {
  bytes.fill(0, FIXED_BYTES, lineAt + 1_024);
  bytes.write('[', lineAt - 1, 'latin1');
  const length = bytes.write(line, lineAt, 'latin1');
  bytes.write(behind, lineAt + length, 'latin1');
  const end = lineAt + length;
  const cut = (from: number, to: number): string => bytes.toString('latin1', from, to);
  header.beginLine();
  if (!(journal ? header.readIdentifier(lineAt, end) : header.readHead(lineAt, end))) return undefined;
  const places = [header.messageStart, header.tagEnd, header.pidEnd, header.hostEnd];
  if (places.some((at) => at < lineAt || at > end)) throw new Error(`${line}: ${places} is not all inside it`);
  return {
    time: journal ? '' : cut(header.timeStart, header.timeEnd),
    host: cut(header.hostStart, header.hostEnd),
    tag: cut(header.tagStart, header.tagEnd),
    pid: cut(header.pidStart, header.pidEnd),
    message: cut(header.messageStart, end),
  };
}

const message = 'Invalid user x from 192.0.2.7 port 22';

describe('heads of syslog lines', () => {
  const heads: [what: string, head: string, time: string, host: string, tag: string, pid: string][] = [
    ['RFC 3164', 'Nov 21 08:00:00 host sshd[123]: ', 'Nov 21 08:00:00', 'host', 'sshd', '123'],
    ['RFC 3164, one digit', 'Nov  1 08:00:00 host sshd[123]: ', 'Nov  1 08:00:00', 'host', 'sshd', '123'],
    ['RFC 3164 with a year', 'Nov 21 2026 08:00:00 host sshd[123]: ', 'Nov 21 2026 08:00:00', 'host', 'sshd', '123'],
    ['RFC 3164, year behind', 'Nov 21 08:00:00 2026 host sshd[1]: ', 'Nov 21 08:00:00 2026', 'host', 'sshd', '1'],
    ['a host of digits', 'Nov 21 08:00:00 192.0.2.1 sshd[1]: ', 'Nov 21 08:00:00', '192.0.2.1', 'sshd', '1'],
    [
      'a host that is an IPv6 address',
      'Nov 21 08:00:00 2001:db8::1 sshd[1]: ',
      'Nov 21 08:00:00',
      '2001:db8::1',
      'sshd',
      '1',
    ],
    [
      'RFC 3339, rsyslog',
      '2026-11-21T08:00:00.123456+01:00 host sshd-session[9]: ',
      '2026-11-21T08:00:00.123456+01:00',
      'host',
      'sshd-session',
      '9',
    ],
    ['RFC 3339, Z', '2026-11-21T08:00:00Z host sshd[1]: ', '2026-11-21T08:00:00Z', 'host', 'sshd', '1'],
    ['ISO 8601 with a space', '2026-11-21 08:00:00 host sshd[1]: ', '2026-11-21 08:00:00', 'host', 'sshd', '1'],
    [
      'a host that begins with a year',
      'Nov 21 08:00:00 2020-web sshd[1]: ',
      'Nov 21 08:00:00',
      '2020-web',
      'sshd',
      '1',
    ],
    ['no pid', 'Nov 21 08:00:00 host sshd: ', 'Nov 21 08:00:00', 'host', 'sshd', ''],
    [
      'a path as identifier',
      'Nov 21 08:00:00 host postfix/smtps/smtpd[77]: ',
      'Nov 21 08:00:00',
      'host',
      'postfix/smtps/smtpd',
      '77',
    ],
    ['brackets in the identifier', 'Nov 21 08:00:00 host app[web][12]: ', 'Nov 21 08:00:00', 'host', 'app[web]', '12'],
    ['a space before the pid', 'Nov 21 08:00:00 host sshd [123]: ', 'Nov 21 08:00:00', 'host', 'sshd', '123'],
    ['no colon behind the pid', 'Nov 21 08:00:00 host sshd[123] ', 'Nov 21 08:00:00', 'host', 'sshd', '123'],
    ['syslog-ng', 'Nov 21 08:00:00 host [sshd]: ', 'Nov 21 08:00:00', 'host', 'sshd', ''],
    ['busybox, facility', 'Nov 21 08:00:00 host auth.info sshd[12]: ', 'Nov 21 08:00:00', 'host', 'sshd', '12'],
    ['a host twice', 'Nov 21 08:00:00 relay host sshd[12]: ', 'Nov 21 08:00:00', 'relay', 'sshd', '12'],
    ['Solaris', 'Nov 21 08:00:00 host sshd[1]: [ID 800047 auth.info] ', 'Nov 21 08:00:00', 'host', 'sshd', '1'],
    ['a kernel clock', 'Nov 21 08:00:00 host kernel: [ 1234.567890] ', 'Nov 21 08:00:00', 'host', 'kernel', ''],
    ['no host', 'Nov 21 08:00:00 sshd[123]: ', 'Nov 21 08:00:00', '', 'sshd', '123'],
    ['no time', 'host sshd[123]: ', '', 'host', 'sshd', '123'],
    [
      'in brackets, PHP',
      '[21-Nov-2026 08:00:00 Europe/Berlin] host php[1]: ',
      '21-Nov-2026 08:00:00',
      'host',
      'php',
      '1',
    ],
    ['several spaces', 'Nov 21 08:00:00      host      sshd[1]: ', 'Nov 21 08:00:00', 'host', 'sshd', '1'],
    ['a facility in brackets', 'Nov 21 08:00:00 host [auth.info] sshd[1]: ', 'Nov 21 08:00:00', 'host', 'sshd', '1'],
    [
      'as many words as are read',
      'Nov 21 08:00:00 relay host auth.info sshd[1]: ',
      'Nov 21 08:00:00',
      'relay',
      'sshd',
      '1',
    ],
    ['a month nobody knows', 'Xyz 21 08:00:00 host sshd[1]: ', 'Xyz 21 08:00:00', 'host', 'sshd', '1'],
    ['one in small letters', 'helmi  1 08:00:00 host sshd[1]: ', 'helmi  1 08:00:00', 'host', 'sshd', '1'],
    ['one of ten letters', 'abcdefghij 1 08:00:00 host sshd[1]: ', 'abcdefghij 1 08:00:00', 'host', 'sshd', '1'],
    ['a month in small letters', 'nov 21 08:00:00 host sshd[1]: ', 'nov 21 08:00:00', 'host', 'sshd', '1'],
    ['a month with a dot', 'f\xc3\xa9vr. 21 08:00:00 host sshd[1]: ', 'f\xc3\xa9vr. 21 08:00:00', 'host', 'sshd', '1'],
    ['twelve hours', 'Nov 21 08:00:00 PM host sshd[1]: ', 'Nov 21 08:00:00 PM', 'host', 'sshd', '1'],
    ['a zone by name', 'Nov 21 08:00:00 CEST host sshd[1]: ', 'Nov 21 08:00:00 CEST', 'host', 'sshd', '1'],
    ['a host like a zone', 'Nov 21 08:00:00 CETX sshd[1]: ', 'Nov 21 08:00:00', 'CETX', 'sshd', '1'],
    [
      'journalctl -o short-full',
      'Sat 2026-11-21 08:00:00 UTC host sshd[1]: ',
      'Sat 2026-11-21 08:00:00 UTC',
      'host',
      'sshd',
      '1',
    ],
    [
      'journalctl -o with-unit',
      'Sat 2026-11-21 08:00:00 -03 host sshd.service[1]: ',
      'Sat 2026-11-21 08:00:00 -03',
      'host',
      'sshd',
      '1',
    ],
    ['an instance', 'Nov 21 08:00:00 host sshd@5-192.0.2.1:22.service[1]: ', 'Nov 21 08:00:00', 'host', 'sshd', '1'],
    ['months of another language', 'Mai 21 08:00:00 host sshd[1]: ', 'Mai 21 08:00:00', 'host', 'sshd', '1'],
  ];

  test.each(heads)('%s', (_, head, time, host, tag, pid) => {
    const found = read(head + message);
    if (tag === 'kernel') {
      // Only in some systems does the clock belong to a message that begins with "kernel: ".
      expect(found).toMatchObject({ time, host, tag, pid });
      return;
    }
    expect(found).toEqual({ time, host, tag, pid, message });
  });

  const plain = heads.filter(([what]) => what !== 'Solaris' && what !== 'a kernel clock');
  test.each(plain)('%s: blanks before the message are read over', (_, head, time, host, tag, pid) => {
    expect(read(`${head}  ${message}`)).toEqual({ time, host, tag, pid, message });
    expect(read(`${head}  `)).toEqual({ time, host, tag, pid, message: '' });
  });

  test.each(heads)('%s: nothing behind a line changes what is read of it', (_, head) => {
    const whole = `${head}x`;
    for (let length = 0; length < whole.length; length++) {
      const cut = whole.slice(0, length);
      const alone = read(cut, false, '\xff'.repeat(64));
      for (const behind of [whole.slice(length), ' ', ':', ']', '[1]: x'])
        expect(read(cut, false, behind)).toEqual(alone);
    }
  });

  test.each<[what: string, head: string, host: string, tag: string, pid: string]>([
    ['host and identifier', 'host sshd[123]: ', 'host', 'sshd', '123'],
    ['identifier alone', 'sshd[123]: ', '', 'sshd', '123'],
    ['without a pid', 'host dovecot: ', 'host', 'dovecot', ''],
  ])('journal: %s', (_, head, host, tag, pid) => {
    expect(read(head + message, true)).toEqual({ time: '', host, tag, pid, message });
  });

  test.each<[what: string, line: string]>([
    ['nothing', ''],
    ['only a time', 'Nov 21 08:00:00'],
    ['only a host', 'Nov 21 08:00:00 host'],
    ['no identifier in the first words', 'Nov 21 08:00:00 host a b c sshd[1]: x'],
    ['a pid that no bracket opens', 'Nov 21 08:00:00 host sshd123]: x'],
    ['a pid alone', '123]: x'],
    ['a pid of nobody', 'Nov 21 08:00:00 host sshd [1234567890123]: x'],
    ['a pid of nobody that is not closed', 'Nov 21 08:00:00 host sshd [123456789012): x'],
    ['letters for a pid behind a space', 'Nov 21 08:00:00 host sshd [12a]: x'],
    ['an empty pid behind a space', 'Nov 21 08:00:00 host sshd []: x'],
    ['no colon behind a pid and a space', 'Nov 21 08:00:00 host sshd [123] x'],
    ['no brackets around a pid', 'Nov 21 08:00:00 host sshd (123]: x'],
    ['a pid that is not closed', 'Nov 21 08:00:00 host sshd [123: x'],
    ['a colon inside a word', 'Nov 21 08:00:00 host a:b c'],
    ['letters for a pid', 'Nov 21 08:00:00 host sshd[12a]: x'],
    ['an empty pid', 'Nov 21 08:00:00 host sshd[]: x'],
  ])('%s is no head', (_, line) => {
    const found = read(line);
    // A later word may pass for an identifier, but the malformed one must not.
    expect(found?.tag ?? '').not.toMatch(/^sshd/);
    expect(found?.pid ?? '').toBe('');
  });
});

describe('RFC 5424', () => {
  function structured(line: string, behind = '[a="]"] x - -'): Head | undefined {
    bytes.fill(0, FIXED_BYTES, lineAt + 1_024);
    const end = lineAt + bytes.write(line, lineAt, 'latin1');
    bytes.write(behind, end, 'latin1');
    const cut = (from: number, to: number): string => bytes.toString('latin1', from, to);
    header.setShape(true, false, 0, 0);
    header.beginLine();
    if (!header.readHead(lineAt, end)) return undefined;
    expect(Math.max(header.messageStart, header.tagEnd, header.pidEnd, header.hostEnd)).toBeLessThanOrEqual(end);
    return {
      time: cut(header.timeStart, header.timeEnd),
      host: cut(header.hostStart, header.hostEnd),
      tag: cut(header.tagStart, header.tagEnd),
      pid: cut(header.pidStart, header.pidEnd),
      message: cut(header.messageStart, end),
    };
  }
  const time = '2026-11-21T08:00:00.123456-04:00';
  const expected = { time, host: 'host', tag: 'sshd', pid: '123', message };

  test.each<[what: string, line: string, other: Partial<Head>]>([
    ['nothing special', `${time} host sshd 123 - - ${message}`, {}],
    ['no time', `- host sshd 123 - - ${message}`, { time: '' }],
    ['no host', `${time} - sshd 123 - - ${message}`, { host: '-' }],
    ['no pid', `${time} host sshd - - - ${message}`, { pid: '' }],
    ['a pid that is none', `${time} host sshd 12a - - ${message}`, { pid: '' }],
    ['a message id', `${time} host sshd 123 ID47 - ${message}`, {}],
    ['data', `${time} host sshd 123 - [a@1 b="c"] ${message}`, {}],
    ['more data', `${time} host sshd 123 - [a@1 b="c" d=""][e] ${message}`, {}],
    ['data with what ends it elsewhere', `${time} host sshd 123 - [a b="\\]] \\" x"] ${message}`, {}],
    ['a bracket within quotes', `${time} host sshd 123 - [a b="] x"] ${message}`, {}],
    ['a byte order mark', `${time} host sshd 123 - - \xef\xbb\xbf${message}`, {}],
    ['no message', `${time} host sshd 123 - -`, { message: '' }],
  ])('%s', (_, line, other) => expect(structured(line)).toEqual({ ...expected, ...other }));

  test.each<[what: string, line: string]>([
    ['no identifier', `${time} host - 123 - - ${message}`],
    ['no time and no dash', `host sshd 123 - - ${message}`],
    ['no data', `${time} host sshd 123 - ${message}`],
    ['data that do not end', `${time} host sshd 123 - [a b="c`],
    ['data and no blank', `${time} host sshd 123 - [a]x`],
    ['a cut head', `${time} host sshd 123`],
    ['a cut time', '2026-11-21T08'],
    ['nothing', ''],
  ])('%s is no head', (_, line) => expect(structured(line)).toBe(undefined));

  test('a head that is cut anywhere is not a head, whatever follows it in memory', () => {
    const head = `${time} host sshd 123 - [a b="c"] `;
    for (let length = 0; length < head.length; length++)
      for (const behind of [head.slice(length), ' ', ']', '[x]'])
        expect(structured(head.slice(0, length), behind)).toEqual(structured(head.slice(0, length), '\xff'));
  });
});

describe('metalog', () => {
  test.each<[line: string, tag: string | undefined]>([
    ['Nov 21 08:00:00 [sshd] x', 'sshd'],
    ['Nov 21 08:00:00 [sshd]: x', undefined],
    ['Nov 21 08:00:00 [ssh d] x', undefined],
    ['Nov 21 08:00:00 [] x', undefined],
    ['Nov 21 08:00:00 [sshd]', undefined],
    [`Nov 21 08:00:00 [${'s'.repeat(65)}] x`, undefined],
    ['[sshd] x', undefined],
  ])('%s', (line, tag) => {
    const end = lineAt + bytes.write(line, lineAt, 'latin1');
    bytes.write('] x', end, 'latin1');
    header.beginLine();
    header.readLineTime(lineAt, end);
    const found = header.readBracketed(end) ? bytes.toString('latin1', header.tagStart, header.tagEnd) : undefined;
    expect(found).toBe(tag);
    if (found !== undefined) expect(bytes.toString('latin1', header.messageStart, end)).toBe('x');
  });
});

describe('the time of a line', () => {
  const clock = '21-Nov-2026 08:00:00';

  /** The timestamp and what stands behind it; nothing if there is none. */
  function timeBefore(line: string, behind: string): [time: string, rest: string] | undefined {
    bytes.fill(0, 0, 65_536);
    const end = lineAt + bytes.write(line, lineAt, 'latin1');
    bytes.write(behind, end, 'latin1');
    header.beginLine();
    const found = header.readLineTime(lineAt, end);
    const cut = (from: number, to: number): string => bytes.toString('latin1', from, to);
    expect(header.afterTime).toBeLessThanOrEqual(end);
    if (!found) return undefined;
    return [cut(header.timeStart, header.timeEnd), cut(header.afterTime, end)];
  }

  /** The same, whatever stands behind the line. */
  function timeOf(line: string): [time: string, rest: string] | undefined {
    const found = timeBefore(line, '] ]: 12');
    for (const behind of [': x', ' x', `[${clock}] x`, ':00:00 host and more', '1', ' +0100 x'])
      expect(timeBefore(line, behind)).toEqual(found);
    return found;
  }

  test.each<[what: string, line: string, rest: string]>([
    ['alone', clock, ''],
    ['with blanks behind it', `${clock} \t x`, 'x'],
    ['with a colon', `${clock}: x`, 'x'],
    ['with one colon of two', `${clock}:: x`, ': x'],
    ['in brackets', `[${clock}] x`, 'x'],
    ['in brackets, no blank', `[${clock}]x`, 'x'],
    ['in brackets, with a colon', `[${clock}]: x`, 'x'],
    ['in brackets, at the end', `[${clock}]`, ''],
    ['in brackets, with a zone', `[${clock} Europe/Berlin] x`, 'x'],
    ['in brackets, with as long a zone as is read', `[${clock}${'z'.repeat(40)}] x`, 'x'],
  ])('%s', (_what, line, rest) => expect(timeOf(line)).toEqual([clock, rest]));

  test.each<[what: string, line: string]>([
    ['nothing', ''],
    ['a bracket', '['],
    ['a bracket that does not close', `[${clock} x`],
    ['a bracket that closes behind the line', `[${clock}`],
    ['a zone that is too long', `[${clock}${'z'.repeat(41)}] x`],
    ['a word', 'host x'],
    ['a cut one', 'Xyz 21 08'],
    ['a word that is longer than a month', 'abcdefghijklmnopqrs 21 08:00:00 host and more'],
    ['no month either', '9ai 21 08:00:00 host and more'],
    ['no day', 'Xyz-21 08:00:00 host and more'],
    ['no clock', 'Xyz 21-08:00:00 host and more'],
    ['no minute', 'Xyz 21 08-00:00 host and more'],
    ['no second', 'Xyz 21 08:00-00 host and more'],
    ['no host but a year', 'Xyz 21 08:00:00 2026 host'],
    ['nor one that begins with 0', 'Xyz 21 08:00:00 0host and more'],
    ['nor one that begins with 9', 'Xyz 21 08:00:00 9host and more'],
    ['no room for a message', 'Xyz 21 08:00:00 host'],
    ['no end', 'Xyz 21 08:00:00.host and more'],
    ['no year', '2026:11-21T08:00:00 +0100 host'],
    ['no month of a year', '2026-11:21T08:00:00 +0100 host'],
    ['nothing before the clock', '2026-11-21t08:00:00 +0100 host'],
    ['no minute of a year', '2026-11-21T08-00:00 +0100 host'],
    ['no second of a year', '2026-11-21T08:00-00 +0100 host'],
  ])('%s is none', (_what, line) => expect(timeOf(line)).toBe(undefined));

  /** Months of other languages make times too. What stands behind a time is read for itself. */
  test.each<[line: string, time: string]>([
    ['Nov 21 08:00:00 x', 'Nov 21 08:00:00'],
    ['Nov 21 08:00:00 host x', 'Nov 21 08:00:00'],
    ['Nov 21 08:00:00 2026 host', 'Nov 21 08:00:00 2026'],
    ['Nov 21 08:00:00 9host and more', 'Nov 21 08:00:00'],
    ['Xyz 21 08:00:00 host and more', 'Xyz 21 08:00:00'],
    ['Xyz 21 08:00:00 hosts', 'Xyz 21 08:00:00'],
    ['Xyz 21 08:00:00 /host and more', 'Xyz 21 08:00:00'],
    ['Xyz 21 08:00:00 ::1 and more', 'Xyz 21 08:00:00'],
    ['Z\xe1\xf8 21 08:00:00 - and more', 'Z\xe1\xf8 21 08:00:00'],
    ['2026-11-21T08:00:00 +0100 host', '2026-11-21T08:00:00 +0100'],
    ['2026-11-21T08:00:09 +0100 host', '2026-11-21T08:00:09 +0100'],
    ['2026-11-21T08:00:00-host9 x and more', '2026-11-21T08:00:00'],
    ['2026-11-21T08:00:00]x0 host and more', '2026-11-21T08:00:00'],
    ['2026-11-21T08:00:00Z host', '2026-11-21T08:00:00Z'],
    ['2026-11-21T08:00:00+01:00 host', '2026-11-21T08:00:00+01:00'],
    ['2026-11-21T08:00:00.123456789+01:00 host', '2026-11-21T08:00:00.123456789+01:00'],
    ['2026-11-21T08:00:00: host and more', '2026-11-21T08:00:00'],
    ['2026-11-21T08:00:00.5, host and more', '2026-11-21T08:00:00.5'],
  ])('%s', (line, time) => expect(timeOf(line)?.[0]).toBe(time));
});

describe('what stands between identifier and message', () => {
  test.each<[line: string, message: string]>([
    ['[ID 800047 auth.info] Failed', 'Failed'],
    ['[ID 800047 auth.info]Failed', '[ID 800047 auth.info]Failed'],
    ['[ID 800047 auth.info', '[ID 800047 auth.info'],
    ['[IP 800047 auth.info] Failed', '[IP 800047 auth.info] Failed'],
    [`[ID ${'1'.repeat(44)}] x`, 'x'],
    [`[ID ${'1'.repeat(45)}] x`, `[ID ${'1'.repeat(45)}] x`],
    ['kernel: [ 1234.567890] Failed password', 'Failed password'],
    ['kernel: [1234.567890] Failed password', 'Failed password'],
    ['kernel: [/0129:] Failed password', 'kernel: [/0129:] Failed password'],
    ['kernel: [ 1234.567890]Failed password', 'kernel: [ 1234.567890]Failed password'],
    ['kernel: [ 1234.567890 Failed password', 'kernel: [ 1234.567890 Failed password'],
    ['kernel: ( 1234.567890] Failed password', 'kernel: ( 1234.567890] Failed password'],
    ['kernel; [ 1234.567890] Failed password', 'kernel; [ 1234.567890] Failed password'],
    ['kernes: [ 1234.567890] Failed password', 'kernes: [ 1234.567890] Failed password'],
    [`[ID ${'1'.repeat(45)} x`, `[ID ${'1'.repeat(45)} x`],
    ['barrel: [ 1234.567890] Failed password', 'barrel: [ 1234.567890] Failed password'],
    ['kernel: [ 1234.567890) Failed password', 'kernel: [ 1234.567890) Failed password'],
    ['kernel: [1.0] x', 'x'],
    ['kernel: [ 0123456789.012345', 'kernel: [ 0123456789.012345'],
    ['kernel: [ 0123456789.0123]', 'kernel: [ 0123456789.0123]'],
  ])('%s', (line, message) => {
    const head = 'Nov 21 08:00:00 host sshd[1]: ';
    expect(read(head + line)).toMatchObject({ tag: 'sshd', pid: '1', message });
    for (let length = 0; length < line.length; length++) {
      const cut = line.slice(0, length);
      const alone = read(head + cut, false, '\xff'.repeat(64));
      for (const behind of [line.slice(length), '] ', ' ']) expect(read(head + cut, false, behind)).toEqual(alone);
    }
  });
});

describe('what is remembered of the lines before', () => {
  const now = Date.UTC(2026, 10, 21, 9) / 1000;

  /** The time of the head that was read last, as the engine asks for it. */
  function timeOfHead(): number {
    const known = header.knownTime(now);
    return known >= 0 ? known : decodeTime(header.timeStart, header.timeEnd, now);
  }

  /** Reads a line as the engine does. If it matches, its time is decoded and remembered. */
  function readTimed(line: string, behind?: string): unknown {
    const head = read(line, false, behind);
    if (head === undefined || head.time === '') return head;
    const decoded = timeOfHead();
    expect(decodeTime(header.timeStart, header.timeEnd, now)).toBe(decoded);
    return { ...head, decoded, afterTime: header.afterTime };
  }

  test('a head like the last one is read at once', () => {
    const line = (second: string, pid: string) => `Nov 21 08:00:${second} host sshd[${pid}]: ${message}`;
    expect(header.knownTime(now)).toBe(-1);
    // The first line is decoded, the second has the same time, the third has the same head.
    for (const second of ['00', '01', '59']) {
      read(line(second, '7'));
      expect(header.knownTime(now)).toBe(second === '00' ? -1 : now - 3_600 + Number(second));
      readTimed(line(second, '7'));
    }
    expect(read(line('02', '4194304'))).toMatchObject({ host: 'host', tag: 'sshd', pid: '4194304', message });
    expect(header.knownTime(now)).toBe(now - 3_600 + 2);
    expect(header.knownTime(now + 1)).toBe(-1);
  });

  test('a time stays what it is, though others in its line are remembered before it is asked for', () => {
    for (const second of ['00', '01']) readTimed(`Nov 21 08:00:${second} host sshd[7]: x`);
    setClock(now);
    read('Nov 21 08:00:02 host sshd[7]: x');
    for (let scans = 0; scans < 20; scans++) {
      const end = lineAt + 512 + bytes.write('2026-11-21 05:06:30', lineAt + 512);
      scanTime(lineAt + 512, end);
    }
    expect(timeOfHead()).toBe(now - 3_600 + 2);
  });

  const usual = 'Nov 21 08:00:00 host sshd[7]: x';

  /**
   * Makes the head of `like` the remembered one: it is decoded, seen with that time, then seen with
   * that head.
   */
  function remember(like: string): void {
    resetTime();
    for (let time = 0; time < 3; time++) readTimed(like);
  }

  test.each<[like: string, line: string]>([
    [usual, 'Nov 21 08:00:60 host sshd[7]: x'],
    [usual, 'Nov 21 08:00:61 host sshd[7]: x'],
    [usual, 'Nov 21 08:00:01 host sshd[]: x'],
    [usual, 'Nov 21 08:00:01 host sshd[7]'],
    [usual, 'Nov 21 08:00:01 host sshd[7]:'],
    [usual, 'Nov 21 08:00:01 host sshd[7'],
    [usual, 'Nov 21 08:00:01 host sshd[12345]'],
    [usual, 'Nov 21 08:00:01 host sshd[12345]:'],
    [usual, 'Nov 21 08:00:01 host sshd[12345'],
    [usual, 'Nov 21 08:00:01 host sshd['],
    [usual, 'Nov 21 08:00:01 host sshd'],
    [usual, 'Nov 21 08:00:01 host sshd[7]:x'],
    [usual, 'Nov 21 08:00:01 host sshd[7]; x'],
    [usual, 'Nov 21 08:00:01 host sshd[7)]: x'],
    [usual, 'Nov 21 08:00:01 host sshd[7): x'],
    [usual, 'Nov 21 08:00:01 host sshd[7]: '],
    [usual, 'Nov 21 08:00:01 host sshd[1234567]: x'],
    [usual, 'Nov 21 08:00:01 host sshd[7]: [ID 1 auth.info] x'],
    ['Nov 21 08:00:00 host sshd [7]: x', 'Nov 21 08:00:00 host sshd [8]: x'],
    ['Nov 21 08:00:00 host [sshd]: x', 'Nov 21 08:00:00 host [sshd]5]: x'],
    ['Nov 21 08:00:00 host s\0hd[7]: x', 'Nov 21 08:00:00 host s0hd[7]: x'],
    ['Nov 21 08:00:00 h\x01st sshd[7]: x', 'Nov 21 08:00:00 h st sshd[7]: x'],
    ['[21-Nov-2026 08:00:00] host php[7]: x', '[21-Nov-2026 08:00:01] host php[8]: x'],
  ])('%s, then %s', (like, line) => {
    for (const behind of ['[1]: x', '7]: x', ']: x', ': x', ' x']) {
      resetTime();
      const fresh = readTimed(line, behind);
      remember(like);
      expect(readTimed(line, behind)).toEqual(fresh);
    }
  });

  test('a head that differs from it in any byte is read anew', () => {
    for (const like of [usual, usual.replace('host', 'h'.repeat(60)), usual.replace('host', 'h'.repeat(90))]) {
      for (let i = 0; i < like.length; i++) {
        const line = `${like.slice(0, i)}${like[i] === '1' ? 2 : 1}${like.slice(i + 1)}`;
        resetTime();
        const fresh = readTimed(line);
        remember(like);
        expect(readTimed(line), line).toEqual(fresh);
      }
    }
  });

  test.each([60, 69, 70, 71, 90])('with a host of %i bytes, and nothing else is written', (length) => {
    bytes.fill(0, 0, FIXED_BYTES);
    const like = usual.replace('host', 'h'.repeat(length));
    resetTime();
    const fresh = readTimed(like);
    remember(like);
    expect(readTimed(like)).toEqual(fresh);
    expect(bytes.subarray(FIXED_BYTES, lineAt - 1).every((byte) => byte === 0)).toBe(true);
    expect(bytes.subarray(ZONES, HEAD_FORM).every((byte) => byte === 0)).toBe(true);
  });

  test('a zone apart from its time belongs to it, remembered or not', () => {
    const time = '2026-11-21T08:00:00 +0100';
    const line = `${time} host sshd[7]: x`;
    const fresh = read(line);
    expect(fresh).toMatchObject({ time, tag: 'sshd', pid: '7' });
    expect(decodeTime(header.timeStart, header.timeStart + time.length, now)).toBe(Date.UTC(2026, 10, 21, 7) / 1000);
    expect(read(line)).toEqual(fresh);
    expect(header.knownTime(now)).toBe(Date.UTC(2026, 10, 21, 7) / 1000);
  });

  test('nothing is read beyond the end of the memory', () => {
    remember(usual);
    const cut = Buffer.from('Nov 21 08:00:00 host s');
    const start = memory.byteLength - cut.length;
    cut.copy(bytes, start);
    expect(header.readHead(start, memory.byteLength - 1)).toBe(false);
  });

  test('the result is that of a fresh reading', () => {
    const time = fc.oneof(
      { weight: 6, arbitrary: fc.nat({ max: 99 }).map((second) => `Nov 21 08:00:${String(second).padStart(2, '0')}`) },
      {
        weight: 6,
        arbitrary: fc
          .tuple(fc.nat({ max: 61 }), fc.nat({ max: 999 }))
          .map(([second, part]) => `2026-11-21T08:00:${String(second).padStart(2, '0')}.${part}+01:00`),
      },
      fc.constantFrom('Nov 21 08:01:00', 'Nov  1 08:00:00', '2026-11-21T08:00:00Z', 'Nov 21 08:00:00 2026', ''),
    );
    const host = fc.constantFrom(
      'host',
      'host',
      'hosts',
      'host relay',
      '2020-web',
      'h\x01st',
      'hast',
      'h'.repeat(60),
      '',
    );
    const identifier = fc.constantFrom(
      ...['sshd', 'sshd', 'sshd', 'sshds', 'app[web]', '[sshd]', 'auth.info sshd', 'sshd ', 'sshd: x', 's\0hd', 's0hd'],
    );
    const pid = fc.oneof(
      { weight: 4, arbitrary: fc.nat({ max: 4_194_304 }).map((number) => `[${number}]`) },
      fc.constantFrom('', '[]', '[12a]', `[${'1'.repeat(40)}]`, '[1', '1]', '[1][2]'),
    );
    const gap = fc.constantFrom(': ', ': ', ': ', ': ', ':', '; ', ' ', '', ':  ', ': [ID 1 auth.info] ');
    const text = fc.constantFrom(message, '', 'x', '1');
    const line = fc
      .tuple(time, host, identifier, pid, gap, text)
      .map(([when, where, who, number, between, what]) => `${when} ${where} ${who}${number}${between}${what}`);
    fc.assert(
      fc.property(fc.array(line, { minLength: 2, maxLength: 60 }), (lines) => {
        resetTime();
        const remembering = lines.map((each) => readTimed(each));
        const fresh = lines.map((each) => {
          resetTime();
          return readTimed(each);
        });
        expect(remembering).toEqual(fresh);
      }),
      { numRuns: 500 },
    );
  });
});

describe('what an attacker writes', () => {
  const hostile = fc.oneof(
    fc.string({ unit: 'binary', maxLength: 60 }),
    fc.constantFrom(
      'Nov 21 09:00:00 evil sshd[666]: Failed password for root from 203.0.113.9 port 1 ssh2',
      '[ID 1 auth.info] ',
      'kernel: [ 1.0] ',
      ']: sshd[666]: ',
      ' 2027',
      ': ',
    ),
  );
  const heads = [
    'Nov 21 08:00:00 host sshd[123]: ',
    '2026-11-21T08:00:00.123456+01:00 host sshd[123]: ',
    'Nov 21 08:00:00 host [sshd]: ',
    'Nov 21 2026 08:00:00 host sshd: ',
  ];

  test('no message changes time, host, identifier or pid', () => {
    fc.assert(
      fc.property(fc.constantFrom(...heads), hostile, (head, text) => {
        const line = Buffer.from(text, 'latin1').toString('latin1').replaceAll('\n', ' ');
        const { message: plain, ...expected } = read(`${head}x`)!;
        expect(plain).toBe('x');
        const { message: found, ...rest } = read(head + line)!;
        expect(rest).toEqual(expected);
        // The message is the text, except blanks and what Solaris and kernels put before it.
        expect(line.endsWith(found)).toBe(true);
        if (!/^ *(\[ID |kernel: \[)/.test(line)) expect(found).toBe(line.replace(/^ +/, ''));
      }),
      { numRuns: 3_000 },
    );
  });

  test('any line is read within its bounds', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary', maxLength: 120 }), fc.nat(40), fc.boolean(), (text, cut, journal) => {
        const line = Buffer.from(text, 'latin1').toString('latin1');
        read(line, journal);
        for (const head of heads) read(head.slice(0, cut) + line, journal);
      }),
      { numRuns: 2_000 },
    );
  });

  test('a line cut at any byte yields the same head or none', () => {
    for (const head of heads) {
      const whole = head + message;
      const expected = read(whole)!;
      for (let length = 0; length <= whole.length; length++) {
        const found = read(whole.slice(0, length));
        if (found && length >= head.length) expect({ ...found, message: expected.message }).toEqual(expected);
      }
    }
  });
});
