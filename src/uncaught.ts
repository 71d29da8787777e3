/**
 * How our programs end after an unexpected error: with what went wrong and where, and status 70.
 * Node itself would print the script's line, and a bundle is one long line. Claim: X-uncaught.
 */
import { writeSync } from 'node:fs';

export const exitSoftware = 70;

/** Installs the handler; `program` is the name in the message. */
export function sayUncaught(program: string): void {
  process.on('uncaughtException', ({ name, message, stack }) => {
    // Compared by name: each bundle has a class of its own.
    const said = name === 'MissingPart' ? message : `this is a mistake in fail2zig: ${stack}`;
    try {
      writeSync(2, `${program}: ${said}\n`);
    } catch {
      // Nobody reads standard error.
    }
    process.exit(exitSoftware);
  });
}
