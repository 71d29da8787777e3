/**
 * The lists of one jail, or all lists that are ignored, as one: their files are read together into
 * the prefixes for the kernel. Either all of it is accepted or nothing, and only if the files did
 * not change while they were read.
 */
import { closeSync, fstatSync } from 'node:fs';
import { listEntriesMax } from '../limits.ts';
import type { CoreList, Lengths, ListUse } from '../types.ts';
import { Entries, entryBytes } from './entries.ts';
import { ListError, type OpenList, openList, type Stamp, stampOf } from './file.ts';
import { type Counts, elementsIn, lengthFor, lengthsFor } from './lengths.ts';
import { ListReader, type Visitor } from './reader.ts';
import { Survey, sifted } from './survey.ts';

/** What is wrong with a file: where, and what would help. */
export class FileProblem extends Error {
  readonly file: string;
  readonly line: number;
  readonly hint: string | undefined;

  constructor(file: string, line: number, reason: string, hint?: string) {
    super(reason);
    this.name = 'FileProblem';
    this.file = file;
    this.line = line;
    this.hint = hint;
  }

  /** As one sentence. */
  get text(): string {
    const place = this.line === 0 ? this.file : `${this.file}:${this.line}`;
    return `${place}: ${this.message}${this.hint === undefined ? '' : ` (${this.hint})`}`;
  }
}

/** A list and the content of its file. */
export interface Surveyed {
  row: Pick<CoreList, 'file' | 'use' | 'jail'>;
  survey: Survey;
}

/** Files read together, and what they become in the kernel. */
export interface Plan {
  lists: Surveyed[];
  counts: Record<4 | 6, Counts>;
  lengths: Lengths;
  elements: Record<4 | 6, number>;
}

/** Prefixes for the kernel, and how many were duplicates. */
export interface Filled {
  entries: Record<4 | 6, Entries>;
  twice: number;
}

/** The files of some lists, open. */
export class Files {
  readonly rows: readonly Pick<CoreList, 'file' | 'use' | 'jail'>[];
  readonly #open: OpenList[] = [];

  /** Throws FileProblem. */
  constructor(rows: Files['rows']) {
    this.rows = rows;
    for (const { file } of rows) {
      try {
        this.#open.push(openList(file));
      } catch (error) {
        this.close();
        if (!(error instanceof ListError)) throw error;
        throw new FileProblem(file, 0, error.message, error.hint);
      }
    }
  }

  /** The state of the files when they were opened. */
  get stamps(): Stamp[] {
    return this.#open.map(({ stamp }) => stamp);
  }

  close(): void {
    for (const { file } of this.#open.splice(0)) closeSync(file);
  }

  /** Throws if a file was written to since it was opened. */
  checkUnchanged(): void {
    for (const [index, { file, stamp }] of this.#open.entries()) {
      if (stampOf(fstatSync(file)) !== stamp)
        throw new FileProblem(this.rows[index]!.file, 0, 'is being written: it will be read again afterwards');
    }
  }

  /** Reads all files to their ends, piece by piece. */
  *read(visit: (use: ListUse, index: number) => Visitor): Generator<void> {
    for (const [index, { file }] of this.#open.entries()) {
      const reader = new ListReader(file, visit(this.rows[index]!.use, index));
      while (reader.step()) yield;
    }
  }

  /** Their content; throws what `planOf` throws. */
  *survey(): Generator<void, Plan> {
    const lists = this.rows.map((row) => ({ row, survey: new Survey(row.use) }));
    yield* this.read((_, index) => lists[index]!.survey.visitor);
    return planOf(lists);
  }

  /** The prefixes of this plan, as the kernel will hold them, and how many were duplicates. */
  *fill({ lengths, elements }: Plan): Generator<void, Filled> {
    const entries = { 4: new Entries(4, elements[4]), 6: new Entries(6, elements[6]) };
    let twice = 0;
    const nothing = (): void => {};
    const target = (family: 4 | 6): number[] =>
      Array.from({ length: 129 }, (_, prefix) => lengthFor(lengths[family], prefix));
    const targets = { 4: target(4), 6: target(6) };
    const add = (family: 4 | 6, prefix: number): void => {
      if (!entries[family].add(prefix, targets[family][prefix]!)) twice++;
    };
    const visitor = {
      four: (key: number, prefix: number): void => {
        entries[4].ask(key);
        add(4, prefix);
      },
      six: (bytes: Uint8Array, prefix: number): void => {
        entries[6].askBytes(bytes, 0);
        add(6, prefix);
      },
    };
    try {
      yield* this.read((use) => ({ ...sifted(use, visitor, nothing), bad: nothing }));
    } finally {
      // The files may have changed since they were counted.
      this.checkUnchanged();
    }
    return { entries, twice };
  }
}

/** How many entries all lists of a use may have together. */
export const entriesMax = (use: ListUse): number => listEntriesMax[use];

/** What lists become in the kernel; throws FileProblem if they cannot be accepted. */
export function planOf(lists: Surveyed[]): Plan {
  const counts = { 4: new Uint32Array(33), 6: new Uint32Array(129) };
  let entries = 0;
  for (const { row, survey } of lists) {
    const [first] = survey.mistakes;
    if (first !== undefined) throw new FileProblem(row.file, first.line, first.reason, first.hint);
    entries += survey.entries;
    if (entries > entriesMax(row.use)) {
      const what = row.use === 'ban' ? `lists of jail ${row.jail}` : 'lists of what is ignored';
      throw new FileProblem(row.file, 0, `${what} have more than ${entriesMax(row.use)} entries`, 'use wider prefixes');
    }
    for (const family of [4, 6] as const)
      for (const [length, count] of survey.counts[family].entries()) counts[family][length]! += count;
  }
  const lengths = { 4: lengthsFor(counts[4]), 6: lengthsFor(counts[6]) };
  const elements = { 4: elementsIn(counts[4], lengths[4]), 6: elementsIn(counts[6], lengths[6]) };
  const use = lists[0]?.row.use ?? 'ban';
  if (elements[4] + elements[6] > entriesMax(use)) {
    const reason = `has prefixes of too many lengths: written in eight, they would be ${elements[4] + elements[6]} elements in the kernel, and at most ${entriesMax(use)} may be`;
    throw new FileProblem(lists[0]!.row.file, 0, reason, 'use fewer lengths');
  }
  return { lists, counts, lengths, elements };
}

/** The same, with every prefix as it is written. */
export function exactly(plan: Plan): Plan {
  const { counts } = plan;
  const all = (family: 4 | 6): number[] => lengthsFor(counts[family], Number.POSITIVE_INFINITY);
  const sum = (family: 4 | 6): number => counts[family].reduce((total, count) => total + count, 0);
  return { ...plan, lengths: { 4: all(4), 6: all(6) }, elements: { 4: sum(4), 6: sum(6) } };
}

/** Bytes for these elements. */
export const planBytes = (elements: Plan['elements']): number =>
  entryBytes(4, elements[4]) + entryBytes(6, elements[6]);

/** Runs work to its end without pauses. */
export function atOnce<Result>(work: Generator<void, Result>): Result {
  for (;;) {
    const { done, value } = work.next();
    if (done) return value;
  }
}
