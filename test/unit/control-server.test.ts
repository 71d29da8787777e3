/**
 * The control server on real sockets with real peers: other users are child processes that changed
 * their user id.
 */
import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import {
  chmodSync,
  closeSync,
  existsSync,
  linkSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { createServer, type Socket } from 'node:net';
import { constants } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { call } from '../../src/client/call.ts';
import { descriptorOf } from '../../src/control/authorise.ts';
import { encodeFrame, type Request } from '../../src/control/protocol.ts';
import { type ControlOptions, ControlServer } from '../../src/control/server.ts';
import {
  controlConnectionsMax,
  controlConnectionsUserMax,
  controlRequestsBurst,
  frameBytesMax,
} from '../../src/limits.ts';
import { native } from '../../src/native.ts';
import { fakeOperator, listenAt, rawPeer, rememberingLog, temporaryDirectory } from '../support/control.ts';
import { until } from '../support/until.ts';

const groupId = 4242;
const nobody = 65_534;

let directory: ReturnType<typeof temporaryDirectory>;
let path: string;
let servers: ControlServer[];

/** A recorder that remembers what it is told. */
function rememberingRecorder() {
  const told: unknown[][] = [];
  const remember = (...what: unknown[]): void => void told.push(what);
  return { told, command: remember, refused: remember };
}

beforeEach(() => {
  directory = temporaryDirectory();
  chmodSync(directory.path, 0o755);
  path = join(directory.path, 'control.sock');
  servers = [];
});

afterEach(async () => {
  for (const server of servers) await server.close();
  directory.remove();
});

function makeServer(options: Partial<ControlOptions> = {}) {
  const operator = fakeOperator();
  const log = rememberingLog();
  const server = new ControlServer({ operator, askPeer: native.peerCredentials, groupId, log, ...options });
  servers.push(server);
  return { server, operator, log };
}

async function listening(options: Partial<ControlOptions> = {}) {
  const made = makeServer(options);
  await listenAt(made.server, path, 'groupId' in options ? options.groupId : groupId);
  return made;
}

const program = join(import.meta.dirname, '../support/connect-as.ts');

/** What `list` answers a process of this user and these groups. */
async function listAs(uid: number, gid: number, groups: number[] = []): Promise<Record<string, unknown>> {
  if (process.getuid?.() !== 0) throw new Error('this test becomes other users: run it as root');
  const args = [program, path, String(uid), String(gid), groups.join(',')];
  const { stdout } = await promisify(execFile)(process.execPath, args, { env: { PATH: process.env.PATH } });
  return JSON.parse(stdout);
}

describe('who is let in', () => {
  test('root and members of the group are let in, by primary or supplementary group', async () => {
    const { server } = await listening();
    expect(await listAs(0, 0)).toMatchObject({ ok: true });
    expect(await listAs(nobody, groupId)).toMatchObject({ ok: true });
    expect(await listAs(nobody, nobody, [4, groupId])).toMatchObject({ ok: true });
    // The kernel sorts groups; ours is behind more than a first question has room for.
    const many = Array.from({ length: 200 }, (_, index) => 100_000 + index);
    const last = await listAs(nobody, nobody, [...many, groupId]);
    expect(last).toMatchObject({ ok: true });
    expect(server.counters).toMatchObject({ connectionsTotal: 4, refusedTotal: 0 });
  });

  test('the file mode keeps others out, and the client says what to do', async () => {
    const { server } = await listening();
    const found = lstatSync(path);
    expect([found.mode & 0o7777, found.uid, found.gid]).toEqual([0o660, 0, groupId]);
    expect((await listAs(nobody, nobody)).unreachable).toContain('run this as root');
    expect(server.counters.connectionsTotal).toBe(0);
  });

  test('the credentials keep others out even where the file mode does not, and the refusal is counted and logged', async () => {
    const { server, operator, log } = await listening();
    chmodSync(path, 0o666);
    expect(await listAs(nobody, nobody)).toMatchObject({ ok: false, error: { code: 'forbidden' } });
    expect(operator.calls).toEqual([]);
    expect(server.counters).toMatchObject({ connectionsTotal: 0, refusedTotal: 1, requestsTotal: 0 });
    expect(log.said).toMatchObject([{ level: 'warn', fields: { uid: nobody, gid: nobody } }]);
  });

  test('without a group, only root is let in, whatever groups a peer has', async () => {
    await listening({ groupId: undefined });
    chmodSync(path, 0o666);
    expect(await listAs(nobody, 0, [0])).toMatchObject({ ok: false, error: { code: 'forbidden' } });
    expect(await listAs(0, 0)).toMatchObject({ ok: true });
  });

  test('a peer whose identity the kernel does not confirm has no rights', async () => {
    const { operator } = await listening({ askPeer: () => -22 });
    expect(await call(path, { verb: 'list', args: {} })).toMatchObject({ ok: false, error: { code: 'forbidden' } });
    expect(operator.calls).toEqual([]);
  });
});

describe('the socket path', () => {
  test('a live daemon keeps its socket', async () => {
    await listening();
    const inode = lstatSync(path).ino;
    await expect(listenAt(makeServer().server, path)).rejects.toMatchObject({ code: 'in-use' });
    expect(lstatSync(path).ino).toBe(inode);
    expect(await call(path, { verb: 'stats', args: {} })).toMatchObject({ ok: true });
  });

  /**
   * A socket without a listener, as a killed daemon leaves it: closing removes only the name to
   * which the socket was bound.
   */
  async function leaveStaleSocket(at: string): Promise<void> {
    const listener = createServer().listen(`${at}.bound`);
    await until(() => listener.listening, { what: 'a listener' });
    linkSync(`${at}.bound`, at);
    await new Promise((resolve) => listener.close(resolve));
  }

  test('a socket that a killed daemon left behind is replaced', async () => {
    const script = 'require("net").createServer().listen(process.argv[1], () => process.kill(process.pid, "SIGKILL"))';
    await promisify(execFile)(process.execPath, ['-e', script, path]).catch(() => {});
    expect(lstatSync(path).isSocket()).toBe(true);
    await listening();
    expect(await call(path, { verb: 'stats', args: {} })).toMatchObject({ ok: true });
    expect(readdirSync(directory.path)).toEqual(['control.sock', 'control.sock.lock']);
  });

  test('what is not a socket is left alone', async () => {
    writeFileSync(path, 'precious');
    await expect(listenAt(makeServer().server, path)).rejects.toMatchObject({ code: 'not-a-socket' });
    const link = join(directory.path, 'link.sock');
    symlinkSync(path, link);
    await expect(listenAt(makeServer().server, link)).rejects.toMatchObject({ code: 'not-a-socket' });
    expect(readdirSync(directory.path).sort()).toEqual(['control.sock', 'link.sock']);
  });

  test('of many daemons that start at once over a stale socket, exactly one gets it', async () => {
    for (let round = 0; round < 20; round++) {
      path = join(directory.path, `race-${round}.sock`);
      await leaveStaleSocket(path);
      const rivals = Array.from({ length: 4 }, () => makeServer().server);
      const outcomes = await Promise.allSettled(rivals.map((server) => listenAt(server, path)));
      expect(outcomes.filter((outcome) => outcome.status === 'fulfilled')).toHaveLength(1);
      expect(await call(path, { verb: 'stats', args: {} })).toMatchObject({ ok: true });
    }
  });

  test('a directory that others may write to is refused, unless it is sticky', async () => {
    const open = join(directory.path, 'open');
    mkdirSync(open);
    chmodSync(open, 0o777);
    await expect(listenAt(makeServer().server, join(open, 's'))).rejects.toMatchObject({ code: 'directory-open' });
    chmodSync(open, 0o1777);
    await listenAt(makeServer().server, join(open, 's'));
  });

  test('its directory is made where only that is missing: /run is empty after a boot', async () => {
    const made = join(directory.path, 'made');
    await listenAt(makeServer().server, join(made, 's'));
    expect(statSync(made).mode & 0o777).toBe(0o755);
  });

  test.each([
    ['no directory', 'missing/deeper/control.sock', 'no-directory'],
    ['too long', 'x'.repeat(120), 'path-too-long'],
  ])('%s is said', async (_name, name, code) => {
    await expect(listenAt(makeServer().server, join(directory.path, name))).rejects.toMatchObject({ code });
  });

  test('closing removes the socket, but not one that has taken its place', async () => {
    const { server } = await listening();
    await server.close();
    expect(existsSync(path)).toBe(false);
    const second = await listening();
    servers = [];
    renameSync(path, `${path}.gone`);
    const other = createServer().listen(path);
    await until(() => other.listening, { what: 'the other listener' });
    await second.server.close();
    expect(existsSync(path)).toBe(true);
    await new Promise((resolve) => other.close(resolve));
  });
});

describe('conversation', () => {
  test('requests on one connection are answered in order, also when they come in one piece', async () => {
    await listening();
    const peer = rawPeer(path);
    const ban = { verb: 'ban', args: { jail: 'sshd', addresses: ['192.0.2.9'] } };
    peer.socket.write(Buffer.concat([encodeFrame(ban), encodeFrame({ verb: 'list', args: {} })]));
    await until(() => peer.responses.length === 3, { what: 'two answers, the second in parts' });
    const data = { jail: 'sshd', addresses: ['192.0.2.9'], seconds: 600, refused: [] };
    expect(peer.responses[0]).toEqual({ ok: true, data });
    expect(peer.responses[1]).toMatchObject({ data: { bans: [{ address: '192.0.2.9' }] }, more: true });
    expect(peer.responses[2]).toEqual({ ok: true, data: {} });
    peer.socket.destroy();
  });

  test('a request cut at every byte is answered all the same', async () => {
    const { server } = await listening();
    const frame = encodeFrame({ verb: 'stats', args: {} });
    const peer = rawPeer(path);
    peer.socket.setNoDelay();
    for (let cut = 1; cut < frame.length; cut++) {
      const answered = peer.responses.length;
      peer.socket.write(frame.subarray(0, cut));
      await new Promise((resolve) => setImmediate(resolve));
      peer.socket.write(frame.subarray(cut));
      await until(() => peer.responses.length === answered + 1, { what: `the answer to a request cut at ${cut}` });
    }
    expect(server.counters).toMatchObject({ requestsTotal: frame.length - 1, badFramesTotal: 0 });
    peer.socket.destroy();
  });

  test('a client that ends its side after the request still gets the answer', async () => {
    await listening();
    const peer = rawPeer(path);
    peer.socket.end(encodeFrame({ verb: 'stats', args: {} }));
    await until(() => peer.closed, { what: 'the end of the connection' });
    expect(peer.responses).toMatchObject([{ ok: true }]);
  });

  test.each([
    ['an empty frame', Buffer.alloc(4), 'bad-frame'],
    ['a length above the limit', Buffer.from([0, 0, 0, 0xff]), 'bad-frame'],
    ['HTTP', Buffer.from('GET / HTTP/1.1\r\nHost: x\r\n\r\n'), 'bad-frame'],
  ])('%s is refused once and ends the connection', async (_name, bytes, code) => {
    const { server, operator } = await listening();
    const peer = rawPeer(path);
    peer.socket.write(bytes);
    await until(() => peer.closed, { what: 'the end of the connection' });
    expect(peer.responses).toMatchObject([{ ok: false, error: { code } }]);
    expect(server.counters.badFramesTotal).toBe(1);
    expect(operator.calls).toEqual([]);
    await until(() => server.counters.connectionsOpen === 0, { what: 'the connection forgotten' });
  });

  test.each([
    ['bad JSON', '{', 'bad-request'],
    ['no verb', '{}', 'unknown-verb'],
    ['a bad argument', '{"verb":"ban","args":{"jail":"sshd","addresses":["x"]}}', 'bad-argument'],
    ["the operator's refusal", '{"verb":"ban","args":{"jail":"no","addresses":["192.0.2.1"]}}', 'no-such-jail'],
  ])('%s is refused and the connection goes on', async (_name, text, code) => {
    await listening();
    const peer = rawPeer(path);
    const head = Buffer.alloc(4);
    head.writeUInt32LE(text.length);
    peer.socket.write(Buffer.concat([head, Buffer.from(text), encodeFrame({ verb: 'stats', args: {} })]));
    await until(() => peer.responses.length === 2, { what: 'two answers' });
    expect(peer.responses).toMatchObject([{ ok: false, error: { code } }, { ok: true }]);
    peer.socket.destroy();
  });

  test('an operator that fails tells the log why and the peer only that', async () => {
    const operator = fakeOperator();
    operator.stats = () => {
      throw new Error('secret detail');
    };
    const { log } = await listening({ operator });
    const response = await call(path, { verb: 'stats', args: {} });
    expect(response).toMatchObject({ ok: false, error: { code: 'internal' } });
    expect(JSON.stringify(response)).not.toContain('secret');
    expect(JSON.stringify(log.said)).toContain('secret detail');
  });

  test('an answer that does not fit a frame says so', async () => {
    const operator = fakeOperator();
    operator.stats = () => ({ ['x'.repeat(frameBytesMax)]: 1 });
    await listening({ operator });
    expect(await call(path, { verb: 'stats', args: {} })).toMatchObject({ ok: false, error: { code: 'too-long' } });
  });

  test('what changes something is logged with who did it', async () => {
    const recorder = rememberingRecorder();
    const { operator } = await listening({ recorder });
    await call(path, { verb: 'ban', args: { jail: 'sshd', addresses: ['192.0.2.1', '192.0.2.2'], seconds: 60 } });
    await call(path, { verb: 'list', args: {} });
    const by = { uid: process.getuid?.(), pid: process.pid };
    expect(recorder.told).toEqual([['ban jail=sshd addresses=192.0.2.1 192.0.2.2 seconds=60', by]]);
    expect(operator.calls[0]?.by).toMatchObject({ pid: process.pid });
  });

  test.each([undefined, null])('a request with %j as arguments has no arguments', async (args) => {
    const { log } = await listening({ recorder: rememberingRecorder() });
    const peer = rawPeer(path);
    peer.socket.write(encodeFrame({ verb: 'stats', args } as object as Request));
    await until(() => peer.responses.length > 0, { what: 'an answer' });
    expect(peer.responses[0]).toMatchObject({ ok: true });
    expect(log.said).toEqual([]);
    peer.socket.destroy();
  });
});

describe('peers that take more than their share', () => {
  test('while a member floods the socket with connections, root is served', async () => {
    const { server } = await listening();
    const program = join(import.meta.dirname, '../support/flood-as.ts');
    const flood = spawn(process.execPath, [program, path, String(nobody), String(groupId), '200']);
    try {
      await once(flood.stdout, 'data');
      await until(() => server.counters.busyTotal > 100, { what: 'members turned away' });
      for (let count = 0; count < 5; count++) {
        expect(await call(path, { verb: 'stats', args: {} })).toMatchObject({ ok: true });
      }
    } finally {
      flood.kill('SIGKILL');
    }
  });

  test('a request that comes byte by byte is cut off at the deadline, however often bytes come', async () => {
    const { server } = await listening({ deadlines: { idleMs: 200, answerMs: 10_000, writeMs: 10_000 } });
    const peer = rawPeer(path);
    const frame = encodeFrame({ verb: 'list', args: { cursor: 'x'.repeat(100) } });
    let sent = 0;
    await until(
      () => {
        if (!peer.closed) peer.socket.write(frame.subarray(sent % 50, (sent % 50) + 1));
        sent += 1;
        return peer.closed;
      },
      { what: 'the dribbling peer cut off' },
    );
    await until(() => server.counters.connectionsOpen === 0, { what: 'the connection forgotten' });
  });

  test('a peer that does not read its answers is cut off, and holds one answer meanwhile', async () => {
    const operator = fakeOperator();
    operator.stats = () => ({ ['x'.repeat(60_000)]: 1 });
    const { server } = await listening({ operator, deadlines: { idleMs: 10_000, answerMs: 10_000, writeMs: 200 } });
    const peer = rawPeer(path);
    peer.socket.pause();
    const frame = encodeFrame({ verb: 'stats', args: {} });
    for (let count = 0; count < 100; count++) peer.socket.write(frame);
    await until(() => server.counters.connectionsOpen === 1, { what: 'the peer let in' });
    await until(() => server.counters.connectionsOpen === 0, { what: 'the peer cut off' });
    expect(server.counters.requestsTotal).toBeLessThan(20);
    peer.socket.destroy();
  });

  test('an answer that takes too long is reported as such, and its late result is dropped', async () => {
    const operator = fakeOperator();
    let finish = (): void => {};
    operator.stats = () =>
      new Promise((resolve) => {
        finish = () => resolve({});
      });
    const { server } = await listening({ operator, deadlines: { idleMs: 10_000, answerMs: 100, writeMs: 10_000 } });
    expect(await call(path, { verb: 'stats', args: {} })).toMatchObject({ ok: false, error: { code: 'timeout' } });
    finish();
    await until(() => server.counters.connectionsOpen === 0, { what: 'the connection forgotten' });
  });

  test('too many connections are told to come back, and a place that is given up is taken again', async () => {
    const { server } = await listening();
    const peers = Array.from({ length: controlConnectionsMax }, () => rawPeer(path));
    await until(() => server.counters.connectionsOpen === controlConnectionsMax, { what: 'a full house' });
    expect(await call(path, { verb: 'stats', args: {} })).toMatchObject({ ok: false, error: { code: 'busy' } });
    expect(server.counters.busyTotal).toBe(1);
    peers[0]?.socket.destroy();
    await until(() => server.counters.connectionsOpen < controlConnectionsMax, { what: 'a place' });
    expect(await call(path, { verb: 'stats', args: {} })).toMatchObject({ ok: true });
    for (const peer of peers) peer.socket.destroy();
  });

  test('one user cannot take the places of the others', async () => {
    let uid = 1000;
    const { server } = await listening({ askPeer: () => ({ pid: 1, uid, gid: groupId, groups: [] }) });
    const greedy = Array.from({ length: controlConnectionsUserMax + 2 }, () => rawPeer(path));
    await until(() => server.counters.busyTotal === 2, { what: 'two turned away' });
    uid = 1001;
    expect(await call(path, { verb: 'stats', args: {} })).toMatchObject({ ok: true });
    const others = Array.from({ length: controlConnectionsMax }, () => rawPeer(path));
    await until(() => server.counters.busyTotal >= 2 + controlConnectionsMax - controlConnectionsUserMax, {
      what: 'the group has its share',
    });
    uid = 0;
    expect(await call(path, { verb: 'stats', args: {} })).toMatchObject({ ok: true });
    for (const peer of [...greedy, ...others]) peer.socket.destroy();
  });

  test('a user that asks faster than its budget is told to wait, and another user is not', async () => {
    let uid = 1000;
    const { server } = await listening({
      now: () => 0,
      askPeer: () => ({ pid: 1, uid, gid: groupId, groups: [] }),
    });
    const peer = rawPeer(path);
    const frame = encodeFrame({ verb: 'stats', args: {} });
    for (let count = 0; count <= controlRequestsBurst; count++) peer.socket.write(frame);
    await until(() => peer.responses.length === controlRequestsBurst + 1, { what: 'every answer' });
    expect(peer.responses.at(-1)).toMatchObject({ ok: false, error: { code: 'rate-limited' } });
    expect(server.counters.rateLimitedTotal).toBe(1);
    uid = 1001;
    expect(await call(path, { verb: 'stats', args: {} })).toMatchObject({ ok: true });
    peer.socket.destroy();
  });
});

describe('a descriptor that is handed over', () => {
  /** Flags of each descriptor that was received, as the kernel shows them. */
  const flags: number[] = [];
  const receive: typeof native.receiveDescriptor = (socket) => {
    const file = native.receiveDescriptor(socket);
    if (file >= 0)
      flags.push(
        Number.parseInt(/^flags:\s*([0-7]+)$/m.exec(readFileSync(`/proc/self/fdinfo/${file}`, 'utf8'))![1]!, 8),
      );
    return file;
  };
  const frame = encodeFrame({ verb: 'reload', args: {} });
  const ready = (peer: ReturnType<typeof rawPeer>) =>
    until(() => peer.responses.some((response) => response.ok && 'ready' in (response.data as object)), {
      what: 'ready',
    });

  test('is taken, and the connection goes on', async () => {
    const { operator } = await listening({ receive });
    const peer = rawPeer(path);
    for (let count = 1; count <= 3; count++) {
      peer.responses.length = 0;
      peer.socket.write(frame);
      await ready(peer);
      const file = native.memfd('test');
      expect(native.sendDescriptor(descriptorOf(peer.socket), file)).toBe(0);
      closeSync(file);
      await until(() => peer.responses.length === 3, { what: 'the answer and its end' });
      expect(peer.responses[1]).toMatchObject({ ok: true, data: { added: ['sshd'] } });
      peer.socket.write(encodeFrame({ verb: 'version', args: {} }));
      await until(() => peer.responses.length === 4, { what: 'another answer' });
      expect(operator.calls).toHaveLength(2 * count);
    }
    // No program that is started later has it: O_CLOEXEC, for which Node has no constant.
    expect(flags.map((each) => each & 0o2000000)).toEqual(new Array(3).fill(0o2000000));
    peer.socket.destroy();
  });

  test.each([
    ['bytes without one', (socket: Socket) => socket.write('x'), 'EBADMSG'],
    ['the end of the connection', (socket: Socket) => socket.end(), 'EPIPE'],
  ])('%s are none', async (_, say, errno) => {
    await listening({ receive });
    const peer = rawPeer(path);
    peer.socket.write(frame);
    await ready(peer);
    say(peer.socket);
    await until(() => peer.responses.length === 2, { what: 'the refusal' });
    const code = -constants.errno[errno as 'EPIPE'];
    expect(peer.responses[1]).toMatchObject({ ok: false, error: { message: `nothing was handed over (${code})` } });
    peer.socket.destroy();
  });

  test('of a peer that says nothing more is waited for within the deadline', async () => {
    await listening({ receive, deadlines: { idleMs: 10_000, answerMs: 50, writeMs: 10_000 } });
    const peer = rawPeer(path);
    peer.socket.write(frame);
    await until(() => peer.responses.some((response) => !response.ok && response.error.code === 'timeout'), {
      what: 'the timeout',
    });
    peer.socket.destroy();
  });
});
