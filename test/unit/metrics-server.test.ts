/** The metrics page over real connections: well-behaved scrapers and hostile ones. */
import { Server } from 'node:http';
import { createConnection, type Socket } from 'node:net';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import {
  metricsBacklog,
  metricsConnectionsMax,
  metricsHeaderBytesMax,
  metricsKeepAliveMs,
  metricsPageMs,
  metricsRequestsPerConnectionMax,
  metricsRetryMs,
  metricsRowsMax,
  metricsTimeoutMs,
} from '../../src/limits.ts';
import type { Row, Series } from '../../src/observe/metrics.ts';
import { MetricsServer } from '../../src/observe/metrics-server.ts';
import { rememberingLog } from '../support/control.ts';
import { readExposition } from '../support/exposition.ts';
import { until } from '../support/until.ts';

const clock = { now: 0 };
let readings: number;
let server: MetricsServer;
let port: number;
let log: ReturnType<typeof rememberingLog>;
let peers: RawScraper[];

const series = (read: Series['read']): Series => ({
  name: 'fail2zig_bans_total',
  help: 'Bans.',
  type: 'counter',
  labels: ['jail'],
  read,
});

async function start(read: Series['read'], timeoutMs?: number): Promise<void> {
  log = rememberingLog();
  const counted = series(() => {
    readings += 1;
    return read();
  });
  server = new MetricsServer({ series: [counted], log, now: () => clock.now, timeoutMs });
  port = await server.listen('127.0.0.1', 0);
}

beforeEach(() => {
  clock.now = 0;
  readings = 0;
  peers = [];
});

afterEach(async () => {
  for (const peer of peers) peer.socket.destroy();
  await server.close();
});

const few: Series['read'] = () => [[['sshd'], 3]];
/** A page of some megabytes: more than the kernel's buffers can hold. */
const many: Series['read'] = () =>
  Array.from({ length: metricsRowsMax }, (_, index) => [['j'.repeat(8_000) + index], index] as [string[], number]);

interface RawScraper {
  socket: Socket;
  received: string;
  closed: boolean;
}

function raw(): RawScraper {
  const socket = createConnection({ host: '127.0.0.1', port });
  const peer: RawScraper = { socket, received: '', closed: false };
  socket.on('data', (chunk) => {
    peer.received += chunk.toString('latin1');
  });
  socket.on('error', () => {});
  socket.on('close', () => {
    peer.closed = true;
  });
  peers.push(peer);
  return peer;
}

/** Sends `text` and returns what came until the server ended the connection. */
async function say(text: string): Promise<string> {
  const peer = raw();
  peer.socket.write(text);
  await until(() => peer.closed, { what: 'the end of the connection' });
  return peer.received;
}

const fetchText = (path: string, init?: RequestInit) => fetch(`http://127.0.0.1:${port}${path}`, init);

describe('scrapers that behave', () => {
  test('GET /metrics is the page, HEAD its headers', async () => {
    await start(few);
    const response = await fetchText('/metrics');
    expect(response.status).toBe(200);
    expect(response.headers.get('content-type')).toBe('text/plain; version=0.0.4; charset=utf-8');
    const families = readExposition(Buffer.from(await response.arrayBuffer()));
    expect(families.get('fail2zig_bans_total')?.samples).toEqual([{ labels: { jail: 'sshd' }, value: 3 }]);
    const head = await fetchText('/metrics?x=1', { method: 'HEAD' });
    expect([head.status, await head.text()]).toEqual([200, '']);
    expect(Number(head.headers.get('content-length'))).toBeGreaterThan(0);
  });

  test('/ says where the page is, everything else is not found', async () => {
    await start(few);
    expect(await (await fetchText('/')).text()).toContain('/metrics');
    for (const path of ['/metrics/', '/metrics/../metrics2', '//metrics', '/favicon.ico', '/%6detrics']) {
      const response = await fetchText(path);
      expect([response.status, await response.text()], path).toEqual([404, expect.stringContaining(' at /metrics\n')]);
    }
    expect(readings).toBe(0);
  });

  test.each(['POST', 'PUT', 'DELETE', 'OPTIONS', 'PATCH'])(
    '%s is not allowed: the page is read-only',
    async (method) => {
      await start(few);
      const response = await fetchText('/metrics', { method });
      expect([response.status, response.headers.get('allow')]).toEqual([405, 'GET, HEAD']);
      expect(await response.text()).toBe('only GET and HEAD\n');
      expect(readings).toBe(0);
    },
  );

  test('scrapes within one page time share one reading of the table', async () => {
    await start(few);
    for (let count = 0; count < 20; count++) await (await fetchText('/metrics')).text();
    expect([readings, server.scrapesTotal]).toEqual([1, 20]);
    clock.now += metricsPageMs;
    await (await fetchText('/metrics')).text();
    expect(readings).toBe(2);
  });

  test('scrapers that ask while a page is made share it, and those that leave meanwhile hurt nobody', async () => {
    let finish = (): void => {};
    const made = new Promise<void>((resolve) => {
      finish = resolve;
    });
    await start(async () => {
      await made;
      return few() as Row[];
    });
    const leaving = Array.from({ length: 3 }, raw);
    for (const { socket } of leaving) socket.write('GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n');
    const staying = Array.from({ length: 5 }, async () => (await fetchText('/metrics')).text());
    await until(() => server.scrapesTotal === 8, { what: 'every scrape begun' });
    for (const { socket } of leaving) socket.destroy();
    await until(() => server.connectionsOpen === 5, { what: 'three of them gone' });
    finish();
    for (const page of await Promise.all(staying)) expect(page).toContain('fail2zig_bans_total{jail="sshd"} 3');
    expect(readings).toBe(1);
  });

  test('a table that cannot be read is a 500 and a line in the log, not a crash', async () => {
    await start(() => {
      throw new Error('secret detail');
    });
    const response = await fetchText('/metrics');
    expect(response.status).toBe(500);
    expect(await response.text()).toBe('the page could not be made; the reason is in the log\n');
    // The next scrape tries it anew.
    expect((await fetchText('/metrics')).status).toBe(500);
    expect(readings).toBe(2);
    expect(JSON.stringify(log.said)).toContain('secret detail');
  });
});

test('no answer is kept or guessed at by a browser, and only a refusal ends its connection', async () => {
  await start(few);
  for (const [path, method, ends] of [
    ['/', 'GET', false],
    ['/nowhere', 'GET', false],
    ['/metrics', 'GET', false],
    ['/metrics', 'POST', true],
  ] as const) {
    const { headers } = await fetchText(path, { method });
    expect([headers.get('x-content-type-options'), headers.get('cache-control')], path).toEqual([
      'nosniff',
      'no-store',
    ]);
    expect(headers.get('connection'), `${method} ${path}`).toBe(ends ? 'close' : 'keep-alive');
  }
});

test('the bounds of the listener are those of limits.ts, and an error of it is said', async () => {
  const listen = vi.spyOn(Server.prototype, 'listen');
  await start(few);
  expect(listen.mock.calls[0]![0]).toEqual({ host: '127.0.0.1', port: 0, backlog: metricsBacklog });
  const listener = listen.mock.contexts[0] as Server;
  listen.mockRestore();
  expect(listener).toMatchObject({
    maxConnections: metricsConnectionsMax,
    maxRequestsPerSocket: metricsRequestsPerConnectionMax,
    timeout: metricsTimeoutMs,
    headersTimeout: metricsTimeoutMs,
    requestTimeout: metricsTimeoutMs,
    keepAliveTimeout: metricsKeepAliveMs,
  });
  listener.emit('error', new Error('no more descriptors'));
  expect(log.said).toEqual([
    { level: 'error', text: 'metrics listener failed', fields: { error: 'Error: no more descriptors' } },
  ]);
});

describe('scrapers that do not', () => {
  test.each([
    ['not HTTP', '\x00\x01\x02\x03\r\n\r\n', ' 400 '],
    ['a body', 'GET /metrics HTTP/1.1\r\nHost: x\r\nContent-Length: 100000000000\r\n\r\nabc', ' 413 '],
    ['a chunked body', 'GET /metrics HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nabcde\r\n', ' 413 '],
    ['huge headers', `GET / HTTP/1.1\r\nHost: x\r\nX: ${'y'.repeat(metricsHeaderBytesMax)}\r\n\r\n`, ' 431 '],
    ['a huge target', `GET /${'y'.repeat(metricsHeaderBytesMax)} HTTP/1.1\r\nHost: x\r\n\r\n`, ' 431 '],
    ['two lengths', 'GET / HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n', ' 400 '],
    ['a tunnel', 'CONNECT x:1 HTTP/1.1\r\nHost: x\r\n\r\n', ''],
    ['an upgrade', 'GET / HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n', ''],
  ])('%s ends the connection', async (_name, text, status) => {
    await start(few);
    const received = await say(text);
    expect(received.split('\r\n')[0]).toContain(status);
    expect(readings).toBe(0);
    expect((await fetchText('/metrics')).status).toBe(200);
  });

  test('headers that dribble in are cut off at the deadline', async () => {
    await start(few, 200);
    const peer = raw();
    peer.socket.write('GET /metrics HTTP/1.1\r\n');
    await until(
      () => {
        if (!peer.closed) peer.socket.write('X: y\r\n');
        return peer.closed;
      },
      { what: 'the dribbling scraper cut off' },
    );
    expect(readings).toBe(0);
  });

  test('a connection that says nothing is cut off', async () => {
    await start(few, 200);
    const peer = raw();
    await until(() => peer.closed, { what: 'the silent scraper cut off' });
  });

  test('a scraper that does not read is cut off, and the page is served to others meanwhile', async () => {
    await start(many, 500);
    const slow = Array.from({ length: metricsConnectionsMax - 1 }, () => raw());
    for (const peer of slow) {
      peer.socket.pause();
      peer.socket.write('GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n');
    }
    await until(() => server.scrapesTotal === slow.length, { what: 'every slow scrape begun' });
    expect((await fetchText('/')).status).toBe(200);
    expect(readings).toBe(1);
    // One connection may remain: the kept one of the well-behaved scraper.
    await until(() => server.connectionsOpen <= 1, { what: 'the slow scrapers cut off' });
  });

  test('fifteen slow readers of one page hold it once', async () => {
    await start(many, 60_000);
    const size = (await (await fetchText('/metrics')).arrayBuffer()).byteLength;
    const before = process.memoryUsage().arrayBuffers + process.memoryUsage().heapUsed;
    const slow = Array.from({ length: metricsConnectionsMax - 1 }, () => raw());
    for (const peer of slow) {
      peer.socket.pause();
      peer.socket.write('GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n');
    }
    await until(() => server.scrapesTotal === slow.length + 1, { what: 'every slow scrape begun' });
    const grown = process.memoryUsage().arrayBuffers + process.memoryUsage().heapUsed - before;
    expect(grown).toBeLessThan(size * 3);
  });

  test('more connections than the limit are closed at once', async () => {
    await start(few, 60_000);
    const flood = Array.from({ length: metricsConnectionsMax * 3 }, () => raw());
    const closed = () => flood.filter((peer) => peer.closed).length;
    await until(() => closed() === metricsConnectionsMax * 2, { what: 'the rest closed' });
    expect(server.connectionsOpen).toBe(metricsConnectionsMax);
    for (const peer of flood) peer.socket.destroy();
    await until(() => server.connectionsOpen === 0, { what: 'all places free again' });
    expect((await fetchText('/metrics')).status).toBe(200);
  });

  test('a kept connection is closed after so many requests', async () => {
    await start(few, 500);
    const received = await say('GET / HTTP/1.1\r\nHost: x\r\n\r\n'.repeat(metricsRequestsPerConnectionMax + 50));
    const answers = received.split('HTTP/1.1 200').length - 1;
    expect(answers).toBeLessThanOrEqual(metricsRequestsPerConnectionMax);
    expect(answers).toBeGreaterThan(0);
  });

  test('closing ends what is open', async () => {
    await start(few);
    const peer = raw();
    await until(() => server.connectionsOpen === 1, { what: 'the connection' });
    await server.close();
    await until(() => peer.closed, { what: 'the connection ended' });
  });
});

test('a port that is taken is an error of the caller, not a crash', async () => {
  await start(few);
  const second = new MetricsServer({ series: [], log: rememberingLog() });
  await expect(second.listen('127.0.0.1', port)).rejects.toMatchObject({ code: 'EADDRINUSE' });
  await second.close();
});

test('a taken port is a problem that names the setting, and ends when the port is free', async () => {
  await start(few);
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] });
  const said = rememberingLog();
  const late = vi.fn();
  const second = new MetricsServer({ series: [], log: said, late });
  await second.start('127.0.0.1', port);
  expect(second.problem).toMatch(/EADDRINUSE.*set metrics\.port/);
  const tried = vi.spyOn(Server.prototype, 'listen');
  await vi.advanceTimersByTimeAsync(metricsRetryMs - 1);
  expect(tried).not.toHaveBeenCalled();
  await vi.advanceTimersByTimeAsync(1);
  await vi.waitFor(() => expect(vi.getTimerCount()).toBe(1));
  // It is said once, however often it is tried.
  expect(said.said).toEqual([{ level: 'error', text: second.problem, fields: {} }]);
  expect(late).not.toHaveBeenCalled();
  await server.close();
  await vi.advanceTimersByTimeAsync(metricsRetryMs);
  expect(tried).toHaveBeenCalledTimes(2);
  tried.mockRestore();
  vi.useRealTimers();
  await until(() => second.problem === undefined, { what: 'the page' });
  expect(late).toHaveBeenCalledOnce();
  expect((await fetch(`http://127.0.0.1:${port}/metrics`)).status).toBe(200);
  await second.close();
});

test('a page that nobody could open yet is not tried for after the end', async () => {
  await start(few);
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] });
  const late = vi.fn();
  const second = new MetricsServer({ series: [], log: rememberingLog(), late });
  await second.start('127.0.0.1', port);
  expect(vi.getTimerCount()).toBe(1);
  await second.close();
  expect(vi.getTimerCount()).toBe(0);
  vi.useRealTimers();
});
