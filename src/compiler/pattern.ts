/**
 * The pattern language of filters. Data only; `check.ts` refuses what cannot be matched safely,
 * `emit/` turns it into engine source, `encode.ts` into the token stream of the interpreter.
 *
 * Meaning. A pattern is matched from the start of the message. Tokens are matched in order, without
 * backtracking (the first choice that matches is kept), with one exception: `text`, for bytes that
 * an attacker may have chosen. A `text` ends at the first (`from: 'left'`) or last (`from:
 * 'right'`) place where the whole segment after it, up to the next `text` or the end of the
 * pattern, matches; that place is then kept. So the work is O(line) for every pattern. A pattern
 * need not reach the end of the line unless it contains `end`.
 */

/**
 * A set of bytes: a named class and/or explicit bytes (ASCII); `not` inverts all of it. `space` is
 * C's isspace (tab, LF, VT, FF, CR, blank), `nonspace` every other byte, `word` [0-9A-Za-z_],
 * `base64` [0-9A-Za-z+/=].
 */
export interface ByteClass {
  name?: 'digit' | 'hex' | 'word' | 'space' | 'nonspace' | 'any' | 'alpha' | 'base64';
  bytes?: string;
  not?: boolean;
}

export type Token =
  | { kind: 'literal'; text: string }
  /** The first literal in the list that matches; a longer one must come before its own prefix. */
  | { kind: 'choice'; of: string[] }
  /** Taken if it matches here. No `text` inside. */
  | { kind: 'optional'; tokens: Token[] }
  /** The first alternative that matches. No `text` inside. */
  | { kind: 'either'; of: Token[][] }
  /** 0..max times. No `text` inside; must match at least one byte. */
  | { kind: 'repeat'; max: number; tokens: Token[] }
  /** Longest run of the class, min..max bytes; a run longer than max does not match. */
  | { kind: 'span'; of: ByteClass; min: number; max: number; capture?: 'user' }
  /**
   * Source address: the longest run of address or host name bytes [0-9A-Za-z:._%-], or such a run
   * in brackets (which are consumed, not captured); at most 255 bytes. Without brackets a `:` after
   * a `.` ends the run (`192.0.2.7:5060`, `192.0.2.7:`), then one trailing `:` (not of a `::`) and
   * trailing dots are left to the next token. Whether it is valid is checked after the whole
   * pattern matched (bad-address / host-name): structure alone decides where it is. With `port`,
   * `:` and a port of one to five digits follow and are consumed. If the run included them, as an
   * IPv6 address without brackets does (`2001:db8::7:40122`), they are split off, unless a single
   * `:` would remain before them. The same holds for "192.0.2.7.40122", and for an IPv6 address
   * with a dot and a port.
   */
  | { kind: 'ip'; port?: true }
  /** A timestamp in any supported format (engine/timestamp.ts). */
  | { kind: 'time' }
  /**
   * Attacker text; at most `max` bytes (default: the line); `without`: bytes that never occur in
   * it. As the last token, `from: 'left'` takes nothing and `from: 'right'` everything that is
   * left.
   */
  | { kind: 'text'; from: 'left' | 'right'; max?: number; without?: ByteClass; capture?: 'user' }
  | { kind: 'end' };

export interface Pattern {
  name: string;
  /** Modes of the filter in which it applies; absent = all. */
  modes?: string[];
  /**
   * failure (default): counts. context: recognised, but no failure (connection bookkeeping).
   * `ends`: the connection is over. `gained`: a login succeeded. `stage`: the lines of one attempt
   * come in rising stages; in a connection whose attempt has already counted, a line of a later
   * stage belongs to the same attempt and does not count again. Absent = a failure by itself.
   * `tentative`: a PAM module's failure, which waits for the verdict of the service
   * (engine/attempts.ts). `list`: more addresses follow the captured one, separated by blanks, up
   * to a quote that the pattern matches; each of them counts.
   */
  effect?: {
    kind?: 'failure' | 'context';
    ends?: boolean;
    gained?: boolean;
    stage?: 1 | 2 | 3 | 4 | 5;
    tentative?: boolean;
    list?: boolean;
  };
  tokens: Token[];
  /** A whole line (with prefix), written by us, that matches. Documentation addresses only. */
  sample: string;
  /** A line, written by us, that must not match this pattern. */
  counter: string;
}

export interface Filter {
  /** fail2ban's name for the filter. */
  name: string;
  about: string;
  /**
   * What may come before the patterns, tried in this order: `syslog` (time, host, one of `tags`,
   * optional [pid], colon and space), `time` (a timestamp at the start of the line, with or without
   * brackets, an optional colon and blanks, then the pattern), `bare` (the pattern starts at the
   * line's first byte and may contain `time`).
   */
  prefixes: ('syslog' | 'time' | 'bare')[];
  /**
   * Exact syslog identifiers; the last character may be `*`: any identifier that begins with the
   * rest. Empty = any.
   */
  tags?: string[];
  /**
   * Which lines belong to one attempt. `pid`: lines with the same host and pid are one connection
   * (engine/connection.ts). The others tell attempts apart by the address alone, by address and pid
   * (`process`), or by address and the text that the pattern captures as user (`session`), as
   * engine/attempts.ts describes. `number` is `pid` for services that number their connections or
   * messages themselves: the text that the pattern captures as user replaces the pid. Absent: each
   * line is an attempt.
   */
  connection?: 'pid' | 'address' | 'process' | 'session' | 'number';
  /** The first is the default. Absent = one nameless mode. */
  modes?: string[];
  /**
   * Lines that are never a failure, whatever else matches: tried before `patterns`, numbered after
   * them. Names must differ from those in `patterns`.
   */
  ignore?: Pattern[];
  patterns: Pattern[];
}
