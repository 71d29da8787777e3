/**
 * Which jails a followed file's lines go to, and its number in the engine. Files with the same
 * jails share a route. Bounds: `followedFilesMax` numbers, `routesMax` routes; a file that would
 * need more is refused, which the file source reports.
 */
import type { Engine } from '../engine/host.ts';
import { followedFilesMax, routeJailsMax, routesMax } from '../limits.ts';
import type { JailConfig } from '../types.ts';
import type { FileStatus } from './file.ts';
import type { JournalTarget } from './journal/journal.ts';

export class SourceRoutes {
  /** Every path or glob of every jail; its position is the pattern's number. */
  readonly patterns: string[];
  /** The jail of each pattern, by index. */
  readonly #owners: number[];
  readonly #jails: JailConfig[];
  readonly #engine: Engine;
  readonly #routes = new Map<string, number>();
  readonly #free: number[] = [];
  readonly #jailsOf: number[][] = [];
  #routedJails = 0;

  constructor(engine: Engine, jails: JailConfig[]) {
    this.#engine = engine;
    this.#jails = jails;
    this.patterns = jails.flatMap((jail) => jail.logpath);
    this.#owners = jails.flatMap((jail, index) => jail.logpath.map(() => index));
  }

  /** The jail, by index, that a pattern belongs to. */
  jailOf(pattern: number): number {
    return this.#owners[pattern]!;
  }

  /** Whether that jail may read from file systems that can hang. */
  network(pattern: number): boolean {
    return this.#jails[this.jailOf(pattern)]!.network;
  }

  /**
   * Numbers a file that fits the given patterns; `previous` is its number so far, or -1. Returns -1
   * when there is no room.
   */
  assign(patterns: readonly number[], previous: number): number {
    const jails = [...new Set(patterns.map((pattern) => this.jailOf(pattern)))].sort((one, other) => one - other);
    return this.#number(jails, previous);
  }

  /** What the jails read of the journal, numbered: one source for those that ask for the same. */
  journal(): JournalTarget[] {
    const all = [...this.#jails.entries()].filter(([, { journal }]) => journal !== undefined);
    const groups = Map.groupBy(all, ([, { journal }]) => JSON.stringify(journal!.groups));
    return [...groups.values()].map((jails) => {
      const source = this.#number(
        jails.map(([index]) => index),
        -1,
      );
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
    this.#engine.openSource(source, route);
    return source;
  }

  /** The file is gone for good. */
  release(source: number): void {
    this.#jailsOf[source] = [];
    this.#free.push(source);
  }

  /** The files of `followed` that the jail (by index) reads now. */
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
