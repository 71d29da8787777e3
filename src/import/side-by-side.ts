/**
 * Our engine and an installed fail2ban over the same lines, jail by jail: each line and each
 * decision in which they differ, with the reason if we know it. Claims LP-37, WHY-15.
 */
import { compileConfig } from '../config/compile.ts';
import { knownFilters } from '../config/known-filters.ts';
import { Examiner, type Verdict } from '../engine/examiner.ts';
import { Engine } from '../engine/host.ts';
import { formatAddress, parseCidr } from '../text/address.ts';
import type { Address, FilterProgram, JailConfig } from '../types.ts';
import { askFail2ban } from './fail2ban.ts';
import type { Imported } from './import.ts';
import { comparedTableBytes } from './limits.ts';

export interface LineDifference {
  /** The number of the line, from 1. */
  line: number;
  text: string;
  ours: string;
  theirs: string;
  reason: string;
}

export interface JailComparison {
  jail: string;
  filter: string;
  lines: number;
  /** Lines that are failures, also those of an attempt that has counted already. */
  ours: number;
  theirs: number;
  differences: LineDifference[];
  /** First bans that only one of the two decides, `address at line N`. */
  onlyOurBans: string[];
  onlyTheirBans: string[];
  sameBans: number;
  /** Why fail2ban was not asked; its figures are 0. */
  unasked?: string;
}

export type Ask = typeof askFail2ban;

/** Compares the named jails of `imported`, or all protected ones, over `lines`. */
export async function compareJails(
  imported: Imported,
  wanted: readonly string[],
  lines: readonly string[],
  now: number,
  ask: Ask = askFail2ban,
): Promise<JailComparison[]> {
  const { config } = compileConfig(imported.text, 'fail2zig.toml', { filters: knownFilters, groupId: () => 0 });
  const results: JailComparison[] = [];
  for (const plan of imported.plan.jails) {
    if (wanted.length > 0 ? !wanted.includes(plan.original) : !plan.enabled) continue;
    const jail = config.jails.find(({ name }) => name === plan.name);
    if (!jail) continue;
    const isCustom = imported.plan.filters.some(({ filter }) => filter.name === jail.filter);
    results.push(await compareJail(imported.source, plan.original, jail, config.filters, isCustom, lines, now, ask));
  }
  return results;
}

async function compareJail(
  folder: string,
  name: string,
  jail: JailConfig,
  filters: FilterProgram[],
  isCustom: boolean,
  lines: readonly string[],
  now: number,
  ask: Ask,
): Promise<JailComparison> {
  const verdicts = await examineLines(jail, filters, lines, now);
  const ourBans = await decideLines(jail, filters, lines, now);
  const answer = ask(folder, name, lines, now);
  const unasked = typeof answer === 'string' ? answer : undefined;
  const theirs = typeof answer === 'string' ? { lines: [], bans: [] } : answer;
  const theirBans = firstBans(theirs.bans);
  const differences: LineDifference[] = [];
  for (const [index, text] of unasked === undefined ? lines.entries() : []) {
    const verdict = verdicts[index] as Verdict;
    const charged = theirs.lines[index]?.[0];
    const address = isFailure(verdict) && verdict.address ? formatAddress(verdict.address) : undefined;
    if (address === (charged && normal(charged))) continue;
    const reason = reasonOf(verdict, charged, isCustom);
    differences.push({
      line: index + 1,
      text,
      ours: address ?? verdict.outcome,
      theirs: charged ?? 'no failure',
      reason,
    });
  }
  return {
    jail: name,
    filter: jail.filter,
    lines: lines.length,
    ours: verdicts.filter(isFailure).length,
    theirs: theirs.lines.filter((charged) => charged.length > 0).length,
    differences,
    onlyOurBans: unasked === undefined ? ourBans.filter((ban) => !theirBans.includes(ban)) : [],
    onlyTheirBans: theirBans.filter((ban) => !ourBans.includes(ban)),
    sameBans: ourBans.filter((ban) => theirBans.includes(ban)).length,
    ...(unasked === undefined ? {} : { unasked }),
  };
}

function isFailure({ outcome }: Verdict): boolean {
  return outcome === 'failure' || outcome === 'counted-before' || outcome === 'held';
}

function normal(text: string): string {
  const address = parseCidr(text, 'clear');
  return typeof address === 'string' ? text : formatAddress(address);
}

const known: Partial<Record<Verdict['outcome'], string>> = {
  'host-name': 'a host name is in the place of the address: host names are never resolved',
  'bad-address': 'the text in the place of the address is not an address',
  ignored: 'an ignore pattern takes the line',
  'bad-time': 'its time does not exist',
  'no-prefix': 'the line does not begin as the filter requires',
};

function reasonOf(verdict: Verdict, theirs: string | undefined, isCustom: boolean): string {
  const reason = known[verdict.outcome];
  if (reason !== undefined) return reason;
  if (isFailure(verdict) && theirs !== undefined) return 'another address counts';
  if (isFailure(verdict)) return isCustom ? 'the translation is wider' : `the built-in filter knows ${verdict.pattern}`;
  return isCustom
    ? 'an expression of the filter is not translated, or matches less'
    : 'the built-in filter does not know this line as a failure';
}

async function examineLines(
  jail: JailConfig,
  filters: FilterProgram[],
  lines: readonly string[],
  now: number,
): Promise<Verdict[]> {
  const engine = await Examiner.create({ jails: [{ ...jail, ignore: [] }], filters, tableBytes: 0, now });
  const isJournal = jail.journal !== undefined && lines.every((line) => !/^\S*\d/.test(line));
  return lines.map((line) => {
    const { user: _, ...verdict } = engine.examine(Buffer.from(line), jail.filter, jail.mode, now, isJournal);
    return verdict;
  });
}

/** First bans, as `address at line N`. */
async function decideLines(
  jail: JailConfig,
  filters: FilterProgram[],
  lines: readonly string[],
  now: number,
): Promise<string[]> {
  const ignore = jail.ignoreip
    .map((text) => parseCidr(text, 'clear'))
    .filter((address): address is Address => typeof address !== 'string');
  const engine = await Engine.create({
    jails: [{ ...jail, ipv6Prefix: 128, ignore }],
    filters,
    tableBytes: comparedTableBytes,
    live: false,
    now,
  });
  engine.openSource(0, engine.addRoute([{ index: 0, filter: jail.filter, mode: jail.mode }]));
  const bans: { ip: string; line: number }[] = [];
  for (const [line, text] of lines.entries()) {
    const bytes = Buffer.from(`${text}\n`);
    if (bytes.length > engine.buffer.length) continue;
    engine.buffer.set(bytes);
    engine.feed(0, bytes.length, 0, now, false);
    engine.takeDecisions(({ address }) => bans.push({ ip: formatAddress(address), line }));
  }
  for (let done = false; !done; ) {
    done = engine.settleAttempts(now, true);
    engine.takeDecisions(({ address }) => bans.push({ ip: formatAddress(address), line: lines.length - 1 }));
  }
  return firstBans(bans);
}

/**
 * Only first bans are compared: what follows one depends on whether a firewall let the source
 * continue.
 */
function firstBans(bans: readonly { ip: string; line: number }[]): string[] {
  const first = new Map<string, number>();
  for (const { ip, line } of bans) if (!first.has(normal(ip))) first.set(normal(ip), line);
  return [...first].map(([ip, line]) => `${ip} at line ${line + 1}`);
}
