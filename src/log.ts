/**
 * The core's own log: one line per event on stderr, leveled, for journald or a terminal, as text or
 * as JSON. Input: constant texts of ours, with field values anybody may have written; values are
 * made printable and cut. Invariant: one call writes at most one line of at most `logLineMax`
 * characters behind its time and level in one write(2), and keeps nothing. When full: a text that
 * repeats faster than its budget is counted, and the count is said with the next line of that text
 * or by `flush`. A reader that is gone, or not ready where stderr does not block, loses lines,
 * counted. Claims: I-03 (no caller passes log text; what was decided about a line goes to `debug`),
 * LP-31, LP-39.
 */
import { writeSync } from 'node:fs';
import { isatty } from 'node:tty';
import { logBurst, logFieldMax, logKeysMax, logLineMax, logRefillMs } from './limits.ts';
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

export interface Logger {
  error: Say;
  warn: Say;
  info: Say;
  debug: Say;
  /** True where `level` is written; spares the work of gathering fields. */
  enabled(level: Level): boolean;
  /**
   * Says how many lines of each text were suppressed since it was last said. Call now and then, and
   * at the end.
   */
  flush(): void;
  /** Lines not written since the start: over budget, or the reader was not reading. */
  readonly linesSuppressed: number;
}

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
  /** Epoch milliseconds. */
  now?: () => number;
}

/** Syslog priority of each level (sd-daemon(3)); the order is the order of severity. */
const priorities: Record<Level, number> = { error: 3, warn: 4, info: 6, debug: 7 };

/** What is left of a text's budget, and what was not said. */
interface Budget {
  level: Level;
  left: number;
  at: number;
  suppressed: number;
}

/**
 * True where stderr goes to journald: JOURNAL_STREAM is set and stderr is not a terminal
 * (systemd.exec(5)).
 */
export function stderrIsJournal(environment: NodeJS.ProcessEnv, isTerminal: boolean): boolean {
  return !isTerminal && (environment.JOURNAL_STREAM ?? '') !== '';
}

function writeStderr(line: string): void {
  writeSync(2, line);
}

/**
 * A value as `name=value` readers expect it: backslashes doubled, quoted where a reader could
 * mistake its end.
 */
function fieldText(value: string | number | boolean): string {
  if (typeof value !== 'string') return String(value);
  const safe = printable(value.slice(0, logFieldMax + 1).replaceAll('\\', '\\\\'), logFieldMax);
  return safe === '' || /[ "=]/.test(safe) ? `"${safe.replaceAll('"', '\\"')}"` : safe;
}

function formatFields(fields: Fields): string {
  let out = '';
  for (const [name, value] of Object.entries(fields)) {
    if (value !== undefined) out += ` ${printable(name, logFieldMax)}=${fieldText(value)}`;
  }
  return out;
}

/**
 * `value` as JSON in at most `room` characters, or undefined; a text that takes more is cut, and
 * ends with '…'.
 */
function jsonValue(value: string | number | boolean, room: number): string | undefined {
  if (typeof value !== 'string') return jsonText(value);
  const characters = Array.from(value.slice(0, 2 * (logFieldMax + 1)));
  for (let count = Math.min(characters.length, logFieldMax); count > 0; count >>= 1) {
    const text = jsonText(count < characters.length ? `${characters.slice(0, count).join('')}…` : value);
    if (text.length <= room) return text;
  }
  return value === '' ? '""' : undefined;
}

/** One object: time, level and msg, then the fields, as far as there is room for them. */
function jsonLine(time: number, level: Level, text: string, fields: Fields): string {
  const taken = new Set(['time', 'level', 'msg']);
  let room = logLineMax;
  let out = '';
  const add = (name: string, value: string | number | boolean): void => {
    const head = `,${jsonText(name)}:`;
    const body = jsonValue(value, room - head.length);
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

/**
 * A logger of its own budget table; nothing global is touched but stderr, and that only by the
 * default `write`.
 */
export function createLogger(options: LogOptions): Logger {
  const write = options.write ?? writeStderr;
  const now = options.now ?? Date.now;
  const journal = options.journal ?? stderrIsJournal(process.env, isTerminal());
  const json = options.format === 'json';
  const threshold = priorities[options.level];
  const budgets = new Map<string, Budget>();
  let linesSuppressed = 0;

  function textLine(level: Level, text: string, fields: Fields): string {
    const head = journal ? '' : `${new Date(now()).toISOString()} ${level} `;
    const body = printable(text, logLineMax) + formatFields(fields);
    return body.length > logLineMax ? `${head}${body.slice(0, logLineMax)}…` : head + body;
  }

  function put(level: Level, text: string, fields: Fields): void {
    const priority = journal ? `<${priorities[level]}>` : '';
    try {
      write(`${priority}${json ? jsonLine(now(), level, text, fields) : textLine(level, text, fields)}\n`);
    } catch {
      // The reader is gone or not reading (EAGAIN, EPIPE): a daemon that waits for its log stops
      // protecting.
      linesSuppressed += 1;
    }
  }

  function saySuppressed(text: string, budget: Budget): void {
    if (budget.suppressed === 0) return;
    const count = budget.suppressed;
    budget.suppressed = 0;
    put(budget.level, text, { suppressed: count });
  }

  /** The budget of `text`, newest last; the oldest gives way, saying first what it held back. */
  function budgetOf(level: Level, text: string): Budget {
    const time = now();
    let budget = budgets.get(text);
    if (budget === undefined) {
      if (budgets.size >= logKeysMax) {
        const [oldestText, oldest] = budgets.entries().next().value as [string, Budget];
        budgets.delete(oldestText);
        saySuppressed(oldestText, oldest);
      }
      budget = { level, left: logBurst, at: time, suppressed: 0 };
    } else {
      budgets.delete(text);
      const elapsed = time - budget.at;
      const gained = Math.floor(elapsed / logRefillMs);
      if (gained > 0) {
        budget.left = Math.min(logBurst, budget.left + gained);
        budget.at += gained * logRefillMs;
      } else if (elapsed < 0) budget.at = time;
    }
    budgets.set(text, budget);
    return budget;
  }

  function say(level: Level, text: string, fields: Fields | (() => Fields) = {}): void {
    if (priorities[level] > threshold) return;
    const budget = budgetOf(level, text);
    if (budget.left === 0) {
      budget.suppressed += 1;
      linesSuppressed += 1;
      return;
    }
    budget.left -= 1;
    const suppressed = budget.suppressed === 0 ? {} : { suppressed: budget.suppressed };
    budget.suppressed = 0;
    put(level, text, { ...(typeof fields === 'function' ? fields() : fields), ...suppressed });
  }

  return {
    error: (text, fields) => say('error', text, fields),
    warn: (text, fields) => say('warn', text, fields),
    info: (text, fields) => say('info', text, fields),
    debug: (text, fields) => say('debug', text, fields),
    enabled: (level) => priorities[level] <= threshold,
    flush: () => {
      for (const [text, budget] of budgets) saySuppressed(text, budget);
    },
    get linesSuppressed() {
      return linesSuppressed;
    },
  };
}

/**
 * Asked without `process.stderr`, whose stream would cost the core memory and buffer without bound.
 */
function isTerminal(): boolean {
  return isatty(2);
}
