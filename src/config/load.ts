/**
 * The configuration as the launch stage and the commands take it: read from a file, checked,
 * compiled for the core.
 */
import { Examiner, type Verdict } from '../engine/examiner.ts';
import type { FilterProgram } from '../types.ts';
import type { Compiled } from './compile.ts';
import { compileConfig } from './compile.ts';
import { readConfigFile } from './file.ts';
import { findGroup } from './group.ts';
import { knownFilters } from './known-filters.ts';

/** Where the configuration is looked for when no other path is given. */
export const defaultConfigPath = '/etc/fail2zig.toml';

/** Reads, checks and compiles the file at `path`; throws ConfigError with every problem found. */
export function loadConfig(path: string): Compiled {
  const { text, warnings } = readConfigFile(path);
  const compiled = compileConfig(text, path, { filters: knownFilters, groupId: findGroup, tryLines });
  return { ...compiled, warnings: [...warnings, ...compiled.warnings] };
}

/** Examines lines in the engine that will run the filter. Lines are an operator's samples. */
export function tryLines(filter: FilterProgram, lines: readonly string[]): Verdict[] {
  if (lines.length === 0) return [];
  const engine = Examiner.createNow({ jails: [], filters: [filter], tableBytes: 0 });
  const now = Math.floor(Date.now() / 1000);
  return lines.map((line) => engine.examine(Buffer.from(line), filter.name, '', now, false));
}
