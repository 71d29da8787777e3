/**
 * Parts and bounds of the process, what may be released, and the governor's judgement. All figures
 * are invented.
 */
import { readFileSync } from 'node:fs';
import { afterEach, describe, expect, test, vi } from 'vitest';
import {
  collectMs,
  faultBytesLater,
  faultBytesMax,
  filePagesBytesMax,
  governorLooksMax,
  governorMarginBytes,
  governorMs,
  governorPauses,
  pieceBytes,
  runtimeGrowthBytes,
} from '../../src/limits.ts';
import {
  breakdown,
  CeilingError,
  Governor,
  ProcessMemory,
  releasableMappings,
  sizeTable,
} from '../../src/memory/ceiling.ts';
import { ResidentReader, residentBytes, residentParts, residentPeakBytes } from '../../src/memory/resident.ts';
import { native } from '../../src/native.ts';

const mebibyte = 1024 * 1024;

function mapping(head: string, anonymous: number): string {
  return `${head}\nSize: 64 kB\nKernelPageSize: 4 kB\nRss: 64 kB\nAnonymous: ${anonymous} kB\nVmFlags: rd mr\n`;
}

describe('releasableMappings', () => {
  test('takes read-only private file mappings without a page of our own, and nothing else', () => {
    const smaps = [
      mapping('00400000-00410000 r--p 00000000 08:01 77                                 /usr/bin/node', 0),
      mapping('00410000-00420000 r-xp 00010000 08:01 77                                 /usr/bin/node', 0),
      mapping('00420000-00430000 r--p 00020000 08:01 77                                 /usr/bin/node', 8), // relro
      mapping('00430000-00440000 rw-p 00030000 08:01 77                                 /usr/bin/node', 0), // .data
      mapping('00440000-00450000 rw-p 00000000 00:00 0                                  [heap]', 0),
      mapping('00450000-00460000 r--p 00000000 00:00 0 ', 0), // anonymous, later read-only
      mapping('00460000-00470000 r--s 00000000 08:01 78                                 /etc/shared', 0),
      mapping('7ffd0000-7ffe0000 r-xp 00000000 00:00 0                                  [vdso]', 0),
      mapping('7f0000000000-7f0000010000 r-xp 00000000 08:01 79                         /a b (deleted)', 0),
    ].join('');
    expect(releasableMappings(smaps)).toEqual([
      { address: 0x400000, bytes: 0x10000 },
      { address: 0x410000, bytes: 0x10000 },
      { address: 0x7f0000000000, bytes: 0x10000 },
    ]);
  });

  test('finds the code of the running process, which survives being released', () => {
    const mappings = releasableMappings(readFileSync('/proc/self/smaps', 'latin1'));
    expect(mappings.reduce((sum, { bytes }) => sum + bytes, 0)).toBeGreaterThan(20 * mebibyte);
    for (const { address, bytes } of mappings) expect(native.dropPages(address, bytes)).toBe(0);
    expect(JSON.parse('{"still":["alive"]}')).toEqual({ still: ['alive'] });
  });
});

test('ResidentReader reads what /proc/self/status says', () => {
  const reader = new ResidentReader(4096);
  reader.read();
  const { all, file } = residentParts();
  expect(Math.abs(reader.all - all)).toBeLessThan(8 * mebibyte);
  expect(Math.abs(reader.file - file)).toBeLessThan(8 * mebibyte);
});

test('each resident size is the one that the kernel calls so', () => {
  const kernel = (): Record<string, number> =>
    Object.fromEntries(
      [...readFileSync('/proc/self/status', 'latin1').matchAll(/^(\w+):\s+(\d+) kB$/gm)].map(([, name, size]) => [
        name,
        Number(size) * 1024,
      ]),
    );
  const before = kernel();
  const { all, anonymous, file } = residentParts();
  const [resident, peak] = [residentBytes(), residentPeakBytes()];
  const after = kernel();
  expect(anonymous + file, 'the parts of all').toBe(all);
  for (const [found, name] of [
    [all, 'VmRSS'],
    [file, 'RssFile'],
    [resident, 'VmRSS'],
    [peak, 'VmHWM'],
  ] as const) {
    expect(found, name).toBeGreaterThan(Math.min(before[name]!, after[name]!) - mebibyte);
    expect(found, name).toBeLessThan(Math.max(before[name]!, after[name]!) + mebibyte);
  }
});

describe('dropPages', () => {
  test.each([
    [-4096, 4096],
    [0, 4096],
    [4096.5, 4096],
    [2 ** 48, 4096],
    [4096, 0],
    [4096, Number.NaN],
  ])('refuses %d, %d', (address, bytes) => {
    expect(() => native.dropPages(address, bytes)).toThrow(TypeError);
  });

  test('hands on what the kernel says: nothing is mapped at the lowest page, and addresses are whole pages', () => {
    expect(native.dropPages(4096, 4096)).toBe(-12);
    expect(native.dropPages(4097, 4096)).toBe(-22);
  });
});

describe('splitRange', () => {
  test('a mapping of the running process is none longer than a step afterwards, and works', () => {
    const smaps = (): string => readFileSync('/proc/self/smaps', 'latin1');
    const step = 64 * 1024;
    const { address, bytes } = releasableMappings(smaps()).toSorted((one, other) => other.bytes - one.bytes)[0]!;
    expect(bytes).toBeGreaterThan(4 * step);
    // First as at the start, then finer, as some seconds later.
    for (const finer of [step, step / 2]) {
      expect(native.splitRange(address, bytes, finer)).toBe(0);
      const ranges = releasableMappings(smaps()).filter(
        (one) => one.address >= address && one.address < address + bytes,
      );
      expect(ranges.every((range) => range.bytes <= finer)).toBe(true);
      expect(ranges.reduce((sum, range) => sum + range.bytes, 0)).toBe(bytes);
    }
    expect(native.dropPages(address, bytes)).toBe(0);
    expect(JSON.parse('{"still":["alive"]}')).toEqual({ still: ['alive'] });
  });

  test('hands on what the kernel says', () => {
    expect(native.splitRange(4096, 4096, 4096)).toBe(-12);
    expect(native.splitRange(4097, 4096, 4096)).toBe(-22);
  });
});

describe('sizeTable', () => {
  const resident = { all: 60 * mebibyte, anonymous: 12 * mebibyte, file: 48 * mebibyte };
  const ceiling = 64 * mebibyte;
  const heap = { committed: 6 * mebibyte, limit: 19 * mebibyte };

  test('the bounds of all parts add up to the ceiling', () => {
    const sizes = sizeTable(ceiling, mebibyte, resident, resident.all, heap);
    const parts = breakdown(sizes, { ...resident, anonymous: resident.anonymous + sizes.table + sizes.engine }, heap);
    expect(parts.map(({ part }) => part)).toEqual(['file', 'heap', 'runtime', 'engine', 'table']);
    expect(parts.reduce((total, { bytesMax }) => total + bytesMax, 0)).toBe(ceiling);
    expect(parts.every(({ bytes, bytesMax }) => bytes <= bytesMax || bytes === resident.file)).toBe(true);
  });

  test('the sizes of all parts add up to what is resident', () => {
    const sizes = { engine: mebibyte, table: 17 * mebibyte, runtime: 5 * mebibyte };
    const parts = breakdown(sizes, { all: 600 * mebibyte, anonymous: 588 * mebibyte, file: 12 * mebibyte }, heap);
    expect(parts.reduce((total, { bytes }) => total + bytes, 0)).toBe(600 * mebibyte);
  });

  test('a byte more of the ceiling is a byte more of the table', () => {
    const small = sizeTable(ceiling, mebibyte, resident, 0, heap).table;
    const large = sizeTable(ceiling + 16 * mebibyte, mebibyte, resident, 0, heap).table;
    expect(large - small).toBe(16 * mebibyte);
  });

  test('what lists may take is a part of its own, and less of the table', () => {
    const lists = 3 * mebibyte;
    const without = sizeTable(ceiling, mebibyte, resident, 0, heap);
    const sizes = sizeTable(ceiling, mebibyte, resident, 0, heap, lists);
    expect(without.table - sizes.table).toBe(lists);
    expect(without).not.toHaveProperty('lists');
    const parts = breakdown(sizes, { ...resident, anonymous: resident.anonymous + sizes.table }, heap, mebibyte);
    expect(parts.at(-1)).toEqual({ part: 'lists', bytes: mebibyte, bytesMax: lists });
    expect(parts.reduce((total, { bytesMax }) => total + bytesMax, 0)).toBe(ceiling);
    expect(parts.reduce((total, { bytes }) => total + bytes, 0)).toBe(resident.all + sizes.table);
  });

  test('a ceiling that is too small is refused with what is needed', () => {
    expect(() => sizeTable(filePagesBytesMax + runtimeGrowthBytes, mebibyte, resident, 0, heap)).toThrow(CeilingError);
    expect(() => sizeTable(16 * mebibyte, mebibyte, resident, 0, heap)).toThrow(
      /^memory\.ceiling is 16MB; at least 48MB/,
    );
  });

  test('a start that went over the ceiling is refused', () => {
    expect(() => sizeTable(ceiling, mebibyte, resident, ceiling + 1, heap)).toThrow(/at least 65MB/);
  });
});

describe('Governor', () => {
  const ceilingBytes = 64 * mebibyte;

  const mapping = { address: 65_536, bytes: governorLooksMax * pieceBytes };

  /** A process of `fixed` bytes, and of file pages that every release drops. */
  function process(fixed: number, file: number) {
    const dropped: [number, number][] = [];
    const state = { file, collections: 0 };
    let clock = 0;
    const governor = new Governor({
      ceilingBytes,
      now: () => (clock += governorMs),
      mappings: [mapping],
      resident: {
        all: 0,
        file: 0,
        read() {
          this.all = fixed + state.file;
          this.file = state.file;
        },
      },
      dropPages: (address, bytes) => {
        dropped.push([address, bytes]);
        // What a single part gives back is in use again at once.
        if (bytes === mapping.bytes) state.file = 0;
        return 0;
      },
      splitRange: () => 0,
      collect: () => void state.collections++,
    });
    return { governor, dropped, state };
  }

  test('has garbage collected now and then, however much room there is', () => {
    const { governor, state } = process(10 * mebibyte, 1);
    // The clock moved on by one step when the governor was made.
    const looks = collectMs / governorMs;
    for (let look = 1; look < looks; look++) governor.look();
    expect(state.collections).toBe(0);
    governor.look();
    expect(state.collections).toBe(1);
    for (let look = 1; look <= 3 * looks; look++) governor.look();
    expect(state.collections).toBe(4);
  });

  test('releases no more than a piece while there is room', () => {
    const { governor, dropped } = process(50 * mebibyte, 14 * mebibyte - governorMarginBytes - 1);
    governor.look();
    expect(dropped).toEqual([[65_536, pieceBytes]]);
    expect(governor.releases).toBe(0);
  });

  test('releases every mapping when the ceiling is near', () => {
    const { governor, dropped } = process(50 * mebibyte, 14 * mebibyte - governorMarginBytes);
    governor.look();
    expect(dropped.slice(1)).toEqual([[65_536, mapping.bytes]]);
    expect(governor.releases).toBe(1);
  });

  test('releases when file pages reach their bound, far under the ceiling', () => {
    const { governor, state } = process(10 * mebibyte, filePagesBytesMax - 1);
    governor.look();
    expect(governor.releases).toBe(0);
    state.file = filePagesBytesMax;
    governor.look();
    expect(governor.releases).toBe(1);
  });

  test('looks no more often than it should, however often it is called', () => {
    let looks = 0;
    const resident = { all: 0, file: 0, read: () => void looks++ };
    const governor = new Governor({
      ceilingBytes,
      mappings: [],
      resident,
      dropPages: () => 0,
      splitRange: () => 0,
      collect: () => {},
      now: () => 1_000,
    });
    for (let call = 0; call < 100; call++) governor.look();
    expect(looks).toBe(1);
  });

  test('a round of looks releases every page once, in pieces of about the same size', () => {
    const mappings = [
      { address: 1 << 30, bytes: 90 * mebibyte + 4096 },
      { address: 2 << 30, bytes: 5 * mebibyte },
      { address: 3 << 30, bytes: 4096 },
    ];
    const dropped: [number, number][] = [];
    const split: [number, number, number][] = [];
    const governor = new Governor({
      ceilingBytes,
      mappings,
      resident: { all: 0, file: 0, read() {} },
      dropPages: (...piece) => dropped.push(piece),
      splitRange: (...piece) => split.push(piece),
      collect: () => {},
      now: (() => {
        let clock = 0;
        return () => (clock += governorMs);
      })(),
    });
    const all = mappings.reduce((sum, { bytes }) => sum + bytes, 0);
    for (let round = 0; round < 2; round++) {
      dropped.length = 0;
      let looks = 0;
      for (let bytes = 0; bytes < all; bytes += dropped.at(-1)![1], looks++) governor.look();
      expect(looks).toBeLessThanOrEqual(governorLooksMax + mappings.length);
      let [at, end] = [0, 0];
      for (const [address, bytes] of dropped) {
        if (address === mappings[at]?.address) end = mappings[at++]!.address;
        expect(address).toBe(end);
        end += bytes;
      }
      expect(Math.max(...dropped.map(([, bytes]) => bytes))).toBeLessThan(all / governorLooksMax + pieceBytes);
    }
    expect(governor.releases).toBe(0);
    // Each piece once, a few at a time, from the first look on.
    expect(split).toEqual(dropped.map((piece) => [...piece, faultBytesLater]));
  });

  test('after a release in vain it waits, then tries again', () => {
    const { governor, state } = process(63 * mebibyte, 0);
    governor.look();
    expect(governor.releases).toBe(1);
    state.file = 10 * mebibyte;
    for (let look = 0; look < governorPauses; look++) governor.look();
    expect(governor.releases).toBe(1);
    governor.look();
    expect(governor.releases).toBe(2);
    // That release gained something, so the next look counts.
    governor.look();
    expect(governor.releases).toBe(3);
  });
});

describe('the memory of this process', () => {
  const engine = 2 * mebibyte;
  afterEach(() => {
    vi.useRealTimers();
    vi.restoreAllMocks();
    // The addon's own functions are found again.
    delete (native as Partial<typeof native>).splitRange;
    delete (native as Partial<typeof native>).dropPages;
  });

  test('its file pages are given back at the start and before the table is sized, and made to come back in small parts', () => {
    const split = vi.fn((..._: Parameters<typeof native.splitRange>) => 0);
    const dropped = vi.fn((..._: Parameters<typeof native.dropPages>) => 0);
    Object.assign(native, { splitRange: split, dropPages: dropped });
    const memory = new ProcessMemory(2 ** 40);
    expect(memory.governor.releases).toBe(1);
    const mappings = dropped.mock.calls.length;
    expect(mappings).toBeGreaterThan(0);
    expect(split.mock.calls).toEqual(dropped.mock.calls.map(([address, bytes]) => [address, bytes, faultBytesMax]));
    memory.sizeTable(engine);
    expect(memory.governor.releases).toBe(2);
    expect(dropped).toHaveBeenCalledTimes(2 * mappings);
    memory.governor.look();
    expect(split.mock.lastCall![2]).toBe(faultBytesLater);
  });

  test('its parts add up to what the kernel counts, and their bounds to the ceiling', () => {
    // V8 may take more here than under the flags of the daemon.
    const ceiling = 2 ** 40;
    const memory = new ProcessMemory(ceiling);
    memory.lists = { bytes: 5 * mebibyte, bytesMax: 7 * mebibyte };
    const table = memory.sizeTable(engine);
    const parts = memory.parts();
    const of = (name: string) => parts.find(({ part }) => part === name)!;
    expect(of('table')).toEqual({ part: 'table', bytes: table, bytesMax: table });
    expect(of('engine').bytes).toBe(engine);
    expect(of('lists')).toEqual({ part: 'lists', bytes: 5 * mebibyte, bytesMax: 7 * mebibyte });
    expect(parts.reduce((total, { bytesMax }) => total + bytesMax, 0)).toBe(ceiling);
    // What the heap holds now stays within what V8 may take.
    expect(of('heap').bytes).toBeGreaterThan(mebibyte);
    expect(of('heap').bytesMax).toBeGreaterThan(of('heap').bytes);
  });

  test('a ceiling below what the start took is refused', () => {
    expect(() => new ProcessMemory(48 * mebibyte).sizeTable(engine)).toThrow(CeilingError);
  });

  test('is looked at regularly until the stop', () => {
    vi.useFakeTimers({ toFake: ['setInterval', 'clearInterval'] });
    const memory = new ProcessMemory(2 ** 30);
    const look = vi.spyOn(memory.governor, 'look').mockReturnValue();
    memory.govern();
    vi.advanceTimersByTime(governorMs - 1);
    expect(look).toHaveBeenCalledTimes(0);
    vi.advanceTimersByTime(1 + 2 * governorMs);
    expect(look).toHaveBeenCalledTimes(3);
    memory.stop();
    expect(vi.getTimerCount()).toBe(0);
  });

  test('the longest release is kept', () => {
    const times = [0, 5, 10, 12];
    const governor = new Governor({
      ceilingBytes: 2 ** 30,
      mappings: [],
      resident: { all: 0, file: 0, read() {} },
      dropPages: () => 0,
      splitRange: () => 0,
      collect: () => {},
      now: () => 0,
    });
    vi.spyOn(performance, 'now').mockImplementation(() => times.shift()!);
    governor.release();
    governor.release();
    expect(governor.longestMilliseconds).toBe(5);
  });
});
