/**
 * The test runner of `npm run mutation`: a Stryker plugin that loads the judging tests once per
 * process and then only calls them. Starting vitest anew for each of 8,000 mutants takes seconds,
 * most tests take microseconds.
 *
 * A mutant is tried by the tests that cover it, those that found the mutants before it first, then
 * the quickest. Since all mutants share a process, one may leave something behind: a test that
 * fails counts only if it passes again without the mutant. If it does not, the process is given up,
 * and the mutant is tried again as the first of a new one. A mutant that never ends is noticed by
 * how often one test passes it.
 */
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { enableCompileCache, registerHooks } from 'node:module';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { INSTRUMENTER_CONSTANTS, type InstrumenterContext } from '@stryker-mutator/api/core';
import { declareFactoryPlugin, PluginKind } from '@stryker-mutator/api/plugin';
import {
  type DryRunResult,
  DryRunStatus,
  type MutantRunOptions,
  type MutantRunResult,
  MutantRunStatus,
  type TestResult,
  type TestRunner,
  TestStatus,
} from '@stryker-mutator/api/test-runner';
import { isLeftOut, judgesUnder } from './judges.ts';
import { enterFile, type Test, tests } from './vitest.ts';

/** The variables that the instrumented code reads. */
const globals = globalThis as unknown as Record<string, InstrumenterContext | undefined>;
const instrumenter: InstrumenterContext = globals[INSTRUMENTER_CONSTANTS.NAMESPACE] ?? {};
globals[INSTRUMENTER_CONSTANTS.NAMESPACE] = instrumenter;

/** Tests get the file of the same name in this folder instead of these packages. */
const replaced = ['vitest', 'fast-check'];

function replacePackages(): void {
  registerHooks({
    resolve(specifier, context, next) {
      const ours = replaced.includes(specifier) && context.parentURL?.startsWith(import.meta.dirname) !== true;
      const mine = pathToFileURL(join(import.meta.dirname, `${specifier}.ts`)).href;
      return ours && context.parentURL !== mine ? { url: mine, shortCircuit: true } : next(specifier, context);
    },
  });
}

/**
 * A test may pass the place of a mutant this many times as often as it passes its busiest place
 * without one, and this often more; what does so more often is endless.
 */
const passesTimes = 4;
const passesMore = 100_000;
/** By test: the passes of its busiest place in the first run. */
const passes = new Map<string, number>();
const passesMax = (id: string): number => passesTimes * (passes.get(id) ?? 0) + passesMore;
/** The most passes of a test that judges: a busier one could take as long as `timeoutMS`. */
const passesUnmutatedMax = 25_000_000;

/**
 * CPU seconds of tests that a mutant has to survive. No test begins after that time, and a test
 * that takes longer by itself does not judge. Nearly all mutants that are found are found in
 * milliseconds; without this bound the others would take most hours of a run. The bound can only
 * lower the score, never raise it. `timeoutMS` (stryker.config.json) is several times as long: what
 * takes that long never ends.
 */
const trialSecondsMax = 1.5;
/** The same bound where tests wait instead of computing, seconds of `ownTime`. */
const trialWaitSecondsMax = 3 * trialSecondsMax;

/**
 * Where the first run leaves how long each test takes, and its passes, for the other processes.
 * They all run in the same copy of the project.
 */
const timesFile = 'test-times.json';
interface FirstRun {
  passes: Record<string, number>;
  milliseconds: Record<string, number>;
}

/**
 * A clock in milliseconds that stands while other programs have the processor, so that a busy
 * machine gives a mutant as much time as a quiet one.
 */
function ownTime(): number {
  const [, queuedNanoseconds] = readFileSync('/proc/self/schedstat', 'latin1').split(' ');
  return performance.now() - Number(queuedNanoseconds) / 1e6;
}

let loaded = false;

async function load(): Promise<void> {
  if (loaded) return;
  loaded = true;
  const root = process.cwd();
  // A process that an endless mutant ended is followed by another: it need not compile everything.
  enableCompileCache(join(root, 'compiled'));
  replacePackages();
  for (const path of judgesUnder(root, process.env.MUTATION_ROOM ?? 'engine')) {
    enterFile(path);
    await import(pathToFileURL(join(root, path)).href);
  }
  if (!existsSync(timesFile)) return;
  const first = JSON.parse(readFileSync(timesFile, 'utf8')) as FirstRun;
  for (const [id, most] of Object.entries(first.passes)) passes.set(id, most);
  for (const [id, time] of Object.entries(first.milliseconds)) milliseconds.set(id, time);
}

/** A test that waits for a state does so three times as long as it usually takes, and this, ms. */
const untilSlackMs = 500;

/** A test that hangs is given up after three times its usual time and this, ms. */
const hangSlackMs = 4_000;
/** Whether the last test hung: it goes on in the background, so its process is given up. */
let hangs = false;

/** The message of the failure, or nothing. */
async function failureOf(test: Test): Promise<string | undefined> {
  const usual = milliseconds.get(test.id);
  if (usual !== undefined) process.env.UNTIL_MS = String(Math.round(3 * usual + untilSlackMs));
  hangs = false;
  const limit = usual === undefined ? undefined : AbortSignal.timeout(Math.round(3 * usual + hangSlackMs));
  const hanging = new Promise<never>((_, reject) => {
    limit?.addEventListener('abort', () => {
      hangs = true;
      reject(new Error(`${test.id} hangs`));
    });
  });
  try {
    await Promise.race([test.run(), hanging]);
    return undefined;
  } catch (error) {
    return error instanceof Error ? error.message : String(error);
  }
}

/** Duration of each test, from its last run that found nothing. */
const milliseconds = new Map<string, number>();
/** When a test last found a mutant: the most recent ones are tried first. */
const foundAt = new Map<string, number>();
let mutants = 0;
/** Whether the last mutant left something that makes tests fail. */
let isSpoiled = false;

function inOrder(ids: string[]): Test[] {
  const rank = (id: string) => foundAt.get(id) ?? 0;
  const time = (id: string) => milliseconds.get(id) ?? 1;
  return ids
    .filter((id) => time(id) <= trialSecondsMax * 1000)
    .sort((a, b) => rank(b) - rank(a) || time(a) - time(b))
    .map((id) => tests.get(id)!);
}

/** A test that passes a mutant too often does not judge: it could seem to be endless. */
function setBusyAside(results: TestResult[], coverage: Record<string, Record<string, number>>): void {
  for (const [id, places] of Object.entries(coverage)) {
    const most = Math.max(0, ...Object.values(places));
    passes.set(id, most);
    if (most <= passesUnmutatedMax) continue;
    console.error(`does not judge, since it passes a mutant ${most} times: ${id}`);
    delete coverage[id];
    const at = results.findIndex((result) => result.id === id);
    const { name, timeSpentMs } = results[at]!;
    results[at] = { id, name, timeSpentMs, status: TestStatus.Skipped };
  }
}

/** If a larger share of the tests fails without a mutant, the run itself is at fault. */
const unfitShareMax = 0.1;

/**
 * Tests that fail without a mutant do not judge: those that count the runs of a property, which are
 * fewer here, or that depend on each other. They are named.
 */
function setAside(results: TestResult[], coverage: Record<string, unknown>): void {
  const unfit = results.filter(({ status }) => status === TestStatus.Failed);
  if (unfit.length > results.length * unfitShareMax) return;
  for (const { id } of unfit) {
    console.error(`does not judge, since it fails without a mutant: ${id}`);
    delete coverage[id];
    const at = results.findIndex((result) => result.id === id);
    const { name, timeSpentMs } = results[at]!;
    results[at] = { id, name, timeSpentMs, status: TestStatus.Skipped };
  }
}

/** A test that only passes once in a process does not judge. The slow ones do not anyway. */
async function again(result: TestResult): Promise<void> {
  if (result.status !== TestStatus.Success || result.timeSpentMs > trialSecondsMax * 1000) return;
  const failureMessage = await failureOf(tests.get(result.id)!);
  if (failureMessage !== undefined) Object.assign(result, { status: TestStatus.Failed, failureMessage });
}

class InProcessRunner implements TestRunner {
  /**
   * No mutant needs a new process: one that is passed while files are loaded, and by tests too, is
   * active in the tests only (`ignoreStatic`).
   */
  capabilities() {
    return { reloadEnvironment: true };
  }

  async dryRun(): Promise<DryRunResult> {
    delete instrumenter.activeMutant;
    await load();
    const results: TestResult[] = [];
    for (const id of tests.keys()) if (isLeftOut(id)) tests.delete(id);
    for (const test of tests.values()) {
      instrumenter.currentTestId = test.id;
      const start = ownTime();
      const failureMessage = await failureOf(test);
      const timeSpentMs = ownTime() - start;
      milliseconds.set(test.id, timeSpentMs);
      const outcome =
        failureMessage === undefined
          ? { status: TestStatus.Success as const }
          : { status: TestStatus.Failed as const, failureMessage };
      results.push({ id: test.id, name: test.name, timeSpentMs, ...outcome });
    }
    delete instrumenter.currentTestId;
    for (const result of results) await again(result);
    const mutantCoverage = instrumenter.mutantCoverage ?? { static: {}, perTest: {} };
    setAside(results, mutantCoverage.perTest);
    setBusyAside(results, mutantCoverage.perTest);
    for (const { id, timeSpentMs } of results) {
      if (timeSpentMs > trialSecondsMax * 1000)
        console.error(`does not judge, since it takes ${(timeSpentMs / 1000).toFixed(1)} s: ${id}`);
    }
    const first: FirstRun = { passes: Object.fromEntries(passes), milliseconds: Object.fromEntries(milliseconds) };
    writeFileSync(timesFile, JSON.stringify(first));
    return { status: DryRunStatus.Complete, tests: results, mutantCoverage };
  }

  async mutantRun({ activeMutant, testFilter, mutantActivation }: MutantRunOptions): Promise<MutantRunResult> {
    const activate = (): void => {
      instrumenter.activeMutant = activeMutant.id;
    };
    if (isSpoiled) throw new Error('a mutant left something behind');
    if (mutantActivation === 'static') activate();
    await load();
    mutants++;
    let nrOfTests = 0;
    const begun = process.cpuUsage();
    const waitsUntil = ownTime() + trialWaitSecondsMax * 1000;
    try {
      for (const test of inOrder(testFilter ?? [...tests.keys()])) {
        if (process.cpuUsage(begun).user > trialSecondsMax * 1e6 || ownTime() > waitsUntil) break;
        nrOfTests++;
        activate();
        instrumenter.hitCount = 0;
        instrumenter.hitLimit = passesMax(test.id);
        const start = ownTime();
        const failureMessage = await failureOf(test);
        if (failureMessage === undefined) {
          milliseconds.set(test.id, ownTime() - start);
          continue;
        }
        const isEndless = instrumenter.hitCount > passesMax(test.id);
        delete instrumenter.activeMutant;
        const hung = hangs;
        const fails = mutantActivation === 'runtime' && (await failureOf(test)) !== undefined;
        isSpoiled = fails || hung;
        // The first mutant of a process cannot suffer from an earlier one.
        if (fails && mutants > 1) throw new Error(`${test.id} fails without the mutant too`);
        foundAt.set(test.id, mutants);
        if (isEndless) return { status: MutantRunStatus.Timeout, reason: `${test.id} does not end` };
        return { status: MutantRunStatus.Killed, killedBy: [test.id], failureMessage, nrOfTests };
      }
      return { status: MutantRunStatus.Survived, nrOfTests };
    } finally {
      delete instrumenter.activeMutant;
    }
  }
}

const create = Object.assign(() => new InProcessRunner(), { inject: [] as const });
export const strykerPlugins = [declareFactoryPlugin(PluginKind.TestRunner, 'in-process', create)];
