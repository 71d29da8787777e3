/**
 * The blob of a legacy iptables table: whatever its bytes, it is either decoded within its bounds
 * or refused.
 */
import { openSync } from 'node:fs';
import { constants } from 'node:os';
import fc from 'fast-check';
import { afterEach, describe, expect, test } from 'vitest';
import { parseTable } from '../../src/backends/xtables/blob.ts';
import { Xtables } from '../../src/backends/xtables/xtables.ts';
import { native } from '../../src/native.ts';

/** An empty filter table as the kernel gives it: three policies and the end. */
function emptyTable(): { blob: Buffer; info: Buffer } {
  const policies = [0, 1, 2].map(() => {
    const entry = Buffer.alloc(152);
    entry.writeUInt16LE(112, 88);
    entry.writeUInt16LE(152, 90);
    entry.writeUInt16LE(40, 112);
    entry.writeInt32LE(-2, 144);
    return entry;
  });
  const end = Buffer.alloc(176);
  end.writeUInt16LE(112, 88);
  end.writeUInt16LE(176, 90);
  end.writeUInt16LE(64, 112);
  end.write('ERROR', 114);
  end.write('ERROR', 144);
  const info = Buffer.alloc(84);
  info.writeUInt32LE(0xe, 32);
  for (const [index, hook] of [1, 2, 3].entries()) {
    info.writeUInt32LE(index * 152, 36 + hook * 4);
    info.writeUInt32LE(index * 152, 56 + hook * 4);
  }
  return { blob: Buffer.concat([...policies, end]), info };
}

describe('legacy iptables table', () => {
  test('an empty table is three policies and an end', () => {
    const { blob, info } = emptyTable();
    const found = parseTable(blob, info, 4);
    expect(found?.entries.map(({ bytes }) => bytes.length)).toEqual([152, 152, 152, 176]);
    expect(found?.hookEntries).toEqual([null, ...found!.entries.slice(0, 3), null]);
  });

  test('a table that was cut anywhere is refused', () => {
    const { blob, info } = emptyTable();
    for (let length = 0; length < blob.length; length++)
      expect(parseTable(blob.subarray(0, length), info, 4)).toBe(null);
  });

  test('a jump to where no entry starts is refused', () => {
    const { blob, info } = emptyTable();
    blob.writeInt32LE(152, 144);
    const found = parseTable(blob, info, 4);
    expect(found?.entries[0]?.to).toBe(found?.entries[1]);
    blob.writeInt32LE(153, 144);
    expect(parseTable(blob, info, 4)).toBe(null);
  });

  test('no bytes crash it, and its entries are the bytes it was given', () => {
    const changes = fc.array(fc.tuple(fc.nat(631), fc.nat(255)), { maxLength: 8 });
    fc.assert(
      fc.property(changes, changes, fc.constantFrom(4 as const, 6 as const), (inBlob, inInfo, family) => {
        const { blob, info } = emptyTable();
        for (const [at, value] of inBlob) blob[at % blob.length] = value;
        for (const [at, value] of inInfo) info[at % info.length] = value;
        const found = parseTable(blob, info, family);
        if (found === null) return;
        expect(Buffer.concat(found.entries.map(({ bytes }) => bytes)).equals(blob)).toBe(true);
        for (const { to } of found.entries) if (to !== null) expect(found.entries).toContain(to);
      }),
      { numRuns: 2000 },
    );
  });
});

describe('a table that other programs write meanwhile', () => {
  const replaced = ['xtablesOpen', 'tryLock', 'socketOption', 'xtablesReplace', 'setSocketOption'] as const;
  // Without a replacement the addon's own function is there again.
  afterEach(() => {
    for (const name of replaced) Reflect.deleteProperty(native, name);
  });

  /** A kernel with an empty table that refuses so many reads and so many replaces. */
  function kernel(reads: number, replaces: number) {
    const asked = { reads: 0, replaces: 0 };
    const { blob, info } = emptyTable();
    const headerBytes = 40;
    info.writeUInt32LE(4, 76);
    info.writeUInt32LE(blob.length, 80);
    const { EAGAIN } = constants.errno;
    Object.assign(native, {
      xtablesOpen: () => openSync('/dev/null', 'r'),
      tryLock: () => 0,
      socketOption: (_fd: number, _level: number, option: number, into: Buffer) => {
        if (option === 64) return info.copy(into);
        if (asked.reads++ < reads) return -EAGAIN;
        return blob.copy(into, headerBytes);
      },
      xtablesReplace: async () => (asked.replaces++ < replaces ? -EAGAIN : 0),
      setSocketOption: () => 0,
    });
    return asked;
  }

  test('is read and replaced again, five times and no more', async () => {
    const put = (): Promise<void> => new Xtables(4, 'f2b-', '/dev/null').put({ chains: [], jumps: [] });
    const asked = kernel(4, 4);
    await put();
    // Each replace is made of a table that was read after the refusal.
    expect(asked).toEqual({ reads: 4 + 5, replaces: 5 });
    kernel(5, 0);
    await expect(put()).rejects.toMatchObject({ code: 'EAGAIN' });
    const refused = kernel(0, 5);
    await expect(put()).rejects.toMatchObject({ code: 'EAGAIN' });
    expect(refused).toEqual({ reads: 5, replaces: 5 });
  });
});
