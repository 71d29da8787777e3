/**
 * Coverage, mutation score, claims and breakages as CI shows them: reads what `npm run coverage`,
 * `npm run mutation` and `npm run verify` left in reports/, and the recorded sabotage; writes one
 * badge (shields.io endpoint JSON) each into reports/badges/, all scores into reports/scores.json,
 * and a table to the file named by GITHUB_STEP_SUMMARY, or to the terminal. A report that is absent
 * is said to be absent.
 */
import { appendFileSync, existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { pathToFileURL } from 'node:url';

/** One line of the table; `percent` picks the colour of the badge, absent = grey. */
export interface Score {
  name: string;
  text: string;
  percent?: number;
}

interface Covered {
  covered: number;
  total: number;
  pct: number;
}
/** By absolute path of a file, and `total`. */
interface CoverageSummary {
  [path: string]: { lines: Covered; branches: Covered };
  total: { lines: Covered; branches: Covered };
}
interface MutationReport {
  files: Record<string, { mutants: { status: string }[] }>;
}
interface VerifyReport {
  claims: { status: string }[];
}
interface SabotageRecord {
  breakages: { noticedBy: string }[];
}

const detected = new Set(['Killed', 'Timeout']);
const undetected = new Set(['Survived', 'NoCoverage']);

/** Code that every log byte passes, with scores of its own. */
const folders = ['src/engine', 'src/compiler'];

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

function main(): void {
  const [coverage, mutation] = ['reports/coverage/coverage-summary.json', 'reports/mutation/mutation.json'];
  const totals = [
    read(coverage!, 'coverage', coverageScore),
    read(mutation!, 'mutation', (report: MutationReport) => mutationScore(report)),
    read('reports/verify.json', 'claims', claimScore),
    read('test/sabotage/record.json', 'sabotage', sabotageScore),
  ];
  const parts = folders.flatMap((folder) => [
    read(coverage!, `coverage of ${folder}`, (report: CoverageSummary) => folderCoverage(report, folder)),
    read(mutation!, `mutation of ${folder}`, (report: MutationReport) => mutationScore(report, folder)),
  ]);
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
