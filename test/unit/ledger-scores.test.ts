/** The scores that CI publishes are computed from the reports and from nothing else. */
import { expect, test } from 'vitest';
import { badge, claimScore, coverageScore, mutationScore } from '../../scripts/scores.ts';

test('the mutation score counts detected mutants of the valid ones', () => {
  const mutants = ['Killed', 'Timeout', 'Survived', 'NoCoverage', 'Ignored', 'CompileError'].map((status) => ({
    status,
  }));
  expect(mutationScore({ files: { a: { mutants } } })).toEqual({
    name: 'mutation',
    text: '50 % (2 of 4 mutants detected)',
    percent: 50,
  });
  expect(mutationScore({ files: {} }).text).toBe('no mutants');
});

test('claims count those that can be tested', () => {
  const claims = ['HELD', 'PENDING', 'POSITION', 'FAILED'].map((status) => ({ status }));
  expect(claimScore({ claims }).text).toBe('1 of 3 held, 1 pending, 1 failed');
});

test('coverage shows lines and branches', () => {
  expect(coverageScore({ total: { lines: { pct: 91.5 }, branches: { pct: 80 } } }).text).toBe(
    '91.5 % of lines, 80 % of branches',
  );
});

test('a badge without a figure is grey', () => {
  expect(badge({ name: 'coverage', text: 'not run' })).toMatchObject({ color: 'lightgrey', message: 'not run' });
});
