/**
 * Puts a listening unix socket at a path: with its final owner and mode from the first moment it
 * can be seen there, and never in the place of something else. Input: a configured path, in a
 * directory that other users may or may not write to. Invariant: what stands at the path is left
 * alone unless it is a socket that nobody listens on, and a listening socket is never removed,
 * however many daemons start at once. Claims: S-01, I-02.
 */
import {
  type BigIntStats,
  chmodSync,
  lchownSync,
  linkSync,
  lstatSync,
  mkdirSync,
  renameSync,
  unlinkSync,
} from 'node:fs';
import { createConnection, type Server } from 'node:net';
import { basename, dirname, join } from 'node:path';
import { controlBacklog, controlWriteMs, socketPathBytesMax } from '../limits.ts';

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

/** The directory at `path`; made where only it is missing, as /run is empty after every boot. */
function openDirectory(path: string): BigIntStats | undefined {
  const found = lookAt(path);
  if (found !== undefined) return found;
  try {
    mkdirSync(path, { mode: 0o755 });
  } catch (error) {
    throw new SocketPathError('no-directory', `${path}: cannot be made (${errorCode(error)}): create it`);
  }
  return lookAt(path);
}

/**
 * Others must not be able to put their own socket in the place of ours: a sticky directory, or one
 * only its owner writes.
 */
function checkDirectory(path: string): void {
  const directory = dirname(path);
  const found = openDirectory(directory);
  if (!found?.isDirectory()) throw new SocketPathError('no-directory', `${directory} is not a directory: create it`);
  const sticky = (found.mode & 0o1000n) !== 0n;
  if ((found.mode & 0o022n) !== 0n && !sticky) {
    throw new SocketPathError('directory-open', `${directory} is writable by others: chmod go-w ${directory}`);
  }
  const own = BigInt(process.getuid?.() ?? 0);
  if (found.uid !== 0n && found.uid !== own) {
    throw new SocketPathError('directory-open', `${directory} belongs to user ${found.uid}: choose one that root owns`);
  }
}

/**
 * The same socket: inode numbers are given again, so the time it was made (nothing later moves
 * mtime) has to agree too.
 */
function isSame(one: BigIntStats, other: BigIntStats): boolean {
  return one.ino === other.ino && one.dev === other.dev && one.mtimeNs === other.mtimeNs;
}

/** What connect(2) says about the socket at `path`. */
function probe(path: string): Promise<'live' | 'stale' | 'gone'> {
  return new Promise((resolve, reject) => {
    const socket = createConnection({ path });
    // Someone is listening but too busy to be accepted (a full backlog is EAGAIN): alive all the
    // same.
    const finish = (result: 'live' | 'stale' | 'gone'): void => {
      socket.destroy();
      resolve(result);
    };
    socket.setTimeout(controlWriteMs, () => finish('live'));
    socket.once('connect', () => finish('live'));
    socket.once('error', (error) => {
      const code = errorCode(error);
      if (code === 'ECONNREFUSED') finish('stale');
      else if (code === 'ENOENT') finish('gone');
      else if (code === 'EAGAIN' || code === 'EPROTOTYPE') finish('live');
      else reject(new SocketPathError('no-permission', `${path}: cannot be probed (${code})`));
    });
  });
}

/**
 * Removes the socket that `found` describes, and no other: it is moved aside in one step, and put
 * back where it turns out that another daemon's socket had taken the place since we looked.
 */
function removeStale(path: string, found: BigIntStats, aside: string): void {
  try {
    renameSync(path, aside);
  } catch (error) {
    if (errorCode(error) === 'ENOENT') return;
    throw new SocketPathError('no-permission', `${path}: a stale socket that cannot be removed (${errorCode(error)})`);
  }
  if (!isSame(lstatSync(aside, { bigint: true }), found)) {
    try {
      linkSync(aside, path);
    } catch {
      // A third daemon was quicker; the one moved aside will find that it lost its name, as it
      // would have by unlink.
    }
    unlinkSync(aside);
    throw new SocketPathError('in-use', `${path}: another daemon has just started there`);
  }
  unlinkSync(aside);
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

/** Publishes `from` as `to` where nothing stands there yet. */
function publish(from: string, to: string): void {
  try {
    linkSync(from, to);
  } catch (error) {
    if (errorCode(error) === 'EEXIST')
      throw new SocketPathError('in-use', `${to}: another daemon has just started there`);
    throw new SocketPathError('no-permission', `${to}: cannot be created (${errorCode(error)})`);
  }
}

/**
 * Makes `server` listen at `path`, 0660, with group `groupId`.
 * @returns removes the path again, if what stands there is still this server's socket. Rejects with
 * SocketPathError.
 */
export async function listenAt(server: Server, path: string, groupId: number | undefined): Promise<() => void> {
  // Names of this one attempt: rivals, also of another process namespace with our process id, have
  // their own.
  const attempt = join(dirname(path), `.${Math.random().toString(36).slice(2, 10)}`);
  const working = `${attempt}.new`;
  const aside = `${attempt}.old`;
  const longest = Math.max(Buffer.byteLength(path), Buffer.byteLength(working));
  if (longest > socketPathBytesMax) {
    throw new SocketPathError(
      'path-too-long',
      `${path}: ${longest} bytes with its working name; a socket path has at most ${socketPathBytesMax}`,
    );
  }
  checkDirectory(path);
  const found = lookAt(path);
  if (found !== undefined) {
    if (!found.isSocket()) {
      throw new SocketPathError(
        'not-a-socket',
        `${path} is not a socket: it is left alone, move ${basename(path)} away`,
      );
    }
    const state = await probe(path);
    if (state === 'live') throw new SocketPathError('in-use', `${path}: another daemon listens there`);
    if (state === 'stale') removeStale(path, found, aside);
  }
  try {
    await bind(server, working);
  } catch (error) {
    throw new SocketPathError('no-permission', `${path}: cannot be created (${errorCode(error)})`);
  }
  try {
    own(working, groupId);
    publish(working, path);
  } catch (error) {
    server.close();
    throw error;
  } finally {
    if (lookAt(working)) unlinkSync(working);
  }
  const ours = lstatSync(path, { bigint: true });
  return () => {
    const now = lookAt(path);
    if (now !== undefined && isSame(now, ours)) unlinkSync(path);
  };
}
