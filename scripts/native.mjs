/**
 * Builds native/*.cc into build/fail2zig.node with plain g++ against the headers of the pinned
 * Node: no node-gyp, no network. Plain JavaScript without dependencies, so that whatever Node
 * started npm can run it. Rebuilds only when a source is newer than the addon. Written to a
 * temporary name and renamed, so that two builds at once do no harm.
 */
import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, readdirSync, renameSync, rmSync, statSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = dirname(dirname(fileURLToPath(import.meta.url)));

/** How the addon is compiled: to ship, or to be watched by the sanitizers of the compiler. */
const shipped = ['-O2', '-s', '-fstack-protector-strong', '-D_FORTIFY_SOURCE=2'];
export const sanitized = [
  '-O1',
  '-g',
  '-fno-omit-frame-pointer',
  '-fsanitize=address,undefined',
  '-fno-sanitize-recover',
];

/** @returns {boolean} true when `output` is missing or older than one of `inputs` */
function isStale(output, inputs) {
  if (!existsSync(output)) return true;
  const built = statSync(output).mtimeMs;
  return inputs.some((input) => statSync(input).mtimeMs > built);
}

/**
 * Builds the addon if needed.
 * @param {string} output
 * @param {string[]} how
 * @param {{ compiler: string[], env: NodeJS.ProcessEnv, node: string }} [machine] another one:
 *   words of its compiler, their environment, and the folder of its Node
 * @returns {{ built: boolean, output: string }}
 * @throws {Error} whose message says what is missing and what to do
 */
export function buildNative(output = join(root, 'build', 'fail2zig.node'), how = shipped, machine = undefined) {
  const folder = join(root, 'native');
  const files = readdirSync(folder).map((name) => join(folder, name));
  const sources = files.filter((name) => name.endsWith('.cc')).sort();
  const node = machine?.node ?? join(root, 'node_modules', `node-linux-${process.arch}`);
  const nodeHeaders = join(node, 'include', 'node');
  const addonHeaders = join(root, 'node_modules', 'node-addon-api');
  for (const [headers, file] of [
    [nodeHeaders, 'node_api.h'],
    [addonHeaders, 'napi.h'],
  ]) {
    if (!existsSync(join(headers, file)))
      throw new Error(`${join(headers, file)} is missing: run \`npm install\` first`);
  }
  if (!isStale(output, [...files, fileURLToPath(import.meta.url)])) return { built: false, output };

  mkdirSync(dirname(output), { recursive: true });
  const temporary = `${output}.${process.pid}`;
  const [compiler = '', ...words] = machine?.compiler ?? [process.env.CXX || 'g++'];
  const result = spawnSync(
    compiler,
    [
      ...words,
      '-std=c++17',
      ...how,
      '-fPIC',
      '-shared',
      '-Wall',
      '-Wextra',
      '-fno-exceptions',
      '-fvisibility=hidden',
      '-Wl,-z,relro,-z,now',
      '-DNAPI_VERSION=9',
      '-DNAPI_DISABLE_CPP_EXCEPTIONS',
      '-isystem',
      nodeHeaders,
      '-isystem',
      addonHeaders,
      ...sources,
      '-o',
      temporary,
    ],
    { cwd: root, encoding: 'utf8', env: machine?.env ?? process.env },
  );
  if (result.error?.code === 'ENOENT') {
    throw new Error(
      `${compiler} is not installed; on Debian: apt-get install -y g++ (needed once, to build the kernel addon)`,
    );
  }
  if (result.status !== 0) {
    rmSync(temporary, { force: true });
    throw new Error(
      `${compiler} could not build the addon:\n${result.stderr || result.error || `signal ${result.signal}`}`,
    );
  }
  if (result.stderr) process.stderr.write(result.stderr);
  renameSync(temporary, output);
  return { built: true, output };
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  try {
    const { built, output } = buildNative();
    console.log(`${built ? 'built' : 'up to date'}: ${output}`);
  } catch (error) {
    console.error(error.message);
    process.exitCode = 1;
  }
}
