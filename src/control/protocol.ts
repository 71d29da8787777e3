/**
 * The protocol of the control socket: a stream of frames. Each frame is a little-endian u32 length
 * and that many bytes of UTF-8 JSON. The client sends one request object; the daemon answers with
 * one response object, or with several, of which all but the last say that more follows. Input of
 * the decoder: any bytes of any local process. Invariant: the decoder holds at most one frame's
 * body and the last chunk. A length of zero or above `frameBytesMax` is an error before any byte of
 * the body is read, and ends the connection. When full: nothing queues here; the caller takes
 * frames one at a time and pauses its socket meanwhile.
 */
import { frameBytesMax } from '../limits.ts';
import type { RefusalCode } from './answers.ts';

/** The default path of the socket. */
export const socketPathDefault = '/run/fail2zig/fail2zig.sock';

export interface Request {
  verb: string;
  args: Record<string, unknown>;
}

export type Response =
  | { ok: true; data: unknown /** Another response to the same request follows. */; more?: true }
  | { ok: false; error: { code: RefusalCode; message: string } };

export type FrameErrorCode = 'frame-empty' | 'frame-too-long' | 'frame-not-json';

/** The peer violates the protocol; the connection cannot be used any more. */
export class FrameError extends Error {
  readonly code: FrameErrorCode;

  constructor(code: FrameErrorCode, message: string) {
    super(message);
    this.code = code;
  }
}

const headerBytes = 4;

/** Encodes `value` as a frame; throws `frame-too-long` if its body does not fit. */
export function encodeFrame(value: Request | Response): Buffer {
  const text = JSON.stringify(value);
  const length = Buffer.byteLength(text);
  if (length > frameBytesMax) {
    throw new FrameError('frame-too-long', `a frame of ${length} bytes; the limit is ${frameBytesMax}`);
  }
  const frame = Buffer.allocUnsafe(headerBytes + length);
  frame.writeUInt32LE(length, 0);
  frame.write(text, headerBytes);
  return frame;
}

/** Takes a stream in chunks of any size and returns the bodies of its frames one by one. */
export class FrameDecoder {
  /** The buffer being filled: a frame's header, or its body. */
  #part = Buffer.alloc(headerBytes);
  #isBody = false;
  #filled = 0;
  #chunk: Uint8Array = new Uint8Array(0);

  /** Bytes held for the peer; the tests check its bound. */
  get bytesHeld(): number {
    return (this.#isBody ? this.#part.length : 0) + this.#chunk.length;
  }

  /** True between two frames, before any byte of the next one. */
  get idle(): boolean {
    return !this.#isBody && this.#filled === 0 && this.#chunk.length === 0;
  }

  /** Takes the next chunk. The one before must be used up: `next()` returned undefined. */
  push(chunk: Uint8Array): void {
    if (this.#chunk.length > 0) throw new Error('FrameDecoder: pushed before the last chunk was used up');
    this.#chunk = chunk;
  }

  /**
   * The next whole body, or undefined if more bytes are needed. Throws FrameError, and again on
   * every later call: the buffer keeps the header.
   */
  next(): Buffer | undefined {
    while (this.#fill()) {
      const part = this.#part;
      this.#part = Buffer.allocUnsafeSlow(this.#isBody ? headerBytes : this.#bodyBytes(part));
      this.#filled = 0;
      this.#isBody = !this.#isBody;
      if (!this.#isBody) return part;
    }
    return undefined;
  }

  /** Fills the buffer from the chunk; true when it is full. */
  #fill(): boolean {
    const count = Math.min(this.#part.length - this.#filled, this.#chunk.length);
    this.#part.set(this.#chunk.subarray(0, count), this.#filled);
    this.#filled += count;
    // Releases a chunk that is used up.
    this.#chunk = count === this.#chunk.length ? new Uint8Array(0) : this.#chunk.subarray(count);
    return this.#filled === this.#part.length;
  }

  /** The length of the body that a header announces. */
  #bodyBytes(header: Buffer): number {
    const length = header.readUInt32LE(0);
    if (length > 0 && length <= frameBytesMax) return length;
    this.#chunk = new Uint8Array(0);
    if (length === 0) throw new FrameError('frame-empty', 'a frame without a body');
    throw new FrameError('frame-too-long', `a frame of ${length} bytes; the limit is ${frameBytesMax}`);
  }
}

const decoder = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

/** The object in a body; throws `frame-not-json` unless it is UTF-8, JSON and an object. */
export function parseObject(body: Uint8Array): Record<string, unknown> {
  let value: unknown;
  try {
    value = JSON.parse(decoder.decode(body));
  } catch {
    throw new FrameError('frame-not-json', 'a body that is not UTF-8 JSON');
  }
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    throw new FrameError('frame-not-json', 'a body that is not a JSON object');
  }
  return value as Record<string, unknown>;
}

/**
 * A request as received: `verb` and `args` are still unchecked (verbs.ts does that). Throws
 * FrameError.
 */
export function parseRequest(body: Uint8Array): { verb: unknown; args: unknown } {
  const object = parseObject(body);
  for (const key of Object.keys(object)) {
    if (key !== 'verb' && key !== 'args')
      throw new FrameError('frame-not-json', 'a request of other than verb and args');
  }
  return { verb: object.verb, args: object.args };
}
