/**
 * A separate program: logs this many lines of 100 characters to standard error and prints how many
 * were lost, on standard output or into a file. Arguments: LINES [FILE].
 */
import { renameSync, writeFileSync, writeSync } from 'node:fs';
import { Log } from '../../src/log.ts';

const [lines, file] = process.argv.slice(2) as [string, string?];
const log = new Log({ level: 'info', journal: false });
for (let count = 0; count < Number(lines); count++) log.record('x'.repeat(100), {});
if (file === undefined) writeSync(1, String(log.linesLost));
else {
  writeFileSync(`${file}.new`, String(log.linesLost));
  renameSync(`${file}.new`, file);
}
