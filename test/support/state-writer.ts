/**
 * A process that saves its state again and again, for tests that kill it or take away its disk.
 * Arguments: path, entries in each state, number of saves (0 = for ever). Prints the number of each
 * save once it is on disk, or the error.
 */

import { writeSync } from 'node:fs';
import { loadState } from '../../src/state/load.ts';
import { type StateWriteError, saveState } from '../../src/state/save.ts';
import { CollectingVisitor, sampleSnapshot } from './state.ts';

const [path, entries, saves] = [process.argv[2]!, Number(process.argv[3]), Number(process.argv[4])];
const loaded = loadState(path, new CollectingVisitor(), 1_700_000_000);
let number = loaded.state === null ? 0 : loaded.state.time;
for (let count = 0; saves === 0 || count < saves; count++) {
  number++;
  try {
    await saveState(path, () => sampleSnapshot(entries, number));
    writeSync(1, `${number}\n`);
  } catch (error) {
    const { code, step } = error as StateWriteError;
    writeSync(1, `${code} at ${step}\n`);
  }
}
