/**
 * The list of decisions that a Local API answers, piece by piece: an object with "new" and
 * "deleted", in any order, either of them null. Input: any bytes of whatever answers at the URL.
 * Invariant: only one piece and its decisions are in memory, however long the list is. An answer
 * that is not such a list, or ends early, is an error, and whoever acts on missing decisions waits
 * for the end.
 */
import { JSONParser, type ParsedTokenInfo, TokenType } from '@streamparser/json';
import { parseGoDuration } from './duration.ts';
import { listBytesMax, listDepthMax, tokenBytesMax, valueCharactersMax } from './limits.ts';

export type Kind = 'new' | 'deleted';

export interface Decision {
  kind: Kind;
  /** `ban`, or another remediation. */
  type: string;
  /** `ip`, `range`, or another scope of decisions, in lower case. */
  scope: string;
  value: string;
  /** Remaining seconds; negative if it is over. */
  seconds: number;
  origin: string;
  scenario: string;
  simulated: boolean;
}

/** The answer is not a list of decisions. */
export class ListError extends Error {
  constructor(reason: string) {
    super(`what the server answered is no list of decisions: ${reason}`);
    this.name = 'ListError';
  }
}

const isKind = (key: unknown): key is Kind => key === 'new' || key === 'deleted';

/**
 * Follows the tokens: which of the two lists is present, and that nothing is nested deeper than in
 * a list.
 */
class Outline {
  readonly seen = new Set<Kind>();
  bytesSince = 0;
  #depth = 0;
  #word: unknown;
  #key: Kind | undefined;

  token({ token, value }: ParsedTokenInfo): void {
    this.bytesSince = 0;
    if (this.#key !== undefined && token !== TokenType.COLON) {
      if (token !== TokenType.LEFT_BRACKET && token !== TokenType.NULL)
        throw new ListError(`"${this.#key}" is no list`);
      this.seen.add(this.#key);
      this.#key = undefined;
    }
    if (token === TokenType.LEFT_BRACE || token === TokenType.LEFT_BRACKET) {
      if (this.#depth === 0 && token !== TokenType.LEFT_BRACE) throw new ListError('it is no object');
      this.#depth++;
      if (this.#depth > listDepthMax) throw new ListError('it is nested too deep');
    } else if (token === TokenType.RIGHT_BRACE || token === TokenType.RIGHT_BRACKET) this.#depth--;
    else if (this.#depth === 0) throw new ListError('it is no object');
    else if (this.#depth === 1 && token === TokenType.COLON && isKind(this.#word)) this.#key = this.#word;
    this.#word = value;
  }
}

/** A decision from an element of a list; undefined if it is not one. */
function decisionOf(kind: Kind, value: unknown): Decision | undefined {
  if (typeof value !== 'object' || value === null) return undefined;
  const given = value as Record<string, unknown>;
  const { type, scope, duration, origin, scenario } = given;
  const texts = [type, scope, given.value, duration, origin, scenario];
  if (!texts.every((text) => typeof text === 'string')) return undefined;
  const seconds = parseGoDuration(duration as string);
  if (seconds === undefined || (given.value as string).length > valueCharactersMax) return undefined;
  return {
    kind,
    type: type as string,
    scope: (scope as string).toLowerCase(),
    value: given.value as string,
    seconds,
    origin: origin as string,
    scenario: scenario as string,
    simulated: given.simulated === true,
  };
}

/**
 * The decisions of each piece; `unreadable` is called for a list element that is not a decision.
 * Throws ListError at the first byte that does not belong to a list, and if the list has no end.
 */
export async function* decisionsOf(
  pieces: AsyncIterable<Uint8Array>,
  unreadable: () => void,
): AsyncGenerator<Decision[]> {
  const outline = new Outline();
  const parser = new JSONParser({ paths: ['$.new.*', '$.deleted.*'], keepStack: false });
  let found: Decision[] = [];
  parser.onToken = (token) => outline.token(token);
  parser.onValue = ({ value, stack }) => {
    const kind = stack[1]?.key;
    const decision = isKind(kind) ? decisionOf(kind, value) : undefined;
    if (decision === undefined) unreadable();
    else found.push(decision);
  };
  let bytes = 0;
  for await (const piece of pieces) {
    bytes += piece.length;
    outline.bytesSince += piece.length;
    if (bytes > listBytesMax) throw new ListError(`it is longer than ${listBytesMax} bytes`);
    if (parser.isEnded && Buffer.from(piece).toString('latin1').trim() === '') continue;
    write(parser, piece);
    if (outline.bytesSince > tokenBytesMax + piece.length) throw new ListError('it holds a text without end');
    if (found.length > 0) yield found;
    found = [];
  }
  if (!parser.isEnded) throw new ListError('it ends in its middle');
  if (!outline.seen.has('new')) throw new ListError('it has no "new"');
}

function write(parser: JSONParser, piece: Uint8Array): void {
  try {
    parser.write(piece);
  } catch (error) {
    if (error instanceof ListError) throw error;
    throw new ListError('it is no JSON');
  }
}
