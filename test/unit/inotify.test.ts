/** The queue of file events on real files: several watches of one inode, names, what is gone. */
import {
  appendFileSync,
  type FSWatcher,
  mkdirSync,
  mkdtempSync,
  renameSync,
  rmSync,
  unlinkSync,
  watch,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { openDescriptors } from '../../scripts/lab/descriptors.ts';
import { inotifyReadBytes } from '../../src/limits.ts';
import { type Native, native } from '../../src/native.ts';
import * as inotify from '../../src/sources/inotify.ts';
import { PortableEvents } from '../../src/sources/portable-events.ts';
import { encodeName } from '../../src/text/names.ts';
import { until } from '../support/until.ts';

const { IN_ATTRIB, IN_CREATE, IN_DELETE_SELF, IN_IGNORED, IN_MODIFY, IN_MOVED_FROM, IN_MOVED_TO, IN_ONLYDIR } = inotify;

let home: string;
let events: inotify.Inotify;
let lost: number;

beforeEach(() => {
  home = mkdtempSync(join(tmpdir(), 'inotify-'));
  lost = 0;
  events = new inotify.Inotify({ woken: () => 0, overflowed: () => lost++ });
});
afterEach(() => {
  events.close();
  rmSync(home, { recursive: true, force: true });
});

/** Runs a task while the addon's functions are replaced by these. */
function withNative(functions: Partial<Native>, task: () => void): void {
  Object.assign(native, functions);
  try {
    task();
  } finally {
    for (const name of Object.keys(functions)) delete (native as Partial<Native>)[name as keyof Native];
  }
}

/** Everything that waits is passed on. */
function readAll(): void {
  while (events.read());
}

test('both halves of a rename share a cookie, and other events have none', () => {
  const heard: [mask: number, name: string, cookie: number][] = [];
  events.add(home, IN_CREATE | IN_MOVED_FROM | IN_MOVED_TO, (...event) => heard.push(event));
  expect(events.read()).toBe(false);
  writeFileSync(join(home, 'a'), '');
  renameSync(join(home, 'a'), join(home, 'a much longer name than before'));
  expect(events.read()).toBe(true);
  expect(events.read()).toBe(false);
  const cookie = heard[1]![2];
  expect(cookie).not.toBe(0);
  expect(heard).toEqual([
    [IN_CREATE, 'a', 0],
    [IN_MOVED_FROM, 'a', cookie],
    [IN_MOVED_TO, 'a much longer name than before', cookie],
  ]);
  expect([events.drained, lost]).toEqual([true, 0]);
});

test('the longest name, and one that is no UTF-8, come whole', () => {
  const names: string[] = [];
  events.add(home, IN_CREATE, (_, name) => names.push(name));
  const longest = 'x'.repeat(255);
  const bytes = Buffer.from([0x61, 0xff, 0x62]);
  writeFileSync(join(home, longest), '');
  writeFileSync(Buffer.concat([Buffer.from(`${home}/`), bytes]), '');
  readAll();
  expect(names[0]).toBe(longest);
  expect(Buffer.from(encodeName(names[1]!))).toEqual(bytes);
});

test('more events than one read takes are passed on by the next', () => {
  let count = 0;
  events.add(home, IN_CREATE, () => count++);
  const files = Math.ceil(inotifyReadBytes / (16 + 208)) + 20;
  for (let n = 0; n < files; n++) writeFileSync(join(home, `${n}`.padStart(200, '0')), '');
  expect(events.read()).toBe(true);
  expect(events.drained).toBe(false);
  expect(count).toBeLessThan(files);
  readAll();
  expect([count, events.drained]).toEqual([files, true]);
});

test('each watch of a file hears of it, until it is closed, in whatever order', () => {
  const log = join(home, 'log');
  for (const order of [
    [0, 1, 2],
    [2, 1, 0],
    [1, 0, 2],
    [1, 2, 0],
  ]) {
    writeFileSync(log, '');
    const heard = [0, 0, 0];
    const watches = heard.map((_, at) => events.add(log, IN_MODIFY, () => heard[at]!++));
    const open = new Set([0, 1, 2]);
    for (const closes of order) {
      appendFileSync(log, 'x');
      readAll();
      expect(heard, `of ${order}`).toEqual(heard.map((_, at) => Number(open.has(at))));
      heard.fill(0);
      watches[closes]!.close();
      open.delete(closes);
    }
    // The kernel's own word that it has forgotten the watch.
    readAll();
    appendFileSync(log, 'x');
    expect(events.read()).toBe(false);
    expect(heard).toEqual([0, 0, 0]);
  }
});

test('a watch of what is removed says so and is over; a new one of another file hears nothing of it', () => {
  const log = join(home, 'log');
  writeFileSync(log, '');
  const heard: number[] = [];
  const watch = events.add(log, IN_MODIFY | IN_DELETE_SELF, (mask) => heard.push(mask));
  unlinkSync(log);
  readAll();
  expect(heard).toEqual([IN_DELETE_SELF, IN_IGNORED]);
  watch.close();
  writeFileSync(log, '');
  events.add(log, IN_MODIFY, (mask) => heard.push(mask));
  appendFileSync(log, 'x');
  readAll();
  expect(heard.slice(2)).toEqual([IN_MODIFY]);
});

test('what cannot be watched is an error with its path', () => {
  const missing = join(home, 'missing');
  expect(() => events.add(missing, IN_MODIFY, () => {})).toThrow(
    expect.objectContaining({
      code: 'ENOENT',
      message: `ENOENT: no such file or directory, inotify_add_watch '${missing}'`,
    }),
  );
  writeFileSync(missing, '');
  expect(() => events.add(missing, IN_MODIFY | IN_ONLYDIR, () => {})).toThrow('ENOTDIR');
});

test('events that were lost are said, and the others are passed on', () => {
  const names: string[] = [];
  events.add(home, IN_CREATE, (_, name) => names.push(name));
  mkdirSync(join(home, 'a'));
  readAll();
  const inotifyRead = (_: number, bytes: Uint8Array): number => {
    const event = Buffer.alloc(32);
    event.writeInt32LE(-1, 0);
    event.writeInt32LE(0x4000, 4);
    // And one of a watch that nobody has any more.
    event.writeInt32LE(4_711, 16);
    event.writeInt32LE(IN_CREATE, 20);
    bytes.set(event);
    return event.length;
  };
  withNative({ inotifyRead }, () => expect(events.read()).toBe(true));
  expect([lost, names]).toEqual([1, ['a']]);
});

test('what is left to read is known by the room that was left, and names end where they end', () => {
  expect(events.drained).toBe(true);
  const names: [name: string, mask: number][] = [];
  events.add(home, IN_CREATE, (mask, name) => names.push([name, mask]));
  mkdirSync(join(home, 'a'));
  readAll();
  const { length } = names;
  const watch = Buffer.alloc(16);
  const event = (name: string): Buffer => {
    const bytes = Buffer.concat([watch, Buffer.from(name)]);
    bytes.writeInt32LE(1, 0);
    bytes.writeInt32LE(IN_CREATE, 4);
    bytes.writeInt32LE(name.length, 12);
    return bytes;
  };
  const reading = (bytes: Buffer, count = bytes.length) =>
    withNative(
      {
        inotifyRead: (_: number, into: Uint8Array): number => {
          into.fill(0x78);
          into.set(bytes);
          return count;
        },
      },
      () => events.read(),
    );
  // Names of sixteen bytes without the NUL behind them, one of them at the very end.
  reading(Buffer.concat([event('0123456789abcdef'), event('y\0\0\0\0\0\0\0'), event('fedcba9876543210')]));
  expect(names.slice(length)).toEqual([
    ['0123456789abcdef', IN_CREATE],
    ['y', IN_CREATE],
    ['fedcba9876543210', IN_CREATE],
  ]);
  const zeros = Buffer.alloc(inotifyReadBytes);
  for (const [count, drained] of [
    [inotifyReadBytes - 16 - 256, true],
    [inotifyReadBytes - 16 - 255, false],
  ] as const) {
    reading(zeros, count);
    expect(events.drained).toBe(drained);
  }
  withNative({ inotifyRead: () => 0 }, () => expect(events.read()).toBe(false));
});

test('a queue that is closed leaves no descriptor', () => {
  const before = openDescriptors().size;
  const other = new inotify.Inotify({ woken: () => 0, overflowed: () => {} });
  other.add(home, IN_CREATE, () => {});
  expect(openDescriptors().size).toBeGreaterThan(before);
  other.close();
  expect(openDescriptors().size).toBe(before);
});

test('a system without room for a queue is an error, and no descriptor is left', () => {
  const options = { woken: () => 0, overflowed: () => {} };
  withNative({ inotifyOpen: () => -24 }, () => {
    expect(() => new inotify.Inotify(options)).toThrow('EMFILE: too many open files, inotify_init1');
  });
  let descriptor = -1;
  const whenReadable = (fd: number): number => {
    descriptor = fd;
    return -28;
  };
  withNative({ whenReadable }, () => {
    expect(() => new inotify.Inotify(options)).toThrow('ENOSPC: no space left on device, epoll_ctl');
  });
  expect(native.inotifyRead(descriptor, Buffer.alloc(16))).toBe(-9);
});

describe('without inotify', () => {
  /** Watches a path with `fs.watch`, and keeps what it says. */
  function portable(path: string) {
    const heard: [mask: number, name: string, cookie: number][] = [];
    let wakes = 0;
    const portable = new PortableEvents({ woken: () => ++wakes, overflowed: () => {} });
    const watch = portable.add(path, IN_MODIFY, (...event) => heard.push(event));
    /** How often the source was woken, when this many things were heard. */
    const wakesAfter = async (count: number): Promise<number> => {
      await until(() => heard.length >= count, { what: `${count} events` });
      return wakes;
    };
    return { portable, watch, heard, wakesAfter };
  }

  test('a name that comes and a write are told as inotify tells them, and the source is woken each time', async () => {
    const { portable: events, heard, wakesAfter } = portable(home);
    expect([events.read(), events.drained]).toEqual([false, true]);
    writeFileSync(join(home, 'log'), '');
    expect(await wakesAfter(1)).toBe(1);
    expect(heard).toEqual([[IN_CREATE, 'log', 0]]);
    appendFileSync(join(home, 'log'), 'x');
    const wakes = await wakesAfter(2);
    expect(heard.slice(1)).toEqual(heard.slice(1).map(() => [IN_ATTRIB, 'log', 0]));
    expect(wakes).toBe(heard.length);
    events.close();
  });

  test('a file that is written says no more than that', async () => {
    const path = join(home, 'log');
    writeFileSync(path, '');
    const { portable: events, heard, wakesAfter } = portable(path);
    appendFileSync(path, 'x');
    await wakesAfter(1);
    expect(heard).toEqual(heard.map(() => [IN_ATTRIB, 'log', 0]));
    events.close();
  });

  test('a directory that goes away says that it is gone', async () => {
    const path = join(home, 'app');
    mkdirSync(path);
    const { portable: events, heard, wakesAfter } = portable(path);
    rmSync(path, { recursive: true });
    await wakesAfter(2);
    expect(heard.slice(0, 2)).toEqual([
      [IN_CREATE, 'app', 0],
      [IN_DELETE_SELF, '', 0],
    ]);
    events.close();
  });

  test('a watch that fails is closed and says so, and after the end nothing is open', async () => {
    const one = watch(home);
    const kind = Object.getPrototypeOf(one) as FSWatcher;
    one.close();
    const made: FSWatcher[] = [];
    const { on } = kind;
    const closes = vi.spyOn(kind, 'close');
    const listens = vi.spyOn(kind, 'on').mockImplementation(function (this: FSWatcher, ...what: never[]) {
      made.push(this);
      return (on as (...what: never[]) => FSWatcher).apply(this, what);
    } as never);
    try {
      const { portable: events, heard, wakesAfter, watch: first } = portable(home);
      made[0]!.emit('error', new Error('EIO'));
      expect(heard).toEqual([[IN_IGNORED, '', 0]]);
      expect(await wakesAfter(1)).toBe(1);
      expect(closes).toHaveBeenCalledTimes(1);
      const second = events.add(home, IN_MODIFY, () => {});
      events.add(home, IN_MODIFY, () => {});
      second.close();
      expect(closes).toHaveBeenCalledTimes(2);
      // Of three, one is left.
      events.close();
      expect(closes).toHaveBeenCalledTimes(3);
      events.close();
      expect(closes).toHaveBeenCalledTimes(3);
      first.close();
    } finally {
      listens.mockRestore();
      closes.mockRestore();
    }
  });
});
