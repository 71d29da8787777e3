/**
 * The daemon of this host, reached over the control socket like from any client. Invariant: if the
 * daemon puts a request off (its budget of requests, its connections), it is asked again, until it
 * answers or cannot be reached.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { responses, UnreachableError } from '../client/call.ts';
import { clientPauseMs } from '../config/limits.ts';
import type { BanResult, ListPart, Records, RefusalCode, Status, UnbanResult } from '../control/answers.ts';

/** The daemon refused the request. */
export class RefusedError extends Error {
  readonly code: RefusalCode;

  constructor(code: RefusalCode, message: string) {
    super(message);
    this.name = 'RefusedError';
    this.code = code;
  }
}

const putOff = new Set<RefusalCode>(['rate-limited', 'busy']);

export class LocalDaemon {
  readonly #socket: string;

  constructor(socket: string) {
    this.#socket = socket;
  }

  async status(jail?: string): Promise<Status> {
    return this.#first<Status>('status', jail === undefined ? {} : { jail });
  }

  /** Where the records are. */
  records(): Promise<Records> {
    return this.#first<Records>('watch', {});
  }

  ban(jail: string, addresses: readonly string[], seconds: number, reason: string): Promise<BanResult> {
    return this.#first<BanResult>('ban', { jail, addresses, seconds, reason });
  }

  async unban(jail: string, addresses: readonly string[]): Promise<void> {
    for await (const _ of this.#ask<UnbanResult>('unban', { jail, addresses })) {
      // Each is unbanned now, whether it was banned or not.
    }
  }

  list(jail: string): AsyncGenerator<ListPart> {
    return this.#ask<ListPart>('list', { jail });
  }

  async #first<Answer>(verb: string, args: Record<string, unknown>): Promise<Answer> {
    for await (const answer of this.#ask<Answer>(verb, args)) return answer;
    throw new UnreachableError(`the daemon at ${this.#socket} ended the connection without an answer.`);
  }

  /** The parts of an answer. Throws RefusedError, UnreachableError. */
  async *#ask<Part>(verb: string, args: Record<string, unknown>): AsyncGenerator<Part> {
    for (;;) {
      let refusal: { code: RefusalCode; message: string } | undefined;
      for await (const response of responses(this.#socket, { verb, args })) {
        if (!response.ok) refusal = response.error;
        else if (Object.keys(response.data as object).length > 0) yield response.data as Part;
      }
      if (refusal === undefined) return;
      if (!putOff.has(refusal.code)) throw new RefusedError(refusal.code, refusal.message);
      await sleep(clientPauseMs);
    }
  }
}
