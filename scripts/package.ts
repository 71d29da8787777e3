/**
 * `npm run package`: the files of a release, in dist/: the single executable and everything made
 * from it. The same source gives the same bytes (SOURCE_DATE_EPOCH is honoured).
 */
import { mkdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { version } from '../src/version.ts';
import { readCommandLine } from './lab/command-line.ts';
import { architecture, buildPackage } from './package/deb.ts';
import { sourceEpoch } from './package/epoch.ts';
import { buildExecutable } from './package/executable.ts';
import { buildArchive, buildBillOfMaterials, buildChecksums, buildInstaller } from './package/files.ts';
import { buildImage } from './package/image.ts';

const usage = `npm run package -- [--level N] [--key FILE] [--output FOLDER]

  Builds what a release consists of: the executable, the Debian package, an archive for other systems, the
  container image (an OCI layout), the bill of materials, install.sh, and SHA256SUMS over all of them.
  Signing is the releaser's step: docs/releasing.md.

  --level N         how hard xz tries for the Debian package, 0 to 9 (6)
  --key FILE        the public key (minisign) that install.sh checks with
  --output FOLDER   where to (dist)`;

const { values, misuse } = readCommandLine('package', usage, {
  level: { type: 'string' },
  key: { type: 'string' },
  output: { type: 'string' },
});
const level = Number(values.level ?? 6);
if (!Number.isInteger(level) || level < 0 || level > 9) misuse('--level takes 0 to 9');
const publicKey = values.key === undefined ? '' : (readFileSync(values.key, 'utf8').trim().split('\n').at(-1) ?? '');
const output = values.output ?? join(import.meta.dirname, '../dist');
mkdirSync(output, { recursive: true });
const epoch = sourceEpoch();
const executable = join(output, 'fail2zig');
const name = `fail2zig_${version}_${architecture}`;

/** Every file of the release, with how it is made. */
const release: Readonly<Record<string, (path: string) => void>> = {
  [`${name}.deb`]: (path) => buildPackage(executable, path, epoch, level),
  [`${name}.tar.gz`]: (path) => buildArchive(executable, path, epoch),
  [`${name}.oci.tar`]: (path) => buildImage(executable, path, epoch),
  [`fail2zig_${version}.cdx.json`]: (path) => buildBillOfMaterials(path, epoch),
  'install.sh': (path) => buildInstaller(path, publicKey),
};
const make = (file: string, build: (path: string) => void): string => {
  const from = performance.now();
  const path = join(output, file);
  build(path);
  console.error(`package: ${path} (${((performance.now() - from) / 1000).toFixed(1)} s)`);
  return path;
};
const files = [make('fail2zig', buildExecutable), ...Object.entries(release).map(([file, build]) => make(file, build))];
make('SHA256SUMS', (path) => buildChecksums(path, files));
