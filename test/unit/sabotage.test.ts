/** The list of breakages: each can be applied to the tree as it is, and says who must notice it. */
import { readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { claims } from '../../spec/claims.ts';
import { plainEngine } from '../../spec/support/broken.ts';
import { impatient } from '../../spec/support/scenarios.ts';
import { type Breakage, breakableFiles, broken, fileOf } from '../sabotage/breakage.ts';
import { breakages } from '../sabotage/breakages.ts';

const files = breakableFiles('.');

describe('breakages', () => {
  test('the text of each occurs once in the tree, and is changed', () => {
    const troubles = breakages.flatMap((breakage) => {
      try {
        const text = files.get(fileOf(breakage, files)) ?? '';
        return broken(text, breakage) === text ? [`${breakage.name}: changes nothing`] : [];
      } catch (error) {
        return [(error as Error).message];
      }
    });
    expect(troubles).toEqual([]);
  });

  test('the texts that claims change beside them occur once too', () => {
    for (const { path, find } of [impatient, plainEngine])
      expect(readFileSync(path, 'utf8').split(find), path).toHaveLength(2);
  });

  test('names are unique, and each names a known claim or a test', () => {
    const names = breakages.map(({ name }) => name);
    expect(new Set(names).size).toBe(names.length);
    const known = new Set(claims.map(({ id }) => id));
    expect(breakages.flatMap((each) => each.claims.filter((id) => !known.has(id)))).toEqual([]);
    const unguarded = breakages.filter((each) => each.claims.length === 0 && (each.tests ?? []).length === 0);
    expect(unguarded.map(({ name }) => name)).toEqual([]);
  });

  test('a text that occurs nowhere, or twice, is refused', () => {
    const breakage: Breakage = { name: 'x', find: 'a', put: 'b', claims: [] };
    expect(() => fileOf(breakage, new Map([['one', 'bcd']]))).toThrow('stands nowhere');
    expect(() =>
      fileOf(
        breakage,
        new Map([
          ['one', 'a'],
          ['two', 'a'],
        ]),
      ),
    ).toThrow('stands in one, two');
    expect(fileOf(breakage, new Map([['one', 'bac']]))).toBe('one');
    expect(broken('bac', breakage)).toBe('bbc');
  });
});
