/**
 * When records are written, sealed, tried again and held back, what each form of them says in the
 * log and to journald, and how decisions wait for their bans.
 */
import { closeSync, mkdirSync, openSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { sealOf, sealPath } from '../../src/history/chain.ts';
import { Recorder, type RecorderOptions } from '../../src/history/recorder.ts';
import { Telling } from '../../src/history/telling.ts';
import {
  auditSealMs,
  expiryLookMs,
  historyAddressesMax,
  historyBurst,
  historyDecisionsMax,
  historyFlushMs,
  historyRefillMs,
  refusalBurst,
  refusalRefillMs,
} from '../../src/limits.ts';
import { type Fields, textOf } from '../../src/log.ts';
import { native } from '../../src/native.ts';
import type { Address, Decision } from '../../src/types.ts';
import { rememberingLog, temporaryDirectory } from '../support/control.ts';
import { FakeServiceManager } from '../support/service-manager.ts';
import { addressOf, v4 } from '../support/table-driver.ts';
import { until } from '../support/until.ts';

let directory: ReturnType<typeof temporaryDirectory>;
let path: string;
const opened: Recorder[] = [];

beforeEach(() => {
  directory = temporaryDirectory();
  path = join(directory.path, 'history');
});

afterEach(async () => {
  vi.useRealTimers();
  for (const recorder of opened.splice(0)) await recorder.close();
  directory.remove();
});

const by = { uid: 1000, pid: 7 };
const source = (index: number): string => `198.18.${index >> 8}.${index & 255}`;

function made(options: Partial<RecorderOptions> = {}) {
  const log = rememberingLog();
  const recorder = new Recorder({ path, log, ...options });
  opened.push(recorder);
  return { recorder, log };
}

describe('budgets', () => {
  test('after a burst a ban has a record of its own again at the rate of the refill', () => {
    vi.useFakeTimers({ toFake: ['performance', 'setTimeout', 'clearTimeout'] });
    const { recorder, log } = made({ path: undefined });
    let next = 0;
    const ban = () => recorder.bans('ban', 'sshd', [{ address: source(next++) }]);
    for (let count = 0; count < historyBurst; count++) ban();
    expect(log.said).toHaveLength(historyBurst);
    ban();
    vi.advanceTimersByTime(historyRefillMs - 1);
    ban();
    expect(log.said).toHaveLength(historyBurst);
    vi.advanceTimersByTime(1);
    ban();
    ban();
    expect(log.said.slice(historyBurst).map(({ fields }) => fields.address)).toEqual([source(historyBurst + 2)]);
  });

  test('a burst is written when it is full, or soon: never two jails or two events in one record', async () => {
    vi.useFakeTimers({ toFake: ['performance', 'setTimeout', 'clearTimeout'] });
    const { recorder, log } = made({ path: undefined });
    for (let count = 0; count < historyBurst; count++) recorder.bans('ban', 'sshd', [{ address: '192.0.2.1' }]);
    log.said.length = 0;
    const gather = (event: 'ban' | 'expired', jail: string, count: number) => {
      for (let index = 0; index < count; index++) recorder.bans(event, jail, [{ address: source(index) }]);
    };
    gather('ban', 'sshd', historyAddressesMax - 1);
    gather('expired', 'sshd', 2);
    gather('ban', 'web', 3);
    expect(log.said).toEqual([]);
    gather('ban', 'sshd', 2);
    expect(log.said.map(({ fields }) => fields.count)).toEqual([historyAddressesMax]);
    vi.advanceTimersByTime(historyFlushMs - 1);
    expect(log.said).toHaveLength(1);
    vi.advanceTimersByTime(1);
    expect(log.said.map(({ text, fields }) => [text, fields.jail, fields.count ?? fields.address])).toEqual([
      ['banned', 'sshd', historyAddressesMax],
      ['ban is over', 'sshd', 2],
      ['banned', 'web', 3],
      ['banned', 'sshd', source(1)],
    ]);
    expect(vi.getTimerCount()).toBe(0);
  });

  test('refusals over their budget are counted by the next one that is recorded, once', () => {
    vi.useFakeTimers({ toFake: ['performance', 'setTimeout', 'clearTimeout'] });
    const { recorder, log } = made({ path: undefined });
    const refuse = () => recorder.refused('no', { command: 'set', by });
    for (let count = 0; count < refusalBurst + 3; count++) refuse();
    expect(log.said).toHaveLength(refusalBurst);
    vi.advanceTimersByTime(refusalRefillMs - 1);
    refuse();
    expect(log.said).toHaveLength(refusalBurst);
    vi.advanceTimersByTime(1);
    refuse();
    vi.advanceTimersByTime(refusalRefillMs);
    refuse();
    expect(log.said.slice(refusalBurst).map(({ fields }) => fields.count)).toEqual([4, undefined]);
  });
});

describe('the file', () => {
  test('is written within the time of a flush, and again ten times that after a failure', async () => {
    path = join(directory.path, 'later', 'history');
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] });
    const { recorder, log } = made();
    const flushes = vi.spyOn(recorder, 'flush');
    recorder.command('one', by);
    recorder.command('two', by);
    vi.advanceTimersByTime(historyFlushMs - 1);
    expect(flushes).toHaveBeenCalledTimes(0);
    vi.advanceTimersByTime(1);
    expect(flushes).toHaveBeenCalledTimes(1);
    await flushes.mock.results[0]!.value;
    expect(recorder.problem).toMatch(/^records are not written: ENOENT/);
    vi.advanceTimersByTime(10 * historyFlushMs - 1);
    expect(flushes).toHaveBeenCalledTimes(1);
    vi.advanceTimersByTime(1);
    await flushes.mock.results[1]!.value;
    // The same problem is said once.
    expect(log.said.filter(({ level }) => level === 'error')).toEqual([
      { level: 'error', text: recorder.problem, fields: {} },
    ]);
    mkdirSync(join(directory.path, 'later'));
    vi.advanceTimersByTime(10 * historyFlushMs);
    await flushes.mock.results[2]!.value;
    expect([recorder.problem, recorder.number]).toEqual([undefined, 2]);
    expect(vi.getTimerCount()).toBe(0);
  });

  test('is sealed at intervals, which is said where the log has the records too', async () => {
    vi.useFakeTimers({ toFake: ['setInterval', 'clearInterval'] });
    const { recorder, log } = made({ logs: 'records and seals' });
    await recorder.start();
    recorder.command('one', by);
    await recorder.flush();
    const seal = () => sealOf(readFileSync(sealPath(path), 'latin1'))!;
    expect(seal().number).toBe(0);
    vi.advanceTimersByTime(auditSealMs - 1);
    await recorder.flush();
    expect(seal().number).toBe(0);
    vi.advanceTimersByTime(1);
    await until(() => seal().number === 1, { what: 'the seal' });
    await recorder.flush();
    expect(log.said.at(-1)).toEqual({
      level: 'record',
      text: 'audit log sealed',
      fields: { number: 1, hash: seal().head },
    });
    await recorder.close();
    expect(vi.getTimerCount()).toBe(0);
  });

  test('that never took its records leaves their number in the log at the end', async () => {
    path = join(directory.path, 'nowhere', 'history');
    const { recorder, log } = made();
    for (let count = 0; count < 3; count++) recorder.command(`${count}`, by);
    await recorder.close();
    expect(log.said.at(-1)).toEqual({ level: 'error', text: 'records were lost', fields: { count: 3 } });
  });
});

const told = (address: string, details = {}) => ({ address, details: () => details });
const ended = { until: 60, seconds: 59, failures: 5, pattern: 'failed', file: '/log', offset: 7 };

/** What happens → text and fields in the log, and fields for journald. */
const forms: [happens: (recorder: Recorder) => void, text: string, fields: object, journal: string[]][] = [
  [
    (recorder) => recorder.bans('ban', 'sshd', [told('192.0.2.1', ended)]),
    'banned',
    { jail: 'sshd', address: '192.0.2.1', until: '1970-01-01T00:01:00.000Z' },
    ['EVENT=ban', 'JAIL=sshd', 'UNTIL=60', 'SECONDS=59', 'FAILURES=5', 'PATTERN=failed', 'FILE=/log', 'OFFSET=7'],
  ],
  [
    (recorder) => recorder.bans('restored', 'sshd', [told('192.0.2.1', { until: -1 })]),
    'restored',
    { jail: 'sshd', address: '192.0.2.1', until: 'for ever' },
    ['EVENT=restored', 'JAIL=sshd', 'UNTIL=-1'],
  ],
  [
    (recorder) => recorder.bans('restored', 'sshd', [told('192.0.2.1', { until: 0 })]),
    'restored',
    { jail: 'sshd', address: '192.0.2.1', until: '1970-01-01T00:00:00.000Z' },
    ['EVENT=restored', 'JAIL=sshd', 'UNTIL=0'],
  ],
  [
    (recorder) => recorder.bans('unban', 'web', [told('192.0.2.1')], { by, reason: 'mine' }),
    'unbanned',
    { jail: 'web', address: '192.0.2.1', uid: 1000, pid: 7, reason: 'mine' },
    ['EVENT=unban', 'JAIL=web', 'REASON=mine', 'UID=1000', 'PID=7'],
  ],
  [
    (recorder) => recorder.refused('ignored', { command: 'ban', jail: 'web', addresses: ['192.0.2.1'], by }),
    'refused',
    { jail: 'web', address: '192.0.2.1', uid: 1000, pid: 7, command: 'ban', reason: 'ignored' },
    ['EVENT=refused', 'COMMAND=ban', 'JAIL=web', 'REASON=ignored', 'UID=1000', 'PID=7'],
  ],
];

describe('each form of a record names all that is known', () => {
  let journald: FakeServiceManager;
  let journal: number;

  beforeEach(async () => {
    const socket = join(directory.path, 'journal');
    journald = await FakeServiceManager.start(socket);
    journal = native.datagramTo(socket);
  });

  afterEach(async () => {
    closeSync(journal);
    await journald.stop();
  });

  const entry = async (): Promise<string[]> => {
    await until(() => journald.told.length > 0, { what: 'the entry' });
    return journald.told[0]!.text.trimEnd().split('\n');
  };
  const common = ['PRIORITY=6', 'SYSLOG_IDENTIFIER=fail2zig'];

  test.each(forms)('%#', async (happens, text, fields, expected) => {
    const { recorder, log } = made({ path: undefined, journal });
    happens(recorder);
    expect(log.said).toEqual([{ level: 'record', text, fields }]);
    const [message, ...others] = await entry();
    expect(message).toBe(`MESSAGE=${textOf(text, fields as Fields)}`);
    const ours = [...expected, 'ADDRESS=192.0.2.1'].map((field) => `FAIL2ZIG_${field}`);
    expect(others.sort()).toEqual([...common, ...ours].sort());
    expect(recorder.counters).toEqual({ events: 1, lost: 0, undelivered: 0 });
  });

  test('of many addresses', async () => {
    const { recorder, log } = made({ journal });
    const few = ['192.0.2.1', '192.0.2.2'];
    recorder.bans(
      'unban',
      'web',
      few.map((address) => told(address)),
      { by },
    );
    const fields = { jail: 'web', count: 2, addresses: few.join(' '), uid: 1000, pid: 7 };
    expect(log.said).toEqual([{ level: 'record', text: 'unbanned', fields }]);
    const ours = ['EVENT=unban', 'JAIL=web', 'UID=1000', 'PID=7', ...few.map((each) => `ADDRESS=${each}`)];
    expect((await entry()).slice(1).sort()).toEqual([...common, ...ours.map((each) => `FAIL2ZIG_${each}`)].sort());
  });

  test('of a command, which a log of its own may leave to journald', async () => {
    const { recorder, log } = made({ path: undefined, journal, logs: 'neither' });
    recorder.command('reload', by);
    expect(log.said).toEqual([]);
    const ours = ['EVENT=command', 'COMMAND=reload', 'UID=1000', 'PID=7'].map((field) => `FAIL2ZIG_${field}`);
    const [message, ...others] = await entry();
    expect(message).toBe('MESSAGE=operator command uid=1000 pid=7 command=reload');
    expect(others.sort()).toEqual([...common, ...ours].sort());
  });
});

test('what journald does not take is counted', () => {
  const socket = openSync('/dev/null', 'r');
  const { recorder } = made({ path: undefined, journal: socket });
  recorder.command('reload', by);
  closeSync(socket);
  expect(recorder.counters).toEqual({ events: 1, lost: 0, undelivered: 1 });
});

describe('decisions and their bans', () => {
  const jails = ['sshd', 'web'].map((name) => ({ name, filter: name })) as never;
  const decision = (jail: number, address: Address): Decision => ({
    ...{ jail, address, time: 1, failures: 5 + jail, seconds: 60, bans: 1, source: jail, offset: 77, pattern: 2 },
  });
  const ban = (jail: number, address: Address) => ({
    ...{ index: 0, jail, address, end: 61, confirmed: true, restored: false, manual: false, bans: 1 },
  });

  function telling(eachBan: (...args: never[]) => number = () => -1) {
    const told: string[] = [];
    const recorder: Pick<Recorder, 'bans'> = {
      bans: (event, jail, [each]) => void told.push(`${event} ${jail} ${each!.details?.().failures ?? '-'}`),
    };
    const engine = { patternName: () => 'failed', eachBan } as never;
    const log = rememberingLog();
    return { told, log, telling: new Telling({ recorder, log, jails, engine, pathOf: () => '/log' }) };
  }

  test('a decision belongs to its jail, and only to a new ban', () => {
    const { told, telling: each } = telling();
    const address = addressOf(v4('192.0.2.1'));
    each.decided(decision(0, address));
    each.decided(decision(1, address));
    each.tell('ban', ban(0, address));
    each.tell('ban', ban(1, address));
    each.decided(decision(0, address));
    each.tell('restored', ban(0, address));
    each.tell('ban', ban(0, address));
    each.decided(decision(0, address));
    each.tell('expired', ban(0, address));
    each.tell('ban', ban(0, address));
    expect(told).toEqual([
      'ban sshd 5',
      'ban web 6',
      'restored sshd -',
      // The decision of what ended or was there before is not that of a later ban.
      'ban sshd -',
      'expired sshd -',
      'ban sshd -',
    ]);
  });

  test('only so many decisions wait, and the others are told without their reason', () => {
    const { told, telling: each } = telling();
    const addresses = Array.from({ length: historyDecisionsMax + 1 }, (_, index) => addressOf(v4(source(index))));
    for (const address of addresses) each.decided(decision(0, address));
    each.tell('ban', ban(0, addresses.at(-1)!));
    each.tell('ban', ban(0, addresses.at(-2)!));
    each.decided(decision(0, addresses.at(-1)!));
    each.tell('ban', ban(0, addresses.at(-1)!));
    expect(told).toEqual(['ban sshd -', 'ban sshd 5', 'ban sshd 5']);
  });

  test('a decision is described only where the log shows it', () => {
    const { log, telling: each } = telling();
    log.enabled = () => false;
    each.decided(decision(0, addressOf(v4('192.0.2.1'))));
    expect(log.said).toEqual([]);
  });

  test('ends are looked for at intervals, one look after the other, until the stop', async () => {
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] });
    let looks = 0;
    const { telling: each } = telling(() => {
      looks++;
      return -1;
    });
    each.start();
    await vi.advanceTimersByTimeAsync(expiryLookMs - 1);
    expect(looks).toBe(0);
    await vi.advanceTimersByTimeAsync(1);
    await vi.waitFor(() => expect(vi.getTimerCount()).toBe(1));
    expect(looks).toBe(1);
    await vi.advanceTimersByTimeAsync(expiryLookMs);
    expect(looks).toBe(2);
    each.stop();
    expect(vi.getTimerCount()).toBe(0);
    await vi.advanceTimersByTimeAsync(expiryLookMs);
    expect(looks).toBe(2);
  });

  test('a stop during a look is the last', async () => {
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] });
    let looks = 0;
    const { telling: each } = telling(() => {
      looks++;
      return looks === 1 ? 7 : -1;
    });
    each.start();
    vi.advanceTimersByTime(expiryLookMs);
    expect(looks).toBe(1);
    each.stop();
    await vi.waitFor(() => expect(looks).toBe(2));
    await new Promise(setImmediate);
    await new Promise(setImmediate);
    expect(vi.getTimerCount()).toBe(0);
  });

  test('an end is told of a ban that the kernel held, and of no other', async () => {
    const address = addressOf(v4('192.0.2.1'));
    const { told, telling: each } = telling(((_at: number, _count: number, tell: (row: object) => void) => {
      tell({ ...ban(0, address), confirmed: false });
      tell(ban(1, address));
      return -1;
    }) as never);
    await each.look();
    expect(told).toEqual(['expired web -']);
  });
});
