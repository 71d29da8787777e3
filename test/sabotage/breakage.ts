/**
 * A breakage: one small change of a real file, as a careless or malicious change would make it, and
 * the claim that must notice. `find` is exact text that occurs once in the tree, so that a breakage
 * survives a move of its file; `npm run sabotage` applies one at a time to a scratch copy.
 */
import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';

export interface Breakage {
  /** What is broken, as a sentence without its full stop. */
  name: string;
  /** Exact text that occurs once in the files that `breakable` names. */
  find: string;
  /** The text that replaces it. */
  put: string;
  /** Claims that must notice; none for the machinery of proof, whose tests notice. */
  claims: readonly string[];
  /** Test files that notice too, or that notice instead if no claim is named. */
  tests?: readonly string[];
}

/** What breakages may change. */
export const breakable = [
  'src',
  'native',
  'spec',
  'scripts',
  'systemd',
  'bin',
  'bench',
  'docs',
  'packaging',
  'test/fuzz',
  'SECURITY.md',
];

/** Path → text of every file that a breakage may change; emitted matchers left out. */
export function breakableFiles(root: string): Map<string, string> {
  const listed = execFileSync('git', ['ls-files', ...breakable], { cwd: root, encoding: 'utf8' });
  const paths = listed.split('\n').filter((path) => path !== '' && !path.includes('/generated/'));
  return new Map(paths.map((path) => [path, readFileSync(`${root}/${path}`, 'utf8')]));
}

/**
 * The text of a breakage does not occur in the tree, for example because another breakage is
 * applied there. This proves nothing: neither that a twin fails, nor that a claim noticed
 * something.
 */
export class Inapplicable extends Error {
  override name = 'Inapplicable';
}

/**
 * The file that holds the breakage's text. Throws if the text occurs nowhere, or more than once.
 */
export function fileOf({ name, find }: Breakage, files: ReadonlyMap<string, string>): string {
  const found = [...files].flatMap(([path, text]) => new Array<string>(text.split(find).length - 1).fill(path));
  if (found.length === 1) return found[0]!;
  const where = found.length === 0 ? 'stands nowhere' : `stands in ${found.join(', ')}`;
  throw new Inapplicable(
    `breakage "${name}" cannot be applied: its text ${where}: ${JSON.stringify(find.slice(0, 80))}`,
  );
}

/** The text with the breakage in place. */
export function broken(text: string, { find, put }: Breakage): string {
  const at = text.indexOf(find);
  return text.slice(0, at) + put + text.slice(at + find.length);
}

/** The room of a file: its folder in src, or the folder of the tree. */
export function roomOf(path: string): string {
  const [top = '', room = ''] = path.split('/');
  return top === 'src' && room !== '' ? `src/${room}` : top;
}
