/**
 * The memory primitives of the plain engine, with counting: each access is one step of work, and an
 * operation on a range takes one step for each 16 bytes (counted-engine.ts replaces `#linear` by
 * this). The rest is arithmetic, passed on.
 */
const real = (await import(
  new URL('../../src/engine/linear.ts', import.meta.url).href
)) as typeof import('../../src/engine/linear.ts');

let steps = 0;

/** Steps since the last call. */
export function takeSteps(): number {
  const taken = steps;
  steps = 0;
  return taken;
}

type Primitive = (...parameters: never[]) => unknown;

/** `work` of a call's parameters and result; one step where absent. */
function counted<Of extends Primitive>(
  primitive: Of,
  work?: (result: ReturnType<Of>, ...parameters: Parameters<Of>) => number,
): Of {
  return ((...parameters: Parameters<Of>) => {
    const result = primitive(...parameters) as ReturnType<Of>;
    steps += work === undefined ? 1 : 1 + Math.ceil(Math.abs(work(result, ...parameters)) / 16);
    return result;
  }) as unknown as Of;
}

/** What a search from the end has examined. */
const fromEnd = (found: number, from: number, end: number): number => Math.max(0, end - Math.max(found, from));

export const { bindMemory, toInt, divide, product, spread, lowestBit, ones } = real;
export const byte = counted(real.byte);
export const setByte = counted(real.setByte);
export const word = counted(real.word);
export const int = counted(real.int);
export const setInt = counted(real.setInt);
export const half = counted(real.half);
export const setHalf = counted(real.setHalf);
export const float = counted(real.float);
export const setFloat = counted(real.setFloat);
export const seconds = counted(real.seconds);
export const setSeconds = counted(real.setSeconds);
export const findByte = counted(real.findByte, (found, from) => found - from);
export const findByteLast = counted(real.findByteLast, fromEnd);
export const findPair = counted(real.findPair, (found, from) => found - from);
export const findPairLast = counted(real.findPairLast, fromEnd);
export const findWord = counted(real.findWord, (found, from) => found - from);
export const findWordLast = counted(real.findWordLast, fromEnd);
export const copyBytes = counted(real.copyBytes, (_, _to, _from, count) => count);
export const fillZero = counted(real.fillZero, (_, _at, count) => count);
export const skipDigits = counted(real.skipDigits, (end, from) => end - from);
export const skipDecimal = counted(real.skipDecimal, (end, from) => end - from);
export const skipNonspace = counted(real.skipNonspace, (end, from) => end - from);
export const lies = counted(real.lies, (_, _at, _low, _range, blocks) => 16 * blocks);
export const clockSeconds = counted(real.clockSeconds);
export const digitsBefore = counted(real.digitsBefore, (_, from, end) => Math.min(12, end - from));
export const byteBits = counted(real.byteBits);
export const digitBits = counted(real.digitBits);
export const holdsWord = counted(real.holdsWord, (_, from, end) => end - from);
export const addressBits = counted(real.addressBits);
export const wordsAre = counted(real.wordsAre);
export const leastWord = counted(real.leastWord);
export const matchBits = counted(real.matchBits);
