/** What a run of sabotage reports: the score, the table by room, and what is recorded. */
import { expect, test } from 'vitest';
import {
  byRoom,
  exitStatus,
  extent,
  type Notice,
  score,
  table,
  type Verdict,
  whyNoRecord,
} from '../../scripts/sabotage/record.ts';
import { failuresIn } from '../../scripts/sabotage/scratch.ts';

const verdict = (name: string, file: string, noticedBy: Notice): Verdict => ({
  ...{ name, file, noticedBy },
  ...{ claims: ['FM-2'], by: '', seconds: 1 },
});
const verdicts = [
  verdict('a', 'src/state/load.ts', 'its claim'),
  verdict('b', 'src/state/save.ts', 'tests'),
  verdict('c', 'native/peer.cc', 'its claim'),
  verdict('d', 'src/daemon.ts', 'the build'),
];

test('the table counts by room, the line by who noticed', () => {
  expect(byRoom(verdicts)).toEqual({
    native: { 'its claim': 1 },
    'src/daemon.ts': { 'the build': 1 },
    'src/state': { 'its claim': 1, tests: 1 },
  });
  expect(table(verdicts).split('\n').at(-1)).toMatch(/^src\/state {6}\s+1\s+0\s+1\s+0\s+0\s+0$/);
  expect(score(verdicts)).toBe(
    '4 breakages noticed: 2 by its claim, 0 by another claim, 1 by tests, 1 by the build, 0 by nobody, 0 not run',
  );
});

test('a breakage that nobody notices fails the run', () => {
  expect(exitStatus(verdicts)).toBe(0);
  expect(exitStatus([...verdicts, verdict('e', 'src/log.ts', 'nobody')])).toBe(1);
});

test('a run of a part is not shown as the whole, and does not replace its record', () => {
  expect(extent(4, 4)).toBe('all 4');
  expect(extent(3, 4)).toMatch(/^A PART: 3 of 4/);
  expect(whyNoRecord({ tried: 4, named: 4 }, '')).toBeUndefined();
  expect(whyNoRecord({ tried: 3, named: 4 }, '')).toBeUndefined();
  expect(whyNoRecord({ tried: 3, named: 4 }, '', { named: 5, breakages: verdicts })).toBeUndefined();
  expect(whyNoRecord({ tried: 3, named: 4 }, '', { named: 4, breakages: verdicts })).toMatch(/^a part/);
  expect(whyNoRecord({ tried: 4, named: 4 }, '', { named: 4, breakages: verdicts })).toBeUndefined();
});

test('a tree that no commit holds is not recorded', () => {
  expect(whyNoRecord({ tried: 4, named: 4 }, ' M src/log.ts')).toMatch(/^the working tree has changes/);
});

test('a verify without output has noticed nothing', () => {
  const claim = (id: string, status: string) => ({ id, status, evidence: 'why' });
  const said = (claims: object[], troubles: string[] = []) => JSON.stringify({ claims, troubles });
  expect(failuresIn('')).toBeUndefined();
  expect(failuresIn(said([]).slice(0, -1))).toBeUndefined();
  expect(failuresIn(said([claim('FM-2', 'HELD')]))).toEqual([]);
  expect(failuresIn(said([claim('FM-2', 'HELD'), claim('FM-6', 'FAILED')], ['x: y']))).toEqual(['FM-6: why', 'x: y']);
});
