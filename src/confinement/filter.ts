/**
 * Builds the system-call filters from the table, in the launch stage. The core fills in where V8
 * has its code and hands them to the kernel (confined.ts). Claim: E-01c.
 */
import { codeRangesMax } from '../limits.ts';
import type { BackendName, CallFilter } from '../types.ts';
import { Assembler, action, architectureOffset, numberOffset } from './assembler.ts';
import { allowed, type CallName, callNumbers, deadly, type Row, type Rule } from './system-calls.ts';

export type Machine = 'x64' | 'arm64';
/** linux/audit.h */
const architectures: Record<Machine, number> = { x64: 0xc000_003e, arm64: 0xc000_00b7 };
/** Numbers from here on are those of the x32 ABI. */
const x32 = 0x4000_0000;
/** errno */
const ENOSYS = 38;

const numberOf = (call: CallName, machine: Machine): number | undefined => callNumbers[call][machine === 'x64' ? 0 : 1];

/** Begins with the checks of every filter: another ABI has other numbers. */
function begin(machine: Machine): Assembler {
  const program = new Assembler();
  program.load(architectureOffset);
  program.ifEqual(architectures[machine], 'known');
  program.return(action.kill);
  program.label('known');
  program.load(numberOffset);
  program.ifAtLeast(x32, 'x32', 'native');
  program.label('x32');
  program.return(action.kill);
  program.label('native');
  return program;
}

/**
 * The filter before execve: Node opens io_uring rings at start, and no later filter would see their
 * work. Without io_uring it uses threads.
 */
export function startFilter(machine: Machine): Uint8Array {
  const program = begin(machine);
  program.ifEqual(numberOf('io_uring_setup', machine)!, undefined, 'other');
  program.return(action.errno | ENOSYS);
  program.label('other');
  program.return(action.allow);
  return program.assemble().program;
}

/** Adds one list of rules: jumps to `then` if all hold, else to `next`. */
function addRules(program: Assembler, rules: readonly Rule[], then: string, next: string): void {
  for (const [index, rule] of rules.entries()) {
    if (rule === 'in code') {
      program.ifInRange(codeRangesMax, then, next);
      return;
    }
    program.loadArgument(rule.argument);
    if ('lacks' in rule) program.ifAny(rule.lacks, next);
    else {
      const holds = `${next} ${index}`;
      for (const value of rule.is.slice(0, -1)) program.ifEqual(value, holds);
      program.ifEqual(rule.is.at(-1)!, undefined, next);
      program.label(holds);
    }
  }
  program.return(action.allow);
}

/** The rows of a backend, before and after everything listens. */
export function rowsFor(backend: BackendName, listening: boolean): Row[] {
  return allowed.filter(
    ({ backends, untilListening }) => (backends?.includes(backend) ?? true) && !(listening && untilListening),
  );
}

/** The filter of a started core: a call that no row allows ends the process, or is logged. */
export function runFilter(rows: readonly Row[], mode: 'enforce' | 'log', machine: Machine): CallFilter {
  const program = begin(machine);
  const refuse = mode === 'log' ? action.log : action.trap;
  const byNumber = Map.groupBy(rows, ({ call }) => numberOf(call, machine));
  for (const [number, same] of byNumber) {
    if (number === undefined) continue;
    const end = `end of ${number}`;
    program.ifEqual(number, undefined, end);
    const lists = same.flatMap((row) => row.if ?? [[]]);
    for (const [index, rules] of lists.entries()) {
      const next = `${number} ${index}`;
      addRules(program, rules, `${number} allowed`, next);
      program.label(next);
    }
    if (lists.some((rules) => rules.length > 0)) program.return(refuse);
    if (lists.flat().includes('in code')) {
      program.label(`${number} allowed`);
      program.return(action.allow);
    }
    program.label(end);
  }
  for (const call of deadly) {
    const number = numberOf(call, machine);
    if (number === undefined) continue;
    program.ifEqual(number, `deadly`);
  }
  program.return(refuse);
  program.label('deadly');
  program.return(mode === 'log' ? action.log : action.kill);
  const { program: bytes, holes } = program.assemble();
  return { program: Buffer.from(bytes).toString('base64'), holes };
}
