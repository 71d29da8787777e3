/**
 * The single executable: the pinned Node, stripped, with our bundles, engine and addon inside
 * (Node's "single executable application"; postject writes them into a note of the ELF file).
 * Stripping comes first: a file that is stripped afterwards ends by SIGSEGV.
 */
import { execFileSync } from 'node:child_process';
import {
  chmodSync,
  closeSync,
  copyFileSync,
  fchmodSync,
  mkdtempSync,
  openSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, join, relative } from 'node:path';
import { type Target, thisMachine } from './target.ts';

const root = join(import.meta.dirname, '../..');
const main = 'dist/single.cjs';
const parts = ['engine.wasm', 'engine-scalar.wasm', 'matchers.json'];

/** The text by which Node knows that it is a single executable. */
const fuse = 'NODE_SEA_FUSE_fce680ab2cc467b6e072b8b5df1996b2';

/**
 * Bytes per write. If a file was written in one piece, Linux keeps it in large folios of its cache
 * and, from 6.18 on, maps each as a whole: 25 MiB of a running daemon instead of 13.
 */
const chunkBytes = 64 * 1024;

function writeInChunks(path: string, bytes: Uint8Array): void {
  const fd = openSync(path, 'w', 0o755);
  for (let at = 0; at < bytes.length; ) at += writeSync(fd, bytes, at, Math.min(chunkBytes, bytes.length - at));
  // Whatever the umask.
  fchmodSync(fd, 0o755);
  closeSync(fd);
}

function isNewer(output: string, inputs: string[]): boolean {
  const built = statSync(output, { throwIfNoEntry: false });
  return built !== undefined && inputs.every((path) => statSync(path).mtimeMs <= built.mtimeMs);
}

/**
 * Builds the executable at `output` from dist/ and build/, if it is older than these; for tests
 * `without` some bundles.
 */
export function buildExecutable(output: string, without: readonly string[] = [], target: Target = thisMachine): void {
  const bundles = readdirSync(join(root, 'dist')).filter(
    (name) => name.endsWith('.cjs') && !['single.cjs', ...without].includes(name),
  );
  const inside = [...bundles.sort().map((name) => join('dist', name)), ...parts.map((name) => join('build', name))];
  const inputs = [import.meta.filename, target.addon, ...[main, ...inside].map((path) => join(root, path))];
  if (isNewer(output, inputs)) return;
  const scratch = mkdtempSync(join(tmpdir(), 'executable-'));
  try {
    const node = join(scratch, 'node');
    const blob = join(scratch, 'blob');
    copyFileSync(join(target.node, 'bin/node'), node);
    chmodSync(node, 0o755);
    execFileSync(target.strip, ['--remove-section=.comment', node], { env: target.env });
    writeFileSync(
      join(scratch, 'sea.json'),
      JSON.stringify({
        // Its path is part of the blob: relative, not from the root of the machine.
        main,
        output: blob,
        disableExperimentalSEAWarning: true,
        // Nothing from the caller's environment; the launch stage passes flags to the core.
        execArgvExtension: 'cli',
        assets: {
          ...Object.fromEntries(inside.map((path) => [basename(path), path])),
          'fail2zig.node': relative(root, target.addon),
        },
      }),
    );
    // The blob is the same for every machine; this machine's Node, of the same version, makes it.
    const ours = join(thisMachine.node, 'bin/node');
    execFileSync(ours, ['--experimental-sea-config', join(scratch, 'sea.json')], {
      cwd: root,
      stdio: ['ignore', 'ignore', 'ignore'],
    });
    const postject = join(root, 'node_modules/.bin/postject');
    // It warns about names that a stripped file no longer has.
    execFileSync(postject, [node, 'NODE_SEA_BLOB', blob, '--sentinel-fuse', fuse], { stdio: 'ignore' });
    writeInChunks(`${output}.${process.pid}`, readFileSync(node));
    renameSync(`${output}.${process.pid}`, output);
  } finally {
    rmSync(scratch, { recursive: true });
  }
}
