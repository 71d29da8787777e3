/**
 * Single values of fail2ban as ours. Each function returns the value, or why there is none. Input:
 * any text.
 */
import { parsePorts } from '../config/port.ts';
import { banSecondsMax, jailNameMax } from '../limits.ts';
import { parseCidr } from '../text/address.ts';
import { splitWords } from './options.ts';

/** fail2ban's average year, seconds; its month is a twelfth of it. */
const yearSeconds = 31_557_600;
const units: [RegExp, number][] = [
  [/^(?:days?|da|dd?)$/i, 86_400],
  [/^(?:weeks?|wee?|ww?)$/i, 604_800],
  [/^(?:months?|mon?)$/i, yearSeconds / 12],
  [/^(?:years?|yea?|yy?)$/i, yearSeconds],
  [/^(?:seconds?|sec?|ss?)$/i, 1],
  [/^(?:minutes?|min?|mm?)$/i, 60],
  [/^(?:hours?|hou?|hh?)$/i, 3_600],
];
const durationCharactersMax = 200;

/** Seconds of `1d 12h`, `60 * 10`, `1.5h`, `-1`; undefined if the text is none of these. */
export function secondsOf(text: string): number | undefined {
  if (text.length > durationCharactersMax) return undefined;
  const tokens = text.match(/\d+(?:\.\d*)?|\.\d+|[a-z]+|[-+*/()]|\S/gi) ?? [];
  const sum = new Sum(tokens);
  const value = sum.read();
  return value !== undefined && Number.isFinite(value) ? Math.trunc(value) : undefined;
}

/** A sum of products, in which numbers side by side are added. */
class Sum {
  readonly #tokens: readonly string[];
  #at = 0;
  #depth = 0;

  constructor(tokens: readonly string[]) {
    this.#tokens = tokens;
  }

  read(): number | undefined {
    const value = this.#sum();
    return this.#at === this.#tokens.length ? value : undefined;
  }

  #sum(): number | undefined {
    let total = this.#product();
    for (;;) {
      const next = this.#tokens[this.#at];
      if (total === undefined || next === undefined || next === ')') return total;
      const minus = next === '-';
      if (next === '+' || minus) this.#at++;
      const more = this.#product();
      if (more === undefined) return undefined;
      total += minus ? -more : more;
    }
  }

  #product(): number | undefined {
    let value = this.#factor();
    for (;;) {
      const next = this.#tokens[this.#at];
      if (value === undefined || (next !== '*' && next !== '/')) return value;
      this.#at++;
      const more = this.#factor();
      if (more === undefined) return undefined;
      value = next === '*' ? value * more : value / more;
    }
  }

  #factor(): number | undefined {
    const token = this.#tokens[this.#at++];
    if (token === '-') {
      const value = this.#factor();
      return value === undefined ? undefined : -value;
    }
    if (token === '(') {
      if (++this.#depth > 16) return undefined;
      const value = this.#sum();
      return this.#tokens[this.#at++] === ')' ? value : undefined;
    }
    if (token === undefined || !/^[\d.]/.test(token)) return undefined;
    const unit = units.find(([name]) => name.test(this.#tokens[this.#at] ?? ''));
    if (unit) this.#at++;
    return Number(token) * (unit?.[1] ?? 1);
  }
}

/**
 * The length of a ban or window. A returned text says what is wrong; `remark` says what differs.
 */
export function durationOf(text: string, permanent: boolean): { seconds: number; remark?: string } | string {
  const seconds = secondsOf(text.trim());
  if (seconds === undefined) return 'is not a duration';
  if (seconds < 0) return permanent ? { seconds: -1 } : 'is below zero';
  if (seconds === 0) return 'is zero';
  if (seconds <= banSecondsMax) return { seconds };
  return { seconds: banSecondsMax, remark: 'is longer than ten years, which is the longest here' };
}

/** fail2ban's ports as ours. An empty list means all. */
export function portsOf(
  text: string,
  portOf: (service: string) => number | undefined,
): { ports: string[]; unknown: string[] } {
  const ports: string[] = [];
  const unknown: string[] = [];
  for (const word of splitWords(text)) {
    if (/^(?:any|all|(?:0|1)[:-]65535)$/i.test(word)) return { ports: [], unknown: [] };
    const range = word.replace(/^0([:-])/, '1$1');
    if (parsePorts(range).ok) ports.push(range);
    else {
      const port = portOf(word);
      if (port === undefined) unknown.push(word);
      else ports.push(String(port));
    }
  }
  return { ports, unknown };
}

/** Addresses and prefixes that we accept, and the others with the reason. */
export function ignoredOf(text: string): { kept: string[]; left: [entry: string, reason: string][] } {
  const kept: string[] = [];
  const left: [string, string][] = [];
  for (const word of splitWords(text)) {
    const address = parseCidr(withBits(word), 'clear');
    if (typeof address === 'string') left.push([word, whyNotIgnored(word)]);
    else if (address.prefix === 0) left.push([word, 'is every address: nobody would be banned']);
    else kept.push(withBits(word));
  }
  return { kept, left };
}

function whyNotIgnored(word: string): string {
  if (word.startsWith('file:')) return 'is a list in a file: put its entries into ignoreip';
  if (/[/:]/.test(word)) return 'is not an address or prefix';
  return /[a-z]/i.test(word)
    ? 'is a host name, which is never resolved: write its addresses'
    : 'is not an address or prefix';
}

/** `10.0.0.0/255.0.0.0` as `10.0.0.0/8`. */
function withBits(word: string): string {
  const [, address, mask] = /^([\d.]+)\/(\d+\.\d+\.\d+\.\d+)$/.exec(word) ?? [];
  if (mask === undefined) return word;
  const bits = mask
    .split('.')
    .map((part) => Number(part).toString(2).padStart(8, '0'))
    .join('');
  return /^1*0*$/.test(bits) && bits.length === 32 ? `${address}/${bits.replaceAll('0', '').length}` : word;
}

/**
 * A log path in the form of our globs, without the option at its end. A returned text says why not.
 */
export function logPathOf(text: string): { path: string; remark?: string } | string {
  const path = text.replace(/ (?:tail|head)$/, '').trim();
  if (!path.startsWith('/')) return 'is not an absolute path';
  if ([...path].some((character) => character < ' ' || character === '\x7f')) return 'holds a control character';
  const plain = path.replace(/\/(?:\.?\/)+/g, '/').replaceAll('**', '*');
  if (/(?:^|\/)\.\.?(?:\/|$)/.test(plain)) return 'holds "." or ".."';
  if (plain.endsWith('/')) return 'is a directory';
  const classless = plain.replace(/\[[^\]/]*\]/g, '?');
  if (/[[\]{}]/.test(classless)) return 'holds a bracket or brace, which our globs do not support';
  return classless === plain ? { path: plain } : { path: classless, remark: '"?" replaces the class in brackets' };
}

/** A name for a jail or filter that our configuration accepts. */
export function usableName(name: string): string {
  const plain = name.replace(/[^A-Za-z0-9_.-]+/g, '-').replace(/^[^A-Za-z0-9]+/, '');
  return (plain === '' ? 'jail' : plain).slice(0, jailNameMax);
}

/** `UTC+0200`, `Europe/Berlin`, in our form. */
export function timezoneOf(text: string): string {
  const [, sign, hours, minutes = '00'] = /^(?:UTC|GMT|Z)?([+-])(\d\d?):?(\d\d)?$/i.exec(text.trim()) ?? [];
  if (hours !== undefined) return `${sign}${hours.padStart(2, '0')}:${minutes}`;
  return /^(?:UTC|GMT|Z)$/i.test(text.trim()) ? '+00:00' : text.trim();
}
