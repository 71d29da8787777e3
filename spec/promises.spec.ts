/**
 * What README.md and THREAT_MODEL.md promise in addition to the requirements.
 */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { run } from '../src/client/command.ts';
import { presenterOf } from '../src/client/present.ts';
import { encodeFrame, type Response } from '../src/control/protocol.ts';
import { ControlServer } from '../src/control/server.ts';
import { JAIL_FUTURE, JAIL_TOO_OLD } from '../src/engine/counters.ts';
import { Engine } from '../src/engine/host.ts';
import { addressesPerRequestMax, frameBytesMax, lineBytesMax } from '../src/limits.ts';
import { Log } from '../src/log.ts';
import { fakeOperator, listenAt, rawPeer, rememberingLog, temporaryDirectory } from '../test/support/control.ts';
import { until } from '../test/support/until.ts';
import { claim, given, type Supply, sabotaged, twin } from './claim.ts';
import { addressText, engineOf, epoch, failureLine, feedText, sourceAddress } from './support/tracker.ts';

const jail = { filter: 'sshd', mode: '', maxretry: 1, findtime: 600, bantime: 3_600, ipv6Prefix: 64, ignore: [] };

/** Feeds a failure this many seconds from now; returns the result. */
type AtTime = (seconds: number) => { bans: number; future: number; tooOld: number };

/** `live` false is a replay, which uses each line's time; `clock` is what the engine gets. */
function times({ live = true, clock = (_line: number): number => epoch } = {}): Supply<AtTime> {
  return {
    make() {
      const engine = Engine.createNow({ jails: [jail], tableBytes: 65_536, live, now: epoch });
      engine.openSource(0, engine.addRoute([{ index: 0, filter: 'sshd', mode: '' }]));
      let source = 0;
      return (seconds) => {
        const before = [engine.jailCounter(0, JAIL_FUTURE), engine.jailCounter(0, JAIL_TOO_OLD)] as const;
        feedText(engine, failureLine(sourceAddress(source), epoch + seconds, source++), clock(epoch + seconds));
        return {
          bans: engine.takeDecisions(() => {}),
          future: engine.jailCounter(0, JAIL_FUTURE) - before[0],
          tooOld: engine.jailCounter(0, JAIL_TOO_OLD) - before[1],
        };
      };
    },
  };
}

const counted = { bans: 1, future: 0, tooOld: 0 };
const fromFuture = { bans: 0, future: 1, tooOld: 0 };
const tooOld = { bans: 0, future: 0, tooOld: 1 };
const lineTimes: [seconds: number, becomes: typeof counted][] = [
  [-86_400, tooOld],
  [-601, tooOld],
  [-600, counted],
  [0, counted],
  [60, counted],
  [61, fromFuture],
  [3_600, fromFuture],
  [30 * 86_400, fromFuture],
];

/** Lines without a year, half a minute after New Year: of the year that is over, or long ago. */
const yearTurn: [text: string, becomes: typeof counted][] = [
  ['Dec 31 23:55:00', counted],
  ['Jan  1 00:00:29', counted],
  ['Dec 31 23:45:00', tooOld],
  ['Jan  1 00:02:00', fromFuture],
  ['Jan  9 00:00:00', tooOld],
];

function atNewYear(text: string): typeof counted {
  const now = Date.UTC(2026, 0, 1, 0, 0, 30) / 1000;
  const engine = Engine.createNow({ jails: [jail], tableBytes: 65_536, now });
  engine.openSource(0, engine.addRoute([{ index: 0, filter: 'sshd', mode: '' }]));
  feedText(engine, `${text} host sshd[7]: Failed password for root from 192.0.2.1 port 1 ssh2\n`, now);
  const [future, tooOld] = [JAIL_FUTURE, JAIL_TOO_OLD].map((counter) => engine.jailCounter(0, counter));
  return { bans: engine.takeDecisions(() => {}), future: future!, tooOld: tooOld! };
}

claim(
  'X-future',
  times(),
  (at) => {
    for (const [text, becomes] of yearTurn) assert.deepEqual(atNewYear(text), becomes, `${text}, at New Year`);
    for (const [seconds, becomes] of lineTimes) {
      assert.deepEqual(at(seconds), becomes, `a line ${seconds} seconds from now`);
    }
    return `${lineTimes.length} lines from a day ago to a month ahead: counted from findtime ago to a minute ahead, the others counted as such`;
  },
  [
    twin('an engine that believes each line’s own time', times({ live: false }), /a line -86400 seconds from now/),
    twin('an engine whose clock is the time of the line', times({ clock: (line) => line }), /a line -86400 seconds/),
    twin(
      'a daemon whose clock is an hour ahead',
      times({ clock: () => epoch + 3_600 }),
      /a line -600 seconds from now/,
    ),
  ],
);

/** Which of 256 sources find room in a small table that denies new ones, one digit each. */
type Places = () => string;

function places(seed?: [number, number]): Places {
  return () => {
    const evictionPolicy = 'deny_new';
    const engine = Engine.createNow({
      jails: [jail],
      tableBytes: 2_048,
      evictionPolicy,
      now: epoch,
      ...(seed && { seed }),
    });
    engine.openSource(0, engine.addRoute([{ index: 0, filter: 'sshd', mode: '' }]));
    const found = Array.from({ length: 256 }, (_, source) => {
      feedText(engine, failureLine(sourceAddress(source), epoch, source), epoch);
      return engine.takeDecisions(() => {});
    });
    return found.join('');
  };
}

const starts = 6;

claim(
  'X-seed',
  given(places()),
  (start) => {
    const found = Array.from({ length: starts }, start);
    assert.ok(
      found.every((each) => each.includes('0') && each.includes('1')),
      'the table is never full',
    );
    assert.equal(new Set(found).size, starts, 'starts after which the same sources share their places');
    return `${starts} starts, 256 sources into a table that is too small: other sources are denied each time`;
  },
  [
    twin('a table with the same seed at every start', given(places([1, 2])), /starts after which the same sources/),
    twin('a table whose seed counts up', { make: () => places([0, 0]) }, /starts after which the same sources/),
  ],
);

/** Sends bytes to the control socket; its first answer, and whether it ended the connection. */
interface Framed {
  ask: (bytes: Buffer) => Promise<{ response: Response | undefined; closed: boolean }>;
  close: () => Promise<void>;
}

/** The real server; `mend` is what a twin puts in front of it. */
function framed(mend = (bytes: Buffer) => bytes): Supply<Framed> {
  return {
    async make() {
      const directory = temporaryDirectory();
      const path = join(directory.path, 'control.sock');
      const operator = { ...fakeOperator(), stats: () => ({ ['x'.repeat(2 * frameBytesMax)]: 1 }) };
      const askPeer = () => ({ pid: 1, uid: 0, gid: 0, groups: [] });
      const server = new ControlServer({ operator, askPeer, groupId: undefined, log: rememberingLog() });
      await listenAt(server, path, undefined);
      return {
        async ask(bytes) {
          const peer = rawPeer(path);
          peer.socket.write(mend(bytes));
          await until(() => peer.closed || peer.responses.length > 0, { withinMs: 3_000 }).catch(() => {});
          const response = peer.responses[0];
          const ends = response?.ok === false && response.error.code === 'bad-frame';
          if (ends) await until(() => peer.closed, { withinMs: 3_000 }).catch(() => {});
          const { closed } = peer;
          peer.socket.destroy();
          return { response, closed };
        },
        async close() {
          await server.close();
          directory.remove();
        },
      };
    },
    dispose: (piece) => piece.close(),
  };
}

function frameOf(body: string | Buffer, claimed?: number): Buffer {
  const bytes = Buffer.from(body);
  const header = Buffer.alloc(4);
  header.writeUInt32LE(claimed ?? bytes.length);
  return Buffer.concat([header, bytes]);
}

const version = '{"verb":"version","args":{}}';
const manyAddresses = JSON.stringify({
  verb: 'unban',
  args: { addresses: Array<string>(addressesPerRequestMax + 1).fill('192.0.2.1') },
});
const badFrames: [what: string, frame: Buffer, code: string][] = [
  ['a frame without a body', frameOf(''), 'bad-frame'],
  ['a frame one byte too long', frameOf(version.padEnd(frameBytesMax + 1)), 'bad-frame'],
  ['a frame that claims 4 GiB', frameOf(version, 0xffff_ffff), 'bad-frame'],
  ['a body that is no JSON', frameOf('version'), 'bad-request'],
  [
    'a body that is no UTF-8',
    frameOf(Buffer.from('{"verb":"version","args":{"jail":"\xff"}}', 'latin1')),
    'bad-request',
  ],
  ['a body behind a byte order mark', frameOf(`\ufeff${version}`), 'bad-request'],
  ['a list', frameOf('["version"]'), 'bad-request'],
  ['an argument that the verb does not take', frameOf('{"verb":"version","args":{"jail":"sshd"}}'), 'bad-argument'],
  ['more addresses than one request may name', frameOf(manyAddresses), 'bad-argument'],
  ['a request with one key more', frameOf('{"verb":"version","args":{},"as":"root"}'), 'bad-request'],
];

claim(
  'X-frames',
  framed(),
  async ({ ask }) => {
    const whole = await ask(frameOf(version.padEnd(frameBytesMax)));
    assert.equal(whole.response?.ok, true, 'a frame of 64 KiB');
    const none = await ask(frameOf('{"verb":"version"}'));
    assert.equal(none.response?.ok, true, 'a request without arguments');
    for (const [what, frame, code] of badFrames) {
      const { response, closed } = await ask(frame);
      assert.ok(response?.ok === false, `${what} is taken`);
      assert.equal(response.error.code, code, `how ${what} is refused`);
      assert.equal(closed, code === 'bad-frame', `whether ${what} ends the connection`);
    }
    const { response } = await ask(encodeFrame({ verb: 'stats', args: {} }));
    assert.ok(response?.ok === false && response.error.code === 'too-long', 'an answer longer than a frame is sent');
    return `${frameBytesMax} bytes taken; ${badFrames.length} other frames and an answer that is too long refused`;
  },
  [
    twin(
      'a reader that goes by what came, not by what was announced',
      framed((bytes) => frameOf(bytes.subarray(4, 4 + frameBytesMax))),
      /a frame one byte too long is taken/,
    ),
    sabotaged('a frame of another shape than verb and args is taken', /one key more is taken/),
  ],
);

/** The address that a line is charged to; undefined if nobody is charged. */
type ChargedTo = (line: string) => string | undefined;

function charging(before = (line: string) => line): Supply<ChargedTo> {
  return {
    async make() {
      const engine = await engineOf({ maxretry: [1] });
      return (line) => {
        const { outcome, address } = engine.examine(Buffer.from(before(line)), 'sshd', '', epoch, false);
        return outcome === 'failure' && address !== undefined ? addressText(address) : undefined;
      };
    },
  };
}

const [victim, sender] = ['198.51.100.9', '192.0.2.66'];
const forged = ` from ${victim} port 22 ssh2`;
let process = 0;

/** A failed login whose user name is padded so that the whole line has `length` bytes. */
function padded(length: number, pad: string): string {
  const head = `2025-11-21T03:15:28+00:00 host sshd[${1_000 + process++}]: Failed password for invalid user `;
  const tail = `${forged} from ${sender} port 40022 ssh2`;
  const room = length - head.length - tail.length;
  return head + pad.repeat(Math.ceil(room / pad.length)).slice(0, room) + tail;
}

const tailBytes = ` from ${sender} port 40022 ssh2`.length;
const lengths = [300, 1_000, 10_000, 65_536, lineBytesMax - 1, lineBytesMax];
/** The second one is cut exactly after the forged end. */
const cutLengths = [lineBytesMax + 1, lineBytesMax + tailBytes, lineBytesMax + 60, 2 * lineBytesMax];
const pads = ['x', ' ', 'a b ', '\t', '\\', `x${forged} `, '\u0000'];

claim(
  'X-padding',
  charging(),
  (chargedTo) => {
    for (const pad of pads) {
      for (const length of lengths) {
        assert.equal(chargedTo(padded(length, pad)), sender, `${length} bytes, padded with ${JSON.stringify(pad)}`);
      }
      for (const length of cutLengths) {
        const charged = chargedTo(padded(length, pad));
        assert.ok(charged === undefined || charged === sender, `${charged} is charged for ${length} bytes`);
      }
    }
    return `${pads.length} kinds of padding: up to ${lineBytesMax} bytes the sender is charged, past them he or nobody`;
  },
  [
    twin(
      'an engine that drops long lines',
      charging((line) => (line.length > 8_192 ? '' : line)),
      /^10000 bytes, padded/,
    ),
    sabotaged(
      'a pattern that needs the end of the line also takes a line that was cut',
      /198\.51\.100\.9 is charged for/,
    ),
  ],
);

/** One output for text that an attacker chose. */
type Output = (text: string) => string | Promise<string>;

const logged =
  (format: 'text' | 'json'): Output =>
  (text) => {
    let written = '';
    const write = (line: string): void => {
      written += line;
    };
    new Log({ level: 'info', format, journal: false, write }).info(text, { path: text, [text]: text });
    return written;
  };

const inStatus: Output = (text) => {
  const memory = { residentBytes: 1, ceilingBytes: 1, kernelBytes: 1, slots: 1, slotsUsed: 1 };
  const counts = { bansActive: 0, bansPending: 0, bansTotal: 0, packetsDropped: 0, failuresTotal: 0 };
  const jails = [{ jail: text, filter: text, ...counts, sources: [text] }];
  const status = {
    version: text,
    pid: 1,
    uptimeSeconds: 1,
    backend: text,
    memory,
    jails,
    problems: [text],
    hints: [text],
  };
  const shown = [false, true].map((json) => {
    const presenter = presenterOf('status', json);
    return presenter.part(status as never) + presenter.end();
  });
  return shown.join('');
};

const atClient: Output = async (text) => {
  let written = '';
  const write = (part: string): void => {
    written += part;
  };
  const terminal = { out: write, error: write, version: '1' };
  await run(['--socket', `/nowhere/${text}`, 'status'], terminal);
  await run([text], terminal);
  await run(['--json', 'unban', text], terminal);
  return written;
};

/** A command of the program over a file that holds the text. */
const command =
  (name: string, of: (path: string) => string[]): Output =>
  (text) => {
    const directory = temporaryDirectory();
    const path = join(directory.path, 'file');
    writeFileSync(path, `[jails."${text.replaceAll(/["\\]/g, '')}"]\n${text}\n`);
    try {
      return execFileSync('bin/fail2zig', [name, ...of(path)], { encoding: 'utf8', stdio: 'pipe', timeout: 20_000 });
    } catch (error) {
      const { stdout, stderr } = error as { stdout: string; stderr: string };
      return stdout + stderr;
    } finally {
      directory.remove();
    }
  };

type Outputs = Record<string, Output>;
const outputs: Outputs = {
  'the log as text': logged('text'),
  'the log as JSON': logged('json'),
  'the status of the client': inStatus,
  'the errors of the client': atClient,
  'the command match': command('match', (path) => ['--filter', 'sshd', path]),
  'the command match with --json': command('match', (path) => ['--filter', 'sshd', '--json', path]),
  'the command check': command('check', (path) => ['--config', path]),
};

/** Characters that control a terminal, or that a reader does not see. */
const hidden = [
  ...Array.from({ length: 32 }, (_, code) => code).filter((code) => code !== 10),
  ...Array.from({ length: 33 }, (_, index) => 0x7f + index),
  ...[0xad, 0x61c, 0x200b, 0x200e, 0x2028, 0x202a, 0x202e, 0x2060, 0x2066, 0x2069, 0xfeff, 0xfffa, 0xe0001, 0xe0041],
];
const hostile = `a\u001b[2Jb${hidden.map((code) => String.fromCodePoint(code)).join('x')}c`;
/** Characters of our own messages, and bytes of a log read as letters. */
const isHarmless = (character: string): boolean => /[\n -~\u00a0-\u00ac\u00ae-\u00ff…–]/.test(character);

claim(
  'X-terminal',
  given(outputs),
  async (ways) => {
    for (const [name, write] of Object.entries(ways)) {
      const written = await write(hostile);
      assert.ok(written.length > 0, `${name} writes nothing`);
      const found = [...written].filter((character) => !isHarmless(character));
      const codes = [...new Set(found.map((character) => character.codePointAt(0)!.toString(16)))];
      assert.deepEqual(codes, [], `characters in ${name} that act on a terminal`);
    }
    const names = Object.keys(ways);
    return `${hidden.length} characters through ${names.length} ways out (${names.join(', ')}): none as it is`;
  },
  [
    sabotaged('an escape of a terminal is printed as it is', /characters in/),
    twin(
      'a log that escapes the first 32 characters only',
      given<Outputs>({ ...outputs, 'the log as text': (text) => `${JSON.stringify(text)}\n` }),
      /characters in the log as text/,
    ),
  ],
  { needs: ['built'] },
);
