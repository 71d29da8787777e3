/**
 * The parsers against inputs that nobody thought of: fuzzing, and the replay of millions of lines.
 */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { type LongRecord, readRecord, recordText } from '../scripts/long/record.ts';
import { readFindings } from '../test/fuzz/findings.ts';
import { blockMsMax, replay } from '../test/fuzz/replay.ts';
import { fuzz } from '../test/fuzz/run.ts';
import type { Target } from '../test/fuzz/target.ts';
import { canary, findTarget, targets } from '../test/fuzz/targets.ts';
import { claim, given, sabotaged, twin } from './claim.ts';

const sshd = findTarget('sshd') as Target;

/** A fuzz target, the stored findings, and what runs on each change. */
interface Replayed {
  target: Target;
  findings: ReturnType<typeof readFindings>;
  onEachChange: string[];
}

const replayed: Replayed = {
  target: sshd,
  findings: readFindings(),
  onEachChange: ['.ci/run', '.github/workflows/ci.yml'].map((path) => readFileSync(path, 'utf8')),
};

claim(
  ['LP-41', 'E-01b', 'PE-24'],
  given(replayed),
  async ({ target, findings, onEachChange }) => {
    assert.ok(findings.length > 0, 'no stored finding is there');
    for (const text of onEachChange) assert.match(text, /\bnpm test$/m, 'what runs on each change runs the tests');
    const tests = readFileSync('test/fuzz/fuzz.test.ts', 'utf8');
    assert.match(tests, /describe\.each\(targets\)[\s\S]*fuzz\(target, \{ runs: \d+/, 'and with them every target');
    const { finding, inputs } = await fuzz(target, { runs: 1_500, seconds: 60, seed: 41 });
    assert.equal(finding, null, `an input shows a fault: ${finding?.why}`);
    for (const { file, target: name, input } of findings) {
      const body = await (findTarget(name) ?? assert.fail(`${file}: no target ${name}`)).open();
      await body(input);
    }
    const said = execFileSync(process.execPath, ['test/fuzz/main.ts', 'sshd', '--runs', '100', '--seed', '7'], {
      encoding: 'utf8',
      timeout: 90_000,
    });
    assert.match(said, /^sshd seed=7 inputs=100 .* ok$/m);
    const { scripts } = JSON.parse(readFileSync('package.json', 'utf8')) as { scripts: Record<string, string> };
    assert.match(scripts.fuzz ?? '', /test\/fuzz\/main\.ts$/);
    return `${targets.length} targets; ${inputs} new inputs for sshd without a fault, ${findings.length} stored findings replayed`;
  },
  [
    twin(
      'a reader that takes the first address of a line',
      given({ ...replayed, target: canary }),
      /an input shows a fault/,
    ),
    twin(
      'findings that nobody reads any more',
      given<Replayed>({ ...replayed, findings: [] }),
      /no stored finding is there/,
    ),
    twin(
      'a change that nobody tests',
      given({ ...replayed, onEachChange: ['npm run check\n'] }),
      /what runs on each change runs the tests/,
    ),
    sabotaged('a colon behind a leading time belongs to the message', /an input shows a fault/),
  ],
  { timeoutMs: 120_000 },
);

/** The number of lines that D-02 demands. */
const replayLines = 4_100_000;

interface Replaying {
  run: typeof replay;
  /** The newest replay that somebody recorded. */
  recorded: LongRecord | undefined;
}

const replaying = (spoil: Partial<Replaying> = {}) =>
  given<Replaying>({ run: replay, recorded: readRecord('replay'), ...spoil });

/** A recorded replay says what was replayed by which build, and counts that fit one another. */
function checkReplay(recorded: LongRecord | undefined): void {
  assert.ok(recorded !== undefined, 'no replay is recorded');
  const { ok, command, build, machine, date, seconds, figures } = recorded;
  assert.ok(ok && command === 'npm run fuzz -- replay', 'the recorded replay');
  assert.match(build, /^[0-9a-f]{16}$/, 'the build that was recorded');
  assert.ok(machine.cpu && machine.commit && Number.isFinite(Date.parse(date)), 'machine, commit and date');
  const { lines, bytes, matched, distinct, engineSeconds, slowestBlockMs, linesPerSecond } = figures as Record<
    string,
    number
  >;
  assert.ok(
    lines! >= replayLines && bytes! > lines! && distinct! <= lines! && matched! < lines!,
    'counts of the replay',
  );
  assert.ok(slowestBlockMs! < blockMsMax && engineSeconds! < seconds, 'times of the replay');
  assert.ok(Math.abs(linesPerSecond! / (lines! / engineSeconds!) - 1) < 0.01, 'lines a second of the replay');
}

claim(
  'D-02c',
  replaying(),
  async ({ run, recorded }) => {
    checkReplay(recorded);
    const { lines, bytes, distinct, matched, engineSeconds, slowestBlockMs } = await run(replayLines, 1);
    assert.ok(lines >= replayLines, `${lines} lines`);
    assert.ok(matched > lines / 20, `${matched} lines were taken by a filter`);
    assert.ok(bytes > lines, `${bytes} bytes of so many lines`);
    assert.ok(slowestBlockMs < blockMsMax, `the slowest block took ${slowestBlockMs} ms`);
    assert.match(readFileSync('.github/workflows/ci.yml', 'utf8'), /npm test/, 'continuous integration runs the tests');
    assert.match(
      readFileSync('test/fuzz/fuzz.test.ts', 'utf8'),
      /describe\.each\(targets\)/,
      'and with them every target',
    );
    return `${lines} lines (${distinct} distinct, ${bytes} bytes) in ${engineSeconds.toFixed(1)} s, ${slowestBlockMs.toFixed(0)} ms the slowest 64 KiB`;
  },
  [
    twin(
      'a replay that stops early',
      replaying({ run: (lines, seed) => replay(lines / 10, seed, 300) }),
      /^410000 lines/,
    ),
    twin(
      'a replay of lines that no filter takes',
      replaying({ run: async (lines, seed) => ({ ...(await replay(50_000, seed, 300)), lines, matched: 0 }) }),
      /0 lines were taken by a filter/,
    ),
    twin('a replay that nobody recorded', replaying({ recorded: undefined }), /no replay is recorded/),
    twin(
      'a record of half the lines',
      replaying({
        recorded: { ...readRecord('replay')!, figures: { ...readRecord('replay')!.figures, lines: 2_050_000 } },
      }),
      /counts of the replay/,
    ),
    twin(
      'a record of nobody knows which build',
      replaying({ recorded: { ...readRecord('replay')!, build: '' } }),
      /the build that was recorded/,
    ),
  ],
  { timeoutMs: 240_000 },
);

interface Fuzzing {
  run: typeof fuzz;
  /** The newest recorded long run, and how it is shown. */
  recorded: LongRecord | undefined;
  shown: typeof recordText;
}

const fuzzing = (spoil: (made: Fuzzing) => Partial<Fuzzing> = () => ({})) => {
  const made: Fuzzing = { run: fuzz, recorded: readRecord('fuzz'), shown: recordText };
  return given<Fuzzing>({ ...made, ...spoil(made) });
};

const withRecord = (change: (record: LongRecord) => Partial<LongRecord>) =>
  fuzzing(({ recorded }) => ({ recorded: { ...recorded!, ...change(recorded!) } }));

/** What the record of a long run must say, and the page with it. */
function checkRecorded({ recorded, shown }: Fuzzing): string {
  assert.ok(recorded !== undefined, 'no long run is recorded');
  const { command, date, seconds, figures, machine, build } = recorded;
  assert.match(command, /^npm run fuzz -- \S/, 'the command of the long run');
  assert.ok(machine.cpu && machine.commit && Number.isFinite(Date.parse(date)), 'machine, commit and date');
  for (const name of ['targets', 'inputs', 'bytes', 'hours'])
    assert.ok(Number(figures[name]) > 0, `${name} of the long run`);
  assert.ok(figures.seed !== undefined && figures.findings !== undefined, 'seed and findings of the long run');
  assert.ok(Number(figures.hours) * 3_600 <= seconds + 2, 'hours reported, and hours that the command took');
  const said = shown(recorded, build);
  assert.ok(
    !said.includes('older build') && shown(recorded, 'another').includes('older build'),
    'the age of the build',
  );
  return said;
}

claim(
  'AU-1',
  fuzzing(),
  async (made) => {
    const { run } = made;
    let [inputs, bytes] = [0, 0];
    const counting: Target = {
      ...sshd,
      open: async () => (input) => {
        inputs++;
        bytes += input.length;
      },
    };
    const said = await run(counting, { runs: 700, seconds: 60, seed: 11 });
    assert.deepEqual([said.inputs, said.bytes], [inputs, bytes], 'inputs and bytes as reported and as run');
    const again = await run(counting, { runs: 700, seconds: 60, seed: 11 });
    assert.deepEqual([again.inputs, again.bytes], [said.inputs, said.bytes], 'the reported seed repeats the run');
    assert.ok(said.seconds > 0 && said.seconds < 60, `${said.seconds} s`);
    const long = checkRecorded(made);
    return `${said.inputs} inputs, ${said.bytes} bytes reported and counted; the same again from the seed; recorded: ${long}`;
  },
  [
    twin(
      'a report of ten times the inputs',
      fuzzing(() => ({
        run: async (target, budget) => {
          const outcome = await fuzz(target, budget);
          return { ...outcome, inputs: outcome.inputs * 10 };
        },
      })),
      /inputs and bytes as reported and as run/,
    ),
    twin(
      'a run that its seed does not repeat',
      fuzzing(() => ({ run: (target, budget) => fuzz(target, { ...budget, seed: performance.now() | 0 }) })),
      /the reported seed repeats the run/,
    ),
    twin(
      'a record of more hours than the command took',
      withRecord(({ figures }) => ({ figures: { ...figures, hours: Number(figures.hours) * 100 } })),
      /hours reported, and hours that the command took/,
    ),
    twin(
      'a record without its inputs',
      withRecord(({ figures: { inputs: _, ...figures } }) => ({ figures })),
      /inputs of the long run/,
    ),
    twin(
      'a record without its command',
      withRecord(() => ({ command: '' })),
      /the command of the long run/,
    ),
    twin(
      'a run of an older build that is shown as one of this',
      fuzzing(({ shown }) => ({ shown: (record) => shown(record, record.build) })),
      /the age of the build/,
    ),
  ],
);
