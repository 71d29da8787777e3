/**
 * A log in another time zone is reported, with its difference, and `timezone` corrects it. Lines
 * with a time that the engine cannot read are reported once. In each build of the engine.
 */
import { describe, expect, test, vi } from 'vitest';
import { parseTimezone } from '../../src/config/timezone.ts';
import { FILTER_UNREAD_TIME, JAIL_FUTURE } from '../../src/engine/counters.ts';
import { type Build, Engine } from '../../src/engine/host.ts';
import { logClockMs, offLinesMin, timezonesMax } from '../../src/limits.ts';
import { describeOff, LogClocks } from '../../src/observe/log-clocks.ts';
import type { FileSource } from '../../src/sources/file.ts';
import type { ZoneChange } from '../../src/types.ts';
import { rememberingLog } from '../support/control.ts';

const builds: Build[] = ['wasm', 'scalar', 'plain'];
const now = Date.UTC(2026, 10, 21, 9) / 1000;
const path = '/var/log/auth.log';

/** A line written at second `at` of UTC, by a clock `offset` seconds east of it. */
function line(at: number, offset = 0): string {
  const text = new Date((at + offset) * 1000).toISOString().slice(0, 19).replace('T', ' ');
  return `${text} host sshd[71]: Failed password for root from 192.0.2.7 port 40022 ssh2\n`;
}

async function open(build: Build, timezone?: ZoneChange[]) {
  const jail = { filter: 'sshd', mode: '', maxretry: 5, findtime: 600, bantime: 600, ipv6Prefix: 64, ignore: [] };
  const engine = await Engine.create({ build, jails: [{ ...jail, timezone }], tableBytes: 4_096, now });
  engine.openSource(0, engine.addRoute([{ index: 0, filter: 'sshd', mode: '' }]));
  const files = { status: () => [{ path, source: 0, state: 'reading', offset: 0, detail: '' }] };
  const log = rememberingLog();
  const clocks = new LogClocks({ engine, files: files as unknown as FileSource, log });
  const feed = (text: string, at = now): void => {
    engine.feed(0, Buffer.from(text).copy(engine.buffer), 0, at, false);
  };
  return { engine, clocks, log, feed };
}

describe.each(builds)('%s', (build) => {
  test.each<[what: string, offset: number, text: string]>([
    ['two hours ahead', 7_200, '2 h ahead of'],
    ['an hour behind', -3_600, '1 h behind'],
    ['half an hour', 1_800, '0:30 h ahead of'],
    ['ten hours and a half', -37_800, '10:30 h behind'],
    ['the farthest zone', 14 * 3_600, '14 h ahead of'],
  ])('%s', async (_, offset, text) => {
    const { engine, clocks, log, feed } = await open(build);
    for (let i = 1; i < offLinesMin; i++) feed(line(now - i, offset));
    clocks.look();
    expect(clocks.problems()).toEqual([]);
    feed(line(now, offset));
    clocks.look();
    clocks.look();
    expect(clocks.problems()).toEqual([expect.stringContaining(`${path}: its times lie ${text} the clock`)]);
    expect(log.said).toHaveLength(1);
    // A line from the future does not count as a failure, but it is counted.
    expect(engine.jailCounter(0, JAIL_FUTURE)).toBe(offset > 0 ? offLinesMin : 0);
    // A line with the right time ends it; later it is reported anew.
    feed(line(now));
    clocks.look();
    expect(clocks.problems()).toEqual([]);
    feed(line(now, offset).repeat(offLinesMin));
    clocks.look();
    expect(log.said).toHaveLength(2);
  });

  test('late lines, an old log that is read, and a clock of days ago are no zone', async () => {
    const { clocks, feed } = await open(build);
    feed(line(now - 1_200).repeat(20));
    expect(clocks.problems()).toEqual([]);
    for (let at = now - 8 * 3_600; at < now - 3_000; at += 180) feed(line(at));
    expect(clocks.problems()).toEqual([]);
    feed(line(now - 3 * 86_400).repeat(20));
    expect(clocks.problems()).toEqual([]);
  });

  test('in the zone of its jail a log is by the clock, and bans', async () => {
    for (const [zone, offset] of [
      ['Asia/Kathmandu', 20_700],
      ['+02:00', 7_200],
      ['-0330', -12_600],
      ['America/New_York', -18_000],
    ] as const) {
      const parsed = parseTimezone(zone, now);
      const { engine, clocks, feed } = await open(build, parsed.ok ? parsed.value : []);
      feed(line(now, offset).repeat(offLinesMin));
      expect(clocks.problems()).toEqual([]);
      expect(engine.waiting).toBe(1);
      // The clock is set anew now and then, and the zone stays.
      engine.setClock(now);
      feed(line(now));
      expect(engine.clockOf(0)).toMatchObject({ offSeconds: -offset, offLines: 1 });
    }
  });

  test('each file has the zone of its jail', async () => {
    const zones = Array.from({ length: timezonesMax }, (_, index): ZoneChange[] => [
      { from: -1e15, offset: index * 3_600 + 900 },
    ]);
    const engine = await Engine.create({
      build,
      jails: [undefined, ...zones].map((timezone) => ({
        ...{ filter: 'sshd', mode: '', maxretry: 5, findtime: 600, bantime: 600, ipv6Prefix: 64, ignore: [], timezone },
      })),
      tableBytes: 4_096,
      now,
    });
    for (let index = 0; index <= zones.length; index++)
      engine.openSource(index, engine.addRoute([{ index, filter: 'sshd', mode: '' }]));
    for (let round = 0; round < 2; round++) {
      for (let index = 0; index <= zones.length; index++) {
        const offset = index === 0 ? 0 : zones[index - 1]![0]!.offset;
        engine.feed(index, Buffer.from(line(now, offset)).copy(engine.buffer), 0, now, false);
        expect(engine.jailCounter(index, 0), String(index)).toBe(round + 1);
      }
    }
  });

  test('a time that nobody reads counts when it arrives, and is told of once', async () => {
    const { engine, clocks, log, feed } = await open(build);
    const { filter } = engine.resolveFilter('sshd', '');
    const message = 'host sshd[71]: Failed password for root from 192.0.2.7 port 40022 ssh2\n';
    feed(line(now));
    feed(message);
    clocks.look();
    expect(log.said).toEqual([]);
    for (const text of ['Xyz 21 09:00:00 ', '03/04/2026 09:00:00 ', '2026_11_21 09:00:00 ']) feed(text + message);
    expect(engine.filterCounter(filter, FILTER_UNREAD_TIME)).toBe(3);
    expect(engine.clockOf(0).unreadTimes).toBe(3);
    clocks.look();
    clocks.look();
    expect(log.said).toEqual([
      expect.objectContaining({ text: expect.stringContaining('unknown format'), fields: { path } }),
    ]);
    expect(engine.waiting).toBe(1);
  });
});

test('logs are looked at by themselves', async () => {
  vi.useFakeTimers();
  try {
    const { clocks, log, feed } = await open('wasm');
    feed(line(now, 7_200).repeat(offLinesMin));
    clocks.start();
    vi.advanceTimersByTime(logClockMs);
    expect(log.said).toHaveLength(1);
    clocks.stop();
    expect(vi.getTimerCount()).toBe(0);
  } finally {
    vi.useRealTimers();
  }
});

test('the zone that may help is named', () => {
  expect(describeOff(7_230, 0)).toMatch(/2 h ahead of the clock: .* "\+02:00"$/);
  expect(describeOff(-7_170, 3_600)).toMatch(/2 h behind the clock: .* "-01:00"$/);
  expect(describeOff(-12_600, 0)).toMatch(/3:30 h behind the clock: .* "-03:30"$/);
});

describe('timezone', () => {
  test('local time has no changes of its own', () => {
    expect(parseTimezone('local')).toEqual({ ok: true, value: [] });
  });

  test.each<[text: string, offset: number]>([
    ['+02:00', 7_200],
    ['-0330', -12_600],
    ['+18:00', 64_800],
    ['UTC', 0],
    ['GMT', 0],
    ['Asia/Kolkata', 19_800],
  ])('%s', (text, offset) => expect(parseTimezone(text, now)).toEqual({ ok: true, value: [{ from: -1e15, offset }] }));

  test('a zone with two changes a year is known to the second, for years', () => {
    const parsed = parseTimezone('Europe/Berlin', now);
    const changes = parsed.ok ? parsed.value : [];
    expect(changes[0]).toEqual({ from: -1e15, offset: 3_600 });
    expect(changes).toContainEqual({ from: Date.UTC(2027, 2, 28, 1) / 1000, offset: 7_200 });
    expect(changes.at(-1)!.from).toBeGreaterThan(now + 5 * 365 * 86_400);
  });

  test.each<[value: unknown, reason: RegExp]>([
    [1, /expected a time zone, found the integer 1/],
    ['+19:00', /within 18 hours/],
    ['+02:60', /expected a time zone such as/],
    ['Berlin', /expected a time zone such as/],
    ['', /expected a time zone such as/],
  ])('%s is refused', (value, reason) => {
    const parsed = parseTimezone(value, now);
    expect(parsed.ok ? '' : parsed.reason).toMatch(reason);
  });

  test('a slip is put right', () => {
    expect(parseTimezone('Europe/Berln', now)).toMatchObject({ hint: 'did you mean "Europe/Berlin"?' });
  });
});
