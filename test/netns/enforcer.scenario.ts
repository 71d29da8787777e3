/** Enforcer and nftables backend together, against the real kernel and other programs that use it. Run by enforcer.test.ts. */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { writeFileSync } from 'node:fs';
import { NftablesBackend } from '../../src/backends/nftables.ts';
import { enforce } from '../support/enforcement.ts';
import { answerScenario, type Scenario } from '../support/namespace.ts';
import { until } from '../support/until.ts';
import { nft, nftElements } from './topology.ts';

const table = 'fail2zig';
const elements = () => nftElements(table, 'ban4-sshd');
const address = (n: number) => `10.${n >> 16}.${(n >> 8) & 255}.${n & 255}`;

async function enforced(build: 'plain' | 'wasm' = 'plain') {
  const backend = new NftablesBackend({ table });
  const jail = { name: 'sshd', ipv6Prefix: 64, ports: [], protocols: [], hooks: ['input' as const] };
  await backend.install([jail]);
  return { backend, ...(await enforce(backend, undefined, { tableBytes: 8 << 20, build })) };
}

/** Loads `count` elements into a table of somebody else, as an operator would; its milliseconds. */
async function load(count: number): Promise<number> {
  const members = Array.from({ length: count }, (_, n) => `172.16.${n >> 8}.${n & 255}`);
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

export const scenarios: Record<string, Scenario> = {
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
    await enforcer.stop();
    backend.close();
  },

  'a ban repairs a flushed table at once': async () => {
    const { attack, enforcer, backend } = await enforced();
    attack('10.0.0.1');
    await until(() => enforcer.counters.bans[0] === 1, { what: 'the ban' });
    nft('flush', 'ruleset');
    attack('10.0.0.2');
    await until(() => enforcer.counters.bans[0] === 2, { what: 'the second ban, after the repair' });
    assert.deepEqual([...elements().keys()].sort(), ['10.0.0.1', '10.0.0.2']);
    assert.equal(enforcer.problem, undefined);
    assert.equal(enforcer.counters.repairs, 2, 'the table and the first ban');
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
    const holds = { ...backend.pacing };
    await until(() => count > 1500, { what: 'more bans' });
    clearInterval(stream);
    await until(() => enforcer.counters.bans[0] === count, { what: 'all bans' });
    assert.equal(elements().size, count);
    assert.ok(holds.holds > 0, 'nobody was given way');
    await enforcer.stop();
    backend.close();
    return { alone, beside, holds };
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
    // A dump right after so many additions misses some while the kernel is still enlarging its hash table.
    await until(() => elements().size === count, { what: 'all elements in the kernel set' });
    assert.equal(engine.waiting, 0);
    await enforcer.stop();
    backend.close();
    return { readMs: read - started, restMs: landed - read, transactions: enforcer.counters.transactions };
  },
};

await answerScenario(import.meta.filename, scenarios);
