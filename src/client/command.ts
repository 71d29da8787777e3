/**
 * The `fail2zig-client` command: arguments to a request, the answer to text, the outcome to an exit
 * code. Input: the operator's arguments, and a daemon's answers. Invariant: nothing is printed that
 * did not pass present.ts or `printable`; the daemon checks every argument itself, so nothing here
 * is relied on for safety.
 */
import { setTimeout } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { parseDuration } from '../config/duration.ts';
import { type Request, socketPathDefault } from '../control/protocol.ts';
import type { BanResult, BanRow, ListPage, Stats, Status, UnbanResult } from '../control/verbs.ts';
import { listPauseMs, listTriesMax } from '../limits.ts';
import { printable } from '../text/printable.ts';
import { call, UnreachableError } from './call.ts';
import { asciiJson, presentBan, presentList, presentStats, presentStatus, presentUnban } from './present.ts';

/** What the command ends with. */
export const exitCodes = { done: 0, refused: 1, usage: 2, unreachable: 3 } as const;

export interface Terminal {
  out(text: string): void;
  error(text: string): void;
  /** Shown by --version. */
  version: string;
}

const help = `Usage: fail2zig-client [--socket PATH] [--json] COMMAND

Commands
  status [JAIL]                  what runs: backend, memory, jails, problems
  list [JAIL]                    active bans and the time each has left
  ban JAIL ADDRESS [DURATION]    ban an address now; DURATION like 90, 10m, "1d 12h" or
                                 permanent (default: the jail's bantime)
  unban [JAIL] ADDRESS           end a ban, in every jail unless one is named
  stats                          counters: lines, matches, drops, bans, evictions

Options
  --socket PATH   the daemon's socket (default ${socketPathDefault})
  --json          print the answer as one line of JSON
  --help          this text
  --version       the version

Exit codes: 0 done, 1 refused by the daemon, 2 wrong usage, 3 daemon not reachable or no permission
`;

/** The arguments make no command. */
class UsageError extends Error {}

/** The daemon said no. */
class RefusedError extends Error {
  readonly code: string;

  constructor(code: string, message: string) {
    super(message);
    this.code = code;
  }
}

type Ask = (request: Request) => Promise<unknown>;

interface Command {
  /** Fewest and most words after the command's name. */
  words: [number, number];
  /** The answer, asked for in as many requests as it takes. */
  run(ask: Ask, words: string[]): Promise<unknown>;
  present(answer: unknown): string;
}

/** `args` without what is undefined. */
function request(verb: string, args: Record<string, unknown>): Request {
  return { verb, args: Object.fromEntries(Object.entries(args).filter(([, value]) => value !== undefined)) };
}

function seconds(text: string | undefined): number | undefined {
  if (text === undefined) return undefined;
  if (text === 'permanent') return -1;
  const parsed = parseDuration(/^[0-9]+$/.test(text) ? Number(text) : text, true);
  if (!parsed.ok) throw new UsageError(`DURATION ${parsed.reason}`);
  return parsed.value;
}

/**
 * One page; a long list outruns the daemon's budget of requests, so being told to wait is answered
 * by waiting.
 */
async function listPage(ask: Ask, jail: string | undefined, cursor: string | undefined): Promise<ListPage> {
  for (let tries = 1; ; tries++) {
    try {
      return (await ask(request('list', { jail, cursor }))) as ListPage;
    } catch (error) {
      const wait = error instanceof RefusedError && error.code === 'rate-limited' && tries < listTriesMax;
      if (!wait) throw error;
      await setTimeout(listPauseMs);
    }
  }
}

/** Every page, one after the other. */
async function listAll(ask: Ask, jail: string | undefined): Promise<{ bans: BanRow[] }> {
  const bans: BanRow[] = [];
  let cursor: string | undefined;
  do {
    const page: ListPage = await listPage(ask, jail, cursor);
    for (const ban of page.bans) bans.push(ban);
    if (page.cursor !== undefined && page.cursor === cursor) throw new UnreachableError('the daemon lists in circles.');
    cursor = page.cursor;
  } while (cursor !== undefined);
  return { bans };
}

/** A status with the jails of every page. */
async function statusAll(ask: Ask, jail: string | undefined): Promise<Status> {
  const { cursor: next, ...status } = (await ask(request('status', { jail }))) as Status;
  let cursor = next;
  while (cursor !== undefined) {
    const page = (await ask(request('status', { jail, cursor }))) as Status;
    for (const row of page.jails) status.jails.push(row);
    if (page.cursor === cursor) throw new UnreachableError('the daemon lists in circles.');
    cursor = page.cursor;
  }
  return status;
}

const commands: Record<string, Command> = {
  status: {
    words: [0, 1],
    run: (ask, [jail]) => statusAll(ask, jail),
    present: (answer) => presentStatus(answer as Status),
  },
  list: {
    words: [0, 1],
    run: (ask, [jail]) => listAll(ask, jail),
    present: (answer) => presentList((answer as { bans: BanRow[] }).bans),
  },
  ban: {
    words: [2, 3],
    run: (ask, [jail, address, duration]) => ask(request('ban', { jail, address, seconds: seconds(duration) })),
    present: (answer) => presentBan(answer as BanResult),
  },
  unban: {
    words: [1, 2],
    run: (ask, words) =>
      ask(request('unban', { jail: words.length > 1 ? words[0] : undefined, address: words.at(-1) })),
    present: (answer) => presentUnban(answer as UnbanResult),
  },
  stats: {
    words: [0, 0],
    run: (ask) => ask(request('stats', {})),
    present: (answer) => presentStats(answer as Stats),
  },
};

function parse(argv: readonly string[]) {
  try {
    return parseArgs({
      args: [...argv],
      allowPositionals: true,
      options: {
        socket: { type: 'string', default: socketPathDefault },
        json: { type: 'boolean', default: false },
        help: { type: 'boolean', short: 'h', default: false },
        version: { type: 'boolean', short: 'V', default: false },
      },
    });
  } catch (error) {
    throw new UsageError((error as Error).message);
  }
}

async function runCommand(argv: readonly string[], terminal: Terminal): Promise<void> {
  const { values, positionals } = parse(argv);
  if (values.help) return terminal.out(help);
  if (values.version) return terminal.out(`fail2zig-client ${terminal.version}\n`);
  const [name, ...words] = positionals;
  if (name === undefined) throw new UsageError(`a command is missing; there are ${Object.keys(commands).join(', ')}`);
  const command = Object.hasOwn(commands, name) ? commands[name] : undefined;
  if (!command) throw new UsageError(`no such command: ${name}; there are ${Object.keys(commands).join(', ')}`);
  const [fewest, most] = command.words;
  if (words.length < fewest) throw new UsageError(`${name} needs more words`);
  if (words.length > most) throw new UsageError(`${name} does not take "${words[most]}"`);
  const answer = await command.run(async (request) => {
    const response = await call(values.socket, request);
    if (response.ok) return response.data;
    const { code, message } = response.error;
    // The socket let us in and the daemon did not: to the person it is the same as no permission.
    throw code === 'forbidden' ? new UnreachableError(`no permission: ${message}.`) : new RefusedError(code, message);
  }, words);
  terminal.out(values.json ? `${asciiJson(answer)}\n` : command.present(answer));
}

/** Runs the command; never throws, prints its own errors, returns the exit code. */
export async function run(argv: readonly string[], terminal: Terminal): Promise<number> {
  const complain = (text: string): void => terminal.error(`fail2zig-client: ${printable(text)}\n`);
  try {
    await runCommand(argv, terminal);
    return exitCodes.done;
  } catch (error) {
    if (error instanceof UsageError) {
      complain(error.message);
      terminal.error('Try fail2zig-client --help\n');
      return exitCodes.usage;
    }
    if (error instanceof RefusedError) {
      complain(`refused (${error.code}): ${error.message}`);
      return exitCodes.refused;
    }
    if (error instanceof UnreachableError) {
      complain(error.message);
      return exitCodes.unreachable;
    }
    complain(`what answers is not fail2zig: ${String(error)}`);
    return exitCodes.unreachable;
  }
}
