/**
 * The parts of `npm run test:kernel` that need no emulator: the archive that the guest's kernel
 * unpacks, and the table of what the guest printed.
 */
import { execFileSync, spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { archive, type Entry, program, tree, withoutDoubles } from '../kernel/initramfs.ts';
import { table } from '../kernel/rows.ts';

/** Reads an archive as the kernel does: [name, mode in octal, content]. */
function unpacked(bytes: Buffer): [string, string, string][] {
  const found: [string, string, string][] = [];
  for (let at = 0; at < bytes.length; ) {
    const number = (field: number): number =>
      Number.parseInt(bytes.toString('latin1', at + 6 + 8 * field, at + 14 + 8 * field), 16);
    expect(bytes.toString('latin1', at, at + 6)).toBe('070701');
    const padded = (length: number): number => Math.ceil(length / 4) * 4;
    const nameAt = at + 110;
    const start = padded(nameAt + number(11));
    const end = start + number(6);
    found.push([
      bytes.toString('latin1', nameAt, nameAt + number(11) - 1),
      number(1).toString(8),
      bytes.toString('latin1', start, end),
    ]);
    at = padded(end);
  }
  return found;
}

const text = (path: string, content: string, mode = 0o644): Entry => ({
  path,
  kind: 'file',
  bytes: Buffer.from(content),
  mode,
});

test('an archive holds each folder before what lies in it, files with their modes, links', () => {
  const entries: Entry[] = [
    text('init', '#!', 0o755),
    text('a/b/c', 'abcde'),
    { path: 'a/d', kind: 'link', to: '/a/b/c' },
    { path: 'a', kind: 'folder' },
    { path: 'empty', kind: 'folder' },
  ];
  expect(unpacked(archive(entries))).toEqual([
    ['init', '100755', '#!'],
    ['a', '40755', ''],
    ['a/b', '40755', ''],
    ['a/b/c', '100644', 'abcde'],
    ['a/d', '120777', '/a/b/c'],
    ['empty', '40755', ''],
    ['TRAILER!!!', '0', ''],
  ]);
});

test('cpio reads it too', (context) => {
  const { error, stdout } = spawnSync('cpio', ['-t', '--quiet'], {
    input: archive([text('x/y', 'z')]),
    encoding: 'utf8',
  });
  if (error) context.skip('no cpio here');
  expect(stdout).toBe('x\nx/y\n');
});

test('a program comes with every library that the loader asks for, and the loader', () => {
  const paths = program(process.execPath, 'bin/node').map(({ path }) => path);
  expect(paths[0]).toBe('bin/node');
  expect(paths).toContain('lib/x86_64-linux-gnu/libc.so.6');
  const [, loader] =
    /^\s*\/(\S*ld-linux\S*)/m.exec(execFileSync('ldd', [process.execPath], { encoding: 'utf8' })) ?? [];
  expect(paths).toContain(loader);
});

test('a tree holds what is wanted, and each path once', () => {
  const here = join(import.meta.dirname, '../kernel');
  const entries = tree(here, 'k', (name) => name === 'rows.ts');
  expect(entries).toEqual([expect.objectContaining({ path: 'k/rows.ts', bytes: readFileSync(join(here, 'rows.ts')) })]);
  expect(withoutDoubles([...entries, text('k/rows.ts', 'later')])).toEqual(entries);
});

test('the table says what failed', () => {
  const rows = [
    { name: 'nftables: starts', ok: true, says: 'x', seconds: 1.25 },
    { name: 'journal', ok: false, says: 'why', seconds: 100 },
  ];
  expect(table(rows)).toBe('ok     nftables: starts    1.3 s  x\nFAILED journal           100.0 s  why');
});
