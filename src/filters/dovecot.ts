/**
 * Dovecot (1.x to 2.4), from its sources: src/login-common/client-common.c and client-common-auth.c
 * (the login processes), src/auth/auth-request.c, passdb-*.c and mech-*.c (the auth process), and
 * the lines that pam_unix writes under Dovecot's name. They come through syslog (`dovecot:
 * imap-login: …`) or from Dovecot's own log (`time imap-login: Info: …`, also with TAI64N time
 * stamps).
 *
 * The client chooses its user name: up to 64 or 80 bytes without control bytes, but with `>`, `)`,
 * commas and blanks. So the address is looked for from the right end of the line, and nothing that
 * could be a second address may follow it. With `auth_verbose_passwords = plain` the client's
 * password stands right of the address. A comma in it gives the line two readings, so that line
 * does not count. That is safe, because the login process writes a line of its own about the same
 * attempt, and that line counts.
 *
 * One attempt may write lines of PAM (stages 1 and 2; tentative, because another module or the
 * login itself may still succeed), of the auth process (4) and of the login process (5), whose line
 * may stand for several attempts. A line of the login process without the others counts as one.
 *
 * The modes are fail2ban's. `normal`: failed logins. `aggressive`: also connections that end before
 * any login.
 */
import type { Filter, Pattern, Token } from '../compiler/pattern.ts';
import {
  any,
  choice,
  either,
  ip,
  lineEnd,
  literal,
  optional,
  repeat,
  run,
  some,
  textToFirst,
  until,
  userToLast,
  userUntil,
} from './tokens.ts';

const digits = some('digit', 10);
const host = 'Mar  7 18:53:22 mail';

/** Begins after the name of the login process: `imap-login: `, or the name of its service. */
const loginHead: Token[] = [
  optional({ kind: 'span', of: { name: 'alpha', bytes: '0123456789-' }, min: 2, max: 64 }, literal(': ')),
  optional(literal('Info: ')),
  choice(
    'Login aborted',
    'Aborted login',
    'Disconnected',
    'Remote closed connection',
    'Client has quit the connection',
  ),
];
/** `, 2 attempts in 9 secs`: since 2.4 it follows most reasons. */
const attempts: Token[] = [
  literal(', '),
  digits,
  literal(' attempts'),
  optional(literal(' in '), digits, literal(' secs')),
  optional(literal(', last failure: '), until('()')),
];
const authFailed: Token = either(
  [literal('auth failed'), ...attempts],
  [literal('proxy dest auth'), choice(' failed', 'entication failure to '), until('()', 0)],
);
/** The auth process was not asked and writes nothing: this line counts by itself. */
const notAllowed: Token = either([
  choice('tried to use disabled ', 'tried to use disallowed '),
  some('nonspace', 32),
  literal(' auth'),
  optional(...attempts),
]);
const silence = either(
  [literal('no auth attempts'), optional(literal(' in '), digits, literal(' secs'))],
  [literal('disconnected before auth was ready,'), optional(literal(' waited '), digits, literal(' secs'))],
  [
    literal("client didn't finish "),
    some('nonspace', 32),
    literal(' auth,'),
    optional(literal(' '), digits, literal(' attempts')),
    optional(choice(' in ', ' waited '), digits, literal(' secs')),
  ],
  [literal('disconnected during TLS handshake')],
  [
    choice(
      'tried to use unsupported auth mechanism',
      'sent invalid base64 in response',
      'auth aborted by client',
      'aborted authentication',
      'anonymous logins disabled',
    ),
    optional(...attempts),
  ],
  [
    choice('disconnected while authenticating, waited ', 'disconnected while finishing login, waited '),
    digits,
    literal(' secs'),
  ],
  [
    choice(
      "cert required, client didn't start TLS",
      "client didn't send a cert",
      'client sent an invalid cert',
      'client sent an untrusted cert',
    ),
  ],
);
/** 2.4 repeats the reason as one word. */
const reasonEnd: Token[] = [literal(')'), optional(literal(' ('), some('word', 64), literal(')')), literal(': ')];
const method = optional(literal('method='), until(',> \t'), literal(', '));
/**
 * The address and all that follows: local address, TLS state, session. The only `>` is the end of
 * the session.
 */
const rip: Token[] = [method, literal('rip='), ip, until('>', 0), optional(literal('>')), ...lineEnd];

/** Since 2.0 the line always has a user name, which may be empty. */
const named = (reason: Token): Token[] => [
  ...loginHead,
  textToFirst(),
  literal(' ('),
  reason,
  ...reasonEnd,
  literal('user=<'),
  userToLast(),
  literal('>, '),
  ...rip,
];
const nameless = (reason: Token): Token[] => [
  ...loginHead,
  // A call that failed: `read(size=512) failed`, `SSL_accept() failed`.
  repeat(4, until('(', 0), either([literal('()')], [literal('(size='), digits, literal(')')])),
  until('(', 0),
  literal('('),
  reason,
  ...reasonEnd,
  ...rip,
];

const logins: Pattern[] = [
  {
    name: 'login-failed',
    effect: { stage: 5 },
    tokens: named(authFailed),
    sample: `${host} dovecot: imap-login: Disconnected: Connection closed (auth failed, 2 attempts in 9 secs): user=<alice>, method=PLAIN, rip=192.0.2.7, lip=203.0.113.4, TLS, session=<Zm9vYmFyCwAK>`,
    counter: `${host} dovecot: imap-login: Login: user=<alice>, method=PLAIN, rip=192.0.2.7, lip=203.0.113.4, mpid=901, TLS, session=<Zm9vYmFyCwAK>`,
  },
  {
    name: 'login-failed-nameless',
    effect: { stage: 5 },
    tokens: nameless(authFailed),
    sample: `${host} dovecot: pop3-login: Aborted login (auth failed, 1 attempts): rip=192.0.2.7, lip=203.0.113.4`,
    counter: `${host} dovecot: pop3-login: Aborted login: rip=192.0.2.7, lip=203.0.113.4`,
  },
  {
    name: 'login-not-allowed',
    tokens: named(notAllowed),
    sample: `${host} dovecot: imap-login: Disconnected: Connection closed (tried to use disallowed plaintext auth): user=<>, rip=192.0.2.7, lip=203.0.113.4, session=<Zm9vYmFyCwAK>`,
    counter: `${host} dovecot: imap-login: Disconnected: Connection closed (auth failed, 2 attempts in 9 secs): user=<alice>, method=PLAIN, rip=192.0.2.7, lip=203.0.113.4, TLS, session=<Zm9vYmFyCwAK>`,
  },
  {
    name: 'login-not-allowed-nameless',
    tokens: nameless(notAllowed),
    sample: `${host} dovecot: pop3-login: Aborted login (tried to use disabled plaintext auth): rip=192.0.2.7, lip=203.0.113.4`,
    counter: `${host} dovecot: pop3-login: Aborted login: rip=192.0.2.7, lip=203.0.113.4`,
  },
  {
    name: 'login',
    effect: { kind: 'context', gained: true },
    tokens: [
      optional({ kind: 'span', of: { name: 'alpha', bytes: '0123456789-' }, min: 2, max: 64 }, literal(': ')),
      optional(literal('Info: ')),
      literal('Login: user=<'),
      userToLast(),
      literal('>, '),
      ...rip,
    ],
    sample: `${host} dovecot: imap-login: Login: user=<alice>, method=PLAIN, rip=192.0.2.7, lip=203.0.113.4, mpid=901, TLS, session=<Zm9vYmFyCwAK>`,
    counter: `${host} dovecot: imap-login: Logged out: user=<alice>, method=PLAIN, rip=192.0.2.7, lip=203.0.113.4`,
  },
  {
    name: 'no-login',
    modes: ['aggressive'],
    tokens: named(silence),
    sample: `${host} dovecot: imap-login: Login aborted: Connection closed: SSL_accept() failed: error:0A000076:SSL routines::no suitable signature algorithm (disconnected during TLS handshake) (tls_handshake_not_finished): user=<>, rip=192.0.2.7, lip=203.0.113.4, TLS handshaking: SSL_accept() failed: error:0A000076:SSL routines::no suitable signature algorithm, session=<Zm9vYmFyCwAK>`,
    counter: `${host} dovecot: imap-login: Disconnected: Shutting down: user=<>, rip=192.0.2.7, lip=203.0.113.4, session=<Zm9vYmFyCwAK>`,
  },
  {
    name: 'no-login-nameless',
    modes: ['aggressive'],
    tokens: nameless(silence),
    sample: `${host} dovecot: imap-login: Disconnected: Inactivity (no auth attempts): rip=192.0.2.7, lip=203.0.113.4, TLS`,
    counter: `${host} dovecot: imap-login: Disconnected: Inactivity: rip=192.0.2.7, lip=203.0.113.4, TLS`,
  },
];

/** A process with its pid or a name: `auth: `, `auth-worker(901): `, `auth(default): `. */
const authHead: Token[] = [
  choice('auth-worker', 'auth'),
  optional(literal('('), some('word', 32), literal(')')),
  literal(': '),
];
const maybeTwice = optional(choice('dovecot: ', 'dovecot-auth: '));
/** Since 2.4 the process itself names the user and the client's address. */
const requestHead: Token[] = [
  optional(literal('dovecot: ')),
  optional(choice('auth-worker: ', 'auth: '), optional(literal('Info: '))),
  choice('auth-worker(', 'auth('),
];
const mechanism = run('abcdefghijklmnopqrstuvwxyz0123456789-_');
const inRequest = optional(literal('request ['), digits, literal(']: '));
const inConnection = optional(
  literal('conn '),
  some('word', 16),
  choice(':auth-worker (', ':auth ('),
  until(')'),
  choice('): auth-worker<', '): auth<'),
  digits,
  literal('>: '),
);
const info = optional(literal('Info: '));
/**
 * A passdb, userdb or mechanism. No underscore: Dovecot does not write `pam_unix(dovecot:auth): `.
 */
const driver: Token = { kind: 'span', of: { name: 'alpha', bytes: '0123456789-.' }, min: 2, max: 64 };
const session: Token[] = [literal('<'), until(',> \t', 0), literal('>')];
/**
 * What was wrong. The text behind it (a hash of the password, `- trying the next passdb`) holds no
 * comma.
 */
const refusal: Token[] = [
  choice(
    'unknown user',
    'Unknown user',
    'invalid credentials',
    'Invalid credentials',
    'password mismatch',
    'Password mismatch',
    'User found from deny passdb',
    'Login attempt with empty password',
    'pam_authenticate() failed: User not known to the underlying authentication module',
    'pam_authenticate() failed: unknown user',
    'pam_authenticate() failed: Authentication failure',
    'pam_authenticate() failed: authentication error',
    'pam_authenticate() failed: Have exhausted maximum number of retries for service',
    'pam_authenticate() failed: Permission denied',
  ),
  until(',', 0),
  { kind: 'end' },
];

/**
 * Lines of PAM's modules under the name of the auth process. No name of an account here holds a
 * blank.
 */
const pamLine = (module: Token, verdict: string, rhost: Token[]): Token[] => [
  maybeTwice,
  optional(...authHead),
  module,
  info,
  literal(`authentication ${verdict}; logname=`),
  any('nonspace'),
  literal(' uid='),
  any('nonspace'),
  literal(' euid='),
  any('nonspace'),
  literal(' tty=dovecot ruser='),
  userUntil(' \t', 0),
  literal(' rhost='),
  ip,
  ...rhost,
];
const pamEnd: Token[] = [optional(some('space', 8), literal('user='), any('nonspace')), ...lineEnd];
const ofService: Token[] = [optional(literal('(dovecot:auth)')), literal(': ')];
const pamUnix = optional(literal('pam_unix'), ...ofService);
const pamModule: Token[] = [literal('pam_'), some('word', 32), ...ofService];
const pamSample = (module: string, verdict: string): string =>
  `${host} auth: ${module}(dovecot:auth): authentication ${verdict}; logname= uid=0 euid=0 tty=dovecot ruser=alice rhost=192.0.2.7  user=alice`;

const pamFailures: Pattern[] = [
  {
    name: 'pam-failure',
    effect: { stage: 1, tentative: true },
    tokens: pamLine(pamUnix, 'failure', pamEnd),
    sample: pamSample('pam_unix', 'failure'),
    counter: `${host} auth: pam_unix(dovecot:auth): authentication failure; logname= uid=0 euid=0 tty=dovecot ruser=a rhost=198.51.100.9  user=b rhost=192.0.2.7`,
  },
  {
    name: 'pam-module-failure',
    effect: { stage: 2, tentative: true },
    tokens: pamLine(either(pamModule), 'failure', pamEnd),
    sample: pamSample('pam_sss', 'failure'),
    counter: pamSample('pam_sss', 'success'),
  },
  {
    name: 'pam-success',
    effect: { kind: 'context', gained: true },
    tokens: pamLine(either(pamModule), 'success', []),
    sample: pamSample('pam_sss', 'success'),
    counter: pamSample('pam_sss', 'failure'),
  },
];

const authProcess: Pattern[] = [
  {
    name: 'password-shown',
    effect: { kind: 'context' },
    tokens: [textToFirst(), literal('(given password: '), textToFirst(), literal(',')],
    sample: `${host} dovecot: auth: sql(alice,192.0.2.7): Password mismatch (given password: x,198.51.100.9): unknown user)`,
    counter: `${host} dovecot: auth: sql(alice,192.0.2.7): Password mismatch (given password: secret)`,
  },
  {
    name: 'plain-request-refused',
    effect: { stage: 4 },
    tokens: [
      ...requestHead,
      userUntil(', \t()'),
      literal(','),
      ip,
      optional(literal(',sasl:'), mechanism),
      optional(literal(',master')),
      literal(')'),
      repeat(2, ...session),
      literal(': '),
      inRequest,
      info,
      optional(driver, literal(': ')),
      inConnection,
      ...refusal,
    ],
    sample: `${host} dovecot: auth(alice,192.0.2.7,sasl:login)<Zm9vYmFyCwAK>: sql: Password mismatch`,
    counter: `${host} dovecot: auth(alice,192.0.2.7,sasl:login)<Zm9vYmFyCwAK>: sql: Temporary lookup failure`,
  },
  {
    name: 'request-refused',
    effect: { stage: 4 },
    tokens: [
      ...requestHead,
      userToLast(),
      literal(','),
      ip,
      literal(',sasl:'),
      mechanism,
      optional(literal(',master')),
      literal(')'),
      repeat(2, ...session),
      literal(': '),
      inRequest,
      info,
      optional(driver, literal(': ')),
      inConnection,
      ...refusal,
    ],
    sample: `${host} dovecot: auth-worker(al ice,192.0.2.7,sasl:plain)<901><Zm9vYmFyCwAK>: request [3]: pam: unknown user`,
    counter: `${host} dovecot: auth(alice,192.0.2.7,sasl:plain)<Zm9vYmFyCwAK>: pam: lookup service=dovecot`,
  },
  {
    name: 'user-refused',
    effect: { stage: 4 },
    tokens: [
      maybeTwice,
      ...authHead,
      inRequest,
      info,
      inConnection,
      driver,
      literal('('),
      userToLast(),
      literal(','),
      ip,
      optional(literal(','), optional(...session)),
      literal('): '),
      ...refusal,
    ],
    sample: `${host} dovecot: auth-worker(901): conn unix:auth-worker (pid=900,uid=97): auth-worker<12>: sql(alice@example.org,192.0.2.7,<Zm9vYmFyCwAK>): Password mismatch`,
    counter: `${host} dovecot: auth: passwd-file(alice@example.org): unknown user`,
  },
  {
    // The syslog identifier is `auth` or `dovecot-auth`. Any process may write such a beginning, so
    // only plain user names are accepted.
    name: 'plain-user-refused',
    effect: { stage: 4 },
    tokens: [
      info,
      driver,
      literal('('),
      userUntil(', \t()', 0),
      literal(','),
      ip,
      optional(literal(','), optional(...session)),
      literal('): '),
      ...refusal,
    ],
    sample: `${host} dovecot-auth: pam(alice,192.0.2.7): unknown user`,
    counter: `${host} dovecot: imap(alice): Error: open(x,192.0.2.7): unknown user`,
  },
  ...pamFailures,
];

export const dovecot: Filter[] = [
  {
    name: 'dovecot',
    about: 'Dovecot: failed IMAP, POP3, ManageSieve and submission logins',
    prefixes: ['syslog', 'time'],
    tags: ['dovecot', 'dovecot-auth', 'auth', 'auth-worker*'],
    connection: 'address',
    modes: ['normal', 'aggressive'],
    patterns: [...logins, ...authProcess],
  },
];
