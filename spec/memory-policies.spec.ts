/**
 * The memory page, second part: the operator chooses what a full table does, and everything that
 * leaves the engine is bounded.
 */
import assert from 'node:assert/strict';
import { presentStats } from '../src/client/present.ts';
import { BAN_ALL_RUNS, DENIED, EVICTIONS, EVICTIONS_BANNED } from '../src/engine/counters.ts';
import { Engine } from '../src/engine/host.ts';
import { banBatchMax, decisionsMax, inputBytes, lineBytesMax } from '../src/limits.ts';
import { CeilingError, sizeTable as tableOf } from '../src/memory/ceiling.ts';
import type { Address, EvictionPolicy } from '../src/types.ts';
import { addressOf, v4 } from '../test/support/table-driver.ts';
import { until } from '../test/support/until.ts';
import { claim, given, type Supply, sabotaged, twin } from './claim.ts';
import { compileText, validConfig } from './support/configuration.ts';
import { type Pipeline, pipeline } from './support/pipeline.ts';
import { addressText, engineOf, epoch, failureLine, feedText, sourceAddress } from './support/tracker.ts';
import { watched } from './support/watched.ts';

const policies = ['evict_oldest', 'ban_all', 'drop_unbanned', 'deny_new', 'log_and_drop'] as const;

/**
 * What happened to a full set of eight (four banned sources, then four with one failure) when a
 * ninth source failed.
 */
interface Outcome {
  /** Whose place the new source took; 'nobody' if it found none. */
  gaveWay: string;
  denied: number;
  /** Whether the denial is passed on to be logged. */
  said: boolean;
  banAllDue: boolean;
  /** Whose ban ends for a new source if all are banned, and whether the enforcer is told. */
  ended: string;
}

const bannedOnes = ['198.51.100.1', '198.51.100.2', '198.51.100.3', '198.51.100.4'];
const openOnes = ['198.51.100.5', '198.51.100.6', '198.51.100.7', '198.51.100.8'];
const newcomer = '198.51.100.9';

/** An engine of one set, as a configuration with this policy makes it. */
async function engineUnder(evictionPolicy: EvictionPolicy): Promise<Engine> {
  return engineOf({ slots: 8, maxretry: [2], evictionPolicy });
}

function bans(engine: Engine): number {
  return engine.takeDecisions(() => {});
}

async function outcomeUnder(evictionPolicy: EvictionPolicy): Promise<Outcome> {
  const engine = await engineUnder(evictionPolicy);
  let connection = 0;
  const fail = (address: string, second: number) =>
    feedText(engine, failureLine(address, epoch + second, connection++), epoch + second);
  for (const address of bannedOnes) {
    fail(address, 0);
    fail(address, 0);
    engine.confirmBan(0, addressOf(v4(address)));
  }
  for (const [index, address] of openOnes.entries()) fail(address, 1 + index);
  bans(engine);
  fail(newcomer, 10);
  const { banAllDue } = engine;
  const denied = engine.counter(DENIED);
  const said: string[] = [];
  engine.takeDenials(({ address }) => void said.push(addressText(address)));
  const lost = bannedOnes.filter((address) => !engine.isBanned(0, addressOf(v4(address))));
  // A second failure bans every remembered source; the forgotten one is tried last.
  for (const address of openOnes.toReversed()) {
    fail(address, 11);
    if (bans(engine) === 0) lost.push(address);
  }
  const ended = await endedUnder(evictionPolicy);
  return { gaveWay: lost.join(' ') || 'nobody', denied, said: said.includes(newcomer), banAllDue, ended };
}

/** A new source in a set of eight sources whose bans the kernel holds. */
async function endedUnder(evictionPolicy: EvictionPolicy): Promise<string> {
  const engine = await engineUnder(evictionPolicy);
  const all = [...bannedOnes, ...openOnes];
  for (const [second, address] of all.entries()) {
    for (let i = 0; i < 2; i++) feedText(engine, failureLine(address, epoch + second, 2 * second + i), epoch + second);
    engine.confirmBan(0, addressOf(v4(address)));
  }
  feedText(engine, failureLine(newcomer, epoch + 10, 99), epoch + 10);
  const lost = all.filter((address) => !engine.isBanned(0, addressOf(v4(address))));
  engine.takeDenials(({ address }) => {
    if (lost.includes(addressText(address))) lost.push('told');
  });
  return lost.join(', ') || 'nobody';
}

const refused = { gaveWay: 'nobody', denied: 1, said: false, banAllDue: false, ended: 'nobody' };
const expectedOutcomes: Record<EvictionPolicy, Outcome> = {
  evict_oldest: { ...refused, gaveWay: openOnes[0]!, denied: 0, ended: `${bannedOnes[0]}, told` },
  drop_unbanned: { ...refused, gaveWay: openOnes[0]!, denied: 0 },
  deny_new: refused,
  log_and_drop: { ...refused, said: true },
  ban_all: { ...refused, banAllDue: true },
};

/** What a full table does under a configuration. */
type FullTable = (text: string) => Promise<Outcome>;
const fullTable: FullTable = (text) => outcomeUnder(compileText(text).memory.evictionPolicy);

claim(
  ['MM-17', 'D-01b'],
  given<FullTable>(fullTable),
  async (full) => {
    for (const policy of policies) {
      const text = `[memory]\neviction_policy = "${policy}"\n${validConfig}`;
      assert.deepEqual(await full(text), expectedOutcomes[policy], `a full table under ${policy}`);
    }
    assert.deepEqual(await full(validConfig), expectedOutcomes.evict_oldest, 'a full table without the key');
    return `${policies.join(', ')}: a set of 4 banned and 4 open sources gives up, denies, says or bans as each promises`;
  },
  [
    twin(
      'a reader that ignores the key',
      given<FullTable>(() => fullTable(validConfig)),
      /a full table under ban_all/,
    ),
    twin(
      'log_and_drop that says nothing',
      given<FullTable>((text) => fullTable(text.replace('log_and_drop', 'deny_new'))),
      /a full table under log_and_drop/,
    ),
    twin(
      'drop_unbanned that drops a ban',
      given<FullTable>((text) => fullTable(text.replace('drop_unbanned', 'evict_oldest'))),
      /a full table under drop_unbanned/,
    ),
    twin(
      'ban_all that only denies',
      given<FullTable>((text) => fullTable(text.replace('ban_all', 'deny_new'))),
      /a full table under ban_all/,
    ),
  ],
);

/** The core of a daemon with 64 entries under a policy. */
function policyPipeline(policy: EvictionPolicy): Supply<Pipeline> {
  const text = `[memory]\neviction_policy = "${policy}"\n${validConfig}maxretry = 2\nignoreself = false\n`;
  return { make: () => pipeline({ text, slots: 64 }), dispose: ({ enforcer }) => enforcer.stop() };
}

claim(
  'MM-19',
  policyPipeline('ban_all'),
  async ({ engine, fail, backend }) => {
    const tracked: string[] = [];
    for (let i = 0; i < 10_000 && !engine.banAllDue && engine.counter(EVICTIONS) === 0; i++) {
      const before = engine.tracked;
      // Fed without waking the enforcer, to examine the moment when the table is full.
      feedText(engine, failureLine(sourceAddress(i), Math.floor(Date.now() / 1000), i), Date.now() / 1000);
      if (engine.tracked > before) tracked.push(`sshd ${sourceAddress(i)}`);
    }
    assert.ok(tracked.length >= 8, 'the table was never full');
    assert.equal(backend.held.size, 0, 'somebody is banned before the table is full');
    fail('192.0.2.1');
    await until(() => engine.counter(BAN_ALL_RUNS) === 1 && !engine.banAllDue && engine.tracked <= 1, {
      what: 'an empty table',
      withinMs: 2_000,
    }).catch(() => {});
    const banned = [...backend.held.keys()].filter((key) => key !== 'sshd 192.0.2.1').sort();
    assert.deepEqual(banned, tracked.toSorted(), 'sources banned in the kernel');
    assert.ok(engine.tracked <= 1, `${engine.tracked} sources are tracked afterwards`);
    fail('192.0.2.2');
    assert.ok(engine.tracked >= 1, 'the table does not start over');
    return `a set was full at ${tracked.length} sources: all ${tracked.length} banned, the table empty, and counting again`;
  },
  [
    twin('a table that gives up the oldest', policyPipeline('evict_oldest'), /sources banned in the kernel/),
    twin('a table that denies', policyPipeline('deny_new'), /sources banned in the kernel/),
  ],
);

claim(
  'MM-20',
  { make: () => engineUnder('drop_unbanned') },
  (engine) => {
    const known = bannedOnes.map((text): Address => addressOf(v4(text)));
    let connection = 0;
    for (const address of [...bannedOnes, ...bannedOnes])
      feedText(engine, failureLine(address, epoch, connection++), epoch);
    for (const address of known) engine.confirmBan(0, address);
    assert.equal(bans(engine), bannedOnes.length);
    // The last hundred come a second apart, so the last four are the ones that stay.
    for (let i = 0; i < 2_000; i++) {
      const time = epoch + 1 + Math.max(0, i - 1_900);
      feedText(engine, failureLine(sourceAddress(i), time, connection++), time);
    }
    const held = known.filter((address) => engine.isBanned(0, address)).length;
    assert.equal(held, known.length, 'bans still remembered after the flood');
    assert.equal(engine.counter(EVICTIONS_BANNED), 0, 'bans given up');
    assert.equal(engine.counter(EVICTIONS), 2_000 - 4, 'sources below the threshold given up');
    // The four tracked sources are banned as well: then nobody is evicted.
    const others = [1_996, 1_997, 1_998, 1_999].map(sourceAddress);
    for (const address of others) {
      feedText(engine, failureLine(address, epoch + 100, connection++), epoch + 100);
      engine.confirmBan(0, addressOf(v4(address)));
    }
    feedText(engine, failureLine(newcomer, epoch + 101, connection++), epoch + 101);
    assert.equal(engine.counter(DENIED), 1, 'newcomers denied where all are banned');
    assert.equal(engine.counter(EVICTIONS_BANNED), 0, 'bans given up for a newcomer');
    return `${known.length} bans, then 2,000 newcomers: ${held} kept, ${engine.counter(EVICTIONS)} sources below the threshold given up; where all are banned, ${engine.counter(DENIED)} newcomer denied`;
  },
  [
    twin(
      'a table that gives up the oldest',
      { make: () => engineUnder('evict_oldest') },
      /newcomers denied where all are banned/,
    ),
    twin(
      'a table that denies newcomers',
      { make: () => engineUnder('deny_new') },
      /sources below the threshold given up/,
    ),
  ],
);

/** Makes a table for this many bytes; returns what it became. */
type SizeTable = (
  bytes: number,
) => Promise<{ slots: number; slotBytes: number; memoryBytes: number; memories: number }>;

/** The engine, with every memory that it requests counted. */
const sizeTable: SizeTable = async (bytes) => {
  const global = globalThis as unknown as { WebAssembly: { Memory: new (descriptor: object) => object } };
  const Original = global.WebAssembly.Memory;
  let memories = 0;
  global.WebAssembly.Memory = class extends Original {
    constructor(descriptor: object) {
      super(descriptor);
      memories++;
    }
  };
  try {
    const jail = { filter: 'sshd', mode: '', maxretry: 5, findtime: 600, bantime: 3_600, ipv6Prefix: 64, ignore: [] };
    const { slots, slotBytes, memoryBytes } = await Engine.create({ jails: [jail], tableBytes: bytes, now: epoch });
    // Not a finding: the plain engine has no WebAssembly memory.
    if (memories === 0) throw new Error('not the engine whose memory is to be counted');
    return { slots, slotBytes, memoryBytes, memories };
  } finally {
    global.WebAssembly.Memory = Original;
  }
};

const mebibyte = 1024 * 1024;

/** What a ceiling leaves for the table beside the lists, and that a start beyond it is refused. */
function assertLeft(): void {
  const resident = { all: 60 * mebibyte, anonymous: 12 * mebibyte, file: 48 * mebibyte };
  const heap = { committed: 6 * mebibyte, limit: 19 * mebibyte };
  const left = (ceiling: number, lists = 0, peak = resident.all) =>
    tableOf(ceiling * mebibyte, mebibyte, resident, peak, heap, lists * mebibyte).table / mebibyte;
  assert.equal(left(80) - left(64), 16, 'a ceiling that is 16 MiB higher');
  assert.equal(left(80) - left(80, 7), 7, 'lists of 7 MiB');
  assert.throws(() => left(64, 0, 65 * mebibyte), CeilingError, 'a start beyond the ceiling goes on');
}

claim(
  ['MM-05', 'MM-11', 'LP-23'],
  given<SizeTable>(sizeTable),
  async (make) => {
    assertLeft();
    const sizes = [1, 4, 16, 32];
    const fixed = (await make(0)).memoryBytes;
    for (const size of sizes) {
      const { slots, slotBytes, memoryBytes, memories } = await make(size * mebibyte);
      assert.equal(memories, 1, `blocks of memory for ${size} MiB`);
      const expected = Math.floor((size * mebibyte) / (slotBytes * 8)) * 8;
      assert.equal(slots, expected, `slots in ${size} MiB of slots of ${slotBytes} bytes`);
      const rest = memoryBytes - slots * slotBytes;
      assert.ok(Math.abs(rest - fixed) <= 65_536, `beside a table of ${size} MiB the block takes ${rest} bytes`);
    }
    return `${sizes.join(', ')} MiB: one block each, made before any line, slots = bytes / slot size, in sets of 8`;
  },
  [
    twin(
      'a table that starts small',
      given<SizeTable>(() => sizeTable(mebibyte)),
      /beside a table of|slots in/,
    ),
    twin(
      'a table in pieces',
      given<SizeTable>(async (bytes) => ({ ...(await sizeTable(bytes)), memories: Math.ceil(bytes / mebibyte) + 1 })),
      /blocks of memory for/,
    ),
    twin(
      'a table that takes more than it was given',
      given<SizeTable>((bytes) => sizeTable(bytes * 2)),
      /slots in 1 MiB/,
    ),
  ],
);

/** How much a flood left waiting at each stage, against the bound of that stage. */
interface Waiting {
  lineBytes: number;
  readBytes: number;
  decisions: number;
  batch: number;
}

/** 10,000 sources are banned at their first failure while the kernel answers late. */
async function flood(): Promise<Waiting> {
  const made = await pipeline({ slots: 262_144 });
  const { engine, enforcer, backend } = made;
  const { apply } = backend;
  let decisions = 0;
  backend.apply = async (changes) => {
    await new Promise((resolve) => setImmediate(resolve));
    return apply(changes);
  };
  const now = Math.floor(Date.now() / 1000);
  const { length: readBytes } = engine.buffer;
  for (let i = 0; i < 10_000; i += 500) {
    let text = '';
    for (let n = i; n < i + 500; n++) text += failureLine(sourceAddress(n), now, n);
    for (let left = Buffer.from(text); left.length > 0; ) {
      engine.buffer.set(left);
      const consumed = engine.feed(0, left.length, 0, now, true);
      decisions = Math.max(decisions, engine.waiting);
      left = left.subarray(consumed);
      if (consumed === 0) await new Promise((resolve) => setImmediate(resolve));
      enforcer.wake();
    }
  }
  // If the ring holds more than it has room for, some were lost.
  await until(() => enforcer.counters.bans[0] === 10_000 || decisions > decisionsMax, { what: 'all bans' });
  await enforcer.stop();
  const longest = await longestLine();
  return { lineBytes: longest, readBytes, decisions, batch: Math.max(...backend.batches) };
}

/** The longest prefix of an endless line in which an address still counts, bytes. */
async function longestLine(): Promise<number> {
  const engine = await engineOf({ filter: 'nginx-limit-req', maxretry: [1], findtime: 10_000_000 });
  const stamp = new Date(epoch * 1000).toISOString().slice(0, 19).replaceAll('-', '/').replace('T', ' ');
  let longest = 0;
  for (let zone = lineBytesMax - 300; zone < lineBytesMax; zone++) {
    const address = sourceAddress(zone);
    const line = `${stamp} [error] 811#811: *42 limiting requests, excess: 5.120 by zone "${'z'.repeat(zone)}", client: ${address},`;
    feedText(engine, `${line} server: example.org, request: "GET / HTTP/1.1", host: "example.org"\n`, epoch);
    if (bans(engine) > 0) longest = Math.max(longest, line.length);
  }
  return longest;
}

claim(
  'MM-04',
  given<() => Promise<Waiting>>(flood),
  async (run) => {
    const { lineBytes, readBytes, decisions, batch } = await run();
    assert.ok(lineBytes <= lineBytesMax && lineBytes > lineBytesMax / 2, `${lineBytes} bytes of a line are read`);
    assert.equal(readBytes, inputBytes, 'bytes of the read buffer');
    assert.ok(decisions <= decisionsMax && decisions > 0, `${decisions} decisions waited`);
    assert.ok(batch <= banBatchMax && batch > 1, `${batch} bans in one transaction`);
    return (
      `10,000 bans in a rush: at most ${decisions} decisions waiting (bound ${decisionsMax}), ${batch} in a transaction ` +
      `(${banBatchMax}), reads of ${readBytes} bytes, lines up to ${lineBytes} (${lineBytesMax})`
    );
  },
  [
    sabotaged('a full ring of decisions is written over', /decisions waited/),
    sabotaged('batches of any size go to the kernel', /bans in one transaction/),
  ],
);

claim(
  'MM-27',
  watched((made) => made, 64),
  async ({ fail, engine, operator }) => {
    for (let i = 0; i < 2_000; i++) {
      fail(sourceAddress(i));
      // The kernel confirms what was decided, and ends the bans of evicted entries.
      if (i % 4 === 0) await until(() => engine.waiting === 0 && !engine.hasDenials, { what: 'an idle enforcer' });
    }
    const evictions = engine.counter(EVICTIONS);
    assert.ok(evictions > 1_000, `${evictions} evictions in a table of 64`);
    const shown = presentStats(await operator.stats());
    const figure = (name: string): number => Number(new RegExp(`^${name}:\\s+(\\d+)$`, 'm').exec(shown)?.[1]);
    assert.equal(figure('evictions\\.total'), evictions, 'evictions.total as the client prints it');
    assert.equal(figure('evictions\\.per_minute'), evictions, 'evictions.per_minute in the first minute');
    return `2,000 sources through 64 entries: evictions.total ${evictions}, evictions.per_minute ${evictions}, as the client prints them`;
  },
  [
    sabotaged('evictions a minute are always none', /evictions.per_minute in the first minute/),
    sabotaged('a source that is given up is not counted', /0 evictions in a table of 64/),
  ],
);

/** Addresses that leave the engine for sources written in different ways. */
type Leaves = (texts: string[]) => Promise<Address[]>;

const leaves: Leaves = async (texts) => {
  const engine = await engineOf({ maxretry: [1], ipv6Prefix: 128 });
  const found: Address[] = [];
  for (const [index, text] of texts.entries()) feedText(engine, failureLine(text, epoch, index), epoch);
  engine.takeDecisions(({ address }) => void found.push(address));
  return found;
};

claim(
  'MM-24',
  given<Leaves>(leaves),
  async (leave) => {
    const texts = [
      '1.2.3.4',
      '203.0.113.255',
      '2001:db8::1',
      '2001:db8:1111:2222:3333:4444:5555:6666',
      '::ffff:192.0.2.1',
    ];
    const found = await leave(texts);
    assert.equal(found.length, texts.length);
    for (const [index, { bytes }] of found.entries()) {
      assert.ok(bytes instanceof Uint8Array && bytes.length === 16, `${texts[index]} is no record of 16 bytes`);
    }
    assert.deepEqual(
      found.map(({ family }) => family),
      [4, 4, 6, 6, 4],
    );
    return `${texts.length} spellings of 7 to 38 characters: 16 bytes and a family each`;
  },
  [
    sabotaged('an address leaves with the four bytes of IPv4 only', /is no record of 16 bytes/),
    twin(
      'addresses that stay text',
      given<Leaves>(async (texts) =>
        texts.map((text) => ({ family: text.includes('.') ? 4 : 6, bytes: Buffer.from(text), prefix: 32 })),
      ),
      /is no record of 16 bytes/,
    ),
  ],
);
