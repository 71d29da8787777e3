/**
 * Many log files: the memory and start time that following them costs, with the real daemon in a
 * private network namespace. Every file is written once; each line must have been read.
 */
import { appendFileSync, mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { Daemon } from '../scripts/lab/daemon.ts';
import { ceilingBytesDefault } from '../src/config/limits.ts';
import { until } from '../test/support/until.ts';
import type { Benchmark, Context } from './benchmark.ts';

const directories = 100;
const mebibyte = 2 ** 20;

async function measure(context: Context, files: number): Promise<void> {
  const home = join(context.directory, String(files));
  const paths = Array.from({ length: files }, (_, file) =>
    join(home, `logs/site-${file % directories}/www-${file}.example.org-error.log`),
  );
  for (let directory = 0; directory < directories; directory++)
    mkdirSync(join(home, `logs/site-${directory}`), { recursive: true });
  for (const path of paths) writeFileSync(path, '');
  const daemon = await Daemon.start(
    home,
    `[firewall]\nbackend = "nftables"\n[jails.web]\nfilter = "nginx-http-auth"\nlogpath = "${home}/logs/*/*.log"\n`,
  );
  try {
    for (const path of paths) appendFileSync(path, 'a line\n');
    let lines = 0;
    const allRead = async (): Promise<boolean> => {
      lines = Number((await daemon.stats())['lines.total'] ?? 0);
      return lines >= files;
    };
    await until(allRead, { what: 'a line of each file', withinMs: 60_000 }).catch(() => undefined);
    const stats = await daemon.stats();
    const { now, peak } = daemon.resident();
    context.report({
      workload: `files=${files}`,
      counts: { lines, slots: Number(stats['table.slots']) },
      figures: [
        { name: 'start', unit: 'ms', values: [daemon.startMilliseconds] },
        { name: 'VmRSS', unit: 'MiB', values: [now / mebibyte] },
        { name: 'VmHWM', unit: 'MiB', values: [peak / mebibyte] },
        { name: 'heap', unit: 'MiB', values: [Number(stats['memory.heap_bytes']) / mebibyte] },
      ],
      problems: [
        ...(lines === files ? [] : [`${lines} of ${files} lines were read`]),
        ...(peak > ceilingBytesDefault ? ['VmHWM is over the ceiling'] : []),
      ],
    });
  } finally {
    await daemon.stop();
  }
}

export const files: Benchmark = {
  name: 'files',
  says: 'memory and start of a daemon that follows one log file, and many',
  needsNetwork: true,
  options: { files: { says: 'log files', value: 10_000 } },
  async run(context) {
    for (const count of [1, context.number('files')]) await measure(context, count);
  },
};
