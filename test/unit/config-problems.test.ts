/**
 * Every kind of mistake in a configuration, with the line, column, key, reason and hint of the
 * answer.
 */
import { describe, expect, test } from 'vitest';
import { type Compiled, compileConfig, type Surroundings } from '../../src/config/compile.ts';
import { ConfigError, formatProblem, type Problem } from '../../src/config/problem.ts';

const surroundings: Surroundings = {
  filters: [
    { name: 'sshd', modes: ['normal', 'ddos', 'extra', 'aggressive'] },
    { name: 'nginx-http-auth', modes: [] },
  ],
  groupId: (name) => ({ fail2zig: 990, adm: 4 })[name],
};

function compile(text: string): Compiled {
  return compileConfig(text, 'test.toml', surroundings);
}

function problemsOf(text: string): Problem[] {
  try {
    compile(text);
  } catch (error) {
    if (error instanceof ConfigError) return error.problems;
    throw error;
  }
  return [];
}

/** Every problem as `line:column key: reason (hint)`. */
function complaints(text: string): string[] {
  return problemsOf(text).map((problem) => formatProblem('', problem).slice(1));
}

const jail = '[jails.sshd]\nlogpath = "/var/log/auth.log"\n';

const unit = 'write "10m", "1h", "1d", "1w" or whole seconds';
const onePort = 'write 22, "ssh", "80,443", "6000:6100" or "all"';

test('the name of a service is the port that IANA gave it', () => {
  const names = 'ftp,ssh,telnet,smtp,domain,http,pop3,imap,imap3,ldap,https,submission,submissions,ldaps,imaps,pop3s';
  const numbers = [21, 22, 23, 25, 53, 80, 110, 143, 220, 389, 443, 587, 465, 636, 993, 995];
  const more = 'ms-wbt-server,mysql,postgresql,sieve,sip,sip-tls,xmpp-client,xmpp-server,openvpn,socks';
  const moreNumbers = [3389, 3306, 5432, 4190, 5060, 5061, 5222, 5269, 1194, 1080];
  for (const [at, name] of `${names},${more}`.split(',').entries()) {
    const [{ ports = [] } = {}] = compile(`${jail}port = "${name}"`).config.jails;
    expect([name, ports]).toEqual([
      name,
      [{ first: [...numbers, ...moreNumbers][at], last: [...numbers, ...moreNumbers][at] }],
    ]);
  }
});

describe('lists', () => {
  test('each wrong element of a list is reported', () => {
    const paths = '"/var/log/{a,b}.log", "/ok", "/var/log/a[0-9]", "/var/log/x tail", "relative"';
    expect(complaints(`[jails.sshd]\nlogpath = [${paths}]\nignoreip = ["0.0.0.0/0", "192.0.2.1", "::/0"]`)).toEqual([
      '2:12: jails.sshd.logpath[0]: "/var/log/{a,b}.log" holds "{": only "*" and "?" are wildcards (name each path, or write "?" for one character)',
      '2:41: jails.sshd.logpath[2]: "/var/log/a[0-9]" holds "[": only "*" and "?" are wildcards (name each path, or write "?" for one character)',
      '2:60: jails.sshd.logpath[3]: "/var/log/x tail" ends in an option of fail2ban\'s (leave it out: reading continues where it stopped, and a new file is read from findtime ago)',
      '2:79: jails.sshd.logpath[4]: expected an absolute path, found the string "relative" (a path starts with "/")',
      '3:13: jails.sshd.ignoreip[0]: "0.0.0.0/0" is every address: nobody would be banned (name your own networks)',
      '3:39: jails.sshd.ignoreip[2]: "::/0" is every address: nobody would be banned (name your own networks)',
    ]);
  });

  test('settings that only fail at start are refused', () => {
    expect(complaints(`${jail}bantime = "1h"\nbantime_increment = true\nbantime_maxtime = "10m"`)).toEqual([
      '5:19: jails.sshd.bantime_maxtime: is shorter than the bantime of jail sshd (3600 s) (bans never become shorter: write at least bantime)',
    ]);
    expect(complaints(`firewall.backend = "xdp"\n${jail}`)).toEqual([
      '1:20: firewall.interfaces: is missing: xdp drops on the interfaces that you name (write interfaces = ["eth0"])',
    ]);
  });
});

describe('one mistake, one complaint', () => {
  test.each<[what: string, text: string, complaint: string]>([
    // Keys
    ['key', '[memory]\nceilling = "64MB"', '2:1: memory.ceilling: unknown key (did you mean "ceiling"?)'],
    ['indented', '[memory]\n\t ceilling = 1', '2:3: memory.ceilling: unknown key (did you mean "ceiling"?)'],
    ['dotted', 'memory.ceilling = 1', '1:8: memory.ceilling: unknown key (did you mean "ceiling"?)'],
    ['quoted', 'memory."ceilling" = 1', '1:8: memory.ceilling: unknown key (did you mean "ceiling"?)'],
    ['escaped', 'memory."\\u0063eilling" = 1', '1:8: memory.ceilling: unknown key (did you mean "ceiling"?)'],
    ['inline', 'memory = { ceilling = 1 }', '1:12: memory.ceilling: unknown key (did you mean "ceiling"?)'],
    ['section', '[memroy]\nceiling = 1', '1:2: memroy: unknown key (did you mean "memory"?)'],
    ['array of sections', '[[memroy]]\nx = 1', '1:3: memroy: unknown key (did you mean "memory"?)'],
    ['jails', `${jail}[jail.x]`, '3:2: jail: unknown key (did you mean "jails"?)'],
    ['jail at the top', '[sshd]\nenabled = true', '1:2: sshd: unknown key (did you mean [jails.sshd]?)'],
    ['key of a jail', `${jail}maxretyr = 3`, '3:1: jails.sshd.maxretyr: unknown key (did you mean "maxretry"?)'],
    [
      'fail2ban case',
      '[DEFAULT]\nbantime = 1',
      "1:2: DEFAULT: unknown key (this is a file of fail2ban's: fail2zig import translates all of /etc/fail2ban)",
    ],
    ...['INCLUDES', 'Definition', 'Init'].map((section): [string, string, string] => [
      `fail2ban ${section}`,
      `[${section}]\nx = 1`,
      `1:2: ${section}: unknown key (this is a file of fail2ban's: fail2zig import translates all of /etc/fail2ban)`,
    ]),
    ['misplaced', 'findtime = 5', '1:1: findtime: unknown key (it belongs in [defaults] or [jails.NAME])'],
    [
      'filter by default',
      '[defaults]\nfilter = "sshd"',
      '2:1: defaults.filter: unknown key (it belongs in [jails.NAME])',
    ],
    ['without neighbour', '[log]\nzzzzzzzz = 1', '2:1: log.zzzzzzzz: unknown key'],
    ['a filter in a section', '[log]\nsshd = 1', '2:1: log.sshd: unknown key'],
    ['of a section', 'ceiling = 1', '1:1: ceiling: unknown key (it belongs in [memory])'],
    ['of several', 'interval = 1', '1:1: interval: unknown key (it belongs in [state] or [fleet])'],
    ['of a list', 'use = "ban"', '1:1: use: unknown key (it belongs in [[list]])'],
    ['of a filter', 'log_tag = "x"', '1:1: log_tag: unknown key (it belongs in [[filter]])'],
    ['of the journal', '[log]\ndirectories = 1', '2:1: log.directories: unknown key (it belongs in [journal])'],
    [
      'of a pattern',
      '[[filter]]\nname = "x"\npatterns = [{ pattrn = "a {ip}" }]',
      '3:15: filter[0].patterns[0].pattrn: unknown key (did you mean "pattern"?)',
    ],
    ['of a table of lists', '[[list]]\nfiel = "/x"', '2:1: list[0].fiel: unknown key (did you mean "file"?)'],
    ['of the defaults', '[defaults]\nmaxretyr = 1', '2:1: defaults.maxretyr: unknown key (did you mean "maxretry"?)'],
    ['empty key', '"" = 1', '1:1: "": unknown key'],
    ['control bytes', '"\\u001b[2J" = 1', '1:1: "\\u001b[2J": unknown key'],
    ['prototype', '[jails.__proto__]\nx = 1', '1:2: jails.__proto__: unknown key'],
    ['constructor', 'constructor.x = 1', '1:1: constructor.x: unknown key'],

    // Duplicates
    ['key twice', '[log]\nlevel = "info"\nlevel = "warn"', '3:1: log.level: is defined twice, first on line 2'],
    ['section twice', '[log]\n[memory]\n[log]', '3:2: log: is defined twice, first on line 1'],
    ['jail twice', `${jail}[jails."sshd"]`, '3:2: jails.sshd: is defined twice, first on line 1'],
    ['dotted twice', 'log.level = "info"\nlog."level" = "info"', '2:1: log.level: is defined twice, first on line 1'],
    [
      'inline twice',
      'log = { level = "info", level = "warn" }',
      '1:25: log.level: redefines a key or table that has a value',
    ],
    ['table over inline', 'log = {}\n[log]', '2:2: log: is defined twice, first on line 1'],

    // Syntax
    ['no value', '[log]\nlevel =', '2:8: log.level: a value is missing after "="'],
    ['no equals', '[log]\nlevel', '2:1: log.level: incomplete key-value: cannot find end of key'],
    [
      'word',
      '[log]\nlevel = info',
      '2:9: log.level: each key-value declaration must be followed by an end-of-line (write text in quotes: "info")',
    ],
    [
      'unit',
      '[defaults]\nbantime = 10m',
      '2:11: defaults.bantime: illegal character in numeric literal (write text in quotes: "10m")',
    ],
    [
      'open string',
      '[log]\nlevel = "info\n',
      '2:14: log.level: control characters are not allowed in strings (the text must end on its line, with the quote that it began with)',
    ],
    ['open header', '[log\nlevel = "info"', '1:5: log: illegal character in key'],
    [
      'two values',
      '[log]\nlevel = "info" "warn"',
      '2:16: log.level: each key-value declaration must be followed by an end-of-line',
    ],
    ['control character', 'x = "\x01"', '1:6: x: control characters are not allowed in strings'],
    [
      'deep nesting',
      `x = ${'['.repeat(40)}${']'.repeat(40)}`,
      '1:21: x[0][0][0][0][0][0][0][0][0][0][0][0][0][0][0][0]: document contains excessively nested structures. aborting.',
    ],

    ['a key of many parts', `a${'.a'.repeat(16)} = 1`, '1:1: a key has more than 16 parts'],
    ['a header of many parts', `[a${'.a'.repeat(500)}]`, '1:2: a key has more than 16 parts'],
    ['an inline key of many parts', `x = { a${'.a'.repeat(500)} = 1 }`, '1:7: a key has more than 16 parts'],
    ['more keys than are read', 'k = 1\n'.repeat(20_001), '20001:1: the file defines more than 20000 keys and tables'],

    // Types of tables
    ['section as value', 'memory = 3', '1:10: memory: expected a table, found the integer 3'],
    ['sections as list', '[[memory]]', '1:3: memory: expected a table, found a list'],
    ['jail as value', 'jails.sshd = "on"', '1:14: jails.sshd: expected a table, found the string "on"'],
    ['jails as list', 'jails = ["sshd"]', '1:9: jails: expected a table, found a list'],
    ['date', 'log = 2026-01-01', '1:7: log: expected a table, found a date'],

    // [memory]
    [
      'ceiling',
      '[memory]\nceiling = "64XB"',
      '2:11: memory.ceiling: expected a size, found the string "64XB" (write "64MB" (MB = 1024 × 1024 bytes) or whole bytes)',
    ],
    [
      'small ceiling',
      'memory.ceiling = 1',
      '1:18: memory.ceiling: smaller than 1MB, found the integer 1 (write "64MB" (MB = 1024 × 1024 bytes) or whole bytes)',
    ],
    [
      'policy',
      'memory.eviction_policy = "evict-oldest"',
      '1:26: memory.eviction_policy: expected one of "evict_oldest", "ban_all", "drop_unbanned", "deny_new", "log_and_drop", found the string "evict-oldest" (did you mean "evict_oldest"?)',
    ],

    // [firewall]
    [
      'backend',
      'firewall.backend = "nftable"',
      '1:20: firewall.backend: expected one of "auto", "nftables", "iptables", "ipset", "xdp", "log-only", found the string "nftable" (did you mean "nftables"?)',
    ],
    [
      'backend type',
      'firewall.backend = 1',
      '1:20: firewall.backend: expected one of "auto", "nftables", "iptables", "ipset", "xdp", "log-only", found the integer 1',
    ],
    [
      'table',
      'firewall.table = "a b"',
      '1:18: firewall.table: expected a table name, found the string "a b" (use up to 31 letters, digits, "_" and "-", a letter first)',
    ],
    [
      'boolean',
      'firewall.allow_log_only = "yes"',
      '1:27: firewall.allow_log_only: expected true or false, found the string "yes" (write true without quotes)',
    ],

    // [control]
    [
      'socket',
      'control.socket = "run/x"',
      '1:18: control.socket: expected an absolute path, found the string "run/x" (a path starts with "/")',
    ],
    ['long socket', `control.socket = "/${'a'.repeat(107)}"`, '1:18: control.socket: is longer than 107 bytes'],
    ['socket directory', 'control.socket = "/run/"', '1:18: control.socket: "/run/" is a directory, not a socket'],
    [
      'group',
      'control.group = "a:b"',
      '1:17: control.group: "a:b" is not a usable name (use letters, digits, "_", "-" and ".", a letter or digit first)',
    ],

    // [metrics]
    [
      'bind',
      'metrics.bind = "localhost"',
      '1:16: metrics.bind: expected an address to listen on, found the string "localhost" (write "127.0.0.1" or "::1")',
    ],
    [
      'open bind',
      'metrics.bind = "0.0.0.0"',
      '1:16: metrics.bind: 0.0.0.0 can be reached from other hosts, which would learn jails and bans (write allow_remote = true beside it if that is meant)',
    ],
    ['port', 'metrics.port = 0', '1:16: metrics.port: must be at least 1, found 0'],
    [
      'port type',
      'metrics.port = "9100"',
      '1:16: metrics.port: expected an integer, found the string "9100" (write 9100 without quotes)',
    ],

    // [state]
    [
      'state path',
      'state.path = "state"',
      '1:14: state.path: expected an absolute path, found the string "state" (a path starts with "/")',
    ],
    [
      'state directory',
      'state.path = "/var/lib/x/"',
      '1:14: state.path: "/var/lib/x/" is a directory (write "/var/lib/x/state")',
    ],
    ['state switch', 'state.enabled = 1', '1:17: state.enabled: expected true or false, found the integer 1'],
    ['state interval', 'state.interval = "2h"', '1:18: state.interval: longer than 1h, found the string "2h"'],
    [
      'state for ever',
      'state.interval = -1',
      '1:18: state.interval: -1 (for ever) is only possible for bantime (write "10m", "1h", "1d", "1w" or whole seconds)',
    ],

    // [log]
    [
      'level',
      'log.level = "infos"',
      '1:13: log.level: expected one of "error", "warn", "info", "debug", found the string "infos" (did you mean "info"?)',
    ],

    // Jails
    ['maxretry 0', `${jail}maxretry = 0`, '3:12: jails.sshd.maxretry: must be at least 1, found 0'],
    [
      'maxretry 1001',
      `${jail}maxretry = 1001`,
      '3:12: jails.sshd.maxretry: must be at most 1000, found 1001 (a table entry counts no further)',
    ],
    ['maxretry float', `${jail}maxretry = 2.5`, '3:12: jails.sshd.maxretry: expected an integer, found the float 2.5'],
    [
      'findtime 0',
      `${jail}findtime = 0`,
      `3:12: jails.sshd.findtime: must be greater than 0, found the integer 0 (${unit})`,
    ],
    [
      'findtime for ever',
      `${jail}findtime = -1`,
      `3:12: jails.sshd.findtime: -1 (for ever) is only possible for bantime (${unit})`,
    ],
    [
      'bantime',
      `${jail}bantime = "10 parsecs"`,
      `3:11: jails.sshd.bantime: expected a duration, found the string "10 parsecs" (${unit})`,
    ],
    [
      'bantime 0',
      `${jail}bantime = 0`,
      '3:11: jails.sshd.bantime: must be greater than 0, found the integer 0 (write -1 for ever)',
    ],
    [
      'format',
      `${jail}format = "jsn"`,
      '3:10: jails.sshd.format: expected one of "auto", "plain", "docker", "cri", "json", found the string "jsn" (did you mean "json"?)',
    ],
    [
      'json without a field',
      `${jail}format = "json"`,
      '1:8: jails.sshd.message: is missing (name the field that holds the text: message = "msg")',
    ],
    ['a field without json', `${jail}message = "msg"`, '3:1: jails.sshd.message: is for format = "json" only'],
    ['an empty field', `${jail}format = "json"\nmessage = ""`, '4:11: jails.sshd.message: must have 1 to 63 bytes'],
    [
      'a quote in a field',
      `${jail}format = "json"\nmessage = 'a"b'`,
      '4:11: jails.sshd.message: must hold no quote, backslash or control character',
    ],
    [
      'a zone',
      `${jail}timezone = "Mars/Base"`,
      '3:12: jails.sshd.timezone: expected a time zone such as "Europe/Berlin" or "+02:00", found the string "Mars/Base"',
    ],
    ['IPv4 prefix', `${jail}ipv4_prefix = 23`, '3:15: jails.sshd.ipv4_prefix: must be at least 24, found 23'],
    [
      'IPv4 prefix',
      `${jail}ipv4_prefix = 24\n[firewall]\nbackend = "xdp"\ninterfaces = ["eth0"]`,
      '3:15: jails.sshd.ipv4_prefix: xdp bans IPv4 sources one by one (jail sshd) (leave it out, or choose another backend)',
    ],
    ['prefix', `${jail}ipv6_prefix = 31`, '3:15: jails.sshd.ipv6_prefix: must be at least 32, found 31'],
    [
      'ignoreip host',
      `${jail}ignoreip = ["::1", "example.org"]`,
      '3:20: jails.sshd.ignoreip[1]: "example.org" is a host name (write its addresses: host names are never resolved)',
    ],
    [
      'ignoreip lines',
      `${jail}ignoreip = [\n  "::1", # us\n  "192.0.2.0/33",\n]`,
      '5:3: jails.sshd.ignoreip[1]: "192.0.2.0/33" has a wrong prefix length (IPv4 has 0 to 32 bits, IPv6 0 to 128)',
    ],
    [
      'ignoreip string',
      `${jail}ignoreip = "::1 1.2.3"`,
      '3:12: jails.sshd.ignoreip: "1.2.3" is not an address or prefix (write 192.0.2.7, 192.0.2.0/24 or 2001:db8::/32)',
    ],
    [
      'ignoreip type',
      `${jail}ignoreip = [1]`,
      '3:13: jails.sshd.ignoreip[0]: expected an address or prefix, found the integer 1',
    ],
    [
      'protocols',
      `${jail}protocol = ["tcp", "tpc"]`,
      '3:20: jails.sshd.protocol[1]: expected one of "tcp", "udp", found the string "tpc" (did you mean "tcp"?)',
    ],
    [
      'protocol type',
      `${jail}protocol = 7`,
      '3:12: jails.sshd.protocol: expected one of "tcp", "udp", found the integer 7',
    ],
    ...['maxtime', 'rndtime', 'memory'].map((key): [string, string, string] => [
      `${key} for ever`,
      `${jail}bantime_${key} = -1`,
      `3:${'bantime_ = '.length + key.length + 1}: jails.sshd.bantime_${key}: -1 (for ever) is only possible for bantime (${unit})`,
    ]),
    ['audit for ever', 'audit.keep = -1', `1:14: audit.keep: -1 (for ever) is only possible for bantime (${unit})`],
    ['port of a jail', `${jail}port = "shh"`, '3:8: jails.sshd.port: unknown service "shh" (did you mean "ssh"?)'],
    [
      'port list',
      `${jail}port = [22, 70000]`,
      `3:13: jails.sshd.port[1]: expected a port from 1 to 65535, found the integer 70000 (${onePort})`,
    ],
    [
      'protocol',
      `${jail}protocol = "tpc"`,
      '3:12: jails.sshd.protocol: expected one of "tcp", "udp", "all", found the string "tpc" (did you mean "tcp"?)',
    ],
    [
      'hooks',
      `${jail}hooks = ["input", "forwad"]`,
      '3:19: jails.sshd.hooks[1]: expected one of "input", "forward", found the string "forwad" (did you mean "forward"?)',
    ],
    [
      'no log path',
      '[jails.sshd]\nenabled = true',
      '1:8: jails.sshd.logpath: is missing (write logpath = "/var/log/…", or source = "journal")',
    ],
    [
      'empty log path list',
      '[jails.sshd]\nlogpath = []',
      '2:11: jails.sshd.logpath: expected at least one log path, found an empty list',
    ],
    [
      'relative log path',
      '[jails.sshd]\nlogpath = ["/a", "b"]',
      '2:18: jails.sshd.logpath[1]: expected an absolute path, found the string "b" (a path starts with "/")',
    ],
    [
      'double star',
      '[jails.sshd]\nlogpath = "/a/**/b"',
      '2:11: jails.sshd.logpath: "**" is not supported (name the directories, or use "*" for one level)',
    ],
    [
      'parent',
      '[jails.sshd]\nlogpath = "/a/../b"',
      '2:11: jails.sshd.logpath: the path "/a/../b" holds "." or ".." (write the path in full)',
    ],
    [
      'log directory',
      '[jails.sshd]\nlogpath = "/var/log/"',
      '2:11: jails.sshd.logpath: "/var/log/" is a directory (write "/var/log/*" for its files)',
    ],
    [
      'log path bytes',
      '[jails.sshd]\nlogpath = "/a\\u001b[2J"',
      '2:11: jails.sshd.logpath: the path holds a control character',
    ],
    [
      'jail name',
      '[jails."a b"]\nfilter = "sshd"\nlogpath = "/x"',
      '1:8: jails."a b": jail name: "a b" is not a usable name (use letters, digits, "_", "-" and ".", a letter or digit first)',
    ],
    [
      'long jail name',
      `[jails.${'a'.repeat(25)}]\nfilter = "sshd"\nlogpath = "/x"`,
      `1:8: jails.${'a'.repeat(25)}: jail name: is longer than 24 characters`,
    ],
    ['filter by name', '[jails.ssh]\nlogpath = "/x"', '1:8: jails.ssh: unknown filter "ssh" (did you mean "sshd"?)'],
    ['filter', `${jail}filter = "sshdd"`, '3:10: jails.sshd.filter: unknown filter "sshdd" (did you mean "sshd"?)'],
    [
      'fail2ban filter mode',
      `${jail}filter = "sshd[mode=ddos]"`,
      '3:10: jails.sshd.filter: unknown filter "sshd[mode=ddos]" (write filter = "sshd" and mode = "ddos")',
    ],
    [
      'filter without neighbour',
      `${jail}filter = "quake"`,
      '3:10: jails.sshd.filter: unknown filter "quake" (`fail2zig filters` lists what there is)',
    ],
    [
      'filter by the name of an inline jail',
      'jails = { ssh = { logpath = "/x" } }',
      '1:11: jails.ssh: unknown filter "ssh" (did you mean "sshd"?)',
    ],
    ['filter type', `${jail}filter = 1`, '3:10: jails.sshd.filter: expected a string, found the integer 1'],
    [
      'mode',
      `${jail}mode = "agressive"`,
      '3:8: jails.sshd.mode: filter sshd has no mode "agressive" (did you mean "aggressive"?)',
    ],
    [
      'mode of none',
      `[jails.nginx-http-auth]\nlogpath = "/x"\nmode = "hard"`,
      '3:8: jails.nginx-http-auth.mode: filter nginx-http-auth has no mode "hard" (it has no modes)',
    ],
    [
      'mode by default',
      `[defaults]\nmode = "zzzzz"\n${jail}`,
      '2:8: defaults.mode: filter sshd has no mode "zzzzz" (jail sshd) (its modes are "normal", "ddos", "extra", "aggressive")',
    ],
    [
      'disabled jail',
      '[jails.sshdd]\nenabled = false',
      '1:8: jails.sshdd: unknown filter "sshdd" (did you mean "sshd"?)',
    ],
    [
      'inline jail',
      'jails = { sshd = { logpath = "/x", maxretry = 0 } }',
      '1:47: jails.sshd.maxretry: must be at least 1, found 0',
    ],
    ['after a multi-line string', `x = """\n[log]\nlevel = "x"\n"""\n`, '1:1: x: unknown key'],
    [
      'after CRLF',
      '[log]\r\n# comment\r\nlevel = 1\r\n',
      '3:9: log.level: expected one of "error", "warn", "info", "debug", found the integer 1',
    ],
  ])('%s', (_, text, complaint) => {
    expect(complaints(text)).toEqual([complaint]);
  });
});

describe('several mistakes', () => {
  test('are reported together, in the order of the file', () => {
    const text = [
      '[memory]',
      'ceiling = 64MB',
      'policy = "x"',
      '[jails.sshd]',
      'maxretry = "3"',
      'logpath = "/var/log/auth.log"',
      'logpath = "/var/log/secure"',
      'prot = "ssh"',
    ].join('\n');
    expect(problemsOf(text).map(({ kind, line, key }) => `${line} ${kind} ${key}`)).toEqual([
      '2 syntax memory.ceiling',
      '3 unknown-key memory.policy',
      '5 type jails.sshd.maxretry',
      '7 duplicate jails.sshd.logpath',
      '8 unknown-key jails.sshd.prot',
    ]);
  });

  test('nothing is reported as missing if text had to be skipped', () => {
    expect(complaints('[jails.sshd]\nlogpath = /var/log/auth.log')).toEqual([
      '2:11: jails.sshd.logpath: invalid value (write text in quotes: "/var/log/auth.log")',
    ]);
  });

  test('a section defined twice is skipped completely, and reading continues behind it', () => {
    const text = '[log]\n[log]\nlevel = "loud"\n[memory]\nx = 1';
    expect(complaints(text)).toEqual(['2:2: log: is defined twice, first on line 1', '5:1: memory.x: unknown key']);
  });

  test('columns count characters, not code units or bytes', () => {
    expect(complaints('log = { "é😀" = 1, x = 2 }')).toEqual([
      '1:9: log."é😀": unknown key',
      '1:19: log.x: unknown key',
    ]);
  });

  test('beyond a hundred they are counted', () => {
    const text = Array.from({ length: 130 }, (_, index) => `unknown${index} = 1`).join('\n');
    expect.assertions(2);
    try {
      compile(text);
    } catch (error) {
      expect((error as ConfigError).problems).toHaveLength(100);
      expect((error as ConfigError).message).toMatch(/test\.toml: 30 more$/);
    }
  });

  test('more TOML mistakes than are tried end the reading', () => {
    const problems = problemsOf('x = ?\n'.repeat(500));
    expect(problems.length).toBeGreaterThan(1);
    expect(problems.length).toBeLessThan(50);
  });
});

describe('a usable configuration', () => {
  test('has the defaults where nothing is written', () => {
    expect(compile('')).toEqual({
      config: {
        path: 'test.toml',
        memory: { ceilingBytes: 67_108_864, evictionPolicy: 'evict_oldest' },
        firewall: {
          backend: 'auto',
          table: 'fail2zig',
          allowLogOnly: false,
          interfaces: [],
          keepBans: true,
          bansMax: 0,
        },
        control: { enabled: true, path: '/run/fail2zig/fail2zig.sock', groupId: 990 },
        metrics: { enabled: true, bind: '127.0.0.1', port: 9100 },
        state: { enabled: true, path: '/var/lib/fail2zig/state', intervalSeconds: 60 },
        log: { level: 'info', format: 'text' },
        audit: { keepSeconds: 7_776_000, bytes: 83_886_080, journal: true },
        journal: { directories: [] },
        confinement: { seccomp: 'enforce', landlock: true, read: [] },
        filters: [],
        jails: [],
      },
      filters: [],
      warnings: ['no jail is enabled: nothing will be guarded'],
    });
  });

  test('a jail has fail2ban’s defaults', () => {
    const { config, warnings } = compile(jail);
    expect(warnings).toEqual([]);
    expect(config.jails).toEqual([
      {
        name: 'sshd',
        filter: 'sshd',
        mode: 'normal',
        logpath: ['/var/log/auth.log'],
        maxretry: 5,
        findtime: 600,
        bantime: 600,
        escalation: null,
        ipv6Prefix: 64,
        ignoreip: [],
        ignoreself: true,
        network: false,
        ports: [],
        protocols: ['tcp', 'udp'],
        hooks: ['input'],
        action: 'drop',
      },
    ]);
  });

  test('a jail’s own settings win over [defaults], which win over ours', () => {
    const { config } = compile(`
      [defaults]
      maxretry = 3
      findtime = "1h"
      bantime = "1d"
      ipv6_prefix = 56
      ignoreip = ["192.0.2.0/24"]
      ignoreself = false
      port = "ssh"
      hooks = ["forward", "input"]

      [jails.one]
      filter = "sshd"
      mode = "aggressive"
      logpath = ["/var/log/auth.log", "/var/log/auth?.log"]

      [jails.two]
      filter = "nginx-http-auth"
      logpath = "/var/log/nginx/*error.log"
      maxretry = 16
      findtime = 60
      bantime = -1
      ipv6_prefix = 128
      ignoreip = "203.0.113.0/24 ::1"
      ignoreself = true
      port = "http,https"
      protocol = ["udp", "tcp"]
      hooks = "input"

      [jails.three]
      enabled = false
      filter = "sshd"
    `);
    expect(config.jails).toEqual([
      {
        name: 'one',
        filter: 'sshd',
        mode: 'aggressive',
        logpath: ['/var/log/auth.log', '/var/log/auth?.log'],
        maxretry: 3,
        findtime: 3600,
        bantime: 86_400,
        escalation: null,
        ipv6Prefix: 56,
        ignoreip: ['192.0.2.0/24'],
        ignoreself: false,
        network: false,
        ports: [{ first: 22, last: 22 }],
        protocols: ['tcp'],
        hooks: ['input', 'forward'],
        action: 'drop',
      },
      {
        name: 'two',
        filter: 'nginx-http-auth',
        mode: '',
        logpath: ['/var/log/nginx/*error.log'],
        maxretry: 16,
        findtime: 60,
        bantime: -1,
        escalation: null,
        ipv6Prefix: 128,
        ignoreip: ['203.0.113.0/24', '::1'],
        ignoreself: true,
        network: false,
        ports: [
          { first: 80, last: 80 },
          { first: 443, last: 443 },
        ],
        protocols: ['tcp', 'udp'],
        hooks: ['input'],
        action: 'drop',
      },
    ]);
  });

  const everyPort = [{ first: 0, last: 65_535 }];
  const ssh = [{ first: 22, last: 22 }];

  test.each([
    ['', [], ['tcp', 'udp']],
    ['port = "all"', [], ['tcp', 'udp']],
    ['protocol = "all"', [], ['tcp', 'udp']],
    ['protocol = "tcp"', everyPort, ['tcp']],
    ['protocol = ["udp", "tcp"]', everyPort, ['tcp', 'udp']],
    ['port = "ssh"', ssh, ['tcp']],
    ['port = "ssh"\nprotocol = "udp"', ssh, ['udp']],
    ['port = "ssh"\nprotocol = "all"', ssh, ['tcp', 'udp']],
  ])('"%s" cuts off %j over %j', (text, ports, protocols) => {
    expect(compile(`${jail}${text}`).config.jails).toMatchObject([{ ports, protocols }]);
  });

  test('every setting outside the jails is taken', () => {
    const { config, warnings } = compile(`
      memory = { ceiling = "128MB", eviction_policy = "deny_new" }
      firewall = { backend = "log-only", table = "mine", allow_log_only = true, keep_bans = false, bans_max = 5000 }
      control = { enabled = false, socket = "/run/x.sock", group = "adm" }
      metrics = { enabled = false, bind = "::", port = 9101, allow_remote = true }
      state = { enabled = false, path = "/srv/state", interval = "10s" }
      log = { level = "debug", format = "json" }
      ${jail}
    `);
    expect(config).toMatchObject({
      memory: { ceilingBytes: 134_217_728, evictionPolicy: 'deny_new' },
      firewall: {
        backend: 'log-only',
        table: 'mine',
        allowLogOnly: true,
        interfaces: [],
        keepBans: false,
        bansMax: 5_000,
      },
      control: { enabled: false, path: '/run/x.sock', groupId: 4 },
      metrics: { enabled: false, bind: '::', port: 9101 },
      state: { enabled: false, path: '/srv/state', intervalSeconds: 10 },
      log: { level: 'debug', format: 'json' },
    });
    expect(warnings).toEqual([
      'metrics are served on ::, which other hosts may reach: guard it with a firewall rule',
      'firewall.backend is "log-only": nobody will be banned',
    ]);
  });

  test('an unknown group leaves the socket to root, with a warning', () => {
    const { config, warnings } = compile(`control.group = "nobody-knows"\n${jail}`);
    expect(config.control.groupId).toBe(0);
    expect(warnings).toEqual(['there is no group "nobody-knows" in /etc/group: only root may use the control socket']);
  });
});
