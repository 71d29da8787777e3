/**
 * The answers to mistakes of a new operator: what is wrong, in our words, and what to write
 * instead.
 */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { gzipSync, zstdCompressSync } from 'node:zlib';
import { afterAll, describe, expect, test, vi } from 'vitest';
import { call } from '../../src/client/call.ts';
import { argumentsOf } from '../../src/client/words.ts';
import { parseOptions } from '../../src/commands/options.ts';
import { compileConfig } from '../../src/config/compile.ts';
import { ConfigError } from '../../src/config/problem.ts';
import { withInput } from '../../src/sources/read-whole.ts';

const folder = mkdtempSync(join(tmpdir(), 'fail2zig-messages-'));
afterAll(() => rmSync(folder, { recursive: true }));

/** What `run` prints on standard error. */
function said(run: () => void): string {
  const write = vi.spyOn(process.stderr, 'write').mockReturnValue(true);
  try {
    run();
    return write.mock.calls.map(([text]) => String(text)).join('');
  } finally {
    write.mockRestore();
  }
}

test.each([
  [['--config'], '--config needs a value'],
  [['--json=3'], '--json takes no value'],
  [['more'], '"more" is too much'],
  [['-z'], 'unknown option "-z"'],
  [['--config', '-x'], '--config needs a value'],
])('the command line %j', (argv, text) => {
  const options = { config: { type: 'string' }, json: { type: 'boolean' } } as const;
  const lines = said(() => expect(parseOptions('fail2zig check', argv, options)).toBeUndefined()).split('\n');
  expect(lines).toEqual([`fail2zig check: ${text}`, 'Try `fail2zig check --help`.', '']);
});

test('a jail behind its address', () => {
  const swapped = () => argumentsOf('ban', ['192.0.2.7', 'sshd', '1h'], new Map());
  expect(swapped).toThrow('write the jail before the address: ban sshd 192.0.2.7');
});

test('a regular file as the socket', async () => {
  const path = join(folder, 'file');
  writeFileSync(path, '');
  await expect(call(path, { verb: 'status', args: {} })).rejects.toThrow(`${path} is a regular file, not a socket`);
});

describe('the configuration', () => {
  function hints(text: string): string[] {
    try {
      compileConfig(text, 'x.toml', { filters: [{ name: 'sshd', modes: [] }], groupId: () => 0 });
    } catch (error) {
      if (error instanceof ConfigError) return error.problems.map(({ hint = '' }) => hint);
      throw error;
    }
    return [];
  }

  test.each([
    ['[jails.sshd]\nlogpath = "\\S+"\n', "in single quotes a backslash is a plain character: '\\S+'"],
    ['[jails.sshd]\nlogpath = "/var/log\n', 'the text must end on its line'],
    ['[DEFAULT]\nmaxretry = 3\n', 'fail2zig import translates all of /etc/fail2ban'],
    ['[jails.sshd]\nbackend = "systemd"\n', 'source = "journal"'],
    ['[jails.sshd]\nbanaction = "x"\n', 'firewall.backend'],
    ['[defaults]\nusedns = "no"\n', 'leave it out'],
    ['[jails.sshd]\nignorecommand = "x"\n', 'ignoreip'],
    ['[[filter]]\nname = "a"\nfailregex = "x"\n', 'patterns are not regular expressions'],
  ])('%j', (text, hint) => {
    expect(hints(text).join('\n')).toContain(hint);
  });
});

describe('a compressed log', () => {
  const text = Buffer.from('one line\nanother\n');
  const read = (bytes: Uint8Array) => {
    const path = join(folder, 'log');
    writeFileSync(path, bytes);
    return withInput(path, (descriptor) => readFileSync(descriptor === 0 ? path : `/proc/self/fd/${descriptor}`));
  };

  test.each([
    ['gzip', gzipSync(text)],
    ['zstd', zstdCompressSync(text)],
  ])('of %s is read, and it is said', (name, bytes) => {
    expect(said(() => expect(read(bytes)).toEqual(text))).toContain(`is compressed with ${name}: read unpacked`);
  });

  test('of another form, or damaged, is refused with what to do', () => {
    expect(() => read(Buffer.from('fd377a585a000000', 'hex'))).toThrow('is compressed with xz: unpack it');
    expect(() => read(gzipSync(text).subarray(0, 20))).toThrow('compressed with gzip, cannot be unpacked');
    expect(said(() => expect(read(text)).toEqual(text))).toBe('');
  });
});
