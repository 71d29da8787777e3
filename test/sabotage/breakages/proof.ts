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
    find: 'if (!expected.test(error.message)) {',
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
  {
    name: 'verify ends with status 0 whatever failed',
    find: "return troubles.length > 0 || has('FAILED') || (has('SKIPPED') && !allowSkips) ? 1 : 0;",
    put: "return troubles.length > 0 && has('FAILED') && (has('SKIPPED') && !allowSkips) ? 1 : 0;",
    claims: ['X-verify'],
  },
  {
    name: 'a skip does not fail a run',
    find: "(has('SKIPPED') && !allowSkips) ? 1 : 0;",
    put: '(allowSkips && !allowSkips) ? 1 : 0;',
    claims: ['X-verify'],
  },
  {
    name: 'the probe for root is broken',
    find: 'present: () => process.geteuid?.() === 0 },',
    put: 'present: () => process.geteuid?.() === 1 },',
    claims: ['X-verify'],
  },
  {
    name: 'the probe for namespaces is broken',
    find: "present: () => succeeds('unshare', ['-n', 'true']) },",
    put: "present: () => succeeds('unshare', ['-n', 'false']) },",
    claims: ['X-verify'],
  },
  {
    name: 'a list that is not empty passes for empty',
    find: 'assert.ok(found.length === 0, `',
    put: 'assert.ok(found.length >= 0, `',
    claims: ['X-verify'],
  },
  {
    name: 'the tree of sources is read as empty',
    find: "return new Map(paths.map((path) => [path, readFileSync(path, 'utf8')]));",
    put: "return new Map(paths.map((path) => [path, '']));",
    claims: ['TM-DF'],
  },
  {
    name: 'imports of the tree are not seen',
    find: "const typeOnly = node.importKind === 'type' || node.exportKind === 'type';",
    put: 'const typeOnly = true;',
    claims: ['TM-DF'],
  },
  {
    name: 'a claim passes without its body',
    find: 'const evidence = await withPiece(real, body);',
    put: "const evidence = '';",
    claims: ['X-verify'],
  },
  {
    name: 'a claim passes without its twins',
    find: 'for (const each of twins) twinFailed.push({ why: each.why, by: await failureOf(each, body) });',
    put: "for (const each of twins) twinFailed.push({ why: each.why, by: '' });",
    claims: ['X-verify'],
  },
  {
    name: 'a sabotage that nobody notices passes',
    find: "return countOf(verdicts, 'nobody') > 0 ? 1 : 0;",
    put: 'return 0;',
    claims: [],
    tests: ['test/unit/ledger-sabotage.test.ts'],
  },
  {
    name: 'a part of the breakages is recorded as all of them',
    find: "const tried = verdicts.filter(({ noticedBy }) => noticedBy !== 'not run');",
    put: 'const tried = verdicts;',
    claims: [],
    tests: ['test/unit/ledger-sabotage.test.ts'],
  },
  {
    name: 'a run of sabotage over a changed tree is recorded under its commit',
    find: "return changes === '' ? undefined : ",
    put: "return changes !== '' ? undefined : ",
    claims: [],
    tests: ['test/unit/ledger-sabotage.test.ts'],
  },
];
