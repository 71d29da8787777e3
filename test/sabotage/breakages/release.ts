/** Breakages of what is given to others: the executable, the package, the bill of materials. */
import type { Breakage } from '../breakage.ts';

export const release: readonly Breakage[] = [
  {
    name: 'the executable takes options from the environment of its caller',
    find: "execArgvExtension: 'cli',",
    put: "execArgvExtension: 'env',",
    claims: ['LP-01', 'LP-42'],
  },
  {
    name: 'the executable is the daemon by every name',
    find: "'fail2zig-client': 'client.cjs',",
    put: "'fail2zig-klient': 'client.cjs',",
    claims: ['LP-01'],
  },
  {
    name: 'the executable starts its core without the flags',
    find: "return [`--node-options=${flags.join(' ')}`, ...handed];",
    put: 'return handed;',
    claims: ['LP-01'],
  },
  {
    name: 'the package takes the mode of its files from the umask',
    find: 'chmodSync(join(home, path), mode);',
    put: '',
    claims: ['T-01a'],
  },
  {
    name: 'an upgrade replaces the configuration',
    find: "'/etc/fail2zig.toml\\n');",
    put: "'');",
    claims: ['T-01a'],
  },
  {
    name: 'the bill of materials has what is for development too',
    find: "!properties.some(({ name }) => name === 'cdx:npm:package:development');",
    put: 'properties.length >= 0;',
    claims: ['E-04b'],
  },
  {
    name: 'the bill of materials carries the time it was made at',
    find: 'new Date(epoch * 1000).toISOString();\n  // npm',
    put: 'new Date().toISOString();\n  // npm',
    claims: ['E-04a', 'AU-2'],
  },
];
