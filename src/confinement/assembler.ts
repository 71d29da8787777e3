/**
 * Programs of classic BPF for seccomp(2), as data: a table of system calls in the form that the
 * kernel runs. A program examines struct seccomp_data (number, architecture, arguments) and returns
 * an action. Invariant: only forward jumps; every path ends in a return.
 */

/** linux/bpf_common.h and linux/filter.h: the instructions used here. */
const code = {
  load: 0x20, // A = word of struct seccomp_data
  loadMemory: 0x60, // A = M[k]
  storeMemory: 0x02, // M[k] = A
  toX: 0x07, // X = A
  addX: 0x0c, // A += X
  add: 0x04, // A += k
  jump: 0x05,
  ifEqual: 0x15,
  ifAbove: 0x25,
  ifAtLeast: 0x35,
  ifAtLeastX: 0x3d,
  ifAny: 0x45, // A & k
  return: 0x06,
} as const;

/** struct seccomp_data */
export const numberOffset = 0;
export const architectureOffset = 4;
const lowOffset = (argument: number): number => 16 + 8 * argument;
const highOffset = (argument: number): number => lowOffset(argument) + 4;

/** linux/seccomp.h */
export const action = {
  kill: 0x8000_0000,
  trap: 0x0003_0000,
  errno: 0x0005_0000, // | errno
  log: 0x7ffc_0000,
  allow: 0x7fff_0000,
} as const;

export const instructionBytes = 8;
/** A label, or the next instruction. */
type Target = string | undefined;

export class Assembler {
  readonly #code: { code: number; k: number; then?: Target; otherwise?: Target }[] = [];
  readonly #labels = new Map<string, number>();
  /** Instructions whose number is filled in later. */
  readonly #holes: number[] = [];

  label(name: string): void {
    this.#labels.set(name, this.#code.length);
  }

  /** Loads a word of struct seccomp_data. */
  load(offset: number): void {
    this.#code.push({ code: code.load, k: offset });
  }

  loadArgument(argument: number): void {
    this.load(lowOffset(argument));
  }

  return(k: number): void {
    this.#code.push({ code: code.return, k });
  }

  ifEqual(k: number, then: Target, otherwise?: Target): void {
    this.#code.push({ code: code.ifEqual, k, then, otherwise });
  }

  ifAny(k: number, then: Target, otherwise?: Target): void {
    this.#code.push({ code: code.ifAny, k, then, otherwise });
  }

  ifAtLeast(k: number, then: Target, otherwise?: Target): void {
    this.#code.push({ code: code.ifAtLeast, k, then, otherwise });
  }

  /**
   * Tests whether the bytes from argument 0, as many as argument 1 says, lie in one of `count`
   * address ranges that are filled in later: jumps to `then`, else to `otherwise`.
   */
  ifInRange(count: number, then: string, otherwise: string): void {
    const at = `${this.#code.length}`;
    const push = (code: number, k: number, then?: Target, otherwise?: Target): void =>
      void this.#code.push({ code, k, then, otherwise });
    const hole = (code: number, then?: Target, otherwise?: Target): void => {
      this.#holes.push(this.#code.length);
      push(code, 0, then, otherwise);
    };
    // The end, in M[0] (low) and M[1] (high).
    this.load(highOffset(1));
    this.ifEqual(0, undefined, otherwise);
    this.load(lowOffset(1));
    push(code.toX, 0);
    this.load(lowOffset(0));
    push(code.addX, 0);
    push(code.storeMemory, 0);
    push(code.ifAtLeastX, 0, `${at} whole`);
    this.load(highOffset(0));
    push(code.add, 1);
    push(code.jump, 1);
    this.label(`${at} whole`);
    this.load(highOffset(0));
    push(code.storeMemory, 1);
    for (let range = 0; range < count; range++) {
      const [end, next] = [`${at} end ${range}`, `${at} next ${range}`];
      this.load(highOffset(0));
      hole(code.ifAbove, end);
      hole(code.ifEqual, undefined, next);
      this.load(lowOffset(0));
      hole(code.ifAtLeast, undefined, next);
      this.label(end);
      push(code.loadMemory, 1);
      hole(code.ifAbove, next);
      hole(code.ifEqual, undefined, then);
      push(code.loadMemory, 0);
      hole(code.ifAbove, next, then);
      this.label(next);
    }
    push(code.jump, 0, otherwise);
  }

  /** struct sock_filter for each instruction, and where the numbers of the ranges go. */
  assemble(): { program: Uint8Array; holes: number[] } {
    const bytes = new DataView(new ArrayBuffer(this.#code.length * instructionBytes));
    for (const [at, { code: operation, k, then, otherwise }] of this.#code.entries()) {
      const place = at * instructionBytes;
      bytes.setUint16(place, operation, true);
      if (operation === code.jump && then !== undefined) bytes.setUint32(place + 4, this.#distance(at, then), true);
      else {
        bytes.setUint8(place + 2, this.#near(at, then));
        bytes.setUint8(place + 3, this.#near(at, otherwise));
        bytes.setUint32(place + 4, k, true);
      }
    }
    return { program: new Uint8Array(bytes.buffer), holes: this.#holes.map((at) => at * instructionBytes + 4) };
  }

  #distance(from: number, target: Target): number {
    if (target === undefined) return 0;
    const distance = (this.#labels.get(target) ?? -1) - from - 1;
    if (distance < 0) throw new Error(`no label "${target}" behind instruction ${from}`);
    return distance;
  }

  #near(from: number, target: Target): number {
    const distance = this.#distance(from, target);
    if (distance > 255) throw new Error(`"${target}" is too far from instruction ${from}`);
    return distance;
  }
}
