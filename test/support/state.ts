/** Snapshots to save, and a visitor that keeps what it is given. */

import type { ReadPosition } from '../../src/sources/file.ts';
import type { SavedBan } from '../../src/state/format.ts';
import type { LoadedWindows, StateVisitor } from '../../src/state/load.ts';
import type { Snapshot } from '../../src/state/save.ts';

export class CollectingVisitor implements StateVisitor {
  readonly bans: SavedBan[] = [];
  readonly positions: ReadPosition[] = [];
  head: LoadedWindows | null = null;
  readonly chunks: Buffer[] = [];

  ban(ban: SavedBan): void {
    this.bans.push(ban);
  }

  position(position: ReadPosition): void {
    this.positions.push(position);
  }

  windows(windows: LoadedWindows): boolean {
    this.head = windows;
    return true;
  }

  entries(bytes: Buffer): void {
    this.chunks.push(Buffer.from(bytes));
  }

  get touched(): boolean {
    return this.bans.length + this.positions.length + this.chunks.length > 0 || this.head !== null;
  }
}

/** 2001:db8::n/64 or 192.0.2.n, alternating, banned until `expires`. */
export function sampleBan(number: number, expires = 2_000_000_000, count = 1): SavedBan {
  if (number % 2 === 0) {
    const bytes = Uint8Array.of(0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 192, 0, number >> 8, number);
    return { jail: 'sshd', address: { family: 4, bytes, prefix: 32 }, expires, count };
  }
  const bytes = new Uint8Array(16);
  bytes.set([0x20, 0x01, 0x0d, 0xb8, 0, 0, number >> 8, number]);
  return { jail: 'nginx-http-auth', address: { family: 6, bytes, prefix: 64 }, expires, count };
}

export function samplePosition(number: number): ReadPosition {
  return {
    path: `/var/log/größe-${number}.log`,
    device: 0xffff_ffff_ffff_fff0n,
    inode: BigInt(number),
    offset: 2 ** 40 + number,
    mark: { hash: 0x3fff_ffff - number, length: 64 },
  };
}

export function sampleSnapshot(bans: number, windowEntries = 0, time = 1_700_000_000): Snapshot {
  const entryBytes = 24;
  return {
    time,
    jails: ['sshd', 'nginx-http-auth'],
    bans: Array.from({ length: bans }, (_, index) => sampleBan(index)),
    positions: [samplePosition(1), samplePosition(2)],
    windows:
      windowEntries === 0
        ? null
        : {
            layout: 7,
            entryBytes,
            length: windowEntries * entryBytes,
            note: Buffer.from('seed'),
            read: (offset, into) => {
              for (let index = 0; index < into.length; index++) into[index] = (offset + index) % 251;
            },
          },
  };
}
