/**
 * A quiet log beside a loud one: how long a ban of the quiet log takes into the kernel while each
 * line of the loud one decides another ban. The real daemon in a private network namespace.
 */
import { once } from 'node:events';
import { closeSync, openSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { isMainThread, parentPort, Worker, workerData } from 'node:worker_threads';
import { BanWatch } from '../scripts/lab/ban-watch.ts';
import { Daemon } from '../scripts/lab/daemon.ts';
import { quantile } from '../scripts/lab/figures.ts';
import { until } from '../test/support/until.ts';
import type { Benchmark } from './benchmark.ts';

const tickMs = 10;
const gapMs = 40;
const warmUp = 20;

const line = (address: string): string =>
  `${new Date().toISOString()} web1 sshd[${process.pid}]: Failed password for root from ${address} port 4022 ssh2\n`;

const settings = (loud: string, quiet: string): string => `[firewall]
backend = "nftables"
[jails.loud]
filter = "sshd"
logpath = "${loud}"
maxretry = 1
bantime = "1h"
[jails.quiet]
filter = "sshd"
logpath = "${quiet}"
maxretry = 1
bantime = "1h"
`;

export const share: Benchmark = {
  name: 'share',
  says: "a quiet log's bans beside a loud log, each of whose lines decides another",
  needsNetwork: true,
  options: {
    quietbans: { says: 'bans of the quiet log', value: 200 },
    decisions: { says: 'decisions a second of the loud log', value: 100_000 },
  },
  async run(context) {
    const [bans, perSecond] = [context.number('quietbans'), context.number('decisions')];
    const [loud, quiet] = ['loud.log', 'quiet.log'].map((name) => join(context.directory, name)) as [string, string];
    closeSync(openSync(loud, 'a', 0o640));
    const file = openSync(quiet, 'a', 0o640);
    const writtenAt = new Map<string, number>();
    const latencies: number[] = [];
    let others = 0;
    const watch = new BanWatch('fail2zig', 64, (ban, at) => {
      const since = writtenAt.get(ban);
      if (since === undefined) others++;
      else latencies.push(at - since);
    });
    const daemon = await Daemon.start(context.directory, settings(loud, quiet));
    const worker = new Worker(import.meta.filename, { workerData: { loud, perSecond } });
    try {
      await once(worker, 'message');
      let begun = 0;
      let cpu = 0;
      for (let ban = 0; ban < warmUp + bans; ban++) {
        if (ban === warmUp) {
          await until(() => latencies.length === warmUp, { what: 'the first bans', withinMs: 30_000 });
          latencies.length = 0;
          others = 0;
          begun = performance.now();
          cpu = daemon.cpuSeconds();
        }
        const address = `198.18.${ban >> 8}.${ban & 255}`;
        writtenAt.set(address, performance.now());
        writeSync(file, line(address));
        await pause(gapMs);
      }
      const seconds = (performance.now() - begun) / 1000;
      const loudBans = others;
      const cpuSeconds = daemon.cpuSeconds() - cpu;
      await until(() => latencies.length === bans, { what: 'the last ban', withinMs: 30_000 }).catch(() => undefined);
      context.report({
        workload: `decisions=${perSecond}/s`,
        counts: { bans: latencies.length },
        figures: [
          { name: 'line-to-kernel', unit: 'ms', values: latencies },
          { name: 'p99', unit: 'ms', values: [quantile(latencies, 0.99)] },
          { name: 'worst', unit: 'ms', values: [quantile(latencies, 1)] },
          { name: 'daemon-cpu', unit: '%', values: [(100 * cpuSeconds) / seconds] },
          { name: 'loud-bans', unit: '/s', values: [Math.round(loudBans / seconds)] },
        ],
        problems: latencies.length === bans ? [] : [`${latencies.length} of ${bans} bans came`],
      });
    } finally {
      await worker.terminate();
      closeSync(file);
      await daemon.stop();
      await watch.stop();
    }
  },
};

/** The loud log: each line another /64. */
function beLoud({ loud, perSecond }: { loud: string; perSecond: number }): void {
  const file = openSync(loud, 'a');
  let source = 0;
  let due = 0;
  let last = performance.now();
  setInterval(() => {
    const now = performance.now();
    due = Math.min(due + ((now - last) * perSecond) / 1000, perSecond / 10);
    last = now;
    let text = '';
    for (; due >= 1; due--, source++)
      text += line(`2001:db8:${(source >> 16).toString(16)}:${(source & 0xffff).toString(16)}::7`);
    writeSync(file, text);
  }, tickMs);
  parentPort!.postMessage('loud');
}

if (!isMainThread && (workerData as { loud?: string } | null)?.loud !== undefined) beLoud(workerData);
