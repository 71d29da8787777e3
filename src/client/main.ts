/**
 * The command `fail2zig-client`: talks to the running daemon. Everything happens in
 * client/command.ts; this file gives it the real terminal.
 */
import { readFileSync, writeSync } from 'node:fs';
import { ownSession } from '../config/own-session.ts';
import { sayUncaught } from '../uncaught.ts';
import { version } from '../version.ts';
import { OutputError, run } from './command.ts';

/** Writes all of `text`; waits for a slow reader, and throws OutputError if there is none. */
function write(fd: number, text: string): void {
  const bytes = Buffer.from(text);
  for (let written = 0; written < bytes.length; ) {
    try {
      written += writeSync(fd, bytes, written);
    } catch (error) {
      const { code } = error as NodeJS.ErrnoException;
      if (code !== 'EAGAIN') throw new OutputError(`standard output cannot be written (${code})`);
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 5);
    }
  }
}

sayUncaught('fail2zig-client');
run(process.argv.slice(2), {
  out: (text) => write(1, text),
  error: (text) => {
    try {
      write(2, text);
    } catch {
      // Nobody reads standard error.
    }
  },
  input: () => readFileSync(0, 'utf8').split(/\s+/).filter(Boolean),
  session: ownSession,
  version,
}).then((code) => {
  process.exitCode = code;
});
