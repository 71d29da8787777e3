/**
 * Names of kernel objects from a jail's name. A jail name is the operator's text: what it may hold
 * is narrowed here again, so that no object of one jail can be taken for another's, or for a base
 * chain.
 */
import { kernelNameMax } from '../limits.ts';

const hashLength = 8;

/**
 * `prefix` and the jail's name, at most `lengthMax` characters; a name that is too long or has
 * other characters than letters, digits, `_`, `.` and `-` is shortened and made unique by a hash of
 * the whole.
 */
export function kernelName(prefix: string, jail: string, lengthMax = kernelNameMax): string {
  const plainMax = lengthMax - prefix.length;
  if (jail.length <= plainMax && /^[A-Za-z0-9_.-]+$/.test(jail)) return prefix + jail;
  // Loaded only here: that takes 8 ms, which no usual start needs.
  const { createHash } = process.getBuiltinModule('node:crypto');
  const hash = createHash('sha256').update(jail).digest('hex').slice(0, hashLength);
  return `${prefix}${jail.replace(/[^A-Za-z0-9_.-]/g, '_').slice(0, plainMax - hashLength - 1)}.${hash}`;
}
