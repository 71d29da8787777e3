/**
 * HAProxy's HTTP log (`option httplog`): `A:port [time] frontend backend/server timers status …`.
 * HAProxy itself writes all of it up to the status; the client chooses nothing there. A 401 that
 * came from no server (`<NOSRV>`) is one of HAProxy's own `http-request auth`.
 */
import type { Filter } from '../compiler/pattern.ts';
import { either, ip, ipPort, literal, run, some, until } from './tokens.ts';

export const haproxy: Filter = {
  name: 'haproxy-http-auth',
  about: 'HAProxy: wrong user or password for its own basic authentication',
  prefixes: ['syslog'],
  tags: ['haproxy'],
  patterns: [
    {
      name: 'refused-by-proxy',
      tokens: [
        either([ipPort], [ip]),
        literal(' ['),
        until(']'),
        literal('] '),
        some('nonspace'),
        literal(' '),
        until('< '),
        literal('<NOSRV> '),
        run('-0123456789/+'),
        literal(' 401 '),
      ],
      sample:
        'Mar  4 05:06:07 proxy haproxy[811]: 192.0.2.7:58430 [04/Mar/2025:05:06:07.608] www www/<NOSRV> -1/-1/-1/-1/0 401 248 - - PR-- 0/0/0/0/0 0/0 "GET / HTTP/1.1"',
      counter:
        'Mar  4 05:06:07 proxy haproxy[811]: 192.0.2.7:58430 [04/Mar/2025:05:06:07.608] www app/app1 0/0/1/2/3 401 248 - - ---- 0/0/0/0/0 0/0 "GET /<NOSRV> HTTP/1.1"',
    },
  ],
};
