/**
 * The parser engine, fifth part: addresses and times are read many bytes at once, with the same
 * result as byte by byte.
 */
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import fc from 'fast-check';
import type { Build } from '../src/engine/host.ts';
import { temporaryDirectory } from '../test/support/control.ts';
import { claim, type Supply, twin } from './claim.ts';
import { addressText, engineOf, epoch } from './support/tracker.ts';

const root = join(import.meta.dirname, '..');
const run = promisify(execFile);
const parts = ['address', 'timestamp'] as const;
type Part = (typeof parts)[number];

interface Scans {
  /** Vector instructions in one file of the engine, built alone as the engine is built. */
  vectors: (part: Part) => Promise<number>;
  /** What the SIMD build, and another one, read from a line: outcome, address, time. */
  simd: (line: string) => string;
  scalar: (line: string) => string;
}

const vectorsOf =
  (simd: '--enable' | '--disable') =>
  async (part: Part): Promise<number> => {
    const directory = temporaryDirectory();
    try {
      const text = join(directory.path, 'part.wat');
      const flags = ['-O2', '--runtime', 'stub', '--noAssert', '--importMemory', simd, 'simd', '--textFile', text];
      const { NODE_V8_COVERAGE: _, ...env } = process.env;
      const asc = join(root, 'node_modules', 'assemblyscript', 'bin', 'asc.js');
      const memory = [
        '--lib',
        simd === '--enable' ? 'src/engine/simd' : 'src/engine/scalar',
        '--lib',
        'src/engine/wasm',
      ];
      const source = [...memory, '--baseDir', root, `src/engine/${part}.ts`];
      await run(process.execPath, [asc, ...source, ...flags], { cwd: root, env });
      return readFileSync(text, 'utf8').match(/\b(?:v128|i8x16|i16x8|i32x4)\.\w+/g)?.length ?? 0;
    } finally {
      directory.remove();
    }
  };

async function reads(build: Build): Promise<(line: string) => string> {
  const engine = await engineOf({ build, ipv6Prefix: 128 });
  return (line) => {
    const { outcome, address, time } = engine.examine(Buffer.from(line, 'latin1'), 'sshd', '', epoch, false);
    return `${outcome} ${address === undefined ? '-' : addressText(address)} ${time}`;
  };
}

/** `spoil` is what a twin reads instead of a line. */
function scans(flag: '--enable' | '--disable', spoil = (line: string) => line): Supply<Scans> {
  return {
    async make() {
      const [simd, scalar] = [await reads('wasm'), await reads('scalar')];
      return { vectors: vectorsOf(flag), simd: (line) => simd(spoil(line)), scalar };
    },
  };
}

const digits = (max: number): fc.Arbitrary<string> =>
  fc.string({ unit: fc.constantFrom(...'0123456789'), maxLength: max });
/** Addresses of every length, valid ones and near misses. */
const address = fc.oneof(
  fc.ipV4(),
  fc.ipV6(),
  fc.tuple(digits(4), digits(4), digits(3), digits(4)).map((quad) => quad.join('.')),
  fc.string({ unit: fc.constantFrom(...'0123456789abcdef:.'), minLength: 1, maxLength: 46 }),
);
const two = fc.integer({ min: 0, max: 99 }).map((value) => String(value).padStart(2, '0'));
const time = fc.oneof(
  fc.tuple(two, two, two, two, two, digits(7)).map(([mo, d, h, m, s, f]) => `2025-${mo}-${d}T${h}:${m}:${s}.${f}Z`),
  fc.tuple(two, two, two, two).map(([d, h, m, s]) => `Nov ${d} ${h}:${m}:${s}`),
  fc.tuple(two, two).map(([m, s]) => `2025-11-21T03:${m}:${s}.123456+00:00`),
  fc.tuple(two, two).map(([m, s]) => `Nov 21 03:${m}:${s}`),
);
const lines = fc
  .tuple(time, address, fc.nat(99_999))
  .map(([at, from, port]) => `${at} host sshd[7]: Failed password for root from ${from} port ${port} ssh2`);
const tries = 20_000;

claim(
  'LP-22',
  scans('--enable'),
  async ({ vectors, simd, scalar }) => {
    const counts: number[] = [];
    for (const part of parts) counts.push(await vectors(part));
    for (const [index, count] of counts.entries())
      assert.ok(count > 0, `${parts[index]}.ts uses no vector instruction`);
    let charged = 0;
    for (const line of fc.sample(lines, { numRuns: tries, seed: 22 })) {
      const [answer, other] = [simd(line), scalar(line)];
      assert.equal(answer, other, `SIMD and scalar build of ${line}`);
      if (answer.startsWith('failure')) charged++;
    }
    assert.ok(charged > tries / 20 && charged < tries, `${charged} of ${tries} lines charged`);
    return `${counts[0]} vector instructions for addresses, ${counts[1]} for times; ${tries} lines with addresses and times of every length, ${charged} of them charged: read alike without`;
  },
  [
    twin('the scalar build', scans('--disable'), /uses no vector instruction/),
    twin(
      'a scan that reads at most 15 bytes of an address',
      scans('--enable', (line) => line.replace(/(?<= from .{15})\S+/, '')),
      /SIMD and scalar build of/,
    ),
    twin(
      'a scan that takes any two digits for a second',
      scans('--enable', (line) => line.replace(/:(\d\d):[6-9]\d/, ':$1:00')),
      /SIMD and scalar build of/,
    ),
  ],
  { timeoutMs: 300_000 },
);
