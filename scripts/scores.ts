/**
 * Coverage, mutation score, claims and breakages as README and CI show them: reads the records of
 * `npm run coverage`, `npm run mutation` and `npm run sabotage` and what `npm run verify` left in
 * reports/; writes one badge (shields.io endpoint JSON) each into reports/badges/, all scores into
 * reports/scores.json, and a table to the file named by GITHUB_STEP_SUMMARY, or to the terminal. A
 * run that nobody recorded is said to be absent.
 */
import { appendFileSync, existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { pathToFileURL } from 'node:url';
import { keyFigures } from '../bench/figures-table.ts';
import { type LongRecord, readRecord } from './long/record.ts';
import { mutatedRooms } from './long/runs.ts';
import { extent } from './sabotage/record.ts';

const sabotagePath = 'test/sabotage/record.json';

/** One line of the table; `percent` picks the colour of the badge, absent = grey. */
export interface Score {
  name: string;
  text: string;
  percent?: number;
  /** What part of it was run, if not all. */
  only?: string;
}

interface Covered {
  covered: number;
  total: number;
  pct: number;
}
/** By absolute path of a file, and `total`. */
export interface CoverageSummary {
  [path: string]: { lines: Covered; branches: Covered };
  total: { lines: Covered; branches: Covered };
}
export interface MutationReport {
  files: Record<string, { mutants: Mutant[] }>;
}
interface Mutant {
  status: string;
  mutatorName?: string;
  replacement?: string;
  location?: { start: { line: number; column: number } };
}
interface VerifyReport {
  claims: { status: string }[];
}
interface SabotageRecord {
  breakages: { noticedBy: string }[];
}

const detected = new Set(['Killed', 'Timeout']);
const undetected = new Set(['Survived', 'NoCoverage']);

function share(covered: number, total: number): number {
  return Math.round((covered / total) * 10_000) / 100;
}

export function coverageScore({ total }: CoverageSummary): Score {
  const { lines, branches } = total;
  return { name: 'coverage', text: `${lines.pct} % of lines, ${branches.pct} % of branches`, percent: branches.pct };
}

/** The files below `folder` together. */
export function folderCoverage({ total: _, ...files }: CoverageSummary, folder: string): Score {
  const inside = Object.entries(files).filter(([path]) => path.includes(`/${folder}/`));
  const sum = (of: 'lines' | 'branches', what: 'covered' | 'total') =>
    inside.reduce((before, [, file]) => before + file[of][what], 0);
  const [lines, branches] = (['lines', 'branches'] as const).map((of) => share(sum(of, 'covered'), sum(of, 'total')));
  return { name: `coverage of ${folder}`, text: `${lines} % of lines, ${branches} % of branches`, percent: branches! };
}

/**
 * Detected mutants of all valid ones, as Stryker counts them; of the files below `folder`, where
 * one is given.
 */
export function mutationScore({ files }: MutationReport, folder?: string): Score {
  const name = folder === undefined ? 'mutation' : `mutation of ${folder}`;
  const statuses = Object.entries(files)
    .filter(([path]) => folder === undefined || path.startsWith(`${folder}/`))
    .flatMap(([, { mutants }]) => mutants.map(({ status }) => status));
  const killed = statuses.filter((status) => detected.has(status)).length;
  const valid = killed + statuses.filter((status) => undetected.has(status)).length;
  if (valid === 0) return { name, text: 'no mutants' };
  const percent = Math.round((killed / valid) * 1000) / 10;
  return { name, text: `${percent} % (${killed} of ${valid} mutants detected)`, percent };
}

/** Each mutant that no test noticed: place, replacement, rule. */
export function survivorsOf({ files }: MutationReport): string[] {
  return Object.entries(files).flatMap(([path, { mutants }]) =>
    mutants
      .filter(({ status }) => undetected.has(status))
      .map(({ location, mutatorName, replacement = '' }) => {
        const put = replacement.replaceAll(/\s+/g, ' ').slice(0, 100);
        return `${path}:${location?.start.line}:${location?.start.column} ${mutatorName}: ${put}`;
      }),
  );
}

export function claimScore({ claims }: VerifyReport): Score {
  const count = (wanted: string) => claims.filter(({ status }) => status === wanted).length;
  const testable = claims.length - count('POSITION');
  const text =
    `${count('HELD')} of ${testable} held, ${count('NOT MET')} not met, ` +
    `${count('PENDING')} pending, ${count('FAILED')} failed`;
  return { name: 'claims', text, percent: testable === 0 ? 0 : (count('HELD') / testable) * 100 };
}

/** Named breakages by who noticed them (`npm run sabotage -- --all`). */
export function sabotageScore({ breakages }: SabotageRecord): Score {
  const count = (...wanted: string[]) => breakages.filter(({ noticedBy }) => wanted.includes(noticedBy)).length;
  const own = count('its claim');
  const text =
    `${own} of ${breakages.length} breakages noticed by the claim that promises it, ` +
    `${count('another claim', 'tests', 'the build')} by others, ${count('nobody')} by nobody`;
  return { name: 'sabotage', text, percent: share(own, breakages.length) };
}

/** The badge of shields.io's endpoint schema. */
export function badge({ name, text, percent }: Score): object {
  const color = percent === undefined ? 'lightgrey' : percent >= 85 ? 'brightgreen' : percent >= 60 ? 'yellow' : 'red';
  return { schemaVersion: 1, label: name, message: text, color };
}

function read<Report>(path: string, name: string, score: (report: Report) => Score): Score {
  if (!existsSync(path)) return { name, text: 'not run' };
  return score(JSON.parse(readFileSync(path, 'utf8')) as Report);
}

const day = ({ date }: { date: string }): string => date.slice(0, 10);

/** `91.5 % of lines, 80 % of branches` → 80; `90.2 % (…)` → 90.2. */
const percentIn = (text: string): number => Number([...text.matchAll(/([\d.]+) %/g)].at(-1)?.[1]);

/** Rooms with their recorded mutation scores; rooms that were not run are named. */
export function mutationRooms(recordOf: (name: string) => LongRecord | undefined): { run: Score[]; missing: string[] } {
  // A run that failed before its end has no score.
  const scored = (record: LongRecord | undefined) => (record?.figures.score === undefined ? undefined : record);
  const found = mutatedRooms.map((room) => ({ room, record: scored(recordOf(`mutation-${room}`)) }));
  const run = found.flatMap(({ room, record }): Score[] => {
    if (record === undefined) return [];
    const text = String(record.figures.score);
    const files = String(record.figures.files);
    const isWhole = files === `src/${room}/**/*.ts`;
    const score = { name: `mutation of src/${room}`, text: `${text}, ${day(record)}`, percent: percentIn(text) };
    return isWhole ? [score] : [{ ...score, text: `${score.text}, only ${files}`, only: files }];
  });
  return { run, missing: found.filter(({ record }) => record === undefined).map(({ room }) => room) };
}

/** All mutants of all recorded rooms together. */
function mutationTotal(run: readonly Score[]): Score {
  const counts = run.map(({ text }) => /\((\d+) of (\d+)/.exec(text)!.slice(1).map(Number) as [number, number]);
  const [killed, valid] = [0, 1].map((index) => counts.reduce((sum, count) => sum + count[index]!, 0)) as [
    number,
    number,
  ];
  if (valid === 0) return { name: 'mutation', text: 'not run' };
  const percent = Math.round((killed / valid) * 1000) / 10;
  return { name: 'mutation', text: `${percent} % (${killed} of ${valid} mutants detected)`, percent };
}

function coverageOf(record: LongRecord | undefined): Score[] {
  if (record === undefined) return [{ name: 'coverage', text: 'not run' }];
  const scores = Object.entries(record.figures).filter(([name]) => name.startsWith('src'));
  return scores.map(([name, text]) => ({
    name: name === 'src' ? 'coverage' : `coverage of ${name}`,
    text: `${text}, ${day(record)}`,
    percent: percentIn(String(text)),
  }));
}

/** The table of README: what was recorded, when, and how much of it was run. */
export function scoresTable(): string {
  const coverage = readRecord('coverage');
  const { run, missing } = mutationRooms(readRecord);
  const sabotage = existsSync(sabotagePath)
    ? (JSON.parse(readFileSync(sabotagePath, 'utf8')) as SabotageRecord & { date: string; named: number })
    : undefined;
  const mutated = run.map(({ name, only }) => only ?? name.replace('mutation of ', '')).join(', ');
  const rows = [
    coverage === undefined
      ? ['Coverage by the tests', 'not recorded', '']
      : ['Coverage by the tests', String(coverage.figures.src), `${day(coverage)}, of ${coverage.figures.tests}`],
    [
      'Small changes of the code that the tests notice',
      mutationTotal(run).text,
      `${mutated || 'no room'}; not run: ${missing.join(', ') || 'none'}`,
    ],
    sabotage === undefined
      ? ['Named breakages that are noticed', 'not recorded', '']
      : [
          'Named breakages that are noticed',
          sabotageScore(sabotage).text,
          `${day(sabotage)}, ${extent(sabotage.breakages.length, sabotage.named)}`,
        ],
  ];
  return `| what | value | recorded |\n|---|---|---|\n${[...keyFigures(), ...rows].map((row) => `| ${row.join(' | ')} |\n`).join('')}`;
}

/** README with the table between its marks. */
export function withScores(readme: string): string {
  return readme.replace(
    /(<!-- scores:begin[^\n]*-->\n)[\s\S]*?(<!-- scores:end -->)/,
    (_, begin, end) => begin + scoresTable() + end,
  );
}

function main(): void {
  const { run } = mutationRooms(readRecord);
  const [coverage = { name: 'coverage', text: 'not run' }, ...rooms] = coverageOf(readRecord('coverage'));
  const totals = [
    coverage,
    mutationTotal(run),
    read('reports/verify.json', 'claims', claimScore),
    read(sabotagePath, 'sabotage', sabotageScore),
  ];
  const parts = [...rooms, ...run];
  mkdirSync('reports/badges', { recursive: true });
  for (const score of totals) {
    writeFileSync(`reports/badges/${score.name}.json`, `${JSON.stringify(badge(score))}\n`);
  }
  const scores = [...totals, ...parts];
  writeFileSync('reports/scores.json', `${JSON.stringify(scores, null, 2)}\n`);
  const rows = scores.map(({ name, text }) => `| ${name} | ${text} |`);
  const table = ['| score | value |', '|---|---|', ...rows, ''].join('\n');
  const summaryPath = process.env.GITHUB_STEP_SUMMARY;
  if (summaryPath !== undefined) appendFileSync(summaryPath, table);
  console.log(table);
}

if (process.argv[1] !== undefined && import.meta.url === pathToFileURL(process.argv[1]).href) main();
