/** Locks that prevent a second daemon. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmodSync, closeSync, lstatSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { InUseError, tableLockPath, takeLock } from '../../src/sole.ts';
import { temporaryDirectory } from '../support/control.ts';

let directory: ReturnType<typeof temporaryDirectory>;
let path: string;

beforeEach(() => {
  directory = temporaryDirectory();
  path = join(directory.path, 'made', 'lock');
});

afterEach(() => directory.remove());

const take = (): number => takeLock(path, 'table "x"', 'table of its own');

test('one has it until it lets go, and only its owner can open it', () => {
  const lock = take();
  expect(lstatSync(path).mode & 0o777).toBe(0o600);
  expect(take).toThrow(InUseError);
  expect(take).toThrow(`another fail2zig (process ${process.pid}) holds the table "x"`);
  closeSync(lock);
  closeSync(take());
});

test('the end of a process ends its lock', async () => {
  const script = `import('${join(import.meta.dirname, '../../src/sole.ts')}').then(({ takeLock }) => {
    takeLock('${path}', 'table', 'own');
    process.stdout.write('taken');
    setInterval(() => {}, 1000);
  });`;
  const other = spawn(process.execPath, ['-e', script]);
  await once(other.stdout, 'data');
  expect(take).toThrow(`process ${other.pid}`);
  other.kill('SIGKILL');
  await once(other, 'exit');
  closeSync(take());
});

test('a file that others can open, or a link, is refused as a lock', () => {
  closeSync(take());
  chmodSync(path, 0o644);
  expect(take).toThrow('not ours alone');
  const link = join(directory.path, 'link');
  writeFileSync(join(directory.path, 'target'), '');
  symlinkSync('target', link);
  expect(() => takeLock(link, 'x', 'y')).toThrow('ELOOP');
});

test('the lock of a table belongs to one network namespace', () => {
  expect(tableLockPath('fail2zig')).toMatch(/^\/run\/fail2zig\/table-[0-9]+-fail2zig\.lock$/);
});
