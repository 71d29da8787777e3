/**
 * The three builds of the engine behave the same. Whatever bytes they get, and wherever a read
 * ends, their whole memories are equal afterwards, byte by byte: counters, table, connections,
 * decisions, denials.
 */
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { DECISIONS, EVICTIONS, LINES, LINES_MATCHED } from '../../src/engine/counters.ts';
import { type Build, Engine, type EngineJail } from '../../src/engine/host.ts';
import * as layout from '../../src/engine/layout.ts';
import { filters } from '../../src/filters/index.ts';
import type { EvictionPolicy } from '../../src/types.ts';

const now = 1_763_694_928;
const names = filters.map(({ name }) => name);
const samples = filters.flatMap(({ patterns }) => patterns.flatMap(({ sample, counter }) => [sample, counter]));

interface Settings {
  jails: EngineJail[];
  policy: EvictionPolicy;
  live: boolean;
}

const anySettings: fc.Arbitrary<Settings> = fc.record({
  jails: fc.array(
    fc.record({
      filter: fc.oneof({ weight: 3, arbitrary: fc.constant('sshd') }, fc.constantFrom(...names)),
      mode: fc.constant(''),
      maxretry: fc.integer({ min: 1, max: 5 }),
      findtime: fc.constantFrom(60, 600, 100_000),
      bantime: fc.constantFrom(1, 600, -1),
      ipv6Prefix: fc.constantFrom(32, 64, 128),
      ignore: fc.constant([]),
      format: fc.constantFrom('auto', 'auto', 'auto', 'plain', 'docker', 'cri', 'json'),
      message: fc.constantFrom('msg', 'log'),
      timezone: fc.constantFrom([], [{ from: -1e15, offset: 7_200 }], [{ from: -1e15, offset: -12_600 }]),
      escalation: fc.constantFrom(null, { bantimes: [2, 50], randomSeconds: 9, memorySeconds: 600, allJails: true }),
    }),
    { minLength: 1, maxLength: 4 },
  ),
  policy: fc.constantFrom('evict_oldest', 'ban_all', 'drop_unbanned', 'deny_new', 'log_and_drop'),
  live: fc.boolean(),
});

const anyFailure = fc.tuple(fc.nat(40), fc.nat(900), fc.nat(3), fc.boolean()).map(([source, age, pid, six]) => {
  const stamp = new Date((now - age) * 1000).toISOString();
  const address = six ? `2001:db8:0:${source.toString(16)}::${pid + 1}` : `198.51.100.${source}`;
  return `${stamp} host sshd[${pid}]: Failed password for root from ${address} port 40022 ssh2`;
});
const json = (text: string): string => JSON.stringify(Buffer.from(text, 'latin1').toString());
const stamp = new Date(now * 1000).toISOString();
/** What lines are wrapped in, whole or in pieces. */
const wrappers: ((line: string) => string)[] = [
  (line) => `{"log":${json(`${line}\n`)},"stream":"stdout","time":"${stamp}"}`,
  (line) => `{"log":${json(line)},"stream":"stderr","time":"${stamp}"}`,
  (line) => `{"log":${json(line)},"stream":"stdout","time":"${stamp}"}`,
  (line) => `${stamp} stdout F ${line}`,
  (line) => `${stamp} stdout P ${line}`,
  (line) => `${stamp} stderr P ${line.slice(0, 20)}`,
  (line) => `{"time":"${stamp}","msg":${json(line)},"x":[{"msg":1}]}`,
  (line) => `<38>1 ${stamp} host sshd 7 - [a b="c"] ${line}`,
  (line) => `@400000006b014f8b1dcd6500 ${line}`,
  (line) => `\x1b[0m${line.replace(' ', ' \x1b[1;31m')}`,
  (line) => ` \t${line}`,
];
const anyWrapped = fc
  .tuple(fc.oneof(anyFailure, fc.constantFrom(...samples)), fc.constantFrom(...wrappers), fc.nat(400), fc.nat(999))
  .map(([line, wrap, at, value]) => {
    const text = Buffer.from(wrap(line), 'latin1');
    if (value < 128) text[at % text.length] = value;
    return text.toString('latin1');
  });
const anyLine = fc.oneof(
  { weight: 3, arbitrary: anyWrapped },
  { weight: 9, arbitrary: anyFailure },
  { weight: 3, arbitrary: fc.constantFrom(...samples) },
  {
    weight: 3,
    arbitrary: fc
      .tuple(fc.oneof(anyFailure, fc.constantFrom(...samples)), fc.nat(200), fc.nat(255))
      .map(([text, at, value]) => {
        const line = Buffer.from(text, 'latin1');
        if (line.length > 0) line[at % line.length] = value;
        return line.toString('latin1');
      }),
  },
  {
    weight: 1,
    arbitrary: fc
      .string({ unit: 'binary', maxLength: 80 })
      .map((text) => Buffer.from(text, 'latin1').toString('latin1')),
  },
  {
    weight: 1,
    arbitrary: fc
      .tuple(anyFailure, fc.constantFrom(4_000, 4_096, 5_000))
      .map(([line, length]) => line.padEnd(length, ' x')),
  },
);
const anyText = fc
  .array(fc.tuple(anyLine, fc.constantFrom('\n', '\n', '\n', '\r\n', '\n\n', '')), { maxLength: 60, size: 'max' })
  .map((lines) => Buffer.from(lines.map(([line, end]) => line + end).join(''), 'latin1'));
/** Sizes of the reads, over and over. */
const anyCuts = fc.array(fc.oneof(fc.integer({ min: 1, max: 300 }), fc.integer({ min: 1, max: 20_000 })), {
  minLength: 1,
  maxLength: 20,
});

async function engineOf(build: Build, { jails, policy, live }: Settings): Promise<Engine> {
  const options = { build, jails, live, now, evictionPolicy: policy, seed: [7, 8] as [number, number] };
  const { slotBytes } = await Engine.create({ ...options, tableBytes: 0 });
  const engine = await Engine.create({ ...options, tableBytes: 16 * slotBytes });
  engine.openSource(0, engine.addRoute(jails.map(({ filter, mode }, index) => ({ index, filter, mode }))));
  return engine;
}

/**
 * Feeds `text` as a source does that reads this many bytes at a time: what is not consumed is read
 * again with what follows. The ring is large enough.
 */
function feed(engine: Engine, text: Buffer, cuts: number[]): void {
  let at = 0;
  let read = 0;
  let turn = 0;
  for (let round = 0; at < text.length; round++) {
    if (round > text.length + 100) throw new Error('no progress');
    read = Math.min(text.length, Math.max(read, at) + cuts[turn++ % cuts.length]!, at + engine.buffer.length);
    engine.buffer.set(text.subarray(at, read));
    const consumed = engine.feed(0, read - at, at, now, read === text.length);
    at += consumed;
  }
}

/**
 * What an engine remembers: its memory, except what was read into it and the notes on the lines
 * just examined.
 */
function memoryOf(engine: Engine): Buffer {
  const whole = Buffer.from(engine.buffer.buffer.slice(0));
  whole.fill(0, engine.buffer.byteOffset, engine.buffer.byteOffset + engine.buffer.length);
  whole.fill(0, layout.ADDRESS, layout.KEY + 16);
  whole.fill(0, layout.CHARGES, layout.CHARGES_TOUCHED + 4);
  return whole;
}

function firstDifference(one: Buffer, other: Buffer): string {
  const at = one.findIndex((byte, i) => byte !== other[i]);
  return `memories differ at ${at}`;
}

let runs = 0;
const seen = { lines: 0, matched: 0, decisions: 0, evictions: 0 };

/**
 * The property: `other` leaves the same memory as the plain build, and reports the same about every
 * ban.
 */
function equalMemories(other: (settings: Settings) => Promise<Engine>) {
  return fc.asyncProperty(anySettings, anyText, anyCuts, async (settings, text, cuts) => {
    const second = await other(settings);
    feed(second, text, cuts);
    const plain = await engineOf('plain', settings);
    feed(plain, text, cuts);
    const [one, two] = [memoryOf(plain), memoryOf(second)];
    expect(two.length).toBe(one.length);
    if (!one.equals(two)) throw new Error(firstDifference(one, two));
    runs++;
    seen.lines += plain.counter(LINES);
    seen.matched += plain.counter(LINES_MATCHED);
    seen.decisions += plain.counter(DECISIONS);
    seen.evictions += plain.counter(EVICTIONS);
  });
}

describe('the same bytes leave the same memory', () => {
  test.each(['wasm', 'scalar'] as const)(
    'plain and %s',
    async (build) => {
      await fc.assert(
        equalMemories((settings) => engineOf(build, settings)),
        { numRuns: 150 },
      );
    },
    120_000,
  );

  test('the runs reached every stage', () => {
    for (const [stage, count] of Object.entries(seen)) expect(count, stage).toBeGreaterThan(runs / 15);
  });

  test.each<[what: string, other: (settings: Settings) => Promise<Engine>]>([
    [
      'another seed',
      async (settings) => {
        const engine = await engineOf('wasm', settings);
        new Int32Array(engine.buffer.buffer)[layout.SEED >> 2] = 9;
        return engine;
      },
    ],
    [
      'a window one second longer',
      (settings) =>
        engineOf('wasm', {
          ...settings,
          jails: settings.jails.map((jail) => ({ ...jail, findtime: jail.findtime + 1 })),
        }),
    ],
    [
      'another policy',
      (settings) =>
        engineOf('wasm', { ...settings, policy: settings.policy === 'deny_new' ? 'evict_oldest' : 'deny_new' }),
    ],
  ])('%s would be noticed', async (_, other) => {
    const { failed } = await fc.check(equalMemories(other), { numRuns: 100, endOnFailure: true });
    expect(failed).toBe(true);
  });
});

describe('where a read ends changes nothing', () => {
  test.each(['plain', 'wasm'] as const)('%s build', async (build) => {
    await fc.assert(
      fc.asyncProperty(anySettings, anyText, anyCuts, async (settings, text, cuts) => {
        const whole = await engineOf(build, settings);
        feed(whole, text, [text.length + 1]);
        const expected = memoryOf(whole);
        const engine = await engineOf(build, settings);
        feed(engine, text, cuts);
        const found = memoryOf(engine);
        if (!found.equals(expected)) throw new Error(firstDifference(expected, found));
      }),
      { numRuns: 100 },
    );
  });
});
