/**
 * Files made from the tree of an installed system, from the release, and from the lock file.
 */
import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { chmodSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { version } from '../../src/version.ts';
import { setTimes, writeTree } from './tree.ts';

const root = join(import.meta.dirname, '../..');

/**
 * Packs a folder as tar with nothing of this machine in it: names sorted, owned by root, one time,
 * and modes independent of the umask.
 */
export function packFolder(folder: string, epoch: number): Buffer {
  const fixed = [
    '--sort=name',
    '--owner=0',
    '--group=0',
    '--numeric-owner',
    `--mtime=@${epoch}`,
    '--format=gnu',
    '--mode=u+w,a+rX,go-w',
  ];
  return execFileSync('tar', ['-c', ...fixed, '-C', folder, '.'], { maxBuffer: 2 ** 30 });
}

/** The tree as a compressed archive, for systems without dpkg. */
export function buildArchive(executable: string, output: string, epoch: number): void {
  const scratch = mkdtempSync(join(dirname(executable), 'archive-'));
  try {
    writeTree(scratch, executable);
    setTimes(scratch, epoch);
    writeFileSync(
      output,
      execFileSync('gzip', ['-n', '-6'], { input: packFolder(scratch, epoch), maxBuffer: 2 ** 30 }),
    );
  } finally {
    rmSync(scratch, { recursive: true });
  }
}

/** install.sh of this version; `publicKey` is a line of minisign, '' if there is none yet. */
export function buildInstaller(output: string, publicKey: string): void {
  const text = readFileSync(join(root, 'packaging/install.sh'), 'utf8');
  writeFileSync(output, text.replaceAll('@VERSION@', version).replaceAll('@PUBLIC_KEY@', publicKey));
  chmodSync(output, 0o755);
}

/** SHA256SUMS over `files`, in the form of sha256sum(1). */
export function buildChecksums(output: string, files: readonly string[]): void {
  const line = (file: string) =>
    `${createHash('sha256').update(readFileSync(file)).digest('hex')}  ${basename(file)}\n`;
  writeFileSync(output, files.toSorted().map(line).join(''));
}

/** The part of CycloneDX 1.5 that is used here. */
interface Bill {
  serialNumber: string;
  metadata: { timestamp: string; component: { name: string } };
  components: { 'bom-ref': string; properties: { name: string }[] }[];
  dependencies: { ref: string; dependsOn: string[] }[];
}

/**
 * The bill of materials of what the release contains (CycloneDX, by npm). What is for development
 * only goes: npm's own `--omit=dev` leaves out zod too, which is for both. Serial number and time
 * would be new each time: the one is made of the lock file, the other is that of the source.
 */
export function buildBillOfMaterials(output: string, epoch: number): void {
  const listed = execFileSync('npm', ['sbom', '--sbom-format=cyclonedx', '--package-lock-only'], {
    cwd: root,
    encoding: 'utf8',
    maxBuffer: 2 ** 26,
  });
  const bill = JSON.parse(listed) as Bill;
  const isShipped = ({ properties }: Bill['components'][number]) =>
    !properties.some(({ name }) => name === 'cdx:npm:package:development');
  bill.components = bill.components.filter(isShipped);
  const shipped = new Set(bill.components.map((component) => component['bom-ref']));
  const own = `fail2zig@${version}`;
  bill.dependencies = bill.dependencies
    .filter(({ ref }) => ref === own || shipped.has(ref))
    .map(({ ref, dependsOn }) => ({ ref, dependsOn: dependsOn.filter((other) => shipped.has(other)) }));
  const hash = createHash('sha256')
    .update(readFileSync(join(root, 'package-lock.json')))
    .digest('hex');
  const groups = [hash.slice(0, 8), hash.slice(8, 12), `8${hash.slice(13, 16)}`, `8${hash.slice(17, 20)}`];
  bill.serialNumber = `urn:uuid:${[...groups, hash.slice(20, 32)].join('-')}`;
  bill.metadata.timestamp = new Date(epoch * 1000).toISOString();
  // npm uses the name of the folder.
  bill.metadata.component.name = 'fail2zig';
  writeFileSync(output, `${JSON.stringify(bill, null, 2)}\n`);
}
