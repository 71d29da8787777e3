/**
 * sendmail (8.x), sendmail/srvrsmtp.c: failed SASL logins, and sendmail's own verdict that a client
 * tries too often. A client is written `name [address]` or `[IPv6:…]`, perhaps with `(may be
 * forged)`.
 *
 * The client chooses the user name. It stands left of `relay=`, which ends the line, so the line is
 * read from the right.
 */
import type { Filter, Token } from '../compiler/pattern.ts';
import { choice, ip, lineEnd, literal, optional, some, textToFirst, textToLast, until, userToLast } from './tokens.ts';

const queueId = optional({ kind: 'span', of: { name: 'word' }, min: 7, max: 20 }, literal(': '));
const client: Token[] = [
  optional(until(' \t[,'), literal(' ')),
  choice('[IPv6:', '['),
  ip,
  literal(']'),
  optional(literal(' (may be forged)')),
];
const failure: Token[] = [
  queueId,
  literal('AUTH failure ('),
  until(')'),
  literal('): '),
  choice('authentication failure', 'user not found'),
];
const relay: Token[] = [literal(', relay='), ...client, ...lineEnd];
const host = 'Mar  7 18:53:22 mail';

export const sendmailAuth: Filter[] = [
  {
    name: 'sendmail-auth',
    about: 'sendmail: failed SASL logins',
    prefixes: ['syslog'],
    tags: ['sendmail', 'sm-*'],
    patterns: [
      {
        name: 'user-refused',
        tokens: [...failure, textToFirst(), literal(', user='), userToLast(), ...relay],
        sample: `${host} sm-mta[901]: 527IrMXx000901: AUTH failure (LOGIN): authentication failure (-13) SASL(-13): authentication failure: checkpass failed, user=alice, relay=host.example.org [192.0.2.7]`,
        counter: `${host} sm-mta[901]: 527IrMXx000901: AUTH failure (LOGIN): generic failure (-1) SASL(-1): generic failure: checkpass failed, user=alice, relay=host.example.org [192.0.2.7]`,
      },
      {
        name: 'login-refused',
        tokens: [...failure, textToLast(), ...relay],
        sample: `${host} sendmail[901]: 527IrMXx000901: AUTH failure (CRAM-MD5): user not found (-20) SASL(-13): user not found: no secret in database, relay=[IPv6:2001:db8::7]`,
        counter: `${host} sendmail[901]: 527IrMXx000901: AUTH failure (CRAM-MD5): user not found (-20) SASL(-13): user not found: no secret in database`,
      },
      {
        name: 'attack',
        tokens: [
          queueId,
          ...client,
          literal(': possible SMTP attack: command=AUTH, count='),
          some('digit', 10),
          ...lineEnd,
        ],
        sample: `${host} sm-mta[901]: 527IrMXx000901: host.example.org [192.0.2.7] (may be forged): possible SMTP attack: command=AUTH, count=5`,
        counter: `${host} sm-mta[901]: 527IrMXx000901: host.example.org [192.0.2.7]: possible SMTP attack: command=HELO/EHLO, count=5`,
      },
    ],
  },
];
