/**
 * Elevation of privilege: what the privileged process can be made to do.
 */
import assert from 'node:assert/strict';
import type { Build } from '../src/engine/host.ts';
import { claim, type Supply, sabotaged, twin } from './claim.ts';
import { controlGroup, controlSocket, requestAs, stranger } from './support/control-socket.ts';
import { engineOf, epoch } from './support/tracker.ts';

claim(
  'E-03',
  controlSocket({ mode: 0o666 }),
  async ({ path, reached }) => {
    const args = { addresses: ['192.0.2.7'] };
    const banArgs = { jail: 'sshd', ...args };
    for (const [verb, given] of [['unban', args] as const, ['ban', banArgs] as const]) {
      const { error } = await requestAs(path, stranger, stranger, verb, given);
      assert.equal(error?.code, 'forbidden', `a stranger may ${verb}`);
    }
    assert.deepEqual(reached(), []);
    assert.equal((await requestAs(path, stranger, controlGroup, 'ban', banArgs)).ok, true, 'the group may not ban');
    assert.equal((await requestAs(path, stranger, controlGroup, 'unban', args)).ok, true, 'the group may not unban');
    assert.equal((await requestAs(path, 0, 0, 'unban', args)).ok, true, 'root may not unban');
    const admitted = reached().length;
    const level = { setting: 'loglevel', level: 'debug' };
    const setByGroup = await requestAs(path, stranger, controlGroup, 'set', level);
    assert.equal(setByGroup.error?.code, 'forbidden', 'the group may set what only root may');
    const reloadByGroup = await requestAs(path, stranger, controlGroup, 'reload', {});
    assert.equal(reloadByGroup.error?.code, 'forbidden', 'the group may reload what only root may');
    assert.equal((await requestAs(path, 0, 0, 'set', level)).ok, true, 'root may not set the log level');
    return `ban and unban: refused to a stranger, granted to group and root (${admitted} admitted); set and reload: root only`;
  },
  [
    twin(
      'a server that takes everybody for a member of the group',
      controlSocket({ mode: 0o666, askPeer: () => ({ pid: 1, uid: stranger, gid: controlGroup, groups: [] }) }),
      /a stranger may unban/,
    ),
    sabotaged('the group of the socket may reload', /the group may reload what only root may/),
  ],
  { needs: ['root'], timeoutMs: 120_000 },
);

/** Examines the bytes [start, end) of engine memory; `size` is where that memory ends. */
interface RawEngine {
  size: number;
  examine: (start: number, end: number) => number;
}

interface InstanceConstructor {
  new (module: object, imports: Record<string, Record<string, unknown>>): { exports: Record<string, unknown> };
}

/** The engine's own export, without the host around it that would never pass such offsets. */
async function rawEngine(build: Build): Promise<RawEngine> {
  const global = globalThis as unknown as { WebAssembly: { Instance: InstanceConstructor } };
  const Original = global.WebAssembly.Instance;
  const made: { exports: Record<string, unknown>; size: number }[] = [];
  global.WebAssembly.Instance = class extends Original {
    constructor(module: object, imports: Record<string, Record<string, unknown>>) {
      super(module, imports);
      const memory = imports.env?.memory as { buffer: ArrayBuffer };
      made.push({ exports: this.exports, size: memory.buffer.byteLength });
    }
  };
  try {
    await engineOf({ build });
  } finally {
    global.WebAssembly.Instance = Original;
  }
  const last = made.at(-1);
  assert.ok(last, 'no engine was instantiated');
  const examine = last.exports.examineAlone as (...parameters: unknown[]) => number;
  return { size: last.size, examine: (start, end) => examine(start, end, 0, 1, 0, epoch, false, false) };
}

/**
 * Bytes behind a line that a vector may be loaded from (src/engine/linear.ts): lines stand nowhere
 * near the end of the memory.
 */
const readBehind = 63;

/**
 * Offsets outside the memory: just behind it, far behind it, and negative ones, which are far
 * behind it as unsigned.
 */
function* outside(size: number): Generator<number> {
  for (let beyond = 0; beyond < 256; beyond++) yield size + beyond;
  for (let power = 1; size + 2 ** power < 2 ** 31; power++) yield size + 2 ** power;
  for (const offset of [2 ** 31 - 4_097, -1, -16, -4_096, -(2 ** 31)]) yield offset;
}

const bothBuilds: Supply<RawEngine[]> = { make: async () => [await rawEngine('wasm'), await rawEngine('scalar')] };

claim(
  ['E-01a', 'PE-19', 'PE-21'],
  bothBuilds,
  (engines) => {
    let offsets = 0;
    for (const { size, examine } of engines) {
      for (const start of outside(size)) {
        assert.throws(() => examine(start, start + 4_096), { name: 'RuntimeError' }, `bytes at ${start} of ${size}`);
        offsets++;
      }
      // Inside, whatever the memory holds, a line ends at its end.
      const end = size - readBehind;
      for (let start = end - 5_000; start < end; start += 7) examine(start, Math.min(end, start + 4_096));
    }
    return `${offsets} offsets outside the memory trapped, in the SIMD and in the scalar build; there is no other`;
  },
  [
    twin(
      'a build without checks',
      {
        make: async () =>
          (await bothBuilds.make()).map(({ size, examine }) => ({
            size,
            examine: (start: number, end: number) => (start < 0 || end > size ? 0 : examine(start, end)),
          })),
      },
      /Missing expected exception.*: bytes at/,
    ),
    twin(
      'a build that wraps round',
      {
        make: async (): Promise<RawEngine[]> =>
          (await bothBuilds.make()).map(({ size, examine }) => ({
            size,
            examine: (start) => examine((start >>> 0) % (size - 4_096), ((start >>> 0) % (size - 4_096)) + 4_096),
          })),
      },
      /Missing expected exception.*: bytes at/,
    ),
  ],
);
