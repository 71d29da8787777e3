/**
 * A control socket in its own directory, for specifications: how to open one, and how to connect as
 * another user.
 */
import { execFile } from 'node:child_process';
import { chmodSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { ControlServer } from '../../src/control/server.ts';
import { native } from '../../src/native.ts';
import { fakeOperator, listenAt, rememberingLog, temporaryDirectory } from '../../test/support/control.ts';
import type { Supply } from '../claim.ts';

/** Group of the socket, a number no real group has. */
export const controlGroup = 4242;
/** User and group of a stranger. */
export const stranger = 65_534;

export interface ControlPiece {
  path: string;
  /** The same server where no group is configured. */
  ungroupedPath: string;
  /** The same server where the kernel does not know who connects. */
  unknownPath: string;
  /** Modes of the socket's file in the moment after bind(2), before its owner and mode are set. */
  modesAtBind: string[];
  /** Verbs that reached the daemon. */
  reached: () => string[];
  close: () => Promise<void>;
}

type AskPeer = typeof native.peerCredentials;

/** How a twin is broken: forged credentials, another group, another mode of the socket file. */
export interface ControlBreakage {
  askPeer?: AskPeer;
  /** Who connects where the kernel does not know. */
  askUnknown?: AskPeer;
  /** The group where none is configured. */
  ungroupedId?: number;
  mode?: number;
  /** bind(2) under the umask of the process. */
  usualMask?: boolean;
}

/** No peer is known: -EINVAL. */
const unknown: AskPeer = () => -22;

/**
 * Calls `listen` and returns the modes of the sockets right after their bind(2). `usualMask`: the
 * umask is left as it is.
 */
async function modesWhileBinding(usualMask: boolean, listen: () => Promise<void>): Promise<string[]> {
  const { unixBind } = native;
  const { umask } = process;
  const modes: string[] = [];
  native.unixBind = (path) => {
    const descriptor = unixBind(path);
    modes.push(modeAndOwner(path).slice(0, 4));
    return descriptor;
  };
  if (usualMask) process.umask = () => 0o022;
  try {
    await listen();
    return modes;
  } finally {
    Reflect.deleteProperty(native, 'unixBind');
    process.umask = umask;
  }
}

/** The real server with a remembering operator, or a broken one. */
export function controlSocket(breakage: ControlBreakage = {}): Supply<ControlPiece> {
  const { askPeer = native.peerCredentials, askUnknown = unknown, ungroupedId, mode, usualMask = false } = breakage;
  return {
    async make() {
      const directory = temporaryDirectory();
      chmodSync(directory.path, 0o755);
      const operator = fakeOperator();
      const servers: ControlServer[] = [];
      let modesAtBind: string[] = [];
      const listen = async (name: string, ask: AskPeer, groupId: number | undefined): Promise<string> => {
        const path = join(directory.path, name);
        const server = new ControlServer({ operator, askPeer: ask, groupId, log: rememberingLog() });
        servers.push(server);
        modesAtBind = await modesWhileBinding(usualMask, () => listenAt(server, path, groupId));
        if (mode !== undefined) chmodSync(path, mode);
        return path;
      };
      const ungroupedPath = await listen('ungrouped.sock', askPeer, ungroupedId);
      const unknownPath = await listen('unknown.sock', askUnknown, controlGroup);
      return {
        path: await listen('control.sock', askPeer, controlGroup),
        ungroupedPath,
        unknownPath,
        modesAtBind,
        reached: () => operator.calls.map(({ verb }) => verb),
        async close() {
          for (const server of servers) await server.close();
          directory.remove();
        },
      };
    },
    dispose: (piece) => piece.close(),
  };
}

/** `0660 0:4242` of a file. */
export function modeAndOwner(path: string): string {
  const { mode, uid, gid } = statSync(path);
  return `${(mode & 0o7777).toString(8).padStart(4, '0')} ${uid}:${gid}`;
}

export interface Reply {
  ok?: boolean;
  error?: { code: string };
  unreachable?: string;
}

const program = join(import.meta.dirname, 'request-as.ts');

/** What a process of this user, this group and these further groups gets for a request. */
export async function requestAs(
  path: string,
  uid: number,
  gid: number,
  verb: string,
  args: object,
  groups: number[] = [],
): Promise<Reply> {
  const parameters = [program, path, String(uid), String(gid), verb, JSON.stringify(args), groups.join(',')];
  const { stdout } = await promisify(execFile)(process.execPath, parameters);
  return JSON.parse(stdout) as Reply;
}
