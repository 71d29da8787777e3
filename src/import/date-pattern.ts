/**
 * `datepattern` of a fail2ban jail or filter: whether engine/timestamp.ts recognises its times
 * without it. A sample time is written in the form of the pattern, and the engine reads it. The
 * pattern itself is not carried over.
 */
import { compileFilters } from '../config/filter.ts';
import { tryLines } from '../config/load.ts';

/**
 * `read`: recognised. `arrival`: lines have no time. `unread`: not recognised. `unknown`: cannot be
 * judged.
 */
export type DateVerdict = 'read' | 'arrival' | 'unread' | 'unknown';

/** A time whose parts are all different: Tuesday, 2021-11-23 14:25:36. */
const moment = [2021, 10, 23, 14, 25, 36] as const;
const local = new Date(...moment).getTime() / 1000;
const utc = Date.UTC(...moment) / 1000;

/**
 * What each directive of fail2ban writes. With `Ex` it is the same, but fail2ban reads it more
 * strictly.
 */
const directives: Readonly<Record<string, string>> = {
  ...{ Y: '2021', y: '21', m: '11', d: '23', e: '23', H: '14', k: '14', I: '02', l: '2', M: '25', S: '36', f: '123' },
  ...{ b: 'Nov', B: 'November', a: 'Tue', A: 'Tuesday', p: 'PM', z: '+0000', Z: 'UTC' },
};
const words: Readonly<Record<string, string>> = {
  EPOCH: String(utc),
  LEPOCH: `${utc}123`,
  TAI64N: `@${(2n ** 62n + BigInt(utc) + 10n).toString(16)}00000000`,
};

const token =
  /(?<directive>%(?:Ex)?[A-Za-z])|(?<optional>\(\?:(?:[^()\\]|\\.)*\)\?)|(?<blank>\\s\+?)|(?<none>\\s[*?]|\{UNB\}|\^)|\\(?<escaped>[^0-9A-Za-z])|(?<word>L?EPOCH|TAI64N)|(?<plain>[^\\()[\]{}*+?|$^])/y;

/**
 * The time in the form of the pattern, without optional parts; undefined if the pattern contains
 * more.
 */
function written(pattern: string): string | undefined {
  let text = '';
  token.lastIndex = 0;
  while (token.lastIndex < pattern.length) {
    const groups = token.exec(pattern)?.groups;
    if (groups === undefined) return undefined;
    const { directive, blank, escaped, word, plain } = groups;
    const part = directive === undefined ? undefined : directives[directive.at(-1)!];
    if (directive !== undefined && part === undefined) return undefined;
    text += part ?? words[word ?? ''] ?? (blank === undefined ? (escaped ?? plain ?? '') : ' ');
  }
  return text;
}

/** Whether our engine finds the times that `text` describes: one pattern a line. */
export function judgeDatePattern(text: string): DateVerdict {
  const patterns = text
    .split('\n')
    .map((line) => line.trim().replaceAll('%%', '%'))
    .filter((line) => line !== '');
  const verdicts = patterns.map(judge);
  return (['unknown', 'unread', 'arrival'] as const).find((verdict) => verdicts.includes(verdict)) ?? 'read';
}

function judge(pattern: string): DateVerdict {
  if (pattern.includes('{NONE}')) return 'arrival';
  // fail2ban's own list of formats, at the start of a line or anywhere.
  if (/^\^?(?:\{\^?LN-BEG\}|\{DATE\}|\s)*$/.test(pattern)) return 'read';
  const text = written(pattern.replaceAll(/\{\^?LN-BEG\}/g, ''));
  if (text === undefined) return 'unknown';
  const table = { name: 'tried', patterns: [{ pattern: 'x {ip}' }] };
  const [filter] = compileFilters([table as never], [], () => undefined);
  const [verdict] = tryLines(filter!.program, [`${text} x 192.0.2.7`]);
  return verdict!.outcome === 'failure' && [local, utc].includes(verdict!.time) ? 'read' : 'unread';
}
