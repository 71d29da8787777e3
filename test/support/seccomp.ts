/**
 * What the kernel does with a seccomp(2) program: an interpreter of the classic BPF that our
 * assembler emits, over struct seccomp_data.
 */
import type { Range } from '../../src/confined.ts';
import { type CallName, callNumbers, type Row } from '../../src/confinement/system-calls.ts';

export const x64 = 0xc000_003e;

/** A system call as a filter sees it. */
export interface Call {
  number: number;
  architecture?: number;
  arguments?: (number | bigint)[];
}

export const call = (name: CallName, ...parameters: (number | bigint)[]): Call => ({
  number: callNumbers[name][0],
  arguments: parameters,
});

function dataOf({ number, architecture = x64, arguments: parameters = [] }: Call): DataView {
  const data = new DataView(new ArrayBuffer(64));
  data.setUint32(0, number, true);
  data.setUint32(4, architecture, true);
  for (const [index, value] of parameters.entries()) {
    data.setBigUint64(16 + 8 * index, BigInt.asUintN(64, BigInt(value)), true);
  }
  return data;
}

/** The action that `program` returns for a call, and how many instructions it took. */
export function verdict(program: Uint8Array, made: Call): { action: number; steps: number } {
  const data = dataOf(made);
  const view = new DataView(program.buffer, program.byteOffset, program.byteLength);
  const memory = new Uint32Array(16);
  let a = 0;
  let x = 0;
  let at = 0;
  for (let steps = 1; ; steps++) {
    const place = at * 8;
    if (place >= view.byteLength) throw new Error(`the program runs off its end at ${at}`);
    const code = view.getUint16(place, true);
    const [then, otherwise, k] = [view.getUint8(place + 2), view.getUint8(place + 3), view.getUint32(place + 4, true)];
    const jump = (holds: boolean): void => {
      at += holds ? then : otherwise;
    };
    at += 1;
    if (code === 0x20) a = data.getUint32(k, true);
    else if (code === 0x60) a = memory[k]!;
    else if (code === 0x02) memory[k] = a;
    else if (code === 0x07) x = a;
    else if (code === 0x0c) a = (a + x) >>> 0;
    else if (code === 0x04) a = (a + k) >>> 0;
    else if (code === 0x05) at += k;
    else if (code === 0x15) jump(a === k);
    else if (code === 0x25) jump(a > k);
    else if (code === 0x35) jump(a >= k);
    else if (code === 0x3d) jump(a >= x);
    else if (code === 0x45) jump((a & k) !== 0);
    else if (code === 0x06) return { action: k, steps };
    else throw new Error(`unknown instruction 0x${code.toString(16)}`);
  }
}

type Rules = NonNullable<Row['if']>[number];

/** Arguments that one list of rules lets pass. An argument without a rule is -1. */
function fitting(rules: Rules, [range]: readonly Range[]): bigint[] {
  const parameters = [-1n, -1n, -1n];
  for (const rule of rules) {
    if (rule === 'in code') [parameters[0], parameters[1], parameters[2]] = [range!.start, 4096n, 7n];
    else parameters[rule.argument] = 'is' in rule ? BigInt(rule.is.at(-1)!) : 0n;
  }
  return parameters;
}

/** Calls that a row lets pass, one for each of its lists of rules. */
export function within(row: Row, code: readonly Range[]): Call[] {
  return (row.if ?? [[]]).map((rules) => call(row.call, ...fitting(rules, code)));
}

/** Whether the rows let a call pass, computed in a second way. */
export function fits(rows: readonly Row[], name: CallName, parameters: readonly bigint[], code: readonly Range[]) {
  const [from = 0n, bytes = 0n] = parameters;
  const holds = (rule: Rules[number]): boolean => {
    if (rule === 'in code') return code.some(({ start, end }) => from >= start && from + bytes <= end);
    const value = Number(BigInt.asUintN(32, parameters[rule.argument]!));
    return 'is' in rule ? rule.is.includes(value) : (value & rule.lacks) === 0;
  };
  return rows.some((row) => row.call === name && (row.if ?? [[]]).some((rules) => rules.every(holds)));
}

/** Calls one step outside of a row, except those that another list of rules lets pass. */
export function outsideOf(row: Row, rows: readonly Row[], code: readonly Range[]): Call[] {
  const calls: Call[] = [];
  for (const rules of row.if ?? []) {
    for (const rule of rules) {
      const parameters = fitting(rules, code);
      if (rule === 'in code') parameters[0] = code[0]!.start - 4096n;
      else parameters[rule.argument] = BigInt('is' in rule ? Math.max(...rule.is) + 1 : rule.lacks);
      if (!fits(rows, row.call, parameters, code)) calls.push(call(row.call, ...parameters));
    }
  }
  return calls;
}
