/** Broken on purpose: metrics listeners that answer anything, and that wait for ever. */
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { metricsConnectionsMax, metricsHeaderBytesMax } from '../../src/limits.ts';

/** What the specifications need of a metrics listener. */
export interface MetricsPiece {
  port: number;
  close: () => Promise<void>;
}

/**
 * Node's own defaults: any method, 16 KiB of headers, a minute for a request, any number of
 * connections.
 */
export async function carelessMetrics(bind: string): Promise<MetricsPiece> {
  const server = createServer((_request, response) => response.end('fail2zig_build_info 1\n'));
  await new Promise<void>((resolve) => server.listen(0, bind, resolve));
  const { port } = server.address() as AddressInfo;
  return {
    port,
    close: async () => {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

/** Limits on everything but the time that a scraper takes over its answer. */
export async function patientMetrics(timeoutMs: number, pageBytes: number): Promise<MetricsPiece> {
  const limits = {
    maxHeaderSize: metricsHeaderBytesMax,
    headersTimeout: timeoutMs,
    requestTimeout: timeoutMs,
    connectionsCheckingInterval: timeoutMs / 5,
  };
  const server = createServer(limits, (_request, response) => response.end(Buffer.alloc(pageBytes)));
  server.maxConnections = metricsConnectionsMax;
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  const close = (): Promise<void> => {
    server.closeAllConnections();
    return new Promise((resolve) => server.close(() => resolve()));
  };
  return { port, close };
}
