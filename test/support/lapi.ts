/**
 * A stand-in for a CrowdSec Local API on loopback: the requests that fail2zig-fleet makes, answered
 * as the real one (1.4.6) does, and faults on demand.
 */
import { once } from 'node:events';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';

export interface StandInDecision {
  id?: number;
  origin: string;
  scenario: string;
  scope: string;
  type: string;
  value: string;
  duration: string;
  simulated?: boolean;
}

export interface StandInAlert {
  message: string;
  scenario: string;
  source: { scope: string; value: string };
  decisions: StandInDecision[];
  [other: string]: unknown;
}

/** What happens to the next request for a path instead of its answer. */
export type Fault = (request: IncomingMessage, response: ServerResponse, done: () => void) => void;

interface Answer {
  status: number;
  value?: unknown;
}

const answer = (status: number, value?: unknown): Answer => ({ status, value });

export const decision = (value: string, more: Partial<StandInDecision> = {}): StandInDecision => ({
  origin: 'cscli',
  scenario: "manual 'ban'",
  scope: value.includes('/') ? 'Range' : 'Ip',
  type: 'ban',
  value,
  duration: '1h0m0s',
  ...more,
});

export class StandInLapi {
  /** By name. true: the machine is accepted. */
  readonly machines = new Map<string, { password: string; isValid: boolean }>();
  readonly alerts: StandInAlert[] = [];
  readonly requests: string[] = [];
  /** The next lists of decisions. If there is none, the list is empty. */
  readonly lists: { new: StandInDecision[] | null; deleted: StandInDecision[] | null }[] = [];
  apiKey = 'a-key';
  /** It refuses alerts about such a value. */
  refuses: (value: string) => boolean = () => false;
  readonly #faults = new Map<string, Fault[]>();
  readonly #server: Server;

  private constructor() {
    this.#server = createServer((request, response) => void this.#answer(request, response));
  }

  static async start(): Promise<StandInLapi> {
    const server = new StandInLapi();
    server.#server.listen(0, '127.0.0.1');
    await once(server.#server, 'listening');
    return server;
  }

  get url(): string {
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  /** The next request whose path begins like this gets `fault`. Each fault is for one request. */
  fault(path: string, ...faults: Fault[]): void {
    this.#faults.set(path, [...(this.#faults.get(path) ?? []), ...faults]);
  }

  async close(): Promise<void> {
    this.#server.closeAllConnections();
    await new Promise((resolve) => this.#server.close(resolve));
  }

  async #answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const { url = '', method } = request;
    this.requests.push(`${method} ${url}`);
    let text = '';
    for await (const piece of request) text += piece;
    const say = (status: number, value?: unknown): void => {
      response
        .writeHead(status, { 'Content-Type': 'application/json' })
        .end(value === undefined ? '' : JSON.stringify(value));
    };
    const done = (): void => {
      const { status, value } = this.#do(`${method} ${url}`, text, request);
      say(status, value);
    };
    for (const [path, faults] of this.#faults) {
      const next = url.startsWith(path) ? faults.shift() : undefined;
      if (next !== undefined) return next(request, response, done);
    }
    done();
  }

  #do(what: string, text: string, request: IncomingMessage): Answer {
    const body = text === '' ? undefined : JSON.parse(text);
    if (what === 'POST /v1/watchers') {
      if (this.machines.has(body.machine_id))
        return answer(403, { message: `user '${body.machine_id}': user already exist` });
      this.machines.set(body.machine_id, { password: body.password, isValid: false });
      return answer(201);
    }
    if (what === 'POST /v1/watchers/login') {
      const machine = this.machines.get(body.machine_id);
      if (machine?.password !== body.password)
        return answer(401, { code: 401, message: 'incorrect Username or Password' });
      if (!machine?.isValid) return answer(401, { code: 401, message: `machine ${body.machine_id} not validated` });
      return answer(200, { code: 200, expire: new Date(Date.now() + 3_600_000).toISOString(), token: 'a-token' });
    }
    if (what.startsWith('GET /v1/decisions/stream')) {
      if (request.headers['x-api-key'] !== this.apiKey) return answer(403, { message: 'access forbidden' });
      return answer(200, this.lists.shift() ?? { new: null, deleted: null });
    }
    if (request.headers.authorization !== 'Bearer a-token') return answer(401, { code: 401, message: 'no token' });
    if (what === 'POST /v1/alerts') {
      if (body.some(({ source }: StandInAlert) => this.refuses(source.value))) return answer(422, { message: 'no' });
      this.alerts.push(...body);
      return answer(
        201,
        body.map((_: unknown, index: number) => String(index)),
      );
    }
    if (what.startsWith('GET /v1/alerts?')) {
      const query = new URL(what.slice(4), this.url).searchParams;
      const scenario = query.get('scenario');
      // As in the real one, the scenario is that of a decision.
      const found = this.alerts.filter(
        ({ source, decisions }) =>
          source.value === query.get('value') &&
          (scenario === null || decisions.some((each) => each.scenario === scenario)),
      );
      return answer(200, found.length === 0 ? null : found);
    }
    if (what.startsWith('DELETE /v1/decisions?')) {
      const query = new URL(what.slice(7), this.url).searchParams;
      const isMeant = (each: StandInDecision): boolean =>
        each.scope === query.get('scopes') &&
        each.value === query.get('value') &&
        each.scenario === query.get('scenario');
      const before = this.alerts.flatMap(({ decisions }) => decisions).length;
      for (const alert of this.alerts) alert.decisions = alert.decisions.filter((each) => !isMeant(each));
      return answer(200, { nbDeleted: String(before - this.alerts.flatMap(({ decisions }) => decisions).length) });
    }
    return answer(what === 'GET /v1/heartbeat' ? 200 : 404);
  }
}

/** Faults. */
export const dropped: Fault = (request) => request.socket.destroy();
export const status =
  (code: number, text = '{"message":"not now"}'): Fault =>
  (_, response) =>
    response.writeHead(code).end(text);
/** The server does what it was asked to do, but its answer is lost. */
export const answerLost: Fault = (request, response, done) => {
  response.writeHead = (() => response) as never;
  response.end = (() => {
    request.socket.destroy();
    return response;
  }) as never;
  done();
};
export const silent: Fault = () => undefined;
