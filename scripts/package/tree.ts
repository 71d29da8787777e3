/**
 * The files of an installed system, in the places that Debian's rules prescribe. Each has its mode;
 * all belong to root, and their times are those of the source.
 */
import { execFileSync } from 'node:child_process';
import {
  chmodSync,
  existsSync,
  globSync,
  linkSync,
  lutimesSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { packaged, writeSuggestion } from '../../src/suggest/write.ts';

const root = join(import.meta.dirname, '../..');

/** Packages that are part of the executable, with their license files. */
const licenses = {
  'Node.js and what it contains': `node-linux-${process.arch}/LICENSE`,
  zod: 'zod/LICENSE',
  'smol-toml': 'smol-toml/LICENSE',
  '@streamparser/json': '@streamparser/json/LICENSE',
  'node-addon-api': 'node-addon-api/LICENSE.md',
};

/** Where a shell looks for the completions of fail2zig-client. */
const completions = {
  bash: 'usr/share/bash-completion/completions/fail2zig-client',
  zsh: 'usr/share/zsh/vendor-completions/_fail2zig-client',
  fish: 'usr/share/fish/vendor_completions.d/fail2zig-client.fish',
};

/** Writes the tree below `home`; `executable` lies on the same file system. */
export function writeTree(home: string, executable: string): void {
  const put = (path: string, content: string | Uint8Array, mode = 0o644): void => {
    mkdirSync(join(home, dirname(path)), { recursive: true });
    writeFileSync(join(home, path), content);
    chmodSync(join(home, path), mode);
  };
  const copy = (from: string, path: string): void => put(path, readFileSync(join(root, from)));
  mkdirSync(join(home, 'usr/bin'), { recursive: true });
  linkSync(executable, join(home, 'usr/bin/fail2zig'));
  for (const name of ['fail2zig-client', 'fail2zig-fleet']) symlinkSync('fail2zig', join(home, 'usr/bin', name));
  put('etc/fail2zig.toml', writeSuggestion(packaged));
  mkdirSync(join(home, 'etc/fail2zig.d'));
  copy('packaging/debian/copyright', 'usr/share/doc/fail2zig/copyright');
  const texts = Object.entries(licenses).map(
    ([name, path]) => `===== ${name} =====\n\n${readFileSync(join(root, 'node_modules', path), 'utf8')}\n`,
  );
  put('usr/share/doc/fail2zig/copyright.inside.gz', compressed(Buffer.from(texts.join(''))));
  put('usr/share/doc/fail2zig/CHANGELOG.md.gz', compressed(readFileSync(join(root, 'CHANGELOG.md'))));
  for (const path of globSync('systemd/*.service', { cwd: root })) copy(path, `lib/systemd/system/${basename(path)}`);
  for (const kind of ['sysusers.d', 'tmpfiles.d']) {
    if (existsSync(join(root, 'systemd', kind))) copy(`systemd/${kind}/fail2zig.conf`, `usr/lib/${kind}/fail2zig.conf`);
  }
  for (const path of globSync('man/*.[1-8]', { cwd: root })) {
    put(`usr/share/man/man${path.at(-1)}/${basename(path)}.gz`, compressed(readFileSync(join(root, path))));
  }
  for (const [shell, path] of Object.entries(completions)) {
    const client = join(home, 'usr/bin/fail2zig-client');
    put(path, execFileSync(client, ['completions', shell], { env: { HOME: '/nowhere' } }));
  }
}

/** gzip without name and time. */
export function compressed(bytes: Uint8Array): Uint8Array {
  return gzipSync(bytes, { level: 9 });
}

/** Gives each file and folder below `home` the time `seconds`, and each folder its mode. */
export function setTimes(home: string, seconds: number): void {
  for (const entry of readdirSync(home, { withFileTypes: true })) {
    const path = join(home, entry.name);
    if (entry.isDirectory()) setTimes(path, seconds);
    // The executable is a hard link with its own time, and dpkg-deb takes the earlier one.
    else if (entry.name !== 'fail2zig') lutimesSync(path, seconds, seconds);
  }
  chmodSync(home, 0o755);
  lutimesSync(home, seconds, seconds);
}
