/**
 * Rotations of every kind at random instants under a steady writer that numbers its lines, and the
 * real file source that follows it. The writer runs in its own thread and also rotates, so it knows
 * which lines the kernel could still deliver.
 */
import {
  appendFileSync,
  closeSync,
  copyFileSync,
  existsSync,
  ftruncateSync,
  linkSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  readFileSync,
  renameSync,
  rmSync,
  symlinkSync,
  unlinkSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { isMainThread, parentPort, Worker, workerData } from 'node:worker_threads';
import type { LineSink } from '../../src/engine/host.ts';
import { FileSource } from '../../src/sources/file.ts';
import { until } from '../support/until.ts';

/** What a rotation may use: the log, a name no pattern fits, and the writer's open file. */
interface Place {
  log: string;
  old: (age: number) => string;
  file: number;
  /** Rotations so far. */
  count: number;
  write: (lines: number) => void;
  /** Files of earlier rotations that may be removed: all their lines were read. */
  removable: () => number;
  linesRead: () => number;
}

export interface Kind {
  name: string;
  /** What is followed; the log where absent. */
  patterns?: (directory: string) => string[];
  rotate: (place: Place) => void;
  /** Why lines may be lost, where no reader could save them; they are named, not hidden. */
  loses?: string;
}

const reopen = (place: Place): void => {
  closeSync(place.file);
  place.file = openSync(place.log, 'a');
};

/**
 * Renames each old file to the next number, as logrotate does, and removes those that were read.
 */
const shift = (place: Place): void => {
  for (let age = place.count; age > 0; age--) {
    if (!existsSync(place.old(age))) continue;
    if (age > 4 && place.count - age <= place.removable()) unlinkSync(place.old(age));
    else renameSync(place.old(age), place.old(age + 1));
  }
  renameSync(place.log, place.old(1));
};

/** The writer continues in the old file for a while. */
const late = (place: Place, rotate: () => void): void => {
  const before = place.file;
  rotate();
  place.write(20);
  closeSync(before);
};

/** The text of the log without its first lines, in its place. */
const rewrite = (place: Place, dropped: number): void => {
  const lines = readFileSync(place.log, 'latin1').split('\n');
  const first = lines.findIndex((line) => Number(line) >= place.linesRead());
  writeFileSync(
    `${place.log}.new`,
    lines.slice(lines.length > 100 ? Math.min(dropped, Math.max(0, first)) : 0).join('\n'),
  );
  renameSync(`${place.log}.new`, place.log);
  reopen(place);
};

const cut = 'lines that were written right before the cut were gone before anybody was told of them';
const gone = 'a file that is removed, or renamed out of sight, before its writing was heard of is gone';

export const kinds: readonly Kind[] = [
  {
    name: 'rename, writer reopens',
    rotate: (place) => {
      shift(place);
      reopen(place);
    },
  },
  {
    name: 'rename, writer is late',
    rotate: (place) =>
      late(place, () => {
        shift(place);
        writeFileSync(place.log, '', { flag: 'a' });
        place.file = openSync(place.log, 'a');
      }),
  },
  {
    name: 'rename, no new file at first',
    rotate: (place) => {
      shift(place);
      place.write(5);
      reopen(place);
    },
  },
  {
    name: 'rename into another directory',
    rotate: (place) => {
      mkdirSync(join(place.log, '../../olddir'), { recursive: true });
      renameSync(place.log, join(place.log, `../../olddir/${place.count}`));
      reopen(place);
    },
    loses: gone,
  },
  {
    name: 'rename, then compressed',
    rotate: (place) => {
      shift(place);
      reopen(place);
      place.write(20);
      copyFileSync(place.old(1), `${place.old(1)}.gz`);
      unlinkSync(place.old(1));
    },
    loses: gone,
  },
  {
    name: 'rename within the glob',
    patterns: (directory) => [join(directory, 'logs/app.log*')],
    rotate: (place) => {
      shift(place);
      reopen(place);
    },
  },
  {
    name: 'a new name in the glob',
    patterns: (directory) => [join(directory, 'logs/app*')],
    rotate: (place) => {
      const name = (count: number): string => join(place.log, `../app-${count}.log`);
      closeSync(place.file);
      place.file = openSync(name(place.count), 'a');
      if (place.count - 8 < place.removable()) rmSync(name(place.count - 8), { force: true });
    },
  },
  {
    name: 'symlink switch',
    rotate: (place) => {
      const target = `${place.log}-${place.count}`;
      closeSync(place.file);
      place.file = openSync(target, 'a');
      symlinkSync(target, `${place.log}.link`);
      renameSync(`${place.log}.link`, place.log);
      rmSync(`${place.log}-${place.count - 8}`, { force: true });
    },
    loses: gone,
  },
  {
    name: 'replace by rename',
    rotate: (place) => {
      closeSync(place.file);
      place.file = openSync(`${place.log}.new`, 'a');
      place.write(3);
      if (existsSync(place.log)) linkSync(place.log, `${place.log}.${place.count}`);
      renameSync(`${place.log}.new`, place.log);
      rmSync(`${place.log}.${place.count - 8}`, { force: true });
    },
    loses: gone,
  },
  { name: 'copied and moved back', rotate: (place) => rewrite(place, 0) },
  { name: 'ring log: first lines dropped', rotate: (place) => rewrite(place, 10) },
  {
    name: 'directory renamed and made anew',
    rotate: (place) => {
      const directory = join(place.log, '..');
      rmSync(`${directory}.old`, { recursive: true, force: true });
      renameSync(directory, `${directory}.old`);
      mkdirSync(directory);
      reopen(place);
    },
    loses: gone,
  },
  {
    name: 'delete and recreate',
    rotate: (place) => {
      unlinkSync(place.log);
      reopen(place);
    },
    loses: gone,
  },
  {
    name: 'copytruncate',
    rotate: (place) => {
      copyFileSync(place.log, place.old(1));
      ftruncateSync(place.file);
    },
    loses: cut,
  },
  { name: 'truncate in place', rotate: (place) => ftruncateSync(place.file), loses: cut },
];

export interface Outcome {
  kind: string;
  rotations: number;
  written: number;
  lost: number;
  twice: number;
}

interface Work {
  kind: string;
  directory: string;
  rotations: number;
  seed: number;
  /** Each file is at its path for at least this long, ms. */
  standsMs: number;
  /** How many lines were read. */
  read: Int32Array;
}

/** Counts each number that it gets. The lines are the numbers. */
class Counting implements LineSink {
  readonly buffer = new Uint8Array(64 * 1024);
  readonly seen = new Map<number, number>();
  readonly read = new Int32Array(new SharedArrayBuffer(4));
  feed(_source: number, length: number): number {
    let at = 0;
    for (;;) {
      const end = this.buffer.indexOf(10, at);
      if (end < 0 || end >= length) return at;
      const number = Number(Buffer.from(this.buffer.buffer, at, end - at).toString('latin1'));
      this.seen.set(number, (this.seen.get(number) ?? 0) + 1);
      while (this.seen.has(this.read[0]!)) this.read[0]!++;
      at = end + 1;
    }
  }
}

/**
 * Rotates this many times in one way and counts the lines. Each file is at its path for at least
 * `standsMs`.
 */
export async function rotations(kind: Kind, count: number, seed: number, standsMs = 0): Promise<Outcome> {
  const directory = mkdtempSync(join(tmpdir(), 'rotate-'));
  mkdirSync(join(directory, 'logs'));
  const log = join(directory, 'logs/app.log');
  appendFileSync(log, '');
  const sink = new Counting();
  let sources = 0;
  const source = new FileSource({
    patterns: kind.patterns?.(directory) ?? [log],
    assign: (_path, _patterns, previous) => (previous >= 0 ? previous : sources++),
    release() {},
    now: () => 0,
    monotonic: () => performance.now(),
    drain() {},
    event() {},
    sink,
  });
  source.start();
  const data: Work = { kind: kind.name, directory, rotations: count, seed, standsMs, read: sink.read };
  const worker = new Worker(import.meta.filename, { workerData: data });
  try {
    const written = await new Promise<number>((resolve, reject) => {
      worker.once('message', resolve);
      worker.once('error', reject);
    });
    // A lost line never comes. In that case the last line tells that all were read.
    await until(() => sink.seen.has(written - 1), { what: `the last line of "${kind.name}"` });
    await until(() => kind.loses !== undefined || sink.seen.size === written).catch(() => {});
    const twice = [...sink.seen.values()].filter((times) => times > 1).length;
    return { kind: kind.name, rotations: count, written, lost: written - sink.seen.size, twice };
  } finally {
    source.stop();
    await worker.terminate();
    rmSync(directory, { recursive: true, force: true });
  }
}

/** A small generator of numbers in [0, 1), which a seed repeats. */
function randomFrom(seed: number): () => number {
  let state = seed | 0;
  return () => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) | 0;
    return (state >>> 0) / 2 ** 32;
  };
}

/** The writer's side: bursts of lines, and between two of them, now and then, a rotation. */
function writeAndRotate({ kind, directory, rotations: count, seed, standsMs, read }: Work): void {
  const random = randomFrom(seed);
  const rest = new Int32Array(new SharedArrayBuffer(4));
  let written = 0;
  /** Lines written at each rotation. */
  const ends = [0];
  let removable = 0;
  const place: Place = {
    log: join(directory, 'logs/app.log'),
    old: (age) => join(directory, `logs/app.log.${age}`),
    file: openSync(join(directory, 'logs/app.log'), 'a'),
    count: 0,
    write: (lines) => {
      for (let line = 0; line < lines; line++) writeSync(place.file, `${written++}\n`);
    },
    linesRead: () => Atomics.load(read, 0),
    removable: () => {
      while (removable + 1 < ends.length && ends[removable + 1]! <= Atomics.load(read, 0)) removable++;
      return removable;
    },
  };
  const { rotate } = kinds.find(({ name }) => name === kind)!;
  const burst = (): void => {
    place.write(1 + Math.floor(random() * 20));
    Atomics.wait(rest, 0, 0, random() * 4);
  };
  while (place.count < count) {
    const stands = performance.now() + standsMs;
    for (let bursts = Math.floor(random() * 4); bursts >= 0 || performance.now() < stands; bursts--) burst();
    place.count++;
    ends.push(written);
    rotate(place);
  }
  Atomics.wait(rest, 0, 0, 200);
  place.write(1);
  closeSync(place.file);
  parentPort!.postMessage(written);
}

if (!isMainThread && (workerData as Work | undefined)?.rotations !== undefined) writeAndRotate(workerData as Work);
