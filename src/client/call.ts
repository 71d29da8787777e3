/**
 * The client's side of the control socket: one request, one answer, one connection. Input: whatever
 * listens at the path. Invariant: settles within the given time; what cannot be reached is told
 * apart from what was refused, with what to do about it. The answer's texts are still unescaped:
 * printing them is the caller's matter.
 */
import { createConnection } from 'node:net';
import {
  encodeFrame,
  FrameDecoder,
  FrameError,
  parseResponse,
  type Request,
  type Response,
} from '../control/protocol.ts';
import { clientAnswerMs } from '../limits.ts';

/** The daemon cannot be reached, or what answers is no daemon of ours. */
export class UnreachableError extends Error {
  constructor(message: string) {
    super(message);
    this.name = 'UnreachableError';
  }
}

/** What a failed connection means for the person who tried it. */
export function explainFailure(path: string, code: string | undefined): string {
  switch (code) {
    case 'ENOENT':
      return `fail2zig is not running: there is no socket at ${path}. Start the daemon, or name its socket with --socket PATH.`;
    case 'ECONNREFUSED':
      return `fail2zig is not running: nobody listens at ${path}, which an ended daemon left behind. Start the daemon.`;
    case 'EACCES':
    case 'EPERM':
      return `no permission to open ${path}: run this as root, or add yourself to the group fail2zig (usermod -aG fail2zig USER) and log in again.`;
    case 'ENOTSOCK':
      return `${path} is not a socket: name the daemon's socket with --socket PATH.`;
    default:
      return `cannot reach the daemon at ${path}: ${code ?? 'connection failed'}.`;
  }
}

/** Sends `request` to the daemon at `path`. Rejects with UnreachableError. */
export function call(path: string, request: Request, answerMs: number = clientAnswerMs): Promise<Response> {
  return new Promise((resolve, reject) => {
    const decoder = new FrameDecoder();
    const socket = createConnection({ path });
    const timer = setTimeout(() => fail(`the daemon at ${path} did not answer within ${answerMs} ms.`), answerMs);

    function settle(act: () => void): void {
      clearTimeout(timer);
      socket.destroy();
      act();
    }
    function fail(message: string): void {
      settle(() => reject(new UnreachableError(message)));
    }

    socket.once('connect', () => socket.write(encodeFrame(request)));
    socket.on('data', (chunk) => {
      try {
        decoder.push(chunk as Buffer);
        const body = decoder.next();
        if (body) settle(() => resolve(parseResponse(body)));
      } catch (error) {
        const why = error instanceof FrameError ? error.message : String(error);
        fail(`what answers at ${path} is not fail2zig: ${why}.`);
      }
    });
    socket.once('end', () => fail(`the daemon at ${path} ended the connection without an answer.`));
    socket.once('error', (error: NodeJS.ErrnoException) => fail(explainFailure(path, error.code)));
  });
}
