/**
 * OpenVPN 2.x as a server (error.c, multi.c, ssl.c, ssl_pkt.c, ssl_verify.c, sig.c): `A:port
 * message` while a client is not known; one that is carries its name before the address and is left
 * alone. Packets that fail tls-auth or tls-crypt name the address at the end. Nothing before an
 * address is the client's.
 */
import type { Filter } from '../compiler/pattern.ts';
import { choice, ipPort, literal, optional, some } from './tokens.ts';

/** Microseconds behind the time, which it writes into its own log from `verb 4` on. */
const microseconds = optional(literal('us='), some('digit', 6), literal(' '));

const host = 'Mar  4 05:06:07 vpn ovpn-server[811]:';

export const openvpn: Filter = {
  name: 'openvpn',
  about: 'OpenVPN: clients that fail to authenticate, or break off before they do',
  prefixes: ['syslog', 'time'],
  tags: ['ovpn-*', 'openvpn*'],
  patterns: [
    {
      name: 'handshake-failed',
      tokens: [
        microseconds,
        ipPort,
        choice(
          ' TLS Auth Error:',
          ' TLS Auth Error (verify_user_pass',
          ' VERIFY ERROR:',
          ' TLS Error: TLS handshake failed',
          ' SIGUSR1[soft,connection-reset] received',
        ),
      ],
      sample: `${host} 192.0.2.7:41194 TLS Error: TLS handshake failed`,
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
