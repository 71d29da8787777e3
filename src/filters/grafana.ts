/**
 * Grafana's log in key=value form: a value with blanks is quoted, and quotes in it are escaped. Up
 * to release 8 a line begins with its time, from 9 on with its logger. From 10 on, only the line of
 * the request reports the failure, by a message id. The same lines can also be written as JSON.
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
  run,
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
];
const timedContext: Token[] = [...context, literal(' t='), time];

const escaped = repeat(64, until('"\\', 0), choice('\\"', '\\\\', '\\'));
/**
 * The path that the client asked for: quoted if it holds a blank or a quote, with its quotes
 * escaped. A path with more than 256 quotes and backslashes does not match: Grafana has no page of
 * such a name.
 */
const path: Token = either(
  [literal('"'), escaped, escaped, escaped, escaped, until('"\\', 0), literal('"')],
  [until('" ')],
);

/** Grafana's ids for a wrong password, the same at the login page, the API and the proxy. */
const failures = ['password-auth.failed', 'password-auth.invalid', 'password-auth.empty'];
/**
 * Until release 10 a wrong password was answered as a bad request (400). A Referer that is no URL
 * makes the line a warning.
 */
const request: Token[] = [
  literal(' method='),
  some('alpha', 16),
  literal(' path='),
  path,
  choice(' status=401', ' status=400'),
  literal(' remote_addr='),
  ip,
  textToFirst(),
  choice(...failures.map((id) => ` errorMessageID=${id}`)),
];
/** The keys that follow the address in JSON. */
const ownFields = ['size', 'status_source', 'status', 'time_ms', 'traceID', 't', 'uname', 'userId'];

const ownAddress: Token[] = [
  textToLast(),
  literal('"remote_addr":"'),
  ip,
  literal('"'),
  repeat(
    16,
    choice(...ownFields.map((name) => `,"${name}":`)),
    either([literal('"'), until('"\\', 0), literal('"')], [run('0123456789.-')]),
  ),
  literal('}'),
  ...lineEnd,
];

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
      tokens: [...timedContext, choice(' lvl=eror', ' level=error'), ...invalid],
      sample:
        'logger=context userId=0 orgId=0 uname= t=2025-03-04T05:06:07.123456789Z level=error msg="Invalid username or password" error="invalid username or password" remote_addr=192.0.2.7 traceID=',
      counter:
        'logger=context userId=0 orgId=0 uname= t=2025-03-04T05:06:07.123456789Z level=info msg="Request Completed" method=GET path=/ status=200 remote_addr=192.0.2.7',
    },
    {
      name: 'login-request-refused',
      tokens: [
        ...timedContext,
        choice(' level=info', ' level=warn', ' lvl=info', ' lvl=warn'),
        literal(' msg="Request Completed"'),
        ...request,
      ],
      sample:
        'logger=context userId=0 orgId=0 uname= t=2025-03-04T05:06:07.123456789Z level=info msg="Request Completed" method=POST path=/login status=401 remote_addr=192.0.2.7 time_ms=15 size=94 referer= handler=/login errorReason=Unauthorized errorMessageID=password-auth.failed error="user not found"',
      counter:
        'logger=context userId=0 orgId=0 uname= t=2025-03-04T05:06:07.123456789Z level=info msg="Request Completed" method=POST path=/login status=200 remote_addr=192.0.2.7 time_ms=15 size=94 referer= handler=/login',
    },
    {
      // Written if standard output is a terminal, as in a container with a `tty`.
      name: 'login-request-refused-console',
      tokens: [
        choice('INFO', 'WARN'),
        any('space', 1),
        literal('['),
        until(']', 0, 32),
        literal('] Request Completed'),
        any('space', 64),
        ...context,
        ...request,
      ],
      sample:
        'INFO [03-04|05:06:07] Request Completed                        logger=context userId=0 orgId=0 uname= method=POST path=/login status=401 remote_addr=192.0.2.7 time_ms=15 size=94 referer= handler=/login errorReason=Unauthorized errorMessageID=password-auth.failed error="user not found"',
      counter:
        'INFO [03-04|05:06:07] Request Completed                        logger=context userId=0 orgId=0 uname= method=POST path=/login status=200 remote_addr=192.0.2.7 time_ms=15 size=94 referer= handler=/login',
    },
    {
      name: 'login-failed-json',
      tokens: [literal('{'), textToFirst(), literal('"msg":"Invalid username or password"'), ...ownAddress],
      sample:
        '{"error":"invalid username or password","level":"error","logger":"context","msg":"Invalid username or password","orgId":0,"remote_addr":"192.0.2.7","t":"2025-03-04T05:06:07.12Z","traceID":"","uname":"","userId":0}',
      counter:
        '{"level":"info","logger":"context","msg":"Successful Login","orgId":0,"remote_addr":"192.0.2.7","t":"2025-03-04T05:06:07.12Z","uname":"","userId":0}',
    },
    {
      // The keys are sorted and quotes are escaped. So only Grafana's own fields stand behind the
      // address.
      name: 'login-request-refused-json',
      tokens: [literal('{'), textToFirst(), choice(...failures.map((id) => `"errorMessageID":"${id}"`)), ...ownAddress],
      sample:
        '{"errorMessageID":"password-auth.failed","errorReason":"Unauthorized","level":"info","logger":"context","method":"POST","msg":"Request Completed","path":"/login","remote_addr":"192.0.2.7","status":401,"t":"2026-03-04T05:06:07.281472211Z","uname":""}',
      counter:
        '{"level":"info","logger":"context","method":"POST","msg":"Request Completed","path":"/\\"errorMessageID\\":","remote_addr":"192.0.2.7","status":401,"t":"2026-03-04T05:06:07.281472211Z","uname":""}',
    },
  ],
};
