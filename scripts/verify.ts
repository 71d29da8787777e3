/**
 * `npm run verify`: which claims hold here and now. It runs every specification, or those of the
 * ids it is given, and prints each claim with status, evidence, place and twins. What does not hold
 * is printed last and together. A run over everything writes reports/verify.json and
 * reports/verify.html, the page for people (scripts/page).
 *
 * Beside the specifications run the test files that speak for their claims (spec/tests.ts).
 *
 * Statuses are computed from the run:
 * - HELD: the body passed, every twin failed it, each by the expected assertion, and so did no test
 *   of the claim
 * - NOT MET: measured, and not reached; the evidence is the figure
 * - PENDING: nothing proves it yet; the register says why
 * - SKIPPED: the machine lacks something from the list in spec/environment.ts
 * - POSITION: an assumption or a refusal; there is nothing to run
 * - FAILED: anything else, and a claim that was HELD before (spec/held.json) and is not now
 *
 * Exit status 1 for FAILED, and for SKIPPED unless `--allow-skips` is given.
 */
import { spawnSync } from 'node:child_process';
import { globSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { release } from 'node:os';
import { pathToFileURL } from 'node:url';
import { startVitest, type TestCase, type TestModule } from 'vitest/node';
import type { ClaimResult } from '../spec/claim.ts';
import { type Claim, claims, pageOf } from '../spec/claims.ts';
import { environments } from '../spec/environment.ts';
import { reaches } from '../spec/source.ts';
import { testedClaims } from '../spec/tests.ts';
import { readCommandLine } from './lab/command-line.ts';
import { makeLongRuns, recordsOf } from './long/full.ts';
import { longRuns } from './long/runs.ts';
import { gather } from './page/evidence.ts';
import { pageText } from './page/page.ts';

const reportPath = 'reports/verify.json';
const pagePath = 'reports/verify.html';
/** The ids that were HELD when the ledger was last recorded. */
const ledgerPath = 'spec/held.json';

export type Status = 'HELD' | 'POSITION' | 'NOT MET' | 'PENDING' | 'SKIPPED' | 'FAILED' | 'NOT RUN';

/** In this order they are printed. */
const order: readonly Status[] = ['HELD', 'POSITION', 'PENDING', 'NOT MET', 'SKIPPED', 'FAILED'];

/** One claim of reports/verify.json. */
export interface Outcome {
  id: string;
  sentence: string;
  status: Status;
  /** `file:line` of its specification; empty if there is none. */
  place: string;
  /** The figure of a HELD claim, the reason of any other. */
  evidence: string;
  /** Each broken piece with the assertion it failed. */
  twinFailed: { why: string; by: string }[];
  seconds: number;
  /** Test files that speak for it, and their tests, all of which passed. */
  tests?: { files: number; count: number };
  /** Recorded long runs that support it: where each record is, and what it says. */
  longRuns?: { path: string; says: string }[];
}

/** What the test runner said about one specification. */
export interface Finding {
  result: ClaimResult;
  state: 'passed' | 'failed' | 'skipped' | 'pending';
  errors: string[];
}

/** What a test file said: its tests, and title and message of those that failed. */
export interface Tested {
  count: number;
  failed: string[];
}

const knownSkips = new Set(Object.values(environments).map(({ without }) => without));

/** The status of one specification's claims; if state and result disagree, it is FAILED. */
export function judge({ result, state, errors }: Finding): { status: Status; evidence: string } {
  const judged = result.status === 'HELD' || result.status === 'NOT MET';
  if (state === 'passed' && judged && result.twinFailed.length > 0) {
    return { status: result.status as Status, evidence: result.evidence };
  }
  if (state === 'skipped' && result.status === 'SKIPPED' && knownSkips.has(result.why ?? '')) {
    return { status: 'SKIPPED', evidence: result.why ?? '' };
  }
  const reason = errors[0] ?? result.why ?? 'its specification did not finish';
  return { status: 'FAILED', evidence: reason };
}

/**
 * One outcome for every claim of the register, in its order. `heldBefore`: the ids that must not be
 * lowered; a skip does not lower a claim, the machine does.
 */
export function settle(
  register: readonly Claim[],
  findings: readonly Finding[],
  heldBefore: ReadonlySet<string> = new Set(),
  tests: ReadonlyMap<string, Tested> = new Map(),
): Outcome[] {
  const found = new Map<string, Finding>();
  for (const finding of findings) for (const id of finding.result.ids) found.set(id, finding);
  return register.map((row) => {
    const { id, sentence, kind, pending } = row;
    const finding = found.get(id);
    if (finding !== undefined) {
      const { ids, twinFailed, seconds, place } = finding.result;
      const rounded = Math.round(seconds * 1000) / 1000;
      const outcome = { id, sentence, place, ...judge(finding), twinFailed, seconds: rounded, ...recordsOf(id) };
      const own = [...tests].filter(([file]) => testedClaims.get(file)?.some((each) => ids.includes(each)));
      return lowered(withTests(outcome, own), heldBefore);
    }
    const nothing = { id, sentence, place: '', twinFailed: [], seconds: 0, ...recordsOf(id) };
    if (kind === 'position') return { ...nothing, status: 'POSITION', evidence: 'stated, not tested' };
    if (pending !== undefined) return lowered({ ...nothing, status: 'PENDING', evidence: pending }, heldBefore);
    return { ...nothing, status: 'FAILED', evidence: 'its specification did not report' };
  });
}

/** The same with the tests that speak for the claim, or FAILED if one of them failed. */
function withTests(outcome: Outcome, tests: readonly [string, Tested][]): Outcome {
  if (tests.length === 0 || outcome.status === 'FAILED') return outcome;
  const [failed] = tests.flatMap(([file, { count, failed: titles }]) =>
    (count === 0 && titles.length === 0 ? ['no test of it ran'] : titles).map((title) => `${file}: ${title}`),
  );
  if (failed !== undefined) return { ...outcome, status: 'FAILED', evidence: failed };
  return { ...outcome, tests: { files: tests.length, count: tests.reduce((sum, [, { count }]) => sum + count, 0) } };
}

/** The same, or FAILED if a claim that was HELD has a lower status now. */
function lowered(outcome: Outcome, heldBefore: ReadonlySet<string>): Outcome {
  if (!heldBefore.has(outcome.id) || !['PENDING', 'NOT MET'].includes(outcome.status)) return outcome;
  const evidence = `it was HELD and is ${outcome.status} now: ${outcome.evidence}`;
  return { ...outcome, status: 'FAILED', evidence };
}

/**
 * Text for a terminal: control characters, which a quoted log line may contain, are shown as
 * escapes.
 */
function printable(text: string): string {
  return Array.from(text, (character) => {
    const code = character.codePointAt(0) ?? 0;
    return code < 32 || (code > 126 && code < 160) ? `\\x${code.toString(16).padStart(2, '0')}` : character;
  }).join('');
}

const indent = ' '.repeat(13);

function describeOutcome(outcome: Outcome): string {
  const { id, sentence, status, evidence, place, twinFailed, seconds, tests, longRuns: recorded = [] } = outcome;
  const head = id.padEnd(indent.length);
  const where = place === '' ? '' : `\n${indent}${place}`;
  if (status !== 'HELD' && status !== 'NOT MET')
    return `${head}${status}(${printable(evidence)})\n${indent}${sentence}${where}`;
  const lines = [`${head}${status}  ${printable(evidence)}  [${seconds.toFixed(2)} s]`, `${indent}${sentence}${where}`];
  for (const { why, by } of twinFailed) lines.push(`${indent}twin "${printable(why)}" fails: ${printable(by)}`);
  if (tests !== undefined) lines.push(`${indent}${tests.count} tests of ${tests.files} files pass`);
  for (const { says, path } of recorded) lines.push(`${indent}long run, ${path}: ${printable(says)}`);
  return lines.join('\n');
}

function summary(outcomes: readonly Outcome[]): string {
  const count = (status: Status) => outcomes.filter((outcome) => outcome.status === status).length;
  return `${outcomes.length} claims: ${order.map((status) => `${count(status)} ${status}`).join(', ')}`;
}

function findingOf(testCase: TestCase): Finding | undefined {
  const result = testCase.meta().claim;
  if (result === undefined) return undefined;
  const { state, errors } = testCase.result();
  return { result, state, errors: (errors ?? []).map(({ message }) => message) };
}

/** Specification files that name one of `ids`. */
export function specificationsOf(ids: readonly string[]): string[] {
  return globSync('spec/*.spec.ts').filter((path) => {
    const text = readFileSync(path, 'utf8');
    return ids.some((id) => text.includes(`'${id}'`));
  });
}

/**
 * Specification files that a change since `revision` may affect: those that import a changed file,
 * directly or not; and, if the program changed, those that start the built program or read the tree
 * as text; and test files that import a changed file.
 */
function filesTouchedSince(revision: string): Pick<Selection, 'files' | 'tests'> {
  const git = (...args: string[]) => spawnSync('git', args, { encoding: 'utf8' }).stdout.split('\n').filter(Boolean);
  const changed = new Set([
    ...git('diff', '--name-only', revision),
    ...git('ls-files', '--others', '--exclude-standard'),
  ]);
  const program = [...changed].some((path) => /^(src|native|scripts|bin|package)/.test(path));
  const files = globSync('spec/*.spec.ts').filter((path) => {
    const text = readFileSync(path, 'utf8');
    if (program && (path.includes('.kernel.') || text.includes('readTree('))) return true;
    return reaches(path, changed);
  });
  return { files, tests: [...testedClaims.keys()].filter((path) => reaches(path, changed)) };
}

interface Selection {
  /** Specification files to run. */
  files: string[];
  /** Test files to run beside them; absent: those of the claims that they prove. */
  tests?: string[];
  /** Rows to settle and to print. */
  register: readonly Claim[];
  /** Title pattern, if single claims were asked for. */
  pattern?: RegExp;
}

/** What a run found out. */
interface Found {
  findings: Finding[];
  /** Problems besides claims. */
  troubles: string[];
  /** By test file. */
  tests: Map<string, Tested>;
}

/** The test files that speak for one of `ids`. */
const testsOf = (ids: readonly string[]): string[] =>
  [...testedClaims].filter(([, own]) => own.some((id) => ids.includes(id))).map(([file]) => file);

/** Runs specifications and tests of a selection; `first`: until something fails. */
async function run({ files, tests, pattern }: Selection, first: boolean): Promise<Found> {
  const found: Found = { findings: [], troubles: [], tests: new Map() };
  await runFiles([...files, ...(tests ?? [])], found, first, pattern);
  if (tests === undefined && !(first && found.findings.some((finding) => judge(finding).status === 'FAILED'))) {
    await runFiles(testsOf(found.findings.flatMap(({ result }) => result.ids)), found, first);
  }
  return found;
}

async function runFiles(files: readonly string[], found: Found, first: boolean, pattern?: RegExp): Promise<void> {
  const { findings, troubles, tests } = found;
  if (files.length === 0) return;
  for (const file of files) if (testedClaims.has(file)) tests.set(file, { count: 0, failed: [] });
  const progress = {
    onTestCaseResult(testCase: TestCase) {
      const finding = findingOf(testCase);
      if (finding === undefined) {
        const { state, errors } = testCase.result();
        const tested = tests.get(testCase.module.relativeModuleId);
        if (tested !== undefined) tested.count++;
        if (state === 'failed')
          (tested?.failed ?? troubles).push(`${testCase.fullName}: ${errors?.[0]?.message ?? 'it failed'}`);
        return;
      }
      findings.push(finding);
      const { status } = judge(finding);
      console.log(`${status.padEnd(8)} ${finding.result.ids.join(' ')}  (${finding.result.seconds.toFixed(2)} s)`);
    },
    onTestRunEnd(modules: readonly TestModule[], unhandled: readonly { message?: string }[]) {
      for (const module of modules) {
        const place = tests.get(module.relativeModuleId)?.failed ?? troubles;
        for (const { message } of module.errors()) place.push(`${module.relativeModuleId}: ${message}`);
      }
      for (const { message } of unhandled) troubles.push(`unhandled: ${message ?? 'unknown error'}`);
    },
  };
  const vitest = await startVitest([...files], {
    watch: false,
    run: true,
    reporters: [progress],
    passWithNoTests: true,
    bail: first ? 1 : 0,
    ...(pattern === undefined ? {} : { testNamePattern: pattern }),
  });
  await vitest.close();
  // Those that a run did not come to have nothing to say.
  const hasFailed =
    troubles.length > 0 ||
    findings.some((finding) => judge(finding).status === 'FAILED') ||
    [...tests.values()].some(({ failed }) => failed.length > 0);
  if (first && hasFailed) {
    for (const [file, { count, failed }] of tests) if (count + failed.length === 0) tests.delete(file);
  }
}

/** Prints what holds first, and what does not hold last and together; returns the exit status. */
export function report(outcomes: readonly Outcome[], troubles: readonly string[], allowSkips: boolean): number {
  console.log('');
  for (const status of order) {
    for (const outcome of outcomes.filter((each) => each.status === status)) console.log(describeOutcome(outcome));
  }
  console.log('');
  for (const trouble of troubles) console.log(`TROUBLE  ${printable(trouble)}`);
  const has = (wanted: Status) => outcomes.some(({ status }) => status === wanted);
  if (has('SKIPPED') && !allowSkips) console.log('SKIPPED claims count as failed; --allow-skips lets them pass');
  return troubles.length > 0 || has('FAILED') || (has('SKIPPED') && !allowSkips) ? 1 : 0;
}

const usage = `npm run verify -- [ID…] [--changed [--since REVISION]] [--first] [--list] [--allow-skips] [--json] [--page] [--record]
               [--full [--only NAME]]

  Runs every specification, or those of the given claims, and prints each claim with its status, evidence and twins.
  A run over everything writes ${reportPath} and ${pagePath}, one page with every claim.

  --changed       only what the changes since the last commit may touch
  --since REV     with --changed: since that revision
  --first         ends at the first claim that fails; claims that it did not come to are left out
  --list          the register: id, sentence, and why a claim is pending; runs nothing
  --allow-skips   claims that this machine cannot check do not fail the run
  --json          prints the outcomes as JSON on standard output, everything else on standard error
  --page          writes ${pagePath} for single claims too; the others are shown as not run
  --full          makes the long runs first, each by its own command and recorded in test/evidence:
                  ${longRuns.map(({ name }) => name).join(', ')}; about ${Math.round(longRuns.reduce((sum, { minutes }) => sum + minutes, 0) / 60)} hours
  --only NAME     with --full: that run alone, and no specification
  --record        writes the claims that hold into ${ledgerPath}; none of them may be lowered later

  Exit status 1 when a claim that should hold does not, or is skipped.`;

async function main(): Promise<number> {
  const flag = { type: 'boolean' } as const;
  const { values, positionals, misuse } = readCommandLine(
    'verify',
    usage,
    {
      changed: flag,
      since: { type: 'string' },
      first: flag,
      list: flag,
      'allow-skips': flag,
      record: flag,
      json: flag,
      page: flag,
      full: flag,
      only: { type: 'string' },
    },
    true,
  );
  const unknown = positionals.filter((id) => !claims.some((row) => row.id === id));
  if (unknown.length > 0) misuse(`no claim has the id ${unknown.join(', ')}; --list prints them all`);
  if (values.list) {
    for (const { id, sentence, pending, kind } of claims) {
      const note = kind === 'position' ? ' [position]' : pending === undefined ? '' : ` [pending: ${pending}]`;
      console.log(`${id.padEnd(indent.length)}${sentence}${note}`);
    }
    return 0;
  }
  if (values.only !== undefined && !longRuns.some(({ name }) => name === values.only))
    misuse(`no long run is called ${values.only}`);
  const whole = positionals.length === 0 && !values.changed;
  if (values.full !== undefined && !whole) misuse('--full is for everything');
  if (values.only !== undefined && !values.full) misuse('--only needs --full');
  const long = values.full ? makeLongRuns(values.only) : [];
  if (values.only !== undefined) return long.length > 0 ? 1 : 0;
  // If a program reads standard output, text for people goes to standard error.
  if (values.json) console.log = console.error;
  if (values.record && !whole) misuse('--record needs a run over everything');
  const selection = select(positionals, values.changed ? (values.since ?? 'HEAD') : undefined);
  if (selection.files.length + (selection.tests?.length ?? 0) === 0) {
    console.log(whole || values.changed ? 'no specification is touched' : 'these claims have no specification yet');
  }
  const started = performance.now();
  const { findings, troubles, tests } = await run(selection, values.first ?? false);
  troubles.push(...long);
  const heldBefore = new Set<string>(JSON.parse(readFileSync(ledgerPath, 'utf8')));
  const settled = settle(selection.register, findings, heldBefore, tests);
  const reported = new Set(findings.flatMap(({ result }) => result.ids));
  for (const [file, { failed }] of tests) {
    if (!testedClaims.get(file)!.some((id) => reported.has(id)))
      troubles.push(...failed.map((text) => `${file}: ${text}`));
  }
  const outcomes = values.changed || values.first ? settled.filter(({ id }) => reported.has(id)) : settled;
  if (values.json) process.stdout.write(`${JSON.stringify({ claims: outcomes, troubles }, null, 2)}\n`);
  const status = report(outcomes, troubles, values['allow-skips'] ?? false);
  const seconds = Math.round(performance.now() - started) / 1000;
  if (whole) writeReport(outcomes, seconds);
  if (whole || values.page) writePage(outcomes, seconds);
  if (values.record && status === 0) {
    const held = outcomes.filter((outcome) => outcome.status === 'HELD').map(({ id }) => id);
    writeFileSync(ledgerPath, `${JSON.stringify(held, null, 2)}\n`);
  }
  console.log(
    `${summary(outcomes)} in ${seconds.toFixed(1)} s${whole ? `; written to ${reportPath} and ${pagePath}` : ''}`,
  );
  return status;
}

/** What to run for the ids, or for the changes since a revision, or everything. */
function select(ids: readonly string[], since: string | undefined): Selection {
  if (since !== undefined) return { ...filesTouchedSince(since), register: claims };
  if (ids.length === 0) return { files: ['spec/'], tests: [...testedClaims.keys()], register: claims };
  const pattern = new RegExp(`(^|\\| )(${ids.join('|').replaceAll('.', '\\.')}) `);
  return { files: specificationsOf(ids), register: claims.filter(({ id }) => ids.includes(id)), pattern };
}

const machine = { node: process.version, platform: process.platform, arch: process.arch, kernel: release() };

function writeReport(outcomes: readonly Outcome[], seconds: number): void {
  mkdirSync('reports', { recursive: true });
  const report = { date: new Date().toISOString(), seconds, ...machine, claims: outcomes };
  writeFileSync(reportPath, `${JSON.stringify(report, null, 2)}\n`);
}

/** The page for people; it marks claims that this run left out. */
function writePage(ran: readonly Outcome[], seconds: number): void {
  const byId = new Map(ran.map((outcome) => [outcome.id, outcome]));
  const outcomes = settle(claims, []).map((other): Outcome => {
    const evidence = 'not asked for in this run';
    return byId.get(other.id) ?? (other.status === 'FAILED' ? { ...other, status: 'NOT RUN', evidence } : other);
  });
  mkdirSync('reports', { recursive: true });
  const date = `${new Date().toISOString().slice(0, 16).replace('T', ' ')} UTC`;
  writeFileSync(pagePath, pageText({ date, seconds, facts: machine, outcomes, pageOf }, gather()));
}

if (process.argv[1] !== undefined && import.meta.url === pathToFileURL(process.argv[1]).href) {
  process.exit(await main());
}
