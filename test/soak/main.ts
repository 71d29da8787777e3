/**
 * `npm run soak`, see `usage`. It attacks the real daemon in namespaces of its own, judges it
 * (checks.ts), and writes soak-N.json and .svg. The exit status is 1 if a check fails.
 */
import { spawnSync } from 'node:child_process';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { runsFolder } from '../../bench/report.ts';
import { readCommandLine } from '../../scripts/lab/command-line.ts';
import { machine } from '../../scripts/lab/machine.ts';
import { buildHash, isRecorded, note } from '../../scripts/long/record.ts';
import { ceilingBytesMax, ceilingBytesMin } from '../../src/config/limits.ts';
import { parseSize } from '../../src/config/size.ts';
import { judgedGap, linesPerSource, sourcesMax, stepsUntil } from './attack.ts';
import { check, survival } from './checks.ts';
import { type Panel, plot } from './plot.ts';
import type { Sample } from './sample.ts';
import { soak } from './soak.ts';

/** At the default ceiling (claim MM-13). */
const slotsMinDefault = 700_000;

const usage = `npm run soak -- [options]

  --sources N     distinct sources that attack (200000)
  --seconds S     the attack lasts so long at least (60)
  --rate N        log lines a second (100000); the attack goes on after every source has come
  --real-time     spread evenly over the seconds instead
  --ceiling TEXT  memory.ceiling of the daemon (64MB)
  --policy NAME   memory.eviction_policy of the daemon (evict_oldest)
  --seccomp MODE  confinement.seccomp of the daemon: enforce, or log, which lets what the table of system calls
                  lacks pass, and finds it (enforce)
  --out FOLDER    where soak-N.json and soak-N.svg go (reports)
  --record        keeps what was found in test/evidence

npm run soak -- rotate --help: rotations of every kind
npm run soak -- killed --help: kill -9 and resume`;

if (process.argv[2] === 'rotate') {
  process.argv.splice(2, 1);
  await import('./rotate.ts');
}
if (process.argv[2] === 'killed') {
  process.argv.splice(2, 1);
  await import('./killed.ts');
}

const { values, misuse } = readCommandLine('soak', usage, {
  sources: { type: 'string', default: '200000' },
  seconds: { type: 'string', default: '60' },
  rate: { type: 'string', default: '100000' },
  ceiling: { type: 'string', default: '64MB' },
  policy: { type: 'string', default: 'evict_oldest' },
  out: { type: 'string', default: join(import.meta.dirname, '..', '..', 'reports') },
  seccomp: { type: 'string', default: 'enforce' },
  'real-time': { type: 'boolean', default: false },
  inside: { type: 'boolean', default: false },
});

function whole(name: 'sources' | 'seconds' | 'rate', max: number): number {
  const value = Number(values[name].replaceAll('_', ''));
  if (Number.isInteger(value) && value > 0 && value <= max) return value;
  return misuse(`--${name} must be a whole number from 1 to ${max}`);
}

/** The same command in namespaces that end with it. */
function runInside(): never {
  const setUp = 'mount -t tmpfs none /run && ip link set lo up && exec "$0" "$@"';
  const { status } = spawnSync(
    'unshare',
    [
      '--net',
      '--mount',
      'sh',
      '-c',
      setUp,
      process.execPath,
      import.meta.filename,
      ...process.argv.slice(2),
      '--inside',
    ],
    { stdio: 'inherit' },
  );
  if (status === null) console.error('soak: cannot make a network namespace (unshare): root is needed');
  process.exit(status ?? 1);
}

function panels(samples: readonly Sample[], ceilingBytes: number): Panel[] {
  const curve = (label: string, colour: string, of: (sample: Sample) => number) => ({
    label,
    colour,
    points: samples.map((sample) => [sample.seconds, of(sample)] as const),
  });
  const mebibytes = 1024 * 1024;
  return [
    {
      title: 'Resident size of the whole process, MiB',
      bound: { label: 'memory.ceiling', y: ceilingBytes / mebibytes },
      curves: [
        curve('VmHWM', '#888', ({ peakBytes }) => peakBytes / mebibytes),
        curve('VmRSS', '#06c', ({ rssBytes }) => rssBytes / mebibytes),
        curve('without file pages', '#690', ({ anonymousBytes }) => anonymousBytes / mebibytes),
      ],
    },
    {
      title: 'Table slots used',
      bound: { label: 'slots', y: samples.at(-1)?.slots ?? 0 },
      curves: [curve('used', '#06c', ({ slotsUsed }) => slotsUsed)],
    },
    { title: 'Evictions', curves: [curve('evictions', '#c60', ({ evictions }) => evictions)] },
    { title: 'Bans the kernel confirmed', curves: [curve('bans', '#93c', ({ bans }) => bans)] },
    { title: 'Lines read', curves: [curve('lines', '#333', ({ lines }) => lines)] },
  ];
}

/**
 * Writes it to where the page of the claims finds it. One sample a minute is enough for a picture.
 */
function keep(report: { options: { sources: number }; samples: readonly Sample[] }): void {
  const { options, samples } = report;
  const folder = join(runsFolder(new Date()), 'soak');
  mkdirSync(folder, { recursive: true });
  const kept = {
    ...report,
    build: buildHash(),
    sampled: samples.length,
    samples: samples.filter((_, index) => index % 60 === 0 || index === samples.length - 1),
  };
  writeFileSync(join(folder, `${options.sources}.json`), `${JSON.stringify(kept)}\n`);
}

async function run(): Promise<number> {
  const sources = whole('sources', sourcesMax);
  const seconds = whole('seconds', 7 * 86_400);
  const rate = whole('rate', 10_000_000);
  const lines = stepsUntil(sources, judgedGap(sources)) * linesPerSource;
  const linesPerSecond = values['real-time'] ? Math.max(1, lines / seconds) : rate;
  const ceiling = parseSize(values.ceiling, ceilingBytesMin, ceilingBytesMax);
  if (!ceiling.ok) throw new Error(`--ceiling ${ceiling.reason}`);
  const ceilingBytes = ceiling.value;
  const outcome = await soak({
    sources,
    seconds,
    linesPerSecond,
    ceiling: values.ceiling,
    ceilingBytes,
    policy: values.policy,
    seccomp: values.seccomp,
    slotsMin: values.ceiling === '64MB' ? slotsMinDefault : 1,
    progress: (sample, written) => {
      const mebibytes = (bytes: number): string => (bytes / 1024 / 1024).toFixed(1);
      console.error(
        `soak: ${sample.seconds.toFixed(0)} s  rss ${mebibytes(sample.rssBytes)} (without files ${mebibytes(sample.anonymousBytes)}, ` +
          `peak ${mebibytes(sample.peakBytes)}) MiB  step ${written.step}  lines ${sample.lines}/${written.lines}  ` +
          `used ${sample.slotsUsed}/${sample.slots}  evicted ${sample.evictions}  bans ${sample.bans}`,
      );
    },
  });
  const { samples } = outcome;
  const checks = check(outcome);
  const last = samples.at(-1)!;
  const sourcesPerSecond = linesPerSecond / linesPerSource;
  const remembered = Math.floor(survival(last.slots, 1_000_000) / linesPerSource);
  const report = {
    date: new Date().toISOString(),
    machine: machine(),
    options: { sources, seconds, linesPerSecond, ceiling: values.ceiling },
    survival: {
      sources: remembered,
      seconds: Number((remembered / sourcesPerSecond).toFixed(1)),
      meaning:
        'new sources (and seconds at this rate) between two failures after which a source is still remembered, but for one in a million',
    },
    checks,
    stats: outcome.stats,
    samples,
  };
  mkdirSync(values.out, { recursive: true });
  const name = join(values.out, `soak-${sources}`);
  writeFileSync(`${name}.json`, `${JSON.stringify(report)}\n`);
  if (isRecorded()) keep(report);
  const title = `${sources} sources, ${linesPerSecond.toFixed(0)} lines/s, memory.ceiling ${values.ceiling}`;
  writeFileSync(`${name}.svg`, plot(title, panels(samples, ceilingBytes)));
  note({
    sources,
    attackSeconds: seconds,
    linesPerSecond: Math.round(linesPerSecond),
    samples: samples.length,
    lines: last.lines,
    ceiling: values.ceiling,
    seccomp: values.seccomp,
    'VmHWM MiB': Math.round((last.peakBytes / 2 ** 20) * 10) / 10,
    slots: last.slots,
    evictions: last.evictions,
    bans: last.bans,
    checks: checks.length,
    'checks failed':
      checks
        .filter(({ ok }) => !ok)
        .map(({ name }) => name)
        .join(', ') || 'none',
  });
  for (const { name, ok, found } of checks) {
    const row = `${ok ? 'ok  ' : 'FAIL'} ${name}: ${found}`;
    console.log(row);
    note(row);
  }
  console.log(
    `     a source is remembered over ${remembered} new ones: ${report.survival.seconds} s at ${sourcesPerSecond.toFixed(0)} new sources a second`,
  );
  console.log(`     ${name}.json, ${name}.svg`);
  return checks.every(({ ok }) => ok) ? 0 : 1;
}

if (!values.inside) runInside();
process.exit(await run());
