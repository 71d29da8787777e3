/**
 * phpMyAdmin with syslog authentication log (libraries/classes/Logging.php): `user denied: U
 * (status) from A`.
 */
import type { Filter } from '../compiler/pattern.ts';
import { choice, ip, lineEnd, literal, userToLast } from './tokens.ts';

/** By the database, by the rules for users and hosts, for being root, for having no password. */
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
