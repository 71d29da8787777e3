import { describe, expect, test } from 'vitest';
import { parseResponse } from '../../src/client/response.ts';
import { encodeFrame, FrameDecoder, FrameError, parseRequest } from '../../src/control/protocol.ts';
import { frameBytesMax } from '../../src/limits.ts';

function header(length: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32LE(length);
  return bytes;
}

function failure(act: () => unknown): string {
  try {
    act();
  } catch (error) {
    if (error instanceof FrameError) return error.code;
    throw error;
  }
  return 'none';
}

describe('frames', () => {
  test('a frame is a little-endian length and that many bytes of UTF-8 JSON', () => {
    const frame = encodeFrame({ verb: 'ban', args: { jail: 'ä' } });
    const text = '{"verb":"ban","args":{"jail":"ä"}}';
    expect(frame).toEqual(Buffer.concat([header(Buffer.byteLength(text)), Buffer.from(text)]));
  });

  test('a frame arrives whole wherever it is cut', () => {
    const frames = Buffer.concat([encodeFrame({ verb: 'stats', args: {} }), encodeFrame({ verb: 'list', args: {} })]);
    for (let cut = 0; cut <= frames.length; cut++) {
      const decoder = new FrameDecoder();
      const verbs: unknown[] = [];
      for (const piece of [frames.subarray(0, cut), frames.subarray(cut)]) {
        decoder.push(piece);
        for (let body = decoder.next(); body; body = decoder.next()) verbs.push(parseRequest(body).verb);
      }
      expect(verbs, `cut at ${cut}`).toEqual(['stats', 'list']);
      expect(decoder.idle).toBe(true);
    }
  });

  test('a frame that is cut off is never given out, and the decoder knows that it is in the middle of one', () => {
    const frame = encodeFrame({ verb: 'stats', args: {} });
    for (let length = 1; length < frame.length; length++) {
      const decoder = new FrameDecoder();
      decoder.push(frame.subarray(0, length));
      expect(decoder.next()).toBeUndefined();
      expect(decoder.idle).toBe(false);
    }
  });

  test('the longest body passes and one byte more is an error before any of it is taken', () => {
    const decoder = new FrameDecoder();
    decoder.push(Buffer.concat([header(frameBytesMax), Buffer.alloc(frameBytesMax, 0x20)]));
    expect(decoder.next()?.length).toBe(frameBytesMax);
    const strict = new FrameDecoder();
    strict.push(header(frameBytesMax + 1));
    expect(failure(() => strict.next())).toBe('frame-too-long');
    expect(strict.bytesHeld).toBe(0);
    const text = 'x'.repeat(frameBytesMax - JSON.stringify({ verb: '', args: {} }).length);
    expect(encodeFrame({ verb: text, args: {} })).toHaveLength(4 + frameBytesMax);
  });

  test('what is held is the body that is being read and the chunk that is not used up', () => {
    const decoder = new FrameDecoder();
    decoder.push(header(10));
    expect([decoder.bytesHeld, decoder.idle]).toEqual([4, false]);
    decoder.next();
    decoder.push(Buffer.alloc(3));
    expect([decoder.bytesHeld, decoder.idle]).toEqual([13, false]);
    decoder.next();
    expect(decoder.bytesHeld).toBe(10);
  });

  test('a length of zero is an error, and an error is final', () => {
    const decoder = new FrameDecoder();
    decoder.push(Buffer.concat([header(0), encodeFrame({ verb: 'stats', args: {} })]));
    expect(failure(() => decoder.next())).toBe('frame-empty');
    expect(failure(() => decoder.next())).toBe('frame-empty');
  });

  test('a chunk may only follow one that is used up', () => {
    const decoder = new FrameDecoder();
    decoder.push(encodeFrame({ verb: 'stats', args: {} }));
    expect(() => decoder.push(Buffer.from('x'))).toThrow('before the last chunk was used up');
  });

  test('what does not fit a frame is not sent', () => {
    const args = { jail: 'x'.repeat(frameBytesMax) };
    expect(failure(() => encodeFrame({ verb: 'ban', args }))).toBe('frame-too-long');
  });
});

describe('bodies', () => {
  test.each([
    ['not JSON', '{"verb":'],
    ['an array', '[]'],
    ['null', 'null'],
    ['a string', '"status"'],
    ['a number', '7'],
    ['an unknown key', '{"verb":"status","args":{},"uid":0}'],
    ['sixty thousand open brackets', '['.repeat(60_000)],
    ['a byte order mark', '\ufeff{"verb":"status"}'],
  ])('%s is no request', (_name, text) => {
    expect(failure(() => parseRequest(Buffer.from(text)))).toBe('frame-not-json');
  });

  test('bytes that are not UTF-8 are no request', () => {
    const body = Buffer.concat([Buffer.from('{"verb":"'), Buffer.from([0xff]), Buffer.from('"}')]);
    expect(failure(() => parseRequest(body))).toBe('frame-not-json');
  });

  test.each([
    '{}',
    '{"ok":false}',
    '{"ok":false,"error":null}',
    '{"ok":false,"error":{"code":1,"message":"x"}}',
    '{"ok":1}',
  ])('%s is no response', (text) => {
    expect(failure(() => parseResponse(Buffer.from(text)))).toBe('frame-not-json');
  });
});
