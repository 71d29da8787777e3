/**
 * What the control server says: to the peers that it turns away, in the log, in the records; and
 * what it says of a path on which it does not listen.
 */
import {
  chmodSync,
  chownSync,
  closeSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { createConnection, createServer } from 'node:net';
import { dirname, join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { call } from '../../src/client/call.ts';
import { encodeFrame } from '../../src/control/protocol.ts';
import { type ControlOptions, ControlServer } from '../../src/control/server.ts';
import { bindSocket } from '../../src/control/socket-path.ts';
import { commandAddressesMax, controlConnectionsMax, frameBytesMax, socketPathBytesMax } from '../../src/limits.ts';
import { native, type PeerCredentials } from '../../src/native.ts';
import type { BoundSocket } from '../../src/types.ts';
import { fakeOperator, listenAt, rawPeer, rememberingLog, temporaryDirectory } from '../support/control.ts';
import { until } from '../support/until.ts';

const groupId = 4242;
const member: PeerCredentials = { pid: 77, uid: 1000, gid: groupId, groups: [] };
const root: PeerCredentials = { pid: 1, uid: 0, gid: 0, groups: [] };

const home = { path: '', remove: (): void => {} };
let path: string;
const servers: ControlServer[] = [];

beforeEach(() => {
  Object.assign(home, temporaryDirectory());
  path = join(home.path, 'control.sock');
});
afterEach(async () => {
  for (const server of servers.splice(0)) await server.close();
  home.remove();
});

/** A server whose peers are all `peer` (which may change), and all that it says. */
async function listening(options: Partial<ControlOptions> = {}) {
  const operator = fakeOperator();
  const log = rememberingLog();
  const recorded: unknown[][] = [];
  const recorder = {
    command: (...what: unknown[]) => void recorded.push(['command', ...what]),
    refused: (...what: unknown[]) => void recorded.push(['refused', ...what]),
  };
  const who: { peer: PeerCredentials | number } = { peer: member };
  const askPeer = () => who.peer;
  const server = new ControlServer({ operator, askPeer, groupId, log, recorder, ...options });
  servers.push(server);
  await listenAt(server, path);
  return { server, operator, log, recorded, who };
}

const ask = (verb: string, args: Record<string, unknown> = {}) => call(path, { verb, args });

describe('who is turned away', () => {
  const noRight = 'only root and the members of the group of this socket may use it';

  test('a stranger hears it, and log and records name him', async () => {
    const { log, recorded, who } = await listening();
    who.peer = { pid: 9, uid: 1001, gid: 1002, groups: [1003] };
    expect(await ask('stats')).toEqual({ ok: false, error: { code: 'forbidden', message: noRight } });
    expect(log.said).toEqual([
      { level: 'warn', text: 'control connection refused', fields: { uid: 1001, gid: 1002, pid: 9 } },
    ]);
    expect(recorded).toEqual([['refused', 'no right to the control socket', { by: { uid: 1001, pid: 9 } }]]);
  });

  test('one that the kernel does not know has no name', async () => {
    const { log, recorded, who, server } = await listening();
    who.peer = -22;
    expect(await ask('stats')).toEqual({ ok: false, error: { code: 'forbidden', message: noRight } });
    expect(log.said[0]!.fields).toEqual({ uid: undefined, gid: undefined, pid: undefined });
    expect(recorded).toEqual([['refused', 'no right to the control socket', { by: undefined }]]);
    expect(server.counters).toMatchObject({ refusedTotal: 1, requestsTotal: 0, connectionsTotal: 0 });
  });

  test('a member that asks for what is for root', async () => {
    const { operator, recorded, who } = await listening();
    const args = { setting: 'loglevel', level: 'debug' };
    const message = 'set is for root only';
    expect(await ask('set', args)).toEqual({ ok: false, error: { code: 'forbidden', message } });
    expect(recorded).toEqual([['refused', 'for root only', { command: 'set', by: { uid: 1000, pid: 77 } }]]);
    expect(operator.calls).toEqual([]);
    who.peer = root;
    expect(await ask('set', args)).toMatchObject({ ok: true });
    expect(operator.calls).toMatchObject([{ verb: 'set', by: { uid: 0, gid: 0, pid: 1 } }]);
    expect(recorded.at(-1)).toEqual(['command', 'set setting=loglevel level=debug', { uid: 0, pid: 1 }]);
  });

  test('where many are told why, the next is not told; root always is', async () => {
    const { server, log, who } = await listening();
    who.peer = root;
    const peers = Array.from({ length: controlConnectionsMax }, () => rawPeer(path).socket);
    await until(() => server.counters.connectionsOpen === controlConnectionsMax, { what: 'a full house' });
    who.peer = member;
    // They do not end their side.
    const held = peers.map(() => createConnection({ path, allowHalfOpen: true }).on('error', () => {}));
    await until(() => server.counters.busyTotal === held.length, { what: 'as many turned away' });
    const next = rawPeer(path);
    await until(() => next.closed, { what: 'the end of the next' });
    expect(next.responses).toEqual([]);
    who.peer = root;
    const message = 'too many control connections are open: try again later';
    expect(await ask('stats')).toEqual({ ok: false, error: { code: 'busy', message } });
    expect(log.said[0]).toEqual({
      level: 'warn',
      text: 'control connection rejected: too many are open',
      fields: { uid: 1000, pid: 77 },
    });
    for (const socket of [...peers, ...held]) socket.destroy();
  });
});

describe('what is recorded of a command', () => {
  test('a long list is shortened, one that is just short enough is not', async () => {
    const { recorded } = await listening();
    const addresses = Array.from({ length: commandAddressesMax + 1 }, (_, n) => `192.0.2.${n}`);
    await ask('ban', { jail: 'sshd', addresses });
    await ask('ban', { jail: 'sshd', addresses: addresses.slice(1) });
    expect(recorded.map(([, command]) => command)).toEqual([
      `ban jail=sshd addresses=${addresses.slice(0, -1).join(' ')} and 1 more`,
      `ban jail=sshd addresses=${addresses.slice(1).join(' ')}`,
    ]);
  });

  test('nothing of what changes nothing, nor of a command that names nothing', async () => {
    const { recorded, who } = await listening();
    who.peer = root;
    await ask('list', { jail: 'sshd' });
    await ask('ignore');
    expect(recorded).toEqual([]);
  });

  test('nothing of one whose arguments are refused', async () => {
    const { recorded } = await listening();
    expect(await ask('ban', { jail: 'sshd', addresses: ['x'] })).toMatchObject({ ok: false });
    expect(recorded).toEqual([]);
  });
});

describe('what is said of bytes that are no request', () => {
  const violation = {
    level: 'warn',
    text: 'control peer violates the protocol',
    fields: { uid: member.uid, pid: member.pid },
  };

  test('a frame that its peer does not finish is one', async () => {
    const { server, log } = await listening();
    const peer = rawPeer(path);
    peer.socket.end(encodeFrame({ verb: 'stats', args: {} }).subarray(0, 9));
    await until(() => peer.closed, { what: 'the end' });
    expect(server.counters).toMatchObject({ badFramesTotal: 1, requestsTotal: 0 });
    expect(log.said).toEqual([violation]);
    expect(peer.responses).toEqual([]);
  });

  test('a peer that says nothing, or only whole frames, is none', async () => {
    const { server, log } = await listening();
    for (const words of [Buffer.alloc(0), encodeFrame({ verb: 'stats', args: {} })]) {
      const peer = rawPeer(path);
      peer.socket.end(words);
      await until(() => peer.closed, { what: 'the end' });
    }
    expect(server.counters).toMatchObject({ badFramesTotal: 0, requestsTotal: 1 });
    expect(log.said).toEqual([]);
  });

  test.each<[what: string, length: number, body: string, code: string, message: string]>([
    ['a long frame', frameBytesMax + 1, '', 'bad-frame', `a frame of ${frameBytesMax + 1} bytes; the limit is`],
    ['an empty one', 0, '', 'bad-frame', 'a frame without a body'],
    ['no JSON', 1, '{', 'bad-request', 'frame-not-json: a body that is not UTF-8 JSON'],
    ['no object', 2, '[]', 'bad-request', 'frame-not-json: a body that is not a JSON object'],
    ['more than a request', 7, '{"x":1}', 'bad-request', 'frame-not-json: a request of other than verb and args'],
  ])('%s', async (_, length, body, code, message) => {
    const { server, log } = await listening();
    const peer = rawPeer(path);
    const head = Buffer.alloc(4);
    head.writeUInt32LE(length);
    peer.socket.write(Buffer.concat([head, Buffer.from(body)]));
    await until(() => peer.responses.length === 1, { what: 'an answer' });
    expect(peer.responses[0]).toMatchObject({ ok: false, error: { code, message: expect.stringContaining(message) } });
    expect(server.counters.badFramesTotal).toBe(1);
    expect(log.said).toEqual([violation]);
    peer.socket.destroy();
  });
});

describe('answers that are no success', () => {
  test('an answer that is too long, late or failed says what to do', async () => {
    const operator = fakeOperator();
    const { log } = await listening({ operator, deadlines: { idleMs: 10_000, answerMs: 50, writeMs: 10_000 } });
    operator.stats = () => ({ ['x'.repeat(frameBytesMax)]: 1 });
    expect(await ask('stats')).toEqual({
      ok: false,
      error: { code: 'too-long', message: 'the answer does not fit a frame: ask for less, for example one jail' },
    });
    operator.stats = () => new Promise(() => {});
    expect(await ask('stats')).toEqual({
      ok: false,
      error: { code: 'timeout', message: 'not done within 50 ms; it may still happen' },
    });
    operator.stats = () => Promise.reject('no error at all');
    expect(await ask('stats')).toEqual({
      ok: false,
      error: { code: 'internal', message: "the daemon failed to answer; the reason is in the daemon's log" },
    });
    expect(log.said).toEqual([
      { level: 'error', text: 'control request failed', fields: { error: 'no error at all' } },
    ]);
  });

  test('who asks too often is told so', async () => {
    await listening({ now: () => 0 });
    const message = 'too many requests from this user: wait a second';
    const peer = rawPeer(path);
    await until(
      () => {
        peer.socket.write(encodeFrame({ verb: 'version', args: {} }));
        return peer.responses.some((response) => !response.ok);
      },
      { what: 'a refusal' },
    );
    const refusal = peer.responses.find(({ ok }) => !ok);
    expect(refusal).toEqual({ ok: false, error: { code: 'rate-limited', message } });
    peer.socket.destroy();
  });

  test('a peer that has been answered and says nothing more is let go', async () => {
    const { server } = await listening({ deadlines: { idleMs: 100, answerMs: 10_000, writeMs: 10_000 } });
    const peer = rawPeer(path);
    peer.socket.write(encodeFrame({ verb: 'version', args: {} }));
    await until(() => peer.responses.length === 1, { what: 'the answer' });
    await until(() => peer.closed, { what: 'the end' });
    await until(() => server.counters.connectionsOpen === 0, { what: 'the connection forgotten' });
    expect(server.counters.connectionsTotal).toBe(1);
  });
});

describe('a path that cannot be used', () => {
  const letGo = ({ fd, lock }: BoundSocket): void => {
    for (const each of [fd, lock]) closeSync(each);
  };
  const refusalOf = (at: string): string => {
    try {
      letGo(bindSocket(at, undefined));
    } catch (error) {
      const { name, code, message } = error as Error & { code: string };
      return `${name} ${code}: ${message}`;
    }
    return 'bound';
  };

  test('a directory that is missing, a file, open, or of somebody else', () => {
    const directory = join(home.path, 'd');
    const at = join(directory, 's');
    expect(refusalOf(join(directory, 'deeper', 's'))).toMatch(/^SocketPathError no-directory: .*: create it$/);
    writeFileSync(directory, '');
    expect(refusalOf(at)).toBe(`SocketPathError no-directory: ${directory} is not a directory: create it`);
    const open = join(home.path, 'open');
    mkdirSync(open);
    for (const mode of [0o775, 0o757]) {
      chmodSync(open, mode);
      expect(refusalOf(join(open, 's'))).toBe(
        `SocketPathError directory-open: ${open} is writable by others: chmod go-w ${open}`,
      );
    }
    // Somebody who could write further up could put another directory in the way.
    mkdirSync(join(open, 'below'));
    expect(refusalOf(join(open, 'below', 's'))).toContain(`${open} is writable by others`);
    chmodSync(open, 0o755);
    chownSync(open, 1001, 0);
    expect(refusalOf(join(open, 's'))).toBe(
      `SocketPathError directory-open: ${open} belongs to user 1001: choose one that root owns`,
    );
    expect(readdirSync(open)).toEqual(['below']);
  });

  test('a link to a directory of ours is a way to it', () => {
    const real = join(home.path, 'real');
    mkdirSync(real);
    symlinkSync(real, join(home.path, 'link'));
    expect(refusalOf(join(home.path, 'link', 's'))).toBe('bound');
    expect(lstatSync(join(real, 's.new')).isSocket()).toBe(true);
  });

  test('one at which another program listens, or another daemon', async () => {
    const other = createServer().listen(path);
    await until(() => other.listening, { what: 'the other program' });
    expect(refusalOf(path)).toBe(`SocketPathError in-use: ${path}: another program listens there`);
    await new Promise((resolve) => other.close(resolve));
    await listening();
    expect(refusalOf(path)).toMatch(
      /^SocketPathError in-use: another fail2zig .* holds the socket \/.*control\.sock: .*socket of its own \(control\.socket\)/,
    );
  });

  test('something that is no socket is left alone', () => {
    writeFileSync(path, 'precious');
    expect(refusalOf(path)).toBe(
      `SocketPathError not-a-socket: ${path} is not a socket: it is left alone, move control.sock away`,
    );
    expect(readdirSync(home.path)).toEqual(['control.sock']);
  });

  test('the longest path is bound, one byte more is not', () => {
    const room = socketPathBytesMax - Buffer.byteLength(join(home.path, '.new'));
    const longest = join(home.path, 'x'.repeat(room));
    expect(refusalOf(longest)).toBe('bound');
    expect(dirname(longest)).toBe(home.path);
    expect(refusalOf(`${longest}x`)).toBe(
      `SocketPathError path-too-long: ${longest}x: ${socketPathBytesMax + 1} bytes with its working name; ` +
        `a socket path has at most ${socketPathBytesMax}`,
    );
  });

  test('what an earlier start left of its working name is replaced; the group is set, or stays', () => {
    writeFileSync(`${path}.new`, 'left by a crash');
    const bound = bindSocket(path, groupId);
    const { at } = bound;
    letGo(bound);
    expect(at).toBe(`${path}.new`);
    const { gid, mode } = lstatSync(at);
    expect([gid, mode & 0o7777]).toEqual([groupId, 0o660]);
    letGo(bindSocket(`${path}.other`, undefined));
    expect(lstatSync(`${path}.other.new`).gid).toBe(process.getgid!());
  });
});

test('native peers are asked by the descriptor of their connection', async () => {
  const { server } = await listening({ askPeer: native.peerCredentials });
  expect(await ask('version')).toMatchObject({ ok: true });
  expect(server.counters).toMatchObject({ connectionsTotal: 1, refusedTotal: 0, requestsTotal: 1 });
});
