/**
 * MySQL, MariaDB and Percona (sql/auth, ER_ACCESS_DENIED_ERROR): `[Warning] Access denied for user
 * 'U'@'A' (using password: YES)`, behind the time stamps and thread numbers of MySQL 5.0 to 9.x and
 * MariaDB 5 to 11, in their own log or in syslog.
 *
 * The client chooses U and the name of a database, and both may hold quotes. Without a quote in
 * either, the line is read completely from the left and has one reading. A user name with quotes is
 * read from the right, and only from a line that ends in the server's own words about the password:
 * such a line names no database.
 */
import type { Filter, Token } from '../compiler/pattern.ts';
import {
  choice,
  either,
  ip,
  lineEnd,
  literal,
  optional,
  repeat,
  some,
  time,
  until,
  userToLast,
  userUntil,
} from './tokens.ts';

const gap = some('space', 8);

/**
 * `2025-03-04T05:06:07.008Z 8 [Note] [MY-010926] [Server] `. In syslog the time may be written
 * twice; from MySQL 5.7 on, all of this may be missing there.
 */
const head: Token[] = [
  optional(time, gap),
  optional(some('digit', 20), gap),
  repeat(5, literal('['), until(']'), literal('] ')),
  literal("Access denied for user '"),
];

const usingPassword: Token[] = [literal('(using password: '), choice('YES', 'NO'), literal(')')];
/**
 * What MySQL 8 writes about an account that its administrator has locked, or that is blocked after
 * too many wrong passwords.
 */
const closed: Token[] = [
  literal('. Account is '),
  either(
    [literal('locked.')],
    [
      literal('blocked for '),
      some('word'),
      literal(' day(s) ('),
      some('word'),
      literal(' day(s) remaining) due to '),
      some('digit', 10),
      literal(' consecutive failed logins.'),
    ],
  ),
];
const toDatabase: Token[] = [literal("to database '"), until("'", 0), literal("'")];

export const mysqldAuth: Filter = {
  name: 'mysqld-auth',
  about: 'MySQL and MariaDB: wrong user or password',
  prefixes: ['time', 'syslog'],
  tags: ['mysqld', 'mysqld_safe', 'mysqld-*', 'mariadbd', 'mariadbd-*', 'mariadb', 'mysql'],
  patterns: [
    {
      name: 'access-denied',
      tokens: [
        ...head,
        userUntil("'", 0),
        literal("'@'"),
        ip,
        literal("'"),
        optional(...closed),
        optional(gap, either(usingPassword, toDatabase)),
        optional(gap, either(usingPassword, toDatabase)),
        ...lineEnd,
      ],
      sample:
        "2025-03-04T05:06:07.008123Z 8 [Note] [MY-010926] [Server] Access denied for user 'root'@'192.0.2.7' (using password: YES)",
      counter:
        "2025-03-04T05:06:07.008123Z 8 [Note] [MY-010926] [Server] Access denied for user 'a'@'198.51.100.9' (using password: NO)'@'192.0.2.7' (using password: YES)",
    },
    {
      name: 'access-denied-quoted-user',
      tokens: [...head, userToLast(), literal("'@'"), ip, literal("' "), ...usingPassword, ...lineEnd],
      sample:
        "Mar  4 05:06:07 db mysqld[811]: 2025-03-04 05:06:07 140123 [Warning] Access denied for user 'a'@'198.51.100.9'@'192.0.2.7' (using password: NO)",
      counter:
        "Mar  4 05:06:07 db mysqld[811]: 2025-03-04 05:06:07 140123 [Warning] Access denied for user 'a'b'@'192.0.2.7' to database 'x'@'198.51.100.9' (using password: NO)'",
    },
  ],
};
