/**
 * Random edits of an audit log: bytes, lines and whole files are changed, removed, added and moved,
 * in its files and in its seal. Each must be found. AUDIT_EDITS sets how many are tried.
 */
import { join } from 'node:path';
import fc from 'fast-check';
import { beforeAll, expect, test } from 'vitest';
import { writeAudited } from '../support/audit.ts';
import { check, type Files, kinds } from '../support/audit-edits.ts';
import { temporaryDirectory } from '../support/control.ts';

const edits = Number(process.env.AUDIT_EDITS ?? 4_000);

let whole: Files;

beforeAll(async () => {
  const directory = temporaryDirectory();
  whole = await writeAudited(join(directory.path, 'log'));
  directory.remove();
});

/** Only text behind the last line may come from a crash: it is reported, but not as a fault. */
const isAppended = (files: Files): boolean => {
  const at = whole.length - 2;
  return whole.every((text, index) => (index === at ? files[at]!.startsWith(text) : files[index] === text));
};

test('the log is whole, and has all kinds of lines', () => {
  expect(check(whole).findings).toEqual([]);
  expect(check(whole).notes.map(({ problem }) => problem.replaceAll(/[0-9]+/g, 'N'))).toEqual([
    'closes an unfinished write of N bytes before it',
  ]);
  expect(whole.length).toBeGreaterThan(3);
});

test(`${edits} random edits: each is found`, { timeout: 60_000 + edits * 10 }, () => {
  const tried: Record<string, number> = {};
  fc.assert(
    fc.property(
      fc.constantFrom(...Object.keys(kinds)),
      fc.nat(),
      fc.nat(),
      fc.string({ minLength: 1, unit: fc.constantFrom(...'{}",:0123456789abcdef\\ \n\r\0é') }),
      (kind, first, second, text) => {
        const files = kinds[kind]!(whole, first, second, text);
        if (files.every((each, at) => each === whole[at])) return;
        tried[kind] = (tried[kind] ?? 0) + 1;
        const { findings, notes } = check(files);
        if (isAppended(files)) expect([...findings, ...notes].length).toBeGreaterThan(1);
        else expect(findings.length, `${kind} ${first} ${second} ${JSON.stringify(text)}`).toBeGreaterThan(0);
      },
    ),
    { numRuns: edits },
  );
  expect(Object.keys(tried)).toHaveLength(Object.keys(kinds).length);
});
