/**
 * Names of files are bytes. Those that are not UTF-8 are carried as text with lone surrogates,
 * which no name in UTF-8 has, so that each becomes its bytes again.
 */
const undecodable = 0xdc00;

/** A name as text: UTF-8, or one character a byte, those beyond ASCII as lone surrogates. */
export function decodeName(bytes: Buffer): string {
  const text = bytes.toString('utf8');
  if (!text.includes('\ufffd') || Buffer.from(text).equals(bytes)) return text;
  return [...bytes].map((byte) => String.fromCharCode(byte < 0x80 ? byte : undecodable + byte)).join('');
}

/** What the system takes for a path: the bytes that `decodeName` was given. */
export function encodeName(path: string): string | Buffer {
  if (path.isWellFormed()) return path;
  return Buffer.concat(
    [...path].map((char) => {
      const code = char.charCodeAt(0);
      return char.length === 1 && code >= undecodable && code <= undecodable + 0xff
        ? Buffer.of(code - undecodable)
        : Buffer.from(char);
    }),
  );
}
