/**
 * vsftpd (logging.c, prelogin.c): `[pid N] [user] FAIL LOGIN: Client "A"`, perhaps with `, anon
 * password "…"` or `, "reason"` behind, in its own log or in syslog, and what PAM says of the same
 * login.
 *
 * User names, passwords of anonymous users and names of files are the client's, and vsftpd puts
 * them between brackets and quotes as they come. Read from the left, a name without `]` and exactly
 * one quoted text behind the address leave only one reading; a line that does not look like that is
 * not counted. Who writes such a name or password gains that this line is not counted; no account
 * has such a name, and a password stands there only for `anonymous`, so nobody guesses real
 * accounts unseen.
 *
 * PAM's word and vsftpd's own are about one attempt; `OK LOGIN` takes back what PAM's first module
 * refused.
 */
import type { Filter, Token } from '../compiler/pattern.ts';
import { pamAmbiguous, pamVerdicts } from './pam.ts';
import { either, ip, lineEnd, literal, optional, some, time, until, userUntil } from './tokens.ts';

/** Up to the result; no name, no brackets. */
const head: Token[] = [
  optional(time, literal(' ')),
  optional(literal('[pid '), some('digit', 10), literal('] ')),
  optional(literal('['), userUntil(']'), literal('] ')),
];

export const vsftpd: Filter = {
  name: 'vsftpd',
  about: 'vsftpd: failed logins, from its own log or from PAM',
  prefixes: ['time', 'syslog'],
  tags: ['vsftpd', 'vsftpd(pam_unix)'],
  connection: 'address',
  ignore: [pamAmbiguous('vsftpd')],
  patterns: [
    {
      name: 'login-failed',
      effect: { stage: 4 },
      tokens: [
        ...head,
        literal('FAIL LOGIN: Client "'),
        ip,
        literal('"'),
        either(
          [literal(', anon password "'), until('"', 0), literal('"'), ...lineEnd],
          [literal(', "'), until('"', 0), literal('"'), ...lineEnd],
          [optional(literal(']')), ...lineEnd],
        ),
      ],
      sample: 'Tue Mar  4 05:06:07 2025 [pid 811] [alice] FAIL LOGIN: Client "192.0.2.7"',
      counter:
        'Tue Mar  4 05:06:07 2025 [pid 811] [a] FAIL LOGIN: Client "198.51.100.9", "b] FAIL LOGIN: Client "192.0.2.7"',
    },
    {
      name: 'login',
      effect: { kind: 'context', gained: true },
      tokens: [...head, literal('OK LOGIN: Client "'), ip, literal('"')],
      sample: 'Tue Mar  4 05:06:07 2025 [pid 811] [alice] OK LOGIN: Client "192.0.2.7"',
      counter: 'Tue Mar  4 05:06:07 2025 [pid 811] [alice] OK UPLOAD: Client "192.0.2.7", "/x", 1.0Kbyte/sec',
    },
    ...pamVerdicts('vsftpd'),
  ],
};
