/**
 * The record of a long run: one form for all of them, test/evidence/NAME.json, the newest run of
 * each. A program reports its figures with `note`; `npm run NAME -- … --record` (recorded.ts)
 * writes the rest: date, machine, build, command, and whether the run succeeded.
 */
import { createHash } from 'node:crypto';
import { appendFileSync, existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

export type Figures = Record<string, string | number>;

export interface LongRecord {
  name: string;
  command: string;
  /** When it ended, ISO 8601. */
  date: string;
  seconds: number;
  /** Whether it ended with exit status 0. */
  ok: boolean;
  /** `buildHash` of what ran. */
  build: string;
  machine: Record<string, string | number>;
  loadBefore?: number;
  loadAfter?: number;
  /** What the program counted and measured. */
  figures: Figures;
  /** What it found, in its own words, one row each. */
  found?: string[];
  /** What a reader must know about this run, written by a person. */
  note?: string;
}

const root = join(import.meta.dirname, '../..');
/**
 * The folder of the records; FAIL2ZIG_EVIDENCE names another one, for tests of the recording
 * itself.
 */
const folder = process.env.FAIL2ZIG_EVIDENCE ?? join(root, 'test/evidence');
/** The file to which a program under `--record` appends its figures. */
export const figuresVariable = 'FAIL2ZIG_FIGURES';
/** What the daemon runs on, without the addon, since each compiler makes a different one. */
const built = ['build/engine.wasm', 'dist/core.cjs'];

/** Sixteen digits of the SHA-256 over engine and core; empty if they are not built. */
export function buildHash(): string {
  const paths = built.map((path) => join(root, path));
  if (!paths.every((path) => existsSync(path))) return '';
  const hash = createHash('sha256');
  for (const path of paths) hash.update(readFileSync(path));
  return hash.digest('hex').slice(0, 16);
}

/** Whether this program runs under `--record`. */
export const isRecorded = (): boolean => process.env[figuresVariable] !== undefined;

/** Adds figures, or a row in words, to the record of this run; does nothing without `--record`. */
export function note(noted: Figures | string): void {
  const path = process.env[figuresVariable];
  if (path !== undefined) appendFileSync(path, `${JSON.stringify(noted)}\n`);
}

/** Everything that `note` wrote to a file. */
export function notedIn(path: string): Pick<LongRecord, 'figures' | 'found'> {
  const lines = existsSync(path) ? readFileSync(path, 'utf8').split('\n').filter(Boolean) : [];
  const all = lines.map((line) => JSON.parse(line) as Figures | string);
  const found = all.filter((each) => typeof each === 'string');
  const figures = Object.assign({}, ...all.filter((each) => typeof each !== 'string')) as Figures;
  return found.length === 0 ? { figures } : { figures, found };
}

/** From the root of the repository. */
export const pathOf = (name: string): string => `test/evidence/${name}.json`;

/**
 * The name under which `npm run SCRIPT -- …` is recorded: a soak by its sources, mutation by its
 * room, a part of a program (`fuzz replay`, `soak killed`) by its own word.
 */
export function nameOf(script: string, parameters: readonly string[]): string {
  const part = parameters.find((word) => ['replay', 'killed', 'rotate'].includes(word));
  if (part !== undefined) return part;
  if (script === 'mutation') return `mutation-${parameters.find((word) => !word.startsWith('-')) || 'engine'}`;
  if (script !== 'soak') return script.replace('test:', '');
  const at = parameters.indexOf('--sources');
  return `soak-${at < 0 ? 200_000 : (parameters[at + 1] ?? '').replaceAll('_', '')}`;
}

/** Returns the path, from the root of the repository. */
export function writeRecord(record: LongRecord): string {
  mkdirSync(folder, { recursive: true });
  writeFileSync(join(folder, `${record.name}.json`), `${JSON.stringify(record, null, 2)}\n`);
  return pathOf(record.name);
}

/** The newest record of a run; undefined if there is none. */
export function readRecord(name: string): LongRecord | undefined {
  const path = join(folder, `${name}.json`);
  return existsSync(path) ? (JSON.parse(readFileSync(path, 'utf8')) as LongRecord) : undefined;
}

const shown = (value: string | number): string =>
  typeof value === 'number' && value >= 10_000 ? value.toLocaleString('en-US') : `${value}`;

/** `2026-11-30, 601 s, ok, inputs 1,200,000 … (of an older build)`; `build` is the present one. */
export function recordText(record: LongRecord, build: string): string {
  const figures = Object.entries(record.figures).map(([name, value]) => `${name} ${shown(value)}`);
  const older = record.build === build ? '' : ' (of an older build)';
  const ended = record.ok ? 'ok' : 'FAILED';
  return `${record.date.slice(0, 10)}, ${shown(Math.round(record.seconds))} s, ${ended}: ${figures.join(', ')}${older}`;
}
