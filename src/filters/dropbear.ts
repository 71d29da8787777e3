/**
 * Dropbear (svr-auth.c, svr-authpasswd.c, svr-authpam.c, svr-session.c), 0.4x to 2025, in syslog or
 * on stderr (`[pid] time message`). The client chooses the user name. It stands left of the
 * address, which ends the line, so the address is read from the right. Since 2022 the line about
 * the end of a connection has the address first, so that one is read from the left.
 */
import type { Filter, Token } from '../compiler/pattern.ts';
import {
  choice,
  either,
  ip,
  ipPort,
  lineEnd,
  literal,
  optional,
  some,
  textToLast,
  time,
  userToLast,
} from './tokens.ts';

const head: Token[] = [optional(literal('['), some('digit', 10), literal('] '), time, literal(' '))];

/** Only new releases write brackets around an IPv6 address. The port follows in both cases. */
const address: Token[] = [either([ipPort], [ip]), optional(literal(']')), ...lineEnd];

const host = 'Mar  4 05:06:07 router dropbear[811]:';

export const dropbear: Filter = {
  name: 'dropbear',
  about: 'Dropbear SSH: wrong passwords, users that do not exist, too many attempts',
  prefixes: ['syslog', 'bare'],
  tags: ['dropbear'],
  patterns: [
    {
      name: 'nonexistent-user',
      tokens: [...head, choice('Login', 'login'), literal(' attempt for nonexistent user from '), ...address],
      sample: `${host} Login attempt for nonexistent user from 192.0.2.7:40022`,
      counter: `${host} Login attempt for nonexistent user from nowhere at all`,
    },
    {
      name: 'nonexistent-user-named',
      tokens: [
        ...head,
        choice('Login', 'login'),
        literal(" attempt for nonexistent user '"),
        userToLast(),
        literal("' from "),
        ...address,
      ],
      sample: `${host} Login attempt for nonexistent user 'x' from 198.51.100.9:1' from 192.0.2.7:40022`,
      counter: `${host} Login attempt with wrong user alice from 192.0.2.7:40022`,
    },
    {
      // Dropbear does not run as root here: only its own user may log in.
      name: 'wrong-user',
      tokens: [...head, literal('Login attempt with wrong user '), userToLast(), literal(' from '), ...address],
      sample: `${host} Login attempt with wrong user alice from 192.0.2.7:40022`,
      counter: `${host} Login attempt for nonexistent user from 192.0.2.7:40022`,
    },
    {
      name: 'bad-password',
      tokens: [
        ...head,
        choice('Bad', 'bad', 'Too-long'),
        choice(" PAM password attempt for '", " password attempt for '"),
        userToLast(),
        literal("' from "),
        ...address,
      ],
      sample: `${host} Bad PAM password attempt for 'root' from [2001:db8::7]:40022`,
      counter: `${host} Password auth succeeded for 'root' from [2001:db8::7]:40022`,
    },
    {
      name: 'too-many-attempts-address-first',
      tokens: [
        ...head,
        choice('Exit', 'exit'),
        literal(' before auth from '),
        optional(literal('<')),
        ipPort,
        choice('>: ', ': '),
        textToLast(),
        literal("Max auth tries reached - user '"),
        userToLast(),
        literal("'"),
      ],
      sample: `${host} Exit before auth from <192.0.2.7:40022>: (user 'root', 10 fails): Max auth tries reached - user 'root'`,
      counter: `${host} Exit before auth from <192.0.2.7:40022>: Exited normally`,
    },
    {
      // The user name does not exist on this host.
      name: 'too-many-attempts-nobody',
      tokens: [
        ...head,
        choice('Exit', 'exit'),
        literal(" before auth: Max auth tries reached - user '"),
        userToLast(),
        literal("' from "),
        ...address,
      ],
      sample: `${host} Exit before auth: Max auth tries reached - user 'is invalid' from 192.0.2.7:40022`,
      counter: `${host} Exit before auth: Exited normally`,
    },
    {
      name: 'too-many-attempts',
      tokens: [
        ...head,
        choice('Exit', 'exit'),
        literal(" before auth (user '"),
        textToLast(),
        literal(": Max auth tries reached - user '"),
        userToLast(),
        literal("' from "),
        ...address,
      ],
      sample: `${host} Exit before auth (user 'root', 10 fails): Max auth tries reached - user 'root' from 192.0.2.7:40022`,
      counter: `${host} Exit before auth (user 'root', 1 fails): Disconnect received`,
    },
  ],
};
