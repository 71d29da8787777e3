/**
 * The core's side of its confinement (confinement/ is the launch stage's side). Hands the
 * system-call filter to the kernel once everything is started, and checks that every thread has
 * given up what it should. If not, the start fails. Claims: E-01c, X-privileges.
 */
import { readdirSync, readFileSync, stat } from 'node:fs';
import { codeGrowthBytes, codeRangesMax } from './limits.ts';
import { native } from './native.ts';
import type { CallFilter, Handed } from './types.ts';

/** SECCOMP_FILTER_FLAG_TSYNC: every thread; SPEC_ALLOW: older kernels slow it down otherwise. */
const filterFlags = 1 | 4;
/**
 * Numbers that describe one range of addresses in a filter: start high, high, low; the same for the
 * end.
 */
const holesPerRange = 6;

export interface Range {
  start: bigint;
  end: bigint;
}

/** A range that holds no address. */
const nowhere: Range = { start: 2n ** 64n - 1n, end: 0n };

/**
 * Where V8 has its code, read from the text of /proc/self/maps: executable memory that belongs to
 * no file. Adjacent mappings become one range. A range includes the inaccessible pages behind it
 * (V8 has given them up for now) and `codeGrowthBytes` of free addresses, where V8 puts more code
 * once compiled WebAssembly has filled what it has. If there are too many ranges, the nearest ones
 * are joined.
 */
export function codeRanges(maps: string): Range[] {
  const ranges: Range[] = [];
  let open: Range | undefined;
  const close = (next: bigint): void => {
    if (open !== undefined) open.end = next < open.end + codeGrowthBytes ? next : open.end + codeGrowthBytes;
    open = undefined;
  };
  for (const line of maps.split('\n')) {
    const [, from, to, rights, file] = /^([0-9a-f]+)-([0-9a-f]+) (...). (.*)$/.exec(line) ?? [];
    if (from === undefined) continue;
    const [start, end] = [BigInt(`0x${from}`), BigInt(`0x${to}`)];
    const isOurs = /^0+ 00:00 0 *$/.test(file!) && (rights!.endsWith('x') || rights === '---');
    if (isOurs && start === open?.end) open.end = end;
    else {
      close(start);
      if (!isOurs || rights === '---') continue;
      open = { start, end };
      ranges.push(open);
    }
  }
  close(2n ** 47n);
  const gap = (at: number): bigint => ranges[at]!.start - ranges[at - 1]!.end;
  for (;;) {
    let nearest = 1;
    for (let at = 2; at < ranges.length; at++) if (gap(at) < gap(nearest)) nearest = at;
    if (ranges.length < 2 || (ranges.length <= codeRangesMax && gap(nearest) > 0n)) return ranges;
    ranges[nearest - 1]!.end = ranges[nearest]!.end;
    ranges.splice(nearest, 1);
  }
}

/** The filter's program with the ranges filled in; unused places are left empty. */
export function filled({ program, holes }: CallFilter, ranges: readonly Range[]): Uint8Array {
  const bytes = Buffer.from(program, 'base64');
  for (const [index, hole] of holes.entries()) {
    const { start, end } = ranges[Math.floor(index / holesPerRange) % codeRangesMax] ?? nowhere;
    const address = index % holesPerRange < holesPerRange / 2 ? start : end;
    const isHigh = index % (holesPerRange / 2) < 2;
    bytes.writeUInt32LE(Number(isHigh ? address >> 32n : address & 0xffff_ffffn), hole);
  }
  return bytes;
}

/** Throws if a thread still has a right that it should not have. */
function checkThreads({ capabilities, filters }: Handed): void {
  for (const thread of readdirSync('/proc/self/task')) {
    const status = readFileSync(`/proc/self/task/${thread}/status`, 'latin1');
    const expect = (field: string, value: string): void => {
      if (status.includes(`\n${field}:\t${value}\n`)) return;
      throw new Error(`not confined: ${field} of thread ${thread} is not ${value}`);
    };
    expect('NoNewPrivs', '1');
    expect('CapPrm', capabilities);
    if (filters !== undefined) expect('Seccomp', '2');
  }
}

/**
 * Where V8 had its code when the first filter was installed. Pages that it gives up later stay
 * included.
 */
let code: Range[] | undefined;

/** From here on the filter binds every thread. A stricter one may follow. */
export function enforce(filter: CallFilter): void {
  code ??= codeRanges(readFileSync('/proc/self/maps', 'latin1'));
  const result = native.seccomp(filterFlags, filled(filter, code));
  if (result !== 0) throw new Error(`cannot filter system calls (${result})`);
}

/**
 * Confines a started core. libuv starts the threads of its pool with the first task, so we give it
 * tasks first: later it cannot start any.
 */
export async function confine(handed: Handed, isListening: boolean): Promise<void> {
  await new Promise<void>((resolve) => stat('/proc/self', () => resolve()));
  const { filters } = handed;
  native.endAtRefusedCall();
  if (filters !== undefined) enforce(isListening ? filters.listening : filters.notYet);
  checkThreads(handed);
}
