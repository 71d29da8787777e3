/**
 * What reports/verify.html shows besides the outcomes of a run: passages, breakages with the rooms
 * they change, bounds, and figures of archived runs. Everything is read from the tree.
 */
import { existsSync, globSync, readFileSync } from 'node:fs';
import { type Passage, passages } from '../../spec/passages.ts';
import { breakableFiles, fileOf } from '../../test/sabotage/breakage.ts';
import { breakages } from '../../test/sabotage/breakages.ts';
import type { Sample } from '../../test/soak/sample.ts';
import { buildHash, type LongRecord, readRecord } from '../long/record.ts';
import { type LongRun, longRuns } from '../long/runs.ts';

/** A named breakage, and who noticed it when all were last tried; empty if it was not tried. */
export interface Guard {
  name: string;
  file: string;
  claims: readonly string[];
  noticedBy: string;
}

export interface Bound {
  name: string;
  value: string;
  reason: string;
  file: string;
}

/** A figure as `bench/report.ts` records it. */
export interface Figure {
  name: string;
  unit: string;
  median: number;
  p99: number;
  spread: number;
  n: number;
  histogram?: [number, number][];
}

export interface BenchRun {
  path: string;
  command: string;
  at: string;
  machine: Record<string, string | number>;
  loadBefore: number;
  loadAfter: number;
  results: { workload: string; counts: Record<string, number | string>; figures: Figure[]; problems: string[] }[];
}

export interface SoakRun {
  path: string;
  command: string;
  date: string;
  note?: string;
  machine: Record<string, string | number>;
  options: { sources: number; seconds: number; ceiling: string };
  checks: { name: string; ok: boolean; found: string }[];
  /** `buildHash` of what ran. */
  build: string;
  /** Samples that were taken; of these one a minute is kept. */
  sampled: number;
  samples: Sample[];
}

export interface Evidence {
  passages: Readonly<Record<string, Passage>>;
  guards: readonly Guard[];
  sabotage: { date: string; commit: string } | undefined;
  bounds: readonly Bound[];
  /** Path of a specification → its text. */
  specifications: ReadonlyMap<string, string>;
  /** The newest run of each benchmark. */
  runs: ReadonlyMap<string, BenchRun>;
  soaks: readonly SoakRun[];
  /** Every long run with its newest record, if there is one. */
  longRuns: readonly { run: LongRun; record: LongRecord | undefined }[];
  /** `buildHash` of the tree that the page describes. */
  build: string;
}

const json = <Type>(path: string): Type => JSON.parse(readFileSync(path, 'utf8')) as Type;

interface SabotageRecord {
  date: string;
  commit: string;
  breakages: { name: string; noticedBy: string }[];
}

function guardsOf(record: SabotageRecord | undefined): Guard[] {
  const files = breakableFiles('.');
  const noticed = new Map(record?.breakages.map(({ name, noticedBy }) => [name, noticedBy]));
  return breakages.map((breakage) => {
    const { name, claims } = breakage;
    return { name, claims, file: fileOf(breakage, files), noticedBy: noticed.get(name) ?? '' };
  });
}

/** Every named number of a file of limits, with the comment above it. */
export function boundsOf(file: string, text: string): Bound[] {
  const found = text.matchAll(/(?:\/\*\*((?:(?!\*\/)[\s\S])*)\*\/\s*)?export const (\w+)(?:: [^=]+)? = ([^;]+);/g);
  return [...found].map(([, comment = '', name = '', value = '']) => ({
    name,
    value: value.replaceAll(/\s+/g, ' '),
    reason: comment.replaceAll(/\s*\n\s*\* ?/g, ' ').trim(),
    file,
  }));
}

/** The newest recorded soak of each number of sources. */
export function newestSoaks(): SoakRun[] {
  const newest = new Map(
    globSync('bench/runs/*/soak/*.json')
      .sort()
      .map((path): [number, SoakRun] => {
        const run = json<SoakRun>(path);
        return [run.options.sources, { ...run, path }];
      }),
  );
  return [...newest.values()].sort((one, other) => one.options.sources - other.options.sources);
}

export function gather(): Evidence {
  const record = existsSync('test/sabotage/record.json')
    ? json<SabotageRecord>('test/sabotage/record.json')
    : undefined;
  const runs = new Map<string, BenchRun>();
  for (const path of globSync('bench/runs/*/*.json').sort()) {
    const run = json<BenchRun & { benchmark: string }>(path);
    runs.set(run.benchmark, { ...run, path });
  }
  return {
    passages,
    guards: guardsOf(record),
    sabotage: record,
    bounds: ['src/limits.ts', 'src/config/limits.ts'].flatMap((file) => boundsOf(file, readFileSync(file, 'utf8'))),
    specifications: new Map(globSync('spec/*.spec.ts').map((path) => [path, readFileSync(path, 'utf8')])),
    runs,
    longRuns: longRuns.map((run) => ({ run, record: readRecord(run.name) })),
    build: buildHash(),
    soaks: newestSoaks(),
  };
}
