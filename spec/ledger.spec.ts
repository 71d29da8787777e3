/**
 * What `npm run verify` itself promises: it never says HELD where nothing was proven.
 */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { type Finding, judge, type Outcome, report, type Status, settle } from '../scripts/verify.ts';
import { assertNone } from './assertions.ts';
import { type Body, claim, given, prove, type Twin, twin } from './claim.ts';
import type { Claim } from './claims.ts';
import { environments } from './environment.ts';
import { testedClaims } from './tests.ts';

interface Machinery {
  prove: typeof prove<number>;
  judge: typeof judge;
  settle: typeof settle;
  report: typeof report;
  /** What the machine is assumed to have. */
  has: (name: 'root' | 'namespaces') => boolean;
  assertNone: typeof assertNone;
}

const real: Machinery = {
  prove,
  judge,
  settle,
  report,
  has: (name) => environments[name].present(),
  assertNone,
};

const row: Claim = { id: 'MM-09', sentence: 'It holds.', family: 'memory', page: 'memory model', kind: 'claim' };
const sound: Finding = {
  result: {
    ...{ ids: ['MM-09'], place: 'spec/x.spec.ts:1', status: 'HELD', evidence: 'measured', seconds: 1 },
    twinFailed: [{ why: 'a broken piece', by: 'no' }],
  },
  state: 'passed',
  errors: [],
};
const withResult = (change: Partial<Finding['result']>, state: Finding['state'] = 'passed'): Finding => ({
  ...sound,
  state,
  result: { ...sound.result, ...change },
});

/** Whether a claim of this body and these twins is proven; 2 is the real piece, 1 a broken one. */
async function isProven(machinery: Machinery, body: Body<number>, twins: Twin<number>[]): Promise<boolean> {
  return machinery.prove(given(2), body, twins).then(
    () => true,
    () => false,
  );
}

const isTwo: Body<number> = (piece) => {
  assert.equal(piece, 2, 'it is two');
  return 'two';
};
const broken = twin('a broken piece', given(1), /it is two/);

async function assertProofs(machinery: Machinery): Promise<void> {
  const proven = (body: Body<number>, twins: Twin<number>[]) => isProven(machinery, body, twins);
  assert.equal(await proven(isTwo, [broken]), true, 'a sound proof is refused');
  assert.equal(await proven(isTwo, []), false, 'a proof without a twin');
  assert.equal(await proven(() => 'anything', [broken]), false, 'a body that its twin passes');
  assert.equal(await proven(() => assert.fail('it is two'), [broken]), false, 'a body that the real piece fails');
  const other = twin('a broken piece', given(1), /it is three/);
  assert.equal(await proven(isTwo, [other]), false, 'a twin that fails for another reason');
  const crash: Body<number> = (piece) => {
    if (piece === 1) throw new Error('it is two');
    return 'two';
  };
  assert.equal(await proven(crash, [broken]), false, 'a twin that crashes the body');
}

function assertVerdicts({ judge: verdict, settle: settled }: Machinery): void {
  assert.equal(verdict(sound).status, 'HELD', 'a sound claim');
  const failed: [what: string, finding: Finding][] = [
    ['a claim without a twin', withResult({ twinFailed: [] })],
    ['a test that failed', withResult({}, 'failed')],
    ['a test that was skipped', withResult({}, 'skipped')],
    ['a skip for no known reason', withResult({ status: 'SKIPPED', why: 'not today' }, 'skipped')],
    ['a claim that did not finish', withResult({ status: 'FAILED' })],
  ];
  for (const [what, finding] of failed) assert.equal(verdict(finding).status, 'FAILED', what);
  const [silent] = settled([row], []);
  assert.equal(silent?.status, 'FAILED', 'a specification that is silent');
  const held = new Set(['MM-09']);
  const [postponed] = settled([{ ...row, pending: 'later, perhaps' }], [], held);
  assert.equal(postponed?.status, 'FAILED', 'a claim that was HELD and is pending now');
  const [missed] = settled([row], [withResult({ status: 'NOT MET' })], held);
  assert.equal(missed?.status, 'FAILED', 'a claim that was HELD and is not met now');
  const [file, [id = '']] = [...testedClaims][0]!;
  for (const [what, tested] of [
    ['a claim whose test failed', { count: 1, failed: ['it is one'] }],
    ['a claim whose tests do not run', { count: 0, failed: [] }],
  ] as const) {
    const said = new Map([[file, { ...tested, failed: [...tested.failed] }]]);
    const [untrue] = settled([{ ...row, id }], [withResult({ ids: [id] })], new Set(), said);
    assert.equal(untrue?.status, 'FAILED', what);
  }
}

/** Exit status of a run with one claim of this status. */
function exitOf({ report: say }: Machinery, status: Status, { allowSkips = false, trouble = '' } = {}): number {
  const outcome: Outcome = {
    ...{ id: 'MM-09', sentence: 'It holds.', place: '', evidence: '', seconds: 0 },
    status,
    twinFailed: [],
  };
  const { log } = console;
  console.log = () => {};
  try {
    return say([outcome], trouble === '' ? [] : [trouble], allowSkips);
  } finally {
    console.log = log;
  }
}

claim(
  'X-verify',
  given(real),
  async (machinery) => {
    await assertProofs(machinery);
    assertVerdicts(machinery);
    for (const status of ['HELD', 'POSITION', 'PENDING', 'NOT MET'] as const) {
      assert.equal(exitOf(machinery, status), 0, `exit status with a claim that is ${status}`);
    }
    assert.equal(exitOf(machinery, 'FAILED'), 1, 'exit status with a claim that failed');
    assert.equal(exitOf(machinery, 'SKIPPED'), 1, 'exit status with a claim that was skipped');
    assert.equal(exitOf(machinery, 'SKIPPED', { allowSkips: true }), 0, 'exit status where skips are allowed');
    assert.equal(exitOf(machinery, 'HELD', { trouble: 'no module' }), 1, 'exit status with a file that does not load');
    assert.equal(machinery.has('root'), process.getuid?.() === 0, 'whether this is root');
    const { status } = spawnSync('unshare', ['-n', 'true'], { timeout: 10_000 });
    assert.equal(machinery.has('namespaces'), status === 0, 'whether namespaces can be made');
    assert.throws(() => machinery.assertNone(['one'], 'things'), /1 things: one/, 'a list that is not empty');
    return '6 proofs, 11 verdicts, 8 exit statuses and the probes of this machine: HELD for a full proof only';
  },
  [
    twin(
      'a prover that does not ask why a twin failed',
      given<Machinery>({
        ...real,
        prove: (piece, body, twins) =>
          prove(
            piece,
            body,
            twins.map((each) => ({ ...each, expected: /./ })),
          ),
      }),
      /a twin that fails for another reason/,
    ),
    twin(
      'a ledger that forgets what was HELD',
      given<Machinery>({ ...real, settle: (register, findings) => settle(register, findings) }),
      /a claim that was HELD and is pending now/,
    ),
    twin(
      'a run that lets skips pass',
      given<Machinery>({ ...real, report: (outcomes, troubles) => report(outcomes, troubles, true) }),
      /exit status with a claim that was skipped/,
    ),
    twin(
      'a probe that finds no root',
      given<Machinery>({ ...real, has: (name) => name !== 'root' && real.has(name) }),
      /whether this is root/,
    ),
  ],
  { needs: ['linux'] },
);
