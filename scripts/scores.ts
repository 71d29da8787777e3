/**
 * Coverage, mutation score and claims as CI shows them: reads what `npm run coverage`, `npm run mutation` and
 * `npm run verify` left in reports/, writes one badge (shields.io endpoint JSON) each into reports/badges/ and a table
 * to the file named by GITHUB_STEP_SUMMARY, or to the terminal. A report that is absent is said to be absent.
 */
import { appendFileSync, existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { pathToFileURL } from 'node:url';

/** One line of the table; `percent` picks the colour of the badge, absent = grey. */
export interface Score {
  name: string;
  text: string;
  percent?: number;
}

interface CoverageSummary {
  total: { lines: { pct: number }; branches: { pct: number } };
}
interface MutationReport {
  files: Record<string, { mutants: { status: string }[] }>;
}
interface VerifyReport {
  claims: { status: string }[];
}

const detected = new Set(['Killed', 'Timeout']);
const undetected = new Set(['Survived', 'NoCoverage']);

export function coverageScore({ total }: CoverageSummary): Score {
  const { lines, branches } = total;
  return { name: 'coverage', text: `${lines.pct} % of lines, ${branches.pct} % of branches`, percent: branches.pct };
}

/** Detected mutants of all valid ones, as Stryker counts them. */
export function mutationScore({ files }: MutationReport): Score {
  const statuses = Object.values(files).flatMap(({ mutants }) => mutants.map(({ status }) => status));
  const killed = statuses.filter((status) => detected.has(status)).length;
  const valid = killed + statuses.filter((status) => undetected.has(status)).length;
  if (valid === 0) return { name: 'mutation', text: 'no mutants' };
  const percent = Math.round((killed / valid) * 1000) / 10;
  return { name: 'mutation', text: `${percent} % (${killed} of ${valid} mutants detected)`, percent };
}

export function claimScore({ claims }: VerifyReport): Score {
  const count = (wanted: string) => claims.filter(({ status }) => status === wanted).length;
  const testable = claims.length - count('POSITION');
  const text = `${count('HELD')} of ${testable} held, ${count('PENDING')} pending, ${count('FAILED')} failed`;
  return { name: 'claims', text, percent: testable === 0 ? 0 : (count('HELD') / testable) * 100 };
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
  const scores = [
    read('reports/coverage/coverage-summary.json', 'coverage', coverageScore),
    read('reports/mutation/mutation.json', 'mutation', mutationScore),
    read('reports/verify.json', 'claims', claimScore),
  ];
  mkdirSync('reports/badges', { recursive: true });
  for (const score of scores) {
    writeFileSync(`reports/badges/${score.name}.json`, `${JSON.stringify(badge(score))}\n`);
  }
  const rows = scores.map(({ name, text }) => `| ${name} | ${text} |`);
  const table = ['| score | value |', '|---|---|', ...rows, ''].join('\n');
  const summaryPath = process.env.GITHUB_STEP_SUMMARY;
  if (summaryPath !== undefined) appendFileSync(summaryPath, table);
  console.log(table);
}

if (process.argv[1] !== undefined && import.meta.url === pathToFileURL(process.argv[1]).href) main();
