/**
 * BIND 9 (lib/ns/client.c ns_client_logv, query.c, xfrout.c): `client @0x… A#port/key K (name):
 * view V: message`, in syslog or in a log of its own. The settings of the channel decide whether
 * category, module and level stand before it. The client chooses the DNS names. Blanks in them are
 * escaped, and they stand behind the address.
 */
import type { Filter, Token } from '../compiler/pattern.ts';
import { choice, either, ip, lineEnd, literal, optional, repeat, some, time, until } from './tokens.ts';

const word = some('nonspace');

/** Everything up to the message. A colon ends the last word that describes the client. */
const head: Token[] = [
  // The channel may write its own time in syslog too.
  optional(time, literal(' ')),
  repeat(3, { kind: 'span', of: { name: 'word', bytes: '-/' }, min: 1, max: 64 }, literal(': ')),
  literal('client '),
  optional(literal('@'), until(' '), literal(' ')),
  ip,
  literal('#'),
  some('digit', 5),
  either([literal('/key '), word, optional(literal(' ('), word)], [literal(' ('), word], [literal(':')]),
  optional(literal(' view '), until(' :'), literal(':')),
  literal(' '),
];

/** BIND 9.20 says which list it was. */
const denied: Token[] = [literal(' denied'), optional(literal(' ('), until(')'), literal(')')), ...lineEnd];

const host = 'Mar  4 05:06:07 ns1 named[811]:';

export const named: Filter = {
  name: 'named-refused',
  about: 'BIND: queries and zone transfers that an access list refuses',
  prefixes: ['time', 'syslog', 'bare'],
  tags: ['named', 'named-*'],
  patterns: [
    {
      name: 'query-denied',
      tokens: [...head, choice('query (cache)', 'query-on', 'query'), optional(literal(" '"), word), ...denied],
      sample: `${host} client @0x7f0a1c0012a8 192.0.2.7#40053 (example.org): query (cache) 'example.org/ANY/IN' denied`,
      counter: `${host} client @0x7f0a1c0012a8 192.0.2.7#40053 (example.org): query (cache) 'example.org/ANY/IN' approved`,
    },
    {
      name: 'transfer-denied',
      tokens: [...head, literal("zone transfer '"), word, ...denied],
      sample:
        "04-Mar-2025 05:06:07.008 security: error: client 192.0.2.7#40053 (example.org): zone transfer 'example.org/AXFR/IN' denied",
      counter: `${host} client 192.0.2.7#40053 (example.org): update 'example.org/IN' denied`,
    },
    {
      name: 'transfer-not-authoritative',
      tokens: [
        ...head,
        literal("bad zone transfer request: '"),
        word,
        literal(' non-authoritative zone (NOTAUTH)'),
        ...lineEnd,
      ],
      sample: `${host} client @0x7f0a1c0012a8 192.0.2.7#40053 (example.com): bad zone transfer request: 'example.com/IN': non-authoritative zone (NOTAUTH)`,
      counter: `${host} client @0x7f0a1c0012a8 192.0.2.7#40053: bad zone transfer request: multiple questions (FORMERR)`,
    },
  ],
};
