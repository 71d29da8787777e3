/**
 * Less common mail servers: courier-smtp, uwimap-auth, solid-pop3d, perdition, qmail, kerio, assp,
 * oracleims, domino-smtp. Each filter is made from what the server's own log says.
 *
 * The client chooses user names, senders and recipients. Where they stand left of the address, they
 * hold no blank, or the line is read from its end. Text right of the address decides nothing.
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
  textToLast,
  time,
  until,
  userToLast,
} from './tokens.ts';

const digits = some('digit', 10);
const word = some('nonspace');
const at = 'Mar  4 05:06:07 mail';

const courierSmtp: Filter = {
  name: 'courier-smtp',
  about: 'Courier ESMTP: failed logins and unknown recipients',
  prefixes: ['syslog'],
  tags: ['courieresmtpd', 'courieresmtpd-*'],
  patterns: [
    {
      name: 'login-failed',
      tokens: [
        literal('error,relay='),
        ip,
        literal(','),
        optional(literal('port='), digits, literal(',')),
        literal('msg="535 Authentication failed.",cmd:'),
      ],
      sample: `${at} courieresmtpd[811]: error,relay=::ffff:192.0.2.7,port=40022,msg="535 Authentication failed.",cmd: AUTH LOGIN YWxpY2U=`,
      counter: `${at} courieresmtpd[811]: error,relay=::ffff:192.0.2.7,msg="502 ESMTP command error",cmd: X`,
    },
    {
      name: 'recipient-unknown',
      tokens: [
        literal('error,relay='),
        ip,
        literal(','),
        textToFirst(),
        literal(': 550 User '),
        textToFirst(),
        literal('unknown'),
        optional(literal('.')),
        ...lineEnd,
      ],
      sample: `${at} courieresmtpd: error,relay=::ffff:192.0.2.7,from=<a@example.org>,to=<b@example.net>: 550 User <b> unknown`,
      counter: `${at} courieresmtpd: error,relay=::ffff:192.0.2.7,from=<a@example.org>,to=<b@example.net>: 550 Relaying denied`,
    },
  ],
};

const hostEnd: Token[] = [
  literal(' host='),
  optional(until(' \t['), literal(' ')),
  literal('['),
  ip,
  literal(']'),
  ...lineEnd,
];

const uwimap: Filter = {
  name: 'uwimap-auth',
  about: 'UW IMAP and POP3: failed logins',
  prefixes: ['syslog'],
  tags: ['imapd', 'ipop3d'],
  patterns: [
    {
      name: 'login-failed',
      tokens: [
        literal('Login '),
        choice('failed', 'excessive login failures', 'disabled', 'SYSTEM BREAK-IN ATTEMPT'),
        literal(' user='),
        textToLast(),
        ...hostEnd,
      ],
      sample: `${at} imapd[811]: Login failed user=alice auth=alice host=host.example.org [192.0.2.7]`,
      counter: `${at} imapd[811]: Login user=alice host=host.example.org [192.0.2.7]`,
    },
    {
      name: 'override-failed',
      tokens: [literal('Failed '), textToFirst(), literal(' override of user='), textToLast(), ...hostEnd],
      sample: `${at} imapd[811]: Failed alice override of user=bob host=host.example.org [192.0.2.7]`,
      counter: `${at} imapd[811]: Admin alice override of user=bob host=host.example.org [192.0.2.7]`,
    },
  ],
};

const solidPop3d: Filter = {
  name: 'solid-pop3d',
  about: 'Solid POP3: failed logins',
  prefixes: ['syslog'],
  tags: ['solid-pop3d'],
  patterns: [
    {
      name: 'login-failed',
      tokens: [
        choice(
          'authentication failed: no such user: ',
          "authentication failed: can't map user name: ",
          'authentication failed for mapped user ',
          'authentication failed for user ',
          'APOP authentication failed for mapped user ',
          'APOP authentication failed for user ',
          "can't find APOP secret for user ",
        ),
        userToLast(),
        literal(' - '),
        ip,
        ...lineEnd,
      ],
      sample: `${at} solid-pop3d[811]: authentication failed for user alice - 192.0.2.7`,
      counter: `${at} solid-pop3d[811]: user alice authenticated - 192.0.2.7`,
    },
    {
      name: 'root-refused',
      tokens: [literal('root login not allowed - '), ip, ...lineEnd],
      sample: `${at} solid-pop3d[811]: root login not allowed - 192.0.2.7`,
      counter: `${at} solid-pop3d[811]: root login not allowed - 192.0.2.7 today`,
    },
  ],
};

const client: Token[] = [ip, literal(':'), digits];

const perdition: Filter = {
  name: 'perdition',
  about: 'Perdition mail proxy: failed logins',
  prefixes: ['syslog'],
  tags: ['perdition*'],
  patterns: [
    {
      name: 'login-failed',
      tokens: [
        literal('Auth: '),
        ...client,
        literal('->'),
        word,
        literal(' client-secure='),
        word,
        literal(' authorisation_id=NONE authentication_id="'),
        textToLast(),
        literal('" server="'),
        until('"', 0),
        literal('" protocol='),
        word,
        literal(' server-secure='),
        word,
        literal(' status="failed: '),
        choice('local authentication failure"', 'Re-Authentication Failure"'),
        ...lineEnd,
      ],
      sample: `${at} perdition.imaps[811]: Auth: 192.0.2.7:40022->203.0.113.4:993 client-secure=ssl authorisation_id=NONE authentication_id="alice" server="imap.example.org:143" protocol=IMAP4S server-secure=plaintext status="failed: Re-Authentication Failure"`,
      counter: `${at} perdition.imaps[811]: Auth: 192.0.2.7:40022->203.0.113.4:993 client-secure=ssl authorisation_id=NONE authentication_id="alice" server="imap.example.org:143" protocol=IMAP4S server-secure=plaintext status="ok"`,
    },
    {
      name: 'no-login',
      tokens: [
        literal('Fatal Error reading authentication information from client '),
        ...client,
        literal('->'),
        word,
        literal(' Exiting child'),
      ],
      sample: `${at} perdition.pop3[811]: Fatal Error reading authentication information from client 192.0.2.7:40022->203.0.113.4:110: Exiting child`,
      counter: `${at} perdition.pop3[811]: Fatal error piping data. Exiting child`,
    },
  ],
};

const qmail: Filter = {
  name: 'qmail',
  about: 'qmail: clients that a block list names',
  prefixes: ['syslog'],
  tags: ['qmail', 'qmail-*', 'rblsmtpd'],
  patterns: [
    {
      name: 'listed',
      tokens: [
        run('0123456789.'),
        literal(' rblsmtpd: '),
        ip,
        literal(' pid '),
        digits,
        literal(' '),
        word,
        literal(' 4'),
        digits,
        literal(' '),
        word,
        ...lineEnd,
      ],
      sample: `${at} qmail: 1741061167.123456 rblsmtpd: 192.0.2.7 pid 811 bl.example.org: 451 https://bl.example.org/192.0.2.7`,
      counter: `${at} qmail: 1741061167.123456 rblsmtpd: 192.0.2.7 pid 811: greetdelay: 15`,
    },
    {
      name: 'listed-by-smtpd',
      tokens: [
        run('0123456789.'),
        literal(' qmail-smtpd: 4'),
        digits,
        literal(' badiprbl: ip '),
        ip,
        literal(' rbl: '),
        word,
        ...lineEnd,
      ],
      sample: `${at} qmail: 1741061167.123456 qmail-smtpd: 421 badiprbl: ip 192.0.2.7 rbl: bl.example.org`,
      counter: `${at} qmail: 1741061167.123456 qmail-smtpd: 250 ok: ip 192.0.2.7`,
    },
    {
      name: 'blocked',
      tokens: [word, literal(' blocked '), ip, literal(' '), word, literal(' -'), ...lineEnd],
      sample: `${at} rblsmtpd: bl.example.org blocked 192.0.2.7 list.example.org -`,
      counter: `${at} rblsmtpd: bl.example.org blocked 192.0.2.7`,
    },
  ],
};

const kerioHead: Token[] = [literal('['), until(']'), literal('] ')];
const kerioPattern = (name: string, tokens: Token[], sample: string): Pattern => ({
  name,
  tokens: [...kerioHead, ...tokens],
  sample: `[04/Mar/2025 05:06:07] ${sample}`,
  counter: '[04/Mar/2025 05:06:07] Successful SMTP login from 192.0.2.7',
});

const kerio: Filter = {
  name: 'kerio',
  about: 'Kerio Connect: failed logins, unknown recipients, relaying and spam (its security log)',
  prefixes: ['bare'],
  patterns: [
    kerioPattern(
      'login-failed',
      [literal('Failed '), some('alpha', 16), literal(' login from '), ip],
      'Failed SMTP login from 192.0.2.7 with SASL method CRAM-MD5.',
    ),
    kerioPattern(
      'password-wrong',
      [until(': '), literal(': Invalid password for user '), word, literal(' Attempt from IP address '), ip],
      'IMAP: Invalid password for user alice@example.org. Attempt from IP address 192.0.2.7.',
    ),
    kerioPattern(
      'user-unknown',
      [until(': '), literal(': User '), word, literal(" doesn't exist. Attempt from IP address "), ip],
      "SMTP: User alice@example.org doesn't exist. Attempt from IP address 192.0.2.7.",
    ),
    kerioPattern(
      'administration-refused',
      [literal('Administration login into Web Administration from '), ip, literal(' failed: IP address not allowed')],
      'Administration login into Web Administration from 192.0.2.7 failed: IP address not allowed',
    ),
    kerioPattern(
      'spam-attack',
      [literal('SMTP Spam attack detected from '), ip, literal(',')],
      'SMTP Spam attack detected from 192.0.2.7, client sent data before SMTP greeting',
    ),
    kerioPattern(
      'listed',
      [literal('IP address '), ip, literal(' found in DNS blacklist')],
      'IP address 192.0.2.7 found in DNS blacklist bl, mail from <a@example.org> to <b@example.net>',
    ),
    kerioPattern(
      'relay-attempt',
      [literal('Relay attempt from IP address '), ip],
      'Relay attempt from IP address 192.0.2.7',
    ),
    kerioPattern(
      'recipient-unknown',
      [
        literal('Attempt to deliver to unknown recipient '),
        word,
        literal(' from '),
        word,
        literal(' IP address '),
        ip,
        ...lineEnd,
      ],
      'Attempt to deliver to unknown recipient <b@example.net>, from <a@example.org>, IP address 192.0.2.7',
    ),
    kerioPattern(
      'no-reverse-name',
      [
        literal('Client with IP address '),
        ip,
        literal(' has no reverse DNS entry, connection rejected before SMTP greeting'),
      ],
      'Client with IP address 192.0.2.7 has no reverse DNS entry, connection rejected before SMTP greeting',
    ),
    kerioPattern(
      'sender-domain-unknown',
      [
        literal('Message from IP address '),
        ip,
        literal(', sender '),
        word,
        literal(' rejected: sender domain does not exist'),
      ],
      'Message from IP address 192.0.2.7, sender <a@example.org> rejected: sender domain does not exist',
    ),
  ],
};

/** `Apr-27-13 02:25:09`; the marks behind it may be the id of a message and words in brackets. */
const asspHead: Token[] = [
  some('alpha', 3),
  literal('-'),
  some('digit', 2),
  literal('-'),
  some('digit', 2),
  literal(' '),
  run('0123456789:'),
];
const asspMarks: Token[] = [
  optional(choice(' m', ' id-'), { kind: 'span', of: { name: 'word', bytes: '-' }, min: 1, max: 64 }),
  repeat(4, literal(' ['), until('] '), literal(']')),
  literal(' '),
];
const assp: Filter = {
  name: 'assp',
  about: 'ASSP mail proxy: failed logins and relaying',
  prefixes: ['bare'],
  patterns: [
    {
      name: 'blocked',
      tokens: [...asspHead, literal(' Blocking '), ip, literal(' - too much AUTH errors (')],
      sample: 'Mar-04-25 05:06:07 Blocking 192.0.2.7 - too much AUTH errors (8);',
      counter: 'Mar-04-25 05:06:07 Blocking 192.0.2.7 - listed',
    },
    {
      name: 'too-many-errors',
      tokens: [...asspHead, ...asspMarks, ip, literal(' max sender authentication errors (')],
      sample:
        'Mar-04-25 05:06:07 [SSL-out] 192.0.2.7 max sender authentication errors (5) exceeded -- dropping connection - after reply: 535 5.7.8 Error: authentication failed: UGFzc3dvcmQ6;',
      counter: 'Mar-04-25 05:06:07 [SSL-out] 192.0.2.7 disconnected',
    },
    {
      name: 'not-tls',
      tokens: [
        ...asspHead,
        ...asspMarks,
        ip,
        literal(' SSL negotiation with client failed: SSL accept attempt failed with unknown error'),
      ],
      sample:
        'Mar-04-25 05:06:07 [SSL-out] 192.0.2.7 SSL negotiation with client failed: SSL accept attempt failed with unknown error:unknown protocol;',
      counter: 'Mar-04-25 05:06:07 [SSL-out] 192.0.2.7 SSL negotiation with client failed: timeout;',
    },
    {
      name: 'login-failed',
      tokens: [...asspHead, ...asspMarks, ip, literal(' [SMTP Error] 535 5.7.8 Error: authentication failed:')],
      sample:
        'Mar-04-25 05:06:07 m1-13060-05386 [Worker_1] [TLS-out] 192.0.2.7 [SMTP Error] 535 5.7.8 Error: authentication failed: UGFzc3dvcmQ6',
      counter: 'Mar-04-25 05:06:07 m1-13060-05386 [Worker_1] [TLS-out] 192.0.2.7 [SMTP Error] 421 timeout',
    },
    {
      name: 'relay-attempt',
      tokens: [
        ...asspHead,
        ...asspMarks,
        ip,
        literal(' '),
        optional(literal('<'), until('> '), literal('> ')),
        optional(literal('to: '), word, literal(' ')),
        literal('relay attempt blocked for'),
      ],
      sample:
        'Mar-04-25 05:06:07 m1-13060-05386 [Worker_1] 192.0.2.7 <a@example.org> to: b@example.net relay attempt blocked for: b@example.net',
      counter: 'Mar-04-25 05:06:07 m1-13060-05386 [Worker_1] 192.0.2.7 <a@example.org> to: b@example.net message ok',
    },
  ],
};

const oracleims: Filter = {
  name: 'oracleims',
  about: 'Oracle Communications Messaging: failed logins',
  prefixes: ['bare'],
  patterns: [
    {
      name: 'password-wrong',
      tokens: [
        literal('<co ts="'),
        time,
        literal('"'),
        repeat(8, literal(' '), choice('pi', 'sc', 'dr', 'ac', 'va', 'pn'), literal('="'), until('"', 0), literal('"')),
        literal(' tr="'),
        some('alpha', 8),
        literal('|'),
        until('|'),
        literal('|'),
        digits,
        literal('|'),
        ip,
        literal('|'),
        digits,
        literal('" ap="'),
        until('"', 0),
        literal('" mi="Bad password" us="'),
        until('"', 0),
        literal('" di="535 5.7.8 Bad username or password'),
      ],
      sample:
        '<co ts="2025-03-04T05:06:07.99" pi="72aa.17f0.1" sc="tcp_local" dr="+" ac="U" tr="TCP|203.0.113.4|25|192.0.2.7|4299" ap="SMTP" mi="Bad password" us="alice@example.org" di="535 5.7.8 Bad username or password (Authentication failed)."/>',
      counter:
        '<co ts="2025-03-04T05:06:07.99" pi="72aa.17f0.1" sc="tcp_local" dr="+" ac="U" tr="TCP|203.0.113.4|25|192.0.2.7|4299" ap="SMTP" mi="Authentication successful - switched to channel tcp_submit" us="alice@example.org" di="235 2.7.0 LOGIN authentication successful."/>',
    },
  ],
};

/** `[28325:00010-3735542592] 22-06-2014 09:56:12   ` */
const dominoHead: Token[] = [
  optional(literal('['), until(']'), literal(']'), any('space', 8)),
  run('0123456789-/.'),
  run(' '),
  run('0123456789:'),
  optional(choice(' AM', ' PM')),
  some('space', 8),
];
const dominoServer: Token[] = [
  literal('SMTP Server'),
  either([literal(':')], [some('space', 4), literal('['), until(']'), literal(']')]),
];
const domino: Filter = {
  name: 'domino-smtp',
  about: 'HCL (IBM) Domino: failed SMTP logins and refused hosts',
  prefixes: ['bare'],
  patterns: [
    {
      name: 'login-failed-nameless',
      tokens: [...dominoHead, literal('smtp: '), ip, literal(' authentication failure using internet password')],
      sample: '04-03-2025 05:06:07   smtp: [192.0.2.7] authentication failure using internet password',
      counter: '04-03-2025 05:06:07   smtp: alice [192.0.2.7] authenticated',
    },
    {
      name: 'login-failed',
      tokens: [
        ...dominoHead,
        literal('smtp: '),
        userToLast(),
        literal(' '),
        ip,
        literal(' authentication failure using internet password'),
        ...lineEnd,
      ],
      sample:
        '[28325:00010-3735542592] 04-03-2025 05:06:07   smtp: al ice [192.0.2.7] authentication failure using internet password',
      counter: '04-03-2025 05:06:07   smtp: alice [192.0.2.7] authenticated',
    },
    {
      name: 'login-refused',
      tokens: [
        ...dominoHead,
        ...dominoServer,
        literal(' Authentication failed for user '),
        userToLast(),
        literal(' ; connecting host '),
        ip,
        ...lineEnd,
      ],
      sample: '04-03-2025 05:06:07   SMTP Server: Authentication failed for user alice ; connecting host 192.0.2.7',
      counter: '04-03-2025 05:06:07   SMTP Server: host.example.org (192.0.2.7) connected',
    },
    {
      name: 'host-refused',
      tokens: [
        ...dominoHead,
        ...dominoServer,
        literal(' Connection from '),
        ip,
        literal(' rejected for policy reasons.'),
      ],
      sample:
        '2025-03-04 05:06:07   SMTP Server [000527:000013-0000001227564800] Connection from [192.0.2.7] rejected for policy reasons. No name.',
      counter:
        '2025-03-04 05:06:07   SMTP Server [000527:000013-0000001227564800] Connection from [192.0.2.7] accepted',
    },
  ],
};

export const mailServers: Filter[] = [
  courierSmtp,
  uwimap,
  solidPop3d,
  perdition,
  qmail,
  kerio,
  assp,
  oracleims,
  domino,
];
