/**
 * Webmin and Usermin (miniserv.pl), through syslog: `Invalid login as U from A`. The client chooses
 * U. A ends the line, so it is read from the right. Webmin decides what A is: it writes the address
 * from X-Forwarded-For unless its configuration says otherwise.
 */
import type { Filter } from '../compiler/pattern.ts';
import { choice, ip, lineEnd, literal, userToLast } from './tokens.ts';

export const webmin: Filter = {
  name: 'webmin-auth',
  about: 'Webmin: failed logins',
  prefixes: ['syslog'],
  tags: ['webmin', 'usermin'],
  patterns: [
    {
      name: 'login-failed',
      tokens: [choice('Invalid login as ', 'Non-existent login as '), userToLast(), literal(' from '), ip, ...lineEnd],
      sample: 'Mar  4 05:06:07 host webmin[811]: Invalid login as alice from 192.0.2.7',
      counter: 'Mar  4 05:06:07 host webmin[811]: Successful login as alice from 192.0.2.7',
    },
  ],
};
