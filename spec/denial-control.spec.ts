/**
 * Denial of service, second part: clients of the control socket and scrapers, and what they must
 * not slow down.
 */
import assert from 'node:assert/strict';
import { chmodSync } from 'node:fs';
import { createConnection, Server, type Socket } from 'node:net';
import { join } from 'node:path';
import { encodeFrame } from '../src/control/protocol.ts';
import { RequestRate } from '../src/control/rate.ts';
import { ControlServer } from '../src/control/server.ts';
import {
  controlConnectionsGroupMax,
  controlConnectionsUserMax,
  controlRequestsBurst,
  controlUsersMax,
  metricsConnectionsMax,
} from '../src/limits.ts';
import { MetricsServer } from '../src/observe/metrics-server.ts';
import { fakeOperator, listenAt, rawPeer, rememberingLog, temporaryDirectory } from '../test/support/control.ts';
import { until } from '../test/support/until.ts';
import { claim, type Supply, twin } from './claim.ts';
import { controlGroup } from './support/control-socket.ts';
import { type Pipeline, pipeline } from './support/pipeline.ts';

/**
 * How many turns of the event loop pass until `state` is true; Infinity if it is not within
 * `turnsMax`.
 */
async function turnsUntil(state: () => boolean, turnsMax: number): Promise<number> {
  for (let turns = 0; turns <= turnsMax; turns++) {
    if (state()) return turns;
    await new Promise((resolve) => setImmediate(resolve));
  }
  return Number.POSITIVE_INFINITY;
}

interface FloodedSocket {
  path: string;
  /** Requests that reached the daemon. */
  reached: () => number;
  /** Requests that came in. */
  received: () => number;
  /** The same server with a short deadline for silent peers. */
  silentPath: string;
  /** Advances the clock of the budgets. */
  advance: (ms: number) => void;
  /** The user of the next connections. */
  become: (uid: number) => void;
  /** Connections that the server with short deadlines has open. */
  silentOpen: () => number;
  /** The backlogs passed to listen(2). */
  backlogs: number[];
  close: () => Promise<void>;
}

/** The deadline for silent peers where it is tried, ms. */
const silentMs = 200;

/**
 * The real server for one member of the group. `hurried`: its clock runs so fast that no budget is
 * ever used up.
 */
function floodedSocket({
  hurried = false,
  strangers = false,
  idleMs = silentMs,
  writeMs = silentMs,
  oneBudget = false,
} = {}): Supply<FloodedSocket> {
  return {
    async make() {
      const directory = temporaryDirectory();
      chmodSync(directory.path, 0o755);
      const path = join(directory.path, 'control.sock');
      const operator = fakeOperator(500);
      let time = 0;
      let uid = 1000;
      const { listen } = Server.prototype;
      const backlogs: number[] = [];
      Server.prototype.listen = function watched(this: Server, ...parameters: unknown[]): Server {
        backlogs.push((parameters[0] as { backlog: number }).backlog);
        return Reflect.apply(listen, this, parameters) as Server;
      } as typeof listen;
      const server = new ControlServer({
        operator,
        askPeer: () => ({ pid: 1, uid: strangers ? uid++ : oneBudget ? 1000 : uid, gid: controlGroup, groups: [] }),
        groupId: controlGroup,
        log: rememberingLog(),
        now: () => {
          if (hurried) time += 1_000;
          return time;
        },
      });
      await listenAt(server, path, controlGroup);
      const silentPath = join(directory.path, 'silent.sock');
      const deadlines = { idleMs, answerMs: 10_000, writeMs };
      const askPeer = () => ({ pid: 1, uid: 1000, gid: controlGroup, groups: [] });
      const silent = new ControlServer({ operator, askPeer, groupId: controlGroup, log: rememberingLog(), deadlines });
      await listenAt(silent, silentPath, controlGroup);
      Server.prototype.listen = listen;
      operator.bans = Array.from({ length: 20_000 }, (_, index) => ({
        ...{ jail: 'sshd', address: `198.18.${index >> 8}.${index & 255}`, remainingSeconds: 600 },
      }));
      return {
        backlogs,
        become(next) {
          uid = next;
        },
        silentOpen: () => silent.counters.connectionsOpen,
        path,
        silentPath,
        advance(ms) {
          time += ms;
        },
        reached: () => operator.calls.length,
        received: () => server.counters.requestsTotal,
        async close() {
          await server.close();
          await silent.close();
          directory.remove();
        },
      };
    },
    dispose: (piece) => piece.close(),
  };
}

const excess = 300;
const soon = { withinMs: 3_000 };

/** One user spends his budget, others come, and he asks again: whether each got an answer. */
function budgetsOf(others: number): boolean[] {
  const rate = new RequestRate(() => 0);
  const spent = Array.from({ length: controlRequestsBurst + 1 }, () => rate.take(0));
  for (let uid = 1; uid <= others; uid++) rate.take(uid);
  return [spent[0]!, spent.at(-1)!, rate.take(0)];
}

claim(
  'D-03',
  floodedSocket(),
  async ({ path, silentPath, silentOpen, backlogs, become, advance, reached, received }) => {
    const silent = rawPeer(silentPath);
    await until(() => silent.closed, { withinMs: 3_000 }).catch(() => {});
    assert.ok(silent.closed, 'a connection that says nothing is kept');
    const liar = rawPeer(silentPath);
    liar.socket.write(Buffer.from([0xff, 0xff, 0xff, 0xff]));
    await until(() => liar.closed, { withinMs: 3_000 }).catch(() => {});
    const [refusal] = liar.responses;
    assert.ok(refusal?.ok === false && refusal.error.code === 'bad-frame', 'a frame of 4 GiB is waited for');
    const slow = rawPeer(silentPath);
    slow.socket.pause();
    slow.socket.write(encodeFrame({ verb: 'list', args: {} }));
    await until(() => silentOpen() === 1, { what: 'a peer that takes nothing' });
    // Nothing of a peer is read while its answer waits, whatever it sends.
    slow.socket.write(Buffer.alloc(8 * 1024 * 1024));
    let unread = slow.socket.writableLength;
    await until(
      () => {
        if (silentOpen() > 0) unread = Math.min(unread, slow.socket.writableLength);
        return silentOpen() === 0;
      },
      { withinMs: 3_000 },
    ).catch(() => {});
    assert.ok(unread > 0, 'all that a peer sends is read while its answer waits');
    assert.equal(silentOpen(), 0, 'a peer that does not take its answer is kept');
    assert.ok(Math.max(...backlogs) <= 64, `backlogs of ${backlogs.join(', ')} were asked for`);
    const alreadyReached = reached();
    const peers = Array.from({ length: controlConnectionsUserMax + 4 }, () => rawPeer(path));
    await until(() => peers.filter(({ closed, responses }) => closed || responses.length > 0).length >= 4, {
      withinMs: 3_000,
    }).catch(() => {});
    const open = peers.filter(({ closed, responses }) => !closed && responses.length === 0);
    assert.equal(open.length, controlConnectionsUserMax, 'connections that one user keeps open');
    const [peer] = open;
    assert.ok(peer);
    const frame = encodeFrame({ verb: 'stats', args: {} });
    const requests = controlRequestsBurst + excess;
    peer.socket.write(Buffer.concat(Array.from({ length: requests }, () => frame)));
    let before = 0;
    let most = 0;
    const answered = await turnsUntil(() => {
      most = Math.max(most, received() - before);
      before = received();
      return peer.responses.length === requests;
    }, 100_000);
    assert.ok(Number.isFinite(answered), `${peer.responses.length} of ${requests} requests were answered`);
    const limited = peer.responses.filter((response) => !response.ok && response.error.code === 'rate-limited');
    assert.equal(limited.length, excess, 'requests over the budget that were refused');
    assert.equal(reached() - alreadyReached, controlRequestsBurst, 'requests that reached the daemon');
    // In one turn the loop reads a socket once.
    const chunk = Math.ceil(65_536 / frame.length);
    assert.ok(most <= chunk, `${most} requests between two turns in which logs are read`);
    become(1001);
    const other = rawPeer(path);
    other.socket.write(frame);
    await until(() => other.responses.length === 1, { what: 'an answer for somebody else' });
    assert.equal(other.responses[0]?.ok, true, 'another user has a budget of his own');
    become(1000);
    advance(3_600_000);
    peer.socket.write(Buffer.concat(Array.from({ length: requests }, () => frame)));
    await until(() => peer.responses.length === 2 * requests, { what: 'answers after an hour' });
    const twice = 2 * controlRequestsBurst + 1;
    assert.equal(reached() - alreadyReached, twice, 'a budget that nobody used for an hour has grown');
    // Users fill all places of the group: root has one all the same.
    const crowd: ReturnType<typeof rawPeer>[] = [];
    for (let index = 0; index < controlConnectionsGroupMax; index++) {
      become(2000 + Math.floor(index / controlConnectionsUserMax));
      const each = rawPeer(path);
      crowd.push(each);
      each.socket.write(frame);
      await until(() => each.responses.length > 0, { what: 'an answer, or a word why there is none' });
    }
    const told = crowd.at(-1)?.responses[0];
    assert.ok(told?.ok === false && told.error.code === 'busy', 'the group may take every place');
    become(0);
    const root = rawPeer(path);
    root.socket.write(frame);
    await until(() => root.responses.length === 1, soon).catch(() => {});
    assert.equal(root.responses[0]?.ok, true, 'root has a place beside the group');
    assert.deepEqual(budgetsOf(controlUsersMax - 2), [true, false, false], 'a budget that is kept');
    assert.deepEqual(budgetsOf(controlUsersMax), [true, false, true], 'a budget beyond what is kept');
    for (const { socket } of [...peers, ...crowd, root, silent, liar, slow, other]) socket.destroy();
    return (
      `one user: ${open.length} of ${peers.length} connections kept, ${twice} requests answered in two bursts an hour apart, one of them for another user, ${limited.length} ` +
      `refused; at most ${most} of them between two turns in which logs are read`
    );
  },
  [
    twin('a server without a rate', floodedSocket({ hurried: true }), /requests over the budget that were refused/),
    twin(
      'a server that counts each connection as another user',
      floodedSocket({ strangers: true }),
      /connections that one user keeps open/,
    ),
    twin(
      'a server that waits for a silent peer',
      floodedSocket({ idleMs: 600_000 }),
      /a connection that says nothing is kept/,
    ),
    twin(
      'a server that waits for a peer who takes nothing',
      floodedSocket({ writeMs: 600_000 }),
      /does not take its answer is kept/,
    ),
    twin('a server with one budget for all', floodedSocket({ oneBudget: true }), /a budget of his own/),
  ],
);

interface Scraped extends Pipeline {
  port: number;
  /** Times the page was computed. */
  computed: () => number;
  close: () => Promise<void>;
}

/**
 * The core of the daemon beside the real metrics page. `fresh`: a new page for each scrape.
 * `waits`: bans wait for scrapers.
 */
function scraped({ fresh = false, waits = false } = {}): Supply<Scraped> {
  return {
    async make() {
      const made = await pipeline();
      let computed = 0;
      let time = 0;
      const read = (): number => ++computed;
      const series = [{ name: 'fail2zig_computed_total', help: 'Times.', type: 'counter' as const, labels: [], read }];
      const now = (): number => {
        if (fresh) time += 1_000;
        return time;
      };
      const server = new MetricsServer({ series, log: rememberingLog(), now });
      const port = await server.listen('127.0.0.1', 0);
      if (waits) {
        const { apply } = made.backend;
        made.backend.apply = async (changes) => {
          await new Promise((resolve) => setTimeout(resolve, 500));
          return apply(changes);
        };
      }
      return { ...made, port, computed: () => computed, close: () => server.close() };
    },
    async dispose({ enforcer, close }) {
      await enforcer.stop();
      await close();
    },
  };
}

/**
 * A turn of the loop is not a fixed time, but a ban that waits for nothing else needs only a
 * handful.
 */
const turnsMax = 200;
const greedy = 4;

claim(
  'D-04b',
  scraped(),
  async ({ port, fail, backend, computed }) => {
    const sockets: Socket[] = [];
    const open = (text: string): void => {
      const socket = createConnection({ port, host: '127.0.0.1' });
      socket.on('error', () => {});
      socket.write(text);
      sockets.push(socket);
    };
    for (let i = greedy; i < metricsConnectionsMax; i++) open('GET /metrics HTTP/1.1\r\nHost:');
    const request = 'GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n';
    for (let i = 0; i < greedy; i++) open(request.repeat(90));
    await until(() => computed() > 0, { what: 'a first scrape' });
    let most = 0;
    for (let i = 0; i < 20; i++) {
      const address = `192.0.2.${i + 1}`;
      fail(address);
      const turns = await turnsUntil(() => backend.held.has(`sshd ${address}`), turnsMax);
      assert.ok(Number.isFinite(turns), `the ban of ${address} took more than ${turnsMax} turns of the event loop`);
      most = Math.max(most, turns);
    }
    const silent = sockets.slice(0, metricsConnectionsMax - greedy).filter((socket) => !socket.destroyed).length;
    assert.ok(silent > 0, 'no scraper was in the way');
    assert.equal(computed(), 1, `times the page was computed for ${greedy * 90} scrapes at one instant`);
    for (const socket of sockets) socket.destroy();
    return `20 bans beside ${silent} scrapers that never finish and ${greedy * 90} scrapes: each within ${most} turns of the event loop, one page computed`;
  },
  [
    twin('a page computed for every scrape', scraped({ fresh: true }), /times the page was computed/),
    twin('a ban that waits', scraped({ waits: true }), /turns of the event loop/),
  ],
);
