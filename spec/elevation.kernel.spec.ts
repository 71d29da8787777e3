/**
 * Elevation of privilege, second part: who is never banned, whoever asks, in the engine, the
 * enforcer and the kernel; and what the process of the running daemon is and may do.
 */
import assert from 'node:assert/strict';
import type { NetworkInterfaceInfo } from 'node:os';
import { KernelError } from '../src/backends/kernel-error.ts';
import { Ignored } from '../src/enforcer/ignored.ts';
import type { Address } from '../src/types.ts';
import { addressOf, v4 } from '../test/support/table-driver.ts';
import { until } from '../test/support/until.ts';
import { claim, type Supply, twin } from './claim.ts';
import { type Pipeline, pipeline, rememberingBackend } from './support/pipeline.ts';
import { assertScene, breakage, type Scenarios, type Scene, scenarios } from './support/scenarios.ts';
import { engineTracker, epoch, type Tracker, type TrackerOptions } from './support/tracker.ts';

const ignored = (text: string, family: 4 | 6, prefix: number): Address => {
  const bytes = new Uint8Array(16);
  if (family === 4) bytes.set([0xff, 0xff, ...text.split('.').map(Number)], 10);
  else
    for (const [index, group] of text.split(':').entries())
      new DataView(bytes.buffer).setUint16(index * 2, Number.parseInt(group, 16));
  return { family, bytes, prefix };
};
const ignoreList = [
  ignored('192.0.2.0', 4, 24),
  ignored('198.51.100.7', 4, 32),
  ignored('2001:db8:0:1:0:0:0:0', 6, 64),
  ignored('203.0.113.8', 4, 31),
  ignored('203.0.113.64', 4, 27),
  ignored('2001:db8:8:0:0:0:0:0', 6, 47),
];
/** The second jail has an entry of its own, and lacks the last of the first. */
const ignoreLists = [ignoreList, [...ignoreList.slice(0, -1), ignored('198.51.100.200', 4, 32)]];

/** The engine told of failures: nobody on a list is banned, and everybody else is. */
function assertListed(tracker: Tracker): string {
  const safe = [
    '192.0.2.0',
    '192.0.2.255',
    '198.51.100.7',
    '::ffff:192.0.2.9',
    '2001:db8:0:1::1',
    '2001:db8:0:1:ffff::',
    '203.0.113.8',
    '203.0.113.9',
    '203.0.113.64',
    '203.0.113.95',
  ];
  const others = [
    ...['192.0.1.255', '192.0.3.0', '198.51.100.6', '198.51.100.8', '2001:db8:0:2::1'],
    ...['203.0.113.7', '203.0.113.10', '203.0.113.63', '203.0.113.96', '2001:db8:7::1', '2001:db8:a::1'],
  ];
  const onlyFirst = ['2001:db8:8::1', '2001:db8:9::1'];
  const onlySecond = '198.51.100.200';
  for (let failure = 0; failure < 20; failure++) {
    for (const address of [...safe, ...others, ...onlyFirst, onlySecond]) tracker.fail(address, epoch + failure);
  }
  const banned = new Set(tracker.take().map(({ jail, address }) => `${jail} ${address}`));
  const listed = ['192.0.2.0', '192.0.2.255', '198.51.100.7', '192.0.2.9', '2001:db8:0:1:0:0:0:0'];
  for (const address of [...listed, '203.0.113.8', '203.0.113.9', '203.0.113.64', '203.0.113.95']) {
    assert.ok(!banned.has(`0 ${address}`) && !banned.has(`1 ${address}`), `${address} is on the list and was banned`);
  }
  assert.ok(banned.has(`0 ${onlySecond}`) && !banned.has(`1 ${onlySecond}`), 'the list of the second jail is its own');
  for (const text of ['2001:db8:8:0:0:0:0:0', '2001:db8:9:0:0:0:0:0']) {
    assert.ok(!banned.has(`0 ${text}`) && banned.has(`1 ${text}`), `the list of the first jail is its own: ${text}`);
  }
  assert.equal(banned.size, 2 * others.length + 1 + onlyFirst.length, 'bans of the neighbours in two jails');
  return `${safe.length} listed sources with 20 failures each in 2 jails: none banned; ${banned.size} bans of others`;
}

/**
 * A decision that waits for the kernel while its address comes onto the list; resolves to what is
 * banned in the end.
 */
async function bansAfterWaiting(list: readonly Address[]): Promise<string[]> {
  let refuses = true;
  const backend = rememberingBackend(() => (refuses ? new KernelError(105, 'ban') : undefined));
  const made: Pipeline = await pipeline({ backend });
  made.fail('192.0.2.1', '192.0.2.2');
  await until(() => made.enforcer.problem !== undefined, { what: 'the refusal' });
  made.engine.setIgnored([list]);
  refuses = false;
  await until(() => backend.held.has('sshd 192.0.2.2'), { what: 'the ban of the other address' });
  await made.enforcer.stop();
  return [...backend.held.keys()].sort();
}

const eth0 = [{ address: '192.0.2.9' }] as NetworkInterfaceInfo[];
const ownWhere = (ignoreself: boolean): number =>
  new Ignored([{ ignoreip: [], ignoreself }], () => ({ eth0 })).lists[0]!.length;

/** Own addresses that come and go, bans by hand, and the rules of the kernel. */
const asked: Scenarios = {
  restart: ['an address that the host gets is ignored from then on, in table and kernel'],
  nftables: ['lets allowed networks pass though a ban covers them, in that jail only'],
};

interface Whoever {
  tracker: Tracker;
  waiting: () => Promise<string[]>;
  scene: Scene;
}

function whoever(
  options: TrackerOptions,
  { list = [addressOf(v4('192.0.2.1'))], scene = scenarios({}) }: { list?: Address[]; scene?: Supply<Scene> } = {},
): Supply<Whoever> {
  return {
    make: async () => ({
      tracker: await engineTracker(options).make(),
      waiting: () => bansAfterWaiting(list),
      scene: await scene.make(),
    }),
    dispose: (piece) => scene.dispose?.(piece.scene),
  };
}

const lists: TrackerOptions = { maxretry: [2, 5], ignores: ignoreLists };

claim(
  'E-02b',
  whoever(lists, { scene: scenarios(asked) }),
  async ({ tracker, waiting, scene }) => {
    const said = assertListed(tracker);
    assert.deepEqual(await waiting(), ['sshd 192.0.2.2'], 'bans after one address came onto the list meanwhile');
    assert.deepEqual([ownWhere(true), ownWhere(false)], [3, 0], 'own addresses with and without ignoreself');
    return `${said}; own addresses, bans by hand and the kernel's own rules: ${await assertScene(scene)}`;
  },
  [
    twin('an engine without the list', whoever({ maxretry: [2, 5] }), /is on the list and was banned/),
    twin(
      'a list that forgets IPv6',
      whoever({ maxretry: [2, 5], ignore: ignoreList.filter(({ family }) => family === 4) }),
      /2001.* is on the list and was banned/,
    ),
    twin(
      'one list for both jails',
      whoever({ maxretry: [2, 5], ignore: ignoreLists[1]! }),
      /the list of the second jail is its own/,
    ),
    twin(
      'a list that is too wide',
      whoever({ maxretry: [2, 5], ignores: ignoreLists.map((list) => [...list, ignored('192.0.0.0', 4, 16)]) }),
      /bans of the neighbours/,
    ),
    twin(
      'a decision that waits and is not looked at again',
      whoever(lists, { list: [] }),
      /came onto the list meanwhile/,
    ),
    twin(
      'an operator who may ban whom he likes',
      whoever(lists, {
        scene: scenarios({ restart: asked.restart! }, breakage('the operator may ban an ignored address')),
      }),
      /an address that the host gets is ignored/,
    ),
  ],
  { needs: ['linux', 'root', 'namespaces', 'built', 'nft'], timeoutMs: 240_000 },
);
