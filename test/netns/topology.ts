/**
 * The network every kernel test runs in. The scenario's process is in `host`; the others are named
 * namespaces under its private /run, and end with it.
 *
 *      attacker                     host                       inside
 *      outer0 ───────── veth ───── front0   back0 ── veth ──── inner0
 *      192.0.2.10, .11, .12        192.0.2.1                   198.51.100.2
 *      2001:db8:0:1::10, ::11      2001:db8::1 /48             (default route: host)
 *      2001:db8:0:2::10                     198.51.100.1
 *
 * `Prober` runs in the attacker's namespace and connects from a chosen address; `host` and `inside`
 * listen.
 */
import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { createServer } from 'node:net';
import { createInterface } from 'node:readline';

export const hostV4 = '192.0.2.1';
export const hostV6 = '2001:db8::1';
export const insideV4 = '198.51.100.2';
export const attackerV4 = ['192.0.2.10', '192.0.2.11', '192.0.2.12'] as const;
/** Two addresses of one /64, and one of the next. */
export const attackerV6 = ['2001:db8:0:1::10', '2001:db8:0:1::11', '2001:db8:0:2::10'] as const;

/** An answer comes well within this, ms. */
const answeredWithinMs = 20_000;
/**
 * A test waits this long for an answer to a dropped packet, ms. A test that says "dropped" also
 * checks the counters.
 */
const droppedForMs = 250;

function ip(...words: string[]): void {
  execFileSync('ip', words, { stdio: ['ignore', 'ignore', 'inherit'] });
}

/** Builds the topology around the calling process's (empty) network namespace. */
export function buildTopology(): void {
  ip('link', 'set', 'lo', 'up');
  for (const [namespace, here, there] of [
    ['attacker', 'front0', 'outer0'],
    ['inside', 'back0', 'inner0'],
  ] as const) {
    ip('netns', 'add', namespace);
    ip('link', 'add', here, 'type', 'veth', 'peer', 'name', there, 'netns', namespace);
    ip('link', 'set', here, 'up');
    ip('-n', namespace, 'link', 'set', 'lo', 'up');
    ip('-n', namespace, 'link', 'set', there, 'up');
  }
  ip('addr', 'add', `${hostV4}/24`, 'dev', 'front0');
  ip('addr', 'add', `${hostV6}/48`, 'dev', 'front0', 'nodad');
  ip('addr', 'add', '198.51.100.1/24', 'dev', 'back0');
  for (const address of attackerV4) ip('-n', 'attacker', 'addr', 'add', `${address}/24`, 'dev', 'outer0');
  for (const address of attackerV6) ip('-n', 'attacker', 'addr', 'add', `${address}/48`, 'dev', 'outer0', 'nodad');
  ip('-n', 'attacker', 'route', 'add', '198.51.100.0/24', 'via', hostV4);
  ip('-n', 'inside', 'addr', 'add', `${insideV4}/24`, 'dev', 'inner0');
  ip('-n', 'inside', 'route', 'add', 'default', 'via', '198.51.100.1');
  execFileSync('sysctl', ['-q', '-w', 'net.ipv4.ip_forward=1'], { stdio: 'inherit' });
}

/**
 * Listens on a port of the calling namespace, both families; every connection is closed at once.
 */
export async function listen(port: number): Promise<void> {
  const server = createServer((socket) => socket.on('error', () => undefined).end()).listen(port, '::');
  await once(server, 'listening');
}

/** Listens on a port of the namespace `inside`, until the scenario ends. */
export async function listenInside(port: number): Promise<void> {
  const code = `require('node:net').createServer((s) => s.on('error', () => {}).end()).listen(${port}, '::', () => console.log('up'))`;
  const child = spawn('ip', ['netns', 'exec', 'inside', process.execPath, '-e', code], {
    stdio: ['pipe', 'pipe', 'inherit'],
  });
  process.once('exit', () => child.kill());
  await once(child.stdout!, 'data');
}

const proberCode = `
  const net = require('node:net');
  require('node:readline').createInterface({ input: process.stdin }).on('line', (line) => {
    const { id, from, to, port, withinMs } = JSON.parse(line);
    const socket = net.connect({ host: to, port, localAddress: from });
    let done = false;
    const finish = (answer) => { if (done) return; done = true; socket.destroy(); console.log(JSON.stringify({ id, answer })); };
    socket.once('connect', () => finish('connected'));
    socket.once('error', (error) => finish(error.code));
    setTimeout(() => finish('silence'), withinMs);
  }).on('close', () => process.exit());
`;

/**
 * A process in the attacker's namespace, or in another one, that tries TCP connections from a
 * chosen source address.
 */
export class Prober {
  readonly #child: ChildProcess;
  readonly #waiting = new Map<number, (answer: string) => void>();
  #id = 0;

  constructor(namespace = 'attacker') {
    this.#child = spawn('ip', ['netns', 'exec', namespace, process.execPath, '-e', proberCode], {
      stdio: ['pipe', 'pipe', 'inherit'],
    });
    process.once('exit', () => this.#child.kill());
    createInterface({ input: this.#child.stdout! }).on('line', (line) => {
      const { id, answer } = JSON.parse(line);
      this.#waiting.get(id)?.(answer);
      this.#waiting.delete(id);
    });
  }

  #try(from: string, to: string, port: number, withinMs: number): Promise<string> {
    const id = ++this.#id;
    this.#child.stdin!.write(`${JSON.stringify({ id, from, to, port, withinMs })}\n`);
    return new Promise((resolve) => this.#waiting.set(id, resolve));
  }

  /** Resolves when `to`:`port` answers `from`; rejects when it does not. */
  async answered(from: string, to: string, port: number): Promise<void> {
    const answer = await this.#try(from, to, port, answeredWithinMs);
    if (answer !== 'connected') throw new Error(`${from} → ${to} port ${port}: ${answer}, expected an answer`);
  }

  /** Resolves when `from` is rejected at once; fails otherwise. */
  async refused(from: string, to: string, port: number): Promise<void> {
    const answer = await this.#try(from, to, port, answeredWithinMs);
    if (answer !== 'ECONNREFUSED') throw new Error(`${from} → ${to} port ${port}: ${answer}, expected a refusal`);
  }

  /** Resolves when nothing answers `from`; rejects when something does. */
  async dropped(from: string, to: string, port: number): Promise<void> {
    const answer = await this.#try(from, to, port, droppedForMs);
    if (answer !== 'silence') throw new Error(`${from} → ${to} port ${port}: ${answer}, expected silence`);
  }
}

/** What `nft -j` says: a view of the kernel that does not use our code. */
export function nftJson(...words: string[]): { nftables: Record<string, unknown>[] } {
  return JSON.parse(
    execFileSync('nft', ['-j', ...words], {
      encoding: 'utf8',
      maxBuffer: 64 * 1024 * 1024,
      stdio: ['ignore', 'pipe', 'pipe'],
    }),
  );
}

/** Runs an nft command as a foreign operator would. */
export function nft(...words: string[]): void {
  execFileSync('nft', words, { stdio: ['ignore', 'ignore', 'inherit'] });
}

/** The elements `nft` sees in a set: address → remaining seconds (Infinity = no timeout). */
export function nftElements(table: string, set: string): Map<string, number> {
  const found = nftJson('list', 'set', 'inet', table, set).nftables.find((each) => 'set' in each);
  const elements = (found as { set: { elem?: unknown[] } }).set.elem ?? [];
  return new Map(
    elements.map((each) => {
      if (typeof each === 'string') return [each, Infinity];
      const { val, expires } = (each as { elem: { val: string; expires?: number } }).elem;
      return [val, expires ?? Infinity];
    }),
  );
}

/** Packets that the drop rules of a chain have counted, as `nft` sees them. */
export function droppedPackets(table: string, chain: string): number {
  let packets = 0;
  for (const { rule } of nftJson('list', 'chain', 'inet', table, chain).nftables as { rule?: { expr: object[] } }[]) {
    for (const each of rule?.expr ?? [])
      if ('counter' in each) packets += (each.counter as { packets: number }).packets;
  }
  return packets;
}

/**
 * The topology, listeners on `ports` of the host, and an attacker. All of its addresses get answers
 * on the first port.
 */
export async function network(...ports: [number, ...number[]]): Promise<Prober> {
  buildTopology();
  await Promise.all(ports.map(listen));
  const prober = new Prober();
  // Silence proves nothing unless an answer came before (IPv6 needs a while on a new link).
  for (const from of attackerV4) await prober.answered(from, hostV4, ports[0]);
  for (const from of attackerV6) await prober.answered(from, hostV6, ports[0]);
  return prober;
}
