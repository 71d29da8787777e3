/**
 * How a claim is proven. A body is handed a piece of the system and either returns its evidence or
 * fails an assertion. It runs first with the real piece, which must pass, and then with every twin:
 * a deliberately broken piece that must make the same body fail *by an assertion*. A body that its
 * twin passes proves nothing, and a twin that merely crashes the body proves nothing either; both
 * fail the claim. `claim` cannot be called without a twin, so nothing is HELD without one.
 *
 * Results travel in the meta data of the vitest task: `npx vitest run spec` tests, `npm run verify`
 * prints and records.
 */
import { AssertionError } from 'node:assert';
import { test } from 'vitest';
import { Inapplicable } from '../test/sabotage/breakage.ts';
import { claimOf } from './claims.ts';
import { type EnvironmentName, missing } from './environment.ts';
import { provenOver } from './support/broken.ts';

/** A piece, or how to make one (called again for each run of the body). */
export type Supply<Piece> = { make: () => Piece | Promise<Piece>; dispose?: (piece: Piece) => void | Promise<void> };

/** A broken piece, what is wrong with it, and the assertion that must notice. */
export interface Twin<Piece> {
  why: string;
  piece: Supply<Piece>;
  /** What the message of the failed assertion must match. */
  expected: RegExp;
}

/** A twin that is a named breakage of the real files: the body runs over a copy of the tree. */
export interface Sabotaged {
  why: string;
  /** The breakage's name in test/sabotage. */
  breakage: string;
  expected: RegExp;
}

/** What a body returns if it measured its claim and found that it does not hold. */
export class NotMet {
  readonly evidence: string;
  constructor(evidence: string) {
    this.evidence = evidence;
  }
}

/** Evidence as one line, or NotMet with the measured figure. */
export type Evidence = string | NotMet;

export type Body<Piece> = (piece: Piece) => Evidence | Promise<Evidence>;

/** What a claim's test stores in its task's meta data. */
export interface ClaimResult {
  ids: string[];
  /** `file:line` of the specification. */
  place: string;
  /** FAILED until the body has passed with the real piece and failed with every twin. */
  status: 'HELD' | 'NOT MET' | 'SKIPPED' | 'FAILED';
  /** What the environment lacks, for SKIPPED. */
  why?: string;
  /** One line with the measured or counted figure. */
  evidence: string;
  /** Each twin, with the assertion that it failed. */
  twinFailed: { why: string; by: string }[];
  seconds: number;
}

declare module 'vitest' {
  interface TaskMeta {
    claim?: ClaimResult;
  }
}

/** What a specification file registered; the ledger reads it without running any body. */
export interface Definition {
  ids: string[];
  place: string;
  twins: string[];
  needs: EnvironmentName[];
  /** Runs the body with the real piece. */
  run: () => Promise<Evidence>;
}

export interface Settings {
  /** What the environment must offer; if one is absent, the claim is SKIPPED with the reason. */
  needs?: EnvironmentName[];
  /** For the body and all twins together. */
  timeoutMs?: number;
  /** The twins run beside each other: they wait more than they work, and share nothing. */
  together?: boolean;
}

/**
 * Enough for a body that reads the source tree or starts a few processes; slower ones state their
 * own.
 */
const bodyTimeoutMs = 60_000;

let collected: Definition[] | undefined;

/** Wraps a ready value as a supply. */
export function given<Piece>(piece: Piece): Supply<Piece> {
  return { make: () => piece };
}

/**
 * Names a broken piece and says what is wrong with it. `expected` is found in the message of the
 * assertion that names the property: a twin that fails for another reason proves nothing.
 */
export function twin<Piece>(why: string, piece: Supply<Piece>, expected: RegExp): Twin<Piece> {
  return { why, piece, expected };
}

/**
 * A twin made of a named breakage (test/sabotage), over which the body runs with the real piece as
 * the specification makes it; for pieces that are made of imported files, not of the built program.
 */
export function sabotaged(name: string, expected: RegExp): Sabotaged {
  return { why: `a tree in which ${name}`, breakage: name, expected };
}

/**
 * Registers the proof of one claim, or of several that are the same promise on different pages.
 * `body` returns its evidence as one line and must fail by an assertion (node:assert or vitest's
 * expect).
 */
export function claim<Piece>(
  ids: string | string[],
  real: Supply<Piece>,
  body: Body<Piece>,
  twins: [Twin<NoInfer<Piece>> | Sabotaged, ...(Twin<NoInfer<Piece>> | Sabotaged)[]],
  settings: Settings = {},
): void {
  const list = typeof ids === 'string' ? [ids] : ids;
  const needs = settings.needs ?? [];
  const place = placeOfCaller();
  if (collected !== undefined) {
    const run = () => withPiece(real, body);
    collected.push({ ids: list, place, twins: twins.map(({ why }) => why), needs, run });
    return;
  }
  const title = list.map((id) => `${id} ${claimOf(id).sentence}`).join(' | ');
  test(title, { timeout: settings.timeoutMs ?? bodyTimeoutMs }, async ({ task, skip }) => {
    const started = performance.now();
    const seconds = () => (performance.now() - started) / 1000;
    const nothing = { ids: list, place, evidence: '', twinFailed: [], seconds: 0 };
    task.meta.claim = { ...nothing, status: 'FAILED' };
    const why = await missing(needs);
    if (why !== undefined) {
      task.meta.claim = { ...nothing, status: 'SKIPPED', why };
      skip(why);
    }
    const over = (name: string) => provenOver(name, place.split(':', 1)[0]!, list[0]!);
    const { evidence, twinFailed } = await prove(real, body, twins, over, settings.together);
    const met = typeof evidence === 'string';
    task.meta.claim = {
      ...nothing,
      status: met ? 'HELD' : 'NOT MET',
      evidence: met ? evidence : evidence.evidence,
      twinFailed,
      seconds: seconds(),
    };
  });
}

/**
 * Runs the body with the real piece, then with each twin; resolves only if the first passed and all
 * others failed it.
 */
export async function prove<Piece>(
  real: Supply<Piece>,
  body: Body<Piece>,
  twins: (Twin<Piece> | Sabotaged)[],
  over?: (breakage: string) => Promise<Evidence>,
  together = false,
): Promise<{ evidence: Evidence; twinFailed: ClaimResult['twinFailed'] }> {
  if (twins.length === 0) throw new Error('a claim without a twin proves nothing');
  const evidence = await withPiece(real, body);
  const run = (each: Twin<Piece> | Sabotaged) => async (): Promise<Evidence> => {
    if ('piece' in each) return withPiece(each.piece, body);
    if (over === undefined) throw new Error('no tree to break');
    return over(each.breakage);
  };
  const fail = async (each: Twin<Piece> | Sabotaged) => ({ why: each.why, by: await failureOf(each, run(each)) });
  if (together) return { evidence, twinFailed: await allOf(twins.map(fail)) };
  const twinFailed: ClaimResult['twinFailed'] = [];
  for (const each of twins) twinFailed.push(await fail(each));
  return { evidence, twinFailed };
}

/** Their values; rejects like the first that does, but not before all are over. */
async function allOf<Value>(running: Promise<Value>[]): Promise<Value[]> {
  await Promise.allSettled(running);
  return Promise.all(running);
}

async function withPiece<Piece>(supply: Supply<Piece>, body: Body<Piece>): Promise<Evidence> {
  const piece = await supply.make();
  try {
    return await body(piece);
  } finally {
    await supply.dispose?.(piece);
  }
}

/**
 * The first line of the assertion that the twin failed; throws if the twin passed, crashed the
 * body, or failed another assertion than the expected one. NotMet counts as a measured failure.
 */
async function failureOf(
  { why, expected }: { why: string; expected: RegExp },
  run: () => Promise<Evidence>,
): Promise<string> {
  let verdict: Evidence;
  try {
    verdict = await run();
  } catch (error) {
    if (error instanceof Inapplicable) throw error;
    if (!isAssertion(error)) {
      throw new Error(`twin "${why}" crashed the body instead of failing an assertion`, { cause: error });
    }
    if (!expected.test(error.message)) {
      throw new Error(`twin "${why}" failed for another reason than ${expected}: ${error.message}`, { cause: error });
    }
    return error.message.split('\n', 1)[0] ?? '';
  }
  const said = typeof verdict === 'string' ? verdict : `NOT MET: ${verdict.evidence}`;
  throw new Error(`twin "${why}" passed the body, so the body proves nothing (it returned: ${said})`);
}

/** `file:line`, relative to the repository, of the specification that calls `claim`. */
function placeOfCaller(): string {
  const frame = (new Error().stack ?? '').split('\n').find((line) => line.includes('.spec.ts'));
  const found = /(spec\/[^/\s?]+\.spec\.ts)[^:\s]*:(\d+)/.exec(frame ?? '');
  return found === null ? 'spec' : `${found[1]}:${found[2]}`;
}

function isAssertion(error: unknown): error is Error {
  return error instanceof AssertionError || (error instanceof Error && error.name === 'AssertionError');
}

/**
 * Calls `load`, which imports specification files, and returns what they registered instead of
 * testing it.
 */
export async function collect(load: () => Promise<void>): Promise<Definition[]> {
  collected = [];
  try {
    await load();
    return collected;
  } finally {
    collected = undefined;
  }
}
