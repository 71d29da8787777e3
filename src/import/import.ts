/**
 * The whole import: reads a tree and returns the text of a configuration and a report. The
 * configuration's own reader parses the text again; a jail or filter that it refuses is removed and
 * reported, so the result is always usable. Reads files, writes none. Claims LP-11, LP-28, LP-35,
 * WHY-15.
 */
import { statSync } from 'node:fs';
import { compileConfig } from '../config/compile.ts';
import { knownFilters } from '../config/known-filters.ts';
import { tryLines } from '../config/load.ts';
import { ConfigError, type Problem } from '../config/problem.ts';
import { matchingPaths } from './log-files.ts';
import { type Note, Notes } from './notes.ts';
import { type JailPlan, type Plan, planOf } from './plan.ts';
import { servicePorts } from './services.ts';
import { Tree } from './tree.ts';
import { writeConfiguration } from './write.ts';

export interface Imported {
  source: string;
  text: string;
  plan: Plan;
  notes: Note[];
}

/**
 * `enabled`: jails that are carried over though the tree does not enable them. Throws with the
 * reason if `folder` is not a directory.
 */
export function importTree(folder: string, enabled: readonly string[] = []): Imported {
  if (!statSync(folder).isDirectory()) throw new Error(`${folder} is not a directory`);
  const notes = new Notes();
  const tree = new Tree(folder, notes);
  const ports = servicePorts();
  const plan = planOf(tree, notes, enabled, {
    builtIn: knownFilters,
    portOf: (service) => ports.get(service.toLowerCase()),
    fileExists: (pattern) => matchingPaths(pattern, 1).length > 0,
    hasJournal: ['run', 'var'].some((folder) => matchingPaths(`/${folder}/log/journal/*/*.journal`, 1).length > 0),
  });
  const written = (): string => writeConfiguration(plan, notes.all, folder, (from) => tree.place(from));
  for (let round = 0; ; round++) {
    const text = written();
    const problems = problemsOf(text);
    if (problems.length === 0) return { source: folder, text, plan, notes: notes.all };
    if (round >= roundsMax)
      throw new Error(`the translation cannot be used: ${problems[0]?.key}: ${problems[0]?.reason}`);
    takeOut(plan, notes, text, problems[0] as Problem);
  }
}

/** Rounds of removing what is refused. Each round removes one thing. */
const roundsMax = 200;

function problemsOf(text: string): Problem[] {
  try {
    compileConfig(text, 'fail2zig.toml', { filters: knownFilters, groupId: () => 0, tryLines });
    return [];
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error;
    return error.problems;
  }
}

/** Removes the setting with the problem, or else its jail. */
function takeOut(plan: Plan, notes: Notes, text: string, { key, line, reason }: Problem): void {
  const before = text.split('\n').slice(0, line);
  const heading = before.findLast((row) => /^\[/.test(row)) ?? '';
  if (heading.startsWith('[[filter]]')) {
    const index = before.filter((row) => row.startsWith('[[filter]]')).length - 1;
    const [gone] = plan.filters.splice(index, 1);
    for (const each of plan.jails)
      if (each.filter === gone?.filter.name) takeFrom(each, 'filter', notes, `${key}: ${reason}`);
    return;
  }
  const jail = plan.jails.find(
    ({ name }) => heading.startsWith(`[jails.${name}]`) || heading.startsWith(`[jails."${name}"]`),
  );
  const concerned = jail ? [jail] : plan.jails;
  const setting = (before.at(-1) ?? '').split(' = ')[0];
  for (const each of concerned) takeFrom(each, setting, notes, `${key}: ${reason}`);
}

function takeFrom(jail: JailPlan, setting: string | undefined, notes: Notes, reason: string): void {
  const kept = jail.settings.filter(({ key }) => key !== setting);
  const isVital = ['filter', 'logpath', 'source'].includes(setting ?? '') || kept.length === jail.settings.length;
  if (isVital) {
    jail.enabled = false;
    jail.filter = '';
  }
  jail.settings = kept;
  notes.add({
    weight: isVital ? 'lost' : 'warning',
    jail: jail.original,
    place: jail.place,
    text: `left out: ${reason}`,
  });
}
