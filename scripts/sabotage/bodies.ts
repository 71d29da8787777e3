/**
 * Runs bodies of claims with their real pieces, without a test runner: a process that a run of
 * sabotage starts in a scratch copy, which has a breakage in it.
 *   node scripts/sabotage/bodies.ts SPECIFICATION ID [ID]
 * Prints `ID: assertion` of the first body that fails by an assertion, and nothing where none does
 * or one fails otherwise: then a whole run must judge.
 */
import { AssertionError } from 'node:assert';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { collect } from '../../spec/claim.ts';

const [specification = '', ...ids] = process.argv.slice(2);
const place = pathToFileURL(join(import.meta.dirname, '../..', specification)).href;
const definitions = await collect(() => import(place));
for (const { ids: own, run } of definitions.filter((each) => each.ids.some((id) => ids.includes(id)))) {
  try {
    await run();
  } catch (error) {
    if (!(error instanceof AssertionError) && (error as Error).name !== 'AssertionError') break;
    process.stdout.write(`${own.find((id) => ids.includes(id))}: ${(error as Error).message}`);
    break;
  }
}
// Whatever a body left running must not delay the answer.
process.exit(0);
