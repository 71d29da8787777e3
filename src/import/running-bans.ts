/**
 * The running bans of fail2ban, from a copy of its database, as commands for us with their
 * remaining time. The database itself is never opened, because SQLite would write files beside it.
 * Input: any file. Claims WHY-15, LP-34.
 */
import { copyFileSync, mkdtempSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { formatDuration } from '../config/duration.ts';
import { banSecondsMax } from '../limits.ts';
import { formatAddress, parseCidr } from '../text/address.ts';
import { databaseBytesMax, runningBansMax } from './limits.ts';
import { isThere } from './tree.ts';

export interface RunningBan {
  jail: string;
  address: string;
  /** Remaining seconds; -1 for ever. */
  seconds: number;
}

/** Length of a ban if an old release did not store it, seconds. */
const unknownSeconds = 600;

/** Throws if the file is not a fail2ban database. `now`: epoch seconds. */
export async function readRunningBans(path: string, now: number): Promise<RunningBan[]> {
  if (statSync(path).size > databaseBytesMax) throw new Error(`${path} is larger than ${databaseBytesMax} bytes`);
  const folder = mkdtempSync(join(tmpdir(), 'fail2zig-import-'));
  try {
    const copy = join(folder, 'copy');
    copyFileSync(path, copy);
    if (isThere(`${path}-wal`)) copyFileSync(`${path}-wal`, `${copy}-wal`);
    return bansOf(await rowsOf(copy), now);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

type Row = Record<string, unknown>;

async function rowsOf(path: string): Promise<Row[]> {
  const { DatabaseSync } = await quietly(() => import('node:sqlite'));
  const database = new DatabaseSync(path);
  try {
    const tables = database
      .prepare("SELECT name FROM sqlite_master WHERE type = 'table'")
      .all()
      .map(({ name }) => name);
    const table = ['bips', 'bans'].find((name) => tables.includes(name));
    if (table === undefined) throw new Error('it holds no bans of fail2ban');
    return database.prepare(`SELECT jail, ip, timeofban, bantime FROM ${table} LIMIT ${runningBansMax}`).all();
  } finally {
    database.close();
  }
}

/** Suppresses Node's warning that its SQLite is new. */
async function quietly<T>(load: () => Promise<T>): Promise<T> {
  const { emitWarning } = process;
  process.emitWarning = () => undefined;
  try {
    return await load();
  } finally {
    process.emitWarning = emitWarning;
  }
}

function bansOf(rows: readonly Row[], now: number): RunningBan[] {
  const bans = new Map<string, RunningBan>();
  for (const { jail, ip, timeofban, bantime } of rows) {
    const address = typeof ip === 'string' ? parseCidr(ip, 'clear') : 'not-an-address';
    if (typeof jail !== 'string' || typeof address === 'string' || address.prefix === 0) continue;
    if (typeof timeofban !== 'number' || typeof bantime !== 'number') continue;
    const length = bantime === -2 ? unknownSeconds : bantime;
    const left = length < 0 ? -1 : Math.min(Math.ceil(timeofban + length - now), banSecondsMax);
    if (left === 0 || left < -1) continue;
    if (length >= 0 && left < 1) continue;
    const key = `${jail} ${formatAddress(address)}`;
    const known = bans.get(key);
    if (known && (known.seconds === -1 || (left !== -1 && known.seconds >= left))) continue;
    bans.set(key, { jail, address: formatAddress(address), seconds: left });
  }
  return [...bans.values()];
}

/** Addresses in one command. */
const addressesMax = 100;

/**
 * Shell commands. Each is for up to `addressesMax` addresses of one jail, with the same remaining
 * time to the minute. `nameOf`: our name for one of fail2ban's jails; undefined if it is not
 * carried over.
 */
export function banCommands(bans: readonly RunningBan[], nameOf: (jail: string) => string | undefined): string[] {
  const groups = new Map<string, string[]>();
  const left = new Map<string, number>();
  for (const { jail, address, seconds } of bans) {
    const name = nameOf(jail);
    if (name === undefined) {
      left.set(jail, (left.get(jail) ?? 0) + 1);
      continue;
    }
    const rounded = seconds === -1 ? -1 : Math.min(Math.ceil(seconds / 60) * 60, banSecondsMax);
    const key = `${name} ${rounded}`;
    groups.set(key, [...(groups.get(key) ?? []), address]);
  }
  const lines = [...left].map(
    ([jail, count]) => `# ${count} bans of ${JSON.stringify(jail)} are left out: the jail is not carried over`,
  );
  for (const [key, addresses] of groups) {
    const [name, seconds] = key.split(' ');
    const length = Number(seconds) === -1 ? '-1' : `"${formatDuration(Number(seconds))}"`;
    for (let at = 0; at < addresses.length; at += addressesMax) {
      lines.push(
        `fail2zig-client ban ${name} ${addresses.slice(at, at + addressesMax).join(' ')} ${length} --reason "from fail2ban"`,
      );
    }
  }
  return lines;
}
