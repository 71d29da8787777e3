/**
 * System calls that no part of the program makes: from inside the real core, whose bundle gets a
 * hook in front, and under its filter in a separate process.
 */
import { execFileSync } from 'node:child_process';
import { cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Call } from './seccomp.ts';

const root = join(import.meta.dirname, '../..');
const modules = join(root, 'node_modules');

/** Compiles one of the sources beside this file. */
function compile(source: string, output: string, options: string[]): void {
  execFileSync(process.env.CXX || 'g++', ['-std=c++17', '-O1', ...options, source, '-o', output]);
}

let hooked: string | undefined;

/**
 * A copy of the program whose core makes the attempt `name` at SIGUSR2, with files below `home`.
 */
export function hookedProgram(name: string, home: string, logs: string): string {
  hooked ??= makeHooked();
  writeFileSync(join(hooked, 'dist/asked'), `${name}\n${home}\n${logs}`);
  return join(hooked, 'dist/main.cjs');
}

function makeHooked(): string {
  const directory = mkdtempSync(join(tmpdir(), 'fail2zig-hooked-'));
  process.once('exit', () => rmSync(directory, { recursive: true, force: true }));
  const dist = join(directory, 'dist');
  cpSync(join(root, 'dist'), dist, { recursive: true });
  mkdirSync(join(directory, 'build'));
  for (const part of ['engine.wasm', 'engine-scalar.wasm', 'fail2zig.node', 'matchers.json']) {
    cpSync(join(root, 'build', part), join(directory, 'build', part));
  }
  const headers = [join(modules, `node-linux-${process.arch}`, 'include/node'), join(modules, 'node-addon-api')];
  const addon = ['-fPIC', '-shared', '-fno-exceptions', '-DNAPI_DISABLE_CPP_EXCEPTIONS'];
  const include = headers.flatMap((path) => ['-isystem', path]);
  compile(join(import.meta.dirname, 'raw-calls/hook.cc'), join(dist, 'hook.node'), [...addon, ...include]);
  // At the signal, the file `asked` holds the name and the arguments of the attempt.
  const hook = `{
    const fs = require('fs'), hook = { exports: {} };
    process.dlopen(hook, __dirname + '/hook.node');
    const call = hook.exports.call, text = (path) => Buffer.from(path + '\\0');
    process.on('SIGUSR2', () => {
      let said;
      try { said = eval0(fs.readFileSync(__dirname + '/asked', 'utf8')); } catch (error) { said = error.code ?? error; }
      fs.writeSync(2, 'hook: ' + said + '\\n');
    });
    const attempts = { ATTEMPTS };
    const eval0 = (asked) => attempts[asked.split('\\n')[0]](call, text, fs, ...asked.split('\\n').slice(1));
  }\n`;
  const core = readFileSync(join(dist, 'core.cjs'), 'utf8');
  const source = Object.entries({ ...attempts, ...fileAttempts }).map(
    ([name, { make }]) => `${JSON.stringify(name)}: ${make}`,
  );
  writeFileSync(join(dist, 'core.cjs'), hook.replace('ATTEMPTS', () => source.join(',\n')) + core);
  return directory;
}

/** How an attempt ends where the daemon is confined. */
export type Ending = 'killed' | 'ended' | 'EACCES';

/** What an exploit would do next, as the source of a function of the core. */
export const attempts: Readonly<Record<string, { make: string; ending: Ending }>> = {
  'execve of a shell': { make: `(call, text) => call(59, text('/bin/sh'), 0, 0)`, ending: 'killed' },
  'a program by Node': {
    make: `() => process.binding('spawn_sync').spawn({ file: '/bin/true', args: ['true'], stdio: [] }).pid`,
    ending: 'ended',
  },
  'a new thread': { make: `() => new (require('worker_threads').Worker)('', { eval: true }) && 0`, ending: 'ended' },
  'a ring of io_uring': { make: '(call) => call(425, 4, Buffer.alloc(120))', ending: 'killed' },
  'the memory of another process': { make: '(call) => call(101, 16, 1, 0, 0)', ending: 'killed' },
  'a TCP connection': { make: '(call) => call(41, 2, 1, 0)', ending: 'ended' },
  // SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC: what the core opens until everything listens.
  'a TCP connection the way Node opens one': { make: '(call) => call(41, 2, 0x80801, 0)', ending: 'ended' },
  'new executable memory': { make: '(call) => call(9, 0, 4096, 7, 34, -1, 0)', ending: 'ended' },
  'its heap made executable': {
    make: `(call) => {
      const [from] = /^([0-9a-f]+)-[0-9a-f]+ rw-p .* \\[heap\\]$/m.exec(require('fs').readFileSync('/proc/self/maps', 'latin1')).slice(1);
      return call(10, parseInt(from, 16), 4096, 7);
    }`,
    ending: 'ended',
  },
  'a handler of its own for refused calls': {
    make: '(call) => call(13, 31, Buffer.alloc(152), 0, 8)',
    ending: 'ended',
  },
  'the passwords': { make: `(call, text, fs) => fs.readFileSync('/etc/shadow').length`, ending: 'EACCES' },
};

/** How Landlock alone treats attempts, in a core without the system-call filter. */
export const fileAttempts: Readonly<Record<string, { make: string; ending: string }>> = {
  'a shell': { make: `(call, text) => call(59, text('/bin/sh'), 0, 0)`, ending: '-13' },
  // The file may be read, and it is a program: only the right to run it is missing.
  'a library run': {
    make: `(call, text, fs) => call(59, text(/ (\\/\\S*\\/libc\\.so\\.6)$/m.exec(fs.readFileSync('/proc/self/maps', 'latin1'))[1]), 0, 0)`,
    ending: '-13',
  },
  'passwords read': { make: `(call, text, fs) => fs.readFileSync('/etc/shadow').length`, ending: 'EACCES' },
  'a file written in /etc': {
    make: `(call, text, fs) => fs.writeFileSync('/etc/fail2zig-hooked', '')`,
    ending: 'EACCES',
  },
  'its own log read': {
    make: `(call, text, fs, home, logs) => fs.readFileSync(logs + '/auth.log', 'latin1').length`,
    ending: '5',
  },
  'its own log written': {
    make: `(call, text, fs, home, logs) => fs.appendFileSync(logs + '/auth.log', 'x')`,
    ending: 'EACCES',
  },
  'its state written': {
    make: `(call, text, fs, home) => fs.writeFileSync(home + '/state/other', '') ?? 'written'`,
    ending: 'written',
  },
  'a connection': {
    make: `(call) => call(42, call(41, 2, 1, 0), Buffer.from([2, 0, 0, 9, 127, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0]), 16)`,
    ending: '-13',
  },
  'a signal': { make: '(call) => call(62, 1, 0)', ending: '-1' },
};

/** What happens to each call under a filter. */
export function underFilter(filter: Uint8Array, calls: readonly Call[]): ('passed' | 'refused')[] {
  const directory = mkdtempSync(join(tmpdir(), 'fail2zig-calls-'));
  const program = join(directory, 'under-filter');
  compile(join(import.meta.dirname, 'raw-calls/under-filter.cc'), program, []);
  writeFileSync(join(directory, 'filter'), filter);
  const lines = calls.map(({ number, arguments: given = [] }) => [number, ...given.map(String)].join(' '));
  const output = execFileSync(program, [join(directory, 'filter')], {
    input: `${lines.join('\n')}\n`,
    encoding: 'utf8',
  });
  execFileSync('rm', ['-r', directory]);
  return output.trim().split('\n') as ('passed' | 'refused')[];
}
