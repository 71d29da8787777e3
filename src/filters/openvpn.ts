/**
 * OpenVPN 2.x as a server (error.c, multi.c, ssl.c, ssl_pkt.c, ssl_verify.c, sig.c): `A:port message` while a client is not
 * known; one that is carries its name before the address and is left alone. Packets that fail tls-auth or tls-crypt name the
 * address at the end. Nothing before an address is the client's.
 */
import type { Filter } from '../compiler/pattern.ts';
import { choice, ipPort, literal, optional } from './tokens.ts';

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
        ipPort,
        choice(
          ' TLS Auth Error:',
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
