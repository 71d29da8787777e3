/**
 * A real attack: 50,000 sources, six failed logins each, 2,000 lines a second, against the real
 * daemon in a private network namespace. Records bans and memory, and draws both over time
 * (reports/attack.svg).
 */
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { BanWatch } from '../scripts/lab/ban-watch.ts';
import { Daemon } from '../scripts/lab/daemon.ts';
import { quantile } from '../scripts/lab/figures.ts';
import { ceilingBytesDefault } from '../src/config/limits.ts';
import { chart, type Sample } from './attack-chart.ts';
import type { Benchmark } from './benchmark.ts';
import { type Attempt, Storm, stormSettings } from './storm.ts';
import { randomFrom, sourceAddress, sourceBan } from './workload.ts';

const attemptsPerSource = 6;
const sampleMs = 250;
/** What the attack may cost. */
const lastBanMsMax = 1000;
const residentMax = ceilingBytesDefault * 1.1;
const cpuSecondsMax = 5;

/** Every attempt of every source, in an order that follows from the seed. */
function attempts(sources: number): Attempt[] {
  const random = randomFrom(3);
  const order = Uint32Array.from({ length: sources * attemptsPerSource }, (_, index) => index % sources);
  for (let index = order.length - 1; index > 0; index--) {
    const other = Math.floor(random() * (index + 1));
    [order[index], order[other]] = [order[other]!, order[index]!];
  }
  const each = Array.from({ length: sources }, (_, source) => ({
    address: sourceAddress(source),
    ban: sourceBan(source),
  }));
  return Array.from(order, (source) => each[source]!);
}

export const attack: Benchmark = {
  name: 'attack',
  says: 'the attack of 50,000 sources: bans landed and memory over time, as reports/attack.svg',
  needsNetwork: true,
  options: {
    attackers: { says: `sources, ${attemptsPerSource} failed logins each`, value: 50_000 },
    speed: { says: 'log lines a second', value: 2000 },
  },
  async run(context) {
    const [sources, perSecond] = [context.number('attackers'), context.number('speed')];
    const path = join(context.directory, 'auth.log');
    const storm = new Storm(path);
    const watch = new BanWatch('fail2zig', 64, (ban, at) => storm.land(ban, at));
    const daemon = await Daemon.start(context.directory, stormSettings(path));
    const samples: Sample[] = [];
    const started = performance.now();
    const take = (): void => {
      const { now } = daemon.resident();
      samples.push({ seconds: (performance.now() - started) / 1000, bans: storm.landed.size, residentBytes: now });
    };
    const timer = setInterval(take, sampleMs);
    try {
      const cpu = daemon.cpuSeconds();
      await storm.write(attempts(sources), perSecond);
      await storm.settle();
      take();
      clearInterval(timer);
      const cpuSeconds = daemon.cpuSeconds() - cpu;
      const { peak } = daemon.resident();
      const lastBanMs = storm.lastBanAt - storm.lastLineAt;
      const problems = [...storm.problems(), ...(watch.lost ? ['notifications were lost'] : [])];
      if (storm.decided !== sources) problems.push(`${storm.decided} sources reached the limit`);
      if (lastBanMs > lastBanMsMax) problems.push('the last ban came late');
      if (peak > residentMax) problems.push('VmHWM is over the ceiling');
      if (cpuSeconds > cpuSecondsMax) problems.push('too much CPU');
      context.report({
        workload: `sources=${sources}`,
        counts: { lines: storm.lines, linesPerSecond: perSecond, bans: storm.landed.size },
        figures: [
          { name: 'line-to-kernel', unit: 'ms', values: storm.latencies },
          { name: 'p99', unit: 'ms', values: [quantile(storm.latencies, 0.99)] },
          { name: 'last-ban-after-last-line', unit: 'ms', values: [lastBanMs] },
          { name: 'VmHWM', unit: 'MiB', values: [peak / 2 ** 20] },
          { name: 'cpu', unit: 's', values: [cpuSeconds] },
        ],
        problems,
      });
      const reports = join(import.meta.dirname, '..', 'reports');
      mkdirSync(reports, { recursive: true });
      writeFileSync(join(reports, 'attack.svg'), chart(samples, { sources, perSecond, ceilingBytes: residentMax }));
    } finally {
      clearInterval(timer);
      await daemon.stop();
      await watch.stop();
    }
  },
};
