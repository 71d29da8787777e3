/**
 * `npm start`: a demonstration that anyone can watch. In a private network namespace the real
 * daemon follows a log that is written line by line. Each ban is shown when it reaches the kernel,
 * and real packets from a second namespace show who is dropped. Nothing outside these namespaces
 * and a temporary directory is changed. If no namespace can be created, the daemon runs log-only,
 * and the demonstration says so.
 *
 * Exit status: 0 everything happened as expected; 1 something did not (the end of the output says
 * what).
 */
import { execFileSync } from 'node:child_process';
import { closeSync, mkdtempSync, openSync, rmSync, writeSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { styleText } from 'node:util';
import { maxretry, type Sample, type SampleLine, sampleLog } from './demo/sample-log.ts';
import { BanWatch } from './lab/ban-watch.ts';
import { readCommandLine } from './lab/command-line.ts';
import { Daemon } from './lab/daemon.ts';
import { grouped, mebibytes, median, milliseconds, quantile } from './lab/figures.ts';
import { enterPrivateNetwork } from './lab/namespace.ts';
import { Peer } from './lab/peer.ts';

const sshPort = 22;
const storySeconds = 4;
const stormSources = 200;
const stormPauseMs = 2;
/** The process may exceed its ceiling by this factor (claim of the memory model). */
const ceilingTolerance = 1.1;
/** How long the last ban may take before it counts as missing, ms. */
const lastBanMs = 5_000;

type Style = Parameters<typeof styleText>[0];
const paint = (style: Style, text: string): string => styleText(style, text, { stream: process.stdout });
const say = (text = ''): void => void process.stdout.write(`${text}\n`);
const heading = (text: string): void => say(`\n${paint('bold', text)}`);

/** What did not happen as expected. */
const failures: string[] = [];
function expect(holds: boolean, what: string): void {
  if (!holds) failures.push(what);
}

/** Bans as they reach the kernel, matched with the line that caused each. */
class Landing {
  readonly latencies: number[] = [];
  readonly landed = new Set<string>();
  /** Whether bans are announced one by one. */
  spoken = true;
  readonly #word: string;
  readonly #attempts = new Map<string, number>();
  readonly #decisiveAt = new Map<string, number>();

  /** `word`: the word that is printed with an address. */
  constructor(word: string) {
    this.#word = word.padEnd(9);
  }

  /** Called before a line is written; returns how many failures its source has with it. */
  before({ failureOf }: SampleLine): number {
    if (failureOf === undefined) return 0;
    const count = (this.#attempts.get(failureOf) ?? 0) + 1;
    this.#attempts.set(failureOf, count);
    if (count === maxretry) this.#decisiveAt.set(failureOf, performance.now());
    return count;
  }

  land(address: string, at: number): void {
    this.landed.add(address);
    const since = this.#decisiveAt.get(address);
    if (since !== undefined) this.latencies.push(at - since);
    const took = since === undefined ? '' : ` ${milliseconds(at - since)} after its line`;
    if (this.spoken) say(paint(['bold', 'red'], `  ${this.#word} ${address}${took}`));
  }
}

/** A log file, written like sshd does: one write(2) a line. */
class LogFile {
  readonly path: string;
  lines = 0;
  readonly #descriptor: number;

  constructor(path: string) {
    this.path = path;
    this.#descriptor = openSync(path, 'a', 0o640);
  }

  write({ message }: SampleLine): void {
    writeSync(this.#descriptor, `${new Date().toISOString().replace('Z', '+00:00')} demo ${message}\n`);
    this.lines++;
  }

  close(): void {
    closeSync(this.#descriptor);
  }
}

async function writeLog(log: LogFile, sample: Sample, landing: Landing): Promise<void> {
  heading(`The log, line by line (a ban comes with failure ${maxretry} of a source)`);
  for (const line of sample.story) {
    const count = landing.before(line);
    log.write(line);
    const tally = count === 0 ? '         ' : `  ${count} of ${maxretry}  `;
    say(`${paint('dim', tally)} ${line.message}`);
    await pause((storySeconds * 1000) / sample.story.length);
  }
  if (sample.storm.length === 0) return;
  landing.spoken = false;
  heading(`A storm: ${grouped(sample.storm.length)} failures of ${stormSources} sources`);
  for (const line of sample.storm) {
    landing.before(line);
    log.write(line);
    await pause(stormPauseMs);
  }
}

async function untilLanded(banned: string[], landing: Landing): Promise<void> {
  const deadline = performance.now() + lastBanMs;
  while (performance.now() < deadline && banned.some((address) => !landing.landed.has(address))) await pause(10);
  const missing = banned.filter((address) => !landing.landed.has(address));
  const surplus = [...landing.landed].filter((address) => !banned.includes(address));
  say(`  ${landing.landed.size} of ${banned.length} bans landed`);
  expect(missing.length === 0, `not banned: ${missing.join(', ')}`);
  expect(surplus.length === 0, `banned for nothing: ${surplus.join(', ')}`);
}

/** Packets from everybody to our port 22. */
async function probe(title: string, peer: Peer, probes: Sample['probes']): Promise<void> {
  heading(title);
  const answers = await Promise.all(probes.map(({ from, dropped }) => peer.attempt(from, sshPort, !dropped)));
  probes.forEach(({ from, who, dropped }, index) => {
    const answer = answers[index]!;
    const word = answer === 'silence' ? paint('red', 'dropped  ') : paint('green', answer.padEnd(9));
    say(`  ${word} ${from.padEnd(21)} ${paint('dim', who)}`);
    const expected = dropped ? 'silence' : 'answered';
    expect(answer === expected, `${title.toLowerCase()}: ${from} got ${answer}, not ${expected}`);
  });
}

/** The sets as nft(8) sees them: an independent check. */
function compareWithNft(banned: string[]): void {
  let listed: { nftables: { set?: { elem?: { elem: { val: string } }[] } }[] };
  try {
    listed = JSON.parse(execFileSync('nft', ['-j', 'list', 'table', 'inet', 'fail2zig'], { encoding: 'utf8' }));
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
    say('  nft is not installed: the sets were not compared with other eyes');
    return;
  }
  const seen = listed.nftables.flatMap(({ set }) => (set?.elem ?? []).map(({ elem }) => elem.val));
  // A prefix is one element: its first address.
  const wanted = banned.map((address) => address.replace(/\/64$/, ''));
  const same = seen.length === wanted.length && wanted.every((address) => seen.includes(address));
  say(`  nft list table inet fail2zig: ${seen.length} elements${same ? ', the same ones' : ''}`);
  expect(same, 'nft sees other bans than those that landed');
}

async function summarise(daemon: Daemon, log: LogFile, sample: Sample, landing: Landing): Promise<void> {
  const [stats, { memory }] = [await daemon.stats(), await daemon.status()];
  const { peak } = daemon.resident();
  const failed = [...sample.story, ...sample.storm].filter(({ failureOf }) => failureOf !== undefined).length;
  const { latencies } = landing;
  heading('Summary');
  say(`  lines     ${grouped(stats['lines.total']!)} read of ${grouped(log.lines)} written`);
  say(`  matches   ${grouped(stats['lines.matched']!)} failed attempts`);
  say(`  bans      ${grouped(stats['bans.total']!)}`);
  say(
    `  latency   line written to ban ${landing.spoken ? 'said' : 'in the kernel'}: median ${milliseconds(median(latencies))}, p99 ${milliseconds(quantile(latencies, 0.99))} (n = ${latencies.length})`,
  );
  say(
    `  memory    VmHWM ${mebibytes(peak)} under a ceiling of ${mebibytes(memory.ceilingBytes)}; room for ${grouped(memory.slots)} sources`,
  );
  expect(stats['lines.total'] === log.lines, `${stats['lines.total']} lines read, ${log.lines} written`);
  expect(stats['lines.matched'] === failed, `${stats['lines.matched']} lines matched, ${failed} are failures`);
  expect(stats['bans.total'] === sample.banned.length, `${stats['bans.total']} bans, not ${sample.banned.length}`);
  expect(latencies.length === sample.banned.length, `${latencies.length} latencies measured`);
  expect(peak <= memory.ceilingBytes * ceilingTolerance, `VmHWM ${mebibytes(peak)} is over the ceiling`);
}

function settings(logFile: string, backend: string): string {
  return `[firewall]
backend = "${backend}"
[metrics]
enabled = ${backend === 'nftables'}
[jails.sshd]
logpath = "${logFile}"
port = "ssh"
maxretry = ${maxretry}
`;
}

async function listenForConnections(): Promise<void> {
  const server = createServer((socket) => socket.on('error', () => undefined).end());
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject).listen(sshPort, '::', resolve);
  });
}

/** With a namespace: everything is shown. */
async function withPackets(directory: string): Promise<void> {
  const sample = sampleLog(stormSources);
  const addresses = sample.probes.map(({ from }) => `${from}/${from.includes(':') ? 128 : 32}`);
  const peer = await Peer.join(addresses, sample.networks);
  await listenForConnections();
  const landing = new Landing('banned');
  const watch = new BanWatch('fail2zig', 64, (address, at) => landing.land(address, at));
  const log = new LogFile(join(directory, 'auth.log'));
  const daemon = await Daemon.start(directory, settings(log.path, 'nftables'));
  try {
    say(`network   a private namespace, joined by veth to a second one: nothing else is touched`);
    say(`daemon    pid ${daemon.pid}, nftables backend, started in ${milliseconds(daemon.startMilliseconds)}`);
    const everybody = sample.probes.map((each) => ({ ...each, dropped: false }));
    await probe('Before: packets to port 22', peer, everybody);
    await writeLog(log, sample, landing);
    await untilLanded(sample.banned, landing);
    compareWithNft(sample.banned);
    await probe('After: packets to port 22', peer, sample.probes);
    await summarise(daemon, log, sample, landing);
  } finally {
    await end(daemon);
    log.close();
    await watch.stop();
    await peer.end();
  }
}

/** Without: the daemon logs what it would do. */
async function logOnly(directory: string, why: string): Promise<void> {
  say(`No network namespace can be made here (${why}): the daemon runs log-only, and no packet is sent.`);
  const sample = sampleLog(0);
  const landing = new Landing('would ban');
  const log = new LogFile(join(directory, 'auth.log'));
  const daemon = await Daemon.start(directory, settings(log.path, 'log-only'));
  daemon.onLine((line) => {
    const address = / would ban .*address=(\S+)/.exec(line)?.[1];
    if (address !== undefined) landing.land(address, performance.now());
  });
  try {
    say(`daemon    pid ${daemon.pid}, log-only, started in ${milliseconds(daemon.startMilliseconds)}`);
    await writeLog(log, sample, landing);
    await untilLanded(sample.banned, landing);
    await summarise(daemon, log, sample, landing);
  } finally {
    await end(daemon);
    log.close();
  }
}

async function end(daemon: Daemon): Promise<void> {
  const status = await daemon.stop();
  expect(status === 0, `the daemon ended with status ${status}\n${daemon.said.slice(-5).join('\n')}`);
}

readCommandLine(
  'start',
  `npm start

  Shows the daemon at work on a log that is written line by line, in a private network namespace; needs no configuration
  and touches nothing outside. To run the daemon itself: bin/fail2zig --config FILE (see the README).`,
  {},
);
const why = enterPrivateNetwork();
const directory = mkdtempSync(join(tmpdir(), 'fail2zig-demo-'));
process.once('exit', () => rmSync(directory, { recursive: true, force: true }));
for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => process.exit(1));
try {
  await (why === '' ? withPackets(directory) : logOnly(directory, why));
} catch (error) {
  failures.push((error as Error).message);
}
if (failures.length === 0) say(paint('green', '\nEverything happened as it must.'));
else say(paint('red', `\nNot as it must be:\n${failures.map((each) => `  ${each}\n`).join('')}`));
process.exit(failures.length === 0 ? 0 : 1);
