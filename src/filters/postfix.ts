/**
 * Postfix (2.x to 3.11): smtpd and postscreen, from their sources smtpd.c, smtpd_check.c,
 * smtpd_peer.c, smtpd_sasl_glue.c, postscreen*.c. A client is written `name[address]`, and
 * postscreen adds `:port`, as does smtpd with smtpd_client_port_logging.
 *
 * The client's name is its reverse DNS name, and postfix has checked that it is a host name (no
 * bracket, no blank). The client itself sends the HELO name, sender, recipient, SASL text and early
 * talk; all of these stand behind its address. Only postfix' own words stand before it. So every
 * pattern reads the address from the left, in the first brackets behind the words `from` or
 * `warning`.
 *
 * The modes are fail2ban's, except the default, which is `more`: refused mail and failed SASL
 * logins. `normal`: only refused mail, as fail2ban's default does. `rbl`: only what a block list
 * refused. `auth`: failed SASL logins. `ddos`: connections that break off, talk too early or come
 * too often. `errors`: only too many errors. `extra`: auth and normal. `aggressive`: all of it.
 */
import type { Filter, Pattern, Token } from '../compiler/pattern.ts';
import { lineBytesMax } from '../limits.ts';
import { anyCase, choice, either, ip, literal, optional, repeat, run, some, until } from './tokens.ts';

const digits = some('digit', 10);
const command = run('ABCDEFGHIJKLMNOPQRSTUVWXYZ', 4);
/**
 * Queue ids hold no lower-case vowels (mail_queue.h), and neither does `NOQUEUE`. So no word of the
 * log is taken for a queue id.
 */
const queued = optional(run('0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZbcdfghjklmnpqrstvwxyz'), literal(': '));
/** `name[address]` or `name[address]:port`. postscreen leaves out the name. */
const client: Token[] = [until('[ \t', 0), literal('['), ip, literal(']'), optional(literal(':'), digits)];

const normal = ['more', 'normal', 'extra', 'aggressive'];
const auth = ['more', 'auth', 'extra', 'aggressive'];
const ddos = ['ddos', 'aggressive'];
const host = 'Mar  7 18:53:22 mx1';

/**
 * Mechanisms that send a password or prove that the client knows it. Mechanisms with a ticket are
 * left out: a client may try one first and then go on without it.
 */
const mechanism = either(
  anyCase('LOGIN'),
  anyCase('PLAIN'),
  [...anyCase('CRAM'), literal('-'), ...anyCase('MD5')],
  [...anyCase('DIGEST'), literal('-'), ...anyCase('MD5')],
  [
    ...anyCase('SCRAM'),
    literal('-'),
    ...anyCase('SHA'),
    literal('-'),
    digits,
    optional(literal('-'), ...anyCase('PLUS')),
  ],
  anyCase('NTLM'),
);
const saslFailed = (by: Token): Token[] => [
  queued,
  literal('warning: '),
  ...client,
  literal(': SASL '),
  by,
  literal(' authentication failed:'),
];
const anyMechanism = some('nonspace', 100);

const logins: Pattern[] = [
  {
    // Nobody checked the password: postfix calls the failure temporary, or cannot read the answer.
    name: 'sasl-server-lost',
    modes: auth,
    effect: { kind: 'context' },
    tokens: [
      ...saslFailed(anyMechanism),
      choice(
        ' Connection lost to authentication server',
        ' Authentication backend error',
        ' generic failure',
        ' no memory available',
        ' transient failure',
        ' remote authentication server unavailable',
      ),
    ],
    sample: `${host} postfix/smtpd[901]: warning: unknown[192.0.2.7]: SASL LOGIN authentication failed: Connection lost to authentication server`,
    counter: `${host} postfix/smtpd[901]: warning: unknown[192.0.2.7]: SASL LOGIN authentication failed: VXNlcm5hbWU6`,
  },
  {
    name: 'sasl-mechanism-unknown',
    modes: ['more', 'auth', 'extra'],
    effect: { kind: 'context' },
    tokens: [...saslFailed(anyMechanism), literal(' Invalid authentication mechanism')],
    sample: `${host} postfix/smtpd[901]: warning: unknown[192.0.2.7]: SASL DIGEST-MD5 authentication failed: Invalid authentication mechanism`,
    counter: `${host} postfix/smtpd[901]: warning: unknown[192.0.2.7]: SASL LOGIN authentication failed: authentication failure`,
  },
  {
    name: 'sasl-failed',
    modes: auth,
    effect: { stage: 4 },
    tokens: saslFailed(mechanism),
    sample: `${host} postfix/submission/smtpd[901]: warning: host.example.org[192.0.2.7]: SASL PLAIN authentication failed: (reason unavailable), sasl_username=alice`,
    counter: `${host} postfix/smtpd[901]: warning: unknown[192.0.2.7]: SASL PLAIN authentication aborted`,
  },
];

const refused = (...codes: string[]): Token[] => [
  queued,
  choice('reject: ', 'milter-reject: '),
  command,
  literal(' from '),
  ...client,
  literal(': '),
  choice(...codes),
  literal(' '),
  choice('4.', '5.'),
];
const detail: Token[] = [some('digit', 3), literal('.'), some('digit', 3), literal(' ')];

const refusals: Pattern[] = [
  {
    name: 'listed',
    modes: ['rbl'],
    tokens: [
      ...refused('554', '454'),
      literal('7.1 Service unavailable; Client host ['),
      until('] \t'),
      literal('] blocked'),
    ],
    sample: `${host} postfix/smtpd[902]: NOQUEUE: reject: RCPT from unknown[192.0.2.7]: 554 5.7.1 Service unavailable; Client host [192.0.2.7] blocked using bl.example.org; from=<a@example.org> to=<b@example.net> proto=ESMTP helo=<x>`,
    counter: `${host} postfix/smtpd[902]: NOQUEUE: reject: RCPT from unknown[192.0.2.7]: 554 5.7.1 Service unavailable; Helo command [x] blocked using bl.example.org; from=<a@example.org> to=<b@example.net> proto=ESMTP helo=<x>`,
  },
  {
    name: 'refused',
    modes: normal,
    effect: { stage: 4 },
    tokens: [
      ...refused('550', '554', '504', '450', '454', '500', '404', '400', '501', '503', '521', '553', '556'),
      ...detail,
      optional(either([literal('<'), until('>', 0), literal('>: ')], [literal(': ')])),
      optional(choice('Helo command', 'Sender address', 'Recipient address'), literal(' rejected: ')),
      either(
        [
          choice(
            'Service unavailable',
            'Access denied',
            'Relay access denied',
            'Client host rejected',
            'Command rejected',
            'Data command rejected',
            'Malformed DNS server reply',
            'Host not found',
            'Domain not found',
            'need fully-qualified hostname',
            'need fully-qualified address',
            'invalid ip address',
            'Invalid name',
            'Improper use of SMTP command pipelining',
            'Protocol error',
            'User unknown',
            'user unknown',
            'Undeliverable address',
            'undeliverable address',
          ),
        ],
        [
          literal('match'),
          either([{ kind: 'span', of: { name: 'word', not: true }, min: 1, max: lineBytesMax }], [{ kind: 'end' }]),
        ],
      ),
    ],
    sample: `${host} postfix/smtpd[903]: NOQUEUE: reject: RCPT from mail.example.org[192.0.2.7]: 450 4.1.2 <bob@example.net>: Recipient address rejected: Domain not found; from=<a@example.org> to=<bob@example.net> proto=ESMTP helo=<mail.example.org>`,
    counter: `${host} postfix/smtpd[903]: NOQUEUE: reject: RCPT from mail.example.org[192.0.2.7]: 450 4.2.0 <bob@example.net>: Recipient address rejected: Greylisted; from=<User unknown@example.org> to=<bob@example.net> proto=ESMTP helo=<198.51.100.9>`,
  },
  {
    name: 'pipelining',
    modes: normal,
    tokens: [queued, literal('improper command pipelining after '), some('nonspace', 64), literal(' from '), ...client],
    sample: `${host} postfix/smtpd[904]: improper command pipelining after EHLO from unknown[192.0.2.7]: QUIT\\r\\n`,
    counter: `${host} postfix/smtpd[904]: improper command pipelining after EHLO x from unknown[192.0.2.7]: QUIT`,
  },
  {
    name: 'too-many-errors',
    modes: [...normal, 'errors'],
    effect: { stage: 5 },
    tokens: [
      queued,
      literal('too many errors after '),
      some('nonspace', 64),
      optional(literal(' ('), digits, literal(' bytes)')),
      literal(' from '),
      ...client,
    ],
    sample: `${host} postfix/smtps/smtpd[905]: too many errors after AUTH from unknown[2001:db8::7]`,
    counter: `${host} postfix/smtpd[905]: warning: too many errors after AUTH from unknown[192.0.2.7]`,
  },
];

const disruptions: Pattern[] = [
  {
    // The `disconnect` line counts the failed login.
    name: 'lost-counted-elsewhere',
    modes: ddos,
    effect: { kind: 'context' },
    tokens: [queued, literal('lost connection after '), choice('AUTH ', 'DATA ')],
    sample: `${host} postfix/smtpd[906]: lost connection after AUTH from unknown[192.0.2.7]`,
    counter: `${host} postfix/smtpd[906]: lost connection after EHLO from unknown[192.0.2.7]`,
  },
  {
    name: 'lost',
    modes: ddos,
    effect: { stage: 5, ends: true },
    tokens: [queued, literal('lost connection after '), command, literal(' from '), ...client],
    sample: `${host} postfix/smtpd[906]: lost connection after STARTTLS from unknown[192.0.2.7]:50022`,
    counter: `${host} postfix/smtpd[906]: lost connection after END-OF-MESSAGE from unknown[192.0.2.7]`,
  },
  {
    name: 'disconnect-login-failed',
    modes: ddos,
    effect: { stage: 5, ends: true },
    tokens: [
      queued,
      literal('disconnect from '),
      ...client,
      repeat(3, choice(' helo=', ' ehlo=', ' starttls='), digits, optional(literal('/'), digits)),
      literal(' auth=0/'),
      run('123456789'),
    ],
    sample: `${host} postfix/smtpd[906]: disconnect from unknown[192.0.2.7] ehlo=2 starttls=1 auth=0/1 quit=1 commands=4/5`,
    counter: `${host} postfix/smtpd[906]: disconnect from unknown[192.0.2.7] ehlo=2 starttls=1 auth=1/2 quit=1 commands=5/6`,
  },
  {
    name: 'early-talk',
    modes: ddos,
    tokens: [
      either([literal('PREGREET '), digits], [literal('HANGUP')]),
      literal(' after '),
      some('nonspace', 64),
      literal(' from '),
      ...client,
    ],
    sample: `${host} postfix/postscreen[907]: PREGREET 14 after 0.11 from [192.0.2.7]:50022: EHLO [198.51.100.9]\\r\\n`,
    counter: `${host} postfix/postscreen[907]: PASS NEW [192.0.2.7]:50022`,
  },
  {
    name: 'command-limit',
    modes: ddos,
    tokens: [literal('COMMAND '), choice('TIME', 'COUNT', 'LENGTH'), literal(' LIMIT from '), ...client],
    sample: `${host} postfix/postscreen[907]: COMMAND TIME LIMIT from [192.0.2.7]:50022 after CONNECT`,
    counter: `${host} postfix/postscreen[907]: DATA without valid RCPT from [192.0.2.7]:50022`,
  },
  {
    name: 'not-smtp',
    modes: ddos,
    tokens: [
      queued,
      choice('warning: non-SMTP command from ', 'NON-SMTP COMMAND from ', 'COMMAND PIPELINING from '),
      ...client,
    ],
    sample: `${host} postfix/smtpd[908]: warning: non-SMTP command from unknown[192.0.2.7]: GET / HTTP/1.1`,
    counter: `${host} postfix/smtpd[908]: warning: Illegal address syntax from unknown[192.0.2.7] in MAIL command: <x>`,
  },
  {
    name: 'rate-limit',
    modes: ddos,
    tokens: [
      queued,
      literal('warning: '),
      choice(
        'Connection rate',
        'Connection concurrency',
        'Message delivery request rate',
        'AUTH command rate',
        'New TLS session rate',
      ),
      literal(' limit exceeded: '),
      digits,
      literal(' from '),
      ...client,
    ],
    sample: `${host} postfix/smtpd[908]: warning: Connection rate limit exceeded: 61 from host.example.org[192.0.2.7] for service smtp`,
    counter: `${host} postfix/smtpd[908]: warning: Recipient address rate limit exceeded: 61 from host.example.org[192.0.2.7] for service smtp`,
  },
  {
    name: 'name-forged',
    modes: ['aggressive'],
    tokens: [
      queued,
      literal('warning: '),
      literal('hostname '),
      some('nonspace', 255),
      literal(' does not resolve to address '),
      ip,
    ],
    sample: `${host} postfix/smtpd[909]: warning: hostname host.example.org does not resolve to address 192.0.2.7`,
    counter: `${host} postfix/smtpd[909]: warning: hostname x y does not resolve to address 198.51.100.9`,
  },
];

export const postfix: Filter[] = [
  {
    name: 'postfix',
    about:
      'Postfix: mail refused, failed SASL logins, and, in other modes, connections that break off or talk too early',
    prefixes: ['syslog'],
    tags: ['postfix', 'postfix/*', 'postfix-*', 'postfix.*', 'postfix@*'],
    connection: 'process',
    modes: ['more', 'normal', 'auth', 'rbl', 'ddos', 'extra', 'aggressive', 'errors'],
    patterns: [...logins, ...refusals, ...disruptions],
  },
];
