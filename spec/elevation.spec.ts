/**
 * Elevation of privilege: what the privileged process can be made to do. Statements about the
 * source are read from its syntax tree.
 */
import assert from 'node:assert/strict';
import type { Build } from '../src/engine/host.ts';
import { assertNone } from './assertions.ts';
import { claim, given, type Supply, twin } from './claim.ts';
import { importsOf, nodesOf, placeOf, readTree, type SourceTree, withFile } from './source.ts';
import { controlGroup, controlSocket, requestAs, stranger } from './support/control-socket.ts';
import { engineOf, epoch } from './support/tracker.ts';

/**
 * Everything but `check`, which an operator runs by hand: it starts our own core once, to ask
 * whether the ceiling holds the configuration. No daemon loads it.
 */
const everything = readTree('src/**/*.ts', 'native/*.{cc,h}');
const source: SourceTree = new Map([...everything].filter(([path]) => path !== 'src/commands/check.ts'));

/** Parts of Node that start processes, run text as code or load code from elsewhere. */
const forbiddenBuiltins = new Set(['child_process', 'cluster', 'vm', 'repl', 'inspector', 'module', 'wasi']);
/** C functions that start a program. */
const spawningFunctions = ['system', 'popen', 'fork', 'vfork', 'clone', 'posix_spawn', 'posix_spawnp'];
const executingFunctions = ['execl', 'execlp', 'execle', 'execv', 'execvp', 'execvpe', 'execve', 'execveat', 'fexecve'];

/** A C++ call of one of `names`, comments left out. */
function nativeCalls(text: string, names: string[]): string[] {
  const code = text.replaceAll(/\/\*[\s\S]*?\*\/|\/\/[^\n]*/g, ' ').replaceAll(/"(?:[^"\\]|\\.)*"/g, '""');
  return names.filter((name) => new RegExp(`(?<![\\w.])${name}\\s*\\(`).test(code));
}

/** Every way to start a program that the tree holds, as `path: what`. */
function waysToStart(tree: SourceTree): string[] {
  const ways: string[] = [];
  for (const [path, text] of tree) {
    if (!path.endsWith('.ts')) {
      ways.push(
        ...nativeCalls(text, [...spawningFunctions, ...executingFunctions]).map((name) => `${path}: ${name}()`),
      );
      continue;
    }
    for (const { specifier } of importsOf(path, text)) {
      if (specifier.replace('node:', '') === 'child_process') ways.push(`${path}: ${specifier}`);
    }
  }
  return ways;
}

claim(
  ['WHY-03', 'WHY-08', 'WHY-10'],
  given(source),
  (tree) => {
    assert.ok(tree.size > 0);
    assertNone(waysToStart(tree), 'ways to start a program');
    return `${tree.size} source files, 0 ways to start a program`;
  },
  [
    twin(
      'a backend that runs the nft program',
      given(withFile(source, 'src/backends/nftables/nftables.ts', 'spec/twins/spawning-backend.ts')),
      /node:child_process/,
    ),
    twin(
      'an addon that calls system(3)',
      given(withFile(source, 'native/ban.cc', 'spec/twins/spawning-addon.cc')),
      /native.* system\(\)/,
    ),
  ],
);

/**
 * Places that turn text into code or load code that is not ours, as `place: what`; `native.ts` may
 * load the addon.
 */
function foreignCode(tree: SourceTree): string[] {
  const found: string[] = [];
  for (const [path, text] of tree) {
    if (!path.endsWith('.ts')) {
      found.push(...nativeCalls(text, ['dlopen', 'dlmopen']).map((name) => `${path}: ${name}()`));
      continue;
    }
    for (const { specifier } of importsOf(path, text)) {
      if (forbiddenBuiltins.has(specifier.replace('node:', ''))) found.push(`${path}: ${specifier}`);
    }
    for (const node of nodesOf(path, text)) {
      const name = String(node.name);
      const isCode = node.type === 'Identifier' && (name === 'eval' || name === 'Function');
      const isLoading = node.type === 'Identifier' && name === 'dlopen' && path !== 'src/native.ts';
      if (isCode || isLoading) found.push(`${placeOf(path, text, node)}: ${name}`);
    }
  }
  return found;
}

claim(
  'WHY-14',
  given(source),
  (tree) => {
    assert.ok(tree.size > 0);
    assertNone([...waysToStart(tree), ...foreignCode(tree)], 'ways to run foreign code');
    return `${tree.size} source files: no other program, no text run as code, one loader of native code (src/native.ts)`;
  },
  [
    twin(
      'a backend that runs the nft program',
      given(withFile(source, 'src/backends/nftables/nftables.ts', 'spec/twins/spawning-backend.ts')),
      /node:child_process/,
    ),
    twin(
      'filters loaded as plug-ins',
      given(withFile(source, 'src/filters/index.ts', 'spec/twins/plugin-loader.ts')),
      /src\/filters\/index\.ts: node:vm/,
    ),
  ],
);

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
    return 'ban and unban: refused to a stranger, granted to group and root';
  },
  [
    twin(
      'a server that takes everybody for a member of the group',
      controlSocket({ mode: 0o666, askPeer: () => ({ pid: 1, uid: stranger, gid: controlGroup, groups: [] }) }),
      /a stranger may unban/,
    ),
  ],
  { needs: ['root'] },
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
