/**
 * The events of inotify.ts from `fs.watch`, for systems without inotify (kqueue on BSD). Tested on
 * Linux only, where `fs.watch` is inotify with more work per event.
 */
import { type FSWatcher, watch } from 'node:fs';
import { basename } from 'node:path';
import {
  type Events,
  type EventsOptions,
  type Heard,
  IN_ATTRIB,
  IN_CREATE,
  IN_DELETE_SELF,
  IN_IGNORED,
  type Watch,
} from './inotify.ts';

export class PortableEvents implements Events {
  readonly drained = true;
  readonly #woken: () => void;
  readonly #watchers = new Set<FSWatcher>();

  constructor({ woken }: EventsOptions) {
    this.#woken = woken;
  }

  add(path: string, _mask: number, heard: Heard): Watch {
    const watcher = watch(path, { persistent: true });
    this.#watchers.add(watcher);
    const close = (): void => {
      watcher.close();
      this.#watchers.delete(watcher);
    };
    watcher.on('error', () => {
      close();
      heard(IN_IGNORED, '', 0);
      this.#woken();
    });
    watcher.on('change', (event: string, name: string | null) => {
      heard(event === 'rename' ? IN_CREATE : IN_ATTRIB, name ?? '', 0);
      // `fs.watch` reports a directory that moved or disappeared under its own last name.
      if (event === 'rename' && name === basename(path)) heard(IN_DELETE_SELF, '', 0);
      this.#woken();
    });
    return { close };
  }

  /** Nothing waits: each event was passed on at once. */
  read(): boolean {
    return false;
  }

  close(): void {
    for (const watcher of this.#watchers) watcher.close();
    this.#watchers.clear();
  }
}
