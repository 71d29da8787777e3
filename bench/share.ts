/**
 * Quiet logs beside a loud one: how long a ban of a quiet log takes into the kernel while each line
 * of the loud one decides another ban, and while none does but there are many more. The real daemon
 * in a private network namespace.
 */
import { once } from 'node:events';
import { closeSync, openSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { monitorEventLoopDelay } from 'node:perf_hooks';
import { setTimeout as pause } from 'node:timers/promises';
import { isMainThread, parentPort, Worker, workerData } from 'node:worker_threads';
import { BanWatch } from '../scripts/lab/ban-watch.ts';
import { Daemon } from '../scripts/lab/daemon.ts';
import { quantile } from '../scripts/lab/figures.ts';
import { until } from '../test/support/until.ts';
import type { Benchmark, Context } from './benchmark.ts';
import { randomFrom, services } from './workload.ts';

const tickMs = 10;
const gapMs = 40;
const warmUp = 20;
/** A writer that is slower than asked by more than this measures something else. */
const rateMin = 0.95;
/** What a quiet log is promised beside lines that decide nothing: its bans at p99, ms. */
const promisedMs = 20;
/** Harmless lines that are written again and again. */
const blockLines = 100;

const line = (address: string): string =>
  `${new Date().toISOString()} web1 sshd[${process.pid}]: Failed password for root from ${address} port 4022 ssh2\n`;

const settings = (loud: string, quiet: string[]): string => `[firewall]
backend = "nftables"
[jails.loud]
filter = "sshd"
logpath = "${loud}"
maxretry = 1
bantime = "1h"
[jails.quiet]
filter = "sshd"
logpath = ${JSON.stringify(quiet)}
maxretry = 1
bantime = "1h"
`;

interface Loud {
  loud: string;
  perSecond: number;
  /** Whether each line decides a ban, else none does. */
  decides: boolean;
  /** How many were written. */
  written: Int32Array;
}

async function measure(context: Context, workload: string, files: number, given: Omit<Loud, 'loud' | 'written'>) {
  if (!context.wanted(workload)) return;
  const bans = context.number('quietbans');
  const path = (name: string) => join(context.directory, `${given.decides ? 'deciding' : 'harmless'}-${name}.log`);
  const loud = path('loud');
  closeSync(openSync(loud, 'a', 0o640));
  const quiet = Array.from({ length: files }, (_, index) => path(`quiet${index}`));
  const descriptors = quiet.map((each) => openSync(each, 'a', 0o640));
  const writtenAt = new Map<string, number>();
  const latencies: number[] = [];
  let others = 0;
  const watch = new BanWatch('fail2zig', 64, (ban, at) => {
    const since = writtenAt.get(ban);
    if (since === undefined) others++;
    else latencies.push(at - since);
  });
  const daemon = await Daemon.start(context.directory, settings(loud, quiet));
  const written = new Int32Array(new SharedArrayBuffer(4));
  const stalls = monitorEventLoopDelay({ resolution: 1 });
  const worker = new Worker(import.meta.filename, { workerData: { ...given, loud, written } satisfies Loud });
  try {
    await once(worker, 'message');
    let begun = 0;
    let cpu = 0;
    let before = 0;
    for (let ban = 0; ban < warmUp + bans; ban++) {
      if (ban === warmUp) {
        await until(() => latencies.length === warmUp, { what: 'the first bans', withinMs: 30_000 });
        latencies.length = 0;
        others = 0;
        begun = performance.now();
        cpu = daemon.cpuSeconds();
        before = Atomics.load(written, 0);
        stalls.enable();
      }
      // Bans of the workload before stay in the kernel: other sources.
      const address = `198.${given.decides ? 18 : 19}.${ban >> 8}.${ban & 255}`;
      writtenAt.set(address, performance.now());
      writeSync(descriptors[ban % files]!, line(address));
      await pause(gapMs);
    }
    const seconds = (performance.now() - begun) / 1000;
    const loudBans = others;
    const cpuSeconds = daemon.cpuSeconds() - cpu;
    const rate = (Atomics.load(written, 0) - before) / seconds;
    await until(() => latencies.length === bans, { what: 'the last ban', withinMs: 30_000 }).catch(() => undefined);
    stalls.disable();
    const p99 = quantile(latencies, 0.99);
    context.report({
      workload,
      counts: { bans: latencies.length },
      figures: [
        { name: 'line-to-kernel', unit: 'ms', values: latencies },
        { name: 'p99', unit: 'ms', values: [p99] },
        { name: 'worst', unit: 'ms', values: [quantile(latencies, 1)] },
        { name: 'daemon-cpu', unit: '%', values: [(100 * cpuSeconds) / seconds] },
        { name: 'loud-lines', unit: '/s', values: [Math.round(rate)] },
        { name: 'driver-stall', unit: 'ms', values: [stalls.max / 1e6] },
        { name: 'loud-bans', unit: '/s', values: [Math.round(loudBans / seconds)] },
      ],
      problems: [
        ...(latencies.length === bans ? [] : [`${latencies.length} of ${bans} bans came`]),
        ...(rate < rateMin * given.perSecond ? [`only ${Math.round(rate)} lines/s were written`] : []),
        ...(given.decides || p99 <= promisedMs ? [] : [`p99 is over the ${promisedMs} ms that are promised`]),
      ],
    });
  } finally {
    await worker.terminate();
    for (const descriptor of descriptors) closeSync(descriptor);
    await daemon.stop();
    await watch.stop();
  }
}

export const share: Benchmark = {
  name: 'share',
  says: "a quiet log's bans beside a loud log, each of whose lines decides another; 20 quiet logs beside more lines that decide none",
  needsNetwork: true,
  options: {
    quietbans: { says: 'bans of the quiet logs', value: 200 },
    decisions: { says: 'decisions a second of the loud log', value: 100_000 },
    loudlines: { says: 'lines a second of the loud log that decides none', value: 300_000 },
    quietlogs: { says: 'quiet logs beside that', value: 20 },
  },
  async run(context) {
    const [decisions, lines] = [context.number('decisions'), context.number('loudlines')];
    const files = context.number('quietlogs');
    await measure(context, `decisions=${decisions}/s`, 1, { perSecond: decisions, decides: true });
    await measure(context, `lines=${lines}/s quiet=${files}`, files, { perSecond: lines, decides: false });
  },
};

function beLoud({ loud, perSecond, decides, written }: Loud): void {
  const file = openSync(loud, 'a');
  const random = randomFrom(3);
  const harmless = () => `${services.sshd.harmless((count) => Math.floor(random() * count), 0)}\n`;
  const block = Array.from({ length: blockLines }, harmless).join('');
  const step = decides ? 1 : blockLines;
  let source = 0;
  let due = 0;
  let last = performance.now();
  setInterval(() => {
    const now = performance.now();
    due = Math.min(due + ((now - last) * perSecond) / 1000, perSecond / 10);
    last = now;
    let text = '';
    let count = 0;
    for (; due >= step; due -= step, count += step) {
      // Each line another /64.
      text += decides ? line(`2001:db8:${(source >> 16).toString(16)}:${(source++ & 0xffff).toString(16)}::7`) : block;
    }
    writeSync(file, text);
    Atomics.add(written, 0, count);
  }, tickMs);
  parentPort!.postMessage('loud');
}

if (!isMainThread && (workerData as { loud?: string } | null)?.loud !== undefined) beLoud(workerData);
