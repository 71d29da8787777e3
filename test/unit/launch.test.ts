/** What the launch stage hands to the core: V8 flags, arguments and environment, each of them. */
import { closeSync, ftruncateSync, openSync, writeFileSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { coreArguments, coreEnvironment, coreFile, coreFlags, handedRecord } from '../../src/commands/start.ts';
import { coreOldSpaceMegabytes, corePoolThreads, coreSemiSpaceMegabytes } from '../../src/config/limits.ts';
import { loadConfig } from '../../src/config/load.ts';
import { followedFileBytes, followedFilesUsual } from '../../src/limits.ts';
import { temporaryDirectory } from '../support/control.ts';

test('the heap is bounded, nothing is compiled for speed, text never becomes code, no debugger opens', () => {
  expect(coreFlags).toEqual([
    `--max-old-space-size=${coreOldSpaceMegabytes}`,
    `--max-semi-space-size=${coreSemiSpaceMegabytes}`,
    '--v8-pool-size=1',
    '--optimize-for-size',
    '--no-opt',
    '--no-maglev',
    '--no-concurrent-sparkplug',
    '--wasm-lazy-validation',
    '--disallow-code-generation-from-strings',
    '--expose-gc',
    '--disable-sigusr1',
  ]);
});

test('the heap grows with the files that are expected, by whole mebibytes, and with nothing else', () => {
  const of = (filesMax?: number) => coreArguments(7, filesMax)!;
  expect(of()).toEqual([...coreFlags, coreFile(`${import.meta.dirname}/../../src/commands`), '--config-fd', '7']);
  expect(of(followedFilesUsual)).toEqual(of());
  const more = 1 + Math.ceil(2 ** 20 / followedFileBytes);
  for (const [files, megabytes] of [
    [1, 1],
    [more, 2],
  ] as const) {
    const [heap, ...rest] = of(followedFilesUsual + files);
    expect(heap).toBe(`--max-old-space-size=${coreOldSpaceMegabytes + megabytes}`);
    expect(rest).toEqual(of().slice(1));
  }
});

const inherited = [
  ...['PATH', 'TZ', 'FAIL2ZIG_NOTIFY_FD', 'WATCHDOG_USEC', 'WATCHDOG_PID', 'INVOCATION_ID', 'JOURNAL_STREAM'],
  ...['RUNTIME_DIRECTORY', 'STATE_DIRECTORY', 'FAIL2ZIG_ADDON_FD', 'NODE_V8_COVERAGE'],
];

test.each(inherited)('the core inherits %s', (name) => {
  expect(coreEnvironment({ [name]: 'x' })).toEqual({ ...coreEnvironment({}), [name]: 'x' });
});

test('and no other variable, and has its own', () => {
  const own = { UV_THREADPOOL_SIZE: String(corePoolThreads), MALLOC_ARENA_MAX: '1' };
  expect(coreEnvironment({ ...process.env, LD_PRELOAD: 'x', UV_THREADPOOL_SIZE: '9', MALLOC_ARENA_MAX: '9' })).toEqual({
    ...own,
    ...Object.fromEntries(Object.entries(process.env).filter(([name]) => inherited.includes(name))),
  });
});

test('the record that is handed to the core can be changed by nobody', () => {
  const home = temporaryDirectory();
  onTestFinished(() => home.remove());
  const settings = join(home.path, 'handed.toml');
  writeFileSync(settings, '[jails.sshd]\nsource = "journal"\n', { mode: 0o600 });
  const descriptor = handedRecord(loadConfig(settings).config);
  expect(() => writeSync(descriptor, 'other', 0)).toThrow('EPERM');
  expect(() => ftruncateSync(descriptor, 0)).toThrow('EPERM');
  const again = openSync(`/proc/self/fd/${descriptor}`, 'r+');
  expect(() => writeSync(again, 'other', 0)).toThrow('EPERM');
  closeSync(again);
  closeSync(descriptor);
});
