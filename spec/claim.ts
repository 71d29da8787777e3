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
import { claimOf } from './claims.ts';
import { type EnvironmentName, missing } from './environment.ts';

/** A piece, or how to make one (called anew for each run of the body). */
export type Supply<Piece> = { make: () => Piece | Promise<Piece>; dispose?: (piece: Piece) => void | Promise<void> };

/** A broken piece and what is wrong with it. */
export interface Twin<Piece> {
  why: string;
  piece: Supply<Piece>;
}

/** What a claim's test leaves in its task's meta data. */
export interface ClaimResult {
  ids: string[];
  /** FAILED until the body has passed with the real piece and failed with every twin. */
  status: 'HELD' | 'SKIPPED' | 'FAILED';
  /** What the environment lacks, for SKIPPED. */
  why?: string;
  /** One line with the figure that was measured or counted. */
  evidence: string;
  /** Each twin with the assertion it failed. */
  twinFailed: { why: string; by: string }[];
  seconds: number;
}

declare module 'vitest' {
  interface TaskMeta {
    claim?: ClaimResult;
  }
}

/** What a specification file registered; the ledger reads these without running any body. */
export interface Definition {
  ids: string[];
  twins: string[];
  needs: EnvironmentName[];
}

export interface Settings {
  /** What the surroundings must offer; where one is absent the claim is SKIPPED with the reason. */
  needs?: EnvironmentName[];
  /** For the body and all twins together. */
  timeoutMs?: number;
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

/** Names a broken piece and says what is wrong with it. */
export function twin<Piece>(why: string, piece: Supply<Piece>): Twin<Piece> {
  return { why, piece };
}

/**
 * Registers the proof of one claim, or of several that are the same promise on different pages.
 * `body` returns its evidence as one line and must fail by an assertion (node:assert or vitest's
 * expect).
 */
export function claim<Piece>(
  ids: string | string[],
  real: Supply<Piece>,
  body: (piece: Piece) => string | Promise<string>,
  twins: [Twin<NoInfer<Piece>>, ...Twin<NoInfer<Piece>>[]],
  settings: Settings = {},
): void {
  const list = typeof ids === 'string' ? [ids] : ids;
  const needs = settings.needs ?? [];
  if (collected !== undefined) {
    collected.push({ ids: list, twins: twins.map(({ why }) => why), needs });
    return;
  }
  const title = list.map((id) => `${id} ${claimOf(id).sentence}`).join(' | ');
  test(title, { timeout: settings.timeoutMs ?? bodyTimeoutMs }, async ({ task, skip }) => {
    const started = performance.now();
    const seconds = () => (performance.now() - started) / 1000;
    const nothing = { ids: list, evidence: '', twinFailed: [], seconds: 0 };
    task.meta.claim = { ...nothing, status: 'FAILED' };
    const why = await missing(needs);
    if (why !== undefined) {
      task.meta.claim = { ...nothing, status: 'SKIPPED', why };
      skip(why);
    }
    const { evidence, twinFailed } = await prove(real, body, twins);
    task.meta.claim = { ids: list, status: 'HELD', evidence, twinFailed, seconds: seconds() };
  });
}

/**
 * Runs the body with the real piece, then with each twin; resolves only if the first passed and all
 * others failed it.
 */
export async function prove<Piece>(
  real: Supply<Piece>,
  body: (piece: Piece) => string | Promise<string>,
  twins: Twin<Piece>[],
): Promise<{ evidence: string; twinFailed: ClaimResult['twinFailed'] }> {
  if (twins.length === 0) throw new Error('a claim without a twin proves nothing');
  const evidence = await withPiece(real, body);
  const twinFailed: ClaimResult['twinFailed'] = [];
  for (const { why, piece } of twins) twinFailed.push({ why, by: await failureOf(why, piece, body) });
  return { evidence, twinFailed };
}

async function withPiece<Piece>(supply: Supply<Piece>, body: (piece: Piece) => string | Promise<string>) {
  const piece = await supply.make();
  try {
    return await body(piece);
  } finally {
    await supply.dispose?.(piece);
  }
}

/** First line of the assertion that the twin failed; throws where it passed or crashed instead. */
async function failureOf<Piece>(why: string, supply: Supply<Piece>, body: (piece: Piece) => string | Promise<string>) {
  let verdict: string;
  try {
    verdict = await withPiece(supply, body);
  } catch (error) {
    if (isAssertion(error)) return error.message.split('\n', 1)[0] ?? '';
    throw new Error(`twin "${why}" crashed the body instead of failing an assertion`, { cause: error });
  }
  throw new Error(`twin "${why}" passed the body, so the body proves nothing (it returned: ${verdict})`);
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
