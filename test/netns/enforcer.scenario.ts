/**
 * Enforcer and backends together, against the real kernel and other programs that use it. Run by
 * enforcer.test.ts.
 */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { writeFileSync } from 'node:fs';
import { KernelError } from '../../src/backends/kernel-error.ts';
import { NetlinkSocket, openTransport } from '../../src/backends/netlink/socket.ts';
import { decodeGeneration } from '../../src/backends/nftables/decode.ts';
import { Batch, encodeQuestion } from '../../src/backends/nftables/messages.ts';
import { NftablesBackend } from '../../src/backends/nftables/nftables.ts';
import { command } from '../../src/backends/nftables/numbers.ts';
import { Pacer } from '../../src/backends/nftables/pacer.ts';
import { XdpBackend } from '../../src/backends/xdp/xdp.ts';
import { IpsetBackend } from '../../src/backends/xtables/ipset.ts';
import { IptablesBackend } from '../../src/backends/xtables/iptables.ts';
import { formatAddress } from '../../src/text/address.ts';
import type { Backend } from '../../src/types.ts';
import { bansOf } from '../support/bans-of.ts';
import { enforce } from '../support/enforcement.ts';
import { answerScenario, type Scenario } from '../support/namespace.ts';
import { until } from '../support/until.ts';
import { nft, nftElements } from './topology.ts';

const table = 'fail2zig';
const elements = () => nftElements(table, 'ban4-sshd');
const address = (n: number) => `10.${n >> 16}.${(n >> 8) & 255}.${n & 255}`;

const jail = { name: 'sshd', ipv6Prefix: 64, ports: [], protocols: [], hooks: ['input' as const] };

async function enforced(build: 'plain' | 'wasm' = 'plain', pacer?: Pacer) {
  const backend = new NftablesBackend({ table, ...(pacer && { pacer }) });
  await backend.install([jail]);
  return { backend, ...(await enforce(backend, undefined, { tableBytes: 8 << 20, build })) };
}

/**
 * Loads `count` elements into another program's table, as an operator would; returns the
 * milliseconds.
 */
async function load(count: number): Promise<number> {
  const members = Array.from({ length: count }, (_, n) => `172.${16 + (n >> 16)}.${(n >> 8) & 255}.${n & 255}`);
  const rules = `/run/rules-${count}.nft`;
  writeFileSync(
    rules,
    `table inet other\ndelete table inet other\ntable inet other {\n set s {\n type ipv4_addr\n elements = { ${members.join(', ')} }\n }\n}\n`,
  );
  const started = performance.now();
  const child = spawn('nft', ['-f', rules], { stdio: ['ignore', 'inherit', 'inherit'] });
  const [code] = await once(child, 'exit');
  assert.equal(code, 0);
  return performance.now() - started;
}

/**
 * A backend with room for few bans, the number of IPv4 bans that fit, and the kernel's error for
 * one more.
 */
const small: Record<string, { create: () => Backend; room: number; code: string }> = {
  nftables: { create: () => new NftablesBackend({ table, setElementsMax: 3 }), room: 3, code: 'ENFILE' },
  // The kernel counts in each part of a set, in steps of a thousand: a set is full a little later
  // than its size says.
  ipset: { create: () => new IpsetBackend({ setElementsMax: 64 }), room: 64, code: 'IPSET_ERR_HASH_FULL' },
  xdp: { create: () => new XdpBackend({ interfaces: ['lo'], bansMax: 3 }), room: 3, code: 'E2BIG' },
};

/**
 * One ban too many: it stays decided and visible, others continue, and it reaches the kernel once
 * there is room.
 */
function fullSet({ create, room, code }: (typeof small)[string]): Scenario {
  return async () => {
    const backend = create();
    await backend.install([jail]);
    const { attack, enforcer, engine } = await enforce(backend);
    const held = async () => (await bansOf(backend)).map(({ address: each }) => formatAddress(each));
    attack(...Array.from({ length: room }, (_, n) => address(n + 1)));
    await until(() => enforcer.counters.bans[0] === room, { what: 'the bans that find room' });
    attack('192.0.2.99');
    await until(() => enforcer.problem !== undefined, { what: 'a problem' });
    assert.match(enforcer.problem!, new RegExp(`bans of sshd, IPv4 do not reach the kernel: .*${code}`));
    assert.ok(enforcer.counters.failures.get(code)! > 0, 'the failure is counted by its errno');
    assert.ok(!(await held()).includes('192.0.2.99'));
    assert.deepEqual(await engine.countBans(Date.now() / 1000), [{ held: room, heldSix: 0, pending: 1 }]);
    const [first] = await bansOf(backend);
    await enforcer.unban([{ jail: 0, address: first!.address }]);
    await until(() => enforcer.counters.bans[0] === room + 1, { what: 'the ban, once there is room' });
    assert.ok((await held()).includes('192.0.2.99'));
    await until(() => enforcer.problem === undefined, { what: 'the end of the problem' });
    assert.deepEqual(await engine.countBans(Date.now() / 1000), [{ held: room, heldSix: 0, pending: 0 }]);
    await enforcer.stop();
    backend.close();
  };
}

/** Never leaves gaps. */
const impatient = new Pacer(() => false);

/**
 * How long an operator's nft works on its file, between reading the ruleset and its transaction,
 * ms: some 10,000 elements, or rules.
 */
const operatorMs = 20;
/** After this many refused transactions nft gives up: a second. */
const operatorTriesMax = 50;

/**
 * What nft -f does, step by step, in its own process: reads the ruleset's generation, works on its
 * file, sends its transaction for that generation, and starts again if another transaction came
 * between (ERESTART). Returns the number of tries.
 */
async function operate(): Promise<number> {
  const socket = new NetlinkSocket(openTransport(12));
  for (let tries = 1; tries <= operatorTriesMax; tries++) {
    let generation = -1;
    await socket.ask(
      (writer, sequence) => encodeQuestion(writer, sequence, command.getGeneration),
      'read the generation',
      (bytes, start, end) => {
        generation = decodeGeneration(bytes, start, end);
      },
    );
    await new Promise((resolve) => setTimeout(resolve, operatorMs));
    const batch = new Batch('other', () => socket.nextSequence());
    batch.addTable();
    // NFNL_BATCH_GENID goes behind the batch's first message, of 20 bytes.
    const bytes = Buffer.from(batch.finish());
    const attribute = Buffer.from([8, 0, 1, 0, 0, 0, 0, 0]);
    attribute.writeUInt32BE(generation, 4);
    const request = Buffer.concat([bytes.subarray(0, 20), attribute, bytes.subarray(20)]);
    request.writeUInt32LE(28, 0);
    try {
      await socket.exchange(request, batch.expected, batch.strays);
      return tries;
    } catch (error) {
      if (!(error instanceof KernelError) || error.code !== 'ERESTART') throw error;
    }
  }
  return Number.POSITIVE_INFINITY;
}

/**
 * The tries that an operator's transaction needs while another source is banned every few
 * milliseconds; Infinity = it never succeeds.
 */
async function triesBeside(pacer?: Pacer): Promise<number> {
  const { attack, enforcer, backend } = await enforced('plain', pacer);
  let count = 0;
  const stream = setInterval(() => attack(address(count++)), 2);
  await until(() => enforcer.counters.transactions > 50, { what: 'a stream of bans' });
  const operator = spawn(process.execPath, [import.meta.filename, '(operator)'], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const [answer] = await once(operator.stdout, 'data');
  clearInterval(stream);
  await until(() => enforcer.counters.bans[0] === count, { what: 'all bans' });
  assert.equal(elements().size, count, 'every ban landed');
  await enforcer.stop();
  await backend.remove();
  backend.close();
  return JSON.parse(String(answer)) ?? Number.POSITIVE_INFINITY;
}

export const scenarios: Record<string, Scenario> = {
  ...Object.fromEntries(
    Object.entries(small).map(([name, each]) => [
      `${name}: a ban that finds no room stays wanted and lands once there is some`,
      fullSet(each),
    ]),
  ),

  'iptables: where few bans are held, those that end soonest make room': async () => {
    const backend = new IptablesBackend({ bansMax: 3 });
    await backend.install([jail]);
    const { attack, enforcer } = await enforce(backend);
    for (let n = 1; n <= 5; n++) {
      attack(address(n));
      await until(() => enforcer.counters.bans[0] === n, { what: `ban ${n}` });
    }
    const held: string[] = [];
    await backend.each(({ address: each }) => held.push(formatAddress(each)));
    assert.equal(held.length, 3);
    assert.ok(held.includes(address(5)), 'the newest');
    assert.deepEqual([enforcer.counters.lifted, enforcer.problem], [2, undefined]);
    await enforcer.stop();
    await backend.remove();
    backend.close();
  },

  'an operator is given way beside a stream of bans, and would try in vain beside an impatient twin': async () => {
    const ours = await triesBeside();
    assert.ok(ours < operatorTriesMax, 'the operator tried in vain');
    assert.equal(await triesBeside(impatient), Number.POSITIVE_INFINITY, 'the twin: this shows nothing');
    return { ours };
  },

  'an outside flush is noticed and repaired': async () => {
    const { attack, enforcer, backend } = await enforced();
    attack(...Array.from({ length: 3000 }, (_, n) => address(n)));
    await until(() => enforcer.counters.bans[0] === 3000, { what: 'the bans' });
    enforcer.start();
    await until(() => enforcer.counters.reconciles === 1, { what: 'the first comparison' });
    assert.equal(enforcer.counters.repairs, 0);
    for (const [index, words] of [
      ['flush', 'ruleset'],
      ['delete', 'table', 'inet', table],
      ['flush', 'set', 'inet', table, 'ban4-sshd'],
    ].entries()) {
      nft(...words);
      await until(() => enforcer.counters.reconciles >= index + 2, { what: `a comparison after ${words.join(' ')}` });
      assert.equal(elements().size, 3000, words.join(' '));
    }
    assert.match(enforcer.disturbance ?? 'nothing', /repaired \(\d+ repairs/, 'what the status says of it');
    await enforcer.stop();
    backend.close();
  },

  'a ban repairs a flushed table at once': async () => {
    const { attack, enforcer, backend } = await enforced();
    attack('10.0.0.1');
    await until(() => enforcer.counters.bans[0] === 1, { what: 'the ban' });
    // The first comparison finds what earlier runs left.
    assert.equal(await enforcer.reconcile(), 0);
    nft('flush', 'ruleset');
    attack('10.0.0.2');
    await until(() => enforcer.counters.bans[0] === 2, { what: 'the second ban, after the repair' });
    assert.deepEqual([...elements().keys()].sort(), ['10.0.0.1', '10.0.0.2']);
    assert.equal(enforcer.problem, undefined);
    assert.equal(enforcer.counters.repairs, 2, 'the table and the first ban');
    assert.match(enforcer.disturbance ?? 'nothing', /repaired \(2 repairs/, 'what the status says of it');
    await enforcer.stop();
    backend.close();
  },

  'a large nft -f finishes while bans go on, and every ban lands': async () => {
    const { attack, enforcer, backend } = await enforced();
    const alone = [await load(10_000), await load(10_000), await load(10_000)].sort((a, b) => a - b)[1]!;
    let count = 0;
    const stream = setInterval(() => attack(address(count++)), 2);
    await until(() => enforcer.counters.bans[0]! > 200, { what: 'a stream of bans' });
    const beside = [await load(10_000), await load(10_000), await load(10_000)].sort((a, b) => a - b)[1]!;
    await until(() => count > 1500, { what: 'more bans' });
    clearInterval(stream);
    await until(() => enforcer.counters.bans[0] === count, { what: 'all bans' });
    assert.equal(elements().size, count);
    await enforcer.stop();
    backend.close();
    return { alone, beside };
  },

  '50,000 attackers, six failures each: every ban in the kernel': async () => {
    const { attack, enforcer, backend, engine } = await enforced('wasm');
    const count = 50_000;
    const started = performance.now();
    for (let n = 0; n < count; n += 1000) {
      const sources = Array.from({ length: 1000 }, (_, index) => address(n + index));
      for (let failure = 0; failure < 6; failure++) attack(...sources);
      await new Promise((resolve) => setImmediate(resolve));
    }
    const read = performance.now();
    await until(() => enforcer.counters.bans[0] === count, { what: 'all bans' });
    const landed = performance.now();
    // After so many additions the kernel is still enlarging its hash table, and a dump misses some
    // elements.
    await until(() => elements().size === count, { what: 'all elements in the kernel set' });
    assert.equal(engine.waiting, 0);
    await enforcer.stop();
    backend.close();
    return { readMs: read - started, restMs: landed - read, transactions: enforcer.counters.transactions };
  },
};

await answerScenario(import.meta.filename, { ...scenarios, '(operator)': operate });
