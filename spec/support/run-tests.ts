/**
 * Runs test files of this tree, and prints as JSON how many tests there are and which failed: `node
 * spec/support/run-tests.ts FILE…`. The last line is the result.
 */
import { startVitest, type TestCase, type TestModule } from 'vitest/node';

let count = 0;
const failed: string[] = [];
const reporter = {
  onTestCaseResult(test: TestCase) {
    count++;
    const { state, errors } = test.result();
    if (state === 'failed') failed.push(`${test.fullName} (${errors?.[0]?.message.replaceAll(/\s+/g, ' ') ?? ''})`);
  },
  onTestRunEnd(modules: readonly TestModule[], unhandled: readonly { message?: string }[]) {
    for (const { message } of [...modules.flatMap((module) => module.errors()), ...unhandled]) {
      failed.push(message ?? 'an unknown error');
    }
  },
};
const vitest = await startVitest(process.argv.slice(2), { watch: false, run: true, reporters: [reporter] });
await vitest.close();
console.log(`\n${JSON.stringify({ count, failed })}`);
