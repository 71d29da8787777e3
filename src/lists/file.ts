/**
 * Opens the file of a list, or says why it is refused. Whoever may write it decides who is banned,
 * so only its owner may, and no directory in its path may be writable by every user unless it is
 * sticky. Claims: X-lists.
 */
import { closeSync, constants, fstatSync, openSync, type Stats } from 'node:fs';
import { componentsOf } from '../components.ts';

const writableByOthers = 0o022;
const writableByAnyone = 0o002;
const sticky = 0o1000;
/** Our user id; the running core may not ask for it. */
const own = process.geteuid?.() ?? 0;

/** A refused file; `hint` says what would help. */
export class ListError extends Error {
  readonly hint: string | undefined;

  constructor(reason: string, hint?: string) {
    super(reason);
    this.name = 'ListError';
    this.hint = hint;
  }
}

/** Tells whether a file has changed. */
export type Stamp = string;

export const stampOf = ({ dev, ino, size, mtimeMs, ctimeMs, mode, uid }: Stats): Stamp =>
  [dev, ino, size, mtimeMs, ctimeMs, mode, uid].join(' ');

export interface OpenList {
  file: number;
  stamp: Stamp;
}

/** Opens it for reading; throws ListError. */
export function openList(path: string): OpenList {
  let file: number;
  try {
    // O_NONBLOCK: opening a FIFO must not wait for its writer.
    file = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK | constants.O_NOCTTY);
  } catch (error) {
    const { code = String(error) } = error as NodeJS.ErrnoException;
    throw new ListError(
      `cannot be opened: ${reasons[code] ?? code}`,
      code === 'ENOENT' ? 'write it, an empty one at least' : undefined,
    );
  }
  try {
    const stats = fstatSync(file);
    refuseOpen(path, stats);
    return { file, stamp: stampOf(stats) };
  } catch (error) {
    closeSync(file);
    if (error instanceof ListError) throw error;
    throw new ListError(`cannot be read: ${(error as NodeJS.ErrnoException).code ?? String(error)}`);
  }
}

const reasons: Readonly<Record<string, string>> = {
  ENOENT: 'no such file',
  EACCES: 'permission denied',
  ELOOP: 'too many symbolic links',
  ENOTDIR: 'a part of the path is not a directory',
};

/** Refuses a file that others may write. */
function refuseOpen(path: string, stats: Stats): void {
  if (!stats.isFile()) throw new ListError('is not a regular file');
  if (stats.uid !== 0 && stats.uid !== own)
    throw new ListError(`belongs to user ${stats.uid}, who could then ban whom he likes`, `chown root ${path}`);
  if ((stats.mode & writableByOthers) !== 0)
    throw new ListError('may be written by others, who could then ban whom they like', `chmod go-w ${path}`);
  const open = componentsOf(path).find(
    (each) => each.stats.isDirectory() && each.stats.mode & writableByAnyone && !(each.stats.mode & sticky),
  );
  if (open) {
    throw new ListError(
      `is below ${open.path}, where any user may write and so replace the file`,
      `chmod o-w ${open.path}`,
    );
  }
}
