/**
 * The command line of a subcommand: its options and operands, or what is wrong with it.
 */
import { type ParseArgsOptionsConfig, parseArgs } from 'node:util';
import { nearest } from '../config/nearest.ts';
import { printable } from '../observe/printable.ts';

/** Exit status for a command line that makes no sense. */
export const exitUsage = 2;

/** Parses `argv`; where that fails, says why on standard error and returns undefined. */
export function parseOptions<Options extends ParseArgsOptionsConfig>(
  command: string,
  argv: string[],
  options: Options,
  allowPositionals = false,
) {
  const names = Object.keys(options).map((name) => `--${name}`);
  const unknown = argv
    .slice(0, argv.includes('--') ? argv.indexOf('--') : argv.length)
    .map((argument) => argument.split('=', 1)[0])
    .find((argument) => argument.startsWith('--') && !names.includes(argument));
  if (unknown !== undefined) {
    const near = nearest(unknown, names);
    complain(
      command,
      `unknown option "${printable(unknown, 60)}"${near === undefined ? '' : `; did you mean "${near}"?`}`,
    );
    return undefined;
  }
  try {
    return parseArgs({ args: argv, options, allowPositionals });
  } catch (error) {
    complain(command, printable((error as Error).message));
    return undefined;
  }
}

function complain(command: string, message: string): void {
  process.stderr.write(`${command}: ${message}\nTry \`${command} --help\`.\n`);
}
