/**
 * Dante's SOCKS server (sockd; danted in Debian), lib/log.c and sockd/sockd_io.c: `A.PORT B.PORT:
 * what went wrong`. The client chooses nothing that stands before the address.
 *
 * A user that does not exist and a wrong password count. A client that offers no authentication
 * method that Dante accepts does not count: it has not tried to log in.
 */
import type { Filter } from '../compiler/pattern.ts';
import { choice, ipPort, literal, some, until, userUntil } from './tokens.ts';

const host = 'Mar  4 05:06:07 proxy danted[811]:';

export const dante: Filter = {
  name: 'dante',
  about: 'Dante SOCKS server: wrong passwords and users that do not exist',
  prefixes: ['syslog'],
  tags: ['danted', 'sockd'],
  patterns: [
    {
      name: 'login-failed',
      tokens: [
        literal('info: block('),
        some('digit', 9),
        literal('): tcp/accept ]: '),
        ipPort,
        literal(' '),
        until(' ', 1, 64),
        literal(' error after reading '),
        some('digit', 9),
        choice(' bytes in ', ' byte in '),
        some('digit', 9),
        choice(' seconds: ', ' second: '),
        choice('could not access', 'system password authentication failed for', 'pam_authenticate() for'),
        literal(' user "'),
        userUntil('"'),
      ],
      sample: `${host} info: block(1): tcp/accept ]: 192.0.2.7.40122 203.0.113.4.1080: error after reading 18 bytes in 0 seconds: system password authentication failed for user "alice"`,
      counter: `${host} info: block(1): tcp/accept ]: 192.0.2.7.40122 203.0.113.4.1080: error after reading 3 bytes in 0 seconds: client offered no acceptable authentication method`,
    },
  ],
};
