/**
 * The start of the single executable (`npm run package`): finds out as what it was called and runs
 * that bundle, which lies inside: `fail2zig-client` and `fail2zig-fleet` by their names, the core
 * by its first argument (what the launch stage hands over), else the launch stage. Before that it
 * puts the addon where dlopen(3) can read it: in a file without a name (O_TMPFILE), in a directory
 * of ours.
 *
 * Node reads no NODE_OPTIONS here ("execArgvExtension": "cli"), and no option of its own but
 * `--node-options`, which the launch stage gives the core.
 */
import { constants, openSync, statSync, writeSync } from 'node:fs';
import { createRequire } from 'node:module';
import { basename, dirname } from 'node:path';
import { getAsset, getRawAsset } from 'node:sea';
import { compileFunction } from 'node:vm';
import { addonVariable } from '../parts.ts';

const [, name, first] = process.argv;
const builtIn = createRequire(process.execPath);

/** Where an executable file without a name may be made: nobody else can open it there. */
function directories(): (string | undefined)[] {
  const { STATE_DIRECTORY, RUNTIME_DIRECTORY, XDG_RUNTIME_DIR, HOME } = process.env;
  const given = [STATE_DIRECTORY, RUNTIME_DIRECTORY].map((list) => list?.split(':')[0]);
  return [...given, '/var/lib/fail2zig', '/run/fail2zig', dirname(process.execPath), XDG_RUNTIME_DIR, HOME];
}

/** O_TMPFILE of asm-generic/fcntl.h, which is no constant of Node's. */
const unnamed = 0o20000000 | constants.O_DIRECTORY;

/**
 * Makes the addon loadable by a descriptor that lasts, in the first directory that is ours alone
 * and may hold code (not mounted noexec). Where none is, the bundle says what was tried when it
 * needs it.
 */
function placeAddon(): void {
  const bytes = new Uint8Array(getRawAsset('fail2zig.node'));
  const tried = new Map<string, string>();
  for (const directory of directories()) {
    if (directory === undefined) continue;
    try {
      const { uid, mode } = statSync(directory);
      if (uid !== process.geteuid?.()) throw new Error(`it belongs to user ${uid}`);
      if ((mode & 0o022) !== 0) throw new Error('others may write it');
      const fd = openSync(directory, constants.O_RDWR | unnamed, 0o700);
      for (let written = 0; written < bytes.length; ) written += writeSync(fd, bytes, written);
      process.dlopen({ exports: {} }, `/proc/self/fd/${fd}`);
      process.env[addonVariable] = String(fd);
      return;
    } catch (error) {
      const { syscall, code, message } = error as NodeJS.ErrnoException;
      tried.set(directory, syscall === undefined ? message : `${code}`);
    }
  }
  const reasons = [...tried].map(([directory, why]) => `${directory} (${why})`);
  process.env[addonVariable] =
    `it takes a mounted /proc and a directory of ours that others cannot write and that is not mounted noexec;
  tried ${reasons.join(', ')}
  mkdir -m 0755 /var/lib/fail2zig makes one`;
}

/** Runs a bundle of this executable; what it requires is Node's own or another one. */
function run(bundle: string): unknown {
  const exported = { exports: {} };
  const require = (id: string): unknown => (id.startsWith('./') ? run(basename(id)) : builtIn(id));
  const parameters = ['require', 'module', 'exports', '__dirname', '__filename'];
  const body = compileFunction(getAsset(bundle, 'utf8'), parameters, { filename: bundle });
  body(require, exported, exported.exports, dirname(process.execPath), process.execPath);
  return exported.exports;
}

const isCore = first === '--config-fd';
if (!isCore) placeAddon();
const byName: Record<string, string> = { 'fail2zig-client': 'client.cjs', 'fail2zig-fleet': 'fleet.cjs' };
run(byName[basename(name)] ?? (isCore ? 'core.cjs' : 'main.cjs'));
