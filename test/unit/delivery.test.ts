/**
 * The delivery of bans alone, with the clock of the test: what is sent, what a refusal costs, when
 * it is tried again, and what is left at the end.
 */
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { UnsupportedChange } from '../../src/backends/elements.ts';
import { KernelError } from '../../src/backends/kernel-error.ts';
import { codeOf, countersOf, Delivery, type Settings } from '../../src/enforcer/delivery.ts';
import type { TableBan } from '../../src/engine/host.ts';
import { banRetryMs, banRetryMsMax, refusalsPerBatchMax } from '../../src/limits.ts';
import { formatAddress, parseCidr } from '../../src/text/address.ts';
import type { Address, Change } from '../../src/types.ts';
import { rememberingLog } from '../support/control.ts';

const addressOf = (text: string): Address => parseCidr(text, 'clear') as Address;
const nowSeconds = 1_000;

const ban = (text: string, more: Partial<TableBan> = {}): TableBan => ({
  index: -1,
  jail: 0,
  address: addressOf(text),
  end: nowSeconds + 60,
  confirmed: false,
  restored: false,
  manual: false,
  bans: 0,
  ...more,
});
const bans = (count: number, more: Partial<TableBan> = {}) =>
  Array.from({ length: count }, (_, n) => ban(`10.0.${n >> 8}.${n & 255}`, more));
const textsOf = (batch: TableBan[]): string[] => batch.map(({ address }) => formatAddress(address));

const kernelError = (errno: 1 | 2 | 23) => new KernelError(errno, 'add elements');
const down = kernelError(1);
const full = kernelError(23);

beforeEach(() => {
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout', 'performance'] });
});
afterEach(() => {
  vi.useRealTimers();
});

/** A delivery to a kernel that refuses what `refuse` has an error for. */
function deliveryTo(refuse: (texts: string[]) => Error | undefined = () => undefined) {
  const kernel = { refuse, sent: [] as string[][], changes: [] as Change[] };
  const log = rememberingLog();
  const forgotten: string[] = [];
  const ignored: string[] = [];
  const shared: string[] = [];
  const listed: string[] = [];
  const again: boolean[] = [];
  const counters = countersOf(2);
  const settings = {
    now: () => nowSeconds * 1_000,
    log,
    jails: [{ name: 'sshd' }, { name: 'web' }],
    ignored: { isListed: (address: Address) => listed.includes(formatAddress(address)) },
    backend: {
      apply: async (changes: Change[]) => {
        kernel.changes = changes;
        const texts = changes.map((change) =>
          formatAddress(change.verb === 'ban' ? change.ban.address : change.address),
        );
        kernel.sent.push(texts);
        const error = kernel.refuse(texts);
        if (error) throw error;
      },
    },
    engine: {
      isIgnored: (jail: number, address: Address) => ignored.includes(`${jail} ${formatAddress(address)}`),
      isShared: (address: Address) => shared.includes(formatAddress(address)),
      forget: (jail: number, address: Address) => forgotten.push(`${jail} ${formatAddress(address)}`),
    },
  } as unknown as Settings;
  const delivery = new Delivery(settings, counters, (setsAreGone) => again.push(setsAreGone));
  const landed: string[] = [];
  const send = (batch: TableBan[]) => delivery.send(batch, (part) => landed.push(...textsOf(part)));
  return { delivery, kernel, log, counters, forgotten, ignored, shared, listed, again, landed, send };
}

describe('what is sent', () => {
  test('each ban with its jail and what is left of its time', async () => {
    const { kernel, counters, landed, send } = deliveryTo();
    await send([ban('10.0.0.1'), ban('10.0.0.2', { jail: 1, end: Number.POSITIVE_INFINITY })]);
    expect(kernel.changes).toMatchObject([
      { verb: 'ban', ban: { jail: 'sshd', timeoutMs: 60_000 } },
      { verb: 'ban', ban: { jail: 'web', timeoutMs: 0 } },
    ]);
    expect(landed).toEqual(['10.0.0.1', '10.0.0.2']);
    expect(counters).toMatchObject({ transactions: 1, failures: new Map() });
    await send([]);
    expect(counters.transactions).toBe(1);
  });

  test('none that is over, and none that nobody may ban by now: that one is forgotten', () => {
    const { delivery, forgotten, ignored, shared, listed } = deliveryTo();
    ignored.push('1 10.0.0.1');
    shared.push('10.0.0.2');
    listed.push('10.0.0.3');
    const batch = [
      ...bans(4),
      ban('10.0.0.1', { jail: 1 }),
      ban('10.0.0.8', { end: nowSeconds }),
      ban('10.0.0.9', { end: nowSeconds + 1 }),
    ];
    expect(textsOf(delivery.sendable(batch))).toEqual(['10.0.0.0', '10.0.0.1', '10.0.0.9']);
    expect(forgotten).toEqual(['0 10.0.0.2', '0 10.0.0.3', '1 10.0.0.1']);
  });
});

describe('a kernel that accepts nothing', () => {
  test('is asked again after pauses that double, up to a bound, and says so', async () => {
    const { delivery, kernel, log, again, counters, send, landed } = deliveryTo(() => down);
    let pause = banRetryMs;
    for (let attempt = 1; attempt <= 12; attempt++) {
      await send(bans(3));
      expect([delivery.isDown, kernel.sent.length, counters.failures.get('EPERM')]).toEqual([true, attempt, attempt]);
      expect(log.said.at(-1)!.fields).toMatchObject({ bans: 3, error: 'add elements: EPERM', retryMs: pause });
      expect(delivery.problem).toBe('bans do not reach the kernel: add elements: EPERM');
      vi.advanceTimersByTime(pause - 1);
      expect([delivery.isDown, again.length]).toEqual([true, attempt - 1]);
      vi.advanceTimersByTime(1);
      expect([delivery.isDown, again]).toEqual([false, Array(attempt).fill(false)]);
      pause = Math.min(2 * pause, banRetryMsMax);
    }
    kernel.refuse = () => undefined;
    await send(bans(3));
    expect(landed).toHaveLength(3);
    expect(delivery.problem).toBeUndefined();
    expect(log.said.at(-1)!.text).toBe('the kernel accepts bans again');
    // After a quiet time the first pause is short again.
    vi.advanceTimersByTime(3 * banRetryMsMax);
    kernel.refuse = () => down;
    await send(bans(1));
    expect(log.said.at(-1)!.fields).toMatchObject({ retryMs: banRetryMs });
    expect(vi.getTimerCount()).toBe(1);
    // Another failure meanwhile makes one pause of two.
    delivery.goDown(down, 1);
    expect(vi.getTimerCount()).toBe(1);
  });

  test('because our sets are gone has them made anew first', async () => {
    const { again, send } = deliveryTo(() => kernelError(2));
    await send(bans(1));
    vi.advanceTimersByTime(banRetryMs);
    expect(again).toEqual([true]);
  });

  test('ends a search that a refusal began', async () => {
    let calls = 0;
    const { kernel, send, landed } = deliveryTo(() => (++calls === 1 ? full : down));
    await send(bans(8));
    expect(kernel.sent.map((each) => each.length)).toEqual([8, 4]);
    expect(landed).toEqual([]);
  });

  test('is left at the end: no pause goes on, and none begins', async () => {
    const { delivery, again, send } = deliveryTo(() => down);
    expect(delivery.endPauses()).toBe(false);
    await send(bans(1));
    expect(delivery.endPauses()).toBe(true);
    expect([delivery.isDown, vi.getTimerCount()]).toEqual([false, 0]);
    await send(bans(1));
    delivery.close();
    expect(vi.getTimerCount()).toBe(0);
    await send(bans(1));
    expect([delivery.isDown, vi.getTimerCount()]).toEqual([false, 0]);
    expect(again).toEqual([]);
  });
});

describe('a set that refuses bans', () => {
  test('costs a bounded number of transactions, and the sets beside it none', async () => {
    const { delivery, kernel, log, counters, landed, send } = deliveryTo((texts) =>
      texts.some((text) => text.startsWith('10.')) ? full : undefined,
    );
    const other = [ban('2001:db8::/64'), ban('192.0.2.1', { jail: 1 })];
    await send([...bans(200), ...other]);
    expect(landed.sort()).toEqual(textsOf(other).sort());
    expect(counters.failures.get('ENFILE')).toBeLessThanOrEqual(2 * refusalsPerBatchMax);
    expect(kernel.sent.length).toBeLessThan(3 * refusalsPerBatchMax);
    expect(delivery.isDown).toBe(false);
    expect(delivery.problem).toBe('bans of sshd, IPv4 do not reach the kernel: add elements: ENFILE');
    expect(log.said.at(-1)).toMatchObject({ text: 'ban refused', fields: { set: 'sshd, IPv4' } });
    // While it refuses, its bans wait; those of the other sets do not.
    expect(textsOf(delivery.sendable([ban('10.0.9.9'), ...other]))).toEqual(textsOf(other));
  });

  test('is tried again after pauses that double, without its problem of before', async () => {
    const { delivery, again, send, kernel } = deliveryTo(() => full);
    let pause = banRetryMs;
    for (let attempt = 1; attempt <= 4; attempt++) {
      await send(bans(2));
      expect(delivery.sendable(bans(2))).toEqual([]);
      expect(vi.getTimerCount()).toBe(1);
      vi.advanceTimersByTime(pause - 1);
      expect(again).toHaveLength(attempt - 1);
      vi.advanceTimersByTime(1);
      expect(again).toEqual(Array(attempt).fill(false));
      expect(delivery.problem).toBeUndefined();
      expect(delivery.sendable(bans(2))).toHaveLength(2);
      pause *= 2;
    }
    kernel.refuse = () => undefined;
    await send(bans(2));
    expect([delivery.problem, vi.getTimerCount()]).toEqual([undefined, 0]);
  });

  test('but accepts all others of the batch is not full: only that ban waits', async () => {
    const bad = '10.0.0.5';
    const { delivery, landed, send } = deliveryTo((texts) => (texts.includes(bad) ? full : undefined));
    await send(bans(8));
    expect(landed).toHaveLength(7);
    expect(delivery.problem).toContain('bans of sshd, IPv4');
    expect(delivery.sendable([ban('10.0.0.9')])).toHaveLength(1);
  });

  test('is full where it refuses the only ban of a batch, though other sets accept theirs', async () => {
    const { delivery, send } = deliveryTo((texts) => (texts.includes('10.0.0.5') ? full : undefined));
    await send([ban('10.0.0.5'), ban('2001:db8::/64'), ban('192.0.2.7', { jail: 1 })]);
    expect(delivery.sendable([ban('10.0.0.9')])).toEqual([]);
  });

  test('is full where it refuses two', async () => {
    const { delivery, landed, send } = deliveryTo((texts) =>
      texts.includes('10.0.0.2') || texts.includes('10.0.0.6') ? full : undefined,
    );
    await send(bans(8));
    expect(landed).toHaveLength(6);
    expect(delivery.sendable([ban('10.0.0.9')])).toEqual([]);
  });

  test('is left at the end: its bans may wait, and no pause goes on', async () => {
    const { delivery, again, send } = deliveryTo(() => full);
    await send(bans(2));
    expect(delivery.endPauses()).toBe(true);
    expect([delivery.problem, vi.getTimerCount()]).toEqual([undefined, 0]);
    expect(delivery.sendable(bans(2))).toHaveLength(2);
    expect(delivery.endPauses()).toBe(false);
    delivery.close();
    await send(bans(2));
    expect([delivery.isDown, vi.getTimerCount(), again]).toEqual([false, 0, []]);
  });
});

test('what the backend can never hold is given up, one by one, at no cost of the others', async () => {
  const never = ['10.0.0.3', '10.0.0.4'];
  const { delivery, log, counters, forgotten, landed, send } = deliveryTo((texts) =>
    texts.some((text) => never.includes(text)) ? new UnsupportedChange('does not fit') : undefined,
  );
  await send(bans(10));
  expect(landed).toHaveLength(8);
  expect(forgotten.sort()).toEqual(['0 10.0.0.3', '0 10.0.0.4']);
  expect(counters).toMatchObject({ unsupported: 2, failures: new Map() });
  expect(log.said).toMatchObject(
    Array(2).fill({ text: 'ban given up', fields: { set: 'sshd, IPv4', error: 'does not fit' } }),
  );
  expect([delivery.problem, vi.getTimerCount()]).toEqual([undefined, 0]);
});

test.each([
  [down, 'EPERM'],
  [new TypeError('x'), 'TypeError'],
  [Object.assign(new Error('x'), { code: 7 }), 'Error'],
])('a failure is counted by its code or else its name: %s', (error, code) => {
  const { delivery, counters } = deliveryTo();
  delivery.countFailure(codeOf(error));
  delivery.countFailure(codeOf(error));
  expect(counters.failures).toEqual(new Map([[code, 2]]));
});
