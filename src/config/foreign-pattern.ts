/**
 * Recognises what people bring from fail2ban: a table of constructs of regular expressions and of
 * filter files, each with what to write instead. It only helps: text that is really meant like that
 * is written {'text'}. Input: any text.
 */

interface Foreign {
  /** Sticky; the matched text is shown. */
  found: RegExp;
  reason: string;
  /** What to write instead. */
  instead: string;
}

const noRegularExpressions = 'patterns are not regular expressions';
const onePatternEach = 'a pattern for each case in `patterns`';

/** In this order: the first match counts. */
const constructs: readonly Foreign[] = [
  { found: /<(?:HOST|ADDR|IP4|IP6|SUBNET|CIDR|DNS)>/y, reason: "fail2ban's tag for the address", instead: '{ip}' },
  { found: /<\/?F-(?:ALT_)?USER[A-Z_]*>/y, reason: "fail2ban's tag for the user", instead: '{user}' },
  { found: /<SKIPLINES>/y, reason: 'a pattern is about one line', instead: `the line that names the address` },
  { found: /<\/?F-[A-Z_-]+\/?>/y, reason: "one of fail2ban's tags", instead: 'the text, {word} or {skip}' },
  {
    found: /%\(_*[A-Za-z_]+\)s/y,
    reason: 'an interpolation of fail2ban',
    instead: 'log_tag: the text before the message needs no pattern',
  },
  { found: /\(\?P?<[A-Za-z_]\w*>/y, reason: 'a named group', instead: 'one of the captures {ip}, {user}, {timestamp}' },
  {
    found: /\(\?<?[=!]/y,
    reason: 'there is no look-around',
    instead: 'the text that must be there, and `ignore` patterns for lines that must not count',
  },
  { found: /\(\?[aiLmsux-]+[):]/y, reason: 'there are no flags', instead: 'the text as it is, capitals included' },
  { found: /\(\?:/y, reason: 'there are no groups', instead: onePatternEach },
  { found: /\([^(){}]*\|[^(){}]*\)[*+?]?/y, reason: 'there is no alternation', instead: onePatternEach },
  {
    found: /\.[*+]\??/y,
    reason: noRegularExpressions,
    instead: '{skip} for text that a remote side chooses, {word} or {field} otherwise',
  },
  { found: /\\d[*+]?/y, reason: noRegularExpressions, instead: '{number}' },
  { found: /\\[Sw][*+]?/y, reason: noRegularExpressions, instead: '{word}' },
  { found: /\\s[*+]?/y, reason: noRegularExpressions, instead: 'a blank' },
  {
    found: /\\[ABbZz]/y,
    reason: noRegularExpressions,
    instead: 'nothing: the text of a pattern matches exactly',
  },
  { found: /\\[{}]/y, reason: 'there are no escapes', instead: '{{ or }}' },
  { found: /\\[^A-Za-z0-9\s]/y, reason: 'there are no escapes', instead: 'the character after the backslash alone' },
  { found: /\[\^[^\]]*\][*+?]?/y, reason: 'there are no classes', instead: '{word}, or {field} up to a character' },
  { found: /\[(?:0-9|a-z|A-Z|a-f|A-F)[^\]]*\][*+?]?/y, reason: 'there are no classes', instead: '{number} or {word}' },
  { found: /[\])][*+?]/y, reason: 'there are no quantifiers', instead: onePatternEach },
];

/** The foreign construct at `at`: why it is refused, and a hint; undefined for plain text. */
export function foreignAt(text: string, at: number): { reason: string; hint: string } | undefined {
  if (text[at] === '^' && at === 0) {
    return {
      reason: noRegularExpressions,
      hint: "leave ^ out: a pattern begins where the message does; {'^'} is the character",
    };
  }
  if (text[at] === '$' && at === text.length - 1) {
    return { reason: noRegularExpressions, hint: "write {end} for the end of the line, {'$'} for the character" };
  }
  for (const { found, reason, instead } of constructs) {
    found.lastIndex = at;
    const [taken] = found.exec(text) ?? [];
    if (taken === undefined) continue;
    const itself = taken.length <= 24 && !taken.includes("'}") ? `{'${taken}'}` : "{'…'}";
    return { reason, hint: `write ${instead}, or ${itself} where the line really says so` };
  }
  return undefined;
}
