/**
 * The only program of a guest that runs the kernel under test (main.ts boots it), in two boots on
 * one disk. Each check prints a row. It is judged by the packets of a peer in another namespace,
 * and by what the kernel's own tools list.
 */
import assert from 'node:assert/strict';
import { type ChildProcess, execFileSync, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import {
  appendFileSync,
  closeSync,
  existsSync,
  fsyncSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import { createServer } from 'node:net';
import { release } from 'node:os';
import { createInterface } from 'node:readline';
import { setTimeout as pause } from 'node:timers/promises';
import { responses } from '../../src/client/call.ts';
import type { ListPart, Status } from '../../src/control/answers.ts';
import { xdpPrefixesMax, xdpScopesMax } from '../../src/limits.ts';
import type { Row } from './rows.ts';

/** An emulated processor is fifty times slower than a real one; only a failure waits this long. */
const patienceMs = 300_000;
const home = '/var/lib/fail2zig';
const log = `${home}/auth.log`;
const socket = '/run/fail2zig/fail2zig.sock';
/** Offset of the time in a state file (src/state/format.ts). */
const stateTimeAt = 16;
/** On the link to the peer. */
const [here, attacker, neighbour, third] = ['192.0.2.1', '192.0.2.7', '192.0.2.8', '192.0.2.9'];

const write = (text: string): unknown => writeSync(1, `${text}\n`);

async function until<Value>(what: string, state: () => Value | Promise<Value>): Promise<NonNullable<Value>> {
  const deadline = performance.now() + patienceMs;
  for (;;) {
    const value = await state();
    if (value) return value;
    if (performance.now() > deadline) throw new Error(`${what} did not come`);
    await pause(50);
  }
}

function sh(command: string): string {
  return execFileSync('/bin/sh', ['-c', command], { encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'] });
}

/** Prints the row of a check; a failure is a row too. */
async function check(name: string, body: () => Promise<string | undefined> | string | undefined): Promise<void> {
  const started = performance.now();
  let row: Row;
  try {
    row = { name, ok: true, says: (await body()) ?? '', seconds: 0 };
  } catch (error) {
    row = { name, ok: false, says: String((error as Error).message).slice(0, 1_000), seconds: 0 };
  }
  row.seconds = Math.round((performance.now() - started) / 100) / 10;
  write(`ROW ${JSON.stringify(row)}`);
}

class Daemon {
  /** The running daemon: if a check fails, it is stopped before the next one. */
  static #last: Daemon | undefined;
  readonly said: string[] = [];
  readonly #child: ChildProcess;

  private constructor(settings: string) {
    writeFileSync('/etc/fail2zig.toml', settings, { mode: 0o644 });
    this.#child = spawn(process.execPath, ['/opt/fail2zig/dist/main.cjs'], { stdio: ['ignore', 'ignore', 'pipe'] });
    createInterface({ input: this.#child.stderr! }).on('line', (line) => this.said.push(line));
  }

  static async start(settings: string): Promise<Daemon> {
    await Daemon.#last?.stop();
    const daemon = new Daemon(settings);
    Daemon.#last = daemon;
    await until('the start of the daemon', () => {
      if (daemon.#child.exitCode !== null) throw new Error(`the daemon ended: ${daemon.said.join(' | ')}`);
      return daemon.said.some((line) => line.includes(' started '));
    });
    return daemon;
  }

  async *ask<Part>(verb: string, args: Record<string, unknown> = {}): AsyncGenerator<Part> {
    for await (const response of responses(socket, { verb, args })) {
      if (!response.ok) throw new Error(`${verb}: ${response.error.message}`);
      if (Object.keys(response.data as object).length > 0) yield response.data as Part;
    }
  }

  async status(): Promise<Status> {
    for await (const part of this.ask<Status>('status')) return part;
    throw new Error('status has no answer');
  }

  async ban(address: string, seconds: number): Promise<void> {
    for await (const _ of this.ask('ban', { jail: 'sshd', addresses: [address], seconds }));
  }

  async unban(address: string): Promise<void> {
    for await (const _ of this.ask('unban', { addresses: [address] }));
  }

  /** Address → seconds left. */
  async bans(): Promise<Map<string, number>> {
    const found = new Map<string, number>();
    for await (const { bans } of this.ask<ListPart>('list'))
      for (const { address, remainingSeconds } of bans) found.set(address, remainingSeconds);
    return found;
  }

  /** The highest resident size so far, KiB. */
  peak(): number {
    return Number(/^VmHWM:\s+(\d+)/m.exec(readFileSync(`/proc/${this.#child.pid}/status`, 'latin1'))?.[1]);
  }

  async stop(): Promise<void> {
    if (this.#child.exitCode !== null || this.#child.signalCode !== null) return;
    const ended = once(this.#child, 'exit');
    this.#child.kill('SIGTERM');
    await ended;
  }
}

/** A line of sshd, on the disk before this returns. */
function logged(message: string, pid = 7): void {
  const fd = openSync(log, 'a');
  writeSync(fd, `${new Date().toISOString().replace(/\.\d+Z/, 'Z')} host sshd[${pid}]: ${message}\n`);
  fsyncSync(fd);
  closeSync(fd);
}

function failure(address: string, times = 1): void {
  for (let n = 0; n < times; n++) logged(`Failed password for root from ${address} port ${n + 4000} ssh2`, n + 7);
}

const answers = (from: string): boolean =>
  spawnSync('/usr/sbin/ip', ['netns', 'exec', 'peer', '/bin/ping', '-c', '1', '-W', '1', '-I', from, here]).status ===
  0;
const dropped = (from: string): Promise<true> =>
  until(`the end of packets from ${from}`, () => !answers(from) || undefined) as Promise<true>;
const passes = (from: string): Promise<true> =>
  until(`packets from ${from}`, () => answers(from) || undefined) as Promise<true>;

/** Not busybox's own command, which its shell would prefer. */
const ip = '/usr/sbin/ip';

function makePeer(): void {
  const lines = [
    ...['netns add peer', 'link set lo up', 'link add g0 type veth peer name p0', 'link set p0 netns peer'],
    ...[`addr add ${here}/24 dev g0`, 'link set g0 up', 'netns exec peer /usr/sbin/ip link set p0 up'],
    ...[attacker, neighbour, third].map((address) => `netns exec peer ${ip} addr add ${address}/24 dev p0`),
  ];
  for (const line of lines) execFileSync(ip, line.split(' '));
}

const settings = (backend: string, more = ''): string => `[firewall]
backend = "${backend}"
${backend === 'xdp' ? 'interfaces = ["g0"]\n' : ''}[control]
group = "root"
[state]
interval = "2s"
[defaults]
maxretry = 3
[jails.sshd]
${more === '' ? `logpath = "${log}"` : more}
`;

/** Remaining seconds of the kernel's element for the address; undefined if there is none. */
function left(backend: string, address: string): number | undefined {
  if (backend === 'nftables') {
    const listed = JSON.parse(sh('nft -j list ruleset')) as { nftables: { set?: { elem?: unknown[] } }[] };
    const elements = listed.nftables.flatMap(({ set }) => set?.elem ?? []) as {
      elem?: { val: unknown; expires?: number };
    }[];
    return elements.find(({ elem }) => JSON.stringify(elem?.val ?? '').includes(`"${address}"`))?.elem?.expires;
  }
  const [, seconds] = new RegExp(`^${address.replaceAll('.', '\\.')} timeout (\\d+)`, 'm').exec(sh('ipset list')) ?? [];
  return seconds === undefined ? undefined : Number(seconds);
}

/**
 * What another program would do to our rules. When it is checked, our rules may be there again; so
 * the chains stay.
 */
const damage: Readonly<Record<string, string>> = {
  nftables: 'nft flush ruleset',
  iptables: 'iptables-legacy -F',
  ipset: 'iptables-legacy -F && ipset flush',
};

/** State, records and their seal. */
function forget(): void {
  for (const name of readdirSync(home)) if (name.startsWith('state')) rmSync(`${home}/${name}`);
}

function remove(): void {
  const words = ['/opt/fail2zig/dist/main.cjs', 'remove'];
  const { status, stderr } = spawnSync(process.execPath, words, { encoding: 'utf8' });
  assert.deepEqual({ status, stderr }, { status: 0, stderr: '' });
}

async function backendChecks(backend: string): Promise<void> {
  rmSync(log, { force: true });
  writeFileSync(log, '');
  // As iptables(8) would: we load no module.
  if (backend === 'iptables') for (const name of ['ip_tables', 'ip6_tables']) sh(`modprobe ${name}`);
  let daemon: Daemon | undefined;
  const running = (): Daemon => daemon ?? assert.fail('no daemon');
  await check(`${backend}: starts`, async () => {
    daemon = await Daemon.start(settings(backend));
    let status = await daemon.status();
    // Right after a start it is still adopting the kernel's bans.
    await until('a status without problems', async () => {
      status = await running().status();
      return status.problems.length === 0;
    }).catch(() => assert.fail(status.problems.join('; ')));
    const { backend: used, memory, confined = [] } = status;
    assert.match(used, new RegExp(`^${backend}`));
    return `${used}; ${memory.slots} slots; ${confined.join('; ')}`;
  });
  if (daemon === undefined) return;
  await check(`${backend}: three failures in the log, packets are dropped; another's pass`, async () => {
    assert.ok(answers(attacker), 'packets pass before');
    failure(attacker, 3);
    await dropped(attacker);
    assert.ok(answers(neighbour), 'those of another pass');
    return undefined;
  });
  await check(`${backend}: a longer ban on a living element`, async () => {
    await running().ban(neighbour, 100);
    await dropped(neighbour);
    await running().ban(neighbour, 4_000);
    const held = (await running().bans()).get(neighbour) ?? 0;
    assert.ok(held > 3_000, `the daemon holds ${held} s`);
    const kernel = damage[backend] === undefined || backend === 'iptables' ? undefined : left(backend, neighbour);
    if (backend === 'nftables' || backend === 'ipset')
      assert.ok((kernel ?? 0) > 3_000, `the element has ${kernel} s left`);
    assert.ok(!answers(neighbour), 'packets are dropped still');
    return kernel === undefined ? `${held} s` : `${kernel} s in the kernel`;
  });
  await check(`${backend}: a ban ends by itself`, async () => {
    await running().ban(third, 20);
    await dropped(third);
    await passes(third);
    return undefined;
  });
  if (damage[backend] !== undefined)
    await check(`${backend}: what others flush is made again with its bans`, async () => {
      const before = running().said.length;
      sh(damage[backend]!);
      const at = performance.now();
      await until('the bans, made again', () => !answers(attacker) && !answers(neighbour));
      const seconds = ((performance.now() - at) / 1000).toFixed(1);
      await until('a word about it', () => running().said.length > before);
      return `${damage[backend]}; ${seconds} s; ${running().said.slice(before).join(' | ').slice(0, 300)}`;
    });
  await check(`${backend}: an unban lets packets pass`, async () => {
    await running().unban(attacker);
    await passes(attacker);
    assert.ok(!answers(neighbour), 'and only those');
    return undefined;
  });
  await check(`${backend}: resident size stays under the ceiling`, () => {
    const kilobytes = running().peak();
    assert.ok(kilobytes <= 64 * 1024, `VmHWM is ${kilobytes} KiB`);
    return `VmHWM ${kilobytes} KiB`;
  });
  await running().stop();
  await check(`${backend}: remove leaves nothing`, async () => {
    remove();
    await passes(neighbour);
    return undefined;
  });
  forget();
}

/** Whether a TCP connection from an address of the peer comes about. */
const connects = (from: string, port: number): boolean => {
  const code = `const s = require('net').connect({ host: '${here}', port: ${port}, localAddress: '${from}' });
    s.on('connect', () => process.exit(0)).on('error', () => process.exit(1)); setTimeout(process.exit, 20_000, 1)`;
  return spawnSync(ip, ['netns', 'exec', 'peer', process.execPath, '-e', code]).status === 0;
};

/** Ports are read at variable offsets of the packet: more work for the verifier. */
async function xdpWithPorts(): Promise<void> {
  const guarded = `${settings('xdp')}port = "ssh"\n`;
  await check('xdp: a jail with ports drops those, of its sources only', async () => {
    rmSync(log, { force: true });
    writeFileSync(log, '');
    const servers = [22, 80].map((port) => createServer().listen(port, here));
    const daemon = await Daemon.start(guarded);
    assert.ok(connects(attacker, 22) && connects(attacker, 80), 'connections before');
    failure(attacker, 3);
    await until('the end of connections to port 22', () => !connects(attacker, 22));
    assert.ok(connects(attacker, 80), 'another port');
    assert.ok(answers(attacker), 'a packet without ports');
    assert.ok(connects(neighbour, 22), 'another source');
    await daemon.unban(attacker);
    await until('connections to port 22', () => connects(attacker, 22));
    const { backend, confined = [] } = await daemon.status();
    await daemon.stop();
    for (const server of servers) server.close();
    return `${backend}; ${confined[0]}`;
  });
  await check('xdp: as many lists of ports and lengths of prefixes as it knows, over the program before', async () => {
    const jails = Array.from(
      { length: xdpScopesMax },
      (_, at) => `[jails.jail${at}]
filter = "sshd"
logpath = "${log}"
port = "${1000 + at}"
ipv6_prefix = ${64 - (at % xdpPrefixesMax)}
ignoreip = ["2001:db8:9::/48"]
`,
    );
    const daemon = await Daemon.start(`${guarded.split('[jails.sshd]')[0]}${jails.join('')}`);
    const { backend } = await daemon.status();
    await daemon.stop();
    remove();
    return `${backend}; ${jails.length} jails`;
  });
}

async function journalChecks(): Promise<void> {
  await check('journal: entries of a real journald ban', async () => {
    mkdirSync('/run/systemd/journal', { recursive: true });
    mkdirSync('/var/log/journal', { recursive: true });
    mkdirSync('/etc/systemd/journald.conf.d', { recursive: true });
    writeFileSync('/etc/systemd/journald.conf.d/x.conf', '[Journal]\nReadKMsg=no\nAudit=no\nStorage=persistent\n');
    writeFileSync('/run/systemd/journal/flushed', '');
    const env = { ...process.env, LD_LIBRARY_PATH: '/lib/x86_64-linux-gnu' };
    const journald = spawn('/opt/journald', { env, stdio: ['ignore', 'ignore', 'ignore'] });
    await until('journald', () => existsSync('/run/systemd/journal/stdout'));
    const daemon = await Daemon.start(settings('nftables', 'source = "journal"'));
    const { connect } = await import('node:net');
    const line = connect({ path: '/run/systemd/journal/stdout', allowHalfOpen: true });
    await once(line, 'connect');
    line.write('sshd\n\n6\n0\n0\n0\n0\n');
    for (let n = 0; n < 3; n++) line.write(`Failed password for root from ${attacker} port ${4000 + n} ssh2\n`);
    await dropped(attacker);
    assert.ok(answers(neighbour), 'another passes');
    line.destroy();
    await daemon.stop();
    journald.kill('SIGTERM');
    sh('nft flush ruleset');
    forget();
    return undefined;
  });
}

/**
 * Waits until everything before now is on the disk: a second, later state file is only begun when
 * the first one is complete.
 */
async function saved(): Promise<void> {
  const happened = Date.now() / 1_000;
  const moments = new Set<number>();
  await until('two saves of what happened', () => {
    // A new line is a reason to save again.
    logged('Server listening on :: port 22.');
    const moment = existsSync(`${home}/state`) ? readFileSync(`${home}/state`).readDoubleLE(stateTimeAt) : 0;
    if (moment > happened) moments.add(moment);
    return moments.size > 1;
  });
}

/** Two of three failures, and a ban. Then the machine stops without warning. */
async function beforeTheReboot(): Promise<void> {
  await check('state: saved before the machine goes down', async () => {
    rmSync(log, { force: true });
    writeFileSync(log, '');
    const daemon = await Daemon.start(settings('nftables'));
    failure(neighbour, 2);
    await daemon.ban(attacker, 50_000);
    await dropped(attacker);
    await saved();
    return `${statSync(`${home}/state`).size} bytes`;
  });
}

async function afterTheReboot(): Promise<void> {
  let daemon: Daemon | undefined;
  await check('state: the ban is back after a crash of the machine', async () => {
    assert.ok(answers(attacker), 'the kernel holds nothing by itself');
    daemon = await Daemon.start(settings('nftables'));
    await dropped(attacker);
    const kernel = left('nftables', attacker) ?? 0;
    assert.ok(kernel > 40_000 && kernel <= 50_000, `${kernel} s are left`);
    return `${kernel} s of 50000 left`;
  });
  await check('state: failures before the crash count, each once', async () => {
    const held = [...((await daemon?.bans()) ?? []).keys()];
    assert.deepEqual(held, [attacker], `two failures are none too many; ${daemon?.said.join(' | ')}`);
    assert.ok(answers(neighbour), 'its packets pass');
    failure(neighbour, 1);
    await dropped(neighbour);
    return undefined;
  });
  await daemon?.stop();
}

const kernelIs = async (): Promise<void> => {
  await check('kernel', () => readFileSync('/proc/version', 'latin1').split(' (')[0]);
  await check('security modules', () => readFileSync('/sys/kernel/security/lsm', 'latin1'));
};

async function main(boot: string, only: string[]): Promise<void> {
  write(`GUEST ${release()} boot ${boot}`);
  makePeer();
  if (boot === '1') {
    await kernelIs();
    for (const backend of ['nftables', 'iptables', 'ipset', 'xdp'])
      if (only.length === 0 || only.includes(backend)) await backendChecks(backend);
    if (only.length === 0 || only.some((name) => name.startsWith('xdp'))) await xdpWithPorts();
    if (only.length === 0 || only.includes('journal')) await journalChecks();
    await beforeTheReboot();
  } else await afterTheReboot();
  write('DONE');
  // The console is slow, and the kernel writes to it too.
  await pause(3_000);
  // Like a power cut: nothing is written back.
  appendFileSync('/proc/sysrq-trigger', 'o');
  await pause(patienceMs);
}

await main(process.argv[2] ?? '1', (process.argv[3] ?? '').split(',').filter(Boolean));
