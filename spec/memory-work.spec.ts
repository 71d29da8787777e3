/**
 * The memory page, third part: the cost of a failure in a full table, in work that does not depend
 * on the load of the machine.
 */
import assert from 'node:assert/strict';
import { DENIED, EVICTIONS } from '../src/engine/counters.ts';
import type { EvictionPolicy } from '../src/types.ts';
import { claim, type Supply, sabotaged, twin } from './claim.ts';
import { countedEngine } from './support/counted-engine.ts';
import { epoch, failureLine, feedText, sourceAddress } from './support/tracker.ts';

/** A failure of a new source: the work from its line to the table. */
type Insert = (source: number) => number;

interface CountedTable {
  insert: Insert;
  /** How often the eviction policy acted. */
  policyActed: () => number;
}

/** A table of so many entries under a policy. */
type MakeTable = (slots: number, policy: EvictionPolicy) => Promise<CountedTable>;

const policies: EvictionPolicy[] = ['evict_oldest', 'ban_all', 'drop_unbanned', 'deny_new', 'log_and_drop'];
const slotCounts = [1_024, 8_192];
/** Failures for each entry of the table: most of them find it full. */
const rounds = 3;
/**
 * The most expensive failure compared with a typical one: lines differ by a few bytes, the searched
 * sets by their content.
 */
const factorMax = 2;
/** The most expensive failure in a table eight times as large: the same work, except for chance. */
const growthMax = 1.25;

const real: MakeTable = async (slots, evictionPolicy) => {
  const jail = { filter: 'sshd', mode: '', maxretry: 2, findtime: 600, bantime: 3_600, ipv6Prefix: 64, ignore: [] };
  const probe = await countedEngine({ jails: [jail], tableBytes: 1, now: epoch });
  const tableBytes = slots * probe.engine.slotBytes;
  const { engine, takeSteps } = await countedEngine({ jails: [jail], tableBytes, evictionPolicy, now: epoch });
  assert.equal(engine.slots, slots);
  engine.openSource(0, engine.addRoute([{ index: 0, filter: 'sshd', mode: '' }]));
  return {
    insert(source) {
      takeSteps();
      feedText(engine, failureLine(sourceAddress(source), epoch, source), epoch);
      return takeSteps();
    },
    policyActed: () => engine.counter(EVICTIONS) + engine.counter(DENIED) + Number(engine.banAllDue),
  };
};

/** A dictionary that doubles its room when it is full, and moves everything. */
const doubling: MakeTable = async (slots) => {
  let room = slots / 4;
  const insert: Insert = (source) => {
    if (source < room) return 300;
    room *= 2;
    return 300 + source;
  };
  return { insert, policyActed: () => 1 };
};

const given = (table: MakeTable): Supply<MakeTable> => ({ make: () => table });

claim(
  ['MM-15', 'MM-16'],
  given(real),
  async (makeTable) => {
    const dearest: number[] = [];
    let typical = 0;
    for (const policy of policies) {
      const worst: number[] = [];
      for (const slots of slotCounts) {
        const { insert, policyActed } = await makeTable(slots, policy);
        const work = Array.from({ length: rounds * slots }, (_, source) => insert(source)).sort((a, b) => a - b);
        const [median, most] = [work[work.length >> 1]!, work.at(-1)!];
        const of = `${policy}, ${slots} entries: ${most} steps against ${median} typically`;
        assert.ok(median > 100, `too little was counted: ${of}`);
        assert.ok(most <= factorMax * median, `a failure stalls: ${of}`);
        assert.ok(policyActed() > 0, `the policy does not act: ${of}`);
        worst.push(most);
        typical = Math.max(typical, median);
      }
      const growth = worst[1]! / worst[0]!;
      assert.ok(growth <= growthMax, `${policy}: work grows with the table, ${worst.join(' → ')} steps`);
      dearest.push(...worst);
    }
    return `${policies.length} policies, tables of ${slotCounts.join(' and ')} entries flooded ${rounds} times over: at most ${Math.max(...dearest)} memory accesses a failure, typically ${typical}`;
  },
  [
    twin('a dictionary that doubles', given(doubling), /a failure stalls/),
    sabotaged('an eviction looks through the whole table', /a failure stalls|work grows with the table/),
  ],
);
