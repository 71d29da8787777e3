/** One pass of a finished file through an engine, measured: read(2) → lines → decisions taken. */

import { ceilingBytesDefault, replayReserveBytes } from '../src/config/limits.ts';
import { DECISIONS, LINES, LINES_MATCHED } from '../src/engine/counters.ts';
import { type Build, Engine } from '../src/engine/host.ts';
import { native } from '../src/native.ts';
import { readWhole } from '../src/sources/read-whole.ts';
import { findtimeSeconds, maxretry, readTime } from './workload.ts';

export interface Round {
  lines: number;
  matched: number;
  decisions: number;
  /** Decisions that were really passed on. */
  taken: number;
  wallSeconds: number;
  /** Of the whole process, its background threads included. */
  cpuSeconds: number;
}

/**
 * The last engine of each build is kept, so that V8 keeps the code it made for it, as in a daemon.
 */
const kept = new Map<Build, Engine>();

/** The table the default ceiling leaves room for, seeded the same in every round. */
export async function engineFor(build: Build, filter: string, mode = ''): Promise<Engine> {
  const engine = await Engine.create({
    prepare: native.hugePages,
    build,
    live: false,
    seed: [1, 2],
    now: readTime,
    tableBytes: ceilingBytesDefault - replayReserveBytes,
    jails: [
      { filter, mode, maxretry, findtime: findtimeSeconds, bantime: findtimeSeconds, ipv6Prefix: 64, ignore: [] },
    ],
  });
  engine.openSource(0, engine.addRoute([{ index: 0, filter, mode }]));
  kept.set(build, engine);
  return engine;
}

export async function measureRound(path: string, build: Build, filter: string, mode = ''): Promise<Round> {
  const engine = await engineFor(build, filter, mode);
  let taken = 0;
  const count = (): void => void taken++;
  const cpu = process.cpuUsage();
  const started = performance.now();
  readWhole(path, engine, { source: 0, now: readTime, drain: () => void engine.takeDecisions(count) });
  const wallSeconds = (performance.now() - started) / 1000;
  const { user, system } = process.cpuUsage(cpu);
  return {
    lines: engine.counter(LINES),
    matched: engine.counter(LINES_MATCHED),
    decisions: engine.counter(DECISIONS),
    taken,
    wallSeconds,
    cpuSeconds: (user + system) / 1e6,
  };
}
