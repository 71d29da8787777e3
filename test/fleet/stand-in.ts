/**
 * A stand-in server: it holds decisions that expire like those of a real one, takes alerts, and
 * gives the answers that a test sets.
 */
import { once } from 'node:events';
import { createServer, type Server, type ServerResponse } from 'node:http';
import type { Socket } from 'node:net';

export type Answer = (response: ServerResponse) => Promise<void> | void;

/** This many decisions, from the address of number `first` on, each until its own fixed time. */
export interface Holding {
  first?: number;
  count: number;
  /** Different ends. */
  ends?: number;
}

export const addressOf = (index: number): string => `${11 + (index >> 16)}.${(index >> 8) & 255}.${index & 255}.7`;

/** Epoch milliseconds from which the ends count. */
const base = Date.now();

/** Decisions as a Local API writes them, with their remaining time, in pieces of some 64 KiB. */
function* decisions({ first = 0, count, ends = 1 }: Holding, isOver = false): Generator<string> {
  let text = '';
  for (let index = first; index < first + count; index++) {
    const left = base + 360_000_000 + (index % ends) * 60_000 - Date.now();
    const duration = isOver ? '-1s' : `${Math.floor(left / 1000)}.${left % 1000}s`;
    text += `${index === first ? '' : ','}{"duration":"${duration}","id":${index},"origin":"cscli-import","scenario":"a list","scope":"Ip","type":"ban","value":"${addressOf(index)}"}`;
    if (text.length < 65_536) continue;
    yield text;
    text = '';
  }
  yield text;
}

/** A whole list. */
export function listOf(added: Holding | undefined, deleted?: Holding): Answer {
  return async (response) => {
    const write = async (text: string): Promise<void> => {
      if (response.write(text) || response.destroyed) return;
      const over = new AbortController();
      const { signal } = over;
      await Promise.race(['drain', 'close'].map((event) => once(response, event, { signal })));
      over.abort();
    };
    await write('{"new":');
    if (added === undefined) await write('null');
    else {
      await write('[');
      for (const piece of decisions(added)) if (!response.destroyed) await write(piece);
      await write(']');
    }
    await write(',"deleted":');
    if (deleted === undefined) response.end('null}');
    else {
      await write('[');
      for (const piece of decisions(deleted, true)) if (!response.destroyed) await write(piece);
      response.end(']}');
    }
  };
}

export class StandInServer {
  /** The answer to a request for the complete list. */
  holds: Holding | undefined;
  /** The answers to the next requests for decisions, of whatever kind. */
  readonly next: Answer[] = [];
  /** The answer to a request for changes if none is set. */
  otherwise: Answer = listOf(undefined);
  /** Each alert that it took: its message. */
  readonly alerts: string[] = [];
  readonly #server: Server;
  readonly #sockets = new Set<Socket>();

  private constructor() {
    this.#server = createServer((request, response) => {
      const { url = '' } = request;
      if (url.startsWith('/v1/decisions/stream')) {
        request.resume();
        const all = url.endsWith('startup=true');
        void (this.next.shift() ?? (all ? listOf(this.holds) : this.otherwise))(response);
      } else if (url.startsWith('/v1/alerts')) this.#alerts(request, response);
      else {
        request.resume();
        const expire = new Date(Date.now() + 3_600_000).toISOString();
        response.end(JSON.stringify({ token: 't', expire }));
      }
    });
    this.#server.on('connection', (socket) => {
      this.#sockets.add(socket);
      socket.on('error', () => undefined);
      socket.once('close', () => this.#sockets.delete(socket));
    });
  }

  static async start(address: string): Promise<StandInServer> {
    const server = new StandInServer();
    await server.listen(address);
    return server;
  }

  async listen(address: string): Promise<void> {
    this.#server.listen(8_080, address);
    await once(this.#server, 'listening');
  }

  /** Ends at once, in the middle of its output. */
  async kill(): Promise<void> {
    const closed = once(this.#server, 'close');
    this.#server.close();
    for (const socket of this.#sockets) socket.resetAndDestroy();
    await closed;
  }

  #alerts(request: AsyncIterable<Buffer> & { method?: string; url?: string }, response: ServerResponse): void {
    void (async () => {
      const pieces: Buffer[] = [];
      for await (const piece of request) pieces.push(piece);
      if (request.method === 'GET') {
        const value = new URL(request.url!, 'http://host').searchParams.get('value');
        const held = this.alerts.filter((message) => message.startsWith(`${value} `));
        response.end(JSON.stringify(held.map((message) => ({ message }))));
        return;
      }
      const taken = JSON.parse(Buffer.concat(pieces).toString()) as { message: string }[];
      this.alerts.push(...taken.map(({ message }) => message));
      response.writeHead(201).end('[]');
    })().catch(() => response.destroy());
  }
}
