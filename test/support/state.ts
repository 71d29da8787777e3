/** Snapshots to save, and a visitor that keeps what it is given. */

import { weekHours } from '../../src/limits.ts';
import type { ReadPosition } from '../../src/sources/file.ts';
import type { SavedHistory } from '../../src/sources/silence.ts';
import type { LoadedTable, StateVisitor } from '../../src/state/load.ts';
import type { Snapshot } from '../../src/state/save.ts';
import { parseCidr } from '../../src/text/address.ts';
import type { Address, IgnoredByHand } from '../../src/types.ts';

export class CollectingVisitor implements StateVisitor {
  readonly positions: ReadPosition[] = [];
  head: LoadedTable | null = null;
  readonly chunks: Buffer[] = [];
  readonly histories: SavedHistory[] = [];
  readonly byHand: IgnoredByHand[] = [];

  position(position: ReadPosition): void {
    this.positions.push(position);
  }

  table(table: LoadedTable): boolean {
    this.head = table;
    return true;
  }

  entries(bytes: Buffer): void {
    this.chunks.push(Buffer.from(bytes));
  }

  history(history: SavedHistory): void {
    this.histories.push(history);
  }

  ignored(ignored: IgnoredByHand): void {
    this.byHand.push(ignored);
  }

  get touched(): boolean {
    return (
      this.positions.length + this.chunks.length + this.histories.length + this.byHand.length > 0 || this.head !== null
    );
  }
}

export const sampleEntryBytes = 24;

export function samplePosition(number: number): ReadPosition {
  return {
    path: `/var/log/größe-${number}.log`,
    device: 0xffff_ffff_ffff_fff0n,
    inode: BigInt(number),
    offset: 2 ** 40 + number,
    mark: { hash: 0x3fff_ffff - number, length: 64 },
  };
}

export function sampleHistory(number: number): SavedHistory {
  const counts = Float32Array.from({ length: weekHours }, (_, hour) => (hour * number) / 8);
  // A name that is not UTF-8, as src/text/names.ts carries it.
  return { path: `/var/log/\udcff-${number}.log`, since: 1_600_000_000, quietSeconds: 60, missed: 1.5, counts };
}

/** Networks that are ignored for a while or for ever. */
const sampleIgnored: IgnoredByHand[] = [
  { network: parseCidr('192.0.2.0/24', 'refuse') as Address, until: 1_700_003_600 },
  { network: parseCidr('2001:db8::7', 'refuse') as Address, until: Number.POSITIVE_INFINITY },
];

/** A snapshot whose table holds `entries` entries. Byte N of the table is N modulo 251. */
export function sampleSnapshot(entries: number, time = 1_700_000_000): Snapshot {
  let done = 0;
  return {
    time,
    jails: ['sshd', 'nginx-http-auth'],
    positions: [samplePosition(1), samplePosition(2)],
    histories: [sampleHistory(1), sampleHistory(2)],
    ignored: sampleIgnored,
    table: {
      layout: 7,
      entryBytes: sampleEntryBytes,
      note: Buffer.from('note'),
      read: (into) => {
        const length = Math.min(into.length - (into.length % sampleEntryBytes), entries * sampleEntryBytes - done);
        for (let index = 0; index < length; index++) into[index] = (done + index) % 251;
        done += length;
        return length;
      },
    },
  };
}

/** Whether the loaded entries are those of `sampleSnapshot`. */
export function isSampleTable(chunks: readonly Buffer[], entries: number): boolean {
  const bytes = Buffer.concat(chunks);
  return bytes.length === entries * sampleEntryBytes && bytes.every((byte, index) => byte === index % 251);
}
