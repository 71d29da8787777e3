/**
 * Runs test files of this tree, and prints as JSON how many tests ran and which failed: `node
 * spec/support/run-tests.ts PATTERN FILE…`; only tests whose title matches the pattern. The last
 * line is the result.
 */
import { startVitest, type TestCase, type TestModule } from 'vitest/node';

let count = 0;
const failed: string[] = [];
const reporter = {
  onTestCaseResult(test: TestCase) {
    const { state, errors } = test.result();
    if (state === 'skipped') return;
    count++;
    if (state === 'failed') failed.push(`${test.fullName} (${errors?.[0]?.message.replaceAll(/\s+/g, ' ') ?? ''})`);
  },
  onTestRunEnd(modules: readonly TestModule[], unhandled: readonly { message?: string }[]) {
    for (const { message } of [...modules.flatMap((module) => module.errors()), ...unhandled]) {
      failed.push(message ?? 'an unknown error');
    }
  },
};
const [pattern, ...files] = process.argv.slice(2);
const testNamePattern = new RegExp(pattern!);
const vitest = await startVitest(files, { watch: false, run: true, reporters: [reporter], testNamePattern });
await vitest.close();
console.log(`\n${JSON.stringify({ count, failed })}`);
