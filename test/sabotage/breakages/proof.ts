/** Breakages of the machinery of proof itself: what decides that a claim reads HELD. */
import type { Breakage } from '../breakage.ts';

const ledger = ['test/unit/ledger-verify.test.ts', 'test/unit/ledger-claim.test.ts', 'test/unit/ledger.test.ts'];

export const proof: readonly Breakage[] = [
  {
    name: 'a twin that passes the body is no failure',
    find: "const said = typeof verdict === 'string' ? verdict",
    put: "if (typeof verdict === 'string') return verdict;\n  const said = typeof verdict === 'string' ? verdict",
    claims: [],
    tests: ledger,
  },
  {
    name: 'a twin may fail for any reason',
    find: 'if (expected !== undefined && !expected.test(error.message)) {',
    put: 'if (false) {',
    claims: [],
    tests: ledger,
  },
  {
    name: 'a twin that crashes counts as one that failed',
    find: 'if (!isAssertion(error)) {',
    put: 'if (false) {',
    claims: [],
    tests: ledger,
  },
  {
    name: 'a claim without a twin reads HELD',
    find: "if (state === 'passed' && judged && result.twinFailed.length > 0) {",
    put: "if (state === 'passed' && judged) {",
    claims: [],
    tests: ledger,
  },
  {
    name: 'a skip for any reason is accepted',
    find: "if (state === 'skipped' && result.status === 'SKIPPED' && knownSkips.has(result.why ?? '')) {",
    put: "if (state === 'skipped' && result.status === 'SKIPPED') {",
    claims: [],
    tests: ledger,
  },
  {
    name: 'a claim that was HELD may become pending',
    find: "if (pending !== undefined) return lowered({ ...nothing, status: 'PENDING', evidence: pending }, heldBefore);",
    put: "if (pending !== undefined) return { ...nothing, status: 'PENDING', evidence: pending };",
    claims: [],
    tests: ledger,
  },
  {
    name: 'a specification that is silent is no failure',
    find: "return { ...nothing, status: 'FAILED', evidence: 'its specification did not report' };",
    put: "return { ...nothing, status: 'PENDING', evidence: 'its specification did not report' };",
    claims: [],
    tests: ledger,
  },
];
