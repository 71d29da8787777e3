/**
 * The daemon's side of the control socket: listens, knows every peer from the kernel, and hands
 * requests to the verbs. Input: local processes that may open the socket. Invariant: a verb runs
 * only for a peer the kernel vouches for and the verb's row lets in; a bounded number of
 * connections, root's share apart; nothing here can hold up the log path for longer than one answer
 * takes. When full: the newcomer is told `busy`. Claims: S-01, I-02, D-03, E-03.
 */
import { createServer, type Server, type Socket } from 'node:net';
import {
  controlAnswerMs,
  controlConnectionsGroupMax,
  controlConnectionsMax,
  controlConnectionsUserMax,
  controlIdleMs,
  controlLingerMs,
  controlWriteMs,
} from '../limits.ts';
import type { Logger } from '../log.ts';
import type { PeerCredentials } from '../native.ts';
import { type AskPeer, credentialsOf, roleOf } from './authorise.ts';
import { type Deadlines, serve, turnAway } from './connection.ts';
import { RequestRate } from './rate.ts';
import { listenAt } from './socket-path.ts';
import { checkArguments, findVerb, mayCall, type Operator, OperatorError, type Role } from './verbs.ts';

export interface ControlOptions {
  operator: Operator;
  /** `native.peerCredentials`. */
  askPeer: AskPeer;
  /** The group that may use the socket; undefined = root (and the daemon's own user) only. */
  groupId: number | undefined;
  log: Logger;
  /** Milliseconds that never go back. */
  now?: () => number;
  deadlines?: Deadlines;
}

/** Since the start; the daemon shows them as metrics. */
export interface ControlCounters {
  /** Peers that were let in. */
  connectionsTotal: number;
  connectionsOpen: number;
  /** Peers without the right to be here. */
  refusedTotal: number;
  /** Peers turned away because too many were connected. */
  busyTotal: number;
  requestsTotal: number;
  rateLimitedTotal: number;
  badFramesTotal: number;
}

export interface ControlServer {
  /** Rejects with SocketPathError. */
  listen(path: string): Promise<void>;
  /** Ends every connection and removes the socket. */
  close(): Promise<void>;
  readonly counters: Readonly<ControlCounters>;
}

const deadlinesDefault: Deadlines = { idleMs: controlIdleMs, answerMs: controlAnswerMs, writeMs: controlWriteMs };

export function createControlServer(options: ControlOptions): ControlServer {
  const { operator, askPeer, groupId, log } = options;
  const deadlines = options.deadlines ?? deadlinesDefault;
  const rate = new RequestRate(options.now ?? (() => performance.now()));
  const daemonUid = process.getuid?.() ?? 0;
  const open = new Map<Socket, PeerCredentials>();
  const turnedAway = new Set<Socket>();
  let removePath = (): void => {};

  const counters: ControlCounters = {
    connectionsTotal: 0,
    connectionsOpen: 0,
    refusedTotal: 0,
    busyTotal: 0,
    requestsTotal: 0,
    rateLimitedTotal: 0,
    badFramesTotal: 0,
  };

  async function answer(peer: PeerCredentials, role: Role, verbName: unknown, given: unknown): Promise<unknown> {
    counters.requestsTotal += 1;
    if (!rate.take(peer.uid)) {
      counters.rateLimitedTotal += 1;
      throw new OperatorError('rate-limited', 'too many requests from this user: wait a second');
    }
    const verb = findVerb(verbName);
    if (!mayCall(verb, role)) throw new OperatorError('forbidden', `${verb.name} is for root only`);
    const args = checkArguments(verb, given);
    const by = { uid: peer.uid, gid: peer.gid, pid: peer.pid };
    const data = await verb.run(operator, args, by);
    if (verb.changes) {
      log.info('operator command', { verb: verb.name, ...(args as Record<string, string | number>), ...by });
    }
    return data;
  }

  function hasRoom(peer: PeerCredentials): boolean {
    if (open.size >= controlConnectionsMax) return false;
    if (peer.uid === 0) return true;
    let group = 0;
    let user = 0;
    for (const other of open.values()) {
      if (other.uid !== 0) group += 1;
      if (other.uid === peer.uid) user += 1;
    }
    return group < controlConnectionsGroupMax && user < controlConnectionsUserMax;
  }

  function dismiss(socket: Socket, code: 'forbidden' | 'busy', message: string): void {
    turnedAway.add(socket);
    socket.once('close', () => turnedAway.delete(socket));
    turnAway(socket, code, message, controlLingerMs);
  }

  function accept(socket: Socket): void {
    const peer = credentialsOf(socket, askPeer);
    const role = peer && roleOf(peer, daemonUid, groupId);
    if (peer === undefined || role === undefined) {
      counters.refusedTotal += 1;
      log.warn('control connection refused', { uid: peer?.uid, gid: peer?.gid, pid: peer?.pid });
      dismiss(socket, 'forbidden', 'only root and the members of the group of this socket may use it');
      return;
    }
    if (!hasRoom(peer)) {
      counters.busyTotal += 1;
      log.warn('control connection turned away: too many are open', { uid: peer.uid, pid: peer.pid });
      dismiss(socket, 'busy', 'too many control connections are open: try again later');
      return;
    }
    counters.connectionsTotal += 1;
    open.set(socket, peer);
    counters.connectionsOpen = open.size;
    socket.once('close', () => {
      open.delete(socket);
      counters.connectionsOpen = open.size;
    });
    serve(socket, {
      deadlines,
      answer: (request) => answer(peer, role, request.verb, request.args),
      onBadFrame: () => {
        counters.badFramesTotal += 1;
        log.warn('control peer does not keep to the protocol', { uid: peer.uid, pid: peer.pid });
      },
      onInternal: (error) => log.error('control request failed', { error: String((error as Error)?.stack ?? error) }),
    });
  }

  // Half-open: a client may end its side after the request and still read the answer.
  const server: Server = createServer({ allowHalfOpen: true, pauseOnConnect: false }, accept);
  // Those turned away linger for a moment; beyond as many again, Node closes without a word.
  server.maxConnections = controlConnectionsMax * 2;

  return {
    counters,
    async listen(path) {
      removePath = await listenAt(server, path, groupId);
      server.on('error', (error) => log.error('control socket failed', { error: String(error) }));
    },
    async close() {
      removePath();
      removePath = () => {};
      for (const socket of [...open.keys(), ...turnedAway]) socket.destroy();
      if (!server.listening) return;
      await new Promise<void>((resolve) => server.close(() => resolve()));
    },
  };
}
