/**
 * What older verifiers require of the program without CAP_PERFMON. Linux 6.1 refuses to write half
 * a stack slot after a value was kept in the whole slot, and to move a pointer into the packet by a
 * register. `npm run test:kernel` loads the program on that kernel.
 */
import { expect, test } from 'vitest';
import { xdpProgram } from '../../src/backends/xdp/program.ts';

/** Offsets, below the stack's end, of the stores that are narrower than a slot. */
function narrowStores(program: Buffer): number[] {
  const found: number[] = [];
  for (let at = 0; at < program.length; at += 8) {
    const [code = 0, registers = 0] = program.subarray(at, at + 2);
    // BPF_ST or BPF_STX, BPF_MEM, not BPF_DW, to r10.
    const isStore = [0x62, 0x63].includes(code & 0xe7) && (code & 0x18) !== 0x18 && (registers & 0x0f) === 10;
    if (isStore) found.push(program.readInt16LE(at + 2));
  }
  return found;
}

/** Registers to which another register is added. */
function movedByRegister(program: Buffer): number[] {
  const found = new Set<number>();
  // BPF_ALU64, BPF_ADD, BPF_X.
  for (let at = 0; at < program.length; at += 8) if (program[at] === 0x0f) found.add(program[at + 1]! & 0x0f);
  return [...found].sort();
}

const maps: [ports: number | undefined, allow: number | undefined][] = [
  [undefined, undefined],
  [7, undefined],
  [undefined, 8],
  [7, 8],
];

test.each(maps)('pointers into the packet move by constants only (ports %s, allow %s)', (ports, allow) => {
  const program = xdpProgram({ drop4: 3, drop6: 4, counters: 5, ports, allow, bans: 6 }, [128, 64, 56], 2);
  // These are numbers: two words of an address become one in r3; port and protocol become a
  // destination in r8.
  expect(movedByRegister(program)).toEqual(ports === undefined ? [3] : [3, 8]);
});

test.each(maps)('no narrow store begins a slot of the stack (ports %s, allow %s)', (ports, allow) => {
  const program = xdpProgram({ drop4: 3, drop6: 4, counters: 5, ports, allow, bans: 6 }, [128, 64, 56], 2);
  const offsets = narrowStores(program);
  expect(offsets.length).toBeGreaterThan(0);
  expect(offsets.filter((offset) => offset % 8 === 0)).toEqual([]);
});
