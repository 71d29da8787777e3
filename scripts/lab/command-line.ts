/**
 * The command lines of the project's own programs (`npm run fuzz` and the like) behave alike:
 * `--help` prints the usage on standard output, exit status 0; wrong usage prints what is wrong and
 * the usage on standard error, exit status 2.
 */
import { type ParseArgsConfig, type ParseArgsOptionsConfig, parseArgs } from 'node:util';
import { ownArguments } from './namespace.ts';

export interface CommandLine<Config extends ParseArgsConfig> {
  values: ReturnType<typeof parseArgs<Config>>['values'];
  positionals: string[];
  /** Ends the program. */
  misuse(problem: string): never;
}

/**
 * Reads the arguments of `npm run NAME`; `usage` lists them all, its last line without a line feed.
 */
export function readCommandLine<const Options extends ParseArgsOptionsConfig>(
  name: string,
  usage: string,
  options: Options,
  allowPositionals = false,
): CommandLine<{ options: Options }> {
  const misuse = (problem: string): never => {
    process.stderr.write(`${name}: ${problem}\n\n${usage}\n`);
    process.exit(2);
  };
  try {
    const args = ownArguments(process.argv.slice(2));
    if (args.includes('--help') || args.includes('-h')) {
      process.stdout.write(`${usage}\n`);
      process.exit(0);
    }
    const { values, positionals } = parseArgs<{ options: Options; args: string[]; allowPositionals: boolean }>({
      args,
      options,
      allowPositionals,
    });
    return { values, positionals, misuse };
  } catch (error) {
    return misuse((error as Error).message);
  }
}
