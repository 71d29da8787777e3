/**
 * Less common proxies, name servers, telephony, game and chat servers, routers and system services.
 * Each filter is made from what the service's own log says. A name that a client chooses stands
 * right of the address, or the line is read from its end, or the name holds no blank.
 */
import type { Filter, Token } from '../compiler/pattern.ts';
import { pamAmbiguous, pamVerdicts } from './pam.ts';
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
  userToLast,
  userUntil,
} from './tokens.ts';

const digits = some('digit', 10);
const word = some('nonspace');
const peer: Token = either([ipPort], [ip]);
const at = 'Mar  4 05:06:07 host';

const threeProxy: Filter = {
  name: '3proxy',
  about: '3proxy: refused users',
  prefixes: ['bare'],
  ignore: [
    {
      // The text may stand in a name or in a request, and nobody can tell which. Such a line is not
      // counted.
      name: 'two-requests',
      tokens: [textToFirst(), literal(' 0.0.0.0:0 0 0 0 '), textToFirst(), literal(' 0.0.0.0:0 0 0 0 ')],
      sample:
        '04-03-2025 05:06:07 +0100 PROXY.3128 00004 a 198.51.100.9:1 0.0.0.0:0 0 0 0 x 192.0.2.7:28783 0.0.0.0:0 0 0 0 GET / HTTP/1.1',
      counter: '04-03-2025 05:06:07 +0100 PROXY.3128 00004 a 192.0.2.7:28783 0.0.0.0:0 0 0 0 GET / HTTP/1.1',
    },
  ],
  patterns: [
    {
      // The last two digits are the error's number. 01 to 09 are errors of authentication.
      name: 'refused',
      tokens: [
        run('0123456789-'),
        literal(' '),
        run('0123456789:'),
        literal(' '),
        run('+-0123456789'),
        literal(' '),
        word,
        literal(' '),
        choice(...Array.from({ length: 10 }, (_, hundreds) => `00${hundreds}0`)),
        run('123456789'),
        literal(' '),
        word,
        literal(' '),
        peer,
        optional(literal(':'), digits),
        literal(' 0.0.0.0:0 0 0 0 '),
      ],
      sample:
        '04-03-2025 05:06:07 +0100 PROXY.3128 00004 - 192.0.2.7:28783 0.0.0.0:0 0 0 0 GET http://www.example.org/ HTTP/1.1',
      counter:
        '04-03-2025 05:06:07 +0100 PROXY.3128 00000 alice 192.0.2.7:28783 203.0.113.4:80 0 0 0 GET http://www.example.org/ HTTP/1.1',
    },
  ],
};

const stunnel: Filter = {
  name: 'stunnel',
  about: 'stunnel: clients without a certificate',
  prefixes: ['bare', 'syslog'],
  tags: ['stunnel', 'stunnel4', 'stunnel5'],
  patterns: [
    {
      name: 'no-certificate',
      tokens: [
        optional(run('0123456789.'), literal(' '), run('0123456789:'), literal(' ')),
        literal('LOG'),
        digits,
        literal('['),
        until(']'),
        literal(']: SSL_accept from '),
        peer,
        optional(literal(':'), digits),
        literal(' : '),
        textToFirst(),
        literal(':peer did not return a certificate'),
        ...lineEnd,
      ],
      sample:
        '2025.03.04 05:06:07 LOG3[28228:140093368055552]: SSL_accept from 192.0.2.7:33454 : 140890C7: error:140890C7:SSL routines:SSL3_GET_CLIENT_CERTIFICATE:peer did not return a certificate',
      counter:
        '2025.03.04 05:06:07 LOG5[28228:140093368055552]: Service [imaps] accepted connection from 192.0.2.7:33454',
    },
  ],
};

const providedName: Token[] = [
  literal('Connection "'),
  until('"'),
  literal('": User authentication failed. The user name that has been provided was "'),
  userToLast(),
  literal('", from '),
  ip,
  literal('.'),
  ...lineEnd,
];
const softether: Filter = {
  name: 'softethervpn',
  about: 'SoftEther VPN: failed logins',
  prefixes: ['time', 'syslog', 'bare'],
  tags: ['vpnserver*', 'softether*'],
  patterns: [
    {
      name: 'login-failed',
      tokens: [
        optional(until(' "['), run(' ')),
        optional(literal('['), until(']'), literal('] ')),
        optional(literal('('), until(')'), literal(') ')),
        literal('<SECURITY_LOG>: '),
        ...providedName,
      ],
      sample:
        '2025-03-04T05:06:07 localhost  [example.org/VPN/default] (2025-03-04 05:06:07.591) <SECURITY_LOG>: Connection "CID-594": User authentication failed. The user name that has been provided was "alice", from 192.0.2.7.',
      counter:
        '2025-03-04T05:06:07 localhost  [example.org/VPN/default] (2025-03-04 05:06:07.591) <SECURITY_LOG>: Connection "CID-594": Successfully authenticated as user "alice", from 192.0.2.7.',
    },
    {
      name: 'login-failed-plain',
      tokens: providedName,
      sample:
        '2025-03-04 05:06:07.591 Connection "CID-594": User authentication failed. The user name that has been provided was "alice", from 192.0.2.7.',
      counter: '2025-03-04 05:06:07.591 Connection "CID-594": Successfully authenticated as user "alice".',
    },
  ],
};

const routeros: Filter = {
  name: 'routeros-auth',
  about: 'MikroTik RouterOS: failed logins',
  prefixes: ['time'],
  patterns: [
    {
      name: 'login-failed',
      tokens: [
        some('nonspace', 255),
        literal(' system,error,critical'),
        optional(literal(':')),
        literal(' login failure for user '),
        userToLast(),
        literal(' from '),
        ip,
        literal(' via '),
        word,
        ...lineEnd,
      ],
      sample:
        'Mar  4 05:06:07 gw.example.org system,error,critical login failure for user admin from 192.0.2.7 via ssh',
      counter: 'Mar  4 05:06:07 gw.example.org system,info,account user admin logged in from 192.0.2.7 via ssh',
    },
  ],
};

/** In a log of its own, nsd writes its name behind the time. */
const nsdHead = optional(literal('nsd['), digits, literal(']: '));
const nsd: Filter = {
  name: 'nsd',
  about: 'NSD: refused zone transfers and clients over the rate limit',
  prefixes: ['time', 'syslog'],
  tags: ['nsd'],
  patterns: [
    {
      name: 'rate-limited',
      tokens: [
        nsdHead,
        literal('info: ratelimit block '),
        textToLast(),
        literal(' query '),
        ip,
        literal(' TYPE255'),
        ...lineEnd,
      ],
      sample:
        '[1741061167] nsd[811]: info: ratelimit block example.org. type any target 192.0.2.0/24 query 192.0.2.7 TYPE255',
      counter: '[1741061167] nsd[811]: info: ratelimit unblock example.org. type any target 192.0.2.0/24',
    },
    {
      name: 'refused',
      tokens: [
        nsdHead,
        literal('info: '),
        textToLast(),
        choice(' from client ', ' from '),
        ip,
        literal(' refused, no acl matches'),
        optional(literal('.')),
        ...lineEnd,
      ],
      sample: '[1741061167] nsd[811]: info: axfr for zone example.org. from client 192.0.2.7 refused, no acl matches.',
      counter: '[1741061167] nsd[811]: info: axfr for example.org. from 192.0.2.7',
    },
  ],
};

const scanlogd: Filter = {
  name: 'scanlogd',
  about: 'scanlogd: port scans',
  prefixes: ['syslog'],
  tags: ['scanlogd'],
  patterns: [
    {
      name: 'scan',
      tokens: [peer, literal(' to '), word, literal(' ports ')],
      sample: `${at} scanlogd: 192.0.2.7 to 203.0.113.4 ports 80, 81, 83, 88, ..., f????uxy, TOS 00, TTL 49 @20:44:43`,
      counter: `${at} scanlogd: started`,
    },
  ],
};

const portsentry: Filter = {
  name: 'portsentry',
  about: 'PortSentry: port scans (its history file)',
  prefixes: ['bare'],
  patterns: [
    {
      // The name before the slash is the reverse DNS name of the scanner.
      name: 'blocked',
      tokens: [
        digits,
        literal(' - '),
        run('0123456789/'),
        literal(' '),
        run('0123456789:'),
        literal(' Host: '),
        until('/ \t'),
        literal('/'),
        ip,
        literal(' Port: '),
        digits,
        choice(' TCP Blocked', ' UDP Blocked'),
        ...lineEnd,
      ],
      sample: '1741061167 - 03/04/2025 05:06:07 Host: host.example.org/192.0.2.7 Port: 1 UDP Blocked',
      counter: '1741061167 - 03/04/2025 05:06:07 Host: host.example.org/192.0.2.7 Port: 1 UDP Ignored',
    },
  ],
};

const xinetd: Filter = {
  name: 'xinetd-fail',
  about: 'xinetd: clients that its access lists or TCP wrappers refuse',
  prefixes: ['syslog'],
  tags: ['xinetd'],
  patterns: [
    {
      name: 'refused',
      tokens: [literal('FAIL: '), word, choice(' address from=', ' libwrap from='), ip, ...lineEnd],
      sample: `${at} xinetd[811]: FAIL: telnet address from=192.0.2.7`,
      counter: `${at} xinetd[811]: START: telnet pid=812 from=192.0.2.7`,
    },
  ],
};

const nagios: Filter = {
  name: 'nagios',
  about: 'Nagios NRPE: refused hosts',
  prefixes: ['syslog'],
  tags: ['nrpe'],
  patterns: [
    {
      name: 'host-refused',
      tokens: [literal('Host '), ip, literal(' is not allowed to talk to us!')],
      sample: `${at} nrpe[811]: Host 192.0.2.7 is not allowed to talk to us!`,
      counter: `${at} nrpe[811]: Host 192.0.2.7 is allowed`,
    },
  ],
};

const sofiaHead: Token[] = [
  optional(run('0123456789-'), literal(' '), run('0123456789:.'), literal(' ')),
  optional(run('0123456789.'), literal('% ')),
  choice('[WARNING] ', '[WARN] '),
  optional(literal('[SOFIA] ')),
  optional(literal('[')),
  literal('sofia_reg.c:'),
  digits,
  optional(literal(']')),
  literal(' '),
];
const sofiaEnd: Token[] = [
  literal(" on sofia profile '"),
  until("'"),
  literal("' for ["),
  userToLast(),
  literal('] from ip '),
  ip,
  ...lineEnd,
];
const sofia = 'sofia_reg.c:1533';
const freeswitch: Filter = {
  name: 'freeswitch',
  about:
    'FreeSWITCH: failed SIP registrations and calls; extra (the default) and ddos also challenges that go unanswered',
  prefixes: ['time', 'syslog', 'bare'],
  tags: ['freeswitch'],
  connection: 'address',
  modes: ['extra', 'normal', 'ddos'],
  patterns: [
    {
      name: 'challenged',
      modes: ['extra', 'ddos'],
      effect: { stage: 1 },
      tokens: [...sofiaHead, choice('SIP auth challenge (REGISTER)', 'SIP auth challenge (INVITE)'), ...sofiaEnd],
      sample: `2025-03-04 05:06:07.767815 [WARNING] ${sofia} SIP auth challenge (INVITE) on sofia profile 'internal' for [100@203.0.113.4] from ip 192.0.2.7`,
      counter: `2025-03-04 05:06:07.767815 [WARNING] ${sofia} SIP auth success (INVITE) on sofia profile 'internal' for [100@203.0.113.4] from ip 192.0.2.7`,
    },
    {
      name: 'user-unknown',
      modes: ['extra', 'normal'],
      effect: { stage: 2 },
      tokens: [...sofiaHead, literal("Can't find user ["), userToLast(), literal('] from '), ip, ...lineEnd],
      sample: `2025-03-04 05:06:07.767815 [WARNING] ${sofia} Can't find user [1001@203.0.113.4] from 192.0.2.7`,
      counter: `2025-03-04 05:06:07.767815 [WARNING] ${sofia} Found user [1001@203.0.113.4] from 192.0.2.7`,
    },
    {
      name: 'refused',
      effect: { stage: 3 },
      tokens: [...sofiaHead, choice('SIP auth failure (REGISTER)', 'SIP auth failure (INVITE)'), ...sofiaEnd],
      sample: `03-04 05:06:07.026299 [WARN] [SOFIA] [${sofia}] SIP auth failure (REGISTER) on sofia profile 'internal' for [100@203.0.113.4] from ip 192.0.2.7`,
      counter: `2025-03-04 05:06:07.767815 [WARNING] ${sofia} SIP auth success (REGISTER) on sofia profile 'internal' for [100@203.0.113.4] from ip 192.0.2.7`,
    },
  ],
};

const murmur: Filter = {
  name: 'murmur',
  about: 'Mumble server: wrong passwords and certificates',
  prefixes: ['bare', 'syslog'],
  tags: ['murmurd', 'mumble-server'],
  patterns: [
    {
      name: 'rejected',
      tokens: [
        optional(literal('<W>'), time, literal(' ')),
        digits,
        literal(' => <'),
        digits,
        literal(':'),
        userToLast(),
        literal('(-1)> Rejected connection from '),
        peer,
        optional(literal(':'), digits),
        literal(': '),
        choice('Invalid server password', 'Wrong certificate or password for existing user'),
        ...lineEnd,
      ],
      sample:
        '<W>2025-03-04 05:06:07.818 1 => <4:alice(-1)> Rejected connection from 192.0.2.7:29530: Invalid server password',
      counter: '<W>2025-03-04 05:06:07.818 1 => <4:alice(-1)> New connection: 192.0.2.7:29530',
    },
  ],
};

const counterStrike: Filter = {
  name: 'counter-strike',
  about: 'Counter-Strike server: wrong passwords of remote control',
  prefixes: ['bare'],
  patterns: [
    {
      name: 'bad-rcon',
      tokens: [
        literal('L '),
        run('0123456789/'),
        literal(' - '),
        run('0123456789:'),
        literal(' Bad Rcon: "rcon '),
        textToLast(),
        literal('" from "'),
        peer,
        optional(literal(':'), digits),
        literal('"'),
        ...lineEnd,
      ],
      sample: 'L 03/04/2025 - 05:06:07: Bad Rcon: "rcon 1146003691 "284"  sv_contact "x"" from "192.0.2.7:57370"',
      counter: 'L 03/04/2025 - 05:06:07: Rcon: "rcon 1146003691 "284" status" from "192.0.2.7:57370"',
    },
  ],
};

/** The server's reason. It holds no colon, so it holds no second address. */
const ejabberdReason: Token = { kind: 'span', of: { name: 'alpha', bytes: " '-" }, min: 1, max: 255 };
const ejabberdHead: Token[] = [
  choice('[info] ', '[warning] '),
  // On the console, ejabberd leaves out the place in its sources.
  optional(literal('<'), until('>'), literal('>'), until(' '), literal(' ')),
  literal('('),
  until(' '),
  literal(' Failed '),
  optional(literal('c2s '), word, literal(' ')),
  literal('authentication for '),
  userToLast(),
  literal(' from '),
  optional(literal('IP ')),
  ip,
];
const ejabberdSample = '2025-03-04 05:06:07.805 [info] <0.585.0>@ejabberd_c2s:';
const ejabberd: Filter = {
  name: 'ejabberd-auth',
  about: 'ejabberd: failed logins',
  prefixes: ['time', 'bare'],
  patterns: [
    {
      name: 'login-failed',
      tokens: [...ejabberdHead, literal(': '), ejabberdReason, { kind: 'end' }],
      sample: `${ejabberdSample}handle_auth_failure:433 (tls|<0.584.0>) Failed c2s PLAIN authentication for alice@example.org from ::ffff:192.0.2.7: Invalid username or password`,
      counter: `${ejabberdSample}handle_auth_success:420 (tls|<0.584.0>) Accepted c2s PLAIN authentication for alice@example.org by odbc backend from 192.0.2.7`,
    },
    {
      name: 'login-failed-plain',
      tokens: [...ejabberdHead, ...lineEnd],
      sample: `${ejabberdSample}wait_for_sasl_response:965 ({socket_state,p1_tls,{tlssock,#Port<0.6434>,#Port<0.6436>},<0.584.0>}) Failed authentication for alice@example.org from 192.0.2.7`,
      counter: `${ejabberdSample}wait_for_auth:700 ({socket_state,p1_tls,<0.584.0>}) Accepted authentication for alice by ejabberd_auth_internal from 192.0.2.7`,
    },
    {
      // This is the second line of a report.
      name: 'login-failed-report',
      tokens: [
        literal('I(<'),
        until('>'),
        literal('>:ejabberd_c2s:'),
        digits,
        literal(') : ('),
        until(' '),
        literal(' Failed authentication for '),
        userToLast(),
        literal(' from '),
        optional(literal('IP ')),
        ip,
        optional(literal(' ({{'), run('0123456789,'), literal('},'), digits, literal('})')),
        ...lineEnd,
      ],
      sample:
        'I(<0.370.0>:ejabberd_c2s:728) : ({socket_state,tls,<0.369.0>}) Failed authentication for alice@example.org from IP 192.0.2.7 ({{192,0,2,7},40122})',
      counter:
        'I(<0.370.0>:ejabberd_c2s:728) : ({socket_state,tls,<0.369.0>}) Accepted authentication for alice by ejabberd_auth_internal',
    },
  ],
};

const znc: Filter = {
  name: 'znc-adminlog',
  about: 'ZNC: failed logins, through its module adminlog',
  prefixes: ['time', 'syslog'],
  tags: ['znc'],
  patterns: [
    {
      name: 'login-failed',
      tokens: [
        literal('['),
        userToLast(),
        literal('] failed to login from '),
        peer,
        optional(literal(':'), digits),
        ...lineEnd,
      ],
      sample: '[2025-03-04 05:06:07] [alice] failed to login from 192.0.2.7',
      counter: '[2025-03-04 05:06:07] [alice] connected to ZNC from 192.0.2.7',
    },
  ],
};

const auditField = choice(
  'op',
  'grantors',
  'id',
  'hostname',
  'kind',
  'fp',
  'direction',
  'spid',
  'suid',
  'rport',
  'laddr',
  'lport',
);
const selinuxSsh: Filter = {
  name: 'selinux-ssh',
  about: 'OpenSSH: failed logins, from the audit log',
  prefixes: ['bare'],
  patterns: [
    {
      name: 'login-failed',
      tokens: [
        literal('type='),
        choice('USER_ERR', 'USER_AUTH'),
        literal(' msg=audit('),
        time,
        literal(':'),
        digits,
        literal('): '),
        optional(literal('user ')),
        literal('pid='),
        digits,
        literal(' uid=0 auid='),
        digits,
        literal(' ses='),
        digits,
        literal(' subj='),
        choice('unconfined_u', 'system_u'),
        literal(":system_r:sshd_t:s0-s0:c0.c1023 msg='"),
        repeat(12, auditField, literal('='), word, literal(' ')),
        literal('acct='),
        either([literal('"'), userUntil('"'), literal('"')], [word]),
        choice(
          ' exe="/usr/sbin/sshd" ',
          ' exe="/usr/libexec/openssh/sshd-session" ',
          ' exe="/usr/lib/openssh/sshd-session" ',
        ),
        repeat(12, auditField, literal('='), word, literal(' ')),
        literal('addr='),
        ip,
        literal(" terminal=ssh res=failed'"),
      ],
      sample: `type=USER_AUTH msg=audit(1741061167.280:9): pid=811 uid=0 auid=4294967295 ses=4294967295 subj=system_u:system_r:sshd_t:s0-s0:c0.c1023 msg='op=password acct="root" exe="/usr/sbin/sshd" hostname=? addr=192.0.2.7 terminal=ssh res=failed'`,
      counter: `type=USER_AUTH msg=audit(1741061167.280:9): pid=811 uid=0 auid=4294967295 ses=4294967295 subj=system_u:system_r:sshd_t:s0-s0:c0.c1023 msg='op=password acct="root" exe="/usr/sbin/sshd" hostname=? addr=192.0.2.7 terminal=ssh res=success'`,
    },
  ],
};

/** The number of the connection joins its lines. */
const slapdHead: Token[] = [
  literal('conn='),
  { kind: 'span', of: { name: 'digit' }, min: 1, max: 10, capture: 'user' },
  repeat(2, choice(' fd=', ' op='), digits),
];
const slapd: Filter = {
  name: 'slapd',
  about: 'OpenLDAP: binds with a wrong name or password',
  prefixes: ['syslog'],
  tags: ['slapd'],
  connection: 'number',
  patterns: [
    {
      name: 'accepted',
      effect: { kind: 'context' },
      tokens: [...slapdHead, literal(' ACCEPT from IP='), peer, optional(literal(':'), digits), literal(' ')],
      sample: `${at} slapd[811]: conn=1022 fd=12 ACCEPT from IP=192.0.2.7:40122 (IP=0.0.0.0:389)`,
      counter: `${at} slapd[811]: conn=1022 fd=12 ACCEPT from PATH=/run/ldapi (PATH=/run/ldapi)`,
    },
    {
      name: 'invalid-credentials',
      tokens: [
        ...slapdHead,
        literal(' RESULT'),
        repeat(8, literal(' '), choice('tag', 'oid', 'qtime', 'etime', 'nentries'), literal('='), any('nonspace')),
        literal(' err=49'),
        either([literal(' ')], [{ kind: 'end' }]),
      ],
      sample: `${at} slapd[811]: conn=1022 op=0 RESULT tag=97 err=49 text=`,
      counter: `${at} slapd[811]: conn=1022 op=0 RESULT tag=97 err=0 text=`,
    },
    {
      name: 'closed',
      effect: { kind: 'context', ends: true },
      tokens: [...slapdHead, literal(' closed')],
      sample: `${at} slapd[811]: conn=1022 fd=12 closed`,
      counter: `${at} slapd[811]: conn=1022 op=2 UNBIND`,
    },
  ],
};

const gssftpd: Filter = {
  name: 'gssftpd',
  about: 'Kerberos FTP: repeated failures to log in',
  prefixes: ['syslog'],
  tags: ['ftpd'],
  patterns: [
    {
      name: 'login-failures',
      tokens: [literal('repeated login failures from '), ip, literal(' (')],
      sample: `${at} ftpd[811]: repeated login failures from 192.0.2.7 (host.example.org)`,
      counter: `${at} ftpd[811]: FTP LOGIN FROM 192.0.2.7 (host.example.org) as alice`,
    },
  ],
};

const wuftpd: Filter = {
  name: 'wuftpd',
  about: 'WU-FTPD: failed logins, from its own log or from PAM',
  prefixes: ['syslog'],
  tags: ['wu-ftpd', 'wu-ftpd(pam_unix)'],
  connection: 'process',
  ignore: [pamAmbiguous('wu-ftpd')],
  patterns: [
    {
      name: 'login-failed',
      effect: { stage: 4 },
      tokens: [literal('failed login from '), word, literal(' ['), ip, literal(']'), ...lineEnd],
      sample: `${at} wu-ftpd[811]: failed login from host.example.org [192.0.2.7]`,
      counter: `${at} wu-ftpd[811]: FTP LOGIN FROM host.example.org [192.0.2.7], alice`,
    },
    ...pamVerdicts('wu-ftpd'),
  ],
};

const xrdp: Filter = {
  name: 'xrdp',
  about: 'xrdp: failed logins',
  prefixes: ['bare', 'syslog'],
  tags: ['xrdp-sesman', 'xrdp-sesexec'],
  patterns: [
    {
      name: 'login-failed',
      tokens: [
        // The time. Since 0.10 it has a zone. In syslog it is missing.
        optional(literal('['), run('0123456789-:T.+'), literal('] ')),
        literal('[INFO ] '),
        optional(literal('[pid:'), digits, literal(' tid:'), run('0123456789-'), literal('] ')),
        literal('AUTHFAIL: user='),
        userToLast(),
        literal(' ip='),
        ip,
        literal(' time='),
        digits,
        ...lineEnd,
      ],
      sample: '[20250304-05:06:07] [INFO ] AUTHFAIL: user=alice ip=::ffff:192.0.2.7 time=1741061167',
      counter: '[20250304-05:06:07] [INFO ] AUTHOK: user=alice ip=::ffff:192.0.2.7 time=1741061167',
    },
  ],
};

const screensharing: Filter = {
  name: 'screensharingd',
  about: 'macOS Screen Sharing: failed logins',
  prefixes: ['syslog'],
  tags: ['screensharingd'],
  patterns: [
    {
      name: 'login-failed',
      tokens: [
        literal('Authentication: FAILED :: User Name: '),
        userToLast(),
        literal(' :: Viewer Address: '),
        ip,
        literal(' :: Type: DH'),
        ...lineEnd,
      ],
      sample: `${at} screensharingd[811]: Authentication: FAILED :: User Name: alice :: Viewer Address: 192.0.2.7 :: Type: DH`,
      counter: `${at} screensharingd[811]: Authentication: SUCCEEDED :: User Name: alice :: Viewer Address: 192.0.2.7 :: Type: DH`,
    },
  ],
};

const monit: Filter = {
  name: 'monit',
  about: 'Monit: failed logins at its web page',
  prefixes: ['bare', 'syslog'],
  tags: ['monit'],
  patterns: [
    {
      name: 'login-failed',
      tokens: [
        optional(literal('['), until(']'), literal('] ')),
        optional(literal('error'), any('space', 8), literal(': ')),
        choice('Warning: ', 'HttpRequest: '),
        optional(literal('access denied -- ')),
        choice('Client ', 'client '),
        optional(literal("'")),
        ip,
        optional(literal("'")),
        choice(' supplied ', ': '),
        choice("unknown user '", "wrong password for user '", 'empty password'),
      ],
      sample: `${at} monit[811]: HttpRequest: access denied -- client 192.0.2.7: wrong password for user 'alice'`,
      counter: `${at} monit[811]: HttpRequest: access denied -- client 192.0.2.7: missing or invalid Authorization header`,
    },
  ],
};

const cowrieValue = either([literal('"'), until('"\\', 0), literal('"')], [some('word', 32)]);
const cowrieFields = repeat(
  24,
  literal('"'),
  choice(
    'session',
    'protocol',
    'sensor',
    'timestamp',
    'time',
    'uuid',
    'system',
    'isError',
    'message',
    'format',
    'src_port',
    'dst_ip',
    'dst_port',
  ),
  literal('":'),
  any('space', 1),
  cowrieValue,
  optional(literal(',')),
  any('space', 1),
);
/**
 * The field, and what may stand between it and the next field. If it is the last field of a
 * pattern, that separator is left out.
 */
const sourceField: Token[] = [
  literal('"src_ip":'),
  any('space', 1),
  literal('"'),
  ip,
  literal('"'),
  optional(literal(',')),
  any('space', 1),
];
const connectField: Token[] = [
  literal('"eventid":'),
  any('space', 1),
  literal('"cowrie.session.connect"'),
  optional(literal(',')),
  any('space', 1),
];
const cowrie: Filter = {
  name: 'cowrie',
  about: 'Cowrie: whoever connects to the honeypot',
  prefixes: ['bare'],
  patterns: [
    {
      name: 'connected',
      tokens: [literal('{'), cowrieFields, ...sourceField, cowrieFields, ...connectField.slice(0, 3)],
      sample:
        '{"session":"9f8e","protocol":"telnet","src_ip":"192.0.2.7","src_port":52344,"dst_ip":"203.0.113.4","dst_port":23,"eventid":"cowrie.session.connect","timestamp":"2025-03-04T05:06:07.000000Z"}',
      counter:
        '{"session":"9f8e","protocol":"telnet","src_ip":"192.0.2.7","username":"root","eventid":"cowrie.login.success"}',
    },
    {
      name: 'connected-event-first',
      tokens: [literal('{'), cowrieFields, ...connectField, cowrieFields, ...sourceField.slice(0, 5)],
      sample:
        '{"eventid": "cowrie.session.connect", "src_ip": "192.0.2.7", "src_port": 52344, "session": "9f8e", "protocol": "ssh"}',
      counter: '{"eventid": "cowrie.session.closed", "src_ip": "192.0.2.7", "session": "9f8e"}',
    },
  ],
};

/** An entry of the log as JSON, up to the name of the connection. */
const mongodbEntry: Token[] = [
  literal('{"t":{"$date":"'),
  time,
  literal('"},"s":"'),
  some('alpha', 4),
  run('", '),
  literal('c":"ACCESS",'),
  any('space', 4),
  literal('"id":'),
  digits,
  literal(','),
  any('space', 4),
  optional(literal('"svc":"'), some('word', 4), literal('",'), any('space', 4)),
  literal('"ctx":"'),
  until('"'),
];

const mongodb: Filter = {
  name: 'mongodb-auth',
  about: 'MongoDB: failed logins',
  prefixes: ['time', 'bare'],
  connection: 'number',
  ignore: [
    {
      // Two such phrases: one is part of a user name, which no account has. The line is not
      // counted.
      name: 'two-clients',
      tokens: [textToFirst(), literal(' from client '), textToFirst(), literal(' from client ')],
      sample:
        '2025-03-04T05:06:07.123+0100 I ACCESS   [conn34] SASL SCRAM-SHA-1 authentication failed for a on b from client 198.51.100.9:1 on admin from client 192.0.2.7:40122 ; x',
      counter:
        '2025-03-04T05:06:07.123+0100 I ACCESS   [conn34] SASL SCRAM-SHA-1 authentication failed for a on admin from client 192.0.2.7:40122 ; x',
    },
  ],
  patterns: [
    {
      // Written from 5.0 on. A speculative attempt does not count: the client repeats it when the
      // server asks.
      name: 'login-failed-json-5',
      tokens: [
        ...mongodbEntry,
        literal('","msg":"Failed to authenticate","attr":{"client":"'),
        ipPort,
        literal('",'),
        optional(literal('"isSpeculative":false,')),
        choice('"isClusterMember":', '"mechanism":'),
        textToFirst(),
        literal(',"error":"'),
        choice('AuthenticationFailed: ', 'UserNotFound: '),
      ],
      sample:
        '{"t":{"$date":"2025-03-04T05:06:07.123+01:00"},"s":"I",  "c":"ACCESS",   "id":5286307, "ctx":"conn34","msg":"Failed to authenticate","attr":{"client":"192.0.2.7:40122","isSpeculative":false,"isClusterMember":false,"mechanism":"SCRAM-SHA-256","user":"alice","db":"admin","error":"AuthenticationFailed: SCRAM authentication failed, storedKey mismatch","result":18,"metrics":{},"extraInfo":{}}}',
      counter:
        '{"t":{"$date":"2025-03-04T05:06:07.123+01:00"},"s":"I",  "c":"ACCESS",   "id":5286307, "ctx":"conn34","msg":"Failed to authenticate","attr":{"client":"192.0.2.7:40122","isSpeculative":true,"isClusterMember":false,"mechanism":"SCRAM-SHA-256","user":"alice","db":"admin","error":"AuthenticationFailed: SCRAM authentication failed, storedKey mismatch","result":18,"metrics":{},"extraInfo":{}}}',
    },
    {
      // Written from 4.4 on, as JSON.
      name: 'login-failed-json',
      tokens: [
        ...mongodbEntry,
        literal('","msg":"Authentication failed","attr":{'),
        repeat(
          8,
          literal('"'),
          choice(
            'mechanism',
            'speculative',
            'isSpeculative',
            'isClusterMember',
            'principalName',
            'authenticationDatabase',
            'user',
            'db',
          ),
          literal('":'),
          either([literal('"'), until('"\\', 0), literal('"')], [some('word', 32)]),
          literal(','),
        ),
        choice('"client":"', '"remote":"'),
        peer,
      ],
      sample:
        '{"t":{"$date":"2025-03-04T05:06:07.123+00:00"},"s":"I",  "c":"ACCESS",   "id":20249,   "ctx":"conn30","msg":"Authentication failed","attr":{"mechanism":"SCRAM-SHA-256","principalName":"root","authenticationDatabase":"admin","client":"192.0.2.7:40122","result":"UserNotFound: Could not find user"}}',
      counter:
        '{"t":{"$date":"2025-03-04T05:06:07.123+00:00"},"s":"I",  "c":"ACCESS",   "id":20250,   "ctx":"conn30","msg":"Authentication succeeded","attr":{"mechanism":"SCRAM-SHA-256","principalName":"root","authenticationDatabase":"admin","client":"192.0.2.7:40122"}}',
    },
    {
      name: 'login-failed-client',
      tokens: [
        optional(some('alpha', 1), some('space', 4), some('word', 16), some('space', 8)),
        literal('[conn'),
        digits,
        literal('] SASL '),
        word,
        literal(' authentication failed for '),
        userUntil(' \t'),
        literal(' on '),
        word,
        literal(' from client '),
        peer,
      ],
      sample:
        '2025-03-04T05:06:07.123+0100 I ACCESS   [conn34] SASL SCRAM-SHA-1 authentication failed for root on admin from client 192.0.2.7:40122 ; UserNotFound: Could not find user root@admin',
      counter:
        '2025-03-04T05:06:07.123+0100 I ACCESS   [conn34] Successfully authenticated as principal root on admin from client 192.0.2.7:40122',
    },
    {
      // Written up to 3.2. The line about the end of the connection gives the client's address.
      name: 'login-failed',
      tokens: [
        optional(some('alpha', 1), some('space', 4), some('word', 16), some('space', 8)),
        literal('[conn'),
        { kind: 'span', of: { name: 'digit' }, min: 1, max: 10, capture: 'user' },
        literal('] Failed to authenticate '),
      ],
      sample:
        '2025-03-04T05:06:07.110+0100 [conn334] Failed to authenticate root@admin with mechanism MONGODB-CR: AuthenticationFailed key mismatch',
      counter:
        '2025-03-04T05:06:07.110+0100 [conn334]  authenticate db: admin { authenticate: 1, nonce: "x", user: "root", key: "x" }',
    },
    {
      name: 'connection-end',
      effect: { kind: 'context', ends: true },
      tokens: [
        optional(some('alpha', 1), some('space', 4), some('word', 16), some('space', 8)),
        literal('[conn'),
        { kind: 'span', of: { name: 'digit' }, min: 1, max: 10, capture: 'user' },
        literal('] end connection '),
        peer,
      ],
      sample: '2025-03-04T05:06:07.111+0100 [conn334] end connection 192.0.2.7:53276 (0 connections now open)',
      counter: '2025-03-04T05:06:07.111+0100 [initandlisten] connection accepted from 192.0.2.7:53276 #334',
    },
  ],
};

const mssql: Filter = {
  name: 'mssql-auth',
  about: 'Microsoft SQL Server: failed logins',
  prefixes: ['time'],
  patterns: [
    {
      name: 'login-failed',
      tokens: [
        any('space', 4),
        literal('Logon'),
        some('space', 16),
        literal("Login failed for user '"),
        userToLast(),
        literal("'. "),
        until("'["),
        literal('[CLIENT: '),
        ip,
        literal(']'),
        ...lineEnd,
      ],
      sample:
        "2025-03-04 05:06:07.21 Logon       Login failed for user 'alice'. Reason: Could not find a login matching the name provided. [CLIENT: 192.0.2.7]",
      counter:
        "2025-03-04 05:06:07.21 Logon       Login succeeded for user 'alice'. Connection made using SQL Server authentication. [CLIENT: 192.0.2.7]",
    },
  ],
};

/** The place in lighttpd's sources. Some builds write it with its folders. */
const authC: Token[] = [literal('('), repeat(8, until('/() \t'), literal('/')), choice('http_auth.c.', 'mod_auth.c.')];
const lighttpd: Filter = {
  name: 'lighttpd-auth',
  about: 'lighttpd: wrong user or password for basic and digest authentication',
  prefixes: ['time', 'syslog'],
  tags: ['lighttpd'],
  patterns: [
    {
      name: 'password-wrong',
      tokens: [
        ...authC,
        digits,
        literal(") password doesn't match for "),
        textToFirst(),
        literal(' username:'),
        textToLast(),
        literal(' IP: '),
        ip,
        ...lineEnd,
      ],
      sample: "2025-03-04 05:06:07: (http_auth.c.875) password doesn't match for /git/ username: alice, IP: 192.0.2.7",
      counter: '2025-03-04 05:06:07: (http_auth.c.875) password ok for /git/ username: alice, IP: 192.0.2.7',
    },
    {
      name: 'digest-refused',
      tokens: [
        ...authC,
        digits,
        choice(') digest: auth failed', ') get_password failed'),
        textToLast(),
        literal(' IP: '),
        ip,
        ...lineEnd,
      ],
      sample: '2025-03-04 05:06:07: (mod_auth.c.791) digest: auth failed for  alice : wrong password, IP: 192.0.2.7',
      counter: '2025-03-04 05:06:07: (mod_auth.c.791) digest: nonce expired, IP: 192.0.2.7',
    },
  ],
};

const suhosin: Filter = {
  name: 'suhosin',
  about: 'Suhosin: attacks that it stopped',
  prefixes: ['syslog'],
  tags: ['suhosin', 'lighttpd'],
  patterns: [
    {
      name: 'alert',
      tokens: [
        optional(literal('(mod_fastcgi.c.'), digits, literal(') FastCGI-stderr: ')),
        literal('ALERT - '),
        textToLast(),
        literal(" (attacker '"),
        ip,
        literal("', file '"),
        until("'", 0),
        literal("'"),
        optional(literal(', line '), digits),
        literal(')'),
        ...lineEnd,
      ],
      sample: `${at} suhosin[811]: ALERT - script tried to increase memory_limit to 268435456 bytes which is above the allowed value (attacker '192.0.2.7', file '/srv/www/image.php', line 161)`,
      counter: `${at} suhosin[811]: NOTICE - started (attacker '192.0.2.7', file '/srv/www/image.php')`,
    },
  ],
};

export const networkServices: Filter[] = [
  threeProxy,
  stunnel,
  softether,
  routeros,
  nsd,
  scanlogd,
  portsentry,
  xinetd,
  nagios,
  freeswitch,
  murmur,
  counterStrike,
  ejabberd,
  znc,
  selinuxSsh,
  slapd,
  gssftpd,
  wuftpd,
  xrdp,
  screensharing,
  monit,
  cowrie,
  mongodb,
  mssql,
  lighttpd,
  suhosin,
];
