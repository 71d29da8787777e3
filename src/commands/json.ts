/** JSON for machines that is safe on a terminal too: what JSON leaves as it is and a terminal acts upon is escaped. */

/** `value` as JSON on one line: ASCII control bytes, DEL, C1 and direction overrides come out as \uXXXX. */
export function jsonText(value: unknown): string {
  const text = JSON.stringify(value);
  let out = '';
  let done = 0;
  for (let i = 0; i < text.length; i++) {
    const code = text.charCodeAt(i);
    if (code < 0x7f || !isUnsafe(code)) continue;
    out += `${text.slice(done, i)}\\u${code.toString(16).padStart(4, '0')}`;
    done = i + 1;
  }
  return done === 0 ? text : out + text.slice(done);
}

function isUnsafe(code: number): boolean {
  return (
    code <= 0x9f || // DEL and C1
    code === 0xad ||
    (code >= 0x200b && code <= 0x200f) ||
    (code >= 0x2028 && code <= 0x202e) ||
    (code >= 0x2060 && code <= 0x206f) ||
    code === 0xfeff
  );
}
