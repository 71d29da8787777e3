/**
 * Names of kernel objects from a jail's name. The operator chooses a jail's name. Its characters
 * are restricted here again, so that no object of one jail can be confused with another jail's, or
 * with a base chain.
 */
import { kernelNameMax } from '../limits.ts';

const hashLength = 8;

/**
 * `prefix` and the jail's name, at most `lengthMax` characters. If the name is too long, or has
 * characters other than letters, digits, `_`, `.` and `-`, it is shortened and made unique by a
 * hash of the whole name.
 */
export function kernelName(prefix: string, jail: string, lengthMax = kernelNameMax): string {
  const plainMax = lengthMax - prefix.length;
  if (jail.length <= plainMax && /^[A-Za-z0-9_.-]+$/.test(jail)) return prefix + jail;
  // Loaded only here: it takes 8 ms, and most starts do not need it.
  const { createHash } = process.getBuiltinModule('node:crypto');
  const hash = createHash('sha256').update(jail).digest('hex').slice(0, hashLength);
  return `${prefix}${jail.replace(/[^A-Za-z0-9_.-]/g, '_').slice(0, plainMax - hashLength - 1)}.${hash}`;
}
