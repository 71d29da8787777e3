/**
 * Courier's IMAP and POP3 servers (imap/imaplogin.c, imap/pop3login.c): `LOGIN FAILED, user=…,
 * ip=[address]`, or with `method=`. Newer releases add `port=[…]`.
 *
 * The client chooses the user name, which may hold `, ip=[`. So the address is looked for from the
 * right, and no bracket may follow it but that of the port. courierlogger cuts a line at 511 bytes,
 * and a line that was cut may end in an address that the client chose. So the filter takes only
 * lines whose name and tail are so short that the line was not cut.
 */
import type { Filter, Token } from '../compiler/pattern.ts';
import { ip, literal, optional, some, textToLast, until, userToLast } from './tokens.ts';

const nameBytesMax = 384;

const address: Token[] = [
  literal('ip=['),
  ip,
  literal(']'),
  optional(literal(', port=['), some('digit', 5), literal(']')),
  until('[', 0, 32),
  { kind: 'end' },
];

export const courierAuth: Filter[] = [
  {
    name: 'courier-auth',
    about: 'Courier: failed IMAP and POP3 logins',
    prefixes: ['syslog'],
    tags: ['imap*', 'pop3*', 'courierimap*', 'courierpop3*'],
    patterns: [
      {
        name: 'user-refused',
        tokens: [literal('LOGIN FAILED, user='), userToLast(undefined, nameBytesMax), literal(', '), ...address],
        sample: 'Mar  7 18:53:22 mail imapd-ssl: LOGIN FAILED, user=alice, ip=[::ffff:192.0.2.7], port=[50022]',
        counter:
          'Mar  7 18:53:22 mail imapd-ssl: LOGIN, user=alice, ip=[::ffff:192.0.2.7], port=[50022], protocol=IMAP',
      },
      {
        name: 'login-refused',
        tokens: [literal('LOGIN FAILED, '), textToLast(undefined, nameBytesMax), ...address],
        sample: 'Mar  7 18:53:22 mail pop3d: LOGIN FAILED, method=CRAM-MD5, ip=[2001:db8::7]',
        counter: 'Mar  7 18:53:22 mail pop3d: LOGOUT, user=alice, ip=[192.0.2.7], top=0, retr=0',
      },
    ],
  },
];
