/**
 * The engine's memory functions in each build: plain TypeScript, and compiled alone from
 * simd/#linear.ts or scalar/#linear.ts.
 */
import { readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import asc from 'assemblyscript/asc';
import { forgetFiles } from '../../scripts/compiler.ts';
import type { Build } from '../../src/engine/host.ts';
import * as plain from '../../src/engine/linear.ts';

export type Linear = Pick<
  typeof plain,
  | 'findByte'
  | 'findByteLast'
  | 'findPair'
  | 'findPairLast'
  | 'findWord'
  | 'findWordLast'
  | 'skipDigits'
  | 'skipDecimal'
  | 'skipNonspace'
  | 'digitsBefore'
  | 'lies'
  | 'clockSeconds'
  | 'matchBits'
  | 'ones'
  | 'holdsWord'
  | 'wordsAre'
  | 'leastWord'
  | 'addressBits'
>;

const root = join(import.meta.dirname, '..', '..');

/** The functions, and the memory `bytes` on which they work. */
export async function linearOf(build: Build): Promise<{ linear: Linear; bytes: Buffer }> {
  if (build === 'plain') {
    const memory = new ArrayBuffer(65_536);
    plain.bindMemory(memory);
    return { linear: plain, bytes: Buffer.from(memory) };
  }
  const output = join(tmpdir(), `linear-${process.pid}-${build}.wasm`);
  const folder = build === 'wasm' ? 'src/engine/simd' : 'src/engine/scalar';
  forgetFiles();
  const { error, stderr } = await asc.main([
    `${folder}/#linear.ts`,
    ...['--lib', folder, '--lib', 'src/engine/wasm'],
    ...['--baseDir', root, '--outFile', output, '-O2', '--runtime', 'stub', '--noAssert', '--importMemory'],
    ...[build === 'wasm' ? '--enable' : '--disable', 'simd'],
  ]);
  if (error) throw new Error(stderr.toString());
  const memory = new WebAssembly.Memory({ initial: 1, maximum: 1 });
  const { exports } = new WebAssembly.Instance(new WebAssembly.Module(readFileSync(output)), { env: { memory } });
  rmSync(output);
  return { linear: exports as unknown as Linear, bytes: Buffer.from(memory.buffer) };
}
