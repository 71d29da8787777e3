/**
 * recidive: addresses that are banned again and again. Two programs write such lines: our own
 * daemon (`banned`, jail, address; as text or JSON) and fail2ban 0.8 to 1.1. A host that comes from
 * fail2ban still has fail2ban's log: as a file, in syslog or in the journal.
 *
 * Both write only names of jails and addresses: an attacker chooses no text there. A ban by the
 * jail `recidive` itself is no new offence, and neither is a restored ban (`Restore Ban`).
 */
import type { Filter, Token } from '../compiler/pattern.ts';
import { any, choice, either, ip, lineEnd, literal, optional, some, time, until } from './tokens.ts';

const gap = some('space', 32);

/** `fail2ban.actions        [811]: ` */
const source: Token[] = [
  literal('fail2ban'),
  optional(choice('.server.actions', '.actions')),
  any('space', 32),
  optional(literal('['), some('digit', 10), literal(']')),
  literal(':'),
  gap,
];

/**
 * Everything up to the jail. What syslog or the journal already say may be missing here or be
 * written twice. The name is padded with blanks, so it is not taken as an identifier.
 */
const fail2banHead: Token[] = [
  optional(time, gap),
  optional(either(source, [until(' '), literal(' '), ...source])),
  optional(choice('NOTICE', 'WARNING'), gap),
  literal('['),
];

/** An address, perhaps with the prefix of an IPv6 ban. */
const address: Token[] = [ip, optional(literal('/'), some('digit', 3))];

const level = optional(choice('info ', 'INFO '));

/** Our log as JSON. `msg` says what happened; an adopted or restored ban is not a new ban. */
const json: Token[] = [literal('{"time":"'), time, literal('","level":"info","msg":"banned","jail":"')];

export const recidive: Filter = {
  name: 'recidive',
  about: 'addresses that other jails have banned, from our own records and from the log of fail2ban',
  prefixes: ['time', 'syslog', 'bare'],
  tags: ['fail2zig', 'fail2ban', 'fail2ban.actions', 'fail2ban.server.actions', 'fail2ban-server'],
  ignore: [
    {
      name: 'banned-by-recidive',
      tokens: [level, literal('banned jail=recidive ')],
      sample: '2025-03-04T05:06:07.008Z info banned jail=recidive address=192.0.2.7 until=2025-03-11T05:06:07.000Z',
      counter:
        '2025-03-04T05:06:07.008Z info banned jail=recidive-ftp address=192.0.2.7 until=2025-03-11T05:06:07.000Z',
    },
    {
      name: 'banned-by-recidive-json',
      tokens: [...json, literal('recidive"')],
      sample:
        '{"time":"2025-03-04T05:06:07.008Z","level":"info","msg":"banned","jail":"recidive","address":"192.0.2.7","until":"2025-03-11T05:06:07.000Z"}',
      counter:
        '{"time":"2025-03-04T05:06:07.008Z","level":"info","msg":"banned","jail":"recidive-ftp","address":"192.0.2.7","until":"2025-03-11T05:06:07.000Z"}',
    },
    {
      name: 'fail2ban-banned-by-recidive',
      tokens: [...fail2banHead, literal('recidive] ')],
      sample: '2025-03-04 05:06:07,008 fail2ban.actions        [811]: NOTICE  [recidive] Ban 192.0.2.7',
      counter: '2025-03-04 05:06:07,008 fail2ban.actions        [811]: NOTICE  [recidive-ftp] Ban 192.0.2.7',
    },
  ],
  patterns: [
    {
      name: 'banned',
      tokens: [
        level,
        literal('banned jail='),
        until(' '),
        literal(' address='),
        ...address,
        // The last address of a burst ends the line.
        either([literal(' ')], lineEnd),
      ],
      sample: '2025-03-04T05:06:07.008Z info banned jail=sshd address=2001:db8::/64 until=2025-03-04T06:06:07.000Z',
      counter: '2025-03-04T05:06:07.008Z info unbanned jail=sshd address=2001:db8::/64 until=2025-03-04T06:06:07.000Z',
    },
    {
      name: 'banned-json',
      tokens: [...json, until('"'), literal('","address":"'), ...address, literal('"')],
      sample:
        '{"time":"2025-03-04T05:06:07.008Z","level":"info","msg":"banned","jail":"sshd","address":"2001:db8::/64","until":"2025-03-04T06:06:07.000Z"}',
      counter:
        '{"time":"2025-03-04T05:06:07.008Z","level":"info","msg":"restored","jail":"sshd","address":"2001:db8::/64","until":"2025-03-04T06:06:07.000Z"}',
    },
    {
      name: 'banned-burst',
      effect: { list: true },
      tokens: [
        level,
        literal('banned jail='),
        until(' '),
        literal(' count='),
        some('digit', 10),
        literal(' addresses="'),
        ...address,
        until('"', 0),
        literal('"'),
      ],
      sample: '2025-03-04T05:06:07.008Z info banned jail=sshd count=2 addresses="192.0.2.7 2001:db8::/64"',
      counter: '2025-03-04T05:06:07.008Z info restored jail=sshd count=2 addresses="192.0.2.7 2001:db8::/64"',
    },
    {
      name: 'banned-burst-json',
      effect: { list: true },
      tokens: [
        ...json,
        until('"'),
        literal('","count":'),
        some('digit', 10),
        literal(',"addresses":"'),
        ...address,
        until('"', 0),
        literal('"'),
      ],
      sample:
        '{"time":"2025-03-04T05:06:07.008Z","level":"info","msg":"banned","jail":"sshd","count":2,"addresses":"192.0.2.7 192.0.2.8"}',
      counter:
        '{"time":"2025-03-04T05:06:07.008Z","level":"info","msg":"unbanned","jail":"sshd","count":2,"addresses":"192.0.2.7 192.0.2.8"}',
    },
    {
      name: 'fail2ban-banned',
      tokens: [...fail2banHead, until(']'), literal(']'), gap, literal('Ban'), gap, ip, ...lineEnd],
      sample: '2025-03-04 05:06:07,008 fail2ban.actions        [811]: NOTICE  [sshd] Ban 192.0.2.7',
      counter: '2025-03-04 05:06:07,008 fail2ban.actions        [811]: NOTICE  [sshd] Unban 192.0.2.7',
    },
  ],
};
