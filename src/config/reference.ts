/**
 * The meaning of each key of fail2zig.toml, in the order of display: docs/configuration.md and the
 * manual page fail2zig.toml(5) are generated from these rows. A test compares them with the schema.
 */

/** A key: its value, its default, and its meaning. */
export interface KeyRow {
  key: string;
  /** As it would be written. */
  value: string;
  /** '' = no default. */
  otherwise: string;
  /** Whole sentences. */
  says: string;
}

export interface TableRow {
  /** As in the file: `[memory]`. */
  header: string;
  /** The path of its keys in the schema. */
  path: readonly PropertyKey[];
  says: string;
  keys: readonly KeyRow[];
}

const row = (key: string, value: string, otherwise: string, says: string): KeyRow => ({ key, value, otherwise, says });

const boolean = 'true or false';
const duration = 'a duration';

/** Keys of both [defaults] and a jail. */
const shared: readonly KeyRow[] = [
  row('enabled', boolean, 'true', 'Whether the jail runs.'),
  row('mode', 'a word', '', 'The mode of the filter: fail2zig filters NAME shows them.'),
  row(
    'logpath',
    'a path, or a list of them',
    '',
    'The logs. "*" and "?" match parts of a name. A file may appear later.',
  ),
  row('source', '"files" or "journal"', '"files"', "Where lines come from: log files, or systemd's journal."),
  row('maxretry', '1 to 1000', '5', 'This many failures within findtime lead to a ban.'),
  row('findtime', duration, '"10m"', 'The time within which failures count together.'),
  row('bantime', 'a duration, or -1', '"10m"', 'How long a ban lasts; -1 is for ever.'),
  row('bantime_increment', boolean, 'false', 'A repeat offender is banned for longer each time.'),
  row('bantime_factor', 'a number', '1', 'bantime is multiplied by this for each ban but the first.'),
  row(
    'bantime_formula',
    '"exponential" or "linear"',
    '"exponential"',
    'A second factor, by the number of the ban: 2, 4, 8 and so on, or 2, 3, 4 and so on.',
  ),
  row(
    'bantime_multipliers',
    'a list of numbers',
    '',
    'Factors to use instead: the first one for the first ban, and so on; the last one repeats; -1 is for ever.',
  ),
  row('bantime_maxtime', duration, '"10y"', 'No ban becomes longer than this.'),
  row('bantime_rndtime', duration, '', 'Each ban becomes longer by a random time up to this.'),
  row('bantime_memory', duration, '"1d"', 'How long an ended ban is remembered for the next one.'),
  row(
    'bantime_overalljails',
    boolean,
    'false',
    'Bans in every jail make the next one longer, not only those in this jail.',
  ),
  row(
    'ipv4_prefix',
    '24 to 32',
    '32',
    'IPv4 sources are counted and banned together by a prefix of this many bits; not with xdp. Hosts of our own links are single.',
  ),
  row('ipv6_prefix', '32 to 128', '64', 'IPv6 sources are counted and banned together by a prefix of this many bits.'),
  row(
    'ignoreip',
    'a list of addresses and prefixes',
    '',
    'Never banned, not even by hand. Those of [defaults] apply in every jail. Host names are not resolved.',
  ),
  row('ignoreself', boolean, 'true', "Loopback and this host's own addresses are never banned."),
  row(
    'network',
    boolean,
    'false',
    'Allows logs on NFS, CIFS, FUSE and the like, named by their own path. If such a file system hangs, the daemon hangs too.',
  ),
  row(
    'port',
    '"ssh", 22, "80,443", "6000:6100", a list, or "all"',
    '"all"',
    'What a banned source can no longer reach.',
  ),
  row('protocol', '"tcp", "udp", both in a list, or "all"', '"tcp" beside a port', 'The protocol of these ports.'),
  row(
    'format',
    '"auto", "plain", "docker", "cri" or "json"',
    '"auto"',
    'How the lines are wrapped. "auto" recognises Docker\'s json-file and CRI logs.',
  ),
  row('message', 'a name', '', 'The field of a JSON line that holds the text.'),
  row(
    'timezone',
    '"local", a name such as "Europe/Berlin", or an offset such as "+02:00"',
    '"local"',
    'The time zone of times that name none.',
  ),
  row(
    'hooks',
    '"input", "forward", or both in a list',
    '"input"',
    'Where packets of a banned source are stopped: those for this host, those forwarded to hosts and containers behind it.',
  ),
  row(
    'action',
    '"drop" or "reject"',
    '"drop"',
    'Packets of a banned source are dropped silently, or answered with an error.',
  ),
];

const filterKeys: readonly KeyRow[] = [
  row('name', 'a word', '', 'The name that jails use.'),
  row('about', 'a text', '', 'What it is for.'),
  row('log_tag', 'a word, or a list of them', '', 'Only lines of these syslog identifiers are read.'),
  row('pattern', 'a pattern', '', 'The only pattern.'),
  row('patterns', 'a list of patterns, or of tables', '', 'What counts as a failure.'),
  row('ignore', 'as patterns', '', 'Lines that do not count, even if a pattern matches.'),
  row('sample', 'a line, or a list of them', '', 'Must count, or the configuration is refused.'),
  row('counter', 'a line, or a list of them', '', 'Must not count, or the configuration is refused.'),
];

const listKeys: readonly KeyRow[] = [
  row(
    'file',
    'a path',
    '',
    'One address or prefix a line; "#" and ";" start a comment. Only its owner may write it. Read again when it changes.',
  ),
  row(
    'use',
    '"ban" or "ignore"',
    '"ban"',
    'Its addresses are banned as long as they are in the file; or they are never banned, in any jail.',
  ),
  row(
    'jail',
    'a name',
    '"lists"',
    'The jail of these bans, which defines the ports. "lists" needs no section, and blocks every port.',
  ),
];

const patternKeys: readonly KeyRow[] = [
  row('name', 'a word', '', 'Its name in the log and in the records.'),
  row('pattern', 'a pattern', '', 'Text matches itself; {ip} is the address of the source, once.'),
  row('sample', 'as in [[filter]]', '', 'Must match this pattern.'),
  row('counter', 'as in [[filter]]', '', 'Must not match this pattern.'),
];

export const reference: readonly TableRow[] = [
  {
    header: '[memory]',
    path: ['memory'],
    says: 'How much memory the process may use.',
    keys: [
      row(
        'ceiling',
        'a size',
        '"64MB"',
        'Resident memory of the whole process. If it is too small, the daemon does not start and says how much it needs.',
      ),
      row(
        'eviction_policy',
        '"evict_oldest", "ban_all", "drop_unbanned", "deny_new" or "log_and_drop"',
        '"evict_oldest"',
        'What happens when the table is full.',
      ),
    ],
  },
  {
    header: '[firewall]',
    path: ['firewall'],
    says: 'How bans get into the kernel.',
    keys: [
      row(
        'backend',
        '"auto", "nftables", "iptables", "ipset", "xdp" or "log-only"',
        '"auto"',
        '"auto" is the first that works of nftables, iptables and ipset.',
      ),
      row('table', 'a name', '"fail2zig"', 'The name of our table, or the prefix of our chains and sets.'),
      row('allow_log_only', boolean, 'false', 'With "auto": run without banning if no backend works.'),
      row('keep_bans', boolean, 'true', 'Bans stay in the kernel when the daemon is stopped.'),
      row('bans_max', 'a number', 'by the table and the backend', 'The kernel holds no more bans than this.'),
      row('interfaces', 'a list of names', '', 'With "xdp": the network interfaces to guard.'),
    ],
  },
  {
    header: '[control]',
    path: ['control'],
    says: 'The socket of fail2zig-client.',
    keys: [
      row('enabled', boolean, 'true', 'Whether there is a socket.'),
      row('socket', 'a path', '"/run/fail2zig/fail2zig.sock"', 'Its path.'),
      row('group', 'a name', '"fail2zig"', 'Members of this group may use it: they control the bans like root.'),
    ],
  },
  {
    header: '[metrics]',
    path: ['metrics'],
    says: 'The page for Prometheus.',
    keys: [
      row('enabled', boolean, 'true', 'Whether there is a page.'),
      row('bind', 'an address', '"127.0.0.1"', 'The address on which it listens.'),
      row('port', '1 to 65535', '9100', 'Its port.'),
      row('allow_remote', boolean, 'false', 'Required for any address other than loopback.'),
    ],
  },
  {
    header: '[state]',
    path: ['state'],
    says: 'What survives restarts, crashes and reboots.',
    keys: [
      row('enabled', boolean, 'true', 'Whether anything survives; without state there are no records either.'),
      row('path', 'a path', '"/var/lib/fail2zig/state"', 'The file. The records are beside it.'),
      row('interval', 'a duration up to "1h"', '"1m"', 'It is saved at least this often, and soon after a ban.'),
    ],
  },
  {
    header: '[log]',
    path: ['log'],
    says: "The daemon's own log, on standard error or in syslog.",
    keys: [
      row('level', '"error", "warn", "info" or "debug"', '"info"', 'No level shows the text of a log line.'),
      row('format', '"text" or "json"', '"text"', 'Lines for people, or one object a line.'),
      row('target', '"stderr" or "syslog"', '"stderr"', 'Where the log goes. Syslog: in the form of RFC 5424.'),
      row('socket', 'a path', '"/dev/log"', 'The socket of syslog.'),
    ],
  },
  {
    header: '[audit]',
    path: ['audit'],
    says: 'The log of bans, refusals and commands, beside the state; fail2zig audit verifies it.',
    keys: [
      row('keep', 'a duration', '"90d"', 'A record, and the address in it, is kept for this long at most.'),
      row('size', 'a size', '"80MB"', 'Size of the log at most; beyond that the oldest tenth is removed.'),
      row('journal', boolean, 'true', 'Records also go to journald, with fields, if it runs and log.target is stderr.'),
    ],
  },
  {
    header: '[journal]',
    path: ['journal'],
    says: 'systemd\'s journal, for jails with source = "journal".',
    keys: [row('directories', 'a list of paths', "this machine's", 'Where its files are.')],
  },
  {
    header: '[confinement]',
    path: ['confinement'],
    says: 'The rights that the running daemon gives up.',
    keys: [
      row('seccomp', '"enforce", "log" or "off"', '"enforce"', 'Refuses system calls that it does not need.'),
      row('landlock', boolean, 'true', 'Denies access to files that it does not need.'),
      row('read', 'a list of directories', '', 'Further directories that it may read, for logs that are added later.'),
    ],
  },
  {
    header: '[fleet]',
    path: ['fleet'],
    says: 'What fail2zig-fleet shares with other hosts over a CrowdSec Local API. Without this section nothing connects anywhere.',
    keys: [
      row('enabled', boolean, 'true', 'Whether this section is used.'),
      row('url', 'a URL', '', 'The URL of the Local API.'),
      row('machine', 'a name', '', 'Bans of this host are sent under this name; without it none are sent.'),
      row('password_file', 'a path', '', 'Contains the password of the machine. Nobody but its owner may read it.'),
      row(
        'api_key_file',
        'a path',
        '',
        'Contains the key of the bouncer: bans of others are received; without it none are received.',
      ),
      row('ca', 'a path', "the system's authorities", "The authority for the server's certificate, PEM."),
      row('certificate', 'a path', '', 'The certificate of this host, PEM; it may replace password and key.'),
      row('key', 'a path', '', 'The private key of that certificate, PEM.'),
      row('interval', 'a duration up to "1h"', '"10s"', 'The server is asked this often.'),
      row('jail', 'a name', '"fleet"', 'Bans of others become bans of this jail. [jails.NAME] may set how it bans.'),
      row('entries_max', '1 to 1048576', '250000', 'This jail holds no more bans than this.'),
      row('directory', 'a path', '"/var/lib/fail2zig-fleet"', 'Where bans wait until the server has taken them.'),
      row(
        'spool_size',
        'a size',
        '"16MB"',
        'Size of the waiting bans at most; beyond that the oldest are dropped and counted.',
      ),
      row('metrics_port', '1 to 65535', '9101', 'Figures for Prometheus and for fail2zig-fleet status, on 127.0.0.1.'),
    ],
  },
  {
    header: '[defaults]',
    path: ['defaults'],
    says: 'Settings of every jail that does not set them itself.',
    keys: shared,
  },
  {
    header: '[jails.NAME]',
    path: ['jails', ''],
    says: 'A jail watches logs with a filter. It may set all keys of [defaults], and these.',
    keys: [
      row('filter', 'a name', "the jail's name", 'The filter: fail2zig filters lists them.'),
      row('journal_match', 'matches as in fail2ban', 'those of the filter', 'Which entries of the journal it reads.'),
    ],
  },
  {
    header: '[[filter]]',
    path: ['filter', 0],
    says: 'A filter of your own, for a jail of the same name or one that names it.',
    keys: filterKeys,
  },
  {
    header: '[[filter.patterns]]',
    path: ['filter', 0, 'patterns', 0],
    says: 'A pattern as a table; those of ignore have the same form.',
    keys: patternKeys,
  },
  {
    header: '[[list]]',
    path: ['list', 0],
    says: 'A file of addresses and prefixes that somebody else keeps: up to 1,000,000 to ban in a jail. The kernel holds them, not the table.',
    keys: listKeys,
  },
];
