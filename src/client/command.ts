/**
 * The `fail2zig-client` command: arguments to a request, the answer to text, the outcome to an exit
 * code. Input: the operator's arguments, and a daemon's answers. Invariant: nothing is printed that
 * did not pass present.ts or `printable`; the daemon checks every argument itself, so nothing here
 * is relied on for safety.
 */
import { setTimeout } from 'node:timers/promises';
import { clientPauseMs, clientTriesMax } from '../config/limits.ts';
import { type Request, socketPathDefault } from '../control/protocol.ts';
import { findVerb, type Verb, verbs } from '../control/verbs.ts';
import { addressesPerRequestMax } from '../limits.ts';
import { asciiJson } from '../text/json.ts';
import { printable } from '../text/printable.ts';
import { responses, UnreachableError } from './call.ts';
import { commandNames, completions, exitCodes, foreignAnswer, globalOptions, helpText, verbHelp } from './help.ts';
import { presenterOf } from './present.ts';
import { withRecords } from './records.ts';
import { argumentsOf, type CommandLine, optionsOf, splitArguments, UsageError, unknown } from './words.ts';

export interface Terminal {
  out(text: string): void;
  error(text: string): void;
  /** The lines of standard input, where a command reads them. */
  input?(): Iterable<string>;
  /** Shown by --version. */
  version: string;
}

/** The daemon said no. */
class RefusedError extends Error {
  readonly code: string;

  constructor(code: string, message: string) {
    super(message);
    this.code = code;
  }
}

/** Standard output takes nothing any more. */
export class OutputError extends Error {}

/** The parts of the daemon's answer; a budget of requests that is used up is waited for. */
async function* ask(socket: string, request: Request): AsyncGenerator<object> {
  for (let tries = 1; ; tries++) {
    try {
      for await (const response of responses(socket, request)) {
        if (!response.ok) throw new RefusedError(response.error.code, response.error.message);
        // The end of an answer in parts is empty.
        if (Object.keys(response.data as object).length > 0) yield response.data as object;
      }
      return;
    } catch (error) {
      if (!(error instanceof RefusedError)) throw error;
      // The socket let us in and the daemon did not: to the person it is the same as no permission.
      if (error.code === 'forbidden') throw new UnreachableError(`no permission: ${error.message}.`);
      if (error.code !== 'rate-limited' || tries === clientTriesMax) throw error;
      await setTimeout(clientPauseMs);
    }
  }
}

/** The requests that a command makes: many addresses go in several. */
function* requestsOf(verb: Verb, args: Record<string, unknown>): Generator<Request> {
  const list = Object.entries(verb.arguments).find(([, { many }]) => many);
  const values = list === undefined ? undefined : (args[list[0]] as unknown[] | undefined);
  if (list === undefined || values === undefined) return yield { verb: verb.name, args };
  for (let at = 0; at < values.length; at += addressesPerRequestMax) {
    yield { verb: verb.name, args: { ...args, [list[0]]: values.slice(at, at + addressesPerRequestMax) } };
  }
}

/** What an answer says beside its text. */
function codeOf(verb: Verb, data: object): number {
  if (verb.name === 'status' && 'problems' in data && (data.problems as unknown[]).length > 0)
    return exitCodes.problems;
  return 'refused' in data && (data.refused as unknown[]).length > 0 ? exitCodes.refused : exitCodes.done;
}

/** As `argumentsOf`; what fail2ban's users type is answered with ours. */
function argumentsFor(verb: Verb, words: string[], options: Map<string, string>): Record<string, unknown> {
  try {
    return argumentsOf(verb.name, words, options);
  } catch (error) {
    const foreign = foreignAnswer(words);
    throw foreign === undefined ? error : new UsageError(foreign, verb.name);
  }
}

async function runVerb(verb: Verb, line: CommandLine, terminal: Terminal): Promise<number> {
  const words = line.words.slice(1).flatMap((word) => (word === '-' ? [...(terminal.input?.() ?? [])] : [word]));
  const { socket = socketPathDefault, ...others } = Object.fromEntries(line.options);
  const presenter = presenterOf(verb.name, line.flags.has('json'));
  const flags = optionsOf(verb).filter(([name]) => line.flags.has(name));
  const given = new Map([...Object.entries(others), ...flags.map(([name]): [string, string] => [name, ''])]);
  const args = argumentsFor(verb, words, given);
  let code: number = exitCodes.done;
  for (const request of requestsOf(verb, args)) {
    for await (const answer of ask(socket, request)) {
      for await (const data of withRecords(verb.name, args, answer)) {
        code = Math.max(code, codeOf(verb, data));
        terminal.out(presenter.part(data as never));
      }
    }
  }
  terminal.out(presenter.end());
  return code;
}

async function runCommand(argv: readonly string[], terminal: Terminal): Promise<number> {
  const name = argv.find((word, at) => !word.startsWith('-') && argv[at - 1] !== '--socket');
  const verb = verbs.find((row) => row.name === name);
  const options = [
    ...globalOptions.map((option) => ({ name: option.name as string, isFlag: option.value === '' })),
    ...(verb ? optionsOf(verb) : []).map(([name, { kind }]) => ({ name, isFlag: kind === 'flag' })),
  ];
  const namesOf = (isFlag: boolean): Set<string> =>
    new Set(options.filter((option) => option.isFlag === isFlag).map((option) => option.name));
  const line = splitArguments(argv, namesOf(false), namesOf(true));
  if (line.flags.has('help')) terminal.out(verb === undefined ? helpText() : verbHelp(verb));
  else if (line.flags.has('version')) terminal.out(`fail2zig-client ${terminal.version}\n`);
  else if (name === 'completions') terminal.out(completionsFor(line.words[1]));
  else if (verb !== undefined) return runVerb(verb, line, terminal);
  else throw new UsageError(noCommand(line.words));
  return exitCodes.done;
}

function completionsFor(shell: string | undefined): string {
  const text = completions(shell);
  if (text === undefined) throw new UsageError('completions are for bash, zsh or fish');
  return text;
}

function noCommand(words: string[]): string {
  const [name] = words;
  if (name === undefined) return `a command is missing; there are ${commandNames.join(', ')}`;
  return foreignAnswer(words) ?? unknown('command', name, commandNames);
}

/** What a failure ends with, and what is said. */
function explain(error: unknown): { code: number; name: string; message: string; usage?: string } {
  if (error instanceof UsageError) {
    const usage = error.verb === undefined ? 'Try fail2zig-client --help\n' : verbHelp(findVerb(error.verb));
    return { code: exitCodes.usage, name: 'usage', message: error.message, usage };
  }
  if (error instanceof RefusedError) return { code: exitCodes.refused, name: error.code, message: error.message };
  if (error instanceof OutputError) return { code: exitCodes.output, name: 'output', message: error.message };
  const message = error instanceof UnreachableError ? error.message : `what answers is not fail2zig: ${String(error)}`;
  return { code: exitCodes.unreachable, name: 'unreachable', message };
}

/** Runs the command; never throws, prints its own errors, returns the exit code. */
export async function run(argv: readonly string[], terminal: Terminal): Promise<number> {
  try {
    return await runCommand(argv, terminal);
  } catch (error) {
    const { code, name, message, usage = '' } = explain(error);
    if (argv.includes('--json') && code !== exitCodes.output) {
      terminal.out(`${asciiJson({ error: { code: name, message } })}\n`);
      return code;
    }
    const what = error instanceof RefusedError ? `refused (${name}): ` : '';
    terminal.error(`fail2zig-client: ${what}${printable(message, message.length)}\n${usage}`);
    return code;
  }
}
