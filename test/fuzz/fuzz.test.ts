/**
 * The fuzzer itself, briefly: every target over its stored inputs and a few new ones, and a canary
 * that has to be caught.
 */
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { readFindings, storeFinding } from './findings.ts';
import { mutated } from './mutate.ts';
import { Random } from './random.ts';
import { replay } from './replay.ts';
import { fuzz } from './run.ts';
import type { Target } from './target.ts';
import { canary, findTarget, targets } from './targets.ts';

const findings = readFindings();

test('each target has a name of its own and inputs to start from', () => {
  const names = [...targets, canary].map(({ name }) => name);
  expect(new Set(names).size).toBe(names.length);
  expect(targets.filter((target) => target.corpus().length === 0 || target.words().length === 0)).toEqual([]);
});

describe.each(targets)('$name', (target) => {
  test('stored inputs', { timeout: 60_000 }, async () => {
    const body = await target.open();
    const stored = findings.filter((finding) => finding.target === target.name).map(({ input }) => input);
    for (const input of [...target.corpus(), ...stored]) await body(input);
  });

  test('new inputs', { timeout: 60_000 }, async () => {
    const outcome = await fuzz(target, { runs: 60, seconds: 30, seed: 20_251_121 });
    expect(outcome.finding).toBe(null);
    expect(outcome.inputs).toBe(60);
  });
});

test('every stored finding names an existing target', () => {
  expect(findings.filter(({ target }) => findTarget(target) === undefined)).toEqual([]);
});

test('the canary is caught, made small, stored and read back', async () => {
  const { finding } = await fuzz(canary, { runs: 20_000, seconds: 60, seed: 3 });
  if (finding === null) return expect.unreachable('the fuzzer is blind');
  expect(finding.alone).toBe(true);
  expect(finding.input.length).toBeLessThan(400);
  const folder = mkdtempSync(join(tmpdir(), 'fail2zig-fuzz-'));
  try {
    const path = storeFinding(finding, folder);
    expect(readFileSync(path, 'utf8')).toContain('--seed 3');
    expect(readFindings(folder)).toEqual([
      { file: path.slice(folder.length + 1), target: 'canary', input: finding.input },
    ]);
  } finally {
    rmSync(folder, { recursive: true });
  }
});

test('readings of a line do not disturb one another', { timeout: 60_000 }, async () => {
  // With this seed the plain engine once used the times that the oracle had remembered.
  const { finding } = await fuzz(findTarget('vaultwarden')!, { runs: 200, seconds: 30, seed: 1_449_472_550 });
  expect(finding).toBe(null);
});

test('an input with a fault is reduced to the bytes that cause it', async () => {
  const picky: Target = {
    name: 'picky',
    says: 'refuses X before Y',
    corpus: () => [Buffer.from('a long input in which X stands somewhere before Y and then goes on')],
    words: () => ['X', 'Y'],
    grammar: () => Buffer.from('nothing'),
    open: async () => (input) => {
      if (/X.*Y/s.test(input.toString('latin1'))) throw new Error('X before Y');
    },
  };
  const { finding } = await fuzz(picky, { runs: 1_000, seconds: 10, seed: 1 });
  expect(finding?.input.toString()).toBe('XY');
  expect(finding?.why).toBe('Error: X before Y');
});

test('a seed makes the same inputs again, and another seed makes others', () => {
  const corpus = [Buffer.from('one line'), Buffer.from('another line')];
  const inputs = (seed: number): string[] => {
    const random = new Random(seed);
    return Array.from({ length: 50 }, () => mutated(random, corpus, ['word']).toString('latin1'));
  };
  expect(inputs(5)).toEqual(inputs(5));
  expect(inputs(5)).not.toEqual(inputs(6));
});

test('a replay takes every line, and the same ones for the same seed', { timeout: 60_000 }, async () => {
  const facts = async (seed: number) => {
    const { lines, bytes, matched, tooLong, decisions } = await replay(50_000, seed, 300);
    return { lines, bytes, matched, tooLong, decisions };
  };
  const first = await facts(1);
  expect(first.lines).toBe(50_000);
  expect(first.matched).toBeGreaterThan(1_000);
  expect(first.decisions).toBeGreaterThan(10);
  expect(await facts(1)).toEqual(first);
  expect(await facts(2)).not.toEqual(first);
});
