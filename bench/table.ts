/**
 * The table from end to end, as log lines through `feed`: the cost of a line with few live entries
 * and with very many, and with addresses chosen by somebody who knows this source code but not the
 * seed of the running daemon. IPv4 and IPv6 alternate; sources from 10.0.0.0/8 and 2001:db8::/32
 * (the documentation networks for IPv4 are too small).
 */
import { median } from '../scripts/lab/figures.ts';
import { DECISIONS, DENIED, EVICTIONS, JAIL_FAILURES, LINES_MATCHED } from '../src/engine/counters.ts';
import { Engine } from '../src/engine/host.ts';
import { TABLE_WAYS } from '../src/engine/layout.ts';
import { native } from '../src/native.ts';
import { formatAddress } from '../src/text/address.ts';
import type { Address, EvictionPolicy } from '../src/types.ts';
import { type Benchmark, type Context, differences } from './benchmark.ts';
import { randomFrom, startTime } from './workload.ts';

/** Largest cost of a line with many live entries, as a multiple of that with few. */
const manyRatioMax = 2;
/** Largest cost of a line with chosen addresses, as a multiple of that with random ones. */
const floodRatioMax = 1.5;
/** Live entries of the small table. */
const few = 1_000;
/**
 * Nobody is banned: a source fails once in each cycle, and two cycles lie within findtime, three do
 * not.
 */
const maxretry = 3;
const findtime = 600;
const cycleSeconds = 301;
/** An entry of 24 bytes and its mark. */
const slotBytes = 25;

/** Whole lines, as many as the engine's buffer takes. */
interface Block {
  bytes: Uint8Array;
  lines: number;
}

/**
 * Source n of the usual ones (`chosen` false), or of the space an attacker chooses from: 2^23 of
 * IPv4, 2^31 of IPv6, by turns.
 */
function source(n: number, chosen: boolean): Address {
  const family = n % 2 === 0 ? 4 : 6;
  const number = Math.floor(n / 2);
  const bytes = new Uint8Array(16);
  const view = new DataView(bytes.buffer);
  if (family === 4) {
    view.setUint32(8, 0xffff);
    view.setUint32(12, (0x0a00_0000 + (chosen ? 0x0080_0000 : 0) + (number & 0x007f_ffff)) >>> 0);
    return { family, bytes, prefix: 32 };
  }
  view.setUint32(0, 0x2001_0db8);
  view.setUint32(4, ((chosen ? 0x8000_0000 : 0) + (number & 0x7fff_ffff)) >>> 0);
  bytes[15] = 7;
  return { family, bytes, prefix: 128 };
}

/** The nth of a row in which neighbours are unrelated: every number below 2^23 once. */
const scattered = (n: number): number => 2 * ((Math.imul(n >> 1, 0x9e37_79b1) >>> 0) & 0x007f_ffff) + (n & 1);

let processes = 0;

/** One failure of a source, on a connection of its own. */
function line(address: Address, time: number): string {
  const process = 1_000 + (processes++ % 4_000_000);
  const stamp = new Date(time * 1000).toISOString();
  return `${stamp} web1 sshd[${process}]: Failed password for root from ${formatAddress(address)} port 40022 ssh2\n`;
}

function packed(lines: Iterable<string>, bytesMax: number): Block[] {
  const blocks: Block[] = [];
  let parts: string[] = [];
  let length = 0;
  const close = (): void => {
    if (length > 0) blocks.push({ bytes: Buffer.from(parts.join(''), 'latin1'), lines: parts.length });
    parts = [];
    length = 0;
  };
  for (const text of lines) {
    if (length + text.length > bytesMax) close();
    parts.push(text);
    length += text.length;
  }
  close();
  return blocks;
}

function feed(engine: Engine, bytes: Uint8Array): void {
  engine.buffer.set(bytes);
  const consumed = engine.feed(0, bytes.length, 0, startTime, false);
  if (consumed !== bytes.length) throw new Error(`the engine took ${consumed} of ${bytes.length} bytes`);
}

/** Nanoseconds a line. */
function timed(engine: Engine, { bytes, lines }: Block): number {
  const started = performance.now();
  feed(engine, bytes);
  return ((performance.now() - started) * 1e6) / lines;
}

async function engineWith(slots: number, seed: [number, number], evictionPolicy: EvictionPolicy): Promise<Engine> {
  const jail = { filter: 'sshd', mode: '', maxretry, findtime, bantime: 600, ipv6Prefix: 64, ignore: [] };
  const now = startTime;
  const tableBytes = slots * slotBytes;
  const prepare = native.hugePages;
  const engine = await Engine.create({ prepare, live: false, seed, now, tableBytes, evictionPolicy, jails: [jail] });
  engine.openSource(0, engine.addRoute([{ index: 0, filter: 'sshd', mode: '' }]));
  return engine;
}

function shuffle(values: Int32Array, random: () => number): void {
  for (let i = values.length - 1; i > 0; i--) {
    const j = Math.floor(random() * (i + 1));
    [values[i], values[j]] = [values[j]!, values[i]!];
  }
}

/**
 * A table of which `entries` are in use, and the lines that keep all of them so: each source in
 * turn, in an order that never comes again.
 */
class Live {
  readonly engine: Engine;
  fed = 0;
  readonly #tracked: Int32Array;
  readonly #random = randomFrom(2);
  #cycle = 0;
  #next = 0;

  private constructor(engine: Engine, entries: number) {
    this.engine = engine;
    this.#tracked = new Int32Array(entries);
  }

  static async fill(slots: number, entries: number): Promise<Live> {
    const live = new Live(await engineWith(slots, [1, 2], 'deny_new'), entries);
    const { engine } = live;
    for (let n = 0, found = 0; found < entries; n++) {
      if (n > 4 * slots) throw new Error(`${slots} slots have no room for ${entries} entries`);
      feed(engine, Buffer.from(line(source(scattered(n), false), startTime), 'latin1'));
      live.fed++;
      if (engine.tracked > found) live.#tracked[found++] = scattered(n);
    }
    live.#startCycle();
    return live;
  }

  #startCycle(): void {
    shuffle(this.#tracked, this.#random);
    this.#cycle++;
    this.#next = 0;
  }

  lines(count: number): Block[] {
    this.fed += count;
    return packed(this.#texts(count), this.engine.buffer.length);
  }

  *#texts(count: number): Generator<string> {
    for (let i = 0; i < count; i++) {
      if (this.#next === this.#tracked.length) this.#startCycle();
      yield line(source(this.#tracked[this.#next++]!, false), startTime + this.#cycle * cycleSeconds);
    }
  }
}

async function manyEntries(context: Context): Promise<void> {
  const [slots, entries, count, rounds] = ['slots', 'entries', 'lines', 'rounds'].map(context.number) as [
    number,
    number,
    number,
    number,
  ];
  const tables = [await Live.fill(slots, Math.min(few, entries)), await Live.fill(slots, entries)] as const;
  const denied = tables.map(({ engine }) => engine.counter(DENIED));
  const costs: [number[], number[]] = [[], []];
  const ratios: number[] = [];
  for (let round = -1; round < rounds; round++) {
    const [fewBlocks, manyBlocks] = tables.map((table) => table.lines(count)) as [Block[], Block[]];
    // Block by block in turn; of each round what is in the middle, so that a block that others held
    // up does not count.
    const pairs = fewBlocks.map((block, index) => [
      timed(tables[0].engine, block),
      index < manyBlocks.length ? timed(tables[1].engine, manyBlocks[index]!) : Number.NaN,
    ]) as [number, number][];
    for (const block of manyBlocks.slice(fewBlocks.length)) timed(tables[1].engine, block);
    // The first round is a warm-up for compiler and caches.
    if (round < 0) continue;
    const both = pairs.filter(([, many]) => !Number.isNaN(many));
    costs[0].push(median(both.map(([cost]) => cost)));
    costs[1].push(median(both.map(([, cost]) => cost)));
    ratios.push(median(both.map(([fewCost, manyCost]) => manyCost / fewCost)));
  }
  const problems = tables.flatMap(({ engine, fed }, which) =>
    differences(
      {
        tracked: engine.tracked,
        failures: engine.jailCounter(0, JAIL_FAILURES),
        matched: engine.counter(LINES_MATCHED),
        decisions: engine.counter(DECISIONS),
        evictions: engine.counter(EVICTIONS),
        denied: engine.counter(DENIED),
      },
      {
        tracked: which === 0 ? Math.min(few, entries) : entries,
        failures: fed,
        matched: fed,
        decisions: 0,
        evictions: 0,
        denied: denied[which]!,
      },
    ),
  );
  if (rounds > 1 && median(ratios) > manyRatioMax)
    problems.push(`a line costs ${median(ratios).toFixed(2)} times as much`);
  context.report({
    workload: 'live',
    counts: { slots: tables[1].engine.slots, entries, lines: count, rounds, foundNoPlace: denied[1]! },
    figures: [
      { name: 'few', unit: 'ns/line', values: costs[0] },
      { name: 'many', unit: 'ns/line', values: costs[1] },
      { name: 'ratio', unit: 'x', values: ratios },
    ],
    problems,
  });
}

/** What the table computes for a key with a seed, as published in table.ts: HalfSipHash-1-3. */
export function hashUnder([seed0, seed1]: [number, number], { family, bytes }: Address): number {
  const view = new DataView(bytes.buffer);
  const words = family === 4 ? [view.getInt32(12, true)] : [view.getInt32(0, true), view.getInt32(4, true)];
  let [v0, v1, v2, v3] = [seed0, seed1, 0x6c79_6765 ^ seed0, 0x7465_6462 ^ seed1];
  const turn = (x: number, bits: number): number => (x << bits) | (x >>> (32 - bits));
  const round = (): void => {
    v0 = (v0 + v1) | 0;
    v1 = turn(v1, 5) ^ v0;
    v0 = turn(v0, 16);
    v2 = (v2 + v3) | 0;
    v3 = turn(v3, 8) ^ v2;
    v0 = (v0 + v3) | 0;
    v3 = turn(v3, 7) ^ v0;
    v2 = (v2 + v1) | 0;
    v1 = turn(v1, 13) ^ v2;
    v2 = turn(v2, 16);
  };
  // The last word is the jail (the first one here) and the family.
  for (const word of [...words, family === 6 ? 1 : 0]) {
    v3 ^= word;
    round();
    v0 ^= word;
  }
  v2 ^= 255;
  for (let i = 0; i < 3; i++) round();
  return (v1 ^ v3) >>> 0;
}

/** An attacker aims at one of this many sets. */
const aimedEach = 128;

function aimed(seed: [number, number], count: number): Address[] {
  const found: Address[] = [];
  for (let n = 0; found.length < count; n++) {
    const address = source(n, true);
    if (hashUnder(seed, address) < 2 ** 32 / aimedEach) found.push(address);
  }
  return found;
}

const otherSeed: [number, number] = [0x1234_5678, 0x0bad_cafe];

/** The addresses of each flood, `count` different ones. */
const floods: Record<string, (count: number) => Address[]> = {
  random: (count) => Array.from({ length: count }, (_, n) => source(scattered(n), true)),
  sequential: (count) => Array.from({ length: count }, (_, n) => source(n, true)),
  // 10.x.y.7 and 2001:db8:x:y07::
  'same-low-bits': (count) =>
    Array.from({ length: count }, (_, n) => source(2 * (((n >> 1) * 256 + 7) | 0) + (n & 1), true)),
  // One set in 128 under a seed that the daemon could have, but has not.
  'aimed-at-seed-0': (count) => aimed([0, 0], count),
  'aimed-at-other-seed': (count) => aimed(otherSeed, count),
};

/**
 * Shows that the aim is right: under the seed it was made for, an empty table puts them where it
 * was taken at.
 */
async function checkAim(addresses: Address[], seed: [number, number], slots: number): Promise<string[]> {
  const engine = await engineWith(slots, seed, 'evict_oldest');
  const sets = engine.slots / TABLE_WAYS;
  const wide = addresses.filter(({ family, bytes }) => {
    const address: Address = { family, bytes, prefix: family === 4 ? 32 : 64 };
    engine.setBan(0, address, startTime, startTime + 600);
    const set = Math.floor(engine.banIndex(0, address) / TABLE_WAYS);
    engine.forget(0, address);
    return set > sets / aimedEach;
  });
  return wide.length === 0 ? [] : [`${wide.length} addresses are not where they were aimed`];
}

async function flood(context: Context): Promise<void> {
  const [slots, entries, count, rounds] = ['slots', 'entries', 'lines', 'rounds'].map(context.number) as [
    number,
    number,
    number,
    number,
  ];
  const blockBytes = (await engineWith(TABLE_WAYS, [1, 2], 'evict_oldest')).buffer.length;
  const usual = function* (): Generator<string> {
    for (let n = 0; n < entries; n++) yield line(source(scattered(n), false), startTime);
  };
  const before = packed(usual(), blockBytes);
  const names = Object.keys(floods).filter((name) => name === 'random' || context.wanted(`flood/${name}`));
  const addresses = Object.fromEntries(names.map((name) => [name, floods[name]!(count)]));
  const costs = Object.fromEntries(names.map((name) => [name, [] as number[]]));
  const evictions = Object.fromEntries(names.map((name) => [name, [] as number[]]));
  const problems = Object.fromEntries(names.map((name) => [name, [] as string[]]));
  problems['aimed-at-seed-0']?.push(...(await checkAim(addresses['aimed-at-seed-0']!, [0, 0], slots)));
  problems['aimed-at-other-seed']?.push(...(await checkAim(addresses['aimed-at-other-seed']!, otherSeed, slots)));
  for (let round = -1; round < rounds; round++) {
    for (const name of names) {
      const texts = packed(
        addresses[name]!.map((address) => line(address, startTime + 60)),
        blockBytes,
      );
      const engine = await engineWith(slots, [round + 11, ~round], 'evict_oldest');
      for (const { bytes } of before) feed(engine, bytes);
      const full = engine.counter(EVICTIONS);
      // The middle block: one that other work delayed does not count.
      const cost = median(texts.map((block) => timed(engine, block)));
      problems[name]!.push(
        ...differences(
          { failures: engine.jailCounter(0, JAIL_FAILURES), decisions: engine.counter(DECISIONS) },
          { failures: entries + count, decisions: 0 },
        ),
      );
      if (engine.tracked + engine.counter(EVICTIONS) !== entries + count)
        problems[name]!.push('a source is neither tracked nor counted as evicted');
      if (round < 0) continue;
      costs[name]!.push(cost);
      evictions[name]!.push(engine.counter(EVICTIONS) - full);
    }
  }
  for (const name of names) {
    const ratios = costs[name]!.map((cost, round) => cost / costs.random![round]!);
    const [evicted, usually] = [median(evictions[name]!), median(evictions.random!)];
    // Six standard deviations of the expected number.
    if (Math.abs(evicted - usually) > 6 * Math.sqrt(usually) + 6)
      problems[name]!.push(`${evicted} sources were evicted, ${usually} by random addresses`);
    if (rounds > 1 && median(ratios) > floodRatioMax)
      problems[name]!.push(`a line costs ${median(ratios).toFixed(2)} times as much as with random addresses`);
    context.report({
      workload: `flood/${name}`,
      counts: { slots, entries, lines: count, rounds, evictions: evicted },
      figures: [
        { name: 'cost', unit: 'ns/line', values: costs[name]! },
        ...(name === 'random' ? [] : [{ name: 'ratio', unit: 'x random', values: ratios }]),
      ],
      problems: [...new Set(problems[name]!)],
    });
  }
}

export const table: Benchmark = {
  name: 'table',
  says: `a line with many live entries against ${few}: at most ${manyRatioMax} times; with chosen addresses against random ones: ${floodRatioMax}`,
  options: {
    slots: { says: 'entries the table has room for', value: 800_000 },
    entries: { says: 'live entries', value: 700_000 },
    lines: { says: 'lines of a round', value: 32_768 },
    rounds: { says: 'rounds of each, interleaved; 1 = counts only', value: 15 },
  },
  async run(context) {
    if (context.wanted('live')) await manyEntries(context);
    if (Object.keys(floods).some((name) => context.wanted(`flood/${name}`))) await flood(context);
  },
};
