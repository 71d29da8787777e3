/**
 * OpenVPN 2.x as a server (error.c, mroute.c, multi.c, ssl.c, ssl_pkt.c, ssl_verify.c, sig.c):
 * `A:port message` while a client is unknown, from 2.7 on `udp4:A:port`. An IPv6 address has no
 * port; from 2.7 on it has brackets and a port.
 *
 * For a client that was let in, its name stands before the address. What goes wrong then is a fault
 * of the network and does not count, except a refused password or certificate when the client comes
 * again from the same port. Such a name may hold anything, so a name with a blank or a slash does
 * not match. Packets that fail tls-auth or tls-crypt have the address at the end of the line. The
 * client chooses nothing else that stands before an address.
 *
 * One attempt is one connection, known by its address and port. First OpenVPN writes what was
 * wrong, then that the handshake failed or that the connection was dropped. These lines are stages
 * of one attempt.
 */
import type { Filter, Token } from '../compiler/pattern.ts';
import { choice, ip, ipPort, literal, optional, some, until } from './tokens.ts';

/** From `verb 4` on, OpenVPN writes microseconds behind the time in its own log. */
const microseconds = optional(literal('us='), some('digit', 6), literal(' '));

/** The port tells two connections of one address apart. */
const address: Token[] = [
  optional(choice('udp4:', 'udp6:', 'udp:', 'tcp4-server:', 'tcp6-server:', 'tcp-server:', 'tcp4:', 'tcp6:', 'tcp:')),
  ip,
  optional(literal(':'), { kind: 'span', of: { name: 'digit' }, min: 1, max: 5, capture: 'user' }),
];
const peer: Token[] = [microseconds, ...address];

const refused = choice(' TLS Auth Error:', ' TLS Auth Error (verify_user_pass', ' VERIFY ERROR:');

const host = 'Mar  4 05:06:07 vpn ovpn-server[811]:';

export const openvpn: Filter = {
  name: 'openvpn',
  about: 'OpenVPN: clients that fail to authenticate, or break off before they do',
  prefixes: ['syslog', 'time'],
  tags: ['ovpn-*', 'openvpn*'],
  connection: 'session',
  patterns: [
    {
      name: 'authentication-failed',
      effect: { stage: 1 },
      tokens: [...peer, refused],
      sample: `${host} udp4:192.0.2.7:41194 TLS Auth Error: Auth Username/Password verification failed for peer`,
      counter: `${host} udp4:192.0.2.7:41194 VERIFY OK: depth=0, CN=alice`,
    },
    {
      name: 'authentication-failed-again',
      effect: { stage: 1 },
      tokens: [microseconds, until(' /'), literal('/'), ...address, refused],
      sample: `${host} alice/192.0.2.7:41194 TLS Auth Error: Auth Username/Password verification failed for peer`,
      counter: `${host} alice/192.0.2.7:41194 TLS: Username/Password authentication succeeded for username 'alice'`,
    },
    {
      name: 'handshake-failed',
      effect: { stage: 2 },
      tokens: [...peer, literal(' TLS Error: TLS handshake failed')],
      sample: `${host} 192.0.2.7:41194 TLS Error: TLS handshake failed`,
      counter: `${host} alice/192.0.2.7:41194 TLS Error: TLS handshake failed`,
    },
    {
      name: 'connection-dropped',
      effect: { stage: 3 },
      tokens: [...peer, literal(' SIGUSR1[soft,connection-reset] received')],
      sample: `${host} udp6:[2001:db8::7]:41194 SIGUSR1[soft,connection-reset] received, client-instance restarting`,
      counter: `${host} alice/192.0.2.7:41194 SIGUSR1[soft,connection-reset] received, client-instance restarting`,
    },
    {
      name: 'packet-refused',
      tokens: [
        microseconds,
        literal('TLS Error: '),
        choice(
          'cannot locate HMAC in incoming packet',
          'incoming packet authentication failed',
          'tls-crypt unwrapping failed',
          'can not extract tls-crypt-v2 client key',
          'could not determine wrapping',
        ),
        literal(' from '),
        choice('[AF_INET]', '[AF_INET6]'),
        optional(literal(' ')),
        ipPort,
      ],
      sample: `${host} TLS Error: cannot locate HMAC in incoming packet from [AF_INET]192.0.2.7:41194`,
      counter: `${host} TCP connection established with [AF_INET]192.0.2.7:41194`,
    },
  ],
};
