/**
 * A reload without files and kernel: the real engine, enforcer, routes and reloader, two logs that
 * are fed by hand, and a clock that the test sets. Beside it a start with the same configuration
 * and the earlier state, from which a reload must not differ.
 */
import { Enforcer } from '../../src/enforcer/enforcer.ts';
import { Ignored } from '../../src/enforcer/ignored.ts';
import { Engine } from '../../src/engine/host.ts';
import * as layout from '../../src/engine/layout.ts';
import { isTaken } from '../../src/places.ts';
import { Reloader } from '../../src/reload.ts';
import type { FileSource } from '../../src/sources/file.ts';
import { SourceRoutes } from '../../src/sources/routes.ts';
import type { CoreConfig } from '../../src/types.ts';
import { rememberingLog } from '../../test/support/control.ts';
import { compileText } from './configuration.ts';
import { rememberingBackend } from './pipeline.ts';
import { addressText, epoch, failureLine } from './tracker.ts';

export const logs = ['/var/log/auth.log', '/var/log/other.log'] as const;
export const sources = ['192.0.2.1', '192.0.2.2', '192.0.2.3', '198.51.100.4', '2001:db8:0:1::5'];

/** A failure of a source in a log, so many seconds after `epoch`. */
export interface Failure {
  log: number;
  source: number;
  at: number;
}

/** Many times the room for all sources in all jails. */
const tableBytes = 64 * 1024;
const noInterfaces = (): Record<string, never> => ({});

export class Reloading {
  readonly config: CoreConfig;
  readonly backend = rememberingBackend();
  engine!: Engine;
  /** What was decided, in order. */
  readonly decided: string[] = [];
  /** What the log was set to. */
  level = '';
  #routes!: SourceRoutes;
  #reloader!: Reloader;
  #second = 0;
  #connection = 0;

  private constructor(config: CoreConfig) {
    this.config = config;
  }

  static async start(text: string): Promise<Reloading> {
    const made = new Reloading(compileText(text));
    await made.#start();
    return made;
  }

  async #start(): Promise<void> {
    const { config, backend } = this;
    const ignored = new Ignored(config.jails, noInterfaces);
    const jails = config.jails.map((jail, index) => ({ ...jail, ignore: ignored.lists[index]! }));
    const settings = { jails, jailsMax: 16, evictionPolicy: config.memory.evictionPolicy, now: epoch };
    this.engine = await Engine.create({ ...settings, tableBytes });
    const { engine } = this;
    this.#routes = new SourceRoutes(engine, config.jails);
    for (const log of logs.keys()) this.#assign(log, -1);
    const now = (): number => (epoch + this.#second) * 1000;
    const enforcer = new Enforcer({ engine, backend, jails: config.jails, ignored, now, log: rememberingLog() });
    const files = {
      rescan: () => {},
      setPatterns: (_: unknown, assigned: () => void) => {
        for (const log of logs.keys()) this.#assign(log, log);
        assigned();
      },
    } as unknown as FileSource;
    const parts = { config, engine, enforcer, ignored, routes: this.#routes, files, journal: undefined };
    const log = Object.assign(rememberingLog(), {
      setLevel: (level: string) => {
        this.level = level;
      },
    });
    this.#reloader = new Reloader({ ...parts, keeper: undefined, clock: { now }, log });
  }

  /** Lets the jails whose patterns name a log read it. */
  #assign(log: number, previous: number): void {
    const { patterns } = this.#routes;
    const fitting = [...patterns.keys()].filter((number) => patterns[number] === logs[log]);
    this.#routes.assign(fitting, previous);
  }

  /** Feeds failures, each at its own time, and lets the kernel confirm the decisions. */
  feed(failures: readonly Failure[]): void {
    const { engine } = this;
    for (const { log, source, at } of failures) {
      this.#second = at;
      const line = failureLine(sources[source]!, epoch + at, this.#connection++);
      const { written } = new TextEncoder().encodeInto(line, engine.buffer);
      engine.feed(log, written, 0, epoch + at, true);
      engine.takeDecisions((decision) => {
        const { jail, address, time, seconds, failures: count } = decision;
        engine.confirmBan(jail, address);
        const { name } = this.config.jails[jail]!;
        this.decided.push(`${name} ${addressText(address)} ${time - epoch} ${seconds} ${count}`);
      });
    }
  }

  /** Applies another configuration while it runs. Rejects with the daemon's error. */
  reload(text: string): Promise<unknown> {
    return this.#reloader.reload(compileText(text));
  }

  /** A start with another configuration that finds the state of this run. */
  async restart(text: string, { withWindows = true } = {}): Promise<Reloading> {
    const next = await Reloading.start(text);
    const now = epoch + this.#second;
    const saved = this.engine.saveTable(now);
    const jailOf = this.config.jails.map(({ name }) => next.config.jails.findIndex((jail) => jail.name === name));
    const restoring = next.engine.restoreTable(saved, jailOf, now)!;
    const portion = new Uint8Array(saved.entryBytes);
    const isBan = (): boolean => {
      const [key = 8] = saved.note;
      return (portion[key]! & layout.META_STATE) >= layout.DECIDED;
    };
    while (saved.read(portion) > 0) if (withWindows || isBan()) restoring.take(portion);
    next.#connection = this.#connection;
    next.#second = this.#second;
    return next;
  }

  /** Who is banned where, and until when. */
  bans(): string[] {
    const found: string[] = [];
    this.engine.eachBan(0, this.engine.slots, ({ jail, address, end }) => {
      if (end <= epoch + this.#second) return;
      const { name } = this.config.jails[jail]!;
      found.push(`${name} ${addressText(address)} ${end - epoch}`);
    });
    return found.sort();
  }

  /** Everything that a refused reload must leave unchanged. */
  picture(): string {
    const { config, engine, backend } = this;
    return JSON.stringify([
      config.jails.filter(isTaken),
      engine.evictionPolicy,
      engine.tracked,
      this.bans(),
      backend.batches,
    ]);
  }
}
