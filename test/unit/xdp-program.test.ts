/**
 * What older verifiers ask of the program: Linux 6.1 refuses half a stack slot that is written
 * after a value was kept in the whole of it, unless CAP_PERFMON is there. `npm run test:kernel`
 * loads it on that kernel.
 */
import { expect, test } from 'vitest';
import { xdpProgram } from '../../src/backends/xdp/program.ts';

/** Offsets of the stores below the stack's end that are narrower than a slot. */
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

test.each([
  [undefined, undefined],
  [7, undefined],
  [undefined, 8],
  [7, 8],
])('no narrow store begins a slot of the stack (ports %s, allow %s)', (ports, allow) => {
  const program = xdpProgram({ drop4: 3, drop6: 4, counters: 5, ports, allow, bans: 6 }, [128, 64, 56], 2);
  const offsets = narrowStores(program);
  expect(offsets.length).toBeGreaterThan(0);
  expect(offsets.filter((offset) => offset % 8 === 0)).toEqual([]);
});
