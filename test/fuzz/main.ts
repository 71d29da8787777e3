/**
 * `npm run fuzz`, see `usage`. A finding is stored in test/corpus/findings/ before it is fixed; the
 * exit status is then 1.
 */
import { mkdtempSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, relative } from 'node:path';
import { readCommandLine } from '../../scripts/lab/command-line.ts';
import { note } from '../../scripts/long/record.ts';
import { findingsFolder, storeFinding } from './findings.ts';
import { replay } from './replay.ts';
import { type Budget, fuzz } from './run.ts';
import type { Target } from './target.ts';
import { lineTargets } from './targets/lines.ts';
import { canary, findTarget, targets } from './targets.ts';

const smokeRuns = 400;
const secondsDefault = 60;
/** What D-02 and AU-1 ask for. */
const replayLinesDefault = 4_100_000;

const usage = `npm run fuzz -- TARGET… [--runs N | --seconds S | --hours H] [--seed S]

  TARGET       one that --list names
  lines        the targets that are filters
  all          every target
  smoke        every target, ${smokeRuns} inputs each
  canary       a parser with a known fault: a run that misses it fails
  replay       the corpus, changed at random, through the build that runs in production
  --list       names the targets
  --runs N     inputs for each target
  --seconds S  time for each target (${secondsDefault})
  --hours H    time for all targets of the command together, also a part of an hour: 0.5
  --seed S     the seed that an earlier run printed: the same inputs again
  --lines N    lines of a replay (${replayLinesDefault})
  --record     keeps what was run in test/evidence`;

const {
  values: options,
  positionals,
  misuse,
} = readCommandLine(
  'fuzz',
  usage,
  {
    runs: { type: 'string' },
    seconds: { type: 'string' },
    hours: { type: 'string' },
    seed: { type: 'string' },
    lines: { type: 'string' },
    list: { type: 'boolean' },
  },
  true,
);

function number(name: 'runs' | 'seconds' | 'seed' | 'lines', otherwise: number): number {
  const text = options[name];
  if (text === undefined) return otherwise;
  if (!/^[0-9]{1,10}$/.test(text)) misuse(`--${name} takes a number, not ${text}`);
  return Number(text);
}

const seed = number('seed', Math.floor(Math.random() * 2 ** 31));

function targetsOf(name: string): readonly Target[] {
  if (name === 'lines') return lineTargets;
  if (name === 'all' || name === 'smoke') return targets;
  const target = findTarget(name);
  return target === undefined ? misuse(`no target ${name}; --list names them`) : [target];
}

/** Seconds for each of `count` targets. */
function secondsEach(count: number, isSmoke: boolean): number {
  const hours = Number(options.hours);
  if (options.hours !== undefined)
    return hours > 0 && hours < 1_000
      ? (hours * 3_600) / count
      : misuse(`--hours takes a number, not ${options.hours}`);
  return number('seconds', isSmoke || options.runs === undefined ? secondsDefault : Number.MAX_SAFE_INTEGER);
}

/** What was run so far, all targets together. */
const total = { targets: 0, inputs: 0, bytes: 0, hours: 0, findings: 0 };

/** Fuzzes one target. Returns whether all is as it should be. */
async function run(target: Target, budget: Budget): Promise<boolean> {
  const { inputs, bytes, seconds, finding } = await fuzz(target, budget);
  const said = `${target.name} seed=${budget.seed} inputs=${inputs} bytes=${bytes} seconds=${seconds.toFixed(1)}`;
  const expected = target === canary;
  total.targets++;
  total.inputs += inputs;
  total.bytes += bytes;
  total.hours += seconds / 3_600;
  if (finding !== null && !expected) total.findings++;
  if (finding === null) {
    console.log(`${said} ${expected ? 'NOT CAUGHT: the fuzzer is blind' : 'ok'}`);
    return !expected;
  }
  const folder = expected ? mkdtempSync(join(tmpdir(), 'fail2zig-canary-')) : findingsFolder;
  const path = storeFinding(finding, folder);
  console.log(`${said} ${expected ? 'caught, as it must be' : 'FOUND'}: ${finding.why.split('\n')[0]}`);
  console.log(
    `  ${JSON.stringify(finding.input.toString('latin1')).slice(0, 400)}\n  stored in ${relative('.', path)}`,
  );
  return expected;
}

async function runReplay(): Promise<boolean> {
  console.log(`replay seed=${seed}`);
  const result = await replay(number('lines', replayLinesDefault), seed);
  console.log(
    Object.entries(result)
      .map(([name, value]) => `${name}=${Math.round(value * 100) / 100}`)
      .join(' '),
  );
  note({
    ...result,
    seed: String(seed),
    engineSeconds: Math.round(result.engineSeconds * 10) / 10,
    slowestBlockMs: Math.round(result.slowestBlockMs),
  });
  return true;
}

if (options.list) {
  for (const { name, says } of [...targets, canary]) console.log(`${name.padEnd(20)} ${says}`);
} else if (positionals.length === 0) misuse('which target?');
else {
  let sound = true;
  const targetsNamed = (name: string): readonly Target[] => (name === 'replay' ? [] : targetsOf(name));
  for (const name of positionals) {
    if (name === 'replay') sound = (await runReplay()) && sound;
    else {
      const smoke = name === 'smoke';
      const budget = {
        runs: number('runs', smoke ? smokeRuns : Number.MAX_SAFE_INTEGER),
        seconds: secondsEach(positionals.flatMap(targetsNamed).length, smoke),
        seed,
      };
      for (const target of targetsOf(name)) sound = (await run(target, budget)) && sound;
    }
  }
  if (total.targets > 0) note({ seed: String(seed), ...total, hours: Math.round(total.hours * 1_000) / 1_000 });
  process.exit(sound ? 0 : 1);
}
