/** Breakages of figures that are shown, of what a release carries, and of promises on paper. */
import type { Breakage } from '../breakage.ts';

export const promised: readonly Breakage[] = [
  {
    name: 'reports are acknowledged soon',
    find: 'We acknowledge within 48 hours and',
    put: 'We acknowledge soon and',
    claims: ['AU-5'],
  },
  {
    name: 'a pass is read before its clock runs',
    find: '  const cpu = process.cpuUsage();\n  const started = performance.now();\n  readWhole(path, engine, { source: 0, now: readTime, drain: () => void engine.takeDecisions(count) });',
    put: '  readWhole(path, engine, { source: 0, now: readTime, drain: () => void engine.takeDecisions(count) });\n  const cpu = process.cpuUsage();\n  const started = performance.now();',
    claims: ['PE-14'],
  },
  {
    name: 'a pass ends with the match',
    find: 'const count = (): void => void taken++;',
    put: 'const count = (): void => void (taken === 0 && taken++);',
    claims: ['PE-14'],
  },
  {
    name: 'the ratio to wc is the other way round',
    find: 'values: [turned ? 1 / ratio : ratio] }',
    put: 'values: [turned ? ratio : 1 / ratio] }',
    claims: ['PE-15'],
  },
  {
    name: 'a benchmark prints seconds instead of lines a second',
    find: "{ name: 'cpu', unit: 'M lines/s', values: per(workload.lines) },",
    put: "{ name: 'cpu', unit: 's', values: passes.map(({ cpuSeconds }) => cpuSeconds) },",
    claims: ['PE-25'],
  },
  {
    name: 'a median of any length counts as tens of microseconds',
    find: 'boolean => median < tensMicroseconds;',
    put: 'boolean => median > 0;',
    claims: ['WHY-09'],
  },
  {
    name: 'a single round of the peers passes',
    find: 'figures.every(({ n, values }) => n >= 3 &&',
    put: 'figures.every(({ n, values }) => n >= 1 &&',
    claims: ['PE-13'],
  },
  {
    name: 'a tenth of the lines is replayed',
    find: 'const replayLines = 4_100_000;',
    put: 'const replayLines = 410_000;',
    claims: ['D-02c'],
  },
  {
    name: 'the checksums of a release leave out its first file',
    find: "writeFileSync(output, files.toSorted().map(line).join(''));",
    put: "writeFileSync(output, files.toSorted().slice(1).map(line).join(''));",
    claims: ['E-04b'],
  },
  {
    name: 'the installer is not told the public key',
    find: ".replaceAll('@PUBLIC_KEY@', publicKey)",
    put: ".replaceAll('@PUBLIC_KEY@', '')",
    claims: ['E-04b'],
  },
  {
    name: 'the firewall is made ready by a program whose module is named at run time',
    find: '    this.#refreshes ??= await this.#probeRefresh();\n    const layouts = jails.map',
    put: "    this.#refreshes ??= await this.#probeRefresh();\n    process.getBuiltinModule(['node:child', 'process'].join('_')) satisfies unknown;\n    const layouts = jails.map",
    claims: ['WHY-08'],
  },
  {
    name: 'what is disclosed when is left open',
    find: 'disclosed together after at most 90 days',
    put: 'disclosed together in due time',
    claims: ['AU-5'],
  },
  {
    name: 'the daemon keeps the history of each ban beside the table',
    find: '    for (const ban of batch) {\n      engine.confirmBan',
    put: '    ((globalThis as { histories?: unknown[] }).histories ??= []).push(...batch.map((ban) => [ban, new Float64Array(256)]));\n    for (const ban of batch) {\n      engine.confirmBan',
    claims: ['WHY-04', 'D-01a'],
  },
  {
    name: 'evictions of open windows are shown as none',
    find: "  ['open', counters.EVICTIONS_OPEN],",
    put: "  ['open', counters.EVICTIONS_BANNED],",
    claims: ['WHY-12'],
  },
];
