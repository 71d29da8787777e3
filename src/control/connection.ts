/**
 * One authorised peer of the control socket: reads a request, answers it, reads the next. Input:
 * any bytes. Invariant: one request is worked on at a time, with the socket paused, so that what a
 * connection holds is one frame in, one frame out and the chunk in between; every phase has a
 * deadline that no dribble extends. When something is wrong with a frame, the peer is told once and
 * the connection ends. Claims: D-03, S-01.
 */
import type { Socket } from 'node:net';
import { encodeFrame, FrameDecoder, FrameError, parseRequest, type Response } from './protocol.ts';
import { OperatorError, type RefusalCode } from './verbs.ts';

export interface Deadlines {
  idleMs: number;
  answerMs: number;
  writeMs: number;
}

export interface ConnectionOptions {
  deadlines: Deadlines;
  /** Answers a request; whatever it throws becomes a refusal. */
  answer(request: { verb: unknown; args: unknown }): Promise<unknown>;
  /** Called for a peer that does not keep to the protocol. */
  onBadFrame(): void;
  /** Called for an error that is neither a refusal nor the peer's fault. */
  onInternal(error: unknown): void;
}

function refusal(code: RefusalCode, message: string): Response {
  return { ok: false, error: { code, message } };
}

/** The frame that answers with `response`, or says that it is too long to be sent. */
export function encodeAnswer(response: Response): Buffer {
  try {
    return encodeFrame(response);
  } catch (error) {
    if (!(error instanceof FrameError)) throw error;
    return encodeFrame(refusal('too-long', 'the answer does not fit a frame: ask for less, for example one jail'));
  }
}

/** Tells a peer that it is not served, and lets go of it within `lingerMs` whatever it does. */
export function turnAway(socket: Socket, code: RefusalCode, message: string, lingerMs: number): void {
  const timer = setTimeout(() => socket.destroy(), lingerMs);
  socket.on('error', () => socket.destroy());
  socket.once('end', () => socket.destroy());
  socket.once('close', () => clearTimeout(timer));
  // What it says meanwhile is read and forgotten, so that its own write does not fail before it has
  // read our answer.
  socket.resume();
  socket.end(encodeAnswer(refusal(code, message)));
}

/** Serves `socket` until either side ends it. */
export function serve(socket: Socket, options: ConnectionOptions): void {
  const decoder = new FrameDecoder();
  let ended = false;
  let working = false;
  let timer: NodeJS.Timeout | undefined;

  function within(milliseconds: number, late: () => void): void {
    clearTimeout(timer);
    timer = setTimeout(late, milliseconds);
  }

  function awaitRequest(): void {
    within(options.deadlines.idleMs, () => socket.destroy());
  }

  function send(response: Response, then: () => void): void {
    within(options.deadlines.writeMs, () => socket.destroy());
    socket.write(encodeAnswer(response), (error) => {
      if (!error && !socket.destroyed) then();
    });
  }

  /** The last word: a refusal, after which nothing of this peer is read. */
  function endWith(code: RefusalCode, message: string): void {
    ended = true;
    clearTimeout(timer);
    turnAway(socket, code, message, options.deadlines.writeMs);
  }

  async function respond(body: Uint8Array): Promise<Response> {
    try {
      return { ok: true, data: await options.answer(parseRequest(body)) };
    } catch (error) {
      if (error instanceof OperatorError) return refusal(error.code, error.message);
      if (error instanceof FrameError) {
        options.onBadFrame();
        return refusal('bad-request', `${error.code}: ${error.message}`);
      }
      options.onInternal(error);
      return refusal('internal', "the daemon failed to answer; the reason is in the daemon's log");
    }
  }

  function work(body: Uint8Array): void {
    working = true;
    within(options.deadlines.answerMs, () => {
      endWith('timeout', `not done within ${options.deadlines.answerMs} ms; it may still happen`);
    });
    respond(body).then((response) => {
      // Gone, or told that it was too late.
      if (ended || socket.destroyed) return;
      send(response, () => {
        working = false;
        awaitRequest();
        advance();
      });
    });
  }

  function advance(): void {
    let body: Uint8Array | undefined;
    try {
      body = decoder.next();
    } catch (error) {
      options.onBadFrame();
      endWith('bad-frame', (error as FrameError).message);
      return;
    }
    if (body === undefined) socket.resume();
    else work(body);
  }

  socket.on('data', (chunk) => {
    if (ended) return;
    socket.pause();
    decoder.push(chunk as Buffer);
    if (!working) advance();
  });
  socket.on('end', () => {
    if (ended) return;
    if (!decoder.idle) options.onBadFrame();
    // Nothing is being worked on: a paused socket does not say that it ended.
    socket.end();
  });
  socket.on('error', () => socket.destroy());
  socket.once('close', () => {
    ended = true;
    clearTimeout(timer);
  });
  awaitRequest();
}
