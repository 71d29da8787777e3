/**
 * `fail2zig replay`: runs the whole pipeline at full speed over finished files, without a kernel:
 * who would have been banned, when and for how long. A line's own time is the clock. Needs no
 * privileges. Exit status: 0 done; 1 a file or the configuration cannot be read; 2 wrong usage.
 */
import { statSync } from 'node:fs';
import { resolve } from 'node:path';
import { formatDuration, parseDuration } from '../config/duration.ts';
import { ceilingBytesDefault, replayReserveBytes } from '../config/limits.ts';
import { defaultConfigPath, loadConfig } from '../config/load.ts';
import {
  DENIED,
  EVICTIONS,
  FILTER_BAD_ADDRESS,
  FILTER_BAD_TIME,
  FILTER_HOST_NAME,
  FILTER_IGNORED,
  JAIL_IGNORED,
  JAIL_TOO_OLD,
  LINES,
  LINES_MATCHED,
  LINES_TOO_LONG,
} from '../engine/counters.ts';
import { Engine, type TableBan } from '../engine/host.ts';
import { maxretryMax, sweepEntries, tableBytesMin } from '../limits.ts';
import { native } from '../native.ts';
import { matchesComponent, splitPattern } from '../sources/glob.ts';
import { everyEntry, isJournal, readJournal } from '../sources/journal/read-whole.ts';
import { readWhole } from '../sources/read-whole.ts';
import { formatAddress, parseCidr } from '../text/address.ts';
import { jsonText } from '../text/json.ts';
import { printable } from '../text/printable.ts';
import type { Address, Decision, EvictionPolicy, FilterProgram, JailConfig } from '../types.ts';
import { journalNotes } from './lines.ts';
import { chooseFilter } from './match.ts';
import { explain, misuse, readCommand } from './options.ts';

export const usage = `fail2zig replay: run finished logs through the whole pipeline, without a kernel

  fail2zig replay [--config FILE] [--filter NAME[:MODE]] [--json] FILE...

  --config FILE         jails as configured (${defaultConfigPath}); a file goes to the jails whose logpath names it, or
                        to all of them where none does
  --filter NAME[:MODE]  instead: one jail with this filter, built in or of --config FILE, and the default settings
  --maxretry N, --findtime TIME, --bantime TIME, --ipv4-prefix BITS,
  --ipv6-prefix BITS
                        settings of that jail
  --now EPOCH           the clock for lines without a year, in seconds (default: now)
  --json                one JSON object on one line
  FILE                  logs or files of systemd's journal, oldest first; "-" is standard input
`;

interface Plan {
  jails: JailConfig[];
  filters: FilterProgram[];
  tableBytes: number;
  policy: EvictionPolicy;
}

interface Report {
  lines: number;
  matched: number;
  dropped: Record<string, number>;
  /** `failures` 0: banned because the table was full, by the policy ban_all. */
  decisions: { jail: string; ip: string; time: number; failures: number; seconds: number }[];
  tracked: number;
  slots: number;
  seconds: number;
  linesPerSecond: number;
  peakRssBytes: number;
}

export async function run(argv: string[]): Promise<number> {
  const parsed = readCommand(
    usage,
    argv,
    {
      config: { type: 'string' },
      filter: { type: 'string' },
      maxretry: { type: 'string' },
      findtime: { type: 'string' },
      bantime: { type: 'string' },
      'ipv4-prefix': { type: 'string' },
      'ipv6-prefix': { type: 'string' },
      now: { type: 'string' },
      json: { type: 'boolean' },
    },
    true,
  );
  if (typeof parsed === 'number') return parsed;
  const { values, positionals: files } = parsed;
  if (files.length === 0) return misuse(usage, 'which FILE?');
  const now = values.now === undefined ? Math.floor(Date.now() / 1000) : Number(values.now);
  if (!Number.isFinite(now) || now < 0) return misuse(usage, '--now takes seconds since 1970');
  let plan: Plan | string;
  try {
    plan = values.filter === undefined ? configured(values.config ?? defaultConfigPath) : single(values.filter, values);
    if (typeof plan === 'string') return misuse(usage, plan);
    const report = await replay(plan, files, now);
    process.stdout.write(values.json ? `${jsonText(report)}\n` : summary(report));
    return 0;
  } catch (error) {
    process.stderr.write(`fail2zig replay: ${explain(error as Error)}\n`);
    return 1;
  }
}

function configured(path: string): Plan {
  const { config } = loadConfig(path);
  const tableBytes = Math.max(tableBytesMin, config.memory.ceilingBytes - replayReserveBytes);
  return { jails: config.jails, filters: config.filters, tableBytes, policy: config.memory.evictionPolicy };
}

/** One jail with the defaults of the configuration, or what is wrong with the options. */
function single(filter: string, values: Record<string, string | boolean | undefined>): Plan | string {
  const filters = typeof values.config === 'string' ? loadConfig(values.config).config.filters : [];
  const chosen = chooseFilter(filter, filters);
  if (typeof chosen === 'string') return chosen;
  const maxretry = Number(values.maxretry ?? 5);
  if (!Number.isInteger(maxretry) || maxretry < 1 || maxretry > maxretryMax) {
    return `--maxretry takes a whole number from 1 to ${maxretryMax}`;
  }
  const ipv4Prefix = Number(values['ipv4-prefix'] ?? 32);
  if (!Number.isInteger(ipv4Prefix) || ipv4Prefix < 24 || ipv4Prefix > 32) return '--ipv4-prefix takes 24 to 32';
  const ipv6Prefix = Number(values['ipv6-prefix'] ?? 64);
  if (!Number.isInteger(ipv6Prefix) || ipv6Prefix < 32 || ipv6Prefix > 128) return '--ipv6-prefix takes 32 to 128';
  const findtime = parseDuration(values.findtime ?? '10m', false);
  if (!findtime.ok) return `--findtime ${findtime.reason}`;
  const bantime = parseDuration(values.bantime ?? '10m', true);
  if (!bantime.ok) return `--bantime ${bantime.reason}`;
  const jail: JailConfig = {
    name: chosen.name,
    filter: chosen.name,
    mode: chosen.mode,
    logpath: [],
    maxretry,
    findtime: findtime.value,
    bantime: bantime.value,
    escalation: null,
    ipv4Prefix,
    ipv6Prefix,
    ignoreip: [],
    ignoreself: false,
    network: false,
    ports: [],
    protocols: ['tcp'],
    hooks: ['input'],
    action: 'drop',
  };
  return { jails: [jail], filters, tableBytes: ceilingBytesDefault - replayReserveBytes, policy: 'evict_oldest' };
}

/** Whether a configured path or glob matches the file (an absolute path). */
function names(pattern: string, file: string): boolean {
  const wanted = splitPattern(pattern);
  const given = splitPattern(file);
  return wanted.length === given.length && wanted.every((part, index) => matchesComponent(given[index]!, part));
}

async function replay({ jails, filters, tableBytes, policy }: Plan, files: string[], now: number): Promise<Report> {
  for (const file of files) if (file !== '-') statSync(file);
  const engine = await Engine.create({
    prepare: native.hugePages,
    jails: jails.map((jail) => ({
      ...jail,
      ignore: jail.ignoreip
        .map((text) => parseCidr(text, 'clear'))
        .filter((address): address is Address => typeof address !== 'string'),
    })),
    filters,
    tableBytes,
    evictionPolicy: policy,
    live: false,
    now,
  });
  const all = jails.map((jail, index) => ({ index, filter: jail.filter, mode: jail.mode }));
  const decisions: Report['decisions'] = [];
  const take = (decision: Pick<Decision, 'jail' | 'address' | 'time' | 'failures' | 'seconds'>): void => {
    const { jail, address, time, failures, seconds } = decision;
    decisions.push({ jail: jails[jail]!.name, ip: formatAddress(address), time, failures, seconds });
    // As if the kernel had confirmed it: the eviction from a full table depends on that.
    engine.confirmBan(jail, address);
  };
  const drain = (): void => {
    engine.takeDecisions(take);
    if (engine.banAllDue) banAll(engine, take);
  };
  const started = performance.now();
  for (const file of files) {
    const chosen = all.filter(({ index }) => jails[index]!.logpath.some((pattern) => names(pattern, resolve(file))));
    if (isJournal(file)) {
      replayJournal(engine, file, all, jails, drain);
      continue;
    }
    engine.openSource(0, engine.addRoute(chosen.length > 0 ? chosen : all));
    readWhole(file, engine, { source: 0, now, drain });
  }
  for (let done = false; !done; drain()) done = engine.settleAttempts(now, true);
  const seconds = (performance.now() - started) / 1000;
  const lines = engine.counter(LINES);
  return {
    lines,
    matched: engine.counter(LINES_MATCHED),
    dropped: dropped(engine, jails),
    decisions,
    tracked: engine.tracked,
    slots: engine.slots,
    seconds,
    linesPerSecond: Math.round(lines / seconds),
    peakRssBytes: process.resourceUsage().maxRSS * 1024,
  };
}

/**
 * A journal file: its entries go to the jails that read the journal, or to all jails if none does.
 */
function replayJournal(
  engine: Engine,
  file: string,
  all: { index: number; filter: string; mode: string }[],
  jails: JailConfig[],
  drain: () => void,
): void {
  const reading = all.filter(({ index }) => jails[index]!.journal !== undefined);
  const groups = Map.groupBy(reading, ({ index }) => JSON.stringify(jails[index]!.journal!.groups));
  const routed = groups.size > 0 ? [...groups.values()] : [all];
  const matches = routed.map(([first]) => jails[first!.index]?.journal ?? everyEntry);
  for (const [source, chosen] of routed.entries()) engine.openSource(source, engine.addRoute(chosen));
  // The time of an entry is the clock.
  const feedEntry: Engine['feedEntry'] = (source, length, seqnum, _, time, cut) =>
    engine.feedEntry(source, length, seqnum, time, time, cut);
  const notes = journalNotes(readJournal(file, matches, { buffer: engine.buffer, feedEntry }, 0, drain));
  for (const note of notes) process.stderr.write(`fail2zig replay: ${printable(file)}: ${note}\n`);
}

/**
 * The policy ban_all like in the enforcer: every tracked source is banned, then the table is
 * emptied.
 */
function banAll(
  engine: Engine,
  take: (ban: TableBan & { time: number; failures: number; seconds: number }) => void,
): void {
  const time = engine.banAllTime;
  engine.startBanAll();
  for (let at = 0; at >= 0; at = engine.resetAll(at, sweepEntries, time)) {
    engine.banAll(at, sweepEntries, time);
    engine.eachBan(at, sweepEntries, (ban) => {
      const seconds = Number.isFinite(ban.end) ? ban.end - time : -1;
      if (!ban.confirmed) take({ ...ban, time, failures: 0, seconds });
    });
  }
}

function dropped(engine: Engine, jails: JailConfig[]): Record<string, number> {
  const filters = [...new Set(jails.map((jail) => engine.resolveFilter(jail.filter, jail.mode).filter))];
  const ofFilters = (counter: number): number =>
    filters.reduce((sum, filter) => sum + engine.filterCounter(filter, counter), 0);
  const ofJails = (counter: number): number =>
    jails.reduce((sum, _, jail) => sum + engine.jailCounter(jail, counter), 0);
  return {
    tooLong: engine.counter(LINES_TOO_LONG),
    invalidAddress: ofFilters(FILTER_BAD_ADDRESS),
    invalidTime: ofFilters(FILTER_BAD_TIME),
    hostName: ofFilters(FILTER_HOST_NAME),
    ignoredByFilter: ofFilters(FILTER_IGNORED),
    ignoredByJail: ofJails(JAIL_IGNORED),
    tooOld: ofJails(JAIL_TOO_OLD),
    evicted: engine.counter(EVICTIONS),
    denied: engine.counter(DENIED),
  };
}

function summary(report: Report): string {
  const { lines, matched, decisions, tracked, slots, seconds, linesPerSecond, peakRssBytes } = report;
  const drops = Object.entries(report.dropped).filter(([, count]) => count > 0);
  const bans = decisions.map(
    ({ jail, ip, time, failures, seconds: length }) =>
      `  ${new Date(time * 1000).toISOString()}  ${jail}  ${ip}  ${failures === 0 ? 'table full' : `${failures} failure${failures === 1 ? '' : 's'}`}, ${length < 0 ? 'for ever' : `for ${formatDuration(length)}`}\n`,
  );
  return [
    ...(bans.length > 0 ? ['would have banned\n', ...bans] : []),
    `${lines} lines, ${matched} matched, ${decisions.length} ${decisions.length === 1 ? 'ban' : 'bans'}; ${tracked} of ${slots} table entries in use\n`,
    ...drops.map(([reason, count]) => `  ${reason}: ${count}\n`),
    `${seconds.toFixed(3)} s, ${(linesPerSecond / 1e6).toFixed(2)} M lines/s, peak resident size ${(peakRssBytes / 1024 / 1024).toFixed(1)} MiB\n`,
  ].join('');
}
