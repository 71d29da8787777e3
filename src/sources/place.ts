/**
 * Opens what a log path leads to, and only logs: regular files of real file systems. Whoever may
 * write to a log directory chooses what is at the path.
 *
 * The path is first opened with O_PATH, which has no effect on the file. The same object is then
 * examined and opened for reading through /proc/self/fd, so nobody can replace it in between.
 */
import {
  type BigIntStats,
  closeSync,
  constants,
  type Dir,
  fstatSync,
  opendirSync,
  openSync,
  readFileSync,
  realpathSync,
  statfsSync,
  statSync,
} from 'node:fs';
import { decodeName, encodeName } from '../text/names.ts';
import { Mounts } from './mounts.ts';

/** Linux's O_PATH, for which Node has no constant. */
const O_PATH = 0x20_0000;

/**
 * File systems whose files are interfaces of the kernel: reading one may block, or remove what it
 * holds.
 */
const kernelFileSystems: ReadonlyMap<number, string> = new Map([
  [0x9fa0, 'proc'],
  [0x6265_6572, 'sysfs'],
  [0x6462_6720, 'debugfs'],
  [0x7472_6163, 'tracefs'],
  [0x6265_6570, 'configfs'],
  [0x7363_6673, 'securityfs'],
  [0x0027_e0eb, 'cgroup'],
  [0x6367_7270, 'cgroup2'],
  [0xcafe_4a11, 'bpf'],
  [0x6165_676c, 'pstore'],
  [0xde5e_81e4, 'efivarfs'],
  [0xf97c_ff8c, 'selinuxfs'],
  [0x1980_0202, 'mqueue'],
]);

/** Every access to a path checks these first. */
export const mounts = new Mounts();

/** A path that is not followed because of its type. */
export class NotALog extends Error {
  readonly code = 'ENOTREG';
  constructor(path: string, kind: string) {
    super(`${path} is a ${kind}; only regular files are followed`);
  }
}

/** The name of a file type, for files that are not regular. */
function kindOf(info: BigIntStats): string {
  if (info.isDirectory()) return 'directory';
  if (info.isFIFO()) return 'FIFO';
  if (info.isSocket()) return 'socket';
  return info.isBlockDevice() ? 'block device' : 'character device';
}

/** Identifies a file, whatever its names. */
export function idOf({ dev, ino }: BigIntStats): string {
  return `${dev}:${ino}`;
}

/** stat(2); undefined if nothing is there. Throws the system's error. */
export function look(path: string): BigIntStats | undefined {
  mounts.check(path);
  return statSync(encodeName(path), { bigint: true, throwIfNoEntry: false });
}

/** The path with symbolic links resolved. */
export function realPathOf(path: string): string {
  return decodeName(realpathSync.native(encodeName(path), { encoding: 'buffer' }));
}

/**
 * Opens a directory whose names are read as bytes, an encoding that Node's types lack. Throws the
 * system's error.
 */
export function openDirectory(path: string): Dir {
  mounts.check(path);
  return opendirSync(encodeName(path) as string, { encoding: 'buffer' as BufferEncoding });
}

/** The next name in it; null after the last. */
export function nextName(directory: Dir): string | null {
  const entry = directory.readSync();
  return entry === null ? null : decodeName(entry.name as unknown as Buffer);
}

/** How many descriptors this process may have: Node raises its limit to the hard one. */
export function descriptorsMax(): number {
  const head = 'Max open files';
  const line =
    readFileSync('/proc/self/limits', 'latin1')
      .split('\n')
      .find((text) => text.startsWith(head)) ?? head;
  const soft = Number.parseInt(line.slice(head.length), 10);
  return Number.isNaN(soft) ? Number.POSITIVE_INFINITY : soft;
}

/** A path to the file of a descriptor, whatever its name is now. */
export function linkTo(descriptor: number): string {
  return `/proc/self/fd/${descriptor}`;
}

/**
 * Passes on a descriptor that can only be used to examine the file, then closes it. Throws the
 * system's error.
 */
export function withPlace<Result>(path: string, use: (descriptor: number, info: BigIntStats) => Result): Result {
  mounts.check(path);
  const descriptor = openSync(encodeName(path), O_PATH);
  try {
    return use(descriptor, fstatSync(descriptor, { bigint: true }));
  } finally {
    closeSync(descriptor);
  }
}

/** Opens a log for reading. Throws NotALog or the system's error. */
export function openLog(path: string): { descriptor: number; id: string } {
  return withPlace(path, (place, info) => {
    if (!info.isFile()) throw new NotALog(path, kindOf(info));
    const kernelFileSystem = kernelFileSystems.get(statfsSync(linkTo(place)).type);
    if (kernelFileSystem !== undefined) throw new NotALog(path, `file of ${kernelFileSystem}`);
    return { descriptor: openQuietly(linkTo(place)), id: idOf(info) };
  });
}

/** Opens without updating the access time at each read, which only the owner and root may do. */
function openQuietly(path: string): number {
  const flags = constants.O_RDONLY | constants.O_NONBLOCK | constants.O_NOCTTY;
  try {
    return openSync(path, flags | (constants.O_NOATIME ?? 0));
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EPERM') throw error;
    return openSync(path, flags);
  }
}
