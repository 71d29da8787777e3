/**
 * Decision → ACK through the backend classes, in a private network namespace: single bans, and
 * batches. If fail2ban is available, also its own actions, run as it runs them: a program or two
 * for each ban.
 */
import { execFileSync } from 'node:child_process';
import { join } from 'node:path';
import { Bench } from 'tinybench';
import { fail2banMissing, runWithFail2ban } from '../scripts/lab/fail2ban.ts';
import { quantile } from '../scripts/lab/figures.ts';
import { NftablesBackend } from '../src/backends/nftables/nftables.ts';
import { IpsetBackend } from '../src/backends/xtables/ipset.ts';
import { parseCidr } from '../src/text/address.ts';
import type { Backend, Change, JailScaffold } from '../src/types.ts';
import { type Benchmark, type Context, differences } from './benchmark.ts';
import { sourceAddress, sourceBan } from './workload.ts';

const jail: JailScaffold = {
  name: 'sshd',
  ipv6Prefix: 64,
  ports: [{ first: 22, last: 22 }],
  protocols: ['tcp'],
  hooks: ['input'],
};

const looksMax = 5;

function banOf(number: number): Change {
  const address = parseCidr(sourceBan(number), 'refuse');
  if (typeof address === 'string') throw new Error(`${sourceBan(number)}: ${address}`);
  return { verb: 'ban', ban: { jail: jail.name, address, timeoutMs: 3_600_000 } };
}

/**
 * How many bans the kernel lists. A dump misses some while the kernel enlarges a hash table, so it
 * is repeated while some are missing.
 */
async function countHeld(backend: Backend, wanted: number): Promise<number> {
  let held = 0;
  for (let look = 0; look < looksMax && held < wanted; look++) held = await backend.each(() => undefined);
  return held;
}

async function measure(context: Context, backend: Backend): Promise<void> {
  const singles = context.number('singles');
  const batch = context.number('batch');
  const batches = context.number('batches');
  await backend.install([jail]);
  try {
    let next = 0;
    const bench = new Bench({
      iterations: singles,
      time: 0,
      retainSamples: true,
      warmup: true,
      warmupIterations: 100,
      warmupTime: 0,
    });
    bench.add('single', () => backend.apply([banOf(next++)]));
    const [task] = await bench.run();
    const result = task!.result;
    if (!('latency' in result) || !result.latency.samples) throw new Error(`no result: ${result.state}`);
    const latencies = [...result.latency.samples];

    const rates: number[] = [];
    for (let round = 0; round < batches; round++) {
      const changes = Array.from({ length: batch }, () => banOf(next++));
      const started = performance.now();
      await backend.apply(changes);
      rates.push((batch / (performance.now() - started)) * 1000);
    }
    const held = await countHeld(backend, next);
    context.report({
      workload: backend.name,
      counts: { singles: latencies.length, batches, batch, held },
      figures: [
        { name: 'decision-to-ack', unit: 'µs', values: latencies.map((value) => value * 1000) },
        { name: 'p99', unit: 'µs', values: [quantile(latencies, 0.99) * 1000] },
        { name: 'batches', unit: 'bans/s', values: rates },
      ],
      problems: differences({ held }, { held: next }),
    });
  } finally {
    await backend.remove();
    backend.close();
  }
}

/** fail2ban's actions, and how other programs see what they banned. */
const peers: Record<string, () => number> = {
  'iptables-multiport': () => rejected('iptables-save') + rejected('ip6tables-save'),
  'nftables-multiport': () => elements('addr-set-sshd') + elements('addr6-set-sshd'),
};

const read = (program: string, ...words: string[]) =>
  execFileSync(program, words, { encoding: 'utf8', maxBuffer: 1 << 28, stdio: ['ignore', 'pipe', 'ignore'] });
const rejected = (program: string) =>
  read(program)
    .split('\n')
    .filter((line) => / -s .*-j REJECT/.test(line)).length;

function elements(set: string): number {
  const { nftables } = JSON.parse(read('nft', '-j', 'list', 'set', 'inet', 'f2b-table', set));
  return nftables.flatMap((each: { set?: { elem?: unknown[] } }) => each.set?.elem ?? []).length;
}

function measureFail2ban(context: Context, action: string): void {
  const count = context.number('peer');
  const addresses = Array.from({ length: count }, (_, number) => sourceAddress(number));
  const program = join(import.meta.dirname, 'fail2ban-actions.py');
  const { version, milliseconds } = runWithFail2ban(program, [action, ...addresses]) as {
    version: string;
    milliseconds: number[];
  };
  const held = peers[action]!();
  context.report({
    workload: `fail2ban/${action}`,
    counts: { version, singles: milliseconds.length, held },
    figures: [
      { name: 'decision-to-ack', unit: 'µs', values: milliseconds.map((value) => value * 1000) },
      { name: 'singles', unit: 'bans/s', values: milliseconds.map((value) => 1000 / value) },
    ],
    problems: differences({ held, singles: milliseconds.length }, { held: count, singles: count }),
  });
}

export const ban: Benchmark = {
  name: 'ban',
  says: 'a decision to its acknowledgement by the kernel, single and in batches: nftables, ipset; beside fail2ban',
  needsNetwork: true,
  options: {
    singles: { says: 'single bans', value: 2000 },
    batch: { says: 'bans of a batch', value: 1000 },
    batches: { says: 'batches', value: 50 },
    peer: { says: 'bans by each action of fail2ban', value: 200 },
  },
  async run(context) {
    if (context.wanted('nftables')) await measure(context, new NftablesBackend({ table: 'fail2zig' }));
    if (context.wanted('ipset')) await measure(context, new IpsetBackend());
    const missing = fail2banMissing();
    if (missing !== undefined) process.stdout.write(`${missing}\n`);
    for (const action of missing === undefined ? Object.keys(peers) : [])
      if (context.wanted(`fail2ban/${action}`)) measureFail2ban(context, action);
  },
};
