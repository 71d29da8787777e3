/**
 * Who a peer of the control socket is, and what it may do. Input: what the kernel recorded when the
 * peer connected (SO_PEERCRED, SO_PEERGROUPS); nothing the peer says counts. Invariant: a peer is
 * `root`, `group` or nobody, and in doubt it is nobody. Claims: S-01, I-02, E-03.
 */
import type { Socket } from 'node:net';
import type { PeerCredentials } from '../native.ts';
import type { Role } from './verbs.ts';

/** Asks the kernel about the connected socket `fd`; a number is -errno. */
export type AskPeer = (fd: number) => PeerCredentials | number;

/**
 * The descriptor of an accepted socket, or -1. Node has no public way to get it: this is the only
 * place that uses Node's internals. It must be called while the socket is open, since closing
 * removes the handle.
 */
export function descriptorOf(socket: Socket): number {
  const handle = (socket as unknown as { _handle?: { fd?: unknown } | null })._handle;
  return typeof handle?.fd === 'number' ? handle.fd : -1;
}

/**
 * Stops Node from reading a socket, because Node would discard the descriptors in it; returns the
 * function that resumes.
 */
export function holdReading(socket: Socket): () => void {
  const handle = (socket as unknown as { _handle?: { readStop(): void; readStart(): void } | null })._handle;
  handle?.readStop();
  return () => void (socket.destroyed || handle?.readStart());
}

/** What the kernel knows about the peer, or undefined if it cannot say. */
export function credentialsOf(socket: Socket, askPeer: AskPeer): PeerCredentials | undefined {
  const fd = descriptorOf(socket);
  if (fd < 0) return undefined;
  const answer = askPeer(fd);
  return typeof answer === 'number' ? undefined : answer;
}

/**
 * The role of a peer, or undefined for one that may call nothing. `groupId` undefined: no group has
 * access.
 */
export function roleOf(peer: PeerCredentials, daemonUid: number, groupId: number | undefined): Role | undefined {
  if (peer.uid === 0 || peer.uid === daemonUid) return 'root';
  if (groupId === undefined) return undefined;
  return peer.gid === groupId || peer.groups.includes(groupId) ? 'group' : undefined;
}
