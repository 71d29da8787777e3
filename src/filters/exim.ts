/**
 * Exim (4.x): its main and reject logs, from smtp_in.c, host.c, receive.c and acl.c. A line begins
 * with the time and perhaps `[pid]`, or with a syslog head, which Exim's own time may follow.
 *
 * host_and_ident() writes a host: `H=name (helo) [address]:port`, then fields such as
 * `I=[address]:port`, `U=ident`, `X=cipher`, `F=<sender>`. The client chooses the HELO name. Exim
 * accepts only letters, digits and an address in brackets as HELO name, unless
 * helo_accept_junk_hosts lets any text through.
 * - A HELO name is taken only up to its first `)`, and only without blanks.
 * - A failed login whose HELO name holds `) [` is read from the right.
 * - A line that holds the refusal twice is not counted, nor is any other line with a second `) [`
 *   (in a sender, recipient or user name). That is safe: the attacker must use a name that no
 *   account has, so all that stays uncounted is a refused mail, or a guess at an account that does
 *   not exist. Guesses at real accounts can stay uncounted only if the operator sets
 *   helo_accept_junk_hosts.
 * - The client also chooses text behind the address. That text decides nothing.
 *
 * Lines about the end of a connection (stage 5) belong to the logins that failed in it (stage 4).
 *
 * The modes are fail2ban's. `normal`: failed logins. `more`: also refused senders and recipients,
 * broken protocol and dropped connections. `aggressive`: also hosts whose name cannot be found.
 */
import type { Filter, Pattern, Token } from '../compiler/pattern.ts';
import {
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
  textToLast,
  time,
  until,
  userUntil,
} from './tokens.ts';

const digits = some('digit', 10);
const port = optional(literal(':'), digits);
/** Exim's own time behind a syslog head, its pid, and a flag for DNSSEC. */
const head: Token[] = [
  optional(time, literal(' ')),
  optional(literal('['), digits, literal('] ')),
  optional(literal('DS ')),
];
const value = until(' \t:()"');
/**
 * A field: `I=[address]:port`, `Ci=id`, `X=version:cipher:bits`, `DN="…"`, or a flag. No field ends
 * in a colon.
 */
const fieldName: Token[] = [literal(' '), some('alpha', 4), literal('=')];
const bare: Token[][] = [
  [literal('['), until('] \t'), literal(']'), port],
  [value, optional(literal(':'), value, optional(literal(':'), value, optional(literal(':'), value)))],
];
const flag = choice(' DS', ' TFO*', ' TFO', ' K');
const field = either([...fieldName, either([literal('"'), until('"', 0), literal('"')], ...bare)], [flag]);
const unquotedField = either([...fieldName, either(...bare)], [flag]);
/** `name (helo) [address]:port`. */
const client: Token[] = [
  optional(until(' ([\t'), literal(' ')),
  optional(literal('('), until(' )\t', 0), literal(') ')),
  literal('['),
  ip,
  literal(']'),
  port,
];
const connected: Token[] = [optional(literal('H=')), ...client, repeat(16, field)];
const refusedHost: Token[] = [literal('H='), ...client, repeat(16, field)];

const more = ['more', 'aggressive'];
const at = '2025-03-07 18:53:22';

const logins: Pattern[] = [
  {
    name: 'login-failed',
    effect: { stage: 4 },
    tokens: [
      ...head,
      { kind: 'span', of: { name: 'word', bytes: '-' }, min: 1, max: 64 },
      literal(' authenticator failed for '),
      ...connected,
      literal(': 535 Incorrect authentication data'),
      optional(literal(' (set_id='), userUntil(')')),
    ],
    sample: `${at} [901] login authenticator failed for host.example.org (User) [192.0.2.7]:50022 I=[203.0.113.4]:465 Ci=901: 535 Incorrect authentication data (set_id=alice)`,
    counter: `${at} login authenticator failed for host.example.org (User) [192.0.2.7]: 435 Unable to authenticate at present (set_id=alice): timeout`,
  },
];

const refusedLogin = ': 535 Incorrect authentication data (set_id=';
/**
 * The line holds the refusal twice: one of them is part of a user name, or of a HELO name if Exim
 * accepts junk there.
 */
const twoRefusals: Pattern = {
  name: 'two-refusals',
  effect: { kind: 'context' },
  tokens: [textToFirst(), literal(refusedLogin), textToFirst(), literal(refusedLogin)],
  sample: `${at} login authenticator failed for (x) [198.51.100.9]: 535 Incorrect authentication data (set_id=y) [192.0.2.7]: 535 Incorrect authentication data (set_id=alice)`,
  counter: `${at} login authenticator failed for (x) [192.0.2.7]: 535 Incorrect authentication data (set_id=alice)`,
};

/**
 * A HELO name that holds brackets. The line holds one refusal, so the host before it is the one
 * that Exim wrote.
 */
const forgedHelo: Pattern = {
  name: 'login-failed-forged-helo',
  effect: { stage: 4 },
  tokens: [
    ...head,
    { kind: 'span', of: { name: 'word', bytes: '-' }, min: 1, max: 64 },
    literal(' authenticator failed for '),
    textToFirst(),
    literal(') ['),
    textToLast(),
    literal(') ['),
    ip,
    literal(']'),
    port,
    repeat(16, unquotedField),
    literal(': 535 Incorrect authentication data'),
    optional(literal(' (set_id='), userUntil(')[', 0), literal(')')),
    ...lineEnd,
  ],
  sample: `${at} login authenticator failed for (x) [198.51.100.9]) [192.0.2.7]:50022 I=[203.0.113.4]:465: 535 Incorrect authentication data (set_id=alice)`,
  counter: `${at} login authenticator failed for (x) [198.51.100.9]: 535 Incorrect authentication data (set_id=y) [192.0.2.7]: 535 Incorrect authentication data (set_id=alice)`,
};

const ambiguous: Pattern[] = [
  {
    name: 'two-hosts',
    effect: { kind: 'context' },
    tokens: [textToFirst(), literal(') ['), textToFirst(), literal(') [')],
    sample: `${at} login authenticator failed for (x) [198.51.100.9]: 535 Incorrect authentication data (set_id=y) [192.0.2.7])`,
    counter: `${at} login authenticator failed for (x) [192.0.2.7]: 535 Incorrect authentication data (set_id=alice)`,
  },
  {
    name: 'two-inputs',
    effect: { kind: 'context' },
    tokens: [
      ...head,
      literal('SMTP protocol synchronization error ('),
      textToFirst(),
      literal(' input='),
      textToFirst(),
      literal(' input='),
    ],
    sample: `${at} SMTP protocol synchronization error (next input sent too soon: pipelining was not advertised): rejected "X" H=[198.51.100.9] next input="y" H=[192.0.2.7] next input="QUIT\\r\\n"`,
    counter: `${at} SMTP protocol synchronization error (next input sent too soon: pipelining was not advertised): rejected "X" H=[192.0.2.7] next input="QUIT\\r\\n"`,
  },
];

const refusals: Pattern[] = [
  {
    name: 'sender-refused',
    modes: more,
    tokens: [
      ...head,
      ...refusedHost,
      literal(' sender verify fail for <'),
      until('> \t', 0),
      literal('>: '),
      choice('Unknown user', 'Unrouteable address', 'all relevant MX records point to non-existent hosts'),
      ...lineEnd,
    ],
    sample: `${at} H=(helo.example.org) [192.0.2.7] sender verify fail for <a@example.org>: Unrouteable address`,
    counter: `${at} H=(helo.example.org) [192.0.2.7] sender verify defer for <a@example.org>: host lookup did not complete`,
  },
  {
    name: 'recipient-refused',
    modes: more,
    tokens: [...head, ...refusedHost, literal(' rejected RCPT ')],
    sample: `${at} H=mx.example.org (helo.example.org) [192.0.2.7]:50022 X=TLS1.3:TLS_AES_256_GCM_SHA384:256 CV=no F=<a@example.org> rejected RCPT <b@example.net>: relay not permitted`,
    counter: `${at} H=mx.example.org [192.0.2.7] F=<a@example.org> temporarily rejected RCPT <b@example.net>: greylisted`,
  },
  {
    name: 'command-rejected',
    modes: more,
    tokens: [
      ...head,
      ...refusedHost,
      choice(' rejected EHLO or HELO ', ' rejected MAIL ', ' rejected AUTH ', ' rejected VRFY ', ' rejected EXPN '),
    ],
    sample: `${at} H=(helo.example.org) [192.0.2.7] rejected EHLO or HELO helo.example.org: no such name`,
    counter: `${at} H=(helo.example.org) [192.0.2.7] temporarily rejected MAIL <a@example.org>: try later`,
  },
  {
    name: 'out-of-step',
    modes: more,
    tokens: [
      ...head,
      literal('SMTP protocol synchronization error ('),
      until(')', 0),
      literal('): rejected '),
      either([literal('connection from')], [literal('"'), until('" \t'), literal('"')]),
      literal(' '),
      ...connected,
      choice(' next input=', ' input='),
    ],
    sample: `${at} SMTP protocol synchronization error (input sent without waiting for greeting): rejected connection from H=[192.0.2.7] input="GET / HTTP/1.1\\r\\n"`,
    counter: `${at} SMTP protocol synchronization error (next input sent too soon: pipelining was not advertised): rejected "X Y" H=[192.0.2.7] next input="QUIT\\r\\n"`,
  },
  {
    name: 'too-many',
    modes: more,
    effect: { stage: 5, ends: true },
    tokens: [
      ...head,
      literal('SMTP call from '),
      ...connected,
      literal(' dropped: too many '),
      choice('nonmail commands', 'unrecognized commands', 'syntax or protocol errors'),
    ],
    sample: `${at} SMTP call from host.example.org (User) [192.0.2.7] dropped: too many syntax or protocol errors (last command was "FOO")`,
    counter: `${at} SMTP call from host.example.org (User) [192.0.2.7] dropped: too many messages`,
  },
  {
    name: 'no-mail',
    modes: more,
    effect: { stage: 5, ends: true },
    tokens: [
      ...head,
      literal('no MAIL in '),
      optional(choice('TFO* ', 'TFO ')),
      literal('SMTP connection from '),
      ...connected,
    ],
    sample: `${at} no MAIL in SMTP connection from (User) [192.0.2.7]:50022 I=[203.0.113.4]:25 D=2s C=EHLO,AUTH,QUIT`,
    counter: `${at} SMTP connection from (User) [192.0.2.7]:50022 I=[203.0.113.4]:25 closed by QUIT`,
  },
  {
    name: 'dropped-by-acl',
    modes: more,
    effect: { stage: 5, ends: true },
    tokens: [
      ...head,
      optional({ kind: 'span', of: { name: 'word', bytes: '-' }, min: 16, max: 23 }, literal(' ')),
      literal('SMTP connection from '),
      ...connected,
      literal(' closed by DROP in ACL'),
      ...lineEnd,
    ],
    sample: `${at} SMTP connection from host.example.org (User) [192.0.2.7]:50022 D=1s closed by DROP in ACL`,
    counter: `${at} SMTP connection from host.example.org (User) [192.0.2.7]:50022 D=1s closed by QUIT`,
  },
  {
    name: 'connection-dropped',
    modes: ['aggressive'],
    effect: { stage: 5, ends: true },
    tokens: [
      ...head,
      ...refusedHost,
      either(
        [literal(" dropped by '"), until("'"), literal("' ACL:")],
        [literal(' rejected connection in "connect" ACL')],
      ),
    ],
    sample: `${at} H=[192.0.2.7]:50022 X=TLS1.3:TLS_AES_256_GCM_SHA384:256 dropped by 'connect' ACL: listed`,
    counter: `${at} H=[192.0.2.7]:50022 dropped by 'connect' ACL`,
  },
  {
    name: 'name-not-found',
    modes: ['aggressive'],
    tokens: [...head, literal('no host name found for IP address '), ip, { kind: 'end' }],
    sample: `${at} no host name found for IP address 192.0.2.7`,
    counter: `${at} no host name found for IP address 192.0.2.7 (host)`,
  },
  {
    name: 'host-not-found',
    modes: ['aggressive'],
    tokens: [
      ...head,
      literal('no IP address found for host '),
      some('nonspace', 255),
      literal(' (during SMTP connection from '),
      ...connected,
      literal(')'),
      ...lineEnd,
    ],
    sample: `${at} no IP address found for host host.example.org (during SMTP connection from (User) [192.0.2.7]:50022 I=[203.0.113.4]:25)`,
    counter: `${at} no IP address found for host host.example.org`,
  },
];

const commandRefused: Pattern = {
  name: 'command-refused',
  modes: more,
  tokens: [
    ...head,
    literal('SMTP protocol error in "'),
    textToLast(),
    literal('" H='),
    ...client,
    repeat(16, unquotedField),
    literal(' '),
    run('ABCDEFGHIJKLMNOPQRSTUVWXYZ'),
    choice(' command used when not advertised', ' authentication mechanism not supported'),
    ...lineEnd,
  ],
  sample: `${at} SMTP protocol error in "AUTH LOGIN" H=(User) [192.0.2.7]:50022 I=[203.0.113.4]:25 AUTH command used when not advertised`,
  counter: `${at} SMTP protocol error in "EHLO" H=(User) [192.0.2.7]:50022 no argument given`,
};

const messageId: Token[] = [{ kind: 'span', of: { name: 'word', bytes: '-' }, min: 16, max: 23 }];
/**
 * What SpamAssassin writes at SMTP time. The host is the last one in the line, and recipients hold
 * no blank.
 */
const assassin = (verdict: string, recipient: Token[]): Token[] => [
  ...head,
  ...messageId,
  literal(` SA: Action: ${verdict}: `),
  textToLast(),
  literal(' (host='),
  optional(until(' [\t'), literal(' ')),
  literal('['),
  ip,
  literal(']) for '),
  ...recipient,
  ...lineEnd,
];

const spam: Pattern[] = [
  {
    name: 'refused-by-scan',
    tokens: [...head, ...messageId, literal(' '), ...refusedHost, literal(' rejected by local_scan(): ')],
    sample: `${at} 1VxPit-000MMd-U4 H=host.example.org [192.0.2.7] F=<a@example.org> rejected by local_scan(): spam`,
    counter: `${at} 1VxPit-000MMd-U4 H=host.example.org [192.0.2.7] F=<a@example.org> temporarily rejected by local_scan(): x`,
  },
  {
    name: 'listed',
    tokens: [
      ...head,
      ...refusedHost,
      literal(' rejected RCPT '),
      some('nonspace'),
      literal(' '),
      textToFirst(),
      literal('dnsbl'),
    ],
    sample: `${at} H=host.example.org [192.0.2.7] F=<a@example.org> rejected RCPT <b@example.net>: rejected because 192.0.2.7 is in a black list at dnsbl.example.org`,
    counter: `${at} H=host.example.org [192.0.2.7] F=<a@example.org> rejected RCPT <b@example.net>: relay not permitted`,
  },
  {
    name: 'virus',
    tokens: [
      ...head,
      ...messageId,
      literal(' '),
      ...refusedHost,
      literal(' rejected after DATA: This message contains a virus ('),
    ],
    sample: `${at} [811] 1VxPit-000MMd-U4 H=host.example.org [192.0.2.7]:50022 I=[203.0.113.4]:25 F=a@example.org rejected after DATA: This message contains a virus (Eicar).`,
    counter: `${at} 1VxPit-000MMd-U4 H=host.example.org [192.0.2.7] F=a@example.org rejected after DATA: too big`,
  },
  {
    name: 'spam-tossed',
    tokens: assassin('silently tossed message', [some('nonspace')]),
    sample: `${at} 1VxPit-000MMd-U4 SA: Action: silently tossed message: score=31.0 required=5.0 trigger=30.0 (scanned in 6/6 secs | Message-Id: x). From <a@example.org> (host=host.example.org [192.0.2.7]) for b@example.net`,
    counter: `${at} 1VxPit-000MMd-U4 SA: Action: scanned but message isn't spam: score=1.0 required=5.0 (scanned in 6/6 secs | Message-Id: x). From <a@example.org> (host=host.example.org [192.0.2.7]) for b@example.net`,
  },
  {
    // The recipient is the address of a honeypot from fail2ban's filter. Nobody writes to it.
    name: 'spam-to-trap',
    tokens: assassin('flagged as Spam but accepted', [literal('trap@example.com')]),
    sample: `${at} 1VxPit-000MMd-U4 SA: Action: flagged as Spam but accepted: score=8.2 required=5.0 (scanned in 6/6 secs | Message-Id: x). From <a@example.org> (host=host.example.org [192.0.2.7]) for trap@example.com`,
    counter: `${at} 1VxPit-000MMd-U4 SA: Action: flagged as Spam but accepted: score=8.2 required=5.0 (scanned in 6/6 secs | Message-Id: x). From <a@example.org> (host=host.example.org [192.0.2.7]) for b@example.net`,
  },
];

export const exim: Filter[] = [
  {
    name: 'exim-spam',
    about: 'Exim: spam and viruses, as block lists, local_scan and SpamAssassin find them',
    prefixes: ['time', 'syslog'],
    tags: ['exim', 'exim4'],
    ignore: ambiguous.slice(0, 1),
    patterns: spam,
  },

  {
    name: 'exim',
    about: 'Exim: failed logins, and, in other modes, refused mail, broken protocol and dropped connections',
    prefixes: ['time', 'syslog'],
    tags: ['exim', 'exim4'],
    connection: 'address',
    modes: ['normal', 'more', 'aggressive'],
    patterns: [commandRefused, twoRefusals, forgedHelo, ...ambiguous, ...logins, ...refusals],
  },
];
