/**
 * One inotify(7) queue for everything that is watched. Parses the kernel's events and passes each
 * to its watch; the listener interprets it.
 *
 * Names in events come from whoever may create files there. The kernel merges events of one inode
 * while nobody reads, so a file that is written all the time costs one event per read. When the
 * queue overflows, events are lost: `overflowed` is called, and the caller checks everything.
 */
import { closeSync } from 'node:fs';
import { getSystemErrorMessage, getSystemErrorName } from 'node:util';
import { inotifyReadBytes } from '../limits.ts';
import { native } from '../native.ts';
import { decodeName } from '../text/names.ts';

/** What to watch for, and what happened: the bits of <linux/inotify.h>. */
export const IN_MODIFY = 0x2;
export const IN_ATTRIB = 0x4;
export const IN_MOVED_FROM = 0x40;
export const IN_MOVED_TO = 0x80;
export const IN_CREATE = 0x100;
export const IN_DELETE = 0x200;
export const IN_DELETE_SELF = 0x400;
export const IN_MOVE_SELF = 0x800;
export const IN_ONLYDIR = 0x100_0000;
/** The watch is gone: its inode was deleted or its file system unmounted. */
export const IN_IGNORED = 0x8000;
const IN_Q_OVERFLOW = 0x4000;

/**
 * struct inotify_event: watch, mask, cookie and the name's length, then the name, padded with NUL.
 */
const headBytes = 16;
/** The longest event: a name of NAME_MAX bytes and its NUL. */
const eventBytesMax = headBytes + 256;
const nul = 0;

/** A failed call as an error, with code and text as in Node's own errors. */
export function systemError(result: number, call: string): NodeJS.ErrnoException {
  const code = getSystemErrorName(result);
  return Object.assign(new Error(`${code}: ${getSystemErrorMessage(result)}, ${call}`), { code, errno: result });
}

/**
 * `name` is empty for events of the watched file or directory itself; `cookie` is the same for both
 * halves of a rename, otherwise 0.
 */
export type Heard = (mask: number, name: string, cookie: number) => void;

export interface Watch {
  close(): void;
}

/** A watch. The fields are few, since there may be thousands. */
class Listener implements Watch {
  readonly id: number;
  readonly heard: Heard;
  readonly #owner: Inotify;
  /** The next watch of the same inode. */
  next: Listener | undefined;

  constructor(owner: Inotify, id: number, heard: Heard, next: Listener | undefined) {
    this.#owner = owner;
    this.id = id;
    this.heard = heard;
    this.next = next;
  }

  close(): void {
    this.#owner.forget(this);
  }
}

export interface EventsOptions {
  /** Events wait: `read` takes them. Returns for how many milliseconds no wake-up is needed. */
  woken(): number;
  /** Events were lost. */
  overflowed(): void;
}

/** A source of file events. */
export interface Events {
  /** Throws the system's error. Two watches of one file must have the same mask. */
  add(path: string, mask: number, heard: Heard): Watch;
  /** Passes waiting events on; false: there were none. */
  read(): boolean;
  /** The last `read` took all waiting events. */
  readonly drained: boolean;
  close(): void;
}

export class Inotify implements Events {
  readonly #options: EventsOptions;
  readonly #descriptor: number;
  readonly #end: () => void;
  readonly #bytes = Buffer.alloc(inotifyReadBytes);
  readonly #ints = new Int32Array(this.#bytes.buffer, this.#bytes.byteOffset, inotifyReadBytes >> 2);
  drained = true;
  /** By watch descriptor; the newest watch of each inode. */
  readonly #listeners = new Map<number, Listener>();

  /**
   * Throws the system's error: EMFILE where the user's instances are used up
   * (fs.inotify.max_user_instances).
   */
  constructor(options: EventsOptions) {
    this.#options = options;
    this.#descriptor = native.inotifyOpen();
    if (this.#descriptor < 0) throw systemError(this.#descriptor, 'inotify_init1');
    const end = native.whenReadable(this.#descriptor, options.woken);
    if (typeof end === 'number') {
      closeSync(this.#descriptor);
      throw systemError(end, 'epoll_ctl');
    }
    this.#end = end;
  }

  /** ENOSPC: the user's watches are used up (fs.inotify.max_user_watches). */
  add(path: string, mask: number, heard: Heard): Watch {
    const id = native.inotifyAdd(this.#descriptor, path, mask);
    if (id < 0) throw systemError(id, `inotify_add_watch '${path}'`);
    const listener = new Listener(this, id, heard, this.#listeners.get(id));
    this.#listeners.set(id, listener);
    return listener;
  }

  /** Passes on as many waiting events as one read takes; false: there were none. */
  read(): boolean {
    const length = native.inotifyRead(this.#descriptor, this.#bytes);
    this.drained = length + eventBytesMax <= this.#bytes.length;
    let at = 0;
    while (at + headBytes <= length) {
      const field = at >> 2;
      const nameLength = this.#ints[field + 3]!;
      this.#hear(this.#ints[field]!, this.#ints[field + 1]!, this.#ints[field + 2]!, at + headBytes, nameLength);
      at += headBytes + nameLength;
    }
    return length > 0;
  }

  /** Removes a watch, and the kernel's watch with the last one of an inode. */
  forget(listener: Listener): void {
    const { id, next } = listener;
    const first = this.#listeners.get(id);
    if (first === listener && next === undefined) {
      this.#listeners.delete(id);
      native.inotifyRemove(this.#descriptor, id);
    } else if (first === listener) {
      this.#listeners.set(id, next!);
    } else {
      for (let other = first; other !== undefined; other = other.next) if (other.next === listener) other.next = next;
    }
  }

  close(): void {
    this.#end();
    closeSync(this.#descriptor);
    this.#listeners.clear();
  }

  #hear(id: number, mask: number, cookie: number, nameAt: number, nameLength: number): void {
    if ((mask & IN_Q_OVERFLOW) !== 0) this.#options.overflowed();
    let listener = this.#listeners.get(id);
    if (listener === undefined) return;
    if ((mask & IN_IGNORED) !== 0) this.#listeners.delete(id);
    const name = nameLength === 0 ? '' : this.#name(nameAt, nameLength);
    for (; listener !== undefined; listener = listener.next) listener.heard(mask, name, cookie);
  }

  #name(at: number, length: number): string {
    const end = this.#bytes.indexOf(nul, at);
    return decodeName(this.#bytes.subarray(at, end < 0 || end > at + length ? at + length : end));
  }
}
