/**
 * `npm run sabotage`: applies named breakages (test/sabotage), one at a time, to scratch copies of
 * the tree, and runs what should notice (scripts/sabotage/scratch.ts). Who noticed is printed as a
 * table; a breakage that nobody notices fails the run.
 *
 * Without names it takes fifteen breakages, chosen by the hash of the tree (the same tree chooses
 * the same ones), and those in files that the last commit or the working tree changed. A run over
 * all takes the cheap ones first and ends with a control: whoever noticed one is asked without a
 * breakage, and who fails then is no judge, and what it noticed is tried again. One that was
 * interrupted goes on where it was, as long as the tree is the same; what is recorded says how many
 * of all were tried.
 */
import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, globSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { availableParallelism, cpus, release } from 'node:os';
import { dirname, join } from 'node:path';
import { claims } from '../spec/claims.ts';
import { type Breakage, breakableFiles, fileOf } from '../test/sabotage/breakage.ts';
import { breakages } from '../test/sabotage/breakages.ts';
import { readCommandLine } from './lab/command-line.ts';
import { note } from './long/record.ts';
import {
  byRoom,
  type Control,
  exitStatus,
  extent,
  type SabotageRecord,
  score,
  table,
  type Verdict,
  whyNoRecord,
} from './sabotage/record.ts';
import { Scratch } from './sabotage/scratch.ts';

/** Breakages tried on every change besides those in changed files. */
const chosenByHash = 15;

const root = join(import.meta.dirname, '..');
const recordPath = join(root, 'test/sabotage/record.json');
/** Verdicts of a run over all that has not ended yet. */
const progressPath = join(root, 'reports/sabotage.json');

/** A breakage and the file that it changes. */
type Placed = [Breakage, string];

/** What a run over all has found so far. */
interface Progress {
  /** Hash of the tree to which it belongs. */
  tree: string;
  minutes: number;
  control: Control;
  breakages: Verdict[];
}

const git = (...args: string[]) => spawnSync('git', args, { cwd: root, encoding: 'utf8' }).stdout.trim();

/** Claims that a specification on the real kernel proves. */
const kernelSpecs = globSync('spec/*.kernel.spec.ts', { cwd: root }).map((path) =>
  readFileSync(join(root, path), 'utf8'),
);

/** The cost of a breakage, for sorting: an engine to build, then daemons and namespaces. */
function effort({ claims }: Breakage, path: string): number {
  if (path.startsWith('src/engine/')) return 2;
  return kernelSpecs.some((text) => claims.some((id) => text.includes(`'${id}'`))) ? 1 : 0;
}

/** The breakages to try, each with its file, in the order in which they are tried. */
function choose(names: readonly string[], all: boolean): Placed[] {
  const files = breakableFiles(root);
  const placed = breakages.map((breakage): Placed => [breakage, fileOf(breakage, files)]);
  if (all) return placed.toSorted(([a, one], [b, other]) => effort(a, one) - effort(b, other));
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
  --all        every breakage, then a control without one; goes on where it was interrupted; writes
               test/sabotage/record.json, which says how many of all were tried
  --list       the names; applies nothing
  --record     keeps the figures in test/evidence
  --minutes N  begins no new breakage after N minutes; what was not tried is printed
  --jobs N     so many at once (one for each core)

  Exit status 1 where nobody notices a breakage.`;

/**
 * Where to begin: with the results of an interrupted run over all of this tree, or with nothing.
 */
function earlier(all: boolean): Progress {
  const nothing = { tree: tree(), minutes: 0, control: { claims: [], tests: [] }, breakages: [] };
  if (!all || !existsSync(progressPath)) return nothing;
  const kept = JSON.parse(readFileSync(progressPath, 'utf8')) as Progress;
  if (kept.tree !== nothing.tree) return nothing;
  return { ...kept, breakages: kept.breakages.filter(({ noticedBy }) => noticedBy !== 'not run') };
}

function keep(progress: Progress): void {
  mkdirSync(dirname(progressPath), { recursive: true });
  writeFileSync(progressPath, `${JSON.stringify(progress)}\n`);
}

const distinct = (list: readonly string[]): string[] => [...new Set(list)].sort();

/** The claim or the test files that noticed. */
const judgesOf = ({ noticedBy, by }: Verdict): string[] =>
  noticedBy === 'tests' ? by.split(' ') : noticedBy.endsWith('claim') ? [by.split(':', 1)[0]!] : [];

/** Which of those who noticed a breakage also fail without one. */
async function controlOf(scratch: Scratch, verdicts: readonly Verdict[]): Promise<Control> {
  console.log('control: all who noticed one, over the tree as it is');
  const judges = (list: readonly Verdict[], kind: (judge: string) => boolean) =>
    distinct(list.flatMap(judgesOf)).filter(kind);
  const isClaim = (judge: string) => claims.some(({ id }) => id === judge);
  const isTest = (judge: string) => judge.startsWith('test/');
  const engine = verdicts.filter(({ file }) => file.startsWith('src/engine/'));
  const control = await scratch.control(judges(verdicts, isClaim), judges(engine, isClaim), judges(verdicts, isTest));
  const failed = [...control.claims, ...control.tests];
  console.log(`control: ${failed.length === 0 ? 'all pass' : `no judges, for they fail: ${failed.join(' ')}`}`);
  return control;
}

/** Tries what waits, several at once; each verdict is printed and, with `all`, kept. */
async function tryWaiting(
  scratches: readonly Scratch[],
  waiting: Placed[],
  progress: Progress,
  run: Run,
): Promise<void> {
  const [began, minutesBefore] = [performance.now(), progress.minutes];
  const work = async (scratch: Scratch) => {
    scratch.believe(progress.control);
    for (let next = waiting.shift(); next !== undefined; next = waiting.shift()) {
      const [breakage, file] = next;
      const started = performance.now();
      const late = started > run.deadline;
      const found = late ? ({ noticedBy: 'not run', by: '' } as const) : await scratch.try(breakage, file, run.all);
      const seconds = Math.round((performance.now() - started) / 100) / 10;
      progress.breakages.push({ name: breakage.name, file, claims: breakage.claims, ...found, seconds });
      progress.minutes = Math.round((minutesBefore + (performance.now() - began) / 60_000) * 10) / 10;
      if (run.all) keep(progress);
      const time = `${seconds}`.padStart(6);
      console.log(`${found.noticedBy.padEnd(13)} ${time} s  ${file}: ${breakage.name}\n    ${found.by}`);
    }
  };
  await Promise.all(scratches.map(work));
}

interface Run {
  all: boolean;
  /** No breakage is started after this, ms of performance.now(). */
  deadline: number;
}

async function tryAll(chosen: readonly Placed[], progress: Progress, jobs: number, run: Run): Promise<void> {
  const tracked = git('ls-files').split('\n');
  const scratches = Array.from({ length: Math.min(jobs, chosen.length) }, (_, at) => new Scratch(root, at, tracked));
  const known = new Set(progress.breakages.map(({ name }) => name));
  const waiting = chosen.filter(([{ name }]) => !known.has(name));
  await tryWaiting(scratches, waiting, progress, run);
  if (run.all && performance.now() < run.deadline) {
    progress.control = await controlOf(scratches[0]!, progress.breakages);
    const noJudges = new Set([...progress.control.claims, ...progress.control.tests]);
    const doubtful = progress.breakages.filter((verdict) => judgesOf(verdict).some((judge) => noJudges.has(judge)));
    progress.breakages = progress.breakages.filter((verdict) => !doubtful.includes(verdict));
    const again = chosen.filter(([{ name }]) => doubtful.some((verdict) => verdict.name === name));
    await tryWaiting(scratches, again, progress, run);
  }
  rmSync(join(root, 'build/sabotage'), { recursive: true, force: true });
}

async function main(): Promise<number> {
  const flag = { type: 'boolean' } as const;
  const text = { type: 'string' } as const;
  const options = { all: flag, list: flag, minutes: text, jobs: text };
  const { values, positionals, misuse } = readCommandLine('sabotage', usage, options, true);
  const all = values.all ?? false;
  const chosen = choose(positionals, all || (values.list ?? false));
  if (values.list) {
    for (const [{ name, claims }, path] of chosen) console.log(`${path}: ${name} → ${claims.join(' ') || 'tests'}`);
    return 0;
  }
  if (chosen.length === 0) misuse(`no breakage has "${positionals.join('" or "')}" in its name; --list prints them`);
  const progress = earlier(all);
  if (!all)
    for (const [{ name, claims }, path] of chosen)
      console.log(`to try  ${path}: ${name} → ${claims.join(' ') || 'tests'}`);
  const jobs = Number(values.jobs ?? availableParallelism());
  const deadline = performance.now() + Number(values.minutes ?? 600) * 60_000;
  await tryAll(chosen, progress, jobs, { all, deadline });
  return report(progress, all);
}

const tree = (): string => git('rev-parse', 'HEAD^{tree}');

/** Prints the score, records a whole run, and returns the exit status. */
function report({ breakages: verdicts, minutes, control }: Progress, all: boolean): number {
  for (const { name, file } of verdicts.filter(({ noticedBy }) => noticedBy === 'nobody')) {
    console.log(`NOBODY NOTICES  ${file}: ${name}`);
  }
  const counted = ['its claim', 'another claim', 'tests', 'the build', 'nobody', 'not run'] as const;
  note({
    breakages: verdicts.length,
    ...Object.fromEntries(counted.map((by) => [by, verdicts.filter(({ noticedBy }) => noticedBy === by).length])),
  });
  console.log(`${table(verdicts)}\n${score(verdicts)}`);
  if (all) record(verdicts, minutes, control);
  return exitStatus(verdicts);
}

/** Writes what was tried into the record, which says how much of the whole that is. */
function record(verdicts: readonly Verdict[], minutes: number, control: Control): void {
  const tried = verdicts.filter(({ noticedBy }) => noticedBy !== 'not run');
  const named = breakages.length;
  console.log(`tried: ${extent(tried.length, named)}`);
  const before = existsSync(recordPath) ? (JSON.parse(readFileSync(recordPath, 'utf8')) as SabotageRecord) : undefined;
  const why = whyNoRecord({ tried: tried.length, named }, git('status', '--porcelain'), before);
  if (why !== undefined) {
    console.log(`not recorded: ${why}`);
    return;
  }
  const whole: SabotageRecord = {
    date: new Date().toISOString(),
    commit: git('rev-parse', 'HEAD'),
    machine: { cpu: cpus()[0]?.model ?? 'unknown', cores: cpus().length, kernel: release(), node: process.version },
    ...{ minutes, control, named },
    rooms: byRoom(tried),
    breakages: tried,
  };
  writeFileSync(recordPath, `${JSON.stringify(whole, null, 2)}\n`);
  console.log(`recorded in ${recordPath}`);
}

process.exit(await main());
