/**
 * Inputs that showed a fault, stored before the fault is fixed:
 * test/corpus/findings/<target>-<digest>.txt, a heading, why, and the input as a JSON string of its
 * bytes (latin1). The tests replay them all.
 */
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Finding } from './run.ts';

export const findingsFolder = join(import.meta.dirname, '../corpus/findings');

export interface StoredFinding {
  file: string;
  target: string;
  input: Buffer;
}

/** Writes a finding and returns its path. */
export function storeFinding({ target, seed, why, input, alone }: Finding, folder = findingsFolder): string {
  mkdirSync(folder, { recursive: true });
  const digest = createHash('sha256').update(input).digest('hex').slice(0, 10);
  const path = join(folder, `${target}-${digest}.txt`);
  const lines = [
    `# ${target}: ${(why.split('\n')[0] as string).slice(0, 160)}`,
    `why: found by \`npm run fuzz -- ${target} --seed ${seed}\`${alone ? '' : ', after the inputs before it'}`,
    `target: ${target}`,
    `> ${JSON.stringify(input.toString('latin1'))}`,
  ];
  writeFileSync(path, `${lines.join('\n')}\n`);
  return path;
}

export function readFindings(folder = findingsFolder): StoredFinding[] {
  if (!existsSync(folder)) return [];
  return readdirSync(folder)
    .filter((name) => name.endsWith('.txt'))
    .sort()
    .map((file) => {
      const text = readFileSync(join(folder, file), 'utf8');
      const target = text.match(/^target: (.+)$/m)?.[1];
      const input = text.match(/^> (.+)$/m)?.[1];
      if (target === undefined || input === undefined) throw new Error(`${file}: no target or no input`);
      return { file, target, input: Buffer.from(JSON.parse(input) as string, 'latin1') };
    });
}
