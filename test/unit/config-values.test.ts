import { describe, expect, test } from 'vitest';
import { formatDuration, parseDuration } from '../../src/config/duration.ts';
import { ceilingBytesMax } from '../../src/config/limits.ts';
import { editDistance, nearest } from '../../src/config/nearest.ts';
import type { Parsed } from '../../src/config/parsed.ts';
import { formatPorts, parsePorts } from '../../src/config/port.ts';
import { formatSize, parseSize } from '../../src/config/size.ts';
import { parseIgnored, parseLogPaths } from '../../src/config/values.ts';
import { formatAddress, maskAddress, parseAddress, parseCidr } from '../../src/text/address.ts';
import { printable } from '../../src/text/printable.ts';

/** The value, or the reason. */
function outcome<T>(parsed: Parsed<T>): T | string {
  return parsed.ok ? parsed.value : parsed.reason;
}

describe('durations', () => {
  test.each<[unknown, number]>([
    [600, 600],
    ['600', 600],
    [' 600 ', 600],
    ['1s', 1],
    ['10m', 600],
    ['10 min', 600],
    ['1h', 3600],
    ['1d', 86_400],
    ['1w', 604_800],
    ['2mo', 5_184_000],
    ['1y', 31_536_000],
    ['1d 12h', 129_600],
    ['1h30m', 5400],
    ['2 weeks 1 day', 1_296_000],
    ['10y', 315_360_000],
    [-1, -1],
    ['-1', -1],
  ])('%j is %d s', (text, seconds) => {
    expect(outcome(parseDuration(text, true))).toBe(seconds);
  });

  test.each<[unknown, string]>([
    [0, 'must be greater than 0, found the integer 0'],
    ['0m', 'must be greater than 0, found the string "0m"'],
    [-2, 'must be greater than 0, found the integer -2'],
    [1.5, 'expected whole seconds, found the float 1.5'],
    ['1.5h', 'expected a duration, found the string "1.5h"'],
    ['', 'expected a duration, found the string ""'],
    ['10', 'accepted'],
    ['1h 30', 'expected a duration, found the string "1h 30"'],
    ['30 1h', 'expected a duration, found the string "30 1h"'],
    ['10x', 'expected a duration, found the string "10x"'],
    ['10constructor', 'expected a duration, found the string "10constructor"'],
    ['m', 'expected a duration, found the string "m"'],
    ['-1h', 'expected a duration, found the string "-1h"'],
    ['1H', 'expected a duration, found the string "1H"'],
    [true, 'expected a duration, found the boolean true'],
    [['1h'], 'expected a duration, found a list'],
    [{}, 'expected a duration, found a table'],
    ['11y', 'longer than 315360000 s (10 years), found the string "11y"'],
    [Number.NaN, 'expected whole seconds, found the float NaN'],
    [Number.POSITIVE_INFINITY, 'expected whole seconds, found the float Infinity'],
  ])('%j: %s', (text, reason) => {
    const parsed = parseDuration(text, true);
    expect(parsed.ok ? 'accepted' : parsed.reason).toBe(reason);
  });

  test('-1 is refused where nothing may last for ever', () => {
    expect(outcome(parseDuration(-1, false))).toBe('-1 (for ever) is only possible for bantime');
  });

  test.each([
    [600, '10m'],
    [90_061, '1d 1h 1m 1s'],
    [1_209_600, '2w'],
    [-1, '-1'],
  ])('%d s are written %s', (seconds, text) => {
    expect(formatDuration(seconds)).toBe(text);
  });
});

describe('sizes', () => {
  const size = (value: unknown) => outcome(parseSize(value, 1024, ceilingBytesMax));

  test.each<[unknown, number]>([
    ['64MB', 67_108_864],
    ['64 MiB', 67_108_864],
    ['64m', 67_108_864],
    ['1GB', 1_073_741_824],
    ['65536KB', 67_108_864],
    ['1024b', 1024],
    [1024, 1024],
    ['4GB', ceilingBytesMax],
  ])('%j is %d bytes', (text, bytes) => expect(size(text)).toBe(bytes));

  test.each<[unknown, string]>([
    ['64', 'expected a size, found the string "64"'],
    ['64XB', 'expected a size, found the string "64XB"'],
    ['-64MB', 'expected a size, found the string "-64MB"'],
    ['6.4MB', 'expected a size, found the string "6.4MB"'],
    [1.5, 'expected a size, found the float 1.5'],
    [true, 'expected a size, found the boolean true'],
    [1023, 'smaller than 1KB, found the integer 1023'],
    ['5GB', 'larger than 4GB, found the string "5GB"'],
  ])('%j: %s', (text, reason) => expect(size(text)).toBe(reason));

  test.each([
    [67_108_864, '64MB'],
    [1_073_741_824, '1GB'],
    [1536, '1536B'],
    [2048, '2KB'],
    [0, '0B'],
  ])('%d bytes are written %s', (bytes, text) => expect(formatSize(bytes)).toBe(text));
});

describe('addresses', () => {
  test.each([
    ['192.0.2.7', 4, 32, '192.0.2.7'],
    ['192.0.2.0/24', 4, 24, '192.0.2.0/24'],
    ['127.0.0.1/8', 4, 8, '127.0.0.0/8'],
    ['0.0.0.0/0', 4, 0, '0.0.0.0/0'],
    ['::ffff:192.0.2.7', 4, 32, '192.0.2.7'],
    ['::ffff:c000:207', 4, 32, '192.0.2.7'],
    ['::FFFF:192.0.2.0/120', 4, 24, '192.0.2.0/24'],
    ['2001:db8::', 6, 128, '2001:db8::'],
    ['2001:DB8:0:0:1:0:0:1', 6, 128, '2001:db8::1:0:0:1'],
    ['2001:db8::/32', 6, 32, '2001:db8::/32'],
    ['2001:db8::1/64', 6, 64, '2001:db8::/64'],
    ['2001:db8:0:1:1:1:1:1', 6, 128, '2001:db8:0:1:1:1:1:1'],
    ['::', 6, 128, '::'],
    ['::1', 6, 128, '::1'],
    ['1::', 6, 128, '1::'],
    ['64:ff9b::192.0.2.33', 6, 128, '64:ff9b::c000:221'],
    ['1:2:3:4:5:6:7::', 6, 128, '1:2:3:4:5:6:7:0'],
  ])('%s is IPv%d/%d, written %s', (text, family, prefix, shown) => {
    const address = parseCidr(text, 'clear');
    expect(address).toMatchObject({ family, prefix });
    if (typeof address === 'object') expect(formatAddress(address)).toBe(shown);
  });

  test.each([
    ['', 'not-an-address'],
    ['localhost', 'not-an-address'],
    ['192.0.2', 'not-an-address'],
    ['192.0.2.7.1', 'not-an-address'],
    ['192.0.2.256', 'not-an-address'],
    ['192.0.2.07', 'not-an-address'],
    ['192.0.2.', 'not-an-address'],
    [' 192.0.2.7', 'not-an-address'],
    ['192.0.2.7 ', 'not-an-address'],
    ['1:2:3:4:5:6:7', 'not-an-address'],
    ['1:2:3:4:5:6:7:8:9', 'not-an-address'],
    ['1:2:3:4:5:6:7:8::', 'not-an-address'],
    ['1::2::3', 'not-an-address'],
    [':::', 'not-an-address'],
    [':1', 'not-an-address'],
    ['1:', 'not-an-address'],
    ['12345::', 'not-an-address'],
    ['g::', 'not-an-address'],
    ['192.0.2.7::', 'not-an-address'],
    ['::192.0.2.7:1', 'not-an-address'],
    ['fe80::1%eth0', 'not-an-address'],
    ['[::1]', 'not-an-address'],
    ['192.0.2.0/33', 'bad-prefix'],
    ['192.0.2.0/', 'bad-prefix'],
    ['192.0.2.0/024', 'bad-prefix'],
    ['192.0.2.0/-1', 'bad-prefix'],
    ['192.0.2.0/24/8', 'bad-prefix'],
    ['2001:db8::/129', 'bad-prefix'],
    ['::ffff:192.0.2.0/95', 'bad-prefix'],
    ['1'.repeat(100), 'not-an-address'],
  ])('%s: %s', (text, problem) => expect(parseCidr(text, 'clear')).toBe(problem));

  test('bits below the prefix are refused on request', () => {
    expect(parseCidr('192.0.2.1/24', 'refuse')).toBe('host-bits');
    expect(parseCidr('192.0.2.0/24', 'refuse')).toMatchObject({ prefix: 24 });
  });

  test('masking clears the bits below a prefix that ends inside a byte', () => {
    const address = parseAddress('2001:db8::ffff:ffff:ffff:ffff');
    expect(address && formatAddress(maskAddress({ ...address, prefix: 69 }))).toBe('2001:db8:0:0:f800::/69');
  });
});

describe('ports', () => {
  test.each<[unknown, string]>([
    [22, '22'],
    ['ssh', '22'],
    ['SSH', '22'],
    ['all', 'all'],
    ['80,443', '80,443'],
    ['http, https', '80,443'],
    ['6000:6100', '6000:6100'],
    ['6000-6100', '6000:6100'],
    ['ftp-data', '20'],
    [['ssh', 2222], '22,2222'],
    ['1:65535', '1:65535'],
    ['22,22,23,30,25:31', '22:23,25:31'],
    ['443,80', '80,443'],
  ])('%j is %s', (value, text) => {
    const parsed = parsePorts(value);
    expect(parsed.ok ? formatPorts(parsed.value) : parsed.reason).toBe(text);
  });

  test.each<[unknown, string, string | undefined]>([
    [0, 'expected a port from 1 to 65535, found the integer 0', undefined],
    [65_536, 'expected a port from 1 to 65535, found the integer 65536', undefined],
    ['65536', 'expected a port from 1 to 65535, found 65536', undefined],
    [2.5, 'expected a port from 1 to 65535, found the float 2.5', undefined],
    ['', 'expected a port, found nothing', undefined],
    ['80,', 'expected a port, found nothing', undefined],
    ['100:10', 'the range "100:10" ends before it starts', undefined],
    ['0:10', 'expected a port from 1 to 65535, found 0', undefined],
    ['htpps', 'unknown service "htpps"', 'did you mean "https"?'],
    ['constructor', 'unknown service "constructor"', 'write the number of the port'],
    ['ssh,all', '"all" is set beside other ports', 'write "all" alone'],
    [['all', 22], '"all" is set beside other ports', 'write "all" alone'],
    [[], 'expected at least one port, found an empty list', undefined],
    [true, 'expected a port, found the boolean true', undefined],
    [[22, true], 'expected a port, found the boolean true', undefined],
  ])('%j: %s', (value, reason, hint) => {
    const parsed = parsePorts(value);
    expect(parsed).toMatchObject({ ok: false, reason });
    if (hint !== undefined) expect(parsed).toMatchObject({ hint });
  });

  test('the element of a list that is refused is named', () => {
    expect(parsePorts([22, 'x'])).toMatchObject({ ok: false, index: 1 });
  });

  test('more separate ranges than a rule holds are refused', () => {
    const ports = Array.from({ length: 65 }, (_, index) => 2 * index + 1).join(',');
    expect(outcome(parsePorts(ports))).toBe('more than 64 separate ports or ranges');
  });
});

describe('lists', () => {
  test('ignored addresses come from one string or from a list, in their shortest form and once', () => {
    expect(outcome(parseIgnored('127.0.0.1/8, ::1 192.0.2.7 ::1'))).toEqual(['127.0.0.0/8', '::1', '192.0.2.7']);
    expect(outcome(parseIgnored(['2001:DB8::/32']))).toEqual(['2001:db8::/32']);
    expect(outcome(parseIgnored(''))).toEqual([]);
    expect(outcome(parseIgnored([]))).toEqual([]);
  });

  test('log paths are one or several', () => {
    expect(outcome(parseLogPaths('/var/log/*.log'))).toEqual(['/var/log/*.log']);
    expect(outcome(parseLogPaths(['/var/log/a', '/var/log/b', '/var/log/a']))).toEqual(['/var/log/a', '/var/log/b']);
  });
});

describe('nearest', () => {
  const keys = ['maxretry', 'findtime', 'bantime', 'ignoreip', 'ignoreself'];

  test.each([
    ['maxretyr', 'maxretry'],
    ['max_retry', 'maxretry'],
    ['maxRetry', 'maxretry'],
    ['bantmie', 'bantime'],
    ['ignoreips', 'ignoreip'],
    ['zebra', undefined],
    ['', undefined],
    ['x'.repeat(1000), undefined],
  ])('%s → %s', (word, key) => expect(nearest(word, keys)).toBe(key));

  test.each([
    ['', '', 0],
    ['abc', '', 3],
    ['ab', 'ba', 1],
    ['kitten', 'sitting', 3],
    ['ca', 'abc', 3],
    ['abcd', 'bacd', 1],
    ['abcd', 'abdc', 1],
    ['ab', 'abab', 2],
  ])('distance of "%s" and "%s" is %d', (one, other, distance) => expect(editDistance(one, other)).toBe(distance));

  test('a third of the letters may differ, at least one, and none of a word that is too long', () => {
    expect(nearest('abcdefghi', ['abcdefxyz'])).toBe('abcdefxyz');
    expect(nearest('abcdefghi', ['abcdewxyz'])).toBe(undefined);
    expect(nearest('ab', ['ac'])).toBe('ac');
    expect(nearest('ab', ['cd'])).toBe(undefined);
    expect(nearest('', ['a'])).toBe(undefined);
    const longest = 'x'.repeat(48);
    expect(nearest(`${longest.slice(1)}y`, [longest])).toBe(longest);
    expect(nearest(`${longest}x`, [longest])).toBe(undefined);
    expect(nearest(longest, [`${longest}x`])).toBe(undefined);
  });

  test('of several equally near ones the first, and "-" is like "_" and nothing else', () => {
    expect(nearest('bax', ['bar', 'baz'])).toBe('bar');
    expect(nearest('a-b', ['ab', 'a_b'])).toBe('a_b');
    expect(nearest('BAR-X', ['bar_y', 'bar_x'])).toBe('bar_x');
  });
});

describe('printable', () => {
  test.each([
    ['plain – ümlaut 日本', 'plain – ümlaut 日本'],
    ['\x1b[31mred', '\\x1b[31mred'],
    ['\u009b31m', '\\x9b31m'],
    ['a\r\n\tb\0', 'a\\r\\n\\tb\\x00'],
    ['\u202eevil', '\\u{202e}evil'],
    ['\u2066x\u200b', '\\u{2066}x\\u{200b}'],
    ['\ud800', '\\u{d800}'],
    ['\x7f', '\\x7f'],
    ['\ufeff\u{e0041}', '\\u{feff}\\u{e0041}'],
  ])('%j is shown as %s', (text, shown) => expect(printable(text)).toBe(shown));

  test('long text is cut between characters', () => {
    expect(printable('😀😀😀', 2)).toBe('😀😀…');
    expect(printable('ab', 2)).toBe('ab');
  });
});
