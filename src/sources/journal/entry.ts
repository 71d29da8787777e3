/**
 * Passes one entry of a journal to the engine, as `identifier[pid]: message`. Whoever writes to the
 * journal controls the bytes of MESSAGE; they are not examined here but go by pread into the
 * engine's memory. Anybody may set an identifier too: characters that could end it early are
 * replaced by `_`.
 *
 * A message that journald compressed with zstd is read if it and its window are within their
 * bounds. Larger ones, and those with another compression, are counted.
 */
import { constants, zstdDecompressSync } from 'node:zlib';
import type { EntrySink } from '../../engine/host.ts';
import {
  journalCandidatesMax,
  journalChunkBytes,
  journalMessagesMax,
  journalPackedBytesMax,
  journalWindowLogMax,
  lineBytesMax,
} from '../../limits.ts';
import { compression, type DataHead, type JournalFile } from './file.ts';
import { type Matcher, type Meanings, role } from './match.ts';

const fieldBytes = 'MESSAGE='.length;
const sign = { nobody: Buffer.from('-'), open: Buffer.from('['), close: Buffer.from(']'), colon: Buffer.from(': ') };

/** Messages that were not read, by reason: the name of a compression, `oversize`, `unreadable`. */
export type Unread = Map<string, number>;

export class EntryFeeder {
  readonly unread: Unread;
  /** Number of decompressions so far: each costs some tenths of a millisecond. */
  decompressions = 0;
  /** Number of lines for each match. */
  readonly fed: number[];
  readonly #matcher: Matcher;
  readonly #sink: EntrySink;

  /** `unread` continues earlier counts. */
  constructor(matcher: Matcher, sink: EntrySink, unread: Unread = new Map()) {
    this.#matcher = matcher;
    this.#sink = sink;
    this.unread = unread;
    this.fed = new Array<number>(matcher.count).fill(0);
  }

  /**
   * Feeds the current entry to each source whose match it fits, once for each of its messages.
   * Returns the number of lines. Throws DamagedEntry.
   */
  feed(file: JournalFile, meanings: Meanings, sources: readonly number[], now: number): number {
    const { messages, compressed } = this.#matcher;
    this.#matcher.read(file, meanings);
    const fitting = [...sources.keys()].filter((match) => this.#matcher.fits(match));
    if (fitting.length === 0) return 0;
    const start = this.#writeHead();
    let fed = 0;
    const give = (length: number): void => {
      const cut = start + length > lineBytesMax;
      const end = Math.min(start + length, lineBytesMax);
      for (const match of fitting) {
        this.#sink.feedEntry(sources[match]!, end, file.seqnum, now, file.realtime / 1e6, cut);
        this.fed[match]!++;
      }
      fed++;
    };
    for (const offset of messages.slice(0, journalMessagesMax)) {
      const { payload, length } = file.dataAt(offset);
      const bytes = length - fieldBytes;
      file.copy(payload + fieldBytes, Math.min(bytes, lineBytesMax - start), this.#sink.buffer, start);
      give(bytes);
    }
    if (messages.length > journalMessagesMax) this.#count('too many in an entry');
    for (const offset of compressed.slice(0, journalCandidatesMax)) {
      const text = this.#unpack(file, file.dataAt(offset), messages.length > 0);
      if (text === undefined) continue;
      this.#sink.buffer.set(text.subarray(0, lineBytesMax - start), start);
      give(text.length);
    }
    return fed;
  }

  /** Writes `identifier[pid]: ` to the start of the engine's buffer; returns its length. */
  #writeHead(): number {
    const { buffer } = this.#sink;
    const { found } = this.#matcher;
    const identifier = found[role.identifier] ?? found[role.command];
    const pid = found[role.givenPid] ?? found[role.pid];
    let end = 0;
    const put = (bytes: Uint8Array): void => {
      buffer.set(bytes, end);
      end += bytes.length;
    };
    put(identifier?.shown?.length ? identifier.shown : sign.nobody);
    if (pid?.shown?.length) {
      put(sign.open);
      put(pid.shown);
      put(sign.close);
    }
    put(sign.colon);
    return end;
  }

  /** The message in a compressed object; undefined if it holds something else or cannot be read. */
  #unpack(file: JournalFile, { payload, length, compressed }: DataHead, hasMessage: boolean): Buffer | undefined {
    const name = compression[compressed] ?? 'unreadable';
    if (name !== 'zstd') {
      // If there is no other message, this may be the one.
      if (!hasMessage) this.#count(name);
      return undefined;
    }
    if (length > journalPackedBytesMax) {
      if (!hasMessage) this.#count('oversize');
      return undefined;
    }
    const bytes = Buffer.allocUnsafe(length);
    file.copy(payload, length, bytes, 0);
    this.decompressions++;
    try {
      const text = zstdDecompressSync(bytes, {
        chunkSize: journalChunkBytes,
        maxOutputLength: lineBytesMax + fieldBytes,
        params: { [constants.ZSTD_d_windowLogMax]: journalWindowLogMax },
      });
      return text.toString('latin1', 0, fieldBytes) === 'MESSAGE=' ? text.subarray(fieldBytes) : undefined;
    } catch (error) {
      const { code } = error as NodeJS.ErrnoException;
      const isLarge = code === 'ERR_BUFFER_TOO_LARGE' || code === 'ZSTD_error_frameParameter_windowTooLarge';
      if (!hasMessage) this.#count(isLarge ? 'oversize' : 'unreadable');
      return undefined;
    }
  }

  #count(reason: string): void {
    this.unread.set(reason, (this.unread.get(reason) ?? 0) + 1);
  }
}
