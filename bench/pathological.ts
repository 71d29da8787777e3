/**
 * The most expensive line an attacker can write, for every filter: its cost per byte compared with
 * usual lines. Lines are searched for, not just listed: each sample of each pattern is extended to
 * the line limit with the filter's own phrases, with addresses and with single bytes, at every
 * place where an attacker could write, and the most expensive one is measured again.
 */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { quantile } from '../scripts/lab/figures.ts';
import type { Filter, Token } from '../src/compiler/pattern.ts';
import { LINES, LINES_TOO_LONG } from '../src/engine/counters.ts';
import type { Engine } from '../src/engine/host.ts';
import { filters } from '../src/filters/index.ts';
import { lineBytesMax } from '../src/limits.ts';
import { type Benchmark, type Context, differences } from './benchmark.ts';
import { engineFor } from './rounds.ts';
import { files, startTime, writeWorkload } from './workload.ts';

/** The most expensive line may cost this many times the typical one, per byte. */
const ratioMax = 4;
/** Length of hostile lines, bytes: beyond it the cost per byte does not change. */
export const longest = 16_383;

/** Every fixed text in a list of tokens. */
function phrases(tokens: Token[]): string[] {
  return tokens.flatMap((token): string[] => {
    if (token.kind === 'literal') return [token.text];
    if (token.kind === 'choice') return token.of;
    if (token.kind === 'either') return token.of.flatMap(phrases);
    if (token.kind === 'optional' || token.kind === 'repeat') return phrases(token.tokens);
    return [];
  });
}

/** The cost without disturbance: other work on the machine can only add to it. */
const undisturbed = (values: number[]): number => quantile(values, 0.1);

/** Fills `length` bytes with repetitions. */
const filled = (text: string, length: number): string => text.repeat(Math.ceil(length / text.length)).slice(0, length);

/** The lines that are tried for a filter, by name. */
export function hostileLines(filter: Filter): Map<string, string> {
  const lines = new Map<string, string>();
  const patterns = [...filter.patterns, ...(filter.ignore ?? [])];
  for (const pattern of patterns) {
    const own = phrases(pattern.tokens).filter((text) => text.trim() !== '');
    const fillers: Record<string, string> = {
      phrases: own.join(''),
      'spaced-phrases': `${own.join('x ')} `,
      'last-phrase': own.at(-1) ?? ' ',
      addresses: ' from 192.0.2.7 port 22',
      'half-addresses': '2001:db8:::',
      blanks: ' ',
      digits: '1',
      quotes: '"',
    };
    const sample = pattern.sample.slice(0, longest);
    const address = sample.search(/192\.0\.2|198\.51\.100|203\.0\.113|2001:db8/);
    const colon = sample.indexOf(': ') + 2;
    const places = { start: 0, message: colon, address: Math.max(0, address), end: sample.length - 1 };
    for (const [place, at] of Object.entries(places)) {
      for (const [name, filler] of Object.entries(fillers)) {
        const text = filled(filler, longest - sample.length);
        lines.set(`${pattern.name}/${place}/${name}`, sample.slice(0, at) + text + sample.slice(at));
      }
    }
    lines.set(`${pattern.name}/cut`, sample.slice(0, -1));
  }
  lines.set('overlong', filled('x ', lineBytesMax + 10_000));
  lines.set('nul', '\0'.repeat(longest));
  return lines;
}

/** Whole lines for the engine's buffer: as many as fit, in turn. */
function block(lines: string[], bytesMax: number): { bytes: Buffer; lines: number } {
  const parts: Buffer[] = [];
  let length = 0;
  for (let index = 0; ; index++) {
    const line = Buffer.from(`${lines[index % lines.length]}\n`, 'latin1');
    if (length + line.length > bytesMax) break;
    parts.push(line);
    length += line.length;
  }
  return { bytes: Buffer.concat(parts), lines: parts.length };
}

/** Nanoseconds a byte of each of `rounds` passes. */
function costs(engine: Engine, { bytes }: { bytes: Buffer }, rounds: number): number[] {
  return Array.from({ length: rounds }, (_, round) => {
    engine.buffer.set(bytes);
    const started = performance.now();
    const consumed = engine.feed(0, bytes.length, round * bytes.length, startTime, false);
    const cost = ((performance.now() - started) * 1e6) / bytes.length;
    engine.takeDecisions(() => undefined);
    if (consumed !== bytes.length) throw new Error(`the engine took ${consumed} of ${bytes.length} bytes`);
    return cost;
  });
}

/**
 * What a filter usually reads: its workload if there is one, else its samples and counter-samples.
 */
function typicalLines(context: Context, filter: Filter): string[] {
  const service = Object.keys(files).find((name) => files[name]!.filter === filter.name);
  if (service === undefined) return filter.patterns.flatMap(({ sample, counter }) => [sample, counter]);
  const { path } = writeWorkload(service, join(context.directory, service), 2000, 500);
  return readFileSync(path, 'latin1').trimEnd().split('\n');
}

async function measure(context: Context, filter: Filter): Promise<void> {
  const [tries, rounds] = [context.number('tries'), context.number('rounds')];
  const engine = await engineFor('wasm', filter.name, filter.modes?.at(-1) ?? '');
  const most = Math.min(context.number('block'), engine.buffer.length);
  const typical = block(typicalLines(context, filter), most);
  const hostile = [...hostileLines(filter)].map(([name, line]) => ({ name, block: block([line], most) }));
  costs(engine, typical, rounds);
  const dear = (candidate: (typeof hostile)[number]): number => Math.min(...costs(engine, candidate.block, tries));
  const ranked = hostile.map((each) => ({ ...each, cost: dear(each) })).sort((a, b) => b.cost - a.cost);
  const usual = costs(engine, typical, rounds);
  const finalists = ranked.slice(0, 3).map((each) => ({ name: each.name, costs: costs(engine, each.block, rounds) }));
  const worst = finalists.reduce((a, b) => (undisturbed(b.costs) > undisturbed(a.costs) ? b : a));
  const ratio = undisturbed(worst.costs) / undisturbed(usual);

  const overlong = hostile.find(({ name }) => name === 'overlong')!.block.lines;
  const fedOverlong = overlong * (tries + (finalists.some(({ name }) => name === 'overlong') ? rounds : 0));
  const fed =
    typical.lines * rounds * 2 +
    hostile.reduce((sum, each) => sum + each.block.lines * tries, 0) +
    finalists.reduce((sum, { name }) => sum + hostile.find((each) => each.name === name)!.block.lines * rounds, 0);
  const problems = differences(
    { lines: engine.counter(LINES), tooLong: engine.counter(LINES_TOO_LONG) },
    { lines: fed, tooLong: fedOverlong },
  );
  if (rounds > 1 && ratio > ratioMax) problems.push(`the dearest line costs ${ratio.toFixed(1)} times the typical one`);
  context.report({
    workload: filter.name,
    counts: { lines: fed, hostile: hostile.length, dearest: worst.name },
    figures: [
      { name: 'typical', unit: 'ns/byte', values: usual },
      { name: 'dearest', unit: 'ns/byte', values: worst.costs },
      { name: 'ratio', unit: 'x', values: [ratio] },
    ],
    problems,
  });
}

export const pathological: Benchmark = {
  name: 'pathological',
  says: `the dearest line of every filter against its typical one, a byte: at most ${ratioMax} times`,
  options: {
    block: { says: 'bytes fed at once', value: 262_144 },
    tries: { says: 'passes over each candidate', value: 3 },
    rounds: { says: 'passes over the dearest and the typical; 1 = counts only', value: 25 },
  },
  async run(context) {
    for (const filter of filters) if (context.wanted(filter.name)) await measure(context, filter);
  },
};
