/**
 * What the checks of `npm run test:package` and `test:browser` add to their record.
 */
import type { TestModule } from 'vitest/node';
import { note } from './record.ts';

export default class Reporter {
  onTestRunEnd(modules: readonly TestModule[]): void {
    const tests = modules.flatMap((module) => [...module.children.allTests()]);
    for (const test of tests) note(`${test.result().state}: ${test.fullName}`);
    const count = (wanted: string): number => tests.filter((test) => test.result().state === wanted).length;
    note({ checks: tests.length, passed: count('passed'), failed: count('failed'), skipped: count('skipped') });
  }
}
