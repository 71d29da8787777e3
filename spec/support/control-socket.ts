/**
 * A control socket in a directory of its own, for specifications: how to open one, and how to be
 * somebody else at it.
 */
import { execFile } from 'node:child_process';
import { chmodSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { ControlServer } from '../../src/control/server.ts';
import { native } from '../../src/native.ts';
import { fakeOperator, rememberingLog, temporaryDirectory } from '../../test/support/control.ts';
import type { Supply } from '../claim.ts';

/** Group of the socket, a number no real group has. */
export const controlGroup = 4242;
/** User and group of a stranger. */
export const stranger = 65_534;

export interface ControlPiece {
  path: string;
  /** Verbs that reached the daemon. */
  reached: () => string[];
  close: () => Promise<void>;
}

/** How a twin is broken: credentials made up, or another mode of the socket file. */
export interface ControlBreakage {
  askPeer?: typeof native.peerCredentials;
  mode?: number;
}

/** The real server with a remembering operator, or a broken one. */
export function controlSocket({ askPeer, mode }: ControlBreakage = {}): Supply<ControlPiece> {
  return {
    async make() {
      const directory = temporaryDirectory();
      chmodSync(directory.path, 0o755);
      const path = join(directory.path, 'control.sock');
      const operator = fakeOperator();
      const server = new ControlServer({
        operator,
        askPeer: askPeer ?? native.peerCredentials,
        groupId: controlGroup,
        log: rememberingLog(),
      });
      await server.listen(path);
      if (mode !== undefined) chmodSync(path, mode);
      return {
        path,
        reached: () => operator.calls.map(({ verb }) => verb),
        async close() {
          await server.close();
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

/** What a process of this user and group gets for a request. */
export async function requestAs(path: string, uid: number, gid: number, verb: string, args: object): Promise<Reply> {
  const parameters = [program, path, String(uid), String(gid), verb, JSON.stringify(args)];
  const { stdout } = await promisify(execFile)(process.execPath, parameters);
  return JSON.parse(stdout) as Reply;
}
