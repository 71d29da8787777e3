/**
 * Creates the control socket in the launch stage, which may still give it to a group. It is bound
 * beside its final path, with its final owner and mode; the core listens and renames it to the path
 * (server.ts). Input: a configured path, in a directory that other users may or may not write to.
 * Invariant: what exists at the path stays, unless it is a socket on which nobody listens; if
 * several daemons start at once, the one with the lock gets the path. Claims: S-01, I-02.
 */
import { chmodSync, closeSync, lchownSync, lstatSync, type Stats, unlinkSync } from 'node:fs';
import { constants } from 'node:os';
import { basename, dirname } from 'node:path';
import { type Component, componentsOf } from '../components.ts';
import { socketPathBytesMax } from '../limits.ts';
import { native } from '../native.ts';
import { InUseError, takeLock } from '../sole.ts';
import type { BoundSocket } from '../types.ts';

export type SocketPathErrorCode =
  | 'path-too-long'
  | 'no-directory'
  | 'directory-open'
  | 'not-a-socket'
  | 'in-use'
  | 'no-permission'
  | 'owner';

/** The socket cannot be created; `message` says what prevents it and what to do. */
export class SocketPathError extends Error {
  readonly code: SocketPathErrorCode;

  constructor(code: SocketPathErrorCode, message: string) {
    super(message);
    this.name = 'SocketPathError';
    this.code = code;
  }
}

/** Who may open the socket: owner and group read and write, nobody else anything. */
export const socketMode = 0o660;

function errorCode(error: unknown): string {
  return (error as NodeJS.ErrnoException).code ?? String(error);
}

function lookAt(path: string): Stats | undefined {
  try {
    return lstatSync(path);
  } catch (error) {
    if (errorCode(error) === 'ENOENT') return undefined;
    throw new SocketPathError('no-permission', `${path}: cannot be examined (${errorCode(error)})`);
  }
}

/**
 * Others must not be able to replace our socket: every directory on the way is sticky, or only root
 * and we can write to it. If only the last one is missing, the lock creates it, since /run is empty
 * after every boot.
 */
function checkDirectory(directory: string): void {
  const own = process.getuid!();
  let components: Component[];
  try {
    components = componentsOf(directory);
  } catch (error) {
    throw new SocketPathError('no-directory', `${(error as Error).message}: create it`);
  }
  if (!components.at(-1)!.stats.isDirectory()) {
    throw new SocketPathError('no-directory', `${directory} is not a directory: create it`);
  }
  for (const { path, stats } of components) {
    if (stats.uid !== 0 && stats.uid !== own) {
      throw new SocketPathError('directory-open', `${path} belongs to user ${stats.uid}: choose one that root owns`);
    }
    const isOpen = !stats.isSymbolicLink() && (stats.mode & 0o022) !== 0 && (stats.mode & 0o1000) === 0;
    if (isOpen) throw new SocketPathError('directory-open', `${path} is writable by others: chmod go-w ${path}`);
  }
}

const { ECONNREFUSED, ENOENT, EAGAIN, EPROTOTYPE } = constants.errno;

/** Whether somebody listens on the socket: an older daemon of ours, or another program. */
function isLive(path: string): boolean {
  const error = -native.unixProbe(path);
  if (error === ECONNREFUSED || error === ENOENT) return false;
  // Somebody listens but is too busy to accept (a full backlog is EAGAIN).
  if (error === 0 || error === EAGAIN || error === EPROTOTYPE) return true;
  throw new SocketPathError('no-permission', `${path}: cannot be probed (errno ${error})`);
}

function bind(path: string): number {
  // Until the chmod only we may connect.
  const mask = process.umask(0o177);
  const fd = native.unixBind(path);
  process.umask(mask);
  if (fd < 0) throw new SocketPathError('no-permission', `${path}: cannot be created (errno ${-fd})`);
  return fd;
}

/** Sets the owner of the socket; `groupId` undefined keeps its group. */
function own(path: string, groupId: number | undefined): void {
  try {
    if (groupId !== undefined) lchownSync(path, process.getuid!(), groupId);
    chmodSync(path, socketMode);
  } catch (error) {
    throw new SocketPathError(
      'owner',
      `${path}: cannot be given to group ${groupId} (${errorCode(error)}): the daemon must be in that group or hold CAP_CHOWN`,
    );
  }
}

/** Keeps other daemons of ours away from the path while we listen there. */
function lockPath(path: string): number {
  try {
    return takeLock(`${path}.lock`, `socket ${path}`, 'socket of its own (control.socket)');
  } catch (error) {
    if (error instanceof InUseError) throw new SocketPathError('in-use', error.message);
    const { message } = error as Error;
    const hint = errorCode(error) === 'EACCES' ? ': run fail2zig as root, or choose a place of its own user' : '';
    throw new SocketPathError('no-permission', `control.socket: ${message}${hint}`);
  }
}

/** A socket for `path`, 0660, with group `groupId`. Throws SocketPathError. */
export function bindSocket(path: string, groupId: number | undefined): BoundSocket {
  const at = `${path}.new`;
  const longest = Buffer.byteLength(at);
  if (longest > socketPathBytesMax) {
    throw new SocketPathError(
      'path-too-long',
      `${path}: ${longest} bytes with its working name; a socket path has at most ${socketPathBytesMax}`,
    );
  }
  checkDirectory(dirname(path));
  const found = lookAt(path);
  if (found !== undefined && !found.isSocket()) {
    throw new SocketPathError('not-a-socket', `${path} is not a socket: it is left alone, move ${basename(path)} away`);
  }
  const lock = lockPath(path);
  try {
    if (isLive(path)) {
      throw new SocketPathError('in-use', `${path}: another program listens there`);
    }
    if (lookAt(at)) unlinkSync(at);
    const fd = bind(at);
    own(at, groupId);
    return { fd, lock, at };
  } catch (error) {
    closeSync(lock);
    if (error instanceof SocketPathError) throw error;
    throw new SocketPathError('no-permission', `${path}: cannot be created (${errorCode(error)})`);
  }
}
