/**
 * Grafana's log in key=value form; a value with blanks is quoted and its quotes escaped. Until 8 a
 * line begins with its time, from 9 on with its logger. From 10 on the failure is said only in the
 * line of the request.
 */
import type { Filter, Token } from '../compiler/pattern.ts';
import {
  any,
  choice,
  either,
  ip,
  lineEnd,
  literal,
  optional,
  repeat,
  some,
  textToFirst,
  textToLast,
  time,
  until,
} from './tokens.ts';

const context: Token[] = [
  literal('logger=context '),
  optional(literal('traceID='), any('word', 64), literal(' ')),
  literal('userId='),
  some('digit', 20),
  literal(' orgId='),
  some('digit', 20),
  literal(' uname='),
  until(' ', 0),
  literal(' t='),
  time,
];

/** What the client asked for: quoted where it holds a blank or a quote, and its quotes escaped. */
const path: Token = either(
  [literal('"'), repeat(64, until('"\\', 0), choice('\\"', '\\\\', '\\')), until('"\\', 0), literal('"')],
  [until('" ')],
);

const invalid: Token[] = [
  literal(' msg="Invalid username or password"'),
  textToLast(),
  literal(' remote_addr='),
  ip,
  optional(literal(' traceID='), any('word', 64)),
  ...lineEnd,
];

export const grafana: Filter = {
  name: 'grafana',
  about: 'Grafana: failed logins',
  prefixes: ['bare', 'syslog'],
  tags: ['grafana', 'grafana-server'],
  patterns: [
    {
      name: 'login-failed',
      tokens: [literal('t='), time, optional(choice(' lvl=eror', ' lvl=error', ' level=error')), ...invalid],
      sample:
        't=2025-03-04T05:06:07+0100 lvl=eror msg="Invalid username or password" logger=context userId=0 orgId=0 uname= error="Invalid Username or Password" remote_addr=192.0.2.7',
      counter:
        't=2025-03-04T05:06:07+0100 lvl=info msg="Successful Login" logger=http.server User=alice@example.org remote_addr=192.0.2.7',
    },
    {
      name: 'login-failed-context-first',
      tokens: [...context, choice(' lvl=eror', ' level=error'), ...invalid],
      sample:
        'logger=context userId=0 orgId=0 uname= t=2025-03-04T05:06:07.123456789Z level=error msg="Invalid username or password" error="invalid username or password" remote_addr=192.0.2.7 traceID=',
      counter:
        'logger=context userId=0 orgId=0 uname= t=2025-03-04T05:06:07.123456789Z level=info msg="Request Completed" method=GET path=/ status=200 remote_addr=192.0.2.7',
    },
    {
      name: 'login-request-refused',
      tokens: [
        ...context,
        literal(' level=info msg="Request Completed" method=POST path='),
        path,
        literal(' status=401 remote_addr='),
        ip,
        textToFirst(),
        literal(' errorMessageID=password-auth.failed'),
      ],
      sample:
        'logger=context userId=0 orgId=0 uname= t=2025-03-04T05:06:07.123456789Z level=info msg="Request Completed" method=POST path=/login status=401 remote_addr=192.0.2.7 time_ms=15 size=94 referer= handler=/login errorReason=Unauthorized errorMessageID=password-auth.failed error="user not found"',
      counter:
        'logger=context userId=0 orgId=0 uname= t=2025-03-04T05:06:07.123456789Z level=info msg="Request Completed" method=POST path=/login status=200 remote_addr=192.0.2.7 time_ms=15 size=94 referer= handler=/login',
    },
  ],
};
