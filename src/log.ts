/**
 * The core's own log: one line per event on stderr, leveled, for journald or a terminal, as text or
 * as JSON. Input: constant texts of ours, with field values anybody may have written; values are
 * made printable and cut. Invariant: one call writes at most one line of at most `logLineMax`
 * characters behind its time and level in one write(2), and keeps nothing. When full: a text that
 * repeats faster than its budget is counted, and the count is said with the next line of that text
 * or by `flush`. A reader that is gone or not ready loses lines, counted; nothing waits for it.
 * Claims: I-03 (no caller passes log text; what was decided about a line goes to `debug`),
 * LP-31, LP-39.
 */
import { constants, fstatSync, openSync, writeSync } from 'node:fs';
import { isatty } from 'node:tty';
import { Bucket } from './bucket.ts';
import { logBurst, logFieldMax, logKeysMax, logLineMax, logRefillMs } from './limits.ts';
import { native } from './native.ts';
import { jsonText } from './text/json.ts';
import { printable } from './text/printable.ts';

export type Level = 'error' | 'warn' | 'info' | 'debug';
export type LogFormat = 'text' | 'json';

export type Fields = Record<string, string | number | boolean | undefined>;

/**
 * `text` must be constant: it is the key of the rate limit. What varies goes into `fields`; where
 * gathering them costs something, a function that is called only for a line that is written.
 */
export type Say = (text: string, fields?: Fields | (() => Fields)) => void;

export interface LogOptions {
  level: Level;
  /** Default: text. */
  format?: LogFormat;
  /**
   * Takes a whole line with its newline; throws where the reader is not ready. Default: write(2) on
   * stderr.
   */
  write?: (line: string) => void;
  /**
   * Prefix `<N>` for journald, in text instead of time and level. Default: systemd gave us a
   * journal stream.
   */
  journal?: boolean;
  /**
   * A datagram socket, and where syslog listens: lines go there in the form of RFC 5424, not to
   * stderr.
   */
  syslog?: { fd: number; path: string } | undefined;
  /** Epoch milliseconds. */
  now?: () => number;
}

/** What of a log its users see; tests hand in others. */
export type Logger = Pick<Log, keyof Log>;

/** Syslog priority of each level (sd-daemon(3)); the order is the order of severity. */
const priorities: Record<Level, number> = { error: 3, warn: 4, info: 6, debug: 7 };
/** Syslog's facility of daemons, as part of a priority (RFC 5424, 6.2.1). */
const daemonFacility = 3 << 3;

/**
 * True where stderr goes to journald: JOURNAL_STREAM is set and stderr is not a terminal
 * (systemd.exec(5)).
 */
export function stderrIsJournal(environment: NodeJS.ProcessEnv, isTerminal: boolean): boolean {
  return !isTerminal && (environment.JOURNAL_STREAM ?? '') !== '';
}

/**
 * A value as `name=value` readers expect it: backslashes doubled, quoted where a reader could
 * mistake its end.
 */
function fieldText(value: string | number | boolean, max: number): string {
  if (typeof value !== 'string') return String(value);
  const safe = printable(value.slice(0, max + 1).replaceAll('\\', '\\\\'), max);
  return safe === '' || /[ "=]/.test(safe) ? `"${safe.replaceAll('"', '\\"')}"` : safe;
}

function formatFields(fields: Fields, max: number): string {
  let out = '';
  for (const [name, value] of Object.entries(fields)) {
    if (value !== undefined) out += ` ${printable(name, logFieldMax)}=${fieldText(value, max)}`;
  }
  return out;
}

/** An event as one line for people, without time and level. */
export const textOf = (text: string, fields: Fields, max = logLineMax): string =>
  printable(text, logLineMax) + formatFields(fields, max);

/**
 * `value` as JSON in at most `room` characters, or undefined; a text that takes more is cut, and
 * ends with '…'.
 */
function jsonValue(value: string | number | boolean, room: number, max: number): string | undefined {
  if (typeof value !== 'string') return jsonText(value);
  const characters = Array.from(value.slice(0, 2 * (max + 1)));
  for (let count = Math.min(characters.length, max); count > 0; count >>= 1) {
    const text = jsonText(count < characters.length ? `${characters.slice(0, count).join('')}…` : value);
    if (text.length <= room) return text;
  }
  return value === '' ? '""' : undefined;
}

/** One object: time, level and msg, then the fields, as far as there is room for them. */
function jsonLine(time: number, level: Level, text: string, fields: Fields, max: number): string {
  const taken = new Set(['time', 'level', 'msg']);
  let room = logLineMax;
  let out = '';
  const add = (name: string, value: string | number | boolean): void => {
    const head = `,${jsonText(name)}:`;
    const body = jsonValue(value, room - head.length, max);
    if (body === undefined) return;
    out += head + body;
    room -= head.length + body.length;
  };
  add('msg', text);
  for (const [name, value] of Object.entries(fields)) {
    // A name stands once: what means something to every reader is not given another meaning.
    if (value !== undefined) add(taken.has(name) ? `${name}_` : name, value);
  }
  return `{"time":"${new Date(time).toISOString()}","level":"${level}"${out}}`;
}

/** Whose lines are counted, and said, when they are too many. */
interface Budget {
  level: Level;
  bucket: Bucket;
  suppressed: number;
}

/**
 * A logger with budgets of its own; nothing global is touched but stderr, by the default `write`.
 */
export class Log {
  // Properties, so that whoever says something of varying weight may hand one on.
  readonly error: Say = (text, fields) => this.#say('error', text, fields);
  readonly warn: Say = (text, fields) => this.#say('warn', text, fields);
  readonly info: Say = (text, fields) => this.#say('info', text, fields);
  readonly debug: Say = (text, fields) => this.#say('debug', text, fields);
  readonly #write: (line: string) => void;
  readonly #now: () => number;
  readonly #journal: boolean;
  readonly #syslog: boolean;
  readonly #json: boolean;
  readonly #budgets = new Map<string, Budget>();
  #threshold: number;
  #suppressed = 0;
  #lost = 0;

  constructor(options: LogOptions) {
    this.#write = options.write ?? (options.syslog ? toSyslog(options.syslog) : standardError());
    this.#syslog = options.syslog !== undefined;
    this.#now = options.now ?? Date.now;
    this.#journal = options.journal ?? stderrIsJournal(process.env, isatty(2));
    this.#json = options.format === 'json';
    this.#threshold = priorities[options.level];
  }

  /**
   * A line at level info that no budget and no level holds back: its rate is bounded by the caller.
   */
  record(text: string, fields: Fields): void {
    if (this.enabled('info')) this.#put('info', text, fields, logLineMax);
  }

  /** True where `level` is written; spares the work of gathering fields. */
  enabled(level: Level): boolean {
    return priorities[level] <= this.#threshold;
  }

  setLevel(level: Level): void {
    this.#threshold = priorities[level];
  }

  /**
   * Says how many lines of each text were suppressed since it was last said. Call now and then, and
   * at the end.
   */
  flush(): void {
    for (const [text, budget] of this.#budgets) this.#saySuppressed(text, budget);
  }

  /** Lines over their budget, since the start. */
  get linesSuppressed(): number {
    return this.#suppressed;
  }

  /** Lines that nobody was ready to read. */
  get linesLost(): number {
    return this.#lost;
  }

  #textLine(level: Level, text: string, fields: Fields, fieldMax: number): string {
    const head = this.#journal || this.#syslog ? '' : `${new Date(this.#now()).toISOString()} ${level} `;
    const body = textOf(text, fields, fieldMax);
    return body.length > logLineMax ? `${head}${body.slice(0, logLineMax)}…` : head + body;
  }

  #put(level: Level, text: string, fields: Fields, fieldMax = logFieldMax): void {
    const priority = this.#syslog
      ? `<${daemonFacility + priorities[level]}>1 ${new Date(this.#now()).toISOString()} - fail2zig ${process.pid} - - `
      : this.#journal
        ? `<${priorities[level]}>`
        : '';
    const line = this.#json
      ? jsonLine(this.#now(), level, text, fields, fieldMax)
      : this.#textLine(level, text, fields, fieldMax);
    try {
      this.#write(`${priority}${line}\n`);
    } catch {
      // The reader is gone or not reading: a daemon that waits for its log stops protecting.
      this.#lost += 1;
    }
  }

  #saySuppressed(text: string, budget: Budget): void {
    if (budget.suppressed === 0) return;
    const count = budget.suppressed;
    budget.suppressed = 0;
    this.#put(budget.level, text, { suppressed: count });
  }

  /** The budget of `text`, newest last; the oldest gives way, saying first what it held back. */
  #budgetOf(level: Level, text: string): Budget {
    let budget = this.#budgets.get(text);
    if (budget === undefined) {
      if (this.#budgets.size >= logKeysMax) {
        const [oldestText, oldest] = this.#budgets.entries().next().value as [string, Budget];
        this.#budgets.delete(oldestText);
        this.#saySuppressed(oldestText, oldest);
      }
      budget = { level, bucket: new Bucket(this.#now, logBurst, logRefillMs), suppressed: 0 };
    } else this.#budgets.delete(text);
    this.#budgets.set(text, budget);
    return budget;
  }

  #say(level: Level, text: string, fields: Fields | (() => Fields) = {}): void {
    if (!this.enabled(level)) return;
    const budget = this.#budgetOf(level, text);
    if (!budget.bucket.take()) {
      budget.suppressed += 1;
      this.#suppressed += 1;
      return;
    }
    const suppressed = budget.suppressed === 0 ? {} : { suppressed: budget.suppressed };
    budget.suppressed = 0;
    this.#put(level, text, { ...(typeof fields === 'function' ? fields() : fields), ...suppressed });
  }
}

/**
 * Writes a line to stderr and never waits for its reader. A pipe or terminal is opened once more
 * for that: O_NONBLOCK on the open file that we were given would be O_NONBLOCK for others too.
 * Where that is not allowed, and for sockets, each write asks first. Without `process.stderr`,
 * whose stream would cost the core memory and buffer without bound.
 */
function standardError(): (line: string) => void {
  let descriptor = 2;
  const kind = fstatSync(2);
  // A file's end belongs to its open file, and it has no reader to wait for.
  if (kind.isFile()) return (line) => void writeSync(2, line);
  if (!kind.isSocket()) {
    try {
      descriptor = openSync('/proc/self/fd/2', constants.O_WRONLY | constants.O_NONBLOCK | constants.O_NOCTTY);
    } catch {
      // It belongs to somebody else.
    }
  }
  return (line) => {
    const bytes = Buffer.from(line);
    const written = native.writeNow(descriptor, bytes);
    if (written < bytes.length) throw new Error(`written: ${written}`);
  };
}

/** Sends a line to whoever listens at the path by then, and never waits. */
function toSyslog({ fd, path }: { fd: number; path: string }): (line: string) => void {
  return (line) => {
    const sent = native.datagramSend(fd, path, Buffer.from(line.trimEnd()));
    if (sent < 0) throw new Error(`sent: ${sent}`);
  };
}
