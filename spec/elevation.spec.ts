/** Elevation of privilege: what the privileged process can be made to do. Statements about the source are read from its syntax tree. */
import assert from 'node:assert/strict';
import { assertNone } from './assertions.ts';
import { claim, given, twin } from './claim.ts';
import { importsOf, nodesOf, placeOf, readTree, type SourceTree, withFile } from './source.ts';
import { controlGroup, controlSocket, requestAs, stranger } from './support/control-socket.ts';

const source = readTree('src/**/*.ts', 'native/*.{cc,h}');

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
      given(withFile(source, 'src/backends/nftables.ts', 'spec/twins/spawning-backend.ts')),
    ),
    twin('an addon that calls system(3)', given(withFile(source, 'native/ban.cc', 'spec/twins/spawning-addon.cc'))),
  ],
);

/** Places that turn text into code or load code that is not ours, as `place: what`; `native.ts` may load the addon. */
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
      given(withFile(source, 'src/backends/nftables.ts', 'spec/twins/spawning-backend.ts')),
    ),
    twin('filters loaded as plug-ins', given(withFile(source, 'src/filters/index.ts', 'spec/twins/plugin-loader.ts'))),
  ],
);

claim(
  'E-03',
  controlSocket({ mode: 0o666 }),
  async ({ path, reached }) => {
    const args = { address: '192.0.2.7' };
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
    ),
  ],
  { needs: ['root'] },
);
