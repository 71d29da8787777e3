/**
 * The last line of a CI run: "N passed, N failed", from the test run's own report. node
 * scripts/tally.ts TEST_STATUS CHECK_STATUS. The check (types, format, lint, generated files)
 * counts as one; a test run without a report, or one that failed without a failed test, counts as
 * failed. Exit status 0 if nothing failed.
 */
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

interface Report {
  numPassedTests: number;
  numFailedTests: number;
  numPendingTests: number;
}

const [testStatus, checkStatus] = process.argv.slice(2).map(Number);
const file = join(import.meta.dirname, '../reports/tests.json');
let passed = 0;
let failed = 0;
if (existsSync(file)) {
  const report = JSON.parse(readFileSync(file, 'utf8')) as Report;
  passed = report.numPassedTests;
  failed = report.numFailedTests;
  if (report.numPendingTests > 0) console.log(`${report.numPendingTests} tests were skipped; the run above says why`);
}
if (testStatus !== 0 && failed === 0) failed++;
if (checkStatus === 0) passed++;
else {
  console.log('npm run check failed');
  failed++;
}
console.log(`${passed} passed, ${failed} failed`);
process.exitCode = failed === 0 ? 0 : 1;
