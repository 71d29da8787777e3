import { closeSync, fstatSync, ftruncateSync, mkdtempSync, openSync, rmSync, writeSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, test } from 'vitest';
import { compileConfig } from '../../src/config/compile.ts';
import { encodeCoreConfig, writeCoreConfig } from '../../src/config/record.ts';
import { coreConfigBytesMax } from '../../src/limits.ts';
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
    [JSON.stringify({ ...config, jails: [...config.jails, ...config.jails] }), 'jails: a name occurs twice'],
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
    ['jails[0].logpath[0]', { logpath: ['var/log/auth.log'] }],
    ['jails[0].logpath[0]', { logpath: ['/var/log/../x'] }],
    ['jails[0].logpath[0]', { logpath: ['/var/log/'] }],
    ['jails[0].ignoreip[0]', { ignoreip: ['0.0.0.0/0'] }],
    ['jails[0].ignoreip[0]', { ignoreip: ['192.0.2.1/24'] }],
    ['jails[0].ignoreip[0]', { ignoreip: [7] }],
    ['jails[0].ignoreip[0]', { ignoreip: ['localhost'] }],
    ['jails[0].name', { name: 7 }],
    ['jails[0].mode', { mode: 'a\0b' }],
    ['jails[0].mode', { mode: 'ä'.repeat(25) }],
    ['jails[0].maxretry', { maxretry: '5' }],
    ['jails[0].ignoreself', { ignoreself: 0 }],
    ['jails[0].logpath', { logpath: '/var/log/x' }],
    ['jails[0].logpath', { logpath: Array(65).fill('/x') }],
    ['jails[0].ports[0]', { ports: [[]] }],
    ['jails[0].ports[0]', { ports: [null] }],
    ['jails[0].ports[1].first', { ports: [{ first: 1, last: 2 }, { last: 2 }] }],
    ['jails[0].findtime', { findtime: undefined }],
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

  test('what lies on a bound is read', () => {
    const jail = {
      ...config.jails[0],
      name: 'x'.repeat(24),
      mode: 'ä'.repeat(24),
      maxretry: 1_000,
      bantime: -1,
      logpath: Array(64).fill('/x'),
      ipv4Prefix: 24,
      ipv6Prefix: 32,
      ignoreip: ['192.0.2.0/24', '8000::/1'],
    };
    expect(decodeCoreConfig(JSON.stringify({ ...config, jails: [jail] })).jails).toEqual([jail]);
  });

  test('may have lists, each as it must be', () => {
    const row = {
      file: '/etc/list',
      use: 'ban',
      jail: '',
      lengths: { 4: [32], 6: [128] },
      elements: { 4: 1, 6: 0 },
    };
    const withList = (change: object) =>
      decodeCoreConfig(JSON.stringify({ ...config, lists: [{ ...row, ...change }] })).lists;
    expect(withList({})).toEqual([row]);
    expect(withList({ jail: 'lists' })).toMatchObject([{ jail: 'lists' }]);
    for (const [change, at] of [
      [{ jail: '../x' }, 'lists[0].jail'],
      [{ use: 'drop' }, 'lists[0].use'],
      [{ file: 'list' }, 'lists[0].file'],
      [{ lengths: { 4: [33], 6: [] } }, 'lists[0].lengths.4[0]'],
      [{ elements: { 4: -1, 6: 0 } }, 'lists[0].elements.4'],
    ] as const)
      expect(() => withList(change), at).toThrow(`no usable ${at}`);
  });

  test('may name a filter once', () => {
    expect(() => decodeCoreConfig(JSON.stringify({ ...config, filters: [filter, filter] }))).toThrow(
      'the configuration record has no usable filters: a name occurs twice',
    );
    const other = { ...filter, name: 'other' };
    expect(decodeCoreConfig(JSON.stringify({ ...config, filters: [filter, other] })).filters).toHaveLength(2);
  });

  test('is refused where it is longer than any of ours', () => {
    const fd = open();
    ftruncateSync(fd, coreConfigBytesMax + 1);
    expect(() => readCoreConfig(fd)).toThrow(`configuration record of ${coreConfigBytesMax + 1} bytes`);
    const longest = open();
    const text = encodeCoreConfig(config);
    writeSync(longest, text + ' '.repeat(coreConfigBytesMax - Buffer.byteLength(text)));
    expect(readCoreConfig(longest)).toEqual(config);
  });

  test('is not written where it is longer than what is read', () => {
    const more = coreConfigBytesMax - Buffer.byteLength(encodeCoreConfig(config));
    const fd = open();
    writeCoreConfig(fd, { ...config, path: `${config.path}${'x'.repeat(more)}` });
    expect(fstatSync(fd).size).toBe(coreConfigBytesMax);
    expect(() => writeCoreConfig(fd, { ...config, path: `${config.path}${'x'.repeat(more + 1)}` })).toThrow(
      'the configuration record is too large',
    );
    closeSync(fd);
  });
});
