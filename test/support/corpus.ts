/**
 * Reads test/corpus/*.txt: cases as prose, so that a person can check them. One case is
 *
 *   # what it is about
 *   why: why it exists (may be repeated)
 *   filter: nginx-http-auth         where a file speaks of several filters
 *   mode: ddos                      one or several of the filter's modes; absent = its default
 *   > a log line, whole
 *   = pattern address [user]        the line is charged to that address
 *   ~ pattern address [user]        recognised, but about an attempt that is counted already
 *   - reason [pattern] not charged, in the words of `fail2zig match`: no-pattern, no-prefix,
 *     no-failure,
 *                                   no-address (none is known yet), host-name, bad-address,
 *                                   bad-time, ignored
 *
 * with as many lines as the connection wrote, each followed by its verdict. Every case starts with
 * an empty state. A user is the rest of the verdict's line; `>` and user may be written as a JSON
 * string (`> "…\u0000"`) where bytes need it. Text before the first case is for people.
 */
import { readFileSync } from 'node:fs';

export interface CorpusLine {
  line: Buffer;
  verdict: 'charged' | 'same' | 'none';
  /** Absent: any pattern, or none. */
  pattern?: string;
  address?: string;
  user?: string;
  /** Of verdict `none`. */
  reason?: string;
}

export interface CorpusCase {
  title: string;
  why: string;
  filter?: string;
  modes: string[];
  lines: CorpusLine[];
}

const plain = (text: string): string => (text.startsWith('"') ? (JSON.parse(text) as string) : text);

function readVerdict(sign: string, text: string): Omit<CorpusLine, 'line'> {
  const [first = '', second, ...rest] = text.split(' ');
  if (sign === '-') return { verdict: 'none', reason: first, pattern: second };
  if (second === undefined) throw new Error(`'${sign} ${text}' names no address`);
  const user = rest.length === 0 ? undefined : plain(rest.join(' '));
  return { verdict: sign === '=' ? 'charged' : 'same', pattern: first, address: second, user };
}

/** Every case of one file, in order. An error names the line of the file. */
export function readCorpus(path: string): CorpusCase[] {
  const cases: CorpusCase[] = [];
  let line: Buffer | undefined;
  readFileSync(path, 'utf8')
    .split('\n')
    .forEach((text, index) => {
      const fail = (reason: string): never => {
        throw new Error(`${path}:${index + 1}: ${reason}: ${text}`);
      };
      const current = cases.at(-1);
      const rest = text.slice(2);
      if (text.startsWith('# ')) cases.push({ title: rest, why: '', modes: [], lines: [] });
      else if (text === '' || current === undefined) return;
      else if (text.startsWith('why: ')) current.why = `${current.why} ${text.slice(5)}`.trim();
      else if (text.startsWith('filter: ')) current.filter = text.slice(8);
      else if (text.startsWith('mode: ')) current.modes = text.slice(6).split(/[ ,]+/);
      else if (text.startsWith('> ')) {
        if (line !== undefined) fail('the line before has no verdict');
        line = Buffer.from(plain(rest), 'utf8');
      } else if (/^[=~-] /.test(text)) {
        if (line === undefined) fail('a verdict without its line');
        else current.lines.push({ line, ...readVerdict(text[0] as string, rest) });
        line = undefined;
      } else fail('not a corpus line');
    });
  return cases;
}
