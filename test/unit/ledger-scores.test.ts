/** The scores that CI publishes are computed from the reports and from nothing else. */
import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import type { LongRecord } from '../../scripts/long/record.ts';
import { mutatedRooms } from '../../scripts/long/runs.ts';
import {
  badge,
  claimScore,
  coverageScore,
  folderCoverage,
  mutationRooms,
  mutationScore,
  sabotageScore,
  scoresTable,
  survivorsOf,
} from '../../scripts/scores.ts';

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

test('a folder has the mutation score of its own files', () => {
  const files = {
    'src/engine/a.ts': { mutants: [{ status: 'Killed' }, { status: 'Timeout' }, { status: 'Survived' }] },
    'src/engine-room/b.ts': { mutants: [{ status: 'Survived' }] },
  };
  expect(mutationScore({ files }, 'src/engine')).toEqual({
    name: 'mutation of src/engine',
    text: '66.7 % (2 of 3 mutants detected)',
    percent: 66.7,
  });
  expect(mutationScore({ files }, 'src/compiler').text).toBe('no mutants');
});

test('claims count those that can be tested', () => {
  const claims = ['HELD', 'PENDING', 'POSITION', 'FAILED'].map((status) => ({ status }));
  expect(claimScore({ claims }).text).toBe('1 of 3 held, 0 not met, 1 pending, 1 failed');
});

test('breakages count by who noticed them', () => {
  const breakages = ['its claim', 'its claim', 'another claim', 'tests', 'the build', 'nobody'].map((noticedBy) => ({
    noticedBy,
  }));
  expect(sabotageScore({ breakages })).toEqual({
    name: 'sabotage',
    text: '2 of 6 breakages noticed by the claim that promises it, 3 by others, 1 by nobody',
    percent: 33.33,
  });
});

const covered = (covered: number, total: number) => ({ covered, total, pct: (covered / total) * 100 });

test('coverage shows lines and branches', () => {
  const total = { lines: { ...covered(183, 200), pct: 91.5 }, branches: { ...covered(8, 10), pct: 80 } };
  expect(coverageScore({ total }).text).toBe('91.5 % of lines, 80 % of branches');
});

test('coverage of a folder is that of its files together', () => {
  const all = { lines: covered(1, 1), branches: covered(1, 1) };
  const report = {
    total: all,
    '/home/src/engine/a.ts': { lines: covered(1, 3), branches: covered(1, 2) },
    '/home/src/engine/b.ts': { lines: covered(9, 9), branches: covered(0, 1) },
    '/home/src/other/c.ts': { lines: covered(0, 9), branches: covered(0, 9) },
  };
  expect(folderCoverage(report, 'src/engine')).toEqual({
    name: 'coverage of src/engine',
    text: '83.33 % of lines, 33.33 % of branches',
    percent: 33.33,
  });
});

test('a badge without a figure is grey', () => {
  expect(badge({ name: 'coverage', text: 'not run' })).toMatchObject({ color: 'lightgrey', message: 'not run' });
});

test('a mutant that nobody noticed is named with its place', () => {
  const location = { start: { line: 3, column: 5 } };
  const mutants = [
    { status: 'Survived', mutatorName: 'StringLiteral', replacement: '""', location },
    { status: 'Killed', mutatorName: 'StringLiteral', replacement: '""', location },
  ];
  expect(survivorsOf({ files: { 'src/a.ts': { mutants } } })).toEqual(['src/a.ts:3:5 StringLiteral: ""']);
});

test('rooms whose mutants were not tried are named as such', () => {
  const record = (score?: string): LongRecord => ({
    name: 'mutation-state',
    command: 'npm run mutation -- state',
    date: '2026-01-02T00:00:00Z',
    seconds: 1,
    ok: true,
    build: '',
    machine: {},
    figures: score === undefined ? {} : { files: 'src/state/**/*.ts', score, survivors: 1 },
  });
  const { run, missing } = mutationRooms((name) =>
    name === 'mutation-state' ? record('90 % (9 of 10 mutants detected)') : undefined,
  );
  expect(run).toEqual([
    { name: 'mutation of src/state', text: '90 % (9 of 10 mutants detected), 2026-01-02', percent: 90 },
  ]);
  expect(missing).toContain('engine');
  expect(missing).not.toContain('state');
  // One that failed before its end has no score.
  expect(mutationRooms(() => record())).toEqual({ run: [], missing: [...mutatedRooms] });
});

test('README shows what is recorded', () => {
  expect(readFileSync('README.md', 'utf8')).toContain(scoresTable());
});
