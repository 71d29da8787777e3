/**
 * Attacker text in every field that a client of FTP, SQL, telephony, VPN and PAM services chooses.
 * Whatever the text, the filter finds the address that the service wrote, or none (claims S-*).
 * Lines are built as the services build them, in every form they have. The address must be found if
 * the text cannot give the line a second reading.
 */
import fc from 'fast-check';
import { expect, test } from 'vitest';
import type { Filter, Token } from '../../src/compiler/pattern.ts';
import { filters } from '../../src/filters/index.ts';
import { attackerText } from '../support/attacker-text.ts';
import { oracleLine } from '../support/oracle.ts';

interface Format {
  filter: string;
  title: string;
  /** `exact`: the address must be found. `unsure`: the line may also be left out. */
  sure: 'exact' | 'unsure';
  /** The line for an attacker at `address` who chose `a` and `b`. */
  write(address: string, a: string, b: string): string;
}

const syslog = (tag: string, message: string): string => `Mar  4 05:06:07 host ${tag}[811]: ${message}`;
const ftp = (message: string): string => `Tue Mar  4 05:06:07 2025 [pid 811] ${message}`;
const pbx = (level: string, message: string): string => `[2025-03-04 05:06:07] ${level}[811] ${message}`;
const pam = (address: string, remote: string, user: string): string =>
  `pam_unix(x:auth): authentication failure; logname= uid=0 euid=0 tty=x ruser=${remote} rhost=${address} ${user}`;
const event = (name: string, address: string, account: string, session: string, answer: string): string =>
  pbx(
    'SECURITY',
    `res_security_log.c: SecurityEvent="${name}",EventTV="1",Severity="Error",Service="PJSIP",EventVersion="1",AccountID="${account}",SessionID="${session}",LocalAddress="IPV4/UDP/203.0.113.1/5060",RemoteAddress="IPV4/UDP/${address}/5060"${answer}`,
  );

/** How SIP writes a quoted text. */
const quoted = (text: string): string => text.replace(/[\\"]/g, '\\$&');

const formats: Format[] = [
  {
    filter: 'proftpd',
    title: 'user name',
    sure: 'exact',
    write: (address, a) =>
      syslog('proftpd', `ftp.example.org (client[${address}]) - USER ${a} (Login failed): Incorrect password`),
  },
  {
    filter: 'proftpd',
    title: 'user name with an empty password',
    sure: 'unsure',
    write: (address, a) =>
      syslog('proftpd', `ftp.example.org (client[${address}]) - Refusing empty password from user '${a}'`),
  },
  {
    filter: 'vsftpd',
    title: 'user name, repeated',
    sure: 'unsure',
    write: (address, a) => syslog('vsftpd', `message repeated 2 times: [ [${a}] FAIL LOGIN: Client "${address}"]`),
  },
  {
    filter: 'vsftpd',
    title: 'user name in its own log',
    sure: 'unsure',
    write: (address, a) => ftp(`[${a}] FAIL LOGIN: Client "${address}"`),
  },
  {
    filter: 'vsftpd',
    title: 'user name in syslog',
    sure: 'unsure',
    write: (address, a) => syslog('vsftpd', `[${a}] FAIL LOGIN: Client "${address}"`),
  },
  {
    filter: 'vsftpd',
    title: 'password of an anonymous user',
    sure: 'unsure',
    write: (address, a) => ftp(`[ftp] FAIL LOGIN: Client "${address}", anon password "${a}"`),
  },
  {
    filter: 'vsftpd',
    title: 'command',
    sure: 'unsure',
    write: (address, a, b) => ftp(`[${a}] FTP command: Client "${address}", "${b}"`),
  },
  {
    filter: 'vsftpd',
    title: 'PAM',
    sure: 'unsure',
    write: (address, a, b) => syslog('vsftpd', pam(address, a, ` user=${b}`)),
  },
  {
    filter: 'pam-generic',
    title: 'remote user',
    sure: 'unsure',
    write: (address, a) => syslog('x', pam(address, a, '')),
  },
  {
    filter: 'pam-generic',
    title: 'remote user and user',
    sure: 'unsure',
    write: (address, a, b) => syslog('x', pam(address, a, ` user=${b}`)),
  },
  {
    filter: 'pure-ftpd',
    title: 'user name',
    sure: 'unsure',
    write: (address, a) => syslog('pure-ftpd', `(?@${address}) [WARNING] Authentication failed for user [${a}]`),
  },
  {
    filter: 'mysqld-auth',
    title: 'user name',
    sure: 'exact',
    write: (address, a) =>
      `2025-03-04 05:06:07 8 [Warning] Access denied for user '${a}'@'${address}' (using password: YES)`,
  },
  {
    filter: 'mysqld-auth',
    title: 'user name and database',
    sure: 'unsure',
    write: (address, a, b) =>
      `2025-03-04 05:06:07 8 [Warning] Access denied for user '${a}'@'${address}' to database '${b}'`,
  },
  {
    filter: 'dropbear',
    title: 'user name that is not its own',
    sure: 'exact',
    write: (address, a) => syslog('dropbear', `Login attempt with wrong user ${a} from ${address}:40022`),
  },
  {
    filter: 'dropbear',
    title: 'user name, repeated',
    sure: 'exact',
    write: (address, a) =>
      syslog('dropbear', `message repeated 2 times: [ Bad password attempt for '${a}' from ${address}:40022]`),
  },
  {
    filter: 'dropbear',
    title: 'user name',
    sure: 'exact',
    write: (address, a) => syslog('dropbear', `Bad password attempt for '${a}' from ${address}:40022`),
  },
  {
    filter: 'dropbear',
    title: 'user name of the goodbye',
    sure: 'unsure',
    write: (address, a, b) =>
      syslog(
        'dropbear',
        `Exit before auth from <${address}:40022>: (user '${a}', 3 fails): Max auth tries reached - user '${b}'`,
      ),
  },
  {
    filter: 'proxmox',
    title: 'user name',
    sure: 'unsure',
    write: (address, a) =>
      syslog('pvedaemon', `authentication failure; rhost=${address} user=${a}@pam msg=no such user`),
  },
  {
    filter: 'asterisk',
    title: 'To of a registration',
    sure: 'exact',
    write: (address, a) =>
      pbx('NOTICE', `chan_sip.c: Registration from '${a}' failed for '${address}:5060' - Wrong password`),
  },
  {
    filter: 'asterisk',
    title: 'dialled number',
    sure: 'exact',
    write: (address, a) =>
      pbx(
        'NOTICE',
        `chan_sip.c: Call from '' (${address}:5060) to extension '${a}' rejected because extension not found in context 'public'.`,
      ),
  },
  {
    filter: 'asterisk',
    title: 'user of the manager interface',
    sure: 'exact',
    write: (address, a) => pbx('NOTICE', `manager.c: ${address} failed to authenticate as '${a}'`),
  },
  {
    filter: 'asterisk',
    title: 'peer of IAX2',
    sure: 'exact',
    write: (address, a) => pbx('NOTICE', `chan_iax2.c: No registration for peer '${a}' (from ${address})`),
  },
  {
    filter: 'asterisk',
    title: 'dialled number where a file stands',
    sure: 'unsure',
    write: (address, a) => pbx('WARNING', `Ext. ${a}: "Rejecting unknown SIP connection from ${address}:5060"`),
  },
  {
    filter: 'asterisk',
    // PJSIP keeps the backslashes of a quoted name, and prints at most 256 bytes of a URI.
    title: 'URI and Call-ID',
    sure: 'exact',
    write: (address, a, b) =>
      pbx(
        'NOTICE',
        `res_pjsip/pjsip_distributor.c: Request 'INVITE' from '"${quoted(a.slice(0, 100))}" <sip:x@example.org>' failed for '${address}:5060' (callid: ${b}) - Failed to authenticate`,
      ),
  },
  {
    filter: 'asterisk',
    title: 'account and session of an event',
    sure: 'unsure',
    write: (address, a, b) => event('InvalidAccountID', address, a, b, ''),
  },
  {
    filter: 'asterisk',
    title: 'session of an event',
    sure: 'exact',
    write: (address, a) => event('InvalidPassword', address, 'alice', a, ',Challenge="c",ReceivedChallenge="d"'),
  },
  {
    filter: 'asterisk',
    title: 'account and answer of an event',
    sure: 'unsure',
    write: (address, a, b) =>
      event('ChallengeResponseFailed', address, a, 'x', `,Challenge="c",Response="${quoted(b)}",ExpectedResponse="e"`),
  },
];

const phrases: Record<string, string[]> = {
  proftpd: ['(x[%]) - USER ', ' (Login failed): Incorrect password', ': no such user found from x [%] to % :21', '])'],
  vsftpd: [
    '] FAIL LOGIN: Client "%"',
    '] FAIL LOGIN: Client "%',
    '", anon password "',
    '", "',
    '[pid 1] [',
    ' vsftpd[1]: [',
    ' rhost=%',
    ' rhost=% ',
    ' user=',
    ' user=x',
  ],
  'pam-generic': [
    ' rhost=%',
    ' rhost=% ',
    ' user=',
    ' user=x',
    ' ruser=',
    'pam_unix(x:auth): authentication failure; ',
  ],
  'pure-ftpd': ['(?@%) [WARNING] ', 'Authentication failed for user [', ']'],
  'mysqld-auth': ["'@'%'", "'@'%", ' (using password: YES)', " to database '", "'", "' to database '"],
  dropbear: ["' from %:22", ' from %', ' from %:22', ": Max auth tries reached - user '", ' from <%:1>: '],
  proxmox: [' rhost=%', ' user=', 'authentication failure; rhost=% user='],
  asterisk: [
    "' failed for '%'",
    "' failed for '%:5060'",
    ' - Wrong password',
    "' (%:5060) to extension '",
    "' rejected because extension not found in context 'x'.",
    "' (from %)",
    ' (callid: x) - Failed to authenticate',
    "' failed for '%:5060' (callid: ",
    '",RemoteAddress="IPV4/UDP/%/1"',
    ',RemoteAddress="IPV4/UDP/%/1',
    '",SessionID="x",LocalAddress="IPV4/UDP/%/1",RemoteAddress="IPV4/UDP/%/1',
    ',Challenge="x',
    '",Response="x',
    ': "Rejecting unknown SIP connection from %"',
    ': % failed to authenticate',
    'x: Host % failed MD5 authentication',
  ],
};

const honest = '192.0.2.7';

/** Throws unless the address found is the honest one or, where the format allows it, none. */
function hold(definition: Filter, { filter, sure, write }: Format): void {
  const text = attackerText(phrases[filter] as string[], 300);
  fc.assert(
    fc.property(text, text, (a, b) => {
      const found = oracleLine(definition, Buffer.from(write(honest, a, b), 'latin1'));
      const context = definition.patterns[found?.index ?? 0]?.effect?.kind === 'context';
      if (found === null || found.ignored || context) expect(sure, 'not recognised').toBe('unsure');
      else expect(found.addressText).toBe(honest);
    }),
    { numRuns: 1500 },
  );
}

const named = (name: string): Filter => filters.find((filter) => filter.name === name) as Filter;

test.each(formats)('$filter: $title: an ordinary text leaves the address where it is', ({ filter, sure, write }) => {
  const found = oracleLine(named(filter), Buffer.from(write(honest, 'alice', 'bob')));
  if (found !== null || sure === 'exact') expect(found?.addressText).toBe(honest);
});

test.each(formats)('$filter: $title: no text moves the address', (format) => hold(named(format.filter), format));

test('the same property fails on filters that read from the left, leave the end open or ignore nothing', () => {
  const careless = (token: Token): Token => {
    if (token.kind === 'text') return { ...token, from: 'left' };
    return token.kind === 'end' ? { kind: 'optional', tokens: [token] } : token;
  };
  for (const name of ['mysqld-auth', 'dropbear', 'asterisk', 'vsftpd', 'pam-generic']) {
    const filter = named(name);
    const patterns = filter.patterns.map((pattern) => ({ ...pattern, tokens: pattern.tokens.map(careless) }));
    const broken = { ...filter, patterns, ignore: [] };
    expect(() => {
      for (const format of formats.filter((one) => one.filter === name)) hold(broken, format);
    }, name).toThrow('Property failed');
  }
});
