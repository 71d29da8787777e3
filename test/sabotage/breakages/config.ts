/** Breakages of the configuration's judge. */
import type { Breakage } from '../breakage.ts';

export const config: readonly Breakage[] = [
  {
    name: 'unknown keys of [[filter]] are passed over',
    find: 'const filter = z.strictObject({',
    put: 'const filter = z.object({',
    claims: ['FM-5'],
  },
  {
    name: 'unknown keys of [metrics] are passed over',
    find: 'const metrics = z.strictObject({',
    put: 'const metrics = z.object({',
    claims: ['FM-5'],
  },
  ...[
    ['at the top level', 'export const schema = z.strictObject({', 'export const schema = z.object({'],
    ['of [memory]', 'const memory = z.strictObject({', 'const memory = z.object({'],
    ['of [firewall]', 'const firewall = z.strictObject({', 'const firewall = z.object({'],
    ['of [control]', 'const control = z.strictObject({', 'const control = z.object({'],
    ['of [state]', 'const state = z.strictObject({', 'const state = z.object({'],
    ['of [log]', 'const log = z.strictObject({', 'const log = z.object({'],
    ['of a jail', 'const jail = z.strictObject({', 'const jail = z.object({'],
    ['of [defaults]', 'z.optional(z.strictObject(shared))', 'z.optional(z.object(shared))'],
    ['of a pattern', 'const pattern = z.strictObject({', 'const pattern = z.object({'],
  ].map(([where, find, put]) => ({
    name: `unknown keys ${where} are passed over`,
    find: find!,
    put: put!,
    claims: ['FM-5'],
  })),
  {
    name: 'a configuration that everyone may write is taken',
    find: 'if (stats.mode & writableByAnyone) {',
    put: 'if (stats.mode < 0) {',
    claims: ['T-01b'],
  },
  {
    name: 'a configuration below a directory that everyone may write is taken',
    find: 'const open = openDirectory(path);',
    put: 'const open = path === undefined ? openDirectory(path) : undefined;',
    claims: ['T-01b'],
  },
  {
    name: 'only the directory beside a link is looked at, not the one behind it',
    find: 'rest.unshift(...target.split(sep)',
    put: "rest.push(...[''].filter(Boolean));\n    void (target.split(sep)",
    claims: ['T-01b'],
  },
  {
    name: '"mo" is a minute',
    find: '  mo: 2_592_000,',
    put: '  mo: 60,',
    claims: ['WHY-01'],
  },
  {
    name: 'a bantime without unit is taken for minutes',
    find: "const factor = unit === '' ? 1 :",
    put: "const factor = unit === '' ? 60 :",
    claims: ['WHY-01'],
  },
  {
    name: 'ignoreip of the defaults is not read',
    find: 'ignoreip: table.ignoreip ?? defaults.ignoreip ?? [],',
    put: 'ignoreip: table.ignoreip ?? [],',
    claims: ['WHY-01'],
  },
  {
    name: 'maxretry of a jail is not read',
    find: 'maxretry: table.maxretry ?? defaults.maxretry ?? defaultSettings.maxretry,',
    put: 'maxretry: defaults.maxretry ?? defaultSettings.maxretry,',
    claims: ['WHY-01'],
  },
  {
    name: 'the ceiling without a key is twice as high',
    find: 'ceilingBytes: ceilingBytesDefault,',
    put: 'ceilingBytes: 2 * ceilingBytesDefault,',
    claims: ['MM-06'],
  },
  {
    name: 'the eviction policy is not read',
    find: 'evictionPolicy: memory?.eviction_policy ?? defaultSettings.evictionPolicy,',
    put: 'evictionPolicy: defaultSettings.evictionPolicy,',
    claims: ['MM-17'],
  },
  {
    name: 'a dry run is allowed without a word',
    find: 'allowLogOnly: firewall?.allow_log_only ?? defaultSettings.allowLogOnly,',
    put: 'allowLogOnly: firewall?.allow_log_only ?? true,',
    claims: ['FM-1'],
  },
  {
    name: 'a problem says no place',
    find: 'const { line, column } = positionAt(this.text, offset);',
    put: 'const { line, column } = positionAt(this.text, 0 * offset);',
    claims: ['FM-5'],
  },
  {
    name: 'a jail reads at most 1,000 failures, and 1,001 is taken too',
    find: 'setting((value) => parseInteger(value, 1, maxretryMax, whyRetryBound))',
    put: 'setting((value) => parseInteger(value, 1, maxretryMax + 1, whyRetryBound))',
    claims: ['T-01c'],
  },
  {
    name: 'a host name is taken for an address to ignore',
    find: "if (typeof address !== 'string') {\n    if (address.prefix > 0)",
    put: "if (typeof address === 'string') return accept(item);\n  if (typeof address !== 'string') {\n    if (address.prefix > 0)",
    claims: [],
    tests: ['test/unit/config-problems.test.ts'],
  },
  {
    name: 'a zone west of UTC is read as one east of it',
    find: "offset: fixed[1] === '-' ? -seconds : seconds",
    put: "offset: fixed[1] === '' ? -seconds : seconds",
    claims: [],
    tests: ['test/unit/log-clocks.test.ts'],
  },
];
