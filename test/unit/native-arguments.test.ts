/**
 * How the addon treats its arguments: each exported function gets right ones, and every kind of
 * wrong one in each place. A wrong argument is a TypeError. Nothing crashes, and no number is cut.
 * `npm run test:native-asan` runs this with the sanitizers of the compiler.
 */
import { closeSync, openSync } from 'node:fs';
import fc from 'fast-check';
import { afterAll, describe, expect, test } from 'vitest';
import { type Native, native } from '../../src/native.ts';

/** Descriptors on which no call waits or does harm. */
const harmless = [openSync('/dev/null', 'r'), native.inotifyOpen()];
afterAll(() => harmless.forEach(closeSync));

function detached(): Uint8Array {
  const bytes = new Uint8Array(128);
  structuredClone(bytes.buffer, { transfer: [bytes.buffer] });
  return bytes;
}

const notNumbers = [undefined, null, '1', {}, [], true, 1n, () => 1, Symbol('one')];
const notWhole = [Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY, 0.5, 1.5, -0.5];
const beyond = [2 ** 31, 2 ** 32, 2 ** 32 + 1, 2 ** 53, 2 ** 64, -(2 ** 31) - 1, -(2 ** 63), 1e300];

/** Right and wrong values of a kind of argument. */
const kinds = {
  descriptor: { right: [...harmless, 1_000_000], wrong: [...notNumbers, ...notWhole, ...beyond, -1] },
  int32: { right: [0, -1, 999, 2 ** 31 - 1, -(2 ** 31)], wrong: [...notNumbers, ...notWhole, ...beyond] },
  uint32: {
    right: [0, 1, 2 ** 32 - 1],
    wrong: [...notNumbers, ...notWhole, -1, 2 ** 32, 2 ** 32 + 1, -(2 ** 31), 2 ** 53],
  },
  /** A length or a time: not negative. */
  count: { right: [0, 1], wrong: [...notNumbers, ...notWhole, ...beyond, -1] },
  /** Descriptors that nobody has. */
  farDescriptor: {
    right: [1_000_000, 2 ** 32 - 1],
    wrong: [...notNumbers, ...notWhole, -1, 2 ** 32, 2 ** 32 + 3, 2 ** 53],
  },
  family: { right: [4, 6], wrong: [...notNumbers, ...notWhole, ...beyond, 0, 5, 260, -4] },
  position: {
    right: [0, 5, 2 ** 31, 2 ** 53 - 1],
    wrong: [...notNumbers, ...notWhole, -1, 2 ** 53, 2 ** 63, 2 ** 64 + 5],
  },
  /** No page of this process is there. */
  address: { right: [4096], wrong: [...notNumbers, ...notWhole, 0, -1, 4095, 2 ** 47 + 4096, 2 ** 64 + 4096] },
  pageBytes: { right: [4096], wrong: [...notNumbers, ...notWhole, 0, -1, 2 ** 48, 2 ** 64] },
  offset: {
    right: [0, 8, 16],
    wrong: [...notNumbers, ...notWhole, -8, 4, 57, 64, 2 ** 32 - 8, 2 ** 32, -(2 ** 32), 2 ** 53],
  },
  bytes: {
    right: [new Uint8Array(64), Buffer.alloc(64), new Uint8Array(256).subarray(3, 67)],
    wrong: [...notNumbers, 7, new Uint16Array(64), new ArrayBuffer(64), new DataView(new ArrayBuffer(64)), detached()],
  },
  memory: {
    right: [new ArrayBuffer(8192), new ArrayBuffer(0)],
    wrong: [...notNumbers, 7, new Uint8Array(64), detached().buffer],
  },
  /** PR_GET_NO_NEW_PRIVS, which changes nothing. */
  option: { right: [39], wrong: [...notNumbers, ...notWhole, -1, 2 ** 32, 2 ** 53] },
  /** More capabilities than anybody has. */
  capabilities: { right: [2 ** 32 - 1], wrong: [...notNumbers, ...notWhole, -1, 2 ** 32, 2 ** 53] },
  farPath: { right: ['/nowhere/x', `/nowhere/${'x'.repeat(200)}`], wrong: [undefined, null, 1, {}, 'a\0b', '\0'] },
  text: { right: ['x', '/nowhere/é'], wrong: [undefined, null, 1, {}, 'a\0b', '\0'] },
  callback: { right: [() => 0], wrong: [undefined, null, 1, 'x', {}] },
} as const satisfies Record<string, { right: readonly unknown[]; wrong: readonly unknown[] }>;

type Kind = keyof typeof kinds;

const signatures: Record<keyof Native, readonly Kind[]> = {
  netlinkOpen: ['int32', 'uint32', 'count', 'count'],
  netlinkSend: ['descriptor', 'bytes', 'count'],
  netlinkReceive: ['descriptor', 'bytes'],
  netlinkReceiveAside: ['descriptor', 'bytes'],
  netlinkWait: ['descriptor', 'count'],
  peerCredentials: ['descriptor'],
  sendDescriptor: ['descriptor', 'descriptor'],
  receiveDescriptor: ['descriptor'],
  memfd: ['text'],
  datagramTo: ['text'],
  datagramOpen: [],
  datagramSend: ['descriptor', 'text', 'bytes'],
  sha256: ['text'],
  seal: ['descriptor'],
  seals: ['descriptor'],
  closeOnExec: ['farDescriptor', 'farDescriptor'],
  keepOnExec: ['descriptor'],
  prctl: ['option', 'uint32', 'uint32'],
  capset: ['capabilities', 'capabilities'],
  seccomp: ['uint32', 'bytes'],
  landlockVersion: [],
  landlockRuleset: ['bytes'],
  landlockRule: ['descriptor', 'uint32', 'bytes'],
  landlockRestrict: ['descriptor'],
  endAtRefusedCall: [],
  unixBind: ['farPath'],
  unixProbe: ['farPath'],
  nextData: ['descriptor', 'position'],
  writeNow: ['descriptor', 'bytes'],
  dropPages: ['address', 'pageBytes'],
  splitRange: ['address', 'pageBytes', 'pageBytes'],
  hugePages: ['memory'],
  xtablesOpen: ['family'],
  socketOption: ['descriptor', 'int32', 'int32', 'bytes'],
  setSocketOption: ['descriptor', 'int32', 'int32', 'bytes'],
  xtablesReplace: ['descriptor', 'int32', 'bytes', 'bytes'],
  bpf: ['int32', 'bytes', 'offset', 'bytes'],
  bpfProgramInfo: ['descriptor', 'bytes', 'bytes'],
  bootNanoseconds: [],
  inotifyOpen: [],
  inotifyAdd: ['descriptor', 'text', 'uint32'],
  inotifyRemove: ['descriptor', 'int32'],
  inotifyRead: ['descriptor', 'bytes'],
  whenReadable: ['descriptor', 'callback'],
  readAround: ['descriptor', 'bytes', 'bytes', 'position'],
  tryLock: ['descriptor'],
};
/** Functions that check more than the kind of each argument. */
const choosy = new Set<keyof Native>(['xtablesReplace']);

/** Calls the function, and cleans up what it made. */
async function call(name: keyof Native, given: readonly unknown[]): Promise<'refused' | 'taken'> {
  let result: unknown;
  try {
    result = (native[name] as (...parameters: unknown[]) => unknown)(...given);
  } catch (error) {
    expect(error, name).toBeInstanceOf(TypeError);
    return 'refused';
  }
  if (typeof result === 'function') (result as () => void)();
  if (result instanceof Promise) expect(await result, name).toBeTypeOf('number');
  const opens = name.endsWith('Open') || name === 'memfd';
  if (opens && (result as number) >= 0) closeSync(result as number);
  return 'taken';
}

const rightOf = (name: keyof Native, choice: number) =>
  signatures[name].map((kind, at) => {
    const { right }: { right: readonly unknown[] } = kinds[kind];
    return right[(choice + at) % right.length];
  });

describe('arguments of the addon', () => {
  const names = Object.keys(signatures) as (keyof Native)[];

  test('the table has every function of the addon', () => {
    expect(names.toSorted()).toEqual(Reflect.ownKeys(native).toSorted());
  });

  test.each(names)('%s takes right ones', async (name) => {
    if (choosy.has(name)) return;
    for (let choice = 0; choice < 6; choice++) expect(await call(name, rightOf(name, choice))).toBe('taken');
  });

  test.each(names)('%s refuses a wrong one in every place, and one too few', async (name) => {
    const given = rightOf(name, 0);
    for (const [place, kind] of signatures[name].entries()) {
      for (const [index, wrong] of kinds[kind].wrong.entries()) {
        const called = given.map((value, at): unknown => (at === place ? wrong : value));
        expect(await call(name, called), `${name}, ${place}: wrong ${kind} ${index}`).toBe('refused');
      }
    }
    if (given.length === 0) return;
    expect(await call(name, given.slice(1))).toBe('refused');
  });

  test('anything in any place: refused or taken, nothing else', async () => {
    const all = Object.values(kinds).flatMap(({ right, wrong }) => [...right, ...wrong]);
    /**
     * A descriptor, an address and a time each have a kind of their own, so that no call waits and
     * no page of this process is lost.
     */
    const own = new Set<Kind>([
      ...(['descriptor', 'farDescriptor', 'address', 'pageBytes', 'count', 'int32'] as const),
      ...(['option', 'capabilities', 'farPath'] as const),
    ]);
    const calls = fc.constantFrom(...names).chain((name) => {
      const places = signatures[name].map((kind) =>
        fc.constantFrom<unknown>(...(own.has(kind) ? [...kinds[kind].right, ...kinds[kind].wrong] : all)),
      );
      return fc.tuple(fc.constant(name), fc.tuple(...places), fc.nat(9));
    });
    await fc.assert(
      fc.asyncProperty(calls, async ([name, given, cut]) => {
        await call(name, cut === 0 ? given.slice(0, -1) : given);
      }),
      { numRuns: 3000 },
    );
  });
});

test('a pointer of bpf(2) lies within its attributes', () => {
  const noCommand = 0x7fff;
  expect(native.bpf(noCommand, Buffer.alloc(16), 8, Buffer.alloc(8))).toBeLessThan(0);
  for (const [bytes, offset] of [
    [16, 16],
    [15, 8],
    [16, 4],
  ] as const) {
    expect(() => native.bpf(noCommand, Buffer.alloc(bytes), offset, Buffer.alloc(8))).toThrow(TypeError);
  }
});
