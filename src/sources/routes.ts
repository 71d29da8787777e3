/**
 * Which jails get a followed file's lines, and its number in the engine. Files with the same jails
 * share a route. Jails may be added, removed and changed (`renew`): a remaining pattern keeps its
 * number, and a removed one becomes '' until a later change reuses its place. Bounds:
 * `followedFilesMax` numbers, `routesMax` routes; a file that would need more is refused, which the
 * file source reports.
 */
import type { Engine } from '../engine/host.ts';
import { followedFilesMax, routeJailsMax, routesMax } from '../limits.ts';
import type { JailConfig } from '../types.ts';
import type { FileStatus } from './file.ts';
import type { JournalTarget } from './journal/journal.ts';

export class SourceRoutes {
  /** Every path or glob of every jail; its index is the pattern's number. */
  readonly patterns: string[] = [];
  /** The jail of each pattern, by index; -1 for a removed pattern. */
  readonly #owners: number[] = [];
  readonly #jails: readonly JailConfig[];
  /** The journal's sources, by their match. */
  #journals = new Map<string, number>();
  readonly #engine: Engine;
  readonly #routes = new Map<string, number>();
  readonly #free: number[] = [];
  readonly #jailsOf: number[][] = [];
  #routedJails = 0;

  constructor(engine: Engine, jails: readonly JailConfig[]) {
    this.#engine = engine;
    this.#jails = jails;
    this.#numberPatterns();
  }

  /**
   * The jails, or their filters, have changed: makes new routes. After it every followed file must
   * be assigned again, and `journal` called, before anything is fed.
   */
  renew(): void {
    this.#numberPatterns();
    this.#routes.clear();
    this.#routedJails = 0;
    this.#engine.resetRoutes();
  }

  #numberPatterns(): void {
    const { patterns } = this;
    const owners = this.#owners;
    const free = [...patterns.keys()].filter((number) => patterns[number] === '');
    for (const [number, path] of patterns.entries()) {
      if (this.#jails[owners[number]!]?.logpath.includes(path)) continue;
      patterns[number] = '';
      owners[number] = -1;
    }
    for (const [index, { logpath }] of this.#jails.entries()) {
      for (const path of logpath) {
        if (patterns.some((known, number) => known === path && owners[number] === index)) continue;
        const number = free.shift() ?? patterns.length;
        patterns[number] = path;
        owners[number] = index;
      }
    }
  }

  /** The jail of a pattern, by index. */
  jailOf(pattern: number): number {
    return this.#owners[pattern]!;
  }

  /** Whether that jail may read from file systems that can hang. */
  network(pattern: number): boolean {
    return this.#jails[this.jailOf(pattern)]?.network ?? false;
  }

  /**
   * Gives a number to a file that matches the given patterns; `previous` is its current number, or
   * -1. Returns -1 if there is no room.
   */
  assign(patterns: readonly number[], previous: number): number {
    const owners = patterns.map((pattern) => this.jailOf(pattern)).filter((jail) => jail >= 0);
    return this.#number(
      [...new Set(owners)].sort((one, other) => one - other),
      previous,
    );
  }

  /** What the jails read from the journal: one source for all jails with the same match. */
  journal(): JournalTarget[] {
    const all = [...this.#jails.entries()].filter(([, { journal }]) => journal !== undefined);
    const groups = Map.groupBy(all, ([, { journal }]) => JSON.stringify(journal!.groups));
    const before = this.#journals;
    this.#journals = new Map();
    for (const [asked, source] of before) if (!groups.has(asked)) this.release(source);
    return [...groups].map(([asked, jails]) => {
      const source = this.#number(
        jails.map(([index]) => index),
        before.get(asked) ?? -1,
      );
      this.#journals.set(asked, source);
      // The configuration has fewer jails than there are numbers.
      if (source < 0) throw new Error('no room for what a jail reads of the journal');
      const name = `journal:${jails.map(([, jail]) => jail.name).join(',')}`.slice(0, 200);
      return { match: jails[0]![1].journal!, source, name };
    });
  }

  #number(jails: number[], previous: number): number {
    const route = this.#route(jails);
    const source = previous >= 0 ? previous : (this.#free.pop() ?? this.#jailsOf.length);
    if (route < 0 || source >= followedFilesMax) return -1;
    this.#jailsOf[source] = jails;
    if (previous >= 0) this.#engine.moveSource(source, route);
    else this.#engine.openSource(source, route);
    return source;
  }

  /** The file is gone for good. */
  release(source: number): void {
    this.#jailsOf[source] = [];
    this.#free.push(source);
  }

  /** The followed files that the jail (by index) reads now. */
  logsOf(jail: number, followed: readonly FileStatus[]): string[] {
    return this.statusOf(jail, followed).map(({ path }) => path);
  }

  statusOf(jail: number, followed: readonly FileStatus[]): FileStatus[] {
    return followed.filter(({ source, state }) => state === 'reading' && this.#jailsOf[source]?.includes(jail));
  }

  #route(jails: number[]): number {
    const key = jails.join();
    const known = this.#routes.get(key);
    if (known !== undefined) return known;
    if (this.#routes.size >= routesMax || this.#routedJails + jails.length > routeJailsMax) return -1;
    const route = this.#engine.addRoute(
      jails.map((index) => ({ index, filter: this.#jails[index]!.filter, mode: this.#jails[index]!.mode })),
    );
    this.#routedJails += jails.length;
    this.#routes.set(key, route);
    return route;
  }
}
