/**
 * The system-call filters as data: what each row lets pass, and what happens one step outside of
 * it. An interpreter runs the program that the kernel gets. spec/elevation-calls.kernel.spec.ts
 * asks the kernel itself.
 */
import { existsSync, readFileSync } from 'node:fs';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { codeRanges, filled, type Range } from '../../src/confined.ts';
import { action } from '../../src/confinement/assembler.ts';
import { rowsFor, runFilter, startFilter } from '../../src/confinement/filter.ts';
import { allowed, type CallName, callNumbers, deadly } from '../../src/confinement/system-calls.ts';
import { codeGrowthBytes, codeRangesMax } from '../../src/limits.ts';
import type { BackendName } from '../../src/types.ts';
import { type Call, call, outsideOf, verdict, within, x64 } from '../support/seccomp.ts';

const code: Range[] = [
  { start: 0x7000_0000n, end: 0x7001_0000n },
  { start: 0x2bd7_ffff_0000n, end: 0x2bd8_0001_0000n },
];
const backends: BackendName[] = ['auto', 'nftables', 'iptables', 'ipset', 'xdp', 'log-only'];
const names = Object.keys(callNumbers) as CallName[];

const programOf = (backend: BackendName, listening = true, mode: 'enforce' | 'log' = 'enforce') =>
  filled(runFilter(rowsFor(backend, listening), mode, 'x64'), code);

describe('the filter of a started core', () => {
  test.each(backends)('%s: each row passes, and one step outside of it ends the process', (backend) => {
    const rows = rowsFor(backend, false);
    const program = programOf(backend, false);
    for (const row of rows) {
      for (const each of within(row, code)) expect(verdict(program, each).action, row.call).toBe(action.allow);
      for (const each of outsideOf(row, rows, code)) expect(verdict(program, each).action, row.call).toBe(action.trap);
    }
    const inTable = new Set(rows.map((row) => row.call));
    for (const name of names.filter((each) => !inTable.has(each))) {
      expect(verdict(program, call(name)).action, name).toBe(deadly.includes(name) ? action.kill : action.trap);
    }
  });

  // Timing decides whether a day under strace shows these: then it cannot miss their rows.
  test.each(backends)('%s: what V8 and libc call only now and then passes', (backend) => {
    const program = programOf(backend);
    const seldom = [
      'gettid',
      'clock_nanosleep',
      'sched_yield',
      'sched_getaffinity',
      'sched_getparam',
      'sched_getscheduler',
      'restart_syscall',
      'clock_gettime',
      'gettimeofday',
    ] as const;
    for (const name of seldom) expect(verdict(program, call(name)).action, name).toBe(action.allow);
  });

  test('every number that is in no row ends the process, those of other ABIs at once', () => {
    const program = programOf('auto');
    const inTable = new Set(rowsFor('auto', true).map((row) => callNumbers[row.call][0]));
    const dead = new Set<number>(deadly.map((name) => callNumbers[name][0]!));
    for (let number = 0; number < 1_000; number++) {
      if (inTable.has(number as never)) continue;
      expect(verdict(program, { number }).action).toBe(dead.has(number) ? action.kill : action.trap);
    }
    for (const number of [0x4000_0000, 0x4000_0001, 0xffff_ffff]) {
      expect(verdict(program, { number }).action).toBe(action.kill);
    }
    expect(verdict(program, { number: 3, architecture: 0x4000_0003 }).action).toBe(action.kill);
    expect(verdict(program, { number: 3, architecture: x64 }).action).toBe(action.allow);
  });

  test('in the mode "log" nothing is refused', () => {
    const program = programOf('xdp', true, 'log');
    for (let number = 0; number < 1_000; number++) {
      expect([action.allow, action.log]).toContain(verdict(program, { number, arguments: [0, 0, 7] }).action);
    }
  });

  test('after the start there is no further listening socket and no further filter', () => {
    const tcp = call('socket', 2, 0x8_0801, 0);
    const filter = call('seccomp', 1);
    expect(verdict(programOf('nftables', false), tcp).action).toBe(action.allow);
    expect(verdict(programOf('nftables', false), filter).action).toBe(action.allow);
    expect(verdict(programOf('nftables'), tcp).action).toBe(action.trap);
    expect(verdict(programOf('nftables'), filter).action).toBe(action.kill);
    expect(verdict(programOf('nftables'), call('listen')).action).toBe(action.trap);
    for (const [family, type] of [
      [1, 1],
      [1, 2],
      [2, 1],
      [2, 2],
      [2, 3],
      [10, 1],
      [17, 3],
      [38, 5],
      [40, 1],
    ] as const) {
      expect(verdict(programOf('nftables'), call('socket', family, type)).action, `family ${family}`).toBe(action.trap);
    }
    expect(verdict(programOf('nftables'), call('socket', 16, 0x8_0003, 9)).action, 'audit').toBe(action.trap);
  });

  test('memory becomes executable only inside V8 code, whatever address and length are asked for', () => {
    const program = programOf('nftables');
    const near = code.flatMap(({ start, end }) => [start, end, start - 1n, end - 1n, end + 1n, end - 4096n]);
    const address = fc.oneof(fc.constantFrom(...near), fc.bigInt(0n, 2n ** 47n), fc.bigInt(0n, 2n ** 64n - 1n));
    const size = fc.oneof(
      fc.constantFrom(0n, 1n, 4096n, 0x1_0000n, 0x2_0000n, 2n ** 32n - 1n, 2n ** 32n, 2n ** 63n),
      fc.bigInt(0n, 2n ** 34n),
    );
    fc.assert(
      fc.property(address, size, fc.constantFrom('mprotect', 'pkey_mprotect'), (from, bytes, name) => {
        const within = code.some(({ start, end }) => from >= start && from + bytes <= end) && bytes < 2n ** 32n;
        // There is no address of 2^64 or more, and the kernel refuses a range that wraps.
        fc.pre(from + bytes < 2n ** 64n);
        expect(verdict(program, call(name as CallName, from, bytes, 7)).action).toBe(
          within ? action.allow : action.trap,
        );
        expect(verdict(program, call(name as CallName, from, bytes, 3)).action).toBe(action.allow);
      }),
      { numRuns: 3_000 },
    );
    expect(verdict(program, call('mmap', 0, 4096, 7)).action).toBe(action.trap);
    expect(verdict(program, call('mmap', code[0]!.start, 4096, 4)).action).toBe(action.trap);
  });
});

test('the first filter takes io_uring away and nothing else', () => {
  const program = startFilter('x64');
  for (let number = 0; number < 1_000; number++) {
    const isRing = number === callNumbers.io_uring_setup[0];
    expect(verdict(program, { number }).action).toBe(isRing ? action.errno | 38 : action.allow);
  }
  expect(verdict(program, { number: 0x4000_0000 }).action).toBe(action.kill);
  expect(verdict(program, { number: 0, architecture: 0x4000_0003 }).action).toBe(action.kill);
});

describe('where V8 has its code', () => {
  const line = (range: string, rest: string): string => `${range} ${rest}`;

  test('is executable memory that belongs to no file; adjacent ranges are one', () => {
    const maps = [
      line('00400000-00746000', 'r-xp 00000000 fe:00 5382420                            /usr/bin/node'),
      line('2bd71ce0e000-2bd71ce10000', 'rwxp 00000000 00:00 0 '),
      line('2bd71ce10000-2bd71cfb1000', 'r-xp 00000000 00:00 0 '),
      line('2bd71cfb1000-2bd71cfc1000', 'rw-p 00000000 00:00 0 '),
      line('7f415f3c0000-7f417f380000', 'rwxp 00000000 00:00 0 '),
      line('7ffd00000000-7ffd00002000', 'r-xp 00000000 00:00 0                                  [vdso]'),
      '',
    ].join('\n');
    expect(codeRanges(maps)).toEqual([
      { start: 0x2bd71ce0e000n, end: 0x2bd71cfb1000n },
      { start: 0x7f415f3c0000n, end: 0x7f417f380000n + codeGrowthBytes },
    ]);
    expect(codeRanges('')).toEqual([]);
  });

  test('pages behind code that V8 gave up for now belong to it; those before it do not', () => {
    const maps = [
      '1000-2000 ---p 00000000 00:00 0 ',
      '2000-3000 rwxp 00000000 00:00 0 ',
      '3000-4000 ---p 00000000 00:00 0 ',
      '4000-5000 rwxp 00000000 00:00 0 ',
      '5000-6000 ---p 00000000 00:00 0 ',
      '6000-7000 rw-p 00000000 00:00 0 ',
      '7000-8000 rwxp 00000000 00:00 0 ',
      '8000-9000 ---p 00000000 00:00 0 ',
      'a000-b000 rwxp 00000000 00:00 0 ',
    ].join('\n');
    expect(codeRanges(maps)).toEqual([
      { start: 0x2000n, end: 0x6000n },
      { start: 0x7000n, end: 0xb000n + codeGrowthBytes },
    ]);
  });

  test('if there are too many ranges, the nearest are joined', () => {
    const starts = [0x1000, 0x4000, 0x5800, 0x9000, 0xf000, 0x20000];
    const maps = starts.map((at) => `${at.toString(16)}0000-${at.toString(16)}1000 rwxp 00000000 00:00 0 `);
    const found = codeRanges(maps.join('\n'));
    expect(found).toHaveLength(codeRangesMax);
    expect(found[0]).toEqual({ start: 0x1000_0000n, end: 0x5800_1000n + codeGrowthBytes });
  });
});

test('each number is the one of the kernel headers', () => {
  const header = '/usr/include/x86_64-linux-gnu/asm/unistd_64.h';
  const generic = '/usr/include/asm-generic/unistd.h';
  if (!existsSync(header) || !existsSync(generic)) return expect(names.length).toBeGreaterThan(60);
  const numbersIn = (file: string): Map<string, number> =>
    new Map(
      [...readFileSync(file, 'latin1').matchAll(/^#define __NR(?:3264)?_(\w+) (\d+)$/gm)].map((found) => [
        found[1]!,
        Number(found[2]),
      ]),
    );
  const successors: Record<string, string> = {
    mkdir: 'mkdirat',
    unlink: 'unlinkat',
    rename: 'renameat',
    readlink: 'readlinkat',
    poll: 'ppoll',
    newfstatat: 'fstatat',
  };
  const [old, modern] = [numbersIn(header), numbersIn(generic)];
  for (const name of names) {
    expect(callNumbers[name][0], name).toBe(old.get(name));
    expect(callNumbers[name][1], `${name} on arm64`).toBe(modern.get(name) ?? modern.get(successors[name] ?? ''));
  }
});

test('each row says why, a row that a usual day does not need says when, and none is there twice', () => {
  const seen = new Set<string>();
  for (const row of allowed) {
    expect(row.why.length, row.call).toBeGreaterThan(5);
    const same = JSON.stringify({ ...row, why: '' });
    expect(seen.has(same), same).toBe(false);
    seen.add(same);
  }
  expect(
    deadly.filter((name) => allowed.some(({ call: each, untilListening }) => each === name && !untilListening)),
  ).toEqual([]);
});

test('programs fit the kernel, and a call takes few instructions', () => {
  for (const backend of backends) {
    const program = programOf(backend, false);
    expect(program.length / 8).toBeLessThan(1_000);
    const common: Call[] = [call('epoll_pwait'), call('read'), call('futex')];
    for (const each of common) expect(verdict(program, each).steps).toBeLessThan(20);
  }
});
