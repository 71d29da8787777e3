/**
 * The control server at its edges: the last place of each share, peers that are gone when they are
 * looked at, a path that others change, and system calls that fail.
 */
import {
  chmodSync,
  chownSync,
  closeSync,
  existsSync,
  lstatSync,
  lutimesSync,
  mkdirSync,
  openSync,
  readdirSync,
  renameSync,
  rmSync,
  unlinkSync,
  writeFileSync,
} from 'node:fs';
import { createServer, Server, Socket } from 'node:net';
import { constants } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { call } from '../../src/client/call.ts';
import { credentialsOf, descriptorOf, holdReading } from '../../src/control/authorise.ts';
import { encodeFrame } from '../../src/control/protocol.ts';
import { type ControlOptions, ControlServer } from '../../src/control/server.ts';
import { bindSocket } from '../../src/control/socket-path.ts';
import { controlConnectionsGroupMax, controlConnectionsMax, controlRequestsBurst } from '../../src/limits.ts';
import { type Native, native, type PeerCredentials } from '../../src/native.ts';
import { fakeOperator, listenAt, rawPeer, rememberingLog, temporaryDirectory } from '../support/control.ts';
import { FakeServiceManager } from '../support/service-manager.ts';
import { until } from '../support/until.ts';

const groupId = 4242;
const nobody = 65_534;
const root: PeerCredentials = { pid: 1, uid: 0, gid: 0, groups: [] };
const memberOf = (uid: number): PeerCredentials => ({ pid: 77, uid, gid: groupId, groups: [] });

const home = { path: '', remove: (): void => {} };
let path: string;
const servers: ControlServer[] = [];

beforeEach(() => {
  Object.assign(home, temporaryDirectory());
  chmodSync(home.path, 0o755);
  path = join(home.path, 'control.sock');
});
afterEach(async () => {
  vi.restoreAllMocks();
  for (const server of servers.splice(0)) await server.close();
  home.remove();
});

/** A server whose peers are all `peer`, which may change. */
function made(options: Partial<ControlOptions> = {}) {
  const operator = fakeOperator();
  const log = rememberingLog();
  const who: { peer: PeerCredentials | number } = { peer: root };
  const server = new ControlServer({ operator, askPeer: () => who.peer, groupId, log, ...options });
  servers.push(server);
  return { server, operator, log, who };
}

async function listening(options: Partial<ControlOptions> = {}) {
  const all = made(options);
  await listenAt(all.server, path);
  return all;
}

const ask = (verb: string, args: Record<string, unknown> = {}) => call(path, { verb, args });

describe('places', () => {
  test('the group has its share to the last place, whatever root takes, and root has the rest', async () => {
    const { server, who } = await listening();
    const rootMax = controlConnectionsMax - controlConnectionsGroupMax;
    const peers: Socket[] = [];
    const open = async (peer: PeerCredentials): Promise<boolean> => {
      who.peer = peer;
      const { connectionsTotal: before, busyTotal } = server.counters;
      peers.push(rawPeer(path).socket);
      await until(() => server.counters.connectionsTotal + server.counters.busyTotal > before + busyTotal, {
        what: 'a place or none',
      });
      return server.counters.connectionsTotal > before;
    };
    for (let count = 1; count < rootMax; count++) expect(await open(root)).toBe(true);
    for (let count = 0; count < controlConnectionsGroupMax; count++) {
      expect(await open(memberOf(1000 + count)), `member ${count}`).toBe(true);
    }
    expect(await open(memberOf(2000))).toBe(false);
    expect(await open(root)).toBe(true);
    expect(await open(root)).toBe(false);
    expect(server.counters).toMatchObject({ connectionsOpen: controlConnectionsMax, busyTotal: 2 });
    for (const socket of peers) socket.destroy();
  });

  test('peers nobody knows, that were told so and are gone, take nobody the place to be told', async () => {
    const { server, who } = await listening();
    who.peer = -constants.errno.EINVAL;
    for (let count = 0; count <= controlConnectionsMax; count++) {
      expect(await ask('stats')).toMatchObject({ ok: false, error: { code: 'forbidden' } });
    }
    const held = Array.from({ length: controlConnectionsMax }, () => {
      const socket = new Socket({ allowHalfOpen: true });
      return socket.on('error', () => {}).connect({ path });
    });
    await until(() => server.counters.refusedTotal === 2 * controlConnectionsMax + 1, { what: 'all refused' });
    const next = rawPeer(path);
    await until(() => next.closed, { what: 'the end of the next' });
    expect(next.responses).toEqual([]);
    who.peer = root;
    expect(await ask('stats')).toMatchObject({ ok: true });
    for (const socket of held) socket.destroy();
  });

  test('closing ends every connection, also of those that are being turned away', async () => {
    const long = 60_000;
    const { server, who } = await listening({ deadlines: { idleMs: long, answerMs: long, writeMs: long } });
    const served = rawPeer(path);
    await until(() => server.counters.connectionsOpen === 1, { what: 'a peer' });
    who.peer = -1;
    const dismissed = new Socket({ allowHalfOpen: true }).on('error', () => {}).connect({ path });
    dismissed.resume();
    await until(() => server.counters.refusedTotal === 1, { what: 'one turned away' });
    const over = server.close();
    await until(() => served.closed, { what: 'its end' });
    await until(() => dismissed.readableEnded, { what: 'the end of the other' });
    dismissed.destroy();
    await over;
    await server.close();
  });

  test('a server that never listened is closed at once', async () => {
    await made().server.close();
  });
});

describe('peers', () => {
  test('the user that the daemon runs as may do what root may', async () => {
    vi.spyOn(process, 'getuid').mockReturnValue(1234);
    const { server, who } = made({ groupId: undefined });
    vi.restoreAllMocks();
    await listenAt(server, path);
    who.peer = memberOf(1234);
    expect(await ask('set', { setting: 'loglevel', level: 'debug' })).toMatchObject({ ok: true });
    who.peer = root;
    expect(await ask('stats')).toMatchObject({ ok: true });
    who.peer = memberOf(1235);
    expect(await ask('stats')).toMatchObject({ ok: false, error: { code: 'forbidden' } });
  });

  test('one that is gone when it is looked at is nobody, and has nothing to hand over', () => {
    const gone = new Socket();
    expect(descriptorOf(gone)).toBe(-1);
    expect(credentialsOf(gone, () => root)).toBeUndefined();
    holdReading(gone)();
    expect(descriptorOf({ _handle: {} } as unknown as Socket)).toBe(-1);
  });

  test('one on the first descriptor is one like any other', () => {
    const first = { _handle: { fd: 0 } } as unknown as Socket;
    expect(credentialsOf(first, (fd) => ({ ...root, pid: fd }))).toEqual({ ...root, pid: 0 });
  });

  test('one that ends its side while its request is worked on hears the answer', async () => {
    const { operator } = await listening();
    let finish = (): void => {};
    operator.stats = () =>
      new Promise((resolve) => {
        finish = () => resolve({ 'bans.total': 7 });
      });
    const served = vi.spyOn(Socket.prototype, 'pause');
    const peer = rawPeer(path);
    peer.socket.end(encodeFrame({ verb: 'stats', args: {} }));
    const ours = await until(() => (served.mock.contexts as Socket[]).find((socket) => socket.readableEnded), {
      what: 'the end that the server hears',
    });
    expect(ours.destroyed).toBe(false);
    finish();
    await until(() => peer.closed, { what: 'the end' });
    expect(peer.responses).toEqual([{ ok: true, data: { 'bans.total': 7 } }]);
  });

  test('a refusal of what is for root needs no records', async () => {
    const { who } = await listening();
    who.peer = memberOf(1000);
    expect(await ask('ignore')).toMatchObject({ ok: false, error: { code: 'forbidden' } });
  });

  test('nothing is handed over where nobody can receive it', async () => {
    await listening();
    const peer = rawPeer(path);
    peer.socket.write(encodeFrame({ verb: 'reload', args: {} }));
    await until(() => peer.responses.length === 2, { what: 'the refusal' });
    expect(peer.responses[1]).toMatchObject({ error: { message: 'nothing was handed over (-1)' } });
    peer.socket.destroy();
  });

  test('an operator that fails with nothing at all is said too', async () => {
    const { operator, log } = await listening();
    operator.stats = () => Promise.reject(undefined);
    expect(await ask('stats')).toMatchObject({ ok: false, error: { code: 'internal' } });
    expect(log.said).toMatchObject([{ text: 'control request failed', fields: { error: 'undefined' } }]);
  });

  test('requests are limited by the clock of the machine, and allowed again as it goes on', async () => {
    await listening();
    const peer = rawPeer(path);
    const frame = encodeFrame({ verb: 'version', args: {} });
    peer.socket.write(Buffer.concat(Array<Buffer>(3 * controlRequestsBurst).fill(frame)));
    await until(() => peer.responses.length === 3 * controlRequestsBurst, { what: 'every answer' });
    expect(peer.responses.some(({ ok }) => !ok)).toBe(true);
    await until(async () => (await ask('version')).ok, { what: 'an answer that is a success' });
    peer.socket.destroy();
  });
});

describe('the socket', () => {
  test('that cannot be listened on is an error of the start', async () => {
    const { server } = made();
    const { fd, ...rest } = bindSocket(path, undefined);
    closeSync(fd);
    const file = openSync('/dev/null', 'r');
    await expect(server.listen({ ...rest, fd: file }, path)).rejects.toThrow();
    closeSync(rest.lock);
    expect(existsSync(path)).toBe(false);
  });

  test('that fails later is said in the log, and the daemon goes on', async () => {
    const listen = vi.spyOn(Server.prototype, 'listen');
    const { log } = await listening();
    const [server] = listen.mock.contexts as Server[];
    for (let count = 1; count <= 2; count++) {
      server!.emit('error', new Error('accept EMFILE'));
      expect(log.said).toHaveLength(count);
    }
    expect(log.said[0]).toEqual({
      level: 'error',
      text: 'control socket failed',
      fields: { error: 'Error: accept EMFILE' },
    });
    expect(await ask('stats')).toMatchObject({ ok: true });
  });

  const madeAt = 1_700_000_000;

  /** A server whose socket was made at `madeAt`. */
  async function listeningSince(): Promise<ControlServer> {
    const { server } = made();
    const bound = bindSocket(path, undefined);
    lutimesSync(bound.at, madeAt, madeAt);
    await server.listen(bound, path);
    return server;
  }

  test('is removed at the end, if it is still there', async () => {
    await (await listeningSince()).close();
    expect(readdirSync(home.path)).toEqual(['control.sock.lock']);
    const server = await listeningSince();
    unlinkSync(path);
    await server.close();
    // The lock was given back.
    await listening();
  });

  test('another one stays, also of the same age, or where the file system gave it the same number', async () => {
    const server = await listeningSince();
    const { ino } = lstatSync(path);
    const at = join(home.path, 'other');
    const other = createServer().listen(at);
    await until(() => other.listening, { what: 'the other' });
    lutimesSync(at, madeAt, madeAt);
    renameSync(at, path);
    expect(lstatSync(path).ino).not.toBe(ino);
    await server.close();
    expect(existsSync(path)).toBe(true);
    await new Promise((resolve) => other.close(resolve));
    rmSync(path, { force: true });
    const again = await listeningSince();
    lutimesSync(path, madeAt + 1, madeAt + 1);
    await again.close();
    expect(existsSync(path)).toBe(true);
  });
});

describe('a path that the system refuses', () => {
  const refusalOf = (group?: number): string => {
    try {
      const { fd, lock } = bindSocket(path, group);
      for (const each of [fd, lock]) closeSync(each);
    } catch (error) {
      const { code, message } = error as Error & { code: string };
      return `${code}: ${message}`;
    }
    return 'bound';
  };

  /** As a user who is not root. */
  function unprivileged<Result>(task: () => Result): Result {
    process.seteuid!(nobody);
    try {
      return task();
    } finally {
      process.seteuid!(0);
    }
  }

  /** The lock that another start of this user left. */
  function leaveLock(): void {
    unprivileged(() => writeFileSync(`${path}.lock`, '', { mode: 0o600 }));
  }

  test('because nothing in its directory can be seen', () => {
    chmodSync(home.path, 0o700);
    expect(unprivileged(refusalOf)).toBe(`no-permission: ${path}: cannot be examined (EACCES)`);
  });

  test('because nothing can be made in its directory', () => {
    expect(unprivileged(refusalOf)).toMatch(
      /^no-permission: control\.socket: EACCES: .*: run fail2zig as root, or choose a place of its own user$/,
    );
    chmodSync(home.path, 0o1777);
    leaveLock();
    chmodSync(home.path, 0o755);
    expect(unprivileged(refusalOf)).toBe(
      `no-permission: ${path}.new: cannot be created (errno ${constants.errno.EACCES})`,
    );
  });

  test('because its directory belongs to somebody who is neither root nor the user of the daemon', () => {
    vi.spyOn(process, 'getuid').mockReturnValue(1001);
    chownSync(home.path, 1001, 0);
    expect(refusalOf()).toBe('bound');
    chownSync(home.path, 1002, 0);
    expect(refusalOf()).toMatch(/^directory-open: .* belongs to user 1002: choose one that root owns$/);
    chownSync(home.path, 0, 0);
    expect(refusalOf()).toBe('bound');
  });

  test('because its lock or its working name is a directory', () => {
    mkdirSync(`${path}.new`);
    expect(refusalOf()).toMatch(/^no-permission: .*: cannot be created \((EISDIR|EPERM)\)$/);
    rmSync(`${path}.lock`);
    mkdirSync(`${path}.lock`);
    expect(refusalOf()).toMatch(/^no-permission: control\.socket: EISDIR: [^:]*\.lock'$/);
  });

  test('because the group is not ours to give', () => {
    chmodSync(home.path, 0o1777);
    expect(unprivileged(() => refusalOf(groupId))).toBe(
      `owner: ${path}.new: cannot be given to group ${groupId} (EPERM): the daemon must be in that group or hold CAP_CHOWN`,
    );
    // The lock is given back with every refusal.
    expect(unprivileged(refusalOf)).toBe('bound');
  });

  test('because nobody may ask who listens there', async () => {
    const other = createServer().listen(path);
    await until(() => other.listening, { what: 'the other' });
    chmodSync(path, 0o600);
    chmodSync(home.path, 0o1777);
    expect(unprivileged(refusalOf)).toBe(`no-permission: ${path}: cannot be probed (errno ${constants.errno.EACCES})`);
    await new Promise((resolve) => other.close(resolve));
  });

  test('because who listens there takes datagrams', async () => {
    const other = await FakeServiceManager.start(path);
    expect(refusalOf()).toBe(`in-use: ${path}: another program listens there`);
    await other.stop();
    expect(refusalOf()).toBe('bound');
  });

  test('but not because a socket is gone when it is asked, and the mask for files stays what it was', () => {
    const mask = process.umask();
    native.unixProbe = () => -constants.errno.ENOENT;
    try {
      expect(refusalOf()).toBe('bound');
    } finally {
      delete (native as Partial<Native>).unixProbe;
    }
    expect(process.umask()).toBe(mask);
  });

  test('because who listens there is busy', async () => {
    const other = createServer().listen({ path, backlog: 1 });
    await until(() => other.listening, { what: 'the other' });
    const probes = Array.from({ length: 8 }, () => native.unixProbe(path));
    expect(probes.at(-1)).toBe(-constants.errno.EAGAIN);
    expect(refusalOf()).toBe(`in-use: ${path}: another program listens there`);
    await new Promise((resolve) => other.close(resolve));
  });
});
