/**
 * Which paths lie on a file system that another machine or program answers for. When that is
 * silent, even stat(2) waits without end, and with it all reading of logs and every ban: such paths
 * are not touched unless the operator said so.
 *
 * Told by the table of mounts alone. A path is walked link by link, and given up before the mount
 * point is touched. Where there is no such mount, nothing is walked.
 */
import { lstatSync, readFileSync, readlinkSync } from 'node:fs';
import { symbolicLinksMax } from '../limits.ts';
import { decodeName, encodeName } from '../text/names.ts';

/** Types of file systems that may hang; all of FUSE, of which sshfs is one. */
const farTypes = new Set(
  '9p afs autofs beegfs ceph cifs coda fuse fuseblk gfs2 glusterfs lustre ncpfs nfs nfs4 ocfs2 smb3 smbfs virtiofs'.split(
    ' ',
  ),
);

/** A path that would have to be asked for over a network, or from a program. */
export class FarFile extends Error {
  readonly code = 'EREMOTE';
  constructor(path: string, mountPoint: string, type: string) {
    super(`${path} lies on ${mountPoint}, which is ${type} and may hang: not read without network = true in the jail`);
  }
}

export class Mounts {
  /** Type by mount point. */
  #far = new Map<string, string>();
  #allowed: readonly string[] = [];
  #text = '';

  /** Paths and patterns whose mounts may be touched; they must name the mount point itself. */
  allow(paths: readonly string[]): void {
    this.#allowed = paths;
  }

  /** Reads the table of mounts; what cannot be read changes nothing. */
  refresh(read = () => decodeName(readFileSync('/proc/self/mountinfo'))): void {
    let text: string;
    try {
      text = read();
    } catch {
      return;
    }
    if (text === this.#text) return;
    this.#text = text;
    this.#far = farMounts(text);
  }

  /** Throws FarFile for a path that leads through such a mount. */
  check(path: string): void {
    if (this.#far.size === 0) return;
    const left = path.split('/').reverse();
    let links = 0;
    for (let at = ''; left.length > 0; ) {
      const name = left.pop()!;
      if (name === '' || name === '.') continue;
      const next = name === '..' ? parent(at) : `${at}/${name}`;
      const type = this.#far.get(next);
      if (type !== undefined && !this.#isAllowed(next)) throw new FarFile(path, next, type);
      const target = type === undefined ? linkAt(next) : undefined;
      if (target === undefined) {
        at = next;
        continue;
      }
      // What stands behind too many links is told by whoever opens it.
      if (++links > symbolicLinksMax) return;
      left.push(...target.split('/').reverse());
      if (target.startsWith('/')) at = '';
    }
  }

  #isAllowed(mountPoint: string): boolean {
    return this.#allowed.some((path) => path.startsWith(`${mountPoint}/`));
  }
}

function parent(path: string): string {
  return path === '' ? '' : path.slice(0, path.lastIndexOf('/'));
}

/** Where a symbolic link leads; undefined for everything else. */
function linkAt(path: string): string | undefined {
  try {
    if (lstatSync(encodeName(path), { throwIfNoEntry: false })?.isSymbolicLink() !== true) return undefined;
    return decodeName(readlinkSync(encodeName(path), { encoding: 'buffer' }));
  } catch {
    return undefined;
  }
}

/**
 * Lines of /proc/self/mountinfo (proc(5)): five fields, of which the last is the mount point, more
 * of them, a hyphen, and the type. The later mount covers the earlier one.
 */
function farMounts(text: string): Map<string, string> {
  const far = new Map<string, string>();
  for (const line of text.split('\n')) {
    const [front = '', back = ''] = line.split(' - ');
    const [, , , , escaped = ''] = front.split(' ');
    const [start = '', ...rest] = escaped.split('\\');
    const decode = (part: string): string => String.fromCharCode(Number.parseInt(part.slice(0, 3), 8)) + part.slice(3);
    const mountPoint = start + rest.map(decode).join('');
    const [type = ''] = back.split(' ');
    far.delete(mountPoint);
    // Where the root itself is one, this program lives on it.
    if (mountPoint !== '/' && farTypes.has(type.split('.')[0]!)) far.set(mountPoint, type);
  }
  return far;
}
