/**
 * Replaces the running configuration. Input: a record that a client of root handed over, whose
 * fields text/record.ts has checked. Jails may be added, removed and changed. A change of what is
 * fixed at the start is refused with its reason, before anything is touched. Order: first the
 * kernel, in one transaction that keeps every ban of the remaining jails; then our own state, at
 * once, between two log lines. So protection never stops, and if the kernel refuses, the old
 * configuration stays. Claims: MM-21, X-reload.
 */
import { OperatorError, type Reloaded } from './control/answers.ts';
import type { Enforcer } from './enforcer/enforcer.ts';
import type { Ignored } from './enforcer/ignored.ts';
import type { Engine, EngineJail } from './engine/host.ts';
import type { Lists } from './lists/lists.ts';
import type { Logger } from './log.ts';
import { isTaken, placed, vacantFilter, vacantJail } from './places.ts';
import type { FileSource } from './sources/file.ts';
import { barred } from './sources/find.ts';
import type { JournalSource } from './sources/journal/journal.ts';
import type { SourceRoutes } from './sources/routes.ts';
import type { StateKeeper } from './state/keeper.ts';
import type { CoreConfig, JailConfig } from './types.ts';

/** Settings that are fixed at the start, by section, and why. */
const settled = {
  memory: 'the table was made by it',
  firewall: 'rules and bans are in the kernel by it',
  control: 'the socket was made with rights that are given up by now',
  metrics: 'nothing new may listen any more',
  state: 'the file is locked since the start',
  audit: 'its files were begun with it',
  journal: 'what may be read was settled at the start',
  confinement: 'it was settled at the start',
} as const;

/** Settings with another name in the configuration file. */
const names: Record<string, string> = {
  'memory.ceilingBytes': 'memory.ceiling',
  'control.path': 'control.socket',
  'control.groupId': 'control.group',
  'state.intervalSeconds': 'state.interval',
  'audit.keepSeconds': 'audit.keep',
  'audit.bytes': 'audit.size',
};
const nameOf = (field: string): string =>
  names[field] ?? field.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`);

const same = (one: unknown, other: unknown): boolean => JSON.stringify(one) === JSON.stringify(other);

export interface Reloadable {
  /** The running configuration; its jails stand in their places. */
  config: CoreConfig;
  engine: Engine;
  enforcer: Enforcer;
  ignored: Ignored;
  routes: SourceRoutes;
  files: FileSource;
  journal: JournalSource | undefined;
  keeper: StateKeeper | undefined;
  /** Absent if there were none at the start. */
  lists?: Lists | undefined;
  clock: { now(): number };
  log: Pick<Logger, 'info' | 'setLevel'>;
}

export class Reloader {
  readonly #running: Reloadable;
  #isBusy = false;

  constructor(running: Reloadable) {
    this.#running = running;
  }

  /** Applies `next`, all of it or nothing; throws OperatorError. */
  async reload(next: CoreConfig): Promise<Reloaded> {
    if (this.#isBusy) throw new OperatorError('busy', 'another reload is in progress: try again when it is over');
    this.#isBusy = true;
    try {
      return await this.#reload(next);
    } finally {
      this.#isBusy = false;
    }
  }

  async #reload(next: CoreConfig): Promise<Reloaded> {
    const { clock, config, engine, enforcer, ignored, keeper, lists: ofFiles, log } = this.#running;
    const jails = placed(config.jails, next.jails, vacantJail);
    const filters = placed(config.filters, next.filters, vacantFilter);
    const lists = ignored.listsFor(jails);
    const fresh = new Set([...jails.keys()].filter((at) => config.jails[at]?.name !== jails[at]!.name));
    const settings = {
      jails: jails.map((jail, index): EngineJail & JailConfig => ({ ...jail, ignore: lists[index]! })),
      filters,
    };
    const reasons = [...this.#settledReasons(next), ...engine.unfit(settings, fresh), ...this.#placeReasons(next)];
    if (reasons.length > 0) {
      const remedy = 'nothing was changed; to have it, restart the daemon (systemctl restart fail2zig)';
      throw new OperatorError('needs-restart', `${reasons.join('; ')}: ${remedy}`);
    }
    const before = new Map(config.jails.map((jail) => [jail.name, jail]));
    const isKnown = ({ name }: JailConfig): boolean => before.has(name);
    const changed = next.jails.filter(
      (jail) =>
        isKnown(jail) &&
        !same({ ...before.get(jail.name), allow: undefined, lists: undefined, allowLists: undefined }, jail),
    );
    const removed = config.jails.filter((jail) => isTaken(jail) && !next.jails.some(({ name }) => name === jail.name));
    const result: Reloaded = {
      added: next.jails.filter((jail) => !isKnown(jail)).map(({ name }) => name),
      changed: changed.map(({ name }) => name),
      removed: removed.map(({ name }) => name),
    };
    ofFiles?.dress(jails);
    let isKernels = true;
    const scaffold = jails.map((jail, index) => ({ ...jail, allow: lists[index]! }));
    await enforcer
      .change(
        scaffold,
        fresh,
        () => keeper?.saving,
        () => {
          isKernels = false;
          // Files that appeared before now are found under the old patterns.
          this.#running.files.rescan();
          config.jails.splice(0, config.jails.length, ...jails);
          config.filters = filters;
          config.path = next.path;
          ignored.renew();
          settings.jails.forEach((jail, index) => {
            jail.ignore = ignored.lists[index]!;
          });
          engine.change({ ...settings, shared: ignored.links, now: Math.floor(clock.now() / 1000) }, fresh);
          this.#follow();
        },
      )
      .catch((error: Error) => {
        if (isKernels) throw new OperatorError('kernel', `${error.message}: the old configuration stays`);
        throw error;
      });
    if (next.log.level !== config.log.level) log.setLevel(next.log.level);
    config.log = next.log;
    config.lists = next.lists;
    ofFiles?.change(next.lists ?? []);
    keeper?.changed();
    log.info(
      'configuration reloaded',
      Object.fromEntries(Object.entries(result).map(([what, of]) => [what, of.join(' ')])),
    );
    return result;
  }

  /** Follows the logs of the new jails; nothing is read meanwhile. */
  #follow(): void {
    const { config, engine, files, journal, routes } = this.#running;
    routes.renew();
    files.setPatterns(routes.patterns, () => {
      journal?.setTargets(routes.journal(), Math.max(1, ...config.jails.map(({ findtime }) => findtime)));
      engine.endRoutes();
    });
  }

  /** Which of the settings that are fixed at the start have changed. */
  *#settledReasons(next: CoreConfig): Generator<string> {
    const { config } = this.#running;
    for (const [section, why] of Object.entries(settled)) {
      const [now, then] = [config[section as keyof typeof settled], next[section as keyof typeof settled]];
      for (const [field, value] of Object.entries(then))
        if (!same(now[field as never], value)) yield `${nameOf(`${section}.${field}`)} cannot change, since ${why}`;
    }
    const lists = next.lists ?? [];
    if (this.#running.lists !== undefined) yield* this.#running.lists.unfit(lists);
    else if (lists.length > 0) yield 'a first [[list]] needs memory that was given out at the start';
    if (next.log.format !== config.log.format) yield 'log.format cannot change, since one log has one form';
    if (next.log.syslog !== config.log.syslog) yield 'log.target cannot change, since its socket was made at the start';
  }

  /** Logs that the daemon may not read, because it gave up the rights that it did not need. */
  *#placeReasons(next: CoreConfig): Generator<string> {
    const { config, journal } = this.#running;
    const outside = (what: string, directory: string) =>
      `${what}: ${directory} is outside of what the daemon may read (confinement.read names what may come)`;
    const followed = new Set(config.lists?.map(({ file }) => file));
    for (const { file } of next.lists ?? []) {
      const directory = followed.has(file) ? undefined : barred(file);
      if (directory !== undefined) yield outside(`list ${file}`, directory);
    }
    const known = new Set(config.jails.flatMap(({ logpath }) => logpath));
    for (const { name, logpath, journal: asked, network } of next.jails) {
      if (asked !== undefined && journal === undefined) yield `jail ${name} is the first that reads the journal`;
      for (const path of network ? [] : logpath) {
        const directory = known.has(path) ? undefined : barred(path);
        if (directory === undefined) continue;
        yield outside(`jail ${name}`, directory);
      }
    }
  }
}
