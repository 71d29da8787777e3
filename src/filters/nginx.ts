/**
 * nginx. ngx_log_error_core (src/core/ngx_log.c) and ngx_http_log_error_handler
 * (src/http/ngx_http_request.c) write the error log: `time [level] pid#tid: *connection message,
 * client: A, server: S, request: "R"`, then `subrequest`, `upstream`, `host` and `referrer` where
 * there are any. Nothing in it is escaped: the client chooses the bytes of user name, file name,
 * request, host and referrer. The access log escapes `"` and control bytes.
 *
 * Invariant: an address counts only if the line has no second reading.
 * - A user name ends before its first colon (ngx_http_auth_basic_user), so it cannot hold `,
 *   client: `. The filter does not read what follows the first client, so no referrer and no long
 *   path can hide a wrong password.
 * - A file name may hold anything. But the request ends at its first ` HTTP/1.1"`
 *   (ngx_http_parse.c), and a host name holds no blank. So text behind a forged client inside a
 *   file name cannot look like the rest of a line.
 * - Only a referrer can hold anything. Where a file name is read, a line with a second client is
 *   ignored. So is a line that nginx cut at 2048 bytes, because its rest is missing.
 */
import type { Filter, Pattern, Token } from '../compiler/pattern.ts';
import { probedPathTokens } from './probes.ts';
import {
  any,
  choice,
  either,
  ip,
  lineEnd,
  literal,
  optional,
  repeat,
  run,
  some,
  textToFirst,
  time,
  until,
  userToFirst,
  userToLast,
} from './tokens.ts';

/**
 * An error line that nginx cut at NGX_MAX_ERROR_STR (2048) has at least this many bytes behind its
 * connection number.
 */
const cutBytesMin = 1960;

/**
 * Everything up to the message. In syslog, nginx writes its own time once more, and journald leaves
 * `host nginx: ` before it.
 */
const errorHead = (...level: string[]): Token[] => [
  optional(some('nonspace', 255), literal(' nginx: ')),
  optional(time, literal(' ')),
  literal('['),
  level.length === 0 ? some('alpha', 8) : choice(...level),
  literal('] '),
  some('digit', 20),
  literal('#'),
  some('digit', 20),
  literal(': *'),
  some('digit', 20),
  literal(' '),
];

const version: Token[] = [literal(' HTTP/'), some('digit', 2), literal('.'), some('digit', 2), literal('"')];

/** A request line whose path holds no blank, or else one without quotes. */
const requestWithoutBlanks: Token[] = [some('alpha', 32), run(' '), some('nonspace'), ...version];
const request: Token[] = [literal(', request: "'), either(requestWithoutBlanks, [until('"'), literal('"')])];

const upstream: Token[] = [
  optional(literal(', subrequest: "'), until('"'), literal('"')),
  optional(literal(', upstream: "'), until('"'), literal('"')),
];

/** The host, then either a referrer, which is not read, or the end of the line. */
const hostAndReferrer: Token = either(
  [literal(', host: "'), some('nonspace'), either([literal(' referrer: "')], lineEnd)],
  [literal(', referrer: "')],
  lineEnd,
);

const server: Token[] = [literal(', server: '), until(', ', 0)];

/**
 * What follows the address. Only the request holds blanks, and exactly two, so no second address
 * fits.
 */
const restWithoutBlanks: Token[] = [
  ...server,
  literal(', request: "'),
  some('nonspace'),
  literal(' '),
  some('nonspace'),
  ...version,
  literal(', host: "'),
  some('nonspace'),
  optional(literal(' referrer: "'), some('nonspace')),
  ...lineEnd,
];

/**
 * A line with two readings: after `opening` and its client, a second client follows, in what may be
 * a referrer.
 */
const ambiguous = (name: string, opening: Token[], sample: string, counter: string): Pattern => ({
  name,
  tokens: [
    ...errorHead(),
    ...opening,
    literal(', client: '),
    until(','),
    ...server,
    ...request,
    ...upstream,
    either([literal(', host: "'), some('nonspace'), literal(' referrer: "')], [literal(', referrer: "')]),
    textToFirst(),
    literal(', client: '),
  ],
  sample,
  counter,
});

const cut: Pattern = {
  name: 'cut-by-nginx',
  tokens: [...errorHead(), { kind: 'span', of: { name: 'any' }, min: cutBytesMin, max: 4096 }],
  sample: `2025/03/04 05:06:07 [error] 811#811: *42 user "${'a'.repeat(2000)}`,
  counter:
    '2025/03/04 05:06:07 [error] 811#811: *42 user "alice": password mismatch, client: 192.0.2.7, server: , request: "GET / HTTP/1.1", host: "example.org"',
};

/**
 * How ngx_http_auth_basic_module and ngx_http_auth_pam_module report a refusal, up to the client.
 */
const basicRefusal: Token[] = [
  choice('": ', '" '),
  either([literal('password mismatch')], [literal('was not found in "'), until('"'), literal('"')]),
];
const pamRefusal: Token[] = [literal("' - "), choice('not authenticated: ', 'invalid account: '), until(",'")];

const authModes = ['normal', 'auth', 'aggressive'];

const httpAuth: Filter = {
  name: 'nginx-http-auth',
  about: 'nginx: wrong user or password for basic authentication; fallback: TLS handshakes that break off',
  prefixes: ['time', 'syslog'],
  tags: ['nginx*'],
  modes: ['normal', 'auth', 'fallback', 'aggressive'],
  patterns: [
    {
      name: 'basic-refused-forged-user',
      modes: authModes,
      tokens: [
        ...errorHead('error'),
        literal('user "'),
        until('"', 0),
        ...basicRefusal,
        literal(', client: '),
        until(','),
        ...server,
        literal(', request: "'),
        ...requestWithoutBlanks,
        literal(', host: "'),
        until('" '),
        literal('"'),
        ...basicRefusal,
        literal(', client: '),
        ip,
        ...restWithoutBlanks,
      ],
      sample:
        '2025/03/04 05:06:07 [error] 811#811: *42 user "alice": password mismatch, client: 198.51.100.9, server: , request: "GET / HTTP/1.1", host: "h"": password mismatch, client: 192.0.2.7, server: , request: "GET / HTTP/1.1", host: "example.org"',
      counter:
        '2025/03/04 05:06:07 [error] 811#811: *42 user "alice": password mismatch, client: 192.0.2.7, server: , request: "GET / HTTP/1.1", host: "example.org"',
    },
    {
      name: 'basic-refused',
      modes: authModes,
      tokens: [
        ...errorHead('error'),
        literal('user "'),
        userToFirst('"'),
        ...basicRefusal,
        literal(', client: '),
        ip,
        literal(', server: '),
      ],
      sample:
        '2025/03/04 05:06:07 [error] 811#811: *42 user "alice" was not found in "/etc/nginx/users", client: 192.0.2.7, server: example.org, request: "GET /private HTTP/2.0", host: "example.org"',
      counter:
        '2025/03/04 05:06:07 [error] 811#811: *42 open() "/srv/user "alice": password mismatch, client: 198.51.100.9, server: " failed (2: No such file or directory), client: 192.0.2.7, server: , request: "GET / HTTP/1.1", host: "example.org"',
    },
    {
      name: 'basic-refused-quoted-user',
      modes: authModes,
      tokens: [
        ...errorHead('error'),
        literal('user "'),
        userToLast(','),
        ...basicRefusal,
        literal(', client: '),
        ip,
        ...restWithoutBlanks,
      ],
      sample:
        '2025/03/04 05:06:07 [error] 811#811: *42 user "a"b": password mismatch, client: 192.0.2.7, server: example.org, request: "GET / HTTP/1.1", host: "example.org"',
      counter:
        '2025/03/04 05:06:07 [error] 811#811: *42 user "a"b": password mismatch, client: 192.0.2.7, server: example.org, request: "GET / HTTP/1.1", host: "example.org", referrer: "a b"',
    },
    {
      name: 'pam-refused',
      modes: authModes,
      tokens: [
        ...errorHead('error'),
        literal("PAM: user '"),
        userToFirst("'"),
        ...pamRefusal,
        literal(', client: '),
        ip,
        literal(', server: '),
      ],
      sample:
        '2025/03/04 05:06:07 [error] 811#811: *42 PAM: user \'alice\' - not authenticated: Authentication failure, client: 192.0.2.7, server: example.org, request: "PROPFIND /dav HTTP/1.1", host: "example.org"',
      counter:
        '2025/03/04 05:06:07 [error] 811#811: *42 PAM: user \'alice\' - authenticated, client: 192.0.2.7, server: , request: "GET / HTTP/1.1", host: "example.org"',
    },
    {
      name: 'pam-refused-quoted-user',
      modes: authModes,
      tokens: [
        ...errorHead('error'),
        literal("PAM: user '"),
        userToLast(','),
        ...pamRefusal,
        literal(', client: '),
        ip,
        ...restWithoutBlanks,
      ],
      sample:
        '2025/03/04 05:06:07 [error] 811#811: *42 PAM: user \'a\'b\' - not authenticated: Authentication failure, client: 192.0.2.7, server: , request: "GET / HTTP/1.1", host: "example.org"',
      counter:
        '2025/03/04 05:06:07 [error] 811#811: *42 PAM: user \'a\'b\' - authenticated, client: 192.0.2.7, server: , request: "GET / HTTP/1.1", host: "example.org"',
    },
    {
      name: 'tls-broken',
      modes: ['fallback', 'aggressive'],
      tokens: [
        ...errorHead('crit'),
        choice('SSL_do_handshake()', 'SSL_read()'),
        literal(' failed (SSL: error:'),
        until(')(', 0),
        repeat(8, literal('('), some('digit', 9), literal(')'), until(')(', 0)),
        literal(') while '),
        choice('SSL handshaking', 'waiting for request', 'reading client request line', 'keepalive'),
        literal(', client: '),
        ip,
        literal(', server: '),
      ],
      sample:
        '2025/03/04 05:06:07 [crit] 811#811: *42 SSL_do_handshake() failed (SSL: error:0A00006C:SSL routines::bad key share) while SSL handshaking, client: 192.0.2.7, server: 0.0.0.0:443',
      counter:
        '2025/03/04 05:06:07 [crit] 811#811: *42 SSL_do_handshake() failed (SSL: error:0A000410:SSL routines::ssl/tls alert handshake failure) while SSL handshaking to upstream, client: 192.0.2.7, server: example.org, request: "GET / HTTP/1.1", host: "example.org"',
    },
  ],
};

/** A line about a stream says what nginx was doing, and whether the client came over UDP. */
const zone: Token[] = [
  literal('by zone "'),
  until('"'),
  literal('"'),
  optional(choice(' while initializing session', ' while prereading client data', ' while reading PROXY protocol')),
  choice(', client: ', ', udp client: '),
  ip,
  literal(', server: '),
];

const limitReq: Filter = {
  name: 'nginx-limit-req',
  about: 'nginx: requests or connections over the limit of limit_req and limit_conn (dry runs do not count)',
  prefixes: ['time', 'syslog'],
  tags: ['nginx*'],
  patterns: [
    {
      name: 'requests-limited',
      tokens: [...errorHead(), literal('limiting requests, excess: '), run('0123456789.'), literal(' '), ...zone],
      sample:
        '2025/03/04 05:06:07 [error] 811#811: *42 limiting requests, excess: 5.120 by zone "perip", client: 192.0.2.7, server: example.org, request: "GET / HTTP/1.1", host: "example.org"',
      counter:
        '2025/03/04 05:06:07 [error] 811#811: *42 limiting requests, dry run, excess: 5.120 by zone "perip", client: 192.0.2.7, server: example.org, request: "GET / HTTP/1.1", host: "example.org"',
    },
    {
      name: 'request-delayed',
      tokens: [...errorHead(), literal('delaying request, excess: '), run('0123456789.'), literal(', '), ...zone],
      sample:
        '2025/03/04 05:06:07 [warn] 811#811: *42 delaying request, excess: 0.310, by zone "perip", client: 2001:db8::7, server: example.org, request: "GET / HTTP/1.1", host: "example.org"',
      counter:
        '2025/03/04 05:06:07 [info] 811#811: *42 delaying unauthorized request, client: 192.0.2.7, server: example.org, request: "GET / HTTP/1.1", host: "example.org"',
    },
    {
      name: 'connections-limited',
      tokens: [...errorHead(), literal('limiting connections '), ...zone],
      sample:
        '2025/03/04 05:06:07 [error] 811#811: *42 limiting connections by zone "addr", client: 192.0.2.7, server: example.org, request: "GET / HTTP/1.1", host: "example.org"',
      counter:
        '2025/03/04 05:06:07 [error] 811#811: *42 limiting connections, dry run, by zone "addr", client: 192.0.2.7, server: example.org, request: "GET / HTTP/1.1", host: "example.org"',
    },
  ],
};

const forbidden: Filter = {
  name: 'nginx-forbidden',
  about: 'nginx: requests that a deny rule turns away',
  prefixes: ['time', 'syslog'],
  tags: ['nginx*'],
  patterns: [
    {
      name: 'access-forbidden',
      tokens: [...errorHead(), literal('access forbidden by rule, client: '), ip, literal(', server: ')],
      sample:
        '2025/03/04 05:06:07 [error] 811#811: *42 access forbidden by rule, client: 192.0.2.7, server: example.org, request: "GET /.git/config HTTP/1.1", host: "example.org"',
      counter:
        '2025/03/04 05:06:07 [error] 811#811: *42 open() "/srv/access forbidden by rule, client: 198.51.100.9, server: " failed (13: Permission denied), client: 192.0.2.7, server: example.org, request: "GET /x HTTP/1.1", host: "example.org"',
    },
  ],
};

/**
 * The combined access format up to the request. A user name may hold blanks and brackets, but no
 * quote.
 */
const accessHead: Token[] = [ip, literal(' - '), textToFirst('"'), literal(' ['), time, literal('] "')];

const badRequest: Filter = {
  name: 'nginx-bad-request',
  about: 'nginx: requests answered with 400 Bad Request',
  prefixes: ['bare', 'syslog'],
  tags: ['nginx*'],
  patterns: [
    {
      name: 'bad-request',
      tokens: [...accessHead, until('"', 0), literal('" 400 ')],
      sample: '192.0.2.7 - - [04/Mar/2025:05:06:07 +0100] "\\x16\\x03\\x01\\x00" 400 157 "-" "-"',
      counter: '192.0.2.7 - - [04/Mar/2025:05:06:07 +0100] "GET /400 HTTP/1.1" 200 400 "-" "\\x22 400 "',
    },
  ],
};

const fileMissing = [
  optional(until(' "'), literal(' ')),
  literal('"'),
  until('"'),
  literal('" '),
  choice('failed', 'is not found'),
  literal(' (2: No such file or directory)'),
];

const botsearch: Filter = {
  name: 'nginx-botsearch',
  about: 'nginx: searches for web applications that are not installed',
  prefixes: ['bare', 'time', 'syslog'],
  tags: ['nginx*'],
  ignore: [
    cut,
    ambiguous(
      'file-ambiguous',
      fileMissing,
      '2025/03/04 05:06:07 [error] 811#811: *42 open() "/srv/pma" failed (2: No such file or directory), client: 192.0.2.7, server: example.org, request: "GET /pma HTTP/1.1", host: "example.org", referrer: "" failed (2: No such file or directory), client: 198.51.100.9, server: "',
      '2025/03/04 05:06:07 [error] 811#811: *42 open() "/srv/pma" failed (2: No such file or directory), client: 192.0.2.7, server: example.org, request: "GET /pma HTTP/1.1", host: "example.org", referrer: "https://example.org/"',
    ),
  ],
  patterns: [
    {
      name: 'application-not-found',
      tokens: [
        ...accessHead,
        choice('GET /', 'POST /', 'HEAD /'),
        ...probedPathTokens,
        until('" ', 0),
        literal(' '),
        until('"'),
        literal('" 404 '),
      ],
      sample: '192.0.2.7 - - [04/Mar/2025:05:06:07 +0100] "GET /phpMyAdmin/index.php HTTP/1.1" 404 153 "-" "-"',
      counter: '192.0.2.7 - - [04/Mar/2025:05:06:07 +0100] "GET /phpMyAdmin/index.php HTTP/1.1" 200 153 "-" "-"',
    },
    {
      name: 'application-file-missing',
      tokens: [
        ...errorHead('error'),
        ...fileMissing,
        literal(', client: '),
        ip,
        ...server,
        literal(', request: "'),
        choice('GET /', 'POST /', 'HEAD /'),
        ...probedPathTokens,
        any('nonspace'),
        ...version,
        ...upstream,
        hostAndReferrer,
      ],
      sample:
        '2025/03/04 05:06:07 [error] 811#811: *42 open() "/srv/www/wp-login.php" failed (2: No such file or directory), client: 192.0.2.7, server: example.org, request: "GET /wp-login.php HTTP/1.1", host: "example.org"',
      counter:
        '2025/03/04 05:06:07 [error] 811#811: *42 open() "/srv/www/x" failed (2: No such file or directory), client: 198.51.100.9, server: , request: "GET /pma HTTP/1.1", host: "h"" failed (2: No such file or directory), client: 192.0.2.7, server: , request: "GET /x HTTP/1.1", host: "h"',
    },
  ],
};

const nginxModsecurity: Filter = {
  name: 'nginx-modsecurity',
  about: 'nginx: requests that a rule of ModSecurity 3 denied',
  prefixes: ['time', 'syslog'],
  tags: ['nginx*'],
  patterns: [
    {
      // The address stands before all that the client chose.
      name: 'access-denied',
      tokens: [
        ...errorHead(),
        literal('[client '),
        ip,
        literal('] ModSecurity: Access denied with code '),
        choice('4', '5'),
        some('digit', 2),
      ],
      sample:
        '2025/03/04 05:06:07 [error] 811#811: *42 [client 192.0.2.7] ModSecurity: Access denied with code 403 (phase 2). Matched "Operator `Rx" [id "1"], client: 192.0.2.7, server: example.org, request: "GET /?q=x HTTP/1.1", host: "example.org"',
      counter:
        '2025/03/04 05:06:07 [info] 811#811: *42 ModSecurity: Warning. Matched "Operator `Rx" [id "1"], client: 192.0.2.7, server: example.org, request: "GET /?q=x HTTP/1.1", host: "example.org"',
    },
  ],
};

const nginxMail: Filter = {
  name: 'nginx-mail-auth',
  about: 'nginx as a mail proxy: failed logins',
  prefixes: ['time', 'syslog'],
  tags: ['nginx*'],
  patterns: [
    {
      name: 'login-failed',
      tokens: [
        ...errorHead(),
        literal('client login failed: "'),
        until('"', 0),
        literal('" while in http auth state, client: '),
        ip,
        literal(', server: '),
      ],
      sample:
        '2025/03/04 05:06:07 [info] 811#811: *42 client login failed: "Invalid login or password" while in http auth state, client: 192.0.2.7, server: 0.0.0.0:993, login: "alice"',
      counter:
        '2025/03/04 05:06:07 [info] 811#811: *42 client logged in, client: 192.0.2.7, server: 0.0.0.0:993, login: "alice"',
    },
  ],
};

const proxyManager: Filter = {
  name: 'nginx-proxy-manager',
  about: 'Nginx Proxy Manager: requests answered with 401 Unauthorized (its access logs)',
  prefixes: ['bare'],
  patterns: [
    {
      name: 'refused',
      tokens: [
        literal('['),
        time,
        literal('] '),
        optional(
          choice('- ', 'HIT ', 'MISS ', 'BYPASS ', 'EXPIRED ', 'STALE ', 'UPDATING ', 'REVALIDATED '),
          until(' '),
          literal(' '),
        ),
        literal('401 - '),
        { kind: 'span', of: { bytes: 'ABCDEFGHIJKLMNOPQRSTUVWXYZ' }, min: 3, max: 16 },
        literal(' '),
        some('alpha', 8),
        literal(' '),
        some('nonspace'),
        literal(' "'),
        until('"', 0),
        literal('" [Client '),
        ip,
        literal(']'),
      ],
      sample:
        '[04/Mar/2025:05:06:07 +0000] - 401 401 - POST https example.org "/login" [Client 192.0.2.7] [Length 172] [Gzip -] [Sent-to 203.0.113.4] "Mozilla/5.0" "-"',
      counter:
        '[04/Mar/2025:05:06:07 +0000] - 200 200 - POST https example.org "/login" [Client 192.0.2.7] [Length 172] [Gzip -] [Sent-to 203.0.113.4] "Mozilla/5.0" "-"',
    },
  ],
};

export const nginx: Filter[] = [
  httpAuth,
  limitReq,
  botsearch,
  badRequest,
  forbidden,
  nginxModsecurity,
  nginxMail,
  proxyManager,
];
