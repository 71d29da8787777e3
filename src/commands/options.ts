/**
 * The command line of a subcommand: its options and operands, or what is wrong with it.
 */
import { type ParseArgsOptionsConfig, parseArgs } from 'node:util';
import { reasonOf } from '../config/file.ts';
import { nearest } from '../config/nearest.ts';
import { ConfigError } from '../config/problem.ts';
import { printable } from '../text/printable.ts';

/** Exit status for wrong usage. */
export const exitUsage = 2;

/** Parses `argv`; if that fails, prints the reason to standard error and returns undefined. */
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
    complain(command, misuseOf(error as NodeJS.ErrnoException));
    return undefined;
  }
}

/**
 * The options and operands of the command whose help is `usage`, which begins with its name; or its
 * exit status, if `--help` or wrong usage leaves nothing to do.
 */
export function readCommand<Options extends ParseArgsOptionsConfig>(
  usage: string,
  argv: string[],
  options: Options,
  allowPositionals = false,
) {
  const parsed = parseOptions(nameIn(usage), argv, { ...options, help: { type: 'boolean' } }, allowPositionals);
  if (parsed === undefined) return exitUsage;
  if (!('help' in parsed.values)) return parsed;
  process.stdout.write(usage);
  return 0;
}

/** Reports wrong usage; returns the exit status. */
export function misuse(usage: string, message: string): number {
  complain(nameIn(usage), message);
  return exitUsage;
}

function nameIn(usage: string): string {
  return usage.slice(0, usage.indexOf(':'));
}

/** Node's message about a command line, in our words. */
function misuseOf({ code, message }: NodeJS.ErrnoException): string {
  const [, named = ''] = /'([^']*)'/.exec(message) ?? [];
  const name = printable(named.split(/[ ,]/).findLast((word) => word.startsWith('-')) ?? named, 60);
  if (code === 'ERR_PARSE_ARGS_UNKNOWN_OPTION') return `unknown option "${name}"`;
  if (code === 'ERR_PARSE_ARGS_UNEXPECTED_POSITIONAL') return `"${name}" is too much`;
  if (code !== 'ERR_PARSE_ARGS_INVALID_OPTION_VALUE') return printable(message);
  return message.includes('does not take') ? `${name} takes no value` : `${name} needs a value`;
}

/**
 * What went wrong, for standard error. A configuration's mistakes have lines of their own and are
 * already safe for a terminal.
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
