/** The parser engine: how log bytes are read. */
import assert from 'node:assert/strict';
import { assertNone } from './assertions.ts';
import { claim, given, twin } from './claim.ts';
import { readTree, regularExpressionsIn, withFile } from './source.ts';

/** The rooms that touch log bytes: the engine, and the sources that read them in. */
const readers = readTree('src/engine/**/*.ts', 'src/sources/**/*.ts');

claim(
  ['PE-01', 'LP-21'],
  given(readers),
  (tree) => {
    assert.ok(tree.size > 0);
    const places = [...tree].flatMap(([path, text]) => regularExpressionsIn(path, text));
    assertNone(places, 'regular expressions');
    return `${tree.size} files in engine and sources, 0 regular expressions`;
  },
  [
    twin(
      'a matcher that uses a regular expression',
      given(withFile(readers, 'src/engine/match.ts', 'spec/twins/regular-expression.ts')),
    ),
  ],
);
