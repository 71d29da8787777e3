/**
 * Frames with any bytes and any cuts: nothing is lost, nothing is invented, nothing accumulates.
 */
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { OperatorError } from '../../src/control/answers.ts';
import { checkArguments } from '../../src/control/arguments.ts';
import { encodeFrame, FrameDecoder, FrameError, parseRequest } from '../../src/control/protocol.ts';
import { findVerb } from '../../src/control/verbs.ts';
import { frameBytesMax } from '../../src/limits.ts';

/**
 * The frames of a stream, found by a loop that shares nothing with the decoder and sees all of the
 * bytes at once.
 */
function oracle(stream: Buffer): { bodies: string[]; broken: boolean } {
  const bodies: string[] = [];
  let at = 0;
  while (at + 4 <= stream.length) {
    const length = stream[at]! + stream[at + 1]! * 256 + stream[at + 2]! * 65_536 + stream[at + 3]! * 16_777_216;
    if (length === 0 || length > frameBytesMax) return { bodies, broken: true };
    if (at + 4 + length > stream.length) break;
    bodies.push(stream.toString('latin1', at + 4, at + 4 + length));
    at += 4 + length;
  }
  return { bodies, broken: false };
}

interface Decoder {
  push(chunk: Uint8Array): void;
  next(): Buffer | undefined;
  readonly bytesHeld: number;
}

/** Feeds `stream` in pieces and gives back what the decoder made of it. */
function decode(decoder: Decoder, stream: Buffer, cuts: number[]): { bodies: string[]; broken: boolean } {
  const bodies: string[] = [];
  const ends = [...cuts.map((cut) => cut % (stream.length + 1)), stream.length].sort((a, b) => a - b);
  let from = 0;
  for (const end of ends) {
    try {
      decoder.push(stream.subarray(from, end));
      for (let body = decoder.next(); body; body = decoder.next()) bodies.push(body.toString('latin1'));
    } catch (error) {
      if (!(error instanceof FrameError)) throw error;
      return { bodies, broken: true };
    }
    expect(decoder.bytesHeld).toBeLessThanOrEqual(frameBytesMax + (end - from));
    from = end;
  }
  return { bodies, broken: false };
}

const body = fc.uint8Array({ minLength: 1, maxLength: 40 }).map((bytes) => {
  const head = Buffer.alloc(4);
  head.writeUInt32LE(bytes.length);
  return Buffer.concat([head, bytes]);
});
/** Streams that are mostly frames, with any bytes in between. */
const stream = fc
  .array(
    fc.oneof(
      { weight: 4, arbitrary: body },
      fc.uint8Array({ maxLength: 9 }).map((bytes) => Buffer.from(bytes)),
    ),
  )
  .map((parts) => Buffer.concat(parts));
const cuts = fc.array(fc.nat(), { maxLength: 12 });

test('any bytes, cut anywhere, give what a look at the whole stream gives', () => {
  fc.assert(
    fc.property(stream, cuts, (bytes, where) => {
      expect(decode(new FrameDecoder(), bytes, where)).toEqual(oracle(bytes));
    }),
    { numRuns: 2_000 },
  );
});

test('twin: a decoder that takes each chunk for a whole frame is caught', () => {
  class Careless extends FrameDecoder {
    override push(chunk: Uint8Array): void {
      super.push(chunk);
      this.#whole = chunk.length > 4 ? Buffer.from(chunk.subarray(4)) : undefined;
    }
    override next(): Buffer | undefined {
      const whole = this.#whole;
      this.#whole = undefined;
      return whole;
    }
    #whole: Buffer | undefined;
  }
  const outcome = fc.check(
    fc.property(stream, cuts, (bytes, where) => {
      expect(decode(new Careless(), bytes, where)).toEqual(oracle(bytes));
    }),
  );
  expect(outcome.failed).toBe(true);
});

test('any JSON is a request that is refused by name, or one whose arguments its row accepts', () => {
  const json = fc.oneof(
    fc.jsonValue(),
    fc.record({
      verb: fc.oneof(fc.constantFrom('status', 'stats', 'list', 'ban', 'unban'), fc.string()),
      args: fc.oneof(
        fc.jsonValue(),
        fc.dictionary(fc.constantFrom('jail', 'address', 'seconds', 'cursor', 'limit', '__proto__'), fc.jsonValue()),
      ),
    }),
  );
  fc.assert(
    fc.property(json, (value) => {
      try {
        const request = parseRequest(Buffer.from(JSON.stringify(value)));
        const verb = findVerb(request.verb);
        const args = checkArguments(verb, request.args);
        for (const name of Object.keys(args)) expect(Object.keys(verb.arguments)).toContain(name);
      } catch (error) {
        if (!(error instanceof FrameError) && !(error instanceof OperatorError)) throw error;
      }
    }),
    { numRuns: 2_000 },
  );
});

test('a request survives its frame', () => {
  fc.assert(
    fc.property(fc.string(), fc.dictionary(fc.string(), fc.string()), (verb, args) => {
      const decoder = new FrameDecoder();
      decoder.push(encodeFrame({ verb, args }));
      const request = parseRequest(decoder.next() as Buffer);
      expect(request).toEqual(JSON.parse(JSON.stringify({ verb, args })));
    }),
  );
});
