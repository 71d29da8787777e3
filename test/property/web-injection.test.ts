/**
 * Attacker text in every field of the web services' lines that a client chooses. Whatever the text,
 * the filter finds the address that the service wrote for the connection, or none (claims S-*).
 * Lines are built as the services build them, with what they escape, refuse and cut.
 */
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { Filter, Token } from '../../src/compiler/pattern.ts';
import { filters } from '../../src/filters/index.ts';
import { attackerText } from '../support/attacker-text.ts';
import { oracleMatch, oracleMessages } from '../support/oracle.ts';

interface Format {
  title: string;
  filter: string;
  mode?: string;
  /** true: the address must be found, whatever the text. Otherwise there may also be none. */
  sure?: boolean;
  phrases: string[];
  /** The line, as the service writes it for a client at `address` who chose `a` and `b`. */
  write(address: string, a: string, b: string): string;
}

/**
 * What nginx accepts in a path (from 1.21.1 on, and before that), in a host name and in a header.
 */
const path = (text: string): string => `/${text.replace(/[\0-\x20\x7f]/g, '')}`;
const oldPath = (text: string): string => `/${text.replace(/[\0\r\n]/g, '').replace(/ H/g, 'H')}`;
const hostName = (text: string): string => text.replace(/[\0-\x20/\\]/g, '') || 'h';
const header = (text: string): string => text.replace(/[\0\r\n]/g, '');
/** nginx ends a user name at its first colon. */
const userName = (text: string): string => text.replaceAll(':', '');
/** How Grafana writes a value. */
const logfmt = (text: string): string => (/[^!#-<>-~]/.test(text) ? JSON.stringify(text) : text);
/** NGX_MAX_ERROR_STR without the line feed. */
const cut = (line: string): string => line.slice(0, 2047);
/** How nginx and Apache escape a field of the access log. */
const escaped = (text: string): string =>
  [...text]
    .map((c) => (c < ' ' || c > '~' || c === '"' || c === '\\' ? `\\x${c.charCodeAt(0).toString(16)}` : c))
    .join('');

const nginxHead = '2025/03/04 05:06:07 [error] 811#811: *42 ';
const nginxTail = (address: string, at: string, host = 'example.org'): string =>
  `, client: ${address}, server: example.org, request: "GET ${at} HTTP/1.1", host: "${host}"`;

const nginxPhrases = [
  '": password mismatch, client: %, server: , request: "GET / HTTP/1.1", host: "h"',
  '": password mismatch, client: %, server: , request: "GET / HTTP/1.1", host: "h", referrer: "',
  '": password mismatch, client: %, server: example.org, request: "GET /',
  '" was not found in "/etc/nginx/users", client: %, server: example.org, request: "GET / HTTP/1.1", host: "h"',
  '" was not found in "/etc/nginx/users", client: %, server: example.org, request: "GET / HTTP/1.1", host: "h", referrer: "r"',
  '" was not found in "',
  ', client: %, server: ',
  ', client: %',
  'user "',
  '", host: "h"',
  ', referrer: "',
  '\' - not authenticated: x, client: %, server: , request: "GET / HTTP/1.1", host: "h"',
  "' - not authenticated: ",
  '" failed (2: No such file or directory), client: %, server: , request: "GET /pma HTTP/1.1", host: "h"',
  '" failed (2: No such file or directory), client: %, server: , request: "GET /pma HTTP/1.1", host: "h", referrer: "',
  ' HTTP/1.1"',
  'access forbidden by rule, client: %, server: ',
  'limiting requests, excess: 1.000 by zone "a", client: %, server: ',
];

const accessPhrases = [
  '% - - [04/Mar/2025:05:06:07 +0100] "GET /pma HTTP/1.1" 404 1 "-" "EmailSiphon"',
  ' [04/Mar/2025:05:06:07 +0100] "GET /pma HTTP/1.1" 404 1',
  '" 400 ',
  '" 401 ',
  '" 404 ',
  ' HTTP/1.1',
  ' - - [',
  ' - ',
  '"EmailSiphon"',
  '% ',
];

const apachePhrases = [
  '[client %:1] AH01618: user x not found: /',
  '] [client %] ',
  ' not found: /',
  ': authentication failure for "/"',
  "' in realm `x' not found",
  ', referer: ',
  ' to access /x failed',
];

const formats: Format[] = [
  ...['": password mismatch', '" was not found in "/etc/nginx/users"'].flatMap((refusal): Format[] => [
    {
      title: `${refusal}: user`,
      filter: 'nginx-http-auth',
      phrases: nginxPhrases,
      write: (address, a) => cut(`${nginxHead}user "${userName(a)}${refusal}${nginxTail(address, '/')}`),
    },
    {
      title: `${refusal}: user and referrer`,
      filter: 'nginx-http-auth',
      phrases: nginxPhrases,
      write: (address, a, b) =>
        cut(`${nginxHead}user "${userName(a)}${refusal}${nginxTail(address, '/')}, referrer: "${header(b)}"`),
    },
    {
      title: `${refusal}: path and host`,
      filter: 'nginx-http-auth',
      sure: true,
      phrases: nginxPhrases,
      write: (address, a, b) => cut(`${nginxHead}user "alice${refusal}${nginxTail(address, path(a), hostName(b))}`),
    },
    {
      title: `${refusal}: path with blanks and referrer`,
      filter: 'nginx-http-auth',
      sure: true,
      phrases: nginxPhrases,
      write: (address, a, b) =>
        cut(`${nginxHead}user "alice${refusal}${nginxTail(address, oldPath(a))}, referrer: "${header(b)}"`),
    },
    {
      title: `${refusal}: host and referrer`,
      filter: 'nginx-http-auth',
      sure: true,
      phrases: nginxPhrases,
      write: (address, a, b) =>
        cut(`${nginxHead}user "alice${refusal}${nginxTail(address, '/', hostName(a))}, referrer: "${header(b)}"`),
    },
    {
      title: `${refusal}: user and path with blanks`,
      filter: 'nginx-http-auth',
      phrases: nginxPhrases,
      write: (address, a, b) => cut(`${nginxHead}user "${userName(a)}${refusal}${nginxTail(address, oldPath(b))}`),
    },
  ]),
  {
    title: 'PAM: user and referrer',
    filter: 'nginx-http-auth',
    phrases: nginxPhrases,
    write: (address, a, b) =>
      cut(
        `${nginxHead}PAM: user '${userName(a)}' - not authenticated: Authentication failure${nginxTail(address, '/')}, referrer: "${header(b)}"`,
      ),
  },
  {
    title: 'PAM: path with blanks and host',
    filter: 'nginx-http-auth',
    sure: true,
    phrases: nginxPhrases,
    write: (address, a, b) =>
      cut(
        `${nginxHead}PAM: user 'alice' - not authenticated: Authentication failure${nginxTail(address, oldPath(a), hostName(b))}`,
      ),
  },
  {
    title: 'limited requests: path and host',
    filter: 'nginx-limit-req',
    sure: true,
    phrases: nginxPhrases,
    write: (address, a, b) =>
      cut(`${nginxHead}limiting requests, excess: 5.120 by zone "z"${nginxTail(address, oldPath(a), hostName(b))}`),
  },
  {
    title: 'forbidden: path and host',
    filter: 'nginx-forbidden',
    sure: true,
    phrases: nginxPhrases,
    write: (address, a, b) => cut(`${nginxHead}access forbidden by rule${nginxTail(address, oldPath(a), hostName(b))}`),
  },
  ...['nginx-limit-req', 'nginx-forbidden', 'nginx-botsearch'].map(
    (filter): Format => ({
      title: `a missing file's name (${filter})`,
      filter,
      phrases: nginxPhrases,
      write: (address, a, b) =>
        cut(
          `${nginxHead}open() "/srv/www/${a}" failed (2: No such file or directory)${nginxTail(address, `/pma/${path(b)}`)}`,
        ),
    }),
  ),
  {
    title: 'a missing file and a referrer',
    filter: 'nginx-botsearch',
    phrases: nginxPhrases,
    write: (address, a, b) =>
      cut(
        `${nginxHead}open() "/srv/www/${a}" failed (2: No such file or directory)${nginxTail(address, '/pma')}, referrer: "${header(b)}"`,
      ),
  },
  ...[
    ['nginx-bad-request', '400'],
    ['nginx-botsearch', '404'],
  ].map(
    ([filter, status]): Format => ({
      title: `access log, ${status}: user, agent`,
      filter: filter as string,
      sure: true,
      phrases: accessPhrases,
      write: (address, a, b) =>
        `${address} - ${escaped(a)} [04/Mar/2025:05:06:07 +0100] "GET /pma HTTP/1.1" ${status} 1 "-" "${escaped(b)}"`,
    }),
  ),
  {
    title: 'access log: request and agent',
    filter: 'nginx-botsearch',
    phrases: accessPhrases,
    write: (address, a, b) => `${address} - - [04/Mar/2025:05:06:07 +0100] "${escaped(a)}" 404 1 "-" "${escaped(b)}"`,
  },
  {
    title: 'Apache access log: user and referer',
    filter: 'apache-badbots',
    sure: true,
    phrases: accessPhrases,
    write: (address, a, b) =>
      `${address} - ${escaped(a)} [04/Mar/2025:05:06:07 +0100] "GET / HTTP/1.1" 200 1 "${escaped(b)}" "EmailSiphon"`,
  },
  {
    title: 'Apache access log: request and agent',
    filter: 'apache-badbots',
    phrases: accessPhrases,
    write: (address, a, b) => `${address} - - [04/Mar/2025:05:06:07 +0100] "${escaped(a)}" 200 1 "-" "${escaped(b)}"`,
  },
  {
    title: 'Apache: user not found',
    filter: 'apache-auth',
    sure: true,
    phrases: apachePhrases,
    write: (address, a, b) =>
      `[Tue Mar 04 05:06:07.123456 2025] [auth_basic:error] [pid 811] [client ${address}:4012] AH01618: user ${escaped(a)} not found: /x, referer: ${escaped(b)}`,
  },
  ...['apache-noscript', 'apache-botsearch', 'apache-nohome', 'apache-overflows', 'apache-modsecurity'].map(
    (filter): Format => ({
      title: `Apache: a missing file (${filter})`,
      filter,
      phrases: [
        ...apachePhrases,
        "script '/",
        '.php',
        '/~',
        '/var/www/pma',
        'ModSecurity: Access denied with code 403',
      ],
      write: (address, a, b) =>
        `[Tue Mar 04 05:06:07.123456 2025] [core:info] [pid 811] [client ${address}:4012] AH00128: File does not exist: /${escaped(a)}, referer: ${escaped(b)}`,
    }),
  ),
  ...['plain', 'repeated'].map(
    (kind): Format => ({
      title: `Roundcube: user name, ${kind} by the mail server, and path`,
      filter: 'roundcube-auth',
      phrases: [
        ' from %. AUTHENTICATE PLAIN: ',
        ' from %. LOGIN: x',
        ' from %',
        ' from %. Authentication failed. in /a.php on line 1 (POST /x)',
        ' in session x (error: 1)',
        ' (X-Forwarded-For: %)',
        ' against x',
        ' (POST /x)',
        'Failed login for ',
      ],
      write: (address, a, b) =>
        `Mar  4 05:06:07 mail roundcube: IMAP Error: Login failed for ${a} from ${address}. AUTHENTICATE PLAIN: NO Login failed.${
          kind === 'plain' ? '' : ` user=${a}`
        } in /srv/rcube_imap.php on line 200 (POST ${path(b)})`,
    }),
  ),
  ...[
    { log: 'logins', rest: ' in session 0a1b (error: 0)' },
    { log: 'errors', rest: '. LOGIN: Login failed. in /srv/rcube_imap.php on line 200 (POST /)' },
  ].map(
    ({ log, rest }): Format => ({
      title: `Roundcube: forwarded headers in the log of ${log}`,
      filter: 'roundcube-auth',
      phrases: [
        ' from %. AUTHENTICATE PLAIN: ',
        ' from %',
        ' from % (X-Real-IP: x',
        ' from % (X-Forwarded-For: x)',
        ') in session x (error: 1)',
        '). LOGIN: x',
        ' in session x',
      ],
      write: (address, a, b) =>
        `[04-Mar-2025 05:06:07 +0100]: ${log === 'errors' ? 'IMAP Error: Login failed' : 'Failed login'} for ${a.slice(0, 256)} from ${address} (X-Forwarded-For: ${b})${rest}`,
    }),
  ),
  {
    title: 'Roundcube: the log of logins',
    filter: 'roundcube-auth',
    sure: true,
    phrases: [' from % in session x (error: 1)', ' from %', ' in session x (error: 0)'],
    write: (address, a) =>
      `[04-Mar-2025 05:06:07 +0100]: <k3v9> Failed login for ${a.slice(0, 256)} from ${address} in session 0a1b (error: 0)`,
  },
  {
    title: 'Webmin: user name',
    filter: 'webmin-auth',
    sure: true,
    phrases: [' from %', 'Invalid login as x from %'],
    write: (address, a) => `Mar  4 05:06:07 host webmin[811]: Invalid login as ${a} from ${address}`,
  },
  {
    title: 'phpMyAdmin: user name',
    filter: 'phpmyadmin-syslog',
    sure: true,
    phrases: [' (mysql-denied) from %', ' from %', 'user denied: '],
    write: (address, a) => `Mar  4 05:06:07 host phpMyAdmin[811]: user denied: ${a} (mysql-denied) from ${address}`,
  },
  {
    title: 'Traefik: user name and path',
    filter: 'traefik-auth',
    mode: 'aggressive',
    sure: true,
    phrases: accessPhrases,
    write: (address, a, b) =>
      `${address} - x${header(a)} [04/Mar/2025:05:06:07 +0000] "GET ${path(b)} HTTP/2.0" 401 17 "-" "-" 72 "d" "-" 0ms`,
  },
  {
    title: 'HAProxy: request',
    filter: 'haproxy-http-auth',
    sure: true,
    phrases: [' %:1 [x] a b/<NOSRV> -1/-1/-1/-1/0 401 ', '<NOSRV>'],
    write: (address, a) =>
      `Mar  4 05:06:07 proxy haproxy[811]: ${address.includes('.') ? address : '192.0.2.9'}:58430 [04/Mar/2025:05:06:07.608] www www/<NOSRV> -1/-1/-1/-1/0 401 248 - - PR-- 0/0/0/0/0 0/0 "${a}"`,
  },
  {
    title: 'Squid: URL',
    filter: 'squid',
    sure: true,
    phrases: [' % TCP_DENIED/403 ', 'TCP_DENIED/403 '],
    write: (address, a) => `1741061167.123      4 ${address} TCP_DENIED/403 4099 GET ${a} - HIER_NONE/- text/html`,
  },
  {
    title: 'Vaultwarden: user name',
    filter: 'vaultwarden',
    sure: true,
    phrases: ['. IP: %. Username: x', ' IP: %', '[ERROR] Invalid admin token. IP: %'],
    write: (address, a) =>
      `[2025-03-04 05:06:07.129][vaultwarden::api::identity][ERROR] Username or password is incorrect. Try again. IP: ${address}. Username: ${a}.`,
  },
  {
    title: 'Grafana: error text',
    filter: 'grafana',
    sure: true,
    phrases: [' remote_addr=%', ' remote_addr=% traceID=', 'msg="Invalid username or password"'],
    write: (address, a) =>
      `t=2025-03-04T05:06:07+0100 lvl=eror msg="Invalid username or password" logger=context userId=0 orgId=0 uname= error=${JSON.stringify(a)} remote_addr=${address}`,
  },
  {
    title: 'Grafana: path and referer',
    filter: 'grafana',
    phrases: [
      ' remote_addr=%',
      ' status=401',
      ' status=401 remote_addr=% ',
      '" status=401 remote_addr=% ',
      '\\',
      ' errorMessageID=password-auth.failed',
    ],
    write: (address, a, b) =>
      `logger=context userId=0 orgId=0 uname= t=2025-03-04T05:06:07Z level=info msg="Request Completed" method=POST path=${logfmt(`/${a}`)} status=401 remote_addr=${address} time_ms=1 referer=${logfmt(b)} errorMessageID=password-auth.failed`,
  },
  {
    title: 'Traefik in JSON: user name and path',
    filter: 'traefik-auth',
    mode: 'aggressive',
    sure: true,
    phrases: [
      '","DownstreamContentSize":1,"DownstreamStatus":401,',
      '{"ClientAddr":"%:1","ClientHost":"%"',
      '","ClientHost":"%',
    ],
    write: (address, a, b) =>
      JSON.stringify({
        ClientAddr: `${address}:1`,
        ClientHost: address,
        ClientPort: '1',
        ClientUsername: `x${a}`,
        DownstreamContentSize: 17,
        DownstreamStatus: 401,
        RequestPath: path(b),
      }),
  },
  {
    title: 'GitLab: user name',
    filter: 'gitlab',
    sure: true,
    phrases: [' ip=%', ': Failed Login: username=x ip=%'],
    write: (address, a) => `2025-03-04T05:06:07.123Z: Failed Login: username=${a} ip=${address}`,
  },
  {
    title: 'GitLab in JSON: user name',
    filter: 'gitlab',
    sure: true,
    phrases: [' ip=%', ' ip=%"}', '","message":"Failed Login: username=x ip=%"}'],
    write: (address, a) =>
      JSON.stringify({
        severity: 'INFO',
        time: '2025-03-04T05:06:07.123Z',
        correlation_id: '01JNF2',
        message: `Failed Login: username=${a} ip=${address}`,
      }),
  },
];

/** Runs of each format; WEB_INJECTION_RUNS for a longer hunt. */
const numRuns = Number(process.env.WEB_INJECTION_RUNS ?? 300);

const honest = fc.constantFrom('192.0.2.7', '198.51.100.9', '2001:db8::7', '2001:db8:1:2:3:4:5:6');

const named = (name: string): Filter => filters.find((filter) => filter.name === name) as Filter;

/** Only brackets tell a client's own IPv6 address apart from the port beside it. */
const written = ({ filter }: Format, address: string): string =>
  filter.startsWith('apache') && filter !== 'apache-badbots' && address.includes(':') ? `[${address}]` : address;

function hold(filter: Filter, format: Format): void {
  fc.assert(
    fc.property(honest, attackerText(format.phrases), attackerText(format.phrases), (address, a, b) => {
      const line = Buffer.from(format.write(written(format, address), a, b), 'latin1');
      for (const message of oracleMessages(filter, line)) {
        const found = oracleMatch(filter, message, format.mode);
        if (found === null) continue;
        if (found.ignored) return;
        expect(message.toString('latin1', ...(found.address ?? [0, 0]))).toBe(
          format.filter === 'haproxy-http-auth' && address.includes(':') ? '192.0.2.9' : address,
        );
        return;
      }
      expect(format.sure, 'not recognised').not.toBe(true);
    }),
    { numRuns },
  );
}

describe('attacker text never chooses the address', () => {
  test.each(formats)('$filter: $title', (format) => hold(named(format.filter), format));
});

test('the same property fails on filters that take the first address and leave the end open', () => {
  const rewrite = (token: Token): Token => {
    if (token.kind === 'text') return { ...token, from: 'left' };
    return token.kind === 'end' ? { kind: 'optional', tokens: [token] } : token;
  };
  for (const name of ['webmin-auth', 'phpmyadmin-syslog', 'gitlab']) {
    const filter = named(name);
    const patterns = filter.patterns.map((pattern) => ({ ...pattern, tokens: pattern.tokens.map(rewrite) }));
    const format = formats.find((one) => one.filter === name) as Format;
    expect(() => hold({ ...filter, patterns }, format), name).toThrow('Property failed');
  }
});
