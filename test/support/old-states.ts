/**
 * State files in every form that was ever written (test/corpus/state). Each was made by the commit
 * that is named here, 20 s after the first failure in it, from the same failures and bans. And a
 * daemon's keeper over one of them.
 */
import { chmodSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { crc32 } from 'node:zlib';
import type { Build } from '../../src/engine/host.ts';
import { headerBytes, sectionHeadBytes, sectionTag } from '../../src/state/format.ts';
import { StateKeeper } from '../../src/state/keeper.ts';
import { formatAddress } from '../../src/text/address.ts';
import type { IgnoredByHand } from '../../src/types.ts';
import { rememberingLog } from './control.ts';
import { addressOf, type DrivenJail, type Source, TableDriver } from './table-driver.ts';

export const oldStates = join(import.meta.dirname, '../corpus/state');
/** Epoch seconds. */
export const writtenAt = 1_700_000_020;
const jail: DrivenJail = { maxretry: 3, findtime: 600, bantime: 3_600, ipv6Prefix: 64 };

/** A host of a network below 2001:db8::/64. */
export const v6 = (network: bigint, host = 1n): Source => ({
  family: 6,
  value: (0x2001_0db8n << 96n) | (network << 64n) | host,
});
/** The link whose hosts are counted one by one, in the forms that know such links. */
export const link = v6(0xaan);

export interface StateForm {
  file: string;
  /** The commit that wrote it, and what that commit added. */
  from: string;
  histories?: number;
  cursors?: number;
  ignored?: number;
  /** Hosts of `link` were counted one by one. */
  singles?: boolean;
  /** The form says who made a ban. */
  makers?: boolean;
}

const since3 = { makers: true };
const since4 = { ...since3, histories: 1 };
const since7 = { ...since4, cursors: 1 };
const since8 = { ...since7, singles: true };
/** Oldest first. */
export const stateForms: readonly StateForm[] = [
  { file: '2-table.state', from: '26102b4: raw entries of the table, form 1' },
  { file: '3-makers-of-bans.state', from: '962a1a3: who made a ban', ...since3 },
  { file: '4-histories.state', from: '4ae5d06: histories of logs', ...since4 },
  { file: '5-sub-counts.state', from: '44ef40f: sub-counts, findtimes, form 2', ...since4 },
  { file: '6-clock.state', from: 'bb3ef7d: the time since boot', ...since4 },
  { file: '7-journal.state', from: '78e3309: positions in the journal', ...since7 },
  { file: '8-single-hosts.state', from: 'fcc93e6: single hosts, form 3', ...since8 },
  { file: '9-ignored.state', from: 'b69f378: ignored by hand', ...since8, ignored: 1 },
];
/** Written by a library that no daemon ever used: it has the same version and other sections. */
export const unreadable = '1-listed-bans.state';

export const stateOf = (file: string): Buffer => readFileSync(join(oldStates, file));

/** A keeper that has loaded `bytes` ten seconds after they were written, in the folder `home`. */
export async function overState(home: string, bytes: Uint8Array, build: Build = 'plain') {
  const path = join(home, 'state');
  writeFileSync(path, bytes);
  chmodSync(path, 0o600);
  const driver = await TableDriver.create({
    build,
    jails: [{ ...jail, bantime: -1 }, jail],
    slots: 64,
    seed: [7, 8],
    shared: [addressOf(link, 64)],
  });
  const { engine } = driver;
  const ignored: IgnoredByHand[] = [];
  const log = rememberingLog();
  const keeper = new StateKeeper({
    path,
    intervalSeconds: 3_600,
    // In another order than in the file.
    jails: ['web', 'sshd'],
    engine,
    ignored: { byHand: [], ignore: (network, until) => void ignored.push({ network, until }) },
    log,
    now: () => (writtenAt + 10) * 1000,
    bootTime: () => undefined,
  });
  const positions = keeper.load();
  const bans: string[] = [];
  engine.eachBan(0, 64, ({ jail: index, address, end, manual }) => {
    const name = ['web', 'sshd'][index];
    bans.push(`${name} ${formatAddress(address)} until ${end}${manual ? ' by hand' : ''}`);
  });
  return { path, driver, engine, log, keeper, positions, ignored, bans: bans.toSorted() };
}

/** The bytes after `change`, with a checksum that matches. */
export function changedState(bytes: Buffer, change: (bytes: Buffer) => void): Buffer {
  const copy = Buffer.from(bytes);
  change(copy);
  copy.writeUInt32LE(crc32(copy.subarray(0, -4)), copy.length - 4);
  return copy;
}

/** Where the content of the first section with this tag begins. */
export function sectionAt(bytes: Buffer, tag: number): number {
  let at = headerBytes;
  while (bytes.readUInt32LE(at) !== tag) at += sectionHeadBytes + bytes.readUInt32LE(at + 4);
  return at + sectionHeadBytes;
}

/** The place of the number that tells the table's form. */
export const tableFormAt = (bytes: Buffer): number => sectionAt(bytes, sectionTag.tableHead);
