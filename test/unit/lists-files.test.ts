/**
 * Files of lists: what each line means, what is refused and where, what cannot be a source, and the
 * prefixes that the kernel gets for it.
 */
import {
  chmodSync,
  chownSync,
  closeSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { addressTextMax, listEntriesMax, listLineBytesMax, listMistakesMax, listPieceBytes } from '../../src/limits.ts';
import { Entries, entryBytes } from '../../src/lists/entries.ts';
import { ListError, openList } from '../../src/lists/file.ts';
import { atOnce, exactly, FileProblem, Files, planBytes, planOf } from '../../src/lists/group.ts';
import { elementsIn, lengthFor, lengthsFor } from '../../src/lists/lengths.ts';
import { ListReader } from '../../src/lists/reader.ts';
import { Survey, sifted } from '../../src/lists/survey.ts';
import { formatAddress, parseCidr } from '../../src/text/address.ts';
import type { ListUse } from '../../src/types.ts';

let home: string;
beforeEach(() => {
  home = mkdtempSync(join(tmpdir(), 'fail2zig-lists-'));
});
afterEach(() => rmSync(home, { recursive: true, force: true }));

let files = 0;
function write(text: string | Buffer): string {
  const path = join(home, `list-${files++}`);
  writeFileSync(path, text, { mode: 0o600 });
  return path;
}

const four = (key: number): string => [key / 2 ** 24, key >>> 16, key >>> 8, key].map((byte) => byte & 255).join('.');

/** What a reader says of a text, a line each: `LINE: PREFIX` or `LINE: "REASON" (HINT)`. */
function read(text: string | Buffer): { said: string[]; steps: number } {
  const said: string[] = [];
  const { file } = openList(write(text));
  const reader = new ListReader(file, {
    four: (key, prefix, line) => void said.push(`${line}: ${four(key)}/${prefix}`),
    six: (bytes, prefix, line) =>
      void said.push(`${line}: ${formatAddress({ family: 6, bytes, prefix: 128 })}/${prefix}`),
    bad: (line, reason, hint = '') => void said.push(`${line}: ${reason}${hint && ` (${hint})`}`),
  });
  let steps = 1;
  while (reader.step()) steps++;
  closeSync(file);
  return { said, steps };
}

describe('a line', () => {
  const example = 'write 192.0.2.7, 192.0.2.0/24 or 2001:db8::/32';
  const isNone = (text: string): string => `1: "${text}" is not an address or prefix (${example})`;
  const isMore = (text: string): string => `1: "${text}" is more than an address (put what follows it behind "#")`;
  const length = (text: string): string =>
    `1: "${text}" has a wrong prefix length (IPv4 has up to 32 bits, IPv6 up to 128)`;
  test.each<[text: string, ...said: string[]]>([
    ['192.0.2.7', '1: 192.0.2.7/32'],
    ['0.0.0.0', '1: 0.0.0.0/32'],
    ['255.255.255.255', '1: 255.255.255.255/32'],
    [' \t192.0.2.7 \t\r', '1: 192.0.2.7/32'],
    ['192.0.2.7#x', '1: 192.0.2.7/32'],
    ['192.0.2.7 ; x', '1: 192.0.2.7/32'],
    ['192.0.2.0/24# x', '1: 192.0.2.0/24'],
    ['192.0.2.0/32;', '1: 192.0.2.0/32'],
    ['10.0.0.0/8\t', '1: 10.0.0.0/8'],
    ['192.0.2.128/25', '1: 192.0.2.128/25'],
    [''],
    [' '],
    ['\t\r'],
    ['# 192.0.2.7'],
    ['  ;192.0.2.7'],
    ['2001:db8::7', '1: 2001:db8::7/128'],
    [' 2001:DB8::/32 \t# x', '1: 2001:db8::/32'],
    ['2001:db8::/32\r', '1: 2001:db8::/32'],
    ['2001::/16', '1: 2001::/16'],
    ['::ffff:192.0.2.7', '1: 192.0.2.7/32'],
    ['::ffff:192.0.2.0/120', '1: 192.0.2.0/24'],
    ['192.0.2', isNone('192.0.2')],
    ['192.0.2.', isNone('192.0.2.')],
    ['192.0.2.7.', isNone('192.0.2.7.')],
    ['.192.0.2.7', isNone('.192.0.2.7')],
    ['192.0.2.07', isNone('192.0.2.07')],
    ['192.0.2.256', isNone('192.0.2.256')],
    ['192..2.7', isNone('192..2.7')],
    ['192.0.2.7_', isNone('192.0.2.7_')],
    ['192.0.2:7', isNone('192.0.2:7')],
    ['_example.net', isNone('_example.net')],
    ['example.net_', isNone('example.net_')],
    ['\x1b[2J', isNone('\\x1b[2J')],
    ['x'.repeat(addressTextMax + 1).replaceAll('x', '.'), isNone(`${'.'.repeat(addressTextMax)}…`)],
    ['192.0.2.7 x', isMore('192.0.2.7 x')],
    ['192.0.2.7 192.0.2.8', isMore('192.0.2.7 192.0.2.8')],
    ['192.0.2.7\r x', isMore('192.0.2.7\\r x')],
    ['2001:db8::7 x', isMore('2001:db8::7 x')],
    ['192.0.2.0/33', length('192.0.2.0/33')],
    ['192.0.2.0/', length('192.0.2.0/')],
    ['192.0.2.0/024', length('192.0.2.0/024')],
    ['2001:db8::/129', length('2001:db8::/129')],
    ['192.0.2.7/24', '1: "192.0.2.7/24" has bits set below its prefix (write 192.0.2.0/24)'],
    ['192.0.2.1/31', '1: "192.0.2.1/31" has bits set below its prefix (write 192.0.2.0/31)'],
    ['2001:db8::1/64', '1: "2001:db8::1/64" has bits set below its prefix (write 2001:db8::/64)'],
    ['8.0.0.0/7', '1: "8.0.0.0/7" is wider than a /8 (name the networks in it that are meant)'],
    ['0.0.0.0/0', '1: "0.0.0.0/0" is wider than a /8 (name the networks in it that are meant)'],
    ['2000::/15', '1: "2000::/15" is wider than a /16 (name the networks in it that are meant)'],
    ['2001::/15', '1: "2001::/15" is wider than a /16 (name the networks in it that are meant)'],
    ['example.net', '1: "example.net" is a host name (write its addresses: host names are never resolved)'],
    ['a-b.example.net.', isNone('a-b.example.net.')],
    ['localhost', '1: "localhost" is a host name (write its addresses: host names are never resolved)'],
  ])('%j', (text, ...said) => {
    expect(read(text).said).toEqual(said);
    // What stands before and behind it changes nothing.
    const after = said.map((each) => each.replace(/^1/, '2'));
    expect(read(`198.51.100.1\n${text}\n198.51.100.2\n`).said).toEqual([
      '1: 198.51.100.1/32',
      ...after,
      '3: 198.51.100.2/32',
    ]);
  });

  test('is read where pieces of the file meet', () => {
    const lines = Array.from({ length: 3_000 }, (_, at) => `${' '.repeat(at % 7)}10.${at >> 8}.${at & 255}.1 # ${at}`);
    const { said, steps } = read(lines.join('\n'));
    expect(said).toEqual(lines.map((line, at) => `${at + 1}: ${line.trim().split(' ')[0]}/32`));
    expect(steps).toBeGreaterThan(3);
    expect(steps).toBeLessThan(20);
  });

  test('has a bound, and the line after one that is too long is read, with its number', () => {
    const comment = (bytes: number): string => `#${'x'.repeat(bytes - 1)}`;
    expect(read(comment(listLineBytesMax)).said).toEqual([]);
    const tooLong = `is longer than ${listLineBytesMax} bytes`;
    for (const bytes of [
      listLineBytesMax + 1,
      listPieceBytes - 1,
      listPieceBytes,
      listPieceBytes + 1,
      5 * listPieceBytes,
    ]) {
      expect(read(comment(bytes)).said).toEqual([`1: ${tooLong}`]);
      expect(read(`192.0.2.1\n${comment(bytes)}\n192.0.2.3\n${comment(bytes)}\n192.0.2.5`).said).toEqual([
        '1: 192.0.2.1/32',
        `2: ${tooLong}`,
        '3: 192.0.2.3/32',
        `4: ${tooLong}`,
        '5: 192.0.2.5/32',
      ]);
    }
    expect(read(`192.0.2.1${' '.repeat(listLineBytesMax - 9)}\n192.0.2.2`).said).toHaveLength(2);
  });

  test('may be the first behind the mark of an editor, and no other', () => {
    expect(read('\ufeff192.0.2.1\r\n192.0.2.2').said).toEqual(['1: 192.0.2.1/32', '2: 192.0.2.2/32']);
    expect(read('\ufeff').said).toEqual([]);
    expect(read('192.0.2.1\n\ufeff192.0.2.2').said[1]).toContain('is not an address or prefix');
    expect(read('::').said[0]).toContain('::/128');
    const long = `${'192.0.2.1\n'.repeat(900)}\ufeff`;
    expect(read(long).said.at(-1)).toContain('901: ');
  });
});

describe('the survey of a list', () => {
  const survey = (use: ListUse, ...lines: string[]): Survey => {
    const made = new Survey(use);
    for (const [at, text] of lines.entries()) {
      const { family, bytes, prefix } = parseCidr(text, 'refuse') as {
        family: 4 | 6;
        bytes: Uint8Array;
        prefix: number;
      };
      if (family === 4) made.visitor.four(Buffer.from(bytes).readUInt32BE(12), prefix, at + 1);
      else made.visitor.six(bytes, prefix, at + 1);
    }
    return made;
  };

  test.each([
    [['0.0.0.1', '0.255.255.255', '127.0.0.1', '127.255.255.255', '224.0.0.0', '255.255.255.255'], 6],
    [['1.0.0.0', '126.255.255.255', '128.0.0.1', '223.255.255.255', '192.0.2.0/24'], 0],
    [['::1', '::', 'ff02::1', 'ff00::/16', '0:1::'], 5],
    [['1::', '2001:db8::', 'fe00::', '100::'], 0],
  ])('leaves out of bans what cannot be a source: %j', (lines, count) => {
    const found = survey('ban', '192.0.2.1', ...lines);
    expect(found.leftOut).toEqual({ count, line: count === 0 ? 0 : 2 });
    expect(found.entries).toBe(1 + lines.length - count);
    const ignored = survey('ignore', ...lines);
    expect(ignored.leftOut.count).toBe(0);
    expect(ignored.entries).toBe(lines.length);
  });

  test.each([
    ['10.0.0.0', '10.255.255.255'],
    ['172.16.0.0', '172.31.255.255'],
    ['192.168.0.0', '192.168.255.255'],
    ['169.254.0.0', '169.254.255.255'],
    ['100.64.0.0', '100.127.255.255'],
    ['fc00::', 'fdff::'],
    ['fe80::', 'febf::'],
  ])('notes private networks, from %s to %s', (...lines) => {
    expect(survey('ban', '192.0.2.1', ...lines).private).toEqual({ count: 2, line: 2 });
    expect(survey('ban', ...lines).entries).toBe(2);
    expect(survey('ignore', ...lines).private).toEqual({ count: 0, line: 0 });
  });

  test.each([
    ['9.255.255.255', '11.0.0.0'],
    ['172.15.255.255', '172.32.0.0'],
    ['192.167.255.255', '192.169.0.0'],
    ['169.253.255.255', '169.255.0.0'],
    ['100.63.255.255', '100.128.0.0'],
    ['fbff::', 'fe00::'],
    ['fe7f::', 'fec0::'],
  ])('and not what is beside them: %s, %s', (...lines) => {
    expect(survey('ban', ...lines).private).toEqual({ count: 0, line: 0 });
  });

  test('counts by length, and mistakes as far as anybody reads', () => {
    const made = survey('ban', '192.0.2.1', '192.0.2.2', '192.0.2.0/24', '2001:db8::/32', '127.0.0.1');
    expect([made.counts[4][32], made.counts[4][24], made.counts[6][32]]).toEqual([2, 1, 1]);
    expect(made.counts[4].length + made.counts[6].length).toBe(33 + 129);
    expect(made.counts[4].reduce((sum, count) => sum + count, 0)).toBe(3);
    for (let line = 1; line <= listMistakesMax + 2; line++) made.visitor.bad(line, 'why', 'hint');
    expect(made.mistakes).toHaveLength(listMistakesMax);
    expect(made.mistakes[1]).toEqual({ line: 2, reason: 'why', hint: 'hint' });
    expect(made.mistakesOmitted).toBe(2);
  });

  test('what is left out is told by its line', () => {
    const told: number[] = [];
    const passed: number[] = [];
    const target = {
      four: (_: number, __: number, line: number) => void passed.push(line),
      six: (_: Uint8Array, __: number, line: number) => void passed.push(line),
    };
    const visitor = sifted('ban', target, (line) => void told.push(line));
    visitor.four(127 * 2 ** 24, 8, 3);
    visitor.four(192 * 2 ** 24, 8, 4);
    visitor.six(new Uint8Array(16), 128, 5);
    visitor.six(new Uint8Array(16).fill(0x20), 128, 6);
    expect([told, passed]).toEqual([
      [3, 5],
      [4, 6],
    ]);
    expect(sifted('ignore', target, () => {})).toBe(target);
  });
});

describe('prefix lengths', () => {
  const counted = (lengths: Record<number, number>): Uint32Array => {
    const counts = new Uint32Array(33);
    for (const [length, count] of Object.entries(lengths)) counts[Number(length)] = count;
    return counts;
  };

  test('are as written while there are few', () => {
    expect(lengthsFor(counted({}))).toEqual([]);
    expect(lengthsFor(counted({ 32: 1, 24: 5 }))).toEqual([24, 32]);
    expect(lengthsFor(counted(Object.fromEntries([8, 12, 16, 20, 24, 28, 30, 32].map((at) => [at, 1]))))).toHaveLength(
      8,
    );
  });

  test('are the eight that need the fewest elements, as trying all of them says', () => {
    const several: Record<number, number>[] = [
      { 20: 1, 21: 1, 22: 1, 23: 1, 24: 100, 25: 1, 26: 1, 27: 1, 28: 1, 32: 1_000 },
      { 8: 1, 9: 1, 10: 64, 11: 1, 16: 32, 17: 2, 18: 8, 19: 16, 24: 128, 32: 4_096 },
      { 16: 1, 17: 1, 18: 1, 19: 1, 20: 1, 21: 1, 22: 1, 23: 1, 24: 1 },
    ];
    for (const given of several) {
      const counts = counted(given);
      const all = Object.keys(given).map(Number);
      const costs = Array.from({ length: 2 ** all.length }, (_, set) => all.filter((__, at) => set & (1 << at)))
        .filter((chosen) => chosen.length === 8 && chosen.includes(all.at(-1)!))
        .map((chosen) => elementsIn(counts, chosen));
      const found = lengthsFor(counts);
      expect(found).toHaveLength(8);
      expect(found).toEqual(found.toSorted((one, other) => one - other));
      expect(elementsIn(counts, found)).toBe(Math.min(...costs));
      expect(lengthsFor(counts, Number.POSITIVE_INFINITY)).toEqual(all);
      expect(lengthsFor(counts, 1)).toEqual([all.at(-1)]);
    }
  });

  test('stay when a list grows a little', () => {
    const given = { 20: 4, 21: 4, 22: 4, 23: 4, 24: 70, 25: 4, 26: 4, 27: 4, 28: 4, 32: 1_030 };
    expect(lengthsFor(counted({ ...given, 24: 100, 32: 2_000 }))).toEqual(lengthsFor(counted(given)));
  });

  test('a prefix is written with the next one that there is', () => {
    expect([8, 16, 17, 24, 25].map((length) => lengthFor([16, 24], length))).toEqual([16, 16, 24, 24, 25]);
    expect(elementsIn(counted({ 22: 3, 24: 1 }), [24])).toBe(13);
    expect(elementsIn(counted({}), [24])).toBe(0);
  });
});

describe('the entries of a list', () => {
  test.each([4, 6] as const)('of IPv%i are found with their marks, and nothing else is', (family) => {
    const bytes = family === 4 ? 4 : 16;
    const entries = new Entries(family, 500, 1);
    const key = (number: number): Buffer => {
      const made = Buffer.alloc(bytes, 0x11);
      made.writeUInt32BE((number * 2_654_435_761) % 2 ** 32, bytes - 4);
      return made;
    };
    for (let number = 0; number < 500; number++) {
      entries.askBytes(key(number), 0);
      expect(entries.add(bytes * 8, bytes * 8)).toBe(true);
      expect(entries.add(bytes * 8, bytes * 8)).toBe(false);
    }
    expect(entries.count).toBe(500);
    for (let number = 0; number < 1_000; number++) {
      entries.askBytes(key(number), 0);
      expect(entries.find(bytes * 8) >= 0).toBe(number < 500);
      expect(entries.find(bytes * 8 - 1)).toBe(-1);
    }
    entries.askBytes(key(7), 0);
    entries.mark(entries.find(bytes * 8));
    const taken: string[] = [];
    const steps: number[] = [];
    for (let at = 0; at >= 0; ) {
      const before = taken.length;
      const from = at;
      at = entries.takeUnmarked(at, 100, 50, (slot, prefix) => {
        const copy = Buffer.alloc(bytes + 1);
        entries.copyKey(slot, copy, 1);
        expect(copy[0]).toBe(0);
        taken.push(`${copy.toString('hex', 1)}/${prefix}`);
      });
      expect(taken.length - before).toBeLessThanOrEqual(50);
      if (at >= 0) expect(at - from).toBeLessThanOrEqual(100);
      steps.push(taken.length - before);
    }
    expect(Math.max(...steps)).toBe(50);
    const wanted = Array.from({ length: 500 }, (_, number) => `${key(number).toString('hex')}/${bytes * 8}`);
    expect(taken.toSorted()).toEqual(wanted.filter((_, number) => number !== 7).toSorted());
    expect(entries.takeUnmarked(0, 10_000, 1, () => expect.fail('all have a mark'))).toBe(-1);
    entries.unmarkAll();
    let count = 0;
    expect(entries.takeUnmarked(0, 10_000, 10_000, () => count++)).toBe(-1);
    expect(count).toBe(500);
    expect(entries.bytes).toBe(entryBytes(family, 500));
  });

  test('are written as longer prefixes, and the key that was asked for stays', () => {
    const entries = new Entries(4, 8);
    entries.ask(0xc000_0200);
    expect(entries.add(22, 24)).toBe(true);
    expect(entries.add(22, 24)).toBe(false);
    expect(entries.count).toBe(4);
    for (const [key, there] of [
      [0xc000_0200, true],
      [0xc000_0300, true],
      [0xc000_0400, true],
      [0xc000_0500, true],
      [0xc000_0600, false],
      [0xc000_0100, false],
    ] as const) {
      entries.ask(key);
      expect(entries.find(24) >= 0).toBe(there);
    }
    entries.ask(0xc000_0600);
    expect(entries.add(23, 24)).toBe(true);
    entries.ask(0xc000_0700);
    expect(entries.add(24, 24)).toBe(false);
    const six = new Entries(6, 4);
    six.askBytes(Buffer.from('20010db8000000000000000000000000', 'hex'), 0);
    expect(six.add(63, 65)).toBe(true);
    expect(six.count).toBe(4);
    for (const key of [
      '20010db8000000000000',
      '20010db8000000008000',
      '20010db8000000010000',
      '20010db8000000018000',
    ]) {
      six.askBytes(Buffer.from(key.padEnd(32, '0'), 'hex'), 0);
      expect(six.find(65)).toBeGreaterThanOrEqual(0);
    }
  });

  test('are asked for without the bits below a prefix', () => {
    const entries = new Entries(6, 4);
    entries.askBytes(Buffer.from('20010db8000000000000000000000000', 'hex'), 0);
    entries.add(40, 40);
    const asked = Buffer.from('ff20010db800ffffffffffffffffffffff', 'hex');
    entries.askBytes(asked, 1, 40);
    expect(entries.find(40)).toBeGreaterThanOrEqual(0);
    entries.askBytes(asked, 1, 49);
    expect(entries.find(40)).toBe(-1);
    entries.askBytes(asked, 1);
    expect(entries.find(40)).toBe(-1);
  });

  test('are never more than were counted', () => {
    for (const room of [0, 1, 10]) {
      const entries = new Entries(4, room);
      const add = (key: number): boolean => {
        entries.ask(key);
        return entries.add(32, 32);
      };
      let key = 1;
      expect(() => {
        while (key < 100) add(key++);
      }).toThrow('a list has more entries than were counted');
      expect(entries.count).toBeGreaterThanOrEqual(room);
      expect(entries.count).toBeLessThanOrEqual(Math.ceil(room * 1.3));
    }
  });

  test('lie in other places with another seed, which differs from start to start', () => {
    const slots = (seed?: number): string => {
      const entries = new Entries(4, 100, seed);
      const found: number[] = [];
      for (let key = 0; key < 100; key++) {
        entries.ask(key);
        entries.add(32, 32);
        found.push(entries.find(32));
      }
      return found.join();
    };
    expect(slots(1)).toBe(slots(1));
    expect(slots(1)).not.toBe(slots(2));
    expect(slots()).not.toBe(slots());
  });
});

describe('the file of a list', () => {
  const refusal = (path: string): string => {
    try {
      openList(path);
      return 'taken';
    } catch (error) {
      const { message, hint } = error as ListError;
      expect(error).toBeInstanceOf(ListError);
      return `${message}${hint === undefined ? '' : ` (${hint})`}`.replaceAll(home, 'HOME');
    }
  };

  test('is one that only its owner may write', () => {
    const path = write('192.0.2.1\n');
    expect(refusal(path)).toBe('taken');
    for (const [mode, says] of [
      [0o644, 'taken'],
      [0o620, `may be written by others, who could then ban whom they like (chmod go-w ${path.replace(home, 'HOME')})`],
      [0o602, `may be written by others, who could then ban whom they like (chmod go-w ${path.replace(home, 'HOME')})`],
    ] as const) {
      chmodSync(path, mode);
      expect(refusal(path)).toBe(says);
    }
    if (process.geteuid?.() !== 0) return;
    chmodSync(path, 0o600);
    chownSync(path, 1234, 0);
    expect(refusal(path)).toBe(
      `belongs to user 1234, who could then ban whom he likes (chown root ${path.replace(home, 'HOME')})`,
    );
  });

  test('is a file, and below no directory that any user may write', () => {
    expect(refusal(home)).toBe('is not a regular file');
    expect(refusal('/dev/null')).toBe('is not a regular file');
    expect(refusal(join(home, 'none'))).toBe('cannot be opened: no such file (write it, an empty one at least)');
    expect(refusal(join(write(''), 'x'))).toBe('cannot be opened: a part of the path is not a directory');
    symlinkSync('loop', join(home, 'loop'));
    expect(refusal(join(home, 'loop'))).toBe('cannot be opened: too many symbolic links');
    const folder = join(home, 'open');
    mkdirSync(folder);
    writeFileSync(join(folder, 'list'), '', { mode: 0o600 });
    chmodSync(folder, 0o757);
    const reason = 'is below HOME/open, where any user may write and so replace the file (chmod o-w HOME/open)';
    expect(refusal(join(folder, 'list'))).toBe(reason);
    chmodSync(folder, 0o1777);
    expect(refusal(join(folder, 'list'))).toBe('taken');
    chmodSync(folder, 0o775);
    expect(refusal(join(folder, 'list'))).toBe('taken');
  });

  test('is closed where it is refused', () => {
    const open = (): number => readdirSync('/proc/self/fd').length;
    const before = open();
    expect(refusal(home)).not.toBe('taken');
    expect(open()).toBe(before);
  });
});

describe('several lists together', () => {
  const row = (text: string, use: ListUse = 'ban', jail = use === 'ban' ? 'lists' : '') => ({
    file: write(text),
    use,
    jail,
  });
  const problemOf = (work: () => unknown): string => {
    try {
      work();
      return 'none';
    } catch (error) {
      expect(error).toBeInstanceOf(FileProblem);
      return (error as FileProblem).text.replaceAll(home, '');
    }
  };

  test('become the prefixes of the kernel, each once', () => {
    const made = new Files([row('192.0.2.1\n192.0.2.0/31\n127.0.0.1\n'), row('192.0.2.1\n2001:db8::/32\n')]);
    const plan = atOnce(made.survey());
    expect(plan.lists.map(({ survey }) => survey.entries)).toEqual([2, 2]);
    expect(plan.lengths).toEqual({ 4: [31, 32], 6: [32] });
    expect(plan.elements).toEqual({ 4: 3, 6: 1 });
    const { entries, twice } = atOnce(made.fill(plan));
    expect([entries[4].count, entries[6].count, twice]).toEqual([2, 1, 1]);
    entries[4].ask(0x7f00_0001);
    expect(entries[4].find(32)).toBe(-1);
    expect(planBytes(plan.elements)).toBe(entries[4].bytes + entries[6].bytes);
    made.close();
    made.close();
  });

  test('are written with eight lengths, or exactly where that is asked for', () => {
    const lines = Array.from({ length: 9 }, (_, at) => `192.0.2.0/${24 + at}`);
    const made = new Files([row(`${lines.join('\n')}\n192.0.0.0/16\n192.0.0.0/17\n`, 'ignore')]);
    const plan = atOnce(made.survey());
    expect(plan.lengths[4]).toHaveLength(8);
    const exact = exactly(plan);
    expect(exact.lengths).toEqual({ 4: [16, 17, 24, 25, 26, 27, 28, 29, 30, 31, 32], 6: [] });
    expect(exact.elements).toEqual({ 4: 11, 6: 0 });
    expect(atOnce(made.fill(exact)).entries[4].count).toBe(11);
    expect(atOnce(made.fill(plan)).entries[4].count).toBeLessThanOrEqual(plan.elements[4]);
    made.close();
  });

  test('are refused for the first mistake, for what is missing, and where they change meanwhile', () => {
    const wrong = row('192.0.2.1\nx\ny\n');
    const made = new Files([row('192.0.2.1\n'), wrong]);
    expect(problemOf(() => atOnce(made.survey()))).toMatch(
      new RegExp(`^${wrong.file.slice(home.length)}:2: "x" is not an address or prefix \\(write `),
    );
    made.close();
    const open = (): number => readdirSync('/proc/self/fd').length;
    const before = open();
    const none = { file: join(home, 'none'), use: 'ban', jail: 'lists' } as const;
    expect(problemOf(() => new Files([row('192.0.2.1\n'), none]))).toBe(
      '/none: cannot be opened: no such file (write it, an empty one at least)',
    );
    expect(open()).toBe(before);
    const growing = row('192.0.2.1\n');
    const others = new Files([row('192.0.2.2\n'), growing]);
    const plan = atOnce(others.survey());
    expect(problemOf(() => others.checkUnchanged())).toBe('none');
    writeFileSync(growing.file, '192.0.2.1\n192.0.2.2\n192.0.2.3\n192.0.2.4\n192.0.2.5\n');
    const changed = `${growing.file.slice(home.length)}: is being written: it will be read again afterwards`;
    expect(problemOf(() => others.checkUnchanged())).toBe(changed);
    expect(problemOf(() => atOnce(others.fill(plan)))).toBe(changed);
    others.close();
    expect(open()).toBe(before);
  });

  test('yield while they are read', () => {
    const made = new Files([row('192.0.2.1\n'.repeat(2_000))]);
    let pauses = 0;
    for (const _ of made.survey()) pauses++;
    expect(pauses).toBeGreaterThanOrEqual(Math.floor(20_000 / listPieceBytes));
    made.close();
  });

  test('have a bound for all of them, by what they are for, before and behind the kernel’s lengths', () => {
    const of = (use: ListUse, entries: number, counts: Record<number, number> = { 32: entries }) => {
      const survey = new Survey(use);
      survey.entries = entries;
      for (const [length, count] of Object.entries(counts)) survey.counts[4][Number(length)] = count;
      return { row: { file: `/${use}`, use, jail: use === 'ban' ? 'sshd' : '' }, survey };
    };
    const { ban, ignore } = listEntriesMax;
    expect(planOf([of('ban', ban / 2), of('ban', ban / 2)]).elements).toEqual({ 4: ban, 6: 0 });
    expect(problemOf(() => planOf([of('ban', ban / 2), of('ban', ban / 2 + 1)]))).toBe(
      `/ban: lists of jail sshd have more than ${ban} entries (use wider prefixes)`,
    );
    expect(planOf([of('ignore', ignore)]).elements[4]).toBe(ignore);
    expect(problemOf(() => planOf([of('ignore', ignore + 1)]))).toBe(
      `/ignore: lists of what is ignored have more than ${ignore} entries (use wider prefixes)`,
    );
    const many = Object.fromEntries([8, 10, 12, 14, 16, 18, 20, 22, 24, 32].map((length) => [length, 900]));
    expect(problemOf(() => planOf([of('ignore', 9_000, { ...many, 32: 90_000 })]))).toMatch(
      /^\/ignore: has prefixes of too many lengths: written in eight, they would be \d+ elements in the kernel, and at most 100000 may be \(use fewer lengths\)$/,
    );
    expect(planOf([])).toMatchObject({ lengths: { 4: [], 6: [] }, elements: { 4: 0, 6: 0 } });
  });
});
