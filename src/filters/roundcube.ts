/**
 * Roundcube. rcube_imap.php writes `Login failed for U against H from A. E` through rcube::log_bug
 * (`IMAP Error: … in FILE on line N (METHOD URI)`). rcmail::log_login writes `Failed login for U
 * from A in session S (error: N)`. A is `address (X-Real-IP: …,X-Forwarded-For: …)` if the client
 * sent such headers. The client chooses the bytes of U, of the headers, of the URI, and of what the
 * mail server repeats of U in E. Since 1.7 FILE and N are not written.
 *
 * Invariant: the address counts only if the server's words (`AUTHENTICATE mechanism:`) or the
 * session follow it, with nothing but the headers between.
 * - A line that holds such words twice is ignored: the client wrote one of the two, and nothing
 *   tells which, since the mail server may repeat the user name.
 * - A line in which the parenthesis of the headers opens twice is ignored: a user name may hold an
 *   address and headers, a header may do so too, and nothing tells them apart.
 *
 * So a client that sends a header with Roundcube's own words is not counted here. It cannot do so
 * if Roundcube runs behind a proxy that sets these headers. And the mail server's own log, which no
 * header reaches, still counts its guesses (filter dovecot or cyrus-imap; `imap_conn_options` or
 * plugins of Roundcube tell the mail server the client's address).
 */
import type { Filter, Pattern, Token } from '../compiler/pattern.ts';
import {
  choice,
  either,
  ip,
  lineEnd,
  literal,
  optional,
  some,
  textToFirst,
  time,
  until,
  userToLast,
  userUntil,
} from './tokens.ts';

/** A session id as PHP makes it. */
const session: Token = { kind: 'span', of: { name: 'word', bytes: ',-' }, min: 1, max: 256 };

/**
 * The log file begins with `[time]: `, and the time may end in a zone. Syslog has nothing of this.
 * In PHP's own log and on standard output the name of the log file stands here. The session
 * follows.
 */
const head: Token[] = [
  optional(literal('['), time, optional(literal(' '), until(']')), literal(']'), optional(literal(':')), literal(' ')),
  optional(choice('errors: ', 'userlogins: ')),
  optional(literal('<'), session, literal('> ')),
];

/** The two beginnings of the parenthesis with the headers. */
const headers = ['(X-Real-IP: ', '(X-Forwarded-For: '];

/**
 * Headers that a proxy or the client itself sent; they stand behind the address of the connection.
 * Addresses hold no `A` and no `L`, and the server's words begin with these letters.
 */
const forwarded: Token = optional(optional(literal(' ')), choice(...headers), until('()AL'), literal(')'));

/** The place in the sources that noticed the error, and the request. */
const noticed: Token[] = [
  optional(literal(' in '), some('nonspace'), literal(' on line '), some('digit', 9)),
  optional(literal(' ('), some('alpha', 16), literal(' '), some('nonspace')),
  ...lineEnd,
];

/** The beginnings that `log_login`, plugins and old releases write. */
const failedLogin = choice('FAILED login for ', 'Failed login for ', 'Login failed for ');

const imapFailed = choice('IMAP Error: Login failed for ', 'IMAP Error: FAILED login for ');

/** Answers of mail servers, where Roundcube does not say which command they answer. */
const answers = [
  'Authentication failed',
  'Login failed',
  'LOGIN failed',
  'Invalid credentials',
  'Login disabled by IMAP server',
];

const at = 'Mar  4 05:06:07 mail roundcube:';

/** A name, perhaps a server, the address, and the headers exactly as they were sent. */
const forwardedRaw: Token[] = [
  userUntil(' \t', 0),
  optional(literal(' against '), until(' \t')),
  literal(' from '),
  ip,
  optional(literal(' ')),
  choice(...headers),
  textToFirst(),
];

const patterns: Pattern[] = [
  {
    // The header may hold anything. The two ignored patterns leave only one reading of the name.
    name: 'login-failed-forwarded',
    tokens: [
      ...head,
      imapFailed,
      ...forwardedRaw,
      choice('). AUTHENTICATE ', '). LOGIN:', ...answers.map((answer) => `). ${answer}`)),
    ],
    sample: `${at} IMAP Error: Login failed for bob against mail from 192.0.2.7 (X-Forwarded-For: A x). AUTHENTICATE PLAIN: Authentication failed. in /srv/roundcube/rcube_imap.php on line 200 (POST /?_task=login)`,
    counter: `${at} IMAP Error: Login failed for b against mail from 198.51.100.9 (X-Real-IP: z against mail from 192.0.2.7. AUTHENTICATE PLAIN: Authentication failed. in /srv/roundcube/rcube_imap.php on line 200 (POST /)`,
  },
  {
    name: 'session-login-failed-forwarded',
    tokens: [
      ...head,
      failedLogin,
      ...forwardedRaw,
      literal(') in session '),
      session,
      optional(literal(' (error: '), some('digit', 4), literal(')')),
      ...lineEnd,
    ],
    sample: `${at} Failed login for bob from 192.0.2.7 (X-Forwarded-For: A x) in session 0a1b2c3d4e5f (error: 1)`,
    counter: `${at} Failed login for b from 198.51.100.9 (X-Real-IP: z from 192.0.2.7 in session 0a1b2c3d4e5f (error: 1)`,
  },
  {
    name: 'login-failed',
    tokens: [
      ...head,
      imapFailed,
      userToLast(),
      literal(' from '),
      ip,
      forwarded,
      either([literal('. AUTHENTICATE '), until(': ', 1), literal(':')], [literal('. LOGIN:')]),
      textToFirst(':'),
      choice(' (POST /', ' (GET /'),
      some('nonspace'),
      ...lineEnd,
    ],
    sample: `${at} <k3v9> IMAP Error: Login failed for alice against mail.example.org from 192.0.2.7. AUTHENTICATE PLAIN: Authentication failed. in /srv/roundcube/rcube_imap.php on line 200 (POST /?_task=login&_action=login)`,
    counter: `${at} <k3v9> IMAP Error: Login failed for alice against mail.example.org from 192.0.2.7. Could not connect to mail.example.org:143: Connection refused`,
  },
  {
    name: 'login-refused',
    tokens: [
      ...head,
      imapFailed,
      userToLast(),
      literal(' from '),
      ip,
      forwarded,
      literal('. '),
      choice(...answers),
      optional(literal('.')),
      ...noticed,
    ],
    sample: `${at} IMAP Error: Login failed for alice from 192.0.2.7. Authentication failed. in /srv/roundcube/rcube_imap.php on line 184 (POST /?_task=login)`,
    counter: `${at} IMAP Error: Login failed for alice from 192.0.2.7. Authentication failed. from 198.51.100.9`,
  },
  {
    name: 'session-login-failed',
    tokens: [
      ...head,
      failedLogin,
      userToLast(),
      literal(' from '),
      ip,
      forwarded,
      literal(' in session '),
      session,
      optional(literal(' (error: '), some('digit', 4), literal(')')),
      ...lineEnd,
    ],
    sample:
      '[04-Mar-2025 05:06:07 +0100]: <k3v9> Failed login for alice from 192.0.2.7 in session 0a1b2c3d4e5f (error: 1)',
    counter:
      '[04-Mar-2025 05:06:07 +0100]: <k3v9> Successful login for alice (ID: 3) from 192.0.2.7 in session 0a1b2c3d4e5f',
  },
  {
    name: 'plugin-login-failed',
    tokens: [...head, failedLogin, userToLast(), literal(' from '), ip, ...lineEnd],
    sample: '[04-Mar-2025 05:06:07 +0100]: FAILED login for alice from 192.0.2.7',
    counter: '[04-Mar-2025 05:06:07 +0100]: FAILED login for alice from 192.0.2.7 and others',
  },
];

/** The beginnings of E. */
const serverWords = choice('. AUTHENTICATE ', '. LOGIN:', ...answers.map((answer) => `. ${answer}`));

const twoAnswers: Pattern = {
  name: 'answered-twice',
  tokens: [...head, imapFailed, textToFirst(), serverWords, textToFirst(), serverWords],
  sample: `${at} IMAP Error: Login failed for a from 198.51.100.9. LOGIN: x from 192.0.2.7. LOGIN: Login failed. in /srv/rcube_imap.php on line 200 (POST /)`,
  counter: `${at} IMAP Error: Login failed for alice from 192.0.2.7. LOGIN: Login failed. in /srv/rcube_imap.php on line 200 (POST /)`,
};

const twoHeaders: Pattern = {
  name: 'forwarded-twice',
  tokens: [
    ...head,
    optional(literal('IMAP Error: ')),
    failedLogin,
    textToFirst(),
    choice(...headers),
    textToFirst(),
    choice(...headers),
  ],
  sample: `${at} Failed login for alice from 192.0.2.7 (X-Forwarded-For: a from 198.51.100.9 (X-Real-IP: b) in session 0a1b2c3d4e5f (error: 1)`,
  counter: `${at} Failed login for alice from 192.0.2.7 (X-Real-IP: 198.51.100.9,X-Forwarded-For: 198.51.100.9) in session 0a1b2c3d4e5f (error: 1)`,
};

export const roundcube: Filter = {
  name: 'roundcube-auth',
  about: 'Roundcube web mail: failed logins',
  prefixes: ['bare', 'syslog'],
  tags: ['roundcube'],
  ignore: [twoAnswers, twoHeaders],
  patterns,
};
