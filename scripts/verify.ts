/**
 * `npm run verify`: which claims hold here and now. Runs every specification, prints each claim of
 * the register with its status and evidence as results come in, and writes reports/verify.json.
 * Statuses are computed from the run: HELD the body passed and every twin failed it PENDING nothing
 * proves it yet; the register says why SKIPPED the machine lacks something from the known list
 * POSITION an assumption or a refusal; nothing to run FAILED anything else: then the exit code is
 * 1.
 */
import { mkdirSync, writeFileSync } from 'node:fs';
import { pathToFileURL } from 'node:url';
import { startVitest, type TestCase, type TestModule } from 'vitest/node';
import type { ClaimResult } from '../spec/claim.ts';
import { type Claim, claims } from '../spec/claims.ts';
import { environments } from '../spec/environment.ts';
import { readCommandLine } from './lab/command-line.ts';

const reportPath = 'reports/verify.json';

export type Status = 'HELD' | 'PENDING' | 'SKIPPED' | 'POSITION' | 'FAILED';

/** One claim of reports/verify.json. */
export interface Outcome {
  id: string;
  sentence: string;
  status: Status;
  /** The figure of a HELD claim, the reason of any other. */
  evidence: string;
  /** Each broken piece with the assertion it failed. */
  twinFailed: { why: string; by: string }[];
  seconds: number;
}

/** What the test runner said about one specification. */
export interface Finding {
  result: ClaimResult;
  state: 'passed' | 'failed' | 'skipped' | 'pending';
  errors: string[];
}

const knownSkips = new Set(Object.values(environments).map(({ without }) => without));

/** The status of one specification's claims; a state and a result that disagree mean FAILED. */
export function judge({ result, state, errors }: Finding): { status: Status; evidence: string } {
  if (state === 'passed' && result.status === 'HELD' && result.twinFailed.length > 0) {
    return { status: 'HELD', evidence: result.evidence };
  }
  if (state === 'skipped' && result.status === 'SKIPPED' && knownSkips.has(result.why ?? '')) {
    return { status: 'SKIPPED', evidence: result.why ?? '' };
  }
  const reason = errors[0] ?? result.why ?? 'its specification did not finish';
  return { status: 'FAILED', evidence: reason };
}

/** One outcome for every claim of the register, in its order. */
export function settle(register: readonly Claim[], findings: readonly Finding[]): Outcome[] {
  const found = new Map<string, Finding>();
  for (const finding of findings) for (const id of finding.result.ids) found.set(id, finding);
  return register.map((row) => {
    const { id, sentence, kind, pending } = row;
    const finding = found.get(id);
    if (finding !== undefined) {
      const { twinFailed, seconds } = finding.result;
      return { id, sentence, ...judge(finding), twinFailed, seconds: Math.round(seconds * 1000) / 1000 };
    }
    const nothing = { id, sentence, twinFailed: [], seconds: 0 };
    if (kind === 'position') return { ...nothing, status: 'POSITION', evidence: 'stated, not tested' };
    if (pending !== undefined) return { ...nothing, status: 'PENDING', evidence: pending };
    return { ...nothing, status: 'FAILED', evidence: 'its specification did not report' };
  });
}

/**
 * Text for a terminal: control characters, which a quoted log line may hold, are shown as escapes.
 */
function printable(text: string): string {
  return Array.from(text, (character) => {
    const code = character.codePointAt(0) ?? 0;
    return code < 32 || (code > 126 && code < 160) ? `\\x${code.toString(16).padStart(2, '0')}` : character;
  }).join('');
}

const indent = ' '.repeat(13);

function describeOutcome({ id, sentence, status, evidence, twinFailed, seconds }: Outcome): string {
  const head = id.padEnd(indent.length);
  if (status !== 'HELD') return `${head}${status}(${printable(evidence)})\n${indent}${sentence}`;
  const lines = [`${head}HELD  ${printable(evidence)}  [${seconds.toFixed(2)} s]`, `${indent}${sentence}`];
  for (const { why, by } of twinFailed) lines.push(`${indent}twin "${printable(why)}" fails: ${printable(by)}`);
  return lines.join('\n');
}

function summary(outcomes: readonly Outcome[]): string {
  const count = (status: Status) => outcomes.filter((outcome) => outcome.status === status).length;
  return (
    `${outcomes.length} claims: ${count('HELD')} HELD, ${count('PENDING')} PENDING, ${count('SKIPPED')} SKIPPED, ` +
    `${count('POSITION')} POSITION, ${count('FAILED')} FAILED`
  );
}

function findingOf(testCase: TestCase): Finding | undefined {
  const result = testCase.meta().claim;
  if (result === undefined) return undefined;
  const { state, errors } = testCase.result();
  return { result, state, errors: (errors ?? []).map(({ message }) => message) };
}

async function main(): Promise<number> {
  const started = performance.now();
  const findings: Finding[] = [];
  const troubles: string[] = [];
  const progress = {
    onTestCaseResult(testCase: TestCase) {
      const finding = findingOf(testCase);
      if (finding === undefined) {
        if (testCase.result().state === 'failed') troubles.push(`${testCase.fullName}: a check inside spec/ failed`);
        return;
      }
      findings.push(finding);
      const { status } = judge(finding);
      console.log(`… ${status.padEnd(7)} ${finding.result.ids.join(' ')}  (${finding.result.seconds.toFixed(2)} s)`);
    },
    onTestRunEnd(modules: readonly TestModule[], unhandled: readonly { message?: string }[]) {
      for (const module of modules) {
        for (const { message } of module.errors()) troubles.push(`${module.relativeModuleId}: ${message}`);
      }
      for (const { message } of unhandled) troubles.push(`unhandled: ${message ?? 'unknown error'}`);
    },
  };
  console.log('Running the specifications…');
  const vitest = await startVitest(['spec/'], {
    watch: false,
    run: true,
    reporters: [progress],
    passWithNoTests: true,
  });
  await vitest.close();

  const outcomes = settle(claims, findings);
  console.log('');
  for (const outcome of outcomes) console.log(describeOutcome(outcome));
  mkdirSync('reports', { recursive: true });
  const seconds = Math.round(performance.now() - started) / 1000;
  const facts = { node: process.version, platform: process.platform, arch: process.arch };
  writeFileSync(
    reportPath,
    `${JSON.stringify({ date: new Date().toISOString(), seconds, ...facts, claims: outcomes }, null, 2)}\n`,
  );
  console.log('');
  for (const trouble of troubles) console.log(`TROUBLE  ${printable(trouble)}`);
  console.log(`${summary(outcomes)} in ${seconds.toFixed(1)} s; written to ${reportPath}`);
  return troubles.length > 0 || outcomes.some(({ status }) => status === 'FAILED') ? 1 : 0;
}

const usage = `npm run verify

  Runs every specification, prints each claim of the register with its status and evidence, and writes ${reportPath}.
  Exit status 1 when a claim that should hold does not.`;

if (process.argv[1] !== undefined && import.meta.url === pathToFileURL(process.argv[1]).href) {
  readCommandLine('verify', usage, {});
  process.exit(await main());
}
