import { execFileSync } from 'node:child_process';
import {
  chmodSync,
  chownSync,
  existsSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { open, rename, unlink } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { crc32 } from 'node:zlib';
import fc from 'fast-check';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { stateSectionBytesMax } from '../../src/limits.ts';
import { decodeClock } from '../../src/state/format.ts';
import { loadState } from '../../src/state/load.ts';
import { type StateDisk, StateWriteError, saveState, temporaryPath } from '../../src/state/save.ts';
import { CollectingVisitor, isSampleTable, samplePosition, sampleSnapshot } from '../support/state.ts';
import { until } from '../support/until.ts';

const now = 1_700_000_100;
const real: StateDisk = { open, rename, unlink };
let home: string;
let path: string;

beforeEach(() => {
  home = mkdtempSync(join(tmpdir(), 'state-'));
  path = join(home, 'state');
});

afterEach(() => rmSync(home, { recursive: true, force: true }));

describe('a saved state', () => {
  test('comes back whole', async () => {
    const snapshot = sampleSnapshot(30_000);
    const bytes = await saveState(path, () => snapshot);
    expect(statSync(path).size).toBe(bytes);
    const visitor = new CollectingVisitor();
    expect(loadState(path, visitor, now)).toEqual({
      state: { time: snapshot.time, positions: 2, tableBytes: 720_000 },
    });
    expect(visitor.positions).toEqual(snapshot.positions);
    expect(visitor.histories).toEqual(snapshot.histories);
    expect(visitor.byHand).toEqual(snapshot.ignored);
    expect(visitor.head).toMatchObject({ layout: 7, entryBytes: 24, jails: snapshot.jails });
    expect(visitor.head!.note.toString()).toBe('note');
    expect(isSampleTable(visitor.chunks, 30_000)).toBe(true);
    expect(visitor.chunks.every((chunk) => chunk.length % 24 === 0 && chunk.length <= stateSectionBytesMax)).toBe(true);
  });

  test('may be empty', async () => {
    await saveState(path, () => ({ time: 5, jails: [], positions: [], table: null }));
    expect(loadState(path, new CollectingVisitor(), now)).toEqual({ state: { time: 5, positions: 0, tableBytes: 0 } });
  });

  test('may hold as many positions as there can be', async () => {
    const positions = Array.from({ length: 9_000 }, (_, index) => samplePosition(index));
    await saveState(path, () => ({ ...sampleSnapshot(10), positions }));
    const visitor = new CollectingVisitor();
    loadState(path, visitor, now);
    expect(visitor.positions).toEqual(positions);
  });

  test('holds up reading only until its last part is copied', async () => {
    const order: string[] = [];
    const disk: StateDisk = {
      ...real,
      open: async (name, flags, mode) => {
        const handle = await open(name, flags, mode);
        return {
          write: (buffer, offset, length) => {
            order.push('write');
            return handle.write(buffer, offset, length);
          },
          sync: () => handle.sync(),
          close: () => handle.close(),
        };
      },
    };
    await saveState(path, () => ({ ...sampleSnapshot(5_000), taken: () => order.push('taken') }), disk);
    expect(order).toEqual(['taken', 'write']);
    order.length = 0;
    await saveState(path, () => ({ ...sampleSnapshot(30_000), taken: () => order.push('taken') }), disk);
    expect(order).toEqual(['write', 'write', 'taken', 'write']);
  });

  test('is readable by its owner alone, replaces the old one, and leaves nothing else behind', async () => {
    await saveState(path, () => sampleSnapshot(1));
    writeFileSync(temporaryPath(path), 'left by a crash');
    await saveState(path, () => sampleSnapshot(3));
    expect(statSync(path).mode & 0o7777).toBe(0o600);
    expect(readdirSync(home)).toEqual(['state']);
    expect(loadState(path, new CollectingVisitor(), now)).toMatchObject({ state: { tableBytes: 72 } });
  });

  test('is not written through a symbolic link put in the way', async () => {
    writeFileSync(join(home, 'victim'), 'untouched');
    symlinkSync(join(home, 'victim'), temporaryPath(path));
    await saveState(path, () => sampleSnapshot(1));
    expect(readFileSync(join(home, 'victim'), 'utf8')).toBe('untouched');
    expect(loadState(path, new CollectingVisitor(), now)).toMatchObject({ state: { tableBytes: 24 } });
  });

  test('is saved by one writer at a time', async () => {
    const first = saveState(path, () => sampleSnapshot(100));
    await expect(saveState(path, () => sampleSnapshot(1))).rejects.toThrow('under way');
    await first;
    await saveState(path, () => sampleSnapshot(2));
  });
});

describe('a state file that is not usable', () => {
  const unusable = (why: string): CollectingVisitor => {
    const visitor = new CollectingVisitor();
    const before = existsSync(path) ? statSync(path).ino : 0;
    const asideAs = `${path}.damaged-20231114T221500Z`;
    expect(loadState(path, visitor, now)).toEqual({ state: null, why, asideAs });
    expect(visitor.touched).toBe(false);
    expect(existsSync(path)).toBe(false);
    expect(statSync(asideAs).ino).toBe(before);
    return visitor;
  };

  test('missing: nothing to set aside', () => {
    expect(loadState(path, new CollectingVisitor(), now)).toEqual({
      state: null,
      why: 'there is no state file yet',
      asideAs: null,
    });
  });

  test('foreign', () => {
    writeFileSync(path, 'this is some other file, of sufficient length', { mode: 0o600 });
    unusable('it is not a state file');
  });

  test('empty', () => {
    writeFileSync(path, '', { mode: 0o600 });
    unusable('it is cut short');
  });

  test('of a newer version', async () => {
    await saveState(path, () => sampleSnapshot(3));
    const bytes = readFileSync(path);
    bytes.writeUInt32LE(2, 8);
    writeFileSync(path, bytes);
    unusable('it has version 2; this program reads 1');
  });

  test('written by others', async () => {
    await saveState(path, () => sampleSnapshot(3));
    chmodSync(path, 0o622);
    unusable('others may write it');
  });

  test.runIf(process.geteuid!() === 0)('owned by another user', async () => {
    await saveState(path, () => sampleSnapshot(3));
    chownSync(path, 65_534, 65_534);
    unusable('it belongs to user 65534');
  });

  test('longer than its end', async () => {
    await saveState(path, () => sampleSnapshot(3));
    writeFileSync(path, Buffer.concat([readFileSync(path), Buffer.of(0)]));
    unusable('something follows its end');
  });

  test('a directory', async () => {
    rmSync(path, { force: true });
    expect(loadState(home, new CollectingVisitor(), now)).toEqual({
      state: null,
      why: 'it is not a regular file',
      asideAs: null,
    });
    expect(statSync(home).isDirectory()).toBe(true);
  });

  test('a device or a FIFO: it stays where it is, and no state is put in its place', async () => {
    rmSync(path, { force: true });
    execFileSync('mkfifo', [path]);
    expect(loadState(path, new CollectingVisitor(), now)).toMatchObject({ state: null, asideAs: null });
    await expect(saveState(path, () => sampleSnapshot(1))).rejects.toThrow('it is not a regular file');
    expect(statSync(path).isFIFO()).toBe(true);
    expect(readdirSync(home)).toEqual(['state']);
    rmSync(path);
  });

  test('cut at any byte, or with any byte changed: nothing of it is loaded', async () => {
    await saveState(path, () => sampleSnapshot(5));
    const whole = readFileSync(path);
    const attempt = (bytes: Uint8Array): void => {
      writeFileSync(path, bytes, { mode: 0o600 });
      const visitor = new CollectingVisitor();
      expect(loadState(path, visitor, now).state).toBe(null);
      expect(visitor.touched).toBe(false);
    };
    for (let length = 0; length < whole.length; length++) attempt(whole.subarray(0, length));
    for (let index = 0; index < whole.length; index++) {
      const changed = Buffer.from(whole);
      changed[index] = changed[index]! ^ (1 << (index % 8));
      attempt(changed);
    }
  });

  test('any sections under a correct checksum are loaded or refused, and never fatal', () => {
    const section = fc.record({
      tag: fc.constantFrom(1, 2, 3, 4, 5, 0xe0f),
      payload: fc.oneof(
        fc.uint8Array({ maxLength: 100 }),
        fc.constant(Uint8Array.of(4, 0x73, 0x73, 0x68, 0x64)),
        fc.uint8Array({ minLength: 32, maxLength: 32 }),
      ),
    });
    fc.assert(
      fc.property(fc.array(section, { maxLength: 6 }), (sections) => {
        const header = Buffer.alloc(24);
        header.write('f2zstate', 'latin1');
        header.writeUInt32LE(1, 8);
        const parts: Uint8Array[] = [header];
        for (const { tag, payload } of sections) parts.push(head(tag, payload.length), payload);
        parts.push(head(0xe0f, 4));
        const end = Buffer.alloc(4);
        end.writeUInt32LE(crc32(Buffer.concat(parts)));
        writeFileSync(path, Buffer.concat([...parts, end]), { mode: 0o600 });
        const visitor = new CollectingVisitor();
        const result = loadState(path, visitor, now);
        if (result.state === null) expect(visitor.touched).toBe(false);
      }),
      { numRuns: 500 },
    );
  });

  function head(tag: number, length: number): Buffer {
    const bytes = Buffer.alloc(8);
    bytes.writeUInt32LE(tag, 0);
    bytes.writeUInt32LE(length, 4);
    return bytes;
  }
});

describe('a disk that fails', () => {
  const failing = (code: string): Promise<never> =>
    Promise.reject(Object.assign(new Error(`${code}: injected`), { code }));

  /** The real disk, with some calls for the temporary file replaced. */
  function diskWith(changes: {
    write?: number | 'fails';
    sync?: () => Promise<void>;
    rename?: StateDisk['rename'];
  }): StateDisk {
    return {
      ...real,
      rename: changes.rename ?? real.rename,
      open: async (name, flags, mode) => {
        const handle = await open(name, flags, mode);
        return {
          write: (buffer, offset, length) =>
            changes.write === 'fails'
              ? failing('EIO')
              : handle
                  .write(buffer, offset, Math.min(length, changes.write ?? length))
                  .then(({ bytesWritten }) => ({ bytesWritten })),
          sync: () => (changes.sync ?? (() => handle.sync()))(),
          close: () => handle.close(),
        };
      },
    };
  }

  test('short writes are continued', async () => {
    await saveState(path, () => sampleSnapshot(50), diskWith({ write: 7 }));
    expect(loadState(path, new CollectingVisitor(), now)).toMatchObject({ state: { tableBytes: 1200 } });
  });

  test.each([
    ['write', diskWith({ write: 'fails' }), 'EIO'],
    ['write', diskWith({ write: 0 }), 'ENOSPC'],
    ['fsync', diskWith({ sync: () => failing('EIO') }), 'EIO'],
    ['rename', diskWith({ rename: () => failing('EACCES') }), 'EACCES'],
  ])('an error of %s leaves the old state whole and is typed', async (step, disk, code) => {
    await saveState(path, () => sampleSnapshot(3));
    const old = readFileSync(path);
    const error = await saveState(path, () => sampleSnapshot(9), disk).catch((reason: unknown) => reason);
    expect(error).toBeInstanceOf(StateWriteError);
    expect(error).toMatchObject({ code, step });
    expect(readFileSync(path)).toEqual(old);
    expect(readdirSync(home)).toEqual(['state']);
    await saveState(path, () => sampleSnapshot(4));
  });

  /** A disk in memory that tells its calls; the one of this number fails with `error`. */
  function tellingDisk(failsAt: number, error: object) {
    const calls: string[] = [];
    const told = async (call: string): Promise<void> => {
      if (calls.push(call) === failsAt) throw error;
    };
    const disk: StateDisk = {
      open: async (name) => {
        await told(`open ${name.slice(home.length)}`);
        return {
          write: async (buffer, offset, length) => {
            await told(`write ${offset + length === buffer.length ? 'the rest' : `${offset} ${length}`}`);
            return { bytesWritten: Math.min(length, 100) };
          },
          sync: () => told('sync'),
          close: () => told('close'),
        };
      },
      rename: (from, to) => told(`rename ${from.slice(home.length)} ${to.slice(home.length)}`),
      unlink: (name) => told(`unlink ${name.slice(home.length)}`),
    };
    return { disk, calls };
  }
  const inOrder = [
    'unlink /state.new',
    'open /state.new',
    'write the rest',
    'write the rest',
    'sync',
    'close',
    'rename /state.new /state',
    'open ',
    'sync',
    'close',
  ];
  const small = () => ({ time: 5, jails: ['sshd'], positions: [samplePosition(1)], table: null });

  test('each step follows the one before, and what is open is closed', async () => {
    const { disk, calls } = tellingDisk(0, {});
    await saveState(path, small, disk);
    expect(calls).toEqual(inOrder);
  });

  test.each([
    [1, 'create', ['unlink /state.new']],
    [2, 'create', ['unlink /state.new']],
    [3, 'write', ['close', 'unlink /state.new']],
    [5, 'fsync', ['close', 'unlink /state.new']],
    [6, 'close', ['unlink /state.new']],
    [7, 'rename', ['unlink /state.new']],
    [8, 'fsync of the directory', ['unlink /state.new']],
    [9, 'fsync of the directory', ['close', 'unlink /state.new']],
    [10, 'fsync of the directory', ['unlink /state.new']],
  ])('where step %i fails, %s is named, and nothing stays open or lies around', async (failsAt, step, after) => {
    const cause = Object.assign(new Error('injected'), { code: 'EIO' });
    const { disk, calls } = tellingDisk(failsAt, cause);
    const error = await saveState(path, small, disk).catch((reason: unknown) => reason);
    expect(error).toBeInstanceOf(StateWriteError);
    expect(error).toMatchObject({ step, code: 'EIO', cause, message: `state not saved to ${path}: ${step}: injected` });
    expect(calls).toEqual([...inOrder.slice(0, failsAt), ...after]);
  });

  test('an error without a code has one, that nothing was there to remove is none', async () => {
    const error = await saveState(path, small, tellingDisk(2, new Error('x')).disk).catch((reason: unknown) => reason);
    expect(error).toMatchObject({ code: 'UNKNOWN' });
    const { disk, calls } = tellingDisk(1, Object.assign(new Error('x'), { code: 'ENOENT' }));
    await saveState(path, small, disk);
    expect(calls).toEqual(inOrder);
    const full = diskWith({ write: 0 });
    await expect(saveState(path, small, full)).rejects.toThrow('write: the disk takes no more bytes');
    rmSync(path, { force: true });
    execFileSync('mkfifo', [path]);
    const refused = await saveState(path, small).catch((reason: unknown) => reason);
    expect(refused).toMatchObject({ code: 'EINVAL', step: 'create' });
  });

  test('a slow fsync holds back the rename, and nothing else', async () => {
    await saveState(path, () => sampleSnapshot(3));
    let finish = (): void => {};
    let syncing = false;
    const disk = diskWith({
      sync: () => {
        syncing = true;
        return new Promise((resolve) => {
          finish = resolve;
        });
      },
    });
    const saving = saveState(path, () => sampleSnapshot(9), disk);
    await until(() => syncing);
    for (let turn = 0; turn < 100; turn++) await new Promise(setImmediate);
    expect(existsSync(temporaryPath(path))).toBe(true);
    expect(readFileSync(path).length).toBeLessThan(statSync(temporaryPath(path)).size);
    syncing = false;
    finish();
    await until(() => syncing, { what: 'the fsync of the directory' });
    expect(existsSync(temporaryPath(path))).toBe(false);
    finish();
    await saving;
  });

  test('the event loop turns while a large state is written', async () => {
    let turns = 0;
    let saved = false;
    const count = (): void => {
      turns++;
      if (!saved) setImmediate(count);
    };
    count();
    await saveState(path, () => sampleSnapshot(200_000));
    saved = true;
    // 4.8 MB in portions of about 256 KiB: at least one turn between two portions.
    expect(turns).toBeGreaterThan(15);
  });
});

test.each([0, 7, 8 + 64 + 1])('a clock of %i bytes is damaged', (length) => {
  expect(() => decodeClock(Buffer.alloc(length))).toThrow('wrong length');
});
