/**
 * The memory page: one ceiling, a block that cannot grow, a table that evicts by policy.
 */
import assert from 'node:assert/strict';
import type { NetworkInterfaceInfo } from 'node:os';
import { GCProfiler } from 'node:v8';
import { Ignored } from '../src/enforcer/ignored.ts';
import type { Address } from '../src/types.ts';
import { claim, given, type Supply, sabotaged, twin } from './claim.ts';
import { compileText, validConfig } from './support/configuration.ts';
import {
  engineOf,
  engineTracker,
  epoch,
  failureLine,
  feedText,
  sourceAddress,
  type Tracker,
} from './support/tracker.ts';
import { growingTracker } from './twins/tables.ts';

const mebibyte = 1024 * 1024;
type CeilingOf = (text: string) => number;
const ceilingOf: CeilingOf = (text) => compileText(text).memory.ceilingBytes;

claim(
  'MM-06',
  given(ceilingOf),
  (ceiling) => {
    assert.equal(ceiling(validConfig), 64 * mebibyte, 'the default');
    for (const megabytes of [48, 96, 512]) {
      const text = `[memory]\nceiling = "${megabytes}MB"\n${validConfig}`;
      assert.equal(ceiling(text), megabytes * mebibyte, `${megabytes}MB`);
    }
    return 'absent: 67108864 bytes; 48MB, 96MB and 512MB as written';
  },
  [
    sabotaged('the ceiling without a key is twice as high', /^the default/),
    twin(
      'a reader that ignores the key',
      given<CeilingOf>(() => ceilingOf(validConfig)),
      /48MB/,
    ),
  ],
);

const slots = 1_024;

/** A dictionary, where the real table has this many entries, five failures and ten minutes. */
const growing = (entries = slots): Supply<Tracker> => given(growingTracker(entries, 5, 600));

/** The links of a host with one address. */
function linksOf(cidr: string): readonly Address[] {
  const info = { address: cidr.split('/')[0], cidr, internal: false } as NetworkInterfaceInfo;
  return new Ignored([], () => ({ eth0: [info] })).links;
}

/** A link narrower than the prefix that is banned: others share that. */
const sharing = { slots: 8_192, maxretry: [5, 5], shared: linksOf('2001:db8:5:5::1/80') };

claim(
  'MM-03',
  engineTracker(sharing),
  (tracker) => {
    for (let round = 0; round < 3; round++) {
      for (let i = 0; i < 100; i++) tracker.fail(sourceAddress(i), epoch + round);
    }
    // One IPv6 customer, many addresses of the same /64; an IPv4-mapped address is its IPv4
    // address.
    for (let i = 1; i <= 50; i++) tracker.fail(`2001:db8:0:1::${i.toString(16)}`, epoch);
    tracker.fail('::ffff:198.18.0.1', epoch);
    assert.equal(tracker.tracked(), 2 * 101, 'slots taken by 101 sources in 2 jails');
    // Hosts of one link, of one NAT64 and of Teredo are one source each, one customer of 6to4 is
    // one.
    const shared = ['2001:db8:5:5::', '2001:db8:5:5:1::', 'fe80::', '64:ff9b::', '2001:0:c000:201::'];
    for (const prefix of shared) for (const host of ['a', 'b', 'a']) tracker.fail(`${prefix}${host}`, epoch);
    assert.equal(tracker.tracked(), 2 * (101 + 10), 'slots taken with two hosts of four shared networks');
    for (const subnet of ['1', '2', '3']) tracker.fail(`2002:c000:201:${subnet}::1`, epoch);
    assert.equal(tracker.tracked(), 2 * (101 + 10 + 1), 'slots taken with a customer of 6to4');
    return '351 failures of 100 IPv4 sources and one /64, 15 of 10 hosts of shared networks, 3 of one 6to4 customer, in 2 jails: 224 slots';
  },
  [
    sabotaged('a mapped address stays IPv6', /slots taken by 101 sources/),
    twin(
      'an entry for each IPv6 address',
      engineTracker({ ...sharing, ipv6Prefix: 128 }),
      /slots taken by 101 sources/,
    ),
    twin(
      'an engine that does not know the links of its host',
      engineTracker({ ...sharing, shared: [] }),
      /two hosts of four shared networks/,
    ),
  ],
);

claim(
  ['MM-12', 'MM-14'],
  engineTracker({ slots }),
  (tracker) => {
    const before = [tracker.slots(), tracker.slotBytes()];
    assert.ok(tracker.slotBytes() <= 48, `a slot takes ${tracker.slotBytes()} bytes`);
    for (let i = 0; i < slots * 20; i++) tracker.fail(sourceAddress(i), epoch + (i >> 10));
    assert.deepEqual([tracker.slots(), tracker.slotBytes()], before, 'slots and their size');
    assert.ok(tracker.tracked() <= slots, `${tracker.tracked()} entries in ${slots} slots`);
    return `${slots * 20} sources into ${slots} slots of ${tracker.slotBytes()} bytes: still ${tracker.slots()} slots`;
  },
  [
    sabotaged('a slot takes 64 bytes', /a slot takes 64 bytes/),
    twin('a dictionary that grows', growing(), /slots and their size/),
  ],
);

claim(
  ['MM-10', 'FM-4'],
  engineTracker({ slots }),
  (tracker) => {
    const sources = slots * 20;
    for (let i = 0; i < sources; i++) tracker.fail(sourceAddress(i), epoch + (i >> 10));
    assert.ok(tracker.tracked() <= slots, 'more entries than slots');
    assert.equal(tracker.tracked() + tracker.evicted(), sources, 'entries in use and entries given up');
    // The full table continues to decide.
    for (let i = 0; i < 5; i++) tracker.fail('192.0.2.7', epoch + 100 + i);
    assert.deepEqual(
      tracker.take().map(({ address }) => address),
      ['192.0.2.7'],
    );
    return `${sources} sources: ${tracker.tracked()} tracked, ${sources - tracker.tracked()} given up and counted`;
  },
  [
    sabotaged('a source that is given up is not counted', /entries in use and entries given up/),
    twin('a table that grows instead', growing(), /more entries than slots/),
  ],
);

claim(
  ['MM-18', 'MM-30', 'MM-31'],
  engineTracker({ slots: 8 }),
  (tracker) => {
    assert.equal(compileText(validConfig).memory.evictionPolicy, 'evict_oldest', 'the default policy');
    // Four failures each, one short of a ban; the eight seen last stay, so a fifth failure bans
    // them and nobody else.
    for (let i = 0; i < 40; i++) {
      for (let failure = 0; failure < 4; failure++) tracker.fail(sourceAddress(i), epoch + i);
    }
    for (let i = 39; i >= 32; i--) tracker.fail(sourceAddress(i), epoch + 60);
    const kept = tracker.take().map(({ address }) => address);
    assert.deepEqual(kept, [39, 38, 37, 36, 35, 34, 33, 32].map(sourceAddress), 'the sources seen last');
    for (let i = 0; i < 32; i++) tracker.fail(sourceAddress(i), epoch + 61);
    assert.deepEqual(tracker.take(), [], 'sources seen long ago were remembered');
    return `40 sources through ${tracker.slots()} slots: the ${kept.length} seen last are remembered, ${40 - kept.length} before them forgotten`;
  },
  [
    sabotaged('the newest source makes room', /the sources seen last/),
    twin('a table that grows instead of giving up', growing(8), /the sources seen last|were remembered/),
    twin('another policy', engineTracker({ slots: 8, evictionPolicy: 'deny_new' }), /the sources seen last/),
  ],
);

/** Numbers that look random and are the same in each run (a linear congruential generator). */
function* numbers(seed: number): Generator<number> {
  for (let state = seed >>> 0; ; ) {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    yield state / 2 ** 32;
  }
}

/**
 * The plainest reading of maxretry and findtime: ban at the failure that makes `maxretry` within
 * `findtime`.
 */
function expectedBans(failures: { address: string; time: number }[], maxretry: number, findtime: number) {
  const bans: { address: string; time: number }[] = [];
  const past = new Map<string, number[]>();
  for (const { address, time } of failures) {
    if (bans.some((ban) => ban.address === address)) continue;
    const times = [...(past.get(address) ?? []), time];
    past.set(address, times);
    if (times.filter((earlier) => time - earlier <= findtime).length >= maxretry) bans.push({ address, time });
  }
  return bans;
}

/** Failures at the edges of a window and of a ban: two in ten minutes, banned for an hour. */
function atEdges(tracker: Tracker): string[] {
  const fail = (address: string, ...seconds: number[]): void => {
    for (const second of seconds) tracker.fail(address, epoch + second);
  };
  // Lines that come late: one by no more than findtime.
  fail('192.0.2.1', 10_000, 9_400);
  fail('192.0.2.2', 10_000, 9_399);
  // The second in which a ban ends is the first that counts again.
  fail('192.0.2.3', 20_000, 20_000, 23_600, 23_601);
  fail('192.0.2.4', 20_000, 20_000, 23_599, 23_601);
  fail('192.0.2.4', 24_300);
  const strict = tracker.take().filter(({ jail }) => jail === 1);
  return strict.map(({ address, time }) => `${address} ${time - epoch}`).filter((ban) => ban !== '192.0.2.4 20000');
}

claim(
  'MM-25',
  engineTracker({ slots: 16_384, maxretry: [5, 2] }),
  (tracker) => {
    const random = numbers(25);
    const failures: { address: string; time: number }[] = [];
    for (let i = 0; i < 6_000; i++) {
      const address = sourceAddress(Math.floor((random.next().value ?? 0) * 900));
      failures.push({ address, time: epoch + Math.floor(i / 2) });
    }
    // At the edge of the window: one counts by a second, the other does not.
    const edges = [sourceAddress(900), sourceAddress(901)];
    for (const address of edges) failures.push({ address, time: epoch + 3_000 });
    for (const [index, address] of edges.entries()) failures.push({ address, time: epoch + 3_600 + index });
    for (const { address, time } of failures) tracker.fail(address, time);
    const found = tracker.take();
    const counts = [5, 2].map((maxretry, index) => {
      const bans = found.filter(({ jail }) => jail === index).map(({ address, time }) => ({ address, time }));
      const expected = expectedBans(failures, maxretry, 600);
      assert.ok(expected.length > 100, 'too few bans to tell anything');
      assert.deepEqual(bans, expected, `bans at failure ${maxretry}`);
      return expected.length;
    });
    assert.deepEqual(atEdges(tracker), ['192.0.2.1 10000', '192.0.2.3 20000', '192.0.2.3 23601'], 'bans at the edges');
    return `${failures.length} failures of 902 sources: each of ${counts.join(' and ')} bans at exactly the failure that makes five, and two, in ten minutes`;
  },
  [
    sabotaged('failures outside the window count', /^bans/),
    sabotaged('the window is one second short', /^bans/),
    sabotaged('a ban takes one failure more than maxretry', /^bans/),
  ],
);

interface MemoryPiece {
  initial: number;
  maximum: number | undefined;
  memory: WebAssemblyMemory;
  feed: () => void;
}
interface WebAssemblyMemory {
  buffer: ArrayBuffer;
  grow(pages: number): number;
}
interface WebAssemblyWithMemory {
  Memory: new (descriptor: { initial: number; maximum?: number }) => WebAssemblyMemory;
}

/** Creates an engine and keeps the memory that it requests. `change` may spoil the request. */
async function memoryOf(change: (descriptor: { initial: number; maximum?: number }) => void): Promise<MemoryPiece> {
  const global = globalThis as unknown as { WebAssembly: WebAssemblyWithMemory };
  const Original = global.WebAssembly.Memory;
  const asked: { descriptor: { initial: number; maximum?: number }; memory: WebAssemblyMemory }[] = [];
  global.WebAssembly.Memory = class extends Original {
    constructor(descriptor: { initial: number; maximum?: number }) {
      change(descriptor);
      super(descriptor);
      asked.push({ descriptor, memory: this });
    }
  };
  try {
    const engine = await engineOf({ slots: 65_536 });
    const last = asked.at(-1);
    if (last === undefined) throw new Error('the engine asked for no memory');
    const { initial, maximum } = last.descriptor;
    let i = 0;
    const feed = () => feedText(engine, failureLine(sourceAddress(i++), epoch, i), epoch);
    return { initial, maximum, memory: last.memory, feed };
  } finally {
    global.WebAssembly.Memory = Original;
  }
}

claim(
  ['MM-09', 'WHY-11'],
  { make: () => memoryOf(() => {}) },
  ({ initial, maximum, memory, feed }) => {
    assert.equal(maximum, initial, 'maximum pages of the engine memory');
    const before = memory.buffer.byteLength;
    assert.throws(() => memory.grow(1), RangeError, 'the memory grows');
    for (let i = 0; i < 4_000; i++) feed();
    assert.equal(memory.buffer.byteLength, before, 'bytes after 4,000 sources');
    return `${initial} pages of 64 KiB, initial = maximum; growing by one page is refused by the virtual machine`;
  },
  [
    twin(
      'a memory without a maximum',
      { make: () => memoryOf((descriptor) => delete descriptor.maximum) },
      /maximum pages of the engine memory/,
    ),
    twin(
      'a memory that may double',
      {
        make: () =>
          memoryOf((descriptor) => {
            descriptor.maximum = descriptor.initial * 2;
          }),
      },
      /maximum pages of the engine memory/,
    ),
  ],
);

interface HotPath {
  /** Feeds a block of lines; returns how many. */
  feed: () => number;
}

/**
 * The engine over a block of lines of known sources; `alsoDo` is what a twin does with each block.
 */
async function hotPath(alsoDo: (text: Uint8Array) => void): Promise<HotPath> {
  const engine = await engineOf({ maxretry: [16], findtime: 1 });
  let text = '';
  let lines = 0;
  for (; text.length < engine.buffer.length - 200; lines++) {
    text += failureLine(sourceAddress(lines % 500), epoch + lines * 2, lines);
  }
  const bytes = new TextEncoder().encode(text);
  return {
    feed() {
      engine.buffer.set(bytes);
      const consumed = engine.feed(0, bytes.length, 0, epoch + lines * 2, true);
      if (consumed !== bytes.length) throw new Error('the engine stopped early');
      alsoDo(bytes);
      return lines;
    },
  };
}

claim(
  ['MM-22', 'MM-07', 'MM-08', 'PE-03'],
  { make: () => hotPath(() => {}) },
  async ({ feed }) => {
    for (let i = 0; i < 200; i++) feed();
    const profiler = new GCProfiler();
    profiler.start();
    const before = process.memoryUsage().heapUsed;
    let lines = 0;
    while (lines < 1_000_000) lines += feed();
    const grown = process.memoryUsage().heapUsed - before;
    const collections = profiler.stop()?.statistics.length ?? 0;
    // A collection would hide growth, so there must be none; the loop itself leaves far less than a
    // byte a line.
    assert.ok(collections === 0, `${collections} garbage collections`);
    assert.ok(grown < lines / 8, `the heap grew by ${grown} bytes over ${lines} lines`);
    return `${lines} lines: 0 garbage collections, heap +${grown} bytes (${(grown / lines).toFixed(4)} per line)`;
  },
  [
    twin(
      'a path that makes a string of each line',
      {
        make: () => hotPath((bytes) => void new TextDecoder().decode(bytes).split('\n').length),
      },
      /garbage collections|the heap grew/,
    ),
  ],
);
