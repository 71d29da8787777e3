/**
 * A response of the daemon, as the client reads it.
 */
import type { RefusalCode } from '../control/answers.ts';
import { FrameError, parseObject, type Response } from '../control/protocol.ts';

/** A response whose shape is checked; `data` is not. Throws FrameError. */
export function parseResponse(body: Uint8Array): Response {
  const object = parseObject(body);
  if (object.ok === true) return { ok: true, data: object.data, ...(object.more === true && { more: true }) };
  const error = object.error as { code?: unknown; message?: unknown } | null | undefined;
  if (object.ok !== false || typeof error?.code !== 'string' || typeof error.message !== 'string') {
    throw new FrameError('frame-not-json', 'a response that is neither an answer nor a refusal');
  }
  return { ok: false, error: { code: error.code as RefusalCode, message: error.message } };
}
