/**
 * Serves the Prometheus page over HTTP: `/metrics`, a line of text at `/`, 404 elsewhere; GET and
 * HEAD only. Input: any bytes of anybody who reaches the bound address (127.0.0.1 unless an
 * operator opens it). Invariant: it only reads; every connection ends or is served within
 * `metricsTimeoutMs`, however slowly the peer reads or writes; all scrapes within `metricsPageMs`
 * share one page, so many scrapers need one copy and one reading of the table. When full:
 * `metricsConnectionsMax` connections, then Node closes new ones. Claims: I-01, D-04a, D-04b,
 * LP-29, LP-30.
 */
import type { IncomingMessage, Server, ServerResponse } from 'node:http';
import type { AddressInfo, Socket } from 'node:net';
import * as limits from '../limits.ts';
import type { Logger } from '../log.ts';
import { exposition, metricsContentType, type Series } from './metrics.ts';

export interface MetricsOptions {
  series: readonly Series[];
  log: Logger;
  /** Milliseconds of a monotonic clock. */
  now?: () => number;
  /** Called if the page starts to listen only after a retry. */
  late?: () => void;
  /** How long one request or one answer may take, ms. */
  timeoutMs?: number;
}

interface Answer {
  status: number;
  type: string;
  body: Buffer;
  /** True if the connection closes after this answer. */
  last?: boolean;
}

const plainText = 'text/plain; charset=utf-8';
const landing = Buffer.from('fail2zig: the metrics are at /metrics\n');
const notFound = Buffer.from('not found: the metrics are at /metrics\n');

function refuse(status: number, why: string): Answer {
  return { status, type: plainText, body: Buffer.from(`${why}\n`), last: true };
}

function hasBody(request: IncomingMessage): boolean {
  const length = request.headers['content-length'];
  return request.headers['transfer-encoding'] !== undefined || (length !== undefined && Number(length) !== 0);
}

export class MetricsServer {
  readonly #options: MetricsOptions;
  readonly #now: () => number;
  readonly #timeoutMs: number;
  readonly #server: Server;
  readonly #sockets = new Set<Socket>();
  #page = Buffer.alloc(0);
  #pageAt = Number.NEGATIVE_INFINITY;
  /** The page being made, shared by all requests that come meanwhile. */
  #making: Promise<Buffer> | undefined;
  #scrapesTotal = 0;
  #problem: string | undefined;
  #retry: NodeJS.Timeout | undefined;

  constructor(options: MetricsOptions) {
    this.#options = options;
    this.#now = options.now ?? (() => performance.now());
    this.#timeoutMs = options.timeoutMs ?? limits.metricsTimeoutMs;
    this.#server = this.#createServer();
  }

  get scrapesTotal(): number {
    return this.#scrapesTotal;
  }

  get connectionsOpen(): number {
    return this.#sockets.size;
  }

  /**
   * Resolves with the port (the assigned one if `port` is 0). Rejects with the system's error; may
   * then be called again.
   */
  listen(bind: string, port: number): Promise<number> {
    const server = this.#server;
    return new Promise((resolve, reject) => {
      server.once('error', reject);
      server.listen({ host: bind, port, backlog: limits.metricsBacklog }, () => {
        server.off('error', reject);
        server.on('error', (error) => this.#options.log.error('metrics listener failed', { error: String(error) }));
        resolve((server.address() as AddressInfo).port);
      });
    });
  }

  /** Listens; if that fails, tries again at intervals. Protection continues without the page. */
  async start(bind: string, port: number): Promise<void> {
    try {
      await this.listen(bind, port);
      if (this.#problem !== undefined) this.#options.late?.();
      this.#problem = undefined;
    } catch (error) {
      const problem = `no metrics page: ${(error as Error).message}: free the port, or set metrics.port`;
      if (this.#problem === undefined) this.#options.log.error(problem);
      this.#problem = problem;
      this.#retry = setTimeout(() => void this.start(bind, port), limits.metricsRetryMs).unref();
    }
  }

  /** Why there is no page now; undefined if there is one. */
  get problem(): string | undefined {
    return this.#problem;
  }

  async close(): Promise<void> {
    clearTimeout(this.#retry);
    for (const socket of this.#sockets) socket.destroy();
    if (!this.#server.listening) return;
    await new Promise<void>((resolve) => this.#server.close(() => resolve()));
  }

  #createServer(): Server {
    const timeoutMs = this.#timeoutMs;
    const answer = (request: IncomingMessage, response: ServerResponse): Promise<void> =>
      this.#answer(request, response);
    // Loaded only where there is a page: that takes some of the time of a start.
    const server = process.getBuiltinModule('node:http').createServer(
      {
        maxHeaderSize: limits.metricsHeaderBytesMax,
        headersTimeout: timeoutMs,
        requestTimeout: timeoutMs,
        keepAliveTimeout: Math.min(limits.metricsKeepAliveMs, timeoutMs),
        connectionsCheckingInterval: Math.max(10, Math.floor(timeoutMs / 5)),
        noDelay: true,
      },
      answer,
    );
    server.maxConnections = limits.metricsConnectionsMax;
    server.maxRequestsPerSocket = limits.metricsRequestsPerConnectionMax;
    server.timeout = timeoutMs;
    // No 100-continue, no upgrade, no tunnel: these connections would escape the limits here.
    server.on('checkContinue', answer);
    server.on('checkExpectation', answer);
    server.on('upgrade', (_request, socket) => socket.destroy());
    server.on('connect', (_request, socket) => socket.destroy());
    server.on('connection', (socket) => {
      this.#sockets.add(socket);
      socket.once('close', () => this.#sockets.delete(socket));
    });
    return server;
  }

  async #makePage(): Promise<Buffer> {
    const time = this.#now();
    this.#page = Buffer.from(await exposition(this.#options.series));
    this.#pageAt = time;
    return this.#page;
  }

  #currentPage(): Buffer | Promise<Buffer> {
    if (this.#now() - this.#pageAt < limits.metricsPageMs) return this.#page;
    this.#making ??= this.#makePage().finally(() => {
      this.#making = undefined;
    });
    return this.#making;
  }

  /** The answer to a request; only reading the table can fail. */
  async #choose(request: IncomingMessage): Promise<Answer> {
    if (request.method !== 'GET' && request.method !== 'HEAD') return refuse(405, 'only GET and HEAD');
    if (hasBody(request)) return refuse(413, 'a request with a body is not answered');
    const [path] = (request.url ?? '').split('?', 1);
    if (path === '/') return { status: 200, type: plainText, body: landing };
    if (path !== '/metrics') return { status: 404, type: plainText, body: notFound };
    this.#scrapesTotal += 1;
    try {
      return { status: 200, type: metricsContentType, body: await this.#currentPage() };
    } catch (error) {
      this.#options.log.error('metrics page failed', { error: String(error) });
      return refuse(500, 'the page could not be made; the reason is in the log');
    }
  }

  async #answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    // A reader that is slower than this loses its connection. The socket's own timer does not help:
    // it restarts with every byte that the peer reads.
    const timer = setTimeout(() => request.socket.destroy(), this.#timeoutMs);
    response.once('close', () => clearTimeout(timer));
    const { status, type, body, last } = await this.#choose(request);
    response.writeHead(status, {
      'Content-Type': type,
      'Content-Length': body.length,
      'X-Content-Type-Options': 'nosniff',
      'Cache-Control': 'no-store',
      ...(status === 405 && { Allow: 'GET, HEAD' }),
      ...(last && { Connection: 'close' }),
    });
    response.end(request.method === 'HEAD' ? undefined : body);
  }
}
