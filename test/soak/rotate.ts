/**
 * `npm run soak -- rotate`: rotations of every kind (rotations.ts), and a table of what happened to
 * the lines. Exit status 1 if a line was lost that need not be, or counted twice.
 */
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { readCommandLine } from '../../scripts/lab/command-line.ts';
import { note } from '../../scripts/long/record.ts';
import { kinds, type Outcome, rotations } from './rotations.ts';

const usage = `npm run soak -- rotate [options]

  --rotations N   of each kind (10000)
  --seed N        when they happen (1)
  --stands MS     each file stands at its path so long at least (0)
  --only TEXT     kinds whose name holds this
  --out FOLDER    where rotate.json goes (reports)
  --record        keeps what was found in test/evidence`;

const { values, misuse } = readCommandLine('soak rotate', usage, {
  rotations: { type: 'string', default: '10000' },
  seed: { type: 'string', default: '1' },
  stands: { type: 'string', default: '0' },
  only: { type: 'string', default: '' },
  out: { type: 'string', default: join(import.meta.dirname, '..', '..', 'reports') },
});

function whole(name: 'rotations' | 'seed' | 'stands'): number {
  const value = Number(values[name]);
  return Number.isInteger(value) && value >= (name === 'stands' ? 0 : 1)
    ? value
    : misuse(`--${name} must be a whole number`);
}

const count = whole('rotations');
const seed = whole('seed');
const standsMs = whole('stands');
const outcomes: Outcome[] = [];
let failed = false;
console.log('kind                                rotations     lines      lost   twice');
for (const kind of kinds.filter(({ name }) => name.includes(values.only))) {
  const outcome = await rotations(kind, count, seed, standsMs);
  outcomes.push(outcome);
  const isWrong = outcome.twice > 0 || (outcome.lost > 0 && kind.loses === undefined);
  failed ||= isWrong;
  const figures = [outcome.rotations, outcome.written, outcome.lost, outcome.twice].map((n) => String(n).padStart(9));
  const remark = isWrong ? '  WRONG' : outcome.lost > 0 ? `  ${kind.loses}` : '';
  console.log(`${kind.name.padEnd(35)}${figures.join(' ')}${remark}`);
}
const sum = (of: 'rotations' | 'written' | 'twice'): number =>
  outcomes.reduce((before, outcome) => before + outcome[of], 0);
const lost = (wrongly: boolean): number =>
  kinds
    .filter(({ loses }) => (loses === undefined) === wrongly)
    .reduce((before, { name }) => before + (outcomes.find(({ kind }) => kind === name)?.lost ?? 0), 0);
note({
  kinds: outcomes.length,
  rotations: sum('rotations'),
  lines: sum('written'),
  lost: lost(true),
  'lost where the kind of rotation loses': lost(false),
  twice: sum('twice'),
  seed,
});
mkdirSync(values.out, { recursive: true });
writeFileSync(join(values.out, 'rotate.json'), `${JSON.stringify(outcomes, null, 2)}\n`);
process.exit(failed ? 1 : 0);
