import { closeSync, fstatSync, mkdtempSync, openSync, rmSync, writeSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, test } from 'vitest';
import { compileConfig } from '../../src/config/compile.ts';
import { encodeCoreConfig, writeCoreConfig } from '../../src/config/record.ts';
import { decodeCoreConfig, readCoreConfig } from '../../src/text/record.ts';

const folder = mkdtempSync(join(tmpdir(), 'fail2zig-record-'));
afterAll(() => rmSync(folder, { recursive: true }));

const { config } = compileConfig('[jails.sshd]\nlogpath = "/var/log/ä"', 'x', {
  filters: [{ name: 'sshd', modes: [] }],
  groupId: () => 1,
});

function open(): number {
  return openSync(join(folder, 'record'), 'w+');
}

describe('the record for the core', () => {
  test('is read as it was written, wherever the file’s position is, and closed', () => {
    const fd = open();
    writeCoreConfig(fd, config);
    expect(readCoreConfig(fd)).toEqual(config);
    expect(() => fstatSync(fd)).toThrow('EBADF');
  });

  test('is refused where it is empty, and closed all the same', () => {
    const fd = open();
    expect(() => readCoreConfig(fd)).toThrow('configuration record of 0 bytes');
    expect(() => fstatSync(fd)).toThrow('EBADF');
  });

  test('is refused where it is cut', () => {
    const fd = open();
    writeSync(fd, encodeCoreConfig(config).slice(0, -1));
    expect(() => readCoreConfig(fd)).toThrow(SyntaxError);
    expect(() => closeSync(fd)).toThrow('EBADF');
  });

  test.each([
    ['null', 'the configuration record has no memory'],
    ['[]', 'the configuration record has no memory'],
    ['{}', 'the configuration record has no memory'],
    [JSON.stringify({ ...config, log: undefined }), 'the configuration record has no log'],
    [JSON.stringify({ ...config, filters: null }), 'the configuration record has no filters'],
    [JSON.stringify({ ...config, jails: 1 }), 'the configuration record has no jails'],
  ])('is refused where it has another shape: %s', (text, reason) => {
    expect(() => decodeCoreConfig(text)).toThrow(reason);
  });
});
