/**
 * Bursts in our own log: one record names many addresses, and the jail recidive counts each of
 * them. The logger itself writes every form.
 */
import { describe, expect, test } from 'vitest';
import { Engine } from '../../src/engine/host.ts';
import { Recorder } from '../../src/history/recorder.ts';
import { historyAddressesMax, historyBurst } from '../../src/limits.ts';
import { Log } from '../../src/log.ts';
import { formatAddress } from '../../src/text/address.ts';

/** The log of a daemon that bans these addresses at once. */
async function logOf(format: 'text' | 'json', addresses: string[], jail = 'sshd'): Promise<string> {
  let text = '';
  const log = new Log({
    level: 'info',
    format,
    write: (line) => {
      text += line;
    },
  });
  const recorder = new Recorder({ path: undefined, log });
  recorder.bans(
    'ban',
    jail,
    addresses.map((address) => ({ address, details: () => ({ until: 1_773_147_600 }) })),
  );
  await recorder.flush();
  return text;
}

describe.each(['plain', 'wasm'] as const)('%s build', (build) => {
  /** The addresses that are banned at the first record. */
  async function bannedBy(text: string): Promise<string[]> {
    const jail = { filter: 'recidive', mode: '', maxretry: 1, findtime: 600, bantime: 60, ipv6Prefix: 64, ignore: [] };
    const engine = await Engine.create({ build, jails: [jail], tableBytes: 1 << 18, live: false });
    engine.openSource(0, engine.addRoute([{ index: 0, filter: 'recidive', mode: '' }]));
    const banned: string[] = [];
    for (let rest = Buffer.from(text); rest.length > 0; ) {
      engine.buffer.set(rest);
      rest = rest.subarray(engine.feed(0, rest.length, 0, 1_773_144_000, true));
      engine.takeDecisions(({ address }) => banned.push(formatAddress(address)));
    }
    return banned;
  }

  test.each(['text', 'json'] as const)('each address of a burst counts, as %s', async (format) => {
    const all = Array.from({ length: historyBurst + historyAddressesMax + 3 }, (_, n) =>
      n % 3 === 2 ? `2001:db8:0:${n.toString(16)}::/64` : `192.0.${n >> 8}.${n & 255}`,
    );
    const text = await logOf(format, all);
    expect(text).toContain(format === 'json' ? '"addresses":"' : 'addresses="');
    expect((await bannedBy(text)).sort()).toEqual([...all].sort());
  });

  test.each(['text', 'json'] as const)('a burst of one counts, as %s', async (format) => {
    const all = Array.from({ length: historyBurst + 1 }, (_, n) => `192.0.${n >> 8}.${n & 255}`);
    expect((await bannedBy(await logOf(format, all))).sort()).toEqual([...all].sort());
  });

  test('bursts of the jail itself do not count, nor does anything behind the quote', async () => {
    const all = Array.from({ length: historyBurst + 9 }, (_, n) => `192.0.${n >> 8}.${n & 255}`);
    expect(await bannedBy(await logOf('text', all, 'recidive'))).toEqual([]);
    const line = (list: string) => `2026-03-10T12:00:00.000Z info banned jail=sshd count=2 ${list}\n`;
    expect(await bannedBy(line('addresses="192.0.2.7" reason="x 192.0.2.8"'))).toEqual(['192.0.2.7']);
    expect(await bannedBy(line('addresses="192.0.2.7 192.0.2.300 192.0.2.8"'))).toEqual(['192.0.2.7']);
    expect(await bannedBy(line('addresses="192.0.2.7 192.0.2.8'))).toEqual([]);
    expect(await bannedBy(line('addresses="192.0.2.7/12345678 192.0.2.8"'))).toEqual(['192.0.2.7']);
  });
});
