/**
 * The parser engine, fourth part: well-formed lines with impossible content.
 */
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { call } from '../src/client/call.ts';
import { compileConfig } from '../src/config/compile.ts';
import { tryLines } from '../src/config/load.ts';
import type { Stats } from '../src/control/answers.ts';
import { ControlServer } from '../src/control/server.ts';
import { Enforcer } from '../src/enforcer/enforcer.ts';
import { Engine } from '../src/engine/host.ts';
import { Recorder } from '../src/history/recorder.ts';
import { native } from '../src/native.ts';
import { DropTally } from '../src/observe/drop-tally.ts';
import { figuresOf } from '../src/observe/figures.ts';
import { DaemonOperator } from '../src/operator.ts';
import { listenAt, rememberingLog, temporaryDirectory } from '../test/support/control.ts';
import { claim, type Supply, sabotaged, twin } from './claim.ts';
import { rememberingBackend } from './support/pipeline.ts';
import { addressText, epoch, feedText } from './support/tracker.ts';
import { noFiles, noMemory, noRoutes } from './support/watched.ts';

/** The core of a daemon that reads one log for three filters, with its control socket. */
interface Reader {
  /** Feeds a line; returns who is banned. */
  read: (line: string) => string[];
  /** The counters as the control socket gives them. */
  stats: () => Promise<Stats>;
  close: () => Promise<void>;
}

const text = `[defaults]
maxretry = 1
ignoreself = false
[[filter]]
name = "shop"
pattern = "shop refused {ip} at {timestamp}{end}"
${['sshd', 'nginx-http-auth', 'shop'].map((name) => `[jails.${name}]\nlogpath = "/var/log/all.log"\n`).join('')}`;
const known = ['sshd', 'nginx-http-auth'].map((name) => ({ name, modes: [] }));

/** `before` is what a twin makes of a line, `shown` of the counters. */
function reader(before = (line: string) => line, shown = (stats: Stats) => stats): Supply<Reader> {
  return {
    async make() {
      const { config } = compileConfig(text, 'test.toml', { filters: known, groupId: () => 0, tryLines });
      const jails = config.jails.map((jail) => ({ ...jail, ignore: [] }));
      const engine = await Engine.create({ jails, filters: config.filters, tableBytes: 65_536, now: epoch });
      engine.openSource(0, engine.addRoute(jails.map(({ filter, mode }, index) => ({ index, filter, mode }))));
      const log = rememberingLog();
      const backend = rememberingBackend();
      const enforcer = new Enforcer({ engine, backend, jails: config.jails, log });
      const drops = new DropTally(backend, log);
      const recorder = new Recorder({ path: undefined, log });
      const rooms = { log, recorder, drops, memory: noMemory, files: noFiles, routes: noRoutes, keeper: undefined };
      const running = { config, engine, enforcer, backend, ...rooms };
      const problems = { problems: () => [], idleJails: () => [] };
      const figures = figuresOf({ ...running, followed: () => [], control: undefined, operator: problems });
      const operator = new DaemonOperator({ ...running, figures: () => figures, pageProblem: () => undefined });
      const directory = temporaryDirectory();
      const path = join(directory.path, 'control.sock');
      const server = new ControlServer({ operator, askPeer: native.peerCredentials, groupId: undefined, log });
      await listenAt(server, path);
      return {
        read(line) {
          const banned: string[] = [];
          feedText(engine, `${before(line)}\n`, epoch);
          engine.takeDecisions(({ address }) => void banned.push(addressText(address)));
          return banned;
        },
        async stats() {
          const answer = await call(path, { verb: 'stats', args: {} });
          assert.ok(answer.ok, 'an answer on the control socket');
          return shown(answer.data as Stats);
        },
        async close() {
          await server.close();
          directory.remove();
        },
      };
    },
    dispose: ({ close }) => close(),
  };
}

interface Form {
  line: (time: string) => string;
  /** The second of `epoch`. */
  real: string;
  /** Times that no calendar or clock has. */
  impossible: string[];
}

const forms: Form[] = [
  {
    line: (time) => `${time} host sshd[7]: Failed password for root from 192.0.2.7 port 40022 ssh2`,
    real: '2025-11-21T03:15:28+00:00',
    impossible: [
      '2025-13-21T03:15:28+00:00',
      '2025-11-32T03:15:28+00:00',
      '2025-02-29T03:15:28Z',
      '2025-11-21 25:61:61',
      'Nov 32 03:15:28',
      'Nov 21 24:00:00',
      'Feb 30 2025 03:15:28',
    ],
  },
  {
    line: (time) =>
      `${time} [error] 8#8: *1 user "a": password mismatch, client: 192.0.2.8, server: x, request: "GET / HTTP/1.1", host: "x"`,
    real: '2025/11/21 03:15:28',
    impossible: ['2025/00/21 03:15:28', '2025/11/00 03:15:28', '2025/11/21 03:60:28', '9999/11/21 03:15:28'],
  },
  {
    line: (time) => `shop refused 192.0.2.9 at ${time}`,
    real: '21/Nov/2025:03:15:28 +0000',
    impossible: ['31/Nov/2025:03:15:28 +0000', '21/Nov/2025:03:15:61 +0000', '251399 03:15:28'],
  },
];
/** Each impossible line with the same line at a possible time. */
const impossibleLines = new Map(
  forms.flatMap(({ line, real, impossible }) => impossible.map((time) => [line(time), line(real)])),
);

/** Bytes of a user name: the most that sshd writes, and the most that fits a line. */
const userLengths = [100, 1_000, 3_900];
const sender = (length: number): string => `192.0.2.${100 + userLengths.indexOf(length)}`;
const forged = ' from 198.51.100.9 port 1 ssh2';

function longUser(length: number): string {
  const user = forged.repeat(length).slice(0, length);
  return `2025-11-21T03:15:28+00:00 host sshd[${length}]: Failed password for invalid user ${user} from ${sender(length)} port 40022 ssh2`;
}

claim(
  'PE-23',
  reader(),
  async ({ read, stats }) => {
    let lines = 0;
    for (const line of impossibleLines.keys()) {
      assert.deepEqual(read(line), [], `banned for ${line}`);
      lines++;
      assert.equal((await stats())['drops.invalid'], lines, `drops.invalid behind ${line}`);
    }
    for (const { line, real } of forms) assert.equal(read(line(real)).length, 1, `bans for ${line(real)}`);
    for (const length of userLengths) {
      assert.deepEqual(read(longUser(length)), [sender(length)], `banned for a user of ${length} bytes`);
    }
    assert.equal((await stats())['drops.invalid'], lines, 'drops.invalid behind sound lines');
    return `${lines} lines at moments that do not exist, three filters: nobody banned, drops.invalid ${lines} on the control socket; users of ${userLengths.join(', ')} bytes: their sender banned`;
  },
  [
    sabotaged('a line at an impossible time counts when it arrives', /banned for 2025-13-21/),
    sabotaged('a line at an impossible time is not counted', /drops\.invalid behind/),
    twin(
      'an engine that drops a line for the length of its user',
      reader((line) => (line.length > 900 ? '' : line)),
      /banned for a user of 1000 bytes/,
    ),
    twin(
      'an engine that reads the beginning of a long user',
      reader((line) => (line.length > 900 ? line.slice(0, line.indexOf(forged) + forged.length) : line)),
      /banned for a user of 1000 bytes/,
    ),
  ],
);
