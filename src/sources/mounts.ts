/**
 * Which paths lie on a file system that depends on another machine or program. If that does not
 * answer, even stat(2) blocks for ever, and with it all reading of logs and every ban. So such
 * paths are not touched unless the operator allowed it.
 *
 * It only uses the table of mounts. A path is followed link by link, and refused before its mount
 * point is touched. If there is no such mount, nothing is followed.
 */
import { lstatSync, readFileSync, readlinkSync } from 'node:fs';
import { symbolicLinksMax } from '../limits.ts';
import { decodeName, encodeName } from '../text/names.ts';

/** Types of file systems that may hang, including all of FUSE (for example sshfs). */
const farTypes = new Set(
  '9p afs autofs beegfs ceph cifs coda fuse fuseblk gfs2 glusterfs lustre ncpfs nfs nfs4 ocfs2 smb3 smbfs virtiofs'.split(
    ' ',
  ),
);

/** Reading the path would need the network or another program. */
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

  /** Paths and patterns whose mounts may be touched; they must lie on the mount itself. */
  allow(paths: readonly string[]): void {
    this.#allowed = paths;
  }

  /** Reads the table of mounts; if that fails, the last one stays. */
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
      // With too many links, opening the path reports the error.
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

/** The target of a symbolic link; undefined for everything else. */
function linkAt(path: string): string | undefined {
  try {
    if (lstatSync(encodeName(path), { throwIfNoEntry: false })?.isSymbolicLink() !== true) return undefined;
    return decodeName(readlinkSync(encodeName(path), { encoding: 'buffer' }));
  } catch {
    return undefined;
  }
}

/**
 * Parses lines of /proc/self/mountinfo (proc(5)): five fields, the last of which is the mount
 * point, then others, a hyphen, and the type. A later mount covers an earlier one.
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
    // If the root itself is such a mount, this program depends on it anyway.
    if (mountPoint !== '/' && farTypes.has(type.split('.')[0]!)) far.set(mountPoint, type);
  }
  return far;
}
