/**
 * What pam_unix writes of a failed login (Linux-PAM, modules/pam_unix/support.c): `logname= uid=
 * euid= tty= ruser=R rhost=A user=U`. R and, with pam_unix' option `audit`, U are what the client
 * typed: the address is the last `rhost=`, and a line in which `user=` stands before another
 * `rhost=` has two readings and is left out.
 */
import type { Pattern, Token } from '../compiler/pattern.ts';
import {
  any,
  choice,
  either,
  ip,
  lineEnd,
  literal,
  optional,
  repeat,
  some,
  textToFirst,
  textToLast,
  userUntil,
} from './tokens.ts';

const gap = some('space', 8);

/** `pam_unix(sshd:auth):`, `(pam_unix)` and the like, as releases since 2001 wrote it. */
export const pamUnix: Token[] = [optional(literal('(')), literal('pam_unix'), any('nonspace', 255), gap];

/** Up to the value of `ruser`. */
function pamHead(module: Token[]): Token[] {
  return [
    ...module,
    literal('authentication failure;'),
    repeat(4, gap, choice('logname=', 'uid=', 'euid=', 'tty='), any('nonspace')),
    gap,
    literal('ruser='),
  ];
}

/** `identifier`: of the samples. */
export function pamAmbiguous(module: Token[], identifier: string): Pattern {
  const head = `Mar  4 05:06:07 host ${identifier}: pam_unix(x:auth): authentication failure; logname= uid=0 euid=0 tty=x`;
  return {
    name: 'pam-ambiguous',
    tokens: [...pamHead(module), textToFirst(), literal(' user='), textToFirst(), literal(' rhost=')],
    sample: `${head} ruser=a rhost=192.0.2.7  user=b rhost=198.51.100.9`,
    counter: `${head} ruser=a rhost=198.51.100.9 rhost=192.0.2.7  user=b`,
  };
}

export function pamFailed(module: Token[], identifier: string): Pattern {
  const head = `Mar  4 05:06:07 host ${identifier}: pam_unix(x:auth):`;
  return {
    name: 'pam-failed',
    tokens: [
      ...pamHead(module),
      textToLast(),
      literal(' rhost='),
      ip,
      either([gap, literal('user='), userUntil('='), { kind: 'end' }], lineEnd),
    ],
    sample: `${head} authentication failure; logname= uid=0 euid=0 tty=ftp ruser=alice rhost=192.0.2.7  user=alice`,
    counter: `${head} check pass; user unknown`,
  };
}
