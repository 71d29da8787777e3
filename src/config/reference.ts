/**
 * What each key of fail2zig.toml means, in the order in which it is shown: docs/configuration.md
 * and the manual page fail2zig.toml(5) are made of these rows. A test compares them with the
 * schema.
 */

/** A key: what may stand there, what holds where nothing does, and what it means. */
export interface KeyRow {
  key: string;
  /** As it would be written. */
  value: string;
  /** '' = nothing. */
  otherwise: string;
  /** Whole sentences. */
  says: string;
}

export interface TableRow {
  /** As in the file: `[memory]`. */
  header: string;
  /** Where its keys stand in the schema. */
  path: readonly PropertyKey[];
  says: string;
  keys: readonly KeyRow[];
}

const row = (key: string, value: string, otherwise: string, says: string): KeyRow => ({ key, value, otherwise, says });

const boolean = 'true or false';
const duration = 'a duration';

/** What [defaults] and a jail may both say. */
const shared: readonly KeyRow[] = [
  row('enabled', boolean, 'true', 'Whether the jail runs.'),
  row('mode', 'a word', '', 'The mode of the filter: fail2zig filters NAME shows them.'),
  row(
    'logpath',
    'a path, or a list of them',
    '',
    'The logs. "*" and "?" stand for parts of a name. A file may appear later.',
  ),
  row('source', '"files" or "journal"', '"files"', "Where lines come from: log files, or systemd's journal."),
  row('maxretry', '1 to 1000', '5', 'A ban takes this many failures within findtime.'),
  row('findtime', duration, '"10m"', 'The time within which failures count together.'),
  row('bantime', 'a duration, or -1', '"10m"', 'How long a ban holds; -1 is for ever.'),
  row('bantime_increment', boolean, 'false', 'Who comes back is banned for longer each time.'),
  row('bantime_factor', 'a number', '1', 'What bantime is multiplied with at each ban but the first.'),
  row(
    'bantime_formula',
    '"exponential" or "linear"',
    '"exponential"',
    'The further factor: 2, 4, 8 and so on, or 2, 3, 4 and so on.',
  ),
  row(
    'bantime_multipliers',
    'a list of numbers',
    '',
    'These factors instead: the first is that of the first ban, the last one repeats, -1 is for ever.',
  ),
  row('bantime_maxtime', duration, '"10y"', 'No ban becomes longer than this.'),
  row('bantime_rndtime', duration, '', 'Each ban is longer by a random part of this.'),
  row('bantime_memory', duration, '"1d"', 'How long an ended ban is remembered for the next one.'),
  row(
    'bantime_overalljails',
    boolean,
    'false',
    'Bans of every jail make the next one longer, not those of this one only.',
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
    'Never banned, nor by hand. Those of [defaults] hold in every jail. Host names are not resolved.',
  ),
  row('ignoreself', boolean, 'true', "Loopback and this host's own addresses are never banned."),
  row(
    'network',
    boolean,
    'false',
    'Reads logs on NFS, CIFS, FUSE and the like, named by their own path. While one hangs, so does the daemon.',
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
    "What the lines are wrapped in. By itself Docker's json-file and CRI logs are recognised.",
  ),
  row('message', 'a name', '', 'The field of a JSON line that holds the text.'),
  row(
    'timezone',
    '"local", a name as "Europe/Berlin", or a distance as "+02:00"',
    '"local"',
    'The zone of times that name none.',
  ),
  row(
    'hooks',
    '"input", "forward", or both in a list',
    '"input"',
    'Where a banned source is stopped: before this host, before hosts and containers behind it.',
  ),
  row('action', '"drop" or "reject"', '"drop"', 'Packets of a banned source are dropped in silence, or answered.'),
];

const filterKeys: readonly KeyRow[] = [
  row('name', 'a word', '', 'How jails name it.'),
  row('about', 'a text', '', 'What it is for.'),
  row('log_tag', 'a word, or a list of them', '', 'Only lines of these syslog identifiers are read.'),
  row('pattern', 'a pattern', '', 'The only pattern.'),
  row('patterns', 'a list of patterns, or of tables', '', 'What counts as a failure.'),
  row('ignore', 'as patterns', '', 'What does not, though a pattern would take it.'),
  row('sample', 'a line, or a list of them', '', 'Must count, or the configuration is refused.'),
  row('counter', 'a line, or a list of them', '', 'Must not count, or the configuration is refused.'),
];

const listKeys: readonly KeyRow[] = [
  row(
    'file',
    'a path',
    '',
    'An address or prefix a line; "#" and ";" begin a comment. Only its owner may write it. Read again when it changes.',
  ),
  row(
    'use',
    '"ban" or "ignore"',
    '"ban"',
    'Its addresses are banned for as long as they stand there, or never, in any jail.',
  ),
  row(
    'jail',
    'a name',
    '"lists"',
    'Whose bans they are: that jail says which ports. "lists" needs no section, and bans from every port.',
  ),
];

const patternKeys: readonly KeyRow[] = [
  row('name', 'a word', '', 'How the log and the records call it.'),
  row('pattern', 'a pattern', '', 'Text stands for itself; {ip} is the address of the source, once.'),
  row('sample', 'as in [[filter]]', '', 'Must be taken by this pattern.'),
  row('counter', 'as in [[filter]]', '', 'Must not be taken by this pattern.'),
];

export const reference: readonly TableRow[] = [
  {
    header: '[memory]',
    path: ['memory'],
    says: 'What the process may take.',
    keys: [
      row('ceiling', 'a size', '"64MB"', 'Resident memory of the whole process. Too small a one is refused at start.'),
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
        'By itself the first that works of nftables, iptables and ipset.',
      ),
      row('table', 'a name', '"fail2zig"', 'The table, or prefix of chains and sets, that is ours.'),
      row('allow_log_only', boolean, 'false', 'With "auto": go on without banning where no backend works.'),
      row('keep_bans', boolean, 'true', 'Bans stay in the kernel when the daemon is stopped.'),
      row('bans_max', 'a number', 'by the table and the backend', 'The kernel holds no more bans than this.'),
      row('interfaces', 'a list of names', '', 'With "xdp": whose packets are looked at.'),
    ],
  },
  {
    header: '[control]',
    path: ['control'],
    says: 'The socket of fail2zig-client.',
    keys: [
      row('enabled', boolean, 'true', 'Whether there is one.'),
      row('socket', 'a path', '"/run/fail2zig/fail2zig.sock"', 'Where it is.'),
      row('group', 'a name', '"fail2zig"', 'Its members may use it: as good as root over the bans.'),
    ],
  },
  {
    header: '[metrics]',
    path: ['metrics'],
    says: 'The page for Prometheus.',
    keys: [
      row('enabled', boolean, 'true', 'Whether there is one.'),
      row('bind', 'an address', '"127.0.0.1"', 'Where it listens.'),
      row('port', '1 to 65535', '9100', 'On which port.'),
      row('allow_remote', boolean, 'false', 'Needed for any address but a loopback one.'),
    ],
  },
  {
    header: '[state]',
    path: ['state'],
    says: 'What survives restarts, crashes and reboots.',
    keys: [
      row('enabled', boolean, 'true', 'Whether anything does; without it there are no records either.'),
      row('path', 'a path', '"/var/lib/fail2zig/state"', 'The file. The records stand beside it.'),
      row('interval', 'a duration up to "1h"', '"1m"', 'It is written at least this often, and soon after a ban.'),
    ],
  },
  {
    header: '[log]',
    path: ['log'],
    says: 'What the daemon says, on standard error or to syslog.',
    keys: [
      row('level', '"error", "warn", "info" or "debug"', '"info"', 'No level shows the text of a log line.'),
      row('format', '"text" or "json"', '"text"', 'Lines for people, or one object a line.'),
      row('target', '"stderr" or "syslog"', '"stderr"', 'Who is told. Syslog: in the form of RFC 5424.'),
      row('socket', 'a path', '"/dev/log"', 'Where syslog listens.'),
    ],
  },
  {
    header: '[audit]',
    path: ['audit'],
    says: 'The log of bans, refusals and commands, beside the state; fail2zig audit verifies it.',
    keys: [
      row('keep', 'a duration', '"90d"', 'How long a record, and the address in it, is kept at most.'),
      row('size', 'a size', '"80MB"', 'What the log may take; beyond that the oldest tenth goes.'),
      row('journal', boolean, 'true', 'Records go to journald too, with fields, where it is and log.target is stderr.'),
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
    says: 'What the running daemon gives up.',
    keys: [
      row('seccomp', '"enforce", "log" or "off"', '"enforce"', 'System calls it does not need are refused.'),
      row('landlock', boolean, 'true', 'Files it does not need are out of its reach.'),
      row('read', 'a list of directories', '', 'What it may read beside the logs of now, for those that come later.'),
    ],
  },
  {
    header: '[fleet]',
    path: ['fleet'],
    says: 'What fail2zig-fleet shares with other hosts over a CrowdSec Local API. Without this section nothing connects anywhere.',
    keys: [
      row('enabled', boolean, 'true', 'Whether anything of it holds.'),
      row('url', 'a URL', '', 'Where the Local API is.'),
      row('machine', 'a name', '', 'Bans of this host are sent under this name; without it none are.'),
      row('password_file', 'a path', '', 'Holds the password of the machine. Nobody but its owner may read it.'),
      row(
        'api_key_file',
        'a path',
        '',
        'Holds the key of the bouncer: bans of others are received; without it none are.',
      ),
      row('ca', 'a path', 'whom the system trusts', 'Who vouches for the server, PEM.'),
      row('certificate', 'a path', '', 'The certificate of this host, PEM; it may stand for password and key.'),
      row('key', 'a path', '', 'The private key of that certificate, PEM.'),
      row('interval', 'a duration up to "1h"', '"10s"', 'The server is asked this often.'),
      row('jail', 'a name', '"fleet"', 'Bans of others are bans of this jail. [jails.NAME] may say how it bans.'),
      row('entries_max', '1 to 1048576', '250000', 'This jail holds no more bans than this.'),
      row('directory', 'a path', '"/var/lib/fail2zig-fleet"', 'Where bans wait that the server has not yet taken.'),
      row('spool_size', 'a size', '"16MB"', 'No more waits there; the oldest bans are dropped and counted.'),
      row('metrics_port', '1 to 65535', '9101', 'Figures for Prometheus and for fail2zig-fleet status, on 127.0.0.1.'),
    ],
  },
  { header: '[defaults]', path: ['defaults'], says: 'What every jail starts from.', keys: shared },
  {
    header: '[jails.NAME]',
    path: ['jails', ''],
    says: 'A jail watches logs with a filter. It may say all that [defaults] may, and this.',
    keys: [
      row('filter', 'a name', "the jail's name", 'The filter: fail2zig filters lists them.'),
      row('journal_match', 'matches as in fail2ban', 'those of the filter', 'What is read of the journal.'),
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
