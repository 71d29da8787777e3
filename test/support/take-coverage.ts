/**
 * Under `npm run coverage` (NODE_V8_COVERAGE is set) each test file writes its coverage when it
 * ends: the test runner ends its workers by a signal, before Node would write it. Processes that
 * tests start inherit the variable and write at their own exit.
 */
import { takeCoverage } from 'node:v8';
import { afterAll } from 'vitest';

if (process.env.NODE_V8_COVERAGE !== undefined) afterAll(() => takeCoverage());
