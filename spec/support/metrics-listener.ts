/** The real metrics listener as a piece, and a raw HTTP peer that may misbehave. */
import { readFileSync } from 'node:fs';
import { createConnection } from 'node:net';
import { openDescriptors } from '../../scripts/lab/descriptors.ts';
import type { Series } from '../../src/observe/metrics.ts';
import { MetricsServer } from '../../src/observe/metrics-server.ts';
import { rememberingLog } from '../../test/support/control.ts';
import type { Supply } from '../claim.ts';
import { carelessMetrics, type MetricsPiece, patientMetrics } from '../twins/careless-metrics.ts';
import { compileText, validConfig } from './configuration.ts';

interface ListenerOptions {
  timeoutMs?: number;
  /** An address of its own; that of the default configuration where absent. */
  bind?: string;
  /** Bytes that the page has besides its series. */
  pageBytes?: number;
}

/** The real listener, bound as the default configuration binds it. */
export function metricsListener({ timeoutMs, bind, pageBytes = 0 }: ListenerOptions = {}): Supply<MetricsPiece> {
  return {
    async make() {
      const help = `Always 1.${'x'.repeat(pageBytes)}`;
      const series: Series[] = [{ name: 'fail2zig_build_info', help, type: 'gauge', labels: [], read: () => 1 }];
      const server = new MetricsServer({ series, log: rememberingLog(), timeoutMs });
      const address = bind ?? compileText(validConfig).metrics.bind;
      return { port: await server.listen(address, 0), close: () => server.close() };
    },
    dispose: (piece) => piece.close(),
  };
}

/** A listener with every limit of the real one but that of a slow reader. */
export function patientListener(timeoutMs: number, pageBytes: number): Supply<MetricsPiece> {
  return { make: () => patientMetrics(timeoutMs, pageBytes), dispose: (piece) => piece.close() };
}

/**
 * Addresses on which this process listens at a port, as the kernel prints them: `0100007F` is
 * 127.0.0.1.
 */
export function listeningAt(port: number): string[] {
  const own = new Set(openDescriptors().values());
  const found: string[] = [];
  for (const table of ['tcp', 'tcp6']) {
    for (const line of readFileSync(`/proc/net/${table}`, 'latin1').split('\n').slice(1)) {
      const [, local = '', , state, , , , , , inode] = line.trim().split(/\s+/);
      const [address = '', hexPort = ''] = local.split(':');
      const isListening = state === '0A' && Number.parseInt(hexPort, 16) === port;
      if (isListening && own.has(`socket:[${inode}]`)) found.push(address);
    }
  }
  return found;
}

/**
 * Bytes of /metrics that a slow scraper received, reading in portions, until the server ended the
 * connection or nothing was left.
 */
export function takeSlowly({ port }: MetricsPiece, pauseMs: number): Promise<number> {
  return new Promise((resolve) => {
    const socket = createConnection({ port, host: '127.0.0.1' });
    let received = 0;
    socket.on('data', (chunk) => {
      received += chunk.length;
      socket.pause();
      setTimeout(() => socket.resume(), pauseMs);
    });
    socket.on('error', () => {});
    socket.on('close', () => resolve(received));
    socket.write('GET /metrics HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n');
  });
}

/** Whether the server ends a request that comes byte by byte and never ends. */
export function drip({ port }: MetricsPiece, pauseMs: number, patienceMs: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = createConnection({ port, host: '127.0.0.1' });
    socket.write('GET /metrics HTTP/1.1\r\nHost:');
    const dripping = setInterval(() => socket.write('x'), pauseMs);
    const patience = setTimeout(() => finish(false), patienceMs);
    function finish(ended: boolean): void {
      clearInterval(dripping);
      clearTimeout(patience);
      socket.destroy();
      resolve(ended);
    }
    socket.on('error', () => {});
    socket.on('close', () => finish(true));
  });
}

export function carelessListener(bind: string): Supply<MetricsPiece> {
  return { make: () => carelessMetrics(bind), dispose: (piece) => piece.close() };
}

/** A connection that writes `text` and ends when the server ends it, or after `patienceMs`. */
export interface Visit {
  /** Everything the server said. */
  received: string;
  /** False if our patience ended first. */
  ended: boolean;
}

export function visit({ port }: MetricsPiece, text: string, patienceMs = 5_000): Promise<Visit> {
  return new Promise((resolve) => {
    const socket = createConnection({ port, host: '127.0.0.1' });
    let received = '';
    const patience = setTimeout(() => finish(false), patienceMs);
    function finish(ended: boolean): void {
      clearTimeout(patience);
      socket.destroy();
      resolve({ received, ended });
    }
    socket.on('data', (chunk) => {
      received += chunk.toString('latin1');
    });
    socket.on('error', () => {});
    socket.on('close', () => finish(true));
    socket.write(text);
  });
}

/** Status code of an HTTP answer; 0 where there was none. */
export function statusOf({ received }: Visit): number {
  return Number(received.split(' ', 2)[1] ?? 0);
}
