/**
 * Builds the program: the engine (wasm with SIMD, wasm scalar) into build/, the bundles into dist/.
 * Only what is older than its sources is rebuilt; `--force` rebuilds all, `--unoptimized` builds
 * engines quickly that run slowly, for tests. Files are renamed into place, so that two builds at
 * once do no harm.
 */
import { existsSync, mkdirSync, readdirSync, readFileSync, renameSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { parseArgs } from 'node:util';
import asc from 'assemblyscript/asc';
import { build, type Plugin } from 'esbuild';
import { forgetFiles } from './compiler.ts';
import { matcherSizes, withoutNames } from './matcher-sizes.ts';

const root = join(import.meta.dirname, '..');
const { values: options } = parseArgs({
  options: { force: { type: 'boolean' }, quiet: { type: 'boolean' }, unoptimized: { type: 'boolean' } },
});

/** Newest modification below the given files and folders, ms. */
function newest(paths: string[]): number {
  return Math.max(
    ...paths.flatMap((path) => {
      const stat = statSync(join(root, path));
      if (!stat.isDirectory()) return [stat.mtimeMs];
      return readdirSync(join(root, path), { recursive: true, encoding: 'utf8' }).map(
        (name) => statSync(join(root, path, name)).mtimeMs,
      );
    }),
  );
}

function isStale(output: string, sources: string[]): boolean {
  if (options.force) return true;
  try {
    return statSync(join(root, output)).mtimeMs < newest(sources);
  } catch {
    return true;
  }
}

/**
 * An engine file for AssemblyScript; null where there is none. Plain TypeScript has no decorator of
 * functions, so a line `// @inline` says which ones are compiled into their callers: those on the
 * way of every line, where a call would cost as much as many of them do (measured: a fifth of the
 * time of a line).
 */
function readEngineFile(name: string, folder: string): string | null {
  const path = join(folder, name);
  return existsSync(path) ? readFileSync(path, 'utf8').replaceAll('\n// @inline\n', '\n@inline\n') : null;
}

/**
 * Optimized with -O2: with -O3 the engine is as fast (by turns, three workloads: within 3 %), a
 * quarter larger, and its build takes three times as long.
 *
 * `folders`: the sources of the engine's memory, `#linear`. `sizes`: the file for the code size of
 * each matcher, for `fail2zig filters`.
 */
async function buildEngine(output: string, folders: string[], features: string[], sizes?: string): Promise<void> {
  const sources = ['src/engine', 'scripts/build.ts'];
  if (!isStale(output, sources) && (sizes === undefined || !isStale(sizes, sources))) return;
  if (!options.quiet) console.error(`build: ${output}`);
  const temporary = `${output}.${process.pid}`;
  forgetFiles();
  const { error, stderr } = await asc.main(
    [
      'src/engine/engine.ts',
      ...folders.flatMap((folder) => ['--lib', folder]),
      ...['--baseDir', root, '--outFile', temporary],
      ...[
        options.unoptimized ? '-O0' : '-O2',
        '--runtime',
        'stub',
        '--noAssert',
        '--importMemory',
        '--debug',
        ...features,
      ],
    ],
    { readFile: readEngineFile },
  );
  if (error) {
    rmSync(join(root, temporary), { force: true });
    throw new Error(`${output}: ${stderr.toString()}`);
  }
  // Function names are needed for measuring; the shipped engine has none.
  const named = readFileSync(join(root, temporary));
  if (sizes !== undefined) writeWhole(sizes, `${JSON.stringify(matcherSizes(named), null, 2)}\n`);
  writeFileSync(join(root, temporary), withoutNames(named));
  renameSync(join(root, temporary), join(root, output));
}

function writeWhole(path: string, text: string): void {
  const temporary = join(root, `${path}.${process.pid}`);
  writeFileSync(temporary, text);
  renameSync(temporary, join(root, path));
}

/**
 * Separate bundles that the core loads only if needed: the backends, the journal, lists of
 * addresses, and file events without inotify.
 */
const apart = [
  ...['nftables/nftables', 'xtables/iptables', 'xtables/ipset', 'xdp/xdp', 'log-only'].map(
    (name) => `backends/${name}`,
  ),
  'sources/journal/journal',
  'sources/portable-events',
  'lists/lists',
];
/** The same for the commands, including the launch stage: each start only reads what it needs. */
const apartOfMain = ['audit', 'check', 'compare', 'filters', 'import', 'match', 'remove', 'replay', 'start'].map(
  (name) => `commands/${name}`,
);
/** The same for the client. */
const apartOfClient = ['client/doctor', 'client/reload', 'client/report', 'client/top'];
const allApart = [...apart, ...apartOfMain, ...apartOfClient];
const bundledApart: Plugin = {
  name: 'apart',
  setup: ({ onResolve }) =>
    onResolve({ filter: /^\.\// }, ({ path, kind }) =>
      kind === 'dynamic-import' && allApart.some((name) => `/${name}.ts`.endsWith(path.slice(1)))
        ? { path: `./${basename(path, '.ts')}.cjs`, external: true }
        : undefined,
    ),
};

/** The bundles of this source; the executable contains all of them. */
const bundles = new Set<string>();

/**
 * Bundles several entries, by output name, in one run: shared files are read once. The bytes are
 * the same as one by one.
 */
async function bundle(entries: Readonly<Record<string, string>>, external: string[] = []): Promise<void> {
  for (const name of Object.keys(entries)) bundles.add(`${name}.cjs`);
  const stale = Object.entries(entries).filter(([name]) =>
    isStale(`dist/${name}.cjs`, ['src', 'package-lock.json', 'scripts/build.ts']),
  );
  if (stale.length === 0) return;
  if (!options.quiet) console.error(`build: ${stale.map(([name]) => `dist/${name}.cjs`).join(' ')}`);
  const temporary = join(root, `dist/.${process.pid}`);
  await build({
    absWorkingDir: root,
    entryPoints: stale.map(([out, path]) => ({ in: path, out })),
    outdir: temporary,
    outExtension: { '.js': '.cjs' },
    bundle: true,
    external,
    plugins: [bundledApart],
    // In CommonJS require() does it: the loader of import() would cost 13 MB.
    supported: { 'dynamic-import': false },
    // Paths are part of the output: the real location of node_modules must not matter.
    preserveSymlinks: true,
    platform: 'node',
    target: 'node24',
    format: 'cjs',
    define: { 'import.meta.dirname': '__dirname' },
    legalComments: 'none',
    // Less to read and compile at each start: it saves a tenth of its time.
    minify: true,
    logLevel: 'warning',
  });
  for (const [name] of stale) renameSync(join(temporary, `${name}.cjs`), join(root, `dist/${name}.cjs`));
  rmSync(temporary, { recursive: true });
}

mkdirSync(join(root, 'build'), { recursive: true });
mkdirSync(join(root, 'dist'), { recursive: true });
await buildEngine(
  'build/engine.wasm',
  ['src/engine/simd', 'src/engine/wasm'],
  ['--enable', 'simd'],
  'build/matchers.json',
);
await buildEngine('build/engine-scalar.wasm', ['src/engine/scalar', 'src/engine/wasm'], ['--disable', 'simd']);
// The shipped program only uses the wasm engine; the plain one would cost 1.4 MiB of the core's
// heap.
const plainEngine = ['./engine.ts', './linear.ts'];
await bundle(
  {
    main: 'src/main.ts',
    core: 'src/daemon.ts',
    ...Object.fromEntries(allApart.map((name) => [basename(name), `src/${name}.ts`])),
    fleet: 'src/fleet/main.ts',
  },
  plainEngine,
);
await bundle({ client: 'src/client/main.ts', single: 'src/single/main.ts' });
for (const name of readdirSync(join(root, 'dist')).filter((file) => file.endsWith('.cjs') && !bundles.has(file))) {
  rmSync(join(root, 'dist', name));
}
