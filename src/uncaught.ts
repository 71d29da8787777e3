/**
 * How a program of ours ends by an error that nobody expected: with what went wrong and where, and
 * status 70. Node itself would print the line of the script, and a bundle is one long line. Claim:
 * X-uncaught.
 */
import { writeSync } from 'node:fs';

export const exitSoftware = 70;

/** From now on; `program` is the name it says. */
export function sayUncaught(program: string): void {
  process.on('uncaughtException', ({ name, message, stack }) => {
    // By its name: each bundle has a class of its own.
    const said = name === 'MissingPart' ? message : `this is a mistake in fail2zig: ${stack}`;
    try {
      writeSync(2, `${program}: ${said}\n`);
    } catch {
      // Nobody is left to be told.
    }
    process.exit(exitSoftware);
  });
}
