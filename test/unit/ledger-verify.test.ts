/**
 * The judgement behind `npm run verify`: only a complete proof may be shown as HELD, and no claim
 * may be missing.
 */
import { describe, expect, test } from 'vitest';
import { type Finding, judge, settle, type Tested } from '../../scripts/verify.ts';
import type { Claim } from '../../spec/claims.ts';

const held: Finding = {
  result: {
    ids: ['MM-09'],
    place: 'spec/memory.spec.ts:1',
    status: 'HELD',
    evidence: '5 pages',
    twinFailed: [{ why: 'grows', by: 'no' }],
    seconds: 1,
  },
  state: 'passed',
  errors: [],
};
const row: Claim = {
  id: 'MM-09',
  sentence: 'It does not grow.',
  family: 'memory',
  page: 'memory model',
  kind: 'claim',
};

describe('judge', () => {
  test('a passed body with a failed twin is HELD', () => {
    expect(judge(held)).toEqual({ status: 'HELD', evidence: '5 pages' });
  });

  test('a passed body without a failed twin is not HELD', () => {
    expect(judge({ ...held, result: { ...held.result, twinFailed: [] } }).status).toBe('FAILED');
  });

  test('a failed test is FAILED with its error, whatever its result says', () => {
    expect(judge({ ...held, state: 'failed', errors: ['it grew'] })).toEqual({ status: 'FAILED', evidence: 'it grew' });
  });

  test('what was measured and not reached is NOT MET, with its figure', () => {
    const measured = { ...held, result: { ...held.result, status: 'NOT MET', evidence: '3 of 5' } } as Finding;
    expect(judge(measured)).toEqual({ status: 'NOT MET', evidence: '3 of 5' });
  });

  test('a skip counts only for a known reason', () => {
    const skipped = (why: string): Finding => ({
      ...held,
      state: 'skipped',
      result: { ...held.result, status: 'SKIPPED', why },
    });
    expect(judge(skipped('not root'))).toEqual({ status: 'SKIPPED', evidence: 'not root' });
    expect(judge(skipped('no time today')).status).toBe('FAILED');
  });
});

describe('settle', () => {
  test('a claim whose specification reports nothing has failed', () => {
    expect(settle([row], [])[0]).toMatchObject({ status: 'FAILED' });
  });

  test('pending reasons and positions are carried over', () => {
    const pending = { ...row, id: 'MM-10', pending: 'not built' };
    const position: Claim = { ...row, id: 'T-03', kind: 'position' };
    const statuses = settle([row, pending, position], [held]).map(({ status }) => status);
    expect(statuses).toEqual(['HELD', 'PENDING', 'POSITION']);
  });

  test('a claim that was HELD must not become pending or unmet', () => {
    const before = new Set(['MM-09', 'MM-10']);
    const pending = { ...row, id: 'MM-10', pending: 'not built' };
    const unmet = { ...held, result: { ...held.result, status: 'NOT MET' } } as Finding;
    expect(settle([row, pending], [unmet], before).map(({ status }) => status)).toEqual(['FAILED', 'FAILED']);
    expect(settle([row], [held], before).map(({ status }) => status)).toEqual(['HELD']);
  });

  test('a claim whose test failed, or said nothing, has failed, though its specification passed', () => {
    const both = { ...held, result: { ...held.result, ids: ['MM-09', 'E-01a'] } };
    const said = (tested: Tested, file = 'test/unit/linear.test.ts') =>
      settle([row], [both], new Set(), new Map([[file, tested]]))[0];
    expect(said({ count: 3, failed: [] })).toMatchObject({ status: 'HELD', tests: { files: 1, count: 3 } });
    expect(said({ count: 3, failed: ['reads outside: 5'] })).toMatchObject({
      status: 'FAILED',
      evidence: 'test/unit/linear.test.ts: reads outside: 5',
    });
    expect(said({ count: 0, failed: [] })).toMatchObject({ status: 'FAILED' });
    expect(said({ count: 3, failed: ['another'] }, 'test/unit/header.test.ts')).toMatchObject({ status: 'HELD' });
  });

  test('one specification settles every id it names', () => {
    const both = { ...held, result: { ...held.result, ids: ['MM-09', 'WHY-11'] } };
    const outcomes = settle([row, { ...row, id: 'WHY-11' }], [both]);
    expect(outcomes.map(({ status }) => status)).toEqual(['HELD', 'HELD']);
  });
});
