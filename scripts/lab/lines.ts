/**
 * Lines of code by part of the project, counted by cloc. The imports show which files run as root:
 * `src/daemon.ts` and everything that it reaches, with the engine as the sources of its wasm.
 */
import { execFileSync } from 'node:child_process';
import { globSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { reachOf, readTree } from '../../spec/source.ts';

const root = join(import.meta.dirname, '../..');

/** A part of the project and its files. */
export interface Part {
  name: string;
  what: string;
  files: string[];
}

/** Lines of one part. */
export interface Lines {
  files: number;
  code: number;
  comment: number;
}

const isEmitted = (path: string) => path.startsWith('src/engine/generated/');
/**
 * What a Linux host with nftables and log files never loads: separate bundles (scripts/build.ts)
 * for other backends, the dry run, the journal, lists of addresses, and hosts without inotify; and
 * the engine's sources for processors without SIMD.
 */
const isForOthers = (path: string) =>
  /^src\/(backends\/(xtables\/|xdp\/|log-only)|sources\/(journal\/|portable-events)|lists\/|engine\/scalar\/)/.test(
    path,
  );

/** The parts, in the order in which they are printed. */
export function parts(): Part[] {
  const tree = readTree('src/**/*.ts');
  // Production runs the wasm build, so its memory access is counted instead of the plain one.
  const aliases = { '#linear': 'src/engine/simd/#linear.ts', '#access': 'src/engine/wasm/#access.ts' };
  const reached = (entry: string) =>
    [...reachOf(tree, entry, aliases).files].filter((path) => !isEmitted(path) && path !== 'src/engine/linear.ts');
  const core = [...reached('src/daemon.ts'), 'src/engine/scalar/#linear.ts'];
  const inCore = new Set(core);
  const below = (pattern: string) => globSync(pattern).filter((path) => !isEmitted(path) && !path.endsWith('.d.ts'));
  return [
    { name: 'usual', what: 'root, with nftables and log files', files: core.filter((path) => !isForOthers(path)) },
    { name: 'core', what: 'root, every backend and source', files: core },
    { name: 'native', what: 'addon (C++)', files: below('native/*.{cc,h}') },
    {
      name: 'launch',
      what: 'launch stage and commands',
      files: reached('src/main.ts').filter((path) => !inCore.has(path)),
    },
    { name: 'client', what: 'client', files: below('src/client/*.ts') },
    { name: 'filters', what: 'filters', files: below('src/filters/**/*.ts') },
    { name: 'compiler', what: 'compiler', files: below('src/compiler/**/*.ts') },
    { name: 'spec', what: 'specifications', files: below('spec/**/*.{ts,cc}') },
    { name: 'test', what: 'tests', files: below('test/**/*.ts') },
    { name: 'bench', what: 'benchmarks', files: below('bench/*.{ts,c}') },
    { name: 'scripts', what: 'scripts', files: below('scripts/**/*.{ts,mjs}') },
  ];
}

/** Runs cloc over the files. Throws if it counted fewer files than it was given. */
export function countLines(files: readonly string[], folder = root): Lines {
  if (files.length === 0) return { files: 0, code: 0, comment: 0 };
  const scratch = mkdtempSync(join(tmpdir(), 'count-'));
  try {
    const list = join(scratch, 'files');
    writeFileSync(list, `${files.join('\n')}\n`);
    const cloc = join(root, 'node_modules/.bin/cloc');
    // Files with equal content count once each: by default cloc leaves the second one out.
    const args = ['--json', '--quiet', '--skip-uniqueness', `--list-file=${list}`];
    const text = execFileSync(cloc, args, { cwd: folder, encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] });
    const { SUM } = JSON.parse(text) as { SUM: { code: number; comment: number; nFiles: number } };
    if (SUM.nFiles !== files.length) throw new Error(`cloc counted ${SUM.nFiles} of ${files.length} files`);
    return { files: SUM.nFiles, code: SUM.code, comment: SUM.comment };
  } finally {
    rmSync(scratch, { recursive: true });
  }
}

/** fail2ban as packaged, unpacked by `npm run setup -- --tools`; no files if it is missing. */
export function fail2banFiles(): string[] {
  return globSync('build/tools/usr/lib/python3/dist-packages/fail2ban/**/*.py', { cwd: root }).filter(
    (path) => !path.includes('/tests/'),
  );
}
