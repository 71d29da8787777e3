/**
 * Errors of kernel interfaces. Each has the errno, its symbol and what was attempted; netlink's
 * extended ACK adds the kernel's own words. Interfaces with errors of their own name them here
 * (`nameErrors`).
 */
import { constants } from 'node:os';

/** Numbers the C library knows and Node's table lacks (asm-generic/errno.h, linux/errno.h). */
const otherNames = new Map([
  [85, 'ERESTART'],
  [512, 'ERESTARTSYS'],
  [524, 'ENOTSUPP'],
]);
const errorNames = new Map(Object.entries(constants.errno).map(([name, errno]) => [errno as number, name]));
// Two names share one number on Linux; these are the ones that the netfilter sources use.
errorNames.set(constants.errno.EOPNOTSUPP, 'EOPNOTSUPP');
errorNames.set(constants.errno.EAGAIN, 'EAGAIN');

/** Names further errors: symbols of the errnos from `first` on. */
export function nameErrors(first: number, names: readonly string[]): void {
  for (const [index, name] of names.entries()) otherNames.set(first + index, name);
}

/** The symbol of an errno, e.g. 1 → 'EPERM'. */
export function errorName(errno: number): string {
  return errorNames.get(errno) ?? otherNames.get(errno) ?? `errno ${errno}`;
}

/** Whether the kernel refused with one of these errnos. */
export function isErrno(error: unknown, ...errnos: number[]): error is KernelError {
  return error instanceof KernelError && errnos.includes(error.errno);
}

/** What the kernel refused, or what we could not learn from it. */
export class KernelError extends Error {
  override readonly name: string = 'KernelError';
  /**
   * Positive errno; ETIMEDOUT = no answer, EBADMSG = an answer we cannot believe, ENOBUFS = an
   * answer was lost.
   */
  readonly errno: number;
  /** Its symbol, e.g. 'EPERM'. */
  readonly code: string;
  /** What was attempted, for people. */
  readonly operation: string;

  /** @param words our own, or the kernel's (extended ACK) */
  constructor(errno: number, operation: string, words = '') {
    const code = errorName(errno);
    super(`${operation}: ${code}${words ? ` (${words})` : ''}`);
    this.errno = errno;
    this.code = code;
    this.operation = operation;
  }
}
