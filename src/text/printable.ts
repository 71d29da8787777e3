/**
 * Makes untrusted text safe to show on a terminal or in a one-line message. Input: anything, often
 * bytes of an attacker or of a broken file. Invariant: the result holds no control character, no
 * escape sequence for a terminal, no line break and no direction override, and its length is
 * bounded.
 */
import { printedCharactersMax } from '../limits.ts';

/** Code points that control a terminal, or that reorder or hide the text around them. */
export function hides(code: number): boolean {
  return (
    code < 0x20 || // C0, escape included
    (code >= 0x7f && code <= 0x9f) || // DEL and C1, where 0x9b opens a sequence on some terminals
    code === 0xad || // soft hyphen
    code === 0x61c || // Arabic letter mark
    (code >= 0x200b && code <= 0x200f) || // zero width, direction marks
    (code >= 0x2028 && code <= 0x202e) || // line and paragraph separators, direction overrides
    (code >= 0x2060 && code <= 0x206f) || // invisible operators, direction isolates
    (code >= 0xd800 && code <= 0xdfff) || // lone surrogates
    code === 0xfeff || // byte order mark
    (code >= 0xfff9 && code <= 0xfffb) || // interlinear annotations
    (code >= 0xe0000 && code <= 0xe007f) // invisible tags
  );
}

function escaped(code: number): string {
  if (code === 0x09) return '\\t';
  if (code === 0x0a) return '\\n';
  if (code === 0x0d) return '\\r';
  if (code <= 0xff) return `\\x${code.toString(16).padStart(2, '0')}`;
  return `\\u{${code.toString(16)}}`;
}

/**
 * `text` with everything that could control a terminal written as an escape, cut after
 * `charactersMax` characters of input.
 */
export function printable(text: string, charactersMax: number = printedCharactersMax): string {
  let result = '';
  let taken = 0;
  for (const character of text) {
    if (taken++ >= charactersMax) return `${result}…`;
    const code = character.codePointAt(0)!;
    result += hides(code) ? escaped(code) : character;
  }
  return result;
}
