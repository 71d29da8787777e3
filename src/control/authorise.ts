/**
 * Who a peer of the control socket is, and what that lets it do. Input: what the kernel recorded
 * when the peer connected (SO_PEERCRED, SO_PEERGROUPS); nothing the peer says counts. Invariant: a
 * peer is `root`, `group` or nobody, and nobody is the answer to every doubt. Claims: S-01, I-02,
 * E-03.
 */
import type { Socket } from 'node:net';
import type { PeerCredentials } from '../native.ts';
import type { Role } from './verbs.ts';

/** Asks the kernel about the connected socket `fd`; a number is -errno. */
export type AskPeer = (fd: number) => PeerCredentials | number;

/**
 * Descriptor of an accepted socket, or -1. Node has no public way to it: this is the only place
 * that reaches inside, and it must be called while the socket is open (the handle goes with it).
 */
export function descriptorOf(socket: Socket): number {
  const handle = (socket as unknown as { _handle?: { fd?: unknown } | null })._handle;
  return typeof handle?.fd === 'number' ? handle.fd : -1;
}

/**
 * Keeps the runtime from reading a socket, since it would throw descriptors away; returns what lets
 * it go on.
 */
export function holdReading(socket: Socket): () => void {
  const handle = (socket as unknown as { _handle?: { readStop(): void; readStart(): void } | null })._handle;
  handle?.readStop();
  return () => void (socket.destroyed || handle?.readStart());
}

/** What the kernel knows of the peer, or undefined where it cannot be known. */
export function credentialsOf(socket: Socket, askPeer: AskPeer): PeerCredentials | undefined {
  const fd = descriptorOf(socket);
  if (fd < 0) return undefined;
  const answer = askPeer(fd);
  return typeof answer === 'number' ? undefined : answer;
}

/**
 * The role of a peer, or undefined for one that may call nothing. `groupId` undefined: no group is
 * let in.
 */
export function roleOf(peer: PeerCredentials, daemonUid: number, groupId: number | undefined): Role | undefined {
  if (peer.uid === 0 || peer.uid === daemonUid) return 'root';
  if (groupId === undefined) return undefined;
  return peer.gid === groupId || peer.groups.includes(groupId) ? 'group' : undefined;
}
