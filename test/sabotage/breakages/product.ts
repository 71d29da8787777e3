/** Breakages of what the landing page shows: sizes, figures, and the way from fail2ban. */
import type { Breakage } from '../breakage.ts';

export const product: readonly Breakage[] = [
  {
    name: 'the core imports a package',
    find: "import { isatty } from 'node:tty';\nimport { chooseBackend",
    put: "import { isatty } from 'node:tty';\nimport 'zod';\nimport { chooseBackend",
    claims: ['LP-02'],
  },
  {
    name: 'what the core imports is not counted',
    find: "const core = [...reached('src/daemon.ts'), 'src/engine/scalar/#linear.ts'];",
    put: "const core = ['src/daemon.ts', 'src/engine/scalar/#linear.ts'];",
    claims: ['LP-04'],
  },
  {
    name: 'the engine for SIMD is built without',
    find: "  ['--enable', 'simd'],",
    put: "  ['--disable', 'simd'],",
    claims: ['LP-06'],
  },
  {
    name: 'the last of four blocks is not searched for a byte',
    find: 'if (v128.any_true(v128.or(v128.or(first, second), v128.or(third, fourth)))) {\n      const front',
    put: 'if (v128.any_true(v128.or(v128.or(first, second), v128.or(third, third)))) {\n      const front',
    claims: ['PE-12', 'LP-22'],
  },
  {
    name: 'a run is recorded without its spread',
    find: '      spread: spread(values),\n',
    put: '',
    claims: ['LP-12'],
  },
  {
    name: 'the counts of a run are not recorded',
    find: 'const results = run.results.map(({ figures, ...rest }) => ({\n    ...rest,',
    put: 'const results = run.results.map(({ figures, ...rest }) => ({\n    ...rest,\n    counts: {},',
    claims: ['LP-12'],
  },
  {
    name: 'a recorded command leaves its options out',
    find: "return `npm run bench -- ${benchmark}${settings.join('')}`;",
    put: 'return `npm run bench -- ${benchmark}`;',
    claims: ['LP-13'],
  },
  {
    name: 'a workload is another one in each run',
    find: 'const random = randomFrom(seed);',
    put: 'const random = Math.random;',
    claims: ['LP-13'],
  },
  {
    name: 'the peers are shown at half their speed',
    find: "return { name, counts, figure, percent, thousands: Math.round(figure('cpu').median / 1000) };",
    put: "return { name, counts, figure, percent, thousands: Math.round(figure('cpu').median / (name.startsWith('fail2zig') ? 1000 : 2000)) };",
    claims: ['LP-14'],
  },
  {
    name: 'growth of a log is not heard through fs.watch',
    find: "watcher.on('change', (event: string, name: string | null) => {",
    put: "watcher.on('change', (event: string, name: string | null) => {\n      if (event === 'change') return;",
    claims: ['LP-17'],
  },
  {
    name: 'a ring that saves a third of a core is not worth its place',
    find: 'const savedMin = 1;',
    put: 'const savedMin = 100;',
    claims: ['LP-19'],
  },
  {
    name: 'what is not protected is counted as translated',
    find: 'const count = plan.jails.filter(({ enabled }) => enabled).length;',
    put: 'const count = plan.jails.length;',
    claims: ['LP-35'],
  },
  {
    name: 'a jail that is left out is written as one that is on',
    find: "...(jail.enabled ? [] : ['enabled = false  # see above']),",
    put: '',
    claims: ['LP-35'],
  },
  {
    name: 'no warning is counted in the last line of an import',
    find: "const warnings = notes.filter(({ weight }) => weight === 'warning').length;",
    put: 'const warnings = 0;',
    claims: ['LP-35'],
  },
  {
    name: 'an import writes half of its file',
    find: "if (isWritten && output !== '-') replaceFile(output, imported.text);",
    put: "if (isWritten && output !== '-') replaceFile(output, imported.text.slice(0, imported.text.length / 2));",
    claims: ['LP-34'],
  },
  {
    name: 'no target wants the unit',
    find: "# MemoryDenyWriteExecute= is left out: V8 makes code. The daemon's own filter allows no new place.\n\n[Install]\nWantedBy=multi-user.target",
    put: "# MemoryDenyWriteExecute= is left out: V8 makes code. The daemon's own filter allows no new place.\n",
    claims: ['LP-36'],
  },
  {
    name: 'a read of more than 100,000 bytes ends the daemon',
    find: 'this.#seen = this.position;\n    if (count === 0) return this.#end();',
    put: "this.#seen = this.position;\n    if (count > 100_000) throw new Error('too much');\n    if (count === 0) return this.#end();",
    claims: ['LP-39'],
  },
  {
    name: 'a finding of the fuzzer is passed over',
    find: 'return { inputs, bytes, seconds: elapsed(), finding };',
    put: 'void finding;',
    claims: ['LP-41', 'E-01b'],
  },
  {
    name: 'the white paper names no price',
    find: '**What it costs**: V8 is in t',
    put: '**What it is**: V8 is in t',
    claims: ['LP-45'],
  },
  {
    name: 'ten times as many lists',
    find: 'export const listsMax = 64;',
    put: 'export const listsMax = 640;',
    claims: ['X-bounds'],
  },
];
