/**
 * The command line of a subcommand: its options and operands, or what is wrong with it.
 */
import { type ParseArgsOptionsConfig, parseArgs } from 'node:util';
import { reasonOf } from '../config/file.ts';
import { nearest } from '../config/nearest.ts';
import { ConfigError } from '../config/problem.ts';
import { printable } from '../text/printable.ts';

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

/**
 * What went wrong, for standard error. A configuration's mistakes stand on lines of their own and
 * are safe for a terminal already.
 */
export function explain(error: Error): string {
  if (error instanceof ConfigError) return error.message;
  const { path, code } = error as NodeJS.ErrnoException;
  if (path === undefined || code === undefined) return printable(error.message);
  return `${path === '-' ? 'standard input' : printable(path)}: ${reasonOf(error)}`;
}

function complain(command: string, message: string): void {
  process.stderr.write(`${command}: ${message}\nTry \`${command} --help\`.\n`);
}
