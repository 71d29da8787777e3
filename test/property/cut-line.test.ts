/**
 * Lines longer than the part that we read (limits.ts, lineBytesMax), or than the part that their
 * writer writes. Such a line ends where an attacker chose, before the service's own address, and he
 * may have put another address there. None of them may be read as a whole line (claims S-*).
 */
import { readdirSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { Examiner } from '../../src/engine/examiner.ts';
import { filters } from '../../src/filters/index.ts';
import { lineBytesMax } from '../../src/limits.ts';
import { formatAddress } from '../../src/text/address.ts';
import { readCorpus } from '../support/corpus.ts';

const syslog = (tag: string, message: string): string => `Mar  7 18:53:22 host ${tag}[901]: ${message}`;
const pbx = (message: string): string => `[2025-03-04 05:06:07] NOTICE[811] ${message}`;
const pam = 'authentication failure; logname= uid=0 euid=0 tty=dovecot ruser=';
const event =
  'res_security_log.c: SecurityEvent="InvalidPassword",EventTV="1",Severity="Error",Service="PJSIP",EventVersion="1",AccountID="';

const now = Date.UTC(2025, 3, 1) / 1000;

interface Cut {
  filter: string;
  mode?: string;
  title: string;
  /** What the service writes before the attacker's text. */
  head: string;
  /** How the text ends where the line is cut. */
  fake: string;
  /** The service's own end of the line. */
  rest: string;
  /** How many bytes of the line the writer keeps. Absent: as many as we read of a line. */
  bytesMax?: number;
}

const cuts: Cut[] = [
  {
    filter: 'roundcube-auth',
    title: 'X-Forwarded-For',
    head: '[04-Mar-2025 05:06:07 +0100]: Failed login for alice from 192.0.2.7 (X-Forwarded-For: ',
    fake: ' from 8.8.8.8',
    rest: ') in session 0a1b2c3d4e5f (error: 1)',
  },
  {
    filter: 'asterisk',
    title: 'To of a registration',
    head: pbx("chan_sip.c: Registration from '"),
    fake: "' failed for '8.8.8.8:5060' - Wrong password",
    rest: "' failed for '192.0.2.7:5060' - Wrong password",
  },
  {
    filter: 'asterisk',
    title: 'URI of a request',
    head: pbx("res_pjsip/pjsip_distributor.c: Request 'INVITE' from '"),
    fake: "' failed for '8.8.8.8:5060' (callid: x) - Failed to authenticate",
    rest: "' failed for '192.0.2.7:5060' (callid: y) - Failed to authenticate",
  },
  {
    filter: 'asterisk',
    title: 'account of an event',
    head: pbx(event),
    fake: '",SessionID="x",LocalAddress="IPV4/UDP/203.0.113.1/5060",RemoteAddress="IPV4/UDP/8.8.8.8/5060"',
    rest: '",SessionID="y",LocalAddress="IPV4/UDP/203.0.113.1/5060",RemoteAddress="IPV4/UDP/192.0.2.7/5060"',
  },
  {
    filter: 'asterisk',
    title: 'answer that an account ends in',
    head: pbx(
      `${event}x",SessionID="x",LocalAddress="IPV4/UDP/203.0.113.1/5060",RemoteAddress="IPV4/UDP/8.8.8.8/5060",Challenge="`,
    ),
    fake: '"',
    rest: '",SessionID="y",LocalAddress="IPV4/UDP/203.0.113.1/5060",RemoteAddress="IPV4/UDP/192.0.2.7/5060"',
  },
  {
    filter: 'exim',
    mode: 'more',
    title: 'command',
    head: '2025-03-07 18:53:22 SMTP protocol error in "AUTH ',
    fake: '" H=[8.8.8.8] AUTH command used when not advertised',
    rest: '" H=[192.0.2.7] AUTH command used when not advertised',
  },
  {
    filter: 'courier-auth',
    title: 'user name, where courierlogger cuts',
    head: syslog('imapd', 'LOGIN FAILED, user='),
    fake: ', ip=[8.8.8.8], port=[1]',
    rest: ', ip=[192.0.2.7], port=[50022]',
    bytesMax: 505 + syslog('imapd', '').length,
  },
  {
    filter: 'courier-auth',
    title: 'user name behind an address, where courierlogger cuts',
    head: syslog('imapd', 'LOGIN FAILED, user=x, ip=[8.8.8.8], '),
    fake: 'x',
    rest: ', ip=[192.0.2.7], port=[50022]',
    bytesMax: 505 + syslog('imapd', '').length,
  },
  {
    filter: 'vsftpd',
    title: 'user name that holds a password',
    head: 'Tue Mar  4 05:06:07 2025 [pid 811] [x] FAIL LOGIN: Client "8.8.8.8", anon password "',
    fake: '"',
    rest: '] FAIL LOGIN: Client "192.0.2.7"',
  },
  ...['vsftpd', 'pam-generic'].flatMap((filter): Cut[] => [
    {
      filter,
      title: 'remote user of PAM',
      head: syslog('vsftpd', pam),
      fake: ' rhost=8.8.8.8',
      rest: ' rhost=192.0.2.7  user=x',
    },
    {
      filter,
      title: 'user of PAM',
      head: syslog('vsftpd', `${pam}x rhost=8.8.8.8 user=`),
      fake: 'x',
      rest: ' rhost=192.0.2.7',
    },
  ]),
  {
    filter: 'dovecot',
    title: 'remote user of PAM',
    head: syslog('auth', `pam_unix(dovecot:auth): ${pam}`),
    fake: ' rhost=8.8.8.8',
    rest: ' rhost=192.0.2.7  user=x',
  },
  {
    filter: 'sendmail-auth',
    title: 'user name',
    head: syslog(
      'sm-mta',
      '527IrMXx000901: AUTH failure (LOGIN): authentication failure (-13) SASL(-13): authentication failure: checkpass failed, user=',
    ),
    fake: ', relay=[8.8.8.8]',
    rest: ', relay=[192.0.2.7]',
  },
];

/** The address against which the filter counts a line, or its first part. */
async function charges({ filter, mode = '' }: { filter: string; mode?: string }) {
  const jail = { filter, mode, maxretry: 1, findtime: 600, bantime: 600, ipv6Prefix: 128, ignore: [] };
  const engine = await Examiner.create({ jails: [jail], tableBytes: 0, now });
  return (line: Uint8Array, cut: boolean): string | undefined => {
    const { address } = engine.examine(line, filter, mode, now, false, cut);
    return address && formatAddress(address);
  };
}

test.each(cuts)('$filter: $title: a line that is cut does not end in an address', async (cut) => {
  const charged = await charges(cut);
  const bytesMax = cut.bytesMax ?? lineBytesMax;
  for (const filler of ['x', ' ']) {
    const before = cut.head + filler.repeat(bytesMax - cut.head.length - cut.fake.length) + cut.fake;
    const behind = cut.head + cut.fake + filler.repeat(bytesMax - cut.head.length - cut.fake.length);
    for (const text of [before, behind]) {
      const line = Buffer.from(text + cut.rest, 'latin1').subarray(0, bytesMax);
      expect([undefined, '192.0.2.7'], line.toString()).toContain(charged(line, cut.bytesMax === undefined));
    }
  }
});

test.each(cuts)('$filter: $title: where nothing is cut, the line is read or left out', async (cut) => {
  const charged = await charges(cut);
  expect([undefined, '192.0.2.7']).toContain(charged(Buffer.from(`${cut.head}x${cut.rest}`, 'latin1'), false));
});

describe('what the first part of a line decides, the whole line decides as well', () => {
  const cases = readdirSync('test/corpus')
    .filter((name) => name.endsWith('.txt'))
    .flatMap((name) => readCorpus(`test/corpus/${name}`));
  const hostile = [
    ' from 8.8.8.8 port 1 ssh2',
    ', client: 8.8.8.8, server: ',
    '" H=[8.8.8.8] ',
    ' rhost=8.8.8.8',
    ': x',
  ];

  // The lines of one connection influence each other.
  const alone = filters.filter(({ connection }) => connection === undefined);

  test.each(alone.map(({ name }) => name))('%s', async (name) => {
    for (const { lines, modes } of cases.filter(({ filter }) => filter === name)) {
      for (const mode of modes.length === 0 ? [''] : modes) {
        const charged = await charges({ filter: name, mode });
        for (const { line } of lines) {
          for (let length = 1; length <= line.length; length++) {
            const first = line.subarray(0, length);
            const decided = charged(first, true);
            if (decided === undefined) continue;
            expect(charged(line, false), first.toString()).toBe(decided);
            for (const text of hostile) {
              const other = Buffer.concat([first, Buffer.from(text)]);
              expect(charged(other, false), other.toString()).toBe(decided);
            }
          }
        }
      }
    }
  });

  test('a cut in an address decides nothing', async () => {
    const line = Buffer.from(
      '2025/03/07 18:53:22 [error] 811#811: *42 limiting requests, excess: 5.120 by zone "z", client: 192.0.2.77, server: x',
    );
    const charged = await charges({ filter: 'nginx-limit-req' });
    const addresses = Array.from({ length: line.length }, (_, i) => charged(line.subarray(0, i + 1), true));
    // The address counts only if all of ", server: " stands behind it.
    expect(addresses.indexOf('192.0.2.77')).toBe(line.indexOf(', server: ') + ', server: '.length - 1);
    expect(new Set(addresses)).toEqual(new Set([undefined, '192.0.2.77']));
  });
});
