/**
 * Information disclosure: who learns what. The control socket's share (I-02) is proven with S-01.
 */
import assert from 'node:assert/strict';
import { claim, twin } from './claim.ts';
import { carelessListener, metricsListener, statusOf, visit } from './support/metrics-listener.ts';

const changingMethods = ['POST', 'PUT', 'DELETE', 'PATCH', 'OPTIONS', 'TRACE'];

claim(
  ['I-01', 'LP-29'],
  metricsListener(),
  async (piece) => {
    assert.equal(piece.address, '127.0.0.1', 'bound to more than loopback');
    const page = await visit(piece, 'GET /metrics HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n');
    assert.equal(statusOf(page), 200);
    assert.match(page.received, /fail2zig_build_info/);
    for (const method of changingMethods) {
      const answer = await visit(piece, `${method} /metrics HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n`);
      assert.equal(statusOf(answer), 405, `${method} is answered`);
    }
    return `bound to 127.0.0.1 by default; GET 200, ${changingMethods.length} other methods 405`;
  },
  [
    twin('a listener on every address', carelessListener('0.0.0.0')),
    twin('a listener that takes any method', carelessListener('127.0.0.1')),
  ],
);
