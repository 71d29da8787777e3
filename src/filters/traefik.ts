/**
 * Traefik's access log (pkg/middlewares/accesslog), in the common format, `A - U [time] "METHOD
 * PATH PROTOCOL" status …`, or in JSON, whose keys are sorted. The client chooses nothing before
 * the address.
 *
 * In JSON, all text of the client is escaped. In the common format a user name is written as it was
 * sent, even with line feeds, and the text behind a line feed looks like a line of its own: whoever
 * sends one can forge a line with any address. Use JSON to rule this out.
 *
 * The modes are fail2ban's. `normal`: refused user names. `ddos`: refusals without a user name (the
 * first request of a browser looks like that too). `aggressive`: both.
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

/** Fields that the configuration may leave out. Address and status must stay. */
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
