/**
 * The core's own log: one line per event on stderr, leveled, for journald or a terminal, as text or
 * as JSON. Input: constant texts of ours, with field values that anybody may have written; values
 * are made printable and cut. Invariant: one call writes at most one line, of at most `logLineMax`
 * characters after time and level, in one write(2), and buffers nothing. When full: a text that
 * repeats faster than its budget allows is counted, and the count is logged with its next line or
 * by `flush`. If the reader is gone or not ready, lines are lost and counted; nothing waits for it.
 * Claims: I-03 (no caller passes log text; what was decided about a line goes to `debug`), LP-31,
 * LP-39.
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
 * `text` must be constant: it is the key of the rate limit. What varies goes into `fields`; if it
 * costs something to collect, pass a function, which is called only for a line that is written.
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
   * Whether a line begins with `<N>` for journald, instead of time and level (text only). Default:
   * if systemd connected stderr to the journal.
   */
  journal?: boolean;
  /**
   * A datagram socket, and the path where syslog listens: lines go there in the form of RFC 5424,
   * not to stderr.
   */
  syslog?: { fd: number; path: string } | undefined;
  /** Epoch milliseconds. */
  now?: () => number;
}

/** The part of a log that its users see; tests pass their own. */
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
 * A value as readers of `name=value` expect it: backslashes doubled, in quotes where a reader could
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
 * `value` as JSON in at most `room` characters, or undefined if it cannot be cut; a longer text is
 * cut and ends with '…'.
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
    // Every key stands once. A field must not replace time, level or msg, which readers rely on.
    if (value !== undefined) add(taken.has(name) ? `${name}_` : name, value);
  }
  return `{"time":"${new Date(time).toISOString()}","level":"${level}"${out}}`;
}

/** How many lines of a text may be written; the others are counted, and the count is logged. */
interface Budget {
  level: Level;
  bucket: Bucket;
  suppressed: number;
}

/**
 * A logger with budgets of its own; nothing global is touched but stderr, by the default `write`.
 */
export class Log {
  // Properties, not methods: a caller with lines of varying level can pass one on.
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

  /** A line at level info that ignores level and budget; the caller limits the rate. */
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
   * Logs how many lines of each text were suppressed since the last time. To be called at
   * intervals, and at the end.
   */
  flush(): void {
    for (const [text, budget] of this.#budgets) this.#saySuppressed(text, budget);
  }

  /** Lines over their budget since the start. */
  get linesSuppressed(): number {
    return this.#suppressed;
  }

  /** Lines lost because nobody was ready to read them. */
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
      // The reader is gone or does not read. We do not wait: a daemon that waits for its log no
      // longer protects.
      this.#lost += 1;
    }
  }

  #saySuppressed(text: string, budget: Budget): void {
    if (budget.suppressed === 0) return;
    const count = budget.suppressed;
    budget.suppressed = 0;
    this.#put(budget.level, text, { suppressed: count });
  }

  /**
   * The budget of `text`, moved to the newest place. If there are too many, the oldest is dropped,
   * after its count is logged.
   */
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
 * Writes a line to stderr and never waits for its reader. A pipe or terminal is opened a second
 * time for that, because O_NONBLOCK on the open file that we were given would apply to others as
 * well. Where that is not possible, and for sockets, each write first asks whether it would block.
 * `process.stderr` is not used: its stream would cost memory and buffer without bound.
 */
function standardError(): (line: string) => void {
  let descriptor = 2;
  const kind = fstatSync(2);
  // Each open file has its own end position, and nobody to wait for.
  if (kind.isFile()) return (line) => void writeSync(2, line);
  if (!kind.isSocket()) {
    try {
      descriptor = openSync('/proc/self/fd/2', constants.O_WRONLY | constants.O_NONBLOCK | constants.O_NOCTTY);
    } catch {
      // It belongs to another user.
    }
  }
  return (line) => {
    const bytes = Buffer.from(line);
    const written = native.writeNow(descriptor, bytes);
    if (written < bytes.length) throw new Error(`written: ${written}`);
  };
}

/** Sends a line to whoever listens at the path at that moment, and never waits. */
function toSyslog({ fd, path }: { fd: number; path: string }): (line: string) => void {
  return (line) => {
    const sent = native.datagramSend(fd, path, Buffer.from(line.trimEnd()));
    if (sent < 0) throw new Error(`sent: ${sent}`);
  };
}
