/**
 * Attacker text in every field that a mail client chooses: HELO name, sender, recipient, command,
 * early talk, user name, password, SASL text, server name. Whatever the text, the filter finds the
 * address that the service wrote, or none (claims S-*). Lines are built as the services build them.
 * The address must be found if the text stands right of it, or if the text cannot give the line a
 * second reading.
 */
import fc from 'fast-check';
import { expect, test } from 'vitest';
import type { Filter, Token } from '../../src/compiler/pattern.ts';
import { filters } from '../../src/filters/index.ts';
import { attackerText } from '../support/attacker-text.ts';
import { oracleLine } from '../support/oracle.ts';

interface Format {
  filter: string;
  mode?: string;
  title: string;
  /** `exact`: the address must be found. `unsure`: the line may also be left out. */
  sure: 'exact' | 'unsure';
  /** The line for an attacker at `address` who chose `a` and `b`. */
  write(address: string, a: string, b: string): string;
}

const syslog = (tag: string, message: string): string => `Mar  7 18:53:22 host ${tag}[901]: ${message}`;
const exim = (message: string): string => `2025-03-07 18:53:22 ${message}`;
/** str_sanitize() of Dovecot and string_printing() of Exim: no control bytes. */
const printable = (text: string, bytesMax: number): string =>
  [...text]
    .map((character) => (character < ' ' || character === '\x7f' ? '?' : character))
    .join('')
    .slice(0, bytesMax);
const login = (reason: string, user: string, address: string, state: string): string =>
  syslog(
    'dovecot',
    `imap-login: ${reason}: user=<${printable(user, 80)}>, method=PLAIN, rip=${address}, lip=203.0.113.4, ${state}session=<Zm9vYmFyCwAK>`,
  );

const formats: Format[] = [
  {
    filter: 'postfix',
    mode: 'aggressive',
    title: 'HELO name and sender',
    sure: 'exact',
    write: (address, a, b) =>
      syslog(
        'postfix/smtpd',
        `NOQUEUE: reject: RCPT from unknown[${address}]: 554 5.7.1 <x@example.com>: Relay access denied; from=<${b}> to=<x@example.com> proto=ESMTP helo=<${a}>`,
      ),
  },
  {
    filter: 'postfix',
    mode: 'aggressive',
    title: 'recipient',
    sure: 'unsure',
    write: (address, a) =>
      syslog(
        'postfix/smtpd',
        `NOQUEUE: reject: RCPT from unknown[${address}]: 550 5.1.1 <${a}>: Recipient address rejected: User unknown; from=<> to=<${a}> proto=ESMTP helo=<x>`,
      ),
  },
  {
    filter: 'postfix',
    mode: 'aggressive',
    title: 'SASL text and user',
    sure: 'exact',
    write: (address, a, b) =>
      syslog(
        'postfix/smtpd',
        `warning: unknown[${address}]: SASL PLAIN authentication failed: x${a}, sasl_username=${b}`,
      ),
  },
  {
    filter: 'postfix',
    mode: 'aggressive',
    title: 'mechanism',
    sure: 'unsure',
    write: (address, a) => syslog('postfix/smtpd', `warning: unknown[${address}]: SASL ${a} authentication failed: x`),
  },
  {
    filter: 'postfix',
    mode: 'ddos',
    title: 'early talk',
    sure: 'exact',
    write: (address, a) => syslog('postfix/postscreen', `PREGREET 12 after 0.1 from [${address}]:50022: ${a}`),
  },
  {
    filter: 'postfix',
    mode: 'auth',
    title: 'SASL text and user, repeated',
    sure: 'exact',
    write: (address, a, b) =>
      syslog(
        'postfix/smtpd',
        `message repeated 2 times: [ warning: unknown[${address}]: SASL PLAIN authentication failed: x${a}, sasl_username=${b}]`,
      ),
  },
  {
    filter: 'postfix',
    mode: 'ddos',
    title: 'no SMTP at all',
    sure: 'exact',
    write: (address, a) => syslog('postfix/smtpd', `warning: non-SMTP command from unknown[${address}]: ${a}`),
  },
  {
    filter: 'dovecot',
    title: 'user name where the password may not be sent in clear',
    sure: 'exact',
    write: (address, a) =>
      login(
        'Login aborted: Logged out (tried to use disallowed cleartext auth, 1 attempts in 2 secs)',
        a,
        address,
        'TLS, ',
      ),
  },
  {
    filter: 'dovecot',
    mode: 'aggressive',
    title: 'user name of a login that was aborted',
    sure: 'exact',
    write: (address, a) =>
      login('Login aborted: Connection closed (auth aborted by client, 1 attempts in 3 secs) (x)', a, address, ''),
  },
  {
    filter: 'dovecot',
    title: 'user name at the auth process, repeated',
    sure: 'unsure',
    write: (address, a) =>
      syslog('dovecot', `message repeated 2 times: [ auth: sql(${printable(a, 80)},${address}): unknown user]`),
  },
  {
    filter: 'dovecot',
    title: 'user name',
    sure: 'exact',
    write: (address, a) => login('Disconnected (auth failed, 1 attempts in 2 secs)', a, address, 'TLS, '),
  },
  {
    filter: 'dovecot',
    mode: 'aggressive',
    title: 'user name of a login that never ended',
    sure: 'exact',
    write: (address, a) => login("Disconnected (client didn't finish SASL auth, waited 2 secs)", a, address, ''),
  },
  {
    filter: 'dovecot',
    mode: 'aggressive',
    title: 'user name of a success',
    sure: 'unsure',
    write: (address, a) => login('Login', a, address, 'mpid=902, TLS, '),
  },
  {
    filter: 'dovecot',
    title: 'user name at the auth process',
    sure: 'unsure',
    write: (address, a) =>
      syslog('dovecot', `auth: sql(${printable(a, 64)},${address},<Zm9vYmFyCwAK>): Password mismatch`),
  },
  {
    filter: 'dovecot',
    title: 'user name and password at the auth process',
    sure: 'unsure',
    write: (address, a, b) =>
      syslog('dovecot', `auth: sql(${printable(a, 64)},${address}): unknown user (given password: ${b})`),
  },
  {
    filter: 'dovecot',
    title: 'user name and password in 2.4',
    sure: 'unsure',
    write: (address, a, b) =>
      syslog(
        'dovecot',
        `auth-worker(${printable(a, 64)},${address},sasl:plain)<901><Zm9vYmFyCwAK>: request [3]: sql: Password mismatch (given password: ${b})`,
      ),
  },
  {
    filter: 'dovecot',
    title: 'PAM',
    sure: 'unsure',
    write: (address, a, b) =>
      syslog(
        'auth',
        `pam_unix(dovecot:auth): authentication failure; logname= uid=0 euid=0 tty=dovecot ruser=${a} rhost=${address}  user=${b}`,
      ),
  },
  {
    filter: 'exim',
    title: 'HELO name, whatever it holds, and user',
    sure: 'unsure',
    write: (address, a, b) =>
      exim(
        `login authenticator failed for (${printable(a, 200)}) [${address}]:50022 I=[203.0.113.4]:25: 535 Incorrect authentication data (set_id=${printable(b, 200)})`,
      ),
  },
  {
    filter: 'exim',
    mode: 'aggressive',
    title: 'HELO name, sender and recipient',
    sure: 'unsure',
    write: (address, a, b) =>
      exim(`H=host.example.org (${printable(a, 200)}) [${address}] F=<${b}> rejected RCPT <${b}>: relay not permitted`),
  },
  {
    filter: 'exim',
    mode: 'aggressive',
    title: 'HELO name and refused sender',
    sure: 'unsure',
    write: (address, a, b) =>
      exim(`H=(${printable(a, 200)}) [${address}] sender verify fail for <${b}>: Unrouteable address`),
  },
  {
    filter: 'exim',
    mode: 'aggressive',
    title: 'command and HELO name',
    sure: 'unsure',
    write: (address, a, b) =>
      exim(`SMTP protocol error in "${a}" H=(${printable(b, 200)}) [${address}] AUTH command used when not advertised`),
  },
  {
    filter: 'exim',
    mode: 'aggressive',
    title: 'command and input before HELO',
    sure: 'unsure',
    write: (address, a, b) =>
      exim(
        `SMTP protocol synchronization error (next input sent too soon: pipelining was not advertised): rejected "${a}" H=[${address}] next input="${b}"`,
      ),
  },
  {
    filter: 'exim',
    mode: 'aggressive',
    title: 'last command',
    sure: 'unsure',
    write: (address, a, b) =>
      exim(
        `SMTP call from (${printable(a, 200)}) [${address}] dropped: too many unrecognized commands (last was "${b}")`,
      ),
  },
  {
    filter: 'exim',
    mode: 'aggressive',
    title: 'host looked for',
    sure: 'unsure',
    write: (address, a, b) =>
      exim(`no IP address found for host ${a} (during SMTP connection from (${printable(b, 200)}) [${address}])`),
  },
  {
    filter: 'sendmail-auth',
    title: 'user name',
    sure: 'exact',
    write: (address, a) =>
      syslog(
        'sm-mta',
        `527IrMXx000901: AUTH failure (LOGIN): authentication failure (-13) SASL(-13): authentication failure: checkpass failed, user=${a}, relay=host.example.org [${address}]`,
      ),
  },
  {
    filter: 'courier-auth',
    title: 'user name',
    sure: 'exact',
    write: (address, a) => syslog('imapd-ssl', `LOGIN FAILED, user=${a}, ip=[${address}], port=[50022]`),
  },
  {
    filter: 'courier-auth',
    title: 'user name, repeated',
    sure: 'exact',
    write: (address, a) =>
      syslog('imapd', `message repeated 2 times: [ LOGIN FAILED, user=${a}, ip=[${address}], port=[50022]]`),
  },
  {
    filter: 'exim',
    mode: 'more',
    title: 'HELO name and a command that is rejected',
    sure: 'unsure',
    write: (address, a, b) => exim(`H=(${printable(a, 80)}) [${address}] rejected EHLO or HELO ${printable(b, 80)}: x`),
  },
  {
    filter: 'cyrus-imap',
    title: 'user name that cannot be one',
    sure: 'exact',
    write: (address, a) => syslog('imaps', `badlogin: [${address}] plaintext ${a} invalid user`),
  },
  {
    filter: 'cyrus-imap',
    title: 'user name among pairs',
    sure: 'exact',
    write: (address, a) =>
      syslog(
        'imaps',
        `event=login.bad r.clienthost=[${address}] u.username="${a}" login.mech=PLAIN error="authentication failure"`,
      ),
  },
  {
    filter: 'cyrus-imap',
    title: 'user name',
    sure: 'exact',
    write: (address, a) =>
      syslog('imapd', `badlogin: [${address}] plaintext (${a}) [SASL(-13): authentication failure: checkpass failed]`),
  },
  {
    filter: 'sieve',
    title: 'mechanism',
    sure: 'unsure',
    write: (address, a) => syslog('timsieved', `badlogin: [${address}] ${a} authentication failure`),
  },
];

/** The words of each format, with `%` where a fake address goes. */
const phrases: Record<string, string[]> = {
  postfix: [
    ' from x[%]: 550 5.1.1 User unknown',
    'NOQUEUE: reject: RCPT from x[%]: ',
    ': SASL LOGIN authentication failed: ',
    'warning: x[%]: SASL ',
    '[%]',
    '>: Relay access denied',
  ],
  dovecot: [
    '>, method=PLAIN, rip=%, lip=203.0.113.4, session=<x',
    '>, rip=%, lip=203.0.113.4',
    'rip=%',
    ' (auth failed, 1 attempts): user=<',
    ',%,<x>): unknown user',
    ',%): Password mismatch',
    ',%,sasl:plain)<x>: sql: unknown user',
    ' (given password: ',
    'sql(x,%',
    ' rhost=%',
    '  user=x',
  ],
  exim: [
    ') [%]',
    ') [%] rejected RCPT <x>',
    '[%]: 535 Incorrect authentication data',
    ') [%]: 535 Incorrect authentication data (set_id=',
    '" H=(x) [%] AUTH command used when not advertised',
    'x" H=[%] next input="y',
    '> sender verify fail for <x>: Unknown user',
    ' H=[%] ',
    ' (during SMTP connection from [%])',
    ' [%]',
  ],
  'sendmail-auth': [
    ', user=',
    ', relay=[%]',
    ', relay=x [%] (may be forged)',
    '[%]: possible SMTP attack: command=AUTH',
  ],
  'courier-auth': [', ip=[%]', ', ip=[%], port=[1]', ', user=', 'LOGIN FAILED, ', 'ip=[%]'],
  'cyrus-imap': [' [%] plaintext ', '[SASL(-13): user not found: ', 'badlogin: [%] '],
  sieve: [' [%] ', 'PLAIN authentication failure', '] PLAIN'],
};

const honest = '192.0.2.7';

/** Throws unless the address found is the honest one or, where the format allows it, none. */
function hold(definition: Filter, { filter, mode, sure, write }: Format): void {
  const text = attackerText(phrases[filter] as string[], 300);
  fc.assert(
    fc.property(text, text, (a, b) => {
      const found = oracleLine(definition, Buffer.from(write(honest, a, b), 'latin1'), mode);
      if (found?.address === undefined) expect(sure, 'not recognised').toBe('unsure');
      else expect(found.addressText).toBe(honest);
    }),
    { numRuns: 1500 },
  );
}

const named = (name: string): Filter => filters.find((filter) => filter.name === name) as Filter;

test.each(formats)(
  '$filter: $title: an ordinary text leaves the address where it is',
  ({ filter, mode, sure, write }) => {
    const found = oracleLine(named(filter), Buffer.from(write(honest, 'alice', 'bob')), mode);
    if (found?.address !== undefined || sure === 'exact') expect(found?.addressText).toBe(honest);
  },
);

test.each(formats)('$filter: $title: no text moves the address', (format) => hold(named(format.filter), format));

test('the same property fails on filters that read from the left, leave the end open or ignore no line', () => {
  const careless = (token: Token): Token => {
    if (token.kind === 'text') return { ...token, from: 'left' };
    return token.kind === 'end' ? { kind: 'optional', tokens: [token] } : token;
  };
  for (const name of ['dovecot', 'exim', 'sendmail-auth', 'courier-auth']) {
    const filter = named(name);
    const patterns = filter.patterns
      .filter(({ effect }) => effect?.kind !== 'context')
      .map((pattern) => ({ ...pattern, tokens: pattern.tokens.map(careless) }));
    expect(() => {
      for (const format of formats.filter((one) => one.filter === name)) hold({ ...filter, patterns }, format);
    }, name).toThrow('Property failed');
  }
});
