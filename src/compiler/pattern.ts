/**
 * The pattern language: what a filter is written in. Data only; `check.ts` refuses what cannot be
 * matched safely, `emit/` turns it into engine source, `encode.ts` into the token stream the
 * interpreter walks.
 *
 * Meaning. A pattern is matched from the start of the message. Tokens are taken in order and never
 * given back (first choice that fits is kept), with one exception: `text`, which stands for bytes
 * an attacker may have chosen. A `text` ends at the first (`from: 'left'`) or last (`from:
 * 'right'`) place where the whole segment after it, up to the next `text` or the end of the
 * pattern, matches; that place is then kept. So work is O(line) for every pattern. A pattern need
 * not reach the end of the line unless it says `end`.
 */

/**
 * A set of bytes: a named class and/or explicit bytes (ASCII); `not` inverts the whole. `space` is
 * what C's isspace says (tab, LF, VT, FF, CR, blank), `nonspace` every other byte, `word`
 * [0-9A-Za-z_], `base64` [0-9A-Za-z+/=].
 */
export interface ByteClass {
  name?: 'digit' | 'hex' | 'word' | 'space' | 'nonspace' | 'any' | 'alpha' | 'base64';
  bytes?: string;
  not?: boolean;
}

export type Token =
  | { kind: 'literal'; text: string }
  /** First literal in the list that fits; a longer one must stand before its own prefix. */
  | { kind: 'choice'; of: string[] }
  /** Taken if it fits here. No `text` inside. */
  | { kind: 'optional'; tokens: Token[] }
  /** First alternative that fits. No `text` inside. */
  | { kind: 'either'; of: Token[][] }
  /** 0..max times. No `text` inside, must consume. */
  | { kind: 'repeat'; max: number; tokens: Token[] }
  /** Longest run of the class, min..max bytes; a run longer than max does not match. */
  | { kind: 'span'; of: ByteClass; min: number; max: number; capture?: 'user' }
  /**
   * Source address: the longest run of address-or-host-name bytes [0-9A-Za-z:._%-], or such a run
   * in brackets (which are consumed, not captured); 255 bytes at most. Without brackets a `:` that
   * follows a `.` ends the run (`192.0.2.7:5060`, `192.0.2.7:`), then one trailing `:` (not of a
   * `::`) and trailing dots are left to the next token. Validity is decided after the whole pattern
   * matched (bad-address / host-name): structure alone decides where it is. With `port`, `:` and a
   * port of one to five digits follow and are consumed. A run that took them itself, as an IPv6
   * address without brackets does (`2001:db8::7:40122`), gives them back, unless a single `:` would
   * be left before them. So does "192.0.2.7.40122", or an IPv6 address with a dot and a port.
   */
  | { kind: 'ip'; port?: true }
  /** A timestamp in any known format at this place (engine/timestamp.ts). */
  | { kind: 'time' }
  /**
   * Attacker text; `max` bytes at most (default: the line); `without` bytes never occur in it. As
   * the last token, `from: 'left'` takes nothing and `from: 'right'` everything that is left.
   */
  | { kind: 'text'; from: 'left' | 'right'; max?: number; without?: ByteClass; capture?: 'user' }
  | { kind: 'end' };

export interface Pattern {
  name: string;
  /** Modes of the filter in which it applies; absent = all. */
  modes?: string[];
  /**
   * failure (default): counts. context: recognised, no failure by itself (connection bookkeeping).
   * `ends`: the connection is over. `gained`: a login succeeded. `stage`: lines about one attempt
   * come in rising stages; in a connection whose attempt has been counted already, a line of a
   * later stage is about that same attempt and does not count again. Absent = a failure by itself.
   * `tentative`: a PAM module's verdict, which waits for that of the service (engine/attempts.ts).
   * `list`: more addresses follow the captured one, a blank apart, up to a quote that the pattern
   * takes; each of them counts.
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
  /** A line of ours that matches, whole (with prefix). Documentation addresses only. */
  sample: string;
  /** A line of ours that must not match this pattern. */
  counter: string;
}

export interface Filter {
  /** fail2ban's name for it. */
  name: string;
  about: string;
  /**
   * What stands before the patterns, tried in this order: `syslog` (time, host, one of `tags`,
   * optional [pid], colon and space), `time` (a timestamp at the start of the line, bracketed or
   * not, a colon and blanks as far as there are any, then the pattern), `bare` (the pattern starts
   * at the line's first byte and may hold `time`).
   */
  prefixes: ('syslog' | 'time' | 'bare')[];
  /**
   * syslog identifiers, exact; the last byte may be `*`: any identifier that begins with the rest.
   * Empty = any.
   */
  tags?: string[];
  /**
   * Which lines speak of one attempt. `pid`: lines with the same host and pid are one connection
   * (engine/connection.ts). The others tell attempts apart by the address alone, by address and pid
   * (`process`), or by address and what the pattern captures as its user (`session`), as
   * engine/attempts.ts says. `number` is `pid` for services that number their connections or
   * messages themselves: what the pattern captures as its user stands for the pid. Absent: each
   * line is an attempt.
   */
  connection?: 'pid' | 'address' | 'process' | 'session' | 'number';
  /** First is the default. Absent = one nameless mode. */
  modes?: string[];
  /**
   * Lines that are never a failure, whatever else matches: tried before `patterns`, numbered after
   * them. Names must differ from those in `patterns`.
   */
  ignore?: Pattern[];
  patterns: Pattern[];
}
