/**
 * Asterisk 1.4 to 22 (main/logger.c, chan_sip, chan_iax2, res_pjsip, main/manager.c,
 * res_security_log). A line holds a level with thread and call, the file with line and function,
 * and the message. It comes from Asterisk's own log, from syslog or from the journal.
 *
 * The caller chooses URIs, dialled numbers, account names and Call-IDs.
 * - Such text can stand on one side of the address only: the address is read from the other side.
 * - It can stand on both sides: the way Asterisk prints it decides. A URI has no blank outside its
 *   quoted name, so the first address behind a complete URI is Asterisk's own. SIP values behind
 *   RemoteAddress hold no quote, so the last RemoteAddress is Asterisk's own.
 *
 * Some lines still have two readings and are not counted: a URI that is too long to be printed
 * completely, and events of the manager interface and IAX2 with two addresses. That is safe: no
 * account has such a name, and no right answer to a challenge looks like that. So nobody can guess
 * the password of a real account without being counted.
 *
 * If the security log is on, one attempt writes a notice (stage 1) and an event (stage 2).
 */
import type { Filter, Token } from '../compiler/pattern.ts';
import {
  any,
  choice,
  either,
  ip,
  ipPort,
  lineEnd,
  literal,
  optional,
  repeat,
  some,
  textToFirst,
  textToLast,
  until,
  userToLast,
  userUntil,
} from './tokens.ts';

const digits = some('digit', 10);
const port = optional(literal(':'), some('digit', 5));

/** `NOTICE[811][C-0000002a]: `. In the journal, Asterisk's own time may stand before it. */
const level: Token[] = [
  optional(literal('['), until(']'), literal('] ')),
  choice('NOTICE', 'SECURITY', 'WARNING'),
  any('space', 4),
  literal('['),
  digits,
  literal(']'),
  optional(literal(':')),
  optional(literal('[C-'), some('hex', 16), literal(']')),
  optional(literal(':')),
  literal(' '),
];

/**
 * `NOTICE[811]: chan_sip.c:28926 in handle_request_register: `. A file name has no blank; a dialled
 * extension may have one.
 */
const head: Token[] = [
  ...level,
  { kind: 'span', of: { name: 'word', bytes: './-' }, min: 1, max: 255 },
  literal(':'),
  any('digit', 10),
  // A message may begin with an IPv6 address, which has no blank behind its first colon.
  either([choice(' in ', ' '), some('word', 255), literal(': ')], [literal(' ')]),
];

/** Bytes of a quoted text, up to its 64th escape. Asterisk prints at most 256 bytes of a URI. */
const escaped: Token = repeat(64, until('"\\', 0), choice('\\"', '\\\\', '\\'));
const requestRefusals = choice(
  'No matching endpoint found',
  'Not match Endpoint ACL',
  'Not match Endpoint Contact ACL',
  'Failed to authenticate',
  'Error to authenticate',
);
const refusals = choice('FailedACL', 'InvalidAccountID', 'ChallengeResponseFailed', 'InvalidPassword');
const field = (name: string): Token[] => [literal(`,${name}="`), until('"', 0), literal('"')];
const remote: Token[] = [
  literal(',RemoteAddress="IPV'),
  choice('4/', '6/'),
  until('/"'),
  literal('/'),
  ip,
  literal('/'),
  some('digit', 5),
  literal('"'),
];
/**
 * What may follow the address of a refusal: Asterisk's own words, or the caller's answer to a
 * challenge.
 */
const answered: Token[] = [
  repeat(
    8,
    choice(
      ',Module="',
      ',ACLName="',
      ',SessionTV="',
      ',Challenge="',
      ',Response="',
      ',ExpectedResponse="',
      ',ReceivedChallenge="',
      ',ReceivedHash="',
    ),
    until('"', 0),
    literal('"'),
  ),
  ...lineEnd,
];

const time = '[2025-03-04 05:06:07]';

export const asterisk: Filter = {
  name: 'asterisk',
  about: 'Asterisk: refused registrations, calls and logins over SIP, IAX2 and the manager interface',
  prefixes: ['time', 'syslog'],
  tags: ['asterisk'],
  connection: 'address',
  patterns: [
    {
      name: 'registration-failed',
      effect: { stage: 1 },
      tokens: [
        ...head,
        literal("Registration from '"),
        userToLast(),
        literal("' failed for '"),
        ip,
        port,
        literal("' - "),
        choice(
          'Wrong password',
          'Username/auth name mismatch',
          'No matching peer found',
          'Not a local domain',
          'Device does not match ACL',
          'Peer is not supposed to register',
          'ACL error (permit/deny)',
        ),
        ...lineEnd,
      ],
      sample: `${time} NOTICE[811] chan_sip.c: Registration from '"x" <sip:x@example.org>' failed for '192.0.2.7:5060' - Wrong password`,
      counter: `${time} NOTICE[811] chan_sip.c: Registration from '<sip:x@example.org>' failed for '192.0.2.7:5060' - Device not configured to use this transport type`,
    },
    {
      name: 'extension-not-found',
      tokens: [
        ...head,
        any('space', 4),
        either(
          [literal("Call from '"), userUntil("'", 0), literal("' (")],
          [literal('Call (')],
          [userUntil(':('), literal(': Call (')],
        ),
        optional(some('alpha', 8), literal(':')),
        either([ipPort], [ip]),
        literal(") to extension '"),
        textToLast(),
        literal("' rejected because extension not found in context"),
      ],
      sample: `${time} NOTICE[811][C-0000002a] res_pjsip_session.c: Call from 'anonymous' (UDP:192.0.2.7:5060) to extension '00441632960001' rejected because extension not found in context 'public'.`,
      counter: `${time} NOTICE[811][C-0000002a] chan_sip.c: Call from peer 'alice' rejected due to usage limit of 2`,
    },
    {
      name: 'login-failed',
      effect: { stage: 1 },
      tokens: [
        ...head,
        optional(literal('Host ')),
        ip,
        port,
        choice(
          ' failed to authenticate',
          ' failed MD5 authentication',
          ' failed to pass IP ACL as ',
          ' tried to authenticate with nonexistent user',
          ' denied access to register peer ',
        ),
      ],
      sample: `${time} NOTICE[811] manager.c: 192.0.2.7 tried to authenticate with nonexistent user 'admin'`,
      counter: `${time} NOTICE[811] chan_iax2.c: Host 192.0.2.7 failed RSA authentication with inkeys 'alice'`,
    },
    {
      name: 'peer-not-registered',
      tokens: [
        ...head,
        literal("No registration for peer '"),
        userToLast(),
        literal("' (from "),
        ip,
        literal(')'),
        ...lineEnd,
      ],
      sample: `${time} NOTICE[811] chan_iax2.c: No registration for peer 'alice' (from 192.0.2.7)`,
      counter: `${time} NOTICE[811] chan_iax2.c: No registration for peer 'alice' (from 192.0.2.7) today`,
    },
    {
      name: 'connect-rejected',
      tokens: [
        ...head,
        literal('Rejected connect attempt from '),
        ip,
        port,
        literal(', '),
        choice('who was trying to reach ', "request '"),
      ],
      sample: `${time} NOTICE[811] chan_iax2.c: Rejected connect attempt from 192.0.2.7, who was trying to reach '100@default'`,
      counter: `${time} NOTICE[811] chan_iax2.c: Rejected connect attempt from 192.0.2.7:4569, requested 'ulaw' incompatible with our capability 'gsm'.`,
    },
    {
      name: 'attack-detected',
      tokens: [...head, literal("hacking attempt detected '"), ip, literal("'"), ...lineEnd],
      sample: `${time} NOTICE[811] chan_sip.c: hacking attempt detected '192.0.2.7'`,
      counter: `${time} NOTICE[811] chan_sip.c: hacking attempt detected 'x' from 192.0.2.7'`,
    },
    {
      name: 'connection-rejected',
      // The dial plan writes this line: the extension and its context stand in place of a file and
      // its function.
      tokens: [
        ...level,
        literal('Ext. '),
        until(':'),
        literal(':'),
        any('digit', 10),
        optional(choice(' in ', ' @'), until(':"'), literal(':')),
        literal(' "Rejecting unknown SIP connection from '),
        ip,
        port,
        literal('"'),
        ...lineEnd,
      ],
      sample: `${time} WARNING[811][C-0000002a] Ext. s: "Rejecting unknown SIP connection from 192.0.2.7:5060"`,
      counter: `${time} WARNING[811][C-0000002a] Ext. s: "Rejecting unknown SIP connection from 198.51.100.9": "x"`,
    },
    {
      // The caller's URI as Asterisk prints it: a quoted name with escapes, then a URI without
      // blanks.
      name: 'request-failed',
      effect: { stage: 1 },
      tokens: [
        ...head,
        literal('Request '),
        optional(literal("'"), until("'"), literal("' ")),
        literal("from '"),
        optional(literal('"'), escaped, escaped, until('"\\', 0), literal('"'), any('space', 4)),
        either([literal('<'), userUntil('> \t', 0), literal('>')], [userUntil('<>"\' \t')]),
        literal("' failed for '"),
        either([ipPort], [ip]),
        literal("' (callid: "),
        textToFirst(),
        literal(') - '),
        requestRefusals,
      ],
      sample: `${time} NOTICE[811] res_pjsip/pjsip_distributor.c: Request 'REGISTER' from '"x" <sip:x@example.org>' failed for '192.0.2.7:5060' (callid: x' failed for '198.51.100.9:1' (callid: y) - Failed to authenticate`,
      counter: `${time} NOTICE[811] res_pjsip/pjsip_distributor.c: Request 'REGISTER' from '"x' failed for '198.51.100.9:1' (callid: y" <sip:x@example.org>' failed for '192.0.2.7:5060' (callid: 2f1) - Endpoint is busy`,
    },
    {
      name: 'request-ambiguous',
      effect: { kind: 'context' },
      tokens: [
        ...head,
        literal('Request '),
        textToFirst(),
        literal("' failed for '"),
        textToFirst(),
        literal("' failed for '"),
      ],
      sample: `${time} NOTICE[811] res_pjsip/pjsip_distributor.c: Request 'INVITE' from '"a b' failed for '192.0.2.7:5060' (callid: x) - Failed to authenticate' failed for '198.51.100.9:5060' (callid: y) - Failed to authenticate`,
      counter: `${time} NOTICE[811] res_pjsip/pjsip_distributor.c: Request 'INVITE' from '<sip:a@example.org>' failed for '192.0.2.7:5060' (callid: x) - Failed to authenticate`,
    },
    {
      name: 'request-failed-long',
      effect: { stage: 1 },
      tokens: [
        ...head,
        literal('Request '),
        optional(literal("'"), until("'"), literal("' ")),
        literal("from '"),
        userToLast(),
        literal("' failed for '"),
        // Asterisk 12 writes no brackets around an IPv6 address.
        either([ipPort], [ip]),
        literal("' (callid: "),
        until("')", 0),
        literal(') - '),
        requestRefusals,
        until("'", 0),
        { kind: 'end' },
      ],
      sample: `${time} NOTICE[811] res_pjsip/pjsip_distributor.c: Request 'REGISTER' from '"x y' failed for '192.0.2.7:5060' (callid: 2f1) - No matching endpoint found after 5 tries in 2.013 ms`,
      counter: `${time} NOTICE[811] res_pjsip/pjsip_distributor.c: Request 'REGISTER' from '<sip:x@example.org>' failed for '192.0.2.7:5060' (callid: 2f1) - Endpoint is busy`,
    },
    {
      name: 'refused',
      effect: { stage: 2 },
      tokens: [
        ...head,
        literal('SecurityEvent="'),
        refusals,
        literal('"'),
        ...['EventTV', 'Severity'].flatMap(field),
        choice(',Service="PJSIP"', ',Service="SIP"'),
        ...field('EventVersion'),
        literal(',AccountID="'),
        userToLast(),
        literal('",SessionID="'),
        textToLast(),
        literal('"'),
        ...remote,
        ...answered,
      ],
      sample: `${time} SECURITY[811] res_security_log.c: SecurityEvent="InvalidPassword",EventTV="1",Severity="Error",Service="PJSIP",EventVersion="2",AccountID="alice",SessionID="c",RemoteAddress="IPV4/UDP/198.51.100.9/5060",d",LocalAddress="IPV4/UDP/203.0.113.1/5060",RemoteAddress="IPV4/UDP/192.0.2.7/5060",Challenge="c1"`,
      counter: `${time} SECURITY[811] res_security_log.c: SecurityEvent="InvalidPassword",EventTV="1",Severity="Error",Service="AMI",EventVersion="2",AccountID="alice",SessionID="c",LocalAddress="IPV4/TCP/203.0.113.1/5038",RemoteAddress="IPV4/TCP/192.0.2.7/40022"`,
    },
    {
      name: 'event-ambiguous',
      effect: { kind: 'context' },
      tokens: [
        ...head,
        literal('SecurityEvent="'),
        textToFirst(),
        literal('",RemoteAddress="'),
        textToFirst(),
        literal('",RemoteAddress="'),
      ],
      sample: `${time} SECURITY[811] res_security_log.c: SecurityEvent="InvalidPassword",EventTV="1",Severity="Error",Service="AMI",EventVersion="2",AccountID="a",SessionID="b",LocalAddress="IPV4/UDP/203.0.113.1/5060",RemoteAddress="IPV4/UDP/192.0.2.7/5060",Challenge="c",ReceivedChallenge="d",RemoteAddress="IPV4/UDP/198.51.100.9/5060"`,
      counter: `${time} SECURITY[811] res_security_log.c: SecurityEvent="SuccessfulAuth",EventTV="1",RemoteAddress="IPV4/UDP/192.0.2.7/5060",UsingPassword="1"`,
    },
    {
      name: 'refused-elsewhere',
      effect: { stage: 2 },
      tokens: [
        ...head,
        literal('SecurityEvent="'),
        refusals,
        literal('"'),
        ...['EventTV', 'Severity', 'Service', 'EventVersion'].flatMap(field),
        literal(',AccountID="'),
        userUntil('"', 0),
        literal('"'),
        ...['SessionID', 'LocalAddress'].flatMap(field),
        ...remote,
        ...answered,
      ],
      sample: `${time} SECURITY[811] res_security_log.c: SecurityEvent="InvalidPassword",EventTV="2025-03-04T05:06:07.008+0100",Severity="Error",Service="AMI",EventVersion="2",AccountID="alice",SessionID="2f1",LocalAddress="IPV4/UDP/203.0.113.1/5060",RemoteAddress="IPV4/UDP/192.0.2.7/5060",Challenge="c1",ReceivedChallenge="c2",ReceivedHash="c3"`,
      counter: `${time} SECURITY[811] res_security_log.c: SecurityEvent="SuccessfulAuth",EventTV="2025-03-04T05:06:07.008+0100",Severity="Informational",Service="PJSIP",EventVersion="1",AccountID="alice",SessionID="2f1",LocalAddress="IPV4/UDP/203.0.113.1/5060",RemoteAddress="IPV4/UDP/192.0.2.7/5060",UsingPassword="1"`,
    },
    {
      // For quotes in the account or the Call-ID, or fields in another order. The line holds only
      // one RemoteAddress; event-ambiguous takes lines with two.
      name: 'refused-quoted',
      effect: { stage: 2 },
      tokens: [
        ...head,
        literal('SecurityEvent="'),
        refusals,
        literal('",'),
        textToLast(),
        literal('"'),
        ...remote,
        ...answered,
      ],
      sample: `${time} SECURITY[811] res_security_log.c: SecurityEvent="InvalidAccountID",EventTV="2025-03-04T05:06:07.008+0100",Severity="Error",Service="AMI",EventVersion="1",AccountID="a"b",SessionID="c"d",LocalAddress="IPV4/UDP/203.0.113.1/5060",RemoteAddress="IPV4/UDP/192.0.2.7/5060"`,
      counter: `${time} SECURITY[811] res_security_log.c: SecurityEvent="ChallengeSent",EventTV="2025-03-04T05:06:07.008+0100",Severity="Informational",Service="PJSIP",EventVersion="1",AccountID="a"b",SessionID="c"d",LocalAddress="IPV4/UDP/203.0.113.1/5060",RemoteAddress="IPV4/UDP/192.0.2.7/5060",Challenge="c1"`,
    },
  ],
};
