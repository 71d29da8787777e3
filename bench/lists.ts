/**
 * A list of addresses is brought into the kernel while sources are banned: a million single
 * addresses, then a hundred thousand prefixes. The real daemon in a private network namespace; the
 * list is in force, is emptied and comes again as a new file. From then until the daemon says that
 * it is in force, every ban's latency is measured. Afterwards the elements of the kernel's sets are
 * counted.
 */
import { mkdirSync, renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { BanWatch } from '../scripts/lab/ban-watch.ts';
import { Daemon } from '../scripts/lab/daemon.ts';
import { quantile } from '../scripts/lab/figures.ts';
import { NftablesBackend } from '../src/backends/nftables/nftables.ts';
import type { Benchmark, Context } from './benchmark.ts';
import { interleaved, warmUpBans } from './latency.ts';
import { Storm, stormSettings } from './storm.ts';
import { maxretry } from './workload.ts';

/** A list must be in force within this time, ms. */
const inForceMs = 90_000;
/** Bans between two checks whether the list is in force. */
const bansAtOnce = 20;
/** Targets: seconds until it is in force, and p99 of bans meanwhile, ms. */
const wanted = { singles: { seconds: 10, p99: 5 }, prefixes: { seconds: Number.POSITIVE_INFINITY, p99: 20 } } as const;
type Kind = keyof typeof wanted;

/** Entry `number` of a list, none of which is a source of the storm. */
function entryOf(kind: Kind, number: number): string {
  const [high, low] = [20 + (number >> 16), number & 0xffff];
  if (kind === 'singles') return `${high}.7.${low >> 8}.${low & 255}`;
  // Nine lengths, one more than the kernel gets sets.
  const prefix = 21 + (number % 12);
  return `${20 + (number >> 12)}.${(number >> 4) & 255}.${(number & 15) << 4}.0/${Math.max(24, prefix)}`;
}

/** The elements that the kernel's sets of lists hold. */
async function countHeld(lengths: readonly number[]): Promise<number> {
  const backend = new NftablesBackend({ table: 'fail2zig' });
  let held = 0;
  try {
    for (const prefix of lengths) {
      await backend.listed.each({ jail: 'lists', family: 4, prefix }, () => held++).catch(() => {});
    }
  } finally {
    backend.close();
  }
  return held;
}

async function measure(context: Context, kind: Kind, entries: number, first: number): Promise<number> {
  const directory = join(context.directory, kind);
  const folder = join(directory, 'lists');
  mkdirSync(folder, { recursive: true });
  const [log, file] = [join(directory, 'auth.log'), join(folder, 'list.txt')];
  const lines = Array.from({ length: entries }, (_, number) => `${entryOf(kind, number)}\n`);
  const put = (text: string): void => {
    writeFileSync(`${file}.new`, text, { mode: 0o600 });
    renameSync(`${file}.new`, file);
  };
  put(lines.join(''));
  const storm = new Storm(log);
  const watch = new BanWatch('fail2zig', 64, (ban, at) => storm.land(ban, at));
  const daemon = await Daemon.start(directory, `[[list]]\nfile = "${file}"\n${stormSettings(log)}`);
  const told = async (from: number, what: RegExp): Promise<string> => {
    const deadline = performance.now() + inForceMs;
    for (;;) {
      const found = daemon.said.slice(from).find((line) => what.test(line));
      if (found !== undefined) return found;
      if (performance.now() > deadline) throw new Error(`not in force:\n${daemon.said.join('\n')}`);
      await pause(2);
    }
  };
  try {
    await told(0, /list in force/);
    const emptied = daemon.said.length;
    put('');
    await told(emptied, /list in force/);
    const rate = context.number('rate');
    const attempts = interleaved(first, 100_000);
    const some = function* (count: number) {
      for (let at = 0; at < count; at++) yield attempts.next().value!;
    };
    await storm.write(some(warmUpBans * maxretry), rate);
    await pause(200);
    const from = daemon.said.length;
    put(lines.join(''));
    const started = performance.now();
    const cpu = daemon.cpuSeconds();
    storm.latencies.length = 0;
    const inForce = () => daemon.said.slice(from).find((line) => /list in force/.test(line));
    while (inForce() === undefined && performance.now() - started < inForceMs)
      await storm.write(some(bansAtOnce * maxretry), rate);
    const line = await told(from, /list in force/);
    const cpuSeconds = daemon.cpuSeconds() - cpu;
    await storm.settle();
    const { latencies } = storm;
    const seconds = Number(/seconds=([\d.]+)/.exec(line)?.[1]);
    const added = Number(/added=(\d+)/.exec(line)?.[1]);
    const held = await countHeld(Array.from({ length: 25 }, (_, at) => at + 8));
    const p99 = quantile(latencies, 0.99);
    const { memory } = await daemon.status();
    context.report({
      workload: kind,
      counts: { entries, elements: added, held, bans: latencies.length },
      figures: [
        { name: 'in-force', unit: 's', values: [seconds] },
        { name: 'processor', unit: 's', values: [cpuSeconds] },
        { name: 'line-to-kernel', unit: 'ms', values: latencies },
        { name: 'p99', unit: 'ms', values: [p99] },
        { name: 'resident', unit: 'MiB', values: [memory.residentBytes / 1024 ** 2] },
      ],
      problems: [
        ...storm.problems().filter((problem) => !problem.includes('for nothing')),
        ...(held === added ? [] : [`the kernel holds ${held} of ${added} elements`]),
        ...(added >= new Set(lines).size ? [] : [`${added} elements for ${new Set(lines).size} entries`]),
      ],
    });
    return p99;
  } finally {
    await daemon.stop();
    await watch.stop();
  }
}

export const lists: Benchmark = {
  name: 'lists',
  says: 'a list of addresses comes into the kernel while sources are banned: how long, and how late bans are',
  needsNetwork: true,
  options: {
    singles: { says: 'single addresses', value: 1_000_000 },
    prefixes: { says: 'prefixes', value: 100_000 },
    rate: { says: `log lines a second, ${maxretry} to a ban`, value: 1000 },
  },
  async run(context) {
    for (const [place, kind] of (['singles', 'prefixes'] as const).entries()) {
      if (context.wanted(kind)) await measure(context, kind, context.number(kind), place * 200_000);
    }
  },
};
