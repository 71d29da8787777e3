/**
 * A full decision ring. A replay stops exactly at the line that has no room, however many lines it
 * gets at once. A daemon continues, and its table remembers the decisions that the ring had no room
 * for.
 */
import { describe, expect, test } from 'vitest';
import { DECISIONS, DECISIONS_DEFERRED } from '../../src/engine/counters.ts';
import { type Build, Engine } from '../../src/engine/host.ts';
import { decisionsMax } from '../../src/limits.ts';
import type { Decision } from '../../src/types.ts';

const now = 1_763_694_928;
const bantime = 100_000;
/** Every third line is of a new source, banned at once in each of its jails. */
const lines = Array.from({ length: 13_000 }, (_, index) => {
  const source = index - (index % 3);
  const stamp = new Date((now - 60) * 1000).toISOString();
  return `${stamp} host sshd[${index}]: Failed password for root from 198.18.${source >> 8}.${source & 255} port 22 ssh2\n`;
});

async function engineOf(build: Build, live: boolean, jails: number): Promise<Engine> {
  const jail = { filter: 'sshd', mode: '', maxretry: 1, findtime: 600, bantime, ipv6Prefix: 64, ignore: [] };
  const settings = Array.from({ length: jails }, () => jail);
  const engine = await Engine.create({ build, jails: settings, live, now, seed: [3, 4], tableBytes: 4_000_000 });
  engine.openSource(0, engine.addRoute(settings.map(({ filter, mode }, index) => ({ index, filter, mode }))));
  return engine;
}

/**
 * Feeds the lines in portions of `most` lines until one is left over; returns the bytes taken and
 * what waits in the ring.
 */
function fill(engine: Engine, most: number): { taken: number; decisions: Decision[] } {
  let taken = 0;
  for (let index = 0; index < lines.length; index += most) {
    const text = Buffer.from(lines.slice(index, index + most).join(''));
    engine.buffer.set(text);
    const consumed = engine.feed(0, text.length, taken, now, false);
    taken += consumed;
    if (consumed < text.length) break;
  }
  const decisions: Decision[] = [];
  engine.takeDecisions((decision) => void decisions.push(decision));
  return { taken, decisions };
}

describe.each<Build>(['wasm', 'scalar', 'plain'])('%s build', (build) => {
  test.each([1, 2, 3])(
    'a replay of %i jails stops at the same line, whatever the size of its portions',
    async (jails) => {
      const single = fill(await engineOf(build, false, jails), 1);
      // So many that another line's decisions have no room.
      expect(single.decisions).toHaveLength(decisionsMax - (decisionsMax % jails));
      expect(single.decisions.map(({ offset }) => offset)).toEqual(
        single.decisions.map(({ offset }) => offset).sort((one, other) => one - other),
      );
      for (const most of [7, 500]) expect(fill(await engineOf(build, false, jails), most)).toEqual(single);
    },
  );

  test('a daemon takes every line, and remembers what the ring did not take', async () => {
    const engine = await engineOf(build, true, 1);
    const { taken, decisions } = fill(engine, 500);
    expect(taken).toBe(lines.join('').length);
    expect(decisions).toHaveLength(decisionsMax);
    const sources = Math.ceil(lines.length / 3);
    expect(engine.counter(DECISIONS)).toBe(sources);
    expect(engine.counter(DECISIONS_DEFERRED)).toBe(sources - decisionsMax);
    let bans = 0;
    engine.eachBan(0, engine.slots, () => void bans++);
    expect(bans).toBe(sources);
  });
});
