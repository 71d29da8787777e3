/** What the daemon answers to an operator's commands, over a real engine and enforcer. */
import { expect, test } from 'vitest';
import { watched } from '../../spec/support/watched.ts';
import { FILTER_LINES, FILTER_MATCHED } from '../../src/engine/counters.ts';
import { unmatchedLinesMin } from '../../src/limits.ts';

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

test('a filter that has matched none of many lines is a hint, and no problem', async () => {
  const made = await watched().make();
  const { operator, engine } = made;
  const counter = engine.filterCounter.bind(engine);
  const counts = { [FILTER_LINES]: unmatchedLinesMin, [FILTER_MATCHED]: 0 };
  engine.filterCounter = (filter, index) => counts[index] ?? counter(filter, index);
  const hints = async (): Promise<string[]> => {
    const told: string[] = [];
    for await (const part of operator.status({})) told.push(...(part.hints ?? []));
    return told;
  };
  expect(await hints()).toEqual(
    ['sshd', 'slow'].map((jail) => `jail ${jail}: filter sshd has matched none of 10000 lines`),
  );
  counts[FILTER_MATCHED] = 1;
  expect(await hints()).toEqual([]);
  await made.enforcer.stop();
});
