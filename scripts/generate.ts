/**
 * Writes src/engine/generated/ from src/filters/, and the manual pages and the reference of the
 * configuration from their tables. `--check` writes nothing and fails if a file differs.
 *   npm run generate [-- --check]
 */
import { mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { generateFiles } from '../src/compiler/generate.ts';
import { filters } from '../src/filters/index.ts';
import { documents } from './documents.ts';

const root = join(import.meta.dirname, '..');
const matchers = 'src/engine/generated';
const checkOnly = process.argv.includes('--check');

function contents(path: string): string | null {
  try {
    return readFileSync(join(root, path), 'utf8');
  } catch {
    return null;
  }
}

const emitted = [...generateFiles(filters)].map(([name, text]) => [`${matchers}/${name}`, text] as const);
const files = new Map([...emitted, ...documents()]);
const present = readdirSync(join(root, matchers)).map((name) => `${matchers}/${name}`);
const stale = present.filter((path) => !files.has(path));
const changed = [...files].filter(([path, text]) => contents(path) !== text);
if (checkOnly) {
  for (const path of [...stale, ...changed.map(([path]) => path)]) console.error(`${path} is out of date`);
  process.exitCode = stale.length + changed.length > 0 ? 1 : 0;
} else {
  for (const path of stale) rmSync(join(root, path));
  for (const [path, text] of changed) {
    mkdirSync(dirname(join(root, path)), { recursive: true });
    writeFileSync(join(root, path), text);
  }
  console.log(`${files.size} files, ${changed.length} written, ${stale.length} removed`);
}
