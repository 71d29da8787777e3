/**
 * Files of systemd's journal, valid ones and damaged ones made from them.
 */
import assert from 'node:assert/strict';
import fs, { mkdtempSync, readFileSync, rmSync, utimesSync, writeFileSync } from 'node:fs';
import { syncBuiltinESMExports } from 'node:module';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { journalDamagedMax } from '../../../src/limits.ts';
import { driveJournal } from '../../support/journal-sink.ts';
import { type JournalForm, JournalWriter, sshdEntry } from '../../support/journal-writer.ts';
import type { Random } from '../random.ts';
import type { Target } from '../target.ts';

const start = 1_796_000_000_000_000;
const ids = { fileId: 'f1'.repeat(16), seqnumId: 'a2'.repeat(16), bootId: 'b3'.repeat(16) };
const forms: readonly JournalForm[] = [
  {},
  { compact: true },
  { compress: 'zstd' },
  { compact: true, compress: 'zstd', sealed: true },
  { firstArray: 1 },
];

/** A valid file, and the positions of its objects. */
function written(form: JournalForm, entries: number): { bytes: Buffer; objects: number[] } {
  const folder = mkdtempSync(join(tmpdir(), 'fail2zig-fuzz-'));
  try {
    const writer = new JournalWriter(join(folder, 'x.journal'), form, ids);
    for (let n = 1; n <= entries; n++) {
      const message = `Failed password for root from 192.0.2.${n} port 40 ssh2${n % 3 === 0 ? 'x'.repeat(700) : ''}`;
      writer.append(sshdEntry(n, start + n, message));
    }
    writer.archive();
    writer.close();
    return { bytes: readFileSync(writer.path), objects: writer.objects };
  } finally {
    rmSync(folder, { recursive: true });
  }
}

const sound = forms.map((form) => written(form, 24));
/** Fields of the header and of objects. */
const headerFields = [8, 12, 16, 24, 72, 88, 96, 136, 152, 160, 176, 184, 192];
const objectFields = [0, 1, 8, 16, 24, 32, 48, 64, 68, 72, 80];

/** A valid file with a few of its numbers changed to misleading ones. */
function changed(random: Random): Buffer {
  const { bytes: original, objects } = random.pick(sound);
  const bytes = Buffer.from(original);
  for (let count = 1 + random.below(5); count > 0; count--) {
    const inHeader = random.below(4) === 0;
    const at = inHeader ? random.pick(headerFields) : random.pick(objects) + random.pick(objectFields);
    const values = [0, 1, 8, at, random.pick(objects), bytes.length, bytes.length - 8, 2 ** 32, random.below(256)];
    if (at + 8 > bytes.length) continue;
    if (random.below(3) === 0) bytes[at] = random.below(256);
    else if (random.below(8) === 0) bytes.fill(0xff, at, at + 8);
    else bytes.writeBigUInt64LE(BigInt(random.pick(values)), at);
  }
  return random.below(6) === 0 ? bytes.subarray(0, random.below(bytes.length)) : bytes;
}

/** Calls of readSync, since the first body was opened. */
let reads = 0;
const original = fs.readSync;

function countReads(): void {
  if (fs.readSync !== original) return;
  fs.readSync = ((...args: Parameters<typeof fs.readSync>) => {
    reads++;
    return original(...args);
  }) as typeof fs.readSync;
  syncBuiltinESMExports();
}

export const journal: Target = {
  name: 'journal',
  says: 'any bytes as a journal file: read as far as they go with bounded work, or set aside; a file beside it is read',
  corpus: () => sound.map(({ bytes }) => bytes),
  words: () => [
    'LPKSHHRH',
    '\0\0\0\0\0\0\0\0',
    '\xff\xff\xff\xff\xff\xff\xff\xff',
    '\x01\0',
    '\x03\0',
    '\x06\0',
    'MESSAGE=',
  ],
  grammar: changed,
  async open() {
    const folder = mkdtempSync(join(tmpdir(), 'fail2zig-fuzz-'));
    process.on('exit', () => rmSync(folder, { recursive: true, force: true }));
    const beside = written({}, 5).bytes;
    countReads();
    let before = 0;
    return (input) => {
      const path = join(folder, 'system@1.journal');
      // A new inode, as another file would have.
      rmSync(path, { force: true });
      writeFileSync(path, input);
      utimesSync(path, 0, 0);
      writeFileSync(join(folder, 'user-1000.journal'), beside);
      const { source, sink, events, read } = driveJournal(folder, { findtime: 1e9 });
      before = reads;
      for (let turn = 0; turn < 3; turn++) read();
      const { entries, damaged } = source.counters;
      source.stop();
      assert.ok(sink.taken.filter(({ text }) => /192\.0\.2\.[1-5] /.test(text)).length >= 5, 'the file beside is read');
      assert.ok(damaged <= journalDamagedMax + 1, `${damaged} damaged entries`);
      assert.ok(entries + damaged <= input.length / 8 + 5, `${entries} entries in ${input.length} bytes`);
      const most = 500 + 40 * (entries + damaged) + input.length / 8;
      assert.ok(reads - before <= most, `${reads - before} reads for ${entries} entries in ${input.length} bytes`);
      assert.ok(events.length <= 4, `${events.length} events`);
    };
  },
};
