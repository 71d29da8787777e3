/** The jails of a configuration's text. */
import { compileConfig } from '../../src/config/compile.ts';
import { knownFilters } from '../../src/config/known-filters.ts';
import type { JailConfig } from '../../src/types.ts';

export interface CompiledJails {
  jails: JailConfig[];
  metricsPort: number;
}

/** Throws what `check` would say. */
export function compileJails(text: string): CompiledJails {
  const { config } = compileConfig(text, 'fail2zig.toml', { filters: knownFilters, groupId: () => 0 });
  return { jails: config.jails, metricsPort: config.metrics.port };
}
