/**
 * A LineSink that keeps the lines it gets, with the contract of the engine's sink and none of its
 * code: whole lines are consumed, an unfinished one only if `final` or too long (then it is cut and
 * its rest skipped), and a full ring stops it between lines.
 */

import type { LineSink } from '../../src/engine/host.ts';
import { inputBytes, lineBytesMax } from '../../src/limits.ts';

const newline = 10;

export interface CollectedLine {
  source: number;
  text: string;
  /** File offset of its first byte. */
  offset: number;
}

export class CollectingSink implements LineSink {
  readonly buffer: Uint8Array;
  readonly lines: CollectedLine[] = [];
  feeds = 0;
  /** Lines until the ring is full; `drain` makes room again. */
  room: number;
  private readonly roomMax: number;
  private readonly skipping = new Set<number>();

  constructor(bufferBytes = inputBytes, roomMax = Number.POSITIVE_INFINITY) {
    this.buffer = new Uint8Array(bufferBytes);
    this.room = roomMax;
    this.roomMax = roomMax;
  }

  drain(): void {
    this.room = this.roomMax;
  }

  /** Texts of one source, or of all. */
  texts(source?: number): string[] {
    return this.lines.filter((line) => source === undefined || line.source === source).map(({ text }) => text);
  }

  feed(source: number, length: number, offset: number, _now: number, final: boolean): number {
    this.feeds++;
    let start = 0;
    while (start < length) {
      if (this.room === 0) return start;
      let end = start;
      while (end < length && this.buffer[end] !== newline) end++;
      const whole = end < length;
      const long = end - start > lineBytesMax;
      const skipped = this.skipping.has(source);
      if (!whole && !final && !long && !skipped) return start;
      if (!skipped) {
        const text = Buffer.from(this.buffer.subarray(start, long ? start + lineBytesMax : end)).toString();
        this.lines.push({ source, text, offset: offset + start });
        this.room--;
      }
      this.skipping.delete(source);
      if (!whole && (long || skipped)) this.skipping.add(source);
      start = whole ? end + 1 : end;
    }
    return length;
  }
}
