/**
 * Squid's native access log: `seconds.millis elapsed A tag/status bytes METHOD URL …`. The address
 * stands before everything that the client chooses.
 */
import type { Filter } from '../compiler/pattern.ts';
import { choice, ip, optional, run, some, time } from './tokens.ts';

export const squid: Filter = {
  name: 'squid',
  about: 'Squid: requests that the access rules deny, and methods that it does not know',
  prefixes: ['time', 'syslog'],
  tags: ['squid', '(squid*'],
  patterns: [
    {
      name: 'denied',
      tokens: [
        // In syslog, Squid's own time stands behind the time of syslog.
        optional(time, run(' ')),
        some('digit', 12),
        run(' '),
        ip,
        run(' '),
        choice('TCP_DENIED/403 ', 'TCP_DENIED_ABORTED/403 ', 'UDP_DENIED/403 ', 'NONE/405 ', 'NONE_NONE/405 '),
      ],
      sample: '1741061167.123      4 192.0.2.7 TCP_DENIED/403 4099 GET http://www.example.org/ - HIER_NONE/- text/html',
      counter:
        '1741061167.123      4 192.0.2.7 TCP_MISS/200 4099 GET http://www.example.org/TCP_DENIED/403 - HIER_DIRECT/198.51.100.9 text/html',
    },
  ],
};
