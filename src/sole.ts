/**
 * One daemon per firewall table, and one per state file: a second one would replace the rules and
 * sets of the first before anything else stopped it, or its bans and read positions with its own.
 * The mark is a socket with a name in the network namespace, where the table is too. It needs no
 * file, and the kernel takes it away with the process, whatever ended that. Two daemons in
 * different network namespaces with one state file are not noticed. Input: any local user can take
 * such a name, or connect to ours. Invariant: only root, or who we run as, keeps us from starting
 * by it; a connection is closed without a word. Claim: FM-1.
 */
import { statSync } from 'node:fs';
import { createConnection, createServer, type Server } from 'node:net';
import { basename, dirname } from 'node:path';
import { type AskPeer, credentialsOf } from './control/authorise.ts';
import { controlWriteMs, markBytesMax } from './limits.ts';

/** Another daemon of ours holds what this one needs for itself. */
export class InUseError extends Error {
  constructor(what: string, own: string, pid: number) {
    super(`another fail2zig (process ${pid}) holds the ${what}: stop it, or give this one a ${own}`);
    this.name = 'InUseError';
  }
}

/**
 * It is ours, until `close` or the end of the process. `foreign`: somebody without the right to it
 * holds the mark.
 */
export interface Sole {
  foreign: boolean;
  close(): void;
}

/** Takes the firewall table for this process. Rejects with InUseError. */
export function takeTable(table: string, askPeer: AskPeer): Promise<Sole> {
  return take(`table/${table}`, askPeer, `table "${table}"`, 'table of its own (firewall.table)');
}

/**
 * Takes the state file for this process, by whatever path it is reached. Rejects with InUseError;
 * undefined where its directory cannot be looked at: then nobody saves there.
 */
export async function takeState(path: string, askPeer: AskPeer): Promise<Sole | undefined> {
  let directory: string;
  try {
    const { dev, ino } = statSync(dirname(path), { bigint: true });
    directory = `${dev}/${ino}`;
  } catch {
    return undefined;
  }
  return take(
    `state/${directory}/${markOf(basename(path))}`,
    askPeer,
    `state file ${path}`,
    'file of its own (state.path)',
  );
}

/**
 * A file's name as it may stand in a mark, which is short: as it is, or a hash that is longer than
 * any name that stays as it is.
 */
function markOf(file: string): string {
  if (Buffer.byteLength(file) < markBytesMax) return file;
  // Loaded only here: that takes 8 ms, which no usual start needs.
  const { createHash } = process.getBuiltinModule('node:crypto');
  return createHash('sha256').update(file).digest('hex').slice(0, markBytesMax);
}

async function take(name: string, askPeer: AskPeer, what: string, own: string): Promise<Sole> {
  const path = `\0fail2zig/${name}`;
  const server = createServer((socket) => socket.destroy());
  if (await listens(server, path)) {
    server.unref();
    return { foreign: false, close: () => void server.close() };
  }
  const holder = await holderOf(path, askPeer);
  if (holder !== undefined && (holder.uid === 0 || holder.uid === process.getuid?.())) {
    throw new InUseError(what, own, holder.pid);
  }
  return { foreign: true, close: () => {} };
}

/** False where the name is taken. */
function listens(server: Server, path: string): Promise<boolean> {
  return new Promise((resolve, reject) => {
    server.once('error', (error: NodeJS.ErrnoException) => {
      if (error.code === 'EADDRINUSE') resolve(false);
      else reject(error);
    });
    server.listen(path, () => resolve(true));
  });
}

/** Who listens there; undefined where nobody answers, which our own daemon does. */
function holderOf(path: string, askPeer: AskPeer): Promise<{ uid: number; pid: number } | undefined> {
  return new Promise((resolve) => {
    const socket = createConnection({ path });
    const finish = (holder?: { uid: number; pid: number }): void => {
      socket.destroy();
      resolve(holder);
    };
    socket.setTimeout(controlWriteMs, () => finish());
    socket.once('connect', () => finish(credentialsOf(socket, askPeer)));
    socket.once('error', () => finish());
  });
}
