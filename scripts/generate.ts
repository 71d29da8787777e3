/**
 * Writes src/engine/generated/ from src/filters/. `--check` writes nothing and fails where a file
 * differs.
 *   npm run generate [-- --check]
 */
import { readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { generateFiles } from '../src/compiler/generate.ts';
import { filters } from '../src/filters/index.ts';

const folder = join(import.meta.dirname, '../src/engine/generated');
const checkOnly = process.argv.includes('--check');

function contents(path: string): string | null {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return null;
  }
}

const files = generateFiles(filters);
const stale = readdirSync(folder).filter((name) => !files.has(name));
const changed = [...files].filter(([name, text]) => contents(join(folder, name)) !== text);
if (checkOnly) {
  for (const name of [...stale, ...changed.map(([name]) => name)])
    console.error(`src/engine/generated/${name} is out of date`);
  process.exitCode = stale.length + changed.length > 0 ? 1 : 0;
} else {
  for (const name of stale) rmSync(join(folder, name));
  for (const [name, text] of changed) writeFileSync(join(folder, name), text);
  console.log(`${files.size} files, ${changed.length} written, ${stale.length} removed`);
}
