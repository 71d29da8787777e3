/** The bounds that docs/bounds.md publishes, and those of the programs. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { boundsInUse, publishedBounds } from '../scripts/bounds.ts';
import { assertNone } from './assertions.ts';
import { claim, given, sabotaged, twin } from './claim.ts';

const published = publishedBounds(readFileSync(join(import.meta.dirname, '../docs/bounds.md'), 'utf8'));
const silent = new Map([...published].slice(1));

claim(
  'X-bounds',
  given(published),
  (page) => {
    const used = boundsInUse();
    const other = [...used].filter(([name, value]) => page.get(name) !== value);
    const gone = [...page.keys()].filter((name) => !used.has(name));
    assertNone(
      [...other.map(([name, value]) => `${name} is ${value}, published is ${page.get(name) ?? 'nothing'}`), ...gone],
      'bounds differ',
    );
    return `${used.size} bounds have their published values`;
  },
  [
    sabotaged('ten times as many lists', /listsMax is 640, published is 64/),
    twin('a page that leaves a bound out', given(silent), /published is nothing/),
  ],
);
