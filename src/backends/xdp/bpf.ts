/**
 * eBPF without a compiler: a small assembler with named instructions, and bpf(2) with typed errors.
 * All input is our own. Numbers are those of linux/bpf.h and of the instruction set (RFC 9669). The
 * kernel's verifier decides what a program may do; its log becomes part of the error.
 */
import { closeSync } from 'node:fs';
import { constants } from 'node:os';
import { native } from '../../native.ts';
import { KernelError } from '../kernel-error.ts';

const bpfCommand = {
  createMap: 0,
  lookup: 1,
  update: 2,
  delete: 3,
  loadProgram: 5,
  programById: 13,
  mapById: 14,
  info: 15,
  lookupBatch: 24,
  updateBatch: 26,
} as const;
export const mapType = { hash: 1, array: 2, longestPrefix: 11 } as const;
/** Elements take memory only while they exist. */
const mapNoPreallocation = 1;
const programTypeXdp = 6;
const instructionBytes = 8;
/** A jump's distance is 16 bits; our jumps only go forward. */
const jumpMax = 0x7fff;
/** bpf_func ids that programs of ours call. */
export const helper = { mapLookup: 1, bootNanoseconds: 125 } as const;
/** The verifier's log is cut here. */
const verifierLogBytes = 64 * 1024;
/** Characters of the end of that log that an error shows. */
const verifierTextMax = 400;
/** Size of an object's name in the kernel, bytes, with its final zero. */
const nameBytes = 16;
const mapInfoBytes = 40;
const programInfoBytes = 80;
const programMapsMax = 16;
/**
 * How often a program is loaded while the kernel says EAGAIN: the verifier stops when a signal is
 * pending, which happens on a busy host. libbpf tries as often.
 */
const loadTriesMax = 6;
const { EAGAIN, EPERM, ENOENT } = constants.errno;

/** An error of bpf(2). */
export class BpfError extends KernelError {
  override readonly name = 'BpfError';
  /** The verifier's log; '' if it was not requested. */
  readonly verifierLog: string;

  constructor(errno: number, operation: string, verifierLog = '') {
    const words = verifierLog.trim().slice(-verifierTextMax);
    super(errno, operation, errno === EPERM ? 'needs CAP_BPF and CAP_NET_ADMIN' : words);
    this.verifierLog = verifierLog;
  }
}

// --- Assembler -----------------------------------------------------------------------------------

/**
 * r0 result, r1–r5 arguments (overwritten by a call), r6–r9 preserved, r10 the end of the stack.
 */
export type Register = 0 | 1 | 2 | 3 | 4 | 5 | 6 | 7 | 8 | 9 | 10;
export type Width = 'byte' | 'half' | 'word' | 'double';

const widthBits = { byte: 0x10, half: 0x08, word: 0x00, double: 0x18 } as const;
const jumpBits = { equal: 0x10, greater: 0x20, anyBit: 0x40, notEqual: 0x50, less: 0xa0 } as const;
export type Comparison = keyof typeof jumpBits;

/** A program being built: instructions in order, jumps to labels that may come later. */
export class Assembler {
  readonly #instructions: { code: number; registers: number; offset: number; immediate: number }[] = [];
  readonly #labels = new Map<string, number>();
  readonly #jumps: { at: number; label: string }[] = [];

  #emit(code: number, target: Register, source: Register | number, offset: number, immediate: number): this {
    this.#instructions.push({ code, registers: target | (source << 4), offset, immediate });
    return this;
  }

  #jump(code: number, target: Register, source: Register, immediate: number, label: string): this {
    this.#jumps.push({ at: this.#instructions.length, label });
    return this.#emit(code, target, source, 0, immediate);
  }

  label(name: string): this {
    if (this.#labels.has(name)) throw new Error(`label ${name} stands twice`);
    this.#labels.set(name, this.#instructions.length);
    return this;
  }

  set(target: Register, value: number): this {
    return this.#emit(0xb7, target, 0, 0, value);
  }

  move(target: Register, source: Register): this {
    return this.#emit(0xbf, target, source, 0, 0);
  }

  add(target: Register, value: number): this {
    return this.#emit(0x07, target, 0, 0, value);
  }

  addRegister(target: Register, source: Register): this {
    return this.#emit(0x0f, target, source, 0, 0);
  }

  andRegister(target: Register, source: Register): this {
    return this.#emit(0x5f, target, source, 0, 0);
  }

  shiftLeft(target: Register, bits: number): this {
    return this.#emit(0x67, target, 0, 0, bits);
  }

  shiftRight(target: Register, bits: number): this {
    return this.#emit(0x77, target, 0, 0, bits);
  }

  /**
   * Converts the lower 16 bits from network order to the machine's (little-endian) and clears the
   * rest.
   */
  fromNetworkHalf(target: Register): this {
    return this.#emit(0xdc, target, 0, 0, 16);
  }

  /** Masks the lower 32 bits; clears the upper ones. */
  mask(target: Register, bits: number): this {
    return this.#emit(0x54, target, 0, 0, bits | 0);
  }

  load(width: Width, target: Register, base: Register, offset: number): this {
    return this.#emit(0x61 | widthBits[width], target, base, offset, 0);
  }

  store(width: Width, base: Register, offset: number, source: Register): this {
    return this.#emit(0x63 | widthBits[width], base, source, offset, 0);
  }

  storeValue(width: Width, base: Register, offset: number, value: number): this {
    return this.#emit(0x62 | widthBits[width], base, 0, offset, value);
  }

  /** Adds a register to 64 bits in memory, atomically. */
  addToMemory(base: Register, offset: number, source: Register): this {
    return this.#emit(0xdb, base, source, offset, 0);
  }

  /** Loads the address of a map by its descriptor: two slots. */
  loadMap(target: Register, descriptor: number): this {
    return this.#emit(0x18, target, 1, 0, descriptor).#emit(0, 0, 0, 0, 0);
  }

  call(number: number): this {
    return this.#emit(0x85, 0, 0, 0, number);
  }

  jump(label: string): this {
    return this.#jump(0x05, 0, 0, 0, label);
  }

  jumpIf(left: Register, comparison: Comparison, value: number, label: string): this {
    return this.#jump(0x05 | jumpBits[comparison], left, 0, value, label);
  }

  /** Unsigned, 64 bits. */
  jumpIfRegister(left: Register, comparison: Comparison, right: Register, label: string): this {
    return this.#jump(0x0d | jumpBits[comparison], left, right, 0, label);
  }

  exit(): this {
    return this.#emit(0x95, 0, 0, 0, 0);
  }

  /** The program's bytes. */
  finish(): Buffer {
    for (const { at, label } of this.#jumps) {
      const target = this.#labels.get(label);
      if (target === undefined) throw new Error(`no label ${label}`);
      const offset = target - at - 1;
      if (offset > jumpMax) throw new Error(`label ${label} is ${offset} instructions away`);
      this.#instructions[at]!.offset = offset;
    }
    const bytes = Buffer.alloc(this.#instructions.length * instructionBytes);
    this.#instructions.forEach(({ code, registers, offset, immediate }, index) => {
      const at = index * instructionBytes;
      bytes[at] = code;
      bytes[at + 1] = registers;
      bytes.writeInt16LE(offset, at + 2);
      bytes.writeInt32LE(immediate | 0, at + 4);
    });
    return bytes;
  }
}

// --- bpf(2) --------------------------------------------------------------------------------------

function check(result: number, operation: string): void {
  if (result < 0) throw new BpfError(-result, operation);
}

/** @returns descriptor @throws BpfError with the verifier's log */
export function loadXdpProgram(name: string, instructions: Buffer): number {
  const operation = `load program ${name}`;
  const license = Buffer.from('GPL\0');
  const load = (log: Buffer | null): number => {
    const attributes = Buffer.alloc(72);
    attributes.writeUInt32LE(programTypeXdp, 0);
    attributes.writeUInt32LE(instructions.length / instructionBytes, 4);
    attributes.write(name.slice(0, nameBytes - 1), 48);
    const pointers: (number | Uint8Array)[] = [8, instructions, 16, license];
    if (log !== null) {
      attributes.writeUInt32LE(1, 24);
      attributes.writeUInt32LE(log.length, 28);
      pointers.push(32, log);
    }
    return native.bpf(bpfCommand.loadProgram, attributes, ...pointers);
  };
  let result = load(null);
  for (let tries = 1; result === -EAGAIN && tries < loadTriesMax; tries++) result = load(null);
  if (result >= 0) return result;
  // Loads it again with the log, to learn the reason. A log that is cut is an error of its own.
  const log = Buffer.alloc(verifierLogBytes);
  const again = load(log);
  if (again >= 0) return again;
  throw new BpfError(-result, operation, log.toString('latin1', 0, Math.max(0, log.indexOf(0))));
}

/** The id and name of a loaded program and the ids of its maps. */
export function programInfo(descriptor: number): { id: number; name: string; mapIds: number[] } {
  const info = Buffer.alloc(programInfoBytes);
  const ids = Buffer.alloc(programMapsMax * 4);
  check(native.bpfProgramInfo(descriptor, info, ids), 'read program');
  const count = Math.min(programMapsMax, info.readUInt32LE(52));
  const mapIds = Array.from({ length: count }, (_, index) => ids.readUInt32LE(index * 4));
  return { id: info.readUInt32LE(4), name: textAt(info, 64), mapIds };
}

/** Opens a loaded program; needs CAP_SYS_ADMIN. @returns descriptor */
export function programById(id: number): number {
  const attributes = Buffer.alloc(12);
  attributes.writeUInt32LE(id, 0);
  const result = native.bpf(bpfCommand.programById, attributes);
  check(result, `open program ${id}`);
  return result;
}

function textAt(bytes: Buffer, at: number): string {
  const end = bytes.indexOf(0, at);
  return bytes.toString('latin1', at, end < 0 || end > at + nameBytes ? at + nameBytes : end);
}

/** A map in the kernel, with keys and values of fixed sizes. */
export class BpfMap {
  readonly name: string;
  readonly descriptor: number;
  readonly keyBytes: number;
  readonly valueBytes: number;

  private constructor(name: string, descriptor: number, keyBytes: number, valueBytes: number) {
    this.name = name;
    this.descriptor = descriptor;
    this.keyBytes = keyBytes;
    this.valueBytes = valueBytes;
  }

  static create(name: string, type: number, keyBytes: number, valueBytes: number, elementsMax: number): BpfMap {
    const attributes = Buffer.alloc(48);
    attributes.writeUInt32LE(type, 0);
    attributes.writeUInt32LE(keyBytes, 4);
    attributes.writeUInt32LE(valueBytes, 8);
    attributes.writeUInt32LE(elementsMax, 12);
    attributes.writeUInt32LE(type === mapType.array ? 0 : mapNoPreallocation, 16);
    attributes.write(name.slice(0, nameBytes - 1), 28);
    const result = native.bpf(bpfCommand.createMap, attributes);
    check(result, `create map ${name}`);
    return new BpfMap(name, result, keyBytes, valueBytes);
  }

  /** Opens a map by its id; needs CAP_SYS_ADMIN. */
  static open(id: number): BpfMap {
    const attributes = Buffer.alloc(12);
    attributes.writeUInt32LE(id, 0);
    const descriptor = native.bpf(bpfCommand.mapById, attributes);
    check(descriptor, `open map ${id}`);
    const info = Buffer.alloc(mapInfoBytes);
    const question = Buffer.alloc(16);
    question.writeUInt32LE(descriptor, 0);
    question.writeUInt32LE(info.length, 4);
    check(native.bpf(bpfCommand.info, question, 8, info), `read map ${id}`);
    return new BpfMap(textAt(info, 24), descriptor, info.readUInt32LE(8), info.readUInt32LE(12));
  }

  close(): void {
    closeSync(this.descriptor);
  }

  #element(command: number, key: Uint8Array, value: Uint8Array | null): number {
    if (key.length !== this.keyBytes || (value !== null && value.length !== this.valueBytes)) {
      throw new RangeError(`map ${this.name} has keys of ${this.keyBytes} and values of ${this.valueBytes} bytes`);
    }
    const attributes = Buffer.alloc(32);
    attributes.writeUInt32LE(this.descriptor, 0);
    return value === null
      ? native.bpf(command, attributes, 8, key)
      : native.bpf(command, attributes, 8, key, 16, value);
  }

  /** Fills `value`; false if the key is absent. */
  lookup(key: Uint8Array, value: Uint8Array): boolean {
    const result = this.#element(bpfCommand.lookup, key, value);
    if (result === -ENOENT) return false;
    check(result, `look up in map ${this.name}`);
    return true;
  }

  /** @throws BpfError, E2BIG if the map is full */
  update(key: Uint8Array, value: Uint8Array): void {
    check(this.#element(bpfCommand.update, key, value), `update map ${this.name}`);
  }

  /** Sets the elements of an array in one call, starting with the first. */
  fill(values: Buffer): void {
    const count = values.length / this.valueBytes;
    const keys = Buffer.from(Uint32Array.from({ length: count }, (_, index) => index).buffer);
    const attributes = Buffer.alloc(56);
    attributes.writeUInt32LE(count, 32);
    attributes.writeUInt32LE(this.descriptor, 36);
    check(native.bpf(bpfCommand.updateBatch, attributes, 16, keys, 24, values), `fill map ${this.name}`);
  }

  /** Deleting an absent key is no error. */
  delete(key: Uint8Array): void {
    const result = this.#element(bpfCommand.delete, key, null);
    if (result !== -ENOENT) check(result, `delete from map ${this.name}`);
  }

  /**
   * Visits elements, `count` at a time, so that others can run in between. The buffers change with
   * the next step.
   */
  *slices(count: number): Generator<{ keys: Buffer; values: Buffer; count: number }> {
    const keys = Buffer.alloc(count * this.keyBytes);
    const values = Buffer.alloc(count * this.valueBytes);
    const token = Buffer.alloc(Math.max(8, this.keyBytes));
    for (let isFirst = true; ; isFirst = false) {
      const attributes = Buffer.alloc(56);
      attributes.writeUInt32LE(count, 32);
      attributes.writeUInt32LE(this.descriptor, 36);
      const from: (number | Uint8Array)[] = isFirst ? [] : [0, token];
      const result = native.bpf(bpfCommand.lookupBatch, attributes, ...from, 8, token, 16, keys, 24, values);
      const isLast = result === -ENOENT;
      if (!isLast) check(result, `list map ${this.name}`);
      yield { keys, values, count: attributes.readUInt32LE(32) };
      if (isLast) return;
    }
  }
}
