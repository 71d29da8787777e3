/**
 * The core of the daemon without files and kernel: a configuration, the real engine and enforcer,
 * and a backend that remembers its requests. Twins are the same with another configuration or a
 * backend that lies.
 */
import { Enforcer } from '../../src/enforcer/enforcer.ts';
import { Ignored } from '../../src/enforcer/ignored.ts';
import { Engine } from '../../src/engine/host.ts';
import type { Address, Backend, Ban, Change, CoreConfig } from '../../src/types.ts';
import { rememberingLog } from '../../test/support/control.ts';
import { compileText, validConfig } from './configuration.ts';
import { addressText, failureLine, feedText } from './tracker.ts';

/** A backend in memory. */
export interface RememberingBackend extends Backend {
  /** By jail and address. */
  held: Map<string, Ban>;
  /** Changes of each transaction that was asked for. */
  batches: number[];
}

/** `refuse` is called for each transaction: it returns an error if the kernel would refuse. */
export function rememberingBackend(
  refuse: (changes: Change[]) => Error | undefined = () => undefined,
): RememberingBackend {
  const held = new Map<string, Ban>();
  const batches: number[] = [];
  const key = (jail: string, address: Address): string => `${jail} ${addressText(address)}`;
  return {
    name: 'nftables',
    holds: true,
    held,
    batches,
    install: () => Promise.resolve(),
    apply(changes: Change[]) {
      batches.push(changes.length);
      const error = refuse(changes);
      if (error !== undefined) return Promise.reject(error);
      for (const change of changes) {
        if (change.verb === 'ban') held.set(key(change.ban.jail, change.ban.address), change.ban);
        else held.delete(key(change.jail, change.address));
      }
      return Promise.resolve();
    },
    each(visit) {
      for (const ban of held.values()) visit(ban);
      return Promise.resolve(held.size);
    },
    reconcile: () => Promise.resolve(false),
    remove: () => Promise.resolve(),
    close: () => {},
  };
}

export interface PipelineOptions {
  text?: string;
  backend?: RememberingBackend;
  slots?: number;
}

export interface Pipeline {
  config: CoreConfig;
  engine: Engine;
  enforcer: Enforcer;
  ignored: Ignored;
  backend: RememberingBackend;
  log: ReturnType<typeof rememberingLog>;
  /** A failed login of each address, now, read by the engine; then the enforcer is woken. */
  fail(...addresses: string[]): void;
}

/** A jail for sshd that bans at the first failure. */
export const strictConfig = `${validConfig}maxretry = 1\nignoreself = false\n`;

export async function pipeline({
  text = strictConfig,
  backend = rememberingBackend(),
  slots = 4_096,
}: PipelineOptions = {}): Promise<Pipeline> {
  const config = compileText(text);
  const jails = config.jails.map((jail) => ({ ...jail, ignore: [] }));
  const { evictionPolicy } = config.memory;
  const { slotBytes } = await Engine.create({ jails, tableBytes: 0 });
  const engine = await Engine.create({ jails, tableBytes: slots * slotBytes, evictionPolicy });
  engine.openSource(0, engine.addRoute(jails.map(({ filter, mode }, index) => ({ index, filter, mode }))));
  const log = rememberingLog();
  const ignored = new Ignored(config.jails, () => ({}));
  const enforcer = new Enforcer({ engine, backend, jails: config.jails, ignored, log });
  let connection = 0;
  return {
    config,
    engine,
    enforcer,
    ignored,
    backend,
    log,
    fail(...addresses) {
      const now = Date.now() / 1000;
      for (const address of addresses) {
        feedText(engine, failureLine(address, Math.floor(now), connection++), now);
        enforcer.wake();
      }
    },
  };
}
