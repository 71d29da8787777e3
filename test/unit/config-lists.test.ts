/** `[[list]]` in a configuration: its jails, what makes no sense, and what the files say. */
import { mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { complainOfBackend, readLists, resolveLists, withListJails } from '../../src/config/lists.ts';
import type { Document } from '../../src/config/schema.ts';
import { listEntriesMax, listMistakesMax, listsMax } from '../../src/limits.ts';

let home: string;
beforeEach(() => {
  home = mkdtempSync(join(tmpdir(), 'fail2zig-lists-'));
});
afterEach(() => rmSync(home, { recursive: true, force: true }));

const documentOf = (document: object): Document => document as Document;
/** Complaints in one line each: `INDEX KEY: REASON (HINT)`. */
function complaints() {
  const said: string[] = [];
  const complain = (index: number, key: string, reason: string, hint?: string): void => {
    said.push(`${index} ${key}: ${reason}${hint === undefined ? '' : ` (${hint})`}`);
  };
  return { said, complain };
}

describe('the jail of a list', () => {
  const file = '/etc/list';
  const silent = (name: string) => ({
    name,
    about: expect.stringContaining('matches no log'),
    pattern: 'fail2zig has a list with {ip}{end}',
    sample: ['fail2zig has a list with 192.0.2.1'],
  });
  const made = { filter: 'lists', logpath: [], source: 'files' };

  test('is made where none is named, with a filter that matches nothing', () => {
    expect(withListJails(documentOf({ list: [{ file }] }), ['sshd'])).toEqual({
      list: [{ file }],
      filter: [silent('lists')],
      jails: { lists: made },
    });
  });

  test('is made once for several lists, and beside what there is', () => {
    const own = { name: 'own', pattern: 'x' };
    const document = documentOf({
      list: [{ file }, { file: '/etc/other' }],
      filter: [own],
      jails: { sshd: { filter: 'sshd' } },
    });
    expect(withListJails(document, ['sshd'])).toMatchObject({
      filter: [own, silent('lists')],
      jails: { sshd: { filter: 'sshd' }, lists: made },
    });
  });

  test('is one that has settings, and neither filter nor log', () => {
    const document = documentOf({ list: [{ file, jail: 'bad' }], jails: { bad: { port: ['22'] } } });
    expect(withListJails(document, ['sshd'])).toMatchObject({
      filter: [silent('bad')],
      jails: { bad: { port: ['22'], filter: 'bad', logpath: [], source: 'files' } },
    });
    expect(
      withListJails(documentOf({ list: [{ file }], jails: { lists: { port: ['22'] } } }), ['sshd']).jails,
    ).toMatchObject({
      lists: { ...made, port: ['22'] },
    });
  });

  test.each<[what: string, document: object]>([
    ['there is no list', {}],
    ['its addresses are ignored', { list: [{ file, use: 'ignore' }] }],
    ['it is named nowhere else: it may be misspelt', { list: [{ file, jail: 'bda' }] }],
    ['it has a filter', { list: [{ file, jail: 'a' }], jails: { a: { filter: 'sshd' } } }],
    ['it has a log', { list: [{ file, jail: 'a' }], jails: { a: { logpath: ['/x'] } } }],
    ['it reads the journal', { list: [{ file, jail: 'a' }], jails: { a: { source: 'journal' } } }],
    ['it reads a part of the journal', { list: [{ file, jail: 'a' }], jails: { a: { journal_match: {} } } }],
    ['its filter is one of the file', { list: [{ file }], filter: [{ name: 'lists', pattern: 'x' }] }],
    ['all jails have a log', { list: [{ file, jail: 'a' }], jails: { a: {} }, defaults: { logpath: ['/x'] } }],
    ['it has the name of a built-in filter', { list: [{ file, jail: 'sshd' }], jails: { sshd: { port: ['22'] } } }],
    ['all jails read the journal', { list: [{ file, jail: 'a' }], jails: { a: {} }, defaults: { source: 'journal' } }],
  ])('stays as it is where %s', (_, document) => {
    expect(withListJails(documentOf(document), ['sshd'])).toEqual(document);
  });

  test('is made although all jails have a log, where it is the one that nobody named', () => {
    const document = documentOf({ list: [{ file }], defaults: { logpath: ['/x'] } });
    expect(withListJails(document, ['sshd']).jails).toEqual({ lists: made });
  });
});

describe('lists that make no sense', () => {
  const resolve = (list: object[], jails: string[] = ['lists', 'sshd']) => {
    const { said, complain } = complaints();
    return { rows: resolveLists(documentOf({ list }), jails, complain), said };
  };

  test('none, and those that do', () => {
    const none = complaints();
    expect(resolveLists(documentOf({}), [], none.complain)).toEqual([]);
    const { rows, said } = resolve([
      { file: '/a' },
      { file: '/b', use: 'ignore' },
      { file: '/c', use: 'ban', jail: 'sshd' },
    ]);
    expect(rows).toEqual([
      { file: '/a', use: 'ban', jail: 'lists' },
      { file: '/b', use: 'ignore', jail: '' },
      { file: '/c', use: 'ban', jail: 'sshd' },
    ]);
    expect([...none.said, ...said]).toEqual([]);
  });

  test('without a file, twice, with a jail that means nothing or does not exist', () => {
    const { rows, said } = resolve([
      {},
      { file: '/a' },
      { file: '/a', jail: 'sshd' },
      { file: '/b', use: 'ignore', jail: 'sshd' },
      { file: '/c', jail: 'shsd' },
      { file: '/d', jail: 'zebra' },
    ]);
    expect(said).toEqual([
      '0 file: is missing (name the file: file = "/etc/fail2zig/lists/drop.txt")',
      '2 file: is named by another list already',
      '3 jail: has no effect beside use = "ignore" (an ignored address is ignored in every jail)',
      '4 jail: there is no jail "shsd" (did you mean "sshd"?)',
      '5 jail: there is no jail "zebra" (write [jails.zebra], or leave it out)',
    ]);
    expect(rows).toHaveLength(5);
    expect(rows[2]).toEqual({ file: '/b', use: 'ignore', jail: '' });
  });

  test('more than there may be', () => {
    const many = (count: number) => resolve(Array.from({ length: count }, (_, index) => ({ file: `/${index}` }))).said;
    expect(many(listsMax)).toEqual([]);
    expect(many(listsMax + 1)).toEqual([`${listsMax} : is list ${listsMax + 1}: at most ${listsMax} are allowed`]);
  });

  test.each([
    ['iptables', 'iptables has a rule for each address, and a list would need too many'],
    ['ipset', 'lists are held by nftables only'],
    ['xdp', 'xdp bans sources one by one'],
    ['nftables', undefined],
    ['auto', undefined],
    ['log-only', undefined],
  ] as const)('bans of lists where the backend is %s', (backend, why) => {
    const { said, complain } = complaints();
    const ignore = { file: '/a', use: 'ignore', jail: '' } as const;
    complainOfBackend([ignore], backend, complain);
    expect(said).toEqual([]);
    const ban = { file: '/b', use: 'ban', jail: 'lists' } as const;
    complainOfBackend([ignore, ban], backend, complain);
    complainOfBackend([ban, ignore, ban], backend, complain);
    const hint = 'set firewall.backend to "nftables"';
    expect(said).toEqual(why === undefined ? [] : [`1 use: ${why} (${hint})`, `0 use: ${why} (${hint})`]);
  });
});

describe('files of lists', () => {
  const write = (name: string, text: string): string => {
    const path = join(home, name);
    writeFileSync(path, text);
    return path;
  };
  type Rows = Parameters<typeof readLists>[0];
  const read = (rows: Rows, reading: 'checked' | 'tried' = 'checked') => {
    const { said, complain } = complaints();
    const warnings: string[] = [];
    const lists = readLists(rows, reading, complain, warnings);
    const short = (text: string): string => text.replaceAll(home, '');
    return { lists, said: said.map(short), warnings: warnings.map(short) };
  };
  const ban = (file: string, jail = 'lists') => ({ file, use: 'ban', jail }) as const;
  const ignore = (file: string) => ({ file, use: 'ignore', jail: '' }) as const;

  test('that are right are what the core needs, by jail', () => {
    const rows = [
      ban(write('a', '192.0.2.1\n192.0.2.2\n2001:db8::/32\n')),
      ignore(write('b', '10.0.0.0/8\n')),
      ban(write('c', '198.51.100.0/24\n')),
      ban(write('d', '203.0.113.7\n'), 'sshd'),
    ];
    const { lists, said, warnings } = read(rows);
    expect(said).toEqual([]);
    expect(warnings).toEqual([]);
    const byFile = (file: string) => lists.find((list) => list.file === join(home, file))!;
    expect(lists.map(({ file }) => file.slice(home.length))).toEqual(['/a', '/c', '/b', '/d']);
    expect(byFile('a')).toMatchObject({ use: 'ban', jail: 'lists', elements: { 4: 2, 6: 1 } });
    expect(byFile('a').lengths).toEqual(byFile('c').lengths);
    expect(byFile('a').lengths[6]).toEqual([32]);
    expect(byFile('b')).toMatchObject({ elements: { 4: 1, 6: 0 }, lengths: { 4: [8], 6: [] } });
    expect(byFile('d')).toMatchObject({ elements: { 4: 1, 6: 0 }, lengths: { 4: [32], 6: [] } });
  });

  test('that hold private networks, or what cannot be a source, are warned of; in what is ignored they are meant', () => {
    const text = '192.0.2.1\n10.0.0.1\n127.0.0.1\n224.0.0.1\n192.168.0.0/16\n';
    const { said, warnings } = read([ban(write('a', text)), ignore(write('b', text))]);
    expect(said).toEqual([]);
    expect(warnings).toEqual([
      '/a: 2 entries cannot be sources and are left out, the first on line 3',
      '/a: 2 entries are private networks, the first on line 2: hosts of your own may be banned',
    ]);
  });

  test('that are wrong are complained of, by line, each list for itself', () => {
    const { lists, said } = read([ban(write('a', '192.0.2.1\n')), ban(write('b', 'x\n192.0.2.2\n\ny\n'), 'sshd')]);
    expect(lists.map(({ file }) => file.slice(home.length))).toEqual(['/a']);
    expect(said).toHaveLength(2);
    expect(said[0]).toMatch(/^1 file: \/b:1: ./);
    expect(said[1]).toMatch(/^1 file: \/b:4: ./);
  });

  test('that are wrong throughout are complained of as far as anybody reads', () => {
    const { said } = read([ban(write('a', 'x\n'.repeat(listMistakesMax + 3)))]);
    expect(said).toHaveLength(listMistakesMax + 1);
    expect(said.at(-1)).toBe('0 file: /a: 3 more mistakes');
    expect(read([ban(write('b', 'x\n'.repeat(listMistakesMax)))]).said).toHaveLength(listMistakesMax);
  });

  test('that are too many together are complained of at the first that is too much', () => {
    const addresses = (from: number) =>
      Array.from({ length: 60_000 }, (_, index) => `10.${from}.${index >> 8}.${index & 255}\n`).join('');
    const rows = [ignore(write('a', addresses(1))), ignore(write('b', addresses(2)))];
    const { lists, said } = read(rows);
    expect(lists).toEqual([]);
    expect(said).toEqual([
      `1 file: /b: lists of what is ignored have more than ${listEntriesMax.ignore} entries (use wider prefixes)`,
    ]);
  });

  test('are closed, right or wrong', () => {
    const open = (): number => readdirSync('/proc/self/fd').length;
    const before = open();
    read([ban(write('a', '192.0.2.1\n')), ban(write('b', 'x\n'), 'sshd')]);
    expect(open()).toBe(before);
  });

  test('that cannot be read are complained of', () => {
    mkdirSync(join(home, 'd'));
    const { lists, said } = read([ignore(join(home, 'missing')), ban(join(home, 'd'))]);
    expect(lists).toEqual([]);
    expect(said[0]).toMatch(/^0 file: \/missing: ./);
    expect(said[1]).toMatch(/^1 file: \/d: ./);
  });

  test('that are only tried and cannot be read are warned of, and have no memory', () => {
    const missing = ban(join(home, 'missing'));
    const folder = read([ban(home, 'sshd')], 'tried');
    expect(folder.warnings[0]).toBe(': is not a regular file');
    const { lists, said, warnings } = read([missing], 'tried');
    expect(said).toEqual([]);
    expect(warnings).toEqual([
      expect.stringMatching(/^\/missing: ./),
      'until this is right, the lists of jail lists are not in force',
    ]);
    expect(lists).toEqual([{ ...missing, lengths: { 4: [], 6: [] }, elements: { 4: 0, 6: 0 } }]);
  });

  test('that are only tried are warned of, and keep their memory; those of what is ignored must be right', () => {
    const wrong = ban(write('a', '192.0.2.1\nx\n2001:db8::1\n'));
    const right = ban(write('b', '192.0.2.2\n'));
    const other = ban(write('c', '192.0.2.3\n'), 'sshd');
    const { lists, said, warnings } = read([wrong, right, other, ignore(join(home, 'missing'))], 'tried');
    expect(said).toHaveLength(1);
    expect(said[0]).toMatch(/^3 file: \/missing: ./);
    expect(warnings).toHaveLength(2);
    expect(warnings[0]).toMatch(/^\/a:2: .*\(.+\)$/);
    expect(warnings[1]).toBe('until this is right, the lists of jail lists are not in force');
    expect(lists).toMatchObject([
      { file: wrong.file, lengths: { 4: [], 6: [] }, elements: { 4: 1, 6: 1 } },
      { file: right.file, lengths: { 4: [], 6: [] }, elements: { 4: 1, 6: 0 } },
      { file: other.file, lengths: { 4: [32], 6: [] }, elements: { 4: 1, 6: 0 } },
    ]);
  });
});
