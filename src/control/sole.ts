/**
 * One daemon per firewall table: a second one would replace the rules and sets of the first before anything else stopped it.
 * The mark is a socket with a name in the network namespace, where the table is too. It needs no file, and the kernel takes
 * it away with the process, whatever ended that.
 * Input: any local user can take such a name, or connect to ours. Invariant: only root, or who we run as, keeps us from
 * starting by it; a connection is closed without a word. Claim: FM-1.
 */
import { createConnection, createServer, type Server } from 'node:net';
import { controlWriteMs } from '../limits.ts';
import { type AskPeer, credentialsOf } from './authorise.ts';

/** Another daemon of ours holds the table. */
export class TableInUseError extends Error {
  constructor(table: string, pid: number) {
    super(
      `another fail2zig (process ${pid}) holds the table "${table}": stop it, or give this one a table of its own (firewall.table)`,
    );
    this.name = 'TableInUseError';
  }
}

/** The table is ours, until `close` or the end of the process. `foreign`: somebody without the right to it holds the mark. */
export interface SoleTable {
  foreign: boolean;
  close(): void;
}

/** Takes `table` for this process. Rejects with TableInUseError. */
export async function takeTable(table: string, askPeer: AskPeer): Promise<SoleTable> {
  const path = `\0fail2zig/table/${table}`;
  const server = createServer((socket) => socket.destroy());
  if (await listens(server, path)) {
    server.unref();
    return { foreign: false, close: () => void server.close() };
  }
  const holder = await holderOf(path, askPeer);
  if (holder !== undefined && (holder.uid === 0 || holder.uid === process.getuid?.())) {
    throw new TableInUseError(table, holder.pid);
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
