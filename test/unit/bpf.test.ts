/**
 * bpf(2) with a kernel that refuses: what is tried again, and what the error says.
 */
import { constants } from 'node:os';
import { afterEach, describe, expect, test } from 'vitest';
import {
  Assembler,
  BpfError,
  BpfMap,
  loadXdpProgram,
  mapType,
  programById,
  programInfo,
} from '../../src/backends/xdp/bpf.ts';
import { native } from '../../src/native.ts';

const { E2BIG, EACCES, EAGAIN, ENOENT, ENOSPC, EPERM } = constants.errno;

type Bpf = typeof native.bpf;

/** The commands that the kernel got, with what it answers: results in order, the last one again. */
function kernel(
  results: number[],
  fill: (command: number, pointers: (number | Uint8Array)[], attributes: Uint8Array) => void = () => undefined,
) {
  const commands: { command: number; log: number }[] = [];
  native.bpf = ((command, attributes, ...pointers) => {
    commands.push({ command, log: command === 5 ? Buffer.from(attributes).readUInt32LE(28) : 0 });
    fill(command, pointers, attributes);
    return results.length > 1 ? results.shift()! : results[0]!;
  }) satisfies Bpf;
  return commands;
}

afterEach(() => {
  delete (native as Partial<typeof native>).bpf;
  delete (native as Partial<typeof native>).bpfProgramInfo;
});

const load = () => loadXdpProgram('a-name-of-many-letters', new Assembler().set(0, 1).exit().finish());

function refusalOf(work: () => unknown): BpfError {
  try {
    work();
  } catch (error) {
    if (error instanceof BpfError) return error;
    throw error;
  }
  throw new Error('it was not refused');
}

describe('loading a program', () => {
  test('is tried again while the kernel is interrupted, six times in all', () => {
    const commands = kernel([-EAGAIN, -EAGAIN, -EAGAIN, -EAGAIN, -EAGAIN, 9]);
    expect(load()).toBe(9);
    expect(commands).toEqual(Array.from({ length: 6 }, () => ({ command: 5, log: 0 })));
    const always = kernel([-EAGAIN]);
    expect(refusalOf(load).code).toBe('EAGAIN');
    expect(always.length).toBe(7);
  });

  test('is done once more with a log where it is refused, and that may succeed', () => {
    const commands = kernel([-EACCES, 11]);
    expect(load()).toBe(11);
    expect(commands).toEqual([
      { command: 5, log: 0 },
      { command: 5, log: 65_536 },
    ]);
  });

  test('says what the verifier wrote, at most its last 400 characters', () => {
    const text = `${'a'.repeat(500)}the end\n`;
    kernel([-EACCES], (_, pointers) => {
      const log = pointers[5];
      if (log instanceof Uint8Array) log.set(Buffer.from(`${text}\0`));
    });
    const error = refusalOf(load);
    expect(error.message).toBe(`load program a-name-of-many-letters: EACCES (${text.trim().slice(-400)})`);
    expect(error.verifierLog).toBe(text);
    expect(error.name).toBe('BpfError');
  });

  test('says why it was refused, even if the log found no room', () => {
    kernel([-EACCES, -ENOSPC], (_, pointers) => {
      const log = pointers[5];
      if (log instanceof Uint8Array) log.fill(0x61);
    });
    const error = refusalOf(load);
    expect(error.code).toBe('EACCES');
    expect(error.verifierLog).toBe('');
  });

  test('without the right to says which rights it needs', () => {
    kernel([-EPERM]);
    expect(refusalOf(load).message).toBe(
      'load program a-name-of-many-letters: EPERM (needs CAP_BPF and CAP_NET_ADMIN)',
    );
  });
});

describe('a map', () => {
  const made = (type: number = mapType.hash) => {
    kernel([12]);
    return BpfMap.create('f2z_a_long_name_of_it', type, 4, 8, 100);
  };
  const key = new Uint8Array(4);
  const value = new Uint8Array(8);

  test('that cannot be made, opened or read says so', () => {
    kernel([-EPERM]);
    expect(refusalOf(() => BpfMap.create('f2z_x', mapType.hash, 4, 8, 100)).operation).toBe('create map f2z_x');
    expect(refusalOf(() => BpfMap.open(7)).operation).toBe('open map 7');
    expect(refusalOf(() => programById(8)).operation).toBe('open program 8');
    kernel([13, -EPERM]);
    expect(refusalOf(() => BpfMap.open(7)).operation).toBe('read map 7');
  });

  test('only takes keys and values of its sizes', () => {
    const map = made();
    const sizes = 'map f2z_a_long_name_of_it has keys of 4 and values of 8 bytes';
    expect(() => map.lookup(new Uint8Array(5), value)).toThrow(sizes);
    expect(() => map.update(key, new Uint8Array(7))).toThrow(sizes);
    expect(() => map.delete(new Uint8Array(3))).toThrow(sizes);
  });

  test('says which of its elements could not be read or changed', () => {
    const map = made();
    kernel([-E2BIG]);
    expect(refusalOf(() => map.lookup(key, value)).operation).toBe('look up in map f2z_a_long_name_of_it');
    expect(refusalOf(() => map.update(key, value))).toMatchObject({
      code: 'E2BIG',
      operation: 'update map f2z_a_long_name_of_it',
    });
    expect(refusalOf(() => map.delete(key)).operation).toBe('delete from map f2z_a_long_name_of_it');
    expect(refusalOf(() => map.fill(Buffer.alloc(16))).operation).toBe('fill map f2z_a_long_name_of_it');
    expect(refusalOf(() => [...map.slices(2)]).operation).toBe('list map f2z_a_long_name_of_it');
  });

  test('holds no absent key, which deleting does not mind', () => {
    const map = made();
    kernel([-ENOENT]);
    expect(map.lookup(key, value)).toBe(false);
    map.delete(key);
    kernel([0]);
    expect(map.lookup(key, value)).toBe(true);
  });

  test('is listed in slices up to the last one', () => {
    const map = made();
    const counts = [2, 1];
    kernel([0, -ENOENT], (_, __, attributes) => {
      Buffer.from(attributes.buffer, attributes.byteOffset).writeUInt32LE(counts.shift()!, 32);
    });
    expect([...map.slices(2)].map(({ count }) => count)).toEqual([2, 1]);
    expect(counts).toEqual([]);
  });
});

test('a program says its id, its name up to a zero, and its maps', () => {
  native.bpfProgramInfo = (_, info, ids) => {
    Buffer.from(info.buffer, info.byteOffset).writeUInt32LE(77, 4);
    Buffer.from(info.buffer, info.byteOffset).writeUInt32LE(99, 52);
    info.set(Buffer.from('sixteen-letters!'), 64);
    Buffer.from(ids.buffer, ids.byteOffset).writeUInt32LE(5, 4);
    return 0;
  };
  const { id, name, mapIds } = programInfo(3);
  expect([id, name]).toEqual([77, 'sixteen-letters!']);
  expect(mapIds).toEqual([0, 5, ...Array(14).fill(0)]);
  native.bpfProgramInfo = () => -EPERM;
  expect(refusalOf(() => programInfo(3)).operation).toBe('read program');
});

describe('an assembler', () => {
  test('refuses a label twice, one that is nowhere, and one too far away', () => {
    expect(() => new Assembler().label('a').label('a')).toThrow('label a stands twice');
    expect(() => new Assembler().jump('b').finish()).toThrow('no label b');
    const far = new Assembler().jump('c');
    for (let count = 0; count < 0x7fff; count++) far.exit();
    expect(far.label('c').finish().readInt16LE(2)).toBe(0x7fff);
    const farther = new Assembler().jump('c').exit();
    for (let count = 0; count < 0x7fff; count++) farther.exit();
    expect(() => farther.label('c').finish()).toThrow('label c is 32768 instructions away');
  });
});
