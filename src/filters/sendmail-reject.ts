/**
 * sendmail (8.x), sendmail/srvrsmtp.c and its rule sets: mail and commands that it refuses. A
 * client is written `name [address]` or `[IPv6:…]`, perhaps with `(may be forged)`. All that the
 * client sends stands behind it, except a recipient in `arg1=<…>`, which holds no `>`.
 *
 * The line that refuses an unknown recipient has no address. The line that ends the message with
 * the same queue id names the client.
 *
 * The modes are fail2ban's. `normal`: refused mail. `extra`: also clients that do nothing.
 * `aggressive`: also lost connections.
 */
import type { Filter, Token } from '../compiler/pattern.ts';
import { choice, either, ip, lineEnd, literal, optional, repeat, some, textToLast, until } from './tokens.ts';

const word = some('nonspace');
const queueId = optional({ kind: 'span', of: { name: 'word' }, min: 14, max: 20 }, literal(': '));
/** The queue id is kept, because it joins the lines of one message. */
const message: Token[] = [{ kind: 'span', of: { name: 'word' }, min: 14, max: 20, capture: 'user' }, literal(': ')];
const client: Token[] = [
  optional(until(' \t[,'), literal(' ')),
  choice('[IPv6:', '['),
  ip,
  literal(']'),
  optional(literal(' (may be forged)')),
];
const recipient = optional(literal(' <'), until('>', 0), literal('>...'));
const rcpt: Token[] = [
  queueId,
  literal('ruleset=check_rcpt, arg1=<'),
  until('>" \t'),
  literal('>, relay='),
  ...client,
  literal(', reject='),
];
const host = 'Mar  7 18:53:22 mail';
const lost = ['aggressive'];

export const sendmailReject: Filter[] = [
  {
    name: 'sendmail-reject',
    about: 'sendmail: refused mail; in other modes also clients that send nothing or break off',
    prefixes: ['syslog'],
    tags: ['sendmail', 'sm-*'],
    connection: 'number',
    modes: ['normal', 'extra', 'aggressive'],
    patterns: [
      {
        name: 'recipient-refused',
        tokens: [
          ...rcpt,
          either(
            [
              literal('550 5.7.1'),
              recipient,
              optional(literal(' Relaying denied.')),
              choice(
                ' IP name possibly forged [',
                ' Proper authentication required.',
                ' IP name lookup failed [',
                ' Fix reverse DNS for ',
              ),
            ],
            [
              choice('451 4.1.8', '453 4.1.8', '551 5.1.8', '553 5.1.8'),
              recipient,
              literal(' Domain of sender address '),
              word,
              choice(' does not exist', ' does not resolve'),
            ],
            [choice('550 5.7.1', '550 5.1.1'), recipient, choice(' Rejected: ', ' User unknown')],
          ),
        ],
        sample: `${host} sm-mta[901]: 527IrMXx000901: ruleset=check_rcpt, arg1=<b@example.net>, relay=host.example.org [192.0.2.7] (may be forged), reject=553 5.1.8 <b@example.net>... Domain of sender address a@example.org does not exist`,
        counter: `${host} sm-mta[901]: 527IrMXx000901: ruleset=check_rcpt, arg1=<b@example.net>, relay=host.example.org [192.0.2.7], reject=451 4.7.1 Greylisting in action`,
      },
      {
        name: 'name-unresolved',
        modes: lost,
        tokens: [
          ...rcpt,
          literal('450 4.4.0'),
          recipient,
          optional(literal(' Relaying temporarily denied.')),
          literal(' Cannot resolve PTR record for '),
        ],
        sample: `${host} sm-mta[901]: 527IrMXx000901: ruleset=check_rcpt, arg1=<b@example.net>, relay=[192.0.2.7], reject=450 4.4.0 <b@example.net>... Relaying temporarily denied. Cannot resolve PTR record for 192.0.2.7`,
        counter: `${host} sm-mta[901]: 527IrMXx000901: ruleset=check_rcpt, arg1=<b@example.net>, relay=[192.0.2.7], reject=450 4.4.0 <b@example.net>... try later`,
      },
      {
        name: 'relay-refused',
        tokens: [
          queueId,
          literal('ruleset=check_relay'),
          repeat(4, literal(', arg'), some('digit', 2), literal('='), until(', \t', 0)),
          literal(', relay='),
          ...client,
          literal(', reject=421 4.3.2 '),
          choice('Connection rate limit exceeded.', 'Too many open connections.'),
        ],
        sample: `${host} sm-mta[901]: ruleset=check_relay, arg1=host.example.org, arg2=192.0.2.7, relay=host.example.org [192.0.2.7], reject=421 4.3.2 Too many open connections.`,
        counter: `${host} sm-mta[901]: ruleset=check_relay, arg1=host.example.org, arg2=192.0.2.7, relay=host.example.org [192.0.2.7], reject=550 5.7.1 Access denied`,
      },
      {
        name: 'early-talk',
        tokens: [
          queueId,
          literal('rejecting commands from '),
          ...client,
          literal(' due to pre-greeting traffic after '),
        ],
        sample: `${host} sm-mta[901]: 527IrMXx000901: rejecting commands from host.example.org [192.0.2.7] due to pre-greeting traffic after 2 seconds`,
        counter: `${host} sm-mta[901]: 527IrMXx000901: rejecting commands from host.example.org [192.0.2.7] due to load`,
      },
      {
        name: 'names-asked',
        tokens: [
          queueId,
          ...client,
          literal(': '),
          choice('EXPN ', 'expn ', 'VRFY ', 'vrfy '),
          word,
          literal(' [rejected]'),
        ],
        sample: `${host} sm-mta[901]: 527IrMXx000901: host.example.org [192.0.2.7]: EXPN root [rejected]`,
        counter: `${host} sm-mta[901]: 527IrMXx000901: host.example.org [192.0.2.7]: EXPN root`,
      },
      {
        name: 'nothing-issued',
        modes: ['extra', 'aggressive'],
        tokens: [queueId, ...client, literal(' did not issue '), word, literal(' during connection')],
        sample: `${host} sm-mta[901]: 527IrMXx000901: host.example.org [192.0.2.7] (may be forged) did not issue MAIL/EXPN/VRFY/ETRN during connection to MTA`,
        counter: `${host} sm-mta[901]: 527IrMXx000901: host.example.org [192.0.2.7] did nothing`,
      },
      {
        name: 'connection-lost',
        modes: lost,
        tokens: [
          queueId,
          literal('lost input channel from '),
          ...client,
          literal(' to '),
          word,
          literal(' after rcpt'),
        ],
        sample: `${host} sm-mta[901]: 527IrMXx000901: lost input channel from host.example.org [192.0.2.7] to MTA-v4 after rcpt`,
        counter: `${host} sm-mta[901]: 527IrMXx000901: lost input channel from host.example.org [192.0.2.7] to MTA-v4 after data`,
      },
      {
        name: 'recipient-unknown',
        tokens: [
          ...message,
          literal('<'),
          until('@> \t'),
          literal('@'),
          until('> \t'),
          literal('>... '),
          choice('No such user here', 'User unknown'),
          ...lineEnd,
        ],
        sample: `${host} sm-mta[901]: 527IrMXx000901: <b@example.net>... User unknown`,
        counter: `${host} sm-mta[901]: 527IrMXx000901: <b@example.net>... Recipient ok`,
      },
      {
        name: 'message-end',
        effect: { kind: 'context', ends: true },
        tokens: [...message, literal('from=<'), textToLast(), literal(', relay='), ...client, ...lineEnd],
        sample: `${host} sm-mta[901]: 527IrMXx000901: from=<a@example.org>, size=108, class=0, nrcpts=0, proto=ESMTP, daemon=MTA-v4, relay=[192.0.2.7]`,
        counter: `${host} sm-mta[901]: 527IrMXx000901: to=<b@example.net>, delay=00:00:01, relay=local, stat=Sent`,
      },
    ],
  },
];
