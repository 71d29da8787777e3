/**
 * The daemon's side of the control socket: listens, gets every peer's identity from the kernel, and
 * passes requests to the verbs. Input: local processes that may open the socket. Invariant: a verb
 * runs only for a peer that the kernel has identified and that the verb's row admits; the number of
 * connections is bounded, with a share for root; nothing here blocks the reading of logs for longer
 * than one answer takes. When full: a new peer is told `busy`, or just closed if many are being
 * told so; root is always told. Claims: S-01, I-02, D-03, E-03.
 */
import { closeSync, lstatSync, renameSync, unlinkSync } from 'node:fs';
import { createServer, type Server, type Socket } from 'node:net';
import { constants } from 'node:os';
import { setTimeout as sleep } from 'node:timers/promises';
import * as limits from '../limits.ts';
import type { Logger } from '../log.ts';
import type { PeerCredentials } from '../native.ts';
import type { BoundSocket } from '../types.ts';
import { type Operator, OperatorError } from './answers.ts';
import { type AskPeer, credentialsOf, descriptorOf, holdReading, roleOf } from './authorise.ts';
import { Connection, type Deadlines, turnAway } from './connection.ts';
import { RequestRate } from './rate.ts';
import { answerTo, findVerb, mayCall, type Role } from './verbs.ts';

type By = { uid: number; pid: number };

export interface ControlOptions {
  operator: Operator;
  /** `native.peerCredentials`. */
  askPeer: AskPeer;
  /** `native.receiveDescriptor`. */
  receive?: (fd: number) => number;
  /** The group that may use the socket; undefined = root (and the daemon's own user) only. */
  groupId: number | undefined;
  log: Logger;
  /** Records commands that change something, and what was refused to whom. */
  recorder?: {
    command(command: string, by: By): void;
    refused(reason: string, what: { command?: string; by?: By }): void;
  };
  /** Milliseconds of a monotonic clock. */
  now?: () => number;
  deadlines?: Deadlines;
}

const deadlinesDefault: Deadlines = {
  idleMs: limits.controlIdleMs,
  answerMs: limits.controlAnswerMs,
  writeMs: limits.controlWriteMs,
};

export class ControlServer {
  /** Counters since the start; shown as metrics. */
  readonly counters = {
    /** Peers that were accepted. */
    connectionsTotal: 0,
    connectionsOpen: 0,
    /** Peers that were rejected because they have no right to connect. */
    refusedTotal: 0,
    /** Peers that were rejected because too many were connected. */
    busyTotal: 0,
    requestsTotal: 0,
    rateLimitedTotal: 0,
    badFramesTotal: 0,
  };
  readonly #options: ControlOptions;
  readonly #rate: RequestRate;
  readonly #daemonUid = process.getuid!();
  readonly #open = new Map<Socket, PeerCredentials>();
  readonly #turnedAway = new Set<Socket>();
  // Half-open: a client may end its side after the request and still read the answer.
  readonly #server: Server = createServer({ allowHalfOpen: true }, (socket) => this.#accept(socket));
  #letGo = (): void => {};

  constructor(options: ControlOptions) {
    this.#options = options;
    this.#rate = new RequestRate(options.now ?? (() => performance.now()));
  }

  /** Listens on a socket that the launch stage bound, and renames it to `path`. */
  async listen({ fd, lock, at }: BoundSocket, path: string): Promise<void> {
    const server = this.#server;
    await new Promise<void>((resolve, reject) => {
      server.once('error', reject).listen({ fd, backlog: limits.controlBacklog }, resolve);
    });
    server.on('error', (error) => this.#options.log.error('control socket failed', { error: String(error) }));
    renameSync(at, path);
    const ours = lstatSync(path, { bigint: true });
    this.#letGo = () => {
      const found = lstatSync(path, { bigint: true, throwIfNoEntry: false });
      // Inode numbers are reused; nothing changes the mtime of a socket, so it tells ours.
      const isOurs = found?.ino === ours.ino && found.dev === ours.dev && found.mtimeNs === ours.mtimeNs;
      if (isOurs) unlinkSync(path);
      closeSync(lock);
    };
  }

  /** Ends every connection and removes the socket, if the one at its path is still ours. */
  async close(): Promise<void> {
    this.#letGo();
    this.#letGo = () => {};
    for (const socket of [...this.#open.keys(), ...this.#turnedAway]) socket.destroy();
    await new Promise<void>((resolve) => this.#server.close(() => resolve()));
  }

  #accept(socket: Socket): void {
    const { askPeer, groupId, log, recorder } = this.#options;
    const peer = credentialsOf(socket, askPeer);
    const role = peer && roleOf(peer, this.#daemonUid, groupId);
    if (peer === undefined || role === undefined) {
      this.counters.refusedTotal += 1;
      log.warn('control connection refused', { uid: peer?.uid, gid: peer?.gid, pid: peer?.pid });
      recorder?.refused('no right to the control socket', { by: peer && { uid: peer.uid, pid: peer.pid } });
      this.#dismiss(socket, peer, 'forbidden', 'only root and the members of the group of this socket may use it');
      return;
    }
    if (!this.#hasRoom(peer)) {
      this.counters.busyTotal += 1;
      log.warn('control connection rejected: too many are open', { uid: peer.uid, pid: peer.pid });
      this.#dismiss(socket, peer, 'busy', 'too many control connections are open: try again later');
      return;
    }
    this.#serve(socket, peer, role);
  }

  #serve(socket: Socket, peer: PeerCredentials, role: Role): void {
    const { log } = this.#options;
    const { counters } = this;
    counters.connectionsTotal += 1;
    this.#open.set(socket, peer);
    counters.connectionsOpen = this.#open.size;
    socket.once('close', () => {
      this.#open.delete(socket);
      counters.connectionsOpen = this.#open.size;
    });
    new Connection(socket, {
      deadlines: this.#options.deadlines ?? deadlinesDefault,
      answer: (request) => this.#answer(socket, peer, role, request.verb, request.args),
      onBadFrame: () => {
        counters.badFramesTotal += 1;
        log.warn('control peer violates the protocol', { uid: peer.uid, pid: peer.pid });
      },
      onInternal: (error) => log.error('control request failed', { error: String((error as Error)?.stack ?? error) }),
    });
  }

  #answer(
    socket: Socket,
    peer: PeerCredentials,
    role: Role,
    verbName: unknown,
    given: unknown,
  ): ReturnType<typeof answerTo> {
    const { operator, recorder } = this.#options;
    this.counters.requestsTotal += 1;
    if (!this.#rate.take(peer.uid)) {
      this.counters.rateLimitedTotal += 1;
      throw new OperatorError('rate-limited', 'too many requests from this user: wait a second');
    }
    const verb = findVerb(verbName);
    const by = { uid: peer.uid, gid: peer.gid, pid: peer.pid };
    const who = { uid: peer.uid, pid: peer.pid };
    if (!mayCall(verb, role)) {
      recorder?.refused('for root only', { command: verb.name, by: who });
      throw new OperatorError('forbidden', `${verb.name} is for root only`);
    }
    // The arguments have been checked when this call returns.
    const hands = verb.takes && this.#heldHands(socket);
    const answer = answerTo(operator, verb, given, hands ? { ...by, hands } : by);
    // A request may have no arguments.
    const texts = textsOf(given ?? {});
    // Without arguments it changes nothing; a reload records itself if it did.
    if (verb.changes && texts.length > 0) recorder?.command([verb.name, ...texts].join(' '), who);
    return answer;
  }

  /**
   * From now on only the returned function reads the socket, until it has received the descriptor.
   */
  #heldHands(socket: Socket): () => Promise<number> {
    const letGo = holdReading(socket);
    const receive = () => this.#options.receive?.(descriptorOf(socket)) ?? -1;
    return async () => {
      let file = receive();
      for (; file === -constants.errno.EAGAIN && !socket.destroyed; file = receive())
        await sleep(limits.controlHandsMs);
      letGo();
      return file;
    };
  }

  #hasRoom(peer: PeerCredentials): boolean {
    if (this.#open.size >= limits.controlConnectionsMax) return false;
    if (peer.uid === 0) return true;
    let group = 0;
    let user = 0;
    for (const other of this.#open.values()) {
      if (other.uid !== 0) group += 1;
      if (other.uid === peer.uid) user += 1;
    }
    return group < limits.controlConnectionsGroupMax && user < limits.controlConnectionsUserMax;
  }

  /**
   * Rejected peers stay connected for a moment to read why; if there are many, only root is told.
   */
  #dismiss(socket: Socket, peer: PeerCredentials | undefined, code: 'forbidden' | 'busy', message: string): void {
    if (this.#turnedAway.size >= limits.controlConnectionsMax && peer?.uid !== 0) {
      socket.destroy();
      return;
    }
    this.#turnedAway.add(socket);
    socket.once('close', () => this.#turnedAway.delete(socket));
    turnAway(socket, code, message, limits.controlLingerMs);
  }
}

/** Checked arguments as text for a record. */
const textsOf = (args: object): string[] =>
  Object.entries(args).map(([name, value]) => `${name}=${Array.isArray(value) ? shortList(value) : value}`);

/**
 * A short form of a list: the records of the bans name each address, the command's log line only
 * some.
 */
function shortList(values: string[]): string {
  const more = values.length - limits.commandAddressesMax;
  return more > 0 ? `${values.slice(0, limits.commandAddressesMax).join(' ')} and ${more} more` : values.join(' ');
}
