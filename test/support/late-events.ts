/**
 * Real events of the kernel that are delivered when the test decides, as in a daemon that gets no
 * CPU time.
 */
import { FileSource } from '../../src/sources/file.ts';
import { type Events, type EventsOptions, type Heard, Inotify, type Watch } from '../../src/sources/inotify.ts';
import type { CollectingSink } from './collecting-sink.ts';

/** The kernel's events, kept until the test delivers them. */
export class LateEvents implements Events {
  readonly #options: EventsOptions;
  readonly #inotify: Inotify;
  #waiting: (() => void)[] = [];
  #portion = 0;
  meanwhile = (): void => {};

  constructor(options: EventsOptions) {
    this.#options = options;
    this.#inotify = new Inotify(options);
  }

  /** The writer continues right after the last event that is read. */
  get drained(): boolean {
    const drained = this.#waiting.length === 0;
    this.meanwhile();
    this.meanwhile = () => {};
    return drained;
  }

  add(path: string, mask: number, heard: Heard): Watch {
    let isOpen = true;
    const watch = this.#inotify.add(path, mask, (...event) => {
      this.#waiting.push(() => {
        if (isOpen) heard(...event);
      });
    });
    const close = (): void => {
      isOpen = false;
      watch.close();
    };
    return { close };
  }

  /** Wakes the source and delivers this many events. */
  hear(count: number): void {
    this.#portion = count;
    this.#options.woken();
    this.#portion = 0;
  }

  read(): boolean {
    this.#take();
    const portion = this.#waiting.splice(0, this.#portion);
    for (const event of portion) event();
    return portion.length > 0;
  }

  close(): void {
    this.#inotify.close();
  }

  #take(): void {
    while (this.#inotify.read());
  }
}

/**
 * The real source of files over such events, started. `sink` gets what it reads, and `seconds` is
 * its clock.
 */
export function lateSource(
  pattern: string,
  sink: CollectingSink,
  seconds: () => number,
): { source: FileSource; events: LateEvents } {
  let events: LateEvents | undefined;
  const source = new FileSource({
    patterns: [pattern],
    assign: (_path, _patterns, previous) => Math.max(0, previous),
    release() {},
    now: () => 0,
    monotonic: () => seconds() * 1_000,
    drain: () => sink.drain(),
    event() {},
    sink,
    events: (options) => {
      events = new LateEvents(options);
      return events;
    },
  });
  source.start();
  return { source, events: events! };
}
