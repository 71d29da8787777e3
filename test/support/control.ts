/**
 * Shared by the tests of the control socket: an operator that remembers its calls, a silent log, a
 * directory.
 */
import { closeSync, mkdtempSync, rmSync } from 'node:fs';
import { createConnection, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseResponse } from '../../src/client/response.ts';
import {
  type BanRow,
  type Operator,
  OperatorError,
  type Peer,
  type Records,
  type Status,
} from '../../src/control/answers.ts';
import { FrameDecoder, type Response } from '../../src/control/protocol.ts';
import type { ControlServer } from '../../src/control/server.ts';
import { bindSocket } from '../../src/control/socket-path.ts';
import type { Fields, Logger } from '../../src/log.ts';

/** Makes a control socket as the launch stage does, and has the server listen on it. */
export async function listenAt(server: ControlServer, path: string, groupId?: number): Promise<void> {
  await server.listen(bindSocket(path, groupId), path);
}

/** A new empty directory that only its owner may write, and its removal. */
export function temporaryDirectory(): { path: string; remove(): void } {
  const path = mkdtempSync(join(tmpdir(), 'fail2zig-test-'));
  return { path, remove: () => rmSync(path, { recursive: true, force: true }) };
}

export interface Said {
  level: string;
  text: string;
  fields: Fields;
}

/** A logger that keeps its messages. */
export function rememberingLog(): Logger & { said: Said[] } {
  const said: Said[] = [];
  const say =
    (level: string) =>
    (text: string, fields: Fields | (() => Fields) = {}) => {
      said.push({ level, text, fields: typeof fields === 'function' ? fields() : fields });
    };
  return {
    said,
    error: say('error'),
    warn: say('warn'),
    info: say('info'),
    debug: say('debug'),
    enabled: () => true,
    flush: () => {},
    record: say('record'),
    setLevel: () => {},
    linesSuppressed: 0,
    linesLost: 0,
  };
}

export interface FakeOperator extends Operator {
  whole: Status;
  calls: { verb: string; args: unknown; by?: Peer }[];
  bans: BanRow[];
  records: Records;
}

/**
 * An operator over an array of bans; `sshd` is its only jail, and the parts of its lists hold
 * `partRows` rows.
 */
export function fakeOperator(partRows = 2): FakeOperator {
  const calls: FakeOperator['calls'] = [];
  const fake: FakeOperator = {
    calls,
    bans: [],
    records: { path: '/var/lib/fail2zig/none', number: 0 },
    status: async function* (args) {
      calls.push({ verb: 'status', args });
      yield fake.whole;
    },
    get whole() {
      return {
        version: '9.9.9',
        pid: 4711,
        uptimeSeconds: 3_725,
        backend: 'nftables',
        memory: {
          residentBytes: 52_428_800,
          ceilingBytes: 67_108_864,
          kernelBytes: 105,
          slots: 700_000,
          slotsUsed: 12,
        },
        jails: [
          {
            jail: 'sshd',
            filter: 'sshd',
            bansActive: fake.bans.length,
            bansPending: 0,
            bansTotal: 7,
            packetsDropped: 41,
            failuresTotal: 42,
            sources: ['/var/log/auth\u001b[2Jevil.log'],
          },
        ],
        problems: ['the kernel refused 1 ban\u0007'],
      };
    },
    stats: () => {
      calls.push({ verb: 'stats', args: {} });
      return { 'evictions.total': 15_603, 'evictions.per_minute': 247 };
    },
    list: async function* (args) {
      calls.push({ verb: 'list', args });
      const rows = fake.bans.filter((ban) => args.jail === undefined || ban.jail === args.jail);
      for (let at = 0; at < rows.length; at += partRows) yield { bans: rows.slice(at, at + partRows) };
    },
    jails: async function* () {
      calls.push({ verb: 'jails', args: {} });
      yield { jails: [{ jail: 'sshd', filter: 'sshd', bansActive: fake.bans.length }] };
    },
    ignore: async function* (args, by) {
      calls.push({ verb: 'ignore', args, by });
      const rows = (args.addresses ?? []).map((address) => ({ address, remainingSeconds: args.seconds ?? 3_600 }));
      yield { lifted: rows.map(({ address }) => ({ address, jail: 'sshd' })) };
      yield { ignored: rows };
    },
    unignore: (args, by) => {
      calls.push({ verb: 'unignore', args, by });
      return { ignored: [] };
    },
    why: (args) => {
      calls.push({ verb: 'why', args });
      return { address: args.address, config: '/etc/fail2zig.toml', views: [], records: fake.records };
    },
    history: (args) => {
      calls.push({ verb: 'history', args });
      return fake.records;
    },
    watch: (args) => {
      calls.push({ verb: 'watch', args });
      return fake.records;
    },
    set: (args, by) => {
      calls.push({ verb: 'set', args, by });
      return { level: args.level };
    },
    reload: async function* (args, by) {
      calls.push({ verb: 'reload', args, by });
      yield { ready: true as const };
      const file = await by.hands?.();
      if (file !== undefined && file < 0) throw new OperatorError('not-handed', `nothing was handed over (${file})`);
      if (file !== undefined) closeSync(file);
      yield { added: ['sshd'], changed: [], removed: [] };
    },
    version: () => {
      calls.push({ verb: 'version', args: {} });
      return { version: '9.9.9' };
    },
    ban: async (args, by) => {
      calls.push({ verb: 'ban', args, by });
      if (args.jail !== 'sshd') throw new OperatorError('no-such-jail', `there is no jail "${args.jail}\u001b[31m"`);
      const seconds = args.seconds ?? 600;
      for (const address of args.addresses) fake.bans.push({ jail: args.jail, address, remainingSeconds: seconds });
      return { jail: args.jail, addresses: args.addresses, seconds, refused: [] };
    },
    unban: async function* (args, by) {
      calls.push({ verb: 'unban', args, by });
      for (const address of args.addresses ?? []) {
        const before = fake.bans.length;
        fake.bans = fake.bans.filter((ban) => ban.address !== address);
        yield { addresses: [{ address, jails: fake.bans.length < before ? ['sshd'] : [] }] };
      }
    },
  };
  return fake;
}

/** A raw peer: sends what the test chooses, and keeps the frames that it gets. */
export interface RawPeer {
  socket: Socket;
  responses: Response[];
  /** True once the server has ended or cut the connection. */
  closed: boolean;
}

export function rawPeer(path: string): RawPeer {
  const socket = createConnection({ path });
  const peer: RawPeer = { socket, responses: [], closed: false };
  const decoder = new FrameDecoder();
  socket.on('data', (chunk) => {
    decoder.push(chunk as Buffer);
    for (let body = decoder.next(); body; body = decoder.next()) peer.responses.push(parseResponse(body));
  });
  // A reset is one of the ways to be cut off.
  socket.on('error', () => {});
  socket.on('close', () => {
    peer.closed = true;
  });
  return peer;
}
