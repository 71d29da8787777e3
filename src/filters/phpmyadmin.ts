/**
 * phpMyAdmin with its authentication log in syslog (libraries/classes/Logging.php): `user denied: U
 * (status) from A`. The client chooses U. The address ends the line, so it is read from the right.
 */
import type { Filter } from '../compiler/pattern.ts';
import { choice, ip, lineEnd, literal, userToLast } from './tokens.ts';

/** Refused by the database, by the rules for users and hosts, as root, for an empty password. */
const denials = ['mysql', 'allow', 'root', 'empty'].map((who) => ` (${who}-denied) from `);

export const phpmyadmin: Filter = {
  name: 'phpmyadmin-syslog',
  about: 'phpMyAdmin: users that the database, or its own rules, refused',
  prefixes: ['syslog'],
  tags: ['phpMyAdmin'],
  patterns: [
    {
      name: 'user-denied',
      tokens: [literal('user denied: '), userToLast(), choice(...denials), ip, ...lineEnd],
      sample: 'Mar  4 05:06:07 host phpMyAdmin[811]: user denied: alice (mysql-denied) from 192.0.2.7',
      counter: 'Mar  4 05:06:07 host phpMyAdmin[811]: user authenticated: alice from 192.0.2.7',
    },
  ],
};
