/**
 * Help, completions and the guide's table of commands, generated from the rows of the verbs.
 */
import { socketPathDefault } from '../control/protocol.ts';
import { type Verb, verbs } from '../control/verbs.ts';
import { optionsOf, usageLine, wordKinds } from './words.ts';

/** Commands that the client runs itself, without the daemon. */
export const localCommands: readonly Command[] = [
  {
    name: 'doctor',
    usage: 'doctor [--config FILE]',
    says: 'Tests each link from the log file to a dropped packet, and says what is wrong and how to repair it',
    options: [{ name: 'config', value: 'FILE' }],
  },
  {
    name: 'report',
    usage: 'report [--since DURATION] [--html FILE]',
    says: 'Bans of the last days (7d) by time, jail, source and network; with --html as one page that needs no network',
    options: [
      { name: 'since', value: 'DURATION' },
      { name: 'html', value: 'FILE' },
    ],
  },
  {
    name: 'top',
    usage: 'top',
    says: 'A screen that shows what happens: rates, memory, problems, top sources, recent bans; q ends it',
    options: [],
  },
  {
    name: 'completions',
    usage: 'completions bash|zsh|fish',
    says: 'Prints completions for a shell, to be sourced',
    options: [],
  },
];

/** A command with its options, as every text about commands shows it. */
export interface Command {
  name: string;
  /** What a person types after `fail2zig-client`. */
  usage: string;
  /** What it does; no full stop. */
  says: string;
  /** Its own options; `value` '' = a flag. */
  options: { name: string; value: string }[];
}

const commandOf = (verb: Verb): Command => ({
  name: verb.name,
  usage: usageLine(verb),
  says: verb.says,
  options: optionsOf(verb).map(([name, { kind }]) => ({ name, value: wordKinds[kind].shown })),
});

/**
 * All commands: help, completions, the guide's table and the manual page are generated from them.
 */
export const commands: Command[] = [...verbs.map(commandOf), ...localCommands];

export const commandNames: string[] = commands.map(({ name }) => name);

/** Options that every command takes, and whether they have a value. */
export const globalOptions = [
  { name: 'socket', value: 'PATH', says: `the daemon's socket (default ${socketPathDefault})` },
  { name: 'json', value: '', says: 'answers and errors as one line of JSON' },
  { name: 'help', value: '', says: 'this text, or that of one command' },
  { name: 'version', value: '', says: 'the version' },
] as const;

/** The exit codes of a command. */
export const exitCodes = { done: 0, refused: 1, usage: 2, unreachable: 3, problems: 4, output: 5 } as const;

/** The meaning of each. */
export const exitMeanings: Record<keyof typeof exitCodes, string> = {
  done: 'done',
  refused: 'refused, at least for some of the addresses',
  usage: 'wrong usage',
  unreachable: 'daemon not reachable or no permission',
  problems: 'status, doctor: there are problems',
  output: 'standard output could not be written',
};

/** Commands of fail2ban, and what to use here. */
const foreign: Record<string, string> = {
  banip: 'ban JAIL ADDRESS',
  unbanip: 'unban ADDRESS',
  banned: 'list',
  start: 'the service: systemctl start fail2zig',
  stop: 'the service: systemctl stop fail2zig',
  restart: 'the service: systemctl restart fail2zig',
  ping: 'status',
  get: 'status JAIL, list JAIL, or fail2zig check for the settings',
  flushlogs: 'not needed: rotated logs are noticed',
};

/** The answer to a command of fail2ban; undefined for other words. */
export function foreignAnswer(words: readonly string[]): string | undefined {
  const name = words.find((word) => Object.hasOwn(foreign, word));
  return name === undefined ? undefined : `fail2ban's "${name}" is here: ${foreign[name]}`;
}

/** Text in lines of at most 80 columns, with `indent` blanks before each. */
export function wrapped(text: string, indent: number): string {
  const lines: string[] = [];
  for (const word of text.split(' ')) {
    const last = lines.at(-1);
    if (last !== undefined && indent + last.length + word.length < 80) lines[lines.length - 1] = `${last} ${word}`;
    else lines.push(word);
  }
  return lines.map((line) => `${' '.repeat(indent)}${line}\n`).join('');
}

/** The whole help. */
export function helpText(): string {
  const all = commands.map(({ usage, says }) => `  ${usage}\n${wrapped(says, 6)}`).join('');
  const options = globalOptions
    .map(({ name, value, says }) => `  ${`--${name} ${value}`.padEnd(16)}${says}\n`)
    .join('');
  const codes = Object.entries(exitCodes).map(
    ([name, code]) => `${code} ${exitMeanings[name as keyof typeof exitCodes]}`,
  );
  return `Usage: fail2zig-client [--socket PATH] [--json] COMMAND\n
Commands\n${all}
  DURATION is written 90, 10m, "1d 12h" or permanent. ADDRESS is IPv4 or IPv6,
  with /PREFIX for a whole prefix.\n
Options\n${options}
Exit codes\n${codes.map((line) => `  ${line}\n`).join('')}`;
}

/** The help of one command. */
export function commandHelp(name: string): string {
  const { usage, says } = commands.find((command) => command.name === name)!;
  return `Usage: fail2zig-client ${usage}\n${wrapped(`${says}.`, 2)}`;
}

/** The rows of the operator's guide's table of commands. */
export function readmeRows(): string {
  return commands
    .map(({ usage, says }) => `| \`fail2zig-client ${usage.replaceAll('|', '\\|')}\` | ${says} |\n`)
    .join('');
}

const shells: Record<string, () => string> = {
  bash: () => {
    const options = new Set(commands.flatMap((command) => command.options.map(({ name }) => name)));
    const words = [...globalOptions.map(({ name }) => name), ...options].map((name) => `--${name}`);
    return `complete -W '${[...commandNames, ...words].join(' ')}' fail2zig-client\n`;
  },
  zsh: () => `compdef "_values command ${commandNames.join(' ')}" fail2zig-client\n`,
  fish: () =>
    commands
      .map(
        ({ name, says }) => `complete -c fail2zig-client -f -n __fish_use_subcommand -a ${name} -d '${quoted(says)}'\n`,
      )
      .join(''),
};

const quoted = (text: string): string => text.replaceAll("'", "\\'");

/** Completions for a shell; undefined for an unknown shell. */
export function completions(shell: string | undefined): string | undefined {
  return shell !== undefined && Object.hasOwn(shells, shell) ? shells[shell]!() : undefined;
}
