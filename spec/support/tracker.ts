/**
 * The engine as the memory page sees it: failures go in, decisions come out, slots are used. Twins
 * implement the same few methods with deliberately broken tables.
 */
import { DENIED, EVICTIONS, LINES_TOO_LONG } from '../../src/engine/counters.ts';
import { Examiner } from '../../src/engine/examiner.ts';
import type { Build, Engine, EngineJail } from '../../src/engine/host.ts';
import type { Address, Decision, EvictionPolicy } from '../../src/types.ts';
import type { Supply } from '../claim.ts';

export interface Banned {
  jail: number;
  address: string;
  /** Epoch seconds of the failure that decided it. */
  time: number;
}

export interface Tracker {
  /** A failed login of `address` at epoch second `time`, seen by every jail. */
  fail(address: string, time: number): void;
  /** Decisions since the last call. */
  take(): Banned[];
  /** Entries in use. */
  tracked(): number;
  /** Entries evicted for newer ones. */
  evicted(): number;
  /** Entries there is room for, and the bytes that one takes. */
  slots(): number;
  slotBytes(): number;
}

export interface TrackerOptions {
  build?: Build;
  /** Filter of every jail; sshd where absent. */
  filter?: string;
  /** Thresholds; one jail each. */
  maxretry?: number[];
  findtime?: number;
  slots?: number;
  ipv4Prefix?: number;
  ipv6Prefix?: number;
  evictionPolicy?: EvictionPolicy;
  ignore?: Address[];
  /** Instead of `ignore`, for each jail its own. */
  ignores?: Address[][];
  /** Links of the host. */
  shared?: readonly Address[];
}

/** Any second would do; this one is from the documentation. */
export const epoch = 1_763_694_928;
const encoder = new TextEncoder();

/** An engine with jails of one filter (sshd) that all read source 0. */
export async function engineOf(options: TrackerOptions = {}): Promise<Examiner> {
  const {
    filter = 'sshd',
    maxretry = [5],
    findtime = 600,
    ipv4Prefix = 32,
    ipv6Prefix = 64,
    ignore = [],
    ignores,
    evictionPolicy,
    build,
  } = options;
  const jails: EngineJail[] = maxretry.map((threshold, index) => ({
    filter,
    mode: '',
    maxretry: threshold,
    findtime,
    bantime: 3_600,
    ipv4Prefix,
    ipv6Prefix,
    ignore: ignores?.[index] ?? ignore,
  }));
  const { slots = 4_096 } = options;
  const probe = await Examiner.create({ build, jails, tableBytes: 1, now: epoch });
  const engine = await Examiner.create({
    build,
    jails,
    tableBytes: slots * probe.slotBytes,
    evictionPolicy,
    shared: options.shared,
    now: epoch,
  });
  engine.openSource(0, engine.addRoute(jails.map(({ filter, mode }, index) => ({ index, filter, mode }))));
  return engine;
}

/** A failed login as sshd logs it, on a connection of its own. */
export function failureLine(address: string, time: number, connection: number): string {
  const stamp = new Date(time * 1000).toISOString().replace('.000Z', '+00:00');
  return `${stamp} host sshd[${1000 + (connection % 30_000)}]: Failed password for root from ${address} port 40022 ssh2\n`;
}

/** Feeds text to source 0 at second `now`. */
export function feedText(engine: Engine, text: string, now: number, offset = 0): void {
  const { written } = encoder.encodeInto(text, engine.buffer);
  const consumed = engine.feed(0, written, offset, now, true);
  if (consumed !== written) throw new Error(`the engine consumed ${consumed} of ${written} bytes`);
}

/** Address of a decision as text, without its prefix. */
export function addressText({ family, bytes }: Address): string {
  if (family === 4) return bytes.subarray(12).join('.');
  const groups = Array.from({ length: 8 }, (_, i) => ((bytes[i * 2]! << 8) | bytes[i * 2 + 1]!).toString(16));
  return groups.join(':');
}

/** The engine as a tracker. */
export function engineTracker(options: TrackerOptions = {}): Supply<Tracker> {
  return {
    async make() {
      const engine = await engineOf(options);
      let connection = 0;
      return {
        fail: (address, time) => feedText(engine, failureLine(address, time, connection++), time),
        take() {
          const banned: Banned[] = [];
          engine.takeDecisions(({ jail, address, time }: Decision) => {
            banned.push({ jail, address: addressText(address), time });
          });
          return banned;
        },
        tracked: () => engine.tracked,
        evicted: () => engine.counter(EVICTIONS) + engine.counter(DENIED),
        slots: () => engine.slots,
        slotBytes: () => engine.slotBytes,
      };
    },
  };
}

/** Lines cut for their length so far. */
export function linesTooLong(engine: Engine): number {
  return engine.counter(LINES_TOO_LONG);
}

/**
 * The `index`-th of many documentation-style sources: distinct 198.18.0.0/15 addresses (RFC 2544),
 * then 10.0.0.0/8.
 */
export function sourceAddress(index: number): string {
  const base = index < 131_072 ? 0xc612_0000 + index : 0x0a00_0000 + index;
  return [24, 16, 8, 0].map((shift) => (base >>> shift) & 255).join('.');
}
