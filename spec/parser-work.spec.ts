/**
 * The parser engine, fourth part: what a line costs at worst, in the time that the production build
 * takes for it.
 */
import assert from 'node:assert/strict';
import { performance } from 'node:perf_hooks';
import { compileConfig } from '../src/config/compile.ts';
import { tryLines } from '../src/config/load.ts';
import { Examiner } from '../src/engine/examiner.ts';
import { filters } from '../src/filters/index.ts';
import { lineBytesMax } from '../src/limits.ts';
import { claim, given, twin } from './claim.ts';
import { epoch } from './support/tracker.ts';

/** Examines a line under a filter of this set. */
interface Worker {
  names: string[];
  /** Lines of `length` bytes that keep a filter's matchers busy. */
  lines: (name: string, length: number) => Buffer[];
  examine: (line: Buffer, name: string) => void;
}

/**
 * A sample cut where each of its words ends, and from there on filled with what stands before or
 * after that place, again and again.
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

function builtIn(): Worker {
  const engine = Examiner.createNow({ jails: [], tableBytes: 0, now: epoch });
  const samples = new Map(
    filters.map(({ name, patterns }) => [name, patterns.slice(0, 8).map(({ sample }) => sample)]),
  );
  return {
    names: [...samples.keys()],
    lines: (name, length) => busyLines(samples.get(name) ?? [], length),
    examine: (line, name) => void engine.examine(line, name, '', epoch, false),
  };
}

const operatorPatterns = [
  'login failed for {user} from {ip}{end}',
  'account "{field}" locked, client {ip}:{number}',
  '{word} denied {word} {ip} {skip} code={number}{end}',
  '[{timestamp}] {ip} - {user}{end}',
];

function ofOperator(): Worker {
  const text = `[[filter]]\nname = "own"\npatterns = [${operatorPatterns.map((pattern) => `'''${pattern}'''`).join(', ')}]\n`;
  const surroundings = { filters: [{ name: 'sshd', modes: [] }], groupId: () => 0, tryLines };
  const engine = Examiner.createNow({
    jails: [],
    filters: compileConfig(text, 'x', surroundings).config.filters,
    tableBytes: 0,
    now: epoch,
  });
  const samples = operatorPatterns.map((pattern) =>
    pattern.replaceAll('{ip}', '192.0.2.7').replaceAll(/\{\w+\}/g, 'x'),
  );
  return {
    names: ['own'],
    lines: (_, length) => busyLines([...samples, 'login failed for login failed for from from'], length),
    examine: (line, name) => void engine.examine(line, name, '', epoch, false),
  };
}

/**
 * Lines of this length, bytes: long enough to tell a line from its square, and short enough that
 * every filter is tried. Longer lines are read by the same code.
 */
const longBytes = 16 * 1024;
assert.ok(longBytes <= lineBytesMax);
const shortBytes = longBytes / 8;
/**
 * Eight times the bytes cost eight times as much; sixty-four would be the square. Between them lies
 * room for a busy machine.
 */
const growthMax = 24;
/** Below this the clock says nothing, ms. */
const clockMs = 0.02;
const tries = 7;

/**
 * The least of several times that `work` takes, ms: what others do to the machine is not counted.
 */
function least(work: () => void): number {
  let best = Number.POSITIVE_INFINITY;
  for (let i = 0; i < tries; i++) {
    const started = performance.now();
    work();
    best = Math.min(best, performance.now() - started);
  }
  return best;
}

function judge({ names, lines, examine }: Worker): string {
  let worst = 0;
  let slowest = 0;
  let tried = 0;
  for (const name of names) {
    const long = lines(name, longBytes);
    for (const [index, line] of lines(name, shortBytes).entries()) {
      const short = least(() => examine(line, name));
      const time = least(() => examine(long[index]!, name));
      const growth = time / Math.max(short, clockMs);
      assert.ok(growth <= growthMax, `${name}: eight times the bytes take ${growth.toFixed(1)} times as long`);
      worst = Math.max(worst, growth);
      slowest = Math.max(slowest, time);
      tried++;
    }
  }
  return `${tried} hostile lines of ${names.length} filter(s), ${shortBytes} → ${longBytes} bytes: at most ${worst.toFixed(1)} times the time, the dearest ${(slowest * 1000).toFixed(0)} µs`;
}

/** A matcher that tries again from every byte. */
function retrying(real: () => Worker): Worker {
  const worker = real();
  const again = (line: Buffer): void => {
    let hits = 0;
    for (let start = 0; start < line.length; start++) {
      for (let at = start; at < line.length; at++) if (line[at] === 120) hits++;
    }
    if (hits < 0) throw new Error('never');
  };
  return { ...worker, examine: again };
}

claim('D-02a', { make: builtIn }, judge, [
  twin('a matcher that tries again from every byte', { make: () => retrying(builtIn) }, /eight times the bytes take/),
]);
claim('PE-10', { make: ofOperator }, judge, [
  twin('a matcher that tries again from every byte', given(retrying(ofOperator)), /eight times the bytes take/),
]);
