/**
 * Reads passwords, keys and certificates from files. Refused: anything but a regular file, and a
 * file that others than its owner may read. One exception: a file of root with mode 0640 or less,
 * whose group is ours. Input: files of an operator.
 */
import { closeSync, constants, fstatSync, openSync, readFileSync, type Stats } from 'node:fs';
import { printable } from '../text/printable.ts';
import { pemBytesMax, secretBytesMax } from './limits.ts';

/** A file that [fleet] names is not usable. */
export class SecretError extends Error {
  constructor(path: string, reason: string) {
    super(`${printable(path, path.length)} ${reason}`);
    this.name = 'SecretError';
  }
}

const forOthers = 0o007;
const forGroup = 0o070;
const moreThanRead = 0o030;

/** Why a file with this owner and mode is not safe for a secret; undefined if it is. */
export function whyUnsafe({ uid, mode }: Pick<Stats, 'uid' | 'mode'>, ownUid: number): string | undefined {
  if (uid !== 0 && uid !== ownUid) return `belongs to user ${uid}, who may change it: chown it to root`;
  if ((mode & forOthers) !== 0) return 'is open to every user: chmod o= it';
  if ((mode & forGroup) === 0) return undefined;
  if (uid !== 0) return 'is open to its group: chmod g= it';
  return (mode & moreThanRead) === 0 ? undefined : 'is open to its group for more than reading: chmod 0640 it';
}

function readFile(path: string, bytesMax: number, isSecret: boolean): Buffer {
  let fd: number;
  try {
    fd = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK | constants.O_NOCTTY);
  } catch (error) {
    throw new SecretError(path, `cannot be opened: ${(error as NodeJS.ErrnoException).code}`);
  }
  try {
    const stats = fstatSync(fd);
    if (!stats.isFile()) throw new SecretError(path, 'is no regular file');
    const unsafe = isSecret ? whyUnsafe(stats, process.geteuid!()) : undefined;
    if (unsafe !== undefined) throw new SecretError(path, unsafe);
    if (stats.size > bytesMax) throw new SecretError(path, `is longer than ${bytesMax} bytes`);
    return readFileSync(fd);
  } finally {
    closeSync(fd);
  }
}

/** A password or key: the single line of its file. Throws SecretError. */
export function readSecret(path: string): string {
  const text = readFile(path, secretBytesMax, true)
    .toString('latin1')
    .replace(/\r?\n$/, '');
  if (text === '') throw new SecretError(path, 'is empty');
  if (!/^[\x21-\x7e]+$/.test(text)) throw new SecretError(path, 'holds more than one word of printable ASCII');
  return text;
}

/** A PEM file; `isSecret`: it has a private key. Throws SecretError. */
export function readPem(path: string, isSecret: boolean): Buffer {
  const bytes = readFile(path, pemBytesMax, isSecret);
  if (!bytes.includes('-----BEGIN ')) throw new SecretError(path, 'is no PEM file');
  return bytes;
}
