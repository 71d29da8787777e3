/**
 * Apache httpd. do_errorlog_default (server/log.c) writes the error log: `[time] [module:level]
 * [pid P:tid T] [client A:port] message`. Release 2.2 writes no module and no process. The message
 * is escaped; `, referer: R` may follow.
 *
 * The address stands before everything that a client can choose, so no client can forge it. The
 * access log escapes quotes.
 */
import type { Filter, Pattern, Token } from '../compiler/pattern.ts';
import { lineBytesMax } from '../limits.ts';
import { addressHarvesters, forgedAgents, probedPathTokens, rudeCrawlers } from './probes.ts';
import {
  any,
  choice,
  either,
  ip,
  ipPort,
  lineEnd,
  literal,
  optional,
  repeat,
  some,
  textToFirst,
  textToLast,
  time,
  until,
  userToFirst,
  userUntil,
} from './tokens.ts';

/** The cause in the words of the operating system, if there is one, then the client. */
const upToClient: Token[] = [
  optional(literal('('), some('digit', 10), literal(')'), until('[')),
  choice('[client ', '[remote '),
];

/** Many sites add to `ErrorLogFormat` the number of the request (`%L`) and of the connection. */
const numbers: Token = repeat(2, choice('[R:', '[C:'), until(']', 0), literal('] '));

/**
 * Everything up to the message. Release 2.2 writes `[error]`; release 2.4 writes module and
 * process, and a port behind the address.
 */
const errorHead: Token[] = [
  // With `| logger`, httpd's own time stands behind the time of syslog.
  optional(literal('['), time, literal('] ')),
  either([literal('[error] ')], [literal('['), until(' :]', 0), literal(':'), some('word', 16), literal('] ')]),
  either(
    [
      literal('[pid '),
      some('digit', 20),
      optional(literal(':tid '), some('digit', 20)),
      literal('] '),
      numbers,
      ...upToClient,
      either([ipPort], [ip]),
    ],
    [...upToClient, ip, optional(literal(':'), some('digit', 5))],
  ),
  literal('] '),
];

/** httpd's names in syslog. A site may add a name of its own. */
const tags = ['apache*', 'httpd*'];

/** The number of the message. Release 2.2 does not write it. */
const messageNumber: Token = optional(literal('AH'), some('digit', 6), literal(': '));

const message: Token[] = [...errorHead, messageNumber];

/** `Digest: ` and similar. Release 2.2 writes it before messages of mod_auth_digest. */
const scheme: Token = optional(some('alpha', 16), literal(': '));

const at = '[Tue Mar 04 05:06:07.123456 2025]';
const head = (module: string): string =>
  `${at} [${module}:error] [pid 811:tid 140012345678900] [client 192.0.2.7:40122] `;

/**
 * A pattern of the error log: the tokens of its message, a message that matches and one that does
 * not.
 */
const errorPattern = (name: string, module: string, tokens: Token[], sample: string, counter: string): Pattern => ({
  name,
  tokens: [...message, ...tokens],
  sample: head(module) + sample,
  counter: head(module) + counter,
});

const auth: Filter = {
  name: 'apache-auth',
  about: 'Apache: refused users and clients (mode normal: without those that mod_evasive refuses)',
  prefixes: ['time', 'syslog'],
  tags,
  modes: ['normal', 'aggressive'],
  ignore: [
    {
      name: 'mod-evasive',
      modes: ['normal'],
      tokens: [literal('[evasive')],
      sample: `${at} [evasive20:error] [pid 811] [client 192.0.2.7:40122] client denied by server configuration: /srv/www/`,
      counter: `${at} [authz_core:error] [pid 811] [client 192.0.2.7:40122] AH01630: client denied by server configuration: /srv/www/`,
    },
  ],
  patterns: [
    errorPattern(
      'client-denied',
      'authz_core',
      [scheme, choice('client denied by server configuration: ', 'client used wrong authentication scheme')],
      'AH01630: client denied by server configuration: /srv/www/private',
      'AH01626: authorization result of Require all denied: denied',
    ),
    errorPattern(
      'digest-user-refused',
      'auth_digest',
      [
        scheme,
        literal('user `'),
        userUntil("'", 0),
        literal("' in realm `"),
        textToFirst(),
        choice("' not found", "' denied by provider", "' authentication failure", "' authorization failure"),
      ],
      "AH01790: user `alice' in realm `private' not found: /private",
      "AH01613: user `alice' in realm `private': nonce expired",
    ),
    errorPattern(
      'user-refused',
      'auth_basic',
      [
        scheme,
        literal('user '),
        userToFirst(),
        choice(
          ' not found',
          ': authentication failure',
          ': authorization failure',
          ': password mismatch',
          ' denied by provider',
        ),
      ],
      'AH01617: user alice: authentication failure for "/private": Password Mismatch',
      'AH01613: user alice: nonce expired (12.00 seconds old - max lifetime 10.00) - sending new nonce',
    ),
    errorPattern(
      'authorization-failed',
      'authz_owner',
      [literal('Authorization of user '), userToFirst(), literal(' to access '), textToFirst(), literal(' failed')],
      'AH01637: Authorization of user alice to access /private failed, reason: file owner bob does not match.',
      'AH01637: Authorization of user alice to access /private, reason: unknown',
    ),
    errorPattern(
      'user-not-required',
      'authz_user',
      [literal('access to '), textToFirst(), literal(" failed, reason: user '"), userUntil("'", 0), literal("' ")],
      "access to /private failed, reason: user 'alice' does not meet 'require'ments for user/valid-user to be allowed access",
      'access to /private failed, reason: SSL connection required',
    ),
    errorPattern(
      'digest-nonce-invalid',
      'auth_digest',
      [
        scheme,
        literal('invalid nonce '),
        textToFirst(),
        choice(' received - length is not ', ' received - user attempted time travel'),
      ],
      "AH01774: invalid nonce 'abc' received - length is not 52",
      'AH01776: invalid nonce abc received - hash is not def',
    ),
    errorPattern(
      'digest-realm-mismatch',
      'auth_digest',
      [scheme, literal('realm mismatch - got `'), textToFirst(), literal("' but expected ")],
      "AH01788: realm mismatch - got `elsewhere' but expected `private'",
      "AH01787: realm mismatch - got `elsewhere' but no realm specified",
    ),
    errorPattern(
      'digest-field-unknown',
      'auth_digest',
      [scheme, choice('unknown algorithm `', 'invalid qop `'), textToFirst(), literal("' received")],
      "AH01789: unknown algorithm `rot13' received: /private",
      'AH01779: user alice: one-time-nonce mismatch - sending new nonce',
    ),
    errorPattern(
      'server-name-mismatch',
      'ssl',
      [
        choice('Hostname ', 'No hostname '),
        some('nonspace'),
        literal(' provided via SNI'),
        either(
          [literal(', but no hostname provided')],
          [literal(' and hostname '), some('nonspace'), literal(' provided')],
          [literal(' for a name based virtual host')],
        ),
      ],
      'AH02032: Hostname a.example provided via SNI and hostname b.example provided via HTTP have no compatible SSL setup',
      'AH02034: Hostname a.example provided via SNI is known',
    ),
  ],
};

/** How the names of scripts end. */
const extensions = ['php8', 'php7', 'php5', 'php4', 'php', '.aspx', '.asp', '.cgi', '.exe', '.jsp', '.pl'];

/**
 * A script's path: a program that httpd hands to an interpreter, or the folder of such programs.
 */
const script: Token = either(
  [
    choice(...extensions),
    either([{ kind: 'end' }], [{ kind: 'span', of: { name: 'word', not: true }, min: 1, max: lineBytesMax }]),
  ],
  [
    literal('cgi-bin'),
    either([{ kind: 'end' }], [{ kind: 'span', of: { name: 'word', not: true }, min: 1, max: lineBytesMax }]),
  ],
);

const noscript: Filter = {
  name: 'apache-noscript',
  about: 'Apache: requests for scripts on a site that has none',
  prefixes: ['time', 'syslog'],
  tags,
  patterns: [
    errorPattern(
      'script-missing',
      'core',
      [
        choice('File does not exist: /', 'file does not exist: /', 'script not found or unable to stat: /'),
        textToFirst(' '),
        script,
      ],
      'AH01264: script not found or unable to stat: /usr/lib/cgi-bin/shell.pl',
      'AH00128: File does not exist: /srv/www/favicon.ico, referer: https://example.org/index.php',
    ),
    errorPattern(
      'script-missing-for-interpreter',
      'php',
      [literal("script '/"), textToFirst(' '), script],
      "script '/srv/www/shell.php' not found or unable to stat",
      "script '/srv/www/shell.rb' not found or unable to stat, referer: https://example.org/x.php",
    ),
    errorPattern(
      'script-missing-for-cgi',
      'cgi',
      [
        literal('stderr from /'),
        textToFirst(' '),
        either([choice(...extensions)], [literal('cgi-bin'), optional(literal('/'), until('/: \t', 0))]),
        choice(': script not found or unable to stat', ': not found or unable to stat', ': script does not exist'),
      ],
      'AH02811: stderr from /usr/lib/cgi-bin/shell.pl: script not found or unable to stat',
      'AH01215: stderr from /usr/lib/cgi-bin/shell.pl: a file was not found or unable to stat',
    ),
    errorPattern(
      'script-unknown-to-fpm',
      'proxy_fcgi',
      [
        literal("Got error '"),
        either(
          [choice('Primary script unknown', 'primary script unknown'), either([literal("'")], [literal("\\n'")])],
          [literal('Unable to open primary script: ')],
        ),
      ],
      "AH01071: Got error 'Primary script unknown\\n'",
      "AH01071: Got error 'PHP message: Primary script unknown'",
    ),
    errorPattern(
      'script-unknown-to-fastcgi',
      'fastcgi',
      [
        literal('FastCGI: server "'),
        until('"'),
        literal('" stderr: '),
        choice('Primary script unknown', 'Unable to open primary script: '),
      ],
      'FastCGI: server "/usr/lib/cgi-bin/php5-fcgi" stderr: Primary script unknown',
      'FastCGI: server "/usr/lib/cgi-bin/php5-fcgi" stderr: PHP message: Primary script unknown',
    ),
  ],
};

const overflows: Filter = {
  name: 'apache-overflows',
  about: 'Apache: requests that no browser would send: malformed, too long or not HTTP at all',
  prefixes: ['time', 'syslog'],
  tags,
  patterns: [
    errorPattern(
      'request-invalid',
      'core',
      [
        choice(
          'Invalid method in request ',
          'Invalid URI in request ',
          'invalid URI path (',
          'HTTP Request: Unrecognized protocol ',
          'HTTP Request: Invalid method token',
          'HTTP Request: Rejected HTTP/0.9',
          'HTTP Request Line; ',
        ),
      ],
      'AH00135: Invalid method in request \\x16\\x03\\x01',
      'AH00128: File does not exist: /srv/www/Invalid method in request x',
    ),
    errorPattern(
      'request-refused',
      'core',
      [
        literal('request failed: '),
        choice(
          'URI too long (longer than ',
          "client's request-line exceeds LimitRequestLine (longer than ",
          'erroneous characters after protocol string: ',
          'invalid characters in URI',
          'malformed request line',
        ),
      ],
      'AH00565: request failed: URI too long (longer than 8190)',
      'AH00567: request failed: error reading the headers',
    ),
  ],
};

/** Where distributions put a site. */
const siteRoots = choice('/var/www/html/', '/var/www/', '/srv/www/htdocs/', '/srv/www/', '/usr/local/apache2/htdocs/');

const botsearch: Filter = {
  name: 'apache-botsearch',
  about: 'Apache: searches for web applications that are not installed',
  prefixes: ['time', 'syslog'],
  tags,
  patterns: [
    errorPattern(
      'application-missing',
      'core',
      [
        choice('File does not exist: ', 'script not found or unable to stat: ', "script '"),
        siteRoots,
        ...probedPathTokens,
      ],
      'AH00128: File does not exist: /var/www/phpmyadmin',
      'AH00128: File does not exist: /var/www/blog/phpmyadmin',
    ),
  ],
};

const modsecurity: Filter = {
  name: 'apache-modsecurity',
  about: 'Apache: requests that a rule of ModSecurity 2 denied',
  prefixes: ['time', 'syslog'],
  tags,
  patterns: [
    errorPattern(
      'access-denied',
      'security2',
      [
        optional(literal('[client '), until(']'), literal('] ')),
        literal('ModSecurity:'),
        some('space'),
        repeat(
          64,
          literal('['),
          either([some('word', 64), literal(' "'), until('"', 0), literal('"]')], [until(']', 0), literal(']')]),
          any('space'),
        ),
        either(
          [literal('Access denied with code '), choice('4', '5'), some('digit', 2)],
          [literal('Access denied with connection close')],
        ),
      ],
      '[client 192.0.2.7] ModSecurity: Access denied with code 403 (phase 2). Operator EQ matched 0 at REQUEST_HEADERS. [id "1"]',
      '[client 192.0.2.7] ModSecurity: Warning. Pattern match "Access denied with code 403" at ARGS:q. [id "1"]',
    ),
  ],
};

const nohome: Filter = {
  name: 'apache-nohome',
  about: 'Apache: requests for home folders that do not exist',
  prefixes: ['time', 'syslog'],
  tags,
  patterns: [
    errorPattern(
      'home-missing',
      'core',
      [literal('File does not exist: '), textToFirst(' '), literal('/~')],
      'AH00128: File does not exist: /srv/www/~alice',
      'AH00128: File does not exist: /srv/www/alice, referer: https://example.org/~alice/',
    ),
  ],
};

const shellshock: Filter = {
  name: 'apache-shellshock',
  about: 'Apache: functions in environment variables, as the shell of a CGI program reports them',
  prefixes: ['time', 'syslog'],
  tags,
  patterns: [
    errorPattern(
      'function-refused',
      'cgi',
      [
        choice('/bin/sh: ', '/bin/bash: ', '/bin/dash: '),
        either(
          [literal('warning: HTTP_'), until(':'), literal(': ignoring function definition attempt')],
          [literal('error importing function definition for `HTTP_'), until("'"), literal("'")],
        ),
      ],
      'AH01215: /bin/bash: warning: HTTP_TEST: ignoring function definition attempt',
      'AH01215: /bin/bash: warning: setlocale: LC_ALL: cannot change locale',
    ),
  ],
};

const zoneminder: Filter = {
  name: 'zoneminder',
  about: 'ZoneMinder: failed logins (the error log of Apache)',
  prefixes: ['time', 'syslog'],
  tags,
  patterns: [
    errorPattern(
      'login-denied',
      'php7',
      [choice('ERR [', 'WAR ['), choice('Login denied for user "', 'Could not retrieve user ')],
      'ERR [Login denied for user "alice"], referer: https://zm.example.org/',
      'INF [Login successful for user "alice"], referer: https://zm.example.org/',
    ),
  ],
};

/** The combined access format, with or without the site's name before it, up to the user agent. */
const accessUpToAgent: Token[] = [
  either([ip, literal(' - ')], [some('nonspace', 255), literal(' '), ip, literal(' - ')]),
  textToFirst('"'),
  literal(' ['),
  time,
  literal('] "'),
  { kind: 'span', of: { bytes: 'ABCDEFGHIJKLMNOPQRSTUVWXYZ' }, min: 3, max: 16 },
  literal(' '),
  textToFirst(),
  literal(' HTTP/'),
  textToLast(),
  literal(' "'),
];

const agentPattern = (name: string, agents: Token[], agent: string): Pattern => ({
  name,
  tokens: [...accessUpToAgent, ...agents, literal('"'), ...lineEnd],
  sample: `192.0.2.7 - - [04/Mar/2025:05:06:07 +0100] "GET / HTTP/1.1" 200 1045 "-" "${agent}"`,
  counter: `192.0.2.7 - - [04/Mar/2025:05:06:07 +0100] "GET /?a=${agent} HTTP/1.1" 200 1045 "${agent}" "Mozilla/5.0"`,
});

const badbots: Filter = {
  name: 'apache-badbots',
  about: 'Apache: robots that harvest addresses, scan for holes or ignore robots.txt, by their user agent',
  prefixes: ['bare', 'syslog'],
  tags,
  patterns: [
    agentPattern('address-harvester', [choice(...addressHarvesters)], 'EmailSiphon'),
    agentPattern('forged-agent', [choice(...forgedAgents)], 'TrackBack/1.02'),
    agentPattern('rude-crawler', [choice(...rudeCrawlers)], 'sogou spider'),
    agentPattern(
      'hole-scanner',
      [
        optional(literal('Mozilla/'), some('digit', 3), literal('.'), some('digit', 3), literal(' ')),
        literal('Jorgee'),
      ],
      'Mozilla/5.0 Jorgee',
    ),
  ],
};

const urlFopen: Filter = {
  name: 'php-url-fopen',
  about: 'web servers: requests that hand an application the URL of a foreign script',
  prefixes: ['bare', 'syslog'],
  tags,
  patterns: [
    {
      name: 'foreign-script',
      tokens: [
        ip,
        literal(' -'),
        textToFirst('"'),
        literal('"'),
        choice('GET ', 'POST '),
        until('?" '),
        literal('?'),
        textToFirst('" '),
        literal('=http://'),
        textToFirst('"'),
        literal(' HTTP/'),
      ],
      sample:
        '192.0.2.7 - - [04/Mar/2025:05:06:07 +0100] "GET /index.php?n=http://example.org/x.txt? HTTP/1.1" 200 114 "-" "-"',
      counter:
        '192.0.2.7 - - [04/Mar/2025:05:06:07 +0100] "GET /index.php?n=1 HTTP/1.1" 200 114 "http://example.org/?a=http://b HTTP/" "-"',
    },
  ],
};

export const apache: Filter[] = [
  auth,
  badbots,
  noscript,
  overflows,
  botsearch,
  modsecurity,
  nohome,
  shellshock,
  zoneminder,
  urlFopen,
];
