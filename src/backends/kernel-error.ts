/**
 * Errors of kernel interfaces. Each has the errno, its symbol and the failed operation; with
 * netlink's extended ACK also the kernel's own words. Interfaces with error codes of their own
 * register their names here (`nameErrors`).
 */
import { constants } from 'node:os';

/**
 * Error numbers that the C library has and Node's table lacks (asm-generic/errno.h, linux/errno.h).
 */
const otherNames = new Map([
  [85, 'ERESTART'],
  [512, 'ERESTARTSYS'],
  [524, 'ENOTSUPP'],
]);
const errorNames = new Map(Object.entries(constants.errno).map(([name, errno]) => [errno as number, name]));
// Linux has two names for this number; the netfilter sources use this one.
errorNames.set(constants.errno.EOPNOTSUPP, 'EOPNOTSUPP');
errorNames.set(constants.errno.EAGAIN, 'EAGAIN');

/** Adds names of further errors: symbols of the errnos from `first` on. */
export function nameErrors(first: number, names: readonly string[]): void {
  for (const [index, name] of names.entries()) otherNames.set(first + index, name);
}

/** The symbol of an errno, e.g. 1 → 'EPERM'. */
export function errorName(errno: number): string {
  return errorNames.get(errno) ?? otherNames.get(errno) ?? `errno ${errno}`;
}

/** Whether it is a kernel error with one of these errnos. */
export function isErrno(error: unknown, ...errnos: number[]): error is KernelError {
  return error instanceof KernelError && errnos.includes(error.errno);
}

/** The kernel refused an operation, or its answer is unknown. */
export class KernelError extends Error {
  override readonly name: string = 'KernelError';
  /**
   * Positive errno; ETIMEDOUT = no answer, EBADMSG = an invalid answer, ENOBUFS = an answer was
   * lost.
   */
  readonly errno: number;
  /** Its symbol, e.g. 'EPERM'. */
  readonly code: string;
  /** The failed operation, for people. */
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
