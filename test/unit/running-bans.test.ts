/** How many bans run now, as `status` and the metrics page show it. */
import { describe, expect, test } from 'vitest';
import { type Build, Engine } from '../../src/engine/host.ts';
import { countEntries } from '../../src/limits.ts';
import { parseAddress } from '../../src/text/address.ts';

const jail = {
  filter: 'sshd',
  mode: '',
  maxretry: 1,
  findtime: 600,
  bantime: 600,
  ipv6Prefix: 64,
  ignore: [],
};

describe.each<Build>(['plain', 'wasm'])('%s', (build) => {
  test('bans are counted per jail and state until their end', async () => {
    const now = 1_795_176_000;
    const engine = await Engine.create({ build, jails: [jail, jail], tableBytes: 1 << 16, live: false, now });
    expect(await engine.countBans(now)).toEqual([
      { held: 0, heldSix: 0, pending: 0 },
      { held: 0, heldSix: 0, pending: 0 },
    ]);
    engine.setBan(0, parseAddress('192.0.2.1')!, now, now + 60);
    engine.setBan(1, parseAddress('192.0.2.1')!, now, Number.POSITIVE_INFINITY);
    engine.setBan(1, parseAddress('2001:db8::1')!, now, now + 60);
    // A decision that the kernel has not yet confirmed.
    engine.openSource(0, engine.addRoute([{ index: 0, filter: 'sshd', mode: '' }]));
    const line = Buffer.from('Nov 20 12:00:00 host sshd[7]: Failed password for root from 192.0.2.2 port 22 ssh2\n');
    engine.buffer.set(line);
    engine.feed(0, line.length, 0, now, false);
    const counted = await engine.countBans(now - 1);
    expect(counted).toEqual([
      { held: 1, heldSix: 0, pending: 1 },
      { held: 2, heldSix: 1, pending: 0 },
    ]);
    expect((await engine.countBans(now + 60))[1]).toEqual({ held: 1, heldSix: 0, pending: 0 });
    engine.forget(1, parseAddress('192.0.2.1')!);
    expect((await engine.countBans(now + 60))[1]).toEqual({ held: 0, heldSix: 0, pending: 0 });
  });

  test('a large table is counted in slices, once for all who ask meanwhile, and others have their turn', async () => {
    const now = 1_795_176_000;
    const engine = await Engine.create({ build, jails: [jail], tableBytes: 4_000_000, live: false, now });
    expect(engine.slots).toBeGreaterThan(2 * countEntries);
    for (let host = 0; host < 1_000; host++) {
      engine.setBan(0, parseAddress(`198.51.${100 + (host >> 8)}.${host & 255}`)!, now, now + 60);
    }
    let turns = 0;
    const tick = (): void => {
      turns++;
      ticking = setImmediate(tick);
    };
    let ticking = setImmediate(tick);
    const counts = engine.countBans(now);
    expect(engine.countBans(now + 60)).toBe(counts);
    expect(await counts).toEqual([{ held: 1_000, heldSix: 0, pending: 0 }]);
    clearImmediate(ticking);
    expect(turns).toBeGreaterThanOrEqual(2);
    expect(await engine.countBans(now + 60)).toEqual([{ held: 0, heldSix: 0, pending: 0 }]);
  });
});
