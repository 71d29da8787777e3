/**
 * Links on which a jail bans many single addresses are reported once, and shown as long as it is
 * so.
 */
import { expect, test } from 'vitest';
import { Engine } from '../../src/engine/host.ts';
import { linkBansShown } from '../../src/limits.ts';
import { CrowdedLinks } from '../../src/observe/crowded-links.ts';
import { parseCidr } from '../../src/text/address.ts';
import type { Address } from '../../src/types.ts';

const address = (text: string) => parseCidr(text, 'refuse') as Address;
const now = 1_773_144_000;

async function make(bantimes = 3_600) {
  const jail = { filter: 'sshd', mode: '', maxretry: 3, findtime: 600, bantime: bantimes, ipv6Prefix: 64, ignore: [] };
  const links = [address('2001:db8:1::/48')];
  const engine = await Engine.create({ build: 'plain', jails: [jail, jail], tableBytes: 1 << 18, shared: links });
  const said: string[] = [];
  const log = { warn: (text: string) => said.push(text) };
  const crowds = new CrowdedLinks({ engine, ignored: { links }, jails: [{ name: 'sshd' }, { name: 'web' }], log });
  const ban = (prefix: string, count: number, jail = 0) => {
    for (let n = 1; n <= count; n++) engine.setBan(jail, address(`${prefix}${n.toString(16)}`), now, now + 60);
  };
  return { engine, crowds, said, ban };
}

test('a jail with more than 32 bans on one /64 of a link says so, once, while they are there', async () => {
  const { crowds, engine, said, ban } = await make();
  ban('2001:db8:1:2::', linkBansShown);
  ban('2001:db8:1:3::', linkBansShown);
  ban('2001:db8:1:2::', 9, 1);
  // These are links of nobody.
  ban('fe80::', 99);
  ban('64:ff9b::', 99);
  await crowds.look();
  expect([crowds.problems(), said]).toEqual([[], []]);
  ban('2001:db8:1:2::', linkBansShown + 1);
  await crowds.look();
  await crowds.look();
  const text =
    'jail sshd bans 33 single addresses of 2001:db8:1:2::/64, a link of this host: one host may be changing its address; the link is never banned as a whole';
  expect(crowds.problems()).toEqual([text]);
  expect(said).toEqual([text]);
  engine.forget(0, address('2001:db8:1:2::1'));
  await crowds.look();
  expect(crowds.problems()).toEqual([]);
});

test('if no single address was counted, nobody searches the table', async () => {
  const { crowds, engine } = await make();
  engine.setBan(0, address('2001:db8:7:7::/64'), now, now + 60);
  engine.eachBan = () => {
    throw new Error('looked');
  };
  await crowds.look();
  expect(crowds.problems()).toEqual([]);
});
