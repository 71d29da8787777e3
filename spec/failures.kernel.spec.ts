/**
 * What happens when the kernel refuses or loses something or other programs change it, and over a
 * restart of the real daemon: the scenarios of the kernel tests, each in its own namespaces.
 */
import assert from 'node:assert/strict';
import { constants } from 'node:os';
import { KernelError } from '../src/backends/kernel-error.ts';
import { Backoff } from '../src/backoff.ts';
import { banRetryMs, banRetryMsMax } from '../src/limits.ts';
import type { Change } from '../src/types.ts';
import { until } from '../test/support/until.ts';
import { claim, type Supply, twin } from './claim.ts';
import { type Pipeline, pipeline, rememberingBackend } from './support/pipeline.ts';
import {
  assertScene,
  breakage,
  type Scenarios,
  type Scene,
  scenarios,
  type Change as TreeChange,
} from './support/scenarios.ts';

const needs = ['linux', 'root', 'namespaces', 'built', 'nft'] as const;

const restarts = [
  'bans, windows and positions survive an orderly restart; lines written meanwhile count',
  'after a reboot the kernel holds the bans again, each for what is left of it',
  'kill -9 before anything was saved: the kernel keeps its bans, the daemon takes them over',
  'a damaged state is set aside, said, and the daemon starts empty',
  'nothing that a dry run decided is enforced by a later run',
];
/** The twins need not wait so long for what never comes. */
const impatient: TreeChange = {
  path: 'test/netns/restart.scenario.ts',
  find: 'withinMs: 15_000',
  put: 'withinMs: 6_000',
};
const adoptions = [
  'adopts the bans of an earlier run with the time they have left',
  'adopts sets that it cannot keep as they are',
];

claim(
  'FM-2',
  scenarios({ restart: restarts, nftables: adoptions }),
  async (scene) => `${await assertScene(scene)}: restarts of the daemon, kill -9, a reboot, a damaged state`,
  [
    twin(
      'a daemon that does not ask the kernel at its start',
      scenarios(
        { restart: restarts.slice(2, 3) },
        breakage('the daemon does not take over the bans that the kernel holds'),
        impatient,
      ),
      /the daemon takes them over: /,
    ),
    twin(
      'a daemon that does not load its state',
      scenarios({ restart: restarts.slice(0, 1) }, breakage('the daemon does not load its state'), impatient),
      /survive an orderly restart/,
    ),
  ],
  { needs: [...needs], timeoutMs: 240_000 },
);

const repairs = {
  nftables: ['repairs what others did to the table', 'notices transactions of others, and takes its own for none'],
  enforcer: ['a ban repairs a flushed table at once'],
};

claim(
  'X-repair',
  scenarios(repairs),
  async (scene) => `${await assertScene(scene)}: chains, sets and the whole table taken away by others`,
  [
    twin(
      'a backend that believes that what it made is there',
      scenarios({ nftables: repairs.nftables.slice(0, 1) }, breakage('chains that others flushed are not made anew')),
      /repairs what others did to the table/,
    ),
    twin(
      'a backend that does not notice transactions of others',
      scenarios(
        { nftables: repairs.nftables.slice(1) },
        breakage('a foreign transaction is not noticed before the long interval is over'),
      ),
      /notices transactions of others.*: a transaction of somebody else/,
    ),
  ],
  { needs: [...needs], timeoutMs: 240_000 },
);

/** The pipeline over a kernel that refuses; a twin's kernel behaves otherwise. */
interface Refusing {
  /** Refuses the first three transactions (ENOBUFS). */
  busy: Pipeline;
  /** Refuses IPv6 bans as long as `isFull` (ENFILE), and 192.0.2.66 always (ERANGE). */
  full: Pipeline & { isFull: boolean };
  /** Has no set until somebody creates it again (ENOENT). */
  gone: Pipeline;
  pauses: (tries: number) => number[];
  scene: Scene;
}

const { ENOBUFS, ENFILE, ERANGE, ENOENT } = constants.errno;
const bansOf = (changes: Change[]) => changes.flatMap((change) => (change.verb === 'ban' ? [change.ban] : []));

async function busyPipeline(lies: boolean): Promise<Pipeline> {
  let asked = 0;
  const backend = rememberingBackend(() => (asked++ < 3 ? new KernelError(ENOBUFS, 'ban') : undefined));
  const { apply } = backend;
  if (lies) backend.apply = (changes) => apply(changes).catch(() => {});
  return pipeline({ backend });
}

async function fullPipeline(givesUp: boolean): Promise<Refusing['full']> {
  const full = new KernelError(ENFILE, 'ban');
  if (givesUp) Object.assign(full, { name: 'UnsupportedChange' });
  const made = {
    isFull: true,
    ...(await pipeline({
      backend: rememberingBackend((changes) => {
        const bans = bansOf(changes);
        if (made.isFull && bans.some(({ address }) => address.family === 6)) return full;
        const isOdd = bans.some(({ address }) => address.bytes.at(-1) === 66);
        return isOdd ? new KernelError(ERANGE, 'ban') : undefined;
      }),
    })),
  };
  return made;
}

async function gonePipeline(isMadeAgain: boolean): Promise<Pipeline> {
  let isThere = false;
  const backend = rememberingBackend(() => (isThere ? undefined : new KernelError(ENOENT, 'ban')));
  backend.reconcile = () => {
    isThere = isMadeAgain;
    return Promise.resolve(true);
  };
  return pipeline({ backend });
}

/** The pauses of a daemon that retries as soon as it may. */
function pausesOf(max = banRetryMsMax): Refusing['pauses'] {
  return (tries) => {
    let now = 0;
    const backoff = new Backoff(() => now, banRetryMs, max);
    return Array.from({ length: tries }, () => {
      const pause = backoff.next();
      now += pause;
      return pause;
    });
  };
}

const refusals: Scenarios = {
  'nftables-errors': [
    'silence is ETIMEDOUT',
    'EMSGSIZE: transactions are split until the socket takes them',
    'ENFILE when a set is full: none of the transaction holds, and it lands once there is room',
    'ENOBUFS: a lost ACK is followed by reading back',
    'a batch without its end is not believed',
  ],
  faults: ['nftables: every operation under every fault'],
};

interface RefusingFlaw {
  lies?: boolean;
  /** Treats a full set like a ban that no set can hold. */
  givesUp?: boolean;
  isMadeAgain?: boolean;
  pauses?: Refusing['pauses'];
  scenes?: Scenarios;
  change?: TreeChange;
}

function refusing(flaw: RefusingFlaw = {}): Supply<Refusing> {
  const { lies = false, givesUp = false, isMadeAgain = true, pauses = pausesOf() } = flaw;
  const scene = scenarios(flaw.scenes ?? refusals, ...(flaw.change === undefined ? [] : [flaw.change]));
  return {
    make: async () => ({
      busy: await busyPipeline(lies),
      full: await fullPipeline(givesUp),
      gone: await gonePipeline(isMadeAgain),
      pauses,
      scene: await scene.make(),
    }),
    async dispose({ busy, full, gone, scene: made }) {
      full.isFull = false;
      for (const { enforcer } of [busy, full, gone]) await enforcer.stop();
      made.remove();
    },
  };
}

const held = ({ backend }: Pipeline): string[] => [...backend.held.keys()].sort();
const soon = { withinMs: 3_000 };

/**
 * Three refusals of a whole transaction: each is logged and counted by name, and the ban reaches
 * the kernel.
 */
async function assertBusy(busy: Pipeline): Promise<void> {
  const { fail, enforcer, log } = busy;
  fail('192.0.2.7');
  await until(() => enforcer.counters.bans[0] === 1, soon).catch(() => {});
  assert.deepEqual(held(busy), ['sshd 192.0.2.7'], 'bans that the kernel holds');
  const failed = log.said.filter(({ level, text }) => level === 'error' && text === 'ban failed');
  assert.equal(failed.length, 3, 'refusals in the log');
  assert.match(String(failed[0]?.fields.error), /ENOBUFS/, 'the error by its name');
  assert.deepEqual([...enforcer.counters.failures], [['ENOBUFS', 3]], 'refusals counted by error');
  assert.equal(enforcer.problem, undefined, 'the problem is over');
}

/** A full set, and one ban that the kernel refuses: neither delays the others. */
async function assertFull(full: Refusing['full']): Promise<void> {
  const { fail, enforcer, log } = full;
  fail('2001:db8:1::1', '192.0.2.66', '192.0.2.1', '192.0.2.2', '192.0.2.3');
  const others = ['sshd 192.0.2.1', 'sshd 192.0.2.2', 'sshd 192.0.2.3'];
  await until(() => others.every((ban) => full.backend.held.has(ban)), soon).catch(() => {});
  assert.deepEqual(held(full), others, 'bans beside a full set and a ban that is refused');
  assert.match(enforcer.problem ?? '', /do not reach the kernel: .*(ENFILE|ERANGE)/, 'the problem in the status');
  assert.ok(
    log.said.some(({ level, text }) => level === 'error' && text === 'ban refused'),
    'the refusal is not in the log',
  );
  full.isFull = false;
  await until(() => full.backend.held.size === 4, soon).catch(() => {});
  assert.equal(full.backend.held.size, 4, 'bans once there is room: the ban of the full set did not wait');
}

claim(
  'FM-6',
  refusing(),
  async ({ busy, full, gone, pauses, scene }) => {
    await assertBusy(busy);
    await assertFull(full);
    gone.fail('192.0.2.9');
    await until(() => gone.backend.held.size === 1, soon).catch(() => {});
    assert.deepEqual(held(gone), ['sshd 192.0.2.9'], 'bans after a set was gone and made again');
    const [first = 0, ...more] = pauses(20);
    assert.equal(first, banRetryMs, 'the first pause');
    for (const [index, pause] of more.entries()) {
      const expected = Math.min(banRetryMsMax, first * 2 ** (index + 1));
      assert.equal(pause, expected, `the pause before try ${index + 3}`);
    }
    return (
      `ENOBUFS three times, a full set, one ban refused, a set that was gone: logged, counted, landed later; ` +
      `pauses from ${first} to ${more.at(-1)} ms; ${await assertScene(scene)}`
    );
  },
  [
    twin(
      'a backend that takes a refusal for a success',
      refusing({ lies: true, scenes: {} }),
      /bans that the kernel holds/,
    ),
    twin(
      'a daemon that gives up what a full set refuses',
      refusing({ givesUp: true, scenes: {} }),
      /bans once there is room/,
    ),
    twin('sets that nobody makes again', refusing({ isMadeAgain: false, scenes: {} }), /bans after a set was gone/),
    twin('pauses that grow for ever', refusing({ pauses: pausesOf(Infinity), scenes: {} }), /the pause before try/),
    twin(
      'a socket that takes silence for a success',
      refusing({
        scenes: { 'nftables-errors': ['silence is ETIMEDOUT'] },
        change: breakage('an answer that does not come counts as success'),
      }),
      /silence is ETIMEDOUT/,
    ),
  ],
  { needs: [...needs], timeoutMs: 240_000, together: true },
);
