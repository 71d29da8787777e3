/**
 * One authorised peer of the control socket: reads a request, answers it, reads the next. Input:
 * any bytes. Invariant: it works on one request at a time and pauses the socket meanwhile, so a
 * connection holds at most one frame in, one frame out and the chunk in between. Every phase has a
 * deadline, and sending single bytes does not extend it. The next part of a long answer is made
 * only when the peer has read the one before. If a frame is invalid, the peer is told once and the
 * connection ends. Claims: D-03, S-01.
 */
import type { Socket } from 'node:net';
import { OperatorError, type RefusalCode } from './answers.ts';
import { encodeFrame, FrameDecoder, FrameError, parseRequest, type Response } from './protocol.ts';

export interface Deadlines {
  idleMs: number;
  answerMs: number;
  writeMs: number;
}

export interface ConnectionOptions {
  deadlines: Deadlines;
  /** Answers a request, in one part or several; any error becomes a refusal. */
  answer(request: { verb: unknown; args: unknown }): object | Promise<object> | AsyncIterable<object>;
  /** Called when a peer violates the protocol. */
  onBadFrame(): void;
  /** Called for an error that is neither a refusal nor the peer's fault. */
  onInternal(error: unknown): void;
}

function refusal(code: RefusalCode, message: string): Response {
  return { ok: false, error: { code, message } };
}

/** The frame with `response`, or one that says that the response is too long to send. */
export function encodeAnswer(response: Response): Buffer {
  try {
    return encodeFrame(response);
  } catch (error) {
    if (!(error instanceof FrameError)) throw error;
    return encodeFrame(refusal('too-long', 'the answer does not fit a frame: ask for less, for example one jail'));
  }
}

/** Tells a peer that it is rejected, and closes the connection within `lingerMs` in any case. */
export function turnAway(socket: Socket, code: RefusalCode, message: string, lingerMs: number): void {
  const timer = setTimeout(() => socket.destroy(), lingerMs);
  socket.on('error', () => socket.destroy());
  socket.once('close', () => clearTimeout(timer));
  // Reads and drops what the peer still sends: otherwise its own write could fail before it has
  // read our answer.
  socket.resume();
  socket.end(encodeAnswer(refusal(code, message)));
}

const isStream = (answer: object): answer is AsyncIterable<object> => Symbol.asyncIterator in answer;

/** Serves a socket from its creation until either side closes it. */
export class Connection {
  readonly #socket: Socket;
  readonly #options: ConnectionOptions;
  readonly #decoder = new FrameDecoder();
  #ended = false;
  #working = false;
  #timer: NodeJS.Timeout | undefined;

  constructor(socket: Socket, options: ConnectionOptions) {
    this.#socket = socket;
    this.#options = options;
    socket.on('data', (chunk) => this.#take(chunk as Buffer));
    socket.on('end', () => this.#working || this.#peerEnded());
    socket.on('error', () => socket.destroy());
    socket.once('close', () => clearTimeout(this.#timer));
    this.#within(options.deadlines.idleMs, () => socket.destroy());
  }

  #within(milliseconds: number, late: () => void): void {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(late, milliseconds);
  }

  #take(chunk: Buffer): void {
    if (this.#ended) return;
    this.#socket.pause();
    this.#decoder.push(chunk);
    this.#advance();
  }

  /** The peer sends nothing more, and what it has sent is answered. */
  #peerEnded(): void {
    if (this.#ended) return;
    if (!this.#decoder.idle) this.#options.onBadFrame();
    this.#socket.end();
  }

  /** Takes the next request from the received bytes, or waits for more. */
  #advance(): void {
    let body: Uint8Array | undefined;
    try {
      body = this.#decoder.next();
    } catch (error) {
      this.#options.onBadFrame();
      this.#endWith('bad-frame', (error as FrameError).message);
      return;
    }
    if (body !== undefined) void this.#work(body);
    else if (this.#socket.readableEnded) this.#peerEnded();
    else this.#socket.resume();
  }

  /** Answers one request. Returns early if the peer is gone or was told that it was too late. */
  async #work(body: Uint8Array): Promise<void> {
    this.#working = true;
    try {
      this.#answerSoon();
      const answer = await this.#options.answer(parseRequest(body));
      if (!isStream(answer)) {
        if (!(await this.#send({ ok: true, data: answer }))) return;
      } else {
        for await (const data of answer) {
          if (!(await this.#send({ ok: true, data, more: true }))) return;
          this.#answerSoon();
        }
        if (!(await this.#send({ ok: true, data: {} }))) return;
      }
    } catch (error) {
      if (!(await this.#send(this.#refusalFor(error)))) return;
    }
    this.#working = false;
    this.#within(this.#options.deadlines.idleMs, () => this.#socket.destroy());
    this.#advance();
  }

  #answerSoon(): void {
    const { answerMs } = this.#options.deadlines;
    this.#within(answerMs, () => this.#endWith('timeout', `not done within ${answerMs} ms; it may still happen`));
  }

  #refusalFor(error: unknown): Response {
    if (error instanceof OperatorError) return refusal(error.code, error.message);
    if (error instanceof FrameError) {
      this.#options.onBadFrame();
      return refusal('bad-request', `${error.code}: ${error.message}`);
    }
    this.#options.onInternal(error);
    return refusal('internal', "the daemon failed to answer; the reason is in the daemon's log");
  }

  /** True when the peer has read it; false if the peer is gone. */
  #send(response: Response): Promise<boolean> {
    const socket = this.#socket;
    if (this.#ended || socket.destroyed) return Promise.resolve(false);
    this.#within(this.#options.deadlines.writeMs, () => socket.destroy());
    return new Promise((resolve) => {
      socket.write(encodeAnswer(response), (error) => resolve(!error && !socket.destroyed));
    });
  }

  /** Sends a final refusal; after it nothing of this peer is read. */
  #endWith(code: RefusalCode, message: string): void {
    this.#ended = true;
    clearTimeout(this.#timer);
    turnAway(this.#socket, code, message, this.#options.deadlines.writeMs);
  }
}
