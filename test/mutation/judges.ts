/**
 * The tests that judge mutants of a room: those that import it; of engine and compiler also those
 * that know the filters. Tests of processes and of the kernel would run an unmutated program, and
 * tests of other rooms could not notice a mutant, so they are left out.
 */
import { globSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

/** What a test must import, itself or through a helper, to notice a mutant of `room`. */
const subjectsOf = (root: string, room: string): string[] => {
  if (!['engine', 'compiler'].includes(room)) {
    const helpers = globSync('test/support/*.ts', { cwd: root }).filter((path) =>
      readFileSync(join(root, path), 'utf8').includes(`src/${room}/`),
    );
    return [`src/${room}/`, ...helpers.map((path) => path.slice('test/'.length))];
  }
  return ['src/engine/', 'src/compiler/', 'src/filters/', 'support/corpus', 'support/matchers', 'support/oracle'];
};
/**
 * They compare files on disk or read the source as text, so they would notice any mutant without
 * running it.
 */
const readers = ['imports', 'ledger', 'readme'];
/**
 * They take seconds, because of a program around the engine or of their number; a more direct test
 * notices the same, except in the room that stands beside them.
 */
const slow: Readonly<Record<string, string>> = {
  'audit-kill': '',
  bench: '',
  client: '',
  'cut-line': 'engine',
  'decision-ring': '',
  'file-source-engine': '',
  'fleet-': '',
  'followed-limit': 'sources',
  history: '',
  'operator-commands': '',
  'recidive-bursts': 'engine',
  'sshd-corpus': 'engine',
  'state-keeper.test': 'state',
  'table-placement': '',
  unwrap: 'engine',
};
/** The rooms whose tests are the same. */
const alike: Readonly<Record<string, string>> = { compiler: 'engine' };

/** Paths under `root`, the short ones first. */
export function judgesUnder(root: string, room: string): string[] {
  const subjects = subjectsOf(root, room);
  return ['test/unit', 'test/property']
    .flatMap((folder) => globSync(`${folder}/**/*.test.ts`, { cwd: root }).sort())
    .filter((path) => !path.endsWith('.kernel.test.ts'))
    .filter((path) => !readers.some((name) => path.includes(name)))
    .filter(
      (path) => !Object.entries(slow).some(([name, judged]) => path.includes(name) && judged !== (alike[room] ?? room)),
    )
    .filter((path) => {
      const text = readFileSync(join(root, path), 'utf8');
      return subjects.some((name) => text.includes(name));
    });
}
