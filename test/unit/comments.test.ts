/**
 * Comments wrap at 100 columns, and each is complete: none continues from one constant to the next
 * with "…".
 */
import { describe, expect, test } from 'vitest';
import { readTree, type SourceTree } from '../../spec/source.ts';

const columnsMax = 100;

/**
 * The comment that a line holds, without its signs; undefined if the line belongs to no comment.
 */
function commentOf(line: string): string | undefined {
  const found = /^\s*(?:\/\*\*?|\/\/\/?|\*(?!\/))\s?(.*?)\s*(?:\*\/)?$/.exec(line);
  return found?.[1];
}

function faults(tree: SourceTree): string[] {
  const found: string[] = [];
  for (const [path, text] of tree) {
    for (const [index, line] of text.split('\n').entries()) {
      const comment = commentOf(line);
      if (comment === undefined || comment.startsWith('biome-ignore')) continue;
      const where = `${path}:${index + 1}`;
      if ([...line].length > columnsMax) found.push(`${where} is longer than ${columnsMax} columns`);
      if (comment.startsWith('…') || comment.endsWith('…')) found.push(`${where} begins or ends with "…"`);
    }
  }
  return found;
}

describe('comments', () => {
  test('wrap at 100 columns and are whole sentences', () => {
    const trees = ['src', 'spec', 'scripts', 'test', 'bench'].map((folder) => readTree(`${folder}/**/*.{ts,mjs}`));
    trees.push(readTree('native/*.{cc,h}'));
    const tree = new Map(trees.flatMap((each) => [...each]).filter(([path]) => !path.includes('/generated/')));
    expect(tree.size).toBeGreaterThan(300);
    expect(faults(tree)).toEqual([]);
  });

  test.each([
    ['/** So many wake-ups … */', 1],
    [' * … up to this.', 1],
    ['  // and so on …', 1],
    [`// ${'x'.repeat(98)}`, 1],
    [`/// ${'x'.repeat(97)}`, 1],
    [`// ${'x'.repeat(97)}`, 0],
    [`const x = '${'x'.repeat(98)}…';`, 0],
    ['/** Adds up `a … b`. */', 0],
  ])('%s has %i faults', (line, count) => {
    expect(faults(new Map([['x.ts', line]]))).toHaveLength(count);
  });
});
