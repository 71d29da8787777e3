/**
 * The command `fail2zig-client`: talks to the running daemon. Everything it does is in
 * client/command.ts; this file gives it the real terminal.
 */

import { version } from '../version.ts';
import { run } from './command.ts';

// A reader that has seen enough (`… | head`) is no error.
process.stdout.on('error', () => process.exit());

run(process.argv.slice(2), {
  out: (text) => process.stdout.write(text),
  error: (text) => process.stderr.write(text),
  version,
}).then((code) => {
  process.exitCode = code;
});
