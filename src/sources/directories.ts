/**
 * One inotify watch per directory, however many files are followed in it.
 *
 * A watch on a file follows the old inode through a rotation and says nothing more, so only directories are watched.
 * Names in events come from whoever may create files there: they are looked up, never interpreted. When the queue of
 * the kernel overflows, events are lost without a word, and some file systems give none: whoever uses this polls too.
 */

import { type FSWatcher, statSync, watch } from 'node:fs';
import { matchesComponent } from './glob.ts';

export interface DirectoryListener<Entry> {
  /** Something happened to the name of an entry; `renamed`: it may stand for another file now. */
  touched(entry: Entry, renamed: boolean): void;
  /** A name came or went that a pattern waits for, or the directory itself changed. */
  changed(): void;
  /** The watch could not be set, or broke. Reported once per directory until it works again. */
  failed(directory: string, error: Error): void;
}

interface Directory<Entry> {
  readonly path: string;
  device: bigint;
  inode: bigint;
  watcher: FSWatcher | null;
  /** Followed entries by name. */
  entries: Map<string, Entry[]>;
  /** Pattern components looked for in here. */
  components: Set<string>;
  reported: boolean;
  wanted: boolean;
}

export class Directories<Entry> {
  private readonly byPath = new Map<string, Directory<Entry>>();
  private readonly listener: DirectoryListener<Entry>;

  constructor(listener: DirectoryListener<Entry>) {
    this.listener = listener;
  }

  get count(): number {
    return this.byPath.size;
  }

  has(path: string): boolean {
    return this.byPath.has(path);
  }

  /** Starts a new census: what is not asked for again before `sweep` is no longer watched. */
  begin(): void {
    for (const directory of this.byPath.values()) {
      directory.wanted = false;
      directory.entries.clear();
      directory.components.clear();
    }
  }

  /** Watches a directory for names that fit `component`. Set before the directory is read, so that nothing slips through. */
  lookFor(path: string, component: string): void {
    this.want(path).components.add(component);
  }

  /** Watches a directory for what happens to one entry. */
  follow(path: string, name: string, entry: Entry): void {
    const { entries } = this.want(path);
    const same = entries.get(name);
    if (same === undefined) entries.set(name, [entry]);
    else if (!same.includes(entry)) same.push(entry);
  }

  /** Closes what the census did not ask for. */
  sweep(): void {
    for (const directory of this.byPath.values()) {
      if (directory.wanted) continue;
      directory.watcher?.close();
      this.byPath.delete(directory.path);
    }
  }

  /** Finds watches whose path now leads to another directory and sets them anew; returns whether there was one. */
  check(): boolean {
    let any = false;
    for (const directory of this.byPath.values()) if (this.arm(directory)) any = true;
    return any;
  }

  close(): void {
    for (const directory of this.byPath.values()) directory.watcher?.close();
    this.byPath.clear();
  }

  private want(path: string): Directory<Entry> {
    let directory = this.byPath.get(path);
    if (directory === undefined) {
      directory = {
        path,
        device: 0n,
        inode: 0n,
        watcher: null,
        entries: new Map(),
        components: new Set(),
        reported: false,
        wanted: true,
      };
      this.byPath.set(path, directory);
      this.arm(directory);
    }
    directory.wanted = true;
    return directory;
  }

  /** Makes the watch stand on the directory the path leads to; returns whether it was moved. */
  private arm(directory: Directory<Entry>): boolean {
    let device = 0n;
    let inode = 0n;
    try {
      const info = statSync(directory.path, { bigint: true });
      device = info.dev;
      inode = info.ino;
      if (directory.watcher !== null && device === directory.device && inode === directory.inode) return false;
      this.disarm(directory);
      const watcher = watch(directory.path, { persistent: true }, (event, name) => this.heard(directory, event, name));
      watcher.on('error', (error) => {
        this.disarm(directory);
        this.report(directory, error);
      });
      directory.watcher = watcher;
      directory.device = device;
      directory.inode = inode;
      directory.reported = false;
      return true;
    } catch (error) {
      const had = directory.watcher !== null;
      this.disarm(directory);
      this.report(directory, error as Error);
      return had;
    }
  }

  private disarm(directory: Directory<Entry>): void {
    directory.watcher?.close();
    directory.watcher = null;
  }

  private report(directory: Directory<Entry>, error: Error): void {
    if (directory.reported) return;
    directory.reported = true;
    this.listener.failed(directory.path, error);
  }

  private heard(directory: Directory<Entry>, event: string, name: string | null): void {
    if (name === null) {
      this.listener.changed();
      return;
    }
    const renamed = event === 'rename';
    const entries = directory.entries.get(name);
    if (entries !== undefined) {
      for (let index = 0; index < entries.length; index++) this.listener.touched(entries[index]!, renamed);
    }
    if (!renamed) return;
    // The directory itself, moved or removed, is told under its own last name. Its watch is dead then, even if the path
    // leads to a new directory with the same inode number: it is set anew with the next `check`.
    if (directory.path.endsWith(`/${name}`)) {
      this.disarm(directory);
      this.listener.changed();
    }
    if (entries !== undefined) return;
    for (const component of directory.components) {
      if (!matchesComponent(name, component)) continue;
      this.listener.changed();
      return;
    }
  }
}
