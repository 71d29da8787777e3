/**
 * The register of claims: every promise this project makes, one row each, under the id that the
 * specifications, THREAT_MODEL.md and `npm run verify` share. A row never says whether its claim
 * holds: that is computed.
 *
 * `claim` something a program can show true; has a body in a `*.spec.ts`, or a reason in
 * `pending.ts`. `position` what the system assumes or refuses to be; stated in THREAT_MODEL.md or
 * README.md, nothing to run.
 *
 * `test/unit/ledger.test.ts` holds that every id is settled exactly once.
 */
import { pendingReasons } from './pending.ts';

export const families = [
  'spoofing',
  'tampering',
  'repudiation',
  'disclosure',
  'denial',
  'elevation',
  'memory',
  'parser',
  'failures',
  'product',
] as const;

export type Family = (typeof families)[number];
export type Kind = 'claim' | 'position';

/** One row of the register. */
export interface Claim {
  id: string;
  /** What holds, in the present tense. */
  sentence: string;
  family: Family;
  /** The page of the requirements that the id's first part names. */
  page: string;
  kind: Kind;
  /** Why no specification runs yet; absent when one does, and for positions. */
  pending?: string;
}

/** First part of an id → the page it belongs to. */
export const pages: Readonly<Record<string, string>> = {
  MM: 'memory model',
  LP: 'landing page',
  WHY: 'why page',
  TM: 'threat model',
  S: 'threat model',
  T: 'threat model',
  R: 'threat model',
  I: 'threat model',
  D: 'threat model',
  E: 'threat model',
  FM: 'threat model, failure modes',
  AU: 'threat model, audit',
  X: 'our own promises',
  PE: 'parser engine',
};

type Row = readonly [id: string, family: Family, sentence: string];

const claimRows: readonly Row[] = [
  // Memory model
  [
    'MM-01',
    'memory',
    'The operator sets one memory ceiling and the resident size of the whole process stays under it.',
  ],
  [
    'MM-02',
    'memory',
    'The budget is printed term by term: the table takes the largest share, buffers a small fixed one.',
  ],
  [
    'MM-03',
    'memory',
    'Each pair of jail and source occupies one slot of the table, never more. A source is an IPv4 address or prefix and an IPv6 prefix, of the jail’s length, a 6to4 /48, or a single address on a link of this host and where others share the prefix (link-local, NAT64, Teredo).',
  ],
  [
    'MM-04',
    'memory',
    'Line length, read buffer, decision ring and pending bans each have a named bound that is enforced.',
  ],
  [
    'MM-05',
    'memory',
    'The table is one contiguous block, sized from the ceiling and reserved before the first line is read.',
  ],
  ['MM-06', 'memory', 'The key `memory.ceiling` sets the ceiling and is 64MB when absent.'],
  ['MM-07', 'memory', 'After start no memory is requested for tracked state.'],
  ['MM-08', 'memory', 'Finding a source is arithmetic on positions inside the block; no allocator is on that path.'],
  ['MM-09', 'memory', 'The engine memory has its maximum equal to its initial size, so its upper bound is that size.'],
  [
    'MM-10',
    'memory',
    'A full table leads to a counted decision of the policy, never to a failure that vanishes uncounted.',
  ],
  ['MM-11', 'memory', 'The number of slots follows from the ceiling and the entry size and is fixed at start.'],
  ['MM-12', 'memory', 'One entry takes at most a few dozen bytes.'],
  ['MM-13', 'memory', 'At the default ceiling, the whole process counted, the table has at least 700,000 slots.'],
  ['MM-14', 'memory', 'The table neither resizes nor rehashes, whatever is inserted.'],
  [
    'MM-15',
    'memory',
    'The slots searched for one source are capped, and reaching the cap triggers the eviction policy.',
  ],
  [
    'MM-16',
    'memory',
    'No insertion stalls: the dearest one under a flood stays within a small factor of the typical one.',
  ],
  ['MM-17', 'memory', 'The key `memory.eviction_policy` chooses what a full table does.'],
  [
    'MM-18',
    'memory',
    'Without that key, the unbanned source seen longest ago makes room (`evict_oldest`); a ban only where nothing else is left.',
  ],
  ['MM-19', 'memory', '`ban_all` bans every tracked source when the table is full and then starts over empty.'],
  ['MM-20', 'memory', '`drop_unbanned` gives up sources below the threshold before any banned one.'],
  [
    'MM-21',
    'memory',
    'A reload that changes the eviction policy is refused with the reason; only a restart changes it.',
  ],
  ['MM-22', 'memory', 'From log line to updated state no byte of heap is allocated.'],
  [
    'MM-23',
    'memory',
    'Lines are matched where read(2) put them, inside engine memory; they are not copied afterwards.',
  ],
  ['MM-24', 'memory', 'An address leaves the parser as a record of fixed size.'],
  ['MM-25', 'memory', 'No observation is lost: the count of a source equals the failures seen within its window.'],
  ['MM-26', 'memory', 'Under lasting attack the resident size is flat and below 1.1 times the ceiling.'],
  ['MM-27', 'memory', '`fail2zig-client stats` shows evictions in total and per minute.'],
  [
    'MM-28',
    'memory',
    'A soak with 50,000 and more distinct sources records flat memory second by second, with evictions counted.',
  ],
  ['MM-29', 'memory', 'fail2ban, measured on the same work and machine, grows where this daemon does not.'],
  ['MM-30', 'memory', 'Room for a new source is made by giving up old state, not by growing.'],
  ['MM-31', 'memory', 'What is forgotten first is what was seen longest ago; recent attackers stay tracked.'],
  // Landing page
  ['LP-01', 'product', 'Daemon and client ship as one executable file whose size and start time are measured.'],
  ['LP-02', 'product', 'The running core contains no npm package; the Node runtime is its one named dependency.'],
  [
    'LP-03',
    'product',
    '`npm run count` counts what runs as root: 12,000 lines at most where nftables and log files are used, fewer than the original.',
  ],
  ['LP-04', 'product', 'A command prints our line count beside the one of fail2ban as packaged.'],
  ['LP-05', 'parser', 'Built-in filters are compiled into specialised matchers before the program ships.'],
  ['LP-06', 'parser', 'The engine scans bytes with SIMD instructions where the runtime offers them.'],
  ['LP-07', 'parser', 'Parsing is measured from a file on disk to decisions and exceeds 5.96 million lines a second.'],
  ['LP-08', 'product', 'The daemon reads log events within a measured, short time after exec.'],
  [
    'LP-09',
    'product',
    'A root that holds only the executable is enough: for a static build with musl. Ours links glibc, and also needs those libraries.',
  ],
  ['LP-10', 'product', 'The configuration is TOML, and a key nobody knows is an error.'],
  ['LP-11', 'product', '`--import-config` turns fail2ban jails and filters into a configuration of ours.'],
  ['LP-12', 'product', 'Each published figure carries its command, workload, machine facts and spread.'],
  ['LP-13', 'product', 'The benchmarks are in the repository and repeat with one command each.'],
  ['LP-14', 'product', 'Throughput and memory are shown beside fail2ban and SSHGuard, measured on the same machine.'],
  [
    'LP-15',
    'memory',
    'Every part of the resident size is listed with its bound, and the list sums to what is measured.',
  ],
  ['LP-16', 'product', 'Growth of a log is noticed through inotify.'],
  ['LP-17', 'product', 'File watching rests on an interface that uses kqueue on BSD; what is untested there is said.'],
  ['LP-18', 'product', 'The systemd journal is a source of log lines.'],
  ['LP-19', 'product', 'io_uring reads logs where it helps, or a measurement shows that it does not.'],
  ['LP-20', 'product', 'Rename, truncation and re-creation of a log lose no line and count none twice.'],
  ['LP-21', 'parser', 'No regular expression ever sees a log byte.'],
  ['LP-22', 'parser', 'Finding addresses and decoding timestamps use the SIMD scans of the engine.'],
  ['LP-23', 'memory', 'State lives in a block of fixed size under an explicit eviction policy.'],
  ['LP-24', 'product', 'Bans land in nftables sets.'],
  ['LP-25', 'product', 'Bans land through iptables and through ipset as well.'],
  ['LP-26', 'product', 'Bans land in an XDP program that drops packets on the interface.'],
  ['LP-27', 'product', 'Bans land in pf on BSD.'],
  ['LP-28', 'product', 'jail.conf, jail.local, filter.d and action.d of fail2ban are read.'],
  ['LP-29', 'product', 'Metrics are served over HTTP, bound to a configured address, for reading only.'],
  ['LP-30', 'product', 'Metrics show ban rate, parse throughput, active bans and each jail.'],
  ['LP-31', 'product', 'The daemon logs JSON, one object a line.'],
  ['LP-32', 'product', 'Logging to syslog can be chosen.'],
  ['LP-33', 'product', 'The daemon opens no connection to any other host.'],
  ['LP-34', 'product', 'Two commands move a host from fail2ban to this daemon.'],
  [
    'LP-35',
    'product',
    'The import prints how many jails it translated and warned about, and writes /etc/fail2zig.toml.',
  ],
  ['LP-36', 'product', 'Units for systemd let the operator stop the old service and start this one.'],
  [
    'LP-37',
    'product',
    'The twenty fail2ban filters that most hosts use are built in and agree with it on known lines.',
  ],
  ['LP-39', 'denial', 'No crafted line crashes the daemon or makes it run out of memory.'],
  ['LP-40', 'denial', 'A line longer than the limit is cut there, and counted.'],
  ['LP-41', 'parser', 'The parsers are fuzzed, and whatever a fuzzer found is replayed as a test.'],
  ['LP-42', 'product', 'CAP_NET_ADMIN is the only capability that banning needs, in an image with nothing else in it.'],
  ['LP-44', 'product', 'The backends are nftables, ipset, iptables, XDP and, on BSD, pf.'],
  [
    'LP-45',
    'product',
    'The choice of language is argued: bounded memory, code generation and portability of TypeScript with wasm.',
  ],
  // Why page
  ['WHY-01', 'product', 'jail, filter, maxretry, findtime, bantime and ignoreip mean what fail2ban operators know.'],
  [
    'WHY-02',
    'elevation',
    'The runtime is part of what must be trusted; the engine sandbox, seccomp and a lean core contain it.',
  ],
  ['WHY-03', 'elevation', 'No ban starts a process.'],
  ['WHY-04', 'memory', 'Pressure from attackers neither grows the state nor pauses the daemon to resize it.'],
  [
    'WHY-05',
    'product',
    'The daemon runs in minimal images and on small systems, those without glibc (OpenWrt) and BSD among them.',
  ],
  [
    'WHY-06',
    'product',
    'The shipped executable is static, needs no virtual machine, and loads no plug-in and no third-party package.',
  ],
  [
    'WHY-07',
    'product',
    'What runs as root stays within 12,000 lines on a usual host, so that it can be read in an afternoon.',
  ],
  [
    'WHY-08',
    'elevation',
    'The kernel is addressed over netlink and socket options; nft, iptables and ipset are never run.',
  ],
  ['WHY-09', 'product', 'From decision to the acknowledgement of the kernel takes tens of microseconds at the median.'],
  ['WHY-10', 'elevation', 'One program takes part in a ban: the daemon.'],
  ['WHY-11', 'memory', 'The ceiling is enforced below the code that fills the table: the block cannot grow.'],
  ['WHY-12', 'memory', 'At capacity the policy acts; the daemon neither pauses nor is killed for memory.'],
  ['WHY-13', 'parser', 'What matches a built-in filter is fixed at build time; log text cannot change it.'],
  ['WHY-14', 'elevation', 'No Python, Perl, Ruby, D-Bus, shell or plug-in takes part; Node is the one runtime.'],
  ['WHY-15', 'product', 'Jails, filters, thresholds and ignore lists come over with one command.'],
  // Threat model
  [
    'TM-DF',
    'elevation',
    'Log bytes go source, engine, decisions, enforcer, kernel; nothing but counters and commands flows back.',
  ],
  [
    'S-01',
    'spoofing',
    "The control socket is 0660, of root or the daemon's own user and the group fail2zig; each connection is admitted by its kernel credentials.",
  ],
  [
    'S-02',
    'spoofing',
    'The banned address is the one at its place in the log format, never one that merely occurs in the line.',
  ],
  ['T-01a', 'tampering', 'The configuration is installed as 0644 root:root.'],
  ['T-01b', 'tampering', 'The daemon does not start from a configuration that everyone may write.'],
  ['T-01c', 'tampering', 'Nothing in kernel or sources changes before the whole configuration has been found valid.'],
  [
    'T-02a',
    'tampering',
    "State is written to a new file, synced and renamed, with mode 0600 and owner root or the daemon's own user.",
  ],
  ['T-02b', 'tampering', 'A state file whose checksum does not fit is set aside and the daemon starts empty.'],
  [
    'R-01a',
    'repudiation',
    'Each ban and unban is one journal record: time, address, jail, log position, duration and reason.',
  ],
  ['R-01b', 'repudiation', 'Bans are counted per jail.'],
  ['R-01c', 'repudiation', '`list` shows the bans that hold now.'],
  ['R-01d', 'repudiation', 'The audit log is chained by hashes, and `fail2zig audit verify` finds any change in it.'],
  ['I-01', 'disclosure', 'Metrics listen on 127.0.0.1 unless configured otherwise and answer nothing but reads.'],
  [
    'I-02',
    'disclosure',
    'A user who is neither root nor in the group learns nothing about bans from the control socket.',
  ],
  ['I-03', 'disclosure', 'At level info no log excerpt is written; decisions line by line appear at level debug only.'],
  ['D-01a', 'denial', 'A flood of sources cannot make the daemon take more memory than its block.'],
  ['D-01b', 'denial', 'All five eviction policies can be chosen, and each does what it says.'],
  ['D-02a', 'denial', 'Matching takes time bounded by the line length; nothing is tried again from an earlier byte.'],
  ['D-02b', 'denial', 'Lines are cut at 136 KiB, more than nginx or Apache write of what they accept by default.'],
  [
    'D-02c',
    'denial',
    'At least 4.1 million corpus lines are replayed in bounded time, and fuzzing is part of continuous integration.',
  ],
  [
    'D-03',
    'denial',
    'Control connections have a bounded backlog and a rate limit per client, and never delay parsing.',
  ],
  ['D-04a', 'denial', 'A scraper has five seconds per read, 8 KB of headers, and one of sixteen places.'],
  ['D-04b', 'denial', 'A slow or hostile scraper does not delay a ban.'],
  ['D-05a', 'denial', 'When a backend does not install, the next one is tried, in the documented order.'],
  ['D-05b', 'denial', 'Without any backend the daemon exits with a diagnostic instead of pretending to ban.'],
  [
    'E-01a',
    'elevation',
    'Each access to log bytes is checked against the bounds of engine memory by the virtual machine.',
  ],
  ['E-01b', 'elevation', 'The fuzz corpus is replayed and a bounded fuzz run is made on each change.'],
  ['E-01c', 'elevation', 'After start a seccomp filter refuses every system call not in its table; exec is dead.'],
  ['E-02a', 'elevation', 'Text an attacker chose cannot move a match into the address field.'],
  ['E-02b', 'elevation', 'An address on an ignore list is never banned, whoever asks.'],
  ['E-03', 'elevation', 'Unbanning needs the same authority as banning: root or the group.'],
  ['E-04a', 'elevation', 'Two builds of the same source are equal byte for byte.'],
  ['E-04b', 'elevation', 'A release carries a bill of materials and a minisign signature that minisign verifies.'],
  ['FM-1', 'failures', 'A failing nftables leads to the next backend, and the last failure to an exit.'],
  ['FM-2', 'failures', 'Damaged state is discarded with a warning, and bans are reconciled with the kernel.'],
  ['FM-3', 'failures', 'A world-writable configuration stops the start with its reason.'],
  ['FM-4', 'failures', 'At the ceiling the policy acts and nothing is resized.'],
  ['FM-5', 'failures', 'An unknown key stops the start and is shown with line and column.'],
  [
    'FM-6',
    'failures',
    'A refusal by the kernel is a typed error, logged as failed; the ban stays wanted until it holds.',
  ],
  ['AU-1', 'failures', 'The fuzzing that is reported is the fuzzing that was run: hours, inputs and commands.'],
  ['AU-2', 'failures', 'Two clean builds in different places compare equal, and the bill of materials is published.'],
  [
    'AU-5',
    'failures',
    'Reports are acknowledged in 48 hours, assessed in 14 days, disclosed within 90; there is no bounty.',
  ],
  // Parser engine
  ['PE-01', 'parser', 'The process that reads logs applies no regular expression to them.'],
  ['PE-02', 'parser', 'Each built-in filter has its own emitted matching function.'],
  ['PE-03', 'parser', 'Matchers work on positions in the read buffer and allocate nothing per line.'],
  [
    'PE-04',
    'parser',
    'Patterns of the operator run in one small interpreter that is fuzzed against the compiled form.',
  ],
  ['PE-05', 'parser', 'A filter is data: prefixes, tags and typed token lists.'],
  ['PE-06', 'parser', 'The user name is captured where a filter names it.'],
  ['PE-07', 'parser', '`fail2zig filters NAME` prints the size of each emitted matcher.'],
  ['PE-08', 'parser', '`[[filter]]` takes a name, patterns with `{ip}` and `{timestamp}`, and a log tag.'],
  ['PE-09', 'parser', 'The operator language has no quantifier, alternation, look-around, class or recursion.'],
  ['PE-10', 'parser', 'A pattern does work linear in the line, needs no stack and always ends.'],
  ['PE-11', 'parser', 'A pattern that the language cannot express is refused when the configuration is loaded.'],
  ['PE-12', 'parser', 'The SIMD build and the scalar build have one interface and give the same answers.'],
  ['PE-13', 'parser', 'fail2ban and SSHGuard are measured on the same file on the same machine; CrowdSec is not.'],
  ['PE-14', 'parser', 'The throughput figure is end to end: mixed lines, from a file, on one core.'],
  ['PE-15', 'parser', 'Throughput is reported as a ratio to merely reading and splitting the same file.'],
  ['PE-16', 'parser', 'A line is not copied between read(2) and the decision.'],
  ['PE-17', 'parser', 'Captures are positions in the read buffer.'],
  ['PE-18', 'parser', 'No line is kept once it has been matched.'],
  ['PE-19', 'parser', 'Loads are checked against memory bounds and loops against the end of the line.'],
  ['PE-20', 'parser', 'A captured address is validated; if it is none, the line is dropped and counted.'],
  ['PE-21', 'parser', 'The engine in production is the one with bounds checks; there is no build without.'],
  ['PE-22', 'parser', 'A line is at most 136 KiB for the matcher; the rest is cut off before it.'],
  [
    'PE-23',
    'parser',
    'Lines with impossible times are dropped and shown as `drops.invalid`; an over-long user does not hide its sender.',
  ],
  ['PE-24', 'parser', '`npm run fuzz -- sshd` runs adversarial inputs against one filter.'],
  ['PE-25', 'parser', '`npm run bench -- parse` prints the throughput.'],
  ['PE-26', 'parser', 'Built-in filters are part of the program, not of its configuration.'],
  // Our own promises: what README.md and THREAT_MODEL.md say beside the requirements
  [
    'X-verify',
    'failures',
    '`npm run verify` says HELD only where a body passed and each twin failed as expected; all else that should hold ends it with status 1.',
  ],
  [
    'X-privileges',
    'elevation',
    'From its first instruction the core holds CAP_NET_ADMIN and CAP_DAC_READ_SEARCH at most (and CAP_BPF for xdp), on every thread, and can gain no other.',
  ],
  [
    'X-files',
    'elevation',
    'Where the kernel has Landlock, the core reads the logs of its jails and what its runtime needs, writes its own directories, and can run no other file.',
  ],
  [
    'X-shared',
    'product',
    'A ban is shared once: what was in doubt when the server failed is on disk and said, and bans that came from others are not sent.',
  ],
  [
    'X-received',
    'product',
    'Decisions of others ban within their own ceiling, end only when they are said to, and never bring our own back.',
  ],
  [
    'X-records',
    'repudiation',
    'The file of records outlives a full disk and a torn end, numbers go on, and only root and the group of the socket read it.',
  ],
  [
    'X-followed',
    'product',
    'A log is followed under whatever name it goes on, once, and no pattern takes the room of the others.',
  ],
  [
    'X-first-filter',
    'elevation',
    'Before the core starts, io_uring and the calls of other architectures are taken away from it.',
  ],
  [
    'X-asked',
    'product',
    'A list or an unban means the jails that there were when it was asked for, whatever a reload does meanwhile.',
  ],
  [
    'X-bounds',
    'product',
    'Each bound of our programs is published with its reason, and what runs has the published value.',
  ],
  ['X-service', 'product', 'The service manager hears that the daemon is ready, that it lives and that it stops.'],
  ['X-alone', 'tampering', 'Two daemons never share a table, a state file or a socket.'],
  [
    'X-beside',
    'product',
    'Who changes the firewall beside the daemon is given way to, and no answer of the kernel is read past its end.',
  ],
  ['X-meant', 'failures', 'A setting means what it says, or is refused with its place and a remedy.'],
  [
    'X-room',
    'denial',
    'The kernel is given at most firewall.bans_max bans, what had to give way leaves it, and what it holds at a start is taken over as it is.',
  ],
  ['X-shown', 'product', 'What is counted is what is shown, and no value of it can be taken for another.'],
  [
    'X-compiled',
    'denial',
    'A pattern that may take attacker text for the address is refused, and what is emitted for the usual end of a line keeps to the pattern.',
  ],
  [
    'X-repeated',
    'denial',
    'A repeat that syslog tells of counts for who failed in the line before it on the same host, and is shown as a repeat.',
  ],
  ['X-headed', 'denial', 'The head of a line is read in every form that syslog daemons and services write.'],
  ['X-entries', 'product', 'Each entry of the journal is read once and whole, for every jail that it fits.'],
  ['X-pages', 'memory', 'File pages are released piece by piece, each in its turn, and a fault brings back little.'],
  [
    'X-proof',
    'product',
    'HELD means that a body passed and each twin failed for its reason; a run that was cut short or ended badly is shown as that.',
  ],
  ['X-installs', 'tampering', 'Set-up installs no package where it is told not to, and says what is missing.'],
  ['X-kept', 'tampering', 'What a state file gives back is what was saved: bans, failures and their times.'],
  ['X-future', 'denial', 'A line from the future, or older than findtime, counts for nobody and is counted as such.'],
  [
    'X-journal',
    'denial',
    'A journal file that is damaged or lies is set aside with its reason after bounded work; the others are read on.',
  ],
  [
    'X-seed',
    'denial',
    'Where a source stands in the table depends on a secret of each start, so nobody can aim at one set.',
  ],
  [
    'X-own-session',
    'failures',
    'A ban by hand that would cut off the SSH session of whoever asks for it is not made without --force.',
  ],
  [
    'X-wrapped',
    'denial',
    'A line counts alike however Docker, CRI, JSON, svlogd, s6-log or a syslog daemon wrapped it; what a client writes wraps nothing.',
  ],
  [
    'X-attempts',
    'denial',
    'One attempt counts once, whoever speaks of it; a folded line counts as often as it says; a success takes back its own failure alone.',
  ],
  [
    'X-zones',
    'denial',
    'A log of another time zone counts when it was written where `timezone` says so; where nobody does, the daemon says how far off it is.',
  ],
  ['X-places', 'elevation', 'A log is a regular file of a real file system: nothing else is ever opened.'],
  [
    'X-locks',
    'tampering',
    'One daemon holds a firewall table, a state file and a socket; its end, whatever it was, ends its lock.',
  ],
  [
    'X-states',
    'tampering',
    'A state file of every form that was ever written keeps its bans; one of a newer program is set aside whole, with the reason.',
  ],
  [
    'X-neighbours',
    'denial',
    'Neighbour discovery passes whatever is banned, so a ban never takes the host off the net.',
  ],
  [
    'X-published',
    'denial',
    'With `forward`, a port means the one that the client asked for, before any destination NAT.',
  ],
  [
    'X-suggest',
    'product',
    '`fail2zig check --suggest` prints a configuration for the host that it looks at, which `check` takes, and changes nothing.',
  ],
  ['X-repair', 'failures', 'What others flush or edit of our tables is noticed and made again, with the bans in it.'],
  [
    'X-prefix',
    'elevation',
    'With `ipv4_prefix` IPv4 sources are counted and banned by that prefix; what is ignored in it never counts, and hosts of our own links stay single.',
  ],
  [
    'X-lists-ignored',
    'elevation',
    'What a list has ignored is never banned, by a log or by hand; bans of it end, and the kernel lets it pass where a wider one covers it.',
  ],
  [
    'X-lists',
    'product',
    'The kernel holds what the files of lists name, whole or not at all; a mistake in one, or one that others may write, leaves what was held, and keeps no daemon from starting.',
  ],
  [
    'X-pieces',
    'product',
    'Files beside the configuration continue it in the order of their names, each held to the same; a key set twice is refused.',
  ],
  [
    'X-reload',
    'product',
    'A reload is taken whole or not at all, and then goes on as a start with it would; windows and bans stay.',
  ],
  [
    'X-frames',
    'denial',
    'A frame of the control socket has at most 64 KiB and one shape; anything else is refused at once.',
  ],
  [
    'X-padding',
    'denial',
    'A line padded up to the limit, or past it, neither hides its sender below it nor bans somebody else.',
  ],
  [
    'X-ignore',
    'elevation',
    'What an operator ignores by hand is banned in no jail until its time is over, over restarts too, and its bans end.',
  ],
  [
    'X-uncaught',
    'product',
    'A program of ours that meets a mistake of its own, or lacks a part, says what and where, never its source, and ends with status 70.',
  ],
  [
    'X-terminal',
    'disclosure',
    'No output for people or machines carries a byte that moves, colours or hides text on a terminal.',
  ],
  [
    'X-fleet',
    'disclosure',
    'Nothing connects to another host unless [fleet] is configured: the one process that can ends without it, and no other holds its code.',
  ],
];

const positionRows: readonly Row[] = [
  ['LP-38', 'product', 'Filters written in Python and actions that send mail are outside the scope of the import.'],
  ['LP-43', 'product', 'This is neither a SIEM nor a web application firewall.'],
  [
    'WHY-16',
    'product',
    'It is no WAF, no SIEM, no intrusion detection, no network firewall, and no substitute for hardening.',
  ],
  [
    'WHY-17',
    'product',
    'A process per ban and a growing dictionary are costs of a design, not bugs that a patch removes.',
  ],
  [
    'TM-A01..A04',
    'elevation',
    'Kernel, file system root, the words of the services and the operator are taken as honest.',
  ],
  [
    'TM-TB01..06',
    'elevation',
    'Authority changes at six boundaries: service, log, reader, kernel, control socket, scraper.',
  ],
  [
    'TM-AD01..04',
    'elevation',
    'Four adversaries: remote, injecting through logs, local without privilege, and a taken-over service.',
  ],
  ['T-03', 'tampering', 'A service that has been taken over can forge its log; that is accepted, not solved.'],
  ['TM-OOS', 'elevation', 'Seven kinds of attack are outside the model and listed in THREAT_MODEL.md.'],
  [
    'AU-3',
    'failures',
    'An external audit would cover parser, memory bounds, privileges, backends and authorisation; none has been made.',
  ],
  [
    'AU-4',
    'failures',
    'Published vulnerabilities are listed in the advisories of the project; a count of zero proves nothing.',
  ],
];

/**
 * The page an id belongs to; throws for an id whose first part is unknown, since that is our
 * mistake.
 */
export function pageOf(id: string): string {
  const page = pages[id.slice(0, id.indexOf('-'))];
  if (page === undefined) throw new Error(`claim id ${id} belongs to no known page`);
  return page;
}

function build(rows: readonly Row[], kind: Kind): Claim[] {
  return rows.map(([id, family, sentence]) => {
    const claim: Claim = { id, sentence, family, page: pageOf(id), kind };
    const pending = pendingReasons[id];
    if (pending !== undefined) claim.pending = pending;
    return claim;
  });
}

/** Every claim and position. */
export const claims: readonly Claim[] = [...build(claimRows, 'claim'), ...build(positionRows, 'position')];

const byId: ReadonlyMap<string, Claim> = new Map(claims.map((claim) => [claim.id, claim]));

/**
 * The row of `id`; throws if there is none, so that a specification cannot prove what nobody
 * promised.
 */
export function claimOf(id: string): Claim {
  const found = byId.get(id);
  if (found === undefined) throw new Error(`no claim ${id} in spec/claims.ts`);
  return found;
}
