/** What the addon's calls do, as the kernel shows it afterwards. */
import { createHash } from 'node:crypto';
import * as fs from 'node:fs';
import { createServer, type Server } from 'node:net';
import { constants } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { native } from '../../src/native.ts';
import { temporaryDirectory } from '../support/control.ts';

const { EAGAIN, EBADF, ECONNREFUSED, EINVAL, ENAMETOOLONG, ENOENT, ENXIO } = constants.errno;

let directory: ReturnType<typeof temporaryDirectory>;
let opened: number[];
let before: string[];

const descriptors = (): string[] => fs.readdirSync('/proc/self/fd').sort();
const place = (name: string): string => join(directory.path, name);
/** Closed at the end of the test. */
function kept(fd: number): number {
  expect(fd).toBeGreaterThanOrEqual(0);
  opened.push(fd);
  return fd;
}
function close(fd: number): void {
  opened.splice(opened.indexOf(fd), 1);
  fs.closeSync(fd);
}

/** O_NONBLOCK and O_CLOEXEC of a descriptor. */
function flagsOf(fd: number): { waits: boolean; survives: boolean } {
  const [, octal = ''] = /^flags:\s*([0-7]+)$/m.exec(fs.readFileSync(`/proc/self/fdinfo/${fd}`, 'latin1')) ?? [];
  const flags = Number.parseInt(octal, 8);
  return { waits: (flags & fs.constants.O_NONBLOCK) === 0, survives: (flags & 0o2000000) === 0 };
}

beforeEach(() => {
  directory = temporaryDirectory();
  opened = [];
  before = descriptors();
});
afterEach(() => {
  for (const fd of opened) fs.closeSync(fd);
  directory.remove();
  expect(descriptors().length, 'descriptors that stay open').toBeLessThanOrEqual(before.length);
});

describe('memory files', () => {
  test('survive an exec, and once sealed nobody changes them', () => {
    const fd = kept(native.memfd('x'));
    expect(flagsOf(fd).survives).toBe(true);
    expect(native.seals(fd)).toBe(0);
    fs.writeSync(fd, 'as it was');
    expect(native.seal(fd)).toBe(0);
    // F_SEAL_SEAL, _SHRINK, _GROW and _WRITE.
    expect(native.seals(fd)).toBe(15);
    expect(() => fs.writeSync(fd, 'x', 0)).toThrow('EPERM');
    expect(() => fs.ftruncateSync(fd, 1)).toThrow('EPERM');
    expect(() => fs.ftruncateSync(fd, 99)).toThrow('EPERM');
    expect(native.seal(fd)).toBeLessThan(0);
    expect(fs.readFileSync(`/proc/self/fd/${fd}`, 'latin1')).toBe('as it was');
    expect(native.seals(kept(fs.openSync(place('file'), 'w')))).toBe(-EINVAL);
  });
});

test('of a range each descriptor ends with an exec, those outside and kept ones do not', () => {
  const five = Array.from({ length: 5 }, () => kept(native.memfd('x'))).sort((one, other) => one - other);
  const [, first, middle, last] = five as [number, number, number, number, number];
  expect(five.map((fd) => flagsOf(fd).survives)).toEqual([true, true, true, true, true]);
  expect(native.closeOnExec(first, last)).toBe(0);
  expect(native.keepOnExec(middle)).toBe(0);
  expect(five.map((fd) => flagsOf(fd).survives)).toEqual([true, false, true, false, true]);
  expect(native.closeOnExec(last, first)).toBe(-EINVAL);
});

describe('sockets with a path', () => {
  /** Of 108 bytes with the NUL behind it. */
  const longest = (name: string): string => place(name.padEnd(107 - directory.path.length - 1, 'x'));
  let server: Server | undefined;
  afterEach(() => void server?.close());

  test('a bound one survives an exec and does not listen; its path has its bound', async () => {
    const path = longest('control');
    const fd = kept(native.unixBind(path));
    expect(flagsOf(fd)).toEqual({ waits: true, survives: true });
    expect(native.unixProbe(path)).toBe(-ECONNREFUSED);
    expect(native.unixBind(path)).toBeLessThan(0);
    expect(native.unixBind(`${path}x`)).toBe(-ENAMETOOLONG);
    expect(native.unixProbe(`${path}x`)).toBe(-ENAMETOOLONG);
    expect(native.unixProbe(place('none'))).toBe(-ENOENT);
    server = createServer();
    await new Promise<void>((resolve) => server!.listen(place('served'), resolve));
    expect(native.unixProbe(place('served'))).toBe(0);
  });

  test('datagrams go to a path or an abstract name, and wait for nobody', () => {
    const bound = (path: string) => native.datagramTo(path);
    expect(bound('')).toBe(-EINVAL);
    expect(bound(`${longest('journal')}x`)).toBe(-EINVAL);
    expect(bound(longest('journal'))).toBe(-ENOENT);
    expect(bound('@nobody-listens-there')).toBe(-ECONNREFUSED);
    const fd = kept(native.datagramOpen());
    expect(flagsOf(fd)).toEqual({ waits: false, survives: true });
    for (const [path, error] of [
      ['', EINVAL],
      [`${longest('syslog')}x`, EINVAL],
      [longest('syslog'), ENOENT],
      ['@nobody-listens-there', ECONNREFUSED],
    ] as const)
      expect(native.datagramSend(fd, path, Buffer.from('x')), path).toBe(-error);
  });
});

test('a hash is that of OpenSSL, in hexadecimal digits', () => {
  fc.assert(
    fc.property(
      fc.string({ maxLength: 300 }).filter((text) => !text.includes('\0')),
      (text) => {
        expect(native.sha256(text)).toBe(createHash('sha256').update(text).digest('hex'));
      },
    ),
  );
});

describe('files', () => {
  test('a read fills what ends at a position, and what follows', () => {
    const text = Buffer.from('0123456789');
    fs.writeFileSync(place('file'), text);
    const fd = kept(fs.openSync(place('file'), 'r'));
    fc.assert(
      fc.property(fc.nat(9), fc.nat(5), fc.nat(12), (at, back, on) => {
        const position = Math.max(at, back);
        const [first, rest] = [Buffer.alloc(back), Buffer.alloc(on)];
        const from = position - back;
        expect(native.readAround(fd, first, rest, position)).toBe(Math.min(back + on, text.length - from));
        const found = Buffer.concat([first, rest]).subarray(0, Math.min(back + on, text.length - from));
        expect(found.equals(text.subarray(from, from + back + on))).toBe(true);
      }),
    );
    expect(native.readAround(fd, Buffer.alloc(4), Buffer.alloc(4), 3)).toBe(-EINVAL);
  });

  test('data is found behind a hole, and none behind the last', () => {
    const fd = kept(fs.openSync(place('sparse'), 'w+'));
    const hole = 1 << 20;
    fs.writeSync(fd, 'x', hole);
    fs.ftruncateSync(fd, 4 * hole);
    expect(native.nextData(fd, 0)).toBe(hole);
    expect(native.nextData(fd, hole)).toBe(hole);
    expect(native.nextData(fd, 3 * hole)).toBe(-ENXIO);
  });

  test('a lock is held once, until its descriptor is closed', () => {
    const [one, other] = [kept(fs.openSync(place('lock'), 'w')), kept(fs.openSync(place('lock'), 'w'))];
    expect(native.tryLock(one)).toBe(0);
    expect(native.tryLock(one)).toBe(0);
    expect(native.tryLock(other)).toBe(-EAGAIN);
    close(one);
    expect(native.tryLock(other)).toBe(0);
  });

  test('a write that would wait is none, and nobody else sees another flag', () => {
    const fd = kept(fs.openSync(place('file'), 'w'));
    expect(native.writeNow(fd, Buffer.from('whole'))).toBe(5);
    expect(fs.readFileSync(place('file'), 'latin1')).toBe('whole');
    expect(native.writeNow(1_000_000, Buffer.from('x'))).toBe(-EBADF);
  });
});

test('large pages are asked for the whole pages of a buffer, and of nothing where there is none', () => {
  const buffer = new ArrayBuffer(32 << 20);
  expect(native.hugePages(new ArrayBuffer(64))).toBe(0);
  const advised = (): number =>
    fs
      .readFileSync('/proc/self/smaps', 'latin1')
      .split(/^(?=[0-9a-f]+-[0-9a-f]+ )/m)
      .filter((mapping) => /^VmFlags:.* hg( |$)/m.test(mapping))
      .reduce((sum, mapping) => sum + Number(/^Size:\s+(\d+) kB/m.exec(mapping)![1]) * 1024, 0);
  const former = advised();
  expect(native.hugePages(buffer)).toBe(0);
  const grown = advised() - former;
  expect(grown).toBeGreaterThan(buffer.byteLength - 2 * 4_096);
  expect(grown).toBeLessThanOrEqual(buffer.byteLength);
});

describe('netlink', () => {
  const route = 0;
  const option = (fd: number, level: number, name: number): number => {
    const value = Buffer.alloc(4);
    expect(native.socketOption(fd, level, name, value)).toBe(4);
    return value.readInt32LE();
  };
  const [socketLevel, sendBuffer, receiveBuffer, netlinkLevel, capAck, extAck] = [1, 7, 8, 270, 10, 11];

  test('a socket has the buffers that it asks for, short answers with the reason of an error', () => {
    // More than everybody may have, where we may.
    const bytes = process.getuid!() === 0 ? 300_000 : 50_000;
    const fd = kept(native.netlinkOpen(route, 0, bytes, 2 * bytes));
    expect(flagsOf(fd).survives).toBe(false);
    // The kernel doubles what it is given.
    expect(option(fd, socketLevel, sendBuffer)).toBe(2 * bytes);
    expect(option(fd, socketLevel, receiveBuffer)).toBe(4 * bytes);
    expect(option(fd, netlinkLevel, capAck)).toBe(1);
    expect(option(fd, netlinkLevel, extAck)).toBe(1);
    const plain = kept(native.netlinkOpen(route, 0, 0, 0));
    const usual = kept(native.netlinkOpen(route, 1, 0, 0));
    expect(option(plain, socketLevel, sendBuffer)).toBe(option(usual, socketLevel, sendBuffer));
    expect(native.netlinkReceive(fd, Buffer.alloc(8))).toBe(-EAGAIN);
  });

  test('a wait ends with its time, and a request has its answer, of which the whole length is told', async () => {
    const fd = kept(native.netlinkOpen(route, 0, 0, 0));
    expect(await native.netlinkWait(fd, 1)).toBe(0);
    // An unknown type: the kernel answers with an error.
    const request = Buffer.alloc(16);
    request.writeUInt32LE(16);
    request.writeUInt16LE(0xfff0, 4);
    request.writeUInt16LE(5, 6);
    expect(await native.netlinkSend(fd, request, 1_000)).toBe(16);
    expect(await native.netlinkWait(fd, 5_000)).toBe(1);
    const answer = Buffer.alloc(8);
    const length = native.netlinkReceive(fd, answer);
    expect(length).toBeGreaterThanOrEqual(36);
    expect(answer.readUInt32LE()).toBe(length);
    expect(await native.netlinkSend(fd, request, 0)).toBe(16);
    expect(await native.netlinkWait(fd, 5_000)).toBe(1);
    expect(await native.netlinkReceiveAside(fd, answer)).toBe(length);
    expect(await native.netlinkReceiveAside(fd, answer)).toBe(-EAGAIN);
  });
});

test('inotify tells of a file, waits for nobody, and of a removed watch no more', () => {
  const [create, ignored] = [0x100, 0x8000];
  const queue = kept(native.inotifyOpen());
  expect(flagsOf(queue)).toEqual({ waits: false, survives: false });
  const into = Buffer.alloc(4_096);
  const watch = native.inotifyAdd(queue, directory.path, create);
  expect(watch).toBeGreaterThan(0);
  expect(native.inotifyRead(queue, into)).toBe(-EAGAIN);
  fs.writeFileSync(place('new'), '');
  expect(native.inotifyRead(queue, into)).toBeGreaterThan(16);
  expect([into.readInt32LE(0), into.readUInt32LE(4) & create]).toEqual([watch, create]);
  expect(native.inotifyRemove(queue, watch)).toBe(0);
  native.inotifyRead(queue, into);
  expect(into.readUInt32LE(4) & ignored).toBe(ignored);
  fs.writeFileSync(place('another'), '');
  expect(native.inotifyRead(queue, into)).toBe(-EAGAIN);
  expect(native.inotifyAdd(queue, place('none'), create)).toBe(-ENOENT);
});
