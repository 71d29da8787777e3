/**
 * Denial of service: limits of what anybody may use.
 */
import assert from 'node:assert/strict';
import { createConnection, type Socket } from 'node:net';
import { type BackendRow, backendRows, chooseBackend, NoBackendError } from '../src/backends/choose.ts';
import { KernelError } from '../src/backends/kernel-error.ts';
import { metricsConnectionsMax, metricsHeaderBytesMax, metricsTimeoutMs } from '../src/limits.ts';
import { until } from '../test/support/until.ts';
import { claim, given, sabotaged, twin } from './claim.ts';
import {
  carelessListener,
  drip,
  metricsListener,
  patientListener,
  statusOf,
  takeSlowly,
  visit,
} from './support/metrics-listener.ts';
import type { MetricsPiece } from './twins/careless-metrics.ts';
import { hopefulChooser } from './twins/hopeful-chooser.ts';

/**
 * How many of `count` silent connections are still open after one more than the limit was tried.
 */
async function openAtOnce({ port }: MetricsPiece, count: number): Promise<number> {
  const sockets: Socket[] = [];
  let settled = 0;
  let open = 0;
  for (let i = 0; i < count; i++) {
    const socket = createConnection({ port, host: '127.0.0.1' });
    sockets.push(socket);
    // The server closes a connection beyond the limit; an accepted one gets an answer.
    socket.write('GET / HTTP/1.1\r\nHost: x\r\n\r\n');
    socket.on('error', () => {});
    socket.once('data', () => {
      open++;
      settled++;
      socket.removeAllListeners('close');
    });
    socket.once('close', () => settled++);
  }
  await until(() => settled === count, { what: 'an answer or an end for each connection' });
  for (const socket of sockets) socket.destroy();
  return open;
}

const shortMs = 500;
/** More than the kernel buffers for the server. */
const pageBytes = 48 * 1024 * 1024;

claim(
  'D-04a',
  metricsListener({ timeoutMs: shortMs, pageBytes }),
  async (piece) => {
    assert.deepEqual([metricsTimeoutMs, metricsHeaderBytesMax, metricsConnectionsMax], [5_000, 8_192, 16]);
    const large = 'x'.repeat(metricsHeaderBytesMax);
    const answer = await visit(piece, `GET /metrics HTTP/1.1\r\nHost: x\r\nX-Large: ${large}\r\n\r\n`);
    assert.equal(statusOf(answer), 431, 'a header over 8 KB is taken');
    const open = await openAtOnce(piece, metricsConnectionsMax + 4);
    assert.equal(open, metricsConnectionsMax, 'connections at once');
    const polite = 'GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n';
    await until(async () => statusOf(await visit(piece, polite)) === 200, { what: 'a place for one more scraper' });
    const slow = await visit(piece, 'GET /metrics HTTP/1.1\r\nHost:', 4_000);
    assert.ok(slow.ended, 'an unfinished request is waited for');
    assert.ok(await drip(piece, shortMs / 10, 8 * shortMs), 'a request that comes byte by byte is waited for');
    const taken = await takeSlowly(piece, 5);
    assert.ok(taken < pageBytes, `a scraper that takes its answer slowly is waited for: ${taken} bytes`);
    return (
      `${large.length} bytes in a header → ${statusOf(answer)}; ${open} of ${metricsConnectionsMax + 4} connections kept; an unfinished ` +
      `request ended, an answer taken slowly ended at ${taken} of ${pageBytes} bytes (limit ${metricsTimeoutMs} ms, tried with ${shortMs})`
    );
  },
  [
    twin("a listener with Node's defaults", carelessListener('127.0.0.1'), /a header over 8 KB is taken/),
    twin(
      'a listener that never tires of waiting',
      metricsListener({ timeoutMs: 600_000 }),
      /an unfinished request is waited for/,
    ),
    twin(
      'a listener that waits for a slow reader',
      patientListener(shortMs, pageBytes),
      /a scraper that takes its answer slowly is waited for/,
    ),
  ],
  { timeoutMs: 90_000 },
);

type Choose = typeof chooseBackend;
const firewall = { backend: 'auto', table: 'fail2zig', allowLogOnly: false, interfaces: [] } as const;

/** Backends that all refuse to be installed. */
const refusing: BackendRow[] = (['nftables', 'iptables', 'ipset'] as const).map((name) => ({
  name,
  auto: () => true,
  load: async () => ({
    name,
    holds: true,
    install: () => Promise.reject(new KernelError(1, `install ${name}`)),
    apply: () => Promise.resolve(),
    each: () => Promise.resolve(0),
    reconcile: () => Promise.resolve(false),
    remove: () => Promise.resolve(),
    close: () => {},
  }),
}));
const logOnly: BackendRow = {
  name: 'log-only',
  auto: ({ allowLogOnly }) => allowLogOnly,
  load: async (...parameters) => ({
    ...(await refusing[0]!.load(...parameters)),
    name: 'log-only',
    install: () => Promise.resolve(),
  }),
};

claim(
  'D-05b',
  given<Choose>(chooseBackend),
  async (choose) => {
    const choice = await choose(firewall, [], () => {}, [...refusing, logOnly]).catch((error: unknown) => error);
    assert.ok(choice instanceof NoBackendError, 'something was chosen that bans nothing');
    for (const { name } of refusing)
      assert.match(choice.message, new RegExp(`${name}: .*EPERM`), `${name} is not named`);
    const allowed = await choose({ ...firewall, allowLogOnly: true }, [], () => {}, [...refusing, logOnly]);
    assert.equal(allowed.backend.name, 'log-only', 'log-only is not taken where it is allowed');
    for (const { name } of refusing) {
      const named = await choose({ ...firewall, backend: name, allowLogOnly: true }, [], () => {}, [
        ...refusing,
        logOnly,
      ]).catch((error: unknown) => error);
      assert.ok(named instanceof NoBackendError, `where ${name} alone is asked for, another is taken`);
    }
    return 'three failing backends: refused with what each said; log-only only where the configuration allows it';
  },
  [
    twin(
      'a chooser that falls back to log-only unasked',
      given<Choose>((options, ...rest) => chooseBackend({ ...options, allowLogOnly: true }, ...rest)),
      /something was chosen that bans nothing/,
    ),
    twin(
      'a chooser that keeps a backend which refused',
      given<Choose>(hopefulChooser),
      /something was chosen that bans nothing/,
    ),
    sabotaged('where no backend installs, what each said is not told', /is not named/),
    sabotaged('where the backend that is asked for refuses, others are tried', /alone is asked for, another is taken/),
  ],
);

/**
 * Rows in the table's order; the first `failing` refuse to be installed; `tried` gets the name of
 * each.
 */
function rowsWith(failing: number, tried: string[], closed: string[]): BackendRow[] {
  return [...refusing, logOnly].map(({ load, ...row }, index) => ({
    ...row,
    load: async (...parameters) => ({
      ...(await load(...parameters)),
      install: () => {
        tried.push(row.name);
        return index < failing ? Promise.reject(new KernelError(95, `install ${row.name}`)) : Promise.resolve();
      },
      close: () => void closed.push(row.name),
    }),
  }));
}

claim(
  'D-05a',
  given<Choose>(chooseBackend),
  async (choose) => {
    const order = ['nftables', 'iptables', 'ipset', 'log-only'];
    assert.deepEqual(
      backendRows.map(({ name }) => name).filter((name) => order.includes(name)),
      order,
      'the table is in another order than the documented one',
    );
    for (let failing = 0; failing < order.length; failing++) {
      const [tried, closed]: [string[], string[]] = [[], []];
      const options = { ...firewall, allowLogOnly: true };
      const { backend, attempts } = await choose(options, [], () => {}, rowsWith(failing, tried, closed));
      assert.equal(backend.name, order[failing], `the choice where the first ${failing} fail`);
      assert.deepEqual(tried, order.slice(0, failing + 1), 'tried, in this order');
      assert.deepEqual(
        attempts.map((attempt) => attempt.backend),
        order.slice(0, failing),
        'reported as not usable',
      );
      assert.deepEqual(closed, order.slice(0, failing), 'closed again');
    }
    return `${order.join(' → ')}: each tried by installing it, the first that does is taken, the others are reported`;
  },
  [
    twin(
      'a chooser with one try',
      given<Choose>((options, jails, say, rows = []) => chooseBackend(options, jails, say, [rows[0]!, rows.at(-1)!])),
      /the choice where the first 1 fail/,
    ),
    twin(
      'a chooser that tries from the end',
      given<Choose>((options, jails, say, rows = []) => chooseBackend(options, jails, say, rows.toReversed())),
      /the choice where the first 0 fail/,
    ),
    twin(
      'a chooser that keeps a backend which refused',
      given<Choose>(hopefulChooser),
      /the choice where the first 1 fail/,
    ),
  ],
);
