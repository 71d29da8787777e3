/**
 * What the lines of one connection count together, line by line, in a table with room for four
 * connections.
 */
import { beforeEach, describe, expect, test } from 'vitest';
import { family } from '../../src/engine/address.ts';
import { captureUser, clearCaptures } from '../../src/engine/capture.ts';
import { CONTEXT, COUNTS, charged, follow, prepare, SAME_ATTEMPT, UNADDRESSED } from '../../src/engine/connection.ts';
import { CONNECTIONS_EVICTED } from '../../src/engine/counters.ts';
import { FLAG_ENDS, FLAG_FAILURE, FLAG_GAINED, FLAG_STAGE_SHIFT } from '../../src/engine/flags.ts';
import { readIdentifier } from '../../src/engine/header.ts';
import { ADDRESS, COUNTERS, inputAt, layOut, SEED } from '../../src/engine/layout.ts';
import { bindMemory, float, setInt } from '../../src/engine/linear.ts';

const memory = new ArrayBuffer(layOut(1, 0, 64, 1, 8, 2, 0, 0));
const bytes = Buffer.from(memory);
const textAt = inputAt;
const start = 1_700_000_000;
const verdicts = { [CONTEXT]: 'context', [SAME_ATTEMPT]: 'same attempt', [UNADDRESSED]: 'no address' };

/** Makes room for this many connections, four to a set. */
function makeRoom(connections: number): void {
  bytes.fill(0);
  bindMemory(memory);
  layOut(1, 0, connections, 1, 8, 2, 0, 0);
  setInt(SEED, 0x1234_5678);
  setInt(SEED + 4, 0x0bad_cafe);
}

beforeEach(() => makeRoom(4));

interface Line {
  pid?: string;
  host?: string;
  user?: string;
  /** Last byte of 192.0.2.x, or a last group of 2001:db8::x. */
  four?: number;
  six?: number;
  /** Or all 16 bytes. */
  address?: number[];
  failure?: boolean;
  ends?: boolean;
  gained?: boolean;
  stage?: number;
  attempts?: number;
  group?: number;
  time?: number;
}

/** The verdict on a line, with the address if the line counts. */
function take(line: Line): string {
  const { pid = '7', host = 'host', user, four, six, address, failure = true, ends = false, gained = false } = line;
  const { stage = 0, attempts = 1, group = 0, time = start } = line;
  // Bytes behind the address do not belong to it.
  bytes.fill(0xee, ADDRESS, ADDRESS + 32);
  if (four !== undefined) bytes.set([0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 255, 255, 192, 0, 2, four], ADDRESS);
  if (six !== undefined) bytes.set([0x20, 1, 0x0d, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, six], ADDRESS);
  if (address !== undefined) bytes.set(address, ADDRESS);
  // The identifier, with its host and pid, as a line has it. The user name is in another place.
  const end = textAt + bytes.write(`${host} sshd${pid === '' ? '' : `[${pid}]`}: `, textAt);
  readIdentifier(textAt, end);
  clearCaptures();
  const userEnd = end + bytes.write(user ?? '', end);
  if (user !== undefined) captureUser(end, userEnd);
  // Bytes that an earlier, longer line left behind must not matter.
  bytes.fill(0x39, userEnd, userEnd + 16);
  const hasAddress = (four ?? six ?? address) !== undefined;
  const flags =
    (failure ? FLAG_FAILURE : 0) | (ends ? FLAG_ENDS : 0) | (gained ? FLAG_GAINED : 0) | (stage << FLAG_STAGE_SHIFT);
  prepare();
  const verdict = follow(group, flags, hasAddress, time, attempts);
  if (verdict === COUNTS)
    return `${charged === 1 ? '' : `${charged} `}${bytes[ADDRESS + 12] === 192 ? 4 : 6}:${bytes[ADDRESS + 15]}`;
  return verdicts[verdict]!;
}

const evicted = () => float(COUNTERS + CONNECTIONS_EVICTED * 8);

describe('one line', () => {
  test('counts at its own address', () => {
    expect(take({ four: 1 })).toBe('4:1');
    expect(take({ pid: '8', six: 9 })).toBe('6:9');
  });

  test('without an address waits for one', () => {
    expect(take({})).toBe('no address');
    expect(take({ four: 3, failure: false })).toBe('4:3');
    expect(take({ failure: false })).toBe('context');
  });

  test('without a pid belongs to no connection', () => {
    expect(take({ pid: '' })).toBe('no address');
    expect(take({ pid: '', four: 1, failure: false })).toBe('context');
    expect(take({ pid: '', four: 1 })).toBe('4:1');
    expect(take({ pid: '', four: 1, gained: true })).toBe('context');
    expect(take({ pid: '', user: 'a', four: 1 })).toBe('4:1');
    expect(take({ pid: '', user: 'b', four: 1, failure: false })).toBe('context');
  });

  test('that recognises a login is no failure', () => {
    expect(take({ four: 1, gained: true })).toBe('context');
  });
});

describe('the address', () => {
  test('of an earlier line is charged, family included', () => {
    expect(take({ six: 5, failure: false })).toBe('context');
    expect(take({ pid: '8', four: 1 })).toBe('4:1');
    expect(take({})).toBe('6:5');
    expect(family).toBe(6);
    expect(take({ pid: '9', four: 6, failure: false })).toBe('context');
    expect(take({ pid: '9' })).toBe('4:6');
    expect(family).toBe(4);
  });

  test('another one is another connection: the pending failure is not charged to it', () => {
    expect(take({ four: 1 })).toBe('4:1');
    expect(take({ four: 2, failure: false })).toBe('context');
    expect(take({})).toBe('4:2');
  });

  test.each([0, 4, 8, 12, 15])('that differs in byte %i is another one', (flipped) => {
    const address = Array.from({ length: 16 }, (_, i) => (i === flipped ? 0x81 : 0x80));
    const same = Array.from({ length: 16 }, () => 0x80);
    take({ address: same, user: 'a', failure: false });
    expect(take({ address: same, user: 'b', failure: false })).toBe('6:128');
    // The names belong to one connection. A new connection has none yet.
    expect(take({ address, failure: false })).toBe('context');
  });

  test('a pending failure ends when the login succeeds', () => {
    expect(take({})).toBe('no address');
    expect(take({ gained: true })).toBe('context');
    expect(take({ four: 1, failure: false })).toBe('context');
  });

  test('a pending failure counts once', () => {
    take({});
    expect(take({ four: 1, failure: false })).toBe('4:1');
    expect(take({ four: 1, failure: false })).toBe('context');
  });
});

describe('connections are told apart', () => {
  test.each<[what: string, other: Line]>([
    ['by pid', { pid: '8' }],
    ['by a longer pid', { pid: '77' }],
    ['by host', { host: 'hosu' }],
    ['by a longer host', { host: 'host0' }],
    ['by the end of a host that is no multiple of four', { host: 'hosts' }],
    ['by group', { group: 1 }],
  ])('%s', (_what, other) => {
    take({ four: 1, failure: false });
    expect(take(other)).toBe('no address');
    expect(take({})).toBe('4:1');
  });

  test.each([
    ['a', 'b'],
    ['abcd', 'abce'],
    ['abcdefg', 'abcdefh'],
    ['abcdefgh', 'abcdefgi'],
    ['abcdxfgh', 'abcdefgh'],
    ['', 'a'],
  ])('hosts %s and %s', (one, other) => {
    take({ host: one, four: 1, failure: false });
    expect(take({ host: other })).toBe('no address');
    expect(take({ host: one })).toBe('4:1');
  });

  test.each([1, 2, 3, 4, 5, 7, 8, 9, 10])('pids of %i digits, by each of them', (length) => {
    const pid = '1234567891'.slice(0, length);
    for (let i = 0; i < length; i++) {
      makeRoom(4);
      take({ pid, four: 1, failure: false });
      const other = `${pid.slice(0, i)}${pid[i] === '9' ? 0 : Number(pid[i]) + 1}${pid.slice(i + 1)}`;
      expect(take({ pid: other }), other).toBe('no address');
      expect(take({ pid })).toBe('4:1');
    }
  });

  test('over many sets, each in its own', () => {
    makeRoom(256);
    const pids = Array.from({ length: 60 }, (_, i) => String(1_000 + i));
    for (const [index, pid] of pids.entries()) take({ pid, four: index, failure: false });
    expect(evicted()).toBe(0);
    for (const [index, pid] of pids.entries()) expect(take({ pid })).toBe(`4:${index}`);
  });
});

describe('several names', () => {
  test('make every line of the connection count', () => {
    expect(take({ four: 1, user: 'anna', failure: false })).toBe('context');
    expect(take({ four: 1, user: 'anna', failure: false })).toBe('context');
    expect(take({ four: 1, user: 'bert', failure: false })).toBe('4:1');
    expect(take({ failure: false })).toBe('4:1');
    expect(take({ user: 'bert', failure: false })).toBe('4:1');
  });

  test('but no first line, and no empty name', () => {
    expect(take({ four: 1, user: '', failure: false })).toBe('context');
    expect(take({ four: 1, user: 'anna', failure: false })).toBe('context');
    expect(take({ four: 1, user: '', failure: false })).toBe('context');
  });

  test('are told apart by their first 256 bytes', () => {
    const long = 'u'.repeat(256);
    take({ four: 1, user: `${long}a`, failure: false });
    expect(take({ four: 1, user: `${long}b`, failure: false })).toBe('context');
    expect(take({ four: 1, user: long, failure: false })).toBe('context');
    expect(take({ four: 1, user: `${long.slice(1)}x`, failure: false })).toBe('4:1');
  });

  test('of the same connection only', () => {
    take({ four: 1, user: 'anna', failure: false });
    expect(take({ pid: '8', four: 1, user: 'bert', failure: false })).toBe('context');
  });
});

describe('stages', () => {
  test('a later stage of an attempt that is counted does not count again', () => {
    expect(take({ four: 1, stage: 1 })).toBe('4:1');
    expect(take({ four: 1, stage: 2 })).toBe('same attempt');
    expect(take({ four: 1, stage: 3 })).toBe('same attempt');
  });

  test('the same stage, or an earlier one, is the next attempt', () => {
    expect(take({ four: 1, stage: 2 })).toBe('4:1');
    expect(take({ four: 1, stage: 2 })).toBe('4:1');
    expect(take({ four: 1, stage: 1 })).toBe('4:1');
    expect(take({ four: 1, stage: 2 })).toBe('same attempt');
    expect(take({ four: 1, stage: 1 })).toBe('4:1');
  });

  test('lines of no stage count each, and change none', () => {
    expect(take({ four: 1, stage: 1 })).toBe('4:1');
    expect(take({ four: 1 })).toBe('4:1');
    expect(take({ four: 1, stage: 2, failure: false })).toBe('context');
    expect(take({ four: 1, stage: 2, gained: true })).toBe('context');
    expect(take({ four: 1, stage: 2 })).toBe('same attempt');
  });

  test('a later stage of a connection with several names does not count again either', () => {
    take({ four: 1, user: 'a', failure: false });
    expect(take({ four: 1, user: 'b', stage: 1 })).toBe('4:1');
    expect(take({ four: 1, user: 'b', stage: 2 })).toBe('same attempt');
    expect(take({ four: 1, failure: false })).toBe('4:1');
  });

  test('what was pending counts with a later stage that is the same attempt', () => {
    expect(take({ stage: 1 })).toBe('no address');
    expect(take({ four: 1, stage: 2 })).toBe('4:1');
  });
});

describe('the end', () => {
  test('of a connection: the pid is free for another one', () => {
    expect(take({ four: 1, failure: false })).toBe('context');
    expect(take({ ends: true })).toBe('4:1');
    expect(take({})).toBe('no address');
  });

  test('an ended connection leaves its place without being counted as given up', () => {
    for (let i = 0; i < 12; i++) take({ pid: String(i), four: 1, ends: true });
    expect(evicted()).toBe(0);
  });

  test('comes 300 seconds after the first line, whatever came since', () => {
    take({ four: 1, failure: false, time: start });
    expect(take({ time: start + 200 })).toBe('4:1');
    expect(take({ time: start + 300 })).toBe('4:1');
    expect(take({ time: start + 301 })).toBe('no address');
  });
});

describe('a full set', () => {
  test('gives up the connection that began first', () => {
    for (const [index, age] of [3, 1, 5, 2].entries())
      take({ pid: String(index), four: age, failure: false, time: start + age });
    expect(evicted()).toBe(0);
    expect(take({ pid: '9', four: 9, failure: false, time: start + 6 })).toBe('context');
    expect(evicted()).toBe(1);
    for (const [pid, last] of [
      ['0', 3],
      ['2', 5],
      ['3', 2],
      ['9', 9],
    ] as const)
      expect(take({ pid, time: start + 6 })).toBe(`4:${last}`);
    expect(take({ pid: '1', time: start + 6 })).toBe('no address');
    expect(evicted()).toBe(2);
  });

  test('counts only what was still remembered', () => {
    for (let i = 0; i < 4; i++) take({ pid: String(i), four: i, failure: false, time: start });
    take({ pid: '8', four: 8, failure: false, time: start + 301 });
    expect(evicted()).toBe(0);
    take({ pid: '9', four: 9, failure: false, time: start + 300 });
    expect(evicted()).toBe(1);
  });
});

describe('a line of several attempts', () => {
  test('counts them all', () => {
    expect(take({ four: 1, attempts: 5 })).toBe('5 4:1');
    expect(take({ attempts: 3 })).toBe('3 4:1');
    expect(take({ pid: '', four: 1, attempts: 2 })).toBe('2 4:1');
  });

  test('counts as one if it only reports the attempts of others', () => {
    expect(take({})).toBe('no address');
    expect(take({ four: 1, failure: false, attempts: 4 })).toBe('4:1');
  });

  test('of a later stage leaves out the one that was counted', () => {
    expect(take({ four: 1, stage: 1 })).toBe('4:1');
    expect(take({ four: 1, stage: 2, attempts: 3 })).toBe('2 4:1');
    expect(take({ four: 1, stage: 2, attempts: 3 })).toBe('3 4:1');
    expect(take({ four: 1, stage: 3 })).toBe('same attempt');
  });
});

describe('a connection that ends before its address is known', () => {
  test('is charged by its next goodbye', () => {
    expect(take({ ends: true })).toBe('no address');
    expect(take({ four: 1, failure: false, ends: true })).toBe('4:1');
    expect(take({ four: 1, failure: false, ends: true })).toBe('context');
  });

  test('is charged once where the goodbye is a failure too', () => {
    expect(take({ ends: true })).toBe('no address');
    expect(take({ four: 1, ends: true })).toBe('4:1');
    expect(take({ four: 1, failure: false })).toBe('context');
  });

  test('is not the one that begins with the same pid', () => {
    expect(take({ ends: true })).toBe('no address');
    expect(take({ four: 1, failure: false })).toBe('context');
    expect(take({ four: 1, failure: false, ends: true })).toBe('context');
  });
});
