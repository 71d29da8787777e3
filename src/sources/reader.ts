/**
 * In which order followed files are read. Files take turns of one buffer each, and the event loop
 * gets its turn after `turnBytesMax`. Old files of a path come first, so that its lines stay in
 * order. A read uses no heap buffers, promises or strings of ours: bytes go by preadv into the
 * engine's memory.
 *
 * A file that somebody keeps writing to blocks nothing: an old file ends at its time or its byte
 * limit, and the drain at a stop at its deadline. While many decisions wait for the kernel, files
 * that bring many more are not read; other files are, so a quiet log's few bans get through.
 */
import * as limits from '../limits.ts';
import type { Followed, Retired, Shared } from './followed.ts';
import { waitingMax } from './moderation.ts';
import type { Silence } from './silence.ts';
import type { ReadOutcome, Tail } from './tail.ts';

export class Reader {
  readonly #shared: Shared;
  readonly #silence: Silence;
  readonly #close: (file: Followed, tail: Tail) => void;
  readonly #failed: (file: Followed, error: Error) => void;
  readonly #queue: Followed[] = [];
  /** Files that wait until the kernel has accepted decisions. */
  #held: Followed[] = [];
  #running = true;
  #paused = false;
  #planned = false;
  readonly #turn = (): void => this.takeTurn();

  /**
   * @param close closes a file for good @param failed called when a file could not be read; it is
   * closed by then
   */
  constructor(
    shared: Shared,
    silence: Silence,
    close: (file: Followed, tail: Tail) => void,
    failed: (file: Followed, error: Error) => void,
  ) {
    this.#shared = shared;
    this.#silence = silence;
    this.#close = close;
    this.#failed = failed;
  }

  stop(): void {
    this.#running = false;
    this.#queue.length = 0;
    this.#held = [];
  }

  pause(): void {
    this.#paused = true;
  }

  unpause(): void {
    this.#paused = false;
    this.#plan();
  }

  /** The file may hold something new. */
  enqueue(file: Followed): void {
    this.#queueUp(file);
    this.#plan();
  }

  /** Something was written to the file; it is read when all events were handled. */
  written(file: Followed, tail: Tail): void {
    tail.atEnd = false;
    this.#queueUp(file);
  }

  /** The kernel has accepted decisions: reads on in the files that brought them. */
  wake(): void {
    const held = this.#held;
    if (held.length === 0 || !held.some((file) => !this.#isHeldUp(file))) return;
    this.#held = [];
    for (const file of held) {
      file.queued = false;
      this.enqueue(file);
    }
  }

  /**
   * The path no longer leads to its file: the file is read to its end, and a while longer for late
   * writers.
   */
  retire(file: Followed): void {
    const { tail } = file;
    if (tail === null) return;
    file.tail = null;
    this.addRetired(file, tail);
    if (file.retired.length > limits.retiredTailsMax && !this.#paused) this.#giveUp(file, file.retired[0]!.tail);
    this.enqueue(file);
  }

  addRetired(file: Followed, tail: Tail): void {
    tail.atEnd = false;
    const until = this.#shared.options.monotonic() + limits.lingerMs;
    file.retired = [...file.retired, { tail, until, bytesMax: tail.bytesRead + limits.retiredBytesMax }];
  }

  /** Another record takes over the file. */
  leave(file: Followed, tail: Tail): void {
    const { sink, now } = this.#shared.options;
    if (file.fed === tail) file.fed = null;
    tail.leave(sink, file.source, now(), true);
    this.enqueue(file);
  }

  /** At intervals: reads what no event reported, closes what is over, reports a backlog. */
  visit(file: Followed, now: number): void {
    if (!this.#paused) {
      for (const old of file.retired) if (isOver(old, now)) this.#giveUp(file, old.tail);
      while (file.retired.length > limits.retiredTailsMax) this.#giveUp(file, file.retired[0]!.tail);
    }
    for (const { tail } of file.retired) tail.atEnd = false;
    this.enqueue(file);
    this.#judgeLag(file);
  }

  /**
   * Reads what is written by now, in turns, until all is read or the time is over (monotonic ms).
   */
  drain(files: Iterable<Followed>, until: number): void {
    const { monotonic } = this.#shared.options;
    let left = [...files];
    for (const { retired } of left) for (const { tail } of retired) tail.atEnd = false;
    while (left.length > 0 && monotonic() < until) left = left.filter((file) => this.#readOnce(file));
  }

  /**
   * Lets each waiting file read one buffer in turn, until `turnBytesMax` are read or nothing is
   * left.
   */
  takeTurn(): void {
    this.#planned = false;
    if (!this.#running || this.#paused) return;
    const { counters } = this.#shared;
    const until = counters.bytes + limits.turnBytesMax;
    const queue = this.#queue;
    let next = 0;
    while (next < queue.length && counters.bytes < until) {
      const file = queue[next++]!;
      if (file.decided > 0 && this.#isHeldUp(file)) {
        this.#held.push(file);
        continue;
      }
      file.queued = this.#readOnce(file);
      if (file.queued) queue.push(file);
    }
    queue.copyWithin(0, next);
    queue.length -= next;
    if (queue.length > 0) this.#plan();
  }

  /** Whether so many decisions wait that this file, which brings more, has to wait too. */
  #isHeldUp({ decided }: Followed): boolean {
    return (this.#shared.options.waiting?.() ?? 0) > waitingMax(decided);
  }

  #plan(): void {
    if (this.#planned || !this.#running || this.#paused) return;
    this.#planned = true;
    setImmediate(this.#turn);
  }

  #queueUp(file: Followed): void {
    if (file.queued) return;
    file.queued = true;
    this.#queue.push(file);
  }

  /**
   * One read from the oldest unfinished file of a path; returns whether there is more. Never
   * throws.
   */
  #readOnce(file: Followed): boolean {
    const tail = currentTail(file);
    if (tail === null) return false;
    try {
      if (file.fed !== tail) this.#changeOver(file, tail);
      const outcome = this.#feed(file, tail, false);
      if (outcome === 'cut') this.#noteCut(file, tail);
      return outcome !== 'end' || (tail !== file.tail && currentTail(file) !== null);
    } catch (error) {
      tail.leave(this.#shared.options.sink, file.source, this.#shared.options.now(), false);
      this.#close(file, tail);
      this.#failed(file, error as Error);
      return false;
    }
  }

  #feed(file: Followed, tail: Tail, final: boolean): ReadOutcome {
    const { sink, now, drain, lines, waiting } = this.#shared.options;
    const before = tail.bytesRead;
    const waited = waiting?.() ?? 0;
    const read = lines?.() ?? 0;
    const outcome = tail.read(sink, file.source, now(), final);
    file.decided = (waiting?.() ?? 0) - waited;
    this.#shared.counters.bytes += tail.bytesRead - before;
    if (lines !== undefined && lines() > read) this.#silence.heard(file.path, lines() - read);
    drain();
    return outcome;
  }

  #changeOver(file: Followed, tail: Tail): void {
    const { sink, now } = this.#shared.options;
    file.fed?.leave(sink, file.source, now(), true);
    file.fed = tail;
  }

  #noteCut(file: Followed, tail: Tail): void {
    const { options, counters, report } = this.#shared;
    tail.leave(options.sink, file.source, options.now(), false);
    counters.truncations++;
    report('truncated', file.path, file.source, tail.position, '');
  }

  /** Closes an old file and feeds its unfinished last line. */
  #giveUp(file: Followed, tail: Tail): void {
    const { options, report } = this.#shared;
    const until = tail.bytesRead + limits.giveUpBytesMax;
    try {
      if (file.fed !== tail) this.#changeOver(file, tail);
      let outcome: ReadOutcome = 'more';
      while (outcome !== 'end' && tail.bytesRead < until) outcome = this.#feed(file, tail, true);
      const unread = tail.size() - tail.position;
      if (unread > 0) report('error', file.path, file.source, tail.position, `given up with ${unread} bytes unread`);
      tail.leave(options.sink, file.source, options.now(), false);
    } catch (error) {
      report('error', file.path, file.source, tail.position, (error as Error).message);
    }
    this.#close(file, tail);
  }

  #judgeLag(file: Followed): void {
    if (file.tail === null) return;
    const { tail } = file;
    const unread = tail.size() - tail.position;
    if (unread > limits.behindBytes === file.behind) return;
    file.behind = !file.behind;
    const kind = file.behind ? 'behind' : 'caught-up';
    this.#shared.report(kind, file.path, file.source, tail.position, `${unread} bytes unread`);
  }
}

/** The file to read from: old ones come first. */
function currentTail(file: Followed): Tail | null {
  for (const { tail } of file.retired) if (!tail.atEnd) return tail;
  return file.tail;
}

/** Late writers had their time, or it was read to its limit. */
function isOver({ tail, until, bytesMax }: Retired, now: number): boolean {
  return (tail.atEnd && now >= until) || tail.bytesRead >= bytesMax;
}
