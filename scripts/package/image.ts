/**
 * The container image, from scratch: the executable, the libraries it links (those of the system it
 * is built on), a configuration and empty directories. An OCI image layout (image-spec v1.1) in a
 * tar, made without a container engine.
 */
import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import {
  copyFileSync,
  linkSync,
  mkdirSync,
  mkdtempSync,
  realpathSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { dirname, join } from 'node:path';
import { imaged, writeSuggestion } from '../../src/suggest/write.ts';
import { version } from '../../src/version.ts';
import { architecture } from './deb.ts';
import { packFolder } from './files.ts';
import { setTimes } from './tree.ts';

/** Paths of the shared libraries that an executable links, the loader among them (ldd(1)). */
export function librariesOf(executable: string): string[] {
  const listed = execFileSync('ldd', [executable], { encoding: 'utf8' });
  return [...listed.matchAll(/(\/\S+)/g)].map(([, path]) => path ?? '');
}

/** The content of the layer, below `home`. */
function writeRoot(home: string, executable: string): void {
  for (const folder of ['usr/bin', 'etc/fail2zig.d', 'var/lib/fail2zig', 'run/fail2zig', 'proc', 'var/log']) {
    mkdirSync(join(home, folder), { recursive: true });
  }
  linkSync(executable, join(home, 'usr/bin/fail2zig'));
  for (const name of ['fail2zig-client', 'fail2zig-fleet']) symlinkSync('fail2zig', join(home, 'usr/bin', name));
  writeFileSync(join(home, 'etc/fail2zig.toml'), writeSuggestion(imaged), { mode: 0o644 });
  for (const path of librariesOf(executable)) {
    mkdirSync(join(home, dirname(path)), { recursive: true });
    copyFileSync(realpathSync(path), join(home, path));
  }
}

/** Writes the image as a tar of its layout to `output`. */
export function buildImage(executable: string, output: string, epoch: number): void {
  const scratch = mkdtempSync(join(dirname(executable), 'image-'));
  try {
    const [home, layout] = [join(scratch, 'root'), join(scratch, 'layout')];
    mkdirSync(join(layout, 'blobs/sha256'), { recursive: true });
    mkdirSync(home);
    writeRoot(home, executable);
    setTimes(home, epoch);

    const put = (mediaType: string, bytes: Uint8Array): { mediaType: string; digest: string; size: number } => {
      const hash = createHash('sha256').update(bytes).digest('hex');
      writeFileSync(join(layout, 'blobs/sha256', hash), bytes);
      return { mediaType, digest: `sha256:${hash}`, size: bytes.length };
    };
    const json = (value: unknown) => Buffer.from(JSON.stringify(value));
    const tar = packFolder(home, epoch);
    const compressed = execFileSync('gzip', ['-n', '-6'], { input: tar, maxBuffer: 2 ** 30 });
    const layer = put('application/vnd.oci.image.layer.v1.tar+gzip', compressed);
    const created = new Date(epoch * 1000).toISOString();
    const config = put(
      'application/vnd.oci.image.config.v1+json',
      json({
        created,
        architecture,
        os: 'linux',
        config: { Entrypoint: ['/usr/bin/fail2zig'], Env: ['PATH=/usr/bin'], WorkingDir: '/' },
        rootfs: { type: 'layers', diff_ids: [`sha256:${createHash('sha256').update(tar).digest('hex')}`] },
        history: [{ created, created_by: 'npm run package' }],
      }),
    );
    const mediaType = 'application/vnd.oci.image.manifest.v1+json';
    const manifest = put(mediaType, json({ schemaVersion: 2, mediaType, config, layers: [layer] }));
    const annotations = { 'org.opencontainers.image.ref.name': version };
    writeFileSync(join(layout, 'oci-layout'), json({ imageLayoutVersion: '1.0.0' }));
    writeFileSync(join(layout, 'index.json'), json({ schemaVersion: 2, manifests: [{ ...manifest, annotations }] }));
    writeFileSync(output, packFolder(layout, epoch));
  } finally {
    rmSync(scratch, { recursive: true });
  }
}
