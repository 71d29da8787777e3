/**
 * Cyrus IMAP and POP3 (imap/imapd.c, imap/pop3d.c, 2.x to 3.10): `badlogin: name [address]
 * mechanism (user) [SASL error]`. Which of the brackets are written changed between releases. Only
 * a wrong user or password counts: SASL_BADAUTH (-13), the words of SASL_BADAUTH where SASL gives
 * no number, and a name that is not valid.
 *
 * Only the reverse DNS name stands left of the address. The user name stands right of it and
 * decides nothing.
 */
import type { Filter, Token } from '../compiler/pattern.ts';
import { choice, ip, lineEnd, literal, optional, some, textToFirst, textToLast, until } from './tokens.ts';

const services = [
  'imap',
  'imapd',
  'imaps',
  'pop3',
  'pop3d',
  'pop3s',
  'http',
  'httpd',
  'https',
  'nntp',
  'nntpd',
  'nntps',
];
const client: Token[] = [literal('badlogin: '), until('[', 0), literal('['), ip, literal('] '), some('nonspace', 64)];

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
          ...client,
          textToFirst(),
          literal('SASL(-13): '),
          choice('authentication failure: ', 'user not found: '),
        ],
        sample:
          'Mar  7 18:53:22 mail cyrus/imaps[901]: badlogin: host.example.org [192.0.2.7] plaintext (alice) [SASL(-13): authentication failure: checkpass failed]',
        counter:
          'Mar  7 18:53:22 mail cyrus/imaps[901]: badlogin: host.example.org [192.0.2.7] plaintext (alice) [SASL(-14): authorization failure: no access]',
      },
      {
        // A mechanism fails in POP3: Cyrus does not write SASL's own words.
        name: 'mechanism-failed',
        tokens: [...client, literal(' authentication failure'), optional(literal(']')), ...lineEnd],
        sample:
          'Mar  7 18:53:22 mail cyrus/pop3[901]: badlogin: host.example.org [192.0.2.7] PLAIN authentication failure',
        counter: 'Mar  7 18:53:22 mail cyrus/pop3[901]: badlogin: host.example.org [192.0.2.7] PLAIN generic failure',
      },
      {
        name: 'user-invalid',
        tokens: [...client, literal(' '), textToLast(), literal('invalid user'), ...lineEnd],
        sample: 'Mar  7 18:53:22 mail cyrus/imap[901]: badlogin: [192.0.2.7] plaintext a%b invalid user',
        counter: 'Mar  7 18:53:22 mail cyrus/imap[901]: badlogin: [192.0.2.7] anonymous login refused',
      },
      {
        // The newest releases write key=value pairs (imap/loginlog.c).
        name: 'login-bad',
        tokens: [
          literal('event=login.bad r.clienthost='),
          until('[', 0),
          literal('['),
          ip,
          literal(']'),
          textToFirst(),
          literal(' error='),
          optional(literal('"')),
          choice(
            'SASL(-13): authentication failure: ',
            'SASL(-13): user not found: ',
            'authentication failure',
            'invalid user',
          ),
        ],
        sample:
          'Mar  7 18:53:22 mail cyrus/imap[901]: event=login.bad r.clienthost="host.example.org [192.0.2.7]" u.username=alice login.mech=plaintext error="SASL(-13): authentication failure: checkpass failed"',
        counter:
          'Mar  7 18:53:22 mail cyrus/imap[901]: event=login.good r.clienthost="host.example.org [192.0.2.7]" u.username=alice login.mech=plaintext login.tls=1',
      },
    ],
  },
];
