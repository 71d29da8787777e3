/**
 * Repudiation: what can be said about bans afterwards.
 */
import assert from 'node:assert/strict';
import type { BanRow, Operator } from '../src/control/answers.ts';
import { collect } from '../test/support/collect.ts';
import { addressOf, v4 } from '../test/support/table-driver.ts';
import { until } from '../test/support/until.ts';
import { claim, sabotaged, twin } from './claim.ts';
import { watched, wholeStatus } from './support/watched.ts';

/** Value of a series with one label. */
function shownFor(page: string, name: string, jail: string): number {
  const line = page.split('\n').find((each) => each.startsWith(`${name}{jail="${jail}"} `));
  return Number(line?.split(' ').at(-1));
}

claim(
  'R-01b',
  watched(),
  async ({ fail, backend, operator, page }) => {
    fail('192.0.2.1', '192.0.2.2', '192.0.2.3', '192.0.2.3', '192.0.2.3');
    await until(() => backend.held.size === 4, { what: 'three bans in one jail and one in the other' });
    const { jails } = await wholeStatus(operator);
    const expected = { sshd: 3, slow: 1 };
    assert.deepEqual(Object.fromEntries(jails.map(({ jail, bansTotal }) => [jail, bansTotal])), expected, 'status');
    const text = await page();
    const shown = Object.fromEntries(
      ['sshd', 'slow'].map((jail) => [jail, shownFor(text, 'fail2zig_bans_total', jail)]),
    );
    assert.deepEqual(shown, expected, 'metrics');
    return 'two jails over one log: 3 and 1 bans, in the status of the client and in fail2zig_bans_total';
  },
  [
    sabotaged('bans are all counted for the first jail', /^status/),
    twin(
      'a page without jails',
      watched((made) => ({ ...made, page: async () => (await made.page()).replaceAll(/\{jail="[^"]*"\}/g, '') })),
      /^metrics/,
    ),
  ],
);

const caller = { uid: 0, gid: 0, pid: 1 };

async function listed(operator: Operator): Promise<BanRow[]> {
  const bans = (await collect(operator.list({}))).flatMap((part) => part.bans);
  return bans.toSorted((one, other) => one.address.localeCompare(other.address));
}

claim(
  'R-01c',
  watched(),
  async ({ fail, backend, enforcer, operator, engine }) => {
    fail('192.0.2.1', '192.0.2.2', '192.0.2.3');
    await until(() => backend.held.size === 3, { what: 'three bans' });
    const byHand = await operator.ban({ jail: 'slow', addresses: ['2001:db8::7'], seconds: 90 }, caller);
    assert.deepEqual(byHand.addresses, ['2001:db8::/64'], 'what an operator is told that he banned');
    await operator.ban({ jail: 'slow', addresses: ['192.0.2.8'], seconds: -1 }, caller);
    await operator.ban({ jail: 'slow', addresses: ['192.0.2.2'] }, caller);
    await collect(operator.unban({ addresses: ['192.0.2.2'] }, caller));
    await collect(operator.unban({ addresses: ['198.51.100.77'] }, caller));
    assert.equal(enforcer.counters.unbans, 2, 'bans lifted by hand');
    assert.deepEqual(
      [...backend.held.keys()],
      ['sshd 192.0.2.1', 'sshd 192.0.2.3', 'slow 2001:db8:0:0:0:0:0:0', 'slow 192.0.2.8'],
      'what the kernel holds after an unban',
    );
    const { timeoutMs } = backend.held.get('sshd 192.0.2.1')!;
    assert.ok(timeoutMs > 540_000 && timeoutMs <= 601_000, `the kernel is to hold a ban of 600 s for ${timeoutMs} ms`);
    const now = Date.now() / 1000;
    engine.setBan(0, addressOf(v4('192.0.2.9')), now - 100, now - 1);
    const bans = await listed(operator);
    assert.deepEqual(
      bans.map(({ jail, address }) => `${jail} ${address}`),
      ['sshd 192.0.2.1', 'sshd 192.0.2.3', 'slow 192.0.2.8', 'slow 2001:db8::/64'],
      'what is listed after an unban and the end of another ban',
    );
    const seconds = bans.map(({ remainingSeconds }) => remainingSeconds);
    assert.ok(
      seconds[0]! > 540 && seconds[0]! <= 601 && seconds[2] === -1 && seconds[3]! > 30 && seconds[3]! <= 91,
      `seconds left: ${seconds.join(', ')}`,
    );
    return '6 bans made, those of 1 address lifted in both jails, 1 more over: the 4 that hold are listed, with jail, prefix and seconds left';
  },
  [
    sabotaged('bans that are over are listed', /what is listed after an unban/),
    sabotaged('an unbanned address stays in the list', /what is listed after an unban/),
    twin(
      'a list without an end',
      watched((made) => {
        const { list } = made.operator;
        const endless: Operator['list'] = async function* (args) {
          for await (const { bans } of list(args)) {
            yield { bans: bans.map((ban) => ({ ...ban, remainingSeconds: -1 })) };
          }
        };
        return { ...made, operator: { ...made.operator, list: endless } };
      }),
      /seconds left: -1/,
    ),
  ],
);
