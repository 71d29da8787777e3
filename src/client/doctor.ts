/**
 * `fail2zig-client doctor`: follows the path from a log file to a dropped packet, link by link, and
 * says what is wrong and how to repair it. Only reads: it tests an engine of its own, in this
 * process. A bundle of its own (scripts/build.ts): the client's other commands do not need it.
 * Input: the configuration, the logs (anybody's bytes), the kernel's answers.
 */
import { closeSync, fstatSync, openSync, readdirSync, readFileSync, readSync, statSync } from 'node:fs';
import { NetlinkSocket, openTransport } from '../backends/netlink/socket.ts';
import { type Decoder, decodeChain, decodeSet, decodeTable } from '../backends/nftables/decode.ts';
import { encodeDump } from '../backends/nftables/messages.ts';
import { attribute, command, netlinkNetfilter } from '../backends/nftables/numbers.ts';
import { namedFiles, publishedPorts, unreadLogs } from '../commands/check.ts';
import type { Compiled } from '../config/compile.ts';
import type { FleetConfig } from '../config/fleet.ts';
import { fleetLagSeconds, silentLogSeconds, tailBytes } from '../config/limits.ts';
import { type Loaded, loadConfig } from '../config/load.ts';
import { ConfigError } from '../config/problem.ts';
import type { Status } from '../control/answers.ts';
import { Examiner } from '../engine/examiner.ts';
import { Engine } from '../engine/host.ts';
import { filters as builtIn } from '../filters/index.ts';
import { lineBytesMax } from '../limits.ts';
import { formatAddress } from '../text/address.ts';
import type { JailConfig } from '../types.ts';
import { call, UnreachableError } from './call.ts';
import { type Figure, figuresOf, problemsOf, readPage } from './fleet-page.ts';

/** `bad`: nothing is banned because of it. `warning`: look at it. */
export type State = 'ok' | 'warning' | 'bad' | 'skipped';

/** The result for one link. */
export interface Finding {
  /** The link: configuration, log, engine, daemon, kernel, neighbours. */
  link: string;
  state: State;
  says: string;
  /** What to do about it. */
  mend?: string;
}

const ok = (link: string, says: string): Finding => ({ link, state: 'ok', says });
const warning = (link: string, says: string, mend: string): Finding => ({ link, state: 'warning', says, mend });
const bad = (link: string, says: string, mend: string): Finding => ({ link, state: 'bad', says, mend });
const skipped = (link: string, says: string, mend: string): Finding => ({ link, state: 'skipped', says, mend });

/** Each finding as soon as it is made. */
export async function* examine(path: string, socket: string, now = Date.now() / 1000): AsyncGenerator<Finding> {
  let compiled: Loaded | undefined;
  try {
    compiled = loadConfig(path, 'checked');
    yield ok('configuration', `${compiled.files.join(', ')} can be used: jails ${names(compiled.config.jails)}`);
    for (const text of compiled.warnings) yield warning('configuration', text, 'fail2zig check says more');
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error;
    yield bad('configuration', error.message, 'mend the file; fail2zig check says when it can be used');
  }
  if (compiled !== undefined) {
    const { jails } = compiled.config;
    for (const text of unreadLogs(jails)) yield warning('log', text, 'docs/configuration.md: network, logpath');
    for (const jail of jails) {
      yield* logsOf(jail, compiled, now);
      yield engineOf(jail, compiled);
    }
  }
  const status = await statusOf(compiled?.config.control.path ?? socket);
  if ('link' in status) yield status;
  else yield* daemonFindings(status, path, now);
  if (compiled !== undefined) yield* kernelFindings(compiled, 'link' in status ? undefined : status);
  if (compiled?.fleet !== undefined) yield* fleetFindings(compiled.fleet);
  yield* neighbours();
}

const names = (jails: readonly { name: string }[]): string => jails.map(({ name }) => name).join(', ') || 'none';

// --- Logs ----------------------------------------------------------------------------------------

function* logsOf(jail: JailConfig, compiled: Compiled, now: number): Generator<Finding> {
  if (jail.journal !== undefined) {
    yield ok(`log of ${jail.name}`, `the journal: ${jail.journal.text}`);
    return;
  }
  for (const pattern of jail.logpath) {
    const files = namedFiles(pattern);
    if (files.length === 0) {
      const mend = 'name the file that the service writes, or set source = "journal"; it is read once it appears';
      yield bad(`log of ${jail.name}`, `no file matches ${pattern}`, mend);
    }
    for (const file of files) yield logFinding(file, jail, compiled, now);
  }
}

/** Tries the filter on the end of a log. */
function logFinding(path: string, jail: JailConfig, compiled: Compiled, now: number): Finding {
  const link = `log of ${jail.name}`;
  let tail: { text: Buffer; written: number };
  try {
    tail = tailOf(path);
  } catch (error) {
    return skipped(link, `${path} cannot be read here: ${(error as Error).message}`, 'run this as root');
  }
  const lines = linesOf(tail.text);
  if (lines.length === 0) return ok(link, `${path} is empty`);
  const engine = Examiner.createNow({
    jails: [{ ...jail, ignore: [] }],
    filters: compiled.config.filters,
    tableBytes: 0,
    now,
  });
  const verdicts = lines.map((line) => {
    const { outcome, time } = engine.examine(line, jail.filter, jail.mode, now, false);
    return { outcome, time };
  });
  const own = verdicts.filter(({ outcome }) => outcome !== 'no-prefix' && outcome !== 'repeats-nothing');
  const matched = own.filter(({ outcome }) => outcome !== 'no-pattern' && outcome !== 'no-failure');
  const newest = Math.max(0, ...matched.map(({ time }) => time));
  const ahead = Math.round((newest - tail.written) / 900) * 900;
  const seen = `${path}: of the last ${lines.length} lines ${matched.length} count`;
  if (newest > tail.written + 600 && Math.abs(newest - tail.written - ahead) < 300) {
    const mend = 'set timezone of the jail to the zone in which the service writes';
    return bad(link, `${seen}, but their times are ${ahead / 3600} h ahead of the clock`, mend);
  }
  if (own.length === 0) {
    const mend = `fail2zig match --filter ${jail.filter} ${path} shows the lines; fail2zig filters ${jail.filter} what it reads`;
    return warning(
      link,
      `${path}: none of the last ${lines.length} lines is one that filter ${jail.filter} reads`,
      mend,
    );
  }
  if (now - tail.written > silentLogSeconds) {
    const days = Math.floor((now - tail.written) / 86_400);
    return warning(link, `${path} was last written ${days} days ago`, 'does the service log elsewhere now?');
  }
  return ok(link, seen);
}

/** The end of a file, and when it was written. */
function tailOf(path: string): { text: Buffer; written: number } {
  const fd = openSync(path, 'r');
  try {
    const { size, mtimeMs } = fstatSync(fd);
    const text = Buffer.alloc(Math.min(size, tailBytes));
    const length = readSync(fd, text, 0, text.length, size - text.length);
    return { text: text.subarray(0, length), written: mtimeMs / 1000 };
  } finally {
    closeSync(fd);
  }
}

/** Whole lines; the first one of a tail may be cut. */
function linesOf(text: Buffer): Buffer[] {
  const lines: Buffer[] = [];
  for (let at = text.length === tailBytes ? text.indexOf(10) + 1 : 0; at < text.length; ) {
    const end = text.indexOf(10, at);
    const line = text.subarray(at, end < 0 ? text.length : end);
    if (line.length > 0 && line.length <= lineBytesMax) lines.push(line);
    at = end < 0 ? text.length : end + 1;
  }
  return lines;
}

// --- Engine --------------------------------------------------------------------------------------

/** Whether the filter's own sample, from a documentation address, leads to a ban. */
function engineOf(jail: JailConfig, { config, filters }: Compiled): Finding {
  const link = `engine for ${jail.name}`;
  const own = filters.find(({ definition }) => definition.name === jail.filter);
  const known = builtIn.find(({ name }) => name === jail.filter);
  const samples = own?.samples ?? known?.patterns.map(({ sample }) => sample) ?? [];
  for (const sample of samples) {
    const address = decided(String(sample), { ...jail, maxretry: 1 }, config.filters);
    if (address !== undefined) return ok(link, `a test line from ${address} leads to a ban`);
  }
  if (samples.length === 0) {
    const mend = 'give the filter a sample, which is then tried at every start';
    return skipped(link, `filter ${jail.filter} has no sample line to try`, mend);
  }
  return bad(
    link,
    `none of ${samples.length} sample lines leads to a ban`,
    'please report this, with fail2zig version',
  );
}

function decided(line: string, jail: JailConfig, filters: Compiled['config']['filters']): string | undefined {
  const now = Date.now() / 1000;
  const scratch = { ...jail, format: 'auto' as const, ignore: [] };
  const engine = Engine.createNow({ jails: [scratch], filters, tableBytes: 4 << 20, live: false, now });
  engine.openSource(0, engine.addRoute([{ index: 0, filter: jail.filter, mode: jail.mode }]));
  const bytes = Buffer.from(`${line}\n`);
  engine.buffer.set(bytes);
  engine.feed(0, bytes.length, 0, now, true);
  let address: string | undefined;
  const drain = (): void => {
    engine.takeDecisions((decision) => {
      address = formatAddress(decision.address);
    });
  };
  for (let done = false; !done; drain()) done = engine.settleAttempts(now, true);
  return address;
}

// --- Daemon and kernel ---------------------------------------------------------------------------

async function statusOf(socket: string): Promise<Status | Finding> {
  try {
    const response = await call(socket, { verb: 'status', args: {} });
    return response.ok ? (response.data as Status) : bad('daemon', response.error.message, 'run this as root');
  } catch (error) {
    if (!(error instanceof UnreachableError)) throw error;
    return bad('daemon', error.message, 'systemctl status fail2zig, journalctl -u fail2zig');
  }
}

function* daemonFindings(status: Status, path: string, now: number): Generator<Finding> {
  const bans = status.jails.reduce((sum, { bansTotal }) => sum + bansTotal, 0);
  const says = `version ${status.version}, process ${status.pid}, backend ${status.backend}, bans since the start: ${bans}`;
  yield ok('daemon', says);
  for (const problem of status.problems)
    yield bad('daemon', problem, 'README.md, "Run it", says what each problem means');
  for (const hint of status.hints ?? [])
    yield warning('daemon', hint, 'fail2zig match shows what the filter makes of it');
  const changed = statSync(path, { throwIfNoEntry: false })?.mtimeMs ?? 0;
  if (changed / 1000 > now - status.uptimeSeconds + 1) {
    yield warning(
      'daemon',
      `${path} is newer than the running daemon`,
      'fail2zig-client reload, where that was not done',
    );
  }
}

async function* kernelFindings({ config }: Compiled, status?: Status): AsyncGenerator<Finding> {
  const backend = status?.backend ?? config.firewall.backend;
  if (backend !== 'nftables') {
    yield skipped(
      'kernel',
      `the rules of backend ${backend} are not looked at`,
      'fail2zig-client status counts dropped packets',
    );
  } else {
    try {
      yield await nftablesFinding(config.firewall.table, config.jails.length);
    } catch (error) {
      yield skipped('kernel', (error as Error).message, 'run this as root');
    }
  }
  for (const text of await publishedPorts(config.jails)) yield warning('kernel', text, 'hooks = ["input", "forward"]');
}

/** Whether our table exists, is active, has its hooks, and has two sets for each jail. */
async function nftablesFinding(table: string, jails: number): Promise<Finding> {
  const socket = new NetlinkSocket(openTransport(netlinkNetfilter));
  const list = async <Facts extends { table: string }>(number: number, decode: Decoder<Facts>): Promise<Facts[]> => {
    const found: Facts[] = [];
    const one = (bytes: Buffer, start: number, end: number): void => {
      const facts = decode(bytes, start, end);
      if (facts?.table === table) found.push(facts);
    };
    const fields = [[attribute.table, table]] as const;
    await socket.dump(
      (writer, sequence) => encodeDump(writer, sequence, number, fields),
      'list',
      one,
      () => undefined,
    );
    return found;
  };
  try {
    const [own] = await list(command.getTable, decodeTable);
    const mend = 'systemctl restart fail2zig; who removes it? (nft flush ruleset, a reload of another firewall)';
    if (own === undefined) return bad('kernel', `there is no nftables table inet ${table}`, mend);
    if ((own.flags & 1) !== 0) return bad('kernel', `the nftables table inet ${table} is dormant`, mend);
    const hooked = (await list(command.getChain, decodeChain)).filter(({ hook }) => hook !== '');
    const sets = await list(command.getSet, decodeSet);
    if (hooked.length === 0) return bad('kernel', `no chain of table inet ${table} is hooked`, mend);
    if (sets.length < 2 * jails)
      return bad('kernel', `table inet ${table} has ${sets.length} sets for ${jails} jails`, mend);
    const at = hooked.map(({ name }) => name).join(', ');
    return ok('kernel', `table inet ${table}: hooked at ${at}, ${sets.length} sets`);
  } finally {
    socket.close();
  }
}

// --- The fleet -----------------------------------------------------------------------------------

async function* fleetFindings({ metricsPort, url }: FleetConfig): AsyncGenerator<Finding> {
  let figures: Figure[];
  try {
    figures = figuresOf(await readPage(metricsPort));
  } catch (error) {
    const mend = 'systemctl status fail2zig-fleet, journalctl -u fail2zig-fleet';
    yield bad('fleet', `fail2zig-fleet does not answer on port ${metricsPort}: ${(error as Error).message}`, mend);
    return;
  }
  for (const problem of problemsOf(figures)) yield bad('fleet', problem, 'docs/fleet.md; journalctl -u fail2zig-fleet');
  const of = (name: string): number => figures.find((figure) => figure.name === name)?.value ?? 0;
  const says = `${of('alerts_sent_total')} bans sent to ${url}, ${of('alerts_waiting')} wait, ${of('bans')} of others hold`;
  if (of('lag_seconds') > fleetLagSeconds) {
    yield warning(
      'fleet',
      `${says}; the oldest waits since ${Math.floor(of('lag_seconds'))} s`,
      'fail2zig-fleet status',
    );
  } else yield ok('fleet', says);
}

// --- Others on this host -------------------------------------------------------------------------

/** Other programs that ban or rewrite rules, by process name (15 characters at most). */
const others: Readonly<Record<string, string>> = {
  'fail2ban-server': 'both ban from the same logs: systemctl disable --now fail2ban, after fail2zig import',
  sshguard: 'both ban from the same logs: disable one of them',
  crowdsec: 'both ban from the same logs: disable one of them, or give each its own logs',
  firewalld: 'its reload may flush our rules; they are restored within a minute at the latest: nothing to do',
};

function* neighbours(): Generator<Finding> {
  const running = new Set<string>();
  for (const pid of readdirSync('/proc').filter((name) => /^[0-9]+$/.test(name))) {
    try {
      running.add(readFileSync(`/proc/${pid}/comm`, 'utf8').trim());
    } catch {
      // It has ended meanwhile.
    }
  }
  const found = Object.keys(others).filter((name) => running.has(name));
  for (const name of found) yield warning('neighbours', `${name} runs on this host`, others[name]!);
  if (found.length === 0) yield ok('neighbours', `none of ${Object.keys(others).join(', ')} runs here`);
}
