/** Broken on purpose: metrics listeners that answer anything, and that wait for ever. */
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';

/** What the specifications need of a metrics listener. */
export interface MetricsPiece {
  port: number;
  address: string;
  close: () => Promise<void>;
}

/**
 * Node's own defaults: any method, 16 KiB of headers, a minute for a request, any number of
 * connections.
 */
export async function carelessMetrics(bind: string): Promise<MetricsPiece> {
  const server = createServer((_request, response) => response.end('fail2zig_build_info 1\n'));
  await new Promise<void>((resolve) => server.listen(0, bind, resolve));
  const { port, address } = server.address() as AddressInfo;
  return {
    port,
    address,
    close: async () => {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}
