/**
 * Configurations for specifications: a small valid one, and the compiler of texts without a host
 * around it.
 */
import { compileConfig } from '../../src/config/compile.ts';
import type { CoreConfig } from '../../src/types.ts';

export const validConfig = ['[jails.sshd]', 'filter = "sshd"', 'logpath = ["/var/log/auth.log"]', ''].join('\n');

/** The record for a text; throws ConfigError. */
export function compileText(text: string): CoreConfig {
  const filters = [{ name: 'sshd', modes: ['normal', 'ddos', 'extra', 'aggressive'] }];
  return compileConfig(text, 'test.toml', { filters, groupId: () => 0 }).config;
}
