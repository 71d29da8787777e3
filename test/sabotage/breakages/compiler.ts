/** Breakages of the compiler and the filters: which patterns are taken, and what they match. */
import type { Breakage } from '../breakage.ts';

export const compiler: readonly Breakage[] = [
  {
    name: 'the usual end of a line holds words of the sample',
    find: "if (stop > at && token.of.name !== 'digit') return -1;",
    put: '',
    claims: ['X-compiled'],
    tests: ['test/unit/compiler-usual.test.ts'],
  },
  {
    name: 'a line may end as usual where what precedes the address stands once more',
    find: 'if (!isOnly && `${between}0${after}`.includes(before)) return false;',
    put: '',
    claims: ['X-compiled'],
    tests: ['test/unit/compiler-usual.test.ts'],
  },
  {
    name: 'a pattern may capture two addresses',
    find: "[1, (token) => token.kind === 'ip', 'captured-twice', 'two addresses on one way through it'],",
    put: "[2, (token) => token.kind === 'ip', 'captured-twice', 'two addresses on one way through it'],",
    claims: ['PE-11'],
  },
  {
    name: 'an address directly behind a run is accepted',
    find: 'checkAnchored(path, index);',
    put: '',
    claims: ['PE-11'],
  },
  {
    name: 'a run that is tried again at many places is accepted',
    find: 'for (const path of paths) checkScannedOnce(path);',
    put: '',
    claims: ['PE-11'],
  },
  {
    name: 'attacker text may reach the address',
    find: 'checkOutOfReach(path, index, firm);',
    put: '',
    claims: ['X-compiled'],
    tests: ['test/unit/compiler-check.test.ts'],
  },
  {
    name: 'a pattern without an address is accepted',
    find: "if (!addressed && !paths.every((path) => path.some((token) => token.kind === 'ip'))) {",
    put: 'if (!addressed && paths.length === 0) {',
    claims: ['PE-11'],
  },
  {
    name: 'a pattern that fits every line is accepted',
    find: 'if (minimumLength(pattern.tokens) === 0) refuse(',
    put: 'if (minimumLength(pattern.tokens) < 0) refuse(',
    claims: ['PE-11'],
  },
  {
    name: 'sshd lines of an invalid user are searched from the left',
    find: 'const anyUser = userToLast();',
    put: 'const anyUser = userToFirst();',
    claims: ['PE-02', 'WHY-13', 'LP-05'],
  },
  {
    name: 'a filter is left out of the program',
    find: '  dropbear,\n  ...exim,',
    put: '  ...exim,',
    claims: ['PE-02', 'WHY-13', 'PE-26'],
  },
  {
    name: 'the interpreter takes an end before the end',
    find: 'return at === end ? at : -1;',
    put: 'return at <= end ? at : -1;',
    claims: ['PE-04'],
  },
  {
    name: 'the interpreter takes the first tag for any',
    find: 'if (tagIs(tag, start, end)) return true;',
    put: 'if (tagIs(tag, start, end) || tags > 0) return true;',
    claims: ['PE-08'],
  },
  {
    name: 'the log tag of an operator is not read',
    find: 'const { ignore = [], log_tag: tags } = table;',
    put: 'const { ignore = [] } = table;\n  const tags = undefined;',
    claims: ['PE-08'],
  },
  {
    name: 'the first pattern of an operator alone is read',
    find: 'const all = [...ignored, ...written];',
    put: 'const all = [...ignored, ...written.slice(0, 1)];\n  written.length = 1;',
    claims: ['PE-08'],
  },
];
