/**
 * Whatever bytes a configuration contains, the result is a usable record or a ConfigError whose
 * every line is safe for a terminal; and a reader parses everything that a writer can write.
 */
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { compileConfig } from '../../src/config/compile.ts';
import { formatDuration, parseDuration } from '../../src/config/duration.ts';
import { decodeConfig } from '../../src/config/file.ts';
import { ceilingBytesMax } from '../../src/config/limits.ts';
import { formatPorts, parsePorts } from '../../src/config/port.ts';
import { ConfigError } from '../../src/config/problem.ts';
import { encodeCoreConfig } from '../../src/config/record.ts';
import { formatSize, parseSize } from '../../src/config/size.ts';
import { banSecondsMax } from '../../src/limits.ts';
import { formatAddress, maskAddress, parseCidr } from '../../src/text/address.ts';
import { printable } from '../../src/text/printable.ts';
import { decodeCoreConfig } from '../../src/text/record.ts';

const surroundings = { filters: [{ name: 'sshd', modes: ['normal', 'ddos'] }], groupId: () => undefined };

/** Compiles, and checks what must hold for the result in both cases. */
function answer(bytes: Uint8Array): void {
  try {
    const { config, warnings } = compileConfig(decodeConfig(bytes, 'x'), 'x', surroundings);
    expect(decodeCoreConfig(encodeCoreConfig(config))).toEqual(config);
    for (const warning of warnings) expect(printable(warning)).toBe(warning);
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error;
    expect(error.problems.length).toBeGreaterThan(0);
    const lineCount = bytes.filter((byte) => byte === 0x0a).length + 1;
    for (const problem of error.problems) {
      expect(problem.line).toBeGreaterThanOrEqual(1);
      expect(problem.line).toBeLessThanOrEqual(lineCount);
      expect(problem.column).toBeGreaterThanOrEqual(1);
      for (const text of [problem.key, problem.reason, problem.hint ?? '']) {
        expect(printable(text, Number.POSITIVE_INFINITY)).toBe(text);
      }
    }
  }
}

const key = fc.constantFrom(
  'memory',
  'firewall',
  'control',
  'metrics',
  'state',
  'interval',
  'log',
  'defaults',
  'jails',
  'jails.sshd',
  'jails.x',
  'ceiling',
  'backend',
  'socket',
  'bind',
  'port',
  'level',
  'logpath',
  'maxretry',
  'bantime',
  'bantime_multipliers',
  'bantime_factor',
  'findtime',
  'ignoreip',
  'hooks',
  'filter',
  'mode',
  'enabled',
  'bogus',
  '__proto__',
  'constructor',
  '"\\u001b[2J"',
);
const value = fc.constantFrom(
  '1',
  '-1',
  '0',
  '1e400',
  'nan',
  'true',
  '"10m"',
  '"ssh"',
  '"/var/log/x"',
  '["::1", "x"]',
  '[[[]]]',
  '{}',
  '{ a = 1 }',
  '2026-01-01',
  '"\\u0000\\u001b]0;x\\u0007"',
  "'''\n'''",
  '9999999999999999999',
  '10m',
  '"',
  '',
);
const document = fc
  .array(
    fc.oneof(
      fc.tuple(key, value).map(([name, text]) => `${name} = ${text}`),
      key.map((name) => `[${name}]`),
      key.map((name) => `[[${name}]]`),
    ),
    { maxLength: 10 },
  )
  .map((parts) => Buffer.from(parts.join('\n')));

describe('any configuration', () => {
  test('arbitrary bytes', () => {
    fc.assert(fc.property(fc.uint8Array({ maxLength: 200 }), answer), { numRuns: 2000 });
  });

  test('arbitrary text', () => {
    const text = fc.string({ unit: 'binary', maxLength: 200 }).map((one) => Buffer.from(one.toWellFormed()));
    fc.assert(fc.property(text, answer), { numRuns: 2000 });
  });

  test('our own keys and values, mixed up', () => {
    fc.assert(fc.property(document, answer), { numRuns: 5000 });
  });

  test('a usable file with some bytes changed', () => {
    const base = Buffer.from(
      '[memory]\nceiling = "64MB"\n[jails.sshd]\nlogpath = ["/a", "/b"]\nbantime = "1d"\nport = "22"\n',
    );
    const changes = fc.array(fc.tuple(fc.nat({ max: base.length - 1 }), fc.nat({ max: 255 })), {
      minLength: 1,
      maxLength: 4,
    });
    fc.assert(
      fc.property(changes, (list) => {
        const bytes = Buffer.from(base);
        for (const [at, byte] of list) bytes[at] = byte;
        answer(bytes);
      }),
      { numRuns: 5000 },
    );
  });
});

describe('there and back', () => {
  test('durations', () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: banSecondsMax }), (seconds) => {
        expect(parseDuration(formatDuration(seconds), false)).toEqual({ ok: true, value: seconds });
      }),
    );
  });

  test('sizes', () => {
    const bytes = fc.oneof(
      fc.integer({ min: 0, max: ceilingBytesMax }),
      fc.nat({ max: 4096 }).map((n) => n * 1024 * 1024),
    );
    fc.assert(
      fc.property(bytes, (size) => {
        expect(parseSize(formatSize(size), 0, ceilingBytesMax)).toEqual({ ok: true, value: size });
      }),
    );
  });

  test('ports, which come back sorted and without overlap', () => {
    const range = fc
      .tuple(fc.integer({ min: 1, max: 65_535 }), fc.nat({ max: 9 }))
      .map(([first, more]) => ({ first, last: Math.min(65_535, first + more) }));
    fc.assert(
      fc.property(fc.array(range, { minLength: 1, maxLength: 20 }), (ranges) => {
        const parsed = parsePorts(formatPorts(ranges));
        if (!parsed.ok) throw new Error(parsed.reason);
        expect(members(parsed.value)).toEqual(members(ranges));
        for (const [index, one] of parsed.value.entries()) {
          if (index > 0) expect(one.first).toBeGreaterThan(parsed.value[index - 1].last + 1);
        }
        expect(parsePorts(formatPorts(parsed.value))).toEqual(parsed);
      }),
    );
  });

  test('addresses and prefixes of both families', () => {
    const bytes = fc.oneof(
      fc.uint8Array({ minLength: 16, maxLength: 16 }),
      fc.array(fc.constantFrom(0, 0, 0, 1, 255), { minLength: 16, maxLength: 16 }).map((list) => Uint8Array.from(list)),
    );
    fc.assert(
      fc.property(bytes, fc.boolean(), fc.nat({ max: 128 }), (sixteen, isV4, bits) => {
        if (isV4) sixteen.set([0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 255, 255]);
        const mapped =
          sixteen.subarray(0, 10).every((byte) => byte === 0) && sixteen[10] === 255 && sixteen[11] === 255;
        const address = maskAddress({ family: mapped ? 4 : 6, bytes: sixteen, prefix: mapped ? bits % 33 : bits });
        expect(parseCidr(formatAddress(address), 'refuse')).toEqual(address);
      }),
      { numRuns: 2000 },
    );
  });

  test('the text of an address is the one Node’s own parser gives', () => {
    fc.assert(
      fc.property(fc.ipV6(), (text) => {
        const address = parseCidr(text, 'refuse');
        if (typeof address === 'string') throw new Error(`${text}: ${address}`);
        if (address.family === 6)
          expect(formatAddress(address)).toBe(new URL(`http://[${text}]/`).hostname.slice(1, -1));
      }),
      { numRuns: 1000 },
    );
  });
});

function members(ranges: { first: number; last: number }[]): number[] {
  const all = new Set<number>();
  for (const { first, last } of ranges) for (let port = first; port <= last; port++) all.add(port);
  return [...all].sort((one, other) => one - other);
}
