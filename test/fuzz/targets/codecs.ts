/**
 * Input from outside the log: configuration, netlink replies, control frames, the state file.
 */
import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import {
  AttributeReader,
  decodeMessages,
  decodeVerdict,
  MessageWriter,
} from '../../../src/backends/netlink/message.ts';
import {
  decodeChain,
  decodeElements,
  decodeRule,
  decodeSet,
  decodeTable,
} from '../../../src/backends/nftables/decode.ts';
import { Batch } from '../../../src/backends/nftables/messages.ts';
import { decodeMembers } from '../../../src/backends/xtables/ipset.ts';
import { compileConfig } from '../../../src/config/compile.ts';
import { decodeConfig } from '../../../src/config/file.ts';
import { ConfigError } from '../../../src/config/problem.ts';
import { encodeCoreConfig } from '../../../src/config/record.ts';
import { OperatorError } from '../../../src/control/answers.ts';
import { checkArguments } from '../../../src/control/arguments.ts';
import { encodeFrame, FrameDecoder, FrameError, parseRequest } from '../../../src/control/protocol.ts';
import { findVerb } from '../../../src/control/verbs.ts';
import { filterNames } from '../../../src/engine/generated/names.ts';
import { frameBytesMax } from '../../../src/limits.ts';
import { loadState } from '../../../src/state/load.ts';
import { saveState } from '../../../src/state/save.ts';
import { printable } from '../../../src/text/printable.ts';
import { decodeCoreConfig } from '../../../src/text/record.ts';
import { CollectingVisitor, sampleSnapshot } from '../../support/state.ts';
import type { Random } from '../random.ts';
import type { Target } from '../target.ts';

const latin1 = (text: string): Buffer => Buffer.from(text, 'latin1');
const bytesOf = (random: Random, most: number): Buffer =>
  Buffer.from(Array.from({ length: random.below(most + 1) }, () => random.below(256)));

// --- configuration -------------------------------------------------------------------------------

const surroundings = { filters: filterNames.map(({ name, modes }) => ({ name, modes })), groupId: () => undefined };

const sections = [
  '',
  '[memory]',
  '[firewall]',
  '[control]',
  '[metrics]',
  '[state]',
  '[log]',
  '[defaults]',
  '[jails.sshd]',
  '[jails.x]',
  '[[filter]]',
];
const settings = [
  'ceiling',
  'backend',
  'socket',
  'port',
  'level',
  'logpath',
  'maxretry',
  'bantime',
  'findtime',
  'ignoreip',
  'filter',
  'mode',
  'enabled',
  'name',
  'pattern',
  'ignore',
  'log_tag',
  'samples',
  'bogus',
  '__proto__',
  '"\\u001b[2J"',
];
const values = [
  '1',
  '-1',
  '1e400',
  'true',
  '"10m"',
  '"sshd"',
  '"own"',
  '"/var/log/x"',
  '["::1", "x"]',
  '{}',
  '"login from {ip}{end}"',
  '["{user} from {ip}", "(.*)"]',
  '[[[]]]',
  '2026-01-01',
  "'''\n'''",
  '"',
  '9999999999999999999',
];
const usable =
  '[memory]\nceiling = "64MB"\n[jails.sshd]\nlogpath = ["/a", "/b"]\nbantime = "1d"\nport = "22"\n[jails.own]\nfilter = "own"\nlogpath = "/c"\n[[filter]]\nname = "own"\npattern = "no login for {user} from {ip}{end}"\n';

function configHolds(bytes: Buffer): void {
  try {
    const { config, warnings } = compileConfig(decodeConfig(bytes, 'x'), 'x', surroundings);
    assert.deepEqual(decodeCoreConfig(encodeCoreConfig(config)), config);
    for (const warning of warnings) assert.equal(printable(warning), warning);
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error;
    const lines = bytes.filter((byte) => byte === 10).length + 1;
    assert.ok(error.problems.length > 0, 'refused without a reason');
    for (const { line, column, key, reason, hint = '' } of error.problems) {
      assert.ok(line >= 1 && line <= lines && column >= 1, `a problem at ${line}:${column} of ${lines} lines`);
      for (const text of [key, reason, hint]) assert.equal(printable(text, Number.POSITIVE_INFINITY), text);
    }
  }
}

export const config: Target = {
  name: 'config',
  says: 'any bytes as a configuration: a usable record, or problems that name a place and can be printed',
  corpus: () => [latin1(usable)],
  words: () => [...sections, ...settings, ...values, ' = ', '\n'],
  grammar(random) {
    const lines = Array.from({ length: random.below(14) }, () =>
      random.below(3) === 0 ? random.pick(sections) : `${random.pick(settings)} = ${random.pick(values)}`,
    );
    return Buffer.from(lines.join('\n'));
  },
  open: async () => configHolds,
};

// --- netlink -------------------------------------------------------------------------------------

/** Reads everything; returns the number of attributes. */
function walk(reader: AttributeReader, depth: number): number {
  let count = 0;
  while (reader.next()) {
    count++;
    reader.u32();
    reader.u64();
    reader.text();
    reader.copy();
    if (depth > 0) count += walk(reader.nested(), depth - 1);
  }
  return count;
}

function repliesHold(bytes: Buffer): void {
  const { messages } = decodeMessages(bytes, bytes.length);
  let last = 0;
  for (const each of messages) {
    const { start, end } = each;
    assert.ok(start >= last + 16 && end <= bytes.length, 'a message outside the datagram');
    last = end;
    decodeVerdict(bytes, each);
    assert.ok(walk(new AttributeReader(bytes, start, end), 3) <= bytes.length * 4, 'more attributes than bytes');
    for (const decode of [decodeChain, decodeSet, decodeRule, decodeTable]) decode(bytes, start, end);
    for (const decode of [decodeElements, decodeMembers]) {
      decode(bytes, start, end, 4, (at) => assert.ok(at + 4 <= end, 'an element outside its message'));
    }
  }
}

function attributes(random: Random, writer: MessageWriter, depth: number): void {
  for (let left = random.below(4); left > 0; left--) {
    if (depth === 0 || random.below(2) === 0) writer.raw(1 + random.below(12), bytesOf(random, 12));
    else {
      writer.begin(1 + random.below(12));
      attributes(random, writer, depth - 1);
      writer.end();
    }
  }
}

function reply(random: Random): Buffer {
  const writer = new MessageWriter(64);
  for (let left = random.below(4); left >= 0; left--) {
    writer.beginMessage(
      random.pick([0xa00, 0xa03, 0xa06, 0xa09, 0xa0c, 0xa0f, 2, 3, random.below(65_536)]),
      random.below(0x300),
      random.below(4),
      1,
    );
    attributes(random, writer, 3);
    writer.endMessage();
  }
  const bytes = Buffer.from(writer.bytes());
  // Wrong lengths.
  if (random.below(2) === 0) bytes[random.below(bytes.length)] = random.below(256);
  return bytes;
}

function request(): Buffer {
  let sequence = 0;
  const batch = new Batch('t', () => ++sequence);
  batch.addElements('s', [{ key: Uint8Array.of(203, 0, 113, 1), timeoutMs: 60_000 }]);
  return Buffer.from(batch.finish());
}

export const netlink: Target = {
  name: 'netlink',
  says: 'any bytes as replies of the kernel: every decoder ends inside what it was given',
  corpus: () => [request()],
  words: () => ['\x10\0\0\0', '\x04\0', '\0\0\0\0', '\xff\xff', '\x08\0\x01\x80'],
  grammar: reply,
  open: async () => repliesHold,
};

// --- control frames ------------------------------------------------------------------------------

/** The content of a stream, read at once. */
function framesOf(stream: Buffer): string {
  const bodies: string[] = [];
  for (let at = 0; at + 4 <= stream.length; ) {
    const length = stream.readUInt32LE(at);
    if (length === 0 || length > frameBytesMax) return `${bodies} broken`;
    if (at + 4 + length > stream.length) break;
    bodies.push(stream.toString('latin1', at + 4, at + 4 + length));
    at += 4 + length;
  }
  return `${bodies}`;
}

function requestHolds(body: Buffer): void {
  try {
    const { verb, args } = parseRequest(body);
    const row = findVerb(verb);
    for (const name of Object.keys(checkArguments(row, args))) assert.ok(name in row.arguments, `an argument ${name}`);
  } catch (error) {
    if (!(error instanceof FrameError) && !(error instanceof OperatorError)) throw error;
  }
}

function streamHolds(input: Buffer): void {
  const stream = input.subarray(1);
  const size = 1 + (input[0] ?? 0);
  const decoder = new FrameDecoder();
  const bodies: string[] = [];
  let broken = '';
  try {
    for (let at = 0; at < stream.length; at += size) {
      decoder.push(stream.subarray(at, at + size));
      for (let body = decoder.next(); body; body = decoder.next()) {
        bodies.push(body.toString('latin1'));
        requestHolds(body);
      }
      assert.ok(decoder.bytesHeld <= frameBytesMax + size, `${decoder.bytesHeld} bytes held`);
    }
  } catch (error) {
    if (!(error instanceof FrameError)) throw error;
    broken = ' broken';
  }
  assert.equal(`${bodies}${broken}`, framesOf(stream));
}

const verbs = ['status', 'stats', 'list', 'ban', 'unban', 'reload', 'x'];
const names = ['jail', 'address', 'seconds', 'cursor', 'limit', '__proto__'];
const scalars = ['sshd', '192.0.2.7', '2001:db8::/64', 600, -1, null, true, [], {}, 'x'.repeat(300)];

export const control: Target = {
  name: 'control',
  says: 'any stream on the control socket, in pieces: the frames it holds, and requests their rows accept',
  corpus: () => [
    Buffer.concat([
      latin1('\x05'),
      encodeFrame({ verb: 'list', args: { jail: 'sshd' } }),
      encodeFrame({ verb: 'ban', args: { jail: 'sshd', addresses: ['192.0.2.7'] } }),
    ]),
  ],
  words: () => ['\x02\0\0\0{}', '\0\0\0\0', '\xff\xff\xff\xff', ...verbs, ...names, '{"verb":', '"args":', '}', '"'],
  grammar(random) {
    const frames = Array.from({ length: 1 + random.below(4) }, () => {
      if (random.below(6) === 0) return bytesOf(random, 12);
      const args = Object.fromEntries(
        Array.from({ length: random.below(4) }, () => [random.pick(names), random.pick(scalars)]),
      );
      return encodeFrame({ verb: random.pick(verbs), args } as Parameters<typeof encodeFrame>[0]);
    });
    return Buffer.concat([Buffer.from([random.below(256)]), ...frames]);
  },
  open: async () => streamHolds,
};

// --- state file ----------------------------------------------------------------------------------

const stateTime = 1_700_000_000;

async function stateBytes(): Promise<Buffer> {
  const folder = mkdtempSync(join(tmpdir(), 'fail2zig-fuzz-'));
  const path = join(folder, 'state');
  try {
    await saveState(path, () => sampleSnapshot(20));
    return readFileSync(path);
  } finally {
    rmSync(folder, { recursive: true });
  }
}

const sound = await stateBytes();

/**
 * With any bytes other than those that were saved, the daemon starts empty. Such bytes are never
 * loaded as state.
 */
function stateHolds(path: string, bytes: Buffer): void {
  writeFileSync(path, bytes, { mode: 0o600 });
  const visitor = new CollectingVisitor();
  const result = loadState(path, visitor, stateTime);
  if (result.state === null) {
    assert.ok(result.why.length > 0, 'refused without a reason');
    assert.ok(!visitor.touched, 'part of a damaged state was handed on');
    if (result.asideAs !== null) rmSync(result.asideAs, { force: true });
  } else assert.ok(bytes.equals(sound), 'changed bytes were taken for a sound state');
}

export const state: Target = {
  name: 'state',
  says: 'any bytes as the state file: taken whole when sound, set aside with a reason when not',
  corpus: () => [sound],
  words: () => ['f2zstate', '\0\0\0\0', '\xff\xff\xff\xff', '\x01\0\0\0', '\x0f\x0e\0\0'],
  grammar(random) {
    const bytes = Buffer.from(sound);
    for (let left = 1 + random.below(3); left > 0; left--) bytes[random.below(bytes.length)] = random.below(256);
    return random.below(3) === 0 ? bytes.subarray(0, random.below(bytes.length)) : bytes;
  },
  async open() {
    const folder = mkdtempSync(join(tmpdir(), 'fail2zig-fuzz-'));
    process.once('exit', () => rmSync(folder, { recursive: true, force: true }));
    return (input) => stateHolds(join(folder, 'state'), input);
  },
};
