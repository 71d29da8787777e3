/**
 * Finds links of this host on which a jail bans many single addresses. One host there may be
 * changing its address, and a ban of one address does not stop it. The daemon never bans the whole
 * link by itself, since that would cut off its other hosts; so it tells an operator. Neighbours
 * control how many such addresses there are.
 */
import { setImmediate as turn } from 'node:timers/promises';
import type { Ignored } from '../enforcer/ignored.ts';
import type { Engine } from '../engine/host.ts';
import { linkBansShown, linkLookMs, sweepEntries } from '../limits.ts';
import type { Logger } from '../log.ts';
import { formatAddress, isWithin, maskAddress } from '../text/address.ts';

interface Options {
  engine: Pick<Engine, 'eachBan' | 'hasSingles'>;
  ignored: Pick<Ignored, 'links'>;
  jails: readonly { name: string }[];
  log: Pick<Logger, 'warn'>;
}

export class CrowdedLinks {
  readonly #options: Options;
  /** The findings of the last look, as sentences. */
  #problems: string[] = [];
  /** Links that were reported, by jail. */
  #told = new Set<string>();
  #timer: NodeJS.Timeout | undefined;

  constructor(options: Options) {
    this.#options = options;
  }

  start(): void {
    this.#timer = setInterval(() => void this.look(), linkLookMs).unref();
  }

  stop(): void {
    clearInterval(this.#timer);
  }

  problems(): string[] {
    return this.#problems;
  }

  async look(): Promise<void> {
    const { engine, ignored, jails, log } = this.#options;
    const bans = new Map<string, number>();
    for (let at = engine.hasSingles ? 0 : -1; at >= 0; await turn()) {
      at = engine.eachBan(at, 16 * sweepEntries, ({ jail, address, confirmed }) => {
        if (!confirmed || address.family === 4 || address.prefix < 128) return;
        if (!ignored.links.some((link) => isWithin(address, link))) return;
        const key = `jail ${jails[jail]!.name} bans %d single addresses of ${formatAddress(maskAddress({ ...address, prefix: 64 }))}`;
        bans.set(key, (bans.get(key) ?? 0) + 1);
      });
    }
    const crowded = [...bans].filter(([, count]) => count > linkBansShown);
    this.#problems = crowded.map(([key, count]) => describe(key, count));
    for (const [key, count] of crowded) if (!this.#told.has(key)) log.warn(describe(key, count));
    this.#told = new Set(crowded.map(([key]) => key));
  }
}

const describe = (key: string, count: number): string =>
  `${key.replace('%d', String(count))}, a link of this host: one host may be changing its address; the link is never banned as a whole`;
