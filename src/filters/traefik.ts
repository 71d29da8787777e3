/**
 * Traefik's access log in the common format (pkg/middlewares/accesslog): `A - U [time] "METHOD PATH PROTOCOL" status …`.
 * The address stands first. Modes as fail2ban has them: `normal` counts a refused user name, `ddos` a refusal without
 * one (which is also how a browser's first request looks), `aggressive` both.
 */
import type { Filter, Token } from '../compiler/pattern.ts';
import { ip, literal, some, textToFirst, time, userToFirst } from './tokens.ts';

const refused: Token[] = [
  literal(' ['),
  time,
  literal('] "'),
  some('nonspace', 32),
  literal(' '),
  textToFirst(),
  literal('" 401 '),
];

export const traefik: Filter = {
  name: 'traefik-auth',
  about: 'Traefik: wrong user or password for basic or digest authentication',
  prefixes: ['bare'],
  modes: ['normal', 'ddos', 'aggressive'],
  ignore: [
    {
      name: 'no-user',
      modes: ['normal'],
      tokens: [ip, literal(' - - [')],
      sample: '192.0.2.7 - - [04/Mar/2025:05:06:07 +0000] "GET / HTTP/2.0" 401 17 "-" "-" 1 "a" "-" 0ms',
      counter: '192.0.2.7 - alice [04/Mar/2025:05:06:07 +0000] "GET / HTTP/2.0" 401 17 "-" "-" 1 "a" "-" 0ms',
    },
  ],
  patterns: [
    {
      name: 'refused-without-user',
      modes: ['ddos', 'aggressive'],
      tokens: [ip, literal(' - -'), ...refused],
      sample: '192.0.2.7 - - [04/Mar/2025:05:06:07 +0000] "GET / HTTP/2.0" 401 17 "-" "-" 1 "a" "-" 0ms',
      counter: '192.0.2.7 - - [04/Mar/2025:05:06:07 +0000] "GET / HTTP/2.0" 200 401 "-" "-" 1 "a" "-" 0ms',
    },
    {
      name: 'user-refused',
      modes: ['normal', 'aggressive'],
      tokens: [ip, literal(' - '), userToFirst(), ...refused],
      sample: '192.0.2.7 - alice [04/Mar/2025:05:06:07 +0000] "GET / HTTP/2.0" 401 17 "-" "-" 1 "a" "-" 0ms',
      counter: '192.0.2.7 - alice [04/Mar/2025:05:06:07 +0000] "GET /401 HTTP/2.0" 200 401 "-" "-" 1 "a" "-" 0ms',
    },
  ],
};
