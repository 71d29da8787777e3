/**
 * The Local API over HTTP: one request per connection. Input: whatever answers at the URL of
 * [fleet]. Invariant: every answer comes within its time and length or is an error; no redirect is
 * followed; secrets are only sent to that URL and occur in no message. An error says whether the
 * server may have carried out the request, so that nothing is done twice.
 */
import { type IncomingMessage, request as plainRequest, type RequestOptions } from 'node:http';
import { request as secureRequest } from 'node:https';
import { getCACertificates } from 'node:tls';
import type { FleetConfig } from '../config/fleet.ts';
import { printable } from '../text/printable.ts';
import { version } from '../version.ts';
import { answerBytesMax, answerMs, listWaitMs, loginMarginMs, pieceMs, quotedCharactersMax } from './limits.ts';
import { readPem, readSecret } from './secrets.ts';
import { type Decision, decisionsOf } from './stream.ts';

/** The server did not carry out the request, or it is unknown. */
export class ServerError extends Error {
  /** The HTTP status; undefined if there was no answer. */
  readonly status: number | undefined;
  /** Whether the request may have been carried out anyway. */
  readonly maybeDone: boolean;

  constructor(message: string, status: number | undefined, maybeDone: boolean) {
    super(message);
    this.name = 'ServerError';
    this.status = status;
    this.maybeDone = maybeDone;
  }
}

/** The credentials; their files are read when the server object is created. */
interface Credentials {
  machine?: string;
  password?: string;
  apiKey?: string;
  tls: { ca?: Buffer | string[]; cert?: Buffer; key?: Buffer };
}

/** Reads the files that [fleet] names. Throws SecretError. */
export function readCredentials(config: FleetConfig): Credentials {
  const { machine, passwordFile, apiKeyFile, ca, certificate, key, url } = config;
  const isPlain = url.startsWith('http:');
  return {
    ...(machine !== undefined && { machine }),
    ...(passwordFile !== undefined && { password: readSecret(passwordFile) }),
    ...(apiKeyFile !== undefined && { apiKey: readSecret(apiKeyFile) }),
    tls: {
      ...(!isPlain && { ca: ca === undefined ? systemTrust() : readPem(ca, false) }),
      ...(certificate !== undefined && { cert: readPem(certificate, false) }),
      ...(key !== undefined && { key: readPem(key, true) }),
    },
  };
}

/** The system's certificate authorities; if it has no list, the runtime's. */
function systemTrust(): string[] {
  const system = getCACertificates('system');
  return system.length > 0 ? system : getCACertificates('default');
}

/** An alert in the format of the Local API. */
export interface Alert {
  message: string;
  scenario: string;
  source: { scope: 'Ip' | 'Range'; value: string; ip?: string; range?: string };
  [other: string]: unknown;
}

/** The part of a stored alert that we use. */
interface HeldAlert {
  message?: unknown;
}

export interface ServerOptions {
  config: Pick<FleetConfig, 'url'>;
  credentials: Credentials;
  /** Sent with the login. */
  scenarios?: readonly string[];
  /** How long an answer may take, ms. */
  answerMs?: number;
  /** How long a list may pause, ms. */
  pieceMs?: number;
  /** Epoch milliseconds. */
  now?: () => number;
}

interface Call {
  method: 'GET' | 'POST' | 'DELETE';
  path: string;
  headers?: Record<string, string>;
  body?: unknown;
}

export class Server {
  readonly #options: ServerOptions;
  readonly #now: () => number;
  #token: string | undefined;
  #tokenEnd = 0;
  #hasRegistered = false;

  constructor(options: ServerOptions) {
    this.#options = options;
    this.#now = options.now ?? Date.now;
  }

  /** Sends alerts. Rejects with ServerError. */
  async send(alerts: readonly Alert[]): Promise<void> {
    await this.#asMachine({ method: 'POST', path: '/v1/alerts', body: alerts });
  }

  /** Ends decisions of a scenario about an address or prefix. Rejects with ServerError. */
  async withdraw(scope: 'Ip' | 'Range', value: string, scenario: string): Promise<void> {
    const query = new URLSearchParams({ scopes: scope, value, scenario });
    await this.#asMachine({ method: 'DELETE', path: `/v1/decisions?${query}` });
  }

  /** Whether the server holds this alert, sent at most `seconds` ago. Rejects with ServerError. */
  async holds({ message, source }: Alert, seconds: number): Promise<boolean> {
    const { scope, value } = source;
    const since = `${Math.ceil(seconds / 3_600) + 1}h`;
    // Not by scenario: the server would compare it with the decision's.
    const query = new URLSearchParams({ scope, value, since, limit: '0' });
    const text = await this.#asMachine({ method: 'GET', path: `/v1/alerts?${query}` });
    const held = parsed(text) as HeldAlert[] | null;
    return Array.isArray(held) && held.some((alert) => alert?.message === message);
  }

  /** Tells the server that this host is alive. Rejects with ServerError. */
  async heartbeat(): Promise<void> {
    await this.#asMachine({ method: 'GET', path: '/v1/heartbeat' });
  }

  /**
   * The decisions since the last list, or the complete list (`all`). Throws ServerError, or
   * ListError if the answer is not a list.
   */
  async *decisions(all: boolean, unreadable: () => void): AsyncGenerator<Decision[]> {
    const { apiKey } = this.#options.credentials;
    const path = `/v1/decisions/stream?startup=${all}`;
    const headers: Record<string, string> = apiKey === undefined ? {} : { 'X-Api-Key': apiKey };
    const response = await this.#open({ method: 'GET', path, headers });
    if (response.statusCode !== 200) await refused(response, 'the decisions');
    try {
      yield* decisionsOf(this.#pieces(response), unreadable);
    } finally {
      response.destroy();
    }
  }

  // --- Who we are --------------------------------------------------------------------------------

  async #asMachine(call: Call): Promise<string> {
    const isOld = this.#token !== undefined;
    await this.#login();
    const authorization = `Bearer ${this.#token}`;
    try {
      return await this.#answer({ ...call, headers: { authorization } });
    } catch (error) {
      if (!(error instanceof ServerError) || error.status !== 401) throw error;
      this.#token = undefined;
      // A restarted server may not know our earlier login.
      if (isOld) return this.#asMachine(call);
      throw error;
    }
  }

  async #login(): Promise<void> {
    if (this.#token !== undefined && this.#now() < this.#tokenEnd - loginMarginMs) return;
    const { credentials, scenarios = [] } = this.#options;
    const { machine, password } = credentials;
    const body = password === undefined ? { scenarios } : { machine_id: machine, password, scenarios };
    let answer: { token?: unknown; expire?: unknown } | null;
    try {
      answer = parsed(await this.#answer({ method: 'POST', path: '/v1/watchers/login', body })) as typeof answer;
    } catch (error) {
      if (!(error instanceof ServerError) || error.status !== 401 || password === undefined) throw error;
      throw await this.#register(error);
    }
    if (typeof answer?.token !== 'string')
      throw new ServerError('the server answered a login without a token', 200, false);
    this.#token = answer.token;
    const end = Date.parse(String(answer.expire));
    // The end is invalid, or in the past because of another clock: the token is valid at least
    // once.
    this.#tokenEnd = Math.max(Number.isNaN(end) ? 0 : end, this.#now() + 2 * loginMarginMs);
  }

  /** If the server may not know this machine, registers it, once. Returns the error to report. */
  async #register(error: ServerError): Promise<ServerError> {
    const { machine, password } = this.#options.credentials;
    const validate = `on the server: cscli machines validate ${machine}`;
    if (error.message.includes('not validated')) return new ServerError(`${error.message}; ${validate}`, 401, false);
    if (this.#hasRegistered) return error;
    try {
      const body = { machine_id: machine, password };
      await this.#answer({ method: 'POST', path: '/v1/watchers', body });
    } catch (refusal) {
      if (!(refusal instanceof ServerError) || refusal.status === undefined) throw refusal;
      const isKnown = refusal.status === 403 || refusal.status === 409;
      return isKnown ? new ServerError(`the server knows machine ${machine} by another password`, 401, false) : refusal;
    }
    this.#hasRegistered = true;
    return new ServerError(`machine ${machine} is registered and waits to be let in; ${validate}`, 401, false);
  }

  // --- HTTP --------------------------------------------------------------------------------------

  /** The body of a good answer. */
  async #answer(call: Call): Promise<string> {
    const response = await this.#open(call);
    const { statusCode = 0 } = response;
    if (statusCode < 200 || statusCode > 299) return refused(response, call.path.replace(/\?.*/, ''));
    return textOf(response, statusCode);
  }

  /** The head of the answer. */
  #open({ method, path, headers, body }: Call): Promise<IncomingMessage> {
    const { config, credentials } = this.#options;
    const url = new URL(`${config.url}${path}`);
    const bytes = body === undefined ? undefined : Buffer.from(JSON.stringify(body));
    const options: RequestOptions = {
      method,
      agent: false,
      headers: {
        'User-Agent': `fail2zig-fleet/${version}`,
        Accept: 'application/json',
        ...headers,
        ...(bytes && { 'Content-Type': 'application/json', 'Content-Length': bytes.length }),
      },
      ...credentials.tls,
    };
    return new Promise((resolve, reject) => {
      const request = url.protocol === 'https:' ? secureRequest(url, options) : plainRequest(url, options);
      let isConnected = false;
      const limit = this.#options.answerMs ?? answerMs;
      const timer = setTimeout(() => request.destroy(new Error(`no answer within ${limit} ms`)), limit);
      request.once('socket', (socket) => {
        socket.once(url.protocol === 'https:' ? 'secureConnect' : 'connect', () => {
          isConnected = true;
        });
      });
      request.once('response', (response) => {
        clearTimeout(timer);
        resolve(response);
      });
      request.on('error', (error) => {
        clearTimeout(timer);
        reject(new ServerError(unreached(error), undefined, isConnected));
      });
      request.end(bytes);
    });
  }

  /** The body in pieces; no timeout runs while nobody asks for the next one. */
  async *#pieces(response: IncomingMessage): AsyncGenerator<Uint8Array> {
    const pieceLimit = this.#options.pieceMs ?? pieceMs;
    const pieces = response[Symbol.asyncIterator]();
    let left = listWaitMs;
    for (;;) {
      const asked = performance.now();
      const timer = setTimeout(() => response.destroy(new Error('it pauses for too long')), Math.min(pieceLimit, left));
      try {
        const { value, done } = await pieces.next();
        if (done) return;
        left -= performance.now() - asked;
        if (left <= 0) throw new Error('it takes too long');
        yield value as Uint8Array;
      } catch (error) {
        throw new ServerError(`the list of decisions broke off: ${(error as Error).message}`, 200, false);
      } finally {
        clearTimeout(timer);
      }
    }
  }
}

/** Why there is no answer. */
function unreached({ code = '', message }: NodeJS.ErrnoException): string {
  if (!/SELF_SIGNED|ISSUER_CERT|LEAF_SIGNATURE/.test(code)) return `the server cannot be reached: ${message}`;
  return `the server is not trusted (${code}): fleet.ca names who vouches for it, where the system does not`;
}

/** The text of a short answer. */
async function textOf(response: IncomingMessage, status: number): Promise<string> {
  const pieces: Buffer[] = [];
  let bytes = 0;
  const timer = setTimeout(() => response.destroy(new Error(`not whole within ${answerMs} ms`)), answerMs);
  try {
    for await (const piece of response) {
      bytes += piece.length;
      if (bytes > answerBytesMax) throw new Error(`it is longer than ${answerBytesMax} bytes`);
      pieces.push(piece);
    }
  } catch (error) {
    throw new ServerError(`the answer of the server broke off: ${(error as Error).message}`, status, true);
  } finally {
    clearTimeout(timer);
    response.destroy();
  }
  return Buffer.concat(pieces).toString();
}

/** Rejects with the server's message. */
async function refused(response: IncomingMessage, what: string): Promise<never> {
  const { statusCode = 0 } = response;
  const text = await textOf(response, statusCode);
  const { message = text } = (quietly(text) ?? {}) as { message?: unknown };
  const said = printable(String(message), quotedCharactersMax);
  // The server did not do what it refused; after an internal error it is unknown.
  throw new ServerError(`the server refused ${what} (${statusCode}): ${said}`, statusCode, statusCode >= 500);
}

function quietly(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

function parsed(text: string): unknown {
  const value = quietly(text);
  if (value === undefined) throw new ServerError('the server answered no JSON: is it a Local API?', 200, true);
  return value;
}
