/**
 * The tests that call the addon, over a build of it with the compiler's sanitizers (ASan, UBSan):
 * an access outside a buffer, a use after free or an overflow ends the test process. They run in a
 * copy of the sources under build/asan, where the loader finds that build and no other.
 */
import { spawnSync } from 'node:child_process';
import { cpSync, mkdirSync, rmSync, symlinkSync } from 'node:fs';
import { join } from 'node:path';
import { buildNative, sanitized } from './native.mjs';

const root = join(import.meta.dirname, '..');
const copy = join(root, 'build', 'asan');

/** Everything that uses the addon directly; the last ones in network namespaces. */
const tests = {
  plain: ['test/unit/native-arguments.test.ts', 'test/unit/readable.test.ts', 'test/unit/memory.test.ts'],
  kernel: [
    'test/netns/nftables.test.ts',
    'test/netns/iptables-ipset.test.ts',
    'test/netns/reachable.test.ts',
    'test/netns/xdp.test.ts',
  ],
};

function libraryOf(name: string): string {
  const { stdout } = spawnSync(process.env.CXX || 'g++', [`-print-file-name=${name}`], { encoding: 'utf8' });
  return stdout.trim();
}

for (const name of ['src', 'test', 'spec', 'scripts', 'dist'])
  rmSync(join(copy, name), { recursive: true, force: true });
mkdirSync(join(copy, 'build'), { recursive: true });
for (const name of ['src', 'test', 'spec', 'scripts', 'dist', 'package.json', 'vitest.config.ts', 'tsconfig.json'])
  cpSync(join(root, name), join(copy, name), { recursive: true });
for (const name of ['engine.wasm', 'engine-scalar.wasm', 'matchers.json'])
  cpSync(join(root, 'build', name), join(copy, 'build', name));
rmSync(join(copy, 'node_modules'), { force: true });
symlinkSync(join(root, 'node_modules'), join(copy, 'node_modules'));
console.log(buildNative(join(copy, 'build', 'fail2zig.node'), sanitized).output);

const env = {
  ...process.env,
  LD_PRELOAD: `${libraryOf('libasan.so')} ${libraryOf('libubsan.so')}`,
  // V8 frees nothing when it ends.
  ASAN_OPTIONS: 'detect_leaks=0',
  UBSAN_OPTIONS: 'print_stacktrace=1',
};
const only = process.argv[2];
for (const [project, files] of Object.entries(tests)) {
  if (only !== undefined && only !== project) continue;
  const parameters = ['run', '--project', project, '--maxWorkers=1', ...files];
  const done = spawnSync(join(root, 'node_modules', '.bin', 'vitest'), parameters, {
    cwd: copy,
    env,
    stdio: 'inherit',
  });
  if (done.status !== 0) process.exit(1);
}
