/**
 * From the line in the log to the ban in the kernel: the real daemon in a private network
 * namespace; this process writes the line and sees the ban (nf_tables' own notification), with one
 * clock. Once quiet, once while the daemon parses a second, busy log and hostile scrapers hold the
 * metrics page. This process looks at the kernel all the time, and reports how long it did not
 * (driver-stall): a measurement must know its own delays.
 */
import { once } from 'node:events';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { Worker } from 'node:worker_threads';
import { BanWatch } from '../scripts/lab/ban-watch.ts';
import { Daemon } from '../scripts/lab/daemon.ts';
import { quantile } from '../scripts/lab/figures.ts';
import type { Benchmark, Context } from './benchmark.ts';
import { type Attempt, Storm, stormSettings } from './storm.ts';
import { maxretry, sourceAddress, sourceBan } from './workload.ts';

/** Written and checked but not timed: the first bans also make V8 compile the daemon's code. */
export const warmUpBans = 50;

/**
 * Every source makes its attempts close together, and each line decides about another one, so bans
 * come at an even rate.
 */
export function* interleaved(first: number, sources: number): Generator<Attempt> {
  for (let turn = 0; turn < sources + maxretry - 1; turn++) {
    for (let back = 0; back < maxretry; back++) {
      const source = turn - back;
      if (source >= 0 && source < sources) {
        yield { address: sourceAddress(first + source), ban: sourceBan(first + source) };
      }
    }
  }
}

async function measure(context: Context, busy: boolean): Promise<void> {
  const directory = context.directory;
  const [bans, perSecond] = [context.number('bans'), context.number('rate')];
  const path = join(directory, busy ? 'busy.log' : 'quiet.log');
  const noise = join(directory, 'noise.log');
  // The bans of the first run stay in the kernel and the second daemon adopts them, so it gets
  // other sources.
  const first = busy ? 2 * bans : 0;
  const held = new Set(Array.from({ length: first }, (_, source) => sourceBan(source)));
  const watch = new BanWatch('fail2zig', 64, (ban, at) => storm.land(ban, at), true);
  const storm = new Storm(path, held, () => watch.look());
  const settings = stormSettings(path).replace(`"${path}"`, `["${path}", "${noise}"]`);
  const daemon = await Daemon.start(directory, settings);
  const disturbance = busy
    ? new Worker(join(import.meta.dirname, 'disturbance.ts'), {
        workerData: { path: noise, linesPerSecond: context.number('noise') },
      })
    : undefined;
  try {
    if (disturbance) await once(disturbance, 'message');
    const attempts = [...interleaved(first, bans + warmUpBans)];
    await storm.write(attempts.splice(0, warmUpBans * maxretry), perSecond);
    await storm.settle();
    await pause(200);
    storm.latencies.length = 0;
    storm.stallMs = 0;
    const cpu = daemon.cpuSeconds();
    await storm.write(attempts, perSecond);
    await storm.settle();
    const cpuSeconds = daemon.cpuSeconds() - cpu;
    const { latencies } = storm;
    context.report({
      workload: busy ? `busy noise=${context.number('noise')}/s scraped` : 'quiet',
      counts: { bans: latencies.length, linesPerSecond: perSecond },
      figures: [
        { name: 'line-to-kernel', unit: 'ms', values: latencies },
        { name: 'p99', unit: 'ms', values: [quantile(latencies, 0.99)] },
        { name: 'p99.9', unit: 'ms', values: [quantile(latencies, 0.999)] },
        { name: 'worst', unit: 'ms', values: [quantile(latencies, 1)] },
        { name: 'daemon-cpu', unit: 's', values: [cpuSeconds] },
        { name: 'driver-stall', unit: 'ms', values: [storm.stallMs] },
      ],
      problems: [...storm.problems(), ...(watch.lost ? ['notifications were lost'] : [])],
    });
  } finally {
    await disturbance?.terminate();
    await daemon.stop();
    await watch.stop();
  }
}

export const latency: Benchmark = {
  name: 'latency',
  says: 'line written to ban in the kernel, with the real daemon in a private namespace: quiet, then busy',
  needsNetwork: true,
  options: {
    bans: { says: 'bans', value: 2000 },
    rate: { says: `log lines a second, ${maxretry} to a ban`, value: 1000 },
    noise: { says: 'lines a second in the second log of the busy run', value: 100_000 },
  },
  async run(context) {
    await measure(context, false);
    await measure(context, true);
  },
};
