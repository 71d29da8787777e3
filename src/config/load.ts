/**
 * The configuration for the launch stage and the commands: read from its files, checked, compiled
 * for the core.
 */
import { Examiner, type Verdict } from '../engine/examiner.ts';
import type { FilterProgram } from '../types.ts';
import type { Compiled } from './compile.ts';
import { compilePieces } from './compile.ts';
import { findGroup } from './group.ts';
import { knownFilters } from './known-filters.ts';
import type { ListReading } from './lists.ts';
import { readPieces } from './pieces.ts';

/** Where the configuration is looked for when no other path is given. */
export const defaultConfigPath = '/etc/fail2zig.toml';

/** A usable configuration, and its files. */
export interface Loaded extends Compiled {
  /** The file and its pieces, in the order of reading. */
  files: string[];
}

/**
 * Reads, checks and compiles the file at `path` with its pieces; throws ConfigError with every
 * problem found. Files of lists are read as `lists` says, or not at all.
 */
export function loadConfig(path: string, lists?: ListReading): Loaded {
  const { pieces, warnings } = readPieces(path);
  const compiled = compilePieces(pieces, { filters: knownFilters, groupId: findGroup, lists, tryLines });
  return { ...compiled, warnings: [...warnings, ...compiled.warnings], files: pieces.map((piece) => piece.path) };
}

/** Examines an operator's sample lines in the engine that will run the filter. */
export function tryLines(filter: FilterProgram, lines: readonly string[]): Verdict[] {
  if (lines.length === 0) return [];
  const engine = Examiner.createNow({ jails: [], filters: [filter], tableBytes: 0 });
  const now = Math.floor(Date.now() / 1000);
  return lines.map((line) => engine.examine(Buffer.from(line), filter.name, '', now, false));
}
