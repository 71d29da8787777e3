/**
 * The client's side of the control socket: one request, its responses, one connection. Input:
 * whatever listens at the path. Invariant: each response comes within the given time, or an error
 * says that none did; an unreachable daemon is distinguished from a refusal, and the message says
 * what to do. Only one response is held at a time. The texts of a response are still unescaped: the
 * caller must make them printable.
 */
import { once } from 'node:events';
import { readFileSync, statSync } from 'node:fs';
import { createConnection, type Socket } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { clientAnswerMs, clientPauseMs } from '../config/limits.ts';
import { descriptorOf } from '../control/authorise.ts';
import { encodeFrame, FrameDecoder, FrameError, type Request, type Response } from '../control/protocol.ts';
import { parseResponse } from './response.ts';

/** The daemon cannot be reached, or another program answers. */
export class UnreachableError extends Error {
  constructor(message: string) {
    super(message);
    this.name = 'UnreachableError';
  }
}

/** How to become a member of the socket's group. */
function groupHint(path: string): string {
  const group = groupName(path);
  return group === undefined
    ? ''
    : `, or add yourself to the group ${group} (usermod -aG ${group} USER) and log in again`;
}

/** The default group, or the one configured. Undefined: only root may use the socket. */
function groupName(path: string): string | undefined {
  try {
    const { gid } = statSync(path);
    const lines = readFileSync('/etc/group', 'latin1').split('\n');
    return gid === 0 ? undefined : lines.map((line) => line.split(':')).find(([, , id]) => id === String(gid))?.[0];
  } catch {
    return 'fail2zig';
  }
}

/** What a failed connection means, for the person who tried it. */
export function explainFailure(path: string, code: string | undefined): string {
  switch (code) {
    case 'ENOENT':
      return `fail2zig is not running: there is no socket at ${path}. Start the daemon, or name its socket with --socket PATH.`;
    case 'ECONNREFUSED':
      if (statSync(path, { throwIfNoEntry: false })?.isFile()) {
        return `${path} is a regular file, not a socket: name the daemon's socket with --socket PATH.`;
      }
      return `fail2zig is not running: nobody listens at ${path}, which an ended daemon left behind. Start the daemon.`;
    case 'EACCES':
    case 'EPERM':
      return `no permission to open ${path}: run this as root${groupHint(path)}.`;
    case 'ENOTSOCK':
      return `${path} is not a socket: name the daemon's socket with --socket PATH.`;
    case 'EAGAIN':
      return `the daemon at ${path} has too many callers waiting: try again.`;
    default:
      return `cannot reach the daemon at ${path}: ${code ?? 'connection failed'}.`;
  }
}

const codeOf = (error: unknown): string | undefined => (error as NodeJS.ErrnoException).code;

/** A connected socket; if the queue is full (EAGAIN), tries until the time is over. */
async function openSocket(path: string, answerMs: number): Promise<Socket> {
  const end = performance.now() + answerMs;
  for (;;) {
    const socket = createConnection({ path });
    try {
      await once(socket, 'connect');
      return socket;
    } catch (error) {
      socket.destroy();
      const code = codeOf(error);
      if (code !== 'EAGAIN' || performance.now() > end) throw new UnreachableError(explainFailure(path, code));
      await sleep(clientPauseMs);
    }
  }
}

export interface CallOptions {
  /** How long the daemon may take for a response. */
  answerMs?: number | undefined;
  /** Sends a descriptor over the socket, once the daemon is ready for it. */
  hand?: ((socket: number) => void) | undefined;
}

/** Sends `request` to the daemon at `path` and gives each response. Throws UnreachableError. */
export async function* responses(
  path: string,
  request: Request,
  { answerMs = clientAnswerMs, hand }: CallOptions = {},
): AsyncGenerator<Response> {
  const socket = await openSocket(path, answerMs);
  let late = false;
  const timer = setTimeout(() => {
    late = true;
    socket.destroy();
  }, answerMs);
  try {
    socket.write(encodeFrame(request));
    const decoder = new FrameDecoder();
    // Iterating pauses the socket while a response is being used.
    for await (const chunk of socket) {
      decoder.push(chunk as Buffer);
      for (let body = decoder.next(); body !== undefined; body = decoder.next()) {
        const response = parseResponse(body);
        if (hand && response.ok && (response.data as { ready?: unknown } | null)?.ready === true) {
          hand(descriptorOf(socket));
          timer.refresh();
          continue;
        }
        yield response;
        if (!response.ok || !response.more) return;
        timer.refresh();
      }
    }
  } catch (error) {
    if (!(error instanceof FrameError)) throw new UnreachableError(explainFailure(path, codeOf(error)));
    throw new UnreachableError(`what answers at ${path} is not fail2zig: ${error.message}.`);
  } finally {
    clearTimeout(timer);
    socket.destroy();
  }
  throw new UnreachableError(
    late
      ? `the daemon at ${path} did not answer within ${answerMs} ms.`
      : `the daemon at ${path} ended the connection without an answer.`,
  );
}

/** The first response to `request`. Rejects with UnreachableError. */
export async function call(path: string, request: Request, answerMs?: number): Promise<Response> {
  for await (const response of responses(path, request, { answerMs })) return response;
  throw new UnreachableError(`the daemon at ${path} ended the connection without an answer.`);
}
