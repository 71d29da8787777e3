/**
 * Any bytes as a log, cut into reads at any place. The three builds of the engine give the same
 * result, which is also that of the uncut log, and they come to an end. The first eight bytes of an
 * input say where it is cut.
 */
import assert from 'node:assert/strict';
import { BYTES, DECISIONS, LINES, LINES_MATCHED, LINES_TOO_LONG } from '../../../src/engine/counters.ts';
import { type Build, Engine } from '../../../src/engine/host.ts';
import { agreementNow } from '../../support/agreement.ts';
import type { Random } from '../random.ts';
import type { Body, Target } from '../target.ts';
import { lineTargets } from './lines.ts';

const jails = ['sshd', 'nginx-http-auth', 'postfix', 'apache-auth'].map((filter) => ({
  filter,
  mode: '',
  maxretry: 2,
  findtime: 600,
  bantime: 600,
  ipv6Prefix: 64,
  ignore: [],
}));
const cutBytes = 8;
const builds: Build[] = ['wasm', 'scalar', 'plain'];

async function engineOf(build: Build): Promise<Engine> {
  const engine = await Engine.create({
    build,
    jails,
    tableBytes: 1 << 14,
    live: false,
    seed: [3, 4],
    now: agreementNow,
  });
  const route = engine.addRoute(jails.map(({ filter, mode }, index) => ({ index, filter, mode })));
  engine.openSource(0, route);
  return engine;
}

/**
 * Feeds all of the log in reads of the given sizes, over and over; what is not consumed is read
 * again.
 */
function feedAll(engine: Engine, log: Buffer, sizes: number[]): string {
  const decisions: string[] = [];
  let at = 0;
  for (let read = 0; at < log.length; read++) {
    assert.ok(read < 4 * log.length + 100, `no end at byte ${at}`);
    let length = Math.min(log.length - at, engine.buffer.length, sizes[read % sizes.length] as number);
    for (let consumed = 0; consumed === 0; ) {
      engine.buffer.set(log.subarray(at, at + length));
      consumed = engine.feed(0, length, at, agreementNow, at + length === log.length);
      assert.ok(consumed <= length, `${consumed} of ${length} bytes consumed`);
      engine.takeDecisions(({ jail, address, time, offset }) => {
        decisions.push(`${jail} ${Buffer.from(address.bytes).toString('hex')} ${time} ${offset}`);
      });
      at += consumed;
      if (consumed > 0) break;
      // An unfinished line: more of it next time.
      assert.ok(at + length < log.length, `stuck at byte ${at}`);
      length = Math.min(log.length - at, engine.buffer.length, length * 2);
    }
  }
  const counts = [LINES, LINES_MATCHED, LINES_TOO_LONG, BYTES, DECISIONS].map((counter) => engine.counter(counter));
  return `${counts} ${decisions}`;
}

async function open(): Promise<Body> {
  return async (input) => {
    const log = input.subarray(cutBytes);
    const sizes = [...input.subarray(0, cutBytes)].map((byte) => 1 + byte * byte);
    const whole = feedAll(await engineOf('wasm'), log, [log.length]);
    for (const build of builds) {
      assert.equal(
        feedAll(await engineOf(build), log, sizes.length === 0 ? [1] : sizes),
        whole,
        `${build}, cut, and wasm, whole, differ`,
      );
    }
  };
}

const lines = (): Buffer[] =>
  lineTargets.filter(({ name }) => jails.some(({ filter }) => filter === name)).flatMap((target) => target.corpus());

function logOf(random: Random, from: readonly Buffer[]): Buffer {
  const parts: Buffer[] = [Buffer.from(Array.from({ length: cutBytes }, () => random.below(256)))];
  for (let left = random.below(12); left >= 0; left--) {
    parts.push(random.pick(from), Buffer.from(random.pick(['\n', '\n', '\n', '\r\n', '\n\n', '', '\0'])));
    if (random.below(12) === 0) parts.push(Buffer.alloc(random.below(9_000), random.below(256)));
  }
  return Buffer.concat(parts);
}

let stored: Buffer[] = [];

export const feed: Target = {
  name: 'feed',
  says: 'any bytes as a log, cut into reads anywhere: builds equal, same as uncut',
  corpus: () => [
    Buffer.concat([
      Buffer.from([1, 2, 3, 4, 5, 6, 7, 8]),
      ...lines()
        .slice(0, 40)
        .flatMap((line) => [line, Buffer.from('\n')]),
    ]),
  ],
  words: () => [
    '\n',
    '\r\n',
    '\n\n',
    'Mar  4 05:06:07 host sshd[811]: Failed password for root from 192.0.2.7 port 22 ssh2\n',
  ],
  grammar(random) {
    if (stored.length === 0) stored = lines();
    return logOf(random, stored);
  },
  open,
};
