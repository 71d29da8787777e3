/**
 * Builds what runs: the engine (wasm with SIMD, wasm scalar) into build/, the three bundles into dist/. Only what is older
 * than its sources is built again; `--force` builds all. Files are renamed into place, so that two builds at once do no harm.
 */
import { mkdirSync, readdirSync, renameSync, rmSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import asc from 'assemblyscript/asc';
import { build } from 'esbuild';

const root = join(import.meta.dirname, '..');
const { values: options } = parseArgs({ options: { force: { type: 'boolean' }, quiet: { type: 'boolean' } } });

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

async function buildEngine(output: string, features: string[]): Promise<void> {
  if (!isStale(output, ['src/engine', 'scripts/build.ts'])) return;
  if (!options.quiet) console.error(`build: ${output}`);
  const temporary = `${output}.${process.pid}`;
  const { error, stderr } = await asc.main([
    'src/engine/engine.ts',
    ...['--lib', 'src/engine/wasm', '--baseDir', root, '--outFile', temporary],
    ...['-O3', '--runtime', 'stub', '--noAssert', '--importMemory', ...features],
  ]);
  if (error) {
    rmSync(join(root, temporary), { force: true });
    throw new Error(`${output}: ${stderr.toString()}`);
  }
  renameSync(join(root, temporary), join(root, output));
}

async function bundle(output: string, entry: string, external: string[] = []): Promise<void> {
  if (!isStale(output, ['src', 'package-lock.json', 'scripts/build.ts'])) return;
  if (!options.quiet) console.error(`build: ${output}`);
  const temporary = `${output}.${process.pid}`;
  await build({
    absWorkingDir: root,
    entryPoints: [entry],
    outfile: temporary,
    bundle: true,
    external,
    platform: 'node',
    target: 'node24',
    format: 'cjs',
    define: { 'import.meta.dirname': '__dirname' },
    legalComments: 'none',
    logLevel: 'warning',
  });
  renameSync(join(root, temporary), join(root, output));
}

mkdirSync(join(root, 'build'), { recursive: true });
mkdirSync(join(root, 'dist'), { recursive: true });
await buildEngine('build/engine.wasm', ['--enable', 'simd']);
await buildEngine('build/engine-scalar.wasm', ['--disable', 'simd']);
await bundle('dist/main.cjs', 'src/main.ts');
// The core runs the wasm engine only; its source beside it would cost 1.4 MiB of the core's heap.
await bundle('dist/core.cjs', 'src/daemon.ts', ['./engine.ts', './linear.ts']);
await bundle('dist/client.cjs', 'src/client.ts');
