/**
 * The file of records: each is written once and numbered; the file is bounded and can be read while
 * it is written.
 */
import {
  appendFileSync,
  existsSync,
  mkdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { pipeline } from '../../spec/support/pipeline.ts';
import { knownBans, readRecords } from '../../src/client/records.ts';
import { sealPath } from '../../src/history/chain.ts';
import type { Event } from '../../src/history/event.ts';
import { Recorder, type RecorderOptions } from '../../src/history/recorder.ts';
import { Telling } from '../../src/history/telling.ts';
import { addressesPerRequestMax, historyAddressesMax, historyBurst, historyWaitBytesMax } from '../../src/limits.ts';
import { collect } from '../support/collect.ts';
import { rememberingLog, temporaryDirectory } from '../support/control.ts';
import { addressOf, v4 } from '../support/table-driver.ts';
import { until } from '../support/until.ts';

let directory: ReturnType<typeof temporaryDirectory>;
let path: string;
let recorders: Recorder[];

beforeEach(() => {
  directory = temporaryDirectory();
  path = join(directory.path, 'state.history');
  recorders = [];
});

afterEach(async () => {
  for (const recorder of recorders) await recorder.close();
  directory.remove();
});

async function started(options: Partial<RecorderOptions> = {}) {
  const log = rememberingLog();
  const recorder = new Recorder({ path, log, now: () => 1_763_687_728_500, ...options });
  recorders.push(recorder);
  await recorder.start();
  return { recorder, log };
}

async function all(recorder: Recorder): Promise<Event[]> {
  await recorder.flush();
  return (await collect(readRecords(path, () => true))).flatMap(({ events }) => events);
}

const source = (index: number): string => `198.18.${index >> 8}.${index & 255}`;

describe('records', () => {
  test('an event is kept with all that is known, and said in the log', async () => {
    const { recorder, log } = await started();
    const details = { until: 1_763_687_800, failures: 3, pattern: 'failed', file: '/var/log/ä', offset: 7 };
    recorder.bans('ban', 'sshd', [{ address: '192.0.2.1', details: () => details }]);
    recorder.bans('unban', 'sshd', [{ address: '192.0.2.1' }], { by: { uid: 1000, pid: 7 }, reason: 'it was me' });
    recorder.command('set loglevel debug', { uid: 0, pid: 8 });
    const at = 1_763_687_728.5;
    const events = await all(recorder);
    expect(events.map(({ hash, ...event }) => event)).toEqual([
      { number: 1, at, event: 'ban', jail: 'sshd', addresses: ['192.0.2.1'], ...details },
      {
        number: 2,
        at,
        event: 'unban',
        jail: 'sshd',
        addresses: ['192.0.2.1'],
        by: { uid: 1000, pid: 7 },
        reason: 'it was me',
      },
      { number: 3, at, event: 'command', command: 'set loglevel debug', by: { uid: 0, pid: 8 } },
    ]);
    expect(log.said.slice(0, 2)).toMatchObject([
      { text: 'banned', fields: { jail: 'sshd', address: '192.0.2.1', until: '2025-11-21T01:16:40.000Z' } },
      { text: 'unbanned', fields: { jail: 'sshd', address: '192.0.2.1', uid: 1000, pid: 7, reason: 'it was me' } },
    ]);
    // Only the owner may read who was banned, and every character is one byte.
    expect(statSync(path).mode & 0o777).toBe(0o600);
    expect(readFileSync(path).every((byte) => byte < 0x80)).toBe(true);
  });

  test('no address of a burst is lost, neither in the file nor in the log', async () => {
    const { recorder, log } = await started();
    const count = historyBurst + 2_005;
    for (let index = 0; index < count; index++) recorder.bans('ban', 'sshd', [{ address: source(index) }]);
    const events = await all(recorder);
    const addresses = Array.from({ length: count }, (_, index) => source(index)).sort();
    expect(events.flatMap((event) => event.addresses ?? []).sort()).toEqual(addresses);
    expect(events.length).toBeLessThan(historyBurst + 3 + 2_005 / historyAddressesMax + 60);
    const said = log.said.flatMap(({ fields }) => String(fields.address ?? fields.addresses).split(' '));
    expect(said.sort()).toEqual(addresses);
  });

  test('what one command names is one record, without details of others', async () => {
    const { recorder, log } = await started();
    const by = { uid: 990, pid: 7 };
    const addresses = Array.from({ length: addressesPerRequestMax }, (_, index) => source(index));
    const told = addresses.map((address) => ({ address, details: () => ({ until: 1_700_003_600, seconds: 3_600 }) }));
    for (let list = 0; list < historyBurst / 4; list++) {
      recorder.bans('ban', 'fleet', told, { by, reason: 'a list' });
      await recorder.flush();
    }
    recorder.bans('ban', 'sshd', [{ address: '192.0.2.1', details: () => ({ until: 9, failures: 5 }) }]);
    const events = await all(recorder);
    expect(events).toHaveLength(historyBurst / 4 + 1);
    expect(events[0]).toMatchObject({ addresses, until: 1_700_003_600, seconds: 3_600, by, reason: 'a list' });
    expect(events.at(-1)).toMatchObject({ addresses: ['192.0.2.1'], failures: 5 });
    const ends = { first: addresses[0], last: addresses.at(-1) };
    expect(log.said[0]!.fields).toMatchObject({ jail: 'fleet', count: addresses.length, ...ends });
    // A million such records use a quarter of the audit log and leave the rest to the host.
    const bytes = readFileSync(path).length / (events.length - 1);
    expect((1_000_000 / addresses.length) * bytes).toBeLessThan(20_000_000);
  });

  test('without a file each of them is in the log', async () => {
    const log = rememberingLog();
    const recorder = new Recorder({ path: undefined, log });
    const told = Array.from({ length: historyBurst + 100 }, (_, index) => ({ address: source(index) }));
    recorder.bans('ban', 'fleet', told, { by: { uid: 990, pid: 7 } });
    await recorder.flush();
    const said = log.said.flatMap(({ fields }) => String(fields.address ?? fields.addresses).split(' '));
    expect(said).toHaveLength(told.length);
  });

  test('numbers go on after a restart, also behind a line that a crash cut', async () => {
    const first = await started();
    first.recorder.bans('ban', 'sshd', [{ address: '192.0.2.1' }]);
    await first.recorder.close();
    appendFileSync(path, '{"number":99,"at":1,"ev');
    const { recorder } = await started();
    recorder.bans('ban', 'sshd', [{ address: '192.0.2.2' }]);
    expect((await all(recorder)).map(({ number, addresses }) => [number, addresses?.[0]])).toEqual([
      [1, '192.0.2.1'],
      [2, undefined],
      [3, '192.0.2.2'],
    ]);
  });

  test('a file is replaced without a system call that the confined core may not make', async () => {
    const { recorder } = await started({ bytes: 20_480, groupId: process.getgid!() });
    const getuid = vi.spyOn(process, 'getuid');
    for (let index = 0; !existsSync(`${path}.1`); index++) {
      recorder.bans('ban', 'sshd', [{ address: source(index) }]);
      await recorder.flush();
    }
    expect(getuid).not.toHaveBeenCalled();
    getuid.mockRestore();
  });

  test('files hold the latest events; numbers go on over them and over a restart', async () => {
    const { recorder } = await started({ bytes: 40_960 });
    for (let index = 0; index < 300; index++) {
      recorder.bans('ban', 'sshd', [{ address: source(index) }]);
      await recorder.flush();
    }
    expect(statSync(path).size + statSync(`${path}.1`).size).toBeLessThan(3 * 4_096);
    const numbers = (await all(recorder)).map(({ number }) => number);
    expect(numbers.at(-1)).toBe(300);
    expect(numbers).toEqual(numbers.map((_, index) => 300 - numbers.length + 1 + index));
    await recorder.close();
    const next = await started();
    next.recorder.bans('ban', 'sshd', [{ address: '192.0.2.1' }]);
    await next.recorder.flush();
    expect(next.recorder.number).toBe(301);
  });

  test('who follows gets what comes, over the change of files, and can go on from a number', async () => {
    const { recorder } = await started({ bytes: 20_480 });
    const seen: number[] = [];
    const stop = new AbortController();
    const following = (async () => {
      for await (const { events } of readRecords(path, ({ number }) => number > 5, true)) {
        seen.push(...events.map(({ number }) => number));
        if (stop.signal.aborted) return;
      }
    })();
    for (let index = 0; index < 100; index++) {
      recorder.bans('ban', 'sshd', [{ address: source(index) }]);
      await recorder.flush();
      await until(() => seen.length >= index - 4, { what: `event ${index}` });
    }
    expect(seen).toEqual(Array.from({ length: 95 }, (_, index) => index + 6));
    stop.abort();
    recorder.bans('ban', 'sshd', [{ address: '192.0.2.1' }]);
    await following;
  });

  test('a slow reader misses nothing of a replaced file, and continues with the oldest one', async () => {
    const { recorder } = await started({ bytes: 20_480 });
    const put = async (count: number): Promise<void> => {
      for (let index = 0; index < count; index++) {
        recorder.bans('ban', 'sshd', [{ address: source(index) }]);
        await recorder.flush();
      }
    };
    await put(3);
    const reading = readRecords(path, () => true, true);
    const seen: number[] = [];
    const next = async (): Promise<void> => {
      const part = await reading.next();
      for (const { number } of part.value?.events ?? []) seen.push(number);
    };
    await next();
    // The reader has read a part. Then the rest of this file is written, and the next one begins.
    await put(30);
    while (seen.length < 33) await next();
    expect(seen).toEqual(Array.from({ length: 33 }, (_, index) => index + 1));
    // Several files later the reader gets the rest of the file that it holds open, then the oldest
    // file that is left.
    await put(200);
    while (seen.at(-1) !== 233) await next();
    const gaps = seen.filter((number, index) => index > 0 && number !== seen[index - 1]! + 1);
    expect(gaps).toHaveLength(1);
    expect(gaps[0]).toBeGreaterThan(100);
    await reading.return(undefined);
  });

  test('the group of the socket may read it, and nobody else', async () => {
    const groupId = process.getgid!();
    const { recorder } = await started({ groupId });
    recorder.bans('ban', 'sshd', [{ address: '192.0.2.1' }]);
    await recorder.flush();
    expect([statSync(path).mode & 0o777, statSync(path).gid]).toEqual([0o640, groupId]);
  });

  test('a path that is not a file of records is not read: a directory, a pipe, a link', async () => {
    await expect(collect(readRecords(directory.path, () => true))).rejects.toThrow('no regular file');
    symlinkSync('/etc/hostname', path);
    await expect(collect(readRecords(path, () => true))).rejects.toThrow('cannot be read');
  });

  test('what is known of a ban is of the last one of its jail; a restored one keeps what led to it', async () => {
    const { recorder } = await started();
    const by = { uid: 0, pid: 7 };
    recorder.bans('restored', 'sshd', [{ address: '192.0.2.1' }], { reason: 'found in the kernel' });
    recorder.bans('ban', 'sshd', [{ address: '192.0.2.2' }], { by, reason: 'first' });
    recorder.bans('ban', 'nginx', [{ address: '192.0.2.2' }], { reason: 'elsewhere' });
    recorder.bans('restored', 'sshd', [{ address: '192.0.2.2' }]);
    recorder.bans('ban', 'sshd', [{ address: '192.0.2.3' }], { reason: 'first' });
    recorder.bans('unban', 'sshd', [{ address: '192.0.2.3' }]);
    recorder.bans('ban', 'sshd', [{ address: '192.0.2.3' }], { reason: 'second' });
    await recorder.flush();
    expect([...(await knownBans(path))].map(([ban, { start, ...known }]) => [ban, start > 0, known])).toEqual([
      ['sshd 192.0.2.1', true, { reason: 'found in the kernel' }],
      ['sshd 192.0.2.2', true, { by, reason: 'first' }],
      ['nginx 192.0.2.2', true, { reason: 'elsewhere' }],
      ['sshd 192.0.2.3', true, { reason: 'second' }],
    ]);
    expect(await knownBans(undefined)).toEqual(new Map());
  });

  test('nothing is written through a link in the place of the records or of their seal', async () => {
    for (const name of [path, sealPath(path)]) {
      const victim = join(directory.path, 'victim');
      writeFileSync(victim, 'mine');
      symlinkSync(victim, name);
      const { recorder } = await started();
      recorder.bans('ban', 'sshd', [{ address: '192.0.2.1' }]);
      await recorder.flush();
      expect(recorder.problem).toContain('ELOOP');
      await recorder.close();
      expect(readFileSync(victim, 'utf8')).toBe('mine');
      for (const each of [path, sealPath(path)]) rmSync(each, { force: true });
    }
  });

  test('a disk that refuses is a problem; what waits is bounded, what is lost is counted and recorded', async () => {
    path = join(directory.path, 'later', 'state.history');
    const { recorder } = await started();
    expect(recorder.problem).toContain('ENOENT');
    const wide = 'x'.repeat(200);
    const fits = Math.floor(historyWaitBytesMax / 300);
    for (let index = 0; index < 2 * fits; index++) recorder.command(wide, { uid: 0, pid: 1 });
    expect(recorder.counters.lost).toBeGreaterThan(fits / 2);
    mkdirSync(join(directory.path, 'later'));
    await recorder.flush();
    expect(recorder.problem).toBeUndefined();
    await recorder.flush();
    const events = await all(recorder);
    expect(events.at(-1)).toMatchObject({ event: 'lost', count: recorder.counters.lost });
    expect(events.length - 1 + recorder.counters.lost).toBe(2 * fits);
  });

  test('without a path nothing is kept, but the log is written', async () => {
    const { recorder, log } = await started({ path: undefined });
    recorder.bans('ban', 'sshd', [{ address: '192.0.2.1' }]);
    await recorder.flush();
    expect([recorder.path, existsSync(path), log.said.length]).toEqual([undefined, false, 1]);
  });
});

test('an end of a ban is told once, and only of bans that the kernel held', async () => {
  const { engine, enforcer } = await pipeline();
  let now = 1_763_687_728_000;
  const told: string[] = [];
  const second = (): number => now / 1000;
  const recorder: Pick<Recorder, 'bans'> = {
    bans: (event, _jail, [ban]) => void told.push(`${event} ${ban!.address} ${ban!.details?.().until}`),
  };
  const jails = [{ name: 'sshd', filter: 'sshd' }] as never;
  const expiry = new Telling({ recorder, log: rememberingLog(), jails, engine, pathOf: () => '', now: () => now });
  engine.setBan(0, addressOf(v4('192.0.2.1')), second(), second() + 10);
  engine.setBan(0, addressOf(v4('192.0.2.2')), second(), Number.POSITIVE_INFINITY);
  engine.setBan(0, addressOf(v4('192.0.2.3')), second(), second() + 20);
  await expiry.look();
  expect(told).toEqual([]);
  now += 10_000;
  await expiry.look();
  expect(told).toEqual([]);
  now += 1_000;
  await expiry.look();
  await expiry.look();
  expect(told).toEqual(['expired 192.0.2.1 1763687738']);
  now += 1e9;
  await expiry.look();
  expect(told).toEqual(['expired 192.0.2.1 1763687738', 'expired 192.0.2.3 1763687748']);
  await enforcer.stop();
});

test('a ban is reported once, with the decision that led to it', () => {
  const told: unknown[] = [];
  const recorder: Pick<Recorder, 'bans'> = {
    bans: (event, jail, [ban]) => void told.push([event, jail, ban!.address, ban!.details?.()]),
  };
  const jails = [{ name: 'sshd', filter: 'sshd' }] as never;
  const engine = { patternName: () => 'failed-password', eachBan: () => -1 };
  const log = rememberingLog();
  const telling = new Telling({ recorder, log, jails, engine, pathOf: () => '/var/log/auth.log' });
  const address = addressOf(v4('192.0.2.1'));
  telling.decided({ jail: 0, address, time: 1, failures: 5, seconds: 60, bans: 1, source: 3, offset: 77, pattern: 2 });
  const ban = { index: 0, jail: 0, address, end: 61, confirmed: true, restored: false, manual: false, bans: 1 };
  telling.tell('ban', ban);
  telling.tell('ban', { ...ban, end: Number.POSITIVE_INFINITY });
  const line = { failures: 5, pattern: 'failed-password', file: '/var/log/auth.log', offset: 77 };
  expect(told).toEqual([
    ['ban', 'sshd', '192.0.2.1', { until: 61, seconds: 60, ...line }],
    ['ban', 'sshd', '192.0.2.1', { until: -1 }],
  ]);
  // The log has the decision, at level debug, with the place of the line and without its text.
  const at = '1970-01-01T00:00:01.000Z';
  const { file, ...reason } = line;
  const fields = { jail: 'sshd', address: '192.0.2.1', filter: 'sshd', at, seconds: 60, path: file, ...reason };
  expect(log.said).toEqual([{ level: 'debug', text: 'decided', fields }]);
});
