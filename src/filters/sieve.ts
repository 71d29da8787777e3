/**
 * Cyrus timsieved (timsieved/parser.c): a ManageSieve login with a wrong password. `badlogin: name
 * [address] mechanism error`; older releases write no blank before the bracket. Left of the address
 * stands only the reverse DNS name of the client.
 */
import type { Filter } from '../compiler/pattern.ts';
import { ip, lineEnd, literal, optional, some, until } from './tokens.ts';

const services = ['sieve', 'sieved', 'timsieve', 'timsieved', 'managesieve'];

export const sieve: Filter[] = [
  {
    name: 'sieve',
    about: 'Cyrus timsieved: failed ManageSieve logins',
    prefixes: ['syslog'],
    tags: [...services, ...services.map((service) => `cyrus/${service}`)],
    patterns: [
      {
        name: 'login-failed',
        tokens: [
          literal('badlogin: '),
          optional(until(' \t['), optional(literal(' '))),
          literal('['),
          ip,
          literal('] '),
          some('nonspace', 64),
          literal(' authentication failure'),
          optional(literal(']')),
          ...lineEnd,
        ],
        sample:
          'Mar  7 18:53:22 mail cyrus/sieve[901]: badlogin: host.example.org [192.0.2.7] PLAIN authentication failure',
        counter:
          'Mar  7 18:53:22 mail cyrus/sieve[901]: badlogin: host.example.org [192.0.2.7] PLAIN no mechanism available',
      },
    ],
  },
];
