/**
 * What PAM's modules write about a failed login (Linux-PAM, modules/pam_unix/support.c; SSSD,
 * pam_ldap and others write the same): `logname= uid= euid= tty= ruser=R rhost=A user=U`.
 *
 * The client chooses R and, with the option `audit` of pam_unix, U. So the address is the last
 * `rhost=`. A line in which `user=` stands before another `rhost=` has two readings and is not
 * counted. That is safe: only a name with ` rhost=` in it makes such a line, and no account has
 * such a name. So nobody can guess the password of a real account without being counted.
 *
 * The refusal of one module is not yet a failure, because the next module may accept (pam_unix does
 * not know the users that pam_sss knows). So these patterns are tentative (engine/attempts.ts): a
 * success takes them back, and the service's own refusal counts as the same attempt.
 */
import type { Pattern, Token } from '../compiler/pattern.ts';
import {
  any,
  choice,
  ip,
  lineEnd,
  literal,
  optional,
  repeat,
  some,
  textToFirst,
  textToLast,
  userToLast,
  userUntil,
} from './tokens.ts';

const gap = some('space', 8);

/** `pam_unix(sshd:auth):`, `(pam_unix)` and similar, as releases since 2001 wrote it. */
const module = (name: string): Token[] => [optional(literal('(')), literal(name), any('nonspace', 255), gap];
/** Some systems write the message without the module, or with the module in the identifier. */
const pamUnix: Token[] = [optional(...module('pam_unix'))];
const anyModule: Token[] = [optional(...module('pam_'))];

/** Up to the value of `ruser`. */
const head = (of: Token[], verdict: string): Token[] => [
  ...of,
  literal(`authentication ${verdict};`),
  repeat(4, gap, choice('logname=', 'uid=', 'euid=', 'tty='), any('nonspace')),
  gap,
  literal('ruser='),
];
const user: Token[] = [gap, literal('user='), userUntil('='), { kind: 'end' }];

/** The two kinds of modules that may write about one attempt, in this order. */
function failures(name: string, of: Token[], stage: 1 | 2, line: (module: string, rest: string) => string): Pattern[] {
  const module = stage === 1 ? 'pam_unix' : 'pam_sss';
  return [
    {
      name: `pam-${name}`,
      effect: { stage, tentative: true },
      tokens: [...head(of, 'failure'), textToLast(), literal(' rhost='), ip, ...user],
      sample: line(module, 'ruser=alice rhost=192.0.2.7  user=alice'),
      counter: line(module, 'ruser=alice rhost=192.0.2.7'),
    },
    {
      // The module does not know the name. `ruser` holds what the client typed, if the service
      // passes it on.
      name: `pam-${name}-unnamed`,
      effect: { stage, tentative: true },
      tokens: [...head(of, 'failure'), userToLast(), literal(' rhost='), ip, ...lineEnd],
      sample: line(module, 'ruser=alice rhost=192.0.2.7 '),
      counter: line(module, 'ruser=alice rhost=192.0.2.7  user=alice'),
    },
  ];
}

/**
 * Must be tried before all other patterns. `identifier` is the syslog identifier of the samples.
 */
export function pamAmbiguous(identifier: string): Pattern {
  const line = (rest: string): string =>
    `Mar  4 05:06:07 host ${identifier}: pam_unix(x:auth): authentication failure; logname= uid=0 euid=0 tty=x ${rest}`;
  return {
    name: 'pam-ambiguous',
    tokens: [...head(anyModule, 'failure'), textToFirst(), literal(' user='), textToFirst(), literal(' rhost=')],
    sample: line('ruser=a rhost=192.0.2.7  user=b rhost=198.51.100.9'),
    counter: line('ruser=a rhost=198.51.100.9 rhost=192.0.2.7  user=b'),
  };
}

/**
 * What any module refuses, and what one accepts. The filter's `connection` says which lines belong
 * to one attempt.
 */
export function pamVerdicts(identifier: string): Pattern[] {
  const line =
    (verdict: string) =>
    (module: string, rest: string): string =>
      `Mar  4 05:06:07 host ${identifier}: ${module}(x:auth): authentication ${verdict}; logname= uid=0 euid=0 tty=x ${rest}`;
  return [
    ...failures('failed', pamUnix, 1, line('failure')),
    ...failures('module-failed', module('pam_'), 2, line('failure')),
    {
      name: 'pam-accepted',
      effect: { kind: 'context', gained: true },
      tokens: [...head(anyModule, 'success'), textToLast(), literal(' rhost='), ip, ...user],
      sample: line('success')('pam_sss', 'ruser= rhost=192.0.2.7 user=alice'),
      counter: line('failure')('pam_sss', 'ruser= rhost=192.0.2.7 user=alice'),
    },
  ];
}
