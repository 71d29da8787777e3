/**
 * The `fail2zig-client` command: turns arguments into a request, the answer into text, the outcome
 * into an exit code. Input: the operator's arguments, and a daemon's answers. Invariant: everything
 * printed has passed present.ts or `printable`; the daemon checks every argument itself, so safety
 * does not depend on this file.
 */
import { writeFileSync } from 'node:fs';
import { setTimeout } from 'node:timers/promises';
import { clientPauseMs, clientTriesMax, progressAddresses } from '../config/limits.ts';
import type { Records, Stats, Status } from '../control/answers.ts';
import type { listOrders } from '../control/arguments.ts';
import { type Request, socketPathDefault } from '../control/protocol.ts';
import { type Verb, verbs } from '../control/verbs.ts';
import { addressesPerRequestMax } from '../limits.ts';
import { asciiJson } from '../text/json.ts';
import { printable } from '../text/printable.ts';
import type { Address } from '../types.ts';
import { type CallOptions, responses, UnreachableError } from './call.ts';
import type { Finding } from './doctor.ts';
import {
  commandHelp,
  commandNames,
  commands,
  completions,
  exitCodes,
  foreignAnswer,
  globalOptions,
  helpText,
  wrapped,
} from './help.ts';
import { ownBan } from './own-ban.ts';
import { addressesOf } from './prefixes.ts';
import { presenterOf } from './present.ts';
import { knownBans, readRecords, type ShownBan, withRecords } from './records.ts';
import { argumentsOf, type CommandLine, optionsOf, splitArguments, UsageError, unknown, wordKinds } from './words.ts';

export interface Terminal {
  out(text: string): void;
  error(text: string): void;
  /** The address from which the operator is logged in over SSH. */
  session?(): Address | undefined;
  /** The lines of standard input, for commands that read them. */
  input?(): Iterable<string>;
  /** Shown by --version. */
  version: string;
}

/** The daemon refused the request. */
class RefusedError extends Error {
  readonly code: string;

  constructor(code: string, message: string) {
    super(message);
    this.code = code;
  }
}

/** Standard output cannot be written any more. */
export class OutputError extends Error {}

/** The parts of the daemon's answer; if the budget of requests is used up, waits. */
async function* ask(socket: string, request: Request, hand?: CallOptions['hand']): AsyncGenerator<object> {
  for (let tries = 1; ; tries++) {
    try {
      for await (const response of responses(socket, request, { hand })) {
        if (!response.ok) throw new RefusedError(response.error.code, response.error.message);
        // An answer in parts ends with an empty one.
        if (Object.keys(response.data as object).length > 0) yield response.data as object;
      }
      return;
    } catch (error) {
      if (!(error instanceof RefusedError)) throw error;
      // The socket accepted us but the daemon did not: for the person that is a missing permission.
      if (error.code === 'forbidden') throw new UnreachableError(`no permission: ${error.message}.`);
      if (error.code !== 'rate-limited' || tries === clientTriesMax) throw error;
      await setTimeout(clientPauseMs);
    }
  }
}

/** The requests of a command: many addresses are split over several. */
function* requestsOf(verb: Verb, args: Record<string, unknown>, terminal: Terminal): Generator<Request> {
  const list = Object.entries(verb.arguments).find(([, { many }]) => many);
  const given = list === undefined ? undefined : (args[list[0]] as string[] | undefined);
  if (list === undefined || given === undefined) return yield { verb: verb.name, args };
  const values = verb.name === 'ban' || verb.name === 'unban' ? addressesOf(given, verb.name) : given;
  for (let at = 0; at < values.length; at += addressesPerRequestMax) {
    if (at > 0 && at % progressAddresses === 0)
      terminal.error(`fail2zig-client: ${at} of ${values.length} addresses\n`);
    yield { verb: verb.name, args: { ...args, [list[0]]: values.slice(at, at + addressesPerRequestMax) } };
  }
}

/** The exit code for an answer. */
function codeOf(verb: Verb, data: object): number {
  if (verb.name === 'status' && 'problems' in data && (data.problems as unknown[]).length > 0)
    return exitCodes.problems;
  return 'refused' in data && (data.refused as unknown[]).length > 0 ? exitCodes.refused : exitCodes.done;
}

/** Like `argumentsOf`, but a command of fail2ban is answered with ours. */
function argumentsFor(verb: Verb, words: string[], options: Map<string, string>): Record<string, unknown> {
  try {
    return argumentsOf(verb.name, words, options);
  } catch (error) {
    const foreign = foreignAnswer(words);
    throw foreign === undefined ? error : new UsageError(foreign, verb.name);
  }
}

type ListOrder = (typeof listOrders)[number];

const compareTexts = new Intl.Collator('en', { numeric: true }).compare;
const secondsLeft = ({ remainingSeconds: left }: ShownBan): number => (left < 0 ? Number.MAX_VALUE : left);

const byOrder: Record<ListOrder, (one: ShownBan, other: ShownBan) => number> = {
  jail: (one, other) => compareTexts(one.jail, other.jail),
  address: (one, other) => compareTexts(one.address, other.address),
  start: (one, other) => (one.start ?? 0) - (other.start ?? 0),
  left: (one, other) => secondsLeft(one) - secondsLeft(other),
};

async function runVerb(verb: Verb, line: CommandLine, terminal: Terminal): Promise<number> {
  const words = line.words.slice(1).flatMap((word) => (word === '-' ? [...(terminal.input?.() ?? [])] : [word]));
  const { socket = socketPathDefault, ...others } = Object.fromEntries(line.options);
  const presenter = presenterOf(verb.name, line.flags.has('json'));
  const flags = optionsOf(verb).filter(([name]) => line.flags.has(name));
  const given = new Map([...Object.entries(others), ...flags.map(([name]): [string, string] => [name, ''])]);
  const args = argumentsFor(verb, words, given);
  const own = verb.name === 'ban' && !args.force ? terminal.session?.() : undefined;
  const refusal = own && ownBan(args.addresses as string[], own);
  if (refusal !== undefined) throw new RefusedError('own-session', refusal);
  let code: number = exitCodes.done;
  const sorted = args.sort === undefined ? undefined : ([] as ShownBan[]);
  const known = verb.name === 'list' ? await knownBans(await recordsOf(socket)) : undefined;
  for (const request of requestsOf(verb, args, terminal)) {
    const hand = verb.takes ? await recordOf(args.config as string | undefined, terminal) : undefined;
    for await (const answer of ask(socket, request, hand)) {
      for await (const data of withRecords(verb.name, args, answer, known)) {
        code = Math.max(code, codeOf(verb, data));
        if (sorted === undefined) terminal.out(presenter.part(data as never));
        else sorted.push(...(data as { bans: ShownBan[] }).bans);
      }
    }
  }
  if (sorted !== undefined)
    terminal.out(presenter.part({ bans: sorted.sort(byOrder[args.sort as ListOrder]) } as never));
  terminal.out(presenter.end());
  return code;
}

/** Compiles and checks the configuration at `path` and returns the function that hands it over. */
async function recordOf(path: string | undefined, terminal: Terminal): Promise<(socket: number) => void> {
  const { recordToHand } = await import('./reload.ts');
  const record = recordToHand(path, (warning) => terminal.error(`fail2zig-client: warning: ${warning}\n`));
  if ('problem' in record) throw new RefusedError('configuration', record.problem);
  return record.hand;
}

/** Where the records are; undefined if none are kept. */
async function recordsOf(socket: string): Promise<string | undefined> {
  try {
    return (await first<Records>(socket, 'history')).path;
  } catch (error) {
    if (error instanceof RefusedError && error.code === 'not-kept') return undefined;
    throw error;
  }
}

/** The first part of an answer. */
async function first<Answer>(socket: string, verb: Verb['name']): Promise<Answer> {
  for await (const answer of ask(socket, { verb, args: {} })) return answer as Answer;
  throw new UnreachableError(`the daemon at ${socket} ended the connection without an answer.`);
}

/** Commands that the client runs itself, with what it asks the daemon for. */
async function runLocal(name: string, line: CommandLine, terminal: Terminal): Promise<number> {
  if (line.words.length > 1) throw new UsageError(`"${line.words[1]}" is too much`, name);
  const socket = line.options.get('socket') ?? socketPathDefault;
  const isJson = line.flags.has('json');
  if (name === 'doctor') return runDoctor(line.options.get('config') ?? '/etc/fail2zig.toml', socket, isJson, terminal);
  if (name === 'top') {
    const { Top } = await import('./top.ts');
    const path = await recordsOf(socket);
    const ask = { status: () => first<Status>(socket, 'status'), stats: () => first<Stats>(socket, 'stats') };
    return new Top(ask, path, terminal).run();
  }
  const seconds = wordKinds.age.value(line.options.get('since') ?? '7d') as number;
  const { gather, reportHtml, reportText } = await import('./report.ts');
  const now = Date.now() / 1000;
  const path = await recordsOf(socket);
  const events = path === undefined ? [] : readRecords(path, (event) => event.at >= now - seconds);
  const status = await first<Status>(socket, 'status');
  const report = await gather(events, status, await first<Stats>(socket, 'stats'), now - seconds, now);
  const file = line.options.get('html');
  if (file !== undefined) {
    try {
      writeFileSync(file, reportHtml(report));
    } catch (error) {
      throw new OutputError(`the report cannot be written: ${(error as Error).message}`);
    }
    terminal.out(isJson ? `${asciiJson({ file })}\n` : `the report is in ${printable(file, file.length)}\n`);
  } else terminal.out(isJson ? `${asciiJson(report)}\n` : reportText(report));
  return exitCodes.done;
}

const marks = { ok: 'ok', warning: 'look', bad: 'WRONG', skipped: 'not seen' } as const;

async function runDoctor(config: string, socket: string, isJson: boolean, terminal: Terminal): Promise<number> {
  const { examine } = await import('./doctor.ts');
  const found: Finding[] = [];
  for await (const finding of examine(config, socket)) {
    found.push(finding);
    if (isJson) continue;
    const { link, state, says, mend } = finding;
    const lines = wrapped(printable(`${link}: ${says}`, says.length + link.length + 2), 10);
    terminal.out(
      `${marks[state].padEnd(10)}${lines.slice(10)}${mend === undefined ? '' : wrapped(printable(`-> ${mend}`, mend.length + 3), 10)}`,
    );
  }
  if (isJson) terminal.out(`${asciiJson({ findings: found })}\n`);
  return found.some(({ state }) => state === 'bad') ? exitCodes.problems : exitCodes.done;
}

async function runCommand(given: readonly string[], terminal: Terminal): Promise<number> {
  const isName = (word: string, at: number, all: readonly string[]): boolean =>
    !word.startsWith('-') && all[at - 1] !== '--socket';
  const first = given.findIndex(isName);
  const argv = given[first] === 'help' ? [...given.toSpliced(first, 1), '--help'] : given;
  const name = argv.find(isName);
  const verb = verbs.find((row) => row.name === name);
  const options = [
    ...globalOptions.map((option) => ({ name: option.name as string, isFlag: option.value === '' })),
    ...(commands.find((row) => row.name === name)?.options ?? []).map((option) => ({
      name: option.name,
      isFlag: option.value === '',
    })),
  ];
  const namesOf = (isFlag: boolean): Set<string> =>
    new Set(options.filter((option) => option.isFlag === isFlag).map((option) => option.name));
  const line = splitArguments(argv, namesOf(false), namesOf(true));
  if (line.flags.has('help')) terminal.out(commandNames.includes(name ?? '') ? commandHelp(name!) : helpText());
  else if (line.flags.has('version')) terminal.out(`fail2zig-client ${terminal.version}\n`);
  else if (name === 'completions') terminal.out(completionsFor(line.words[1]));
  else if (verb !== undefined) return runVerb(verb, line, terminal);
  else if (commandNames.includes(name ?? '')) return runLocal(name!, line, terminal);
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

/** The exit code and message for an error. */
function explain(error: unknown): { code: number; name: string; message: string; usage?: string } {
  if (error instanceof UsageError) {
    const usage = error.verb === undefined ? 'Try fail2zig-client --help\n' : commandHelp(error.verb);
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
    // Of a configuration each mistake has a line.
    const lines = name === 'configuration' ? message.split('\n') : [message];
    const text = lines.map((line) => printable(line, line.length)).join('\n');
    terminal.error(`fail2zig-client: ${what}${text}\n${usage}`);
    return code;
  }
}
