/**
 * The root of the guest as an archive that the kernel unpacks into memory (cpio, "newc":
 * Documentation/driver-api/early-userspace/buffer-format.rst): busybox, Node, what `npm run build`
 * made, the programs that look at the kernel, their libraries, and modules.
 */
import { execFileSync } from 'node:child_process';
import { readdirSync, readFileSync, realpathSync, statSync } from 'node:fs';
import { join } from 'node:path';

export type Entry =
  | { path: string; kind: 'folder' }
  | { path: string; kind: 'link'; to: string }
  | { path: string; kind: 'file'; bytes: Uint8Array; mode: number };

const formats = { folder: 0o040_755, link: 0o120_777, file: 0o100_000 };

function record(path: string, mode: number, bytes: Uint8Array): Buffer[] {
  const name = Buffer.from(`${path}\0`);
  // Number, mode, owner, group, links, time, size, four of devices, length of the name, sum.
  const fields = [0, mode, 0, 0, 1, 0, bytes.length, 0, 0, 0, 0, name.length, 0];
  const head = Buffer.from(`070701${fields.map((field) => field.toString(16).padStart(8, '0')).join('')}`);
  const padding = (length: number): Buffer => Buffer.alloc((4 - (length % 4)) % 4);
  return [head, name, padding(head.length + name.length), Buffer.from(bytes), padding(bytes.length)];
}

/** The folder of each path comes before its contents. */
export function archive(entries: readonly Entry[]): Buffer {
  const folders = new Set<string>();
  const parts: Buffer[] = [];
  for (const entry of entries) {
    const names = entry.path.split('/').slice(0, -1);
    const parents = names.map((_, at) => names.slice(0, at + 1).join('/'));
    for (const path of entry.kind === 'folder' ? [...parents, entry.path] : parents) {
      if (folders.has(path)) continue;
      folders.add(path);
      parts.push(...record(path, formats.folder, Buffer.alloc(0)));
    }
    if (entry.kind === 'link') parts.push(...record(entry.path, formats.link, Buffer.from(entry.to)));
    if (entry.kind === 'file') parts.push(...record(entry.path, formats.file | entry.mode, entry.bytes));
  }
  return Buffer.concat([...parts, ...record('TRAILER!!!', 0, Buffer.alloc(0))]);
}

/** The file at `from` as `path`, with the mode it has. */
export function file(from: string, path: string): Entry {
  return { path, kind: 'file', bytes: readFileSync(from), mode: statSync(from).mode & 0o777 };
}

/** Every file below `from`. */
export function tree(from: string, path: string, wanted: (name: string) => boolean = () => true): Entry[] {
  return readdirSync(from, { recursive: true, encoding: 'utf8' })
    .filter((name) => wanted(name) && statSync(join(from, name)).isFile())
    .map((name) => file(join(from, name), `${path}/${name}`));
}

/** A program as `path`, and its libraries where the loader finds them (ldd(1)). */
export function program(from: string, path: string, environment = process.env): Entry[] {
  const listed = execFileSync('ldd', [from], { encoding: 'utf8', env: environment });
  // `name => file`: the loader looks for the name; a file alone is the loader itself.
  const libraries = [...listed.matchAll(/^\s*(?:(\S+) => )?(\/\S+) \(/gm)].map(([, name, at = '']) =>
    file(realpathSync(at), name === undefined ? at.slice(1) : `lib/x86_64-linux-gnu/${name}`),
  );
  return [file(from, path), ...libraries];
}

/** One entry for each path: the first. */
export function withoutDoubles(entries: readonly Entry[]): Entry[] {
  const seen = new Set<string>();
  return entries.filter(({ path }) => !seen.has(path) && seen.add(path));
}
