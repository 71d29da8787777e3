/**
 * Elevation of privilege, second part: who is never banned, whoever asks, in the engine, the
 * enforcer and the kernel; and what the process of the running daemon may do.
 */
import assert from 'node:assert/strict';
import type { NetworkInterfaceInfo } from 'node:os';
import { KernelError } from '../src/backends/kernel-error.ts';
import { Ignored } from '../src/enforcer/ignored.ts';
import type { Address } from '../src/types.ts';
import { addressOf, v4 } from '../test/support/table-driver.ts';
import { until } from '../test/support/until.ts';
import { assertNone } from './assertions.ts';
import { claim, type Supply, twin } from './claim.ts';
import { computedSpecifier, importsOf, nodesOf, placeOf, readTree, type SourceTree, withFile } from './source.ts';
import { type Pipeline, pipeline, rememberingBackend } from './support/pipeline.ts';
import { assertScene, breakage, type Scenarios, type Scene, scenarios } from './support/scenarios.ts';
import { engineTracker, epoch, type Tracker, type TrackerOptions } from './support/tracker.ts';

/**
 * Exceptions: two commands that an operator runs by hand (`check` starts our own core once, to ask
 * whether the ceiling fits the configuration, and `compare` runs an installed fail2ban), and the
 * start of the single executable, which runs the bundles and loads the addon inside it.
 */
const apart = new Set(['src/commands/check.ts', 'src/import/fail2ban.ts', 'src/single/main.ts']);
const source: SourceTree = new Map(
  [...readTree('src/**/*.ts', 'native/*.{cc,h}')].filter(([path]) => !apart.has(path)),
);

/** Parts of Node that start processes, run text as code or load code from elsewhere. */
const forbiddenBuiltins = new Set(['child_process', 'cluster', 'vm', 'repl', 'inspector', 'module', 'wasi']);
/** C functions that start a program. */
const spawningFunctions = ['system', 'popen', 'fork', 'vfork', 'clone', 'posix_spawn', 'posix_spawnp'];
const executingFunctions = ['execl', 'execlp', 'execle', 'execv', 'execvp', 'execvpe', 'execve', 'execveat', 'fexecve'];

/** System calls that start a program, by their names for syscall(2). */
const startingCalls = ['execve', 'execveat', 'fork', 'vfork', 'clone', 'clone3'].map((name) => `SYS_${name}`);

/** Ways into the runtime that bypass its modules. */
const internals = new Set(['_linkedBinding', 'binding', 'createRequire']);

/** C++ without comments and texts. */
function codeOf(text: string): string {
  return text.replaceAll(/\/\*[\s\S]*?\*\/|\/\/[^\n]*/g, ' ').replaceAll(/"(?:[^"\\]|\\.)*"/g, '""');
}

/** A C++ call of one of `names`. */
function nativeCalls(text: string, names: string[]): string[] {
  return names.filter((name) => new RegExp(`(?<![\\w.])${name}\\s*\\(`).test(codeOf(text)));
}

/** Every way to start a program in the tree, as `path: what`. */
function waysToStart(tree: SourceTree): string[] {
  const ways: string[] = [];
  for (const [path, text] of tree) {
    if (!path.endsWith('.ts')) {
      ways.push(
        ...nativeCalls(text, [...spawningFunctions, ...executingFunctions]).map((name) => `${path}: ${name}()`),
        ...startingCalls.filter((name) => codeOf(text).includes(name)).map((name) => `${path}: syscall(${name})`),
      );
      continue;
    }
    for (const { specifier } of importsOf(path, text)) {
      const isProgram = specifier.replace('node:', '') === 'child_process' || specifier === computedSpecifier;
      if (isProgram) ways.push(`${path}: ${specifier}`);
    }
    for (const node of nodesOf(path, text)) {
      if (node.type === 'Identifier' && internals.has(String(node.name))) ways.push(`${path}: ${node.name}`);
    }
  }
  return ways;
}

/** The sources, and the running daemon. */
interface Process {
  tree: SourceTree;
  scene: Scene;
}

function processOf(tree: SourceTree, scene: Supply<Scene> = scenarios({})): Supply<Process> {
  return {
    make: async () => ({ tree, scene: await scene.make() }),
    dispose: (piece) => scene.dispose?.(piece.scene),
  };
}

const bans: Scenarios = { process: ['bans, unbans and saves start no process and no thread'] };
const core: Scenarios = {
  process: ['the core takes no code from text, no debugger, and nothing from the environment of its caller'],
};

claim(
  ['WHY-03', 'WHY-08', 'WHY-10'],
  processOf(source, scenarios(bans)),
  async ({ tree, scene }) => {
    assert.ok(tree.size > 0);
    assertNone(waysToStart(tree), 'ways to start a program');
    return `${tree.size} source files, 0 ways to start a program; no process during 72 bans and unbans: ${await assertScene(scene)}`;
  },
  [
    twin(
      'a backend that runs the nft program',
      processOf(withFile(source, 'src/backends/nftables/nftables.ts', 'spec/twins/spawning-backend.ts')),
      /node:child_process/,
    ),
    twin(
      'an addon that calls system(3)',
      processOf(withFile(source, 'native/ban.cc', 'spec/twins/spawning-addon.cc')),
      /native.* system\(\)/,
    ),
    twin(
      'a daemon that runs a program whose module is named at run time',
      processOf(source, scenarios(bans, breakage('a ban runs a program whose module is named at run time'))),
      // The filter of system calls (E-01c) ends the process at the attempt.
      /processes and threads since|cannot reach the daemon|ended the connection without an answer/,
    ),
  ],
  { needs: ['linux', 'root', 'namespaces', 'built', 'nft'], timeoutMs: 240_000 },
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
  processOf(source, scenarios(core)),
  async ({ tree, scene }) => {
    assert.ok(tree.size > 0);
    assertNone([...waysToStart(tree), ...foreignCode(tree)], 'ways to run foreign code');
    return `${tree.size} source files: no other program, no text run as code, one loader of native code (src/native.ts); flags and environment of the running core: ${await assertScene(scene)}`;
  },
  [
    twin(
      'a backend that runs the nft program',
      processOf(withFile(source, 'src/backends/nftables/nftables.ts', 'spec/twins/spawning-backend.ts')),
      /node:child_process/,
    ),
    twin(
      'filters loaded as plug-ins',
      processOf(withFile(source, 'src/filters/index.ts', 'spec/twins/plugin-loader.ts')),
      /src\/filters\/index\.ts: node:vm/,
    ),
    twin(
      'a core that may make code of text',
      processOf(source, scenarios(core, breakage('the core may make code of text'))),
      /text becomes code/,
    ),
  ],
  { needs: ['linux', 'root', 'namespaces', 'built', 'nft'], timeoutMs: 240_000 },
);

const ignored = (text: string, family: 4 | 6, prefix: number): Address => {
  const bytes = new Uint8Array(16);
  if (family === 4) bytes.set([0xff, 0xff, ...text.split('.').map(Number)], 10);
  else
    for (const [index, group] of text.split(':').entries())
      new DataView(bytes.buffer).setUint16(index * 2, Number.parseInt(group, 16));
  return { family, bytes, prefix };
};
const ignoreList = [
  ignored('192.0.2.0', 4, 24),
  ignored('198.51.100.7', 4, 32),
  ignored('2001:db8:0:1:0:0:0:0', 6, 64),
  ignored('203.0.113.8', 4, 31),
  ignored('203.0.113.64', 4, 27),
  ignored('2001:db8:8:0:0:0:0:0', 6, 47),
];
/** The second jail has an entry of its own, and lacks the last one of the first jail. */
const ignoreLists = [ignoreList, [...ignoreList.slice(0, -1), ignored('198.51.100.200', 4, 32)]];

/** The engine told of failures: nobody on a list is banned, and everybody else is. */
function assertListed(tracker: Tracker): string {
  const safe = [
    '192.0.2.0',
    '192.0.2.255',
    '198.51.100.7',
    '::ffff:192.0.2.9',
    '2001:db8:0:1::1',
    '2001:db8:0:1:ffff::',
    '203.0.113.8',
    '203.0.113.9',
    '203.0.113.64',
    '203.0.113.95',
  ];
  const others = [
    ...['192.0.1.255', '192.0.3.0', '198.51.100.6', '198.51.100.8', '2001:db8:0:2::1'],
    ...['203.0.113.7', '203.0.113.10', '203.0.113.63', '203.0.113.96', '2001:db8:7::1', '2001:db8:a::1'],
  ];
  const onlyFirst = ['2001:db8:8::1', '2001:db8:9::1'];
  const onlySecond = '198.51.100.200';
  for (let failure = 0; failure < 20; failure++) {
    for (const address of [...safe, ...others, ...onlyFirst, onlySecond]) tracker.fail(address, epoch + failure);
  }
  const banned = new Set(tracker.take().map(({ jail, address }) => `${jail} ${address}`));
  const listed = ['192.0.2.0', '192.0.2.255', '198.51.100.7', '192.0.2.9', '2001:db8:0:1:0:0:0:0'];
  for (const address of [...listed, '203.0.113.8', '203.0.113.9', '203.0.113.64', '203.0.113.95']) {
    assert.ok(!banned.has(`0 ${address}`) && !banned.has(`1 ${address}`), `${address} is on the list and was banned`);
  }
  assert.ok(banned.has(`0 ${onlySecond}`) && !banned.has(`1 ${onlySecond}`), 'the list of the second jail is its own');
  for (const text of ['2001:db8:8:0:0:0:0:0', '2001:db8:9:0:0:0:0:0']) {
    assert.ok(!banned.has(`0 ${text}`) && banned.has(`1 ${text}`), `the list of the first jail is its own: ${text}`);
  }
  assert.equal(banned.size, 2 * others.length + 1 + onlyFirst.length, 'bans of the neighbours in two jails');
  return `${safe.length} listed sources with 20 failures each in 2 jails: none banned; ${banned.size} bans of others`;
}

/**
 * A decision waits for the kernel while its address is added to the list; resolves to the bans in
 * the end.
 */
async function bansAfterWaiting(list: readonly Address[]): Promise<string[]> {
  let refuses = true;
  const backend = rememberingBackend(() => (refuses ? new KernelError(105, 'ban') : undefined));
  const made: Pipeline = await pipeline({ backend });
  made.fail('192.0.2.1', '192.0.2.2');
  await until(() => made.enforcer.problem !== undefined, { what: 'the refusal' });
  made.engine.setIgnored([list]);
  refuses = false;
  await until(() => backend.held.has('sshd 192.0.2.2'), { what: 'the ban of the other address' });
  await made.enforcer.stop();
  return [...backend.held.keys()].sort();
}

const eth0 = [{ address: '192.0.2.9' }] as NetworkInterfaceInfo[];
const ownWhere = (ignoreself: boolean): number =>
  new Ignored([{ ignoreip: [], ignoreself }], () => ({ eth0 })).lists[0]!.length;

/** Own addresses that come and go, bans by hand, and the rules of the kernel. */
const asked: Scenarios = {
  restart: ['an address that the host gets is ignored from then on, in table and kernel'],
  nftables: ['lets allowed networks pass though a ban covers them, in that jail only'],
  xdp: ['lets allowed networks pass though a ban covers them, in that jail only'],
};

interface Whoever {
  tracker: Tracker;
  waiting: () => Promise<string[]>;
  scene: Scene;
}

function whoever(
  options: TrackerOptions,
  { list = [addressOf(v4('192.0.2.1'))], scene = scenarios({}) }: { list?: Address[]; scene?: Supply<Scene> } = {},
): Supply<Whoever> {
  return {
    make: async () => ({
      tracker: await engineTracker(options).make(),
      waiting: () => bansAfterWaiting(list),
      scene: await scene.make(),
    }),
    dispose: (piece) => scene.dispose?.(piece.scene),
  };
}

const lists: TrackerOptions = { maxretry: [2, 5], ignores: ignoreLists };

claim(
  'E-02b',
  whoever(lists, { scene: scenarios(asked) }),
  async ({ tracker, waiting, scene }) => {
    const said = assertListed(tracker);
    assert.deepEqual(await waiting(), ['sshd 192.0.2.2'], 'bans after one address came onto the list meanwhile');
    assert.deepEqual([ownWhere(true), ownWhere(false)], [3, 0], 'own addresses with and without ignoreself');
    return `${said}; own addresses, bans by hand and the kernel's own rules: ${await assertScene(scene)}`;
  },
  [
    twin('an engine without the list', whoever({ maxretry: [2, 5] }), /is on the list and was banned/),
    twin(
      'a list that forgets IPv6',
      whoever({ maxretry: [2, 5], ignore: ignoreList.filter(({ family }) => family === 4) }),
      /2001.* is on the list and was banned/,
    ),
    twin(
      'one list for both jails',
      whoever({ maxretry: [2, 5], ignore: ignoreLists[1]! }),
      /the list of the second jail is its own/,
    ),
    twin(
      'a list that is too wide',
      whoever({ maxretry: [2, 5], ignores: ignoreLists.map((list) => [...list, ignored('192.0.0.0', 4, 16)]) }),
      /bans of the neighbours/,
    ),
    twin(
      'a decision that waits and is not looked at again',
      whoever(lists, { list: [] }),
      /came onto the list meanwhile/,
    ),
    twin(
      'an operator who may ban whom he likes',
      whoever(lists, {
        scene: scenarios({ restart: asked.restart! }, breakage('the operator may ban an ignored address')),
      }),
      /an address that the host gets is ignored/,
    ),
  ],
  { needs: ['linux', 'root', 'namespaces', 'built', 'nft'], timeoutMs: 240_000 },
);
