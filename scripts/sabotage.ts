/**
 * `npm run sabotage`: applies named breakages (test/sabotage), one at a time, to scratch copies of
 * the tree, and runs what should notice: the specification of the claim first, then the tests that
 * the breakage names, then (with --all) every other specification and test. Who noticed is printed
 * as a table; a breakage that nobody notices fails the run.
 *
 * Without names it takes fifteen breakages, chosen by the hash of the tree (the same tree chooses
 * the same ones), and those in files that the last commit or the working tree changed. A run over
 * all that was interrupted goes on where it was, as long as the tree is the same.
 */
import { spawn, spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import {
  cpSync,
  existsSync,
  mkdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { availableParallelism } from 'node:os';
import { dirname, join } from 'node:path';
import { type Breakage, breakableFiles, broken, fileOf } from '../test/sabotage/breakage.ts';
import { breakages } from '../test/sabotage/breakages.ts';
import { readCommandLine } from './lab/command-line.ts';

/** Breakages tried on every change besides those in changed files. */
const chosenByHash = 15;
/** One specification or test run gets so long, ms: a breakage may well hang it. */
const judgeMs = 240_000;

const built = ['build/fail2zig.node', 'build/engine.wasm', 'build/engine-scalar.wasm', 'build/matchers.json', 'dist'];

const root = join(import.meta.dirname, '..');
const recordPath = join(root, 'test/sabotage/record.json');
/** Verdicts of a run over all that has not ended yet. */
const progressPath = join(root, 'reports/sabotage.json');

type Notice = 'its claim' | 'another claim' | 'tests' | 'the build' | 'nobody' | 'not run';

interface Verdict {
  name: string;
  file: string;
  claims: readonly string[];
  noticedBy: Notice;
  seconds: number;
}

interface Ended {
  status: number | null;
  out: string;
}

/** Runs a program to its end, or stops its process group after judgeMs. */
function run(cwd: string, args: string[]): Promise<Ended> {
  const { NODE_V8_COVERAGE: _, ...env } = process.env;
  const child = spawn(process.execPath, args, { cwd, env, detached: true, stdio: ['ignore', 'pipe', 'ignore'] });
  const parts: Buffer[] = [];
  child.stdout.on('data', (part: Buffer) => parts.push(part));
  return new Promise((resolve) => {
    const late = setTimeout(() => process.kill(-child.pid!, 'SIGKILL'), judgeMs);
    child.on('close', (status) => {
      clearTimeout(late);
      resolve({ status, out: Buffer.concat(parts).toString() });
    });
  });
}

/** A copy of the tracked files and of what is built, in which one breakage at a time is tried. */
class Scratch {
  readonly #folder: string;

  constructor(number: number, files: readonly string[]) {
    this.#folder = join(root, 'build/sabotage', String(number));
    rmSync(this.#folder, { recursive: true, force: true });
    for (const path of files) this.#copy(path);
    this.#copyBuilt();
    for (const name of ['node_modules', '.git', 'build/tools']) {
      if (existsSync(join(root, name))) symlinkSync(join(root, name), join(this.#folder, name));
    }
  }

  #copy(path: string): void {
    const [from, to] = [join(root, path), join(this.#folder, path)];
    if (!existsSync(from)) return;
    mkdirSync(dirname(to), { recursive: true });
    cpSync(from, to, { preserveTimestamps: true });
  }

  /** What is built, as new as the copy, so that only what a breakage touches is built again. */
  #copyBuilt(): void {
    for (const name of built) cpSync(join(root, name), join(this.#folder, name), { recursive: true });
  }

  async try(breakage: Breakage, path: string, thorough: boolean): Promise<Notice> {
    const file = join(this.#folder, path);
    const whole = readFileSync(file, 'utf8');
    const { atime, mtime } = statSync(file);
    try {
      writeFileSync(file, broken(whole, breakage));
      return await this.#judge(breakage, thorough);
    } finally {
      writeFileSync(file, whole);
      utimesSync(file, atime, mtime);
      this.#copyBuilt();
    }
  }

  async #judge({ claims, tests = [] }: Breakage, thorough: boolean): Promise<Notice> {
    for (const build of ['scripts/native.mjs', 'scripts/build.ts']) {
      if ((await run(this.#folder, [build, '--quiet'])).status !== 0) return 'the build';
    }
    if (claims.length > 0) {
      const { status, out } = await run(this.#folder, ['scripts/verify.ts', '--json', '--allow-skips', ...claims]);
      // What it says, not its status: verify may be what is broken.
      if (status === null || out.includes('"FAILED"')) return 'its claim';
    }
    if (tests.length > 0 && (await this.#testsFail(tests))) return 'tests';
    if (!thorough) return 'nobody';
    const { status, out } = await run(this.#folder, ['scripts/verify.ts', '--json', '--allow-skips']);
    if (status === null || out.includes('"FAILED"')) return 'another claim';
    return (await this.#testsFail(['test/unit', 'test/property', 'test/corpus', 'test/netns'])) ? 'tests' : 'nobody';
  }

  async #testsFail(files: readonly string[]): Promise<boolean> {
    return (await run(this.#folder, ['node_modules/vitest/vitest.mjs', 'run', '--bail=1', ...files])).status !== 0;
  }
}

const git = (...args: string[]) => spawnSync('git', args, { cwd: root, encoding: 'utf8' }).stdout.trim();

/** The breakages to try, each with its file, in the order in which they are tried. */
function choose(names: readonly string[], all: boolean): [Breakage, string][] {
  const files = breakableFiles(root);
  const placed = breakages.map((breakage): [Breakage, string] => [breakage, fileOf(breakage, files)]);
  if (all) return placed;
  if (names.length > 0) {
    return placed.filter(([{ name, claims }, path]) =>
      names.some((part) => name.includes(part) || path.includes(part) || claims.includes(part)),
    );
  }
  const hash = tree();
  const rank = ({ name }: Breakage) => createHash('sha256').update(`${hash} ${name}`).digest('hex');
  const ordered = placed.toSorted(([a], [b]) => (rank(a) < rank(b) ? -1 : 1));
  const parent = git('rev-parse', '--verify', '--quiet', 'HEAD^');
  const changed = new Set(git('diff', '--name-only', parent === '' ? 'HEAD' : parent).split('\n'));
  const touched = ordered.filter(([, path]) => changed.has(path));
  const others = ordered.filter(([, path]) => !changed.has(path)).slice(0, chosenByHash);
  return [...others, ...touched];
}

const usage = `npm run sabotage -- [NAME…] [--all] [--list] [--minutes N] [--jobs N]

  Applies named breakages to scratch copies of the tree and prints who notices each: its claim, another claim, tests,
  or nobody. Without names: ${chosenByHash} chosen by the hash of the tree, and those in files that the last change touched.

  NAME         breakages whose name or file holds this text, or that this claim must notice
  --all        every breakage; writes test/sabotage/record.json. Up to an hour; goes on where it was interrupted
  --list       the names; applies nothing
  --minutes N  begins no new breakage after N minutes; what was not tried is printed
  --jobs N     so many at once (one for each core)

  Exit status 1 where nobody notices a breakage.`;

async function main(): Promise<number> {
  const flag = { type: 'boolean' } as const;
  const text = { type: 'string' } as const;
  const { values, positionals, misuse } = readCommandLine(
    'sabotage',
    usage,
    { all: flag, list: flag, minutes: text, jobs: text },
    true,
  );
  const chosen = choose(positionals, values.all ?? values.list ?? false);
  if (values.list) {
    for (const [{ name, claims }, path] of chosen) console.log(`${path}: ${name} → ${claims.join(' ') || 'tests'}`);
    return 0;
  }
  if (chosen.length === 0) misuse(`no breakage has "${positionals.join('" or "')}" in its name; --list prints them`);
  const jobs = Math.min(Number(values.jobs ?? availableParallelism()), chosen.length);
  const deadline = performance.now() + Number(values.minutes ?? 600) * 60_000;
  const tracked = git('ls-files').split('\n');
  const verdicts: Verdict[] = values.all ? earlierVerdicts() : [];
  const known = new Set(verdicts.map(({ name }) => name));
  const waiting = chosen.filter(([{ name }]) => !known.has(name));
  for (const [{ name, claims }, path] of waiting)
    console.log(`to try  ${path}: ${name} → ${claims.join(' ') || 'tests'}`);
  const work = async (number: number) => {
    const scratch = new Scratch(number, tracked);
    for (let next = waiting.shift(); next !== undefined; next = waiting.shift()) {
      const [breakage, file] = next;
      const started = performance.now();
      const late = started > deadline;
      const noticedBy = late ? 'not run' : await scratch.try(breakage, file, values.all ?? false);
      const seconds = Math.round((performance.now() - started) / 100) / 10;
      verdicts.push({ name: breakage.name, file, claims: breakage.claims, noticedBy, seconds });
      if (values.all) keep(verdicts);
      console.log(`${noticedBy.padEnd(13)} ${`${seconds}`.padStart(6)} s  ${file}: ${breakage.name}`);
    }
  };
  await Promise.all(Array.from({ length: jobs }, (_, number) => work(number)));
  rmSync(join(root, 'build/sabotage'), { recursive: true, force: true });
  return report(verdicts, values.all ?? false);
}

const tree = (): string => git('rev-parse', 'HEAD^{tree}');

/** What an interrupted run over all of this tree found. */
function earlierVerdicts(): Verdict[] {
  if (!existsSync(progressPath)) return [];
  const kept = JSON.parse(readFileSync(progressPath, 'utf8')) as { tree: string; breakages: Verdict[] };
  return kept.tree === tree() ? kept.breakages.filter(({ noticedBy }) => noticedBy !== 'not run') : [];
}

function keep(verdicts: readonly Verdict[]): void {
  mkdirSync(dirname(progressPath), { recursive: true });
  writeFileSync(progressPath, `${JSON.stringify({ tree: tree(), breakages: verdicts })}\n`);
}

/** Prints the score, records a whole run, and returns the exit status. */
function report(verdicts: readonly Verdict[], whole: boolean): number {
  const count = (by: Notice) => verdicts.filter(({ noticedBy }) => noticedBy === by).length;
  const kinds: Notice[] = ['its claim', 'another claim', 'tests', 'the build', 'nobody', 'not run'];
  const score = kinds
    .map((by) => `${count(by)} by ${by}`)
    .join(', ')
    .replace(/by not run$/, 'not run');
  for (const { name, file } of verdicts.filter(({ noticedBy }) => noticedBy === 'nobody')) {
    console.log(`NOBODY NOTICES  ${file}: ${name}`);
  }
  console.log(`${verdicts.length} breakages noticed: ${score}`);
  if (whole && count('not run') === 0) {
    const record = { date: new Date().toISOString(), commit: git('rev-parse', 'HEAD'), breakages: verdicts };
    writeFileSync(recordPath, `${JSON.stringify(record, null, 2)}\n`);
  }
  return count('nobody') > 0 ? 1 : 0;
}

process.exit(await main());
