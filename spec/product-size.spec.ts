/**
 * The size of the program, counted by cloc over the files that its imports reach.
 */
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { countLines, fail2banFiles, type Part, parts } from '../scripts/lab/lines.ts';
import { claim, given, NotMet, type Supply, twin } from './claim.ts';
import { originalLines, type SizeLimit, sizeLimits } from './size.ts';

interface Counted {
  parts: Part[];
  count: typeof countLines;
  dispose?: () => void;
}

const real: Counted = { parts: parts(), count: countLines };

/** The parts, with one more file of this many lines in the one that runs as root. */
function grown(lines: number): Supply<Counted> {
  return {
    make() {
      const folder = mkdtempSync(join(tmpdir(), 'size-'));
      const file = join(folder, 'more.ts');
      writeFileSync(file, 'export const a = 1;\n'.repeat(lines));
      const all = real.parts.map((part) =>
        part.name === 'usual' || part.name === 'core' ? { ...part, files: [...part.files, file] } : part,
      );
      return { ...real, parts: all, dispose: () => rmSync(folder, { recursive: true }) };
    },
    dispose: (piece) => piece.dispose?.(),
  };
}

/** A count that leaves a room out. */
const blind: Counted = {
  ...real,
  parts: real.parts.map((part) => ({ ...part, files: part.files.filter((path) => !path.startsWith('src/enforcer/')) })),
};

claim(
  ['LP-03', 'WHY-07'],
  given(real),
  ({ parts: all, count }) => {
    const core = new Set(all.find(({ name }) => name === 'core')?.files);
    for (const room of ['engine', 'sources', 'backends', 'enforcer', 'state', 'control', 'observe']) {
      assert.ok(
        [...core].some((path) => path.startsWith(`src/${room}/`)),
        `src/${room} is not counted`,
      );
    }
    const limits: Readonly<Record<string, SizeLimit>> = sizeLimits;
    const said: string[] = [];
    const over: string[] = [];
    for (const { name, what, files } of all) {
      const limit = limits[name];
      if (limit === undefined) continue;
      const { code } = count(files);
      assert.ok(code < 1.25 * originalLines, `${what}: ${code} lines, a quarter more than the original`);
      if (code > limit.linesMax || code >= originalLines) over.push(what);
      said.push(`${what} ${code} of ${limit.linesMax}`);
    }
    assert.equal(said.length, Object.keys(sizeLimits).length, 'parts with a limit');
    const counted = `${said.join('; ')}; the original ${originalLines}`;
    return over.length === 0 ? counted : new NotMet(counted);
  },
  [
    twin('a core that grew by 8,000 lines', grown(8_000), /a quarter more than the original/),
    twin('a count that leaves the enforcer out', given(blind), /src\/enforcer is not counted/),
  ],
);

claim(
  'LP-04',
  given({ ours: () => countLines(real.parts.find(({ name }) => name === 'core')!.files).code, theirs: fail2banFiles }),
  ({ ours, theirs }) => {
    const files = theirs();
    assert.ok(files.length > 20, `${files.length} files of fail2ban were counted`);
    const { code } = countLines(files);
    const own = ours();
    assert.ok(own > 5_000 && code > 5_000, `${own} and ${code} lines are no whole program`);
    return `ours as root, every backend: ${own}; fail2ban as packaged: ${code} in ${files.length} files, its actions, filters and CPython apart`;
  },
  [
    twin(
      'a fail2ban of which nothing is counted',
      given({ ours: () => 10_000, theirs: (): string[] => [] }),
      /0 files of fail2ban/,
    ),
    twin(
      'a count of half a program',
      given({ ours: () => countLines(['src/daemon.ts']).code, theirs: fail2banFiles }),
      /no whole program/,
    ),
  ],
  { needs: ['fail2ban'] },
);
