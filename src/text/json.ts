/**
 * JSON for programs that is also safe on a terminal. Parsing it returns the original value.
 */
import { hides } from './printable.ts';

/** `text` with each UTF-16 unit as \uXXXX. */
const escaped = (text: string): string =>
  [...Array(text.length).keys()].map((at) => `\\u${text.charCodeAt(at).toString(16).padStart(4, '0')}`).join('');

/**
 * `value` as JSON on one line: control characters, direction overrides and invisible characters
 * come out as \uXXXX.
 */
export function jsonText(value: unknown): string {
  return JSON.stringify(value).replaceAll(/[^\0-~]/gu, (text) => (hides(text.codePointAt(0)!) ? escaped(text) : text));
}

/** `value` as JSON on one line, each character of it one byte and printable. */
export function asciiJson(value: unknown): string {
  return JSON.stringify(value).replaceAll(/[^\0-~]/g, escaped);
}
