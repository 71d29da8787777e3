/** Programs that check our files: the system's own, or those that the set-up unpacked. */
import { existsSync } from 'node:fs';
import { delimiter, join } from 'node:path';

const root = join(import.meta.dirname, '../..');
const unpacked = join(root, 'build', 'tools');

/** The path of a command, or undefined. `npm run setup -- --tools` unpacks what is missing. */
export function tool(name: string): string | undefined {
  const folders = [...(process.env.PATH ?? '').split(delimiter), join(unpacked, 'usr/bin')];
  return folders.map((folder) => join(folder, name)).find((path) => existsSync(path));
}

const triplet = process.arch === 'arm64' ? 'aarch64-linux-gnu' : 'x86_64-linux-gnu';

/** The environment in which an unpacked program finds its libraries. */
export const toolEnvironment: NodeJS.ProcessEnv = {
  ...process.env,
  LD_LIBRARY_PATH: ['usr/lib', 'lib']
    .flatMap((folder) => [join(unpacked, folder, triplet), join(unpacked, folder, triplet, 'systemd')])
    .join(':'),
};
