/**
 * The command `fail2zig`: starts the daemon, or runs a subcommand (commands/table.ts). Exit status:
 * what the command returns; 2 for a command line that makes no sense.
 */
import { exitUsage, parseOptions } from './commands/options.ts';
import { commands, usage } from './commands/table.ts';
import { nearest } from './config/nearest.ts';
import { printable } from './text/printable.ts';
import { exitSoftware, sayUncaught } from './uncaught.ts';
import { version } from './version.ts';

/** Runs the command line `argv` (without program and script); resolves with the exit status. */
async function main(argv: string[]): Promise<number> {
  const [first] = argv;
  if (first?.split('=', 1)[0] === '--import-config') return importConfig(argv);
  if (first === undefined || first.startsWith('-')) return start(argv);
  if (first === 'help') return print(usage);
  if (first === 'version') return print(`${versionText()}\n`);
  if (Object.hasOwn(commands, first)) {
    const command = await commands[first].load();
    return command.run(argv.slice(1));
  }
  return unknownCommand(first);
}

/** `--import-config FOLDER …` is `import FOLDER …`. */
async function importConfig([first = '', ...rest]: string[]): Promise<number> {
  const given = first.includes('=') ? [first.slice(first.indexOf('=') + 1)] : [];
  const command = await commands.import.load();
  return command.run([...given, ...rest]);
}

async function start(argv: string[]): Promise<number> {
  const parsed = parseOptions('fail2zig', argv, {
    config: { type: 'string' },
    help: { type: 'boolean' },
    version: { type: 'boolean' },
  });
  if (!parsed) return exitUsage;
  if (parsed.values.help) return print(usage);
  if (parsed.values.version) return print(`fail2zig ${version}\n`);
  const { launch } = await import('./commands/start.ts');
  return launch(parsed.values.config);
}

/**
 * The version, and those of the runtime: an operator needs them when Node publishes a security fix.
 */
function versionText(): string {
  const { node, v8, openssl } = process.versions;
  return `fail2zig ${version} (Node ${node}, V8 ${v8}, OpenSSL ${openssl})`;
}

function print(text: string): number {
  process.stdout.write(text);
  return 0;
}

function unknownCommand(name: string): number {
  const near = nearest(name, [...Object.keys(commands), 'help', 'version']);
  const hint = near === undefined ? '' : `; did you mean "${near}"?`;
  process.stderr.write(
    `fail2zig: unknown command "${printable(name, 60)}"${hint}\nTry \`fail2zig --help\`, or \`fail2zig-client --help\` for a running daemon.\n`,
  );
  return exitUsage;
}

process.stdout.on('error', ({ code }: NodeJS.ErrnoException) => {
  // A reader that has seen enough (`… | head`) is no error; a disk without room is one.
  if (code === 'EPIPE') process.exit();
  process.stderr.write(`fail2zig: standard output cannot be written (${code})\n`);
  process.exit(exitSoftware);
});

sayUncaught('fail2zig');
main(process.argv.slice(2)).then((status) => {
  process.exitCode = status;
});
