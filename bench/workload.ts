/**
 * Logs to measure with: seeded, so that the same arguments give the same bytes, and written with
 * what they must lead to. Our own lines. Sources are from 198.18.0.0/15 (RFC 2544, benchmarks) and
 * 2001:db8::/32; the honest from 203.0.113.0/24. A third of the lines is no failure. All lines lie
 * within one findtime, so a source is banned exactly once it has `maxretry` failures.
 */
import { closeSync, openSync, writeSync } from 'node:fs';

/** Epoch seconds of the first line: 2026-03-10 12:00:00 UTC. */
export const startTime = 1_773_144_000;
/** All lines lie within this; less than the findtime the benchmarks use. */
const spanSeconds = 300;
export const maxretry = 5;
/** One source in so many is IPv6. */
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
  failure(below: Below, second: number, address: string): string;
  harmless(below: Below, second: number): string;
}

const accounts = ['root', 'admin', 'ubuntu', 'backup', 'www-data', 'postgres'];
const guesses = ['test', 'oracle', 'guest', 'pi', 'git', 'minecraft', 'administrator', 'x'];
const paths = ['/', '/wp-login.php', '/index.html', '/static/app.js', '/api/v1/items?page=2', '/favicon.ico'];
const honest = (below: Below): string => `203.0.113.${below(256)}`;
const two = (value: number): string => String(value).padStart(2, '0');
const clock = (second: number): string => `12:${two(Math.floor(second / 60))}:${two(second % 60)}`;

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
  failure: (below, second, address) =>
    `${stamp(second, below)} web1 sshd[${below(4e6)}]: ${sshdMessage(below, address)}`,
  harmless: (below, second) => `${stamp(second, below)} web1 ${harmlessMessages[below(6)]!(below)}`,
});

const nginxError = (below: Below, second: number, message: string, address: string): string =>
  `2026/03/10 ${clock(second)} [error] 811#811: *${below(1e6)} ${message}, client: ${address}, server: example.org, request: "GET ${paths[below(6)]} HTTP/1.1", host: "example.org"`;

const nginxAccess = (below: Below, second: number, address: string, path: string, status: number): string =>
  `${address} - - [10/Mar/2026:${clock(second)} +0000] "GET ${path} HTTP/1.1" ${status} ${below(9_000)} "-" "Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0"`;

export const services: Record<string, Service> = {
  sshd: sshd((second, below) => `2026-03-10T${clock(second)}.${String(below(1e6)).padStart(6, '0')}+00:00`),
  'sshd-rfc3164': sshd((second) => `Mar 10 ${clock(second)}`),
  'nginx-limit-req': {
    filter: 'nginx-limit-req',
    failure: (below, second, address) =>
      nginxError(below, second, `limiting requests, excess: ${below(90)}.${below(900) + 100} by zone "one"`, address),
    harmless: (below, second) =>
      nginxError(below, second, 'open() "/srv/www/missing.png" failed (2: No such file or directory)', honest(below)),
  },
  'nginx-access': {
    filter: 'nginx-botsearch',
    failure: (below, second, address) => nginxAccess(below, second, address, '/phpmyadmin/index.php', 404),
    harmless: (below, second) => nginxAccess(below, second, honest(below), paths[below(6)]!, 200),
  },
};

/** Writes `lines` lines of a service with failures of `sources` sources to `path`. */
export function writeWorkload(name: string, path: string, lines: number, sources: number, seed = 1): Workload {
  const service = services[name]!;
  const random = randomFrom(seed);
  const below: Below = (count) => Math.floor(random() * count);
  const failures = new Uint32Array(sources);
  const workload: Workload = { filter: service.filter, path, lines, bytes: 0, matched: 0, decisions: 0 };
  const descriptor = openSync(path, 'w');
  let chunk: string[] = [];
  const write = (): void => {
    workload.bytes += writeSync(descriptor, chunk.join(''));
    chunk = [];
  };
  for (let line = 0; line < lines; line++) {
    const second = Math.floor((line / lines) * spanSeconds);
    if (below(3) === 0) chunk.push(service.harmless(below, second), '\n');
    else {
      const source = below(sources);
      chunk.push(service.failure(below, second, sourceAddress(source)), '\n');
      workload.matched++;
      if (++failures[source]! === maxretry) workload.decisions++;
    }
    if (chunk.length >= 16_384) write();
  }
  write();
  closeSync(descriptor);
  return workload;
}
