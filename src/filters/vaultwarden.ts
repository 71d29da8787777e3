/**
 * Vaultwarden (src/error.rs, src/api): `[time][module][ERROR] message. IP: A. Username: U`. Its
 * first releases wrote day and time in two pairs of brackets. What the client chooses stands behind
 * the address.
 */
import type { Filter, Token } from '../compiler/pattern.ts';
import { choice, either, ip, literal, optional, run, time, until, userUntil } from './tokens.ts';

/** Vaultwarden's own time, which may stand behind the time of the journal. */
const ownTime: Token = optional(
  either(
    [literal('['), time, literal(']')],
    [literal('['), run('0123456789-'), literal(']['), run('0123456789:'), literal(']')],
  ),
);

export const vaultwarden: Filter = {
  name: 'vaultwarden',
  about: 'Vaultwarden: wrong passwords, keys, one-time codes and administration tokens',
  prefixes: ['time', 'syslog', 'bare'],
  tags: ['vaultwarden', 'bitwarden_rs'],
  patterns: [
    {
      name: 'login-failed',
      tokens: [
        ownTime,
        literal('['),
        until(']'),
        literal('][ERROR] '),
        choice(
          'Username or password is incorrect',
          'Username or access code is incorrect',
          'Invalid admin token',
          'Invalid password',
          'Malformed client_id',
          'No token available',
          'Auth request not found. Try again',
          'Invalid TOTP code',
          'Invalid client_id',
          'Incorrect client_secret',
          'Token is invalid',
        ),
        choice('.', '!'),
        either(
          [literal(' Try again. IP: ')],
          [literal(' Server time: '), run('0123456789-'), literal(' '), run('0123456789:'), literal(' UTC IP: ')],
          [literal(' IP: ')],
        ),
        ip,
        optional(literal('. Username: '), userUntil(' ')),
      ],
      sample:
        '[2025-03-04 05:06:07.129][vaultwarden::api::identity][ERROR] Username or password is incorrect. Try again. IP: 192.0.2.7. Username: alice@example.org.',
      counter:
        '[2025-03-04 05:06:07.129][vaultwarden::api::identity][INFO] User alice@example.org logged in successfully. IP: 192.0.2.7',
    },
  ],
};
