/**
 * The tests that judge mutants of a room. Of the engine: those that import it or know the filters.
 * Of the other rooms: those whose matter the room is, by name. Tests of other rooms pass its code
 * too, but notice a mutant late if at all, and a run over them takes ten times as long. Tests of
 * processes and of the kernel would run an unmutated program.
 */
import { existsSync, globSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

const chosen: Readonly<Record<string, string>> = {
  backends: `unit/backend-parts unit/backends unit/bpf unit/kernel-faults unit/pacer unit/recordings unit/xdp-program
    property/netlink property/xtables`,
  compiler: `unit/compiler-check unit/compiler-emit unit/compiler-encode unit/compiler-first-look unit/compiler-generate
    unit/compiler-rules unit/compiler-shape unit/compiler-usual unit/filters property/interpreter`,
  config: `unit/config-file unit/config-hints unit/config-jails unit/config-lists unit/config-pieces unit/config-places
    unit/config-problems unit/config-record unit/config-values unit/documents unit/escalation unit/fleet-config
    unit/journal-config unit/line-time unit/log-clocks unit/messages unit/operator-filter unit/suggest
    property/config-locate property/config property/operator-patterns`,
  control: `unit/control-connection unit/control-edges unit/control-protocol unit/control-server unit/control-verbs
    unit/control-words property/control-frames.property`,
  enforcer: `unit/delivery unit/enforcer unit/enforcer-commands unit/enforcer-loop unit/ignored unit/latency
    unit/reconciliation unit/room`,
  import: `unit/import-command unit/import-date-pattern unit/import-expression unit/import-plan unit/import-report
    unit/import-tree property/import`,
  lists: 'unit/config-lists unit/lists-files unit/lists-running',
  sources: `unit/directories unit/file-source unit/followed unit/followed-limit unit/glob unit/inotify unit/journal-follow
    unit/journal-source unit/journal-state unit/log-clocks unit/log-paths unit/messages unit/moderation unit/mounts
    unit/reader unit/routes unit/silence
    property/file-source property/renames property/rewrites`,
  state: 'unit/journal-state unit/old-states unit/state unit/state-damage unit/state-keeper-times',
  text: 'unit/address unit/config-hints unit/config-record unit/config-values unit/text property/config',
};

/** What a test must import, itself or through a helper, to notice a mutant of the engine. */
const subjects = [
  'src/engine/',
  'src/compiler/',
  'src/filters/',
  'support/corpus',
  'support/matchers',
  'support/oracle',
];
/**
 * They compare files on disk or read the source as text, so they would notice any mutant without
 * running it.
 */
const readers = ['imports', 'ledger', 'readme'];
/**
 * They take seconds, because they run a program around the engine or because there are so many. A
 * more direct test notices the same mutants.
 */
const slow = ['bench', 'decision-ring', 'file-source-engine', 'operator-commands', 'state-keeper', 'table-placement'];

/** Single tests that take longer than a mutant has, and whose parts are tests too. */
const leftOut = ['generated files are what the compiler writes now'];

/** Whether the test of this id (file and names, joined by ` > `) is not run. */
export const isLeftOut = (id: string): boolean => leftOut.some((name) => id.endsWith(` > ${name}`));

/** Paths under `root`. */
export function judgesUnder(root: string, room: string): string[] {
  const named = chosen[room]?.split(/\s+/).map((name) => `test/${name}.test.ts`);
  const missing = named?.find((path) => !existsSync(join(root, path)));
  if (missing !== undefined) throw new Error(`${missing}, which judges ${room}, is gone`);
  if (named !== undefined) return named;
  return ['test/unit', 'test/property']
    .flatMap((folder) => globSync(`${folder}/**/*.test.ts`, { cwd: root }).sort())
    .filter((path) => !path.endsWith('.kernel.test.ts'))
    .filter((path) => ![...readers, ...slow].some((name) => path.includes(name)))
    .filter((path) => {
      const text = readFileSync(join(root, path), 'utf8');
      return subjects.some((name) => text.includes(name));
    });
}
