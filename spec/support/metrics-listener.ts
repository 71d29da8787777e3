/** The real metrics listener as a piece, and a raw HTTP peer that may misbehave. */
import { createConnection } from 'node:net';
import { buildInfo } from '../../src/observe/metrics.ts';
import { MetricsServer } from '../../src/observe/metrics-server.ts';
import { rememberingLog } from '../../test/support/control.ts';
import type { Supply } from '../claim.ts';
import { carelessMetrics, type MetricsPiece } from '../twins/careless-metrics.ts';
import { compileText, validConfig } from './configuration.ts';

/** The real listener, bound as the default configuration binds it. */
export function metricsListener(timeoutMs?: number): Supply<MetricsPiece> {
  return {
    async make() {
      const series = [buildInfo('0.0.0', process.version)];
      const server = new MetricsServer({ series, log: rememberingLog(), timeoutMs });
      const { bind } = compileText(validConfig).metrics;
      return { port: await server.listen(bind, 0), address: bind, close: () => server.close() };
    },
    dispose: (piece) => piece.close(),
  };
}

export function carelessListener(bind: string): Supply<MetricsPiece> {
  return { make: () => carelessMetrics(bind), dispose: (piece) => piece.close() };
}

/** A connection that writes `text` and ends when the server ends it, or after `patienceMs`. */
export interface Visit {
  /** Everything the server said. */
  received: string;
  /** False where our patience ended first. */
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
