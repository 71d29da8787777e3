/**
 * Elevation: networks that a list ignores.
 */
import assert from 'node:assert/strict';
import { parseCidr } from '../src/text/address.ts';
import type { Address } from '../src/types.ts';
import { collect } from '../test/support/collect.ts';
import { until } from '../test/support/until.ts';
import { claim, type Supply, sabotaged, twin } from './claim.ts';
import { Listing } from './support/listing.ts';
import { type Watched, watched } from './support/watched.ts';

const caller = { uid: 0, gid: 0, pid: 1 };
const addressOf = (text: string): Address => parseCidr(text, 'refuse') as Address;

/** The core of the daemon beside the real lists, whose file is replaced. */
interface Ignoring extends Watched {
  listing: Listing;
  follow(lines: readonly string[]): Promise<void>;
}

function ignoring(spoil: (made: Watched) => void = () => {}): Supply<Ignoring> {
  const supply = watched();
  return {
    make: async () => {
      const made = await supply.make();
      const listing = new Listing('ignore');
      listing.write([]);
      await listing.start(() => made.enforcer.allowAnew());
      made.ignored.isListed = (address) => listing.lists.covers(address);
      spoil(made);
      const follow = async (lines: readonly string[]): Promise<void> => {
        listing.write(lines);
        await listing.pass();
      };
      return { ...made, listing, follow };
    },
    dispose: async (made) => {
      await supply.dispose?.(made);
      await made.listing.end();
    },
  };
}

claim(
  'X-lists-ignored',
  ignoring(),
  async ({ backend, fail, follow, listing, operator }) => {
    fail('192.0.2.7', '198.51.100.1');
    await until(() => backend.held.size === 2, { what: 'two bans' });
    await follow(['# ours', '192.0.2.0/24', '2001:db8:7::/48', '203.0.113.9']);
    assert.deepEqual(listing.lists.problems(), []);
    listing.write(['example.net']);
    assert.throws(() => listing.compiled('tried'), /drop\.txt:1: "example\.net"/, 'a start without what is ignored');
    const isCovered = (text: string): boolean => listing.lists.covers(addressOf(text));
    for (const text of ['192.0.2.255', '192.0.2.0/24', '2001:db8:7:1::/64', '203.0.113.9'])
      assert.ok(isCovered(text), `${text} is not ignored`);
    for (const text of ['192.0.3.0', '192.0.2.0/23', '2001:db8:6::/48', '203.0.113.8'])
      assert.ok(!isCovered(text), `${text} is ignored`);
    await until(() => !backend.held.has('sshd 192.0.2.7'), { what: 'the end of the ban' }).catch(() =>
      assert.fail('a ban of what is ignored by now goes on'),
    );
    assert.ok(backend.held.has('sshd 198.51.100.1'), 'another ban ends too');
    fail('192.0.2.8', '2001:db8:7::7', '198.51.100.2');
    await until(() => backend.held.has('sshd 198.51.100.2'), { what: 'the ban of the one behind them' });
    assert.deepEqual(
      [...backend.held.keys()].filter((each) => !each.includes('198.51.')),
      [],
      'a ban of what is ignored',
    );
    const byHand = operator.ban({ jail: 'slow', addresses: ['192.0.2.9'] }, caller);
    await assert.rejects(Promise.resolve(byHand), /192\.0\.2\.9 is ignored by a list/, 'a ban by hand');
    const { views } = await operator.why({ address: '192.0.2.9' });
    assert.deepEqual(
      views.map(({ ignored, ignoredBy }) => [ignored, ignoredBy]),
      [
        [true, 'a list'],
        [true, 'a list'],
      ],
    );
    // What the kernel lets pass though a wider ban covers it.
    assert.deepEqual(
      listing.kernel.held(''),
      [
        '4:110000000000000000000010',
        `4:${'11001011000000000111000100001001'}`,
        `6:${listing.bits('2001:db8:7::/48')}`,
      ].sort(),
      'what passes in the kernel',
    );
    await follow(['198.51.100.77']);
    fail('192.0.2.8');
    await until(() => backend.held.has('sshd 192.0.2.8'), { what: 'a ban of what is ignored no more' });
    assert.equal((await collect(operator.ignore({}, caller))).flatMap(({ ignored = [] }) => ignored).length, 0);
    return 'three lines ignored: a ban ends, none comes by a log or by hand, the kernel lets them pass; without the lines they count again';
  },
  [
    twin(
      'an enforcer that does not ask lists',
      ignoring((made) => {
        made.ignored.isListed = () => false;
      }),
      /a ban of what is ignored by now goes on/,
    ),
    sabotaged('a decision does not ask lists of what is ignored', /a ban of what is ignored/),
    sabotaged('an operator bans what a list has ignored', /a ban by hand|Missing expected rejection/),
    sabotaged('standing bans of what a list ignores go on', /a ban of what is ignored by now goes on/),
  ],
);
