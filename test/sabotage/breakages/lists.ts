/** Breakages of lists of addresses. */
import type { Breakage } from '../breakage.ts';

export const lists: readonly Breakage[] = [
  {
    name: 'what a list no longer names stays',
    find: 'const removes = keys.subarray(at, Math.min(keys.length, at + bytes));',
    put: 'const removes = keys.subarray(0, 0 * bytes);',
    claims: ['X-lists'],
  },
  {
    name: 'a list is emptied before it is filled anew',
    find: '    await this.#shape(group, wide);\n',
    put: '    await this.#shape(group, { 4: [], 6: [] });\n    await this.#shape(group, wide);\n',
    claims: ['X-lists'],
  },
  {
    name: 'a list that others may write is taken',
    find: 'if ((stats.mode & writableByOthers) !== 0)',
    put: 'if ((stats.mode & writableByOthers) < 0)',
    claims: ['X-lists'],
  },
  {
    name: 'a list with a mistake is taken without it',
    find: 'if (first !== undefined) throw new FileProblem(row.file, first.line, first.reason, first.hint);',
    put: 'if (first !== undefined) survey.mistakes.length = 0;',
    claims: ['X-lists'],
  },
  {
    name: 'a wrong list keeps the daemon from starting',
    find: "const isTried = reading === 'tried' && group[0]!.use === 'ban';",
    put: 'const isTried = false;',
    claims: ['X-lists'],
  },
  {
    name: 'lists of what is ignored may be wrong at a start',
    find: "const isTried = reading === 'tried' && group[0]!.use === 'ban';",
    put: "const isTried = reading === 'tried';",
    claims: ['X-lists-ignored'],
  },
  {
    name: 'a list that was wrong at the start has no memory',
    find: 'elements: { 4: total(counts[4]), 6: total(counts[6]) } };',
    put: 'elements: { 4: 0, 6: 0 } };',
    claims: ['X-lists'],
  },
  {
    name: 'bits below a prefix in a list are passed over',
    find: 'prefix < listPrefixMin[4] || key % 2 ** (32 - prefix) !== 0) return false;',
    put: 'prefix < listPrefixMin[4]) return false;',
    claims: ['X-lists'],
  },
  {
    name: 'a decision does not ask lists of what is ignored',
    find: ' || ignored?.isListed(ban.address)) {',
    put: ') {',
    claims: ['X-lists-ignored'],
  },
  {
    name: 'standing bans of what a list ignores go on',
    find: ' || (ignored?.isListed(address) ?? false);',
    put: ';',
    claims: ['X-lists-ignored'],
  },
  {
    name: 'an operator bans what a list has ignored',
    find: '    if (ignored?.isListed(address))\n      throw',
    put: '    if (false)\n      throw',
    claims: ['X-lists-ignored'],
  },
  {
    name: 'a list names multicast addresses to the kernel',
    find: 'four: (key, prefix, line) => (isNeverFour(key) ? leftOut(line) : visitor.four(key, prefix, line)),',
    put: 'four: (key, prefix, line) => visitor.four(key, prefix, line),',
    claims: ['X-lists'],
  },
  {
    name: 'a list that could not be opened waits for a change of its file',
    find: "    group.stamps = '';\n",
    put: '    group.stamps = stamps;\n',
    claims: ['X-lists'],
  },
];
