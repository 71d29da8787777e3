/**
 * What the running daemon answers its operators (control/verbs.ts `Operator`). Arguments are
 * checked by the verb's row; here they are compared with what runs: jails, ignoreip, the table, the
 * kernel.
 */

import { type BanRow, type Operator, OperatorError, type Stats } from './control/verbs.ts';
import type { Enforcer } from './enforcer/enforcer.ts';
import * as counters from './engine/counters.ts';
import type { Engine } from './engine/host.ts';
import { sweepEntries } from './limits.ts';
import type { ProcessMemory } from './memory/ceiling.ts';
import { residentBytes } from './memory/resident.ts';
import type { DropTally } from './observe/drop-tally.ts';
import { PerMinute } from './observe/per-minute.ts';
import type { FileSource } from './sources/file.ts';
import type { SourceRoutes } from './sources/routes.ts';
import type { StateKeeper } from './state/keeper.ts';
import { formatAddress, maskAddress, neverSource, parseCidr } from './text/address.ts';
import type { Address, Backend, CoreConfig } from './types.ts';
import { version } from './version.ts';

export interface Running {
  config: CoreConfig;
  memory: ProcessMemory;
  engine: Engine;
  enforcer: Enforcer;
  drops: DropTally;
  backend: Backend;
  files: FileSource;
  routes: Pick<SourceRoutes, 'logsOf'>;
  /** Absent where nothing is saved. */
  keeper: StateKeeper | undefined;
}

export function createOperator({
  config,
  memory,
  engine,
  enforcer,
  drops,
  backend,
  files,
  routes,
  keeper,
}: Running): Operator {
  const { jails } = config;
  const evictions = new PerMinute(() => engine.counter(counters.EVICTIONS));

  const indexOf = (name: string): number => {
    const index = jails.findIndex((jail) => jail.name === name);
    if (index >= 0) return index;
    throw new OperatorError('no-such-jail', `no jail ${name}; there are ${jails.map((jail) => jail.name).join(', ')}`);
  };

  const parsed = (text: string): Address => {
    const address = parseCidr(text, 'clear');
    if (typeof address === 'string') throw new OperatorError('bad-argument', `${text} is no address`);
    return address;
  };

  /** Bits of the prefixes that `jail` bans. */
  const widthOf = (jail: number, { family }: Address): number => (family === 4 ? 32 : jails[jail]!.ipv6Prefix);

  /** The address as `jail` bans it: an IPv6 address becomes the jail's prefix. */
  const banned = (jail: number, text: string): Address => {
    const address = parsed(text);
    const width = widthOf(jail, address);
    if (address.prefix < width) {
      throw new OperatorError(
        'bad-argument',
        `${text} is wider than a /${width}, which is what jail ${jails[jail]!.name} bans`,
      );
    }
    return maskAddress({ ...address, prefix: width });
  };

  const kernel = async (task: Promise<void>): Promise<void> => {
    await task.catch((error: Error) => {
      throw new OperatorError('kernel', error.message);
    });
  };

  return {
    async status({ jail }) {
      const chosen = jail === undefined ? jails.map((_, index) => index) : [indexOf(jail)];
      const counts = await engine.countBans(Date.now() / 1000);
      const followed = files.status();
      const problems = followed
        .filter(({ state }) => state === 'failed')
        .map(({ path, detail }) => `${path}: ${detail}`);
      for (const index of chosen) {
        const { name, logpath } = jails[index]!;
        if (routes.logsOf(index, followed).length > 0) continue;
        problems.push(`jail ${name} reads no log: no file fits ${logpath.join(', ')}`);
      }
      if (keeper?.problem !== undefined) problems.unshift(keeper.problem);
      if (enforcer.adoption !== undefined) problems.unshift(enforcer.adoption);
      if (enforcer.disturbance !== undefined) problems.unshift(enforcer.disturbance);
      if (enforcer.problem !== undefined) problems.unshift(enforcer.problem);
      if (!backend.holds) problems.unshift('log-only: nothing is banned');
      return {
        version,
        pid: process.pid,
        uptimeSeconds: Math.floor(process.uptime()),
        backend: backend.name,
        memory: {
          residentBytes: residentBytes(),
          ceilingBytes: config.memory.ceilingBytes,
          slots: engine.slots,
          slotsUsed: engine.tracked,
        },
        jails: chosen.map((index) => {
          const settings = jails[index]!;
          return {
            jail: settings.name,
            filter: settings.mode === '' ? settings.filter : `${settings.filter}:${settings.mode}`,
            bansActive: counts[index]!.held,
            bansPending: counts[index]!.pending,
            bansTotal: enforcer.counters.bans[index]!,
            packetsDropped: drops.of(settings.name),
            failuresTotal: engine.jailCounter(index, counters.JAIL_FAILURES),
            sources: routes.logsOf(index, followed),
          };
        }),
        problems,
      };
    },

    stats() {
      const ofFilters = (counter: number): number => {
        const filters = new Set(jails.map(({ filter, mode }) => engine.resolveFilter(filter, mode).filter));
        return [...filters].reduce((sum, filter) => sum + engine.filterCounter(filter, counter), 0);
      };
      const ofJails = (counter: number): number =>
        jails.reduce((sum, _, jail) => sum + engine.jailCounter(jail, counter), 0);
      return {
        'lines.total': engine.counter(counters.LINES),
        'lines.matched': engine.counter(counters.LINES_MATCHED),
        'drops.too_long': engine.counter(counters.LINES_TOO_LONG),
        'drops.invalid': ofFilters(counters.FILTER_BAD_ADDRESS) + ofFilters(counters.FILTER_BAD_TIME),
        'drops.host_name': ofFilters(counters.FILTER_HOST_NAME),
        'drops.too_old': ofJails(counters.JAIL_TOO_OLD),
        'drops.future': ofJails(counters.JAIL_FUTURE),
        'failures.total': ofJails(counters.JAIL_FAILURES),
        'failures.ignored': ofJails(counters.JAIL_IGNORED),
        'failures.already_banned': ofJails(counters.JAIL_ALREADY),
        'decisions.total': engine.counter(counters.DECISIONS),
        'decisions.waiting': engine.waiting,
        'bans.total': enforcer.counters.bans.reduce((sum, count) => sum + count, 0),
        'unbans.total': enforcer.counters.unbans,
        'packets.dropped': jails.reduce((sum, { name }) => sum + drops.of(name), 0),
        'transactions.total': enforcer.counters.transactions,
        'bans.unsupported': enforcer.counters.unsupported,
        'kernel.reconciles': enforcer.counters.reconciles,
        'kernel.repairs': enforcer.counters.repairs,
        'transactions.failed': [...enforcer.counters.failures.values()].reduce((sum, count) => sum + count, 0),
        'table.slots': engine.slots,
        'table.used': engine.tracked,
        'evictions.total': engine.counter(counters.EVICTIONS),
        'evictions.per_minute': evictions.read(),
        [`evictions.${config.memory.evictionPolicy}`]: engine.counter(counters.EVICTIONS),
        'evictions.open': engine.counter(counters.EVICTIONS_OPEN),
        'evictions.banned': engine.counter(counters.EVICTIONS_BANNED),
        'evictions.undelivered': engine.counter(counters.EVICTIONS_UNDELIVERED),
        'evictions.remembered': engine.counter(counters.EVICTIONS_REMEMBERED),
        'evictions.denied': engine.counter(counters.DENIED),
        ...(keeper && stateStats(keeper)),
        'memory.resident_bytes': residentBytes(),
        'memory.ceiling_bytes': config.memory.ceilingBytes,
        ...Object.fromEntries(
          memory.parts().flatMap(({ part, bytes, bytesMax }) => [
            [`memory.${part}_bytes`, bytes],
            [`memory.${part}_bytes_max`, bytesMax],
          ]),
        ),
        'memory.releases': memory.governor.releases,
        'memory.release_longest_us': Math.round(memory.governor.longestMilliseconds * 1000),
      };
    },

    list({ jail, cursor, limit }) {
      const wanted = jail === undefined ? undefined : indexOf(jail);
      const now = Date.now() / 1000;
      const bans: BanRow[] = [];
      let at = cursor === undefined ? 0 : Number(cursor);
      if (!Number.isInteger(at) || at < 0)
        throw new OperatorError('bad-argument', 'list: not a cursor of an earlier page');
      while (at >= 0 && at < engine.slots) {
        let next = -1;
        const after = engine.eachBan(at, sweepEntries, (ban) => {
          if (ban.end <= now || (wanted !== undefined && ban.jail !== wanted)) return;
          if (bans.length === limit) {
            if (next < 0) next = ban.index;
            return;
          }
          const left = Number.isFinite(ban.end) ? Math.ceil(ban.end - now) : -1;
          bans.push({ jail: jails[ban.jail]!.name, address: formatAddress(ban.address), remainingSeconds: left });
        });
        if (next >= 0) return { bans, cursor: String(next) };
        at = after;
      }
      return { bans };
    },

    async ban({ jail, address, seconds }) {
      const index = indexOf(jail);
      const target = banned(index, address);
      const never = neverSource(target);
      if (never !== undefined) throw new OperatorError('bad-argument', `${address} is ${never}: nothing comes from it`);
      if (engine.isIgnored(index, target)) {
        throw new OperatorError('ignored', `${formatAddress(target)} is in ignoreip of jail ${jail}`);
      }
      const length = seconds ?? jails[index]!.bantime;
      await kernel(enforcer.ban(index, target, length));
      return { jail, address: formatAddress(target), seconds: length };
    },

    async unban({ jail, address }) {
      const target = parsed(address);
      const all = jails.map((_, index) => index);
      // A prefix as `list` shows it for one jail may be wider than what another bans: that one
      // cannot hold it.
      const able = all.filter((index) => target.prefix >= widthOf(index, target));
      const chosen = jail !== undefined ? [indexOf(jail)] : able.length > 0 ? able : all;
      const held = chosen.filter((index) => engine.isBanned(index, banned(index, address)));
      await kernel(enforcer.unban(chosen, (index) => banned(index, address)));
      return { address, jails: held.map((index) => jails[index]!.name) };
    },
  };
}

function stateStats({ counters: { saves, failures, bytes, savedAt, pauseLongestMs } }: StateKeeper): Stats {
  return {
    'state.saves': saves,
    'state.failures': [...failures.values()].reduce((sum, count) => sum + count, 0),
    'state.bytes': bytes,
    'state.saved_at': Math.round(savedAt),
    'state.pause_longest_us': Math.round(pauseLongestMs * 1000),
  };
}
