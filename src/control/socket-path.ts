/**
 * Puts a listening unix socket at a path: with its final owner and mode from the first moment it
 * can be seen there, and never in the place of something else. Input: a configured path, in a
 * directory that other users may or may not write to. Invariant: what stands at the path is left
 * alone unless it is a socket that nobody listens on; of daemons that start at once, the one with
 * the lock gets the path. Claims: S-01, I-02.
 */
import { type BigIntStats, chmodSync, lchownSync, lstatSync, mkdirSync, renameSync, unlinkSync } from 'node:fs';
import { createConnection, type Server } from 'node:net';
import { basename, dirname } from 'node:path';
import { type Component, componentsOf } from '../components.ts';
import { controlBacklog, controlWriteMs, socketPathBytesMax } from '../limits.ts';
import { InUseError, takeLock } from '../sole.ts';

export type SocketPathErrorCode =
  | 'path-too-long'
  | 'no-directory'
  | 'directory-open'
  | 'not-a-socket'
  | 'in-use'
  | 'no-permission'
  | 'owner';

/** The socket cannot be put there; `message` says what stands in the way and what to do. */
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

function lookAt(path: string): BigIntStats | undefined {
  try {
    return lstatSync(path, { bigint: true });
  } catch (error) {
    if (errorCode(error) === 'ENOENT') return undefined;
    throw new SocketPathError('no-permission', `${path}: cannot be looked at (${errorCode(error)})`);
  }
}

/**
 * Others must not be able to put their own socket in the place of ours: every directory on the way
 * is sticky, or only root and we write it. The last one is made where only it is missing, as /run
 * is empty after every boot.
 */
function checkDirectory(directory: string): void {
  const own = process.getuid?.() ?? 0;
  try {
    mkdirSync(directory, { mode: 0o755 });
  } catch {
    // It is there, or the way to it says what is wrong.
  }
  let components: Component[];
  try {
    components = componentsOf(directory);
  } catch (error) {
    throw new SocketPathError('no-directory', `${(error as Error).message}: create it`);
  }
  if (!components.at(-1)?.stats.isDirectory()) {
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

/**
 * The same socket: inode numbers are given again, so the time it was made (nothing later moves
 * mtime) has to agree too.
 */
function isSame(one: BigIntStats, other: BigIntStats): boolean {
  return one.ino === other.ino && one.dev === other.dev && one.mtimeNs === other.mtimeNs;
}

/** Whether somebody listens at the socket: an older daemon of ours, or another program. */
function isLive(path: string): Promise<boolean> {
  return new Promise((resolve, reject) => {
    const socket = createConnection({ path });
    const finish = (result: boolean): void => {
      socket.destroy();
      resolve(result);
    };
    socket.setTimeout(controlWriteMs, () => finish(true));
    socket.once('connect', () => finish(true));
    socket.once('error', (error) => {
      const code = errorCode(error);
      if (code === 'ECONNREFUSED' || code === 'ENOENT') finish(false);
      // Somebody listens but is too busy to accept (a full backlog is EAGAIN).
      else if (code === 'EAGAIN' || code === 'EPROTOTYPE') finish(true);
      else reject(new SocketPathError('no-permission', `${path}: cannot be probed (${code})`));
    });
  });
}

function bind(server: Server, path: string): Promise<void> {
  return new Promise((resolve, reject) => {
    // The bind happens inside listen(); until the chmod nobody but us may connect.
    const mask = process.umask(0o177);
    server.once('error', reject);
    server.listen({ path, backlog: controlBacklog }, () => {
      server.off('error', reject);
      resolve();
    });
    process.umask(mask);
  });
}

/** Gives the socket its owner; `groupId` undefined leaves the group it was made with. */
function own(path: string, groupId: number | undefined): void {
  try {
    if (groupId !== undefined) lchownSync(path, process.getuid?.() ?? 0, groupId);
    chmodSync(path, socketMode);
  } catch (error) {
    throw new SocketPathError(
      'owner',
      `${path}: cannot be given to group ${groupId} (${errorCode(error)}): the daemon must be in that group or hold CAP_CHOWN`,
    );
  }
}

/** Keeps other daemons of ours away from the path while we listen there. */
function lockPath(path: string): () => void {
  try {
    return takeLock(`${path}.lock`, `socket ${path}`, 'socket of its own (control.socket)');
  } catch (error) {
    const code = error instanceof InUseError ? 'in-use' : 'no-permission';
    throw new SocketPathError(code, (error as Error).message);
  }
}

/**
 * Makes `server` listen at `path`, 0660, with group `groupId`.
 * @returns removes the path again, if what stands there is still this server's socket. Rejects with
 * SocketPathError.
 */
export async function listenAt(server: Server, path: string, groupId: number | undefined): Promise<() => void> {
  const working = `${path}.new`;
  const longest = Buffer.byteLength(working);
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
  const release = lockPath(path);
  try {
    if (found !== undefined && (await isLive(path))) {
      throw new SocketPathError('in-use', `${path}: another program listens there`);
    }
    if (lookAt(working)) unlinkSync(working);
    await bind(server, working);
    own(working, groupId);
    renameSync(working, path);
  } catch (error) {
    server.close();
    release();
    if (error instanceof SocketPathError) throw error;
    throw new SocketPathError('no-permission', `${path}: cannot be created (${errorCode(error)})`);
  }
  const ours = lstatSync(path, { bigint: true });
  return () => {
    const now = lookAt(path);
    if (now !== undefined && isSame(now, ours)) unlinkSync(path);
    release();
  };
}
