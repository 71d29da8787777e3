/** Decision → acknowledgement through the backend classes, in a private network namespace: single bans, and batches. */
import { Bench } from 'tinybench';
import { quantile } from '../scripts/lab/figures.ts';
import { IpsetBackend } from '../src/backends/ipset.ts';
import { NftablesBackend } from '../src/backends/nftables.ts';
import { parseCidr } from '../src/config/address.ts';
import type { Backend, Change, JailScaffold } from '../src/types.ts';
import { type Benchmark, type Context, differences } from './benchmark.ts';
import { sourceBan } from './workload.ts';

const jail: JailScaffold = {
  name: 'sshd',
  ipv6Prefix: 64,
  ports: [{ first: 22, last: 22 }],
  protocols: ['tcp'],
  hooks: ['input'],
};

function banOf(number: number): Change {
  const address = parseCidr(sourceBan(number), 'refuse');
  if (typeof address === 'string') throw new Error(`${sourceBan(number)}: ${address}`);
  return { verb: 'ban', ban: { jail: jail.name, address, timeoutMs: 3_600_000 } };
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
    const held = (await backend.list()).length;
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

export const ban: Benchmark = {
  name: 'ban',
  says: 'a decision to its acknowledgement by the kernel, single and in batches: nftables, ipset',
  needsNetwork: true,
  options: {
    singles: { says: 'single bans', value: 2000 },
    batch: { says: 'bans of a batch', value: 1000 },
    batches: { says: 'batches', value: 50 },
  },
  async run(context) {
    await measure(context, new NftablesBackend({ table: 'fail2zig' }));
    await measure(context, new IpsetBackend());
  },
};
