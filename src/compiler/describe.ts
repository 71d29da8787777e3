/** Tokens in words for people: in comments of emitted source, and in `fail2zig filters NAME`. */
import type { ByteClass, Token } from './pattern.ts';

/** The tokens in one line, for a comment and for `fail2zig filters NAME`. */
export function describe(tokens: readonly Token[]): string {
  return tokens.map(describeToken).join(' ');
}

function describeToken(token: Token): string {
  switch (token.kind) {
    case 'literal':
      return quote(token.text);
    case 'choice':
      return `(${token.of.map(quote).join(' | ')})`;
    case 'optional':
      return `[${describe(token.tokens)}]`;
    case 'either':
      return `(${token.of.map(describe).join(' | ')})`;
    case 'repeat':
      return `(${describe(token.tokens)}){0,${token.max}}`;
    case 'span':
      return `${token.capture ?? describeClass(token.of)}{${token.min},${token.max}}`;
    case 'text':
      return `${token.capture ?? 'text'}${token.without === undefined ? '' : ` without ${describeClass(token.without)}`}…`;
    case 'ip':
      return token.port === true ? 'ip:port' : 'ip';
    default:
      return token.kind;
  }
}

function describeClass(of: ByteClass): string {
  const parts = [...(of.name === undefined ? [] : [of.name]), ...(of.bytes === undefined ? [] : [quote(of.bytes)])];
  return `${of.not === true ? 'not-' : ''}${parts.join('+')}`;
}

export function quote(text: string): string {
  const plain = JSON.stringify(text).slice(1, -1).replaceAll('\\"', '"');
  return `'${plain.replace(/[\u007f-\uffff]/g, (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`)}'`;
}
