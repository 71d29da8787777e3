/**
 * One inotify watch per directory, for names that appear and disappear, however many files are
 * followed in it. Writes to a file are reported by a watch on the file itself (file.ts), since
 * other programs write to other files of the same directory.
 *
 * Names in events come from anybody who may create files there: they are looked up, never
 * interpreted. Some file systems give no events, so the caller polls too.
 */

import { movesMax, renameLooksMax } from '../limits.ts';
import { matchesComponent } from './glob.ts';
import * as inotify from './inotify.ts';
import { idOf, linkTo, withPlace } from './place.ts';

/** A name appeared or disappeared. */
const renames = inotify.IN_CREATE | inotify.IN_MOVED_FROM | inotify.IN_MOVED_TO | inotify.IN_DELETE;
/** The directory was moved or removed. */
const gone = inotify.IN_DELETE_SELF | inotify.IN_MOVE_SELF | inotify.IN_IGNORED;
const watched = renames | inotify.IN_ATTRIB | inotify.IN_DELETE_SELF | inotify.IN_MOVE_SELF | inotify.IN_ONLYDIR;

export interface DirectoryListener<Entry> {
  /**
   * The entry's name appeared or disappeared and may refer to another file now, or its permissions
   * changed.
   */
  touched(entry: Entry): void;
  /** The file that had an entry's name has this path now. Returns whether something is there. */
  moved(entry: Entry, path: string): boolean;
  /** A name that a pattern waits for appeared or disappeared, or the directory itself changed. */
  changed(): void;
  /** The watch could not be set, or failed. Reported once per directory until it works again. */
  failed(directory: string, error: Error): void;
}

interface Directory<Entry> {
  readonly path: string;
  id: string;
  watch: inotify.Watch | null;
  /** Followed entries by name. */
  entries: Map<string, Entry | Entry[]>;
  /** Pattern components to look for in this directory. */
  components: Set<string>;
  reported: boolean;
  wanted: boolean;
}

/**
 * A file that had an entry's name, and where it went. A name may be newer than the events read so
 * far, so what is found under it is the moved file only if no later event renames it again.
 */
interface Moved<Entry> {
  readonly entry: Entry;
  directory: string;
  /**
   * Empty between the two halves of a rename, and for good once the file left the watched
   * directories.
   */
  name: string;
  cookie: number;
  /** A file was found under the name. */
  seen: boolean;
  /** Polls without success since its last rename. */
  misses: number;
}

export class Directories<Entry> {
  readonly #byPath = new Map<string, Directory<Entry>>();
  readonly #listener: DirectoryListener<Entry>;
  readonly #events: inotify.Events | null;
  /** Renamed files that we still look for, oldest first. */
  #moves: Moved<Entry>[] = [];

  /**
   * With `events` null nothing is reported by itself; `check` still finds directories that moved.
   */
  constructor(events: inotify.Events | null, listener: DirectoryListener<Entry>) {
    this.#events = events;
    this.#listener = listener;
  }

  /** Number of watches set so far. */
  armed = 0;

  get count(): number {
    return this.#byPath.size;
  }

  /** Whether this census has already asked for a directory. */
  isWanted(path: string): boolean {
    return this.#byPath.get(path)?.wanted === true;
  }

  /**
   * Starts a new census: directories that are not asked for before `sweep` are no longer watched.
   */
  begin(): void {
    for (const directory of this.#byPath.values()) {
      directory.wanted = false;
      directory.entries.clear();
      directory.components.clear();
    }
  }

  /**
   * Watches a directory for names that match `component`. Called before the directory is read, so
   * that no name is missed.
   */
  lookFor(path: string, component: string): void {
    this.#want(path).components.add(component);
  }

  /** Watches a directory for what happens to one entry. */
  follow(path: string, name: string, entry: Entry): void {
    const { entries } = this.#want(path);
    const same = [entries.get(name) ?? []].flat() as Entry[];
    if (same.length === 0) entries.set(name, entry);
    else if (!same.includes(entry)) entries.set(name, [...same, entry]);
  }

  /** Closes the watches that the census did not ask for. */
  sweep(): void {
    for (const directory of this.#byPath.values()) {
      if (directory.wanted) continue;
      directory.watch?.close();
      this.#byPath.delete(directory.path);
    }
  }

  /**
   * Finds watches whose path now leads to another directory and replaces them; returns whether
   * there was one.
   */
  check(): boolean {
    let any = false;
    for (const directory of this.#byPath.values()) if (this.#arm(directory)) any = true;
    return any;
  }

  /**
   * To be called when all waiting events were read: looks for renamed files at their new names.
   * That a file there is the right one is certain only when all events were read once more: if
   * another file has taken the name since, an event about that came first.
   */
  settle(isPoll: boolean): void {
    if (this.#moves.length === 0) return;
    this.#moves = this.#moves.filter((move) => {
      if (move.seen) return false;
      move.seen = move.name !== '' && this.#listener.moved(move.entry, `${move.directory}/${move.name}`);
      return move.seen || !isPoll || ++move.misses < renameLooksMax;
    });
  }

  close(): void {
    for (const directory of this.#byPath.values()) directory.watch?.close();
    this.#byPath.clear();
  }

  #want(path: string): Directory<Entry> {
    let directory = this.#byPath.get(path);
    if (directory === undefined) {
      directory = {
        path,
        id: '',
        watch: null,
        entries: new Map(),
        components: new Set(),
        reported: false,
        wanted: true,
      };
      this.#byPath.set(path, directory);
      this.#arm(directory);
    }
    directory.wanted = true;
    return directory;
  }

  /** Moves the watch to the directory that the path leads to now; returns whether it was moved. */
  #arm(directory: Directory<Entry>): boolean {
    try {
      return withPlace(directory.path, (place, info) => {
        const id = idOf(info);
        if ((directory.watch !== null || this.#events === null) && id === directory.id) return false;
        this.#disarm(directory);
        directory.watch =
          this.#events?.add(linkTo(place), watched, (mask, name, cookie) =>
            this.#heard(directory, mask, name, cookie),
          ) ?? null;
        directory.id = id;
        directory.reported = false;
        this.armed++;
        return true;
      });
    } catch (error) {
      const had = directory.watch !== null;
      this.#disarm(directory);
      this.#report(directory, error as Error);
      return had;
    }
  }

  #disarm(directory: Directory<Entry>): void {
    directory.watch?.close();
    directory.watch = null;
  }

  #report(directory: Directory<Entry>, error: Error): void {
    if (directory.reported) return;
    directory.reported = true;
    this.#listener.failed(directory.path, error);
  }

  /** A name appeared or disappeared: that of an entry, or one that such a file got a moment ago. */
  #rename({ path, entries }: Directory<Entry>, mask: number, name: string, cookie: number): void {
    const leaves = (mask & inotify.IN_MOVED_FROM) !== 0;
    const next = { directory: path, name: leaves ? '' : name, cookie, seen: false, misses: 0 };
    // A file that arrives at a name, or a removal, ends what we know about a moved file there.
    this.#moves = this.#moves.filter((move) => {
      const isThere = move.name === name && move.directory === path;
      if (isThere ? leaves : !leaves && move.name === '' && move.cookie === cookie) Object.assign(move, next);
      return !isThere || leaves;
    });
    if (!leaves) return;
    for (const entry of [entries.get(name) ?? []].flat() as Entry[]) this.#moves.push({ entry, ...next });
    if (this.#moves.length > movesMax) this.#moves.splice(0, this.#moves.length - movesMax);
  }

  #heard(directory: Directory<Entry>, mask: number, name: string, cookie: number): void {
    if ((mask & gone) !== 0) this.#disarm(directory);
    if (name === '') {
      this.#listener.changed();
      return;
    }
    const entries = directory.entries.get(name);
    if ((mask & renames) !== 0) this.#rename(directory, mask, name, cookie);
    if (entries !== undefined) {
      for (const entry of [entries].flat() as Entry[]) this.#listener.touched(entry);
      return;
    }
    if ((mask & renames) === 0) return;
    for (const component of directory.components) {
      if (!matchesComponent(name, component)) continue;
      this.#listener.changed();
      return;
    }
  }
}
