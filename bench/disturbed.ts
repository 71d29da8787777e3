/**
 * Bans while hostile clients use the daemon's listeners: like `latency`, first quiet, then under
 * slowloris, hostile frames and clients that never read, and quiet again at the end, since a busy
 * machine has a larger effect than these. Each run has its own daemon. The peak of its memory is
 * compared with its ceiling; the change of p99 is a figure.
 */
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { Worker } from 'node:worker_threads';
import { BanWatch } from '../scripts/lab/ban-watch.ts';
import { Daemon } from '../scripts/lab/daemon.ts';
import { quantile } from '../scripts/lab/figures.ts';
import type { Benchmark, Context } from './benchmark.ts';
import { interleaved, warmUpBans } from './latency.ts';
import { Storm, stormSettings } from './storm.ts';
import { maxretry, sourceBan } from './workload.ts';

const kinds = ['quiet', 'slowloris', 'frames', 'deaf', 'quiet-again'] as const;

/** What it has done so far. */
async function ask(worker: Worker | undefined): Promise<number> {
  if (worker === undefined) return 0;
  const answer = once(worker, 'message');
  worker.postMessage('how much?');
  return (await answer)[0] as number;
}

/** VmHWM of a process, bytes. */
function peakBytes(pid: number): number {
  const [, kilobytes] = /^VmHWM:\s+(\d+)/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))!;
  return Number(kilobytes) * 1024;
}

/** One run; returns p99, ms. */
async function measure(context: Context, kind: (typeof kinds)[number], place: number, quiet: number): Promise<number> {
  const { directory } = context;
  const [bans, perSecond] = [context.number('bans'), context.number('rate')];
  const path = join(directory, `${kind}.log`);
  // Bans of earlier runs stay in the kernel, so each run has other sources.
  const first = place * 2 * (bans + warmUpBans);
  const storm = new Storm(path, new Set(Array.from({ length: first }, (_, source) => sourceBan(source))));
  const watch = new BanWatch('fail2zig', 64, (ban, at) => storm.land(ban, at));
  const daemon = await Daemon.start(directory, stormSettings(path));
  const worker = kind.startsWith('quiet')
    ? undefined
    : new Worker(join(import.meta.dirname, 'hostile.ts'), { workerData: { kind, socket: daemon.socket } });
  try {
    if (worker) await once(worker, 'message');
    const attempts = [...interleaved(first, bans + warmUpBans)];
    await storm.write(attempts.splice(0, warmUpBans * maxretry), perSecond);
    await pause(200);
    storm.latencies.length = 0;
    await storm.write(attempts, perSecond);
    await storm.settle();
    const done = await ask(worker);
    await worker?.terminate();
    const { latencies } = storm;
    const p99 = quantile(latencies, 0.99);
    const peak = peakBytes(daemon.pid);
    const { ceilingBytes } = (await daemon.status()).memory;
    context.report({
      workload: kind,
      counts: { bans: latencies.length, linesPerSecond: perSecond, hostile: done },
      figures: [
        { name: 'line-to-kernel', unit: 'ms', values: latencies },
        { name: 'p99', unit: 'ms', values: [p99] },
        { name: 'p99-against-quiet', unit: 'x', values: [quiet === 0 ? 1 : p99 / quiet] },
        { name: 'memory-peak', unit: 'MiB', values: [peak / 1024 ** 2] },
      ],
      problems: [
        ...storm.problems(),
        ...(watch.lost ? ['notifications were lost'] : []),
        ...(peak > ceilingBytes ? [`the peak of memory, ${peak} bytes, is over the ceiling of ${ceilingBytes}`] : []),
      ],
    });
    return p99;
  } finally {
    await worker?.terminate();
    await daemon.stop();
    await watch.stop();
  }
}

export const disturbed: Benchmark = {
  name: 'disturbed',
  says: 'the same while listeners are held: 1,000 connections that say nothing, hostile frames, clients that never read',
  needsNetwork: true,
  options: {
    bans: { says: 'bans of each run', value: 2000 },
    rate: { says: `log lines a second, ${maxretry} to a ban`, value: 1000 },
  },
  async run(context) {
    let quiet = 0;
    for (const [place, kind] of kinds.entries()) {
      if (!context.wanted(kind)) continue;
      const p99 = await measure(context, kind, place, quiet);
      if (kind === 'quiet') quiet = p99;
    }
  },
};
