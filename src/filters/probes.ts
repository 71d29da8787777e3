/**
 * What robots ask a web server for when they look for something to break into: lists that several web filters share.
 * Each entry begins a path; what follows it does not matter. Names of programs and files, in the spelling they have.
 */
import type { Token } from '../compiler/pattern.ts';
import { choice, literal, optional } from './tokens.ts';

/** Web mail, database consoles, blog log-ins and script folders, where they are usually installed. */
export const probedApplications = [
  'roundcube',
  'extmail',
  'mail',
  'horde',
  'v-webmail',
  'vwebmail',
  'webmail',
  ...['', 'typo3/', 'xampp/', 'admin/'].flatMap((folder) =>
    ['pma', 'phpmyadmin', 'phpMyAdmin', 'phpmyAdmin', 'phpMyadmin', 'myadmin', 'MyAdmin', 'myAdmin', 'Myadmin'].map(
      (console) => folder + console,
    ),
  ),
  'wp-login.php',
  'wp-signup.php',
  'wp-admin.php',
  'cgi-bin',
  'mysqladmin',
];

/** One of them, after a doubled slash or none. */
export const probedPathTokens: Token[] = [optional(literal('/')), choice(...probedApplications)];
