/**
 * Logs for measurements: seeded, so that the same arguments give the same bytes, and with the
 * expected results. The lines are our own. Sources are from 198.18.0.0/15 (RFC 2544, benchmarks)
 * and 2001:db8::/32; the honest ones from 203.0.113.0/24. All lines lie within one findtime, so a
 * source is banned exactly once it has `maxretry` failures that count.
 */
import { closeSync, openSync, writeSync } from 'node:fs';

/** Epoch seconds of the first line: 2026-03-10 12:00:00 UTC. */
export const startTime = 1_773_144_000;
/** All lines lie within this time: 15 hours, with a midnight in it. */
const spanSeconds = 54_000;
/** The findtime of the benchmarks, and the length of their bans: longer than all lines. */
export const findtimeSeconds = 60_000;
/** The clock when the lines are read: all of them are in the past. */
export const readTime = startTime + findtimeSeconds;
export const maxretry = 5;
/** One source in this many is IPv6. */
const ipv6Every = 10;

export interface Workload {
  filter: string;
  path: string;
  lines: number;
  bytes: number;
  matched: number;
  decisions: number;
}

/** Evenly distributed in [0, 1), from a 32-bit state (mulberry32). */
export function randomFrom(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

/** The nth source of an attack, as text. */
export function sourceAddress(number: number): string {
  if (number % ipv6Every === ipv6Every - 1)
    return `2001:db8:${(number >> 16).toString(16)}:${(number & 0xffff).toString(16)}::7`;
  return `198.${18 + ((number >> 16) & 1)}.${(number >> 8) & 255}.${number & 255}`;
}

/** What a ban of the nth source holds: a single IPv4 address or an IPv6 /64. */
export function sourceBan(number: number): string {
  const address = sourceAddress(number);
  return address.includes(':')
    ? `2001:db8:${(number >> 16).toString(16)}:${(number & 0xffff).toString(16)}::/64`
    : address;
}

/** A random number below `count`. */
type Below = (count: number) => number;

/** Writes a line of one service, without its newline. `second` counts from startTime. */
interface Service {
  filter: string;
  /** So many of ten lines are failures. */
  failuresInTen: number;
  failure(below: Below, second: number, address: string): string;
  harmless(below: Below, second: number): string;
}

/** One line, and what happens to it. */
interface Line {
  text: string;
  matched: boolean;
  /** The source that the line is charged to. */
  charged?: number;
}

const accounts = ['root', 'admin', 'ubuntu', 'backup', 'www-data', 'postgres'];
const guesses = ['test', 'oracle', 'guest', 'pi', 'git', 'minecraft', 'administrator', 'x'];
const paths = ['/', '/wp-login.php', '/index.html', '/static/app.js', '/api/v1/items?page=2', '/favicon.ico'];
const honest = (below: Below): string => `203.0.113.${below(256)}`;
const two = (value: number): string => String(value).padStart(2, '0');
const clock = (second: number): string => {
  const inDay = second + 12 * 3600;
  return [Math.floor(inDay / 3600) % 24, Math.floor(inDay / 60) % 60, inDay % 60].map(two).join(':');
};
const day = (second: number): number => (second < 12 * 3600 ? 10 : 11);

/** The time as rsyslog writes it by default (RFC 3339), and as it did before (RFC 3164). */
const modern = (second: number, below: Below): string =>
  `2026-03-${day(second)}T${clock(second)}.${String(below(1e6)).padStart(6, '0')}+00:00`;
const traditional = (second: number): string => `Mar ${day(second)} ${clock(second)}`;

const sshdMessage = (below: Below, address: string): string => {
  const port = 1024 + below(64_000);
  const kind = below(10);
  if (kind < 6) return `Failed password for ${accounts[below(6)]} from ${address} port ${port} ssh2`;
  if (kind < 8) return `Failed password for invalid user ${guesses[below(8)]} from ${address} port ${port} ssh2`;
  return `Invalid user ${guesses[below(8)]} from ${address} port ${port}`;
};

const harmlessMessages: ((below: Below) => string)[] = [
  (below) =>
    `sshd[${below(4e6)}]: Accepted publickey for alice from ${honest(below)} port ${1024 + below(64_000)} ssh2: ED25519 SHA256:q1Yd0x3vFJ7m2kQ8rT5uW9zB4cE6gH1jK3lM5nO7pQ0`,
  (below) => `sshd[${below(4e6)}]: pam_unix(sshd:session): session opened for user alice(uid=1000) by (uid=0)`,
  (below) => `sshd[${below(4e6)}]: Disconnected from user alice ${honest(below)} port ${1024 + below(64_000)}`,
  (below) => `CRON[${below(4e6)}]: pam_unix(cron:session): session closed for user root`,
  (below) => `systemd[1]: session-${below(10_000)}.scope: Deactivated successfully.`,
  (below) => `sudo:    alice : TTY=pts/${below(9)} ; PWD=/home/alice ; USER=root ; COMMAND=/usr/bin/apt-get update`,
];

/** syslog with the time as `stamp` writes it. */
const sshd = (stamp: (second: number, below: Below) => string): Service => ({
  filter: 'sshd',
  failuresInTen: 7,
  failure: (below, second, address) =>
    `${stamp(second, below)} web1 sshd[${below(4e6)}]: ${sshdMessage(below, address)}`,
  harmless: (below, second) => `${stamp(second, below)} web1 ${harmlessMessages[below(6)]!(below)}`,
});

const nginxError = (below: Below, second: number, message: string, address: string): string =>
  `2026/03/${day(second)} ${clock(second)} [error] 811#811: *${below(1e6)} ${message}, client: ${address}, server: example.org, request: "GET ${paths[below(6)]} HTTP/1.1", host: "example.org"`;

const nginxAccess = (below: Below, second: number, address: string, path: string, status: number): string =>
  `${address} - - [${day(second)}/Mar/2026:${clock(second)} +0000] "GET ${path} HTTP/1.1" ${status} ${below(9_000)} "-" "Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0"`;

/** A connection in progress: the lines that it still has to write. */
interface Talk {
  pid: number;
  lines: Line[];
}

/** This many connections are in progress at once. */
const talksMax = 8;

/** What sshd and PAM write of one connection of an attacker: five tries at a password at most. */
function attackTalk(below: Below, source: number): Line[] {
  const place = `${sourceAddress(source)} port ${1024 + below(64_000)}`;
  const pam = `logname= uid=0 euid=0 tty=ssh ruser= rhost=${sourceAddress(source)}`;
  const quiet = (text: string): Line => ({ text, matched: false });
  const fails = (text: string, counts: boolean): Line => ({ text, matched: true, ...(counts && { charged: source }) });
  const bye = quiet(`Received disconnect from ${place}:11: Bye Bye [preauth]`);
  if (below(10) < 4) {
    const name = guesses[below(8)]!;
    return [
      fails(`Invalid user ${name} from ${place}`, true),
      quiet('pam_unix(sshd:auth): check pass; user unknown'),
      quiet(`pam_unix(sshd:auth): authentication failure; ${pam} `),
      // The same attempt.
      fails(`Failed password for invalid user ${name} from ${place} ssh2`, false),
      bye,
      quiet(`Disconnected from invalid user ${name} ${place} [preauth]`),
    ];
  }
  const name = accounts[below(6)]!;
  const tries = 1 + below(3);
  return [
    quiet(`pam_unix(sshd:auth): authentication failure; ${pam}  user=${name}`),
    ...Array.from({ length: tries }, () => fails(`Failed password for ${name} from ${place} ssh2`, true)),
    ...(tries === 1 ? [bye] : []),
    quiet(`Disconnected from authenticating user ${name} ${place} [preauth]`),
    ...(tries > 1 ? [quiet(`PAM ${tries - 1} more authentication failures; ${pam}  user=${name}`)] : []),
  ];
}

/** A user who logs in and leaves again. */
function honestTalk(below: Below): Line[] {
  const place = `${honest(below)} port ${1024 + below(64_000)}`;
  return [
    `Accepted publickey for alice from ${place} ssh2: ED25519 SHA256:q1Yd0x3vFJ7m2kQ8rT5uW9zB4cE6gH1jK3lM5nO7pQ0`,
    'pam_unix(sshd:session): session opened for user alice(uid=1000) by alice(uid=0)',
    `Received disconnect from ${place}:11: disconnected by user`,
    `Disconnected from user alice ${place}`,
    'pam_unix(sshd:session): session closed for user alice',
  ].map((text) => ({ text, matched: false }));
}

/** The log of a host under attack by a few sources: whole connections, some of them at a time. */
function* sessionLines(below: Below, sources: number): Generator<Line, never, number> {
  const talks: Talk[] = [];
  let pid = 1000;
  let second = yield { text: '', matched: false };
  for (;;) {
    while (talks.length < talksMax) {
      pid += 1 + below(3);
      talks.push({ pid, lines: below(20) === 0 ? honestTalk(below) : attackTalk(below, below(sources)) });
    }
    const stamp = modern(second, below);
    if (below(25) === 0) {
      second = yield { text: `${stamp} web1 ${harmlessMessages[3 + below(3)]!(below)}`, matched: false };
      continue;
    }
    const at = below(talks.length);
    const talk = talks[at]!;
    const { text, ...rest } = talk.lines.shift()!;
    if (talk.lines.length === 0) talks.splice(at, 1);
    second = yield { text: `${stamp} web1 sshd[${talk.pid}]: ${text}`, ...rest };
  }
}

/** The lines of a service by themselves, each of any source. */
function* singleLines(service: Service, below: Below, sources: number): Generator<Line, never, number> {
  let second = yield { text: '', matched: false };
  for (;;) {
    if (below(10) >= service.failuresInTen) second = yield { text: service.harmless(below, second), matched: false };
    else {
      const source = below(sources);
      second = yield { text: service.failure(below, second, sourceAddress(source)), matched: true, charged: source };
    }
  }
}

export const services = {
  sshd: sshd(modern),
  'sshd-ordered': sshd(traditional),
  'nginx-limit-req': {
    filter: 'nginx-limit-req',
    failuresInTen: 7,
    failure: (below, second, address) =>
      nginxError(below, second, `limiting requests, excess: ${below(90)}.${below(900) + 100} by zone "one"`, address),
    harmless: (below, second) =>
      nginxError(below, second, 'open() "/srv/www/missing.png" failed (2: No such file or directory)', honest(below)),
  },
  'nginx-access': {
    filter: 'nginx-botsearch',
    failuresInTen: 1,
    failure: (below, second, address) => nginxAccess(below, second, address, '/phpmyadmin/index.php', 404),
    harmless: (below, second) => nginxAccess(below, second, honest(below), paths[below(6)]!, 200),
  },
} satisfies Record<string, Service>;

interface File {
  filter: string;
  lines(below: Below, sources: number): Generator<Line, never, number>;
  /** The second of a line, one of `lines`. */
  second(line: number, lines: number, below: Below): number;
  /** No more sources than this. */
  sourcesMax?: number;
}

/** So many lines a second, or as many as it takes for all to lie within the span. */
const linesPerSecond = 40;
const onward = (line: number, lines: number): number =>
  Math.floor(line / Math.max(linesPerSecond, lines / spanSeconds));
const file = (service: Service): File => ({
  filter: service.filter,
  lines: (below, sources) => singleLines(service, below, sources),
  second: onward,
});

/** What is measured with. */
export const files: Record<string, File> = {
  'sshd-jumping': { ...file(services['sshd-ordered']), second: (_line, _lines, below) => below(spanSeconds) },
  ...Object.fromEntries(Object.entries(services).map(([name, service]) => [name, file(service)])),
  'sshd-sessions': { filter: 'sshd', lines: sessionLines, second: onward, sourcesMax: 300 },
};

/** Writes `lines` lines of a file with failures of `sources` sources to `path`. */
export function writeWorkload(name: string, path: string, lines: number, sources: number, seed = 1): Workload {
  const { filter, lines: write, second, sourcesMax } = files[name]!;
  const random = randomFrom(seed);
  const below: Below = (count) => Math.floor(random() * count);
  const failures = new Uint32Array(sources);
  const workload: Workload = { filter, path, lines, bytes: 0, matched: 0, decisions: 0 };
  const descriptor = openSync(path, 'w');
  const written = write(below, Math.min(sources, sourcesMax ?? sources));
  written.next();
  let chunk: string[] = [];
  for (let line = 0; line < lines; line++) {
    const { text, matched, charged } = written.next(second(line, lines, below)).value;
    chunk.push(text, '\n');
    if (matched) workload.matched++;
    if (charged !== undefined && ++failures[charged]! === maxretry) workload.decisions++;
    if (chunk.length < 16_384 && line + 1 < lines) continue;
    workload.bytes += writeSync(descriptor, chunk.join(''));
    chunk = [];
  }
  closeSync(descriptor);
  return workload;
}
