/**
 * The syntax inside fail2ban's values: `name[option=value, …]`, lists of those, `<tag>`s, words,
 * yes and no. Input: any text.
 */
import { interpolationsMax, tagRepeatsMax, valueCharactersMax } from './limits.ts';
import { Unresolved } from './tree.ts';

export interface Call {
  name: string;
  options: Map<string, string>;
}

/** `name[a=1, b="2"][c='3']`; a returned string says what is wrong. */
export function parseCall(text: string): Call | string {
  const [, name, list] = /^([^[]+)(?:\[([\s\S]*)\])?\s*$/.exec(text.trim()) ?? [];
  if (name === undefined) return 'is not a name with options in brackets';
  const options = new Map<string, string>();
  const option = /\s*([\w.-]+)\s*=\s*(?:"([^"]*)"|'([^']*)'|([^,\]]*))\s*(?:,|\]\s*\[|$)/y;
  for (let at = 0; list !== undefined && /[^\s,]/.test(list.slice(at)); at = option.lastIndex) {
    option.lastIndex = at;
    const [, key, double, single, plain] = option.exec(list) ?? [];
    if (key === undefined) return 'has options that are not name=value';
    options.set(key.toLowerCase(), (double ?? single ?? plain ?? '').trim());
  }
  return { name: name.trim(), options };
}

/** A list of calls, separated by blanks or line ends outside of brackets and quotes. */
export function splitCalls(text: string): string[] {
  const calls: string[] = [];
  let depth = 0;
  let quote = '';
  let call = '';
  const flush = (): void => {
    if (call.trim() !== '') calls.push(call.trim());
    call = '';
  };
  for (const character of text) {
    if (quote !== '') quote = character === quote ? '' : quote;
    else if (depth > 0 && (character === '"' || character === "'")) quote = character;
    else if (character === '[') depth++;
    else if (character === ']') depth = Math.max(0, depth - 1);
    else if (/\s/.test(character) && depth === 0) {
      flush();
      continue;
    }
    call += character;
  }
  flush();
  return calls;
}

export function splitWords(text: string): string[] {
  return text.split(/[ ,\n\t]+/).filter((word) => word !== '');
}

export function isYes(text: string): boolean {
  return ['1', 'on', 'true', 'yes'].includes(text.toLowerCase());
}

/**
 * `value` with each known `<tag>` replaced, repeatedly; others stay. `name` is the option. Throws
 * Unresolved if a tag refers to itself.
 */
export function replaceTags(name: string, value: string, known: (tag: string) => string | undefined): string {
  const repeats = new Map<string, number>();
  let text = value;
  let left = interpolationsMax;
  for (let at = 0; ; ) {
    const tag = /<([^ <>]+)>/g;
    tag.lastIndex = at;
    const found = tag.exec(text);
    if (!found) return text;
    const [whole, wanted = ''] = found;
    const replacement = known(wanted);
    if (replacement === undefined) {
      at = found.index + 1;
      continue;
    }
    const times = (repeats.get(wanted) ?? 0) + 1;
    if (wanted === name || times > tagRepeatsMax || --left < 0) throw new Unresolved(`<${wanted}> refers to itself`);
    repeats.set(wanted, times);
    text = text.slice(0, found.index) + replacement + text.slice(found.index + whole.length);
    if (text.length > valueCharactersMax)
      throw new Unresolved(`it becomes longer than ${valueCharactersMax} characters`);
    // A tag may contain tags: <lt_<logtype>/prefix>.
    at = Math.max(0, text.lastIndexOf('<', found.index - 1));
  }
}
