/** What the daemon answers to an operator's commands, over a real engine and enforcer. */
import { expect, test } from 'vitest';
import { watched } from '../../spec/support/watched.ts';

const by = { uid: 0, pid: 1 } as never;

test('an address that no packet can come from is not banned by hand', async () => {
  const made = await watched().make();
  const { operator, backend } = made;
  for (const [text, why] of [
    ['0.0.0.0', 'the unspecified address'],
    ['::', 'the unspecified address'],
    ['::/64', 'the unspecified address'],
    ['::7', 'the unspecified address'],
    ['224.0.0.1', 'a multicast address'],
    ['239.255.255.250', 'a multicast address'],
    ['ff02::1', 'a multicast address'],
    ['::ffff:224.0.0.1', 'a multicast address'],
    ['255.255.255.255', 'the broadcast address'],
  ]) {
    const refused = operator.ban({ jail: 'sshd', addresses: [text!], seconds: 60 }, by);
    await expect(refused, text).rejects.toThrow(`${text} is ${why}: nothing comes from it`);
  }
  expect(backend.held.size).toBe(0);
  for (const address of ['223.255.255.255', '240.0.0.1', '192.0.2.255', 'fe80::1', '2001:db8::'])
    await operator.ban({ jail: 'sshd', addresses: [address], seconds: 60 }, by);
  expect(backend.held.size).toBe(5);
  await made.enforcer.stop();
});
