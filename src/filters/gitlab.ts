/**
 * GitLab's application.log (app/controllers/sessions_controller.rb): `time: Failed Login:
 * username=U ip=A`, with the time in words up to release 11. In application_json.log the same
 * message is the last field, and quotes and backslashes in U are escaped. The client chooses U. The
 * address stands at the end of the message, so it is read from there.
 */
import type { Filter, Token } from '../compiler/pattern.ts';
import { either, ip, lineEnd, literal, optional, repeat, run, some, time, until, userToLast } from './tokens.ts';

/** `March 04, 2025 05:06: ` */
const timeInWords: Token = optional(
  some('alpha', 9),
  literal(' '),
  some('digit', 2),
  literal(', '),
  some('digit', 4),
  literal(' '),
  run('0123456789:'),
  literal(' '),
);

/** A field of the JSON log whose value holds no escapes. */
const field: Token[] = [
  literal('"'),
  until('":\\'),
  literal('":'),
  either([literal('"'), until('"\\', 0), literal('"')], [some('word', 32)]),
  literal(','),
];

export const gitlab: Filter = {
  name: 'gitlab',
  about: 'GitLab: failed logins',
  prefixes: ['time', 'bare'],
  patterns: [
    {
      name: 'login-failed',
      tokens: [timeInWords, literal('Failed Login: username='), userToLast(), literal(' ip='), ip, ...lineEnd],
      sample: '2025-03-04T05:06:07.123Z: Failed Login: username=alice ip=192.0.2.7',
      counter: '2025-03-04T05:06:07.123Z: Successful Login: username=alice ip=192.0.2.7 method=standard admin=false',
    },
    {
      name: 'login-failed-json',
      tokens: [
        literal('{"severity":"'),
        some('word', 16),
        literal('","time":"'),
        time,
        literal('",'),
        repeat(32, ...field),
        literal('"message":"Failed Login: username='),
        userToLast(),
        literal(' ip='),
        ip,
        literal('"}'),
        ...lineEnd,
      ],
      sample:
        '{"severity":"INFO","time":"2025-03-04T05:06:07.123Z","correlation_id":"01JNF2","message":"Failed Login: username=alice ip=192.0.2.7"}',
      counter:
        '{"severity":"INFO","time":"2025-03-04T05:06:07.123Z","correlation_id":"01JNF2","message":"Successful Login: username=alice ip=192.0.2.7 method=standard admin=false"}',
    },
  ],
};
