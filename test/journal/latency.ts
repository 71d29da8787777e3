/** From a line that is logged through journald to the ban in the kernel, with the real daemon. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { setTimeout as pause } from 'node:timers/promises';
import { BanWatch } from '../../scripts/lab/ban-watch.ts';
import { Daemon } from '../../scripts/lab/daemon.ts';
import { quantile } from '../../scripts/lab/figures.ts';
import { temporaryDirectory } from '../support/control.ts';
import { until } from '../support/until.ts';
import { Journald } from './journald.ts';

const bans = 300;
const warmUp = 20;
const settings = `[firewall]
backend = "nftables"
[journal]
directories = ["/var/log/journal"]
[metrics]
enabled = false
[jails.sshd]
source = "journal"
maxretry = 1
bantime = "1h"
`;

/** Runs in a network and a mount namespace of its own; returns what was measured. */
export async function latency(): Promise<string> {
  spawnSync('ip', ['link', 'set', 'lo', 'up']);
  const directory = temporaryDirectory();
  const journald = await Journald.start();
  const socket = await Journald.lines('sshd', 'ssh.service');
  const writtenAt = new Map<string, number>();
  const latencies = new Map<string, number>();
  const watch = new BanWatch('fail2zig', 64, (ban, at) => {
    const since = writtenAt.get(ban);
    if (since !== undefined && !latencies.has(ban)) latencies.set(ban, at - since);
  });
  const daemon = await Daemon.start(directory.path, settings);
  try {
    for (let n = 0; n < bans + warmUp; n++) {
      const address = `198.18.${n >> 8}.${n & 255}`;
      writtenAt.set(address, performance.now());
      socket.write(`Failed password for root from ${address} port 40 ssh2\n`);
      // Not in step with our checks: some tens of milliseconds apart.
      await pause(23 + (n % 17));
    }
    await until(() => latencies.size === bans + warmUp, { what: 'every ban', withinMs: 20_000 });
    const values = [...latencies.values()].slice(warmUp);
    assert.equal(values.length, bans);
    const [median, late, worst] = [0.5, 0.99, 1].map((part) => quantile(values, part).toFixed(1));
    return `line logged to ban in the kernel, ${bans} times: median ${median} ms, p99 ${late} ms, worst ${worst} ms`;
  } finally {
    socket.end();
    await daemon.stop();
    await watch.stop();
    await journald.stop();
    directory.remove();
  }
}
