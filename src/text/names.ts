/**
 * File names are bytes. A name that is not UTF-8 is held as text with lone surrogates, which no
 * UTF-8 name contains, so the bytes can be restored.
 */
const undecodable = 0xdc00;

/**
 * A name as text: UTF-8, or one character for each byte, with lone surrogates for bytes beyond
 * ASCII.
 */
export function decodeName(bytes: Buffer): string {
  const text = bytes.toString('utf8');
  if (!text.includes('\ufffd') || Buffer.from(text).equals(bytes)) return text;
  return [...bytes].map((byte) => String.fromCharCode(byte < 0x80 ? byte : undecodable + byte)).join('');
}

/** The path for a system call: the bytes that `decodeName` was given. */
export function encodeName(path: string): string | Buffer {
  if (path.isWellFormed()) return path;
  return Buffer.concat(
    [...path].map((char) => {
      const code = char.charCodeAt(0);
      return code >= undecodable && code <= undecodable + 0xff ? Buffer.of(code - undecodable) : Buffer.from(char);
    }),
  );
}
