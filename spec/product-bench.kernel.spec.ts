/**
 * The benchmarks with published figures: each record says how to repeat it, and repeating it works.
 */
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { globSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { commandOf } from '../bench/report.ts';
import { claim, type Supply, twin } from './claim.ts';

interface Recorded {
  path: string;
  command: string;
  benchmark: string;
  options: Record<string, number>;
}

interface Bench {
  runs: Recorded[];
  /** Runs the benchmarks' command with these parameters: its exit status and what it printed. */
  start: (parameters: string[]) => Promise<{ status: number; out: string }>;
}

const root = join(import.meta.dirname, '..');
const prefix = 'npm run bench -- ';
const run = promisify(execFile);

async function start(parameters: string[]): Promise<{ status: number; out: string }> {
  const { NODE_V8_COVERAGE: _, ...env } = process.env;
  try {
    const { stdout } = await run(process.execPath, ['bench/main.ts', ...parameters], { cwd: root, env });
    return { status: 0, out: stdout };
  } catch (error) {
    const { code, stdout, stderr } = error as { code: number; stdout: string; stderr: string };
    return { status: code, out: stdout + stderr };
  }
}

function recorded(): Recorded[] {
  return globSync('bench/runs/*/*.json', { cwd: root }).map((path) => ({
    path,
    ...JSON.parse(readFileSync(join(root, path), 'utf8')),
  }));
}

function bench(spoil: (made: Bench) => Bench = (made) => made): Supply<Bench> {
  return { make: () => spoil({ runs: recorded(), start }) };
}

/** Benchmarks and their options, as the command lists them. */
function offeredBy(help: string): Map<string, Set<string>> {
  const offered = new Map<string, Set<string>>();
  let options = new Set<string>();
  for (const line of help.split('\n')) {
    const name = /^ {2}([a-z]\S*) /.exec(line)?.[1];
    if (name !== undefined) {
      options = new Set();
      offered.set(name, options);
    }
    const option = /^ +--(\S+) N: /.exec(line)?.[1];
    if (option !== undefined) options.add(option);
  }
  return offered;
}

/** The counts of each workload, without the figures that depend on the machine. */
function countsOf(out: string): string[] {
  return out.split('\n').flatMap((line) => /^parse (\S+ .*) ok(?: |$)/.exec(line)?.[1] ?? []);
}

claim(
  'LP-13',
  bench(),
  async ({ runs, start }) => {
    assert.ok(runs.length >= 5, `${runs.length} recorded runs`);
    const paper = readFileSync(join(root, 'docs/white-paper.md'), 'utf8');
    const table = paper.slice(paper.indexOf('<!-- figures:begin'), paper.indexOf('<!-- figures:end'));
    const linked = new Set([...table.matchAll(/\]\(\.\.\/(bench\/runs\/[^)]+)\)/g)].map(([, path]) => path));
    const offered = offeredBy((await start(['--help'])).out);
    for (const { path, command, ...rest } of runs) {
      assert.equal(command, commandOf(rest), `the command of ${path}`);
      const known = offered.get(rest.benchmark);
      assert.ok(known !== undefined, `${path} is a run of ${rest.benchmark}, which there is not`);
      for (const option of Object.keys(rest.options)) assert.ok(known.has(option), `${path} was made with --${option}`);
      linked.delete(path);
    }
    assert.deepEqual([...linked], [], 'runs that the white paper names and nobody recorded');
    const small = ['parse', '--lines', '40000', '--rounds', '1', '--sources', '500', '--only', 'sshd-ordered'];
    const [one, other] = [await start(small), await start(small)];
    assert.deepEqual([one.status, other.status], [0, 0], 'exit status of a small run, twice');
    assert.ok(countsOf(one.out).length > 0, `no workload in ${one.out}`);
    assert.deepEqual(countsOf(one.out), countsOf(other.out), 'counts of a run and of its repetition');
    return `${runs.length} recorded runs, each with the one command that repeats it; \`${prefix}parse\` twice over 40,000 lines: the same counts (${countsOf(one.out)[0]})`;
  },
  [
    twin(
      'a run of a benchmark that is not in the repository',
      bench((made) => ({
        ...made,
        runs: made.runs.map((one) => ({
          ...one,
          benchmark: 'gone',
          command: commandOf({ ...one, benchmark: 'gone' }),
        })),
      })),
      /which there is not/,
    ),
    twin(
      'a run made in a way that the command does not offer',
      bench((made) => ({
        ...made,
        runs: made.runs.map((one) => {
          const options = { ...one.options, secret: 7 };
          return { ...one, options, command: commandOf({ ...one, options }) };
        }),
      })),
      /was made with --secret/,
    ),
    twin(
      'a run that was thrown away',
      bench((made) => ({
        ...made,
        runs: made.runs.map((one) => (one.path.endsWith('parse.json') ? made.runs[0]! : one)),
      })),
      /runs that the white paper names and nobody recorded/,
    ),
    twin(
      'a benchmark whose workload is never the same',
      {
        make: () => {
          let runs = 0;
          return {
            runs: recorded(),
            start: async (of) => start(of.map((each) => (each === '500' ? String(500 + runs++) : each))),
          };
        },
      },
      /counts of a run and of its repetition/,
    ),
  ],
  { needs: ['linux', 'built'], timeoutMs: 240_000 },
);

claim(
  'PE-25',
  bench(),
  async ({ start }) => {
    const { status, out } = await start(['parse', '--lines', '20000', '--rounds', '1', '--sources', '500']);
    assert.equal(status, 0, `exit status; it said ${out}`);
    const printed = [...out.matchAll(/^parse (\S+)\/wasm .* ok .*?cpu=([\d.]+) M lines\/s/gm)];
    assert.deepEqual(
      printed.map(([, file]) => file),
      ['sshd-jumping', 'sshd-ordered', 'sshd-sessions', 'nginx-access'],
      'files with a figure',
    );
    return `${prefix}parse prints lines a second for ${printed.map(([, file]) => file).join(', ')}`;
  },
  [
    twin(
      'a benchmark that prints only that all is well',
      bench((made) => ({
        ...made,
        start: async (of) => {
          const { status, out } = await made.start(of);
          return { status, out: out.replaceAll(/ ok .*/g, ' ok') };
        },
      })),
      /files with a figure/,
    ),
    twin(
      'a benchmark that fails',
      bench((made) => ({ ...made, start: async () => ({ status: 1, out: '' }) })),
      /exit status/,
    ),
  ],
  { needs: ['linux', 'built'], timeoutMs: 240_000 },
);
