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

  test('is refused if it is empty, and still closed', () => {
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
    ['null', 'form'],
    ['[]', 'form'],
    ['{}', 'path'],
    [JSON.stringify({ ...config, more: 1 }), 'form'],
    [JSON.stringify({ ...config, log: undefined }), 'log'],
    [JSON.stringify({ ...config, filters: null }), 'filters'],
    [JSON.stringify({ ...config, jails: 1 }), 'jails'],
    [JSON.stringify({ ...config, jails: [...config.jails, ...config.jails] }), 'jails: a name stands twice'],
  ])('is refused where it has another shape: %s', (text, reason) => {
    expect(() => decodeCoreConfig(text)).toThrow(`the configuration record has no usable ${reason}`);
  });

  const filter = { name: 'own', patterns: ['x'], ignore: [], program: 'AAAA' };
  test.each([
    ['jails[0].name', { name: '../x' }],
    ['jails[0].name', { name: 'x'.repeat(25) }],
    ['jails[0].maxretry', { maxretry: 0 }],
    ['jails[0].maxretry', { maxretry: 1_001 }],
    ['jails[0].findtime', { findtime: 1.5 }],
    ['jails[0].bantime', { bantime: -2 }],
    ['jails[0].ipv4Prefix', { ipv4Prefix: 23 }],
    ['jails[0].ipv6Prefix', { ipv6Prefix: 129 }],
    ['jails[0].logpath[0]', { logpath: ['auth.log'] }],
    ['jails[0].logpath[0]', { logpath: ['/var/log/../x'] }],
    ['jails[0].logpath[0]', { logpath: ['/var/log/'] }],
    ['jails[0].ignoreip[0]', { ignoreip: ['0.0.0.0/0'] }],
    ['jails[0].ignoreip[0]', { ignoreip: ['192.0.2.1/24'] }],
    ['jails[0].ports[0].last', { ports: [{ first: 1, last: 65_536 }] }],
    ['jails[0].hooks[0]', { hooks: ['output'] }],
    ['jails[0].escalation.bantimes', { escalation: { bantimes: Array(32).fill(1) } }],
    ['jails[0].format', { format: 'xml' }],
    ['jails[0].timezone[0].offset', { timezone: [{ from: 0, offset: 1e6 }] }],
    ['jails[0].journal.groups[0].terms[0][1]', { journal: { text: 'x', groups: [{ terms: [['_UID', 1]] }] } }],
    ['jails[0]', { more: 1 }],
  ])('is refused with a jail whose %s is not as it must be', (at, change) => {
    const text = JSON.stringify({ ...config, jails: [{ ...config.jails[0], ...change }] });
    expect(() => decodeCoreConfig(text)).toThrow(`the configuration record has no usable ${at}`);
  });

  test('is refused with an invalid filter', () => {
    const withFilter = (change: object): string => JSON.stringify({ ...config, filters: [{ ...filter, ...change }] });
    expect(decodeCoreConfig(withFilter({})).filters).toHaveLength(1);
    expect(() => decodeCoreConfig(withFilter({ program: '!' }))).toThrow('filters[0].program');
    expect(() => decodeCoreConfig(withFilter({ patterns: [1] }))).toThrow('filters[0].patterns[0]');
  });
});
