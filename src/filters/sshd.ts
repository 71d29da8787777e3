/**
 * sshd: lines that OpenSSH (3.x to 10.x, portable) and Linux-PAM write when a login fails. They are
 * taken from the sources: auth.c, auth2.c, auth-pam.c, packet.c, kex.c, sshd.c, sshd-session.c,
 * monitor.c, and pam_unix/support.c.
 *
 * Whoever connects chooses the user name, the client version, the reason of a disconnect, the key
 * id of a certificate, and the names sent with host-based authentication. So the filter takes an
 * address only where sshd itself puts it:
 * - Attacker text left of the address: the address is read from the right end of the line.
 * - Attacker text only right of the address: the address is read from the left.
 * - Attacker text on both sides (a tail behind the name of an invalid user): the line gives no
 * address. It counts against the address that its connection is known by.
 *
 * The modes are fail2ban's. `normal`: wrong credentials. `ddos`: also connections that never speak
 * SSH or end before authentication does. `extra`: also failed negotiation. `aggressive`: all of it.
 * A refused public key of a valid user counts in no mode, because clients offer every key they
 * have.
 *
 * One attempt counts once. Its lines come in rising stages: 1 the name is refused, 2 PAM's verdict,
 * 3 sshd's verdict, 4 too many attempts, 5 the end of the connection. A line without a stage counts
 * by itself.
 */
import type { Filter, Pattern, Token } from '../compiler/pattern.ts';
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
  textToLast,
  until,
  userToFirst,
  userToLast,
  userUntil,
} from './tokens.ts';

const digits = some('digit', 10);
const word = some('nonspace');
const blanks = any('space');
const gap = some('space', 8);

/**
 * Any user name, even one with spaces or with sshd's own phrases: the end of the name is looked for
 * from the right end of the line.
 */
const anyUser = userToLast();
/** The name of an account that exists on this host: one word. */
const accountUser = userUntil(' \t');
/** Attacker text. Its end is looked for from the right end of the line. */
const anyText = textToLast();

const port = optional(literal(' port '), digits);
/**
 * Some builds write the local address too. Only hexadecimal digits, dots and colons are allowed, so
 * no words before an address fit here.
 */
const localAddress = run('0123456789abcdefABCDEF.:');
const on = optional(literal(' on '), localAddress);
const protocolVersion = optional(choice(' ssh2', ' ssh1', ' ssh'));
const notValid = choice('invalid user ', 'illegal user ');
/** sshd's log level. Which lines have it changed between releases. */
const level = optional(choice('error: ', 'fatal: '));
const lineTail: Token[] = [optional(literal(' [preauth]')), ...lineEnd];
/** What may follow an address at the end of a line, in any order. */
const addressTail: Token[] = [
  repeat(3, either([literal(' port '), digits], [literal(' [preauth]')], [literal(' on '), localAddress])),
  ...lineEnd,
];
const keyType: Token = { kind: 'span', of: { name: 'word', bytes: '-@.' }, min: 1, max: 64 };
/**
 * `RSA SHA256:…` or `RSA 01:23:…`: type and fingerprint of a key. The client cannot write free text
 * here.
 */
const key: Token[] = [keyType, literal(' '), { kind: 'span', of: { name: 'base64', bytes: ':$' }, min: 1, max: 255 }];
/** What sshd writes of a certificate, after its type and, since 7.9, its fingerprint. */
const certificate: Token[] = [
  literal(' ID '),
  until(' \t', 0),
  literal(' (serial '),
  some('digit', 20),
  literal(') CA '),
  ...key,
];
/** PAM's errors about the user who logs in, in the words of Linux-PAM and of OpenPAM. */
const pamVerdict = choice(
  'Authentication failure',
  'authentication failure',
  'Authentication error',
  'authentication error',
  'Authentication failed',
  'authentication failed',
  'User not known to the underlying authentication module',
  'unknown user',
  'Have exhausted maximum number of retries for service',
  'maximum number of tries exceeded',
  'Permission denied',
  'permission denied',
);
/**
 * The user of a connection that is not yet authenticated, as sshd names it before the address. The
 * pattern must then end exactly, with `preauthEnd` or the like.
 */
const namedUser: Token[] = [
  choice('authenticating user ', 'authenticatinguser ', 'invalid user '),
  anyUser,
  literal(' '),
];
const end: Token = { kind: 'end' };
/** The exact end of the line. A blank behind it could be taken for the blank before an address. */
const preauthEnd: Token[] = [optional(literal(' [preauth]')), end];
const userChange = ': Change of username or service not allowed: (';
/** What pam_unix and similar modules write, up to the value of `ruser`. */
const pamFailure: Token[] = [
  optional(literal('pam_'), some('word', 32), literal('(sshd:auth):'), any('space', 8)),
  literal('authentication failure;'),
  repeat(4, gap, choice('logname=', 'uid=', 'euid=', 'tty='), any('nonspace')),
  gap,
  literal('ruser='),
];

const ddos = ['ddos', 'aggressive'];
const extra = ['extra', 'aggressive'];
/**
 * Modes that read how a connection ended. In `extra`, only the disconnect of a named user counts.
 */
const closings = ['normal', 'ddos', 'aggressive'];
const host = 'Mar  7 18:53:22 host';

const attempts: Pattern[] = [
  {
    name: 'failed-publickey',
    effect: { kind: 'context' },
    tokens: [literal('Failed publickey for '), accountUser, literal(' from '), ip, port],
    sample: `${host} sshd[4101]: Failed publickey for alice from 192.0.2.10 port 50022 ssh2: ED25519 SHA256:N0tARealF1ngerprint`,
    counter: `${host} sshd[4101]: Failed publickey for invalid user alice from 192.0.2.10 port 50022 ssh2`,
  },
  {
    name: 'failed',
    effect: { stage: 3 },
    tokens: [
      literal('Failed '),
      word,
      literal(' for '),
      optional(notValid),
      anyUser,
      literal(' from '),
      ip,
      literal(' port '),
      digits,
      on,
      protocolVersion,
      ...lineTail,
    ],
    sample: `${host} sshd[4102]: Failed password for root from 192.0.2.10 port 50023 ssh2`,
    counter: `${host} sshd[4102]: Accepted password for root from 192.0.2.10 port 50023 ssh2`,
  },
  {
    name: 'failed-key',
    effect: { stage: 3 },
    tokens: [
      literal('Failed publickey for invalid user '),
      anyUser,
      literal(' from '),
      ip,
      literal(' port '),
      digits,
      choice(' ssh2', ' ssh1'),
      literal(': '),
      ...key,
      ...lineTail,
    ],
    sample: `${host} sshd[4103]: Failed publickey for invalid user bob from 192.0.2.10 port 50024 ssh2: RSA SHA256:N0tARealF1ngerprint`,
    counter: `${host} sshd[4103]: Failed publickey for bob from 192.0.2.10 port 50024 ssh2: RSA SHA256:N0tARealF1ngerprint`,
  },
  {
    name: 'failed-account-tail',
    effect: { stage: 3 },
    tokens: [
      literal('Failed '),
      word,
      literal(' for '),
      accountUser,
      literal(' from '),
      ip,
      port,
      choice(' ssh2: ', ' ssh1: ', ': '),
    ],
    sample: `${host} sshd[4104]: Failed hostbased for carol from 192.0.2.10 port 50025 ssh2: RSA SHA256:N0tARealF1ngerprint, client user "carol", client host "from 198.51.100.9"`,
    counter: `${host} sshd[4104]: Failed hostbased for invalid user carol from 192.0.2.10 port 50025 ssh2: RSA SHA256:N0tARealF1ngerprint, client user "carol", client host "x"`,
  },
  {
    // Every name in this line is one word. So it holds one ` from `, which is sshd's own.
    name: 'failed-invalid-plain-tail',
    effect: { stage: 3 },
    tokens: [
      literal('Failed '),
      word,
      literal(' for '),
      notValid,
      userUntil(' \t', 0),
      literal(' from '),
      ip,
      literal(' port '),
      digits,
      choice(' ssh2: ', ' ssh1: '),
      either(
        [keyType, ...certificate],
        [...key, ...certificate],
        [
          ...key,
          literal(', client user "'),
          until(' \t"', 0),
          literal('", client host "'),
          until(' \t"', 0),
          literal('"'),
        ],
      ),
      ...lineTail,
    ],
    sample: `${host} sshd[4127]: Failed publickey for invalid user bob from 192.0.2.10 port 50026 ssh2: RSA-CERT SHA256:N0tARealF1ngerprint ID bob@example.org (serial 0) CA RSA SHA256:N0tARealF1ngerprint`,
    counter: `${host} sshd[4127]: Failed publickey for invalid user bob from 192.0.2.10 port 50026 ssh2: RSA-CERT SHA256:N0tARealF1ngerprint ID x from 198.51.100.9 port 1 ssh2 (serial 0) CA RSA SHA256:N0tARealF1ngerprint`,
  },
  {
    // Attacker text stands on both sides of the address: on the right the key id of a certificate,
    // or the names of host-based authentication.
    name: 'failed-invalid-tail',
    effect: { stage: 3 },
    tokens: [
      literal('Failed '),
      word,
      literal(' for '),
      notValid,
      textToFirst(),
      literal(' port '),
      digits,
      choice(' ssh2: ', ' ssh1: '),
    ],
    sample: `${host} sshd[4105]: Failed publickey for invalid user bob from 192.0.2.10 port 50026 ssh2: RSA-CERT SHA256:N0tARealF1ngerprint ID x from 198.51.100.9 port 1 ssh2 (serial 0) CA RSA SHA256:N0tARealF1ngerprint`,
    counter: `${host} sshd[4105]: Failed password for invalid user bob from 192.0.2.10 port 50026 ssh2`,
  },
  {
    name: 'failed-portless',
    effect: { stage: 3 },
    tokens: [
      literal('Failed '),
      word,
      literal(' for '),
      optional(notValid),
      anyUser,
      literal(' from '),
      ip,
      on,
      protocolVersion,
      ...lineTail,
    ],
    sample: `${host} sshd[4106]: Failed password for illegal user dave from 2001:db8::10`,
    counter: `${host} sshd[4106]: Failed password for illegal user dave`,
  },
  {
    name: 'invalid-user',
    effect: { stage: 1 },
    tokens: [
      choice('Invalid user ', 'Illegal user ', 'invalid user ', 'illegal user '),
      anyUser,
      literal(' from '),
      ip,
      ...addressTail,
    ],
    sample: `${host} sshd[4107]: Invalid user oracle from 192.0.2.10 port 50027`,
    counter: `${host} sshd[4107]: input_userauth_request: invalid user oracle [preauth]`,
  },
  {
    name: 'pam-failure',
    effect: { kind: 'context' },
    tokens: [...pamFailure, any('nonspace'), gap, literal('rhost='), ip, gap, literal('user='), userToLast(), end],
    sample: `${host} sshd[4108]: pam_unix(sshd:auth): authentication failure; logname= uid=0 euid=0 tty=ssh ruser= rhost=192.0.2.10  user=root`,
    counter: `${host} sshd[4108]: pam_unix(sshd:auth): check pass; user unknown`,
  },
  {
    name: 'pam-failure-unnamed',
    effect: { kind: 'context' },
    tokens: [...pamFailure, userUntil(' \t', 0), gap, literal('rhost='), ip],
    sample: `${host} sshd[4124]: pam_unix(sshd:auth): authentication failure; logname= uid=0 euid=0 tty=ssh ruser= rhost=192.0.2.10 `,
    counter: `${host} sshd[4124]: pam_unix(sudo:auth): authentication failure; logname= uid=0 euid=0 tty=ssh ruser= rhost=192.0.2.10`,
  },
  {
    name: 'pam-more-failures',
    effect: { kind: 'context', ends: true },
    tokens: [literal('PAM '), digits, choice(' more authentication failures; ', ' more authentication failure; ')],
    sample: `${host} sshd[4109]: PAM 2 more authentication failures; logname= uid=0 euid=0 tty=ssh ruser= rhost=192.0.2.10  user=root`,
    counter: `${host} sshd[4109]: PAM service(sshd) ignoring max retries; 6 > 3`,
  },
  {
    name: 'pam-refused',
    effect: { stage: 2 },
    tokens: [
      level,
      optional(literal('PAM: ')),
      pamVerdict,
      literal(' for '),
      optional(notValid),
      anyUser,
      literal(' from '),
      ip,
      optional(literal(' via '), localAddress),
      ...addressTail,
    ],
    sample: `${host} sshd[4110]: error: PAM: Authentication failure for illegal user erin from 192.0.2.10`,
    counter: `${host} sshd[4110]: error: PAM: Authentication failure for erin`,
  },
  {
    name: 'root-refused',
    effect: { stage: 2 },
    tokens: [literal('ROOT LOGIN REFUSED FROM '), ip],
    sample: `${host} sshd[4111]: ROOT LOGIN REFUSED FROM 192.0.2.10 port 50028`,
    counter: `${host} sshd[4111]: Root login accepted for forced command.`,
  },
  {
    name: 'user-not-allowed',
    effect: { stage: 1 },
    tokens: [
      literal('User '),
      anyUser,
      literal(' from '),
      ip,
      literal(' not allowed because '),
      choice(
        'not listed in AllowUsers',
        'listed in DenyUsers',
        'not in any group',
        'a group is listed in DenyGroups',
        "none of user's groups are listed in AllowGroups",
      ),
      ...addressTail,
    ],
    sample: `${host} sshd[4112]: User root from 192.0.2.10 not allowed because not listed in AllowUsers`,
    counter: `${host} sshd[4112]: User root not allowed because account is locked`,
  },
  {
    // Written for RefuseConnection, since 9.9.
    name: 'connection-prohibited',
    effect: { stage: 1 },
    tokens: [
      literal('administratively prohibited connection for '),
      optional(notValid),
      anyUser,
      literal(' from '),
      ip,
      literal(' port '),
      digits,
      ...lineTail,
    ],
    sample: `${host} sshd-session[4130]: administratively prohibited connection for invalid user bob from 192.0.2.10 port 50029`,
    counter: `${host} sshd-session[4130]: administratively prohibited connection for invalid user bob`,
  },
  {
    name: 'user-locked',
    effect: { stage: 1 },
    tokens: [literal('User '), userToFirst(), literal(' not allowed because '), choice('account is locked', 'shell ')],
    sample: `${host} sshd[4113]: User frank not allowed because account is locked`,
    counter: `${host} sshd[4113]: User frank from 192.0.2.10 not allowed because listed in DenyUsers`,
  },
  {
    name: 'too-many-attempts',
    effect: { stage: 4 },
    tokens: [
      level,
      literal('maximum authentication attempts exceeded for '),
      optional(notValid),
      anyUser,
      literal(' from '),
      ip,
      port,
      protocolVersion,
      ...addressTail,
    ],
    sample: `${host} sshd[4114]: error: maximum authentication attempts exceeded for root from 192.0.2.10 port 50029 ssh2 [preauth]`,
    counter: `${host} sshd[4114]: error: maximum authentication attempts exceeded for root`,
  },
  {
    name: 'disconnecting-too-many-addressless',
    effect: { stage: 5, ends: true },
    tokens: [level, literal('Disconnecting: Too many authentication failures')],
    sample: `${host} sshd[4116]: Disconnecting: Too many authentication failures for root [preauth]`,
    counter: `${host} sshd[4116]: Disconnecting: Packet corrupt [preauth]`,
  },
  {
    // Both names are one word each. So nothing right of the address looks like a second address.
    name: 'disconnecting-user-change',
    effect: { ends: true },
    tokens: [
      level,
      literal('Disconnecting '),
      optional(literal('from ')),
      ...namedUser,
      ip,
      literal(' port '),
      digits,
      literal(userChange),
      until(' '),
      optional(literal(' -> ('), until(' ', 0)),
      ...preauthEnd,
    ],
    sample: `${host} sshd[4117]: Disconnecting invalid user admin 192.0.2.10 port 50031: Change of username or service not allowed: (admin,ssh-connection) -> (root,ssh-connection) [preauth]`,
    counter: `${host} sshd[4117]: Disconnecting: Change of username or service not allowed: (admin,ssh-connection) -> (root,ssh-connection) [preauth]`,
  },
  {
    name: 'disconnecting-account-change',
    effect: { ends: true },
    tokens: [
      level,
      literal('Disconnecting authenticating user '),
      accountUser,
      literal(' '),
      ip,
      literal(' port '),
      digits,
      literal(userChange),
    ],
    sample: `${host} sshd[4125]: Disconnecting authenticating user root 192.0.2.10 port 50031: Change of username or service not allowed: (root,ssh-connection) -> (x 198.51.100.9 port 1,ssh-connection) [preauth]`,
    counter: `${host} sshd[4125]: Disconnecting invalid user root 192.0.2.10 port 50031: Change of username or service not allowed: (root,ssh-connection) -> (x 198.51.100.9 port 1,ssh-connection) [preauth]`,
  },
  {
    // Attacker text stands on both sides of the address.
    name: 'disconnecting-invalid-change',
    effect: { ends: true },
    tokens: [level, literal('Disconnecting invalid user '), textToFirst(), literal(userChange)],
    sample: `${host} sshd[4126]: Disconnecting invalid user a 192.0.2.10 port 50031: Change of username or service not allowed: (a,ssh-connection) -> (b 198.51.100.9 port 1,ssh-connection) [preauth]`,
    counter: `${host} sshd[4126]: Disconnecting invalid user a 192.0.2.10 port 50031: Packet corrupt [preauth]`,
  },
  {
    // Written up to 7.4. The line that closes the connection gives the address.
    name: 'disconnecting-change-addressless',
    effect: { ends: true },
    tokens: [level, literal(`Disconnecting${userChange}`)],
    sample: `${host} sshd[4131]: Disconnecting: Change of username or service not allowed: (admin,ssh-connection) -> (root,ssh-connection) [preauth]`,
    counter: `${host} sshd[4131]: Disconnecting: Packet corrupt [preauth]`,
  },
  {
    // This pattern stands after those of refused changes. They repeat names, and sshd cuts the
    // line: a name may then end the line in this very phrase.
    name: 'disconnecting-too-many',
    effect: { stage: 5, ends: true },
    tokens: [
      level,
      literal('Disconnecting '),
      ...namedUser,
      ip,
      literal(' port '),
      digits,
      literal(': Too many authentication failures'),
      ...preauthEnd,
    ],
    sample: `${host} sshd[4115]: Disconnecting authenticating user root 192.0.2.10 port 50030: Too many authentication failures [preauth]`,
    counter: `${host} sshd[4115]: Disconnecting authenticating user root 192.0.2.10 port 50030: Packet corrupt [preauth]`,
  },
  {
    name: 'disconnect-auth-fail',
    effect: { stage: 5, ends: true },
    tokens: [
      level,
      literal('Received disconnect from '),
      ip,
      port,
      literal(':'),
      blanks,
      literal('3: '),
      anyText,
      literal(': Auth fail'),
      optional(literal(" for methods '"), until("'", 0), literal("'")),
      ...lineTail,
    ],
    sample: `${host} sshd[4118]: error: Received disconnect from 192.0.2.10 port 50032:3: com.example.Client: Auth fail [preauth]`,
    counter: `${host} sshd[4118]: error: Received disconnect from 192.0.2.10 port 50032:3: com.example.Client: timeout [preauth]`,
  },
  {
    name: 'disconnect-no-methods',
    modes: extra,
    effect: { stage: 5, ends: true },
    tokens: [
      level,
      literal('Received disconnect from '),
      ip,
      port,
      literal(':'),
      blanks,
      choice('14: No authentication methods available', '14: No supported authentication methods available'),
    ],
    sample: `${host} sshd[4119]: error: Received disconnect from 192.0.2.10 port 50033:14: No supported authentication methods available [preauth]`,
    counter: `${host} sshd[4119]: error: Received disconnect from 192.0.2.10 port 50033:13: No supported authentication methods available [preauth]`,
  },
  {
    name: 'disconnect',
    effect: { kind: 'context', ends: true },
    tokens: [level, literal('Received disconnect from '), ip, port, literal(':')],
    sample: `${host} sshd[4120]: Received disconnect from 192.0.2.10 port 50034:11: Bye Bye [preauth]`,
    counter: `${host} sshd[4120]: Received disconnect`,
  },
  {
    name: 'accepted',
    effect: { kind: 'context', gained: true, ends: true },
    tokens: [
      literal('Accepted '),
      word,
      literal(' for '),
      accountUser,
      literal(' from '),
      ip,
      either([literal(' ')], [end]),
    ],
    sample: `${host} sshd[4121]: Accepted publickey for alice from 192.0.2.10 port 50035 ssh2: ED25519 SHA256:N0tARealF1ngerprint`,
    counter: `${host} sshd[4121]: Accepted key ED25519 SHA256:N0tARealF1ngerprint found at /home/alice/.ssh/authorized_keys:1`,
  },
  {
    name: 'unfinished',
    effect: { kind: 'context' },
    tokens: [choice('Postponed ', 'Partial '), word, literal(' for '), accountUser, literal(' from '), ip, port],
    sample: `${host} sshd[4122]: Partial publickey for alice from 192.0.2.10 port 50036 ssh2`,
    counter: `${host} sshd[4122]: Postponed keyboard-interactive for invalid user alice from 192.0.2.10 port 50036 ssh2`,
  },
  {
    name: 'account-denied',
    effect: { kind: 'context', ends: true },
    tokens: [level, literal('Access denied for user '), anyUser, literal(' by PAM account configuration')],
    sample: `${host} sshd[4123]: fatal: Access denied for user alice by PAM account configuration [preauth]`,
    counter: `${host} sshd[4123]: fatal: Access denied for user alice`,
  },
];

const closed = [level, choice('Connection closed by ', 'Connection reset by ', 'Disconnected from ', 'Disconnected ')];
const closedPreauth: Token[] = [port, on, literal(' [preauth]'), ...lineEnd];

const connections: Pattern[] = [
  {
    name: 'closed-preauth',
    modes: ddos,
    effect: { stage: 5, ends: true },
    tokens: [...closed, ip, ...closedPreauth],
    sample: `${host} sshd[4201]: Connection closed by 192.0.2.10 port 50040 [preauth]`,
    counter: `${host} sshd[4201]: Connection closed by 192.0.2.10 port 50040`,
  },
  {
    name: 'closed-preauth-user',
    modes: ddos,
    effect: { stage: 5, ends: true },
    tokens: [...closed, ...namedUser, ip, literal(' port '), digits, literal(' [preauth]'), end],
    sample: `${host} sshd[4202]: Connection reset by authenticating user root 192.0.2.10 port 50041 [preauth]`,
    counter: `${host} sshd[4202]: Disconnected from user root 192.0.2.10 port 50041`,
  },
  {
    // sshd says what was wrong in its own words, which hold no colon and no bracket.
    name: 'disconnecting-preauth',
    modes: ddos,
    effect: { stage: 5, ends: true },
    tokens: [
      level,
      literal('Disconnecting '),
      ip,
      literal(' port '),
      digits,
      literal(': '),
      optional(choice('Protocol error: ', 'protocol error: ', 'strict KEX violation: ')),
      until(':[()'),
      optional(literal('(seqnr '), digits, literal(') ')),
      literal('[preauth]'),
      end,
    ],
    sample: `${host} sshd[4211]: Disconnecting 192.0.2.10 port 50048: Packet corrupt [preauth]`,
    counter: `${host} sshd[4211]: Disconnecting 192.0.2.10 port 50048: Packet corrupt`,
  },
  {
    name: 'disconnecting-preauth-user',
    modes: ddos,
    effect: { stage: 5, ends: true },
    tokens: [
      level,
      literal('Disconnecting '),
      ...namedUser,
      ip,
      literal(' port '),
      digits,
      literal(': '),
      until(':[()'),
      literal('[preauth]'),
      end,
    ],
    sample: `${host} sshd[4212]: Disconnecting invalid user bob 192.0.2.10 port 50049: Packet corrupt [preauth]`,
    counter: `${host} sshd[4212]: Disconnecting invalid user bob 192.0.2.10 port 50049: Packet corrupt`,
  },
  {
    name: 'disconnected-preauth-user',
    modes: ['extra'],
    effect: { stage: 5, ends: true },
    tokens: [
      choice('Disconnected from ', 'Disconnected '),
      ...namedUser,
      ip,
      literal(' port '),
      digits,
      literal(' [preauth]'),
      end,
    ],
    sample: `${host} sshd[4203]: Disconnected from invalid user root 192.0.2.10 port 50042 [preauth]`,
    counter: `${host} sshd[4203]: Connection closed by invalid user root 192.0.2.10 port 50042 [preauth]`,
  },
  {
    name: 'closed',
    modes: closings,
    effect: { kind: 'context', ends: true },
    tokens: [...closed, ip, ...addressTail],
    sample: `${host} sshd[4204]: Connection closed by 192.0.2.10 port 50043`,
    counter: `${host} sshd[4204]: Connection closed by remote host`,
  },
  {
    name: 'closed-user',
    modes: closings,
    effect: { kind: 'context', ends: true },
    tokens: [...closed, ...namedUser, ip, literal(' port '), digits, ...preauthEnd],
    sample: `${host} sshd[4205]: Disconnected from authenticating user root 192.0.2.10 port 50044`,
    counter: `${host} sshd[4205]: Disconnected from authenticating user root`,
  },
  {
    name: 'closed-session',
    effect: { kind: 'context', ends: true },
    tokens: [literal('Disconnected from user '), accountUser, literal(' '), ip, literal(' port '), digits],
    sample: `${host} sshd[4206]: Disconnected from user alice 192.0.2.10 port 50045`,
    counter: `${host} sshd[4206]: Disconnected from user alice`,
  },
  {
    name: 'connection',
    effect: { kind: 'context' },
    tokens: [literal('Connection from '), ip],
    sample: `${host} sshd[4207]: Connection from 192.0.2.10 port 50046 on 198.51.100.1 port 22 rdomain ""`,
    counter: `${host} sshd[4207]: banner exchange: Connection from 192.0.2.10 port 50046: invalid format`,
  },
  {
    name: 'dropped',
    effect: { kind: 'context' },
    tokens: [literal('drop connection #'), digits, literal(' from '), ip, literal(':')],
    sample: `${host} sshd[4208]: drop connection #10 from [192.0.2.10]:50047 on [198.51.100.1]:22 past MaxStartups`,
    counter: `${host} sshd[4208]: beginning MaxStartups throttling`,
  },
  {
    name: 'refused-connect',
    tokens: [literal('refused connect from '), word, literal(' ('), ip, literal(')')],
    sample: `${host} sshd[4209]: refused connect from host.example (192.0.2.10)`,
    counter: `${host} sshd[4209]: refused connect from host.example`,
  },
  {
    name: 'refused-connect-bare',
    tokens: [literal('refused connect from '), ip, ...lineEnd],
    sample: `${host} sshd[4210]: refused connect from 192.0.2.10`,
    counter: `${host} sshd[4210]: refused connect from root@192.0.2.10`,
  },
];

/** Errors that only a broken or hostile client causes, in the words of ssherr.c. */
const packetError = choice(
  ': message authentication code incorrect',
  ': Connection corrupted',
  ': connection corrupted',
  ': incomplete message',
  ': invalid format',
  ': invalid elliptic curve value',
  ': unexpected bytes remain after decoding',
  ': string is too large',
  ': bignum is negative',
  ': bignum is too large',
);

const protocol: Pattern[] = [
  {
    name: 'no-identification',
    modes: ddos,
    tokens: [level, choice('Did not receive identification string from ', 'Could not write ident string to '), ip],
    sample: `${host} sshd[4301]: Did not receive identification string from 192.0.2.10 port 50050`,
    counter: `${host} sshd[4301]: Did not receive identification string`,
  },
  {
    name: 'bad-identification',
    modes: ddos,
    tokens: [level, literal("Bad protocol version identification '"), anyText, literal("' from "), ip, ...addressTail],
    sample: `${host} sshd[4302]: Bad protocol version identification 'GET / HTTP/1.1' from 198.51.100.9 port 1' from 192.0.2.10 port 50051`,
    counter: `${host} sshd[4302]: Bad protocol version identification 'GET / HTTP/1.1'`,
  },
  {
    name: 'identification-failed',
    modes: ddos,
    tokens: [
      level,
      literal('kex_exchange_identification: '),
      optional(literal('read: ')),
      choice(
        'client sent invalid protocol identifier',
        'Client sent invalid protocol identifier',
        'Connection closed by remote host',
        'connection closed by remote host',
        'Connection reset by peer',
        'connection reset by peer',
      ),
    ],
    sample: `${host} sshd[4303]: error: kex_exchange_identification: client sent invalid protocol identifier "from 198.51.100.9 port 1"`,
    counter: `${host} sshd[4303]: error: kex_exchange_identification: banner line too long`,
  },
  {
    name: 'banner-exchange',
    modes: ddos,
    tokens: [
      level,
      literal('banner exchange: Connection from '),
      ip,
      port,
      choice(': invalid format', ': could not read protocol version'),
    ],
    sample: `${host} sshd[4304]: banner exchange: Connection from 192.0.2.10 port 50052: invalid format`,
    counter: `${host} sshd[4304]: banner exchange: Connection from 192.0.2.10 port 50052: Connection timed out`,
  },
  {
    name: 'packet-corrupt',
    modes: ddos,
    tokens: [
      level,
      literal('ssh_dispatch_run_fatal: Connection from '),
      ip,
      port,
      packetError,
      literal(' [preauth]'),
      end,
    ],
    sample: `${host} sshd[4305]: ssh_dispatch_run_fatal: Connection from 192.0.2.10 port 50053: message authentication code incorrect [preauth]`,
    counter: `${host} sshd[4305]: ssh_dispatch_run_fatal: Connection from 192.0.2.10 port 50053: Broken pipe [preauth]`,
  },
  {
    name: 'packet-corrupt-user',
    modes: ddos,
    effect: { stage: 5 },
    tokens: [
      level,
      literal('ssh_dispatch_run_fatal: Connection from '),
      ...namedUser,
      ip,
      literal(' port '),
      digits,
      packetError,
      literal(' [preauth]'),
      end,
    ],
    sample: `${host} sshd[4312]: ssh_dispatch_run_fatal: Connection from invalid user bob 192.0.2.10 port 50053: message authentication code incorrect [preauth]`,
    counter: `${host} sshd[4312]: ssh_dispatch_run_fatal: Connection from user bob 192.0.2.10 port 50053: message authentication code incorrect`,
  },
  {
    name: 'reset-addressless',
    modes: ddos,
    effect: { stage: 5, ends: true },
    tokens: [level, literal('Read from socket failed: Connection reset by peer')],
    sample: `${host} sshd[4306]: fatal: Read from socket failed: Connection reset by peer [preauth]`,
    counter: `${host} sshd[4306]: fatal: Read from socket failed: Broken pipe [preauth]`,
  },
  {
    // Only 9.8 writes its own address first. Such a line counts against this host, which is ignored
    // by default (`ignoreself`).
    name: 'login-timeout',
    modes: ddos,
    effect: { stage: 5 },
    tokens: [level, literal('Timeout before authentication for '), optional(literal('connection from ')), ip],
    sample: `${host} sshd[4307]: Timeout before authentication for connection from 192.0.2.10 to 198.51.100.1, pid = 4311`,
    counter: `${host} sshd[4307]: Timeout, client not responding from user alice 192.0.2.10 port 50054`,
  },
  {
    name: 'old-protocol',
    modes: ddos,
    tokens: [literal('Protocol major versions differ for '), ip],
    sample: `${host} sshd[4308]: Protocol major versions differ for 192.0.2.10 port 50055: SSH-2.0-OpenSSH vs. SSH-1.5-x`,
    counter: `${host} sshd[4308]: error: Protocol major versions differ: 2 vs. 1`,
  },
  {
    name: 'scanner',
    modes: ddos,
    tokens: [choice('probed from ', 'scanned from '), ip, port, literal(' with ')],
    sample: `${host} sshd[4309]: scanned from 192.0.2.10 port 50056 with SSH-1.0-SSH_Version_Mapper.  Don't panic.`,
    counter: `${host} sshd[4309]: scanned from 192.0.2.10`,
  },
  {
    name: 'no-match-negotiated',
    modes: extra,
    tokens: [
      level,
      literal('Unable to negotiate with '),
      ip,
      port,
      literal(': no matching '),
      textToFirst(),
      literal(' found.'),
    ],
    sample: `${host} sshd[4310]: Unable to negotiate with 192.0.2.10 port 50057: no matching host key type found. Their offer: from 198.51.100.9 [preauth]`,
    counter: `${host} sshd[4310]: Unable to negotiate with 192.0.2.10 port 50057: Broken pipe [preauth]`,
  },
  {
    name: 'no-match-addressless',
    modes: extra,
    tokens: [
      level,
      choice(
        'Unable to negotiate a key exchange method',
        'no matching cipher found:',
        'no matching mac found:',
        'no matching MAC found:',
        'no matching comp found:',
        'no matching compression method found:',
        'no matching key exchange method found:',
        'no matching host key type found:',
      ),
    ],
    sample: `${host} sshd[4311]: fatal: no matching mac found: client from 198.51.100.9 server hmac-sha2-256 [preauth]`,
    counter: `${host} sshd[4311]: fatal: no matching mac`,
  },
];

export const sshd: Filter = {
  name: 'sshd',
  about: 'OpenSSH server: failed logins; with modes ddos, extra and aggressive also broken and dropped connections',
  prefixes: ['syslog'],
  tags: ['sshd', 'ssh', 'sshd-session', 'sshd-auth', 'sshd(pam_unix)'],
  connection: 'pid',
  modes: ['normal', 'ddos', 'extra', 'aggressive'],
  patterns: [...attempts, ...connections, ...protocol],
};
