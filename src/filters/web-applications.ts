/**
 * Web applications that write failed logins to a log themselves. Text in a JSON string or in quotes
 * is escaped there. A name that is not escaped can stand on one side of the address only. Where it
 * can stand on both sides, it is read up to its first blank, since no account here has a blank in
 * its name.
 *
 * Some applications write an address from the header of a proxy (SOGo, Nextcloud, Authelia,
 * Jellyfin, Home Assistant, Immich, Mattermost). The application's own configuration says which
 * proxies it believes.
 */
import type { Filter, Token } from '../compiler/pattern.ts';
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
  run,
  some,
  textToFirst,
  textToLast,
  time,
  until,
  userToFirst,
  userToLast,
  userUntil,
} from './tokens.ts';

const digits = some('digit', 10);
const word = some('nonspace');
const upper = run('ABCDEFGHIJKLMNOPQRSTUVWXYZ');

const bitwarden: Filter = {
  name: 'bitwarden',
  about: 'Bitwarden server: failed logins',
  prefixes: ['time', 'syslog'],
  tags: ['Bitwarden-Identity', 'bitwarden-identity'],
  patterns: [
    {
      name: 'login-failed',
      tokens: [
        any('space', 8),
        literal('['),
        either([choice('WRN]', 'Warning]')], [literal('Bit.Core.'), until(']'), literal(']')]),
        some('space', 8),
        literal('Failed login attempt'),
        optional(literal(', 2FA invalid')),
        literal('. '),
        ip,
        ...lineEnd,
      ],
      sample: '2025-03-04 05:06:07.464 +01:00 [WRN] Failed login attempt, 2FA invalid. 192.0.2.7',
      counter: '2025-03-04 05:06:07.464 +01:00 [INF] Login of 192.0.2.7',
    },
  ],
};

const drupal: Filter = {
  name: 'drupal-auth',
  about: 'Drupal: failed logins, through its syslog module',
  prefixes: ['syslog'],
  patterns: [
    {
      name: 'login-failed',
      tokens: [
        choice('https://', 'http://'),
        until('|'),
        literal('|'),
        until('|'),
        literal('|'),
        until('|'),
        literal('|'),
        ip,
        literal('|'),
        textToLast(),
        literal('|Login attempt failed '),
        choice('for ', 'from '),
        userUntil('|'),
        { kind: 'end' },
      ],
      sample:
        'Mar  4 05:06:07 web drupal: https://example.org|1741061167|user|192.0.2.7|https://example.org/user|https://example.org/user|0||Login attempt failed for alice.',
      counter:
        'Mar  4 05:06:07 web drupal: https://example.org|1741061167|user|192.0.2.7|https://example.org/user|https://example.org/user|1||Session opened for alice.',
    },
  ],
};

const froxlor: Filter = {
  name: 'froxlor-auth',
  about: 'Froxlor: failed logins',
  prefixes: ['syslog'],
  tags: ['froxlor', 'Froxlor'],
  patterns: [
    {
      name: 'login-failed',
      tokens: [
        literal('froxlor.WARNING: '),
        textToLast(),
        literal(' tried to login'),
        optional(literal(' with wrong password')),
        literal('. {'),
        repeat(5, literal('"'), until('"'), literal('":"'), until('"', 0), literal('",')),
        literal('"user":"'),
        ip,
        literal('"} []'),
        ...lineEnd,
      ],
      sample:
        'Mar  4 05:06:07 web froxlor[811]: froxlor.WARNING: User tried to login with wrong password. {"source":"login","action":"50","user":"192.0.2.7"} []',
      counter:
        'Mar  4 05:06:07 web froxlor[811]: froxlor.INFO: logged in {"source":"login","action":"50","user":"192.0.2.7"} []',
    },
    {
      name: 'login-refused',
      tokens: [literal('[Login Action '), ip, literal('] '), textToFirst(), literal(' tried to login')],
      sample: "Mar  4 05:06:07 web Froxlor: [Login Action 192.0.2.7] Unknown user 'alice' tried to login.",
      counter: 'Mar  4 05:06:07 web Froxlor: [Login Action 192.0.2.7] logged in',
    },
  ],
};

const groupoffice: Filter = {
  name: 'groupoffice',
  about: 'Group-Office: failed logins',
  prefixes: ['time'],
  patterns: [
    {
      name: 'login-failed',
      tokens: [literal('LOGIN FAILED for user: "'), userToLast(), literal('" from IP: '), ip, ...lineEnd],
      sample: '[2025-03-04 05:06:07]LOGIN FAILED for user: "alice" from IP: 192.0.2.7',
      counter: '[2025-03-04 05:06:07]LOGIN SUCCESS for user: "alice" from IP: 192.0.2.7',
    },
  ],
};

const guacamole: Filter = {
  name: 'guacamole',
  about: 'Apache Guacamole: failed logins',
  prefixes: ['bare', 'syslog'],
  tags: ['tomcat*', 'guacamole*', 'server'],
  patterns: [
    {
      name: 'login-failed',
      tokens: [
        either(
          [literal('WARNING: ')],
          [
            run('0123456789:.,'),
            literal(' ['),
            until(']'),
            literal('] WARN'),
            any('alpha', 4),
            some('space', 4),
            word,
            literal(' - '),
          ],
        ),
        literal('Authentication attempt from '),
        ip,
        literal(' for user "'),
        userToLast(),
        literal('" failed.'),
      ],
      sample:
        '05:06:07.907 [http-nio-8080-exec-10] WARN  o.a.g.r.auth.AuthenticationService - Authentication attempt from 192.0.2.7 for user "alice" failed.',
      counter:
        '05:06:07.907 [http-nio-8080-exec-10] INFO  o.a.g.r.auth.AuthenticationService - User "alice" successfully authenticated from 192.0.2.7.',
    },
  ],
};

const monitorix: Filter = {
  name: 'monitorix',
  about: 'Monitorix: refused requests and logins of its own web server',
  prefixes: ['time'],
  patterns: [
    {
      name: 'refused',
      tokens: [optional(literal('- ')), choice('NOTEXIST', 'AUTHERR', 'NOTALLOWED'), literal(' - '), ip, literal(' ')],
      sample: 'Tue Mar  4 05:06:07 2025 - AUTHERR - [192.0.2.7] Authentication error.',
      counter: 'Tue Mar  4 05:06:07 2025 - OK - [192.0.2.7] "GET / HTTP/1.1"',
    },
  ],
};

const openhab: Filter = {
  name: 'openhab',
  about: 'openHAB: wrong user or password, from its request log',
  prefixes: ['bare'],
  patterns: [
    {
      name: 'refused',
      tokens: [
        ip,
        run(' -'),
        literal('['),
        until(']'),
        literal('] "'),
        upper,
        literal(' '),
        textToFirst(),
        literal('" 401 '),
        digits,
        ...lineEnd,
      ],
      sample: '192.0.2.7 -  -  [04/mars/2025:05:06:07 +0100] "GET /rest/items HTTP/1.1" 401 1384',
      counter: '192.0.2.7 -  -  [04/mars/2025:05:06:07 +0100] "GET /rest/items HTTP/1.1" 200 1384',
    },
  ],
};

const directadmin: Filter = {
  name: 'directadmin',
  about: 'DirectAdmin: failed logins',
  prefixes: ['bare'],
  patterns: [
    {
      name: 'login-failed',
      tokens: [run('0123456789:-'), literal(" '"), ip, literal("' "), digits, literal(' failed login attempt')],
      sample: "2025:03:04-05:06:07: '192.0.2.7' 2 failed login attempts. Account 'alice' via 'admin'",
      counter: "2025:03:04-05:06:07: '192.0.2.7' successful login to 'alice' after 1 attempts",
    },
  ],
};

const centreon: Filter = {
  name: 'centreon',
  about: 'Centreon: failed logins',
  prefixes: ['time'],
  patterns: [
    {
      name: 'login-failed',
      tokens: [
        literal('|'),
        run('-0123456789'),
        literal('|'),
        run('-0123456789'),
        literal('|'),
        run('-0123456789'),
        literal('|['),
        until(']', 0),
        literal('] ['),
        ip,
        literal("] Authentication failed for '"),
      ],
      sample: "2025-03-04 05:06:07|-1|0|0|[WEB] [192.0.2.7] Authentication failed for 'alice' : password mismatch",
      counter: "2025-03-04 05:06:07|1|0|0|[WEB] [192.0.2.7] Authentication succeeded for 'alice'",
    },
  ],
};

const tine20: Filter = {
  name: 'tine20',
  about: 'Tine 2.0: failed logins',
  prefixes: ['bare'],
  patterns: [
    {
      name: 'login-failed',
      tokens: [
        some('hex', 64),
        literal(' '),
        some('hex', 64),
        literal(' '),
        textToLast(),
        literal(' - '),
        time,
        literal(' WARN ('),
        digits,
        literal('): Tinebase_Controller::login::'),
        digits,
        literal(' Login with username '),
        userToLast(),
        literal(' from '),
        ip,
        literal(' failed ('),
        choice('-1', '-3'),
        literal(')!'),
        ...lineEnd,
      ],
      sample:
        '78017 00cff -- none -- - 2025-03-04T05:06:07+00:00 WARN (4): Tinebase_Controller::login::106 Login with username alice from 192.0.2.7 failed (-1)!',
      counter:
        '78017 00cff -- none -- - 2025-03-04T05:06:07+00:00 INFO (6): Tinebase_Controller::login::106 Login with username alice from 192.0.2.7 succeeded.',
    },
  ],
};

/** What stands before and behind Horde's message: Horde 3 to 5, in syslog and in log files. */
const hordeHead = (...names: string[]): Token[] => [
  optional(choice('ERR: ', 'INFO: ')),
  optional(literal('HORDE ')),
  optional(literal('[error] ')),
  literal('['),
  choice(...names),
  literal('] FAILED LOGIN for '),
];
/** A header, which the client itself may have sent. */
const hordeForwarded = optional(optional(literal(' ')), literal('(forwarded for ['), until('[]', 0), literal('])'));
const hordeTail: Token[] = [
  literal(' ['),
  optional(literal('pid '), digits, literal(' ')),
  literal('on line '),
  digits,
  literal(' of '),
  until(' \t]'),
  literal(']'),
  ...lineEnd,
];
const horde: Filter = {
  name: 'horde',
  about: 'Horde: failed logins',
  prefixes: ['time', 'syslog'],
  tags: ['HORDE'],
  patterns: [
    {
      name: 'login-failed',
      tokens: [
        ...hordeHead('horde', 'imp'),
        userToLast(),
        literal(' ['),
        ip,
        literal(']'),
        hordeForwarded,
        literal(' to '),
        either([literal('Horde')], [literal('{'), until('{}'), literal('}')]),
        ...hordeTail,
      ],
      sample:
        'Mar  4 05:06:07 HORDE [error] [horde] FAILED LOGIN for alice [192.0.2.7] to Horde [on line 116 of "/srv/horde/login.php"]',
      counter:
        'Mar  4 05:06:07 HORDE [notice] [horde] Login success for alice [192.0.2.7] to Horde [on line 116 of "/srv/horde/login.php"]',
    },
    {
      // IMP writes this since 6.2.
      name: 'mail-login-failed',
      tokens: [
        ...hordeHead('imp'),
        userToLast(),
        literal(' ('),
        ip,
        literal(')'),
        hordeForwarded,
        literal(' to {'),
        until('{}'),
        literal('}'),
        ...hordeTail,
      ],
      sample:
        'Mar  4 05:06:07 host HORDE: [imp] FAILED LOGIN for alice (192.0.2.7) to {imap://localhost/} [pid 811 on line 157 of "/srv/horde/imp/lib/Auth.php"]',
      counter:
        'Mar  4 05:06:07 host HORDE: [imp] Login success for alice (192.0.2.7) to {imap://localhost/} [pid 811 on line 157 of "/srv/horde/imp/lib/Auth.php"]',
    },
    {
      // Horde writes this since 5.
      name: 'login-to-failed',
      tokens: [
        ...hordeHead('horde'),
        userToLast(),
        literal(' to '),
        until(' ()'),
        literal(' ('),
        ip,
        literal(')'),
        hordeForwarded,
        ...hordeTail,
      ],
      sample:
        'Mar  4 05:06:07 host HORDE: [horde] FAILED LOGIN for alice to horde (192.0.2.7) [pid 811 on line 198 of "/srv/horde/login.php"]',
      counter:
        'Mar  4 05:06:07 host HORDE: [horde] Login success for alice to horde (192.0.2.7) [pid 811 on line 198 of "/srv/horde/login.php"]',
    },
  ],
};

const squirrelmail: Filter = {
  name: 'squirrelmail',
  about: 'SquirrelMail: failed logins, through its plugin squirrel_logger',
  prefixes: ['bare'],
  patterns: [
    {
      name: 'login-failed',
      tokens: [
        run('0123456789/'),
        literal(' '),
        run('0123456789:'),
        literal(' [LOGIN_ERROR]'),
        userToLast(),
        literal(' from '),
        ip,
        literal(': Unknown user or password incorrect.'),
        ...lineEnd,
      ],
      sample:
        '03/04/2025 05:06:07 [LOGIN_ERROR] alice (example.org) from 192.0.2.7: Unknown user or password incorrect.',
      counter: '03/04/2025 05:06:07 [LOGIN] alice (example.org) from 192.0.2.7: ',
    },
  ],
};

const openwebmail: Filter = {
  name: 'openwebmail',
  about: 'Open WebMail: failed logins',
  prefixes: ['time'],
  patterns: [
    {
      name: 'login-failed',
      tokens: [
        literal('- ['),
        digits,
        literal('] ('),
        ip,
        literal(') '),
        word,
        choice(
          ' - login error - no such user',
          ' - login error - auth_unix.pl, ret -4, Password incorrect',
          ' - userinfo error - auth_unix.pl, ret -4, User ',
        ),
      ],
      sample:
        'Tue Mar  4 05:06:07 2025 - [811] (192.0.2.7) alice - login error - auth_unix.pl, ret -4, Password incorrect',
      counter: 'Tue Mar  4 05:06:07 2025 - [811] (192.0.2.7) alice - login - sid',
    },
  ],
};

const sogo: Filter = {
  name: 'sogo-auth',
  about: 'SOGo: failed logins',
  prefixes: ['time', 'syslog'],
  tags: ['sogod', 'sogo'],
  patterns: [
    {
      name: 'login-failed',
      tokens: [
        optional(literal('sogod ['), digits, literal(']: ')),
        literal("SOGoRootPage Login from '"),
        ip,
        optional(literal(','), until("'")),
        literal("' for user '"),
        userToFirst(),
        literal("' might not have worked"),
      ],
      sample:
        "Mar  4 05:06:07 sogod [811]: SOGoRootPage Login from '192.0.2.7' for user 'alice' might not have worked - password policy: 65535  grace: -1  expire: -1  bound: 0",
      counter: "Mar  4 05:06:07 sogod [811]: SOGoRootPage successful login from '192.0.2.7' for user 'alice'",
    },
  ],
};

const nextcloud: Filter = {
  name: 'nextcloud',
  about: 'Nextcloud: failed logins and second factors (nextcloud.log, or its syslog)',
  prefixes: ['bare', 'syslog'],
  tags: ['Nextcloud', 'nextcloud'],
  patterns: [
    {
      name: 'login-failed',
      tokens: [
        literal('{"reqId":"'),
        until('"', 0),
        literal('","level":'),
        digits,
        literal(',"time":"'),
        either([time], [until('"')]),
        literal('","remoteAddr":"'),
        ip,
        literal('"'),
        textToFirst(),
        choice('"message":"Login failed: ', '"message":"Two-factor challenge failed: '),
      ],
      sample:
        '{"reqId":"q1","level":2,"time":"2025-03-04T05:06:07+00:00","remoteAddr":"192.0.2.7","user":"--","app":"core","method":"POST","url":"/login","message":"Login failed: alice (Remote IP: 192.0.2.7)","userAgent":"x","version":"30.0.0.1"}',
      counter:
        '{"reqId":"q1","level":2,"time":"2025-03-04T05:06:07+00:00","remoteAddr":"192.0.2.7","user":"--","app":"core","method":"POST","url":"/\\"message\\":\\"Login failed: ","message":"Not found","userAgent":"x","version":"30.0.0.1"}',
    },
  ],
};

const factor = choice('1FA', 'TOTP', 'Duo', 'WebAuthn', 'Webauthn', 'U2F', 'passkey');
const authelia: Filter = {
  name: 'authelia',
  about: 'Authelia: wrong passwords and second factors',
  prefixes: ['bare', 'syslog'],
  tags: ['authelia'],
  patterns: [
    {
      name: 'attempt-failed',
      tokens: [
        literal('time="'),
        time,
        literal('" level=error msg="Unsuccessful '),
        factor,
        literal(' authentication attempt by user '),
        textToLast(),
        literal(' remote_ip='),
        ip,
        ...lineEnd,
      ],
      sample: `time="2025-03-04T05:06:07Z" level=error msg="Unsuccessful 1FA authentication attempt by user 'alice'" method=POST path=/api/firstfactor remote_ip=192.0.2.7`,
      counter: `time="2025-03-04T05:06:07Z" level=debug msg="Successful 1FA authentication attempt made by user 'alice'" method=POST path=/api/firstfactor remote_ip=192.0.2.7`,
    },
    {
      name: 'attempt-failed-json',
      tokens: [
        literal('{'),
        textToFirst(),
        literal('"msg":"Unsuccessful '),
        factor,
        literal(' authentication attempt by user '),
        textToLast(),
        literal('"remote_ip":"'),
        ip,
        literal('","time":"'),
        until('"'),
        literal('"}'),
        ...lineEnd,
      ],
      sample: `{"level":"error","method":"POST","msg":"Unsuccessful TOTP authentication attempt by user 'alice'","path":"/api/secondfactor/totp","remote_ip":"192.0.2.7","time":"2025-03-04T05:06:07Z"}`,
      counter: `{"level":"debug","method":"POST","msg":"Successful 1FA authentication attempt made by user 'alice'","path":"/api/firstfactor","remote_ip":"192.0.2.7","time":"2025-03-04T05:06:07Z"}`,
    },
  ],
};

const keycloakError = choice('invalid_user_credentials', 'user_not_found', 'invalid_client_credentials');
/**
 * The values stand before the address. The client chooses its id, so only an id without quotes
 * matches.
 */
const keycloak: Filter = {
  name: 'keycloak',
  about: 'Keycloak: failed logins (its events at level WARN)',
  prefixes: ['time', 'syslog'],
  tags: ['keycloak', 'kc.sh'],
  patterns: [
    {
      name: 'login-error',
      tokens: [
        choice('WARN', 'DEBUG'),
        some('space', 4),
        literal('[org.keycloak.events] ('),
        until(')'),
        literal(') type="LOGIN_ERROR", '),
        repeat(6, choice('realmId', 'realmName', 'clientId', 'userId'), literal('="'), until('"', 0), literal('", ')),
        literal('ipAddress="'),
        ip,
        literal('", error="'),
        keycloakError,
        literal('"'),
      ],
      sample:
        '2025-03-04 05:06:07,123 WARN  [org.keycloak.events] (executor-thread-1) type="LOGIN_ERROR", realmId="r", realmName="master", clientId="account", userId="null", ipAddress="192.0.2.7", error="user_not_found", auth_method="openid-connect", username="alice"',
      counter:
        '2025-03-04 05:06:07,123 WARN  [org.keycloak.events] (executor-thread-1) type="LOGIN_ERROR", realmId="r", realmName="master", clientId="account", userId="null", ipAddress="192.0.2.7", error="expired_code", restart_after_timeout="true"',
    },
    {
      name: 'login-error-plain',
      tokens: [
        choice('WARN', 'DEBUG'),
        some('space', 4),
        literal('[org.keycloak.events] ('),
        until(')'),
        literal(') type=LOGIN_ERROR, '),
        repeat(6, choice('realmId', 'realmName', 'clientId', 'userId'), literal('='), until(', ', 0), literal(', ')),
        literal('ipAddress='),
        ip,
        literal(', error='),
        keycloakError,
      ],
      sample:
        '2025-03-04 05:06:07,123 WARN  [org.keycloak.events] (default task-1) type=LOGIN_ERROR, realmId=master, clientId=account, userId=null, ipAddress=192.0.2.7, error=invalid_user_credentials, auth_method=openid-connect, username=alice',
      counter:
        '2025-03-04 05:06:07,123 WARN  [org.keycloak.events] (default task-1) type=CODE_TO_TOKEN_ERROR, realmId=master, clientId=account, userId=null, ipAddress=192.0.2.7, error=invalid_code',
    },
  ],
};

const jellyfin: Filter = {
  name: 'jellyfin',
  about: 'Jellyfin: failed logins',
  prefixes: ['time', 'syslog'],
  tags: ['jellyfin'],
  patterns: [
    {
      name: 'login-denied',
      tokens: [
        literal('['),
        upper,
        literal('] '),
        optional(literal('['), digits, literal('] ')),
        word,
        literal(' Authentication request for '),
        userToLast(),
        literal(' has been denied (IP: '),
        optional(literal('"')),
        ip,
        optional(literal('"')),
        literal(')'),
        optional(literal('.')),
        ...lineEnd,
      ],
      sample:
        '[2025-03-04 05:06:07.123 +00:00] [INF] [12] Jellyfin.Server.Implementations.Users.UserManager: Authentication request for "alice" has been denied (IP: "192.0.2.7").',
      counter:
        '[2025-03-04 05:06:07.123 +00:00] [INF] [12] Jellyfin.Server.Implementations.Users.UserManager: Authentication request for "alice" has succeeded.',
    },
  ],
};

const homeAssistant: Filter = {
  name: 'home-assistant',
  about: 'Home Assistant: failed logins',
  prefixes: ['time', 'syslog'],
  tags: ['hass', 'homeassistant', 'home-assistant'],
  patterns: [
    {
      name: 'login-failed',
      tokens: [
        optional(time, literal(' ')),
        choice('WARNING', 'ERROR'),
        literal(' ('),
        until(')'),
        literal(') [homeassistant.components.http.ban] Login attempt or request with invalid authentication from '),
        either([until(' ('), literal(' ('), ip, literal(')')], [ip]),
      ],
      sample:
        "2025-03-04 05:06:07.123 WARNING (MainThread) [homeassistant.components.http.ban] Login attempt or request with invalid authentication from host.example.org (192.0.2.7). Requested URL: '/auth/login_flow/x'. (Mozilla/5.0)",
      counter:
        '2025-03-04 05:06:07.123 WARNING (MainThread) [homeassistant.components.http.ban] Banned IP 192.0.2.7 for too many login attempts',
    },
  ],
};

const giteaHead: Token[] = [
  optional(time, literal(' ')),
  either([literal('['), until(']'), literal('] [')], [word, literal(' ['), optional(literal(']'))]),
  some('alpha', 8),
  literal('] '),
  optional(literal('['), some('hex', 32), literal('] ')),
  choice('Failed authentication attempt for ', 'Failed authentication attempt from user '),
];
const giteaAt = '2025/03/04 05:06:07 routers/web/auth/auth.go:205:SignInPost() [I]';
/**
 * A name of an account here holds no blank. A line with a second ` from ` is not counted: all that
 * stays uncounted is a guess at an account that does not exist.
 */
const gitea = (name: string, about: string, tag: string): Filter => ({
  name,
  about,
  prefixes: ['time', 'syslog'],
  tags: [tag],
  ignore: [
    {
      name: 'two-sources',
      tokens: [...giteaHead, textToFirst(), literal(' from '), textToFirst(), literal(' from ')],
      sample: `${giteaAt} Failed authentication attempt for a from 198.51.100.9:1 from 192.0.2.7:40122: user does not exist`,
      counter: `${giteaAt} Failed authentication attempt for alice from 192.0.2.7:40122: user does not exist`,
    },
  ],
  patterns: [
    {
      // The error repeats the name behind the address, where it decides nothing.
      name: 'login-failed',
      tokens: [...giteaHead, userUntil(' \t'), literal(' from '), either([ipPort], [ip])],
      sample: `${giteaAt} Failed authentication attempt for alice from 192.0.2.7:40122: user does not exist [uid: 0, name: alice, keyid: 0]`,
      counter: `${giteaAt} Login of alice from 192.0.2.7:40122`,
    },
  ],
});

const wordpress: Filter = {
  name: 'wordpress',
  about: 'WordPress: failed logins and enumeration of users, through the plugin WP fail2ban',
  prefixes: ['syslog'],
  tags: ['wordpress*', 'wp', 'wp(*'],
  patterns: [
    {
      name: 'login-failed',
      tokens: [
        choice(
          'Authentication failure for ',
          'Authentication attempt for unknown user ',
          'XML-RPC authentication failure for ',
          'XML-RPC authentication attempt for unknown user ',
          'REST authentication failure for ',
          'REST authentication attempt for unknown user ',
          'Blocked authentication attempt for ',
          'Blocked username authentication attempt for ',
        ),
        userToLast(),
        literal(' from '),
        ip,
        ...lineEnd,
      ],
      sample: 'Mar  4 05:06:07 web wordpress(example.org)[811]: Authentication failure for alice from 192.0.2.7',
      counter: 'Mar  4 05:06:07 web wordpress(example.org)[811]: Accepted password for alice from 192.0.2.7',
    },
    {
      name: 'probed',
      tokens: [
        choice('Blocked user enumeration attempt from ', 'XML-RPC multicall authentication failure from '),
        ip,
        ...lineEnd,
      ],
      sample: 'Mar  4 05:06:07 web wordpress(example.org)[811]: Blocked user enumeration attempt from 192.0.2.7',
      counter: 'Mar  4 05:06:07 web wordpress(example.org)[811]: Pingback requested from 192.0.2.7',
    },
  ],
};

const immich: Filter = {
  name: 'immich',
  about: 'Immich: failed logins',
  prefixes: ['bare', 'syslog'],
  tags: ['immich*'],
  patterns: [
    {
      name: 'login-failed',
      tokens: [
        literal('[Nest] '),
        digits,
        literal(' '),
        until('[', 0),
        literal('['),
        until(']'),
        literal('] Failed login attempt for user '),
        userToLast(),
        literal(' from ip address '),
        ip,
        ...lineEnd,
      ],
      sample:
        '[Nest] 7  - 03/04/2025, 5:06:07 AM    WARN [Api:AuthService~q1] Failed login attempt for user alice@example.org from ip address 192.0.2.7',
      counter:
        '[Nest] 7  - 03/04/2025, 5:06:07 AM    LOG [Api:AuthService~q1] Login of alice@example.org from ip address 192.0.2.7',
    },
  ],
};

const gap = any('space', 1);
const mattermost: Filter = {
  name: 'mattermost',
  about: 'Mattermost: failed logins (its log as JSON)',
  prefixes: ['bare', 'syslog'],
  tags: ['mattermost'],
  patterns: [
    {
      name: 'login-failed',
      tokens: [
        literal('{"timestamp":"'),
        until('"'),
        literal('",'),
        gap,
        literal('"level":"'),
        some('alpha', 16),
        literal('",'),
        gap,
        literal('"msg":"'),
        until('"'),
        literal('",'),
        gap,
        literal('"caller":"'),
        until('"'),
        literal('",'),
        gap,
        literal('"path":"/api/v4/users/login",'),
        gap,
        literal('"request_id":"'),
        until('"'),
        literal('",'),
        gap,
        literal('"ip_addr":"'),
        ip,
        literal('"'),
        textToFirst(),
        choice('"http_code":401', '"http_code": 401'),
      ],
      sample:
        '{"timestamp":"2025-03-04 05:06:07.123 Z","level":"error","msg":"Enter a valid email or username and/or password.","caller":"web/context.go:117","path":"/api/v4/users/login","request_id":"q1","ip_addr":"192.0.2.7","user_id":"","method":"POST","err_where":"login","http_code":401,"error":"login: wrong"}',
      counter:
        '{"timestamp":"2025-03-04 05:06:07.123 Z","level":"error","msg":"Not found","caller":"web/context.go:117","path":"/api/v4/users/login","request_id":"q1","ip_addr":"192.0.2.7","user_id":"","method":"POST","err_where":"login","http_code":500,"error":"login: x"}',
    },
  ],
};

export const webApplications: Filter[] = [
  bitwarden,
  drupal,
  froxlor,
  groupoffice,
  guacamole,
  monitorix,
  openhab,
  directadmin,
  centreon,
  tine20,
  horde,
  squirrelmail,
  openwebmail,
  sogo,
  nextcloud,
  authelia,
  keycloak,
  jellyfin,
  homeAssistant,
  gitea('gitea', 'Gitea: failed logins', 'gitea'),
  gitea('forgejo', 'Forgejo: failed logins', 'forgejo'),
  wordpress,
  immich,
  mattermost,
];
