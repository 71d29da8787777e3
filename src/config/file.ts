/**
 * Reads the configuration file, or refuses it. Refused: anything but a regular file, a file or a
 * directory in its path that any user may write (T-01b, FM-3), more than `configBytesMax`, NUL
 * bytes, invalid UTF-8. A directory that any user may write but that is sticky (/tmp) is accepted:
 * nobody can replace another user's file there.
 */
import { isUtf8 } from 'node:buffer';
import { closeSync, constants, fstatSync, openSync, readSync, type Stats } from 'node:fs';
import { componentsOf } from '../components.ts';
import { printable } from '../text/printable.ts';
import { configBytesMax } from './limits.ts';
import { ConfigError, type Problem } from './problem.ts';
import { formatSize } from './size.ts';

export const writableByAnyone = 0o002;
const writableByGroup = 0o020;
const sticky = 0o1000;

export interface ConfigText {
  text: string;
  /** What is not serious enough to refuse the file, one sentence each. */
  warnings: string[];
}

/** The text of the file at `path`; throws ConfigError. */
export function readConfigFile(path: string): ConfigText {
  const shown = printable(path);
  const fail = (reason: string, hint?: string): never => {
    throw new ConfigError(shown, [{ kind: 'file', line: 0, column: 0, key: '', reason, hint }]);
  };
  let descriptor: number;
  try {
    // O_NONBLOCK: opening a FIFO must not wait for its writer.
    descriptor = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK | constants.O_NOCTTY);
  } catch (error) {
    const isMissing = (error as NodeJS.ErrnoException).code === 'ENOENT';
    return fail(
      `cannot be opened: ${reasonOf(error)}`,
      isMissing ? 'write one, or name it with --config FILE' : undefined,
    );
  }
  try {
    const stats = fstatSync(descriptor);
    if (!stats.isFile()) fail('is not a regular file');
    if (stats.mode & writableByAnyone) {
      fail('may be written by any user, who could then switch the protection off', `chmod o-w ${shown}`);
    }
    const open = openDirectory(path);
    if (open) {
      const directory = printable(open);
      fail(`is below ${directory}, where any user may write and so replace the file`, `chmod o-w ${directory}`);
    }
    const bytes = readAll(descriptor);
    if (bytes.length > configBytesMax) fail(`is larger than ${formatSize(configBytesMax)}`);
    return { text: decodeConfig(bytes, shown), warnings: ownerWarnings(stats, shown) };
  } catch (error) {
    if (error instanceof ConfigError) throw error;
    return fail(`cannot be read: ${reasonOf(error)}`);
  } finally {
    closeSync(descriptor);
  }
}

/** The text of `bytes` without a byte order mark; throws ConfigError at the first invalid byte. */
export function decodeConfig(bytes: Uint8Array, path: string): string {
  const problem = firstBadByte(bytes);
  if (problem) throw new ConfigError(path, [problem]);
  return new TextDecoder('utf-8').decode(bytes);
}

function firstBadByte(bytes: Uint8Array): Problem | undefined {
  const whole = isUtf8(bytes);
  if (whole && !bytes.includes(0)) return undefined;
  let line = 1;
  let column = 1;
  for (let at = 0; at < bytes.length; ) {
    const length = whole ? characterLength(bytes[at]) : validLength(bytes, at);
    if (length === 0 || bytes[at] === 0) {
      const reason = length === 0 ? 'is not valid UTF-8 here' : 'holds a NUL byte here';
      return { kind: 'syntax', line, column, key: '', reason };
    }
    if (bytes[at] === 0x0a) {
      line++;
      column = 1;
    } else {
      column++;
    }
    at += length;
  }
  return undefined;
}

/** Bytes of the valid character that starts at `at`; 0 if there is none. */
function validLength(bytes: Uint8Array, at: number): number {
  const length = characterLength(bytes[at]);
  return isUtf8(bytes.subarray(at, at + length)) ? length : 0;
}

function characterLength(first: number): number {
  if (first < 0xc0) return 1;
  if (first < 0xe0) return 2;
  return first < 0xf0 ? 3 : 4;
}

/** Reads up to one byte more than allowed, to notice a file that has grown. */
function readAll(descriptor: number): Uint8Array {
  const buffer = new Uint8Array(configBytesMax + 1);
  let length = 0;
  while (length < buffer.length) {
    const count = readSync(descriptor, buffer, length, buffer.length - length, null);
    if (count === 0) break;
    length += count;
  }
  return buffer.subarray(0, length);
}

/** The first directory in the file's path that any user may write and that is not sticky. */
function openDirectory(path: string): string | undefined {
  return componentsOf(path).find(
    ({ stats }) => stats.isDirectory() && stats.mode & writableByAnyone && !(stats.mode & sticky),
  )?.path;
}

/** Who else than root decides what the file contains, one sentence each. */
export function ownerWarnings(stats: Stats, shown: string): string[] {
  const warnings: string[] = [];
  if (stats.uid !== 0 && stats.uid !== process.geteuid?.()) {
    warnings.push(`${shown} belongs to user ${stats.uid}, who decides what a daemon run by root does`);
  }
  if (stats.mode & writableByGroup && stats.gid !== 0) {
    warnings.push(`${shown} may be written by group ${stats.gid}, whose members decide what a daemon run by root does`);
  }
  return warnings;
}

const reasons: Record<string, string> = {
  ENOENT: 'no such file',
  EACCES: 'permission denied',
  EISDIR: 'is a directory',
  ENOTDIR: 'a part of the path is not a directory',
  ELOOP: 'too many symbolic links',
};

/** Why a file cannot be used, in words. */
export function reasonOf(error: unknown): string {
  const code = (error as NodeJS.ErrnoException).code ?? '';
  return reasons[code] ?? (code === '' ? printable(String(error)) : code);
}
