/** An enforcer over a real engine: the test feeds log lines and chooses the backend. */
import type { EnforcerOptions } from '../../src/enforcer/delivery.ts';
import { Enforcer } from '../../src/enforcer/enforcer.ts';
import { Engine } from '../../src/engine/host.ts';
import { Log } from '../../src/log.ts';
import type { Backend, EvictionPolicy, JailConfig } from '../../src/types.ts';

export const enforcedJail: JailConfig = {
  name: 'sshd',
  filter: 'sshd',
  mode: '',
  logpath: [],
  maxretry: 1,
  findtime: 600,
  bantime: 3600,
  escalation: null,
  ipv6Prefix: 64,
  ignoreip: [],
  ignoreself: false,
  network: false,
  ports: [],
  protocols: [],
  hooks: ['input'],
  action: 'drop',
};

export interface Enforcement {
  engine: Engine;
  enforcer: Enforcer;
  /** Text of the log so far. */
  said(): string;
  /** A failed login of each address, read by the engine; then the enforcer is woken. */
  attack(...addresses: string[]): void;
}

export interface EnforceOptions extends Partial<EnforcerOptions> {
  /** Memory of the table. */
  tableBytes?: number;
  /** The engine's. */
  build?: 'plain' | 'wasm';
  evictionPolicy?: EvictionPolicy;
}

/** Lines read at once: all of them fit the engine's buffer. */
const linesPerRead = 200;

export async function enforce(
  backend: Backend,
  jails: JailConfig[] = [enforcedJail],
  { tableBytes = 1 << 20, build = 'plain', evictionPolicy, ...options }: EnforceOptions = {},
): Promise<Enforcement> {
  const engine = await Engine.create({
    build,
    jails: jails.map((jail) => ({ ...jail, ignore: [] })),
    tableBytes,
    ...(evictionPolicy && { evictionPolicy }),
  });
  const route = engine.addRoute(jails.map(({ filter, mode }, index) => ({ index, filter, mode })));
  engine.openSource(0, route);
  let text = '';
  const log = new Log({
    level: 'debug',
    write: (line) => {
      text += line;
    },
  });
  const enforcer = new Enforcer({ engine, backend, jails, log, ...options });
  let offset = 0;
  return {
    engine,
    enforcer,
    said: () => text,
    attack(...addresses) {
      const now = Date.now() / 1000;
      const time = new Date(now * 1000).toISOString();
      for (let from = 0; from < addresses.length; from += linesPerRead) {
        const lines = addresses
          .slice(from, from + linesPerRead)
          .map((address) => `${time} host sshd[7]: Failed password for root from ${address} port 4242 ssh2\n`)
          .join('');
        const length = new TextEncoder().encodeInto(lines, engine.buffer).written;
        for (let done = 0; done < length; ) {
          const fed = engine.feed(0, length - done, offset, now, false);
          if (fed === 0) throw new Error('the engine takes no more');
          engine.buffer.copyWithin(0, fed, length);
          offset += fed;
          done += fed;
        }
        enforcer.wake();
      }
    },
  };
}
