/** What a release says of itself, and how one that was made by others is told from it. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { appendFileSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { buildBillOfMaterials, buildChecksums, buildInstaller } from '../scripts/package/files.ts';
import { temporaryDirectory } from '../test/support/control.ts';
import { tool, toolEnvironment } from '../test/support/tools.ts';
import { claim, given, twin } from './claim.ts';

const root = join(import.meta.dirname, '..');

/** Runs minisign; its exit status and words. */
function minisign(...words: string[]): { status: number | null; said: string } {
  const { status, stdout, stderr } = spawnSync(tool('minisign') ?? 'minisign', words, {
    encoding: 'utf8',
    timeout: 20_000,
    env: toolEnvironment,
  });
  return { status, said: stdout + stderr };
}

interface Bill {
  bomFormat: string;
  components: { name: string; version: string; hashes?: { content: string }[] }[];
}

/** Makes the texts of a release in a folder, and signs them with a key that is made there. */
type Release = (folder: string) => void;

const release: Release = (folder) => {
  buildBillOfMaterials(join(folder, 'bill.cdx.json'), 0);
  buildInstaller(join(folder, 'install.sh'), '');
  buildChecksums(join(folder, 'SHA256SUMS'), [join(folder, 'bill.cdx.json'), join(folder, 'install.sh')]);
  minisign('-G', '-W', '-p', join(folder, 'key.pub'), '-s', join(folder, 'key'));
  minisign('-S', '-W', '-s', join(folder, 'key'), '-m', join(folder, 'SHA256SUMS'));
};

/** What the lock file says of packages that are not for development, as `name version`. */
function lockedPackages(): string[] {
  const { packages } = JSON.parse(readFileSync(join(root, 'package-lock.json'), 'utf8')) as {
    packages: Record<string, { version: string; dev?: boolean }>;
  };
  const shipped = Object.entries(packages).filter(([path, { dev }]) => path !== '' && dev !== true);
  return shipped.map(([path, { version }]) => `${path.replace(/^.*node_modules\//, '')} ${version}`).sort();
}

claim(
  'E-04b',
  given(release),
  (make) => {
    const directory = temporaryDirectory();
    const path = (name: string) => join(directory.path, name);
    try {
      make(directory.path);
      const bill = JSON.parse(readFileSync(path('bill.cdx.json'), 'utf8')) as Bill;
      assert.equal(bill.bomFormat, 'CycloneDX');
      const listed = bill.components.map(({ name, version }) => `${name} ${version}`).sort();
      assert.deepEqual(listed, lockedPackages(), 'the bill of materials is not what the lock file has');
      const verify = () => minisign('-V', '-p', path('key.pub'), '-m', path('SHA256SUMS'));
      const { status, said } = verify();
      assert.equal(status, 0, `minisign does not verify the signature: ${said}`);
      const sums = spawnSync('sha256sum', ['--quiet', '-c', 'SHA256SUMS'], { cwd: directory.path, encoding: 'utf8' });
      assert.equal(sums.status, 0, `a file is not the one that was signed: ${sums.stdout}`);
      appendFileSync(path('SHA256SUMS'), '\n');
      assert.equal(verify().status, 1, 'minisign verifies checksums that were changed');
      return `${listed.length} packages in the bill of materials, as in the lock file; minisign verifies the signature, and not one over changed checksums`;
    } finally {
      directory.remove();
    }
  },
  [
    twin(
      'a bill of materials that leaves a package out',
      given<Release>((folder) => {
        release(folder);
        const bill = JSON.parse(readFileSync(join(folder, 'bill.cdx.json'), 'utf8')) as Bill;
        bill.components.pop();
        writeFileSync(join(folder, 'bill.cdx.json'), JSON.stringify(bill));
      }),
      /not what the lock file has/,
    ),
    twin(
      'a release that nobody signed',
      given<Release>((folder) => {
        release(folder);
        writeFileSync(join(folder, 'SHA256SUMS.minisig'), '');
      }),
      /does not verify/,
    ),
    twin(
      'an installer that was changed after the signature',
      given<Release>((folder) => {
        release(folder);
        appendFileSync(join(folder, 'install.sh'), '# more\n');
      }),
      /not the one that was signed/,
    ),
  ],
  { needs: ['linux', 'minisign'], timeoutMs: 120_000 },
);
