/**
 * Traefik's access log (pkg/middlewares/accesslog) in the common format, `A - U [time] "METHOD PATH
 * PROTOCOL" status …`, and in JSON, whose keys are sorted. Of what the client chose, only text
 * escaped by JSON stands before the status, and nothing before the address. But in the common
 * format a user name is written as it came, line feeds too, and what stands behind one looks like a
 * line of its own; JSON has none of that. Modes as fail2ban has them: `normal` counts a refused
 * user name, `ddos` a refusal without one (which is also how a browser's first request looks),
 * `aggressive` both.
 */
import type { Filter, Token } from '../compiler/pattern.ts';
import { choice, ip, literal, optional, some, textToFirst, time, until, userToFirst } from './tokens.ts';

const refused: Token[] = [
  literal(' ['),
  time,
  literal('] "'),
  some('nonspace', 32),
  literal(' '),
  textToFirst(),
  literal('" 401 '),
];

/** Fields that the configuration may drop; it may not drop the address and the status. */
const field = (name: string): Token => optional(literal(`"${name}":"`), until('"', 0), literal('",'));

const jsonHead: Token[] = [
  literal('{'),
  field('ClientAddr'),
  literal('"ClientHost":"'),
  ip,
  literal('",'),
  field('ClientPort'),
  literal('"ClientUsername":"'),
];

const jsonRefused: Token[] = [
  literal('",'),
  optional(literal('"DownstreamContentSize":'), some('digit', 20), literal(',')),
  literal('"DownstreamStatus":401'),
  choice(',', '}'),
];

const json = (user: string, status: number): string =>
  `{"ClientAddr":"192.0.2.7:40122","ClientHost":"192.0.2.7","ClientPort":"40122","ClientUsername":"${user}","DownstreamContentSize":17,"DownstreamStatus":${status},"Duration":73911}`;

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
    {
      name: 'no-user-json',
      modes: ['normal'],
      tokens: [...jsonHead, literal('-"')],
      sample: json('-', 401),
      counter: json('alice', 401),
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
    {
      name: 'refused-without-user-json',
      modes: ['ddos', 'aggressive'],
      tokens: [...jsonHead, literal('-'), ...jsonRefused],
      sample: json('-', 401),
      counter: json('-', 404),
    },
    {
      name: 'user-refused-json',
      modes: ['normal', 'aggressive'],
      tokens: [...jsonHead, userToFirst(), ...jsonRefused],
      sample: json('alice', 401),
      counter: json('alice', 200),
    },
  ],
};
