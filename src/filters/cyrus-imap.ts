/**
 * Cyrus IMAP and POP3 (imap/imapd.c, imap/pop3d.c, 2.x to 3.10): `badlogin: name [address] mechanism (user) [SASL error]`;
 * which of the brackets are written changed between releases. Only errors of SASL_BADAUTH (-13) count.
 *
 * Left of the address stands nothing but the reverse DNS; the user name stands right of it and decides nothing.
 */
import type { Filter } from '../compiler/pattern.ts';
import { choice, ip, literal, some, textToFirst, until } from './tokens.ts';

const services = ['imap', 'imapd', 'imaps', 'pop3', 'pop3d', 'pop3s'];

export const cyrusImap: Filter[] = [
  {
    name: 'cyrus-imap',
    about: 'Cyrus: failed IMAP and POP3 logins',
    prefixes: ['syslog'],
    tags: [...services, ...services.map((service) => `cyrus/${service}`)],
    patterns: [
      {
        name: 'login-failed',
        tokens: [
          literal('badlogin: '),
          until('[', 0),
          literal('['),
          ip,
          literal('] '),
          some('nonspace', 64),
          textToFirst(),
          literal('SASL(-13): '),
          choice('authentication failure: ', 'user not found: '),
        ],
        sample:
          'Mar  7 18:53:22 mail cyrus/imaps[901]: badlogin: host.example.org [192.0.2.7] plaintext (alice) [SASL(-13): authentication failure: checkpass failed]',
        counter:
          'Mar  7 18:53:22 mail cyrus/imaps[901]: badlogin: host.example.org [192.0.2.7] plaintext (alice) [SASL(-14): authorization failure: no access]',
      },
    ],
  },
];
