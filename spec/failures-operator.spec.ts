/**
 * Mistakes by which operators could lock themselves out.
 */
import assert from 'node:assert/strict';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { run } from '../src/client/command.ts';
import { ownSession } from '../src/config/own-session.ts';
import { ControlServer } from '../src/control/server.ts';
import type { Address } from '../src/types.ts';
import { fakeOperator, listenAt, rememberingLog, temporaryDirectory } from '../test/support/control.ts';
import { claim, given, sabotaged, twin } from './claim.ts';

/** The address of the session that a process with this environment, below `proc`, belongs to. */
type Session = (environment: Record<string, string>, pid: number, proc: string) => Address | undefined;

/** [logged in from, banned, whether that cuts him off] */
const bans: readonly [from: string, banned: string, isOwn: boolean][] = [
  ['203.0.113.7', '203.0.113.7', true],
  ['203.0.113.7', '203.0.113.0/24', true],
  ['203.0.113.7', '203.0.113.8', true],
  ['203.0.113.7', '203.0.112.8', false],
  ['2001:db8:1:2::7', '2001:db8:1:2::8', true],
  ['2001:db8:1:2::7', '2001:db8:ffff::7', false],
];

claim(
  'X-own-session',
  given<Session>(ownSession),
  async (session) => {
    const directory = temporaryDirectory();
    const operator = fakeOperator();
    const askPeer = () => ({ pid: 1, uid: 0, gid: 0, groups: [] });
    const server = new ControlServer({ operator, askPeer, groupId: undefined, log: rememberingLog() });
    const socket = join(directory.path, 'socket');
    try {
      await listenAt(server, socket);
      // sudo removes SSH's variables; the shell that started it still has them.
      for (const [pid, parent] of Object.entries({ 40: 30, 30: 1 })) {
        mkdirSync(join(directory.path, pid));
        writeFileSync(join(directory.path, pid, 'stat'), `${pid} (a) S ${parent}`);
      }
      const ban = async (from: string, way: 'own' | 'sudo', words: string[]): Promise<number> => {
        const text = `SSH_CONNECTION=${from} 40022 198.51.100.1 22`;
        writeFileSync(join(directory.path, '30/environ'), `A=b\0${text}\0`);
        const own: Record<string, string> = way === 'own' ? { SSH_CONNECTION: text.split('=')[1]! } : {};
        return run(['--socket', socket, 'ban', 'sshd', ...words], {
          out: () => {},
          error: () => {},
          session: () => session(own, 40, directory.path),
          version: '',
        });
      };
      for (const [from, banned, isOwn] of bans) {
        for (const way of ['own', 'sudo'] as const) {
          const before = operator.calls.length;
          const status = await ban(from, way, ['198.51.100.9', banned]);
          const made = operator.calls.length - before;
          const what = `logged in from ${from} (${way}), ban of ${banned}`;
          assert.deepEqual({ status, made }, isOwn ? { status: 1, made: 0 } : { status: 0, made: 1 }, what);
          assert.equal(await ban(from, way, [banned, '--force']), 0, `${what} with --force`);
        }
      }
      return `${bans.length} bans by hand, each in a session of its own and behind sudo`;
    } finally {
      await server.close();
      directory.remove();
    }
  },
  [
    twin(
      'a client that knows no session',
      given<Session>(() => undefined),
      /logged in from 203\.0\.113\.7 \(own\)/,
    ),
    sabotaged('nobody looks at the processes that the client came from', /logged in from 203\.0\.113\.7 \(sudo\)/),
    sabotaged('a network that the session belongs to is banned without asking', /logged in from 203\.0\.113\.7/),
  ],
);
