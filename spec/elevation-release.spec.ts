/**
 * The contents of a release, and how a forged one is recognised.
 */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { appendFileSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { buildBillOfMaterials, buildChecksums, buildInstaller } from '../scripts/package/files.ts';
import { temporaryDirectory } from '../test/support/control.ts';
import { tool, toolEnvironment } from '../test/support/tools.ts';
import { claim, given, sabotaged, twin } from './claim.ts';

const root = join(import.meta.dirname, '..');

/** Runs minisign; its exit status and output. */
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

const releaseFiles = ['bill.cdx.json', 'install.sh'];

/**
 * Creates the files of a release in a folder and signs them with a key that is created there, like
 * the workflow, whose text is passed on.
 */
interface Release {
  make: (folder: string) => void;
  workflow: string;
}

/** The line of a public key's file that is the key. */
const keyIn = (path: string): string => readFileSync(path, 'utf8').trim().split('\n').at(-1)!;

const release: Release = {
  make(folder) {
    minisign('-G', '-W', '-p', join(folder, 'key.pub'), '-s', join(folder, 'key'));
    buildBillOfMaterials(join(folder, 'bill.cdx.json'), 0);
    buildInstaller(join(folder, 'install.sh'), keyIn(join(folder, 'key.pub')));
    buildChecksums(
      join(folder, 'SHA256SUMS'),
      releaseFiles.map((name) => join(folder, name)),
    );
    minisign('-S', '-W', '-s', join(folder, 'key'), '-m', join(folder, 'SHA256SUMS'));
  },
  workflow: readFileSync(join(root, '.github/workflows/release.yml'), 'utf8'),
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
  ({ make, workflow }) => {
    assert.match(workflow, /^ *.*minisign -S .*-m release\/SHA256SUMS$/m, 'a release is signed by nobody');
    assert.match(
      workflow,
      /release\/SHA256SUMS\.minisig|gh release create [^\n]*release\/\*/,
      'the signature is not published',
    );
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
      const summed = readFileSync(path('SHA256SUMS'), 'utf8').matchAll(/^[0-9a-f]{64} {2}(.*)$/gm);
      assert.deepEqual([...summed].map(([, name]) => name).sort(), releaseFiles, 'files that were signed');
      const installer = readFileSync(path('install.sh'), 'utf8');
      assert.ok(installer.includes(`'${keyIn(path('key.pub'))}'`), 'the installer checks with another key');
      appendFileSync(path('SHA256SUMS'), '\n');
      assert.equal(verify().status, 1, 'minisign verifies checksums that were changed');
      return `${listed.length} packages in the bill of materials, as in the lock file; minisign verifies the signature, and not one over changed checksums`;
    } finally {
      directory.remove();
    }
  },
  [
    sabotaged('the bill of materials has what is for development too', /not what the lock file has/),
    sabotaged('the checksums of a release leave out its first file', /files that were signed/),
    sabotaged('the installer is not told the public key', /the installer checks with another key/),
    twin(
      'a workflow that signs nothing',
      given({ ...release, workflow: release.workflow.replaceAll('minisign -S', 'true') }),
      /a release is signed by nobody/,
    ),
    twin(
      'an installer that was changed after the signature',
      given<Release>({
        ...release,
        make(folder) {
          release.make(folder);
          appendFileSync(join(folder, 'install.sh'), '# more\n');
        },
      }),
      /not the one that was signed/,
    ),
  ],
  { needs: ['linux', 'minisign'], timeoutMs: 120_000 },
);
