/**
 * A table in an engine, driven by log lines. Each line is one failure of one source in one jail, on
 * a connection of its own.
 */
import { type Build, Engine, type EngineJail } from '../../src/engine/host.ts';
import type { Address, Decision, EvictionPolicy } from '../../src/types.ts';

/** A source as a log names it and as a jail sees it. */
export interface Source {
  family: 4 | 6;
  value: bigint;
}

export function v4(text: string): Source {
  return { family: 4, value: text.split('.').reduce((sum, part) => sum * 256n + BigInt(part), 0n) };
}

export function sourceText({ family, value }: Source): string {
  const width = family === 4 ? 8n : 16n;
  const parts = Array.from({ length: family === 4 ? 4 : 8 }, (_, i) => {
    const part = (value >> (width * BigInt((family === 4 ? 3 : 7) - i))) & ((1n << width) - 1n);
    return family === 4 ? part.toString() : part.toString(16);
  });
  return parts.join(family === 4 ? '.' : ':');
}

/** What a jail with such prefixes counts as one source. */
export function sourceKey({ family, value }: Source, ipv6Prefix: number, ipv4Prefix = 32): string {
  return family === 4 ? `4 ${value >> BigInt(32 - ipv4Prefix)}` : `6 ${value >> BigInt(128 - ipv6Prefix)}`;
}

/** @param prefix of the jail that is asked, for IPv6 */
export function addressOf({ family, value }: Source, prefix = 128): Address {
  const bytes = new Uint8Array(16);
  const whole = family === 4 ? value | 0xffff_0000_0000n : value;
  for (let i = 0; i < 16; i++) bytes[i] = Number((whole >> BigInt((15 - i) * 8)) & 255n);
  return { family, bytes, prefix: family === 4 ? 32 : prefix };
}

export type DrivenJail = Pick<EngineJail, 'maxretry' | 'findtime' | 'bantime' | 'ipv6Prefix'> & Partial<EngineJail>;

export interface DriverOptions {
  build: Build;
  jails: DrivenJail[];
  /** Entries; a multiple of 8. */
  slots: number;
  policy?: EvictionPolicy;
  seed?: [number, number];
  /** Links of the host. */
  shared?: readonly Address[];
}

const encoder = new TextEncoder();

export class TableDriver {
  readonly engine: Engine;
  #lines = 0;

  private constructor(engine: Engine) {
    this.engine = engine;
  }

  static async create({
    build,
    jails,
    slots,
    policy,
    seed = [1, 2],
    shared = [],
  }: DriverOptions): Promise<TableDriver> {
    const filled = jails.map((jail) => ({ filter: 'sshd', mode: '', ignore: [], ...jail }));
    const options = { build, jails: filled, live: false, seed, evictionPolicy: policy, shared };
    const { slotBytes } = await Engine.create({ ...options, tableBytes: 0 });
    const engine = await Engine.create({ ...options, tableBytes: slots * slotBytes });
    filled.forEach(({ filter, mode }, index) => {
      engine.openSource(index, engine.addRoute([{ index, filter, mode }]));
    });
    return new TableDriver(engine);
  }

  /** Feeds one failure, or `count` failures in one line. Returns the ban that it causes. */
  fail(jail: number, source: Source, time: number, count = 1): Decision | undefined {
    const { engine } = this;
    const pid = 1 + (this.#lines++ % 30_000);
    const stamp = new Date(time * 1000).toISOString();
    const text = `Failed password for root from ${sourceText(source)} port 40022 ssh2`;
    const message = count === 1 ? text : `message repeated ${count} times: [ ${text}]`;
    const line = `${stamp} host sshd[${pid}]: ${message}\n`;
    const { written } = encoder.encodeInto(line, engine.buffer);
    const consumed = engine.feed(jail, written, 0, time, true);
    if (consumed !== written) throw new Error(`the engine consumed ${consumed} of ${written} bytes`);
    let found: Decision | undefined;
    const taken = engine.takeDecisions((decision) => {
      found = decision;
    });
    if (taken > 1) throw new Error(`one line brought ${taken} decisions`);
    return found;
  }
}
