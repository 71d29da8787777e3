/**
 * Whether a reader that reads all logs in one batch through io_uring(7) would help (LP-19): the
 * same growth of the same files is read by preadv(2), like the daemon does, and through a ring
 * (uring.c, if there is a compiler). The daemon contains no ring: seccomp does not see its calls.
 */
import { spawnSync } from 'node:child_process';
import { mkdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { type Benchmark, type Context, differences } from './benchmark.ts';

/** Files, and lines a second in all. */
const workloads = [1, 20, 500].flatMap((files) => [1_000, 30_000, 300_000].map((rate) => ({ files, rate })));
/** Wake-ups a second, as in uring.c: how often a stream of lines is read. */
const wakes = 125;

function measure(context: Context, program: string, files: number, rate: number): void {
  const directory = join(context.directory, 'logs');
  const values: number[][] = [[], [], []];
  let problems: string[] = [];
  for (let round = 0; round < context.number('rounds'); round++) {
    mkdirSync(directory);
    const args = [directory, String(files), String(rate), String(context.number('wakes'))];
    const { stdout, stderr, status } = spawnSync(program, args, { encoding: 'utf8' });
    rmSync(directory, { recursive: true });
    if (status !== 0) {
      problems = [stderr.trim()];
      break;
    }
    const [read, ring] = stdout
      .trim()
      .split('\n')
      .map((line) => line.split(' ').map(Number)) as [number[], number[]];
    const [readNs, ringNs] = [read[0]! / read[1]!, ring[0]! / ring[1]!];
    const readsPerSecond = (read[1]! / context.number('wakes')) * wakes;
    values[0]!.push(readNs);
    values[1]!.push(ringNs);
    values[2]!.push(((readNs - ringNs) * readsPerSecond) / 1e7);
    problems.push(...differences({ bytes: ring[2]! }, { bytes: read[2]! }));
  }
  context.report({
    workload: `files=${files} rate=${rate}`,
    counts: { files, linesPerSecond: rate },
    figures: [
      { name: 'preadv', unit: 'ns', values: values[0]! },
      { name: 'ring', unit: 'ns', values: values[1]! },
      { name: 'saved', unit: '% of a core', values: values[2]! },
    ],
    problems,
  });
}

export const ioUring: Benchmark = {
  name: 'io-uring',
  says: 'reading many growing files one by one against in one batch, a read of one file',
  options: {
    rounds: { says: 'rounds', value: 7 },
    wakes: { says: 'wake-ups of each way in a round', value: 300 },
  },
  async run(context) {
    const program = join(context.directory, 'uring');
    const { status } = spawnSync('cc', ['-O2', '-o', program, join(import.meta.dirname, 'uring.c')]);
    if (status !== 0) throw new Error('no C compiler is here');
    for (const { files, rate } of workloads) {
      if (context.wanted(`files=${files} rate=${rate}`)) measure(context, program, files, rate);
    }
  },
};
