/**
 * GitLab's application.log (app/controllers/sessions_controller.rb): `time: Failed Login: username=U ip=A`, and
 * application_json.log with the same message in a field, whose quotes are escaped. The address ends the message.
 */
import type { Filter } from '../compiler/pattern.ts';
import { ip, lineEnd, literal, userToLast } from './tokens.ts';

export const gitlab: Filter = {
  name: 'gitlab',
  about: 'GitLab: failed logins',
  prefixes: ['time'],
  patterns: [
    {
      name: 'login-failed',
      tokens: [literal('Failed Login: username='), userToLast(), literal(' ip='), ip, ...lineEnd],
      sample: '2025-03-04T05:06:07.123Z: Failed Login: username=alice ip=192.0.2.7',
      counter: '2025-03-04T05:06:07.123Z: Successful Login: username=alice ip=192.0.2.7 method=standard admin=false',
    },
  ],
};
