/** Elevation: what an operator ignores by hand. */
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Ignored } from '../src/enforcer/ignored.ts';
import { loadState } from '../src/state/load.ts';
import { saveState } from '../src/state/save.ts';
import { formatAddress } from '../src/text/address.ts';
import type { IgnoredByHand } from '../src/types.ts';
import { collect } from '../test/support/collect.ts';
import { until } from '../test/support/until.ts';
import { claim, type Supply, twin } from './claim.ts';
import { type Watched, watched } from './support/watched.ts';

const caller = { uid: 0, gid: 0, pid: 1 };

/** What a new daemon ignores that loads the state which this one saved. */
async function afterRestart(byHand: readonly IgnoredByHand[]): Promise<string[]> {
  const directory = mkdtempSync(join(tmpdir(), 'ignored-'));
  const path = join(directory, 'state');
  try {
    const snapshot = { time: Date.now() / 1000, jails: ['sshd'], positions: [], table: null, ignored: byHand };
    await saveState(path, () => snapshot);
    const next = new Ignored([{ ignoreip: [], ignoreself: false }], () => ({}));
    const visitor = {
      position: () => undefined,
      table: () => false,
      entries: () => undefined,
      ignored: ({ network, until: end }: IgnoredByHand) => next.ignore(network, end),
    };
    loadState(path, visitor, Date.now() / 1000);
    next.look();
    return next.lists[0]!.map(formatAddress);
  } finally {
    rmSync(directory, { recursive: true });
  }
}

/** Whether `address` is banned for its failure, after which another address fails as well. */
async function isBanned({ fail, backend }: Watched, address: string, after: string): Promise<boolean> {
  fail(address, after);
  await until(() => backend.held.has(`sshd ${after}`), { what: 'the ban of the one behind it' });
  return backend.held.has(`sshd ${address}`);
}

/** The core of the daemon, and the content of its state file. */
type Ignoring = Watched & { saved: () => readonly IgnoredByHand[] };

function ignoring(spoil?: (made: Watched) => Watched, saved?: () => readonly IgnoredByHand[]): Supply<Ignoring> {
  const supply = watched(spoil);
  return {
    make: async () => {
      const made = await supply.make();
      return { ...made, saved: saved ?? (() => made.ignored.byHand) };
    },
    dispose: (made) => supply.dispose?.(made),
  };
}

claim(
  'X-ignore',
  ignoring(),
  async (made) => {
    const { fail, backend, operator, ignored, enforcer, saved } = made;
    fail('192.0.2.7', '198.51.100.1');
    await until(() => backend.held.size === 2, { what: 'two bans' });
    const parts = await collect(operator.ignore({ addresses: ['192.0.2.0/24'], seconds: 3_600 }, caller));
    const lifted = parts.flatMap((part) => part.lifted ?? []);
    assert.deepEqual(lifted, [{ address: '192.0.2.7', jail: 'sshd' }], 'bans that ended with the command');
    const left = parts.at(-1)?.ignored?.map(({ remainingSeconds }) => remainingSeconds) ?? [];
    assert.ok(left.length === 1 && left[0]! > 3_500 && left[0]! <= 3_600, `seconds it is ignored: ${left.join(', ')}`);
    assert.deepEqual([...backend.held.keys()], ['sshd 198.51.100.1'], 'what the kernel holds afterwards');
    assert.equal(await isBanned(made, '192.0.2.8', '198.51.100.2'), false, 'a ban while it is ignored');
    const byHand = operator.ban({ jail: 'slow', addresses: ['192.0.2.9'] }, caller);
    await assert.rejects(Promise.resolve(byHand), /192\.0\.2\.9 is ignored by hand \(192\.0\.2\.0\/24\)/);
    assert.deepEqual(await afterRestart(saved()), ['192.0.2.0/24'], 'what is ignored after a restart');
    // An hour passes.
    ignored.shift(-3_601);
    assert.deepEqual(await collect(operator.ignore({}, caller)), [{ ignored: [] }], 'what is listed after the hour');
    enforcer.follow();
    assert.equal(await isBanned(made, '192.0.2.8', '198.51.100.3'), true, 'a ban after the hour');
    return 'a /24 ignored for an hour: its ban ends and is named, no failure and no operator bans it, a restart knows it, and after the hour it counts again';
  },
  [
    twin(
      'a command that leaves bans as they are',
      ignoring((made) => {
        const { ignore } = made.operator;
        made.operator.ignore = async function* (args, by) {
          for await (const { ignored } of ignore(args, by)) if (ignored !== undefined) yield { ignored };
        };
        return made;
      }),
      /bans that ended with the command/,
    ),
    twin(
      'an enforcer that never looks',
      ignoring((made) => {
        made.enforcer.follow = () => true;
        return made;
      }),
      /a ban while it is ignored/,
    ),
    twin(
      'a daemon that saves nothing of it',
      ignoring(undefined, () => []),
      /what is ignored after a restart/,
    ),
    twin(
      'one that ignores for ever',
      ignoring((made) => {
        made.ignored.shift = () => undefined;
        return made;
      }),
      /what is listed after the hour/,
    ),
  ],
);
