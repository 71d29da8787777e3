/**
 * Information disclosure: who learns what. The part of the control socket (I-02) is proven with
 * S-01.
 */
import assert from 'node:assert/strict';
import { ConfigError } from '../src/config/problem.ts';
import { claim, type Supply, twin } from './claim.ts';
import { compileText, validConfig } from './support/configuration.ts';
import { carelessListener, listeningAt, metricsListener, statusOf, visit } from './support/metrics-listener.ts';
import type { MetricsPiece } from './twins/careless-metrics.ts';

const otherMethods = ['POST', 'PUT', 'DELETE', 'PATCH', 'OPTIONS', 'TRACE'];
const everyAddress = ['0.0.0.0', '::', '192.0.2.1', '12.0.0.1', '128.0.0.1', '::2'];

interface Metrics {
  listener: MetricsPiece;
  /** The address that a configuration leads to; throws ConfigError. */
  bindOf: (text: string) => string;
}

const compiledBind = (text: string): string => compileText(text).metrics.bind;

function metrics(listener: Supply<MetricsPiece>, bindOf = compiledBind): Supply<Metrics> {
  return {
    make: async () => ({ listener: await listener.make(), bindOf }),
    dispose: ({ listener: made }) => made.close(),
  };
}

/** Whether a configuration with this address is refused for that address. */
function isRefused(bindOf: Metrics['bindOf'], address: string): boolean {
  try {
    bindOf(`[metrics]\nenabled = true\nbind = "${address}"\n${validConfig}`);
    return false;
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error;
    return error.message.includes('can be reached from other hosts');
  }
}

claim(
  ['I-01', 'LP-29'],
  metrics(metricsListener()),
  async ({ listener, bindOf }) => {
    const addresses = listeningAt(listener.port);
    assert.deepEqual(addresses, ['0100007F'], 'addresses on which the kernel listens');
    const page = await visit(listener, 'GET /metrics HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n');
    assert.equal(statusOf(page), 200);
    assert.match(page.received, /fail2zig_build_info/);
    for (const method of otherMethods) {
      const answer = await visit(listener, `${method} /metrics HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n`);
      assert.equal(statusOf(answer), 405, `${method} is answered`);
    }
    const body = 'GET /metrics HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\nban';
    assert.equal(statusOf(await visit(listener, body)), 413, 'a request with a body is answered');
    for (const address of everyAddress) {
      assert.ok(isRefused(bindOf, address), `bind = "${address}" is taken without allow_remote`);
    }
    return (
      `the kernel listens at ${addresses.join(', ')} only; GET ${statusOf(page)}, ${otherMethods.length} other methods and a body ` +
      `refused; ${everyAddress.length} remote addresses refused without allow_remote`
    );
  },
  [
    twin(
      'a listener on every address',
      metrics(metricsListener({ bind: '0.0.0.0' })),
      /addresses on which the kernel listens/,
    ),
    twin('a listener that takes any method', metrics(carelessListener('127.0.0.1')), /POST is answered/),
    twin(
      'a configuration in which every address is allowed',
      metrics(metricsListener(), (text) => compiledBind(text.replace('[metrics]', '[metrics]\nallow_remote = true'))),
      /is taken without allow_remote/,
    ),
  ],
  { needs: ['linux'] },
);
