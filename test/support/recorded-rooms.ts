/**
 * A program: the daemon from its sources, of which every start, stop and regular look of a room is
 * printed, one a line. It takes the path of a configuration. Timers of the daemon are quick here.
 */

import { LogOnlyBackend } from '../../src/backends/log-only.ts';
import { Clock } from '../../src/clock.ts';
import { handedRecord } from '../../src/commands/start.ts';
import { loadConfig } from '../../src/config/load.ts';
import { statusBits } from '../../src/confinement/privileges.ts';
import { ControlServer } from '../../src/control/server.ts';
import { bindSocket } from '../../src/control/socket-path.ts';
import { Enforcer } from '../../src/enforcer/enforcer.ts';
import { Engine } from '../../src/engine/host.ts';
import { Recorder } from '../../src/history/recorder.ts';
import { Telling } from '../../src/history/telling.ts';
import { Lists } from '../../src/lists/lists.ts';
import { Log } from '../../src/log.ts';
import { Governor, ProcessMemory } from '../../src/memory/ceiling.ts';
import { native } from '../../src/native.ts';
import { CrowdedLinks } from '../../src/observe/crowded-links.ts';
import { DropTally } from '../../src/observe/drop-tally.ts';
import { LogClocks } from '../../src/observe/log-clocks.ts';
import { MetricsServer } from '../../src/observe/metrics-server.ts';
import { ServiceManager } from '../../src/service.ts';
import { Logs } from '../../src/sources/logs.ts';
import { StateKeeper } from '../../src/state/keeper.ts';

/** Class → the methods that are printed, each with the arguments that matter. */
const watched: readonly [object: { prototype: object; name: string }, methods: string][] = [
  [Clock, 'start stop'],
  [ControlServer, 'listen close'],
  [CrowdedLinks, 'start stop'],
  [DropTally, 'start stop'],
  [Engine, 'settleAttempts setClock'],
  [Enforcer, 'start stop'],
  [Governor, 'release'],
  [Lists, 'prepare start stop'],
  [Log, 'flush'],
  [LogClocks, 'start stop'],
  [LogOnlyBackend, 'install remove close'],
  [Logs, 'start wake drain stop'],
  [MetricsServer, 'start close'],
  [ProcessMemory, 'govern stop'],
  [Recorder, 'start close'],
  [ServiceManager, 'ready stopping'],
  [StateKeeper, 'load start changed stop'],
  [Telling, 'start decided stop'],
];

/** Arguments that are printed: true, and an object of nothing but truth values. */
function shown(argument: unknown): string {
  if (argument === true) return ' true';
  const isPlain =
    typeof argument === 'object' && argument !== null && Object.getPrototypeOf(argument) === Object.prototype;
  const rows = isPlain ? Object.entries(argument) : [];
  return rows.length > 0 && rows.every(([, value]) => typeof value === 'boolean') ? ` ${JSON.stringify(argument)}` : '';
}

type Method = (...given: unknown[]) => unknown;

for (const [{ prototype, name }, methods] of watched) {
  for (const method of methods.split(' ')) {
    const methodsOf = prototype as Record<string, Method>;
    const real = methodsOf[method]!;
    methodsOf[method] = function (this: unknown, ...given: unknown[]) {
      console.log(`${name}.${method}${given.map(shown).join('')}`);
      return real.apply(this, given);
    };
  }
}

const { setInterval: realInterval } = globalThis;
globalThis.setInterval = ((task: () => void, ms: number, ...rest: []) =>
  realInterval(task, Math.min(ms, 100), ...rest)) as typeof setInterval;

const [, program, configuration, isAgain] = process.argv;
if (isAgain === undefined) {
  // A thread can give up privileges for itself alone; what replaces the process starts with none.
  const noNewPrivileges = 38;
  native.prctl(noNewPrivileges, 1, 0);
  process.execve!(process.execPath, [process.execPath, ...process.execArgv, program!, configuration!, 'again']);
}
const { config } = loadConfig(configuration!);
const capabilities = statusBits('CapPrm').toString(16).padStart(16, '0');
const socket = config.control.enabled ? { socket: bindSocket(config.control.path, undefined) } : {};
const handed = { confined: [], lacking: [], capabilities, ...socket };
process.argv.push('--config-fd', String(handedRecord({ ...config, handed })));
await import('../../src/daemon.ts');
