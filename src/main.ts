/**
 * The command `fail2zig`: starts the daemon, or runs one of the subcommands below. Each is loaded
 * only when it is asked for. Exit status: what the command returns; 2 for a command line that makes
 * no sense.
 */
import { exitUsage, parseOptions } from './commands/options.ts';
import { nearest } from './config/nearest.ts';
import { printable } from './text/printable.ts';
import { version } from './version.ts';

/** A subcommand's module: `argv` is what stands after its name. */
interface Command {
  run(argv: string[]): Promise<number>;
}

interface Row {
  about: string;
  load(): Promise<Command>;
}

const commands: Record<string, Row> = {
  check: { about: 'say whether the configuration can be used, or why not', load: () => import('./commands/check.ts') },
  match: { about: 'show which lines of a log a filter matches', load: () => import('./commands/match.ts') },
  replay: { about: 'run finished logs through the whole pipeline', load: () => import('./commands/replay.ts') },
  import: { about: 'translate a fail2ban configuration', load: () => import('./commands/import.ts') },
  remove: { about: 'take our rules and bans out of the kernel', load: () => import('./commands/remove.ts') },
  compare: { about: 'our decisions over a log beside those of fail2ban', load: () => import('./commands/compare.ts') },
  filters: { about: 'list the built-in filters, or show one', load: () => import('./commands/filters.ts') },
};

const usage = `fail2zig: bans hosts whose failures it finds in logs

  fail2zig [--config FILE]     start the daemon (configuration: /etc/fail2zig.toml)
${Object.entries(commands)
  .map(([name, { about }]) => `  fail2zig ${name.padEnd(20)}${about}`)
  .join('\n')}
  fail2zig ${'help'.padEnd(20)}this text
  fail2zig ${'version'.padEnd(20)}the version, and those of what is inside

\`fail2zig COMMAND --help\` shows what a command takes. Talk to a running daemon with fail2zig-client.
`;

/** Runs the command line `argv` (without program and script); resolves with the exit status. */
async function main(argv: string[]): Promise<number> {
  const [first] = argv;
  if (first === undefined || first.startsWith('-')) return start(argv);
  if (first === 'help') return print(usage);
  if (first === 'version') return print(`${versionText()}\n`);
  if (Object.hasOwn(commands, first)) {
    const command = await commands[first].load();
    return command.run(argv.slice(1));
  }
  return unknownCommand(first);
}

async function start(argv: string[]): Promise<number> {
  const parsed = parseOptions('fail2zig', argv, {
    config: { type: 'string' },
    'import-config': { type: 'string' },
    help: { type: 'boolean' },
    version: { type: 'boolean' },
  });
  if (!parsed) return exitUsage;
  if (parsed.values.help) return print(usage);
  if (parsed.values.version) return print(`fail2zig ${version}\n`);
  const folder = parsed.values['import-config'];
  if (folder !== undefined) return (await commands.import.load()).run([folder]);
  const { launch } = await import('./commands/start.ts');
  return launch(parsed.values.config);
}

/** The version, and those of the runtime: an operator asks them when Node publishes a repair. */
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
  process.stderr.write(`fail2zig: unknown command "${printable(name, 60)}"${hint}\nTry \`fail2zig --help\`.\n`);
  return exitUsage;
}

// A reader that has seen enough (`… | head`) is no error.
process.stdout.on('error', () => process.exit());

main(process.argv.slice(2)).then((status) => {
  process.exitCode = status;
});
