/** phpMyAdmin with syslog authentication log (libraries/classes/Logging.php): `user denied: U (status) from A`. */
import type { Filter } from '../compiler/pattern.ts';
import { ip, lineEnd, literal, userToLast } from './tokens.ts';

export const phpmyadmin: Filter = {
  name: 'phpmyadmin-syslog',
  about: 'phpMyAdmin: users that the database refused',
  prefixes: ['syslog'],
  tags: ['phpMyAdmin'],
  patterns: [
    {
      name: 'user-denied',
      tokens: [literal('user denied: '), userToLast(), literal(' (mysql-denied) from '), ip, ...lineEnd],
      sample: 'Mar  4 05:06:07 host phpMyAdmin[811]: user denied: alice (mysql-denied) from 192.0.2.7',
      counter: 'Mar  4 05:06:07 host phpMyAdmin[811]: user authenticated: alice from 192.0.2.7',
    },
  ],
};
