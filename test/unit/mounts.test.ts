/** Paths that lead to another machine or program are refused before anything on them is touched. */
import { mkdirSync, symlinkSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { symbolicLinksMax } from '../../src/limits.ts';
import { FarFile, Mounts } from '../../src/sources/mounts.ts';
import { decodeName } from '../../src/text/names.ts';
import { temporaryDirectory } from '../support/control.ts';

const home = { path: '', remove: (): void => {} };
beforeEach(() => Object.assign(home, temporaryDirectory()));
afterEach(() => home.remove());

/** A line of /proc/self/mountinfo. */
const line = (mountPoint: string, type: string): string =>
  `36 35 98:0 / ${mountPoint} rw,noatime shared:1 master:2 - ${type} server:/export rw\n`;

function mountsOf(...rows: [mountPoint: string, type: string][]): Mounts {
  const mounts = new Mounts();
  mounts.refresh(() => rows.map((row) => line(...row)).join(''));
  return mounts;
}

/** The mount for which a path is refused, or nothing. */
function refusal(mounts: Mounts, path: string): string | undefined {
  try {
    mounts.check(path);
    return undefined;
  } catch (error) {
    expect(error).toBeInstanceOf(FarFile);
    expect(error).toMatchObject({ code: 'EREMOTE' });
    return (error as Error).message;
  }
}
const says = (path: string, mountPoint: string, type: string): string =>
  `${path} lies on ${mountPoint}, which is ${type} and may hang: not read without network = true in the jail`;

describe('a path on a file system that may hang', () => {
  test.each(
    '9p afs autofs beegfs ceph cifs coda fuse fuseblk gfs2 glusterfs lustre ncpfs nfs nfs4 ocfs2 smb3 smbfs virtiofs fuse.sshfs'.split(
      ' ',
    ),
  )('%s is refused', (type) => {
    const mounts = mountsOf(['/', 'ext4'], ['/srv/far', type]);
    expect(refusal(mounts, '/srv/far/a.log')).toBe(says('/srv/far/a.log', '/srv/far', type));
  });

  test.each(['ext4', 'xfs', 'tmpfs', 'overlay', 'proc', 'fusectl'])('%s is none', (type) => {
    expect(refusal(mountsOf(['/srv/near', type]), '/srv/near/a.log')).toBe(undefined);
  });

  test('what only begins like the mount, or lies above it, is not on it', () => {
    const mounts = mountsOf(['/srv/far', 'nfs']);
    for (const path of ['/srv/far-away/a', '/srv', '/srv/a', '/far', '/x/srv/far/a'])
      expect(refusal(mounts, path), path).toBe(undefined);
    for (const path of ['/srv/far', '//srv/./far/a', '/srv/x/../far/a', '/../srv/far', '/srv/x/y/../../far/a'])
      expect(refusal(mounts, path), path).toContain('/srv/far, which is nfs');
  });

  test('the last mount at a place counts; the root is not asked about', () => {
    expect(refusal(mountsOf(['/a', 'nfs'], ['/a', 'ext4']), '/a/x')).toBe(undefined);
    expect(refusal(mountsOf(['/a', 'ext4'], ['/a', 'nfs4']), '/a/x')).toBe(says('/a/x', '/a', 'nfs4'));
    expect(refusal(mountsOf(['/', 'nfs']), '/a/x')).toBe(undefined);
    expect(refusal(mountsOf(['/', 'nfs'], ['/a', 'cifs']), '/a/x')).toContain('cifs');
  });

  test('a mount point with blanks and backslashes is read as the kernel writes it', () => {
    const mounts = mountsOf(['/a\\040b\\134c\\011d', 'nfs']);
    expect(refusal(mounts, '/a b\\c\td/x')).toContain('which is nfs');
    expect(refusal(mounts, '/a\\040b/x')).toBe(undefined);
    expect(refusal(mountsOf(['/a\\0401', 'nfs']), '/a 1/x')).toContain('which is nfs');
  });
});

describe('links', () => {
  test('are followed without touching what they lead to', () => {
    mkdirSync(join(home.path, 'logs'));
    const far = join(home.path, 'far');
    symlinkSync(far, join(home.path, 'logs', 'absolute'));
    symlinkSync('../far', join(home.path, 'logs', 'relative'));
    symlinkSync('relative', join(home.path, 'logs', 'twice'));
    symlinkSync('/', join(home.path, 'logs', 'root'));
    const mounts = mountsOf([far, 'nfs']);
    for (const name of ['absolute', 'relative', 'twice', `root${far}`]) {
      const path = join(home.path, 'logs', name, 'a.log');
      expect(refusal(mounts, path), name).toBe(says(path, far, 'nfs'));
    }
    expect(refusal(mounts, join(home.path, 'logs', 'a.log'))).toBe(undefined);
    expect(refusal(mounts, join(home.path, 'logs', 'root', 'etc'))).toBe(undefined);
  });

  test('lead to names that are no UTF-8 too', () => {
    const name = Buffer.from('caf\xe9', 'latin1');
    symlinkSync(name, join(home.path, 'link'));
    const far = decodeName(Buffer.concat([Buffer.from(`${home.path}/`), name]));
    const mounts = new Mounts();
    mounts.refresh(() => line(far, 'nfs'));
    expect(refusal(mounts, join(home.path, 'link', 'a.log'))).toBe(says(join(home.path, 'link', 'a.log'), far, 'nfs'));
  });

  test('in a circle end, as many as open(2) follows are followed', () => {
    const far = join(home.path, 'far');
    const mounts = mountsOf([far, 'nfs']);
    symlinkSync('circle', join(home.path, 'circle'));
    expect(refusal(mounts, join(home.path, 'circle'))).toBe(undefined);
    symlinkSync('far', join(home.path, 'link0'));
    for (let number = 1; number <= symbolicLinksMax; number++)
      symlinkSync(`link${number - 1}`, join(home.path, `link${number}`));
    expect(refusal(mounts, join(home.path, `link${symbolicLinksMax - 1}`))).toContain('which is nfs');
    expect(refusal(mounts, join(home.path, `link${symbolicLinksMax}`))).toBe(undefined);
  });
});

describe('what the operator allows', () => {
  test('is the mount on which one of his paths lies, and no other', () => {
    const mounts = mountsOf(['/srv/far', 'nfs'], ['/srv/far/deeper', 'cifs'], ['/other', 'nfs']);
    mounts.allow(['/srv/far/*.log']);
    expect(refusal(mounts, '/srv/far/a.log')).toBe(undefined);
    expect(refusal(mounts, '/srv/far/deeper/a.log')).toContain('/srv/far/deeper, which is cifs');
    expect(refusal(mounts, '/other/a.log')).toContain('/other, which is nfs');
    mounts.allow(['/srv/far', '/srv/farther/x']);
    expect(refusal(mounts, '/srv/far/a.log')).toContain('/srv/far, which is nfs');
  });

  test('does not lead out of the mount: a link on it is not followed', () => {
    symlinkSync('/other', join(home.path, 'out'));
    const mounts = mountsOf([home.path, 'nfs'], ['/other', 'nfs']);
    mounts.allow([join(home.path, 'x')]);
    expect(refusal(mounts, join(home.path, 'out', 'a'))).toContain('/other, which is nfs');
    expect(refusal(mounts, join(home.path, 'a'))).toBe(undefined);
  });

  test('is not looked at either: what stands at the mount point is no link', () => {
    const point = join(home.path, 'point');
    symlinkSync('/other', point);
    const mounts = mountsOf([point, 'nfs'], ['/other', 'nfs']);
    mounts.allow([join(point, 'x')]);
    expect(refusal(mounts, join(point, 'a'))).toBe(undefined);
  });
});

test('a table of mounts that cannot be read leaves what was known, and an empty one clears it', () => {
  const mounts = mountsOf(['/srv/far', 'nfs']);
  mounts.refresh(() => {
    throw new Error('EMFILE');
  });
  expect(refusal(mounts, '/srv/far/a')).toContain('nfs');
  mounts.refresh(() => line('/srv/far', 'ext4'));
  expect(refusal(mounts, '/srv/far/a')).toBe(undefined);
  mounts.refresh(() => `${line('/srv/far', 'nfs')}\nnonsense`);
  expect(refusal(mounts, '/srv/far/a')).toContain('nfs');
  mounts.refresh(() => '');
  expect(refusal(mounts, '/srv/far/a')).toBe(undefined);
  // That of this machine is readable.
  mounts.refresh(() => line('/srv/far', 'nfs'));
  mounts.refresh();
  expect(refusal(mounts, '/srv/far/a')).toBe(undefined);
});
