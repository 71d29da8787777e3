/**
 * The start of the single executable (`npm run package`): looks at the name it was called by and
 * runs the matching bundle, which is inside it: `fail2zig-client` and `fail2zig-fleet` by their
 * names, the core by its first argument (passed by the launch stage), else the launch stage. Before
 * that it copies the addon to where dlopen(3) can read it: an unnamed file (O_TMPFILE) in a
 * directory of ours.
 *
 * Node reads no NODE_OPTIONS here ("execArgvExtension": "cli"), and none of its own options except
 * `--node-options`, which the launch stage passes to the core.
 */
import { constants, openSync, statSync, writeSync } from 'node:fs';
import { createRequire } from 'node:module';
import { basename, dirname } from 'node:path';
import { getAsset, getRawAsset } from 'node:sea';
import { compileFunction } from 'node:vm';
import { addonVariable } from '../parts.ts';

const [, name, first] = process.argv;
const builtIn = createRequire(process.execPath);

/** Directories for an unnamed executable file: nobody else can open it there. */
function directories(): (string | undefined)[] {
  const { STATE_DIRECTORY, RUNTIME_DIRECTORY, XDG_RUNTIME_DIR, HOME } = process.env;
  const given = [STATE_DIRECTORY, RUNTIME_DIRECTORY].map((list) => list?.split(':')[0]);
  return [...given, '/var/lib/fail2zig', '/run/fail2zig', dirname(process.execPath), XDG_RUNTIME_DIR, HOME];
}

/** O_TMPFILE of asm-generic/fcntl.h; Node has no constant for it. */
const unnamed = 0o20000000 | constants.O_DIRECTORY;

/**
 * Makes the addon loadable through a descriptor that stays open, in the first directory that only
 * we can write to and that allows execution (not mounted noexec). If there is none, the bundle
 * reports what was tried when it needs the addon.
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

/** Runs a bundle from this executable; it may require Node's modules and other bundles. */
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
