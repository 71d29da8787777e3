/**
 * The parser engine, fourth part: the worst cost of a line, in accesses to its bytes. They are
 * counted (support/counted-engine.ts), not timed, so the result does not depend on the machine or
 * its load.
 */
import assert from 'node:assert/strict';
import { compileConfig } from '../src/config/compile.ts';
import { tryLines } from '../src/config/load.ts';
import { filters } from '../src/filters/index.ts';
import { lineBytesMax } from '../src/limits.ts';
import type { FilterProgram } from '../src/types.ts';
import { claim, type Supply, sabotaged, twin } from './claim.ts';
import { countedEngine } from './support/counted-engine.ts';
import { epoch } from './support/tracker.ts';

/** Examines a line under a filter of this set, and says how many steps that took. */
interface Worker {
  /** Name of each filter → lines that it takes. */
  samples: Map<string, string[]>;
  examine: (line: Buffer, name: string) => number;
}

/**
 * A sample, cut at the end of each word and then filled with the text before or after that place,
 * repeated.
 */
function busyLines(samples: readonly string[], length: number): Buffer[] {
  const lines: Buffer[] = [];
  for (const sample of samples) {
    const head = sample.slice(0, 60);
    const tail = sample.slice(60) || sample;
    for (const filler of [tail, ' from ', '192.0.2.7 ', tail.slice(0, 8), `${tail.slice(-12)} `]) {
      lines.push(Buffer.from((head + filler.repeat(Math.ceil(length / filler.length))).slice(0, length)));
    }
  }
  return lines;
}

async function workerOf(samples: Worker['samples'], programs: readonly FilterProgram[] = []): Promise<Worker> {
  const { engine, takeSteps } = await countedEngine({ jails: [], filters: programs, tableBytes: 0, now: epoch });
  return {
    samples,
    examine(line, name) {
      takeSteps();
      engine.examine(line, name, '', epoch, false);
      return takeSteps();
    },
  };
}

const builtIn = (): Promise<Worker> =>
  workerOf(new Map(filters.map(({ name, patterns }) => [name, patterns.slice(0, 8).map(({ sample }) => sample)])));

const operatorPatterns = [
  'login failed for {user} from {ip}{end}',
  'account "{field}" locked, client {ip}:{number}',
  '{word} denied {word} {ip} {skip} code={number}{end}',
  '[{timestamp}] {ip} - {user}{end}',
  'tried {part} from {ip} with {skip} of {skip}{end}',
];

function ofOperator(): Promise<Worker> {
  const text = `[[filter]]\nname = "own"\npatterns = [${operatorPatterns.map((pattern) => `'''${pattern}'''`).join(', ')}]\n`;
  const surroundings = { filters: [{ name: 'sshd', modes: [] }], groupId: () => 0, tryLines };
  const samples = operatorPatterns.map((pattern) =>
    pattern.replaceAll('{ip}', '192.0.2.7').replaceAll(/\{\w+\}/g, 'x'),
  );
  return workerOf(
    new Map([['own', [...samples, 'login failed for login failed for from from']]]),
    compileConfig(text, 'x', surroundings).config.filters,
  );
}

/**
 * Long enough to distinguish linear from quadratic cost, bytes. The same code reads longer lines.
 */
const longBytes = 8 * 1024;
assert.ok(longBytes <= lineBytesMax);
const times = 8;
const shortBytes = longBytes / times;
/** Quadratic cost would be 64 times the steps. */
const growthMax = 1.25 * times;
/** A line that is rejected at its first bytes takes fewer steps, however long it is. */
const fewSteps = shortBytes;
/** Of all patterns of a filter together; a step takes up to 16 bytes. */
const stepsPerByteMax = 8;

function judge({ samples, examine }: Worker): string {
  let [worst, dearest, tried] = [0, 0, 0];
  for (const [name, lines] of samples) {
    const long = busyLines(lines, longBytes);
    for (const [index, line] of busyLines(lines, shortBytes).entries()) {
      const few = examine(line, name);
      const steps = examine(long[index]!, name);
      const growth = steps / Math.max(few, fewSteps);
      const which = `${name}: ${few} steps, then ${steps} for ${line.subarray(0, 120)}`;
      assert.ok(growth <= growthMax, `${times} times the bytes take ${growth.toFixed(1)} times the work: ${which}`);
      assert.ok(steps <= stepsPerByteMax * longBytes, `a byte takes too many steps: ${which}`);
      worst = Math.max(worst, growth);
      dearest = Math.max(dearest, steps / longBytes);
      tried++;
    }
  }
  assert.ok(worst > times / 2, 'no work is counted that grows with the line');
  return `${tried} hostile lines of ${samples.size} filter(s), ${shortBytes} → ${longBytes} bytes: at most ${worst.toFixed(1)} times the steps, the dearest ${dearest.toFixed(1)} for each byte`;
}

/** A matcher that starts again at every place where a line may end. */
function retrying(real: () => Promise<Worker>): Supply<Worker> {
  return {
    async make() {
      const { samples, examine } = await real();
      return {
        samples,
        examine(line, name) {
          let steps = 0;
          for (let end = line.length; end > 0; end -= 1_024) steps += examine(line.subarray(0, end), name);
          return steps;
        },
      };
    },
  };
}

claim('D-02a', { make: builtIn }, judge, [
  sabotaged('each place where an address may stand looks for the end of the line', /times the bytes take/),
  twin('a matcher that begins again for each end of the line', retrying(builtIn), /times the bytes take/),
]);
claim('PE-10', { make: ofOperator }, judge, [
  sabotaged('the interpreter measures a text anew at each place where it may end', /times the bytes take/),
  twin('a matcher that begins again for each end of the line', retrying(ofOperator), /times the bytes take/),
]);
