/**
 * The configuration as the launch stage and the commands take it: read from a file, checked, compiled for the core.
 */
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
  const compiled = compileConfig(text, path, { filters: knownFilters, groupId: findGroup });
  return { config: compiled.config, warnings: [...warnings, ...compiled.warnings] };
}
