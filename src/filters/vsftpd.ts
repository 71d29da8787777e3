/**
 * vsftpd (logging.c, prelogin.c): `[pid N] [user] FAIL LOGIN: Client "A"`, perhaps followed by `,
 * anon password "…"` or `, "reason"`, in its own log or in syslog; and what PAM writes about the
 * same login.
 *
 * The client chooses user names, the passwords of anonymous users and the names of files. vsftpd
 * writes them between brackets and quotes without escaping them. The line is read from the left: a
 * name without `]`, and at most one quoted text behind the address. Then the line has only one
 * reading. A line of any other form is not counted. That is safe: no account has a name with `]`,
 * and a password stands in the line only for `anonymous`. So nobody can guess the password of a
 * real account without being counted.
 *
 * The line of PAM and the line of vsftpd are about one attempt. `OK LOGIN` takes back what PAM's
 * first module refused.
 */
import type { Filter, Token } from '../compiler/pattern.ts';
import { pamAmbiguous, pamVerdicts } from './pam.ts';
import { either, ip, lineEnd, literal, optional, some, time, until, userUntil } from './tokens.ts';

/** Everything up to the result. The name may be missing with its brackets. */
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
