/**
 * What records cost a ban: the latency of bans while the daemon writes so many other records a
 * second to its audit log, beside the same without them, by turns. No load from outside brings that
 * many: bursts of bans share a record and refusals are few a second. So a copy of the tree is built
 * whose core records commands by itself; all else is the daemon as it is.
 */
import { spawnSync } from 'node:child_process';
import { cpSync, mkdirSync, symlinkSync } from 'node:fs';
import { join } from 'node:path';
import { BanWatch } from '../scripts/lab/ban-watch.ts';
import { Daemon } from '../scripts/lab/daemon.ts';
import { median, quantile } from '../scripts/lab/figures.ts';
import { applyChanges, root } from '../spec/support/broken.ts';
import { responses } from '../src/client/call.ts';
import { until } from '../test/support/until.ts';
import type { Benchmark } from './benchmark.ts';
import { interleaved, warmUpBans } from './latency.ts';
import { Storm, stormSettings } from './storm.ts';
import { maxretry, sourceBan } from './workload.ts';

/** What the build reads, and what it needs not make again. */
const copied = ['bin', 'build/fail2zig.node', 'build/engine.wasm', 'build/engine-scalar.wasm', 'build/matchers.json'];
const sources = ['src', 'native', 'scripts', 'config', 'package.json', 'tsconfig.json'];

/** The program of a copy of the tree whose core records so many commands a second by itself. */
function buildRecording(place: string, perSecond: number): string {
  for (const name of [...copied, ...sources, 'dist']) {
    cpSync(join(root, name), join(place, name), { recursive: true, preserveTimestamps: true });
  }
  symlinkSync(join(root, 'node_modules'), join(place, 'node_modules'));
  const find = '  await recorder.start();\n';
  const put = `${find}  const begun = performance.now();
  let done = 0;
  setInterval(() => {
    const due = ((performance.now() - begun) * ${perSecond}) / 1000;
    for (; done < due; done++) recorder.command('status', { uid: 0, pid: 1 });
  }, 1).unref();
`;
  applyChanges(place, [{ path: 'src/daemon.ts', find, put }]);
  const { status, stderr } = spawnSync(process.execPath, ['scripts/build.ts', '--quiet'], {
    cwd: place,
    encoding: 'utf8',
  });
  if (status !== 0) throw new Error(`the copy cannot be built: ${stderr}`);
  return join(place, 'bin', 'fail2zig');
}

/** Resolves when the daemon answers. */
async function answered(socket: string): Promise<void> {
  await until(
    async () => {
      try {
        for await (const { ok } of responses(socket, { verb: 'status', args: {} })) return ok;
        return false;
      } catch {
        return false;
      }
    },
    { withinMs: 60_000, what: 'an answer' },
  );
}

interface Run {
  latencies: number[];
  recordsPerSecond: number;
  problems: string[];
}

/** Bans of the runs before stay in the kernel, and each daemon takes them over: other sources. */
async function measure(directory: string, program: string, first: number, bans: number, rate: number): Promise<Run> {
  mkdirSync(directory);
  const held = new Set(Array.from({ length: first }, (_, source) => sourceBan(source)));
  const path = join(directory, 'auth.log');
  const watch = new BanWatch('fail2zig', 64, (ban, at) => storm.land(ban, at), true);
  const storm = new Storm(path, held, () => watch.look());
  // A record is a line of the daemon's own log too, which this process would read.
  const settings = `[log]\nlevel = "warn"\n${stormSettings(path)}`;
  const daemon = await Daemon.start(directory, settings, [program], () => answered(join(directory, 'control.sock')));
  try {
    const attempts = [...interleaved(first, bans + warmUpBans)];
    await storm.write(attempts.splice(0, warmUpBans * maxretry), rate);
    await storm.settle();
    storm.latencies.length = 0;
    const before = (await daemon.stats())['events.recorded']!;
    const begun = performance.now();
    await storm.write(attempts, rate);
    await storm.settle();
    const seconds = (performance.now() - begun) / 1000;
    const { 'events.recorded': recorded = 0, 'events.lost': lost = 0 } = await daemon.stats();
    const problems = [...storm.problems(), ...(lost > 0 ? [`${lost} records were lost`] : [])];
    return { latencies: storm.latencies, recordsPerSecond: (recorded - before) / seconds, problems };
  } finally {
    await daemon.stop();
    await watch.stop();
  }
}

export const records: Benchmark = {
  name: 'records',
  says: 'latency of bans beside so many other records a second, and without them, by turns',
  needsNetwork: true,
  options: {
    recordbans: { says: 'bans of a run', value: 2000 },
    banlines: { says: `log lines a second, ${maxretry} to a ban`, value: 1000 },
    records: { says: 'records a second', value: 10_000 },
    turns: { says: 'runs with and without', value: 3 },
  },
  async run(context) {
    const [bans, rate, perSecond, turns] = ['recordbans', 'banlines', 'records', 'turns'].map(context.number) as [
      number,
      number,
      number,
      number,
    ];
    const kinds = {
      with: buildRecording(join(context.directory, 'copy'), perSecond),
      without: join(root, 'bin', 'fail2zig'),
    };
    const runs: Record<keyof typeof kinds, Run[]> = { with: [], without: [] };
    for (let turn = 0; turn < 2 * turns; turn++) {
      // Who comes first changes too: with, without, without, with.
      const kind = turn % 4 === 0 || turn % 4 === 3 ? 'with' : 'without';
      const directory = join(context.directory, String(turn));
      runs[kind].push(await measure(directory, kinds[kind], turn * (bans + warmUpBans), bans, rate));
    }
    const p99s = (kind: keyof typeof kinds): number[] => runs[kind].map(({ latencies }) => quantile(latencies, 0.99));
    const ratio = median(p99s('with')) / median(p99s('without'));
    for (const kind of ['without', 'with'] as const) {
      const problems = runs[kind].flatMap((run) => run.problems);
      const few = runs.with.some(({ recordsPerSecond }) => recordsPerSecond < 0.95 * perSecond);
      context.report({
        workload: kind === 'with' ? `records=${perSecond}/s` : 'without',
        counts: { bans: bans * turns, linesPerSecond: rate },
        figures: [
          { name: 'line-to-kernel', unit: 'ms', values: runs[kind].flatMap(({ latencies }) => latencies) },
          { name: 'p99', unit: 'ms', values: p99s(kind) },
          { name: 'records', unit: '/s', values: runs[kind].map(({ recordsPerSecond }) => recordsPerSecond) },
          ...(kind === 'with' ? [{ name: 'p99-ratio', unit: 'x without', values: [ratio] }] : []),
        ],
        problems: [...problems, ...(kind === 'with' && few ? ['fewer records were written than asked for'] : [])],
      });
    }
  },
};
