/**
 * Elevation of privilege: what the privileged process can be made to do.
 */
import assert from 'node:assert/strict';
import { globSync, readFileSync } from 'node:fs';
import { type Build, Engine } from '../src/engine/host.ts';
import { filters } from '../src/filters/index.ts';
import { assertNone } from './assertions.ts';
import { claim, type Supply, sabotaged, twin } from './claim.ts';
import { controlGroup, controlSocket, requestAs, stranger } from './support/control-socket.ts';
import { instantiatedBy } from './support/instantiated.ts';
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
  /**
   * What a filter makes of the first `length` bytes of a text if the rest follows them (`whole`),
   * or blanks.
   */
  beginning: (text: Uint8Array, length: number, whole: boolean, filter: string, mode: string) => string;
}

const blanks = Buffer.alloc(256, ' ');

/** The engine's own export, without the host around it, which would never pass such offsets. */
async function rawEngine(build: Build): Promise<RawEngine> {
  let engine: Awaited<ReturnType<typeof engineOf>> | undefined;
  const made = await instantiatedBy(async () => {
    engine = await engineOf({ build });
  });
  const last = made.at(-1);
  // Not a finding: over the plain engine, which other claims use, there is nothing to see.
  if (last === undefined || engine === undefined) throw new Error('no engine was instantiated');
  const { buffer } = engine;
  const examiner = engine;
  const examine = last.exports.examineAlone as (...parameters: unknown[]) => number;
  return {
    size: last.size,
    examine: (start, end) => examine(start, end, 0, 1, 0, epoch, false, false),
    beginning(text, length, whole, filter, mode) {
      buffer.set(whole ? text : blanks.subarray(0, text.length));
      const { outcome, pattern, user } = examiner.examine(text.subarray(0, length), filter, mode, epoch, false);
      // The other lines of the attempt decide which of these it is.
      const taken = ['failure', 'counted-before', 'held', 'no-failure', 'no-address'].includes(outcome);
      const name = user === undefined ? '' : Buffer.from(user).toString('latin1');
      return [taken ? 'taken' : outcome, pattern, name].join('|');
    },
  };
}

/**
 * Bytes after a line that a vector load may read (src/engine/linear.ts): lines are never near the
 * end of the memory.
 */
const readBehind = 63;

/**
 * Offsets outside the memory: just behind it, far behind it, and negative ones, which as unsigned
 * are far behind it.
 */
function* outside(size: number): Generator<number> {
  for (let beyond = 0; beyond < 256; beyond++) yield size + beyond;
  for (let power = 1; size + 2 ** power < 2 ** 31; power++) yield size + 2 ** power;
  for (const offset of [2 ** 31 - 4_097, -1, -16, -4_096, -(2 ** 31)]) yield offset;
}

const bothBuilds: Supply<RawEngine[]> = { make: async () => [await rawEngine('wasm'), await rawEngine('scalar')] };

/** Every sample, short enough for the blanks. */
const samples = filters.flatMap(({ name, patterns }) =>
  patterns
    .filter(({ sample }) => sample.length <= blanks.length)
    .map(({ sample, modes = [''] }) => ({ name, mode: modes[0]!, text: Buffer.from(sample) })),
);

/** Cuts each sample at each of its bytes: whatever follows the end must make no difference. */
function assertEnds({ beginning }: RawEngine): number {
  let lines = 0;
  for (const { name, mode, text } of samples) {
    for (let length = 1; length < text.length; length++) {
      const alone = beginning(text, length, false, name, mode);
      if (beginning(text, length, true, name, mode) !== alone)
        assert.fail(`${name} looks behind the end of ${text.subarray(0, length)}`);
      lines++;
    }
  }
  return lines;
}

/** The plain engine reports its own access; in production the virtual machine does. */
const plainSays = 'engine memory access out of bounds';

/** Without a requested build we get the one with checks, and no bundle contains another. */
async function assertProduction(): Promise<void> {
  const options = { jails: [], tableBytes: 0, now: epoch };
  const made = await instantiatedBy(async () => {
    await Engine.create(options);
    Engine.createNow(options);
  });
  assert.equal(made.length, 2, 'engines that the virtual machine checks');
  const bundles = globSync('dist/*.cjs');
  assert.ok(bundles.includes('dist/core.cjs'), 'no bundle of the core');
  assertNone(
    bundles.filter((path) => readFileSync(path, 'utf8').includes(plainSays)),
    'bundles with another engine',
  );
  assert.ok(readFileSync('src/engine/linear.ts', 'utf8').includes(plainSays), 'what the plain engine says');
}

claim(
  ['E-01a', 'PE-19', 'PE-21'],
  bothBuilds,
  async (engines) => {
    let [offsets, lines] = [0, 0];
    for (const engine of engines) {
      const { size, examine } = engine;
      for (const start of outside(size)) {
        assert.throws(() => examine(start, start + 4_096), { name: 'RuntimeError' }, `bytes at ${start} of ${size}`);
        offsets++;
      }
      // Inside the memory, whatever it contains, a line ends at its end.
      const end = size - readBehind;
      for (let start = end - 5_000; start < end; start += 7) examine(start, Math.min(end, start + 4_096));
      lines += assertEnds(engine);
    }
    await assertProduction();
    return `${offsets} offsets outside the memory trapped, ${lines} lines end where they end, in the SIMD and in the scalar build; there is no other`;
  },
  [
    twin(
      'a build without checks',
      {
        make: async () =>
          (await bothBuilds.make()).map(({ size, examine, ...rest }) => ({
            ...rest,
            size,
            examine: (start: number, end: number) => (start < 0 || end > size ? 0 : examine(start, end)),
          })),
      },
      /Missing expected exception.*: bytes at/,
    ),
    twin(
      'a build that reads on behind the end of a line',
      {
        make: async () =>
          (await bothBuilds.make()).map((engine) => ({
            ...engine,
            beginning: (text: Uint8Array, length: number, whole: boolean, filter: string, mode: string) =>
              engine.beginning(text, whole ? Math.min(text.length, length + 8) : length, whole, filter, mode),
          })),
      },
      /looks behind the end of/,
    ),
    twin(
      'a build that wraps round',
      {
        make: async (): Promise<RawEngine[]> =>
          (await bothBuilds.make()).map(({ size, examine, ...rest }) => ({
            ...rest,
            size,
            examine: (start) => examine((start >>> 0) % (size - 4_096), ((start >>> 0) % (size - 4_096)) + 4_096),
          })),
      },
      /Missing expected exception.*: bytes at/,
    ),
  ],
  { needs: ['built'] },
);
