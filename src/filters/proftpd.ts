/**
 * ProFTPD (src/log.c, modules/mod_auth.c, contrib/mod_sftp): `[vhost ](client name[address])`, then
 * a colon in its own log or ` - ` in syslog, then the message. User names stand behind the address,
 * so they cannot forge it. The owner of the client's network chooses the client's name in the DNS;
 * the filter accepts no blank, parenthesis or bracket in it.
 *
 * A process serves one session. The line that says that it failed too often belongs to attempts
 * that were counted already.
 */
import type { Filter, Token } from '../compiler/pattern.ts';
import { choice, ip, literal, optional, run, some, until, userToFirst } from './tokens.ts';

/** Everything up to the message. */
const head: Token[] = [
  optional(until(' ()[]'), literal(' ')),
  literal('('),
  until(' ()[]'),
  literal('['),
  ip,
  literal('])'),
  run(': -'),
];

const host = 'Mar  4 05:06:07 files';

export const proftpd: Filter = {
  name: 'proftpd',
  about: 'ProFTPD: failed logins over FTP and SFTP, refused root logins, too many attempts',
  prefixes: ['syslog'],
  tags: ['proftpd', 'session'],
  connection: 'process',
  patterns: [
    {
      name: 'login-failed',
      effect: { stage: 4 },
      tokens: [
        ...head,
        choice('USER ', 'ANON '),
        userToFirst(),
        choice(' (Login failed): ', ': '),
        choice(
          'User not authorized for login',
          'user not authorized for login',
          'No such user found',
          'no such user found',
          'Incorrect password',
          'incorrect password',
          'Password expired',
          'password expired',
          'Account disabled',
          'account disabled',
          "Invalid shell: '",
          "invalid shell: '",
          'User in ',
          'user in ',
          'Limit access denies login',
          'limit access denies login',
          'Limit configuration denies login',
          'limit configuration denies login',
          'Insufficient credentials',
          'Max authentication service attempts reached',
          'user is not a UserAlias',
          'Not a UserAlias',
          'not a UserAlias',
          'Maximum login length exceeded',
          'maximum login length exceeded',
          'maximum USER length exceeded',
        ),
      ],
      sample: `${host} proftpd[811]: ftp.example.org (198-51-100-9.example.net[198.51.100.9]) - USER alice (Login failed): Incorrect password`,
      counter: `${host} proftpd[811]: ftp.example.org (198-51-100-9.example.net[198.51.100.9]) - USER alice: Login successful.`,
    },
    {
      name: 'empty-password',
      effect: { stage: 4 },
      tokens: [...head, literal("Refusing empty password from user '"), userToFirst(), literal("'")],
      sample: `${host} proftpd[811]: ftp.example.org (198.51.100.9[198.51.100.9]) - Refusing empty password from user 'alice'`,
      counter: `${host} proftpd[811]: ftp.example.org (198.51.100.9[198.51.100.9]) - client-provided password size exceeds MaxPasswordSize (1024), rejecting`,
    },
    {
      name: 'violation',
      effect: { stage: 4 },
      tokens: [...head, literal('SECURITY VIOLATION: '), userToFirst(), literal(' login attempted')],
      sample: `${host} proftpd[811]: ftp.example.org (198.51.100.9[198.51.100.9]) - SECURITY VIOLATION: Root login attempted`,
      counter: `${host} proftpd[811]: ftp.example.org (198.51.100.9[198.51.100.9]) - SECURITY VIOLATION: Passive connection from 192.0.2.7 rejected.`,
    },
    {
      name: 'too-many-attempts',
      effect: { stage: 5, ends: true },
      tokens: [...head, literal('Maximum login attempts ('), some('digit', 10), literal(') exceeded')],
      sample: `${host} proftpd[811]: ftp.example.org (2001:db8::9[2001:db8::9]) - Maximum login attempts (3) exceeded, connection refused`,
      counter: `${host} proftpd[811]: ftp.example.org (2001:db8::9[2001:db8::9]) - FTP no transfer timeout, disconnected`,
    },
  ],
};
