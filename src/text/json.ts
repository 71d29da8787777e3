/**
 * JSON for machines that is safe on a terminal too: what JSON leaves as it is and a terminal acts
 * upon is escaped. Whoever parses it gets the value as it was.
 */
import { hides } from './printable.ts';

/**
 * `value` as JSON on one line: control characters, direction overrides and invisible characters
 * come out as \uXXXX.
 */
export function jsonText(value: unknown): string {
  const text = JSON.stringify(value);
  let out = '';
  let done = 0;
  for (let i = 0; i < text.length; i++) {
    if (text.charCodeAt(i) < 0x7f) continue;
    const code = text.codePointAt(i)!;
    const units = code > 0xffff ? 2 : 1;
    if (hides(code)) {
      out += text.slice(done, i);
      for (let unit = 0; unit < units; unit++)
        out += `\\u${text
          .charCodeAt(i + unit)
          .toString(16)
          .padStart(4, '0')}`;
      done = i + units;
    }
    i += units - 1;
  }
  return done === 0 ? text : out + text.slice(done);
}
