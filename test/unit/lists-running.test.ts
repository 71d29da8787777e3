/**
 * Lists in the running daemon, over a kernel of sets in memory: what comes into force and what is
 * said of it, what a reload changes, and where an address is named.
 */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { coveredBy, Kernel } from '../../spec/support/listing.ts';
import { readLists } from '../../src/config/lists.ts';
import {
  listBatchMax,
  listEntriesSpare,
  listLookMs,
  listRowsMax,
  listStaleBytes,
  reconcileApartMs,
} from '../../src/limits.ts';
import { planBytes } from '../../src/lists/group.ts';
import { Lists } from '../../src/lists/lists.ts';
import { parseCidr } from '../../src/text/address.ts';
import type { Address, CoreList, JailScaffold, ListUse } from '../../src/types.ts';
import { collect } from '../support/collect.ts';
import { rememberingLog } from '../support/control.ts';
import { until } from '../support/until.ts';

let home: string;
let running: Lists | undefined;
beforeEach(() => {
  home = mkdtempSync(join(tmpdir(), 'fail2zig-lists-'));
});
afterEach(async () => {
  vi.restoreAllMocks();
  await running?.stop();
  running = undefined;
  rmSync(home, { recursive: true, force: true });
});

let writes = 0;
/** The file has another size each time, so that two writes within one tick of the clock differ. */
const write = (name: string, ...lines: string[]): void =>
  writeFileSync(join(home, name), `#${' '.repeat(++writes)}\n${lines.join('\n')}\n`, { mode: 0o600 });

const addressOf = (text: string): Address => parseCidr(text, 'refuse') as Address;
const ban = (name: string, jail = 'lists') => ({ file: join(home, name), use: 'ban' as ListUse, jail });
const ignore = (name: string) => ({ file: join(home, name), use: 'ignore' as ListUse, jail: '' });
const rowsOf = (...rows: ReturnType<typeof ban>[]): CoreList[] =>
  readLists(rows, 'checked', (_, __, reason) => expect.fail(reason), []);
const jailNamed = (name: string): JailScaffold =>
  ({ name, ipv6Prefix: 64, ports: [], protocols: ['tcp'], hooks: ['input'] }) as JailScaffold;

function daemon(rows: CoreList[], options: { name?: string; holds?: boolean; isAble?: boolean } = {}) {
  const { name = 'nftables', holds = true, isAble = true } = options;
  const kernel = new Kernel();
  const log = rememberingLog();
  const lists = new Lists(rows);
  running = lists;
  const jails = [jailNamed('lists'), jailNamed('sshd')];
  const did = { installs: 0, allowAnew: 0, turns: 0, pauses: 0 };
  const refuses = { install: false };
  lists.dress(jails);
  kernel.install(jails);
  const backend = {
    name: name as 'nftables',
    holds,
    pause: async () => void did.pauses++,
    ...(isAble && { listed: kernel }),
  };
  const start = async (): Promise<void> => {
    lists.start({
      backend,
      enforcer: {
        inTurn: (task) => {
          did.turns++;
          return task();
        },
        install: async () => {
          did.installs++;
          if (refuses.install) throw new Error('no rights');
          kernel.install(jails);
        },
        allowAnew: () => void did.allowAnew++,
      },
      jails,
      log,
    });
    await lists.settled();
  };
  const look = async (times = 3): Promise<void> => {
    for (let time = 0; time < times; time++) {
      lists.look();
      await lists.settled();
    }
  };
  const said = (): string[] =>
    log.said.map(({ level, text, fields }) => {
      const { seconds, ...rest } = fields as Record<string, unknown>;
      if (text === 'list in force') expect(seconds).toBeLessThan(60);
      return `${level} ${text} ${JSON.stringify(rest)}`.replaceAll(home, '');
    });
  return { lists, kernel, jails, did, refuses, start, look, said };
}

describe('a list', () => {
  test('is in force after the start, and that is said once', async () => {
    write('a', '192.0.2.1', '192.0.2.1', '198.51.100.0/24');
    write('b', '2001:db8::/32');
    write('c', '203.0.113.1');
    const { lists, kernel, did, start, look, said } = daemon(rowsOf(ban('a'), ban('b'), ban('c', 'sshd')));
    await start();
    expect(kernel.held('lists')).toEqual(coveredBy(['192.0.2.1', '198.51.100.0/24', '2001:db8::/32']));
    expect(kernel.held('sshd')).toEqual(coveredBy(['203.0.113.1']));
    expect(lists.views()).toMatchObject([
      { file: join(home, 'a'), use: 'ban', jail: 'lists', entries: 3 },
      { file: join(home, 'b'), entries: 1 },
      { file: join(home, 'c'), jail: 'sshd', entries: 1 },
    ]);
    expect(said()).toEqual([
      'info list in force {"jail":"lists","files":"/a /b","entries":4,"twice":1,"added":3,"removed":0}',
      'info list in force {"jail":"sshd","files":"/c","entries":1,"twice":0,"added":1,"removed":0}',
    ]);
    expect(did).toEqual({ installs: 0, allowAnew: 0, turns: kernel.transactions, pauses: kernel.transactions });
    await look();
    expect(said()).toHaveLength(2);
    expect(lists.problems()).toEqual([]);
    expect(lists.bytes).toBe(0);
  });

  test('that changes is read when it rests, and only what differs is written', async () => {
    write('a', '192.0.2.1', '192.0.2.2');
    const { kernel, start, look, said } = daemon(rowsOf(ban('a')));
    await start();
    write('a', '192.0.2.2', '192.0.2.3');
    await look(1);
    expect(kernel.held('lists')).toEqual(coveredBy(['192.0.2.1', '192.0.2.2']));
    await look(1);
    expect(kernel.held('lists')).toEqual(coveredBy(['192.0.2.2', '192.0.2.3']));
    expect(said().at(-1)).toBe(
      'info list in force {"jail":"lists","files":"/a","entries":2,"twice":0,"added":1,"removed":1}',
    );
    // Other lengths have other sets, and those that are left empty go.
    write('a', '192.0.2.2', '198.51.100.0/24', '2001:db8::/64');
    await look();
    expect([...kernel.sets.keys()].toSorted()).toEqual(['lists 4 24', 'lists 4 32', 'lists 6 64']);
    write('a', '198.51.100.0/24');
    await look();
    expect([...kernel.sets.keys()]).toEqual(['lists 4 24']);
  });

  test('that is wrong is told once, what it held goes on, and what is right again is told too', async () => {
    write('a', '192.0.2.1');
    const { lists, kernel, start, look, said } = daemon(rowsOf(ban('a')));
    await start();
    write('a', '192.0.2.1', 'x');
    await look(6);
    const problem = `${home}/a:3: "x" is not an address or prefix (write 192.0.2.7, 192.0.2.0/24 or 2001:db8::/32); what it held before goes on`;
    expect(lists.problems()).toEqual([problem]);
    expect(kernel.held('lists')).toEqual(coveredBy(['192.0.2.1']));
    expect(said().slice(1)).toEqual([`error list refused ${JSON.stringify({ problem }).replaceAll(home, '')}`]);
    write('a', '192.0.2.1', 'y');
    await look();
    expect(said()).toHaveLength(3);
    write('a', '192.0.2.1');
    await look();
    expect(said().slice(3)).toEqual(['info the list is in force again {"jail":"lists"}']);
    expect(lists.problems()).toEqual([]);
  });

  test('that the kernel refuses is tried again after a pause', async () => {
    write('a', '192.0.2.1');
    const { lists, kernel, start, look } = daemon(rowsOf(ban('a')));
    kernel.refuses = true;
    await start();
    expect(lists.problems()).toEqual(['the list does not reach the kernel: no room; what it held before goes on']);
    const clock = vi.spyOn(performance, 'now').mockReturnValue(performance.now());
    await look();
    expect(kernel.transactions).toBe(1);
    clock.mockRestore();
    await until(
      async () => {
        await look(1);
        return lists.problems().length === 0;
      },
      { what: 'another attempt' },
    );
    expect(kernel.held('lists')).toEqual(coveredBy(['192.0.2.1']));
  });

  test('is compared again when the kernel lost its sets, and after changes by others, but not all the time', async () => {
    write('a', '192.0.2.1');
    const { lists, kernel, start, look } = daemon(rowsOf(ban('a')));
    await start();
    const lose = (): void => kernel.sets.get('lists 4 32')!.clear();
    lose();
    kernel.emptied('lists');
    await lists.settled();
    expect(kernel.held('lists')).toEqual(coveredBy(['192.0.2.1']));
    lose();
    const now = performance.now();
    const clock = vi.spyOn(performance, 'now');
    clock.mockReturnValue(now + reconcileApartMs / 2);
    lists.disturbed();
    await look();
    expect(kernel.held('lists')).toEqual([]);
    clock.mockReturnValue(now + 2 * reconcileApartMs);
    lists.disturbed();
    await look(1);
    expect(kernel.held('lists')).toEqual(coveredBy(['192.0.2.1']));
    lose();
    lists.compare();
    await lists.settled();
    expect(kernel.held('lists')).toEqual(coveredBy(['192.0.2.1']));
  });

  test('is written in parts, and so is what it no longer names, however much that is', async () => {
    const lines = Array.from({ length: 3 * listBatchMax }, (_, at) => `192.0.${at >> 8}.${at & 255}`);
    write('a', ...lines);
    const { kernel, start, look, said } = daemon(rowsOf(ban('a')));
    let largest = 0;
    const apply = kernel.apply.bind(kernel);
    kernel.apply = (changes) => {
      const bytes = changes.reduce((sum, { adds, removes }) => sum + adds.length + removes.length, 0);
      largest = Math.max(largest, bytes / 4);
      return apply(changes);
    };
    await start();
    expect(kernel.transactions).toBeGreaterThanOrEqual(3);
    expect(largest).toBeLessThanOrEqual(listBatchMax);
    write('a', lines[0]!);
    await look();
    expect(largest).toBeLessThanOrEqual(listBatchMax);
    expect(kernel.held('lists')).toEqual(coveredBy([lines[0]!]));
    // Others filled the set with more than is remembered at once.
    const held = kernel.sets.get('lists 4 32')!;
    const strangers = listStaleBytes / 4 + 10;
    for (let key = 0; key < strangers; key++) held.add((0x0a00_0000 + key).toString(16).padStart(8, '0'));
    kernel.emptied('lists');
    await running!.settled();
    expect(held.size).toBe(1);
    expect(said().at(-1)).toContain(`"added":0,"removed":${strangers}}`);
  });

  test('keeps its sets where the kernel refuses others, and has the others later', async () => {
    write('a', '192.0.2.1');
    const { lists, kernel, jails, refuses, start, look } = daemon(rowsOf(ban('a')));
    await start();
    refuses.install = true;
    write('a', '192.0.2.1', '198.51.100.0/24');
    await look();
    expect(lists.problems()).toEqual(['the list does not reach the kernel: no rights; what it held before goes on']);
    expect(jails[0]!.lists).toEqual({ 4: [32], 6: [] });
    expect(kernel.held('lists')).toEqual(coveredBy(['192.0.2.1']));
    refuses.install = false;
    await until(
      async () => {
        await look(1);
        return lists.problems().length === 0;
      },
      { what: 'another attempt' },
    );
    expect(kernel.held('lists')).toEqual(coveredBy(['192.0.2.1', '198.51.100.0/24']));
    expect(jails[0]!.lists).toEqual({ 4: [24, 32], 6: [] });
  });

  test('is looked at in intervals, until the daemon stops', async () => {
    write('a', '192.0.2.1');
    const { lists, kernel, start } = daemon(rowsOf(ban('a')));
    vi.useFakeTimers({ toFake: ['setInterval', 'clearInterval'] });
    try {
      await start();
      const pass = async (): Promise<void> => {
        vi.advanceTimersByTime(listLookMs);
        await lists.settled();
      };
      write('a', '192.0.2.2');
      await pass();
      await pass();
      expect(kernel.held('lists')).toEqual(coveredBy(['192.0.2.2']));
      await lists.stop();
      expect(vi.getTimerCount()).toBe(0);
    } finally {
      vi.useRealTimers();
    }
  });

  test('stops with the daemon', async () => {
    write('a', '192.0.2.1');
    const { lists, kernel, start, look } = daemon(rowsOf(ban('a')));
    await start();
    await lists.stop();
    write('a', '192.0.2.2');
    await look();
    expect(kernel.held('lists')).toEqual(coveredBy(['192.0.2.1']));
    expect(lists.problems()).toEqual([]);
  });
});

describe('what lists ignore', () => {
  test('is known before the start, and ends bans when it changes', async () => {
    write('a', '192.0.2.0/24', '2001:db8:7::/48', '203.0.113.9');
    const { lists, kernel, did, start, look, said } = daemon(rowsOf(ignore('a')));
    expect(lists.covers(addressOf('192.0.2.7'))).toBe(false);
    await lists.prepare();
    const covered = ['192.0.2.7', '192.0.2.0/24', '192.0.2.128/25', '2001:db8:7::1', '203.0.113.9'];
    const others = ['192.0.3.7', '192.0.2.0/23', '2001:db8::/47', '2001:db8:8::1', '203.0.113.8'];
    for (const text of covered) expect(lists.covers(addressOf(text)), text).toBe(true);
    for (const text of others) expect(lists.covers(addressOf(text)), text).toBe(false);
    await start();
    expect(did.allowAnew).toBe(0);
    expect(kernel.held('')).toEqual(coveredBy(['192.0.2.0/24', '2001:db8:7::/48', '203.0.113.9']));
    expect(said()).toEqual(['info list in force {"files":"/a","entries":3,"twice":0,"added":3,"removed":0}']);
    expect(lists.bytes).toBe(planBytes({ 4: 2, 6: 1 }));
    write('a', '203.0.113.8');
    await look();
    expect(did.allowAnew).toBe(1);
    expect(lists.covers(addressOf('203.0.113.8'))).toBe(true);
    expect(lists.covers(addressOf('203.0.113.9'))).toBe(false);
    await look();
    expect(did.allowAnew).toBe(1);
  });

  test('may be wrong when it is prepared: that is told later', async () => {
    write('a', '192.0.2.1');
    const rows = rowsOf(ignore('a'));
    write('a', 'x');
    const { lists, start } = daemon(rows);
    await lists.prepare();
    expect(lists.covers(addressOf('192.0.2.1'))).toBe(false);
    await start();
    expect(lists.problems()).toHaveLength(1);
  });
});

describe('a backend that cannot hold lists', () => {
  test.each([
    [true, ['lists are not in force: ipset cannot hold them; set firewall.backend to "nftables"']],
    [false, []],
  ])('where it bans (%s)', async (holds, problems) => {
    write('a', '192.0.2.1');
    write('b', '192.0.2.2');
    const { lists, kernel, start, look } = daemon(rowsOf(ban('a'), ignore('b')), {
      name: 'ipset',
      holds,
      isAble: false,
    });
    await lists.prepare();
    await start();
    await look();
    expect(lists.problems()).toEqual(problems);
    expect(kernel.transactions).toBe(0);
    expect(lists.covers(addressOf('192.0.2.2'))).toBe(true);
    expect(lists.views()).toMatchObject([{ use: 'ignore', entries: 1 }]);
  });
});

describe('a reload', () => {
  test('brings new lists, and takes what is no longer configured', async () => {
    write('a', '192.0.2.1');
    write('b', '192.0.2.2');
    write('c', '192.0.2.3');
    const { lists, kernel, jails, start } = daemon(rowsOf(ban('a'), ban('b', 'sshd'), ignore('c')));
    await lists.prepare();
    await start();
    expect(jails.map((jail) => [jail.lists, jail.allowLists])).toEqual([
      [
        { 4: [32], 6: [] },
        { 4: [32], 6: [] },
      ],
      [
        { 4: [32], 6: [] },
        { 4: [32], 6: [] },
      ],
    ]);
    write('d', '2001:db8::/32');
    lists.change(rowsOf(ban('a'), ban('d')));
    // What was read before is shown until the files are read again.
    expect(lists.views()).toMatchObject([{ file: join(home, 'a'), entries: 1 }]);
    expect(kernel.held('lists')).toEqual(coveredBy(['192.0.2.1']));
    await lists.settled();
    expect(kernel.held('lists')).toEqual(coveredBy(['192.0.2.1', '2001:db8::/32']));
    expect([...kernel.sets.keys()].toSorted()).toEqual(['lists 4 32', 'lists 6 32']);
    expect(lists.covers(addressOf('192.0.2.3'))).toBe(false);
    expect(lists.bytes).toBe(0);
    expect(jails[1]).not.toHaveProperty('lists');
    expect(jails[0]).not.toHaveProperty('allowLists');
    expect(lists.views()).toHaveLength(2);
  });

  test('takes the sets of a jail that has lists no more, though no other list changes', async () => {
    write('a', '192.0.2.1');
    write('b', '192.0.2.2');
    const { lists, kernel, did, start } = daemon(rowsOf(ban('a'), ban('b', 'sshd')));
    await start();
    lists.change(rowsOf(ban('a')));
    await lists.settled();
    expect([...kernel.sets.keys()]).toEqual(['lists 4 32']);
    expect(did.installs).toBe(1);
    lists.change(rowsOf(ban('a')));
    await lists.settled();
    expect(did.installs).toBe(1);
  });

  test('is refused where lists need more memory than was kept for them', () => {
    const row = (file: string, count: number, use: ListUse = 'ban', jail = 'lists'): CoreList => ({
      ...{ file, use, jail: use === 'ban' ? jail : '' },
      lengths: { 4: [32], 6: [] },
      elements: { 4: count, 6: 0 },
    });
    const lists = new Lists([row('/a', 1_000), row('/b', 500, 'ban', 'sshd'), row('/c', 50, 'ignore')]);
    const room = (count: number): number => 2 * count + listEntriesSpare;
    const reason = 'lists are larger than the memory that was kept for them at the start';
    const bytes = (count: number): number => planBytes({ 4: room(count), 6: room(0) });
    const most = (count: number): number => {
      let fits = room(count);
      while (planBytes({ 4: fits + 1, 6: 0 }) <= bytes(count)) fits++;
      return fits;
    };
    // Bans of any jail have the room of the largest one; what is ignored has its own.
    expect(lists.unfit([row('/x', most(1_000), 'ban', 'other'), row('/y', most(50), 'ignore')])).toEqual([]);
    expect(lists.unfit([row('/x', most(1_000) + 1, 'ban', 'other')])).toEqual([reason]);
    expect(lists.unfit([row('/y', most(50) + 1, 'ignore')])).toEqual([reason]);
    expect(lists.unfit([row('/x', 1), row('/y', most(1_000))])).toEqual([reason]);
    expect(lists.unfit([])).toEqual([]);
    expect(lists.bytesMax).toBe(bytes(1_000) + 2 * bytes(50) + listStaleBytes);
    expect(new Lists([row('/a', 7)]).bytesMax).toBe(bytes(7) + listStaleBytes);
    const growing = new Lists([row('/a', 900_000)]);
    expect(growing.bytesMax).toBe(planBytes({ 4: 1_000_000, 6: room(0) }) + listStaleBytes);
  });

  test('of the running lists brings no more than there is memory for', async () => {
    write('a', '192.0.2.1');
    const { lists, kernel, start, look } = daemon(rowsOf(ban('a')));
    await start();
    const most = 2 * (listEntriesSpare + 2) * 6;
    write('a', ...Array.from({ length: most }, (_, at) => `10.${at >> 16}.${(at >> 8) & 255}.${at & 255}`));
    await look();
    expect(lists.problems()).toEqual([
      `${home}/a: there is no memory for so many entries (restart to make room); what it held before goes on`,
    ]);
    expect(kernel.held('lists')).toEqual(coveredBy(['192.0.2.1']));
  });
});

describe('what lists name', () => {
  const start = async () => {
    write('a', '192.0.2.0/24', '# x', '192.0.2.7', '192.0.2.0/25', '127.0.0.1', '2001:db8::/32');
    write('b', '192.0.2.7', '2001:db8:7::/48');
    write('c', '127.0.0.0/8');
    const made = daemon(rowsOf(ban('a'), ban('b', 'sshd'), ignore('c')));
    await made.start();
    return made.lists;
  };

  test('is found by file, line and entry', async () => {
    const lists = await start();
    const at = async (text: string) =>
      (await lists.find(addressOf(text))).map(
        ({ file, use, jail, first, last, entry }) =>
          `${file.slice(home.length)} ${use} ${jail} ${first}-${last} ${entry}`,
      );
    expect(await at('192.0.2.7')).toEqual(['/a ban lists 2-5 192.0.2.0/24', '/b ban sshd 2-2 192.0.2.7']);
    expect(await at('192.0.2.200')).toEqual(['/a ban lists 2-2 192.0.2.0/24']);
    expect(await at('192.0.2.0/25')).toEqual(['/a ban lists 2-5 192.0.2.0/24']);
    expect(await at('192.0.2.0/23')).toEqual([]);
    expect(await at('192.0.3.0')).toEqual([]);
    expect(await at('192.0.1.255')).toEqual([]);
    expect(await at('2001:db8:7::7')).toEqual(['/a ban lists 7-7 2001:db8::/32', '/b ban sshd 3-3 2001:db8:7::/48']);
    expect(await at('2001:db8::/31')).toEqual([]);
    expect(await at('c000:207::')).toEqual([]);
    // A ban list names no loopback address, an ignored one may.
    expect(await at('127.0.0.1')).toEqual(['/c ignore  2-2 127.0.0.0/8']);
  });

  test('is listed in parts, of one jail or of all, as the files have it', async () => {
    const lists = await start();
    const all = (await collect(lists.bans(undefined))).flat();
    expect(all.map(({ jail, address, file }) => `${jail} ${address} ${file.slice(home.length)}`)).toEqual([
      'lists 192.0.2.0/24 /a',
      'lists 192.0.2.7 /a',
      'lists 192.0.2.0/25 /a',
      'lists 2001:db8::/32 /a',
      'sshd 192.0.2.7 /b',
      'sshd 2001:db8:7::/48 /b',
    ]);
    expect((await collect(lists.bans('sshd'))).flat()).toEqual(all.slice(4));
    expect(await collect(lists.bans('none'))).toEqual([]);
    rmSync(join(home, 'a'));
    expect((await collect(lists.bans(undefined))).flat()).toEqual(all.slice(4));
    expect(await lists.find(addressOf('192.0.2.200'))).toEqual([]);
    write('a', ...Array.from({ length: 2 * listRowsMax + 1 }, (_, at) => `198.51.${100 + (at >> 8)}.${at & 255}`));
    const parts = await collect(lists.bans('lists'));
    expect(parts.map((part) => part.length)).toEqual([listRowsMax, listRowsMax, 1]);
    expect(new Set(parts.flat().map(({ address }) => address)).size).toBe(2 * listRowsMax + 1);
  });
});
