/** The spool of fail2zig-fleet: each ban leaves it once, through crashes, full and spoilt files. */
import { appendFileSync, existsSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { type FileHandle, open as openFile } from 'node:fs/promises';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterEach, describe, expect, test, vi } from 'vitest';
import { type Ban, isAfter, Spool } from '../../src/fleet/spool.ts';
import { temporaryDirectory } from '../support/control.ts';

const directory = temporaryDirectory();
let count = 0;
let opened: Spool[] = [];
const place = (): string => join(directory.path, String(count++));
const open = async (path: string, bytes = 1 << 20): Promise<Spool> => {
  const spool = await Spool.open(path, bytes);
  opened.push(spool);
  return spool;
};
const ban = (number: number, index = 0): Ban => ({
  number,
  index,
  at: 1_000 + number,
  jail: 'sshd',
  address: `192.0.2.${number % 256}`,
  seconds: 600,
});

afterEach(async () => {
  vi.restoreAllMocks();
  for (const spool of opened) await spool.close(false).catch(() => undefined);
  opened = [];
});

const numbers = (bans: readonly Ban[] = []): number[] => bans.map(({ number }) => number);

describe('the spool', () => {
  test('gives what was kept in its order, and each once', async () => {
    const path = place();
    const spool = await open(path);
    await spool.append([ban(1), ban(2), ban(3)]);
    const batch = (await spool.next(2))!;
    expect(numbers(batch.bans)).toEqual([1, 2]);
    await spool.begin(batch);
    await spool.acknowledge(batch, 2);
    const again = await open(path);
    expect(again.isUncertain).toBe(false);
    expect(again.waiting).toBe(1);
    expect(again.oldest).toBe(1_003);
    expect(again.counters.sent).toBe(2);
    expect(numbers((await again.next(9))!.bans)).toEqual([3]);
    expect(again.read).toEqual({ number: 3, index: 0, at: 1_003 });
  });

  test('nobody else reads whom it banned, whatever the umask, in each file that it makes', async () => {
    const path = place();
    const umask = process.umask(0);
    try {
      const spool = await open(path, 300);
      const modes = () =>
        ['.', 'spool', 'position'].map((name) => [name, (statSync(join(path, name)).mode & 0o777).toString(8)]);
      const ours = [
        ['.', '700'],
        ['spool', '600'],
        ['position', '600'],
      ];
      expect(modes()).toEqual(ours);
      // A full spool is written anew.
      for (let number = 1; number < 9; number++) await spool.append([ban(number)]);
      await spool.save();
      expect(spool.counters.dropped).toBeGreaterThan(0);
      expect(modes()).toEqual(ours);
      await spool.close();
      // What is no spool of ours is set aside, and a new one begun.
      writeFileSync(join(path, 'spool'), 'another\n');
      await open(path);
      expect(modes()).toEqual(ours);
    } finally {
      process.umask(umask);
    }
  });

  test('of bans that a full disk took in part nothing stays, and the next ones are whole', async () => {
    const path = place();
    const spool = await open(path);
    await spool.append([ban(1)]);
    const probe = await openFile(directory.path);
    const handles = Object.getPrototypeOf(probe) as FileHandle;
    await probe.close();
    const { appendFile } = handles;
    vi.spyOn(handles, 'appendFile').mockImplementationOnce(async function (this: FileHandle, text) {
      await appendFile.call(this, String(text).slice(0, 70));
      throw Object.assign(new Error('no space left on device'), { code: 'ENOSPC' });
    });
    await expect(spool.append([ban(2)])).rejects.toMatchObject({ code: 'ENOSPC' });
    await spool.append([ban(2), ban(3)]);
    expect(numbers((await spool.next(9))!.bans)).toEqual([1, 2, 3]);
    expect(spool.counters.damaged).toBe(0);
    expect(statSync(join(path, 'spool')).size).toBe(spool.bytes);
  });

  test('what was being sent when the process ended is in doubt, and no more than that', async () => {
    const path = place();
    const spool = await open(path);
    await spool.append([ban(1), ban(2), ban(3)]);
    await spool.begin((await spool.next(2))!);
    const again = await open(path);
    expect(again.isUncertain).toBe(true);
    const batch = (await again.next(9))!;
    expect(numbers(batch.bans)).toEqual([1, 2]);
    await again.begin(batch);
    await again.acknowledge(batch, 0);
    expect(again.isUncertain).toBe(false);
    expect(numbers((await again.next(9))!.bans)).toEqual([3]);
  });

  test('what it says that it has kept is on the disk, not only in its cache', async () => {
    const path = place();
    const spool = await open(path, 2_000);
    const probe = await openFile(directory.path);
    const handles = Object.getPrototypeOf(probe) as FileHandle;
    await probe.close();
    // What a power cut would leave of each file: its text at the last datasync.
    const left = new Map<number, string>();
    let renamed = '';
    const { datasync } = handles;
    vi.spyOn(handles, 'datasync').mockImplementation(async function (this: FileHandle) {
      left.set((await this.stat()).ino, readFileSync(`/proc/self/fd/${this.fd}`, 'utf8'));
      if (!left.has(statSync(join(path, 'spool')).ino)) renamed = 'a spool in the place of the old one';
      await datasync.call(this);
    });
    const isLeft = (name: string): boolean =>
      left.get(statSync(join(path, name)).ino) === readFileSync(join(path, name), 'utf8');
    for (let number = 1; number < 30; number++) {
      await spool.append([ban(number)]);
      expect(isLeft('spool'), `the spool after ban ${number}`).toBe(true);
    }
    expect(spool.counters.dropped).toBeGreaterThan(0);
    expect(renamed).toBe('');
    await spool.begin((await spool.next(2))!);
    expect(isLeft('position'), 'the position').toBe(true);
    await spool.acknowledge((await spool.next(9))!, 9);
    expect([isLeft('spool'), isLeft('position')], 'both after an answer').toEqual([true, true]);
  });

  test('a line that a crash cut is dropped, a line that a disk spoilt is passed over and counted', async () => {
    const path = place();
    const spool = await open(path);
    await spool.append([ban(1), ban(2), ban(3)]);
    const file = join(path, 'spool');
    writeFileSync(file, readFileSync(file, 'utf8').replace('"address":"192.0.2.2"', '"address":"192.0.2.9"'));
    appendFileSync(file, '00000000 {"number":4');
    const again = await open(path);
    expect(again.waiting).toBe(2);
    expect(again.read?.number).toBe(3);
    await again.append([ban(4)]);
    expect(numbers((await again.next(9))!.bans)).toEqual([1, 3, 4]);
    expect(again.counters.damaged).toBe(1);
  });

  test('without its position all that is there is in doubt', async () => {
    const path = place();
    await (await open(path)).append([ban(1), ban(2)]);
    for (const text of ['', '{"fail2zig":"fleet-position","version":2}', 'null']) {
      writeFileSync(join(path, 'position'), text);
      const again = await open(path);
      expect(again.problem).toMatch(/position cannot be read/);
      expect([again.isUncertain, again.waiting, again.read?.number]).toEqual([true, 2, 2]);
    }
  });

  test('a file that is no spool of this version is kept aside', async () => {
    const path = place();
    await (await open(path)).append([ban(1)]);
    writeFileSync(join(path, 'spool'), '{"fail2zig":"fleet-spool","version":2,"generation":1}\nmuch\n');
    const again = await open(path);
    expect(again.problem).toMatch(/no spool of this version: it is kept as .*spool\.unreadable/);
    expect(existsSync(join(path, 'spool.unreadable'))).toBe(true);
    expect(again.waiting).toBe(0);
    await again.append([ban(5)]);
    expect(numbers((await again.next(9))!.bans)).toEqual([5]);
  });

  test('when it is full the oldest go, counted; what is being sent stays', async () => {
    const path = place();
    const spool = await open(path, 4_096);
    const first = Array.from({ length: 10 }, (_, index) => ban(index));
    await spool.append(first);
    const batch = (await spool.next(2))!;
    await spool.begin(batch);
    for (let number = 10; number < 100; number++) await spool.append([ban(number)]);
    expect(spool.bytes).toBeLessThanOrEqual(4_096);
    await spool.acknowledge(batch, 2);
    const left = (await spool.next(1_000))!;
    const kept = numbers(left.bans);
    expect(kept).toEqual(Array.from({ length: kept.length }, (_, index) => 100 - kept.length + index));
    expect(spool.counters.dropped).toBe(98 - kept.length);
    expect(spool.waiting).toBe(kept.length);
    const again = await open(path, 4_096);
    expect(again.counters.dropped).toBe(98 - kept.length);
  });

  test('one that is empty begins anew', async () => {
    const spool = await open(place());
    for (let number = 0; number < 1_000; number++) await spool.append([ban(number)]);
    for (let batch = await spool.next(100); batch !== undefined; batch = await spool.next(100)) {
      await spool.begin(batch);
      await spool.acknowledge(batch, batch.bans.length);
    }
    expect(spool.bytes).toBeLessThan(100);
    expect(spool.oldest).toBeUndefined();
  });

  test('any order of keeping, sending, ends and starts loses none and sends none twice', async () => {
    const step = fc.oneof(
      fc.record({ kind: fc.constant('keep' as const), count: fc.integer({ min: 1, max: 5 }) }),
      fc.record({
        kind: fc.constantFrom('send' as const, 'lose' as const, 'crash' as const),
        count: fc.integer({ min: 1, max: 4 }),
      }),
    );
    await fc.assert(
      fc.asyncProperty(fc.array(step, { maxLength: 20 }), async (steps) => {
        const path = place();
        let spool = await Spool.open(path, 1 << 20);
        let kept = 0;
        const taken: number[] = [];
        const send = async (limit: number): Promise<boolean> => {
          const isDoubtful = spool.isUncertain;
          const batch = await spool.next(limit);
          if (batch === undefined) return false;
          await spool.begin(batch);
          const known = new Set(taken);
          taken.push(...numbers(batch.bans).filter((number) => !isDoubtful || !known.has(number)));
          await spool.acknowledge(batch, batch.bans.length);
          return true;
        };
        for (const { kind, count } of steps) {
          if (kind === 'keep') await spool.append(Array.from({ length: count }, () => ban(kept++)));
          else if (kind === 'send') await send(count);
          else {
            // The process ends while a batch is on its way: the server took it, or did not.
            const isDoubtful = spool.isUncertain;
            const batch = await spool.next(count);
            if (batch !== undefined) {
              await spool.begin(batch);
              const known = new Set(taken);
              if (kind === 'lose')
                taken.push(...numbers(batch.bans).filter((number) => !isDoubtful || !known.has(number)));
            }
            await spool.close(false);
            spool = await Spool.open(path, 1 << 20);
          }
        }
        for (let more = true; more; ) more = await send(3);
        await spool.close(false);
        expect(taken).toEqual(Array.from({ length: kept }, (_, index) => index));
        rmSync(path, { recursive: true });
      }),
      { numRuns: 25 },
    );
  });
});

test('records that begin anew are read from their beginning', () => {
  const read = { number: 500, index: 3, at: 2_000 };
  expect(isAfter({ number: 500, index: 3, at: 2_000 }, read)).toBe(false);
  expect(isAfter({ number: 500, index: 4, at: 2_000 }, read)).toBe(true);
  expect(isAfter({ number: 499, index: 9, at: 1_999 }, read)).toBe(false);
  expect(isAfter({ number: 501, index: 0, at: 1_000 }, read)).toBe(true);
  expect(isAfter({ number: 1, index: 0, at: 2_001 }, read)).toBe(true);
});
